"""`Statistics`: what one pass over the rows brings back. A dict that adds and scales."""

from __future__ import annotations

import functools

import numpy as np


class Statistics(dict):
    """Named sums over rows, nested or not.

    Two `Statistics` of disjoint rows add to those of all the rows, which is what lets the same
    code serve chunks, threads, minibatches and clusters.

    Examples
    --------
    >>> from classic_moe.parts.statistics import Statistics
    >>> Statistics(n=2, gate=Statistics(n=1)) + Statistics(n=3, gate=Statistics(n=5))
    {'n': 5, 'gate': {'n': 6}}
    """

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics({name: value + other[name] for name, value in self.items()})

    def __mul__(self, factor: float) -> Statistics:
        return Statistics({name: value * factor for name, value in self.items()})

    __rmul__ = __mul__

    def __or__(self, other: dict) -> Statistics:
        return Statistics({**self, **other})


def side_by_side(each) -> Statistics:
    """Return the statistics of experts one after another: arrays joined along the axis K.

    Those that are found in one only, such as the members' of a union, are taken as they are.
    """
    found = {}
    for stats in each:
        for name, value in stats.items():
            found.setdefault(name, []).append(value)
    return Statistics(
        {
            name: side_by_side(values)
            if isinstance(values[0], dict) and len(values) > 1
            else np.concatenate(values)
            if len(values) > 1
            else values[0]
            for name, values in found.items()
        }
    )


class Rows:
    """The rows themselves, as the statistics of a part that cannot sum them: a black box.

    Adding appends, multiplying scales the weights in ``resp``. ``rows["X"]`` gives an array of all
    rows in their order.

    Parameters
    ----------
    **arrays : ndarray or None
        Named arrays with one entry a row; `resp` holds weights (n, K). None stays None.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.parts.statistics import Rows
    >>> rows = Rows(resp=np.ones((2, 1))) + 0.5 * Rows(resp=np.ones((1, 1)))
    >>> rows["resp"].ravel()
    array([1. , 1. , 0.5])
    """

    def __init__(self, **arrays):
        self._pieces = (arrays,)

    def __add__(self, other: Rows) -> Rows:
        total = Rows()
        total._pieces = self._pieces + other._pieces
        return total

    def __mul__(self, factor: float) -> Rows:
        scaled = Rows()
        scaled._pieces = tuple(piece | {"resp": factor * piece["resp"]} for piece in self._pieces)
        return scaled

    __rmul__ = __mul__

    def __getitem__(self, name):
        return self._arrays[name]

    @functools.cached_property
    def _arrays(self):
        first, *rest = self._pieces
        return {
            name: np.concatenate([first[name], *(piece[name] for piece in rest)])
            if rest and first[name] is not None
            else first[name]
            for name in first
        }
