"""log_likelihood_scorer: the proper score, wherever the estimator sits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    log_likelihood_scorer,
)


@pytest.fixture(scope="module")
def crossing():
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(200, 1))
    sign = np.where(rng.uniform(size=200) < 0.5, 1, -1)
    return X, 3 * sign * X[:, 0] + 0.3 * rng.standard_normal(200)


@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_it_is_the_mean_log_prob_per_unit_of_weight(crossing, kind):
    X, y = crossing
    y = y if kind is MixtureOfExpertsRegressor else y > 0.5
    model = kind(1).fit(X, y)
    weight = np.arange(200.0)
    log_prob = model.log_prob(X, y)
    assert_allclose(log_likelihood_scorer(model, X, y), log_prob.mean(), rtol=1e-12)
    weighted = log_likelihood_scorer(model, X, y, sample_weight=weight)
    assert_allclose(weighted, weight @ log_prob / weight.sum(), rtol=1e-12)
    assert isinstance(weighted, float)


def test_it_sees_through_pipelines_and_searches(crossing):
    X, y = crossing
    pipeline = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(1)).fit(X, y)
    expected = pipeline[-1].log_prob(pipeline[0].transform(X), y).mean()
    assert_allclose(log_likelihood_scorer(pipeline, X, y), expected, rtol=1e-12)
    alone = make_pipeline(MixtureOfExpertsRegressor(1)).fit(X, y)
    assert_allclose(log_likelihood_scorer(alone, X, y), alone[-1].log_prob(X, y).mean())
    inner = GridSearchCV(
        pipeline,
        {"mixtureofexpertsregressor__expert__alpha": [1e-6, 1.0]},
        scoring=log_likelihood_scorer,
        cv=2,
    ).fit(X, y)
    assert np.isfinite(log_likelihood_scorer(inner, X, y))
    nested = make_pipeline(StandardScaler(), inner).fit(X, y)
    assert np.isfinite(log_likelihood_scorer(nested, X, y))


def test_it_finds_the_number_of_experts_that_r_squared_cannot(crossing):
    """Two crossing lines have the same mean everywhere: only the density tells them apart."""
    X, y = crossing
    options = dict(gate="constant", n_init=3, random_state=0)
    likelihood, r_squared = (
        [
            cross_val_score(MixtureOfExpertsRegressor(k, **options), X, y, scoring=s, cv=3).mean()
            for k in (1, 2)
        ]
        for s in (log_likelihood_scorer, None)
    )
    assert likelihood[1] > likelihood[0] + 0.3
    assert abs(r_squared[1] - r_squared[0]) < 0.1


@pytest.mark.parametrize("weight", [np.zeros(200), -np.ones(200), np.ones(3)])
def test_weights_that_are_none_are_refused(crossing, weight):
    X, y = crossing
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        log_likelihood_scorer(model, X, y, sample_weight=weight)


@pytest.mark.parametrize("objective", ["expected_error", "blended_error"])
def test_an_error_function_is_told_from_an_estimator_of_others(crossing, objective):
    X, y = crossing
    model = AdaptiveLocalExpertsRegressor(1, objective=objective, solver="lbfgs").fit(X, y)
    with pytest.raises(TypeError, match=f"no likelihood under objective='{objective}'"):
        log_likelihood_scorer(model, X, y)


def test_an_estimator_without_densities_is_refused(crossing):
    X, y = crossing
    with pytest.raises(TypeError, match=r"needs an estimator with log_prob, LinearRegression has"):
        log_likelihood_scorer(LinearRegression().fit(X, y), X, y)
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)
    with pytest.raises(TypeError, match=r"LinearRegression has none"):
        log_likelihood_scorer(pipeline, X, y)
