"""Minibatch training of a blend: the router's hooks around the steps of a rule such as Adam's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..parts.params import ravel, unravel
from ._blend import Blend, BlendRows, by_row

STEEPEST = 1e150
"""Slopes are clipped here: their squares are numbers."""
UNUSED = 0.1
"""Share of an equal load below which an expert counts as not active."""


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes
    ----------
    rule : callable (slope, rate) -> step, with a memory of its own
    rate : float, the rate of the first step; it falls in proportion to the steps left
    batch_size : int
    max_iter : int, epochs
    rng : numpy RandomState
    callback : callable(iteration, params, objective) -> bool, or None
    """

    rule: Callable
    rate: float
    batch_size: int
    max_iter: int
    rng: np.random.RandomState
    callback: Callable | None = None


@dataclass(frozen=True)
class Trained:
    """A trained blend.

    Attributes
    ----------
    blend : Blend
    params : Params
    state : dict, the router's for predictions
    objectives : list of float, the mean objective a row of every epoch, losses taken off
    curves : dict of list, an entry an epoch: "load" (K,), "load_imbalance", "dropped_fraction",
        losses
    n_iter : int, epochs made
    failed : bool, whether training was stopped at numbers that are not finite
    """

    blend: Blend
    params: dict
    state: dict
    objectives: list
    curves: dict
    n_iter: int
    failed: bool = False

    def outputs(self, rows):
        """Return f(x), (n, q), each row by itself."""
        return self.blend.outputs(self.params, self.state, rows)

    def route(self, rows):
        """Return where rows go in predictions, a `Choice`."""
        return self.blend.route(self.params, self.state, rows)


def train(blend, rows: BlendRows, training: Training, params=None) -> Trained:
    """Train a blend on rows, from params or from random ones.

    Every epoch is a step for every minibatch, all rows once in random order; in one batch where
    they are no more than `batch_size`. The learning rate falls linearly to 0, so that the last
    params are the ones to return.
    """
    if params is None:
        sizes = rows.gate.shape[1], rows.expert.shape[1]
        params = blend.init(*sizes, rows.y, rows.weight, training.rng)
    if blend.router.rows_are_units:  # a row of weight 2 is two rows
        rows = rows.take(np.repeat(np.arange(len(rows.weight)), rows.weight.astype(np.intp)))
        rows = rows._replace(weight=np.ones(len(rows.weight)))
    run = _Run(blend, rows, training, params)
    while run.epoch < training.max_iter and run.train_epoch():
        continue
    state = blend.router.settle(run.state, by_row(run.params["gate"], rows.gate))
    state = state if blend.bias is None else blend.bias.settle(state)
    return Trained(
        blend, run.params, state, run.objectives, run.curves, max(run.epoch, 1), run.failed
    )


class _Run:
    """The state of one training."""

    def __init__(self, blend, rows, training, params):
        self.blend, self.rows, self.training = blend, rows, training
        self.n, self.total = len(rows.weight), float(rows.weight.sum())
        self.n_batches = max(1, -(-self.n // training.batch_size))
        self.n_steps = self.n_batches * training.max_iter
        self.params, self.vector = params, ravel(params)
        self.state = blend.state(self.n_steps)
        self.draws = np.random.default_rng(training.rng.randint(2**31 - 1, size=4))
        self.epoch, self.steps, self.failed = 0, 0, False
        self.objectives = []
        names = [type(term).__name__ for term in blend.losses]
        names = ("load", "load_imbalance", "dropped_fraction", *names)
        self.curves = {name: [] for name in names}

    def _batches(self):
        """Return the positions of the rows of every batch of an epoch, a list."""
        if self.n_batches == 1:
            return [np.arange(self.n)]
        return np.array_split(self.training.rng.permutation(self.n), self.n_batches)

    def train_epoch(self):
        """Take a step for every batch; return whether to go on."""
        before = self.vector.copy(), self.params, self.state
        tally = _Tally(self.blend.n_experts)
        for at in self._batches():
            tally.add(self._step(self.rows.take(at)), len(at))
        if not np.isfinite(self.vector).all() or not np.isfinite(tally.value):
            (self.vector, self.params, self.state), self.failed = before, True
            return False
        self.epoch += 1
        self.objectives.append(tally.objective)
        for name, value in tally.curves().items():
            self.curves[name].append(value)
        callback = self.training.callback
        if callback is None:
            return True
        answer = callback(self.epoch, self.params, self.objectives[-1] * self.total)
        return not (isinstance(answer, (bool, np.bool_)) and bool(answer))

    def _step(self, rows):
        """Take the step of one batch of rows; return what it said."""
        blend, training = self.blend, self.training
        with np.errstate(over="ignore", invalid="ignore"):  # a step too far ends the training
            choice = blend.choose(self.params, self.state, rows, self.draws)
            share = self.n / len(rows.weight)
            said = blend.step(self.params, choice, rows, self.total, share)
            slope = np.clip(ravel(said.gradient), -STEEPEST, STEEPEST)
            rate = training.rate * (1 - self.steps / self.n_steps)
            self.vector = self.vector + training.rule(slope, rate)
        self.params = unravel(self.vector, self.params)
        self.steps += 1
        self.state = blend.router.learn(self.state, said.reward)
        if blend.bias is not None:
            load = rows.weight @ choice.wanted
            spread = _spread(blend.router.values(choice.scores), rows.weight)
            self.state = blend.bias.update(self.state, load, spread)
        return said, rows.weight


def _spread(values, weight):
    """Return the standard deviation of what a bias is added to, (n, K), of all pairs; a float."""
    share = weight / weight.sum()
    mean = float(share @ values.mean(axis=1))
    return float(np.sqrt(share @ ((values - mean) ** 2).mean(axis=1)))


class _Tally:
    """What an epoch adds up to."""

    def __init__(self, n_experts):
        self.load, self.value, self.weight = np.zeros(n_experts), 0.0, 0.0
        self.wanted = self.kept = 0.0
        self.losses, self.rows = {}, 0

    def add(self, step, n):
        """Take the step of a batch in."""
        said, weight = step
        total, kept = float(weight.sum()), weight @ said.choice.kept
        self.value += total * said.value
        self.weight += total
        self.load += kept
        self.wanted += float((weight @ said.choice.wanted).sum())
        self.kept += float(kept.sum())
        self.rows += n
        for name, loss in said.losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + n * loss

    @property
    def objective(self):
        """The mean objective a unit of weight, losses taken off."""
        return self.value / self.weight - sum(self.losses.values()) / self.rows

    def curves(self):
        """Return the entries of the epoch in the curves, a dict of float, and of shares (K,)."""
        found = {name: loss / self.rows for name, loss in self.losses.items()}
        found["load"] = self.load / max(self.kept, 1e-300)
        found["load_imbalance"] = imbalance(self.load)
        found["dropped_fraction"] = max(0.0, 1 - self.kept / max(self.wanted, 1e-300))
        return found


def imbalance(load):
    """Return max/mean - 1 of loads (K,), 0 where there are none."""
    mean = load.mean()
    return float(load.max() / mean - 1) if mean > 0 else 0.0


def n_active(usage):
    """Return how many experts have at least a tenth of an equal share of the pairs."""
    return int(np.sum(usage >= UNUSED / len(usage)))
