"""The conformance suite: what every expert and every gate promises, with a check for each promise.

A part that passes fits into everything else: EM and gradient solvers, chunks and threads, the
estimators and their units. A promise about an optional method is checked where the part has it:
`gradient`, `variance` and `components`; and a part that names a `kernel` is compared with it.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.special import expit, logsumexp, softmax
from sklearn.base import clone

from .distribution import MixtureDistribution
from .experts import BaseExpert, LinearExpert
from .gates import BaseGate, SoftmaxGate
from .model import MixtureModel
from .params import Params, all_finite, leaves, map_leaves, permute, ravel, unravel
from .units import Scaling, Units

__all__ = ["check_expert", "check_gate"]

N_ROWS, N_DRAWS = 60, 2000
ROUNDING = 1e-10
"""Relative error of two orders of the same sums."""


def check_expert(expert, *, random_state=0):
    """Check that an expert keeps the promises of `BaseExpert`.

    With K = 1 and 3 experts, on a few random rows, with two columns and with none: densities
    integrate or sum to one and have the mean and variance stated; samples, views and the caller's
    units agree with them; statistics add over rows and count responsibilities; `maximize` never
    descends; `gradient` is the derivative; experts are exchangeable; a compiled pass equals the
    generic one; and nothing that is passed in, the expert included, is changed. Regression experts
    are tried with one and two outputs, of the first kind of y that `check_target` accepts: real
    numbers, positive numbers, proportions, counts, zeros and ones; classifiers with two and three
    classes. Two outputs or three classes are left out if refused with a ValueError.

    Parameters
    ----------
    expert : BaseExpert
        An instance, with any hyper-parameters.
    random_state : int, default=0
        Seed of the data.

    Raises
    ------
    AssertionError
        Naming the promise that is broken, the case and the figure seen.

    Examples
    --------
    >>> from classic_moe.experts import LinearExpert
    >>> from classic_moe.testing import check_expert
    >>> check_expert(LinearExpert(alpha=0.1))

    >>> class Careless(LinearExpert):
    ...     def log_prob(self, params, X, y):
    ...         return super().log_prob(params, X, y) + 0.1
    >>> check_expert(Careless())
    Traceback (most recent call last):
        ...
    AssertionError: Careless() with K=1, p=2, q=1: the density of expert 0 does not integrate ...
    """
    _run(expert, BaseExpert, _expert_cases, EXPERT_CHECKS, random_state)


def check_gate(gate, *, random_state=0):
    """Check that a gate keeps the promises of `BaseGate`.

    With K = 1 and 3 experts, on a few random rows, with two columns and with none: probabilities
    sum to one; statistics add over rows and count responsibilities; `maximize` never descends;
    `gradient` is the derivative, along changes that keep the probabilities normalised; reordering
    the experts reorders the output; the caller's units lose nothing; a compiled pass equals the
    generic one; and nothing that is passed in, the gate included, is changed.

    Parameters
    ----------
    gate : BaseGate
        An instance, with any hyper-parameters.
    random_state : int, default=0
        Seed of the data.

    Raises
    ------
    AssertionError
        Naming the promise that is broken, the case and the figure seen.

    Examples
    --------
    >>> from classic_moe.gates import SoftmaxGate
    >>> from classic_moe.testing import check_gate
    >>> check_gate(SoftmaxGate(alpha=0.1))
    """
    _run(gate, BaseGate, _gate_cases, GATE_CHECKS, random_state)


def _run(part, base, cases, checks, random_state):
    if not isinstance(part, base):
        raise AssertionError(f"{part!r} is not an instance of a class derived from {base.__name__}")
    before = _attributes(part)
    for case in cases(part, random_state):
        for check in checks:
            try:
                check(case)
            except AssertionError:
                raise
            except Exception as error:
                error.add_note(f"seen by {check.__name__} for {case.name}")
                raise
            case.require(_attributes(part) == before, "fitting changes attributes of the object")


def _attributes(part):
    return {name: repr(value) for name, value in vars(part).items()}


# -- the cases ---------------------------------------------------------------------------------


class _Support(NamedTuple):
    """A kind of target: how to draw one around a signal, and where its density lives."""

    draw: Callable
    low: float = -np.inf
    high: float = np.inf
    codes: np.ndarray | None = None  # all values of a discrete target


REAL = _Support(lambda signal, rng: signal + 0.5 * rng.standard_normal(signal.shape))
SUPPORTS = {
    "real numbers": REAL,
    "positive numbers": _Support(lambda *given: np.exp(0.5 * REAL.draw(*given)), low=0.0),
    "proportions": _Support(lambda *given: expit(REAL.draw(*given)), low=0.0, high=1.0),
    "counts": _Support(
        lambda signal, rng: rng.poisson(np.exp(0.5 * signal)).astype(float), codes=np.arange(2000.0)
    ),
    "zeros and ones": _Support(
        lambda *given: (REAL.draw(*given) > 0).astype(float), codes=np.arange(2.0)
    ),
}


@dataclass(frozen=True)
class _Case:
    """A part, random data, and parameters that are not at the optimum for `resp`."""

    part: BaseExpert | BaseGate
    data: tuple  # (X,) for a gate, (X, y) for an expert
    resp: np.ndarray
    size: dict  # K, p and q or C, for messages
    support: _Support | None = None
    classes: tuple = ()  # (n_classes,) or (None,): the last argument of an expert's `init`
    params: Params | None = None

    @classmethod
    def build(cls, part, data, K, rng, **about):
        """Read-only data, and `params` started from other responsibilities than `resp`."""
        start, resp = (softmax(2 * rng.standard_normal((N_ROWS, K)), axis=1) for _ in range(2))
        start, resp = (r * rng.uniform(0.5, 2.0, (N_ROWS, 1)) for r in (start, resp))
        case = cls(part, copy.deepcopy(data), resp, **about)
        params = case.init(start)
        for array in (*case.data, resp, *leaves(params)):
            array.flags.writeable = False
        return replace(case, params=params)

    @property
    def name(self):
        return f"{self.part!r} with " + ", ".join(f"{k}={v}" for k, v in self.size.items())

    def init(self, resp, data=None):
        data = self.data if data is None else data
        return self.part.init(*data, resp, np.random.RandomState(0), *self.classes)

    def log_prob(self, params=None, data=None):
        return self.part.log_prob(params or self.params, *(data or self.data))

    def statistics(self, params=None, rows=slice(None), resp=None, **options):
        data = (part[rows] for part in self.data)
        resp = self.resp[rows] if resp is None else resp
        return self.part.statistics(params or self.params, *data, resp, **options)

    def objective(self, params):
        """Σ resp·log p + log_prior; a gate is normalised first, whatever direction it moved in."""
        log_prob = self.log_prob(params)
        if self.support is None and not self.classes:
            log_prob = log_prob - logsumexp(log_prob, axis=1, keepdims=True)
        return float(np.sum(self.resp * log_prob)) + self.part.log_prior(params)

    def units(self):
        """Units of the caller that are not the internal ones."""
        rng = np.random.default_rng(1)

        def scaling(m):
            exponent, center = rng.integers(-4, 5, m), rng.standard_normal(m)
            return Scaling(exponent, center, rng.uniform(0.5, 2.0, m))

        scales_y = getattr(self.part, "scales_y", False)
        return Units(scaling(self.size["p"]), scaling(self.size["q"]) if scales_y else IDENTITY)

    def require(self, condition, broken):
        if not condition:
            raise AssertionError(f"{self.name}: {broken}")

    def require_close(self, got, expected, tolerance, broken):
        """Equality up to `tolerance` times the largest number expected, or times 1."""
        got, expected = np.asarray(got), np.asarray(expected)
        self.require(
            got.shape == expected.shape, f"{broken}: shape {got.shape}, not {expected.shape}"
        )
        gap = np.where(got == expected, 0.0, np.abs(got - expected)).max(initial=0.0)
        gap /= max(1.0, np.abs(expected, where=np.isfinite(expected), out=0 * expected).max())
        self.require(gap <= tolerance, f"{broken}: off by {gap:.2g}, allowed are {tolerance:.0g}")


IDENTITY = Scaling.identity(1)


def _expert_cases(expert, random_state):
    rng = np.random.default_rng(random_state)
    classifies = expert.task == "classification"
    build = _classifier_case if classifies else _regression_case
    for K in (1, 3):
        for p, width in ((2, 2 if classifies else 1), (2, 3 if classifies else 2), (0, 2)):
            try:
                yield build(expert, K, p if expert.uses_x else 0, width, rng)
            except ValueError:
                if (p, width) == (2, 2 if classifies else 1):
                    raise  # the one case that no expert may refuse
