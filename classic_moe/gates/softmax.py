"""The softmax gate: multinomial logistic regression of the expert on x."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..parts import softmax_regression as sr
from ..parts.kernel import Kernel
from ..parts.statistics import Statistics
from ..parts.views import GateView, shaped, take
from .base import BaseGate


def _scores(gate, params):
    """Coefficients of the scores, (K, 1 + p), and the tree of one node."""
    return params["coef"], array.Branches.flat(len(params["coef"]))


def _from_sums(gate, params, sums):
    """The statistics from what a compiled pass sums at every node; here at one."""
    (own,) = sums
    stats = Statistics(gradient=own.gradient, gram=own.gram)
    if own.hessian is not None:
        stats["hessian"] = own.hessian
    return stats


KERNEL = Kernel("softmax", _scores, _from_sums)


class SoftmaxGate(BaseGate):
    r"""Softmax gate, the gate of the classical literature.

    .. math:: g_k(x) = \frac{\exp(v_k^\top x + a_k)}{\sum_j \exp(v_j^\top x + a_j)}

    Each EM iteration takes one exact Newton step on the soft targets (the responsibilities); if
    that overshoots, Böhning's bound step, which cannot [1]_ [2]_.

    Parameters
    ----------
    alpha : float, default=1e-3
        Ridge penalty ½·alpha·Σ‖v_k‖² on the slopes in standardised units, symmetric over the
        experts, so that relabelling them changes nothing. The default keeps a perfectly sharp
        gate finite; 0 is maximum likelihood.

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

    kernel = KERNEL

    def __init__(self, alpha=1e-3):
        self.alpha = alpha

    def init(self, X, resp, random_state):
        return {"coef": sr.fit(X, resp, max(self.alpha, 1.0), n_steps=3)}

    def log_prob(self, params, X):
        return array.log_softmax(array.with_intercept(X) @ params["coef"].T)

    def all_log_prob(self, each, X):
        if len({params["coef"].shape for params in each}) > 1:
            return super().all_log_prob(each, X)
        coef = np.stack([params["coef"] for params in each])
        m, K, P = coef.shape
        scores = array.with_intercept(X) @ coef.reshape(m * K, P).T
        return list(array.log_softmax(scores.reshape(-1, m, K)).swapaxes(0, 1))

    def all_statistics(self, each, X, resps, order=2):
        if len({params["coef"].shape for params in each}) > 1:
            return super().all_statistics(each, X, resps, order)
        prob = np.exp(np.stack(self.all_log_prob(each, X), axis=1))
        return sr.all_statistics(X, prob, np.stack(resps, axis=1), order)

    def statistics(self, params, X, resp, order=2):
        return sr.statistics(X, np.exp(self.log_prob(params, X)), resp, order)

    def maximize(self, params, stats, cautious=False):
        step = sr.bound_step if cautious else sr.newton_step
        return {"coef": step(params["coef"], stats, self.alpha)}

    def all_maximize(self, each, stats, cautious=False):
        if cautious:
            return super().all_maximize(each, stats, cautious)
        steps = sr.newton_steps([params["coef"] for params in each], stats, self.alpha)
        return [{"coef": coef} for coef in steps]

    def gradient(self, params, stats):
        """∂Q/∂coef, prior included (in the symmetric gauge, where columns sum to zero)."""
        gradient = stats["gradient"].copy()
        gradient[:, 1:] -= self.alpha * sr.symmetric_gauge(params["coef"])[:, 1:]
        return {"coef": gradient}

    def at_maximum(self, params):
        return {"gradient": sr.held_gradient(params["coef"], self.alpha)}

    def coordinates(self, params):
        return {"coef": "centred"}

    def log_prior(self, params):
        return sr.log_prior(params["coef"], self.alpha)

    def n_parameters(self, params):
        K, P = params["coef"].shape
        return (K - 1) * P

    def diagnose(self, params, stats):
        return sr.diagnose(params["coef"], stats, self.alpha, "the experts' regions of x")

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

    def view(self, params, units, **shell):
        return GateView(
            **shell, **{f"{name}_": v for name, v in self.to_caller(params, units).items()}
        )
