"""The evidence of a fit: what its penalties cost and what they save, by Laplace's approximation.

With the posterior's curvature H = A + P at the penalised maximum, A the observed information of the
log-likelihood and P the precision of the prior,

    log E = log-likelihood + log prior, relative to its peak - ½ log |I + P^-½ A P^-½|.

Slopes have the precision alpha, and all other coefficients (intercepts, logarithms of scales) 1: a
standard normal around their estimate, in standardised units. Scales and shapes of the experts are
integrated apart from the rest: the blocks of A between them and other coefficients are left out, so
that the slopes' part is the evidence given the scales, which with one expert is that of Bayesian
ridge regression. But for the change of A, the derivative of log E in log alpha is
½ (γ - alpha Σ b²). Here γ, the sum of λ / (1 + λ) over the eigenvalues λ of P^-½ A P^-½, each with
the share of the slopes in its eigenvector, counts the slopes that the data determine. So the
evidence has its maximum where alpha = γ / Σ b² (MacKay, 1992).

References
----------
MacKay, D. J. C. (1992). Bayesian interpolation. Neural Computation 4, 415-447.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .information import PARTS, Information, NoInformation, information, layout_of, with_priors

MOST_COEFFICIENTS = 3_000
"""Of an information whose eigenvalues are still worked out: 10 s."""


class Evidence(NamedTuple):
    """The log evidence of a fit and what follows from its curvature.

    Attributes
    ----------
    value : float
        In internal units, without the number of relabellings.
    slopes : dict of (float, float)
        By part, "gate" or "expert": γ, how many slopes the data determine, and alpha Σ b² of all;
        the alpha that they ask for is that of the fit times their ratio.
    determined : ndarray of shape (coefficients,)
        How far each coefficient is determined by the data, from 0 to 1.
    layout : Layout
    """

    value: float
    slopes: dict
    determined: np.ndarray
    layout: object


def evidence(model, params, batches, stats, layout=None, most_differences=np.inf) -> Evidence:
    """Return the evidence of a model at a maximum of its penalised objective.

    Parameters
    ----------
    model : MixtureModel
        With numbers for penalties.
    params : Params
    batches : Batches
    stats : Statistics
        Of the model at the params.
    layout : Layout, default=None
        That of the model's information, where it is known.
    most_differences : int, default=np.inf
        As of `with_priors`.

    Raises
    ------
    NoInformation
        Where there are no second derivatives.
    """
    layout = layout_of(model, params, batches) if layout is None else layout
    if len(layout.positions) > MOST_COEFFICIENTS:
        raise NoInformation(
            f"{len(layout.positions)} coefficients are more than {MOST_COEFFICIENTS}, whose"
            " curvature is still decomposed"
        )
    found = information(model, params, batches, layout)
    precision = np.where(layout.penalties > 0, layout.penalties, 1.0)
    projector = layout.projector
    ridges = projector * layout.penalties @ projector
    found = Information(found.matrix - ridges, layout)
    matrix = with_priors(model, params, found, stats, most_differences).matrix
    given = _owned(layout, _scales(model, params, layout))
    matrix = np.where(given[:, None] == given, matrix, 0.0)
    root = np.sqrt(precision)
    values, vectors = np.linalg.eigh(projector @ (matrix / root[:, None] / root) @ projector)
    values = np.maximum(values, 0.0)  # at no maximum a direction may bend upwards
    determined = vectors**2 @ (values / (1 + values))
    value = stats["objective"] + model.log_prior(params)
    value += sum(own.log_prior_mass(params[name]) for name, own in model.parts.items())
    value -= 0.5 * np.log1p(values).sum()
    vector = layout.coordinates.free(params)
    slopes = {}
    for part in PARTS:
        own = _slopes_of(layout, part)
        squares = vector[[int(layout.positions[i][0]) for i in own]] ** 2
        slopes[part] = float(determined[own].sum()), float(layout.penalties[own] @ squares)
    return Evidence(float(value), slopes, determined, layout)


def _scales(model, params, layout):
    """Return which predictors are numbers of the experts for all rows: scales, shapes."""
    own = model.expert.predictors(params["expert"])
    each = zip(own, layout.places["expert"], strict=True)
    return [place for one, places in each if one.design == "1" for place in places]


def _slopes_of(layout, part):
    """Return the coefficients of a part that have a penalty, ints."""
    return np.flatnonzero(_owned(layout, layout.places[part]) & (layout.penalties > 0))


def _owned(layout, predictors):
    """Return which coefficients belong to some predictors, bools."""
    theirs = np.zeros(len(layout.designs), dtype=bool)
    theirs[predictors] = True
    return theirs[layout.predictor]


def determined_means(found, n_outputs):
    """Return how many coefficients of each expert's means the data determine, (K,).

    The means are the first `n_outputs` predictors of an expert.
    """
    means = found.layout.places["expert"][:n_outputs]
    each = np.bincount(found.layout.predictor, found.determined, means.max() + 1)
    return each[means].sum(axis=0)
