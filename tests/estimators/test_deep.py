"""Deep mixtures: exact gradients, balanced minibatches, layers that divide the work."""

import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import approx_fprime
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from classic_moe import (
    DeepMixtureOfExpertsClassifier,
    DeepMixtureOfExpertsRegressor,
    load,
    save,
)
from classic_moe.data.balanced import BalancedBatches, open_experts
from classic_moe.data.batches import ArrayBatches
from classic_moe.datasets import make_jittered_digits
from classic_moe.estimators._deep_model import DeepModel
from classic_moe.metrics import gate_mutual_information
from classic_moe.parts.params import ravel, unravel
from classic_moe.parts.statistics import Statistics
from classic_moe.solvers import Adam

TASKS = ("classification", "regression")
SMALL = dict(n_experts=(2, 3), n_units=4, gate_units=3, max_iter=5, random_state=0)


def problem(task, n=30, seed=0):
    rng = np.random.default_rng(seed)
    X, weight = rng.normal(size=(n, 3)), rng.uniform(0.5, 2, n)
    y = rng.integers(3, size=n) if task == "classification" else rng.normal(size=(n, 2))
    return X, y, weight


def a_model(task, seed=0):
    model = DeepModel((3, 2), (4, 3), (5, 4), task, 0.3, 0.1)
    _, y, weight = problem(task)
    target = np.eye(3)[y] if task == "classification" else y
    params = model.init(3, target, weight, target.shape[1], np.random.RandomState(seed))
    moved = ravel(params)
    moved = moved + 0.2 * np.abs(np.random.default_rng(seed).normal(size=moved.shape))
    return model, unravel(moved, params)


# -- the model -------------------------------------------------------------------------------


def by_the_equations(params, X, task):
    z, gates = X, []
    for name in ("layer_0", "layer_1"):
        own = params[name]
        (A,), (V,) = own["gate_hidden"], own["gate"]
        hidden = np.maximum(A[:, 0] + z @ A[:, 1:].T, 0)
        gates.append(softmax(V[:, 0] + hidden @ V[:, 1:].T, axis=1))
        experts = [np.maximum(W[:, 0] + z @ W[:, 1:].T, 0) for W in own["experts"]]
        z = sum(g[:, None] * f for g, f in zip(gates[-1].T, experts, strict=True))
    (W,) = params["output"]["weights"]
    output = W[:, 0] + z @ W[:, 1:].T
    return gates, log_softmax(output, axis=1) if task == "classification" else output


@pytest.mark.parametrize("task", TASKS)
def test_layers_and_density_are_those_of_the_equations(task):
    model, params = a_model(task)
    X, y, weight = problem(task)
    gates, output = by_the_equations(params, X, task)
    for made, gate in zip(model.layers(params, X), gates, strict=True):
        assert np.allclose(made.gate, gate, rtol=1e-12, atol=1e-15)
    if task == "classification":
        log_p = output[np.arange(len(y)), y]
    else:
        scale = np.sqrt(params["output"]["variance"][0])
        log_p = stats.norm(output, scale).logpdf(y).sum(axis=1)
    found = model.statistics(params, X, y, weight)
    assert np.isclose(found["objective"], weight @ log_p, rtol=1e-12)
    loads = list(found["loads"].values())
    assert all(np.allclose(one, weight @ g) for one, g in zip(loads, gates, strict=True))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "masks", [None, [np.array([True, False, True]), np.array([False, True])]], ids=["all", "masked"]
)
def test_the_gradient_is_that_of_differences(task, masks):
    model, params = a_model(task)
    X, y, weight = problem(task)

    def objective(vector):
        own = unravel(vector, params)
        value = model.statistics(own, X, y, weight, masks=masks)["objective"]
        return value + model.log_prior(own)

    found = ravel(model.gradient(params, model.statistics(params, X, y, weight, masks=masks)))
    by_differences = approx_fprime(ravel(params), objective, 1e-6)
    # half of a second derivative times the step: relative to the largest slope
    assert np.abs(found - by_differences).max() < 1e-5 * np.abs(found).max()


def test_a_mask_shuts_experts_and_leaves_a_gate():
    model, params = a_model("classification")
    X, _, _ = problem("classification")
    mask = np.array([False, True, True])
    shut = model.layer(params["layer_0"], X, mask).gate
    free = model.layer(params["layer_0"], X).gate
    assert np.array_equal(shut[:, 0], np.zeros(len(X)))
    assert np.allclose(shut[:, 1:], free[:, 1:] / free[:, 1:].sum(axis=1, keepdims=True))


# -- balance -----------------------------------------------------------------------------------


def test_experts_far_above_the_mean_are_shut():
    assert open_experts(np.array([10.0, 0.0, 2.0]), 5.0).tolist() == [False, True, True]
    assert open_experts(np.array([10.0, 0.0, 2.0]), 6.0).tolist() == [True, True, True]
    assert open_experts(np.zeros(3), 0.0).all()


def test_minibatches_of_the_first_epochs_are_balanced():
    X = np.arange(40.0)[:, None]
    batches = BalancedBatches(ArrayBatches(X, X, np.ones(40)), (2,), 1)
    seen = []

    def function(params, X, y, weight, masks=None):
        seen.append(masks)
        load = np.array([1.0, 0.0]) if masks is None or masks[0][0] else np.array([0.0, 1.0])
        return Statistics(loads=Statistics(only=len(X) * load))

    rng = np.random.RandomState(0)
    for _ in range(2):
        for _, rows in batches.minibatches(10, rng):
            rows.map_sum(function, None)
    # the margin is the weight of a batch, 10: after three of the first expert it is 15 ahead
    assert [own[0].tolist() for own in seen[:4]] == 3 * [[True, True]] + [[False, True]]
    assert seen[4:] == 4 * [None]
    batches.map_sum(function, None)
    assert seen[-1] is None
    held_out, rest = batches.split(0.25, rng)
    assert isinstance(rest, BalancedBatches) and held_out.n + rest.n == 40


# -- where and what ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_first_layer_learns_where_and_the_second_what(seed):
    digits = make_jittered_digits(random_state=seed)
    model = DeepMixtureOfExpertsClassifier(standardize=False, random_state=seed)
    model.fit(digits.data, digits.target)
    first, second = (layer.gate_proba(digits.data_test) for layer in model.layers_)
    where, what = digits.where_test, digits.target_test
    assert gate_mutual_information(first, where) > 4 * gate_mutual_information(first, what)
    assert gate_mutual_information(second, what) > 4 * gate_mutual_information(second, where)
    assert model.score(digits.data_test, digits.target_test) >= 0.8


def test_places_are_learnt_first_and_all_experts_are_used():
    digits = make_jittered_digits(n_copies=1, random_state=0)
    model = DeepMixtureOfExpertsClassifier(standardize=False, max_iter=10, random_state=0)
    model.fit(digits.data, digits.target)
    first = model.layers_[0].gate_proba(digits.data_test)
    where, what = digits.where_test, digits.target_test
    assert gate_mutual_information(first, where) > 2 * gate_mutual_information(first, what)
    assert all(layer.expert_usage_.min() > 0.05 for layer in model.layers_)


# -- the estimators --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regressor():
    X, y, _ = problem("regression", 150)
    X, y = 100 + 7 * X, 30 * y - 5
    return DeepMixtureOfExpertsRegressor(**SMALL).fit(X, y), X, y


def test_the_regressor_speaks_in_the_callers_units(regressor):
    model, X, y = regressor
    assert np.isclose(model.log_prob(X, y).sum(), model.log_likelihood_, rtol=1e-10)
    dist = model.predict_dist(X)
    assert np.allclose(dist.logpdf(y), model.log_prob(X, y), rtol=1e-10)
    mean, std = model.predict(X, return_std=True)
    assert np.allclose(std, model.scale_) and np.allclose(mean, dist.mean())
    assert 15 < model.scale_.min() < 60


def test_layers_show_what_they_make_of_the_callers_rows(regressor):
    model, X, _ = regressor
    for layer, K in zip(model.layers_, (2, 3), strict=True):
        gate = layer.gate_proba(X)
        assert gate.shape == (150, K) and np.allclose(gate.sum(axis=1), 1)
        assert np.allclose(layer.expert_usage_, gate.mean(axis=0))
        assert layer.transform(X).shape == (150, 4)
    with pytest.raises(ValueError, match="2 features"):
        model.layers_[0].gate_proba(X[:, :2])


def test_a_row_alone_is_predicted_as_in_a_table(regressor):
    model, X, _ = regressor
    assert np.allclose(model.predict(X[:1]), model.predict(X)[:1], rtol=1e-13)


def test_classes_and_their_probabilities():
    X, y = make_moons(300, noise=0.2, random_state=0)
    labels = np.array(["no", "yes"])[y]
    model = DeepMixtureOfExpertsClassifier((2, 2), n_units=8, max_iter=200, random_state=0)
    model.fit(X, labels)
    proba = model.predict_proba(X)
    assert np.allclose(proba.sum(axis=1), 1)
    assert np.array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    assert np.isclose(np.log(proba[np.arange(300), y]).sum(), model.log_likelihood_, rtol=1e-9)
    assert model.score(X, labels) > 0.9
    assert len(model.lower_bounds_) == model.n_iter_ + 1 == 201 and model.converged_


@pytest.mark.parametrize("solver", ["lbfgs", "gradient", "sgd", Adam(warm_up=0)])
def test_other_solvers_climb(solver):
    X, y, _ = problem("regression", 60)
    model = DeepMixtureOfExpertsRegressor(**SMALL, n_constrained=0, solver=solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert np.all(np.diff(model.lower_bounds_) >= 0)
    assert model.lower_bounds_[-1] > model.lower_bounds_[0]


def test_early_stopping_and_several_starts():
    X, y, _ = problem("regression", 200)
    solver = Adam(warm_up=0, early_stopping=True, n_iter_no_change=3)
    options = SMALL | dict(max_iter=40)
    one = DeepMixtureOfExpertsRegressor(**options, solver=solver).fit(X, y)
    three = clone(one).set_params(n_init=3).fit(X, y)
    best = [max(model.learning_curve_["validation"]) for model in (one, three)]
    assert best[1] >= best[0]


def test_one_batch_weighs_rows_as_repetitions():
    X, y, _ = problem("regression", 20)
    weight = np.arange(20) % 3
    model = DeepMixtureOfExpertsRegressor(**SMALL)
    weighted = clone(model).fit(X, y, weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    assert np.allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)


def test_threads_change_no_bit():
    X, y, _ = problem("regression", 200)
    one = DeepMixtureOfExpertsRegressor(**SMALL).fit(X, y)
    two = DeepMixtureOfExpertsRegressor(**SMALL, n_jobs=2).fit(X, y)
    assert np.array_equal(one.predict(X), two.predict(X))


@pytest.mark.parametrize("kind", [DeepMixtureOfExpertsClassifier, DeepMixtureOfExpertsRegressor])
def test_a_fit_is_kept_in_a_file(kind, tmp_path):
    X, y, _ = problem("classification" if "Classifier" in kind.__name__ else "regression", 60)
    model = kind(**SMALL).fit(X, y)
    save(model, tmp_path / "model.moe")
    again = load(tmp_path / "model.moe")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.layers_[1].gate_proba(X), model.layers_[1].gate_proba(X))
    assert again.n_parameters_ == model.n_parameters_


def test_parameters_are_counted():
    X, y, _ = problem("classification", 60)
    model = DeepMixtureOfExpertsClassifier(**SMALL).fit(X, y)
    first = 2 * 4 * 4 + 3 * 4 + (2 - 1) * 4
    second = 3 * 4 * 5 + 3 * 5 + (3 - 1) * 4
    assert model.n_parameters_ == first + second + (3 - 1) * 5


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (dict(solver="em"), "solver='em': a deep mixture has no M-step"),
        (dict(solver="lbfgs"), "n_constrained=10 balances minibatches, and LBFGS has none"),
        (dict(n_experts=(2, 0)), r"n_experts=\(2, 0\): needs integers of at least 1"),
        (dict(n_units=(3,)), "has 1 layers and n_experts"),
        (dict(margin=-1), "margin=-1: needs 'auto' or a positive number"),
        (dict(alpha=-1), "alpha=-1: needs a number of at least 0"),
        (dict(variance_prior=-1), "variance_prior=-1: needs a number of at least 0"),
        (dict(n_constrained=-1), "n_constrained=-1: needs an integer of at least 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(bad, sentence):
    X, y, _ = problem("regression")
    with pytest.raises(ValueError, match=sentence):
        DeepMixtureOfExpertsRegressor(**bad).fit(X, y)


def test_nothing_is_said_before_the_fit():
    with pytest.raises(NotFittedError):
        DeepMixtureOfExpertsRegressor().predict_dist([[0.0]])


# -- the data ------------------------------------------------------------------------------------


def test_digits_stand_where_they_are_said_to():
    digits = make_jittered_digits(canvas=10, n_copies=1, random_state=0)
    assert digits.data.shape == (1300, 100) and digits.data_test.shape == (994, 100)
    for flat, (row, column), where in zip(digits.data, digits.place, digits.where, strict=True):
        image = flat.reshape(10, 10)
        inside = image[row : row + 8, column : column + 8]
        assert inside.sum() == image.sum() > 0
        assert where == 3 * row + column  # offsets of 0 to 2 are thirds themselves
    with pytest.raises(ValueError, match="canvas=8 leaves the images of 8 no room"):
        make_jittered_digits(canvas=8)


def test_mutual_information_is_that_of_the_table():
    rng = np.random.default_rng(0)
    gate, labels = rng.dirichlet(np.ones(3), 50), rng.integers(4, size=50)
    joint = np.stack([gate[labels == a].sum(axis=0) for a in range(4)]) / 50
    entropies = [stats.entropy(joint.sum(axis=i), base=2) for i in (0, 1)]
    expected = sum(entropies) - stats.entropy(joint.ravel(), base=2)
    assert np.isclose(gate_mutual_information(gate, labels), expected)
    twice = np.repeat(gate, 2, axis=0), np.repeat(labels, 2)
    weighted = gate_mutual_information(gate, labels, sample_weight=np.full(50, 2))
    assert np.isclose(gate_mutual_information(*twice), weighted)
    with pytest.raises(ValueError, match="gate_proba has 50 rows and labels 49"):
        gate_mutual_information(gate, labels[1:])
    with pytest.raises(ValueError, match="probabilities are at least 0"):
        gate_mutual_information(-gate, labels)
