"""Linear experts: weighted least squares, the residual covariance, and what keeps both finite."""

import array_api_strict as strict
import numpy as np
import pytest
from row_derivatives import check_rows
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal
from sklearn.linear_model import LinearRegression, Ridge

from classic_moe import MixtureOfExpertsRegressor
from classic_moe._kernels import array
from classic_moe.data.units import Scaling, Units
from classic_moe.exceptions import ExpertCollapseWarning
from classic_moe.experts import LinearExpert
from classic_moe.parts.params import leaves, ravel
from classic_moe.testing import check_expert

EXACT = 1e-10  # two ways of solving a well-conditioned least-squares problem


def problem(n=60, p=2, q=1, K=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    y = X @ rng.standard_normal((p, q)) + 0.5 * rng.standard_normal((n, q))
    return X, y, rng.dirichlet(np.ones(K), size=n) * rng.uniform(0.5, 2.0, (n, 1))


def maximized(expert, X, y, resp, n_steps=1):
    params = expert.init(X, y, resp, np.random.RandomState(0))
    for _ in range(n_steps - 1):
        params = expert.maximize(params, expert.statistics(params, X, y, resp))
    return params


# -- the M-step --------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [1, 2])
def test_without_penalties_the_m_step_is_weighted_least_squares(q):
    X, y, resp = problem(q=q)
    params = maximized(LinearExpert(alpha=0, variance_prior=0), X, y, resp)
    for k, weight in enumerate(resp.T):
        peer = LinearRegression().fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(params["coef"][k, :, 1:], peer.coef_, atol=EXACT)
        np.testing.assert_allclose(params["coef"][k, :, 0], peer.intercept_, atol=EXACT)
        residual = y - peer.predict(X)
        covariance = (weight[:, None] * residual).T @ residual / weight.sum()
        np.testing.assert_allclose(params["covariance"][k], covariance, atol=EXACT)


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_the_fixed_point_is_ridge_with_alpha_times_the_variance(alpha):
    X, y, resp = problem(K=1)
    params = maximized(LinearExpert(alpha=alpha, variance_prior=0), X, y, resp, n_steps=60)
    variance = params["covariance"][0, 0, 0]
    peer = Ridge(alpha * variance).fit(X, y[:, 0], sample_weight=resp[:, 0])
    np.testing.assert_allclose(params["coef"][0, 0, 1:], peer.coef_, atol=EXACT)
    np.testing.assert_allclose(params["coef"][0, 0, 0], peer.intercept_, atol=EXACT)


def test_the_fixed_point_with_two_outputs_has_gradient_zero():
    X, y, resp = problem(q=2)
    expert = LinearExpert(alpha=1.0, variance_prior=0.5)
    params = maximized(expert, X, y, resp, n_steps=100)
    gradient = ravel(expert.gradient(params, expert.statistics(params, X, y, resp, order=1)))
    assert np.abs(gradient).max() < 1e-8  # of sums over 60 rows


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical", "tied"])
def test_the_gradient_is_the_same_from_sums_of_residuals_and_from_grams(covariance_type):
    X, y, resp = problem(q=2)
    expert = LinearExpert(alpha=1.0, variance_prior=0.5, covariance_type=covariance_type)
    params = maximized(expert, X, y, resp, n_steps=1)
    params["coef"] = params["coef"] + 0.3
    of_residuals, of_grams = (expert.statistics(params, X, y, resp, order) for order in (1, 2))
    assert "gram" not in of_residuals
    got, expected = (ravel(expert.gradient(params, s)) for s in (of_residuals, of_grams))
    np.testing.assert_allclose(got, expected, atol=1e-10 * np.abs(expected).max())


def test_the_variance_prior_is_pseudo_rows_with_the_variance_of_y():
    X, y, resp = problem(q=2)
    free = maximized(LinearExpert(alpha=0, variance_prior=0), X, y, resp)
    held = maximized(LinearExpert(alpha=0, variance_prior=3.0), X, y, resp)
    n = resp.sum(axis=0)[:, None, None]
    expected = (n * free["covariance"] + 3.0 * np.eye(2)) / (n + 3.0)
    np.testing.assert_allclose(held["covariance"], expected, atol=EXACT)


def test_equal_columns_share_the_slope():
    X, y, resp = problem(p=1)
    one = maximized(LinearExpert(alpha=0), X, y, resp)
    two = maximized(LinearExpert(alpha=0), np.column_stack([X, X]), y, resp)
    np.testing.assert_allclose(two["coef"][:, :, 1], two["coef"][:, :, 2], atol=1e-8)
    np.testing.assert_allclose(two["coef"][:, :, 1:].sum(axis=2), one["coef"][:, :, 1], atol=1e-8)


def test_more_columns_than_rows_stay_finite():
    X, y, resp = problem(n=6, p=20)
    for alpha in (0.0, 1e-6):
        params = maximized(LinearExpert(alpha=alpha), X, y, resp)
        assert all(np.isfinite(leaf).all() for leaf in leaves(params))


def test_an_expert_without_rows_keeps_its_parameters():
    X, y, resp = problem()
    expert = LinearExpert()
    params = maximized(expert, X, y, resp)
    kept = expert.maximize(params, expert.statistics(params, X, y, resp * [0.0, 1.0]))
    for before, after in zip(leaves(params), leaves(kept), strict=True):
        assert np.array_equal(before[0], after[0])
        assert not np.array_equal(before[1], after[1])


@pytest.mark.parametrize("q", [1, 2])
def test_without_a_prior_the_standard_deviation_stops_at_a_millionth_of_ys(q):
    X, _, resp = problem()
    y = X @ np.ones((2, q)) + 1.0  # no noise at all
    params = maximized(LinearExpert(alpha=0, variance_prior=0), X, y, resp)
    floor = np.linalg.eigvalsh(params["covariance"])
    np.testing.assert_allclose(floor, 1e-12, rtol=1e-6)
    assert np.isfinite(LinearExpert().log_prob(params, X, y)).all()


# -- covariance types --------------------------------------------------------------------------

TYPES = ["full", "diag", "spherical", "tied"]


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_keeps_the_promises_of_an_expert(kind):
    check_expert(LinearExpert(alpha=0.1, variance_prior=0.5, covariance_type=kind))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("prior", [0.0, 3.0])
def test_the_m_step_has_the_closed_form_of_its_type(kind, prior):
    X, y, resp = problem(q=2)
    expert = LinearExpert(alpha=0, variance_prior=prior, covariance_type=kind)
    params, n = maximized(expert, X, y, resp), resp.sum(axis=0)
    residual = y[:, None] - expert.mean(params, X)
    scatter = np.einsum("nk,nki,nkj->kij", resp, residual, residual) + prior * np.eye(2)
    expected = scatter / (n + prior)[:, None, None]
    if kind == "diag":
        expected = expected * np.eye(2)
    if kind == "spherical":
        expected = np.trace(expected, axis1=1, axis2=2)[:, None, None] / 2 * np.eye(2)
    if kind == "tied":  # the prior once: there is one covariance
        pooled = (scatter.sum(axis=0) - prior * np.eye(2)) / (n.sum() + prior)
        expected = pooled[None]
    np.testing.assert_allclose(params["covariance"], expected, atol=EXACT)


@pytest.mark.parametrize("kind", TYPES)
def test_the_gradient_keeps_the_type(kind):
    X, y, resp = problem(q=2)
    expert = LinearExpert(covariance_type=kind)
    params = expert.from_caller(
        {
            "coef": np.zeros((2, 2, 2)),
            "intercept": np.zeros((2, 2)),
            "covariance": [[[4.0, 1.0], [1.0, 2.0]], [[2.0, 0.0], [0.0, 2.0]]],
        },
        Units(Scaling.identity(2), Scaling.identity(2)),
        2,
    )
    slope = expert.gradient(params, expert.statistics(params, X, y, resp))["covariance"]
    off, variances = slope[:, 0, 1], np.diagonal(slope, axis1=1, axis2=2)
    assert (off == 0).all() == (kind in ("diag", "spherical"))
    assert np.array_equal(variances[:, 0], variances[:, 1]) == (kind == "spherical")
    assert len(slope) == (1 if kind == "tied" else 2)


def two_lines(q):
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, (80, 1))
    line = np.where(rng.random((80, 1)) < 0.4, 2 - X, X - 1) * np.arange(1, q + 1)
    noise = rng.standard_normal((80, q)) @ np.array([[0.5, 0.3], [0.0, 0.8]])[:q, :q]
    return X, line + noise


def covariances(kind, v, unit):
    """Two covariances from a vector of free numbers; "spherical" is in units of y."""
    q = len(unit)
    if kind == "spherical":
        return np.exp(v)[:, None, None] * np.diag(unit**2)
    if kind == "diag":
        return np.exp(v).reshape(2, q)[:, :, None] * np.eye(q)
    size = q * (q + 1) // 2
    factors = np.zeros((2, q, q))
    for k in range(2):
        numbers = v[:size] if kind == "tied" else v[k * size : (k + 1) * size]
        factors[k][np.tril_indices(q)] = numbers
    return factors @ factors.swapaxes(1, 2)


def free_vector(kind, covariance, unit):
    factors = np.linalg.cholesky(covariance)
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    return {
        "spherical": np.log(variances[:, 0] / unit[0] ** 2),
        "diag": np.log(variances).ravel(),
        "tied": factors[0][np.tril_indices(len(factors[0]))],
        "full": np.concatenate([f[np.tril_indices(len(f))] for f in factors]),
    }[kind]


@pytest.mark.parametrize("kind, q", [(kind, 2) for kind in TYPES] + [("tied", 1)])
def test_a_direct_search_from_the_fit_gains_nothing(kind, q):
    X, y = two_lines(q)
    unit = y.std(axis=0)
    model = MixtureOfExpertsRegressor(
        2,
        expert=LinearExpert(0, 0, kind),
        gate="constant",
        tol=1e-13,
        n_init=3,
        max_iter=3000,
        random_state=0,
    ).fit(X, y)

    def log_likelihood(v):
        share, coef, Z = expit(v[0]), v[1 : 1 + 4 * q].reshape(2, q, 2), np.c_[np.ones(80), X]
        each = [
            multivariate_normal(cov=S).logpdf(y - Z @ B.T)
            for B, S in zip(coef, covariances(kind, v[1 + 4 * q :], unit), strict=True)
        ]
        return logsumexp(np.transpose(each) + np.log([share, 1 - share]), axis=1).sum()

    views = model.experts_
    coef = [np.c_[np.ravel(v.intercept_), np.reshape(v.coef_, (q, 1))] for v in views]
    covariance = np.stack([v.covariance_ for v in views])
    logit = np.log(model.weights_[0] / model.weights_[1])
    fit = np.concatenate([[logit], np.ravel(coef), free_vector(kind, covariance, unit)])
    assert log_likelihood(fit) == pytest.approx(model.log_likelihood_, abs=1e-8)
    best = minimize(lambda v: -log_likelihood(v), fit, method="BFGS", options={"gtol": 1e-7})
    assert -best.fun - model.log_likelihood_ < 1e-8
    assert model.n_parameters_ == len(fit)
    bic = len(fit) * np.log(80) - 2 * model.log_likelihood_
    assert model.bic(X, y) == pytest.approx(bic, abs=1e-8)


def test_a_tied_variance_is_common_to_all_experts_and_healthy_with_few_rows():
    X, y, resp = problem(q=1)
    resp[:, 0] = np.where(np.arange(60) < 2, resp[:, 0], 0)  # an interpolating line
    expert = LinearExpert(0, 0, "tied")
    params = maximized(expert, X, y, resp)
    assert params["covariance"].shape == (1, 1, 1)
    caller = expert.to_caller(params, Units(Scaling.identity(2), Scaling.identity(1)))
    assert caller["covariance"].shape == (2, 1, 1) and len(set(caller["covariance"].ravel())) == 1
    assert expert.diagnose(params, expert.statistics(params, X, y, resp)) == []


def test_a_tied_variance_that_collapses_is_named_once():
    X, _, resp = problem()
    for prior in (0.0, 1e-2):
        expert = LinearExpert(0, prior, "tied")
        params = maximized(expert, X, X @ np.ones((2, 1)), resp)
        (finding,) = expert.diagnose(
            params, expert.statistics(params, X, X @ np.ones((2, 1)), resp)
        )
        assert finding.message.startswith("every expert")


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("full", [[[4.0, 1.0], [1.0, 2.0]], [[2.0, 0.0], [0.0, 2.0]]]),
        ("diag", [[[4.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 2.0]]]),
        ("spherical", [[[3.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [0.0, 2.0]]]),
        ("tied", [[[3.0, 0.5], [0.5, 2.0]]]),
    ],
)
def test_starting_covariances_of_another_type_are_projected(kind, expected):
    values = {
        "coef": np.zeros((2, 2, 1)),
        "intercept": np.zeros((2, 2)),
        "covariance": [[[4.0, 1.0], [1.0, 2.0]], [[2.0, 0.0], [0.0, 2.0]]],
    }
    units = Units(Scaling.identity(1), Scaling.identity(2))
    params = LinearExpert(covariance_type=kind).from_caller(values, units, 2)
    np.testing.assert_array_equal(params["covariance"], expected)


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="covariance_type='banded' of LinearExpert: use one of 'f"):
        LinearExpert(covariance_type="banded").check_parameters()


# -- the density -------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [1, 3])
def test_the_density_is_scipys(q):
    X, y, resp = problem(q=q)
    params = maximized(LinearExpert(), X, y, resp)
    log_prob, mean = LinearExpert().log_prob(params, X, y), LinearExpert().mean(params, X)
    for k in range(2):
        expected = multivariate_normal(cov=params["covariance"][k]).logpdf(y - mean[:, k])
        np.testing.assert_allclose(log_prob[:, k], expected, atol=1e-10)


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("variance", ["estimate", 0.7])
def test_rows_are_the_derivatives_in_the_predictors(kind, q, variance):
    X, y, resp = problem(n=8, q=q)
    expert = LinearExpert(1.0, covariance_type=kind, variance=variance)
    params = maximized(expert, X, y, resp)
    check_rows(expert, params, X, y)
    of_means = [each for each in expert.predictors(params) if each.design == "x"]
    assert [each.penalty.alpha for each in of_means] == [1.0] * q


@pytest.mark.parametrize("kind", TYPES)
def test_predictors_account_for_every_parameter(kind):
    X, y, resp = problem(q=2)
    expert = LinearExpert(covariance_type=kind)
    params = maximized(expert, X, y, resp)
    count = sum(
        (1 if each.shared else 2) * (3 if each.design == "x" else 1)
        for each in expert.predictors(params)
    )
    assert count == expert.n_parameters(params)


@pytest.mark.parametrize("kind", TYPES)
def test_the_verbs_of_one_expert_are_its_columns_of_all(kind):
    X, y, resp = problem(q=2)
    expert = LinearExpert(covariance_type=kind)
    params = maximized(expert, X, y, resp)
    one = expert.take(params, [1])
    np.testing.assert_array_equal(expert.log_prob(one, X, y), expert.log_prob(params, X, y)[:, [1]])
    np.testing.assert_array_equal(expert.mean(one, X), expert.mean(params, X)[:, [1]])


@pytest.mark.parametrize("q", [1, 2])
def test_the_gradient_of_the_mean_lies_where_the_rows_do(q):
    X, y, resp = problem(q=q)
    params, device = maximized(LinearExpert(), X, y, resp), strict.Device("device1")
    slope = resp[:, :, None] * y[:, None, :]
    there = [strict.asarray(a, device=device) for a in (X, slope)]
    found = LinearExpert().mean_gradient(params, *there)["coef"]
    assert found.device == device
    expected = np.einsum("nkq,np->kqp", slope, np.column_stack([np.ones(len(X)), X]))
    np.testing.assert_allclose(array.to_host(found), expected, atol=1e-11)  # sums of 60 rows
    np.testing.assert_allclose(
        LinearExpert().mean_gradient(params, X, slope)["coef"], expected, atol=1e-11
    )


def test_one_hot_codes_have_no_density_under_any_matrix():
    codes, values = np.eye(3)[[0, 2, 1, 1]], np.eye(3)[[0, 2, 1, 1]] + 0.5
    for kind in ("full", "tied"):
        with pytest.raises(ValueError, match=r"no density for classes.*use 'spherical'"):
            LinearExpert(covariance_type=kind).check_target(codes)
        LinearExpert(covariance_type=kind, variance=1.0).check_target(codes)
        LinearExpert(covariance_type=kind).check_target(values)
        LinearExpert(covariance_type=kind).check_target(codes[:, 0])
        LinearExpert(covariance_type=kind).check_target(codes[:, :1])
    for kind in ("diag", "spherical"):
        LinearExpert(covariance_type=kind).check_target(codes)


@pytest.mark.parametrize("q, per_expert", [(1, 4), (2, 9)])
def test_an_expert_has_slopes_intercepts_and_a_symmetric_covariance(q, per_expert):
    X, y, resp = problem(q=q)
    assert LinearExpert().n_parameters(maximized(LinearExpert(), X, y, resp)) == 2 * per_expert


# -- what it says of a bad fit -----------------------------------------------------------------


def findings(expert, X, y, resp):
    params = maximized(expert, X, y, resp)
    return expert.diagnose(params, expert.statistics(params, X, y, resp))


def test_a_healthy_fit_is_not_remarked_upon():
    assert findings(LinearExpert(), *problem()) == []
    assert findings(LinearExpert(0, 0), *problem()) == []


@pytest.mark.parametrize(
    "prior, reason",
    [
        (0.0, "sits at the variance bound (sd 1e-06"),
        (1e-2, "has its variance from the prior alone"),
    ],
)
def test_an_expert_without_residuals_is_named(prior, reason):
    X, y, resp = problem()
    y[:30] = X[:30] @ np.ones((2, 1))
    resp[:30], resp[30:] = [1, 0], [0, 1]
    (finding,) = findings(LinearExpert(0, prior), X, y, resp)
    assert finding.category is ExpertCollapseWarning
    assert finding.severe == (prior == 0)
    assert finding.message.startswith(f"expert 0 {reason}")


def test_an_expert_with_fewer_rows_than_coefficients_is_named():
    X, y, resp = problem()
    X[:2], y[:2] = 0.0, [[0.0], [1.0]]  # two answers to one question: no line runs through both
    resp[:2], resp[2:] = [1, 0], [0, 1]
    (finding,) = findings(LinearExpert(0, 0), X, y, resp)
    assert finding.severe
    assert finding.message.startswith("expert 0 rests on 2 effective rows for 3 coefficients")


# -- the caller's side -------------------------------------------------------------------------

VALUES = {"coef": [[1.0, 2.0], [3.0, 4.0]], "intercept": [0.0, 1.0], "scale": [1.0, 2.0]}
UNITS = Units(Scaling.identity(2), Scaling.identity(1))


def test_scales_and_covariances_say_the_same():
    by_scale = LinearExpert().from_caller(VALUES, UNITS, 2)
    covariance = {k: v for k, v in VALUES.items() if k != "scale"} | {"covariance": [1.0, 4.0]}
    by_covariance = LinearExpert().from_caller(covariance, UNITS, 2)
    for a, b in zip(leaves(by_scale), leaves(by_covariance), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"coef": [[1.0, 2.0]]}, r"coef of the expert needs shape \(2, 1, 2\), got \(1, 2\)"),
        ({"intercept": [0.0, np.nan]}, "intercept of the expert holds NaN or infinity"),
        ({"scale": [1.0, 0.0]}, "every scale must be positive"),
        ({"covariance": [1.0, -1.0]}, "every covariance positive definite"),
        ({"slope": 1.0}, "takes coef, intercept, scale, covariance; got"),
    ],
)
def test_wrong_starting_values_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        LinearExpert().from_caller(VALUES | change, UNITS, 2)


def test_starting_values_need_a_scale():
    few = {"coef": VALUES["coef"], "intercept": VALUES["intercept"]}
    with pytest.raises(ValueError, match="needs 'scale' or 'covariance'"):
        LinearExpert().from_caller(few, UNITS, 2)
    with pytest.raises(ValueError, match="must be a dict with coef, intercept; got list"):
        LinearExpert().from_caller([1, 2], UNITS, 2)


def test_a_view_has_the_shapes_of_scikit_learn():
    params = LinearExpert().from_caller(VALUES, UNITS, 2)
    view = LinearExpert().view(params, 1, UNITS, n_features_in=2)
    assert view.coef_.shape == (2,) and view.covariance_.shape == (1, 1)
    assert (view.intercept_, view.scale_) == (1.0, 2.0)
    X, y, resp = problem(q=3)
    units = Units(Scaling.identity(2), Scaling.identity(3))
    view = LinearExpert().view(
        maximized(LinearExpert(), X, y, resp), 0, units, single_output=False, n_features_in=2
    )
    shapes = [np.shape(v) for v in (view.coef_, view.intercept_, view.scale_, view.covariance_)]
    assert shapes == [(3, 2), (3,), (3,), (3, 3)]
