"""Collections of dask: the fit is that of rows in memory, but for the rounding of its sums."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from classic_moe import (
    DeepMixtureOfExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.data.dask_source import DaskSource
from classic_moe.data.sources import Rows, Sum
from classic_moe.estimators import _blocks

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'classic-moe[dask]'")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")
dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")

pytestmark = [
    pytest.mark.dask,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N = 3000
CLOSE = 1e-11
"""Sums of blocks and sums of chunks round otherwise, about 1e-15 of themselves each."""


@pytest.fixture(scope="module")
def table():
    """X of columns with large means, and targets of every kind, by name."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((N, 3))
    y = np.where(z[:, 0] > 0, z[:, 1], 2 - z[:, 1]) + 0.3 * rng.standard_normal(N)
    codes = np.where(z[:, 0] > 0, z[:, 1] > 0, z[:, 2] > 0) + 1 * (rng.uniform(size=N) < 0.1)
    return {
        "X": z * [1.0, 10.0, 0.1] + [0.0, 100.0, 1e4],
        "y": y,
        "counts": rng.poisson(np.exp(np.clip(0.5 * z[:, 0], -2, 2))).astype(float),
        "two": np.stack([y, y**2 + rng.standard_normal(N)], axis=1),
        "classes": np.array(["a", "b", "cc"])[codes],
        "weight": rng.integers(0, 12, N) / 4.0,
    }


@pytest.fixture(autouse=True)
def in_blocks(monkeypatch):
    """No rows are so few that they are gathered; tasks run one by one in this process."""
    monkeypatch.setattr(_blocks, "GATHERED", 0)
    monkeypatch.setattr(_blocks, "SAMPLE_ROWS", 0)
    with dask.config.set(scheduler="synchronous"):
        yield


def lazy(values, size=1000):
    """An array of dask in blocks of so many rows."""
    return da.from_array(values, chunks=(size, *values.shape[1:]))


def same(one, other, rtol=CLOSE):
    """Assert that two fits are one."""
    assert_allclose(one.log_likelihood_, other.log_likelihood_, rtol=rtol)
    assert one.n_iter_ == other.n_iter_
    assert (np.diff(one.lower_bounds_) >= -1e-9 * abs(one.lower_bounds_[0])).all()


def regressor(**options):
    return MixtureOfExpertsRegressor(2, **dict(random_state=0, n_init=2, max_iter=6) | options)


@pytest.mark.parametrize("size", [700, 1000, N])
def test_a_fit_of_blocks_is_that_of_memory(table, size):
    X, y = table["X"], table["y"]
    same(regressor().fit(lazy(X, size), lazy(y, size)), regressor().fit(X, y))


@pytest.mark.parametrize("kind", ["weight", "two", "classes", "counts", "tree", "sparse", "full"])
def test_every_kind_of_fit_is_that_of_memory(table, kind):
    X, y, weight = table["X"], table["y"], None
    model = regressor()
    if kind == "weight":
        weight = table["weight"]
    elif kind == "counts":
        y, model = table["counts"], regressor(expert="poisson")
    elif kind == "two":
        y, model = table["two"], regressor(n_init=1)
    elif kind == "classes":
        options = dict(random_state=0, n_init=2, max_iter=4, class_weight="balanced")
        y, model = table["classes"], MixtureOfExpertsClassifier(2, **options)
    elif kind == "tree":
        options = dict(random_state=0, n_init=1, max_iter=4)
        model = HierarchicalMixtureOfExpertsRegressor(depth=2, **options)
    elif kind == "sparse":
        model = SparseMixtureOfExpertsRegressor(3, k=2, random_state=0, n_init=1, max_iter=3)
    elif kind == "full":
        model = regressor(gate="gaussian", normalize_weights=True)
        weight = table["weight"]
    other = clone(model).fit(X, y, weight)
    weight = None if weight is None else lazy(weight)
    same(model.fit(lazy(X), lazy(y), sample_weight=weight), other)


def test_a_dataframe_keeps_its_names_and_may_have_empty_partitions(table):
    names = ["a", "b", "c"]
    frame = pd.DataFrame(table["X"], columns=names).assign(y=table["y"], i=np.arange(N))
    part = dd.from_pandas(frame, npartitions=4)
    part = part[part["i"] >= N // 2]  # two partitions of four have no rows
    rows = frame[frame["i"] >= N // 2]
    model = regressor().fit(part[names], part["y"])
    same(model, regressor().fit(rows[names], rows["y"]))
    assert model.feature_names_in_.tolist() == names


def test_unknown_sizes_and_blocks_without_rows_or_weight(table):
    X, y, kept = lazy(table["X"]), lazy(table["y"]), table["X"][:, 0] > 0
    kept[:1000] = False
    rows = lazy(kept)
    model = regressor().fit(X[rows], y[rows])
    assert np.isnan(X[rows].shape[0])
    same(model, regressor().fit(table["X"][kept], table["y"][kept]))
    by_weight = regressor().fit(X, y, sample_weight=lazy(kept.astype(float)))
    same(by_weight, model)


def test_very_many_blocks_are_a_caution(table, monkeypatch):
    X, y = da.from_array(table["X"], chunks=(300, -1)), da.from_array(table["y"], chunks=300)
    monkeypatch.setattr("classic_moe.data.dask_source.MANY_BLOCKS", 9)
    with pytest.warns(UserWarning, match=r"X comes in 10 blocks.*X\.rechunk"):
        MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    monkeypatch.setattr("classic_moe.data.dask_source.MANY_BLOCKS", 10)
    assert DaskSource(X, y).caution() is None


def test_an_x_cut_by_columns_is_put_together(table):
    X = da.from_array(table["X"], chunks=(1000, 2))
    same(regressor().fit(X, lazy(table["y"])), regressor().fit(table["X"], table["y"]))


def test_few_rows_are_fitted_in_memory(table, monkeypatch):
    monkeypatch.setattr(_blocks, "GATHERED", 2**25)
    one = regressor().fit(lazy(table["X"]), lazy(table["y"]))
    assert one.log_likelihood_ == regressor().fit(table["X"], table["y"]).log_likelihood_


def test_float32_stays_so(table):
    X = table["X"].astype(np.float32)
    same(regressor().fit(lazy(X), lazy(table["y"])), regressor().fit(X, table["y"]), 1e-9)


# -- what travels ----------------------------------------------------------------------------------


def test_no_more_than_a_sample_comes_to_the_caller(table, monkeypatch):
    """Everything that is computed has the size of sums, of a sample, or of a head."""
    from classic_moe.data import dask_source
    from classic_moe.starts import race

    sizes, computed = [], dask_source._computed

    def watched(*tasks):
        found = computed(*tasks)
        sizes.append(len(pickle.dumps(found)))
        return found

    monkeypatch.setattr(dask_source, "_computed", watched)
    monkeypatch.setattr(dask_source, "HEAD_ROWS", 10)
    monkeypatch.setattr("classic_moe.model.fused_climb.CHUNK", 0)  # rows of one chunk are few
    monkeypatch.setattr(race, "_rows_of_a_search", lambda *args: 50)
    monkeypatch.setattr("classic_moe.data.batches.SAMPLE_ROWS", 50)
    monkeypatch.setattr("classic_moe.data.batches.SAMPLE_BYTES", 50)
    regressor().fit(lazy(table["X"]), lazy(table["y"]))
    assert len(sizes) > 8
    assert max(sizes) < 10_000  # X of a block takes 24,000 bytes; the sums of a pass 8200


def test_a_pass_reads_every_block_once(table):
    read = []

    def noted(block, block_info=None):
        read.append(block_info[0]["chunk-location"][0])
        return block

    X = lazy(table["X"]).map_blocks(noted, dtype=float, meta=np.empty((0, 3)))
    source = DaskSource(X, lazy(table["y"]))
    sums = Sum(_size, 400), Sum(_size, 7)
    assert source.total(_plain, *sums) == [N, N]
    assert sorted(read) == [0, 1, 2]


def _plain(number, X, y, weight):
    return Rows(X, y, np.ones(len(y)))


def _size(X, y, weight):
    return len(X)


def test_rows_are_taken_by_number(table):
    source = DaskSource(lazy(table["X"]), lazy(table["y"]))
    positions = np.array([0, 999, 1000, 2500, N - 1])
    rows = source.take(_plain, positions)
    np.testing.assert_array_equal(rows.X, table["X"][positions])
    np.testing.assert_array_equal(rows.y, table["y"][positions])


# -- what is wrong ---------------------------------------------------------------------------------


def bad(table, value):
    X = table["X"].copy()
    X[1700, 1] = value
    return lazy(X)


def test_a_missing_value_is_found_with_its_block(table):
    with pytest.raises(ValueError, match="block 1: Input X contains NaN"):
        regressor().fit(bad(table, np.nan), lazy(table["y"]))


def test_what_blocks_do_not_agree_on_is_refused(table):
    X, y = lazy(table["X"]), table["y"]
    model = regressor()
    with pytest.raises(ValueError, match="X has 3 blocks of rows and y 6; y"):
        model.fit(X, lazy(y, 500))
    with pytest.raises(ValueError, match="X has 3 blocks of rows and y others"):
        model.fit(X, da.from_array(y, chunks=((900, 1100, 1000),)))
    with pytest.raises(ValueError, match="X has 3 blocks of rows and sample_weight 6"):
        model.fit(X, lazy(y), sample_weight=lazy(y, 500))
    unknown = lazy(y)[lazy(np.arange(N) != 1500)]
    with pytest.raises(ValueError, match=r"block 1: .*\[1000, 999\]"):
        model.fit(X, unknown)
    with pytest.raises(TypeError, match="X is a collection of dask and y a ndarray; make it one"):
        model.fit(X, y)
    with pytest.raises(TypeError, match="X is a collection of dask and sample_weight a ndarray"):
        model.fit(X, lazy(y), sample_weight=y)
    with pytest.raises(TypeError, match="y is a collection of dask, and is needed in memory here"):
        model.fit(table["X"], lazy(y))
    with pytest.raises(ValueError, match="X has no rows: a fit needs some"):
        model.fit(X[X[:, 0] > 1e9], lazy(y)[X[:, 0] > 1e9])
    assert set(vars(model)) == set(vars(regressor()))


@pytest.mark.parametrize(
    "options, error, sentence",
    [
        (dict(expert=LinearRegression()), TypeError, "LinearRegression.* learns from all rows at"),
        (dict(expert="mlp"), TypeError, "MLPExpert.* learns from all rows at once, in memory"),
        (dict(solver="adam"), ValueError, "solver='adam' draws rows at random, which blocks do"),
        (dict(solver="sem"), ValueError, "solver='sem' draws rows at random"),
        (dict(solver="online"), ValueError, "solver='online' draws rows at random"),
        (dict(init_params=np.full((N, 2), 0.5)), ValueError, "an array needs all rows at once"),
    ],
)
def test_what_needs_rows_in_memory_is_refused(table, options, error, sentence):
    with pytest.raises(error, match=sentence):
        regressor(**options).fit(lazy(table["X"]), lazy(table["y"]))


def test_facts_of_single_rows_are_refused(table):
    X, y = lazy(table["X"]), lazy(table["y"])
    with pytest.raises(ValueError, match="groups need rows that stand together"):
        regressor().fit(X, y, groups=y)
    with pytest.raises(ValueError, match="expert_labels belong to single rows"):
        regressor().fit(X, y, expert_labels=y)


@pytest.mark.parametrize(
    "model",
    [
        MetaPiRegressor([("one", LinearRegression())]),
        SparseMixtureOfExpertsRegressor(4, k=2, combine="blend"),
        DeepMixtureOfExpertsRegressor(),
    ],
    ids=["meta-pi", "blend", "deep"],
)
def test_estimators_that_are_no_sums_over_rows_refuse(table, model):
    with pytest.raises(TypeError, match="is a collection of dask, and is needed in memory here"):
        model.fit(lazy(table["X"]), lazy(table["y"]))


def test_a_stream_takes_blocks_in_memory(table):
    with pytest.raises(TypeError, match="is a collection of dask, and is needed in memory here"):
        regressor().partial_fit(lazy(table["X"]), lazy(table["y"]))
