"""Predictors and their derivatives, row by row: what Newton's method and standard errors need.

A part whose row-wise log-density depends on its parameters through numbers a row, its *predictors*,
says which they are (`predictors`) and gives the first and second derivatives in them (`rows`).
From these the observed information of any gate with any experts follows by Louis' formula; see
`classic_moe.model.information`.

References
----------
Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm. Journal of
the Royal Statistical Society B 44, 226-233.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._kernels import array


class Predictor(NamedTuple):
    """A number a row through which a row's log-density depends on the parameters.

    With design "x" it is coefficients times [1, x], with design "1" a single coefficient for all
    rows. The coefficients are *free coordinates* (`classic_moe.parts.coordinates`) of a leaf: of a
    covariance, say, the entries of its Cholesky factor with the logarithm of the diagonal.

    Attributes
    ----------
    leaf : str
        Where in `params` the coefficients are; names of nested dicts are joined by slashes, as in
        "0.1/coef".
    entries : tuple of tuple of int
        Which entries of the leaf's free coordinates are the coefficients, without the axis of the
        columns [1, x] of design "x". Usually one; several move together (one scale for all
        outputs). For predictors of every expert the leading axis, the expert, is left out.
    design : {"x", "1"}
    shared : bool
        False: every expert has one of its own. True: there is one in all, on which the
        log-densities of all experts may depend, as the scores of a softmax gate or a tied scale.
    penalty : Penalty or None
        On the coefficients, a vector with the intercept first.
    """

    leaf: str
    entries: tuple = ((),)
    design: str = "x"
    shared: bool = False
    penalty: object = None


class Terms(NamedTuple):
    """The log-densities of rows under each expert and their derivatives in m predictors.

    Attributes
    ----------
    log_prob : ndarray of shape (n, K)
        As of the verb `log_prob`; of a gate that models x, as of `log_joint`.
    slope : ndarray of shape (n, K, m)
        The derivative of `log_prob` of expert k in the expert's own predictors, or in the shared
        ones, in the order of `predictors`.
    curvature : ndarray of shape (n, K, m, m) or None
        Minus the second derivatives; None where only first derivatives were asked for, or exist.
    """

    log_prob: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray | None


def within(name, predictors) -> list[Predictor]:
    """Return predictors of params that lie in a dict of params under a name: leaf "name/leaf"."""
    return [own._replace(leaf=f"{name}/{own.leaf}") for own in predictors]


def add_terms(each) -> Terms:
    """Return the terms of a sum of log-densities, each with predictors of its own.

    No mixed derivative is left: slopes stand side by side, and curvatures in blocks along the
    diagonal.
    """
    first, *others = each
    if not others:
        return first
    log_prob, xp = first.log_prob, array.namespace(first.log_prob)
    for terms in others:
        log_prob = log_prob + terms.log_prob
    curvature = None
    if all(terms.curvature is not None for terms in each):
        curvature = _block_diagonal([terms.curvature for terms in each])
    return Terms(log_prob, xp.concat([terms.slope for terms in each], axis=2), curvature)


def _block_diagonal(blocks):
    """Return matrices (n, K, m, m) with smaller ones along their diagonals and 0 elsewhere."""
    xp, first = array.namespace(blocks[0]), blocks[0]
    n, K = first.shape[:2]
    m, done, rows = sum(block.shape[3] for block in blocks), 0, []
    for block in blocks:
        height = block.shape[3]

        def zeros(width, height=height):
            return xp.zeros((n, K, height, width), dtype=first.dtype, device=first.device)

        rows.append(xp.concat([zeros(done), block, zeros(m - done - height)], axis=3))
        done += height
    return xp.concat(rows, axis=2)
