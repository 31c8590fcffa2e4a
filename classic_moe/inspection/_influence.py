"""Which columns of a table move a fitted model most."""

from __future__ import annotations

import numpy as np
from sklearn.utils import _safe_indexing

from ._columns import column_of, is_gap, numbers_in
from ._dependence import Feature, sampled

ROWS = 200
VALUES = 9


def influence(pick, transform, X, names, reach):
    """Return how far each column moves the mean and the gate of a fitted mixture, (2, p).

    A column is given values as they are spread over the rows and plausible for each (`reach` as in
    `Feature.weights`), the others staying as they are; the standard deviation of what the model
    then says, averaged over rows, is how far it moves. That of the gate is of the vector of its
    probabilities.
    """

    def said(at):
        return np.column_stack([pick.mean(at), pick.gate(at)])

    moved = np.zeros((2, len(names)))
    rows = sampled(X, ROWS, 0)
    for j in range(len(names)):
        found = _values(X, j, names[j])
        if found is None:
            continue
        along, weight = found
        at = along.evaluate(said, transform, rows)
        weight = weight * along.weights(rows, reach)
        weight /= weight.sum(axis=1, keepdims=True)
        center = np.einsum("nmk,nm->nk", at, weight)
        spread = np.einsum("nmk,nm->nk", (at - center[:, None]) ** 2, weight)
        moved[:, j] = np.sqrt(spread[:, 0]).mean(), np.sqrt(spread[:, 1:].sum(axis=1)).mean()
    return moved


def ranking(moved):
    """Return the columns by how far they move mean and gate together, and their scores, (p,) each.

    Each counts as a share of what all columns move, so that the scores sum to 2, or to 1 where the
    gate never moves.
    """
    total = moved.sum(axis=1, keepdims=True)
    score = (moved / np.where(total > 0, total, 1)).sum(axis=0)
    order = np.argsort(-score, kind="stable")
    return order, score[order]


def _values(X, j, name):
    """Return a Feature of the values that column j is given, and their weights; None if empty."""
    column = column_of(X, j)
    x = numbers_in(column)
    if x is not None:
        x = x[np.isfinite(x)]
        if not len(x):
            return None
        values, counts = np.unique(x, return_counts=True)
        if len(values) > VALUES:
            values = np.quantile(x, (np.arange(VALUES) + 0.5) / VALUES)
            counts = np.ones(VALUES)
        return Feature(j, name, values, values, False), counts / counts.sum()
    there = np.flatnonzero([not is_gap(cell) for cell in np.asarray(column, dtype=object)])
    if not len(there):
        return None
    along = Feature.of(X, [name] * (j + 1), j)
    texts = np.asarray(_safe_indexing(column, there)).astype(str)
    counts = np.array([np.sum(texts == str(level)) for level in along.grid])
    return along, counts / counts.sum()
