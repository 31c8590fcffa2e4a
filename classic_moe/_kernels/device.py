"""The fused passes on any array namespace: CuPy, torch, array_api_strict.

Parameters come as numpy arrays and sums go back as numpy arrays; in between everything with a row
in its shape stays where X is. There are two forms, which `FORM` chooses between: that of `array`,
the specification itself, and one that makes all weighted Grams, those of the experts and those of
the Hessians, by one matrix product. With Q the products z_i z_j, i <= j, of the columns of
z = [1, x, y], (n, P(P + 1)/2), they are Wᵀ Q: a row of Q is one of a Khatri-Rao product.
"""

from __future__ import annotations

import itertools

import numpy as np

from . import array

FORMS = ARRAY, KHATRI_RAO = "array", "khatri_rao"
FORM = ARRAY
"""Which of `FORMS` the passes have; none has been timed on a GPU yet."""


def softmax_gaussian(
    X, Y, weight, gate_coef, branches, whitening, log_norm, hessian=True, grams=True
):
    """As `array.softmax_gaussian`, of rows anywhere; what it takes and returns else is numpy's."""
    coef, white, norm = array.like(X, gate_coef, whitening, log_norm)
    given = X, Y, weight, coef, branches, white, norm
    if FORM == ARRAY or not grams:
        return _brought(*array.softmax_gaussian(*given, hessian, grams))
    xp, Z = array.namespace(X), array.with_intercept(X, Y)
    K, q, P = whitening.shape
    design = Z[:, : gate_coef.shape[1]]
    along, log_gate = array.log_paths(design @ coef.T, branches)
    U = xp.reshape(Z @ xp.reshape(white, (K * q, P)).T, (-1, K, q))
    value, resp = array.mixture_posterior(log_gate, array.gaussian_log_density(U, norm))
    resp = resp * weight[:, None]
    gradient, of_gate = _gate(design, along, resp, branches, hessian)
    sums = _grams(Z, [resp, *of_gate])
    objective, gradient, triangles = _brought(xp.sum(weight * value), gradient, sums)
    squares, own = _squares(triangles, P), gate_coef.shape[1]
    hessians = _of_nodes(squares[K:, :own, :own], branches, hessian)
    return objective, gradient, hessians, squares[:K]


def softmax_softmax(
    X, codes, weight, gate_coef, branches, coef, hessian=True, curvature=True, grams=True
):
    """As `array.softmax_softmax`, of rows anywhere; what it takes and returns else is numpy's."""
    gate, own = array.like(X, gate_coef, coef)
    if FORM == ARRAY or not grams:
        given = X, codes, weight, gate, branches, own, hessian, curvature, grams
        return _brought(*array.softmax_softmax(*given))
    xp, Z = array.namespace(X), array.with_intercept(X)
    K, C, P = coef.shape
    along, log_gate = array.log_paths(Z @ gate.T, branches)
    scores = xp.reshape(Z @ xp.reshape(own, (K * C, P)).T, (-1, K, C))
    log_prob = array.log_softmax(scores)
    classes = xp.arange(C, device=X.device)
    one_hot = xp.astype(codes[:, None] == classes[None, :], xp.float64)
    value, resp = array.mixture_posterior(log_gate, xp.sum(log_prob * one_hot[:, None, :], axis=2))
    resp, prob = resp * weight[:, None], xp.exp(log_prob)
    gradient, of_gate = _gate(Z, along, resp, branches, hessian)
    of_experts = [
        each for k in range(K) for each in _curved(xp, resp[:, k], prob[:, k, :], curvature)
    ]
    error = resp[:, :, None] * (one_hot[:, None, :] - prob)
    slopes = xp.reshape(error, (-1, K * C)).T @ Z
    sums = _grams(Z, [resp, *of_gate, *of_experts])
    found = _brought(xp.sum(weight * value), gradient, slopes, sums)
    objective, gradient, slopes, triangles = found
    first = K + len(of_gate)
    curved = None
    if curvature:
        each = _squares(triangles[first:], P).reshape(K, -1, P, P)
        curved = np.stack([_hessian(blocks, C, curvature) for blocks in each])
    squares = _squares(triangles[:first], P)
    hessians = _of_nodes(squares[K:], branches, hessian)
    return objective, gradient, hessians, slopes.reshape(K, C, P), curved, squares[:K]


def _brought(objective, *sums):
    """Return what a pass has summed as numpy's, the objective a float."""
    return float(objective), *array.to_host(sums)


def _gate(Z, along, resp, branches, hessian):
    """Return the gradient of all branches (M, P), and the weights of the Hessians' Grams.

    The latter are a list of (n,), node after node, as of `_curved`.
    """
    xp = array.namespace(Z)
    prob, target = xp.exp(along), array.to_branches(resp, branches)
    gradients, weights = [], []
    for own, wanted in zip(branches.slices(), branches.each(hessian), strict=True):
        gradients.append(array.softmax_gradient(Z, prob[:, own], target[:, own]))
        if wanted:
            total = xp.sum(target[:, own], axis=1)
            weights += _curved(xp, total, prob[:, own], wanted)
    return xp.concat(gradients, axis=0), weights


def _curved(xp, total, prob, wanted):
    """Return the weights (n,) of the Grams that make a softmax's negative Hessian, a list.

    Those of its blocks on the diagonal; or of the blocks off it, without their sign.
    """
    C = prob.shape[1]
    if wanted == array.BLOCKS:
        return [total * prob[:, c] * (1.0 - prob[:, c]) for c in range(C)]
    pairs = itertools.combinations(range(C), 2) if wanted else ()
    return [total * prob[:, a] * prob[:, b] for a, b in pairs]


def _grams(Z, weights):
    """Return Σ v z zᵀ of every column v of the weights, upper triangles, (columns, P(P + 1)/2)."""
    xp = array.namespace(Z)
    left, right = array.like(Z, *np.triu_indices(Z.shape[1]))
    Q = xp.take(Z, left, axis=1) * xp.take(Z, right, axis=1)
    columns = [w if w.ndim == 2 else w[:, None] for w in weights]
    return xp.concat(columns, axis=1).T @ Q


def _squares(triangles, P):
    """Return symmetric matrices (m, P, P) from their upper triangles."""
    squares, (left, right) = np.empty((len(triangles), P, P)), np.triu_indices(P)
    squares[:, left, right] = squares[:, right, left] = triangles
    return squares


def _of_nodes(blocks, branches, hessian):
    """Return the `array.softmax_curvature` of every node, a list, from all blocks in their order.

    The blocks are those whose weights `_gate` gives.
    """
    done, found = 0, []
    for own, wanted in zip(branches.slices(), branches.each(hessian), strict=True):
        C = own.stop - own.start
        due = done + (C if wanted == array.BLOCKS else C * (C - 1) // 2 if wanted else 0)
        found.append(_hessian(blocks[done:due], C, wanted))
        done = due
    return found


def _hessian(blocks, C, wanted):
    """Return a negative Hessian (C, P, C, P), its blocks, or None, from those of `_curved`."""
    if not wanted or wanted == array.BLOCKS:
        return blocks if wanted else None
    P = blocks.shape[-1]
    hessian = np.zeros((C, P, C, P))
    for block, (a, b) in zip(blocks, itertools.combinations(range(C), 2), strict=True):
        hessian[a, :, b] = hessian[b, :, a] = -block
        hessian[a, :, a] += block  # rows of blocks sum to zero
        hessian[b, :, b] += block
    return hessian
