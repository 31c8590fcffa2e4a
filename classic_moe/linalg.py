"""Small symmetric solves that never fail."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

CUT = 1e-10
"""Relative eigenvalue below which a direction counts as not determined by the data."""


def solve(matrix: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Solve `matrix @ x = rhs` for a positive semidefinite matrix, leaving out its null space.

    The matrix is scaled to a unit diagonal first. Well-conditioned systems take a Cholesky
    factorisation; the others an eigendecomposition that drops directions below `CUT`.

    Parameters
    ----------
    matrix : ndarray of shape (m, m)
    rhs : ndarray of shape (m,) or (m, r)

    Returns
    -------
    ndarray, the shape of `rhs`
    """
    diagonal = np.diagonal(matrix)
    positive = diagonal > 0
    scale = np.where(positive, 1 / np.sqrt(np.where(positive, diagonal, 1.0)), 0.0)
    scaled = matrix * scale[:, None] * scale  # in two steps: their product may overflow
    right = (rhs.T * scale).T
    if not right.size:
        return right
    # LAPACK itself: scipy's wrappers take longer than systems of this size.
    factor, failed = dpotrf(scaled, lower=1, clean=0)
    if not failed and np.diagonal(factor).min() > 1e-4:
        solution = dpotrs(factor, right, lower=1)[0].reshape(rhs.shape)
        return (solution.T * scale).T
    if not np.isfinite(scaled).all():
        return np.full_like(rhs, np.nan)  # the caller rejects the step
    values, vectors = np.linalg.eigh(scaled)
    keep = values > CUT * max(values[-1], 1e-300)
    vectors = vectors[:, keep]
    return ((vectors @ ((vectors.T @ right).T / values[keep]).T).T * scale).T


def clip_eigenvalues(matrix: np.ndarray, floor: float) -> np.ndarray:
    """The nearest symmetric matrix whose eigenvalues are at least `floor`."""
    matrix = 0.5 * (matrix + matrix.T)
    if len(matrix) == 1:
        return np.maximum(matrix, floor)
    if not np.isfinite(matrix).all():
        return np.full_like(matrix, np.nan)  # the caller rejects the step
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= floor:
        return matrix
    return (vectors * np.maximum(values, floor)) @ vectors.T
