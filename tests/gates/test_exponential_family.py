"""The exponential-family gate: columns of different kinds, fitted by matching moments."""

import functools
import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm, poisson

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.exceptions import ExpertCollapseWarning, SeparationWarning
from classic_moe.gates import ExponentialFamilyGate, GaussianGate
from classic_moe.parts.coordinates import Coordinates
from classic_moe.parts.params import all_finite, ravel, unravel
from classic_moe.testing import check_gate

MIXED = ["poisson", "gaussian", "categorical", "bernoulli", "gaussian"]


def log_marginal(gate, params, X):
    """log p(x), (n,)."""
    return logsumexp(gate.log_joint(params, X), axis=1)


def identity(p):
    return Units(Scaling.identity(p), Scaling.identity(1))


def problem(n=80, K=3, seed=0):
    """Columns as `MIXED` says, and soft targets."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, K, n)
    columns = [
        rng.poisson(1 + 3 * z),
        rng.normal(z, 0.5),
        rng.integers(0, 4, n),
        rng.random(n) < 0.2 + 0.3 * z,
        rng.normal(-z, 2.0),
    ]
    resp = rng.dirichlet(np.ones(K), size=n) * rng.uniform(0.5, 2.0, (n, 1))
    return np.column_stack(columns).astype(float), resp + np.eye(K)[z]


def fitted(gate, X, resp):
    return gate.init(X, resp, np.random.RandomState(0))


def direct(view, X, families, without=None):
    """log a_k Π p_k(x_j) by scipy, from what the user sees; a column may be left out."""
    joint = np.tile(np.log(view.weights_), (len(X), 1))
    for j, family in enumerate(families):
        if j == without:
            continue
        mean, variance, x = view.means_[:, j], view.variances_[:, j], X[:, [j]]
        if family == "gaussian":
            joint += norm(mean, np.sqrt(variance)).logpdf(x)
        elif family == "poisson":
            joint += poisson(mean).logpmf(x)
        else:
            joint += np.log(view.probabilities_[j].T[X[:, j].astype(int)])
    return joint


@pytest.mark.parametrize("prior", [0.0, 0.3])
@pytest.mark.parametrize(
    "families",
    [
        "gaussian",
        "bernoulli",
        "categorical",
        "poisson",
        ["poisson", "gaussian"],
        ["categorical", "poisson"],
    ],
    ids=str,
)
def test_every_family_keeps_the_promises_of_a_gate(families, prior):
    check_gate(ExponentialFamilyGate(families, prior))


def test_rows_are_the_derivatives_in_the_predictors_of_all_columns():
    """By central differences in the free coordinates; some values say nothing."""
    gate, (X, resp), step = ExponentialFamilyGate(MIXED), problem(), 1e-5
    params = fitted(gate, X, resp)
    X = X[:9].copy()
    X[:3, [0, 2, 3]] = [[-1, 2, 1], [2, 9, 0.5], [0.5, -1, 7]]
    coordinates = Coordinates(gate.coordinates(params), params)
    vector, numbers = coordinates.free(params), np.arange(len(coordinates.free(params)))
    numbers = unravel(numbers, coordinates.like)
    terms, predictors = gate.rows(params, X), gate.predictors(params)
    np.testing.assert_array_equal(terms.log_prob, gate.log_joint(params, X))
    seen = set()
    for i, predictor in enumerate(predictors):
        assert predictor.design == "1"
        leaf = functools.reduce(dict.__getitem__, predictor.leaf.split("/"), numbers)
        for k in range(3):
            own = leaf if predictor.shared else leaf[k]
            places = [own[entry] for entry in predictor.entries]
            seen.update(places)
            way = np.zeros(len(vector))
            way[places] = step
            up, down = (gate.rows(coordinates.params(vector + w), X) for w in (way, -way))
            # the error of central differences is about step², that of rounding 1e-15 / step
            found = (up.log_prob - down.log_prob)[:, k] / (2 * step)
            np.testing.assert_allclose(terms.slope[:, k, i], found, rtol=1e-6, atol=1e-8)
            found = (down.slope - up.slope)[:, k] / (2 * step)
            np.testing.assert_allclose(terms.curvature[:, k, :, i], found, rtol=1e-6, atol=1e-8)
    assert seen == set(range(len(vector)))  # every free number is in some predictor


# -- the model ---------------------------------------------------------------------------------


def test_columns_multiply_with_the_density_of_their_family():
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED)
    params = fitted(gate, X, resp)
    joint = direct(gate.view(params, identity(5)), X, MIXED)
    marginal = np.logaddexp.reduce(joint, axis=1)
    # sums of five logarithms in another order
    np.testing.assert_allclose(log_marginal(gate, params, X), marginal, rtol=1e-12)
    log_prob = gate.log_prob(params, X)
    np.testing.assert_allclose(log_prob, joint - marginal[:, None], rtol=1e-11, atol=1e-13)


def test_masses_of_discrete_columns_sum_to_one():
    X, resp = problem()
    gate = ExponentialFamilyGate(["poisson", "categorical", "bernoulli"])
    params = fitted(gate, X[:, [0, 2, 3]], resp)
    everything = np.stack(np.meshgrid(np.arange(200), np.arange(4), [0, 1]), axis=-1)
    mass = np.exp(log_marginal(gate, params, everything.reshape(-1, 3).astype(float))).sum()
    assert mass == pytest.approx(1, rel=1e-12)  # rates up to 7: nothing is left beyond 200


def test_gaussian_columns_alone_are_a_gaussian_gate_with_diagonal_covariances():
    X, resp = problem()
    X = np.column_stack([X[:, [1, 4]], np.zeros(len(X))])  # constant: no density in either
    one, other = ExponentialFamilyGate(prior=0.3), GaussianGate("diag", variance_prior=0.3)
    params, peer = fitted(one, X, resp), fitted(other, X, resp)
    np.testing.assert_array_equal(one.log_prob(params, X), other.log_prob(peer, X))
    np.testing.assert_array_equal(log_marginal(one, params, X), log_marginal(other, peer, X))
    assert one.log_prior(params) == other.log_prior(peer)
    assert one.n_parameters(params) == other.n_parameters(peer) == 2 + 3 * 4


@pytest.mark.parametrize(
    "column, values",
    [(0, [-1, 0.5, 1e200]), (2, [4, -1, 1.5, 1e200]), (3, [2, -1, 0.5])],
    ids=["count", "code", "zero or one"],
)
def test_a_value_that_the_fit_did_not_know_says_nothing(column, values):
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED)
    params = fitted(gate, X, resp)
    rows = np.repeat(X[:1], len(values), axis=0)
    rows[:, column] = values
    joint = direct(gate.view(params, identity(5)), X[:1], MIXED, without=column)
    expected = np.tile(np.logaddexp.reduce(joint, axis=1), len(values))
    np.testing.assert_allclose(log_marginal(gate, params, rows), expected, rtol=1e-12)
    ones = np.ones((len(rows), 3))
    stats = ravel(gate.statistics(params, rows, ones)["poisson"])
    assert np.isfinite(stats).all() and (column != 0 or not stats.any())


def test_rows_far_from_all_data_are_still_routed():
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED)
    params = fitted(gate, X, resp)
    far = np.tile(X[:1], (3, 1))
    far[0, 1], far[1, 1], far[2, 0] = 1e140, -1e140, 1e29
    proba = np.exp(gate.log_prob(params, far))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)


# -- fitting -----------------------------------------------------------------------------------


def test_the_m_step_matches_moments():
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED, prior=0)
    view = gate.view(fitted(gate, X, resp), identity(5))
    share = resp / resp.sum(axis=0)
    np.testing.assert_allclose(view.weights_, resp.sum(axis=0) / resp.sum(), rtol=1e-12)
    means = share.T @ X
    np.testing.assert_allclose(view.means_, means, rtol=1e-11, atol=1e-13)
    spread = np.einsum("tk,tkj->kj", share, (X[:, None] - means) ** 2)
    spread[:, 0] = means[:, 0]  # that of a Poisson distribution is its mean
    np.testing.assert_allclose(view.variances_, spread, rtol=1e-11)
    for j, L in ((2, 4), (3, 2)):
        expected = share.T @ np.eye(L)[X[:, j].astype(int)]
        np.testing.assert_allclose(view.probabilities_[j], expected, rtol=1e-11)


def test_the_prior_is_pseudo_rows_and_the_m_step_its_maximum():
    X, resp = problem()
    gate, nu = ExponentialFamilyGate(MIXED, prior=4.0), 4.0
    params = fitted(gate, X, resp)
    stats = gate.statistics(params, X, resp)
    scale = np.abs(ravel(stats)).max()
    np.testing.assert_allclose(ravel(gate.gradient(params, stats)), 0.0, atol=1e-13 * scale)
    view, n = gate.view(params, identity(5)), resp.sum(axis=0)
    expected = (resp.T @ X[:, 0] + nu) / (n + nu)
    np.testing.assert_allclose(view.means_[:, 0], expected, rtol=1e-12)
    expected = (resp.T @ np.eye(4)[X[:, 2].astype(int)] + nu / 4) / (n[:, None] + nu)
    np.testing.assert_allclose(view.probabilities_[2], expected, rtol=1e-12)
    expected = (resp.T @ X[:, 3] + nu / 2) / (n + nu)
    np.testing.assert_allclose(view.means_[:, 3], expected, rtol=1e-12)
    mean = resp.T @ X[:, 1] / n
    scatter = np.sum(resp * (X[:, [1]] - mean) ** 2, axis=0)
    np.testing.assert_allclose(view.variances_[:, 1], (scatter + nu) / (n + nu), rtol=1e-11)


def test_all_parameters_of_the_density_count():
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED)
    # 2 proportions; an expert has 1 rate, 3 free probabilities, 1 probability, 2 · 2 moments
    assert gate.n_parameters(fitted(gate, X, resp)) == 2 + 3 * (1 + 3 + 1 + 4)


def test_an_expert_without_rows_keeps_what_it_has():
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED, prior=0)
    params = fitted(gate, X, resp)
    following = gate.maximize(params, gate.statistics(params, X, resp * [0, 1, 1]))
    for name in ("gaussian", "poisson", "categorical", "bernoulli"):
        for leaf, kept in params[name].items():
            np.testing.assert_array_equal(following[name][leaf][0], kept[0])


def test_without_penalty_impossible_values_stay_finite_and_are_named():
    X, resp = problem()
    hard = np.eye(3)[resp.argmax(axis=1)]
    X[:, 0] *= hard[:, 0]  # experts 1 and 2 never count
    X[:, 2] = np.where(hard[:, 1] > 0, 0, np.arange(len(X)) % 4)
    gate = ExponentialFamilyGate(MIXED, prior=0)
    params = fitted(gate, X, hard)
    assert all_finite(params)
    stats = gate.statistics(params, X, hard)
    assert np.isfinite(log_marginal(gate, params, X)).all()
    findings = gate.diagnose(params, stats)
    assert {f.category for f in findings} == {SeparationWarning}
    text = " ".join(f.message for f in findings)
    assert "value 1 of column 2 probability 0 under expert 1" in text
    assert "value above 0 of column 0 probability 0 under expert 2" in text
    for penalised in (ExponentialFamilyGate(MIXED), ExponentialFamilyGate(MIXED, prior=1e-6)):
        params = fitted(penalised, X, hard)
        assert not penalised.diagnose(params, penalised.statistics(params, X, hard))


def test_a_gaussian_column_without_spread_is_named():
    X, resp = problem()
    hard = np.eye(3)[resp.argmax(axis=1)]
    X[:, 4] = np.where(hard[:, 2] > 0, 3.0, X[:, 4])
    gate = ExponentialFamilyGate(MIXED, prior=0)
    params = fitted(gate, X, hard)
    findings = gate.diagnose(params, gate.statistics(params, X, hard))
    (finding,) = [f for f in findings if f.category is ExpertCollapseWarning]
    assert finding.severe
    assert "of expert 2 sits at the variance bound" in finding.message


@pytest.mark.parametrize(
    "column, value, message",
    [
        (0, -2.0, r"the gate's column 0 is poisson and takes counts 0, 1, 2, ...; got -2.0"),
        (0, 1.5, "takes counts 0, 1, 2, ...; got 1.5"),
        (2, 2.5, r"the gate's column 2 is categorical and takes codes 0, 1, 2"),
        (2, 5000.0, r"\(no more levels than rows\); got 5000.0"),
        (3, 0.5, "the gate's column 3 is bernoulli and takes codes 0 ... 1; got 0.5"),
    ],
)
def test_values_outside_a_family_are_refused_with_their_column(column, value, message):
    X, resp = problem()
    X[7, column] = value
    with pytest.raises(ValueError, match=message):
        fitted(ExponentialFamilyGate(MIXED), X, resp)


# -- the caller's side -------------------------------------------------------------------------


def test_counts_and_codes_are_wanted_raw():
    raw = ExponentialFamilyGate(MIXED).inputs.raw_columns(5)
    np.testing.assert_array_equal(raw, [True, False, True, True, False])
    assert ExponentialFamilyGate("poisson").inputs.raw_columns(2).all()
    assert not ExponentialFamilyGate().inputs.raw_columns(3).any()


def test_what_the_view_shows_starts_a_fit():
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED)
    params = fitted(gate, X, resp)
    values = gate.to_caller(params, identity(5))
    back = gate.from_caller(values, identity(5), 3)
    np.testing.assert_allclose(ravel(back), ravel(params), rtol=1e-12, atol=1e-12)
    counts = ExponentialFamilyGate("poisson")
    start = {"weights": [1, 1], "means": [[2.0], [3.0]]}
    rates = counts.from_caller(start, identity(1), 2)["poisson"]["log_rate"]
    np.testing.assert_allclose(rates, np.log(start["means"]))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"weights": -np.ones(3)}, "weights of the gate must be positive"),
        ({"means": -np.ones((3, 5))}, "means of counts must not be negative"),
        ({"variances": np.zeros((3, 5))}, "must be positive definite"),
        ({"probabilities": {2: np.ones((3, 4))}}, "every column of codes, 3 too; got {2: array"),
        ({"probabilities": {2: -np.ones((3, 4)), 3: np.ones((3, 2))}}, "must be at least 0"),
        ({"rates": 1}, "takes weights, probabilities, means, variances; got"),
    ],
)
def test_wrong_starting_values_are_named(change, message):
    X, resp = problem()
    gate = ExponentialFamilyGate(MIXED)
    values = gate.to_caller(fitted(gate, X, resp), identity(5)) | change
    with pytest.raises(ValueError, match=message):
        gate.from_caller(values, identity(5), 3)


@pytest.mark.parametrize(
    "gate, message",
    [
        (ExponentialFamilyGate("gamma"), "families='gamma' of ExponentialFamilyGate: use one of"),
        (ExponentialFamilyGate(["poisson", 1]), "or a list with one of them a column"),
        (ExponentialFamilyGate(None), "families=None of ExponentialFamilyGate"),
        (ExponentialFamilyGate(prior=-1), "prior=-1 of ExponentialFamilyGate: needs a finite"),
        (ExponentialFamilyGate(prior="weak"), "prior='weak' of ExponentialFamilyGate"),
    ],
    ids=repr,
)
def test_wrong_hyper_parameters_are_named(gate, message):
    with pytest.raises(ValueError, match=message):
        gate.check_parameters()
    ExponentialFamilyGate(MIXED).check_parameters()


def test_a_list_must_have_an_entry_for_every_column():
    with pytest.raises(ValueError, match="has 5 entries; the gate sees 2 columns"):
        ExponentialFamilyGate(MIXED).inputs.raw_columns(2)


# -- in the estimator --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster_weighted():
    X, _ = problem(n=300, K=2, seed=3)
    rng = np.random.default_rng(3)
    X[:, 1], X[:, 4] = 1e3 + 20 * X[:, 1], 1e-3 * X[:, 4]
    y = np.where(X[:, 0] > 2, 5.0 + X[:, 0], -3.0 * X[:, 0]) + 0.3 * rng.standard_normal(300)
    gate = ExponentialFamilyGate(MIXED)
    return MixtureOfExpertsRegressor(2, gate=gate, n_init=2, random_state=0).fit(X, y), X, y


def test_both_likelihoods_are_those_in_the_callers_units(cluster_weighted):
    model, X, y = cluster_weighted
    joint_x = direct(model.gate_, X, MIXED)
    y_given_x = [norm(e.predict(X), e.scale_).logpdf(y) for e in model.experts_]
    joint = np.logaddexp.reduce(joint_x + np.column_stack(y_given_x), axis=1).sum()
    assert model.joint_log_likelihood_ == pytest.approx(joint, rel=1e-9)
    conditional = joint - np.logaddexp.reduce(joint_x, axis=1).sum()
    assert model.log_likelihood_ == pytest.approx(conditional, rel=1e-9)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(X, y).sum(), rel=1e-9)
    assert np.diff(model.lower_bounds_).min() >= -1e-10 * np.abs(model.lower_bounds_).max()
    # proportion; per expert rate, 3 + 1 probabilities, 4 moments; slopes, intercept, variance
    assert model.n_parameters_ == 1 + 2 * 9 + 2 * 7


def test_a_column_that_does_not_fit_is_refused_by_the_estimator(cluster_weighted):
    model, X, y = cluster_weighted
    with pytest.raises(ValueError, match=r"the gate's column 1 is poisson .* got 1"):
        model.__class__(2, gate=ExponentialFamilyGate("poisson"), gate_features=[0, 1]).fit(X, y)
    with pytest.raises(ValueError, match="has 5 entries; the gate sees 1 columns"):
        model.__class__(2, gate=model.gate, gate_features=[0]).fit(X, y)


@pytest.mark.parametrize("seed", range(5))
def test_em_never_lowers_the_joint_objective(seed):
    X, _ = problem(n=50, seed=seed)
    rng = np.random.default_rng(seed)
    y = np.where(X[:, 0] > 3, X[:, 1], -X[:, 4]) + 0.3 * rng.standard_normal(50)
    model = MixtureOfExpertsRegressor(
        3,
        gate=ExponentialFamilyGate(MIXED, prior=[0.0, 1e-2][seed % 2]),
        solver="em",
        n_init=2,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)
        warnings.simplefilter("ignore", SeparationWarning)  # rare codes, with prior=0
        model.fit(X, y, rng.integers(0, 3, 50))
    bounds = model.lower_bounds_
    assert len(bounds) > 2
    assert np.diff(bounds).min() >= -1e-10 * np.abs(bounds).max()  # rounding
