"""Keeping the k best experts of every row: which they are, and the gate that is left."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from .._kernels.loading import pays
from .checks import is_integer


def check_kept(value, name, owner):
    """Raise a ValueError for a number of kept experts that is none."""
    if not (is_integer(value) and value >= 1):
        raise ValueError(f"{name}={value!r} of {owner}: needs an integer of at least 1.")


def best(values, k):
    """Return the numbers of the k largest of every row, the largest first: (n, K) -> (n, k).

    Of equals the one of lower number is the larger.
    """
    if pays(values.size // 8):
        from .._kernels import compiled  # numba is imported here, at first use

        return compiled.best(values, k)
    return array.best(values, k)


def route(log_prob, k):
    """Return the k best experts of every row, and the logarithms of their renormalised shares.

    Parameters
    ----------
    log_prob : ndarray of shape (n, K)
    k : int

    Returns
    -------
    experts : ndarray of int of shape (n, min(k, K)), the best first
    log_weight : ndarray of shape (n, min(k, K)), rows logsumexp to 0
    """
    experts = best(log_prob, min(k, log_prob.shape[1]))
    return experts, normalised(np.take_along_axis(log_prob, experts, axis=1))


def normalised(log_weight):
    """Return log-weights (n, k) less the logsumexp of their row."""
    return log_weight - array.logsumexp(log_weight)[:, None]


def spread(experts, log_weight, n_experts):
    """Return what `route` gives as log g_k(x), (n, K): -inf where a row does not go."""
    log_prob = np.full((len(experts), n_experts), -np.inf)
    np.put_along_axis(log_prob, experts, log_weight, axis=1)
    return log_prob


def keep(log_prob, k):
    """Return log g_k(x) with the k best of a row renormalised and -inf for the others, (n, K).

    With k = None, or at least K, as it is.
    """
    n_experts = log_prob.shape[1]
    if k is None or k >= n_experts:
        return log_prob
    if array.is_host(log_prob):
        return spread(*route(log_prob, k), n_experts)
    xp = array.namespace(log_prob)
    left = xp.where(array.are_best(log_prob, k), log_prob, -xp.inf)
    return left - array.logsumexp(left)[:, None]


def completed(resp, log_prob, k):
    """Return soft targets (n, K) for a gate of which only the k best experts of a row are seen.

    With g the gate of all experts and m = Σ g over the kept ones, the likelihood of what is kept is
    that of g truncated, Σ resp log(g / m). It is as if for every kept row there were (1 - m)/m that
    went to the others, g_j each: EM for truncated data. So targets r g_j / m for those, r being the
    row's Σ resp, make a step of the gate one that climbs, and their slope in log g is right:
    r g_j / m - (r / m) g_j is 0 there, and resp_k - r g_k / m at those that are kept.

    Parameters
    ----------
    resp : ndarray of shape (n, K), 0 where a row does not go
    log_prob : ndarray of shape (n, K), of all experts
    k : int
    """
    kept = array.are_best(log_prob, k)
    xp = array.namespace(resp)
    log_mass = array.logsumexp(xp.where(kept, log_prob, -xp.inf))
    row = xp.sum(resp, axis=1)
    return xp.where(kept, resp, row[:, None] * xp.exp(log_prob - log_mass[:, None]))
