"""A pass in three stages: compiled scores, the family's own functions, compiled sums.

For families that are elementwise in a few scores linear in z: their formulas stand once, in numpy,
and all that is quadratic in the columns is compiled. Equal to the generic pass up to rounding.
"""

from __future__ import annotations

import numpy as np

from ..parts.statistics import Statistics
from ._spread import design_rows, gate, gate_statistics


def staged(model, params, X, y, weight, order):
    """Return the statistics of softmax, constant or tree gates with experts that have a `Stage`."""
    from .._kernels import compiled, quick  # numba is imported here, at first use

    expert, p = model.expert, X.shape[1]
    stage = expert.kernel.params(expert, params["expert"])
    target = y if stage.with_y else np.empty((len(X), 0))
    rows = design_rows(model.expert_columns, p)
    rows = np.concatenate([rows, 1 + p + np.arange(target.shape[1])])
    coef = np.zeros((*stage.coef.shape[:2], 1 + p + target.shape[1]))
    coef[:, :, rows] = stage.coef
    gate_coef, branches, wanted = gate(model, params, p, order)
    if not model.gate.inputs.uses_x:
        gate_coef = gate_coef[:, :1]

    def log_prob(scores, block):
        return stage.log_prob(scores.view(quick.Quick), y[block], **model.offset(X[block]))

    def weights(known, block, resp):
        return stage.weights(known, y[block], resp, order)

    with np.errstate(over="ignore", invalid="ignore"):  # only far from all data
        found = compiled.staged(
            X, target, weight, gate_coef, branches, coef, log_prob, weights, wanted
        )
    objective, resp, gradient, hessians, grams, sums = found
    grams = grams if order > 1 else grams[:, :1, :1]  # Σ resp is all that a gradient takes
    return Statistics(
        objective=objective,
        resp=resp,
        gate=gate_statistics(model, params, p, branches, gradient, hessians, grams),
        expert=expert.kernel.statistics(expert, params["expert"], _own(sums, rows)),
    )


def _own(sums, rows):
    """Return the sums over the columns that the experts see, by name."""
    taken = {}
    for name, value in sums.items():
        for axis in range(1, value.ndim):
            value = np.take(value, rows, axis=axis)
        taken[name] = value
    return taken
