"""Partial dependence: what a fitted model says on average over the rows as one feature changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing, check_random_state

from ..parts.checks import can, fitted_fact, is_integer, is_number, is_table
from ..parts.names import natural
from ..parts.storage import all_dense, check_memory
from ..parts.tables import is_declared, written
from ._columns import column_names, column_of, drawn_text, find_column, is_gap, numbers_in

MOST_LEVELS = 12
"""Categories drawn; of more, the most frequent ones."""
LETTERS = 11
"""Letters to an inch below an axis, roughly."""
LONGEST_LEVEL = 14
"""Letters of a category's name below an axis."""


def table_and_names(X, estimator):
    """Return X as a DataFrame or dense array, (n, p), and the names of its columns."""
    check_memory("A picture", X=X)
    X = X if is_table(X) else np.asarray(all_dense(X, "A picture needs"))
    names = column_names(X, estimator)
    return written(X, [find_column(one, names) for one in _categories(estimator)]), names


def _categories(estimator):
    """Return the columns of X that a fitted model codes itself, names or positions."""
    while can(estimator, "best_estimator_") or can(estimator, "steps"):
        if can(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif len(estimator) > 1:
            return []  # X is not what the model sees
        else:
            estimator = estimator[-1]
    return list(fitted_fact(estimator, "categories_", ()))


@dataclass(frozen=True)
class Feature:
    """A feature along the x axis and the values that it is given.

    Attributes
    ----------
    column : int
    name : str
    grid : ndarray of shape (m,)
        Numbers, or the names of categories.
    values : array-like of shape (m,)
        What stands for them in the column of X.
    is_category : bool
    deciles : ndarray of shape (9,), or None for categories
    """

    column: int
    name: str
    grid: np.ndarray
    values: object
    is_category: bool
    deciles: np.ndarray | None = None

    @classmethod
    def of(cls, X, names, feature, resolution=50, percentiles=(0.01, 0.99)):
        """Return the Feature of a column, given by its position or name."""
        _check_grid(resolution, percentiles)
        j = find_column(feature, names)
        x = numbers_in(column_of(X, j))
        if x is None:
            return cls._of_categories(X, j, names[j])
        x = x[np.isfinite(x)]
        if not len(x):
            raise ValueError(f"feature={names[j]!r}: the column holds no number to draw along.")
        grid = np.unique(x)
        if len(grid) > resolution // 2:
            low, high = np.quantile(x, percentiles)
            low, high = (low, high) if low < high else (grid[0], grid[-1])
            grid = np.linspace(low, high, resolution)
        deciles = np.quantile(x, np.arange(1, 10) / 10)
        return cls(j, names[j], grid, grid, False, deciles)

    @classmethod
    def _of_categories(cls, X, j, name):
        """Return the Feature of a column of text, its levels in order."""
        column = column_of(X, j)
        cells = np.asarray(column, dtype=object)
        there = np.flatnonzero([not is_gap(cell) for cell in cells])
        texts = np.array([str(cells[i]) for i in there])
        if not len(texts):
            raise ValueError(f"feature={name!r}: the column is empty, so there is nothing to draw.")
        levels, first, counts = np.unique(texts, return_index=True, return_counts=True)
        kept = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        kept = np.array(sorted(kept, key=lambda i: natural(levels[i])))
        if is_declared(column):  # of pandas: its categories have an order
            known = [str(level) for level in column.cat.categories]
            kept = np.array(sorted(kept, key=lambda i: known.index(levels[i])))
        values = _safe_indexing(column, there[first[kept]])
        return cls(j, name, levels[kept].astype(object), values, True)

    def at(self, asked, X):
        """Return the Feature at some of its values: those asked for, or so many of them.

        So many are quantiles of the column of X, or of the grid where X is None, and the most
        frequent of categories.
        """
        if is_integer(asked) and asked >= 0:
            if not self.is_category:
                x = self.grid if X is None else numbers_in(column_of(X, self.column))
                x = x[np.isfinite(x)]
                quantiles = np.quantile(x, (np.arange(asked) + 0.5) / max(asked, 1))
                values = np.unique(quantiles)
                return replace(self, grid=values, values=values)
            places = self._most_frequent(asked, X)
        elif np.ndim(asked) != 1 or isinstance(asked, str):
            raise ValueError(f"slices={asked!r}: needs a number of slices, or a list of values.")
        elif not self.is_category:
            values = np.asarray(asked, dtype=float)
            if not np.isfinite(values).all():
                raise ValueError(f"slices={asked!r}: needs finite values of {self.name!r}.")
            return replace(self, grid=values, values=values)
        else:
            known = [str(level) for level in self.grid]
            unknown = [level for level in asked if str(level) not in known]
            if unknown:
                raise ValueError(
                    f"slices: {unknown[0]!r} is no category of {self.name!r} that is drawn:"
                    f" {', '.join(known)}."
                )
            places = [known.index(str(level)) for level in asked]
        return self.only(places)

    def only(self, places):
        """Return the Feature at some of its values, given by their positions."""
        places = np.asarray(places, dtype=int)
        return replace(self, grid=self.grid[places], values=_safe_indexing(self.values, places))

    def _most_frequent(self, count, X):
        """Return the places of the most frequent categories of X in their order, a list of int."""
        if X is None:
            return range(min(count, len(self.grid)))
        places = self.places(X)
        often = np.bincount(places[np.isfinite(places)].astype(int), minlength=len(self.grid))
        return sorted(np.argsort(-often, kind="stable")[:count])

    def places(self, X):
        """Return where the rows of X stand on the axis, (n,); NaN for what is not drawn."""
        column = column_of(X, self.column)
        if not self.is_category:
            return numbers_in(column)
        known = {str(level): float(i) for i, level in enumerate(self.grid)}
        return np.array([known.get(str(v), np.nan) for v in np.asarray(column, dtype=object)])

    def table(self, X):
        """Return X once for every value, with that value in the column, (m n, p)."""
        n, m = len(X), len(self.grid)
        X = _safe_indexing(X, np.tile(np.arange(n), m))
        return _with_column(X, self.column, _safe_indexing(self.values, np.repeat(range(m), n)))

    def weights(self, X, reach):
        """Return how much each row counts at every value, (n, m), the sum over rows being 1.

        With a `reach`, rows whose other columns of numbers make the value implausible count little:
        the weight is normal in the distance from a linear prediction by them, with a standard
        deviation of `reach` times that of the residuals. None, and along categories: all the same.
        """
        if reach is not None and not (is_number(reach) and 0 < reach < np.inf):
            raise ValueError(f"reach={reach!r}: needs a positive number, or None.")
        n, m = len(X), len(self.grid)
        if reach is None or self.is_category:
            return np.full((n, m), 1 / n)
        expected, sd = _expected(X, self.column)
        if sd == 0:
            return np.full((n, m), 1 / n)
        squares = ((self.grid - expected[:, None]) / (reach * sd)) ** 2
        weight = np.exp(-(squares - squares.min(axis=0)) / 2)
        return weight / weight.sum(axis=0)

    def evaluate(self, function, transform, X):
        """Return `function` of the transformed table for every row and value, (n, m, ...)."""
        found = np.asarray(function(transform(self.table(X))))
        return np.moveaxis(found.reshape(len(self.grid), len(X), *found.shape[1:]), 0, 1)


def _expected(X, j):
    """Return column j as the other columns of numbers predict it, (n,), and the residuals' sd.

    The latter is at least a twentieth of the column's own, so that several rows count everywhere.
    """
    columns = [numbers_in(column_of(X, i)) for i in range(X.shape[1])]
    others = [_filled(x) for i, x in enumerate(columns) if i != j and x is not None]
    x = _filled(columns[j])
    if not others:
        return np.full(len(x), x.mean()), x.std()
    regression = make_pipeline(StandardScaler(), Ridge()).fit(np.column_stack(others), x)
    expected = regression.predict(np.column_stack(others))
    return expected, max((x - expected).std(), 0.05 * x.std())


def _filled(x):
    """Return a column of numbers with its median where there is none, (n,)."""
    there = np.isfinite(x)
    return np.where(there, x, np.median(x[there]) if there.any() else 0.0)


def _check_grid(resolution, percentiles):
    """ValueError unless there is a grid to draw along."""
    if not (is_integer(resolution) and resolution >= 2):
        raise ValueError(f"grid_resolution={resolution!r}: needs an integer of at least 2.")
    if not (len(percentiles) == 2 and 0 <= percentiles[0] < percentiles[1] <= 1):
        raise ValueError(
            f"percentiles={percentiles!r}: needs two shares in increasing order, as (0.01, 0.99)."
        )


def _with_column(X, j, values):
    """Return a table with other values in column j, (n, p)."""
    if not is_table(X):
        X = X.astype(np.result_type(X.dtype, np.float64) if X.dtype.kind in "iub" else X.dtype)
        X[:, j] = values
        return X
    name = X.columns[j]
    if not can(X, "iloc"):  # polars
        columns = {given: X[given] for given in X.columns}
        return type(X)(columns | {name: values})
    X = X.reset_index(drop=True)
    if can(values, "reset_index"):
        values = values.reset_index(drop=True)
    X[name] = values
    return X


def sampled(X, most, random_state):
    """Return at most so many rows of a table, drawn without replacement; all for None."""
    if most is not None and not (is_integer(most) and most >= 1):
        raise ValueError(f"subsample={most!r}: needs an integer of at least 1, or None.")
    if most is None or len(X) <= most:
        return X
    rows = check_random_state(random_state).choice(len(X), most, replace=False)
    return _safe_indexing(X, np.sort(rows))


# -- drawing -------------------------------------------------------------------------------------


def draw_feature_axis(ax, grid, deciles, label, rug_kw=None):
    """Name the x axis, and show where the data are: deciles, or the names of the categories."""
    ax.set(xlabel=label)
    if deciles is None:
        texts = [level_text(level) for level in grid]
        width = ax.get_window_extent().width / ax.figure.dpi
        tilted = (max(map(len, texts)) + 1) * len(texts) > LETTERS * width
        style = dict(rotation=35, ha="right", rotation_mode="anchor") if tilted else {}
        ax.set_xticks(range(len(texts)), texts, **style)
        ax.set_xlim(-0.6, len(texts) - 0.4)
        return None
    style = dict(color="0.35", linewidth=0.8, zorder=4)
    ends = ax.get_xaxis_transform()
    return ax.vlines(deciles, 0, 0.04, transform=ends, **style | (rug_kw or {}))


def number_text(value, grid):
    """Return a number to about a hundredth of the range of a grid, a str."""
    width = float(np.ptp(grid)) or abs(float(value)) or 1.0
    decimals = max(0, 2 - int(np.floor(np.log10(width))))
    text = f"{value:.{decimals}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def level_text(level):
    """Return the name of a category as it stands below an axis, cut where it is long, a str."""
    text = str(level)
    text = text if len(text) <= LONGEST_LEVEL else text[: LONGEST_LEVEL - 1] + "…"
    return drawn_text(text)
