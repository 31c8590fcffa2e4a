"""Which pairs of gate and expert have a compiled pass, and how it is called.

A compiled pass is optional and must equal the generic one; `MixtureModel.statistics` asks `lookup`.
It is fused, one kernel for everything, or staged, with the family's own functions in the middle.
"""

from __future__ import annotations

import numpy as np

from .._kernels.array import is_host
from .._kernels.loading import is_loaded
from ..parts import softmax_regression as sr
from ..parts.statistics import Statistics
from ._spread import columns_of, design_rows, gate, gate_statistics, node_grams
from .objectives import MixtureLikelihood
from .staged_pass import staged

SMALL, FEW = 512, 300
"""Rows up to which, and passes in a process for which, numpy is quick enough to save the user
numba's loading and compiling, unless it is loaded already."""
_small_passes = 0


def lookup(model, X, y):
    """The compiled pass for the parts of `model` and data of this size, or None.

    It is called as ``found(model, params, X, y, weight, order)`` and returns the `Statistics`.
    """
    global _small_passes
    if not model.compiled or not is_host(X):
        return None
    if type(model.objective) is not MixtureLikelihood:
        return None
    kernels = model.gate.kernel, model.expert.kernel
    found = None if None in kernels else TABLE.get(tuple(kernel.name for kernel in kernels))
    if found is not None and model.compiled == "auto" and X.shape[0] <= SMALL:
        if not is_loaded() and _small_passes < FEW:
            _small_passes += 1
            return None
    return found


def softmax_gaussian(model, params, X, y, weight, order):
    """Softmax or constant gates with linear or constant Gaussian experts, in one compiled pass.

    Every part's coefficients are spread over all columns of z = [1, x, y] (zeros where it does not
    look), and its own block of the sums is taken out again.
    """
    from .._kernels import compiled  # numba is imported here, at first use

    p, q = X.shape[1], y.shape[1]
    rows = design_rows(model.expert_columns, p)
    rows = np.concatenate([rows, 1 + p + np.arange(q)])
    own_whitening, log_norm = model.expert.kernel.params(model.expert, params["expert"])
    whitening = np.zeros((len(own_whitening), q, 1 + p + q))
    whitening[:, :, rows] = own_whitening
    gate_coef, branches, wanted = gate(model, params, p, order)
    objective, gradient, hessians, sums = compiled.softmax_gaussian(
        X, y, weight, gate_coef, branches, whitening, log_norm, wanted, grams=order > 1
    )
    own = sums
    if model.expert_columns is not None:
        own = sums[:, rows[:, None], rows] if order > 1 else sums[:, :, rows]
    return Statistics(
        objective=objective,
        resp=sums[:, 0, 0].copy(),
        gate=gate_statistics(
            model, params, p, branches, gradient, hessians, _of_nodes(branches, sums, order)
        ),
        expert=model.expert.kernel.statistics(model.expert, params["expert"], own, order),
    )


def softmax_softmax(model, params, X, y, weight, order):
    """Softmax or constant gates with softmax or logistic experts, in one compiled pass."""
    from .._kernels import compiled

    p = X.shape[1]
    rows = design_rows(model.expert_columns, p)
    own_coef = model.expert.kernel.params(model.expert, params["expert"])
    K, C, _ = own_coef.shape
    coef = np.zeros((K, C, 1 + p))
    coef[:, :, rows] = own_coef
    gate_coef, branches, wanted = gate(model, params, p, order)
    of_experts = order > 1 and sr.curvature(C, len(rows))
    objective, gradient, hessians, slopes, curvature, sums = compiled.softmax_softmax(
        X, y, weight, gate_coef, branches, coef, wanted, of_experts, grams=order > 1
    )
    if curvature is not None and model.expert_columns is not None:
        curvature = np.stack([columns_of(own, rows) for own in curvature])
    return Statistics(
        objective=objective,
        resp=sums[:, 0, 0].copy(),
        gate=gate_statistics(
            model, params, p, branches, gradient, hessians, _of_nodes(branches, sums, order)
        ),
        expert=model.expert.kernel.statistics(
            model.expert,
            params["expert"],
            slopes[:, :, rows],
            curvature,
            sums[:, rows[:, None], rows] if order > 1 else None,
        ),
    )


def _of_nodes(branches, sums, order):
    """Return the Grams of the nodes or, in a pass for a gradient, their first entries, Σ resp."""
    return node_grams(branches, sums if order > 1 else sums[:, :1, :1])


TABLE = {
    ("softmax", "linear_gaussian"): softmax_gaussian,
    ("softmax", "softmax"): softmax_softmax,
    ("softmax", "staged"): staged,
}
