"""The compiled kernels equal their reference, for any shape, weight, dtype, number of threads."""

import os
import shutil
import subprocess
import sys

import numba
import numpy as np
import pytest

from classic_moe._kernels import array, compiled
from classic_moe.data.batches import CHUNK, ArrayBatches
from classic_moe.parts.statistics import Statistics

ROUNDING = 1e-11  # relative to a sum of absolute terms; sums of 2000 rows in another order
ROWS = [1, 2, 511, 512, 513, 1025, 2000]  # around the edges of a block


TREES = {
    "((0, 1), 2)": array.Branches((0, 2, 4), (~1, 2, 0, 1)),
    "((0, 1), (2, 3))": array.Branches((0, 2, 4, 6), (~1, ~2, 0, 1, 2, 3)),
    "(0, (1, 2, 3), (4, (5, 6)))": array.Branches(
        (0, 3, 6, 8, 10), (0, ~1, ~2, 1, 2, 3, 4, ~3, 5, 6)
    ),
}


def problem(n, p, q, K, C, seed=0, size=1.0, branches=None):
    """Arguments of both passes, as dicts; q is for regression, C for classification."""
    rng = np.random.default_rng(seed)
    branches = branches or array.Branches.flat(K)
    X = rng.standard_normal((n, p))
    gate_coef = size * rng.standard_normal((len(branches.child), 1 + p))
    weight = rng.uniform(0, 2, n) * (rng.uniform(size=n) > 0.2)
    regression = dict(
        X=X,
        Y=rng.standard_normal((n, q)),
        weight=weight,
        gate_coef=gate_coef,
        branches=branches,
        whitening=size * rng.standard_normal((K, q, 1 + p + q)),
        log_norm=rng.standard_normal(K),
    )
    classification = dict(
        X=X,
        codes=rng.integers(0, C, n),
        weight=weight,
        gate_coef=gate_coef,
        branches=branches,
        coef=size * rng.standard_normal((K, C, 1 + p)),
    )
    return {"softmax_gaussian": regression, "softmax_softmax": classification}


def flat(outputs):
    """The outputs of a pass in one list, the Hessians of the nodes in place of theirs."""
    objective, gradient, hessians, *others = outputs
    return [objective, gradient, *hessians, *others]


def assert_twins_agree(name, arguments, tolerance=ROUNDING, **options):
    got = getattr(compiled, name)(**arguments, **options)
    expected = getattr(array, name)(**arguments, **options)
    # Every output is a sum over rows of terms no larger than these.
    largest = max(
        1.0, *(np.abs(arguments[key]).max(initial=0) for key in ("X", "Y") if key in arguments)
    )
    scale = max(1.0, arguments["weight"].sum()) * largest**2
    for ours, theirs in zip(flat(got), flat(expected), strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            assert np.shape(ours) == np.shape(theirs)
            limit = tolerance * max(scale, abs(expected[0]))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit)


PASSES = ["softmax_gaussian", "softmax_softmax"]


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("n", ROWS)
def test_twins_agree_around_the_edges_of_a_block(name, n):
    assert_twins_agree(name, problem(n, p=3, q=2, K=4, C=3)[name])


SHAPES = [(K, p, 1 + (K + p) % 4) for K in (1, 2, 3, 4, 5, 7, 8, 9, 17) for p in (0, 1, 2, 5, 12)]


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("K, p, q", SHAPES)
def test_twins_agree_for_any_number_of_experts_columns_and_outputs(name, K, p, q):
    assert_twins_agree(name, problem(40, p, q, K, C=1 + q, seed=K)[name])


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("K, p", [(2, 18), (3, 19), (4, 47), (5, 48), (4, 130)])
def test_twins_agree_on_wide_data(name, K, p):
    assert_twins_agree(name, problem(600, p, q=2, K=K, C=3)[name])


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("K, C", [(3, 2), (12, 12)])
def test_twins_agree_on_the_blocks_of_hessians(name, K, C):
    options = dict(curvature=array.BLOCKS) if name == "softmax_softmax" else {}
    arguments = problem(600, p=3, q=1, K=K, C=C)[name]
    assert_twins_agree(name, arguments, hessian=array.BLOCKS, **options)


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("tree", TREES)
def test_twins_agree_on_trees(name, tree):
    K = 1 + max(TREES[tree].child)
    assert_twins_agree(name, problem(600, p=3, q=2, K=K, C=3, branches=TREES[tree])[name])


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, array.BLOCKS)])
def test_the_hessian_is_there_for_the_nodes_that_want_it(name, wanted):
    arguments = problem(600, p=3, q=2, K=4, C=3, branches=TREES["((0, 1), (2, 3))"])[name]
    assert_twins_agree(name, arguments, hessian=wanted)
    hessians = getattr(compiled, name)(**arguments, hessian=wanted)[2]
    assert [hessian is not None for hessian in hessians] == [bool(own) for own in wanted]


@pytest.mark.parametrize("name", PASSES)
def test_what_is_not_wanted_is_left_out_and_the_rest_is_the_same(name):
    arguments = problem(600, p=3, q=2, K=3, C=3)[name]
    assert_twins_agree(name, arguments, hessian=False)
    assert_twins_agree(name, arguments, grams=False)
    assert_twins_agree(name, problem(600, p=3, q=1, K=2, C=2)[name], hessian=False, grams=False)
    if name == "softmax_softmax":
        assert_twins_agree(name, arguments, curvature=False)


@pytest.mark.parametrize("name", PASSES)
def test_twins_agree_on_float32_columns_without_copying_them_up(name):
    arguments = problem(600, p=3, q=2, K=3, C=3)[name]
    arguments["X"] = arguments["X"].astype(np.float32)
    assert_twins_agree(name, arguments)


@pytest.mark.parametrize("name", PASSES)
def test_rows_without_weight_count_for_nothing(name):
    arguments = problem(600, p=3, q=2, K=3, C=3)[name]
    kept = arguments["weight"] > 0
    arguments["X"][~kept] = 1e6
    rows = [key for key in ("X", "Y", "codes", "weight") if key in arguments]
    few = arguments | {key: arguments[key][kept] for key in rows}
    all_rows, some = (flat(getattr(compiled, name)(**a)) for a in (arguments, few))
    for ours, theirs in zip(all_rows, some, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING * 600)


@pytest.mark.parametrize("name", PASSES)
def test_no_weight_at_all_gives_zeros(name):
    arguments = problem(20, p=2, q=1, K=2, C=2)[name]
    arguments["weight"][:] = 0.0
    assert not any(np.any(output) for output in flat(getattr(compiled, name)(**arguments)))


@pytest.mark.parametrize("name", PASSES)
def test_twins_agree_where_scores_are_extreme(name):
    arguments = problem(600, p=2, q=2, K=3, C=3, size=1e3)[name]
    # Exponents of 1e6 are differences of numbers that hold 1e-10 each.
    assert_twins_agree(name, arguments, tolerance=1e-9)


@pytest.mark.parametrize("distance", [1e2, 1e5, 1e100])
def test_rows_whose_densities_all_underflow_still_have_responsibilities(distance):
    arguments = problem(50, p=2, q=1, K=3, C=2)["softmax_gaussian"]
    arguments["weight"][:] = 1.0
    arguments["whitening"][:, :, 3] = [[1.0], [1.1], [1.2]]  # one over standard deviations
    arguments["Y"][::2] = distance  # exp(-distance²/2) = 0
    assert_twins_agree("softmax_gaussian", arguments, tolerance=1e-9)
    grams = compiled.softmax_gaussian(**arguments)[3]
    assert grams[:, 0, 0].sum() == pytest.approx(50)  # every row went somewhere


@pytest.mark.parametrize("K", [2, 3])
def test_nan_in_a_row_is_not_hidden(K):
    arguments = problem(50, p=2, q=1, K=K, C=2)["softmax_gaussian"]
    arguments["weight"][:] = 1.0
    arguments["Y"][7] = np.nan
    objective, gradient, _, grams = compiled.softmax_gaussian(**arguments)
    assert np.isnan(objective) and np.isnan(gradient).all() and np.isnan(grams).any()


# -- exp and log -------------------------------------------------------------------------------


@numba.njit
def _each(x, exponential):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = compiled._exp(x[i]) if exponential else compiled._log(x[i])
    return out


def test_exp_is_numpys():
    x = -np.concatenate([np.linspace(0, 708, 20_001), np.logspace(-300, 2.85, 20_000)])
    np.testing.assert_allclose(_each(x, True), np.exp(x), rtol=1e-15, atol=0)
    assert _each(np.zeros(1), True) == 1.0


def test_exp_of_very_negative_numbers_is_negligible():
    x = np.array([-708.0, -709.0, -1e5, -1e300, -np.inf])
    result = _each(x, True)
    assert (result >= 0).all() and (result < 1e-307).all()


def test_log_is_numpys():
    x = np.concatenate([np.logspace(-307, 308, 20_001), np.linspace(0.5, 2, 20_001)])
    np.testing.assert_allclose(_each(x, False), np.log(x), rtol=1e-15, atol=0)
    assert _each(np.ones(1), False) == 0.0


# -- threads -----------------------------------------------------------------------------------


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="minutes in plain Python")
@pytest.mark.parametrize("name", PASSES)
def test_any_number_of_threads_gives_the_same_bits(name):
    tree = TREES["((0, 1), 2)"]
    arguments = problem(2 * CHUNK + 5000, p=2, q=1, K=3, C=2, branches=tree)[name]
    y, target = ("Y", arguments["Y"]) if "Y" in arguments else ("codes", arguments["codes"])

    def one_pass(params, X, target, weight):
        rows = {"X": X, y: target, "weight": weight}
        outputs = flat(getattr(compiled, name)(**(params | rows)))
        return Statistics({str(i): output for i, output in enumerate(outputs)})

    totals = []
    for n_threads in (1, 2, 8):
        with ArrayBatches(arguments["X"], target, arguments["weight"], n_threads) as batches:
            totals.append(batches.map_sum(one_pass, arguments))
    assert len(batches._chunks) > 2
    for total in totals[1:]:
        for key, value in totals[0].items():
            assert np.array_equal(value, total[key])


# -- the pass that a climb calls by its address --------------------------------------------------


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there are no addresses in plain Python")
def test_a_pass_is_called_by_its_address_with_its_own_arguments_or_not_at_all():
    @numba.njit
    def call(address, x):
        return compiled._call_chunk(address, (x, x))

    with pytest.raises(numba.TypingError, match="not the arguments of a chunk"):
        call(compiled.chunk_address(), np.ones(3))


# -- the cache on disk -------------------------------------------------------------------------

PROGRAM = """
import numpy as np, compiled
out = np.empty(4)
compiled.exp_each(np.zeros(4), out)
assert (out == 1).all()
print(type(compiled.exp_each._cache).__name__)
"""


@pytest.fixture
def cache_in(tmp_path):
    """The kind of cache that a fresh process uses for kernels in a folder of their own."""
    shutil.copy(compiled.__file__, tmp_path)
    (tmp_path / "file").write_text("")

    def run(**environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=kept | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    return run


def test_kernels_are_cached_beside_their_source_if_numbas_own_setting_is_useless(
    cache_in, tmp_path
):
    assert cache_in(NUMBA_CACHE_DIR=str(tmp_path / "file" / "numba")) == "FunctionCache"
    assert list(tmp_path.glob("__pycache__/compiled.exp_each*"))


def test_without_a_place_for_a_cache_kernels_are_compiled_every_time(cache_in, tmp_path):
    # A file where a folder should be stops every user from writing there, root too.
    (tmp_path / "__pycache__").write_text("")
    blocked = tmp_path / "file"
    nowhere = {"HOME": blocked, "XDG_CACHE_HOME": blocked / "cache", "NUMBA_CACHE_DIR": blocked}
    assert cache_in(**{name: str(path) for name, path in nowhere.items()}) == "NullCache"


def test_the_cache_can_be_switched_off(cache_in, tmp_path):
    assert cache_in(CLASSIC_MOE_NO_CACHE="1") == "NullCache"
    assert not (tmp_path / "__pycache__").exists()


# -- without numba's compiler ------------------------------------------------------------------


def test_kernels_run_as_plain_python_so_that_coverage_can_see_them(tmp_path):
    for module in (array, compiled):
        shutil.copy(module.__file__, tmp_path)
    program = """
import numpy as np, array_kernels, compiled
rng = np.random.default_rng(0)
X, weight, gate_coef = rng.standard_normal((9, 2)), np.arange(9.0), rng.standard_normal((4, 3))
tree = array_kernels.Branches((0, 2, 4), (~1, 2, 0, 1))
for name, y, coef in (
    ("softmax_gaussian", rng.standard_normal((9, 1)), [np.ones((3, 1, 4)), np.zeros(3)]),
    ("softmax_softmax", rng.integers(0, 2, 9), [rng.standard_normal((3, 2, 3))]),
):
    modules = (compiled, array_kernels)
    twins = (getattr(m, name)(X, y, weight, gate_coef, tree, *coef) for m in modules)
    for ours, theirs in zip(*twins):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
"""
    (tmp_path / "array.py").rename(tmp_path / "array_kernels.py")  # `array` is Python's
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- what is said of rows, after a fit -------------------------------------------------------------

READINGS = {
    "gate_probabilities": "X gate_coef branches",
    "mixed_mean": "X gate_coef branches coef",
    "gaussian_posterior": "X Y gate_coef branches whitening log_norm",
    "class_probabilities": "X gate_coef branches coef",
    "class_posterior": "X codes gate_coef branches coef",
}


def reading(name, **sizes):
    of_classes = name in ("class_probabilities", "class_posterior", "mixed_mean")
    given = problem(p=3, **sizes)["softmax_softmax" if of_classes else "softmax_gaussian"]
    return {key: given[key] for key in READINGS[name].split()}


def assert_readings_agree(name, arguments, size=1.0, **options):
    got = getattr(compiled, name)(**arguments, **options)
    expected = getattr(array, name)(**arguments, **options)
    together = isinstance(expected, tuple)
    for ours, theirs in zip(*((a if together else (a,)) for a in (got, expected)), strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            # a dozen roundings of numbers of that size
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13 * size)


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("name", READINGS)
def test_what_is_said_of_rows_equals_its_reference(name, n):
    assert_readings_agree(name, reading(name, n=n, q=2, K=3, C=4))


@pytest.mark.parametrize("branches", TREES.values(), ids=TREES)
@pytest.mark.parametrize("name", READINGS)
def test_so_it_does_below_a_tree(name, branches):
    K = 1 + max(branches.child)
    assert_readings_agree(name, reading(name, n=600, q=1, K=K, C=2, branches=branches, size=3.0))


def test_logarithms_of_the_gate_and_values_without_posteriors_are_made_alone():
    given = reading("gate_probabilities", n=600, q=1, K=5, C=2, size=300.0)
    assert_readings_agree("gate_probabilities", given, size=300.0, logs=True)
    assert compiled.gate_probabilities(**given, logs=True).min() < -750  # whose exp is 0
    for name in ("gaussian_posterior", "class_posterior"):
        assert_readings_agree(name, reading(name, n=600, q=1, K=3, C=2), wants_resp=False)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_standardised_rows_have_the_bits_of_numpy(dtype):
    rng = np.random.default_rng(0)
    V = (rng.standard_normal((700, 3)) * [1.0, 1e6, 1e-6]).astype(dtype)
    V[5] = [1e30, -1e30, 0.0]
    origin, slope, out = rng.standard_normal(3), np.array([1.0, 1e-6, 0.0]), np.empty_like(V)
    compiled.standardise(V, origin, slope, 1e20, out)
    expected = np.clip((V.astype(np.float64) - origin) * slope, -1e20, 1e20).astype(dtype)
    np.testing.assert_array_equal(out, expected)
