"""Where fits with more or fewer experts than a fitted estimator begin."""

from __future__ import annotations

import itertools

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
    K = fit.n_experts_
    resp = np.array(fit.responsibilities(X, y, groups))
    weight = weigh(fit, resp, y, sample_weight)
    rows = np.flatnonzero(weight > 0)
    facts = row_facts.facts(groups, None, len(weight), K)
    rows = row_facts.arrange(facts, rows)
    room = max(1, LARGEST_STARTS // (len(weight) * n_experts))
    most = room if most is None else min(most, room)
    if n_experts > K:
        F, n_inputs = _features(fit, X, y, weight, rows, facts)
        found = splits.splits(F, n_inputs, weight[rows], resp[rows], n_experts - K)
    else:
        found = splits.merges(weight[rows], resp[rows], K - n_experts)
    starts = []
    for one in itertools.islice(found, most):
        whole = np.full((len(weight), n_experts), 1 / n_experts)  # rows of no weight: anything
        whole[rows] = one
        starts.append(whole)
    return np.stack(starts)


def copied(fit, k, n_experts):
    """Return starting values of the same density with n_experts: expert k stands there repeatedly.

    A dict for ``init_params``, or None where the gate has no such values; see `splits.copied`.
    """
    return splits.copied(fit._current(), k, n_experts - fit.n_experts_)


def _features(fit, X, y, weight, rows, facts):
    """Return what tells rows apart, standardised inputs and targets (n, m), and of how many."""
    fitted = fit._fitted
    X, y = fit._check_Xy(X, y)
    X = X.whole("Splits of experts need", rows)
    facts = {name: fact[rows] for name, fact in facts.items()}
    block = Block(X, y[rows], weight[rows], facts)
    return features(fitted.model, fitted.schema.target.labels, block)
