"""Structures of covariance matrices: projections, counts, free entries, prior and slope."""

import numpy as np
import pytest
from scipy import stats

from classic_moe.parts.coordinates import Coordinates
from classic_moe.parts.covariance import STRUCTURES, common_variance
from classic_moe.parts.penalties import PseudoRows

NAMES = list(STRUCTURES)
K = 3


def matrices(q, seed=0):
    factors = np.random.default_rng(seed).standard_normal((K, q, q + 2))
    return factors @ factors.swapaxes(1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_projection_is_linear_and_of_the_structure(name):
    structure, (A, B) = STRUCTURES[name], (matrices(3), matrices(3, seed=1))
    once = structure.project(A)
    assert once.shape == (structure.n_matrices(K), 3, 3)
    np.testing.assert_allclose(structure.project(once), once, rtol=1e-14)
    both = structure.project(A) + 2 * structure.project(B)
    np.testing.assert_allclose(structure.project(A + 2 * B), both, rtol=1e-13)
    # orthogonal: what is taken away has no share in what stays
    rest = A - once
    assert np.abs(np.sum(rest * once)) < 1e-12 * np.sum(A * A)


@pytest.mark.parametrize("q", [0, 1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_the_free_entries_are_counted_and_move_within_the_structure(name, q):
    structure = STRUCTURES[name]
    count = {"full": K * q * (q + 1) // 2, "diag": K * q, "spherical": K * (q > 0)}
    assert structure.n_free(K, q) == (count | {"tied": q * (q + 1) // 2})[name]
    params = {"matrix": structure.project(matrices(q))}
    coordinates = Coordinates({"matrix": "covariance"}, params)
    free, shape = coordinates.free(params), params["matrix"].shape
    for entries in structure.entries(q):
        step = np.zeros(shape)
        for entry in entries:
            step[entry if structure.shared else (slice(None), *entry)] = 0.3
        moved = coordinates.params(free + step.ravel())["matrix"]
        np.testing.assert_allclose(structure.project(moved), moved, rtol=1e-13, atol=1e-13)
        assert np.abs(moved - params["matrix"]).max() > 0.01


def test_what_belongs_to_a_shared_matrix_is_summed():
    rows = np.array([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(STRUCTURES["tied"].pool(rows), [7.0])
    assert STRUCTURES["full"].pool(rows) is rows


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_is_the_derivative_within_the_structure(name):
    structure, nu, h = STRUCTURES[name], 0.7, 1e-5
    S, rows = structure.pool(matrices(2, seed=1)), structure.pool(np.array([4.0, 5.0, 6.0]))
    at = structure.project(matrices(2))

    def objective(point):
        fit = np.trace(np.linalg.inv(point) @ S, axis1=1, axis2=2)
        own = -0.5 * np.sum(rows * np.linalg.slogdet(point)[1] + fit)
        return own + structure.log_prior(point, PseudoRows(nu))

    slope = structure.slope(at, S + nu * np.eye(2), rows + nu)
    rng = np.random.default_rng(3)
    for _ in range(4):
        step = rng.standard_normal(at.shape)
        step = structure.project(step + step.swapaxes(1, 2))
        difference = (objective(at + h * step) - objective(at - h * step)) / (2 * h)
        assert np.sum(slope * step) == pytest.approx(difference, rel=1e-6)  # h² and 1e-15/h


def test_the_common_variance_is_the_likeliest_of_scaled_f_distributions():
    """S / (m s²) is F of m and ν degrees of freedom, where variances are draws of s² ν / χ²."""
    rng = np.random.default_rng(0)
    rows = rng.uniform(5, 60, 6)
    squares = rows * np.exp(rng.standard_normal(6))

    def value(nu, variance):
        ratio = squares / (rows * variance)
        return np.sum(stats.f.logpdf(ratio, rows, nu) - np.log(rows * variance))

    nu, variance = common_variance(squares, rows)
    best = value(nu, variance)
    for other in np.geomspace(0.5, 2, 21):
        assert value(nu, other * variance) <= best + 1e-9
    # ν is one of 51 numbers from 0.01 to 1,000, each a quarter more than the last
    assert max(value(nu * 1.26, variance), value(nu / 1.26, variance)) < best
