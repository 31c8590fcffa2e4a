"""The compiled elementwise functions are numpy's and scipy's, to the last digits."""

import numpy as np
import pytest
from scipy import special as scipys

from classic_moe._kernels import array, counts
from classic_moe._kernels.quick import NAMESPACE, Quick
from classic_moe._kernels.special import (
    remainder,
    remainder_curvature,
    remainder_slope,
    special,
)
from classic_moe.experts._stages import t_terms
from classic_moe.experts.gamma import bent, log_density_and_change
from classic_moe.experts.negative_binomial import log_mass, mass_slopes

EDGES = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0]
SMALL = np.geomspace(1e-300, 1, 3000)
REAL = np.concatenate([np.linspace(-700, 700, 20001), np.linspace(-3, 3, 10001), SMALL, -SMALL])
POSITIVE = np.concatenate([np.geomspace(5e-324, 1e308, 20001), np.linspace(0.5, 2, 10001)])
ABOVE_MINUS_1 = np.concatenate([POSITIVE, -SMALL, SMALL - 1])
DIGITS = 1e-15
"""Relative: four units in the last place."""


@pytest.mark.parametrize(
    "name, numbers, edges",
    [
        ("exp", REAL, [*EDGES, 1e4, -1e4]),
        ("expm1", REAL, [*EDGES, 1e4, -1e4]),
        ("log", POSITIVE, EDGES),
        ("log1p", ABOVE_MINUS_1, [*EDGES, -2.0]),
    ],
)
def test_elementary_functions_are_numpys(name, numbers, edges):
    ours, numpys = getattr(NAMESPACE, name), getattr(np, name)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(ours(numbers), numpys(numbers), rtol=DIGITS)
        np.testing.assert_allclose(ours(edges), numpys(edges), rtol=DIGITS)


def test_logistic_functions_are_scipys():
    functions, bound = special(NAMESPACE), np.clip(REAL, -300, 300)
    for name in ("expit", "log_expit"):
        expected = getattr(scipys, name)(bound)
        np.testing.assert_allclose(getattr(functions, name)(bound), expected, rtol=DIGITS)
    for other in (np.zeros_like(bound), bound[::-1]):
        expected = np.logaddexp(bound, other)
        np.testing.assert_allclose(
            functions.logaddexp(bound, other), expected, rtol=DIGITS, atol=1e-15
        )
    assert functions.logit is scipys.logit


ARGUMENTS = np.concatenate([np.geomspace(1e-6, 1e9, 5001), np.linspace(0.01, 30, 3001)])


@pytest.mark.parametrize(
    "name, expected",
    [
        ("gammaln", scipys.gammaln),
        ("digamma", scipys.digamma),
        ("trigamma", lambda x: scipys.polygamma(1, x)),
    ],
)
def test_functions_of_gamma_are_scipys(name, expected):
    value = expected(ARGUMENTS)
    gap = np.abs(getattr(special(NAMESPACE), name)(ARGUMENTS) - value)
    assert np.max(gap / np.maximum(np.abs(value), 1.0)) < 1e-13  # absolute about the zeros


@pytest.mark.parametrize("function", [remainder, remainder_slope, remainder_curvature])
def test_remainders_are_those_of_the_specification(function):
    expected, found = function(ARGUMENTS), function(ARGUMENTS.view(Quick))
    assert isinstance(found, Quick)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert np.isfinite(found).all()


def test_log_masses_are_those_of_the_specification():
    rng = np.random.default_rng(0)
    eta = np.asfortranarray(rng.normal(0, 6, (4000, 3)))
    y, size = np.floor(np.exp(rng.uniform(0, 30, (4000, 1)))) - 1, np.array([1e-7, 0.4, 1e3])
    few = np.floor(rng.uniform(0, 80, (2, 4000, 1)))
    for function, arguments in (
        (counts.poisson, (y, eta + np.log(y + 1))),
        (log_mass, (y, eta + np.log(y + 1), size)),
        (log_mass, (few[0], eta / 3, size)),
        (log_mass, (few[0] + 1.3, eta / 3, size)),
        (counts.binomial, (*few, eta)),
        (counts.binomial, (y, few[0], eta)),
        (counts.binomial_slopes, (*few, eta)),
        (mass_slopes, (few[0], eta, np.array([0.01, 0.4, 1e3]))),
        (mass_slopes, (few[0] + 1.3, eta, np.array([0.01, 0.4, 1e3]))),
        (mass_slopes, (y, eta, np.array([0.01, 0.4, 1e3]))),
        (bent, (np.exp(eta), np.array([1e-3, 1.0, 10.0]))),
        (bent, (eta, np.array([1e-3, 1.0, 10.0]))),
    ):
        quick = [
            a.view(Quick) if a is arguments[-1] or a.shape == eta.shape else a for a in arguments
        ]
        found, expected = np.array(function(*quick)), np.array(function(*arguments))
        largest = np.abs(expected) + np.abs(eta * y)  # of the terms that are summed
        assert np.max(np.abs(found - expected) / (1 + largest)) < 1e-12


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda a: a[:, ::2]])
def test_arrays_of_any_layout_keep_it(layout):
    x = layout(np.random.default_rng(0).standard_normal((6, 8)))
    found = NAMESPACE.exp(x.view(Quick))
    np.testing.assert_allclose(found, np.exp(x), rtol=DIGITS)
    assert found.flags.f_contiguous == x.flags.f_contiguous
    np.testing.assert_allclose(NAMESPACE.exp(x.T[2]), np.exp(x.T[2]), rtol=DIGITS)


def test_the_namespace_is_found_from_the_array_and_is_numpy_otherwise():
    x = np.ones((2, 3)).view(Quick)
    assert array.namespace(x * 2 + np.ones(3)) is NAMESPACE
    assert NAMESPACE.where is np.where and array.is_host(x)


@pytest.mark.parametrize("inverse", [False, True])
def test_densities_of_gamma_are_those_of_the_specification(inverse):
    rng = np.random.default_rng(1)
    y, eta = np.exp(rng.normal(0, 6, (4000, 1))), rng.normal(0, 3, (4000, 3))
    eta, shape = np.exp(eta) if inverse else eta, np.array([1e-3, 2.0, 1e6])
    expected = log_density_and_change(y, eta, shape, inverse)
    for here, there in zip(
        log_density_and_change(y, eta.view(Quick), shape, inverse), expected, strict=True
    ):
        np.testing.assert_allclose(here, there, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("q", [1, 3])
def test_terms_of_student_t_are_those_of_the_specification(q):
    rng = np.random.default_rng(2)
    U, log_norm = rng.standard_cauchy((4000, 3, q)), rng.normal(size=3)
    for df in (np.array([1.0, 5.0, 1e8]), np.array([3.0])):
        expected = t_terms(U, df, log_norm)
        for here, there in zip(t_terms(U.view(Quick), df, log_norm), expected, strict=True):
            np.testing.assert_allclose(here, there, rtol=1e-12, atol=1e-12)
