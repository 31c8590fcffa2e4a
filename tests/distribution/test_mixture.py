"""MixtureDistribution keeps what scipy's frozen distributions promise, a mixture in each row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from classic_moe.distribution import (
    MixtureDistribution,
    MultivariateNormalComponents,
    UnionComponents,
)
from classic_moe.distribution.multivariate import IndependentComponents

WEIGHTS = np.array([[0.2, 0.5, 0.3], [0.7, 0.3, 0.0], [0.0, 0.0, 1.0]])  # n = 3 rows, K = 3
LOC = np.array([[-2.0, 0.0, 3.0], [1.0, 1.5, 0.0], [0.0, 0.0, -1.0]])
SCALE = np.array([0.5, 1.0, 2.0])
METHODS = ["pdf", "logpdf", "cdf", "sf", "ppf"]
# scipy's own cdf and ppf agree to about this, a few hundred units of rounding.
ROUNDING = 1e-13


@pytest.fixture(scope="module")
def normal():
    return MixtureDistribution(WEIGHTS, stats.norm(LOC, SCALE))


@pytest.fixture(scope="module")
def joint():
    """Two outputs, correlated within the first component only."""
    mean = np.stack([LOC, 10 * LOC[::-1]], axis=-1)
    covariance = [[[1.0, 0.6], [0.6, 2.0]], [[0.1, 0.0], [0.0, 9.0]], [[4.0, 0.0], [0.0, 1.0]]]
    return MixtureDistribution(WEIGHTS, MultivariateNormalComponents(mean, covariance))


# -- one output --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "component",
    [
        stats.norm([[-1.0], [2.0]], 1.5),
        stats.t(df=[[3.0], [5.0]], loc=1.0, scale=[[2.0], [0.1]]),
        stats.laplace(loc=[[0.0], [9.0]]),
        stats.gamma([[0.7], [4.0]], scale=3.0),
        stats.poisson([[0.3], [40.0]]),
        stats.binom(12, [[0.1], [0.9]]),
        stats.nbinom(2.5, [[0.1], [0.8]], loc=1),
    ],
    ids=lambda c: c.dist.name,
)
def test_one_component_is_scipys_distribution(component):
    dist = MixtureDistribution(np.ones((2, 1)), component)
    q = np.array([1e-6, 0.2, 0.5, 0.99, 1.0])[:, None]
    y = np.arange(6.0)[:, None]
    counts = isinstance(component.dist, stats.rv_discrete)

    def same(ours, scipys):
        # scipy broadcasts parameters (2, 1) against values (m,) to (2, m), ours transposed.
        np.testing.assert_allclose(ours, scipys.T, rtol=ROUNDING)

    for name in ["mean", "var", "std", "median"]:
        same(getattr(dist, name)()[None], getattr(component, name)())
    for name in ["cdf", "sf"]:
        same(getattr(dist, name)(y), getattr(component, name)(y.T))
    same(dist.ppf(q), component.ppf(q.T))
    same(dist.pdf(y), (component.pmf if counts else component.pdf)(y.T))
    same(dist.logpdf(y), (component.logpmf if counts else component.logpdf)(y.T))
    same(np.array(dist.interval(0.9)), np.hstack(component.interval(0.9)))


def test_density_integrates_to_one_to_the_cdf_and_to_the_moments(normal):
    grid = np.linspace(-60, 60, 24001)  # 0.01 of the smallest scale apart, 28 scales wide
    density = normal.pdf(grid[:, None])
    moment = [integrate.simpson(density * grid[:, None] ** j, x=grid, axis=0) for j in range(3)]
    # On smooth functions that vanish at both ends Simpson's error is rounding: 24001 terms.
    np.testing.assert_allclose(moment[0], 1, rtol=1e-12)
    np.testing.assert_allclose(moment[1], normal.mean(), rtol=1e-11)
    np.testing.assert_allclose(moment[2] - moment[1] ** 2, normal.var(), rtol=1e-11)
    np.testing.assert_allclose(normal.std() ** 2, normal.var(), rtol=1e-15)  # one rounding
    half = grid <= 0.5
    below = integrate.simpson(density[half], x=grid[half], axis=0)
    # At the cut the density does not vanish: Simpson's error is about step**4 = 6e-10.
    np.testing.assert_allclose(below, normal.cdf(0.5), atol=1e-9)
    np.testing.assert_allclose(normal.cdf(0.5) + normal.sf(0.5), 1, rtol=1e-15)  # one rounding


def test_variance_does_not_cancel_far_from_zero():
    dist = MixtureDistribution([[0.5, 0.5]], stats.norm([1e8, 1e8 + 2], 1e-3))
    # Locations near 1e8 are whole numbers, so the deviations +-1 are exact.
    np.testing.assert_allclose(dist.var(), 1 + 1e-6, rtol=1e-15)


def test_logpdf_is_finite_far_in_the_tails(normal):
    far = normal.logpdf([1e8, -1e8, 1e8])
    assert np.all(np.isfinite(far))
    # The widest component with weight decides; the others and log weights are below rounding.
    np.testing.assert_allclose(far, -0.5 * (1e8 / np.array([2, 1, 2])) ** 2, rtol=1e-6)
    np.testing.assert_array_equal(normal.pdf(1e8), 0)


def test_component_without_weight_is_ignored_whatever_it_says():
    broken = stats.norm([0.0, np.nan], [1.0, -1.0])
    infinite = stats.gamma([2.0, 0.5])  # the second has an infinite density at 0
    dist = MixtureDistribution([[1.0, 0.0]], broken)
    for method in METHODS:
        assert getattr(dist, method)(0.3)[0] == pytest.approx(getattr(stats.norm, method)(0.3))
    assert (dist.mean()[0], dist.var()[0]) == (0, 1)
    assert dist.draw(0)[1] == [0]
    np.testing.assert_array_equal(MixtureDistribution([[1.0, 0.0]], infinite).pdf(0), 0)
    np.testing.assert_array_equal(MixtureDistribution([[0.5, 0.5]], infinite).pdf(0), np.inf)


@pytest.mark.parametrize("method", METHODS)
def test_arguments_broadcast_against_the_rows(normal, method):
    call = getattr(normal, method)
    grid = np.array([0.1, 0.2, 0.5, 0.9])
    full = call(grid[:, None])
    assert call(0.5).shape == (3,)
    assert full.shape == (4, 3)
    assert call(np.full((5, 4, 1), 0.3)).shape == (5, 4, 3)
    # A value does not depend on its neighbours in the array, but for the order of rounding.
    np.testing.assert_allclose(full[2], call([0.5, 0.5, 0.5]), rtol=ROUNDING)
    one_row = MixtureDistribution(WEIGHTS[:1], stats.norm(LOC[:1], SCALE))
    np.testing.assert_allclose(getattr(one_row, method)(grid), full[:, 0], rtol=ROUNDING)


# -- quantiles ---------------------------------------------------------------------------------


def assert_round_trip(dist, q):
    """cdf(ppf(q)) is q to 1e-10, plus what a unit in the last place of y changes the cdf by."""
    y = dist.ppf(q)
    resolution = dist.cdf(y + 2 * np.spacing(abs(y))) - dist.cdf(y - 2 * np.spacing(abs(y)))
    assert np.all(abs(dist.cdf(y) - q) <= 1e-10 + resolution)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_ppf_inverts_cdf_for_far_apart_and_unequal_components(data):
    K = data.draw(st.integers(1, 4))
    column = lambda low, high: np.array(  # noqa: E731
        data.draw(st.lists(st.floats(low, high), min_size=K, max_size=K))
    )
    log_weights, log_scale = column(-6, 0), column(-6, 0)
    loc = column(-1, 1) * 10.0 ** data.draw(st.integers(-6, 6))
    weights = 10**log_weights / np.sum(10**log_weights)
    family = data.draw(st.sampled_from([stats.norm, stats.laplace, stats.t, stats.gamma]))
    shape = {stats.t: (2.5,), stats.gamma: (0.5,)}.get(family, ())
    q = [1e-6, data.draw(st.floats(1e-6, 1 - 1e-6)), 0.5, 1 - 1e-6]
    dist = MixtureDistribution(weights[None], family(*shape, loc=loc, scale=10**log_scale))
    assert_round_trip(dist, np.array(q)[:, None])


def test_quantile_keeps_its_digits_in_both_tails():
    dist = MixtureDistribution([[0.25, 0.75]], stats.norm([-3.0, 3.0], [1.0, 2.0]))
    for p in [1e-12, 1e-100, 1e-300]:
        # Relative to p: _TOLERANCE, and the cdf's condition number 1e-16 y^2 < 1e-12 out there.
        np.testing.assert_allclose(dist.cdf(dist.ppf(p)), p, rtol=1e-11)
    upper = 1 - 2.0**-50
    np.testing.assert_allclose(dist.sf(dist.ppf(upper)), 2.0**-50, rtol=1e-11)


def test_quantile_of_a_symmetric_mixture_is_exact_at_its_centre():
    dist = MixtureDistribution([[0.5, 0.5]], stats.norm([-1.0, 1.0], 1e-2))
    gap = dist.median()[0]
    assert -1 < gap < 1  # any point of the empty gap has cdf 1/2
    assert dist.cdf(gap)[0] == pytest.approx(0.5, abs=1e-12)  # as the round trip, tighter
    wide = MixtureDistribution([[0.5, 0.5]], stats.norm([-1.0, 1.0], 1.0))
    assert wide.median()[0] == pytest.approx(0, abs=1e-12)  # _TOLERANCE / density


def test_quantile_is_not_stopped_by_an_infinite_density():
    # The search starts at 0, the edge of the second component, where a Newton step is nothing.
    dist = MixtureDistribution([[0.5, 0.5]], stats.gamma([1.0, 0.01], loc=[-1.0, 0.0]))
    assert_round_trip(dist, 0.5 + 1e-8)
    assert dist.ppf(0.5 + 1e-8) > 0


def test_ends_of_the_support_and_impossible_probabilities():
    dist = MixtureDistribution([[0.5, 0.5], [1.0, 0.0]], stats.uniform([1.0, 10.0], 2.0))
    np.testing.assert_array_equal(dist.ppf(0), [1, 1])
    np.testing.assert_array_equal(dist.ppf(1), [12, 3])
    assert np.all(np.isnan(dist.ppf(np.array([-0.1, 1.1, np.nan])[:, None])))
    normal = MixtureDistribution([[0.5, 0.5]], stats.norm([0, 1]))
    np.testing.assert_array_equal(normal.ppf([0, 1]), [-np.inf, np.inf])
    counts = MixtureDistribution([[0.5, 0.5]], stats.binom([3, 7], 0.5))
    np.testing.assert_array_equal(counts.ppf([0, 1, np.nan]), [0, 7, np.nan])


def test_interval_is_equal_tailed(normal):
    low, high = normal.interval(0.8)
    np.testing.assert_allclose(normal.cdf(low), 0.1, rtol=1e-12)  # _TOLERANCE and rounding
    np.testing.assert_allclose(normal.sf(high), 0.1, rtol=1e-12)
    np.testing.assert_array_equal(normal.median(), normal.ppf(0.5))
    assert normal.interval(np.array([0.5, 0.9])[:, None])[0].shape == (2, 3)


LEVELS = np.array([1e-300, 1e-12, 1e-6, 0.01, 0.25, 0.5, 0.75, 1 - 1e-6, 1 - 2.0**-50, 0.0, 1.0])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_the_kernel_of_normal_quantiles_inverts_both_tails(data):
    K = data.draw(st.integers(1, 6))
    column = lambda low, high: np.array(  # noqa: E731
        data.draw(st.lists(st.floats(low, high), min_size=K, max_size=K))
    )
    weights = 10 ** column(-6, 0) * (column(0, 1) > 0.1)
    weights[0] += weights.sum() == 0
    loc = column(-1, 1) * 10.0 ** data.draw(st.integers(-6, 6))
    dist = MixtureDistribution(weights[None] / weights.sum(), stats.norm(loc, 10 ** column(-6, 0)))
    q = np.append(LEVELS, data.draw(st.floats(1e-6, 1 - 1e-6)))[:, None]
    y = dist._ppf_compiled(q)
    assert np.isneginf(y[q == 0]).all() and np.isposinf(y[q == 1]).all()
    for tail, p, half in (
        (dist.cdf, q, (q > 0) & (q <= 0.5)),
        (dist.sf, 1 - q, (q > 0.5) & (q < 1)),
    ):
        around = [tail(y + side * 4 * np.spacing(abs(y))) for side in (-1, 1)]
        least, most = np.minimum(*around), np.maximum(*around)
        # 1e-10 of the tail's probability, beside what the last bits of y change it by; 1e-5 of one
        # of 1e-300, near the smallest numbers there are: ten digits of y.
        off = np.where(p < 1e-200, 1e-5, 1e-10)
        assert np.all((least * (1 - off) <= p)[half] & (p <= most * (1 + off))[half])


def test_an_array_that_the_distribution_keeps_is_one_of_its_own():
    given = np.log(np.full((3, 2), 0.5))
    MixtureDistribution.from_log(given + 1e-6, stats.norm([0.0, 1.0]))
    one_row = np.broadcast_to(given[:1].astype(np.float32), (3, 2))
    dist = MixtureDistribution.from_own(one_row, stats.norm([0.0, 1.0]))
    np.testing.assert_allclose(dist.mean(), 0.5, rtol=1e-15)
    np.testing.assert_array_equal(one_row, np.float32(np.log(0.5)))
    with pytest.raises(ValueError, match="weights has shape"):
        MixtureDistribution.from_log(given[0], stats.norm([0.0, 1.0]))


def test_the_kernel_says_what_numpy_says_of_many_rows(monkeypatch):
    rng = np.random.default_rng(0)
    n, K = 3000, 4
    weights = rng.dirichlet(np.full(K, 0.3), n)
    dist = MixtureDistribution(
        weights, stats.norm(rng.normal(size=(n, K)) * 5, [0.1, 1.0, 2.0, 3.0])
    )
    for q in (1e-9, 0.1, 0.5, rng.uniform(size=n)):
        values = []
        for whether in (False, True):
            monkeypatch.setattr("classic_moe.distribution.mixture.pays", lambda n, own=whether: own)
            values.append(dist.ppf(q))
        # What an error of 1e-13 in the probability moves y by, where the density is small.
        slack = 1e-12 * np.minimum(q, 1 - np.asarray(q)) / dist.pdf(values[0])
        assert np.all(abs(values[1] - values[0]) <= 1e-10 * abs(values[0]) + slack + 1e-13)


@pytest.mark.parametrize("components", ["normal", "t", "union", "counts", "joint", "joint t"])
def test_blocks_of_rows_and_threads_change_nothing(components, monkeypatch):
    rng, n = np.random.default_rng(0), 60
    loc, mean = rng.normal(size=(n, 2)), rng.normal(size=(n, 2, 3))
    made = {
        "normal": stats.norm(loc, [1.0, 2.0]),
        "t": stats.t([3.0, 4.0], loc),
        "union": UnionComponents([stats.norm(loc[:, :1], 1.0), stats.laplace(loc[:, 1:])]),
        "counts": stats.poisson(np.exp(loc)),
        "joint": MultivariateNormalComponents(mean, [np.eye(3), 4 * np.eye(3)]),
        "joint t": IndependentComponents(stats.laplace(mean, 2.0), mean.shape),
    }[components]
    dist = MixtureDistribution(rng.dirichlet([1.0, 1.0], n), made)
    q = 3 if components.startswith("joint") else None
    y = np.floor(rng.normal(size=(n,) if q is None else (n, q)) + 1)

    def everything():
        levels = np.array([0.2, 0.7])[:, None]
        grid = y + np.arange(7.0).reshape(7, 1, *([1] * (q is not None)))
        each = [dist.mean(), dist.var(), dist.std(), dist.ppf(levels), dist.ppf(0.5)]
        return each + [getattr(dist, name)(a) for name in ("pdf", "cdf", "sf") for a in (y, grid)]

    whole = everything()
    monkeypatch.setattr("classic_moe.distribution.mixture.BLOCK", 100)
    blocks = everything()
    dist._threads = 2
    for a, b, c in zip(whole, blocks, everything(), strict=True):
        np.testing.assert_allclose(b, a, rtol=ROUNDING)
        np.testing.assert_array_equal(c, b)


@settings(max_examples=50, deadline=None)
@given(
    q=st.floats(1e-9, 1 - 1e-9),
    weight=st.floats(0, 1),
    component=st.sampled_from(
        [
            stats.poisson([0.2, 3e4]),
            stats.poisson([2.0, 2.5]),
            stats.binom([5, 900], [0.9, 0.5]),
            stats.nbinom([0.5, 20.0], [1e-3, 0.5], loc=[-3, 2]),
        ]
    ),
)
def test_quantile_of_counts_is_the_smallest_integer_that_reaches_q(q, weight, component):
    dist = MixtureDistribution([[weight, 1 - weight]], component)
    y = dist.ppf(q)
    assert y == np.floor(y)
    assert dist.cdf(y) >= q > dist.cdf(y - 1)
    # Also at the jumps themselves, where rounding decides.
    assert dist.ppf(dist.cdf(y)) <= y
    np.testing.assert_array_equal(dist.pmf(y), dist.pdf(y))
    np.testing.assert_array_equal(dist.logpmf(y), dist.logpdf(y))
    # A mass is the cdf's jump, up to the rounding of numbers near 1.
    np.testing.assert_allclose(dist.pmf(y), dist.cdf(y) - dist.cdf(y - 1), atol=1e-12)


# -- several outputs ---------------------------------------------------------------------------


def test_joint_density_is_the_mixture_of_multivariate_normals(joint):
    mean, covariance = joint.components.mean, joint.components.covariance
    y = np.random.default_rng(0).normal(size=(5, 3, 2)) * [2.0, 20.0]
    expected = sum(
        WEIGHTS[:, k] * stats.multivariate_normal(cov=covariance[k]).pdf(y - mean[:, k])
        for k in range(3)
    )
    # 1e-12: scipy goes by eigenvalues, here by Cholesky factors; log densities reach -1e3.
    np.testing.assert_allclose(joint.pdf(y), expected, rtol=1e-12)
    np.testing.assert_allclose(joint.logpdf(y), np.log(expected), rtol=1e-12)
    assert np.all(np.isfinite(joint.logpdf(np.full((3, 2), 1e8))))


def test_outputs_by_themselves_are_normal_mixtures(joint):
    y = np.array([[[-1.0, 5.0]], [[0.5, -20.0]]])  # two grid points for all rows: (2, 1, 2)
    q = np.array([[0.01], [0.6]])
    for j in range(2):
        scale = np.sqrt(joint.components.covariance[:, j, j])
        alone = MixtureDistribution(WEIGHTS, stats.norm(joint.components.mean[..., j], scale))
        same = lambda a, b: np.testing.assert_allclose(a, b, rtol=ROUNDING)  # noqa: E731
        for name in ["cdf", "sf"]:
            same(getattr(joint, name)(y)[..., j], getattr(alone, name)(y[..., j]))
        for name in ["mean", "var", "std", "median"]:
            same(getattr(joint, name)()[..., j], getattr(alone, name)())
        same(joint.ppf(q)[..., j], alone.ppf(q))
        same(joint.interval(0.5)[1][..., j], alone.interval(0.5)[1])


def test_covariance_has_the_variances_on_its_diagonal_and_that_of_draws_off_it(joint, normal):
    covariance = joint.covariance()
    diagonal = np.diagonal(covariance, axis1=1, axis2=2)
    np.testing.assert_allclose(diagonal, joint.var(), rtol=ROUNDING)
    draws = joint.rvs(size=40_000, random_state=0)
    for i in range(3):
        # Standard error of a covariance: below sd * sd * 2 / sqrt(40,000); five of them.
        sd = joint.std()[i]
        assert np.all(abs(np.cov(draws[:, i].T) - covariance[i]) < 0.05 * np.outer(sd, sd))
    np.testing.assert_array_equal(normal.covariance()[:, 0, 0], normal.var())


def test_shapes_with_several_outputs(joint):
    y = np.zeros((4, 3, 2))
    assert joint.mean().shape == joint.var().shape == joint.std().shape == (3, 2)
    assert joint.covariance().shape == (3, 2, 2)
    assert joint.pdf(y).shape == joint.logpdf(y).shape == (4, 3)
    assert joint.cdf(y).shape == joint.sf(y).shape == (4, 3, 2)
    assert joint.ppf(0.5).shape == joint.ppf([0.1, 0.2, 0.3]).shape == (3, 2)
    assert joint.ppf(np.full((5, 1), 0.3)).shape == (5, 3, 2)
    assert joint.rvs().shape == (3, 2)
    assert joint.rvs(size=4).shape == (4, 3, 2)


# -- random draws ------------------------------------------------------------------------------


def test_draws_follow_the_cdf_and_experts_the_weights(normal, joint):
    draws = normal.rvs(size=2000, random_state=1)
    for i in range(3):
        # The seed is fixed; a right sampler falls below 1e-3 once in a thousand seeds.
        assert stats.kstest(draws[:, i], lambda y, i=i: normal.cdf(y[:, None])[:, i]).pvalue > 1e-3
    n = 20_000
    for one_row in [
        MixtureDistribution(np.tile(WEIGHTS[:1], (n, 1)), stats.norm(LOC[0], 0.01)),
        MixtureDistribution(
            np.tile(WEIGHTS[:1], (n, 1)),
            MultivariateNormalComponents(
                np.tile(LOC[0][:, None], (n, 1, 2)), 1e-4 * np.array([np.eye(2)] * 3)
            ),
        ),
    ]:
        y, expert = one_row.draw(np.random.default_rng(2))
        assert expert.shape == (n,)
        # Standard error at most .5 / sqrt(n) = .0035; four of them.
        np.testing.assert_allclose(np.bincount(expert) / n, WEIGHTS[0], atol=0.015)
        # Each draw lies within ten scales of .01 of the component that made it.
        assert np.max(abs(y.reshape(n, -1) - LOC[0][expert][:, None])) < 0.1


def test_components_without_weight_are_never_drawn(normal):
    experts = [normal.draw(seed)[1] for seed in range(200)]
    assert np.all(WEIGHTS[np.arange(3), experts] > 0)


def test_random_state_is_taken_as_in_scikit_learn(normal):
    by_int, by_state = normal.rvs(2, 0), normal.rvs(2, np.random.RandomState(0))
    np.testing.assert_array_equal(by_int, by_state)
    generators = [normal.rvs(2, np.random.default_rng(0)) for _ in range(2)]
    np.testing.assert_array_equal(*generators)
    rng = np.random.default_rng(0)
    assert np.any(normal.rvs(random_state=rng) != normal.rvs(random_state=rng))
    np.testing.assert_array_equal(normal.rvs(random_state=3), normal.draw(3)[0])
    assert normal.rvs().shape == (3,)
    assert normal.rvs(size=(4, 5)).shape == (4, 5, 3)
    counts = MixtureDistribution(WEIGHTS, stats.poisson([1.0, 2.0, 3.0]))
    assert counts.rvs(size=4, random_state=0).dtype.kind == "i"


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "components", "message"),
    [
        ([0.5, 0.5], stats.norm(), r"weights has shape \(2,\); pass"),
        ([[1.5, -0.5]], stats.norm(), r"at least 0, got -0.5; clip"),
        ([[np.nan, 1.0]], stats.norm(), r"at least 0, got nan"),
        ([[0.5, 0.5], [0.5, 0.4]], stats.norm(), r"sums to 0.9, not 1; divide"),
        ([[0.5, 0.5]], stats.norm([0, 1, 2]), r"'loc': \(3,\).* broadcasts to .* \(1, 2\)"),
        ([[0.5, 0.5]], stats.t([[3], [4]]), r"'df': \(2, 1\)"),
        (
            [[0.5, 0.5]],
            MultivariateNormalComponents(np.zeros((1, 3, 2)), [np.eye(2)] * 3),
            r"weights has shape \(1, 2\); the components want \(1, 3\)",
        ),
    ],
)
def test_bad_weights_and_components_are_refused(weights, components, message):
    with pytest.raises(ValueError, match=message):
        MixtureDistribution(weights, components)


def test_other_kinds_of_components_are_refused():
    with pytest.raises(TypeError, match=r"components is of type ndarray; pass a frozen scipy"):
        MixtureDistribution([[1.0]], np.zeros(1))


def test_bad_multivariate_components_are_refused():
    with pytest.raises(ValueError, match=r"mean has shape \(2, 3\) and covariance \(3, 3\); pass"):
        MultivariateNormalComponents(np.zeros((2, 3)), np.eye(3))
    with pytest.raises(ValueError, match=r"not positive definite.*add a small number"):
        MultivariateNormalComponents(np.zeros((1, 1, 2)), [[[1.0, 2.0], [2.0, 1.0]]])


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, np.nan])
def test_impossible_confidence_is_refused(normal, confidence):
    with pytest.raises(ValueError, match=rf"within \(0, 1\), got {confidence}.*; try 0.95"):
        normal.interval(confidence)


def test_arguments_that_do_not_broadcast_are_refused(normal, joint):
    for method in METHODS:
        with pytest.raises(ValueError, match=r"has shape \(4,\).*\(3,\).*\[:, None\]"):
            getattr(normal, method)(np.full(4, 0.5))
    for y in [0.0, np.zeros(3), np.zeros((3, 1))]:
        with pytest.raises(ValueError, match=r"must broadcast against \(3, 2\)"):
            joint.pdf(y)


def test_without_a_mean_the_spread_is_infinite():
    weights = np.array([[0.5, 0.5], [0.0, 1.0]])
    dist = MixtureDistribution(weights, stats.t(df=np.array([1.0, 5.0]), loc=np.zeros((2, 2))))
    assert np.isposinf(dist.std()[0]) and np.isposinf(dist.var()[0])
    assert dist.std()[1] == pytest.approx(np.sqrt(5 / 3))


@pytest.mark.parametrize("rate", [1e13, 1e200])
def test_counts_beyond_scipys_quantiles_have_finite_ones(rate):
    dist = MixtureDistribution(np.array([[0.5, 0.5]]), stats.poisson(np.array([[3.0, rate]])))
    low, high = dist.ppf(0.25), dist.ppf(0.75)
    assert low == 3 - (stats.poisson(3).cdf(2) >= 0.5)
    assert high == pytest.approx(rate, rel=1e-5)
    assert dist.std() == pytest.approx(rate / 2, rel=1e-6)


def test_a_count_whose_mean_rounds_to_zero_does_not_spread():
    """scipy's p = 1 / (1 + φμ) is 1 there, its variance 0; 0 / 0 once became infinity."""
    counts = MixtureDistribution(np.ones((2, 1)), stats.nbinom([[1e8], [2.0]], [[1.0], [0.5]]))
    assert counts.std()[0] == 0
    assert counts.std()[1] == pytest.approx(2.0)


@pytest.mark.parametrize("size, p", [(1e8, 1e-8), (1e4, 1e-12), (1.0, 1e-200)])
def test_quantiles_of_huge_counts_come_at_all(size, p):
    """scipy's search for them does not end."""
    counts = MixtureDistribution(np.ones((1, 1)), stats.nbinom([[size]], [[p]]))
    for q in (0.01, 0.5, 0.99):
        y = counts.ppf(q)
        assert np.isfinite(y).all()
        assert counts.cdf(y)[0] == pytest.approx(q, rel=1e-6)
