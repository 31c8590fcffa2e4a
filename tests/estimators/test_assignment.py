"""`assignment="hard"`: the gate's most probable expert alone, in all that predicts."""

import numpy as np
import pytest
from scipy.stats import norm

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.parts.params import ravel


@pytest.fixture(scope="module")
def pair():
    X, y = load_motorcycle(return_X_y=True)
    soft = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    hard = MixtureOfExpertsRegressor(3, assignment="hard", random_state=0).fit(X, y)
    return soft, hard, X, y


def test_the_fit_is_the_same(pair):
    soft, hard, X, _ = pair
    np.testing.assert_array_equal(ravel(hard.params_), ravel(soft.params_))
    assert hard.log_likelihood_ == soft.log_likelihood_
    np.testing.assert_array_equal(hard.gate_proba(X), soft.gate_proba(X))


def test_predictions_are_those_of_the_most_probable_expert(pair):
    _, hard, X, y = pair
    best = hard.assign(X)
    mean = hard.predict_experts(X)[np.arange(len(X)), best]
    scale = np.array([expert.scale_ for expert in hard.experts_])[best]
    np.testing.assert_allclose(hard.predict(X), mean)
    np.testing.assert_allclose(hard.log_prob(X, y), norm.logpdf(y, mean, scale))
    dist = hard.predict_dist(X)
    np.testing.assert_allclose(dist.std(), scale)
    np.testing.assert_allclose(dist.ppf(0.9), norm.ppf(0.9, mean, scale))
    np.testing.assert_array_equal(hard.sample(X, random_state=0)[1], best)
    np.testing.assert_allclose(hard.predict(X, return_std=True)[1], scale)


def test_it_may_be_changed_after_the_fit(pair):
    soft, hard, X, _ = pair
    before = soft.predict(X)
    soft.set_params(assignment="hard")
    np.testing.assert_array_equal(soft.predict(X), hard.predict(X))
    soft.set_params(assignment="soft")
    np.testing.assert_array_equal(soft.predict(X), before)


def test_a_group_follows_its_most_probable_expert(pair):
    _, hard, X, y = pair
    X, y = np.repeat(X[::10], 2, axis=0), np.repeat(y[::10], 2)
    groups = np.arange(len(y)) // 2
    by_rows = hard.log_prob(X, y).reshape(-1, 2).sum(axis=1)
    np.testing.assert_allclose(hard.log_prob(X, y, groups=groups), by_rows)


def test_classifiers_predict_with_the_most_probable_expert():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    model = MixtureOfExpertsClassifier(2, assignment="hard", random_state=0).fit(X, y)
    best = model.assign(X)
    proba = model.predict_experts(X)[np.arange(200), best]
    np.testing.assert_allclose(model.predict_proba(X), proba, atol=1e-12)
    codes = np.searchsorted(model.classes_, y)
    np.testing.assert_allclose(model.log_prob(X, y), np.log(proba[np.arange(200), codes]))
    np.testing.assert_array_equal(model.sample(X, random_state=0)[1], best)
