"""Rows whose minibatches shut gates' favourite experts for some epochs, so that all learn."""

from __future__ import annotations

import numpy as np

from .batches import Batches


class BalancedBatches(Batches):
    """Batches that hand masks of experts to the function, and watch the loads that it returns.

    For the first epochs the function gets a keyword `masks`, bool (K,) for each layer of gates, in
    minibatches: experts whose running total of gating weight is more than a margin above the mean
    of their layer are shut. Totals are of ``stats["loads"]``, a dict of (K,) by layer. All other
    passes are those of the batches themselves.

    Parameters
    ----------
    batches : Batches
    n_experts : tuple of int, of each layer
    n_epochs : int
    margin : float or None
        In units of weight; None: the mean weight of a minibatch.
    """

    def __init__(self, batches, n_experts, n_epochs, margin=None):
        self._batches, self._n_epochs, self._margin = batches, n_epochs, margin
        self._totals, self._epoch = [np.zeros(K) for K in n_experts], 0

    def __enter__(self):
        self._batches.__enter__()
        return self

    def __exit__(self, *error):
        self._batches.__exit__(*error)

    @property
    def n(self):
        """The number of rows."""
        return self._batches.n

    @property
    def total_weight(self):
        """Σ weight."""
        return self._batches.total_weight

    def map_sum(self, function, params, scaled=False):
        """Return Σ `function(params, X, y, weight, **facts)` over chunks."""
        return self._batches.map_sum(function, params, scaled)

    def blocks(self, size=None, order=None):
        """Yield all rows, `size` at a time."""
        return self._batches.blocks(size, order)

    def sample(self, n, rng):
        """Return at most n of the rows; see `Batches.sample`."""
        return self._batches.sample(n, rng)

    def with_facts(self, **facts):
        """Return the same rows with more known of them."""
        return self._over(self._batches.with_facts(**facts))

    def split(self, fraction, rng):
        """Return rows to judge by, and the rest, which stay balanced; see `Batches.split`."""
        held_out, rest = self._batches.split(fraction, rng)
        return held_out, self._over(rest)

    def _over(self, batches):
        n_experts = [len(total) for total in self._totals]
        return BalancedBatches(batches, n_experts, self._n_epochs, self._margin)

    def minibatches(self, size, rng):
        """Yield all rows once, in random order, balanced in the first epochs."""
        self._epoch += 1
        balanced = self._epoch <= self._n_epochs
        for share, rows in self._batches.minibatches(size, rng):
            yield share, _Minibatch(rows, self._totals, self._limit(rows)) if balanced else rows

    def _limit(self, rows):
        return rows.total_weight if self._margin is None else self._margin


class _Minibatch:
    """One minibatch, with the running totals that it adds to."""

    def __init__(self, rows, totals, margin):
        self._rows, self._totals, self._margin = rows, totals, margin

    def map_sum(self, function, params, scaled=False):
        """Return the sum of a function that is told which experts are open."""
        masks = [open_experts(total, self._margin) for total in self._totals]
        known = {"masks": masks}
        stats = self._rows.map_sum(lambda *rows, **facts: function(*rows, **facts, **known), params)
        for total, load in zip(self._totals, stats["loads"].values(), strict=True):
            total += load
        return stats


def open_experts(total, margin):
    """Return which experts are at most a margin above the mean total, bool (K,); all if none is."""
    is_open = total - total.mean() <= margin
    return is_open if is_open.any() else np.ones(len(total), dtype=bool)
