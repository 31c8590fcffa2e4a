"""A blend and its training: the objective, its gradient, what is dropped and what is found."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax
from sklearn.utils import check_random_state

from classic_moe.datasets import make_robot_arm
from classic_moe.parts.params import ravel, unravel
from classic_moe.routing import (
    AuxiliaryLoss,
    BalancedAssignmentRouter,
    BiasBalancing,
    BudgetLoss,
    ExpertChoiceRouter,
    ImportanceLoss,
    LoadLoss,
    RandomRouter,
    SampledRouter,
    TopKRouter,
    ZLoss,
)
from classic_moe.routing._blend import Blend, BlendRows
from classic_moe.routing._training import Training, train
from classic_moe.solvers import Adam

N, P, K = 60, 3, 5


def rows(n=N, q=2, seed=0, classes=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, P))
    y = rng.integers(q, size=n) if classes else rng.normal(size=(n, q))
    return BlendRows(X, X, y, rng.uniform(0.5, 2, size=n))


BLENDS = {
    "linear": Blend(TopKRouter(2), K, alpha=0.3, n_outputs=2),
    "network": Blend(TopKRouter(2, weight="raw"), K, hidden=(4,), n_outputs=2),
    "shared": Blend(TopKRouter(2), K, hidden=(3, 2), n_outputs=2, n_shared=2, alpha=0.1),
    "classes": Blend(TopKRouter(3, score="sigmoid"), K, hidden=(4,), n_outputs=3, classes=True),
    "noisy": Blend(
        TopKRouter(2, noise="learned"),
        K,
        n_outputs=2,
        balance=(ImportanceLoss(), LoadLoss(), ZLoss()),
    ),
    "budget": Blend(
        TopKRouter(2, masking=0.2),
        K,
        n_outputs=2,
        n_shared=1,
        balance=(BudgetLoss(0.7), AuxiliaryLoss(0.5)),
    ),
    "choice": Blend(ExpertChoiceRouter(2.0), K, n_outputs=2, n_shared=1),
    "base": Blend(BalancedAssignmentRouter(), K, n_outputs=2, n_shared=1),
    "capacity": Blend(TopKRouter(2), K, n_outputs=2, capacity_factor=1.0),
}


def started(blend, data):
    params = blend.init(P, P, data.y, data.weight, check_random_state(0))
    rng = np.random.default_rng(7)
    return unravel(ravel(params) + 0.3 * rng.normal(size=ravel(params).size), params)


def choose(blend, params, data):
    return blend.choose(params, {}, data, np.random.default_rng(5))


def direct(blend, params, choice, data):
    """f by loops over rows and experts."""
    n, q = len(data.gate), blend.n_outputs
    f = np.zeros((n, q))

    def network(bank, i, x):
        for depth in range(len(bank)):
            layer = bank[f"weights_{depth}"][i]
            x = layer[:, 0] + layer[:, 1:] @ x
            x = np.tanh(x) if depth < len(bank) - 1 else x
        return x

    for t in range(n):
        x = data.expert[t]
        routed = sum(choice.weights[t, i] * network(params["expert"], i, x) for i in range(K))
        shared = sum(network(params["shared"], i, x) for i in range(blend.n_shared))
        if blend.mixes:
            mix = expit(params["mix"][0] + params["mix"][1:] @ data.gate[t])
            routed, shared = mix * routed, (1 - mix) * shared
        f[t] = routed + shared
    return f


def value(blend, params, data):
    """Mean objective, losses and penalty, by another road than `step`."""
    choice = choose(blend, params, data)
    f = direct(blend, params, choice, data)
    total = data.weight.sum()
    if blend.classes:
        each = log_softmax(f, axis=1)[np.arange(len(f)), data.y]
    else:
        each = -0.5 * np.sum((data.y - f) ** 2, axis=1)
    mix = None
    if blend.mixes:
        mix = expit(params["mix"][0] + data.gate @ params["mix"][1:])
    weight = data.weight / total
    losses = sum(t.loss(choice, blend.router, weight, mix).value for t in blend.losses)
    slopes = [
        leaf[..., 1:]
        for name in ("expert", "shared")
        if name in params
        for leaf in params[name].values()
    ]
    ridge = 0.5 * blend.alpha / total * sum(np.sum(s**2) for s in slopes)
    return weight @ each - losses - ridge


@pytest.mark.parametrize("name", BLENDS)
def test_the_gradient_of_a_batch_agrees_with_differences(name):
    blend = BLENDS[name]
    data = rows(classes=blend.classes, q=blend.n_outputs)
    params = started(blend, data)
    said = blend.step(params, choose(blend, params, data), data, data.weight.sum())
    vector, found = ravel(params), ravel(said.gradient)
    assert list(said.gradient) == list(params)
    for index in np.random.default_rng(3).choice(len(vector), 25, replace=False):
        step = np.zeros_like(vector)
        step[index] = 1e-6
        ends = [value(blend, unravel(vector + s * step, params), data) for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(found[index], rel=1e-5, abs=1e-8)


def test_a_batch_counts_for_its_share_of_all_rows():
    blend, data = BLENDS["shared"], rows()
    params = started(blend, data)
    total = data.weight.sum()
    whole = blend.step(params, choose(blend, params, data), data, total)
    halves = [data.take(np.arange(0, 30)), data.take(np.arange(30, 60))]
    parts = [
        ravel(blend.step(params, choose(blend, params, half), half, total, 2.0).gradient)
        for half in halves
    ]
    assert np.allclose(np.mean(parts, axis=0), ravel(whole.gradient), atol=1e-12)


def test_predictions_are_the_sum_of_shared_and_kept_experts():
    blend, data = BLENDS["shared"], rows()
    params = started(blend, data)
    choice = blend.route(params, {}, data)
    f = direct(blend, params, choice, data)
    assert np.abs(blend.outputs(params, {}, data) - f).max() < 1e-12


# -- training ------------------------------------------------------------------------------------


def fit(blend, data, seed=0, epochs=30, rate=0.01):
    training = Training(Adam()._new_rule(), rate, 128, epochs, check_random_state(seed))
    return train(blend, data, training)


@pytest.mark.parametrize(
    "router",
    [
        TopKRouter(2),
        TopKRouter(1, weight="raw"),
        TopKRouter(2, score="sigmoid", n_groups=2, n_kept_groups=1),
        ExpertChoiceRouter(1.5),
        BalancedAssignmentRouter(),
        BalancedAssignmentRouter("sinkhorn"),
        RandomRouter(),
        SampledRouter(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("hidden", [(), (32,)])
def test_a_row_is_predicted_to_the_same_bits_in_any_batch(router, hidden):
    balance = (BiasBalancing(),) if router.has_order else ()
    blend = Blend(router, 6, hidden=hidden, n_outputs=2, n_shared=1, balance=balance)
    found = fit(blend, rows(300), epochs=2)
    fresh = rows(200, seed=1)
    whole = found.outputs(fresh)
    order = np.random.default_rng(0).permutation(200)
    assert (found.outputs(fresh.take(order)) == whole[order]).all()
    twice = np.repeat(np.arange(200), 2)
    assert (found.outputs(fresh.take(twice)) == whole[twice]).all()
    for row in range(0, 200, 13):
        assert (found.outputs(fresh.take([row])) == whole[row]).all()


def test_training_is_the_same_for_the_same_seed():
    one, other = (fit(BLENDS["noisy"], rows(300), epochs=3) for _ in range(2))
    assert (ravel(one.params) == ravel(other.params)).all()
    assert one.curves.keys() == other.curves.keys()
    for name, curve in one.curves.items():
        np.testing.assert_array_equal(curve, other.curves[name])


def test_rows_of_weight_two_are_two_rows_in_one_batch():
    data = rows(60)._replace(weight=np.random.default_rng(0).integers(1, 3, size=60) * 1.0)
    repeated = data.take(np.repeat(np.arange(60), data.weight.astype(int)))
    repeated = repeated._replace(weight=np.ones(len(repeated.weight)))
    blend = Blend(TopKRouter(2), K, n_outputs=2, balance=(AuxiliaryLoss(), BiasBalancing()))
    one, other = fit(blend, data, epochs=20), fit(blend, repeated, epochs=20)
    assert np.allclose(ravel(one.params), ravel(other.params), atol=1e-8)


def test_training_that_overflows_ends_with_the_last_numbers():
    found = fit(BLENDS["network"], rows(300), epochs=5, rate=1e200)
    assert found.failed and np.isfinite(ravel(found.params)).all()
    assert np.isfinite(found.outputs(rows(10))).all()


def test_curves_have_an_entry_an_epoch():
    blend = Blend(TopKRouter(2), K, n_outputs=2, capacity_factor=1.0, balance=(AuxiliaryLoss(),))
    found = fit(blend, rows(300), epochs=4)
    assert {name: len(curve) for name, curve in found.curves.items()} == {
        "load": 4,
        "load_imbalance": 4,
        "dropped_fraction": 4,
        "AuxiliaryLoss": 4,
    }
    assert 0 < found.curves["dropped_fraction"][0] < 1
    assert len(found.objectives) == found.n_iter == 4


def test_rerouting_drops_next_to_nothing():
    options = dict(n_outputs=2, capacity_factor=1.25)
    dropping = fit(Blend(TopKRouter(1, weight="raw"), K, **options), rows(300), epochs=2)
    other = Blend(TopKRouter(1, weight="raw"), K, overflow="next", **options)
    assert fit(other, rows(300), epochs=2).curves["dropped_fraction"] == [0.0, 0.0]
    assert dropping.curves["dropped_fraction"][0] > 0.02


# -- the robot arm: a shared expert makes one expert a row work -----------------------------------


def arm(seed):
    X, y = make_robot_arm(6000, random_state=seed)[:2]
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean(axis=0)) / y.std(axis=0)
    return BlendRows(X[:4000], X[:4000], y[:4000], np.ones(4000)), X[4000:], y[4000:]


def relative_error(router, seed, **options):
    data, X, y = arm(seed)
    found = fit(Blend(router, 16, hidden=(8,), n_outputs=4, **options), data, seed, epochs=12)
    return np.sum((y - found.outputs(BlendRows(X, X))) ** 2) / np.sum((y - y.mean(axis=0)) ** 2)


def test_raw_weights_teach_a_gate_of_one_expert_and_a_shared_expert_helps_it():
    """After 30 epochs 0.174, 0.238 and 0.102, seed 0; a prototype had 0.179, 0.234 and 0.102."""
    switch = relative_error(TopKRouter(1, weight="raw"), 0)
    untaught = relative_error(TopKRouter(1), 0)
    shared = relative_error(TopKRouter(1, weight="raw"), 0, n_shared=1)
    assert switch < 0.85 * untaught and shared < 0.7 * switch


def test_an_unbalanced_gate_starves_experts_and_a_bias_feeds_them():
    data = arm(0)[0]
    load = {}
    for name, balance in (("none", ()), ("bias", (BiasBalancing(),))):
        blend = Blend(
            TopKRouter(1, weight="raw"), 16, hidden=(8,), n_outputs=4, balance=balance, n_shared=1
        )
        load[name] = fit(blend, data, epochs=10).route(data).kept.sum(axis=0)
    assert (load["none"] < 0.01 * load["none"].mean()).sum() >= 3
    assert load["bias"].min() > 0.3 * load["bias"].mean()


def test_shares_of_all_experts_are_the_softmax_of_the_scores():
    blend, data = BLENDS["linear"], rows()
    params = started(blend, data)
    scores = params["gate"][:, 0] + data.gate @ params["gate"][:, 1:].T
    assert np.allclose(
        softmax(blend.route(params, {}, data).scores, axis=1), softmax(scores, axis=1), rtol=1e-12
    )
