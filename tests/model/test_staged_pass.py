"""The staged pass equals the generic one, whatever the family, the gate, the order and the data."""

import subprocess
import sys

import numpy as np
import pytest

from classic_moe.data.batches import ArrayBatches
from classic_moe.experts import (
    BinomialExpert,
    GammaExpert,
    LaplaceExpert,
    LinearExpert,
    MLPExpert,
    NegativeBinomialExpert,
    PoissonExpert,
    StudentTExpert,
)
from classic_moe.gates import (
    ConstantGate,
    ExponentialFamilyGate,
    GaussianGate,
    LeastSquaresGate,
    SoftmaxGate,
    TreeGate,
)
from classic_moe.model import fused_pass, staged_pass
from classic_moe.model.mixture import MixtureModel

n, p, K = 9001, 3, 4  # two blocks, the second with a row less
EQUAL = 1e-12
"""Relative to the largest entry of a statistic: thousands of roundings that average out."""


def data(seed=0, rows=n):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, p))
    return rng, X, X @ np.array([0.5, -0.4, 0.3]) * np.where(X[:, 0] > 0, 1, -1)


def target(expert, rng, eta):
    """y for a family: counts, positive numbers, successes and failures, numbers with outliers."""
    if isinstance(expert, NegativeBinomialExpert):
        return rng.negative_binomial(2, 1 / (1 + np.exp(eta)))[:, None] * 1.0
    if isinstance(expert, PoissonExpert):
        return rng.poisson(np.exp(1 + eta))[:, None] * 1.0
    if isinstance(expert, GammaExpert):
        return rng.gamma(3, np.exp(eta))[:, None]
    if isinstance(expert, BinomialExpert):
        trials = rng.integers(0, 9, len(eta))
        successes = rng.binomial(trials, 1 / (1 + np.exp(-eta)))
        return np.column_stack([successes, trials - successes]) * 1.0
    if isinstance(expert, LaplaceExpert):
        y = eta + rng.laplace(size=len(eta))
        y[::7] = 0.25  # a start without slopes fits such rows
        return y[:, None]
    return np.column_stack([eta + rng.standard_t(3, len(eta)), rng.standard_t(3, len(eta))])


EXPERTS = [
    PoissonExpert(),
    GammaExpert(),
    GammaExpert(shape=2.0),
    GammaExpert(link="inverse"),
    NegativeBinomialExpert(),
    NegativeBinomialExpert(dispersion=0.5),
    BinomialExpert(),
    StudentTExpert(),
    StudentTExpert(df=4.0, covariance_type="diag"),
    StudentTExpert(df="tied", covariance_type="tied"),
    LaplaceExpert(),
]
GATES = [
    SoftmaxGate(),
    ConstantGate(),
    TreeGate(),
    TreeGate(structure=((0, 1, 2), 3)),
    TreeGate("constant"),
    LeastSquaresGate(),
    TreeGate(LeastSquaresGate(floor=0.1), structure=((0, 1, 2), 3)),
    *(GaussianGate(kind) for kind in ("full", "diag", "spherical", "tied")),
    ExponentialFamilyGate(),
]


def started(gate, expert, **settings):
    """A generic and a compiled model of the same parts, data, and parameters to start from."""
    rng, X, eta = data()
    y, weight = target(expert, rng, eta), np.arange(n) % 4 / 2
    models = [MixtureModel(gate, expert, compiled=flag, **settings) for flag in (False, True)]
    assert fused_pass.lookup(models[1], X, y) is not None
    resp = rng.dirichlet(np.ones(K), 500)
    params = models[0].init(X[:500], y[:500], resp, np.random.RandomState(0))
    return models, params, X, y, weight


def assert_equal(got, expected, where=""):
    assert list(got) == list(expected) or set(got) == set(expected), where
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_equal(got[name], value, f"{where}/{name}")
            continue
        size = np.abs(value).max()
        np.testing.assert_allclose(
            got[name], value, rtol=0, atol=EQUAL * size, err_msg=f"{where}/{name}"
        )


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("expert", EXPERTS, ids=repr)
def test_every_family_has_the_statistics_of_the_generic_pass(expert, order):
    (generic, compiled), params, *rows = started(SoftmaxGate(), expert)
    got, expected = (model.statistics(params, *rows, order) for model in (compiled, generic))
    assert_equal(got, expected)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("gate", GATES, ids=repr)
@pytest.mark.parametrize("expert", [PoissonExpert(), StudentTExpert(), LinearExpert()], ids=repr)
def test_every_gate_has_the_statistics_of_the_generic_pass(gate, expert, order):
    (generic, compiled), params, *rows = started(gate, expert)
    got, expected = (model.statistics(params, *rows, order) for model in (compiled, generic))
    assert_equal(got, expected)


@pytest.mark.parametrize("expert", [PoissonExpert(), LinearExpert()], ids=repr)
def test_a_gate_of_several_densities_has_the_statistics_of_the_generic_pass(expert):
    gate = ExponentialFamilyGate(["poisson", "gaussian", "bernoulli", "gaussian"])
    rng, X, eta = data()
    X = np.column_stack([rng.poisson(2.0, n), X[:, 0], rng.integers(0, 2, n), X[:, 1:]])
    y, weight = target(expert, rng, eta), np.arange(n) % 4 / 2
    models = [
        MixtureModel(gate, expert, gate_columns=np.array([0, 3, 2, 1]), compiled=flag)
        for flag in (False, True)
    ]
    resp = rng.dirichlet(np.ones(K), 500)
    params = models[0].init(X[:500], y[:500], resp, np.random.RandomState(0))
    X[7, 0] = 0.5  # no count: the column says nothing of the row
    for order in (1, 2):
        expected, got = (model.statistics(params, X, y, weight, order) for model in models)
        assert_equal(got, expected)


@pytest.mark.parametrize("gate", GATES, ids=repr)
def test_statistics_of_chunks_add_up(gate):
    (_, compiled), params, *rows = started(gate, PoissonExpert())
    parts = [compiled.statistics(params, *(v[at] for v in rows)) for at in (np.s_[:99], np.s_[99:])]
    assert_equal(parts[0] + parts[1], compiled.statistics(params, *rows))


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate(), TreeGate()], ids=repr)
def test_experts_without_a_kernel_have_the_statistics_of_the_generic_pass(gate):
    (generic, compiled), params, *rows = started(gate, MLPExpert((3,), max_iter=1))
    assert fused_pass.lookup(compiled, *rows[:2]) is staged_pass.beside_any_expert
    got, expected = (model.statistics(params, *rows) for model in (compiled, generic))
    for stats in (got, expected):
        stats["expert"] = {name: stats["expert"][name] for name in ("X", "y", "resp")}
    assert_equal(got, expected)


@pytest.mark.parametrize("expert", [LinearExpert(), PoissonExpert()], ids=repr)
def test_a_gaussian_gate_sees_its_own_columns_that_vary(expert):
    settings = dict(gate_columns=np.array([2, 0]), expert_columns=np.array([1]))
    (generic, compiled), _, X, y, weight = started(GaussianGate(), expert, **settings)
    X = X.copy()
    X[:, 2] = 0.0
    resp = np.random.default_rng(1).dirichlet(np.ones(K), 500)
    params = generic.init(X[:500], y[:500], resp, np.random.RandomState(0))
    got, expected = (m.statistics(params, X, y, weight) for m in (compiled, generic))
    assert expected["gate"]["gaussian"]["second"].shape == (K, 1, 1)
    assert_equal(got, expected)


def test_rows_that_a_laplace_expert_fits_count_by_both_floors():
    (generic, compiled), params, X, y, weight = started(SoftmaxGate(), LaplaceExpert())
    params["expert"]["coef"][1, 0] = [0.25, 0, 0, 0]
    params["expert"]["coef"][2, 0] = [0.25 + 1e-8, 0, 0, 0]
    got, expected = (m.statistics(params, X, y, weight) for m in (compiled, generic))
    assert expected["expert"]["gram"][1, 1, 0, 0] > 1e3 * expected["expert"]["gram"][1, 0, 0, 0]
    assert_equal(got, expected)


@pytest.mark.parametrize(
    "expert", [PoissonExpert(), GammaExpert(link="inverse"), NegativeBinomialExpert()], ids=repr
)
def test_an_offset_and_columns_of_each_part_are_those_of_the_generic_pass(expert):
    settings = dict(gate_columns=np.array([2, 0]), expert_columns=np.array([1]), offset_column=2)
    (generic, compiled), params, X, y, weight = started(TreeGate(), expert, **settings)
    for kind in (np.float64, np.float32):
        got, expected = (
            model.statistics(params, X.astype(kind), y, weight) for model in (compiled, generic)
        )
        assert_equal(got, expected)


def test_expert_columns_are_those_of_the_generic_pass_where_y_is_a_score():
    settings = dict(gate_columns=np.array([0]), expert_columns=np.array([2, 1]))
    (generic, compiled), params, *rows = started(SoftmaxGate(), StudentTExpert(), **settings)
    assert_equal(compiled.statistics(params, *rows), generic.statistics(params, *rows))


def test_a_row_that_no_expert_explains_counts_as_in_the_generic_pass():
    """An infinite distance: log p is -inf under every expert, and the gate alone decides."""
    (generic, compiled), params, X, y, weight = started(SoftmaxGate(), StudentTExpert())
    y[7], weight[7] = 1e200, 1.0
    with np.errstate(all="ignore"):
        got, expected = (m.statistics(params, X, y, weight) for m in (compiled, generic))
    assert got["objective"] == expected["objective"] == -np.inf
    np.testing.assert_allclose(got["resp"], expected["resp"], rtol=EQUAL)


def test_an_expert_far_from_all_rows_has_no_rows_at_all():
    (generic, compiled), params, *rows = started(SoftmaxGate(), PoissonExpert())
    params["expert"]["coef"][2, 0] = 60.0
    got, expected = (m.statistics(params, *rows)["expert"] for m in (compiled, generic))
    assert expected["n"][2] == got["n"][2] == 0.0
    assert (got["gram"][2] == 0).all()


def test_parameters_that_are_no_model_are_told_by_the_objective():
    """df extrapolated below 0 by an accelerated solver."""
    (_, compiled), params, *rows = started(SoftmaxGate(), StudentTExpert())
    params["expert"]["df"] = np.array([-1.0, 5.0, 5.0, 5.0])
    assert np.isnan(compiled.statistics(params, *rows)["objective"])


@pytest.mark.parametrize("expert", [NegativeBinomialExpert(), StudentTExpert()], ids=repr)
def test_threads_do_not_change_a_bit(expert):
    rng, X, eta = data(rows=40_000)
    y = target(expert, rng, eta)
    model = MixtureModel(SoftmaxGate(), expert, compiled=True)
    resp = rng.dirichlet(np.ones(K), 500)
    params = model.init(X[:500], y[:500], resp, np.random.RandomState(0))
    found = []
    for threads in (1, 2):
        with ArrayBatches(X, y, np.ones(len(X)), n_threads=threads) as batches:
            found.append(batches.map_sum(model.statistics, params))
    for part in ("gate", "expert"):
        for name, value in found[0][part].items():
            assert np.array_equal(value, found[1][part][name])
    assert found[0]["objective"] == found[1]["objective"]


def test_few_rows_do_not_load_numba():
    code = """
import sys
import numpy as np
from classic_moe import MixtureOfExpertsRegressor
rng = np.random.default_rng(0)
X = rng.standard_normal((512, 2))
model = MixtureOfExpertsRegressor(2, expert="poisson", max_iter=3, n_init=1)
model.set_params(expert__alpha="weak", gate__alpha="weak").fit(X, rng.poisson(1, 512))
assert "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_other_objectives_keep_the_generic_pass_and_wide_data_do_not():
    model = MixtureModel(SoftmaxGate(), PoissonExpert(), compiled=True)
    y = np.ones((1000, 1))
    assert fused_pass.lookup(model, np.ones((1000, 300)), y) is staged_pass.staged
    assert fused_pass.lookup(model.with_objective(lambda *log: log), np.ones((9, 2)), y[:9]) is None
