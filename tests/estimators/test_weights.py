"""Sample weights as frequencies, and normalised: `normalize_weights` and the criteria."""

import inspect
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression

import classic_moe
from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    AdaptiveLocalExpertsRegressor,
    DeepMixtureOfExpertsClassifier,
    DeepMixtureOfExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    MixtureOfSoftmaxesClassifier,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
)

QUICK = dict(n_init=1, max_iter=3, random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def rows():
    """Two regimes; weights that are no counts and sum to a thousandth of the rows."""
    rng = np.random.default_rng(21)
    X = rng.normal(size=(150, 2))
    z = rng.random(150) < 1 / (1 + np.exp(-2 * X[:, 0]))
    y = np.where(z, 1 + 2 * X[:, 1], -1 - X[:, 1]) + rng.normal(0, 0.8, 150)
    weight = rng.uniform(0.5, 1.5, 150) / 1e3
    weight[:10] = 0
    return X, y, weight


def normalised(weight):
    return weight * np.count_nonzero(weight) / weight.sum()


def fits():
    """Return unfitted estimators of all classes, by name, and whether they are classifiers."""
    lines, classes = [LinearRegression()] * 2, [LogisticRegression()] * 2
    adaptive = QUICK | {"solver": "lbfgs"}
    meta = {"max_iter": 3, "random_state": 0}
    return {
        "regressor": (MixtureOfExpertsRegressor(2, **QUICK), False),
        "classifier": (MixtureOfExpertsClassifier(2, **QUICK), True),
        "tree": (HierarchicalMixtureOfExpertsRegressor(2, 1, **QUICK), False),
        "tree of classifiers": (HierarchicalMixtureOfExpertsClassifier(2, 1, **QUICK), True),
        "adaptive": (AdaptiveLocalExpertsRegressor(2, **adaptive), False),
        "adaptive classifier": (AdaptiveLocalExpertsClassifier(2, **adaptive), True),
        "meta-pi": (MetaPiRegressor(lines, **meta), False),
        "meta-pi classifier": (MetaPiClassifier(classes, **meta), True),
        "sparse": (SparseMixtureOfExpertsRegressor(3, **QUICK), False),
        "sparse classifier": (SparseMixtureOfExpertsClassifier(3, **QUICK), True),
        "softmaxes": (MixtureOfSoftmaxesClassifier(2, **QUICK), True),
        "deep": (DeepMixtureOfExpertsRegressor(**QUICK), False),
        "deep classifier": (DeepMixtureOfExpertsClassifier(**QUICK), True),
    }


def leaves(params):
    for value in params.values():
        yield from leaves(value) if isinstance(value, dict) else [value]


@pytest.mark.parametrize("name", fits())
def test_normalised_weights_sum_to_the_number_of_rows_in_every_estimator(rows, name):
    X, y, weight = rows
    model, classifies = fits()[name]
    y = y > 0 if classifies else y
    scaled = clone(model.set_params(normalize_weights=True))
    assert scaled.get_params()["normalize_weights"] is True
    scaled.fit(X, y, sample_weight=weight)
    by_hand = clone(model).set_params(normalize_weights=False)
    by_hand.fit(X, y, sample_weight=normalised(weight))
    assert scaled.n_parameters_ == by_hand.n_parameters_
    # the factor may differ in its last digit, and the fit follows it
    assert_allclose(scaled.lower_bounds_, by_hand.lower_bounds_, rtol=1e-8)
    for one, other in zip(leaves(scaled.params_), leaves(by_hand.params_), strict=True):
        if one.dtype != object:
            assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", fits())
def test_the_parameter_is_checked_documented_and_off_by_default(rows, name):
    X, y, _ = rows
    model, classifies = fits()[name]
    assert inspect.signature(type(model)).parameters["normalize_weights"].default is False
    assert "normalize_weights" in type(model).__doc__
    with pytest.raises(ValueError, match=r"normalize_weights='yes': needs True or False"):
        model.set_params(normalize_weights="yes").fit(X, y > 0 if classifies else y)


def test_every_public_estimator_has_been_tried():
    public = {getattr(classic_moe, name) for name in classic_moe.__all__}
    public = {each for each in public if inspect.isclass(each) and hasattr(each, "fit")}
    assert {type(model) for model, _ in fits().values()} == public


def test_off_it_leaves_frequencies_alone(rows):
    X, y, _ = rows
    frequency = np.arange(len(y)) % 3
    model = MixtureOfExpertsRegressor(2, **QUICK).fit(X, y, sample_weight=frequency)
    repeated = np.repeat(np.arange(len(y)), frequency)
    expected = np.sum(model.log_prob(X[repeated], y[repeated]))
    assert_allclose(model.log_likelihood_, expected, rtol=1e-10)


@pytest.mark.parametrize("size", [1e-300, 1e-9, 1.0, 1e6, 1e307])
def test_normalised_weights_have_no_size(rows, size):
    X, y, weight = rows
    model = MixtureOfExpertsRegressor(2, normalize_weights=True, **QUICK)
    expected = model.fit(X, y, sample_weight=weight).log_likelihood_
    found = model.fit(X, y, sample_weight=size * (1e3 * weight)).log_likelihood_
    assert_allclose(found, expected, rtol=1e-10)


def test_weights_of_classes_and_groups_go_in_before(rows):
    X, y, weight = rows
    model = MixtureOfExpertsClassifier(2, class_weight={True: 5.0}, normalize_weights=True, **QUICK)
    model.fit(X, y > 0, sample_weight=weight)
    by_class = normalised(np.where(y > 0, 5.0, 1.0) * weight)
    by_hand = MixtureOfExpertsClassifier(2, **QUICK).fit(X, y > 0, sample_weight=by_class)
    assert_allclose(model.log_likelihood_, by_hand.log_likelihood_, rtol=1e-8)
    groups = np.repeat(np.arange(50), 3)
    options = dict(gate_features=[], **QUICK)
    model = MixtureOfExpertsRegressor(2, normalize_weights=True, **options)
    model.fit(X, y, sample_weight=weight, groups=groups)
    by_hand = MixtureOfExpertsRegressor(2, **options)
    by_hand.fit(X, y, sample_weight=normalised(weight), groups=groups)
    assert_allclose(model.log_likelihood_, by_hand.log_likelihood_, rtol=1e-8)
    options = dict(sample_weight=weight, groups=groups)
    expected = -2 * model.log_likelihood_ + 2 * model.n_parameters_
    assert_allclose(model.aic(X, y, **options), expected, rtol=1e-9)


def test_a_stream_cannot_be_normalised(rows):
    X, y, weight = rows
    model = MixtureOfExpertsRegressor(2, normalize_weights=True, **QUICK)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        model.partial_fit(X, y, weight)
    assert "needs all rows at once; scale the weights yourself" in str(caught.value.__cause__)


# -- criteria --------------------------------------------------------------------------------


def test_criteria_normalise_as_the_fit_did(rows):
    X, y, weight = rows
    model = MixtureOfExpertsRegressor(2, normalize_weights=True, **QUICK)
    model.fit(X, y, sample_weight=weight)
    m, n = model.n_parameters_, 140
    aic = -2 * model.log_likelihood_ + 2 * m
    assert_allclose(model.aic(X, y, sample_weight=weight), aic, rtol=1e-10)
    assert_allclose(model.bic(X, y, sample_weight=weight), aic + m * (np.log(n) - 2), rtol=1e-10)
    resp = model.responsibilities(X, y)
    entropy = -np.sum(resp * np.log(resp), axis=1) @ normalised(weight)
    icl = model.icl(X, y, sample_weight=weight)
    assert_allclose(icl, model.bic(X, y, sample_weight=weight) + 2 * entropy, rtol=1e-9)
    # of the parameter after the fit nothing depends on it
    model.set_params(normalize_weights=False)
    assert_allclose(model.aic(X, y, sample_weight=weight), aic, rtol=1e-10)


@pytest.mark.parametrize("criterion", ["aic", "bic", "icl"])
@pytest.mark.parametrize("size", [1e-300, 1e-3, 1e3])
def test_weights_that_are_no_number_of_rows_are_named(rows, criterion, size):
    X, y, weight = rows
    weight = size * normalised(weight)
    model = MixtureOfExpertsRegressor(2, **QUICK).fit(X, y)
    text = re.escape(f"the weights of 140 rows sum to {140 * size:.4g}")
    with pytest.warns(UserWarning, match=text) as all_:
        getattr(model, criterion)(X, y, sample_weight=weight)
    assert len(all_) == 1 and all_[0].filename == __file__
    assert "normalize_weights=True" in str(all_[0].message)


@pytest.mark.parametrize("seed", range(3))
def test_frequencies_and_weights_of_about_one_are_no_reason_to_warn(rows, seed):
    X, y, weight = rows
    model = MixtureOfExpertsRegressor(2, **QUICK).fit(X, y)
    rng = np.random.default_rng(seed)
    for honest in (
        None,
        rng.integers(0, 1000, 150),
        1_000_000 * np.ones(150),
        normalised(weight),
        rng.uniform(0.2, 1.6, 150),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isfinite(model.bic(X, y, sample_weight=honest))


def test_a_sum_below_one_is_named_however_few_the_rows(rows):
    X, y, _ = rows
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    with pytest.warns(UserWarning, match="the weights of 1 rows sum to 0.9"):
        model.bic(X[:1], y[:1], sample_weight=[0.9])


def test_criteria_need_a_row_with_weight(rows):
    X, y, _ = rows
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.bic(X, y, sample_weight=np.zeros(150))


@pytest.mark.slow
def test_shares_of_a_survey_choose_the_same_model_as_frequencies(rows):
    """Weights that sum to less than 1 make log n negative, and BIC reward every parameter."""
    X, y, weight = rows
    chosen = {}
    for normalize in (False, True):
        bic = {}
        for K in (1, 2, 3):
            model = MixtureOfExpertsRegressor(
                K, normalize_weights=normalize, n_init=3, random_state=0
            ).fit(X, y, sample_weight=weight)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*counts as the number of observations")
                bic[K] = model.bic(X, y, sample_weight=weight)
        chosen[normalize] = min(bic, key=bic.get)
    assert chosen == {False: 3, True: 2}


# -- weights of classes --------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"class_weight": "balanced"}, {"normalize_weights": True}])
def test_rows_of_weight_zero_change_no_bit(options):
    rng = np.random.default_rng(5)
    X, y, weight = rng.normal(size=(31, 2)), rng.integers(0, 2, 31), rng.lognormal(0, 3, 31)
    model = MixtureOfExpertsClassifier(2, **options, **QUICK).fit(X, y, weight)
    for extra in range(1, 9):  # sums of another length are rounded in another order
        more = np.r_[0:31, 0:extra]
        other = clone(model).fit(X[more], y[more], np.append(weight, np.zeros(extra)))
        assert_array_equal(other.predict_proba(X), model.predict_proba(X))
        assert_array_equal(other.lower_bounds_, model.lower_bounds_)


def test_balanced_classes_change_the_units_of_the_penalty():
    """With one expert it is scikit-learn's, on columns scaled by the same weights."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 3))
    y = X[:, 0] + rng.normal(size=300) > 1.2
    model = MixtureOfExpertsClassifier(1, expert="logistic", class_weight="balanced")
    coef = model.set_params(expert__alpha=1.0).fit(X, y).experts_[0].coef_.ravel()
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    found = {}
    for name, w in (("weighted", weight), ("plain", np.ones(300))):
        centre = np.average(X, axis=0, weights=w)
        scale = np.sqrt(np.average((X - centre) ** 2, axis=0, weights=w))
        other = LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=1000)
        found[name] = other.fit((X - centre) / scale, y).coef_[0] / scale
    assert_allclose(coef, found["weighted"], atol=1e-6)  # lbfgs stops at slopes of 1e-10 a row
    assert 1e-3 < np.abs(coef - found["plain"]).max() < 0.02


def test_no_weights_are_weights_of_one(rows):
    X, y, _ = rows
    model = MixtureOfExpertsRegressor(2, normalize_weights=True, **QUICK).fit(X, y)
    plain = MixtureOfExpertsRegressor(2, **QUICK).fit(X, y)
    for one, other in zip(leaves(model.params_), leaves(plain.params_), strict=True):
        assert_array_equal(one, other)


def test_numpys_true_has_no_partial_fit_either():
    assert not hasattr(MixtureOfExpertsRegressor(normalize_weights=np.True_), "partial_fit")
