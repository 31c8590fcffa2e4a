"""Laplace experts: median regression, rows that are fitted exactly, and outliers."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression, QuantileRegressor

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.datasets import load_tone
from classic_moe.exceptions import ExpertCollapseWarning
from classic_moe.experts import LaplaceExpert
from classic_moe.testing import check_expert

FREE = {"alpha": 0, "variance_prior": 0}


def problem(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    y = X @ rng.standard_normal((2, 1)) + 0.5 * rng.laplace(size=(n, 1))
    return X, y, rng.dirichlet(np.ones(2), size=n) * rng.uniform(0.5, 2.0, (n, 1))


def climbed(expert, X, y, resp, n_steps, cautious=False):
    params = expert.init(X, y, resp, np.random.RandomState(0))
    for _ in range(n_steps):
        params = expert.maximize(params, expert.statistics(params, X, y, resp), cautious)
    return params


def q_function(expert, params, X, y, resp):
    return np.sum(resp * expert.log_prob(params, X, y)) + expert.log_prior(params)


@pytest.mark.parametrize("settings", [{}, {"alpha": 0.1, "variance_prior": 0.5}, FREE], ids=str)
def test_it_keeps_the_promises_of_an_expert(settings):
    check_expert(LaplaceExpert(**settings))


def test_the_density_is_scipys():
    X, y, resp = problem()
    expert = LaplaceExpert()
    params = climbed(expert, X, y, resp, 1)
    peer = stats.laplace(expert.mean(params, X)[:, :, 0], params["scale"])
    np.testing.assert_allclose(expert.log_prob(params, X, y), peer.logpdf(y), atol=1e-12)
    assert expert.n_parameters(params) == 2 * 4


def test_rows_have_the_slopes_in_the_predictors_and_no_curvature():
    X, y, resp = problem()
    expert, h = LaplaceExpert(), 1e-6
    params = climbed(expert, X, y, resp, 1)
    terms = expert.rows(params, X, y)
    np.testing.assert_array_equal(terms.log_prob, expert.log_prob(params, X, y))
    assert [each.leaf for each in expert.predictors(params)] == ["coef", "scale"]
    assert terms.curvature is None

    def moved(step):
        coef = params["coef"] + np.array([step[0], 0, 0])
        return expert.log_prob({"coef": coef, "scale": params["scale"] * np.exp(step[1])}, X, y)

    size = np.abs(y - expert.mean(params, X)[:, :, 0])
    for i, one in enumerate(h * np.eye(2)):
        difference = (moved(one) - moved(-one)) / (2 * h)
        smooth = size > h  # elsewhere there is a kink
        np.testing.assert_allclose(terms.slope[smooth, i], difference[smooth], rtol=1e-6, atol=1e-8)


def test_the_statistics_have_the_experts_in_front():
    X, y, resp = problem()
    expert = LaplaceExpert()
    params = climbed(expert, X, y, resp, 1)
    both = expert.statistics(params, X, y, resp)
    one = expert.statistics(expert.take(params, [1]), X, y, resp[:, [1]])
    for name, leaf in both.items():
        np.testing.assert_allclose(one[name], leaf[[1]], rtol=1e-12, atol=1e-12)


# -- the M-step --------------------------------------------------------------------------------


@pytest.mark.parametrize("cautious", [False, True])
def test_a_step_is_weighted_least_squares_and_b_from_the_same_bound(cautious):
    X, y, resp = problem()
    expert = LaplaceExpert(**FREE)
    params = climbed(expert, X, y, resp, 0)
    new = expert.maximize(params, expert.statistics(params, X, y, resp), cautious)
    size = np.abs(y - expert.mean(params, X)[:, :, 0])
    for k in range(2):
        weight, c = resp[:, k], size[:, k]  # no residual is near zero here
        peer = LinearRegression().fit(X, y[:, 0], sample_weight=weight / c)
        np.testing.assert_allclose(new["coef"][k, 0], [peer.intercept_, *peer.coef_], atol=1e-10)
        residual = y[:, 0] - peer.predict(X)
        bound = weight @ (residual**2 / (2 * c) + c / 2)
        assert new["scale"][k] == pytest.approx(bound / weight.sum(), rel=1e-10)


def made(kind, rng, n=120):
    """X, y and weights; half of the kinds have many rows on the same line."""
    X = rng.standard_normal((n, 2))
    if kind == "ties":
        X = np.round(X)
    y = X @ [1.0, 2.0] + (rng.standard_cauchy(n) if kind == "cauchy" else rng.laplace(size=n))
    return X, np.round(y) if kind == "ties" else y, rng.uniform(0.5, 2, n)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["laplace", "cauchy", "ties"])
@pytest.mark.parametrize("solver", ["auto", "em"])
def test_one_expert_is_weighted_median_regression(kind, solver):
    X, y, weight = made(kind, np.random.default_rng(2))
    # thousands: where two medians are nearly as good, the last 1e-4 nats are slow
    model = MixtureOfExpertsRegressor(
        1, expert=LaplaceExpert(**FREE), solver=solver, max_iter=5000
    ).fit(X, y, sample_weight=weight)
    peer = QuantileRegressor(quantile=0.5, alpha=0).fit(X, y, sample_weight=weight)
    loss, least = (weight @ np.abs(y - m.predict(X)) for m in (model, peer))
    assert model.converged_
    assert least * (1 - 1e-9) <= loss <= least * (1 + 1e-6)
    assert model.experts_[0].scale_ == pytest.approx(loss / weight.sum(), rel=1e-6)


def test_a_row_fitted_exactly_is_let_go():
    """Started on the line through two rows, where their weights would be infinite."""
    rng = np.random.default_rng(5)
    X = np.round(rng.normal(size=(60, 1)), 1)
    y = np.round(X[:, 0] + rng.normal(size=60), 1)
    slope = (y[1] - y[0]) / (X[1, 0] - X[0, 0])
    intercept = y[0] - slope * X[0, 0]
    expert = {"coef": [[slope]], "intercept": [intercept], "scale": [1.0]}
    start = {"gate": {"coef": [[0.0]], "intercept": [0.0]}, "expert": expert}
    free, pinned = (
        MixtureOfExpertsRegressor(1, expert=LaplaceExpert(**FREE), init_params=init, solver="em")
        for init in ("quantile", start)
    )
    # a row on the line may cost 5e-7 nats; about two rows are
    gap = free.fit(X, y).log_likelihood_ - pinned.fit(X, y).log_likelihood_
    assert abs(gap) < 2e-6


def test_the_certain_step_never_descends_where_rows_are_fitted_exactly():
    X, y, resp = problem()
    X, y = np.round(X), np.round(2 * y) / 2
    expert = LaplaceExpert(alpha=0.1, variance_prior=0.1)
    params = climbed(expert, X, y, resp, 0)
    params["coef"][:] = 0.0  # the rows with y = 0 are on both lines
    assert (y == 0).sum() >= 5
    values = [q_function(expert, params, X, y, resp)]
    for _ in range(60):
        params = expert.maximize(params, expert.statistics(params, X, y, resp), cautious=True)
        values.append(q_function(expert, params, X, y, resp))
    # at most 5e-11 a row, as documented
    assert np.diff(values).min() >= -5e-11 * resp.sum()
    assert values[-1] > values[0] + 1


def test_the_variance_prior_is_pseudo_rows_of_variance_one():
    X, y, resp = problem()
    expert = LaplaceExpert(alpha=0, variance_prior=3.0)
    params = climbed(expert, X, y, resp, 300)
    size = np.sum(resp * np.abs(y - expert.mean(params, X)[:, :, 0]), axis=0)
    expected = (size + 3 / np.sqrt(2)) / (resp.sum(axis=0) + 3)
    np.testing.assert_allclose(params["scale"], expected, rtol=1e-6)  # rows fitted exactly
    one = climbed(LaplaceExpert(0, 1e9), X, y, resp, 5)
    # nothing but the prior: the variance 2b² is 1
    np.testing.assert_allclose(2 * one["scale"] ** 2, 1, rtol=1e-6)


def test_an_expert_without_rows_keeps_its_parameters():
    X, y, resp = problem()
    expert = LaplaceExpert()
    params = climbed(expert, X, y, resp, 1)
    kept = expert.maximize(params, expert.statistics(params, X, y, resp * [0.0, 1.0]))
    for name, leaf in params.items():
        assert np.array_equal(leaf[0], kept[name][0])
        assert not np.array_equal(leaf[1], kept[name][1])


def test_params_that_are_no_model_are_turned_down_without_a_sound():
    """A solver may extrapolate b below zero."""
    X, y, resp = problem()
    expert = LaplaceExpert()
    params = climbed(expert, X, y, resp, 1) | {"scale": np.array([1.0, -0.1])}
    assert np.isnan(expert.log_prior(params))
    assert np.isnan(expert.log_prob(params, X, y)[:, 1]).all()


# -- what it says of a bad fit -----------------------------------------------------------------


@pytest.mark.parametrize(
    "prior, reason",
    [(0.0, "sits at the variance bound"), (1e-2, "has its variance from the prior")],
)
def test_an_expert_without_residuals_is_named(prior, reason):
    X, y, resp = problem()
    y[:30] = X[:30] @ np.ones((2, 1))
    resp[:30], resp[30:] = [1, 0], [0, 1]
    expert = LaplaceExpert(0, prior)
    params = climbed(expert, X, y, resp, 60)
    (finding,) = expert.diagnose(params, expert.statistics(params, X, y, resp))
    assert finding.category is ExpertCollapseWarning
    assert finding.severe == (prior == 0)
    assert finding.message.startswith(f"expert 0 {reason}")


def test_a_healthy_fit_is_not_remarked_upon():
    X, y, resp = problem()
    for expert in (LaplaceExpert(), LaplaceExpert(**FREE)):
        params = climbed(expert, X, y, resp, 20)
        assert expert.diagnose(params, expert.statistics(params, X, y, resp)) == []


# -- outliers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigmas", [1e2, 1e6])
def test_outliers_do_not_move_the_line(sigmas):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((200, 2))
    y = X @ [1.0, -2.0] + 0.5 + rng.standard_normal(200)
    y[:3] = sigmas * np.array([1, -2, 3])
    view = MixtureOfExpertsRegressor(1, expert="laplace").fit(X, y).experts_[0]
    # the median of normal noise has variance π/2 / n
    np.testing.assert_allclose(view.coef_, [1, -2], atol=3 * np.sqrt(np.pi / 2 / 200))


def test_cauchy_noise_is_no_trouble():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((400, 2))
    y = X @ [1.0, -2.0] + rng.standard_cauchy(400)
    model = MixtureOfExpertsRegressor(1, expert="laplace").fit(X, y)
    # the median of Cauchy noise has variance (π/2)² / n
    np.testing.assert_allclose(model.experts_[0].coef_, [1, -2], atol=3 * np.pi / 2 / 20)


def test_ten_outliers_leave_the_lines_of_the_tone_data_alone():
    X, y = load_tone(return_X_y=True)
    options = {"expert": LaplaceExpert(**FREE), "gate": "constant", "random_state": 0}
    clean = MixtureOfExpertsRegressor(2, n_init=3, **options).fit(X, y)
    steep = max(clean.experts_, key=lambda v: v.coef_[0])
    assert steep.coef_[0] == pytest.approx(0.999, abs=0.005)
    assert steep.intercept_ == pytest.approx(0.002, abs=0.01)
    X, y = np.vstack([X, np.zeros((10, 1))]), np.append(y, np.full(10, 4.0))
    robust = MixtureOfExpertsRegressor(2, init_params=clean, **options).fit(X, y)
    # of a separate implementation, to the digits it gave; the flat line drifts to (2.02, -0.00)
    assert robust.log_likelihood_ == pytest.approx(85.75, abs=0.01)
    steep = max(robust.experts_, key=lambda v: v.coef_[0])
    assert steep.coef_[0] == pytest.approx(0.999, abs=0.005)


# -- the caller's side -------------------------------------------------------------------------

VALUES = {"coef": [[1.0], [2.0]], "intercept": [0.0, 1.0], "scale": [1.0, 2.0]}
UNITS = Units(Scaling.identity(1), Scaling.identity(1))


def test_several_outputs_are_refused():
    with pytest.raises(ValueError, match="takes one output, y has 2 columns; use StudentTExpert"):
        LaplaceExpert().check_target(np.zeros((5, 2)))
    LaplaceExpert().check_target(np.zeros((5, 1)))
    LaplaceExpert().check_target(np.zeros(5))


def test_wrong_starting_values_are_named():
    with pytest.raises(ValueError, match="every scale must be positive"):
        LaplaceExpert().from_caller(VALUES | {"scale": [1.0, 0.0]}, UNITS, 2)
    with pytest.raises(ValueError, match="takes coef, intercept, scale, covariance; got"):
        LaplaceExpert().from_caller({"coef": [[1.0], [2.0]]}, UNITS, 2)


def test_a_view_tells_scale_from_variance():
    params = LaplaceExpert().from_caller(VALUES, UNITS, 2)
    view = LaplaceExpert().view(params, 1, UNITS, n_features_in=1)
    assert (view.scale_, view.covariance_.item()) == (2.0, 8.0)  # 2b²
