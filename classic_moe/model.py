"""`MixtureModel`: gate and experts as one model, p(y|x) = Σ_k g_k(x) p_k(y|x)."""

from __future__ import annotations

import copy

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
    offset_column : int or None
        The column of X that is added to the experts' linear predictors.
    objective : callable, default=MixtureLikelihood()
    compiled : bool or "auto", default="auto"
        Whether a fused kernel replaces the generic pass where there is one; "auto": on data large
        enough to repay loading and compiling it.
    """

    def __init__(
        self,
        gate,
        expert,
        gate_columns=None,
        expert_columns=None,
        offset_column=None,
        objective=None,
        compiled="auto",
    ):
        self.gate = gate
        self.expert = expert
        self.gate_columns = gate_columns if gate.uses_x else np.empty(0, dtype=int)
        self.expert_columns = expert_columns if expert.uses_x else np.empty(0, dtype=int)
        self.offset_column = offset_column
        self.objective = objective or MixtureLikelihood()
        self.compiled = compiled

    @property
    def models_x(self):
        """Whether the gate is a model of x too, so that the objective is log p(x, y)."""
        return hasattr(self.gate, "log_joint")

    @property
    def extrapolates(self):
        """Whether an accelerated solver may extrapolate the parameters."""
        return self.gate.extrapolates and self.expert.extrapolates

    def with_objective(self, objective):
        """The same model under another objective."""
        other = copy.copy(self)
        other.objective = objective
        return other

    def gate_input(self, X):
        """The columns of X that the gate sees."""
        return X if self.gate_columns is None else X[:, self.gate_columns]

    def expert_input(self, X):
        """The columns of X that the experts see."""
        return X if self.expert_columns is None else X[:, self.expert_columns]

    def offset(self, X):
        """The keyword for the experts' verbs that carries the offset, if there is one."""
        if self.offset_column is None:
            return {}
        return {"offset": X[:, self.offset_column].astype(np.float64)}

    def units(self, part, x_scaling, y_scaling):
        """The units in which a part ("gate" or "expert") sees X and y."""
        scales_y = part == "expert" and self.expert.scales_y
        columns = getattr(self, part + "_columns")
        return Units(x_scaling.select(columns), y_scaling if scales_y else Scaling.identity(1))

    def init(self, X, y, resp, random_state, n_classes=None, groups=None) -> Params:
        """Starting values of both parts from soft assignments, sample weights multiplied in."""
        own, offset = self.expert_input(X), self.offset(X)
        expert = self.expert.init(own, y, resp, random_state, n_classes, **offset)
        if groups is not None:
            first = group_rows(groups)[0]
            X, resp = X[first], resp[first] / resp[first].sum(axis=1, keepdims=True)
        return {"gate": self.gate.init(self.gate_input(X), resp, random_state), "expert": expert}

    def log_gate(self, params, X):
        """log g_k(x), (n, K)."""
        return self.gate.log_prob(params["gate"], self.gate_input(X))

    def log_density(self, params, X, y):
        """log p_k(y|x), (n, K)."""
        return self.expert.log_prob(params["expert"], self.expert_input(X), y, **self.offset(X))

    def expert_mean(self, params, X):
        """E_k[y|x], (n, K, q), or class probabilities (n, K, C)."""
        return self.expert.mean(params["expert"], self.expert_input(X), **self.offset(X))

    def components(self, params, X, x_scaling, y_scaling, single_output):
        """The experts' predictive distributions in the caller's units."""
        units = self.units("expert", x_scaling, y_scaling)
        own = self.expert_input(X)
        return self.expert.components(params["expert"], own, units, single_output, **self.offset(X))

    def log_prob(self, params, X, y, hard=False):
        """log p(y|x), (n,); `hard`: by the most probable expert of the gate alone."""
        log_gate = self.log_gate(params, X)
        return array.logsumexp(
            (array.log_harden(log_gate) if hard else log_gate) + self.log_density(params, X, y)
        )

    def responsibilities(self, params, X, y):
        """P(expert k | x, y), (n, K)."""
        return array.mixture_posterior(self.log_gate(params, X), self.log_density(params, X, y))[1]

    def grouped(self, params, X, y, weight, groups, hard=False):
        """log p(y_G|x_G) of every group and its responsibilities, (m,) and (m, K).

        One expert makes all rows of a group: log Σ_k g_k(x_G) Π_i p_k(y_i|x_i). `groups` (n,) holds
        codes; the rows of a group stand together.
        """
        first, _ = group_rows(groups)
        log_gate = self.log_gate(params, X[first])
        log_gate = array.log_harden(log_gate) if hard else log_gate
        log_density = weight[:, None] * self.log_density(params, X, y)
        return array.mixture_posterior(log_gate, np.add.reduceat(log_density, first, axis=0))

    def statistics(
        self, params, X, y, weight, order=2, labels=None, groups=None, draws=None
    ) -> Statistics:
        """One pass over rows: the objective and all that the next step needs; the E-step.

        Parameters
        ----------
        X, y, weight : rows in internal units
        order : 1 or 2, what the experts' and the gate's statistics are for
        labels : ndarray of int of shape (n,), default=None
            Known experts, -1 where unknown: the row then counts with log g_k p_k of that expert.
        groups : ndarray of int of shape (n,), default=None
            Codes of rows that share one expert and stand together; constant in the gate's columns.
        draws : ndarray of shape (n,), default=None
            Uniform numbers with which to draw one expert a row instead of its responsibilities.
        """
        if labels is None and groups is None and draws is None and not self.models_x:
            kernel = fused.lookup(self, X, y)
            if kernel is not None:
                return kernel(self, params, X, y, weight, order)
        log_density = self.log_density(params, X, y)
        heads, head_weight = X, weight  # what the gate sees: a row each, or a row for every group
        if groups is not None:
            first, member = group_rows(groups)
            heads, head_weight = X[first], np.ones(len(first))
            log_density = np.add.reduceat(weight[:, None] * log_density, first, axis=0)
            labels = None if labels is None else labels[first]
            draws = None if draws is None else draws[first]
        gate_X = self.gate_input(heads)
        # A gate that models x brings log p(x) with it: log a_k p_k(x) in place of log g_k(x).
        log_gate = getattr(self.gate, "log_joint", self.gate.log_prob)(params["gate"], gate_X)
        if labels is not None:
            log_gate = array.log_known(log_gate, labels)
        value, resp = self.objective(log_gate, log_density)
        if draws is not None:
            resp = array.draw(resp, draws)
        head_resp = resp * head_weight[:, None]
        row_resp = head_resp if groups is None else weight[:, None] * resp[member]
        return Statistics(
            objective=float(head_weight @ value),
            resp=head_resp.sum(axis=0),
            gate=self.gate.statistics(params["gate"], gate_X, head_resp, order),
            expert=self.expert.statistics(
                params["expert"], self.expert_input(X), y, row_resp, order, **self.offset(X)
            ),
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


def group_rows(groups):
    """The first row of every group (m,), and the number of the group of every row (n,)."""
    starts = np.diff(groups, prepend=groups[0] - 1) != 0
    return np.flatnonzero(starts), np.cumsum(starts) - 1
