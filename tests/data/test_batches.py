"""Batches: every row once, groups whole, the same sums whether X is scaled at once or in blocks."""

import threading
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe.data import batches as module
from classic_moe.data.batches import ArrayBatches, Batches, whole
from classic_moe.data.units import Scaling
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import leaves
from classic_moe.parts.statistics import Statistics
from classic_moe.solvers import EM

N = 103


def numbered(n=N, **options):
    """Batches whose X and y are the numbers of the rows, and whose weights are one."""
    X = np.arange(n, dtype=float)[:, None]
    return ArrayBatches(X, X, np.ones(n), **options)


def rows_of(blocks):
    return np.concatenate([block.X[:, 0] for block in blocks])


def sums(params, X, y, weight, **facts):
    return Statistics(n=len(X), x=(weight[:, None] * X).sum(axis=0), facts=len(facts))


# -- the contract ----------------------------------------------------------------------------------


def test_solvers_and_starts_need_no_more_than_the_contract():
    public = {name for name in vars(Batches) if not name.startswith("_")}
    contract = "n total_weight map_sum blocks first minibatches sample split with_facts"
    assert public == set(contract.split())
    assert Batches.__abstractmethods__ == public - {"first"}


@pytest.mark.parametrize("size", [None, 1, 10, N, 1000])
def test_blocks_hold_every_row_once_in_their_order(size, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 16)
    batches = numbered(labels=np.arange(N))
    blocks = list(batches.blocks(size))
    assert_array_equal(rows_of(blocks), np.arange(N))
    assert all((block.facts["labels"] == block.X[:, 0]).all() for block in blocks)
    if size is not None:
        assert {len(block.X) for block in blocks[:-1]} <= {size}
    order = np.random.default_rng(0).permutation(N)
    assert_array_equal(rows_of(batches.blocks(size, order)), order)


@pytest.mark.parametrize("n, sizes", [(33, {33}), (64, {64}), (70, {35}), (150, {38}), (999, {63})])
def test_chunks_are_even_in_number_and_alike_in_size(n, sizes, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 64)
    monkeypatch.setattr(module, "MOST_CHUNKS", 16)
    found = [len(block.X) for block in numbered(n).blocks()]
    assert sum(found) == n and len(found) <= 16 and (len(found) % 2 == 0) == (n > 64)
    assert set(found[:-1] or found) <= sizes and max(found) - min(found) < 16


def test_blocks_of_no_size_keep_groups_whole(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 16)
    groups = np.repeat(np.arange(21), 5)[:N]
    blocks = list(numbered(groups=groups).blocks())
    homes = [set(block.facts["groups"]) for block in blocks]
    assert len(homes) > 3
    assert sum(map(len, homes)) == len(set(groups))


def test_the_weight_is_summed_once():
    class Weight(np.ndarray):
        summed = 0

        def sum(self, *args, **options):
            type(self).summed += 1
            return super().sum(*args, **options)

    batches = ArrayBatches(np.ones((3, 1)), np.ones(3), np.array([1.0, 2.0, 0.5]).view(Weight))
    assert [batches.total_weight for _ in range(3)] == [3.5] * 3
    assert Weight.summed == 1


def test_facts_come_along_and_leave_the_batches_they_came_from():
    batches = numbered()
    more = batches.with_facts(draws=np.arange(N) / N)
    assert more.map_sum(sums, None)["facts"] > 0 == batches.map_sum(sums, None)["facts"]
    small = more.sample(10, np.random.RandomState(0))
    assert_array_equal(whole(small).facts["draws"], small.origin / N)


def test_threads_live_as_long_as_the_outermost_block(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 16)
    names = set()

    def remember(params, X, *rows):
        names.add(threading.current_thread() is threading.main_thread())
        return Statistics(n=len(X))

    with numbered(n_threads=2) as batches:
        with batches.sample(N, np.random.RandomState(0)):  # all rows: the same batches
            pass
        batches.map_sum(remember, None)
    assert names == {False}
    batches.map_sum(remember, None)
    assert names == {False, True}


# -- samples ---------------------------------------------------------------------------------------


def test_a_sample_is_of_different_rows_in_their_order_and_says_which():
    batches = numbered()
    small = batches.sample(20, np.random.RandomState(0))
    assert small.n == 20
    assert (np.diff(small.origin) > 0).all()
    assert_array_equal(whole(small).X[:, 0], small.origin)
    again = batches.sample(20, np.random.RandomState(0))
    assert_array_equal(small.origin, again.origin)
    other = batches.sample(20, np.random.RandomState(1))
    assert (small.origin != other.origin).any()
    assert batches.sample(N, np.random.RandomState(0)) is batches


def test_every_row_is_as_likely_to_be_drawn():
    batches, rng = numbered(), np.random.RandomState(0)
    counts = sum(np.bincount(batches.sample(20, rng).origin, minlength=N) for _ in range(2000))
    # a binomial of 2000 trials: four standard deviations of the mean 388
    assert np.abs(counts - 2000 * 20 / N).max() < 4 * np.sqrt(2000 * 20 / N)


def test_a_small_sample_of_many_rows_takes_little_memory():
    n = 10_000_000
    constant = np.broadcast_to(1.0, (n, 1))
    batches = ArrayBatches(constant, constant, constant[:, 0])
    tracemalloc.start()
    small = batches.sample(1000, np.random.RandomState(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert small.n == 1000
    assert peak < 2e6  # a permutation of the rows is 80 MB


def test_a_sample_of_groups_has_whole_groups():
    groups = np.sort(np.random.default_rng(0).integers(0, 30, N))
    small = numbered(groups=groups).sample(40, np.random.RandomState(0))
    drawn = set(whole(small).facts["groups"])
    assert 0 < small.n <= 40
    assert_array_equal(small.origin, np.flatnonzero(np.isin(groups, list(drawn))))


# -- scaling in the block --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3)) * [1.0, 100.0, 1e-3] + [0.0, 1e3, 5.0]
    y = np.where(X[:, 0] > 0, X[:, 0], -2 * X[:, 0])[:, None] + 0.3 * rng.standard_normal((400, 1))
    return X, y, rng.uniform(0.5, 2.0, 400)


@pytest.mark.parametrize("keep_bytes", [2**30, 0], ids=["kept", "in blocks"])
def test_rows_scaled_on_the_way_are_those_scaled_before(regression, keep_bytes, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 50)
    monkeypatch.setattr(module, "MOST_CHUNKS", 8)
    X, y, weight = regression
    groups = np.repeat(np.arange(100), 4)
    scaling = Scaling.fit(X, weight)
    before = ArrayBatches(scaling.apply(X), y, weight, groups=groups)
    on_the_way = ArrayBatches(X, y, weight, groups=groups, scaling=scaling, keep_bytes=keep_bytes)
    rng = np.random.RandomState

    def views(batches):
        yield whole(batches)
        yield from batches.blocks(7, np.arange(400)[::-1])
        yield from batches.blocks()
        yield whole(batches.sample(60, rng(0)))
        yield from map(whole, batches.split(0.3, rng(0)))
        yield from (whole(rows) for _, rows in batches.minibatches(32, rng(0)))

    for one, other in zip(views(before), views(on_the_way), strict=True):
        assert_array_equal(one.X, other.X)
        assert_array_equal(one.y, other.y)
        assert_array_equal(one.weight, other.weight)
        assert_array_equal(one.facts["groups"], other.facts["groups"])
    assert on_the_way.map_sum(sums, None)["n"] == 400


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_fit_is_the_same_whether_scaled_at_once_or_in_every_pass(
    regression, n_threads, monkeypatch
):
    X, y, weight = regression
    scaling, model = Scaling.fit(X, weight), MixtureModel(SoftmaxGate(), LinearExpert())
    side = (X[:, :1] > 0) * 0.8 + 0.1
    resp = np.hstack([side, 1 - side]) * weight[:, None]
    start = model.init(scaling.apply(X), y, resp, np.random.RandomState(0))
    results = []
    for keep_bytes in (2**30, 0):
        # in blocks the sums are of other chunks, and their last digits too
        with monkeypatch.context() as patch:
            patch.setattr(module, "CHUNK", 400 if keep_bytes else 64)
            batches = ArrayBatches(X, y, weight, n_threads, scaling=scaling, keep_bytes=keep_bytes)
        with batches:
            results.append(EM().run(model, start, batches, max_iter=20, tol=0.0))
    one, other = results
    assert_allclose(one.history, other.history, rtol=1e-12)  # sums of 400 in another order
    for ours, theirs in zip(leaves(one.params), leaves(other.params), strict=True):
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


class Doubling:
    """Units that tell of the rows that they are asked for."""

    def __init__(self, tell):
        self.tell = tell

    def apply(self, X):
        self.tell(X)
        return 2 * X.astype(np.float64)

    def for_kernels(self, dtype):
        return None


def test_a_copy_beyond_the_limit_is_never_made_whole():
    n, seen = 100_000, []
    prepare = Doubling(lambda X: seen.append(len(X)))

    X = np.ones((n, 2), dtype=np.float32)
    kept = ArrayBatches(X, X, np.ones(n), scaling=prepare, keep_bytes=16 * n)
    assert sum(seen) == n + 1 and max(seen) <= module.CHUNK  # by chunks, which threads share
    made = len(seen)
    kept.map_sum(sums, None)
    assert len(seen) == made
    seen.clear()
    streamed = ArrayBatches(X, X, np.ones(n), scaling=prepare, keep_bytes=16 * n - 1)
    for _ in range(2):
        assert streamed.map_sum(sums, None)["n"] == n
    assert max(seen) <= module.CHUNK


@pytest.mark.parametrize("n_threads", [1, 2])
def test_units_are_made_by_the_threads(n_threads, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 50)
    X, made = np.random.default_rng(0).normal(size=(400, 3)), set()
    doubling = Doubling(lambda X: made.add(threading.get_ident()))
    batches = ArrayBatches(X, X, np.ones(400), n_threads, scaling=doubling)
    assert (threading.get_ident() in made) and (len(made) > 1) == (n_threads > 1)
    assert_array_equal(whole(batches).X, 2 * X)


# -- parts of the rows -----------------------------------------------------------------------------


def test_minibatches_hold_every_row_once_and_groups_whole():
    n = 103
    groups = np.sort(np.random.default_rng(0).integers(0, 30, n))
    X = np.arange(n, dtype=float)[:, None]
    for facts in ({}, {"groups": groups}):
        batches = ArrayBatches(X, X, np.ones(n), **facts)
        seen = [(share, whole(b)) for share, b in batches.minibatches(20, np.random.RandomState(0))]
        assert len(seen) == 6
        rows = np.concatenate([batch.X[:, 0] for _, batch in seen])
        assert_array_equal(np.sort(rows), np.arange(n))
        if facts:
            homes = [set(batch.facts["groups"]) for _, batch in seen]
            assert sum(map(len, homes)) == len(set(groups))
            assert all((np.diff(batch.facts["groups"]) >= 0).all() for _, batch in seen)
        else:
            assert {len(batch.X) for _, batch in seen} == {17, 18}
            assert_allclose([share for share, _ in seen], [n / len(b.X) for _, b in seen])


def test_a_split_goes_by_weight_and_keeps_groups_whole():
    rng = np.random.default_rng(0)
    n = 300
    groups = np.sort(rng.integers(0, 60, n))
    weight = rng.uniform(0.1, 3.0, n)
    X = np.arange(n, dtype=float)[:, None]
    for facts in ({}, {"groups": groups}):
        batches = ArrayBatches(X, X, weight, **facts)
        held, rest = batches.split(0.25, np.random.RandomState(0))
        rows = [whole(part).X[:, 0] for part in (held, rest)]
        assert_array_equal(np.sort(np.concatenate(rows)), np.arange(n))
        # less than the fraction by at most one row or group, which weighs 40 at most
        assert 0.25 * weight.sum() - 40 < held.total_weight <= 0.25 * weight.sum()
        if facts:
            homes = [set(whole(part).facts["groups"]) for part in (held, rest)]
            assert not homes[0] & homes[1]
    tiny = ArrayBatches(X[:2], X[:2], weight[:2])
    assert [part.n for part in tiny.split(0.01, np.random.RandomState(0))] == [1, 1]
    with pytest.raises(ValueError, match="cannot be split"):
        ArrayBatches(X[:1], X[:1], weight[:1]).split(0.5, np.random.RandomState(0))
