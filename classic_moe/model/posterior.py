"""Draws of the parameters of a fit from their approximate posterior, for predictions.

Around a maximum of the penalised objective the coefficients θ of the predictors are about normal
(Laplace's approximation), N(θ, (I + P)⁻¹), I being the observed information and P the precision of
the prior. Draws are θ + L u, L Lᵀ = (I + P)⁻¹, and come in pairs ±u whose second moments are exact
where there are more pairs than coefficients.

Where a gate is sharp the objective is no parabola: one standard error away it falls by hundreds
where the gate becomes less sharp, and not at all where it becomes more so. So no draw moves a score
of the gate by more than 3, root mean square over the rows.

Variances of the noise are maximum likelihood: Σ resp e² / R, with R = Σ resp, forgets what the
coefficients of the means took. Draws have R / (R - γ) of them, γ being the diagonal of (I + P)⁻¹ I
summed over an expert's coefficients: of one linear expert R - γ is n - p - 1.

References
----------
Tierney, L. & Kadane, J. B. (1986). Accurate approximations for posterior moments and marginal
densities. Journal of the American Statistical Association 81, 82-86.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from .._kernels import array
from ..parts.statistics import Statistics
from .information import Information, NoInformation, information, layout_of, with_priors

PAIRS = 16
"""Pairs of draws: of real tables they tell the distributions as well as four times as many do."""
MOST_COEFFICIENTS, MOST_PREDICTORS = 600, 150
"""Of an information that is worked out at the end of every fit."""
LEAST_ROWS, ROWS_A_COEFFICIENT = 5_000, 50
"""Rows of which the information is worked out, at least, and for each coefficient."""
FLAT, SADDLE = 1e-10, 1e-3
"""Eigenvalue of an information with diagonal 1 below which the objective does not bend, and below
minus which it bends upwards."""
AT_BOUND = 1e-6
"""Distance of a free coordinate from its bound at which it is there."""
FAR = 0.1
"""Standard errors between the estimates and the maximum from which a fit is none."""
FAR_GATE = 3.0
"""How far a draw may move a score of the gate, root mean square over the rows."""
UNSURE = 1.5
"""Standard errors of logarithms of scales, shapes and means, root mean square over the rows, at
most: a factor of 4.5."""
LEAST_SHARE = 0.1
"""Of an expert's rows: those that are left to its variance, at least."""


class Posterior(NamedTuple):
    """Draws of the parameters of a fit, or why there are none.

    Attributes
    ----------
    steps : ndarray of float32 of shape (S, m) or None
        How far each draw is from the fit, in the free coordinates of its params.
    reason : str
        Why there are none.
    """

    steps: np.ndarray | None = None
    reason: str = "the fit was kept without its curvature; fit it again"

    def params(self, model, params) -> list:
        """Return the params of every draw, a list of S `Params`, the fit's own being `params`."""
        coordinates = model.coordinates(params)
        vector = coordinates.free(params)
        return [coordinates.params(coordinates.clip(vector + step)) for step in self.steps]

    def reordered(self, model, params, other, take) -> Posterior:
        """Return the draws of a model with its experts in another order.

        Parameters
        ----------
        model, params : MixtureModel, Params
            Of the fit.
        other : MixtureModel
            The same with its experts in another order.
        take : callable(params) -> params
            Brings them into it.
        """
        if self.steps is None:
            return self
        here = take(params)
        coordinates = other.coordinates(here)
        each = np.array([coordinates.free(take(own)) for own in self.params(model, params)])
        return _kept(each - coordinates.free(here))


def bent(matrix, held):
    """Return eigenvalues of an information with diagonal 1, their directions, and which bend.

    Parameters
    ----------
    matrix : ndarray of shape (m, m)
    held : ndarray of bool of shape (m,)
        Coefficients at a bound, which are left out.

    Returns
    -------
    values : ndarray of shape (r,)
    directions : ndarray of shape (m, r)
        In the coefficients; a step of one of them has the curvature that is its value.
    bends : ndarray of bool of shape (r,)
    """
    free = np.flatnonzero(~held)
    own = matrix[np.ix_(free, free)]
    diagonal = np.diagonal(own)
    size = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(own / np.outer(size, size))
    directions = np.zeros((len(matrix), len(values)))
    directions[free] = vectors / size[:, None]
    return values, directions, values > FLAT * len(values)


def nearer(model):
    """Return what to do about a fit that is no maximum, words."""
    for part in model.parts.values():
        if not part.learning.ascends:
            return (
                f"use another part than {type(part).__name__}, whose steps do not climb the"
                " likelihood and end beside its maximum"
            )
    return "fit with a smaller tol or a larger max_iter"


def posterior(model, params, batches, stats, unit=1.0, unbiased=False) -> Posterior:
    """Return draws for a model at a maximum of its penalised objective, or why there are none.

    Of many rows the information is that of a sample of them.

    Parameters
    ----------
    model : MixtureModel
    params : Params
    batches : Batches
    stats : Statistics
        Of the model at the params, over all rows.
    unit : float, default=1.0
        The caller's weight of a row of weight 1.
    unbiased : bool, default=False
        Whether variances make up already for what the coefficients of the means took.
    """
    try:
        layout = layout_of(model, params, batches)
        m, predictors = len(layout.positions), len(layout.designs)
        if m > MOST_COEFFICIENTS or predictors > MOST_PREDICTORS:
            raise NoInformation(
                f"{m} coefficients of {predictors} predictors are more than {MOST_COEFFICIENTS} of"
                f" {MOST_PREDICTORS}, of which the information is kept"
            )
        rows = batches.sample(max(LEAST_ROWS, ROWS_A_COEFFICIENT * m), np.random.RandomState(0))
        around = _Around(model, params, rows, layout, stats, batches.total_weight)
        with rows, np.errstate(all="ignore"):  # what is no number is told of
            steps = around.draws(unit, unbiased)
    except NoInformation as error:
        return Posterior(None, str(error))
    return _kept(steps)


def _kept(steps):
    """Return a `Posterior` of steps (S, m), in single precision; of none if that holds them not."""
    with np.errstate(over="ignore"):
        steps = steps.astype(np.float32)
    if not np.isfinite(steps).all():
        return Posterior(None, "the rows leave a parameter all but undetermined")
    return Posterior(steps, "")


class _Around:
    """The penalised objective of all rows around a fit, as some of them tell it."""

    def __init__(self, model, params, rows, layout, stats, total_weight):
        self.model, self.params, self.rows, self.layout = model, params, rows, layout
        self.stats, self.scale = stats, total_weight / rows.total_weight
        self.coordinates = layout.coordinates
        self.vector = self.coordinates.free(params)
        low, high = self.coordinates.bounds
        self.at_bound = (self.vector <= low + AT_BOUND) | (self.vector >= high - AT_BOUND)
        self.held = layout.in_coefficients(self.at_bound) > 0

    def draws(self, unit, unbiased):
        """Return the steps from the fit to all draws, in free coordinates, (S, n_free)."""
        data, matrix = self._informations()
        if not np.isfinite(matrix).all():
            raise NoInformation("the information is no finite number")
        values, directions, bends = bent(matrix, self.held)
        root = directions[:, bends] / np.sqrt(unit * values[bends])
        self._check_maximum(root, unit)
        if self.scale == 1 and values.min(initial=0.0) < -SADDLE:
            raise NoInformation("the fit is at a saddle of the objective, not at a maximum")
        each = self._of_short_gates(_pairs(root.shape[1]), root)
        steps = each @ self._within_reason(root).T
        if unbiased:
            return self._in_free(steps)
        growth, scales = self._growth(unit * data, root @ root.T, unit)
        steps = self._in_free(steps * np.sqrt(growth))
        for path, factor in scales.items():
            own = self.coordinates.index(path)
            free, diagonal = self.vector[own] + steps[:, own], np.eye(own.shape[-1]) > 0
            factor = np.sqrt(factor)[:, None, None]
            steps[:, own] = np.where(diagonal, free + np.log(factor), free * factor)
            steps[:, own] -= self.vector[own]
        return steps

    def _in_free(self, steps):
        return np.array([self.layout.in_free(step) for step in steps])

    def _informations(self):
        """Return the information without and with that of the priors, two (m, m)."""
        found = information(self.model, self.params, self.rows, self.layout)
        found = Information(self.scale * found.matrix, self.layout)
        return found.matrix, with_priors(self.model, self.params, found, self.stats).matrix

    def _slope(self, stats):
        """Return the derivative of the objective in the coefficients, (m,)."""
        gradient = self.model.gradient(self.params, stats)
        slope = self.coordinates.slope_in_free(self.vector, self.params, gradient)
        return self.layout.in_coefficients(slope)

    def _check_maximum(self, root, unit):
        """NoInformation where the fit is no maximum."""
        slope = np.where(self.held, 0.0, self._slope(self.stats))
        away = unit * float(np.linalg.norm(root.T @ slope))
        if not away <= FAR:
            raise NoInformation(
                f"the fit is no maximum, but {away:.2g} standard errors away from one;"
                f" {nearer(self.model)}"
            )

    # -- how far the draws may go ----------------------------------------------------------------

    def _moves(self, steps):
        """Return how far steps (S, m) move every predictor, root mean squares over rows, (S, M)."""
        owner, column = self.layout.terms
        found = np.zeros((len(steps), len(self.layout.designs)))
        for a in range(found.shape[1]):
            own = np.flatnonzero(owner == a)
            gram, move = self._gram[np.ix_(column[own], column[own])], steps[:, own]
            found[:, a] = np.sum(move @ gram * move, axis=1)
        return np.sqrt(np.maximum(found, 0.0))

    @functools.cached_property
    def _gram(self):
        """Means of z zᵀ, z = [1, x], over the rows."""
        return self.rows.map_sum(_gram, self.params)["gram"] / self.rows.total_weight

    def _of_short_gates(self, each, root):
        """Return draws (S, r) that move no score of the gate further than `FAR_GATE`.

        What moves the gate is a projection of a draw; the rest moves the experts alone.
        """
        gate = self.layout.places["gate"]
        own = root[np.isin(self.layout.predictor, gate)]
        if not own.size:
            return each
        moving = each @ (np.linalg.pinv(own) @ own).T
        move = self._moves(moving @ root.T)[:, gate.ravel()].max(axis=1)
        share = np.minimum(1.0, FAR_GATE / np.maximum(move, 1e-300))
        return each - (1 - share)[:, None] * moving

    def _within_reason(self, root):
        """Return root (m, r) with logarithms of scales, shapes and means within reason.

        Those may be next to undetermined where a family comes near another, or counts are all 0.
        """
        model, layout = self.model, self.layout
        reach = np.sqrt(np.sum(self._moves(root.T) ** 2, axis=0))
        short = np.minimum(1.0, UNSURE / np.maximum(reach, 1e-300))
        located = model.expert.target.standardise
        factors = np.ones(len(root))
        for a in np.unique(layout.places["expert"]):
            if not located or (layout.designs[a] is not None and len(layout.designs[a]) == 1):
                factors[layout.predictor == a] = short[a]
        return factors[:, None] * root

    # -- variances -------------------------------------------------------------------------------

    def _growth(self, data, inverse, unit):
        """Return the factors R / (R - γ) of the squares of steps, (m,), and of covariances.

        The latter by the path of their leaf, (K,), or (1,) of a shared one.
        """
        growth, scales = np.ones(len(inverse)), {}
        places, rows = self.layout.places["expert"], unit * self.stats["resp"]
        for path in self.coordinates.covariances:
            leaf = self.coordinates.index(path)
            of_bank = path.startswith("expert/") and path.count("/") == 1 and leaf.size
            if not of_bank or self.at_bound[leaf].any():
                continue
            q, predictor = leaf.shape[-1], self.layout.predictor
            each = np.bincount(predictor, (inverse * data).sum(axis=1), len(self.layout.designs))
            taken = np.maximum(each[places[:q]].sum(axis=0), 0.0) / q
            if len(leaf) < len(rows):
                taken, rows = taken.sum(keepdims=True), rows.sum(keepdims=True)
            factor = rows / np.maximum(rows - taken, np.maximum(LEAST_SHARE * rows, 1e-300))
            scales[path] = np.where(rows > 0, factor, 1.0)
            for k, own in enumerate(np.broadcast_to(scales[path], places.shape[1:])):
                growth[np.isin(predictor, places[:, k])] = own
        return growth, scales


def _pairs(r):
    """Return standard normal draws u and -u in r dimensions, (S, r), with exact second moments.

    Of fewer draws than dimensions the lengths are exact, and all directions at right angles.
    """
    half = np.random.RandomState(0).standard_normal((PAIRS, r))
    if r:
        left, _, right = np.linalg.svd(half, full_matrices=False)
        half = np.sqrt(max(PAIRS, r)) * left @ right
    return np.concatenate([half, -half])


def _gram(params, X, y, weight, **facts):
    """Return Σ w z zᵀ of [1, X], `Statistics`."""
    Z = array.with_intercept(X)
    return Statistics(gram=(Z.T * weight) @ Z)
