"""Pairs of row and expert, cut into tiles: few rows of one expert each, all tiles of equal size.

So the products of all experts are one stack of products of matrices, whose size follows the pairs
and not the expert with the most rows, nor rows times experts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST = 8
"""Rows a tile has at least: products of fewer take as long."""
SHARE = 0.5
"""Rows of a tile as a share of the mean load of an expert: so tiles that are not full waste half a
load an expert at most, and there are three tiles an expert at most. Where whole loads waste no more
than that they are the tiles."""


class Tiles(NamedTuple):
    """Pairs of row and expert, those of an expert together.

    Attributes
    ----------
    row, expert : ndarray of int of shape (number of pairs,)
    tile, place : ndarray of int of shape (number of pairs,)
        Where the pair stands in the table.
    table : ndarray of int of shape (m, T)
        The rows of every tile; at places that it does not fill, row 0.
    owner : ndarray of int of shape (m,)
        The expert of every tile, in ascending order.
    n_experts : int
    """

    row: np.ndarray
    expert: np.ndarray
    tile: np.ndarray
    place: np.ndarray
    table: np.ndarray
    owner: np.ndarray
    n_experts: int

    @classmethod
    def of(cls, kept):
        """Return the tiles of a table of pairs, bool (n, K)."""
        expert, row = np.nonzero(kept.T)
        count = np.bincount(expert, minlength=kept.shape[1])
        size = _size(count)
        tiles = -(-count // size)
        number = np.arange(len(row)) - (np.cumsum(count) - count)[expert]
        tile = (np.cumsum(tiles) - tiles)[expert] + number // size
        owner = np.repeat(np.arange(len(count)), tiles)
        table = np.zeros((len(owner), size), dtype=np.intp)
        table[tile, number % size] = row
        return cls(row, expert, tile, number % size, table, owner, len(count))

    def spread(self, values):
        """Return one value a pair, (number of pairs, ...), at its place in the table, else 0."""
        found = np.zeros((*self.table.shape, *values.shape[1:]))
        found[self.tile, self.place] = values
        return found

    def by_row(self, values, n):
        """Return values (number of pairs, q) summed by row, (n, q)."""
        columns = [np.bincount(self.row, column, minlength=n) for column in values.T]
        return np.stack(columns, axis=1)

    def by_expert(self, values):
        """Return values of the tiles (m, ...) summed by expert, (K, ...)."""
        found = np.zeros((self.n_experts, *values.shape[1:]))
        if len(self.owner):
            own, first = np.unique(self.owner, return_index=True)
            found[own] = np.add.reduceat(values, first, axis=0)
        return found


def _size(count):
    """Return the rows of a tile, of experts with so many each, (K,)."""
    most, mean = count.max(initial=1), count.sum() / max(np.count_nonzero(count), 1)
    return int(most if most <= (1 + SHARE) * mean else max(LEAST, np.ceil(SHARE * mean)))
