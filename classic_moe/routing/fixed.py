"""Routers that learn nothing: by a key, and at random; and the one that learns from a reward."""

from __future__ import annotations

import hashlib

import numpy as np

from ..parts import checks
from ._selection import marked
from .base import BaseRouter, Choice, softmax

MOST_DISTINCT = 0.5
"""Share of distinct values from which a column of numbers that are not whole is no key."""
MEMORY = 0.95
"""How much of the running mean of rewards the next batch keeps."""


class HashRouter(BaseRouter):
    """Send a row to the expert that a hash of its key names: a fixed table, nothing is learned.

    The key is what `hash_features` hold of the row, ids or categories; the expert is
    blake2b(key, seed) mod K, the same on every machine [1]_. Keys that the fit never saw are hashed
    too.

    Parameters
    ----------
    seed : int, default=42
        Names the table.

    References
    ----------
    .. [1] Roller, S., Sukhbaatar, S., Szlam, A. & Weston, J. (2021). Hash layers for large sparse
       models. NeurIPS. arXiv:2106.04426.

    Examples
    --------
    >>> from classic_moe.routing import HashRouter
    >>> HashRouter().numbers([[1.0], [2.0], [1.0]], 4)
    array([2, 0, 2])
    """

    uses_keys = True
    teaches_gate = False
    sums_to_one = True

    def __init__(self, seed: int = 42) -> None:
        self.seed = seed

    def _rules(self):
        return {"seed": checks.integer(0)}

    def numbers(self, keys, n_experts):
        """Return the expert of every row of keys (n, m), ints (n,)."""
        keys = np.asarray(keys, dtype=np.float64) + 0.0  # -0.0 is 0.0
        known, where = np.unique(keys, axis=0, return_inverse=True)
        secret = str(self.seed).encode()[:64]
        found = [
            int.from_bytes(
                hashlib.blake2b(row.tobytes(), digest_size=8, key=secret).digest(), "little"
            )
            % n_experts
            for row in known.astype("<f8")
        ]
        return np.array(found, dtype=np.intp)[where.ravel()]

    def check_keys(self, keys, names):
        """Raise a ValueError for a column of keys (n, m) that is a measurement."""
        for j, column in enumerate(keys.T):
            share = len(np.unique(column)) / len(column)
            if share > MOST_DISTINCT and (column != np.rint(column)).any():
                raise ValueError(
                    f"hash_features: column {names[j]} holds numbers of which {share:.0%} are"
                    " distinct, so a hash of them is random; use an id or a category."
                )

    def train(self, scores, state, batch):
        """Return the experts of the keys."""
        return self.route(scores, state, batch.keys)

    def route(self, scores, state, keys=None, alone=False):
        """Return the experts of the keys, with weight 1."""
        kept = marked(keys[:, None], scores.shape[1])
        return Choice(scores, kept, kept, 1.0 * kept, scores)

    def slopes(self, choice, slope, reward):
        """Return zeros."""
        return np.zeros_like(slope), None


class RandomRouter(BaseRouter):
    """Send every row of training to an expert drawn at random, and predict by the mean of all.

    That is bagging of a kind: the measure of what a gate that knows something is worth.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.routing import RandomRouter
    >>> RandomRouter().route(np.zeros((1, 4)), {}).weights
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    teaches_gate = False
    sums_to_one = True

    def train(self, scores, state, batch):
        """Return an expert for every row, drawn with equal probabilities."""
        n, K = scores.shape
        kept = marked(batch.rng.integers(K, size=(n, 1)), K)
        return Choice(scores, kept, kept, 1.0 * kept, scores)

    def route(self, scores, state, keys=None, alone=False):
        """Return all experts, with equal weights."""
        kept = np.ones(scores.shape, dtype=bool)
        return Choice(scores, kept, kept, kept / scores.shape[1], scores)

    def slopes(self, choice, slope, reward):
        """Return zeros."""
        return np.zeros_like(slope), None


class SampledRouter(BaseRouter):
    r"""Draw the expert of a row from the gate, and learn from how well it did: REINFORCE.

    The gradient in the scores of a row of reward r, whose expert a was drawn from the shares g, is
    :math:`(r - b)(e_a - g)`, unbiased for that of the expected reward [1]_. The reward is the row's
    log-likelihood, so what is climbed is Σ g log p, a lower bound of the likelihood of a mixture.
    In predictions the expert is the one of the greatest share. For teaching: a gradient through the
    weights learns more from the same rows.

    Parameters
    ----------
    baseline : {"mean"} or None, default="mean"
        b: a running mean of the rewards, which takes nothing but variance away, or 0.

    References
    ----------
    .. [1] Williams, R. J. (1992). Simple statistical gradient-following algorithms for
       connectionist reinforcement learning. Machine Learning 8, 229-256.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.routing import SampledRouter
    >>> SampledRouter().route(np.array([[0.1, 0.3]]), {}).weights
    array([[0., 1.]])
    """

    sums_to_one = True

    def __init__(self, baseline: str = "mean") -> None:
        self.baseline = baseline

    def _rules(self):
        return {
            "baseline": checks.Rule(
                lambda value: value is None or (isinstance(value, str) and value == "mean"),
                "use 'mean' or None",
            )
        }

    def train(self, scores, state, batch):
        """Return an expert for every row, drawn from its shares."""
        drawn = batch.rng.uniform(size=(len(scores), 1))
        share = softmax(scores)
        chosen = np.sum(np.cumsum(share, axis=1) < drawn, axis=1, keepdims=True)
        kept = marked(np.minimum(chosen, scores.shape[1] - 1), scores.shape[1])
        level = state.get("baseline", 0.0) if self.baseline else 0.0
        return Choice(scores, kept, kept, 1.0 * kept, scores, baseline=level)

    def route(self, scores, state, keys=None, alone=False):
        """Return the expert of the greatest share, with weight 1."""
        kept = marked(scores.argmax(axis=1)[:, None], scores.shape[1])
        return Choice(scores, kept, kept, 1.0 * kept, scores)

    def slopes(self, choice, slope, reward):
        """Return (r - b)(e_a - g), rewards weighted as the rows of `slope` are."""
        value, weight = reward
        gain = (value - choice.baseline) * weight
        return gain[:, None] * (choice.kept - softmax(choice.scores)), None

    def learn(self, state, reward):
        """Return the state after a batch: the running mean of rewards."""
        value, weight = reward
        mean = float(value @ weight / max(weight.sum(), 1e-300))
        before = state.get("baseline")
        now = mean if before is None else MEMORY * before + (1 - MEMORY) * mean
        return state | {"baseline": now}
