"""The constant gate: mixing proportions that do not depend on x."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..parts.kernel import Climb, Kernel
from ..parts.predictors import Predictor
from ..parts.records import Inputs
from ..parts.statistics import Statistics
from ..parts.views import GateView, shaped, take
from ._scores import score_terms
from .base import BaseGate

SMALLEST = 1e-300
"""Proportions are kept above this, so that their logs stay finite."""


def _scores(gate, params):
    """Return the coefficients of the scores, (K, 1), and the tree of one node."""
    log_weights = params["log_weights"]
    return log_weights[:, None], array.Branches.flat(len(log_weights))


def _from_sums(gate, params, sums):
    """Return the statistics from what a compiled pass sums: n = gradient + π·Σ weight."""
    (own,) = sums
    return Statistics(n=own.gradient[:, 0] + np.exp(_normalised(params)) * own.total)


def _climb(gate):
    """Return what a compiled iteration of EM needs to know."""
    return Climb(("log_weights",), (0.0,))


KERNEL = Kernel("softmax", _scores, _from_sums, climb=_climb)


class ConstantGate(BaseGate):
    r"""Mixing proportions: the gate **ignores x**, as in a mixture of regressions.

    .. math:: g_k(x) = \pi_k, \qquad \sum_k \pi_k = 1

    The M-step is exact: π_k is the mean responsibility. R users know it as flexmix without a
    concomitant model, or mixtools' ``regmixEM``.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> X, y = make_crossing_lines(random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    >>> bool(abs(model.gate_proba(X)[0].sum() - 1) < 1e-12)
    True
    """

    inputs = Inputs(uses_x=False, any_array=True)
    kernel = KERNEL

    def init(self, X, resp, random_state):
        return self.maximize({}, Statistics(n=resp.sum(axis=0)))

    def log_prob(self, params, X):
        log_weights = array.like(X, _normalised(params))
        shape = (X.shape[0], log_weights.shape[0])
        return array.namespace(X).broadcast_to(log_weights, shape)

    def statistics(self, params, X, resp, order=2):
        return Statistics(n=array.namespace(resp).sum(resp, axis=0))

    def maximize(self, params, stats, cautious=False):
        weights = np.maximum(stats["n"] / stats["n"].sum(), SMALLEST)
        return {"log_weights": np.log(weights)}

    def gradient(self, params, stats):
        """Return ∂Q/∂log π with Σ π = 1 held, n_k - π_k Σ n, (K,)."""
        n = stats["n"]
        return {"log_weights": n - np.exp(_normalised(params)) * n.sum()}

    def coordinates(self, params):
        return {"log_weights": "log_shares"}

    def predictors(self, params):
        """Return the K log-weights, shared by all experts and the same for all rows."""
        K = len(params["log_weights"])
        return [Predictor("log_weights", ((k,),), design="1", shared=True) for k in range(K)]

    def rows(self, params, X, derivatives=2):
        """Return log π_k and its derivatives in the log-weights, `Terms`."""
        return score_terms(self.log_prob(params, X), derivatives)

    def n_parameters(self, params):
        return len(params["log_weights"]) - 1

    def to_caller(self, params, units):
        log_weights = _normalised(params)
        return {
            "coef": np.zeros((len(log_weights), 0)),
            "intercept": log_weights - log_weights[-1],
            "weights": np.exp(log_weights),
        }

    def from_caller(self, values, units, n_experts):
        names = ("weights",) if isinstance(values, dict) and "weights" in values else ("intercept",)
        values = take(values, names, "gate", optional=("coef", "intercept"))
        given = shaped(values[names[0]], (n_experts,), names[0], "gate")
        if names == ("intercept",):
            given = np.exp(given - given.max())
        if given.min() <= 0:
            raise ValueError(f"init_params: weights of the gate must be positive, got {given}.")
        return {"log_weights": np.log(given / given.sum())}

    def view(self, params, units, **features):
        return GateView(
            **features, **{f"{name}_": v for name, v in self.to_caller(params, units).items()}
        )


def _normalised(params):
    """Return the logs of proportions that sum to 1, also after a solver has stretched a step."""
    return array.log_softmax(params["log_weights"])
