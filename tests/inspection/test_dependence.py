"""GateDependenceDisplay and MeanDependenceDisplay: averages over rows, for any kind of table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import GateDependenceDisplay, MeanDependenceDisplay
from classic_moe.inspection._columns import numbers_in
from classic_moe.inspection._dependence import Feature, level_text
from classic_moe.inspection._influence import influence, ranking
from classic_moe.inspection._predictions import Pick

BOTH = pytest.mark.parametrize("display", [GateDependenceDisplay, MeanDependenceDisplay])


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(150, n_features=2, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(*data)


@pytest.fixture(scope="module")
def raw(data):
    """A table with text, truth values and gaps, and a pipeline that takes it."""
    X, y = data
    frame = pd.DataFrame(X, columns=["dose", "age"])
    frame["site"] = np.array(["Oslo", "a $very$ long name of a site", "Bergen"])[
        np.arange(len(X)) % 3
    ]
    frame["smoker"] = np.arange(len(X)) % 4 == 0
    frame.loc[::10, "age"] = np.nan
    coded = make_column_transformer(
        (OneHotEncoder(drop="first", sparse_output=False), ["site", "smoker"]),
        (SimpleImputer(), ["dose", "age"]),
    )
    pipe = make_pipeline(coded, MixtureOfExpertsRegressor(2, n_init=1, random_state=0))
    return pipe.fit(frame, y + (frame["site"] == "Oslo")), frame


# -- the averages ------------------------------------------------------------------------------


def test_the_mean_is_scikit_learn_s_partial_dependence(model, data):
    X, _ = data
    display = MeanDependenceDisplay.from_estimator(
        model, X, feature=1, percentiles=(0, 1), grid_resolution=20
    )
    known = partial_dependence(model, X, [1], grid_resolution=20, percentiles=(0, 1))
    np.testing.assert_allclose(display.grid, known["grid_values"][0])
    np.testing.assert_allclose(display.mean, known["average"][0])


def test_the_gate_is_averaged_over_the_rows(model, data):
    X, _ = data
    display = GateDependenceDisplay.from_estimator(model, X, feature=1, kind="both")
    changed = X.copy()
    changed[:, 1] = display.grid[7]
    np.testing.assert_allclose(display.gate[7], model.gate_proba(changed).mean(axis=0))
    np.testing.assert_allclose(display.individual[:, 7], model.gate_proba(changed))


def test_the_mixture_is_the_average_of_the_experts_by_the_gate(model, data):
    display = MeanDependenceDisplay.from_estimator(model, data[0])
    np.testing.assert_allclose((display.gate * display.experts).sum(axis=1), display.mean)
    gate = GateDependenceDisplay.from_estimator(model, data[0])
    np.testing.assert_allclose(gate.gate, display.gate)


def test_a_sample_is_the_same_each_time_and_none_takes_all(model, data):
    def gate(X, **options):
        options |= dict(percentiles=(0, 1), feature=1)
        return GateDependenceDisplay.from_estimator(model, X, **options).gate

    X = np.tile(data[0], (5, 1))
    np.testing.assert_array_equal(gate(X, subsample=40), gate(X, subsample=40))
    np.testing.assert_allclose(gate(X, subsample=None), gate(data[0]))
    assert np.abs(gate(X, subsample=40) - gate(X)).max() > 1e-3


def test_within_reach_rows_count_where_other_columns_make_a_value_plausible():
    rng = np.random.default_rng(0)
    z = rng.normal(size=300)
    X = np.column_stack([z, z + 0.1 * rng.normal(size=300), rng.normal(size=300)])
    weights = Feature.of(X, ["a", "b", "c"], 0).weights(X, 2)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    # At the largest value of the first column only rows count whose second one is large as well.
    assert weights[:, -1] @ X[:, 1] > 1.5
    free = Feature.of(X, ["a", "b", "c"], 2).weights(X, 2)
    # Nothing predicts the third column: rows count alike, to the chance of 300 rows.
    assert np.abs(300 * free - 1).max() < 0.5
    np.testing.assert_array_equal(Feature.of(X, ["a", "b", "c"], 0).weights(X, None), 1 / 300)


def test_reach_keeps_the_averages_where_the_data_are():
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    X = np.column_stack([z, z + 0.05 * rng.normal(size=200)])
    y = 10 * X[:, 0] - 10 * X[:, 1] + 0.3 * rng.normal(size=200)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    free = MeanDependenceDisplay.from_estimator(model, X)
    kept = MeanDependenceDisplay.from_estimator(model, X, reach=2)
    # In the data the two columns cancel but for their difference, 0.5 times a normal number.
    assert np.abs(free.mean).max() > 15
    assert np.abs(kept.mean).max() < 3


# -- kinds of tables ---------------------------------------------------------------------------


def test_categories_of_a_raw_table_are_set_one_by_one(raw):
    pipe, frame = raw
    display = GateDependenceDisplay.from_estimator(pipe, frame, feature="site")
    assert display.grid.tolist() == ["a $very$ long name of a site", "Bergen", "Oslo"]
    everywhere = pipe[:-1].transform(frame.assign(site="Oslo"))
    np.testing.assert_allclose(display.gate[2], pipe[-1].gate_proba(everywhere).mean(axis=0))
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == [r"a \$very\$ long…", "Bergen", "Oslo"]
    assert [len(bars) for bars in display.gate_lines_] == [3, 3]
    mean = MeanDependenceDisplay.from_estimator(pipe, frame, feature="site")
    assert mean.mean[2] - mean.mean[1] > 0.5  # in truth 1
    assert mean.mean_line_.get_marker() == "D"


@BOTH
@pytest.mark.parametrize("feature", ["smoker", "age", "dose", 0, -1])
def test_every_column_of_a_raw_table_can_be_drawn(display, raw, feature):
    drawn = display.from_estimator(raw[0], raw[1], feature=feature)
    drawn.figure_.canvas.draw()
    assert np.isfinite(drawn.gate).all()
    category = feature in ("smoker", -1)
    assert (drawn.deciles is None) == category
    assert drawn.grid.tolist() == ["False", "True"] if category else len(drawn.grid) == 50


def test_categories_of_pandas_keep_their_order(raw):
    pipe, frame = raw
    order = ["Oslo", "Bergen", "a $very$ long name of a site"]
    frame = frame.assign(site=pd.Categorical(frame["site"], order))
    display = GateDependenceDisplay.from_estimator(pipe, frame, feature="site")
    assert display.grid.tolist() == order


def test_of_many_categories_the_most_frequent_are_drawn():
    column = [f"c{i:02d}" for i in range(20) for _ in range(i + 1)]
    frame = pd.DataFrame({"kind": [*column, None]})
    along = Feature.of(frame, ["kind"], "kind")
    assert along.grid.tolist() == [f"c{i:02d}" for i in range(8, 20)]


def test_numbers_are_told_from_categories_cell_by_cell():
    for column in (["1", "2"], [True, False], np.array([True, None], dtype=object), [1, "a"]):
        assert numbers_in(np.asarray(column, dtype=object)) is None
    assert numbers_in(pd.Series([True, False])) is None
    for column in (pd.Series([1, pd.NA], dtype="Int64"), np.array([1, None], dtype=object)):
        np.testing.assert_array_equal(numbers_in(column), [1, np.nan])


def test_the_columns_of_a_frame_are_not_changed(raw):
    before = raw[1].copy(deep=True)
    GateDependenceDisplay.from_estimator(*raw, feature="age")
    pd.testing.assert_frame_equal(raw[1], before)


@BOTH
def test_polars_integers_and_missing_cells_draw_the_same(display, data):
    X, y = data
    X = np.round(3 * X)
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)
    tables = [X, X.astype(int), pl.DataFrame(X, schema=["a", "b"]), pd.DataFrame(X.astype(int))]
    drawn = [display.from_estimator(model, table, feature=1).gate for table in tables[:2]]
    named = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(tables[2], y)
    drawn.append(display.from_estimator(named, tables[2], feature="b").gate)
    for gate in drawn[1:]:
        np.testing.assert_allclose(gate, drawn[0])


def test_few_values_are_the_grid(data):
    X = np.column_stack([data[0][:, 0], np.arange(150) % 4])
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, data[1])
    display = MeanDependenceDisplay.from_estimator(model, X, feature=1)
    assert display.grid.tolist() == [0, 1, 2, 3]


def test_for_a_classifier_the_mean_is_the_probability_of_a_class(data):
    X, y = data
    labels = np.where(y > np.median(y), "high", "low")
    model = MixtureOfExpertsClassifier(2, n_init=1, random_state=0)
    model.set_params(expert__alpha=1, gate__alpha=1).fit(X, labels)
    display = MeanDependenceDisplay.from_estimator(model, X, target="high")
    at = X.copy()
    at[:, 0] = display.grid[3]
    np.testing.assert_allclose(display.mean[3], model.predict_proba(at)[:, 0].mean())
    assert display.ax_.get_ylabel() == "P(y = high), average"


def test_a_single_expert_is_drawn_as_the_mixture_alone(data):
    model = MixtureOfExpertsRegressor(1).fit(*data)
    display = MeanDependenceDisplay.from_estimator(model, data[0])
    assert display.expert_lines_ == []
    assert [text.get_text() for text in display.legend_.get_texts()] == ["mixture, average"]


# -- drawing -----------------------------------------------------------------------------------


def test_rows_that_are_alike_are_one_faint_curve():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-1, 1, 300), rng.integers(0, 2, 300)])
    y = np.where(X[:, 0] + X[:, 1] > 0.5, X[:, 0], 3.0) + 0.3 * rng.normal(size=300)
    fit = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)
    display = GateDependenceDisplay.from_estimator(fit, X, kind="both")
    lines = display.individual_lines_[0]  # the other column has two values
    assert len(lines.get_segments()) == 2 and lines.get_colors()[0, 3] <= 0.4


def test_what_is_drawn_is_kept(model, data):
    display = GateDependenceDisplay.from_estimator(model, data[0], kind="both")
    np.testing.assert_array_equal(display.gate_lines_[1].get_ydata(), display.gate[:, 1])
    assert len(display.individual_lines_[0].get_segments()) == len(data[0])
    assert display.ax_.get_xlabel() == "x0"
    assert [text.get_text() for text in display.legend_.get_texts()] == ["expert 0", "expert 1"]
    only = GateDependenceDisplay.from_estimator(model, data[0], kind="individual")
    assert only.gate_lines_ == []
    mean = MeanDependenceDisplay.from_estimator(model, data[0])
    np.testing.assert_array_equal(mean.mean_line_.get_ydata(), mean.mean)
    assert len(mean.expert_lines_) == 2


@BOTH
def test_styles_go_to_matplotlib_and_the_axes_may_be_given(display, model, data):
    _, ax = plt.subplots()
    styles = dict(rug_kw={"color": "red"}, feature_name="time (s)", colors=["lime", "blue"])
    key = "gate_kw" if display is GateDependenceDisplay else "mean_kw"
    drawn = display.from_estimator(model, data[0], ax=ax, **{key: {"linewidth": 7}}, **styles)
    assert drawn.ax_ is ax and drawn.figure_ is ax.figure
    assert ax.get_xlabel() == "time (s)"
    assert 7 in [line.get_linewidth() for line in ax.get_lines()]


@BOTH
@pytest.mark.parametrize(
    "options, message",
    [
        ({"feature": "size"}, "feature='size': X has no such column"),
        ({"grid_resolution": 1}, "grid_resolution=1: needs an integer of at least 2"),
        ({"percentiles": (0.9, 0.1)}, "percentiles=.* increasing order"),
        ({"subsample": 0}, "subsample=0: needs an integer of at least 1, or None"),
        ({"reach": 0}, "reach=0: needs a positive number, or None"),
        ({"colors": ["red"]}, "colors: 1 for 2 experts"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused(display, options, message, model, data):
    with pytest.raises(ValueError, match=message):
        display.from_estimator(model, data[0], **options)


@BOTH
def test_only_mixtures_of_experts_are_drawn(display, data):
    with pytest.raises(ValueError, match="LinearRegression is none"):
        display.from_estimator(LinearRegression().fit(*data), data[0])


def test_an_unknown_kind_and_an_empty_column_are_refused(model, data):
    with pytest.raises(ValueError, match="kind='all': needs one of 'average', 'individual', 'bo"):
        GateDependenceDisplay.from_estimator(model, data[0], kind="all")
    for empty in ([np.nan, np.nan], [None, None]):
        with pytest.raises(ValueError, match="feature='a'"):
            Feature.of(pd.DataFrame({"a": empty}), ["a"], "a")


def test_long_names_of_categories_are_cut():
    assert level_text("a" * 14) == "a" * 14
    assert level_text("a" * 15) == "a" * 13 + "…"


# -- what matters ------------------------------------------------------------------------------


def test_the_columns_that_move_the_model_come_first():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["none", "gate", "mean"])
    frame["site"] = np.where(rng.uniform(size=200) < 0.5, "a", "b")
    high = frame["gate"] > 0
    y = np.where(high, 3 * frame["mean"], frame["mean"]) + 2 * (frame["site"] == "b")
    coded = make_column_transformer(
        (OneHotEncoder(drop="first", sparse_output=False), ["site"]), remainder="passthrough"
    )
    model = MixtureOfExpertsRegressor(2, n_init=2, random_state=0)
    pipe = make_pipeline(coded, model).fit(frame, y + 0.1 * rng.normal(size=200))
    at = pipe[:-1].transform(frame)
    pick = Pick(pipe[-1], None, pipe[-1].predict_experts(at[:1]))
    moved = influence(pick, pipe[:-1].transform, frame, list(frame.columns), 2)
    assert moved[0].argmax() == 2 and moved[1].argmax() == 1
    assert 0.7 < moved[0, 3] < 1.3  # half of the rows 2 more: a standard deviation of 1
    order, score = ranking(moved)
    assert order[-1] == 0
    np.testing.assert_allclose(score.sum(), 2)
