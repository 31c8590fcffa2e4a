"""Negative binomial experts: dispersion by maximum likelihood, down to Poisson's limit."""

import numpy as np
import pytest
from scipy import optimize, stats

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import NegativeBinomialExpert, PoissonExpert


def params(mean, dispersion):
    """Of one expert without columns."""
    return {"coef": np.log([[mean]]), "log_dispersion": np.log([dispersion])}


def log_prob(y, mean, dispersion):
    y = np.atleast_1d(y).astype(float)[:, None]
    own = params(mean, dispersion)
    return NegativeBinomialExpert().log_prob(own, np.zeros((len(y), 0)), y)[:, 0]


def counts(dispersion, n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    mean = np.exp(1 + X @ [1.0, -0.5])
    return X, rng.negative_binomial(1 / dispersion, 1 / (1 + dispersion * mean)).astype(float)


@pytest.mark.parametrize("dispersion", [1e-2, 0.3, 1.0, 20.0])
@pytest.mark.parametrize("mean", [1e-3, 2.0, 300.0])
def test_log_prob_is_scipys(mean, dispersion):
    y = np.array([0, 1, 2, 5, 40, 1000])
    peer = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    # scipy subtracts values of log Γ of up to 1e4 in size
    np.testing.assert_allclose(log_prob(y, mean, dispersion), peer.logpmf(y), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("mean", [0.1, 5.0, 80.0])
def test_without_dispersion_it_is_poissons(mean):
    y = np.arange(100.0)
    poisson = stats.poisson(mean).logpmf(y)
    # to first order in φ the difference is φ ((y - μ)² - y) / 2
    expected = poisson + 1e-8 * ((y - mean) ** 2 - y) / 2
    np.testing.assert_allclose(log_prob(y, mean, 1e-8), expected, rtol=1e-10, atol=1e-11)


def test_the_score_of_the_dispersion_is_exact_next_to_poisson():
    """There it is φ/2 Σ ((y - μ)² - y), a difference of numbers 1e15 as large."""
    y, mean = np.arange(20.0)[:, None], 6.0
    own = params(mean, 1e-8)
    expert = NegativeBinomialExpert()
    stats_ = expert.statistics(own, np.zeros((20, 0)), y, np.ones((20, 1)))
    expected = 0.5e-8 * np.sum((y - mean) ** 2 - y)
    assert stats_["dispersion_gradient"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mean, dispersion", [(4.0, 0.5), (300.0, 1e-3), (1e6, 0.2), (0.2, 30.0)])
def test_the_derivatives_in_the_log_of_the_dispersion(mean, dispersion):
    y = np.array([0.0, 1.0, 3.0, 250.0, 1e6])[:, None]
    expert, X, resp, h = NegativeBinomialExpert(), np.zeros((5, 0)), np.ones((5, 1)), 1e-4

    def score(factor):
        return expert.statistics(params(mean, dispersion * factor), X, y, resp)

    def value(factor):
        return log_prob(y[:, 0], mean, dispersion * factor).sum()

    here, up, down = (score(f)["dispersion_gradient"][0] for f in (1, np.exp(h), np.exp(-h)))
    # central differences: an error of h² times higher derivatives
    assert (value(np.exp(h)) - value(np.exp(-h))) / (2 * h) == pytest.approx(here, rel=1e-5)
    curvature = score(1)["dispersion_curvature"][0]
    assert -(up - down) / (2 * h) == pytest.approx(curvature, rel=1e-5)


@pytest.mark.parametrize("dispersion", [0.05, 0.7, 5.0])
def test_one_expert_is_the_direct_maximum(dispersion):
    X, y = counts(dispersion)
    Z = np.column_stack([np.ones(len(X)), X])

    def loss(theta):
        mean, phi = np.exp(Z @ theta[:3]), np.exp(theta[3])
        return -stats.nbinom(1 / phi, 1 / (1 + phi * mean)).logpmf(y).sum()

    direct = optimize.minimize(loss, [1, 1, -0.5, np.log(dispersion)], method="BFGS", tol=1e-9)
    direct = optimize.minimize(
        loss, direct.x, method="Nelder-Mead", options=dict(xatol=1e-8, fatol=1e-11, maxiter=5000)
    )
    model = MixtureOfExpertsRegressor(1, expert=NegativeBinomialExpert(alpha=0.0)).fit(X, y)
    view = model.experts_[0]
    # both tolerances are those of the issue; the simplex itself is good to about 1e-6
    assert model.log_likelihood_ >= -direct.fun - 1e-8 * abs(direct.fun)
    got = [view.intercept_, *view.coef_, np.log(view.dispersion_)]
    np.testing.assert_allclose(got, direct.x, rtol=1e-5, atol=1e-5)


def test_counts_that_vary_less_than_poissons_give_a_poisson_expert_and_no_warning():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 1))
    y = np.round(np.exp(1.5 + X[:, 0]))  # no noise at all but that of rounding
    model = MixtureOfExpertsRegressor(1, expert=NegativeBinomialExpert(alpha=0.0)).fit(X, y)
    peer = MixtureOfExpertsRegressor(1, expert=PoissonExpert(alpha=0.0)).fit(X, y)
    view, other = model.experts_[0], peer.experts_[0]
    assert view.dispersion_ < 1e-5 and model.converged_
    # what is left of the dispersion moves all by about its own size
    np.testing.assert_allclose(view.coef_, other.coef_, rtol=1e-5)
    assert model.log_likelihood_ == pytest.approx(peer.log_likelihood_, rel=1e-5)


def test_a_fixed_dispersion_stays_and_is_not_counted():
    X, y = counts(0.5)
    fixed = MixtureOfExpertsRegressor(1, expert=NegativeBinomialExpert(dispersion=0.5)).fit(X, y)
    free = MixtureOfExpertsRegressor(1, expert=NegativeBinomialExpert()).fit(X, y)
    assert fixed.experts_[0].dispersion_ == 0.5 and fixed.n_parameters_ == 3
    assert free.n_parameters_ == 4 and free.log_likelihood_ > fixed.log_likelihood_
    assert set(fixed.params_["expert"]) == {"coef"}


def test_huge_counts_converge():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 2))
    y = np.round(np.exp(19 + X @ [0.6, -0.4]) * rng.gamma(4, 0.25, 150))
    model = MixtureOfExpertsRegressor(1, expert="negative_binomial").fit(X, y)
    assert model.converged_
    assert model.experts_[0].dispersion_ == pytest.approx(0.25, abs=0.15)  # 5 standard errors


@pytest.mark.parametrize("log_dispersion", [-1e3, -30.0, 30.0, 1e3])
def test_an_accelerated_step_beyond_the_bounds_does_no_harm(log_dispersion):
    """SQUAREM may propose anything; what is beyond a bound counts as the bound."""
    X, y = counts(0.5, n=30)
    expert = NegativeBinomialExpert()
    start = expert.init(X, y[:, None], np.ones((30, 1)), None)
    beyond = start | {"log_dispersion": np.array([log_dispersion])}
    bound = expert.nuisance_bounds[int(log_dispersion > 0)]
    at_bound = start | {"log_dispersion": np.log([bound])}
    expected = expert.log_prob(at_bound, X, y[:, None])
    np.testing.assert_allclose(expert.log_prob(beyond, X, y[:, None]), expected)
    step = expert.maximize(beyond, expert.statistics(beyond, X, y[:, None], np.ones((30, 1))))
    assert np.log(1e-8) <= step["log_dispersion"][0] <= np.log(1e4)
