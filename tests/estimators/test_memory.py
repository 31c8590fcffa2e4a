"""What a fit takes beside the caller's data: some numbers a row, and no copy of a large X."""

import tracemalloc

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.batches import KEPT_BYTES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, P, MIB = 400_000, 10, 2**20


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P))
    return X, np.abs(X[:, 0]) + 0.1 * rng.standard_normal(N)


def peak(options, X, y):
    """Most bytes in use while rows are fitted, after a fit of few that loads what it needs."""
    model = MixtureOfExpertsRegressor(2, n_init=2, max_iter=2, tol=1.0, random_state=0, **options)
    model.fit(X[:3000], y[:3000])
    tracemalloc.start()
    try:
        model.fit(X, y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "options", [{}, {"n_jobs": 2}, {"gate_features": [0, 1]}, {"standardize": False}], ids=str
)
def test_a_fit_makes_no_copy_of_a_large_x(rows, options, dtype):
    X, y = rows
    X = X.astype(dtype)
    kept = X.nbytes if X.nbytes <= KEPT_BYTES else 0  # 15 MiB in single precision, not 30 in double
    # the search has a sample and its numbers
    assert peak(options, X, y) < kept + 4 * y.nbytes + 6 * MIB
