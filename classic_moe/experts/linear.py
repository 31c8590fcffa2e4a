"""Linear Gaussian experts: y | x ~ N(B_k x + b_k, Σ_k)."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from .._kernels import array
from ..distribution import MultivariateNormalComponents
from ..exceptions import ExpertCollapseWarning
from ..findings import Finding
from ..linalg import clip_eigenvalues, solve
from ..statistics import Statistics
from ..views import RegressionView, shaped, take
from .base import BaseExpert

VARIANCE_FLOOR = 1e-12
"""Smallest eigenvalue of a covariance, relative to the variance of y: sd = 1e-6 sd(y)."""


class LinearExpert(BaseExpert):
    r"""Linear Gaussian expert, the classical choice for regression.

    .. math:: p_k(y \mid x) = N(y;\; B_k x + b_k,\; \Sigma_k), \qquad \Sigma_k \text{ full}

    The M-step is weighted least squares followed by the weighted residual covariance, both from
    one Gram matrix of z = [1, x, y] per expert [1]_.

    Parameters
    ----------
    alpha : float, default=1e-6
        Ridge penalty ½·alpha·Σ‖b‖² on the slopes in standardised units. The default only keeps
        collinear columns finite; 0 is maximum likelihood. With one expert and
        ``variance_prior=0`` the fit is ``Ridge(alpha * sigma2)`` on standardised data, where
        sigma2 is the fitted residual variance.
    variance_prior : float, default=1e-2
        ν pseudo-rows whose covariance is that of y (its diagonal): Σ = (S + ν I) / (n + ν) in
        standardised y. Keeps an expert from collapsing onto a few rows, where the likelihood is
        unbounded; the default was the smallest to prevent every collapse in 80 small data sets. 0
        is maximum likelihood.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.experts import LinearExpert
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, expert=LinearExpert(alpha=0.1), random_state=0)
    >>> model.fit(X, y).experts_[0].coef_.shape
    (1,)
    """

    scales_y = True
    kernel = "linear_gaussian"

    def __init__(self, alpha=1e-6, variance_prior=1e-2):
        self.alpha = alpha
        self.variance_prior = variance_prior

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        whitening, log_norm = self.kernel_params(params)
        Z = array.with_intercept(X, y)
        K, q, P = whitening.shape
        U = (Z @ whitening.reshape(K * q, P).T).reshape(-1, K, q)
        return array.gaussian_log_density(U, log_norm)

    def mean(self, params, X):
        K, q, P = params["coef"].shape
        return (array.with_intercept(X) @ params["coef"].reshape(K * q, P).T).reshape(-1, K, q)

    def variance(self, params, X):
        """Var_k[y|x], (n, K, q)."""
        variances = np.diagonal(params["covariance"], axis1=1, axis2=2)
        return np.broadcast_to(variances, (X.shape[0], *variances.shape))

    def components(self, params, X, units, single_output=True):
        """The K predictive normals in the caller's units, for `MixtureDistribution`."""
        y = units.y
        mean = self.mean(params, X) * y.unit + y.origin
        if single_output:
            scale = np.sqrt(params["covariance"][:, 0, 0]) * y.unit[0]
            return norm(loc=mean[:, :, 0], scale=scale)
        covariance = params["covariance"] * np.multiply.outer(y.unit, y.unit)
        return MultivariateNormalComponents(mean, covariance)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, n_classes=None):
        K, q, p = resp.shape[1], y.shape[1], X.shape[1]
        params = {
            "coef": np.zeros((K, q, 1 + p)),
            "covariance": np.broadcast_to(np.eye(q), (K, q, q)).copy(),
        }
        return self.maximize(params, self.statistics(params, X, y, resp))

    def statistics(self, params, X, y, resp, order=2):
        return self.kernel_statistics(array.weighted_grams(array.with_intercept(X, y), resp))

    def maximize(self, params, stats, cautious=False):
        """Exact for alpha = 0, else an ECM step (coefficients given Σ, then Σ); never lowers Q."""
        d = params["coef"].shape[2]
        ridge = np.full(d, float(self.alpha))
        ridge[0] = 0.0  # the intercept is free
        coef, covariance = params["coef"].copy(), params["covariance"].copy()
        for k, gram in enumerate(stats["gram"]):
            if gram[0, 0] <= 0:
                continue  # no rows at all: keep the last finite values
            coef[k] = _ridge(coef[k], covariance[k], gram[:d, :d], gram[:d, d:], ridge)
            residual = _residual_gram(coef[k], gram)
            q = len(residual)
            covariance[k] = clip_eigenvalues(
                (residual + self.variance_prior * np.eye(q)) / (gram[0, 0] + self.variance_prior),
                VARIANCE_FLOOR,
            )
        return {"coef": coef, "covariance": covariance}

    def gradient(self, params, stats):
        """∂Q/∂params: Σ⁻¹(moment - B·gram) and ½(Σ⁻¹ S Σ⁻¹ - n Σ⁻¹), priors included."""
        d = params["coef"].shape[2]
        grams = stats["gram"]
        precision = np.linalg.inv(params["covariance"])
        moment = grams[:, d:, :d] - params["coef"] @ grams[:, :d, :d]
        coef = precision @ moment
        coef[:, :, 1:] -= self.alpha * params["coef"][:, :, 1:]
        nu, identity = self.variance_prior, np.eye(len(precision[0]))
        residual = np.stack(
            [_residual_gram(c, g) for c, g in zip(params["coef"], grams, strict=True)]
        )
        spread = residual + nu * identity
        n = (grams[:, 0, 0] + nu)[:, None, None]
        return {
            "coef": coef,
            "covariance": 0.5 * (precision @ spread @ precision - n * precision),
        }

    def log_prior(self, params):
        covariance = params["covariance"]
        slopes = params["coef"][:, :, 1:]
        _, log_det = np.linalg.slogdet(covariance)
        traces = np.trace(np.linalg.inv(covariance), axis1=1, axis2=2)
        return -0.5 * float(
            self.alpha * np.sum(slopes**2) + self.variance_prior * np.sum(log_det + traces)
        )

    def n_parameters(self, params):
        K, q, d = params["coef"].shape
        return K * (q * d + q * (q + 1) // 2)

    def diagnose(self, params, stats):
        findings = []
        d = params["coef"].shape[2]
        for k, gram in enumerate(stats["gram"]):
            rows = gram[0, 0]
            sd = np.sqrt(np.linalg.eigvalsh(params["covariance"][k])[0])
            free = self.variance_prior == 0
            if free and sd <= 1.001 * np.sqrt(VARIANCE_FLOOR):
                reason = f"sits at the variance bound (sd {sd:.1g} of y's)"
            elif free and rows < d + 1:
                reason = f"rests on {rows:.3g} effective rows for {d} coefficients"
            elif not free and rows * sd**2 <= 2 * self.variance_prior:
                reason = "has its variance from the prior alone"
                reason += f" ({rows:.3g} effective rows, sd {sd:.1g} of y's)"
            else:
                continue
            cure = "; use fewer experts" if len(stats["gram"]) > 1 else "; y has almost no noise"
            cure += " or a larger variance_prior." if free else "."
            findings.append(
                Finding(ExpertCollapseWarning, f"expert {k} {reason}{cure}", severe=free)
            )
        return findings

    # -- the compiled pass ------------------------------------------------------------------

    def kernel_params(self, params):
        """Whitening maps (K, q, 1 + p + q) and log normalisers (K,) of the densities.

        The whitening map of z = [1, x, y] is L⁻¹ [-B, I] with Σ = L Lᵀ.
        """
        K, q, _ = params["coef"].shape
        factor = np.linalg.cholesky(params["covariance"])
        identity = np.broadcast_to(np.eye(q), (K, q, q))
        residual = np.concatenate([-params["coef"], identity], axis=2)
        log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        return np.linalg.solve(factor, residual), -log_det - 0.5 * q * np.log(2 * np.pi)

    def kernel_statistics(self, grams):
        """The statistics from weighted Grams of z = [1, x, y]."""
        return Statistics(gram=grams)

    # -- the caller's side -------------------------------------------------------------------

    def check_target(self, y):
        pass  # every finite number will do

    def to_caller(self, params, units):
        coef, intercept = units.coef_to_caller(params["coef"])
        unit = units.y.unit
        with np.errstate(over="ignore"):  # y of size 1e160 has an infinite variance
            covariance = params["covariance"] * np.multiply.outer(unit, unit)
        scale = np.sqrt(np.diagonal(params["covariance"], axis1=1, axis2=2)) * unit
        return {"coef": coef, "intercept": intercept, "covariance": covariance, "scale": scale}

    def from_caller(self, values, units, n_experts, n_classes=None):
        optional = ("scale", "covariance") + (() if self.uses_x else ("coef",))
        wanted = ("coef", "intercept") if self.uses_x else ("intercept",)
        values = take(values, wanted, "expert", optional)
        K, q, p = n_experts, len(units.y.center), len(units.x.center)
        coef = shaped(values.get("coef", np.zeros((K, q, p))), (K, q, p), "coef", "expert")
        intercept = shaped(values["intercept"], (K, q), "intercept", "expert")
        slope, positive = units.y.slope, True
        if "covariance" in values:
            given = shaped(values["covariance"], (K, q, q), "covariance", "expert")
            covariance = given * np.multiply.outer(slope, slope)
        elif "scale" in values:
            scale = shaped(values["scale"], (K, q), "scale", "expert") * slope
            positive = scale > 0
            covariance = np.einsum("kq,qr->kqr", scale**2, np.eye(q))
        else:
            raise ValueError("init_params for the expert needs 'scale' or 'covariance'.")
        if not (np.all(positive) and np.linalg.eigvalsh(covariance).min() > 0):
            raise ValueError(
                "init_params: every scale must be positive and every covariance positive definite."
            )
        return {"coef": units.coef_from_caller(coef, intercept), "covariance": covariance}

    def view(self, params, k, units, single_output=True, **shell):
        values = {f"{name}_": value[k] for name, value in self.to_caller(params, units).items()}
        if single_output:
            values["coef_"] = values["coef_"][0]
            values["intercept_"] = float(values["intercept_"][0])
            values["scale_"] = float(values["scale_"][0])
        return RegressionView(**shell, **values)


def _ridge(coef, covariance, gram, moment, ridge):
    """argmax over B of the penalised weighted least squares, (q, d), starting from `coef`.

    In the eigenbasis of Σ the outputs decouple: (gram + λ_j ridge) β_j = moment_j. Solving for the
    increment keeps directions without data where they are.
    """
    if not ridge.any():
        return coef + solve(gram, moment - gram @ coef.T).T
    variances, basis = np.linalg.eigh(covariance)
    rotated = basis.T @ coef
    moment = moment @ basis
    for j, variance in enumerate(variances):
        system = gram + np.diag(variance * ridge)
        rotated[j] += solve(system, moment[:, j] - system @ rotated[j])
    return basis @ rotated


def _residual_gram(coef, gram):
    """Σ resp (y - Bz)(y - Bz)ᵀ from the Gram matrix of [z, y]."""
    lifted = np.concatenate([-coef, np.eye(len(coef))], axis=1)
    return lifted @ gram @ lifted.T
