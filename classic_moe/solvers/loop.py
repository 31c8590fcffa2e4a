"""The one loop of all solvers: steps, the record of where they led, and the pass that tells.

A solver says what a step is and when it has arrived, as `Steps`. `loop` takes the steps; `Record`
keeps the history, the best point, the callback and the patience.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError

from ..parts.params import Params, all_finite
from ..parts.statistics import Statistics
from .base import Result


class Point(NamedTuple):
    """Params, their statistics and their penalised objective: what one pass brings back.

    Params that are no model at all have the objective -inf and no statistics. `gain` is what the
    step to the point gained, where a solver knows: a finer number than the difference of two
    values.
    """

    params: Params
    stats: Statistics | None
    value: float
    gain: float | None = None

    @property
    def usable(self) -> bool:
        """Whether a step can start here."""
        return self.stats is not None


def evaluate(model, batches, params, *, derivatives=2, prior=True, tentative=False) -> Point:
    """Make one pass over the rows; return the `Point` of the params.

    Parameters
    ----------
    model : MixtureModel
    batches : Batches
    params : Params
    derivatives : {1, 2}
        Whether the statistics are for a gradient, or for an M-step too.
    prior : bool
        Whether the objective has the log prior in it.
    tentative : bool
        Whether the params may be a step too far, of which numpy is not to warn, in any thread.
    """
    nothing = Point(params, None, -np.inf)
    if not all_finite(params):
        return nothing
    function = functools.partial(_statistics, model, derivatives, tentative)
    try:
        with np.errstate(**_hushed(tentative)):
            stats = batches.map_sum(function, params, scaled=model.takes_scaled)
            value = float(stats["objective"])
            if prior and np.isfinite(value):  # a prior is of parameters that are a model
                value += model.log_prior(params)
    except LinAlgError:  # a covariance that is not positive definite
        return nothing
    return Point(params, stats, value) if np.isfinite(value) else nothing


def _statistics(model, derivatives, tentative, params, *rows, **facts):
    """Return the statistics of some rows; settings of numpy's warnings are each thread's own."""
    with np.errstate(**_hushed(tentative)):
        return model.statistics(params, *rows, order=derivatives, **facts)


def _hushed(tentative):
    return {"all": "ignore"} if tentative else {}


class Coarse(ABC):
    """A callback that need not be told of every iterate, nor given values of its own.

    Attributes
    ----------
    bar : tuple of float, float and int
        The objective that the climb is to promise; how many times its last gain it is trusted to
        gain still; the iterations of that gain. A solver may end a climb that promises less.
    """

    bar = (-np.inf, 1.0, 1)

    @abstractmethod
    def __call__(self, iteration, params, objective):
        """Return whether to stop."""


class Record:
    """The iterates of one run: what each is worth, which is the best, and whether to go on.

    Parameters
    ----------
    max_iter : int
    callback : callable(iteration, params, objective) or None
        Told of every new iterate after the start; if it returns True, the run stops.
    least_gain : float
        What the rank must gain to count as one for `since`.
    judge : callable(point) -> (value, rank), default=None
        The objective to report, and by what to tell the best; None: the point's value is both.
    small_gains_add_up : bool
        Whether a gain is counted from where the last one was, or from the best iterate.

    Attributes
    ----------
    best : Point
        The iterate of highest rank, the first of equals.
    best_value, best_rank : float
        Its objective and its rank.
    history, objectives : list of float
        The objective of the best iterate so far, and of every iterate; the start comes first.
    since : int
        Iterations since the last gain.
    stopped : bool
        Whether the callback has asked to stop.
    """

    def __init__(
        self, max_iter, callback=None, least_gain=0.0, judge=None, small_gains_add_up=False
    ):
        self.max_iter, self.callback = max_iter, callback
        self.tells_each = callback is not None and not isinstance(callback, Coarse)
        self.least_gain, self.small_gains_add_up = least_gain, small_gains_add_up
        self.judge = judge or (lambda point: (point.value, point.value))
        self.best, self.best_value, self.best_rank = None, -np.inf, -np.inf
        self.history, self.objectives = [], []
        self.since, self.stopped = 0, False
        self._last, self._gains_from = None, -np.inf

    @property
    def iterations(self) -> int:
        """Iterations made."""
        return len(self.history) - 1

    @property
    def ended(self) -> bool:
        """Whether the callback has asked to stop, or all iterations are made."""
        return self.stopped or self.iterations >= self.max_iter

    def add(self, point):
        """Take the next iterate in; one that is the last iterate again is no news to tell."""
        value, rank = self.judge(point)
        first = not self.history
        self.since += 1
        if first or rank > self._gains_from + self.least_gain:
            self.since, self._gains_from = 0, rank
        elif not self.small_gains_add_up:
            self._gains_from = max(self._gains_from, rank)
        if first or rank > self.best_rank:
            self.best, self.best_value, self.best_rank = point, value, rank
        self.objectives.append(value)
        self.history.append(self.best_value)
        news, self._last = point is not self._last, point
        if self.callback is not None and news and not first:
            self.stopped = asks_to_stop(self.callback(self.iterations, point.params, value))

    def add_untold(self, values):
        """Take in the values of iterates that nobody is told of, and which do not fall: floats."""
        for value in values:
            self.since += 1
            if value > self._gains_from + self.least_gain:
                self.since, self._gains_from = 0, value
            elif not self.small_gains_add_up:
                self._gains_from = max(self._gains_from, value)
        self.objectives += values
        self.history += values

    def result(self, point, converged, **others) -> Result:
        """Return the `Result` of a run that ends at a point."""
        return Result(
            point.params, point.stats, self.history, bool(converged), self.stopped, **others
        )


def asks_to_stop(answer) -> bool:
    """Return whether what a callback returned is True, numpy's too; a number asks for nothing."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


class Steps(ABC):
    """The steps of one run: where they lead, and when they have arrived."""

    @abstractmethod
    def step(self, point, record) -> Point | None:
        """Return the point after `point`; `point` itself or None where there is no way on."""

    @abstractmethod
    def arrived(self, point, record) -> bool | None:
        """Return None to go on, True at an optimum, False where steps lead nowhere any more.

        Asked after every step, with its point in the record.
        """

    def outcome(self, point, record) -> Point:
        """Return what a run that ends at `point` has found."""
        return point


class BestSoFar(Steps):
    """Steps that need not climb: the best point is kept, and patience ends the run.

    Parameters
    ----------
    step : callable(point) -> Point
    patience : int
        Iterations without a gain after which to end.
    """

    def __init__(self, step, patience):
        self._step, self.patience = step, patience

    def step(self, point, record):
        """Return the next point; after one that is no model, the next of the best."""
        return self._step(point if point.usable else record.best)

    def arrived(self, point, record):
        """Return True once patience has run out."""
        return True if record.since >= self.patience else None

    def outcome(self, point, record):
        """Return the best point."""
        return record.best


def loop(steps, point, record) -> tuple[Point, bool]:
    """Take steps until they arrive, the callback stops them or all iterations are made.

    The start is in the record already. Returns what was found, and whether it is an optimum, as far
    as can be told.
    """
    if not np.isfinite(point.value):
        return point, False
    while not record.ended:
        following = steps.step(point, record)
        if following is None:
            break
        point = following
        record.add(point)
        if record.stopped:
            break
        arrived = steps.arrived(point, record)
        if arrived is not None:
            return steps.outcome(point, record), arrived
    return steps.outcome(point, record), False
