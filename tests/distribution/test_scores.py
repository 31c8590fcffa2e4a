"""The ranked probability score against integrals, sums and draws; F(y), randomised for counts."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats
from scipy.special import beta

from classic_moe.distribution import (
    MixtureDistribution,
    MultivariateNormalComponents,
    UnionComponents,
    families,
    scores,
)

WEIGHTS = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.01, 0.01, 0.98]])
LOC = np.array([[-2.0, 0.0, 3.0], [1.0, 1.5, 0.0], [0.0, 100.0, -1.0]])
SCALE = np.array([0.5, 1.0, 2.0])
CONTINUOUS = {
    "normal": families.norm(LOC, SCALE),
    "t": families.t([1.5, 3.0, 10.0], LOC, SCALE),
    "laplace": families.laplace(LOC, SCALE),
    "gamma": families.gamma([0.5, 2.0, 30.0], scale=np.abs(LOC) + 0.5),
    "uniform": stats.uniform(LOC, SCALE),
    "another of scipy's": stats.gumbel_r(LOC, SCALE),
    "side by side": UnionComponents(
        [families.norm(LOC[:, :1], 1.0), families.t(2.5, LOC[:, 1:2]), stats.uniform(LOC[:, 2:], 9)]
    ),
}
COUNTS = {
    "poisson": families.poisson(np.abs(LOC) * 5 + 0.1),
    "negative binomial": families.negative_binomial(np.abs(LOC) + 1, [0.01, 1.0, 3.0]),
    "binomial": stats.binom(1, np.full((3, 3), 0.3)),
}


def integral(dist, row, y):
    """∫ F² below y and ∫ (1 - F)² above, by QUADPACK between the corners of the components."""
    part = dist._part(slice(row, row + 1))
    each = part._each("ppf", np.full(1, 0.5))[0], *(end[0] for end in part._family.support())
    corners = np.unique(np.concatenate(each))
    inner = np.unique(np.concatenate([part.ppf(np.linspace(0.05, 0.95, 7)), corners]))
    inner = inner[np.isfinite(inner)]
    total = 0.0
    for tail, ends in (
        (part.cdf, [-np.inf, *inner[inner < y], y]),
        (part.sf, [y, *inner[inner > y], np.inf]),
    ):
        for a, b in itertools.pairwise(ends):
            square = lambda z, tail=tail: tail(z)[0] ** 2  # noqa: E731
            total += integrate.quad(square, a, b, epsabs=1e-10, epsrel=1e-9)[0]
    return total


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_score_is_its_integral(name):
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS[name])
    y = np.array([-4.0, 1.2, 2.0])
    expected = [integral(dist, row, value) for row, value in enumerate(y)]
    # what quad is asked for
    assert_allclose(dist.crps(y), expected, rtol=1e-8)


@pytest.mark.parametrize("name", COUNTS)
def test_the_score_of_counts_is_its_sum(name):
    dist = MixtureDistribution(WEIGHTS, COUNTS[name])
    j = np.arange(2000)[:, None]
    below, above = dist.cdf(j) ** 2, dist.sf(j) ** 2
    for y in (0, 1, 7, 150):
        expected = below[:y].sum(axis=0) + above[y:].sum(axis=0)
        assert_allclose(dist.crps(y), expected, rtol=1e-9)
    # between two whole numbers F is constant
    assert_allclose(dist.crps(0.25), 0.25 * below[0] + 0.75 * above[0] + above[1:].sum(axis=0))
    assert_allclose(dist.crps(-2.0), 2 + dist.crps(0), rtol=1e-9)


def test_the_formula_of_normals_is_the_integral_that_others_get():
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS["normal"])
    y, rows = dist._in_batch(np.array([-1e6, -5.0, 0.3, 3.0])[:, None])
    general = scores._of_numbers(dist, y.ravel(), rows.reshape(1, -1)).reshape(y.shape)
    # the error that the integral is allowed
    assert_allclose(dist.crps(y), general, rtol=1e-10)


def test_the_score_of_normals_is_the_energy_form_of_draws():
    dist = MixtureDistribution(WEIGHTS[:2], families.norm(LOC[:2], SCALE))
    draws, other = dist.rvs(size=(2, 50_000), random_state=0)
    for y in (-3.0, 1.0):
        energy = np.abs(draws - y) - 0.5 * np.abs(draws - other)
        error = 4 * energy.std(axis=0) / np.sqrt(len(energy))
        assert np.all(np.abs(energy.mean(axis=0) - dist.crps(y)) < error)


@pytest.mark.parametrize("df", [0.51, 0.6, 0.9, 1.5, 5.0, 200.0])
def test_one_t_has_the_formula_of_jordan_krueger_and_lerch(df):
    dist = MixtureDistribution([[1.0]], families.t([[df]]))
    for z in (0.0, 0.7, -30.0):
        f, below = stats.t.pdf(z, df), stats.t.cdf(z, df)
        expected = z * (2 * below - 1) + 2 * f * (df + z * z) / (df - 1)
        expected -= 2 * np.sqrt(df) / (df - 1) * beta(0.5, df - 0.5) / beta(0.5, df / 2) ** 2
        # the formula subtracts; at z = 30 and 200 degrees of freedom scipy's tails are nothing
        assert_allclose(dist.crps(z), expected, rtol=1e-9)


def test_where_there_is_no_mean_the_integral_decides():
    for df, finite in ((1.0, True), (0.5, False), (0.3, False)):
        mixed = MixtureDistribution([[0.9, 0.1]], families.t([5.0, df]))
        assert np.isfinite(mixed.crps(0.3))[0] == finite
    without = MixtureDistribution([[1.0, 0.0]], families.t([5.0, 0.3]))
    assert_allclose(without.crps(0.3), MixtureDistribution([[1.0]], families.t([5.0])).crps(0.3))


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150])
@pytest.mark.parametrize("family", [families.norm, families.laplace])
def test_scores_have_the_unit_of_y(family, scale):
    y, loc = np.array([[0.5], [40.0]]), np.array([0.0, 3.0])
    plain = MixtureDistribution([[0.4, 0.6]], family(loc, [1.0, 2.0])).crps(y)
    scaled = MixtureDistribution([[0.4, 0.6]], family(loc * scale, [scale, 2 * scale]))
    assert_allclose(scaled.crps(y * scale), plain * scale, rtol=1e-9)


@pytest.mark.parametrize("name", ["normal", "t", "gamma", "poisson", "negative binomial"])
@pytest.mark.parametrize("y", [-1e300, 1e20, 1e300])
def test_far_out_the_score_is_the_distance(name, y):
    dist = MixtureDistribution(WEIGHTS, (CONTINUOUS | COUNTS)[name])
    assert_allclose(dist.crps(y), abs(y), rtol=1e-9)


def test_the_largest_numbers_have_scores():
    dist = MixtureDistribution([[0.5, 0.5]], families.norm([-1.7e308, 1.7e308], 1.0))
    assert_allclose(dist.crps([[0.0], [1.7e308]]).ravel(), [0.85e308, 0.85e308], rtol=1e-12)
    assert np.isinf(dist.crps(np.inf)) and np.isnan(dist.crps(np.nan))


@pytest.mark.parametrize("family", [families.norm, families.laplace])
def test_what_stands_far_apart_hides_nothing(family):
    """A component of 1e-9 of the distance: w² of it below y, (1 - w)² above."""
    dist = MixtureDistribution([[0.25, 0.75]], family([0.0, 1e6], [1e-3, 1e-3]))
    expected = 1e6 * np.array([0.75**2, 0.25**2])
    assert_allclose(dist.crps([[0.0], [1e6]]).ravel(), expected, rtol=1e-8)
    # and a score of the size of the narrow component beside one of little weight
    small = MixtureDistribution([[1 - 1e-9, 1e-9]], family([0.0, 1e6], [1.0, 1.0]))
    alone = MixtureDistribution([[1.0]], family([[0.0]], 1.0)).crps(0.2)
    assert_allclose(small.crps(0.2) - alone, 1e-18 * 1e6, atol=1e-8)


def test_counts_of_any_size_are_summed():
    """A Poisson of mean 1e10 is normal up to 1e-5 of its standard deviation."""
    dist = MixtureDistribution([[0.5, 0.5]], families.poisson([1e10, 2.0]))
    normal = MixtureDistribution([[0.5, 0.5]], families.norm([1e10, 2.0], [1e5, np.sqrt(2)]))
    y = np.array([[0.0], [1e10 + 1e5], [3e10]])
    assert_allclose(dist.crps(y), normal.crps(y), rtol=1e-8)
    one = MixtureDistribution([[1.0]], families.poisson([[1e10]]))
    assert_allclose(one.crps(1e10), 1e5 * (np.sqrt(2) - 1) / np.sqrt(np.pi), rtol=1e-5)


def test_sums_by_nodes_are_exact_for_polynomials():
    for power in (5, 8, 13):
        nodes, weights = scores._sum_rule(power)
        n = 2**power
        assert len(set(nodes)) == 16 and nodes[0] == 0 and nodes[-1] == n - 1
        assert_array_equal(nodes, np.round(nodes))
        for degree in (0, 1, 7, 15):
            whole = np.sum((np.arange(n) / n) ** degree)
            assert_allclose(weights @ (nodes / n) ** degree, whole, rtol=1e-12)


def test_arguments_broadcast_and_outputs_stand_alone(monkeypatch):
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS["t"])
    grid = np.array([-1.0, 0.5])
    full = dist.crps(grid[:, None])
    assert dist.crps(0.5).shape == (3,) and full.shape == (2, 3)
    assert_allclose(full[1], dist.crps([0.5, 0.5, 0.5]), rtol=1e-12)
    monkeypatch.setattr("classic_moe.distribution.mixture.BLOCK", 3)
    assert_allclose(dist.crps(grid[:, None]), full, rtol=1e-12)
    mean = np.stack([LOC, 10 * LOC], axis=-1)
    covariance = [[[1.0, 0.6], [0.6, 2.0]], np.diag([0.1, 9.0]), np.diag([4.0, 1.0])]
    joint = MixtureDistribution(WEIGHTS, MultivariateNormalComponents(mean, covariance))
    y = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    second = MixtureDistribution(WEIGHTS, families.norm(10 * LOC, np.sqrt([2.0, 9.0, 1.0])))
    assert joint.crps(y).shape == joint.pit(y).shape == (3, 2)
    assert_allclose(joint.crps(y)[:, 1], second.crps(y[:, 1]), rtol=1e-12)
    assert_array_equal(joint.pit(y), joint.cdf(y))
    with pytest.raises(ValueError, match="y has shape"):
        dist.crps([1.0, 2.0])


def test_the_transform_is_uniform_for_counts_too():
    n = 4000
    rate = np.random.default_rng(0).uniform(0.1, 4, (n, 2))
    dist = MixtureDistribution(np.full((n, 2), 0.5), families.poisson(rate))
    y = dist.rvs(random_state=1)
    pit = dist.pit(y, random_state=2)
    assert stats.kstest(pit, "uniform").pvalue > 0.01  # one fixed draw
    below, at = dist.pit_bounds(y)
    assert np.all((below <= pit) & (pit <= at))
    assert_allclose(at - below, dist.pdf(y), rtol=1e-9)
    assert_array_equal(dist.pit(y, random_state=2), pit)
    assert not np.array_equal(dist.pit(y, np.random.default_rng(3)), pit)


def test_the_transform_of_numbers_is_f():
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS["laplace"])
    assert_array_equal(dist.pit(0.3), dist.cdf(0.3))
    below, at = dist.pit_bounds(0.3)
    assert_array_equal(below, at)
