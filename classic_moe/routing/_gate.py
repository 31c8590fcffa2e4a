"""A router's rule for single rows as a gate: what is left of a routing once it is trained."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from ..gates import SoftmaxGate
from ..parts import kept
from ..parts import softmax_regression as sr
from ..parts.penalties import Ridge
from .assignment import ExpertChoiceRouter
from .base import BaseRouter
from .top_k import TopKRouter

PER_EXPERT = ("bias", "thresholds")
"""What a state for predictions holds of every expert, (K,)."""


class RoutedGate(SoftmaxGate):
    r"""The experts that a router keeps of a row by itself, their weights scaled to sum to 1.

    .. math:: \tilde g_i(x) = \frac{w_i(x)}{\sum_{j \in S(x)} w_j(x)}, \quad i \in S(x)

    S(x) and w are those of `BaseRouter.route`, from scores linear in x and from what the training
    has left behind. So it is the gate of a mixture as any other, and a row's does not depend on
    other rows. It learns on minibatches, and not by its own verbs.

    Parameters
    ----------
    router : BaseRouter
    n_kept : int
        Most experts that the router keeps of a row.
    state : dict, default=None
        What the training has left behind, arrays (K,).
    alpha : float, default=1e-3
        Ridge of the slopes of the scores, as of `SoftmaxGate`.
    """

    def __init__(self, router, n_kept, state=None, alpha=1e-3):
        self.router = router
        self.n_kept = n_kept
        self.state = state
        self.alpha = alpha

    n_kept = None  # a parameter here
    top_k = property(lambda self: self.n_kept, doc="The same, under the name of `SoftmaxGate`.")

    def check_parameters(self):
        self.router.check_parameters()

    def dense(self):
        return SoftmaxGate(self.alpha)

    def renumbered(self, ids):
        state = {
            name: value[ids] if name in PER_EXPERT else value
            for name, value in (self.state or {}).items()
        }
        return clone(self).set_params(state=state)

    def log_prob(self, params, X):
        choice = self.router.route(self._scores(params, X), self.state or {})
        return log_shares(choice.weights, choice.kept)

    def route(self, params, X):
        """Return the kept experts (n, k), the best first, and log g of each, (n, k).

        Where a row has fewer, experts of weight 0 come after them.
        """
        log_prob = self.log_prob(params, X)
        experts = kept.best(log_prob, min(self.n_kept, log_prob.shape[1]))
        return experts, np.take_along_axis(log_prob, experts, axis=1)

    # -- the scores' gauge -----------------------------------------------------------------------

    @property
    def _shifts(self):
        """Whether a constant added to all scores changes nothing, a bool."""
        return not (isinstance(self.router, TopKRouter) and self.router.score == "sigmoid")

    def _penalised(self, params):
        coef = params["coef"]
        return sr.symmetric_gauge(coef) if self._shifts else coef

    def gradient(self, params, stats):
        """Return ∂Q/∂coef, (K, 1 + p), prior included."""
        return {"coef": stats["gradient"] - Ridge(self._alpha).slope(self._penalised(params))}

    def log_prior(self, params):
        return -Ridge(self._alpha).value(self._penalised(params))

    def coordinates(self, params):
        return {}

    def n_parameters(self, params):
        K, P = params["coef"].shape
        return (K - 1) * P if self._shifts else K * P

    def diagnose(self, params, stats):
        return []  # it was not fitted by these statistics

    def to_caller(self, params, units):
        coef = sr.reference_gauge(params["coef"]) if self._shifts else params["coef"]
        coef, intercept = units.coef_to_caller(coef)
        return {"coef": coef, "intercept": intercept}


def log_shares(weights, kept_pairs):
    """Return the logarithms of weights (n, K) scaled to sum to 1 over the pairs kept; else -inf.

    Where all have underflowed, of equal shares; where nobody is kept, -inf throughout.
    """
    weights = np.where(kept_pairs, weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.where(total > 0, weights, kept_pairs)
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log(weights / np.where(total > 0, total, 1.0))


def check_router(router: BaseRouter):
    """ValueError for a router whose rule is no gate of a mixture, or teaches it nothing."""
    if isinstance(router, TopKRouter) and router.weight != "renormalized":
        raise ValueError(
            f"router={router!r}: weights of a mixture sum to 1; set weight='renormalized', or"
            " combine='blend', whose weights may be any."
        )
    if router.k == 1 and not isinstance(router, ExpertChoiceRouter):
        raise ValueError(
            f"router={router!r}: with one expert a row the mixture gives the gate no gradient: use"
            " k=2, combine='blend', or router='top_k' with solver='em'."
        )
