"""Laplace experts: least absolute deviations, medians instead of means."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from .._kernels import array
from ..distribution.families import laplace
from ..parts.linalg import solve
from ..parts.penalties import Ridge
from ..parts.predictors import Predictor, Terms
from ..parts.records import Inputs, Learning, Target
from ..parts.statistics import Statistics
from ..parts.views import shaped, take
from . import _stages
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
    alpha : float or "weak", default=1e-6
        As in `LinearExpert`: ridge penalty on the slopes in standardised units.
    variance_prior : float or "weak", default=1e-2
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

    kernel = _stages.LAPLACE
    floors = tuple(FLOORS.tolist())
    target = Target(standardise=True, outputs=1)
    inputs = Inputs(any_array=True)

    learning = Learning(bends=False)
    weak = MappingProxyType({"alpha": 1e-6, "variance_prior": 1e-2})

    def __init__(self, alpha: float | str = 1e-6, variance_prior: float | str = 1e-2) -> None:
        self.alpha = alpha
        self.variance_prior = variance_prior

    def check_target(self, y):
        """Refuse several outputs."""
        if y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(
                f"LaplaceExpert takes one output, y has {y.shape[1]} columns; use StudentTExpert,"
                " which takes several."
            )

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        """Return -|y - B_k x - b_k| / b_k - log 2 b_k, (n, K)."""
        residual, b = self._residuals(params, X, y)
        xp = array.namespace(residual)
        return -xp.abs(residual) / b - xp.log(2 * b)

    def _residuals(self, params, X, y):
        """Return the residuals (n, K) and the scales (K,) beside them."""
        residual = y - self.mean(params, X)[:, :, 0]
        return residual, array.like(residual, self._scales(params))

    def _scales(self, params):
        """Return the scales (K,); NaN for one extrapolated below 0, which a solver turns down."""
        return np.where(params["scale"] > 0, params["scale"], np.nan)

    def components(self, params, X, units, single_output=True):
        """Return the K predictive Laplace distributions in the caller's units."""
        y = units.y
        mean = self.mean(params, X) * y.unit + y.origin
        return laplace(loc=mean[:, :, 0], scale=params["scale"] * y.unit)

    # -- its derivatives -------------------------------------------------------------------

    def predictors(self, params):
        """Return the predictors: the centre and log b."""
        return [*self._predictors_of_means(params), Predictor("scale", design="1")]

    def rows(self, params, X, y, derivatives=2):
        """Return the log-densities and first derivatives, `Terms`; there are no second ones.

        ∂/∂μ is sign(r)/b, and 0 where the kink is, at r = 0; ∂/∂log b is |r|/b - 1.
        """
        residual, b = self._residuals(params, X, y)
        xp = array.namespace(residual)
        size = xp.abs(residual)
        slope = xp.stack([xp.sign(residual) / b, size / b - 1], axis=2)
        return Terms(-size / b - xp.log(2 * b), slope, None)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        """Return the parameters after one step from lines without slopes."""
        K = resp.shape[1]
        params = {"coef": np.zeros((K, 1, 1 + X.shape[1])), "scale": np.full(K, MEAN_RESIDUAL)}
        return self.maximize(params, self.statistics(params, X, y, resp))

    def statistics(self, params, X, y, resp, order=2):
        """Return Σ w z zᵀ, Σ w r z and ½ Σ resp (c + r²/c), where w = resp/c.

        Each for both of `FLOORS`, from the least residual c: (K, 2, d, d), (K, 2, d) and (K, 2).
        """
        residual, b = self._residuals(params, X, y)
        xp, Z = array.namespace(residual), array.with_intercept(X)
        size, grams, moments, majorants = xp.abs(residual), [], [], []
        for floor in FLOORS:
            c = xp.maximum(size, float(floor) * b)
            weighted = resp * (residual / c)
            grams.append(array.weighted_grams(Z, resp / c))
            moments.append(weighted.T @ Z)
            majorants.append(0.5 * xp.sum(resp * c + weighted * residual, axis=0))
        return Statistics(
            n=xp.sum(resp, axis=0),
            gram=xp.stack(grams, axis=1),
            moment=xp.stack(moments, axis=1),
            majorant=xp.stack(majorants, axis=1),
        )

    def maximize(self, params, stats, cautious=False):
        """Take an MM step: coefficients given b, then b from the same majoriser of Σ resp·|r|."""
        i, nu, n = int(cautious), self.variance_prior, stats["n"]
        coef, scale = params["coef"].copy(), params["scale"].copy()
        ridge = Ridge(self._alpha).curvature(coef.shape[2])
        for k in np.flatnonzero(n > 0):  # without rows: the last finite values
            gram, moment = stats["gram"][k, i], stats["moment"][k, i]
            own = scale[k] * ridge
            step = solve(gram + np.diag(own), moment - own * coef[k, 0])
            coef[k, 0] += step
            size = stats["majorant"][k, i] - step @ moment + 0.5 * step @ gram @ step
            scale[k] = max((size + nu * MEAN_RESIDUAL) / (n[k] + nu), SMALLEST_SCALE)
        return {"coef": coef, "scale": scale}

    def gradient(self, params, stats):
        """Return Σ resp sign(r) z / b and Σ resp |r|/b² - n/b, priors included."""
        b, nu = params["scale"], self.variance_prior
        slope = stats["moment"][:, 1] / b[:, None]
        coef = slope - Ridge(self._alpha).slope(params["coef"])[:, 0]
        size = stats["majorant"][:, 1] + nu * MEAN_RESIDUAL
        return {"coef": coef[:, None], "scale": size / b**2 - (stats["n"] + nu) / b}

    def coordinates(self, params):
        """Return that the scale is bounded from below."""
        return {"scale": (SMALLEST_SCALE, np.inf)}

    def log_prior(self, params):
        """Return the log-density of slopes and pseudo-rows."""
        b = self._scales(params)
        of_scales = self.variance_prior * np.sum(np.log(b) + MEAN_RESIDUAL / b)
        return float(-Ridge(self._alpha).value(params["coef"]) - of_scales)

    def diagnose(self, params, stats):
        """Return a finding for every scale that has lost its data."""
        K, _, d = params["coef"].shape
        advice = "use fewer experts" if K > 1 else self.advice_for_one
        prior, findings = self.variance_prior, []
        for k, (b, n) in enumerate(zip(params["scale"], stats["n"], strict=True)):
            by_prior = n * b <= 2 * prior * MEAN_RESIDUAL
            findings.append(collapsed((k,), b, n, d, by_prior, prior=prior, advice=advice))
        return [finding for finding in findings if finding]

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        """Return "coef", "intercept", "covariance", which is 2b², and "scale", b."""
        coef, intercept = units.coef_to_caller(params["coef"])
        scale = params["scale"][:, None] * units.y.unit
        with np.errstate(over="ignore"):  # y of size 1e160 has an infinite variance
            covariance = 2 * scale[:, :, None] ** 2
        return {"coef": coef, "intercept": intercept, "covariance": covariance, "scale": scale}

    def from_caller(self, values, units, n_experts, classes=None):
        """Return params from "coef", "intercept" and "scale", which gives "covariance"."""
        values = take(values, ("coef", "intercept", "scale"), "expert", ("covariance",))
        scale = shaped(values["scale"], (n_experts, 1), "scale", "expert") * units.y.slope
        if scale.min() <= 0:
            raise ValueError("init_params: every scale must be positive.")
        return {"coef": self._coef_from_caller(values, units, n_experts), "scale": scale[:, 0]}
