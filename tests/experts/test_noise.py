"""The noise expert: a fixed range, densities on it, and outliers beside a line."""

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.experts import ExpertUnion, LinearExpert, NoiseExpert
from classic_moe.testing import check_expert

Y = np.array([[0.0, -3.0], [10.0, 1.0], [4.0, 7.0], [5.0, 0.0]])
EMPTY = np.empty((4, 0))
RESP = np.ones((4, 2)) / 2


def started(expert, y=Y):
    return expert.init(EMPTY, y, RESP, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"distribution": "normal"}, {"margin": 1}, {"margin": 1e-3}], ids=str
)
def test_it_keeps_the_promises_of_an_expert(settings):
    check_expert(NoiseExpert(**settings))


def test_the_uniform_density_is_one_over_the_widened_range():
    expert = NoiseExpert(margin=0.25)
    log_prob = expert.log_prob(started(expert), EMPTY, Y)
    np.testing.assert_allclose(log_prob, -np.log(1.5 * 10 * 1.5 * 10), rtol=1e-12)
    at_the_ends = np.array([[-2.49, 0], [12.49, 0], [-2.51, 0], [12.51, 0]])
    inside = np.isfinite(expert.log_prob(started(expert), EMPTY, at_the_ends)[:, 0])
    assert inside.tolist() == [True, True, False, False]


def test_the_normal_density_has_the_uniforms_mean_and_variance_and_no_end():
    uniform, normal = NoiseExpert(), NoiseExpert("normal")
    units = Units(Scaling.identity(0), Scaling.identity(2))
    parts = [e.components(started(e), EMPTY, units, single_output=False) for e in (uniform, normal)]
    moments = [(each.marginals().mean(), each.marginals().var()) for each in parts]
    for one, other in zip(*moments, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)  # scipy's formulas
    np.testing.assert_allclose(moments[0][1][..., 0], 12**2 / 12)
    assert np.isfinite(normal.log_prob(started(normal), EMPTY, np.full((4, 2), 1e6))).all()


def test_the_range_is_that_of_all_rows_whatever_their_responsibilities():
    expert = NoiseExpert()
    partial = expert.init(EMPTY, Y, np.array([[1.0, 0.0]] + [[0.0, 1.0]] * 3), None)
    for name, leaf in started(expert).items():
        np.testing.assert_array_equal(partial[name], leaf)


def test_it_learns_nothing():
    expert = NoiseExpert()
    params = started(expert)
    assert expert.maximize(params, expert.statistics(params, EMPTY, Y + 100, RESP)) is params
    assert expert.n_parameters(params) == 0
    assert not any(leaf.any() for leaf in expert.gradient(params, {}).values())
    assert expert.predictors(params) == []
    terms = expert.rows(params, EMPTY, Y)
    np.testing.assert_array_equal(terms.log_prob, expert.log_prob(params, EMPTY, Y))
    assert terms.slope.shape == (4, 2, 0) and terms.curvature.shape == (4, 2, 0, 0)


def test_a_constant_target_has_a_density():
    expert = NoiseExpert()
    assert np.isfinite(expert.log_prob(started(expert, Y * 0), EMPTY, Y * 0)).all()


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_beside_a_line_it_takes_the_outliers(distribution):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 1))
    y = 2 * X[:, 0] + 0.1 * rng.standard_normal(200)
    y[:20] = rng.uniform(5, 30, 20)
    union = ExpertUnion([LinearExpert(), NoiseExpert(distribution)])
    model = MixtureOfExpertsRegressor(2, expert=union, gate="constant", random_state=0).fit(X, y)
    line, noise = model.experts_
    # three standard errors of the slope of 180 rows: 0.1 / sqrt(180 / 3)
    assert line.coef_[0] == pytest.approx(2, abs=0.04)
    np.testing.assert_allclose(model.weights_, [0.9, 0.1], atol=0.02)
    assert (model.assign(X, y)[:20] == 1).all()
    reach = 1.2 * (y.max() - y.min())
    assert noise.scale_ == pytest.approx(reach / np.sqrt(12), rel=1e-10)
    assert noise.intercept_ == pytest.approx((y.max() + y.min()) / 2, rel=1e-10)
    assert noise.predict(X).shape == (200,)


def test_a_later_row_beyond_the_range_has_no_uniform_density():
    y = np.array([0.0, 1.0, 10.0])
    for distribution, finite in (("uniform", False), ("normal", True)):
        model = MixtureOfExpertsRegressor(1, expert=NoiseExpert(distribution))
        log_prob = model.fit(np.zeros((3, 1)), y).log_prob(np.zeros((1, 1)), [100.0])
        assert np.isfinite(log_prob[0]) == finite


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"distribution": "gaussian"}, "distribution='gaussian' of NoiseExpert: use one of 'unif"),
        ({"margin": 0}, "margin=0 of NoiseExpert: needs a positive number"),
        ({"margin": np.inf}, "margin=inf of NoiseExpert"),
    ],
)
def test_hyper_parameters_that_fit_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        NoiseExpert(**settings).check_parameters()
    NoiseExpert().check_parameters()


def test_starting_values_are_the_middle_and_the_standard_deviation():
    units = Units(Scaling.identity(0), Scaling.identity(1))
    params = NoiseExpert().from_caller({"intercept": [1.0], "scale": [2.0]}, units, 1)
    assert (params["coef"].item(), params["sd"].item()) == (1.0, 2.0)
    with pytest.raises(ValueError, match="every scale must be positive"):
        NoiseExpert().from_caller({"intercept": [1.0], "scale": [0.0]}, units, 1)
