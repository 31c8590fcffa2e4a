"""Sparse mixtures trained with a router: loads, predictions of single rows, and what is refused."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeRegressor

from classic_moe import (
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
    load,
    save,
)
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.experts import LinearExpert, MLPExpert, StudentTExpert
from classic_moe.gates import TreeGate
from classic_moe.inference import infer
from classic_moe.routing import (
    PRESETS,
    AuxiliaryLoss,
    BiasBalancing,
    BudgetLoss,
    ExpertChoiceRouter,
    ImportanceLoss,
    LoadLoss,
    TopKRouter,
    ZLoss,
)
from classic_moe.solvers import SGD, Adam

pytestmark = [
    pytest.mark.filterwarnings("ignore::classic_moe.exceptions.ExpertCollapseWarning"),
    pytest.mark.filterwarnings("ignore::classic_moe.exceptions.SeparationWarning"),
]
X, Y = make_voronoi_pieces(600, n_pieces=6, sharpness=1e4, random_state=0)
LABEL = np.array(["low", "mid", "high"])[np.digitize(Y, np.quantile(Y, [0.3, 0.6]))]
QUICK = Adam(learning_rate=0.04, batch_size=128)
SHAZEER = [ImportanceLoss(0.1), LoadLoss(0.1)]


def regressor(n_experts=6, kind=SparseMixtureOfExpertsRegressor, **options):
    options = dict(router=TopKRouter(2), solver=QUICK, random_state=0, max_iter=8) | options
    return kind(n_experts, **options)


def classifier(n_experts=6, **options):
    return regressor(n_experts, SparseMixtureOfExpertsClassifier, **options)


RULES = {
    "top 2": dict(),
    "noise": dict(router=TopKRouter(2, noise="learned"), balance=SHAZEER),
    "bias": dict(balance=BiasBalancing()),
    "auxiliary": dict(router="top_k", balance=AuxiliaryLoss(0.1)),
    "capacity": dict(router="top_k", capacity_factor=1.25),
    "next": dict(router="top_k", capacity_factor=1.0, overflow="next"),
    "choice": dict(router=ExpertChoiceRouter(2.0)),
    "sigmoid": dict(router=TopKRouter(2, score="sigmoid"), balance=BiasBalancing(0.01)),
    "networks": dict(expert=MLPExpert((4,))),
    "networks by choice": dict(expert=MLPExpert((4,)), router=ExpertChoiceRouter(2.0)),
    "t": dict(expert=StudentTExpert(), balance=ZLoss()),
}


@pytest.mark.parametrize("name", RULES)
def test_it_is_a_density_and_says_the_same_of_a_row_in_any_batch(name):
    model = regressor(**RULES[name]).fit(X, Y)
    order = np.random.default_rng(0).permutation(len(X))
    for say in (model.predict, lambda X: model.route(X).toarray(), model.gate_proba):
        whole = say(X)
        assert (say(X[order]) == whole[order]).all()
        assert (say(np.repeat(X, 2, axis=0))[::2] == whole).all()
        assert all((say(X[i : i + 1]) == whole[i]).all() for i in range(0, 600, 61))
    route = model.route(X).toarray()
    np.testing.assert_allclose(route.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(route, model.gate_proba(X), atol=1e-14)
    mean = np.sum(route * model.predict_experts(X), axis=1)
    np.testing.assert_allclose(model.predict(X), mean, rtol=1e-9, atol=1e-12)
    # what is reported is the likelihood of the density, whatever was added in training
    assert model.log_likelihood_ == pytest.approx(model.log_prob(X, Y).sum(), rel=1e-9)
    dist = model.predict_dist(X[:50])
    np.testing.assert_allclose(dist.logpdf(Y[:50]), model.log_prob(X[:50], Y[:50]), rtol=1e-9)
    assert model.aic(X, Y) > -2 * model.log_likelihood_
    share = (route > 0).sum(axis=0) / (route > 0).sum()
    np.testing.assert_allclose(model.expert_usage_, share, rtol=1e-12)
    assert model.score(X, Y) > 0.1


@pytest.mark.parametrize("name", [n for n in RULES if n not in ("networks by choice", "t")])
def test_classes_are_served_alike(name):
    rule = {n: v for n, v in RULES[name].items() if n != "expert"}
    model = classifier(**rule).fit(X, LABEL)
    proba = model.predict_proba(X)
    assert (model.predict_proba(X[7:8]) == proba[7]).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    at = np.searchsorted(model.classes_, LABEL)
    assert model.log_likelihood_ == pytest.approx(np.log(proba[np.arange(600), at]).sum(), rel=1e-9)
    assert model.score(X, LABEL) > 0.45  # the most frequent class has .4


def test_what_training_leaves_behind_is_shown_in_the_order_of_the_experts():
    bias = regressor(balance=BiasBalancing(), max_iter=20).fit(X, Y)
    gate, coef = bias._fitted.model.gate, bias.params_["gate"]["coef"]
    np.testing.assert_array_equal(bias.router_bias_, gate.state["bias"])
    inner = bias._check_X(X)[:]
    preference = coef[:, 0] + inner @ coef[:, 1:].T + bias.router_bias_
    kept = np.argsort(-preference, axis=1)[:, :2]
    routed = bias.route(X).indices.reshape(-1, 2)
    assert (np.sort(kept, axis=1) == routed).all()
    assert not hasattr(bias, "thresholds_") and bias.dropped_fraction_ == 0.0
    choice = bias.set_params(router=ExpertChoiceRouter(2.0), balance=None).fit(X, Y)
    assert choice.thresholds_.shape == (6,) and not hasattr(choice, "router_bias_")
    counts = (choice.route(X).toarray() > 0).sum(axis=0)
    # each expert takes its 200 best rows, and beside them there are only rows that nobody takes
    assert (counts >= 200).all() and counts.sum() < 1.1 * 1200
    assert set(choice.balance_curve_) == {"load", "load_imbalance", "dropped_fraction"}
    plain = choice.set_params(router="top_k", solver="em", max_iter=5, n_init=1)
    with pytest.warns(match="did not converge"):
        plain.fit(X, Y)
    assert not hasattr(plain, "balance_curve_") and not hasattr(plain, "thresholds_")


def test_a_capacity_drops_pairs_in_training_and_none_in_predictions():
    model = regressor(capacity_factor=1.0).fit(X, Y)
    assert 0 < model.dropped_fraction_ < 0.6 and model.route(X).nnz == 1200
    served = regressor(capacity_factor=1.0, overflow="next").fit(X, Y)
    assert served.dropped_fraction_ < 0.01


def test_experts_starve_without_balancing_and_not_with_it():
    """The smaller form of docs/reproductions/starvation.py: one seed, half the rows, fewer steps.

    So the margin of -log p is half of the one there.
    """
    X, y = make_voronoi_pieces(6000, n_pieces=16, sharpness=1e8, random_state=100)
    new, train = slice(4000), slice(4000, None)

    def trained(**options):
        options |= dict(init_params="random", max_iter=30)
        model = regressor(16, **options).fit(X[train], y[train])
        sent = (model.route(X[new]).toarray() > 0).sum(axis=0)
        unused = (sent < 0.001 * sent.sum() / 16).sum()
        return -model.log_prob(X[new], y[new]).mean(), sent.max() / sent.mean(), unused

    nll, load, unused = trained()
    assert load >= 3 and unused >= 5
    for name, most in (("noise", 1.8), ("bias", 2.2), ("choice", 1.8)):  # a bias takes its time
        balanced = trained(**RULES[name])
        assert balanced[0] <= nll - 0.1 and balanced[1] <= most and balanced[2] <= 1


def test_the_fit_begins_where_it_is_told():
    dense = MixtureOfExpertsRegressor(6, n_init=1, random_state=0).fit(X, Y)
    one = regressor(init_params=dense, max_iter=1, solver=Adam(learning_rate=1e-9)).fit(X, Y)
    best = np.sort(dense.gate_proba(X), axis=1)[:, -2:].sum(axis=1)
    assert one.kept_mass_ == pytest.approx(best.mean(), rel=1e-6)
    order = [np.abs(dense.experts_[k].coef_ - one.experts_[k].coef_).max() for k in range(6)]
    assert max(order) < 1e-5  # the numbering of the fit that it begins with


def test_presets_give_their_settings_but_for_shared_experts():
    for name in ("shazeer", "gshard", "glam", "st_moe", "mixtral", "dbrx", "expert_choice"):
        model = regressor(None, router=name, max_iter=3).fit(X, Y)
        assert model.n_experts_ == PRESETS[name].parameters.get("n_experts", 16)
        losses = {type(t).__name__ for t in PRESETS[name].parameters.get("balance", [])}
        assert losses <= set(model.balance_curve_) and not hasattr(model, "shared_experts_")
    assert regressor(5, router="mixtral", k=3, max_iter=1).fit(X, Y).route(X).nnz == 1800


def test_penalties_that_were_to_be_found_are_weak():
    model = regressor(expert=LinearExpert(alpha="auto"), max_iter=3).fit(X, Y)
    assert "need not end at a maximum" in model.evidence_missing_
    named = regressor(expert=LinearExpert(alpha="weak"), max_iter=3).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), named.predict(X))


def test_parameters_of_routers_and_terms_are_searched():
    grid = {"router__k": [2, 3], "balance__weight": [0.0, 0.1]}
    found = GridSearchCV(regressor(4, balance=AuxiliaryLoss(), max_iter=2), grid, cv=2).fit(X, Y)
    assert set(found.best_params_) == set(grid)
    named = regressor(router="shazeer").set_params(router__k=3)
    assert named.router.k == 3 and len(named.balance) == 2


def test_a_fit_is_pickled_cloned_and_saved(tmp_path):
    for options in (dict(balance=BiasBalancing()), dict(router=ExpertChoiceRouter(2.0))):
        model = regressor(**options).fit(X, Y)
        assert (pickle.loads(pickle.dumps(model)).predict(X) == model.predict(X)).all()
        assert (clone(model).fit(X, Y).predict(X) == model.predict(X)).all()
        save(model, tmp_path / "routed.moe")
        again = load(tmp_path / "routed.moe")
        assert (again.predict(X) == model.predict(X)).all()
        assert set(again.balance_curve_) == set(model.balance_curve_)


def test_solvers_give_the_steps():
    auto = regressor(solver="auto").fit(X, Y)
    same = regressor(solver=Adam(learning_rate=0.01, batch_size=128)).fit(X, Y)
    assert (auto.predict(X) == same.predict(X)).all()
    assert regressor(solver=SGD(learning_rate=0.05), max_iter=20).fit(X, Y).score(X, Y) > 0.2


def test_a_callback_sees_the_params_and_ends_the_training():
    seen = []
    model = regressor(balance=BiasBalancing())
    model.fit(X, Y, callback=lambda i, params, value: seen.append((params, value)) or i == 3)
    assert len(seen) == 3 and np.isfinite([value for _, value in seen]).all()
    assert set(seen[0][0]) == {"gate", "expert"} and "coef" in seen[0][0]["expert"]
    assert model.n_iter_ <= 3


def test_whole_weights_are_copies_in_one_batch():
    weight = np.random.default_rng(0).integers(0, 3, size=200).astype(float)
    repeated = np.repeat(np.arange(200), weight.astype(int))
    for router in (TopKRouter(2), ExpertChoiceRouter(2.0)):
        options = dict(n_experts=3, router=router, solver=Adam(batch_size=1000), max_iter=5)
        one = regressor(**options).fit(X[:200], Y[:200], sample_weight=weight)
        other = regressor(**options).fit(X[repeated], Y[repeated])
        np.testing.assert_allclose(one.predict(X), other.predict(X), atol=1e-6)


def test_a_step_too_far_ends_the_training_with_a_warning():
    model = regressor(solver=SGD(learning_rate=1e6), max_iter=4)
    with pytest.warns(match="lower the learning rate"):
        model.fit(X, Y)
    assert not model.converged_ and np.isfinite(model.predict(X)).all()


# -- refusals ----------------------------------------------------------------------------------


REFUSED = [
    (dict(router=TopKRouter(1)), "with one expert a row the mixture gives the gate no gradient"),
    (dict(router="top_k", k=1, balance=ZLoss()), "with one expert a row the mixture gives the gat"),
    (dict(router="base"), "with one expert a row the mixture gives the gate no gradient"),
    (dict(router="random"), "with one expert a row the mixture gives the gate no gradient"),
    (dict(router="switch"), r"weights of a mixture sum to 1; set weight='renormalized'"),
    (dict(router=TopKRouter(2, weight="raw")), r"weights of a mixture sum to 1"),
    (dict(router=TopKRouter(7)), "k=7 of TopKRouter, but n_experts=6"),
    (dict(router=TopKRouter(6, noise=0.1)), "noise=0.1 with k=n_experts=6"),
    (dict(k=3), "k=3, but router=TopKRouter.* keeps 2"),
    (
        dict(capacity_factor=0.5),
        "capacity_factor=0.5: needs None, 'none' or a number of at",
    ),
    (dict(router=ExpertChoiceRouter(), capacity_factor=1.0), "an? ExpertChoiceRouter has no first"),
    (dict(balance=LoadLoss()), "LoadLoss needs noisy scores"),
    (dict(balance=BudgetLoss()), "BudgetLoss weighs routed experts against shared ones"),
    (dict(balance="auxiliary"), "balance='auxiliary': needs None, 'none', a term"),
    (dict(n_shared=1), "n_shared=1 belongs to combine='blend'"),
    (dict(hash_features=[0]), r"hash_features=\[0\] belongs to combine='blend'"),
    (dict(router=TreeGate(depth=2), balance=ZLoss()), r"balance=ZLoss.* acts on the scores of a"),
    (dict(router="gaussian", capacity_factor=1.5), "capacity_factor=1.5 acts on the scores of a"),
    (dict(router="top_k", overflow="next"), "overflow='next' acts on the scores of a softmax gate"),
    (dict(solver="em"), "solver='em': a mixture with a router, balance terms or a capacity is tr"),
    (dict(solver="em", balance=ZLoss()), "is trained on minibatches; use 'auto', 'adam', 'sgd'"),
    (dict(solver=Adam(early_stopping=True)), "early_stopping=True"),
    (dict(tol=1e-3), "tol=0.001: a mixture with a router, balance terms or a capacity is trained"),
    (dict(n_init=3), "n_init=3: a mixture with a router, balance terms or a capacity is trained"),
]


@pytest.mark.parametrize("options, words", REFUSED, ids=[str(o) for o, _ in REFUSED])
def test_what_no_routed_mixture_can_do_is_refused(options, words):
    model = regressor(**options)
    with pytest.raises(ValueError, match=words):
        model.fit(X, Y)
    assert not hasattr(model, "params_")


def test_rows_that_cannot_be_routed_are_refused():
    with pytest.raises(ValueError, match=r"counts rows, and a sample weight is 0\.5"):
        regressor(router=ExpertChoiceRouter()).fit(X, Y, sample_weight=np.full(600, 0.5))
    with pytest.raises(ValueError, match="groups: a mixture with a router"):
        regressor().fit(X, Y, groups=np.arange(600))
    with pytest.raises(ValueError, match="expert_labels"):
        regressor().fit(X, Y, expert_labels=np.zeros(600, dtype=int))
    with pytest.raises(TypeError, match="climbs by gradients"):
        regressor(expert=DecisionTreeRegressor(max_depth=2)).fit(X, Y)


def test_there_are_no_standard_errors():
    model = regressor().fit(X, Y)
    with pytest.raises((TypeError, ValueError)):
        infer(model, X, Y)


def test_the_bias_that_is_left_is_the_mean_of_the_last_third_of_its_updates(monkeypatch):
    """Every update is by the loads that are wanted, whatever finds room, and by the scores."""
    seen, update = [], BiasBalancing.update

    def watched(self, state, load, spread):
        found = update(self, state, load, spread)
        seen.append((found["bias"], load.sum(), spread))
        return found

    monkeypatch.setattr(BiasBalancing, "update", watched)
    options = dict(balance=BiasBalancing(), capacity_factor=1.0, max_iter=3)
    model = regressor(**options).fit(X, Y)
    biases, loads, spreads = (np.array(each) for each in zip(*seen, strict=True))
    assert len(biases) == 15  # 3 epochs of 5 batches
    mean = biases[10:].mean(axis=0)
    np.testing.assert_allclose(np.sort(model.router_bias_), np.sort(mean), rtol=1e-12)
    np.testing.assert_allclose(loads, 2 * 120)  # two experts a row, 120 rows a batch
    assert model.dropped_fraction_ > 0
    assert np.ptp(spreads) > 0 and (spreads > 0).all()


def test_the_learning_rate_falls_to_nothing_over_the_epochs(monkeypatch):
    rates = []

    def rule(slope, rate):
        rates.append(rate)
        return 0.0 * slope

    monkeypatch.setattr(Adam, "_new_rule", lambda self: rule)
    regressor(max_iter=2).fit(X, Y)
    np.testing.assert_allclose(rates, 0.04 * (1 - np.arange(10) / 10), rtol=1e-12)
