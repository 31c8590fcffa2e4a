"""Which pairs of gate and expert have a fused pass, and how it is called.

A fused twin is optional and must equal the generic pass; `MixtureModel.statistics` asks here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..parts.softmax_regression import DENSE_LIMIT
from ..parts.statistics import Statistics
from .objectives import MixtureLikelihood

SMALL = 512
"""Rows up to which numpy is quick enough to save the user numba's loading and compiling."""
WIDE = 48
"""Columns of [1, x, y] above which the generic pass, on BLAS, is the faster one."""


class NodeSums(NamedTuple):
    """What a compiled pass sums for the gate at one node; the flat gate has one node.

    gradient (C, P), hessian (C, P, C, P) or None, and gram (P, P), Σ total z zᵀ.
    """

    gradient: np.ndarray
    hessian: np.ndarray | None
    gram: np.ndarray


def lookup(model, X, y):
    """The fused pass for the parts of `model` and data of this size, or None."""
    width = 1 + X.shape[1] + (y.shape[1] if y.ndim > 1 else 0)
    small = model.compiled == "auto" and len(X) <= SMALL
    if not model.compiled or small or width > WIDE:
        return None
    if type(model.objective) is not MixtureLikelihood:
        return None
    kernels = model.gate.kernel, model.expert.kernel
    return None if None in kernels else TABLE.get(tuple(kernel.name for kernel in kernels))


def softmax_gaussian(model, params, X, y, weight, order):
    """Softmax or constant gates with linear or constant Gaussian experts, in one compiled pass.

    Every part's coefficients are spread over all columns of z = [1, x, y] (zeros where it does not
    look), and its own block of the sums is taken out again.
    """
    from .._kernels import compiled  # numba is imported here, at first use

    p, q = X.shape[1], y.shape[1]
    rows = _design_rows(model.expert_columns, p)
    rows = np.concatenate([rows, 1 + p + np.arange(q)])
    own_whitening, log_norm = model.expert.kernel.params(model.expert, params["expert"])
    whitening = np.zeros((len(own_whitening), q, 1 + p + q))
    whitening[:, :, rows] = own_whitening
    gate_coef, branches, wanted = _gate(model, params, p, order)
    objective, gradient, hessians, grams = compiled.softmax_gaussian(
        X, y, weight, gate_coef, branches, whitening, log_norm, wanted
    )
    return Statistics(
        objective=objective,
        resp=grams[:, 0, 0].copy(),
        gate=_gate_statistics(model, params, p, branches, gradient, hessians, grams),
        expert=model.expert.kernel.statistics(
            model.expert, params["expert"], grams[:, rows[:, None], rows]
        ),
    )


def softmax_softmax(model, params, X, y, weight, order):
    """Softmax or constant gates with softmax or logistic experts, in one compiled pass."""
    from .._kernels import compiled

    p = X.shape[1]
    rows = _design_rows(model.expert_columns, p)
    own_coef = model.expert.kernel.params(model.expert, params["expert"])
    K, C, _ = own_coef.shape
    coef = np.zeros((K, C, 1 + p))
    coef[:, :, rows] = own_coef
    gate_coef, branches, wanted = _gate(model, params, p, order)
    wants_curvature = order > 1 and C * len(rows) <= DENSE_LIMIT
    objective, gradient, hessians, slopes, curvature, grams = compiled.softmax_softmax(
        X, y, weight, gate_coef, branches, coef, wanted, wants_curvature
    )
    if curvature is not None:
        curvature = curvature[:, :, rows][:, :, :, :, rows]
    return Statistics(
        objective=objective,
        resp=grams[:, 0, 0].copy(),
        gate=_gate_statistics(model, params, p, branches, gradient, hessians, grams),
        expert=model.expert.kernel.statistics(
            model.expert,
            params["expert"],
            slopes[:, :, rows],
            curvature,
            grams[:, rows[:, None], rows],
        ),
    )


def _design_rows(columns, p):
    """Positions of a part's [1, x] in the design of all columns."""
    columns = np.arange(p) if columns is None else columns
    return np.concatenate([[0], 1 + np.asarray(columns, dtype=int)])


def _gate(model, params, p, order):
    """The gate's coefficients over all columns, its tree, and whose Hessian is wanted."""
    own, branches = model.gate.kernel.params(model.gate, params["gate"])
    coef = np.zeros((len(own), 1 + p))
    coef[:, _design_rows(model.gate_columns, p)] = own
    newton = order > 1 and model.gate.inputs.uses_x
    sizes = np.diff(branches.first) * own.shape[1]
    return coef, branches, tuple(newton and size <= DENSE_LIMIT for size in sizes.tolist())


def _gate_statistics(model, params, p, branches, gradient, hessians, grams):
    """The gate's own block of the sums; the Gram of a node is the sum of the experts' below."""
    rows = _design_rows(model.gate_columns, p)
    block = np.ix_(rows, rows)
    below = {}
    for node, own in reversed(list(enumerate(branches.slices()))):
        children = branches.child[own]
        below[node] = sum(grams[c][block] if c >= 0 else below[~c] for c in children)
    sums = [
        NodeSums(
            gradient[own][:, rows],
            None if hessian is None else hessian[:, rows][:, :, :, rows],
            below[node],
        )
        for node, (own, hessian) in enumerate(zip(branches.slices(), hessians, strict=True))
    ]
    return model.gate.kernel.statistics(model.gate, params["gate"], sums)


TABLE = {
    ("softmax", "linear_gaussian"): softmax_gaussian,
    ("softmax", "softmax"): softmax_softmax,
}
