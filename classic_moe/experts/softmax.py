"""Softmax experts: multinomial logistic regression, the classical choice for classification."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from .._kernels import array
from ..parts import softmax_regression as sr
from ..parts.kernel import Kernel
from ..parts.part import carried
from ..parts.penalties import Ridge
from ..parts.predictors import Predictor, Terms
from ..parts.records import Inputs, Target
from ..parts.statistics import Statistics
from ..parts.views import ClassificationView, shaped, take
from .base import BaseExpert


def _scores(expert, params):
    """Return the coefficients of the scores, (K, C, 1 + p)."""
    return params["coef"]


def _from_sums(expert, params, gradient, hessian, gram):
    """Return the statistics from what a compiled pass sums."""
    return sr.from_sums(gradient, gram, hessian)


KERNEL = Kernel("softmax", _scores, _from_sums)


class SoftmaxExpert(BaseExpert):
    r"""Multinomial logistic expert for C classes.

    .. math:: p_k(y = c \mid x) = \mathrm{softmax}(W_k x + b_k)_c

    Two classes have one row of coefficients, the log-odds of the second against the first, as in
    scikit-learn; more have a row each, against the last, whose row is zero.

    The M-step is one exact Newton step on all classes together. The class-by-class IRLS of
    the original paper takes steps up to twice as long, and may oscillate [1]_ [2]_.

    Parameters
    ----------
    alpha : float, "auto" or "weak", default=1e-3
        Ridge penalty ½·alpha·Σ‖w‖² on the slopes in standardised units, symmetric over the
        classes. The default keeps separated classes finite; 0 is maximum likelihood.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.
    .. [2] Chen, K., Xu, L. & Chi, H. (1999). Improved learning algorithms for mixture of experts
       in multiclass classification. Neural Networks 12, 1229-1252.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from classic_moe import MixtureOfExpertsClassifier
    >>> X, y = make_blobs(1000, centers=3, cluster_std=4, random_state=0)
    >>> model = MixtureOfExpertsClassifier(2, expert="softmax", random_state=0).fit(X, y)
    >>> model.experts_[0].coef_.shape
    (3, 2)
    """

    target = Target(task="classification")
    inputs = Inputs(any_array=True)
    kernel = KERNEL

    weak = MappingProxyType({"alpha": 1e-3})
    automatic = ("alpha",)

    def __init__(self, alpha: float | str = 1e-3) -> None:
        self.alpha = alpha

    @property
    def _ridge(self):
        """The penalty in the symmetric gauge."""
        return self._alpha

    # -- the model -------------------------------------------------------------------------

    def _log_proba(self, params, X):
        """Return log p_k(c|x) of every class, (n, K, C)."""
        xp, Z, coef = array.namespace(X), array.with_intercept(X), params["coef"]
        K, C, P = coef.shape
        scores = Z @ array.like(X, coef.reshape(K * C, P).T)
        return array.log_softmax(xp.reshape(scores, (-1, K, C)))

    def log_prob(self, params, X, y):
        return _of_class(self._log_proba(params, X), y)

    def mean(self, params, X):
        return array.namespace(X).exp(self._log_proba(params, X))

    def mean_gradient(self, params, X, slope):
        """Return ∂/∂coef of Σ slope·mean, `Statistics` with the leaf (K, C, 1 + p)."""
        xp, proba = array.namespace(X), self.mean(params, X)
        slope = proba * (slope - xp.sum(slope * proba, axis=2, keepdims=True))
        n, K, C = slope.shape
        sums = xp.reshape(slope, (n, K * C)).T @ array.with_intercept(X)
        return Statistics(coef=xp.reshape(sums, (K, C, -1)))

    def predictors(self, params):
        """Return the predictors, the scores of the C classes."""
        penalty = Ridge(self._ridge)
        each = range(params["coef"].shape[1])
        return [Predictor("coef", entries=((c,),), penalty=penalty) for c in each]

    def rows(self, params, X, y, derivatives=2):
        """Return log-densities and their derivatives in the scores, `Terms`.

        With p the class probabilities the slope is e_y - p and the curvature diag(p) - p pᵀ.
        """
        xp, log_proba = array.namespace(X), self._log_proba(params, X)
        proba = xp.exp(log_proba)
        slope = _one_hot(y, proba.shape[2])[:, None, :] - proba
        if derivatives < 2:
            return Terms(_of_class(log_proba, y), slope, None)
        identity = array.like(X, np.eye(proba.shape[2]))
        curvature = proba[:, :, :, None] * (identity - proba[:, :, None, :])
        return Terms(_of_class(log_proba, y), slope, curvature)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        one_hot = np.eye(len(classes))[y]
        coef = [sr.fit(X, r[:, None] * one_hot, self._ridge) for r in resp.T]
        return {"coef": np.stack(coef)}

    def statistics(self, params, X, y, resp, order=2):
        xp, proba = array.namespace(X), self.mean(params, X)
        one_hot = _one_hot(y, proba.shape[2])
        per_expert = [
            sr.statistics(X, proba[:, k, :], resp[:, k][:, None] * one_hot, order)
            for k in range(resp.shape[1])
        ]
        return Statistics({name: xp.stack([s[name] for s in per_expert]) for name in per_expert[0]})

    def maximize(self, params, stats, cautious=False):
        """Take a Newton step an expert; `cautious=True`: Böhning's, which never lowers Q."""
        step = sr.bound_step if cautious else sr.newton_step
        return {
            "coef": np.stack(
                [
                    step(coef, {name: s[k] for name, s in stats.items()}, self._ridge)
                    for k, coef in enumerate(params["coef"])
                ]
            )
        }

    def gradient(self, params, stats):
        """Return ∂Q/∂coef, prior included (in the symmetric gauge: columns sum to zero)."""
        penalty = Ridge(self._ridge).slope(sr.symmetric_gauge(params["coef"]))
        return {"coef": stats["gradient"] - penalty}

    def carry(self, params, stats, factor):
        held = Ridge(self._ridge).slope(sr.symmetric_gauge(params["coef"]))
        return carried(sr.with_curvature(params["coef"], stats), factor, {"gradient": held})

    def coordinates(self, params):
        return {"coef": "centred"}

    def log_prior(self, params):
        return sum(sr.log_prior(coef, self._ridge) for coef in params["coef"])

    def n_parameters(self, params):
        K, C, P = params["coef"].shape
        return K * (C - 1) * P

    def diagnose(self, params, stats):
        findings = []
        for k, coef in enumerate(params["coef"]):
            here = {name: s[k] for name, s in stats.items()}
            findings += sr.diagnose(coef, here, self._ridge, f"the classes within expert {k}")
        return findings

    # -- the caller's side -------------------------------------------------------------------

    def check_target(self, y):
        pass  # labels of any kind

    def to_caller(self, params, units):
        coef, intercept = units.coef_to_caller(sr.class_log_odds(params["coef"]))
        return {"coef": coef, "intercept": intercept}

    def from_caller(self, values, units, n_experts, classes=None):
        """Return the inverse of `to_caller`; of two classes it takes a row for each as well."""
        values = take(values, ("coef", "intercept"), "expert")
        one_row = len(classes) == 2 and np.size(values["intercept"]) == n_experts
        shape = (n_experts, 1 if one_row else len(classes), len(units.x.center))
        coef = shaped(values["coef"], shape, "coef", "expert")
        intercept = shaped(values["intercept"], shape[:2], "intercept", "expert")
        return {"coef": sr.from_class_log_odds(units.coef_from_caller(coef, intercept))}

    def view(self, params, k, units, classes=None, **shell):
        values = {f"{name}_": value[k] for name, value in self.to_caller(params, units).items()}
        return ClassificationView(**shell, **values, classes_=classes)


def _one_hot(y, n_classes):
    """Return the indicators of the classes 0 ... C - 1, (n, C), of codes (n,)."""
    xp = array.namespace(y)
    classes = xp.arange(n_classes, dtype=y.dtype, device=y.device)
    return xp.astype(y[:, None] == classes[None, :], xp.float64)


def _of_class(log_proba, y):
    """Return log p_k(y|x), (n, K), from that of every class, (n, K, C)."""
    xp = array.namespace(log_proba)
    return xp.take_along_axis(log_proba, y[:, None, None], axis=2)[:, :, 0]
