"""Starts from a fit with fewer or more experts: one is split, two are merged, one is copied.

References
----------
Ueda, N., Nakano, R., Ghahramani, Z. & Hinton, G. E. (2000). SMEM algorithm for mixture models.
Neural Computation 12, 2109-2128.
"""

from __future__ import annotations

import functools

import numpy as np

from ..data.batches import whole
from ..parts import tree
from .assignments import _keep_all, _left_by, _lower_slice, _principal_hessian
from .init_params import Starts, _GivenStart, _respecting, features, to_values

LEAST_SPLIT = 2.0
"""Effective rows below which an expert is not split, unless none has more."""
RANDOM_CUTS, RANDOM_LINES = 2, 6
"""Splits of an expert that are drawn."""


def split_starts(problem, resp):
    """Return the `Starts` of one expert more from responsibilities (n, K) at a maximum.

    All splits there are, drawn ones among them.
    """
    block = whole(problem.batches)
    F, n_inputs = features(problem.model, problem.labels, block, problem.layout)
    found = splits(F, n_inputs, block.weight, resp, rng=problem.rng)
    each = [functools.partial(_respecting, _GivenStart(one)) for one in found]
    n_classes = 0 if problem.labels is None else len(problem.labels)
    return Starts(each, resp.shape[1] + 1, n_classes)


def splits(F, n_inputs, weight, resp, n_more=1, rng=None):
    """Yield responsibilities with an expert split in two halves, (n, K + n_more).

    Every expert is split across the inputs in the direction in which its slope changes most, and by
    what it leaves of the targets. The expert that leaves most comes first.

    Parameters
    ----------
    F : ndarray of shape (n, m)
        Standardised inputs and targets side by side; the first `n_inputs` columns are inputs.
    weight : ndarray of shape (n,)
    resp : ndarray of shape (n, K)
        The responsibilities of a fit.
    n_more : int, default=1
        Experts to add: of several, all but the first come from whatever then leaves most.
    rng : RandomState, default=None
        For more splits: by how much is left; by the change of what is left along the inputs, as of
        two lines that cross; across random directions; and the rows near a random line from all
        others. Of data from fewer experts the maxima of more lie on few rows in a line, which is
        why most are of the last kind.
    """
    owned = weight * resp.T
    left = [_left_by(F, n_inputs, own) for own in owned]
    loss = [float((own @ one**2).sum()) for own, one in zip(owned, left, strict=True)]
    mass = owned.sum(axis=1)
    for k in np.argsort(-np.array(loss), kind="stable").tolist():
        if mass[k] < min(LEAST_SPLIT, mass.max()):
            continue
        for along, place in _ways(F, n_inputs, owned[k], left[k], rng):
            lower = _lower_slice(along, owned[k], place)
            halves = resp[:, k] * lower, resp[:, k] * (1 - lower)
            found = _keep_all(np.column_stack([np.delete(resp, k, axis=1), *halves]))
            yield found if n_more == 1 else next(splits(F, n_inputs, weight, found, n_more - 1))


def merges(weight, resp, n_less=1):
    """Yield responsibilities with two experts as one, (n, K - n_less).

    The pairs whose rows are most alike come first, by the cosine of their responsibilities.

    Parameters
    ----------
    weight : ndarray of shape (n,)
    resp : ndarray of shape (n, K)
        The responsibilities of a fit.
    n_less : int, default=1
        Experts to take away: of several, all but the first are merged with whatever is then most
        alike.
    """
    products = (weight[:, None] * resp).T @ resp
    length = np.sqrt(np.maximum(products.diagonal(), 1e-300))
    pairs = np.array(np.triu_indices(resp.shape[1], 1)).T
    cosine = np.array([products[i, j] / length[i] / length[j] for i, j in pairs])
    for i, j in pairs[np.argsort(-cosine, kind="stable")].tolist():
        found = np.delete(resp, j, axis=1)
        found[:, i] += resp[:, j]
        yield found if n_less == 1 else next(merges(weight, found, n_less - 1))


def leaf_splits(F, n_inputs, weight, resp, leaves, n_children=2):
    """Yield responsibilities with leaves of a tree parted where they stand, (n, K + new leaves).

    All of them are parted at once, in the directions in which `splits` does.

    Parameters
    ----------
    F, n_inputs, weight, resp : as of `splits`
    leaves : container of int
    n_children : int, default=2
        New leaves in place of one.
    """
    owned, n_experts = weight * resp.T, resp.shape[1]
    ways = {
        k: list(_ways(F, n_inputs, owned[k], _left_by(F, n_inputs, owned[k]), None))
        for k in range(n_experts)
        if k in leaves
    }
    for way in range(min(map(len, ways.values()))):
        columns = []
        for k in range(n_experts):
            rest = resp[:, k]
            for place in np.arange(1, n_children) / n_children if k in ways else ():
                lower = _lower_slice(ways[k][way][0], owned[k], place)
                columns.append(rest * lower)
                rest = rest * (1 - lower)
            columns.append(rest)
        yield _keep_all(np.column_stack(columns))


def copied(fitted, k, n_more=1):
    """Return starting values with an expert written down 1 + n_more times, for `init_params`.

    Its copies share its part of the gate, so the density is that of the fit. Nothing tells them
    apart: it is no place to look for a better maximum, but a fit that starts there is no worse
    than the one with fewer experts.

    Parameters
    ----------
    fitted : Fitted
    k : int
    n_more : int, default=1

    Returns
    -------
    dict or None
        In the caller's units; None where the gate has no such values (a classifier, a tree).
    """
    K = len(fitted.resp)
    values = to_values(fitted.params, fitted.model, fitted.schema.scalings)
    gate = values["gate"]
    if not ("weights" in gate or "intercept" in gate):
        return None
    ids = [*range(K), *[k] * n_more]
    shares = np.where(np.array(ids) == k, 1 / (1 + n_more), 1.0)
    values = _taken(values, ids)
    gate = values["gate"]
    if "weights" in gate:
        gate["weights"] = gate["weights"] * shares
        gate.pop("intercept", None)
    else:
        gate["intercept"] = gate["intercept"] + np.log(shares)
    return values


def copied_leaves(fitted, leaves, n_children=2):
    """Return starting values with new nodes in place of leaves, whose leaves are copies of them.

    The new nodes give all children equal shares, so the density is that of the fit, and no penalty
    of a gate grows.

    Parameters
    ----------
    fitted : Fitted
        Of one expert, or with a tree as its gate.
    leaves : container of int
    n_children : int, default=2

    Returns
    -------
    dict or None
        In the caller's units; None where the gates at the nodes have no such values.
    """
    K = len(fitted.resp)
    values = to_values(fitted.params, fitted.model, fitted.schema.scalings)
    gate = values["gate"]
    parents = {}
    if K > 1:
        for node in tree.nodes_of(fitted.model.gate.tree_shape(K)):
            parents |= {k: tree.below(node.id, c) for c, k in enumerate(node.children)}
    even = _even(gate if K == 1 else gate[tree.ROOT], n_children)
    if even is None:
        return None
    new = {tree.ROOT if K == 1 else parents[k]: even for k in range(K) if k in leaves}
    ids = [k for k in range(K) for _ in range(n_children if k in leaves else 1)]
    return {"gate": new if K == 1 else gate | new, "expert": _taken(values["expert"], ids)}


def _even(gate, n_children):
    """Return the values of a gate with equal shares from those of another; None: there are none."""
    if "weights" in gate:
        return {"weights": np.full(n_children, 1 / n_children)}
    return _taken(gate, [0] * n_children) if "intercept" in gate else None


def _taken(values, ids):
    """Return values in the caller's units with the experts at `ids`, their leading axis."""
    if isinstance(values, dict):
        return {name: _taken(value, ids) for name, value in values.items()}
    if isinstance(values, list):  # of layers
        return [_taken(value, ids) for value in values]
    return values[ids]


def _ways(F, n_inputs, owned, left, rng):
    """Yield ways to split an expert: the rows along a direction (n,), and where to part them."""
    x = F[:, :n_inputs]
    if left.shape[1] > 1:
        left = left @ np.linalg.eigh((owned[:, None] * left).T @ left)[1][:, -1:]
    left = left[:, 0]
    if n_inputs:
        across = x[:, 0] if n_inputs == 1 else _principal_hessian(F, n_inputs, owned)
        yield across, 0.5
    yield left, 0.5
    if rng is None:
        return
    yield np.abs(left), 0.6
    if n_inputs:
        yield left * (across - owned @ across / owned.sum()), 0.5
        x = x - owned @ x / owned.sum()
        x = x / np.sqrt(np.maximum(n_inputs * (owned @ x**2) / owned.sum(), 1e-300))
    for _ in range(RANDOM_CUTS):
        yield F @ rng.standard_normal(F.shape[1]), rng.uniform(0.2, 0.8)
    spread = np.sqrt(owned @ left**2 / owned.sum())
    for _ in range(RANDOM_LINES):
        line = rng.standard_normal() + x @ rng.standard_normal(n_inputs)
        yield np.abs(left - spread * line), rng.uniform(0.15, 0.5)
