"""Negative binomial experts: counts that vary more than Poisson's."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, gammaln, xlogy
from scipy.stats import nbinom

from .._kernels.special import remainder, remainder_curvature, remainder_slope
from .poisson import PoissonExpert

LONGEST = 2.0
"""Longest step of log dispersion."""


class NegativeBinomialExpert(PoissonExpert):
    r"""Negative binomial expert (NB2) for overdispersed counts, with an offset for exposure.

    .. math:: E_k[y \mid x] = \mu_k = \exp(b_k^\top x + a_k + \mathrm{offset}), \qquad
       \mathrm{Var}_k[y \mid x] = \mu_k + \phi_k \mu_k^2

    The dispersion φ is estimated by maximum likelihood, one Newton step on its logarithm in every
    M-step; it is information-orthogonal to the coefficients [1]_.

    Parameters
    ----------
    alpha : float, default=1e-6
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

    def __init__(self, alpha=1e-6, dispersion="estimate"):
        self.alpha = alpha
        self.dispersion = dispersion

    @np.errstate(divide="ignore")  # by the branch that is not taken
    def log_density(self, y, eta, dispersion):
        size, at_least_1 = 1 / dispersion, np.maximum(y, 1)
        total, gap = size + y, eta - np.log(at_least_1)
        # Relative to μ = y, and from the smaller of y and 1/φ: large counts keep their digits.
        rise = (at_least_1 * np.expm1(gap) + at_least_1 - y) / total
        few = y * gap - total * np.log1p(rise)
        many = -size * gap - total * np.log1p(size / total * np.expm1(-gap))
        at_mean = remainder(total) - remainder(size) + (xlogy(y, y) - y - gammaln(y + 1))
        return np.where(y < size, few, many) + at_mean

    def derivatives(self, y, eta, dispersion):
        size, score = 1 / dispersion, eta + np.log(dispersion)
        share, rest = expit(score), expit(-score)
        return y * rest - size * share, (y + size) * share * rest

    def distribution(self, mean, dispersion):
        return nbinom(1 / dispersion, 1 / (1 + dispersion * mean))

    def nuisance_statistics(self, y, eta, resp, dispersion):
        """First derivative of the log-likelihood in log φ, and minus the second."""
        size, mean = 1 / dispersion, np.exp(eta)
        total, excess = size + y, (y - mean) / (size + mean)
        far = np.log(total) - np.log(size + mean)
        slope = np.where(excess > -0.5, np.log1p(np.maximum(excess, -0.5)), far) - excess
        slope += remainder_slope(total) - remainder_slope(size)
        curvature = excess**2 / total
        curvature += remainder_curvature(total) - remainder_curvature(size)
        first = -size * slope
        second = size**2 * curvature - first
        return {
            "dispersion_gradient": (resp * first).sum(axis=0),
            "dispersion_curvature": -(resp * second).sum(axis=0),
        }

    def nuisance_step(self, params, stats, cautious):
        gradient, curvature = stats["dispersion_gradient"], stats["dispersion_curvature"]
        least = np.maximum(np.abs(gradient) / LONGEST, 1e-300)
        step = gradient / np.maximum(curvature, least)
        if cautious:
            step *= np.log1p(np.abs(step)) / np.maximum(np.abs(step), 1e-300)
        return params["log_dispersion"] + step

    def nuisance_gradient(self, params, stats):
        return stats["dispersion_gradient"]
