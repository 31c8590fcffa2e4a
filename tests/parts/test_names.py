"""Names are the caller's as they are, and shown so that no terminal obeys them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from classic_moe.parts.names import label_text, names_of, natural, printable


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (pd.Series([1.0], name="wage"), ("wage",)),
        (pl.Series("wage", [1.0]), ("wage",)),
        (pd.DataFrame({"a": [1], "b": [2]}), ("a", "b")),
        (pl.DataFrame({"a": [1], "b": [2]}), ("a", "b")),
        (pd.Series([1.0]), None),
        (pl.Series([1.0]), None),
        (pd.Series([1.0], name=3), None),  # a position
        (pd.DataFrame([[1, 2]]), None),
        (pd.DataFrame({"a": [1], 0: [2]}), None),
        (np.ones(3), None),
        ([1, 2], None),
        (None, None),
    ],
)
def test_names_are_those_of_series_and_tables(y, names):
    assert names_of(y) == names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("age (years)", "age (years)"),
        ("Größe π 身高 😀 a\u00a0b", "Größe π 身高 😀 a\u00a0b"),
        ("नमस्\u200dते", "नमस्\u200dते"),  # a joiner, which the script needs
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\rb\nc\td\x00", r"a\rb\nc\td\x00"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),  # from right to left
        ("a\x9bb\x7f", r"a\x9bb\x7f"),
        ("a\u2028b\u200bc", r"a\u2028b\u200bc"),
        ("a\udcffb", r"a\udcffb"),  # half a character, of a file name in another encoding
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text, shown):
    assert printable(text) == shown
    shown.encode()  # can be printed


def test_labels_are_written_as_python_does():
    assert [label_text(c) for c in np.array(["no", "it's"])] == ["'no'", '"it\'s"']
    assert [label_text(c) for c in np.array([0, 1])] == ["0", "1"]
    assert [label_text(c) for c in np.array([False, True])] == ["False", "True"]
    assert label_text("a\x1b[31mb") == r"'a\x1b[31mb'"


def test_any_library_will_do():
    class Column:
        name = "wage"

    class Table:
        columns = ("a", "b")

    assert names_of(Column()) == ("wage",)
    assert names_of(Table()) == ("a", "b")


@pytest.mark.parametrize(
    "levels",
    [
        ["<25", "25-29", "30-35", ">35"],
        ["under 5 years", "5 years", "6 years", "12 years", "over 12 years"],
        ["F1", "F2", "F10", "f11"],
        ["1. low", "2. middle", "10. high"],
        ["Adelie", "chinstrap", "Gentoo"],
        ["<=2.5", "2.50", "2.75", ">=3"],
        ["", "9", "-", "a", "a 1", "a 1 b", "a 1 b 2"],
    ],
)
def test_levels_are_sorted_as_they_are_read(levels):
    assert sorted(reversed(levels), key=natural) == levels
