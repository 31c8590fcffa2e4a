"""Hostile input: an error that names the value and the cure, or a finite fit, never silence."""

import copy
import gc
import pickle
import re
import warnings
import weakref

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from classic_moe import (
    ExpertCollapseWarning,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    log_likelihood_scorer,
)
from classic_moe.exceptions import VersionWarning
from classic_moe.experts import (
    GaussianExpert,
    LaplaceExpert,
    LinearExpert,
    LogisticExpert,
    SoftmaxExpert,
)
from classic_moe.gates import SoftmaxGate
from classic_moe.parts.params import leaves

Regressor, Classifier = MixtureOfExpertsRegressor, MixtureOfExpertsClassifier
BOTH = pytest.mark.parametrize("kind", [Regressor, Classifier])


def data(kind, n=60, p=3, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, p))
    y = np.where(X[:, 0] + 0.5 * rng.standard_normal(n) > 0, 2 * X[:, -1], -X[:, -1])
    y = y + 0.5 * rng.standard_normal(n)
    return X, (y if kind is Regressor else (y + rng.logistic(size=n) > 0).astype(int))


def quick(kind, n_experts=2, **options):
    return kind(n_experts, **{"n_init": 2, "random_state": 0, **options})


@pytest.fixture(scope="module", params=[Regressor, Classifier], ids=["regressor", "classifier"])
def fitted(request):
    """(model, X, y); shared, so not to be refitted."""
    X, y = data(request.param)
    return quick(request.param).fit(X, y), X, y


def says_finite_things(model, X, y):
    """Every prediction is finite and every row of probabilities sums to one."""
    for name in ("gate_proba", "predict_experts", "predict_proba", "predict_log_proba"):
        if hasattr(model, name):
            assert np.isfinite(getattr(model, name)(X)).all(), name
    assert_allclose(model.gate_proba(X).sum(axis=1), 1, rtol=1e-12)
    assert_allclose(model.responsibilities(X, y).sum(axis=1), 1, rtol=1e-12)
    assert np.isfinite(model.log_prob(X, y)).all()
    assert np.isfinite(model.lower_bounds_).all()
    assert np.isfinite(model.log_likelihood_)
    assert (np.diff(model.lower_bounds_) >= -1e-10 * np.abs(model.lower_bounds_[1:])).all()
    for leaf in leaves(model.params_):
        assert np.isfinite(leaf).all()
    if hasattr(model, "predict_dist"):
        mean, std = model.predict(X, return_std=True)
        assert np.isfinite(mean).all()
        assert np.isfinite(std).all()
    return True


# -- parameters ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True, None, np.float64(2), [2]])
def test_a_number_of_experts_that_is_none_is_named(kind, value):
    with pytest.raises(ValueError, match=re.escape(f"n_experts={value!r}: needs an integer")):
        kind(value).fit(*data(kind))


@BOTH
def test_more_experts_than_rows_is_refused_with_both_numbers(kind):
    X, y = data(kind, n=6)
    with pytest.raises(ValueError, match=r"n_experts=7 needs at least 7 rows .* n_samples=6"):
        kind(7).fit(X, y)
    weight = np.array([1, 1, 1, 0, 0, 0])
    with pytest.raises(ValueError, match=r"n_experts=4 needs .* positive weight, got n_samples=3"):
        kind(4).fit(X, y, weight)


@BOTH
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_iter", 0),
        ("max_iter", 1.5),
        ("n_init", 0),
        ("n_init", True),
        ("tol", -1e-3),
        ("tol", "small"),
        ("tol", np.nan),
        ("standardize", "yes"),
        ("offset_feature", 0),
        ("assignment", "firm"),
    ],
)
def test_other_parameters_out_of_range_are_named(kind, name, value):
    with pytest.raises(ValueError, match=re.escape(f"{name}={value!r}: ")):
        kind(2, **{name: value}).fit(*data(kind))


@BOTH
@pytest.mark.parametrize("part", ["expert", "gate", "solver"])
def test_an_unknown_alias_is_answered_with_the_known_ones(kind, part):
    with pytest.raises(ValueError, match=rf"{part}='poisson\?' is not known .* use one of '"):
        kind(2, **{part: "poisson?"}).fit(*data(kind))


@BOTH
@pytest.mark.parametrize("thing", [object(), 3, {"a": 1}, LinearExpert, Ridge])
def test_what_is_no_part_is_refused_in_one_sentence(kind, thing):
    with pytest.raises(ValueError, match=r"is not an expert of this version; [^.]*\.$"):
        kind(2, expert=thing).fit(*data(kind))
    with pytest.raises(ValueError, match=r"is not a gate of this version"):
        kind(2, gate=LinearExpert()).fit(*data(kind))
    if isinstance(thing, type):
        with pytest.raises(ValueError, match=rf"pass an object, {thing.__name__}\(\)"):
            kind(2, expert=thing).fit(*data(kind))


@pytest.mark.parametrize(
    ("kind", "expert"),
    [
        (Regressor, "softmax"),
        (Regressor, LogisticExpert()),
        (Classifier, "poisson"),
        (Classifier, LaplaceExpert()),
    ],
)
def test_an_expert_for_the_other_task_is_refused(kind, expert):
    with pytest.raises(ValueError, match=r"Expert is an expert for \w+"):
        kind(2, expert=expert).fit(*data(kind))


@pytest.mark.parametrize(
    ("kind", "options", "match"),
    [
        (Regressor, dict(expert=LinearExpert(alpha=-1)), r"alpha=-1 of LinearExpert"),
        (Regressor, dict(expert=LinearExpert(variance_prior=np.nan)), r"variance_prior=nan of"),
        (Regressor, dict(expert=GaussianExpert(variance_prior="1")), r"variance_prior='1' of Gau"),
        (Regressor, dict(gate=SoftmaxGate(alpha=np.inf)), r"alpha=inf of SoftmaxGate"),
        (Classifier, dict(expert=SoftmaxExpert(alpha=None)), r"alpha=None of SoftmaxExpert"),
        (Classifier, dict(expert=LogisticExpert(alpha=True)), r"alpha=True of LogisticExpert"),
    ],
)
def test_a_penalty_that_is_none_is_named_with_its_owner(kind, options, match):
    with pytest.raises(ValueError, match=match + r".*needs a finite number of at least 0"):
        kind(2, **options).fit(*data(kind))


def test_logistic_experts_refuse_three_classes():
    X, y = data(Classifier)
    y[:9] = 2
    for options in ({}, {"init_params": "random"}, {"class_weight": "balanced"}):
        with pytest.raises(ValueError, match=r"for two classes, y has 3; use expert='softmax'"):
            Classifier(2, expert="logistic", **options).fit(X, y)


@BOTH
def test_partial_fit_is_absent_and_says_why(kind):
    assert not hasattr(kind(2, expert="mlp"), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        getattr(kind(2, expert="mlp"), "partial_fit")  # noqa: B009
    assert "MLPExpert() learns from all its rows at once" in str(caught.value.__cause__)


@BOTH
@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ("height", r"gate_features names column 'height'; X has a, b, c"),
        (["a", "height"], r"names column 'height'"),
        (["a", "b", "a"], r"names column 'a' twice; name each column once"),
        ([0, -3], r"names column 'a' twice"),
        (3, r"names column 3; X has 3 columns"),
        ([-4], r"names column -4; X has 3 columns"),
        ([False, False, False], r"mask without True; use \[\] for an intercept only"),
        ([True, False], r"mask of length 2; X has 3 columns"),
        (True, r"gate_features=True is neither a column nor a list"),
        (1.0, r"gate_features=1.0 is neither a column nor a list"),
        (slice("a", "z"), r"names column 'z'"),
    ],
)
def test_columns_that_cannot_be_meant_are_named(kind, columns, match):
    X, y = data(kind)
    X = pd.DataFrame(X, columns=list("abc"))
    with pytest.raises(ValueError, match=match):
        kind(2, gate_features=columns).fit(X, y)


def test_columns_for_a_part_that_ignores_x_are_refused():
    X, y = data(Regressor)
    with pytest.raises(ValueError, match=r"expert_features=\[0\]: GaussianExpert ignores x"):
        Regressor(2, expert="gaussian", expert_features=[0]).fit(X, y)
    with pytest.raises(ValueError, match=r"gate_features='a': ConstantGate ignores x"):
        Regressor(2, gate="constant", gate_features="a").fit(pd.DataFrame(X, columns=[*"abc"]), y)
    with pytest.raises(ValueError, match=r"gate_features='a' is a name, but X has no column names"):
        Regressor(2, gate_features="a").fit(X, y)


@BOTH
@pytest.mark.parametrize(
    ("start", "match"),
    [
        ("k-means", r"init_params='k-means': use 'quantile', 'random', 'kmeans'"),
        (np.ones((60, 3)), r"shape \(n, n_experts\) = \(60, 2\), got \(60, 3\)"),
        (np.ones((2, 60)), r"= \(60, 2\), got \(2, 60\)"),
        (np.zeros((60, 2)), r"positive sum in every row"),
        (-np.ones((60, 2)), r"at least 0"),
        (np.full((60, 2), np.nan), r"init_params contains NaN"),
        (lambda X, y, K, rng: np.ones((len(X), K + 1)), r"got \(60, 3\)"),
        ({}, r"keys 'gate' and 'expert', got none"),
        ({"gate": {}, "experts": {}}, r"keys 'gate' and 'expert', got 'gate', 'experts'"),
        (
            {"gate": {}, "expert": {}},
            r"init_params for the gate takes coef, intercept; got nothing",
        ),
        ({"gate": None, "expert": {}}, r"init_params for the gate must be a dict"),
        (
            {"gate": {"coef": np.zeros((2, 2)), "intercept": [0, 0]}, "expert": {}},
            r"coef of the gate needs shape \(2, 3\), got \(2, 2\)",
        ),
        (
            {"gate": {"coef": np.zeros((3, 2)), "intercept": [0, 0]}, "expert": {}},
            r"coef of the gate needs shape \(2, 3\), got \(3, 2\)",  # the transpose is no reading
        ),
        (
            {"gate": {"coef": np.full((2, 3), np.inf), "intercept": [0, 0]}, "expert": {}},
            r"coef of the gate holds NaN or infinity",
        ),
        (
            {"gate": {"coef": np.zeros((2, 3)), "intercept": [0, 0]}, "expert": {"slope": 1}},
            r"init_params for the expert takes coef, intercept.*got slope",
        ),
        (3, r"init_params=3 is no start; use 'quantile'"),
        (None, r"init_params=None is no start"),
        (lambda X, y, K, rng: X[:, 0], r"is no start"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(kind, start, match):
    with pytest.raises(ValueError, match=match):
        kind(2, init_params=start).fit(*data(kind))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (dict(), r"needs 'scale' or 'covariance'"),
        (dict(scale=[1.0, 0.0]), r"every scale must be positive"),
        (dict(scale=[1.0, -1.0]), r"every scale must be positive"),
        (dict(covariance=[[[-1.0]], [[1.0]]]), r"every covariance positive definite"),
        (dict(scale=[1.0]), r"scale of the expert needs shape \(2, 1\), got \(1,\)"),
    ],
)
def test_starting_scales_that_are_none_are_refused(values, match):
    start = {
        "gate": {"coef": np.zeros((2, 3)), "intercept": [0, 0]},
        "expert": {"coef": np.zeros((2, 3)), "intercept": [0, 1], **values},
    }
    with pytest.raises(ValueError, match=match):
        Regressor(2, init_params=start).fit(*data(Regressor))


@BOTH
def test_a_start_from_another_model_must_match(kind, fitted):
    X, y = data(kind)
    with pytest.raises(NotFittedError):
        kind(2, init_params=kind(2)).fit(X, y)
    other = quick(kind, 3, max_iter=500).fit(X, y)
    with pytest.raises(ValueError, match=r"has 3 experts, n_experts=2; set n_experts=3"):
        kind(2, init_params=other).fit(X, y)


@BOTH
def test_warm_start_refuses_another_shape_and_keeps_the_fit(kind):
    X, y = data(kind)
    model = quick(kind, warm_start=True).fit(X, y)
    before = model.gate_proba(X)
    with pytest.raises(ValueError, match=r"saw X of shape \(n, 3\), and now it is \(n, 2\)"):
        model.fit(X[:, :2], y)
    assert_array_equal(model.gate_proba(X), before)
    with pytest.raises(ValueError, match=r"has 2 experts, n_experts=3"):
        model.set_params(n_experts=3).fit(X, y)
    assert_array_equal(model.gate_proba(X), before)
    assert model.n_experts_ == 2


def test_warm_start_refuses_other_classes():
    X, y = data(Classifier)
    model = quick(Classifier, warm_start=True).fit(X, y)
    y = y.copy()
    y[:5] = 2
    with pytest.raises(ValueError, match=r"knows the classes 0, 1, and y holds 0, 1, 2; give rows"):
        model.fit(X, y)
    assert_array_equal(model.classes_, [0, 1])


# -- values, types, containers ---------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("weight", [-1.0, -1e-300])
def test_a_negative_weight_is_refused(kind, weight):
    X, y = data(kind)
    w = np.ones(len(X))
    w[7] = weight
    with pytest.raises(ValueError, match=r"Negative values in data passed to `sample_weight`"):
        kind(2).fit(X, y, w)


@BOTH
@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.zeros(60), r"must contain at least one non-zero"),
        (np.ones(59), r"sample_weight.shape == \(59,\), expected \(60,\)"),
        (np.ones((60, 1)), r"Sample weights must be 1D|should be a 1d array|1D array or scalar"),
        (np.full(60, np.nan), r"sample_weight contains NaN"),
        (np.full(60, np.inf), r"sample_weight contains infinity"),
        (["a"] * 60, r"could not convert string to float"),
    ],
)
def test_weights_that_are_none_are_refused(kind, weight, match):
    with pytest.raises(ValueError, match=match):
        kind(2).fit(*data(kind), sample_weight=weight)


@pytest.mark.parametrize("y", [["low"] * 59 + ["high"], [1.0] * 59 + ["high"]])
def test_text_as_target_of_a_regression_is_named(y):
    text = y[0] if isinstance(y[0], str) else "high"
    for target in (y, np.array(y, dtype=object)):
        with pytest.raises(ValueError, match=rf"y holds .*{text}.*MixtureOfExpertsClassifier"):
            Regressor(2).fit(data(Regressor)[0], target)


@pytest.mark.parametrize("label", [0, "yes", True])
def test_one_class_is_refused_with_its_name(label):
    X, _ = data(Classifier)
    with pytest.raises(ValueError, match=re.escape(f"y has one class ({label!r})")):
        Classifier(2).fit(X, [label] * 60)


def test_one_class_of_positive_weight_is_refused():
    X, y = data(Classifier)
    with pytest.raises(ValueError, match=r"one class .* among the rows with positive weight"):
        Classifier(2).fit(X, y, (y == 1).astype(float))


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_labels_of_mixed_kinds_are_refused(class_weight):
    X, _ = data(Classifier)
    y = np.array([1, "one"] * 30, dtype=object)
    with pytest.raises(ValueError, match=r"y mixes labels of different kinds \(int, str\); use"):
        Classifier(2, class_weight=class_weight).fit(X, y)


def test_a_target_that_is_a_number_is_no_label():
    X, _ = data(Classifier)
    with pytest.raises(ValueError, match=r"Unknown label type: continuous"):
        Classifier(2).fit(X, X[:, 0])


@BOTH
@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_missing_values_in_x_are_answered_with_the_imputer(kind, missing):
    X, y = data(kind)
    holed = X.astype(object)
    holed[3, 1] = missing
    table = pd.DataFrame(holed, columns=[*"abc"])
    for given in (holed, table):
        if given is holed and missing is pd.NA:
            continue  # in a plain object array that is not a number for numpy
        with pytest.raises(ValueError, match=r"(?s)Input X contains NaN.*SimpleImputer"):
            kind(2).fit(given, y)
    model = quick(kind).fit(X, y)
    X[0, 0] = np.nan
    for method in ("predict", "gate_proba", "predict_experts", "sample"):
        with pytest.raises(ValueError, match=r"Input X contains NaN.*SimpleImputer"):
            getattr(model, method)(X)


@BOTH
def test_missing_targets_are_named(kind):
    X, y = data(kind)
    y = y.astype(float)
    y[5] = np.nan
    with pytest.raises(ValueError, match=r"Input y contains NaN.*leave those rows out"):
        kind(2).fit(X, y)


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
@pytest.mark.parametrize("dtype", [object, "string"])
def test_missing_labels_are_named(missing, dtype):
    X, y = data(Classifier)
    labels = pd.Series(np.array(["no", "yes"], dtype=object)[y])
    labels[3] = missing
    with pytest.raises(ValueError, match=r"Input y contains NaN.*leave those rows|y mixes labels"):
        Classifier(2).fit(X, labels.astype(dtype))


@BOTH
@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda X: np.where(X > 2, np.inf, X), r"Input X contains infinity"),
        (lambda X: X[:, 0], r"Expected 2D array, got 1D array"),
        (lambda X: X[:0], r"Found array with 0 sample\(s\).*minimum of 1|minimum of 1 is required"),
        (lambda X: X[:, :0], r"0 feature\(s\).*minimum of 1 is required"),
        (lambda X: X[None], r"Found array with dim 3|dim 3"),
        (lambda X: X.astype(str).astype(object) + "m", r"column 0 of X holds text, such as"),
        (lambda X: X + 1j, r"Complex data not supported"),
        (lambda X: X[:-1], r"inconsistent numbers of samples: \[59, 60\]"),
    ],
)
def test_an_x_that_is_no_table_of_numbers_is_refused(kind, spoil, match):
    X, y = data(kind)
    X[0, 0] = 3.0
    X = spoil(X)
    with pytest.raises(ValueError, match=match):
        kind(2).fit(X, y[: len(X)] if len(X) == 0 else y)


@BOTH
def test_a_missing_value_in_sparse_x_is_refused(kind):
    X, y = data(kind)
    X[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN.*SimpleImputer"):
        kind(2).fit(sparse.csr_matrix(X), y)


@BOTH
def test_no_target_is_refused(kind):
    with pytest.raises(ValueError, match=r"requires y to be passed, but the target y is None"):
        kind(2).fit(data(kind)[0], None)


@BOTH
def test_a_target_of_too_many_dimensions_is_refused(kind):
    X, y = data(kind)
    match = r"should be a 1d array|dim 3|Unknown label type|multioutput"
    with pytest.raises(ValueError, match=match):
        kind(2).fit(X, np.stack([y, y])[None].T if kind is Regressor else np.stack([y, y]).T)


def test_predictors_refuse_another_width_other_names_and_no_rows(fitted):
    model, X, y = fitted
    name = type(model).__name__
    for method in ("predict", "gate_proba", "predict_experts", "assign", "sample"):
        with pytest.raises(ValueError, match=rf"X has 2 features, but {name} is expecting 3"):
            getattr(model, method)(X[:, :2])
        with pytest.raises(ValueError, match=r"minimum of 1 is required"):
            getattr(model, method)(X[:0])
    for method in ("log_prob", "responsibilities", "aic", "bic", "icl", "assign"):
        with pytest.raises(ValueError, match=rf"X has 2 features, but {name} is expecting 3"):
            getattr(model, method)(X[:, :2], y)
        with pytest.raises(ValueError, match=r"X has 60 rows and y 59; they must match"):
            getattr(model, method)(X, y[:-1])
    for method in ("log_prob", "responsibilities", "bic"):
        with pytest.raises(ValueError, match=rf"{name} needs y here, got None"):
            getattr(model, method)(X, None)


@BOTH
def test_other_column_names_at_predict_are_refused(kind):
    X, y = data(kind)
    model = quick(kind).fit(pd.DataFrame(X, columns=[*"abc"]), y)
    with pytest.raises(ValueError, match=r"feature names should match"):
        model.predict(pd.DataFrame(X, columns=[*"abd"]))
    with pytest.raises(ValueError, match=r"feature names should match"):
        model.gate_proba(pd.DataFrame(X[:, ::-1], columns=[*"cba"]))


def test_labels_not_seen_are_named():
    X, y = data(Classifier)
    model = quick(Classifier).fit(X, np.where(y == 1, "yes", "no"))
    for method in ("log_prob", "responsibilities"):
        with pytest.raises(ValueError, match=r"label.*'maybe'.*saw 'no', 'yes'"):
            getattr(model, method)(X, ["maybe"] * 60)


def test_another_number_of_outputs_is_refused():
    X, y = data(Regressor)
    model = quick(Regressor).fit(X, y)
    with pytest.raises(ValueError, match=r"y has 2 columns; the fit had 1"):
        model.log_prob(X, np.column_stack([y, y]))


@BOTH
def test_everything_refuses_before_the_fit(kind):
    X, y = data(kind)
    model = kind(2)
    for method in ("predict", "gate_proba", "predict_experts", "assign", "sample"):
        with pytest.raises(NotFittedError, match=r"is not fitted yet"):
            getattr(model, method)(X)
    for method in ("log_prob", "responsibilities", "aic", "bic", "icl", "score"):
        with pytest.raises(NotFittedError, match=r"is not fitted yet"):
            getattr(model, method)(X, y)
    for method in ("summary", "equations"):
        with pytest.raises(NotFittedError, match=r"is not fitted yet"):
            getattr(model, method)()
    other = ["predict_dist"] if kind is Regressor else ["predict_proba", "predict_log_proba"]
    for method in other:
        with pytest.raises(NotFittedError, match=r"is not fitted yet"):
            getattr(model, method)(X)


# -- a fit that is interrupted ---------------------------------------------------------------------


def state(model):
    return {name: value for name, value in vars(model).items()}


@BOTH
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_an_interrupted_fit_leaves_the_estimator_as_it_was(kind, error):
    X, y = data(kind)

    def callback(iteration, params, objective):
        raise error("enough")

    model = quick(kind)
    before = state(model)
    with pytest.raises(error):
        model.fit(X, y, callback=callback)
    assert state(model) == before
    with pytest.raises(NotFittedError):
        model.predict(X)

    model.fit(X, y)
    before, predictions = state(model), model.gate_proba(X)
    with pytest.raises(error):
        model.fit(pd.DataFrame(X[:30, :2], columns=["a", "b"]), y[:30], callback=callback)
    after = state(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert_array_equal(model.gate_proba(X), predictions)


@BOTH
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_kernel_that_fails_leaves_the_estimator_unfitted(kind, n_jobs, monkeypatch):
    """Also from a worker thread, and with two threads none is left behind."""
    import threading

    from classic_moe.model.mixture import MixtureModel

    X, y = data(kind)
    right, calls = MixtureModel.statistics, []

    def failing(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 5:
            raise MemoryError("no more")
        return right(self, *args, **kwargs)

    monkeypatch.setattr("classic_moe.data.batches.CHUNK", 16)
    monkeypatch.setattr(MixtureModel, "statistics", failing)
    threads = threading.active_count()
    with pytest.raises(MemoryError):
        quick(kind, n_jobs=n_jobs).fit(X, y)
    assert threading.active_count() == threads


@BOTH
def test_a_pass_that_returns_nan_never_reaches_the_result(kind, monkeypatch):
    from classic_moe.model.mixture import MixtureModel

    X, y = data(kind)
    right, calls = MixtureModel.statistics, []

    def failing(self, *args, **kwargs):
        calls.append(1)
        stats = right(self, *args, **kwargs)
        return stats if len(calls) != 8 else stats * np.nan

    monkeypatch.setattr(MixtureModel, "statistics", failing)
    model = quick(kind).fit(X, y)
    monkeypatch.undo()
    assert says_finite_things(model, X, y)


# -- labels of any kind ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        [False, True],
        [-7, 2**40],
        [1.0, 2.0],
        [-1, 1],
        np.array([200, 250], dtype=np.uint8),
        np.array(["2020-01-01", "2021-01-01"], dtype=object),
    ],
    ids=str,
)
def test_labels_of_any_kind_come_back_as_they_were(labels):
    X, y = data(Classifier)
    y = np.asarray(labels)[y]
    model = quick(Classifier).fit(X, y)
    assert_array_equal(model.classes_, np.unique(y))
    assert model.classes_.dtype == y.dtype
    assert set(model.predict(X)) <= set(y)
    assert set(model.sample(X, random_state=0)[0]) <= set(y)
    assert model.score(X, y) > 0.6
    assert_array_equal(model.log_prob(X, y), model.log_prob(X, y.tolist()))
    assert says_finite_things(model, X, y)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 1 has none")
def test_labels_of_numpys_own_strings():
    X, y = data(Classifier)
    strings = np.array(["no", "yes"], dtype=np.dtypes.StringDType())[y]
    model = quick(Classifier).fit(X, strings)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.score(X, strings.astype(object)) > 0.6
    assert_array_equal(model.log_prob(X, strings), model.log_prob(X, strings.tolist()))


def test_polars_labels():
    X, y = data(Classifier)
    plain = quick(Classifier).fit(X, y)
    labels = pl.Series(["no", "yes"])[y.tolist()]
    for given in (labels, labels.cast(pl.Categorical)):
        model = quick(Classifier).fit(pl.DataFrame(X), given)
        assert_array_equal(model.classes_, ["no", "yes"])
        assert_allclose(model.predict_proba(pl.DataFrame(X)), plain.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["category", "string", "Int64", "boolean"])
def test_pandas_labels(dtype):
    X, y = data(Classifier)
    plain = quick(Classifier).fit(X, y)
    values = {"string": np.array(["0", "1"])[y], "boolean": y.astype(bool)}.get(dtype, y)
    labels = pd.Series(values).astype(dtype)
    model = quick(Classifier).fit(X, labels)
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert model.score(X, labels) == plain.score(X, y)
    assert_array_equal(model.log_prob(X, labels), plain.log_prob(X, y))


def test_a_class_of_no_weight_is_left_out():
    X, y = data(Classifier)
    y[:6] = 2
    model = quick(Classifier).fit(X, y, sample_weight=np.where(y == 2, 0.0, 1.0))
    assert_array_equal(model.classes_, [0, 1])
    model = quick(Classifier, class_weight={0: 1, 1: 1, 2: 0}).fit(X, y)
    assert_array_equal(model.classes_, [0, 1])
    balanced = quick(Classifier, class_weight="balanced")
    assert_array_equal(balanced.fit(X, y, np.where(y == 2, 0.0, 1.0)).classes_, [0, 1])


def test_rare_classes_have_no_nan_column():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((300, 2))
    y = np.zeros(300, dtype=int)
    y[0], y[1:4] = 5, 7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = quick(Classifier).fit(X, y)
    assert says_finite_things(model, X, y)
    assert model.predict_proba(X).shape == (300, 3)


# -- degenerate data -------------------------------------------------------------------------------


def caught_in(model, X, y, sample_weight=None):
    """Fit; the categories of all warnings, each at most once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, sample_weight)
    categories = [w.category for w in caught]
    assert len(set(categories)) == len(categories), [str(w.message) for w in caught]
    strangers = [w for w in caught if not issubclass(w.category, ConvergenceWarning)]
    assert not strangers, [str(w.message) for w in strangers]
    return categories


@pytest.mark.parametrize("level", [0.0, 5.0, -1e-300, 1e300, 1e9])
@pytest.mark.parametrize("n_experts", [1, 2])
@pytest.mark.parametrize("expert", ["linear", "gaussian"])
def test_a_constant_target_gives_a_finite_fit_and_one_named_warning(level, n_experts, expert):
    X, _ = data(Regressor)
    y = np.full(len(X), level)
    model = quick(Regressor, n_experts, expert=expert)
    assert caught_in(model, X, y) == [ExpertCollapseWarning]
    assert_allclose(model.predict(X), y, rtol=1e-7, atol=1e-7)
    assert says_finite_things(model, X, y)


@pytest.mark.parametrize("variance_prior", [1e-2, 0])
def test_a_target_without_noise_gives_a_finite_fit_and_one_named_warning(variance_prior):
    X, _ = data(Regressor, n=100)
    y = np.where(X[:, 0] > 0, 1 + X[:, 1], 5 - X[:, 2])
    expert = LinearExpert(variance_prior=variance_prior)
    model = quick(Regressor, expert=expert, n_init=10)
    assert ExpertCollapseWarning in caught_in(model, X, y)
    assert says_finite_things(model, X, y)
    assert model.score(X, y) > 0.99


DEGENERATE = {
    "repeated rows": lambda X, y: (np.repeat(X[:6], 10, axis=0), np.repeat(y[:6], 10)),
    "fewer distinct rows than experts": lambda X, y: (X[[0, 1] * 30], y[[0, 1] * 30]),
    "all columns constant": lambda X, y: (np.full_like(X, 3.0), y),
    "one column constant": lambda X, y: (np.column_stack([X, np.full(60, 1e9)]), y),
    "collinear": lambda X, y: (np.column_stack([X, X[:, 0] + X[:, 1], X[:, 0]]), y),
    "many constant columns": lambda X, y: (np.ones((60, 70)), y),
    "more columns than rows": lambda X, y: (
        np.random.RandomState(1).standard_normal((60, 90)),
        y,
    ),
    "offset 1e9": lambda X, y: (X + 1e9, y),
    "outlier in X": lambda X, y: (np.vstack([X[1:], 1e6 * np.ones(3)]), y),
    "one far row in one column": lambda X, y: (np.vstack([X[1:], [0, 1e6, 0]]), y),
    "integers": lambda X, y: (np.round(3 * X).astype(np.int8), y),
    "booleans": lambda X, y: (X > 0, y),
    "float16": lambda X, y: (X.astype(np.float16), y),
}


@BOTH
@pytest.mark.parametrize("name", list(DEGENERATE))
@pytest.mark.parametrize("n_experts", [1, 3])
def test_degenerate_x_gives_a_finite_fit(kind, name, n_experts):
    X, y = data(kind)
    y[:2] = 0, 1
    X, y = DEGENERATE[name](X, y)
    model = quick(kind, n_experts)
    caught_in(model, X, y)
    assert says_finite_things(model, X, y)


@BOTH
@pytest.mark.parametrize("n", [2, 3, 5])
def test_as_many_experts_as_rows(kind, n):
    X, y = data(kind, n=n)
    y[:2] = 0, 1
    model = quick(kind, n)
    caught_in(model, X, y)
    assert says_finite_things(model, X, y)


@pytest.mark.parametrize("offset", [1e9, -1e12])
def test_a_target_far_from_zero_keeps_its_digits(offset):
    X, y = data(Regressor)
    reference = quick(Regressor).fit(X, y)
    model = quick(Regressor).fit(X, y + offset)
    # y itself keeps 1e-16·offset of its digits.
    assert_allclose(model.predict(X) - offset, reference.predict(X), atol=1e-4)
    assert_allclose(model.log_likelihood_, reference.log_likelihood_, atol=0.1)


@pytest.mark.parametrize("size", [1e6, -1e6])
def test_an_outlier_in_y_gives_a_finite_fit(size):
    X, y = data(Regressor)
    y[10] = size * y.std()
    model = quick(Regressor, 3)
    caught_in(model, X, y)
    assert says_finite_things(model, X, y)


@BOTH
@pytest.mark.parametrize("scale", [1e150, 1e-150, 1e307, 1e-300, 1e-310])
@pytest.mark.parametrize("where", ["one column", "all columns"])
def test_x_of_extreme_size_is_finite_or_refused(kind, scale, where):
    X, y = data(kind)
    X = X / np.abs(X).max()
    scales = np.array([scale, 1.0, 1.0]) if where == "one column" else np.full(3, scale)
    expected = quick(kind).fit(X, y).gate_proba(X)
    X = X * scales
    model = quick(kind)
    assert caught_in(model, X, y) == []
    assert np.isfinite(model.predict(X)).all()
    assert_allclose(model.gate_proba(X).sum(axis=1), 1, rtol=1e-12)
    if scale > 1e-305:  # denormal numbers have lost digits
        assert_allclose(model.gate_proba(X), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("scale", [1e150, 1e-150, 1e307, 1e-300, 1e-310])
@pytest.mark.parametrize("outputs", [1, 2])
def test_y_of_extreme_size_is_finite_or_refused(scale, outputs):
    X, y = data(Regressor)
    y = y / np.abs(y).max()
    y = y if outputs == 1 else np.column_stack([y, X[:, 0] + 0.3 * X[::-1, 1]])
    y = y * scale
    model = quick(Regressor)
    assert caught_in(model, X, y) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.predict(X)).all()
        assert np.isfinite(model.log_prob(X, y)).all()
        assert np.isfinite(model.experts_[0].scale_).all()
        if outputs == 1:
            assert np.isfinite(model.predict_dist(X).ppf(0.5)).all()
    assert np.isfinite(model.lower_bounds_).all()
    assert abs(np.corrcoef(model.predict(X).ravel() / scale, (y / scale).ravel())[0, 1]) > 0.5


@BOTH
@pytest.mark.parametrize("far", [1e6, 1e200, 1e308, -1e308])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_far_from_all_data_still_predict(kind, far, dtype):
    X, y = data(kind)
    model = quick(kind).fit(X, y)
    if dtype is np.float32:
        far = np.sign(far) * min(abs(far), 3e38)
    X = np.vstack([np.full((1, 3), far), [[far, 0, 0]], [[0, far, -far]]]).astype(dtype)
    y = y[:3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("gate_proba", "predict_proba", "responsibilities"):
            if hasattr(model, name):
                args = (X, y) if name == "responsibilities" else (X,)
                proba = getattr(model, name)(*args)
                assert np.isfinite(proba).all()
                assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
        assert not np.isnan(model.predict(X)).any()
        assert not np.isnan(model.log_prob(X, y)).any()
        model.sample(X, random_state=0)
        if kind is Regressor:
            mean, std = model.predict(X, return_std=True)
            assert not np.isnan(mean).any()
            assert not np.isnan(std).any()


def test_targets_far_from_all_data_have_responsibilities():
    X, y = data(Regressor)
    model = quick(Regressor).fit(X, y)
    for far in (1e8, -1e160, 1e300):
        resp = model.responsibilities(X, np.full(60, far))
        assert np.isfinite(resp).all()
        assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)
        assert not np.isnan(model.log_prob(X, np.full(60, far))).any()


# -- weights ---------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("size", [1e-12, 1e12, 1e-300, 1e300])
def test_weights_of_any_size_give_a_finite_fit(kind, size):
    X, y = data(kind)
    model = quick(kind)
    caught_in(model, X, y, np.full(60, size))
    assert says_finite_things(model, X, y)
    assert_allclose(model.log_likelihood_, size * model.log_prob(X, y).sum(), rtol=1e-9)


@BOTH
def test_weights_of_very_unequal_size_give_a_finite_fit(kind):
    X, y = data(kind)
    y[0] = y[5]
    weight = np.ones(60)
    weight[[0, 1]] = 1e15
    model = quick(kind)
    caught_in(model, X, y, weight)
    assert says_finite_things(model, X, y)


def test_uniform_weights_do_not_change_a_fit_without_priors():
    X, y = data(Regressor, n=200)
    expert, gate = LinearExpert(alpha=0, variance_prior=0), SoftmaxGate(alpha=0)
    model = quick(Regressor, expert=expert, gate=gate, tol=1e-13)
    reference = clone(model).fit(X, y).predict(X)
    for size in (1e-6, 8.0, 1e7):
        ours = clone(model).fit(X, y, np.full(200, size)).predict(X)
        assert_allclose(ours, reference, rtol=0, atol=1e-5)


# -- containers ------------------------------------------------------------------------------------


@BOTH
def test_read_only_memory_maps_are_fitted_and_not_written(kind, tmp_path):
    X, y = data(kind)
    reference = quick(kind).fit(X, y).gate_proba(X)
    for name, array in (("X", X), ("y", y)):
        np.save(tmp_path / f"{name}.npy", array)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "Xy"]
    model = quick(kind).fit(*mapped)
    assert_array_equal(model.gate_proba(mapped[0]), reference)


@BOTH
def test_tables_of_every_kind_give_the_same_fit_and_their_names(kind):
    X, y = data(kind)
    names = ["age", "income", "height"]
    table = pd.DataFrame(X, columns=names)
    reference = quick(kind).fit(X, y)
    assert not hasattr(reference, "feature_names_in_")
    for given in (table, table.astype("Float64"), pl.DataFrame(X, schema=names, orient="row")):
        model = quick(kind).fit(given, y)
        assert_array_equal(model.feature_names_in_, names)
        # Columns of a table lie apart in memory, so that means are summed in another order.
        assert_allclose(model.gate_proba(given), reference.gate_proba(X), rtol=1e-12)
        assert_array_equal(model.gate_.feature_names_in_, names)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    target = pd.Series(y, index=np.arange(60) + 1000)
    weight = pd.Series(np.ones(60), index=np.arange(60)[::-1])
    by_position = quick(kind).fit(table, target, weight)
    assert_allclose(by_position.gate_proba(table), reference.gate_proba(X), rtol=1e-12)


def test_a_target_with_an_extra_axis_is_a_single_column():
    X, y = data(Regressor)
    model = quick(Regressor).fit(X, y[:, None])
    assert model.predict(X).shape == (60, 1)
    assert_allclose(model.predict(X)[:, 0], quick(Regressor).fit(X, y).predict(X), rtol=1e-9)
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match="column-vector y"):
        quick(Classifier).fit(X, (y > 0)[:, None])


# -- life cycle ------------------------------------------------------------------------------------


def test_a_copy_predicts_the_same_bits(fitted):
    model, X, y = fitted
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_array_equal(other.gate_proba(X), model.gate_proba(X))
        assert_array_equal(other.log_prob(X, y), model.log_prob(X, y))
        assert_array_equal(other.experts_[0].coef_, model.experts_[0].coef_)
        assert str(other.summary()) == str(model.summary())
        assert "_classic_moe_version" not in vars(other)


def test_a_clone_is_not_fitted_and_has_the_same_parameters(fitted):
    model, X, _ = fitted
    other = clone(model)
    assert other.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        other.predict(X)
    nested = clone(Regressor(3, expert=LinearExpert(alpha=0.5), gate=SoftmaxGate(alpha=2)))
    assert nested.get_params()["expert__alpha"] == 0.5
    assert nested.get_params()["gate__alpha"] == 2


def test_a_pickle_of_another_version_warns(fitted):
    model, X, _ = fitted
    state = model.__getstate__()
    for version in ("0.0.0", None):
        other = type(model)()
        written = dict(state, _classic_moe_version=version)
        if version is None:
            del written["_classic_moe_version"]
        with pytest.warns(VersionWarning, match=r"pickled by classic_moe (0.0.0|unknown), this is"):
            other.__setstate__(written)
        assert_array_equal(other.gate_proba(X), model.gate_proba(X))


def test_a_pickle_holds_no_rows_and_no_compiled_code(fitted):
    model, X, _ = fitted
    size = len(pickle.dumps(model))
    bigger = clone(model).fit(np.tile(X, (20, 1)), np.tile(fitted[2], 20))
    history = 8 * abs(len(bigger.lower_bounds_) - len(model.lower_bounds_))
    assert abs(len(pickle.dumps(bigger)) - size) <= 200 + history


@BOTH
def test_a_nested_parameter_of_an_alias_replaces_it_by_its_object(kind):
    model = kind(2).set_params(expert__alpha=0.3, gate__alpha=4)
    assert model.expert.alpha == 0.3
    assert isinstance(model.gate, SoftmaxGate)
    assert model.gate.alpha == 4
    assert model.get_params()["expert__alpha"] == 0.3
    assert kind(2).expert == kind(5).expert  # the default is still the alias
    if kind is Regressor:
        model.set_params(expert="gaussian", expert__variance_prior=0.5)
        assert isinstance(model.expert, GaussianExpert)
    with pytest.raises(ValueError, match=r"Invalid parameter 'beta'"):
        kind(2).set_params(expert__beta=1)


@BOTH
def test_objects_given_are_cloned_and_left_alone(kind):
    X, y = data(kind)
    expert = LinearExpert(0.1) if kind is Regressor else SoftmaxExpert(0.1)
    gate = SoftmaxGate(alpha=0.1)
    model = quick(kind, expert=expert, gate=gate).fit(X, y)
    assert model.expert is expert
    assert vars(expert).keys() == type(expert)().__dict__.keys()
    expert.alpha = 1e6
    gate.alpha = 1e6
    assert_array_equal(model.predict(X), model.predict(X))
    assert model._fitted.model.expert.alpha == 0.1


@BOTH
def test_grid_search_over_experts_and_penalties_in_a_pipeline(kind):
    X, y = data(kind)
    name = kind.__name__.lower()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick(kind, max_iter=20)),
        {f"{name}__n_experts": [1, 2], f"{name}__expert__alpha": [1e-3, 1.0]},
        scoring=log_likelihood_scorer,
        cv=2,
        error_score="raise",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_[f"{name}__n_experts"] in (1, 2)
    assert_allclose(
        log_likelihood_scorer(search, X, y),
        search.best_estimator_[-1].log_prob(search.best_estimator_[:-1].transform(X), y).mean(),
    )


@BOTH
def test_a_column_transformer_with_categories_feeds_the_search(kind):
    X, y = data(kind)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["city"] = np.where(X[:, 0] > 0.5, "Rome", np.where(X[:, 1] > 0, "Oslo", "Bern"))
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["a", "b"]),
            ("words", OneHotEncoder(sparse_output=False), ["city"]),
        ]
    )
    name = kind.__name__.lower()
    pipeline = make_pipeline(columns, quick(kind, max_iter=20))
    search = GridSearchCV(pipeline, {f"{name}__n_experts": [1, 2]}, cv=2, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(table, y)
        named = make_pipeline(
            clone(columns).set_output(transform="pandas"),
            quick(kind, gate_features=["words__city_Oslo", "words__city_Rome"]),
        ).fit(table, y)
    assert search.predict(table).shape == (60,)
    assert_array_equal(named[-1].gate_.feature_names_in_, ["words__city_Oslo", "words__city_Rome"])


@BOTH
def test_sample_weights_are_routed(kind):
    X, y = data(kind)
    weight = np.random.RandomState(0).uniform(0.5, 2, size=60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = quick(kind, max_iter=20).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            routed = cross_validate(
                model, X, y, cv=2, params={"sample_weight": weight}, error_score="raise"
            )
            plain = cross_validate(
                clone(model).set_fit_request(sample_weight=None),
                X,
                y,
                cv=2,
                error_score="raise",
            )
    assert not np.array_equal(routed["test_score"], plain["test_score"])


@BOTH
def test_a_fit_keeps_no_reference_to_the_data(kind):
    class Watched(np.ndarray):
        """An array that can be watched."""

    X, y = (np.array(a).view(Watched) for a in data(kind))
    model = quick(kind).fit(X, y)
    watch = weakref.ref(X), weakref.ref(y)
    large = [v for v in vars(model).values() if isinstance(v, np.ndarray) and v.shape[:1] == (60,)]
    assert not large
    del X, y
    gc.collect()
    assert watch[0]() is None
    assert watch[1]() is None


@BOTH
def test_a_fit_leaves_the_process_as_it_was(kind, capsys):
    X, y = data(kind)
    global_state = np.random.get_state
    numbers, floats, filters = global_state(), np.geterr(), warnings.filters[:]
    before = X.copy(), y.copy()
    for options in ({}, {"init_params": "random"}, {"init_params": "kmeans"}):
        model = quick(kind, n_jobs=2, **options).fit(X, y)
        model.sample(X, random_state=1)
        model.summary(X, y)
    for old, new in zip(numbers, global_state(), strict=True):
        assert_array_equal(old, new)
    assert np.geterr() == floats
    assert warnings.filters == filters
    assert_array_equal(X, before[0])
    assert_array_equal(y, before[1])
    assert capsys.readouterr() == ("", "")


@BOTH
def test_nothing_overflows_or_divides_by_zero(kind):
    """The whole of a fit and of prediction with numpy's errors raised (underflow is harmless)."""
    X, y = data(kind)
    X[3] *= 50
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        model = quick(kind, 3, max_iter=500)
        caught_in(model, X, y)
        assert says_finite_things(model, X, y)
        model.summary(X, y)
        model.sample(X, random_state=0)


@BOTH
def test_each_warning_comes_once_a_fit(kind):
    X, y = data(kind)
    if kind is Regressor:
        y = np.sign(X[:, 0]) * (1 + X[:, 1])  # no noise, a sharp gate and too few iterations
        expert = LinearExpert(variance_prior=0)
    else:
        y, expert = (X[:, 0] > 0).astype(int), SoftmaxExpert(alpha=0)
    model = quick(kind, 3, expert=expert, gate=SoftmaxGate(alpha=0), max_iter=3, n_init=10)
    assert ConvergenceWarning in caught_in(model, X, y)


@BOTH
def test_max_iter_reached_is_said_with_the_numbers(kind):
    X, y = data(kind)
    with pytest.warns(ConvergenceWarning, match=r"did not converge in 2 iterations \(max_iter=2"):
        model = quick(kind, max_iter=2).fit(X, y)
    assert not model.converged_
    assert model.n_iter_ == 2


def test_columns_of_one_name_are_one_sentence():
    X, y = pd.DataFrame(np.eye(6)[:, :3], columns=["a", "b", "a"]), np.arange(6.0)
    with pytest.raises(ValueError, match=r"columns of one name \('a' 2 times\)") as caught:
        MixtureOfExpertsRegressor(1).fit(X, y)
    assert "\n" not in str(caught.value)
    model = MixtureOfExpertsRegressor(1).fit(X.to_numpy(), y)
    with pytest.raises(ValueError, match="columns of one name"):
        model.predict(X)
