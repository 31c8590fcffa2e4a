"""Softmax and logistic experts: weighted multinomial regression, one per expert."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from classic_moe.data.units import Scaling, Units
from classic_moe.experts import LogisticExpert, SoftmaxExpert
from classic_moe.parts import softmax_regression as sr


def problem(C, n=120, p=2, K=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    y = (X @ rng.standard_normal((p, C)) + rng.gumbel(size=(n, C))).argmax(axis=1)
    return X, y, rng.dirichlet(np.ones(K), size=n) * rng.uniform(0.5, 2.0, (n, 1))


def fitted(expert, X, y, resp, C, n_steps=15):
    params = expert.init(X, y, resp, np.random.RandomState(0), np.arange(C))
    for _ in range(n_steps):
        params = expert.maximize(params, expert.statistics(params, X, y, resp))
    return params


def units(p=2):
    return Units(Scaling.identity(p), Scaling.identity(1))


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_the_fixed_point_of_softmax_experts_is_multinomial_regression(alpha):
    X, y, resp = problem(C=3)
    params = fitted(SoftmaxExpert(alpha), X, y, resp, C=3)
    for k in range(2):
        peer = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000)
        peer.fit(X, y, sample_weight=resp[:, k])
        # lbfgs stops at gradients of 1e-10 n: about 1e-6 in probabilities
        got = SoftmaxExpert().mean(params, X)[:, k]
        np.testing.assert_allclose(got, peer.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_the_fixed_point_of_logistic_experts_is_logistic_regression(alpha):
    X, y, resp = problem(C=2)
    expert = LogisticExpert(alpha)
    values = expert.to_caller(fitted(expert, X, y, resp, C=2), units())
    for k in range(2):
        peer = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000)
        peer.fit(X, y, sample_weight=resp[:, k])
        np.testing.assert_allclose(values["coef"][k], peer.coef_, atol=1e-5)
        np.testing.assert_allclose(values["intercept"][k], peer.intercept_, atol=1e-5)


def test_logistic_and_softmax_experts_of_two_classes_are_the_same_model():
    X, y, resp = problem(C=2)
    logistic = fitted(LogisticExpert(alpha=0.5), X, y, resp, C=2)
    softmax = fitted(SoftmaxExpert(alpha=1.0), X, y, resp, C=2)  # |w|² = 2 (|w/2|² + |-w/2|²)
    np.testing.assert_allclose(logistic["coef"], softmax["coef"], atol=1e-12)
    prior = LogisticExpert(0.5).log_prior(logistic), SoftmaxExpert(1.0).log_prior(softmax)
    assert prior[0] == pytest.approx(prior[1], rel=1e-12)
    difference = logistic["coef"][:, 1, 1:] - logistic["coef"][:, 0, 1:]
    assert prior[0] == pytest.approx(-0.25 * np.sum(difference**2))  # ½·alpha·|w|²


def test_log_prob_is_that_of_the_class_seen():
    X, y, resp = problem(C=3)
    params = fitted(SoftmaxExpert(), X, y, resp, C=3)
    proba = SoftmaxExpert().mean(params, X)
    np.testing.assert_allclose(proba.sum(axis=2), 1, atol=1e-12)
    expected = np.log(proba[np.arange(len(y)), :, y])
    np.testing.assert_allclose(SoftmaxExpert().log_prob(params, X, y), expected, atol=1e-12)


def test_a_class_that_an_expert_never_sees_gets_a_small_finite_probability():
    X, y, resp = problem(C=3)
    resp[y == 2, 0] = 0.0
    params = fitted(SoftmaxExpert(), X, y, resp, C=3)
    log_prob = SoftmaxExpert().log_prob(params, X, np.full(len(X), 2))
    assert np.isfinite(log_prob).all() and log_prob[:, 0].max() < np.log(1e-3)


def test_separated_classes_stay_finite_and_are_found_within_their_expert():
    X, _, resp = problem(C=2, p=1)
    X = np.sign(X) + 0.1 * X
    y = (X[:, 0] > 0).astype(int)
    params = fitted(SoftmaxExpert(alpha=1e-6), X, y, resp, C=2, n_steps=40)
    assert np.isfinite(params["coef"]).all()
    stats = SoftmaxExpert().statistics(params, X, y, resp)
    found = SoftmaxExpert(alpha=1e-6).diagnose(params, stats)
    assert [finding.message.split(" are ")[0] for finding in found] == [
        "the classes within expert 0",
        "the classes within expert 1",
    ]


def test_parameters_count_the_free_ones():
    X, y, resp = problem(C=3)
    assert SoftmaxExpert().n_parameters(fitted(SoftmaxExpert(), X, y, resp, 3)) == 2 * 2 * 3
    X, y, resp = problem(C=2)
    assert LogisticExpert().n_parameters(fitted(LogisticExpert(), X, y, resp, 2)) == 2 * 3


def test_softmax_coefficients_are_log_odds_against_the_last_class():
    X, y, resp = problem(C=3)
    params = fitted(SoftmaxExpert(), X, y, resp, C=3)
    values = SoftmaxExpert().to_caller(params, units())
    assert not values["coef"][:, -1].any() and not values["intercept"][:, -1].any()
    view = SoftmaxExpert().view(params, 0, units(), classes=np.array(["a", "b", "c"]))
    odds = np.log(SoftmaxExpert().mean(params, X)[:, 0])
    expected = X @ view.coef_.T + view.intercept_
    np.testing.assert_allclose(odds - odds[:, -1:], expected, atol=1e-10)


@pytest.mark.parametrize("expert", [SoftmaxExpert(), LogisticExpert()])
def test_coefficients_of_two_classes_are_log_odds_of_the_second(expert):
    X, y, resp = problem(C=2)
    params = fitted(expert, X, y, resp, C=2)
    view = expert.view(params, 0, units(), classes=np.array(["no", "yes"]), n_features_in=2)
    assert view.coef_.shape == (1, 2) and view.intercept_.shape == (1,)
    assert view.log_odds == [("yes", "no")]
    odds = np.log(expert.mean(params, X)[:, 0])
    expected = X @ view.coef_[0] + view.intercept_[0]
    np.testing.assert_allclose(odds[:, 1] - odds[:, 0], expected, atol=1e-10)


@pytest.mark.parametrize("expert", [SoftmaxExpert(), LogisticExpert()])
@pytest.mark.parametrize("C", [2, 3])
def test_what_a_fit_reports_is_where_another_may_start(expert, C):
    if expert.target.outputs == 2 < C:
        return
    X, y, resp = problem(C)
    params = fitted(expert, X, y, resp, C)
    scale = Units(Scaling.fit(X * [1e3, 0.1] + 5, np.ones(len(X))), Scaling.identity(1))
    back = expert.from_caller(expert.to_caller(params, scale), scale, 2, np.arange(C))
    # the parameters themselves, which are symmetric as every step leaves them
    np.testing.assert_allclose(back["coef"], params["coef"], atol=1e-10)


def test_starting_values_of_two_classes_may_have_a_row_for_each():
    one = {"coef": [[1.0, -2.0], [0.0, 3.0]], "intercept": [0.5, -1.0]}
    both = {
        "coef": np.stack([np.zeros((2, 2)), one["coef"]], axis=1) + 7,
        "intercept": np.column_stack([np.zeros(2), one["intercept"]]) + 7,
    }
    for expert in (SoftmaxExpert(), LogisticExpert()):
        first, second = (
            expert.from_caller(values, units(), 2, np.arange(2))["coef"] for values in (one, both)
        )
        np.testing.assert_allclose(first, second, atol=1e-14)
        np.testing.assert_allclose(first[:, 1] - first[:, 0], [[0.5, 1, -2], [-1, 0, 3]])


def test_views_predict_the_callers_labels():
    X, y, resp = problem(C=2)
    labels = np.array(["no", "yes"])
    for expert in (SoftmaxExpert(), LogisticExpert()):
        params = fitted(expert, X, y, resp, C=2)
        view = expert.view(params, 1, units(), classes=labels, n_features_in=2)
        assert np.array_equal(view.predict(X), labels[expert.mean(params, X)[:, 1].argmax(axis=1)])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"coef": np.zeros((2, 3))}, r"coef of the expert needs shape \(2, 3, 2\), got \(2, 3\)"),
        ({"intercept": [[0, 0, np.inf]] * 2}, "intercept of the expert holds NaN or infinity"),
        ({"scale": 1.0}, "takes coef, intercept; got coef, intercept, scale"),
    ],
)
def test_wrong_starting_values_are_named(change, message):
    values = {"coef": np.zeros((2, 3, 2)), "intercept": np.zeros((2, 3))}
    assert not SoftmaxExpert().from_caller(values, units(), 2, np.arange(3))["coef"].any()
    with pytest.raises(ValueError, match=message):
        SoftmaxExpert().from_caller(values | change, units(), 2, np.arange(3))


def test_starting_values_in_any_gauge_are_the_same_model():
    values = {"coef": np.ones((1, 3, 2)), "intercept": np.array([[5.0, 4.0, 3.0]])}
    params = SoftmaxExpert().from_caller(values, units(), 1, np.arange(3))
    np.testing.assert_allclose(sr.reference_gauge(params["coef"])[0, :, 0], [2, 1, 0])
    assert not params["coef"][:, :, 1:].any()


@pytest.mark.parametrize("labels", [[0, 1, 2], ["a"]])
def test_logistic_experts_refuse_other_numbers_of_classes(labels):
    with pytest.raises(ValueError, match=f"two classes, y has {len(labels)}; use expert='softmax'"):
        LogisticExpert().check_target(np.array(labels))
