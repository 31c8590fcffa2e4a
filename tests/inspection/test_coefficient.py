"""CoefficientDisplay: coefficients with their intervals, and why one is missing."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inference import Inference, bootstrap, infer
from classic_moe.inspection import CoefficientDisplay


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    X, y = make_piecewise_regression(200, n_features=2, n_pieces=2, random_state=0)
    return pd.DataFrame(X, columns=["dose_of_drug", "age"]), pd.Series(y, name="wage")


@pytest.fixture(scope="module")
def model(data):
    return MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(*data)


@pytest.fixture(scope="module")
def found(model, data):
    return infer(model, *data)


def test_dots_and_intervals_are_those_of_infer(model, data, found):
    display = CoefficientDisplay.from_estimator(model, *data)
    assert display.coefficient_names == ["dose_of_drug", "age"]
    for k in range(2):
        for j, name in enumerate(display.coefficient_names):
            i = found.names.index(f"expert {k}: {name}")
            assert display.dots_[k, j].get_xdata()[0] == found.estimates[i]
            ends = display.intervals_[k, j].get_xdata()
            np.testing.assert_array_equal(ends, [found.lower[i], found.upper[i]])
            assert display.dots_[k, j].get_ydata()[0] == k
    assert display.measure == "change of wage per unit of the column"
    assert display.note_ == ""
    assert len(display.axes_) == 2 and display.ax_ is display.axes_[0]
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["expert 0", "expert 1"]


def test_the_coefficients_are_in_the_caller_s_units(model, data):
    X, y = data
    wide = X.assign(age=100 * X["age"])
    other = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(wide, y)
    here = CoefficientDisplay.from_estimator(model, X, y)
    there = CoefficientDisplay.from_estimator(other, wide, y)
    np.testing.assert_allclose(here.estimates[:, 1], 100 * there.estimates[:, 1], rtol=1e-4)
    np.testing.assert_allclose(here.upper[:, 1], 100 * there.upper[:, 1], rtol=1e-3)
    np.testing.assert_allclose(here.estimates[:, 0], there.estimates[:, 0], rtol=1e-4)


def test_the_gate_s_are_log_odds_against_the_last_expert(model, data, found):
    display = CoefficientDisplay.from_estimator(model, *data, part="gate", inference=found)
    assert display.owner_names == ["expert 0"]
    assert display.measure == "log-odds against expert 1, per unit of the column"
    np.testing.assert_allclose(display.estimates, model.gate_.coef_[:1])


def test_an_interval_that_is_missing_is_an_open_dot_with_its_reason():
    nan = np.nan
    display = CoefficientDisplay(
        estimates=np.array([[1.0, 2.0], [3.0, 4.0]]),
        lower=np.array([[0.5, nan], [2.0, nan]]),
        upper=np.array([[1.5, nan], [4.0, nan]]),
        coefficient_names=["a", "b"],
        owner_names=["expert 0", "expert 1"],
        reasons={(0, 1): "too few rows", (1, 1): "a bound"},
    ).plot()
    assert set(display.intervals_) == {(0, 0), (1, 0)}
    assert display.dots_[0, 1].get_markerfacecolor() == "white"
    assert to_rgb(display.dots_[0, 0].get_markerfacecolor()) != (1, 1, 1)
    assert display.note_ == "¹ no interval: too few rows\n² no interval: a bound"
    assert [text.get_text() for text in display.axes_[1].texts] == ["¹", "²"]
    assert not display.axes_[0].texts


def test_one_reason_for_all_is_written_once_and_marks_no_dot():
    display = CoefficientDisplay(
        estimates=np.array([[1.0, 2.0], [3.0, 4.0]]),
        lower=np.full((2, 2), np.nan),
        upper=np.full((2, 2), np.nan),
        coefficient_names=["a", "b"],
        owner_names=["expert 0", "expert 1"],
        reasons={(k, j): "no maximum" for k in range(2) for j in range(2)},
    ).plot()
    assert display.note_ == "no interval: no maximum"
    assert not any(ax.texts for ax in display.axes_)


def test_reasons_come_from_infer(data):
    X, _ = data
    labels = np.where(X["age"] > 0, "old", "young")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the classes are separated
        model = MixtureOfExpertsClassifier(2, n_init=1, random_state=0).fit(X, labels)
    found = infer(model, X, labels)
    display = CoefficientDisplay.from_estimator(model, X, labels)
    assert display.reasons and set(display.reasons.values()) <= set(found.reasons.values())
    assert display.measure == "log-odds of young against old, per unit of the column"
    missing = {place for place in display.dots_ if place not in display.intervals_}
    assert missing == set(display.reasons)


def test_an_interval_that_is_far_wider_than_the_rest_ends_in_an_arrow():
    display = CoefficientDisplay(
        estimates=np.array([[1.0], [1.2], [1.1]]),
        lower=np.array([[0.9], [1.1], [-900.0]]),
        upper=np.array([[1.1], [1.3], [900.0]]),
        coefficient_names=["a"],
        owner_names=["0", "1", "2"],
    ).plot()
    low, high = display.ax_.get_xlim()
    assert -20 < low and high < 20
    assert {"<", ">"} <= {line.get_marker() for line in display.ax_.get_lines()}


def test_without_data_there_are_dots_alone(model):
    display = CoefficientDisplay.from_estimator(model)
    assert len(display.dots_) == 4 and not display.intervals_
    assert "interval" not in display.figure_.get_supxlabel()
    assert to_rgb(display.dots_[0, 0].get_markerfacecolor()) != (1, 1, 1)


def test_a_bootstrap_will_do_and_names_choose(model, data):
    found = bootstrap(model, *data, n_resamples=8, random_state=0)
    display = CoefficientDisplay.from_estimator(
        model, inference=found, coefficients=["age", "intercept"], intercepts=True
    )
    assert display.coefficient_names == ["age", "intercept"]
    i = found.names.index("expert 1: age")
    assert display.lower[1, 0] == found.lower[i]


def test_of_many_columns_those_with_the_largest_z_are_drawn(model):
    names = [f"expert {k}: x{j}" for k in range(2) for j in range(20)]
    estimates = np.tile(np.arange(20.0), 2)
    found = Inference.of(names, estimates, np.eye(40))
    display = CoefficientDisplay.from_estimator(model, inference=found)
    assert display.coefficient_names == [f"x{j}" for j in range(8, 20)]
    assert display.note_ == "the 12 of 20 coefficients with the largest |z|"


def test_several_outputs_and_trees(data):
    X, y = data
    noise = np.random.default_rng(0).normal(size=len(y))
    both = pd.DataFrame({"wage": y + 0.1 * noise, "hours": X["age"] + noise[::-1]})
    model = HierarchicalMixtureOfExpertsRegressor(depth=1, n_init=1, tol=1e-3, random_state=0)
    model.fit(X, both)
    display = CoefficientDisplay.from_estimator(model)
    assert display.coefficient_names[0] == "dose_of_drug -> wage"
    assert display.estimates.shape == (2, 4)
    gate = CoefficientDisplay.from_estimator(model, part="gate")
    assert gate.owner_names[0] == "node root, child 0"
    assert gate.measure.startswith("log-odds against the node's last child")


def test_of_a_pipeline_the_last_step_is_drawn(data):
    X, y = data
    pipe = make_pipeline(
        StandardScaler(), MixtureOfExpertsRegressor(2, n_init=1, random_state=0)
    ).fit(X, y)
    display = CoefficientDisplay.from_estimator(pipe, X, y)
    np.testing.assert_allclose(display.estimates[0], pipe[-1].experts_[0].coef_)


def test_styles_go_to_matplotlib(model, data, found):
    figure, axes = plt.subplots(1, 2)
    display = CoefficientDisplay.from_estimator(
        model, inference=found, ax=axes[1], dot_kw={"markersize": 11}, colors=["red", "lime"]
    )
    assert display.figure_ is figure
    assert display.dots_[0, 1].get_markersize() == 11
    assert display.dots_[1, 1].get_color()[1] == 1.0
    figure.canvas.draw()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"part": "all"}, "part='all': needs 'expert' or 'gate'"),
        ({"coefficients": ["size"]}, r"coefficients=\['size'\]: .* among dose_of_drug, age; not"),
        ({"coefficients": []}, r"coefficients=\[\]: name at least one"),
        ({"colors": ["red"]}, "colors: 1 for 2 experts"),
    ],
)
def test_what_cannot_be_is_refused(options, message, model):
    with pytest.raises(ValueError, match=message):
        CoefficientDisplay.from_estimator(model, **options)


def test_X_and_y_belong_together_and_constants_have_no_slopes(model, data):
    with pytest.raises(ValueError, match="pass X and y, the rows of the fit, or neither"):
        CoefficientDisplay.from_estimator(model, data[0])
    constant = MixtureOfExpertsRegressor(2, expert="gaussian", n_init=1, random_state=0)
    with pytest.raises(ValueError, match=r"experts .* have no coefficients of columns"):
        CoefficientDisplay.from_estimator(constant.fit(*data))


def test_parts_without_derivatives_are_sent_to_the_bootstrap(data):
    model = MixtureOfExpertsRegressor(2, expert="laplace", n_init=1, random_state=0).fit(*data)
    with pytest.raises(ValueError, match=r"no standard errors from derivatives.*bootstrap"):
        CoefficientDisplay.from_estimator(model, *data)
    assert not CoefficientDisplay.from_estimator(model).intervals_
