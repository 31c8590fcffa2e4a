"""Steps along the gradient, and the batch ascent of the papers."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..parts.checks import either, integer, number, one_of
from .em import remaining
from .gradient import GradientSolver
from .loop import Steps, loop

SCHEDULES = ("constant", "adaptive", "linear")
CUT = 2.0
"""The adaptive schedule divides the learning rate by this."""
CUTS = 8
"""How often it does so at most."""
CALM = 3
"""Iterations of the batch gradient in a row that must promise no more than `tol`."""
FIRST, GREATEST = 0.1, 1e4
"""The learning rate from which those of the coordinates start, and the largest of them."""
LONGER, SHORTER = 1.2, 0.7
"""A learning rate is multiplied by these where its slope keeps or changes its sign."""
PAST = 0.7
"""How much the mean of past slopes, with which a slope is compared, remembers."""
MOMENTUM = 0.9
"""The momentum that goes with learning rates that adapt."""
SLACK = 10
"""Iterations of which the worst may be undercut by no step: momentum swings over a ridge."""


class Ascent(GradientSolver):
    """Repeated steps of a rule that subclasses give, on all rows or on minibatches."""

    ends_at_maxima = False
    batch_size = None
    momentum = 0.0
    own_rates = False
    """Whether the learning rate may be "auto"."""

    @property
    def draws_rows(self):
        """Whether it takes rows in an order of its own, minibatches or those that it holds out."""
        return self.batch_size is not None or super().draws_rows

    def _rules(self):
        rate = number(lambda rate: 0 < rate < np.inf, "a positive number")
        momentum = number(lambda share: 0 <= share < 1, "a number of at least 0 and below 1")
        if self.own_rates:
            rate, momentum = either("auto", rate), either("auto", momentum)
        found = {"learning_rate": rate, "momentum": momentum}
        found |= {"schedule": one_of(SCHEDULES), "batch_size": integer(1)}
        its = self.get_params(deep=False)
        return {name: rule for name, rule in found.items() if name in its} | super()._rules()

    def _adapts(self, value):
        """Return whether a learning rate or a momentum is left to the solver."""
        return self.own_rates and isinstance(value, str) and value == "auto"

    @abstractmethod
    def _new_rule(self):
        """Return a function (slope, rate) -> step, with a memory of its own."""

    def _run_from(self, point, objective, record, tol, rng):
        steps = _OneRate(self, objective, tol, rng)
        point, converged = loop(steps, point, record)
        adaptive, threshold = self.schedule == "adaptive", tol * objective.weight
        told = converged or adaptive or steps.trouble
        if not told and record.objectives[-1] < record.best_value - threshold:
            steps.trouble = "fell in the end"
        return converged, self._advice(steps.trouble)

    def _advice(self, trouble):
        """Return what to do about an objective in trouble; "" where there is none."""
        return trouble and (
            f"the objective {trouble} at learning_rate={self.learning_rate:g}; lower it, or use"
            " schedule='adaptive'"
        )


class _OneRate(Steps):
    """Steps at one learning rate for all coordinates, which the adaptive schedule cuts.

    Parameters
    ----------
    solver : Ascent
    objective : FreeObjective
    tol : float
    rng : RandomState, for the minibatches

    Attributes
    ----------
    trouble : str
        What went wrong with the objective, if anything did.
    """

    def __init__(self, solver, objective, tol, rng):
        self.solver, self.objective, self.rng = solver, objective, rng
        self.threshold = tol * objective.weight
        size = solver.batch_size
        self.on_all_rows = size is None or size >= objective.batches.n
        self.cuts, self.trouble, self.goes_back = 0, "", False
        self._start_afresh(solver.learning_rate)

    def _start_afresh(self, rate):
        """Forget past steps and gains."""
        self.rate, self.rule = rate, self.solver._new_rule()
        self.calm, self.last_gain = 0, None

    def step(self, point, record):
        """Return the point after one step, or after one for each minibatch."""
        if self.goes_back:
            point, self.goes_back = record.best, False
            self.objective.go_to(point)
        self.before = point.value
        if self.solver.schedule == "linear":
            self.rate = self.solver.learning_rate * (1 - record.iterations / record.max_iter)
        self.objective.vector = self._after(self.objective.vector, point)
        return self.objective.evaluate(self.objective.vector)

    def _after(self, vector, point):
        """Return the vector after one step, or after one for each minibatch."""
        objective, clip = self.objective, self.objective.coordinates.clip
        if self.on_all_rows:
            return clip(vector + self.rule(objective.slope(vector, point), self.rate))
        for share, rows in objective.batches.minibatches(self.solver.batch_size, self.rng):
            point = objective.evaluate(vector, rows)
            if not point.usable:
                break
            slope = objective.slope(vector, point, share)
            vector = clip(vector + self.rule(slope, self.rate))
        return vector

    def arrived(self, point, record):
        """Return whether the end is reached; where the objective has stopped rising, cut the rate.

        On all rows the gains of one rate form a geometric series, which says what is to come.
        """
        patience, stops_early = self.solver.n_iter_no_change, self.solver.early_stopping
        if self.solver.schedule == "linear" and not stops_early and point.usable:
            return True if record.iterations == record.max_iter else None
        gain = point.value - self.before
        if self.on_all_rows and not stops_early and self._is_calm(gain):
            return True
        stalled = record.since >= patience
        if stalled and stops_early:
            return True  # the rows held out have had enough
        # A minibatch epoch may fall by chance, a batch step only by a rate that is too large.
        if point.usable and (not stalled or (self.on_all_rows and gain >= 0)):
            return None
        lowest = min(record.objectives[-patience:])
        if self.on_all_rows and lowest >= record.best_value - self.threshold:
            return True  # momentum swings about the maximum
        if self.solver.schedule != "adaptive":
            self.trouble = "stopped rising" if point.usable else "overflowed"
            return False
        if self.cuts == CUTS:
            return point.usable
        # Half the rate, from the best iterate on, with no memory of the slopes on the way here.
        self.cuts, self.goes_back, record.since = self.cuts + 1, True, 0
        self._start_afresh(self.rate / CUT)
        return None

    def _is_calm(self, gain):
        """Return whether some iterations in a row have promised no more than the tolerance."""
        left = remaining(gain, self.last_gain) if gain >= 0 else np.inf
        self.calm = self.calm + 1 if left <= self.threshold else 0
        self.last_gain = gain
        return self.calm == CALM


def with_momentum(momentum):
    """Return the rule that adds a share of the last step to every step."""
    velocity = 0.0

    def rule(slope, rate):
        nonlocal velocity
        velocity = momentum * velocity + rate * slope
        return velocity

    return rule


class GradientAscent(Ascent):
    """Batch gradient ascent, as the papers of 1991 trained their mixtures [1]_.

    Every iteration is one pass over all rows and one step along the gradient *divided by the total
    weight of the rows*. Scales are changed by their logarithms, covariances by their Cholesky
    factors; x and y are standardised, where the estimator does so.

    By default every coordinate has a learning rate of its own that adapts, as Jacobs proposed for
    such networks [2]_: it grows while the slope keeps its sign and shrinks where the sign changes.
    After a step that is lower than the last ten iterates the climb goes on from before it with half
    the rates; where the path turns down, the momentum is dropped.

    With a number, the step is fixed, as the paper's: ``learning_rate`` is a step per row, whatever
    their number, and a paper's step for the sum over n rows is n times as large here. A fixed step
    may overshoot, and then the objective falls; if it stops rising, or overflows, the fit ends with
    a warning that says to lower the learning rate.

    Either way the fit returns the best of its iterates, so `lower_bounds_`, the best so far, never
    fall and end at the parameters returned; ``learning_curve_["objective"]`` holds the true path.
    It has converged when three iterations in a row gain no more than `tol` a unit of weight and
    promise no more.

    Parameters
    ----------
    learning_rate : "auto" or float, default="auto"
        "auto": one for each coordinate, which adapts. A number: the same for all, the step per unit
        of weight. The largest one that climbs is about 2σ² of the sharpest expert, σ in standard
        deviations of y: noise that is small needs small steps.
    momentum : "auto" or float, default="auto"
        The share of the last step that is added to the next [3]_: 0.9 is ten times as fast along a
        valley. "auto": 0.9 where the learning rates adapt, and 0 with a fixed one.
    schedule : {"constant", "adaptive", "linear"}, default="constant"
        Of a learning rate that is a number: whether to keep it, to halve it and go back to the
        best iterate where the objective has stopped rising, at most eight times, or to lower it by
        the same amount every iteration, to 0 at the estimator's `max_iter`, where the fit ends.
    warm_up : int, default=0
        Passes of EM to begin with; they count as iterations.
    early_stopping : bool, default=False
        Hold rows out, stop when the objective on them no longer rises, and return the parameters
        that did best on them.
    validation_fraction : float, default=0.1
        The share of the total weight that is held out; groups are held out whole.
    n_iter_no_change : int, default=30
        With a fixed step, iterations without a gain of `tol` a unit of weight after which to halve
        the learning rate or give up, if the objective also falls; with early stopping, without a
        gain on the rows held out, after which to stop.
    random_state : int, RandomState or None, default=None
        For the choice of the rows held out; None: from the estimator's.

    Notes
    -----
    The rates are those of the delta-bar-delta rule [2]_, but for growing by a factor of 1.2 in
    place of a constant, as in [4]_; they start at 0.1.

    References
    ----------
    .. [1] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.
    .. [2] Jacobs, R. A. (1988). Increased rates of convergence through learning rate adaptation.
       Neural Networks 1, 295-307.
    .. [3] Rumelhart, D. E., Hinton, G. E. & Williams, R. J. (1986). Learning representations by
       back-propagating errors. Nature 323, 533-536.
    .. [4] Tollenaere, T. (1990). SuperSAB: fast adaptive back propagation with good scaling
       properties. Neural Networks 3, 561-573.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> from classic_moe.solvers import GradientAscent
    >>> X, y = make_crossing_lines(random_state=0)
    >>> solver = GradientAscent(learning_rate=0.1, momentum=0.9)
    >>> model = MixtureOfExpertsRegressor(2, gate="constant", solver=solver, n_init=1)
    >>> model.fit(X, y).converged_
    True
    """

    own_rates = True

    def __init__(
        self,
        learning_rate: float | str = "auto",
        momentum: float | str = "auto",
        schedule: str = "constant",
        warm_up: int = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 30,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.schedule = schedule
        self.warm_up = warm_up
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _run_from(self, point, objective, record, tol, rng):
        if not self._adapts(self.learning_rate):
            return super()._run_from(point, objective, record, tol, rng)
        momentum = MOMENTUM if self._adapts(self.momentum) else self.momentum
        patience = self.n_iter_no_change if self.early_stopping else None
        steps = _RatesThatAdapt(objective, point, momentum, tol * objective.weight, patience)
        return loop(steps, point, record)[1], ""

    def _new_rule(self):
        return with_momentum(0.0 if self._adapts(self.momentum) else self.momentum)


class _RatesThatAdapt(Steps):
    """Steps in which every coordinate has a learning rate of its own.

    Parameters
    ----------
    objective : FreeObjective
    point : Point
        Where the objective stands.
    momentum : float
    threshold : float
        What the next steps may promise at the end.
    patience : int or None
        With early stopping, iterations without a gain after which to end.
    """

    def __init__(self, objective, point, momentum, threshold, patience):
        self.objective, self.threshold, self.patience = objective, threshold, patience
        self.momentum, size = momentum, len(objective.vector)
        self.rates, self.mean, self.velocity = np.full(size, FIRST), np.zeros(size), np.zeros(size)
        self.point, self.slope = point, objective.slope(objective.vector, point)
        self.values, self.calm = [point.value], 0

    def step(self, point, record):
        """Return the point after one step; if it is one too far, the next goes on from before."""
        proposal = self.objective.coordinates.clip(self.objective.vector + self._step())
        following = self.objective.evaluate(proposal)
        if following.value < min(self.values[-SLACK:]):
            self.rates, self.velocity = self.rates / CUT, np.zeros_like(self.velocity)
            self.calm = 0
            return following
        gain = following.value - self.point.value
        self.point, self.objective.vector = following, proposal
        self.slope = self.objective.slope(proposal, following)
        self.values.append(following.value)
        promise = max(abs(gain), self._promise())
        self.calm = self.calm + 1 if promise <= self.threshold else 0
        return following

    def arrived(self, point, record):
        """Return True after a calm time, or once patience with the rows held out has run out."""
        if self.patience is not None:
            return True if record.since >= self.patience else None
        return True if self.calm == CALM else None

    def _step(self):
        """Return the next step, after the rates have adapted to the slope."""
        agreement = self.slope * self.mean
        factor = np.where(agreement > 0, LONGER, np.where(agreement < 0, SHORTER, 1.0))
        self.rates = np.minimum(factor * self.rates, GREATEST)
        self.mean = PAST * self.mean + (1 - PAST) * self.slope
        if self.slope @ self.velocity < 0:  # the path has turned down
            self.velocity = np.zeros_like(self.slope)
        self.velocity = self.momentum * self.velocity + self.rates * self.slope
        return self.velocity

    def _promise(self):
        """Return what a step would gain to first order, with the momentum in full swing."""
        first = float(self.slope @ (self.rates * self.slope)) / (1 - self.momentum)
        return first * self.objective.weight
