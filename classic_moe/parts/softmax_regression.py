"""Softmax regression with soft targets: the problem that the softmax gate and expert share.

Given rows x_t with targets h_tc >= 0 (their sum over c is the row's weight w_t), maximise

    Q(V) = Σ_t Σ_c h_tc log softmax(V z_t)_c - ½ alpha Σ_c |v_c|²,    z = [1, x],

over V (C, 1 + p); the intercepts are not penalised. V is kept in the symmetric gauge (columns sum
to zero), where the penalty does not depend on the numbering of the classes. Two steps from the
same statistics: Newton's, quadratic near the optimum, and Böhning's (1992), certain to ascend
because the negative Hessian is at most ½ (I - 11ᵀ/C) ⊗ Σ w z zᵀ. Of many classes or parameters
Newton's step takes twice the blocks on the Hessian's diagonal in its place: they are never less
than it, since a row's blocks sum to zero, and hold C matrices of P² numbers.

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
LONGEST = 2.0
"""Root mean square over the rows of the change of a score up to which a step goes."""
DENSE_LIMIT, MOST_CLASSES = 600, 8
"""Parameters, and classes, above which Newton's dense Hessian costs more than it saves. Measured on
gates of 20,000 rows and 10 columns, the time of accelerated EM with blocks is .84 of that with the
Hessian at 8 classes, .80 at 10 and .76 at 12, and of 5,000 rows 1.3 at 8 and .73 at 12; of 6,000
rows and 4 classes it is 1.3 at 120 columns and .76 at 200."""


START_ROWS, MOST_START_ROWS = 10, 2000
"""Rows a coefficient, 500 at least, and in all, from which a start is made."""
START_ALPHA, START_STEPS = 1.0, 2
"""The least ridge of a start, and its Newton steps."""


def curvature(C, P):
    """Return which Hessian Newton's step takes of C classes and P columns: True, or `BLOCKS`."""
    return True if C <= MOST_CLASSES and C * P <= DENSE_LIMIT else array.BLOCKS


def from_sums(gradient, gram, hessian) -> Statistics:
    """Return the statistics of what a pass has summed: the gradient alone if there is no Hessian.

    gradient (..., C, P), gram (..., P, P) and hessian (..., C, P, C, P) or, its blocks, (..., C, P,
    P).
    """
    if hessian is None:
        return Statistics(gradient=gradient)
    blocks = hessian.ndim == gradient.ndim + 1
    return Statistics(gradient=gradient, gram=gram, **{"blocks" if blocks else "hessian": hessian})


def statistics(X, prob, target, order=2) -> Statistics:
    """Return the gradient of Σ target·log softmax; of order 2 Gram and negative Hessian too."""
    Z = array.with_intercept(X)
    gradient = array.softmax_gradient(Z, prob, target)
    if order == 1:
        return from_sums(gradient, None, None)
    total = array.namespace(Z).sum(target, axis=1)
    return _of_order_2(Z, gradient, Z.T @ (total[:, None] * Z), prob, total)


def _of_order_2(Z, gradient, gram, prob, total):
    """Return the statistics with the Hessian that is wanted."""
    wanted = curvature(prob.shape[1], Z.shape[1])
    return from_sums(gradient, gram, array.softmax_curvature(Z, prob, total, wanted))


def all_statistics(X, prob, target, order=2) -> list[Statistics]:
    """Return the `statistics` of m problems on the same rows: prob and target are (n, m, C)."""
    xp, Z = array.namespace(X), array.with_intercept(X)
    n, m, C = prob.shape
    total = xp.sum(target, axis=2)
    residual = xp.reshape(target - total[:, :, None] * prob, (n, m * C))
    gradients = xp.reshape(residual.T @ Z, (m, C, -1))
    if order == 1:
        return [from_sums(gradients[i, ...], None, None) for i in range(m)]
    grams = array.weighted_grams(Z, total)
    return [
        _of_order_2(Z, gradients[i, ...], grams[i, ...], prob[:, i, :], total[:, i])
        for i in range(m)
    ]


def newton_step(coef, stats, alpha) -> np.ndarray:
    """Return coef after a Newton step on the penalised objective, by the curvature in `stats`.

    That is the Hessian or its blocks; without either the step is Böhning's.
    """
    return newton_steps([coef], [stats], alpha)[0]


def newton_steps(each, stats, alpha) -> list[np.ndarray]:
    """Return `newton_step` of several problems; those of one shape together, which is quicker."""
    if any("hessian" not in own for own in stats) or len({coef.shape for coef in each}) > 1:
        if len(each) == 1:
            step = block_step if "blocks" in stats[0] else bound_step
            return [step(each[0], stats[0], alpha)]
        return [newton_step(*pair, alpha) for pair in zip(each, stats, strict=True)]
    coef, gradient, gram, hessian = (
        np.stack(parts) if len(parts) > 1 else parts[0][None]
        for parts in (each, *([own[name] for own in stats] for name in NEEDED))
    )
    m, C, P = coef.shape
    penalty, rows = Ridge(alpha).curvature(P), np.arange(P)
    # The null direction (a shift of all classes) is filled with curvature; the step is the same.
    filling = np.diagonal(gram, axis1=1, axis2=2).T[:, :, None, None] / C**2
    system = hessian.copy()
    system[:, :, rows, :, rows] += filling + penalty[:, None, None, None] * np.eye(C)
    slope = (gradient - penalty * coef).reshape(m, C * P, 1)
    step = solve_all(system.reshape(m, C * P, C * P), slope).reshape(m, C, P)
    step = np.stack([_kept_short(*pair) for pair in zip(step, stats, strict=True)])
    return list(symmetric_gauge(coef + step))


def block_step(coef, stats, alpha) -> np.ndarray:
    """Return coef + (2 block + alpha)⁻¹ gradient, class by class."""
    penalty = Ridge(alpha)
    systems = 2 * stats["blocks"] + np.diag(penalty.curvature(coef.shape[-1]))
    slope = stats["gradient"] - penalty.slope(coef)
    step = solve_all(systems, slope[:, :, None])[:, :, 0]
    return symmetric_gauge(coef + _kept_short(step, stats))


def bound_step(coef, stats, alpha) -> np.ndarray:
    """Return coef + (½ Σ w z zᵀ + alpha)⁻¹ gradient, Böhning's step: it never lowers Q."""
    penalty = Ridge(alpha)
    bound = 0.5 * stats["gram"] + np.diag(penalty.curvature(coef.shape[-1]))
    return symmetric_gauge(coef + solve(bound, (stats["gradient"] - penalty.slope(coef)).T).T)


def with_curvature(coef, stats) -> Statistics:
    """Return statistics with a Hessian, or its blocks, where it was not kept: its bound.

    `coef` is (..., C, 1 + p). Böhning's bound is too cautious for good, but a memory forgets it.
    """
    C, P = coef.shape[-2:]
    if "hessian" in stats or "blocks" in stats:
        return stats
    bound = 0.5 * (np.eye(C) - 1 / C)
    if curvature(C, P) == array.BLOCKS:
        blocks = np.einsum("c,...ij->...cij", np.diagonal(bound), stats["gram"])
        return Statistics(stats, blocks=blocks)
    hessian = np.einsum("cd,...ij->...cidj", bound, stats["gram"])
    return Statistics(stats, hessian=hessian)


def restrained(stats, new) -> Statistics:
    """Return statistics, nested or not, by which Newton steps stay within `LONGEST` on new rows.

    `new` are the statistics of these rows, which are among the others.
    """
    found = {
        name: restrained(own, new[name]) if isinstance(own, dict) else own
        for name, own in stats.items()
    }
    if "hessian" in stats or "blocks" in stats:
        found["within"] = new["gram"]
    return Statistics(found)


def _kept_short(step, stats) -> np.ndarray:
    """Return a step (C, P), or the part of it within `LONGEST`.

    The curvature p(1 - p) of a log-odds changes by a factor of e a unit, so that it tells nothing
    of what is further away: Σ w (v_c z)² / Σ w <= LONGEST² for every class. A step of a gate from
    where it is all but certain would lead to where it is so of everything, and what the experts
    gain meanwhile might pay for that.
    """
    gram = stats.get("within", stats["gram"])
    square = ((step @ gram) * step).sum(axis=1).max(initial=0.0)
    most = LONGEST**2 * gram[0, 0]
    return step * np.sqrt(most / square) if square > most else step


def log_prior(coef, alpha) -> float:
    """Return -½ alpha Σ |v_c|² over the slopes, in the symmetric gauge, a float."""
    return -Ridge(alpha).value(symmetric_gauge(coef))


def fit(X, target, alpha) -> np.ndarray:
    """Return coef after a few safeguarded Newton steps from slopes 0: a start, no optimum.

    Of many rows it looks at some, see `start_rows`.
    """
    alpha = max(alpha, START_ALPHA)
    X, target = start_rows(X, target, 1 + X.shape[1])
    Z, weight, total = array.with_intercept(X), target.sum(axis=1), target.sum(axis=0)
    coef = np.zeros((len(total), Z.shape[1]))
    if not total.any():  # no rows, so all classes are as probable
        return coef
    coef[:, 0] = np.log(np.maximum(total, 1e-10 * total.sum()) / total.sum())
    coef = symmetric_gauge(coef)
    rows, targets = np.ascontiguousarray(Z.T), np.ascontiguousarray(target.T)
    gram = (weight * rows) @ Z
    share = np.exp(array.log_softmax(coef[:, 0]))
    value, hessian = float(total @ np.log(share)), _hessian_without_slopes(share, gram)
    gradient = (targets - share[:, None] * weight) @ Z
    for left in reversed(range(START_STEPS)):
        stats = from_sums(gradient, gram, hessian)
        for step in (newton_step, bound_step):
            proposal = step(coef, stats, alpha)
            log_prob = _log_softmax_of_rows(proposal @ rows)
            gain = float(np.vdot(targets, log_prob)) + log_prior(proposal, alpha)
            if gain >= value:
                break
        else:
            return coef
        coef, value = proposal, gain
        if left:
            prob = np.exp(log_prob)
            gradient = (targets - prob * weight) @ Z
            hessian = array.softmax_curvature(Z, prob.T, weight, curvature(*coef.shape))
    return coef


def start_rows(X, target, P):
    """Return the rows that a start of P columns looks at, X (m, p) and target (m, C).

    Of many rows those are some, see `START_ROWS`, spread evenly over the weight.
    """
    return _spread_rows(X, target, min(max(500, START_ROWS * target.shape[1] * P), MOST_START_ROWS))


def _spread_rows(X, target, most):
    """Return rows that stand for all, at most so many, X (m, p) and target (m, C)."""
    if len(X) <= most:
        return X, target
    taken, factor = spread_rows(target @ np.ones(target.shape[1]), most)
    return X[taken], target[taken] * factor[:, None]


def spread_rows(weight, most) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of so many of more rows, and what their weights are to be multiplied by.

    Each stands for the same share of the weight: a row is taken where the weight so far passes the
    middle of a share, so that a row of weight 2 counts as two rows do, and one of 0 as none.
    """
    so_far = np.cumsum(weight)
    share = so_far[-1] / most
    if share == 0:
        return np.empty(0, dtype=int), np.empty(0)
    taken = np.searchsorted(so_far, share * (np.arange(most) + 0.5))
    return taken, share / weight[taken]


def _hessian_without_slopes(share, gram):
    """Return the negative Hessian where all rows have the same probabilities, or its blocks."""
    if curvature(len(share), len(gram)) == array.BLOCKS:
        return (share * (1 - share))[:, None, None] * gram
    return np.einsum("cd,ij->cidj", np.diag(share) - np.outer(share, share), gram)


def _log_softmax_of_rows(scores):
    """Return log softmax over the first axis, (C, n), in place: rows stay innermost in memory."""
    scores -= scores.max(axis=0)
    scores -= np.log(np.exp(scores).sum(axis=0))
    return scores


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
    return coef - np.add.reduce(coef, axis=-2, keepdims=True) / coef.shape[-2]


def diagnose(coef, stats, alpha, where) -> list[Finding]:
    """Return a finding if the data do not determine the coefficients in every direction.

    Along an eigenvector e of the negative Hessian, with eigenvalue λ and coefficient c = eᵀV,
    λc² is the inverse square of c's relative standard error. A large c about which the data say
    nothing means separation: the maximum-likelihood value is infinite. So does a direction in which
    a weak penalty says more than the data. Where there are blocks of the Hessian alone, directions
    are those of one class, the others being held.
    """
    steep = symmetric_gauge(coef)
    if not {"hessian", "blocks"} & set(stats) or not np.any(np.abs(steep) > STEEP):
        return []
    if "blocks" in stats:
        values, vectors = np.linalg.eigh(stats["blocks"])
        along = (vectors.swapaxes(1, 2) @ steep[:, :, None])[:, :, 0]
    else:
        values, vectors = np.linalg.eigh(stats["hessian"].reshape(steep.size, steep.size))
        along = vectors.T @ steep.ravel()
    rows = min(alpha, LITTLE)
    lost = (np.abs(along) > STEEP) & ((values * along**2 < INFORMATION) | (values < rows))
    if not lost.any():
        return []
    if alpha > 0 and np.abs(steep[:, 1:]).max(initial=0.0) <= STEEP:
        return []  # an intercept: one of the classes has hardly any rows, and x divides none
    advice = f"their size is set by the penalty alpha={alpha:g}" if alpha else "use alpha > 0"
    message = f"{where} are separated: coefficients up to {np.abs(steep).max():.3g}; {advice}."
    return [Finding(SeparationWarning, message, severe=False)]
