"""Normal densities of x with the verbs of a gate's density; see `_localised`."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..exceptions import ExpertCollapseWarning
from ..parts import elliptical
from ..parts.covariance import STRUCTURES
from ..parts.findings import Finding
from ..parts.linalg import clip_all, eigenvalues, inverse
from ..parts.predictors import Predictor, Terms
from ..parts.statistics import Statistics
from ._localised import Density

VARIANCE_FLOOR = 1e-12
"""Smallest variance in any direction, relative to that of x: sd = 1e-6 sd(x)."""


def normal(covariance_type, variance_prior):
    """Return the normal densities of a covariance type: "full", "diag", "spherical" or "tied"."""
    structure = STRUCTURES[covariance_type]
    return (DiagonalNormal if structure.diagonal else DenseNormal)(structure, variance_prior)


class Normal(Density):
    """Normal densities N(m_k, S_k), with ν pseudo-rows whose covariance is the identity.

    A column that is zero throughout is constant in the caller's units. It has no density and is
    left out; the leaf `varies` (1, p) marks those that stay, d in number. Subclasses say how the
    covariance is kept and give its algebra.

    Parameters
    ----------
    structure : object of `classic_moe.parts.covariance`
    variance_prior : float
        ν.
    """

    def __init__(self, structure, variance_prior):
        self.structure = structure
        self.variance_prior = variance_prior

    def _own(self, params, X):
        """Return the columns that vary, float64 (n, d)."""
        xp, varies = array.namespace(X), params["varies"][0] > 0.5
        if not varies.all():
            X = xp.take(X, array.like(X, np.flatnonzero(varies)), axis=1)
        return xp.astype(X, xp.float64, copy=False)

    def _times(self, params):
        """Return how many eigenvalues a number kept stands for."""
        return 1

    def _pool(self, spread, n):
        """Sum outer products and rows (K,) to as many as there are covariances; n broadcasts."""
        spread, n = self.structure.pool(spread), self.structure.pool(n)
        return spread, n.reshape(-1, *(1,) * (spread.ndim - 1))

    def _spread(self, stats, mean):
        """Return Σ resp·outer(x - mean, x - mean) and Σ resp, pooled."""
        n, total = stats["n"], stats["total"]
        deviation = total - n[:, None] * mean
        second = stats["second"] - self.outer(total, mean) - self.outer(mean, deviation)
        return self._pool(second, n)

    # -- the verbs -------------------------------------------------------------------------

    def init(self, X, resp):
        """Return the weighted moments of X as params."""
        varies = (X != 0).any(axis=0)
        K, d = resp.shape[1], int(varies.sum())
        params = {
            "mean": np.zeros((K, d)),
            "covariance": self.unit(self.structure.n_matrices(K), d),
            "varies": varies[None].astype(np.float64),
        }
        return self.maximize(params, self.statistics(params, X, resp))

    def log_prob(self, params, X):
        """Return log N(x; m_k, S_k), (n, K)."""
        return self._log_density(params, *self._whitened(params, X))

    def _whitened(self, params, X):
        """Return the whitened deviations of every expert, K arrays (n, d), and log|S|, (m,)."""
        V, mean = self._own(params, X), params["mean"]
        roots, log_det = self.roots(params["covariance"])
        pairs = zip(mean, np.broadcast_to(roots, (len(mean), *roots.shape[1:])), strict=True)
        return [self.apply(*array.like(V, root, m), V) for m, root in pairs], log_det

    def _log_density(self, params, whitened, log_det):
        """Return -½ (uᵀu + log|S| + d log 2π), (n, K)."""
        d = params["mean"].shape[1]
        xp = array.namespace(whitened[0])
        square = xp.stack([_squares(U) for U in whitened], axis=0).T  # rows innermost in memory
        log_det = array.like(square, self._times(params) * log_det)
        return -0.5 * (square + log_det + float(d * np.log(2 * np.pi)))

    def predictors(self, params):
        """Return the predictors: the means, then the free numbers of the covariances."""
        d, shared = params["mean"].shape[1], self.structure.shared
        means = [Predictor("mean", ((j,),), design="1") for j in range(d)]
        return means + [
            Predictor("covariance", entries, design="1", shared=shared)
            for entries in self.entries(d)
        ]

    def rows(self, params, X, derivatives=2):
        """Return the log-densities and their derivatives in the predictors, `Terms`."""
        whitened, log_det = self._whitened(params, X)
        U, d = array.namespace(X).stack(whitened, axis=1), params["mean"].shape[1]
        factors, cholesky = self.factors(params["covariance"], d), self.structure.cholesky(d)
        slope, curvature = elliptical.derivatives(
            U, factors, cholesky, elliptical.NORMAL, derivatives > 1
        )
        unit = np.repeat([1.0, self.log_scale], [d, len(cholesky)])
        slope = slope * array.like(U, unit)
        if curvature is not None:
            curvature = curvature * array.like(U, np.multiply.outer(unit, unit))
        return Terms(self._log_density(params, whitened, log_det), slope, curvature)

    def statistics(self, params, X, resp):
        """Return Σ resp, Σ resp x and Σ resp·outer(x, x), with K in front."""
        V = self._own(params, X)
        n = array.namespace(V).sum(resp, axis=0)
        return Statistics(n=n, total=resp.T @ V, second=self.second(V, resp))

    def maps(self, params):
        """Return whitening maps (K, d, 1 + p) of [1, x], and log normalisers (K,)."""
        (K, d), varies = params["mean"].shape, params["varies"][0] > 0.5
        roots, log_det = self.roots(params["covariance"])
        roots = self.matrices(roots, K, d)
        maps = np.zeros((K, d, 1 + len(varies)))
        maps[:, :, 0] = -np.einsum("kij,kj->ki", roots, params["mean"])
        maps[:, :, 1:][:, :, varies] = roots
        log_norm = -0.5 * (self._times(params) * log_det + d * np.log(2 * np.pi))
        return maps, np.broadcast_to(log_norm, (K,))

    def from_grams(self, params, grams):
        """Return the statistics from Σ resp z zᵀ with z = [1, x], (K, 1 + p, 1 + p)."""
        varies = 1 + np.flatnonzero(params["varies"][0] > 0.5)
        second = grams[:, varies[:, None], varies]
        return Statistics(
            n=grams[:, 0, 0].copy(), total=grams[:, 0, varies], second=self.kept(second)
        )

    def maximize(self, params, stats):
        """Return weighted means and covariances; an expert without rows keeps what it has."""
        n, nu = stats["n"][:, None], self.variance_prior
        mean = np.where(n > 0, stats["total"] / np.where(n > 0, n, 1.0), params["mean"])
        spread, n = self._spread(stats, mean)
        prior = nu * self.unit(len(spread), mean.shape[1])
        covariance = self.clip((spread + prior) / (np.where(n > 0, n, 1.0) + nu))
        covariance = np.where(n > 0, covariance, params["covariance"])
        return {"mean": mean, "covariance": covariance, "varies": params["varies"]}

    def gradient(self, params, stats):
        """Return S⁻¹ Σ resp (x - m) and ½ (S⁻¹ (Σ resp (x - m)(x - m)ᵀ) S⁻¹ - n S⁻¹) with prior."""
        mean, nu = params["mean"], self.variance_prior
        precision = self.inverse(params["covariance"])
        spread, n = self._spread(stats, mean)
        spread = spread + nu * self.unit(len(spread), mean.shape[1])
        slope = self.product(self.product(precision, spread), precision) - (n + nu) * precision
        deviation = stats["total"] - stats["n"][:, None] * mean
        return {
            "mean": np.einsum("kij,kj->ki", self.matrices(precision, *mean.shape), deviation),
            "covariance": 0.5 * self._times(params) * slope,
            "varies": np.zeros_like(params["varies"]),
        }

    def log_prior(self, params):
        """Return -½·ν·Σ (log|S| + tr S⁻¹) from the eigenvalues, -inf without a variance."""
        values = self.eigenvalues(params["covariance"])
        if not (values > 0).all():  # extrapolated too far
            return -np.inf
        total = np.sum(np.log(values) + 1 / values)
        return -0.5 * self.variance_prior * self._times(params) * float(total)

    def coordinates(self, params):
        """Return the kinds of the leaves."""
        return {"covariance": self.kind, "varies": "fixed"}

    def n_columns(self, params):
        """Return the number of columns, constant ones counted."""
        return params["varies"].shape[1]

    def n_parameters(self, params):
        """Return the number of means and of free numbers in the covariances."""
        return params["mean"].size + self.structure.n_free(*params["mean"].shape)

    def diagnose(self, params, stats, columns):
        """Return a finding for every covariance that has lost its data in some direction."""
        findings, free = [], self.variance_prior == 0
        smallest = self.eigenvalues(params["covariance"]).min(axis=1, initial=np.inf)
        n = self._spread(stats, params["mean"])[1].ravel()
        for k, (rows, variance) in enumerate(zip(n, smallest, strict=True)):
            reason = self._collapse(rows, variance)
            if reason is None:
                continue
            whose = "shared by the experts" if self.structure.shared else f"of expert {k}"
            advice = "use fewer experts, or leave out columns that are discrete or follow from"
            advice += " others; or a " + ("stronger" if free else "smaller") + " prior"
            advice += "" if free else ", if x varies that little there"
            text = f"the gate's covariance {whose} {reason}"
            findings.append(Finding(ExpertCollapseWarning, text, free, advice))
        return findings

    def _collapse(self, rows, variance):
        """Return what is wrong with a covariance of this smallest eigenvalue, or None.

        Where all columns are constant there is no eigenvalue, and inf stands for it.
        """
        if np.isinf(variance):
            return None
        sd = np.sqrt(variance)
        if self.variance_prior == 0 and sd <= 1.001 * np.sqrt(VARIANCE_FLOOR):
            return f"sits at the variance bound (sd {sd:.1g} of x's in one direction)"
        if self.variance_prior > 0 and rows * variance <= 2 * self.variance_prior:
            behind = f"({rows:.3g} effective rows, sd {sd:.1g} of x's in one direction)"
            return f"has a variance from the prior alone {behind}"
        return None

    # -- the caller's side -----------------------------------------------------------------

    def to_caller(self, params, x):
        """Return means, variances and covariances; the variance of a constant column is 0.

        Inside it is that of the data, 1, which the unit 0 of the column makes 0.
        """
        varies = params["varies"][0] > 0.5
        (K, d), p = params["mean"].shape, len(varies)
        means, covariances = np.zeros((K, p)), np.tile(np.diag(1.0 - varies), (K, 1, 1))
        means[:, varies] = params["mean"]
        inner = self.matrices(params["covariance"], K, d)
        covariances[:, np.outer(varies, varies)] = inner.reshape(K, d * d)
        with np.errstate(over="ignore"):  # x of size 1e160 has an infinite variance
            means = np.ldexp(means * x.width + x.center, x.exponent)
            covariances = covariances * x.unit[:, None] * x.unit
        variances = np.diagonal(covariances, axis1=1, axis2=2)
        return {"means": means, "variances": variances, "covariances": covariances}

    def from_caller(self, values, weights, x):
        """Return params; covariances are averaged where the type has them equal."""
        varies, K = x.factor > 0, len(values["means"])
        d = int(varies.sum())
        mean = ((np.ldexp(values["means"], -x.exponent) - x.center) * x.factor)[:, varies]
        inner = values["covariances"] * x.slope[:, None] * x.slope
        inner = inner[:, np.outer(varies, varies)].reshape(K, d, d)
        if not eigenvalues(inner).min(initial=np.inf) > 0:
            raise ValueError("init_params: covariances of the gate must be positive definite.")
        spread, n = self._pool(self.kept(weights[:, None, None] * inner), weights)
        marks = varies[None].astype(np.float64)
        return {"mean": mean, "covariance": spread / n, "varies": marks}


def _squares(U):
    """Return the squared lengths of the rows, (n,)."""
    if array.is_host(U):
        return np.einsum("ij,ij->i", U, U)  # no temporary array
    return array.namespace(U).sum(U * U, axis=1)


class DenseNormal(Normal):
    """Full covariances, one an expert or one for all: kept as (K, d, d) or (1, d, d)."""

    kind = "covariance"
    log_scale = 1.0
    """Derivative of the logarithm of a scale in the free coordinate."""
    product = staticmethod(np.matmul)
    inverse = staticmethod(inverse)
    eigenvalues = staticmethod(eigenvalues)
    second = staticmethod(array.weighted_grams)

    def unit(self, m, d):
        """Return m identity matrices, as they are kept."""
        return np.tile(np.eye(d), (m, 1, 1))

    def outer(self, a, b):
        """Return outer products of rows, as they are kept."""
        return a[:, :, None] * b[:, None, :]

    def clip(self, covariance):
        """Return the nearest covariances above the floor."""
        return clip_all(covariance, VARIANCE_FLOOR) if covariance.size else covariance

    def roots(self, covariance):
        """Return the maps to unit covariance and log|S|; LinAlgError if S has neither."""
        factor = np.linalg.cholesky(covariance)
        log_det = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        return np.linalg.inv(factor), log_det

    def apply(self, root, mean, V):
        """Return the whitened deviations from a mean, (n, d)."""
        return (V - mean) @ root.T

    def factors(self, covariance, d):
        """Return the Cholesky factors, (m, d, d)."""
        return np.linalg.cholesky(covariance)

    def entries(self, d):
        """Return the free entries of the leaf."""
        return self.structure.entries(d)

    def matrices(self, covariance, K, d):
        """Return the matrix of every expert, (K, d, d)."""
        return np.broadcast_to(covariance, (K, d, d))

    def kept(self, matrices):
        """Return matrices (K, d, d) as they are kept, before they are pooled."""
        return matrices


class DiagonalNormal(Normal):
    """Independent columns, with a variance each or one for all: kept as (K, d) or (K, 1)."""

    kind = (VARIANCE_FLOOR, np.inf)
    log_scale = 0.5  # the free coordinate is log of the variance
    product = outer = staticmethod(np.multiply)
    inverse = staticmethod(np.reciprocal)

    def unit(self, m, d):
        """Return m times unit variances, as they are kept."""
        return np.ones((m, len(self.structure.cholesky(d))))

    def _times(self, params):
        d = params["mean"].shape[1]
        return max(len(entries) for entries in self.structure.cholesky(d)) if d else 1

    def _pool(self, spread, n):
        d = spread.shape[1]
        if d > len(self.structure.cholesky(d)):  # one variance for all columns: their mean
            spread = spread.sum(axis=1, keepdims=True) / d
        return super()._pool(spread, n)

    def second(self, V, resp):
        """Return Σ resp x², (K, d)."""
        return resp.T @ V**2

    def eigenvalues(self, covariance):
        """Return the variances."""
        return covariance

    def clip(self, covariance):
        """Return the variances above the floor."""
        return np.maximum(covariance, VARIANCE_FLOOR)

    def roots(self, covariance):
        """Return what `DenseNormal.roots` does."""
        if not (covariance > 0).all():
            raise np.linalg.LinAlgError("a variance is not positive")
        return 1 / np.sqrt(covariance), np.log(covariance).sum(axis=1)

    def apply(self, root, mean, V):
        """Return the whitened deviations from a mean, (n, d)."""
        return (V - mean) * root

    def factors(self, covariance, d):
        """Return the standard deviations as diagonal matrices, (K, d, d)."""
        return self.matrices(np.sqrt(covariance), len(covariance), d)

    def entries(self, d):
        """Return the free entries of the leaf, which holds a number each."""
        return [((j,),) for j in range(len(self.structure.cholesky(d)))]

    def matrices(self, covariance, K, d):
        """Return the matrix of every expert, (K, d, d)."""
        return np.broadcast_to(covariance, (K, d))[:, :, None] * np.eye(d)

    def kept(self, matrices):
        """Return the diagonals, (K, d)."""
        return np.diagonal(matrices, axis1=1, axis2=2)
