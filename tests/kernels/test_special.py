"""log Γ beyond its leading terms, against recurrences and scipy."""

import numpy as np
import pytest
from scipy.special import gammaln, polygamma, psi

from classic_moe._kernels.special import remainder, remainder_curvature, remainder_slope

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
