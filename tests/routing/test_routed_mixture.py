"""Mixtures in training with a router: the objective of a batch and its gradient; the gate left."""

import numpy as np
import pytest

from classic_moe.data.units import Scaling, Units
from classic_moe.experts import LinearExpert, MLPExpert, SoftmaxExpert, StudentTExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.coordinates import Coordinates
from classic_moe.parts.params import ravel, unravel
from classic_moe.routing import (
    AuxiliaryLoss,
    BiasBalancing,
    ExpertChoiceRouter,
    ImportanceLoss,
    LoadLoss,
    TopKRouter,
    ZLoss,
)
from classic_moe.routing._gate import RoutedGate
from classic_moe.routing._mixture import RoutedMixture

N, P, K = 60, 3, 5
SHAZEER = (ImportanceLoss(), LoadLoss(), ZLoss())
CASES = {
    "top 2": dict(router=TopKRouter(2)),
    "sigmoid": dict(router=TopKRouter(3, score="sigmoid", scale=2.5)),
    "noise": dict(router=TopKRouter(2, noise="learned"), balance=SHAZEER),
    "capacity": dict(router=TopKRouter(2), capacity_factor=1.0, balance=(AuxiliaryLoss(0.5),)),
    "next": dict(router=TopKRouter(2), capacity_factor=1.0, overflow="next"),
    "masked": dict(router=TopKRouter(2, masking=0.4)),
    "random second": dict(router=TopKRouter(2, second="random")),
    "choice": dict(router=ExpertChoiceRouter(2.0)),
    "networks": dict(router=TopKRouter(2), expert=MLPExpert((3,))),
    "t": dict(router=TopKRouter(2), expert=StudentTExpert()),
    "classes": dict(router=TopKRouter(2), expert=SoftmaxExpert(alpha=0.1)),
}


def data(classes=False, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, P))
    y = rng.integers(3, size=N) if classes else rng.normal(size=(N, 1))
    return X, y, rng.uniform(0.5, 2, size=N)


def started(expert=None, **options):
    """A mixture, its params in training away from any optimum, and rows."""
    expert = LinearExpert(alpha=0.2, variance_prior=0.5) if expert is None else expert
    expert = expert.with_numbers({})
    classes = isinstance(expert, SoftmaxExpert)
    X, y, weight = data(classes)
    model = MixtureModel(SoftmaxGate(alpha=0.3), expert)
    resp = np.random.default_rng(1).dirichlet(np.ones(K), N)
    rng = np.random.RandomState(0)
    labels = np.arange(3) if classes else None
    params = model.init(X, y, resp * weight[:, None], rng, labels)
    coordinates = Coordinates(expert.coordinates(params["expert"]), params["expert"])
    mixture = RoutedMixture(model, coordinates, n_experts=K, **options)
    inner = mixture.to_train(params)
    shake = np.random.default_rng(7).normal(size=ravel(inner).size)
    return mixture, unravel(ravel(inner) + 0.3 * shake, inner), mixture.rows(X, y, weight)


def choose(mixture, params, rows):
    return mixture.choose(params, {}, rows, np.random.default_rng(5))


def value(mixture, params, rows):
    """Mean log-likelihood of the rows that have an expert, losses and priors, by loops."""
    choice, own = choose(mixture, params, rows), mixture.from_training(params)
    log_p = mixture.model.log_density(own, rows.expert, rows.y)
    total, found = rows.weight.sum(), 0.0
    for t in range(N):
        w = choice.weights[t]
        if w.sum() > 0:
            found += rows.weight[t] * np.log(w @ np.exp(log_p[t]) / w.sum()) / total
    share = rows.weight / total
    losses = sum(term.loss(choice, mixture.router, share).value for term in mixture.losses)
    prior = mixture.gate.log_prior(own["gate"]) + mixture.model.expert.log_prior(own["expert"])
    return found - losses + prior / total


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_of_a_batch_agrees_with_differences(name):
    mixture, params, rows = started(**CASES[name])
    said = mixture.step(params, choose(mixture, params, rows), rows, rows.weight.sum())
    vector, found = ravel(params), ravel(said.gradient)
    assert list(said.gradient) == list(params)
    for index in np.random.default_rng(3).choice(len(vector), 25, replace=False):
        step = np.zeros_like(vector)
        step[index] = 1e-6
        ends = [value(mixture, unravel(vector + s * step, params), rows) for s in (1, -1)]
        # differences of 1e-6 carry some 1e-9 of rounding
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(found[index], rel=1e-5, abs=1e-8)


def test_a_batch_counts_for_its_share_of_all_rows():
    mixture, params, rows = started(**CASES["top 2"])
    total = rows.weight.sum()
    whole = mixture.step(params, choose(mixture, params, rows), rows, total)
    halves = [rows.take(np.arange(0, 30)), rows.take(np.arange(30, 60))]
    parts = [
        ravel(mixture.step(params, choose(mixture, params, half), half, total, 2.0).gradient)
        for half in halves
    ]
    assert np.allclose(np.mean(parts, axis=0), ravel(whole.gradient), atol=1e-12)


def test_rows_without_an_expert_are_left_out():
    mixture, params, rows = started(router=TopKRouter(1), capacity_factor=1.0)
    choice = choose(mixture, params, rows)
    served = choice.kept.any(axis=1)
    assert 0 < served.sum() < N
    said = mixture.step(params, choice, rows, rows.weight.sum())
    own = mixture.from_training(params)
    log_p = mixture.model.log_density(own, rows.expert, rows.y)
    mean = np.average(
        log_p[served, choice.kept[served].argmax(axis=1)], weights=rows.weight[served]
    )
    assert said.value == pytest.approx(mean, rel=1e-12)


# -- the gate that is left ---------------------------------------------------------------------


STATES = {
    "top 2": (TopKRouter(2), {}),
    "bias": (TopKRouter(2), {"bias": np.array([0.0, 3.0, -1.0, 0.5, 0.0])}),
    "sigmoid": (TopKRouter(2, score="sigmoid"), {"bias": np.array([0.0, 0.3, -0.1, 0.5, 0.0])}),
    "groups": (TopKRouter(2, n_groups=5, n_kept_groups=3), {}),
    "choice": (ExpertChoiceRouter(2.0), {"thresholds": np.array([0.3, 0.1, 0.2, 0.6, 0.9])}),
}


@pytest.mark.parametrize("name", STATES)
def test_a_routed_gate_has_the_router_s_experts_and_its_weights_sum_to_one(name):
    router, state = STATES[name]
    coef = np.random.default_rng(0).normal(size=(K, 1 + P))
    X = data()[0]
    gate = RoutedGate(router, router.k if router.has_order else K, state)
    g = np.exp(gate.log_prob({"coef": coef}, X))
    scores = coef[:, 0] + X @ coef[:, 1:].T
    choice = router.route(scores, state)
    assert ((g > 0) == choice.kept).all()
    np.testing.assert_allclose(g.sum(axis=1), 1.0, rtol=1e-12)
    share = choice.weights / choice.weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(g, share, atol=1e-14)
    experts, log_weight = gate.route({"coef": coef}, X)
    spread = np.zeros_like(g)
    np.put_along_axis(spread, experts, np.exp(log_weight), axis=1)
    np.testing.assert_array_equal(spread, g)
    assert (np.diff(np.exp(log_weight), axis=1) <= 0).all()
    ids = np.array([3, 1, 0, 4, 2])
    moved = gate.renumbered(ids).log_prob({"coef": coef[ids]}, X)
    np.testing.assert_allclose(np.exp(moved), g[:, ids], atol=1e-14)


def test_sigmoids_know_the_level_of_the_scores_and_a_softmax_does_not():
    coef = np.random.default_rng(0).normal(size=(K, 1 + P))
    units = Units(Scaling.identity(P), Scaling.identity(1))
    for score, count in (("softmax", (K - 1) * (1 + P)), ("sigmoid", K * (1 + P))):
        gate = RoutedGate(TopKRouter(2, score=score), 2)
        assert gate.n_parameters({"coef": coef}) == count
        shown = gate.to_caller({"coef": coef}, units)
        shown = np.column_stack([shown["intercept"], shown["coef"]])
        X = data()[0]
        log_prob = gate.log_prob({"coef": shown}, X)
        np.testing.assert_allclose(log_prob, gate.log_prob({"coef": coef}, X), rtol=1e-9)


def test_a_bias_is_part_of_training_too():
    mixture, params, rows = started(router=TopKRouter(2), balance=(BiasBalancing(),))
    bias = np.array([50.0, 0.0, 0.0, 0.0, 0.0])
    choice = mixture.choose(params, {"bias": bias}, rows, np.random.default_rng(0))
    assert choice.kept[:, 0].all()
