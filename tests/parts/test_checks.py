"""What is asked of tables and fitted estimators, whoever made them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from classic_moe.parts.checks import can, fitted_fact, is_table, unwrap

X = np.random.default_rng(0).normal(3, 2, size=(30, 2))
y = X[:, 0]
FOLDS = {"param_grid": {}, "cv": 2}


def layers(estimator):
    """Put a search in a Pipeline in a search in a Pipeline."""
    inner = make_pipeline(MinMaxScaler(), GridSearchCV(estimator, **FOLDS))
    return make_pipeline(StandardScaler(), GridSearchCV(inner, **FOLDS))


def test_an_estimator_is_found_below_pipelines_and_searches_with_what_they_do_to_x():
    outer = layers(LinearRegression()).fit(X, y)
    model, transform = unwrap(outer)
    assert type(model) is LinearRegression
    np.testing.assert_array_equal(model.predict(transform(X)), outer.predict(X))
    scaled = MinMaxScaler().fit_transform(StandardScaler().fit_transform(X))
    np.testing.assert_array_equal(transform(X), scaled)


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: Pipeline([("model", e)])])
def test_x_stays_as_it_is_where_nothing_is_done_to_it(wrap):
    estimator = LinearRegression().fit(X, y)
    model, transform = unwrap(wrap(estimator))
    assert model is estimator
    assert transform(X) is X


def test_a_search_that_was_not_fitted_is_what_it_is():
    search = GridSearchCV(LinearRegression(), **FOLDS)
    assert unwrap(search)[0] is search


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_tables_are_told_from_arrays(frame):
    assert is_table(frame({"a": [1.0]}))
    assert not is_table(X)
    assert not is_table(None)


def test_absent_facts_have_a_default_and_absent_methods_are_not_there():
    model = LinearRegression()
    assert fitted_fact(model, "coef_") is None
    assert fitted_fact(model.fit(X, y), "coef_") is model.coef_
    assert can(model, "fit", "predict")
    assert not can(model, "predict", "predict_proba")
