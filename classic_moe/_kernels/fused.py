"""Which pairs of gate and expert have a fused pass, and how it is called.

A fused twin is optional and must equal the generic pass; `MixtureModel.statistics` asks here.
"""

from __future__ import annotations

import numpy as np

from ..objectives import MixtureLikelihood
from ..statistics import Statistics

WIDE = 48
"""Columns of [1, x, y] above which the generic pass, on BLAS, is the faster one."""


def lookup(model, width):
    """The fused pass for the parts of `model` and so many columns of [1, x, y], or None."""
    if width > WIDE or type(model.objective) is not MixtureLikelihood:
        return None
    return TABLE.get((model.gate.kernel, model.expert.kernel))


def softmax_gaussian(model, params, X, y, weight, order):
    """Softmax or constant gate with linear or constant Gaussian experts, in one compiled pass.

    Every part's coefficients are spread over all columns of z = [1, x, y] (zeros where it does not
    look), and its own block of the sums is taken out again.
    """
    from . import compiled  # numba is imported here, at first use

    p, q = X.shape[1], y.shape[1]
    gate_rows = _design_rows(model.gate_columns, p)
    expert_rows = np.concatenate([_design_rows(model.expert_columns, p), 1 + p + np.arange(q)])
    own_gate = model.gate.kernel_params(params["gate"])
    own_whitening, log_norm = model.expert.kernel_params(params["expert"])
    gate_coef = np.zeros((len(own_gate), 1 + p))
    gate_coef[:, gate_rows] = own_gate
    whitening = np.zeros((len(own_gate), q, 1 + p + q))
    whitening[:, :, expert_rows] = own_whitening
    wants_hessian = order > 1 and model.gate.uses_x and own_gate.size <= DENSE_LIMIT
    objective, gradient, hessian, grams = compiled.softmax_gaussian(
        X, y, weight, gate_coef, whitening, log_norm, wants_hessian
    )
    if hessian is not None:
        hessian = hessian[:, gate_rows][:, :, :, gate_rows]
    total = grams.sum(axis=0)[np.ix_(gate_rows, gate_rows)]
    return Statistics(
        objective=objective,
        resp=grams[:, 0, 0].copy(),
        gate=model.gate.kernel_statistics(params["gate"], gradient[:, gate_rows], hessian, total),
        expert=model.expert.kernel_statistics(grams[:, expert_rows[:, None], expert_rows[None, :]]),
    )


def _design_rows(columns, p):
    """Positions of a part's [1, x] in the design of all columns."""
    columns = np.arange(p) if columns is None else columns
    return np.concatenate([[0], 1 + np.asarray(columns, dtype=int)])


TABLE = {("softmax", "linear_gaussian"): softmax_gaussian}

DENSE_LIMIT = 600
"""Gate parameters above which no Hessian is formed (as in `softmax_regression`)."""
