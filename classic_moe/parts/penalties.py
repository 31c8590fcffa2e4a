"""Penalties on coefficients, as objects: subtracted from the log-likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ridge:
    """½·alpha·Σ‖b‖² over slopes; the intercept, first along the last axis, is free.

    Parameters
    ----------
    alpha : float
        At least 0; 0 is no penalty.
    """

    alpha: float

    def value(self, coef) -> float:
        """Return ½·alpha·Σ‖b‖², one number for coefficients (..., 1 + p)."""
        return 0.5 * float(self.alpha * np.sum(coef[..., 1:] ** 2))

    def slope(self, coef):
        """Return the derivative of `value` in the coefficients, (..., 1 + p).

        At a penalised maximum it is the gradient of the data: what the penalty holds.
        """
        return self.curvature(coef.shape[-1]) * coef

    def curvature(self, n_columns):
        """Return the diagonal of the second derivative, (n_columns,): 0, alpha, ..., alpha."""
        weights = np.full(n_columns, float(self.alpha))
        weights[0] = 0.0
        return weights
