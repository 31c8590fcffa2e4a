"""Faults of sparse mixtures and blends that a reader found, each once."""

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsRegressor, SparseMixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.routing import TopKRouter, top_k_report
from classic_moe.routing.base import Batch
from classic_moe.starts.automatic import Automatic

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 2]) + 0.1 * RNG.normal(size=120)


def blend(n_experts=4, **options):
    options = dict(combine="blend", max_iter=3, random_state=0) | options
    return SparseMixtureOfExpertsRegressor(n_experts, **options)


def test_a_parameter_of_a_presets_router_leaves_the_rest_of_the_preset():
    model = blend(router="switch").set_params(router__masking=0.2).fit(X, Y)
    assert model.router.masking == 0.2 and model.capacity_factor == 1.25
    assert model.balance is not None and len(model.shared_experts_) == 1


def test_a_report_reads_a_column_as_numbers():
    model = MixtureOfExpertsRegressor(3, n_init=1, random_state=0).fit(X, Y)
    one, other = (top_k_report(model, X, y, ks=(1, 2)).error for y in (Y, Y[:, None]))
    np.testing.assert_array_equal(one, other)


def test_a_blend_may_be_fitted_again_as_a_mixture():
    model = blend().fit(X, Y)
    model.set_params(combine="mixture", n_init=1).fit(X, Y)
    assert hasattr(model, "kept_mass_") and not hasattr(model, "balance_curve_")


def test_a_random_second_is_not_sent_on_where_it_was_not_wanted():
    scores = 3 * np.random.default_rng(1).normal(size=(300, 4))
    batch = Batch(np.ones(300), np.random.default_rng(0), capacity_factor=2.0, overflow="next")
    found = TopKRouter(2, second="random").train(scores, {}, batch)
    assert found.kept.sum() == found.wanted.sum() < 600


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="'retrun_std'"):
        blend().fit(X, Y).predict(X, retrun_std=True)
    with pytest.raises(ValueError, match="overflow='nxt'"):
        SparseMixtureOfExpertsRegressor(4, overflow="nxt").fit(X, Y)
    with pytest.raises(ValueError, match="assignment='hard'"):
        blend(assignment="hard").fit(X, Y)


def test_a_distribution_with_uncertain_parameters_is_refused_where_the_likelihood_jumps():
    """And is that of the dense mixture where nothing is left out."""
    short = dict(n_init=1, random_state=0)
    for model, reason in (
        (SparseMixtureOfExpertsRegressor(3, k=2, **short), "keeps 2 experts of a row"),
        (blend(), "trained on minibatches"),
    ):
        with pytest.raises(ValueError, match=f"parameter_uncertainty=True .*{reason}"):
            model.fit(X, Y).predict_dist(X[:2], parameter_uncertainty=True)
        assert (model.predict_dist(X[:2]).std() > 0).all()
    sparse = SparseMixtureOfExpertsRegressor(2, k=2, **short).fit(X, Y)
    dense = MixtureOfExpertsRegressor(2, **short).fit(X, Y)
    sds = [m.predict_dist(X[:5], parameter_uncertainty=True).std() for m in (sparse, dense)]
    np.testing.assert_allclose(*sds, rtol=1e-6)  # both searches end at one maximum
    assert (sds[0] > sparse.predict_dist(X[:5]).std()).any()


def test_a_blend_s_predictions_follow_params_that_the_caller_replaced():
    model = blend(router="switch", capacity_factor=1.0).fit(X, Y)
    before, dropped = model.predict(X), model.dropped(X)
    gate = model.params_["gate"]
    model.params_ = model.params_ | {"gate": gate[::-1]}
    assert np.abs(model.predict(X) - before).max() > 1e-3
    assert (model.route(X).indices == blend_routes(gate[::-1], model)).all()
    assert (model.dropped(X) != dropped).any()
    model.params_ = model.params_ | {"gate": gate}
    np.testing.assert_array_equal(model.predict(X), before)


def blend_routes(gate, model):
    """The experts of the greatest scores of a gate (K, 1 + p)."""
    inner = model._check_X(X)[:]
    return (inner @ gate[:, 1:].T + gate[:, 0]).argmax(axis=1)


def test_penalties_of_an_alias_are_named_as_the_estimator_s_parameters():
    parts = SoftmaxGate(alpha="auto"), LinearExpert("auto")
    for parameters, name in (
        (SparseMixtureOfExpertsRegressor().get_params(), "router__alpha"),
        (MixtureOfExpertsRegressor().get_params(), "gate__alpha"),
    ):
        names = Automatic.of(*parts).named(parameters).names
        assert names == {"gate": (name,), "expert": ("expert__alpha",)}
