"""Small symmetric solves that never fail, and the solve of L-BFGS."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

FEW = 8
"""Systems up to which each is solved by itself: a Cholesky solve keeps more digits than LU."""
LARGE = 64
"""Unknowns from which a system takes longer to solve than to call, so that each goes by itself."""
CUT = 1e-10
"""Relative eigenvalue below which a direction counts as not determined by the data."""
LOST = 1e-13
"""Eigenvalue, relative to the largest, that rounding may have made."""


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


def solve_all(matrices: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """`solve` for many systems at once: (m, d, d) and (m, d, r).

    Where there are many, small and all well conditioned, in a few calls.
    """
    if len(matrices) == 1:
        return solve(matrices[0], rhs[0])[None]
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    many = len(matrices) > FEW and rhs.size and rhs.shape[1] < LARGE
    if many and np.isfinite(matrices).all() and (diagonal > 0).all():
        scale = 1 / np.sqrt(diagonal)
        scaled = matrices * scale[:, :, None] * scale[:, None, :]
        try:
            factors = np.linalg.cholesky(scaled)
        except np.linalg.LinAlgError:
            pass
        else:
            if np.diagonal(factors, axis1=1, axis2=2).min() > 1e-4:
                return np.linalg.solve(scaled, rhs * scale[:, :, None]) * scale[:, :, None]
    return np.stack([solve(*system) for system in zip(matrices, rhs, strict=True)])


def inverse(matrices: np.ndarray) -> np.ndarray:
    """Return the inverses of positive semidefinite matrices, without their null spaces, (m, d, d).

    A covariance of columns that repeat each other in units far apart is positive definite to a
    Cholesky factorisation, and singular to an elimination.
    """
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        return np.stack([solve(matrix, np.eye(len(matrix))) for matrix in matrices])


def eigenvalues(matrices: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of symmetric matrices (m, d, d), ascending, (m, d).

    Of a matrix whose diagonal spans many powers of ten, `eigvalsh` knows the small ones only to the
    last digit of the largest. Its Cholesky factor does not mind, and their roots are the factor's
    singular values, of half as many powers.
    """
    values = np.linalg.eigvalsh(matrices)
    if not values.size or (values[:, 0] > LOST * values[:, -1]).all():
        return values
    try:
        return np.linalg.svd(np.linalg.cholesky(matrices), compute_uv=False)[:, ::-1] ** 2
    except np.linalg.LinAlgError:
        return values


def clip_all(matrices: np.ndarray, floor: float) -> np.ndarray:
    """`clip_eigenvalues` of many matrices, (m, d, d)."""
    matrices = 0.5 * (matrices + matrices.swapaxes(1, 2))
    if np.isfinite(matrices).all() and _above(np.linalg.eigvalsh(matrices), floor).all():
        return matrices
    return np.stack([clip_eigenvalues(matrix, floor) for matrix in matrices])


def _above(values, floor):
    """Tell whether the least of ascending eigenvalues (..., d) is above the floor, not by noise."""
    return (values[..., 0] >= floor) & (values[..., 0] >= LOST * values[..., -1])


def clip_eigenvalues(matrix: np.ndarray, floor: float) -> np.ndarray:
    """The nearest symmetric matrix whose eigenvalues are at least `floor`.

    Nearest in units of its diagonal, where that spans so much that rounding alone is beyond the
    floor: S = D R D with D² the diagonal, and R's eigenvalues are at least floor / min D².
    """
    matrix = 0.5 * (matrix + matrix.T)
    if len(matrix) == 1:
        return np.maximum(matrix, floor)
    if not np.isfinite(matrix).all():
        return np.full_like(matrix, np.nan)  # the caller rejects the step
    values, vectors = np.linalg.eigh(matrix)
    if _above(values, floor):
        return matrix
    if LOST * values[-1] <= floor:
        return (vectors * np.maximum(values, floor)) @ vectors.T
    root = np.sqrt(np.maximum(np.diagonal(matrix), floor))
    root[root == 0] = 1.0  # all that is in such a row is rounding
    values, vectors = np.linalg.eigh(matrix / root[:, None] / root)
    least = max(floor / root.min() ** 2, LOST)
    if values[0] >= least:
        return matrix
    return root[:, None] * ((vectors * np.maximum(values, least)) @ vectors.T) * root


def quasi_newton(vector: np.ndarray, pairs: list) -> np.ndarray:
    """Return H times a vector, (m,), H the inverse Hessian of L-BFGS by its two loops.

    `pairs` (s, y) are the last steps and the turns of the slope along them, the latest last, with
    sᵀy > 0. H = (I - s yᵀ/sᵀy) H' (I - y sᵀ/sᵀy) + s sᵀ/sᵀy, H' that of the pairs before, and of
    none sᵀy/yᵀy of the latest.
    """
    shares = []
    for step, turn in reversed(pairs):
        shares.append((step @ vector) / (step @ turn))
        vector = vector - shares[-1] * turn
    if pairs:
        step, turn = pairs[-1]
        vector = vector * (step @ turn) / (turn @ turn)
    for (step, turn), share in zip(pairs, reversed(shares), strict=True):
        vector = vector + (share - (turn @ vector) / (step @ turn)) * step
    return vector
