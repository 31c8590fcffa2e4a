"""Penalties on coefficients and priors of variances, as objects, and the words for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AUTO, WEAK = "auto", "weak"
"""What may stand for the number of a penalty: it is to be found by the evidence, and the number
that only keeps a fit finite."""
PENALTIES = "alpha", "variance_prior"
"""The hyper-parameters that may be one of these words."""


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


@dataclass(frozen=True, eq=False)
class PseudoRows:
    """Pseudo-rows of the experts' covariances: Σ = (S + ν Σ₀ + E) / (n + ν), Σ₀ = s² I.

    Parameters
    ----------
    rows : float
        ν, at least 0.
    variance : float, default=1.0
        s², in units of y's variance where y is standardised.
    spread : ndarray of shape (m, q, q), default=None
        E, which comes without rows: what the uncertainty of the coefficients adds to the scatter S
        of the residuals, tr(Zᵀ R Z Cov b) = (1 + γ) Σ. m = K, or 1 where Σ is shared; None is 0.
    """

    rows: float
    variance: float = 1.0
    spread: np.ndarray | None = None

    @classmethod
    def of(cls, given) -> PseudoRows:
        """Return what a hyper-parameter stands for: itself, or as many rows of variance 1."""
        return given if isinstance(given, cls) else cls(float(given))

    def scatter(self, q):
        """Return ν Σ₀ + E, (m, q, q) or (1, q, q)."""
        own = self.rows * self.variance * np.eye(q)[None]
        return own if self.spread is None else own + self.spread

    def take(self, ids) -> PseudoRows:
        """Return those of some experts, or of all in another order, `ids`."""
        if self.spread is None or len(self.spread) == 1:
            return self
        return PseudoRows(self.rows, self.variance, self.spread[np.asarray(ids)])

    def __repr__(self):
        return f"PseudoRows({self.rows:.4g}, variance={self.variance:.4g})"
