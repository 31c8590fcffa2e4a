"""`Batches`: how a pass over the rows is made, wherever they are kept."""

from __future__ import annotations

import collections
import copy
import functools
import itertools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ..parts.statistics import Statistics
from ..parts.storage import writable
from .threads import Threads
from .units import Scaled

CHUNK = 16384
"""Rows up to which chunks are not made larger: about two milliseconds of the compiled pass."""
MOST_CHUNKS = 32
KEPT_BYTES = 2**24
"""The largest copy of X in internal units that is kept; of more, rows are scaled in every pass."""
CHUNK_BYTES = 2**24
"""The largest chunk, which a wide X reaches with fewer rows."""
SAMPLE_BYTES, SAMPLE_ROWS = 2**25, 1024
"""The largest sample, which has that many rows whatever they take."""


class Block(NamedTuple):
    """Some rows in internal units, and what else is known of them.

    X (m, p), y (m, q) or (m,), weight (m,); facts is a dict of arrays with an entry a row.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    facts: dict[str, np.ndarray]


class Batches(ABC):
    """Rows of (X, y, weight) in internal units: all that solvers and starts see of the data.

    Use as a context manager: what a pass needs (threads, files) lives as long as the block.
    """

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *error):
        return None

    @property
    @abstractmethod
    def n(self) -> int:
        """The number of rows."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """Σ weight."""

    @abstractmethod
    def map_sum(self, function: Callable, params, scaled=False) -> Statistics:
        """Return Σ `function(params, X, y, weight, **facts)` over chunks, always in one order.

        `scaled`: whether the function takes X as `Scaled` too, rows of the caller's that it brings
        into internal units itself.
        """

    @abstractmethod
    def blocks(self, size=None, order=None) -> Iterator[Block]:
        """Yield all rows, `size` at a time.

        Parameters
        ----------
        size : int or callable(rows done) -> int, default=None
            None: as suits the place where the rows are kept, groups whole. A number parts groups.
        order : ndarray of int of shape (n,), default=None
            An order of the rows other than their own; for rows in memory.
        """

    def first(self) -> Block:
        """Return the first row as a block."""
        return next(self.blocks(1))

    @abstractmethod
    def sample(self, n, rng) -> ArrayBatches:
        """Return at most n of the rows, drawn without replacement, in memory, fewer if wide.

        Groups are drawn whole, at least one. Where the rows stand is in the sample's `origin`.
        """

    @abstractmethod
    def split(self, fraction, rng) -> tuple[Batches, Batches]:
        """Return two batches: rows with about that fraction of the weight, at random; the rest.

        Groups are drawn whole. Both have at least one row, or group.
        """

    @abstractmethod
    def minibatches(self, size, rng) -> Iterator[tuple[float, Batches]]:
        """Yield all rows once, in random order, as batches of about `size`; groups stay whole.

        With each comes the factor by which sums over it estimate those over all rows. Batches are
        equal in size but for one row, or group.
        """

    @abstractmethod
    def with_facts(self, **facts) -> Batches:
        """Return the same rows with more known of them, an array with an entry a row each."""


def chunk_rows(n, row_bytes):
    """Return the rows of a chunk of n with so many bytes each, none over `CHUNK_BYTES`; int.

    Where there are several chunks their number is even, and their sizes equal, for two threads.
    """
    rows = max(CHUNK, -(-n // MOST_CHUNKS))
    rows = max(1, min(rows, CHUNK_BYTES // row_bytes))
    return rows if n <= rows else -(-n // (2 * -(-n // (2 * rows))))


def drawn(n, count, rng):
    """Return the positions of `count` of n rows, drawn without replacement, increasing."""
    # a Generator draws some of a billion rows without a permutation of them all
    generator = np.random.default_rng(rng.randint(2**31 - 1))
    return np.sort(generator.choice(n, count, replace=False, shuffle=False))


def whole(batches) -> Block:
    """Return all rows of batches in memory as one block."""
    return next(batches.blocks(batches.n))


def sample_size(n, row_bytes):
    """Return how many rows a sample of n has, fewer of wide ones, an int."""
    return min(n, max(SAMPLE_ROWS, SAMPLE_BYTES // row_bytes))


class ArrayBatches(Batches):
    """Rows in memory, cut into chunks whose number depends on the shape of X only.

    Partial sums are added in the order of the rows, so a result has the same bits for any number
    of threads, and for X dense or sparse: its blocks are dense either way.

    Parameters
    ----------
    X : ndarray of shape (n, p), or a sparse array if `scaling` is given
    y : ndarray of shape (n, q) or (n,)
    weight : ndarray of shape (n,)
    n_threads : int, default=1
    origin : ndarray of int, default=None
        Where the rows stand in the data they were sampled from; None: they are the data.
    scaling : Scaling, default=None
        Takes rows of X to internal units; None: X is in internal units.
    keep_bytes : int, default=KEPT_BYTES
        The size up to which X in internal units is kept. Beyond it, rows are scaled in every pass,
        by compiled passes on the way, and X itself is all that stays in memory.
    **facts : ndarray of shape (n,) or None
        What else is known of the rows (`labels`, `groups`), handed to the function as keywords.
        Rows of one group stand together, and no chunk parts them.
    """

    def __init__(
        self,
        X,
        y,
        weight,
        n_threads=1,
        origin=None,
        scaling=None,
        keep_bytes=None,
        **facts,
    ):
        row = X[:1] if scaling is None else scaling.apply(X[:1])
        self._row_bytes = max(row.shape[1], 1) * row.dtype.itemsize
        self._X, self._y, self._weight = X, y, weight
        self._scaling, self._for_kernels, self.origin = scaling, None, origin
        self._keep_bytes = KEPT_BYTES if keep_bytes is None else keep_bytes
        self._facts = {name: fact for name, fact in facts.items() if fact is not None}
        self._chunks = self._cut()
        self.n_threads = n_threads
        self._threads = Threads(min(n_threads, len(self._chunks)))
        if scaling is not None and X.shape[0] * self._row_bytes <= self._keep_bytes:
            kept = np.empty((X.shape[0], row.shape[1]), row.dtype)
            with self:
                self._fill(kept)
            self._X, self._scaling = kept, None
        elif scaling is not None and isinstance(X, np.ndarray) and X.flags.c_contiguous:
            self._X, self._for_kernels = writable(X), scaling.for_kernels(row.dtype)

    def __enter__(self):
        self._threads.__enter__()
        return self

    def __exit__(self, *error):
        self._threads.__exit__(*error)

    @property
    def n(self):
        """The number of rows."""
        return self._weight.shape[0]

    @functools.cached_property
    def total_weight(self):
        """Σ weight."""
        return float(self._weight.sum())

    def _cut(self):
        """Return the chunks as slices; of groups whole ones."""
        edges = [*range(0, self.n, chunk_rows(self.n, self._row_bytes)), self.n]
        if "groups" in self._facts:  # from the first row of the group in which an edge falls
            groups = self._facts["groups"]
            firsts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
            nearest = firsts[np.searchsorted(firsts, edges[:-1], side="right") - 1]
            edges = [*np.unique(nearest), self.n]
        return [slice(*pair) for pair in itertools.pairwise(edges)]

    def _fill(self, kept):
        """Write all of X in internal units to an array (n, p of the inside), chunk by chunk."""

        def fill(rows):
            kept[rows] = self._scaling.apply(self._X[rows])

        collections.deque(self._threads.map(fill, self._chunks), maxlen=0)

    def _block(self, rows, scaled=False) -> Block:
        """Return the rows at a slice or at positions; if `scaled`, X is `Scaled` where it can be.

        Weights that are one number for all rows are written out.
        """
        X, weight = self._X[rows], np.ascontiguousarray(self._weight[rows])
        facts = {name: fact[rows] for name, fact in self._facts.items()}
        if scaled and self._for_kernels is not None:
            X = Scaled(X, self._scaling, self._for_kernels)
        elif self._scaling is not None:
            X = self._scaling.apply(X)
        return Block(X, self._y[rows], weight, facts)

    def map_sum(self, function, params, scaled=False):
        """Return Σ `function(params, X, y, weight, **facts)` over the chunks, in their order."""

        def part(rows):
            X, y, weight, facts = self._block(rows, scaled)
            return function(params, X, y, weight, **facts)

        return functools.reduce(operator.add, self._threads.map(part, self._chunks))

    def blocks(self, size=None, order=None):
        """Yield all rows, `size` at a time or chunk by chunk; see `Batches.blocks`."""
        if size is None:
            slices = self._chunks
        else:
            slices = self._slices(size)
        for rows in slices:
            yield self._block(rows if order is None else order[rows])

    def _slices(self, size):
        """Yield slices of so many rows, the last one of what is left; see `Batches.blocks`."""
        done = 0
        while done < self.n:
            rows = size(done) if callable(size) else size
            yield slice(done, done + rows)
            done += rows

    def with_facts(self, **facts):
        """Return the same rows, and threads, with more known of them."""
        other = copy.copy(self)
        other._facts = self._facts | facts
        return other

    def sample(self, n, rng):
        """Return at most n of the rows, drawn without replacement, fewer of wide ones."""
        n = sample_size(n, self._row_bytes)
        if self.n <= n:
            return self
        if "groups" in self._facts:
            groups = self._facts["groups"]
            codes, sizes = np.unique(groups, return_counts=True)
            order = rng.permutation(len(codes))
            taken = order[np.cumsum(sizes[order]) <= n]
            rows = np.flatnonzero(np.isin(groups, codes[taken if len(taken) else order[:1]]))
        else:
            rows = drawn(self.n, n, rng)
        return self._take(rows, self._threads.n)

    def split(self, fraction, rng):
        """Return rows with about that fraction of the weight, and the rest; see `Batches.split`."""
        unit = self._units()
        weight = np.bincount(unit, self._weight)
        if len(weight) < 2:
            raise ValueError("One row, or group of rows, cannot be split; leave early_stopping.")
        order = rng.permutation(len(weight))
        n = int(np.sum(np.cumsum(weight[order]) <= fraction * weight.sum() * (1 + 1e-12)))
        drawn = np.isin(unit, order[: min(max(n, 1), len(weight) - 1)])
        rows = (np.flatnonzero(part) for part in (drawn, ~drawn))
        return tuple(self._take(part, self._threads.n) for part in rows)

    def minibatches(self, size, rng):
        """Yield all rows once, in random order; see `Batches.minibatches`."""
        unit = self._units()
        n_units = unit[-1] + 1
        n_batches = min(-(-len(unit) // size), n_units)
        number = rng.permutation(n_units) % n_batches
        order = np.argsort(number[unit], kind="stable")
        edges = np.cumsum(np.bincount(number[unit]))[:-1]
        for count, rows in zip(np.bincount(number), np.split(order, edges), strict=True):
            yield n_units / count, self._take(rows, 1)

    def _units(self):
        """Return the number of each row, or of the group it is in, (n,)."""
        if "groups" not in self._facts:
            return np.arange(self.n)
        groups = self._facts["groups"]
        return np.cumsum(np.diff(groups, prepend=groups[0]) != 0)

    def _take(self, rows, n_threads):
        """Return new batches of some rows, which keep their X in internal units if it is small."""
        X, y, weight = self._X[rows], self._y[rows], self._weight[rows]
        facts = {name: fact[rows] for name, fact in self._facts.items()}
        units = dict(scaling=self._scaling, keep_bytes=self._keep_bytes)
        if self._scaling is not None and len(rows) * self._row_bytes <= self._keep_bytes:
            X, units["scaling"] = self._scaling.apply(X), None  # a minibatch has no time to lose
        return ArrayBatches(X, y, weight, n_threads, rows, **units, **facts)
