"""Where an expert holds: the columns that move its gate, and the range in which it is believed.

All of it is measured on rows, with whatever gate; nothing is read off coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..parts.checks import fitted_fact, is_table
from ..parts.storage import all_dense, indexable
from .columns import Column
from .table import PLAIN, number_text

SAMPLE, REDRAWS, CANDIDATES = 400, 5, 60
"""Rows on which the gate is moved, how often each, and the most columns that are tried."""
DIGITS = 12
"""Of the ends of ranges, which are round numbers as far as the column allows."""
CLEAR, SOME = 0.5, 0.2
"""Shares of an expert's rows in a range, less that of the others', from which on it is said."""
TINY = 1e-9
"""The smallest average of a gate that is no 0."""
LITTLE = 0.1
"""A gate that moves less than this, 1 being a gate that says yes or no, hardly depends on x."""
MOST, LOOKED_AT, RELATIVE = 2, 8, 0.25
"""How many columns are named, of how many looked at, that move a gate how far beside the first."""


@dataclass(frozen=True)
class Rows:
    """The rows on which a model is described.

    Attributes
    ----------
    names : list of str, of the p columns
    values : ndarray of shape (n, p)
    template : type or None
        The class of the caller's table, which has named columns.
    """

    names: list[str]
    values: np.ndarray
    template: type | None

    @classmethod
    def of(cls, model, X) -> Rows:
        """Return the rows of X as a fitted model knows them."""
        if is_table(X):
            names = list(map(str, X.columns))
            return cls(names, np.asarray(X, dtype=np.float64), type(X))
        values = all_dense(indexable(X), "a description needs").astype(np.float64)
        names = fitted_fact(model, "feature_names_in_")
        if names is None:
            names = [f"x{j}" for j in range(values.shape[1])]
        return cls(list(map(str, names)), values, None)

    @cached_property
    def position(self):
        """The position of every column, {name: int}."""
        return {name: j for j, name in enumerate(self.names)}

    @cached_property
    def order(self):
        """The rows in the order of every column, (n, p)."""
        return np.argsort(self.values, axis=0, kind="stable")

    @cached_property
    def indicators(self):
        """Which columns hold zeros and ones, and both, (p,)."""
        values = self.values
        return ((values == 0) | (values == 1)).all(axis=0) & (np.ptp(values, axis=0) == 1)

    def quantiles(self, j, own, levels):
        """Return quantiles of column j with the weights `own` (n,), a list of float."""
        order = self.order[:, j]
        return quantiles(self.values[order, j], own[order], levels)

    def as_given(self, values):
        """Return rows (m, p) as the caller would give them."""
        if self.template is None or not self.names:
            return values
        return self.template(dict(zip(self.names, values.T, strict=True)))

    def sample(self, own=None):
        """Return which rows to try things on, in no order, the same each time, (m,).

        With the shares `own` (n,) of an expert in the rows, those that are its own.
        """
        n = len(self.values)
        order = np.random.RandomState(0).permutation(n)
        if own is not None:
            order = order[own[order] >= min(0.5, own.max())]
        return order[:SAMPLE]


def gate_movement(rows, gate):
    """Return how far a gate moves with every column, (p, K), and with all together, (K,).

    The mean change of the gate when a column is redrawn from the other rows, as a share of the most
    that it can be at the average of the gate: 1 where one column decides between yes and no.

    Parameters
    ----------
    rows : Rows
    gate : callable (X) -> ndarray of shape (m, K)
    """
    values = rows.values[rows.sample()]
    m, p = values.shape
    base = gate(rows.as_given(values))
    if p == 0:
        return np.zeros((0, base.shape[1])), np.zeros(base.shape[1])
    shifts = [1 + (r * m) // REDRAWS for r in range(REDRAWS)]
    average = np.clip(base.mean(axis=0), TINY, 1 - TINY)
    most = 2 * average * (1 - average)
    others = [np.roll(base, shift, axis=0) for shift in shifts]
    together = np.mean([np.abs(other - base).mean(axis=0) for other in others], axis=0) / most
    moved = np.zeros((p, base.shape[1]))
    for j in worth_trying(values, base):
        redrawn = np.tile(values, (REDRAWS, 1))
        redrawn[:, j] = np.concatenate([np.roll(values[:, j], shift) for shift in shifts])
        change = gate(rows.as_given(redrawn)) - np.tile(base, (REDRAWS, 1))
        moved[j] = np.abs(change).mean(axis=0) / most
    return moved, together


def worth_trying(values, targets):
    """Return the columns that vary; of very many those that go most with the targets (m, K)."""
    varying = np.flatnonzero(np.ptp(values, axis=0) > 0)
    if len(varying) <= CANDIDATES:
        return varying
    centred = values[:, varying] / np.abs(values[:, varying]).max(axis=0)
    centred -= centred.mean(axis=0)
    centred /= np.maximum(np.abs(centred).mean(axis=0), np.finfo(float).tiny)
    together = np.abs(centred.T @ (targets - targets.mean(axis=0))).max(axis=1)
    return np.sort(varying[np.argsort(-together, kind="stable")[:CANDIDATES]])


@dataclass(frozen=True)
class Range:
    """A range of one column: above `low` and up to `high`, or, turned over, what lies outside.

    Attributes
    ----------
    low, high : float, infinite where the range has no end
    next_low, next_high : float
        The next values that the column has above both ends.
    whole : bool
        Whether the column holds whole numbers alone.
    inside : bool
    """

    low: float
    high: float
    next_low: float
    next_high: float
    whole: bool
    inside: bool

    def contains(self, values):
        """Tell which values lie in the range, (n,)."""
        within = (values > self.low) & (values <= self.high)
        return within if self.inside else ~within

    def __str__(self):
        return self.told(lambda value: number_text(value, DIGITS))

    def told(self, text):
        """Return the range in words, its ends by a function `text` of numbers; str."""
        low, high, first, after = map(text, (self.low, self.high, self.next_low, self.next_high))
        if not self.inside:
            return f"up to {low} or " + (f"from {after} up" if self.whole else f"above {high}")
        if np.isinf(self.low):
            return f"up to {high}"
        if np.isinf(self.high):
            return f"from {first} up" if self.whole else f"above {low}"
        if not self.whole:
            return f"between {low} and {high}"
        return high if first == high else f"from {first} to {high}"


def best_range(values, own):
    """Return the range of a column that best tells an expert's rows from the others.

    That with the largest difference between the share of its rows that lie there and the share of
    the others': of ranges with one end where the two distributions are farthest apart, as of
    Kolmogorov and Smirnov. Two ends must be worth it.

    Parameters
    ----------
    values : ndarray of shape (n,)
    own : ndarray of shape (n,)
        How far each row is the expert's, from 0 to 1.

    Returns
    -------
    Range, or None where there is nothing to tell apart
    """
    points, place = np.unique(values, return_inverse=True)
    of_own = np.bincount(place, own, len(points))
    of_rest = np.bincount(place, 1 - own, len(points))
    if len(points) < 2 or of_own.sum() <= 0 or of_rest.sum() <= 0:
        return None
    ahead = np.cumsum(of_own) / of_own.sum() - np.cumsum(of_rest) / of_rest.sum()
    ahead[-1] = 0.0
    ahead = np.append(0.0, ahead)  # [i]: up to point i - 1
    up, down = _largest_rise(ahead), _largest_rise(-ahead)
    last = len(points)
    below, above = int(ahead.argmax()), int(ahead.argmin())
    one_end = max((ahead[below], (0, below)), (-ahead[above], (above, last)))
    # Two ends are always at least as good: the margins keep them for what they explain.
    scores = [
        (one_end[0], *one_end[1], True),
        (up[0] - 0.1, *up[1], True),
        (down[0] - 0.2, *down[1], False),
    ]
    _, i, j, inside = max(scores)
    return None if (i, j) == (0, last) else _range(points, i, j, inside)


def _largest_rise(path):
    """Return the largest path[j] - path[i] with i < j, and (i, j)."""
    lowest = np.minimum.accumulate(path)
    j = int(np.argmax(path - lowest))
    return float(path[j] - lowest[j]), (int(np.argmin(path[: j + 1])), j)


def _range(points, i, j, inside):
    """Return the `Range` from point i on to the point before j, its ends in few digits."""
    whole = bool((points == np.round(points)).all()) and np.abs(points).max() < PLAIN
    width = np.subtract(*np.quantile(points, [0.95, 0.05])) or np.ptp(points)  # without outliers

    def cut(i):
        if i == 0:
            return -np.inf, points[0]
        if i == len(points):
            return np.inf, np.inf
        below, above = points[i - 1], points[i]
        return (below if whole else _round_between(below, above, width)), above

    (low, next_low), (high, next_high) = cut(i), cut(j)
    return Range(low, high, next_low, next_high, whole, inside)


def _round_between(low, high, width):
    """Return a number of few digits in [low, high), or off by no more than width / 500."""
    middle = low + (high - low) / 2
    size = int(np.floor(np.log10(width))) + 1
    for decimals in range(-size, 4 - size + 1):
        value = _rounded(middle, decimals)
        if low <= value < high or abs(value - middle) <= width / 500:
            return value
    return low


def _rounded(value, decimals):
    """Return a number rounded to so many decimals, of whatever size, a float."""
    if decimals > 0:
        return float(f"{value:.{decimals}f}")
    return round(value / 10.0**-decimals) * 10.0**-decimals


def quantiles(values, weight, levels):
    """Return quantiles of sorted values with weights (n,) each, a list of float, all of them."""
    reached = np.cumsum(weight)
    places = np.searchsorted(reached, np.multiply(levels, reached[-1]))
    return [float(values[min(i, len(values) - 1)]) for i in places]


def quantile_range(values, weight):
    """Return the 10 % and the 90 % quantile of values with weights (n,), two floats."""
    order = np.argsort(values, kind="stable")
    return quantiles(values[order], weight[order], (0.1, 0.9))


# -- in words --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A range of one column as a place where an expert holds.

    Attributes
    ----------
    text : str, as "displ is up to 2.7"
    of_own, of_all : float
        The shares of the expert's rows, and of all rows, that lie there.
    apart : float
        The share of its rows less that of the others.
    """

    text: str
    of_own: float
    of_all: float
    apart: float

    @classmethod
    def of(cls, rows, j, own) -> Place | None:
        """Return the place of a column that best tells an expert's rows; None where none does."""
        column, values = Column.of(rows.names[j]), rows.values[:, j]
        if rows.indicators[j]:
            inside, text = values == 1, column.answer(True)
            if np.average(inside, weights=own) < inside.mean():
                inside, text = ~inside, column.answer(False)
        else:
            found = best_range(values, own)
            if found is None:
                return None
            inside = found.contains(values)
            text = f"{column.label} is {found.told(lambda end: column.text(end, DIGITS))}"
        rest = np.maximum(1 - own, 0.0)
        of_own, of_rest = (float(weight @ inside / weight.sum()) for weight in (own, rest))
        return cls(text, of_own, float(inside.mean()), of_own - of_rest)

    def __str__(self):
        return f"{self.text} ({percent(self.of_own)} of its rows, {percent(self.of_all)} of all)"


def percent(share):
    """Return a share in percent, never rounded to none or all; str."""
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 - 1e-9 else f"{100 * share:.0f} %"


def where(rows, own, moved, together):
    """Return where an expert holds, to stand behind "holds 62 % of the rows"; str.

    Parameters
    ----------
    rows : Rows
    own : ndarray of shape (n,)
        How far each row is the expert's, from 0 to 1.
    moved : ndarray of shape (p,), together : float
        As of `gate_movement`, of this expert.
    """
    if not TINY < own.mean() < 1 - TINY:
        return ""
    if together < LITTLE:
        return ", about as many wherever one looks"
    order = np.argsort(-moved, kind="stable")
    order = [j for j in order[:LOOKED_AT] if moved[j] >= moved[order[0]] * RELATIVE]
    places = [Place.of(rows, j, own) for j in order]
    places = [place for place in places if place is not None and place.apart >= SOME][:MOST]
    if not places:
        names = " and ".join(Column.of(rows.names[j]).label for j in order[:2])
        return (
            f"; its gate moves with {names or 'many columns'}, but in no range of one column alone"
        )
    clear = [place for place in places if place.apart >= CLEAR]
    some = [place for place in places if place.apart < CLEAR]
    return ", " + ", ".join(
        f"{word} where {' and '.join(map(str, group))}"
        for word, group in (("mostly", clear), ("more often", some))
        if group
    )
