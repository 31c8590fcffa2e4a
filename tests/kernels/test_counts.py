"""Log masses of counts, against sums of logarithms in 60 decimal digits."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from classic_moe._kernels import counts

BERNOULLI = [(1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510)]
HALF_LOG_2_PI = Decimal("0.918938533204672741780329736405617639861397473637783412817151540483")


@pytest.fixture(autouse=True)
def many_digits():
    with localcontext() as context:
        context.prec = 60
        yield


def log_gamma(x):
    """log Γ(x) by Stirling's series from 100 on, whose error there is below 1e-35."""
    x, below = Decimal(x), Decimal(0)
    while x < 100:
        below, x = below + x.ln(), x + 1
    total = (x - Decimal("0.5")) * x.ln() - x + HALF_LOG_2_PI
    for i, (above, under) in enumerate(BERNOULLI, 1):
        total += Decimal(above) / under / (2 * i * (2 * i - 1)) / x ** (2 * i - 1)
    return total - below


def exact_negative_binomial(y, eta, dispersion):
    size, mean = 1 / Decimal(dispersion), Decimal(eta).exp()
    ways = log_gamma(y + size) - log_gamma(size) - log_gamma(y + 1)
    odds = mean / size
    return ways - size * (1 + odds).ln() + y * (odds / (1 + odds)).ln()


def error_of(found, exact):
    return abs(float(Decimal(float(found[0, 0])) - exact))


def test_the_reference_knows_factorials():
    for n in (1, 10, 170):
        exact = Decimal(math.factorial(n)).ln()
        assert abs(log_gamma(n + 1) - exact) < Decimal("1e-30")


CASES = [(0, 1.0), (1, 1.0), (5000, 8.5), (9_999, 9.2), (10_000, 9.2), (100_030_000, 18.42)]
CASES += [(10**15, float(np.log(1e15))), (2**62, float(np.log(2.0**62)))]


@pytest.mark.parametrize(("y", "eta"), CASES)
def test_poisson_masses_keep_their_digits(y, eta):
    exact = y * Decimal(eta) - Decimal(eta).exp() - log_gamma(y + 1)
    # 1e-9: log y, of the order 20, is rounded, times deviations of up to 1e5
    assert error_of(counts.poisson(np.array([[y + 0.0]]), np.array([[eta]])), exact) < 1e-9


@pytest.mark.parametrize("dispersion", [1e-8, 1e-4, 0.5, 1e4])
@pytest.mark.parametrize(("y", "eta"), CASES)
def test_negative_binomial_masses_keep_their_digits(y, eta, dispersion):
    Y, phi = np.array([[y + 0.0]]), np.array([dispersion])
    found = counts.negative_binomial(Y, np.array([[eta]]), phi)
    found = found + counts.negative_binomial_at_mean(Y, 1 / phi)
    # 1e-9: as above; 1/φ is rounded too
    assert error_of(found, exact_negative_binomial(y, eta, dispersion)) < 1e-9


@pytest.mark.parametrize(
    ("successes", "failures", "eta"),
    [
        (3, 5, 0.2),
        (0, 7, -3.0),
        (7, 0, 3.0),
        (6_000, 3_999, 0.3),
        (6_000, 4_000, 0.3),
        (5 * 10**9, 5 * 10**9, 1e-5),
        (10**12 + 5 * 10**5, 10**12, 0.0),
        (10, 10**15, -32.0),
        (0, 2**62, -44.0),
        (2**62, 0, 44.0),
    ],
)
def test_binomial_masses_keep_their_digits(successes, failures, eta):
    p = 1 / (1 + (-Decimal(eta)).exp())
    total = successes + failures
    ways = log_gamma(total + 1) - log_gamma(successes + 1) - log_gamma(failures + 1)
    exact = ways + successes * p.ln() + failures * (1 - p).ln()
    y = (np.array([[float(each)]]) for each in (successes, failures))
    # 1e-9: 10,000 trials are still taken by differences of log Γ, of the order 1e5
    assert error_of(counts.binomial(*y, np.array([[eta]])), exact) < 1e-9


def test_nothing_is_divided_by_zero_where_the_mean_is_far_from_the_count():
    y, eta = np.array([[0.0], [1.0], [1e9], [2.0**62]]), np.full((4, 2), [-500.0, 500.0])
    with np.errstate(all="raise", under="ignore"):
        for dispersion in (1e-8, 1e4):
            assert np.isfinite(counts.negative_binomial(y, eta, np.array([dispersion] * 2))).all()
        assert np.isfinite(counts.poisson(y, eta)).all()
        for failures in (y, y[::-1]):
            assert np.isfinite(counts.binomial(y, failures, eta)).all()
