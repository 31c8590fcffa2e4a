"""Small solves are exact where the data determine the answer, and never fail elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe.parts.linalg import (
    CUT,
    clip_all,
    clip_eigenvalues,
    eigenvalues,
    inverse,
    quasi_newton,
    solve,
    solve_all,
)


def gram(m, rank, seed=0):
    rows = np.random.default_rng(seed).standard_normal((rank, m))
    return rows.T @ rows


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3)])
def test_a_regular_system_is_solved(shape):
    matrix, rhs = gram(5, 20), np.random.default_rng(1).standard_normal(shape)
    expected = np.linalg.solve(matrix, rhs)
    np.testing.assert_allclose(solve(matrix, rhs), expected, rtol=1e-12)  # condition about 10


@settings(max_examples=50, deadline=None)
@given(exponents=st.lists(st.integers(-140, 140), min_size=4, max_size=4))
def test_the_size_of_the_unknowns_does_not_matter(exponents):
    size = 10.0 ** np.array(exponents)
    matrix, x = gram(4, 20), np.arange(1.0, 5.0)
    scaled = matrix * size[:, None] * size
    solution = solve(scaled, matrix @ x * size)
    np.testing.assert_allclose(solution * size, x, rtol=1e-12)  # as well as without the sizes


def test_a_nearly_singular_system_is_solved_to_its_condition():
    matrix = np.array([[1.0, 1 - 1e-8], [1 - 1e-8, 1.0]])  # Cholesky's last pivot is about 1e-4
    np.testing.assert_allclose(matrix @ solve(matrix, np.array([1.0, -1.0])), [1, -1], rtol=1e-7)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_a_singular_system_gets_a_solution_without_its_null_space(rank):
    matrix = gram(5, rank)
    x = solve(matrix, matrix @ np.arange(5.0))
    np.testing.assert_allclose(matrix @ x, matrix @ np.arange(5.0), atol=1e-9)
    assert np.abs(x).max() < 100  # null directions would be blown up by 1 / rounding


def test_what_the_matrix_cannot_reach_is_left_out():
    matrix = np.diag([1.0, 0.0])
    assert np.array_equal(solve(matrix, np.array([2.0, 7.0])), [2.0, 0.0])


def test_directions_below_the_cut_are_left_out():
    basis = np.linalg.qr(gram(3, 3))[0]
    for relative, kept in ((100 * CUT, True), (CUT / 100, False)):
        matrix = (basis * [1.0, 0.5, relative]) @ basis.T
        along = basis[:, 2] @ solve(matrix, basis[:, 2] * relative)
        assert abs(along - kept) < 1e-2  # of a matrix that has lost six digits there


def test_no_unknowns_have_no_solution():
    assert solve(np.empty((0, 0)), np.empty(0)).shape == (0,)
    assert solve(np.empty((0, 0)), np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_matrix_with_nan_or_infinity_gives_nan_not_an_error(bad):
    matrix = np.eye(3)
    matrix[0, 1] = matrix[1, 0] = bad
    assert np.isnan(solve(matrix, np.ones(3))).all()


def test_solve_leaves_its_arguments_alone():
    matrix, rhs = gram(4, 2), np.ones((4, 2))
    before = matrix.copy(), rhs.copy()
    matrix.flags.writeable = rhs.flags.writeable = False
    solve(matrix, rhs)
    assert np.array_equal(matrix, before[0]) and np.array_equal(rhs, before[1])


# -- eigenvalues -------------------------------------------------------------------------------


def test_eigenvalues_below_the_floor_are_lifted_and_the_others_kept():
    basis = np.linalg.qr(gram(3, 3))[0]
    clipped = clip_eigenvalues((basis * [2.0, 1e-9, -1.0]) @ basis.T, 1e-3)
    expected = (basis * [2.0, 1e-3, 1e-3]) @ basis.T
    np.testing.assert_allclose(clipped, expected, atol=1e-14)


@pytest.mark.parametrize("m", [1, 2, 4])
def test_a_matrix_above_the_floor_is_returned_symmetric_and_else_unchanged(m):
    matrix = gram(m, 10)
    assert np.array_equal(clip_eigenvalues(matrix, 1e-12), 0.5 * (matrix + matrix.T))


@pytest.mark.parametrize("value, expected", [(2.0, 2.0), (-1.0, 0.5), (0.0, 0.5)])
def test_one_by_one_is_a_maximum(value, expected):
    assert clip_eigenvalues(np.array([[value]]), 0.5) == expected


@pytest.mark.parametrize("m", [1, 3])
def test_clipping_nan_gives_nan_not_an_error(m):
    assert np.isnan(clip_eigenvalues(np.full((m, m), np.nan), 1e-12)).any()


def test_many_systems_are_solved_as_each_alone():
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((12, 4, 6))
    matrices, rhs = factors @ factors.swapaxes(1, 2), rng.standard_normal((12, 4, 2))
    for worst in (matrices, matrices * (np.arange(4) > 0) * (np.arange(4) > 0)[:, None]):
        each = np.stack([solve(*system) for system in zip(worst, rhs, strict=True)])
        # Two factorisations of systems with condition numbers up to some hundred.
        assert_allclose(solve_all(worst, rhs), each, rtol=1e-11, atol=1e-12)
    broken = np.where(np.arange(12)[:, None, None] == 2, np.nan, matrices)
    found = solve_all(broken, rhs)
    assert np.isnan(found[2]).all() and np.isfinite(np.delete(found, 2, axis=0)).all()


def test_many_matrices_are_clipped_as_each_alone():
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((4, 3, 3))
    matrices = factors @ factors.swapaxes(1, 2)
    for floor in (1e-6, 1.0):
        each = np.stack([clip_eigenvalues(matrix, floor) for matrix in matrices])
        assert_array_equal(clip_all(matrices, floor), each)


GRADED = np.array([[1.0, 0.3, 4e7], [0.3, 2.0, -1e7], [4e7, -1e7, 1e16]])
"""A covariance of columns of size 1, 1.4 and 1e8, of condition 8 in their own units."""


def test_small_eigenvalues_beside_huge_ones_are_known():
    # the Schur complement of the huge column holds the other two, to 1e-16 of them
    rest = GRADED[:2, :2] - np.outer(GRADED[:2, 2], GRADED[2, :2]) / GRADED[2, 2]
    expected = [*np.linalg.eigvalsh(rest), 1e16]
    # singular values are known to 1e-16 of the largest, 1e8
    np.testing.assert_allclose(eigenvalues(GRADED[None])[0], expected, rtol=1e-7)


def test_eigenvalues_of_ordinary_and_of_impossible_matrices_are_numpys():
    matrices = np.array([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 2.0], [2.0, 1.0]]])
    assert_array_equal(eigenvalues(matrices), np.linalg.eigvalsh(matrices))
    assert eigenvalues(np.zeros((2, 0, 0))).shape == (2, 0)


def test_clipping_leaves_a_graded_covariance_alone_and_mends_a_singular_one():
    assert_array_equal(clip_eigenvalues(GRADED, 1e-12), GRADED)
    root = np.array([1.0, 1.0, 1e8])
    clipped = clip_eigenvalues(np.outer(root, root) + np.diag([0, 1.0, 0]), 1e-12)
    factor = np.linalg.cholesky(clipped)  # has one
    np.testing.assert_allclose(factor @ factor.T, clipped, rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_clipping_is_not_fooled_by_eigenvalues_that_are_noise(seed):
    z, boolean = np.random.default_rng(seed).standard_normal((2, 12))
    rows = np.column_stack([z, 1e8 * boolean, 2e8 * boolean, z > 0])
    rows -= rows.mean(axis=0)
    covariance = rows.T @ rows / 12  # singular; eigvalsh has it off by up to 1e-16 of 5e16
    factor = np.linalg.cholesky(clip_all(np.stack([covariance] * 2), 1e-12)[0])
    assert_allclose(factor @ factor.T, covariance, rtol=1e-10, atol=1e-5)


def test_an_inverse_leaves_out_what_is_singular():
    regular, singular = gram(3, 20), np.array([[1.0, 2e8], [2e8, 4e16]])
    assert_array_equal(inverse(regular[None]), np.linalg.inv(regular[None]))
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.inv(singular)
    found = inverse(singular[None])[0]
    # The four conditions of Moore and Penrose but for symmetry, which is in the units of the rows.
    assert_allclose(singular @ found @ singular, singular, rtol=1e-12)
    assert_allclose(found @ singular @ found, found, rtol=1e-12)


@pytest.mark.parametrize("n_pairs", [0, 1, 4])
def test_the_two_loops_of_lbfgs_are_the_updates_of_bfgs(n_pairs):
    """Against the inverse Hessian written out, which takes the last turn to the last step."""
    rng = np.random.default_rng(n_pairs)
    curvature, steps = gram(5, 20), rng.standard_normal((n_pairs, 5))
    pairs = [(step, curvature @ step) for step in steps]
    H = (
        np.eye(5)
        if not pairs
        else np.eye(5) * (pairs[-1][0] @ pairs[-1][1]) / sum(pairs[-1][1] ** 2)
    )
    for s, y in pairs:
        left = np.eye(5) - np.outer(s, y) / (s @ y)
        H = left @ H @ left.T + np.outer(s, s) / (s @ y)
    vector = rng.standard_normal(5)
    assert_allclose(quasi_newton(vector, pairs), H @ vector, rtol=1e-10)  # ten products
    if pairs:
        assert_allclose(quasi_newton(pairs[-1][1], pairs), pairs[-1][0], rtol=1e-10)
