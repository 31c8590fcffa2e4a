"""Normal densities of x with the verbs of a gate's density; see `_localised`."""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..exceptions import ExpertCollapseWarning
from ..parts.findings import Finding
from ..parts.linalg import clip_eigenvalues
from ..parts.statistics import Statistics
from ._localised import Density

VARIANCE_FLOOR = 1e-12
"""Smallest variance in any direction, relative to that of x: sd = 1e-6 sd(x)."""


def normal(covariance_type, variance_prior):
    """The normal densities of a covariance type: "full", "diag", "spherical" or "tied"."""
    kind = DenseNormal if covariance_type in ("full", "tied") else DiagonalNormal
    return kind(covariance_type, variance_prior)


class Normal(Density):
    """Normal densities N(m_k, S_k), with ν pseudo-rows whose covariance is the identity.

    A column that is zero throughout is constant in the caller's units. It has no density and is
    left out; the leaf `varies` (1, p) marks those that stay, d in number. Subclasses say how the
    covariance is kept and give its algebra.
    """

    def __init__(self, covariance_type, variance_prior):
        self.shared = covariance_type == "tied"
        self.spherical = covariance_type == "spherical"
        self.variance_prior = variance_prior

    def _own(self, params, X):
        varies = params["varies"][0] > 0.5
        return (X if varies.all() else X[:, varies]).astype(np.float64, copy=False)

    def _times(self, params):
        """How many eigenvalues a number kept stands for."""
        return params["mean"].shape[1] if self.spherical else 1

    def _pool(self, spread, n):
        """Sums of outer products and of rows, as many as there are covariances; n broadcasts."""
        if self.shared:
            spread, n = spread.sum(axis=0, keepdims=True), n.sum(keepdims=True)
        if self.spherical:
            d = spread.shape[1]
            spread = spread.sum(axis=1, keepdims=True)[:, :d] / max(d, 1)
        return spread, n.reshape(-1, *(1,) * (spread.ndim - 1))

    def _spread(self, stats, mean):
        """Σ resp·outer(x - mean, x - mean) and Σ resp, pooled."""
        n, total = stats["n"], stats["total"]
        pull = total - n[:, None] * mean
        return self._pool(stats["second"] - self.outer(total, mean) - self.outer(mean, pull), n)

    # -- the verbs -------------------------------------------------------------------------

    def init(self, X, resp):
        varies = (X != 0).any(axis=0)
        K, d = resp.shape[1], int(varies.sum())
        params = {
            "mean": np.zeros((K, d)),
            "covariance": self.unit(1 if self.shared else K, d),
            "varies": varies[None].astype(np.float64),
        }
        return self.maximize(params, self.statistics(params, X, resp))

    def log_prob(self, params, X):
        V, mean = self._own(params, X), params["mean"]
        K, d = mean.shape
        roots, log_det = self.roots(params["covariance"])
        square = np.empty((len(V), K))
        for k, root in enumerate(np.broadcast_to(roots, (K, *roots.shape[1:]))):
            U = self.apply(root, V - mean[k])
            square[:, k] = np.einsum("ij,ij->i", U, U)
        return -0.5 * (square + self._times(params) * log_det + d * np.log(2 * np.pi))

    def statistics(self, params, X, resp):
        V = self._own(params, X)
        return Statistics(n=resp.sum(axis=0), total=resp.T @ V, second=self.second(V, resp))

    def maximize(self, params, stats):
        """Weighted mean and covariance; an expert without rows keeps what it has."""
        n, nu = stats["n"][:, None], self.variance_prior
        mean = np.where(n > 0, stats["total"] / np.where(n > 0, n, 1.0), params["mean"])
        spread, n = self._spread(stats, mean)
        prior = nu * self.unit(len(spread), mean.shape[1])
        covariance = self.clip((spread + prior) / (np.where(n > 0, n, 1.0) + nu))
        covariance = np.where(n > 0, covariance, params["covariance"])
        return {"mean": mean, "covariance": covariance, "varies": params["varies"]}

    def gradient(self, params, stats):
        """S⁻¹ Σ resp (x - m) and ½(S⁻¹ (Σ resp (x - m)(x - m)ᵀ) S⁻¹ - n S⁻¹), prior included."""
        mean, nu = params["mean"], self.variance_prior
        precision = self.inverse(params["covariance"])
        spread, n = self._spread(stats, mean)
        spread = spread + nu * self.unit(len(spread), mean.shape[1])
        slope = self.product(self.product(precision, spread), precision) - (n + nu) * precision
        pull = stats["total"] - stats["n"][:, None] * mean
        return {
            "mean": np.einsum("kij,kj->ki", self.matrices(precision, *mean.shape), pull),
            "covariance": 0.5 * self._times(params) * slope,
            "varies": np.zeros_like(params["varies"]),
        }

    def log_prior(self, params):
        values = self.eigenvalues(params["covariance"])
        total = np.sum(np.log(values) + 1 / values)
        return -0.5 * self.variance_prior * self._times(params) * float(total)

    def coordinates(self, params):
        return {"covariance": self.kind, "varies": "fixed"}

    def n_columns(self, params):
        return params["varies"].shape[1]

    def n_parameters(self, params):
        return params["mean"].size + self.n_free(params["covariance"])

    def diagnose(self, params, stats, columns):
        free, findings = self.variance_prior == 0, []
        smallest = self.eigenvalues(params["covariance"]).min(axis=1, initial=np.inf)
        n = self._spread(stats, params["mean"])[1].ravel()
        for k, (rows, variance) in enumerate(zip(n, smallest, strict=True)):
            sd = np.sqrt(variance)
            if free and sd <= 1.001 * np.sqrt(VARIANCE_FLOOR):
                reason = f"sits at the variance bound (sd {sd:.1g} of x's in one direction)"
            elif not free and rows * variance <= 2 * self.variance_prior:
                reason = "has a variance from the prior alone"
                reason += f" ({rows:.3g} effective rows, sd {sd:.1g} of x's in one direction)"
            else:
                continue
            whose = "shared by the experts" if self.shared else f"of expert {k}"
            cure = "use fewer experts, or leave out columns that are discrete or follow from others"
            cure += "; or a stronger prior." if free else "."
            text = f"the gate's covariance {whose} {reason}; {cure}"
            findings.append(Finding(ExpertCollapseWarning, text, severe=free))
        return findings

    # -- the caller's side -----------------------------------------------------------------

    def to_caller(self, params, x):
        """The variance of a constant column is 0."""
        varies = params["varies"][0] > 0.5
        (K, d), p = params["mean"].shape, len(varies)
        means, covariances = np.zeros((K, p)), np.zeros((K, p, p))
        means[:, varies] = params["mean"]
        inner = self.matrices(params["covariance"], K, d)
        covariances[:, np.outer(varies, varies)] = inner.reshape(K, d * d)
        with np.errstate(over="ignore"):  # x of size 1e160 has an infinite variance
            means = np.ldexp(means * x.width + x.center, x.exponent)
            covariances = covariances * x.unit[:, None] * x.unit
        variances = np.diagonal(covariances, axis1=1, axis2=2)
        return {"means": means, "variances": variances, "covariances": covariances}

    def from_caller(self, values, weights, x):
        """The inverse; covariances are averaged where the type has them equal."""
        varies = x.factor > 0
        d = int(varies.sum())
        mean = ((np.ldexp(values["means"], -x.exponent) - x.center) * x.factor)[:, varies]
        inner = values["covariances"] * x.slope[:, None] * x.slope
        inner = inner[:, np.outer(varies, varies)].reshape(-1, d, d)
        if not np.linalg.eigvalsh(inner).min(initial=np.inf) > 0:
            raise ValueError("init_params: covariances of the gate must be positive definite.")
        spread, n = self._pool(self.kept(weights[:, None, None] * inner), weights)
        marks = varies[None].astype(np.float64)
        return {"mean": mean, "covariance": spread / n, "varies": marks}


class DenseNormal(Normal):
    """Full covariances, one an expert or one for all: kept as (K, d, d) or (1, d, d)."""

    kind = "covariance"
    product = staticmethod(np.matmul)
    inverse = staticmethod(np.linalg.inv)
    eigenvalues = staticmethod(np.linalg.eigvalsh)
    second = staticmethod(array.weighted_grams)

    def unit(self, m, d):
        return np.tile(np.eye(d), (m, 1, 1))

    def outer(self, a, b):
        return a[:, :, None] * b[:, None, :]

    def clip(self, covariance):
        if not covariance.size:
            return covariance
        return np.stack([clip_eigenvalues(matrix, VARIANCE_FLOOR) for matrix in covariance])

    def roots(self, covariance):
        """The maps to unit covariance and log|S|; LinAlgError if S has neither."""
        factor = np.linalg.cholesky(covariance)
        log_det = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        return np.linalg.inv(factor), log_det

    def apply(self, root, deviation):
        return deviation @ root.T

    def matrices(self, covariance, K, d):
        return np.broadcast_to(covariance, (K, d, d))

    def kept(self, matrices):
        return matrices

    def n_free(self, covariance):
        m, d, _ = covariance.shape
        return m * d * (d + 1) // 2


class DiagonalNormal(Normal):
    """Independent columns, with a variance each or one for all: kept as (K, d) or (K, 1)."""

    kind = (VARIANCE_FLOOR, np.inf)
    product = outer = staticmethod(np.multiply)
    inverse = staticmethod(np.reciprocal)

    def unit(self, m, d):
        return np.ones((m, min(d, 1) if self.spherical else d))

    def second(self, V, resp):
        return resp.T @ V**2

    def eigenvalues(self, covariance):
        return covariance

    def clip(self, covariance):
        return np.maximum(covariance, VARIANCE_FLOOR)

    def roots(self, covariance):
        """As for full covariances."""
        if not (covariance > 0).all():
            raise np.linalg.LinAlgError("a variance is not positive")
        return 1 / np.sqrt(covariance), np.log(covariance).sum(axis=1)

    def apply(self, root, deviation):
        return deviation * root

    def matrices(self, covariance, K, d):
        return np.broadcast_to(covariance, (K, d))[:, :, None] * np.eye(d)

    def kept(self, matrices):
        return np.diagonal(matrices, axis1=1, axis2=2)

    def n_free(self, covariance):
        return covariance.size
