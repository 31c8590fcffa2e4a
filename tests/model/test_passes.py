"""The generic pass: heads of groups, and experts that see only the rows they are sent."""

from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import (
    EstimatorExpert,
    LinearExpert,
    MLPExpert,
    PoissonExpert,
    TimeDelayExpert,
)
from classic_moe.gates import SoftmaxGate
from classic_moe.model import passes
from classic_moe.model.mixture import MixtureModel
from classic_moe.model.passes import Heads, on_pairs, wanted_pairs
from classic_moe.parts.params import leaves
from classic_moe.parts.records import Learning
from classic_moe.parts.tiles import Tiles


class TopGate(SoftmaxGate):
    """Sends every row to its `top` most probable experts alone."""

    kernel = None
    learning = Learning(ascends=False, extrapolates=False)

    top_k = None  # not the gate's own rule

    def __init__(self, alpha=1e-3, top=1):
        self.alpha = alpha
        self.top = top

    def log_prob(self, params, X):
        log_prob = super().log_prob(params, X)
        least = np.sort(log_prob, axis=1)[:, -self.top][:, None]
        kept = np.where(log_prob >= least, log_prob, -np.inf)
        return kept - np.logaddexp.reduce(kept, axis=1, keepdims=True)


class Counting(LinearExpert):
    """Counts the pairs of row and expert that its verbs are asked for."""

    kernel = None
    pairs: ClassVar = {}

    def _count(self, verb, params, X):
        self.pairs[verb] = self.pairs.get(verb, 0) + len(X) * len(params["coef"])

    def log_prob(self, params, X, y):
        self._count("log_prob", params, X)
        return super().log_prob(params, X, y)

    def statistics(self, params, X, y, resp, order=2):
        self._count("statistics", params, X)
        return super().statistics(params, X, y, resp, order)

    def mean(self, params, X):
        self._count("mean", params, X)
        return super().mean(params, X)


def rows(n=200, q=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.abs(X[:, :1]) + 0.1 * rng.standard_normal((n, q)), rng


def model_and_params(gate, expert, X, y, rng, K=4):
    model = MixtureModel(gate, expert)
    resp = rng.dirichlet(np.ones(K), len(X))
    params = model.init(X, y, resp, np.random.RandomState(0))
    params["gate"]["coef"] = rng.standard_normal(params["gate"]["coef"].shape)
    return model, params


def test_a_gate_that_keeps_one_of_four_experts_has_a_quarter_of_the_pairs_evaluated():
    X, y, _ = rows()
    Counting.pairs = {}
    model = MixtureOfExpertsRegressor(
        4, expert=Counting(), gate=TopGate(), n_init=1, max_iter=5, random_state=0
    )

    def watch(iteration, params, objective):
        if iteration == 1:
            Counting.pairs = {}  # the start, before there is a gate, sees every pair
        return iteration == 4

    model.fit(X, y[:, 0], callback=watch)
    passes = Counting.pairs["log_prob"] / len(X)  # one expert a row, pass by pass
    assert passes == int(passes) and passes >= 3
    assert Counting.pairs["statistics"] == Counting.pairs["log_prob"]
    Counting.pairs = {}
    model.predict(X)
    model.log_prob(X, y[:, 0])
    assert Counting.pairs == {"mean": len(X), "log_prob": len(X)}


@pytest.mark.parametrize("top", [1, 2, 3])
@pytest.mark.parametrize("expert", [LinearExpert(), PoissonExpert()], ids=repr)
def test_pairs_give_what_all_experts_give_where_they_are_wanted(expert, top):
    X, y, rng = rows()
    y = y if isinstance(expert, LinearExpert) else np.round(5 * y**2)
    model, params = model_and_params(TopGate(top=top), expert, X, y, rng)
    weight = rng.uniform(0.5, 2, len(X))
    log_gate = model.gate.log_prob(params["gate"], X)
    log_density = expert.log_prob(params["expert"], X, y)
    resp = np.exp(log_gate + log_density)
    resp = weight[:, None] * resp / resp.sum(axis=1, keepdims=True)
    stats = model.statistics(params, X, y, weight)
    expected = expert.statistics(params["expert"], X, y, resp)
    for name, value in expected.items():
        assert_allclose(stats["expert"][name], value, rtol=1e-10, atol=1e-12)  # order of the sums
    value = np.logaddexp.reduce(log_gate + log_density, axis=1)
    assert_allclose(model.log_prob(params, X, y), value, rtol=1e-12)
    assert_allclose(stats["objective"], weight @ value, rtol=1e-12)
    mean = np.einsum("nk,nkq->nq", np.exp(log_gate), expert.mean(params["expert"], X))
    assert_allclose(model.mean(params, X), mean, rtol=1e-12)


def test_a_gate_that_keeps_all_experts_is_the_gate_without_the_rule_to_the_last_bit():
    X, y, rng = rows()
    model, params = model_and_params(TopGate(top=4), LinearExpert(), X, y, rng)
    assert model.route(params, X)[1] is None
    plain = MixtureModel(SoftmaxGate(), LinearExpert())
    for a, b in zip(
        leaves(model.statistics(params, X, y, np.ones(len(X)))["expert"]),
        leaves(plain.statistics(params, X, y, np.ones(len(X)))["expert"]),
        strict=True,
    ):
        assert_allclose(a, b, rtol=1e-12)  # the log-probabilities are normalised once more


def test_black_boxes_see_their_rows_only():
    X, y, _ = rows()
    seen = []

    class Watching(LinearRegression):
        def predict(self, X):
            seen.append(len(X))
            return super().predict(X)

    model = MixtureOfExpertsRegressor(
        4, expert=EstimatorExpert(Watching()), gate=TopGate(), n_init=1, random_state=0
    ).fit(X, y[:, 0], callback=lambda iteration, *_: iteration == 2)
    seen.clear()
    model.predict(X)
    assert sum(seen) == len(X)


def test_a_label_against_the_route_is_refused_in_one_sentence():
    X, y, rng = rows()
    model, params = model_and_params(TopGate(), LinearExpert(), X, y, rng)
    best = model.gate.log_prob(params["gate"], X).argmax(axis=1)
    labels = np.where(np.arange(len(X)) % 2, best, -1)
    model.statistics(params, X, y, np.ones(len(X)), labels=labels)
    labels[7] = (best[7] + 1) % 4
    with pytest.raises(ValueError, match=f"expert_labels says {labels[7]} of a row that the gate"):
        model.statistics(params, X, y, np.ones(len(X)), labels=labels)


def test_an_expert_without_rows_is_not_asked():
    where = np.array([[True, False], [True, False]])
    asked = []

    def verb(params, X):
        asked.append(float(params["coef"][0]))
        return np.ones((len(X), 1))

    found = on_pairs(LinearExpert(), verb, {"coef": np.array([1.0, 2.0])}, where, np.zeros((2, 1)))
    assert asked == [1.0]
    assert_array_equal(found, [[1.0, 0.0], [1.0, 0.0]])


def test_wanted_pairs_are_those_of_positive_probability():
    assert wanted_pairs(np.zeros((2, 3))) is None
    log_gate = np.array([[0.0, -np.inf], [-1.0, -1.0]])
    assert_array_equal(wanted_pairs(log_gate), [[True, False], [True, True]])
    each_output = np.stack([log_gate, np.full((2, 2), -np.inf)], axis=2)
    assert_array_equal(wanted_pairs(each_output), [[True, False], [True, True]])


def test_a_group_counts_once_and_its_log_density_is_the_sum_of_its_rows():
    weight = np.array([1.0, 2.0, 3.0])
    heads = Heads.of(weight, np.array([4, 4, 7]))
    assert_array_equal(heads.weight, [1.0, 1.0])
    assert_array_equal(heads.take(np.array([10, 11, 12])), [10, 12])
    assert_array_equal(heads.spread(np.array([5, 6])), [5, 5, 6])
    assert_allclose(heads.joined(np.array([[1.0], [1.0], [1.0]])), [[3.0], [3.0]])
    alone = Heads.of(weight, None)
    assert alone.weight is weight and alone.take(weight) is weight


# -- tiles of pairs ----------------------------------------------------------------------------


def tiled_problem(expert, classes=False, n=90, K=6):
    """A bank of networks, its params, rows and pairs; one expert has none, one most."""
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
    labels = rng.integers(3, size=n)
    y, names = (labels, np.arange(3)) if classes else (y, None)
    resp = rng.dirichlet(np.ones(K), size=n)
    params = expert.init(X, y, resp, np.random.RandomState(0), names)
    where = rng.uniform(size=(n, K)) < [0.2, 0.9, 0.0, 0.05, 0.3, 0.3]
    return params, X, y, resp * where, where


@pytest.mark.parametrize("classes", [False, True])
def test_networks_see_their_pairs_tile_by_tile_as_one_by_one(classes):
    """Equal up to the order of sums; the pairs of an expert without rows leave its slope 0."""
    expert = MLPExpert((4,), max_iter=1)
    params, X, y, resp, where = tiled_problem(expert, classes)
    pairs = passes.tiled(expert, where)
    assert isinstance(pairs, Tiles)
    for verb, rows in ((expert.log_prob, (X, y)), (expert.mean, (X,))):
        found = passes.on_pairs(expert, verb, params, pairs, *rows)
        dense = verb(params, *rows)
        mask = where.reshape(*where.shape, *(1,) * (dense.ndim - 2))
        np.testing.assert_allclose(found, np.where(mask, dense, 0.0), rtol=1e-12, atol=1e-14)
    found = passes.statistics_on_pairs(expert, params, pairs, X, y, resp, 1)
    dense = expert.statistics(params, X, y, resp, 1)
    assert set(found) == set(dense)
    for name, leaf in dense.items():
        np.testing.assert_allclose(found[name], leaf, rtol=1e-10, atol=1e-12)
        assert not found[name][2].any()


def test_many_rows_of_an_expert_and_other_experts_take_no_tiles():
    rng = np.random.default_rng(0)
    many = np.ones((passes.AT_ONCE + 1, 2), dtype=bool)
    assert passes.tiled(MLPExpert(), many) is many
    few = rng.uniform(size=(20, 3)) < 0.5
    for other in (LinearExpert(), TimeDelayExpert(2, 1)):
        assert passes.tiled(other, few) is few
