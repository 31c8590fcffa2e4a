"""Starting values: soft assignments of the rows to experts.

Every start is a smooth function of the row, built from weighted summaries and from random draws
whose number does not depend on n. So a row of weight 2 equals two rows, a row of weight 0 none,
and rounding cannot move a row from one expert to another.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from .._kernels import array
from ..parts.linalg import solve
from ..parts.tree import n_leaves

SOFTNESS = 0.4
"""Width of the borders between slices, in slices."""
TIE = 1e-8
"""Projections closer than this, in standard deviations, count as tied."""
STRAIGHT = 1e-10
"""Share of the variance of y up to which what a linear fit leaves is rounding."""
RESIDUALS = 5
"""Directions of the residuals of many outputs that are looked at."""


def starts(kind, F, n_inputs, weight, tree_shape, rng) -> Iterator[np.ndarray]:
    """Yield responsibilities (n, K) for ever: the deterministic starts first, then random ones.

    Parameters
    ----------
    kind : {"quantile", "random", "kmeans"}
    F : ndarray of shape (n, m)
        Standardised inputs and targets side by side; the first `n_inputs` columns are inputs.
    weight : ndarray of shape (n,)
    tree_shape : nested tuple
        The tree of the experts, leaves None; (None, None, ...) for a flat gate.
    rng : RandomState
    """
    n_experts = n_leaves(tree_shape)
    mean, cov = _moments(F, weight)
    if kind == "quantile":
        # Slices along one line are the natural start of a flat gate, halves that turn at every
        # node that of a tree.
        both = [_principal_slices, _halves] if n_inputs > 0 else [_principal_slices]
        for start in both if n_experts == len(tree_shape) else reversed(both):
            yield start(F, n_inputs, weight, tree_shape)
    while True:
        if kind == "kmeans":
            yield _kmeans(F, weight, n_experts, rng)
            continue
        if n_inputs > 1:  # along a single input there is nothing to draw
            yield _slices(F[:, :n_inputs] @ rng.standard_normal(n_inputs), weight, n_experts)
        yield _lines(F, n_inputs, cov, n_experts, rng)
        yield _slices(F @ rng.standard_normal(F.shape[1]), weight, n_experts)
        yield _centres(F, mean, cov, n_experts, rng)


def hop(F, n_inputs, weight, resp, number, rng) -> np.ndarray:
    """Return responsibilities (n, K) not far from some at a maximum.

    Two experts are merged and another is split; an expert without rows is put to use in place of
    one that is merged, and of two experts one takes a part of the other. Every third time all rows
    are half what they were and half those of a random start, halves of halves, instead: what is far
    from right everywhere is not mended by a single split.

    Parameters
    ----------
    F, n_inputs, weight : as of `starts`
    resp : ndarray of shape (n, K)
        The responsibilities at a maximum.
    number : int
        Which hop it is: kinds of splits take turns too, across the direction in which the expert's
        slope changes most, by the sign of what it leaves of the targets, and at random.
    rng : RandomState
    """
    thirds, third = divmod(number, 3)
    if third == 2:
        return _blended(F, n_inputs, weight, resp, rng)
    number = 2 * thirds + third
    K = resp.shape[1]
    owned = weight * resp.T
    mass = np.add.reduce(owned, axis=1)
    order = rng.permutation(K)
    pairs = rng.uniform(size=(K, K))
    place, side, uniform = rng.uniform(0.25, 0.75), rng.uniform(), number % 2
    direction = rng.standard_normal(F.shape[1])
    if mass.min() < 1:
        freed = into = int(np.argmin(mass))
    elif K == 2:
        freed = into = int(order[0])
    else:
        freed, into = _merged(owned, resp, pairs, uniform)
    others = [k for k in order.tolist() if k not in (freed, into)]
    split, left = others[0], None
    if not uniform:
        each = {k: _left_by(F, n_inputs, owned[k]) for k in others}
        squares = [float((owned[k] @ left**2).sum()) for k, left in each.items()]
        split = others[int(np.argmax(squares * rng.uniform(0.5, 1, size=len(others))))]
        left = each[split]
    along = _direction(F, n_inputs, owned[split], direction, number % 3, left)
    taken = _lower_slice(along, owned[split], place)
    found = resp.T.copy()
    if freed != into:
        found[into] += found[freed]
        found[freed] = 0.0
    found[freed] += found[split] * (taken if side < 0.5 else 1 - taken)
    found[split] *= 1 - taken if side < 0.5 else taken
    return _keep_all(np.ascontiguousarray(found.T))


def _blended(F, n_inputs, weight, resp, rng):
    """Return the mean of responsibilities and of halves of halves in random directions, (n, K)."""
    K = resp.shape[1]
    own = F[:, : n_inputs or F.shape[1]]
    start = _halved(lambda weight: own @ rng.standard_normal(own.shape[1]), weight, (None,) * K)
    return _keep_all(0.5 * resp + 0.5 * start[:, rng.permutation(K)])


def _merged(owned, resp, pairs, uniform):
    """Return two experts to merge: at random, or rather those whose rows are the same."""
    score, place = pairs, np.arange(len(owned))
    if not uniform:
        products = owned @ resp
        length = np.sqrt(np.maximum(products.diagonal(), 1e-300))
        score = pairs * (products / length[:, None] / length)
    score = np.where(place[:, None] > place, score, -1.0)
    return divmod(int(score.argmax()), len(owned))


def _left_by(F, n_inputs, weight):
    """Return what a weighted linear fit leaves of the targets, (n, m)."""
    centred = F - weight @ F / max(weight.sum(), 1e-300)
    x, y = centred[:, :n_inputs], centred[:, n_inputs:]
    products = (weight[:, None] * x).T @ centred
    return y - x @ solve(products[:, :n_inputs], products[:, n_inputs:])


def _direction(F, n_inputs, weight, direction, kind, left):
    """Return the rows along one of three directions in which an expert may be split, (n,).

    `left` is what `_left_by` returns, or None.
    """
    if n_inputs and kind == 0:
        return _principal_hessian(F, n_inputs, weight) if n_inputs > 1 else F[:, 0]
    if n_inputs and kind == 2:
        return F[:, :n_inputs] @ direction[:n_inputs]
    left = _left_by(F, n_inputs, weight) if left is None else left
    return left @ direction[n_inputs:]


def _moments(F, weight):
    """Return the weighted mean and covariance of the columns, (m,) and (m, m)."""
    mean = weight @ F / weight.sum()
    centred = F - mean
    return mean, (weight[:, None] * centred).T @ centred / weight.sum()


def _soften(scores):
    """Return the softmax of scores as rows of probabilities that keep a little of every expert."""
    return _keep_all(np.exp(array.log_softmax(scores)))


def _keep_all(resp):
    """Return rows of probabilities with a fiftieth of every row spread over all experts."""
    return 0.98 * resp + 0.02 / resp.shape[1]


def _principal_slices(F, n_inputs, weight, tree_shape):
    """Return slices along the principal axis of inputs and targets, (n, K)."""
    return _slices(_principal_axis(F, weight), weight, n_leaves(tree_shape))


def _principal_axis(F, weight):
    """Return the rows along the first principal axis, (n,)."""
    return F @ np.linalg.eigh(_moments(F, weight)[1])[1][:, -1]


def _halves(F, n_inputs, weight, tree_shape):
    """Return halves across the direction in which the slope changes most, and halves of those.

    Down the tree of the experts, the children of a node by halves too. Along a single input there
    is no direction to choose: equal slices.
    """
    if n_inputs == 1:
        return _slices(F[:, 0], weight, n_leaves(tree_shape))
    return _keep_all(
        _halved(lambda weight: _principal_hessian(F, n_inputs, weight), weight, tree_shape)
    )


def _halved(direction, weight, tree_shape):
    """Return the halves below a node as rows of shares that sum to one, (n, leaves).

    `direction` (weight): the rows along which those of these weights are halved, (n,).
    """
    if tree_shape is None:
        return np.ones((len(weight), 1))
    if len(tree_shape) == 1:
        return _halved(direction, weight, tree_shape[0])
    middle = (len(tree_shape) + 1) // 2
    parts = tree_shape[:middle], tree_shape[middle:]
    sizes = [n_leaves(part) for part in parts]
    lower = _lower_slice(direction(weight), weight, sizes[0] / sum(sizes))
    halves = [
        own[:, None] * _halved(direction, weight * own, part)
        for own, part in zip((lower, 1 - lower), parts, strict=True)
    ]
    return np.concatenate(halves, axis=1)


def _principal_hessian(F, n_inputs, weight):
    """Return the inputs along their first principal Hessian direction (Li, 1992), (n,).

    With z the whitened inputs and r what a linear fit leaves of y, E[r z zᵀ] is the mean Hessian of
    E[y|x] if z is normal: its leading eigenvector is where the slope changes most.

    References
    ----------
    Li, K.-C. (1992). On principal Hessian directions for data visualization and dimension
    reduction: another application of Stein's lemma. Journal of the American Statistical
    Association 87, 1025-1039.
    """
    mean, cov = _moments(F, weight)
    centred = (F - mean) / np.sqrt(weight.sum())
    values, vectors = np.linalg.eigh(cov[:n_inputs, :n_inputs])
    kept = values > max(1e-8 * values[-1], 1e-300)
    z = centred[:, :n_inputs] @ (vectors[:, kept] / np.sqrt(values[kept]))
    y = centred[:, n_inputs:]
    weighted = weight[:, None] * z
    left = y - z @ (weighted.T @ y)
    spread = (weight[:, None] * left).T @ left
    if not kept.any() or np.trace(spread) <= STRAIGHT * np.trace(cov[n_inputs:, n_inputs:]):
        return _principal_axis(F, weight)
    if len(spread) > 1:
        left = left @ np.linalg.eigh(spread)[1][:, -RESIDUALS:]
    bending = sum(hessian @ hessian for hessian in ((weighted * r[:, None]).T @ z for r in left.T))
    return z @ np.linalg.eigh(bending)[1][:, -1]


def _slices(v, weight, n_slices):
    """Return slices of equal weight along v, with soft borders, (n, n_slices)."""
    centres = (np.arange(n_slices) + 0.5) / n_slices
    u = mid_distribution(v, weight)
    return _soften(-0.5 * ((u[:, None] - centres) * (n_slices / SOFTNESS)) ** 2)


def _lower_slice(v, weight, place):
    """Return the shares of the lower of two slices, of weights place and 1 - place, (n,)."""
    u = mid_distribution(v, weight)
    lower, upper = (u - 0.5 * place) / place, (u - 0.5 - 0.5 * place) / (1 - place)
    return 0.98 / (1 + np.exp((lower**2 - upper**2) / (2 * SOFTNESS**2))) + 0.01


def mid_distribution(v, weight):
    """Return the weighted mid-distribution function of v at its own values, (n,).

    P(V < v) + ½ P(V = v); ties, but for rounding, share one value.
    """
    order = np.argsort(v, kind="stable")
    ascending = v[order]
    group = np.zeros(len(v), dtype=int)
    centred = v - np.add.reduce(v) / len(v)
    sd = np.sqrt(centred @ centred / len(v))
    np.cumsum(ascending[1:] - ascending[:-1] > TIE * (sd + 1e-300), out=group[1:])
    mass = np.bincount(group, weights=weight[order])
    below = np.cumsum(mass) - mass
    u = np.empty(len(v))
    u[order] = ((below + 0.5 * mass) / mass.sum())[group]
    return u


def _centres(F, mean, cov, n_experts, rng):
    """Return soft assignments to random centres drawn from N(mean, cov), (n, K)."""
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    centres = mean + rng.standard_normal((n_experts, F.shape[1])) @ root.T
    distance = ((F[:, None, :] - centres) ** 2).sum(axis=2)
    return _soften(-0.5 * distance * n_experts ** (2 / F.shape[1]) / F.shape[1] / SOFTNESS)


def _lines(F, n_inputs, cov, n_experts, rng):
    """Return soft assignments to random linear experts about the least-squares fit, (n, K)."""
    m = F.shape[1] - n_inputs
    ols = (
        np.linalg.pinv(cov[:n_inputs, :n_inputs], rcond=1e-10, hermitian=True)
        @ cov[:n_inputs, n_inputs:]
    )
    residual = np.trace(cov[n_inputs:, n_inputs:] - ols.T @ cov[:n_inputs, n_inputs:])
    spread = np.sqrt(max(residual / max(m, 1), 1e-12))
    slopes = ols + rng.standard_normal((n_experts, n_inputs, m)) / np.sqrt(max(n_inputs, 1))
    heights = spread * rng.standard_normal((n_experts, m))
    gaps = F[:, None, n_inputs:] - heights - np.einsum("ni,kim->nkm", F[:, :n_inputs], slopes)
    return _soften(-0.5 * (gaps**2).sum(axis=2) / (0.5 * spread) ** 2 / max(m, 1))


def _kmeans(F, weight, n_experts, rng):
    """Return hard k-means clusters, softened, (n, K); for those who ask for it."""
    from sklearn.cluster import KMeans

    seed = rng.randint(np.iinfo(np.int32).max)
    with warnings.catch_warnings():
        # Of fewer distinct rows than experts KMeans warns at every start; a fit that comes to harm
        # by it says so itself, once.
        warnings.simplefilter("ignore")
        clusters = KMeans(n_experts, n_init=1, random_state=seed).fit(F, sample_weight=weight)
    labels = clusters.labels_
    return 0.9 * np.eye(n_experts)[labels] + 0.1 / n_experts
