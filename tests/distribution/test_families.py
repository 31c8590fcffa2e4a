"""The experts' families far out: tails, quantiles and draws of huge counts, shapes and degrees."""

import pickle
from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from classic_moe.distribution import MixtureDistribution, families


def alone(components):
    """A mixture of one component."""
    return MixtureDistribution(np.ones((1, 1)), components)


def exact_upper_tail(k, mu, dispersion=None):
    """P(y > k) over the mass at k + 1, by adding ratios of masses in 40 digits."""
    with localcontext() as context:
        context.prec = 40
        mu, total, mass, j = Decimal(mu), Decimal(0), Decimal(1), k + 1
        if dispersion is not None:
            size = 1 / Decimal(dispersion)
            share = (mu / size) / (1 + mu / size)
        while mass > total * Decimal("1e-20"):
            total += mass
            ratio = mu if dispersion is None else share * (size + j)
            mass *= ratio / (j + 1)
            j += 1
        return float(total)


@pytest.mark.parametrize(
    ("mu", "k", "dispersion"),
    [
        (3.5, 10, None),
        (1e4, 10_400, None),
        (1e8, 100_040_000, None),
        (3.5, 10, 0.5),
        (3.5, 10, 1e-8),
        (100.0, 150, 1e-8),
        (100.0, 150, 1e-4),
        (1e4, 10_400, 1e-8),
        (1e4, 12_000, 1e-2),
        (1e6, 1_004_000, 1e-8),
        (1e8, 101_000_000, 1e-6),
    ],
)
def test_upper_tails_of_counts_are_the_sums_of_their_masses(mu, k, dispersion):
    """scipy's negative binomial, given 1/(1 + φμ), is wrong by 3e-9 where φμ is small."""
    if dispersion is None:
        law = families.poisson(mu)
    else:
        law = families.negative_binomial(mu, dispersion)
    exact = exact_upper_tail(k, mu, dispersion) * np.exp(law.logpmf(k + 1.0))
    # 1e-10: the exponential of a log mass that is right to 1e-11, and boost's incomplete beta
    assert law.sf(k) == pytest.approx(exact, rel=1e-10)
    assert law.cdf(k) == pytest.approx(1 - exact, rel=1e-14)


def test_ordinary_counts_are_scipys():
    y = np.arange(60.0)
    for own, its in [
        (families.poisson(3.3), stats.poisson(3.3)),
        (families.negative_binomial(3.3, 0.7), stats.nbinom(1 / 0.7, 1 / (1 + 0.7 * 3.3))),
    ]:
        for name in ("logpmf", "pmf", "cdf", "sf"):
            assert_allclose(getattr(own, name)(y), getattr(its, name)(y), rtol=1e-12, atol=1e-15)
        for name in ("mean", "var", "std"):
            assert getattr(own, name)() == pytest.approx(getattr(its, name)(), rel=1e-14)
        assert_array_equal(pickle.loads(pickle.dumps(own)).pmf(y), own.pmf(y))
    assert families.poisson(0.0).pmf([0, 1]).tolist() == [1, pytest.approx(0, abs=1e-300)]


@pytest.mark.parametrize("mu", [1e9, 1e15, 1e18, 1e100, 1e217])
@pytest.mark.parametrize("dispersion", [1e-8, 0.5, 20.0])
def test_quantiles_of_huge_counts_are_those_of_their_rates(mu, dispersion):
    """Of counts this large the Poisson part is below 1e-4 of the spread of the gamma rate."""
    if dispersion * mu < 1e6:
        mu = 1e15
    dist = alone(families.negative_binomial([[mu]], [[dispersion]]))
    shape = 1 / dispersion
    for q in (0.3, 0.5, 0.99):
        expected = special.gammaincinv(shape, q) / shape
        # in standard deviations; 2e-3: the Poisson part in units of it, where φ is 1e-8, is 1e-4
        error = dist.ppf(q)[0] / mu - expected
        assert abs(error) < 2e-3 * np.sqrt(dispersion) * max(expected, 1e-3)
        if dist.ppf(q)[0] > 1e7:  # masses are small
            assert dist.cdf(dist.ppf(q))[0] == pytest.approx(q, rel=1e-6)


@pytest.mark.parametrize("mu", [3.0, 1e10, 1e15])
def test_quantiles_of_poisson_counts_reach_their_probability(mu):
    dist = alone(families.poisson([[mu]]))
    for q in (1e-300, 1e-16, 0.01, 0.5, 0.99, 1 - 1e-16):
        y = dist.ppf(q)[0]
        assert dist.cdf(y)[0] >= q
        assert y == 0 or dist.cdf(y - 1)[0] < q
    assert dist.ppf(0)[0] == 0
    assert dist.ppf(1)[0] == np.inf


def test_draws_of_counts_have_their_moments_and_stay_integers():
    rng = np.random.RandomState(0)
    for mu in (3.0, 1e6, 1e17):
        for law, sd in [
            (families.poisson(mu), np.sqrt(mu)),
            (families.negative_binomial(mu, 0.5), np.sqrt(mu + 0.5 * mu**2)),
        ]:
            y = law.rvs(20_000, random_state=rng)
            assert y.dtype == np.int64
            # 5 standard errors; of the spread twice as wide, for the kurtosis
            assert abs(y.mean() - mu) < 5 * sd / np.sqrt(20_000)
            assert y.std() == pytest.approx(sd, rel=0.06)
    for mu in (1e19, 1e217):
        assert (families.poisson(mu).rvs(3, random_state=0) == 2**63 - 1024).all()


@pytest.mark.parametrize("shape", [1e-6, 0.5, 1.0, 30.0, 1e6, 1e12])
def test_gamma_densities_of_any_shape(shape):
    """Stirling's formula in place of differences of log Γ, which lose all digits at 1e12."""
    law = families.gamma(shape, scale=2.0 / shape)
    if shape < 1e4:
        y = np.array([1e-3, 0.1, 2.0, 9.0])
        expected = stats.gamma(shape, scale=2.0 / shape).logpdf(y)
        assert_allclose(law.logpdf(y), expected, rtol=1e-12, atol=1e-12)
    else:  # in standard deviations z of log y: normal but for 1/√shape
        z = np.array([-2.0, 0.0, 1.0])
        y = 2 * np.exp(z / np.sqrt(shape))
        third = z**3 / (6 * np.sqrt(shape))  # of s (g - expm1 g) = -z²/2 - z³/(6 √s) - ...
        expected = -0.5 * z**2 - third + 0.5 * np.log(shape / (2 * np.pi)) - np.log(y)
        # z⁴/(24 s) is left out; 1e-8: y is rounded, times the slope z √s = 2e6
        assert_allclose(law.logpdf(y), expected, rtol=0, atol=1 / shape + 1e-8)
    at_0 = law.logpdf(0.0)
    assert at_0 == (np.inf if shape < 1 else pytest.approx(np.log(0.5)) if shape == 1 else -np.inf)
    assert law.logpdf(-1.0) == -np.inf
    assert np.isfinite(families.gamma(shape, scale=1e217).logpdf(1e-300))


@pytest.mark.parametrize("df", [1e3, 1e5, 1e8, 1e12, 1e100])
def test_t_with_many_degrees_of_freedom_is_nearly_normal(df):
    x = np.array([0.0, 0.7, 3.0])
    # log t = log φ + (x⁴ - 2x² - 1)/(4ν) + O(1/ν²)
    expected = stats.norm.logpdf(x) + (x**4 - 2 * x**2 - 1) / (4 * df)
    # the next term has x⁶/6ν² = 122/ν²; 1e-13: rounding
    assert_allclose(families.t(df).logpdf(x), expected, rtol=0, atol=200 / df**2 + 1e-13)


@pytest.mark.parametrize("df", [0.5, 1.0, 3.0])
def test_tails_of_t_go_on_as_a_power(df):
    law = families.t(df)
    near, far = law.sf(1e7), law.sf(1e12)
    # (1e5)^ν; 1e-9: near, the next term of the tail is 1e-14 of it
    assert near / far == pytest.approx(1e5**df, rel=1e-9)
    assert law.cdf(-1e12) == far
    for q in (1e-300, 1e-30, 1e-5, 0.3):
        y = law.ppf(q)
        if np.abs(y) < 1e300:
            assert law.cdf(y) == pytest.approx(q, rel=1e-12)
    exact = 1 / np.pi / 1e200  # Cauchy's tail is arctan(1/x)/π
    assert families.t(1.0).sf(1e200) == pytest.approx(exact, rel=1e-14)


def test_normal_and_laplace_tails_keep_their_digits():
    dist = MixtureDistribution([[0.5, 0.5]], families.norm([0.0, 1.0]))
    assert dist.sf(30.0)[0] == pytest.approx(0.5 * (special.ndtr(-30) + special.ndtr(-29)))
    law = families.laplace()
    assert law.sf(700.0) == pytest.approx(0.5 * np.exp(-700.0), rel=1e-15)
    assert law.cdf(-700.0) == law.sf(700.0)
    with np.errstate(all="raise", under="ignore"):
        assert law.cdf(np.array([-1e300, 0.0, 1e300])).tolist() == [0, 0.5, 1]
    assert families.norm().logpdf(1e300) == pytest.approx(-0.5e300)  # cut off, finite


@pytest.mark.parametrize("far", [1e6, 1e100, 1e300])
def test_quantiles_of_components_far_apart_lie_in_them(far):
    weights = np.array([[0.5, 0.5 - 1e-12, 1e-12]])
    dist = MixtureDistribution(weights, families.norm([-far, 0.0, far], [1.0, 1e-3, 2.0]))
    assert dist.ppf(0.25)[0] == pytest.approx(-far)
    assert dist.ppf(0.75)[0] == pytest.approx(0, abs=0.1)
    assert dist.ppf(1 - 1e-15)[0] == pytest.approx(far, rel=1e-4)
    assert dist.ppf([[0.0], [1.0]]).ravel().tolist() == [-np.inf, np.inf]
    assert dist.ppf(1e-16)[0] == pytest.approx(-far, rel=1e-4)


def test_a_component_with_a_mass_of_1e_300_is_where_its_quantiles_are():
    dist = MixtureDistribution([[1e-300, 1 - 1e-300]], families.norm([-1e10, 0.0], 1.0))
    assert dist.ppf(5e-301)[0] == pytest.approx(-1e10)
    assert dist.ppf(1e-299)[0] == pytest.approx(families.norm().ppf(9e-300), rel=1e-10)


def test_log_weights_that_are_no_weights_count_in_densities():
    log_weights = np.array([[0.0, -3000.0], [-5000.0, 0.0], [0.0, -np.inf]])
    dist = MixtureDistribution.from_log(log_weights, families.norm([0.0, 1e3]))
    assert_array_equal(dist.weights, [[1, 0], [0, 1], [1, 0]])
    # at 1e3: N(0) has -5e5, and the other -3000; from 0 to 1e3 in the second row
    expected = stats.norm.logpdf([0, 0, 1e3]) - [3000, 0, 0]
    assert_allclose(dist.logpdf(1e3), expected, rtol=1e-14)
    with pytest.raises(ValueError, match="sums to"):
        MixtureDistribution.from_log(log_weights - 1, families.norm([0.0, 1e3]))


def test_draws_where_a_weight_is_zero_never_come_from_it():
    dist = MixtureDistribution([[0.0, 1.0, 0.0]], families.norm([np.nan, 5.0, np.inf], 1.0))
    y = dist.rvs(1000, random_state=0)
    assert np.isfinite(y).all()
    assert np.isfinite(dist.mean()).all()
    assert np.isfinite(dist.ppf(0.3)).all()


def test_what_is_too_large_for_a_number_is_the_largest_one():
    dist = MixtureDistribution([[0.5, 0.5]], families.norm([0.0, 1e300], 1.0))
    assert dist.std()[0] == pytest.approx(5e299)
    assert dist.var()[0] == np.finfo(float).max
    heavy = alone(families.t([[0.01]]))
    assert np.isfinite(heavy.rvs(1000, random_state=0)).all()
    assert np.isinf(heavy.var()).all()
