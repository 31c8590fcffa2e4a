"""Constant Gaussian experts: y | x ~ N(μ_k, Σ_k), whatever x."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from ..parts.records import Inputs
from .linear import LinearExpert


class GaussianExpert(LinearExpert):
    r"""Constant Gaussian expert: it **ignores x**; only the gate does not.

    .. math:: p_k(y \mid x) = N(y;\; \mu_k,\; \Sigma_k)

    The adaptive local expert of the literature in its simplest form [1]_. With a constant gate the
    model is an ordinary Gaussian mixture of y.

    Parameters
    ----------
    variance_prior : float, "auto" or "weak", default=1e-2
        As in `LinearExpert`: ν pseudo-rows with the variance of y. 0 is maximum likelihood.
    covariance_type : {"full", "diag", "spherical", "tied"}, default="full"
        As in `LinearExpert`.
    variance : "estimate" or float, default="estimate"
        As in `LinearExpert`: a number is the variance of every expert and output. 1 is that of
        [1]_.

    References
    ----------
    .. [1] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(2, expert="gaussian", random_state=0).fit(X, y)
    >>> model.experts_[0].coef_.shape
    (0,)
    """

    alpha = 0.0  # no slopes, nothing to penalise
    inputs = Inputs(uses_x=False, any_array=True)

    weak = MappingProxyType({"variance_prior": 1e-2})

    def __init__(
        self,
        variance_prior: float | str = 1e-2,
        covariance_type: str = "full",
        variance: Any = "estimate",
    ) -> None:
        self.variance_prior = variance_prior
        self.covariance_type = covariance_type
        self.variance = variance

    @property
    def automatic(self):
        """Return the penalties that may be found by the evidence."""
        return super().automatic[1:]
