"""Components with several outputs: densities, marginals and draws are those of scipy."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from classic_moe.distribution import MixtureDistribution
from classic_moe.distribution.multivariate import (
    IndependentComponents,
    MultivariateTComponents,
    t_covariance,
)

DF = np.array([1.5, 4.0])
MEAN = np.array([[[0.0, 1.0], [2.0, -1.0]], [[5.0, 0.0], [-3.0, 4.0]]])  # n = 2, K = 2, q = 2
MATRIX = np.array([[[1.0, 0.6], [0.6, 2.0]], [[0.5, -0.2], [-0.2, 0.3]]])
WEIGHTS = np.array([[0.3, 0.7], [1.0, 0.0]])
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def student():
    return MultivariateTComponents(DF, MEAN, MATRIX)


@pytest.fixture(scope="module")
def box():
    low = np.array([[0.0, 1.0], [-2.0, 5.0]])  # (K, q), the same in both rows
    return IndependentComponents(stats.uniform(low, [[1.0, 2.0], [4.0, 0.5]]), (2, 2, 2))


def test_student_t_is_scipys(student):
    y = np.random.default_rng(0).normal(size=(7, 2, 2), scale=5)
    log_density = student.logpdf(y)
    for i, k in np.ndindex(2, 2):
        peer = stats.multivariate_t(MEAN[i, k], MATRIX[k], DF[k])
        np.testing.assert_allclose(log_density[:, i, k], peer.logpdf(y[:, i]), rtol=ROUNDING)
    assert np.isfinite(student.logpdf(np.full((2, 2), 1e150))).all()


def test_an_output_of_student_t_alone_is_student_t(student):
    y = np.array([[0.5, -3.0], [2.0, 7.0]])
    expected = np.sum(
        [
            WEIGHTS[:, [k]] * stats.t(DF[k], MEAN[:, k], np.sqrt(np.diag(MATRIX[k]))).cdf(y)
            for k in range(2)
        ],
        axis=0,
    )
    dist = MixtureDistribution(WEIGHTS, student)
    np.testing.assert_allclose(dist.cdf(y), expected, rtol=ROUNDING)
    np.testing.assert_allclose(dist.cdf(dist.ppf(0.3)), 0.3, rtol=1e-10)


def test_the_covariance_of_student_t_is_infinite_up_to_two_degrees_of_freedom(student):
    assert np.isinf(student.covariance[0]).all()
    np.testing.assert_allclose(student.covariance[1], 2 * MATRIX[1])  # df/(df - 2) = 2
    covariance = MixtureDistribution([[0.0, 1.0], [0.5, 0.5]], student).covariance()
    np.testing.assert_allclose(covariance[0], 2 * MATRIX[1])  # what has no weight is ignored
    assert np.isinf(covariance[1]).all()


@pytest.mark.parametrize("name", ["student", "box"])
def test_draws_follow_the_marginals(name, request):
    components = request.getfixturevalue(name)
    draws = MixtureDistribution(WEIGHTS, components).rvs(size=4000, random_state=0)
    dist = MixtureDistribution(WEIGHTS, components)
    for i, j in np.ndindex(2, 2):
        uniform = dist.cdf(draws)[:, i, j]
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3  # four tests, fixed seed


def test_draws_of_student_t_have_one_tail_for_all_outputs():
    """Outputs of one draw share its chi-square: squares are correlated though Σ is diagonal."""
    components = MultivariateTComponents([5.0], np.zeros((1, 1, 2)), np.eye(2)[None])
    draws = MixtureDistribution([[1.0]], components).rvs(size=20_000, random_state=0)[:, 0]
    log_squares = np.log(draws**2)
    # Var log χ²₅ over Var log F₁,₅: ψ'(5/2) / (ψ'(1/2) + ψ'(5/2)); standard error 0.007
    expected = 0.490358 / (4.934802 + 0.490358)
    assert np.corrcoef(log_squares.T)[0, 1] == pytest.approx(expected, abs=0.03)


def test_independent_outputs_have_the_product_of_their_densities(box):
    y = np.array([[0.5, 1.5], [3.0, 1.5]])
    log_density = box.logpdf(y)
    np.testing.assert_allclose(log_density[0, 0], -np.log(2), rtol=ROUNDING)
    assert np.isneginf(log_density[1, 0])  # the first output is outside
    np.testing.assert_allclose(box.mean[0], [[0.5, 2.0], [0.0, 5.25]])
    np.testing.assert_allclose(box.covariance[1], np.diag([16.0, 0.25]) / 12)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="pass mean of shape"):
        MultivariateTComponents(DF, MEAN, np.eye(2))
    with pytest.raises(ValueError, match="a scale_matrix is not positive definite"):
        MultivariateTComponents(DF, MEAN, -MATRIX)


@pytest.mark.parametrize("df", [1.0, 2.0, 2.5])
def test_outputs_that_do_not_hang_together_have_no_covariance_whatever_the_tails(df):
    """Infinite variances of a diagonal scale matrix stand beside zeros, not beside inf·0."""
    covariance = t_covariance(np.array([df]), np.diag([1.0, 4.0])[None])[0]
    factor = np.inf if df <= 2 else df / (df - 2)
    assert_array_equal(covariance, [[factor, 0.0], [0.0, 4 * factor]])
