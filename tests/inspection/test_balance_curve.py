"""BalanceCurveDisplay draws what `balance_curve_` holds."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from classic_moe import SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.inspection import BalanceCurveDisplay
from classic_moe.routing import AuxiliaryLoss, ZLoss

X, Y = make_voronoi_pieces(300, n_pieces=5, random_state=0)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


def fitted(n_experts=5, **options):
    options = dict(combine="blend", max_iter=8, random_state=0) | options
    return SparseMixtureOfExpertsRegressor(n_experts, **options).fit(X, Y)


@pytest.fixture(scope="module")
def free():
    return fitted()


@pytest.fixture(scope="module")
def balanced():
    return fitted(balance=[AuxiliaryLoss(0.1), ZLoss()], capacity_factor=1.0)


def test_every_quantity_is_a_panel_of_its_curve(balanced):
    display = BalanceCurveDisplay.from_estimator(balanced)
    curve = balanced.balance_curve_
    assert list(display.axes_) == ["load_imbalance", "dropped_fraction", "AuxiliaryLoss", "ZLoss"]
    for name, ax in display.axes_.items():
        (line,) = display.lines_[name]
        assert line.axes is ax
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 9))
        np.testing.assert_array_equal(line.get_ydata(), curve[name])
    assert display.ax_ is display.axes_["load_imbalance"]
    labels = [ax.get_ylabel() for ax in display.axes_.values()]
    assert labels[1:] == ["pairs dropped", "auxiliary loss\n× weight", "z loss\n× weight"]
    assert [ax.get_xlabel() for ax in display.axes_.values()] == ["", "", "", "epoch"]


def test_a_panel_has_room_above_the_highest_value():
    curve = {"load": np.full((4, 2), 0.5), "load_imbalance": np.array([0.97, 0.98, 0.99, 1.0])}
    curve["dropped_fraction"] = np.zeros(4)
    display = BalanceCurveDisplay(curves=[curve], labels=["a"]).plot()
    low, high = display.ax_.get_ylim()
    assert low == 0 and high > 1.05
    curve["load_imbalance"] = np.zeros(4)  # all loads are equal
    assert BalanceCurveDisplay(curves=[curve], labels=["a"]).plot().ax_.get_ylim() == (0, 1)


def test_several_fits_share_panels(free, balanced):
    display = BalanceCurveDisplay.from_estimator([free, balanced], labels=["none", "both"])
    assert [len(display.lines_[name]) for name in display.axes_] == [2, 2, 1, 1]
    assert [t.get_text() for t in display.legend_.get_texts()] == ["none", "both"]
    (line,) = display.lines_["ZLoss"]  # the colour is that of the fit
    assert line.get_color() == display.lines_["load_imbalance"][1].get_color()
    alone = BalanceCurveDisplay.from_estimator(free)
    assert list(alone.axes_) == ["load_imbalance"] and alone.legend_ is None


def test_loads_are_bands_that_fill_the_height(free):
    display = BalanceCurveDisplay.from_estimator(free, kind="loads")
    load = free.balance_curve_["load"]
    assert load.shape == (8, 5)
    np.testing.assert_allclose(load.sum(axis=1), 1, rtol=1e-12)
    assert (np.diff(load[-1, display.order_]) <= 0).all()
    at_end = [band.get_paths()[0].vertices for band in display.bands_]
    heights = [np.ptp(v[v[:, 0] == 8, 1]) for v in at_end]
    np.testing.assert_allclose(heights, load[-1, display.order_], atol=1e-12)
    for k, text in display.numbers_.items():
        place = list(display.order_).index(k)
        below = load[-1, display.order_[:place]].sum()
        assert below < text.xy[1] < below + load[-1, k]
    assert display.ax_.get_ylim() == (0, 1)


def test_one_epoch_and_many_experts_are_drawn():
    display = BalanceCurveDisplay.from_estimator(fitted(16, max_iter=1), kind="loads")
    assert len(display.bands_) == 16 and display.ax_.get_xlim() == (1, 2)


def test_panels_take_the_place_of_axes_of_a_grid(balanced, free):
    figure, (left, right) = plt.subplots(1, 2)
    display = BalanceCurveDisplay.from_estimator(balanced, ax=right)
    assert display.figure_ is figure and len(figure.axes) == 5 and left in figure.axes
    assert BalanceCurveDisplay.from_estimator(free, ax=left, line_kw={"linewidth": 4}).ax_ is left
    lone = plt.figure().add_axes([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"ax: 4 panels .* need axes of a grid"):
        BalanceCurveDisplay.from_estimator(balanced, ax=lone)


def test_what_has_no_curve_is_refused(free):
    mixture = SparseMixtureOfExpertsRegressor(3, n_init=1, max_iter=3, tol=10).fit(X, Y)
    with pytest.raises(ValueError, match="has no balance_curve_: only sparse blends"):
        BalanceCurveDisplay.from_estimator(mixture)
    with pytest.raises(ValueError, match="kind='bars': use"):
        BalanceCurveDisplay.from_estimator(free, kind="bars")
    with pytest.raises(ValueError, match="kind='loads' draws one fit, got 2"):
        BalanceCurveDisplay.from_estimator([free, free], kind="loads")
    with pytest.raises(ValueError, match="labels has 1 names for 2 fits"):
        BalanceCurveDisplay.from_estimator([free, free], labels="a")
    with pytest.raises(ValueError, match="list of estimators is empty"):
        BalanceCurveDisplay.from_estimator([])
