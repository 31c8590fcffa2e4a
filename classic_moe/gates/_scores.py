"""Derivatives of a softmax in its scores, row by row: those of every gate that has scores."""

from __future__ import annotations

from .._kernels import array
from ..parts.predictors import Terms


def score_terms(log_prob, derivatives=2) -> Terms:
    """Return log g (n, K) with its derivatives in the K scores that it is the softmax of.

    With g = softmax(s): ∂ log g_k / ∂s_j = [j = k] - g_j, (n, K, K), and
    -∂² log g_k / ∂s ∂sᵀ = diag(g) - g gᵀ for every k, (n, K, K, K).
    """
    xp, prob = array.namespace(log_prob), array.namespace(log_prob).exp(log_prob)
    n, K = log_prob.shape
    unit = xp.eye(K, dtype=prob.dtype, device=prob.device)
    slope = unit[None, :, :] - prob[:, None, :]
    if derivatives < 2:
        return Terms(log_prob, slope, None)
    curvature = prob[:, :, None] * (unit[None, :, :] - prob[:, None, :])
    return Terms(log_prob, slope, xp.broadcast_to(curvature[:, None, :, :], (n, K, K, K)))
