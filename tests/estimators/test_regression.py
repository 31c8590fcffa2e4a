"""MixtureOfExpertsRegressor: its numbers against formulas written out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.distribution import MixtureDistribution

ROUNDING = dict(rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module", params=[1, 2], ids=["one output", "two outputs"])
def fitted(request):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((150, 2)) * [1.0, 10.0] + 5
    left = X[:, 0] - 5 + 0.3 * rng.logistic(size=150) < 0
    y = np.where(left, X[:, 1], -2 * X[:, 1]) + rng.standard_normal(150)
    if request.param == 2:
        y = np.column_stack([y, 0.3 * y + 3 * X[:, 0] + rng.standard_normal(150)])
    return MixtureOfExpertsRegressor(2, n_init=4, random_state=0).fit(X, y), X, y


def test_shapes_are_those_of_y(fitted):
    model, X, y = fitted
    own = y.shape[1:]
    q = y[0].size
    assert model.predict(X).shape == y.shape
    assert [part.shape for part in model.predict(X, return_std=True)] == [y.shape, y.shape]
    assert model.predict_experts(X).shape == (150, 2, *own)
    assert model.log_prob(X, y).shape == (150,)
    assert model.sample(X)[0].shape == y.shape
    for expert in model.experts_:
        assert np.shape(expert.coef_) == (*own, 2)
        assert np.shape(expert.intercept_) == own
        assert np.shape(expert.scale_) == own
        assert expert.covariance_.shape == (q, q)
        assert expert.predict(X).shape == y.shape


def test_log_prob_is_the_mixture_of_normal_densities(fitted):
    model, X, y = fitted
    density = 0
    for k, expert in enumerate(model.experts_):
        mean = X @ np.transpose(expert.coef_) + expert.intercept_
        residual = (y - mean).reshape(len(X), -1)
        normal = stats.multivariate_normal(cov=expert.covariance_)
        density = density + model.gate_proba(X)[:, k] * normal.pdf(residual)
    assert_allclose(model.log_prob(X, y), np.log(density), **ROUNDING)


def test_predictions_are_gate_weighted_means(fitted):
    model, X, _ = fitted
    mean = np.einsum("nk,nk...->n...", model.gate_proba(X), model.predict_experts(X))
    assert_allclose(model.predict(X), mean, **ROUNDING)


def test_the_standard_deviation_is_the_law_of_total_variance(fitted):
    model, X, _ = fitted
    gate, means = model.gate_proba(X), model.predict_experts(X)
    within = np.stack([np.square(expert.scale_) for expert in model.experts_])
    between = (means - model.predict(X)[:, None]) ** 2
    variance = np.einsum("nk,nk...->n...", gate, within + between)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(std, np.sqrt(variance), **ROUNDING)
    assert_allclose(mean, model.predict(X), **ROUNDING)


def test_the_scale_is_the_root_of_the_covariance(fitted):
    for expert in fitted[0].experts_:
        assert_allclose(np.square(expert.scale_), np.squeeze(np.diagonal(expert.covariance_)))


def test_the_predicted_distribution_agrees_with_all_else(fitted):
    model, X, y = fitted
    dist = model.predict_dist(X)
    assert isinstance(dist, MixtureDistribution)
    assert_allclose(dist.mean(), model.predict(X), **ROUNDING)
    assert_allclose(dist.std(), model.predict(X, return_std=True)[1], **ROUNDING)
    assert_allclose(dist.logpdf(y), model.log_prob(X, y), **ROUNDING)
    low, high = dist.interval(0.9)
    assert low.shape == high.shape == y.shape
    assert abs(np.mean((low <= y) & (y <= high)) - 0.9) < 0.08  # ± 3 Monte Carlo errors
    assert_allclose(dist.cdf(low), 0.05, rtol=1e-9)


def test_samples_have_the_predicted_moments_and_shares(fitted):
    model, X, _ = fitted
    few = X[:3]
    draws = 4000
    sample, expert = model.sample(np.repeat(few, draws, axis=0), random_state=0)
    sample, expert = sample.reshape(3, draws, -1), expert.reshape(3, draws)
    mean, std = (part.reshape(3, -1) for part in model.predict(few, return_std=True))
    # Four Monte Carlo errors.
    assert (np.abs(sample.mean(axis=1) - mean) <= 4 * std / np.sqrt(draws)).all()
    squares = (sample - mean[:, None]) ** 2
    assert (np.abs(squares.mean(axis=1) - std**2) <= 4 * squares.std(axis=1) / draws**0.5).all()
    share, gate = (expert == 1).mean(axis=1), model.gate_proba(few)[:, 1]
    assert (np.abs(share - gate) <= 4 * np.sqrt(gate * (1 - gate) / draws) + 1e-12).all()
    # Given the expert, y is that expert's normal.
    k = expert[0].max()
    own = sample[0, expert[0] == k]
    own_mean = np.ravel(model.predict_experts(few)[0, k])
    own_sd = np.ravel(model.experts_[k].scale_)
    assert (np.abs(own.mean(axis=0) - own_mean) <= 4 * own_sd / np.sqrt(len(own))).all()


def test_samples_can_be_repeated(fitted):
    model, X, _ = fitted
    for one, other in zip(model.sample(X, 3), model.sample(X, 3), strict=True):
        assert_array_equal(one, other)
    assert not np.array_equal(model.sample(X, 3)[0], model.sample(X, 4)[0])
    assert model.sample(X, np.random.default_rng(0))[1].shape == (150,)


def test_the_score_is_r_squared(fitted):
    model, X, y = fitted
    weight = np.arange(1.0, 151)
    residual = weight @ (y - model.predict(X)) ** 2
    total = weight @ (y - np.average(y, axis=0, weights=weight)) ** 2
    assert_allclose(model.score(X, y, weight), np.mean(1 - residual / total), rtol=1e-10)


def test_the_fit_recovers_the_truth():
    """Two planes and a gate; within four standard errors at n = 4000."""
    rng = np.random.RandomState(5)
    X = rng.uniform(-1, 1, size=(4000, 2))
    gate = 1 / (1 + np.exp(-(0.5 + 3 * X[:, 0] - X[:, 1])))
    first = rng.uniform(size=4000) < gate
    y = np.where(first, 1 + X @ [2.0, 0.0], -1 + X @ [-1.0, 3.0])
    y = y + np.where(first, 0.3, 0.6) * rng.standard_normal(4000)
    model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    one, two = model.experts_
    assert_allclose(one.coef_, [2, 0], atol=0.06)
    assert_allclose(two.coef_, [-1, 3], atol=0.12)
    assert_allclose([one.intercept_, two.intercept_], [1, -1], atol=0.08)
    assert_allclose([one.scale_, two.scale_], [0.3, 0.6], rtol=0.08)
    assert_allclose(model.gate_.coef_[0], [3, -1], atol=0.5)
    assert_allclose(model.weights_[0], first.mean(), atol=0.02)


def test_several_outputs_that_are_independent_are_fitted_as_one_model():
    """One gate for all outputs; correlated noise is in the covariance."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((600, 1))
    noise = rng.multivariate_normal([0, 0], [[1.0, 0.8], [0.8, 1.0]], size=600)
    y = np.column_stack([X[:, 0], -X[:, 0]]) + noise
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    correlation = model.experts_[0].covariance_
    correlation = correlation[0, 1] / np.sqrt(correlation[0, 0] * correlation[1, 1])
    assert_allclose(correlation, 0.8, atol=0.06)


def test_a_single_column_of_y_stays_a_column():
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((200, 2)), rng.standard_t(4, size=200)
    flat = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(X, y)
    column = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(X, y[:, None])
    assert column.predict(X).shape == (200, 1)
    assert column.predict_experts(X).shape == (200, 2, 1)
    assert column.experts_[0].coef_.shape == (1, 2)
    assert_array_equal(column.log_prob(X, y[:, None]), flat.log_prob(X, y))
    assert_array_equal(column.predict(X)[:, 0], flat.predict(X))


def test_gaussian_experts_ignore_x():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((80, 3))
    y = np.sign(X[:, 0] + 0.3 * rng.logistic(size=80)) + 0.3 * rng.standard_normal(80)
    model = MixtureOfExpertsRegressor(2, expert="gaussian", n_init=2, random_state=0).fit(X, y)
    means = model.predict_experts(X)
    assert_array_equal(means, np.broadcast_to(means[0], means.shape))
    assert model.experts_[0].coef_.shape == (0,)
    assert model.experts_[0].predict(X).shape == (80,)
    assert "ignores x" in str(model.summary())


@pytest.mark.parametrize("text", ["3.5", b"3.5"])
def test_numbers_written_as_text_are_numbers(text):
    y = np.array([text, *map(str, range(19))], dtype=object)
    X = np.arange(20.0)[:, None] ** 0.5
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    assert_allclose(
        model.predict(X), MixtureOfExpertsRegressor(1).fit(X, y.astype(float)).predict(X)
    )
