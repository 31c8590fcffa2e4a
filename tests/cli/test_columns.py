"""What a column is, which rows and columns are used, and what is said of the others."""

import re

import numpy as np
import pandas as pd
import pytest

from classic_moe.cli.columns import plan_columns
from classic_moe.cli.reading import TableFile

N = 60
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N).round(3)
AGE = RNG.integers(20, 60, N)


def plan(columns, target=("y",), options=None, **keywords):
    """The plan of a table of text, with a column "age" and a target "y" unless they are given."""
    table = pd.DataFrame({"age": AGE, "y": Y} | columns)
    return plan_columns(
        TableFile(table.map(str).astype(object), options or {}), target=list(target), **keywords
    )


def refusal(columns, **keywords):
    with pytest.raises(ValueError) as error:
        plan(columns, **keywords)
    assert "\n" not in str(error.value)
    return str(error.value)


def values(found, name):
    return found.columns[name].read(found.frame[name])[0]


def holding(cells, size=N):
    """A column with these cells, over and over."""
    return [cells[i % len(cells)] for i in range(size)]


# -- kinds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells, expected",
    [
        (["1", "2.5", "-3e2", "+.5"], [1, 2.5, -300, 0.5]),
        (["1,234.5", "12", "7"], [1234.5, 12, 7]),
        (["1,5", "2", "1.234,25"], [1.5, 2, 1234.25]),
        (["1 234,5", "2", "1'000"], [1234.5, 2, 1000]),
        (["$1,200.50", "$3", "-$4"], [1200.5, 3, -4]),
        (["12 %", "3%", "4.5 %"], [12, 3, 4.5]),
    ],
)
def test_numbers_are_read_however_they_are_written(cells, expected):
    found = plan({"x": holding(cells)})
    assert found.columns["x"].kind == "number"
    np.testing.assert_array_equal(values(found, "x"), holding(expected))


@pytest.mark.parametrize("cells", [["1_000", "2", "3"], ["1,23,4", "2", "3"], ["0x10", "1", "2"]])
def test_what_other_programs_read_as_text_is_a_category(cells):
    assert plan({"x": holding(cells)}).columns["x"].kind == "category"


@pytest.mark.parametrize(
    "form, first",
    [
        ("%Y-%m-%d", "2001-01-05"),
        ("%d.%m.%Y", "2001-01-05"),
        ("%Y/%m/%d", "2001-01-05"),
        ("%m/%d/%Y", "2001-01-05"),
        ("%d/%m/%Y", "2001-01-05"),
        ("%d-%b-%Y", "2001-01-05"),
        ("%B %d, %Y", "2001-01-05"),
        ("%Y-%m-%dT%H:%M:%SZ", "2001-01-05"),
        ("%d.%m.%Y %H:%M", "2001-01-05"),
    ],
)
def test_dates_become_days_since_the_first(form, first):
    moments = pd.date_range("2001-01-05", periods=N, freq="36h")
    found = plan({"when": moments.strftime(form)})
    column = found.columns["when"]
    assert column.kind == "date" and column.coded_name == f"when (days since {first})"
    days = np.arange(N) * 1.5
    expected = days if "%H" in form else np.floor(days)
    np.testing.assert_allclose(values(found, "when"), expected, atol=1e-6)  # microseconds
    assert f"Column 'when': dates, counted in days since {first}." in found.notes


@pytest.mark.parametrize(
    "step, name", [("1h", "hours"), ("2min", "minutes"), ("2s", "seconds"), ("8760h", "days")]
)
def test_the_unit_of_dates_suits_their_range(step, name):
    moments = pd.date_range("2001-01-05 06:00", periods=20, freq=step)
    found = plan({"when": holding(moments.strftime("%Y-%m-%d %H:%M:%S"))})
    assert found.columns["when"].unit == name


@pytest.mark.parametrize("decimal, order", [(".", "month/day/year"), (",", "day/month/year")])
def test_dates_that_may_be_either_are_said(decimal, order):
    cells = holding(["1/2/2001", "3/5/2001", "5/6/2002"])
    found = plan({"when": cells}, options={"decimal": decimal})
    (note,) = (note for note in found.notes if "were read as" in note)
    assert f"dates such as '1/2/2001' were read as {order}" in note
    days = 62 if decimal == "." else 91  # 2 January to 5 March, 1 February to 3 May
    assert values(found, "when")[1] == days


def test_the_day_tells_which_way_dates_are_written():
    found = plan({"when": holding(["1/2/2001", "13/2/2001", "5/6/2002"])})
    assert values(found, "when")[1] == 12
    assert not any("were read as" in note for note in found.notes)


@pytest.mark.parametrize("first", ["0001-01-01", "1500-06-01"])
def test_dates_of_all_centuries_are_read(first):
    cells = [first, "1999-12-31", "2000-01-01"]
    day = values(plan({"when": holding(cells)}), "when")
    assert day[0] == 0 and day[2] - day[1] == 1 and day[1] > 180_000


def test_true_is_true_in_every_spelling():
    found = plan({"smoker": holding(["TRUE", "false", "True"])})
    assert found.columns["smoker"].levels == ("True", "False")[::-1]
    assert values(found, "smoker").tolist() == holding(["True", "False", "True"])


def test_types_are_kept_where_the_file_has_them():
    table = pd.DataFrame(
        {
            "age": pd.array([*AGE[:-1], None], dtype="Int64"),
            "smoker": pd.array(holding([True, False, None]), dtype="boolean"),
            "sex": pd.Categorical(holding(["f", "m"])),
            "when": pd.date_range("2001-01-01", periods=N),
            "y": Y,
        }
    )
    found = plan_columns(TableFile(table), target=["y"])
    kinds = {name: column.kind for name, column in found.columns.items()}
    assert kinds == dict(age="number", smoker="category", sex="category", when="date")
    assert np.isnan(values(found, "age")[-1]) and values(found, "when")[-1] == N - 1
    assert found.columns["smoker"].levels == ("False", "True", "missing")


# -- columns left out ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells, why, kept",
    [
        ([f"p{i}" for i in range(N)], "60 different texts in 60 rows, as identifiers have", False),
        ([f"p{i // 2}" for i in range(N)], "30 different texts in 60 rows, too many", True),
        (list(range(N)), "it only counts the rows", True),
        (list(range(N, 0, -1)), "it only counts the rows", True),
        (["3"] * N, "it has the same value in all 60 rows", False),
        (["a"] * N, "it has the same value in all 60 rows", False),
        ([""] * N, "it is empty", False),
        (["1", "2", *[""] * (N - 2)], "it is nearly empty (2 of 60 cells)", False),
    ],
)
def test_columns_of_no_use_are_left_out_and_kept_if_asked_for(cells, why, kept):
    found = plan({"n": cells})
    assert list(found.columns) == list(found.frame) == ["age"]
    (note,) = (note for note in found.notes if note.startswith("Column 'n' left out"))
    assert why in note and ("--keep uses it" in note) == kept
    assert ("n" in plan({"n": cells}, keep=["n"]).columns) == kept


@pytest.mark.parametrize(
    "name, used", [("patient_id", False), ("ID", False), ("weight", True), ("paid", True)]
)
def test_different_whole_numbers_are_an_identifier_by_name_only(name, used):
    assert (name in plan({name: np.arange(N) * 3 + 1000}).columns) == used
    assert name in plan({name: np.arange(N) * 3 + 1000}, keep=[name]).columns


@pytest.mark.parametrize("name", ["t", "time", "Week", "day of year"])
def test_time_may_count(name):
    assert name in plan({name: range(1, N + 1)}).columns


def test_a_counter_is_used_where_there_is_nothing_else():
    table = pd.DataFrame({"n": range(N), "y": Y}).map(str)
    assert list(plan_columns(TableFile(table), target=["y"]).columns) == ["n"]


def test_a_counter_is_known_by_all_rows_of_the_file():
    target = ["", *map(str, Y[1:])]
    assert "case" not in plan({"case": range(N), "y": target}).columns


def test_a_column_can_be_dropped_whatever_it_holds():
    found = plan({"x": ["1e999", *["x"] * (N - 1)]}, drop=["x"])
    assert list(found.columns) == ["age"] and "x" not in found.frame
    assert not any("'x'" in note for note in found.notes)


def test_an_index_that_was_left_out_may_be_dropped_again():
    found = plan({}, options={"index_col": 0}, drop=["Unnamed: 0"])
    assert list(found.columns) == ["age"]
    assert "no such column" in refusal({}, drop=["Unnamed: 0"])


# -- categories ------------------------------------------------------------------------------------


def test_rare_values_are_put_together():
    cells = holding([*"aaaabbbbccccd"], 200)
    cells[3], cells[17] = "e", "f"
    found = plan({"x": cells, "age": range(200, 400), "y": np.arange(200.0)[::-1] ** 2})
    assert found.columns["x"].levels == ("a", "b", "c", "d", "other")
    assert found.columns["x"].merged == ("e", "f")
    assert values(found, "x")[3] == values(found, "x")[17] == "other"
    assert "Column 'x': 2 values with few rows are put together as 'other'." in found.notes


def test_the_most_frequent_of_many_values_are_kept():
    rows = 400
    cells = [f"v{int(i):02d}" for i in np.sqrt(np.arange(rows) * 2)]  # v28 has the most
    found = plan({"x": cells, "age": range(rows), "y": np.arange(rows) % 17})
    levels = found.columns["x"].levels
    assert len(levels) == 13 and levels[0] == "v16" and levels[-1] == "other"
    assert len(plan({"x": cells, "age": range(rows), "y": np.arange(rows) % 17}, keep=["x"])
               .columns["x"].levels) == 28  # all with two rows, and "other"  # fmt: skip


def test_others_are_compared_with_a_value_that_has_rows_enough():
    cells = ["a", *["b"] * 29, *["c"] * 30]
    found = plan({"x": cells})
    assert found.columns["x"].levels == ("b", "a", "c")
    assert "Categories are compared with the first of each: x = b." in found.notes


# -- missing cells ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "null", "<NA>", " ", ".", "?"])
def test_the_usual_cells_are_missing_in_every_column(cell):
    found = plan({"x": [cell, *AGE[1:]], "sex": [cell, *holding(["f", "m"], N - 1)]})
    assert np.isnan(values(found, "x")[0]) and pd.isna(values(found, "sex")[0])
    assert found.columns["x"].gaps and found.columns["sex"].gaps
    said = f"Column 'sex': {cell!r} was taken as missing (1 cell)."
    assert (said in found.notes) == (cell in (".", "?"))


def test_none_is_missing_as_pandas_has_it_and_said_of_a_category():
    found = plan({"exercise": holding(["Some", "None", "Much"])})
    assert found.columns["exercise"].levels == ("Much", "Some", "missing")
    assert "Column 'exercise': 'None' was taken as missing (20 cells)." in found.notes


def test_a_dash_is_missing_among_numbers_and_a_category_among_text():
    found = plan({"x": ["-", *AGE[1:]], "sign": holding(["+", "-"])})
    assert np.isnan(values(found, "x")[0])
    assert set(found.columns["sign"].levels) == {"+", "-"}


def test_odd_text_among_numbers_is_missing_and_said():
    cells = ["unknown", *np.arange(1, N) ** 2]
    found = plan({"x": cells})
    assert np.isnan(values(found, "x")[0])
    said = "Column 'x': 'unknown' was taken as missing (1 cell); --missing-code '' takes the column"
    assert any(note.startswith(said) for note in found.notes)
    asked = plan({"x": cells}, options={"na_values": [""]})
    assert "x" not in asked.columns  # text, all different


def test_codes_of_categories_stay_what_they_are():
    found = plan({"x": [*holding(["1", "2", "3"], N - 1), "none"]})
    assert found.columns["x"].levels == ("1", "2", "3", "none")


CODES = {
    "a negative one among others that are not": (-99, [0, 5, 80, 300], True),
    "far from negative ones": (-999, [-8, 0, 40, 7], True),
    "near negative ones": (-99, [-80, 0, 40, 7], False),
    "far above all": (999, [1, 2, 3, 4], True),
    "the end of a scale": (999, [100, 700, 400, 8], False),
    "too short to be one": (99, [1, 2, 3, 4], False),
    "no nines": (-100, [0, 5, 8, 9], False),
}


@pytest.mark.parametrize("case", CODES)
def test_numbers_that_are_clearly_codes_are_missing(case):
    code, others, missing = CODES[case]
    cells = [code if i % 10 == 3 else others[i % len(others)] for i in range(N)]
    found = plan({"x": cells})
    np.testing.assert_array_equal(np.isnan(values(found, "x")), missing & (np.arange(N) % 10 == 3))
    said = f"Column 'x': {code} was taken as missing (6 cells; --missing-code '' takes it as"
    assert any(note.startswith(said) for note in found.notes) == missing
    kept = plan({"x": cells}, options={"na_values": [""]})
    np.testing.assert_array_equal(values(kept, "x"), cells)


def test_a_code_of_one_column_is_one_in_others_and_a_single_one_is_none():
    several = [-999 if i < 3 else i % 9 for i in range(N)]
    single = [-999 if i == 1 else i % 9 for i in range(N)]
    alone = plan({"x": single})
    assert values(alone, "x")[1] == -999
    both = plan({"x": several, "z": single})
    assert np.isnan(values(both, "z")[1])


def test_codes_of_the_user_are_missing_and_nothing_is_guessed():
    cells = [7 if i % 10 == 3 else -999 if i % 10 == 4 else i % 5 for i in range(N)]
    found = plan({"x": cells, "s": holding(["a", "b", "no"])}, options={"na_values": ["7", "no"]})
    np.testing.assert_array_equal(np.isnan(values(found, "x")), np.arange(N) % 10 == 3)
    assert values(found, "x")[4] == -999
    assert found.columns["s"].levels == ("a", "b", "missing")


@pytest.mark.parametrize("written", ["-999", "-999.0", "-9.99e2"])
@pytest.mark.parametrize("options", [None, {"na_values": ["-999"]}], ids=["found out", "said"])
def test_a_code_is_a_number_however_it_is_written(written, options):
    cells = [written if i % 8 == 3 else f"{i % 5}.0" for i in range(N)]
    found = plan({"x": cells}, options=options)
    gaps = np.arange(N) % 8 == 3
    np.testing.assert_array_equal(np.isnan(values(found, "x")), gaps)
    read, _ = found.columns["x"].read(found.frame["x"].astype(float))  # typed, as pandas has it
    np.testing.assert_array_equal(np.isnan(read), gaps)


def with_gaps(count):
    return ["" if i < count else str(i * i) for i in range(N)]


def test_the_model_is_told_of_missing_cells_where_they_are_enough_to_learn_from():
    found = plan({"few": with_gaps(4), "many": with_gaps(9), "most": with_gaps(N - 4)})
    told = {name: column.indicator for name, column in found.columns.items()}
    assert told == {"age": False, "few": False, "many": True}  # "most" is nearly empty
    notes = "\n".join(found.notes)
    assert "Column 'few': 4 of 60 cells (6.7 %) missing, filled in with the median." in notes
    assert "'many': 9 of 60 cells (15 %) missing, filled in with the median; the model is" in notes


def test_rare_gaps_of_a_long_table_are_not_told():
    rows = 1000
    columns = {"age": range(5, rows + 5), "y": np.arange(rows) % 31}
    cells = ["" if i < 10 else str(i % 77) for i in range(rows)]
    assert not plan(columns | {"x": cells}).columns["x"].indicator
    assert plan(columns | {"x": ["", *cells[:-1]]}).columns["x"].indicator


def test_the_same_gaps_are_told_once():
    gaps = with_gaps(9)
    sex = ["" if not cell else "fm"[i % 2] for i, cell in enumerate(gaps)]
    found = plan({"x": gaps, "z": [cell and cell + "5" for cell in gaps], "sex": sex})
    assert [column.indicator for column in found.columns.values()] == [False, True, False, False]
    assert found.columns["sex"].levels == ("f", "m")
    assert any("in the same rows as those of 'x'" in note for note in found.notes)


def test_missing_categories_are_a_category():
    found = plan({"sex": holding(["f", "m", "m", ""])})
    assert found.columns["sex"].levels == ("f", "m", "missing")
    assert "15 of 60 cells (25 %) missing, which are the category 'missing'" in "".join(found.notes)


def test_drop_leaves_out_the_rows_and_what_is_constant_without_them():
    x = with_gaps(9)
    found = plan({"x": x, "z": [*holding("ab", 9), *["a"] * (N - 9)]}, missing="drop")
    assert len(found.frame) == len(found.y) == N - 9
    assert list(found.columns) == ["age", "x"] and not found.columns["x"].gaps
    assert "9 of 60 rows left out, with missing cells in 'x' (9)." in found.notes
    assert found.frame.index.tolist() == found.y.index.tolist() == list(range(9, N))
    weighted = plan({"x": x, "w": range(1, N + 1)}, missing="drop", weights="w").weights
    assert weighted.tolist() == list(range(10, N + 1))


def test_drop_that_leaves_nothing_is_refused():
    message = refusal(
        {"x": holding(["1", "", "3"]), "z": holding(["", "2", "", "", "5", ""])}, missing="drop"
    )
    assert "--missing drop leaves 0 of 60 rows: cells are missing in 'x' (20), 'z' (40)" in message


def test_error_names_all_columns_and_counts():
    message = refusal({"x": with_gaps(9), "z": with_gaps(1)}, missing="error")
    assert message == (
        "cells are missing in 'x' (9), 'z' (1); --missing impute fills them in, --missing drop"
        " leaves their rows out"
    )


@pytest.mark.parametrize("policy", ["impute", "drop", "error"])
def test_rows_without_a_target_are_left_out_unless_refused(policy):
    y = ["", "NA", *map(str, Y[2:])]
    if policy == "error":
        assert "the target 'y' is missing in 2 rows" in refusal({"y": y}, missing=policy)
        return
    found = plan({"y": y}, missing=policy)
    assert found.y.tolist() == Y[2:].tolist()
    assert "2 rows of 60 left out: the target 'y' is missing." in found.notes


# -- targets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells, task, reason, labels",
    [
        (["yes", "no"], "classification", "text", ["yes", "no"]),
        (["1", "0"], "classification", "two values", [1, 0]),
        (["2.0", "5.0"], "classification", "two values", [2, 5]),
        (["TRUE", "false"], "classification", "true or false", [True, False]),
        (["1", "2", "3"], "regression", "numeric", [1.0, 2.0, 3.0]),
        (["0.5", "1.5"], "regression", "numeric", [0.5, 1.5]),
    ],
)
def test_the_task_follows_from_the_target(cells, task, reason, labels):
    found = plan({"y": holding(cells)})
    assert (found.task, found.reason, found.y.name) == (task, reason, "y")
    assert found.y.tolist() == holding(labels)
    assert {type(value) for value in found.y.tolist()} == {type(labels[0])}


def test_the_task_can_be_named():
    found = plan({"y": holding(["1", "2", "3"])}, task="classification")
    assert (found.task, found.reason) == ("classification", "as asked")
    assert plan({"y": holding(["1", "0"])}, task="regression").y.dtype == float


def test_several_targets_are_a_table():
    found = plan({"z": Y * 2 + AGE}, target=["y", "z"])
    assert list(found.y) == ["y", "z"] and found.task == "regression"
    np.testing.assert_array_equal(found.y["y"], Y)


BAD_TARGETS = {
    "constant": (["3"] * N, {}, "the target 'y' has one value (3) in all 60 rows"),
    "one class": (["a"] * N, {}, "the target 'y' has one class ('a') in all 60 rows"),
    "empty": ([""] * N, {}, "the target 'y' is empty"),
    "dates": (holding(["2001-01-02", "2003-04-05"]), {}, "the target 'y' holds dates"),
    "names": ([f"a{i}" for i in range(N)], {}, "60 different values in 60 rows, too many"),
    "inf": (["inf", *map(str, Y[1:])], {}, "the target 'y' holds inf in row 1, which is not"),
    "text": (
        holding(["no", "yes"]),
        {"task": "regression"},
        "the target 'y' holds 'no', which is not a number; for classes use --task classification",
    ),
    "fractions": (
        list(map(str, Y)),
        {"task": "classification"},
        "classes are text or whole numbers; use --task regression",
    ),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_targets_that_cannot_be_predicted_are_refused(case):
    cells, keywords, message = BAD_TARGETS[case]
    assert message in refusal({"y": cells}, **keywords)


def test_a_class_that_is_left_alone_by_missing_cells_is_refused():
    x = ["" if i % 2 else str(i) for i in range(N)]
    message = refusal({"x": x, "y": holding(["no", "yes"])}, missing="drop")
    assert "one class ('no') in all 30 rows" in message


# -- other columns ---------------------------------------------------------------------------------


def test_offset_weights_and_groups_are_no_features():
    cells = {"o": Y + 1, "w": ["", *range(1, N)], "g": holding(["a", "b", "c"])}
    found = plan(cells, offset="o", weights="w", groups="g")
    assert {name: column.kind for name, column in found.columns.items()} == {
        "age": "number",
        "o": "offset",
    }
    assert list(found.frame) == ["age", "o"] and found.offset == "o"
    assert found.weights.tolist() == list(range(1, N)) and found.weights.name == "w"
    assert found.groups.tolist() == holding(["a", "b", "c"])[1:]
    assert "1 row of 60 left out: --weights 'w' is missing." in found.notes
    assert found.weights.index.equals(found.frame.index)


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"weights": "s"}, "--weights 's' holds text, such as 'a'; it must hold numbers"),
        ({"offset": "s"}, "--offset 's' holds text"),
        ({"weights": "m"}, "--weights 'm' holds -2; weights are at least 0"),
        ({"weights": "z"}, "--weights 'z' holds nothing but zeros"),
    ],
)
def test_columns_that_do_not_suit_their_role_are_refused(keywords, message):
    cells = {"s": holding("abc"), "m": holding(["-2", "3"]), "z": ["0"] * N}
    assert message in refusal(cells, **keywords)


def test_names_that_are_not_there_are_all_named():
    message = refusal({}, target=["z"], drop=["AGE"], weights="w")
    parts = re.split(r"; (?=\(\d\))", message)
    assert [part[:3] for part in parts] == ["(1)", "(2)", "(3)"]
    assert "--target 'z': the table has no such column; it has age, y" in parts[0]
    assert "--weights 'w'" in parts[2]
    assert "did you mean 'age'?" in refusal({}, drop=["agee"])


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"drop": ["y"]}, "--target and --drop both name 'y'"),
        ({"keep": ["age"], "drop": ["age"]}, "--drop and --keep both name 'age'"),
        ({"weights": "age", "groups": "age"}, "--weights and --groups both name 'age'"),
        ({"target": ["y", "y"]}, "--target names 'y' twice"),
        ({"drop": ["age"]}, "there is no column beside the target 'y' to predict it from"),
        ({"missing": "ignore"}, "--missing 'ignore' is none of impute, drop, error"),
    ],
)
def test_what_contradicts_itself_is_refused(keywords, message):
    assert message in refusal({}, **keywords)


def test_all_that_is_wrong_with_a_table_is_said_at_once():
    message = refusal(
        {"x": ["inf", *AGE[1:]], "z": ["1e200", *AGE[1:]], "q": with_gaps(3), "y": ["3"] * N},
        missing="error",
        weights="x",
    )
    parts = ["(1) column 'x', row 1: inf", "(2) column 'z', row 1: 1e+200", "(3) cells are missing"]
    assert all(part in message for part in parts)


def test_two_columns_cannot_have_one_name_in_the_model():
    message = refusal({"sex": holding("fm"), "sex = m": AGE})
    assert "the columns 'sex' and 'sex = m' would both give the model 'sex = m'" in message


def test_a_column_in_the_order_of_the_target_is_told():
    found = plan({"log": np.exp(Y)})
    assert any("Column 'log' has the very order of the target" in note for note in found.notes)
    assert not any("very order" in note for note in plan({}).notes)
