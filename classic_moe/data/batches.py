"""`Batches`: how a pass over the data is made."""

from __future__ import annotations

import copy
import itertools
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..parts.statistics import Statistics

CHUNK = 16384
"""Smallest chunk of rows: about a millisecond of work in the compiled pass."""
MOST_CHUNKS = 64


class Batches(ABC):
    """Rows of (X, y, weight) in internal units, wherever they are kept."""

    @abstractmethod
    def map_sum(self, function, params) -> Statistics:
        """Σ over chunks of `function(params, X, y, weight)`, always added in the same order."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """Σ weight."""


class ArrayBatches(Batches):
    """Rows in memory, cut into chunks whose number depends on n only.

    Partial sums are added in the order of the rows, so a result has the same bits for any number
    of threads. Use as a context manager: the threads live as long as the block.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    y : ndarray of shape (n, q) or (n,)
    weight : ndarray of shape (n,)
    n_threads : int, default=1
    origin : ndarray of int, default=None
        Where the rows stand in the data they were sampled from; None: they are the data.
    **facts : ndarray of shape (n,) or None
        What else is known of the rows (`labels`, `groups`), handed to the function as keywords.
        Rows of one group stand together, and no chunk parts them.
    """

    def __init__(self, X, y, weight, n_threads=1, origin=None, **facts):
        self.X, self.y, self.weight, self.origin = X, y, weight, origin
        self.facts = {name: fact for name, fact in facts.items() if fact is not None}
        rows = max(CHUNK, -(-len(X) // MOST_CHUNKS))
        edges = [*range(0, len(X), rows), len(X)]
        if "groups" in self.facts:
            groups = self.facts["groups"]
            firsts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
            nearest = firsts[np.searchsorted(firsts, edges[:-1], side="right") - 1]
            edges = [*np.unique(nearest), len(X)]
        self._chunks = [slice(*pair) for pair in itertools.pairwise(edges)]
        self._threads = min(n_threads, len(self._chunks))
        self._pool = None

    def __enter__(self):
        if self._threads > 1:
            self._pool = ThreadPoolExecutor(self._threads)
        return self

    def __exit__(self, *error):
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    @property
    def total_weight(self):
        return float(self.weight.sum())

    def map_sum(self, function, params):
        def part(rows):
            facts = {name: fact[rows] for name, fact in self.facts.items()}
            return function(params, self.X[rows], self.y[rows], self.weight[rows], **facts)

        parts = (
            map(part, self._chunks) if self._pool is None else self._pool.map(part, self._chunks)
        )
        total = None
        for statistics in parts:
            total = statistics if total is None else total + statistics
        return total

    def with_facts(self, **facts):
        """The same rows, and threads, with more known of them."""
        other = copy.copy(self)
        other.facts = self.facts | facts
        return other

    def sample(self, n, rng):
        """At most n of the rows, drawn without replacement, as new batches.

        Groups are drawn whole, at least one.
        """
        if len(self.X) <= n:
            return self
        if "groups" in self.facts:
            groups = self.facts["groups"]
            codes, sizes = np.unique(groups, return_counts=True)
            order = rng.permutation(len(codes))
            taken = order[np.cumsum(sizes[order]) <= n]
            rows = np.flatnonzero(np.isin(groups, codes[taken if len(taken) else order[:1]]))
        else:
            rows = np.sort(rng.choice(len(self.X), n, replace=False))
        return self._take(rows, self._threads)

    def split(self, fraction, rng):
        """Two new batches: rows with about that fraction of the weight, drawn at random; the rest.

        Groups are drawn whole. Both parts have at least one row, or group.
        """
        unit = self._units()
        weight = np.bincount(unit, self.weight)
        if len(weight) < 2:
            raise ValueError("One row, or group of rows, cannot be split; leave early_stopping.")
        order = rng.permutation(len(weight))
        n = int(np.sum(np.cumsum(weight[order]) <= fraction * weight.sum() * (1 + 1e-12)))
        drawn = np.isin(unit, order[: min(max(n, 1), len(weight) - 1)])
        rows = (np.flatnonzero(part) for part in (drawn, ~drawn))
        return tuple(self._take(part, self._threads) for part in rows)

    def minibatches(self, size, rng):
        """All rows once, in random order, as batches of about `size`; groups stay whole.

        Yields pairs: the factor by which sums over the batch estimate those over all rows, and the
        batch. Batches are equal in size but for one row, or group.
        """
        unit = self._units()
        n_units = unit[-1] + 1
        n_batches = min(-(-len(unit) // size), n_units)
        number = rng.permutation(n_units) % n_batches
        order = np.argsort(number[unit], kind="stable")
        edges = np.cumsum(np.bincount(number[unit]))[:-1]
        for count, rows in zip(np.bincount(number), np.split(order, edges), strict=True):
            yield n_units / count, self._take(rows, 1)

    def _units(self):
        """The number of each row, or of the group it is in, (n,)."""
        if "groups" not in self.facts:
            return np.arange(len(self.X))
        groups = self.facts["groups"]
        return np.cumsum(np.diff(groups, prepend=groups[0]) != 0)

    def _take(self, rows, n_threads):
        facts = {name: fact[rows] for name, fact in self.facts.items()}
        return ArrayBatches(self.X[rows], self.y[rows], self.weight[rows], n_threads, rows, **facts)
