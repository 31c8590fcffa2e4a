"""One or two features of a table along the axes, the others held."""

from __future__ import annotations

import numpy as np

from ..parts.checks import fitted_fact, is_table
from ..parts.names import printable


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
    """Return equidistant points over a column, (resolution,), and beyond by a share `margin`."""
    low, high = values.min(), values.max()
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
        return np.asarray(column_of(X, j), dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"feature={names[j]!r}: the column is not numeric, so it cannot be an axis."
        ) from None


def _typical(column):
    """Return the median of a column, or the most frequent value of one of text."""
    values = np.asarray(column)
    if values.dtype.kind == "O":
        values = np.array(values.tolist())  # numbers again, if that is what it holds
    if values.dtype.kind in "fiu":
        return np.median(values)
    values, counts = np.unique(values, return_counts=True)
    return values[counts.argmax()]


def describe_held_columns(X, drawn, names):
    """Return in words what the columns that are not drawn are held at, a str."""
    others = [i for i in range(len(names)) if i not in drawn]
    typical = [_typical(column_of(X, i)) for i in others[:5]]
    shown = [f"{v:.3g}" if isinstance(v, np.floating) else str(v) for v in typical]
    pairs = [(drawn_text(names[i]), drawn_text(v)) for i, v in zip(others, shown, strict=False)]
    values = ", ".join(f"{name} = {value}" for name, value in pairs)
    if len(others) > 4 or len(values) > 80:  # more than stands in a line above a picture
        return f"at the medians of the other {len(others)} features"
    return f"at {values}" if values else ""


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
