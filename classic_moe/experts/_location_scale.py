"""What Gaussian, Student-t and Laplace experts share: y = B_k x + b_k + noise."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..exceptions import ExpertCollapseWarning
from ..parts.findings import Finding
from ..parts.linalg import solve_all
from ..parts.records import Target
from ..parts.statistics import Statistics
from ..parts.views import RegressionView, shaped
from .base import BaseExpert

SMALLEST_SCALE = 1e-6
"""Bound of every scale, relative to the standard deviation of y."""


class LocationScaleExpert(BaseExpert):
    """Base of the families y = B_k x + b_k + noise; `params` holds "coef" (K, q, 1 + p)."""

    target = Target(standardise=True)
    scale_name = "scale"
    """What `scale_` is called in an equation: "sd" where that is what it is."""
    cure_of_one = "y has almost no noise"
    """What to say of a single scale without data behind it."""

    def mean(self, params, X):
        K, q, P = params["coef"].shape
        return (array.with_intercept(X) @ params["coef"].reshape(K * q, P).T).reshape(-1, K, q)

    def mean_gradient(self, params, X, slope):
        """∂/∂coef of Σ slope·mean."""
        return Statistics(coef=np.einsum("nkq,np->kqp", slope, array.with_intercept(X)))

    def check_target(self, y):
        pass  # every finite number will do

    def view(self, params, k, units, single_output=True, **shell):
        values = {f"{name}_": value[k] for name, value in self.to_caller(params, units).items()}
        if single_output:
            values["coef_"] = values["coef_"][0]
            values["intercept_"] = float(values["intercept_"][0])
            values["scale_"] = float(values["scale_"][0])
        return RegressionView(**shell, **values, scale_name=self.scale_name)

    def _coef_from_caller(self, values, units, n_experts):
        K, q, p = n_experts, len(units.y.center), len(units.x.center)
        coef = shaped(values.get("coef", np.zeros((K, q, p))), (K, q, p), "coef", "expert")
        intercept = shaped(values["intercept"], (K, q), "intercept", "expert")
        return units.coef_from_caller(coef, intercept)

    def _log_prior_of_slopes(self, params):
        return -0.5 * self.alpha * np.sum(params["coef"][:, :, 1:] ** 2)


def least_squares(coef, covariance, grams, alpha):
    """argmax over every B of the penalised weighted least squares, (K, q, d), starting from `coef`.

    `grams` are those of [1, x, y]; the ridge alpha spares the intercept. In the eigenbasis of Σ the
    outputs decouple: (gram + λ_j ridge) β_j = moment_j. Solving for the increment keeps directions
    without data where they are.
    """
    K, q, d = coef.shape
    grams, moments = grams[:, :d, :d], grams[:, :d, d:]
    if alpha == 0:
        return coef + solve_all(grams, moments - grams @ coef.swapaxes(1, 2)).swapaxes(1, 2)
    ridge = np.full(d, float(alpha))
    ridge[0] = 0.0
    variances, bases = np.linalg.eigh(covariance)
    rotated = (bases.swapaxes(1, 2) @ coef)[..., None]  # (K, q, d, 1)
    targets = (moments @ bases).swapaxes(1, 2)[..., None]
    systems = grams[:, None] + variances[:, :, None, None] * np.diag(ridge)
    gaps = targets - systems @ rotated
    rotated = rotated + solve_all(systems.reshape(K * q, d, d), gaps.reshape(K * q, d, 1)).reshape(
        rotated.shape
    )
    return bases @ rotated[..., 0]


def residual_grams(coef, grams):
    """Σ resp (y - Bz)(y - Bz)ᵀ, (K, q, q), from the Gram matrices of [z, y]."""
    K, q, _ = coef.shape
    lifted = np.concatenate([-coef, np.broadcast_to(np.eye(q), (K, q, q))], axis=2)
    return lifted @ grams @ lifted.swapaxes(1, 2)


def collapsed(name, scale, rows, n_coefficients, bound_by_prior, *, prior, cure):
    """The `Finding` about a scale that has lost its data, or None.

    Parameters
    ----------
    name : str, such as "expert 0"
    scale, rows : float
        The scale in units of y's standard deviation, and the effective rows behind it.
    n_coefficients : int
        Estimated from those rows.
    bound_by_prior : bool
        Whether the scale is the prior's rather than that of the residuals.
    prior : float
        The `variance_prior`.
    cure : str
        What to do, apart from the prior.
    """
    free = prior == 0
    if free and scale <= 1.001 * SMALLEST_SCALE:
        reason = f"sits at the variance bound (sd {scale:.1g} of y's)"
    elif free and rows < n_coefficients + 1:
        reason = f"rests on {rows:.3g} effective rows for {n_coefficients} coefficients"
    elif not free and bound_by_prior:
        reason = "has its variance from the prior alone"
        reason += f" ({rows:.3g} effective rows, sd {scale:.1g} of y's)"
    else:
        return None
    message = f"{name} {reason}; {cure}" + (" or a larger variance_prior." if free else ".")
    return Finding(ExpertCollapseWarning, message, severe=free)
