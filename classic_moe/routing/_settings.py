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
from .presets import DEFAULTS, KEPT, NONE, PRESETS
from .top_k import TopKRouter

ALIASES = {
    "top_k": TopKRouter,
    "balanced_assignment": BalancedAssignmentRouter,
    "random": RandomRouter,
    "sampled": SampledRouter,
}
"""Names of routers that are no presets; those are names too."""


NOTHING = dict(
    n_shared=(None, 0),
    balance=(None, NONE, (), []),
    capacity_factor=(None, NONE),
    overflow=("drop",),
    hash_features=(None,),
)
"""What the parameters of a training with a router may be where they ask for nothing."""


def says_nothing(name, value) -> bool:
    """Return whether the value of a parameter in `NOTHING` asks for nothing."""
    return any(type(value) is type(one) and value == one for one in NOTHING[name])


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

    None is what the caller leaves unsaid: the preset's value, or the default.

    Raises
    ------
    ValueError
        For parameters that are unknown or do not go together, with the number seen.
    """
    given = dict(
        n_experts=n_experts, n_shared=n_shared, balance=balance, capacity_factor=capacity_factor
    )
    _check(given | dict(k=k), overflow)
    given |= of_preset(router, given)
    given |= {name: DEFAULTS[name] for name, value in given.items() if value is None}
    K, factor = given["n_experts"], given["capacity_factor"]
    factor = None if isinstance(factor, str) else factor
    if k is None and isinstance(router, str) and ALIASES.get(router) is TopKRouter:
        k = most_kept(K)
    found = as_router(router, k)
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
    if factor is not None and not found.has_order:
        raise ValueError(
            f"capacity_factor={factor}: a {type(found).__name__} has no first and second choices to"
            " drop; leave it None."
        )
    return Settings(found, K, given["n_shared"], terms, factor, overflow)


def most_kept(n_experts):
    """Return the experts of a row where the caller does not say how many, an int."""
    return min(KEPT, n_experts)


def of_preset(router, given):
    """Return what a preset sets of the parameters that are unsaid, a dict; {} for others."""
    if not (isinstance(router, str) and router in PRESETS):
        return {}
    found = PRESETS[router].parameters.items()
    return {n: clone(v, safe=False) for n, v in found if given[n] is None}


def is_router(value):
    """Return whether a value is a router, or names one."""
    named = isinstance(value, str) and (value in PRESETS or value in ALIASES)
    return named or isinstance(value, BaseRouter)


def _check(given, overflow):
    for name, least in dict(n_experts=1, k=1, n_shared=0).items():
        if given[name] is not None:
            checks.check(name, given[name], checks.integer(least))
    checks.check("overflow", overflow, checks.one_of(("drop", "next")))
    factor = given["capacity_factor"]
    if not (factor is None or (isinstance(factor, str) and factor == NONE)):
        rule = checks.number(
            lambda factor: 1 <= factor < np.inf,
            "None, 'none' or a number of at least 1: with less there is no room for all rows",
        )
        checks.check("capacity_factor", factor, rule)


def as_router(router, k):
    """Return the router that a value stands for, with the estimator's k unless that is None."""
    if isinstance(router, BaseRouter):
        found = clone(router)
    elif isinstance(router, str) and router in PRESETS:
        found = clone(PRESETS[router].router)
    elif isinstance(router, str) and router in ALIASES:
        found = ALIASES[router]()
    else:
        known = ", ".join(map(repr, [*ALIASES, *PRESETS]))
        raise ValueError(
            f"router={router!r} is not known in this version; use one of {known}, or an object of a"
            " class derived from BaseRouter."
        )
    if k is None:
        return found
    if not found.has_order:
        raise ValueError(
            f"k={k}: {type(found).__name__} has no k, for its rule says how many experts a row"
            " has; leave k=None."
        )
    if isinstance(router, BaseRouter) and found.k != k:
        raise ValueError(
            f"k={k}, but router={router!r} keeps {found.k}; say it once, in the router."
        )
    return found.set_params(k=k)


def _terms(balance):
    """Return the terms of `balance`, "none", a term or a list of terms; clones."""
    if isinstance(balance, str) and balance == NONE:
        return ()
    listed = list(balance) if isinstance(balance, (list, tuple)) else [balance]
    for term in listed:
        if not isinstance(term, (BalanceTerm, BiasBalancing)):
            raise ValueError(
                f"balance={balance!r}: needs None, 'none', a term such as AuxiliaryLoss(0.01) or"
                " BiasBalancing(), or a list of such terms."
            )
    kinds = [type(term).__name__ for term in listed]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"balance={balance!r} holds two terms of {kind}; give one.")
    return tuple(clone(term) for term in listed)
