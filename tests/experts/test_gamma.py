"""Gamma experts: shape by maximum likelihood, two links, and what happens at the pole of one."""

import functools

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import gammaln, psi

from classic_moe import ExpertCollapseWarning, MixtureOfExpertsRegressor
from classic_moe.experts import GammaExpert

MaximumLikelihood = functools.partial(GammaExpert, alpha=0.0, variance_prior=0.0)


def data(link="log", shape=3.0, n=250, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    eta = 2 + X @ [0.8, -0.5]
    mean = np.exp(eta) if link == "log" else 1 / eta
    return X, rng.gamma(shape, mean / shape)


def params(mean, shape):
    """Of one expert without columns."""
    return {"coef": np.log([[mean]]), "log_shape": np.log([shape])}


@pytest.mark.parametrize("shape", [1e-3, 0.5, 3.0, 150.0, 1e6])
@pytest.mark.parametrize("mean", [1e-150, 0.1, 1e150])
def test_log_prob_is_scipys(mean, shape):
    y = mean * np.exp(np.array([-2, -0.5, 0, 1e-3, 0.5, 2]) / np.sqrt(max(shape, 1)))
    got = GammaExpert().log_prob(params(mean, shape), np.zeros((6, 0)), y[:, None])[:, 0]
    expected = stats.gamma(shape, scale=1.0).logpdf(y / mean * shape) + np.log(shape / mean)
    # scipy subtracts values of log Γ of the size of shape·log(shape)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-14 * shape + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("link", ["log", "inverse"])
@pytest.mark.parametrize("shape", [0.4, 3.0, 80.0])
def test_one_expert_is_the_direct_maximum(link, shape):
    X, y = data(link, shape)
    Z = np.column_stack([np.ones(len(X)), X])

    def loss(theta):
        eta, s = Z @ theta[:3], np.exp(theta[3])
        mean = np.exp(eta) if link == "log" else 1 / np.maximum(eta, 1e-6)
        return -stats.gamma(s, scale=mean / s).logpdf(y).sum()

    start = [2, 0.8, -0.5, np.log(shape)]
    options = dict(xatol=1e-9, fatol=1e-12, maxiter=10_000, maxfev=10_000)
    direct = optimize.minimize(loss, start, method="Nelder-Mead", options=options)
    direct = optimize.minimize(loss, direct.x, method="Nelder-Mead", options=options)
    model = MixtureOfExpertsRegressor(1, expert=MaximumLikelihood(link=link)).fit(X, y)
    view = model.experts_[0]
    # both tolerances are those of the issue
    assert model.log_likelihood_ >= -direct.fun - 1e-8 * abs(direct.fun)
    got = [view.intercept_, *view.coef_, np.log(view.shape_)]
    np.testing.assert_allclose(got, direct.x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "shape, prior",
    [(2e-3, 0.0), (0.4, 0.0), (0.4, 0.5), (25.0, 0.0), (25.0, 0.5), (1e5, 1e-4), (1e10, 0.0)],
)
def test_the_shape_is_at_its_exact_maximum_after_one_step(shape, prior):
    """The root of log s - ψ(s) = mean deviance, from any last value."""
    expert = GammaExpert(alpha=0.0, variance_prior=prior)
    root = np.log(shape) - psi(shape) if shape < 1e4 else 0.5 / shape + 1 / (12 * shape**2)
    sums = {
        "n": np.array([40.0 - prior]),
        "deviance": np.array([40 * root - prior * np.euler_gamma]),
    }
    for last in (-5.0, 0.0, 20.0):
        step = expert.nuisance_step({"log_shape": np.array([last])}, sums, False)
        assert np.exp(step[0]) == pytest.approx(shape, rel=1e-9)


def test_the_prior_is_that_of_exponential_pseudo_rows():
    """ν rows whose log(y/μ) - y/μ is what exponential rows have on average, -1 - 0.5772."""
    shape, nu = np.array([0.3, 2.0, 70.0]), 0.25
    own = {"coef": np.zeros((3, 1)), "log_shape": np.log(shape)}
    density = shape * np.log(shape) - gammaln(shape) + shape * (-1 - np.euler_gamma)
    expert = GammaExpert(variance_prior=nu)
    assert expert.log_prior(own) == pytest.approx(nu * density.sum(), rel=1e-12)
    rng = np.random.default_rng(0)
    draws = rng.exponential(size=1_000_000)
    # 5 standard errors, each about 1.6/1000
    assert np.mean(np.log(draws) - draws) == pytest.approx(-1 - np.euler_gamma, abs=0.008)


def test_a_fixed_shape_stays_and_is_not_counted():
    X, y = data()
    fixed = MixtureOfExpertsRegressor(1, expert=GammaExpert(shape=1.5)).fit(X, y)
    assert fixed.experts_[0].shape_ == 1.5 and fixed.n_parameters_ == 3
    assert set(fixed.params_["expert"]) == {"coef"}
    free = MixtureOfExpertsRegressor(1, expert=GammaExpert()).fit(X, y)
    # the coefficients of one expert do not depend on the shape, but for the tiny ridge
    np.testing.assert_allclose(free.experts_[0].coef_, fixed.experts_[0].coef_, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-150, 1e-6, 1e150])
@pytest.mark.parametrize("link", ["log", "inverse"])
def test_the_unit_of_y_does_not_matter(size, link):
    X, y = data(link)
    here, there = (
        MixtureOfExpertsRegressor(1, expert=MaximumLikelihood(link=link)).fit(X, v)
        for v in (y, size * y)
    )
    shift = len(y) * np.log(size)
    assert there.log_likelihood_ == pytest.approx(here.log_likelihood_ - shift, rel=1e-9)
    # 1e-7: the log-likelihood, up to 1e5 in size, hides what is below its rounding
    np.testing.assert_allclose(there.predict(X), size * here.predict(X), rtol=1e-7)
    assert there.experts_[0].shape_ == pytest.approx(here.experts_[0].shape_, rel=1e-7)


# -- an expert that fits exactly --------------------------------------------------------------


def test_exactly_fitted_rows_end_at_the_bound_with_a_severe_finding():
    X, _ = data()
    model = MixtureOfExpertsRegressor(1, expert=MaximumLikelihood())
    with pytest.warns(ExpertCollapseWarning, match=r"bound of its shape \(sd 1e-06 of its mean\)"):
        model.fit(X, np.exp(2 + X @ [0.8, -0.5]))
    assert model.experts_[0].shape_ == pytest.approx(1e12)
    params, stats_ = model.params_["expert"], {"n": np.array([250.0])}
    assert MaximumLikelihood().diagnose(params, stats_)[0].severe


def test_the_variance_prior_keeps_the_shape_finite_and_says_so():
    X, _ = data()
    model = MixtureOfExpertsRegressor(1, expert=GammaExpert())
    with pytest.warns(ExpertCollapseWarning, match="has its shape from the prior alone"):
        model.fit(X, np.exp(2 + X @ [0.8, -0.5]))
    # (n + ν) (log s - ψ(s)) = 0.5772 ν, and log s - ψ(s) is about 1/(2s)
    assert model.experts_[0].shape_ == pytest.approx(250.01 / (2 * 0.5772e-2), rel=1e-3)


def test_too_few_rows_for_the_coefficients_are_found_without_a_prior():
    own = {"coef": np.zeros((2, 3)), "log_shape": np.zeros(2)}
    sums = {"n": np.array([3.5, 4.5]), "deviance": np.ones(2)}
    found = MaximumLikelihood().diagnose(own, sums)
    assert [f.message[:45] for f in found] == ["expert 0 rests on 3.5 effective rows for 3 co"]
    assert not GammaExpert().diagnose(own, sums) and not GammaExpert(shape=2.0).diagnose(own, sums)


# -- the inverse link ---------------------------------------------------------------------------


def inverse(coef, ceiling=1e3):
    coef = np.atleast_2d(coef)
    K = len(coef)
    return {"coef": coef, "log_shape": np.zeros(K), "ceiling": np.full(K, ceiling)}


def test_means_are_bent_smoothly_at_the_ceiling_and_stay_below_twice_that():
    x = np.concatenate([np.linspace(-1e6, 2, 50), 1e-3 + np.linspace(-1e-9, 1e-9, 3)])[:, None]
    mean = GammaExpert(link="inverse").mean(inverse([0.0, 1.0]), x)[:, 0, 0]
    assert (mean > 0).all() and (mean <= 2000).all()
    far = x[:, 0] > 2e-3
    np.testing.assert_allclose(mean[far], 1 / x[far, 0], rtol=1e-12)  # untouched
    assert mean[0] == pytest.approx(2000, rel=1e-6)
    left, right = np.diff(mean[-3:])
    assert left == pytest.approx(right, rel=1e-4) and left == pytest.approx(-1e-9 * 1e6, rel=1e-4)


def test_the_gradient_is_that_of_the_bent_mean_too():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-1, 1, (40, 1)), rng.gamma(2.0, 1.0, (40, 1))
    expert, resp = GammaExpert(link="inverse", alpha=0.0), np.ones((40, 1))
    own = inverse([0.01, 1.0], ceiling=10.0)  # half of the rows are beyond the pole
    gradient = expert.gradient(own, expert.statistics(own, X, y, resp))["coef"][0]
    for j in range(2):
        step = 1e-7 * np.eye(2)[j]
        up, down = (
            expert.log_prob(own | {"coef": own["coef"] + s}, X, y).sum() for s in (step, -step)
        )
        # central differences of a sum of about 1e3, one row of which may sit at the bend
        assert (up - down) / 2e-7 == pytest.approx(gradient[j], rel=1e-5)


def test_the_cautious_step_of_the_inverse_link_ascends_and_keeps_clear_of_the_pole():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-1, 1, (40, 2)), rng.gamma(2.0, 1.0, (40, 1))
    expert, resp = GammaExpert(link="inverse"), rng.uniform(0.1, 1, (40, 3))
    for _ in range(20):
        coef = np.column_stack([np.full(3, 2.0), rng.uniform(-0.99, 0.99, (3, 2))])
        own = inverse(coef, ceiling=1e6)

        def objective(own):
            return np.sum(resp * expert.log_prob(own, X, y)) + expert.log_prior(own)

        before = objective(own)
        for _ in range(4):
            own = expert.maximize(own, expert.statistics(own, X, y, resp), cautious=True)
            after = objective(own)
            assert after >= before - 1e-10 * abs(before)  # rounding
            before = after
        assert (own["coef"][:, 0] + X @ own["coef"][:, 1:].T > 0).all()


def test_the_ceiling_travels_with_the_expert():
    X, y = data("inverse")
    expert = GammaExpert(link="inverse")
    first = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    assert first.experts_[0].ceiling_ == pytest.approx(1e3 * y.mean())
    assert first.n_parameters_ == 4  # it is no parameter
    again = MixtureOfExpertsRegressor(1, expert=expert, init_params=first).fit(X, 2 * y)
    assert again.experts_[0].ceiling_ == pytest.approx(1e3 * y.mean())
    start = {"coef": [[0.8, -0.5]], "intercept": 2.0, "shape": 3.0}
    start = {"gate": {"coef": np.zeros((1, 2)), "intercept": [0.0]}, "expert": start}
    given = MixtureOfExpertsRegressor(1, expert=expert, init_params=start).fit(X, y)
    assert given.log_likelihood_ == pytest.approx(first.log_likelihood_, rel=1e-9)
