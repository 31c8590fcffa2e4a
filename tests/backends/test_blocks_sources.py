"""Sources: rows are cut anew whatever the blocks, and sums over them are those of memory."""

import pickle
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data import units
from classic_moe.data.batches import ArrayBatches, whole
from classic_moe.data.sources import (
    IterableSource,
    MemorySource,
    Rows,
    SourceBatches,
    Sum,
    source_of,
)
from classic_moe.data.units import BLOCKS, Scaling, answered, block_rows

N = 500
RNG = np.random.default_rng(0)
X, Y, WEIGHT = RNG.standard_normal((N, 3)), RNG.standard_normal((N, 1)), RNG.uniform(1, 2, N)


def reader(number, X, y, weight):
    """Blocks as they are; without the rows of weight 0."""
    kept = weight > 0
    return Rows(X[kept], y[kept], weight[kept]) if kept.any() else None


def source(size, weight=WEIGHT, X=X):
    rows = X, Y, weight
    return IterableSource(lambda: (tuple(a[i : i + size] for a in rows) for i in range(0, N, size)))


def count(X, y, weight):
    return [len(X)]


@pytest.mark.parametrize("size", [1, 7, 64, N])
@pytest.mark.parametrize("piece", [1, 7, 100, 10 * N])
def test_pieces_are_of_one_size_whatever_the_blocks(size, piece):
    pieces = list(source(size).pieces(reader, piece))
    assert [len(p.weight) for p in pieces[:-1]] == [piece] * (len(pieces) - 1)
    for own, every in ((0, X), (1, Y), (2, WEIGHT)):
        assert_array_equal(np.concatenate([p[own] for p in pieces]), every)
    by_counting = source(size).total(reader, Sum(count, piece), Sum(count, 3), n_threads=2)
    assert [len(found) for found in by_counting] == [len(pieces), -(-N // 3)]
    assert [sum(found) for found in by_counting] == [N, N]


@pytest.mark.parametrize("size", [1, 7, N])
def test_rows_of_weight_zero_do_not_count(size):
    weight = np.where(np.arange(N) % 5 < 2, 0.0, WEIGHT)
    kept = np.flatnonzero(weight)
    positions = np.array([0, 3, 50, len(kept) - 1])
    rows = source(size, weight).take(reader, positions)
    assert_array_equal(rows.X, X[kept[positions]])
    assert_array_equal(rows.weight, weight[kept[positions]])
    assert source(size, 0 * weight).total(reader, Sum(count, 10)) == [None]


@pytest.mark.parametrize("size", [1, 13, N])
@pytest.mark.parametrize("scale", [1.0, 1e200])
def test_moments_of_blocks_are_those_of_memory(size, scale, monkeypatch):
    monkeypatch.setattr(units, "BLOCK", 96)  # 32 rows of three columns
    V = scale * X + scale
    rows = block_rows(3, N)
    made = IterableSource(
        lambda: (
            (V[i : i + size], Y[i : i + size], WEIGHT[i : i + size]) for i in range(0, N, size)
        )
    )

    def answer(wanted):
        def piece(X, y, weight):
            return wanted.piece(X, weight, rows)

        return made.total(reader, Sum(piece, BLOCKS * rows, wanted.add))[0]

    found = answered(Scaling.asked(WEIGHT.sum()), answer)
    expected = Scaling.fit(V, WEIGHT)
    for name in ("exponent", "center", "factor"):
        assert_array_equal(getattr(found, name), getattr(expected, name))


def test_batches_of_a_source_are_those_of_memory(monkeypatch):
    from classic_moe.data import batches as module

    monkeypatch.setattr(module, "CHUNK", 64)
    x, y = Scaling.fit(X, WEIGHT), Scaling.fit(Y, WEIGHT)
    inside = ArrayBatches(x.apply(X), y.apply(Y), WEIGHT)
    by_source = SourceBatches(source(7), reader, x, y, N, WEIGHT.sum(), X.dtype)

    def sums(params, X, y, weight):
        return weight @ np.hstack([X, y])

    assert_array_equal(inside.map_sum(sums, None), by_source.map_sum(sums, None))
    for ours, theirs in zip(inside.blocks(), by_source.blocks(), strict=True):
        assert_array_equal(ours.X, theirs.X)
        assert_array_equal(ours.y, theirs.y)
    one, other = (b.sample(100, np.random.RandomState(3)) for b in (inside, by_source))
    assert_array_equal(whole(one).X, whole(other).X)
    assert_array_equal(one.origin, other.origin)
    assert_array_equal(inside.first().X, by_source.first().X)
    for call in (lambda: by_source.split(0.1, None), lambda: by_source.minibatches(9, None)):
        with pytest.raises(ValueError, match="at random, which blocks do not allow"):
            call()
    with pytest.raises(ValueError, match="labels belong to rows in memory"):
        by_source.with_facts(labels=None)


def test_what_a_source_is_asked_can_be_sent_elsewhere():
    wanted = next(Scaling.asked(2.0))
    again = pickle.loads(pickle.dumps(Sum(wanted.piece, 10, wanted.add)))
    one, other = (own.function(X, WEIGHT, 10) for own in (Sum(wanted.piece, 10), again))
    assert_array_equal(one[0], other[0])


def test_arrays_tables_and_lists_are_rows_in_memory():
    pandas = pytest.importorskip("pandas")
    for kept in (X, sparse.csr_array(X), X.tolist(), pandas.DataFrame(X), None):
        assert source_of(kept, Y, None) is None
    assert source_of(np.lib.stride_tricks.as_strided(X), Y, None) is None


@pytest.mark.parametrize("rows", [64, N - 1])  # the last block may have one row
def test_a_memory_source_slices_tables_and_arrays(rows):
    pandas = pytest.importorskip("pandas")
    made = MemorySource(X, pandas.Series(Y[:, 0], index=range(N, 0, -1)), list(WEIGHT), rows=rows)
    blocks = list(made.blocks())
    assert_array_equal(np.concatenate([b[0] for b in blocks]), X)
    assert_array_equal(np.concatenate([b[1] for b in blocks]), Y[:, 0])
    with pytest.raises(ValueError, match="X has 500 rows and sample_weight 3; they must match"):
        MemorySource(X, Y, [1, 2, 3])


# -- memory ----------------------------------------------------------------------------------------


def peak(function):
    """The peak of what a call allocates, in bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def large(n=400_000, p=10):
    """X of 30 MiB, y and how to make them in blocks."""

    def block(start):
        rng = np.random.default_rng(start)
        V = rng.standard_normal((25_000, p))
        return V, np.where(V[:, 0] > 0, V[:, 1], 1 - V[:, 1]) + 0.3 * rng.standard_normal(25_000)

    return lambda: map(block, range(0, n, 25_000))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_default_fit_keeps_no_copy_of_x():
    blocks = large()
    V, y = (np.concatenate(parts) for parts in zip(*blocks(), strict=True))
    model = MixtureOfExpertsRegressor(2, random_state=0, n_init=2, max_iter=2)
    assert peak(lambda: model.fit(V, y)) <= 0.4 * V.nbytes


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_of_blocks_holds_a_few_of_them(monkeypatch):
    from classic_moe.estimators import _blocks

    monkeypatch.setattr(_blocks, "GATHERED", 0)
    model = MixtureOfExpertsRegressor(2, random_state=0, n_init=2, max_iter=2)
    whole_of_x = 400_000 * 10 * 8
    # a sample of 5000 rows, some blocks of 2 MiB and what a pass makes of a chunk
    assert peak(lambda: model.fit_blocks(large())) <= 0.5 * whole_of_x
