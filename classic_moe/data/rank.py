"""Which columns of X say something of their own: what the number of free parameters rests on."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpstrf

from .._kernels import array
from ..parts.linalg import CUT
from .units import FLAT


def independent_columns(batches, columns=None):
    """Return a largest set of columns of X without a linear relation, constants included.

    The rank of the weighted design [1, x] is one more than their number. A column without spread
    is none of them, nor is all but one of several copies. As in every M-step, a direction whose
    variance is below `linalg.CUT` of the columns' own is one that the rows do not determine.

    Parameters
    ----------
    batches : Batches
        Rows in internal units.
    columns : ndarray of int of shape (p,), default=None
        Where the columns stand in the internal X; None means all.

    Returns
    -------
    ndarray of bool of shape (p,)
    """
    gram = batches.map_sum(_gram, {"columns": columns} | _centres(batches, columns))
    variance = np.diagonal(gram) / batches.total_weight
    varies = variance > FLAT**2
    kept = np.zeros(len(gram), dtype=bool)
    if varies.any():
        own = np.sqrt(np.diagonal(gram)[varies])
        # Cholesky with pivoting: the next pivot is the variance that those before leave unexplained
        correlation = gram[np.ix_(varies, varies)] / own / own[:, None]
        _, pivots, rank, _ = dpstrf(correlation, tol=CUT, lower=1)
        kept[np.flatnonzero(varies)[pivots[:rank] - 1]] = True
    return kept


def _centres(batches, columns):
    """Return the weighted means of the columns and of their sizes, (p,) each, a dict."""
    sums = batches.map_sum(_sums, {"columns": columns}) / batches.total_weight
    return {"centre": sums[0], "size": np.where(sums[1] > 0, sums[1], 1.0)}


def _sums(params, X, y, weight, **facts):
    """Return Σ weight·x and Σ weight·|x|, (2, p)."""
    X = _chosen(params, X)
    xp = array.namespace(X)
    return xp.stack([weight @ X, weight @ xp.abs(X)])


def _gram(params, X, y, weight, **facts):
    """Return Σ weight·z zᵀ with z = (x - centre)/size, (p, p)."""
    centre, size = array.like(X, params["centre"], params["size"])
    Z = (_chosen(params, X) - centre) / size
    return Z.T @ (weight[:, None] * Z)


def _chosen(params, X):
    """Return the columns in double precision, (n, p)."""
    xp = array.namespace(X)
    X = X if params["columns"] is None else array.columns_at(X, params["columns"])
    return xp.astype(X, xp.float64, copy=False)
