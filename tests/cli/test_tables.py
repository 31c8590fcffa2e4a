"""A raw table is read as it is, or refused by line and column; a Pipeline takes it in any form."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from classic_moe.cli.tables import RawTable, raw_table_pipeline, read_csv

HERBS = "height,leaf,poison\n1.5,round,TRUE\n2,long,FALSE\n3e0,round,FALSE\n"


@pytest.fixture
def csv_file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "data.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_are_numbers_if_every_cell_is(csv_file, separator):
    table = read_csv(csv_file(HERBS.replace(",", separator)))
    np.testing.assert_array_equal(table.columns["height"], [1.5, 2, 3])
    assert [table.is_text(name) for name in table.columns] == [False, True, True]
    assert table.cells(["leaf", "height"]).tolist()[0] == ["round", 1.5]


def test_quotes_a_byte_order_mark_and_empty_lines_are_understood(csv_file):
    table = read_csv(csv_file('"a, b", c\r\n"x\ny",1\r\n\r\nz,2\r\n', "utf-8-sig"))
    assert list(table.columns) == ["a, b", "c"]
    assert table.columns["a, b"].tolist() == ["x\ny", "z"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it needs a header line"),
        ("a,b\n", "has no rows"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
        ("a,b,a\n1,2,3\n", "the column 'a' is there twice"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells, but the header has 2"),
        ("a,b\n1,2\n3,\n", "line 3: the cell of column 'b' is empty; .* --drop b"),
        ("a,b\n1,2\nNA,4\n", "line 3: the cell of column 'a' is 'NA'"),
        ("a,b\n1,2\nx,NaN\n", "line 3: the cell of column 'b' is 'NaN'"),
        ("a,b\n1,2\n3,inf\n", "line 3: .* column 'b' is 'inf', which is not a finite number"),
        ("a,b\n1,2\n3,1e308\n", "line 3: .* column 'b' is '1e308', which is too large .* --drop b"),
        ("a,b\n1,2\n-2e151,3\n", "line 3: .* column 'a' is '-2e151', which is too large"),
        ("a b,c\n1,2\n,4\n", "--drop 'a b'"),
        ("a\x1b[2J,b\n1,2\n,4\n", r"column 'a\\x1b\[2J' is empty; .* --drop 'a\\x1b\[2J'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_line_and_name(csv_file, text, message):
    with pytest.raises(ValueError, match=message):
        read_csv(csv_file(text))


def test_numbers_of_any_size_that_has_a_square_are_read(csv_file):
    table = read_csv(csv_file("a,b\n1e150,1e-300\n-1e150,-1e-300\n"))
    np.testing.assert_array_equal(table.columns["a"], [1e150, -1e150])


def test_a_column_can_be_skipped_whatever_it_holds(csv_file):
    table = read_csv(csv_file("a,b\n1,\n2,x\n"), skip=["b"])
    assert list(table.columns) == ["a"]
    with pytest.raises(ValueError, match="has no column 'c' to drop; it has a, b"):
        read_csv(csv_file("a,b\n1,2\n"), skip=["c"])


def test_a_file_in_another_encoding_is_refused(csv_file):
    with pytest.raises(ValueError, match="not UTF-8"):
        read_csv(csv_file("a,b\né,1\n", "latin-1"))


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 60, 40),
            "sex": rng.choice(["f", "m"], 40),
            "smoker": rng.choice([True, False], 40),
        }
    )


@pytest.fixture(scope="module")
def pipeline(frame):
    y = 2 * frame["age"] + (frame["sex"] == "m") - 3 * frame["smoker"]
    return raw_table_pipeline(LinearRegression(), list(frame), ["sex", "smoker"]).fit(frame, y)


def test_every_form_of_the_table_gives_the_same_prediction(pipeline, frame):
    expected = 2 * frame["age"] + (frame["sex"] == "m") - 3 * frame["smoker"]
    forms = [
        frame,
        frame[["smoker", "age", "sex"]].assign(more=0),
        frame.rename(columns={"sex": " sex"}),
        pl.DataFrame({name: frame[name].tolist() for name in frame}),
        frame.to_numpy(dtype=object),
        [["TRUE" if cell is True else cell for cell in row] for row in frame.to_numpy(object)],
    ]
    for form in forms:
        np.testing.assert_allclose(pipeline.predict(form), expected)


def test_categories_are_coded_against_the_first(pipeline):
    assert pipeline[:-1].get_feature_names_out().tolist() == ["age", "sex_m", "smoker_True"]


def test_an_unknown_category_is_read_as_the_first_with_a_warning(pipeline):
    with pytest.warns(UserWarning, match="unknown categories"):
        given = pipeline.predict([[30, "x", False]])
    np.testing.assert_allclose(given, pipeline.predict([[30, "f", False]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="sex"), "has no column 'sex'"),
        (lambda frame: frame.assign(age=np.nan), "column 'age' in row 0 is empty"),
        (lambda frame: frame.assign(sex=None), "column 'sex' in row 0 is empty"),
        (lambda frame: frame.assign(age="old"), "column 'age' holds 'old'"),
        (
            lambda frame: frame.to_numpy()[:, :2],
            r"shape \(40, 2\); it needs the 3 columns age, sex",
        ),
    ],
)
def test_another_table_is_refused_by_name(pipeline, frame, change, message):
    with pytest.raises(ValueError, match=message):
        pipeline.predict(change(frame))


def test_a_raw_table_can_be_cloned():
    step = clone(RawTable(["a", "b"], text=["b"]))
    assert step.get_params() == {"columns": ["a", "b"], "text": ["b"]}
