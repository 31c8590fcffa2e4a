"""L-BFGS: quasi-Newton steps from gradients alone."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from ..model import information
from ..parts.checks import integer
from ..parts.linalg import quasi_newton
from .em import ROUNDING
from .gradient import GradientSolver

CALM = 5
"""Iterations that together must gain no more than `tol`: a single one may be short by chance."""
LARGEST = 600
"""Parameters up to which their information scales the coordinates."""
LEAST = 1e-6
"""Smallest curvature that is scaled by, relative to the largest where the diagonal is 1."""
TURN = 0.2
"""Where the line search is sent back to from a step that is no model: this share of the step."""


class LBFGS(GradientSolver):
    """L-BFGS: quasi-Newton steps for all parameters together, from gradients alone.

    A few passes of EM come first: from a random start a gradient method ends in poorer optima.
    Then scipy's L-BFGS-B climbs in free coordinates (logarithms of scales, Cholesky factors of
    covariances), in which each line search ends higher than it began. Where the parts know their
    second derivatives row by row, and up to 600 parameters, the coordinates are scaled and turned
    by the observed information at the point where the climb begins, so that neither columns that
    are nearly copies nor sharp experts slow it down. Close to an optimum it is faster than EM where
    EM is slow; where the experts are far apart, EM is faster.

    The run ends when five iterations together gain no more than `tol` a unit of weight, and the
    next is not expected to either.

    Parameters
    ----------
    memory : int, default=20
        Past steps from which the curvature is estimated.
    warm_up : int, default=10
        Passes of EM to begin with; none for objectives that are no likelihoods. They count as
        iterations.
    early_stopping : bool, default=False
        Hold rows out, stop when the objective on them no longer rises, and return the parameters
        that did best on them.
    validation_fraction : float, default=0.1
        The share of the total weight that is held out; groups are held out whole.
    n_iter_no_change : int, default=10
        With early stopping: iterations without a gain of `tol` a unit of weight, on the rows held
        out, after which to stop.
    random_state : int, RandomState or None, default=None
        For the choice of the rows held out; None: from the estimator's.

    Notes
    -----
    Every part needs a gradient, which all have but those made of scikit-learn estimators. With
    early stopping `lower_bounds_` is still the objective on all rows, of the best parameters so
    far: those that did best on the rows held out, whose score need not rise with it.

    References
    ----------
    Zhu, C., Byrd, R. H., Lu, P. & Nocedal, J. (1997). Algorithm 778: L-BFGS-B: Fortran subroutines
    for large-scale bound-constrained optimization. ACM Transactions on Mathematical Software 23,
    550-560.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> em = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> model = MixtureOfExpertsRegressor(2, solver="lbfgs", random_state=0).fit(X, y)
    >>> bool(abs(model.lower_bounds_[-1] - em.lower_bounds_[-1]) < 1e-3)
    True
    """

    def __init__(
        self,
        memory: int = 20,
        warm_up: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.memory = memory
        self.warm_up = warm_up
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    @property
    def ends_at_maxima(self):
        """Whether a climb ends where the slope is none, which early stopping keeps it from."""
        return not self.early_stopping

    def _rules(self):
        return {"memory": integer(1)} | super()._rules()

    def _run_from(self, point, objective, record, tol, rng):
        if not len(objective.vector):  # nothing is free
            return True, ""
        objective = scaled(objective, point)
        patience = self.n_iter_no_change if self.early_stopping else None
        steps = _QuasiNewton(point, objective, record, tol, self.memory, patience)
        minimize(
            steps.loss,
            objective.vector,
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack(steps.bounds),
            callback=steps.accept,
            options={
                "maxiter": record.max_iter - record.iterations,
                "maxfun": np.iinfo(np.int32).max,
                "maxcor": self.memory,
                "maxls": 30,
                "ftol": 0.0,  # the rules of `accept` come first
                "gtol": 0.0,
            },
        )
        if steps.interruption is not None:
            raise steps.interruption
        return steps.converged() and not record.stopped, ""


def scaled(objective, point):
    """Return the objective in coordinates in which its curvature at `point` is about 1 all round.

    It is itself where the parts do not know their second derivatives row by row, or are large.
    """
    model, batches = objective.model, objective.batches
    try:
        layout = information.layout_of(model, point.params, batches)
    except information.NoInformation:
        return objective
    if len(layout.positions) > LARGEST:
        return objective
    found = information.information(model, point.params, batches, layout)
    moved = np.bincount(
        np.concatenate([[], *layout.positions]).astype(int), minlength=layout.n_free
    )
    matrix = found.matrix / objective.weight
    if len(moved) != len(objective.vector) or not np.all(moved) or not np.isfinite(matrix).all():
        return objective
    root = np.sqrt(np.maximum(np.abs(np.diagonal(matrix)), LEAST))
    values, vectors = np.linalg.eigh(matrix / root[:, None] / root)
    sizes = np.maximum(np.abs(values), LEAST * np.abs(values).max())
    columns = vectors / np.sqrt(sizes) / root[:, None]  # C with Cᵀ |H| C = 1
    return _Scaled(objective, np.stack([layout.in_free(column) for column in columns.T], axis=1))


class _Scaled:
    """An objective as a function of v, its free coordinates being those at the start + M v.

    Coordinates that have bounds stay at the ones that they meet.
    """

    def __init__(self, objective, map):
        self.objective, self.map = objective, map
        self.start, self.weight = objective.vector, objective.weight
        self.vector = np.zeros(map.shape[1])
        self.bounds = np.broadcast_to(np.array([[-np.inf], [np.inf]]), (2, len(self.vector)))
        self.low, self.high = objective.coordinates.bounds

    def _free(self, v):
        """Return the free coordinates, and which of them are within their bounds."""
        free = self.start + self.map @ v
        return np.clip(free, self.low, self.high), (self.low <= free) & (free <= self.high)

    def evaluate(self, v):
        return self.objective.evaluate(self._free(v)[0])

    def slope(self, v, point):
        free, within = self._free(v)
        return self.map.T @ np.where(within, self.objective.slope(free, point), 0.0)


class _QuasiNewton:
    """What scipy's loop sees, minus the objective a unit of weight, and what follows iterations.

    Parameters
    ----------
    point : Point
    objective : FreeObjective, standing at the point
    record : Record
    tol : float
    memory : int
        Past steps from which the curvature is estimated.
    patience : int or None
        With early stopping, iterations without a gain after which to end.
    """

    def __init__(self, point, objective, record, tol, memory, patience):
        self.objective, self.record, self.tol = objective, record, tol
        within = isinstance(objective, _Scaled)
        self.bounds = objective.bounds if within else objective.coordinates.bounds
        self.memory, self.patience = memory, patience
        self.vector, self.point = self.seen = objective.vector, point
        self.slope = objective.slope(*self.seen)
        self.steps, self.turns, self.gains = [], [], []
        self.done, self.interruption = False, None

    def evaluate(self, vector):
        """Return the point of a vector, from a pass that is made once."""
        if not np.array_equal(vector, self.seen[0]):
            self.seen = vector.copy(), self.objective.evaluate(vector)
        return self.seen[1]

    def loss(self, vector):
        """Return minus the objective and minus its gradient, a unit of weight."""
        point = self.evaluate(vector)
        if not point.usable:
            return self._parabola(vector)
        return -point.value / self.objective.weight, -self.objective.slope(vector, point)

    def _parabola(self, vector):
        """Return value and slope of a parabola in place of an infinite loss.

        It starts from the last iterate with its slope, and turns at the share `TURN` of the step,
        so that the line search goes on from there: with t the share of the step s, and r = gᵀs the
        rise to first order, -value - r t + r t² / (2 TURN) at t = 1.
        """
        step = vector - self.vector
        rise = max(float(self.slope @ step), 1e-300)
        value = -self.point.value / self.objective.weight + (0.5 / TURN - 1) * rise
        return value, (1 / TURN - 1) * rise / max(float(step @ step), 1e-300) * step

    def accept(self, vector):
        """Take an iterate of scipy's into the record; StopIteration where it is the last one."""
        point, weight = self.evaluate(vector), self.objective.weight
        vector = self.seen[0]
        slope = self.objective.slope(vector, point)
        self.steps = [*self.steps, vector - self.vector][-self.memory :]
        self.turns = [*self.turns, self.slope - slope][-self.memory :]
        self.gains = [*self.gains, (point.value - self.point.value) / weight][-CALM:]
        self.vector, self.point, self.slope = vector, point, slope
        try:
            self.record.add(point)
        except StopIteration as error:  # of the caller's callback: to scipy it means to stop
            self.interruption = error
            raise
        self.done = self.patience is not None and self.record.since >= self.patience
        if not self.done and len(self.gains) == CALM and sum(self.gains) <= self.tol:
            self.done = self._remaining() <= self.tol
        if self.record.ended or self.done:
            raise StopIteration

    def converged(self):
        """Return whether the end is a maximum: by the rule above, or but for rounding."""
        size = max(1.0, abs(self.point.value) / self.objective.weight)
        return self.done or self._remaining() <= max(self.tol, ROUNDING * size)

    def _remaining(self):
        """Return what a quasi-Newton step would gain, ½ gᵀHg; at a bound coordinates are held."""
        low, high = self.bounds
        held = (self.vector <= low) & (self.slope < 0) | (self.vector >= high) & (self.slope > 0)
        slope = np.where(held, 0.0, self.slope)
        pairs = [(s * ~held, y * ~held) for s, y in zip(self.steps, self.turns, strict=True)]
        pairs = [(s, y) for s, y in pairs if s @ y > 1e-12 * np.sqrt((s @ s) * (y @ y))]
        return 0.5 * float(slope @ quasi_newton(slope, pairs))
