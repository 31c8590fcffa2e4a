"""The observed information from row-wise derivatives, against differences of the gradient."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from classic_moe.data.batches import ArrayBatches
from classic_moe.experts import (
    BinomialExpert,
    ExpertUnion,
    GammaExpert,
    GaussianExpert,
    LinearExpert,
    LogisticExpert,
    NegativeBinomialExpert,
    NoiseExpert,
    PoissonExpert,
    SoftmaxExpert,
    StudentTExpert,
)
from classic_moe.gates import (
    ConstantGate,
    ExponentialFamilyGate,
    GaussianGate,
    SoftmaxGate,
    TreeGate,
)
from classic_moe.model.information import information, with_priors
from classic_moe.model.left_out import MOST, scores_left_out
from classic_moe.model.mixture import MixtureModel
from classic_moe.model.objectives import ExpectedError
from classic_moe.model.scores import scores

N, K = 60, 3
COVARIANCES = ("full", "diag", "spherical", "tied")
STEP = 1e-5
DIFFERENCES = 1e-6
"""Relative error of central differences of a gradient with this step: h² and rounding/h."""

GATES = {
    "softmax": SoftmaxGate(alpha=0.0),
    "constant": ConstantGate(),
    "tree": TreeGate(SoftmaxGate(alpha=0.0), structure=((0, 1), 2)),
    "tree of constants": TreeGate("constant", structure=(0, (1, 2))),
    **{f"gaussian {kind}": GaussianGate(kind, 0.0) for kind in COVARIANCES},
    "exponential family": ExponentialFamilyGate(["gaussian", "poisson"], prior=0.0),
    "codes": ExponentialFamilyGate(["bernoulli", "categorical"], prior=0.0),
}
PLAIN = dict(alpha=0.0, variance_prior=0.0)
EXPERTS = {
    "linear": ("real", LinearExpert(**PLAIN)),
    "fixed variance": ("real", LinearExpert(alpha=0.0, variance=0.5)),
    **{f"two outputs {k}": ("two", LinearExpert(**PLAIN, covariance_type=k)) for k in COVARIANCES},
    "gaussian": ("two", GaussianExpert(variance_prior=0.0)),
    "student_t": ("real", StudentTExpert(**PLAIN)),
    "student_t tied": ("two", StudentTExpert("tied", **PLAIN, covariance_type="tied")),
    "student_t 4": ("two", StudentTExpert(4.0, **PLAIN, covariance_type="spherical")),
    "poisson": ("count", PoissonExpert(alpha=0.0)),
    "negative binomial": ("count", NegativeBinomialExpert(alpha=0.0)),
    "gamma": ("positive", GammaExpert(**PLAIN)),
    "gamma inverse": ("positive", GammaExpert("inverse", **PLAIN)),
    "binomial": ("trials", BinomialExpert(alpha=0.0)),
    "softmax": ("class", SoftmaxExpert(alpha=0.0)),
    "logistic": ("binary", LogisticExpert(alpha=0.0)),
    "union": (
        "real",
        ExpertUnion([LinearExpert(**PLAIN), StudentTExpert(**PLAIN), NoiseExpert("normal")]),
    ),
}


def data(kind, gate, rng):
    X = rng.standard_normal((N, 2))
    if gate == "exponential family":
        X[:, 1] = rng.poisson(2, N)
    if gate == "codes":
        X = np.column_stack([rng.integers(0, 2, N), rng.integers(0, 3, N)]) + 0.0
    signal = np.abs(X[:, :1]) + 0.3 * rng.standard_normal((N, 1))
    draw = {
        "real": lambda: signal,
        "two": lambda: np.column_stack([signal, 0.5 * signal + rng.standard_normal((N, 1))]),
        "count": lambda: rng.poisson(np.exp(0.3 * signal)) + 0.0,
        "positive": lambda: np.exp(0.5 * signal),
        "trials": lambda: np.column_stack([rng.binomial(5, 0.5, N), rng.integers(0, 5, N)]) + 0.0,
        "class": lambda: rng.integers(0, 3, N),
        "binary": lambda: rng.integers(0, 2, N),
    }
    return X, draw[kind]()


def problem(gate, expert, seed=0):
    """A model, parameters some steps away from their start, and the rows."""
    rng = np.random.default_rng(seed)
    kind, part = EXPERTS[expert]
    X, y = data(kind, gate, rng)
    model = MixtureModel(GATES[gate], part, compiled=False)
    classes = {"class": np.arange(3), "binary": np.arange(2)}.get(kind)
    resp = rng.dirichlet(np.full(K, 0.5), N) + 1e-3
    params = model.init(X, y, resp, np.random.RandomState(0), classes)
    batches = ArrayBatches(X, y, rng.uniform(0.5, 2, N))
    for _ in range(2):
        params = model.maximize(params, batches.map_sum(model.statistics, params), cautious=True)
    return model, params, batches


def gradient_of(model, batches, coordinates):
    """The gradient of the objective in the free coordinates, as a function of them."""

    def gradient(vector):
        params = coordinates.params(vector)
        stats = batches.map_sum(lambda *a, **k: model.statistics(*a, order=1, **k), params)
        return coordinates.slope_in_free(vector, params, model.gradient(params, stats))

    return gradient


def differences(model, params, batches, found):
    """Minus the derivative of the gradient in the coefficients, by central differences."""
    coordinates = model.coordinates(params)
    gradient, vector = gradient_of(model, batches, coordinates), coordinates.free(params)
    columns = []
    for unit in np.eye(len(found.layout.positions)):
        step = STEP * found.layout.in_free(unit)
        columns.append(gradient(vector - step) - gradient(vector + step))
    return np.array([found.layout.in_coefficients(c) for c in columns]) / (2 * STEP)


PAIRS = list(itertools.product(GATES, EXPERTS))


@pytest.mark.parametrize("gate, expert", PAIRS, ids="-".join)
def test_the_information_is_minus_the_derivative_of_the_gradient(gate, expert):
    model, params, batches = problem(gate, expert)
    found = information(model, params, batches)
    expected = differences(model, params, batches, found)
    assert_allclose(found.matrix, found.matrix.T, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
    assert_allclose(found.matrix, expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max())


def test_every_free_number_is_a_coefficient_or_held():
    """What no predictor names is fixed, or held by a structure: zeros off a diagonal."""
    for gate, expert in PAIRS[::7]:  # every gate and every expert
        model, params, batches = problem(gate, expert)
        found = information(model, params, batches)
        named = np.zeros(found.layout.n_free, dtype=bool)
        for own in found.layout.positions:
            assert not named[own].any()  # none twice
            named[own] = True
        coordinates = model.coordinates(params)
        slope = gradient_of(model, batches, coordinates)(coordinates.free(params))
        assert_allclose(slope[~named], 0.0, atol=1e-12 * np.abs(slope).max())


def test_priors_add_their_curvature():
    X = np.random.default_rng(0).standard_normal((N, 2))
    y = np.abs(X[:, :1])
    model = MixtureModel(SoftmaxGate(alpha=2.0), LinearExpert(alpha=3.0, variance_prior=0.5))
    rng = np.random.default_rng(1)
    params = model.init(X, y, rng.dirichlet(np.ones(2), N), np.random.RandomState(0))
    batches = ArrayBatches(X, y, np.ones(N))
    stats = batches.map_sum(model.statistics, params)
    found = with_priors(model, params, information(model, params, batches), stats)
    expected = differences(model, params, batches, found)
    assert_allclose(found.matrix, expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max())


def test_blocks_of_rows_and_chunks_add_up(monkeypatch):
    model, params, batches = problem("softmax", "linear")
    whole = information(model, params, batches).matrix
    monkeypatch.setattr("classic_moe.model.information.BLOCK_NUMBERS", 2000)
    blocks = information(model, params, batches).matrix
    assert_allclose(blocks, whole, rtol=1e-10, atol=1e-12 * np.abs(whole).max())


def test_known_experts_count_as_in_the_fit():
    model, params, batches = problem("softmax", "linear")
    labels = np.random.default_rng(0).integers(-1, K, N)
    known = batches.with_facts(labels=labels)
    found = information(model, params, known)
    expected = differences(model, params, known, found)
    assert_allclose(found.matrix, expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max())


GROUPED = [
    ("constant", "linear"),
    ("tree of constants", "union"),
    ("softmax", "student_t tied"),
    ("gaussian full", "negative binomial"),
]


def in_groups(gate, expert, labels=None):
    """Rows in groups of one to four, in which the gate's columns are constant."""
    model, params, batches = problem(gate, expert)
    row = next(batches.blocks())
    groups = np.sort(np.random.default_rng(3).integers(0, N // 2, N))
    X = row.X.copy()
    X[:] = X[np.searchsorted(groups, groups)]
    facts = {"groups": groups} | ({} if labels is None else {"labels": labels[groups]})
    return model, params, ArrayBatches(X, row.y, row.weight, **facts)


@pytest.mark.parametrize("gate, expert", GROUPED, ids="-".join)
def test_the_information_of_groups_is_minus_the_derivative_of_the_gradient(gate, expert):
    model, params, batches = in_groups(gate, expert)
    found = information(model, params, batches)
    expected = differences(model, params, batches, found)
    assert_allclose(found.matrix, expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max())


def test_known_experts_of_groups_count_as_in_the_fit():
    labels = np.random.default_rng(4).integers(-1, K, N)
    model, params, batches = in_groups("softmax", "linear", labels)
    found = information(model, params, batches)
    expected = differences(model, params, batches, found)
    assert_allclose(found.matrix, expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max())


def test_pieces_of_groups_add_up(monkeypatch):
    model, params, batches = in_groups("softmax", "linear")
    whole = information(model, params, batches).matrix
    monkeypatch.setattr("classic_moe.model.information.TERMS_NUMBERS", 200)
    assert_allclose(information(model, params, batches).matrix, whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("in_pieces", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
def test_scores_sum_to_the_gradient_and_counts_to_the_weight(grouped, in_pieces, monkeypatch):
    make = in_groups if grouped else problem
    model, params, batches = make("tree", "student_t")
    if in_pieces:
        monkeypatch.setattr("classic_moe.model.information.TERMS_NUMBERS", 200)
    layout = information(model, params, batches).layout
    found = list(scores(model, params, batches, layout))
    total = sum(own.each @ own.weight for own in found)
    coordinates = model.coordinates(params)
    slope = gradient_of(model, batches, coordinates)(coordinates.free(params))
    assert_allclose(total, layout.in_coefficients(slope), atol=1e-9 * np.abs(slope).max())
    counts = sum(own.rows for own in found)
    assert_allclose(counts.sum(), batches.total_weight, rtol=1e-12)
    assert (len(found) > 1) == in_pieces


def left_out_one_by_one(model, params, batches, layout, V, units, alone):
    """(1 - A V)⁻¹ s of units, from the score and the information of each, (m, units)."""
    X, y, weight, facts = next(batches.blocks(batches.n))
    found = []
    for rows, share in zip(units, alone, strict=True):
        known = {name: fact[rows] for name, fact in facts.items()}
        unit = ArrayBatches(X[rows], y[rows], weight[rows], **known)
        score = sum(own.each @ own.weight for own in scores(model, params, unit, layout))
        A = information(model, params, unit, layout).matrix
        found.append(np.linalg.solve(np.eye(len(A)) - share * A @ V, score))
    return np.array(found).T


FEW = 10
"""Units that are left out one by one."""


def root_of(layout):
    """L of an inverse V = L Lᵀ that is small enough for leverages below the bound."""
    return 0.01 * np.random.default_rng(7).standard_normal(2 * (len(layout.positions),))


@pytest.mark.parametrize("in_pieces", [True, False])
@pytest.mark.parametrize("units", ["rows", "frequencies", "groups", "clusters"])
@pytest.mark.parametrize("gate, expert", [("tree", "student_t"), ("softmax", "two outputs tied")])
def test_scores_left_out_are_a_newton_step_without_the_unit(
    gate, expert, units, in_pieces, monkeypatch
):
    make = in_groups if units == "groups" else problem
    model, params, batches = make(gate, expert)
    if in_pieces:
        monkeypatch.setattr("classic_moe.model.information.TERMS_NUMBERS", 2000)
    layout = information(model, params, batches).layout
    root, facts = root_of(layout), next(batches.blocks(batches.n)).facts
    codes = np.sort(np.random.default_rng(3).integers(0, 12, batches.n))
    codes = facts["groups"] if units == "groups" else codes
    alone = np.full(batches.n, 0.4) if units == "frequencies" else None
    clusters = codes if units == "clusters" else None
    found = list(scores_left_out(model, params, batches, layout, root, alone, clusters))
    weight = next(batches.blocks(batches.n)).weight
    members, shares = [np.flatnonzero(codes == code) for code in np.unique(codes)], 1.0
    if units in ("rows", "frequencies"):
        members = np.arange(batches.n)[:, None]
        shares = 1.0 if alone is None else 0.4 / weight
    shares = np.broadcast_to(shares, len(members))
    members, shares = members[:FEW], shares[:FEW]
    told = left_out_one_by_one(model, params, batches, layout, root @ root.T, members, shares)
    ours = np.concatenate([own.weight * own.each for own in found], axis=1)
    ours = ours[:, np.abs(ours).max(axis=0) > 0]  # a cluster of no rows has no score
    assert_allclose(ours[:, :FEW], told, rtol=1e-9, atol=1e-11 * np.abs(told).max())
    counts = sum(own.rows for own in found)
    assert_allclose(counts.sum(), batches.total_weight, rtol=1e-12)
    assert (len(found) > 2) == in_pieces


def test_no_score_is_enlarged_beyond_the_bound():
    model, params, batches = problem("softmax", "linear")
    layout = information(model, params, batches).layout
    root = 100 * root_of(layout)
    plain = np.concatenate([s.each for s in scores(model, params, batches, layout)], axis=1)
    found = scores_left_out(model, params, batches, layout, root)
    found = np.concatenate([own.each for own in found], axis=1)
    # the size that matters, of Lᵀ s
    assert np.all(
        np.linalg.norm(root.T @ found, axis=0)
        <= np.linalg.norm(root.T @ plain, axis=0) / (1 - MOST) * (1 + 1e-9)
    )


def test_other_objectives_are_refused_in_one_sentence():
    model, params, batches = problem("softmax", "linear")
    with pytest.raises(ValueError, match="ExpectedError: the information is worked out for the"):
        information(model.with_objective(ExpectedError()), params, batches)


@pytest.mark.parametrize("gate_columns", [None, np.array([1])], ids=["all", "one"])
@pytest.mark.parametrize("expert_columns", [None, np.array([0])], ids=["all", "one"])
@pytest.mark.parametrize("expert", ["linear", "fixed variance"])
@pytest.mark.parametrize("gate", ["softmax", "constant"])
def test_compiled_sums_equal_those_of_the_rows(gate, expert, expert_columns, gate_columns):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N * 20, 2))  # more than a block of the kernel
    y = np.abs(X[:, :1]) + 0.3 * rng.standard_normal((len(X), 1))
    weight = rng.integers(0, 3, len(X)) + 0.0  # rows of weight 0 among them
    batches = ArrayBatches(X, y, weight)
    columns = dict(gate_columns=gate_columns, expert_columns=expert_columns)
    parts = GATES[gate], EXPERTS[expert][1]
    own, rows = (MixtureModel(*parts, compiled=kind, **columns) for kind in (True, False))
    resp = rng.dirichlet(np.full(K, 0.5), len(X)) + 1e-3
    params = rows.init(X, y, resp, np.random.RandomState(0))
    params = rows.maximize(params, batches.map_sum(rows.statistics, params))
    found, expected = (information(model, params, batches) for model in (own, rows))
    assert found.layout.is_compiled
    assert not expected.layout.is_compiled
    atol = 1e-12 * np.abs(expected.matrix).max()  # sums of some thousand terms
    assert_allclose(found.matrix, expected.matrix, rtol=1e-10, atol=atol)


def test_known_experts_and_next_to_no_weight_are_taken_for_what_they_are():
    model, params, batches = problem("softmax", "linear")
    model = MixtureModel(model.gate, model.expert, compiled=True)
    known = batches.with_facts(labels=np.full(N, -1))
    assert not information(model, params, known).layout.is_compiled
    X, y, _, _ = next(batches.blocks())
    weight = np.ones(N)
    found = []
    for tiny in (0.0, 1e-310):  # 1 / 1e-310 is infinite
        weight[0] = tiny
        found.append(information(model, params, ArrayBatches(X, y, weight.copy())).matrix)
    assert_allclose(*found, rtol=1e-12)


@pytest.mark.parametrize("expert", ["student_t", "two outputs full", "poisson"])
def test_other_families_have_no_compiled_sums(expert):
    model, params, batches = problem("softmax", expert)
    model = MixtureModel(model.gate, model.expert, compiled=True)
    assert not information(model, params, batches).layout.is_compiled
    tied = LinearExpert(covariance_type="tied")
    model, params, batches = problem("softmax", "linear")
    params["expert"]["covariance"] = params["expert"]["covariance"][:1]
    model = MixtureModel(model.gate, tied, compiled=True)
    assert not information(model, params, batches).layout.is_compiled
