"""Student-t experts: linear experts that outliers do not move."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from .._kernels import array
from ..distribution.families import log_t_norm, t
from ..distribution.multivariate import MultivariateTComponents, t_covariance
from ..exceptions import ExpertCollapseWarning
from ..parts.checks import is_number
from ..parts.elliptical import Profile
from ..parts.findings import Finding
from ..parts.linalg import inverse
from ..parts.predictors import Predictor, Terms
from ..parts.statistics import Statistics
from ..parts.views import shaped
from ._location_scale import residual_grams
from ._stages import STUDENT_T, distance
from .linear import LinearExpert

START_DF, MOST_DF = 10.0, 200.0
"""Where the estimation of df starts, and its upper bound: practically the normal distribution."""


class StudentTExpert(LinearExpert):
    r"""Linear expert with Student-t noise, for data with outliers.

    .. math:: p_k(y \mid x) = t_{\nu_k}(y;\; B_k x + b_k,\; \Sigma_k)

    A row far from the line counts for little: its weight in the M-step is
    u = (ν + q) / (ν + δ), with q outputs and δ the squared distance of its residual in units of
    Σ_k. This is EM for a normal distribution with covariance Σ_k / u, u unknown [1]_ [2]_.
    The M-step is that of PX-EM, which divides the scatter by Σ u rather than by the number of
    rows and takes far fewer steps when ν is small, with Newton's step for ν, which does so when ν
    is large. Where this would descend, plain EM with the ECM equation for ν takes over.

    Parameters
    ----------
    df : float, "estimate" or "tied", default="estimate"
        Degrees of freedom ν: given, estimated for each expert, or estimated and shared by all.
    min_df : float, default=1.0
        Lower bound of an estimated ν; the upper one is 200, practically normal. Without a bound
        rows that lie exactly on a line can draw an expert to them, where the likelihood is
        unbounded; 1 is the Cauchy distribution. Where the bound binds, the fit says so.
    alpha : float, "auto" or "weak", default=1e-6
        As in `LinearExpert`.
    variance_prior : float, "auto" or "weak", default=1e-2
        As in `LinearExpert`, on the scale matrix Σ. Outliers count in the variance of y, so those
        beyond a thousand times the spread of the other rows make this prior strong, which is
        reported: coefficients hardly change, but the scale needs ``variance_prior=0``.
    covariance_type : {"full", "diag", "spherical", "tied"}, default="full"
        As in `LinearExpert`, of the scale matrix Σ.

    Notes
    -----
    Of a fitted expert, `scale_` is σ, the square root of the diagonal of Σ, which is
    `scale_matrix_`; `covariance_` is that of y, ν/(ν - 2)·Σ, infinite for ν <= 2; `df_` is ν.

    For ν <= 1 there is no E[y|x]. `predict` and `predict_experts` give the centre B_k x + b_k, for
    every ν; `predict_dist(X).mean()` is NaN where an expert with ν <= 1 has a weight, and the
    variance is infinite for ν <= 2.

    References
    ----------
    .. [1] Lange, K. L., Little, R. J. A. & Taylor, J. M. G. (1989). Robust statistical modeling
       using the t distribution. Journal of the American Statistical Association 84, 881-896.
    .. [2] Liu, C., Rubin, D. B. & Wu, Y. N. (1998). Parameter expansion to accelerate EM: the PX-EM
       algorithm. Biometrika 85, 755-770.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, (100, 1))
    >>> y = 2 * X[:, 0] + 0.1 * rng.standard_normal(100)
    >>> y[:5] = 50  # outliers
    >>> model = MixtureOfExpertsRegressor(1, expert="student_t").fit(X, y)
    >>> model.experts_[0].coef_.round(1)
    array([2.])
    """

    kernel = STUDENT_T
    scale_name = "scale"
    matrix = "scale_matrix"
    also_accepted = ("covariance", "df")
    advice_for_one = (
        "y has almost no noise, or outliers so far away that variance_prior should be 0"
    )

    def __init__(
        self,
        df: Any = "estimate",
        min_df: float = 1.0,
        alpha: float | str = 1e-6,
        variance_prior: float | str = 1e-2,
        covariance_type: str = "full",
    ) -> None:
        self.df = df
        self.min_df = min_df
        self.alpha = alpha
        self.variance_prior = variance_prior
        self.covariance_type = covariance_type

    def check_parameters(self):
        super().check_parameters()
        named = isinstance(self.df, str) and self.df in ("estimate", "tied")
        if not (named or (is_number(self.df) and 0 < self.df < np.inf)):
            raise ValueError(
                f"df={self.df!r} of StudentTExpert: use 'estimate', 'tied' or a positive number."
            )
        if not (is_number(self.min_df) and 0 < self.min_df < MOST_DF):
            raise ValueError(
                f"min_df={self.min_df!r} of StudentTExpert: needs a number between 0 and"
                f" {MOST_DF:g}; 1 is the Cauchy distribution."
            )

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        """Return log t_ν(y; B_k x + b_k, Σ_k), (n, K)."""
        U, log_norm = self._whitened(params, X, y)
        return self._log_density(params, U, log_norm)

    def _log_density(self, params, U, log_norm):
        """Return the log-density at whitened residuals (n, K, q), (n, K)."""
        return self._density(U, *self._normalised(params, log_norm))

    def _density(self, U, df, log_norm):
        """Return the log-density from ν and the log normalisers, `_normalised`, (n, K)."""
        log_norm, half, df = array.like(U, log_norm, 0.5 * (df + U.shape[2]), df)
        return log_norm - half * array.namespace(U).log1p(distance(U) / df)

    def _normalised(self, params, log_norm):
        """Return ν, (K,) or (1,), and the log normalisers (K,), from those of the normal, given.

        log p = log_norm - ½ (ν + q) log(1 + δ/ν) with log_norm = -log|L| - ½ q log 2π
        + log Γ((ν + q)/2) - log Γ(ν/2) - ½ q log(ν/2).
        """
        q, df = params["coef"].shape[1], _df(params)
        return df, log_t_norm(log_norm, df, q)

    def components(self, params, X, units, single_output=True):
        """Return the K predictive t distributions in the caller's units."""
        y = units.y
        mean = self.mean(params, X) * y.unit + y.origin
        df, matrix = self._df_for_each(params), self._for_each(params)
        if single_output:
            scale = np.sqrt(matrix[:, 0, 0]) * y.unit[0]
            return t(df, loc=mean[:, :, 0], scale=scale)
        return MultivariateTComponents(df, mean, matrix, y.unit)

    def _df_for_each(self, params):
        """Return ν of every expert, (K,), whether it is shared or not."""
        return np.broadcast_to(params["df"], (len(params["coef"]),))

    # -- its derivatives -------------------------------------------------------------------

    def predictors(self, params):
        """Return the predictors: the means, the free numbers of Σ, and log ν where estimated."""
        tied = self.df == "tied"
        df = Predictor("df", ((0,) if tied else (),), design="1", shared=tied)
        return [*super().predictors(params), *([df] if self._estimates else [])]

    def rows(self, params, X, y, derivatives=2):
        """Return the log-densities and their derivatives in the predictors, `Terms`."""
        U, log_norm = self._whitened(params, X, y)
        log_prob = self._log_density(params, U, log_norm)
        return Terms(log_prob, *self._derivatives(params, U, self._profile(params, U), derivatives))

    def _profile(self, params, U):
        """Return the derivatives of g(δ) = -½ (ν + q) log(1 + δ/ν), and those in s = log ν.

        With u = (ν + q)/(ν + δ): g′ = -u/2, g″ = ½ u/(ν + δ), and ∂g′/∂ν = -½ (1 - u)/(ν + δ), as
        ∂u/∂ν = (1 - u)/(ν + δ). From ν to s: ∂/∂s = ν ∂/∂ν and ∂²/∂s² = ν² ∂²/∂ν² + ν ∂/∂ν.
        """
        xp, df, q = array.namespace(U), _df(params), U.shape[2]
        constant, second_constant = _df_constants(df, q)
        df, constant, second_constant = array.like(U, df, constant, second_constant)
        total = df + distance(U)
        weight = (df + q) / total
        if not self._estimates:
            return Profile(-0.5 * weight, 0.5 * weight / total)
        slope = 0.5 * (constant + xp.log(weight) - weight)
        second = 0.5 * (second_constant + (1 - weight) ** 2 / (df + q))
        mixed = -0.5 * (1 - weight) / total
        shape = (df * slope, df**2 * second + df * slope, df * mixed)
        return Profile(-0.5 * weight, 0.5 * weight / total, shape)

    # -- fitting ---------------------------------------------------------------------------

    def _start(self, X, y, resp):
        df = np.clip(START_DF, self.min_df, MOST_DF) if self._estimates else self.df
        n_numbers = 1 if self.df == "tied" else resp.shape[1]
        return super()._start(X, y, resp) | {"df": np.full(n_numbers, float(df))}

    @property
    def _estimates(self):
        return isinstance(self.df, str)

    def statistics(self, params, X, y, resp, order=2):
        """Return Σ resp, Σ resp u z zᵀ, Σ resp log u and Σ resp (1 - u)², with K in front."""
        xp, Z = array.namespace(X), array.with_intercept(X, y)
        weight = self._weight(params, self._whitened(params, X, y)[0])
        return Statistics(
            n=xp.sum(resp, axis=0),
            gram=array.weighted_grams(Z, resp * weight),
            log_weight=xp.sum(resp * xp.log(weight), axis=0),
            spread=xp.sum(resp * (1 - weight) ** 2, axis=0),
        )

    def _weight(self, params, U):
        """Return the weights u = (ν + q)/(ν + δ) of rows in the M-step, (n, K)."""
        df = array.like(U, _df(params))
        return (df + U.shape[2]) / (df + distance(U))

    def _rows(self, stats):
        return stats["n"]

    def maximize(self, params, stats, cautious=False):
        """Take a step of PX-EM, and Newton's for df; plain EM, the certain step, if `cautious`."""
        grams, n = stats["gram"], stats["n"]
        coef = self._new_coef(params, grams, n)
        scatter = residual_grams(coef, grams)
        unit = np.ones_like(n)
        for _ in range(0 if cautious else 2):  # without the prior the first is exact
            matrix = self._new_matrix(params, scatter / unit[:, None, None], n)
            unit = _unit(unit, matrix, scatter, params["df"], n, grams[:, 0, 0])
        matrix = self._new_matrix(params, scatter / unit[:, None, None], n)
        return {"coef": coef, "scale_matrix": matrix, "df": self._new_df(params, stats, cautious)}

    def _new_df(self, params, stats, cautious):
        """Return ν after a step of Newton's method or, if `cautious`, of ECM, within its bounds."""
        df, n = params["df"], self._pool(stats["n"])
        if not self._estimates:
            return df
        slope, curvature = self._df_derivatives(params, stats)
        new = df.copy()
        for k in np.flatnonzero(n > 0):  # without rows: the last value
            newton = None if cautious else _newton(df[k], slope[k], curvature[k])
            new[k] = _ecm(df[k], slope[k] / n[k], self.min_df) if newton is None else newton
        return np.clip(new, self.min_df, MOST_DF)

    def _pool(self, values):
        """Sum over the experts that share ν: (K,) -> (1,) where it is tied."""
        return values.sum(keepdims=True) if self.df == "tied" else values

    def _df_derivatives(self, params, stats):
        """Return the first and the second derivative of Σ resp log p in ν, in its shape.

        They are ½ Σ resp (c + log u - u) and ½ Σ resp (c′ + (1 - u)²/(ν + q)) with the constants
        of `_df_constants`.
        """
        df, n, q = params["df"], stats["n"], params["coef"].shape[1]
        constant, second_constant = _df_constants(df, q)
        slope = 0.5 * (n * constant + stats["log_weight"] - stats["gram"][:, 0, 0])
        curvature = 0.5 * (n * second_constant + stats["spread"] / (df + q))
        return self._pool(slope), self._pool(curvature)

    def gradient(self, params, stats):
        """Return ∂Q/∂params as `LinearExpert` does, and in ν; 0 where it is given."""
        slope = self._df_derivatives(params, stats)[0]
        df = slope if self._estimates else np.zeros_like(params["df"])
        return super().gradient(params, stats) | {"df": df}

    def coordinates(self, params):
        df = (self.min_df, MOST_DF) if self._estimates else "fixed"
        return super().coordinates(params) | {"df": df}

    def log_prior(self, params):
        """Return that of `LinearExpert`; an estimated df is uniform between its bounds."""
        df = params["df"]
        if self._estimates and not np.all((self.min_df <= df) & (df <= MOST_DF)):
            return -np.inf
        return super().log_prior(params)

    def n_parameters(self, params):
        return super().n_parameters(params) + (len(params["df"]) if self._estimates else 0)

    def diagnose(self, params, stats):
        bound = np.flatnonzero(params["df"] <= self.min_df) if self._estimates else []
        if len(bound) == 0:
            return super().diagnose(params, stats)
        who = "every expert" if self.df == "tied" else f"expert {bound[0]}"
        whose = range(len(params["coef"])) if self.df == "tied" else bound[:1].tolist()
        message = (
            f"{who} has df at its bound min_df={self.min_df:g}: the tails are at least as heavy, or"
            " some rows lie exactly on a line"
        )
        advice = "look for repeated rows, use fewer experts or give df a number, such as df=4"
        finding = Finding(ExpertCollapseWarning, message, False, advice, tuple(whose))
        return [*super().diagnose(params, stats), finding]

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        values = super().to_caller(params, units)
        df = self._df_for_each(params)
        covariance = t_covariance(df, values["scale_matrix"])
        return values | {"covariance": covariance, "df": df.copy()}

    def from_caller(self, values, units, n_experts, classes=None):
        """Do as `LinearExpert`; "df" is taken too, "covariance" follows from the others."""
        params = super().from_caller(values, units, n_experts)
        default = START_DF if self._estimates else self.df
        df = shaped(values.get("df", np.full(n_experts, default)), (n_experts,), "df", "expert")
        if df.min() <= 0:
            raise ValueError(f"init_params: every df must be positive, got {df.min():g}.")
        df = np.clip(df, self.min_df, MOST_DF) if self._estimates else np.full(n_experts, self.df)
        return params | {"df": df.mean(keepdims=True) if self.df == "tied" else df}

    def view(self, params, k, units, single_output=True, **shell):
        view = super().view(params, k, units, single_output, **shell)
        view.df_ = float(view.df_)
        return view


def _df(params):
    """Return ν (K,) or (1,); NaN for one extrapolated below 0, which a solver turns down."""
    return np.where(params["df"] > 0, params["df"], np.nan)


def _df_constants(df, q):
    """Return c and its derivative c′ of the derivatives in ν: what does not depend on the row.

    c = ψ(b) - ψ(a) - log(b/a) + 1 with a = ν/2 and b = (ν + q)/2.
    """
    a, b = 0.5 * df, 0.5 * (df + q)
    first = digamma(b) - digamma(a) - np.log(b / a) + 1
    second = 0.5 * (polygamma(1, b) - polygamma(1, a)) + q / (df * (df + q))
    return first, second


def _unit(unit, matrix, scatter, df, n, weight):
    """Return PX-EM's scale of the weights u given Σ, (K,): the mean weight, but for the prior.

    It solves n (q + df) unit = tr(Σ⁻¹ scatter) + df Σ u, where the trace grows with the unit.
    """
    q = scatter.shape[1]
    share = np.einsum("kij,kji->k", inverse(matrix), scatter) / unit
    rest = n * (q + df) - share
    return np.where((rest > 0) & (weight > 0), df * weight / np.where(rest > 0, rest, 1), 1.0)


def _newton(df, slope, curvature):
    """Return Newton's step in 1/df, where the objective is nearly a parabola; None without a peak.

    Near the normal distribution EM would take hundreds of steps.
    """
    curvature = df**3 * (df * curvature + 2 * slope)
    if curvature >= 0:
        return None
    inverse = 1 / df + df**2 * slope / curvature
    return 1 / max(inverse, 1 / MOST_DF)


def _ecm(df, slope, least):
    """Return the root of the ECM equation: argmax of the expected log density of y and u in df.

    It has one peak, and at the old `df` the slope of log p, `slope` a row.
    """

    def change(new):
        return np.log(new / df) - digamma(0.5 * new) + digamma(0.5 * df) + 2 * slope

    if not change(least) > 0:
        return least
    return MOST_DF if change(MOST_DF) >= 0 else brentq(change, least, MOST_DF, xtol=1e-12)
