"""The delta method: what a function of a fit's predictions owes to the uncertainty of parameters.

A mean f of predictions over rows has variance A V Aᵀ, V being the covariance of the named
parameters and A the derivative of f in them. Predictions depend on the parameters through the
predictors η_a = b_aᵀ z of a row, z = [1, x] (`classic_moe.parts.predictors`), so ∂/∂b_a is
z ∂/∂η_a, and ∂/∂η_a is that in the intercept: one difference for each predictor is all it takes.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from .._kernels.array import with_intercept
from ..data.units import Scaled
from ..estimators._named import NamedParameters
from ..estimators._uncertainty import jacobian_of
from ..model.information import Layout
from ..parts.part import offers

STEP = 1e-4
"""Of central differences, in predictors and in standard deviations of a column. The products of two
of them keep eight digits."""
RANK = 1e-9
"""Relative size below which a direction of the named parameters is none."""
UNMOVED = 1e-7
"""Share of a derivative below which it does not depend on a parameter, and size of one beside the
predictions below which it is rounding."""


class Saying:
    """A prediction as a function of the params and of rows in the caller's units.

    Means are told from that of y in the fit, so that differences keep their digits.

    Parameters
    ----------
    model : fitted estimator
    fitted : Fitted
        Its fit.
    method : {"predict", "predict_proba", "gate_proba"}
        Asked of the mixture itself: no expert is taken alone, no branch of a tree left out.
    """

    def __init__(self, model, fitted, method):
        self._twin = copy(model)
        gate = fitted.model.gate
        if getattr(gate, "prune", 0.0):
            gate = copy(gate)
            gate.prune = 0.0
        schema = fitted.schema
        y = replace(schema.y, center=np.zeros_like(schema.y.center))
        schema = replace(schema, names=None, coding=None, y=y)  # X is validated, an array
        own = replace(fitted, model=replace(fitted.model, gate=gate), schema=schema)
        columns = {"n_features_in_": schema.n_features}
        vars(self._twin).update(_fitted=own, assignment="soft", **columns)
        self._method = getattr(self._twin, method)
        self.of_numbers = method == "predict"
        """Whether it has the unit of y; else it is a probability."""

    def __call__(self, params, X):
        """Return what is predicted, (n, r)."""
        vars(self._twin)["params_"] = params
        return np.reshape(self._method(X), (len(X), -1))


class Slopes:
    """Derivatives of weighted sums of predictions in the parameters of a fit.

    Parameters
    ----------
    fitted : Fitted
    parts : sequence of {"gate", "expert"}
        Those on whose predictors the predictions depend.
    """

    def __init__(self, fitted, X, parts):
        self._fitted = fitted
        self._layout = layout = Layout(fitted.model, fitted.params, Scaled(X, fitted.schema.x)[:1])
        vector = layout.coordinates.free(fitted.params)
        self._blocks, self._moved, first = [], [], 0
        wanted = {int(a) for part in parts for a in layout.places[part].ravel()}
        for a, design in enumerate(layout.designs):
            size = Scaled(X, fitted.schema.x).n_columns + 1 if design is None else len(design)
            if a in wanted:
                self._blocks.append((slice(first, first + size), design))
                self._moved.append(self._around(vector, first, STEP))
            first += size
        self._named = NamedParameters(fitted)
        self.of_names = jacobian_of(self._named, layout, vector)
        """The derivatives of the named parameters in the coefficients, (P, m)."""

    @property
    def names(self):
        """The names of the parameters, a list of P."""
        return self._named.names

    def _around(self, vector, coefficient, step):
        """Return the params on both sides of the fit along a coefficient, a pair."""
        unit = np.zeros(len(self._layout.positions))
        unit[coefficient] = step
        step = self._layout.in_free(unit)
        return tuple(self._layout.coordinates.params(vector + s * step) for s in (1, -1))

    def of_sum(self, says, X, weight):
        """Return the derivatives of Σ weight·prediction over rows in the coefficients, (r, m)."""
        Z = with_intercept(Scaled(X, self._fitted.schema.x)[:]) * weight[:, None]
        found = None
        for (block, design), (above, below) in zip(self._blocks, self._moved, strict=True):
            slope = (says(above, X) - says(below, X)) / (2 * STEP)
            if found is None:
                found = np.zeros((slope.shape[1], self.of_names.shape[1]))
            own = Z if design is None else Z[:, design]
            found[:, block] = slope.T @ own
        return found


def has_slopes(fitted):
    """Return whether the predictors of both parts are known."""
    return all(offers(part, "predictors") for part in (fitted.model.gate, fitted.model.expert))


def propagate(slopes, of_names, inference):
    """Return the covariance of E functions, and why it is NaN where it is.

    Parameters
    ----------
    slopes : ndarray of shape (E, m)
        Their derivatives in the coefficients.
    of_names : ndarray of shape (P, m)
        Those of the named parameters.
    inference : Inference
        Of the named parameters.

    Returns
    -------
    covariance : ndarray of shape (E, E)
    reasons : list of E str
        "" where there is none.
    """
    size = np.linalg.norm(of_names, axis=1)  # the scale of each parameter
    size = np.where(size > 0, size, 1.0)
    A = slopes @ np.linalg.pinv(of_names / size[:, None], rcond=RANK)
    largest = np.abs(A).max(axis=1, initial=0.0)
    needs = np.abs(A) > UNMOVED * largest[:, None]
    whole = inference.of_combinations()
    known = np.isfinite(np.diagonal(whole))
    V = np.where(known[:, None] & known, whole, 0.0) / np.outer(size, size)
    covariance = A @ V @ A.T
    reasons = inference.lacks(np.where(needs, A, 0.0) / size)
    for effect, own in enumerate(needs):
        reasons[effect] = reasons[effect] if own.any() else "no parameter moves it"
        if reasons[effect]:
            covariance[effect] = covariance[:, effect] = np.nan
    return covariance, reasons
