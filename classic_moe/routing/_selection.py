"""Which experts a row goes to: the k best, and the k best that have room; ties: lowest index."""

from __future__ import annotations

import numpy as np

SLACK = 1e-9
"""What a sum of weights may exceed a capacity by: rounding."""


def best(score, k):
    """Return the numbers of the k best experts of every row, the best first, (n, k).

    Of equal scores the lowest index comes first. k passes of argmax: for the few experts that a row
    keeps less than a partition of the whole bank takes.
    """
    rows = np.arange(len(score))
    choice = np.empty((len(score), k), dtype=np.intp)
    left = score if k == 1 else score.copy()
    for j in range(k):
        choice[:, j] = left.argmax(axis=1)
        if j < k - 1:
            left[rows, choice[:, j]] = -np.inf
    return choice


def marked(choice, n_experts):
    """Return choices (n, k) as a table of True and False, (n, K)."""
    kept = np.zeros((len(choice), n_experts), dtype=bool)
    np.put_along_axis(kept, choice, True, axis=1)
    return kept


def capacity(total, n_experts, k, factor):
    """Return how much an expert takes of rows of so much weight: ceil(factor k total / K)."""
    return float(np.ceil(factor * k * total / n_experts - SLACK))


def within(choice, weight, n_experts, most, order=None):
    """Return which choices find room where no expert takes more than `most`, bool (n, k).

    All first choices come before all second ones; among them rows come in their order, or in
    `order` (n,), positions. An expert that is full takes nobody who comes later.
    """
    order = np.arange(len(choice)) if order is None else order
    used, found = np.zeros(n_experts), np.zeros(choice.shape, dtype=bool)
    for j in range(choice.shape[1]):
        has_room = _admitted(choice[order, j], weight[order], used, most)
        found[order, j] = has_room
        used += np.bincount(
            choice[order[has_room], j], weight[order[has_room]], minlength=n_experts
        )
    return found


def _admitted(wanted, weight, used, most):
    """Return who of those that come in this order still finds room with the expert wanted."""
    by_expert = np.argsort(wanted, kind="stable")
    sums = np.cumsum(weight[by_expert])
    first = np.searchsorted(wanted[by_expert], np.arange(len(used)))
    before = np.concatenate([[0.0], sums])[first]
    own = wanted[by_expert]
    admitted = np.empty(len(wanted), dtype=bool)
    admitted[by_expert] = used[own] + sums - before[own] <= most + SLACK * max(most, 1.0)
    return admitted


def rerouted(score, weight, k, most, order=None):
    """Return the kept pairs, (n, K), where rows that find no room go to their next best expert.

    Rows whose expert is full choose again, after those that chose that one first, among the experts
    that have room and that they do not have already; with factors of at least 1 all but a row here
    and there are served k times.
    """
    n, K = score.shape
    order, k = np.arange(n) if order is None else order, np.broadcast_to(k, n)
    used, kept = np.zeros(K), np.zeros((n, K), dtype=bool)
    for j in range(k.max(initial=0)):
        waiting, open_to = order[k[order] > j], np.ones((n, K), dtype=bool)
        for _ in range(K):
            free = used + SLACK < most
            left = np.where(free & open_to[waiting] & ~kept[waiting], score[waiting], -np.inf)
            some = np.isfinite(left.max(axis=1, initial=-np.inf))
            waiting, left = waiting[some], left[some]
            if not len(waiting):
                break
            wanted = left.argmax(axis=1)
            taken = _admitted(wanted, weight[waiting], used, most)
            kept[waiting[taken], wanted[taken]] = True
            used += np.bincount(wanted[taken], weight[waiting[taken]], minlength=K)
            open_to[waiting[~taken], wanted[~taken]] = False
            waiting = waiting[~taken]
    return kept
