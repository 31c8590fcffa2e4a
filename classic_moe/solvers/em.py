"""The EM algorithm, generalised and safeguarded."""

from __future__ import annotations

import numpy as np

from ..params import all_finite, interpolate
from .base import BaseSolver, Result

ROUNDING = 1e-13
"""Relative size of differences in the objective that are nothing but rounding."""


class EM(BaseSolver):
    """Plain EM, the reference: one pass over the rows an iteration.

    The pass that scores a proposal is also the next E-step. The M-step is exact for experts with
    a closed form and one Newton step for the others and for the gate (generalised EM), so it can
    overshoot. A proposal is accepted only if the penalised objective does not fall; otherwise the
    step is shortened, and in the end the certain step (`cautious=True`) is taken.

    The run ends when the gain of an iteration, and what Aitken's rule expects still to come, are
    both below `tol` per unit of weight.

    References
    ----------
    Dempster, A. P., Laird, N. M. & Rubin, D. B. (1977). Maximum likelihood from incomplete data
    via the EM algorithm. Journal of the Royal Statistical Society B 39, 1-38.
    """

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        def evaluate(params):
            if not all_finite(params):
                return None, -np.inf
            stats = batches.map_sum(model.statistics, params)
            value = stats["objective"] + model.log_prior(params)
            return stats, value if np.isfinite(value) else -np.inf

        stats, value = evaluate(params)
        history = [value]
        threshold = tol * batches.total_weight
        last_gain = None
        for iteration in range(1, max_iter + 1):
            for proposal in _proposals(model, params, stats):
                new_stats, new_value = evaluate(proposal)
                if new_value >= value:
                    break
            else:  # not even the certain step ascends: at a maximum, up to rounding
                history.append(value)
                fall = value - new_value
                size = max(1.0, abs(value), batches.total_weight)
                return Result(params, stats, history, bool(fall <= 1e3 * ROUNDING * size))
            gain = new_value - value
            params, stats, value = proposal, new_stats, new_value
            history.append(value)
            if callback is not None and callback(iteration, params, value) is True:
                return Result(params, stats, history, False, stopped=True)
            if max(gain, _remaining(gain, last_gain)) <= threshold:
                return Result(params, stats, history, True)
            last_gain = gain
        return Result(params, stats, history, False)


def _proposals(model, params, stats):
    """Candidates for the next iterate, from the boldest to the one that is certain to ascend."""
    step = model.maximize(params, stats)
    yield step
    if all_finite(step):
        for t in (0.5, 0.1):
            yield interpolate(params, step, t)
    yield model.maximize(params, stats, cautious=True)


def _remaining(gain, last_gain):
    """Aitken's estimate of all gains still to come, from the ratio of the last two."""
    if last_gain is None or gain <= 0:
        return 100 * gain
    ratio = gain / last_gain
    return gain * ratio / (1 - ratio) if ratio < 0.999 else 1000 * gain
