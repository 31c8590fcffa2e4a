"""scikit-learn estimators as experts: what they are given, when a refit counts, what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import (
    GradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.exceptions import ExpertCollapseWarning
from classic_moe.experts import EstimatorExpert, LinearExpert
from classic_moe.testing import check_expert

EXACT = 1e-10  # the same sums in another order
UNITS = Units(Scaling.identity(2), Scaling.identity(1))


class Recorder(RegressorMixin, BaseEstimator):
    """Predicts the mean, and keeps what it was given."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        self.mean_ = np.average(y, axis=0, weights=sample_weight)
        return self

    def predict(self, X):
        return np.tile(self.mean_, (len(X), 1))[:, : np.size(self.mean_)]


def problem(n=60, q=1, K=2, seed=0):
    rng = np.random.default_rng(seed)
    X = 3.0 + rng.standard_normal((n, 2))
    y = X @ rng.standard_normal((2, q)) + 0.5 * rng.standard_normal((n, q))
    return X, y, rng.dirichlet(np.ones(K), size=n) * rng.uniform(0.5, 2.0, (n, 1))


def labelled(n=60, K=2, seed=0):
    """With three classes, the codes of which depend on x."""
    X, y, resp = problem(n, 1, K, seed)
    return X, np.digitize(y[:, 0], np.quantile(y, [0.3, 0.6])), resp


def start(estimator, data, classes=None, **parameters):
    expert = EstimatorExpert(estimator, **parameters)
    classes = None if classes is None else np.arange(classes)
    return expert, expert.init(*data, np.random.RandomState(0), classes)


def objective(expert, params, X, y, resp):
    return np.sum(resp * expert.log_prob(params, X, y)) + expert.log_prior(params)


# -- the promises of every expert ----------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        DecisionTreeRegressor(max_depth=2),
        make_pipeline(StandardScaler(), Ridge()),
        SVR(),
        LogisticRegression(),
        GaussianNB(),
        DecisionTreeClassifier(max_depth=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_of_both_kinds_keep_the_promises_of_an_expert(estimator):
    check_expert(EstimatorExpert(estimator))


class ForgetsRows(EstimatorExpert):
    def statistics(self, params, X, y, resp, order=2):
        return super().statistics(params, X[5:], y[5:], resp[5:])


class TakesAnyRefit(EstimatorExpert):
    def maximize(self, params, stats, cautious=False):
        new = super().maximize(params, stats)
        return new | {"scale": 2 * new["scale"]}


@pytest.mark.parametrize(
    "expert, message",
    [
        (ForgetsRows(LinearRegression()), "statistics of two parts do not add"),
        (TakesAnyRefit(LinearRegression()), "lowers Σ resp·log p"),
    ],
    ids=["ForgetsRows", "TakesAnyRefit"],
)
def test_the_promises_are_checked_of_black_boxes_too(expert, message):
    with pytest.raises(AssertionError, match=message):
        check_expert(expert)


def test_the_estimator_says_which_task_it_is_for():
    assert EstimatorExpert(Ridge()).target.task == "regression"
    assert EstimatorExpert(make_pipeline(StandardScaler(), Ridge())).target.task == "regression"
    assert EstimatorExpert(FrozenEstimator(GaussianNB())).target.task == "classification"


# -- what an estimator is given ------------------------------------------------------------------


@pytest.mark.parametrize("routing", [False, True])
def test_the_weights_of_a_pipeline_reach_its_last_step(routing):
    _, y, resp = data = problem()
    inner = make_pipeline(StandardScaler(), Recorder())
    with config_context(enable_metadata_routing=routing):
        for pipeline in (inner, make_pipeline(StandardScaler(), inner)):
            _, params = start(pipeline, data)
            for k, fitted in enumerate(params["estimator"]):
                last = fitted[-1] if pipeline is inner else fitted[-1][-1]
                np.testing.assert_array_equal(last.weight_, resp[:, k])
                np.testing.assert_array_equal(last.y_, y[:, 0])


def test_a_search_hands_the_weights_on_to_what_it_searches():
    data = problem()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Recorder()), {"recorder__random_state": [0]}
    )
    _, params = start(search, data)
    np.testing.assert_array_equal(params["estimator"][0].best_estimator_[-1].weight_, data[2][:, 0])


def test_rows_of_negligible_responsibility_are_left_out():
    X, y, resp = problem(K=2)
    resp[:10] = [1.0, 0.9e-8]
    resp[10:20] = [1.0, 1.1e-8]
    resp[20:30] = [100.0, 0.9e-6]  # it is the share of the row that counts,
    resp[30:40] = [0.0, 0.9e-8]  # and what is tiny all over
    expert, params = start(Recorder(), (X, y, resp))
    first, second = params["estimator"]
    np.testing.assert_array_equal(first.X_, np.delete(X, np.s_[30:40], axis=0))
    np.testing.assert_array_equal(second.X_, np.concatenate([X[10:20], X[40:]]))
    np.testing.assert_array_equal(second.weight_, np.concatenate([resp[10:20, 1], resp[40:, 1]]))
    refitted = expert.maximize(params, expert.statistics(params, X, y, resp))
    np.testing.assert_array_equal(refitted["estimator"][1].X_, second.X_)


def test_every_expert_has_a_seed_of_its_own_that_refits_share():
    X, y, resp = data = problem()
    forest = RandomForestRegressor(2, random_state=7)
    stack = StackingRegressor([("forest", forest)], final_estimator=Recorder())
    expert, params = start(stack, data)
    refitted = expert.maximize(params, expert.statistics(params, X, y, resp[:, ::-1].copy()))
    names = ("forest__random_state", "final_estimator__random_state")
    seeds = [
        tuple(fitted.get_params()[name] for name in names)
        for fitted in (*params["estimator"], *refitted["estimator"])
    ]
    assert seeds[:2] == seeds[2:]
    assert len({7, *seeds[0], *seeds[1]}) == 5
    assert forest.random_state == 7
    again = start(stack, data)[1]["estimator"]
    np.testing.assert_array_equal(again[0].predict(X), params["estimator"][0].predict(X))


def test_codes_are_what_a_classifier_is_fitted_to():
    data = labelled()
    _, params = start(GaussianNB(), data, 3)
    assert params["estimator"][0].classes_.tolist() == [0, 1, 2]


# -- the noise -----------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [1, 2])
@pytest.mark.parametrize("prior", [0.0, 5.0])
def test_the_variance_is_that_of_the_residuals_and_of_the_prior(q, prior):
    X, y, resp = data = problem(q=q)
    _, params = start(Ridge(), data, variance_prior=prior)
    weight = resp.sum(axis=1)
    of_y = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    for k, w in enumerate(resp.T):
        residual = y - np.reshape(Ridge().fit(X, y, sample_weight=w).predict(X), y.shape)
        expected = (w @ residual**2 + prior * of_y) / (w.sum() + prior)
        np.testing.assert_allclose(params["scale"][k] ** 2, expected, rtol=EXACT)


@pytest.mark.parametrize("q", [1, 3])
def test_the_density_is_the_normal_one(q):
    X, y, resp = data = problem(q=q)
    expert, params = start(LinearRegression(), data)
    log_prob = expert.log_prob(params, X, y)
    for k, scale in enumerate(params["scale"]):
        fitted = LinearRegression().fit(X, y, sample_weight=resp[:, k])
        expected = norm(fitted.predict(X), scale).logpdf(y).sum(axis=1)
        np.testing.assert_allclose(log_prob[:, k], expected, rtol=EXACT)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_y_of_any_size_is_fitted(size):
    X, y, resp = problem()
    expert, scaled = start(LinearRegression(), (X, size * y, resp))
    _, plain = start(LinearRegression(), (X, y, resp))
    np.testing.assert_allclose(scaled["scale"] / size, plain["scale"], rtol=1e-8)
    assert np.isfinite(expert.log_prob(scaled, X, size * y)).all()


# -- when a refit counts -------------------------------------------------------------------------


class Fickle:
    """Of which half the fits are no good."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.spoilt_ = sample_weight[0] > sample_weight[1]
        return self


class FickleRegressor(Fickle, LinearRegression):
    def predict(self, X):
        return super().predict(X) + 10 * self.spoilt_


class FickleClassifier(Fickle, GaussianNB):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, :: -1 if self.spoilt_ else 1]


@pytest.mark.parametrize(
    "estimator, data, classes",
    [(FickleRegressor(), problem(), None), (FickleClassifier(), labelled(), 3)],
    ids=["regression", "classification"],
)
def test_a_refit_counts_only_if_it_is_no_worse(estimator, data, classes):
    rng = np.random.default_rng(0)
    X, y, _ = data
    expert, params = start(estimator, data, classes)
    kept = []
    for _ in range(20):
        resp = rng.dirichlet([1, 1], size=len(X))
        value = objective(expert, params, X, y, resp)
        new = expert.maximize(params, expert.statistics(params, X, y, resp))
        assert objective(expert, new, X, y, resp) >= value - EXACT * abs(value)
        kept += [a is b for a, b in zip(params["estimator"], new["estimator"], strict=True)]
        params = new
    assert 0.2 < np.mean(kept) < 0.8


class Unbounded(LinearRegression):
    """Which predicts nothing of use after a fit to large weights."""

    def __init__(self, value=np.nan):
        super().__init__()
        self.value = value

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.coef_ = self.coef_ * (self.value if sample_weight.max() > 5 else 1.0)
        return self


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_refit_that_predicts_no_numbers_does_not_count(value):
    X, y, resp = data = problem()
    expert, params = start(Unbounded(value), data)
    new = expert.maximize(params, expert.statistics(params, X, y, 10 * resp))
    assert [*new["estimator"]] == [*params["estimator"]]
    assert np.isfinite(expert.log_prob(new, X, y)).all()


def test_an_expert_that_loses_its_rows_keeps_its_estimator():
    X, y, resp = data = problem()
    search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=4)  # refuses fewer than 4 rows
    expert, params = start(search, data)
    for rows in (0, 3):
        resp = np.tile([1.0, 0.0], (len(X), 1))
        resp[:rows] = [0.0, 1.0]
        new = expert.maximize(params, expert.statistics(params, X, y, resp))
        assert new["estimator"][1] is params["estimator"][1]
        assert new["estimator"][0] is not params["estimator"][0]


def test_an_expert_that_cannot_start_from_its_rows_starts_from_all():
    X, y, resp = problem()
    resp = np.tile([1.0, 0.0], (len(X), 1))
    resp[:3] = [0.0, 1.0]
    _, params = start(GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=4), (X, y, resp))
    np.testing.assert_allclose(
        params["estimator"][1].best_estimator_.coef_, Ridge().fit(X, y[:, 0]).coef_, rtol=EXACT
    )


def test_what_an_estimator_refuses_is_passed_on_with_a_cure():
    with pytest.raises(
        ValueError, match=r"expert SVR\(\) cannot be fitted: y should be a 1d array"
    ):
        start(SVR(), problem(q=2))
    with pytest.raises(ValueError, match=r"MultiOutputRegressor"):
        start(SVR(), problem(q=2))


def test_without_a_column_an_expert_is_a_constant():
    X, y, resp = problem()
    expert, params = start(SVR(), (X[:, :0], y, resp))
    expected = [np.average(y[:, 0], weights=w) for w in resp.T]
    np.testing.assert_allclose(expert.mean(params, X[:1, :0])[0, :, 0], expected, rtol=EXACT)


# -- classes -------------------------------------------------------------------------------------


def test_a_class_that_an_expert_never_saw_gets_the_floor():
    X, y, _ = labelled()
    resp = np.stack([y < 2, y == 1], axis=1) + 0.0  # two classes, and one, of three
    resp[y == 2] = 1e-9
    expert, params = start(LogisticRegression(), (X, y, resp), 3)
    mean = expert.mean(params, X)
    np.testing.assert_allclose(mean.sum(axis=2), 1.0, rtol=EXACT)
    np.testing.assert_allclose(mean[:, :, 2], 1e-12, rtol=EXACT)
    np.testing.assert_allclose(mean[:, 1, 1], 1.0, rtol=EXACT)
    two = LogisticRegression().fit(X[y < 2], y[y < 2]).predict_proba(X)
    # lbfgs stops at a gradient of 1e-4 either way
    np.testing.assert_allclose(mean[:, 0, :2], two, atol=1e-3)
    assert expert.log_prob(params, X, y).min() == pytest.approx(np.log(1e-12))


# -- what was fitted beforehand ------------------------------------------------------------------


def test_a_frozen_regressor_is_used_as_it_is():
    X, y, resp = data = problem()
    frozen = FrozenEstimator(Ridge().fit(X[:20], y[:20, 0]))
    before = pickle.dumps(frozen)
    expert, params = start(frozen, data, variance_prior=0.0)
    params = expert.maximize(params, expert.statistics(params, X, y, resp))
    assert pickle.dumps(frozen) == before
    residual = y[:, 0] - frozen.predict(X)
    expected = [np.sqrt(np.average(residual**2, weights=w)) for w in resp.T]
    np.testing.assert_allclose(params["scale"][:, 0], expected, rtol=EXACT)
    assert expert.n_parameters(params) == 2


def test_a_regressor_without_weights_may_be_frozen():
    X, y, _ = data = problem()
    expert, params = start(FrozenEstimator(KNeighborsRegressor().fit(X, y[:, 0])), data)
    expert.check_parameters()
    assert expert.mean(params, X).shape == (60, 2, 1)


def test_a_frozen_classifier_knows_the_callers_labels():
    X, codes, resp = labelled()
    labels = np.array(["a", "b", "c", "d"])
    frozen = FrozenEstimator(GaussianNB().fit(X, labels[codes]))
    expert = EstimatorExpert(frozen)
    seen = labels[[1, 2, 3]]  # "a" does not occur, and "d" is unknown to it
    params = expert.init(X, np.maximum(codes - 1, 0), resp, np.random.RandomState(0), seen)
    proba = frozen.predict_proba(X)[:, [1, 2]]
    mean = expert.mean(params, X)
    # Probabilities of "b" and "c" near 0 are raised to the floor.
    np.testing.assert_allclose(
        mean[:, 1, :2], proba / proba.sum(axis=1, keepdims=True), atol=1e-6, rtol=EXACT
    )
    assert mean[:, 1, 2].max() < 1e-6
    view = expert.view(params, 0, UNITS, classes=labels[1:], n_features_in=2)
    np.testing.assert_array_equal(view.predict_proba(X), mean[:, 0])
    assert set(view.predict(X)) <= {"b", "c"}


def test_a_frozen_classifier_of_other_labels_is_refused():
    X, codes, resp = labelled()
    expert = EstimatorExpert(FrozenEstimator(GaussianNB().fit(X, np.array([*"abc"])[codes])))
    with pytest.raises(ValueError, match="fitted to the classes 'a', 'b', 'c', not to any of 1, 2"):
        expert.init(X, codes, resp, np.random.RandomState(0), np.array([1, 2, 5]))


def test_a_frozen_estimator_may_have_been_fitted_to_a_table():
    X, y, _ = data = problem()
    table = pd.DataFrame(X, columns=["a", "b"])
    expert, params = start(FrozenEstimator(Ridge().fit(table, y[:, 0])), data)
    expected = Ridge().fit(X, y[:, 0]).predict(X)  # and no warning about names
    np.testing.assert_allclose(expert.mean(params, X)[:, 0, 0], expected, rtol=EXACT)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator, message",
    [
        (SVC(), r"expert SVC\(\) has no predict_proba; wrap it in sklearn.calibration"),
        (KNeighborsRegressor(), r"expert KNeighborsRegressor\(\) takes no sample_weight in fit"),
        (KNeighborsClassifier(), "takes no sample_weight in fit, .* sklearn.frozen.FrozenEst"),
        (make_pipeline(StandardScaler(), KNeighborsRegressor()), "takes no sample_weight in fit"),
        (GridSearchCV(KNeighborsRegressor(), {}), "takes no sample_weight in fit"),
        (make_pipeline(KNeighborsRegressor(), "passthrough"), "no scikit-learn regressor or class"),
        (Ridge, r"Ridge'> is a class; pass an object, Ridge\(\)"),
        (StandardScaler(), r"StandardScaler\(\) is no scikit-learn regressor or classifier"),
        ("ridge", "'ridge' is no scikit-learn regressor or classifier"),
        (None, "None is no scikit-learn regressor or classifier"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_estimator_that_lacks_what_is_needed_is_told_so_in_one_line(estimator, message):
    with pytest.raises(TypeError, match=message) as caught:
        EstimatorExpert(estimator).check_parameters()
    assert "\n" not in str(caught.value)


def test_a_frozen_estimator_must_be_fitted():
    with pytest.raises(NotFittedError, match=r"FrozenEstimator\(.*\) is frozen but not fitted"):
        EstimatorExpert(FrozenEstimator(Ridge())).check_parameters()


def test_a_negative_prior_is_refused():
    with pytest.raises(ValueError, match="variance_prior=-1 of EstimatorExpert"):
        EstimatorExpert(Ridge(), variance_prior=-1).check_parameters()


# -- what it says of a fit -----------------------------------------------------------------------


@pytest.mark.parametrize("prior, reason", [(0.0, "variance bound"), (1e-2, "from the prior alone")])
def test_an_estimator_that_interpolates_is_named(prior, reason):
    X, y, resp = data = problem()
    expert, params = start(DecisionTreeRegressor(), data, variance_prior=prior)
    findings = expert.diagnose(params, expert.statistics(params, X, y, resp))
    assert [finding.severe for finding in findings] == [prior == 0.0] * 2
    assert (params["scale"] / params["spread"]).min() > 0.999e-6  # the bound, but for rounding
    assert findings[1].category is ExpertCollapseWarning
    assert findings[1].message.startswith("expert 1 ") and reason in findings[1].message
    assert findings[1].advice.startswith("use a simpler estimator or fewer experts")


@pytest.mark.parametrize("estimator, classes", [(Ridge(), None), (GaussianNB(), 3)])
def test_a_healthy_fit_is_not_remarked_upon(estimator, classes):
    X, y, resp = data = problem() if classes is None else labelled()
    expert, params = start(estimator, data, classes)
    assert expert.diagnose(params, expert.statistics(params, X, y, resp)) == []


@pytest.mark.parametrize(
    "estimator, classes, expected",
    [
        (LinearRegression(), None, 2 * (3 + 1)),
        (make_pipeline(StandardScaler(), Ridge()), None, 2 * (3 + 1)),
        (DecisionTreeRegressor(max_depth=2), None, 2),
        (LogisticRegression(), 3, 2 * 9),
        (GaussianNB(), 3, 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scales_and_coefficients_are_counted(estimator, classes, expected):
    data = problem() if classes is None else labelled()
    expert, params = start(estimator, data, classes)
    assert expert.n_parameters(params) == expected


def test_a_view_shows_the_estimator():
    X, _, _ = data = problem()
    expert, params = start(make_pipeline(StandardScaler(), Ridge()), data)
    view = expert.view(params, 1, UNITS, n_features_in=2)
    assert view.estimator_ is params["estimator"][1]
    assert view.scale_ == params["scale"][1, 0]
    np.testing.assert_array_equal(view.predict(X), view.estimator_.predict(X))
    assert repr(view).startswith("RegressorView(estimator_=Pipeline(") and "\n" not in repr(view)


def test_starting_values_are_checked():
    X, y, _ = data = problem()
    expert, params = start(Ridge(), data)
    values = expert.to_caller(params, UNITS)
    for wrong, message in (
        ({"estimator": [Ridge().fit(X, y)]}, "needs 2 fitted estimators, got 1"),
        ({"estimator": [Ridge()] * 2}, "not fitted yet"),
        ({"scale": [1.0, 0.0]}, "every scale of the expert must be positive"),
        ({"scale": [1.0, 1.0, 1.0]}, "scale of the expert needs shape"),
        ({"slope": 1.0}, "init_params for the expert takes estimator, scale, seed, spread; got"),
    ):
        with pytest.raises(ValueError, match=message):
            expert.from_caller(values | wrong, UNITS, 2)
    short = {"estimator": list(params["estimator"]), "scale": params["scale"][:, 0]}
    back = expert.from_caller(short, UNITS, 2)  # the scales stand in for the spread of y
    np.testing.assert_array_equal(expert.log_prob(back, X, y), expert.log_prob(params, X, y))


# -- in a mixture --------------------------------------------------------------------------------


def mixture(expert, **options):
    options = {"random_state": 0, "n_init": 2, "solver": "em", "max_iter": 30, "tol": 0} | options
    return MixtureOfExpertsRegressor(2, expert=expert, **options)


def two_lines(n=120, q=1):
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, (n, 1))
    y = np.abs(X) + np.arange(q) + 0.2 * rng.standard_normal((n, q))
    return X, y[:, 0] if q == 1 else y


def fitted(model, *data):
    with pytest.warns(match="did not converge"):  # tol=0: all iterations are run
        return model.fit(*data)


@pytest.mark.parametrize("q", [1, 2])
def test_least_squares_gives_the_fit_of_linear_experts(q):
    X, y = two_lines(q=q)
    resp = np.random.default_rng(0).dirichlet([1, 1], size=len(X))
    linear = LinearExpert(alpha=0, variance_prior=0.5, covariance_type="diag")
    black = EstimatorExpert(LinearRegression(), variance_prior=0.5)
    a, b = (fitted(mixture(e, init_params=resp), X, y) for e in (linear, black))
    # Every iterate is the same, but for the responsibilities below 1e-8 that are left out.
    np.testing.assert_allclose(b.lower_bounds_, a.lower_bounds_, atol=1e-6)
    assert b.log_likelihood_ == pytest.approx(a.log_likelihood_, abs=1e-6)
    assert b.n_parameters_ == a.n_parameters_
    np.testing.assert_allclose(b.predict(X), a.predict(X), atol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestRegressor(5, min_samples_leaf=10),
        GradientBoostingRegressor(n_estimators=5, max_depth=1, subsample=0.8),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_random_learners_climb_and_give_the_same_fit_again(estimator):
    X, y = two_lines()
    models = [mixture(estimator, tol=1e-4, max_iter=200).fit(X, y) for _ in range(2)]
    bounds = models[0].lower_bounds_
    assert len(bounds) > 3 and np.diff(bounds).min() >= 0
    np.testing.assert_array_equal(bounds, models[1].lower_bounds_)
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))
    copy = pickle.loads(pickle.dumps(models[0]))
    np.testing.assert_array_equal(copy.predict_dist(X).std(), models[0].predict_dist(X).std())
    assert estimator.get_params()["random_state"] is None and not hasattr(estimator, "estimators_")


def test_the_estimator_sees_the_callers_columns():
    X, y = two_lines()
    X = np.column_stack([1e6 * X[:, 0], 5 - X[:, 0]])
    model = fitted(mixture(Recorder(), expert_features=[1], max_iter=2), X, 1e3 * y)
    seen = model.experts_[0].estimator_
    assert set(seen.X_[:, 0]) <= set(X[:, 1]) and set(seen.y_) <= set(1e3 * y)


def test_a_fit_goes_on_from_its_estimators():
    X, y = two_lines()
    first = fitted(mixture(DecisionTreeRegressor(max_depth=1), max_iter=3), X, y)
    second = fitted(
        mixture(DecisionTreeRegressor(max_depth=1), max_iter=3, init_params=first), X, y
    )
    # The end of the one is the start of the other, up to rounding in the gate's units.
    assert second.lower_bounds_[0] == pytest.approx(first.lower_bounds_[-1], rel=1e-10)


def test_classifiers_keep_the_callers_labels():
    X, _ = two_lines()
    y = np.array(["no", "yes"])[(np.abs(X[:, 0]) > 1).astype(int)]
    options = {"random_state": 0, "n_init": 2, "max_iter": 10, "tol": 0.1}
    model = MixtureOfExpertsClassifier(2, expert=DecisionTreeClassifier(max_depth=1), **options)
    model.fit(X, y)
    assert model.score(X, y) > 0.9 > np.mean(y == "yes")
    expert = model.experts_[0]
    assert expert.classes_.tolist() == ["no", "yes"] and set(expert.predict(X)) <= {"no", "yes"}
    np.testing.assert_array_equal(model.predict_experts(X)[:, 0], expert.predict_proba(X))


def test_a_frozen_classifier_is_told_the_labels_by_the_mixture():
    X, codes, _ = labelled()
    y = np.array(["low", "mid", "top"])[codes]
    frozen = FrozenEstimator(GaussianNB().fit(X, y))
    model = MixtureOfExpertsClassifier(2, expert=frozen, n_init=1, random_state=0, tol=0.1)
    proba = pickle.loads(pickle.dumps(model.fit(X, y))).predict_proba(X)
    np.testing.assert_allclose(proba, frozen.predict_proba(X), atol=1e-11)  # the floor is 1e-12


def test_a_constant_target_is_one_warning():
    X, _ = two_lines()
    with pytest.warns(ExpertCollapseWarning, match="from the prior alone") as caught:
        model = MixtureOfExpertsRegressor(2, expert=Ridge(), random_state=0).fit(X, np.ones(120))
    assert len(caught) == 1
    np.testing.assert_allclose(model.predict(X), 1.0, rtol=EXACT)
