"""The small rules that every run rests on, each by itself."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from classic_moe.data.batches import ArrayBatches
from classic_moe.experts import LinearExpert
from classic_moe.gates import ConstantGate, LeastSquaresGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.statistics import Statistics
from classic_moe.solvers import Adam, OnlineEM
from classic_moe.solvers.em import ascend, remaining
from classic_moe.solvers.loop import evaluate
from classic_moe.solvers.online import Memory

pytestmark = pytest.mark.weak_penalties


class Parabola:
    """The objective -x², whose M-steps go where they are told."""

    def __init__(self, bold, cautious):
        self.steps = bold, cautious

    takes_scaled = False

    def statistics(self, params, order):
        return Statistics(objective=-(float(params["x"][0]) ** 2))

    def maximize(self, params, stats, cautious=False):
        return {"x": np.array([self.steps[cautious]])}

    def log_prior(self, params):
        return 0.0

    def lacks(self, what):
        return ["the gradient"]


class NoRows:
    total_weight = 1.0

    def map_sum(self, function, params, scaled):
        return function(params)


@pytest.mark.parametrize(
    "bold, cautious, taken",
    [
        (0.5, 9.0, 0.5),  # higher: taken as it is
        (-2.0, 9.0, -0.5),  # a fall: half of it is none
        (-9.0, 9.0, 0.0),  # nor is a tenth
        (-30.0, 0.9, 0.9),  # the cautious step
        (-30.0, -30.0, -0.55),  # a twentieth of it
    ],
)
def test_the_first_proposal_that_does_not_fall_is_taken(bold, cautious, taken):
    model = Parabola(bold, cautious)
    start = evaluate(model, NoRows(), {"x": np.array([1.0])})
    following = ascend(model, NoRows(), start)
    assert following.params["x"] == pytest.approx(taken, abs=1e-12)
    assert following.gain == pytest.approx(1 - taken**2)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 0.99])
def test_what_remains_of_a_geometric_series_is_all_of_it(ratio):
    gains = ratio ** np.arange(10_000)
    assert remaining(gains[3], gains[2]) == pytest.approx(gains[4:].sum())


@pytest.mark.parametrize(
    "gain, last", [(0.0, 0.0), (1e-3, 0.0), (0.0, 1.0), (1.0, 1.0), (-1.0, 1.0)]
)
def test_what_remains_is_told_of_any_two_gains(gain, last):
    """A last gain of exactly 0 was a ZeroDivisionError, with one expert and a fixed step."""
    assert np.isfinite(remaining(gain, last)) and remaining(gain, last) <= 1000 * max(gain, 0)


def test_the_ridge_of_a_least_squares_gate_leaves_the_intercept_alone():
    """With slopes held at 0, intercepts are the means of the log responsibilities."""
    rng = np.random.default_rng(0)
    X, resp = 5 + rng.standard_normal((80, 2)), rng.dirichlet([5.0, 3.0, 2.0], 80)
    gate = LeastSquaresGate(alpha=1e12)
    params = gate.init(X, resp, np.random.RandomState(0))
    coef = gate.maximize(params, gate.statistics(params, X, resp))["coef"]
    target = np.log(resp) - np.log(resp).mean(axis=1, keepdims=True)
    assert_allclose(coef[:, 0], target.mean(axis=0), rtol=1e-6)
    assert np.abs(coef[:, 1:]).max() < 1e-6


@pytest.mark.parametrize("size", [1, 7, 20])
def test_rows_age_within_a_block_as_between_blocks(size):
    """S is Σ λ^(n - i) s_i + λ^n S, however the rows are cut into blocks."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 1)), rng.standard_normal((20, 1))
    weight = rng.uniform(0.5, 2.0, 20)
    model = MixtureModel(ConstantGate(), LinearExpert(variance=1.0))
    params = model.init(X, y, weight[:, None], np.random.RandomState(0))
    stats = ArrayBatches(X, y, weight).map_sum(model.statistics, params)
    solver = OnlineEM(batch_size=size, forgetting=0.9, settling=0)
    after = solver.step(model, Memory(params, stats, 0), ArrayBatches(X, y, weight))
    age = 0.9 ** np.arange(19, -1, -1)
    Z = np.column_stack([np.ones(20), X, y])
    gram = (Z * (age * weight)[:, None]).T @ Z
    assert_allclose(after.stats["resp"], age @ weight + 0.9**20 * stats["resp"], rtol=1e-12)
    assert_allclose(
        after.stats["expert"]["gram"][0], gram + 0.9**20 * stats["expert"]["gram"][0], rtol=1e-9
    )


def test_the_first_memory_is_no_longer_than_its_length():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((500, 1)), rng.standard_normal((500, 1))
    model = MixtureModel(ConstantGate(), LinearExpert())
    params = model.init(X, y, np.ones((500, 1)), np.random.RandomState(0))
    point = evaluate(model, ArrayBatches(X, y, np.ones(500)), params)
    memory = OnlineEM().begin(model, point, 500)
    assert memory.stats["resp"] == pytest.approx(100)  # rows of the shortest memory
    assert OnlineEM(forgetting=1.0).begin(model, point, 500).stats["resp"] == pytest.approx(500)


def test_the_first_steps_of_adam_are_as_long_as_the_rate():
    """Means of one slope are corrected for their start at zero."""
    rule = Adam()._new_rule()
    for slope in (3.0, 3.0, 3.0):
        assert rule(np.array([slope, -0.01]), 0.1) == pytest.approx([0.1, -0.1], rel=1e-5)
