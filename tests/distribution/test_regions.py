"""Modes and highest-density regions: maxima of a fine grid, and the probability they promise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from classic_moe.distribution import (
    MixtureDistribution,
    MultivariateNormalComponents,
    UnionComponents,
    families,
)

WEIGHTS = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.01, 0.01, 0.98]])
LOC = np.array([[-2.0, 0.0, 3.0], [1.0, 1.5, 0.0], [0.0, 100.0, -1.0]])
SCALE = np.array([0.5, 1.0, 2.0])
CONTINUOUS = {
    "normal": families.norm(LOC, SCALE),
    "t": families.t([1.0, 3.0, 10.0], LOC, SCALE),
    "laplace": families.laplace(LOC, SCALE),
    "gamma": families.gamma([1.5, 2.0, 30.0], scale=np.abs(LOC) + 0.5),
    "side by side": UnionComponents([families.norm(LOC[:, :2], 1.0), stats.logistic(LOC[:, 2:])]),
}
COUNTS = {
    "poisson": families.poisson(np.abs(LOC) * 5 + 0.1),
    "negative binomial": families.negative_binomial(np.abs(LOC) * 3 + 1, [0.01, 0.5, 0.2]),
    "binomial": stats.binom(1, np.full((3, 3), 0.3)),
}


def known(a):
    return a[np.isfinite(a)]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_modes_are_the_maxima_of_a_fine_grid(name):
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS[name])
    modes, grid = dist.modes(), np.arange(-20, 160, 0.005)
    density = dist.logpdf(grid[:, None])
    top = (density[1:-1] > density[:-2]) & (density[1:-1] > density[2:])
    for row in range(3):
        expected = grid[1:-1][top[:, row]]
        # a mode lies within a step of the highest point of the grid
        assert_allclose(np.sort(known(modes[:, row])), expected, atol=0.005)
        heights = density.max(axis=0)[row], dist.logpdf(modes[0])[row]
        assert heights[1] >= heights[0] - 1e-9
    heights = dist.pdf(modes)
    assert np.all(np.diff(np.nan_to_num(heights), axis=0) <= 0)  # the highest first
    assert_array_equal(dist.mode(), modes[0])


@pytest.mark.parametrize("name", COUNTS)
def test_modes_of_counts_are_whole_and_most_probable(name):
    dist = MixtureDistribution(WEIGHTS, COUNTS[name])
    modes, mass = dist.modes(), dist.pdf(np.arange(2000)[:, None])
    assert_array_equal(known(modes), np.round(known(modes)))
    assert_array_equal(dist.mode(), mass.argmax(axis=0))
    padded = np.concatenate([np.zeros((1, 3)), mass])
    top = (padded[1:-1] > padded[:-2] * (1 + 1e-9)) & (padded[1:-1] >= padded[2:])
    for row in range(3):
        assert_array_equal(np.sort(known(modes[:, row])), np.flatnonzero(top[:, row]))


def test_of_equally_probable_counts_the_least_is_the_mode():
    assert_array_equal(MixtureDistribution([[1.0]], families.poisson([[5.0]])).modes(), [[4]])


def test_a_flat_top_has_its_middle_and_an_infinite_density_its_place():
    flat = MixtureDistribution([[0.6, 0.4]], stats.uniform([0.0, 5.0], [2.0, 1.0]))
    assert_allclose(flat.modes(), [[5.5], [1.0]], rtol=1e-12)
    edge = MixtureDistribution([[0.5, 0.5]], families.gamma([0.5, 50.0]))
    assert_allclose(edge.modes(), [[0.0], [49.0]], atol=0.05)
    waiting = MixtureDistribution([[1.0]], stats.expon([[3.0]]))
    assert_array_equal(waiting.modes(), [[3.0]])


@pytest.mark.parametrize("confidence", [0.1, 0.9])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_regions_hold_their_probability_at_one_level(name, confidence):
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS[name])
    low, high = dist.hdr(confidence)
    assert low.shape == high.shape and np.all(known(low) < known(high))
    inside = np.nansum(dist.cdf(high) - dist.cdf(low), axis=0)
    assert_allclose(inside, confidence, atol=1e-9)  # the tolerance of the search, for each end
    ends = np.stack([low, high])
    density = np.where(np.isnan(ends), np.nan, dist.logpdf(ends))
    spread = np.nanmax(density, axis=(0, 1)) - np.nanmin(density, axis=(0, 1))
    assert np.all(spread < 1e-8)


def test_no_set_of_that_probability_is_smaller():
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS["normal"])
    grid, step = np.arange(-15, 110, 0.002), 0.002
    density = dist.pdf(grid[:, None])
    for confidence in (0.5, 0.9):
        highest = np.sort(density, axis=0)[::-1]
        smallest = step * np.argmax(np.cumsum(highest, axis=0) * step >= confidence, axis=0)
        low, high = dist.hdr(confidence)
        # a step of the grid for each end
        assert_allclose(np.nansum(high - low, axis=0), smallest, atol=8 * step)


@pytest.mark.parametrize("name", COUNTS)
def test_regions_of_counts_are_the_least_sets_of_most_probable_ones(name):
    dist = MixtureDistribution(WEIGHTS, COUNTS[name])
    mass = dist.pdf(np.arange(2000)[:, None])
    low, high = dist.hdr(0.8)
    for row in range(3):
        ends = zip(known(low[:, row]), known(high[:, row]), strict=True)
        found = np.concatenate([np.arange(a, b + 1) for a, b in ends]).astype(int)
        inside = mass[found, row]
        assert len(set(found)) == len(found) and inside.sum() >= 0.8 - 1e-9
        assert inside.sum() - inside.min() < 0.8  # without the least probable it is not enough
        assert np.delete(mass[:, row], found).max() <= inside.min() * (1 + 1e-6)


def test_supports_with_an_edge_and_gaps():
    dist = MixtureDistribution([[0.5, 0.5]], stats.uniform([0.0, 5.0], [2.0, 1.0]))
    low, high = dist.hdr(0.9)
    assert_allclose((low.ravel(), high.ravel()), ([0, 5], [2, 6]), atol=1e-9)
    edge = MixtureDistribution([[1.0]], families.gamma([[0.5]]))
    low, high = edge.hdr(0.9)
    assert low[0, 0] == 0
    assert_allclose(high, edge.ppf(0.9)[None], rtol=1e-8)
    heavy = MixtureDistribution([[1.0]], families.t([[1.0]]))
    assert_allclose(heavy.hdr(0.99)[1], heavy.ppf(0.995)[None], rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_regions_have_the_unit_of_y(scale):
    plain = MixtureDistribution([[0.5, 0.5]], families.norm([0.0, 4.0], [1.0, 0.5]))
    scaled = MixtureDistribution([[0.5, 0.5]], families.norm([0, 4 * scale], [scale, scale / 2]))
    assert_allclose(scaled.modes(), scale * plain.modes(), rtol=1e-6, atol=1e-7 * scale)
    assert_allclose(scaled.hdr(0.8), scale * np.array(plain.hdr(0.8)), rtol=1e-8)


def test_shapes_broadcast_and_outputs_stand_alone(monkeypatch):
    dist = MixtureDistribution(WEIGHTS, CONTINUOUS["normal"])
    low, high = dist.hdr(np.array([0.3, 0.9])[:, None])
    assert low.shape == high.shape and low.shape[1:] == (2, 3)
    for line, confidence in enumerate((0.3, 0.9)):
        one = dist.hdr(confidence)[0]
        assert_allclose(low[: len(one), line], one, rtol=1e-12)
        assert np.isnan(low[len(one) :, line]).all()
    row = dist.hdr([0.3, 0.9, 0.5])[0]
    assert_allclose(known(row[:, 1]), known(low[:, 1, 1]), rtol=1e-9)
    monkeypatch.setattr("classic_moe.distribution.regions.BLOCK", 1)
    assert_allclose(dist.hdr(0.9)[1], high[:, 1][: len(dist.hdr(0.9)[1])], rtol=1e-9)
    mean = np.stack([LOC, 10 * LOC], axis=-1)
    covariance = np.array([np.diag([s**2, 1.0]) for s in SCALE])
    joint = MixtureDistribution(WEIGHTS, MultivariateNormalComponents(mean, covariance))
    modes, (low, high) = joint.modes(), joint.hdr(0.9)
    assert modes.shape[1:] == low.shape[1:] == (3, 2) and joint.mode().shape == (3, 2)
    assert_allclose(known(modes[:, :, 0]), known(dist.modes()), rtol=1e-7)
    assert_allclose(known(high[:, :, 0]), known(dist.hdr(0.9)[1]), rtol=1e-9)
    for wrong in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match=r"confidence must lie within \(0, 1\)"):
            dist.hdr(wrong)


def test_many_small_modes_are_found():
    """Twenty components side by side, of widths that differ by a thousand."""
    loc, scale = np.arange(20.0), np.logspace(-4, -1, 20)
    dist = MixtureDistribution(np.full((1, 20), 0.05), families.norm(loc, scale))
    assert_allclose(np.sort(dist.modes()[:, 0]), loc, atol=1e-6)
    low, high = dist.hdr(0.6)
    assert_allclose(np.nansum(dist.cdf(high) - dist.cdf(low)), 0.6, atol=1e-9)


@pytest.mark.parametrize("kind", [stats.norm, stats.gamma, stats.poisson])
def test_no_rows_have_no_modes_regions_and_scores(kind):
    """As `mean` and `ppf` have none: of an empty selection of rows."""
    dist = MixtureDistribution(np.empty((0, 2)), kind(np.empty((0, 2))))
    assert dist.mode().shape == dist.crps(np.empty(0)).shape == (0,)
    assert dist.modes().shape == (1, 0) and dist.crps(np.empty((3, 0))).shape == (3, 0)
    assert [side.shape for side in dist.hdr([[0.5], [0.9]])] == [(1, 2, 0)] * 2
