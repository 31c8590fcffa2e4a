"""log Γ beyond its leading terms, against recurrences and scipy."""

import array_api_strict as strict
import numpy as np
import pytest
from scipy.special import gammaln, polygamma, psi

from classic_moe._kernels.special import (
    remainder,
    remainder_curvature,
    remainder_slope,
    special,
)

X = np.geomspace(0.05, 500, 200)


@pytest.mark.parametrize(
    "function, leading, scipys",
    [
        (remainder, lambda x: x * np.log(x) - x, gammaln),
        (remainder_slope, np.log, psi),
        (remainder_curvature, lambda x: 1 / x, lambda x: polygamma(1, x)),
    ],
)
def test_the_leading_terms_and_the_remainder_are_scipys_function(function, leading, scipys):
    expected = scipys(X)
    # 1e-14 of the larger of the two terms that cancel in scipy's
    tolerance = 1e-14 * np.maximum(1, np.abs(expected))
    assert (np.abs(leading(X) + function(X) - expected) <= tolerance).all()


@pytest.mark.parametrize("x", [19.0, 19.5, 20.0, 25.0, 1e3, 1e6])
def test_the_recurrence_of_log_gamma_holds_to_the_last_digits(x):
    """log Γ(x + 1) = log x + log Γ(x), across the border between formulas and far beyond it."""
    step = 1 - (x + 1) * np.log1p(1 / x)
    # both sides are of the order 1/x; 1e-14: a few roundings of numbers of the order 1
    assert remainder(x + 1) - remainder(x) == pytest.approx(step, abs=1e-14)


@pytest.mark.parametrize("x", [0.3, 5.0, 30.0])
def test_each_is_the_derivative_of_the_one_before(x):
    h = 1e-5 * x  # central differences: an error of h² times the third derivative
    for f, slope in ((remainder, remainder_slope), (remainder_slope, remainder_curvature)):
        assert (f(x + h) - f(x - h)) / (2 * h) == pytest.approx(slope(x), rel=1e-7)


def test_huge_arguments_keep_their_relative_precision():
    assert remainder_slope(1e12) == pytest.approx(-0.5e-12, rel=1e-12)
    assert remainder_curvature(1e12) == pytest.approx(0.5e-24, rel=1e-11)


# -- other namespaces --------------------------------------------------------------------------

DEVICE, HOST = strict.Device("device1"), strict.Device("CPU_DEVICE")
POSITIVE = np.concatenate(
    [np.geomspace(1e-8, 1e8, 500), np.linspace(0.01, 45, 900), 1 + np.geomspace(1e-12, 0.2, 50)]
)
REAL = np.concatenate([-POSITIVE, [0.0], POSITIVE])
SHARE = np.concatenate([np.geomspace(1e-12, 0.5, 50), 1 - np.geomspace(1e-12, 0.5, 50)])


def on_device(function, *arguments):
    """A function of a strict namespace on another device, back as numpy."""
    found = function(*(strict.asarray(a, device=DEVICE) for a in arguments))
    assert found.device == DEVICE
    return np.asarray(found.to_device(HOST))


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("gammaln", (POSITIVE,)),
        ("trigamma", (POSITIVE,)),
        ("xlogy", (np.r_[0.0, POSITIVE], np.r_[0.0, POSITIVE[::-1]])),
        ("xlog1py", (np.r_[0.0, POSITIVE], np.r_[-1.0, POSITIVE[::-1]])),
        ("expit", (REAL,)),
        ("log_expit", (REAL,)),
        ("logaddexp", (REAL, REAL[::-1])),
        ("logit", (SHARE,)),
    ],
)
def test_another_namespace_has_the_special_functions_of_scipy(name, arguments):
    with np.errstate(all="raise", under="ignore"):
        got = on_device(getattr(special(strict), name), *arguments)
    expected = getattr(special(np), name)(*arguments)
    # 1e-13: the recurrence of log Γ cancels two digits at most; logit does near ½
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)


def test_the_digamma_function_of_another_namespace_is_scipys():
    got = on_device(special(strict).digamma, POSITIVE)
    np.testing.assert_allclose(got, psi(POSITIVE), rtol=1e-13, atol=1e-14)  # it has a zero


@pytest.mark.parametrize("function", [remainder, remainder_slope, remainder_curvature])
def test_remainders_are_the_same_in_another_namespace(function):
    # where the two terms cancel: 2e-14 of the leading term, as against scipy above
    leading = np.maximum(1 / POSITIVE, 1)
    difference = np.abs(on_device(function, POSITIVE) - function(POSITIVE))
    tolerance = 1e-13 * np.abs(function(POSITIVE)) + 2e-14 * leading
    assert (difference <= tolerance).all()


def test_numpy_has_scipys_own_functions():
    assert special(np).gammaln is gammaln
    assert np.array_equal(special(np).trigamma(X), polygamma(1, X))
