"""Free coordinates of `Params`: numbers that a gradient step may change at will.

A variance must stay positive and a covariance matrix positive definite. A part says so by its
method ``coordinates(params)``, a dict nested like its params from the names of leaves to kinds:

=================  =================================================================================
``"positive"``     a positive number, by its logarithm
``(low, high)``    a number between two bounds; by its logarithm unless `low` is negative
``"covariance"``   positive definite matrices, by their Cholesky factor with the logarithm of its
                   diagonal, which is kept above that of `SMALLEST_SCALE`
``"centred"``      numbers that sum to zero along the axis before the last (coefficients of a
                   softmax)
``"log_shares"``   logarithms of numbers that sum to one along the last axis
``"fixed"``        what a solver leaves alone; for a dict of leaves: all of them
=================  =================================================================================

A leaf that is not named is any real number, and one of objects is fixed. Zero off-diagonals, equal
variances and leaves shared by several experts stay so: the maps treat equal numbers alike, and the
parts' gradients are projected already. The vector holds the zeros too: a covariance of d outputs is
d² free numbers, of which those above the diagonal mean nothing (`Coordinates.project`).
"""

from __future__ import annotations

import numpy as np

from .._kernels import array
from .params import map_leaves, ravel, unravel

SMALLEST_SCALE = 1e-6
"""Smallest diagonal of a Cholesky factor: the bound of every scale in standardised units."""


class Coordinates:
    """The map between the `Params` of one fit and a vector of m free numbers.

    Parameters
    ----------
    kinds : dict
        As `coordinates` of a part gives it.
    params : Params
        Where the fit starts: what is fixed stays as it is there.

    Attributes
    ----------
    bounds : tuple of ndarray of shape (m,)
        Least and greatest values of the vector.
    like : dict
        The vector of `params` as a dict nested like them; empty where a leaf is fixed.
    paths : dict of ndarray of int
        Where in the vector the free numbers of each leaf stand, in the leaf's shape. The names of
        nested dicts are joined by "/": "expert/coef". Of a fixed leaf an empty array.
    covariances : list of str
        The paths of the leaves that are covariances.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.parts.coordinates import Coordinates
    >>> params = {"coef": np.array([[0.5, -1.0]]), "scale": np.array([1.0])}
    >>> coordinates = Coordinates({"scale": "positive"}, params)
    >>> vector = coordinates.free(params)
    >>> vector
    array([ 0.5, -1. ,  0. ])
    >>> coordinates.params(vector + 1)["scale"].round(3)
    array([2.718])
    >>> coordinates.index("scale")
    array([2])
    """

    def __init__(self, kinds, params):
        self._start = params
        self._kinds = _complete(kinds, params)
        with np.errstate(all="ignore"):
            self.like = map_leaves(lambda kind, leaf: kind.free(leaf), self._kinds, params)
        limits = map_leaves(lambda kind, free: kind.limits(free), self._kinds, self.like)
        self.bounds = tuple(ravel(map_leaves(lambda pair, i=i: pair[i], limits)) for i in (0, 1))
        self.paths = dict(_flat(unravel(np.arange(len(self.bounds[0])), self.like)))
        kinds = dict(_flat(self._kinds))
        self.covariances = [path for path in kinds if kinds[path] is _KINDS["covariance"]]

    def index(self, path):
        """Return where in the vector the free numbers of a leaf stand, ints in the leaf's shape.

        KeyError for a path that is no leaf's.
        """
        return self.paths[path]

    def free(self, params):
        """Return the vector of params, within the bounds, (m,)."""
        return self.clip(ravel(map_leaves(lambda kind, leaf: kind.free(leaf), self._kinds, params)))

    def params(self, vector):
        """Return the params of a vector."""
        return map_leaves(
            lambda kind, free, start: kind.leaf(free, start),
            self._kinds,
            unravel(vector, self.like),
            self._start,
        )

    def slope_in_free(self, vector, params, gradient):
        """Return the gradient in a vector from that in its params, (m,)."""
        return ravel(
            map_leaves(
                lambda kind, free, leaf, slope: kind.slope_in_free(free, leaf, slope),
                self._kinds,
                unravel(vector, self.like),
                params,
                gradient,
            )
        )

    def project(self, vector):
        """Return a direction without what changes no params, (m,).

        The orthogonal projection of a vector, a linear map: of each kind onto the directions that
        its map tells apart. What a softmax gives for coefficients is the same if all of them move
        alike; numbers above the diagonal of a covariance are not read at all. Gradients lie in its
        image; so do the rows and columns of a Hessian.
        """
        parts = map_leaves(
            lambda kind, free: kind.project(free), self._kinds, unravel(vector, self.like)
        )
        return ravel(parts)

    def projector(self):
        """Return `project` as a matrix, (m, m)."""
        matrix = np.eye(len(self.bounds[0]))
        for path, free in _flat(self.like):
            kind = dict(_flat(self._kinds))[path]
            if type(kind).project is _Real.project or not np.size(free):
                continue
            own = self.paths[path].ravel()
            units = np.eye(len(own)).reshape(-1, *np.shape(free))
            each = [np.ravel(kind.project(unit)) for unit in units]
            matrix[np.ix_(own, own)] = np.array(each).reshape(len(own), len(own))
        return matrix

    def stay(self, vector):
        """Return which numbers are zeros off the diagonal of a covariance, bool (m,).

        Those of a diagonal or spherical one, which no step moves.
        """
        zeros = map_leaves(
            lambda kind, free: kind.stay(free), self._kinds, unravel(vector, self.like)
        )
        return ravel(zeros)

    def clip(self, vector):
        """Return the nearest vector within the bounds, (m,)."""
        return np.clip(vector, *self.bounds)


class _Real:
    """Any number."""

    def free(self, leaf):
        """Return the free numbers of a leaf, in its shape."""
        return leaf

    def leaf(self, free, start):
        """Return the leaf of free numbers; `start` is that of the start."""
        return free

    def slope_in_free(self, free, leaf, slope):
        """Return the gradient in the free numbers from that in the leaf."""
        return slope

    def project(self, free):
        """Return a direction of free numbers without what changes no leaf."""
        return free

    def stay(self, free):
        """Return which of the free numbers a structure holds at 0."""
        return np.zeros(np.shape(free), dtype=bool)

    def limits(self, free):
        """Return the least and the greatest values, in the shape of the free numbers."""
        return np.full(np.shape(free), -np.inf), np.full(np.shape(free), np.inf)


class _Fixed(_Real):
    """Nothing at all in the vector."""

    def free(self, leaf):
        return np.empty(0)

    def leaf(self, free, start):
        return start

    def slope_in_free(self, free, leaf, slope):
        return free


class _Bounded(_Real):
    """A number between bounds."""

    def __init__(self, low, high):
        self.low, self.high, self.logarithm = low, high, low >= 0
        with np.errstate(divide="ignore"):
            self.ends = np.log([low, high]) if self.logarithm else (low, high)

    def free(self, leaf):
        return np.log(leaf) if self.logarithm else leaf

    def leaf(self, free, start):
        value = np.exp(free) if self.logarithm else free
        value = np.where(free <= self.ends[0], self.low, value)  # exactly at a bound
        return np.where(free >= self.ends[1], self.high, value)

    def slope_in_free(self, free, leaf, slope):
        return slope * leaf if self.logarithm else slope

    def limits(self, free):
        return tuple(np.full(np.shape(free), end) for end in self.ends)


class _Covariance(_Real):
    """Positive definite matrices Σ = L Lᵀ (..., d, d), by L below and log L on the diagonal."""

    def stay(self, free):
        return (free == 0) & ~np.eye(free.shape[-1], dtype=bool)

    def free(self, leaf):
        factor = np.linalg.cholesky(leaf)
        diagonal = np.eye(leaf.shape[-1]) > 0
        return np.where(diagonal, np.log(np.where(diagonal, factor, 1.0)), factor)

    def _factor(self, free):
        diagonal = np.eye(free.shape[-1]) > 0
        return np.where(diagonal, np.exp(np.where(diagonal, free, 0.0)), np.tril(free))

    def leaf(self, free, start):
        factor = self._factor(free)
        return factor @ factor.swapaxes(-1, -2)

    def slope_in_free(self, free, leaf, slope):
        # d tr(GᵀΣ) = tr(dLᵀ (G + Gᵀ) L), and dL_ii = L_ii d log L_ii
        factor, diagonal = self._factor(free), np.eye(free.shape[-1]) > 0
        slope = np.tril((slope + slope.swapaxes(-1, -2)) @ factor)
        return np.where(diagonal, slope * factor, slope)

    def project(self, free):
        return np.tril(free)

    def limits(self, free):
        lowest = np.where(np.eye(free.shape[-1]) > 0, np.log(SMALLEST_SCALE), -np.inf)
        return np.broadcast_to(lowest, free.shape), np.full(free.shape, np.inf)


class _Centred(_Real):
    """Numbers that sum to zero along the axis before the last."""

    def free(self, leaf):
        return leaf - leaf.mean(axis=-2, keepdims=True)

    def leaf(self, free, start):
        return self.free(free)

    def slope_in_free(self, free, leaf, slope):
        return self.free(slope)

    def project(self, free):
        return self.free(free)


class _LogShares(_Real):
    """Logarithms of numbers that sum to one along the last axis."""

    def leaf(self, free, start):
        return array.log_softmax(free)

    def slope_in_free(self, free, leaf, slope):
        return slope - np.exp(leaf) * slope.sum(axis=-1, keepdims=True)

    def project(self, free):
        return free - free.mean(axis=-1, keepdims=True)


_KINDS = {
    "real": _Real(),
    "positive": _Bounded(0.0, np.inf),
    "covariance": _Covariance(),
    "centred": _Centred(),
    "log_shares": _LogShares(),
    "fixed": _Fixed(),
}


def _complete(kinds, params):
    """Return the kind of every leaf, nested like params."""
    unknown = set(kinds) - set(params) if isinstance(kinds, dict) else ()
    if unknown:
        raise ValueError(f"coordinates name {sorted(unknown)}; params have {sorted(params)}.")

    def of(name, leaf):
        kind = kinds.get(name, {} if isinstance(leaf, dict) else "real")
        if isinstance(leaf, dict):
            return _complete(dict.fromkeys(leaf, kind) if isinstance(kind, str) else kind, leaf)
        if np.asarray(leaf).dtype == object:
            return _KINDS["fixed"]
        return _KINDS[kind] if isinstance(kind, str) else _Bounded(*kind)

    return {name: of(name, leaf) for name, leaf in params.items()}


def _flat(nested, prefix=""):
    """Yield (path, leaf) of every leaf of nested dicts, the names joined by "/"."""
    for name, leaf in nested.items():
        if isinstance(leaf, dict):
            yield from _flat(leaf, prefix + name + "/")
        else:
            yield prefix + name, leaf
