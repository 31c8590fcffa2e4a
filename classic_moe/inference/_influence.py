"""What the observed information of a fit says: condition, and rows that decide by themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..estimators._uncertainty import check_model, objective_around, rows_of, uncertainty_of
from ..model.information import NoInformation
from ..model.posterior import FLAT
from ..model.scores import scores
from ..parts.blas import one_blas_thread

BLOCK = 2**18
"""Numbers of moved parameters that are held at once."""


class Influence(NamedTuple):
    """The information of a fit and the rows' part in it.

    Attributes
    ----------
    condition : float
        Condition number of the information with diagonal 1, on the directions in which the
        objective bends; NaN where there is no information.
    weakest : list of str
        The two parameters that are most in the direction in which it bends least.
    moves : ndarray of shape (n,) or None
        Standard errors by which leaving a row out, or its group, moves the parameter that it moves
        most.
    most_moved : list of n str
        Which parameter that is.
    reasons : dict of str to str
        Why parameters have no standard error.
    n_parameters : int
    lack : str
        Why there is no information; "" where there is.
    """

    condition: float
    weakest: list
    moves: np.ndarray | None
    most_moved: list
    reasons: dict
    n_parameters: int
    lack: str = ""

    @classmethod
    def of(cls, model, fitted, X, y, weight, groups, expert_labels) -> Influence:
        """Return the influence of the rows of a fit, none of them without weight."""
        try:
            check_model(fitted, "observed")
            with one_blas_thread():
                return cls._of(model, fitted, X, y, weight, groups, expert_labels)
        except NoInformation as error:
            return cls(np.nan, [], None, [], {}, 0, str(error))

    @classmethod
    def _of(cls, model, fitted, X, y, weight, groups, expert_labels):
        rows = rows_of(model, X, y, weight, groups, expert_labels)
        found = uncertainty_of(fitted, rows)
        with rows.batches:
            around = objective_around(fitted, rows.batches)
            names, moves, most = found.names, None, []
            condition, weakest = _condition(around)
            known = [j for j, name in enumerate(names) if name not in found.reasons]
            if known:
                moves, most = _moves(fitted, rows.batches, around, known)
                most = [names[j] for j in most]
        if groups is not None and moves is not None:
            member = np.unique(np.asarray(groups), return_inverse=True)[1]
            moves, most = moves[member], [most[g] for g in member]
        weakest = [names[j] for j in weakest]
        return cls(condition, weakest, moves, most, found.reasons, len(names))


def _condition(around):
    """Return the condition number, and two parameters in the direction that bends least."""
    free = np.flatnonzero(~around.held)
    own = around.matrix[np.ix_(free, free)]
    diagonal = np.diagonal(own)
    size = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(own / np.outer(size, size))
    bends = np.flatnonzero(values > FLAT * len(values))
    if not len(bends):
        return np.nan, []
    direction = around.jacobian[:, free] @ (vectors[:, bends[0]] / size)
    error = np.sqrt(np.sum((around.jacobian @ around.inverse.matrix) * around.jacobian, axis=1))
    share = np.abs(direction) / np.where(error > 0, error, np.inf)
    return float(values[-1] / values[bends[0]]), np.argsort(-share, kind="stable")[:2].tolist()


def _moves(fitted, batches, around, known):
    """Return how far each row, or group, moves the parameter that it moves most, and which.

    To first order the fit without row i is θ - (I + P)⁻¹ w_i s_i.
    """
    jacobian = around.jacobian[known]
    to_names = jacobian @ around.inverse.matrix
    error = np.sqrt(np.sum(to_names * jacobian, axis=1) / fitted.schema.weight_unit)
    to_names = to_names / error[:, None]
    moves, most = [], []
    for found in scores(fitted.model, fitted.params, batches, around.layout):
        step = max(1, BLOCK // len(known))
        for first in range(0, len(found.weight), step):
            own = slice(first, first + step)
            moved = np.abs(to_names @ (found.weight[own] * found.each[:, own]))
            place = moved.argmax(axis=0)
            moves.append(np.take_along_axis(moved, place[None], 0)[0])
            most += [known[j] for j in place]
    return np.concatenate(moves), most
