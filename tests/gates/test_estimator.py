"""Classifiers of scikit-learn as gates: their soft targets, when a refit counts, the order."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.gates import EstimatorGate, SoftmaxGate
from classic_moe.testing import check_gate

EXACT = 1e-10  # the same sums in another order
UNITS = Units(Scaling.identity(2), Scaling.identity(1))


class Recorder(ClassifierMixin, BaseEstimator):
    """Predicts shares of the weights, and keeps what it was given."""

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        self.shares_ = np.bincount(y, weights=sample_weight)[self.classes_] / sample_weight.sum()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self.shares_.argmax()])

    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))


class Fickle(GaussianNB):
    """Of which half the fits are no good."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.spoilt_ = sample_weight[0] > sample_weight[1]
        return self

    def predict_proba(self, X):
        return super().predict_proba(X)[:, :: -1 if self.spoilt_ else 1]


def problem(n=60, K=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    targets = np.exp(X @ rng.standard_normal((2, K)) + 0.5 * rng.standard_normal((n, K)))
    return X, targets / targets.sum(axis=1, keepdims=True) * rng.uniform(0.5, 2.0, (n, 1))


def start(estimator, data):
    gate = EstimatorGate(estimator)
    return gate, gate.init(*data, np.random.RandomState(0))


def objective(gate, params, X, resp):
    return np.sum(resp * gate.log_prob(params, X))


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GaussianNB(),
        DecisionTreeClassifier(max_depth=2),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_classifiers_keep_the_promises_of_a_gate(classifier):
    check_gate(EstimatorGate(classifier))


# -- what the classifier is given ----------------------------------------------------------------


def test_soft_targets_are_rows_with_every_label():
    X, resp = data = problem()
    _, params = start(Recorder(), data)
    seen = params["estimator"][0]
    order = np.lexsort((np.tile(np.arange(60), 3), seen.y_))
    np.testing.assert_array_equal(seen.y_[order], np.repeat([0, 1, 2], 60))
    np.testing.assert_array_equal(seen.X_[order], np.tile(X, (3, 1)))
    np.testing.assert_array_equal(seen.weight_[order], resp.T.ravel())


def test_the_weights_of_a_pipeline_reach_its_last_step():
    _, resp = data = problem()
    _, params = start(make_pipeline(StandardScaler(), Recorder()), data)
    assert params["estimator"][0][-1].weight_.sum() == pytest.approx(resp.sum())


def test_rows_of_negligible_responsibility_are_left_out():
    X, resp = problem()
    resp[:10] = [0.5, 0.5, 0.9e-8]
    resp[10:20] = [50.0, 50.0, 0.9e-6]  # it is the share of the row that counts
    _, params = start(Recorder(), (X, resp))
    seen = params["estimator"][0]
    np.testing.assert_array_equal(seen.X_[seen.y_ == 2], X[20:])
    np.testing.assert_array_equal(seen.X_[seen.y_ == 1], X)


def test_refits_share_a_seed_and_leave_the_classifier_alone():
    X, resp = data = problem()
    forest = RandomForestClassifier(3, random_state=7)
    gate, params = start(make_pipeline(StandardScaler(), forest), data)
    new = gate.maximize(params, gate.statistics(params, X, 1.0 + resp))
    _, again = start(make_pipeline(StandardScaler(), forest), data)
    seeds = {p["estimator"][0][-1].random_state for p in (params, new, again)}
    assert len(seeds) == 1 and seeds != {7} and forest.random_state == 7
    np.testing.assert_array_equal(gate.log_prob(params, X), gate.log_prob(again, X))


# -- the probabilities ---------------------------------------------------------------------------


def test_logistic_regression_is_the_softmax_gate():
    X, resp = data = problem()
    softmax = SoftmaxGate(alpha=0.5)
    optimum = softmax.init(*data, None)
    for _ in range(50):
        optimum = softmax.maximize(optimum, softmax.statistics(optimum, X, resp))
    gate, params = start(LogisticRegression(C=1 / 0.5, tol=1e-8, max_iter=1000), data)
    # lbfgs ends with a gradient of 1e-8 per row and a curvature of at least 0.5 / 60 of the penalty
    np.testing.assert_allclose(gate.log_prob(params, X), softmax.log_prob(optimum, X), atol=1e-5)
    assert gate.n_parameters(params) == 9


def test_one_expert_takes_all():
    X, resp = problem(K=1)
    gate, params = start(LogisticRegression(), (X, resp))
    assert not gate.log_prob(params, X).any()
    assert gate.n_parameters(params) == 0


def test_an_expert_without_rows_gets_the_floor():
    X, resp = problem()
    gate, params = start(LogisticRegression(), (X, resp * [1, 0, 1]))
    proba = np.exp(gate.log_prob(params, X))
    np.testing.assert_allclose(proba[:, 1], 1e-12, rtol=EXACT)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=EXACT)
    new = gate.maximize(params, gate.statistics(params, X, resp))  # and is not out for good
    assert np.exp(gate.log_prob(new, X))[:, 1].min() > 1e-3


def test_without_a_column_the_gate_is_constant():
    X, resp = problem()
    gate, params = start(SVC(), (X[:, :0], resp))
    share = resp.sum(axis=0) / resp.sum()
    np.testing.assert_allclose(np.exp(gate.log_prob(params, X[:5, :0])), np.tile(share, (5, 1)))


# -- when a refit counts -------------------------------------------------------------------------


def test_a_refit_counts_only_if_it_is_no_worse():
    rng = np.random.default_rng(0)
    X, _ = data = problem()
    gate, params = start(Fickle(), data)
    kept = []
    for _ in range(20):
        resp = rng.dirichlet([1, 1, 1], size=len(X))
        value = objective(gate, params, X, resp)
        new = gate.maximize(params, gate.statistics(params, X, resp))
        assert objective(gate, new, X, resp) >= value - EXACT * abs(value)
        kept.append(new["estimator"][0] is params["estimator"][0])
        params = new
    assert 0.2 < np.mean(kept) < 0.8


class NeedsRows(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        if len(X) < 100:
            raise ValueError(f"{len(X)} rows are too few")
        return super().fit(X, y, sample_weight)


def test_a_classifier_that_cannot_be_refitted_is_kept():
    X, resp = data = problem()
    gate, params = start(NeedsRows(), data)
    hard = np.eye(3)[resp.argmax(axis=1)]
    assert gate.maximize(params, gate.statistics(params, X, hard)) is params
    with pytest.raises(ValueError, match="60 rows are too few"):
        start(NeedsRows(), (X, hard))


# -- the order of the experts --------------------------------------------------------------------


def test_reordering_changes_no_classifier():
    X, resp = data = problem()
    gate, params = start(LogisticRegression(), data)
    order = np.array([2, 0, 1])
    moved = gate.take(params, order)
    assert moved["estimator"][0] is params["estimator"][0]
    log_prob = gate.log_prob(params, X)[:, order]
    np.testing.assert_array_equal(gate.log_prob(moved, X), log_prob)
    again = gate.take(moved, order)  # twice, and the second time from another order
    np.testing.assert_array_equal(gate.log_prob(again, X), log_prob[:, order])
    refit = gate.maximize(moved, gate.statistics(moved, X, resp[:, order]))
    np.testing.assert_array_equal(gate.log_prob(refit, X), log_prob)
    view = gate.view(again, UNITS, n_features_in=2)
    np.testing.assert_array_equal(np.log(view.predict_proba(X)), log_prob[:, order])
    assert repr(view).startswith("ClassifierGateView(estimator_=LogisticRegression(")


# -- what was fitted beforehand ------------------------------------------------------------------


def test_a_frozen_classifier_is_used_as_it_is():
    X, resp = data = problem()
    frozen = FrozenEstimator(LogisticRegression().fit(X, resp.argmax(axis=1)))
    before = pickle.dumps(frozen)
    gate, params = start(frozen, data)
    params = gate.maximize(params, gate.statistics(params, X, resp[:, ::-1].copy()))
    np.testing.assert_allclose(np.exp(gate.log_prob(params, X)), frozen.predict_proba(X))
    assert pickle.dumps(frozen) == before and gate.n_parameters(params) == 0


def test_a_frozen_classifier_of_other_classes_is_refused():
    X, resp = data = problem()
    with pytest.raises(ValueError, match="was fitted to the classes 5, 6, 7, not to any of 0, 1, "):
        start(FrozenEstimator(GaussianNB().fit(X, 5 + resp.argmax(axis=1))), data)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator, message",
    [
        (SVC(), r"gate SVC\(\) has no predict_proba; wrap it in sklearn.calibration.Calibrated"),
        (KNeighborsClassifier(), r"gate KNeighborsClassifier\(\) takes no sample_weight in fit"),
        (Ridge(), r"gate Ridge\(\) is no scikit-learn classifier; pass one"),
        (GaussianNB, r"is a class; pass an object, GaussianNB\(\)"),
        ("softmax", "gate 'softmax' is no scikit-learn classifier"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_classifier_that_lacks_what_is_needed_is_told_so(estimator, message):
    with pytest.raises(TypeError, match=message):
        EstimatorGate(estimator).check_parameters()


def test_a_frozen_classifier_must_be_fitted():
    with pytest.raises(NotFittedError, match=r"gate FrozenEstimator.* is frozen but not fitted"):
        EstimatorGate(FrozenEstimator(GaussianNB())).check_parameters()


def test_starting_values_are_checked():
    X, _ = data = problem()
    gate, params = start(GaussianNB(), data)
    values = gate.to_caller(params, UNITS)
    for wrong, message in (
        ({"estimator": [GaussianNB()]}, "not fitted yet"),
        ({"estimator": []}, "estimator of the gate needs 1 fitted estimators, got 0"),
        ({"order": [0, 1, 1]}, r"needs 0 ... 2, each once, got \[0 1 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            gate.from_caller(values | wrong, UNITS, 3)
    back = gate.from_caller({"estimator": [params["estimator"][0]]}, UNITS, 3)
    np.testing.assert_array_equal(gate.log_prob(back, X), gate.log_prob(params, X))


# -- in a mixture --------------------------------------------------------------------------------


def test_a_forest_routes_where_no_softmax_could():
    rng = np.random.default_rng(0)
    X = 1e3 + rng.uniform(-3, 3, (200, 1))  # the sign of the slope changes twice
    y = np.where(np.abs(X[:, 0] - 1e3) < 1, 1, -1) * (X[:, 0] - 1e3)
    y += 0.1 * rng.standard_normal(200)
    forest = RandomForestClassifier(10, max_depth=3)
    options = {"random_state": 0, "n_init": 4, "tol": 1e-3}
    model = MixtureOfExpertsRegressor(2, gate=EstimatorGate(forest), **options).fit(X, y)
    assert len(model.lower_bounds_) > 3 and np.diff(model.lower_bounds_).min() >= 0
    proba = model.gate_proba(X)
    np.testing.assert_allclose(model.gate_.predict_proba(X), proba, rtol=EXACT)
    inner = (np.abs(X[:, 0] - 1e3) < 1) == (model.experts_[0].coef_[0] > 0)
    assert proba[inner, 0].mean() > 0.9 > 0.1 > proba[~inner, 0].mean()
    again = MixtureOfExpertsRegressor(2, gate=EstimatorGate(forest), **options).fit(X, y)
    np.testing.assert_array_equal(again.lower_bounds_, model.lower_bounds_)
