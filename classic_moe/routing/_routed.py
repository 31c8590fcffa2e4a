"""What models share whose experts see the rows that a router sends them: blends and mixtures."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from .balancing import BiasBalancing, BudgetLoss
from .base import Batch, Choice, sigmoid
from .top_k import LEAST_NOISE


class Routed:
    """The router's side of a model: where a batch goes, and what balance terms make of it.

    A subclass has the attributes `router`, `n_experts`, `balance`, `capacity_factor` and
    `overflow`, and params "gate" (K, 1 + p) and, where the noise is learned, "noise" (K, 1 + p).
    """

    @property
    def bias(self):
        """The rule of the bias, or None."""
        return next((t for t in self.balance if isinstance(t, BiasBalancing)), None)

    @property
    def losses(self):
        """The terms that are losses."""
        return [t for t in self.balance if not isinstance(t, BiasBalancing)]

    @property
    def mixes(self):
        """Whether a soft gate stands between shared and routed experts."""
        return any(isinstance(t, BudgetLoss) for t in self.balance)

    def state(self, n_updates):
        """Return the router's state before so many batches, a dict."""
        return {} if self.bias is None else self.bias.start(self.n_experts, n_updates)

    def choose(self, params, state, rows, rng) -> Choice:
        """Return where the rows of a batch go in training."""
        scores = scores_of(params["gate"], rows.gate)
        scale = None
        if "noise" in params:
            scale = np.logaddexp(0.0, scores_of(params["noise"], rows.gate)) + LEAST_NOISE
        batch = Batch(rows.weight, rng, rows.keys, scale, self.capacity_factor, self.overflow)
        return self.router.train(scores, state, batch)

    def _balanced(self, choice, weight, mix, in_scores, in_scale, in_mix):
        """Return the losses of a batch by name, and the slopes with theirs taken off."""
        losses, weight = {}, weight / weight.sum()
        for term in self.losses:
            found = term.loss(choice, self.router, weight, mix)
            losses[type(term).__name__] = found.value
            in_scores = in_scores if found.scores is None else in_scores - found.scores
            if found.scale is not None:
                in_scale = in_scale - found.scale
            in_mix = in_mix if found.mix is None else in_mix - found.mix
        return losses, in_scores, in_scale, in_mix

    def _of_gates(self, params, X, in_scores, in_scale, in_mix):
        """Return the gradient of what is linear in x: gate, noise and mix."""
        Z = array.with_intercept(X)
        found = {"gate": in_scores.T @ Z}
        if "noise" in params:  # the slope of softplus is the sigmoid
            found["noise"] = (in_scale * sigmoid(scores_of(params["noise"], X))).T @ Z
        if "mix" in params:
            found["mix"] = in_mix @ Z
        return found


def scores_of(coef, X):
    """Return coef [1, x] of every row, (n, K), as one product."""
    return X @ coef[:, 1:].T + coef[:, 0]
