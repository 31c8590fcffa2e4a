"""Structures of covariance matrices: what each `covariance_type` means, for experts and gates.

The matrices of K experts are an array (m, q, q) with m = K, or m = 1 where they share one. Their
free coordinates are entries of the Cholesky factor L, Σ = L Lᵀ, with the logarithm of the diagonal;
see `classic_moe.parts.coordinates`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from .linalg import inverse

LEAST_ROWS, MOST_ROWS, TRIALS = 1e-2, 1e3, 51
"""Pseudo-rows that the variances of experts are given at least and, of equal noise, at most; and
how many numbers between are tried."""
HALVINGS = 50
"""Of the interval in which the logarithm of a variance is sought."""


class Full:
    """Any matrix, one for each expert."""

    name = "full"
    shared = False
    """Whether the experts have one matrix in common, stored once."""
    diagonal = False
    """Whether all off-diagonals are 0."""

    def n_matrices(self, n_experts):
        """Return m, the number of matrices of K experts."""
        return 1 if self.shared else n_experts

    def n_free(self, n_experts, q):
        """Return the number of free parameters of the matrices of K experts."""
        return self.n_matrices(n_experts) * len(self.cholesky(q))

    def pool(self, values):
        """Sum what belongs to the same matrix: (K, ...) -> (m, ...)."""
        return values.sum(axis=0, keepdims=True) if self.shared else values

    def project(self, matrices):
        """Return the nearest matrices of this structure, (m, q, q); linear, so for slopes too."""
        return matrices

    def cholesky(self, q):
        """Return the free entries (a, b) of L, one tuple for each free number.

        A number that stands at several places, as the one of "spherical", has several entries.
        """
        return tuple(((a, b),) for a in range(q) for b in range(a + 1))

    def entries(self, q):
        """Return `cholesky` as `Predictor.entries` of a leaf (m, q, q)."""
        first = (0,) if self.shared else ()
        return [tuple(first + entry for entry in entries) for entries in self.cholesky(q)]

    def log_prior(self, matrices, pseudo):
        """Return -½·Σ (ν log|Σ_k| + tr T_k Σ_k⁻¹) of `PseudoRows` ν with the scatter T."""
        _, log_det = np.linalg.slogdet(matrices)
        precision = inverse(matrices)
        traces = np.sum(pseudo.scatter(matrices.shape[1]) * precision, axis=(1, 2))
        return -0.5 * np.sum(pseudo.rows * log_det + traces)

    def slope(self, matrices, scatter, rows):
        """Return the derivative of Σ resp·log N in the matrices, (m, q, q).

        With S = Σ resp r rᵀ (m, q, q), of `rows` (m,) rows, it is ½ (Σ⁻¹ S Σ⁻¹ - n Σ⁻¹).
        """
        precision = inverse(matrices)
        n = rows[:, None, None]
        return self.project(0.5 * (precision @ scatter @ precision - n * precision))


class Diagonal(Full):
    """Independent outputs, a variance for each, for each expert."""

    name = "diag"
    diagonal = True

    def project(self, matrices):
        """Drop the off-diagonals, (K, q, q)."""
        return matrices * np.eye(matrices.shape[1])

    def cholesky(self, q):
        """Return the diagonal entries, q numbers."""
        return tuple(((a, a),) for a in range(q))


class Spherical(Full):
    """One variance for all outputs, for each expert."""

    name = "spherical"
    diagonal = True

    def project(self, matrices):
        """Put the mean variance on the diagonal, (K, q, q)."""
        mean = np.trace(matrices, axis1=1, axis2=2) / max(matrices.shape[1], 1)
        return mean[:, None, None] * np.eye(matrices.shape[1])

    def cholesky(self, q):
        """Return all diagonal entries as one number."""
        return (tuple((a, a) for a in range(q)),) if q else ()


class Tied(Full):
    """Any matrix, one for all experts."""

    name = "tied"
    shared = True

    def project(self, matrices):
        """Average over the experts, (1, q, q)."""
        return matrices.mean(axis=0, keepdims=True)


STRUCTURES = {kind.name: kind() for kind in (Full, Diagonal, Spherical, Tied)}
"""The structures by the name of their `covariance_type`."""


def common_variance(squares, rows):
    """Return pseudo-rows ν and their variance s² that maximise the marginal likelihood.

    The variances of the experts are draws of s² ν / χ²_ν, so that a sum of squares S of m rows has
    the density Γ((ν + m)/2) / Γ(ν/2) (ν s²/2)^(ν/2) ((ν s² + S)/2)^(-(ν + m)/2) in S, up to a
    constant (Smyth, 2004).

    Parameters
    ----------
    squares, rows : ndarray of shape (m,)
        Sums of squared residuals and their degrees of freedom.

    Returns
    -------
    tuple of float

    References
    ----------
    Smyth, G. K. (2004). Linear models and empirical Bayes methods for assessing differential
    expression in microarray experiments. Statistical Applications in Genetics and Molecular Biology
    3, 3.
    """

    each = np.log(squares / rows)
    log_nu = np.linspace(np.log(LEAST_ROWS), np.log(MOST_ROWS), TRIALS)
    nu = np.exp(log_nu)[:, None]
    low, high = np.full((2, TRIALS, 1), [[[each.min()]], [[each.max()]]])
    for _ in range(HALVINGS):  # the best s² is a weighted harmonic mean of S / m and itself
        middle = (low + high) / 2
        s = np.exp(middle)
        above = np.mean((nu + rows) * s / (nu * s + squares), axis=1, keepdims=True) > 1
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    own = gammaln((nu + rows) / 2) - gammaln(nu / 2) + nu / 2 * np.log(nu * s / 2)
    value = np.sum(own - (nu + rows) / 2 * np.log((nu * s + squares) / 2), axis=1)
    best = int(np.argmax(value))
    return float(nu[best, 0]), float(s[best, 0])
