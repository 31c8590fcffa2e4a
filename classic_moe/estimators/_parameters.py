"""Constructor parameters: the checks that `fit` makes first."""

from __future__ import annotations

from .. import experts, gates, solvers  # noqa: F401 - they register what the parameters may be
from ..model.objectives import NAMED
from ..parts import checks

PARTS = ("expert", "gate", "solver")
"""The parameters that hold parts."""
RULES = {
    "max_iter": checks.integer(1),
    "n_init": checks.integer(1),
    "tol": checks.number(lambda tol: tol >= 0, "a number of at least 0"),
    "standardize": checks.FLAG,
    "normalize_weights": checks.FLAG,
    "warm_start": checks.FLAG,
    "n_jobs": checks.N_JOBS,
    "random_state": checks.RANDOM_STATE,
    "verbose": checks.VERBOSITY,
    "objective": checks.one_of(NAMED),
    "assignment": checks.one_of(("soft", "hard")),
}
"""What the parameters of every estimator may be; the parts check their own."""


def check_parameters(estimator):
    """ValueError for the first parameter of an estimator that no fit could use."""
    checks.check(estimator._size_name, estimator._n_experts, checks.integer(1))
    checks.check("class_weight", estimator._class_weight, checks.CLASS_WEIGHT)
    meant = {"n_init": estimator._n_init, "tol": estimator._tol}
    for name, rule in RULES.items():
        checks.check(name, meant[name] if name in meant else getattr(estimator, name), rule)
