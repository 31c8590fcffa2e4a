"""From starting values to a fit: which starts go on, and which of them is returned."""

import dataclasses
import warnings
from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from classic_moe import (
    ExpertCollapseWarning,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.datasets import load_motorcycle
from classic_moe.experts import GaussianExpert, LinearExpert
from classic_moe.model import fused_climb
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import leaves
from classic_moe.solvers import EM, SGD
from classic_moe.starts import assignments, race
from classic_moe.starts.assignments import mid_distribution

pytestmark = pytest.mark.weak_penalties


@pytest.fixture(scope="module")
def regimes():
    """Three lines; most random starts miss one of them."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(240, 1))
    k = rng.randint(3, size=240)
    y = np.array([3.0, 0.0, -3.0])[k] * X[:, 0] + np.array([2.0, 0.0, 1.0])[k]
    return X, y + 0.2 * rng.standard_normal(240)


# -- the best start --------------------------------------------------------------------------------


def test_the_best_of_the_starts_is_returned(regimes):
    """Each start on its own, then all together: the best of those that go on."""
    X, y = regimes
    rng = np.random.RandomState(1)
    resp = [rng.dirichlet(np.full(5, 0.1), size=len(X)) for _ in range(6)]
    options = dict(gate="constant", random_state=0)
    alone = [MixtureOfExpertsRegressor(5, init_params=r, **options).fit(X, y) for r in resp]
    values = [model.lower_bounds_[-1] for model in alone]
    given = iter(resp)
    together = MixtureOfExpertsRegressor(
        5, init_params=lambda X, y, K, rng: next(given), n_init=6, **options
    ).fit(X, y)
    assert max(values) - min(values) > 1  # the starts matter
    # The starts of a caller are all climbed from to the end.
    assert_allclose(together.lower_bounds_[-1], max(values), atol=1e-4)


def test_a_run_that_goes_on_reports_its_whole_path(regimes):
    """lower_bounds_ starts at the start itself, not where the short run ended."""
    X, y = regimes
    rng = np.random.RandomState(1)
    resp = [rng.dirichlet([1, 1, 1], size=len(X)) for _ in range(2)]
    options = dict(gate="constant", solver="em")
    starts = [
        MixtureOfExpertsRegressor(3, init_params=r, **options).fit(X, y).lower_bounds_[0]
        for r in resp
    ]
    given = iter(resp)
    model = MixtureOfExpertsRegressor(
        3, init_params=lambda X, y, K, rng: next(given), n_init=2, **options
    ).fit(X, y)
    assert np.isclose(model.lower_bounds_[0], starts, rtol=1e-12).any()
    assert model.n_iter_ > EM.short_run
    assert (np.diff(model.lower_bounds_) >= 0).all()


def test_a_collapsed_start_loses_to_one_that_is_not():
    """Without penalties the collapsed one has the higher likelihood."""
    rng = np.random.RandomState(0)
    y = np.concatenate([np.full(4, 0.7), rng.standard_normal(96)])
    X = rng.standard_normal((100, 1))
    collapsed = np.column_stack([y == 0.7, y != 0.7]).astype(float)
    healthy = np.column_stack([y > 0.3, y <= 0.3]) * 0.6 + 0.2
    options = dict(gate="constant", expert=GaussianExpert(variance_prior=0), tol=1e-4)
    with pytest.warns(ExpertCollapseWarning, match=r"y repeats \(4 of 100 values are 0.7\)"):
        alone = MixtureOfExpertsRegressor(2, init_params=collapsed, **options).fit(X, y)
    assert alone.converged_
    for order in ([collapsed, healthy], [healthy, collapsed]):
        given = iter(order)
        model = MixtureOfExpertsRegressor(
            2, init_params=lambda X, y, K, rng, given=given: next(given), n_init=2, **options
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error", ExpertCollapseWarning)
            model.fit(X, y)
        assert min(expert.scale_ for expert in model.experts_) > 0.1
        assert model.log_likelihood_ < alone.log_likelihood_


def test_where_every_start_collapses_the_fit_is_returned_with_a_warning():
    X = np.linspace(0, 1, 20)[:, None]
    y = 3 * X[:, 0]  # no noise at all
    model = MixtureOfExpertsRegressor(
        2, expert=LinearExpert(variance_prior=0), gate="constant", random_state=0
    )
    with pytest.warns(ExpertCollapseWarning):
        model.fit(X, y)
    assert np.isfinite(model.log_likelihood_)
    for leaf in leaves(model.params_):
        assert np.isfinite(leaf).all()


def test_a_deterministic_callable_is_run_once(regimes):
    X, y = regimes
    resp = np.random.RandomState(0).dirichlet([1, 1], size=len(X))
    calls = []

    def start(X, y, n_experts, random_state):
        calls.append(1)
        return resp

    MixtureOfExpertsRegressor(2, init_params=start, n_init=9).fit(X, y)
    assert len(calls) == 2  # the second shows that it says the same


SOLVERS = ["auto", "cem", "sem", "online", "lbfgs", SGD(early_stopping=True), "gradient"]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("broken", ["log_prior", "statistics"])
def test_a_start_without_finite_objective_is_refused(regimes, monkeypatch, solver, broken):
    """Of whatever solver, and whatever it is of the objective that is no number."""
    X, y = regimes
    statistics = MixtureModel.statistics

    def not_a_number(self, *args, **options):
        return statistics(self, *args, **options) | {"objective": np.nan}

    wrong = {"log_prior": lambda self, params: -np.inf, "statistics": not_a_number}[broken]
    monkeypatch.setattr(MixtureModel, broken, wrong)
    monkeypatch.setattr(fused_climb, "lookup", lambda model, batches: None)
    options = dict(solver=solver, random_state=0, verbose=2)
    with pytest.raises(ValueError, match=r"None of 4 starts has a finite objective; look for"):
        MixtureOfExpertsRegressor(2, n_init=4, **options).fit(X, y)
    with pytest.raises(ValueError, match=r"not finite at the starting values"):
        MixtureOfExpertsRegressor(2, n_init=1, **options).fit(X, y)


def test_a_start_that_fails_on_all_rows_gives_way_to_the_next(regimes, monkeypatch):
    """Short runs see a sample of large data; what is no model of all rows is left out."""
    X, y = regimes
    monkeypatch.setattr(race, "SHORT_ROWS", 100)
    runs, run, failing = [], EM.run, 1

    def first_long_runs_fail(self, model, params, batches, **options):
        result = run(self, model, params, batches, **options)
        if batches.n < len(X):
            return result
        runs.append(result)
        failed = len(runs) <= failing
        return dataclasses.replace(result, history=[-np.inf], stats=None) if failed else result

    monkeypatch.setattr(EM, "run", first_long_runs_fail)
    model = MixtureOfExpertsRegressor(3, solver="em", n_init=6, random_state=0, tol=1e-3)
    assert np.isfinite(model.fit(X, y).log_likelihood_) and len(runs) == 2
    failing = 100
    with pytest.raises(ValueError, match=r"None of 6 starts has a finite objective; look for"):
        model.fit(X, y)


# -- large data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_short_runs_look_at_a_sample_of_large_data(regimes, kind, monkeypatch):
    """The fit itself is on all rows, and the same for the same random_state."""
    X, y = regimes
    y = y if kind is MixtureOfExpertsRegressor else y > 0.5
    monkeypatch.setattr(race, "SHORT_ROWS", 100)
    model = kind(2, random_state=3, tol=1e-4).fit(X, y)
    assert_allclose(model.log_likelihood_, model.log_prob(X, y).sum(), rtol=1e-10)
    again = kind(2, random_state=3, tol=1e-4).fit(X, y)
    assert_array_equal(again.lower_bounds_, model.lower_bounds_)
    resp = np.random.RandomState(0).dirichlet([1, 1], size=len(X))
    given = iter([resp, resp[::-1], resp])
    model = kind(2, init_params=lambda X, y, K, rng: next(given), n_init=3, tol=1e-4)
    assert model.fit(X, y).converged_


def test_max_iter_holds_for_short_and_long_runs_together(regimes):
    X, y = regimes
    for max_iter in (1, 5, 10, 11, 14):
        with pytest.warns(ConvergenceWarning, match=rf"max_iter={max_iter}, tol=0"):
            model = MixtureOfExpertsRegressor(
                3, gate="constant", max_iter=max_iter, tol=0, n_init=3, random_state=0
            ).fit(X, y)
        assert model.n_iter_ == max_iter
        assert len(model.lower_bounds_) == max_iter + 1


@pytest.mark.parametrize("n_init", [1, 4])
def test_the_callback_is_told_of_every_run_that_goes_on(regimes, n_init):
    """Also of one that had converged within its short run."""
    X, y = regimes
    seen = []
    model = MixtureOfExpertsRegressor(2, n_init=n_init, tol=1e-2, random_state=0)
    model.fit(X, y, callback=lambda *step: seen.append(step))
    values = [objective for _, _, objective in seen]
    assert np.isclose(values, model.lower_bounds_[-1], rtol=1e-12).any()
    stopped = MixtureOfExpertsRegressor(2, n_init=n_init, tol=1e-2, random_state=0)
    seen.clear()
    stopped.fit(X, y, callback=lambda *step: seen.append(step) or np.True_)
    assert len(seen) == 1


def test_short_runs_on_their_way_to_one_maximum_take_one_place():
    """Of ten starts on the motorcycle data most run to -642.5, two or three to -615.6."""
    X, y = load_motorcycle(return_X_y=True)
    for seed in range(5):
        assert MixtureOfExpertsRegressor(2, random_state=seed).fit(X, y).log_likelihood_ > -616


FLAT = (None,) * 3

# -- starting values -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["quantile", "random", "kmeans"])
@pytest.mark.parametrize("K", [2, 5])
def test_starts_are_probabilities_that_use_every_expert(kind, K):
    rng = np.random.RandomState(0)
    F = rng.standard_normal((80, 3))
    weight = rng.uniform(0.5, 2, size=80)
    starts = assignments.starts(kind, F, 2, weight, (None,) * K, rng)
    for _ in range(6):
        resp = next(starts)
        assert resp.shape == (80, K)
        assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)
        assert (resp >= 0.02 / K * 0.99).all()
        assert (resp.max(axis=0) > 1.5 / K).any()


def test_own_starts_are_smooth_in_the_row():
    """A rounding error in a row cannot move it to another expert."""
    rng = np.random.RandomState(0)
    F = rng.standard_normal((80, 3))
    weight = np.ones(80)
    for kind, shape in (("quantile", FLAT), ("quantile", ((None, None), None)), ("random", FLAT)):
        one = assignments.starts(kind, F, 2, weight, shape, np.random.RandomState(1))
        moved = F + 1e-10 * rng.standard_normal(F.shape)
        other = assignments.starts(kind, moved, 2, weight, shape, np.random.RandomState(1))
        for _ in range(6):
            assert np.abs(next(one) - next(other)).max() < 1e-7


def test_own_starts_draw_as_many_numbers_whatever_the_rows():
    for kind in ("quantile", "random"):
        after = []
        for n in (10, 500):
            rng = np.random.RandomState(1)
            F = np.random.RandomState(0).standard_normal((n, 4))
            starts = assignments.starts(kind, F, 3, np.ones(n), FLAT, rng)
            for _ in range(6):
                next(starts)
            after.append(rng.uniform())
        assert after[0] == after[1]


def bent(n=2000, p=5, seed=0):
    """Rows whose slope changes where the first and second input are equal, and the side."""
    X = np.random.RandomState(seed).standard_normal((n, p))
    side = X[:, 0] > X[:, 1]
    y = np.where(side, 1.0, -1.0) * (X[:, 0] - X[:, 1]) + X[:, 2]
    return np.column_stack([X, y / y.std()]), side


def test_the_halves_of_a_start_part_where_the_slope_changes():
    F, side = bent()
    shape = ((None, None), (None, None))
    first = next(assignments.starts("quantile", F, 5, np.ones(len(F)), shape, None))
    left = first[:, :2].sum(axis=1) > 0.5
    agree = np.mean(left == side)
    # Of 2,000 rows; the direction is known to 1 / sqrt(n), and the border is at the median.
    assert max(agree, 1 - agree) > 0.93


def test_trees_start_with_halves_and_flat_gates_with_slices():
    F, _ = bent()
    weight, deep = np.ones(len(F)), ((None, None), None)
    for shape, order in ((FLAT, ("slices", "halves")), (deep, ("halves", "slices"))):
        own = {
            "slices": assignments._principal_slices(F, 5, weight, shape),
            "halves": assignments._halves(F, 5, weight, shape),
        }
        given = assignments.starts("quantile", F, 5, weight, shape, None)
        for name, resp in zip(order, given, strict=False):
            assert_array_equal(resp, own[name])


@pytest.mark.parametrize("shape", [((None, None), None), (None,) * 5, ((None,) * 3, None)])
def test_every_expert_starts_with_an_equal_share_of_the_weight(shape):
    F, _ = bent()
    weight = np.random.RandomState(1).uniform(0, 2, len(F))
    resp = assignments._halves(F, 5, weight, shape)
    share = weight @ resp / weight.sum()
    assert_allclose(share, 1 / resp.shape[1], rtol=0.2)  # soft borders are wider for wider slices


def test_where_nothing_bends_the_halves_part_along_the_principal_axis():
    x = np.random.RandomState(0).standard_normal((200, 2)) * [1.0, 3.0]
    F = np.column_stack([x, x @ [0.5, 0.5]])
    axis = assignments._principal_hessian(F, 2, np.ones(200))
    assert_allclose(axis, assignments._principal_axis(F, np.ones(200)), rtol=1e-12)


@pytest.mark.parametrize("shape", [FLAT, ((None, None), None)])
def test_inputs_that_are_constant_have_starts_too(shape):
    F = np.random.RandomState(0).standard_normal((50, 3)) * [0.0, 0.0, 1.0]
    for resp in islice(assignments.starts("quantile", F, 2, np.ones(50), shape, None), 2):
        assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)


def test_along_a_single_input_random_starts_are_not_all_the_same():
    F = np.random.RandomState(0).standard_normal((50, 2))
    for shape in (FLAT, ((None, None), None)):
        first = [
            next(assignments.starts("random", F, 1, np.ones(50), shape, np.random.RandomState(s)))
            for s in (0, 1)
        ]
        assert np.abs(first[0] - first[1]).max() > 0.1


def test_tied_rows_share_one_place_in_the_distribution():
    v = np.array([2.0, 1.0, 2.0, 3.0, 2.0 + 1e-12])
    u = mid_distribution(v, np.array([1.0, 2.0, 1.0, 1.0, 1.0]))
    assert_allclose(u, np.array([3.5, 1.0, 3.5, 5.5, 3.5]) / 6, rtol=1e-12)
    twice = mid_distribution(np.repeat([1.0, 3.0], [2, 1]), np.ones(3))
    once = mid_distribution(np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    assert_allclose(twice[[0, 2]], once, rtol=1e-12)
