"""Faults of sparse mixtures and blends that a reader found, each once."""

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsRegressor, SparseMixtureOfExpertsRegressor
from classic_moe.routing import TopKRouter, top_k_report
from classic_moe.routing.base import Batch

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
