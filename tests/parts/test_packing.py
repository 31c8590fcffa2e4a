"""What is kept of large statistics: half of them, to seven digits of the noise, whatever it is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from classic_moe.parts.packing import SMALL, Factor, pack, unpack
from classic_moe.parts.statistics import Statistics


def gram(n=400, d=60, noise=1.0, seed=0):
    """Return the Gram matrix of d columns, of which the last is the noise off the others."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, d))
    Z[:, 0] = 1.0
    Z[:, -1] = Z[:, :-1] @ rng.standard_normal(d - 1) + noise * Z[:, -1]
    return Z.T @ Z


def assert_alike(one, other):
    """To the rounding of single precision, 6e-8, in two factors of at most 60 products each."""
    assert_allclose(one / np.abs(other).max(), other / np.abs(other).max(), rtol=0, atol=1e-6)


def left_over(matrix):
    """Return the square sum of the last column given the others."""
    inner, cross = matrix[:-1, :-1], matrix[:-1, -1]
    return matrix[-1, -1] - cross @ np.linalg.solve(inner, cross)


def test_small_statistics_are_kept_as_they_are():
    stats = Statistics(n=np.ones(3), gram=gram(d=SMALL), part=Statistics(hessian=np.eye(SMALL)))
    packed = pack(stats, spare=True)
    assert packed["gram"] is stats["gram"] and packed["n"] is stats["n"]
    assert packed["part"]["hessian"] is stats["part"]["hessian"]


def test_of_a_large_symmetric_matrix_half_is_kept_in_single_precision():
    stats = Statistics(part=Statistics(gram=np.stack([gram(), 3 * gram(seed=1)])))
    packed = pack(stats)["part"]["gram"]
    assert packed.upper.nbytes == 2 * 60 * 61 / 2 * 4
    assert_alike(unpack(pack(stats))["part"]["gram"], stats["part"]["gram"])


@pytest.mark.parametrize("noise", [1.0, 1e-3, 1e-5])
def test_the_noise_keeps_its_digits_however_small_it_is(noise):
    """In single precision the matrix itself knows nothing of noise below 1e-4."""
    matrix = gram(noise=noise)
    # the smallest is 1e-12 of the sum of squares: double precision itself has four digits of it
    assert left_over(Factor.of(matrix).unpacked()) == pytest.approx(left_over(matrix), rel=1e-3)


@pytest.mark.parametrize("size", [1e-140, 1e140])
def test_sums_of_any_size(size):
    matrix = size * gram()
    assert_alike(Factor.of(matrix).unpacked(), matrix)


def test_singular_matrices_have_a_factor():
    """Columns of zeros, columns twice, and the null direction of a softmax."""
    matrix = gram()
    matrix[5], matrix[:, 5] = 0.0, 0.0
    matrix[7], matrix[:, 7] = matrix[6], matrix[:, 6]
    matrix[7, 7] = matrix[7, 6] = matrix[6, 7] = matrix[6, 6]
    unpacked = Factor.of(matrix).unpacked()
    assert_alike(unpacked, matrix)
    assert not unpacked[5].any()
    hessian = np.einsum("cd,ij->cidj", np.eye(2) - 0.5, gram(d=30))
    assert_alike(Factor.of(hessian).unpacked(), hessian)


@pytest.mark.parametrize("what", ["indefinite", "lopsided", "NaN"])
def test_what_has_no_factor_is_kept_whole(what):
    matrix = gram()
    if what == "indefinite":
        matrix -= 50 * np.eye(len(matrix))
    elif what == "lopsided":
        matrix[0, 1] *= 1.001
    else:
        matrix[2, 2] = np.nan
    assert pack(Statistics(gram=matrix))["gram"] is matrix


def test_a_large_hessian_is_left_out_only_where_a_gram_matrix_bounds_it():
    hessian = np.einsum("cd,ij->cidj", np.eye(2) - 0.5, gram(d=30))
    beside = Statistics(gram=gram(d=30), hessian=hessian)
    assert sorted(pack(beside, spare=True)) == ["gram"]
    assert sorted(pack(beside)) == ["gram", "hessian"]
    assert sorted(pack(Statistics(hessian=hessian), spare=True)) == ["hessian"]
