"""The protocol of a gate: the distribution of the expert index given x."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..parts.params import Params, permute
from ..parts.part import Part
from ..parts.statistics import Statistics


class BaseGate(Part):
    """The distribution g_k(x) of the expert index given x.

    The verbs are those of `BaseExpert`, without y. `resp` (n, K), the responsibilities with the
    sample weights multiplied in, are the gate's soft targets: by definition they are the
    derivative of the objective in log g. A new gate passes `classic_moe.testing.check_gate`.

    A gate that models x, g_k(x) ∝ a_k p_k(x), also has `log_joint(params, X)`, log a_k p_k(x)
    (n, K), whose logsumexp over k is log p(x). That joins the objective: the fit climbs
    log p(x, y), and `maximize` is the M-step of Σ resp·log a_k p_k(x). A column of X that is
    constant has no density; leave it out.
    """

    hierarchical = False
    """Whether it is a tree, with `nodes` and `node_log_prob`."""
    per_output = False
    """Whether it is a gate for each output, and `log_prob` and `resp` are (n, K, q)."""

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

    def check_input(self, X):
        """ValueError for values in the gate's columns, all rows of a fit, that it cannot take."""

    def shape(self, n_experts):
        """The tree of the experts as nested tuples, leaves None: here without levels."""
        return (None,) * n_experts

    def all_log_prob(self, each, X) -> list:
        """`log_prob` of several gates of this kind, at the nodes of a tree."""
        return [self.log_prob(params, X) for params in each]

    def all_statistics(self, each, X, resps, order=2) -> list:
        """`statistics` of several gates of this kind, each with its own resp."""
        pairs = zip(each, resps, strict=True)
        return [self.statistics(params, X, resp, order) for params, resp in pairs]

    def all_maximize(self, each, stats, cautious=False) -> list:
        """`maximize` of several gates of this kind."""
        pairs = zip(each, stats, strict=True)
        return [self.maximize(params, own, cautious) for params, own in pairs]

    def log_route(self, params: Params, X):
        """`log_prob` as predictions use it: a gate may leave out what is improbable."""
        return self.log_prob(params, X)

    def reorder(self, params: Params, key, weights=None) -> tuple[Params, np.ndarray]:
        """Sort the experts by increasing `key` (K,); returns the order as well.

        `weights` (K,), their mean responsibilities, are for gates that move several together.
        """
        order = np.argsort(key, kind="stable")
        return permute(params, order), order

    def n_parameters(self, params: Params) -> int:
        """Number of free parameters."""
        return 0
