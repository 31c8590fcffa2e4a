"""Rows on a device: arrays of CuPy or torch, which stay where they are.

What has a row in its shape never comes to the host, but for the sample of a search; sums do, by
`array.to_host`.
"""

from __future__ import annotations

import functools
import operator

from .._kernels.array import like, rows_at, to_host
from .batches import ArrayBatches, Batches, Block, drawn, sample_size
from .devices import block_rows


class DeviceBatches(Batches):
    """Rows on a device, read there in blocks and taken to internal units in every pass.

    Sums of blocks come to the host and are added in the order of the rows.

    Parameters
    ----------
    X : array of shape (n, p), on a device
    y, weight : ndarrays of n rows, which are copied to it
    prepare : callable(X) -> X
        Takes rows of X to internal units.
    n_threads : int, default=1
        Of a sample, which is on the host.
    **facts : ndarray of shape (n,)
        What else is known of the rows.
    """

    rows = None
    """How many rows a block has; None: as many as there is room for."""

    def __init__(self, X, y, weight, prepare, n_threads=1, **facts):
        self._X, self._prepare, self.n_threads = X, prepare, n_threads
        self._y, self._weight = like(X, y, weight)
        self._facts = {name: like(X, fact) for name, fact in facts.items()}
        self._total_weight = float(weight.sum())
        self.origin = None

    @property
    def n(self):
        """The number of rows."""
        return self._X.shape[0]

    @property
    def total_weight(self):
        """Σ weight."""
        return self._total_weight

    def _block(self, rows) -> Block:
        """Return the rows at a slice or at positions, where they lie."""
        facts = {name: rows_at(fact, rows) for name, fact in self._facts.items()}
        own = (rows_at(each, rows) for each in (self._X, self._y, self._weight))
        X, y, weight = own
        return Block(self._prepare(X), y, weight, facts)

    def map_sum(self, function, params, scaled=False):
        """Return Σ `function(params, X, y, weight, **facts)` over blocks, numpy's, in their order.

        They are given rows in internal units, `scaled` or not. Where memory runs out, blocks are
        made half as large, once.
        """
        try:
            return self._map_sum(function, params)
        except Exception as error:
            if type(error).__name__ != "OutOfMemoryError":
                raise
            self.rows = max(1, self._size() // 2)
        try:
            return self._map_sum(function, params)
        except Exception as error:
            if type(error).__name__ != "OutOfMemoryError":
                raise
            raise MemoryError(
                f"{self.n} rows of {self._X.shape[1]} columns do not fit the device; pass float32,"
                " or numpy arrays, which are read in blocks."
            ) from error

    def _map_sum(self, function, params):
        each = (function(params, *block[:3], **block.facts) for block in self.blocks())
        return functools.reduce(operator.add, map(to_host, each))

    def _size(self):
        return min(self.n, self.rows or block_rows(self._X))

    def blocks(self, size=None, order=None):
        """Yield all rows where they lie, `size` at a time or as many as there is room for."""
        if order is not None:
            raise TypeError(_at_random("an order of the rows"))
        done = 0
        while done < self.n:
            rows = self._size() if size is None else size(done) if callable(size) else size
            yield self._block(slice(done, min(done + rows, self.n)))
            done += rows

    def sample(self, n, rng) -> ArrayBatches:
        """Return at most n of the rows on the host, those that rows in memory would give."""
        X = self._prepare(self._X[:1, ...])
        n = sample_size(n, max(X.shape[1], 1) * to_host(X).itemsize)
        rows = None if self.n <= n else drawn(self.n, n, rng)
        X, y, weight, facts = to_host(self._block(slice(0, self.n) if rows is None else rows))
        return ArrayBatches(X, y, weight, self.n_threads, rows, **facts)

    def split(self, fraction, rng):
        """Raise a TypeError: rows are not drawn at random here."""
        raise TypeError(_at_random("early_stopping"))

    def minibatches(self, size, rng):
        """Raise a TypeError: rows are not drawn at random here."""
        raise TypeError(_at_random("a solver of minibatches"))

    def with_facts(self, **facts):
        """Raise a TypeError: draws for every row are made on the host."""
        raise TypeError(_at_random("a solver that draws experts"))


def _at_random(what):
    return (
        f"{what} needs rows at random, which arrays on a device do not allow; use solver='em' or"
        " 'lbfgs', or numpy arrays."
    )
