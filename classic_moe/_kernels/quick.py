"""numpy with compiled elementwise functions: the namespace of arrays in a staged pass.

A family's formulas are written with the functions of ``array.namespace(eta)`` and ``special(xp)``.
On arrays of type `Quick` these are the functions below, several times as fast as numpy's and equal
to them within a few units in the last place; everything else is numpy's.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from . import compiled, counts
from .special import TABLES, TWINS, remainder, special


class Quick(np.ndarray):
    """An array of numpy whose namespace has compiled elementwise functions."""

    def __array_namespace__(self, *, api_version=None):
        return NAMESPACE


def _elementwise(kernel):
    """Return the function of an array of any shape that a kernel over flat arrays makes."""

    def function(x):
        x = np.asarray(x, dtype=np.float64)
        order = "F" if x.ndim > 1 and x.strides[0] < x.strides[-1] else "C"
        out = np.empty(x.shape, order=order)
        kernel(x.ravel(order), out.ravel(order))  # the latter is a view
        return out.view(Quick)

    return function


_softplus = _elementwise(compiled.softplus_each)


def _logaddexp(a, b):
    """Return log(exp(a) + exp(b)) of finite numbers: the larger one and log(1 + exp(-|a - b|))."""
    return np.maximum(a, b) + _softplus(-np.abs(a - b))


NAMESPACE = ModuleType("quick", "numpy, but for a few functions.")
vars(NAMESPACE).update({name: value for name, value in vars(np).items() if name[0] != "_"})
NAMESPACE.exp = _elementwise(compiled.exp_each)
NAMESPACE.expm1 = _elementwise(compiled.expm1_each)
NAMESPACE.log = _elementwise(compiled.log_each)
NAMESPACE.log1p = _elementwise(compiled.log1p_each)
NAMESPACE.logaddexp = _logaddexp
NAMESPACE.stack = lambda arrays, axis=0: np.stack(arrays, axis).view(Quick)
NAMESPACE.concat = lambda arrays, axis=0: np.concatenate(arrays, axis).view(Quick)
_slope = _elementwise(compiled.remainder_slope_each)
_curvature = _elementwise(compiled.remainder_curvature_each)
TABLES[NAMESPACE] = special(np)._replace(
    gammaln=_elementwise(compiled.gammaln_each),
    digamma=lambda x: NAMESPACE.log(x) + _slope(x),
    trigamma=lambda x: 1 / x + _curvature(x),
    expit=_elementwise(compiled.expit_each),
    log_expit=lambda x: -_softplus(-x),
    logaddexp=_logaddexp,
)


def half_squares(scores, d):
    """Return ½ Σ u² over the first d of the scores (n, K, r), rows innermost, of every expert."""
    rows = np.ascontiguousarray(np.asarray(scores).transpose(1, 2, 0))
    out = np.empty((rows.shape[0], rows.shape[2]))
    compiled.half_squares_each(rows, d, out)
    return out.T.view(Quick)


# -- twins of functions of y (n, 1) and eta (n, K) ------------------------------------------------


def _column(y):
    """Return y (n, 1) as a flat array of floats."""
    return np.ascontiguousarray(np.asarray(y, dtype=np.float64)[:, 0])


def _rows(eta):
    """Return eta (n, K) transposed, (K, n), its rows innermost."""
    return np.ascontiguousarray(np.asarray(eta).T)


def _poisson(y, eta):
    rows = _rows(eta)
    out = np.empty_like(rows)
    compiled.poisson_each(_column(y), rows, out)
    return out.T.view(Quick)


def _of_each(value, rows):
    """Return a number, or one of every expert, as one of every expert, (K,)."""
    return np.zeros(len(rows)) + np.asarray(value)


def _several(count, rows):
    """Return so many arrays (K, n), and the same as a family sees them, (n, K)."""
    found = [np.empty_like(rows) for _ in range(count)]
    return found, [each.T.view(Quick) for each in found]


def _log_mass(y, eta, dispersion):
    rows = _rows(eta)
    (out,), (found,) = _several(1, rows)
    compiled.negative_binomial_each(_column(y), rows, _of_each(1 / dispersion, rows), out)
    return found


def _mass_slopes(y, eta, dispersion):
    rows = _rows(eta)
    out, found = _several(4, rows)
    compiled.negative_binomial_slopes(_column(y), rows, _of_each(1 / dispersion, rows), *out)
    return found


def _gamma(y, eta, shape, inverse):
    rows = _rows(eta)
    out, found = _several(3, rows)
    constants = (_of_each(each, rows) for each in (shape, remainder(shape)))
    compiled.gamma_each(_column(y), rows, *constants, inverse, *out)
    return found


def _bent(eta, floor):
    rows = _rows(eta)
    (out,), (found,) = _several(1, rows)
    compiled.bent_each(rows, _of_each(floor, rows), out)
    return found


def _t_terms(x, df, log_norm):
    residuals = np.ascontiguousarray(np.asarray(x).transpose(1, 2, 0))
    out, found = _several(3, residuals[:, 0])
    constants = (_of_each(each, residuals) for each in (df, log_norm))
    compiled.student_t_each(residuals, *constants, *out)
    return found


def _binomial_slopes(successes, failures, eta):
    rows = _rows(eta)
    out, found = _several(2, rows)
    compiled.binomial_slopes(_column(successes), _column(failures), rows, *out)
    return found


def _binomial(successes, failures, eta):
    if np.max(successes + failures, initial=0.0) >= counts.LARGE:
        return counts.binomial.__wrapped__(successes, failures, eta)
    rows = _rows(eta)
    out = np.empty_like(rows)
    compiled.binomial_each(_column(successes), _column(failures), rows, out)
    return out.T.view(Quick)


def _weighted_logs(floor, x):
    rows = _rows(x)
    out = np.empty_like(rows)
    compiled.weighted_logs_each(floor, rows, out)
    return out.T.view(Quick)


TWINS[NAMESPACE] = {
    "weighted_logs": _weighted_logs,
    "remainder": _elementwise(compiled.remainder_each),
    "remainder_slope": _slope,
    "remainder_curvature": _curvature,
    "poisson": _poisson,
    "log_mass": _log_mass,
    "mass_slopes": _mass_slopes,
    "log_density_and_change": _gamma,
    "bent": _bent,
    "t_terms": _t_terms,
    "binomial": _binomial,
    "binomial_slopes": _binomial_slopes,
    "factorial_gap": _elementwise(compiled.factorial_gap_each),
}
