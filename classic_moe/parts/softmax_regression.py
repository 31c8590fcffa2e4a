"""Softmax regression with soft targets: the problem that the softmax gate and expert share.

Given rows x_t with targets h_tc >= 0 (their sum over c is the row's weight w_t), maximise

    Q(V) = Σ_t Σ_c h_tc log softmax(V z_t)_c - ½ alpha Σ_c |v_c|²,    z = [1, x],

over V (C, 1 + p); the intercepts are not penalised. V is kept in the symmetric gauge (columns sum
to zero), where the penalty does not depend on the numbering of the classes. Two steps from the
same statistics: Newton's, quadratic near the optimum, and Böhning's (1992), certain to ascend
because the negative Hessian is at most ½ (I - 11ᵀ/C) ⊗ Σ w z zᵀ.

References
----------
Böhning, D. (1992). Multinomial logistic regression algorithm. Annals of the Institute of
Statistical Mathematics 44, 197-200.
"""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..exceptions import SeparationWarning
from .findings import Finding
from .linalg import solve, solve_all
from .penalties import Ridge
from .statistics import Statistics

STEEP, INFORMATION, LITTLE = 5.0, 0.1, 1e-3
"""Coefficients (x standardised) and information on them that tell separation. On the golden
cases separated directions have at most 0.03, all others at least 2."""

NEEDED = ("gradient", "gram", "hessian")
DENSE_LIMIT = 600
"""Parameters above which Newton's dense Hessian costs more than it saves."""


def statistics(X, prob, target, order=2) -> Statistics:
    """Return gradient, Gram matrix and (order 2) negative Hessian of Σ target·log softmax."""
    Z = array.with_intercept(X)
    total = array.namespace(Z).sum(target, axis=1)
    stats = Statistics(
        gradient=array.softmax_gradient(Z, prob, target),
        gram=Z.T @ (total[:, None] * Z),
    )
    if order > 1 and prob.shape[1] * Z.shape[1] <= DENSE_LIMIT:
        stats["hessian"] = array.softmax_hessian(Z, prob, total)
    return stats


def all_statistics(X, prob, target, order=2) -> list[Statistics]:
    """Return the `statistics` of m problems on the same rows: prob and target are (n, m, C)."""
    xp, Z = array.namespace(X), array.with_intercept(X)
    n, m, C = prob.shape
    total = xp.sum(target, axis=2)
    residual = xp.reshape(target - total[:, :, None] * prob, (n, m * C))
    gradients = xp.reshape(residual.T @ Z, (m, C, -1))
    grams = array.weighted_grams(Z, total)
    found = [Statistics(gradient=gradients[i, ...], gram=grams[i, ...]) for i in range(m)]
    if order > 1 and C * Z.shape[1] <= DENSE_LIMIT:
        for i, stats in enumerate(found):
            stats["hessian"] = array.softmax_hessian(Z, prob[:, i, :], total[:, i])
    return found


def newton_step(coef, stats, alpha) -> np.ndarray:
    """Return coef after a Newton step on the penalised objective; Böhning's without a Hessian."""
    return newton_steps([coef], [stats], alpha)[0]


def newton_steps(each, stats, alpha) -> list[np.ndarray]:
    """Return `newton_step` of several problems; those of one shape together, which is quicker."""
    if any("hessian" not in own for own in stats) or len({coef.shape for coef in each}) > 1:
        if len(each) == 1:
            return [bound_step(each[0], stats[0], alpha)]
        return [newton_step(*pair, alpha) for pair in zip(each, stats, strict=True)]
    coef, gradient, gram, hessian = (
        np.stack(parts) for parts in (each, *([own[name] for own in stats] for name in NEEDED))
    )
    m, C, P = coef.shape
    penalty = Ridge(alpha).curvature(P)
    hessian = hessian.reshape(m, C * P, C * P)
    hessian[:, np.arange(C * P), np.arange(C * P)] += np.tile(penalty, C)
    # Fill the null direction (a shift of all classes) with curvature; the step does not change.
    hessian = hessian.reshape(m, C, P, C, P)
    rows = np.arange(P)
    filling = np.diagonal(gram, axis1=1, axis2=2) / C**2
    hessian[:, :, rows, :, rows] += filling.T[:, :, None, None]
    slope = (gradient - penalty * coef).reshape(m, C * P, 1)
    step = solve_all(hessian.reshape(m, C * P, C * P), slope).reshape(m, C, P)
    return list(symmetric_gauge(coef + step))


def bound_step(coef, stats, alpha) -> np.ndarray:
    """Return coef + (½ Σ w z zᵀ + alpha)⁻¹ gradient, Böhning's step: it never lowers Q."""
    penalty = Ridge(alpha)
    bound = 0.5 * stats["gram"] + np.diag(penalty.curvature(coef.shape[-1]))
    return symmetric_gauge(coef + solve(bound, (stats["gradient"] - penalty.slope(coef)).T).T)


def with_curvature(coef, stats) -> Statistics:
    """Return statistics with a Hessian, where steps take one and it was not kept: its bound.

    `coef` is (..., C, 1 + p). Böhning's bound is too cautious for good, but a memory forgets it.
    """
    C, P = coef.shape[-2:]
    if "hessian" in stats or C * P > DENSE_LIMIT:
        return stats
    bound = 0.5 * (np.eye(C) - 1 / C)
    hessian = np.einsum("cd,...ij->...cidj", bound, stats["gram"])
    return Statistics(stats, hessian=hessian)


def log_prior(coef, alpha) -> float:
    """Return -½ alpha Σ |v_c|² over the slopes, in the symmetric gauge, a float."""
    return -Ridge(alpha).value(symmetric_gauge(coef))


def fit(X, target, alpha, n_steps) -> np.ndarray:
    """Return coef after a few safeguarded Newton steps from slopes 0: a start, no optimum."""
    Z = array.with_intercept(X)
    total = target.sum(axis=0)
    coef = np.zeros((len(total), Z.shape[1]))
    if not total.any():  # no rows, so all classes are as probable
        return coef
    coef[:, 0] = np.log(np.maximum(total, 1e-10 * total.sum()) / total.sum())
    coef = symmetric_gauge(coef)
    log_prob = array.log_softmax(Z @ coef.T)
    value = np.sum(target * log_prob)
    for _ in range(n_steps):
        stats = statistics(X, np.exp(log_prob), target)
        for step in (newton_step, bound_step):
            proposal = step(coef, stats, alpha)
            proposed = array.log_softmax(Z @ proposal.T)
            gain = np.sum(target * proposed) + log_prior(proposal, alpha)
            if gain >= value:
                break
        else:
            return coef
        coef, log_prob, value = proposal, proposed, gain
    return coef


def reference_gauge(coef) -> np.ndarray:
    """Return log-odds against the last class, whose row becomes zero, (..., C, 1 + p)."""
    return coef - coef[..., -1:, :]


def class_log_odds(coef) -> np.ndarray:
    """Return what is reported of C classes, log-odds (..., C, 1 + p), of two a row (..., 1, 1 + p).

    Of two classes the second against the first, as scikit-learn's LogisticRegression has it; of
    more each against the last.
    """
    if coef.shape[-2] == 2:
        return coef[..., 1:, :] - coef[..., :1, :]
    return reference_gauge(coef)


def from_class_log_odds(log_odds) -> np.ndarray:
    """Return the symmetric coef (..., C, 1 + p) of log-odds: the inverse of `class_log_odds`."""
    if log_odds.shape[-2] == 1:  # ±½, which sum to zero, and whose difference they are
        return np.concatenate([-0.5 * log_odds, 0.5 * log_odds], axis=-2)
    return symmetric_gauge(log_odds)


def symmetric_gauge(coef) -> np.ndarray:
    """Return the coef of the same probabilities that sums to zero over the classes."""
    return coef - coef.mean(axis=-2, keepdims=True)


def diagnose(coef, stats, alpha, where) -> list[Finding]:
    """Return a finding if the data do not determine the coefficients in every direction.

    Along an eigenvector e of the negative Hessian, with eigenvalue λ and coefficient c = eᵀV,
    λc² is the inverse square of c's relative standard error. A large c about which the data say
    nothing means separation: the maximum-likelihood value is infinite. So does a direction in which
    a weak penalty says more than the data.
    """
    steep = symmetric_gauge(coef)
    if "hessian" not in stats or not np.any(np.abs(steep) > STEEP):
        return []
    values, vectors = np.linalg.eigh(stats["hessian"].reshape(steep.size, steep.size))
    along = vectors.T @ steep.ravel()
    rows = min(alpha, LITTLE)
    lost = (np.abs(along) > STEEP) & ((values * along**2 < INFORMATION) | (values < rows))
    if not lost.any():
        return []
    advice = "use alpha > 0" if alpha == 0 else f"their size is set by the penalty alpha={alpha:g}"
    message = f"{where} are separated: coefficients up to {np.abs(steep).max():.3g}; {advice}."
    return [Finding(SeparationWarning, message, severe=False)]
