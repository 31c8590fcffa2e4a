"""GateRegionDisplay draws the gate's probabilities, for any model, table and axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    MetaPiClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_piecewise_regression
from classic_moe.gates import TreeGate
from classic_moe.inspection import ExpertCurvesDisplay, GateRegionDisplay
from classic_moe.inspection._palette import OKABE_ITO


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(200, n_features=3, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return MixtureOfExpertsRegressor(3, n_init=3, random_state=0).fit(*data)


@pytest.fixture(scope="module")
def labelled(data):
    X, y = data
    labels = np.array(["low", "mid", "high"])[np.digitize(y, np.quantile(y, [0.3, 0.7]))]
    model = MixtureOfExpertsClassifier(2, n_init=3, random_state=0)
    # This many rows cannot tell one expert's classes apart without a firmer prior.
    model.set_params(expert__alpha=1, gate__alpha=1)
    return model.fit(X, labels), X, labels


def at(display, X, columns):
    """The table that the picture shows: the grid, the other columns at their medians."""
    mesh = np.meshgrid(*display.grids)
    table = np.tile(np.median(X, axis=0), (mesh[0].size, 1))
    for j, values in zip(columns, mesh, strict=True):
        table[:, j] = values.ravel()
    return table


def test_probabilities_are_the_gate_s_at_the_medians_of_the_other_features(model, data):
    X, y = data
    display = GateRegionDisplay.from_estimator(model, X, y, features=(2, 0), grid_resolution=20)
    assert display.proba.shape == (20, 20, 3)
    expected = model.gate_proba(at(display, X, (2, 0)))
    np.testing.assert_array_equal(display.proba.reshape(-1, 3), expected)
    np.testing.assert_array_equal(display.points, X[:, [2, 0]])
    np.testing.assert_array_equal(display.responsibilities, model.responsibilities(X, y))
    assert display.ax_.get_xlabel() == "x2"
    assert display.ax_.get_ylabel() == "x0"
    note = f"a slice at x1 = {np.median(X[:, 1]):.3g}; rows far from it are faded"
    assert display.ax_.get_title(loc="left") == note
    np.testing.assert_array_equal(display.data_[0].get_alpha(), display.closeness)
    assert display.closeness.min() < 0.2 and display.closeness.max() > 0.95


def test_all_data_lie_inside_the_picture(model, data):
    display = GateRegionDisplay.from_estimator(model, *data)
    for j, (low, high) in enumerate((display.ax_.get_xlim(), display.ax_.get_ylim())):
        assert low < data[0][:, j].min()
        assert high > data[0][:, j].max()


def test_a_region_has_its_expert_s_colour_the_stronger_the_more_probable(model, data):
    display = GateRegionDisplay.from_estimator(model, *data)
    shown, winner = display.image_.get_array(), display.proba.argmax(axis=-1)
    for k in range(3):
        inside = winner == k
        tint = 1 - shown[inside]
        full = 1 - np.array(to_rgb(OKABE_ITO[k]))
        strength = tint @ full / (full @ full)
        np.testing.assert_allclose(tint, strength[:, None] * full, atol=1e-12)  # rounding
        order = np.argsort(display.proba[inside].max(axis=-1))
        assert (np.diff(strength[order]) >= -1e-12).all()
        assert strength.max() > 0.5


def test_a_region_is_labelled_inside_itself(model, data):
    display = GateRegionDisplay.from_estimator(model, *data)
    assert sorted(display.region_labels_) == [0, 1, 2]
    for k, text in display.region_labels_.items():
        i, j = (
            np.abs(grid - value).argmin()
            for grid, value in zip(display.grids, text.get_position(), strict=True)
        )
        assert display.proba[j, i].argmax() == k
        assert text.get_text() == str(k)


def test_a_sliver_has_no_label_but_stands_in_the_legend():
    proba = np.zeros((100, 100, 3))
    proba[..., 0], proba[:, :3, 1] = 0.4, 0.6
    display = GateRegionDisplay(grids=[np.arange(100.0)] * 2, proba=proba).plot()
    assert list(display.region_labels_) == [0]
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["expert 0", "expert 1"]


def test_an_expert_without_a_region_is_not_in_the_legend(data):
    proba = np.tile([0.2, 0.5, 0.3], (4, 4, 1))
    display = GateRegionDisplay(grids=[np.arange(4.0)] * 2, proba=proba).plot()
    assert [text.get_text() for text in display.legend_.get_texts()] == ["expert 1"]
    assert display.borders_ is None
    assert display.data_ == []
    assert display.ax_.get_xlabel() == "x0"


def test_an_expert_without_a_region_whose_colour_rows_have_is_in_the_legend():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(rng.random(200) < 0.25, 5.0, 0.0) + X[:, 0] + 0.1 * rng.normal(size=200)
    model = MixtureOfExpertsRegressor(2, gate="constant", n_init=2, random_state=0).fit(X, y)
    assert (model.gate_proba(X).argmax(axis=1) == 0).all()

    def entries(*data):
        legend = GateRegionDisplay.from_estimator(model, *data, grid_resolution=20).legend_
        return [text.get_text() for text in legend.get_texts()]

    assert entries(X, y) == ["expert 0", "expert 1"]
    assert entries(X) == ["expert 0"]


def test_points_are_mixed_from_the_experts_colours_by_responsibility(model, data):
    colors = ["red", "lime", "blue"]
    display = GateRegionDisplay.from_estimator(model, *data, colors=colors)
    # a colour holds 8 bits
    np.testing.assert_allclose(
        display.data_[0].get_facecolors()[:, :3], display.responsibilities, atol=1 / 255
    )


def test_without_y_the_points_are_grey(model, data):
    display = GateRegionDisplay.from_estimator(model, data[0])
    assert len(display.data_[0].get_offsets()) == 200
    np.testing.assert_allclose(display.data_[0].get_facecolors()[0, :3], 0.45)


def test_classes_have_markers_of_their_own(labelled):
    model, X, labels = labelled
    y = pd.Series(labels, name="grade")
    display = GateRegionDisplay.from_estimator(model, X, y)
    assert len(display.data_) == 3
    for artist, name in zip(display.data_, model.classes_, strict=True):
        np.testing.assert_array_equal(artist.get_offsets(), X[labels == name][:, :2])
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["expert 0", "expert 1", "grade = high", "grade = low", "grade = mid"]


def test_hard_assignment_has_no_shades(data):
    model = MixtureOfExpertsRegressor(3, assignment="hard", n_init=3, random_state=0).fit(*data)
    display = GateRegionDisplay.from_estimator(model, *data, grid_resolution=20)
    assert set(np.unique(display.proba)) == {0.0, 1.0}
    chosen = model.assign(at(display, data[0], (0, 1)))
    np.testing.assert_array_equal(display.proba.argmax(axis=-1).ravel(), chosen)


def test_the_experts_of_a_tree_are_leaves(data):
    model = MixtureOfExpertsRegressor(3, gate=TreeGate(structure=((0, 1), 2)), random_state=0)
    display = GateRegionDisplay.from_estimator(model.fit(*data), *data)
    assert display.legend_.get_texts()[0].get_text() == "leaf 0"
    assert "most probable leaf" in display.legend_.get_title().get_text()


@pytest.mark.parametrize("features", [1, "age", ["age"], -2])
def test_one_feature_gives_curves(data, features):
    X = pd.DataFrame(data[0], columns=["dose", "age", "dry mass"])
    model = MixtureOfExpertsRegressor(3, n_init=3, random_state=0).fit(X, data[1])
    display = GateRegionDisplay.from_estimator(model, X, data[1], features=features)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("age", "gate probability")
    for k, line in enumerate(display.gate_lines_):
        np.testing.assert_array_equal(line.get_ydata(), display.proba[:, k])
    assert display.image_ is None
    assert (display.data_[0].get_offsets()[:, 1] < 0).all()  # below the curves


def test_a_table_of_one_column_gives_curves():
    X, y = make_piecewise_regression(50, random_state=0)
    model = MixtureOfExpertsRegressor(2, n_init=1).fit(X, y)
    display = GateRegionDisplay.from_estimator(model, X, feature_names="time (s)")
    assert display.ax_.get_xlabel() == "time (s)"
    assert len(display.gate_lines_) == 2
    assert len(display.data_) == 1


def test_classes_along_one_feature_lie_on_lines_of_their_own(labelled):
    model, X, labels = labelled
    display = GateRegionDisplay.from_estimator(model, X, labels, features=0)
    heights = [set(artist.get_offsets()[:, 1]) for artist in display.data_]
    assert all(len(h) == 1 for h in heights)
    assert len(set.union(*heights)) == 3


def test_a_gate_for_each_class_is_drawn_by_its_label(labelled):
    _, X, labels = labelled
    experts = [("one", LogisticRegression()), ("two", LogisticRegression(C=0.01))]
    model = MetaPiClassifier(experts, per_class=True).fit(X, labels)
    display = GateRegionDisplay.from_estimator(model, X, labels, target="mid", grid_resolution=10)
    expected = model.gate_proba(at(display, X, (0, 1)))[:, :, 2]
    np.testing.assert_array_equal(display.proba.reshape(-1, 2), expected)
    with pytest.raises(ValueError, match="target=None: say which class"):
        GateRegionDisplay.from_estimator(model, X)
    curves = ExpertCurvesDisplay.from_estimator(model, X, labels, target="mid")
    assert curves.gate.shape == (400, 2)


def test_a_gate_for_the_only_output_is_drawn_like_one_gate_for_all(data):
    X, y = data
    drawn = []
    for each in (False, True):
        model = MetaPiRegressor([Ridge(), Ridge(alpha=100.0)], per_output=each).fit(X, y)
        curves = ExpertCurvesDisplay.from_estimator(model, X, feature=0)
        drawn.append((curves.gate, GateRegionDisplay.from_estimator(model, X).proba))
    for one, own in zip(*drawn, strict=True):
        np.testing.assert_allclose(own, one, rtol=1e-9)  # rounding


def test_one_gate_for_all_takes_no_target(model, data):
    with pytest.raises(ValueError, match="target=1: one gate serves all of y"):
        GateRegionDisplay.from_estimator(model, data[0], target=1)


def test_a_pipeline_is_drawn_in_the_units_of_its_table(data):
    X, y = data[0] * 100, data[1]
    pipe = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(2, n_init=1)).fit(X, y)
    display = GateRegionDisplay.from_estimator(pipe, X, y, grid_resolution=10)
    expected = pipe[-1].gate_proba(pipe[:-1].transform(at(display, X, (0, 1))))
    np.testing.assert_array_equal(display.proba.reshape(-1, 2), expected)


def test_the_truth_behind_simulated_data_can_be_drawn():
    X, y, truth = make_piecewise_regression(50, 2, random_state=0, return_truth=True)
    display = GateRegionDisplay.from_estimator(truth, X, y)
    assert sorted(display.region_labels_) == [0, 1, 2]


def test_a_constant_column_can_be_an_axis(model, data):
    X = data[0].copy()
    X[:, 1] = 2.0
    display = GateRegionDisplay.from_estimator(model, X)
    assert display.grids[1][0] < 2 < display.grids[1][-1]


def test_one_axes_is_drawn_on_and_no_figure_is_made(model, data):
    figure, (left, right) = plt.subplots(1, 2)
    before = plt.get_fignums()
    display = GateRegionDisplay.from_estimator(model, *data, ax=left)
    assert (display.ax_, display.figure_) == (left, figure)
    assert plt.get_fignums() == before
    assert plt.gca() is right


def test_styles_go_to_matplotlib(model, data):
    display = GateRegionDisplay.from_estimator(
        model,
        *data,
        image_kw={"alpha": 0.5},
        border_kw={"linewidths": 3},
        data_kw={"s": 5},
        feature_names=["dose (mg)", "age (years)"],
    )
    assert display.image_.get_alpha() == 0.5
    assert display.borders_.get_linewidths() == [3]
    assert display.data_[0].get_sizes() == [5]
    assert display.ax_.get_ylabel() == "age (years)"
    lines = GateRegionDisplay.from_estimator(
        model, *data, features=0, gate_kw={"linestyle": "--"}
    ).gate_lines_
    assert lines[0].get_linestyle() == "--"


def test_what_cannot_be_drawn_is_refused_in_a_sentence(model, data):
    X, y = data
    with pytest.raises(ValueError, match=r"GateRegionDisplay draws .*; LinearRegression is none"):
        GateRegionDisplay.from_estimator(LinearRegression().fit(X, y), X)
    with pytest.raises(ValueError, match=r"features=\[0, 1, 2\]: name one or two columns, got 3"):
        GateRegionDisplay.from_estimator(model, X, features=(0, 1, 2))
    with pytest.raises(ValueError, match="both axes show 'x1'; name two"):
        GateRegionDisplay.from_estimator(model, X, features=(1, -2))
    with pytest.raises(ValueError, match="feature=7: X has no such column"):
        GateRegionDisplay.from_estimator(model, X, features=(0, 7))
    with pytest.raises(ValueError, match="X has 200 rows and y 199"):
        GateRegionDisplay.from_estimator(model, X, y[1:])
    with pytest.raises(ValueError, match="one label for each of the 2 features drawn"):
        GateRegionDisplay.from_estimator(model, X, feature_names="dose")
    for resolution in (1, 10.5):
        with pytest.raises(ValueError, match=f"grid_resolution={resolution}: needs an integer"):
            GateRegionDisplay.from_estimator(model, X, grid_resolution=resolution)


@pytest.mark.parametrize("task", ["regressor", "classifier"])
def test_many_rows_are_faint_without_white_edges(task):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 2))
    few = dict(n_init=1, tol=1e-2, random_state=0)
    if task == "regressor":
        model = MixtureOfExpertsRegressor(2, **few).fit(X[:100], X[:100, 0] ** 2)
        drawn = GateRegionDisplay.from_estimator(model, X, X[:, 0] ** 2, grid_resolution=20)
        assert drawn.data_[0].get_linewidths().max() == 0
    else:
        y = rng.uniform(size=3000) < 0.5
        model = MixtureOfExpertsClassifier(2, **few).fit(X[:100], y[:100])
        drawn = GateRegionDisplay.from_estimator(model, X, y, grid_resolution=20)
        assert drawn.data_[0].get_linewidths().max() < 0.5
    assert np.max(drawn.data_[0].get_alpha()) < 0.6
