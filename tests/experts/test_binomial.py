"""Binomial experts: successes and failures in two columns."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, SeparationWarning
from classic_moe.experts import BinomialExpert, LogisticExpert


def data(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    trials = rng.integers(0, 8, n)
    successes = rng.binomial(trials, 1 / (1 + np.exp(-0.5 - X @ [1.5, -1.0])))
    return X, 1.0 * np.column_stack([successes, trials - successes])


def fitted(X, y, alpha=0.0, **options):
    return MixtureOfExpertsRegressor(1, expert=BinomialExpert(alpha), **options).fit(X, y)


@pytest.mark.parametrize("eta", [-40.0, -3.0, 0.0, 1.5, 40.0])
def test_log_prob_is_scipys(eta):
    y = np.array([[0, 0], [0, 3], [3, 0], [2, 5], [60, 40]], dtype=float)
    got = BinomialExpert().log_prob({"coef": np.array([[eta]])}, np.zeros((5, 0)), y)[:, 0]
    # by the smaller probability: scipy is handed p, which at η = 40 is 1 to the last digit
    few, p = (y[:, 0], eta) if eta < 0 else (y[:, 1], -eta)
    expected = stats.binom(y.sum(axis=1), 1 / (1 + np.exp(-p))).logpmf(few)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_trials_together_are_the_trials_one_by_one():
    X, y = data()
    together = fitted(X, y)
    rows = np.repeat(np.arange(len(X)), y.sum(axis=1).astype(int))
    single = np.concatenate([[1.0] * int(s) + [0.0] * int(f) for s, f in y])
    apart = fitted(X[rows], single, standardize=False)
    # two convergences to rounding of the log-likelihood
    np.testing.assert_allclose(together.experts_[0].coef_, apart.experts_[0].coef_, rtol=1e-7)
    ways = gammaln(y.sum(axis=1) + 1) - gammaln(y + 1).sum(axis=1)
    difference = together.log_likelihood_ - apart.log_likelihood_
    assert difference == pytest.approx(ways.sum(), rel=1e-9)


def test_zeros_and_ones_are_the_logistic_expert():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 2))
    y = (X[:, 0] + rng.logistic(size=100) > 0).astype(float)
    model = fitted(X, y, alpha=0.1)
    peer = MixtureOfExpertsClassifier(1, expert=LogisticExpert(0.1)).fit(X, y)
    np.testing.assert_allclose(model.experts_[0].coef_, peer.experts_[0].coef_[0], rtol=1e-7)
    np.testing.assert_allclose(model.predict(X), peer.predict_proba(X)[:, 1], rtol=1e-7)
    assert model.log_likelihood_ == pytest.approx(peer.log_likelihood_, rel=1e-10)
    assert BinomialExpert().alpha == LogisticExpert().alpha


def test_rows_without_trials_say_nothing():
    X, y = data()
    empty = y.sum(axis=1) == 0
    assert empty.any()
    with_them, without = fitted(X, y), fitted(X[~empty], y[~empty])
    np.testing.assert_allclose(with_them.experts_[0].coef_, without.experts_[0].coef_, rtol=1e-7)
    assert with_them.log_likelihood_ == pytest.approx(without.log_likelihood_, rel=1e-10)
    assert np.isfinite(fitted(X, np.zeros_like(y)).predict(X)).all()


def test_the_response_is_the_share_of_successes_and_the_number_of_trials():
    expert = BinomialExpert()
    y = expert.target.encode(np.array([[3.0, 1.0], [0.0, 0.0], [0.0, 2.0]]))
    share, trials = expert.target.response(y)
    assert share.tolist() == [[0.75], [0.5], [0.0]] and trials.tolist() == [4, 0, 2]
    assert expert.target.encode(np.array([1.0, 0.0])).tolist() == [[1, 0], [0, 1]]


def test_the_predictive_distribution_is_that_of_one_trial():
    X, y = data()
    model = fitted(X, y)
    dist = model.predict_dist(X)
    np.testing.assert_allclose(dist.mean(), model.predict(X), rtol=1e-12)
    np.testing.assert_allclose(dist.pdf(0) + dist.pdf(1), 1, rtol=1e-12)


def test_separated_successes_and_failures_are_finite_and_found():
    X = np.linspace(-1, 1, 40)[:, None]
    y = np.where(X > 0, [4.0, 0.0], [0.0, 3.0])
    with pytest.warns(SeparationWarning, match="the rows of expert 0 do not determine"):
        model = fitted(X, y, alpha=0.0)
    assert np.isfinite(model.experts_[0].coef_).all()
    assert model.log_likelihood_ == pytest.approx(0.0, abs=1e-3)
