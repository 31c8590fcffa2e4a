"""The sparse mixture in training on minibatches: a router between the gate and the likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._kernels import array
from ..parts.coordinates import Coordinates
from ._blend import BlendRows, Step
from ._gate import RoutedGate, log_shares
from ._routed import Routed
from .base import BaseRouter


@dataclass(frozen=True, eq=False)
class RoutedMixture(Routed):
    r"""A mixture of the experts that a router keeps, log p(y|x) = log Σ w_i p_i - log Σ w_i.

    Its params in training are the scores' coefficients, those of the noise where it is learned, and
    the experts' free numbers: "gate" (K, 1 + p), "noise" (K, 1 + p), "expert" (m,). Rows that no
    expert has, because there was no room, are left out of the batch.

    Attributes
    ----------
    model : MixtureModel, its gate one of all experts
    coordinates : Coordinates, of the experts' params
    router : BaseRouter
    n_experts : int
    balance : tuple of BalanceTerm, BiasBalancing
    capacity_factor : float or None
    overflow : {"drop", "next"}
    """

    model: object
    coordinates: Coordinates
    router: BaseRouter
    n_experts: int
    balance: tuple = ()
    capacity_factor: float | None = None
    overflow: str = "drop"

    @property
    def gate(self):
        """The gate of the mixture, without what the training leaves behind."""
        most = self.router.k if self.router.has_order else self.n_experts
        return RoutedGate(self.router, most, alpha=self.model.gate._alpha)

    # -- params --------------------------------------------------------------------------------

    def to_train(self, params):
        """Return params of the model, "gate" and "expert", as those of a training."""
        coef = params["gate"]["coef"]
        found = {"gate": coef}
        if self.router.learns_noise:
            found["noise"] = np.zeros_like(coef)
        return found | {"expert": self.coordinates.free(params["expert"])}

    def from_training(self, params):
        """Return params of a training as those of the model."""
        free = self.coordinates.clip(params["expert"])
        return {"gate": {"coef": params["gate"]}, "expert": self.coordinates.params(free)}

    def rows(self, X, y, weight):
        """Return rows in internal units as a router takes them."""
        return BlendRows(self.model.gate_input(X), X, y, weight)

    # -- training --------------------------------------------------------------------------------

    def step(self, params, choice, rows, total, share=1.0) -> Step:
        """Return the log-likelihood of a batch of rows that were routed, and its gradient.

        `share` is the factor that makes sums over the batch those over all rows, of weight `total`.
        """
        own = self.from_training(params)
        pairs = choice.weights > 0
        served = pairs.any(axis=1)
        weight = rows.weight * served
        where = None if self._is_cheap or pairs.all() else self.model.pairs(pairs)
        log_gate = np.where(served[:, None], log_shares(choice.weights, pairs), 0.0)
        log_density = self.model.log_density(own, rows.expert, rows.y, where)
        value, resp = array.mixture_posterior(log_gate, log_density)
        unit = share * weight / total
        # log Σ w p - log Σ w: h_i/w_i - 1/Σ w of the pairs kept
        each = np.where(pairs, choice.weights, 1.0)
        sums = np.where(served, np.sum(choice.weights, axis=1, where=pairs), 1.0)
        slope = np.where(pairs & served[:, None], resp / each - 1 / sums[:, None], 0.0)
        reward = value, unit
        in_scores, in_scale = self.router.slopes(choice, slope * unit[:, None], reward)
        losses, in_scores, in_scale, _ = self._balanced(
            choice, rows.weight, None, in_scores, in_scale, None
        )
        gradient = self._of_gates(params, rows.gate, in_scores, in_scale, None)
        held = self.gate.gradient(own["gate"], {"gradient": total * gradient["gate"]})
        gradient["gate"] = held["coef"] / total
        gradient["expert"] = self._of_experts(
            params, own, rows, weight[:, None] * resp, share, where
        )
        gradient["expert"] /= total
        mean = float(value @ weight / max(weight.sum(), 1e-300))
        gradient = {name: gradient[name] for name in params}
        return Step(mean, losses, gradient, choice, reward)

    @property
    def _is_cheap(self):
        """Whether densities of all pairs cost less than to pick out those kept: scores and sums."""
        return self.model.expert.kernel is not None

    def _of_experts(self, params, own, rows, resp, share, where):
        """Return the gradient in the experts' free numbers, their prior included, (m,)."""
        expert = self.model.expert
        stats = self.model.expert_statistics(own, rows.expert, rows.y, resp, 1, where)
        stats = stats if share == 1.0 else stats * share
        slope = expert.gradient(own["expert"], stats)
        free = self.coordinates.clip(params["expert"])
        return self.coordinates.slope_in_free(free, own["expert"], slope)
