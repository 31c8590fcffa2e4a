"""`Description`: what the parts of a fitted mixture are, for whoever writes or draws about it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ..parts import black_box
from ..parts.checks import fitted_fact
from ..parts.registry import find


@dataclass(frozen=True)
class Description:
    """The parts of a fitted mixture in words.

    Attributes
    ----------
    experts : str
        What the experts are, as "3 x LinearExpert".
    expert_kinds : list of str
        The class of each, as "LinearExpert".
    expert_names : list of str
        What each is called, as "expert 0".
    target_names : list of str
        What y is called: a name for each output; of a classifier one.
    gate : str
        What the gate is.
    ignoring : list of str
        The parts that ignore x.
    offset : str or None
        The name of the column that is added to the experts' linear predictors.
    means_only : bool
        Whether the objective takes the experts' means alone, so that their spread says nothing.
    spreads : dict of str to float
        The standard deviation of every column of X among the rows of the fit, by name; 1 where X
        was not standardised.
    """

    experts: str
    expert_kinds: list[str]
    expert_names: list[str]
    target_names: list[str]
    gate: str
    ignoring: list[str]
    offset: str | None
    means_only: bool
    spreads: dict[str, float]

    @classmethod
    def of(cls, fitted) -> Description:
        """Return the description of a `Fitted`."""
        model, K = fitted.model, len(fitted.resp)
        gate, expert = model.gate, model.expert
        kinds = _kinds(expert, K)
        runs = itertools.groupby(kinds)
        blind = [part for part in (expert, gate) if not part.inputs.uses_x]
        return cls(
            experts=" + ".join(f"{len(list(run))} x {kind}" for kind, run in runs),
            expert_kinds=kinds,
            expert_names=_names(expert, K),
            target_names=fitted.schema.target.output_names,
            gate=_gate_kind(gate, fitted.schema.target.task),
            ignoring=[type(part).__name__ for part in blind],
            offset=fitted.schema.offset_name,
            means_only=model.objective.blends,
            spreads=_spreads(fitted.schema),
        )


def _spreads(schema):
    """Return the standard deviations of the columns, {name: float}."""
    units, source = schema.x.unit, schema.x.source
    columns = range(len(units)) if source is None else source
    names = [f"x{j}" for j in range(schema.n_features)] if schema.names is None else schema.names
    return {str(names[j]): float(unit) for j, unit in zip(columns, units, strict=True)}


def _kinds(expert, K):
    """Return what each expert is, K names of classes."""
    items = expert.get_params(deep=False).get("experts")
    if items is None:
        return [_kind(expert)] * K
    items = items if fitted_fact(expert, "member_names") is None else [item[1] for item in items]
    return [_kind(find("expert", item)) for item in items]


def _kind(expert):
    """Return the name of a bank's class, or of that of the estimator inside."""
    inside = expert.get_params(deep=False).get("estimator")
    if inside is None:
        return type(expert).__name__
    return type(inside.estimator if black_box.is_frozen(inside) else inside).__name__


def _names(expert, K):
    """Return the names of (name, expert) pairs, else numbers: K names."""
    names = fitted_fact(expert, "member_names")  # of a list of experts
    return [f"expert {k}" for k in range(K)] if names is None else names


def _gate_kind(gate, task):
    if not gate.per_output:
        return type(gate).__name__
    return (
        f"{type(gate.gate).__name__} for every {'class' if task == 'classification' else 'output'}"
    )
