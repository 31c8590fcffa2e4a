"""Small symmetric solves that never fail."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

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
    scale = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 0.0)
    scaled = matrix * (scale[:, None] * scale)
    right = (rhs.T * scale).T
    try:
        factor = cho_factor(scaled, check_finite=False)
        if np.diagonal(factor[0]).min(initial=1.0) > 1e-4:
            return (cho_solve(factor, right, check_finite=False).T * scale).T
    except LinAlgError:
        pass
    if not np.isfinite(scaled).all():
        return np.full_like(rhs, np.nan)  # the caller rejects the step
    values, vectors = eigh(scaled, check_finite=False)
    keep = values > CUT * max(values[-1], 1e-300) if len(values) else values > 0
    vectors = vectors[:, keep]
    return ((vectors @ ((vectors.T @ right).T / values[keep]).T).T * scale).T


def clip_eigenvalues(matrix: np.ndarray, floor: float) -> np.ndarray:
    """The nearest symmetric matrix whose eigenvalues are at least `floor`."""
    matrix = 0.5 * (matrix + matrix.T)
    if len(matrix) == 1:
        return np.maximum(matrix, floor)
    if not np.isfinite(matrix).all():
        return np.full_like(matrix, np.nan)  # the caller rejects the step
    values, vectors = eigh(matrix, check_finite=False)
    if values[0] >= floor:
        return matrix
    return (vectors * np.maximum(values, floor)) @ vectors.T
