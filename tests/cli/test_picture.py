"""The picture of a table: which one is chosen, and that it tells the truth."""

import warnings

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from classic_moe import MetaPiRegressor, MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.cli import picture
from classic_moe.cli.columns import plan_columns
from classic_moe.cli.picture import draw
from classic_moe.cli.pipeline import table_pipeline
from classic_moe.cli.reading import TableFile

n = 240


@pytest.fixture(scope="module")
def cells():
    """A table as it stands in a file: text, with a date, categories and gaps."""
    rng = np.random.default_rng(0)
    dose, age = rng.uniform(0, 10, n), rng.normal(50, 10, n)
    effect = np.where(dose < 5, dose, 10 - dose) + 0.02 * age + 0.2 * rng.normal(size=n)
    table = pd.DataFrame(
        {
            "dose ($mg$)": dose.round(2),
            "age": age.round(1),
            "site": rng.choice(["Oslo", "Bergen"], n),
            "start": pd.Timestamp("2001-03-01") + pd.to_timedelta(7 * np.arange(n), "D"),
            "noise": rng.normal(size=n).round(3),
            "effect": effect.round(3),
            "ill": np.where(effect > np.median(effect), "yes", "no"),
        }
    ).astype(str)
    table.loc[::15, "age"] = "NA"
    return table


def fitted(cells, columns, target="effect", n_experts=2):
    """The pipeline of some columns of a table, their raw cells, and the target."""
    file = TableFile(cells[[*columns, target]])
    plan = plan_columns(file, target=[target])
    kind = {"regression": MixtureOfExpertsRegressor, "classification": MixtureOfExpertsClassifier}
    model = kind[plan.task](n_experts, n_init=1, random_state=0)
    if plan.task == "classification":
        model.set_params(expert__alpha=1, gate__alpha=1)
    return table_pipeline(plan, model).fit(plan.frame, plan.y), plan.frame, plan.y


@pytest.fixture(scope="module")
def several(cells):
    return fitted(cells, ["dose ($mg$)", "age", "site", "start", "noise"])


@pytest.fixture(scope="module")
def classifier(cells):
    return fitted(cells, ["dose ($mg$)", "age", "site"], target="ill")


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A function that draws and returns the figure, whose file is there and is a picture."""
    kept = []
    savefig = matplotlib.figure.Figure.savefig

    def keep(figure, *args, **options):
        kept.append(figure)
        return savefig(figure, *args, **options | {"dpi": 30})  # quick

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", keep)

    def draw_and_keep(data, **options):
        path = tmp_path / "picture.png"
        draw(path, *data, **options)
        assert path.read_bytes()[:4] == b"\x89PNG"
        return kept[-1]

    return draw_and_keep


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def x_labels(figure):
    return [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]


# -- which picture -----------------------------------------------------------------------------


def test_one_column_of_numbers_is_drawn_with_data_experts_and_gate(cells, drawn):
    figure = drawn(fitted(cells, ["dose ($mg$)"]))
    data, gate = figure.axes
    assert gate.get_xlabel() == r"dose (\$mg\$)"
    assert (data.get_ylabel(), gate.get_ylabel()) == ("effect", "gate\nprobability")
    assert data.get_title(loc="left") == ""
    assert len(data.collections[-1].get_offsets()) == n


def test_a_single_expert_has_no_panel_of_the_gate(cells, drawn):
    figure = drawn(fitted(cells, ["dose ($mg$)"], n_experts=1))
    assert len(figure.axes) == 1
    figure = drawn(fitted(cells, ["dose ($mg$)", "age"], n_experts=1))
    assert titles(figure)[:2] == ["Observed against predicted", "Calibration (right if level)"]
    assert len(figure.axes) == 4
    assert not [ax for ax in figure.axes if "gate" in ax.get_ylabel()]


def test_several_columns_give_fit_calibration_shares_and_averages(several, drawn):
    figure = drawn(several)
    assert titles(figure)[:3] == [
        "Observed against predicted",
        "Calibration (right if level)",
        "Experts' shares",
    ]
    means, gates = figure.axes[3:5], figure.axes[5:7]
    assert means[0].get_ylabel() == "effect\naverage"
    assert gates[0].get_ylabel() == "gate\naverage"
    assert gates[0].get_xlabel() == r"dose (\$mg\$)"  # it matters most, and is named to the letter
    words = figure.subfigs[1].get_suptitle()
    assert "one of the 2 columns that move the model most (of 5)" in words
    pipeline, frame, y = several
    points = figure.axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(points, np.column_stack([pipeline.predict(frame), y]))


def test_a_classifier_shows_how_far_its_probabilities_can_be_believed(classifier, drawn):
    figure = drawn(classifier)
    assert titles(figure)[:2] == ["Reliability of the probabilities", "Experts' shares"]
    assert figure.axes[0].get_xlabel() == "predicted probability of ill = yes"
    assert figure.axes[2].get_ylabel() == "P(ill = yes)\naverage"


def test_a_feature_may_be_chosen(several, drawn):
    figure = drawn(several, feature="age")
    rows, mean, gate = figure.axes
    assert gate.get_xlabel() == "age"
    assert rows.get_ylabel() == "effect"
    # the cells that are missing have no place on the axis
    there = several[1]["age"] != "NA"
    assert len(rows.collections[0].get_offsets()) == there.sum()
    assert "averages over the rows" in mean.get_title(loc="left")
    # what is predicted for the rows is averaged among neighbours
    x, said = rows.get_lines()[0].get_data()
    age, predicted = several[1]["age"][there].astype(float), several[0].predict(several[1])[there]
    order = np.argsort(age, kind="stable")
    first = order[: there.sum() // 12]
    assert (x[0], said[0]) == pytest.approx((age.iloc[first].mean(), predicted[first].mean()))


@pytest.mark.parametrize("feature", ["site", "dose ($mg$)"])
def test_a_feature_of_a_classifier_may_be_a_category(classifier, drawn, feature):
    rows, _, gate = drawn(classifier, feature=feature).axes
    assert rows.get_ylabel() == "P(ill = yes)"
    counts = [int(text.get_text()) for text in rows.texts if text.get_text()]
    assert sum(counts) == n
    if feature == "site":
        assert [text.get_text() for text in gate.get_xticklabels()] == ["Bergen", "Oslo"]


def test_a_feature_that_is_not_there_is_refused(several, tmp_path):
    with pytest.raises(ValueError, match=r"--feature 'size' is not among .* site, start, noise"):
        draw(tmp_path / "no.png", *several, feature="size")
    assert not (tmp_path / "no.png").exists()


def test_dates_stand_on_the_axis(several, drawn):
    figure = drawn(several, feature="start")
    labels = [text.get_text() for text in figure.axes[-1].get_xticklabels()]
    assert labels and set(labels) <= {"2001", "2002", "2003", "2004", "2005", "2006"}
    assert figure.axes[-1].get_xlabel() == "start"
    ticks = figure.axes[-1].get_xticks()
    days = (np.datetime64(labels[0] + "-01-01") - np.datetime64("2001-03-01")).astype(int)
    assert ticks[0] == days


# -- other tables ------------------------------------------------------------------------------


def test_a_single_category_is_drawn_by_its_levels(cells, drawn):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two values cannot tell two experts apart
        data = fitted(cells, ["site"])
    figure = drawn(data)
    assert "as the column changes" in figure.subfigs[1].get_suptitle()
    assert x_labels(figure)[-1] == "site"


def test_means_alone_are_drawn_without_calibration(several, drawn):
    pipeline, frame, y = several
    X = pipeline[:-1].transform(frame)
    kind = MixtureOfExpertsRegressor
    experts = [kind(1).fit(X, y), kind(1).fit(X, -y)]
    model = MetaPiRegressor(experts, n_init=1, random_state=0).fit(X, y)
    pipeline = type(pipeline)([*pipeline.steps[:-1], ("model", model)])
    assert titles(drawn((pipeline, frame, y)))[:2] == [
        "Observed against predicted",
        "Experts' shares",
    ]


def test_of_several_outputs_the_first_is_drawn(cells, several, drawn):
    Y = pd.DataFrame({"effect": several[2], "other": -several[2] + several[2] ** 2})
    plan = plan_columns(TableFile(cells[["dose ($mg$)", "age", "effect"]]), target=["effect"])
    pipeline = table_pipeline(plan, MixtureOfExpertsRegressor(2, n_init=1, random_state=0))
    figure = drawn((pipeline.fit(plan.frame, Y), plan.frame, Y))
    assert figure.axes[0].get_ylabel() == "observed effect"


def test_trials_are_drawn_as_shares(several, drawn):
    rng = np.random.default_rng(0)
    wins = pd.DataFrame({"won": rng.binomial(9, 0.4, n)})
    wins["lost"] = 9 - wins["won"]
    wins.index = several[1].index
    model = MixtureOfExpertsRegressor(1, expert="binomial")
    pipeline = type(several[0])([*several[0].steps[:-1], ("model", model)]).fit(several[1], wins)
    points = drawn((pipeline, several[1], wins)).axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(points[:, 1], wins["won"] / 9)


def test_dense_data_show_how_many_rows_there_are(several, drawn, monkeypatch):
    monkeypatch.setattr(picture, "DENSE", 100)
    ax = drawn(several).axes[0]
    assert ax.collections[0].get_array().sum() == n
    assert "darker: more rows" in [text.get_text() for text in ax.texts]


def test_of_many_rows_a_sample_is_drawn(several, drawn, monkeypatch):
    monkeypatch.setattr(picture, "MOST_ROWS", 100)
    ax = drawn(several).axes[0]
    assert len(ax.collections[-1].get_offsets()) == 100


def test_a_long_tail_does_not_waste_the_panel(cells, drawn):
    pipeline, frame, y = fitted(cells, ["dose ($mg$)", "age"])
    far = y.copy()
    far.iloc[1] = 1e4
    for feature in (None, "age"):
        ax = drawn((pipeline, frame, far), feature=feature).axes[0]
        assert ax.get_ylim()[1] < 2 * y.max()
        texts = [text.get_text() for text in ax.texts]
        assert "1 row outside" in [*texts, ax.get_title(loc="right")]


def test_axes_leave_out_what_is_few_and_far_only():
    few = np.append(np.linspace(0, 1, 999), 50.0)
    assert picture._inner(few)[1] < 1.2
    even = np.linspace(0, 1, 1000)
    assert picture._inner(even) == (0, 1)
    assert picture._inner(np.full(5, 3.0)) == (2.5, 3.5)


def test_long_names_are_cut(cells, drawn):
    cells = cells.rename(columns={"effect": "e" * 60})
    figure = drawn(fitted(cells, ["dose ($mg$)", "age"], target="e" * 60))
    assert figure.axes[0].get_xlabel() == f"predicted {'e' * 27}…"
