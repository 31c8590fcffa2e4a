"""Rows in blocks: the fit is that of rows in memory, whatever the blocks are."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.data import batches, sources
from classic_moe.estimators import _blocks
from classic_moe.parts.params import leaves

N = 6000
"""Rows: more than a search looks at, so that the fit reads blocks after it."""


@pytest.fixture(scope="module")
def table():
    """X of columns with large means, and targets of every kind, by name."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((N, 3))
    y = np.where(z[:, 0] > 0, z[:, 1], 2 - z[:, 1]) + 0.3 * rng.standard_normal(N)
    counts = rng.poisson(np.exp(np.clip(0.5 * z[:, 0], -2, 2))).astype(float)
    codes = np.where(z[:, 0] > 0, z[:, 1] > 0, z[:, 2] > 0) + 1 * (rng.uniform(size=N) < 0.1)
    return {
        "X": z * [1.0, 10.0, 0.1] + [0.0, 100.0, 1e4],
        "y": y,
        "counts": counts,
        "positive": np.exp(0.3 * y),
        "shares": np.stack([counts, 1 + counts], axis=1),
        "two": np.stack([y, y**2 + rng.standard_normal(N)], axis=1),
        "classes": np.array(["a", "b", "cc"])[codes],
        "weight": rng.integers(0, 12, N) / 4.0,
    }


@pytest.fixture
def in_blocks(monkeypatch):
    """No rows are so few that they are gathered, and nothing is kept in internal units."""
    monkeypatch.setattr(_blocks, "GATHERED", 0)
    monkeypatch.setattr(_blocks, "SAMPLE_ROWS", 0)
    monkeypatch.setattr(batches, "KEPT_BYTES", 0)


def blocks_of(size, *arrays):
    """Return a callable that gives blocks of rows of arrays, an empty one among them."""

    def make():
        n = len(arrays[0])
        for start in range(0, n, size):
            yield tuple(a[start : start + size] for a in arrays)
            if start == 0:
                yield tuple(a[:0] for a in arrays)

    return make


def same(one, other):
    """Assert that two fits are one, bit by bit: sums are of the same rows in the same order."""
    assert one.log_likelihood_ == other.log_likelihood_
    assert one.n_iter_ == other.n_iter_
    assert one.n_parameters_ == other.n_parameters_
    assert_array_equal(one.lower_bounds_, other.lower_bounds_)
    for ours, theirs in zip(leaves(one.params_), leaves(other.params_), strict=True):
        assert_array_equal(ours, theirs)


def regressor(**options):
    return MixtureOfExpertsRegressor(2, **dict(random_state=0, n_init=2, max_iter=8) | options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestSameFit:
    """A fit by blocks and one of rows in memory have the same bits."""

    @pytest.mark.parametrize("size", [101, 4096, N])
    def test_whatever_the_size_of_the_blocks(self, table, in_blocks, size):
        X, y = table["X"], table["y"]
        same(regressor().fit(X, y), regressor().fit_blocks(blocks_of(size, X, y)))

    @pytest.mark.parametrize("size", [1, 50])
    def test_of_few_rows_which_are_gathered(self, table, size):
        X, y = table["X"][:200], table["y"][:200]
        same(regressor().fit(X, y), regressor().fit_blocks(blocks_of(size, X, y)))

    @pytest.mark.parametrize(
        "expert, target",
        [
            ("student_t", "y"),
            ("laplace", "y"),
            ("gaussian", "y"),
            ("poisson", "counts"),
            ("negative_binomial", "counts"),
            ("gamma", "positive"),
            ("binomial", "shares"),
            ("linear", "two"),
            (["linear", "noise"], "y"),
        ],
        ids=str,
    )
    def test_of_every_family_that_sums(self, table, in_blocks, expert, target):
        X, y = table["X"], table[target]
        one = regressor(expert=expert, max_iter=3).fit(X, y)
        same(one, regressor(expert=expert, max_iter=3).fit_blocks(blocks_of(977, X, y)))

    @pytest.mark.parametrize("gate", ["constant", "gaussian", "exponential_family"])
    def test_of_every_gate_that_sums(self, table, in_blocks, gate):
        X, y = table["X"], table["y"]
        one = regressor(gate=gate, max_iter=3).fit(X, y)
        same(one, regressor(gate=gate, max_iter=3).fit_blocks(blocks_of(977, X, y)))

    @pytest.mark.parametrize("solver", ["em", "newton", "lbfgs", "cem", "truncated"])
    def test_by_every_solver_that_takes_all_rows(self, table, in_blocks, solver):
        X, y = table["X"], table["y"]
        one = regressor(solver=solver).fit(X, y)
        same(one, regressor(solver=solver).fit_blocks(blocks_of(977, X, y)))

    def test_with_weights_of_which_some_are_zero(self, table, in_blocks):
        rows = [np.tile(table[name], (2, 1) if name == "X" else 2) for name in ("X", "y", "weight")]
        same(regressor().fit(*rows), regressor().fit_blocks(blocks_of(977, *rows)))

    @pytest.mark.parametrize("weights", [None, "balanced", {"a": 2.0, "b": 0.5, "cc": 1.0}])
    def test_of_classes_and_their_weights(self, table, in_blocks, weights):
        X, y = table["X"], table["classes"]
        options = dict(class_weight=weights, random_state=0, n_init=2, max_iter=8)
        one = MixtureOfExpertsClassifier(2, **options).fit(X, y)
        other = MixtureOfExpertsClassifier(2, **options).fit_blocks(blocks_of(977, X, y))
        assert_array_equal(one.classes_, other.classes_)
        # factors of classes come from sums of blocks: sums of 6000 terms of size 1
        assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-12)
        assert one.n_iter_ == other.n_iter_

    def test_of_weights_that_are_normalised(self, table, in_blocks):
        rows = table["X"], table["y"], 1e9 + table["weight"]
        one, other = (regressor(normalize_weights=True, standardize=False) for _ in range(2))
        one.fit(*rows), other.fit_blocks(blocks_of(977, *rows))
        # the factor comes from a sum of sums
        assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-12)
        assert one.n_iter_ == other.n_iter_

    def test_of_trees_of_top_gates_and_with_columns_chosen(self, table, in_blocks):
        X, y = table["X"], table["y"]
        options = dict(random_state=0, n_init=2, max_iter=3)
        for make in (
            lambda: HierarchicalMixtureOfExpertsRegressor(**options),
            lambda: SparseMixtureOfExpertsRegressor(3, k=1, **options),
            lambda: regressor(gate_features=[0], expert_features=[1, 2], max_iter=3),
        ):
            same(make().fit(X, y), make().fit_blocks(blocks_of(977, X, y)))

    def test_of_single_precision_and_by_several_threads(self, table, in_blocks):
        X, y = table["X"].astype(np.float32), table["y"]
        one = regressor().fit(X, y)
        same(one, regressor(n_jobs=2).fit_blocks(blocks_of(977, X, y)))
        assert _dtype_of(one) == np.float32

    def test_of_blocks_of_both_precisions(self, table, in_blocks, monkeypatch):
        monkeypatch.setattr(_blocks, "COUNTED", 1000)  # or all rows are looked at as one block
        X, y = table["X"], table["y"]

        def make():
            yield X[:4000].astype(np.float32), y[:4000]
            yield X[4000:], y[4000:]

        whole = np.concatenate([X[:4000].astype(np.float32), X[4000:]])
        same(regressor().fit(whole, y), regressor().fit_blocks(make))

    def test_of_sparse_blocks(self, table, in_blocks):
        scipy_sparse = pytest.importorskip("scipy.sparse")
        X, y = np.where(table["X"] > 0, table["X"], 0.0), table["y"]

        def make():
            for start in range(0, N, 977):
                rows = slice(start, start + 977)
                yield scipy_sparse.csr_array(X[rows]), y[rows]

        same(regressor().fit(X, y), regressor().fit_blocks(make))

    def test_that_goes_on_from_another(self, table, in_blocks):
        X, y = table["X"], table["y"]
        first = regressor(max_iter=2).fit(X, y)
        one = regressor(init_params=first).fit(X, y)
        same(one, regressor(init_params=first).fit_blocks(blocks_of(977, X, y)))


def _dtype_of(model):
    """The type in which the rows of a fit are kept: what its units are made for."""
    return model._fitted.schema.x.apply(np.zeros((1, 3), np.float32)).dtype


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_names_of_columns_come_with_the_blocks(table, in_blocks):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table["X"], columns=["a", "b", "c"]).assign(y=table["y"])

    def make():
        for start in range(0, N, 977):
            rows = frame.iloc[start : start + 977]
            yield rows[["a", "b", "c"]], rows["y"]

    model = regressor(gate_features=["a"]).fit_blocks(make)
    assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    same(regressor(gate_features=["a"]).fit(frame[["a", "b", "c"]], frame["y"]), model)


def test_partial_fit_goes_on_from_a_fit_of_blocks(table, in_blocks):
    X, y = table["X"], table["y"]
    one, other = regressor(max_iter=50).fit(X, y), regressor(max_iter=50)
    other.fit_blocks(blocks_of(977, X, y))
    same(one.partial_fit(X[:500], y[:500]), other.partial_fit(X[:500], y[:500]))


# -- what is only sliced, and memory maps ----------------------------------------------------------


class Sliced:
    """An array as HDF5 and zarr have them; it counts what is read at most in one go."""

    def __init__(self, X, chunks=None):
        self._X, self.shape, self.dtype, self.chunks, self.most = X, X.shape, X.dtype, chunks, 0

    def __len__(self):
        return len(self._X)

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.most = max(self.most, rows.stop - rows.start)
        return self._X[rows].copy()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_sliced_is_read_block_by_block(table, in_blocks, monkeypatch):
    monkeypatch.setattr(sources, "BLOCK_BYTES", 24 * 1000)
    X, y = table["X"], table["y"]
    lazy = Sliced(X, (300, 3))
    same(regressor().fit(X, y), regressor().fit(lazy, y))
    assert lazy.most == 900  # whole chunks, of at most a thousand rows


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_memory_map_is_fitted_where_it_lies(table, tmp_path, in_blocks, dtype):
    X, y = table["X"].astype(dtype), table["y"]
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype, "r", shape=X.shape)
    same(regressor().fit(X, y), regressor().fit(mapped, y))
