"""Classification and stochastic EM: what they climb, what they keep, and what they are good for."""

import numpy as np
import pytest
from scipy.stats import norm

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines, make_piecewise_regression
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.parts.params import ravel
from classic_moe.solvers import CEM, SEM

pytestmark = pytest.mark.weak_penalties

FREE = dict(expert=LinearExpert(0, 0), gate=SoftmaxGate(alpha=0))


@pytest.fixture(scope="module")
def lines():
    return make_crossing_lines(200, random_state=0)


def test_cem_climbs_the_classification_likelihood(lines):
    X, y = lines
    model = MixtureOfExpertsRegressor(2, solver="cem", **FREE, random_state=0).fit(X, y)
    assert model.converged_ and np.diff(model.lower_bounds_).min() >= 0
    scale = [expert.scale_ for expert in model.experts_]
    joint = model.gate_proba(X) * norm.pdf(y[:, None], model.predict_experts(X), scale)
    # rounding of a sum of 200 logarithms
    assert model.lower_bounds_[-1] == pytest.approx(np.log(joint.max(axis=1)).sum(), rel=1e-10)
    assert model.log_likelihood_ == pytest.approx(np.log(joint.sum(axis=1)).sum(), rel=1e-10)


def test_cem_fits_each_expert_to_its_own_rows_alone(lines):
    X, y = lines
    model = MixtureOfExpertsRegressor(
        2, solver=CEM(), tol=0, expert=LinearExpert(0, 0), gate="constant", random_state=0
    ).fit(X, y)
    owner = model.assign(X, y)
    for k, expert in enumerate(model.experts_):
        slope, intercept = np.polyfit(X[owner == k, 0], y[owner == k], 1)
        assert expert.coef_[0] == pytest.approx(slope, rel=1e-8)
        assert expert.intercept_ == pytest.approx(intercept, rel=1e-8, abs=1e-8)


def test_cem_is_a_start_for_em(lines):
    X, y = lines
    rough = MixtureOfExpertsRegressor(2, solver="cem", random_state=0).fit(X, y)
    fine = MixtureOfExpertsRegressor(2, init_params=rough).fit(X, y)
    own = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    assert fine.log_likelihood_ > rough.log_likelihood_
    assert fine.log_likelihood_ == pytest.approx(own.log_likelihood_, rel=1e-6)


def test_sem_keeps_the_best_iterate(lines):
    X, y = lines
    seen = []
    model = MixtureOfExpertsRegressor(2, solver="sem", **FREE, n_init=1, random_state=0)
    model.fit(X, y, callback=lambda i, params, value: seen.append(value))
    assert model.converged_ and model.n_iter_ == len(seen)
    assert np.diff(model.lower_bounds_).min() >= 0 > np.diff(seen).min()
    # the kept one is the best seen, and it is the likelihood at the returned parameters
    assert model.lower_bounds_[-1] == pytest.approx(max(seen), rel=1e-12)
    assert model.log_likelihood_ == pytest.approx(max(seen), rel=1e-10)
    exact = MixtureOfExpertsRegressor(2, **FREE, random_state=0).fit(X, y).log_likelihood_
    assert exact - 2 < model.log_likelihood_ <= exact + 1e-6  # a draw is not the maximum itself


def test_sem_is_repeatable_for_any_number_of_threads(lines, monkeypatch):
    monkeypatch.setattr("classic_moe.data.batches.CHUNK", 50)
    X, y = lines
    fits = [
        MixtureOfExpertsRegressor(2, solver=SEM(patience=5), n_jobs=jobs, n_init=1, random_state=3)
        .fit(X, y)
        .params_
        for jobs in (1, 4)
    ]
    np.testing.assert_array_equal(*map(ravel, fits))


def test_sem_leaves_a_poor_start_that_holds_em():
    X, y = make_piecewise_regression(300, n_pieces=3, random_state=2)
    start = np.random.RandomState(4).dirichlet([0.5] * 3, size=300)
    options = dict(init_params=start, max_iter=300)
    stuck = MixtureOfExpertsRegressor(3, solver="em", **options)
    chain = MixtureOfExpertsRegressor(3, solver=SEM(100, random_state=0), **options)
    better = chain.fit(X, y)
    final = MixtureOfExpertsRegressor(3, init_params=better).fit(X, y)
    assert final.log_likelihood_ >= stuck.fit(X, y).log_likelihood_ - 1e-3


def test_classifiers_take_both(lines):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    for solver in ("cem", SEM(patience=10)):
        model = MixtureOfExpertsClassifier(2, solver=solver, random_state=0).fit(X, y)
        assert model.score(X, y) > 0.85
        assert np.diff(model.lower_bounds_).min() >= 0


@pytest.mark.parametrize("patience", [0, 2.5, True])
def test_patience_out_of_range_is_named(lines, patience):
    with pytest.raises(ValueError, match=rf"patience={patience} of SEM"):
        MixtureOfExpertsRegressor(2, solver=SEM(patience)).fit(*lines)
