"""Constructor parameters: the checks that `fit` makes first."""

from __future__ import annotations

import numpy as np

from .. import experts, gates, solvers  # noqa: F401 - they register what the parameters may be
from ..model.objectives import NAMED
from ..parts.checks import is_integer, is_number

PARTS = ("expert", "gate", "solver")
"""The parameters that hold parts."""


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
