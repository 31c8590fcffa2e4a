"""Components with several outputs, for `MixtureDistribution`; scipy has those with one."""

import copy
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from .families import log_t_norm, norm, square, t

__all__ = [
    "IndependentComponents",
    "MultivariateComponents",
    "MultivariateNormalComponents",
    "MultivariateTComponents",
]


class MultivariateComponents(ABC):
    """K components with q outputs for each of n rows: what `MixtureDistribution` asks of them.

    Attributes
    ----------
    mean : array of shape (n, K, q)
        Centres of the components: their means, where these exist.
    covariance : array of shape (K, q, q)
        Infinite where it does not exist.
    """

    def part(self, rows: slice) -> Any:
        """Return the components of the rows in a slice."""
        twin = copy.copy(self)
        twin.mean = self.mean[rows]
        return twin

    @abstractmethod
    def logpdf(self, y):
        """Log density of y (..., n, q) under each component: (..., n, K)."""

    @abstractmethod
    def marginals(self):
        """Each output by itself: a distribution of scipy, parameters broadcasting to (n, q, K)."""

    @abstractmethod
    def draw(self, expert, rng):
        """One draw of each row i from component ``expert[..., i]``: (..., n) to (..., n, q)."""

    @abstractmethod
    def beside(self, others):
        """Return these components and S - 1 others of the same experts as one object, of K S.

        Those of the first expert come first, then those of the second, and so on.
        """


class _EllipticalComponents(MultivariateComponents):
    """Components whose density depends on (y - mean)ᵀ matrix⁻¹ (y - mean) alone."""

    def __init__(self, mean, matrix, name, unit):
        self.mean = np.asarray(mean, dtype=float)
        self._unit = np.ones(self.mean.shape[-1]) if unit is None else np.asarray(unit, dtype=float)
        self._matrix = np.asarray(matrix, dtype=float)
        if self.mean.ndim != 3 or self._matrix.shape != self.mean.shape[1:] + self.mean.shape[2:]:
            raise ValueError(
                f"mean has shape {self.mean.shape} and {name} {self._matrix.shape}; "
                f"pass mean of shape (n, K, q) and {name} of shape (K, q, q)."
            )
        try:
            self._cholesky = self._unit[:, None] * np.linalg.cholesky(self._matrix)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"a {name} is not positive definite: {self._matrix.tolist()}; "
                "add a small number to its diagonal."
            ) from None

    @abstractmethod
    def _log_density(self, distance, k):
        """Of component k at the squared distances (m,), for the unit matrix."""

    def logpdf(self, y: ArrayLike) -> NDArray[Any]:
        deviation = y[..., None, :] - self.mean
        out = np.empty(deviation.shape[:-1])
        for k, root in enumerate(self._cholesky):
            flat = deviation[..., k, :].reshape(-1, len(root)).T
            z = solve_triangular(root, flat, lower=True, check_finite=False)
            log_density = self._log_density(np.sum(square(z), axis=0), k)
            out[..., k] = log_density.reshape(out.shape[:-1]) - np.log(np.diag(root)).sum()
        return out

    def draw(self, expert: Any, rng: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        return self.mean[np.arange(len(self.mean)), expert] + self._noise(expert, rng)

    def _noise(self, expert, rng):
        noise = rng.standard_normal(expert.shape + self.mean.shape[2:])
        return np.einsum("...ij,...j->...i", self._cholesky[expert], noise)

    @staticmethod
    def _joined(each):
        """Return means (n, K S, q) and matrices (K S, q, q) of S that have the same units."""
        mean = np.stack([own.mean for own in each], axis=2)
        matrix = np.stack([own._matrix for own in each], axis=1)
        n, q = len(mean), mean.shape[-1]
        return mean.reshape(n, -1, q), matrix.reshape(-1, q, q)

    def _scales(self):
        """Square roots of the diagonals, (q, K)."""
        return (self._unit * np.sqrt(np.diagonal(self._matrix, axis1=1, axis2=2))).T

    def _in_units(self, matrix):
        """Return matrices (K, q, q) in the units of y; of size 1e160 they may overflow."""
        with np.errstate(all="ignore"):
            return matrix * self._unit[:, None] * self._unit


class MultivariateNormalComponents(_EllipticalComponents):
    """K normal components with q outputs for each of n rows.

    Parameters
    ----------
    mean : array of shape (n, K, q)
    covariance : array of shape (K, q, q)
        Positive definite, the same in all rows.
    unit : array of shape (q,), default=None
        Units of the outputs in which `covariance` is given, where the square of one may be too
        large or too small for a number; None: 1.

    Raises
    ------
    ValueError
        If the shapes do not fit together or a covariance is not positive definite.
    """

    def __init__(self, mean: Any, covariance: ArrayLike, unit: Any = None) -> None:
        super().__init__(mean, covariance, "covariance", unit)
        self.covariance = self._in_units(self._matrix)

    def _log_density(self, distance, k):
        return -0.5 * (distance + self.mean.shape[2] * np.log(2 * np.pi))

    def marginals(self) -> Any:
        return norm(loc=self.mean.swapaxes(1, 2), scale=self._scales())

    def beside(self, others: Any) -> Any:
        mean, matrix = self._joined([self, *others])
        return MultivariateNormalComponents(mean, matrix, self._unit)


class MultivariateTComponents(_EllipticalComponents):
    """K Student-t components with q outputs for each of n rows.

    Parameters
    ----------
    df : array of shape (K,)
        Degrees of freedom; the covariance is infinite for 2 or fewer.
    mean : array of shape (n, K, q)
        Centres.
    scale_matrix : array of shape (K, q, q)
        Positive definite, the same in all rows; what scipy's `multivariate_t` calls the shape.
    unit : array of shape (q,), default=None
        As in `MultivariateNormalComponents`.

    Raises
    ------
    ValueError
        If the shapes do not fit together or a scale matrix is not positive definite.
    """

    def __init__(self, df, mean, scale_matrix, unit=None):
        super().__init__(mean, scale_matrix, "scale_matrix", unit)
        self.df = np.broadcast_to(np.asarray(df, dtype=float), self.mean.shape[1:2])

    @property
    def covariance(self):
        return self._in_units(t_covariance(self.df, self._matrix))

    def _log_density(self, distance, k):
        df, q = self.df[k], self.mean.shape[2]
        log_norm = log_t_norm(-0.5 * q * np.log(2 * np.pi), df, q)
        return log_norm - 0.5 * (df + q) * np.log1p(distance / df)

    def marginals(self):
        return t(self.df, loc=self.mean.swapaxes(1, 2), scale=self._scales())

    def beside(self, others):
        df = np.stack([each.df for each in (self, *others)], axis=1).ravel()
        return MultivariateTComponents(df, *self._joined([self, *others]), self._unit)

    def _noise(self, expert, rng):
        df = self.df[expert]
        noise = super()._noise(expert, rng)
        return noise / np.sqrt(rng.chisquare(df) / df)[..., None]


def t_covariance(df, scale_matrix):
    """Covariances df/(df - 2)·scale_matrix of t distributions, infinite for df <= 2.

    Where the scale matrix is 0, so is the covariance: outputs of a diagonal one are uncorrelated.

    Parameters
    ----------
    df : array of shape (K,)
    scale_matrix : array of shape (K, q, q)
    """
    df = df[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        covariance = np.where(df > 2, df / (df - 2), np.inf) * scale_matrix
    return np.where(scale_matrix == 0, 0.0, covariance)  # inf·0 is no number


class IndependentComponents(MultivariateComponents):
    """K components with q independent outputs for each of n rows.

    Parameters
    ----------
    components : frozen continuous distribution of scipy
        Parameters broadcast to (n, K, q).
    shape : tuple (n, K, q)
    """

    def __init__(self, components, shape):
        self._dist = components.dist
        names = [*(self._dist.shapes or "").replace(",", " ").split(), "loc", "scale"]
        given = dict(zip(names, components.args, strict=False)) | components.kwds
        self._parameters = {name: np.broadcast_to(a, shape) for name, a in given.items()}
        self.mean = np.broadcast_to(components.mean(), shape)
        with np.errstate(all="ignore"):
            variances = np.broadcast_to(components.var(), shape)[0]
        self.covariance = np.where(np.eye(shape[2]) > 0, variances[:, :, None], 0.0)

    def part(self, rows):
        twin = super().part(rows)
        twin._parameters = {name: a[rows] for name, a in self._parameters.items()}
        return twin

    def logpdf(self, y):
        return self._dist.logpdf(y[..., None, :], **self._parameters).sum(axis=-1)

    def marginals(self):
        return self._dist(**{name: a.swapaxes(1, 2) for name, a in self._parameters.items()})

    def draw(self, expert, rng):
        rows = np.arange(len(self.mean))
        chosen = {name: a[rows, expert] for name, a in self._parameters.items()}
        size = (*expert.shape, self.mean.shape[2])
        return self._dist.rvs(**chosen, size=size, random_state=rng)

    def beside(self, others):
        each, (n, K, q) = (self, *others), self.mean.shape
        shape = n, K * len(each), q
        parameters = {
            name: np.stack([own._parameters[name] for own in each], axis=2).reshape(shape)
            for name in self._parameters
        }
        return IndependentComponents(self._dist(**parameters), shape)
