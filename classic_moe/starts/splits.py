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
