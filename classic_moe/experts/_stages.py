"""The families whose pass has three stages: what they do elementwise, between compiled sums."""

from __future__ import annotations

import functools

from .._kernels import array
from ..parts.kernel import Kernel, Stage, Weights
from ..parts.statistics import Statistics


def _from_sums(expert, params, sums):
    """Return the statistics, which are the sums."""
    return Statistics(sums)


def generalized_linear(power):
    """Return the kernel of experts with one score η and Σ resp z^power in their statistics."""
    return Kernel("staged", functools.partial(_generalized_linear_stage, power), _from_sums)


def _generalized_linear_stage(power, expert, params):
    """Return the `Stage` of a generalised linear expert: its elementwise functions of y and η."""
    nuisance = expert.nuisance(params)

    def log_prob(scores, y, offset=None):
        eta = scores[:, :, 0]
        eta = expert.clip(params, eta if offset is None else eta + offset[:, None])
        return expert.log_density(y, eta, **nuisance), eta

    def weights(eta, y, resp, order):
        slope, curvature = expert.derivatives(y, eta, **nuisance)
        chain = expert.clip_slope(params, eta)
        return Weights(
            grams={"gram": curvature * chain**2} if order > 1 else {},
            moments={"gradient": slope * chain},
            powers={"powers": power},
            totals={
                "n": resp.sum(axis=0),
                **expert.nuisance_statistics(y, eta, resp, **nuisance),
            },
        )

    return Stage(params["coef"][:, None, :], False, log_prob, weights)


def _student_t_stage(expert, params):
    """Return the `Stage` of Student-t experts: scores are the q whitened residuals."""
    whitening, log_norm = expert._whitening(params)

    def log_prob(scores, y):
        return expert._log_density(params, scores, log_norm), scores

    def weights(scores, y, resp, order):
        weight = expert._weight(params, scores)
        log_weight = array.namespace(scores).log(weight)
        return Weights(
            grams={"gram": weight},
            totals={
                "n": resp.sum(axis=0),
                "log_weight": (resp * log_weight).sum(axis=0),
                "spread": (resp * (1 - weight) ** 2).sum(axis=0),
            },
        )

    return Stage(whitening, True, log_prob, weights)


STUDENT_T = Kernel("staged", _student_t_stage, _from_sums)
