"""Newton's method on the observed information, by itself and as the finish of "auto"."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import GaussianGate, TreeGate
from classic_moe.solvers import AcceleratedEM, EMNewton, Newton, newton
from classic_moe.solvers.loop import evaluate

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
import drawn_problems

pytestmark = pytest.mark.weak_penalties

SHARED_DIGITS = 1e-9
"""How far apart, relative to the objective, two climbs to the same maximum end: L-BFGS stops short
of the digits that Newton knows."""


def regimes(n=300, p=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    right = X[:, 0] + 0.5 * rng.standard_normal(n) > 0
    y = np.where(right, X @ np.full(p, 2.0), 1 - X[:, 0]) + 0.4 * rng.standard_normal(n)
    return X, y


def target(kind, n=300):
    X, y = regimes(n)
    rng = np.random.default_rng(1)
    drawn = {
        "real": lambda: y,
        "two": lambda: np.column_stack([y, X[:, 1] - y + rng.standard_normal(n)]),
        "count": lambda: rng.poisson(np.exp(np.clip(0.5 * y, -2, 2))),
        "positive": lambda: rng.gamma(3.0, np.exp(np.clip(0.5 * y, -2, 2))),
        "class": lambda: np.digitize(y + rng.standard_normal(n), [-0.5, 1.0]),
    }
    return X, drawn[kind]()


def fit(solver, X, y, kind="real", **options):
    make = MixtureOfExpertsClassifier if kind == "class" else MixtureOfExpertsRegressor
    options = dict(n_init=1, random_state=0, max_iter=2000, tol=1e-9) | options
    return make(2, solver=solver, **options).fit(X, y)


def left_slope(model, X, y):
    """The largest slope at the end of a fit, a unit of weight, in free coordinates."""
    seen = {}

    class Spy(EMNewton):
        def run(self, model, params, batches, **options):
            seen.update(model=model, batches=batches)
            return AcceleratedEM().run(model, params, batches, **options)

    options = model.get_params(deep=False) | dict(solver=Spy(), max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        type(model)(**options).fit(X, y)
    inside, batches, params = seen["model"], seen["batches"], model.params_
    point = evaluate(inside, batches, params)
    coordinates = inside.coordinates(params)
    gradient = inside.gradient(params, point.stats)
    slope = coordinates.slope_in_free(coordinates.free(params), params, gradient)
    return float(np.abs(slope).max() / batches.total_weight)


PAIRS = [
    ("softmax", "linear", "real"),
    ("constant", "student_t", "real"),
    ("softmax", LinearExpert(covariance_type="tied"), "two"),
    (GaussianGate("diag"), "linear", "real"),
    (TreeGate(depth=1), "poisson", "count"),
    ("softmax", "gamma", "positive"),
    ("constant", "negative_binomial", "count"),
    ("softmax", "softmax", "class"),
]


@pytest.mark.filterwarnings("ignore:.* did not converge in 1 iterations")  # no step from there
@pytest.mark.parametrize("gate, expert, kind", PAIRS, ids=str)
def test_the_maximum_is_that_of_other_solvers(gate, expert, kind):
    """L-BFGS, started at Newton's end, finds nothing to gain; the default ends as high."""
    X, y = target(kind)
    model = fit("newton", X, y, kind, gate=gate, expert=expert)
    assert model.converged_
    size = max(1.0, abs(model.lower_bounds_[-1]))
    options = dict(gate=gate, expert=expert, init_params=model, tol=1e-12)
    others = [fit(solver, X, y, kind, **options) for solver in ("lbfgs", "auto")]
    for other in others:
        assert_allclose(other.lower_bounds_[-1], model.lower_bounds_[-1], atol=SHARED_DIGITS * size)


def test_a_fit_that_converged_has_no_slope_left():
    X, y = regimes()
    plain = fit(AcceleratedEM(), X, y, tol=1e-7)
    assert left_slope(plain, X, y) > newton.GRADIENT
    for solver in ("newton", "auto"):
        model = fit(solver, X, y, tol=1e-7)
        assert model.converged_
        assert left_slope(model, X, y) <= newton.GRADIENT
        assert model.lower_bounds_[-1] >= plain.lower_bounds_[-1]


def test_digits_double_with_every_step(monkeypatch):
    """What is left falls at least as its own power of 1.5 near the end, once A is kept for none."""
    monkeypatch.setattr(newton, "CHORD", 0.0)
    X, y = regimes()
    bounds = fit("newton", X, y, tol=1e-12).lower_bounds_
    left = bounds[-1] - bounds
    near = left[(left < 1.0) & (left > 1e-13 * abs(bounds[-1]))]
    assert len(near) >= 2
    assert (near[1:] <= near[:-1] ** 1.5).all()
    assert len(bounds) <= 10 + 8  # ten steps of EM come first
    assert len(fit("em", X, y, tol=1e-12).lower_bounds_) > len(bounds)


def saddle():
    """A binary mixture of three experts in which EM comes to rest where a direction leads up."""
    r = np.random.default_rng(29)
    n, d, K = int(r.integers(60, 400)), int(r.integers(1, 5)), int(r.integers(2, 5))
    X = r.normal(size=(n, d)) * r.uniform(0.1, 10, d)
    Z = (X - X.mean(0)) / X.std(0)
    scores = Z @ r.normal(size=(d, K)) * r.uniform(0.5, 4)
    expert = (scores + r.gumbel(size=scores.shape)).argmax(1)
    eta = (Z @ r.normal(size=(d, K)) + r.normal(size=K))[np.arange(n), expert]
    return X, (r.random(n) < 1 / (1 + np.exp(-2 * eta))).astype(int), K


def test_no_fit_ends_at_a_saddle():
    X, y, K = saddle()
    options = dict(random_state=0, n_init=5)
    plain = MixtureOfExpertsClassifier(K, solver=AcceleratedEM(), **options).fit(X, y)
    model = MixtureOfExpertsClassifier(K, **options).fit(X, y)
    assert plain.converged_
    assert model.converged_
    assert model.lower_bounds_[-1] > plain.lower_bounds_[-1] + 100 * model.tol * len(X)


def test_experts_that_are_equal_come_apart():
    """Equal experts and an indifferent gate are a saddle with no slope at all: EM stays there."""
    X, y = regimes()
    even = np.full((len(X), 2), 0.5)
    stuck = fit(AcceleratedEM(), X, y, init_params=even)
    model = fit("auto", X, y, init_params=even)
    assert np.ptp(stuck.predict_experts(X), axis=1).max() < 1e-6
    assert model.converged_
    assert model.lower_bounds_[-1] > stuck.lower_bounds_[-1] + 10


def applicable(seeds, most):
    """Random problems that Newton takes: (problem, estimator)."""
    found = 0
    for seed in seeds:
        problem = drawn_problems.draw(seed)
        spec = problem.spec
        boxes = ("mlp", "ridge", "logistic regression", "decision", "boosting")
        black = any(box in spec["expert"] + spec["gate"] for box in boxes)
        odd = black or "laplace" in spec["expert"] or spec["p"] > 6
        odd = odd or spec["kind"] == "meta_pi" or spec["objective"] != "likelihood"
        if odd or "groups" in problem.rows or spec["n"] > 200 or spec["assignment"] != "soft":
            continue
        yield seed, problem
        found += 1
        if found == most:
            return


@pytest.mark.slow
def test_the_objective_never_falls_in_random_problems():
    for seed, problem in applicable(range(200), 24):
        for solver in ("newton", "auto"):
            options = dict(solver=solver, n_init=1, max_iter=60, init_params="quantile")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = problem.estimator.set_params(**options).fit(
                    problem.X, problem.y, **problem.rows
                )
            assert (np.diff(model.lower_bounds_) >= 0).all(), (seed, solver)
            assert np.isfinite(model.lower_bounds_).all(), (seed, solver)


def test_steps_that_fail_leave_the_climb_to_em(monkeypatch):
    """An information with the wrong sign of the slope's steps: every trial falls, EM goes on."""
    step = newton.LocalModel.step

    def wrong_way(self, radius):
        way, gain, length = step(self, radius)
        return -way, gain, length

    X, y = regimes()
    expected = fit(AcceleratedEM(), X, y)
    monkeypatch.setattr(newton.LocalModel, "step", wrong_way)
    for solver in ("newton", "auto"):
        model = fit(solver, X, y)
        assert model.converged_
        assert (np.diff(model.lower_bounds_) >= 0).all()
        assert_allclose(model.lower_bounds_[-1], expected.lower_bounds_[-1], atol=1e-6)


def test_after_six_falls_em_takes_over_and_newton_comes_back(monkeypatch):
    """Each of the six trials is made within a quarter of the radius of the last."""
    radii = []
    step = newton.LocalModel.step

    def wrong_at_first(self, radius):
        radii.append(radius)
        way, gain, length = step(self, radius)
        return (
            (-way, max(gain, 1.0), length) if len(radii) <= newton.TRIALS else (way, gain, length)
        )

    monkeypatch.setattr(newton.LocalModel, "step", wrong_at_first)
    X, y = regimes()
    model = fit("newton", X, y, tol=1e-7)
    trials = np.array(radii[: newton.TRIALS])
    assert (trials[1:] <= 0.26 * trials[:-1]).all()
    assert model.converged_
    assert left_slope(model, X, y) <= newton.GRADIENT


def test_a_parameter_at_its_bound_is_held():
    """An exact expert's variance is at its least, to which no slope of it matters."""
    X, y = regimes()
    y = np.where(X[:, 0] > 0, X @ [2.0, 1.0], y)
    for solver in ("newton", "auto"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fit(solver, X, y, expert=LinearExpert(variance_prior=0.0), max_iter=200)
        assert (np.diff(model.lower_bounds_) >= 0).all()
        assert np.isfinite(model.predict(X)).all()


REFUSED = {
    "a kink": (dict(expert="laplace"), {}, "LaplaceExpert, has no second derivatives"),
    "a network": (dict(expert="mlp"), {}, "has none"),
    "a fitted gate": (dict(gate=LogisticRegression()), {}, "has none"),
}


@pytest.mark.parametrize("options, keywords, words", REFUSED.values(), ids=REFUSED)
def test_what_has_no_information_is_refused_in_one_sentence(options, keywords, words):
    X, y = regimes()
    if keywords:
        options = options | dict(gate="constant")
    model = MixtureOfExpertsRegressor(2, solver="newton", random_state=0, **options)
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        model.fit(X, y, **keywords)
    assert str(caught.value).count(".") <= 2
    assert not hasattr(model, "params_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert MixtureOfExpertsRegressor(2, random_state=0, max_iter=15, n_init=1, **options).fit(
            X, y, **keywords
        )


def test_too_many_coefficients_are_refused(monkeypatch):
    monkeypatch.setattr(newton, "MOST_COEFFICIENTS", 13)
    X, y = regimes()
    with pytest.raises(
        ValueError, match="13 coefficients of 150 predictors at most, and this model has 14 of 6"
    ):
        fit("newton", X, y)
    same = fit("auto", X, y), fit(AcceleratedEM(), X, y)
    assert np.array_equal(*(model.lower_bounds_ for model in same))


def test_newton_is_not_asked_where_a_look_would_cost_too_much(monkeypatch):
    monkeypatch.setattr(newton, "MOST_COMPILED", 10.0)
    monkeypatch.setattr(newton, "_has_long_tail", lambda em, record: False)
    X, y = regimes()
    same = fit("auto", X, y, tol=1e-6), fit(AcceleratedEM(), X, y, tol=1e-6)
    assert np.array_equal(*(model.lower_bounds_ for model in same))


def test_compiled_informations_are_asked_of_more_rows_than_others(monkeypatch):
    """An end that EM leaves with a slope is looked at where the look costs one pass."""
    monkeypatch.setattr(newton, "MOST_WORK", 10.0)
    X, y = regimes(700)
    model = fit("auto", X, y, tol=1e-6)
    assert left_slope(model, X, y) < 1e-8 < left_slope(fit(AcceleratedEM(), X, y, tol=1e-6), X, y)


def test_wrong_parameters_are_refused():
    X, y = regimes(40)
    for value in (-1, 2.5, "ten"):
        with pytest.raises((ValueError, TypeError), match="warm_up"):
            fit(Newton(warm_up=value), X, y)
