"""A fit is prepared, raced and reported: one place writes to the estimator, and only at the end."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.estimators._prepare import prepare
from classic_moe.parts import registry
from classic_moe.solvers import Adam

QUICK = dict(n_init=1, random_state=0)
ESTIMATORS = [
    MixtureOfExpertsRegressor(2, **QUICK),
    MixtureOfExpertsRegressor(2, solver=Adam(), gate_features=["a"], **QUICK),
    MixtureOfExpertsClassifier(2, **QUICK),
    MixtureOfExpertsClassifier(2, expert="linear", **QUICK),
    HierarchicalMixtureOfExpertsClassifier(2, 2, **QUICK),
]


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.standard_normal((80, 2)), columns=["a", "b"])
    return X, np.abs(X["a"].to_numpy()) + 0.1 * rng.standard_normal(80)


def target_for(estimator, y):
    return y if hasattr(estimator, "predict_dist") else np.where(y > 0.6, "high", "low")


# -- nothing is written before the end -----------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_preparing_a_fit_writes_nothing_to_the_estimator(estimator, table):
    X, y = table
    before = vars(estimator).copy()
    problem = prepare(estimator, X, target_for(estimator, y), np.arange(80.0))
    assert vars(estimator) == before
    np.testing.assert_array_equal(problem.given.rows, np.arange(1, 80))  # weight 0 is no row


def test_neither_the_problem_nor_its_model_can_be_changed(table):
    problem = prepare(MixtureOfExpertsRegressor(2), *table)
    for frozen, name in ((problem, "model"), (problem.model, "codes"), (problem.units, "y_volume")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, name, None)


def test_a_solver_given_is_left_without_our_random_numbers(table):
    solver = Adam()
    estimator = MixtureOfExpertsRegressor(2, solver=solver, **QUICK)
    problem = prepare(estimator, *table)
    assert solver.random_state is None and isinstance(problem.solver.random_state, int)


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_a_fit_that_is_broken_off_leaves_the_last_one(table, raised):
    X, y = table

    def stop(iteration, params, objective):
        raise raised("enough")

    new, fitted = clone(ESTIMATORS[0]), clone(ESTIMATORS[0]).fit(X.to_numpy(), y)
    for estimator in (new, fitted):
        before = vars(estimator).copy()
        with pytest.raises(raised, match="enough"):
            estimator.fit(X, y, callback=stop)
        assert vars(estimator) == before


def test_a_warning_that_is_an_error_leaves_no_fit(table):
    estimator = MixtureOfExpertsRegressor(2, max_iter=1, **QUICK)
    with pytest.raises(ConvergenceWarning), warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(*table)
    assert set(vars(estimator)) == set(estimator.get_params(deep=False))


def test_a_fit_shows_nothing_of_the_last_one(table):
    X, y = table
    estimator = AdaptiveLocalExpertsRegressor(2, max_iter=3, **QUICK)
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X, y)
    assert list(estimator.feature_names_in_) == ["a", "b"] and estimator.log_likelihood_ < 0
    with pytest.warns(ConvergenceWarning):
        estimator.set_params(objective="expected_error").fit(X.to_numpy(), y)
    assert not {"feature_names_in_", "log_likelihood_"} & set(vars(estimator))


# -- what a fit says -----------------------------------------------------------------------------


def unfinished(table, call):
    """The warnings of a fit that is cut short."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*table)
    return caught


@pytest.mark.parametrize(
    "call",
    [
        MixtureOfExpertsRegressor(2, max_iter=1, **QUICK).fit,
        MetaPiRegressor([LinearRegression(), Ridge(10.0)], max_iter=1).fit,
        lambda X, y: MixtureOfExpertsRegressor(3, **QUICK).partial_fit(X[:9], y[:9]),
    ],
    ids=["fit", "Meta-Pi", "partial_fit"],
)
def test_a_warning_points_at_the_line_that_called_the_package(table, call):
    caught = unfinished(table, call)
    assert caught and all(warning.filename == __file__ for warning in caught)


def test_aliases_are_looked_up_once_a_fit(table, monkeypatch):
    """Once for each part, and once for each time scikit-learn asks for the estimator's tags."""
    looked_up = []

    class Counting(dict):
        def __getitem__(self, name):
            looked_up.append(name)
            return super().__getitem__(name)

    monkeypatch.setattr(registry, "KINDS", Counting(registry.KINDS))
    model = MixtureOfExpertsRegressor(2, **QUICK).fit(*table)
    fits = len(looked_up)
    assert {"expert", "gate", "solver"} <= set(looked_up) and fits <= 6
    model.gate_proba(table[0])
    assert len(looked_up) - fits <= 2  # tags


@pytest.mark.parametrize(
    "estimator, experts, gate",
    [
        (MixtureOfExpertsRegressor(2, **QUICK), "2 x LinearExpert", "SoftmaxGate"),
        (
            MixtureOfExpertsRegressor(3, expert=["linear", "linear", Ridge()], **QUICK),
            "2 x LinearExpert + 1 x Ridge",
            "SoftmaxGate",
        ),
        (MetaPiRegressor([("a", Ridge()), ("b", Ridge())]), "2 x Ridge", "SoftmaxGate"),
    ],
)
def test_a_fit_describes_its_parts(table, estimator, experts, gate):
    about = estimator.fit(*table).describe()
    assert (about.experts, about.gate, about.ignoring) == (experts, gate, [])
    named = ["a", "b"] if isinstance(estimator, MetaPiRegressor) else None
    assert about.expert_names == (named or [f"expert {k}" for k in range(estimator.n_experts_)])
    assert about.means_only is isinstance(estimator, MetaPiRegressor)
    assert f"{about.experts}, {about.gate}" in estimator.summary().heading


def test_a_description_names_the_offset_and_parts_that_ignore_x(table):
    X, y = table
    counts = np.round(np.exp(y))
    options = dict(expert="poisson", gate="constant", offset_feature="b", **QUICK)
    about = MixtureOfExpertsRegressor(2, **options).fit(X, counts).describe()
    assert about.offset == "b" and about.ignoring == ["ConstantGate"]
