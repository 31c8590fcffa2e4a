"""Between a part's own columns and z = [1, x, y] of a compiled pass, there and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..parts.softmax_regression import DENSE_LIMIT


class NodeSums(NamedTuple):
    """What a compiled pass sums for the gate at one node; the flat gate has one node.

    gradient (C, P), hessian (C, P, C, P) or None, and gram (P, P), Σ total z zᵀ.
    """

    gradient: np.ndarray
    hessian: np.ndarray | None
    gram: np.ndarray


def design_rows(columns, p):
    """Return the positions of a part's [1, x] in the design of all p columns, (P of the part,)."""
    columns = np.arange(p) if columns is None else columns
    return np.concatenate([[0], 1 + np.asarray(columns, dtype=int)])


def gate(model, params, p, order):
    """Return the gate's coefficients (M, 1 + p), its tree, and whose Hessian is wanted, (m,)."""
    own, branches = model.gate.kernel.params(model.gate, params["gate"])
    coef = np.zeros((len(own), 1 + p))
    coef[:, design_rows(model.gate_columns, p)] = own
    newton = order > 1 and model.gate.inputs.uses_x
    sizes = np.diff(branches.first) * own.shape[1]
    return coef, branches, tuple(newton and size <= DENSE_LIMIT for size in sizes.tolist())


def gate_statistics(model, params, p, branches, gradient, hessians, grams):
    """Return the gate's statistics from sums over all columns.

    `grams` are those of its m nodes, with the weights Σ resp below each.
    """
    rows = design_rows(model.gate_columns, p)
    block = np.ix_(rows, rows)
    sums = [
        NodeSums(
            gradient[own][:, rows],
            None if hessian is None else hessian[:, rows][:, :, :, rows],
            gram[block],
        )
        for own, hessian, gram in zip(branches.slices(), hessians, grams, strict=True)
    ]
    return model.gate.kernel.statistics(model.gate, params["gate"], sums)


def node_grams(branches, grams):
    """Return the Grams of the m nodes, (P, P) each, from those of the experts (K, P, P)."""
    below = {}
    for node, own in reversed(list(enumerate(branches.slices()))):
        children = branches.child[own]
        below[node] = sum(grams[c] if c >= 0 else below[~c] for c in children)
    return [below[node] for node in range(len(below))]
