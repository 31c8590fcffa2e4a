"""One or two features of a table along the axes, the others held."""

from __future__ import annotations

import numpy as np


def column_names(X, estimator):
    """Names of the columns, "x0", "x1", ... where there are none; "x" if there is but one."""
    if hasattr(X, "columns"):
        return [str(name) for name in X.columns]
    if X.ndim != 2:
        raise ValueError(f"X must have rows and columns, got {X.ndim} dimension(s).")
    p = X.shape[1]
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and len(names) == p:
        return [str(name) for name in names]
    return [f"x{j}" for j in range(p)] if p > 1 else ["x"]


def find_column(feature, names):
    """Position of the feature, given by name or position."""
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    if not isinstance(feature, str) and feature in range(-len(names), len(names)):
        return int(feature) % len(names)
    raise ValueError(
        f"feature={feature!r}: X has no such column; it has {len(names)}: {', '.join(names)}."
    )


def find_columns(features, names):
    """Positions of one or two features; the default (0, 1) means 0 where there is but one."""
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
    """Equidistant points over a column and a little beyond, if `margin` says so."""
    low, high = values.min(), values.max()
    if low == high:
        low, high = low - 0.5, high + 0.5
    room = margin * (high - low)
    return np.linspace(low - room, high + room, resolution)


def column_of(X, j):
    """Column j of a DataFrame or an array."""
    return X[X.columns[j]] if hasattr(X, "columns") else X[:, j]


def numeric_column(X, j, names):
    """Column j as floats."""
    try:
        return np.asarray(column_of(X, j), dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"feature={names[j]!r}: the column is not numeric, so it cannot be an axis."
        ) from None


def _typical(column):
    """The median, or the most frequent value of text."""
    values = np.asarray(column)
    if values.dtype.kind == "O":
        values = np.array(values.tolist())  # numbers again, if that is what it holds
    if values.dtype.kind in "fiu":
        return np.median(values)
    values, counts = np.unique(values, return_counts=True)
    return values[counts.argmax()]


def held(X, drawn, names):
    """What the columns that are not drawn are held at, in words."""
    others = [i for i in range(len(names)) if i not in drawn]
    typical = [_typical(column_of(X, i)) for i in others[:5]]
    shown = [f"{v:.3g}" if isinstance(v, np.floating) else str(v) for v in typical]
    said = ", ".join(f"{names[i]} = {v}" for i, v in zip(others, shown, strict=False))
    if len(others) > 4 or len(said) > 80:
        return f"at the medians of the other {len(others)} features"
    return f"at {said}" if said else ""


def along(X, values):
    """A table of the kind of X: `values` are {position: (m,)}, other columns stay typical."""
    m = len(next(iter(values.values())))
    columns = [
        values[i] if i in values else np.full(m, _typical(column_of(X, i)))
        for i in range(X.shape[1])
    ]
    if hasattr(X, "columns"):
        return type(X)(dict(zip(X.columns, columns, strict=True)))
    if X.dtype == object:
        columns = [column.astype(object) for column in columns]
    return np.column_stack(columns)
