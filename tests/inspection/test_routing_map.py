"""RoutingMapDisplay draws where `route` sends rows, and crosses for those without room."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsRegressor, SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.inspection import RoutingMapDisplay
from classic_moe.inspection._palette import OKABE_ITO
from classic_moe.inspection._regions import set_apart
from classic_moe.inspection.routing_map import OF_STRIPES, PERIOD, STRENGTH, TINTS, WIDTH

X, Y = make_voronoi_pieces(300, n_pieces=5, random_state=0)
GRID = dict(grid_resolution=40)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


def blend(n_experts, rows=X, **options):
    options = dict(combine="blend", max_iter=15, random_state=0) | options
    return SparseMixtureOfExpertsRegressor(n_experts, **options).fit(rows, Y)


@pytest.fixture(scope="module")
def two():
    return blend(5, k=2, capacity_factor=1.0)


def plane(display):
    return np.column_stack([m.ravel() for m in np.meshgrid(*display.grids)])


def pixels_at_the_grid(display):
    """The colours drawn within each point of the grid, (m_2, m_1, pixels, 3)."""
    shown, (m, n) = np.asarray(display.image_.get_array()), display.first.shape
    a, b = shown.shape[0] // m, shown.shape[1] // n
    return shown.reshape(m, a, n, b, 3).swapaxes(1, 2).reshape(m, n, a * b, 3)


def shade(k, strength):
    return 1 - strength * (1 - np.array(to_rgb(OKABE_ITO[k])))


def test_one_expert_a_row_is_a_colour_by_the_argmax_of_route():
    model = blend(5, router="switch")
    display = RoutingMapDisplay.from_estimator(model, X, **GRID)
    best = model.route(plane(display)).toarray().argmax(axis=1).reshape(40, 40)
    np.testing.assert_array_equal(display.first, best)
    assert display.second is None
    expected = np.stack([shade(k, STRENGTH) for k in range(5)])[best]
    np.testing.assert_allclose(display.image_.get_array(), expected)


def test_a_second_expert_is_stripes_in_its_colour(two):
    display = RoutingMapDisplay.from_estimator(two, X, **GRID)
    order = np.argsort(-two.route(plane(display)).toarray(), axis=1)[:, :2]
    np.testing.assert_array_equal(display.first.ravel(), order[:, 0])
    np.testing.assert_array_equal(display.second.ravel(), order[:, 1])
    pixels = pixels_at_the_grid(display)
    for i, j in [(0, 0), (20, 20), (39, 5), (7, 33)]:
        own = {tuple(p) for p in pixels[i, j].round(6)}
        wanted = shade(display.first[i, j], STRENGTH), shade(display.second[i, j], OF_STRIPES)
        assert own <= {tuple(p.round(6)) for p in wanted}
    stripes = np.stack([shade(k, OF_STRIPES) for k in range(5)])[display.second][:, :, None]
    share = np.isclose(pixels, stripes).all(axis=-1).mean()
    assert share == pytest.approx(WIDTH / PERIOD, abs=0.01)  # the picture is no whole period wide
    alone = RoutingMapDisplay.from_estimator(two, X, k=1, **GRID)
    assert alone.second is None


def test_dropped_rows_are_crosses(two):
    display = RoutingMapDisplay.from_estimator(two, X, **GRID)
    lost = two.dropped(X).any(axis=1)
    assert 0 < lost.sum() < 300
    np.testing.assert_array_equal(display.crosses_.get_offsets(), X[lost])
    np.testing.assert_array_equal(display.data_.get_offsets(), X[~lost])
    last = display.legend_.get_texts()[-1].get_text()
    assert last == f"dropped ({100 * lost.mean():.2g} % of rows)"
    free = RoutingMapDisplay.from_estimator(blend(5), X, **GRID)
    assert free.crosses_ is None and len(free.data_.get_offsets()) == 300


def test_of_many_experts_numbers_tell_which():
    model = blend(16, router="expert_choice", n_shared=1)
    display = RoutingMapDisplay.from_estimator(model, X, k=1, grid_resolution=80)
    colors = {tuple(c) for c in np.asarray(display.image_.get_array()).reshape(-1, 3).tolist()}
    assert colors <= {to_rgb(tint) for tint in TINTS} | {(1.0, 1.0, 1.0)}
    assert len(display.region_labels_) > 3
    for text in display.region_labels_:
        j, i = (
            np.abs(g - v).argmin() for g, v in zip(display.grids, text.get_position(), strict=True)
        )
        assert text.get_text() == str(display.first[i, j])
    nobody = model.route(plane(display)).toarray().max(axis=1).reshape(80, 80) == 0
    assert nobody.any()
    np.testing.assert_array_equal(display.first == -1, nobody)
    assert display.legend_.get_texts()[-1].get_text() == "none"
    pair = RoutingMapDisplay.from_estimator(model, X, grid_resolution=80).region_labels_
    assert any("," in text.get_text() for text in pair)


def test_regions_that_touch_have_different_colours():
    rng = np.random.default_rng(0)
    points, (i, j) = rng.uniform(0, 60, (14, 2)), np.indices((60, 60))
    where = np.argmin([(i - a) ** 2 + (j - b) ** 2 for a, b in points], axis=0)
    color = set_apart(where, 6)
    beside = [(where[1:], where[:-1]), (where[:, 1:], where[:, :-1])]
    for a, b in beside:
        touching = {(int(x), int(y)) for x, y in zip(a[a != b], b[a != b], strict=True)}
        assert touching and all(color[x] != color[y] for x, y in touching)


def test_any_mixture_shows_its_most_probable_expert_in_the_caller_s_units():
    model = MixtureOfExpertsRegressor(3, n_init=1, max_iter=5, tol=10, random_state=0)
    table = pd.DataFrame(X * [10, 1000], columns=["width", "height"])
    pipe = make_pipeline(StandardScaler(), model).fit(table, Y)
    display = RoutingMapDisplay.from_estimator(pipe, table, **GRID)
    here = pd.DataFrame(plane(display), columns=table.columns)
    gate = model.gate_proba(pipe[:-1].transform(here))
    np.testing.assert_array_equal(display.first.ravel(), gate.argmax(axis=1))
    assert display.ax_.get_xlabel() == "width" and display.grids[1].max() > 900
    assert display.second is None
    both = RoutingMapDisplay.from_estimator(pipe, table, k=2, **GRID)
    second = np.argsort(-gate, axis=1)[:, 1]
    np.testing.assert_array_equal(both.second.ravel(), second)


def test_axes_and_styles(two):
    _, ax = plt.subplots()
    display = RoutingMapDisplay.from_estimator(
        two,
        X,
        ax=ax,
        feature_names=("easting (km)", "northing (km)"),
        data_kw={"s": 3},
        cross_kw={"marker": "+"},
        border_kw={"linewidths": 3},
        **GRID,
    )
    assert display.ax_ is ax and ax.get_xlabel() == "easting (km)"
    assert display.data_.get_sizes() == [3] and display.borders_.get_linewidths() == [3]


def test_what_is_no_plane_is_refused(two):
    wide = np.column_stack([X, X[:, 0]])
    model = blend(4, wide)
    with pytest.raises(ValueError, match=r"X has 3 feature\(s\): name the two along the axes"):
        RoutingMapDisplay.from_estimator(model, wide)
    slice_ = RoutingMapDisplay.from_estimator(model, wide, features=(2, 1), **GRID)
    assert slice_.ax_.get_xlabel() == "x2" and "x0 = " in slice_.ax_.get_title(loc="left")
    with pytest.raises(ValueError, match="draw GateRegionDisplay"):
        RoutingMapDisplay.from_estimator(blend(4, X[:, :1]), X[:, :1])
    with pytest.raises(ValueError, match="k=3: a map shows 1 or 2"):
        RoutingMapDisplay.from_estimator(two, X, k=3)
    with pytest.raises(ValueError, match="to all 4 experts alike"):
        RoutingMapDisplay.from_estimator(blend(4, router="random"), X)
