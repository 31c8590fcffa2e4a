"""Standard errors against second differences of log-likelihoods that were written independently."""

import independent
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import (
    BinomialExpert,
    ExpertUnion,
    GammaExpert,
    LinearExpert,
    LogisticExpert,
    NegativeBinomialExpert,
    NoiseExpert,
    PoissonExpert,
    SoftmaxExpert,
    StudentTExpert,
)
from classic_moe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate
from classic_moe.inference import infer
from classic_moe.model.scores import Scores, scores

N = 300
FREE = dict(alpha=0.0, variance_prior=0.0)
SOFTMAX = SoftmaxGate(alpha=0.0)
TREE = TreeGate(SOFTMAX, structure=((0, 1), 2))
CASES = {
    "linear": ("gaussian", LinearExpert(**FREE), SOFTMAX, "softmax"),
    "constant gate": ("gaussian", LinearExpert(**FREE), ConstantGate(), "softmax"),
    "localised gate": (
        "gaussian",
        LinearExpert(**FREE),
        GaussianGate(variance_prior=0),
        "localised",
    ),
    "tree": ("gaussian", LinearExpert(**FREE), TREE, "tree"),
    "tree of counts": ("poisson", PoissonExpert(alpha=0), TREE, "tree"),
    "two outputs": ("two_outputs", LinearExpert(**FREE), SOFTMAX, "softmax"),
    "student_t": ("student_t", StudentTExpert(**FREE), SOFTMAX, "softmax"),
    "poisson": ("poisson", PoissonExpert(alpha=0), SOFTMAX, "softmax"),
    "gamma": ("gamma", GammaExpert(**FREE), SOFTMAX, "softmax"),
    "negative binomial": (
        "negative_binomial",
        NegativeBinomialExpert(alpha=0),
        ConstantGate(),
        "softmax",
    ),
    "binomial": ("binomial", BinomialExpert(alpha=0), SOFTMAX, "softmax"),
    "logistic": ("logistic", LogisticExpert(alpha=0), SOFTMAX, "softmax"),
    "three classes": ("three_classes", SoftmaxExpert(alpha=0), ConstantGate(), "softmax"),
}
DRAWS = {
    "gaussian": lambda eta, rng: eta + 0.5 * rng.standard_normal(len(eta)),
    "two_outputs": lambda eta, rng: (
        np.column_stack([eta, -eta])
        + rng.multivariate_normal([0, 0], [[0.3, 0.2], [0.2, 0.5]], len(eta))
    ),
    "student_t": lambda eta, rng: eta + 0.4 * rng.standard_t(4, len(eta)),
    "poisson": lambda eta, rng: rng.poisson(np.exp(1.5 + 0.5 * eta)),
    "gamma": lambda eta, rng: rng.gamma(4, np.exp(0.5 * eta) / 4),
    "negative_binomial": lambda eta, rng: rng.poisson(rng.gamma(3, np.exp(2 + 0.8 * eta) / 3)),
    "binomial": lambda eta, rng: (lambda s: np.column_stack([s, 20 - s]))(
        rng.binomial(20, 1 / (1 + np.exp(-eta)))
    ),
    "logistic": lambda eta, rng: (rng.random(len(eta)) < 1 / (1 + np.exp(-3 * eta))).astype(int),
    "three_classes": lambda eta, rng: np.argmax(
        np.outer(eta, [3, -3, 0]) + rng.gumbel(size=(len(eta), 3)), axis=1
    ),
}


def draw(family, K, seed=0, n=N):
    """Rows of two columns, in regions with slopes of their own, and the regions."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2)) * [1.0, 3.0] + [0.0, 5.0]
    z = np.digitize(X[:, 0] + 0.7 * rng.logistic(size=n), np.linspace(-0.7, 0.7, K - 1))
    slopes, level = np.array([1.0, -1.5, 0.5])[z], np.array([-1.0, 1.5, 0.3])[z]
    return X, DRAWS[family](level + slopes * X[:, 0] + 0.1 * (X[:, 1] - 5), rng), z


def fitted(family, expert, gate, X, y, z, fit=None, **options):
    """A fit to the end from the regions in which the rows were drawn."""
    classes = family in ("logistic", "three_classes")
    kind = MixtureOfExpertsClassifier if classes else MixtureOfExpertsRegressor
    K = gate.n_experts or z.max() + 1
    start = np.eye(K)[z] + 0.02
    options = dict(gate=gate, expert=expert, tol=1e-13, max_iter=3000, init_params=start) | options
    return kind(K, **options).fit(X, y, **(fit or {}))


def same(found, value):
    """Whether standard errors and covariances are those of second differences."""
    numbers = (found.names, found.estimates, found.standard_errors)
    expected = independent.covariance(value, *numbers)
    errors = np.sqrt(np.diagonal(expected))
    # differences are right to about 1e-6 of a standard error
    assert_allclose(found.standard_errors, errors, rtol=1e-5)
    assert_allclose(found.covariance / np.outer(errors, errors), _correlation(expected), atol=1e-5)


def _correlation(covariance):
    errors = np.sqrt(np.diagonal(covariance))
    return covariance / np.outer(errors, errors)


@pytest.mark.parametrize("name", CASES)
def test_standard_errors_are_those_of_an_independent_likelihood(name):
    family, expert, gate, own = CASES[name]
    X, y, z = draw(family, gate.n_experts or 2)
    known = {}
    if family in ("logistic", "three_classes"):  # where the rows say little of who made them
        known = {"expert_labels": np.where(np.arange(N) % 2, z, -1)}
    model = fitted(family, expert, gate, X, y, z, known)
    found = infer(model, X, y, **known)
    assert not found.reasons and not found.penalised
    experts = [getattr(independent, family)] * model.n_experts_
    labels = known.get("expert_labels")
    same(found, independent.log_likelihood(getattr(independent, own), experts, X, y, labels=labels))


def test_groups_and_weights_count_as_in_the_fit():
    X, y, z = draw("gaussian", 2)
    groups = np.repeat(np.arange(N // 3), 3)
    X, z = X[3 * groups], z[3 * groups]  # the gate's columns, and the expert, are the group's
    y = DRAWS["gaussian"](
        np.where(z == 0, X[:, 0] - 1, 1.5 - 1.5 * X[:, 0]), np.random.default_rng(1)
    )
    weight = np.random.default_rng(2).integers(0, 3, N)
    told = {"groups": groups, "sample_weight": weight}
    model = fitted("gaussian", LinearExpert(**FREE), SOFTMAX, X, y, z, told)
    found = infer(model, X, y, **told)
    kept = weight > 0
    experts = [independent.gaussian] * 2
    same(
        found,
        independent.log_likelihood(
            independent.softmax, experts, X[kept], y[kept], weight[kept], groups[kept]
        ),
    )


def test_penalties_count_as_information():
    X, y, z = draw("gaussian", 2)
    expert, gate = LinearExpert(alpha=5.0, variance_prior=2.0), SoftmaxGate(alpha=3.0)
    model = fitted("gaussian", expert, gate, X, y, z)
    found = infer(model, X, y)
    plain = independent.log_likelihood(independent.softmax, [independent.gaussian] * 2, X, y)
    unit, own = X.std(axis=0), y.std()

    def penalised(p):
        value = plain(p)
        for k in (0, 1):
            slopes = np.array([p[f"expert {k}: x{j}"] for j in (0, 1)]) * unit / own
            variance = (p[f"expert {k}: scale"] / own) ** 2
            value -= 2.5 * slopes @ slopes + 1.0 * (np.log(variance) + 1 / variance)
        slopes = np.array([p[f"gate 0: x{j}"] for j in (0, 1)]) * unit
        return value - 1.5 * 2 * (slopes / 2) @ (slopes / 2)  # symmetric over the two experts

    same(found, penalised)
    assert found.penalised and "penalties" in str(found)
    assert 5 < found.effective_parameters < len(found.names)


def scores_by_differences(value_of_row, names, estimates, errors, n, h=1e-3):
    """The derivative of every row's log-likelihood in the parameters, (n, P)."""
    found = np.empty((n, len(names)))
    for j, error in enumerate(errors):
        up, down = ({**dict(zip(names, estimates, strict=True))} for _ in range(2))
        up[names[j]] += h * error
        down[names[j]] -= h * error
        found[:, j] = (value_of_row(up) - value_of_row(down)) / (2 * h * error)
    return found


def rows_of_a_mixture(X, y):
    def value(p):
        log_gate = independent.softmax(p, X, 2)
        log_density = np.stack([independent.gaussian(p, k, X, y) for k in (0, 1)], axis=1)
        return independent.logsumexp(log_gate + log_density)

    return value


@pytest.fixture
def plain_scores(monkeypatch):
    """Scores at the fit in place of those at the fit without a unit: White's plain sandwich."""

    def scores_of(model, params, batches, layout, root, alone, clusters):
        found = list(scores(model, params, batches, layout))
        if clusters is None:
            return found
        sums = np.zeros((clusters.max() + 1, len(root)))
        np.add.at(sums, clusters, np.concatenate([s.weight * s.each for s in found], axis=1).T)
        return [Scores(sums.T, np.ones(len(sums)), sum(s.rows for s in found))]

    monkeypatch.setattr("classic_moe.estimators._uncertainty.scores_left_out", scores_of)


@pytest.mark.parametrize("kind", ["opg", "sandwich", "cluster", "shares of a population"])
def test_covariances_of_scores(kind, plain_scores):
    X, y, z = draw("gaussian", 2)
    rng = np.random.default_rng(5)
    weight = rng.integers(1, 4, N) if kind != "shares of a population" else rng.uniform(0.2, 3, N)
    clusters = rng.permutation(np.arange(N) // 4) if kind == "cluster" else None
    shares = kind == "shares of a population"
    options = dict(normalize_weights=True) if shares else {}
    told = {"sample_weight": weight}
    model = fitted("gaussian", LinearExpert(**FREE), SOFTMAX, X, y, z, told, **options)
    plain = dict(told, sample_weight=weight / weight.mean()) if shares else told
    same_fit = fitted("gaussian", LinearExpert(**FREE), SOFTMAX, X, y, z, plain)
    bread = infer(same_fit, X, y, **plain)
    kind = "observed" if shares else kind  # of shares the default is the sandwich
    found = infer(model, X, y, **told, groups=clusters, covariance=kind)
    numbers = (found.names, found.estimates, bread.standard_errors)
    S = scores_by_differences(rows_of_a_mixture(X, y), *numbers, N)
    weight = weight / weight.mean() if shares else weight
    meat = S.T @ (weight[:, None] * S)
    if shares:
        meat = (weight[:, None] * S).T @ (weight[:, None] * S)
    if clusters is not None:
        sums = np.zeros((clusters.max() + 1, S.shape[1]))
        np.add.at(sums, clusters, weight[:, None] * S)
        meat = sums.T @ sums
    V = np.linalg.inv(meat) if kind == "opg" else bread.covariance @ meat @ bread.covariance
    # differences of order 2 in steps of a thousandth of a standard error
    assert_allclose(found.standard_errors, np.sqrt(np.diagonal(V)), rtol=1e-5)


@pytest.mark.parametrize("kind", ["rows", "frequencies", "shares", "clusters"])
def test_robust_errors_of_one_logistic_model_are_hc3_and_cr3(kind):
    rng = np.random.default_rng(6)
    X = rng.standard_normal((40, 2))
    t = (rng.random(40) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
    weight = np.ones(40)
    if kind != "rows":
        weight = rng.integers(1, 4, 40) + 0.0
    options = dict(normalize_weights=True) if kind == "shares" else {}
    model = MixtureOfExpertsClassifier(1, expert=LogisticExpert(alpha=0), tol=1e-18, **options)
    model.fit(X, t, sample_weight=weight)
    weight = weight / weight.mean() if kind == "shares" else weight
    clusters = rng.permutation(np.arange(40) // 4) if kind == "clusters" else None
    robust = "cluster" if kind == "clusters" else "sandwich"
    found = infer(model, X, t, sample_weight=weight, groups=clusters, covariance=robust)
    Z = np.column_stack([np.ones(40), X])
    p = 1 / (1 + np.exp(-Z @ found.estimates))
    V = np.linalg.inv((Z.T * (weight * p * (1 - p))) @ Z)
    units, counts = np.arange(40) if clusters is None else clusters, np.ones(40)
    left_out = np.ones(40) if kind == "frequencies" else weight
    if kind == "frequencies":
        counts = weight
    meat = np.zeros((3, 3))
    for unit in np.unique(units):
        own = units == unit
        H = Z[own] @ V @ (Z[own].T * (left_out * p * (1 - p))[own])
        slope = np.linalg.solve(np.eye(own.sum()) - H.T, (left_out * (t - p))[own])
        t_own = Z[own].T @ slope
        meat += counts[own][0] * np.outer(t_own, t_own)
    assert_allclose(found.covariance, V @ meat @ V, rtol=1e-6)  # fits end at 1e-7


def test_robust_errors_are_the_jackknife_of_refits():
    X, y, z = draw("gaussian", 2, n=120)
    model = fitted("gaussian", LinearExpert(**FREE), SOFTMAX, X, y, z)
    found = infer(model, X, y, covariance="sandwich")
    moved = []
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        rows = X[kept], y[kept], z[kept]
        again = fitted("gaussian", LinearExpert(**FREE), SOFTMAX, *rows, init_params=model)
        moved.append(infer(again, X[kept], y[kept]).estimates - found.estimates)
    errors = np.sqrt(np.sum(np.square(moved), axis=0))
    # one Newton step is not all of the way, least of all for scales, which few rows decide
    assert_allclose(found.standard_errors, errors, rtol=0.15)
    plain = infer(model, X, y).standard_errors
    assert np.abs(plain / errors - 1).max() > 0.1


def test_experts_of_a_list_and_tied_ones_have_their_own_errors():
    X, y, z = draw("gaussian", 2)
    y[::30] = np.random.default_rng(0).uniform(-8, 8, len(y[::30]))
    z[::30] = 2
    expert = ExpertUnion([LinearExpert(**FREE), LinearExpert(**FREE), NoiseExpert()])
    model = fitted("gaussian", expert, ConstantGate(), X, y, z)
    found = infer(model, X, y)
    width = 2 * np.sqrt(3) * model.experts_[2].scale_

    def noise(p, k, X, y):
        return np.full(len(y), -np.log(width))

    densities = [independent.gaussian, independent.gaussian, noise]
    same(found, independent.log_likelihood(independent.softmax, densities, X, y))
    assert not any(name.startswith("expert 2") for name in found.names)

    tied = LinearExpert(**FREE, covariance_type="tied")
    X, y, z = draw("gaussian", 2)
    found = infer(fitted("gaussian", tied, SOFTMAX, X, y, z), X, y)
    errors = dict(zip(found.names, found.standard_errors, strict=True))
    assert errors["expert 0: scale"] == errors["expert 1: scale"]
    with pytest.raises(ValueError, match="not independent, or do not depend"):
        found.wald({"expert 0: scale": 1, "expert 1: scale": -1})


def test_units_and_storage_change_nothing():
    X, y, z = draw("gaussian", 2)
    expert = LinearExpert(**FREE)
    found = infer(fitted("gaussian", expert, SOFTMAX, X, y, z), X, y)
    for rows, options in (
        (csr_array(X), {}),
        (X, {"standardize": False}),
        (np.asfortranarray(X), {"n_jobs": 2}),
    ):
        other = infer(fitted("gaussian", expert, SOFTMAX, rows, y, z, **options), rows, y)
        assert_allclose(other.standard_errors, found.standard_errors, rtol=1e-6)
    single = X.astype(np.float32)
    other = infer(fitted("gaussian", expert, SOFTMAX, single, y, z), single, y)
    assert_allclose(other.standard_errors, found.standard_errors, rtol=1e-4)
    far = infer(
        fitted("gaussian", expert, SOFTMAX, 1e3 * X + 1e6, y * 1e4, z), 1e3 * X + 1e6, y * 1e4
    )
    slope = found.names.index("expert 0: x0")
    assert_allclose(far.standard_errors[slope], 10 * found.standard_errors[slope], rtol=1e-6)
    assert_allclose(far.z[slope], found.z[slope], rtol=1e-6)


@pytest.mark.parametrize("structure, free", [("full", 3), ("diag", 2), ("spherical", 2)])
def test_zeros_of_a_structure_are_no_parameters(structure, free):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 2))
    y = X @ rng.standard_normal((2, 2)) + 0.3 * rng.standard_normal((200, 2))
    expert = LinearExpert(alpha=0, variance_prior=0, covariance_type=structure)
    model = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    found = infer(model, X, y)
    of_spread = [name for name in found.names if "scale" in name or "covariance" in name]
    assert len(of_spread) == free  # spherical: two scales, in their own units, of one number
    assert (found.standard_errors > 0).all()
    assert "standard error" in str(model.summary(X, y))


def test_penalties_that_were_found_count_as_numbers_do():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 3))
    y = np.where(X[:, 0] < 0, 1 + X[:, 1], -X[:, 1]) + 0.4 * rng.standard_normal(150)
    gate = SoftmaxGate("auto")
    auto = MixtureOfExpertsRegressor(2, gate=gate, random_state=0).fit(X, y)
    number = SoftmaxGate(auto.penalties_["gate__alpha"])
    same = MixtureOfExpertsRegressor(2, gate=number, init_params=auto).fit(X, y)
    ours, theirs = infer(auto, X, y), infer(same, X, y)
    assert ours.penalised
    assert_allclose(ours.standard_errors, theirs.standard_errors, rtol=1e-4)  # tol of two climbs


def test_weights_of_classes_are_no_frequencies():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 1))
    Z = np.column_stack([np.ones(300), X])
    t = rng.random(300) < 1 / (1 + np.exp(-X[:, 0] - 2))
    w, c = rng.integers(1, 3, 300), np.where(t, 1.0, 9.0)
    expert = SoftmaxExpert(alpha=0)
    model = MixtureOfExpertsClassifier(1, expert=expert, class_weight={False: 9.0, True: 1.0})
    model.fit(X, t, sample_weight=w)
    with pytest.raises(ValueError, match="weights of classes are no frequencies"):
        infer(model, X, t, sample_weight=w)
    found = infer(model, X, t, sample_weight=w, covariance="sandwich")
    p = 1 / (1 + np.exp(-Z @ found.estimates))
    bread = np.linalg.inv((Z.T * (w * c * p * (1 - p))) @ Z)
    leverage = c * p * (1 - p) * np.sum(Z @ bread * Z, axis=1)  # of one row of w
    meat = (Z.T * (w * c**2 * ((t - p) / (1 - leverage)) ** 2)) @ Z
    assert_allclose(found.covariance, bread @ meat @ bread, rtol=1e-6)  # fits end at 1e-7
    told = model.summary(X, t, sample_weight=w)
    assert "sandwich" in str(told)
