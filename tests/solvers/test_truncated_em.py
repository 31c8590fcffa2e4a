"""Truncated EM: every row counts for the k most responsible experts."""

import numpy as np
import pytest
from scipy.special import logsumexp

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.experts import LinearExpert, PoissonExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.model.objectives import (
    ClassificationLikelihood,
    MixtureLikelihood,
    TruncatedLikelihood,
)
from classic_moe.solvers import TruncatedEM

pytestmark = [
    pytest.mark.weak_penalties,
    pytest.mark.filterwarnings("ignore::classic_moe.exceptions.SeparationWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def model(solver, K=6, **options):
    parts = dict(gate=SoftmaxGate(alpha=1e-3), expert=LinearExpert(1e-6, 1e-2))
    options = parts | dict(n_init=2, max_iter=150, tol=1e-6, random_state=0) | options
    return MixtureOfExpertsRegressor(K, solver=solver, **options)


def test_the_objective_is_the_sum_over_the_k_largest():
    log_gate, log_density = np.random.default_rng(0).standard_normal((2, 40, 5))
    joint = log_gate + log_density
    for k in (1, 2, 4, 5, 9):
        value, slope, resp = TruncatedLikelihood(k)(log_gate, log_density)
        np.testing.assert_allclose(value, logsumexp(np.sort(joint, axis=1)[:, -k:], axis=1))
        assert slope is resp and ((resp > 0).sum(axis=1) == min(k, 5)).all()
        np.testing.assert_allclose(resp.sum(axis=1), 1.0)
        np.testing.assert_allclose(
            np.sum(resp * (joint - np.log(np.where(resp > 0, resp, 1.0))), axis=1), value
        )
    for k, twin in ((1, ClassificationLikelihood()), (5, MixtureLikelihood())):
        for got, expected in zip(
            TruncatedLikelihood(k)(log_gate, log_density), twin(log_gate, log_density), strict=True
        ):
            np.testing.assert_allclose(got, expected, atol=1e-14)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_bound_never_falls_and_is_below_the_log_likelihood(k):
    X, y = make_voronoi_pieces(800, n_pieces=6, random_state=0)
    fitted = model(TruncatedEM(k)).fit(X, y)
    assert (np.diff(fitted.lower_bounds_) >= 0).all()
    assert fitted.lower_bounds_[-1] <= fitted.log_likelihood_


def test_it_ends_about_as_high_as_dense_em():
    """At most 0.05 a row below, on every seed: the warm-up leads to the same optimum."""
    for seed in range(5):
        X, y = make_voronoi_pieces(400, n_pieces=5, random_state=seed)
        options = dict(n_init=1, max_iter=100, tol=1e-5)
        each = [model(solver, 5, **options).fit(X, y) for solver in ("em", TruncatedEM(2))]
        assert (each[0].log_likelihood_ - each[1].log_likelihood_) / len(y) <= 0.05


def test_a_warm_up_is_em_with_all_experts():
    X, y = make_voronoi_pieces(400, n_pieces=5, random_state=0)
    options = dict(n_init=1, tol=0.0)
    dense = model("em", 5, max_iter=7, **options).fit(X, y)
    warm = model(TruncatedEM(2, warm_up=7), 5, max_iter=1, **options).fit(X, y)
    cold = model(TruncatedEM(2, warm_up=0), 5, max_iter=1, init_params=dense, tol=0.0).fit(X, y)
    np.testing.assert_allclose(warm.lower_bounds_, cold.lower_bounds_, rtol=1e-9)
    assert TruncatedEM(2, warm_up=7).resumed().warm_up == 0


def test_experts_learn_from_their_rows_alone(monkeypatch):
    X, y = make_voronoi_pieces(300, n_pieces=4, random_state=0)
    y, rng = np.round(np.exp(y / 2))[:, None], np.random.RandomState(0)
    part = MixtureModel(SoftmaxGate(alpha=1e-3), PoissonExpert(alpha=1e-2))
    params = part.init(X, y, rng.dirichlet(np.ones(4), size=300), rng)
    seen, statistics = [], PoissonExpert.statistics

    def counted(self, params, X, *rest, **options):
        seen.append(len(params["coef"]) * len(X))
        return statistics(self, params, X, *rest, **options)

    monkeypatch.setattr(PoissonExpert, "statistics", counted)
    part = part.with_objective(TruncatedLikelihood(2))
    part.statistics(params, X, y, np.ones(300))
    assert sum(seen) == 2 * 300


def test_wrong_numbers_are_refused():
    X, y = make_voronoi_pieces(50, n_pieces=2, random_state=0)
    with pytest.raises(ValueError, match="k=0"):
        model(TruncatedEM(0), 2).fit(X, y)
    with pytest.raises(ValueError, match="warm_up=-1"):
        model(TruncatedEM(2, warm_up=-1), 2).fit(X, y)
