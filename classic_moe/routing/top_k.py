"""The k best experts of every row."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..parts import checks
from ..parts.checks import Rule
from ._selection import best, capacity, marked, rerouted, within
from .base import BaseRouter, Choice, sigmoid, softmax, through_softmax

LEAST_NOISE = 1e-2
"""Added to a learned standard deviation of the noise, softplus(x·w)."""
SECOND_THRESHOLD = 0.5
"""The share of the second expert from which it is always kept, where it is kept at random."""


class TopKRouter(BaseRouter):
    r"""Send every row to its k best experts.

    With scores :math:`s_i` and the k best set :math:`S(x)`, the weights are

    .. math:: \frac{\sigma_i}{\sum_{j \in S} \sigma_j}\ \text{(renormalized)} \quad\text{or}\quad
       \sigma_i\ \text{(raw)}, \qquad \sigma = \mathrm{softmax}(s)\ \text{or}\
       \mathrm{sigmoid}(s_i).

    In predictions a row goes to its k best experts without noise, capacity and chance.

    Parameters
    ----------
    k : int, default=2
        Experts that a row keeps.
    score : {"softmax", "sigmoid"}, default="softmax"
        What the weights are made of.
    weight : {"renormalized", "raw"}, default="renormalized"
        Whether the weights of the experts kept are scaled to sum to 1. With k = 1 a renormalised
        weight is 1 and teaches the gate nothing; Switch [2]_ keeps the raw one.
    noise : None, "learned" or float, default=None
        Standard deviation of Gaussian noise on the scores in training: a number, or learned for
        every row and expert, softplus(x·w) + 0.01 [1]_.
    second : {"always", "random"}, default="always"
        "random": with k = 2, the second expert is kept in training with probability
        min(1, 2 g₂), g₂ its share of the two [3]_; weights are those of the experts kept.
    n_groups, n_kept_groups : int, default=1
        Experts stand in so many groups of equal size, and a row sees those of the best groups only,
        by the sum of their two best scores [4]_.
    priority : {"order", "best"}, default="order"
        Who finds room where experts have a capacity: rows in the order of the batch, or those with
        the greatest share first [5]_. The number of pairs dropped is the same.
    scale : float, default=1.0
        Factor of all weights [4]_.
    masking : float, default=0.0
        Share of the pairs kept that are masked in training, the others divided by what is left
        [6]_.

    References
    ----------
    .. [1] Shazeer, N. et al. (2017). Outrageously large neural networks: the sparsely-gated
       mixture-of-experts layer. ICLR. arXiv:1701.06538.
    .. [2] Fedus, W., Zoph, B. & Shazeer, N. (2022). Switch transformers. JMLR 23.
       arXiv:2101.03961.
    .. [3] Lepikhin, D. et al. (2020). GShard. arXiv:2006.16668.
    .. [4] DeepSeek-AI (2024). DeepSeek-V3 technical report. arXiv:2412.19437.
    .. [5] Riquelme, C. et al. (2021). Scaling vision with sparse mixture of experts. NeurIPS.
       arXiv:2106.05974.
    .. [6] NLLB team (2022). No language left behind. arXiv:2207.04672.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.routing import TopKRouter
    >>> scores = np.log([[0.5, 0.2, 0.3]])
    >>> TopKRouter(2).route(scores, {}).weights.round(3)
    array([[0.625, 0.   , 0.375]])
    >>> TopKRouter(1, weight="raw").route(scores, {}).weights.round(3)
    array([[0.5, 0. , 0. ]])
    """

    has_order = True

    def __init__(
        self,
        k: int | None = 2,
        score: str = "softmax",
        weight: str = "renormalized",
        noise: Any = None,
        second: str = "always",
        n_groups: int = 1,
        n_kept_groups: int = 1,
        priority: str = "order",
        scale: float = 1.0,
        masking: float = 0.0,
    ) -> None:
        self.k = k
        self.score = score
        self.weight = weight
        self.noise = noise
        self.second = second
        self.n_groups = n_groups
        self.n_kept_groups = n_kept_groups
        self.priority = priority
        self.scale = scale
        self.masking = masking

    def _rules(self):
        positive = checks.number(lambda value: 0 < value < np.inf, "a positive number")
        return {
            "k": checks.integer(1),
            "score": checks.one_of(("softmax", "sigmoid")),
            "weight": checks.one_of(("renormalized", "raw")),
            "noise": Rule(
                lambda value: value is None or checks.either("learned", positive).allows(value),
                "needs None, 'learned' or a positive number",
            ),
            "second": checks.one_of(("always", "random")),
            "n_groups": checks.integer(1),
            "n_kept_groups": checks.integer(1),
            "priority": checks.one_of(("order", "best")),
            "scale": positive,
            "masking": checks.number(lambda share: 0 <= share < 1, "a number from 0 to below 1"),
        }

    def check_experts(self, n_experts):
        """Raise a ValueError where the router cannot serve so many experts."""
        if self.k > n_experts:
            raise ValueError(
                f"k={self.k} of TopKRouter, but n_experts={n_experts}; use k={n_experts} or fewer."
            )
        if self.noise is not None and self.k == n_experts:
            raise ValueError(
                f"noise={self.noise!r} with k=n_experts={n_experts}: every expert is kept whatever"
                " the noise; leave noise=None, or use a smaller k."
            )
        if self.second == "random" and self.k != 2:
            raise ValueError(
                f"second='random' of TopKRouter needs k=2, got k={self.k}; leave it 'always'."
            )
        size, rest = divmod(n_experts, self.n_groups)
        if rest or self.n_kept_groups > self.n_groups or self.n_kept_groups * size < self.k:
            raise ValueError(
                f"n_groups={self.n_groups} and n_kept_groups={self.n_kept_groups} of TopKRouter do"
                f" not fit n_experts={n_experts} and k={self.k}: groups are of equal size, and"
                " those kept hold k experts."
            )

    @property
    def teaches_gate(self):
        """Whether the scores get a gradient: not where the only weight is always 1."""
        return self.k > 1 or self.weight == "raw"

    @property
    def learns_noise(self):
        """Whether the noise has a standard deviation for every score, learned."""
        return isinstance(self.noise, str)

    @property
    def sums_to_one(self):
        """Whether the weights of a row sum to 1 in predictions."""
        return self.weight == "renormalized" and self.scale == 1

    # -- the rule ----------------------------------------------------------------------------

    def values(self, scores):
        """Return what experts are compared by before a bias, (n, K)."""
        return sigmoid(scores) if self.score == "sigmoid" else scores

    def preference(self, scores, state):
        """Return by what experts are chosen, (n, K): biases added, groups left out at -inf.

        A bias is added to the sigmoid of a score, and to the score itself for a softmax.
        """
        value = self.values(scores)
        value = value + state["bias"] if "bias" in state else value
        if self.n_kept_groups == self.n_groups:
            return value
        n, K = scores.shape
        grouped = value.reshape(n, self.n_groups, -1)
        two = np.sort(grouped, axis=2)[:, :, -2:].sum(axis=2)
        seen = marked(best(two, self.n_kept_groups), self.n_groups)
        return np.where(seen[:, :, None], grouped, -np.inf).reshape(n, K)

    def shares(self, scores, kept):
        """Return the weights of the experts kept but for `scale`, (n, K), 0 for the others."""
        if self.score == "sigmoid":
            share = np.where(kept, sigmoid(scores), 0.0)
            if self.weight == "renormalized":
                total = share.sum(axis=1, keepdims=True)
                share = share / np.where(total > 0, total, 1.0)
        elif self.weight == "raw":
            share = np.where(kept, softmax(scores), 0.0)
        else:
            left = np.where(kept, scores, -np.inf)
            top = left.max(axis=1, keepdims=True, initial=-np.inf)
            share = np.exp(left - np.where(np.isfinite(top), top, 0.0))
            total = share.sum(axis=1, keepdims=True)
            share = share / np.where(total > 0, total, 1.0)
        return share

    def route(self, scores, state, keys=None, alone=False):
        """Return the k best experts of every row and their weights; without noise."""
        kept = marked(best(self.preference(scores, state), self.k), scores.shape[1])
        return Choice(scores, kept, kept, self.scale * self.shares(scores, kept), scores)

    def train(self, scores, state, batch):
        """Return where rows go with noise, chance, capacities and masked pairs."""
        noise = scale = None
        noisy = scores
        if self.noise is not None:
            scale = batch.scale if self.learns_noise else np.full(scores.shape, float(self.noise))
            noise = batch.rng.standard_normal(scores.shape)
            noisy = scores + noise * scale
        preference = self.preference(noisy, state)
        choice = best(preference, self.k)
        taken = np.ones(choice.shape, dtype=bool)
        if self.second == "random":
            taken[:, 1] = self._second_is_kept(noisy, choice, batch.rng)
        wanted = self._marked(choice, taken, scores.shape[1])
        kept = wanted
        if batch.capacity_factor is not None:
            kept = self._with_room(preference, noisy, choice, taken, batch)
        weights, masked = self.scale * self.shares(noisy, kept), None
        if self.masking:
            left = batch.rng.uniform(size=weights.shape) >= self.masking
            masked = left / (1 - self.masking)
            weights = weights * masked
        return Choice(scores, wanted, kept, weights, noisy, noise, scale, masked)

    @staticmethod
    def _marked(choice, taken, n_experts):
        """Return the choices that are taken as a table, (n, K)."""
        kept = np.zeros((len(choice), n_experts), dtype=bool)
        rows, places = np.nonzero(taken)
        kept[rows, choice[rows, places]] = True
        return kept

    @staticmethod
    def _second_is_kept(scores, choice, rng):
        """Return whether the second expert is kept, with probability min(1, g₂ / 0.5), (n,)."""
        first, second = np.take_along_axis(scores, choice, axis=1).T
        share = sigmoid(second - first)  # softmax over the two
        return rng.uniform(size=len(share)) * SECOND_THRESHOLD < share

    def _with_room(self, preference, noisy, choice, taken, batch):
        """Return the pairs for which there is room, (n, K)."""
        K = preference.shape[1]
        most = capacity(batch.weight.sum(), K, self.k, batch.capacity_factor)
        order = None
        if self.priority == "best":
            order = np.argsort(-softmax(noisy).max(axis=1), kind="stable")
        if batch.overflow == "next":
            return rerouted(preference, batch.weight, taken.sum(axis=1), most, order)
        wanted = np.where(taken, choice, K)  # an expert more, with room for all who want nobody
        found = within(wanted, batch.weight, K + 1, most, order)
        return self._marked(choice, found & taken, K)

    def slopes(self, choice, slope, reward):
        """Return the derivatives in the scores and in the scale of the noise."""
        slope = np.where(choice.kept, slope, 0.0) * self.scale
        if choice.masked is not None:
            slope = slope * choice.masked
        share = self.shares(choice.noisy, choice.kept)
        if self.score == "softmax" and self.weight == "raw":
            found = through_softmax(softmax(choice.noisy), slope)
        elif self.score == "softmax":
            found = through_softmax(share, slope)
        else:
            value = sigmoid(choice.noisy)
            if self.weight == "renormalized":
                # w_i = σ_i / T: ∂w_j/∂σ_i = (δ_ij - w_j) / T, of experts kept
                total = np.sum(value, axis=1, keepdims=True, where=choice.kept)
                mean = np.sum(share * slope, axis=1, keepdims=True)
                slope = np.where(choice.kept, slope - mean, 0.0) / np.where(total > 0, total, 1.0)
            found = slope * value * (1 - value)
        return found, None if choice.noise is None else found * choice.noise
