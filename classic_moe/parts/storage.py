"""How X is kept: dense in one order of its numbers, or sparse, of which rows are made dense."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import _num_samples

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
    """Return all of X as a dense array (n, p); a ValueError for a sparse X too large for that."""
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
