"""What experts and gates have in common."""

from __future__ import annotations

from abc import ABC

import numpy as np
from sklearn.base import BaseEstimator

from .checks import check_penalties
from .params import Params
from .statistics import Statistics


class Part(BaseEstimator, ABC):
    """A part of a mixture: hyper-parameters on the object, fitted values in `Params`."""

    uses_x = True
    """Whether the part looks at x; if not, it is handed no columns."""
    n_experts = None
    """The number of experts, where the hyper-parameters fix it (a list of experts, a tree)."""
    extrapolates = True
    """Whether the parameters are numbers that an accelerated solver may extrapolate."""
    sums = True
    """Whether `statistics` are sums over rows that can be carried on; else the rows themselves."""
    kernel = None
    """Name under which a compiled pass knows the part's formulas; None: the generic pass."""

    def check_parameters(self):
        """ValueError or TypeError for hyper-parameters that no fit could use."""
        check_penalties(self)

    def raw_columns(self, n_columns):
        """Which of the part's own columns it wants in the caller's units, bool (n_columns,)."""
        return np.zeros(n_columns, dtype=bool)

    def carry(self, params: Params, stats: Statistics, factor) -> Statistics:
        """The statistics so far as those of the parameters they led to, times `factor`.

        For on-line training: a gradient has been used up, and is what it is `at_maximum`.
        """
        held = self.at_maximum(params)
        return Statistics({name: factor * held.get(name, v) for name, v in stats.items()})

    def at_maximum(self, params: Params) -> dict:
        """The statistics that are gradients, as they are at a maximum: what the prior holds.

        By their names; empty where all statistics are sums that do not depend on the parameters.
        """
        return {}

    def diagnose(self, params: Params, stats: Statistics) -> list:
        """What is wrong with a fit, each a `Finding`; empty for a healthy one."""
        return []

    def log_prior(self, params: Params) -> float:
        """The log prior density of the parameters up to a constant; 0 without penalties."""
        return 0.0

    def coordinates(self, params: Params) -> dict:
        """Which leaves of params are not just any number, and of what kind: see `coordinates`."""
        return {}
