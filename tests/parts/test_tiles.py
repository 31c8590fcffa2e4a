"""Pairs of row and expert cut into tiles: every pair has one place, and little is wasted."""

import numpy as np
import pytest

from classic_moe.parts.tiles import LEAST, SHARE, Tiles

RNG = np.random.default_rng(0)
LOADS = {
    "even": RNG.uniform(size=(300, 6)) < 0.3,
    "one takes all": np.eye(7, dtype=bool)[np.zeros(200, dtype=int)],
    "skewed": RNG.uniform(size=(400, 8)) < np.geomspace(0.9, 0.001, 8),
    "all": np.ones((50, 4), dtype=bool),
    "few": np.eye(5, dtype=bool)[[3, 1]],
    "none": np.zeros((9, 3), dtype=bool),
}


@pytest.mark.parametrize("name", LOADS)
def test_every_pair_has_a_place_in_a_tile_of_its_expert(name):
    kept = LOADS[name]
    pairs = Tiles.of(kept)
    found = np.zeros(kept.shape, dtype=int)
    np.add.at(found, (pairs.row, pairs.expert), 1)
    np.testing.assert_array_equal(found, kept)
    np.testing.assert_array_equal(pairs.table[pairs.tile, pairs.place], pairs.row)
    np.testing.assert_array_equal(pairs.owner[pairs.tile], pairs.expert)
    taken = set(zip(pairs.tile.tolist(), pairs.place.tolist(), strict=True))
    assert len(taken) == kept.sum()
    assert (np.diff(pairs.owner) >= 0).all()


@pytest.mark.parametrize("name", LOADS)
def test_what_is_wasted_is_at_most_half_of_the_mean_load_an_expert(name):
    kept = LOADS[name]
    count, size = kept.sum(axis=0), Tiles.of(kept).table.size
    used = np.count_nonzero(count)
    assert size <= kept.sum() + max(1 + SHARE * kept.sum(), used * LEAST)


@pytest.mark.parametrize("name", LOADS)
def test_values_are_spread_and_summed(name):
    kept = LOADS[name]
    n, K = kept.shape
    pairs, values = Tiles.of(kept), RNG.normal(size=(kept.sum(), 2))
    table = np.zeros((n, K, 2))
    table[pairs.row, pairs.expert] = values
    spread = pairs.spread(values)
    assert spread.shape == (*pairs.table.shape, 2)
    np.testing.assert_allclose(pairs.by_row(values, n), table.sum(axis=1), atol=1e-12)
    by_expert = pairs.by_expert(spread.sum(axis=1))
    np.testing.assert_allclose(by_expert, table.sum(axis=0), atol=1e-12)
