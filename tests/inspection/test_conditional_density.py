"""ConditionalDensityDisplay: the whole distribution along a feature, two modes and all."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines, make_piecewise_regression
from classic_moe.inspection import ConditionalDensityDisplay


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def crossing():
    X, y = make_crossing_lines(random_state=0)
    model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0)
    return model.fit(X, y), X, y


@pytest.fixture(scope="module")
def wide():
    X, y = make_piecewise_regression(150, n_features=2, random_state=0)
    return MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y), X, y


def drawn(fitted, **options):
    options = dict(grid_resolution=12, subsample=15, slices=2) | options
    return ConditionalDensityDisplay.from_estimator(*fitted, **options)


# -- the numbers ---------------------------------------------------------------------------------


def test_cells_hold_what_the_distribution_gives_them(crossing):
    model = crossing[0]
    display = drawn(crossing)
    dist = model.predict_dist(display.grid[:, None])
    below = dist.cdf(display.edges[:, None])
    np.testing.assert_allclose(display.mass, np.diff(below, axis=0).T, atol=1e-12)
    # The axis holds 98 % of it at least, by its definition.
    assert display.mass.sum(axis=1).min() > 0.97


def test_a_band_is_the_smallest_region_of_its_probability(crossing):
    display = drawn(crossing)
    for level in display.levels:
        inside = display.coverage() < level
        held = (display.mass * inside).sum(axis=1)
        # It holds the probability, and not a cell more than that takes.
        assert (held >= level - 1e-9).all()
        assert (held - np.where(inside, display.mass, np.inf).min(axis=1) < level).all()
        assert (
            np.where(inside, display.mass, np.inf).min(axis=1)
            >= np.where(inside, -np.inf, display.mass).max(axis=1) - 1e-12
        ).all()


def test_two_modes_show_as_two_parts_of_a_band_and_two_marks(crossing):
    display = drawn(crossing, slices=[-0.9, 0.0, 0.9])
    assert [len(modes) for modes in display.modes_] == [2, 1, 2]
    np.testing.assert_allclose(display.modes_[0], [-0.9, 0.9], atol=0.1)  # noise of sd 0.1
    half = display.coverage()[0] < 0.9  # at the left end, where the lines are far apart
    assert (np.diff(half.astype(int)) == 1).sum() == 2
    # A quantile band would hold what lies between.
    between = np.abs(display._centers) < 0.3
    assert not half[between].any()


def test_the_slices_are_made_up_of_the_experts(crossing):
    model = crossing[0]
    display = drawn(crossing, slices=[0.5])
    (masses,) = display.slice_mass
    gate = model.gate_proba([[0.5]])[0]
    for k, view in enumerate(model.experts_):
        own = stats.norm(view.predict([[0.5]])[0], view.scale_)
        np.testing.assert_allclose(masses[k], gate[k] * np.diff(own.cdf(display.edges)), atol=1e-9)
    line = display.slice_lines_[0]
    np.testing.assert_allclose(line.get_xdata(), masses.sum(axis=0) / np.diff(display.edges))


def test_densities_are_averaged_over_the_rows(wide):
    model, X, _ = wide
    display = drawn(wide, feature=1, subsample=None)
    at = X.copy()
    at[:, 1] = display.grid[4]
    below = model.predict_dist(at).cdf(display.edges[:, None]).mean(axis=1)
    np.testing.assert_allclose(display.mass[4], np.diff(below), atol=1e-12)
    assert display.averaged and not any(len(modes) for modes in display.modes_)
    assert display.figure_.get_suptitle() == "distributions averaged over 150 rows"


def test_a_slice_says_so_and_fades_rows_that_are_far(wide):
    model, X, _ = wide
    display = drawn(wide, kind="slice")
    median = np.median(X[:, 1])
    at = np.column_stack([display.grid, np.full(len(display.grid), median)])
    below = model.predict_dist(at).cdf(display.edges[:, None])
    np.testing.assert_allclose(display.mass, np.diff(below, axis=0).T, atol=1e-12)
    note = display.figure_.get_suptitle()
    assert note.startswith("a slice at x1 = ") and note.endswith("rows far from it are faded")
    np.testing.assert_array_equal(display.data_.get_alpha(), display.closeness)
    assert len(display.modes_[0])


def test_counts_have_a_cell_each():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(150, 1))
    y = rng.poisson(np.exp(1 + X[:, 0]))
    model = MixtureOfExpertsRegressor(1, expert="poisson").fit(X, y)
    display = drawn((model, X, y), slices=[0.5])
    assert set(np.diff(display.edges)) == {1.0} and display.edges[0] % 1 == 0.5
    dist = model.predict_dist(display.grid[:, None])
    np.testing.assert_allclose(display.mass, dist.pdf(display._centers[:, None]).T, atol=1e-12)


def test_where_all_probability_is_out_of_sight_there_is_no_band():
    display = ConditionalDensityDisplay(
        grid=np.array([0.0, 1.0]),
        edges=np.linspace(0, 1, 11),
        mass=np.vstack([np.full(10, 0.1), np.zeros(10)]),
        slice_mass=np.zeros((0, 1, 10)),
        deciles=np.linspace(0, 1, 9),
    ).plot()
    assert (display.coverage()[0] < 0.95).all()
    assert (display.coverage()[1] == 1).all()
    assert display.bands_.get_array().mask[:, 1].all()


# -- tables and options --------------------------------------------------------------------------


def test_categories_stand_side_by_side():
    X, y = make_piecewise_regression(120, random_state=0)
    frame = pd.DataFrame({"dose": X[:, 0], "site": np.array(["a", "b", "c"])[np.arange(120) % 3]})
    coded = make_column_transformer(
        (OneHotEncoder(sparse_output=False, drop="first"), ["site"]), remainder="passthrough"
    )
    pipe = make_pipeline(coded, MixtureOfExpertsRegressor(2, n_init=1, random_state=0))
    pipe.fit(frame, y + (frame["site"] == "c"))
    display = drawn((pipe, frame, y), feature="site")
    assert display.grid.tolist() == ["a", "b", "c"] and display.slices == ["a", "b"]
    x = display.data_.get_offsets()[:, 0]
    np.testing.assert_array_equal(np.round(x), np.arange(120) % 3)
    mean = display.mass @ display._centers / display.mass.sum(axis=1)
    assert mean[2] - mean[0] > 0.5  # in truth 1
    assert drawn((pipe, frame, y), feature="site", slices=["c"]).slices == ["c"]
    with pytest.raises(ValueError, match="slices: 'd' is no category of 'site'"):
        drawn((pipe, frame, y), feature="site", slices=["d"])


def test_an_output_of_several_is_drawn(wide):
    _, X, y = wide
    both = np.column_stack([y, -10 * y + X[:, 1]])
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X[:, :1], both)
    display = drawn((model, X[:, :1], both), target=1)
    at = np.broadcast_to(display.edges[:, None, None], (len(display.edges), 1, 2))
    below = model.predict_dist(display.grid[:, None]).cdf(at)[..., 1]
    np.testing.assert_allclose(display.mass, np.diff(below, axis=0).T, atol=1e-12)
    np.testing.assert_array_equal(display.y, both[:, 1])


def test_styles_levels_and_axes(crossing):
    figure, axes = plt.subplots(1, 2)
    display = drawn(
        crossing, levels=[0.5, 0.9], ax=axes[0], slices=3, data_kw={"s": 77}, colors=["red", "lime"]
    )
    assert display.figure_ is figure and len(display.slice_axes_) == 3
    assert display.data_.get_sizes() == [77]
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert labels == ["50 %", "90 %", "expert 0", "expert 1"]
    alone = drawn(crossing, slices=0, ax=axes[1])
    assert alone.ax_ is axes[1] and alone.slice_axes_ == []
    figure.canvas.draw()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kind": "fan"}, "kind='fan': needs one of 'average', 'slice'"),
        ({"levels": [0.9, 0.5]}, r"levels=\[0.9, 0.5\]: .* increasing"),
        ({"levels": [50, 90]}, r"levels=\[50.0, 90.0\]: needs probabilities"),
        ({"slices": "two"}, "slices='two': needs a number of slices, or a list"),
        ({"slices": [np.nan]}, r"slices=\[nan\]: needs finite values of 'x'"),
        ({"feature": "size"}, "X has no such column"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused(options, message, crossing):
    with pytest.raises(ValueError, match=message):
        drawn(crossing, **options)


def test_a_classifier_has_no_such_distributions(crossing):
    _, X, y = crossing
    model = MixtureOfExpertsClassifier(1).set_params(expert__alpha=1).fit(X, y > 0.3)
    with pytest.raises(ValueError, match="needs predictive distributions; this MixtureOfExpertsCl"):
        drawn((model, X, y > 0.3))
