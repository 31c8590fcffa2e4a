"""Gamma experts: positive numbers whose spread is proportional to their mean."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from .._kernels import array
from .._kernels.special import remainder, remainder_curvature, remainder_slope, with_twin
from ..distribution.families import gamma
from ..parts.checks import check_option
from ..parts.findings import lost_scale
from ..parts.records import Inputs, Target
from ..parts.views import shaped
from ._stages import UNCLIPPED
from .generalized import LARGEST, GeneralizedLinearExpert

CEILING = 1e3
"""Inverse link: means above this many times the average of y are bent, so as to stay finite."""
LARGEST_ROOT = 1e154
"""Its square is a finite number; a mean above it has no curvature to step by."""
EXPONENTIAL = np.euler_gamma
"""E[y/μ - 1 - log(y/μ)] of rows distributed exponentially: those of the prior."""


class GammaExpert(GeneralizedLinearExpert):
    r"""Gamma expert for positive numbers with a constant coefficient of variation.

    .. math:: y \mid x \sim \mathrm{Gamma}(\text{mean } \mu_k, \text{shape } s_k), \qquad
       \log \mu_k \text{ or } 1/\mu_k = b_k^\top x + a_k + \mathrm{offset}

    The variance is μ²/s. Given the coefficients the shape is at its exact maximum in every M-step;
    the step of the coefficients does not depend on it.

    Parameters
    ----------
    link : "log" or "inverse", default="log"
        The inverse link, canonical and R's default, has a pole, at which b·x + a turns negative.
        So means above a ceiling, 1000 times the average of y, are bent: they rise smoothly to
        twice that and no further, on both sides of the pole.
    shape : "estimate" or float, default="estimate"
        s: one estimate an expert, between 1e-6 and 1e12, or a number for all; 1 is exponential.
    alpha : float, "auto" or "weak", default=1e-6
        Ridge penalty ½·alpha·‖b‖² on the slopes, x standardised, on the scale of the link: with
        ``link="inverse"`` that of 1/y. 0 is maximum likelihood.
    variance_prior : float or "weak", default=1e-2
        ν pseudo-rows distributed exponentially about the mean. Keeps an expert from collapsing
        onto a few rows, where the likelihood is unbounded as the shape grows; 0 is maximum
        likelihood.

    References
    ----------
    McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd ed., chapter 8. Chapman &
    Hall.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.random.default_rng(0).gamma(5, np.exp(np.abs(X[:, 0])) / 5)
    >>> model = MixtureOfExpertsRegressor(2, expert="gamma", random_state=0).fit(X, y)
    >>> bool(model.experts_[0].shape_ > 1)
    True
    """

    target = Target(outputs=1, positive=True, offset=True)
    inputs = Inputs(any_array=True)
    holds = "positive numbers"
    nuisance_name = "shape"
    nuisance_bounds = (1e-6, 1e12)

    weak = MappingProxyType({"alpha": 1e-6, "variance_prior": 1e-2})

    def __init__(
        self,
        link: str = "log",
        shape: Any = "estimate",
        alpha: float | str = 1e-6,
        variance_prior: float | str = 1e-2,
    ) -> None:
        self.link = link
        self.shape = shape
        self.alpha = alpha
        self.variance_prior = variance_prior

    @property
    def left(self):
        """What is linear in x, for equations."""
        return "log E[{}]" if self.link == "log" else "1 / E[{}]"

    def check_parameters(self):
        super().check_parameters()
        check_option(self, "link", ("log", "inverse"))

    # -- the family ------------------------------------------------------------------------

    def eta_of(self, mean):
        return np.log(mean) if self.link == "log" else 1 / mean

    def mean_of(self, eta):
        return super().mean_of(eta) if self.link == "log" else 1 / eta

    def mean_slope(self, eta):
        return super().mean_slope(eta) if self.link == "log" else -1 / eta**2

    def clip(self, params, eta):
        if self.link == "log":
            return super().clip(params, eta)
        return bent(eta, array.like(eta, 1 / params["ceiling"]))

    def clip_slope(self, params, eta):
        if self.link == "log":
            return super().clip_slope(params, eta)
        if array.namespace(eta).all(eta >= array.like(eta, 1 / params["ceiling"])):
            return UNCLIPPED
        return self._below(params, eta) ** 2

    def clip_derivatives(self, params, eta, clipped):
        if self.link == "log":
            return super().clip_derivatives(params, eta, clipped)
        xp, ceiling = array.namespace(eta), array.like(eta, params["ceiling"])
        below = self._below(params, clipped)
        # dη/du = 1/(1 + 2b)², and as db/du = -1/f, d²η/du² = 4/f 1/(1 + 2b)³
        return below**2, xp.where(eta * ceiling < 1, 4 * ceiling * below**3, xp.zeros_like(eta))

    def _below(self, params, eta):
        """Return 1/(1 + 2b) where the clipped η = f (1 + b)/(1 + 2b), 1 above the floor f."""
        xp = array.namespace(eta)
        return 2 * xp.minimum(eta * array.like(eta, params["ceiling"]), 1.0) - 1

    def _log_ratio(self, log_y, eta):
        """Return log(y/μ), (n, K), bounded so that y/μ is a finite number."""
        xp = array.namespace(eta)
        gap = log_y - eta if self.link == "log" else log_y + xp.log(eta)
        return xp.minimum(gap, LARGEST)

    def log_density(self, y, eta, shape):
        return self.log_density_and_known(y, eta, shape)[0]

    def log_density_and_known(self, y, eta, shape):
        value, *known = log_density_and_change(y, eta, shape, self.link == "inverse")
        return value, known

    def slopes_and_nuisance(self, y, eta, resp, shape, known=None):
        if known is None:
            return super().slopes_and_nuisance(y, eta, resp, shape=shape)
        change, loss = known
        own = {"deviance": (resp * loss).sum(axis=0)}
        slopes = (change, 1 + change) if self.link == "log" else self.derivatives(y, eta, shape)
        return slopes, own

    def derivatives(self, y, eta, shape):
        if self.link == "log":
            xp = array.namespace(eta)
            ratio = xp.exp(self._log_ratio(xp.log(y), eta))
            return ratio - 1, ratio
        mean = 1 / eta
        return mean - y, array.namespace(eta).minimum(mean, LARGEST_ROOT) ** 2

    def precision(self, params):
        return np.broadcast_to(self.nuisance(params)["shape"], len(params["coef"]))

    def distribution(self, mean, shape):
        return gamma(shape, scale=mean / shape)

    def supports(self, y):
        return y > 0

    # -- fitting ---------------------------------------------------------------------------

    def start(self, y, resp):
        if self.link == "log":
            return super().start(y, resp)
        average = (resp.sum(axis=1) @ y)[0] / resp.sum()
        return super().start(y, resp) | {"ceiling": np.full(resp.shape[1], CEILING * average)}

    def smoothed(self, y, resp, offset=None):
        return super().smoothed(y, resp, offset if self.link == "log" else None)

    def fraction(self, step, gradient, powers, cautious):
        if self.link == "log":
            return super().fraction(step, gradient, powers, cautious)
        if not cautious:
            return 1.0
        return 1 / (1 + np.sqrt(max(gradient @ step, 0.0)))  # log η is self-concordant

    def nuisance_statistics(self, y, eta, resp, shape):
        """Return half the deviance, Σ resp (y/μ - 1 - log(y/μ)), (K,)."""
        xp = array.namespace(eta)
        gap = self._log_ratio(xp.log(y), eta)
        return {"deviance": xp.sum(resp * (xp.expm1(gap) - gap), axis=0)}

    def nuisance_derivatives(self, y, eta, shape):
        """Return ∂f/∂log s, minus its second derivative and the mixed one with η, (n, K) each."""
        # f = s (g - expm1 g) - R(s) - log y with g = log(y/μ), and ∂f/∂η is proportional to s
        xp = array.namespace(eta)
        gap = self._log_ratio(xp.log(y), eta)
        first = shape * (gap - xp.expm1(gap) - remainder_slope(shape))
        cross = -shape * self.derivatives(y, eta, shape)[0]
        return first, shape**2 * remainder_curvature(shape) - first, cross

    def _deviance(self, stats):
        """Return half the deviance a row, prior included, (K,)."""
        nu = self.variance_prior
        return (stats["deviance"] + nu * EXPONENTIAL) / np.maximum(stats["n"] + nu, 1e-300)

    def nuisance_step(self, params, stats, cautious):
        """Return the root of log s - ψ(s) = `_deviance`, whatever the last value of s, (K,)."""
        target = np.clip(self._deviance(stats), 1e-13, 1e7)  # beyond what the bounds allow
        shape = (3 - target + np.sqrt((target - 3) ** 2 + 24 * target)) / (12 * target)
        for _ in range(6):  # Newton's method for the logarithms, nearly straight lines
            shape = np.clip(shape, *self.nuisance_bounds)
            slope = remainder_slope(shape)
            step = np.log(-slope / target) / (shape * remainder_curvature(shape) / slope)
            shape = shape * np.exp(-step)
            if np.abs(step).max() < 1e-8:  # whose square is nothing
                break
        return np.log(shape)

    def nuisance_gradient(self, params, stats):
        shape = self.nuisance(params)["shape"]
        rows = stats["n"] + self.variance_prior
        return -shape * rows * (remainder_slope(shape) + self._deviance(stats))

    def log_prior(self, params):
        value = super().log_prior(params)
        if self.leaf:
            shape = self.nuisance(params)["shape"]
            value -= self.variance_prior * float(np.sum(remainder(shape) + EXPONENTIAL * shape))
        return value

    def n_parameters(self, params):
        return super().n_parameters({n: leaf for n, leaf in params.items() if n != "ceiling"})

    def coordinates(self, params):
        ceiling = {"ceiling": "fixed"} if "ceiling" in params else {}
        return super().coordinates(params) | ceiling

    def diagnose(self, params, stats):
        findings = []
        if not self.leaf:
            return findings
        nu, d = self.variance_prior, params["coef"].shape[1]
        for k, shape in enumerate(self.nuisance(params)["shape"]):
            rows, sd = stats["n"][k], 1 / np.sqrt(shape)
            if nu == 0 and shape >= 0.998 * self.nuisance_bounds[1]:
                reason = f"sits at the bound of its shape (sd {sd:.1g} of its mean)"
            elif nu == 0 and rows < d + 1:
                reason = f"rests on {rows:.3g} effective rows for {d} coefficients"
            elif nu > 0 and stats["deviance"][k] <= nu * EXPONENTIAL:
                reason = "has its shape from the prior alone"
                reason += f" ({rows:.3g} effective rows, sd {sd:.1g} of its mean)"
            else:
                continue
            advice = "use fewer experts" if len(stats["n"]) > 1 else "y has almost no noise"
            behind = dict(rows=rows, n_coefficients=d, prior=nu)
            findings.append(lost_scale((k,), reason, **behind, advice=advice))
        return findings

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        ceiling = {"ceiling": params["ceiling"]} if self.link == "inverse" else {}
        return super().to_caller(params, units) | ceiling

    def from_caller(self, values, units, n_experts, classes=None):
        if self.link == "log" or not isinstance(values, dict):
            return super().from_caller(values, units, n_experts, classes)
        values = dict(values)
        ceiling = values.pop("ceiling", None)
        params = super().from_caller(values, units, n_experts, classes)
        if ceiling is None:  # from the largest coefficient, which is about one over the average
            largest = np.abs(params["coef"]).max(axis=1)
            ceiling = CEILING / np.where(largest > 0, largest, 1.0)
        return params | {"ceiling": shaped(ceiling, (n_experts,), "ceiling", "expert")}


@with_twin
def log_density_and_change(y, eta, shape, inverse):
    """Return log p(y), y/μ - 1, and that less log(y/μ), (n, K); `inverse`: η is 1/μ, not log μ."""
    xp, log_y = array.namespace(eta), array.namespace(eta).log(y)
    gap = xp.minimum(log_y + xp.log(eta) if inverse else log_y - eta, LARGEST)
    change = xp.expm1(gap)
    loss = change - gap
    return -shape * loss - remainder(shape) - log_y, change, loss


@with_twin
def bent(eta, floor):
    """Return η or, below the floor f, f (1 + b)/(1 + 2b) with b = 1 - η/f, from f down to f/2."""
    xp = array.namespace(eta)
    below = xp.clip(1 - eta / floor, 0.0, 1e9)
    return xp.where(below > 0, floor * (1 + below) / (1 + 2 * below), eta)
