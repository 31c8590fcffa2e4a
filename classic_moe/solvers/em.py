"""The EM algorithm, generalised and safeguarded, plain or accelerated."""

from __future__ import annotations

import numpy as np

from ..model import fused_climb
from ..parts.params import all_finite, interpolate, ravel, unravel
from .base import BaseSolver
from .loop import BestSoFar, Coarse, Point, Record, Steps, evaluate, loop

PATIENCE = 10
"""Iterations without a new best after which steps that need not climb have ended."""
ROUNDING = 1e-10
"""A fall of this relative size, after a step that cannot descend, is nothing but rounding."""
BLUR = 1e-12
"""Changes of this relative size drown in the rounding of the objective: slopes tell them."""
AT_ONCE, AT_ONCE_OF_MANY, MANY = 36, 12, 2_000
"""Iterations of a compiled climb before it is asked whether another way is better, and from how
many rows on more often."""


class EM(BaseSolver):
    """Plain EM, the reference: one pass over the rows an iteration.

    The pass that evaluates a proposal is also the next E-step. The M-step is exact for experts with
    a closed form and one Newton step for the others and for the gate (generalised EM), so it can
    overshoot. A proposal is accepted only if the penalised objective does not fall; otherwise the
    step is shortened, and in the end the certain step (`cautious=True`) is taken.

    The run ends when the gain of an iteration, and what Aitken's rule expects still to come, are
    both below `tol` per unit of weight. Gains too small for the digits of the objective are told by
    its slopes at both ends of the step, where gate and experts have gradients; so `tol` may be far
    below the rounding of the objective.

    References
    ----------
    Dempster, A. P., Laird, N. M. & Rubin, D. B. (1977). Maximum likelihood from incomplete data
    via the EM algorithm. Journal of the Royal Statistical Society B 39, 1-38.
    """

    foretells = True
    accelerated = False

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return where the climb ended."""
        threshold = tol * batches.total_weight
        record = Record(max_iter, callback, least_gain=threshold)
        if model.ascends:
            steps = em_steps(model, batches, threshold, self.accelerated)
            point = steps.begin(params, record)
        else:  # plain steps that may fall, algorithm 2 of Jordan & Jacobs (1994)
            point = evaluate(model, batches, params)
            record.add(point)

            def step(point):
                return evaluate(model, batches, model.maximize(point.params, point.stats))

            steps = BestSoFar(step, PATIENCE)
        return record.result(*loop(steps, point, record))


class AcceleratedEM(EM):
    """EM with SQUAREM: after every two steps the path is extrapolated.

    With r the first step and v the change from the first to the second, the next iterate is
    p - 2a r + a² v, a = -‖r‖ / ‖v‖ [1]_. It is taken only if the objective does not fall, so the
    path is monotone as EM's own.

    References
    ----------
    .. [1] Varadhan, R. & Roland, C. (2008). Simple and globally convergent methods for
       accelerating the convergence of any EM algorithm. Scandinavian Journal of Statistics 35,
       335-353.
    """

    accelerated = True


def em_steps(model, batches, threshold, accelerated=True):
    """Return the steps of EM, accelerated if asked and where the parameters may be."""
    kind = AcceleratedSteps if accelerated and model.extrapolates else CertainSteps
    return kind(model, batches, threshold)


class CertainSteps(Steps):
    """Steps of EM that do not fall.

    Attributes
    ----------
    gain, last_gain : float or None
        What the last step gained, and the one before; None where there is none of its kind.
    """

    accelerated = False

    def __init__(self, model, batches, threshold):
        self.model, self.batches, self.threshold = model, batches, threshold
        self.gain = self.last_gain = self.fall = None
        self.fused = fused_climb.lookup(model, batches)
        self.at_once = AT_ONCE if batches.n < MANY else AT_ONCE_OF_MANY
        self._hands_back = False
        self._blur, self._made = None, 0

    def begin(self, params, record):
        """Return the point of the params that a run starts from, in the record too.

        Where it climbs in compiled code the point has no statistics: they stay there.
        """
        point = None
        if self._climbs(params, record):
            point = Point(params, None, self.fused.begin(params))
        if point is None or not np.isfinite(point.value):
            point = evaluate(self.model, self.batches, params)
        record.add(point)
        self.restart(point)
        return point

    @property
    def pauses(self):
        """Whether somebody may ask if another way is better: not in the middle of a climb."""
        return self._made == 0

    def _climbs(self, params, record):
        """Return whether steps from params may be made in compiled code."""
        return self.fused is not None and self.fused.suits(params)

    def restart(self, point):
        """Forget the steps so far; the next begins at a point."""
        self.gain = self.last_gain = self.fall = None

    def step(self, point, record):
        """Return the next point, or this one where not even the certain step climbs.

        Where the model climbs in compiled code it is the last of several, the others of which are
        put in the record, unless somebody asks for every iterate.
        """
        if self._climbs(point.params, record):
            following = self._climb(point, record)
            if following is not None:
                return following
        if point.stats is None:
            point = evaluate(self.model, self.batches, point.params)
            self.restart(point)
        return self._careful_step(point, record)

    def _climb(self, point, record):
        """Return the last point of several iterations; None where the next one needs care."""
        if self._hands_back:
            self._hands_back = False
            return None
        if self._blur is None:
            self._blur = BLUR * max(1.0, self.batches.total_weight, abs(point.value))
        left = min(self.at_once - self._made, record.max_iter - record.iterations)
        climbed = self.fused.run(
            point.params,
            point.value,
            max_iter=min(1 if record.tells_each else self.at_once, left),
            threshold=self.threshold,
            blur=self._blur,
            bar=record.callback.bar if isinstance(record.callback, Coarse) else Coarse.bar,
            accelerated=self.accelerated,
        )
        self._made = (self._made + len(climbed.values)) % self.at_once
        if climbed.ended:
            self._made = 0
        if not len(climbed.values):
            return None
        self._hands_back = climbed.hands_back
        values = climbed.values.tolist()
        following = Point(climbed.params, climbed.stats, values[-1], values[-1] - point.value)
        record.add_untold(values[:-1])
        self.restart(following)
        self.gain, self.last_gain = climbed.gain, climbed.last_gain
        return following

    def _careful_step(self, point, record):
        """Return the next point by the first proposal that does not fall."""
        following = ascend(self.model, self.batches, point)
        if following.gain < 0:
            self.fall = -following.gain
            return point
        self.gain, self.last_gain = following.gain, self.gain
        return following

    def arrived(self, point, record):
        """Return True where little is gained and little to be expected, or a fall is rounding."""
        if self.fall is not None:
            return bool(self.fall <= rounding(self.batches, point))
        if max(self.gain, remaining(self.gain, self.last_gain)) <= self.threshold:
            return True
        return None


class AcceleratedSteps(CertainSteps):
    """After every two steps of EM one along the path they took, if it does not fall."""

    accelerated = True

    def restart(self, point):
        """Forget the path so far; the next begins at a point."""
        super().restart(point)
        self.path = [point]

    def _careful_step(self, point, record):
        """Return the point extrapolated from the last three, or that of a step of EM."""
        if len(self.path) == 3:
            jump = self._extrapolated()
            taken = jump is not None and jump.gain >= 0
            self.path = [jump if taken else point]
            if taken:
                self.gain = None  # of another kind than the steps' gains
                return jump
        following = super()._careful_step(point, record)
        self.path.append(following)
        return following

    def _extrapolated(self):
        """Return SQUAREM's point from the path's three; None if it is the third of them."""
        first, second, third = (ravel(point.params) for point in self.path)
        r = second - first
        v = (third - second) - r
        norm = np.linalg.norm(v)
        a = -max(1.0, np.linalg.norm(r) / norm) if norm > 0 else -1.0
        if a == -1.0:  # p + 2r + v is the third iterate
            return None
        proposal = unravel(first - 2 * a * r + a * a * v, like=self.path[0].params)
        jump = evaluate(self.model, self.batches, proposal, tentative=True)
        return compared(self.model, self.batches, self.path[-1], jump)

    def arrived(self, point, record):
        """Return what steps of EM say; None after an extrapolation."""
        jumped = self.gain is None and self.fall is None
        return None if jumped else super().arrived(point, record)


def ascend(model, batches, point):
    """Return the first proposal that does not lower the objective; if there is none, the last."""
    lost = rounding(batches, point)
    for proposal, cautious in _proposals(model, point.params, point.stats):
        following = compared(model, batches, point, evaluate(model, batches, proposal))
        if following.gain >= 0:
            break
        if cautious and -following.gain <= lost:  # a maximum, but for rounding
            break
    return following


def rounding(batches, point):
    """Return by how much rounding alone may lower the objective at a point."""
    return ROUNDING * max(1.0, batches.total_weight, abs(point.value))


def compared(model, batches, start, end):
    """Return the point `end` with what it gained on `start`, and a value that says the same.

    Near a maximum a gain is quadratic in the step and sinks below the rounding of the objective
    while the gradient g is still known to many digits. There the trapezoid rule gives it,
    ½ (g(start) + g(end))ᵀ (end - start), right up to the third order of the step [1]_.

    References
    ----------
    .. [1] Hager, W. W. & Zhang, H. (2005). A new conjugate gradient method with guaranteed descent
       and an efficient line search. SIAM Journal on Optimization 16, 170-192: their "approximate
       Wolfe conditions", which judge a step by the same two slopes for the same reason.
    """
    gain = end.value - start.value
    blur = BLUR * max(1.0, batches.total_weight, abs(start.value))
    if not abs(gain) <= blur or model.lacks("gradient"):
        return end._replace(gain=gain)
    # In free coordinates, for these end at their bounds: an extrapolation may lie beyond, where the
    # density is that at the bound and nothing is gained by going on.
    coordinates = model.coordinates(end.params)
    vectors = [coordinates.free(point.params) for point in (start, end)]
    slopes = [
        coordinates.slope_in_free(vector, point.params, model.gradient(point.params, point.stats))
        for vector, point in zip(vectors, (start, end), strict=True)
    ]
    finer = 0.5 * float((slopes[0] + slopes[1]) @ (vectors[1] - vectors[0]))
    gain = finer if np.isfinite(finer) else gain
    return end._replace(value=start.value + gain, gain=gain)


def _proposals(model, params, stats):
    """Yield candidates for the next iterate, from the boldest to ever shorter cautious ones."""
    step = model.maximize(params, stats)
    yield step, False
    if all_finite(step):
        for t in (0.5, 0.1):
            yield interpolate(params, step, t), False
    step = model.maximize(params, stats, cautious=True)
    yield step, True
    if all_finite(step):
        for t in (0.25, 0.05, 0.01, 0.001):
            yield interpolate(params, step, t), True


def remaining(gain, last_gain):
    """Return Aitken's estimate of all gains still to come, from the ratio of the last two."""
    if not last_gain or gain <= 0:  # no gain to compare with, or none to go by
        return 100 * gain
    ratio = gain / last_gain
    return gain * ratio / (1 - ratio) if ratio < 0.999 else 1000 * gain
