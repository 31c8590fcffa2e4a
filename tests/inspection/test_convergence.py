"""ConvergenceDisplay draws what the models recorded, one curve a fit."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines, make_piecewise_regression
from classic_moe.inspection import ConvergenceDisplay


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(120, n_pieces=2, random_state=0)


@pytest.fixture(scope="module")
def models(data):
    """Plain EM, accelerated EM, and a fit that was cut off."""
    made = [
        MixtureOfExpertsRegressor(2, solver=solver, n_init=2, random_state=0).fit(*data)
        for solver in ("em", "auto")
    ]
    short = MixtureOfExpertsRegressor(2, solver="em", n_init=1, max_iter=3)
    with pytest.warns(ConvergenceWarning):
        made.append(short.fit(*data))
    return made


def test_a_curve_is_the_objective_that_the_model_recorded(models):
    display = ConvergenceDisplay.from_estimator(models[0])
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_ydata(), models[0].lower_bounds_)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(models[0].n_iter_ + 1))
    assert display.ax_.get_xlabel() == "iteration"
    assert display.ax_.get_ylabel() == "penalised log-likelihood, sum over rows"
    assert display.legend_ is None
    assert display.validation_ax_ is None
    assert display.figure_ is display.ax_.figure


def test_several_fits_go_by_the_names_of_their_solvers(models):
    display = ConvergenceDisplay.from_estimator(models[:2])
    assert [text.get_text() for text in display.legend_.get_texts()] == ["em", "auto"]
    assert display.lines_[0].get_color() != display.lines_[1].get_color()


def test_fits_of_one_solver_are_numbered_and_given_names_win(models):
    both = [models[0], models[0]]
    assert ConvergenceDisplay.from_estimator(both).labels == ["fit 0", "fit 1"]
    assert ConvergenceDisplay.from_estimator(both, labels=["a", 2]).labels == ["a", "2"]
    assert ConvergenceDisplay.from_estimator(models[0], labels="mine").labels == ["mine"]


def test_a_fit_that_did_not_converge_ends_in_a_ring_and_says_so(models):
    display = ConvergenceDisplay.from_estimator(models, labels=["a", "b", "c"])
    faces = [end.get_markerfacecolor() for end in display.ends_]
    assert faces[2] == "white"
    assert faces[0] == display.lines_[0].get_color()
    assert display.lines_[2].get_label() == "c (not converged)"
    for end, model in zip(display.ends_, models, strict=True):
        assert end.get_ydata()[0] == model.lower_bounds_[-1]


def test_the_gap_is_measured_to_the_best_value_of_all_fits(models):
    display = ConvergenceDisplay.from_estimator(models, labels=list("abc"), against="best")
    best = max(model.lower_bounds_.max() for model in models)
    assert display.reference == best
    assert display.ax_.get_yscale() == "log"
    assert "left to gain" in display.ax_.get_ylabel()
    gap = display.lines_[2].get_ydata()
    np.testing.assert_array_equal(gap, best - models[2].lower_bounds_)


def test_a_gap_of_zero_is_left_out_not_drawn_at_the_edge(models):
    display = ConvergenceDisplay.from_estimator(models[0], against="best")
    gap = display.lines_[0].get_ydata()
    assert np.isnan(gap[-1])
    assert np.nanmin(gap) > 0
    assert display.ends_[0].get_ydata()[0] == gap[np.isfinite(gap)][-1]


def test_the_gap_may_be_measured_to_any_value(models):
    best = models[0].lower_bounds_[-1] + 1
    display = ConvergenceDisplay.from_estimator(models[0], against=best)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), best - models[0].lower_bounds_)


@pytest.mark.parametrize("against", ["worst", np.nan, True, [1]])
def test_other_references_are_refused(models, against):
    with pytest.raises(ValueError, match=r'against=.*: use None, "best" or a finite number'):
        ConvergenceDisplay.from_estimator(models[0], against=against)


def test_a_reference_below_all_curves_is_refused(models):
    with pytest.raises(ValueError, match=r"against=-1000000.0: all values .* no gap to draw"):
        ConvergenceDisplay.from_estimator(models, against=-1e6)


def test_iterates_that_fall_are_a_thin_line_beside_the_best_so_far(models):
    display = ConvergenceDisplay(
        curves=[np.array([0.0, 1.0, 1.0, 2.0])],
        labels=["sgd"],
        iterates=[np.array([0.0, 1.0, 0.5, 2.0])],
    ).plot()
    (thin,) = display.iterate_lines_
    np.testing.assert_array_equal(thin.get_ydata(), [0.0, 1.0, 0.5, 2.0])
    assert thin.get_linewidth() < display.lines_[0].get_linewidth()
    assert display.ends_ == []
    assert ConvergenceDisplay.from_estimator(models[0]).iterate_lines_ == []


def test_a_validation_curve_has_an_axis_of_its_own(data):
    model = MixtureOfExpertsRegressor(2, solver="adam", n_init=1, max_iter=20, random_state=0)
    model.set_params(solver__early_stopping=True, tol=1e-2).fit(*data)
    display = ConvergenceDisplay.from_estimator(model)
    (line,) = display.validation_lines_
    np.testing.assert_array_equal(line.get_ydata(), model.learning_curve_["validation"])
    assert line.axes is display.validation_ax_
    assert display.validation_ax_.get_ylabel() == "objective a held-out row (dashed)"
    assert len(display.legend_.get_texts()) == 2


def test_one_axes_is_drawn_on_and_no_figure_is_made(models):
    figure, ax = plt.subplots()
    before = plt.get_fignums()
    display = ConvergenceDisplay.from_estimator(models[:2], ax=ax)
    assert (display.ax_, display.figure_) == (ax, figure)
    assert plt.get_fignums() == before
    assert plt.gca() is ax


def test_styles_go_to_matplotlib(models):
    display = ConvergenceDisplay.from_estimator(
        models,
        labels=list("abc"),
        colors=["red"] * 3,
        line_kw={"linewidth": 5},
        end_kw={"markersize": 3},
    )
    assert {line.get_color() for line in display.lines_} == {"red"}
    assert display.lines_[0].get_linewidth() == 5
    assert display.ends_[0].get_markersize() == 3


def test_a_pipeline_is_drawn_as_its_last_step(data, models):
    pipe = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(2, n_init=1)).fit(*data)
    display = ConvergenceDisplay.from_estimator(pipe)
    np.testing.assert_array_equal(display.curves[0], pipe[-1].lower_bounds_)


def test_what_has_no_objectives_is_refused(data):
    with pytest.raises(ValueError, match="draws mixtures of experts; LinearRegression is none"):
        ConvergenceDisplay.from_estimator(LinearRegression().fit(*data))
    with pytest.raises(NotFittedError):
        ConvergenceDisplay.from_estimator(MixtureOfExpertsRegressor())
    truth = make_crossing_lines(20, random_state=0, return_truth=True)[2]
    with pytest.raises(ValueError, match="MixtureTruth keeps no lower_bounds_"):
        ConvergenceDisplay.from_estimator(truth)
    with pytest.raises(ValueError, match="list of estimators is empty"):
        ConvergenceDisplay.from_estimator([])


def test_there_is_one_label_a_fit(models):
    with pytest.raises(ValueError, match="labels has 1 names for 2 fits"):
        ConvergenceDisplay.from_estimator(models[:2], labels=["a"])
