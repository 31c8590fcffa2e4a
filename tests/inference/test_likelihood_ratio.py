"""The likelihood-ratio test of nested models: its numbers, and what is no such test."""

import numpy as np
import pytest
from scipy.stats import chi2, f
from sklearn.linear_model import LinearRegression

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import LinearExpert, SoftmaxExpert
from classic_moe.gates import GaussianGate, SoftmaxGate
from classic_moe.inference import likelihood_ratio_test

LINEAR = LinearExpert(alpha=0, variance_prior=0)


def make(n=120, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 3))
    y = np.where(rng.rand(n) < 0.5, 4 + X[:, 0], -4 - X[:, 0]) + rng.standard_normal(n)
    return X, y


def fitted(X, y, K=2, weight=None, **options):
    options = dict(expert=LINEAR, gate="constant", random_state=0, n_init=3) | options
    return MixtureOfExpertsRegressor(K, **options).fit(X, y, weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_with_one_expert_it_is_the_f_test_of_least_squares(weighted):
    X, y = make(60)
    weight = np.random.RandomState(1).randint(0, 4, size=60) if weighted else np.ones(60, int)
    small = fitted(X, y, 1, weight, expert_features=[0])
    large = fitted(X, y, 1, weight)
    found = likelihood_ratio_test(small, large, X, y, sample_weight=weight)
    rss = [
        weight @ (y - LinearRegression().fit(X[:, own], y, weight).predict(X[:, own])) ** 2
        for own in ([0], [0, 1, 2])
    ]
    n = weight.sum()
    np.testing.assert_allclose(found.statistic, n * np.log(rss[0] / rss[1]), rtol=1e-8)
    assert found.df == 2
    assert found.pvalue == chi2.sf(found.statistic, 2)
    # The F test says the same, up to terms of order 1/n.
    ratio = (np.exp(found.statistic / n) - 1) * (n - 4) / 2
    np.testing.assert_allclose(found.pvalue, f.sf(ratio, 2, n - 4), atol=2 / n)


@pytest.mark.parametrize(
    "smaller, larger, df",
    [
        ({}, dict(gate=SoftmaxGate(alpha=0)), 3),
        (dict(expert_features=[0]), {}, 4),
        (dict(expert=LinearExpert(alpha=0, variance_prior=0, covariance_type="tied")), {}, 1),
        (dict(expert=LinearExpert(alpha=0, variance_prior=0, variance=1.0)), {}, 2),
    ],
    ids=["gate", "columns", "tied", "given variance"],
)
def test_models_that_differ_by_less_than_an_expert(smaller, larger, df):
    X, y = make()
    small, large = fitted(X, y, **smaller), fitted(X, y, **larger)
    found = likelihood_ratio_test(small, large, X, y)
    gain = large.log_prob(X, y).sum() - small.log_prob(X, y).sum()
    np.testing.assert_allclose(found.statistic, 2 * gain, rtol=1e-6)
    assert found.df == df
    assert 0 < found.pvalue <= 1


def test_classes_and_groups_are_tested_too():
    X, y = make()
    options = dict(expert=SoftmaxExpert(alpha=0), gate="constant", random_state=0)
    small = MixtureOfExpertsClassifier(1, expert_features=[0], **options).fit(X, y > 0)
    large = MixtureOfExpertsClassifier(1, **options).fit(X, y > 0)
    assert likelihood_ratio_test(small, large, X, y > 0).df == 2
    groups = np.repeat(np.arange(60), 2)
    options = dict(expert=LINEAR, gate="constant", random_state=0)
    small = MixtureOfExpertsRegressor(2, expert_features=[0], **options).fit(X, y, groups=groups)
    start = small.responsibilities(X, y, groups)
    large = MixtureOfExpertsRegressor(2, init_params=start, **options).fit(X, y, groups=groups)
    found = likelihood_ratio_test(small, large, X, y, groups=groups)
    values = [fit.log_prob(X, y, groups).sum() for fit in (small, large)]
    np.testing.assert_allclose(found.statistic, 2 * (values[1] - values[0]), rtol=1e-6)


def test_where_gates_model_x_the_likelihoods_are_joint():
    X, y = make()
    gate = dict(gate=GaussianGate(variance_prior=0))
    small = fitted(X, y, expert_features=[0], **gate)
    large = fitted(X, y, **gate)
    found = likelihood_ratio_test(small, large, X, y)
    gain = large.joint_log_likelihood_ - small.joint_log_likelihood_
    np.testing.assert_allclose(found.statistic, 2 * gain)
    with pytest.raises(ValueError, match="the likelihood is joint, of x and y, in small and of y"):
        likelihood_ratio_test(small, fitted(X, y), X, y)


def test_what_is_no_likelihood_ratio_is_refused_in_one_sentence():
    X, y = make(80)
    small, large = fitted(X, y, expert_features=[0]), fitted(X, y)

    def refuses(message, *fits, **options):
        with pytest.raises(ValueError, match=message):
            likelihood_ratio_test(*fits, *(options.pop("rows", (X, y))), **options)

    refuses("use bootstrap_likelihood_ratio_test", fitted(X, y, 1), large)
    refuses("the first has to be the smaller model", large, small)
    refuses("the first has to be the smaller model", large, large)
    refuses("small: its log-likelihood is .* on these rows", small, large, rows=(X[1:], y[1:]))
    refuses("pass the rows, weights and groups", small, large, sample_weight=np.full(80, 2.0))
    penalised = fitted(X, y, expert="linear")
    refuses("fit both models with expert__alpha=0, expert__variance_prior=0", small, penalised)
    refuses("compare families by bic", small, fitted(X, y, expert="laplace"))
    shares = fitted(X, y, normalize_weights=True)
    refuses("which are no frequencies", small, shares)
    refuses("the number of columns of X is 3 in small and 2", small, fitted(X[:, :2], y))
    classes = MixtureOfExpertsClassifier(2, random_state=0, n_init=1).fit(X, y > 0)
    refuses("the task is regression in small and classification", small, classes)
    refuses("does not maximise a likelihood", small, fitted(X, y, gate="least_squares"))
    short = AdaptiveLocalExpertsRegressor(
        2, expert=LINEAR, gate="constant", objective="expected_error", max_iter=2
    )
    with pytest.warns(UserWarning, match="did not converge"):
        short.fit(X, y)
    refuses("has no likelihood", small, short)
    other = fitted(X, y, expert_features=[1])
    refuses("the expert of small sees column x1", other, fitted(X, y, expert_features=[0, 2]))
    with pytest.warns(UserWarning, match="did not converge"):
        start = dict(init_params=small.responsibilities(X, y), max_iter=1, tol=1e-15)
        early = fitted(X, y, solver="em", **start)
    refuses("large has not converged in 1 iteration", small, early)


def test_a_larger_model_at_a_poorer_maximum_is_told_to_start_from_the_smaller():
    X, y = make()
    small = fitted(X, y, expert_features=[0])
    upside_down = np.column_stack([X[:, 1] > 0, X[:, 1] <= 0]).astype(float)
    with pytest.warns(UserWarning, match="did not converge"):
        poor = fitted(X, y, init_params=upside_down, max_iter=1)
    with pytest.raises(ValueError, match="the responsibilities of small as init_params"):
        likelihood_ratio_test(small, poor, X, y)
    better = fitted(X, y, init_params=small.responsibilities(X, y))
    assert likelihood_ratio_test(small, better, X, y).statistic > 0
