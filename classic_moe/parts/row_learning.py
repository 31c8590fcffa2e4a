"""How a family learns of which there is only the density: from its `rows` and `predictors`.

Every expert has its own predictors, d numbers a row, each a coefficient vector times a design of
[1, x] or of 1. The vectors of one expert after another make its D free coordinates, in which

    gradient = Σ resp · slope_a · z_a,    information = Σ resp · curvature_ab · z_a z_bᵀ

are sums over rows. A step solves information · step = gradient, penalties included, with the
absolute values of the eigenvalues where the density is not concave, and is kept short.
"""

from __future__ import annotations

import numpy as np

from .._kernels import array
from .coordinates import Coordinates
from .params import unravel
from .statistics import Statistics

POWER = 8
"""The largest |z_j| among the rows is estimated by their mean of this power."""
CAUTION = 2.0
"""By how much that mean is taken to fall short of the maximum."""
LONGEST = 5.0
"""Largest change of the predictors in a step, by that estimate."""
LEAST = 1e-8
"""Eigenvalues of the information, scaled to a unit diagonal, that count as this at least."""


def statistics(predictors, terms, X, resp):
    """Return the sums over rows of the module's head, as `Statistics` with leading axis K.

    ``gradient`` (K, D); ``information`` (K, D, D), where `terms` have second derivatives; the
    effective rows ``n`` (K,) and ``powers`` (K, 1 + p), Σ resp z^POWER.
    """
    Z = array.with_intercept(X)
    xp = array.namespace(Z)
    designs = [Z if each.design == "x" else Z[:, :1] for each in predictors]
    slopes = [resp * terms.slope[:, :, a] for a in range(len(designs))]
    stats = Statistics(
        n=xp.sum(resp, axis=0),
        gradient=xp.concat([s.T @ Z_a for s, Z_a in zip(slopes, designs, strict=True)], axis=1),
        powers=resp.T @ Z**POWER,
    )
    if terms.curvature is not None:
        stats["information"] = xp.stack(
            [_information(designs, resp[:, k], terms.curvature[:, k]) for k in range(resp.shape[1])]
        )
    return stats


def _information(designs, weight, curvature):
    """Return Σ weight · curvature_ab · z_a z_bᵀ of one expert, (D, D)."""
    xp = array.namespace(weight)

    def block(a, b):
        return designs[a].T @ ((weight * curvature[:, a, b])[:, None] * designs[b])

    each = range(len(designs))
    return xp.concat([xp.concat([block(a, b) for b in each], axis=1) for a in each], axis=0)


class Layout:
    """Where the coefficients of an expert's predictors stand in the vector of free coordinates.

    Parameters
    ----------
    part : BaseExpert
    params : Params
    """

    def __init__(self, part, params):
        self.coordinates = Coordinates(part.coordinates(params), params)
        self.predictors = part.predictors(params)
        self.vector = self.coordinates.free(params)
        self.places = [_places(each, self.coordinates) for each in self.predictors]

    def coefficients(self):
        """Return the coefficients of every predictor, a list of (K, 1 + p) or (K, 1)."""
        return [self.vector[places[0]] for places in self.places]

    def penalty_slopes(self):
        """Return the derivative of all penalties in the coefficients, (K, D)."""
        slopes = [
            0.0 * coef if each.penalty is None else each.penalty.slope(coef)
            for each, coef in zip(self.predictors, self.coefficients(), strict=True)
        ]
        return np.concatenate(slopes, axis=1)

    def penalty_curvature(self):
        """Return the diagonal of the second derivative of all penalties, (D,)."""
        widths = [coef.shape[1] for coef in self.coefficients()]
        return np.concatenate(
            [
                np.zeros(width) if each.penalty is None else each.penalty.curvature(width)
                for each, width in zip(self.predictors, widths, strict=True)
            ]
        )

    def spread(self, coefficients, shared_out=False):
        """Return a vector of free coordinates that holds coefficients (K, D), 0 elsewhere.

        A coefficient of several entries is in each of them; `shared_out`: an equal part of it.
        """
        vector, start = np.zeros(len(self.vector)), 0
        for places in self.places:
            width = places[0].shape[1]
            own = coefficients[:, start : start + width]
            for place in places:
                vector[place] = own / len(places) if shared_out else own
            start += width
        return vector


def _places(predictor, coordinates):
    """Return the numbers of a predictor's coordinates, (K, width) for each of its entries."""
    numbers = coordinates.index(predictor.leaf)
    own = (numbers[(slice(None), *entry)] for entry in predictor.entries)
    return [place.reshape(len(place), -1) for place in own]


def log_prior(part, params):
    """Return minus the penalties of all predictors, a float."""
    layout = Layout(part, params)
    pairs = zip(layout.predictors, layout.coefficients(), strict=True)
    return -float(sum(each.penalty.value(coef) for each, coef in pairs if each.penalty is not None))


def gradient(part, params, stats):
    """Return ∂Q/∂params, penalties included, nested like `params`."""
    layout = Layout(part, params)
    slope = layout.spread(stats["gradient"] - layout.penalty_slopes(), shared_out=True)
    coordinates, leaves = layout.coordinates, {}
    free = unravel(slope, coordinates.like)
    for name, leaf in params.items():
        leaves[name] = _leaf_slope(part, name, leaf, np.asarray(free[name]))
    return leaves


def _leaf_slope(part, name, leaf, wanted):
    """Return the slope in one leaf that the chain rule turns into the slope `wanted`.

    The chain rule is linear, `in_free`(slope) = L slope. Most kinds of coordinates are elementwise
    maps, so that L is diagonal; for the others the system is solved.
    """
    if not wanted.size:  # fixed
        return np.zeros(np.shape(leaf))
    kind = {n: kind for n, kind in part.coordinates({name: leaf}).items() if n == name}
    own = Coordinates(kind, {name: leaf})
    vector, size = own.free({name: leaf}), leaf.size

    def in_free(slope):
        return own.slope_in_free(vector, {name: leaf}, {name: slope.reshape(leaf.shape)})

    factor = in_free(np.ones(size))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(factor != 0, wanted.ravel() / factor, wanted.ravel())
    if not np.allclose(in_free(slope), wanted.ravel(), rtol=1e-12, atol=0):
        matrix = np.stack([in_free(unit) for unit in np.eye(size)], axis=1)
        slope = np.linalg.lstsq(matrix, wanted.ravel(), rcond=None)[0]
    return slope.reshape(leaf.shape)


def step(part, params, stats, cautious=False):
    """Return params after one step up from statistics; `cautious`: one all but sure to ascend."""
    layout = Layout(part, params)
    slopes = stats["gradient"] - layout.penalty_slopes()
    curvature, moves = np.diag(layout.penalty_curvature()), np.zeros_like(slopes)
    for k in np.flatnonzero(stats["n"] > 0):  # without rows: the last finite values
        direction = _direction(stats["information"][k] + curvature, slopes[k])
        largest = (stats["powers"][k] / stats["n"][k]) ** (1 / POWER)
        change = _change(layout, direction, CAUTION * largest)
        moves[k] = _fraction(change, cautious) * direction
    vector = layout.coordinates.clip(layout.vector + layout.spread(moves))
    return layout.coordinates.params(vector)


def _direction(matrix, slope):
    """Return the direction of ascent |matrix|⁻¹ slope, (D,), |.| of the eigenvalues."""
    diagonal = np.abs(np.diagonal(matrix))
    scale = 1 / np.sqrt(np.maximum(diagonal, max(LEAST * diagonal.max(initial=0.0), 1e-300)))
    scaled = matrix * scale[:, None] * scale
    if not np.isfinite(scaled).all():
        return np.full_like(slope, np.nan)  # the caller rejects the step
    values, vectors = np.linalg.eigh(scaled)
    values = np.maximum(np.abs(values), LEAST)
    return scale * (vectors @ ((vectors.T @ (scale * slope)) / values))


def _change(layout, direction, largest):
    """Return about the largest change of the predictors of a row along a direction."""
    total, start = 1e-300, 0
    for each, places in zip(layout.predictors, layout.places, strict=True):
        width = places[0].shape[1]
        own = np.abs(direction[start : start + width])
        total += own @ largest if each.design == "x" else own.sum()
        start += width
    return total


def _fraction(change, cautious):
    """Return how much of a step to take that changes the predictors by about `change`.

    Where |f'''| <= |δ| f'' along the step, log(1 + ρ)/ρ of it ascends (see `generalized`); half of
    that leaves room for families that bend twice as much.
    """
    return 0.5 * np.log1p(change) / change if cautious else min(1.0, LONGEST / change)
