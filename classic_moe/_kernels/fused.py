"""Which pairs of gate and expert have a fused pass, and how it is called.

A fused twin is optional and must equal the generic pass; `MixtureModel.statistics` asks here.
"""

from __future__ import annotations

import numpy as np

from ..objectives import MixtureLikelihood
from ..softmax_regression import DENSE_LIMIT
from ..statistics import Statistics

SMALL = 512
"""Rows up to which numpy is quick enough to save the user numba's loading and compiling."""
WIDE = 48
"""Columns of [1, x, y] above which the generic pass, on BLAS, is the faster one."""


def lookup(model, X, y):
    """The fused pass for the parts of `model` and data of this size, or None."""
    width = 1 + X.shape[1] + (y.shape[1] if y.ndim > 1 else 0)
    small = model.compiled == "auto" and len(X) <= SMALL
    if not model.compiled or small or width > WIDE:
        return None
    if type(model.objective) is not MixtureLikelihood:
        return None
    return TABLE.get((model.gate.kernel, model.expert.kernel))


def softmax_gaussian(model, params, X, y, weight, order):
    """Softmax or constant gate with linear or constant Gaussian experts, in one compiled pass.

    Every part's coefficients are spread over all columns of z = [1, x, y] (zeros where it does not
    look), and its own block of the sums is taken out again.
    """
    from . import compiled  # numba is imported here, at first use

    p, q = X.shape[1], y.shape[1]
    rows = _design_rows(model.expert_columns, p)
    rows = np.concatenate([rows, 1 + p + np.arange(q)])
    own_whitening, log_norm = model.expert.kernel_params(params["expert"])
    whitening = np.zeros((len(own_whitening), q, 1 + p + q))
    whitening[:, :, rows] = own_whitening
    gate_coef, wants_hessian = _gate_coef(model, params, p, order)
    objective, gradient, hessian, grams = compiled.softmax_gaussian(
        X, y, weight, gate_coef, whitening, log_norm, wants_hessian
    )
    return Statistics(
        objective=objective,
        resp=grams[:, 0, 0].copy(),
        gate=_gate_statistics(model, params, p, gradient, hessian, grams),
        expert=model.expert.kernel_statistics(grams[:, rows[:, None], rows]),
    )


def softmax_softmax(model, params, X, y, weight, order):
    """Softmax or constant gate with softmax or logistic experts, in one compiled pass."""
    from . import compiled

    p = X.shape[1]
    rows = _design_rows(model.expert_columns, p)
    own_coef = model.expert.kernel_params(params["expert"])
    K, C, _ = own_coef.shape
    coef = np.zeros((K, C, 1 + p))
    coef[:, :, rows] = own_coef
    gate_coef, wants_hessian = _gate_coef(model, params, p, order)
    wants_curvature = order > 1 and C * len(rows) <= DENSE_LIMIT
    objective, gradient, hessian, slopes, curvature, grams = compiled.softmax_softmax(
        X, y, weight, gate_coef, coef, wants_hessian, wants_curvature
    )
    if curvature is not None:
        curvature = curvature[:, :, rows][:, :, :, :, rows]
    return Statistics(
        objective=objective,
        resp=grams[:, 0, 0].copy(),
        gate=_gate_statistics(model, params, p, gradient, hessian, grams),
        expert=model.expert.kernel_statistics(
            slopes[:, :, rows], curvature, grams[:, rows[:, None], rows]
        ),
    )


def _design_rows(columns, p):
    """Positions of a part's [1, x] in the design of all columns."""
    columns = np.arange(p) if columns is None else columns
    return np.concatenate([[0], 1 + np.asarray(columns, dtype=int)])


def _gate_coef(model, params, p, order):
    """The gate's coefficients over all columns, and whether its Hessian is wanted."""
    own = model.gate.kernel_params(params["gate"])
    coef = np.zeros((len(own), 1 + p))
    coef[:, _design_rows(model.gate_columns, p)] = own
    return coef, order > 1 and model.gate.uses_x and own.size <= DENSE_LIMIT


def _gate_statistics(model, params, p, gradient, hessian, grams):
    """The gate's own block of the sums; its Gram is the sum of the experts'."""
    rows = _design_rows(model.gate_columns, p)
    if hessian is not None:
        hessian = hessian[:, rows][:, :, :, rows]
    gram = grams.sum(axis=0)[np.ix_(rows, rows)]
    return model.gate.kernel_statistics(params["gate"], gradient[:, rows], hessian, gram)


TABLE = {
    ("softmax", "linear_gaussian"): softmax_gaussian,
    ("softmax", "softmax"): softmax_softmax,
}
