"""ExpertCurvesDisplay draws what the model predicts, for any kind of table, on any axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.colors import to_rgb
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines, make_piecewise_regression
from classic_moe.inspection import ExpertCurvesDisplay
from classic_moe.inspection._columns import closeness
from classic_moe.inspection._palette import OKABE_ITO, expert_colors


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(200, n_features=2, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return MixtureOfExpertsRegressor(3, n_init=3, random_state=0).fit(*data)


@pytest.fixture(scope="module")
def frame(data):
    return pd.DataFrame(data[0], columns=["dose", "age"])


@pytest.fixture(scope="module")
def named(frame, data):
    return MixtureOfExpertsRegressor(3, n_init=3, random_state=0).fit(frame, data[1])


@pytest.fixture(scope="module")
def labelled(data):
    """A classifier of three classes, and its data."""
    X, y = data
    labels = np.array(["low", "mid", "high"])[np.digitize(y, np.quantile(y, [0.3, 0.7]))]
    # This many rows cannot tell one expert's classes apart without a firmer prior.
    model = MixtureOfExpertsClassifier(2, n_init=3, random_state=0)
    model.set_params(expert__alpha=1, gate__alpha=1)
    return model.fit(X, labels), X, labels


def test_curves_are_the_model_s_predictions_at_the_medians_of_the_other_features(model, data):
    X, y = data
    display = ExpertCurvesDisplay.from_estimator(model, X, y, feature=1, confidence=0.8)
    at = np.column_stack([np.full(400, np.median(X[:, 0])), display.grid])
    np.testing.assert_allclose(display.grid[[0, -1]], [X[:, 1].min(), X[:, 1].max()])
    np.testing.assert_array_equal(display.experts, model.predict_experts(at))
    np.testing.assert_array_equal(display.gate, model.gate_proba(at))
    np.testing.assert_array_equal(display.mean, model.predict(at))
    np.testing.assert_array_equal(display.band, model.predict_dist(at).interval(0.8))
    np.testing.assert_array_equal(display.responsibilities, model.responsibilities(X, y))


def test_what_is_drawn_is_kept(model, data):
    display = ExpertCurvesDisplay.from_estimator(model, *data)
    assert display.figure_ is display.ax_.figure is display.gate_ax_.figure
    assert display.ax_.get_shared_x_axes().joined(display.ax_, display.gate_ax_)
    assert len(display.expert_lines_) == len(display.gate_lines_) == 3
    np.testing.assert_array_equal(display.mean_line_.get_ydata(), display.mean)
    np.testing.assert_array_equal(display.gate_lines_[1].get_ydata(), display.gate[:, 1])
    np.testing.assert_array_equal(
        display.data_.get_offsets(), np.column_stack([data[0][:, 0], data[1]])
    )
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["expert 0", "expert 1", "expert 2", "mixture mean", "90 % predictive band"]


def test_opacity_of_a_line_is_the_gating_probability(model, data):
    display = ExpertCurvesDisplay.from_estimator(model, *data)
    for k, lines in enumerate(display.expert_lines_):
        for piece, color in zip(lines.get_segments(), lines.get_colors(), strict=True):
            inside = (display.grid >= piece[0, 0]) & (display.grid <= piece[-1, 0])
            # 50 levels, and one grid point beyond the piece at each end
            steps = np.abs(np.diff(display.gate[:, k])).max()
            assert np.abs(display.gate[inside, k] - color[3]).max() <= 0.01 + steps
            np.testing.assert_allclose(color[:3], to_rgb(OKABE_ITO[k]))


def test_points_are_mixed_from_the_experts_colours_by_responsibility(model, data):
    colors = ["red", "lime", "blue"]
    display = ExpertCurvesDisplay.from_estimator(model, *data, colors=colors)
    # a colour holds 8 bits
    np.testing.assert_allclose(
        display.data_.get_facecolors()[:, :3], display.responsibilities, atol=1 / 255
    )


def test_nothing_that_is_drawn_runs_out_of_the_axes(model, data):
    display = ExpertCurvesDisplay.from_estimator(model, *data)
    low, high = display.ax_.get_ylim()
    assert low < min(display.band[0].min(), data[1].min())
    assert high > max(display.band[1].max(), data[1].max())


def test_legend_stands_beside_the_data(model, data):
    display = ExpertCurvesDisplay.from_estimator(model, *data)
    display.figure_.canvas.draw()
    legend = display.legend_.get_window_extent()
    assert not legend.overlaps(display.ax_.get_window_extent())
    assert not legend.overlaps(display.gate_ax_.get_window_extent())
    assert legend.x1 <= display.figure_.bbox.x1


def test_axes_may_be_none_one_a_free_one_or_a_pair(model, data):
    display = ExpertCurvesDisplay.from_estimator(model, *data)
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    assert display.plot(ax=left).ax_ is left
    assert display.gate_ax_ not in (left, right)
    figure.canvas.draw()
    assert display.gate_ax_.get_position().y1 < left.get_position().y0
    free = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    assert display.plot(ax=free).ax_ is free
    assert display.gate_ax_.get_position().y1 < free.get_position().y0
    _, pair = plt.subplots(2, 1)
    display.plot(ax=pair)
    assert (display.ax_, display.gate_ax_) == tuple(pair)
    with pytest.raises(ValueError, match=r"pair \(data, gate\), got shape \(3,\)"):
        display.plot(ax=plt.subplots(3, 1)[1])


def test_styles_go_to_matplotlib(model, data):
    display = ExpertCurvesDisplay.from_estimator(
        model,
        *data,
        data_kw={"s": 5},
        expert_kw={"linewidth": 7},
        mean_kw={"color": "purple", "label": "mean"},
        band_kw={"alpha": 0.5},
        gate_kw={"linestyle": "--"},
    )
    assert display.data_.get_sizes() == [5]
    assert display.expert_lines_[0].get_linewidth()[0] == 7
    assert display.mean_line_.get_color() == "purple"
    assert display.band_.get_alpha() == 0.5
    assert display.gate_lines_[0].get_linestyle() == "--"
    assert "mean" in [text.get_text() for text in display.legend_.get_texts()]


def test_without_y_only_the_curves_are_drawn(model, data):
    display = ExpertCurvesDisplay.from_estimator(model, data[0])
    assert display.data_ is None
    assert display.responsibilities is None


@pytest.mark.parametrize("feature", [1, -1, "age"])
def test_columns_of_a_frame_go_by_name_or_position(named, frame, data, feature):
    y = pd.Series(data[1], name="effect")
    display = ExpertCurvesDisplay.from_estimator(named, frame, y, feature=feature)
    assert display.gate_ax_.get_xlabel() == "age"
    assert display.ax_.get_ylabel() == "effect"
    held = f"{np.median(data[0][:, 0]):.3g}".replace("-", "−")
    note = f"a slice at dose = {held}; rows far from it are faded"
    assert display.ax_.get_title(loc="left") == note
    np.testing.assert_array_equal(display.x, data[0][:, 1])


def test_a_polars_frame_draws_the_same(named, frame, data):
    given = pl.DataFrame({name: frame[name].to_numpy() for name in frame})
    drawn = [ExpertCurvesDisplay.from_estimator(named, table, data[1]) for table in (frame, given)]
    np.testing.assert_array_equal(drawn[0].mean, drawn[1].mean)


def test_labels_of_the_axes_can_be_given(model, data):
    display = ExpertCurvesDisplay.from_estimator(
        model, *data, feature_name="time (ms)", target_name="acceleration (g)"
    )
    assert display.gate_ax_.get_xlabel() == "time (ms)"
    assert display.ax_.get_ylabel() == "acceleration (g)"


def test_a_pipeline_or_search_is_drawn_in_the_units_of_its_table(data):
    X, y = data
    X = X * 100
    steps = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(n_init=2, random_state=0))
    search = GridSearchCV(steps, {"mixtureofexpertsregressor__n_experts": [2]}, cv=2).fit(X, y)
    display = ExpertCurvesDisplay.from_estimator(search, X, y)
    at = np.column_stack([display.grid, np.full(400, np.median(X[:, 1]))])
    np.testing.assert_array_equal(display.mean, search.predict(at))
    assert display.grid[-1] == X[:, 0].max()


def test_the_truth_behind_simulated_data_can_be_drawn():
    X, y, truth = make_crossing_lines(50, random_state=0, return_truth=True)
    display = ExpertCurvesDisplay.from_estimator(truth, X, y)
    np.testing.assert_allclose(display.experts[:, 0], display.grid)
    assert display.band_ is None
    assert len(display.data_.get_offsets()) == 50


def test_for_a_classifier_the_curves_are_probabilities_of_one_class(labelled):
    model, X, labels = labelled
    display = ExpertCurvesDisplay.from_estimator(
        model, X, pd.Series(labels, name="grade"), target="mid"
    )
    at = np.column_stack([display.grid, np.full(400, np.median(X[:, 1]))])
    np.testing.assert_array_equal(display.mean, model.predict_proba(at)[:, 2])
    np.testing.assert_array_equal(display.experts, model.predict_experts(at)[:, :, 2])
    np.testing.assert_array_equal(display.y, labels == "mid")
    assert display.ax_.get_ylabel() == "P(grade = mid)"
    assert display.band_ is None


def test_with_two_classes_the_second_is_drawn(data):
    X, y = data
    model = MixtureOfExpertsClassifier(1).fit(X, y > np.median(y))
    display = ExpertCurvesDisplay.from_estimator(model, X)
    assert display.ax_.get_ylabel() == "P(y = True)"


def test_with_several_outputs_target_says_which(data):
    X, y = data
    Y = pd.DataFrame({"height": y, "weight": -y + X[:, 1] ** 2})
    model = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(X, Y)
    display = ExpertCurvesDisplay.from_estimator(model, X, Y, target=1)
    assert display.ax_.get_ylabel() == "weight"
    assert display.experts.shape == (400, 2)
    np.testing.assert_array_equal(display.y, Y["weight"])
    with pytest.raises(ValueError, match="target=None: y has 2 columns; say which to draw"):
        ExpertCurvesDisplay.from_estimator(model, X, Y)


@pytest.mark.parametrize("feature", ["size", 2, None, 0.5])
def test_an_unknown_feature_is_refused_by_name(named, frame, feature):
    with pytest.raises(
        ValueError, match=f"feature={feature!r}: X has no such column; .* dose, age"
    ):
        ExpertCurvesDisplay.from_estimator(named, frame, feature=feature)


def test_a_feature_of_text_is_refused(named, frame):
    with pytest.raises(ValueError, match="feature='age': the column is not numeric"):
        ExpertCurvesDisplay.from_estimator(named, frame.assign(age="old"), feature="age")


def test_three_classes_need_a_target(labelled):
    model, X, labels = labelled
    for target in (None, "huge"):
        with pytest.raises(ValueError, match=f"target={target!r}: .* 'high', 'low', 'mid'"):
            ExpertCurvesDisplay.from_estimator(model, X, labels, target=target)


def test_one_output_takes_no_target(model, data):
    with pytest.raises(ValueError, match="target=1: the model has one output"):
        ExpertCurvesDisplay.from_estimator(model, *data, target=1)


def test_only_fitted_mixtures_of_experts_are_drawn(data):
    with pytest.raises(ValueError, match="LinearRegression is none"):
        ExpertCurvesDisplay.from_estimator(LinearRegression().fit(*data), *data)
    with pytest.raises(NotFittedError):
        ExpertCurvesDisplay.from_estimator(MixtureOfExpertsRegressor(), *data)


def test_rows_of_x_and_y_must_match(model, data):
    with pytest.raises(ValueError, match="X has 200 rows and y 199"):
        ExpertCurvesDisplay.from_estimator(model, data[0], data[1][1:])


def test_x_must_be_a_table(model):
    with pytest.raises(ValueError, match=r"got 1 dimension"):
        ExpertCurvesDisplay.from_estimator(model, np.arange(3.0))


def test_every_expert_has_a_colour_of_its_own():
    for K in (1, 7, 12):
        assert len(set(map(tuple, map(to_rgb, expert_colors(K))))) == K


# -- slices, dense data, single experts --------------------------------------------------------


def test_rows_are_the_fainter_the_farther_they_are_from_the_slice(named, frame, data):
    display = ExpertCurvesDisplay.from_estimator(named, frame, data[1], feature="age")
    dose = frame["dose"]
    distance = np.abs(dose - dose.median()) / dose.std(ddof=0)
    np.testing.assert_allclose(display.closeness, np.maximum(np.exp(-(distance**2) / 2), 0.06))
    # a colour holds 8 bits
    opacity = display.data_.get_facecolors()[:, 3]
    np.testing.assert_allclose(opacity, display.closeness, atol=1 / 255)


def test_another_category_is_far_from_the_slice_and_so_is_a_gap(frame):
    given = frame.assign(site=["a", "a", *["b"] * 198], age=0.0, dose=1.0)
    given.loc[5, "dose"] = np.nan
    near = closeness(given, [1])
    np.testing.assert_allclose(near[[0, 2, 5]], [np.exp(-2), 1, np.exp(-2)])


def test_a_single_feature_is_no_slice(data):
    X, y = data[0][:, :1], data[1]
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)
    display = ExpertCurvesDisplay.from_estimator(model, X, y)
    assert display.closeness is None
    assert display.ax_.get_title(loc="left") == ""
    assert (display.data_.get_facecolors()[:, 3] == 1).all()


def test_many_columns_are_not_listed(data):
    X, y = make_piecewise_regression(100, n_features=7, random_state=0)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    display = ExpertCurvesDisplay.from_estimator(model, X)
    assert display.ax_.get_title(loc="left") == "a slice: the other 6 columns at their medians"


def test_dense_data_are_faint_points_without_edges(data):
    X, y = data[0][:, :1], data[1]
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)
    X, y = np.tile(X, (20, 1)), np.tile(y, 20)
    points = ExpertCurvesDisplay.from_estimator(model, X, y).data_
    assert (points.get_facecolors()[:, 3] < 0.5).all()
    assert (points.get_linewidths() == 0).all()
    few = ExpertCurvesDisplay.from_estimator(model, X[:900], y[:900]).data_
    assert (few.get_facecolors()[:, 3] == 1).all()


def test_many_rows_of_a_classifier_are_shares_with_their_counts():
    X = np.random.default_rng(0).uniform(size=(500, 1))
    y = np.random.default_rng(1).uniform(size=500) < X[:, 0]
    model = MixtureOfExpertsClassifier(1).fit(X, y)
    display = ExpertCurvesDisplay.from_estimator(model, X, y)
    at, shares = display.data_.get_offsets().T
    assert len(at) == 10
    inside = np.abs(X[:, 0] - at[3]) < np.ptp(X) / 20
    assert abs(shares[3] - y[inside].mean()) < 0.1  # a bin is around its middle, not its mean
    counts = [int(text.get_text()) for text in display.ax_.texts]
    assert sum(counts) == 500
    few = ExpertCurvesDisplay.from_estimator(model, X[:90], y[:90])
    assert len(few.data_.get_offsets()) == 90


def test_shares_beside_a_slice_are_those_of_the_rows_near_it(labelled):
    model, X, labels = labelled
    display = ExpertCurvesDisplay.from_estimator(model, X, labels, target="mid")
    near = np.sum(display.closeness >= 0.5)
    assert display.ax_.get_title(loc="left").endswith(f"the {near} of 200 rows near it")
    assert sum(int(text.get_text()) for text in display.ax_.texts) == near


def test_gaps_in_the_feature_are_passed_over(frame, data):
    frame = frame.assign(dose=np.where(np.arange(200) < 5, np.nan, frame["dose"]))
    steps = make_pipeline(
        SimpleImputer(), MixtureOfExpertsRegressor(2, n_init=1, random_state=0)
    ).fit(frame, data[1])
    display = ExpertCurvesDisplay.from_estimator(steps, frame, data[1])
    assert display.grid[[0, -1]].tolist() == [frame["dose"].min(), frame["dose"].max()]
    assert np.isfinite(display.mean).all()
    with pytest.raises(ValueError, match="feature='dose': the column holds no number"):
        ExpertCurvesDisplay.from_estimator(steps, frame.assign(dose=np.nan))


def test_a_single_expert_has_no_gate(data):
    model = MixtureOfExpertsRegressor(1).fit(*data)
    display = ExpertCurvesDisplay.from_estimator(model, *data)
    assert display.gate_ax_ is None and display.expert_lines_ == []
    assert display.ax_.get_xlabel() == "x0"
    assert len(display.figure_.axes) == 1
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["mixture mean", "90 % predictive band"]
    figure, ax = plt.subplots()
    assert display.plot(ax=ax).ax_ is ax and len(figure.axes) == 1
    _, pair = plt.subplots(2, 1)
    assert display.plot(ax=pair).gate_ax_ is pair[1]


def test_a_slice_that_runs_away_keeps_the_rows_in_sight():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, size=200)
    X = np.column_stack([x, x + 0.01 * rng.normal(size=200)])  # no row is far off this line
    y = 100 * X[:, 0] - 100 * X[:, 1] + 0.5 * rng.normal(size=200)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    display = ExpertCurvesDisplay.from_estimator(model, X, y)
    assert np.ptp(display.mean) > 50
    low, high = display.ax_.get_ylim()
    assert low < y.min() and high > y.max()
    assert high - low <= 2.5 * np.ptp(y) + 1e-9
