"""What Gaussian, Student-t and Laplace experts share: y = B_k x + b_k + noise."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..parts.findings import lost_scale
from ..parts.linalg import solve_all
from ..parts.penalties import Ridge
from ..parts.predictors import Predictor
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
    advice_for_one = "y has almost no noise"
    """What a finding about the only scale says of its reason."""

    def mean(self, params, X):
        """Return B_k x + b_k, (n, K, q)."""
        return linear_map(array.with_intercept(X), params["coef"])

    def mean_gradient(self, params, X, slope):
        """Return the derivative of Σ slope·mean in "coef", (K, q, 1 + p)."""
        xp = array.namespace(X)
        K, q, P = params["coef"].shape
        rows = xp.reshape(slope, (-1, K * q))
        return Statistics(coef=xp.reshape(rows.T @ array.with_intercept(X), (K, q, P)))

    def check_target(self, y):
        """Accept every finite number."""

    def _predictors_of_means(self, params):
        """Return one predictor for each output of an expert."""
        q = params["coef"].shape[1]
        return [Predictor("coef", ((j,),), penalty=Ridge(self._alpha)) for j in range(q)]

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


def linear_map(Z, maps):
    """Return maps_k z for every row, (n, P), and map, (K, r, P): (n, K, r)."""
    K, r, P = maps.shape
    values = Z @ array.like(Z, maps.reshape(K * r, P)).T
    return array.namespace(Z).reshape(values, (-1, K, r))


def least_squares(coef, covariance, grams, alpha):
    """Return the coefficients of penalised weighted least squares, (K, q, d), from `coef` on.

    `covariance` is (K, q, q) or, where it is shared, (1, q, q); `grams` are those of [1, x, y]. In
    the eigenbasis of Σ the outputs decouple: (gram + λ_j ridge) β_j = moment_j. Solving for the
    increment keeps directions without data where they are.
    """
    K, q, d = coef.shape
    grams, moments = grams[:, :d, :d], grams[:, :d, d:]
    if alpha == 0:
        return coef + solve_all(grams, moments - grams @ coef.swapaxes(1, 2)).swapaxes(1, 2)
    ridge = Ridge(alpha).curvature(d)
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
    """Return Σ resp (y - Bz)(y - Bz)ᵀ, (K, q, q), from the Gram matrices of [z, y]."""
    K, q, _ = coef.shape
    lifted = np.concatenate([-coef, np.broadcast_to(np.eye(q), (K, q, q))], axis=2)
    return lifted @ grams @ lifted.swapaxes(1, 2)


def collapsed(experts, scale, rows, n_coefficients, bound_by_prior, *, prior, advice):
    """Return the `Finding` about a scale that has lost its data, or None.

    Parameters
    ----------
    experts : tuple of int
        Whose scale it is.
    scale, rows : float
        The scale in units of y's standard deviation, and the effective rows behind it.
    n_coefficients : int
        Estimated from those rows; 0 where nobody knows.
    bound_by_prior : bool
        Whether the scale is the prior's rather than that of the residuals.
    prior : float
        The `variance_prior`.
    advice : str
        What to do where too few rows are the reason, apart from the prior.
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
    behind = dict(rows=rows, n_coefficients=n_coefficients, prior=prior)
    return lost_scale(experts, reason, **behind, advice=advice)
