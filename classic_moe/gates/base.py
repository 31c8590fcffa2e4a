"""The protocol of a gate: the distribution of the expert index given x."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator

from ..params import Params, permute
from ..statistics import Statistics


class BaseGate(BaseEstimator, ABC):
    """The distribution g_k(x) of the expert index given x.

    The verbs are those of `BaseExpert`, without y. `resp` (n, K), the responsibilities with the
    sample weights multiplied in, are the gate's soft targets: by definition they are the
    derivative of the objective in log g. A new gate passes `classic_moe.testing.check_gate`.
    """

    uses_x = True
    """Whether the gate looks at x; if not, it is handed no columns."""
    kernel = None
    """Name under which a compiled pass knows this gate's formulas; None: the generic pass."""

    @abstractmethod
    def init(self, X, resp, random_state) -> Params:
        """Starting values from soft assignments of the rows."""

    @abstractmethod
    def log_prob(self, params: Params, X):
        """log g_k(x), (n, K); rows logsumexp to 0, -inf means not routed."""

    @abstractmethod
    def statistics(self, params: Params, X, resp, order=2) -> Statistics:
        """Sums over rows from which `maximize` works."""

    @abstractmethod
    def maximize(self, params: Params, stats: Statistics, cautious=False) -> Params:
        """One ascent step on Σ resp·log g + log_prior; `cautious=True`: the certain one."""

    @abstractmethod
    def to_caller(self, params: Params, units) -> dict:
        """The parameters in the caller's units under the names of the view."""

    @abstractmethod
    def from_caller(self, values: dict, units, n_experts) -> Params:
        """The inverse of `to_caller`, with a ValueError for wrong names or shapes."""

    @abstractmethod
    def view(self, params: Params, units, **shell):
        """The gate as the user sees it: `coef_` (K, p), `intercept_` (K,)."""

    def reorder(self, params: Params, key) -> tuple[Params, np.ndarray]:
        """Sort the experts by increasing `key` (K,); returns the order as well."""
        order = np.argsort(key, kind="stable")
        return permute(params, order), order

    def diagnose(self, params: Params, stats: Statistics) -> list:
        """What is wrong with a fit, each a `Finding`; empty for a healthy one."""
        return []

    def log_prior(self, params: Params) -> float:
        """The log prior density of the parameters up to a constant; 0 without penalties."""
        return 0.0

    def n_parameters(self, params: Params) -> int:
        """Number of free parameters."""
        return 0
