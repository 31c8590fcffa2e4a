"""Derivatives of elliptical densities, in the free entries of a Cholesky factor."""

import itertools

import numpy as np
import pytest
from scipy import stats

from classic_moe.parts import elliptical
from classic_moe.parts.covariance import STRUCTURES

n, H = 4, 3e-4


def log_normal(y, theta, structure, factor):
    """log N(y; μ, LLᵀ) by scipy, with θ the changes of μ and of the free numbers of L."""
    q = len(factor)
    L = factor.copy()
    for change, entries in zip(theta[q:], structure.cholesky(q), strict=True):
        for a, b in entries:
            L[a, b] = L[a, b] * np.exp(change) if a == b else L[a, b] + change
    return np.atleast_1d(stats.multivariate_normal(theta[:q], L @ L.T).logpdf(y))


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("name", STRUCTURES)
def test_of_the_normal_distribution_they_are_those_of_scipys_density(name, q):
    rng, structure = np.random.default_rng(q), STRUCTURES[name]
    y, matrix = rng.standard_normal((n, q)), rng.standard_normal((q, q + 2))
    factor = np.linalg.cholesky(structure.project((matrix @ matrix.T)[None]))
    U = np.linalg.solve(factor[0], y.T).T[:, None]
    cholesky = structure.cholesky(q)
    slope, curvature = elliptical.derivatives(U, factor, cholesky, elliptical.NORMAL)
    m = q + len(cholesky)
    assert slope.shape == (n, 1, m) and curvature.shape == (n, 1, m, m)

    def at(theta):
        return log_normal(y, theta, structure, factor[0])

    steps = H * np.eye(m)
    for i, one in enumerate(steps):
        difference = (at(one) - at(-one)) / (2 * H)
        np.testing.assert_allclose(slope[:, 0, i], difference, rtol=1e-5, atol=1e-5)  # H²
        for j, other in enumerate(steps):
            corners = [
                a * b * at(a * one + b * other) for a, b in itertools.product((-1, 1), repeat=2)
            ]
            difference = -sum(corners) / (4 * H**2)
            np.testing.assert_allclose(curvature[:, 0, i, j], difference, rtol=1e-5, atol=1e-5)


def test_second_derivatives_are_left_out_where_not_wanted():
    U = np.ones((n, 2, 1))
    factors = np.ones((1, 1, 1))
    slope, curvature = elliptical.derivatives(
        U, factors, STRUCTURES["tied"].cholesky(1), elliptical.NORMAL, second=False
    )
    assert slope.shape == (n, 2, 2) and curvature is None
