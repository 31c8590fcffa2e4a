"""Derivatives of row-wise log-densities by central differences: what `rows` of a part must give."""

import itertools

import numpy as np

from classic_moe.parts.coordinates import Coordinates
from classic_moe.parts.params import map_leaves, ravel

STEP = 2e-3
"""Of central differences: with Richardson's extrapolation they are off by about STEP⁴, and the
second ones by 1e-15/STEP²."""


def check_rows(part, params, *data, verb="log_prob", tolerance=1e-6):
    """AssertionError unless `rows` has the derivatives of the log-density in its predictors.

    They are taken in the free coordinates of the predictors' leaves, and compared relative to the
    largest of them, and at least to 1.
    """
    coordinates = Coordinates(part.coordinates(params), params)
    vector, predictors = coordinates.free(params), part.predictors(params)
    steps = [_step(predictor, coordinates.like) for predictor in predictors]

    def log_prob(change=0.0):
        return getattr(part, verb)(coordinates.params(vector + change), *data)

    terms = part.rows(params, *data)
    n, K = log_prob().shape
    m = len(predictors)
    assert terms.slope.shape == (n, K, m) and terms.curvature.shape == (n, K, m, m)
    np.testing.assert_allclose(terms.log_prob, log_prob(), rtol=1e-12, atol=1e-12)
    for i, one in enumerate(steps):
        slope = _extrapolated(lambda h, d=one: (log_prob(h * d) - log_prob(-h * d)) / (2 * h))
        _assert_close(terms.slope[:, :, i], slope, tolerance, predictors[i])
        for j, other in enumerate(steps[: i + 1]):
            curvature = -_extrapolated(lambda h, d=one, e=other: _second(log_prob, h, d, e))
            which = predictors[i], predictors[j]
            _assert_close(terms.curvature[:, :, i, j], curvature, tolerance, which)
            np.testing.assert_allclose(
                terms.curvature[:, :, i, j], terms.curvature[:, :, j, i], rtol=1e-12, atol=1e-12
            )
    only = part.rows(params, *data, derivatives=1)
    assert only.curvature is None
    np.testing.assert_array_equal(only.slope, terms.slope)


def _second(function, h, one, other):
    """A second difference along two directions."""
    corners = itertools.product((-1, 1), repeat=2)
    return sum(a * b * function(h * (a * one + b * other)) for a, b in corners) / (4 * h**2)


def _extrapolated(difference):
    """A central difference, (4 D(h/2) - D(h)) / 3."""
    return (4 * difference(STEP / 2) - difference(STEP)) / 3


def _step(predictor, like):
    """The change of the free coordinates that adds 1 to a predictor in every row."""
    step = map_leaves(np.zeros_like, like)
    leaf = step
    for name in predictor.leaf.split("/"):
        leaf = leaf[name]
    for entry in predictor.entries:
        place = entry if predictor.shared else (slice(None), *entry)
        place = (*place, 0) if predictor.design == "x" else place  # of [1, x] the intercept
        leaf[place] += 1.0
    return ravel(step)


def _assert_close(got, expected, tolerance, which):
    size = max(np.abs(expected).max(), 1.0)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * size, err_msg=str(which))
