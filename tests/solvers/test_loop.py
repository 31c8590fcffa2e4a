"""The loop of all solvers: history, best, patience, callback, and what a solver may require."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression

from classic_moe.data.batches import ArrayBatches
from classic_moe.experts import EstimatorExpert, GammaExpert, LinearExpert, MLPExpert
from classic_moe.gates import GaussianGate, SoftmaxGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.model.objectives import ExpectedError
from classic_moe.parts.params import map_leaves
from classic_moe.solvers import ALIASES, OnlineEM
from classic_moe.solvers.base import REFUSALS, BaseSolver
from classic_moe.solvers.loop import BestSoFar, Point, Record, Steps, evaluate, loop

pytestmark = pytest.mark.weak_penalties

KINDS = ["full", "diag", "spherical", "tied"]


def make_problem():
    """(model, start, batches) in internal units."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((100, 2)), rng.standard_normal((100, 1))
    model = MixtureModel(SoftmaxGate(0.1), LinearExpert(0.1, 0.1))
    start = model.init(X, y, rng.dirichlet([1, 1, 1], size=100), rng)
    return model, start, ArrayBatches(X, y, np.ones(100))


def points(*values):
    return [Point({"step": np.array([i])}, {}, value) for i, value in enumerate(values)]


class Along(Steps):
    """Steps along given points; they have arrived at the last one."""

    def __init__(self, path):
        self.path = iter(path)

    def step(self, point, record):
        return next(self.path, None)

    def arrived(self, point, record):
        return None


def run(path, steps=Along, **options):
    record = Record(**{"max_iter": 100} | options)
    start, *path = path
    record.add(start)
    return loop(steps(path), start, record), record


# -- the record ------------------------------------------------------------------------------------


def test_the_history_is_of_the_best_and_the_objectives_of_every_iterate():
    path = points(0.0, 2.0, 1.0, -np.inf, 3.0, 3.0)
    _, record = run(path)
    assert record.history == [0, 2, 2, 2, 3, 3]
    assert record.objectives == [0, 2, 1, -np.inf, 3, 3]
    assert record.best is path[4]  # the first of equals
    assert record.iterations == 5


@pytest.mark.parametrize("adds_up, since", [(False, [0, 1, 2, 0, 1]), (True, [0, 1, 0, 0, 1])])
def test_small_gains_add_up_or_do_not(adds_up, since):
    record, seen = Record(100, least_gain=1.0, small_gains_add_up=adds_up), []
    for point in points(0.0, 0.75, 1.5, 3.0, 2.0):
        record.add(point)
        seen.append(record.since)
    assert seen == since


def test_another_judge_chooses_the_best():
    path = points(0.0, 3.0, 2.0)
    _, record = run(path, judge=lambda point: (point.value, -abs(point.value - 2)))
    assert record.best is path[2]
    assert record.history == [0, 3, 2]


@pytest.mark.parametrize("said", [True, np.True_])
def test_the_callback_stops_by_true_numpys_too(said):
    def callback(iteration, params, value):
        return said if iteration == 3 else 0

    (point, converged), record = run(points(*range(9)), callback=callback)
    assert (point.value, record.iterations) == (3, 3)
    assert record.stopped and not converged


@pytest.mark.parametrize("said", [False, np.False_, None, 0, 1, "yes"])
def test_the_callback_goes_on_by_all_else(said):
    _, record = run(points(*range(9)), callback=lambda *step: said)
    assert record.iterations == 8
    assert record.stopped is False


def test_the_callback_hears_of_new_iterates_after_the_start():
    path, seen = points(0.0, 2.0, 1.0), []
    run([*path, path[-1]], callback=lambda i, params, value: seen.append((i, params, value)))
    assert seen == [(1, path[1].params, 2.0), (2, path[2].params, 1.0)]


@pytest.mark.parametrize("max_iter", [0, 1, 3])
def test_no_more_iterations_than_allowed(max_iter):
    (point, converged), record = run(points(*range(9)), max_iter=max_iter)
    assert (record.iterations, point.value, converged) == (max_iter, max_iter, False)


# -- steps that need not climb ---------------------------------------------------------------------


def test_the_best_is_kept_and_patience_ends_the_run():
    path = points(0.0, 2.0, 1.0, 1.5, 1.0, 9.0)
    given = iter(path[1:])
    (point, converged), record = run(path, lambda path: BestSoFar(lambda p: next(given), 3))
    assert point is path[1] and converged
    assert record.iterations == 4


def test_after_a_point_that_is_no_model_the_steps_go_on_from_the_best():
    path = points(0.0, 2.0, 1.0, -np.inf, 1.0)
    path[3] = path[3]._replace(stats=None)
    given, starts = iter(path[1:]), []
    run(path, lambda path: BestSoFar(lambda p: starts.append(p) or next(given), 3))
    assert [path.index(start) for start in starts] == [0, 1, 2, 1]


def test_a_start_without_an_objective_is_where_the_run_ends():
    (point, converged), record = run(points(-np.inf, 1.0))
    assert (point.value, converged, record.history) == (-np.inf, False, [-np.inf])


# -- a pass ----------------------------------------------------------------------------------------


def test_a_pass_without_the_prior_is_the_likelihood_alone():
    model, start, batches = make_problem()
    both = [evaluate(model, batches, start, prior=prior).value for prior in (True, False)]
    assert both[0] - both[1] == pytest.approx(model.log_prior(start), rel=1e-9)


def test_params_that_are_no_model_have_no_statistics():
    model, start, batches = make_problem()
    nowhere = map_leaves(lambda leaf: leaf * np.nan, start)
    far = map_leaves(lambda leaf: leaf * np.inf, start)
    for params in (nowhere, far):
        point = evaluate(model, batches, params)
        assert point.value == -np.inf and not point.usable


@pytest.mark.parametrize(
    "gate, expert",
    [
        *((GaussianGate(kind), LinearExpert(covariance_type=kind)) for kind in KINDS),
        (SoftmaxGate(), GammaExpert("inverse")),
    ],
    ids=[*KINDS, "gamma"],
)
def test_of_params_that_are_a_step_too_far_numpy_does_not_warn(gate, expert):
    """An extrapolated covariance need not be positive definite, a shape not positive."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((2, 60, 2))
    y = y if expert.target.standardise else np.exp(y[:, :1])
    model = MixtureModel(gate, expert)
    start = model.init(X, y, rng.dirichlet([1, 1], size=60), rng)
    batches = ArrayBatches(X, y, np.ones(60))
    assert evaluate(model, batches, start).usable
    for part in ("gate", "expert"):
        far = start | {part: map_leaves(lambda leaf: -3 * leaf, start[part])}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            point = evaluate(model, batches, far, tentative=True)
        assert point.usable == np.isfinite(point.value)
        assert part == "gate" or not point.usable


# -- requirements ----------------------------------------------------------------------------------


def test_every_solver_says_what_it_requires():
    for alias, solver in ALIASES.items():
        assert isinstance(solver.requires, frozenset), alias
        assert solver.requires and solver.requires <= set(REFUSALS)
    assert OnlineEM.requires == {"statistics", "sums"}


def lacking():
    network = MixtureModel(SoftmaxGate(), MLPExpert())
    box = MixtureModel(SoftmaxGate(), EstimatorExpert(LinearRegression()))
    error = MixtureModel(SoftmaxGate(), LinearExpert(), objective=ExpectedError())
    return [
        ("statistics", error, ValueError, "climbs a likelihood; ExpectedError is none"),
        ("gradient", box, TypeError, "the expert, EstimatorExpert, has none; use solver='em', or"),
        ("sums", network, ValueError, r"MLPExpert\(\) learns from all its rows at once"),
        (
            "rows",
            box,
            TypeError,
            "needs derivatives row by row, and the .*, has none; use solver='em', or",
        ),
    ]


@pytest.mark.parametrize(
    "what, model, error, message", lacking(), ids=[what for what, *_ in lacking()]
)
def test_a_model_that_lacks_what_is_required_is_refused_in_one_sentence(
    what, model, error, message
):
    class Demanding(BaseSolver, BaseEstimator):
        requires = frozenset({what})

        def run(self, model, params, batches, *, max_iter, tol, callback=None):
            raise NotImplementedError

    with pytest.raises(error, match=message) as caught:
        Demanding().check_model(model)
    assert str(caught.value).count(". ") == 0
    plain = MixtureModel(SoftmaxGate(), LinearExpert())
    Demanding().check_model(plain)
