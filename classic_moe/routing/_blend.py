"""The blend: f(x) = f_shared(x) + Σ_{i kept} w_i(x) f_i(x), then one noise or one softmax.

Experts are networks, linear ones being networks without a hidden layer. In training only the pairs
of row and expert that are kept are computed, those of an expert side by side; in predictions every
row is computed by itself, so that its bits do not depend on the rows beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._kernels import array
from ..experts import _network
from ..parts.penalties import Ridge
from ..parts.tiles import Tiles
from ._routed import Routed, scores_of
from .base import BaseRouter, Choice, sigmoid

GATE_SIZE = 0.1
"""Standard deviation of the gate's random weights at the start, x being standardised."""


class BlendRows(NamedTuple):
    """Rows in internal units.

    Attributes
    ----------
    gate, expert : ndarray of shape (n, p)
        The columns that each sees.
    y : ndarray of shape (n, q), or of codes (n,); None in predictions
    weight : ndarray of shape (n,); None in predictions
    keys : ndarray of int of shape (n,), or None
    """

    gate: np.ndarray
    expert: np.ndarray
    y: np.ndarray | None = None
    weight: np.ndarray | None = None
    keys: np.ndarray | None = None

    def take(self, rows):
        """Return some of the rows."""
        return BlendRows(*(each if each is None else each[rows] for each in self))


class Step(NamedTuple):
    """What one batch says of the params.

    Attributes
    ----------
    value : float
        Σ weight · objective of the rows / Σ weight.
    losses : dict of str to float
    gradient : Params
        Of value - losses - penalties.
    choice : Choice
    reward : pair of ndarray of shape (n,), as of `BaseRouter.slopes`
    """

    value: float
    losses: dict
    gradient: dict
    choice: Choice
    reward: tuple


@dataclass(frozen=True)
class Blend(Routed):
    """A blend of experts as a model: hyper-parameters, and functions of `Params`.

    Attributes
    ----------
    router : BaseRouter
    n_experts, n_shared : int
    hidden : tuple of int, the hidden layers of an expert
    activation : str
    alpha : float, the ridge of the experts' slopes
    n_outputs : int, columns of y or classes
    classes : bool, whether y holds codes and f is the argument of a softmax
    balance : tuple of BalanceTerm, BiasBalancing
    capacity_factor : float or None
    overflow : {"drop", "next"}
    """

    router: BaseRouter
    n_experts: int
    hidden: tuple = ()
    activation: str = "tanh"
    alpha: float = 0.0
    n_outputs: int = 1
    classes: bool = False
    n_shared: int = 0
    balance: tuple = ()
    capacity_factor: float | None = None
    overflow: str = "drop"

    # -- params --------------------------------------------------------------------------------

    def init(self, n_gate, n_expert, y, weight, random_state):
        """Return params: a small random gate, random experts, shared ones at the mean of y."""
        widths = (n_expert, *self.hidden, self.n_outputs)
        K, S = self.n_experts, self.n_shared
        gate = GATE_SIZE * random_state.standard_normal((K, 1 + n_gate))
        params = {"gate": gate, "expert": self._bank(widths, K, random_state)}
        if self.router.learns_noise:
            params["noise"] = np.zeros((K, 1 + n_gate))
        if S:
            params["shared"] = self._bank(widths, S, random_state)
            params["shared"][f"weights_{len(self.hidden)}"] *= 0.0
        if self.mixes:
            params["mix"] = np.zeros(1 + n_gate)
        if self.classes:  # all outputs start at the frequencies of the classes
            share = np.bincount(y, weight, minlength=self.n_outputs) / weight.sum()
            bank = params["shared" if S else "expert"][f"weights_{len(self.hidden)}"]
            bank[:, :, 0] += np.log(share + 1e-3) / max(S, 1)
        return params

    def _bank(self, widths, n_networks, random_state):
        weights = _network.initial_weights(widths, n_networks, self.activation, random_state)
        return {f"weights_{i}": layer for i, layer in enumerate(weights)}

    # -- training --------------------------------------------------------------------------------

    def step(self, params, choice, rows, total, share=1.0) -> Step:
        """Return the objective of a batch of rows that were routed, and its gradient.

        `share` is the factor that makes sums over the batch those over all rows, of weight `total`.
        """
        pairs = Tiles.of(choice.kept)
        banks = self._banks(params)
        tiled = [layer[pairs.owner] for layer in banks["expert"]]
        layers = _network.forward(tiled, rows.expert[pairs.table], self.activation)
        each = layers[-1][pairs.tile, pairs.place]  # (number of pairs, q)
        weight = choice.weights[pairs.row, pairs.expert]
        routed = pairs.by_row(weight[:, None] * each, len(rows.gate))
        shared, common = 0.0, None
        if self.n_shared:
            common = _network.forward(banks["shared"], rows.expert, self.activation)
            shared = common[-1].sum(axis=0)
        mix = sigmoid(scores_of(params["mix"][None], rows.gate)[:, 0]) if self.mixes else None
        f = shared + routed if mix is None else _mixed(mix, shared, routed)
        value, error = self._objective(f, rows.y)
        unit = share * rows.weight / total
        error = error * unit[:, None]
        into_routed = error if mix is None else error * mix[:, None]
        slope = np.zeros_like(choice.weights)
        slope[pairs.row, pairs.expert] = np.sum(into_routed[pairs.row] * each, axis=1)
        back = pairs.spread(weight[:, None] * into_routed[pairs.row])
        slopes = self._backward(tiled, layers, back)
        gradient = {"expert": {name: pairs.by_expert(own) for name, own in slopes.items()}}
        if self.n_shared:
            into = error if mix is None else error * (1 - mix[:, None])
            into = np.broadcast_to(into, common[-1].shape)
            gradient["shared"] = self._backward(banks["shared"], common, into)
        reward = value, unit
        in_scores, in_scale = self.router.slopes(choice, slope, reward)
        in_mix = None
        if mix is not None:
            in_mix = np.sum(error * (routed - shared), axis=1) * mix * (1 - mix)
        losses, in_scores, in_scale, in_mix = self._balanced(
            choice, rows.weight, mix, in_scores, in_scale, in_mix
        )
        gradient |= self._of_gates(params, rows.gate, in_scores, in_scale, in_mix)
        gradient = {name: self._penalized(name, gradient[name], params, total) for name in params}
        return Step(
            float(value @ rows.weight / rows.weight.sum()), losses, gradient, choice, reward
        )

    def _penalized(self, name, gradient, params, total):
        """Return a gradient with the ridge of the experts' slopes taken off."""
        if name not in ("expert", "shared") or self.alpha == 0:
            return gradient
        ridge = Ridge(self.alpha / total)
        return {key: slope - ridge.slope(params[name][key]) for key, slope in gradient.items()}

    def _backward(self, bank, layers, error):
        found = _network.backward(bank, layers, error, self.activation)
        return {f"weights_{i}": layer for i, layer in enumerate(found)}

    def _banks(self, params):
        """Return the layers of the experts and of the shared ones, lists."""
        count = len(self.hidden) + 1
        names = [name for name in ("expert", "shared") if name in params]
        return {name: [params[name][f"weights_{i}"] for i in range(count)] for name in names}

    def _objective(self, f, y):
        """Return the objective of every row and its slope in f: -½ |y - f|², or log p(y)."""
        if not self.classes:
            error = y - f
            return -0.5 * np.sum(error**2, axis=1), error
        log_p, here = array.log_softmax(f), np.arange(len(y))
        slope = -np.exp(log_p)
        slope[here, y] += 1.0
        return log_p[here, y], slope

    # -- predictions -------------------------------------------------------------------------------

    def route(self, params, state, rows) -> Choice:
        """Return where rows go in predictions, with the weights of `outputs`."""
        scores, alone = by_row(params["gate"], rows.gate), self.n_shared > 0
        choice = self.router.route(scores, state, rows.keys, alone=alone)
        if not self.mixes:
            return choice
        return choice._replace(weights=choice.weights * self._mix(params, rows)[:, None])

    def _mix(self, params, rows):
        """Return G(x), the share of the routed experts beside the shared ones, (n,)."""
        return sigmoid(by_row(params["mix"][None], rows.gate)[:, 0])

    def outputs(self, params, state, rows):
        """Return f(x), (n, q), each row by itself."""
        choice, banks = self.route(params, state, rows), self._banks(params)
        with np.errstate(over="ignore", invalid="ignore"):  # rows far from all data
            routed = np.zeros((len(rows.gate), self.n_outputs))
            for i in range(self.n_experts):
                mine = np.flatnonzero(choice.kept[:, i])
                if len(mine):
                    own = [layer[i : i + 1] for layer in banks["expert"]]
                    routed[mine] += choice.weights[mine, i, None] * self._alone(own, rows, mine)
            if not self.n_shared:
                return routed
            everyone, shared = slice(None), np.zeros_like(routed)
            for i in range(self.n_shared):
                own = [layer[i : i + 1] for layer in banks["shared"]]
                shared += self._alone(own, rows, everyone)
            if self.mixes:  # (1 - G) shared + G routed, of which the weights have G
                shared *= 1 - self._mix(params, rows)[:, None]
            return shared + routed

    def _alone(self, network, rows, mine):
        """Return the outputs of one network for some rows, (m, q), a product for every row."""
        X = np.ascontiguousarray(rows.expert[mine])[:, None, :]
        return _network.forward(network, X, self.activation)[-1][:, 0]

    def expert_outputs(self, params, rows):
        """Return f_i(x) of every expert, (n, K, q), each row by itself."""
        bank, everyone = self._banks(params)["expert"], slice(None)
        with np.errstate(over="ignore", invalid="ignore"):  # rows far from all data
            own = [
                self._alone([layer[i : i + 1] for layer in bank], rows, everyone)
                for i in range(self.n_experts)
            ]
        return np.stack(own, axis=1)


def _mixed(mix, shared, routed):
    """Return (1 - G) shared + G routed."""
    return (1 - mix)[:, None] * shared + mix[:, None] * routed


def by_row(coef, X):
    """Return coef [1, x], (n, K), by a product for every row, whose bits are its own."""
    X = np.ascontiguousarray(X)[:, None, :]
    return (X @ coef[:, 1:].T)[:, 0] + coef[:, 0]
