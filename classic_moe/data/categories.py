"""Categories among the columns of X: how a table with text in it becomes numbers.

A category with levels 0 ... L-1 becomes L - 1 columns of zeros and ones, one for each level but the
first, with which the others are compared. A cell whose level the fit has not seen becomes the means
of these columns in the fit, which are 0 in standardised units: the average effect.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse

from .._kernels.array import is_elsewhere
from ..parts.checks import can, is_table
from ..parts.storage import is_sliced
from ..parts.tables import (
    BY_TYPE,
    MISSING,
    PARAMETER,
    cells_of,
    column_at,
    declared_levels,
    is_declared,
    is_missing,
    kind_of,
    label_of,
    level_of,
    shown,
    with_codes,
)
from .columns import Columns, resolve_columns

MOST = 255
"""Levels of a category, as in scikit-learn's histogram gradient boosting: each costs every expert
and the gate a coefficient."""
SHOWN = 5
"""Levels that a message shows."""


@dataclass(frozen=True)
class Category:
    """A column of the caller's X that is coded.

    Attributes
    ----------
    column : int
    levels : tuple of str, or of numbers
    missing : bool, whether a missing cell is a level too, the last one
    shares : ndarray of shape (L,), the weight of each level in the fit, summing to 1; None before
    """

    column: int
    levels: tuple
    missing: bool = True
    shares: np.ndarray | None = None

    @property
    def size(self):
        """L, the number of levels; the code of a cell of none of them."""
        return len(self.levels) + self.missing

    @functools.cached_property
    def places(self):
        """The code of every level, {level: int}."""
        return {level: i for i, level in enumerate(self.levels)}

    @functools.cached_property
    def written(self):
        """The code of every level as it is written, {str: int}."""
        return {str(level): i for i, level in enumerate(self.levels)}

    def code(self, cell):
        """Return the code of a cell, an int.

        2 and "2" are one level, whichever of them the fit has seen.
        """
        if is_missing(cell):
            return len(self.levels)
        level = level_of(cell)
        place = self.places.get(level)
        return self.written.get(str(level), self.size) if place is None else place

    def codes(self, column):
        """Return the codes of a column's cells, (n,)."""
        if is_declared(column):  # of pandas: each of its categories is looked up once
            known = [self.code(level) for level in column.cat.categories.tolist()]
            return np.array([*known, self.code(None)])[np.asarray(column.cat.codes)]
        cells, known = cells_of(column), {}
        found = np.empty(len(cells), dtype=np.int64)
        for i, cell in enumerate(cells):
            code = known.get(cell)
            if code is None:
                code = known[cell] = self.code(cell)
            found[i] = code
        return found

    def moved(self, other):
        """Return the codes here of the codes of another category of the column, (L + 1,)."""
        levels = [*other.levels, *[None] * other.missing]
        return np.array([*map(self.code, levels), self.size])

    @functools.cached_property
    def table(self):
        """The coded columns of every code, (L + 1, L - 1): the last row is that of the means."""
        size = max(self.size - 1, 0)
        means = self.shares[1:]
        rows = np.vstack([np.zeros(size), np.eye(size), means])
        # A level without any weight has no effect to tell of.
        return np.where(np.append(self.shares > 0, True)[:, None], rows, means)

    def names(self, name):
        """Return what its levels are called behind the column's name, a list of L str."""
        return [f"{name}_{level}" for level in self.levels] + [f"{name}_{MISSING}"] * self.missing


@dataclass(frozen=True)
class Coding:
    """How the caller's columns become those of the model.

    Attributes
    ----------
    n_features : int, of the caller's columns
    categories : tuple of Category
    feature_names : ndarray of str or None, the caller's
    """

    n_features: int
    categories: tuple[Category, ...]
    feature_names: np.ndarray | None = None

    @property
    def is_draft(self):
        """Whether it is not known yet which levels have any weight."""
        return self.categories[0].shares is None

    @functools.cached_property
    def spans(self):
        """The coded columns of every column of the caller's, a list of `range`."""
        widths = dict.fromkeys(range(self.n_features), 1)
        widths |= {own.column: max(own.size - 1, 0) for own in self.categories}
        ends = np.cumsum([0, *widths.values()]).tolist()
        return [range(*pair) for pair in itertools.pairwise(ends)]

    @property
    def n_coded(self):
        """The number of coded columns."""
        return self.spans[-1].stop

    def name_of(self, column):
        """Return what one of the caller's columns is called, a str."""
        names = self.feature_names
        return f"x{column}" if names is None else str(names[column])

    @functools.cached_property
    def names(self):
        """The names of the coded columns, an ndarray of str."""
        found = [[self.name_of(j)] for j in range(self.n_features)]
        for own in self.categories:
            found[own.column] = own.names(self.name_of(own.column))[1:]
        return np.array([name for names in found for name in names], dtype=object)

    def shown_categories(self):
        """Return the levels of every category by its column, {name or position: list}."""
        named = self.feature_names is not None
        return {
            self.name_of(own.column) if named else own.column: [*own.levels, *[None] * own.missing]
            for own in self.categories
        }

    # -- columns ---------------------------------------------------------------------------

    def positions(self, columns):
        """Return the coded columns of some of the caller's, (m,); None, which are all, stays."""
        if columns is None:
            return None
        return np.array([k for j in columns for k in self.spans[j]], dtype=int)

    def of_columns(self, columns):
        """Return the `Columns` of the coded X; ValueError for an offset that is a category."""
        offset = columns.offset
        if offset is not None:
            if any(own.column == offset for own in self.categories):
                raise ValueError(
                    f"offset_feature names {self.name_of(offset)!r}, which is a category; an offset"
                    " is a column of numbers."
                )
            offset = self.spans[offset].start
        return Columns(self.positions(columns.gate), self.positions(columns.expert), offset)

    # -- rows ------------------------------------------------------------------------------

    def codes(self, X, whose):
        """Return X with codes in its categories, and what is said of cells of no level, a str.

        ValueError for another number of columns, in scikit-learn's words.
        """
        if issparse(X):
            raise ValueError(
                f"X is sparse, and {whose} was fitted to categories, which a sparse matrix does not"
                " hold; pass a table, or an array, of the columns of the fit."
            )
        X = _readable(X)
        if len(X.shape) != 2:
            raise ValueError(
                f"Expected 2D array, got {len(X.shape)}D array instead: X needs a row of"
                f" {self.n_features} columns for every prediction."
            )
        if X.shape[1] != self.n_features:
            raise ValueError(
                f"X has {X.shape[1]} features, but {whose} is expecting {self.n_features} features"
                " as input."
            )
        found, unseen = {}, []
        for own in self.categories:
            column = column_at(X, own.column)
            try:
                found[own.column] = codes = own.codes(column)
            except TypeError:
                raise ValueError(
                    f"column {self.name_of(own.column)!r} of X holds cells that are no categories,"
                    " such as lists; pass text or numbers."
                ) from None
            strange = np.flatnonzero(codes == own.size)
            if len(strange):
                cells = cells_of(column)
                unseen.append((own, dict.fromkeys(shown(cells[i]) for i in strange)))
        return with_codes(X, found), self._said(unseen)

    def _said(self, unseen):
        """Return what is said of cells of no level, a sentence or more; "" where there are none."""
        texts = []
        for own, cells in unseen:
            more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
            first = ", ".join(list(cells)[:SHOWN]) + more
            texts.append(f"column {self.name_of(own.column)!r}: {first}")
        return "; ".join(texts)

    def rows(self, X):
        """Return the coded columns of the caller's X, (n, p); an X coded already as it is."""
        names = list(X.columns) if is_table(X) else None
        mine = names if names is None or self.feature_names is None else list(self.feature_names)
        if names != mine or np.shape(X)[1:] != (self.n_features,):
            return X
        return self.expand(np.array(self.codes(X, "the estimator")[0], dtype=np.float64))

    def expand(self, X):
        """Return the coded columns of validated rows with codes in their categories, (n, p)."""
        tables = {own.column: own.table for own in self.categories}
        out = np.empty((X.shape[0], self.n_coded), dtype=X.dtype)
        for j, span in enumerate(self.spans):
            if j in tables:
                out[:, span.start : span.stop] = tables[j][X[:, j].astype(np.int64)]
            else:
                out[:, span.start] = X[:, j]
        return out

    # -- the fit ---------------------------------------------------------------------------

    def totals(self, X, y, weight):
        """Return the weight of every level, in one row after the other, (Σ (L + 1),)."""
        each = [
            np.bincount(X[:, own.column].astype(np.int64), weight, minlength=own.size + 1)
            for own in self.categories
        ]
        return np.concatenate(each)

    def settled(self, totals, names, previous=None):
        """Return the coding of a fit: that of the levels which have any weight.

        Parameters
        ----------
        totals : ndarray, as of `totals`
        names : ndarray of str or None, of the caller's columns
        previous : Coding, default=None
            Of a fit to go on from, whose levels stay what they are.
        """
        sizes = [own.size + 1 for own in self.categories]
        each = np.split(totals, np.cumsum(sizes)[:-1])
        known = {} if previous is None else {own.column: own for own in previous.categories}
        named = replace(self, feature_names=names)
        if known.keys() != {own.column for own in self.categories}:
            known = {}  # the fit to go on from is refused elsewhere
        settled = tuple(
            named._settled(own, weight, known.get(own.column))
            for own, weight in zip(self.categories, each, strict=True)
        )
        found = replace(named, categories=settled)
        found._check_names()
        return found

    def _settled(self, own, weight, previous):
        """Return a category with the shares of its levels, those without weight left out."""
        there, name = weight > 0, self.name_of(own.column)
        levels = [level for level, used in zip(own.levels, there, strict=False) if used]
        missing = bool(own.missing and there[len(own.levels)])
        if len(levels) + missing > MOST:
            raise ValueError(
                f"column {name!r} of X has {len(levels) + missing} levels, and at most {MOST} are"
                " coded, since each costs every expert and the gate a coefficient; put rare levels"
                " together, leave the column out, or put sklearn.preprocessing.TargetEncoder before"
                " the estimator."
            )
        if previous is not None:
            there = [*levels, *[None] * missing]
            new = [level for level in there if previous.code(level) == previous.size]
            if new:
                raise ValueError(
                    f"column {name!r} of X holds {shown(new[0])}, which the fit to go on from has"
                    " not seen; begin a new fit."
                )
            levels, missing = previous.levels, previous.missing
        found = Category(own.column, tuple(levels), missing)
        shares = np.zeros(found.size + 1)
        np.add.at(shares, found.moved(own), weight)  # nothing comes to the last, of no level
        return replace(found, shares=shares[:-1] / shares.sum())

    def _check_names(self):
        """ValueError where two coded columns would have one name."""
        owners = {}
        for j, span in enumerate(self.spans):
            for k in span:
                name, own = self.names[k], self.name_of(j)
                if name in owners:
                    both = dict.fromkeys([owners[name], own])
                    raise ValueError(
                        f"{PARAMETER}: {' and '.join(map(repr, both))} would give the model two"
                        f" columns named {name!r}; rename a column or a level."
                    )
                owners[name] = own

    def recoded(self, X, draft):
        """Return validated rows with the codes of a draft in the coded columns, (n, p)."""
        X = X.copy()
        for own, given in zip(self.categories, draft.categories, strict=True):
            X[:, own.column] = own.moved(given)[X[:, own.column].astype(np.int64)]
        return self.expand(X)


def draft_of(given, X, declared_only=False):
    """Return the `Coding` of a fit to X before it is known which levels count; None for none.

    Parameters
    ----------
    given : None, "from_dtype" or a column selector, as of `categorical_features`
    X : the caller's
    declared_only : bool, default=False
        Whether all levels must be known from the types of the columns, as those of later blocks.
    """
    if given is None or X is None:
        return None
    by_type = isinstance(given, str) and given == BY_TYPE
    if issparse(X) or is_elsewhere(X) or is_sliced(X):
        if by_type or (np.ndim(given) == 1 and not len(given)):
            return None  # numbers, all of them
        raise ValueError(
            f"{PARAMETER}={given!r} is for tables and arrays in memory; X is a"
            f" {type(X).__name__}, whose columns are numbers: leave it None, and code categories"
            " beforehand."
        )
    X = _readable(X)
    if len(X.shape) != 2:
        return None  # which validation refuses
    names = list(X.columns) if is_table(X) else []
    names = names if names and all(isinstance(name, str) for name in names) else None
    chosen = _by_type(X) if by_type else _chosen(given, X, names)
    categories = [_drafted(X, int(j), label_of(j, names), declared_only) for j in chosen]
    known = None if names is None else np.array(names, dtype=object)
    return Coding(X.shape[1], tuple(categories), known) if categories else None


def _readable(X):
    """Return X as a table of pandas or polars, or an array; a ValueError for other tables."""
    if not is_table(X):
        return X if isinstance(X, np.ndarray) else np.asarray(X, dtype=object)
    if not (can(X, "iloc") or can(X, "to_series")):
        raise ValueError(
            f"{PARAMETER} reads tables of pandas and polars in memory, and X is a"
            f" {type(X).__name__}; pass one of those, as X.to_pandas() or X.collect() may give."
        )
    return X


def _chosen(given, X, names):
    """Return the positions of the columns that the caller has chosen."""
    if isinstance(given, str) and names is not None and given not in names:
        raise ValueError(
            f"{PARAMETER}={given!r}: use None, {BY_TYPE!r}, or columns; X has {', '.join(names)}."
        )
    return np.sort(resolve_columns(given, X, X.shape[1], names, PARAMETER))


def _by_type(X):
    """Return the positions of the columns of text and of categories."""
    if not is_table(X) and X.dtype.kind in "UST":
        raise ValueError(
            f"{PARAMETER}={BY_TYPE!r}: X is an array of text, whose columns have no types of their"
            " own; name the columns of categories, or pass a table of pandas or polars."
        )
    found = []
    for j in range(X.shape[1]):
        column = column_at(X, j)
        if kind_of(column) in ("category", "text"):
            found.append(j)
    return found


def _drafted(X, j, label, declared_only):
    """Return the `Category` of a column, all its levels in it."""
    column = column_at(X, j)
    declared = declared_levels(column)
    if declared is None and declared_only:
        raise ValueError(
            f"{label} of X is read in blocks, and its levels must be known beforehand; give it a"
            " type that lists them in every block, such as"
            ' pandas.CategoricalDtype(["a", "b"]).'
        )
    cells = cells_of(column) if declared is None else declared
    levels = dict.fromkeys(level_of(cell) for cell in cells if not is_missing(cell))
    texts = [level for level in levels if isinstance(level, str)]
    if texts and len(texts) < len(levels):
        other = next(level for level in levels if not isinstance(level, str))
        raise ValueError(
            f"{label} of X mixes text ({shown(texts[0])}) and numbers ({other}); make it one of"
            " them, as with X[column].astype(str)."
        )
    return Category(j, tuple(sorted(levels) if declared is None else levels))
