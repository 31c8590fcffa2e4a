"""A Pipeline takes the raw table in any form, and its model speaks the table's names and units."""

import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_validate

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.cli.columns import plan_columns
from classic_moe.cli.kinds import Column
from classic_moe.cli.pipeline import TableReader, coded_names, table_pipeline
from classic_moe.cli.reading import TableFile, read_table

N = 80


def typed():
    """A table with a column of every kind, as pandas would hold it, and the effect of it."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 60, N),
            "dose": np.where(np.arange(N) % 8 == 3, np.nan, rng.normal(size=N).round(2)),
            "sex": rng.choice(["female", "male"], N),
            "smoker": rng.choice([True, False], N),
            "ward": np.where(np.arange(N) % 10 == 7, None, rng.choice(["A", "B", "C"], N)),
            "day": pd.date_range("2001-01-01", periods=N)[rng.permutation(N)],
        }
    )
    days = (table["day"] - table["day"].min()) / pd.Timedelta(days=1)
    dose = table["dose"].fillna(table["dose"].median()) + 5 * table["dose"].isna()
    ward = table["ward"].map({"A": 0.0, "B": 1, "C": 2}).fillna(3)
    effect = 2 * table["age"] + dose + 4 * (table["sex"] == "male") - 3 * table["smoker"] + ward
    return table, effect + 0.5 * days


def as_text(table):
    """The same table as it stands in a CSV file."""
    text = table.copy().astype(object)
    text["day"] = table["day"].dt.strftime("%Y-%m-%d")
    return text.where(table.notna(), "").map(str).astype(object)


@pytest.fixture(scope="module")
def table():
    return typed()[0]


@pytest.fixture(scope="module")
def effect():
    return typed()[1]


@pytest.fixture(scope="module")
def plan(table, effect):
    text = as_text(table).assign(effect=effect.map(repr))
    return plan_columns(TableFile(text), target=["effect"])


@pytest.fixture(scope="module")
def pipeline(plan):
    return table_pipeline(plan, LinearRegression()).fit(plan.frame, plan.y)


NAMES = [
    *("age", "dose", "day (days since 2001-01-01)", "dose is missing"),
    *("sex = male", "smoker = True", "ward = B", "ward = C", "ward = missing"),
]


# -- one table, many forms -------------------------------------------------------------------------


def forms(table):
    text = as_text(table)
    nulls = table.astype(object).where(table.notna(), None)
    return {
        "text": text,
        "with types": table,
        "in another order, with more columns": table[table.columns[::-1]].assign(more=0),
        "blanks in the names": table.rename(columns={"sex": " sex "}),
        "polars": pl.DataFrame({name: text[name].tolist() for name in text}),
        "polars with types": pl.DataFrame(nulls.to_dict("list")),
        "array": table.to_numpy(dtype=object),
        "lists": text.to_numpy().tolist(),
        "true as R writes it": text.assign(smoker=text["smoker"].str.upper()),
        "numbers with points": table.assign(age=table["age"] + 0.0),
        "missing as others write it": text.replace("", "NA"),
        "dates as others write them": text.assign(day=table["day"].dt.strftime("%d.%m.%Y")),
        "moments": text.assign(day=table["day"].dt.strftime("%Y-%m-%d 00:00:00")),
        "a time zone": table.assign(day=table["day"].dt.tz_localize("UTC")),
        "decimal commas": text.assign(dose=text["dose"].str.replace(".", ",")),
        "nullable types": table.convert_dtypes(),
        "categories": table.astype({"sex": "category", "ward": "category"}),
    }


@pytest.mark.parametrize("form", forms(typed()[0]))
def test_every_form_of_the_table_gives_the_same_prediction(pipeline, table, effect, form):
    # rtol is that of least squares; columns are exact in every form.
    np.testing.assert_allclose(pipeline.predict(forms(table)[form]), effect, rtol=1e-9)


def test_the_rows_keep_their_index(pipeline, table):
    part = table.iloc[::-3]
    assert pipeline[:-1].transform(part).index.equals(part.index)


# -- names and units -------------------------------------------------------------------------------


def test_the_model_gets_the_names_and_units_of_the_table(pipeline, plan, table):
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    assert pipeline[:-1].get_feature_names_out().tolist() == NAMES
    coded = pipeline[:-1].transform(plan.frame)
    np.testing.assert_array_equal(coded["age"], table["age"])
    np.testing.assert_array_equal(coded["dose is missing"], table["dose"].isna())
    np.testing.assert_array_equal(coded["dose"], table["dose"].fillna(table["dose"].median()))
    np.testing.assert_array_equal(coded["ward = missing"], table["ward"].isna())
    np.testing.assert_array_equal(coded["sex = male"], table["sex"] == "male")


def test_coded_names_are_those_of_the_model(plan):
    assert sorted(coded_names(plan, plan.frame.columns)) == sorted(NAMES)
    assert coded_names(plan, ["ward", "dose"]) == [*NAMES[-3:], "dose", "dose is missing"]
    with pytest.raises(ValueError, match=r"'size' is not among the columns in use; these are age"):
        coded_names(plan, ["size"])


@pytest.fixture(scope="module")
def mixture(plan):
    gate = coded_names(plan, ["sex", "age"])
    model = MixtureOfExpertsRegressor(1, gate_features=gate, n_init=1, random_state=0)
    noise = np.random.default_rng(3).normal(size=N)
    return table_pipeline(plan, model).fit(plan.frame, plan.y + noise)


def test_equations_and_summary_speak_the_words_of_the_table(mixture, plan):
    lines = mixture[-1].equations()
    assert "effect = " in lines
    assert all(name in lines for name in NAMES)
    coded = mixture[:-1].transform(plan.frame)
    assert "ward = missing" in str(mixture[-1].summary(coded, plan.y))
    slopes = dict(zip(NAMES, mixture[-1].experts_[0].coef_, strict=True))
    # Five standard errors: noise of sd 1, 80 rows, ages of sd 11, half the rows male.
    assert slopes["age"] == pytest.approx(2, abs=0.05)
    assert slopes["sex = male"] == pytest.approx(4, abs=1.2)


def test_classes_keep_their_labels(table, effect):
    ill = np.where(effect > effect.median(), "ill", "well")
    frame = as_text(table).assign(health=ill)
    found = plan_columns(TableFile(frame), target=["health"])
    model = MixtureOfExpertsClassifier(1, n_init=1, random_state=0)
    fitted = table_pipeline(found, model).fit(found.frame, found.y)
    assert fitted.classes_.tolist() == ["ill", "well"]
    assert "health" in fitted[-1].equations()


# -- as scikit-learn takes it ----------------------------------------------------------------------


def test_it_can_be_pickled_cloned_and_cross_validated(pipeline, plan, table, effect, tmp_path):
    joblib.dump(pipeline, tmp_path / "p.joblib")
    loaded = joblib.load(tmp_path / "p.joblib")
    np.testing.assert_array_equal(loaded.predict(table), pipeline.predict(table))
    again = clone(pipeline).fit(plan.frame, plan.y)
    np.testing.assert_array_equal(again.predict(table), pipeline.predict(table))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = cross_validate(pipeline, plan.frame, plan.y, cv=4)["test_score"]
    assert scores.min() > 0.99


def test_a_fold_may_lack_gaps_and_categories():
    """What is rare may be absent from a fold; the model gets the same columns all the same."""
    x = ["" if i < 6 else str(i % 7) for i in range(60)]
    s = ["c" if i >= 54 else "ab"[i % 2] for i in range(60)]
    frame = pd.DataFrame({"x": x, "s": s, "y": [str(i % 11) for i in range(60)]})
    found = plan_columns(TableFile(frame), target=["y"])
    fitted = table_pipeline(found, LinearRegression()).fit(found.frame[10:50], found.y[10:50])
    assert fitted[-1].feature_names_in_.tolist() == ["x", "x is missing", "s = b", "s = c"]
    assert np.isfinite(fitted.predict(found.frame)).all()
    empty = found.frame.assign(x=["NA"] * 20 + [*found.frame["x"][20:]])  # a fold without any x
    fitted = table_pipeline(found, LinearRegression()).fit(empty[:20], found.y[:20])
    assert fitted[-1].feature_names_in_[0] == "x"


def test_a_reader_tells_its_columns():
    column = Column("when", "date", form="%Y-%m-%d", unit="days")
    reader = clone(TableReader({"when": column}))
    assert reader.get_params() == {"columns": {"when": column}}
    assert reader.feature_names_in_.tolist() == ["when"]
    assert reader.get_feature_names_out().tolist() == ["when (days since 1970-01-01)"]


# -- other tables ----------------------------------------------------------------------------------


def test_cells_that_were_never_missing_are_filled_in_with_a_warning(pipeline, table):
    changed = table.astype({"age": float})
    changed.loc[[3, 5], "age"] = np.nan
    changed.loc[4, "sex"] = None
    expected = table.assign(age=table["age"].where(changed["age"].notna(), table["age"].median()))
    expected.loc[4, "sex"] = table["sex"].mode()[0]
    message = (
        "^column 'age' has 2 missing cells, and had none at the fit: filled in with the median;"
        " column 'sex' has 1 missing cell, and had none at the fit: filled in with the most"
        " frequent value$"
    )
    with pytest.warns(UserWarning, match=message):
        given = pipeline.predict(changed)
    np.testing.assert_allclose(given, pipeline.predict(expected))


def test_an_unknown_category_is_read_as_a_missing_one_with_a_warning(pipeline, table):
    changed = table.assign(ward=table["ward"].where(table["ward"] != "C", "Z"))
    count = (table["ward"] == "C").sum()
    message = rf"^unknown category 'Z' \({count} rows\) in column 'ward': read as 'missing'$"
    with pytest.warns(UserWarning, match=message):
        given = pipeline.predict(changed)
    expected = pipeline.predict(table.assign(ward=table["ward"].where(table["ward"] != "C", None)))
    np.testing.assert_array_equal(given, expected)


def test_an_unknown_category_is_the_most_frequent_where_none_was_missing(pipeline, table):
    changed = table.assign(sex=[*"abcde", *table["sex"][5:]])
    message = (
        r"^unknown categories 'a' \(1 row\), 'b' \(1 row\), 'c' \(1 row\) and 2 more in column"
        r" 'sex': filled in with the most frequent value$"
    )
    with pytest.warns(UserWarning, match=message):
        given = pipeline.predict(changed)
    expected = table.assign(sex=[*[table["sex"].mode()[0]] * 5, *table["sex"][5:]])
    np.testing.assert_allclose(given, pipeline.predict(expected))


def test_rare_values_stay_together_and_new_ones_join_them_with_a_warning():
    cells = [*["a"] * 30, *["b"] * 25, "c", "d", "e", "e", "e"]
    frame = pd.DataFrame({"s": cells, "y": [str(i % 7) for i in range(60)]})
    found = plan_columns(TableFile(frame), target=["y"])
    fitted = table_pipeline(found, LinearRegression()).fit(found.frame, found.y)
    assert fitted[-1].feature_names_in_.tolist() == ["s = b", "s = other"]
    known = fitted.predict(pd.DataFrame({"s": ["c", "e"]}))
    with pytest.warns(UserWarning, match=r"unknown category 'z' \(1 row\) .* read as 'other'"):
        assert fitted.predict(pd.DataFrame({"s": ["z"]})) == known[0] == known[1]


def test_what_a_warning_shows_does_nothing_to_a_terminal(pipeline, table):
    changed = table.assign(sex=["\x1b[2J", *table["sex"][1:]])
    with pytest.warns(UserWarning) as caught:
        pipeline.predict(changed)
    assert "\x1b" not in str(caught[0].message) and r"\x1b[2J" in str(caught[0].message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="sex"), "the table has no column 'sex', which the model needs"),
        (lambda t: t[["day"]], "has no columns 'age', 'dose', 'sex', 'smoker', 'ward', which"),
        (lambda t: t.assign(age="old"), "column 'age', row 1: 'old' is not a number"),
        (lambda t: t.assign(age=[*t["age"][:-1], "1e999"]), "row 80: '1e999' is not finite"),
        (lambda t: t.assign(age=1e200), "column 'age', row 1: '1e\\+200' is too large to compute"),
        (lambda t: t.assign(day="soon"), "column 'day', row 1: 'soon' is not a date"),
        (lambda t: t.to_numpy()[:, :2], r"shape \(80, 2\); it needs the 6 columns age, dose"),
        (lambda t: t["age"].to_numpy(), r"shape \(80,\); it needs the 6 columns"),
    ],
)
def test_another_table_is_refused_by_name(pipeline, table, change, message):
    with pytest.raises(ValueError, match=message) as error:
        pipeline.predict(change(table))
    assert "\n" not in str(error.value)


def test_names_that_pandas_completes_are_found(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("x,,x,y\n" + "".join(f"{i % 5},{i % 3},{i % 7},{i * i}\n" for i in range(40)))
    found = plan_columns(read_table(path), target=["y"])
    fitted = table_pipeline(found, LinearRegression()).fit(found.frame, found.y)
    assert fitted[-1].feature_names_in_.tolist() == ["x", "column 2", "x (2)"]
    given = fitted.predict(pd.read_csv(path, **read_table(path).options))
    np.testing.assert_array_equal(given, fitted.predict(found.frame))


def test_the_offset_reaches_the_model_as_it_is_and_is_never_filled_in():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"o": rng.normal(size=60), "x": rng.normal(size=60)}).round(3)
    frame["y"] = rng.poisson(np.exp(frame["o"] + frame["x"]))
    found = plan_columns(TableFile(frame.map(str)), target=["y"], offset="o")
    model = MixtureOfExpertsRegressor(
        1, expert="poisson", offset_feature=found.offset, n_init=1, random_state=0
    )
    fitted = table_pipeline(found, model).fit(found.frame, found.y)
    coded = fitted[:-1].transform(found.frame)
    assert list(coded) == ["x", "o"]
    np.testing.assert_array_equal(coded["o"], frame["o"])
    shift = fitted.predict(frame.assign(o=frame["o"] + 1)) / fitted.predict(frame)
    np.testing.assert_allclose(shift, np.e)
    with pytest.raises(ValueError, match="column 'o', row 3: the offset is missing; fill it"):
        fitted.predict(frame.assign(o=[1, 2, None, *frame["o"][3:]]))


# -- whole tables ----------------------------------------------------------------------------------


def whole(rows=120):
    """A table with gaps, categories, dates, an identifier, and a target that depends on them."""
    rng = np.random.default_rng(1)
    x, s = rng.normal(10, 3, rows).round(2), rng.choice(["groß", "klein"], rows)
    y = 2 * x + 3 * (s == "klein") + rng.normal(size=rows)
    table = pd.DataFrame({"x": x, "s": s, "n": rng.integers(1, 9, rows), "y": y.round(3)})
    table["day"] = pd.date_range("1999-12-31", periods=rows).strftime("%d.%m.%Y")
    table["name"] = [f"p{i}" for i in range(rows)]
    table.loc[::9, "x"] = np.nan
    return table


VARIANTS = {
    "pandas": (lambda t: t.to_csv(), "utf-8"),
    "R": (lambda t: t.to_csv(index_label="", na_rep="NA", quoting=2), "utf-8"),
    "German Excel": (lambda t: t.to_csv(sep=";", decimal=",", index=False), "cp1252"),
    "SAS": (lambda t: t.assign(n=t["n"].where(t["n"] > 2, -999)).to_csv(na_rep="."), "latin-1"),
    "tabs and UTF-16": (lambda t: t.to_csv(sep="\t", index=False), "utf-16"),
    "a mark in front": (lambda t: t.to_csv(index=False), "utf-8-sig"),
    "names twice and empty": (
        lambda t: t.rename(columns={"n": "x", "s": ""}).to_csv(index=False),
        "utf-8",
    ),
    "50,000 rows": (lambda t: whole(50_000).to_csv(), "utf-8"),
}


@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, marks=pytest.mark.slow) if v == "50,000 rows" else v for v in VARIANTS],
)
def test_whole_tables_are_fitted_saved_and_predicted(tmp_path, variant):
    write, encoding = VARIANTS[variant]
    path = tmp_path / "table.csv"
    path.write_bytes(write(whole()).encode(encoding))
    file = read_table(path)
    found = plan_columns(file, target=["y"])
    assert "name" not in found.columns and "day" in found.columns
    assert len(found.columns) == 4
    model = LinearRegression()
    fitted = table_pipeline(found, model).fit(found.frame, found.y)
    assert "day (days since 1999-12-31)" in fitted[-1].feature_names_in_
    assert any(name.endswith(" = klein") for name in fitted[-1].feature_names_in_)
    assert fitted.score(found.frame, found.y) > 0.6  # a ninth of x is missing
    joblib.dump(fitted, tmp_path / "p.joblib")
    given = joblib.load(tmp_path / "p.joblib").predict(pd.read_csv(path, **file.options))
    # pandas may read the last digit of a number otherwise
    np.testing.assert_allclose(given, fitted.predict(found.frame), rtol=1e-9)


def test_ranges_are_compared_with_the_lowest():
    ages = ["25-29", "30-35", "<25", ">35"] * 20
    frame = pd.DataFrame({"age": ages, "n": [str(i % 7) for i in range(80)], "y": range(80)})
    plan = plan_columns(TableFile(frame.astype(str)), target=["y"])
    assert coded_names(plan, ["age"]) == ["age = 25-29", "age = 30-35", "age = >35"]
