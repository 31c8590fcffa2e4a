"""How a mixture gets more experts and fewer: side by side, leaf by leaf, or level by level."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ..estimators import _neighbours as neighbours
from ..parts import tree
from ..parts.checks import is_integer
from ..parts.registry import coerce, matches

MERGES = 6
"""Pairs of experts that are merged at most on the way down, those of the most alike rows."""
OWN_LEAVES = 2
"""Leaves of a growing tree up to which the estimator's own starts are tried."""


class Place(NamedTuple):
    """Where a fit may begin.

    Attributes
    ----------
    params : dict
        Parameters of the estimator that say how many experts there are.
    start : ndarray or dict
        For `init_params`.
    """

    params: dict
    start: object


def growth_of(estimator, counts):
    """Return how an estimator grows to several numbers of experts, `Flat`, `Grown` or `Levels`."""
    if "n_experts" not in estimator.get_params(deep=False):
        return Levels(estimator, counts)
    kind = Grown if matches("gate", "tree", estimator.gate) else Flat
    return kind(estimator, counts)


class Flat:
    """Experts side by side: any of them is split, any two are merged.

    Attributes
    ----------
    counts : list of int
        Numbers of experts that are compared.
    sizes : list of int
        Those that are fitted on the way to them, ascending.
    """

    def __init__(self, estimator, counts):
        self.counts = self.sizes = counts

    def own(self, size):
        """Return the parameters of a fit that begins from the estimator's own starts, a dict.

        None where there is to be no such fit.
        """
        return {"n_experts": size}

    def more(self, fit, size, rows):
        """Return the places to begin from with `size` experts by splitting those of a fit, a list.

        Where there are several, the best after short climbs is the one to take.
        """
        return [Place({"n_experts": size}, neighbours.starts_near(fit, size, *rows))]

    def fewer(self, fit, size, rows):
        """Return the places to begin from with `size` experts by merging those of a fit, a list."""
        starts = neighbours.starts_near(fit, size, *rows, most=MERGES)
        return [Place({"n_experts": size}, starts)]

    def copies(self, fit, size):
        """Yield places with `size` experts that have the density of a fit."""
        for k in by_weight(fit):
            start = neighbours.copied(fit, k, size)
            if start is None:
                return
            yield Place({"n_experts": size}, start)

    def columns(self, fits):
        """Return what the results say of the sizes beside the number of experts, a dict."""
        return {}


class Grown(Flat):
    """Leaves of a tree that grows: a leaf becomes a node of two, or a node of two a leaf [1]_.

    Every number of leaves up to the largest is fitted on the way. One expert alone has the gate
    that else stands at the nodes. The estimator's own starts are for the first node, since they
    tell nothing of where to grow, and took nine tenths of the time.

    References
    ----------
    .. [1] Waterhouse, S. R. & Robinson, A. J. (1996). Constructive algorithms for hierarchical
       mixtures of experts. NIPS 8, 584-590.
    """

    def __init__(self, estimator, counts):
        self.tree, self.counts = coerce("gate", estimator.gate), counts
        self.sizes = list(range(1, counts[-1] + 1))
        if not np.array_equal(np.unique(self.tree.branching), [2]):
            raise ValueError(
                f"branching={self.tree.branching!r} of TreeGate: a tree grows by nodes of two;"
                " leave branching at 2, or choose the depth of a hierarchical estimator."
            )

    def own(self, size):
        return self._params((None,) * size if size > 1 else None) if size <= OWN_LEAVES else None

    def more(self, fit, size, rows):
        shape, leaves = neighbours.tree_shape(fit), [[k] for k in range(fit.n_experts_)]
        starts = neighbours.leaf_starts(fit, leaves, 2, *rows)
        return [
            Place(self._params(tree.grown(shape, own)), start)
            for own, start in zip(leaves, starts, strict=True)
            if start is not None
        ]

    def fewer(self, fit, size, rows):
        shape = neighbours.tree_shape(fit)
        return [
            Place(
                self._params(tree.pruned(shape, [node.id])),
                neighbours.pruned_starts(fit, [node], *rows),
            )
            for node in tree.last_nodes(shape)
        ]

    def copies(self, fit, size):
        shape = neighbours.tree_shape(fit)
        for k in by_weight(fit):
            start = neighbours.copied_leaves(fit, [k], 2)
            if start is None:
                return
            yield Place(self._params(tree.grown(shape, [k])), start)

    def columns(self, fits):
        found = np.empty(len(fits), dtype=object)
        found[:] = [tree.structure_of(neighbours.tree_shape(fit)) for fit in fits]
        return {"structure": found}

    def _params(self, shape):
        """Return the parameters of a fit with a tree, a dict."""
        if shape is None:
            return {"n_experts": 1, "gate": self.tree.gate}
        structure = tree.structure_of(shape)
        gate = clone(self.tree).set_params(structure=structure)
        return {"n_experts": tree.n_leaves(shape), "gate": gate}


class Levels(Flat):
    """Leaves of a balanced tree: all of them become nodes at once, or the last nodes leaves."""

    def __init__(self, estimator, counts):
        self.branching = estimator.branching
        self.depths = dict(self._depths(counts[-1]))
        self.counts = [count for count in counts if count in self.depths]
        if not self.counts:
            known = ", ".join(map(str, self.depths)) or "none of these"
            raise ValueError(
                f"n_experts={counts} of ExpertCountSearch: balanced trees with"
                f" branching={self.branching!r} have {known} leaves; name such numbers, or grow a"
                " tree: MixtureOfExperts...(gate=TreeGate())."
            )
        self.sizes = [size for size in self.depths if size >= self.counts[0]]
        self.sizes = [size for size in self.sizes if size <= self.counts[-1]]

    def _depths(self, most):
        """Yield numbers of leaves, and the depth of the tree that has as many; up to `most`."""
        for depth in itertools.count(1):
            params = self._params(depth)
            size = tree.n_leaves(tree.uniform(params["branching"], depth))
            if size > most:
                return
            yield size, depth
            if not is_integer(self.branching) and depth == len(self.branching):
                return

    def own(self, size):
        return self._params(self.depths[size])

    def more(self, fit, size, rows):
        leaves = list(range(fit.n_experts_))
        (start,) = neighbours.leaf_starts(fit, [leaves], size // len(leaves), *rows)
        return [] if start is None else [Place(self.own(size), start)]

    def fewer(self, fit, size, rows):
        nodes = tree.last_nodes(neighbours.tree_shape(fit))
        return [Place(self.own(size), neighbours.pruned_starts(fit, nodes, *rows))]

    def copies(self, fit, size):
        leaves = list(range(fit.n_experts_))
        start = neighbours.copied_leaves(fit, leaves, size // len(leaves))
        if start is not None:
            yield Place(self.own(size), start)

    def columns(self, fits):
        return {"depth": [fit.depth for fit in fits]}

    def _params(self, depth):
        """Return the parameters of a fit with so many levels, a dict."""
        all_levels = is_integer(self.branching)
        return {
            "branching": self.branching if all_levels else self.branching[:depth],
            "depth": depth,
        }


def by_weight(fit):
    """Return the experts of a fit, those of most weight first, a list of int."""
    return np.argsort(-fit.weights_, kind="stable").tolist()
