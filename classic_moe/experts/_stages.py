"""The families whose pass has three stages: what they do elementwise, between compiled sums."""

from __future__ import annotations

import functools

import numpy as np

from .._kernels import array
from .._kernels.special import with_twin
from ..parts.kernel import Kernel, Stage, Weights
from ..parts.statistics import Statistics

UNCLIPPED = 1.0
"""The slope of a clipping that is none, by identity."""


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
        value, known = expert.log_density_and_known(y, eta, **nuisance)
        return value, (eta, known)

    def weights(both, y, resp, order):
        eta, known = both
        kept = {} if known is None else {"known": known}
        (slope, curvature), own = expert.slopes_and_nuisance(y, eta, resp, **kept, **nuisance)
        chain = expert.clip_slope(params, eta)
        if chain is not UNCLIPPED:
            slope, curvature = slope * chain, curvature * chain**2
        return Weights(
            grams={"gram": curvature} if order > 1 else {},
            moments={"gradient": slope},
            powers={"powers": power},
            totals={"n": resp.sum(axis=0), **own},
        )

    return Stage(params["coef"][:, None, :], False, log_prob, weights)


def _student_t_stage(expert, params):
    """Return the `Stage` of Student-t experts: scores are the q whitened residuals."""
    whitening, log_norm = expert._whitening(params)
    df, normalised = expert._normalised(params, log_norm)

    q = whitening.shape[1]
    largest = np.log1p(q / df)

    def log_prob(scores, y):
        value, *known = t_terms(scores, df, normalised)
        return value, known

    def weights(known, y, resp, order):
        weight, log_growth = known
        n = resp.sum(axis=0)
        return Weights(
            grams={"gram": weight},
            totals={
                "n": n,
                "log_weight": n * largest - _dots(resp, log_growth),
                "spread": _dots(resp, (1 - weight) ** 2),
            },
        )

    return Stage(whitening, True, log_prob, weights)


@with_twin
def t_terms(x, df, log_norm):
    """Return log t_ν, the weights (ν + q)/(ν + δ) and log(1 + δ/ν) of residuals x (n, K, q)."""
    q, growth = x.shape[2], distance(x) / df
    log_growth = array.namespace(x).log1p(growth)
    return log_norm - 0.5 * (df + q) * log_growth, (1 + q / df) / (1 + growth), log_growth


STUDENT_T = Kernel("staged", _student_t_stage, _from_sums)


def distance(U):
    """Return the squared distances δ = uᵀu, (n, K), from whitened residuals (n, K, q)."""
    if U.shape[2] == 1:
        return U[:, :, 0] ** 2
    return array.namespace(U).sum(U * U, axis=2)


def _dots(resp, values):
    """Return Σ resp·values over the rows, (K,), of arrays (n, K) whose rows are innermost."""
    return np.array([np.dot(*pair) for pair in zip(resp.T, np.asarray(values).T, strict=True)])


def _laplace_stage(expert, params):
    """Return the `Stage` of Laplace experts: the score is the residual.

    Rows with a residual between the two floors are rare: what they add to the Gram and the moment
    of the bold step makes those of the certain one.
    """
    b, floors = expert._scales(params), expert.floors
    coef = np.concatenate([-params["coef"], np.ones((len(b), 1, 1))], axis=2)
    log_norm = np.log(2 * b)

    def log_prob(scores, y):
        residual = scores[:, :, 0]
        size = np.abs(residual)
        return -size / b - log_norm, (residual, size)

    def weights(known, y, resp, order):
        residual, size = known
        bold, certain = (np.maximum(size, floor * b) for floor in floors)
        weight = 1 / bold
        grams, moments = {"gram": weight}, {"moment": residual * weight}
        if np.any(size < floors[0] * b):
            more = 1 / certain - weight
            grams["more"], moments["more_moment"] = more, residual * more
        square = residual**2
        majorants = [0.5 * (resp * (c + square / c)).sum(axis=0) for c in (bold, certain)]
        totals = {"n": resp.sum(axis=0), "bold": majorants[0], "certain": majorants[1]}
        return Weights(grams=grams, moments=moments, totals=totals)

    return Stage(coef, True, log_prob, weights)


def _laplace_statistics(expert, params, sums):
    """Return the statistics of both floors from the sums, those over [1, x] alone."""
    d = params["coef"].shape[2]
    gram, moment = sums["gram"][:, :d, :d], sums["moment"][:, :d]
    more, more_moment = sums.get("more"), sums.get("more_moment")
    return Statistics(
        n=sums["n"],
        gram=np.stack([gram, gram if more is None else gram + more[:, :d, :d]], axis=1),
        moment=np.stack([moment, moment if more is None else moment + more_moment[:, :d]], axis=1),
        majorant=np.stack([sums["bold"], sums["certain"]], axis=1),
    )


LAPLACE = Kernel("staged", _laplace_stage, _laplace_statistics)
