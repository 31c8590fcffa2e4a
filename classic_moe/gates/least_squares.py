"""The softmax gate fitted by least squares: algorithm 2 of Jordan & Jacobs."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from .._kernels import array
from .._kernels.special import with_twin
from ..parts import softmax_regression as sr
from ..parts.checks import check_rules, number
from ..parts.kernel import Kernel
from ..parts.linalg import solve_all
from ..parts.part import carried
from ..parts.penalties import Ridge
from ..parts.records import Learning
from ..parts.statistics import Statistics
from .base import OneByOne
from .softmax import SoftmaxGate, Together, _scores


def _from_sums(gate, params, sums):
    """Return the statistics from what a compiled pass sums at every node; here at one."""
    (own,) = sums
    stats = Statistics(gradient=own.gradient)
    return stats if own.moment is None else stats | {"gram": own.gram, "moment": own.moment}


def _targets(gate, resp, branches):
    """Return total·(log share, in the symmetric gauge) of every branch at its node, (n, M)."""
    own, xp = array.to_branches(resp, branches), array.namespace(resp)
    each = [weighted_logs(gate.floor, own[:, at]).T for at in branches.slices()]
    return xp.concat(each, axis=0).T  # rows innermost in memory


KERNEL = Kernel("least_squares", _scores, _from_sums, targets=_targets)


class RegressionsTogether(Together):
    """The verbs of several such gates, those with equally many experts by one product."""

    def statistics(self, each, X, resps, order=2):
        if len({resp.shape for resp in resps}) > 1:
            return OneByOne.statistics(self, each, X, resps, order)
        stats = super().statistics(each, X, resps, order=1)
        return _with_moments(self.gate.floor, stats, X, resps, order)

    def maximize(self, each, stats, cautious=False):
        if cautious or len({own["moment"].shape for own in stats}) != 1:
            return OneByOne.maximize(self, each, stats, cautious)
        return _regressions(self.gate._alpha, stats)


class LeastSquaresGate(SoftmaxGate):
    r"""Softmax gate whose M-step is one weighted least-squares fit of the log responsibilities.

    .. math:: \min_V \sum_t w_t \sum_k \big(\log h_{tk} - v_k^\top x_t - a_k\big)^2

    Algorithm 2 of [1]_: the inner loop of the gate becomes a single linear regression, with the
    weight w of a row (at a node of a tree, the responsibility of the whole node). It does not climb
    the likelihood, so the fit keeps the best of its iterates and ends when they bring nothing
    better; `lower_bounds_` hold the best so far. Least squares also has an exact recursion, which
    is what makes it the gate of the on-line algorithm.

    Parameters
    ----------
    alpha : float or "weak", default=1e-3
        Ridge penalty on the slopes, as in `SoftmaxGate`.
    floor : float, default=1e-3
        Responsibilities are raised to this before the logarithm is taken; without a floor a few
        rows that an expert certainly did not make would outweigh all others.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.

    Examples
    --------
    >>> from classic_moe import HierarchicalMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = HierarchicalMixtureOfExpertsRegressor(gate="least_squares", random_state=0)
    >>> model.fit(X, y).n_experts_
    4
    """

    kernel = KERNEL
    top_k = None
    """It has no such parameter: `TopKGate` wraps it."""
    _several = RegressionsTogether
    learning = Learning(ascends=False)

    weak = MappingProxyType({"alpha": 1e-3})

    def __init__(self, alpha: float | str = 1e-3, floor: float = 1e-3) -> None:
        self.alpha = alpha
        self.floor = floor

    def check_parameters(self):
        super().check_parameters()
        check_rules(
            self, {"floor": number(lambda floor: 0 < floor < 1, "a number between 0 and 1")}
        )

    def statistics(self, params, X, resp, order=2):
        stats = super().statistics(params, X, resp, order=1)
        return _with_moments(self.floor, [stats], X, [resp], order)[0]

    def maximize(self, params, stats, cautious=False):
        """Return the regression; `cautious=True`: Böhning's step, which does climb."""
        if cautious:
            return super().maximize(params, stats, cautious)
        return _regressions(self._alpha, [stats])[0]

    def carry(self, params, stats, factor):
        held = Ridge(self._alpha).slope(sr.symmetric_gauge(params["coef"]))
        return carried(stats, factor, {"gradient": held})  # steps take no curvature


def _with_moments(floor, each, X, resps, order):
    """Return statistics with Σ w (log h, in the symmetric gauge) [1, x]ᵀ of every gate, (K, 1 + p).

    With them come Σ w [1, x] [1, x]ᵀ, which the cautious step takes too, with the gradient. A row
    that has no responsibility at all has any share, for its weight w is 0.
    """
    if order > 1:
        xp = array.namespace(X)
        resp = xp.stack(resps, axis=1)
        weighted = weighted_logs(floor, resp)
        n, m, K = resp.shape
        Z = array.with_intercept(X)
        moments = xp.reshape(weighted, (n, m * K)).T @ Z
        grams = array.weighted_grams(Z, xp.sum(resp, axis=2))
        for i, stats in enumerate(each):
            stats["gram"] = grams[i, ...]
            stats["moment"] = moments[i * K : (i + 1) * K, :]
    return each


@with_twin
def weighted_logs(floor, x):
    """Return w (log h, in the symmetric gauge) over the last axis of x, w Σ x and h x / w."""
    xp = array.namespace(x)
    total = array.added(x)
    known, one = total > 0, xp.ones_like(total)
    share = xp.where(known, x / xp.where(known, total, one), one)
    target = xp.log(xp.maximum(share, floor * one))
    return total * (target - array.added(target) / x.shape[-1])


def _regressions(alpha, stats):
    """Return the params of several gates from Σ w z zᵀ and the moments of each."""
    grams, moments = (np.stack([own[name] for own in stats]) for name in ("gram", "moment"))
    penalty = np.diag(Ridge(alpha).curvature(grams.shape[1]))
    coef = solve_all(grams + penalty, moments.swapaxes(1, 2)).swapaxes(1, 2)
    return [{"coef": own} for own in sr.symmetric_gauge(coef)]
