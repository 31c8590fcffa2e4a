"""Laplace experts: least absolute deviations, medians instead of means."""

from __future__ import annotations

import numpy as np
from scipy.stats import laplace

from .._kernels import array
from ..parts.linalg import solve
from ..parts.records import Target
from ..parts.statistics import Statistics
from ..parts.views import shaped, take
from ._location_scale import SMALLEST_SCALE, LocationScaleExpert, collapsed

FLOORS = np.array([1e-6, 1e-10])
"""Smallest residual that sets a weight, in units of b: of the bold step and of the certain one."""
MEAN_RESIDUAL = np.sqrt(0.5)
"""E|r| of a Laplace distribution of variance 1."""


class LaplaceExpert(LocationScaleExpert):
    r"""Linear expert with Laplace noise: median regression within a mixture; one output.

    .. math:: p_k(y \mid x) = \frac{1}{2 b_k} \exp(-|y - \beta_k^T x - \beta_{k0}| / b_k)

    The M-step majorises ``|r|`` by r²/(2c) + c/2, where c > 0 is the last residual's size: weighted
    least squares with weights 1/c, the EM of a scale mixture of normals [1]_ [2]_. A row that is
    fitted exactly would have an infinite weight and stay so for ever. So c is at least 1e-6·b in
    the bold step, which can then let go of a row, and 1e-10·b in the certain one that finishes the
    work: this lowers the objective by at most 5e-11 for each row, which is rounding.

    Parameters
    ----------
    alpha : float, default=1e-6
        As in `LinearExpert`: ridge penalty on the slopes in standardised units.
    variance_prior : float, default=1e-2
        ν pseudo-rows with the variance of y: b = (Σ|r| + ν/√2) / (n + ν) in standardised y, as
        E|r| = 1/√2 at variance 1. Keeps an expert from collapsing onto a few rows; 0 is maximum
        likelihood.

    Notes
    -----
    Of a fitted expert, `scale_` is b, and `covariance_` is 2b², (1, 1). `predict` gives the
    centre, which is both mean and median.

    References
    ----------
    .. [1] Nguyen, H. D. & McLachlan, G. J. (2016). Laplace mixture of linear experts. Computational
       Statistics & Data Analysis 93, 177-191.
    .. [2] Song, W., Yao, W. & Xing, Y. (2014). Robust mixture regression model fitting by Laplace
       distribution. Computational Statistics & Data Analysis 71, 128-137.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, (100, 1))
    >>> y = 2 * X[:, 0] + 0.1 * rng.standard_normal(100)
    >>> y[:5] = 50  # outliers
    >>> model = MixtureOfExpertsRegressor(1, expert="laplace").fit(X, y)
    >>> model.experts_[0].coef_.round(1)
    array([2.])
    """

    target = Target(standardise=True, outputs=1)

    def __init__(self, alpha=1e-6, variance_prior=1e-2):
        self.alpha = alpha
        self.variance_prior = variance_prior

    def check_target(self, y):
        if y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(
                f"LaplaceExpert takes one output, y has {y.shape[1]} columns; use StudentTExpert,"
                " which takes several."
            )

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        b = _scale(params)
        return -np.abs(self._residuals(params, X, y)) / b - np.log(2 * b)

    def _residuals(self, params, X, y):
        return y - self.mean(params, X)[:, :, 0]

    def conditional_variance(self, params, X):
        """Var_k[y|x], (n, K, 1)."""
        variances = 2 * params["scale"][:, None] ** 2
        return np.broadcast_to(variances, (X.shape[0], *variances.shape))

    def components(self, params, X, units, single_output=True):
        """The K predictive Laplace distributions in the caller's units."""
        y = units.y
        mean = self.mean(params, X) * y.unit + y.origin
        return laplace(loc=mean[:, :, 0], scale=params["scale"] * y.unit)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        K = resp.shape[1]
        params = {"coef": np.zeros((K, 1, 1 + X.shape[1])), "scale": np.full(K, MEAN_RESIDUAL)}
        return self.maximize(params, self.statistics(params, X, y, resp))

    def statistics(self, params, X, y, resp, order=2):
        """For each of `FLOORS`: Σ w zzᵀ, Σ w r z and ½ Σ resp (c + r²/c), where w = resp/c."""
        residual, b = self._residuals(params, X, y), _scale(params)
        Z, size = array.with_intercept(X), np.abs(residual)
        reach = [np.maximum(size, floor * b) for floor in FLOORS]
        share = [resp * (residual / c) for c in reach]
        return Statistics(
            n=resp.sum(axis=0),
            gram=np.stack([array.weighted_grams(Z, resp / c) for c in reach]),
            moment=np.stack([s.T @ Z for s in share]),
            majorant=np.stack(
                [
                    0.5 * np.sum(resp * c + s * residual, axis=0)
                    for c, s in zip(reach, share, strict=True)
                ]
            ),
        )

    def maximize(self, params, stats, cautious=False):
        """An MM step: coefficients given b, then b from the same majoriser of Σ resp·|r|."""
        i, nu, n = int(cautious), self.variance_prior, stats["n"]
        coef, scale = params["coef"].copy(), params["scale"].copy()
        for k in np.flatnonzero(n > 0):  # without rows: the last finite values
            gram, moment = stats["gram"][i, k], stats["moment"][i, k]
            ridge = scale[k] * self._ridge(params)
            step = solve(gram + np.diag(ridge), moment - ridge * coef[k, 0])
            coef[k, 0] += step
            size = stats["majorant"][i, k] - step @ moment + 0.5 * step @ gram @ step
            scale[k] = max((size + nu * MEAN_RESIDUAL) / (n[k] + nu), SMALLEST_SCALE)
        return {"coef": coef, "scale": scale}

    def _ridge(self, params):
        ridge = np.full(params["coef"].shape[2], float(self.alpha))
        ridge[0] = 0.0  # the intercept is free
        return ridge

    def gradient(self, params, stats):
        """∂Q/∂params: Σ resp sign(r) z / b and Σ resp |r|/b² - n/b, priors included."""
        b, nu = params["scale"], self.variance_prior
        coef = stats["moment"][1] / b[:, None] - self._ridge(params) * params["coef"][:, 0]
        size = stats["majorant"][1] + nu * MEAN_RESIDUAL
        return {"coef": coef[:, None], "scale": size / b**2 - (stats["n"] + nu) / b}

    def coordinates(self, params):
        return {"scale": (SMALLEST_SCALE, np.inf)}

    def log_prior(self, params):
        b = _scale(params)
        of_scales = self.variance_prior * np.sum(np.log(b) + MEAN_RESIDUAL / b)
        return float(self._log_prior_of_slopes(params) - of_scales)

    def diagnose(self, params, stats):
        K, _, d = params["coef"].shape
        cure = "use fewer experts" if K > 1 else self.cure_of_one
        prior, findings = self.variance_prior, []
        for k, (b, n) in enumerate(zip(params["scale"], stats["n"], strict=True)):
            by_prior = n * b <= 2 * prior * MEAN_RESIDUAL
            findings.append(collapsed(f"expert {k}", b, n, d, by_prior, prior=prior, cure=cure))
        return [finding for finding in findings if finding]

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        coef, intercept = units.coef_to_caller(params["coef"])
        scale = params["scale"][:, None] * units.y.unit
        with np.errstate(over="ignore"):  # y of size 1e160 has an infinite variance
            covariance = 2 * scale[:, :, None] ** 2
        return {"coef": coef, "intercept": intercept, "covariance": covariance, "scale": scale}

    def from_caller(self, values, units, n_experts, classes=None):
        """Takes "coef", "intercept" and "scale"; "covariance" follows from the scale."""
        values = take(values, ("coef", "intercept", "scale"), "expert", ("covariance",))
        scale = shaped(values["scale"], (n_experts, 1), "scale", "expert") * units.y.slope
        if scale.min() <= 0:
            raise ValueError("init_params: every scale must be positive.")
        return {"coef": self._coef_from_caller(values, units, n_experts), "scale": scale[:, 0]}


def _scale(params):
    """The scales (K,); NaN for one that was extrapolated too far, which a solver turns down."""
    return np.where(params["scale"] > 0, params["scale"], np.nan)
