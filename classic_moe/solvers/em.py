"""The EM algorithm, generalised and safeguarded, plain or accelerated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError

from ..parts.params import Params, all_finite, interpolate, ravel, unravel
from ..parts.statistics import Statistics
from .base import BaseSolver, Result

PATIENCE = 10
"""Iterations without a new best after which steps that need not climb have ended."""
ROUNDING = 1e-10
"""A fall of this relative size, after a step that cannot descend, is nothing but rounding."""
BLUR = 1e-12
"""Changes of this relative size drown in the rounding of the objective: slopes tell them."""


class Point(NamedTuple):
    """Params, their statistics and their penalised objective: what one pass brings back.

    `gain` is what the step to the point gained, where there was one: a finer number than the
    difference of two values.
    """

    params: Params
    stats: Statistics | None
    value: float
    gain: float | None = None


class EM(BaseSolver):
    """Plain EM, the reference: one pass over the rows an iteration.

    The pass that scores a proposal is also the next E-step. The M-step is exact for experts with
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

    accelerated = False

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        if not model.ascends:
            return _best_of_iterates(model, params, batches, max_iter, tol, callback)
        point = score(model, batches, params)
        history, path, last_gain = [point.value], [point], None
        accelerated = self.accelerated and model.extrapolates
        threshold = tol * batches.total_weight
        size = max(1.0, batches.total_weight)

        def end(converged, stopped=False):
            return Result(point.params, point.stats, history, converged, stopped)

        while len(history) <= max_iter and np.isfinite(point.value):
            following = ascend(model, batches, point)
            gain = following.gain
            if gain < 0:  # not even the certain step: at a maximum
                history.append(point.value)
                return end(bool(-gain <= ROUNDING * max(size, abs(point.value))))
            point = following
            history.append(point.value)
            if _says_stop(callback, history, point):
                return end(False, stopped=True)
            if max(gain, remaining(gain, last_gain)) <= threshold:
                return end(True)
            last_gain = gain
            path.append(point)
            if accelerated and len(path) == 3 and len(history) <= max_iter:
                jump = compared(model, batches, point, _extrapolate(model, batches, path))
                if jump.gain >= 0:
                    point, last_gain = jump, None
                    history.append(point.value)
                    if _says_stop(callback, history, point):
                        return end(False, stopped=True)
                path = [point]
        return end(False)


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


def _best_of_iterates(model, params, batches, max_iter, tol, callback):
    """Plain steps that may fall, as of algorithm 2 of Jordan & Jacobs (1994)."""
    point = best = score(model, batches, params)
    history, since, stopped = [best.value], 0, False
    threshold = tol * batches.total_weight
    while len(history) <= max_iter and since < PATIENCE and np.isfinite(best.value) and not stopped:
        if point.stats is None or not np.isfinite(point.value):
            point = best
        point = score(model, batches, model.maximize(point.params, point.stats))
        since = 0 if point.value > best.value + threshold else since + 1
        best = point if point.value > best.value else best
        history.append(best.value)
        stopped = _says_stop(callback, history, point)
    return Result(best.params, best.stats, history, since >= PATIENCE, stopped)


def score(model, batches, params):
    """One pass: the statistics and the objective; -inf for params that are no model at all."""
    if not all_finite(params):
        return Point(params, None, -np.inf)
    try:
        stats = batches.map_sum(model.statistics, params)
        value = float(stats["objective"] + model.log_prior(params))
    except LinAlgError:  # a covariance that is not positive definite
        return Point(params, None, -np.inf)
    return Point(params, stats, value if np.isfinite(value) else -np.inf)


def ascend(model, batches, point):
    """The first proposal that does not lower the objective; if there is none, the last."""
    lost = ROUNDING * max(1.0, batches.total_weight, abs(point.value))
    for proposal, cautious in _proposals(model, point.params, point.stats):
        following = compared(model, batches, point, score(model, batches, proposal))
        if following.gain >= 0:
            break
        if cautious and -following.gain <= lost:  # a maximum, but for rounding
            break
    return following


def compared(model, batches, start, end):
    """The point `end` with what it gained on `start`, and a value that says the same.

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
    step = ravel(end.params) - ravel(start.params)
    slopes = (ravel(model.gradient(p.params, p.stats)) @ step for p in (start, end))
    finer = 0.5 * float(sum(slopes))
    gain = finer if np.isfinite(finer) else gain
    return end._replace(value=start.value + gain, gain=gain)


def _proposals(model, params, stats):
    """Candidates for the next iterate, from the boldest to ever shorter cautious ones."""
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


def _extrapolate(model, batches, path):
    """SQUAREM's point from three successive iterates."""
    first, second, third = (ravel(point.params) for point in path)
    r = second - first
    v = (third - second) - r
    norm = np.linalg.norm(v)
    a = -max(1.0, np.linalg.norm(r) / norm) if norm > 0 else -1.0
    proposal = unravel(first - 2 * a * r + a * a * v, like=path[0].params)
    if a == -1.0:
        return Point(proposal, None, -np.inf)  # that is the last iterate again
    return score(model, batches, proposal)


def _says_stop(callback, history, point):
    return callback is not None and callback(len(history) - 1, point.params, point.value) is True


def remaining(gain, last_gain):
    """Aitken's estimate of all gains still to come, from the ratio of the last two."""
    if last_gain is None or gain <= 0:
        return 100 * gain
    ratio = gain / last_gain
    return gain * ratio / (1 - ratio) if ratio < 0.999 else 1000 * gain
