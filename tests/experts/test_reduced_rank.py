"""Softmaxes that share a matrix: honest gradients, monotone training, one matrix for all."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax

from classic_moe import MixtureOfExpertsClassifier
from classic_moe.experts import ReducedRankSoftmaxExpert
from classic_moe.parts.params import ravel, take, unravel
from classic_moe.testing import check_expert


def problem(n=60, C=5, K=3, seed=0):
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.standard_normal((n // 3, 2)), 3, axis=0)  # runs of one x
    return X, rng.integers(C, size=n), rng.dirichlet(np.ones(K), n)


def started(expert, X, y, resp):
    rng = np.random.RandomState(0)
    params = expert.init(X, y, resp, rng, np.arange(y.max() + 1))
    return unravel(ravel(params) + 0.1 * rng.standard_normal(ravel(params).size), params)


@pytest.mark.parametrize(
    "expert",
    [ReducedRankSoftmaxExpert(2, max_iter=3), ReducedRankSoftmaxExpert(1, "identity", alpha=0.1)],
    ids=["tanh", "identity"],
)
def test_conformance(expert):
    check_expert(expert)


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_the_density_is_that_of_the_equation(activation):
    X, y, resp = problem()
    expert = ReducedRankSoftmaxExpert(2, activation)
    params = started(expert, X, y, resp)
    (W,) = params["weights_1"]
    for k, U in enumerate(params["weights_0"]):
        h = U[:, 0] + X @ U[:, 1:].T
        h = np.tanh(h) if activation == "tanh" else h
        log_p = log_softmax(W[:, 0] + h @ W[:, 1:].T, axis=1)
        found = expert.log_prob(params, X, y)[:, k]
        assert np.allclose(found, log_p[np.arange(len(y)), y], rtol=1e-12, atol=1e-12)
        assert np.allclose(expert.mean(params, X)[:, k], np.exp(log_p), rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_the_gradient_is_that_of_differences(activation):
    X, y, resp = problem()
    expert = ReducedRankSoftmaxExpert(2, activation, alpha=0.3)
    params = started(expert, X, y, resp)

    def objective(vector):
        own = unravel(vector, params)
        return np.sum(resp * expert.log_prob(own, X, y)) + expert.log_prior(own)

    by_differences = approx_fprime(ravel(params), objective, 1e-6)
    for order in (1, 2):
        found = ravel(expert.gradient(params, expert.statistics(params, X, y, resp, order)))
        # steps of 1e-6 leave half of a second derivative of some 10
        assert np.allclose(found, by_differences, rtol=1e-5, atol=1e-4)


def test_the_m_step_never_falls_and_keeps_one_matrix():
    X, y, resp = problem()
    expert = ReducedRankSoftmaxExpert(2)
    params = started(expert, X, y, resp)
    values = []
    for _ in range(6):
        values.append(np.sum(resp * expert.log_prob(params, X, y)) + expert.log_prior(params))
        params = expert.maximize(params, expert.statistics(params, X, y, resp))
    assert np.all(np.diff(values) >= 0) and values[-1] > values[0] + 0.5
    assert params["weights_1"].shape == (1, 5, 3)
    assert take(params, [2, 0])["weights_1"] is params["weights_1"]


def test_rows_of_one_x_need_not_follow_one_another():
    X, y, resp = problem()
    expert = ReducedRankSoftmaxExpert(2)
    params, mixed = started(expert, X, y, resp), np.random.default_rng(1).permutation(len(y))
    one = expert.gradient(params, expert.statistics(params, X, y, resp, 1))
    rows = X[mixed], y[mixed], resp[mixed]
    other = expert.gradient(params, expert.statistics(params, *rows, 1))
    assert np.allclose(ravel(one), ravel(other), rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("C", [2, 4])
def test_views_speak_in_the_callers_units(C):
    X, y, _ = problem(90, C)
    X = [100, 3] + X * [20, 0.1]
    options = dict(expert=ReducedRankSoftmaxExpert(2, max_iter=3), tol=1)
    model = MixtureOfExpertsClassifier(2, n_init=1, max_iter=3, random_state=0, **options)
    model.fit(X, y)
    for k, view in enumerate(model.experts_):
        assert np.allclose(view.predict_proba(X), model.predict_experts(X)[:, k], atol=1e-10)
    fitted = model._fitted
    values = fitted.model.expert.to_caller(fitted.params["expert"], fitted.units("expert"))
    start = {"expert": values}
    start["gate"] = {"coef": model.gate_.coef_, "intercept": model.gate_.intercept_}
    again = MixtureOfExpertsClassifier(2, init_params=start, max_iter=1, **options).fit(X, y)
    assert np.isclose(again.lower_bounds_[0], model.lower_bounds_[-1], rtol=1e-4)


@pytest.mark.parametrize("bad", [dict(rank=0), dict(rank=1.5), dict(max_iter=0)])
def test_sizes_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="needs an integer of at least 1"):
        ReducedRankSoftmaxExpert(**bad).check_parameters()


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation='relu' of ReducedRankSoftmaxExpert"):
        ReducedRankSoftmaxExpert(activation="relu").check_parameters()
