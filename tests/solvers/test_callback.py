"""The callback: True ends a fit, nothing else does, and whatever it does the fit stays right."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import MLPExpert
from classic_moe.parts.params import leaves
from classic_moe.solvers import ALIASES, LBFGS, SGD, GradientAscent

SOLVERS = {name: name for name in ALIASES} | {
    "fixed step": GradientAscent(learning_rate=0.05),
    "held out": SGD(early_stopping=True),
    "lbfgs held out": LBFGS(early_stopping=True, warm_up=2),
}
KINDS = {
    **{name: MixtureOfExpertsRegressor(2, solver=solver) for name, solver in SOLVERS.items()},
    "one expert": MixtureOfExpertsRegressor(1),
    "networks": MixtureOfExpertsRegressor(2, expert=MLPExpert((2,), max_iter=2)),
    "classes": MixtureOfExpertsClassifier(2),
    "tree": HierarchicalMixtureOfExpertsRegressor(),
    "1991": AdaptiveLocalExpertsRegressor(2, objective="blended_error"),
    "Meta-Pi": MetaPiRegressor([MixtureOfExpertsRegressor(1), MixtureOfExpertsRegressor(1)]),
}
pytestmark = [
    pytest.mark.weak_penalties,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 1))
    return X, np.abs(X[:, 0]) + 0.2 * rng.standard_normal(60)


@pytest.fixture(params=KINDS)
def model(request):
    return (
        KINDS[request.param]
        .__sklearn_clone__()
        .set_params(n_init=1, max_iter=8, tol=0.0, random_state=0)
    )


def targets(model, y):
    return (y > np.median(y)).astype(int) if hasattr(model, "predict_proba") else y


def test_only_true_ends_a_fit(model, rows):
    X, y = rows[0], targets(model, rows[1])
    for answer, ends in [(True, True), (np.True_, True), (1, False), ("stop", False), (0.0, False)]:
        told = []

        def callback(iteration, params, objective, told=told, answer=answer):
            told.append(iteration)
            return answer

        model.fit(X, y, callback=callback)
        assert (len(told) == 1) == ends, repr(answer)
        assert told == sorted(set(told))


def test_what_it_does_to_the_parameters_does_nothing_to_the_fit(model, rows):
    def destroy(iteration, params, objective):
        for leaf in leaves(params):
            leaf[...] = None if leaf.dtype == object else -7
        params.clear()

    X, y = rows[0], targets(model, rows[1])
    model.fit(X, y)
    expected, bounds = leaves(model.params_), model.lower_bounds_
    model.fit(X, y, callback=destroy)
    assert_array_equal(model.lower_bounds_, bounds)
    for one, other in zip(leaves(model.params_), expected, strict=True):
        if one.dtype != object:
            assert_array_equal(one, other)


@pytest.mark.parametrize("error", [ZeroDivisionError, StopIteration, KeyboardInterrupt])
def test_an_error_leaves_the_estimator_as_it_was(model, rows, error):
    def fail(iteration, params, objective):
        raise error("of the caller")

    X, y = rows[0], targets(model, rows[1])
    with pytest.raises(error, match="of the caller"):
        model.fit(X, y, callback=fail)
    assert vars(model).keys() == model.get_params(deep=False).keys()
    before = vars(model.fit(X, y)).copy()
    with pytest.raises(error, match="of the caller"):
        model.fit(X, y, callback=fail)
    assert vars(model) == before


def test_what_is_no_function_is_refused_in_a_sentence():
    with pytest.raises(TypeError, match=r"callback=3: needs a function"):
        MixtureOfExpertsRegressor(1).fit(np.eye(4), np.arange(4.0), callback=3)
