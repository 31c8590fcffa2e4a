"""From constructor parameters to a routing: names and presets resolved, everything checked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ..parts import checks
from .assignment import BalancedAssignmentRouter
from .balancing import BalanceTerm, BiasBalancing, BudgetLoss
from .base import BaseRouter
from .fixed import RandomRouter, SampledRouter
from .presets import PRESETS
from .top_k import TopKRouter

ALIASES = {
    "top_k": TopKRouter,
    "balanced_assignment": BalancedAssignmentRouter,
    "random": RandomRouter,
    "sampled": SampledRouter,
}
"""Names of routers that are no presets; those are names too."""
DEFAULTS = dict(n_experts=16, k=2, n_shared=0, balance=None, capacity_factor=None)
"""What the caller has left alone, where a preset may set something else."""


class Settings(NamedTuple):
    """A routing that is complete and checked.

    Attributes
    ----------
    router : BaseRouter
    n_experts, n_shared : int
    balance : tuple of BalanceTerm or BiasBalancing
    capacity_factor : float or None
    overflow : str
    """

    router: BaseRouter
    n_experts: int
    n_shared: int
    balance: tuple
    capacity_factor: float | None
    overflow: str


def settings(router, *, n_experts, k, n_shared, balance, capacity_factor, overflow) -> Settings:
    """Return the routing that constructor parameters stand for; see `classic_moe.routing`.

    Raises
    ------
    ValueError
        For parameters that are unknown or do not go together, with the number seen.
    """
    given = dict(
        n_experts=n_experts,
        k=k,
        n_shared=n_shared,
        balance=balance,
        capacity_factor=capacity_factor,
    )
    _check(given, overflow)
    given |= of_preset(router, given)
    found = as_router(router, given["k"])
    K = given["n_experts"]
    found.check_parameters()
    found.check_experts(K)
    terms = _terms(given["balance"])
    for term in terms:
        term.check_parameters()
        term.check_router(found, K)
        if isinstance(term, BudgetLoss) and not given["n_shared"]:
            raise ValueError(
                "BudgetLoss weighs routed experts against shared ones, and n_shared=0; set"
                " n_shared=1, or leave the term out."
            )
    if given["capacity_factor"] is not None and not found.has_order:
        raise ValueError(
            f"capacity_factor={given['capacity_factor']}: a {type(found).__name__} has no first and"
            " second choices to drop; leave it None."
        )
    return Settings(found, K, given["n_shared"], terms, given["capacity_factor"], overflow)


def of_preset(router, given):
    """Return what a preset sets of the parameters that are left alone, a dict; {} for others."""
    if not (isinstance(router, str) and router in PRESETS):
        return {}
    found = PRESETS[router].parameters.items()
    return {n: clone(v, safe=False) for n, v in found if _left_alone(n, given[n])}


def is_router(value):
    """Return whether a value is a router, or names one."""
    named = isinstance(value, str) and (value in PRESETS or value in ALIASES)
    return named or isinstance(value, BaseRouter)


def _left_alone(name, value):
    """Return whether a parameter has its default, which a preset may replace."""
    default = DEFAULTS[name]
    return value is None if default is None else value == default


def _check(given, overflow):
    checks.check("n_experts", given["n_experts"], checks.integer(1))
    checks.check("k", given["k"], checks.integer(1))
    checks.check("n_shared", given["n_shared"], checks.integer(0))
    checks.check("overflow", overflow, checks.one_of(("drop", "next")))
    factor = given["capacity_factor"]
    if factor is not None:
        rule = checks.number(
            lambda factor: 1 <= factor < np.inf,
            "None or a number of at least 1: with less there is no room for all rows",
        )
        checks.check("capacity_factor", factor, rule)


def as_router(router, k):
    """Return the router that a value stands for, with the estimator's k where that is told."""
    told = k != DEFAULTS["k"]
    if isinstance(router, BaseRouter):
        found = clone(router)
        if told and found.has_order and found.k != k:
            raise ValueError(
                f"k={k}, but router={router!r} keeps {found.k}; say it once, in the router."
            )
        return found
    if isinstance(router, str) and router in PRESETS:
        found = clone(PRESETS[router].router)
    elif isinstance(router, str) and router in ALIASES:
        found, told = ALIASES[router](), True
    else:
        known = ", ".join(map(repr, [*ALIASES, *PRESETS]))
        raise ValueError(
            f"router={router!r} is not known in this version; use one of {known}, or an object of a"
            " class derived from BaseRouter."
        )
    return found.set_params(k=k) if told and found.has_order else found


def _terms(balance):
    """Return the terms of `balance`, None, a term or a list of terms; clones."""
    listed = list(balance) if isinstance(balance, (list, tuple)) else [balance]
    listed = [term for term in listed if term is not None]
    for term in listed:
        if not isinstance(term, (BalanceTerm, BiasBalancing)):
            raise ValueError(
                f"balance={balance!r}: needs None, a term such as AuxiliaryLoss(0.01) or"
                " BiasBalancing(), or a list of such terms."
            )
    kinds = [type(term).__name__ for term in listed]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"balance={balance!r} holds two terms of {kind}; give one.")
    return tuple(clone(term) for term in listed)
