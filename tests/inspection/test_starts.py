"""StartsDisplay: where every climb ended."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle, make_piecewise_regression
from classic_moe.inspection import StartsDisplay
from classic_moe.inspection.starts import MOST


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    X, y = load_motorcycle(return_X_y=True)
    return MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)


def made(**changed):
    """Five climbs, each with another outcome."""
    table = dict(
        kind=np.array(["start", "hop", "start", "hop", "given"]),
        early_objective=np.array([-60.0, -50.0, -70.0, -55.0, np.nan]),
        objective=np.array([-40.0, -45.0, -52.0, 300.0, np.nan]),
        outcome=np.array(["chosen", "ended", "given up", "collapsed", "failed"]),
        smallest_share=np.array([0.3, 0.2, 0.001, 0.01, np.nan]),
    )
    return StartsDisplay(**table | changed)


def test_every_climb_of_the_fit_is_a_line_from_its_short_run_to_its_end(model):
    display = StartsDisplay.from_estimator(model)
    starts = model.starts_
    assert len(display.lines_) == len(starts["kind"]) == len(display.ends_)
    low, high = display.ax_.get_xlim()
    for place, i in enumerate(display.order_):
        begun, ended = display.lines_[place].get_xdata()
        assert ended == starts["objective"][i]
        if low < starts["early_objective"][i] < high:
            assert begun == starts["early_objective"][i]
        assert display.lines_[place].get_ydata()[0] == place


def test_the_chosen_one_stands_above_and_others_below_by_their_ends(model):
    display = StartsDisplay.from_estimator(model)
    objective = model.starts_["objective"][display.order_]
    assert model.starts_["outcome"][display.order_[0]] == "chosen"
    assert (np.diff(objective[1:]) <= 0).all()


def test_the_legend_counts_how_many_climbs_reached_the_best(model):
    display = StartsDisplay.from_estimator(model)
    objective = model.starts_["objective"]
    reached = np.sum(objective > objective.max() - 0.05)
    assert reached > 1
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts[0] == f"chosen (reached by {reached})"
    assert "hop from a maximum" in texts and "after the short run" in texts


def test_what_is_far_off_has_an_arrow_and_what_failed_a_cross():
    display = made().plot()
    order = [made().outcome[i] for i in display.order_]
    assert order == ["collapsed", "chosen", "ended", "given up", "failed"]
    markers = [end.get_marker() for end in display.ends_]
    assert markers == [">", "o", "s", "o", "x"]
    low, high = display.ax_.get_xlim()
    assert -80 < low and high < -38  # not 300, where the collapsed climb ended
    assert display.ends_[0].get_xdata()[0] < high
    assert "further off" in [text.get_text() for text in display.legend_.get_texts()]


def test_long_numbers_at_the_axis_are_whole_and_apart():
    display = made(
        kind=np.array(["start", "start"]),
        early_objective=np.array([-38740.8, -38740.6]),
        objective=np.array([-38739.5, -38738.9]),
        outcome=np.array(["ended", "chosen"]),
        smallest_share=np.array([0.1, 0.1]),
    ).plot()
    display.figure_.canvas.draw()
    low, high = display.ax_.get_xlim()
    ticks = display.ax_.get_xticklabels()
    inside = [tick for tick in ticks if low <= tick.get_position()[0] <= high]
    assert len(inside) > 1
    assert not display.ax_.xaxis.get_offset_text().get_text()
    boxes = [tick.get_window_extent() for tick in inside]
    gaps = [right.x0 - left.x1 for left, right in pairwise(boxes)]
    assert min(gaps) > 0, gaps


def test_shares_of_the_smallest_expert_stand_beside():
    texts = [text.get_text() for text in made().plot().shares_]
    assert texts == ["1 %", "30 %", "20 %", "<1 %"]


def test_of_many_climbs_those_given_up_are_left_out():
    n = 3 * MOST
    outcome = np.array(["given up"] * n, dtype="<U9")
    outcome[[0, 5]] = "chosen", "ended"
    objective = -np.arange(n, dtype=float)
    objective[5] = -1000
    display = made(
        kind=np.array(["start"] * n),
        early_objective=objective - 10,
        objective=objective,
        outcome=outcome,
        smallest_share=np.full(n, 0.1),
    ).plot()
    assert len(display.order_) == MOST and 5 in display.order_
    assert display.ax_.get_title(loc="left") == f"{MOST} of {n} climbs"


def test_styles_and_colours_by_outcome():
    _, ax = plt.subplots()
    display = made().plot(ax, colors={"ended": "red"}, end_kw={"markersize": 13})
    assert display.ax_ is ax
    assert display.ends_[2].get_color() == "red" and display.ends_[1].get_color() == "black"
    assert {end.get_markersize() for end in display.ends_} == {13}


def test_the_truth_has_no_starts():
    truth = make_piecewise_regression(30, random_state=0, return_truth=True)[2]
    with pytest.raises(ValueError, match="MixtureTruth keeps no starts_"):
        StartsDisplay.from_estimator(truth)
