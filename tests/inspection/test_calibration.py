"""CalibrationDisplay: reliability of class probabilities, and of predictive distributions."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.proportion import proportion_confint

from classic_moe import MetaPiRegressor, MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import CalibrationDisplay
from classic_moe.inspection._marks import Shares, edges_over


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(300, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return MixtureOfExpertsRegressor(3, n_init=1, random_state=0).fit(*data)


@pytest.fixture(scope="module")
def counts():
    """A Poisson regression, and counts drawn from it."""
    X = np.random.default_rng(1).normal(size=(400, 1))
    model = MixtureOfExpertsRegressor(1, expert="poisson")
    model.fit(X, np.random.default_rng(2).poisson(np.exp(0.5 * X[:, 0])))
    return model, X, model.predict_dist(X).rvs(random_state=0)


@pytest.fixture(scope="module")
def labelled(data):
    """A classifier of three classes, and its data."""
    X, y = data
    labels = np.array(["low", "mid", "high"])[np.digitize(y, np.quantile(y, [0.3, 0.7]))]
    model = MixtureOfExpertsClassifier(2, n_init=1, random_state=0)
    model.set_params(expert__alpha=1, gate__alpha=1)
    return model.fit(X, labels), X, pd.Series(labels, name="grade")


# -- regressors --------------------------------------------------------------------------------


def test_the_histogram_is_of_the_distribution_function_at_y(model, data):
    X, y = data
    display = CalibrationDisplay.from_estimator(model, X, y, n_bins=8)
    at = model.predict_dist(X).cdf(y)
    known, _ = np.histogram(at, bins=8, range=(0, 1), density=True)
    np.testing.assert_allclose(display.histogram(), known)
    np.testing.assert_allclose([bar.get_height() for bar in display.bars_], known)
    assert display.kind == "pit"
    assert display.ax_.get_xlabel() == "F(y | x)"


def test_coverage_is_the_share_of_rows_in_the_predictive_intervals(model, data):
    X, y = data
    display = CalibrationDisplay.from_estimator(model, X, y, kind="coverage")
    nominal, observed = display.coverage()
    low, high = model.predict_dist(X).interval(0.8)
    assert nominal[80] == pytest.approx(0.8)
    assert observed[80] == pytest.approx(np.mean((low <= y) & (y <= high)))
    np.testing.assert_array_equal(display.line_.get_ydata(), observed)
    assert (observed[0], observed[-1]) == (0, 1)


def test_counts_of_the_right_model_are_level(counts):
    display = CalibrationDisplay.from_estimator(*counts)
    pit = display.pit
    dist = counts[0].predict_dist(counts[1])
    np.testing.assert_allclose(pit[:, 1] - pit[:, 0], dist.pmf(counts[2]), atol=1e-12)
    # 400 rows in 10 bins: a bar has a standard deviation of at most 0.15.
    assert np.abs(display.histogram() - 1).max() < 0.45


def test_counts_of_a_wrong_model_are_not(counts):
    model, X, _ = counts
    y = np.random.default_rng(0).poisson(5, len(X))
    assert CalibrationDisplay.from_estimator(model, X, y).histogram()[-1] > 3


def test_of_several_outputs_target_says_which(data):
    X, y = data
    Y = pd.DataFrame({"height": y, "weight": -y + X[:, 0] ** 2})
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, Y)
    display = CalibrationDisplay.from_estimator(model, X, Y, target=1)
    np.testing.assert_allclose(display.pit[:, 1], model.predict_dist(X).cdf(Y)[:, 1])
    assert display.ax_.get_xlabel() == "F(weight | x)"


def test_without_a_distribution_it_is_refused_in_one_sentence(data):
    X, y = data
    model = MetaPiRegressor([Ridge().fit(X, y), Ridge().fit(X, -y)], n_init=1).fit(X, y)
    with pytest.raises(ValueError, match=r"MetaPiRegressor has none \(predict_dist\)"):
        CalibrationDisplay.from_estimator(model, X, y)


def test_several_trials_a_row_are_refused_in_one_sentence(data):
    won = np.random.default_rng(0).binomial(9, 0.4, len(data[0]))
    y = np.column_stack([won, 9 - won])
    model = MixtureOfExpertsRegressor(1, expert="binomial").fit(data[0], y)
    with pytest.raises(ValueError, match="y counts several trials a row"):
        CalibrationDisplay.from_estimator(model, data[0], y)


# -- classifiers -------------------------------------------------------------------------------


def test_the_points_are_scikit_learn_s_calibration_curve(labelled):
    model, X, labels = labelled
    display = CalibrationDisplay.from_estimator(model, X, labels, target="mid")
    (shares,) = display.curves.values()
    proba = model.predict_proba(X)[:, 2]
    share, predicted = calibration_curve(labels == "mid", proba, n_bins=10)
    np.testing.assert_allclose(shares.share, share)
    np.testing.assert_allclose(shares.x, predicted)
    assert shares.count.sum() == len(labels)
    assert ((shares.low < share) | (share == 0)).all()
    counts = {text.get_text() for text in display.ax_.texts}
    assert counts == {str(count) for count in shares.count}
    assert display.ax_.get_xlabel() == "predicted probability of grade = mid"


def test_of_three_classes_all_are_drawn_and_of_two_the_second(labelled, data):
    model, X, labels = labelled
    display = CalibrationDisplay.from_estimator(model, X, labels)
    assert list(display.curves) == list(display.marks_) == ["high", "low", "mid"]
    assert display.legend_.get_title().get_text() == "grade"
    pair = make_pipeline(StandardScaler(), MixtureOfExpertsClassifier(1)).fit(X, labels == "mid")
    assert list(CalibrationDisplay.from_estimator(pair, X, labels == "mid").curves) == ["True"]


def test_intervals_of_shares_are_wilson_s():
    shares = Shares.of(np.zeros(12), np.arange(12) < 3.0, np.array([0.0, 1.0]))
    known = proportion_confint(3, 12, alpha=0.1, method="wilson")
    np.testing.assert_allclose([shares.low[0], shares.high[0]], known)


def test_rows_of_few_values_have_a_bin_each():
    x = np.array([1.0, 1.0, 2.0, 5.0])
    shares = Shares.of(x, np.array([1.0, 0.0, 1.0, 0.0]), edges_over(x))
    assert shares.x.tolist() == [1, 2, 5]
    assert shares.count.tolist() == [2, 1, 1]
    assert shares.share.tolist() == [0.5, 1, 0]


# -- both --------------------------------------------------------------------------------------


def test_styles_go_to_matplotlib_and_the_axes_may_be_given(model, data, labelled):
    _, ax = plt.subplots()
    display = CalibrationDisplay.from_estimator(model, *data, ax=ax, bar_kw={"alpha": 0.3})
    assert display.ax_ is ax and display.bars_[0].get_alpha() == 0.3
    display = CalibrationDisplay.from_estimator(
        model, *data, kind="coverage", line_kw={"linewidth": 5}
    )
    assert display.line_.get_linewidth() == 5
    display = CalibrationDisplay.from_estimator(
        *labelled, colors=["red", "lime", "blue"], mark_kw={"marker": "s"}
    )
    assert len(display.marks_["low"].get_paths()[0].vertices) == 5


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kind": "reliability"}, "kind='reliability': regressors have 'pit' and 'coverage'"),
        ({"kind": "box"}, "kind='box': needs one of 'auto', 'reliability', 'pit', 'coverage'"),
        ({"n_bins": 1}, "n_bins=1: needs an integer of at least 2"),
        ({"target": 1}, "target=1: the model has one output"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused(options, message, model, data):
    with pytest.raises(ValueError, match=message):
        CalibrationDisplay.from_estimator(model, *data, **options)


def test_a_classifier_has_no_histogram(labelled):
    with pytest.raises(ValueError, match="kind='pit': classifiers have 'reliability'"):
        CalibrationDisplay.from_estimator(*labelled, kind="pit")


def test_rows_of_x_and_y_must_match(model, data):
    with pytest.raises(ValueError, match="X has 300 rows and y 299"):
        CalibrationDisplay.from_estimator(model, data[0], data[1][1:])


# -- bins of as many rows, and predictions of whatever model --------------------------------------


def rare(n=600):
    rng = np.random.default_rng(3)
    p = rng.uniform(0, 0.08, size=n)
    return p, (rng.uniform(size=n) < p).astype(int)


def test_quantile_bins_hold_as_many_rows_each_and_fill_the_picture():
    p, y = rare()
    even = CalibrationDisplay.from_predictions(y, p).curves["1"]
    assert even.count.tolist() == [600]  # all in the first of ten bins
    display = CalibrationDisplay.from_predictions(y, p, strategy="quantile", n_bins=6)
    shares = display.curves["1"]
    assert shares.count.tolist() == [100] * 6
    share, mean = calibration_curve(y, p, n_bins=6, strategy="quantile")
    np.testing.assert_allclose(shares.share, share)
    np.testing.assert_allclose(shares.x, mean)
    assert 0.08 < display.ax_.get_xlim()[1] < 0.3
    assert display.ax_.get_title(loc="left") == "some 100 rows a point"
    assert not display.ax_.texts


def test_equal_probabilities_are_one_bin():
    y = np.arange(40) % 4 == 0
    display = CalibrationDisplay.from_predictions(y, np.full(40, 0.25), strategy="quantile")
    assert display.curves["True"].count.tolist() == [40]
    assert display.curves["True"].share.tolist() == [0.25]


def test_predictions_draw_what_the_estimator_draws(model, data):
    X, y = data
    here = CalibrationDisplay.from_estimator(model, X, y)
    there = CalibrationDisplay.from_predictions(y, model.predict_dist(X))
    np.testing.assert_array_equal(here.histogram(), there.histogram())
    labels = np.array(["a", "b", "c"])[np.digitize(y, np.quantile(y, [0.3, 0.6]))]
    classifier = MixtureOfExpertsClassifier(1).set_params(expert__alpha=1).fit(X, labels)
    here = CalibrationDisplay.from_estimator(classifier, X, labels, strategy="quantile")
    proba = classifier.predict_proba(X)
    there = CalibrationDisplay.from_predictions(labels, proba, strategy="quantile")
    for name in "abc":
        np.testing.assert_array_equal(here.curves[name].share, there.curves[name].share)


def test_a_distribution_of_scipy_will_do():
    y = norm(1, 2).rvs(size=200, random_state=0)
    display = CalibrationDisplay.from_predictions(y, norm(1, 2), kind="coverage")
    nominal, observed = display.coverage()
    assert abs(nominal - observed).max() < 0.1  # the 99 % point of Kolmogorov's is 0.115


@pytest.mark.parametrize(
    "options, message",
    [
        ({"strategy": "even"}, "strategy='even': needs 'uniform' or 'quantile'"),
        ({"predictions": np.ones((600, 3))}, r"shape \(600, 3\); of 600 rows and 2 classes"),
        ({"predictions": np.full(600, 1.2)}, "some are not between 0 and 1"),
        ({"kind": "pit"}, "kind='pit': classifiers have 'reliability'"),
        ({"predictions": norm(), "kind": "reliability"}, "regressors have 'pit' and 'coverage'"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(options, message):
    p, y = rare()
    with pytest.raises(ValueError, match=message):
        CalibrationDisplay.from_predictions(y, **dict(predictions=p) | options)
