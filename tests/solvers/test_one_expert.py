"""One expert, and data with nothing left to learn: every solver ends in order."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from classic_moe import AdaptiveLocalExpertsClassifier, AdaptiveLocalExpertsRegressor
from classic_moe.solvers import ALIASES, LBFGS, SGD, Adam, GradientAscent

pytestmark = pytest.mark.weak_penalties

SOLVERS = {name: name for name in ALIASES} | {
    "fixed step": GradientAscent(learning_rate=0.1),
    "fixed step, adaptive": GradientAscent(learning_rate=0.1, schedule="adaptive"),
    "fixed step, far too long": GradientAscent(learning_rate=1e3),
    "fixed step, momentum": GradientAscent(learning_rate=0.05, momentum=0.9),
    "one batch": SGD(batch_size=1000),
    "standing still": SGD(warm_up=0, learning_rate=1e-300, schedule="constant"),
    "held out": LBFGS(early_stopping=True),
    "adam held out": Adam(early_stopping=True, warm_up=0),
}
LIKELIHOOD = ("auto", "em", "cem", "sem", "truncated", "online", "newton")
"""Solvers that climb a likelihood."""
OBJECTIVES = ("likelihood", "expected_error", "blended_error")
OPTIONS = {
    "as it is": dict(max_iter=30),
    "one iteration": dict(max_iter=1, n_init=1),
    "no tolerance": dict(tol=0.0, n_init=1, max_iter=15),
}


def rows(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 2))
    y = X @ [2.0, -1.0] + 1
    if kind == "noise":
        y = y + rng.standard_normal(30)
    elif kind == "constant y":
        y = np.full(30, 3.0)
    elif kind == "constant x":
        X, y = np.ones((30, 2)), rng.standard_normal(30)
    elif kind == "one row":
        X, y = X[:1], y[:1]
    elif kind == "a row an expert":
        X, y = X[:2], y[:2]
    elif kind == "rows repeated":
        X, y = np.repeat(X[:3], 10, axis=0), np.repeat(y[:3], 10)
    return X, y


KINDS = "noise", "exact", "constant y", "constant x", "one row", "a row an expert", "rows repeated"


def ends_in_order(solver, objective, kind, K, options):
    """Fit, and look whether all numbers are some."""
    X, y = rows(kind)
    if solver in LIKELIHOOD and objective != "likelihood":
        return  # they climb a likelihood
    if "held out" in solver and kind == "one row":
        return  # there is nothing to hold out, which `batches.split` says
    model = AdaptiveLocalExpertsRegressor(
        min(K, len(X)), solver=SOLVERS[solver], objective=objective, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(**options).fit(X, y)
    assert np.isfinite(model.lower_bounds_).all()
    if "held out" not in solver:  # which keeps what is best of other rows
        assert (np.diff(model.lower_bounds_) >= -1e-9).all()  # rounding near 0
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_ends_with_numbers(solver, kind):
    ends_in_order(solver, "likelihood", kind, 1, dict(tol=0.0, n_init=1, max_iter=8))


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_whatever_the_objective_and_the_options(solver, objective, options):
    for kind in KINDS:
        for K in (1, 2):
            ends_in_order(solver, objective, kind, K, options)


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_expert_for_classes(solver):
    X, y = rows("noise")
    for labels in ((y > 1).astype(int), np.arange(30) % 2):
        model = AdaptiveLocalExpertsClassifier(1, solver=SOLVERS[solver], random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(max_iter=20).fit(X, labels)
        assert np.isfinite(model.predict_proba(X)).all()
