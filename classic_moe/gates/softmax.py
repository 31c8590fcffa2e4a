"""The softmax gate: multinomial logistic regression of the expert on x."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from .._kernels import array
from ..parts import kept
from ..parts import softmax_regression as sr
from ..parts.kernel import Climb, Kernel
from ..parts.part import carried
from ..parts.penalties import Ridge
from ..parts.predictors import Predictor
from ..parts.records import Inputs, Learning
from ..parts.views import GateView, shaped, take
from ._scores import score_terms
from .base import BaseGate, OneByOne


def _scores(gate, params):
    """Return the coefficients of the scores, (K, 1 + p), and the tree of one node."""
    return params["coef"], array.Branches.flat(len(params["coef"]))


def _from_sums(gate, params, sums):
    """Return the statistics from what a compiled pass sums at every node; here at one."""
    (own,) = sums
    return sr.from_sums(own.gradient, own.gram, own.hessian)


def _climb(gate):
    """Return what a compiled iteration of EM needs to know."""
    return Climb(("coef",), (float(gate._alpha),))


KERNEL = Kernel("softmax", _scores, _from_sums, climb=_climb)


JUMPS = Learning(ascends=False, extrapolates=False)
"""How a gate learns whose kept set changes with its parameters."""


class Together(OneByOne):
    """The verbs of several softmax gates, those with equally many experts by one product."""

    def log_prob(self, each, X):
        if len({params["coef"].shape for params in each}) > 1:
            return super().log_prob(each, X)
        coef = np.stack([params["coef"] for params in each])
        m, K, P = coef.shape
        scores = array.with_intercept(X) @ array.like(X, coef.reshape(m * K, P)).T
        log_prob = array.log_softmax(array.namespace(X).reshape(scores, (-1, m, K)))
        return [log_prob[:, i, :] for i in range(m)]

    def statistics(self, each, X, resps, order=2):
        if len({params["coef"].shape for params in each}) > 1:
            return super().statistics(each, X, resps, order)
        xp = array.namespace(X)
        prob = xp.exp(xp.stack(self.log_prob(each, X), axis=1))
        return sr.all_statistics(X, prob, xp.stack(resps, axis=1), order)

    def maximize(self, each, stats, cautious=False):
        if cautious:
            return super().maximize(each, stats, cautious)
        steps = sr.newton_steps([params["coef"] for params in each], stats, self.gate._alpha)
        return [{"coef": coef} for coef in steps]


class SoftmaxGate(BaseGate):
    r"""Softmax gate, the gate of the classical literature.

    .. math:: g_k(x) = \frac{\exp(v_k^\top x + a_k)}{\sum_j \exp(v_j^\top x + a_j)}

    Each EM iteration takes one exact Newton step on the soft targets (the responsibilities); if
    that overshoots, Böhning's bound step, which cannot [1]_ [2]_.

    Parameters
    ----------
    alpha : float, "auto" or "weak", default=1e-3
        Ridge penalty ½·alpha·Σ‖v_k‖² on the slopes in standardised units, symmetric over the
        experts, so that relabelling them changes nothing. The default keeps a perfectly sharp
        gate finite; 0 is maximum likelihood. ``"weak"`` is the default; ``"auto"`` finds the number
        by the evidence, never below the default, so that sharp gates stay sharp, and is the
        default where there is no evidence (`evidence_missing_` says why).
    top_k : int, default=None
        Keep the k most probable experts of every row, renormalised, and leave out the others: the
        mixture is sparse, still a density, and nothing is evaluated that is left out. Of equals the
        expert of lower number stays; None, or at least K, keeps all. `classic_moe.gates.TopKGate`
        says how such gates are fitted.

    References
    ----------
    .. [1] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.
    .. [2] Böhning, D. (1992). Multinomial logistic regression algorithm. Annals of the Institute
       of Statistical Mathematics 44, 197-200.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.gates import SoftmaxGate
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, gate=SoftmaxGate(alpha=0.1), random_state=0)
    >>> model.fit(X, y).gate_.coef_.shape
    (3, 1)
    """

    inputs = Inputs(any_array=True)
    _several = Together

    weak = MappingProxyType({"alpha": 1e-3})
    automatic = ("alpha",)

    def __init__(self, alpha: float | str = 1e-3, top_k: int | None = None) -> None:
        self.alpha = alpha
        self.top_k = top_k

    def check_parameters(self):
        super().check_parameters()
        if self.top_k is not None:
            kept.check_kept(self.top_k, "top_k", "SoftmaxGate")

    @property
    def n_kept(self):
        """How many experts it keeps of every row; None: all."""
        return self.top_k

    @property
    def learning(self):
        """Return how it learns: a kept set that moves with the parameters does not climb."""
        return Learning() if self.top_k is None else JUMPS

    @property
    def kernel(self):
        """Return the formulas for compiled passes, which know of no kept set."""
        return KERNEL if self.top_k is None else None

    def dense(self):
        return self if self.top_k is None else clone(self).set_params(top_k=None)

    def init(self, X, resp, random_state):
        return {"coef": sr.fit(X, resp, self._alpha)}

    def log_prob(self, params, X):
        scores = self._scores(params, X)
        keeps_all = self.top_k is None or self.top_k >= len(params["coef"])
        return array.log_softmax(scores) if keeps_all else kept.keep(scores, self.top_k)

    def _scores(self, params, X):
        """Return the scores of all experts, (n, K)."""
        return array.with_intercept(X) @ array.like(X, params["coef"]).T

    @available_if(lambda self: self.top_k is not None)
    def route(self, params, X):
        """Return the kept experts (n, k), the best first, and log g of each, (n, k)."""
        return kept.route(self._scores(params, X), self.top_k)

    def statistics(self, params, X, resp, order=2):
        prob = array.namespace(X).exp(self.log_prob(params, X))
        return sr.statistics(X, prob, resp, order)

    def maximize(self, params, stats, cautious=False):
        if self.top_k == 1:  # g is 1 at the kept expert, whatever the scores: nothing to learn
            return params
        step = sr.bound_step if cautious else sr.newton_step
        return {"coef": step(params["coef"], stats, self._alpha)}

    def gradient(self, params, stats):
        """Return ∂Q/∂coef, (K, 1 + p), prior included; its columns sum to zero."""
        held = Ridge(self._alpha).slope(sr.symmetric_gauge(params["coef"]))
        return {"coef": stats["gradient"] - held}

    @available_if(lambda self: self.top_k is None)
    def predictors(self, params):
        """Return the K scores, shared by all experts."""
        penalty = Ridge(self._alpha)
        return [
            Predictor("coef", ((k,),), shared=True, penalty=penalty)
            for k in range(len(params["coef"]))
        ]

    @available_if(lambda self: self.top_k is None)
    def rows(self, params, X, derivatives=2):
        """Return log g_k and its derivatives in the scores, `Terms`."""
        return score_terms(self.log_prob(params, X), derivatives)

    def carry(self, params, stats, factor):
        held = Ridge(self._alpha).slope(sr.symmetric_gauge(params["coef"]))
        return carried(sr.with_curvature(params["coef"], stats), factor, {"gradient": held})

    def coordinates(self, params):
        return {"coef": "centred"}

    def log_prior(self, params):
        return sr.log_prior(params["coef"], self._alpha)

    def n_parameters(self, params):
        K, P = params["coef"].shape
        return (K - 1) * P

    def diagnose(self, params, stats):
        if self.top_k == 1:  # its likelihood knows of no scores
            return []
        return sr.diagnose(params["coef"], stats, self._alpha, "the experts' regions of x")

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        coef, intercept = units.coef_to_caller(sr.reference_gauge(params["coef"]))
        return {"coef": coef, "intercept": intercept}

    def from_caller(self, values, units, n_experts):
        values = take(values, ("coef", "intercept"), "gate")
        p = len(units.x.center)
        coef = shaped(values["coef"], (n_experts, p), "coef", "gate")
        intercept = shaped(values["intercept"], (n_experts,), "intercept", "gate")
        return {"coef": sr.symmetric_gauge(units.coef_from_caller(coef, intercept))}

    def view(self, params, units, **features):
        return GateView(
            **features, **{f"{name}_": v for name, v in self.to_caller(params, units).items()}
        )
