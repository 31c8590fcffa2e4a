"""What y is called in the caller's table is what reports and pictures call it."""

import pickle

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.inspection import ExpertCurvesDisplay, GateRegionDisplay, TreeDisplay

mpl.use("Agg")
OPTIONS = dict(n_init=1, tol=1e-2, random_state=0)
HOSTILE = "a\x1b[2J\r\nb\u202e$x$ $\\frac$"
SHOWN = r"a\x1b[2J\r\nb\u202e$x$ $\frac$"


@pytest.fixture(scope="module")
def frame():
    rng = np.random.RandomState(0)
    age, dose = rng.uniform(20, 70, 120), rng.standard_normal(120)
    frame = pd.DataFrame({"age": age, "dose": dose})
    frame["wage"] = abs(age - 45) + 2 * dose + rng.standard_normal(120)
    frame["visits"] = rng.poisson(3, 120)
    frame["ill"] = np.where(frame["wage"] + 5 * rng.standard_normal(120) > 15, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def X(frame):
    return frame[["age", "dose"]]


def fitted(X, y, kind=MixtureOfExpertsRegressor, **options):
    return kind(**(dict(n_experts=2) | OPTIONS | options)).fit(X, y)


@pytest.mark.parametrize(
    ("column", "options", "left"),
    [
        ("wage", {}, "wage"),
        ("wage", dict(expert="student_t"), "wage"),
        ("wage", dict(expert="gamma", n_experts=1), "log E[wage]"),
        ("visits", dict(expert="poisson", n_experts=1), "log E[visits]"),
    ],
)
def test_a_series_gives_its_name_to_equations_and_tables(frame, X, column, options, left):
    y = frame[column].clip(lower=0.1) if column == "wage" else frame[column]
    model = fitted(X, y, **options)
    lines = model.equations().splitlines()
    assert [line.split(": ")[1].split(" = ")[0] for line in lines] == [left] * len(lines)
    summary = model.summary()
    assert summary.tables["experts"].title == f"Experts: {left}"
    assert f"Experts: {left}" in str(summary) and f"Experts: {left}" in summary._repr_html_()


@pytest.mark.parametrize("kind", [pd.Series, lambda y: pl.Series(y.name, y.tolist())])
def test_the_classes_are_values_of_the_name(frame, X, kind):
    model = fitted(X, kind(frame["ill"]), MixtureOfExpertsClassifier)
    assert "log-odds of ill: 'yes' against 'no' = " in model.equations()
    title = "Experts: log-odds of ill: 'yes' against 'no'"
    assert model.summary().tables["experts"].title == title
    codes = fitted(X, kind(frame["ill"]), MixtureOfExpertsClassifier, expert="linear")
    assert "1[ill = 'yes'] = " in codes.equations()


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("expert", ["linear", "mlp", Ridge()])
def test_several_outputs_have_the_names_of_their_columns(frame, X, library, expert):
    Y = library({name: frame[name].to_numpy(float) for name in ("wage", "visits")})
    model = fitted(X, Y, expert=expert)
    heads = [f"expert {k}, {name}" for k in (0, 1) for name in ("wage", "visits")]
    assert model.summary().tables["experts"].head[1:] == heads
    if expert == "linear":
        assert ": wage = " in model.equations() and ": visits = " in model.equations()


def test_successes_are_called_by_their_column(frame, X):
    trials = pd.DataFrame({"hits": frame["visits"], "misses": 9})
    assert ": log-odds of hits = " in fitted(X, trials, expert="binomial", n_experts=1).equations()
    assert (
        ": log-odds of success = "
        in fitted(X, trials.to_numpy(), expert="binomial", n_experts=1).equations()
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (HierarchicalMixtureOfExpertsRegressor, dict(depth=1)),
        (AdaptiveLocalExpertsRegressor, dict(n_experts=2, solver="em", objective="likelihood")),
    ],
)
def test_every_estimator_knows_the_name(frame, X, kind, options):
    model = kind(**OPTIONS | options).fit(X, frame["wage"])
    assert ": wage = " in model.equations()
    if kind is HierarchicalMixtureOfExpertsRegressor:
        assert ": wage = " in model.export_text()


def test_gates_of_outputs_are_called_by_them(frame, X):
    Y = frame[["wage", "visits"]].astype(float)
    model = MetaPiRegressor([Ridge(1.0), Ridge(1e4)], per_output=True, max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X, Y)
    names = [row[0] for row in model.summary().tables["gate"].rows]
    assert "intercept, wage" in names and "age, visits" in names


def test_the_name_is_of_the_last_fit_and_survives_pickles_searches_and_streams(frame, X):
    y = frame["wage"]
    model = fitted(X, y)
    assert ": wage = " in pickle.loads(pickle.dumps(model)).equations()
    assert ": y = " in model.fit(X, y.to_numpy()).equations()  # a fit without a name has none
    pipeline = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(2, **OPTIONS))
    search = GridSearchCV(pipeline, {"mixtureofexpertsregressor__n_experts": [1]}, cv=2)
    assert ": wage = " in search.fit(X, y).best_estimator_[-1].equations()
    stream = MixtureOfExpertsRegressor(2, **OPTIONS).partial_fit(X, y)
    assert ": wage = " in stream.equations()
    assert ": wage = " in stream.partial_fit(X[:20], y[:20].to_numpy()).equations()
    classes = MixtureOfExpertsClassifier(2, **OPTIONS).partial_fit(X, frame["ill"])
    assert "log-odds of ill: " in classes.equations()


def test_predictions_have_no_name(frame, X):
    model, classifier = (
        fitted(X, frame["wage"]),
        fitted(X, frame["ill"], MixtureOfExpertsClassifier),
    )
    for values in (model.predict(X), classifier.predict(X), model.log_prob(X, frame["wage"])):
        assert type(values) is np.ndarray
    plain = fitted(X, frame["wage"].to_numpy())
    assert np.array_equal(model.predict(X), plain.predict(X))
    assert "wage" not in model.get_params() and not hasattr(model, "target_names_")


def test_numbers_and_gaps_are_no_names(frame, X):
    for y in (frame["wage"].rename(None), frame["wage"].rename(0), frame["wage"].tolist()):
        assert ": y = " in fitted(X, y, n_experts=1).equations()
    Y = frame[["wage", "visits"]].set_axis([0, 1], axis=1)
    assert ": y0 = " in fitted(X, Y, n_experts=1).equations()


# -- pictures ------------------------------------------------------------------------------------


def test_the_axis_of_a_picture_has_the_name_of_the_fit(frame, X):
    model, y = fitted(X, frame["wage"]), frame["wage"]
    for given in (None, y.to_numpy(), y):
        assert ExpertCurvesDisplay.from_estimator(model, X, given).ax_.get_ylabel() == "wage"
    renamed = y.rename("wage (€)")
    assert ExpertCurvesDisplay.from_estimator(model, X, renamed).ax_.get_ylabel() == "wage (€)"
    classifier = fitted(X, frame["ill"], MixtureOfExpertsClassifier)
    display = ExpertCurvesDisplay.from_estimator(classifier, X, frame["ill"].to_numpy())
    assert display.ax_.get_ylabel() == "P(ill = yes)"
    regions = GateRegionDisplay.from_estimator(classifier, X, frame["ill"].to_numpy())
    assert "ill = yes" in [text.get_text() for text in regions.legend_.get_texts()]
    Y = frame[["wage", "visits"]].astype(float)
    display = ExpertCurvesDisplay.from_estimator(fitted(X, Y), X, target=1)
    assert display.ax_.get_ylabel() == "visits"


def test_a_tree_shows_the_name_at_its_leaves(frame, X):
    model = HierarchicalMixtureOfExpertsRegressor(depth=1, **OPTIONS).fit(X, frame["wage"])
    assert "wage = " in TreeDisplay.from_estimator(model).leaves_[0].get_text()
    model = HierarchicalMixtureOfExpertsClassifier(depth=1, **OPTIONS).fit(X, frame["ill"])
    display = TreeDisplay.from_estimator(model)
    assert "log-odds 'yes' = " in display.leaves_[0].get_text()
    assert "at a leaf: log-odds of ill: 'yes' against 'no'" in display.note


# -- names that are no names ---------------------------------------------------------------------


def test_no_name_reaches_the_screen_as_a_command(frame, X):
    columns = X.set_axis([HOSTILE, "dose\x07"], axis=1)
    y = pd.Series(frame["wage"].to_numpy(), name=HOSTILE)
    labels = pd.Series(np.where(frame["ill"] == "yes", HOSTILE, "no\x1b[0m"), name="ill\u202e")
    union = [("line\x1b[1m", "linear"), ("other", "linear")]
    shown = []
    for model in (
        fitted(columns, y),
        fitted(columns, y, expert=union),
        HierarchicalMixtureOfExpertsRegressor(depth=1, **OPTIONS).fit(columns, y),
        fitted(columns, labels, MixtureOfExpertsClassifier),
        fitted(columns, labels, MixtureOfExpertsClassifier, expert="linear"),
    ):
        summary = model.summary()
        shown += [str(summary), summary._repr_html_(), model.equations()]
        if isinstance(model, HierarchicalMixtureOfExpertsRegressor):
            shown.append(model.export_text())
    assert any(SHOWN in text for text in shown)
    for text in shown:
        assert text.replace("\n", "").isprintable()


def test_names_are_drawn_to_the_letter(frame, X):
    """A dollar sign is no mathematics, and a control character no missing glyph."""
    columns, y = X.set_axis([HOSTILE, "dose\x07"], axis=1), frame["wage"].rename(HOSTILE)
    model = HierarchicalMixtureOfExpertsRegressor(depth=1, **OPTIONS).fit(columns, y)
    classifier = fitted(columns, frame["ill"].replace("yes", HOSTILE), MixtureOfExpertsClassifier)
    for display in (
        ExpertCurvesDisplay.from_estimator(model, columns, y),
        GateRegionDisplay.from_estimator(classifier, columns, frame["ill"].replace("yes", HOSTILE)),
        TreeDisplay.from_estimator(model),
    ):
        display.figure_.canvas.draw()  # of "$\frac$" matplotlib can make nothing
    own = ExpertCurvesDisplay.from_estimator(model, columns, feature_name="$x_1$")
    assert own.gate_ax_.get_xlabel() == "$x_1$"  # the caller's own text is as the caller wrote it
