"""How X is kept: dense in one order of its numbers, or sparse, of which rows are made dense."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import _num_samples

from .._kernels import array

LARGEST = 2**30
"""Bytes of the largest dense copy of all of a sparse X; what needs a larger one refuses."""


def native(X):
    """Return an array, dense or sparse, with numbers in the machine's order of bytes."""
    if getattr(X, "shape", ())[1:] == (0,):  # a table without columns has no type
        return np.empty(X.shape)
    is_array = isinstance(X, np.ndarray) or issparse(X)
    if not is_array or X.dtype.isnative:
        return X
    return X.astype(X.dtype.newbyteorder("="))


ELSEWHERE = ("iloc", "__dlpack__", "__array_namespace__", "__array_interface__")
"""What tables and arrays have that are read whole, or lie on a device."""


def is_sliced(X):
    """Return whether X (n, p) is read from where it is stored, by slices of rows, a bool.

    So are the arrays of HDF5 and zarr. Numpy's memory maps are arrays: the operating system reads
    of them what is needed.
    """
    if isinstance(X, np.ndarray) or issparse(X):
        return False
    sliced = all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__"))
    return sliced and len(X.shape) == 2 and not any(hasattr(X, name) for name in ELSEWHERE)


def is_lazy(values):
    """Return whether values are a collection of dask, whose blocks lie elsewhere, a bool."""
    return any(own.__module__.startswith("dask.") for own in type(values).__mro__)


def check_memory(what, **given):
    """TypeError where one of what is given, by name, is a collection of dask."""
    for name, values in given.items():
        if is_lazy(values):
            raise TypeError(f"{what} needs {name} in memory; pass {name}.compute().")


def stored_rows(X):
    """Return how many rows of X are stored together, an int; 1 where any number is."""
    stored = getattr(X, "chunks", None)
    rows = stored[0] if stored else 1
    return max(rows) if isinstance(rows, tuple) else rows


def sliced(values, start, end):
    """Return some entries of an array, a table or a list."""
    return getattr(values, "iloc", values)[start:end]


class _Alias:
    """The memory of an array, as one that may be written to."""

    def __init__(self, X):
        self.X = X
        place = X.__array_interface__
        self.__array_interface__ = place | {"data": (place["data"][0], False)}


def writable(X):
    """Return the same memory under an array whose type is that of one that may be written to.

    Compiled code only reads, but would be compiled once more for memory maps that are read-only.
    """
    return X if X.flags.writeable else np.asarray(_Alias(X))


def no_columns(rows):
    """Return an X of no column for as many rows as something has, (n, 0)."""
    return np.empty((_num_samples(rows), 0))


def indexable(X, dtype=None):
    """Return X with rows and columns to choose from: an array, or a sparse array in rows (CSR)."""
    return X.tocsr() if issparse(X) else np.asarray(X, dtype=dtype)


def dense(X):
    """Return rows of X as a dense array (n, p) in C order; a dense X as it is."""
    return X.toarray(order="C") if issparse(X) else X


def all_dense(X, what):
    """Return all of X as a dense array (n, p); a ValueError for a sparse X too large for that.

    A TypeError for an X on a device.
    """
    if array.is_away(X):
        raise TypeError(f"{what} all rows of X on the host; pass {array.copied(X)}.")
    check_room(X, what)
    return dense(X)


def check_room(X, what, n_columns=None):
    """ValueError if X is sparse and all of it, or of some columns, is too large as a dense array.

    `what` needs it, with the verb, as in "EstimatorExpert(Ridge()) needs".
    """
    if not issparse(X):
        return
    width = X.shape[1] if n_columns is None else n_columns
    size = X.shape[0] * width * np.dtype(np.float64).itemsize
    if size > LARGEST:
        raise ValueError(
            f"{what} all rows of X as one dense array, and {X.shape[0]} rows of {width} columns"
            f" take {size / 2**30:.1f} GiB, more than the {LARGEST / 2**30:.2g} GiB that a sparse X"
            " may become; pass fewer rows, or fewer columns (SelectKBest or TruncatedSVD of"
            " scikit-learn before the estimator)."
        )
