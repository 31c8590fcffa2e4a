"""log_likelihood_scorer: the proper score, wherever the estimator sits."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_score,
    cross_validate,
)
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


# -- a scorer among scikit-learn's ---------------------------------------------------------------


def model(n_experts=1):
    return MixtureOfExpertsRegressor(n_experts, n_init=1, max_iter=5, random_state=0)


def test_it_stands_beside_other_scorers(crossing):
    X, y = crossing
    scoring = {"likelihood": log_likelihood_scorer, "r2": "r2", "again": log_likelihood_scorer}
    scores = cross_validate(model(), X, y, scoring=scoring, cv=3)
    assert_array_equal(scores["test_likelihood"], scores["test_again"])
    alone = cross_val_score(model(), X, y, scoring=log_likelihood_scorer, cv=3)
    assert_array_equal(scores["test_likelihood"], alone)
    grid = {"expert__alpha": [1e-6, 1e3]}
    search = GridSearchCV(model(), grid, scoring=scoring, refit="likelihood", cv=3).fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_likelihood"].max()
    assert_allclose(search.score(X, y), log_likelihood_scorer(search, X, y), rtol=1e-12)
    assert clone(search).scoring["likelihood"] == log_likelihood_scorer


def test_weights_reach_it_where_several_scorers_are_weighted(crossing):
    X, y = crossing
    fit, weight = model().fit(X, y), np.arange(200.0)
    options = dict(scoring={"a": log_likelihood_scorer, "b": "r2"}, n_repeats=1, random_state=0)
    plain = permutation_importance(fit, X, y, **options)
    weighted = permutation_importance(fit, X, y, sample_weight=weight, **options)
    assert plain["a"]["importances_mean"][0] != weighted["a"]["importances_mean"][0]


def test_metadata_reach_it_where_it_asks_for_them(crossing):
    X, y = crossing
    weight = np.arange(1.0, 201.0)
    asks = log_likelihood_scorer.set_score_request(sample_weight=True)
    named = log_likelihood_scorer.set_score_request(sample_weight="mass")
    folds = KFold(2)
    with config_context(enable_metadata_routing=True):
        estimator = model().set_fit_request(sample_weight=False)
        options = dict(cv=folds, params={"sample_weight": weight})
        found = cross_val_score(estimator, X, y, scoring=asks, **options)
        estimator = model()
        by_name = cross_val_score(estimator, X, y, scoring=named, cv=folds, params={"mass": weight})
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            cross_val_score(
                model().set_fit_request(sample_weight=False),
                X,
                y,
                scoring=log_likelihood_scorer,
                **options,
            )
    expected = []
    for train, test in folds.split(X):
        log_prob = model().fit(X[train], y[train]).log_prob(X[test], y[test])
        expected.append(np.average(log_prob, weights=weight[test]))
    assert_allclose(found, expected, rtol=1e-10)
    assert_allclose(by_name, expected, rtol=1e-10)


def test_groups_are_scored_whole_per_row(crossing):
    X, y = crossing
    groups = np.repeat(np.arange(50), 4)
    fit = MixtureOfExpertsRegressor(2, gate="constant", n_init=1, random_state=0)
    fit = fit.fit(X, y, groups=groups)
    expected = fit.log_prob(X, y, groups=groups).sum() / 200
    assert_allclose(log_likelihood_scorer(fit, X, y, groups=groups), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="takes sample_weight or groups; leave one out"):
        log_likelihood_scorer(fit, X, y, sample_weight=np.ones(200), groups=groups)
    asks = log_likelihood_scorer.set_score_request(groups=True)
    with config_context(enable_metadata_routing=True):
        fit.set_fit_request(groups=True)
        scores = cross_val_score(
            fit, X, y, scoring=asks, cv=GroupKFold(2), params={"groups": groups}
        )
    assert scores.shape == (2,) and np.isfinite(scores).all()


def test_a_request_makes_another_scorer():
    asks = log_likelihood_scorer.set_score_request(sample_weight=True)
    assert repr(log_likelihood_scorer) == "log_likelihood_scorer"
    assert repr(asks) == "log_likelihood_scorer.set_score_request(sample_weight=True)"
    assert asks != log_likelihood_scorer
    for scorer in (log_likelihood_scorer, asks):
        for copied in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
            assert copied == scorer and hash(copied) == hash(scorer)
    with pytest.raises(ValueError, match="alias"):
        log_likelihood_scorer.set_score_request(sample_weight=3)


def test_a_transformed_target_is_refused_in_one_sentence(crossing):
    X, y = crossing
    wrapped = TransformedTargetRegressor(model(), transformer=StandardScaler())
    sentence = "TransformedTargetRegressor has none; score its regressor_ on the transformed y, or"
    pipeline = make_pipeline(StandardScaler(), wrapped)
    for estimator in (wrapped, pipeline):
        with pytest.raises(TypeError, match=sentence):
            log_likelihood_scorer(estimator.fit(X, y), X, y)
        with pytest.raises(TypeError, match=sentence):
            cross_val_score(
                estimator, X, y, scoring=log_likelihood_scorer, cv=2, error_score="raise"
            )
