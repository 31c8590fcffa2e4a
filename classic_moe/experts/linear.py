"""Linear Gaussian experts: y | x ~ N(B_k x + b_k, Σ_k)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.base import clone

from .._kernels import array
from ..distribution.families import norm
from ..distribution.mixture import MultivariateNormalComponents
from ..parts import elliptical
from ..parts.checks import check_option, check_variance
from ..parts.covariance import STRUCTURES, common_variance
from ..parts.kernel import Climb, Kernel
from ..parts.linalg import clip_all, inverse
from ..parts.penalties import PseudoRows, Ridge
from ..parts.predictors import Predictor, Terms
from ..parts.records import Inputs, Target
from ..parts.statistics import Statistics
from ..parts.views import shaped, take
from ._location_scale import (
    SMALLEST_SCALE,
    LocationScaleExpert,
    collapsed,
    least_squares,
    linear_map,
    residual_grams,
)


def _from_sums(expert, params, sums, order):
    """Return the statistics from what a compiled pass sums: Grams of z = [1, x, y], or moments.

    Of order 1 these are Σ resp [1, u] zᵀ of the whitened residuals u = L⁻¹ (y - B [1, x]) = W z,
    so that Σ resp u uᵀ = (Σ resp u zᵀ) Wᵀ.
    """
    if order > 1:
        return Statistics(gram=sums)
    whitening, _ = expert._whitening(params)
    factor = np.linalg.cholesky(params[expert.matrix])
    moments = factor @ sums[:, 1:]
    scatter = moments @ whitening.swapaxes(1, 2) @ factor.swapaxes(1, 2)
    d = params["coef"].shape[2]
    return Statistics(n=sums[:, 0, 0].copy(), slope=moments[:, :, :d], scatter=scatter)


def _climb(expert):
    """Return what a compiled iteration of EM needs to know; None of variances it does not have."""
    if expert._fixed_variance or expert._structure.shared:
        return None
    prior = expert._prior
    settings = float(expert._alpha), float(prior.rows), SMALLEST_SCALE**2
    return Climb(("coef", expert.matrix), settings, prior.scatter(1)[:, 0, 0])


KERNEL = Kernel(
    "linear_gaussian",
    params=lambda expert, params: expert._whitening(params),
    statistics=_from_sums,
    mean=lambda expert, params: params["coef"],
    climb=_climb,
)


LEAST_SHARE, LEAST_ROWS = 0.2, 1.0
"""Of an expert's rows, the share that counts for its variance at least, however many coefficients
it has; and the rows below which it has no say in the variance of all."""
FOLLOWS = "an output follows from others there: leave it out, or use covariance_type='diag'"
"""What to do where a covariance is singular, and no variance is small."""


class LinearExpert(LocationScaleExpert):
    r"""Linear Gaussian expert, the classical choice for regression.

    .. math:: p_k(y \mid x) = N(y;\; B_k x + b_k,\; \Sigma_k)

    The M-step is weighted least squares followed by the weighted residual covariance, both from
    one Gram matrix of z = [1, x, y] per expert [1]_.

    Parameters
    ----------
    alpha : float, "auto" or "weak", default=1e-6
        Ridge penalty ½·alpha·Σ‖b‖² on the slopes in standardised units. The default only keeps
        collinear columns finite; 0 is maximum likelihood. With one expert and
        ``variance_prior=0`` the fit is ``Ridge(alpha * sigma2)`` on standardised data, where
        sigma2 is the fitted residual variance. ``"weak"`` is the default. ``"auto"`` finds one
        alpha for all experts by the evidence, and variances then divide by the rows that the slopes
        leave, Σ resp - 1 - γ_k; where there is no evidence (`evidence_missing_` says why) it is
        the weak number.
    variance_prior : float, "auto" or "weak", default=1e-2
        ν pseudo-rows whose covariance is that of y (its diagonal): Σ = (S + ν I) / (n + ν) in
        standardised y. Keeps an expert from collapsing onto a few rows, where the likelihood is
        unbounded; the default was the smallest to prevent every collapse in 80 small data sets. 0
        is maximum likelihood. ``"weak"`` is the default. ``"auto"`` finds ν and shrinks towards the
        variance that the experts have in common, Σ = (S + ν s² I) / (n + ν).
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
    inputs = Inputs(any_array=True)
    scale_name = "sd"
    matrix = "covariance"
    """What Σ is called in `params`, (K, q, q), or (1, q, q) where it is tied; and by the caller."""
    also_accepted = ()
    """Names of the caller's that `from_caller` takes besides those of this class."""

    variance = "estimate"  # of families that have no such parameter

    weak = MappingProxyType({"alpha": 1e-6, "variance_prior": 1e-2})

    def __init__(
        self,
        alpha: float | str = 1e-6,
        variance_prior: float | str = 1e-2,
        covariance_type: str = "full",
        variance: Any = "estimate",
    ) -> None:
        self.alpha = alpha
        self.variance_prior = variance_prior
        self.covariance_type = covariance_type
        self.variance = variance

    def check_parameters(self):
        super().check_parameters()
        check_option(self, "covariance_type", STRUCTURES)
        check_variance(self)

    @property
    def target(self):
        """What y is to it: not scaled where the variance is given in the caller's units."""
        return Target(standardise=not self._fixed_variance, given_unit=self._fixed_variance)

    @property
    def _fixed_variance(self):
        """Whether the variance is a number, rather than estimated."""
        return not isinstance(self.variance, str)

    @property
    def automatic(self):
        """Return the penalties that may be found by the evidence."""
        return ("alpha",) if self._fixed_variance else ("alpha", "variance_prior")

    @property
    def _prior(self):
        """The pseudo-rows of Σ, none where it is fixed."""
        return PseudoRows.of(0.0 if self._fixed_variance else self.variance_prior)

    @property
    def _structure(self):
        """The structure of Σ: see `classic_moe.parts.covariance`."""
        return STRUCTURES[self.covariance_type]

    def check_target(self, y):
        """Refuse one-hot codes of classes, (n, q), where Σ is any matrix: the codes sum to 1."""
        if self._fixed_variance or self.covariance_type not in ("full", "tied"):
            return
        if np.ndim(y) == 2 and y.shape[1] > 1 and _are_codes_of_classes(np.asarray(y)):
            raise ValueError(
                f"covariance_type={self.covariance_type!r} of {type(self).__name__} has no density"
                " for classes, whose one-hot codes sum to 1; use 'spherical', 'diag' or a fixed"
                " variance."
            )

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        """Return log N(y; B_k x + b_k, Σ_k), (n, K)."""
        U, log_norm = self._whitened(params, X, y)
        return array.gaussian_log_density(U, array.like(U, log_norm))

    def _whitened(self, params, X, y):
        """Return whitened residuals (n, K, q) and the normal's log normalisers (K,), the host's."""
        whitening, log_norm = self._whitening(params)
        return linear_map(array.with_intercept(X, y), whitening), log_norm

    def _whitening(self, params):
        """Return whitening maps (K, q, 1 + p + q) and log normalisers (K,) of the densities.

        The whitening map of z = [1, x, y] is L⁻¹ [-B, I] with Σ = L Lᵀ.
        """
        K, q, _ = params["coef"].shape
        factor = np.linalg.cholesky(params[self.matrix])
        identity = np.broadcast_to(np.eye(q), (K, q, q))
        residual = np.concatenate([-params["coef"], identity], axis=2)
        log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        log_norm = -log_det - 0.5 * q * np.log(2 * np.pi)
        return np.linalg.solve(factor, residual), np.repeat(log_norm, K // len(log_norm))

    def components(self, params, X, units, single_output=True):
        """Return the K predictive normals in the caller's units, for `MixtureDistribution`."""
        y = units.y
        mean = self.mean(params, X) * y.unit + y.origin
        covariance = self._for_each(params)
        if single_output:
            scale = np.sqrt(covariance[:, 0, 0]) * y.unit[0]
            return norm(loc=mean[:, :, 0], scale=scale)
        return MultivariateNormalComponents(mean, covariance, y.unit)

    def _for_each(self, params):
        """Return Σ of every expert, (K, q, q), whether it is shared or not."""
        K, q, _ = params["coef"].shape
        return np.broadcast_to(params[self.matrix], (K, q, q))

    # -- its derivatives -------------------------------------------------------------------

    def predictors(self, params):
        """Return the predictors: the means of the outputs, then the free numbers of Σ."""
        return [*self._predictors_of_means(params), *self._predictors_of_matrix(params)]

    def _predictors_of_matrix(self, params):
        if self._fixed_variance:
            return []
        structure = self._structure
        return [
            Predictor(self.matrix, entries, design="1", shared=structure.shared)
            for entries in structure.entries(params["coef"].shape[1])
        ]

    def rows(self, params, X, y, derivatives=2):
        """Return the log-densities and their derivatives in the predictors, `Terms`."""
        U, log_norm = self._whitened(params, X, y)
        log_prob = array.gaussian_log_density(U, array.like(U, log_norm))
        return Terms(log_prob, *self._derivatives(params, U, elliptical.NORMAL, derivatives))

    def _derivatives(self, params, U, profile, derivatives):
        """Return slope and curvature of an elliptical density at whitened residuals (n, K, q)."""
        q = params["coef"].shape[1]
        cholesky = () if self._fixed_variance else self._structure.cholesky(q)
        factors = np.linalg.cholesky(params[self.matrix])
        return elliptical.derivatives(U, factors, cholesky, profile, derivatives > 1)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        """Return the parameters after one certain step from lines without slopes."""
        params = self._start(X, y, resp)
        return self.maximize(params, self.statistics(params, X, y, resp), cautious=True)

    def _start(self, X, y, resp):
        """Return no slopes, and the covariance of y."""
        K, q, p = resp.shape[1], y.shape[1], X.shape[1]
        variance = self.variance if self._fixed_variance else 1.0
        matrices = np.stack([np.eye(q)] * self._structure.n_matrices(K))
        return {"coef": np.zeros((K, q, 1 + p)), self.matrix: variance * matrices}

    def statistics(self, params, X, y, resp, order=2):
        """Return Σ resp z zᵀ with z = [1, x, y], (K, 1 + p + q, 1 + p + q).

        Of order 1 Σ resp, Σ resp e [1, x]ᵀ and Σ resp e eᵀ of the residuals e = y - B [1, x], which
        are fewer.
        """
        Z = array.with_intercept(X, y)
        if order > 1:
            return Statistics(gram=array.weighted_grams(Z, resp))
        U, _ = self._whitened(params, X, y)
        sums = array.to_host(array.weighted_moments(Z, resp, U))
        return _from_sums(self, params, sums, order)

    def _rows(self, stats):
        """Return the effective rows of the experts, (K,)."""
        return stats["n"] if "n" in stats else stats["gram"][:, 0, 0]

    def maximize(self, params, stats, cautious=False):
        """Exact for alpha = 0, else an ECM step (coefficients given Σ, then Σ); never lowers Q."""
        rows = self._rows(stats)
        coef = self._new_coef(params, stats["gram"], rows)
        scatter = residual_grams(coef, stats["gram"])
        return {"coef": coef, self.matrix: self._new_matrix(params, scatter, rows)}

    def _new_coef(self, params, grams, rows):
        coef = least_squares(params["coef"], params[self.matrix], grams, self._alpha)
        return np.where(rows[:, None, None] > 0, coef, params["coef"])  # else the last values

    def _new_matrix(self, params, scatter, rows):
        """Return (S + T) / (n + ν) from S of every expert (K, q, q); an empty one keeps its Σ."""
        if self._fixed_variance:
            return params[self.matrix]
        structure, prior = self._structure, self._prior
        scatter, rows = structure.pool(scatter), structure.pool(rows)
        scatter = structure.project(scatter + prior.scatter(scatter.shape[1]))
        seen = rows > 0
        total = np.where(seen, rows + prior.rows, 1.0)[:, None, None]
        matrices = np.where(seen[:, None, None], scatter / total, params[self.matrix])
        return clip_all(matrices, SMALLEST_SCALE**2)

    def gradient(self, params, stats):
        """Return ∂Q/∂params, priors included, as far as the type of Σ lets `params` change."""
        slope, scatter = self._residual_sums(params["coef"], stats)
        coef = inverse(params[self.matrix]) @ slope - Ridge(self._alpha).slope(params["coef"])
        return {"coef": coef, self.matrix: self._slope_in_matrix(params, scatter, stats)}

    def _residual_sums(self, coef, stats):
        """Return Σ resp e [1, x]ᵀ (K, q, 1 + p) and Σ resp e eᵀ (K, q, q), e = y - B [1, x]."""
        if "slope" in stats:
            return stats["slope"], stats["scatter"]
        grams, d = stats["gram"], coef.shape[2]
        return grams[:, d:, :d] - coef @ grams[:, :d, :d], residual_grams(coef, grams)

    def _slope_in_matrix(self, params, scatter, stats):
        """Return ½ (Σ⁻¹ (S + T) Σ⁻¹ - (n + ν) Σ⁻¹), in the shape of Σ; 0 where it is fixed."""
        if self._fixed_variance:
            return np.zeros_like(params[self.matrix])
        structure, prior = self._structure, self._prior
        scatter = structure.pool(scatter)
        scatter = scatter + prior.scatter(scatter.shape[1])
        return structure.slope(
            params[self.matrix], scatter, structure.pool(self._rows(stats)) + prior.rows
        )

    def coordinates(self, params):
        """Return the kind of Σ, or that it is fixed."""
        return {self.matrix: "fixed" if self._fixed_variance else "covariance"}

    def log_prior(self, params):
        """Return the log-density of slopes and pseudo-rows; those of a tied Σ count once."""
        of_matrices = self._structure.log_prior(params[self.matrix], self._prior)
        return float(-Ridge(self._alpha).value(params["coef"]) + of_matrices)

    def log_prior_mass(self, params):
        """Return Σ ½ ν q (1 + log s²) + ½ Σ log(1 + 2ν) over free numbers, and the spread's part.

        The pseudo-rows' density is relative to its peak at Σ = s² I, where its curvature in the
        logarithm of a scale is 2ν; ½ tr(E Σ⁻¹) is no prior, and is added back.
        """
        prior, matrices = self._prior, params[self.matrix]
        if self._fixed_variance:
            return 0.0
        m, q, _ = matrices.shape
        n_free = self._structure.n_free(len(params["coef"]), q)
        mass = 0.5 * m * q * prior.rows * (1 + np.log(prior.variance))
        mass += 0.5 * n_free * np.log1p(2 * prior.rows)
        if prior.spread is not None:
            mass += 0.5 * np.sum(prior.spread * inverse(matrices))
        return float(mass)

    def pseudo_rows(self, params, rows, taken, finds) -> PseudoRows:
        """Return the prior of the covariances that the evidence asks for.

        Parameters
        ----------
        params : Params
            At a maximum.
        rows : ndarray of shape (K,)
            Σ resp of the experts.
        taken : ndarray of shape (K,)
            The coefficients of an expert that the data determine: so many rows the residuals of its
            q outputs have less than there are.
        finds : bool
            Whether ν and s² are to be found, or stay what they are.
        """
        structure, prior, matrices = self._structure, self._prior, params[self.matrix]
        q = matrices.shape[1]
        n = structure.pool(rows)
        free = np.maximum(n - structure.pool(taken) / q, LEAST_SHARE * n)
        scatter = (n + prior.rows)[:, None, None] * matrices - prior.scatter(q)
        scatter = clip_all(scatter, 0.0)  # rounding, where the residuals are next to nothing
        nu, variance = prior.rows, prior.variance
        seen = np.flatnonzero(n > LEAST_ROWS)
        if finds and len(seen) < 2:  # there is nothing that they could have in common
            nu, variance = self.weak["variance_prior"], 1.0
        elif finds:
            squares = np.diagonal(scatter, axis1=1, axis2=2)[seen]
            squares = np.maximum(squares, SMALLEST_SCALE**2 * n[seen, None])
            own, common = common_variance(squares.ravel(), np.repeat(free[seen], q))
            weak = self.weak["variance_prior"]  # stays: all experts may have lost their noise
            nu = own + weak
            variance = (own * common + weak) / nu
        prior = PseudoRows(nu, variance)
        total = np.maximum(free + nu, SMALLEST_SCALE)[:, None, None]
        spread = (n - free)[:, None, None] * (scatter + prior.scatter(q)) / total
        spread = (spread + spread.swapaxes(1, 2)) / 2
        return PseudoRows(nu, variance, structure.project(spread) if taken.any() else None)

    def least_variance(self, params) -> float:
        """Return the least variance of an expert in any direction of y, a float."""
        return float(np.linalg.eigvalsh(params[self.matrix]).min())

    def renumbered(self, ids):
        if self._prior.spread is None:
            return self
        return clone(self).set_params(variance_prior=self._prior.take(ids))

    def n_parameters(self, params):
        """Return the number of coefficients and of free numbers in Σ."""
        K, q, d = params["coef"].shape
        return K * q * d + (0 if self._fixed_variance else self._structure.n_free(K, q))

    def diagnose(self, params, stats):
        """Return a finding for every Σ that has lost its data."""
        if self._fixed_variance:
            return []
        (K, _, d), structure = params["coef"].shape, self._structure
        prior, pulled = self._prior.rows, self._pull()
        whose = [tuple(range(K))] if structure.shared else [(k,) for k in range(K)]
        n_coefficients = K * d if structure.shared else d
        advice = "use fewer experts" if len(whose) > 1 else self.advice_for_one
        rows, findings = structure.pool(self._rows(stats)), []
        matrices = params[self.matrix]
        scales = np.sqrt(np.linalg.eigvalsh(matrices)[:, 0])
        diagonals = np.diagonal(matrices, axis1=1, axis2=2).min(axis=1)
        for experts, n, sd, least in zip(whose, rows, scales, diagonals, strict=True):
            by_prior, count = n * sd**2 <= 2 * pulled, n_coefficients
            finding = collapsed(experts, sd, n, count, by_prior, prior=prior, advice=advice)
            if finding and n * least > 2 * pulled and least > 2 * SMALLEST_SCALE**2:
                finding = finding._replace(advice=FOLLOWS)  # each output by itself has noise
            findings.append(finding)
        return [finding for finding in findings if finding]

    def _pull(self):
        """Return ν of the pseudo-rows of y's variance, of which rows with noise leave little.

        Of a prior that was found, many rows say that the experts' noise is alike: no sign of
        trouble.
        """
        prior = self._prior
        return prior.rows if prior.variance == 1 else self.weak["variance_prior"]

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        """Return "coef", "intercept", Σ and "scale", its standard deviations, for every expert."""
        coef, intercept = units.coef_to_caller(params["coef"])
        unit, matrix = units.y.unit, self._for_each(params)
        scale = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2)) * unit
        with np.errstate(over="ignore"):  # y of size 1e160 has an infinite variance
            matrix = matrix * unit[:, None] * unit
        return {"coef": coef, "intercept": intercept, self.matrix: matrix, "scale": scale}

    def from_caller(self, values, units, n_experts, classes=None):
        """Return params; Σ comes from itself or from "scale", and is projected to its type."""
        optional = ("scale", self.matrix, *self.also_accepted)
        optional += () if self.inputs.uses_x else ("coef",)
        wanted = ("coef", "intercept") if self.inputs.uses_x else ("intercept",)
        values = take(values, wanted, "expert", optional)
        coef = self._coef_from_caller(values, units, n_experts)
        matrix = self._matrix_from_caller(values, units.y, n_experts)
        return {"coef": coef, self.matrix: self._structure.project(matrix)}

    def _matrix_from_caller(self, values, y, n_experts):
        """Return Σ of every expert in standardised y, (K, q, q)."""
        K, q = n_experts, len(y.center)
        positive = True
        if self._fixed_variance:
            return np.tile(self.variance * np.eye(q), (K, 1, 1))
        if self.matrix in values:
            given = shaped(values[self.matrix], (K, q, q), self.matrix, "expert")
            matrix = given * np.multiply.outer(y.slope, y.slope)
        elif "scale" in values:
            scale = shaped(values["scale"], (K, q), "scale", "expert") * y.slope
            positive = scale > 0
            matrix = np.einsum("kq,qr->kqr", scale**2, np.eye(q))
        else:
            raise ValueError(f"init_params for the expert needs 'scale' or {self.matrix!r}.")
        if not (np.all(positive) and np.linalg.eigvalsh(matrix).min() > 0):
            raise ValueError(
                "init_params: every scale must be positive and every"
                f" {self.matrix} positive definite."
            )
        return matrix


def _are_codes_of_classes(y):
    """Return whether every row holds a single 1 and zeros otherwise."""
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())
