"""Sparse upcycling: experts that begin as copies of one fitted model."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.tree import DecisionTreeRegressor

from classic_moe import (
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_robot_arm, make_voronoi_pieces
from classic_moe.estimators._prepare import prepare
from classic_moe.experts import LinearExpert, MLPExpert, ReducedRankSoftmaxExpert, SoftmaxExpert
from classic_moe.gates import TreeGate
from classic_moe.routing import TopKRouter
from classic_moe.solvers import Adam

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::classic_moe.exceptions.SeparationWarning"),
]
X, Y = make_robot_arm(400, random_state=0)[:2]
X = 3 + 2 * X
Y = 100 + 30 * Y
LABEL = np.array(["low", "mid", "high"])[np.digitize(Y[:, 0], np.quantile(Y[:, 0], [0.3, 0.6]))]
TWO = LABEL == "low"
NETWORK = MLPExpert((5,))
STILL = dict(solver=Adam(learning_rate=1e-300), max_iter=1)
"""A fit that ends where it starts: steps of 1e-300 change no weight."""


def blend(start, kind=SparseMixtureOfExpertsRegressor, **options):
    options = dict(combine="blend", expert=NETWORK, random_state=0) | options
    return kind(init_params=start, **options)


def classes(start, **options):
    return blend(start, SparseMixtureOfExpertsClassifier, **options)


def sk_network(kind=MLPRegressor, hidden=(5,), **options):
    options = dict(activation="tanh", max_iter=20, random_state=0) | options
    return kind(hidden_layer_sizes=hidden, **options)


@pytest.fixture(scope="module")
def dense():
    model = blend("quantile", n_experts=1, max_iter=10)
    return model.fit(X, Y)


# -- blends: the start is the dense model ------------------------------------------------------


ROUTERS = ["top_k", "random", "sampled", "shazeer", "gshard", "glam", "st_moe", "nllb", "mixtral"]
ROUTERS += ["hash", "dbrx"]


@pytest.mark.parametrize("router", ROUTERS)
def test_copies_predict_at_the_start_as_the_dense_model_does(dense, router):
    key = dict(hash_features=[0]) if router == "hash" else {}
    keyed = np.column_stack([np.arange(400) % 7, X[:, 1:]]) if key else X
    start = clone(dense).fit(keyed, Y) if key else dense
    model = blend(start, router=router, **key, **STILL).fit(keyed, Y)
    assert model.n_experts_ > 1
    # sums of a few products of numbers of size 1, in units of a spread of 30 about 100
    np.testing.assert_allclose(model.predict(keyed), start.predict(keyed), rtol=1e-12)


@pytest.mark.parametrize("options", [dict(n_shared=2), dict(router="nllb", n_shared=3), dict(k=3)])
def test_shared_experts_leave_the_start_as_it_is(dense, options):
    model = blend(dense, n_experts=4, **options, **STILL).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), dense.predict(X), rtol=1e-12)


STARTS = {
    "mixture of one network": lambda: MixtureOfExpertsRegressor(1, expert=NETWORK, random_state=0),
    "network": lambda: sk_network(),
    "relu": lambda: sk_network(hidden=(4, 3), activation="relu"),
    "line": LinearRegression,
    "ridge without intercept": lambda: Ridge(fit_intercept=False),
    "mixture of one line": lambda: MixtureOfExpertsRegressor(1),
}


@pytest.mark.parametrize("one", [False, True], ids=["four columns", "one column"])
@pytest.mark.parametrize("name", STARTS)
def test_any_one_network_or_line_is_a_start(name, one):
    y = Y[:, 0] if one else Y
    start = STARTS[name]().fit(X, y)
    expert = LinearExpert() if "network" not in name else NETWORK
    expert = MLPExpert((4, 3), "relu") if name == "relu" else expert
    model = blend(FrozenEstimator(start), expert=expert, n_experts=4, **STILL).fit(X[:200], y[:200])
    np.testing.assert_allclose(model.predict(X), start.predict(X), rtol=1e-10)  # MLPs of float64


@pytest.mark.parametrize("y", [LABEL, TWO], ids=["three classes", "two"])
@pytest.mark.parametrize(
    "start, expert",
    [
        (LogisticRegression(max_iter=50), "softmax"),
        (sk_network(MLPClassifier), NETWORK),
        (MixtureOfExpertsClassifier(1, expert=SoftmaxExpert(0.1)), "softmax"),
        (MixtureOfExpertsClassifier(1, expert=NETWORK, random_state=0), NETWORK),
        (classes("quantile", n_experts=1, max_iter=5), NETWORK),
    ],
    ids=["logistic", "network", "softmax", "one network", "blend"],
)
def test_a_classifier_s_probabilities_are_the_start(start, expert, y):
    start = clone(start).fit(X, y)
    model = classes(FrozenEstimator(start), expert=expert, n_experts=4, **STILL).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), start.predict_proba(X), atol=1e-12)


def test_parts_of_the_columns_are_those_of_the_start():
    options = dict(expert_features=[2, 4, 5], n_experts=1, max_iter=3)
    start = blend("quantile", **options).fit(X, Y)
    options |= dict(n_experts=3, gate_features=[0, 1]) | STILL
    model = blend(start, **options).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), start.predict(X), rtol=1e-12)
    with pytest.raises(ValueError, match=r"sees the columns \[2, 4, 5\], and expert_features are"):
        blend(start, **options | dict(expert_features=[2, 4])).fit(X, Y)


def test_copies_go_apart_and_overtake_both_the_network_and_a_fresh_start():
    """After 20 epochs .067, after 40 + 20 of the network .131, from random weights .104."""
    X, y = make_robot_arm(6000, random_state=0)[:2]
    options = dict(expert=MLPExpert((12,)), solver=Adam(learning_rate=0.01, batch_size=100))

    def error(start, n_experts, epochs):
        model = blend(start, n_experts=n_experts, max_iter=epochs, **options)
        left = y[4000:] - model.fit(X[:4000], y[:4000]).predict(X[4000:])
        return model, np.sum(left**2) / np.sum((y[4000:] - y[4000:].mean(axis=0)) ** 2)

    one, _ = error("quantile", 1, 40)
    many, found = error(one, 8, 20)
    assert found <= 0.08
    assert found <= 0.8 * error("quantile", 8, 20)[1]
    assert found <= 0.6 * error(one, 1, 20)[1]
    assert many.n_active_experts_ >= 6


def test_a_clone_keeps_the_start(dense):
    model = blend(dense, n_experts=3, max_iter=2)
    twice = [each.fit(X, Y).predict(X) for each in (model, clone(model))]
    np.testing.assert_array_equal(*twice)
    several = blend(dense, n_experts=3, max_iter=2, n_init=2).fit(X, Y)
    assert several.log_likelihood_ >= model.log_likelihood_


# -- mixtures ------------------------------------------------------------------------------------


def started(model, X, y):
    """The mean and the log density at the start, by the mixture's own functions."""
    problem = prepare(model, X, y)
    params = model._starting_points(problem)
    inner = problem.schema.x.apply(X)
    mean = np.einsum(
        "nk,nkq->nq",
        np.exp(problem.model.log_gate(params, inner)),
        problem.model.expert_mean(params, inner),
    )
    return mean * problem.schema.y.unit + problem.schema.y.origin, params


MIXTURES = {
    "lines": dict(expert=LinearExpert(1e-3)),
    "networks": dict(expert=NETWORK),
    "full covariance": dict(expert=LinearExpert(covariance_type="full")),
    "tied covariance": dict(expert=LinearExpert(covariance_type="tied")),
    "a tree": dict(router=TreeGate(), n_experts=4),
    "localised": dict(router="gaussian"),
    "all": dict(k=3),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_a_sparse_mixture_starts_as_copies_too(name):
    options = dict(n_experts=3, random_state=0) | MIXTURES[name]
    one = MixtureOfExpertsRegressor(1, expert=options.get("expert", "linear"), random_state=0)
    one.fit(X, Y)
    model = SparseMixtureOfExpertsRegressor(**options, init_params=one)
    mean, params = started(model, X, Y)
    np.testing.assert_allclose(mean, one.predict(X), rtol=1e-12)
    fresh = started(model.set_params(random_state=1), X, Y)[1]["gate"]
    assert repr(fresh) != repr(params["gate"])  # the gate is random


def test_a_sparse_mixture_of_classes_starts_as_copies():
    expert = ReducedRankSoftmaxExpert(1, alpha=1.0)
    one = MixtureOfExpertsClassifier(1, expert=expert, random_state=0).fit(X, LABEL)
    model = SparseMixtureOfExpertsClassifier(3, expert=expert, init_params=one, random_state=0)
    problem = prepare(model, X, LABEL)
    params = model._starting_points(problem)
    found = problem.model.expert_mean(params, problem.schema.x.apply(X))
    np.testing.assert_allclose(found, np.repeat(one.predict_proba(X)[:, None], 3, 1), atol=1e-12)


def test_copies_of_a_line_find_the_pieces():
    X, y = make_voronoi_pieces(1000, n_pieces=6, random_state=0)
    one = MixtureOfExpertsRegressor(1).fit(X, y)
    model = SparseMixtureOfExpertsRegressor(6, init_params=one, random_state=0).fit(X, y)
    assert model.score(X, y) > one.score(X, y) + 0.3
    assert model.n_active_experts_ >= 5


# -- refusals ------------------------------------------------------------------------------------


def of(kind, y=Y, rows=X, **options):
    return lambda: kind(**options).fit(rows, y)


REFUSED = {
    "raw weights": (
        of(LinearRegression),
        dict(router=TopKRouter(2, weight="raw"), expert="linear"),
        r"the weights of TopKRouter\(weight='raw'\) do not sum to 1",
    ),
    "a factor": (of(LinearRegression), dict(router="deepseek_v3", expert="linear"), "do not sum"),
    "sigmoids": (of(LinearRegression), dict(router="base", expert="linear"), "do not sum to 1"),
    "expert choice": (of(LinearRegression), dict(router="expert_choice", expert="linear"), "sum"),
    "another width": (
        lambda: sk_network(hidden=(6,)).fit(X, Y),
        {},
        r"is a network of 12 -> 6 -> 4 units, tanh, and the experts have the hidden units \(5,\)",
    ),
    "another function": (lambda: sk_network(activation="relu").fit(X, Y), {}, "4 units, relu, and"),
    "a line for networks": (of(LinearRegression), {}, "is a line of 12 columns, and the experts"),
    "a network for lines": (
        lambda: sk_network().fit(X, Y),
        dict(expert="linear"),
        "and the experts have no hidden units",
    ),
    "fewer columns": (of(LinearRegression, rows=X[:, :5]), dict(expert="linear"), "saw 5 columns"),
    "fewer targets": (of(LinearRegression, y=Y[:, 0]), dict(expert="linear"), "has 1 outputs, and"),
    "classes": (
        of(LogisticRegression, y=LABEL, max_iter=9),
        dict(expert="linear"),
        "is one of classification, this is regression",
    ),
    "several experts": (
        of(MixtureOfExpertsRegressor, n_experts=2, n_init=1, max_iter=3),
        dict(expert="linear"),
        "has 2 experts, and a blend begins with copies of one",
    ),
    "a tree": (of(DecisionTreeRegressor), {}, r"DecisionTreeRegressor\(\) is no single network or"),
    "another link": (
        of(MixtureOfExpertsRegressor, y=np.exp(Y[:, 0] / 100), n_experts=1, expert="gamma"),
        dict(expert="linear"),
        "does not predict as a line of 12 columns does",
    ),
    "text": (lambda: "random", {}, "begins at random, or with copies of a fitted network"),
    "responsibilities": (lambda: np.ones((400, 16)), {}, "begins at random, or with copies"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_blend_cannot_start_from_is_refused(name):
    make, options, words = REFUSED[name]
    model = blend(make(), **options)
    with pytest.raises(ValueError, match=words) as told:
        model.fit(X, np.exp(Y[:, 0] / 100) if name == "another link" else Y)
    assert "init_params" in str(told.value) and not hasattr(model, "params_")


def test_other_classes_and_what_is_not_fitted_are_refused(dense):
    start = LogisticRegression(max_iter=9).fit(X, TWO)
    with pytest.raises(ValueError, match="knows the classes False, True, and y holds 'high'"):
        classes(start, expert="softmax").fit(X, LABEL)
    for start in (clone(dense), MLPRegressor()):
        with pytest.raises(NotFittedError, match="is not fitted; fit it first"):
            blend(start).fit(X, Y)
    with pytest.raises(TypeError, match="combine='blend' is no mixture"):
        SparseMixtureOfExpertsRegressor(3, init_params=dense).fit(X, Y)


def test_a_mixture_refuses_copies_of_what_it_is_not():
    one = MixtureOfExpertsRegressor(1, expert=NETWORK, max_iter=3).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"from which LinearExpert.* cannot start"):
        SparseMixtureOfExpertsRegressor(3, init_params=one).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"saw X of shape \(n, 12\)"):
        SparseMixtureOfExpertsRegressor(3, init_params=one).fit(X[:, :4], Y[:, 0])
    with pytest.raises(ValueError, match="has 1 experts, n_experts=3"):  # the dense one still does
        MixtureOfExpertsRegressor(3, init_params=one).fit(X, Y[:, 0])
