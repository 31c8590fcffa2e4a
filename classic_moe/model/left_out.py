r"""The scores of units at the fit without them, for a jackknife of one Newton step.

A unit is a row, a group of rows that share an expert, or a cluster. Let I be the information, P
that of the priors, V = (I + P)⁻¹, and s_u and A_u the score and the information of a unit. Without
it a Newton step from the fit ends at

    θ - (I + P - A_u)⁻¹ s_u = θ - V t_u,   t_u = (1 - A_u V)⁻¹ s_u,

so that V (Σ_u t_u t_uᵀ) V is the jackknife's covariance of the estimates. Of one canonical
generalised linear model t_u = s_u / (1 - h_u), h_u being the leverage: HC3 (MacKinnon & White,
1985), and of clusters CR3 (Bell & McCaffrey, 2002; Mancl & DeRouen, 2001). With V = L Lᵀ

    t_u = s_u + A_u L (1 - Lᵀ A_u L)⁻¹ Lᵀ s_u,

and the eigenvalues of Lᵀ A_u L, leverages, are taken for no more than `MOST`: where a unit alone
determines a direction the others tell nothing of it, and the step would have no end. Fay and
Graubard (2001) bound theirs there.

References
----------
MacKinnon, J. G. & White, H. (1985). Some heteroskedasticity-consistent covariance matrix estimators
with improved finite sample properties. Journal of Econometrics 29, 305-325.
Bell, R. M. & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear regression with
multi-stage samples. Survey Methodology 28, 169-181.
Mancl, L. A. & DeRouen, T. A. (2001). A covariance estimator for GEE with improved small-sample
properties. Biometrics 57, 126-134.
Fay, M. P. & Graubard, B. I. (2001). Small-sample adjustments for Wald-type tests using sandwich
estimators. Biometrics 57, 1198-1206.
"""

from __future__ import annotations

import numpy as np

from .._kernels import array
from . import information
from .information import GroupTerms, _derivatives, _second_derivatives, _whole_groups
from .scores import Scores, _of_rows, mean_slope

MOST = 0.75
"""Leverage at which scores are enlarged by a factor of 4, and by no more beyond."""


def scores_left_out(model, params, batches, layout, root, alone=None, clusters=None):
    """Yield the `Scores` of all units, each at the fit without it.

    Parameters
    ----------
    model : MixtureModel
    params : Params
    batches : Batches
    layout : Layout
    root : ndarray of shape (m, r)
        L: the inverse of the information is L Lᵀ.
    alone : ndarray of shape (n,), default=None
        What is left out of the weight of a row, which may stand for several; None: all of it.
    clusters : ndarray of int of shape (n,), default=None
        Clusters of rows, those of one standing together: then a cluster is a unit.
    """
    if clusters is not None:
        yield from _of_clusters(model, params, batches, layout, root, clusters)
        return
    done, size = 0, len(layout.designs)
    numbers = size * max(size, root.shape[1])
    for X, y, weight, facts in batches.blocks():
        own = slice(done, done + len(X))
        done = own.stop
        if "groups" in facts:
            rest = (X, y, weight, facts["groups"], facts.get("labels"))
            for rows in _whole_groups(layout, rest[3]):
                yield _of_groups(layout, root, GroupTerms.of(model, layout, params, rows, *rest))
            continue
        left_out = weight if alone is None else np.minimum(alone[own], weight)
        for rows, derivatives in _pieces(model, params, X, y, facts, numbers):
            options = (X[rows], weight[rows], left_out[rows], derivatives)
            yield _of_rows_left_out(layout, root, *options)


def _pieces(model, params, X, y, facts, numbers):
    """Yield slices of rows and their derivatives, as many as may have `numbers` each."""
    labels = facts.get("labels")
    step = max(1, information.TERMS_NUMBERS // max(numbers, 1))
    for first in range(0, len(X), step):
        rows = slice(first, first + step)
        known = None if labels is None else labels[rows]
        yield rows, _derivatives(model, params, X[rows], y[rows], known)


def _of_rows_left_out(layout, root, X, weight, alone, derivatives):
    """Return the scores of rows by themselves: one is a step in its p predictors.

    L of the coefficients becomes that of the predictors, whose p by p root is all that matters.
    """
    owner, column = layout.terms
    Z = array.with_intercept(X)
    of_predictors = np.stack(
        [Z[:, column[owner == a]] @ root[owner == a] for a in range(len(layout.designs))], axis=1
    )
    size, axes = np.linalg.eigh(of_predictors @ of_predictors.transpose(0, 2, 1))
    own_root = axes * np.sqrt(np.maximum(size, 0.0))[:, None, :]
    curvature = layout.square(_second_derivatives(layout, *derivatives)).transpose(2, 0, 1)
    curvature = alone[:, None, None] * curvature
    slope = _left_out(mean_slope(layout, *derivatives).T, curvature, own_root)
    return Scores(slope.T[owner] * Z.T[column], weight, derivatives[0] @ weight)


def _of_groups(layout, root, found):
    """Return the scores of groups of rows that share an expert."""
    own, mean = _sums(layout, found.Z, found.weight, found.still, found.first), 0.0
    for h, D in found.slopes(layout):
        own = own - np.einsum("ag,bg->gab", h * D, D)
        mean = mean + h * D
    own = own + np.einsum("ag,bg->gab", mean, mean)
    each = _left_out(mean.T, own, root).T
    return Scores(each, np.ones(each.shape[1]), found.still[0] @ found.weight)


def _of_clusters(model, params, batches, layout, root, clusters):
    """Yield the scores of clusters; the last one of a piece may go on in the next."""
    m, done = len(layout.positions), 0
    held = np.zeros((1, m)), np.zeros((1, m, m))  # score and information of that one
    for X, y, weight, facts in batches.blocks():
        for rows, derivatives in _pieces(model, params, X, y, facts, m**2):
            plain = _of_rows(layout, X[rows], weight[rows], *derivatives)
            codes = clusters[done : done + len(plain.weight)]
            goes_on = codes[0] == clusters[max(done - 1, 0)]
            done += len(codes)
            first = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
            score = np.add.reduceat(plain.each * plain.weight, first, axis=1).T
            Z = array.with_intercept(X[rows]).T
            here = score, _sums(layout, Z, plain.weight, derivatives, first)
            if goes_on:
                for sums, before in zip(here, held, strict=True):
                    sums[0] += before[0]
            else:
                here = tuple(map(np.concatenate, zip(held, here, strict=True)))
            held = tuple(sums[-1:] for sums in here)
            each = _left_out(*(sums[:-1] for sums in here), root).T
            yield Scores(each, np.ones(each.shape[1]), plain.rows)
    each = _left_out(*held, root).T
    yield Scores(each, np.ones(1), 0.0 * plain.rows)


def _sums(layout, Z, weight, derivatives, first):
    """Return the information of rows summed from each of `first` to the next, (units, m, m)."""
    owner, column = layout.terms
    curvature = layout.square(weight * _second_derivatives(layout, *derivatives))
    each = curvature[owner[:, None], owner] * Z[column][:, None] * Z[column]
    return np.add.reduceat(each, first, axis=2).transpose(2, 0, 1)


def _left_out(score, curvature, root):
    """Return t of all units: of s (n, p), A (n, p, p) and L (p, r), or (n, p, r), (n, p)."""
    turned = np.swapaxes(root, -1, -2)
    leverage, axes = np.linalg.eigh(turned @ curvature @ root)
    along = np.swapaxes(axes, -1, -2) @ (turned @ score[..., None])
    factor = 1 / (1 - np.minimum(leverage, MOST))
    beyond = leverage > MOST
    factor[beyond] *= MOST / leverage[beyond]  # so that Lᵀ t = Lᵀ s / (1 - MOST) there
    along = factor[..., None] * along
    return score + (curvature @ (root @ (axes @ along)))[..., 0]
