"""`n_free_parameters`: how many parameters of a fit its rows determine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.rank import independent_columns
from ..data.units import Scaling, Units


def n_free_parameters(problem, params):
    """Return the number of free parameters of gate and experts, an int.

    Zero, constant, copied and linearly dependent columns of a part do not count: there are as many
    parameters as without them. Of the rows of a stream more will come, which may tell its columns
    apart: there all count.
    """
    model, known = problem.model, {}
    # The space of the rows has as many columns as are independent.
    every = problem.streams or problem.schema.x.rotation is not None
    count = 0
    for name, part in (("gate", model.gate), ("expert", model.expert)):
        if name == "expert" and model.objective.blends and part.learning.fixed:
            continue  # the noise of experts that stay as they are enters no squared error
        own = params[name]
        n = int(part.n_parameters(own))
        if n and part.inputs.uses_x and not every and _with(problem, name, own, None) < n:
            kept = _independent(problem, name, known)
            n = n if kept.all() else _with(problem, name, own, kept)
        count += n
    return count


def _independent(problem, name, known):
    """Return which columns of a part are independent, (p,), worked out once for the same columns.

    `known` holds what has been worked out.
    """
    columns = _columns(problem, name)
    key = None if columns is None else tuple(columns)
    if key not in known:
        known[key] = independent_columns(problem.batches, columns)
    return known[key]


def _columns(problem, name):
    """Return where a part's columns stand in the internal X; None means all."""
    return {"gate": problem.model.gate_columns, "expert": problem.model.expert_columns}[name]


def _with(problem, name, own, kept):
    """Return the number of parameters that a part would have with the columns `kept` alone, an int.

    `kept` (p,), or None: no column. The part itself says how its params change with the columns, by
    way of the caller's values: columns of factor 0 are without spread, and the rotation, which is
    that of data with many more columns than rows, leaves them out.
    """
    model = problem.model
    units = model.units(name, *problem.schema.scalings)
    p, q = len(units.x.center), len(units.y.center)
    chosen = np.flatnonzero(np.zeros(p) if kept is None else kept)
    factor, rotation = np.zeros(p), np.zeros((p, len(chosen)))
    factor[chosen] = rotation[chosen, np.arange(len(chosen))] = 1.0
    plain = Units(Scaling.identity(p), Scaling.identity(q))
    fewer = replace(plain.x, factor=factor, rotation=rotation)
    part, options = {"gate": (model.gate, ()), "expert": (model.expert, (problem.labels,))}[name]
    values = part.to_caller(own, plain)
    return int(
        part.n_parameters(
            part.from_caller(values, Units(fewer, plain.y), problem.n_experts, *options)
        )
    )
