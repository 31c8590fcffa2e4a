"""Constructor parameters: aliases, and the checks that `fit` makes first."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone

from . import experts, gates, solvers

PARTS = {
    "expert": (experts.ALIASES, experts.BaseExpert),
    "gate": (gates.ALIASES, gates.BaseGate),
    "solver": (solvers.ALIASES, solvers.BaseSolver),
}
"""What each part may be: the aliases with their classes, and the class of all such objects."""


def resolve(part, value):
    """The object behind an alias, or a clone of the object given, its penalties checked."""
    aliases, base = PARTS[part]
    known = ", ".join(map(repr, aliases))
    if isinstance(value, str):
        if value not in aliases:
            raise ValueError(
                f"{part}={value!r} is not known in this version; use one of {known}, or an object."
            )
        return aliases[value]()
    if not isinstance(value, base):
        raise ValueError(
            f"{part}={value!r} is not {'an' if part == 'expert' else 'a'} {part} of this version;"
            f" use one of {known}, or an object of a class derived from {base.__name__}."
        )
    for name, penalty in value.get_params(deep=False).items():
        if name in ("alpha", "variance_prior") and not (_number(penalty) and 0 <= penalty < np.inf):
            raise ValueError(
                f"{name}={penalty!r} of {type(value).__name__}: needs a finite number of at least"
                " 0 (0 is maximum likelihood)."
            )
    return clone(value)


def check_parameters(estimator):
    """ValueError for the first parameter of an estimator that no fit could use."""

    def need(condition, name, what):
        if not condition:
            raise ValueError(f"{name}={getattr(estimator, name)!r}: {what}.")

    for name in ("n_experts", "max_iter", "n_init"):
        value = getattr(estimator, name)
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        need(whole and value >= 1, name, "needs an integer of at least 1")
    tol = estimator.tol
    need(_number(tol) and tol >= 0, "tol", "needs a number of at least 0")
    standardize = estimator.standardize
    need(isinstance(standardize, (bool, np.bool_)), "standardize", "needs True or False")
    offset = "no family of this version takes an offset; leave it None"
    need(estimator.offset_feature is None, "offset_feature", offset)


def _number(value):
    return isinstance(value, Real) and not isinstance(value, bool)
