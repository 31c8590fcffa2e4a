"""Randomised quantile residuals of a mixture of experts.

References
----------
Dunn, P. K. & Smyth, G. K. (1996). Randomized quantile residuals. Journal of Computational and
Graphical Statistics 5, 236-244.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom

from ..parts.checks import can, fitted_fact

TINY = 1e-300
"""The least tail probability: a residual has at most 37 in size."""


def quantile_residuals(model, fitted, X, y, rng):
    """Return Φ⁻¹(F(y given x)) of every row, (n, q): standard normal if the model is right.

    Where F jumps at y, as of counts and classes, a point on the jump is drawn. Of several outputs
    each has its own F.

    Parameters
    ----------
    model : fitted estimator
    fitted : Fitted
    X, y : as of `predict` and `fit`
    rng : RandomState

    Returns
    -------
    ndarray of shape (n, q), or None where the model has no distribution of y
    """
    tails = _tails(model, fitted, X, y)
    if tails is None:
        return None
    below, mass, above = (np.reshape(each, (len(each), -1)) for each in tails)
    u = rng.uniform(size=below.shape)
    lower = np.maximum(below - (1 - u) * mass, TINY)  # P(Y < y) + u P(Y = y)
    upper = np.maximum(above + (1 - u) * mass, TINY)
    # Each by its shorter tail, which keeps its digits.
    return np.where(lower < upper, ndtri(lower), -ndtri(upper))


def _tails(model, fitted, X, y):
    """Return P(Y <= y), P(Y = y) and P(Y > y) of every row; None where there are none."""
    target = fitted.model.expert.target
    if fitted_fact(model, "classes_") is not None:
        proba = model.predict_proba(X)
        code = np.searchsorted(model.classes_, np.asarray(y))[:, None]
        upto, after = np.cumsum(proba, axis=1), np.cumsum(proba[:, ::-1], axis=1)[:, ::-1]
        below, mass, above = (np.take_along_axis(each, code, 1) for each in (upto, proba, after))
        return below, mass, above - mass
    if not can(model, "predict_dist"):
        return None
    y = np.asarray(y, dtype=np.float64)
    if target.trials:
        return _of_trials(model, X, y)
    dist = model.predict_dist(X)
    below, above = dist.cdf(y), dist.sf(y)
    mass = dist.pdf(y) if target.kind == "mass" else np.zeros(below.shape)
    return below, mass, above


def _of_trials(model, X, y):
    """Return the same of successes out of trials, each row having its own number of them."""
    trials, gate = y.sum(axis=1, keepdims=True), model.gate_proba(X)
    share = np.reshape(model.predict_experts(X), gate.shape)
    each = binom(trials, share)
    return tuple((gate * say(y[:, :1])).sum(axis=1) for say in (each.cdf, each.pmf, each.sf))
