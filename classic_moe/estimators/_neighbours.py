"""Where fits with more or fewer experts than a fitted estimator begin."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from ..data import row_facts
from ..data.batches import Block
from ..starts import splits
from ..starts.init_params import features
from ._prepare import weigh

LARGEST_STARTS = 2**25
"""Numbers in all starts together, 256 MiB, from which on there are fewer."""


def starts_near(fit, n_experts, X, y, sample_weight=None, groups=None, most=None):
    """Return starts for another number of experts, by splitting or merging those of a fit.

    Parameters
    ----------
    fit : fitted estimator
        A mixture of K experts.
    n_experts : int
        More than K: each start splits an expert. Fewer: each merges two.
    X, y, sample_weight, groups : as of `fit`
    most : int, default=None
        How many starts at most, the most promising first; None: all.

    Returns
    -------
    ndarray of shape (starts, n, n_experts)
        Responsibilities of all rows, for ``init_params``.
    """
    K, seen = fit.n_experts_, _seen(fit, X, y, sample_weight, groups)
    weight, resp = seen.weight[seen.rows], seen.resp[seen.rows]
    if n_experts > K:
        found = splits.splits(*_features(fit, X, y, seen), weight, resp, n_experts - K)
    else:
        found = splits.merges(weight, resp, K - n_experts)
    return _stacked(found, n_experts, seen, most)


def leaf_starts(fit, choices, n_children, X, y, sample_weight=None, groups=None):
    """Yield starts with leaves of a tree parted where they stand.

    Parameters
    ----------
    fit : fitted estimator
        Of one expert, or with a tree as its gate.
    choices : list of container of int
        Which leaves to part, for each yield.
    n_children : int
        New leaves in place of one.
    X, y, sample_weight, groups : as of `fit`

    Yields
    ------
    ndarray of shape (starts, n, leaves), or None
        Responsibilities of all rows; None where a leaf has too few rows.
    """
    seen = _seen(fit, X, y, sample_weight, groups)
    weight, resp = seen.weight[seen.rows], seen.resp[seen.rows]
    F, n_inputs = _features(fit, X, y, seen)
    mass = weight @ resp
    for leaves in choices:
        if min(mass[k] for k in leaves) < min(splits.LEAST_SPLIT, mass.max()):
            yield None
            continue
        found = splits.leaf_splits(F, n_inputs, weight, resp, leaves, n_children)
        yield _stacked(found, len(mass) + len(leaves) * (n_children - 1), seen)


def pruned_starts(fit, nodes, X, y, sample_weight=None, groups=None):
    """Return a start with the leaves of some nodes as one leaf each, (1, n, leaves).

    `nodes` are `Node`s of the tree of the fit, all of whose children are leaves.
    """
    seen = _seen(fit, X, y, sample_weight, groups)
    resp = seen.resp[seen.rows]
    ids = np.arange(resp.shape[1])
    for node in nodes:
        ids[node.leaves[0].start : node.leaves[-1].stop] = node.leaves[0].start
    firsts = np.unique(ids)
    merged = np.stack([resp[:, ids == first].sum(axis=1) for first in firsts], axis=1)
    return _stacked([merged], len(firsts), seen)


def copied(fit, k, n_experts):
    """Return starting values of the same density with n_experts: expert k stands there repeatedly.

    A dict for ``init_params``, or None where the gate has no such values; see `splits.copied`.
    """
    return splits.copied(fit._current(), k, n_experts - fit.n_experts_)


def copied_leaves(fit, leaves, n_children):
    """Return starting values of the same density with new leaves; see `splits.copied_leaves`."""
    return splits.copied_leaves(fit._current(), leaves, n_children)


def tree_shape(fit):
    """Return the shape of the tree of a fitted estimator, None of one expert."""
    K = fit.n_experts_
    return None if K == 1 else fit._current().model.gate.tree_shape(K)


class _Seen(NamedTuple):
    """What a fit says of rows: `resp` (n, K), their `weight` (n,), and `rows` that have some."""

    resp: np.ndarray
    weight: np.ndarray
    rows: np.ndarray
    facts: dict


def _seen(fit, X, y, sample_weight, groups):
    """Return what a fit says of rows, `_Seen`."""
    resp = np.array(fit.responsibilities(X, y, groups))
    weight = weigh(fit, resp, y, sample_weight)
    facts = row_facts.facts(groups, None, len(weight), fit.n_experts_)
    return _Seen(resp, weight, row_facts.arrange(facts, np.flatnonzero(weight > 0)), facts)


def _stacked(found, n_experts, seen, most=None):
    """Return responsibilities of rows of weight as starts for all rows, (starts, n, n_experts)."""
    n = len(seen.weight)
    room = max(1, LARGEST_STARTS // (n * n_experts))
    starts = []
    for one in itertools.islice(found, room if most is None else min(most, room)):
        whole = np.full((n, n_experts), 1 / n_experts)  # rows of no weight: anything
        whole[seen.rows] = one
        starts.append(whole)
    return np.stack(starts)


def _features(fit, X, y, seen):
    """Return what tells rows apart, standardised inputs and targets (n, m), and of how many."""
    fitted, rows = fit._fitted, seen.rows
    X, y = fit._check_Xy(X, y)
    X = X.whole("Splits of experts need", rows)
    facts = {name: fact[rows] for name, fact in seen.facts.items()}
    block = Block(X, y[rows], seen.weight[rows], facts)
    return features(fitted.model, fitted.schema.target.labels, block)
