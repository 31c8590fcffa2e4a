"""`Batches`: how a pass over the data is made."""

from __future__ import annotations

import copy
import itertools
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .statistics import Statistics

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
        facts = {name: fact[rows] for name, fact in self.facts.items()}
        return ArrayBatches(
            self.X[rows], self.y[rows], self.weight[rows], self._threads, rows, **facts
        )
