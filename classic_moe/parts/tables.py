"""Columns of the caller's tables (pandas, polars) and arrays: what they hold, what is wrong."""

from __future__ import annotations

import datetime
from numbers import Integral, Number

import numpy as np

from .checks import can, is_table
from .names import printable

PARAMETER = "categorical_features"
BY_TYPE = "from_dtype"
MISSING = "missing"
"""What a missing cell is called."""
DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
DATES_OF_POLARS = ("Date", "Time", "Duration")


def column_at(X, j):
    """Return column j of a table of pandas or polars, or of an array, (n,)."""
    if not is_table(X):
        return X[:, j]
    return X.iloc[:, j] if can(X, "iloc") else X.to_series(j)


def is_declared(column):
    """Return whether a column is one of pandas whose type lists its categories, a bool."""
    return can(column, "cat") and can(column.dtype, "categories") and can(column, "iloc")


def declared_levels(column):
    """Return the levels that the type of a column lists, a list; None if it lists none."""
    if is_declared(column):
        return column.cat.categories.tolist()
    if str(column.dtype).startswith("Enum"):  # of polars
        return list(column.dtype.categories)
    return None


def cells_of(column):
    """Return the cells of a column as Python's values, a list."""
    return column.to_list() if can(column, "to_list") else column.tolist()


def kind_of(column):
    """Return what a column holds: "category", "text", "date" or "number", which is all else."""
    dtype = column.dtype
    text = str(dtype)
    if is_declared(column) or text.startswith(("Enum", "Categorical")):
        return "category"
    if _is_date(dtype):
        return "date"
    if text in ("String", "Utf8"):
        return "text"
    kind = dtype.kind if can(dtype, "kind") else "O" if text == "Object" else "f"
    if kind in "UST":
        return "text"
    if kind != "O":
        return "number"
    there = [cell for cell in cells_of(column) if not is_missing(cell)]
    if any(isinstance(cell, str) for cell in there):
        return "text"
    return "date" if there and all(_is_time(cell) for cell in there) else "number"


def _is_date(dtype):
    """Return whether a type is one of dates, times or spans of time, a bool."""
    if can(dtype, "kind"):
        return dtype.kind in "mM" or str(dtype).startswith("period")
    return str(dtype).startswith(DATES_OF_POLARS)


def _is_time(cell):
    return isinstance(cell, DATES) or type(cell).__name__ == "Period"


def is_missing(cell):
    """Return whether a cell is empty, in whatever way a library says so, a bool."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, Number) and bool(cell != cell)


def level_of(cell):
    """Return the level that a cell is of: a text, a truth value, an int or a float.

    1, 1.0 and True are equal, as they are to Python. What is neither text nor a number, such as an
    interval or a date, is called as it prints.
    """
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, (str, bool)):
        return str(cell) if isinstance(cell, str) else cell
    if isinstance(cell, Integral):
        return int(cell)  # whole: identifiers may be beyond the integers that a float tells apart
    if isinstance(cell, Number) and not isinstance(cell, complex):
        number = float(cell)
        return int(cell) if number.is_integer() else number
    return str(cell)


def with_codes(X, found):
    """Return X with codes in some columns, of the kind that it is."""
    wide = max(int(codes.max(initial=0)) for codes in found.values()) > np.iinfo(np.int16).max
    # beside float32 small integers leave the table in single precision, and alone in double
    found = {j: codes.astype(np.int32 if wide else np.int16) for j, codes in found.items()}
    if not is_table(X):
        kind = X.dtype.kind
        X = X.astype(X.dtype if kind == "f" else float if kind in "iub" else object)
    return _with_columns(X, found)


def _with_columns(X, found):
    """Return a table, or an array, with other columns in some places, {position: (n,)}."""
    if not is_table(X):
        numbers = all(isinstance(own, np.ndarray) for own in found.values())
        X = X.copy() if numbers else X.astype(object)
        for j, column in found.items():
            X[:, j] = column
        return X
    if can(X, "iloc"):
        X = X.copy(deep=False)
        for j, column in found.items():
            X.isetitem(j, column)
        return X
    names, series = X.columns, type(X.to_series(0))
    return X.with_columns([series(names[j], column) for j, column in found.items()])


def written(X, columns):
    """Return X with the categories in some columns as text, so that no number is made of them."""
    found = {}
    for j in columns:
        column = column_at(X, j)
        cells = cells_of(column)
        if not is_declared(column) or not all(isinstance(cell, str) for cell in cells):
            found[j] = [None if is_missing(cell) else str(level_of(cell)) for cell in cells]
    return _with_columns(X, found) if found else X


# -- what is said of columns that are no numbers ---------------------------------------------------


def check_dates(X, coding=None):
    """ValueError for a column of dates, which would be taken for the nanoseconds since 1970."""
    coded = _coded_columns(coding)
    if is_table(X) and (can(X, "iloc") or can(X, "to_series")):
        suspects = [j for j, dtype in enumerate(X.dtypes) if _is_date(dtype)]
    elif isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "mM":
        suspects = range(X.shape[1])
    else:
        return
    for j in suspects:
        if j not in coded:
            raise ValueError(_date_text(_label(X, j), column_at(X, j)))


def _coded_columns(coding):
    """Return the positions of the columns that a `Coding`, or None, takes as categories, a set."""
    return set() if coding is None else {own.column for own in coding.categories}


def wrong_column(X, given, name, in_fit, coding=None):
    """Return what is wrong with the first column that is no numbers, a sentence; "" for none.

    Parameters
    ----------
    X : the caller's
    given : the value of `categorical_features`
    name : str, of the estimator
    in_fit : bool, whether these are rows of a fit
    coding : Coding, default=None
        Whose categories are none of these columns.
    """
    coded = _coded_columns(coding)
    if not is_table(X):
        X = X if isinstance(X, np.ndarray) else _as_objects(X)
        if X is None or X.ndim != 2 or X.dtype.kind not in "OUST":
            return ""
    elif not (can(X, "iloc") or can(X, "to_series")):
        return ""
    for j in range(X.shape[1]):
        if j in coded:
            continue
        column = column_at(X, j)
        kind = kind_of(column)
        if kind == "date":
            return _date_text(_label(X, j), column)
        cell = _first_text(column) if kind in ("text", "category") else None
        if cell is not None:
            text = f"{_label(X, j)} of X holds text, such as {shown(cell)}"
            if not in_fit:
                return f"{text}, and held numbers in the fit of {name}; pass numbers."
            if given is None:
                value = repr(BY_TYPE) if is_table(X) else [j]
                return (
                    f"{text}: set {PARAMETER}={value}, and text and categories are coded inside, or"
                    " leave the column out."
                )
            return f"{text}: name it in {PARAMETER} too, and it is coded inside."
    return ""


def _as_objects(X):
    try:
        return np.asarray(X, dtype=object)
    except ValueError:
        return None


def _first_text(column):
    """Return the first cell of text that is no number, None if all are."""
    for cell in cells_of(column):
        if isinstance(cell, str):
            try:
                float(cell)
            except ValueError:
                return cell
    return None


def _date_text(label, column):
    spans = "timedelta" in str(column.dtype) or str(column.dtype).startswith("Duration")
    how = ".dt.total_seconds() / 86400" if spans else ", (dates - first).dt.days"
    cure = f"its length in days, column{how}" if spans else f"days since a first date{how}"
    what = "spans of time" if spans else "dates"
    return f"{label} of X holds {what}, and features are numbers: pass {cure}."


def _label(X, j):
    names = list(X.columns) if is_table(X) else None
    return label_of(j, names if names and isinstance(names[j], str) else None)


def label_of(j, names):
    """Return what a column is called in a message, a str."""
    return f"column {j}" if names is None else f"column {printable(str(names[j]))!r}"


def shown(cell):
    """Return a cell as a message shows it, a str."""
    return MISSING if is_missing(cell) else printable(repr(level_of(cell)))
