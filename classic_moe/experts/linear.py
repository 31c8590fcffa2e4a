"""Linear Gaussian experts: y | x ~ N(B_k x + b_k, Σ_k)."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from .._kernels import array
from ..distribution.mixture import MultivariateNormalComponents
from ..parts.checks import check_option, check_variance
from ..parts.kernel import Kernel
from ..parts.linalg import clip_all
from ..parts.records import Target
from ..parts.statistics import Statistics
from ..parts.views import shaped, take
from ._location_scale import (
    SMALLEST_SCALE,
    LocationScaleExpert,
    collapsed,
    least_squares,
    residual_grams,
)

COVARIANCE_TYPES = ("full", "diag", "spherical", "tied")


KERNEL = Kernel(
    "linear_gaussian",
    params=lambda expert, params: expert._whitening(params),
    statistics=lambda expert, params, grams: Statistics(gram=grams),  # of z = [1, x, y]
)


class LinearExpert(LocationScaleExpert):
    r"""Linear Gaussian expert, the classical choice for regression.

    .. math:: p_k(y \mid x) = N(y;\; B_k x + b_k,\; \Sigma_k)

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
    covariance_type : {"full", "diag", "spherical", "tied"}, default="full"
        Σ_k of an expert: any; diagonal; one variance for all outputs, which are measured in their
        standard deviations; or one full Σ shared by all experts, which with one output is a common
        variance. Starting values of another type are projected:
        off-diagonals dropped, variances of outputs or covariances of experts averaged. A shared Σ
        has the prior once. In a classifier, where y is one-hot, "full" and "tied" have no density
        and are refused.
    variance : "estimate" or float, default="estimate"
        A number is the variance of every output of every expert, in the caller's units squared,
        and stays so: 1 is the unit variance of [2]_. y is not standardised then, so that `alpha`
        is in its units; `variance_prior` and `covariance_type` have no say. In a classifier the
        alias ``"linear"`` has variance 1: an expert with a variance of its own that takes the rows
        of one class alone explains them without any, and the likelihood is unbounded.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.
    .. [2] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.

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

    kernel = KERNEL
    scale_name = "sd"
    matrix = "covariance"
    """What Σ (K, q, q) is called in `params` and by the caller."""
    further = ()
    """Names of the caller's that `from_caller` takes besides those of this class."""

    variance = "estimate"  # of families that have no such parameter

    def __init__(
        self, alpha=1e-6, variance_prior=1e-2, covariance_type="full", variance="estimate"
    ):
        self.alpha = alpha
        self.variance_prior = variance_prior
        self.covariance_type = covariance_type
        self.variance = variance

    def check_parameters(self):
        super().check_parameters()
        check_option(self, "covariance_type", COVARIANCE_TYPES)
        check_variance(self)

    @property
    def target(self):
        """What y is to it: not scaled where the variance is given in the caller's units."""
        return Target(standardise=not self._given, given_unit=self._given)

    @property
    def _given(self):
        """Whether the variance is a number, rather than estimated."""
        return not isinstance(self.variance, str)

    def check_one_hot(self):
        if self.covariance_type in ("full", "tied") and not self._given:
            raise ValueError(
                f"covariance_type={self.covariance_type!r} of {type(self).__name__} has no density"
                " for classes, whose one-hot codes sum to 1; use 'spherical', 'diag' or a fixed"
                " variance."
            )

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        return array.gaussian_log_density(*self._whitened(params, X, y))

    def _whitened(self, params, X, y):
        """Whitened residuals (n, K, q) and the normal's log normalisers (K,)."""
        whitening, log_norm = self._whitening(params)
        K, q, P = whitening.shape
        Z = array.with_intercept(X, y)
        return (Z @ whitening.reshape(K * q, P).T).reshape(-1, K, q), log_norm

    def conditional_variance(self, params, X):
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

    def init(self, X, y, resp, random_state, classes=None):
        params = self._start(X, y, resp)
        return self.maximize(params, self.statistics(params, X, y, resp), cautious=True)

    def _start(self, X, y, resp):
        """No slopes, and the covariance of y."""
        K, q, p = resp.shape[1], y.shape[1], X.shape[1]
        variance = self.variance if self._given else 1.0
        return {"coef": np.zeros((K, q, 1 + p)), self.matrix: variance * np.stack([np.eye(q)] * K)}

    def statistics(self, params, X, y, resp, order=2):
        return Statistics(gram=array.weighted_grams(array.with_intercept(X, y), resp))

    def _rows(self, stats):
        """Effective rows of the experts, (K,)."""
        return stats["gram"][:, 0, 0]

    def maximize(self, params, stats, cautious=False):
        """Exact for alpha = 0, else an ECM step (coefficients given Σ, then Σ); never lowers Q."""
        rows = self._rows(stats)
        coef = self._new_coef(params, stats["gram"], rows)
        scatter = residual_grams(coef, stats["gram"])
        return {"coef": coef, self.matrix: self._new_matrix(params, scatter, rows)}

    def _new_coef(self, params, grams, rows):
        coef = least_squares(params["coef"], params[self.matrix], grams, self.alpha)
        return np.where(rows[:, None, None] > 0, coef, params["coef"])  # else the last values

    def _new_matrix(self, params, scatter, rows):
        if self._given:
            return params[self.matrix]
        K, q, _ = scatter.shape
        scatter = self._structured(scatter + self._prior(K) * np.eye(q))
        rows = self._shared(rows)
        seen = rows > 0
        total = np.where(seen, rows + self._prior(K), 1.0)[:, None, None]
        matrices = np.where(seen[:, None, None], scatter / total, params[self.matrix])
        return clip_all(matrices, SMALLEST_SCALE**2)

    def gradient(self, params, stats):
        """∂Q/∂params, priors included, as far as the type of Σ lets `params` change."""
        return self.tangent(self._derivative(params, stats))

    def _derivative(self, params, stats):
        """Σ⁻¹(moment - B·gram) and ½(Σ⁻¹ S Σ⁻¹ - n Σ⁻¹), priors included."""
        d = params["coef"].shape[2]
        grams = stats["gram"]
        precision = np.linalg.inv(params[self.matrix])
        moment = grams[:, d:, :d] - params["coef"] @ grams[:, :d, :d]
        coef = precision @ moment
        coef[:, :, 1:] -= self.alpha * params["coef"][:, :, 1:]
        nu = self._prior(len(coef))
        spread = residual_grams(params["coef"], grams) + nu * np.eye(len(precision[0]))
        n = (self._rows(stats) + nu)[:, None, None]
        matrix = 0.5 * (precision @ spread @ precision - n * precision)
        return {"coef": coef, self.matrix: matrix}

    def tangent(self, direction):
        """The part of a change of `params` that keeps Σ of its type, or fixed."""
        matrix = 0.0 * direction[self.matrix] if self._given else direction[self.matrix]
        return direction | {self.matrix: self._structured(matrix)}

    def coordinates(self, params):
        return {self.matrix: "fixed" if self._given else "covariance"}

    def log_prior(self, params):
        matrix = params[self.matrix]
        _, log_det = np.linalg.slogdet(matrix)
        traces = np.trace(np.linalg.inv(matrix), axis1=1, axis2=2)
        of_scales = -0.5 * self._prior(len(matrix)) * np.sum(log_det + traces)
        return float(self._log_prior_of_slopes(params) + of_scales)

    def n_parameters(self, params):
        K, q, d = params["coef"].shape
        if self._given:
            return K * q * d
        full = q * (q + 1) // 2
        of_scales = {"full": K * full, "diag": K * q, "spherical": K, "tied": full}
        return K * q * d + of_scales[self.covariance_type]

    def diagnose(self, params, stats):
        if self._given:
            return []
        K, _, d = params["coef"].shape
        rows, matrices = self._rows(stats), params[self.matrix]
        names, cure = [f"expert {k}" for k in range(K)], "use fewer experts"
        if self.covariance_type == "tied":
            names, matrices, d = ["every expert"], matrices[:1], K * d
            rows = rows.sum(keepdims=True)
        if len(names) == 1:
            cure = self.cure_of_one
        findings = []
        for name, n, matrix in zip(names, rows, matrices, strict=True):
            sd = np.sqrt(np.linalg.eigvalsh(matrix)[0])
            prior = self.variance_prior
            by_prior = n * sd**2 <= 2 * prior
            findings.append(collapsed(name, sd, n, d, by_prior, prior=prior, cure=cure))
        return [finding for finding in findings if finding]

    # -- the type of Σ ----------------------------------------------------------------------

    def _structured(self, matrices):
        """The nearest matrices (K, q, q) of the covariance type; linear."""
        if self.covariance_type == "diag":
            return matrices * np.eye(matrices.shape[1])
        if self.covariance_type == "spherical":
            mean = np.trace(matrices, axis1=1, axis2=2) / max(matrices.shape[1], 1)
            return mean[:, None, None] * np.eye(matrices.shape[1])
        return self._shared(matrices)

    def _shared(self, values):
        """The mean over experts in the place of each, where Σ is tied."""
        if self.covariance_type != "tied":
            return values
        return np.repeat(values.mean(axis=0, keepdims=True), len(values), axis=0)

    def _prior(self, n_experts):
        """Pseudo-rows of each expert, those of a tied Σ counted once in all; a given Σ has none."""
        if self._given:
            return 0.0
        return self.variance_prior / (n_experts if self.covariance_type == "tied" else 1)

    def _whitening(self, params):
        """Whitening maps (K, q, 1 + p + q) and log normalisers (K,) of the densities.

        The whitening map of z = [1, x, y] is L⁻¹ [-B, I] with Σ = L Lᵀ.
        """
        K, q, _ = params["coef"].shape
        factor = np.linalg.cholesky(params[self.matrix])
        identity = np.broadcast_to(np.eye(q), (K, q, q))
        residual = np.concatenate([-params["coef"], identity], axis=2)
        log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        return np.linalg.solve(factor, residual), -log_det - 0.5 * q * np.log(2 * np.pi)

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        coef, intercept = units.coef_to_caller(params["coef"])
        unit, matrix = units.y.unit, params[self.matrix]
        scale = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2)) * unit
        with np.errstate(over="ignore"):  # y of size 1e160 has an infinite variance
            matrix = matrix * np.multiply.outer(unit, unit)
        return {"coef": coef, "intercept": intercept, self.matrix: matrix, "scale": scale}

    def from_caller(self, values, units, n_experts, classes=None):
        optional = ("scale", self.matrix, *self.further) + (() if self.inputs.uses_x else ("coef",))
        wanted = ("coef", "intercept") if self.inputs.uses_x else ("intercept",)
        values = take(values, wanted, "expert", optional)
        K, q = n_experts, len(units.y.center)
        coef = self._coef_from_caller(values, units, K)
        slope, positive = units.y.slope, True
        if self._given:
            matrix = np.tile(self.variance * np.eye(q), (K, 1, 1))
        elif self.matrix in values:
            given = shaped(values[self.matrix], (K, q, q), self.matrix, "expert")
            matrix = given * np.multiply.outer(slope, slope)
        elif "scale" in values:
            scale = shaped(values["scale"], (K, q), "scale", "expert") * slope
            positive = scale > 0
            matrix = np.einsum("kq,qr->kqr", scale**2, np.eye(q))
        else:
            raise ValueError(f"init_params for the expert needs 'scale' or {self.matrix!r}.")
        if not (np.all(positive) and np.linalg.eigvalsh(matrix).min() > 0):
            raise ValueError(
                "init_params: every scale must be positive and every"
                f" {self.matrix} positive definite."
            )
        return {"coef": coef, self.matrix: self._structured(matrix)}
