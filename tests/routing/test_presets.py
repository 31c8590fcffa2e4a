"""Every preset is what its paper says, evaluated directly in numpy."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import norm

from classic_moe.parts.params import ravel, unravel
from classic_moe.routing import PRESETS, preset
from classic_moe.routing._blend import Blend, BlendRows
from classic_moe.routing._settings import settings
from classic_moe.routing.base import Batch

N, K = 160, 16


def example(seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(N, K)) + 0.7 * rng.normal(size=K)
    return scores, 0.2 + rng.uniform(size=(N, K))


def trained(name, factor=None):
    scores, scale = example()
    router = PRESETS[name].router
    batch = Batch(np.ones(N), np.random.default_rng(1), scale=scale, capacity_factor=factor)
    return router.train(scores, {}, batch)


def top(value, k):
    kept = np.zeros(value.shape, dtype=bool)
    np.put_along_axis(kept, np.argsort(-value, axis=1)[:, :k], True, axis=1)
    return kept


def renormalized(value, kept):
    share = np.where(kept, value, 0)
    return share / share.sum(axis=1, keepdims=True)


def loss_of(name, kind, chosen):
    term = next(t for t in PRESETS[name].parameters["balance"] if type(t).__name__ == kind)
    return term.loss(chosen, PRESETS[name].router, np.full(N, 1 / N))


def auxiliary(kept, scores):
    """K Σ f P̄ with f the share of the pairs."""
    return K * (kept.sum(axis=0) / kept.sum()) @ softmax(scores, axis=1).mean(axis=0)


def variation(total):
    return total.var() / (total.mean() ** 2 + 1e-10)


# -- predictions: the row-wise rule ------------------------------------------------------------


def of_softmax(k, raw=False):
    def rule(scores):
        share = softmax(scores, axis=1)
        kept = top(scores, k)
        return np.where(kept, share, 0) if raw else renormalized(share, kept)

    return rule


def deepseek_v3(scores):
    """8 groups, of which 4 by the sum of their two best; 4 experts; shares of sigmoids times 2.5"""
    value = expit(scores)
    two = np.sort(value.reshape(N, 8, 2), axis=2).sum(axis=2)
    seen = np.repeat(top(two, 4), 2, axis=1)
    return 2.5 * renormalized(value, top(np.where(seen, value, -np.inf), 4))


RULES = {
    "shazeer": of_softmax(2),
    "switch": of_softmax(1, raw=True),
    "gshard": of_softmax(2),
    "glam": of_softmax(2),
    "vmoe": of_softmax(2, raw=True),
    "st_moe": of_softmax(2),
    "nllb": of_softmax(2),
    "mixtral": of_softmax(2),
    "dbrx": of_softmax(4),
    "deepseek_v2": of_softmax(4, raw=True),
    "deepseek_v3": deepseek_v3,
    "olmoe": of_softmax(8, raw=True),
}


@pytest.mark.parametrize("name", RULES)
def test_a_preset_predicts_by_its_paper_s_rule(name):
    scores, _ = example()
    found = PRESETS[name].router.route(scores, {}).weights
    assert np.abs(found - RULES[name](scores)).max() < 1e-10


def test_every_preset_has_a_test_of_its_rule():
    assert set(PRESETS) == {*RULES, "expert_choice", "base", "hash"}


UNSAID = dict.fromkeys(["n_experts", "k", "n_shared", "balance", "capacity_factor"])


def outputs(bank, X):
    """What every network of a bank says, one hidden layer of tanh, (n, K, q)."""
    first, last = bank["weights_0"], bank["weights_1"]
    hidden = np.tanh(first[:, :, 0] + np.einsum("khp,np->nkh", first[:, :, 1:], X))
    return last[:, :, 0] + np.einsum("kqh,nkh->nkq", last[:, :, 1:], hidden)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_s_blend_is_the_sum_of_its_paper(name):
    """f = shared + Σ w f, and of nllb (1 - G) shared + G Σ w f, in predictions."""
    rng = np.random.default_rng(3)
    blend = Blend(**settings(name, **(UNSAID | dict(n_experts=16)), overflow="drop")._asdict())
    blend = dataclasses.replace(blend, hidden=(3,), n_outputs=2)
    X, y = rng.normal(size=(N, 4)), rng.normal(size=(N, 2))
    params = blend.init(4, 4, y, np.ones(N), np.random.RandomState(0))
    vector = ravel(params)
    params = unravel(vector + rng.normal(size=vector.size), params)
    scores = params["gate"][:, 0] + X @ params["gate"][:, 1:].T
    keys, state = rng.integers(K, size=N), {}
    if name == "expert_choice":
        state = {"thresholds": np.quantile(softmax(scores, axis=1), 0.8, axis=0)}
        share = softmax(scores, axis=1)
        weights = np.where(share >= state["thresholds"], share, 0)
    elif name == "base":
        state = {"prices": rng.normal(size=K)}
        chosen = np.argmax(scores - state["prices"], axis=1)
        weights = np.eye(K)[chosen] * expit(scores)
    else:
        weights = np.eye(K)[keys] if name == "hash" else RULES[name](scores)
    f = np.einsum("nk,nkq->nq", weights, outputs(params["expert"], X))
    if "shared" in params:
        shared = outputs(params["shared"], X).sum(axis=1)
        G = expit(params["mix"][0] + X @ params["mix"][1:])[:, None] if name == "nllb" else None
        f = shared + f if G is None else (1 - G) * shared + G * f
    assert ("shared" in params) == (blend.n_shared > 0) and blend.mixes == (name == "nllb")
    found = blend.outputs(params, state, BlendRows(X, X, keys=keys))
    assert np.abs(found - f).max() < 1e-10


# -- training ------------------------------------------------------------------------------------


def test_shazeer_keeps_the_best_of_noisy_scores_and_evens_out_importance_and_load():
    scores, scale = example()
    chosen = trained("shazeer")
    noisy = scores + scale * np.random.default_rng(1).standard_normal((N, K))
    kept = top(noisy, 2)
    g = renormalized(softmax(noisy, axis=1), kept)
    assert np.abs(chosen.weights - g).max() < 1e-10
    importance = loss_of("shazeer", "ImportanceLoss", chosen).value
    assert importance == pytest.approx(0.1 * variation(g.sum(axis=0) / N), rel=1e-10)
    bound = np.empty((N, K))
    for i in range(K):  # the second best of the others
        bound[:, i] = np.sort(np.delete(noisy, i, axis=1), axis=1)[:, -2]
    load = norm.cdf((scores - bound) / scale).sum(axis=0) / N
    found = loss_of("shazeer", "LoadLoss", chosen).value
    assert found == pytest.approx(0.1 * variation(load), rel=1e-10)


def test_vmoe_has_noise_of_one_over_K_raw_shares_and_importance_without_noise():
    scores, _ = example()
    chosen = trained("vmoe")
    noisy = scores + np.random.default_rng(1).standard_normal((N, K)) / 16
    share = np.where(top(noisy, 2), softmax(noisy, axis=1), 0)
    assert np.abs(chosen.weights - share).max() < 1e-10
    found = loss_of("vmoe", "ImportanceLoss", chosen).value
    clean = softmax(scores, axis=1).mean(axis=0)
    assert found == pytest.approx(0.005 * variation(clean), rel=1e-10)


@pytest.mark.parametrize(
    "name, k",
    [
        *(("switch", 1), ("glam", 2), ("st_moe", 2), ("mixtral", 2), ("dbrx", 4), ("olmoe", 8)),
        ("deepseek_v2", 4),
    ],
)
def test_presets_with_an_auxiliary_loss_have_it_by_shares_of_pairs(name, k):
    scores, _ = example()
    chosen = trained(name)
    assert np.abs(chosen.weights - RULES[name](scores)).max() < 1e-10
    found = loss_of(name, "AuxiliaryLoss", chosen).value
    assert found == pytest.approx(0.01 * auxiliary(top(scores, k), scores), rel=1e-10)


@pytest.mark.parametrize("name", ["st_moe", "olmoe"])
def test_presets_with_a_z_loss_have_the_mean_square_of_log_sums(name):
    scores, _ = example()
    size = np.log(np.exp(scores).sum(axis=1))
    found = loss_of(name, "ZLoss", trained(name)).value
    assert found == pytest.approx(0.001 * np.mean(size**2), rel=1e-10)


@pytest.mark.parametrize("name, k", [("switch", 1), ("gshard", 2), ("glam", 2), ("vmoe", 2)])
def test_presets_with_a_capacity_drop_what_is_beyond_it(name, k):
    factor = PRESETS[name].parameters["capacity_factor"]
    chosen = trained(name, factor)
    most = np.ceil(factor * k * N / K)
    assert (chosen.kept.sum(axis=0) <= most).all()
    assert not (chosen.kept & ~chosen.wanted).any()
    full = chosen.kept.sum(axis=0) < chosen.wanted.sum(axis=0)
    assert (chosen.kept.sum(axis=0)[full] == most).all()


def test_gshard_keeps_the_second_with_twice_its_share():
    scores, _ = example()
    chosen = trained("gshard")
    rows = np.arange(N)
    order = np.argsort(-scores, axis=1)
    pair = softmax(np.take_along_axis(scores, order[:, :2], axis=1), axis=1)
    second = np.random.default_rng(1).uniform(size=N) < 2 * pair[:, 1]
    assert chosen.kept[rows, order[:, 0]].all()
    assert (chosen.kept[rows, order[:, 1]] == second).all()
    assert (chosen.kept.sum(axis=1) == 1 + second).all()
    g = renormalized(softmax(scores, axis=1), chosen.kept)
    assert np.abs(chosen.weights - g).max() < 1e-10
    found = loss_of("gshard", "AuxiliaryLoss", chosen).value
    assert found == pytest.approx(0.01 * auxiliary(chosen.kept, scores), rel=1e-10)


def test_nllb_masks_a_fifth_of_the_pairs_and_has_a_budget():
    scores, _ = example()
    chosen = trained("nllb")
    left = np.random.default_rng(1).uniform(size=(N, K)) >= 0.2
    assert np.abs(chosen.weights - RULES["nllb"](scores) * left / 0.8).max() < 1e-10
    assert [type(t).__name__ for t in PRESETS["nllb"].parameters["balance"]] == [
        "AuxiliaryLoss",
        "BudgetLoss",
    ]
    found = loss_of("nllb", "AuxiliaryLoss", chosen).value
    assert found == pytest.approx(0.01 * auxiliary(top(scores, 2), scores), rel=1e-10)
    budget, G = PRESETS["nllb"].parameters["balance"][1], expit(np.linspace(-2, 1, N))
    found = budget.loss(chosen, PRESETS["nllb"].router, np.full(N, 1 / N), G).value
    assert found == pytest.approx(0.1 * abs(G.mean() - 0.5), rel=1e-10)


def test_deepseek_v3_chooses_by_biased_scores_and_moves_the_bias_by_signs():
    scores, _ = example()
    bias = np.linspace(-0.3, 0.1, K)
    batch = Batch(np.ones(N), np.random.default_rng(1))
    chosen = PRESETS["deepseek_v3"].router.train(scores, {"bias": bias}, batch)
    value = expit(scores) + bias
    two = np.sort(value.reshape(N, 8, 2), axis=2).sum(axis=2)
    seen = np.repeat(top(two, 4), 2, axis=1)
    kept = top(np.where(seen, value, -np.inf), 4)
    assert (chosen.kept == kept).all()
    assert np.abs(chosen.weights - 2.5 * renormalized(expit(scores), kept)).max() < 1e-10
    (rule,) = PRESETS["deepseek_v3"].parameters["balance"]
    load = kept.sum(axis=0)
    moved = rule.update(rule.start(K, 10) | {"bias": bias}, load, spread=1.0)["bias"]
    assert np.abs(moved - (bias + 1e-3 * np.sign(load.mean() - load))).max() < 1e-15


def test_expert_choice_is_the_best_rows_of_every_column():
    scores, _ = example()
    chosen = trained("expert_choice")
    share = softmax(scores, axis=1)
    m = 2 * N // K
    kept = share >= np.sort(share, axis=0)[-m]
    assert np.abs(chosen.weights - np.where(kept, share, 0)).max() < 1e-10


def test_base_weighs_the_one_assigned_by_the_sigmoid_of_its_score():
    scores, _ = example()
    chosen = trained("base")
    assert (chosen.kept.sum(axis=0) == N // K).all() and (chosen.kept.sum(axis=1) == 1).all()
    assert np.abs(chosen.weights - np.where(chosen.kept, expit(scores), 0)).max() < 1e-10


def test_hash_weighs_the_expert_of_the_key_by_one():
    scores, _ = example()
    router = PRESETS["hash"].router
    keys = router.numbers(np.arange(N)[:, None] % 7, K)
    found = router.route(scores, {}, keys).weights
    assert (found == np.eye(K)[keys]).all() and len(np.unique(keys)) <= 7


def test_a_preset_shows_what_it_sets_and_the_paper():
    text = repr(preset("switch"))
    assert "arXiv:2101.03961" in text and "TopKRouter(k=1, weight='raw')" in text
    assert "capacity_factor=1.25" in text and "AuxiliaryLoss" in text
    with pytest.raises(ValueError, match="preset 'swish' is not known in this version"):
        preset("swish")
