"""Negative binomial experts: counts that vary more than Poisson's."""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import Any

import numpy as np

from .._kernels import array, counts
from .._kernels.special import remainder_curvature, remainder_slope, special, with_twin
from ..distribution.families import negative_binomial
from .poisson import PoissonExpert

LONGEST = 2.0
"""Longest step of log dispersion."""
REPEATS = 4
"""Rows per possible count from which functions of counts are evaluated once a count."""
LARGEST_TABLE = 4096
"""Possible counts up to which that is done; such tables are kept, and small."""


class NegativeBinomialExpert(PoissonExpert):
    r"""Negative binomial expert (NB2) for overdispersed counts, with an offset for exposure.

    .. math:: E_k[y \mid x] = \mu_k = \exp(b_k^\top x + a_k + \mathrm{offset}), \qquad
       \mathrm{Var}_k[y \mid x] = \mu_k + \phi_k \mu_k^2

    The dispersion φ is estimated by maximum likelihood, one Newton step on its logarithm in every
    M-step; it is information-orthogonal to the coefficients [1]_.

    Parameters
    ----------
    alpha : float, "auto" or "weak", default=1e-6
        Ridge penalty ½·alpha·‖b‖² on the slopes, x standardised. The default only keeps them
        finite where a region holds nothing but zeros; 0 is maximum likelihood.
    dispersion : "estimate" or float, default="estimate"
        φ: one estimate an expert, between 1e-8 and 1e4, or a number for all. Counts that vary no
        more than Poisson's are nothing unusual: their estimate is as good as 0, without a warning,
        and the expert is a Poisson expert.

    References
    ----------
    .. [1] Lawless, J. F. (1987). Negative binomial and mixed Poisson regression. Canadian Journal
       of Statistics 15, 209-225.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> X = np.linspace(-1, 1, 300)[:, None]
    >>> y = np.random.default_rng(0).negative_binomial(2, 1 / (1 + np.exp(2 * np.abs(X[:, 0]))))
    >>> model = MixtureOfExpertsRegressor(2, expert="negative_binomial", random_state=0).fit(X, y)
    >>> bool(model.experts_[0].dispersion_ > 0)
    True
    """

    nuisance_name = "dispersion"
    nuisance_bounds = (1e-8, 1e4)

    weak = MappingProxyType({"alpha": 1e-6})

    def __init__(self, alpha: float | str = 1e-6, dispersion: Any = "estimate") -> None:
        self.alpha = alpha
        self.dispersion = dispersion

    def log_density(self, y, eta, dispersion):
        """Return log p(y|eta), (n, K)."""
        return log_mass(y, eta, dispersion)

    def derivatives(self, y, eta, dispersion):
        return counts.negative_binomial_slopes(y, eta, dispersion)[:2]

    def distribution(self, mean, dispersion):
        return negative_binomial(mean, dispersion)

    def nuisance_statistics(self, y, eta, resp, dispersion):
        """Return the derivative of the log-likelihood in log φ and minus the second, (K,)."""
        return self.slopes_and_nuisance(y, eta, resp, dispersion)[1]

    def slopes_and_nuisance(self, y, eta, resp, dispersion):
        *slopes, first, curvature = mass_slopes(y, eta, dispersion)
        xp = array.namespace(eta)
        return slopes, {
            "dispersion_gradient": xp.sum(resp * first, axis=0),
            "dispersion_curvature": xp.sum(resp * curvature, axis=0),
        }

    def nuisance_derivatives(self, y, eta, dispersion):
        """Return ∂f/∂log φ, minus its second derivative and the mixed one with η, (n, K) each."""
        # ∂f/∂η = (y - μ) r with r = 1/(1 + φμ), and -∂r/∂log φ = φμ r² = s r with s = 1 - r
        xp = array.namespace(eta)
        share = special(xp).expit(eta + xp.log(dispersion))
        of_eta, _, first, curvature = mass_slopes(y, eta, dispersion)
        return first, curvature, share * of_eta

    def nuisance_step(self, params, stats, cautious):
        gradient, curvature = stats["dispersion_gradient"], stats["dispersion_curvature"]
        least = np.maximum(np.abs(gradient) / LONGEST, 1e-300)
        step = gradient / np.maximum(curvature, least)
        if cautious:
            step *= np.log1p(np.abs(step)) / np.maximum(np.abs(step), 1e-300)
        return params["log_dispersion"] + step

    def nuisance_gradient(self, params, stats):
        return stats["dispersion_gradient"]


@with_twin
def log_mass(y, eta, dispersion):
    """Return log p(y) of mean exp(eta) and dispersion φ, (n, K)."""
    at_mean = once_a_count(counts.negative_binomial_at_mean, y, 1 / dispersion, eta)
    return counts.negative_binomial(y, eta, dispersion) + at_mean


@with_twin
def mass_slopes(y, eta, dispersion):
    """Return the derivative of `log_mass` in η and minus the second, and those in log φ, (n, K).

    With s = 1/φ, t = s + y and e = (y - μ)/(s + μ) the derivatives in s are

        log(t/(s + μ)) - e + R'(t) - R'(s)    and    e²/t + R''(t) - R''(s).
    """
    *of_eta, slope, curvature = counts.negative_binomial_slopes(y, eta, dispersion)
    size = 1 / dispersion
    slope = slope + once_a_count(_slope_of_remainders, y, size, eta)
    curvature = curvature + once_a_count(_curvature_of_remainders, y, size, eta)
    first = -size * slope
    return *of_eta, first, first - size**2 * curvature


def _slope_of_remainders(y, size):
    """Return R'(s + y) - R'(s), (n, K)."""
    return remainder_slope(size + y) - remainder_slope(size)


def _curvature_of_remainders(y, size):
    """Return R''(s + y) - R''(s), (n, K)."""
    return remainder_curvature(size + y) - remainder_curvature(size)


def once_a_count(function, y, size, eta):
    """Return function(y, size), (n, K), of counts y (n, 1), evaluated once a possible count.

    The same values, with less work, where the rows are several times as many as possible counts.
    They lie in memory as `eta` (n, K) does: numpy is slow with arrays of both orders, which is also
    why the formulas above add to zeros like `eta`.
    """
    if not (array.is_host(y) and len(y)):
        return function(y, size)
    flat = y[:, 0]
    most = flat.max()
    if not most + 1 <= min(len(y) / REPEATS, LARGEST_TABLE):
        return function(y + array.namespace(eta).zeros_like(eta), size)
    levels = flat.astype(np.intp)
    if flat.min() < 0 or (levels != flat).any():
        return function(y, size)
    top = 1 << int(most).bit_length()
    rows, columns = _table(function, np.asarray(size, dtype=float).tobytes(), top, type(eta))
    if eta.strides[0] < eta.strides[1]:
        return np.take(columns, levels, axis=1).T
    return rows[levels]


@functools.lru_cache(maxsize=16)
def _table(function, size, top, kind):
    """Return function(y, size) of y = 0 ... top - 1, (top, K), and its transpose.

    Kept because the blocks of a pass ask for the same; `size` is the bytes of s (K,), `kind` the
    type of arrays to work with.
    """
    rows = function(np.arange(float(top)).view(kind)[:, None], np.frombuffer(size))
    return rows, np.ascontiguousarray(rows.T)
