"""What the gradient solvers share: free coordinates, a warm-up by EM, early stopping."""

from __future__ import annotations

import contextlib
from abc import abstractmethod

import numpy as np
from scipy.linalg import LinAlgError
from sklearn.base import clone
from sklearn.utils import check_random_state

from ..parts import checks
from .base import BaseSolver
from .em import ascend
from .loop import Point, Record, Steps, evaluate, loop


class GradientSolver(BaseSolver):
    """Climbs by the gradient, in the parts' free coordinates; see `classic_moe.parts.coordinates`.

    A subclass has the hyper-parameters `warm_up`, `early_stopping`, `validation_fraction`,
    `n_iter_no_change` and `random_state`, and says how it climbs.
    """

    requires = frozenset({"gradient"})

    def _rules(self):
        return {
            "warm_up": checks.integer(0),
            "n_iter_no_change": checks.integer(1),
            "early_stopping": checks.FLAG,
            "validation_fraction": checks.number(
                lambda share: 0 < share < 1, "a number between 0 and 1"
            ),
            "random_state": checks.RANDOM_STATE,
        }

    def resumed(self):
        """Return this solver without a warm-up."""
        return clone(self).set_params(warm_up=0)

    @property
    def draws_rows(self):
        """Whether it takes rows in an order of its own: those that it holds out."""
        return bool(self.early_stopping)

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return the best iterate, with its statistics on all rows."""
        self.check_model(model)
        rng = check_random_state(self.random_state)
        training, judge = batches, _ByObjective(batches.total_weight)
        with contextlib.ExitStack() as threads:
            if self.early_stopping:
                held_out, training = batches.split(self.validation_fraction, rng)
                threads.enter_context(training)
                threads.enter_context(held_out)
                judge = _ByRowsHeldOut(model, held_out)
            objective = FreeObjective(model, training)
            record = Record(max_iter, callback, tol, judge, small_gains_add_up=True)
            point = self._warmed_up(objective, params, record)
            converged, advice = False, ""
            if np.isfinite(point.value) and not record.ended:
                converged, advice = self._run_from(point, objective, record, tol, rng)
        best = record.best
        if np.isfinite(record.best_value):
            best = evaluate(model, batches, best.params)
        return record.result(
            best,
            converged,
            curves={"objective": record.objectives} | judge.curves(),
            rank=judge.rank(record.best_rank * batches.total_weight),
            advice="" if converged else advice,
        )

    def _warmed_up(self, objective, params, record):
        """Return where the climb begins, after passes of EM, if any; all are in the record."""
        passes = self.warm_up if objective.model.objective.likelihood else 0
        if not passes:
            point = objective.start(params)
            record.add(point)
            return point
        point = evaluate(objective.model, objective.batches, params)
        record.add(point)
        point, _ = loop(_WarmUp(objective, passes), point, record)
        if point.usable:
            objective.go_to(point)
        return point

    @abstractmethod
    def _run_from(self, point, objective, record, tol, rng) -> tuple[bool, str]:
        """Climb from where the objective stands, which is `point`.

        Returns whether no more than `tol` a unit of weight remains to be gained, and advice for the
        user if more does.
        """


class _WarmUp(Steps):
    """So many passes of EM, or fewer if one gains nothing."""

    def __init__(self, objective, passes):
        self.objective, self.passes = objective, passes

    def step(self, point, record):
        """Return the next point of EM, None where it is not higher."""
        following = ascend(self.objective.model, self.objective.batches, point)
        return following if following.value > point.value else None

    def arrived(self, point, record):
        """Return False after the last pass."""
        return False if record.iterations >= self.passes else None


class _ByObjective:
    """Judges a point by its objective a unit of weight."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, point):
        """Return the objective on all rows, and the rank."""
        return point.value, point.value / self.weight

    def curves(self):
        """Return the learning curves it has drawn."""
        return {}

    def rank(self, rank):
        """Return by what to compare the run with others; None: its objective."""
        return None


class _ByRowsHeldOut:
    """Judges a point by what it says of the rows held out, a unit of their weight."""

    def __init__(self, model, batches):
        self.model, self.batches, self.validation = model, batches, []

    def __call__(self, point):
        """Return the objective on all rows, and the rank."""
        held = evaluate(
            self.model, self.batches, point.params, derivatives=1, prior=False, tentative=True
        ).value
        self.validation.append(held / self.batches.total_weight)
        return point.value + held, self.validation[-1]

    def curves(self):
        """Return the learning curves it has drawn."""
        return {"validation": self.validation}

    def rank(self, rank):
        """Return by what to compare the run with others."""
        return rank


class FreeObjective:
    """The objective of a model on some rows, as a function of free coordinates.

    Attributes
    ----------
    weight : float
        The total weight of the rows.
    coordinates : Coordinates
        Those of the params where it stands.
    vector : ndarray of shape (m,)
        Where it stands.
    """

    def __init__(self, model, batches):
        self.model, self.batches = model, batches
        self.weight = batches.total_weight
        self.coordinates = self.vector = None

    def start(self, params) -> Point:
        """Go to the vector of some params; return the point there, unusable if there is none."""
        nothing = Point(params, None, -np.inf)
        try:
            with np.errstate(all="ignore"):
                self.go_to(nothing)
        except LinAlgError:  # no covariance matrix
            return nothing
        return self.evaluate(self.vector) if np.isfinite(self.vector).all() else nothing

    def go_to(self, point):
        """Take the coordinates of a point's params, and stand there."""
        self.coordinates = self.model.coordinates(point.params)
        self.vector = self.coordinates.free(point.params)

    def evaluate(self, vector, batches=None) -> Point:
        """Make one pass over the rows, or others; return the point of the vector."""
        batches = self.batches if batches is None else batches
        with np.errstate(all="ignore"):
            params = self.coordinates.params(vector)
        return evaluate(self.model, batches, params, derivatives=1, tentative=True)

    def slope(self, vector, point, share=1.0):
        """Return the gradient a unit of weight, (m,).

        `share` is the factor that makes sums over the rows of the point those over all.
        """
        with np.errstate(all="ignore"):
            stats = point.stats if share == 1.0 else point.stats * share
            gradient = self.model.gradient(point.params, stats)
            return self.coordinates.slope_in_free(vector, point.params, gradient) / self.weight
