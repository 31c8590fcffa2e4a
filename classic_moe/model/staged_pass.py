"""A pass in three stages: compiled scores, the family's own functions, compiled sums.

For families that are elementwise in a few scores linear in z: their formulas stand once, in numpy,
and all that is quadratic in the columns is compiled. Equal to the generic pass up to rounding.
"""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..parts.kernel import Stage, Weights
from ..parts.stages import LINEAR, as_quick, stage_of
from ..parts.statistics import Statistics
from ._spread import design_rows, gate, gate_statistics


def staged(model, params, X, y, weight, order):
    """Return the statistics of gates of scores, or trees of them, with staged or linear experts."""
    stage, given = stage_of(model.expert, params["expert"]), model.gate.kernel.targets
    gate_coef, branches, wanted = gate(model, params, X.shape[1], order)
    if not model.gate.inputs.uses_x:
        gate_coef = gate_coef[:, :1]

    def weights(known, y, resp, order, block):
        own = stage.weights(known, y, resp, order)
        if given is None or order < 2:
            return own
        return own._replace(plain={MOMENT: given(model.gate, as_quick(resp), branches)})

    wanted = wanted if given is None else False
    found, rows = _passed(model, stage, X, y, weight, gate_coef, branches, wanted, order, weights)
    objective, resp, gradient, hessians, grams, sums = found
    sums_of_gate = branches, gradient, hessians, grams, sums.pop(MOMENT, None)
    return Statistics(
        objective=objective,
        resp=resp,
        gate=gate_statistics(model, params, X.shape[1], *sums_of_gate),
        expert=_of_expert(model.expert, params, sums, rows, order),
    )


def beside_gaussian_gate(model, params, X, y, weight, order):
    """Return the statistics of Gaussian gates, log a_k p_k(x), with staged experts.

    Densities of other families that the gate has besides take part by their own verbs.
    """
    own_gate, p, stage = model.gate, X.shape[1], stage_of(model.expert, params["expert"])
    log_weights, own_maps, log_norm = own_gate.kernel.params(own_gate, params["gate"])
    columns, branches = design_rows(model.gate_columns, p), array.Branches.flat(len(log_weights))
    maps = np.zeros((*own_maps.shape[:2], 1 + p + (y.shape[1] if stage.with_y else 0)))
    maps[:, :, columns[: own_maps.shape[2]]] = own_maps
    others, of_others = {}, []
    if own_gate.kernel.others is not None:
        for name, (density, own, taken) in own_gate.kernel.others(own_gate, params["gate"]).items():
            others[name] = density, own, X[:, columns[1:][taken] - 1]

    def weights(known, y, resp, order, block):
        rows = np.ascontiguousarray(resp) if others else resp
        each = {name: d.statistics(own, V[block], rows) for name, (d, own, V) in others.items()}
        of_others.append(Statistics(each))
        own = stage.weights(known, y, resp, order)
        return own._replace(grams={**own.grams, GRAM: np.ones_like(resp)})

    def log_others(block):
        return sum(density.log_prob(own, V[block]) for density, own, V in others.values())

    alike = log_weights[:, None], branches, False
    found, rows = _passed(
        model,
        stage,
        X,
        y,
        weight,
        *alike,
        order,
        weights,
        log_others if others else None,
        before=(maps, log_norm),
    )
    objective, resp, *_, sums = found
    gram = sums.pop(GRAM)[:, columns[:, None], columns]
    of_gate = own_gate.kernel.statistics(own_gate, params["gate"], gram)
    return Statistics(
        objective=objective,
        resp=resp,
        gate=of_gate | sum(of_others[1:], start=of_others[0]),
        expert=_of_expert(model.expert, params, sums, rows, order),
    )


def beside_any_gate(model, params, X, y, weight, order):
    """Return the statistics of a gate by its own verbs, a block at a time, with staged experts."""
    own_gate, stage = model.gate, stage_of(model.expert, params["expert"])
    verb = own_gate.log_joint if model.models_x else own_gate.log_prob
    gate_X, gate_sums = model.gate_input(X), []

    def weights(known, y, resp, order, block):
        own = np.ascontiguousarray(resp)
        gate_sums.append(own_gate.statistics(params["gate"], gate_X[block], own, order))
        return stage.weights(known, y, resp, order)

    def log_gate(block):
        return verb(params["gate"], gate_X[block])

    K = len(stage.coef)
    alike = np.zeros((K, 1)), array.Branches.flat(K), False
    found, rows = _passed(model, stage, X, y, weight, *alike, order, weights, log_gate)
    objective, resp, *_, sums = found
    return Statistics(
        objective=objective,
        resp=resp,
        gate=sum(gate_sums[1:], start=gate_sums[0]),
        expert=_of_expert(model.expert, params, sums, rows, order),
    )


def beside_any_expert(model, params, X, y, weight, order):
    """Return the statistics of gates of scores, or trees of them, with experts by their own verbs.

    Those that are no sums are of all rows at once.
    """
    own_gate, p = model.gate, X.shape[1]
    gate_coef, branches, wanted = gate(model, params, p, order)
    if not own_gate.inputs.uses_x:
        gate_coef = gate_coef[:, :1]
    K, resps = sum(child >= 0 for child in branches.child), []
    own_X, offset = model.expert_input(X), model.offset(X)
    density = model.expert.log_prob(params["expert"], own_X, y, **offset)

    def weights(known, y, resp, order, block):
        resps.append(resp)
        return Weights()

    nothing = np.zeros((K, 0, 1 + own_X.shape[1]))
    stage = Stage(nothing, False, None, weights)
    found, _ = _passed(
        model, stage, X, y, weight, gate_coef, branches, wanted, order, weights, density=density
    )
    objective, resp, gradient, hessians, grams, _ = found
    every = np.ascontiguousarray(np.concatenate(resps))
    return Statistics(
        objective=objective,
        resp=resp,
        gate=gate_statistics(model, params, p, branches, gradient, hessians, grams),
        expert=model.expert.statistics(params["expert"], own_X, y, every, order, **offset),
    )


MOMENT, GRAM = "moment of the gate", "gram of the gate"
"""Names of sums that are the gate's."""


def _of_expert(expert, params, sums, rows, order):
    """Return the experts' statistics from sums over all columns, by name."""
    own = _own(sums, rows)
    if expert.kernel.name != LINEAR:
        return expert.kernel.statistics(expert, params["expert"], own)
    own = own["gram"] if order > 1 else np.stack(list(own.values()), axis=1)
    return expert.kernel.statistics(expert, params["expert"], own, order)


def _passed(
    model,
    stage,
    X,
    y,
    weight,
    gate_coef,
    branches,
    wanted,
    order,
    weights,
    log_gate=None,
    before=None,
    density=None,
):
    """Return what the compiled pass brings, and the positions of the experts' columns in z.

    `weights` are a stage's, told the block too; `before` is that of `compiled.staged`; `density`
    (n, K) are the log densities where they are known.
    """
    from .._kernels import compiled  # numba is imported here, at first use

    p, (K, r, _) = X.shape[1], stage.coef.shape
    target = y if stage.with_y else np.empty((len(X), 0))
    rows = design_rows(model.expert_columns, p)
    rows = np.concatenate([rows, 1 + p + np.arange(target.shape[1])])
    coef = np.zeros((K, r, 1 + p + target.shape[1]))
    coef[:, :, rows] = stage.coef

    def log_prob(scores, block):
        if density is not None:
            return density[block], None
        return stage.log_prob(as_quick(scores), y[block], **model.offset(X[block]))

    def own_weights(known, block, resp):
        return weights(known, y[block], resp, order, block)

    given = X, target, weight, gate_coef, branches, coef, log_prob, own_weights, wanted
    with np.errstate(over="ignore", invalid="ignore"):  # only far from all data
        found = compiled.staged(*given, log_gate, before)
    return found, rows


def _own(sums, rows):
    """Return the sums over the columns that the experts see, by name."""
    taken = {}
    for name, value in sums.items():
        for axis in range(1, value.ndim):
            value = np.take(value, rows, axis=axis)
        taken[name] = value
    return taken
