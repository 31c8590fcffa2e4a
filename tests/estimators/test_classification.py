"""MixtureOfExpertsClassifier: its numbers against formulas written out by hand."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SkLogisticRegression
from sklearn.metrics import log_loss
from weak import WEAK

from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    HierarchicalMixtureOfExpertsClassifier,
    MetaPiClassifier,
    MixtureOfExpertsClassifier,
)
from classic_moe.experts import LogisticExpert, MLPExpert, SoftmaxExpert

ROUNDING = dict(rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module", params=["softmax", "logistic"])
def fitted(request):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((200, 2)) * [1.0, 10.0] + 5
    z = (X - 5) / [1, 10]
    score = np.where(z[:, 0] > 0, 3 * z[:, 1], -3 * z[:, 1]) + 0.5 * rng.logistic(size=200)
    codes = np.digitize(score, [0.0] if request.param == "logistic" else [-1.0, 1.0])
    y = np.array(["b", "c", "a"])[codes]
    model = MixtureOfExpertsClassifier(2, expert=request.param, n_init=4, random_state=0)
    return model.fit(X, y), X, y


def test_shapes_are_those_of_the_classes(fitted):
    model, X, y = fitted
    C = len(set(y))
    assert_array_equal(model.classes_, sorted(set(y)))
    assert model.predict(X).shape == (200,)
    assert model.predict_proba(X).shape == model.predict_log_proba(X).shape == (200, C)
    assert model.predict_experts(X).shape == (200, 2, C)
    for expert in model.experts_:
        assert expert.coef_.shape == (1 if C == 2 else C, 2)
        assert expert.intercept_.shape == (1 if C == 2 else C,)
        assert expert.predict_proba(X).shape == (200, C)
        assert set(expert.predict(X)) <= set(y)


def test_class_probabilities_are_gate_weighted(fitted):
    model, X, y = fitted
    proba = np.einsum("nk,nkc->nc", model.gate_proba(X), model.predict_experts(X))
    assert_allclose(model.predict_proba(X), proba, **ROUNDING)
    assert_allclose(model.predict_log_proba(X), np.log(proba), **ROUNDING)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-14)
    assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    codes = np.searchsorted(model.classes_, y)
    assert_allclose(model.log_prob(X, y), np.log(proba[np.arange(200), codes]), **ROUNDING)
    assert_allclose(-model.log_prob(X, y).mean(), log_loss(y, model.predict_proba(X)), rtol=1e-8)


def test_expert_views_are_their_formulas(fitted):
    model, X, _ = fitted
    for k, expert in enumerate(model.experts_):
        scores = X @ np.transpose(expert.coef_) + expert.intercept_
        if len(model.classes_) == 2:
            proba = 1 / (1 + np.exp(-scores[:, 0]))
            proba = np.column_stack([1 - proba, proba])
        else:
            proba = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        assert_allclose(expert.predict_proba(X), proba, **ROUNDING)
        assert_allclose(model.predict_experts(X)[:, k], proba, **ROUNDING)


def test_samples_have_the_predicted_frequencies(fitted):
    model, X, _ = fitted
    few, draws = X[:3], 4000
    labels, expert = model.sample(np.repeat(few, draws, axis=0), random_state=0)
    labels, expert = labels.reshape(3, draws), expert.reshape(3, draws)
    for c, label in enumerate(model.classes_):
        p = model.predict_proba(few)[:, c]
        error = np.sqrt(p * (1 - p) / draws)
        assert (np.abs((labels == label).mean(axis=1) - p) <= 4 * error + 1e-12).all()
    p = model.gate_proba(few)[:, 1]
    assert (
        np.abs((expert == 1).mean(axis=1) - p) <= 4 * np.sqrt(p * (1 - p) / draws) + 1e-12
    ).all()
    again = model.sample(np.repeat(few, draws, axis=0), random_state=0)
    assert_array_equal(again[0].reshape(3, draws), labels)
    assert model.sample(X, np.random.default_rng(0))[0].shape == (200,)


def test_the_score_is_the_accuracy(fitted):
    model, X, y = fitted
    weight = np.arange(1.0, 201)
    assert_allclose(model.score(X, y), np.mean(model.predict(X) == y))
    assert_allclose(model.score(X, y, weight), np.average(model.predict(X) == y, weights=weight))


def test_the_mixture_finds_what_one_expert_cannot(fitted):
    """The slope changes its sign between the regions."""
    model, X, y = fitted
    plain = MixtureOfExpertsClassifier(1).fit(X, y)
    assert model.score(X, y) > plain.score(X, y) + 0.1


def test_class_weights_are_sample_weights():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((90, 2))
    y = (X[:, 0] + rng.logistic(size=90) > 1).astype(int)
    options = dict(n_init=2, random_state=0)
    given = MixtureOfExpertsClassifier(2, class_weight={0: 1.0, 1: 3.0}, **options).fit(X, y)
    weight = np.where(y == 1, 3.0, 1.0)
    plain = MixtureOfExpertsClassifier(2, **options).fit(X, y, weight)
    assert_array_equal(given.predict_proba(X), plain.predict_proba(X))
    assert_allclose(given.log_likelihood_, weight @ given.log_prob(X, y), rtol=1e-10)


def test_balanced_classes_have_equal_weight_also_with_sample_weights():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((90, 2))
    y = (X[:, 0] + rng.logistic(size=90) > 1).astype(int)
    sample_weight = rng.randint(0, 3, size=90)
    options = dict(n_init=2, random_state=0)
    balanced = MixtureOfExpertsClassifier(2, class_weight="balanced", **options)
    balanced.fit(X, y, sample_weight)
    total = np.bincount(y, weights=sample_weight)
    weight = sample_weight * (total.sum() / (2 * total))[y]
    plain = MixtureOfExpertsClassifier(2, **options).fit(X, y, weight)
    assert_allclose(balanced.predict_proba(X), plain.predict_proba(X), rtol=1e-9)


def test_class_weights_that_name_no_class_are_refused():
    X, y = np.random.RandomState(0).standard_normal((30, 2)), np.arange(30) % 2
    for bad in ("balance", {0: 1.0, 7: 2.0}, 3.0):
        with pytest.raises(ValueError, match=r"class_weight|[Cc]lass"):
            MixtureOfExpertsClassifier(2, class_weight=bad).fit(X, y)


def test_a_negative_class_weight_is_refused():
    X, y = np.random.RandomState(0).standard_normal((30, 2)), np.arange(30) % 2
    with pytest.raises(ValueError, match=r"class_weight"):
        MixtureOfExpertsClassifier(2, class_weight={0: 1.0, 1: -1.0}).fit(X, y)


def test_the_logistic_expert_is_the_softmax_expert_for_two_classes():
    """Half the penalty on the two symmetric rows is the whole one on their difference."""
    rng = np.random.RandomState(1)
    X = rng.standard_normal((150, 2))
    y = X[:, 0] * np.sign(X[:, 1]) + 0.7 * rng.logistic(size=150) > 0
    options = dict(n_init=2, random_state=0, tol=1e-18)  # to the top
    logistic = MixtureOfExpertsClassifier(2, expert=LogisticExpert(alpha=0.5), **options).fit(X, y)
    softmax = MixtureOfExpertsClassifier(2, expert=SoftmaxExpert(alpha=1.0), **options).fit(X, y)
    assert_allclose(logistic.predict_proba(X), softmax.predict_proba(X), atol=1e-6)
    for one, two in zip(logistic.experts_, softmax.experts_, strict=True):
        assert_allclose(one.coef_, two.coef_, atol=1e-4)


def binary(n=200):
    rng = np.random.RandomState(2)
    X = rng.standard_normal((n, 2)) * [1.0, 30.0] + [5.0, -100.0]
    z = (X - [5, -100]) / [1, 30]
    return X, np.where(z[:, 0] - 0.5 * z[:, 1] + rng.logistic(size=n) > 0.4, "yes", "no")


ONE_BINARY = {
    "softmax": MixtureOfExpertsClassifier(1, expert=SoftmaxExpert(alpha=0)),
    "logistic": MixtureOfExpertsClassifier(1, expert=LogisticExpert(alpha=0)),
    "list": MixtureOfExpertsClassifier(1, expert=[SoftmaxExpert(alpha=0)]),
    "adaptive": AdaptiveLocalExpertsClassifier(
        1, expert=SoftmaxExpert(alpha=0), objective="likelihood", solver="em"
    ),
    "estimator": MixtureOfExpertsClassifier(1, expert=SkLogisticRegression(C=np.inf, tol=1e-10)),
}


@pytest.mark.parametrize("name", ONE_BINARY)
def test_one_expert_for_two_classes_reports_what_scikit_learn_does(name):
    """Shape, sign and intercept of LogisticRegression, whichever estimator and expert."""
    X, y = binary()
    view = clone(ONE_BINARY[name]).fit(X, y).experts_[0]
    view = view.estimator_ if view.kind == "estimator" else view
    peer = SkLogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(X, y)
    assert view.coef_.shape == peer.coef_.shape == (1, 2)
    assert view.intercept_.shape == peer.intercept_.shape == (1,)
    # both stop at a gradient, of which a millionth of a coefficient is left
    assert_allclose(view.coef_, peer.coef_, rtol=1e-5)
    assert_allclose(view.intercept_, peer.intercept_, rtol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        MixtureOfExpertsClassifier(2, n_init=2),
        MixtureOfExpertsClassifier(2, expert=["softmax", "logistic"], n_init=2),
        HierarchicalMixtureOfExpertsClassifier(depth=1, n_init=2),
        AdaptiveLocalExpertsClassifier(2, n_init=2, max_iter=20),
        AdaptiveLocalExpertsClassifier(2, objective="blended_error", n_init=2, max_iter=20),
        MetaPiClassifier("logistic", n_experts=2, n_init=2, max_iter=20),
    ],
    ids=["softmax", "list", "hierarchical", "adaptive", "blended", "meta-pi"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_classifier_reports_log_odds_of_the_second_class(model):
    X, y = binary()
    model = clone(model).set_params(random_state=0).fit(X, y)
    proba = model.predict_experts(X)
    for k, view in enumerate(model.experts_):
        assert view.coef_.shape == (1, 2)
        odds = np.log(proba[:, k, 1] / proba[:, k, 0])
        assert_allclose(X @ view.coef_[0] + view.intercept_[0], odds, rtol=1e-7, atol=1e-7)
        assert "log-odds of 'yes' against 'no' = " in model.equations().splitlines()[k]


def test_a_network_without_hidden_units_reports_the_same():
    X, y = binary()
    expert = MLPExpert(hidden_layer_sizes=(), alpha=1e-6, max_iter=500)
    view = MixtureOfExpertsClassifier(1, expert=expert).fit(X, y).experts_[0]
    peer = SkLogisticRegression(C=np.inf, solver="newton-cholesky").fit(X, y)
    assert view.coefs_[-1].shape == (2, 1) and view.intercepts_[-1].shape == (1,)
    # the penalty of 1e-6 pulls by its share of the information, some 1e-8
    assert_allclose(view.coefs_[-1].T, peer.coef_, rtol=1e-4)
    assert_allclose(view.intercepts_[-1], peer.intercept_, rtol=1e-4)


@pytest.mark.parametrize(
    "expert", ["softmax", "logistic", MLPExpert(hidden_layer_sizes=(2,), max_iter=5), "linear"]
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_fit_starts_from_what_another_reports(expert, n_classes):
    X, y = binary()
    if n_classes == 3:
        if expert == "logistic":
            return
        y = np.where(X[:, 1] > -80, "maybe", y)
    options = dict(expert=expert, n_init=1, random_state=0)
    first = MixtureOfExpertsClassifier(2, tol=1e-2, **options).set_params(**WEAK).fit(X, y)
    gate, views = first.gate_, first.experts_
    if expert in ("softmax", "logistic", "linear"):
        own = {"coef": [v.coef_ for v in views], "intercept": [v.intercept_ for v in views]}
        own |= {"scale": [v.scale_ for v in views]} if expert == "linear" else {}
    else:
        own = {
            name: [np.stack(layers) for layers in zip(*each, strict=True)]
            for name, each in {
                "coefs": [v.coefs_ for v in views],
                "intercepts": [v.intercepts_ for v in views],
            }.items()
        }
    start = {"gate": {"coef": gate.coef_, "intercept": gate.intercept_}, "expert": own}
    again = MixtureOfExpertsClassifier(2, init_params=start, max_iter=1, **options)
    again.set_params(**WEAK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one iteration
        again.fit(X, y)
    # The same densities, and of a network the symmetric weights, which the penalty prefers.
    assert again.lower_bounds_[0] >= first.lower_bounds_[-1] - 1e-7 * abs(first.lower_bounds_[-1])


def test_probabilities_are_never_zero():
    """Their logarithm is what predict_log_proba says, also for a row far inside a class."""
    X = np.linspace(-1, 1, 40)[:, None]
    y = (X[:, 0] + 0.5 * np.sin(20 * X[:, 0]) > 0).astype(int)
    model = MixtureOfExpertsClassifier(1).fit(X, y)
    far = np.array([[1e8], [-1e8]])
    proba = model.predict_proba(far)
    assert (proba > 0).all()
    assert_allclose(np.log(proba), model.predict_log_proba(far), rtol=1e-12)
    assert_array_equal(model.predict(far), [1, 0])
    assert model.log_prob(far, [0, 1]).max() < -1e6
