"""Starting values: soft assignments of the rows to experts.

Every start is a smooth function of the row, built from weighted summaries and from random draws
whose number does not depend on n. So a row of weight 2 equals two rows, a row of weight 0 none,
and rounding cannot move a row from one expert to another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ._kernels import array

SOFTNESS = 0.4
"""Width of the borders between slices, in slices."""
TIE = 1e-8
"""Projections closer than this, in standard deviations, count as tied."""


def starts(kind, F, n_inputs, weight, n_experts, rng) -> Iterator[np.ndarray]:
    """Yield responsibilities (n, K) for ever: the deterministic start first, then random ones.

    Parameters
    ----------
    kind : {"quantile", "random", "kmeans"}
    F : ndarray of shape (n, m)
        Standardised inputs and targets side by side; the first `n_inputs` columns are inputs.
    weight : ndarray of shape (n,)
    n_experts : int
    rng : RandomState
    """
    mean, cov = _moments(F, weight)
    if kind == "quantile":
        yield _slices(F @ np.linalg.eigh(cov)[1][:, -1], weight, n_experts)
    while True:
        if kind == "kmeans":
            yield _kmeans(F, weight, n_experts, rng)
            continue
        yield _slices(F[:, :n_inputs] @ rng.standard_normal(n_inputs), weight, n_experts)
        yield _lines(F, n_inputs, cov, n_experts, rng)
        yield _slices(F @ rng.standard_normal(F.shape[1]), weight, n_experts)
        yield _centres(F, mean, cov, n_experts, rng)


def _moments(F, weight):
    mean = weight @ F / weight.sum()
    centred = F - mean
    return mean, (weight[:, None] * centred).T @ centred / weight.sum()


def _soften(scores):
    """Rows of probabilities that keep a little of every expert."""
    K = scores.shape[1]
    return 0.98 * np.exp(array.log_softmax(scores)) + 0.02 / K


def _slices(v, weight, n_experts):
    """Slices of equal weight along v, with soft borders."""
    u = mid_distribution(v, weight)
    centres = (np.arange(n_experts) + 0.5) / n_experts
    return _soften(-0.5 * ((u[:, None] - centres) * n_experts / SOFTNESS) ** 2)


def mid_distribution(v, weight):
    """Weighted mid-distribution function of v at its own values; ties share one value."""
    order = np.argsort(v, kind="stable")
    step = np.diff(v[order], prepend=v[order[0]])
    group = np.cumsum(step > TIE * (np.std(v) + 1e-300))
    mass = np.bincount(group, weights=weight[order])
    below = np.cumsum(mass) - mass
    u = np.empty(len(v))
    u[order] = ((below + 0.5 * mass) / mass.sum())[group]
    return u


def _centres(F, mean, cov, n_experts, rng):
    """Soft assignment to random centres drawn from N(mean, cov)."""
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    centres = mean + rng.standard_normal((n_experts, F.shape[1])) @ root.T
    distance = ((F[:, None, :] - centres) ** 2).sum(axis=2)
    return _soften(-0.5 * distance * n_experts ** (2 / F.shape[1]) / F.shape[1] / SOFTNESS)


def _lines(F, n_inputs, cov, n_experts, rng):
    """Soft assignment to random linear experts scattered around the least-squares fit."""
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
    """Hard k-means clusters, softened; offered for those who ask for it."""
    from sklearn.cluster import KMeans

    seed = rng.randint(np.iinfo(np.int32).max)
    labels = KMeans(n_experts, n_init=1, random_state=seed).fit(F, sample_weight=weight).labels_
    return 0.9 * np.eye(n_experts)[labels] + 0.1 / n_experts
