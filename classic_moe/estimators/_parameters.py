"""Constructor parameters: aliases, and the checks that `fit` makes first."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from .. import experts, gates, solvers
from ..model.objectives import NAMED
from ..parts.checks import is_integer, is_number

PARTS = {
    "expert": (experts.ALIASES, experts.BaseExpert),
    "gate": (gates.ALIASES, gates.BaseGate),
    "solver": (solvers.ALIASES, solvers.BaseSolver),
}
"""What each part may be: the aliases with their classes, and the class of all such objects."""


def resolve(part, value, task=None):
    """The object behind an alias, an estimator or a list; else a clone of the object given.

    An alias of an expert may mean another one for the `task` "classification".
    """
    aliases, base = PARTS[part]
    known = ", ".join(map(repr, aliases))
    if isinstance(value, str):
        if value not in aliases:
            raise ValueError(
                f"{part}={value!r} is not known in this version; use one of {known}, or an object."
            )
        return aliases[value].named(task) if part == "expert" else aliases[value]()
    if not isinstance(value, base):
        wrapped = _wrapped(part, value)
        if wrapped is None:
            article = "an" if part == "expert" else "a"
            cure = f"use one of {known}, or an object of a class derived from {base.__name__}"
            if isinstance(value, type):
                cure = f"pass an object, {value.__name__}(), in place of the class"
            raise ValueError(f"{part}={value!r} is not {article} {part} of this version; {cure}.")
        value = wrapped
    value = clone(value)
    value.check_parameters()
    return value


def _wrapped(part, value):
    """The part that a list or a scikit-learn estimator stands for, or None."""
    if part == "expert" and isinstance(value, (list, tuple)):
        return experts.ExpertUnion(value)
    estimator = hasattr(value, "fit") and hasattr(value, "get_params")
    if part != "solver" and estimator and not isinstance(value, type):
        return experts.EstimatorExpert(value) if part == "expert" else gates.EstimatorGate(value)
    return None


def peek(expert):
    """The expert, or its class, behind a constructor parameter, for its facts; never an error."""
    if isinstance(expert, str):
        return experts.ALIASES.get(expert)
    return _wrapped("expert", expert) or expert


def check_parameters(estimator):
    """ValueError for the first parameter of an estimator that no fit could use."""

    def need(condition, name, what):
        if not condition:
            raise ValueError(f"{name}={getattr(estimator, name)!r}: {what}.")

    for name in ("n_experts", "max_iter", "n_init"):
        value = estimator._n_experts if name == "n_experts" else getattr(estimator, name)
        need(is_integer(value) and value >= 1, name, "needs an integer of at least 1")
    tol = estimator.tol
    need(is_number(tol) and tol >= 0, "tol", "needs a number of at least 0")
    standardize = estimator.standardize
    need(isinstance(standardize, (bool, np.bool_)), "standardize", "needs True or False")
    objective = estimator.objective
    known = isinstance(objective, str) and objective in NAMED
    need(known, "objective", f"use one of {', '.join(map(repr, NAMED))}")
    assignment = estimator.assignment
    known = isinstance(assignment, str) and assignment in ("soft", "hard")
    need(known, "assignment", "use 'soft' or 'hard'")
