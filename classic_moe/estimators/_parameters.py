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
    given = estimator
    for name, value in (
        ("n_experts", given._n_experts),
        ("max_iter", given.max_iter),
        ("n_init", given.n_init),
    ):
        _need(is_integer(value) and value >= 1, name, value, "needs an integer of at least 1")
    _need(is_number(given.tol) and given.tol >= 0, "tol", given.tol, "needs a number of at least 0")
    for name, value in (
        ("standardize", given.standardize),
        ("normalize_weights", given.normalize_weights),
    ):
        _need(isinstance(value, (bool, np.bool_)), name, value, "needs True or False")
    _need_one_of(NAMED, "objective", given.objective, "use one of " + ", ".join(map(repr, NAMED)))
    _need_one_of(("soft", "hard"), "assignment", given.assignment, "use 'soft' or 'hard'")


def _need(condition, name, value, what):
    if not condition:
        raise ValueError(f"{name}={value!r}: {what}.")


def _need_one_of(options, name, value, what):
    _need(isinstance(value, str) and value in options, name, value, what)
