"""Raw tables: reading a CSV file, and the first step of a Pipeline that takes such a table."""

from __future__ import annotations

import csv
import shlex
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from ..parts.checks import is_table
from ..parts.names import printable

LARGEST = 1e150
"""Numbers up to this have squares: of larger ones no spread and no error can be worked out."""
MISSING = {"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A"}


@dataclass(frozen=True)
class Table:
    """Named columns, each all numbers (float array) or all text (array of str)."""

    columns: dict[str, np.ndarray]
    delimiter: str = ","

    def is_text(self, name):
        """Tell whether a column holds text."""
        return self.columns[name].dtype.kind != "f"

    def cells(self, names):
        """Return the columns named as an object array, (n, p)."""
        return np.column_stack([self.columns[name].astype(object) for name in names])


def read_csv(path, skip=()):
    """Read a CSV file with a header line; commas, semicolons or tabs between the cells.

    Parameters
    ----------
    path : path-like
    skip : list of str, default=()
        Columns to leave out, whatever they hold.

    Returns
    -------
    Table
        A column is numeric if every cell of it is a number.

    Raises
    ------
    ValueError
        For an empty file, a ragged line, a repeated or missing name, a column to skip that is not
        there, a cell that is empty, infinite, or too large; it names the line and the column.
    OSError
        If the file cannot be opened.
    """
    where = printable(str(path))
    names, rows, delimiter = _read_cells(path, where)
    _check_names(where, names, skip)
    if not rows:
        raise ValueError(f"{where} has no rows under its header")
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"{where}, line {line}: {len(row)} cells, but the header has {len(names)}"
            )
    lines = [line for line, _ in rows]
    cells = zip(*(row for _, row in rows), strict=True)
    return Table(
        {
            name: _column(where, name, lines, column)
            for name, column in zip(names, cells, strict=True)
            if name not in skip
        },
        delimiter,
    )


def _read_cells(path, where):
    """Return the names of a file's columns, its rows as (line, list of str), and its delimiter."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter)
            names = [name.strip() for name in next(reader, [])]
            return names, [(reader.line_num, row) for row in reader if row], delimiter
    except UnicodeDecodeError:
        raise ValueError(f"{where} is not UTF-8 text; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise ValueError(f"{where}: {error}") from None


def _check_names(where, names, skip):
    """ValueError for a header without names, with a repeated one, or without one to skip."""
    if not names:
        raise ValueError(f"{where} is empty; it needs a header line with the names of the columns")
    for j, name in enumerate(names):
        if not name:
            raise ValueError(f"{where}: column {j + 1} has no name in the header")
        if name in names[:j]:
            raise ValueError(f"{where}: the column {name!r} is there twice")
    for name in skip:
        if name not in names:
            raise ValueError(f"{where} has no column {name!r} to drop; it has {listed(names)}")


def _column(where, name, lines, cells):
    """Return the cells as floats, or as they are if one is text, (n,)."""
    drop = drop_option(name)
    for line, cell in zip(lines, cells, strict=True):
        if cell.strip() in MISSING:
            shown = f"is {cell.strip()!r}" if cell.strip() else "is empty"
            raise ValueError(
                f"{where}, line {line}: the cell of column {name!r} {shown}; fill it, drop the row,"
                f" or leave the column out with {drop}"
            )
    if any("_" in cell for cell in cells):  # Python reads 1_000 as a number, no other program does
        return np.array(cells, dtype=str)
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        return np.array(cells, dtype=str)
    wrong = ~(np.abs(values) <= LARGEST)
    if wrong.any():
        i = int(np.argmax(wrong))
        what = "not a finite number"
        if np.isfinite(values[i]):
            what = f"too large to compute with (above {LARGEST:g})"
        raise ValueError(
            f"{where}, line {lines[i]}: the cell of column {name!r} is {cells[i].strip()!r}, which"
            f" is {what}; correct it, use a larger unit, or leave the column out with {drop}"
        )
    return values


def drop_option(name):
    """Return the option that leaves a column out, as a shell takes it, a str."""
    return f"--drop {shlex.quote(printable(name))}"


def listed(names):
    """Return names in a row, for a message, a str."""
    return ", ".join(map(printable, names))


class Column(np.ndarray):
    """An array with a name, as a Series has: what y is called in reports.

    Parameters
    ----------
    values : array-like of shape (n,)
    name : str
    """

    name = None

    def __new__(cls, values, name):
        column = np.asarray(values).view(cls)
        column.name = name
        return column


class RawTable(TransformerMixin, BaseEstimator):
    """First step of a Pipeline: takes a table as it is and hands on its columns in fixed order.

    A DataFrame (pandas or polars) is read by the names of its columns, whatever their order, and
    further columns are ignored; an array must hold the columns in the order of `columns`.

    Parameters
    ----------
    columns : list of str
        The columns handed on.
    text : list of str, default=()
        Those of them whose values are categories; the others are numbers.

    Examples
    --------
    >>> from classic_moe.cli.tables import RawTable
    >>> RawTable(["age", "sex"], text=["sex"]).fit_transform([[31, "f"], [42, "m"]])
    array([[31.0, 'f'],
           [42.0, 'm']], dtype=object)
    """

    def __init__(self, columns, text=()):
        self.columns = columns
        self.text = text

    def fit(self, X, y=None):
        """Check the table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, p)
        y : ignored

        Returns
        -------
        self
        """
        self.transform(X)
        self.n_features_in_ = len(self.columns)
        return self

    def transform(self, X):
        """Return the columns as an object array of numbers and text.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, p)

        Returns
        -------
        ndarray of shape (n, p)

        Raises
        ------
        ValueError
            If a column is missing, or a value is; if there is text where a number should be.
        """
        table = np.empty((len(X), len(self.columns)), dtype=object)
        for j, (name, values) in enumerate(self._each_column(X)):
            table[:, j] = self._checked(name, np.asarray(values, dtype=object))
        return table

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        return np.asarray(self.columns, dtype=object)

    @property
    def feature_names_in_(self):
        """The columns, in the order in which an array must hold them, ndarray of str."""
        return np.asarray(self.columns, dtype=object)

    def __sklearn_is_fitted__(self):
        return True  # nothing is learnt

    def _each_column(self, X):
        """Return the columns of X in the order of `columns`, a list of (name, values (n,))."""
        if is_table(X):
            given = {str(name).strip(): name for name in X.columns}
            missing = [name for name in self.columns if name not in given]
            if missing:
                raise ValueError(f"the table has no column {missing[0]!r}, which the model needs")
            return [(name, X[given[name]]) for name in self.columns]
        X = np.asarray(X, dtype=object)
        if X.ndim != 2 or X.shape[1] != len(self.columns):
            raise ValueError(
                f"the table has shape {X.shape}; it needs the {len(self.columns)} columns"
                f" {listed(self.columns)}, in this order, or a DataFrame"
            )
        return list(zip(self.columns, X.T, strict=True))

    def _checked(self, name, values):
        """Return the values of a column as numbers, or as text, (n,); ValueError if one is not."""
        empty = np.array([value is None or value != value for value in values], dtype=bool)
        if empty.any():
            raise ValueError(
                f"the cell of column {name!r} in row {empty.argmax()} is empty; fill it"
            )
        if name in self.text:
            return [_category(value) for value in values]
        try:
            return values.astype(float)
        except (TypeError, ValueError):
            text = next(value for value in values if not reads_as_number(value))
            raise ValueError(f"column {name!r} holds {text!r}, which is not a number") from None


def _category(value):
    """Return a category as text; True, TRUE and true are one, as other programs read them."""
    text = str(value)
    return text.capitalize() if text.lower() in ("true", "false") else text


def reads_as_number(value):
    """Tell whether `float` reads a value, such as a text of digits."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def raw_table_pipeline(model, columns, text=()):
    """Return a Pipeline that takes the raw table: text one-hot, numbers as they are, the model.

    The model standardises by itself, so its coefficients are in the units of the table. Categories
    are coded against the first one (treatment coding), so that no parameter is counted twice; one
    that was not there at the fit is read as the first, with a warning.

    Parameters
    ----------
    model : estimator
    columns, text : list of str
        As for `RawTable`.

    Returns
    -------
    Pipeline
        With the steps "table", "columns" and "model".
    """
    numeric = [j for j, name in enumerate(columns) if name not in text]
    categories = [j for j, name in enumerate(columns) if name in text]
    encoder = OneHotEncoder(drop="first", handle_unknown="ignore", sparse_output=False)
    coded = ColumnTransformer(
        [("numeric", "passthrough", numeric), ("text", encoder, categories)],
        verbose_feature_names_out=False,
    )
    return Pipeline([("table", RawTable(columns, text)), ("columns", coded), ("model", model)])
