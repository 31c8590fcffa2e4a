"""Independent columns: the rank of a weighted design with an intercept."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from classic_moe.data.batches import ArrayBatches
from classic_moe.data.rank import independent_columns


def independent(X, weight=None, columns=None, n_threads=1):
    weight = np.ones(len(X)) if weight is None else weight
    return independent_columns(ArrayBatches(X, X[:, 0], weight, n_threads), columns)


@pytest.fixture
def plain():
    return np.random.default_rng(0).normal(size=(60, 3))


def rank(X):
    return np.linalg.matrix_rank(np.column_stack([np.ones(len(X)), X])) - 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_copied_and_dependent_columns_are_none(plain, dtype):
    X = np.column_stack([plain, np.zeros(60), np.full(60, 7.0), 3 - 2 * plain[:, 1]])
    X = np.column_stack([X, plain.sum(axis=1)]).astype(dtype)
    kept = independent(X)
    assert kept.sum() == 3 == rank(X[:, kept])
    assert not kept[3:5].any()
    assert_array_equal(independent(plain.astype(dtype)), True)


def test_a_full_set_of_dummies_is_one_too_many_beside_the_intercept():
    X = np.eye(4)[np.arange(40) % 4]
    assert independent(X).sum() == 3


@pytest.mark.parametrize("size", [1e-120, 1e-9, 1.0, 1e9, 1e120])
def test_units_and_far_origins_change_nothing(plain, size):
    X = size * np.column_stack([plain, plain[:, 0] + plain[:, 1]])
    assert independent(X).sum() == 3
    assert independent(X + 1e6 * size).sum() == 3


def test_columns_of_different_units_stand_side_by_side(plain):
    assert independent(plain * [1e-60, 1.0, 1e60]).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_rows_bound_the_rank(plain, n):
    assert independent(plain[:n]).sum() == min(n - 1, 3)
    wide = np.random.default_rng(1).normal(size=(n, 30))
    assert independent(wide).sum() == n - 1


def test_chosen_columns_are_judged_among_themselves(plain):
    X = np.column_stack([plain, plain[:, 0]])
    assert_array_equal(independent(X, columns=np.array([3, 1])), True)
    assert independent(X, columns=np.array([3, 0])).sum() == 1
    assert independent(X, columns=np.empty(0, dtype=int)).shape == (0,)


def test_a_column_that_weight_makes_constant_is_none(plain):
    X = np.column_stack([plain, np.arange(60) == 7])
    weight = np.ones(60)
    assert independent(X, weight).all()
    weight[7] = 0
    assert_array_equal(independent(X, weight), [True, True, True, False])


def test_a_small_deviation_counts_and_rounding_does_not(plain):
    other = plain[:, 1] * 1e-3
    assert independent(np.column_stack([plain[:, 0], plain[:, 0] + other])).all()
    rounded = plain[:, 0].astype(np.float32)
    assert independent(np.column_stack([plain[:, 0], rounded])).sum() == 1


def test_threads_change_nothing():
    X = np.random.default_rng(2).normal(size=(40_000, 4))
    X = np.column_stack([X, X[:, 0] - X[:, 3]])
    assert_array_equal(independent(X), independent(X, n_threads=2))
