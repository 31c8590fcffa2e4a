"""Components of several families in one mixture: the distribution is the sum of its parts."""

import numpy as np
import pytest
from scipy import integrate, stats

from classic_moe.distribution import MixtureDistribution, UnionComponents
from classic_moe.distribution.multivariate import (
    IndependentComponents,
    MultivariateNormalComponents,
)
from classic_moe.distribution.univariate import side_by_side

WEIGHTS = np.array([[0.2, 0.3, 0.4, 0.1], [0.0, 0.5, 0.0, 0.5], [0.25, 0.25, 0.25, 0.25]])
LOC = np.array([[-2.0], [0.0], [3.0]])
SHAPE = np.array([[2.0, 5.0], [4.0, 1.5], [3.0, 9.0]])
PARTS = [stats.norm(LOC, 0.5), stats.gamma(SHAPE, scale=2.0), stats.t(df=5.0, loc=1.0)]
ROUNDING = 1e-13  # a few hundred units of rounding, as between scipy's own cdf and ppf


def columns(method, *y):
    """A method of the components one by one, (..., n, K)."""
    each = [getattr(part, method)(*(np.asarray(a)[..., None] for a in y)) for part in PARTS]
    shape = np.broadcast_shapes(*(a.shape[:-1] for a in each[:2]))
    return np.concatenate([np.broadcast_to(a, (*shape, a.shape[-1] or 1)) for a in each], axis=-1)


def mixed(method, *y):
    return np.sum(WEIGHTS * columns(method, *y), axis=-1)


@pytest.fixture(scope="module")
def union():
    return MixtureDistribution(WEIGHTS, UnionComponents(PARTS))


@pytest.fixture(scope="module")
def counts():
    parts = [stats.poisson([[0.3], [40.0], [5.0]]), stats.nbinom(2.5, [[0.2, 0.8]])]
    return MixtureDistribution(
        WEIGHTS[:, 1:] / WEIGHTS[:, 1:].sum(1, keepdims=True), UnionComponents(parts)
    )


@pytest.fixture(scope="module")
def joint():
    """Two outputs: correlated normals beside independent t and Laplace components."""
    rng = np.random.default_rng(0)
    normal = MultivariateNormalComponents(rng.normal(size=(3, 1, 2)), [[[1.0, 0.6], [0.6, 2.0]]])
    student, laplace = (
        IndependentComponents(family(loc=rng.normal(size=shape), scale=[0.5, 3.0]), shape)
        for family, shape in [(stats.norm, (3, 2, 2)), (stats.laplace, (3, 1, 2))]
    )
    return MixtureDistribution(WEIGHTS, side_by_side([normal, student, laplace]))


# -- one output --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pdf", "cdf", "sf"])
def test_a_union_is_the_weighted_sum_of_its_parts(union, method):
    y = np.linspace(-8, 30, 50)[:, None]
    np.testing.assert_allclose(getattr(union, method)(y), mixed(method, y), rtol=ROUNDING)


@pytest.mark.slow
def test_the_density_integrates_to_one_and_to_the_moments(union):
    for i in range(3):
        # Kinks where the gammas begin; beyond 200 scales even t's tail holds 1e-10.
        def moment(j, i=i):
            pieces = [(-400, 0), (0, 30), (30, 400)]
            density = lambda y: y**j * union.pdf(np.full(3, y))[i]  # noqa: E731
            return sum(integrate.quad(density, a, b, limit=200)[0] for a, b in pieces)

        assert moment(0) == pytest.approx(1, abs=1e-8)
        assert moment(1) == pytest.approx(union.mean()[i], abs=1e-6)
        # The part of t's variance beyond 400, that is 400**-3: 1e-6 with its constant.
        assert moment(2) - moment(1) ** 2 == pytest.approx(union.var()[i], abs=1e-5)
    np.testing.assert_allclose(union.std() ** 2, union.var(), rtol=1e-14)


def test_one_family_in_pieces_is_the_family():
    whole = MixtureDistribution(WEIGHTS, stats.gamma(np.hstack([SHAPE, SHAPE + 1]), scale=2.0))
    pieces = UnionComponents([stats.gamma(SHAPE, scale=2.0), stats.gamma(SHAPE + 1, scale=2.0)])
    union = MixtureDistribution(WEIGHTS, pieces)
    q = np.array([1e-9, 0.3, 0.999])[:, None]
    np.testing.assert_array_equal(union.ppf(q), whole.ppf(q))
    np.testing.assert_array_equal(union.std(), whole.std())
    np.testing.assert_array_equal(union.logpdf(3.0), whole.logpdf(3.0))


def test_ppf_inverts_cdf(union):
    q = np.concatenate([10.0 ** -np.arange(1, 10), 1 - 10.0 ** -np.arange(1, 9)])[:, None]
    np.testing.assert_allclose(union.cdf(union.ppf(q)), np.tile(q, (1, 3)), rtol=1e-11)
    np.testing.assert_array_equal(union.ppf(0), -np.inf)
    low, high = union.interval(0.8)
    np.testing.assert_allclose(union.cdf(high) - union.cdf(low), 0.8, rtol=1e-11)


def test_the_upper_tail_keeps_its_digits():
    parts = [stats.norm([[0.0]]), stats.expon([[1.0]])]
    dist = MixtureDistribution([[0.5, 0.5]], UnionComponents(parts))
    # Out there the normal has nothing left; the exponential's tail is exact.
    np.testing.assert_allclose(dist.sf(101.0), 0.5 * np.exp(-100.0), rtol=ROUNDING)
    upper = 1 - 2.0**-50
    np.testing.assert_allclose(dist.sf(dist.ppf(upper)), 2.0**-50, rtol=1e-11)


def test_draws_have_the_moments_and_come_from_the_component_named(union):
    n = 40_000
    draws = union.rvs(size=n, random_state=0)
    error = np.abs(draws.mean(axis=0) - union.mean()) / union.std() * np.sqrt(n)
    assert error.max() < 4  # standard errors
    # Kurtosis at most 9 (t with 5 degrees of freedom): relative error √(8/n) = .014; four.
    np.testing.assert_allclose(draws.std(axis=0), union.std(), rtol=0.06)
    for i in range(3):
        # The seed is fixed; a right sampler falls below 1e-3 once in a thousand seeds.
        sample = draws[:2000, i]
        assert stats.kstest(sample, lambda y, i=i: union.cdf(y[:, None])[:, i]).pvalue > 1e-3
    far = UnionComponents([stats.norm([[0.0]], 1e-3), stats.gamma([[9.0, 9.0]], [5.0, 90.0])])
    y, expert = MixtureDistribution(np.tile([[0.2, 0.3, 0.5]], (500, 1)), far).draw(1)
    np.testing.assert_array_equal(expert, np.digitize(y, [1.0, 70.0]))


def test_an_impossible_component_without_weight_is_ignored():
    parts = [stats.norm([[0.0]]), stats.gamma([[np.nan]], scale=-1.0)]
    dist = MixtureDistribution([[1.0, 0.0]], UnionComponents(parts))
    for method in ["pdf", "logpdf", "cdf", "sf", "ppf"]:
        assert getattr(dist, method)(0.3)[0] == pytest.approx(getattr(stats.norm, method)(0.3))
    assert dist.draw(0)[1] == [0]


def test_parameters_need_not_be_given():
    dist = MixtureDistribution([[0.5, 0.5]], UnionComponents([stats.norm(), stats.expon()]))
    assert (dist.mean(), dist.cdf(0.0)) == ([0.5], [0.25])
    assert dist.std() == pytest.approx(np.sqrt(1.25))


# -- counts ------------------------------------------------------------------------------------


def test_counts_side_by_side(counts):
    y = np.arange(3000.0)[:, None]
    np.testing.assert_allclose(counts.pmf(y).sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose((y * counts.pmf(y)).sum(axis=0), counts.mean(), rtol=1e-12)
    quantile = counts.ppf(np.array([0.01, 0.5, 0.99])[:, None])
    assert np.all(counts.cdf(quantile) >= [[0.01], [0.5], [0.99]])
    assert np.all(counts.cdf(quantile - 1) < [[0.01], [0.5], [0.99]])
    np.testing.assert_array_equal(counts.ppf(0), 0)
    draws = counts.rvs(size=20_000, random_state=0)
    assert draws.dtype.kind == "i"
    error = np.abs(draws.mean(axis=0) - counts.mean()) / counts.std() * np.sqrt(20_000)
    assert error.max() < 4  # standard errors


# -- several outputs ---------------------------------------------------------------------------


def test_the_joint_density_is_that_of_the_parts(joint):
    y = np.random.default_rng(1).normal(size=(4, 3, 2))
    each = [np.exp(part.logpdf(y)) for part in joint.components.parts]
    expected = np.sum(WEIGHTS * np.concatenate(each, axis=-1), axis=-1)
    np.testing.assert_allclose(joint.pdf(y), expected, rtol=ROUNDING)


def test_outputs_by_themselves_and_their_covariance(joint):
    draws = joint.rvs(size=40_000, random_state=0)
    sd = joint.std()
    np.testing.assert_allclose(draws.mean(axis=0), joint.mean(), atol=4 * sd.max() / 200)
    for i in range(3):
        # Standard error of a covariance: below sd * sd * 2 / sqrt(40,000); five of them.
        assert np.all(
            abs(np.cov(draws[:, i].T) - joint.covariance()[i]) < 0.05 * np.outer(sd[i], sd[i])
        )
    q = np.array([0.05, 0.7])[:, None]
    np.testing.assert_allclose(joint.cdf(joint.ppf(q)), np.tile(q[..., None], (3, 2)), rtol=1e-11)
    below = (draws <= joint.ppf(0.7)).mean(axis=0)
    np.testing.assert_allclose(below, 0.7, atol=5 * np.sqrt(0.21 / 40_000))  # standard errors


def test_joint_draws_come_from_the_component_named(joint):
    n = len(WEIGHTS)
    for k in range(4):
        alone = MixtureDistribution(np.tile(np.eye(4)[k], (n, 1)), joint.components)
        draws = alone.rvs(size=4000, random_state=k)
        error = np.abs(draws.mean(axis=0) - joint.components.mean[:, k]) / draws.std(axis=0)
        assert error.max() * np.sqrt(4000) < 4.5  # standard errors, 24 of them


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts, error, message",
    [
        ([stats.norm(), stats.poisson(1.0)], ValueError, "mix continuous distributions and counts"),
        ([stats.norm(), stats.norm(), stats.norm()], ValueError, "make 3 columns; weights has 2"),
        (
            [stats.norm(), np.zeros(1)],
            TypeError,
            "components is of type ndarray; pass a frozen scipy",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, error, message):
    with pytest.raises(error, match=message):
        MixtureDistribution([[0.5, 0.5]], UnionComponents(parts))
