"""The compiled elementwise functions are numpy's and scipy's, to the last digits."""

import numpy as np
import pytest
from scipy import special as scipys

from classic_moe._kernels import array
from classic_moe._kernels.quick import NAMESPACE, Quick
from classic_moe._kernels.special import special

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
    assert functions.gammaln is scipys.gammaln


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
