"""A gate for every output, where each is blended by itself."""

from __future__ import annotations

import numpy as np
from sklearn.utils.metaestimators import available_if

from ..parts.part import offers
from ..parts.statistics import Statistics
from ..parts.views import GateView, take
from .base import BaseGate


class PerOutputGate(BaseGate):
    """One gate for each of the q outputs, or classes, each with parameters of its own.

    `log_prob` is (n, K, q): how much of output j is made by expert k; so are `resp` and what else
    comes from it. Only an objective that blends the experts' means can make use of that.

    Parameters
    ----------
    gate : BaseGate
    """

    per_output = True

    def __init__(self, gate):
        self.gate = gate

    def words(self):
        return self.gate.words()

    def with_numbers(self, numbers):
        return PerOutputGate(self.gate.with_numbers(numbers))

    def check_parameters(self):
        self.gate.check_parameters()

    def check_input(self, X):
        self.gate.check_input(X)

    @property
    def learning(self):
        """Return how the gates learn."""
        return self.gate.learning

    @property
    def inputs(self):
        """Return which columns the gates are handed."""
        return self.gate.inputs

    @property
    def n_experts(self):
        """Return the number of experts, where the gates fix it."""
        return self.gate.n_experts

    def init(self, X, resp, random_state):
        outputs = range(resp.shape[2])
        return {str(j): self.gate.init(X, resp[:, :, j], random_state) for j in outputs}

    def log_prob(self, params, X):
        return np.stack([self.gate.log_prob(own, X) for own in params.values()], axis=2)

    def log_route(self, params, X):
        return np.stack([self.gate.log_route(own, X) for own in params.values()], axis=2)

    def statistics(self, params, X, resp, order=2):
        return Statistics(
            (name, self.gate.statistics(own, X, resp[:, :, j], order))
            for j, (name, own) in enumerate(params.items())
        )

    def maximize(self, params, stats, cautious=False):
        return {n: self.gate.maximize(own, stats[n], cautious) for n, own in params.items()}

    @available_if(lambda self: offers(self.gate, "gradient"))
    def gradient(self, params, stats):
        """Return ∂Q/∂params of every gate, priors included."""
        return {name: self.gate.gradient(own, stats[name]) for name, own in params.items()}

    def carry(self, params, stats, factor):
        carried = {n: self.gate.carry(own, stats[n], factor) for n, own in params.items()}
        return Statistics(carried)

    def tree_shape(self, n_experts):
        return self.gate.tree_shape(n_experts)

    def log_prior(self, params):
        return sum(map(self.gate.log_prior, params.values()))

    def coordinates(self, params):
        return {name: self.gate.coordinates(own) for name, own in params.items()}

    def n_parameters(self, params):
        return sum(map(self.gate.n_parameters, params.values()))

    def take(self, params, ids):
        return {name: self.gate.take(own, ids) for name, own in params.items()}

    def to_caller(self, params, units):
        return {name: self.gate.to_caller(own, units) for name, own in params.items()}

    def from_caller(self, values, units, n_experts):
        names = [str(j) for j in range(len(values))]
        values = take(values, names, "gate")
        return {name: self.gate.from_caller(values[name], units, n_experts) for name in names}

    def view(self, params, units, **features):
        views = [self.gate.view(own, units, **features) for own in params.values()]
        return PerOutputGateView(**features, outputs_=views)


class PerOutputGateView(GateView):
    """The gates: `outputs_`, a list with the view of the gate of every output or class."""

    kind = "per output"

    def __repr__(self):
        return f"{type(self).__name__}({len(self.outputs_)} outputs)"
