"""`Batches`: how a pass over the data is made."""

from __future__ import annotations

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
    """

    def __init__(self, X, y, weight, n_threads=1, origin=None):
        self.X, self.y, self.weight, self.origin = X, y, weight, origin
        rows = max(CHUNK, -(-len(X) // MOST_CHUNKS))
        self._starts = range(0, len(X), rows)
        self._rows = rows
        self._threads = min(n_threads, len(self._starts))
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
        def part(start):
            rows = slice(start, start + self._rows)
            return function(params, self.X[rows], self.y[rows], self.weight[rows])

        parts = (
            map(part, self._starts) if self._pool is None else self._pool.map(part, self._starts)
        )
        total = None
        for statistics in parts:
            total = statistics if total is None else total + statistics
        return total

    def sample(self, n, rng):
        """At most n of the rows, drawn without replacement, as new batches."""
        if len(self.X) <= n:
            return self
        rows = np.sort(rng.choice(len(self.X), n, replace=False))
        return ArrayBatches(self.X[rows], self.y[rows], self.weight[rows], self._threads, rows)
