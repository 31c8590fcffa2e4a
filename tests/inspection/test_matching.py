"""match_experts: a fit under the numbers of the truth, or of another fit."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import match_experts


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(240, n_features=2, random_state=0, return_truth=True)


def fit(n_experts, data):
    return MixtureOfExpertsRegressor(n_experts, n_init=2, random_state=0).fit(*data[:2])


@pytest.fixture(scope="module")
def model(data):
    model = fit(3, data)
    assert (model.assign(*data[:2]) == data[2].labels).mean() < 0.5  # else nothing is shown
    return model


@pytest.mark.parametrize("rows", [0, 1, 2], ids=["lines", "X", "X and y"])
def test_the_fit_has_the_numbers_of_the_truth(rows, model, data):
    X, y, truth = data
    matched = match_experts(model, truth, *(X, y)[:rows])
    assert (matched.assign(X, y) == truth.labels).mean() > 0.95
    np.testing.assert_allclose(matched.predict(X), model.predict(X))
    slopes = np.array([view.coef_ for view in matched.experts_])
    # The truth's noise has sd 0.1: slopes from 80 rows each are right to some hundredths.
    np.testing.assert_allclose(slopes, truth.params["expert"]["coef"], atol=0.2)


@pytest.mark.parametrize("rows", [0, 1, 2], ids=["lines", "X", "X and y"])
def test_further_experts_have_the_last_numbers(rows, data):
    X, y, truth = data
    matched = match_experts(fit(4, data), truth, *(X, y)[:rows])
    assert (matched.assign(X, y) == truth.labels).mean() > 0.85


def test_two_fits_and_pipelines(model, data):
    X, y, truth = data
    scaled = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(3, n_init=2, random_state=0))
    scaled.fit(X, y)
    matched = match_experts(scaled, truth, X)
    assert type(matched) is type(scaled)
    own = matched[-1].assign(matched[:-1].transform(X), y)
    assert (own == truth.labels).mean() > 0.95
    named = match_experts(model, truth, X)
    again = match_experts(make_pipeline(model).fit(X, y), named, X, y)
    assert (again[-1].assign(X, y) == named.assign(X, y)).all()
    assert (model.assign(X, y) != named.assign(X, y)).any()  # the given fit is as it was


def test_a_search_gives_its_best_estimator(data):
    X, y, truth = data
    search = GridSearchCV(
        MixtureOfExpertsRegressor(3, n_init=1, random_state=0), {"tol": [1e-4]}, cv=2
    )
    matched = match_experts(search.fit(X, y), truth, X)
    assert (matched.assign(X, y) == truth.labels).mean() > 0.95


@pytest.mark.parametrize(
    "case, message",
    [
        ("few", "the reference has 3 experts and the model 2"),
        ("rows", "X has 10 rows and the truth 240"),
        ("other", "LinearRegression is no fitted mixture"),
        ("columns", "no lines of the same columns; pass X"),
    ],
)
def test_what_cannot_be_matched_is_refused(case, message, model, data):
    X, y, truth = data
    with pytest.raises(ValueError, match=message):
        if case == "few":
            match_experts(fit(2, data), truth, X)
        elif case == "rows":
            match_experts(model, truth, X[:10], y[:10])
        elif case == "other":
            match_experts(LinearRegression().fit(X, y), truth, X)
        else:
            other = make_piecewise_regression(50, random_state=0, return_truth=True)[2]
            match_experts(model, other)
