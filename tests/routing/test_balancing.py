"""Balance terms: their values where these are known, their slopes against differences."""

import numpy as np
import pytest
from scipy.special import expit, ndtr, softmax

from classic_moe.routing import (
    AuxiliaryLoss,
    BiasBalancing,
    BudgetLoss,
    ImportanceLoss,
    LoadLoss,
    RandomRouter,
    TopKRouter,
    ZLoss,
)
from classic_moe.routing.balancing import load_probabilities, squared_variation
from classic_moe.routing.base import Batch, Choice

N, K = 40, 6


def choice(router, scores, scale=None, seed=3):
    batch = Batch(np.ones(len(scores)), np.random.default_rng(seed), scale=scale)
    return router.train(scores, {}, batch)


def example(seed=0, n=N):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, K)) + rng.normal(size=K)
    weight = rng.uniform(0.5, 2, size=n)
    return scores, 0.3 + rng.uniform(size=(n, K)), weight / weight.sum()


TERMS = {
    "auxiliary": (AuxiliaryLoss(0.7), TopKRouter(2)),
    "auxiliary sigmoid": (AuxiliaryLoss(), TopKRouter(2, score="sigmoid")),
    "importance": (ImportanceLoss(), TopKRouter(2)),
    "importance noisy": (ImportanceLoss(), TopKRouter(2, noise="learned")),
    "importance raw": (ImportanceLoss(), TopKRouter(2, weight="raw", noise=0.3)),
    "importance sigmoid": (ImportanceLoss(), TopKRouter(2, score="sigmoid", noise="learned")),
    "load": (LoadLoss(), TopKRouter(2, noise="learned")),
    "load fixed": (LoadLoss(), TopKRouter(3, noise=0.4)),
    "z": (ZLoss(0.1), TopKRouter(2)),
}


@pytest.mark.parametrize("name", TERMS)
def test_slopes_agree_with_differences(name):
    term, router = TERMS[name]
    scores, scale, weight = example()

    def value(scores, scale):
        return term.loss(choice(router, scores, scale), router, weight)

    found = value(scores, scale)
    assert (value(scores + 1e-7, scale).scores is None) == (found.scores is None)
    for which, slope in (("scores", found.scores), ("scale", found.scale)):
        if slope is None or (which == "scale" and not router.learns_noise):
            continue
        for index in [(0, 0), (5, 2), (11, 3), (25, 5), (39, 1)]:
            step = np.zeros_like(scores)
            step[index] = 1e-5
            ends = [
                value(scores + s * step, scale)
                if which == "scores"
                else value(scores, scale + s * step)
                for s in (1, -1)
            ]
            difference = (ends[0].value - ends[1].value) / 2e-5
            assert difference == pytest.approx(slope[index], rel=1e-6, abs=1e-10)


def test_the_budget_s_slope_agrees_with_differences():
    weight, logit = example()[2], np.linspace(-2, 1, N)
    term = BudgetLoss(0.7, 0.2)
    found = term.loss(None, None, weight, expit(logit))
    assert found.value == pytest.approx(0.2 * abs(weight @ expit(logit) - 0.7), rel=1e-12)
    step = np.zeros(N)
    step[7] = 1e-5
    ends = [term.loss(None, None, weight, expit(logit + s * step)).value for s in (1, -1)]
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(found.mix[7], rel=1e-6)


# -- the auxiliary loss ------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_auxiliary_loss_is_one_where_shares_are_equal_and_K_at_collapse(k):
    router, weight = TopKRouter(k), np.full(N, 1 / N)
    equal = choice(router, np.zeros((N, K)))
    assert AuxiliaryLoss(1.0).loss(equal, router, weight).value == pytest.approx(1, rel=1e-12)
    if k == 1:
        one = np.zeros((N, K))
        one[:, 2] = 50.0
        value = AuxiliaryLoss(1.0).loss(choice(router, one), router, weight).value
        assert value == pytest.approx(K, rel=1e-9)


def test_the_auxiliary_loss_may_be_below_one():
    shares = np.array([[0.5001, 0.4999]] * 3 + [[1e-300, 1.0]])
    router = TopKRouter(1)
    found = AuxiliaryLoss(1.0).loss(choice(router, np.log(shares)), router, np.full(4, 0.25))
    assert found.value == pytest.approx(0.8751, abs=5e-5)


def test_the_auxiliary_loss_counts_rows_before_they_are_dropped():
    scores, _, weight = example()
    router = TopKRouter(2)
    batch = Batch(np.ones(N), np.random.default_rng(0), capacity_factor=1.0)
    limited = router.train(scores, {}, batch)
    assert limited.kept.sum() < limited.wanted.sum()
    free = choice(router, scores)
    term = AuxiliaryLoss()
    assert term.loss(limited, router, weight).value == term.loss(free, router, weight).value


# -- importance and load ------------------------------------------------------------


def test_importance_is_the_squared_variation_of_the_sums_of_weights():
    scores, _, weight = example()
    router = TopKRouter(2)
    chosen = choice(router, scores)
    total = weight @ softmax(np.where(chosen.kept, scores, -np.inf), axis=1)
    found = ImportanceLoss(1.0).loss(chosen, router, weight).value
    assert found == pytest.approx(total.var() / total.mean() ** 2, rel=1e-6)  # the 1e-10 beneath
    assert squared_variation(np.full(5, 0.2))[0] == 0


def test_load_probabilities_are_those_of_noise_drawn_anew():
    scores, scale, _ = example(n=20)
    router, k = TopKRouter(2, noise="learned"), 2
    chosen = choice(router, scores, scale)
    proba, _ = load_probabilities(chosen, k)
    draws = np.random.default_rng(1).standard_normal((20_000, 20, K))
    others = np.stack([np.delete(chosen.noisy, i, axis=1) for i in range(K)], axis=1)
    bound = np.sort(others, axis=2)[:, :, -k]  # the k-th largest of the others
    simulated = (scores + scale * draws > bound).mean(axis=0)
    error = np.sqrt(np.maximum(proba * (1 - proba), 1e-4) / 20_000)
    assert (np.abs(simulated - proba) < 4.5 * error).all()  # 120 entries
    assert proba == pytest.approx(ndtr((scores - bound) / scale), rel=1e-12)


def test_smooth_loads_of_many_rows_sum_to_k_a_row():
    scores, scale, _ = example(n=20_000)
    chosen = choice(TopKRouter(2, noise="learned"), scores, scale)
    assert load_probabilities(chosen, 2)[0].sum(axis=1).mean() == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("router", [TopKRouter(2), RandomRouter()])
def test_a_load_loss_without_noise_is_refused(router):
    with pytest.raises(ValueError, match="LoadLoss needs noisy scores"):
        LoadLoss().check_router(router, K)


def test_a_load_loss_of_all_experts_is_refused():
    with pytest.raises(ValueError, match="LoadLoss with k=6 and n_experts=6"):
        LoadLoss().check_router(TopKRouter(6, noise=1.0), K)


def test_the_z_loss_depends_on_the_level_of_the_scores():
    router, weight = TopKRouter(1), np.full(N, 1 / N)
    level = np.zeros((N, K))
    assert ZLoss(1.0).loss(choice(router, level), router, weight).value == pytest.approx(
        np.log(K) ** 2, rel=1e-12
    )
    shifted = choice(router, level - np.log(K))
    assert ZLoss(1.0).loss(shifted, router, weight).value == pytest.approx(0, abs=1e-20)


# -- the bias on a stream ------------------------------------------------------------


class Stream:
    """Scores of fresh rows: four features, sixteen experts, skewed by 1.5 nats."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.weights = self.rng.normal(size=(4, 16))
        self.skew = 1.5 * self.rng.normal(size=16)

    def __call__(self, n):
        return self.rng.normal(size=(n, 4)) @ self.weights + self.skew


def excess(load):
    return load.max() / load.mean() - 1


def balanced(rate, score, n_batches, n_rows, to_scores=lambda s: s):
    """The excess loads of the last 200 batches, and of 20,000 fresh rows with the last bias."""
    stream, router, rule = Stream(), TopKRouter(2, score=score), BiasBalancing(rate)
    fresh = to_scores(stream(20_000))
    state, seen = rule.start(16, n_batches), []
    for _ in range(n_batches):
        scores = to_scores(stream(n_rows))
        load = router.route(scores, state).kept.sum(axis=0)
        seen.append(excess(load))
        state = rule.update(state, load, router.values(scores).std())
    last, mean = (
        excess(router.route(fresh, s).kept.sum(axis=0)) for s in (state, rule.settle(state))
    )
    return np.mean(seen[-200:]), last, mean


def test_sign_steps_of_a_thousandth_balance_sigmoids_and_ten_times_larger_ones_oscillate():
    late, fresh, mean = balanced(1e-3, "sigmoid", 1500, 1024)
    assert late <= 0.25 and fresh <= 0.10 and mean <= 0.10
    assert balanced(1e-2, "sigmoid", 400, 1024)[0] > late


@pytest.mark.parametrize("kind", ["sigmoid", "logits", "shares"])
def test_the_automatic_rate_balances_scores_of_any_size(kind):
    options = {
        "sigmoid": dict(score="sigmoid"),
        "logits": dict(score="softmax"),
        "shares": dict(score="softmax", to_scores=lambda s: softmax(s, axis=1)),
    }[kind]
    assert balanced("auto", n_batches=600, n_rows=512, **options)[2] <= 0.10


def test_a_bias_for_a_router_without_scores_is_refused():
    with pytest.raises(ValueError, match="BiasBalancing acts on the scores of a TopKRouter"):
        BiasBalancing().check_router(RandomRouter(), K)


@pytest.mark.parametrize(
    "term",
    [AuxiliaryLoss(-1), ZLoss(np.nan), BudgetLoss(1.0), BiasBalancing(0), BiasBalancing("quick")],
)
def test_hyper_parameters_that_no_fit_could_use_are_refused(term):
    with pytest.raises(ValueError, match=type(term).__name__):
        term.check_parameters()


def test_no_rows_at_all_are_no_loads_at_all():
    nothing = Choice(*(np.zeros((1, K)),) * 1, *(np.zeros((1, K), bool),) * 2, *np.zeros((2, 1, K)))
    found = AuxiliaryLoss().loss(nothing, TopKRouter(2), np.ones(1))
    assert np.isfinite(found.value) and np.isfinite(found.scores).all()
