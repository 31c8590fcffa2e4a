"""Between a part's own columns and z = [1, x, y] of a compiled pass, there and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..parts.softmax_regression import curvature


class NodeSums(NamedTuple):
    """What a compiled pass sums for the gate at one node; the flat gate has one node.

    gradient (C, P); hessian (C, P, C, P), or its blocks (C, P, P); total, the node's Σ resp; gram
    (P, P), Σ resp z zᵀ; and, if the kernel has `targets`, their moment (C, P). A pass for a
    gradient has no Hessian, Gram or moment.
    """

    gradient: np.ndarray
    hessian: np.ndarray | None
    total: float
    gram: np.ndarray | None
    moment: np.ndarray | None = None


def design_rows(columns, p):
    """Return the positions of a part's [1, x] in the design of all p columns, (P of the part,)."""
    columns = np.arange(p) if columns is None else columns
    return np.concatenate([[0], 1 + np.asarray(columns, dtype=int)])


def gate(model, params, p, order):
    """Return the gate's coefficients (M, 1 + p), its tree, and which Hessians are wanted, (m,)."""
    own, branches = model.gate.kernel.params(model.gate, params["gate"])
    coef = np.zeros((len(own), 1 + p))
    coef[:, design_rows(model.gate_columns, p)] = own
    newton = order > 1 and model.gate.inputs.uses_x
    sizes = np.diff(branches.first).tolist()
    return coef, branches, tuple(newton and curvature(C, own.shape[1]) for C in sizes)


def gate_statistics(model, params, p, branches, gradient, hessians, grams, moment=None):
    """Return the gate's statistics from sums over all columns.

    `grams` are those of its m nodes, with the weights Σ resp below each; of a node without a
    Hessian only the first entry counts.
    """
    rows = slice(1 + p) if model.gate_columns is None else design_rows(model.gate_columns, p)
    sums = [
        NodeSums(
            gradient[own][:, rows],
            columns_of(hessian, rows),
            gram[0, 0],
            None if hessian is None and moment is None else gram[rows][:, rows],
            None if moment is None else moment[own][:, rows],
        )
        for own, hessian, gram in zip(branches.slices(), hessians, grams, strict=True)
    ]
    return model.gate.kernel.statistics(model.gate, params["gate"], sums)


def columns_of(hessian, rows):
    """Return a part's own columns of a Hessian (C, P, C, P), of its blocks (C, P, P), or None."""
    if hessian is None:
        return None
    return hessian[:, rows][..., rows]


def node_grams(branches, grams):
    """Return the Grams of the m nodes, (P, P) each, from those of the experts (K, P, P).

    So are the first entries of Grams, (1, 1), from those of the experts (K, 1, 1).
    """
    below = {}
    for node, own in reversed(list(enumerate(branches.slices()))):
        children = branches.child[own]
        below[node] = sum(grams[c] if c >= 0 else below[~c] for c in children)
    return [below[node] for node in range(len(below))]
