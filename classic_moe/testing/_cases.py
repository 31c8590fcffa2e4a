"""Random cases for the conformance suite in `testing`: a part with data and parameters."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp, softmax

from ..data.units import Scaling, Units
from ..parts.coordinates import Coordinates
from ..parts.params import leaves, ravel
from ..parts.part import offers

ROWS = 60
STEP = 1e-5
"""Of central differences; their error is about its square."""


class Support(NamedTuple):
    """A kind of target: how to draw it around a signal, and how to integrate over it."""

    draw: Callable | None
    around: Callable | None = None  # (centre, u) -> y(u) and dy/du, for u over the real line
    codes: np.ndarray | None = None  # instead: all values of a discrete target, or all its rows

    def grid(self, centre, ends=None):
        """Points (m, q) and weights (m,) that integrate, or sum, over y; densest at `centre`.

        `ends`, if given, are where the density ends in each output, (q,) both.
        """
        if np.ndim(self.codes) == 2:
            return self.codes, np.ones(len(self.codes))
        if self.codes is not None:
            axes = [(self.codes, np.ones(len(self.codes)))] * len(centre)
        elif ends is not None:
            share = (U - U_LEAST) / (U_MOST - U_LEAST)
            axes = [
                (low + (high - low) * share, (high - low) * DU / (U_MOST - U_LEAST))
                for low, high in zip(*ends, strict=True)
            ]
        else:
            axes = [(y, dy * DU) for y, dy in (self.around(c, U) for c in centre)]
        y, weight = (np.stack(np.meshgrid(*each), axis=-1) for each in zip(*axes, strict=True))
        return y.reshape(-1, len(centre)), weight.prod(axis=-1).ravel()


def _gauss(low, high):
    """Nodes and weights on [low, high], an interval at a time: a kink may be at 0."""
    node, weight = np.polynomial.legendre.leggauss(8)
    edges = np.arange(low, high)
    return (edges[:, None] + 0.5 * (node + 1)).ravel(), np.tile(0.5 * weight, len(edges))


U_LEAST, U_MOST = -16, 16
U, DU = _gauss(U_LEAST, U_MOST)

SUPPORTS = {
    "real numbers": Support(
        draw=lambda noisy, rng: noisy,
        around=lambda centre, u: (centre + np.sinh(u), np.cosh(u)),
    ),
    "positive numbers": Support(
        draw=lambda noisy, rng: np.exp(0.5 * noisy),
        around=lambda centre, u: (centre * np.exp(u), centre * np.exp(u)),
    ),
    "counts": Support(
        draw=lambda noisy, rng: 1.0 * rng.poisson(np.exp(0.5 * noisy)),
        codes=np.arange(300.0),
    ),
    "zeros and ones": Support(
        draw=lambda noisy, rng: 1.0 * (noisy > 0),
        codes=np.arange(2.0),
    ),
}
TRIALS = 4
SHARES = {
    "successes and failures": Support(
        draw=lambda noisy, rng: _successes(rng.integers(0, 7, len(noisy)), noisy[:, 0], rng),
        codes=np.column_stack([np.arange(TRIALS + 1.0), TRIALS - np.arange(TRIALS + 1.0)]),
    ),
}


def _successes(trials, logit, rng):
    successes = rng.binomial(trials, expit(logit))
    return 1.0 * np.column_stack([successes, trials - successes])


def expert_cases(expert, rng):
    """Of both tasks, if the expert serves both."""
    p = 2 if expert.inputs.uses_x else 0
    tasks = ("regression", _regression_case, 1), ("classification", _classifier_case, 2)
    for task, build, least in tasks:
        sizes = [(p, least), (0, least), (p, least + 1)][: 2 if expert.target.trials else 3]
        counts = (1, 3) if expert.n_experts is None else (expert.n_experts,)
        for K, (columns, width) in itertools.product(counts, sizes):
            if expert.target.task not in (task, "both"):
                continue
            try:
                yield build(expert, K, columns, width, rng)
            except ValueError as error:
                if width == least:
                    raise AssertionError(f"{expert!r} takes no target at all: {error}") from error


def _regression_case(expert, K, p, q, rng):
    """With the first kind of target that the expert accepts."""
    X = rng.standard_normal((ROWS, p))
    noisy = X @ rng.uniform(-1, 1, (p, q)) + 0.5 * rng.standard_normal((ROWS, q))
    refusals = []
    for kind, support in (SHARES if expert.target.trials else SUPPORTS).items():
        y = support.draw(noisy, rng)
        try:
            expert.check_target(y if y.shape[1] > 1 else y[:, 0])
            return Case(expert, (X, y), rng, {"K": K, "p": p, "q": q}, (None,), support)
        except ValueError as error:
            refusals.append(f"{kind}: {error}")
    raise ValueError("; ".join(refusals))


def _classifier_case(expert, K, p, C, rng):
    X = rng.standard_normal((ROWS, p))
    y = (X @ rng.uniform(-2, 2, (p, C)) + rng.gumbel(size=(ROWS, C))).argmax(axis=1)
    expert.check_target(y)
    support = Support(None, codes=np.arange(C))
    return Case(expert, (X, y), rng, {"K": K, "p": p, "C": C}, (np.arange(C),), support)


def gate_cases(gate, rng):
    widths = (2, 0) if gate.inputs.uses_x else (0,)
    for K in (1, 3) if gate.n_experts is None else (gate.n_experts,):
        for p in widths:
            try:
                yield _gate_case(gate, K, p, rng)
            except ValueError as error:
                if p == widths[0]:
                    raise AssertionError(f"{gate!r} takes no columns at all: {error}") from error


def _gate_case(gate, K, p, rng):
    """With columns of the first kinds that the gate's `init` accepts."""
    noise, refusals = rng.standard_normal((ROWS, p)), []
    for kinds in itertools.product(SUPPORTS, repeat=p):
        X = np.empty((ROWS, p))
        for j, kind in enumerate(kinds):
            X[:, j] = SUPPORTS[kind].draw(noise[:, j], rng)
        try:
            return Case(gate, (X,), rng, {"K": K, "p": p}, kinds=kinds)
        except ValueError as error:
            refusals.append(f"{', '.join(kinds)}: {error}")
    raise ValueError("; ".join(refusals))


class Case:
    """A part, read-only random data, and parameters that are not at the optimum for `resp`.

    `data` is (X,) for a gate and (X, y) for an expert, whose `init` also takes `classes`: its
    number in a tuple. `size` holds K, p and q or C; `kinds` says what a gate's columns hold.
    """

    def __init__(self, part, data, rng, size, classes=(), support=None, kinds=()):
        self.part, self.data, self.rng, self.kinds = part, data, rng, kinds
        self.classes, self.support, self.is_gate = classes, support, support is None
        self.K, self.q, self.C = size["K"], size.get("q"), size.get("C")
        self.name = f"{part!r} with " + ", ".join(f"{k}={v}" for k, v in size.items())
        start, self.resp = (
            softmax(2 * rng.standard_normal((ROWS, self.K)), axis=1)
            * rng.uniform(0.5, 2, (ROWS, 1))
            for _ in range(2)
        )
        self.params = self.init(*copy.deepcopy((data, start)))
        self.kept = None
        if self.is_gate and part.n_kept is not None:  # rows go to nobody but the kept experts
            self.kept = self.log_prob() > -np.inf
            self.resp *= self.kept
        for array in (*data, self.resp, *leaves(self.params)):
            array.flags.writeable = False

    def init(self, data, resp):
        return self.part.init(*data, resp, np.random.RandomState(0), *self.classes)

    def log_prob(self, params=None):
        return self.part.log_prob(self.params if params is None else params, *self.data)

    def statistics(self, params=None, resp=None, rows=slice(None), order=2):
        """Of the rows named; `resp`, if given, is theirs."""
        params = self.params if params is None else params
        resp = self.resp[rows] if resp is None else resp
        return self.part.statistics(params, *(a[rows] for a in self.data), resp, order)

    def objective(self, params):
        """Σ resp·log p + log_prior; a gate's probabilities are normalised first.

        With `log_joint` a gate's p is that of the expert and x together. Of a gate with `n_kept`
        the kept set is held as it is at the parameters of the case.
        """
        if self.kept is not None:
            return self._held_objective(params)
        if offers(self.part, "log_joint"):
            log_prob = self.part.log_joint(params, *self.data)
        else:
            log_prob = self.log_prob(params)
            if self.is_gate:  # lets the parameters of a gate move in any direction
                log_prob = log_prob - logsumexp(log_prob, axis=1, keepdims=True)
        return float(np.sum(self.resp * log_prob) + self.part.log_prior(params))

    def _held_objective(self, params):
        gate = self.part.dense()
        models_x = offers(gate, "log_joint")
        joint = (gate.log_joint if models_x else gate.log_prob)(params, *self.data)
        mass = logsumexp(np.where(self.kept, joint, -np.inf), axis=1, keepdims=True)
        log_prob = joint - mass + (logsumexp(joint, axis=1, keepdims=True) if models_x else 0.0)
        return float(np.sum(self.resp * log_prob) + self.part.log_prior(params))

    def slopes(self, value=None):
        """Central differences of the objective, and the directions they were taken along.

        Or those of another function of the parameters.
        """
        value, (ups, downs) = value or self.objective, self.moved()
        differences = [value(up) - value(down) for up, down in zip(ups, downs, strict=True)]
        return np.array(differences) / (2 * STEP), self.directions()

    def moved(self):
        """The parameters a step up, and a step down, every way they may change."""
        coordinates = Coordinates(self.part.coordinates(self.params), self.params)
        vector = coordinates.free(self.params)
        steps = STEP * self.ways(coordinates)
        return ([coordinates.params(vector + sign * way) for way in steps] for sign in (1, -1))

    def ways(self, coordinates):
        """The ways in which the free coordinates may change, (ways, free numbers).

        By the part's predictors, which know what is tied; without them every number by itself.
        """
        n_free = len(coordinates.bounds[0])
        if not offers(self.part, "predictors"):
            return np.eye(n_free)
        ways = []
        for predictor in self.part.predictors(self.params):
            leaf = coordinates.index(predictor.leaf)
            for own in [leaf] if predictor.shared else leaf:
                entries = [np.atleast_1d(own[entry]) for entry in predictor.entries]
                for together in np.stack(entries, axis=1):
                    ways.append(np.isin(np.arange(n_free), together) + 0.0)
        return np.reshape(ways, (len(ways), n_free))

    def directions(self):
        """The changes of all numbers of the parameters along every way, (ways, numbers)."""
        changes = [
            (ravel(up) - ravel(down)) / (2 * STEP) for up, down in zip(*self.moved(), strict=True)
        ]
        return np.reshape(changes, (len(changes), len(ravel(self.params))))

    def ends(self, k, X, centre):
        """Where the density of expert k at X (1, p) ends on both sides of `centre` (q,).

        None for one that does not, as on supports that end of themselves. Found by bisection.
        """
        if self.support is not SUPPORTS["real numbers"]:
            return None
        X = np.repeat(X, self.q, axis=0)

        def inside(distance):
            y = centre + np.diag(distance)
            return np.isfinite(self.part.log_prob(self.params, X, y)[:, k])

        found = []
        for sign in (-1, 1):
            low, high = np.zeros(self.q), np.full(self.q, np.sinh(U_MOST))
            if inside(sign * high).any():
                return None
            for _ in range(80):
                middle = (low + high) / 2
                reached = inside(sign * middle)
                low, high = np.where(reached, middle, low), np.where(reached, high, middle)
            found.append(centre + sign * low)
        return found

    def units(self):
        """Units in which the caller's numbers are not the internal ones."""

        def scaling(m):
            center, factor = self.rng.standard_normal(m), self.rng.uniform(0.5, 2.0, m)
            return Scaling(self.rng.integers(-4, 5, m), center, factor)

        scales_y = not self.is_gate and self.part.target.standardise and not self.C
        y = scaling(self.q) if scales_y else Scaling.identity(self.q or 1)
        p = self.data[0].shape[1]
        x, raw = scaling(p), self.part.inputs.raw_columns(p)
        x.exponent[raw], x.center[raw], x.factor[raw] = 0, 0.0, 1.0
        return Units(x, y)

    def require(self, condition, broken):
        if not condition:
            raise AssertionError(f"{self.name}: {broken}")

    def require_close(self, got, expected, tolerance, broken):
        """Equal up to `tolerance`, relative to the largest number expected and at least 1."""
        got, expected = np.asarray(got), np.asarray(expected)
        shapes = f"{broken} (shape {got.shape}, expected {expected.shape})"
        self.require(got.shape == expected.shape, shapes)
        with np.errstate(invalid="ignore"):  # two infinities are equal
            gap = np.abs(np.where(got == expected, 0.0, got - expected)).max(initial=0.0)
        gap /= np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        self.require(gap <= tolerance, f"{broken} (off by {gap:.2g}, allowed {tolerance:.0g})")
