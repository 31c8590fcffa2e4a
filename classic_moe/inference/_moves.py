"""How a column is moved to see its effect: by a little, by one, or from one value to another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.columns import resolve_columns
from ..parts.checks import fitted_fact
from ._delta import STEP, UNMOVED

MOST_LEVELS = 20
"""Values up to which a column that is given as discrete may have."""


class Move(NamedTuple):
    """How a column is moved.

    Attributes
    ----------
    of : str
        The name of the column.
    column : int, or range
        The columns of a category, which move together.
    kind : {"derivative", "one more", "difference"}
    unit : float
        Of a derivative the standard deviation of the column.
    values : pair of float, or of ndarray, or None
        Of a difference from which value to which.
    to : str
        What follows the name, where there are several differences.
    """

    of: str
    column: int | range
    kind: str
    unit: float = 1.0
    values: tuple | None = None
    to: str = ""

    @property
    def name(self):
        """What the effect is called."""
        return self.of + self.to

    def _sides(self, rows, weight, times=1):
        """Return rows above and below in one array, and weights, a difference's signs in them."""
        below, above, j, apart = rows.copy(), rows.copy(), self.column, 1.0
        if self.kind == "difference":
            below[:, j], above[:, j] = self.values
        elif self.kind == "one more":
            above[:, j] += 1
        else:
            below[:, j] -= times * STEP * self.unit
            above[:, j] += times * STEP * self.unit
            apart = above[:, j] - below[:, j]  # as rounding has it
        return np.concatenate([above, below]), np.concatenate([weight / apart, -weight / apart])

    def _average(self, says, params, rows, weight, times=1):
        both, signed = self._sides(rows, weight, times)
        told, n = says(params, both), len(rows)
        return signed[:n] @ (told[:n] - told[n:])

    def effect(self, says, params, rows, weight):
        """Return the average effect on every outcome, (r,)."""
        once = self._average(says, params, rows, weight)
        if self.kind != "derivative":
            return once
        twice = self._average(says, params, rows, weight, times=2)
        return (4 * once - twice) / 3  # the error of differences is in the square of the step

    def slopes(self, slopes, says, rows, weight, size):
        """Return its derivatives in the coefficients, (r, m); predictions have that size (r,)."""
        found = slopes.of_sum(says, *self._sides(rows, weight))
        moved = np.abs(found).max(axis=1) * self.unit > UNMOVED * size
        return np.where(moved[:, None], found, 0.0)


def moves_of(model, fitted, X, rows, features, discrete):
    """Return the `Move`s of the columns that are asked for.

    Parameters
    ----------
    model : fitted estimator
    fitted : Fitted
    X : the caller's X, of which a callable selects
    rows : ndarray of shape (n, p)
        The same, validated, its categories coded.
    features, discrete : as of `marginal_effects`

    Returns
    -------
    list of Move
    """
    coding, p, names = fitted.schema.coding, rows.shape[1], fitted.schema.names
    width, known = (p, names) if coding is None else (coding.n_features, coding.feature_names)
    chosen = resolve_columns(features, X, width, known, "features")
    if chosen is not None and not len(chosen):
        raise ValueError(f"features={features!r} names no column; leave it None for all of them.")
    kinds = dict.fromkeys(range(p), "derivative")
    if _is_auto(discrete):
        kinds |= {j: "difference" for j in range(p) if np.isin(rows[:, j], (0.0, 1.0)).all()}
        kinds |= _of_a_discrete_gate(model, fitted)
    else:
        discrete = [] if discrete is None else discrete
        given = resolve_columns(discrete, X, width, known, "discrete")
        given = given if coding is None else coding.positions(given)
        kinds |= dict.fromkeys(given.tolist(), "difference")
    found, categories = [], _of_categories(coding)
    for j in np.arange(width) if chosen is None else chosen:
        if int(j) in categories:
            found += categories[int(j)]
            continue
        j = j if coding is None else coding.spans[j].start
        name, x = f"x{j}" if names is None else str(names[j]), rows[:, j]
        if kinds[j] == "difference":
            found += _differences(name, j, x, discrete)
        else:
            unit = _unit(x) if kinds[j] == "derivative" else 1.0
            found.append(Move(name, j, kinds[j], unit))
    return found


def _of_categories(coding):
    """Return the `Move`s from the first level of every category to the others, by its column."""
    found = {}
    for own in () if coding is None else coding.categories:
        span = coding.spans[own.column]
        found[own.column] = [
            Move(str(name), span, "difference", values=(own.table[0], row))
            for name, row in zip(coding.names[span], own.table[1:], strict=False)
        ]
    return found


def _is_auto(discrete):
    """Return whether the discrete columns are to be found; the name of a column is text too."""
    return isinstance(discrete, str) and discrete == "auto"


def _of_a_discrete_gate(model, fitted):
    """Return how columns move that a gate takes as codes or counts, {column: kind}.

    Between them it knows nothing.
    """
    own = fitted.schema.columns.gate
    own = np.arange(fitted.schema.n_features) if own is None else own
    raw = fitted.model.gate.inputs.raw_columns(len(own))
    found = {int(j): "one more" for j in own[raw]}
    codes = fitted_fact(model.gate_, "probabilities_", {})
    return found | {int(own[j]): "difference" for j in codes}


def _unit(x):
    """Return the standard deviation of a column; of a constant one its size."""
    size = np.abs(x).max()
    unit = size * np.std(x / size) if size > 0 else 0.0
    return unit if unit > 0 else max(size, 1.0)


def _differences(name, j, x, discrete):
    """Return the `Move`s from the lowest value of a discrete column to the others."""
    values = np.unique(x)
    if len(values) > MOST_LEVELS and not _is_auto(discrete):
        raise ValueError(
            f"discrete={discrete!r}: column {name} has {len(values)} values, and differences are"
            f" taken of at most {MOST_LEVELS}; leave it out for a derivative."
        )
    if np.isin(values, (0.0, 1.0)).all():
        values = np.array([0.0, 1.0])
    if len(values) < 3:
        return [Move(name, j, "difference", values=(values[0], values[-1]))]
    return [
        Move(name, j, "difference", values=(values[0], value), to=f" = {value:g}")
        for value in values[1:]
    ]
