"""EM, plain and accelerated: it never descends, and says truly how it ended."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.batches import ArrayBatches
from classic_moe.experts import GaussianExpert, LinearExpert, SoftmaxExpert
from classic_moe.gates import ConstantGate, SoftmaxGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import interpolate, leaves, map_leaves
from classic_moe.solvers import ALIASES, EM, AcceleratedEM, BaseSolver, EMNewton
from classic_moe.solvers.em import remaining

pytestmark = pytest.mark.weak_penalties

SOLVERS = pytest.mark.parametrize("solver", [EM(), AcceleratedEM()], ids=["em", "auto"])


def make_problem(kind="linear", n=150, penalties=True, seed=0):
    """(model, start, batches) in internal units."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 2))
    y = np.where(X[:, 0] + 0.5 * rng.logistic(size=n) > 0, X[:, 1], 1 - X[:, 1])
    y = y + 0.4 * rng.standard_normal(n)
    scale = 1.0 if penalties else 0.0
    gate, expert, classes = {
        "linear": (SoftmaxGate(1e-3 * scale), LinearExpert(1e-6 * scale, 1e-2 * scale), None),
        "gaussian": (ConstantGate(), GaussianExpert(1e-2 * scale), None),
        "softmax": (SoftmaxGate(1e-3 * scale), SoftmaxExpert(1e-3 * scale), 3),
    }[kind]
    model = MixtureModel(gate, expert)
    if classes:
        y = np.digitize(y + rng.logistic(size=n), [0.0, 1.5])
    else:
        y = ((y - y.mean()) / y.std())[:, None]
    weight = rng.uniform(0.5, 2, size=n)
    resp = rng.dirichlet([1.0, 1.0, 1.0], size=n) * weight[:, None]
    start = model.init(X, y, resp, rng, np.arange(classes) if classes else None)
    return model, start, ArrayBatches(X, y, weight)


def objective(model, params, batches):
    stats = batches.map_sum(model.statistics, params)
    return stats["objective"] + model.log_prior(params)


KINDS = pytest.mark.parametrize("kind", ["linear", "gaussian", "softmax"])


@SOLVERS
@KINDS
@pytest.mark.parametrize("penalties", [True, False])
def test_the_objective_never_falls_and_is_that_of_the_params_returned(solver, kind, penalties):
    model, start, batches = make_problem(kind, penalties=penalties)
    result = solver.run(model, start, batches, max_iter=200, tol=1e-9)
    assert (np.diff(result.history) >= 0).all()
    assert_allclose(result.history[0], objective(model, start, batches), rtol=1e-12)
    assert_allclose(result.objective, objective(model, result.params, batches), rtol=1e-12)
    assert result.objective == result.history[-1]
    ours = batches.map_sum(model.statistics, result.params)
    assert_allclose(result.stats["resp"], ours["resp"], rtol=1e-13)  # a compiled pass or another
    assert not result.stopped


@SOLVERS
@KINDS
def test_where_it_converges_the_gradient_is_zero(solver, kind):
    model, start, batches = make_problem(kind)
    result = solver.run(model, start, batches, max_iter=5000, tol=1e-13)
    assert result.converged
    gradient = model.gradient(result.params, result.stats)
    for leaf in leaves(gradient):
        assert np.abs(leaf).max() <= 1e-4 * batches.total_weight


@SOLVERS
@KINDS
def test_gains_below_the_rounding_of_the_objective_still_count(solver, kind):
    """The objective's last digit is worth 1e-16 a row; its slopes tell gains of 1e-22 and less."""
    model, start, batches = make_problem(kind)
    result = solver.run(model, start, batches, max_iter=20_000, tol=1e-22)
    assert result.converged
    assert (np.diff(result.history) >= 0).all()
    for leaf in leaves(model.gradient(result.params, result.stats)):
        assert np.abs(leaf).max() <= 1e-9 * batches.total_weight


class Sinking(MixtureModel):
    """The objective of every pass is twenty units of rounding lower than that before."""

    passes = 0

    def statistics(self, params, *rows, **facts):
        stats = super().statistics(params, *rows, **facts)
        self.passes += 1
        stats["objective"] -= 20 * self.passes * np.spacing(abs(stats["objective"]))
        return stats


def test_a_newton_step_is_taken_whole_where_only_rounding_speaks_against_it():
    model, start, batches = make_problem("softmax")
    start = map_leaves(lambda leaf: leaf[:1], start)
    best = EM().run(model, start, batches, max_iter=50, tol=1e-22)
    assert best.converged
    rng = np.random.RandomState(0)
    near = map_leaves(lambda leaf: leaf + 1e-9 * rng.standard_normal(leaf.shape), best.params)
    step = EM().run(Sinking(model.gate, model.expert), near, batches, max_iter=1, tol=0)
    assert step.history[1] >= step.history[0]
    for ours, theirs in zip(leaves(step.params), leaves(best.params), strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@KINDS
def test_acceleration_reaches_as_good_an_optimum_in_fewer_iterations(kind):
    model, start, batches = make_problem(kind)
    plain = EM().run(model, start, batches, max_iter=5000, tol=1e-11)
    fast = AcceleratedEM().run(model, start, batches, max_iter=5000, tol=1e-11)
    assert plain.converged
    assert fast.converged
    assert fast.objective >= plain.objective - 1e-5
    assert len(fast.history) < len(plain.history)


@SOLVERS
def test_what_remains_to_be_gained_is_about_tol(solver):
    """Aitken's estimate, not the last gain alone: slow convergence is not taken for an optimum."""
    model, start, batches = make_problem("linear")
    best = solver.run(model, start, batches, max_iter=20_000, tol=1e-14).objective
    for tol in (1e-4, 1e-6, 1e-8):
        result = solver.run(model, start, batches, max_iter=20_000, tol=tol)
        assert result.converged
        assert best - result.objective <= 20 * tol * batches.total_weight


@SOLVERS
def test_max_iter_ends_the_run_without_claiming_convergence(solver):
    model, start, batches = make_problem()
    for max_iter in (1, 2, 3, 4, 7):
        result = solver.run(model, start, batches, max_iter=max_iter, tol=0)
        assert len(result.history) == max_iter + 1
        assert not result.converged


@SOLVERS
def test_the_callback_hears_every_iteration_and_may_stop(solver):
    model, start, batches = make_problem()
    seen = []

    def callback(iteration, params, value):
        seen.append((iteration, value))
        return iteration == 5

    result = solver.run(model, start, batches, max_iter=100, tol=0, callback=callback)
    assert [iteration for iteration, _ in seen] == [1, 2, 3, 4, 5]
    assert [value for _, value in seen] == result.history[1:]
    assert result.stopped
    assert not result.converged


@SOLVERS
def test_a_start_that_is_the_optimum_is_kept(solver):
    model, start, batches = make_problem()
    best = solver.run(model, start, batches, max_iter=5000, tol=1e-14)
    again = solver.run(model, best.params, batches, max_iter=100, tol=1e-9)
    assert again.converged
    assert len(again.history) <= 4
    assert_allclose(again.objective, best.objective, rtol=1e-10)


class Proxy:
    """A model whose M-step is replaced; everything else is the real one's."""

    compiled = False  # a compiled climb has an M-step of its own

    def __init__(self, model, maximize):
        self._model, self._maximize = model, maximize

    def maximize(self, params, stats, cautious=False):
        return self._maximize(self._model, params, stats, cautious)

    def __getattr__(self, name):
        return getattr(self._model, name)


@SOLVERS
def test_a_step_that_overshoots_is_shortened(solver):
    """An M-step of three times the length: half of it, or a tenth, still ascends."""
    model, start, batches = make_problem()

    def far(model, params, stats, cautious):
        return interpolate(params, model.maximize(params, stats, cautious), 3.0)

    result = solver.run(Proxy(model, far), start, batches, max_iter=100, tol=1e-9)
    assert (np.diff(result.history) >= 0).all()
    assert result.objective > result.history[0] + 5


@SOLVERS
def test_a_step_that_is_no_number_falls_back_to_the_certain_one(solver):
    model, start, batches = make_problem()

    def broken(model, params, stats, cautious):
        step = model.maximize(params, stats, cautious)
        return step if cautious else map_leaves(lambda leaf: leaf * np.nan, step)

    result = solver.run(Proxy(model, broken), start, batches, max_iter=300, tol=1e-6)
    assert result.objective > result.history[0] + 5
    assert all(np.isfinite(leaf).all() for leaf in leaves(result.params))


@SOLVERS
def test_a_step_that_only_descends_ends_the_run_without_claiming_convergence(solver):
    model, start, batches = make_problem()

    def wrong(model, params, stats, cautious):
        return interpolate(params, model.maximize(params, stats, cautious), -0.2)

    result = solver.run(Proxy(model, wrong), start, batches, max_iter=100, tol=1e-9)
    assert not result.converged
    assert result.history == [result.history[0]] * 2
    for ours, theirs in zip(leaves(result.params), leaves(start), strict=True):
        assert_array_equal(ours, theirs)


@SOLVERS
def test_a_start_without_a_finite_objective_is_returned_as_it_is(solver):
    model, start, batches = make_problem()
    bad = map_leaves(lambda leaf: np.full_like(leaf, np.nan), start)
    result = solver.run(model, bad, batches, max_iter=10, tol=1e-6)
    assert result.objective == -np.inf
    assert not result.converged


def test_names_of_the_solvers():
    assert set(ALIASES) >= {"auto", "em"}
    assert ALIASES["em"] is EM
    assert ALIASES["auto"] is EMNewton
    assert issubclass(EM, BaseSolver)


@SOLVERS
def test_estimators_fitted_beforehand_do_not_enter_the_arithmetic_of_small_gains(solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 2))
    y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.standard_normal(100)
    sides = (X[:, 0] > 0, X[:, 0] <= 0)
    experts = [FrozenEstimator(LinearRegression().fit(X[side], y[side])) for side in sides]
    model = MixtureOfExpertsRegressor(2, expert=experts, solver=solver, tol=1e-20, max_iter=3000)
    assert model.fit(X, y).converged_


def test_what_remains_is_finite_after_no_gain_at_all():
    assert remaining(1.0, 0.0) == remaining(1.0, None) == 100.0
    assert remaining(1.0, 2.0) == 1.0  # 1 + 1/2 + 1/4 + ... without the first
