"""MixtureOfExpertsClassifier: its numbers against formulas written out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import log_loss

from classic_moe import MixtureOfExpertsClassifier
from classic_moe.experts import LogisticExpert, SoftmaxExpert

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
        assert np.shape(expert.coef_) == ((2,) if C == 2 else (C, 2))
        assert np.shape(expert.intercept_) == (() if C == 2 else (C,))
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
        if scores.ndim == 1:
            proba = 1 / (1 + np.exp(-scores))
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
        assert_allclose(one.coef_, two.coef_[1] - two.coef_[0], atol=1e-4)


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
