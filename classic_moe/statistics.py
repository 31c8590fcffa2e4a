"""`Statistics`: what one pass over the rows brings back. A dict that adds and scales."""

from __future__ import annotations


class Statistics(dict):
    """Named sums over rows, nested or not.

    Two `Statistics` of disjoint rows add to those of all the rows, which is what lets the same
    code serve chunks, threads, minibatches and clusters.

    Examples
    --------
    >>> from classic_moe.statistics import Statistics
    >>> Statistics(n=2, gate=Statistics(n=1)) + Statistics(n=3, gate=Statistics(n=5))
    {'n': 5, 'gate': {'n': 6}}
    """

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics({name: value + other[name] for name, value in self.items()})

    def __mul__(self, factor: float) -> Statistics:
        return Statistics({name: value * factor for name, value in self.items()})

    __rmul__ = __mul__
