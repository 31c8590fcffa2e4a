"""Gates: proportions, and multinomial regression on the responsibilities."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from classic_moe._kernels import array
from classic_moe.data.units import Scaling, Units
from classic_moe.exceptions import SeparationWarning
from classic_moe.gates import ConstantGate, SoftmaxGate

UNITS = Units(Scaling.identity(2), Scaling.identity(1))
NOTHING = np.empty((50, 0))


def problem(n=50, p=2, K=3, seed=0):
    rng = np.random.default_rng(seed)
    resp = rng.dirichlet(np.ones(K), size=n) * rng.uniform(0.5, 2.0, (n, 1))
    return rng.standard_normal((n, p)), resp


def fitted(gate, X, resp, n_steps=12):
    params = gate.init(X, resp, np.random.RandomState(0))
    for _ in range(n_steps):
        params = gate.maximize(params, gate.statistics(params, X, resp))
    return params


# -- the constant gate -------------------------------------------------------------------------


def test_a_constant_gate_is_the_mean_responsibility():
    _, resp = problem()
    params = ConstantGate().init(NOTHING, resp, None)
    expected = np.tile(resp.sum(axis=0) / resp.sum(), (50, 1))
    np.testing.assert_allclose(np.exp(ConstantGate().log_prob(params, NOTHING)), expected)
    assert ConstantGate().n_parameters(params) == 2


def test_a_constant_gate_keeps_an_expert_without_rows_at_a_finite_log_probability():
    resp = np.eye(3)[np.zeros(50, dtype=int)]
    log_prob = ConstantGate().log_prob(ConstantGate().init(NOTHING, resp, None), NOTHING)
    assert np.isfinite(log_prob).all() and log_prob[0, 1] < -600
    assert log_prob[0, 0] == 0


def test_weights_and_intercepts_start_a_constant_gate_alike():
    weights = ConstantGate().from_caller({"weights": [0.2, 0.2, 0.4]}, UNITS, 3)
    intercept = np.log([0.2, 0.2, 0.4]) + 1000.0
    odds = ConstantGate().from_caller({"intercept": intercept}, UNITS, 3)
    expected = np.log([0.25, 0.25, 0.5])
    for params in (weights, odds):
        np.testing.assert_allclose(params["log_weights"], expected, atol=1e-12)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"weights": [0.5, 0.5, 0.0]}, "weights of the gate must be positive"),
        ({"weights": [0.5, 0.5]}, r"weights of the gate needs shape \(3,\), got \(2,\)"),
        ({}, "init_params for the gate takes intercept, coef; got nothing"),
        ([1, 2, 3], "init_params for the gate must be a dict"),
    ],
)
def test_wrong_starting_values_of_a_constant_gate_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        ConstantGate().from_caller(values, UNITS, 3)


def test_a_constant_gate_shows_weights_and_log_odds():
    params = ConstantGate().from_caller({"weights": [0.25, 0.25, 0.5]}, UNITS, 3)
    view = ConstantGate().view(params, UNITS)
    np.testing.assert_allclose(view.weights_, [0.25, 0.25, 0.5])
    np.testing.assert_allclose(view.intercept_, [-np.log(2), -np.log(2), 0], atol=1e-15)
    assert view.coef_.shape == (3, 0)


# -- the softmax gate --------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3])
def test_the_fixed_point_of_a_softmax_gate_is_multinomial_regression(K):
    X, resp = problem(K=K)
    params = fitted(SoftmaxGate(alpha=0.5), X, resp)
    rows, labels = np.repeat(X, K, axis=0), np.tile(np.arange(K), len(X))
    peer = LogisticRegression(C=2 if K > 2 else 4, tol=1e-10, max_iter=10_000)
    peer.fit(rows, labels, sample_weight=resp.ravel())
    got = np.exp(SoftmaxGate().log_prob(params, X))
    # lbfgs stops at gradients of 1e-10 n: about 1e-6 in probabilities
    np.testing.assert_allclose(got, peer.predict_proba(X), atol=1e-5)


def test_a_softmax_gate_without_columns_is_a_constant_gate():
    _, resp = problem()
    softmax = fitted(SoftmaxGate(), NOTHING, resp)
    constant = ConstantGate().init(NOTHING, resp, None)
    expected = ConstantGate().log_prob(constant, NOTHING)
    np.testing.assert_allclose(SoftmaxGate().log_prob(softmax, NOTHING), expected, atol=1e-12)


@pytest.mark.parametrize("gate", [ConstantGate(), SoftmaxGate()], ids=repr)
def test_one_expert_is_certain_and_costs_nothing(gate):
    X, resp = problem(K=1, p=2 if gate.inputs.uses_x else 0)
    params = fitted(gate, X, resp)
    assert not np.asarray(gate.log_prob(params, X)).any()
    assert gate.n_parameters(params) == 0
    assert gate.log_prior(params) == 0


def test_the_penalty_is_on_slopes_only_and_the_same_for_every_expert():
    X, resp = problem()
    params = fitted(SoftmaxGate(alpha=1e6), X, resp)
    share = resp.sum(axis=0) / resp.sum()
    np.testing.assert_allclose(np.exp(SoftmaxGate().log_prob(params, X))[0], share, rtol=1e-4)
    shifted = {"coef": params["coef"] + 3.0}
    prior = SoftmaxGate(2.0).log_prior(params)
    assert SoftmaxGate(2.0).log_prior(shifted) == pytest.approx(prior, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("gate", [ConstantGate(), SoftmaxGate()], ids=repr)
def test_taking_moves_the_experts_with_their_probabilities(gate):
    X, resp = problem()
    X = X if gate.inputs.uses_x else NOTHING
    params, ids = fitted(gate, X, resp), [1, 2, 0]
    log_prob = gate.log_prob(params, X)
    np.testing.assert_allclose(
        gate.log_prob(gate.take(params, ids), X), log_prob[:, ids], atol=1e-12
    )
    # some of them share what the others had
    few = gate.log_prob(gate.take(params, [2, 0]), X)
    expected = log_softmax(log_prob[:, [2, 0]], axis=1)
    np.testing.assert_allclose(few, expected, atol=1e-12)


def test_a_softmax_gate_of_rows_elsewhere_stays_there():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    X, resp = problem()
    gate = SoftmaxGate()
    params = fitted(gate, X, resp)
    away = strict.asarray(X, device=device), strict.asarray(resp, device=device)
    stats = gate.statistics(params, *away)
    for found in (gate.log_prob(params, away[0]), *stats.values()):
        assert found.device == device
    found = array.to_host(stats)
    for name, value in gate.statistics(params, X, resp).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-12)


def test_regions_that_do_not_overlap_are_finite_and_diagnosed():
    X, _ = problem(p=1)
    X = np.sign(X) + 0.1 * X
    resp = np.eye(2)[(X[:, 0] > 0).astype(int)]
    gate = SoftmaxGate(alpha=1e-6)
    params = fitted(gate, X, resp, n_steps=40)
    assert np.isfinite(params["coef"]).all()
    (finding,) = gate.diagnose(params, gate.statistics(params, X, resp))
    assert finding.category is SeparationWarning
    assert "the experts' regions of x are separated" in finding.message
    assert gate.diagnose(fitted(gate, *problem()), gate.statistics(params, X, resp)) == []


def test_softmax_coefficients_are_log_odds_against_the_last_expert():
    X, resp = problem()
    params = fitted(SoftmaxGate(), X, resp)
    view = SoftmaxGate().view(params, UNITS)
    assert view.coef_.shape == (3, 2) and view.intercept_.shape == (3,)
    assert not view.coef_[-1].any() and view.intercept_[-1] == 0
    log_prob = SoftmaxGate().log_prob(params, X)
    expected = log_prob - log_prob[:, -1:]
    np.testing.assert_allclose(X @ view.coef_.T + view.intercept_, expected, atol=1e-10)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"coef": np.zeros((3, 2))}, "takes coef, intercept; got coef"),
        (
            {"coef": np.zeros((2, 2)), "intercept": [0, 0, 0]},
            r"coef of the gate needs shape \(3, 2\)",
        ),
        (
            {"coef": np.zeros((3, 2)), "intercept": [0, 0, np.nan]},
            "intercept of the gate holds NaN",
        ),
    ],
)
def test_wrong_starting_values_of_a_softmax_gate_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxGate().from_caller(values, UNITS, 3)
