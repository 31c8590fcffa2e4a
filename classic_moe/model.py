"""`MixtureModel`: gate and experts as one model, p(y|x) = Σ_k g_k(x) p_k(y|x)."""

from __future__ import annotations

import numpy as np

from ._kernels import array, fused
from .objectives import MixtureLikelihood
from .params import Params
from .statistics import Statistics
from .units import Scaling, Units


class MixtureModel:
    """The five verbs one level up; solvers see nothing else.

    Parameters
    ----------
    gate, expert : BaseGate, BaseExpert
    gate_columns, expert_columns : integer arrays or None
        The columns of X that each part sees; None means all.
    objective : callable, default=MixtureLikelihood()
    compiled : bool or "auto", default="auto"
        Whether a fused kernel replaces the generic pass where there is one; "auto": on data large
        enough to repay loading and compiling it.
    """

    def __init__(
        self, gate, expert, gate_columns=None, expert_columns=None, objective=None, compiled="auto"
    ):
        self.gate = gate
        self.expert = expert
        self.gate_columns = gate_columns if gate.uses_x else np.empty(0, dtype=int)
        self.expert_columns = expert_columns if expert.uses_x else np.empty(0, dtype=int)
        self.objective = objective or MixtureLikelihood()
        self.compiled = compiled

    def gate_input(self, X):
        """The columns of X that the gate sees."""
        return X if self.gate_columns is None else X[:, self.gate_columns]

    def expert_input(self, X):
        """The columns of X that the experts see."""
        return X if self.expert_columns is None else X[:, self.expert_columns]

    def units(self, part, x_scaling, y_scaling):
        """The units in which a part ("gate" or "expert") sees X and y."""
        scales_y = part == "expert" and self.expert.scales_y
        columns = getattr(self, part + "_columns")
        return Units(x_scaling.select(columns), y_scaling if scales_y else Scaling.identity(1))

    def init(self, X, y, resp, random_state, n_classes=None) -> Params:
        """Starting values of both parts from soft assignments, sample weights multiplied in."""
        gate = self.gate.init(self.gate_input(X), resp, random_state)
        expert = self.expert.init(self.expert_input(X), y, resp, random_state, n_classes)
        return {"gate": gate, "expert": expert}

    def log_gate(self, params, X):
        """log g_k(x), (n, K)."""
        return self.gate.log_prob(params["gate"], self.gate_input(X))

    def log_density(self, params, X, y):
        """log p_k(y|x), (n, K)."""
        return self.expert.log_prob(params["expert"], self.expert_input(X), y)

    def expert_mean(self, params, X):
        """E_k[y|x], (n, K, q), or class probabilities (n, K, C)."""
        return self.expert.mean(params["expert"], self.expert_input(X))

    def log_prob(self, params, X, y):
        """log p(y|x), (n,)."""
        return array.logsumexp(self.log_gate(params, X) + self.log_density(params, X, y))

    def responsibilities(self, params, X, y):
        """P(expert k | x, y), (n, K)."""
        return self.objective(self.log_gate(params, X), self.log_density(params, X, y))[1]

    def statistics(self, params, X, y, weight, order=2) -> Statistics:
        """One pass over rows: the objective and all that the next step needs; the E-step."""
        kernel = fused.lookup(self, X, y)
        if kernel is not None:
            return kernel(self, params, X, y, weight, order)
        value, resp = self.objective(self.log_gate(params, X), self.log_density(params, X, y))
        resp = resp * weight[:, None]
        return Statistics(
            objective=float(weight @ value),
            resp=resp.sum(axis=0),
            gate=self.gate.statistics(params["gate"], self.gate_input(X), resp, order),
            expert=self.expert.statistics(params["expert"], self.expert_input(X), y, resp, order),
        )

    def maximize(self, params, stats, cautious=False) -> Params:
        """The M-step of both parts."""
        return {
            "gate": self.gate.maximize(params["gate"], stats["gate"], cautious),
            "expert": self.expert.maximize(params["expert"], stats["expert"], cautious),
        }

    def gradient(self, params, stats) -> Params:
        """Gradient of the objective, priors included (Fisher's identity)."""
        return {
            "gate": self.gate.gradient(params["gate"], stats["gate"]),
            "expert": self.expert.gradient(params["expert"], stats["expert"]),
        }

    def log_prior(self, params) -> float:
        """The log prior of both parts."""
        return self.gate.log_prior(params["gate"]) + self.expert.log_prior(params["expert"])

    def n_parameters(self, params) -> int:
        """Number of free parameters."""
        return self.gate.n_parameters(params["gate"]) + self.expert.n_parameters(params["expert"])

    def diagnose(self, params, stats) -> list:
        """Findings of both parts."""
        return [
            *self.expert.diagnose(params["expert"], stats["expert"]),
            *self.gate.diagnose(params["gate"], stats["gate"]),
        ]
