"""Sparse mixtures: k of K experts a row, loads, routes, and what k costs."""

import numpy as np
import pytest
from sklearn.base import clone

from classic_moe import (
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.experts import LinearExpert, SoftmaxExpert
from classic_moe.gates import GaussianGate, SoftmaxGate, TopKGate, TreeGate
from classic_moe.routing import top_k_report

pytestmark = [
    pytest.mark.filterwarnings("ignore::classic_moe.exceptions.SeparationWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
GATE, EXPERT = SoftmaxGate(alpha=1e-3), LinearExpert(alpha=1e-6, variance_prior=1e-2)
OPTIONS = dict(expert=EXPERT, n_init=2, max_iter=100, tol=1e-6, random_state=0)


def sparse(n_experts=6, router=GATE, **options):
    return SparseMixtureOfExpertsRegressor(n_experts, router=router, **OPTIONS | options)


@pytest.fixture(scope="module")
def data():
    return make_voronoi_pieces(800, n_pieces=6, random_state=0)


def test_routes_are_the_gating_probabilities_of_k_experts(data):
    X, y = data
    for k in (1, 2, 6):
        model = sparse(k=k).fit(X, y)
        route = model.route(X)
        assert route.shape == (800, 6) and (np.diff(route.indptr) == k).all()
        assert (np.diff(route.indices.reshape(800, k), axis=1) > 0).all()
        np.testing.assert_allclose(route.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(route.toarray(), model.gate_proba(X), atol=1e-12)


def test_it_is_the_mixture_whose_gate_keeps_k(data):
    X, y = data
    short = dict(n_init=1, max_iter=15)
    for router, gate in {
        GATE: SoftmaxGate(alpha=1e-3, top_k=2),
        TreeGate(GATE, (2, 3)): TreeGate(GATE, (2, 3), top_k=2),
        GaussianGate(): TopKGate(GaussianGate(), 2),
    }.items():
        one = sparse(router=router, **short).fit(X, y)
        other = MixtureOfExpertsRegressor(6, gate=gate, **OPTIONS | short).fit(X, y)
        np.testing.assert_array_equal(one.predict(X), other.predict(X))
        assert one.log_likelihood_ == other.log_likelihood_
    labels = (y > 0).astype(int)
    options = OPTIONS | short | dict(expert=SoftmaxExpert(alpha=1.0))
    one = SparseMixtureOfExpertsClassifier(3, router=GATE, **options).fit(X, labels)
    gate = SoftmaxGate(alpha=1e-3, top_k=2)
    other = MixtureOfExpertsClassifier(3, gate=gate, **options).fit(X, labels)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_k_of_all_experts_is_the_dense_mixture(data):
    X, y = data
    dense = MixtureOfExpertsRegressor(6, gate=GATE, **OPTIONS).fit(X, y)
    model = sparse(k=6).fit(X, y)
    np.testing.assert_allclose(model.predict(X), dense.predict(X), rtol=1e-12)
    np.testing.assert_allclose(model.log_likelihood_, dense.log_likelihood_, rtol=1e-12)
    np.testing.assert_allclose(model.expert_usage_, 1 / 6)
    assert model.kept_mass_ == pytest.approx(1.0, abs=1e-12)
    assert model.load_imbalance_ == pytest.approx(0.0, abs=1e-12)


def test_loads_are_the_weights_of_the_rows_that_every_expert_gets(data):
    X, y = data
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    model = sparse().fit(X, y, sample_weight=weight)
    sent = model.route(X).toarray() > 0
    usage = weight @ sent / (2 * weight.sum())
    np.testing.assert_allclose(model.expert_usage_, usage, rtol=1e-12)
    assert model.load_imbalance_ == pytest.approx(usage.max() / usage.mean() - 1)
    assert model.n_active_experts_ == (usage >= 0.1 / 6).sum()
    twice = sparse().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(twice.expert_usage_, usage, rtol=1e-9)
    inner, gate = model._check_X(X)[:], model._fitted.model.gate
    proba = np.sort(np.exp(gate.dense().log_prob(model.params_["gate"], inner)), axis=1)
    mass = weight @ proba[:, -2:].sum(axis=1) / weight.sum()
    assert model.kept_mass_ == pytest.approx(mass, rel=1e-9)


def test_unused_experts_do_not_count_as_active():
    model = sparse(3, k=1)
    X, y = make_voronoi_pieces(300, n_pieces=2, random_state=0)
    model.fit(X, y)
    fitted = model._fitted
    object.__setattr__(fitted, "loads", np.array([100.0, 90.0, 1.0]))
    assert fitted._load_attributes()["n_active_experts_"] == 2


def test_tuning_for_k_ends_above_the_dense_fit_with_the_others_left_out(data):
    """By much where the gate is fuzzy; on rows that the fit has not seen, too."""
    X, y = make_voronoi_pieces(3000, n_pieces=8, sharpness=50.0, random_state=1)
    train, test = slice(1500), slice(1500, None)
    dense = MixtureOfExpertsRegressor(8, gate=GATE, **OPTIONS).fit(X[train], y[train])
    report = top_k_report(dense, X[test], y[test], ks=(1, 2))
    for k, before in zip((1, 2), report.nll, strict=False):
        model = sparse(8, k=k).fit(X[train], y[train])
        assert (np.diff(model.lower_bounds_) >= 0).all()
        assert -model.log_prob(X[test], y[test]).mean() < before - 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_four_experts_a_row_lose_next_to_nothing_on_voronoi_pieces(seed):
    """Within 0.02 nats and 2 % of the dense relative error; of 2,000 rows gates are less sharp."""
    X, y = make_voronoi_pieces(4000, n_pieces=16, sharpness=1e4, random_state=seed)
    train, test = slice(2000), slice(2000, None)
    dense = MixtureOfExpertsRegressor(16, gate=GATE, **OPTIONS).fit(X[train], y[train])
    report = top_k_report(dense, X[test], y[test], ks=(4,))
    assert report.k.tolist() == [4, 16]
    assert report.nll[0] <= report.nll[1] + 0.02
    assert report.error[0] <= 1.02 * report.error[1]
    assert report.kept_mass[0] >= 0.98


def test_the_report_says_what_the_methods_say(data):
    X, y = data
    model = sparse(k=2).fit(X, y)
    report = top_k_report(model, X, y, ks=[2, 1, 9])
    assert report.k.tolist() == [1, 2, 6]
    assert report.nll[1] == pytest.approx(-model.log_prob(X, y).mean(), rel=1e-12)
    relative = ((y - model.predict(X)) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert report.error[1] == pytest.approx(relative, rel=1e-9)
    assert report.kept_mass[1] == pytest.approx(model.kept_mass_, rel=1e-9)
    assert report.kept_mass[2] == pytest.approx(1.0)
    assert (report.seconds >= 0).all() and "kept mass" in repr(report)


def test_parameters_of_the_router_are_searchable(data):
    model = SparseMixtureOfExpertsRegressor(4).set_params(router__alpha=0.5, k=1)
    assert model.router.alpha == 0.5 and model.gate.top_k == 1
    assert clone(model).get_params()["router__alpha"] == 0.5


REFUSED = [
    (dict(k=7), r"k=7 experts cannot be kept of n_experts=6; use a smaller k"),
    (dict(k=0), r"k=0"),
    (dict(router="switch"), r"weights of a mixture sum to 1; set weight='renormalized'"),
    (dict(router=SoftmaxGate(top_k=3)), r"keeps 3 experts itself; leave that to k"),
    (
        dict(combine="blend", tol=None),
        r"router=SoftmaxGate\(\) is not known in this version; use one of",
    ),
]


@pytest.mark.parametrize("options, message", REFUSED, ids=[str(o) for o, _ in REFUSED])
def test_wrong_parameters_are_named(data, options, message):
    with pytest.raises(ValueError, match=message):
        sparse(**options).fit(*data)


def test_reports_of_no_likelihood_or_no_number_are_refused(data):
    model = sparse().fit(*data)
    with pytest.raises(ValueError, match=r"ks=\[0\]: needs integers of at least 1"):
        top_k_report(model, *data, ks=(0,))
