"""Softmax experts that share their output matrix: the components of a mixture of softmaxes."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from .._kernels import array
from ..parts.checks import check_option, check_penalties, is_integer
from ..parts.params import ravel, unravel
from ..parts.records import Learning, Target
from ..parts.statistics import Rows
from . import _network
from .mlp import GAIN, MLPExpert

ACTIVATIONS = ("tanh", "identity")
MOST = 10
"""Largest rank that is chosen where the caller leaves it open."""
FIRST = 3
"""M-steps' worth of iterations from random weights, on the assignments that a fit begins with."""


def default_rank(n_classes):
    """Return the rank that None stands for: below C - 1, where there is a bottleneck, and small."""
    return max(1, min(MOST, n_classes - 2))


class ReducedRankSoftmaxExpert(MLPExpert):
    r"""Softmax of few features of x, whose output matrix all experts share.

    .. math:: p_k(y = c \mid x) = \mathrm{softmax}(W h_k(x) + b)_c,
       \qquad h_k(x) = \tanh(U_k x + u_k) \in \mathbb{R}^d

    W (C, d) and b are the same for all K experts; each has features h_k of its own. With a softmax
    gate this is the mixture of softmaxes [1]_, which `MixtureOfSoftmaxesClassifier` sets up. With
    ``activation="identity"`` and one expert it is the reduced-rank multinomial logit [2]_.

    Parameters
    ----------
    rank : int, default=None
        Features d of an expert. None: C - 2, but 10 at most and 1 at least.
    activation : {"tanh", "identity"}, default="tanh"
        The function that makes the features.
    alpha : float or "weak", default=1e-3
        Ridge penalty ½·alpha·Σ‖w‖² on all weights but the biases, in standardised units. The
        shared matrix counts once. 0 is maximum likelihood, which separated classes do not have.
    max_iter : int, default=5
        Iterations of L-BFGS within one M-step, for all experts together.

    Notes
    -----
    W and U_k are determined up to a linear map of the features where h is linear, and up to signs
    and the order of the features with tanh, so there are no standard errors.

    Rows of the same x that follow one another are computed once. A table of counts, a row for each
    x and class with the count as its weight, is therefore best given sorted by x.

    References
    ----------
    .. [1] Yang, Z., Dai, Z., Salakhutdinov, R. & Cohen, W. W. (2018). Breaking the softmax
       bottleneck: a high-rank RNN language model. International Conference on Learning
       Representations.
    .. [2] Yee, T. W. & Hastie, T. J. (2003). Reduced-rank vector generalized linear models.
       Statistical Modelling 3, 15-41.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from classic_moe import MixtureOfExpertsClassifier
    >>> from classic_moe.experts import ReducedRankSoftmaxExpert
    >>> X, y = load_iris(return_X_y=True)
    >>> expert = ReducedRankSoftmaxExpert(rank=1, activation="identity", alpha=1.0)
    >>> model = MixtureOfExpertsClassifier(1, expert=expert, tol=1e-7, random_state=0).fit(X, y)
    >>> [coef.shape for coef in model.experts_[0].coefs_]
    [(4, 1), (1, 3)]
    """

    learning = Learning(sums=False, extrapolates=False, short_run=3)
    target = Target(task="classification")
    components = None
    variance = "estimate"  # there is none
    weak = MappingProxyType({"alpha": 1e-3})

    def __init__(
        self,
        rank: int | None = None,
        activation: str = "tanh",
        alpha: float | str = 1e-3,
        max_iter: int = 5,
    ) -> None:
        self.rank = rank
        self.activation = activation
        self.alpha = alpha
        self.max_iter = max_iter

    def check_parameters(self):
        check_penalties(self)
        check_option(self, "activation", ACTIVATIONS)
        for name in ("rank", "max_iter"):
            value = vars(self)[name]
            left_open = name == "rank" and value is None
            if not (left_open or (is_integer(value) and value >= 1)):
                raise ValueError(
                    f"{name}={value!r} of {type(self).__name__}: needs an integer of at least 1."
                )

    # -- the model -------------------------------------------------------------------------

    def _weights(self, params):
        return [params["weights_0"], params["weights_1"]]

    def _log_proba(self, params, X):
        """Return the layers and log p_k(c|x) at distinct x, (K, m, ...), and each row's x (n,)."""
        first, member = _runs(X)
        if len(X) % 64 == 0 and len(first) % 64:  # rows padded for the sake of their bits stay so
            first, member = np.arange(len(X)), np.arange(len(X))
        layers = self._layers(params, X[first])
        return layers, array.log_softmax(layers[-1]), member

    def log_prob(self, params, X, y):
        _, log_proba, member = self._log_proba(params, X)
        return log_proba[:, member, y].T

    def mean(self, params, X):
        _, log_proba, member = self._log_proba(params, X)
        return np.exp(log_proba)[:, member].swapaxes(0, 1)

    def _backward(self, params, layers, slope):
        found = super()._backward(params, layers, slope)
        return found | {"weights_1": found["weights_1"].sum(axis=0, keepdims=True)}

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        """Return small random weights around the class frequencies, after some training."""
        K, C = resp.shape[1], len(classes)
        rank = default_rank(C) if self.rank is None else self.rank
        widths = (X.shape[1], rank, C)
        own, shared = _network.initial_weights(widths, K, self.activation, random_state)
        count = np.bincount(y, resp.sum(axis=1), C)
        shared[0, :, 0] = np.log(count / count.sum() + 1e-3)
        params = {"weights_0": own, "weights_1": shared[:1]}
        return self._trained(params, X, y, resp, FIRST * self.max_iter)

    def _derivatives(self, params, X, y, resp):
        """Return ∂/∂params of Σ resp·log p, a dict.

        With R_kc the responsibilities of the rows of one x and class c, the slope in logit c of
        expert k is R_kc - Σ_c R_kc p_k(c).
        """
        layers, log_proba, member = self._log_proba(params, X)
        m, C = log_proba.shape[1:]
        place = member * C + y
        counts = np.stack([np.bincount(place, own, m * C).reshape(m, C) for own in resp.T])
        slope = counts - counts.sum(axis=2, keepdims=True) * np.exp(log_proba)
        return self._backward(params, layers, slope)

    def maximize(self, params, stats, cautious=False):
        """Take a few steps of L-BFGS, all experts together; never lowers Q."""
        return self._trained(params, stats["X"], stats["y"], stats["resp"], self.max_iter)

    def _trained(self, params, X, y, resp, max_iter):
        loss = _Loss(self, params, Rows(X=X, y=y, resp=resp))
        if not loss.total > 0:
            return params
        with np.errstate(all="ignore"):  # a step too far is rejected
            end, fall = _network.lbfgs(loss, loss.start, None, max_iter)
        return loss.params(end) if fall > GAIN and np.isfinite(end).all() else params

    def n_parameters(self, params):
        """Return the number of weights; of C classes C - 1 count, as they sum to 1."""
        own, shared = self._weights(params)
        return own.size + shared[0, 1:].size

    # -- the caller's side -------------------------------------------------------------------

    def _hidden_in(self, values):
        """Return the rank, that of the values where the caller leaves it open, a tuple of one."""
        first = np.shape(values["coefs"][0]) if len(values["coefs"]) == 2 else (1,)
        return (first[-1] if self.rank is None else self.rank,)

    def _is_shared(self, layer):
        return layer == 1


class _Loss:
    """-Q of all experts a unit of weight, a function of all their weights (m,), and its gradient.

    Parameters
    ----------
    expert : ReducedRankSoftmaxExpert
    like : Params
    rows : Rows, with responsibilities
    """

    def __init__(self, expert, like, rows):
        self.expert, self.like, self.rows = expert, like, rows
        self.total, self.start = float(np.sum(rows["resp"])), ravel(like)

    def params(self, vector):
        """Return the params of a vector."""
        return unravel(vector.copy(), self.like)

    def value(self, vector):
        """Return the loss; `slope` is then its gradient there."""
        self._last = params = self.params(vector)
        own, X, y, resp = self.expert, self.rows["X"], self.rows["y"], self.rows["resp"]
        value = np.sum(resp * own.log_prob(params, X, y)) + own.log_prior(params)
        return -float(value) / self.total

    def slope(self):
        """Return the gradient where the value was last asked for, (m,)."""
        return -ravel(self.expert.gradient(self._last, self.rows)) / self.total


def _runs(X):
    """Return the first row of every run of rows of the same x (m,), and each row's run (n,)."""
    new = np.ones(len(X), dtype=bool)
    if X.shape[1]:
        np.any(X[1:] != X[:-1], axis=1, out=new[1:])
    else:
        new[1:] = False
    return np.flatnonzero(new), np.cumsum(new) - 1
