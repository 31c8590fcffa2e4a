"""Poisson experts: weighted Poisson regression, one per expert."""

import inspect

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import PoissonRegressor

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import PoissonExpert, poisson


def at_mean(mean):
    """Params of experts without columns whose means are given."""
    return {"coef": np.log(np.atleast_1d(mean))[:, None]}


def test_the_source_is_short_enough_to_show():
    assert len(inspect.getsource(poisson).splitlines()) < 60


@pytest.mark.parametrize("mean", [1e-12, 0.3, 7.0, 1e6, 1e12])
def test_log_prob_is_scipys(mean):
    near = np.floor(mean + np.sqrt(mean) * np.arange(-2, 3))
    y = np.maximum(np.concatenate([[0, 1, 2], near]), 0)
    got = PoissonExpert().log_prob(at_mean(mean), np.zeros((len(y), 0)), y[:, None])[:, 0]
    # scipy's own rounding, of terms as large as y log y
    atol = 1e-14 * max(mean, 1.0)
    np.testing.assert_allclose(got, stats.poisson(mean).logpmf(y), rtol=1e-12, atol=atol)


def test_large_counts_keep_the_digits_that_the_fit_needs():
    """The fall of log p around its maximum, where terms of the size of y log y cancel."""
    y, gap = np.array([[1e12]]), 1e-7
    rise, fall = (
        PoissonExpert().log_prob({"coef": np.log(y) + step}, np.zeros((1, 0)), y)[0, 0]
        for step in (0.0, gap)
    )
    exact = -1e12 * (gap**2 / 2 + gap**3 / 6)
    # 2e-3: steps of η are rounded to 4e-15, 4e-8 of the gap; log y! adds a constant of 2.7e13
    assert fall - rise == pytest.approx(exact, abs=5e-3)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_the_fixed_point_is_penalised_poisson_regression(alpha):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 2))
    y = rng.poisson(np.exp(1 + X @ [0.5, -0.3])).astype(float)
    resp = rng.uniform(0.1, 1.0, (120, 2))
    expert = PoissonExpert(alpha)
    params = expert.init(X, y[:, None], resp, None)
    for _ in range(15):
        params = expert.maximize(params, expert.statistics(params, X, y[:, None], resp))
    for k in range(2):
        peer = PoissonRegressor(
            alpha=alpha / resp[:, k].sum(), tol=1e-12, solver="newton-cholesky", max_iter=1000
        ).fit(X, y, sample_weight=resp[:, k])
        # both are Newton's method at its end: 1e-8 is what the issue asks
        np.testing.assert_allclose(params["coef"][k, 1:], peer.coef_, rtol=1e-8)
        np.testing.assert_allclose(params["coef"][k, 0], peer.intercept_, rtol=1e-8)


def test_exposure_is_an_offset():
    """Twice the time at the same rate: rates are recovered whatever the times."""
    rng = np.random.default_rng(1)
    x, time = rng.uniform(-1, 1, 400), rng.uniform(0.1, 50, 400)
    y = rng.poisson(time * np.exp(0.5 + x))
    X = np.column_stack([x, np.log(time)])
    view = MixtureOfExpertsRegressor(1, expert="poisson", offset_feature=1).fit(X, y).experts_[0]
    # 5 standard errors of about 1/sqrt(16,000 events)
    assert view.coef_[0] == pytest.approx(1.0, abs=0.06)
    assert view.intercept_ == pytest.approx(0.5, abs=0.05)


def test_nothing_but_zeros_is_a_rate_of_next_to_nothing():
    X = np.linspace(-1, 1, 50)[:, None]
    with pytest.warns(UserWarning, match="do not determine"):
        model = MixtureOfExpertsRegressor(1, expert="poisson").fit(X, np.zeros(50))
    assert model.log_likelihood_ == pytest.approx(0.0, abs=1e-6)
    assert (model.predict(X) >= 0).all()
