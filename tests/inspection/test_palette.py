"""`colors` of every display: one an expert or fit, in any container, and a sentence for others."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from classic_moe import HierarchicalMixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import (
    ConvergenceDisplay,
    ExpertCurvesDisplay,
    GateRegionDisplay,
    TreeDisplay,
)

DISPLAYS = {
    "convergence": lambda model, *data, **kw: ConvergenceDisplay.from_estimator([model] * 4, **kw),
    "curves": ExpertCurvesDisplay.from_estimator,
    "regions": GateRegionDisplay.from_estimator,
    "tree": lambda model, *data, **kw: TreeDisplay.from_estimator(model, **kw),
}


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    X, y = make_piecewise_regression(200, n_pieces=4, random_state=0)
    model = HierarchicalMixtureOfExpertsRegressor(n_init=1, tol=1e-3, random_state=0).fit(X, y)
    return model, X, y


@pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)
def test_colours_may_be_an_array_or_more_than_are_needed(display, fitted):
    for colors in (plt.get_cmap("tab10").colors, np.eye(4)[:, :3], iter("rgbk")):
        figure = display(*fitted, colors=colors).figure_
        figure.canvas.draw()
        assert figure.number in plt.get_fignums()


@pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)
@pytest.mark.parametrize(
    "colors, message",
    [
        (["red", "blue"], "colors: 2 for 4 (experts|fits); give one for each, or None"),
        ([], "colors: 0 for 4 (experts|fits)"),
        (np.ones((2, 3)), "colors: 2 for 4 (experts|fits)"),
        (["red", "blue", "oak", "lime"], "colors: 'oak' is no colour"),
        (7, "colors=7: needs a list of 4 colours"),
    ],
    ids=["few", "none", "array", "unknown", "number"],
)
def test_colours_that_do_not_fit_are_refused_and_nothing_is_drawn(display, colors, message, fitted):
    with pytest.raises(ValueError, match=message):
        display(*fitted, colors=colors)
    assert not plt.get_fignums()
