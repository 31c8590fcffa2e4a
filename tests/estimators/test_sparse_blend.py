"""Sparse blends: what the estimators show of a routed sum of experts, and what they refuse."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from classic_moe import (
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
    diagnose,
)
from classic_moe.datasets import make_robot_arm
from classic_moe.experts import LinearExpert, MLPExpert
from classic_moe.inference import infer
from classic_moe.routing import (
    PRESETS,
    AuxiliaryLoss,
    BiasBalancing,
    BudgetLoss,
    ExpertChoiceRouter,
    HashRouter,
    LoadLoss,
    TopKRouter,
    ZLoss,
    preset,
    top_k_report,
)
from classic_moe.solvers import SGD, Adam


def data(n=600, seed=0):
    X, y = make_robot_arm(n, random_state=seed)[:2]
    X = np.column_stack([X, np.arange(n) % 23])
    label = np.array(["low", "mid", "high"])[np.digitize(y[:, 0], np.quantile(y[:, 0], [0.3, 0.6]))]
    return X, y, label


X, Y, LABEL = data()
KEY = [X.shape[1] - 1]


def regressor(router="top_k", **options):
    options = dict(combine="blend", random_state=0, max_iter=8) | options
    if router == "hash":
        options["hash_features"] = KEY
    return SparseMixtureOfExpertsRegressor(router=router, **options)


def classifier(router="top_k", **options):
    options = dict(combine="blend", random_state=0, max_iter=8) | options
    if router == "hash":
        options["hash_features"] = KEY
    return SparseMixtureOfExpertsClassifier(router=router, **options)


# -- predictions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PRESETS, "top_k", "random", "sampled", "balanced_assignment"])
def test_every_router_fits_and_predicts_a_row_alike_in_any_batch(name):
    model = regressor(name, expert=MLPExpert((8,))).fit(X, Y)
    assert np.abs(model.predict(X)).max() < 1e3 and model.score(X, Y) > 0.1
    order = np.random.default_rng(0).permutation(len(X))
    whole = model.predict(X)
    assert (model.predict(X[order]) == whole[order]).all()
    assert (model.predict(np.repeat(X, 2, axis=0))[::2] == whole).all()
    assert all((model.predict(X[i : i + 1]) == whole[i]).all() for i in range(0, 600, 37))
    each, some = model.predict_experts(X), list(range(0, 600, 37))
    assert (model.predict_experts(X[some]) == each[some]).all()
    assert all((model.predict_experts(X[i : i + 1]) == each[i]).all() for i in some)
    other = classifier(name).fit(X, LABEL)
    proba = other.predict_proba(X)
    most_frequent = np.unique(LABEL, return_counts=True)[1].max() / len(LABEL)
    assert (other.predict_proba(X[7:8]) == proba[7]).all()
    assert other.score(X, LABEL) > most_frequent  # hash and chance know nothing of the regions
    assert proba.sum(axis=1) == pytest.approx(1, rel=1e-12)
    assert model.expert_usage_.sum() == pytest.approx(1, rel=1e-12)
    assert (
        model.n_experts_ == PRESETS[name].parameters.get("n_experts", 16) if name in PRESETS else 16
    )


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_route_holds_the_weights_of_the_experts_kept(k):
    model = regressor(TopKRouter(k, weight="raw" if k == 1 else "renormalized"), n_experts=5)
    route = model.fit(X, Y).route(X)
    assert route.shape == (600, 5) and (np.diff(route.indptr) == k).all()
    if k > 1:
        assert route.sum(axis=1) == pytest.approx(1, rel=1e-12)
    if k == 5:
        assert route.toarray() == pytest.approx(model.gate_proba(X), rel=1e-12)
    assert (model.assign(X) == route.toarray().argmax(axis=1)).all()
    share = np.diff(route.tocsc().indptr) / route.nnz
    assert model.expert_usage_ == pytest.approx(share, rel=1e-12)
    assert model.load_imbalance_ == pytest.approx(5 * share.max() - 1, rel=1e-9)
    assert model.n_active_experts_ == (share >= 0.1 / 5).sum()


@pytest.mark.parametrize("expert", ["linear", MLPExpert((4,))])
@pytest.mark.parametrize("n_shared", [0, 1, 2])
def test_experts_add_up_to_the_prediction_in_the_caller_s_units(expert, n_shared):
    y = 100 + 30 * Y
    expert = LinearExpert(alpha=1e-3) if expert == "linear" else expert
    model = regressor(expert=expert, n_shared=n_shared, n_experts=4).fit(X, y)
    route = model.route(X[:20]).toarray()
    own = np.stack([each.predict(X[:20]) for each in model.experts_], axis=1)
    total = np.sum(route[:, :, None] * own, axis=1)
    total = total + sum(each.predict(X[:20]) for each in model.shared_experts_)
    assert len(model.shared_experts_) == n_shared
    assert total == pytest.approx(model.predict(X[:20]), rel=1e-9)


@pytest.mark.parametrize("n_shared", [1, 2])
def test_the_route_of_nllb_has_the_share_of_the_routed_experts(n_shared):
    """(1 - G) shared + G Σ w f: the weights of the route sum to G(x)."""
    y = 100 + 30 * Y
    model = regressor("nllb", expert=MLPExpert((4,)), n_shared=n_shared).fit(X, y)
    route = model.route(X).toarray()
    share = route.sum(axis=1)
    assert 0 < share.min() < share.max() < 1
    own = np.stack([each.predict(X) for each in model.experts_], axis=1)
    routed = np.sum(route[:, :, None] * own, axis=1)
    shared = sum(each.predict(X) for each in model.shared_experts_)
    total = (1 - share)[:, None] * shared + routed
    assert total == pytest.approx(model.predict(X), rel=1e-9)
    mix, inner = model.params_["mix"], model._check_X(X)[:]
    assert share == pytest.approx(1 / (1 + np.exp(-mix[0] - inner @ mix[1:])), rel=1e-10)


def test_the_distribution_is_one_normal_with_the_residual_variance():
    y = 5 + 3 * Y[:, 0]
    model = regressor().fit(X, y)
    dist = model.predict_dist(X)
    sd = np.sqrt(np.mean((y - model.predict(X)) ** 2))
    assert dist.mean() == pytest.approx(model.predict(X), rel=1e-12)
    assert dist.std() == pytest.approx(np.full(600, sd), rel=1e-9)
    assert model.predict(X, return_std=True)[1] == pytest.approx(dist.std())
    assert model.log_prob(X, y) == pytest.approx(dist.logpdf(y), rel=1e-10)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(X, y).sum(), rel=1e-10)
    several = regressor().fit(X, 5 + 3 * Y)
    assert several.log_prob(X, 5 + 3 * Y) == pytest.approx(
        several.predict_dist(X).logpdf(5 + 3 * Y), rel=1e-9
    )
    assert model.sample(X[:5], random_state=0)[0].shape == (5,)


def test_a_classifier_s_log_probabilities_are_those_of_its_labels():
    model = classifier(n_shared=1).fit(X, LABEL)
    log_proba = model.predict_log_proba(X)
    codes = np.searchsorted(model.classes_, LABEL)
    assert model.log_prob(X, LABEL) == pytest.approx(log_proba[np.arange(600), codes], rel=1e-10)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(X, LABEL).sum(), rel=1e-10)
    assert set(model.sample(X[:50], random_state=0)[0]) <= set(model.classes_)


@pytest.mark.parametrize(
    "name", ["responsibilities", "aic", "summary", "equations", "describe", "partial_fit"]
)
def test_a_blend_has_nothing_that_rests_on_a_mixture(name):
    assert not hasattr(regressor(), name)
    assert not hasattr(regressor().fit(X, Y), name)


# -- the routing's attributes ----------------------------------------------------------------------


def test_fitted_attributes_are_there_where_the_rule_has_them():
    bias = regressor(balance=BiasBalancing()).fit(X, Y)
    assert bias.router_bias_.shape == (16,) and not hasattr(bias, "prices_")
    assert regressor("base").fit(X, Y).prices_.shape == (16,)
    choice = regressor("expert_choice").fit(X, Y)
    assert choice.thresholds_.shape == (16,) and not hasattr(choice, "router_bias_")
    again = choice.set_params(router="top_k").fit(X, Y)
    assert not hasattr(again, "thresholds_")
    assert set(bias.balance_curve_) == {"load", "load_imbalance", "dropped_fraction"}


def test_loads_of_every_epoch_are_kept():
    model = regressor("switch", capacity_factor=1.0).fit(X, Y)
    load = model.balance_curve_["load"]
    assert load.shape == (model.n_iter_, 16)
    np.testing.assert_allclose(load.sum(axis=1), 1, rtol=1e-12)
    found = load.max(axis=1) / load.mean(axis=1) - 1
    np.testing.assert_allclose(found, model.balance_curve_["load_imbalance"], rtol=1e-9)


def test_dropped_pairs_are_those_beyond_the_capacity_of_all_rows_as_a_batch():
    model = regressor(TopKRouter(1, weight="raw"), capacity_factor=1.0).fit(X, Y)
    lost, sent = model.dropped(X), model.route(X).toarray() > 0
    most = int(np.ceil(len(X) / 16))
    np.testing.assert_array_equal(lost.sum(axis=0), np.maximum(sent.sum(axis=0) - most, 0))
    assert lost.any() and not (lost & ~sent).any()
    full = lost.any(axis=0)  # who comes last finds no room
    for k in np.flatnonzero(full):
        assert sent[lost[:, k].argmax() :, k].sum() == lost[:, k].sum()
    assert not regressor().fit(X, Y).dropped(X).any()
    moved = regressor(capacity_factor=1.0, overflow="next").fit(X, Y)
    assert moved.dropped(X).any(axis=1).mean() < 0.05  # all but a row here and there is served
    assert not hasattr(SparseMixtureOfExpertsRegressor(4), "dropped")


@pytest.mark.parametrize("term", [BiasBalancing(), AuxiliaryLoss(0.3)], ids=repr)
def test_balancing_evens_out_the_loads(term):
    free = regressor(TopKRouter(1, weight="raw"), max_iter=30).fit(X, Y)
    balanced = regressor(TopKRouter(1, weight="raw"), balance=term, max_iter=30).fit(X, Y)
    assert balanced.load_imbalance_ < 0.6 * free.load_imbalance_
    assert balanced.n_active_experts_ >= free.n_active_experts_


def test_what_the_caller_says_wins_over_a_preset():
    model = regressor("switch", n_shared=2, capacity_factor=2.0, balance=ZLoss()).fit(X, Y)
    assert len(model.shared_experts_) == 2
    assert "ZLoss" in model.balance_curve_ and "AuxiliaryLoss" not in model.balance_curve_
    assert regressor("mixtral").fit(X, Y).n_experts_ == 8
    assert regressor("mixtral", n_experts=5, k=3).fit(X, Y).route(X).nnz == 3 * 600


PAPERS = {
    "switch": (16, 1, 1, ["AuxiliaryLoss"], 1.25),
    "nllb": (16, 2, 1, ["AuxiliaryLoss", "BudgetLoss"], None),
    "mixtral": (8, 2, 0, ["AuxiliaryLoss"], None),
    "deepseek_v3": (16, 4, 1, ["BiasBalancing"], None),
}


def resolved(model):
    terms = [type(term).__name__ for term in model.balance_]
    return model.n_experts_, model.k_, model.n_shared_, terms, model.capacity_factor_


@pytest.mark.parametrize("name", PAPERS)
def test_what_is_left_unsaid_is_the_preset_s_and_shown(name):
    model = regressor(name, max_iter=1)
    assert {model.get_params()[each] for each in ("n_experts", "k", "n_shared", "balance")} == {
        None
    }
    assert resolved(model.fit(X, Y)) == PAPERS[name]
    assert model.router_.get_params() == PRESETS[name].router.get_params()
    assert model.get_params()["k"] is clone(model).k is None  # what was given stays as it was
    text = repr(preset(name))
    assert f"k={model.k_}" in text and f"n_shared={model.n_shared_}" in text
    assert f"n_experts={model.n_experts_}" in text
    assert f"capacity_factor={model.capacity_factor_ or 'none'!r}" in text


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_equals_a_default_wins_over_a_preset_when_it_is_said():
    said = dict(n_experts=16, k=2, n_shared=0, balance="none", capacity_factor="none", max_iter=1)
    assert resolved(regressor("switch", **said).fit(X, Y)) == (16, 2, 0, [], None)
    assert resolved(regressor("mixtral", **said).fit(X, Y)) == (16, 2, 0, [], None)
    assert resolved(regressor("olmoe", k=2, max_iter=1).fit(X, Y))[1] == 2
    assert resolved(regressor("olmoe", balance=(), max_iter=1).fit(X, Y))[3] == []
    model = SparseMixtureOfExpertsRegressor(**(said | dict(n_experts=2)), n_init=1)
    assert model.fit(X, Y[:, 0]).k_ == 2  # to a mixture they say nothing
    assert regressor(n_experts=1, max_iter=1).fit(X, Y).k_ == 1


def test_the_best_of_several_trainings_is_shown():
    seen = []
    short = dict(n_experts=4, max_iter=3)
    best = regressor(n_init=3, **short).fit(X, Y, callback=lambda i, *_: seen.append(i))
    assert seen == [1, 2, 3] * 3
    assert best.log_likelihood_ > regressor(**short).fit(X, Y).log_likelihood_
    seen.clear()
    regressor(n_init=3, **short).fit(X, Y, callback=lambda i, *_: seen.append(i) or i == 2)
    assert seen == [1, 2]  # the caller has seen enough


def test_parameters_of_routers_and_terms_are_searched():
    model = regressor(TopKRouter(1, weight="raw"), balance=AuxiliaryLoss(), n_experts=4, max_iter=3)
    grid = {"router__k": [1, 2], "balance__weight": [0.0, 0.1]}
    found = GridSearchCV(model, grid, cv=2).fit(X, Y)
    assert set(found.best_params_) == set(grid)


def test_a_fit_is_pickled_and_cloned():
    model = regressor("expert_choice").fit(X, Y)
    assert (pickle.loads(pickle.dumps(model)).predict(X) == model.predict(X)).all()
    assert (clone(model).fit(X, Y).predict(X) == model.predict(X)).all()


def test_solvers_give_the_steps():
    assert regressor(solver="adam").fit(X, Y).score(X, Y) > 0.5
    assert regressor(solver=SGD(learning_rate=0.1)).fit(X, Y).score(X, Y) > 0.3
    one = regressor(solver=Adam(learning_rate=0.01, batch_size=128)).fit(X, Y)
    assert (one.predict(X) == regressor().fit(X, Y).predict(X)).all()


def test_a_callback_ends_the_training():
    seen = []
    regressor().fit(X, Y, callback=lambda i, params, value: seen.append(value) or i == 3)
    assert len(seen) == 3 and seen[-1] > seen[0]


def test_parts_see_their_own_columns():
    model = regressor(gate_features=[0, 1], expert_features=[2, 3], n_experts=3).fit(X, Y)
    other = X.copy()
    other[:, 4:] = 7.0
    assert (model.predict(other) == model.predict(X)).all()
    assert model.gate_.coef_.shape == (3, 2) and model.experts_[0].coef_.shape == (4, 2)


def test_rows_of_weight_zero_are_absent_and_whole_weights_are_copies():
    weight = np.random.default_rng(0).integers(0, 3, size=100).astype(float)
    repeated = np.repeat(np.arange(100), weight.astype(int))
    for router in (TopKRouter(2), ExpertChoiceRouter(2.0)):
        options = dict(n_experts=4, solver=Adam(batch_size=500))
        one = regressor(router, **options).fit(X[:100], Y[:100], sample_weight=weight)
        other = regressor(router, **options).fit(X[repeated], Y[repeated])
        assert one.predict(X) == pytest.approx(other.predict(X), abs=1e-6)


# -- refusals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(router=TopKRouter(1)), "with k=1 a renormalized weight is always 1"),
        (dict(k=1), "with k=1 a renormalized weight is always 1"),
        (dict(k=17), "k=17 of TopKRouter, but n_experts=16"),
        (dict(k=0), "k=0: needs an integer of at least 1"),
        (dict(k=3, router=TopKRouter(2)), "k=3, but router=TopKRouter.* keeps 2"),
        (dict(k=2, router=TopKRouter(3)), "k=2, but router=TopKRouter.* keeps 3"),
        (dict(k=2, router="random"), "k=2: RandomRouter has no k, .*; leave k=None"),
        (dict(k=1, router="hash", hash_features=KEY), "k=1: HashRouter has no k"),
        (dict(k=2, router="base"), "k=2: BalancedAssignmentRouter has no k"),
        (dict(k=3, router="expert_choice"), "k=3: ExpertChoiceRouter has no k"),
        (dict(k=1, router="sampled"), "k=1: SampledRouter has no k"),
        (dict(tol=1e-7), "tol=1e-07: the learning rate of combine='blend' falls to 0"),
        (dict(n_init=0), "n_init=0: needs an integer of at least 1"),
        (dict(router="best"), "router='best' is not known in this version"),
        (dict(router=TopKRouter), "is not known in this version"),
        (dict(capacity_factor=0.9), "capacity_factor=0.9: needs None, 'none' or a number"),
        (dict(capacity_factor=1.0, router="expert_choice"), "an? ExpertChoiceRouter has no first"),
        (dict(overflow="queue"), "overflow='queue'"),
        (dict(balance="auxiliary"), "balance='auxiliary': needs None, 'none', a term"),
        (dict(balance=[ZLoss(), ZLoss()]), "holds two terms of ZLoss"),
        (dict(balance=LoadLoss()), "LoadLoss needs noisy scores"),
        (dict(balance=BudgetLoss()), "n_shared=0; set n_shared=1"),
        (dict(n_shared=-1), "n_shared=-1"),
        (dict(n_shared=1, expert=LinearExpert(alpha=0)), "n_shared=1 with LinearExpert"),
        (dict(router=HashRouter()), "router='hash' needs hash_features"),
        (dict(router=HashRouter(), hash_features=[0]), "column x0 holds numbers of which 100%"),
        (dict(hash_features=KEY), "a TopKRouter uses no keys"),
        (dict(router="hash", hash_features=[]), "hash_features names no column"),
        (dict(expert="student_t"), "adds up outputs of 'linear', 'softmax' or 'mlp' experts"),
        (dict(solver="em"), "combine='blend' is trained on minibatches"),
        (dict(solver=Adam(early_stopping=True)), "early_stopping=True"),
        (dict(warm_start=True), "combine='blend' begins anew"),
        (dict(init_params="random"), "combine='blend' begins at random"),
        (dict(n_experts=601, k=2), "n_experts=601 needs at least 601 rows"),
    ],
)
def test_what_no_blend_can_do_is_refused(options, words):
    model = SparseMixtureOfExpertsRegressor(**dict(combine="blend") | options)
    with pytest.raises(ValueError, match=words):
        model.fit(X, Y)
    assert not hasattr(model, "params_")


def test_weights_that_are_no_counts_are_refused_where_rows_are_units():
    weight = np.ones(600)
    weight[5] = 0.5
    for router in ("expert_choice", "base"):
        with pytest.raises(ValueError, match=r"counts rows, and a sample weight is 0\.5"):
            regressor(router).fit(X, Y, sample_weight=weight)


def test_groups_are_refused():
    with pytest.raises(ValueError, match="takes no groups"):
        regressor().fit(X, Y, groups=np.arange(600))


def test_what_needs_a_mixture_says_so_of_a_blend():
    model = regressor(n_experts=3).fit(X, Y[:, 0])
    for ask in (infer, diagnose):
        with pytest.raises(TypeError, match="combine='blend' is no mixture"):
            ask(model, X, Y[:, 0])
    with pytest.raises(ValueError, match="has no likelihood of a mixture"):
        top_k_report(model, X, Y[:, 0])
    with pytest.raises(TypeError, match="combine='blend' is no mixture"):
        MixtureOfExpertsRegressor(3, init_params=model).fit(X, Y[:, 0])


@pytest.mark.parametrize("options", [dict(hash_features=KEY), dict(n_shared=1)])
def test_a_mixture_refuses_what_belongs_to_a_blend(options):
    with pytest.raises(ValueError, match="belongs to combine='blend'"):
        SparseMixtureOfExpertsRegressor(4, **options).fit(X, Y)


# A capacity depends on the order of rows, which the checks shuffle; with factor 2 of two experts
# all find room. Fifteen long steps on all rows of these small data: more would amplify rounding.
SHORT = dict(combine="blend", max_iter=15, n_experts=2, solver=Adam(learning_rate=0.1))


@parametrize_with_checks(
    [
        SparseMixtureOfExpertsRegressor(**SHORT),
        SparseMixtureOfExpertsRegressor(router="switch", capacity_factor=2.0, **SHORT),
        SparseMixtureOfExpertsRegressor(expert=MLPExpert((3,)), n_shared=1, **SHORT),
        SparseMixtureOfExpertsClassifier(**SHORT),
        SparseMixtureOfExpertsClassifier(router="switch", capacity_factor=2.0, **SHORT),
        SparseMixtureOfExpertsClassifier(expert=MLPExpert((3,)), balance=BiasBalancing(), **SHORT),
    ]
)
def test_scikit_learn_s_checks_pass(estimator, check):
    check(estimator)
