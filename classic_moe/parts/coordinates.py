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
parts' gradients are projected already.
"""

from __future__ import annotations

import numpy as np

from .._kernels import array
from .params import map_leaves, ravel, unravel

SMALLEST_SCALE = 1e-6
"""Smallest diagonal of a Cholesky factor: the bound of every scale in standardised units."""


class Coordinates:
    """The map between the `Params` of one fit and a vector of free numbers.

    Parameters
    ----------
    kinds : dict
        As `coordinates` of a part gives it.
    params : Params
        Where the fit starts: what is fixed stays as it is there.

    Attributes
    ----------
    bounds : tuple of ndarray
        Least and greatest values of the vector.
    like : dict
        The vector of `params` as a dict nested like them; without what is fixed.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.parts.coordinates import Coordinates
    >>> params = {"coef": np.array([[0.5, -1.0]]), "scale": np.array([1.0])}
    >>> map = Coordinates({"scale": "positive"}, params)
    >>> vector = map.free(params)
    >>> vector
    array([ 0.5, -1. ,  0. ])
    >>> map.params(vector + 1)["scale"].round(3)
    array([2.718])
    """

    def __init__(self, kinds, params):
        self._start = params
        self._kinds = _complete(kinds, params)
        with np.errstate(all="ignore"):
            self.like = map_leaves(lambda kind, leaf: kind.free(leaf), self._kinds, params)
        limits = map_leaves(lambda kind, free: kind.limits(free), self._kinds, self.like)
        self.bounds = tuple(ravel(map_leaves(lambda pair, i=i: pair[i], limits)) for i in (0, 1))

    def free(self, params):
        """The vector of params, within the bounds."""
        return self.clip(ravel(map_leaves(lambda kind, leaf: kind.free(leaf), self._kinds, params)))

    def params(self, vector):
        """The params of a vector."""
        return map_leaves(
            lambda kind, free, start: kind.leaf(free, start),
            self._kinds,
            unravel(vector, self.like),
            self._start,
        )

    def pull(self, vector, params, gradient):
        """The gradient in a vector from that in its params."""
        return ravel(
            map_leaves(
                lambda kind, free, leaf, slope: kind.pull(free, leaf, slope),
                self._kinds,
                unravel(vector, self.like),
                params,
                gradient,
            )
        )

    def clip(self, vector):
        """The nearest vector within the bounds."""
        return np.clip(vector, *self.bounds)


class _Real:
    """Any number."""

    def free(self, leaf):
        return leaf

    def leaf(self, free, start):
        return free

    def pull(self, free, leaf, slope):
        return slope

    def limits(self, free):
        return np.full(np.shape(free), -np.inf), np.full(np.shape(free), np.inf)


class _Fixed(_Real):
    """Nothing at all in the vector."""

    def free(self, leaf):
        return np.empty(0)

    def leaf(self, free, start):
        return start

    def pull(self, free, leaf, slope):
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

    def pull(self, free, leaf, slope):
        return slope * leaf if self.logarithm else slope

    def limits(self, free):
        return tuple(np.full(np.shape(free), end) for end in self.ends)


class _Covariance(_Real):
    """Positive definite matrices (..., d, d)."""

    def free(self, leaf):
        factor, unit = np.linalg.cholesky(leaf), np.eye(leaf.shape[-1])
        return factor - factor * unit + np.log(factor * unit + 1 - unit) * unit

    def _factor(self, free):
        d = free.shape[-1]
        return free * np.tri(d, k=-1) + np.exp(free) * np.eye(d)

    def leaf(self, free, start):
        factor = self._factor(free)
        return factor @ factor.swapaxes(-1, -2)

    def pull(self, free, leaf, slope):
        factor, unit = self._factor(free), np.eye(free.shape[-1])
        slope = (slope + slope.swapaxes(-1, -2)) @ factor * np.tri(len(unit))
        return slope * (1 - unit + factor * unit)

    def limits(self, free):
        lowest = np.where(np.eye(free.shape[-1]) > 0, np.log(SMALLEST_SCALE), -np.inf)
        return np.broadcast_to(lowest, free.shape), np.full(free.shape, np.inf)


class _Centred(_Real):
    """Numbers that sum to zero along the axis before the last."""

    def free(self, leaf):
        return leaf - leaf.mean(axis=-2, keepdims=True)

    def leaf(self, free, start):
        return self.free(free)

    def pull(self, free, leaf, slope):
        return self.free(slope)


class _LogShares(_Real):
    """Logarithms of numbers that sum to one along the last axis."""

    def leaf(self, free, start):
        return array.log_softmax(free)

    def pull(self, free, leaf, slope):
        return slope - np.exp(leaf) * slope.sum(axis=-1, keepdims=True)


_KINDS = {
    "real": _Real(),
    "positive": _Bounded(0.0, np.inf),
    "covariance": _Covariance(),
    "centred": _Centred(),
    "log_shares": _LogShares(),
    "fixed": _Fixed(),
}


def _complete(kinds, params):
    """The kind of every leaf, nested like params."""
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
