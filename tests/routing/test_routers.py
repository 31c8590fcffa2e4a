"""What routers do with scores: who is kept, what weights and gradients come of it."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import expit, softmax

from classic_moe.routing import (
    BalancedAssignmentRouter,
    ExpertChoiceRouter,
    HashRouter,
    RandomRouter,
    SampledRouter,
    TopKRouter,
)
from classic_moe.routing._selection import best, capacity, rerouted, within
from classic_moe.routing.assignment import balanced, prices
from classic_moe.routing.base import Batch


def scores(n=200, K=12, skew=1.5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, K)) + skew * rng.normal(size=K)


def batch(n, seed=0, **options):
    return Batch(np.ones(n), np.random.default_rng(seed), **options)


ROUTERS = {
    "renormalized": TopKRouter(2),
    "raw": TopKRouter(2, weight="raw"),
    "sigmoid": TopKRouter(3, score="sigmoid", scale=2.5),
    "sigmoid raw": TopKRouter(2, score="sigmoid", weight="raw"),
    "noise": TopKRouter(2, noise=0.3),
    "second": TopKRouter(2, second="random"),
    "groups": TopKRouter(3, n_groups=4, n_kept_groups=2),
    "masking": TopKRouter(2, weight="raw", masking=0.2),
    "expert choice": ExpertChoiceRouter(2.0),
    "exact": BalancedAssignmentRouter(),
    "sinkhorn": BalancedAssignmentRouter("sinkhorn"),
    "random": RandomRouter(),
    "sampled": SampledRouter(),
}


# -- selection ------------------------------------------------------------


def test_the_best_experts_are_those_of_a_stable_sort_with_ties_to_the_lowest_index():
    s = np.round(scores(500, 20), 1)  # many ties
    for k in (1, 2, 5, 20):
        assert (best(s, k) == np.argsort(-s, axis=1, kind="stable")[:, :k]).all()


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("factor", [1.0, 1.25, 2.0])
def test_capacity_is_never_exceeded_and_drops_what_is_beyond_it_in_any_order(k, factor):
    s = scores(400)
    choice, K = best(s, k), s.shape[1]
    load = np.bincount(choice.ravel(), minlength=K)
    most = capacity(400, K, k, factor)
    assert most == np.ceil(factor * k * 400 / K)
    for order in (None, np.argsort(-softmax(s, axis=1).max(axis=1), kind="stable")):
        kept = within(choice, np.ones(400), K, most, order)
        used = np.bincount(choice[kept], minlength=K)
        assert (used <= most).all()
        assert (used == np.minimum(load, most)).all()
        assert (~kept).sum() == np.maximum(load - most, 0).sum()


def test_first_choices_come_before_second_ones_and_early_rows_before_late_ones():
    choice = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
    kept = within(choice, np.ones(4), 2, 3.0)
    assert kept.tolist() == [[True, True], [True, True], [True, False], [True, False]]
    kept = within(choice[:, :1], np.ones(4), 2, 1.0, order=np.array([3, 2, 1, 0]))
    assert kept[:, 0].tolist() == [False, False, True, True]


def test_capacities_count_weights():
    kept = within(np.zeros((3, 1), dtype=int), np.array([2.0, 1.0, 1.0]), 2, 3.0)
    assert kept[:, 0].tolist() == [True, True, False]


@pytest.mark.parametrize("k", [1, 2])
def test_rows_that_find_no_room_go_to_their_next_best_expert(k):
    s = scores(400, 12)
    most = capacity(400, 12, k, 1.25)
    kept = rerouted(s, np.ones(400), k, most)
    assert (kept.sum(axis=0) <= most).all()
    assert (kept.sum(axis=1) == k).all()
    first = within(best(s, k)[:, :1], np.ones(400), 12, most)[:, 0]
    rows = np.flatnonzero(first)
    assert kept[rows, s.argmax(axis=1)[rows]].all()  # nobody loses a first choice to a latecomer


def test_a_router_drops_the_pairs_beyond_its_capacity():
    s = scores(300)
    chosen = TopKRouter(2).train(s, {}, batch(300, capacity_factor=1.0))
    load = chosen.wanted.sum(axis=0)
    assert (chosen.kept.sum(axis=0) == np.minimum(load, 50)).all()
    total = chosen.weights.sum(axis=1)  # the one that is left has all the weight
    assert np.allclose(total[chosen.kept.any(axis=1)], 1, rtol=1e-14)
    rerouting = TopKRouter(2).train(s, {}, batch(300, capacity_factor=1.25, overflow="next"))
    assert (rerouting.kept.sum(axis=1) == 2).all()
    by_share = TopKRouter(2, priority="best").train(s, {}, batch(300, capacity_factor=1.0))
    assert by_share.kept.sum() == chosen.kept.sum()
    sure = softmax(s, axis=1).max(axis=1)
    assert sure[by_share.kept.any(axis=1)].mean() > sure[chosen.kept.any(axis=1)].mean()


# -- weights and gradients ------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 4, 12])
def test_renormalized_weights_are_those_of_both_published_spellings(k):
    s = scores()
    chosen = TopKRouter(k).route(s, {})
    assert (chosen.kept.sum(axis=1) == k).all()
    masked = softmax(np.where(chosen.kept, s, -np.inf), axis=1)
    share = np.where(chosen.kept, softmax(s, axis=1), 0)
    assert np.allclose(chosen.weights, masked, rtol=1e-12)
    assert np.allclose(chosen.weights, share / share.sum(axis=1, keepdims=True), rtol=1e-12)


def test_scores_far_apart_have_weights_that_are_numbers():
    s = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])
    for name in ("renormalized", "raw", "sigmoid raw", "sigmoid"):
        assert np.isfinite(ROUTERS[name].route(s, {}).weights).all()


def test_a_bias_says_who_is_chosen_and_not_with_what_weight():
    s, bias = scores(), np.linspace(-1, 1, 12)
    chosen = TopKRouter(2, score="sigmoid").route(s, {"bias": bias})
    assert (chosen.kept == _marked(np.argsort(-(expit(s) + bias), axis=1)[:, :2], 12)).all()
    share = np.where(chosen.kept, expit(s), 0)
    assert np.allclose(chosen.weights, share / share.sum(axis=1, keepdims=True), rtol=1e-12)


def _marked(choice, K):
    kept = np.zeros((len(choice), K), dtype=bool)
    np.put_along_axis(kept, choice, True, axis=1)
    return kept


def test_rows_see_the_experts_of_their_best_groups_alone():
    s = scores()
    bias = -5 * np.ones(12)  # negative values must not lose to groups left out
    kept = ROUTERS["groups"].route(s, {"bias": bias}).kept
    two = np.sort(s.reshape(-1, 4, 3), axis=2)[:, :, 1:].sum(axis=2)
    seen = _marked(np.argsort(-two, axis=1)[:, :2], 4).repeat(3, axis=1)
    assert (kept == _marked(np.argsort(-np.where(seen, s, -np.inf), axis=1)[:, :3], 12)).all()


@pytest.mark.parametrize("name", [name for name in ROUTERS if name not in ("random", "sampled")])
def test_gradients_in_the_scores_agree_with_differences(name):
    router, s = ROUTERS[name], scores(30)
    slope = np.random.default_rng(1).normal(size=s.shape)

    def value(s):
        chosen = router.train(s, {}, batch(30))
        return np.sum(chosen.weights * slope), chosen

    chosen = value(s)[1]
    found = router.slopes(chosen, slope, None)[0]
    for index in [(0, 0), (3, 5), (17, 11), *np.argwhere(chosen.kept)[::9]]:
        step = np.zeros_like(s)
        step[tuple(index)] = 1e-6
        difference = (value(s + step)[0] - value(s - step)[0]) / 2e-6
        assert abs(difference - found[tuple(index)]) < 1e-7


def test_one_renormalized_weight_teaches_the_gate_nothing():
    s = scores(30)
    router = TopKRouter(1)
    chosen = router.route(s, {})
    assert not router.slopes(chosen, np.ones_like(s), None)[0].any()
    assert not router.teaches_gate and TopKRouter(1, weight="raw").teaches_gate


def test_noise_that_is_learned_has_a_gradient_in_its_scale():
    s, rng = scores(30), np.random.default_rng(1)
    slope, scale = rng.normal(size=s.shape), 0.2 + rng.uniform(size=s.shape)
    router = TopKRouter(2, noise="learned")

    def value(scale):
        chosen = router.train(s, {}, batch(30, scale=scale))
        return np.sum(chosen.weights * slope), chosen

    chosen = value(scale)[1]
    found = router.slopes(chosen, slope, None)[1]
    for index in np.argwhere(chosen.kept)[::9]:
        step = np.zeros_like(s)
        step[tuple(index)] = 1e-6
        difference = (value(scale + step)[0] - value(scale - step)[0]) / 2e-6
        assert abs(difference - found[tuple(index)]) < 1e-7


def test_the_second_expert_is_kept_twice_as_often_as_its_share():
    s = np.tile(np.log([[2.0, 1.0, 1e-9]]), (40_000, 1))  # g₂ = 1/3
    kept = TopKRouter(2, second="random").train(s, {}, batch(40_000)).kept
    assert kept[:, 0].all() and not kept[:, 2].any()
    assert abs(kept[:, 1].mean() - 2 / 3) < 0.01  # four standard errors
    assert TopKRouter(2, second="random").route(s, {}).kept[:, :2].all()


def test_masked_pairs_are_made_up_for_by_the_others():
    s = scores(20_000)
    chosen = ROUTERS["masking"].train(s, {}, batch(20_000))
    plain = ROUTERS["raw"].train(s, {}, batch(20_000))
    assert abs((chosen.weights == 0)[chosen.kept].mean() - 0.2) < 0.01
    assert abs(chosen.weights.sum() / plain.weights.sum() - 1) < 0.01
    assert (ROUTERS["masking"].route(s, {}).weights == plain.weights).all()


# -- the rule of predictions ------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTERS)
def test_a_row_is_routed_alike_whatever_rows_are_beside_it(name):
    router, s = ROUTERS[name], scores(100)
    state = router.settle({"bias": np.linspace(0, 1, 12)}, scores(512, seed=1))
    whole = router.route(s, state)
    order = np.random.default_rng(0).permutation(100)
    assert (router.route(s[order], state).weights == whole.weights[order]).all()
    assert (router.route(np.repeat(s, 2, axis=0), state).weights[::2] == whole.weights).all()
    for row in (0, 50, 99):
        assert (router.route(s[row : row + 1], state).weights == whole.weights[row]).all()


# -- experts that choose rows ------------------------------------------------------------


@pytest.mark.parametrize("n", [96, 100, 131])
def test_experts_that_choose_have_equal_loads(n):
    s = scores(n)
    load = ExpertChoiceRouter(2.0).train(s, {}, batch(n)).kept.sum(axis=0)
    assert (load == round(2 * n / 12)).all()
    load = BalancedAssignmentRouter().train(s, {}, batch(n)).kept.sum(axis=0)
    assert load.sum() == n and np.ptp(load) <= 1


@pytest.mark.parametrize("n", [48, 50])
def test_the_assignment_has_the_value_of_the_linear_programme(n):
    s, K = scores(n, 6), 6
    mine = s[np.arange(n), balanced(s)].sum()
    rows = np.kron(np.eye(n), np.ones(K))
    loads = np.tile(np.eye(K), n)
    found = linprog(
        -s.ravel(),
        A_ub=np.vstack([loads, -loads]),
        b_ub=np.r_[np.full(K, -(-n // K)), np.full(K, -(n // K))],
        A_eq=rows,
        b_eq=np.ones(n),
    )
    assert abs(mine + found.fun) < 1e-9


def test_prices_buy_what_the_assignment_gives():
    s = scores(512, 16)
    chosen = balanced(s)
    assert ((s - prices(s)).argmax(axis=1) == chosen).mean() >= 0.95
    assert (s.argmax(axis=1) == chosen).mean() < 0.6  # the best score alone does not


def test_sinkhorn_at_a_low_temperature_is_the_assignment():
    s = scores(192)
    smooth = BalancedAssignmentRouter("sinkhorn", eps=0.01).train(s, {}, batch(192)).kept
    exact = BalancedAssignmentRouter().train(s, {}, batch(192)).kept
    assert (smooth == exact).all(axis=1).mean() > 0.97
    assert abs(s[smooth].sum() / s[exact].sum() - 1) < 1e-3


def test_thresholds_share_out_fresh_rows_about_evenly():
    s = scores(28_192, 16)
    router = ExpertChoiceRouter(2.0)
    state = router.settle({}, s[:8192])
    chosen = router.route(s[8192:], state, alone=True)
    batch_rule = router.train(s[8192:], {}, batch(20_000)).kept
    load = chosen.kept.sum(axis=0)
    assert load.std() / load.mean() < 0.06  # 0.041 on like scores, where plain top-2 had 1.2
    assert (chosen.kept == batch_rule).mean() > 0.99
    served = router.route(s[8192:], state)
    assert served.kept.any(axis=1).all()


# -- keys, chance, reward ------------------------------------------------------------


def test_a_hash_is_a_fixed_table_that_uses_all_experts():
    keys = np.arange(20_000.0)[:, None]
    found = HashRouter().numbers(keys, 16)
    assert (HashRouter().numbers(keys[::-1], 16) == found[::-1]).all()
    assert (HashRouter(seed=1).numbers(keys, 16) != found).mean() > 0.9
    load = np.bincount(found, minlength=16)
    assert load.std() / load.mean() < 0.05  # of a multinomial 0.027
    assert len(set(HashRouter().numbers(np.array([[0.0], [-0.0]]), 16))) == 1


def test_a_measurement_is_no_key():
    with pytest.raises(ValueError, match="column x0 holds numbers of which 100% are distinct"):
        HashRouter().check_keys(np.random.default_rng(0).normal(size=(50, 1)), ["x0"])
    HashRouter().check_keys(np.arange(50.0)[:, None], ["id"])


def test_a_sampled_gradient_is_unbiased_and_a_baseline_takes_variance_away():
    s, n = np.tile([[0.5, 0.0, -0.5, 0.2]], (200_000, 1)), 200_000
    reward = np.array([-4.0, -3.5, -4.2, -3.9])
    g = softmax(s[0])
    exact = g * (reward - g @ reward)
    spread = {}
    for level in (0.0, g @ reward):
        router = SampledRouter()
        chosen = router.train(s, {"baseline": level}, batch(n))
        values = (chosen.kept @ reward, np.ones(n))
        slope = router.slopes(chosen, np.zeros_like(s), values)[0]
        error = slope.std(axis=0) / np.sqrt(n)
        assert (np.abs(slope.mean(axis=0) - exact) < 4 * error).all()
        spread[level] = slope.var(axis=0).sum()
    assert spread[0.0] > 10 * spread[g @ reward]
    assert SampledRouter().learn({}, values)["baseline"] == pytest.approx(values[0].mean())


# -- refusals ------------------------------------------------------------


@pytest.mark.parametrize(
    "router, words",
    [
        (TopKRouter(9), "k=9 of TopKRouter, but n_experts=8"),
        (TopKRouter(8, noise=1.0), "noise=1.0 with k=n_experts=8"),
        (TopKRouter(3, second="random"), "second='random' of TopKRouter needs k=2, got k=3"),
        (TopKRouter(2, n_groups=3), "n_groups=3 and n_kept_groups=1"),
        (TopKRouter(4, n_groups=4, n_kept_groups=1), "n_groups=4"),
        (ExpertChoiceRouter(9.0), "capacity=9.0 of ExpertChoiceRouter, but n_experts=8"),
    ],
)
def test_a_router_that_does_not_fit_the_experts_is_refused(router, words):
    with pytest.raises(ValueError, match=words):
        router.check_experts(8)


@pytest.mark.parametrize(
    "router",
    [
        TopKRouter(0),
        TopKRouter(score="tanh"),
        TopKRouter(weight=1),
        TopKRouter(noise="much"),
        TopKRouter(noise=-1.0),
        TopKRouter(masking=1.0),
        ExpertChoiceRouter(0),
        BalancedAssignmentRouter("auction"),
        BalancedAssignmentRouter(eps=0),
        HashRouter(-1),
        SampledRouter("median"),
    ],
)
def test_hyper_parameters_that_no_fit_could_use_are_refused(router):
    with pytest.raises(ValueError, match=type(router).__name__):
        router.check_parameters()


def test_a_batch_too_large_for_an_assignment_is_refused():
    with pytest.raises(ValueError, match="batch of 2049 rows for 12 experts"):
        BalancedAssignmentRouter().train(scores(2049), {}, batch(2049))
    with pytest.raises(ValueError, match="batch of 11 rows for 12 experts"):
        BalancedAssignmentRouter().train(scores(11), {}, batch(11))
