"""The Gaussian gate: a normal density of x for every expert, fitted in closed form."""

import warnings

import array_api_strict as strict
import numpy as np
import pytest
from row_derivatives import check_rows
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from classic_moe import MixtureOfExpertsRegressor
from classic_moe._kernels import array
from classic_moe.data.units import Scaling, Units
from classic_moe.datasets import load_motorcycle
from classic_moe.exceptions import ExpertCollapseWarning
from classic_moe.experts import LinearExpert
from classic_moe.gates import GaussianGate
from classic_moe.gates._normal import normal
from classic_moe.parts.params import all_finite, leaves, ravel
from classic_moe.testing import check_gate

TYPES = ["full", "diag", "spherical", "tied"]
UNITS = Units(Scaling.identity(2), Scaling.identity(1))


def log_marginal(gate, params, X):
    """log p(x), (n,)."""
    return logsumexp(gate.log_joint(params, X), axis=1)


def problem(n=60, p=2, K=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ rng.uniform(-1, 1, (p, p)) + rng.standard_normal(p)
    return X, rng.dirichlet(np.ones(K), size=n) * rng.uniform(0.5, 2.0, (n, 1))


def fitted(gate, X, resp):
    return gate.init(X, resp, np.random.RandomState(0))


def normals(view):
    means, covariances = view.means_, view.covariances_
    return [multivariate_normal(m, S) for m, S in zip(means, covariances, strict=True)]


def log_joint(view, X):
    """log a_k N(x; m_k, S_k) by scipy, from what the user sees."""
    densities = np.column_stack([density.logpdf(X) for density in normals(view)])
    return np.log(view.weights_) + densities


@pytest.mark.parametrize("variance_prior", [0.0, 0.3])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_every_covariance_type_keeps_the_promises_of_a_gate(covariance_type, variance_prior):
    check_gate(GaussianGate(covariance_type, variance_prior))


# -- the model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
def test_probabilities_and_density_are_those_of_normal_distributions(covariance_type):
    X, resp = problem()
    gate = GaussianGate(covariance_type)
    params = fitted(gate, X, resp)
    joint = log_joint(gate.view(params, UNITS), X)
    marginal = np.logaddexp.reduce(joint, axis=1)
    # two ways to factor a 2 x 2 matrix: a few roundings
    np.testing.assert_allclose(log_marginal(gate, params, X), marginal, rtol=1e-12, atol=1e-12)
    expected = joint - marginal[:, None]
    np.testing.assert_allclose(gate.log_prob(params, X), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_em_on_x_alone_is_that_of_a_gaussian_mixture(covariance_type):
    X, _ = problem(n=200, seed=1)
    start = np.eye(3)[np.digitize(X[:, 0], np.quantile(X[:, 0], [0.3, 0.6]))]
    gate = GaussianGate(covariance_type, variance_prior=0)
    params = fitted(gate, X, start)
    values = gate.to_caller(params, UNITS)
    precisions = np.linalg.inv(values["covariances"])
    peer = GaussianMixture(
        3,
        covariance_type=covariance_type,
        reg_covar=0,
        weights_init=values["weights"],
        means_init=values["means"],
        precisions_init={
            "full": precisions,
            "tied": precisions[0],
            "diag": np.diagonal(precisions, axis1=1, axis2=2),
            "spherical": precisions[:, 0, 0],
        }[covariance_type],
        tol=0,
        max_iter=10,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ten iterations are not convergence
        peer.fit(X)
    for _ in range(10):
        resp = np.exp(gate.log_prob(params, X))
        params = gate.maximize(params, gate.statistics(params, X, resp))
    # scikit-learn adds 10 eps to every count; ten iterations spread that a little
    got = gate.to_caller(params, UNITS)
    np.testing.assert_allclose(got["means"], peer.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got["weights"], peer.weights_, rtol=1e-9)
    np.testing.assert_allclose(log_marginal(gate, params, X), peer.score_samples(X), rtol=1e-9)
    proba = np.exp(gate.log_prob(params, X))
    np.testing.assert_allclose(proba, peer.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_rows_are_the_derivatives_of_the_joint_density(covariance_type, p):
    X, resp = problem(n=8, p=p)
    gate = GaussianGate(covariance_type)
    check_rows(gate, fitted(gate, X, resp), X, verb="log_joint")


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_rows_of_the_densities_are_the_derivatives_in_the_predictors(covariance_type, p):
    X, resp = problem(n=8, p=p)
    X = np.insert(X, 1, 0.0, axis=1)  # a constant column has no predictor
    density = normal(covariance_type, 0.1)
    params = density.init(X, resp)
    check_rows(density, params, X)
    count = sum(1 if each.shared else 3 for each in density.predictors(params))
    assert count == density.n_parameters(params)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_verbs_of_the_densities_run_where_the_rows_lie(covariance_type):
    X, resp = problem()
    X = np.insert(X, 1, 0.0, axis=1)
    density, device = normal(covariance_type, 0.1), strict.Device("device1")
    params = density.init(X, resp)
    there = [strict.asarray(a, device=device) for a in (X, resp)]
    calls = {
        "log_prob": lambda X, resp: {"log_prob": density.log_prob(params, X)},
        "statistics": lambda X, resp: density.statistics(params, X, resp),
        "rows": lambda X, resp: density.rows(params, X)._asdict(),
    }
    for verb, call in calls.items():
        expected = call(X, resp)
        for name, found in call(*there).items():
            assert found.device == device, (verb, name)
            # sums in another order
            np.testing.assert_allclose(array.to_host(found), expected[name], atol=1e-12, rtol=1e-12)


def test_equal_covariances_make_a_softmax_gate():
    X, resp = problem()
    gate = GaussianGate("tied")
    params = fitted(gate, X, resp)
    units = Units(Scaling.fit(1e3 + 20 * X, np.ones(len(X))), Scaling.identity(1))
    view = gate.view(params, units)
    caller = X * units.x.unit + units.x.origin
    scores = caller @ view.coef_.T + view.intercept_
    log_prob = gate.log_prob(params, X)
    # the intercepts are of size 1e3 here: 1e-16 · 1e3 · a few
    np.testing.assert_allclose(scores, log_prob - log_prob[:, [-1]], atol=1e-11)
    assert not hasattr(GaussianGate("full").view(fitted(GaussianGate(), X, resp), UNITS), "coef_")


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("size", [1e15, 1e140, -1e140])
def test_rows_far_from_all_data_are_still_routed(covariance_type, size):
    X, resp = problem()
    gate = GaussianGate(covariance_type)
    params = fitted(gate, X, resp)
    far = np.array([[size, 0.0], [size, size]])
    proba = np.exp(gate.log_prob(params, far))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(log_marginal(gate, params, far)).all()


# -- fitting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_m_step_is_weighted_moments(covariance_type):
    X, resp = problem()
    gate = GaussianGate(covariance_type, variance_prior=0)
    values = gate.to_caller(fitted(gate, X, resp), UNITS)
    n = resp.sum(axis=0)
    np.testing.assert_allclose(values["weights"], n / n.sum(), rtol=1e-12)
    means = [np.average(X, axis=0, weights=r) for r in resp.T]
    np.testing.assert_allclose(values["means"], means, rtol=1e-12)
    full = np.array([np.cov(X.T, aweights=r, ddof=0) for r in resp.T])
    expected = {
        "full": full,
        "diag": full * np.eye(2),
        "spherical": np.trace(full, axis1=1, axis2=2)[:, None, None] / 2 * np.eye(2),
        "tied": np.tile(np.average(full, axis=0, weights=n), (3, 1, 1)),
    }[covariance_type]
    # second moments about the origin lose a digit or two to the mean
    np.testing.assert_allclose(values["covariances"], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_prior_is_pseudo_rows_and_the_m_step_its_maximum(covariance_type):
    X, resp = problem()
    gate = GaussianGate(covariance_type, variance_prior=5.0)
    params = fitted(gate, X, resp)
    stats = gate.statistics(params, X, resp)
    gradient = ravel(gate.gradient(params, stats))
    scale = np.abs(ravel(stats)).max()
    np.testing.assert_allclose(gradient, 0.0, atol=1e-13 * scale)
    weak = fitted(GaussianGate(covariance_type, variance_prior=0), X, resp)
    n = resp.sum() if covariance_type == "tied" else resp.sum(axis=0)[:, None, None]
    free = GaussianGate(covariance_type).to_caller(weak, UNITS)["covariances"]
    expected = (n * free + 5.0 * np.eye(2)) / (n + 5.0)
    got = gate.to_caller(params, UNITS)["covariances"]
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


def test_the_prior_counts_a_shared_covariance_once():
    X, resp = problem()
    params = fitted(GaussianGate("tied", 2.0), X, resp)
    S = params["gaussian"]["covariance"][0]
    expected = -(np.linalg.slogdet(S)[1] + np.trace(np.linalg.inv(S)))
    assert GaussianGate("tied", 2.0).log_prior(params) == pytest.approx(expected, rel=1e-12)
    spherical = fitted(GaussianGate("spherical", 2.0), X, resp)
    expected = -sum(2 * (np.log(s) + 1 / s) for s in spherical["gaussian"]["covariance"][:, 0])
    got = GaussianGate("spherical", 2.0).log_prior(spherical)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("seed", range(5))
def test_em_never_lowers_the_joint_objective(covariance_type, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 3)).round(int(rng.integers(0, 3)))
    y = np.where(X[:, 0] > 0, X @ [1, 2, 3], -X[:, 1]) + 0.3 * rng.standard_normal(40)
    weight = rng.integers(0, 3, 40)
    model = MixtureOfExpertsRegressor(
        3, gate=GaussianGate(covariance_type), solver="em", n_init=2, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)  # rounded columns may collapse
        model.fit(X, y, weight)
    bounds = model.lower_bounds_
    assert len(bounds) > 2
    assert np.diff(bounds).min() >= -1e-10 * np.abs(bounds).max()  # rounding


def test_an_expert_without_rows_keeps_what_it_has():
    X, resp = problem()
    for covariance_type in TYPES:
        gate = GaussianGate(covariance_type, variance_prior=0)
        params = fitted(gate, X, resp)
        stats = gate.statistics(params, X, resp * [0, 1, 1])
        following = gate.maximize(params, stats)
        assert all_finite(following)
        np.testing.assert_array_equal(
            following["gaussian"]["mean"][0], params["gaussian"]["mean"][0]
        )
        if covariance_type != "tied":
            kept, held = (p["gaussian"]["covariance"][0] for p in (following, params))
            np.testing.assert_array_equal(kept, held)


@pytest.mark.parametrize(
    "covariance_type, expected", [("full", 17), ("diag", 14), ("spherical", 11), ("tied", 11)]
)
def test_all_parameters_of_the_density_count(covariance_type, expected):
    X, resp = problem()
    gate = GaussianGate(covariance_type)  # 2 proportions, 6 means, and the covariances
    assert gate.n_parameters(fitted(gate, X, resp)) == expected


# -- degenerate data ---------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_constant_column_has_no_density_and_is_left_out(covariance_type):
    X, resp = problem()
    with_constant = np.insert(X, 1, 0.0, axis=1)
    gate = GaussianGate(covariance_type)
    own, other = fitted(gate, X, resp), fitted(gate, with_constant, resp)
    assert gate.n_parameters(own) == gate.n_parameters(other)
    for verb in (gate.log_prob, gate.log_joint):
        # the columns lie otherwise in memory, so sums go in another order
        np.testing.assert_allclose(verb(other, with_constant), verb(own, X), rtol=1e-12)
    assert gate.log_prior(own) == pytest.approx(gate.log_prior(other), rel=1e-12)
    x = Scaling(np.array([0, 3, -1]), np.array([1.0, 0.5, 0.0]), np.array([2.0, 0.0, 1.0]))
    units = Units(x, Scaling.identity(1))
    view = gate.view(other, units)
    np.testing.assert_array_equal(view.means_[:, 1], 4.0)  # 0.5 · 2³, the constant itself
    assert not view.covariances_[:, 1].any() and not view.covariances_[:, :, 1].any()
    back = gate.from_caller(gate.to_caller(other, units), units, 3)
    np.testing.assert_allclose(ravel(back), ravel(other), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_nothing_but_constant_columns_is_no_density_at_all(covariance_type):
    _, resp = problem()
    gate = GaussianGate(covariance_type, variance_prior=0)
    params = fitted(gate, np.zeros((60, 2)), resp)
    assert not log_marginal(gate, params, np.zeros((60, 2))).round(12).any()
    assert gate.n_parameters(params) == 2
    stats = gate.statistics(params, np.zeros((60, 2)), resp)
    assert all_finite(gate.maximize(params, stats)) and not gate.diagnose(params, stats)


def test_without_columns_the_proportions_decide():
    _, resp = problem()
    gate, nothing = GaussianGate(), np.empty((60, 0))
    params = fitted(gate, nothing, resp)
    share = resp.sum(axis=0) / resp.sum()
    np.testing.assert_allclose(np.exp(gate.log_prob(params, nothing))[0], share, rtol=1e-12)
    np.testing.assert_allclose(log_marginal(gate, params, nothing), 0.0, atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied"])
def test_a_singular_covariance_is_held_at_a_floor_and_named(covariance_type):
    X, resp = problem()
    X[:, 1] = np.where(resp[:, 0] > 0, 0.0, X[:, 1])  # all rows on a line
    X[:, 1] += 1.0
    gate = GaussianGate(covariance_type, variance_prior=0)
    params = fitted(gate, X, resp)
    stats = gate.statistics(params, X, resp)
    assert np.isfinite(gate.log_prob(params, X)).all()
    findings = gate.diagnose(params, stats)
    assert len(findings) == (1 if covariance_type == "tied" else 3)
    assert all(f.severe and f.category is ExpertCollapseWarning for f in findings)
    assert "sits at the variance bound (sd 1e-06" in findings[0].message
    penalised = GaussianGate(covariance_type)
    params = fitted(penalised, X, resp)
    findings = penalised.diagnose(params, penalised.statistics(params, X, resp))
    assert findings and not any(f.severe for f in findings)
    assert "from the prior alone" in findings[0].message


def test_a_step_to_a_negative_variance_is_refused():
    X, resp = problem()
    for covariance_type in TYPES:
        gate = GaussianGate(covariance_type)
        params = fitted(gate, X, resp)
        params["gaussian"]["covariance"] = -params["gaussian"]["covariance"]
        with pytest.raises(np.linalg.LinAlgError):
            gate.log_prob(params, X)


# -- the caller's side -------------------------------------------------------------------------


def test_reordering_leaves_a_shared_covariance_alone():
    X, resp = problem()
    gate = GaussianGate("tied")
    params, order = fitted(gate, X, resp), [1, 2, 0]
    moved = gate.take(params, order)
    np.testing.assert_array_equal(moved["gaussian"]["mean"], params["gaussian"]["mean"][order])
    np.testing.assert_array_equal(moved["gaussian"]["covariance"], params["gaussian"]["covariance"])
    np.testing.assert_allclose(gate.log_prob(moved, X), gate.log_prob(params, X)[:, order])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"weights": [0.5, 0.5, 0.0]}, "weights of the gate must be positive"),
        ({"means": np.zeros((2, 2))}, r"means of the gate needs shape \(3, 2\), got \(2, 2\)"),
        ({"covariances": -np.ones((3, 2, 2))}, "must be positive definite"),
        ({"coef": 1}, "gate takes weights, means, covariances; got weights, means, .*, coef"),
    ],
)
def test_wrong_starting_values_are_named(change, message):
    values = {"weights": np.ones(3), "means": np.zeros((3, 2))}
    values["covariances"] = np.tile(np.eye(2), (3, 1, 1))
    with pytest.raises(ValueError, match=message):
        GaussianGate().from_caller(values | change, UNITS, 3)


def test_wrong_hyper_parameters_are_named():
    with pytest.raises(ValueError, match="covariance_type='round' of GaussianGate: use one of"):
        GaussianGate("round").check_parameters()
    with pytest.raises(ValueError, match="variance_prior=-1 of GaussianGate"):
        GaussianGate(variance_prior=-1).check_parameters()
    GaussianGate().check_parameters()


# -- in the estimator --------------------------------------------------------------------------


def three_experts(X, y):
    model = MixtureOfExpertsRegressor(3, gate="gaussian", n_init=2, tol=1e-12, random_state=0)
    return model.fit(X, y)


@pytest.fixture(scope="module")
def motorcycle():
    X, y = load_motorcycle(return_X_y=True)
    return three_experts(X, y), X, y


def direct(model, X, y):
    """log a_k N(x; m_k, S_k) N(y; ...) of a fit, by scipy, in the caller's units."""
    y_given_x = [norm(e.predict(X), e.scale_).logpdf(y) for e in model.experts_]
    return log_joint(model.gate_, X) + np.column_stack(y_given_x)


def test_both_likelihoods_are_those_in_the_callers_units(motorcycle):
    model, X, y = motorcycle
    joint = np.logaddexp.reduce(direct(model, X, y), axis=1).sum()
    assert model.joint_log_likelihood_ == pytest.approx(joint, rel=1e-9)
    marginal = np.logaddexp.reduce(log_joint(model.gate_, X), axis=1).sum()
    assert model.log_likelihood_ == pytest.approx(joint - marginal, rel=1e-9)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(X, y).sum(), rel=1e-9)
    assert model.n_parameters_ == 2 + 3 + 3 + 9


def test_the_fit_is_a_maximum_that_no_optimiser_improves():
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(
        2,
        expert=LinearExpert(alpha=0, variance_prior=0),
        gate=GaussianGate(variance_prior=0),
        n_init=2,
        tol=1e-14,
        random_state=0,
    ).fit(X, y)

    def negative(theta):
        log_odds, m, log_s, b, a, log_sd = np.split(theta, [1, 3, 5, 7, 9])
        log_weights = np.append(log_odds, 0) - np.logaddexp(log_odds, 0)
        joint = log_weights + norm(m, np.exp(log_s)).logpdf(X)
        joint = joint + norm(X * b + a, np.exp(log_sd)).logpdf(y[:, None])
        return -np.logaddexp.reduce(joint, axis=1).sum()

    gate, experts = model.gate_, model.experts_
    start = np.concatenate(
        [
            np.log(gate.weights_[:1] / gate.weights_[1]),
            gate.means_[:, 0],
            0.5 * np.log(gate.covariances_[:, 0, 0]),
            [e.coef_[0] for e in experts],
            [e.intercept_ for e in experts],
            [np.log(e.scale_) for e in experts],
        ]
    )
    assert -negative(start) == pytest.approx(model.joint_log_likelihood_, rel=1e-12)
    best = minimize(negative, start, method="BFGS")
    assert negative(start) - best.fun < 1e-8 * abs(best.fun)


def test_the_units_of_x_do_not_matter(motorcycle):
    model, X, y = motorcycle
    for scale, shift in ((1e-8, 0.0), (1e150, 0.0), (1e3, 1e7)):
        other = three_experts(scale * X + shift, y)
        # x at 1e7 keeps about nine digits of its spread
        assert other.log_likelihood_ == pytest.approx(model.log_likelihood_, rel=1e-7)
        joint = other.joint_log_likelihood_ + len(X) * np.log(scale)
        assert joint == pytest.approx(model.joint_log_likelihood_, rel=1e-7)


def test_a_constant_column_changes_neither_likelihood(motorcycle):
    model, X, y = motorcycle
    other = three_experts(np.column_stack([np.full(len(X), 7.0), X]), y)
    # where EM stops along a flat direction
    assert other.joint_log_likelihood_ == pytest.approx(model.joint_log_likelihood_, rel=1e-8)
    np.testing.assert_allclose(other.gate_.means_[:, 0], 7.0, rtol=1e-12)


def test_a_fit_goes_on_from_what_the_view_shows(motorcycle):
    model, X, y = motorcycle
    again = MixtureOfExpertsRegressor(3, gate="gaussian", init_params=model).fit(X, y)
    # the start is the optimum already: what remains is below tol
    gain = again.joint_log_likelihood_ - model.joint_log_likelihood_
    assert again.n_iter_ <= 2 and abs(gain) < 1e-6 * len(X)


def test_one_expert_is_a_line_and_a_normal_distribution():
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(
        1, expert=LinearExpert(0, 0), gate=GaussianGate(variance_prior=0), random_state=0
    ).fit(X, y)
    assert model.gate_.means_[0, 0] == pytest.approx(X.mean(), rel=1e-12)
    assert model.gate_.covariances_[0, 0, 0] == pytest.approx(X.var(), rel=1e-12)
    slope, intercept = np.polyfit(X[:, 0], y, 1)
    sd = np.std(y - slope * X[:, 0] - intercept)
    expected = (
        norm(X.mean(), X.std()).logpdf(X[:, 0]).sum()
        + norm(0, sd).logpdf(y - slope * X[:, 0] - intercept).sum()
    )
    assert model.joint_log_likelihood_ == pytest.approx(expected, rel=1e-10)


def test_localised_gates_need_no_tuning_on_pieces_of_lines():
    """B7 of MATH.md: Xu, Jordan and Hinton's kind of data, every parameter at its default."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1.5, (2, 1000))
    f = np.select(
        [x < -0.3, x < 0.4, x < 1.0], [-1.2 * x - 0.5, 2.5 * x + 0.6, 1.4 - 1.5 * x], 2 * x - 2.3
    )
    (X, T), (y, t) = x[:, :, None], f + 0.1 * rng.standard_normal(x.shape)
    models = [
        MixtureOfExpertsRegressor(4, gate=gate, n_init=3, random_state=0).fit(X, y)
        for gate in ("gaussian", "softmax")
    ]
    bounds = models[0].lower_bounds_
    assert np.diff(bounds).min() >= -1e-9 * np.abs(bounds).max()
    error, peer = (np.mean((model.predict(T) - t) ** 2) for model in models)
    assert error < 1.5 * peer
    assert len(leaves(models[0].params_["gate"])) == 4  # proportions, means, covariances, columns


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_columns_of_very_different_size_are_fitted_as_well_as_standardised_ones(covariance_type):
    """A column of size 1e8 beside others of size 1, as they are: their variances are not lost."""
    rng = np.random.RandomState(1)
    X = rng.normal(size=(96, 3))
    X[:, 2] *= 1e8
    y = rng.poisson(2, size=96)
    gate = GaussianGate(covariance_type, variance_prior=0.0)
    fits = [
        MixtureOfExpertsRegressor(1, expert="poisson", gate=gate, standardize=standardize).fit(X, y)
        for standardize in (True, False)
    ]
    # without a prior the maximum does not depend on units
    likelihoods = [fit.joint_log_likelihood_ for fit in fits]
    assert likelihoods[0] == pytest.approx(likelihoods[1], abs=1e-5)
    again = clone(fits[1]).set_params(init_params=fits[1], max_iter=5).fit(X, y)
    assert again.joint_log_likelihood_ == pytest.approx(likelihoods[1], abs=1e-5)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical", "tied"])
@pytest.mark.parametrize("solver", ["em", "lbfgs"])
@pytest.mark.parametrize("seed", range(4))
def test_columns_that_repeat_each_other_in_units_far_apart(covariance_type, solver, seed):
    """Covariances that are singular but for rounding are fitted, told and inverted."""
    rng = np.random.RandomState(seed)
    n, z = 30 + seed, rng.normal(size=30 + seed)
    X = np.column_stack([rng.normal(size=n), 1e8 * z, 2e8 * z, rng.random(n) > 0.5])
    y = X[:, 0] + 2 * (z > 0) + 0.01 * rng.normal(size=n)
    model = MixtureOfExpertsRegressor(
        2,
        gate=GaussianGate(covariance_type),
        solver=solver,
        standardize=False,
        n_init=1,
        max_iter=8,
        init_params="random",
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged, and a variance at its bound
        model.fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.log_likelihood_)
    assert "nan" not in str(model.summary())


@pytest.mark.parametrize("covariance_type", TYPES)
def test_an_expert_without_rows_among_constant_columns_is_no_accident(covariance_type):
    """A covariance of no column has no smallest variance, whatever rows it has."""
    X, y = np.full((20, 1), 3.7), np.random.default_rng(0).normal(size=20)
    y[3] *= 1e5  # alone with an expert, which leaves others without rows
    model = MixtureOfExpertsRegressor(
        5,
        gate=GaussianGate(covariance_type),
        solver="cem",
        init_params="random",
        n_init=2,
        max_iter=10,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", ExpertCollapseWarning)
        model.fit(X, y)
    assert np.isfinite(model.log_likelihood_)
