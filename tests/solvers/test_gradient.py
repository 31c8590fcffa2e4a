"""Gradient solvers: they climb to the same optima, and say truly how they ended."""

import functools
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pairs import EXPERTS, GATES, data
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.data.batches import ArrayBatches, whole
from classic_moe.data.units import Scaling
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import leaves, map_leaves
from classic_moe.parts.registry import coerce
from classic_moe.solvers import EM, LBFGS, SGD, AcceleratedEM, Adam, GradientAscent

pytestmark = pytest.mark.weak_penalties

BATCH = GradientAscent(learning_rate=0.1, momentum=0.9)
EACH = pytest.mark.parametrize(
    "solver",
    [LBFGS(), GradientAscent(), BATCH, SGD(), Adam()],
    ids=["lbfgs", "gradient", "fixed step", "sgd", "adam"],
)
MINIBATCH = pytest.mark.parametrize("solver", [SGD, Adam], ids=["sgd", "adam"])


def make_problem(gate="softmax", expert="linear", K=2, n=120, integers=False, copies=False):
    """(model, start, batches) in internal units; `copies`: rows repeated in place of weights."""
    kind, part = EXPERTS[expert]
    rng = np.random.default_rng(0)
    X, y = data(kind, rng)
    X, y = X[:n], y[:n]
    model = MixtureModel(coerce("gate", GATES[gate]), coerce("expert", part))
    classes = kind in ("class", "binary")
    target = y if classes else model.expert.target.encode(y)
    weight = rng.integers(1, 4, n).astype(float) if integers else rng.uniform(0.5, 2.0, n)
    if model.expert.target.standardise and not classes:
        target = Scaling.fit(target, weight).apply(target)
    # near the truth, so that all solvers climb the same hill
    near = np.column_stack([0.8 * (X[:, 0] > k) + 0.1 for k in range(K - 1)])
    resp = np.column_stack([near, 1 - near.mean(axis=1)]) * weight[:, None]
    labels = np.arange(int(y.max()) + 1) if classes else None
    start = model.init(X, target, resp, np.random.RandomState(0), labels)
    if copies:
        rows = np.repeat(np.arange(n), weight.astype(int))
        X, target, weight = X[rows], target[rows], np.ones(len(rows))
    return model, start, ArrayBatches(X, target, weight)


def objective(model, params, batches):
    return batches.map_sum(model.statistics, params)["objective"] + model.log_prior(params)


# -- L-BFGS --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "gate, expert",
    [
        ("softmax", "linear"),
        ("constant", "gaussian"),
        ("gaussian tied", "linear tied"),
        ("exponential family", "linear, two outputs"),
        ("softmax", "student t"),
        ("softmax", "poisson"),
        ("gaussian", "gamma"),
        ("softmax", "union of units"),
        ("softmax", "softmax"),
    ],
)
def test_lbfgs_ends_at_the_maximum_that_em_finds(gate, expert):
    model, start, batches = make_problem(gate, expert)
    em = AcceleratedEM().run(model, start, batches, max_iter=5000, tol=1e-11)
    result = LBFGS().run(model, start, batches, max_iter=2000, tol=1e-8)
    assert result.converged
    assert_allclose(result.objective, em.objective, rtol=1e-6)
    slope = _slope(model, result.params, batches)
    assert np.abs(slope).max() < 1e-3  # a unit of weight; of a loss whose gain ends below 1e-8


def test_lbfgs_minds_no_columns_that_are_nearly_copies():
    """Without coordinates scaled by the information 500 iterations end a nat and more short."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 1)) + 0.03 * rng.standard_normal((1500, 6))
    apart = (X - X.mean(axis=1, keepdims=True)) / 0.03
    lines, scores = rng.standard_normal((6, 3)), 2 * apart @ rng.standard_normal((6, 3))
    which = (scores + rng.gumbel(size=(1500, 3))).argmax(axis=1)
    y = (apart @ lines + X[:, :1])[np.arange(1500), which] + 0.5 * rng.standard_normal(1500)
    start = MixtureOfExpertsRegressor(3, solver="em", n_init=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start.set_params(max_iter=10, tol=0).fit(X, y)
    em, lbfgs = (
        MixtureOfExpertsRegressor(3, solver=solver, init_params=start, max_iter=2000).fit(X, y)
        for solver in ("em", "lbfgs")
    )
    assert lbfgs.converged_
    assert lbfgs.lower_bounds_[-1] > em.lower_bounds_[-1] - 1e-6 * len(X)
    assert lbfgs.n_iter_ < 200


def _slope(model, params, batches):
    coordinates = model.coordinates(params)
    vector = coordinates.free(params)
    stats = batches.map_sum(functools.partial(model.statistics, order=1), params)
    slope = (
        coordinates.slope_in_free(vector, params, model.gradient(params, stats))
        / batches.total_weight
    )
    low, high = coordinates.bounds
    return np.where((vector <= low) | (vector >= high), 0.0, slope)


@EACH
@pytest.mark.parametrize("warm_up", [0, 3])
def test_the_history_never_falls_and_ends_at_the_params_returned(solver, warm_up):
    model, start, batches = make_problem()
    solver = type(solver)(**solver.get_params() | {"warm_up": warm_up})
    result = solver.run(model, start, batches, max_iter=8, tol=1e-9)
    assert len(result.history) == 9 == len(result.curves["objective"])
    assert not result.converged and not result.stopped
    assert (np.diff(result.history) >= 0).all()
    assert result.history == list(np.maximum.accumulate(result.curves["objective"]))
    assert_allclose(result.history[0], objective(model, start, batches), rtol=1e-12)
    assert_allclose(result.objective, objective(model, result.params, batches), rtol=1e-12)
    assert_array_equal(
        result.stats["resp"], batches.map_sum(model.statistics, result.params)["resp"]
    )


def test_passes_of_em_come_first_and_count():
    model, start, batches = make_problem()
    em = EM().run(model, start, batches, max_iter=4, tol=0.0)
    result = LBFGS(warm_up=4).run(model, start, batches, max_iter=6, tol=0.0)
    assert_allclose(result.history[:5], em.history, rtol=1e-13)
    assert result.history[5] > result.history[4]
    assert LBFGS(warm_up=4).resumed().warm_up == 0


def test_a_fit_of_an_optimum_ends_there():
    model, start, batches = make_problem()
    best = LBFGS().run(model, start, batches, max_iter=500, tol=1e-12)
    assert best.converged
    again = LBFGS(warm_up=0).run(model, best.params, batches, max_iter=500, tol=1e-12)
    assert again.converged
    assert_allclose(again.objective, best.objective, rtol=1e-12)


class Cliff(MixtureModel):
    """Falls to minus infinity where a coefficient is large."""

    edge, fallen = 3.0, 0

    def statistics(self, params, *rows, **facts):
        stats = super().statistics(params, *rows, **facts)
        if np.abs(params["gate"]["coef"]).max() > self.edge:
            type(self).fallen += 1
            stats["objective"] = np.nan
        return stats


def test_lbfgs_survives_steps_off_a_cliff(monkeypatch):
    # as with parts that do not know their second derivatives: scaled steps are too good to fall
    monkeypatch.setattr("classic_moe.solvers.lbfgs.scaled", lambda objective, point: objective)
    model, start, batches = make_problem()
    plain = LBFGS().run(model, start, batches, max_iter=500, tol=1e-9)
    cliff = Cliff(model.gate, model.expert)
    cliff.edge = 1.02 * np.abs(plain.params["gate"]["coef"]).max()
    far = map_leaves(np.copy, start)
    far["gate"]["coef"] *= 0.1 * cliff.edge / np.abs(start["gate"]["coef"]).max()
    result = LBFGS(warm_up=0).run(cliff, far, batches, max_iter=500, tol=1e-9)
    assert Cliff.fallen > 0
    assert result.converged
    assert_allclose(result.objective, plain.objective, rtol=1e-6)


def test_lbfgs_at_an_edge_has_not_converged():
    model, start, batches = make_problem()
    cliff = Cliff(model.gate, model.expert)
    cliff.edge = 1.0001 * np.abs(start["gate"]["coef"]).max()  # the slope leads over it
    result = LBFGS(warm_up=0).run(cliff, start, batches, max_iter=100, tol=1e-9)
    assert np.isfinite(result.history).all()
    assert np.abs(_slope(model, result.params, batches)).max() > 1e-3
    assert not result.converged


def test_without_a_prior_a_collapsing_scale_stops_at_its_bound():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 1))
    y = np.where(np.arange(40) < 20, X[:, 0], rng.standard_normal(40))[:, None]
    model = MixtureModel(SoftmaxGate(), LinearExpert(variance_prior=0.0))
    resp = np.where(np.arange(40) < 20, 0.95, 0.05)
    resp = np.column_stack([resp, 1 - resp])
    batches = ArrayBatches(X, y, np.ones(40))
    start = model.init(X, y, resp, np.random.RandomState(0))
    result = LBFGS(warm_up=0).run(model, start, batches, max_iter=2000, tol=1e-7)
    assert np.isfinite(result.objective)
    assert result.params["expert"]["covariance"].min() >= 1e-12 * (1 - 1e-9)


# -- what all have in common ---------------------------------------------------------------------


@EACH
def test_the_callback_stops_the_run(solver):
    model, start, batches = make_problem()
    seen = []

    def callback(iteration, params, value):
        seen.append((iteration, value))
        return iteration == 13

    result = solver.run(model, start, batches, max_iter=50, tol=1e-12, callback=callback)
    assert result.stopped and not result.converged
    assert [iteration for iteration, _ in seen] == list(range(1, 14))
    assert_allclose([value for _, value in seen], result.curves["objective"][1:])


@pytest.mark.parametrize("solver", [LBFGS(), BATCH], ids=["lbfgs", "fixed step"])
def test_an_integer_weight_is_as_many_rows(solver):
    model, start, weighted = make_problem(integers=True)
    _, _, repeated = make_problem(integers=True, copies=True)
    one, many = (
        solver.run(model, start, batches, max_iter=12, tol=1e-9) for batches in (weighted, repeated)
    )
    # sums in another order: rounding, amplified by 12 steps
    assert_allclose(one.history, many.history, rtol=1e-9)


@pytest.mark.parametrize("solver", [LBFGS(), GradientAscent(), BATCH, Adam(batch_size=5000)])
def test_threads_change_no_bit(solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 1))
    y = np.abs(X) + 0.3 * rng.standard_normal((40_000, 1))
    model = MixtureModel(SoftmaxGate(), LinearExpert(), compiled=False)
    resp = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]) * 0.8 + 0.1
    start = model.init(X, y, resp, np.random.RandomState(0))
    results = []
    for threads in (1, 2):
        with ArrayBatches(X, y, np.ones(40_000), threads) as batches:
            solver.set_params(random_state=0, warm_up=1)
            results.append(solver.run(model, start, batches, max_iter=5, tol=0.0))
    for one, two in zip(*(leaves(result.params) for result in results), strict=True):
        assert_array_equal(one, two)
    assert results[0].history == results[1].history


@EACH
def test_the_gauge_does_not_drift(solver):
    model, start, batches = make_problem(expert="softmax", K=3)
    assert start["gate"]["coef"].shape[0] == 3
    result = solver.run(model, start, batches, max_iter=25, tol=0.0)
    assert_allclose(result.params["gate"]["coef"].sum(axis=0), 0.0, atol=1e-12)
    assert_allclose(result.params["expert"]["coef"].sum(axis=1), 0.0, atol=1e-12)


@EACH
@pytest.mark.parametrize("kind", ["diag", "spherical", "tied"])
def test_a_covariance_stays_of_its_type(solver, kind):
    model, _, batches = make_problem(expert="linear, two outputs")
    model = MixtureModel(model.gate, LinearExpert(covariance_type=kind))
    X, y, _, _ = whole(batches)
    right = (X[:, 0] > 0)[:, None]
    resp = np.where(np.hstack([right, ~right]), 0.9, 0.1)
    start = model.init(X, y, resp, np.random.RandomState(0))
    result = solver.run(model, start, batches, max_iter=20, tol=0.0)
    covariance = result.params["expert"]["covariance"]
    assert result.history[-1] > result.history[0]
    if kind != "tied":
        assert_array_equal(covariance[:, 0, 1], 0.0)
    if kind == "spherical":
        assert_array_equal(covariance[:, 0, 0], covariance[:, 1, 1])
    if kind == "tied":
        assert covariance.shape == (1, 2, 2)


@EACH
@pytest.mark.parametrize(
    "part, name",
    [({"expert": Ridge()}, "EstimatorExpert"), ({"gate": LogisticRegression()}, "EstimatorGate")],
)
def test_a_part_without_a_gradient_is_named_at_fit(solver, part, name):
    X, y = data("real", np.random.default_rng(0))
    with pytest.raises(TypeError, match=rf"{type(solver).__name__}.*{name}.*solver='em'"):
        MixtureOfExpertsRegressor(2, solver=solver, **part).fit(X, y)


@pytest.mark.parametrize(
    "solver, message",
    [
        (LBFGS(memory=0), "memory=0 of LBFGS: needs an integer of at least 1"),
        (LBFGS(warm_up=-1), "warm_up=-1 of LBFGS: needs an integer of at least 0"),
        (LBFGS(validation_fraction=1.0), "validation_fraction=1.0 of LBFGS"),
        (Adam(n_iter_no_change=0), "n_iter_no_change=0 of Adam"),
        (Adam(learning_rate=0), "learning_rate=0 of Adam: needs a positive number"),
        (SGD(batch_size=0), "batch_size=0 of SGD"),
        (SGD(momentum=1.0), "momentum=1.0 of SGD"),
        (SGD(schedule="cosine"), "schedule='cosine' of SGD"),
        (SGD(learning_rate="auto"), "learning_rate='auto' of SGD: needs a positive number"),
        (
            GradientAscent(learning_rate="fast"),
            "learning_rate='fast' of GradientAscent: needs 'auto' or a positive number",
        ),
        (
            GradientAscent(momentum="none"),
            "momentum='none' of GradientAscent: needs 'auto' or a number of at least 0 and below 1",
        ),
    ],
)
def test_hyper_parameters_are_checked(solver, message):
    X, y = data("real", np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        MixtureOfExpertsRegressor(2, solver=solver).fit(X, y)


# -- a fixed step --------------------------------------------------------------------------------


def test_a_small_step_climbs_to_the_maximum():
    model, start, batches = make_problem("constant", "gaussian")
    best = LBFGS().run(model, start, batches, max_iter=500, tol=1e-10)
    solver = GradientAscent(learning_rate=0.2, momentum=0.9)
    result = solver.run(model, start, batches, max_iter=5000, tol=1e-9)
    assert result.converged
    assert len(result.history) < 5000
    # twice the tolerance, of the gains still to come, and L-BFGS's own
    assert best.objective - result.objective < 1e-8 * batches.total_weight


@pytest.mark.parametrize("rate", [3.0, 1e3, 1e300])
def test_a_step_too_long_is_told_and_no_worse_than_the_start(rate):
    X, y = data("real", np.random.default_rng(0))
    solver = GradientAscent(learning_rate=rate)
    model = MixtureOfExpertsRegressor(2, solver=solver, n_init=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match=re.escape(f"learning_rate={rate:g}; lower it")):
        model.fit(X, y)
    assert not model.converged_
    assert np.isfinite(model.lower_bounds_).all() and (np.diff(model.lower_bounds_) >= 0).all()
    path = model.learning_curve_["objective"]
    assert path.shape == model.lower_bounds_.shape
    assert path[0] == model.lower_bounds_[0] and path[-1] < model.lower_bounds_[-1]
    assert not np.isnan(path).any()
    assert np.isfinite(model.predict(X)).all()


def test_the_adaptive_schedule_finds_a_step_that_climbs():
    model, start, batches = make_problem()
    best = LBFGS().run(model, start, batches, max_iter=500, tol=1e-10)
    solver = GradientAscent(learning_rate=1.0, momentum=0.9, schedule="adaptive")
    result = solver.run(model, start, batches, max_iter=2000, tol=1e-8)
    assert result.converged
    assert best.objective - result.objective < 1e-6 * batches.total_weight


# -- steps that adapt ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "gate, expert",
    [
        ("softmax", "linear"),
        ("constant", "gaussian"),
        ("gaussian", "linear, two outputs"),
        ("softmax", "poisson"),
        ("softmax", "softmax"),
    ],
)
def test_steps_that_adapt_climb_to_the_maximum(gate, expert):
    model, start, batches = make_problem(gate, expert)
    best = LBFGS().run(model, start, batches, max_iter=2000, tol=1e-10)
    result = GradientAscent().run(model, start, batches, max_iter=2000, tol=1e-7)
    assert result.converged
    # a hundred times the tolerance: what gradients promise holds to first order; 5e-6 seen
    assert best.objective - result.objective < 1e-5 * batches.total_weight


def test_a_number_is_the_step_of_every_iteration():
    model, start, batches = make_problem()
    coordinates = model.coordinates(start)
    vector, expected = coordinates.free(start), []
    for _ in range(5):
        params = coordinates.params(vector)
        stats = batches.map_sum(functools.partial(model.statistics, order=1), params)
        expected.append(stats["objective"] + model.log_prior(params))
        slope = coordinates.slope_in_free(vector, params, model.gradient(params, stats))
        vector = vector + 0.05 * slope / batches.total_weight
    result = GradientAscent(0.05).run(model, start, batches, max_iter=4, tol=0.0)
    assert_allclose(result.curves["objective"], expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_steps_that_adapt_need_no_units(scale):
    """In raw units the gate's slope grows with the square of those of y."""
    X, y = data("real", np.random.default_rng(0))
    options = dict(objective="blended_error", n_init=1, max_iter=1000, random_state=0)
    expert = LinearExpert(variance=scale**2)
    model = AdaptiveLocalExpertsRegressor(2, expert=expert, tol=1e-5 * scale**2, **options)
    model.fit(X, scale * y)
    assert model.score(X, scale * y) > LinearRegression().fit(X, y).score(X, y) + 0.05


def test_steps_that_adapt_go_back_from_a_cliff():
    model, start, batches = make_problem()
    plain = LBFGS().run(model, start, batches, max_iter=500, tol=1e-9)
    cliff = Cliff(model.gate, model.expert)
    cliff.edge = 1.005 * np.abs(plain.params["gate"]["coef"]).max()
    result = GradientAscent().run(cliff, start, batches, max_iter=2000, tol=1e-7)
    assert -np.inf in result.curves["objective"]
    assert result.converged
    assert plain.objective - result.objective < 1e-5 * batches.total_weight  # as above


# -- minibatches ---------------------------------------------------------------------------------


@MINIBATCH
def test_minibatches_come_near_the_maximum_and_are_reproducible(solver):
    model, start, batches = make_problem()
    best = LBFGS().run(model, start, batches, max_iter=500, tol=1e-10)

    def run(seed):
        return solver(random_state=seed, batch_size=40, warm_up=3).run(
            model, start, batches, max_iter=60, tol=1e-7
        )

    one, same, other = run(0), run(0), run(1)
    assert one.history == same.history
    assert one.objective != other.objective
    for result in (one, other):
        assert best.objective - result.objective < 1e-2 * batches.total_weight  # of 0.7


@MINIBATCH
def test_an_estimator_gives_its_random_state_to_the_minibatches(solver):
    X, y = data("real", np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, same, other = (
            MixtureOfExpertsRegressor(
                2,
                solver=solver(batch_size=40, warm_up=0),
                n_init=1,
                max_iter=15,
                random_state=seed,
            ).fit(X, y)
            for seed in (0, 0, 1)
        )
    assert_array_equal(one.lower_bounds_, same.lower_bounds_)
    assert one.lower_bounds_[-1] != other.lower_bounds_[-1]


def test_the_gradients_of_minibatches_average_to_that_of_all_rows():
    model, start, batches = make_problem()
    rng = np.random.RandomState(0)
    whole = batches.map_sum(functools.partial(model.statistics, order=1), start)["objective"]
    parts = [
        share * batch.map_sum(functools.partial(model.statistics, order=1), start)["objective"]
        for share, batch in batches.minibatches(40, rng)
    ]
    assert_allclose(np.mean(parts), whole, rtol=1e-12)


# -- early stopping ------------------------------------------------------------------------------


@EACH
def test_early_stopping_returns_what_did_best_on_the_rows_held_out(solver):
    model, start, batches = make_problem(n=60)
    options = dict(early_stopping=True, validation_fraction=0.3, n_iter_no_change=8, warm_up=0)
    solver = type(solver)(**solver.get_params() | options | {"random_state": 0})
    result = solver.run(model, start, batches, max_iter=400, tol=1e-7)
    assert result.converged and len(result.history) < 401
    held, _ = batches.split(0.3, np.random.RandomState(0))
    validation = result.curves["validation"]
    assert len(validation) == len(result.history) == len(result.curves["objective"])
    score = held.map_sum(model.statistics, result.params)["objective"] / held.total_weight
    assert_allclose(score, max(validation), rtol=1e-12)
    assert_allclose(result.rank, max(validation) * batches.total_weight, rtol=1e-12)
    best = int(np.argmax(validation))
    assert_allclose(result.objective, result.curves["objective"][best], rtol=1e-12)
    assert_allclose(result.objective, objective(model, result.params, batches), rtol=1e-12)


def test_an_estimator_keeps_the_learning_curves():
    X, y = data("real", np.random.default_rng(0))
    solver = Adam(early_stopping=True, validation_fraction=0.2)
    model = MixtureOfExpertsRegressor(2, solver=solver, n_init=2, random_state=0).fit(X, y)
    assert sorted(model.learning_curve_) == ["objective", "validation"]
    for curve in model.learning_curve_.values():
        assert curve.shape == model.lower_bounds_.shape == (model.n_iter_ + 1,)
    # in the caller's units: log-likelihoods a row, comparable with the model's own
    best = model.learning_curve_["validation"].max()
    assert abs(best - model.log_likelihood_ / len(y)) < 0.5
    em = MixtureOfExpertsRegressor(2, solver="em", random_state=0).fit(X, y)
    assert_array_equal(em.learning_curve_["objective"], em.lower_bounds_)


def test_early_stopping_keeps_groups_whole_in_a_fit():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    slope = np.where(rng.random(40) < 0.5, 1.0, -1.0)[groups]
    X = rng.standard_normal((200, 1))
    y = slope * X[:, 0] + 0.1 * rng.standard_normal(200)
    model = MixtureOfExpertsRegressor(
        2, gate="constant", solver=LBFGS(early_stopping=True), n_init=3, random_state=0
    )
    model.fit(X, y, groups=groups)
    found = np.sort([view.coef_[0] for view in model.experts_])
    assert_allclose(found, [-1.0, 1.0], atol=0.1)  # standard errors of 0.01


# -- estimators ----------------------------------------------------------------------------------


def test_aliases_name_the_solvers():
    for alias, kind in {
        "lbfgs": LBFGS,
        "adam": Adam,
        "sgd": SGD,
        "gradient": GradientAscent,
    }.items():
        assert type(coerce("solver", alias)) is kind


def test_lbfgs_serves_classifiers():
    X, y = data("class", np.random.default_rng(0))
    em, model = (
        MixtureOfExpertsClassifier(2, solver=solver, n_init=2, random_state=0).fit(X, y)
        for solver in ("auto", "lbfgs")
    )
    assert model.converged_
    assert_allclose(model.lower_bounds_[-1], em.lower_bounds_[-1], rtol=1e-4)


def test_adam_takes_slopes_whose_squares_are_no_numbers():
    """A column of 1e30 and steps too long for it: rates of exp(500), slopes beyond 1e200."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=24), 1e30 * rng.normal(size=24)])
    y = rng.poisson(3, 24)
    solver = Adam(learning_rate=1e-27, warm_up=0)
    model = MixtureOfExpertsRegressor(
        1, expert="poisson", solver=solver, standardize=False, n_init=1, max_iter=30
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert np.isfinite(model.lower_bounds_).all()


@pytest.mark.parametrize("solver", ["auto", "adam", "sgd", "lbfgs", "gradient"])
def test_columns_too_large_without_standardising_are_refused_by_name(solver):
    X, y = np.ones((24, 2)), np.arange(24.0) % 5
    X[:, 1] = 1e40 * np.arange(24)
    model = MixtureOfExpertsRegressor(2, expert="poisson", solver=solver, standardize=False)
    with pytest.raises(ValueError, match=r"column 1 of X .* about 2e\+41, .* standardize="):
        model.fit(X, y)
