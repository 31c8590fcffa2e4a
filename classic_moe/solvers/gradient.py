"""What the gradient solvers share: free coordinates, a warm-up by EM, early stopping."""

from __future__ import annotations

import contextlib
import functools
from abc import abstractmethod

import numpy as np
from scipy.linalg import LinAlgError
from sklearn.base import clone
from sklearn.utils import check_random_state

from ..parts.checks import is_integer, is_number
from ..parts.params import all_finite
from .base import BaseSolver, Result
from .em import Point, ascend, score


class GradientSolver(BaseSolver):
    """Climbs by the gradient, in the parts' free coordinates; see `classic_moe.parts.coordinates`.

    A subclass has the hyper-parameters `warm_up`, `early_stopping`, `validation_fraction`,
    `n_iter_no_change` and `random_state`, and says how it climbs.
    """

    def check_parameters(self):
        name = type(self).__name__
        for parameter, least in self._integers().items():
            value = getattr(self, parameter)
            if not (is_integer(value) and value >= least):
                raise ValueError(
                    f"{parameter}={value!r} of {name}: needs an integer of at least {least}."
                )
        fraction = self.validation_fraction
        if not (is_number(fraction) and 0 < fraction < 1):
            raise ValueError(
                f"validation_fraction={fraction!r} of {name}: needs a number between 0 and 1."
            )

    def _integers(self):
        """Hyper-parameters that are integers, with their least values."""
        return {"warm_up": 0, "n_iter_no_change": 1}

    def check_model(self, model):
        em = "solver='em', or " if model.objective.likelihood else ""
        for part in model.lacks("gradient"):
            raise TypeError(
                f"{type(self).__name__} climbs by gradients, and {part} has none; use {em}a part"
                " with parameters of its own in place of a scikit-learn estimator."
            )

    def resumed(self):
        """This solver without a warm-up."""
        return clone(self).set_params(warm_up=0)

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        self.check_model(model)
        rng = check_random_state(self.random_state)
        training, held_out = batches, None
        with contextlib.ExitStack() as threads:
            if self.early_stopping:
                held_out, training = batches.split(self.validation_fraction, rng)
                threads.enter_context(training)
                threads.enter_context(held_out)
            trail = Trail(model, training, held_out, max_iter, tol, callback)
            converged = self._begin(trail, params) and self._climb(trail, rng)
        return trail.result(batches, converged)

    def _begin(self, trail, params):
        """Passes of EM, if any; whether there is anything to climb."""
        passes = self.warm_up if trail.model.objective.likelihood else 0
        if not passes:
            return np.isfinite(trail.start(params))
        point = score(trail.model, trail.training, params)
        trail.add(point)
        for _ in range(passes):
            if trail.ended or not np.isfinite(point.value):
                return False
            following = ascend(trail.model, trail.training, point)
            if not following.value > point.value:
                break
            point = following
            trail.add(point)
        trail.enter(point)
        return not trail.ended

    @abstractmethod
    def _climb(self, trail, rng) -> bool:
        """Climb from where the trail stands; whether no more than `tol` remains to be gained."""


class Trail:
    """The iterates of one run: what each is worth, which is the best, and when there is no time.

    Attributes
    ----------
    vector, point : ndarray, Point
        The last iterate in free coordinates, and the pass over the training rows that scored it.
    best : tuple of (Point, float)
        The best iterate and the objective there, on all rows.
    history : list of float
        The penalised objective, on all rows, of the best iterate so far.
    curve, validation : list of float
        The same of every iterate, and its score a unit of weight on the rows held out.
    since : int
        Iterations since the score last rose by more than `tol` a unit of weight.
    cure : str
        What the user may do, should the run not have converged.
    """

    def __init__(self, model, training, held_out, max_iter, tol, callback):
        self.model, self.training, self.held_out = model, training, held_out
        self.max_iter, self.tol, self.callback = max_iter, tol, callback
        self.weight = training.total_weight
        self.history, self.curve, self.validation = [], [], []
        self.vector = self.point = self.coordinates = self.best = None
        self.since, self.merit, self.mark = 0, -np.inf, -np.inf
        self.stopped, self.cure = False, ""

    @property
    def iteration(self):
        """Iterations made."""
        return len(self.history) - 1

    @property
    def ended(self):
        """Whether the callback has asked to stop, or all iterations are made."""
        return self.stopped or self.iteration >= self.max_iter

    def start(self, params):
        """Begin at `params`; the objective there."""
        self.coordinates = self.model.coordinates(params)
        try:
            self.vector = self.coordinates.free(params)
        except LinAlgError:  # no covariance matrix
            self.vector = np.full(1, np.nan)
        self.point = Point(params, None, -np.inf)
        if np.isfinite(self.vector).all():
            self.point = self.look(self.vector)
        self.add(self.point)
        return self.point.value

    def enter(self, point):
        """Go on from a point that is in the record."""
        self.coordinates = self.model.coordinates(point.params)
        self.vector, self.point = self.coordinates.free(point.params), point

    def look(self, vector, batches=None):
        """One pass over the training rows, or others; the value -inf where there is none."""
        with np.errstate(all="ignore"):
            params = self.coordinates.params(vector)
            return look(self.model, self.training if batches is None else batches, params)

    def slope(self, vector, point, share=1.0):
        """The gradient a unit of weight; `share` makes sums over some rows those over all."""
        with np.errstate(all="ignore"):
            stats = point.stats if share == 1.0 else point.stats * share
            gradient = self.model.gradient(point.params, stats)
            return self.coordinates.pull(vector, point.params, gradient) / self.weight

    def move(self, vector, point):
        """Take the next iterate into the record; whether the run has ended."""
        self.vector, self.point = vector, point
        self.add(point)
        return self.ended

    def add(self, point):
        """Record the value of a point, and the point if it is the best."""
        value, merit = point.value, point.value / self.weight
        if self.held_out is not None:
            held = look(self.model, self.held_out, point.params, prior=False).value
            value, merit = value + held, held / self.held_out.total_weight
            self.validation.append(merit)
        self.curve.append(value)
        self.since += 1
        if not self.history or merit > self.mark + self.tol:
            self.since, self.mark = 0, merit
        if not self.history or merit > self.merit:
            self.best, self.merit = (point, value), merit
        self.history.append(self.best[1])
        if self.callback is not None and self.iteration:
            self.stopped = self.callback(self.iteration, point.params, value) is True

    def back(self):
        """Return to the best iterate."""
        self.enter(self.best[0])
        self.since = 0

    def result(self, batches, converged):
        """The best iterate, with its statistics on all rows."""
        point, value = self.best
        curves, merit = {"objective": self.curve}, None
        if self.held_out is not None:
            curves["validation"], merit = self.validation, self.merit * batches.total_weight
        if np.isfinite(value):
            point = score(self.model, batches, point.params)
        cure = "" if converged else self.cure
        return Result(
            point.params,
            point.stats,
            self.history,
            bool(converged),
            self.stopped,
            curves,
            merit,
            cure,
        )


def look(model, batches, params, prior=True):
    """One pass for the objective and its gradient; -inf for params that are no model at all."""
    nothing = Point(params, None, -np.inf)
    if not all_finite(params):
        return nothing
    try:
        with np.errstate(all="ignore"):
            stats = batches.map_sum(functools.partial(_quiet, model), params)
            value = float(stats["objective"] + (model.log_prior(params) if prior else 0.0))
    except LinAlgError:  # a covariance that is not positive definite
        return nothing
    return Point(params, stats, value) if np.isfinite(value) else nothing


def _quiet(model, params, *rows, **facts):
    """The statistics for a gradient; a step too far is nothing to warn of, in any thread."""
    with np.errstate(all="ignore"):
        return model.statistics(params, *rows, order=1, **facts)
