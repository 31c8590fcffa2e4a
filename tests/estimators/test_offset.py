"""`offset_feature`: a column with coefficient 1, through the estimator and all that wraps it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

OFFSET = dict(expert="poisson", offset_feature="log_exposure", random_state=0)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, exposure = rng.uniform(-2, 2, 300), rng.uniform(0.5, 20, 300)
    rate = np.exp(np.where(x > 0, 0.5 - x, 0.5 + x))
    X = pd.DataFrame({"x": x, "log_exposure": np.log(exposure)})
    return X, rng.poisson(rate * exposure).astype(float)


@pytest.fixture(scope="module")
def fitted(data):
    return MixtureOfExpertsRegressor(2, **OFFSET).fit(*data)


def test_neither_gate_nor_experts_see_the_offset_otherwise(fitted):
    assert list(fitted.gate_.feature_names_in_) == ["x"]
    assert fitted.gate_.coef_.shape == (2, 1)
    assert [list(expert.feature_names_in_) for expert in fitted.experts_] == [["x"], ["x"]]
    # intercept and slope an expert, and the two of the gate
    assert fitted.n_parameters_ == 6


def test_the_rates_are_recovered(fitted):
    slopes = sorted(expert.coef_[0] for expert in fitted.experts_)
    np.testing.assert_allclose(slopes, [-1, 1], atol=0.1)
    np.testing.assert_allclose([e.intercept_ for e in fitted.experts_], 0.5, atol=0.15)


def test_more_exposure_means_more_counts_in_proportion(fitted, data):
    X, _ = data
    doubled = X.assign(log_exposure=X["log_exposure"] + np.log(2))
    np.testing.assert_allclose(fitted.predict(doubled), 2 * fitted.predict(X))
    np.testing.assert_allclose(fitted.predict_experts(doubled), 2 * fitted.predict_experts(X))
    np.testing.assert_allclose(fitted.predict_dist(doubled).mean(), 2 * fitted.predict(X))
    np.testing.assert_array_equal(fitted.gate_proba(doubled), fitted.gate_proba(X))
    view = fitted.experts_[0]
    np.testing.assert_allclose(view.predict(X), fitted.predict_experts(X)[:, 0])
    rate = view.predict(X[["x"]])  # its own column alone: of one unit of exposure
    np.testing.assert_allclose(view.predict(X), rate * np.exp(X["log_exposure"]))


def test_the_unit_of_exposure_only_moves_the_intercepts(data, fitted):
    X, y = data
    thousands = X.assign(log_exposure=X["log_exposure"] - np.log(1000))
    other = MixtureOfExpertsRegressor(2, **OFFSET).fit(thousands, y)
    assert other.log_likelihood_ == pytest.approx(fitted.log_likelihood_, rel=1e-7)
    for ours, theirs in zip(fitted.experts_, other.experts_, strict=True):
        # both fits end within tol of the optimum: 1e-7 a row is about 1e-3 in a parameter
        np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=1e-3)
        assert theirs.intercept_ == pytest.approx(ours.intercept_ + np.log(1000), abs=1e-3)


def test_a_constant_offset_is_an_intercept(data):
    X, y = data
    with_constant = X.assign(log_exposure=1.5)
    one = MixtureOfExpertsRegressor(1, **OFFSET).fit(with_constant, y)
    plain = MixtureOfExpertsRegressor(1, expert="poisson", expert_features=["x"]).fit(X, y)
    assert one.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-10)
    assert one.experts_[0].intercept_ == pytest.approx(plain.experts_[0].intercept_ - 1.5)


def test_the_offset_survives_pipelines_searches_and_cross_validation(data, fitted):
    X, y = data
    moe = MixtureOfExpertsRegressor(2, n_init=2, **OFFSET)
    pipeline = make_pipeline(FunctionTransformer(), moe)
    search = GridSearchCV(pipeline, {"mixtureofexpertsregressor__n_experts": [1, 2]}, cv=3)
    search.fit(X, y)
    assert search.best_params_ == {"mixtureofexpertsregressor__n_experts": 2}
    assert search.best_score_ > 0.6
    predicted = cross_val_predict(pipeline, X, y, cv=3)
    assert np.corrcoef(predicted, fitted.predict(X))[0, 1] > 0.99


@pytest.mark.parametrize("key", [1, [1], slice(1, 2), -1, [False, True]])
def test_the_column_may_be_named_in_any_way(data, fitted, key):
    X, y = data
    options = OFFSET | dict(offset_feature=key)
    model = MixtureOfExpertsRegressor(2, **options).fit(X.to_numpy(), y)
    assert model.log_likelihood_ == pytest.approx(fitted.log_likelihood_, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (dict(offset_feature=["x", "log_exposure"]), r"names 2 columns; it must be one"),
        (dict(offset_feature="exposure"), r"offset_feature names column 'exposure'"),
        (dict(expert_features=["x", "log_exposure"]), r"expert_features names column 1, which is"),
        (dict(gate_features="log_exposure"), r"gate_features names column 1, which is the offset"),
        (dict(expert="linear"), r"LinearExpert takes no offset; leave it None"),
        (dict(expert="gaussian"), r"GaussianExpert takes no offset"),
    ],
)
def test_an_offset_that_cannot_be_is_refused_in_one_sentence(data, options, match):
    with pytest.raises(ValueError, match=match):
        MixtureOfExpertsRegressor(2, **OFFSET | options).fit(*data)


def test_classifiers_take_no_offset():
    with pytest.raises(ValueError, match=r"offset_feature=0: SoftmaxExpert takes no offset"):
        MixtureOfExpertsClassifier(2, offset_feature=0).fit([[0, 1], [1, 0]] * 5, [0, 1] * 5)


def test_groups_and_offset_go_together(data):
    X, y = data
    groups = np.arange(len(y)) // 3
    model = MixtureOfExpertsRegressor(2, gate_features=[], n_init=3, **OFFSET)
    model.fit(X, y, groups=groups)
    assert np.diff(model.lower_bounds_).min() >= -1e-9
    values = model.log_prob(X, y, groups=groups)
    assert model.log_likelihood_ == pytest.approx(values.sum(), rel=1e-10)
