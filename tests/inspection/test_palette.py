"""`colors` of every display: one an expert or fit, in any container, and a sentence for others."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from classic_moe import HierarchicalMixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import (
    ConvergenceDisplay,
    ExpertCurvesDisplay,
    GateDependenceDisplay,
    GateRegionDisplay,
    MeanDependenceDisplay,
    TreeDisplay,
)
from classic_moe.inspection._palette import expert_colors

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


# Machado, Oliveira & Fernandes (2009): how the red-blind and the green-blind see, in linear RGB
SIGHTS = {
    "all": np.eye(3),
    "red-blind": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "green-blind": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
}


def lab(color, sight):
    """A colour in CIELAB, where 2 is a difference that is just seen."""
    value = np.array(to_rgb(color))
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(SIGHTS[sight] @ linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
def test_twelve_experts_are_told_apart_whoever_looks(sight):
    seen = [lab(color, sight) for color in [*expert_colors(12), "black", "white"]]
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    # The seven of Okabe and Ito are 17 apart at least.
    assert min(apart) > 16.5


# -- more experts than colours -------------------------------------------------------------------

MANY = 14


@pytest.fixture(scope="module")
def many():
    """A truth with more experts than there are colours, and rows."""
    X, _, truth = make_piecewise_regression(
        200, n_features=2, n_pieces=MANY, random_state=0, return_truth=True
    )
    return truth, X


NUMBERED = {
    "curves": lambda t, X: ExpertCurvesDisplay.from_estimator(t, X),
    "regions": lambda t, X: GateRegionDisplay.from_estimator(t, X, grid_resolution=60),
    "gate": lambda t, X: GateRegionDisplay.from_estimator(t, X, features=0),
    "dependence": lambda t, X: GateDependenceDisplay.from_estimator(t, X),
    "mean": lambda t, X: MeanDependenceDisplay.from_estimator(t, X),
}


@pytest.mark.parametrize("display", NUMBERED.values(), ids=NUMBERED)
def test_more_than_twelve_experts_are_grey_and_numbered(display, many):
    drawn = display(*many)
    numbers = {text.get_text() for text in drawn.ax_.texts}
    assert len(numbers) > MANY / 2 and numbers <= {str(k) for k in range(MANY)}
    entries = [text.get_text() for text in drawn.legend_.get_texts()]
    assert entries[0] == "experts, by number"
    assert not any(entry.startswith("expert ") for entry in entries)


def test_colours_that_are_given_tell_any_number_of_experts_apart(many):
    colors = plt.get_cmap("hsv")(np.linspace(0, 0.9, MANY))
    drawn = GateDependenceDisplay.from_estimator(*many, colors=colors)
    assert not drawn.ax_.texts
    assert len(drawn.legend_.get_texts()) == MANY


def test_bars_of_many_experts_have_their_numbers_inside(many):
    rng = np.random.default_rng(0)
    gate = rng.dirichlet(np.full(MANY, 0.5), size=3)
    drawn = GateDependenceDisplay(grid=np.array(["a", "b", "c"], object), gate=gate).plot()
    for text in drawn.ax_.texts:
        x, y = text.get_position()
        k = int(text.get_text())
        below = gate[int(x), :k].sum()
        assert below < y < below + gate[int(x), k]
    assert len(drawn.ax_.texts) == (gate >= 0.04).sum()
