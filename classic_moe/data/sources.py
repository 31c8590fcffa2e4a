"""`Source`: the caller's rows in blocks that can be read again for every pass, wherever they lie.

A reader, `reader(number, X, y, weight)`, turns a block of the caller's into `Rows`, or None if it
has none that count. Sums over rows are taken of pieces that do not depend on how the rows come in
blocks: those of in-process sources are cut anew, as rows in memory are, so that a fit has the same
bits either way. A source whose blocks lie elsewhere overrides `total` and `take`.
"""

from __future__ import annotations

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import _num_samples

from ..parts.storage import dense, is_lazy, is_sliced, sliced, stored_rows
from .batches import (
    ArrayBatches,
    Batches,
    Block,
    chunk_rows,
    drawn,
    sample_size,
)
from .threads import Threads
from .units import Scaled

BLOCK_BYTES = 2**24
"""About the size of a block that is read of something sliceable."""


class Rows(NamedTuple):
    """Some rows: X (m, p), dense or sparse, y (m, ...), weight (m,)."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def take(self, rows) -> Rows:
        """Return those at a slice or at positions."""
        return Rows(self.X[rows], self.y[rows], self.weight[rows])

    def without_x(self) -> Rows:
        """Return them with no column of X, not even a view, which would keep it in memory."""
        return self._replace(X=np.empty((len(self.weight), 0)))


class Sum(NamedTuple):
    """A sum over all rows.

    Attributes
    ----------
    function : callable (X, y, weight) -> anything that `add` takes
        Called for pieces of the rows, in their order; picklable.
    rows : int
        How many rows a piece has; the last one may have fewer.
    add : callable of two of these, default=operator.add
    looks_at_x : bool, default=True
        Whether the function is shown X, or no column of it.
    """

    function: Callable
    rows: int
    add: Callable = operator.add
    looks_at_x: bool = True


class Source(ABC):
    """Rows in the caller's units, in numbered blocks that can be read again."""

    @abstractmethod
    def blocks(self) -> Iterator[tuple]:
        """Yield (X, y, weight) of the blocks as the caller has them; weight may be None."""

    def caution(self) -> str | None:
        """Return what the caller is to be warned of before the first pass, str or None."""
        return None

    def head(self):
        """Return X and y of the first block with any rows; a ValueError where there is none."""
        for X, y, _ in self.blocks():
            if _num_samples(X):
                return X, y
        raise ValueError("X has no rows: a fit needs some; look at what the blocks are read from.")

    def read(self, reader) -> Iterator[Rows]:
        """Yield what a reader makes of the blocks, those without rows left out."""
        for number, block in enumerate(self.blocks()):
            rows = reader(number, *block)
            if rows is not None:
                yield rows

    def pieces(self, reader, size) -> Iterator[Rows]:
        """Yield all rows, dense, `size` at a time, whatever the blocks."""
        cut = _Cut(size)
        for rows in self.read(reader):
            yield from cut.push(rows)
        yield from cut.rest()

    def total(self, reader, *sums, n_threads=1) -> list:
        """Return every `Sum` over all rows, by one pass; None for that of no rows."""

        def jobs():
            cuts = [_Cut(one.rows) for one in sums]
            for rows in self.read(reader):
                for number, cut in enumerate(cuts):
                    shown = rows if sums[number].looks_at_x else rows.without_x()
                    yield from ((number, piece) for piece in cut.push(shown))
            for number, cut in enumerate(cuts):
                yield from ((number, piece) for piece in cut.rest())

        def value(job):
            number, piece = job
            return number, sums[number].function(*piece)

        found = [None] * len(sums)
        with Threads(n_threads) as threads:
            for number, one in threads.map(value, jobs()):
                so_far = found[number]
                found[number] = one if so_far is None else sums[number].add(so_far, one)
        return found

    def take(self, reader, positions) -> Rows:
        """Return the rows at increasing positions among those that the reader leaves."""
        found, done = [], 0
        for rows in self.read(reader):
            n = len(rows.weight)
            first, last = np.searchsorted(positions, [done, done + n])
            if last > first:
                taken = rows.take(positions[first:last] - done)
                found.append(taken._replace(X=dense(taken.X)))
            done += n
            if done > positions[-1]:
                break
        return joined(found)


class _Cut:
    """Cuts rows that come in blocks of any size into pieces of one."""

    def __init__(self, size):
        self.size, self._parts, self._n = size, [], 0

    def push(self, rows):
        """Yield the pieces that more rows complete."""
        start, n = 0, len(rows.weight)
        while start < n:
            end = min(n, start + self.size - self._n)
            part = rows.take(slice(start, end))
            self._parts.append(part._replace(X=dense(part.X)))
            self._n += end - start
            start = end
            if self._n == self.size:
                yield from self.rest()

    def rest(self):
        """Yield the rows that are left, as one piece, if there are any."""
        if self._n:
            yield joined(self._parts)
            self._parts, self._n = [], 0


def joined(parts) -> Rows:
    """Return rows of several parts, one below the other."""
    if len(parts) == 1:
        return parts[0]
    return Rows(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class MemorySource(Source):
    """Rows of anything that is sliced by rows: arrays, memory maps, zarr, HDF5.

    Parameters
    ----------
    X : sliceable of shape (n, p)
    y : sliceable of shape (n,) or (n, q)
    weight : the same of shape (n,), default=None
    rows : int, default=None
        How many are read at a time; None: whole chunks, as X is stored, of some MiB.
    """

    def __init__(self, X, y, weight=None, rows=None):
        self.X, self.y, self.weight = X, y, weight
        n = {"X": _num_samples(X), "y": _num_samples(y)}
        n |= {} if weight is None else {"sample_weight": _num_samples(weight)}
        for name, other in n.items():
            if other != n["X"]:
                raise ValueError(f"X has {n['X']} rows and {name} {other}; they must match.")
        self.rows = _rows_of_a_block(X) if rows is None else rows

    def blocks(self):
        """Yield slices of X, y and the weights."""
        for start in range(0, _num_samples(self.X), self.rows):
            end = min(start + self.rows, _num_samples(self.X))
            weight = None if self.weight is None else sliced(self.weight, start, end)
            X = self.X[start:end]
            yield X if issparse(X) else np.asarray(X), sliced(self.y, start, end), weight


def _rows_of_a_block(X):
    """Return how many rows to read at a time, whole chunks if X is stored in such; int."""
    most = max(1, BLOCK_BYTES // max(1, X.shape[1] * np.dtype(X.dtype).itemsize))
    stored = stored_rows(X)
    return max(1, most // stored) * stored


class IterableSource(Source):
    """Rows of anything that can be iterated again: tables of a file, record batches.

    Parameters
    ----------
    make : callable () -> iterator of (X, y) or (X, y, weight)
        Called once a pass, for the same rows every time.
    """

    def __init__(self, make):
        if not callable(make):
            raise TypeError(
                "fit_blocks reads the rows once a pass and needs a callable that starts afresh,"
                " such as lambda: read(path); for a stream that passes once, use partial_fit."
            )
        self.make, self._n = make, None

    def blocks(self):
        """Yield what a fresh iterator does; a ValueError where it yields other rows than before."""
        n = 0
        for number, block in enumerate(self.make()):
            if not (isinstance(block, (tuple, list)) and len(block) in (2, 3)):
                raise TypeError(
                    f"block {number} is a {type(block).__name__}; fit_blocks takes blocks (X, y) or"
                    " (X, y, sample_weight)."
                )
            X, y, *weight = block
            n += _num_samples(X)
            yield X, y, weight[0] if weight else None
        if self._n not in (None, n):
            raise ValueError(
                f"the blocks changed between passes: {self._n} rows, then {n}; every call has to"
                " start afresh and give the same rows."
            )
        self._n = n


def source_of(X, y, weight) -> Source | None:
    """Return the source of rows that `fit` reads by blocks, None of rows that are in memory.

    Numpy's memory maps count as memory: the operating system reads them as they are needed.
    """
    if is_lazy(X):
        from .dask_source import DaskSource

        return DaskSource(X, y, weight)
    return MemorySource(X, y, weight) if is_sliced(X) else None


class SourceBatches(Batches):
    """Rows that are read again, block by block, for every pass.

    Parameters
    ----------
    source : Source
    reader : callable, see above
        What it makes of y is what the experts see, but for its units.
    x, y : Scaling
    n : int
        Rows that the reader leaves.
    total_weight : float
    dtype : dtype of X
    n_threads : int, default=1
    """

    def __init__(self, source, reader, x, y, n, total_weight, dtype, n_threads=1):
        self.source, self.reader, self.n_threads = source, reader, n_threads
        self._units = x, y, x.for_kernels(dtype)
        self._n, self._total = n, total_weight
        self._row_bytes = max(x.n_inner, 1) * dtype.itemsize

    @property
    def n(self):
        """The number of rows."""
        return self._n

    @property
    def total_weight(self):
        """Σ weight."""
        return self._total

    @property
    def _chunk(self):
        return chunk_rows(self.n, self._row_bytes)

    def map_sum(self, function, params, scaled=False):
        """Return Σ `function(params, X, y, weight)` over the chunks, in their order."""
        part = functools.partial(_in_units, function, params, *self._units, scaled)
        asked = Sum(part, self._chunk)
        return self.source.total(self.reader, asked, n_threads=self.n_threads)[0]

    def blocks(self, size=None, order=None):
        """Yield all rows in their order, `size` at a time or chunk by chunk."""
        for rows in self.source.pieces(self.reader, self._chunk if size is None else size):
            yield _in_units(_as_block, None, *self._units, False, *rows)

    @functools.cached_property
    def _first(self):
        rows = self.source.take(self.reader, np.zeros(1, dtype=int))
        return _in_units(_as_block, None, *self._units, False, *rows)

    def first(self):
        """Return the first row as a block, read once."""
        return self._first

    def sample(self, n, rng):
        """Return at most n of the rows in memory, those that rows in memory would be sampled to."""
        n = sample_size(n, self._row_bytes)
        rows = np.arange(self.n) if self.n <= n else drawn(self.n, n, rng)
        taken = self.source.take(self.reader, rows)
        X, y, weight, _ = _in_units(_as_block, None, *self._units, False, *taken)
        return ArrayBatches(X, y, weight, self.n_threads, rows)

    def split(self, fraction, rng):
        """Rows are not drawn from blocks: fits that do are refused."""
        raise ValueError("early_stopping holds rows back at random, which blocks do not allow.")

    def minibatches(self, size, rng):
        """Rows are not drawn from blocks: fits that do are refused."""
        raise ValueError("minibatches are drawn at random, which blocks do not allow.")

    def with_facts(self, **facts):
        """Facts of single rows do not travel with blocks: fits that have any are refused."""
        raise ValueError(f"{next(iter(facts))} belong to rows in memory; pass arrays in memory.")


def _in_units(function, params, x, y_units, units, scaled, X, y, weight):
    """Return a function of rows in internal units, as `ArrayBatches.map_sum` calls it."""
    X = Scaled(X, x, units) if scaled and units is not None else x.apply(X)
    return function(params, X, y_units.apply(y) if y_units.changes else y, weight)


def _as_block(params, X, y, weight):
    return Block(X, y, weight, {})
