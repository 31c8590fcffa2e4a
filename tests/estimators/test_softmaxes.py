"""Mixtures of softmaxes break the bottleneck, and are mixtures of experts in all else."""

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp
from sklearn.base import clone
from sklearn.datasets import load_iris

from classic_moe import MixtureOfExpertsClassifier, MixtureOfSoftmaxesClassifier, load, save
from classic_moe.datasets import make_softmax_bottleneck
from classic_moe.experts import ReducedRankSoftmaxExpert
from classic_moe.gates import SoftmaxGate

TRAINING = 280
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rank_of(log_proba):
    values = np.linalg.svd(log_proba, compute_uv=False)
    return int(np.sum(values > 1e-6 * values[0]))


def divergence(model, words):
    """Mean Kullback-Leibler divergence from the truth, in contexts that no fit has seen."""
    truth = words.log_proba[TRAINING:]
    log_proba = model.predict_log_proba(words.contexts[TRAINING:])
    return float(np.sum(np.exp(truth) * (truth - log_proba), axis=1).mean())


def fitted(words, n_components, rank, seed):
    rows = words.context < TRAINING
    model = MixtureOfSoftmaxesClassifier(n_components, rank=rank, tol=1e-4, random_state=seed)
    return model.fit(words.data[rows], words.target[rows], words.weight[rows])


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_the_bottleneck_is_broken(seed):
    words = make_softmax_bottleneck(random_state=seed)
    mixture, one = fitted(words, 3, 3, seed), fitted(words, 1, 3, seed)
    larger = fitted(words, 1, 4, seed)
    assert larger.n_parameters_ > 0.95 * mixture.n_parameters_
    found = divergence(mixture, words)
    assert found <= 0.05 * divergence(one, words)
    assert found < divergence(larger, words)
    # d features, a bias and the logarithm of the sum: rank d + 2
    assert rank_of(one.predict_log_proba(words.contexts)) <= 5
    assert rank_of(larger.predict_log_proba(words.contexts)) <= 6
    assert rank_of(mixture.predict_log_proba(words.contexts)) == 40


@pytest.fixture(scope="module")
def small():
    return make_softmax_bottleneck(40, n_classes=8, rank=2, random_state=0)


def of(words, **options):
    options = dict(rank=2, n_init=1, max_iter=30, tol=1e-2, random_state=0) | options
    return MixtureOfSoftmaxesClassifier(2, **options), (words.data, words.target, words.weight)


def test_probabilities_are_those_of_the_equation(small):
    model, rows = of(small)
    model.fit(*rows)
    X = small.contexts
    gate = log_softmax(X @ model.gate_.coef_.T + model.gate_.intercept_, axis=1)
    each = []
    for view in model.experts_:
        (U, W), (u, b) = view.coefs_, view.intercepts_
        each.append(log_softmax(np.tanh(X @ U + u) @ W + b, axis=1))
    W0, W1 = (view.coefs_[1] for view in model.experts_)
    assert np.array_equal(W0, W1)
    log_proba = logsumexp(gate[:, :, None] + np.stack(each, axis=1), axis=1)
    assert np.allclose(model.predict_log_proba(X), log_proba, atol=1e-9)


def test_it_is_a_preset(small):
    model, rows = of(small)
    plain = MixtureOfExpertsClassifier(
        2,
        expert=ReducedRankSoftmaxExpert(2),
        gate=SoftmaxGate(alpha=1e-3),
        solver="lbfgs",
        n_init=1,
        max_iter=30,
        tol=1e-2,
        random_state=0,
    ).fit(*rows)
    assert np.array_equal(model.fit(*rows).predict_proba(rows[0]), plain.predict_proba(rows[0]))


def test_weights_are_repetitions(small):
    # more iterations would amplify the rounding of sums in another order, and of more rows than
    # 500 a start looks at some
    model, (X, y, weight) = of(small, max_iter=5)
    X, y, weight = X[::2], y[::2], np.minimum(weight[::2], 3).astype(int)
    resp = np.random.default_rng(0).dirichlet([1, 1], len(X))
    weighted = clone(model).set_params(init_params=resp).fit(X, y, weight)
    repeated = clone(model).set_params(init_params=np.repeat(resp, weight, axis=0))
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert np.allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


def test_parameters_are_counted(small):
    model, rows = of(small)
    p, d, C, K = 5, 2, 8, 2
    expected = (K - 1) * (p + 1) + K * d * (p + 1) + (C - 1) * (d + 1)
    assert model.fit(*rows).n_parameters_ == expected


def test_em_climbs_as_well(small):
    model, rows = of(small, solver="em", max_iter=15)
    model.fit(*rows)
    assert np.all(np.diff(model.lower_bounds_) >= 0)


def test_a_fit_is_kept_and_goes_on(small, tmp_path):
    model, (X, y, weight) = of(small, warm_start=True)
    model.fit(X, y, weight)
    save(model, tmp_path / "model.moe")
    again = load(tmp_path / "model.moe")
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    before = model.lower_bounds_[-1]
    assert model.fit(X, y, weight).lower_bounds_[0] >= before - 1e-6 * abs(before)


def test_a_rank_without_bottleneck_is_said():
    X, y = load_iris(return_X_y=True)
    model = MixtureOfSoftmaxesClassifier(1, rank=2, tol=1, random_state=0)
    with pytest.warns(UserWarning, match="rank=2 is no bottleneck for 3 classes"):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (dict(n_components=0), "n_components=0"),
        (dict(rank=0), "rank=0 of ReducedRankSoftmaxExpert: needs an integer of at least 1"),
        (dict(activation="relu"), "activation='relu'"),
        (dict(alpha=-1), "alpha=-1"),
        (dict(n_components=200), "n_components=200 needs at least 200 rows"),
    ],
)
def test_what_cannot_be_fitted_is_refused(bad, sentence):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=sentence):
        MixtureOfSoftmaxesClassifier(**bad).fit(X, y)


def test_the_other_truth_and_refusals_of_the_data():
    words = make_softmax_bottleneck(30, truth="topics", n_classes=20, random_state=0)
    assert words.log_proba.shape == (30, 20)
    assert np.allclose(np.exp(words.log_proba).sum(axis=1), 1)
    assert np.array_equal(words.data, words.contexts[words.context])
    assert words.weight.sum() == 30 * 200
    with pytest.raises(ValueError, match="truth='none'"):
        make_softmax_bottleneck(truth="none")
    with pytest.raises(ValueError, match="rank"):
        make_softmax_bottleneck(rank=0)
