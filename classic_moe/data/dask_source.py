"""Collections of dask: their blocks stay where they are, and tasks look at one each.

What comes back to the caller's process are sums over all rows, numbers of rows, a sample, and a few
rows of one block. Nothing is asked of a collection that needs its length, which may be unknown.
This is the only module that imports dask, when it is called.
"""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples

from ..parts.blas import one_blas_thread
from ..parts.storage import dense, is_lazy, sliced
from .sources import Rows, Source, joined

MANY_BLOCKS = 5000
"""More than these are a caution: a task costs a scheduler about a millisecond."""
HEAD_ROWS = 1024
"""Rows of the first block that are looked at for what the columns and targets are."""


class DaskSource(Source):
    """Rows of dask's arrays and dataframes, whose blocks belong together one by one.

    Sums are those of the blocks, added by pairs of neighbours: the same for any number of workers,
    and after any of them has been replaced, but for the rounding not those of rows in memory.

    Parameters
    ----------
    X : dask array of shape (n, p), or dask dataframe
    y : dask array of shape (n,) or (n, q), or dask dataframe or series
    weight : the same of shape (n,), default=None

    Raises
    ------
    TypeError
        For y or weights that are no collections of dask.
    ValueError
        For collections of different blocks.
    """

    def __init__(self, X, y, weight=None):
        self._blocks = _aligned(X=X, y=y, sample_weight=weight)
        self._counted = None, None

    def blocks(self):
        """Yield (X, y, weight) of the blocks, each brought here when it is asked for."""
        for block in self._blocks:
            yield _computed(*block)

    def caution(self):
        """Return what is to be said of very many blocks, str or None."""
        if len(self._blocks) <= MANY_BLOCKS:
            return None
        return (
            f"X comes in {len(self._blocks)} blocks, and a pass has two tasks for each: with more"
            f" than {MANY_BLOCKS} the scheduler may take longer than the sums. Make them larger, of"
            " 1 to 4 million rows: X.rechunk({0: 2_000_000}) of an array,"
            " X.repartition(partition_size='256MB') of a dataframe, and y likewise."
        )

    def head(self):
        """Return X and y of some rows of the first block with any; a ValueError without rows."""
        for block in self._blocks:
            (head,) = _computed(_task(_first_rows, *block))
            if _num_samples(head[0]):
                return head
        return super().head()  # which says that there are none

    def total(self, reader, *sums, n_threads=1):
        """Return every `Sum` over all rows: one task a block, one for each pair of neighbours.

        Each task uses one thread, whatever `n_threads` says.
        """
        job = _shared(_Job(reader, sums))
        found = [_task(_sums, job, number, *block) for number, block in enumerate(self._blocks)]
        while len(found) > 1:
            pairs = zip(found[::2], found[1::2], strict=False)
            rest = found[len(found) // 2 * 2 :]
            found = [*(_task(_added, job, *pair) for pair in pairs), *rest]
        return _checked(_computed(*found))[0]

    def take(self, reader, positions):
        """Return the rows at increasing positions among those that the reader leaves."""
        job, tasks, done = _shared(_Job(reader)), [], 0
        for number, count in enumerate(self._counts(reader)):
            first, last = np.searchsorted(positions, [done, done + count])
            if last > first:
                own = positions[first:last] - done
                tasks.append(_task(_taken, job, number, own, *self._blocks[number]))
            done += count
        return joined(_checked(_computed(*tasks)))

    def _counts(self, reader):
        """Return how many rows the reader leaves of every block, a list of int; asked once."""
        if self._counted[0] is not reader:
            job = _shared(_Job(reader))
            blocks = enumerate(self._blocks)
            tasks = [_task(_count, job, number, *block) for number, block in blocks]
            self._counted = reader, _checked(_computed(*tasks))
        return self._counted[1]


# -- tasks: what is done where a block lies ------------------------------------------------------


class _Job:
    """What all tasks of a pass are told, sent once: a reader, and sums.

    Errors are handed back as values: a scheduler would log each with its traceback, and some are
    answers, such as that of a covariance that is none.
    """

    def __init__(self, reader, sums=()):
        self.reader, self.sums = reader, sums


class _Failure(NamedTuple):
    """An error in place of a value."""

    error: Exception


class _Block(Source):
    """One block as a source of its own, with the number it has among all."""

    def __init__(self, number, *block):
        self.number, self.block = number, block

    def blocks(self):
        """Yield the block."""
        yield self.block

    def read(self, reader):
        """Yield what a reader makes of the block, unless it has no rows."""
        rows = reader(self.number, *self.block)
        if rows is not None:
            yield rows


def _guarded(function, *args):
    """Return what a function says, or its error as a `_Failure`; BLAS has one thread meanwhile."""
    try:
        with one_blas_thread():
            return function(*args)
    except Exception as error:  # any: it is raised again in the caller's process
        return _Failure(error)


def _sums(job, number, *block):
    """Return the sums over one block, a list with None for those of no rows; or a `_Failure`."""
    return _guarded(_Block(number, *block).total, job.reader, *job.sums)


def _added(job, one, other):
    """Return the sums of two neighbours, a list; or the first `_Failure`."""
    for each in (one, other):
        if isinstance(each, _Failure):
            return each
    pairs = zip(job.sums, one, other, strict=True)
    return [b if a is None else a if b is None else own.add(a, b) for own, a, b in pairs]


def _count(job, number, *block):
    """Return how many rows of a block count, an int; or a `_Failure`."""
    return _guarded(lambda: sum(len(r.weight) for r in _Block(number, *block).read(job.reader)))


def _taken(job, number, positions, *block) -> Rows:
    """Return the rows of a block at positions, dense; or a `_Failure`."""

    def taken():
        (rows,) = _Block(number, *block).read(job.reader)
        rows = rows.take(positions)
        return rows._replace(X=dense(rows.X))

    return _guarded(taken)


def _first_rows(X, y, weight):
    """Return X and y of the first rows of a block, a pair."""
    return tuple(sliced(values, 0, HEAD_ROWS) for values in (X, y))


def _said(job, nothing, *block):
    """Return what a method says of a block; of one without rows `nothing`, (0, ...)."""
    if not _num_samples(block[0]):
        return nothing
    estimator, name, options = job.reader
    return operator.methodcaller(name, *block, **options)(estimator)


# -- dask ----------------------------------------------------------------------------------------


def lazily(estimator, name, X, y=None, trailing=None, dtype=None, **options):
    """Return what a method says of every row, an array of dask that is worked out when asked for.

    Parameters
    ----------
    estimator : a fitted estimator, as it will be asked
    name : str, its method
    X, y : collections of dask; y None for a method of X alone
    trailing, dtype : the shape of what is said of a row, and its type; None: as of a trial row
    **options : of the method

    Returns
    -------
    dask array of shape (n, ...), in the blocks of X
    """
    import dask.array

    given = dict(X=X) if y is None else dict(X=X, y=y)
    blocks = _aligned(**given)
    if trailing is None:
        trial = operator.methodcaller(name, _trial_row(X), **options)(estimator)
        trailing, dtype = trial.shape[1:], trial.dtype
    nothing = np.empty((0, *trailing), dtype)
    job = _shared(_Job((estimator, name, options)))
    sizes = X.chunks[0] if isinstance(X, dask.array.Array) else [np.nan] * len(blocks)
    parts = [
        dask.array.from_delayed(_task(_said, job, nothing, *block), (size, *trailing), dtype)
        for block, size in zip(blocks, sizes, strict=True)
    ]
    return dask.array.concatenate(parts, axis=0, allow_unknown_chunksizes=True)


def _trial_row(X):
    """Return a row such as X has, with its names and types."""
    import dask.array

    if isinstance(X, dask.array.Array):
        return np.zeros((1, *X.shape[1:]), X.dtype)
    return X._meta_nonempty.iloc[:1]


def _aligned(**given):
    """Return the blocks of collections, as tuples of what dask calls delayed; None stays None."""
    present = {name: values for name, values in given.items() if values is not None}
    for name, values in present.items():
        if not is_lazy(values):
            raise TypeError(
                f"X is a collection of dask and {name} a {type(values).__name__}; make it one of"
                f" the same blocks, such as dask.array.from_array({name}, chunks=X.chunks[0])."
            )
    columns = {name: _delayed(values) for name, values in present.items()}
    n, sizes = len(columns["X"]), _sizes(given["X"])
    for name, own in columns.items():
        both = sizes, _sizes(present[name])
        differ = None not in both and both[0] != both[1]
        if len(own) != n or differ:
            how = f"{len(own)}" if len(own) != n else "others"
            raise ValueError(
                f"X has {n} blocks of rows and {name} {how}; {name}.rechunk(X.chunks[0]), or take"
                " both from one dataframe."
            )
    return list(zip(*(columns.get(name, [None] * n) for name in given), strict=True))


def _sizes(values):
    """Return the rows of the blocks, a tuple of int; None where they are not known."""
    import dask.array

    known = isinstance(values, dask.array.Array) and not np.isnan(values.chunks[0]).any()
    return values.chunks[0] if known else None


def _delayed(values):
    """Return the blocks of rows of a collection, each with all of its columns, a list."""
    import dask.array

    if isinstance(values, dask.array.Array):
        values = values.rechunk({j: -1 for j in range(1, values.ndim)})
        return values.to_delayed().ravel().tolist()
    return list(values.to_delayed())


def _task(function, *args):
    """Return the task of calling a function."""
    import dask

    return dask.delayed(function, pure=False)(*args)


def _shared(job):
    """Return a job as something that tasks share."""
    import dask

    return dask.delayed(job, pure=False, traverse=False)


def _computed(*tasks):
    """Return the values of tasks, a tuple; worked out by the client there is, or by threads."""
    import dask

    return dask.compute(*tasks)


def _checked(values):
    """Return values as they are; of the first `_Failure` among them the error is raised."""
    for value in values:
        if isinstance(value, _Failure):
            raise value.error
    return values
