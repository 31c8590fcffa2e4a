"""Deep mixtures: layers of gated experts under one output, trained by back-propagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._kernels import array
from ..experts import _network
from ..parts.coordinates import SMALLEST_SCALE, Coordinates
from ..parts.params import Params, leaves
from ..parts.records import Target
from ..parts.statistics import Statistics

FIRST_WEIGHTS = 0.1
"""Standard deviation, relative to that of hidden weights, of the last ones of gates and output."""


class Output(NamedTuple):
    """What y is to a deep mixture: what the targets of estimators ask of an expert.

    Attributes
    ----------
    target : Target
    """

    target: Target

    def check_target(self, y):
        """Accept every number, and labels of any kind."""


class _ByGradient(NamedTuple):
    """The objective as solvers ask about it: a log-likelihood that has no M-step."""

    likelihood: bool = False


class LayerPass(NamedTuple):
    """What one layer makes of rows.

    Attributes
    ----------
    experts : ndarray of shape (K, n, h), of the rectified experts
    hidden : list of arrays, the gate's layers
    gate : ndarray of shape (n, K), masked and normalised
    """

    experts: np.ndarray
    hidden: list
    gate: np.ndarray

    @property
    def output(self):
        """Σ_k g_k(x) f_k(x), (n, h)."""
        return np.einsum("nk,knh->nh", self.gate, self.experts)


@dataclass(frozen=True)
class DeepModel:
    """Layers z_l = Σ_k g_lk(z_{l-1}) f_lk(z_{l-1}), and an output W z_L + b, as solvers see it.

    An expert f is linear and rectified, a gate g linear, rectified, linear and a softmax. The
    output is a softmax's scores, or the mean of normal y.

    Parameters
    ----------
    n_experts, n_units, gate_units : tuple of int
        K, h and the gate's hidden units of every layer.
    task : {"classification", "regression"}
    alpha, variance_prior : float
    """

    n_experts: tuple[int, ...]
    n_units: tuple[int, ...]
    gate_units: tuple[int, ...]
    task: str
    alpha: float
    variance_prior: float

    objective = _ByGradient()
    models_x = False

    @property
    def expert(self):
        """What y is to it, an `Output`."""
        real = self.task == "regression"
        return Output(Target(task=self.task, standardise=real))

    @property
    def names(self):
        """The names of the layers among the params."""
        return [f"layer_{i}" for i in range(len(self.n_experts))]

    def lacks(self, what):
        """Return what stands against a solver's requirement: all but the gradient is absent."""
        return [] if what == "gradient" else ["a deep mixture"]

    def coordinates(self, params) -> Coordinates:
        """Return the map between params like these and free numbers."""
        bounds = (SMALLEST_SCALE**2, np.inf)
        kinds = {"output": {"variance": bounds}} if self.task == "regression" else {}
        return Coordinates(kinds, params)

    # -- the model ---------------------------------------------------------------------------

    def init(self, n_features, y, weight, n_outputs, random_state) -> Params:
        """Return random weights that keep the size of what passes, the output at y's mean.

        `y` (n, q) are numbers or one-hot codes; the draws depend on the sizes alone.
        """
        params: Params = {}
        width = n_features
        sizes = zip(self.names, self.n_experts, self.n_units, self.gate_units, strict=True)
        for name, K, h, hidden in sizes:
            first, last = np.sqrt(2 / width), FIRST_WEIGHTS / np.sqrt(hidden)
            params[name] = {
                "experts": _drawn(random_state, (K, h, width), first),
                "gate_hidden": _drawn(random_state, (1, hidden, width), first),
                "gate": _drawn(random_state, (1, K, hidden), last),
            }
            width = h
        weights = _drawn(random_state, (1, n_outputs, width), FIRST_WEIGHTS)
        mean = weight @ y / weight.sum()
        real = self.task == "regression"
        weights[0, :, 0] = mean if real else np.log(mean + 1e-3)
        params["output"] = {"weights": weights}
        if real:
            params["output"]["variance"] = np.ones((1, n_outputs))
        return params

    def layer(self, own, X, mask=None) -> LayerPass:
        """Return what a layer with params `own` makes of X (n, p); `mask` (K,) may shut experts."""
        experts = np.maximum(_network.forward([own["experts"]], X, "relu")[-1], 0.0)
        hidden = _network.forward([own["gate_hidden"], own["gate"]], X, "relu")
        gate = np.exp(array.log_softmax(hidden[-1][0]))
        if mask is not None and not mask.all():
            gate = gate * mask
            gate = gate / np.maximum(gate.sum(axis=1, keepdims=True), 1e-300)
        return LayerPass(experts, hidden, gate)

    def layers(self, params, X, masks=None):
        """Return what every layer makes of rows, a list of `LayerPass`."""
        passes = []
        for i, name in enumerate(self.names):
            passes.append(self.layer(params[name], X, None if masks is None else masks[i]))
            X = passes[-1].output
        return passes

    def output(self, params, X):
        """Return scores or means of rows, (n, C) or (n, q)."""
        return self._output(params, self.layers(params, X)[-1].output)

    def _output(self, params, z):
        weights = params["output"]["weights"][0]
        return z @ weights[:, 1:].T + weights[:, 0]

    def log_prob(self, params, output, y):
        """Return log p(y|x) of rows with such outputs, (n,), and its slope in the outputs."""
        if self.task == "classification":
            log_p, here = array.log_softmax(output), np.arange(len(y))
            slope = -np.exp(log_p)
            slope[here, y] += 1.0
            return log_p[here, y], slope
        variance = params["output"]["variance"][0]
        residual = y - output
        value = -0.5 * np.sum(residual**2 / variance + np.log(2 * np.pi * variance), axis=1)
        return value, residual / variance

    # -- the verbs of a solver ---------------------------------------------------------------

    takes_scaled = False
    """Whether `statistics` takes X as `Scaled`."""

    def statistics(self, params, X, y, weight, order=1, masks=None) -> Statistics:
        """Return the objective, its gradient without priors, and the gates' loads, sums over rows.

        `masks`, bool (K,) for each layer, shut experts for these rows.
        """
        X = np.asarray(X, dtype=np.float64)
        passes = self.layers(params, X, masks)
        z = passes[-1].output
        output = self._output(params, z)
        value, slope = self.log_prob(params, output, y)
        slope = weight[:, None] * slope
        found = {"output": self._output_slopes(params, z, output, y, slope, weight)}
        slope = slope @ params["output"]["weights"][0, :, 1:]
        for i in reversed(range(len(passes))):
            below = X if i == 0 else passes[i - 1].output
            name = self.names[i]
            found[name], slope = _layer_slopes(params[name], passes[i], below, slope, i > 0)
        loads = {name: weight @ own.gate for name, own in zip(self.names, passes, strict=True)}
        return Statistics(
            objective=float(weight @ value),
            gradient=Statistics({name: Statistics(own) for name, own in found.items()}),
            loads=Statistics(loads),
        )

    def _output_slopes(self, params, z, output, y, slope, weight):
        """Return ∂/∂params of the output layer, a dict; `slope` (n, q) is that in the outputs."""
        found = {"weights": (slope.T @ array.with_intercept(z))[None]}
        if self.task == "regression":
            variance = params["output"]["variance"]
            spread = weight @ (y - output) ** 2
            found["variance"] = 0.5 * (spread / variance - weight.sum()) / variance
        return found

    def gradient(self, params, stats) -> Params:
        """Return the gradient of the objective, priors included, nested like params."""
        found: Params = {
            name: {leaf: stats["gradient"][name][leaf].copy() for leaf in own}
            for name, own in params.items()
        }
        for name, own in params.items():
            for leaf in own.keys() - {"variance"}:
                found[name][leaf][..., 1:] -= self.alpha * own[leaf][..., 1:]
        if self.task == "regression":
            variance = params["output"]["variance"]
            found["output"]["variance"] += 0.5 * self.variance_prior * (1 / variance - 1) / variance
        return found

    def log_prior(self, params) -> float:
        """Return the log prior density up to a constant: the ridge, and that of the variances."""
        value = 0.0
        for own in params.values():
            for leaf in own.keys() - {"variance"}:
                value += self.alpha * float(np.sum(own[leaf][..., 1:] ** 2))
        if self.task == "regression":
            variance = params["output"]["variance"]
            value += self.variance_prior * float(np.sum(np.log(variance) + 1 / variance))
        return -0.5 * value

    def n_parameters(self, params) -> int:
        """Return the number of weights and variances; of C classes C - 1 count."""
        spare = params["output"]["weights"][0, 0].size if self.task == "classification" else 0
        for name in self.names:  # and of K experts K - 1 in a gate
            spare += params[name]["gate"][0, 0].size
        return sum(leaf.size for leaf in leaves(params)) - spare


def _drawn(rng, shape, scale):
    """Return random weights (K, out, 1 + in) with biases 0."""
    weights = scale * rng.normal(size=shape)
    return np.concatenate([np.zeros((*shape[:2], 1)), weights], axis=2)


def _layer_slopes(own, made, below, slope, with_input):
    """Return ∂/∂params of one layer, a dict, and the slope in its input (n, p), if asked for.

    With `slope` (n, h) that in its output z = Σ g_k f_k: ∂f_k = g_k ∂z where f_k > 0,
    ∂g_k = f_k·∂z, and through the softmax ∂s_k = g_k (∂g_k - Σ_j g_j ∂g_j).
    """
    gate, experts = made.gate, made.experts
    of_experts = gate.T[:, :, None] * slope * (experts > 0)
    of_gate = np.einsum("knh,nh->nk", experts, slope)
    of_scores = gate * (of_gate - np.sum(gate * of_gate, axis=1, keepdims=True))
    weights = [own["gate_hidden"], own["gate"]]
    (hidden, last), first = _network.backward_to_first(
        weights, made.hidden, of_scores[None], "relu"
    )
    (each,) = _network.backward([own["experts"]], [below[None], None], of_experts, "relu")
    found = {"experts": each, "gate_hidden": hidden, "gate": last}
    if not with_input:
        return found, None
    of_input = np.einsum("knh,khp->np", of_experts, own["experts"][:, :, 1:], optimize=True)
    return found, of_input + first[0] @ own["gate_hidden"][0, :, 1:]
