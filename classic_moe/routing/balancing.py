"""Terms that keep the loads of experts alike: losses with their slopes, and a bias that adapts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from sklearn.base import BaseEstimator

from .._kernels import array
from ..parts import checks
from ..parts.checks import check_rules
from .base import sigmoid, softmax, through_softmax

SMALLEST = 1e-10
"""Added to the square of a mean by which a variance is divided."""
AUTO_RATE = 0.3
"""Steps of the bias with rate="auto", in standard deviations of the scores, at the first batch."""
LAST_THIRD = 2 / 3
"""The share of the updates after which the biases are averaged for predictions."""


class Slopes(NamedTuple):
    """A term of the loss and its derivatives.

    Attributes
    ----------
    value : float
    scores : ndarray of shape (n, K) or None
    scale : ndarray of shape (n, K) or None
        In the standard deviations of the noise.
    mix : ndarray of shape (n,) or None
        In the logits of the gate between shared and routed experts.
    """

    value: float
    scores: np.ndarray | None = None
    scale: np.ndarray | None = None
    mix: np.ndarray | None = None


class BalanceTerm(BaseEstimator, ABC):
    """A loss that is added, times its `weight`, to minus the mean objective a row.

    It sees the routing of one batch, which is the population to it: loads are ratios of sums, not
    sums over rows.
    """

    needs_noise = False
    """Whether the rows must be routed by noisy scores."""

    def check_parameters(self):
        """Raise a ValueError for hyper-parameters that no fit could use."""
        check_rules(self, self._rules())

    def _rules(self):
        return {"weight": checks.number(lambda w: 0 <= w < np.inf, "a number of at least 0")}

    def check_router(self, router, n_experts):
        """Raise a ValueError where the term says nothing about a router."""

    @abstractmethod
    def loss(self, choice, router, weight, mix=None) -> Slopes:
        """Return the loss of a batch, times the term's weight, and its derivatives.

        `choice` is a `Choice`, `weight` (n,) those of the rows, summing to 1, and `mix` (n,) the
        shares of the routed experts beside shared ones.
        """


class AuxiliaryLoss(BalanceTerm):
    r"""Penalise experts of many rows by the mean share that the gate gives them.

    .. math:: L = K \sum_i f_i \bar P_i, \qquad f_i = \frac{c_i}{\sum_j c_j},\quad
       \bar P_i = \frac1n \sum_t \mathrm{softmax}(s_t)_i

    c are the loads before rows were dropped, constants to the gradient; P are shares without noise.
    L is 1 where all loads or all mean shares are equal, for any k, and K where one expert has all;
    it may be below 1. Codes that do not divide by k have a weight k times smaller [1]_.

    Parameters
    ----------
    weight : float, default=0.01

    References
    ----------
    .. [1] Fedus, W., Zoph, B. & Shazeer, N. (2022). Switch transformers. JMLR 23.
       arXiv:2101.03961.
    """

    def __init__(self, weight: float = 0.01) -> None:
        self.weight = weight

    def loss(self, choice, router, weight, mix=None):
        share = softmax(choice.scores)
        load = weight @ choice.wanted
        pull = self.weight * choice.scores.shape[1] * load / max(load.sum(), 1e-300)
        slope = through_softmax(share, weight[:, None] * pull)
        return Slopes(float(pull @ (weight @ share)), slope)


class ImportanceLoss(BalanceTerm):
    r"""Penalise the squared coefficient of variation of the experts' sums of weights.

    .. math:: L = \mathrm{CV}^2\Big(\sum_t w_{ti}\Big), \qquad \mathrm{CV}^2 = \mathrm{var} /
       \mathrm{mean}^2

    w are the shares among the experts kept, noise included [1]_; where a router keeps raw weights,
    the softmax over all experts without noise [2]_. The variance is that of a population.

    Parameters
    ----------
    weight : float, default=0.1

    References
    ----------
    .. [1] Shazeer, N. et al. (2017). Outrageously large neural networks. ICLR. arXiv:1701.06538.
    .. [2] Riquelme, C. et al. (2021). Scaling vision with sparse mixture of experts. NeurIPS.
       arXiv:2106.05974.
    """

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight

    def loss(self, choice, router, weight, mix=None):
        renormalizes = router.has_order and router.weight == "renormalized"
        share = softmax(choice.scores)
        if renormalizes:
            share = router.shares(choice.noisy, choice.kept)
        value, slope = squared_variation(weight @ share)
        found = self.weight * through_softmax(share, weight[:, None] * slope)
        if renormalizes and router.score == "sigmoid":
            found = found * (1 - sigmoid(choice.noisy))  # it is the softmax of log σ
        noisy = renormalizes and choice.noise is not None
        return Slopes(self.weight * value, found, found * choice.noise if noisy else None)


class LoadLoss(BalanceTerm):
    r"""Penalise the squared coefficient of variation of smooth loads.

    The load of an expert is how many rows would have it among their k best if its own noise were
    drawn anew [1]_:

    .. math:: \mathrm{load}_i = \sum_t \Phi\Big(\frac{s_{ti} - \theta_{ti}}{\sigma_{ti}}\Big)

    θ is the k-th largest of the other noisy scores, itself a function of the parameters. Needs
    noise, and k below the number of experts.

    Parameters
    ----------
    weight : float, default=0.1

    References
    ----------
    .. [1] Shazeer, N. et al. (2017). Outrageously large neural networks. ICLR. arXiv:1701.06538.
    """

    needs_noise = True

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight

    def check_router(self, router, n_experts):
        """Raise a ValueError without noise, or where every row has every expert."""
        if not router.has_order or router.noise is None:
            raise ValueError(
                f"LoadLoss needs noisy scores, and {router!r} has none; use"
                " TopKRouter(noise='learned'), or another term."
            )
        if router.k >= n_experts:
            raise ValueError(
                f"LoadLoss with k={router.k} and n_experts={n_experts}: every expert has every row;"
                " use a smaller k, or leave the term out."
            )

    def loss(self, choice, router, weight, mix=None):
        proba, place = load_probabilities(choice, router.k)
        value, slope = squared_variation(weight @ proba)
        u = (choice.scores - np.take_along_axis(choice.noisy, place, axis=1)) / choice.scale
        density = np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
        own = self.weight * weight[:, None] * slope * density / choice.scale
        # θ_ti is the noisy score of expert place_ti: its slope is minus the sum of those it bounds
        rows = np.broadcast_to(np.arange(len(own))[:, None], own.shape)
        bound = np.zeros_like(own)
        np.add.at(bound, (rows, place), -own)
        return Slopes(self.weight * value, own + bound, bound * choice.noise - own * u)


class ZLoss(BalanceTerm):
    r"""Penalise large scores.

    .. math:: L = \frac1n \sum_t \Big(\log \sum_i e^{s_{ti}}\Big)^2

    Not invariant to a constant added to all scores of a row. It keeps scores small [1]_ and
    balances nothing.

    Parameters
    ----------
    weight : float, default=1e-3

    References
    ----------
    .. [1] Zoph, B. et al. (2022). ST-MoE: designing stable and transferable sparse expert models.
       arXiv:2202.08906.
    """

    def __init__(self, weight: float = 1e-3) -> None:
        self.weight = weight

    def loss(self, choice, router, weight, mix=None):
        size = array.logsumexp(choice.scores)
        slope = 2 * self.weight * (weight * size)[:, None] * softmax(choice.scores)
        return Slopes(self.weight * float(weight @ size**2), slope)


class BudgetLoss(BalanceTerm):
    r"""Put a soft gate G(x) between shared and routed experts, and hold its mean at a target.

    .. math:: f(x) = (1 - G(x)) f_\mathrm{shared}(x) + G(x) \sum_i w_i(x) f_i(x), \qquad
       L = |\bar G - \mathrm{target}|

    G is the sigmoid of a linear function of x [1]_. Needs shared experts; without this term they
    are added with weight 1.

    Parameters
    ----------
    target : float, default=0.5
        Mean share of the routed experts, between 0 and 1.
    weight : float, default=0.1

    References
    ----------
    .. [1] NLLB team (2022). No language left behind. arXiv:2207.04672.
    """

    def __init__(self, target: int | str | None = 0.5, weight: float = 0.1) -> None:
        self.target = target
        self.weight = weight

    def _rules(self):
        rule = checks.number(lambda share: 0 < share < 1, "a number between 0 and 1")
        return super()._rules() | {"target": rule}

    def loss(self, choice, router, weight, mix=None):
        gap = float(weight @ mix) - self.target
        slope = self.weight * np.sign(gap) * weight * mix * (1 - mix)
        return Slopes(self.weight * abs(gap), mix=slope)


class BiasBalancing(BaseEstimator):
    r"""Move a bias on the scores against the loads; no loss, and no gradient [1]_.

    After every batch :math:`b_i \mathrel{+}= \gamma\, \mathrm{sign}(\bar c - c_i)`. The bias says
    which experts are chosen, and the weights never see it. It is a step of the subgradient method
    for the prices of a balanced assignment: with ``rate="auto"``

    .. math:: b_i \mathrel{+}= 0.3\, \mathrm{sd}(\mathrm{scores})\,
       \frac{\bar c - c_i}{\bar c \sqrt t}.

    Predictions take the mean of the biases of the last third of the updates.

    Parameters
    ----------
    rate : "auto" or float, default="auto"
        γ, in units of the score: 0.001 suits sigmoids, 0.01 to 0.05 softmax scores, to which a bias
        is added before the softmax.

    References
    ----------
    .. [1] Wang, L. et al. (2024). Auxiliary-loss-free load balancing strategy for
       mixture-of-experts. arXiv:2408.15664.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.routing import BiasBalancing
    >>> rule = BiasBalancing(rate=0.01)
    >>> state = rule.start(n_experts=3, n_updates=1)
    >>> rule.update(state, load=np.array([6.0, 2.0, 1.0]), spread=1.0)["bias"]
    array([-0.01,  0.01,  0.01])
    """

    def __init__(self, rate: float | str = "auto") -> None:
        self.rate = rate

    def check_parameters(self):
        """Raise a ValueError for hyper-parameters that no fit could use."""
        positive = checks.number(lambda rate: 0 < rate < np.inf, "a positive number")
        check_rules(self, {"rate": checks.either("auto", positive)})

    def check_router(self, router, n_experts):
        """Raise a ValueError for a router that does not choose by scores."""
        if not router.has_order:
            raise ValueError(
                f"BiasBalancing acts on the scores of a TopKRouter, and the router is {router!r};"
                " leave the term out."
            )

    def start(self, n_experts, n_updates):
        """Return the state before the first of so many updates, a dict."""
        zeros = np.zeros(n_experts)
        return {"bias": zeros, "bias_sum": zeros, "updates": 0, "n_updates": n_updates}

    def update(self, state, load, spread):
        """Return the state after a batch of some loads (K,) whose scores have a standard deviation.

        The loads are those before rows were dropped.
        """
        t, mean = state["updates"] + 1, load.mean()
        if isinstance(self.rate, str):
            step = AUTO_RATE * spread * (mean - load) / max(mean, 1e-300) / np.sqrt(t)
        else:
            step = self.rate * np.sign(mean - load)
        bias = state["bias"] + step
        counts = t > LAST_THIRD * state["n_updates"]
        total = state["bias_sum"] + bias if counts else state["bias_sum"]
        return state | {"bias": bias, "bias_sum": total, "updates": t}

    def settle(self, state):
        """Return the state for predictions: the mean of the biases of the last third."""
        t = state["updates"]
        count = t - int(LAST_THIRD * state["n_updates"]) if t else 0
        return state | {"bias": state["bias_sum"] / count if count > 0 else state["bias"]}


def squared_variation(total):
    """Return var/mean² of sums (K,), the variance of a population, and its derivative (K,)."""
    mean = total.mean()
    variance, square = total.var(), mean**2 + SMALLEST
    slope = 2 * (total - mean) / (len(total) * square)
    return float(variance / square), slope - 2 * variance * mean / (len(total) * square**2)


def load_probabilities(choice, k):
    """Return the probabilities of being among the k best, and whose noisy score is the bound.

    (n, K) each. For an expert among the k best the bound is the best score of those that are not,
    for the others the k-th best.
    """
    order = np.argsort(-choice.noisy, axis=1, kind="stable")[:, : k + 1]
    inside = np.zeros(choice.noisy.shape, dtype=bool)
    np.put_along_axis(inside, order[:, :k], True, axis=1)
    place = np.where(inside, order[:, k, None], order[:, k - 1, None])
    bound = np.take_along_axis(choice.noisy, place, axis=1)
    return ndtr((choice.scores - bound) / choice.scale), place
