"""One or two features of a table along the axes, the others held."""

from __future__ import annotations

import numpy as np

from ..parts.checks import fitted_fact, is_table
from ..parts.names import printable
from ._words import short

GAPS = {"None", "nan", "NaT", "<NA>"}
"""How empty cells show themselves."""


def drawn_text(name):
    """Return a name as matplotlib draws it to the letter: no escapes obeyed, no mathematics."""
    return printable(str(name)).replace("$", r"\$")


def column_names(X, estimator):
    """Return the names of the columns, (p,): "x0", "x1", ... without any, "x" for a single one."""
    if is_table(X):
        return [str(name) for name in X.columns]
    if X.ndim != 2:
        raise ValueError(f"X must have rows and columns, got {X.ndim} dimension(s).")
    p = X.shape[1]
    if p == 0:
        raise ValueError("X has no columns; a picture needs one along its axis.")
    names = fitted_fact(estimator, "feature_names_in_")
    if names is not None and len(names) == p:
        return [str(name) for name in names]
    return [f"x{j}" for j in range(p)] if p > 1 else ["x"]


def find_column(feature, names):
    """Return the position of a feature that is given by name or position, an int."""
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    if not isinstance(feature, str) and feature in range(-len(names), len(names)):
        return int(feature) % len(names)
    raise ValueError(
        f"feature={feature!r}: X has no such column; it has {len(names)}: {', '.join(names)}."
    )


def find_columns(features, names):
    """Return the positions of one or two features, a list of int.

    The default (0, 1) means 0 where there is but one.
    """
    single = isinstance(features, str) or np.ndim(features) == 0
    features = [features] if single else list(features)
    if len(names) == 1 and features == [0, 1]:
        features = [0]
    if len(features) not in (1, 2):
        raise ValueError(f"features={features!r}: name one or two columns, got {len(features)}.")
    columns = [find_column(feature, names) for feature in features]
    if len(set(columns)) < len(columns):
        raise ValueError(f"features={features!r}: both axes show {names[columns[0]]!r}; name two.")
    return columns


def grid_over(values, resolution, margin):
    """Return equidistant points over a column, (resolution,), and beyond by a share `margin`.

    Gaps in the column are passed over.
    """
    low, high = np.nanmin(values), np.nanmax(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    beyond = margin * (high - low)
    return np.linspace(low - beyond, high + beyond, resolution)


def column_of(X, j):
    """Return column j of a DataFrame or an array, (n,)."""
    return X[X.columns[j]] if is_table(X) else X[:, j]


def numeric_column(X, j, names):
    """Return column j as floats, (n,)."""
    try:
        values = np.asarray(column_of(X, j), dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"feature={names[j]!r}: the column is not numeric, so it cannot be an axis here;"
            " GateDependenceDisplay and MeanDependenceDisplay draw categories."
        ) from None
    if len(values) and not np.isfinite(values).any():
        raise ValueError(f"feature={names[j]!r}: the column holds no number to draw along.")
    return values


def numbers_in(column):
    """Return a column as floats, (n,), or None if it holds categories; truth values are those."""
    values = np.asarray(column)
    if values.dtype.kind == "O":
        values = np.array([np.nan if is_gap(value) else value for value in values], dtype=object)
        if any(isinstance(value, (str, bool, np.bool_)) for value in values):
            return None
    elif values.dtype.kind not in "fiu":
        return None
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        return None


def is_gap(value):
    """Tell whether a cell is empty, in whatever way a library says so."""
    return not isinstance(value, str) and str(value) in GAPS


def _typical(column):
    """Return the median of a column, or the most frequent value of one of text."""
    values = np.asarray(column)
    numbers = numbers_in(values)
    if numbers is not None and np.isfinite(numbers).any():
        return np.float64(np.median(numbers[np.isfinite(numbers)]))
    values = values[[not is_gap(value) for value in values]]
    if not len(values):
        return None
    values, counts = np.unique(values, return_counts=True)
    return values[counts.argmax()]


def describe_held_columns(X, drawn, names):
    """Return in words what the columns that are not drawn are held at, a str."""
    others = [i for i in range(len(names)) if i not in drawn]
    typical = [_typical(column_of(X, i)) for i in others[:5]]
    shown = [short(v, 3) if isinstance(v, np.floating) else str(v) for v in typical]
    pairs = [(drawn_text(names[i]), drawn_text(v)) for i, v in zip(others, shown, strict=False)]
    values = ", ".join(f"{name} = {value}" for name, value in pairs)
    if len(others) > 4 or len(values) > 60:  # more than stands in a line above a picture
        return f"a slice: the other {len(others)} columns at their medians"
    return f"a slice at {values}" if values else ""


def closeness(X, drawn):
    """Return how near every row is to the slice that is drawn, (n,), 1 on it; None if it is all.

    The distance is the largest over the other columns, in standard deviations, 2 for another
    category; as far as one standard deviation a row has 0.6.
    """
    others = [i for i in range(X.shape[1]) if i not in drawn]
    if not others:
        return None
    distance = np.max([_distance(np.asarray(column_of(X, i))) for i in others], axis=0)
    return np.maximum(np.exp(-(distance**2) / 2), 0.06)


def _distance(values):
    """Return how far the values of a column are from the typical one, (n,)."""
    typical = _typical(values)
    if not isinstance(typical, np.floating):
        return np.where(values.astype(str) == str(typical), 0.0, 2.0)
    values = values.astype(float)
    spread = np.nanstd(values)
    distance = np.abs(values - typical) / (spread if spread > 0 else 1.0)
    return np.where(np.isnan(distance), 2.0, distance)


def table_with(X, values):
    """Return a table of the kind of X, (m, p), with `values`, {position: (m,)}, in their columns.

    The other columns are held at what is typical of X.
    """
    m = len(next(iter(values.values())))
    columns = [
        values[i] if i in values else np.full(m, _typical(column_of(X, i)))
        for i in range(X.shape[1])
    ]
    if is_table(X):
        return type(X)(dict(zip(X.columns, columns, strict=True)))
    if X.dtype == object:  # numbers beside text stay numbers
        columns = [column.astype(object) for column in columns]
    return np.column_stack(columns)
