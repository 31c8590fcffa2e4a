"""The scores: the derivative of every row's log-likelihood in the coefficients of the predictors.

With h_k the responsibilities of a row and D_k the derivatives of log g_k(x) p_k(y|x) it is
Σ_k h_k D_k ⊗ z; of rows that share an expert it is that of the group.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._kernels import array
from .information import _derivatives, _of_groups, _pieces, _whole_groups


class Scores(NamedTuple):
    """The scores of some units: rows, or groups of rows.

    Attributes
    ----------
    each : ndarray of shape (m, units)
        Of a row without its weight; of a group the weights of its rows are in it.
    weight : ndarray of shape (units,)
        How often each counts.
    rows : ndarray of shape (K,)
        The effective rows of the experts, Σ weight·responsibility over these rows.
    """

    each: np.ndarray
    weight: np.ndarray
    rows: np.ndarray


def scores(model, params, batches, layout):
    """Yield the `Scores` of all rows or groups in their order, some at a time."""
    for block in batches.blocks():
        X, y, weight, facts = block
        labels, groups = facts.get("labels"), facts.get("groups")
        if groups is not None:
            for rows in _whole_groups(layout, groups):
                options = (X, y, weight, groups, labels)
                sums, each = _of_groups(model, layout, params, rows, *options)
                yield Scores(each, np.ones(each.shape[1]), sums["resp"])
            continue
        for rows in _pieces(layout, X):
            known = None if labels is None else labels[rows]
            derivatives = _derivatives(model, params, X[rows], y[rows], known)
            yield _of_rows(layout, X[rows], weight[rows], *derivatives)


def _of_rows(layout, X, weight, *derivatives):
    """Return the scores of rows by themselves."""
    owner, column = layout.terms
    each = mean_slope(layout, *derivatives)[owner] * array.with_intercept(X).T[column]
    return Scores(each, weight, derivatives[0] @ weight)


def mean_slope(layout, resp, gate_slope, gate_curvature, slope, curvature):
    """Return Σ_k h_k D_k of rows in their predictors, (predictors, n)."""
    mean = np.zeros((len(layout.designs), resp.shape[1]))
    for k, h in enumerate(resp):
        mean[layout.places["gate"][:, k]] += h * gate_slope[k]
        mean[layout.places["expert"][:, k]] += h * slope[k]
    return mean
