"""The compiled kernels equal their reference, for any shape, weight, dtype and number of threads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import classic_moe
from classic_moe._kernels import array, compiled
from classic_moe.batches import CHUNK, ArrayBatches
from classic_moe.statistics import Statistics

ROUNDING = 1e-11  # relative to a sum of absolute terms; sums of 2000 rows in another order
ROWS = [1, 2, 511, 512, 513, 1025, 2000]  # around the edges of a block


def problem(n, p, q, K, C, seed=0, size=1.0):
    """Arguments of both passes, as dicts; q is for regression, C for classification."""
    rng = np.random.default_rng(seed)
    X, gate_coef = rng.standard_normal((n, p)), size * rng.standard_normal((K, 1 + p))
    weight = rng.uniform(0, 2, n) * (rng.uniform(size=n) > 0.2)
    regression = dict(
        X=X,
        Y=rng.standard_normal((n, q)),
        weight=weight,
        gate_coef=gate_coef,
        whitening=size * rng.standard_normal((K, q, 1 + p + q)),
        log_norm=rng.standard_normal(K),
    )
    classification = dict(
        X=X,
        codes=rng.integers(0, C, n),
        weight=weight,
        gate_coef=gate_coef,
        coef=size * rng.standard_normal((K, C, 1 + p)),
    )
    return {"softmax_gaussian": regression, "softmax_softmax": classification}


def assert_twins_agree(name, arguments, tolerance=ROUNDING, **options):
    got = getattr(compiled, name)(**arguments, **options)
    expected = getattr(array, name)(**arguments, **options)
    # Every output is a sum over rows of terms no larger than these.
    largest = max(
        1.0, *(np.abs(arguments[key]).max(initial=0) for key in ("X", "Y") if key in arguments)
    )
    scale = max(1.0, arguments["weight"].sum()) * largest**2
    for ours, theirs in zip(got, expected, strict=True):
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
def test_what_is_not_wanted_is_left_out_and_the_rest_is_the_same(name):
    arguments = problem(600, p=3, q=2, K=3, C=3)[name]
    assert_twins_agree(name, arguments, hessian=False)
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
    for ours, theirs in zip(*(getattr(compiled, name)(**a) for a in (arguments, few)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING * 600)


@pytest.mark.parametrize("name", PASSES)
def test_no_weight_at_all_gives_zeros(name):
    arguments = problem(20, p=2, q=1, K=2, C=2)[name]
    arguments["weight"][:] = 0.0
    assert not any(np.any(output) for output in getattr(compiled, name)(**arguments))


@pytest.mark.parametrize("name", PASSES)
def test_twins_agree_where_scores_are_extreme(name):
    arguments = problem(600, p=2, q=2, K=3, C=3, size=1e3)[name]
    # Exponents of 1e6 are differences of numbers that hold 1e-10 each.
    assert_twins_agree(name, arguments, tolerance=1e-9)


@pytest.mark.parametrize("distance", [1e2, 1e5, 1e100])
def test_rows_whose_densities_all_underflow_still_have_responsibilities(distance):
    arguments = problem(50, p=2, q=1, K=3, C=2)["softmax_gaussian"]
    arguments["weight"][:] = 1.0
    arguments["whitening"][:, :, 3] = 1.0  # standard deviation 1
    arguments["Y"][::2] = distance  # exp(-distance²/2) = 0
    assert_twins_agree("softmax_gaussian", arguments, tolerance=1e-9)
    grams = compiled.softmax_gaussian(**arguments)[3]
    assert grams[:, 0, 0].sum() == pytest.approx(50)  # every row went somewhere


def test_nan_in_a_row_is_not_hidden():
    arguments = problem(50, p=2, q=1, K=3, C=2)["softmax_gaussian"]
    arguments["weight"][:] = 1.0
    arguments["Y"][7] = np.nan
    objective, _, _, grams = compiled.softmax_gaussian(**arguments)
    assert np.isnan(objective) and np.isnan(grams).any()


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


@pytest.mark.parametrize("name", PASSES)
def test_any_number_of_threads_gives_the_same_bits(name):
    arguments = problem(2 * CHUNK + 5000, p=2, q=1, K=3, C=2)[name]
    y, target = ("Y", arguments["Y"]) if "Y" in arguments else ("codes", arguments["codes"])

    def one_pass(params, X, target, weight):
        rows = {"X": X, y: target, "weight": weight}
        outputs = getattr(compiled, name)(**(params | rows))
        return Statistics({str(i): output for i, output in enumerate(outputs)})

    totals = []
    for n_threads in (1, 2, 8):
        with ArrayBatches(arguments["X"], target, arguments["weight"], n_threads) as batches:
            totals.append(batches.map_sum(one_pass, arguments))
    assert len(batches._starts) > 2
    for total in totals[1:]:
        for key, value in totals[0].items():
            assert np.array_equal(value, total[key])


# -- the cache on disk -------------------------------------------------------------------------

PROGRAM = """
import numpy as np
from classic_moe._kernels import compiled
Z = np.empty((2, 4))
compiled._pack(np.ones((4, 1)), np.ones((4, 0)), 0, 4, Z)
assert (Z == 1).all()
print(compiled.__file__, type(compiled._pack._cache).__name__)
"""


def run(folder, **environment):
    """What a fresh process that imports the package from `folder` says of its cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=kept | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    place, cache = done.stdout.split()
    assert Path(place).is_relative_to(folder)
    return cache


@pytest.fixture
def installed(tmp_path):
    """A copy of the package in a folder of its own."""
    source = Path(classic_moe.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "data")
    shutil.copytree(source, tmp_path / "classic_moe", ignore=ignored)
    return tmp_path


def test_kernels_are_cached_beside_their_source(installed):
    assert run(installed) == "FunctionCache"
    assert list((installed / "classic_moe/_kernels/__pycache__").glob("compiled._pack*"))


def test_without_a_place_for_a_cache_kernels_are_compiled_every_time(installed):
    # A file where a folder should be stops every user, root too, from writing there.
    (installed / "classic_moe/_kernels/__pycache__").write_text("")
    blocked = installed / "file"
    blocked.write_text("")
    nowhere = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked / "cache")}
    assert run(installed, **nowhere) == "NullCache"
    assert run(installed, NUMBA_CACHE_DIR=str(blocked / "numba"), **nowhere) == "NullCache"


def test_a_useless_numba_cache_dir_is_passed_over(installed):
    (installed / "file").write_text("")
    assert run(installed, NUMBA_CACHE_DIR=str(installed / "file" / "numba")) == "FunctionCache"


def test_the_cache_can_be_switched_off(installed):
    assert run(installed, CLASSIC_MOE_NO_CACHE="1") == "NullCache"
    assert not (installed / "classic_moe/_kernels/__pycache__").exists()
