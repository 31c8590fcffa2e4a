"""A file is read as it comes, or refused in one line that says where; pandas is told the same."""

import gzip
import sys

import numpy as np
import pandas as pd
import pytest

from classic_moe.cli.columns import plan_columns
from classic_moe.cli.reading import read_table, unique_names

ROWS = "".join(f"{i % 7}.5,{'round' if i % 2 else 'long'},{i * i}\n" for i in range(20))
HERBS = "height,leaf,seeds\n" + ROWS


@pytest.fixture
def file(tmp_path):
    def write(text, encoding="utf-8", name="data.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write


def numbers(path, **options):
    """The features and the target "seeds" as the plan has them, from our reading."""
    plan = plan_columns(read_table(path, **options), target=["seeds"])
    columns = {name: column.read(plan.frame[name])[0] for name, column in plan.columns.items()}
    return columns, plan.y.to_numpy()


def as_pandas_reads(path):
    """The same, from the table that pandas reads with the options found."""
    file = read_table(path)
    plan = plan_columns(file, target=["seeds"])
    table = pd.read_csv(path, **file.options)
    columns = {name: column.read(table[name])[0] for name, column in plan.columns.items()}
    return columns, table["seeds"].to_numpy()


# -- separators and numbers ------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_separators_are_found(file, separator):
    found = read_table(file(HERBS.replace(",", separator)))
    assert found.frame.to_numpy().tolist() == [row.split(",") for row in ROWS.splitlines()]
    assert found.options.get("sep", ",") == {" ": r"\s+"}.get(separator, separator)
    assert found.notes == []


VARIANTS = {
    "plain": HERBS,
    "decimal commas": HERBS.replace(",", ";").replace(".", ","),
    "trailing separators": HERBS.replace("\n", ",\n"),
    "trailing separators in the rows only": "height,leaf,seeds\n" + ROWS.replace("\n", ",\n"),
    "an index as pandas writes it": pd.DataFrame(
        [line.split(",") for line in ROWS.splitlines()], columns=["height", "leaf", "seeds"]
    ).to_csv(),
    "row names as R writes them": '"height","leaf","seeds"\n'
    + "".join(f'"{i + 1}",{line}\n' for i, line in enumerate(ROWS.splitlines())),
    "blank lines": "\n" + HERBS.replace("\n", "\n\n"),
    "old line ends": HERBS.replace("\n", "\r"),
    "blanks around cells": HERBS.replace(",", " , "),
    "quotes after blanks": HERBS.replace("round", ' "round"').replace("long", ' "long"'),
    "separator said": "sep=,\n" + HERBS,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_the_same_table(file, variant):
    columns, y = numbers(file(VARIANTS[variant]))
    np.testing.assert_array_equal(columns["height"], [i % 7 + 0.5 for i in range(20)])
    assert columns["leaf"].tolist() == ["long", "round"] * 10
    np.testing.assert_array_equal(y, np.arange(20) ** 2)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "separator said"])
def test_pandas_reads_the_same_with_the_options(file, variant):
    path = file(VARIANTS[variant])
    (ours, y), (theirs, also_y) = numbers(path), as_pandas_reads(path)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    np.testing.assert_array_equal(y, also_y)


def test_words_of_a_single_column_are_no_columns(file):
    assert list(read_table(file("a note\nround leaf\nlong\n")).frame) == ["a note"]


def test_points_of_a_table_with_decimal_commas_set_thousands_apart(file):
    columns, y = numbers(file("height;seeds\n1,5;1.234\n2,25;5.678\n3;9.012\n"))
    assert columns["height"].tolist() == [1.5, 2.25, 3]
    assert y.tolist() == [1234, 5678, 9012]


def test_thousands_follow_the_decimal_mark_of_the_table(file):
    english = file('height,seeds\n1.5,"1,234"\n2.5,"12,345,678"\n3.5,12\n')
    german = file("height;seeds\n1,5;1.234\n2,5;12.345.678\n3,5;12\n", name="german.csv")
    for path, thousands in [(english, ","), (german, ".")]:
        columns, y = numbers(path)
        assert columns["height"].tolist() == [1.5, 2.5, 3.5]
        assert y.tolist() == [1234, 12345678, 12]
        assert read_table(path).options["thousands"] == thousands


def test_a_comma_that_may_be_either_is_said_and_an_option_decides(file):
    path = file("height;seeds\n1;1,234\n2;5,678\n5;9,876\n")
    assert numbers(path)[1].tolist() == [1234, 5678, 9876]
    (note,) = read_table(path).notes
    assert note == "'1,234' in column 'seeds' was read as 1234 (--decimal , reads it as 1.234)."
    assert numbers(path, decimal=",")[1].tolist() == [1.234, 5.678, 9.876]
    assert read_table(path, decimal=",").notes == []


def test_columns_with_another_decimal_mark_are_numbers_too(file):
    path = file("height;width;seeds\n" + "".join(f"{i},5;{i}.5;{i * i}\n" for i in range(15)))
    columns, _ = numbers(path)
    np.testing.assert_array_equal(columns["height"], np.arange(15) + 0.5)
    np.testing.assert_array_equal(columns["height"], columns["width"])
    assert "decimal points; each was read as it is" in read_table(path).notes[0]


# -- names and the index ---------------------------------------------------------------------------


@pytest.mark.parametrize("first, start", [("", 0), ("", 1), ("Unnamed: 0", 0), ("rownames", 1)])
def test_a_first_column_that_counts_the_rows_is_left_out(file, first, start):
    lines = [f"{i + start},{row}" for i, row in enumerate(ROWS.splitlines())]
    found = read_table(file("\n".join([f"{first},height,leaf,seeds", *lines])))
    assert list(found.frame) == ["height", "leaf", "seeds"]
    assert found.notes == ["The first column only counts the rows; it was left out."]


@pytest.mark.parametrize("header", ["", ","])
def test_names_of_rows_are_called_so(file, header):
    lines = [f"herb {i},{row}" for i, row in enumerate(ROWS.splitlines())]
    found = read_table(file("\n".join([f"{header}height,leaf,seeds", *lines])))
    assert list(found.frame)[:2] == ["row name", "height"]
    assert found.notes == ["The first column names the rows; it is called 'row name' here."]


def test_a_first_column_of_dates_without_a_name_is_a_date(file):
    table = pd.DataFrame(
        {"seeds": np.arange(20.0) ** 2}, index=pd.date_range("2001-01-01", periods=20)
    )
    path = file(table.to_csv())
    assert list(read_table(path).frame) == ["date", "seeds"]
    np.testing.assert_array_equal(numbers(path)[0]["date"], np.arange(20))
    np.testing.assert_array_equal(as_pandas_reads(path)[0]["date"], np.arange(20))


def test_names_that_are_there_twice_or_missing_are_completed_and_said(file):
    found = read_table(file("x,y,x, ,x (2)\n1,2,3,4,5\n"))
    assert list(found.frame) == ["x", "y", "x (3)", "column 4", "x (2)"]
    assert found.notes == [
        "The name 'x' is there twice; the later column is called 'x (3)'.",
        "A column without a name is called 'column 4'.",
    ]


def test_unique_names_are_unique():
    names = unique_names(["x", "x", "x (2)", "x", "", "column 5"])
    assert len(set(names)) == 6 and names[:1] + names[2:3] == ["x", "x (2)"]


def test_a_first_line_of_numbers_is_named(file):
    (note,) = read_table(file("5.1,3.5\n4.9,3.0\n4.7,3.2\n")).notes
    assert "taken as names of columns (5.1, 3.5 …); if it is a row already" in note


# -- encodings, compression, other formats ---------------------------------------------------------


@pytest.mark.parametrize(
    "encoding, name, notes",
    [
        ("utf-8", "utf-8", 0),
        ("utf-8-sig", "utf-8", 0),
        ("utf-16", "utf-16", 0),
        ("utf-32", "utf-32", 0),
        ("latin-1", "cp1252", 1),
    ],
)
def test_encodings_are_found(file, encoding, name, notes):
    path = file("Größe,seeds\n" + "".join(f"groß{i % 2},{i * i}\n" for i in range(20)), encoding)
    found = read_table(path)
    assert list(found.frame) == ["Größe", "seeds"]
    assert found.frame["Größe"][1] == "groß1"
    assert found.options.get("encoding", "utf-8") == name
    assert len(found.notes) == notes
    assert list(pd.read_csv(path, **found.options)) == ["Größe", "seeds"]


def test_an_encoding_can_be_named(file):
    marked = file(HERBS, "utf-8-sig")
    assert read_table(marked, encoding="utf-8").frame.columns[0] == "height"
    path = file("größe,seeds\n1,2\n", "cp850")
    assert list(read_table(path, encoding="cp850").frame) == ["größe", "seeds"]
    with pytest.raises(ValueError, match=r"line 1: not utf-8 text; name the encoding"):
        read_table(path, encoding="utf-8")
    with pytest.raises(ValueError, match="'utf-9' is no encoding"):
        read_table(path, encoding="utf-9")


def test_compressed_files_are_read(file):
    path = file(gzip.compress(HERBS.encode()), name="data.csv.gz")
    assert read_table(path).frame.shape == (20, 3)
    with pytest.raises(ValueError, match="cannot be decompressed"):
        read_table(file(HERBS, name="false.csv.gz"))


def test_parquet_keeps_its_types(file, monkeypatch):
    table = pd.DataFrame({" age ": [1.5, 2.0], "when": pd.to_datetime(["2001-01-01", None])})
    table.index = pd.Index(["a", "b"])
    monkeypatch.setattr(pd, "read_parquet", lambda path: table)
    found = read_table(file(b"PAR1", name="data.parquet"))
    assert list(found.frame) == ["row name", "age", "when"]
    assert found.frame["age"].dtype == float and found.options == {}


@pytest.mark.parametrize("absent, message", [("pyarrow", "needs pyarrow; install it with: pip")])
def test_parquet_without_its_reader_is_refused(file, monkeypatch, absent, message):
    def fail(path):
        raise ImportError(f"no {absent}")

    monkeypatch.setattr(pd, "read_parquet", fail)
    with pytest.raises(ValueError, match=message):
        read_table(file(b"PAR1", name="data.parquet"))


def test_without_pandas_one_sentence_says_how_to_get_it(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ValueError, match=r"needs pandas; .* pip install 'classic-moe\[cli\]'"):
        read_table(file(HERBS))


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it needs a header line"),
        ("\n\n", "is empty; it needs a header line"),
        ("a,b\n", "has no rows under its header"),
        ("a,b\n,\n,\n", "has no rows under its header"),
        ("a,b\n1,2\n3\n", "line 3: 1 cell, but the header has 2; .* --separator"),
        ("a,b\n1,2\n3,4,5\n5\n", r"line 3: 3 cells, but the header has 2 \(2 such lines\)"),
        ('a,b\n"x\ny",2\n\n3\n', "line 5: 1 cell,"),
        ('a,b\n1,2\n"3,4\n5,6\n', "line 3: a quotation mark is opened and never closed"),
        ("a,b\n1," + "x" * 200_000 + "\n", "line 2: field larger than field limit"),
        ("a,b,c\n" + "x,1,2,3\n" * 3, "line 2: 4 cells, but the header has 3"),
        (b"PK\x03\x04...", "is a workbook or a zip archive; save the table as CSV"),
        (b"PAR1...", "let its name end in .parquet"),
        (b"\x89PNG\x00\x00", "holds bytes that no text has"),
    ],
)
def test_what_is_no_table_is_refused_by_line(file, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_table(file(text))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    for name in ("no.csv", "no.csv.gz", "no.parquet"):
        with pytest.raises(OSError, match="No such file"):
            read_table(tmp_path / name)


def test_options_that_make_no_sense_are_named(file):
    with pytest.raises(ValueError, match="--separator 'ab' is not a single character"):
        read_table(file(HERBS), separator="ab")
    with pytest.raises(ValueError, match="--decimal 'x' is neither"):
        read_table(file(HERBS), decimal="x")


def test_a_separator_can_be_named(file):
    assert list(read_table(file("a:b\n1:2\n"), separator=":").frame) == ["a", "b"]
    assert list(read_table(file("a\tb\n1\t2\n"), separator="tab").frame) == ["a", "b"]


def test_lines_without_a_cell_are_left_out_with_a_count(file):
    found = read_table(file("a,b\n1,2\n3,4\n,\n , \n,\n"))
    assert found.frame.shape == (2, 2)
    assert found.notes == ["3 lines without a cell were left out."]


def test_quotes_keep_separators_and_line_ends(file):
    found = read_table(file('"a, b", c\r\n"x\ny",1\r\n\r\n"say ""z""",2\r\n', "utf-8-sig"))
    assert list(found.frame) == ["a, b", "c"]
    assert found.frame["a, b"].tolist() == ["x\ny", 'say "z"']
