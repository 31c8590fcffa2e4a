"""Steps along the gradient, and the batch ascent of the papers."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..parts.checks import check_option, is_number
from .em import remaining
from .gradient import GradientSolver

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

    batch_size = None
    own_rates = False
    """Whether the learning rate may be "auto"."""

    def check_parameters(self):
        super().check_parameters()
        name = type(self).__name__
        rate, momentum = self.learning_rate, getattr(self, "momentum", 0.0)
        if not (self._adapts(rate) or (is_number(rate) and 0 < rate < np.inf)):
            choices = "'auto' or a positive number" if self.own_rates else "a positive number"
            raise ValueError(f"learning_rate={rate!r} of {name}: needs {choices}.")
        if not (self._adapts(momentum) or (is_number(momentum) and 0 <= momentum < 1)):
            choices = "'auto' or a number" if self.own_rates else "a number"
            raise ValueError(
                f"momentum={momentum!r} of {name}: needs {choices} of at least 0 and below 1."
            )
        check_option(self, "schedule", ("constant", "adaptive"))

    def _adapts(self, value):
        """Whether a learning rate or a momentum is left to the solver."""
        return self.own_rates and isinstance(value, str) and value == "auto"

    def _integers(self):
        sized = {} if self.batch_size is None else {"batch_size": 1}
        return super()._integers() | sized

    @abstractmethod
    def _rule(self):
        """A function (slope, rate) -> step, with a memory of its own."""

    def _climb(self, trail, rng):
        rate, rule = self.learning_rate, self._rule()
        cuts, calm, last_gain = 0, 0, None
        adaptive, stops_early = self.schedule == "adaptive", trail.held_out is not None
        whole = self.batch_size is None or self.batch_size >= len(trail.training.weight)
        threshold = trail.tol * trail.weight
        while not trail.ended:
            before = trail.point.value
            vector = self._epoch(trail, rule, rate, None if whole else rng)
            if trail.move(vector, trail.look(vector)):
                break
            gain, lost = trail.point.value - before, not np.isfinite(trail.point.value)
            if whole and not stops_early:  # the gains of one rate form a geometric series
                left = remaining(gain, last_gain) if gain >= 0 else np.inf
                calm = calm + 1 if left <= threshold else 0
                if calm == CALM:
                    return True
                last_gain = gain
            stalled = trail.since >= self.n_iter_no_change
            if stalled and stops_early:
                return True
            if not lost and (not stalled or (whole and gain >= 0)):
                continue
            if whole and min(trail.curve[-self.n_iter_no_change :]) >= trail.best[1] - threshold:
                return True  # momentum swings about the maximum
            if not adaptive:
                self._advise(trail, "overflowed" if lost else "stopped rising")
                return False
            if cuts == CUTS:
                return not lost
            rate, rule = rate / CUT, self._rule()
            cuts, calm, last_gain = cuts + 1, 0, None
            trail.back()
        if not adaptive and trail.point.value < trail.best[1] - threshold:
            self._advise(trail, "fell in the end")
        return False

    def _epoch(self, trail, rule, rate, rng):
        """The vector after one step, or after one for each minibatch."""
        clip, vector = trail.coordinates.clip, trail.vector
        if rng is None:
            return clip(vector + rule(trail.slope(vector, trail.point), rate))
        for share, rows in trail.training.minibatches(self.batch_size, rng):
            point = trail.look(vector, rows)
            if not np.isfinite(point.value):
                break
            vector = clip(vector + rule(trail.slope(vector, point, share), rate))
        return vector

    def _advise(self, trail, what):
        trail.cure = (
            f"the objective {what} at learning_rate={self.learning_rate:g}; lower it, or use"
            " schedule='adaptive'"
        )


def with_momentum(momentum):
    """The rule that adds a share of the last step to every step."""
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
    schedule : {"constant", "adaptive"}, default="constant"
        Of a learning rate that is a number: whether to keep it, or to halve it and go back to the
        best iterate where the objective has stopped rising, at most eight times.
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
        learning_rate="auto",
        momentum="auto",
        schedule="constant",
        warm_up=0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=30,
        random_state=None,
    ):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.schedule = schedule
        self.warm_up = warm_up
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _climb(self, trail, rng):
        if not self._adapts(self.learning_rate):
            return super()._climb(trail, rng)
        momentum = MOMENTUM if self._adapts(self.momentum) else self.momentum
        stops_early, threshold = trail.held_out is not None, trail.tol * trail.weight
        vector, point = trail.vector, trail.point
        slope, rule = trail.slope(vector, point), _Rates(momentum, len(vector))
        values, calm = [point.value], 0
        while not trail.ended:
            step = rule(slope)
            proposal = trail.coordinates.clip(vector + step)
            following = trail.look(proposal)
            trail.move(proposal, following)
            if stops_early and trail.since >= self.n_iter_no_change:
                return True
            if following.value < min(values[-SLACK:]):
                rule.retreat()
                calm = 0
                continue
            gain = following.value - point.value
            vector, point = proposal, following
            slope = trail.slope(vector, point)
            values.append(point.value)
            promise = rule.promise(slope) * trail.weight
            calm = calm + 1 if max(abs(gain), promise) <= threshold else 0
            if calm == CALM and not stops_early:
                return True
        return False

    def _rule(self):
        return with_momentum(0.0 if self._adapts(self.momentum) else self.momentum)


class _Rates:
    """The rule slope -> step in which every coordinate has a learning rate of its own."""

    def __init__(self, momentum, size):
        self.momentum = momentum
        self.rates, self.mean, self.velocity = np.full(size, FIRST), np.zeros(size), np.zeros(size)

    def __call__(self, slope):
        agreement = slope * self.mean
        factor = np.where(agreement > 0, LONGER, np.where(agreement < 0, SHORTER, 1.0))
        self.rates = np.minimum(factor * self.rates, GREATEST)
        self.mean = PAST * self.mean + (1 - PAST) * slope
        if slope @ self.velocity < 0:  # the path has turned down
            self.velocity = np.zeros_like(slope)
        self.velocity = self.momentum * self.velocity + self.rates * slope
        return self.velocity

    def promise(self, slope):
        """What a step would gain to first order, with the momentum in full swing."""
        return float(slope @ (self.rates * slope)) / (1 - self.momentum)

    def retreat(self):
        """After a step too far."""
        self.rates, self.velocity = self.rates / CUT, np.zeros_like(self.velocity)
