"""Predictive distributions with the uncertainty of the parameters: what is promised of them."""

import pickle

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_regression

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsRegressor,
    load,
    save,
)
from classic_moe.datasets import load_motorcycle
from classic_moe.experts import LinearExpert, PoissonExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.model_selection import align


def weak(n_experts, **options):
    expert, gate = LinearExpert(alpha="weak"), SoftmaxGate(alpha="weak")
    return MixtureOfExpertsRegressor(n_experts, expert=expert, gate=gate, random_state=0, **options)


def two_lines(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    right = X[:, 0] + 0.7 * rng.standard_normal(n) > 0
    y = np.where(right, 2 + X[:, 1], -X[:, 2]) + 0.5 * rng.standard_normal(n)
    return X, y


@pytest.fixture(scope="module")
def lines():
    X, y = two_lines(120)
    return weak(2, n_init=2).fit(X, y), X, y


def components(dist):
    """Return weights, means and variances of all components, (n, C) each."""
    frozen = dist.components
    mean = np.broadcast_to(frozen.mean(), dist.weights.shape)
    return dist.weights, mean, np.broadcast_to(frozen.var(), dist.weights.shape)


def test_one_linear_expert_has_the_textbook_variance():
    X, y = make_regression(40, 3, noise=7.0, bias=100.0, random_state=0)
    X = X * [1, 10, 0.1] + 5
    expert = LinearExpert(alpha=0, variance_prior=0)
    model = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    new = np.array([[5.0, 5, 5], [8, 30, 5], [0, -20, 5.5]])
    Z, at = (np.column_stack([np.ones(len(rows)), rows]) for rows in (X, new))
    coef = np.linalg.lstsq(Z, y, rcond=None)[0]
    left = len(y) - 4
    s2 = np.sum((y - Z @ coef) ** 2) / left
    leverage = np.einsum("ij,jk,ik->i", at, np.linalg.inv(Z.T @ Z), at)
    dist = model.predict_dist(new, parameter_uncertainty=True)
    weights, mean, _ = components(dist)
    spread = np.sum(weights * (mean - (at @ coef)[:, None]) ** 2, axis=1)
    np.testing.assert_allclose(spread, s2 * leverage, rtol=1e-5)  # steps in single precision
    # of σ² a lognormal stands for the inverse chi-squared: 1 + 1/left for left / (left - 2)
    np.testing.assert_allclose(dist.var(), s2 * (1 + leverage), rtol=2 / left)
    textbook = stats.t(left, at @ coef, np.sqrt(s2 * (1 + leverage)))
    for level in (0.05, 0.95):
        gap = dist.ppf(level) - textbook.ppf(level)
        assert np.all(np.abs(gap) < 0.05 * textbook.std())
        assert np.all(
            np.abs(gap) < np.abs(model.predict_dist(new).ppf(level) - textbook.ppf(level))
        )


def test_automatic_penalties_need_no_second_correction():
    X, y = two_lines(60)
    expert = LinearExpert(alpha="auto", variance_prior=0)
    model = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    variance = components(model.predict_dist(X[:1], parameter_uncertainty=True))[2]
    scale = model.experts_[0].scale_
    np.testing.assert_allclose(np.exp(np.log(variance).mean()), scale**2, rtol=1e-5)


def test_intervals_of_few_rows_cover():
    inside = []
    for seed in range(12):
        X, y = two_lines(60, seed)
        new, truth = two_lines(400, 1000 + seed)
        model = weak(2, n_init=2).fit(X, y)
        for uncertain in (False, True):
            low, high = model.predict_dist(new, parameter_uncertainty=uncertain).interval(0.9)
            inside.append(np.mean((low <= truth) & (truth <= high)))
    plug_in, drawn = np.reshape(inside, (12, 2)).mean(axis=0)
    assert plug_in < 0.87
    assert plug_in + 0.02 < drawn < 0.92


def test_units_of_the_caller_and_standardising_change_nothing(lines):
    model, X, y = lines
    expert, gate = LinearExpert(alpha=0), SoftmaxGate(alpha=0)
    plain = MixtureOfExpertsRegressor(2, expert=expert, gate=gate, n_init=2, random_state=0)
    plain.fit(X, y)
    scaled = MixtureOfExpertsRegressor(
        2, expert=expert, gate=gate, init_params=plain, standardize=False
    )
    at = np.array([0.2, 0.8])[:, None]
    expected = plain.predict_dist(X[:5], parameter_uncertainty=True).ppf(at)
    same = scaled.fit(X, y).predict_dist(X[:5], parameter_uncertainty=True).ppf(at)
    # of fewer draws than coefficients the draws depend on the units, a little
    np.testing.assert_allclose(same, expected, atol=0.1 * y.std())
    units = weak(2, n_init=2).fit(1e3 * X - 7, 1e-3 * y + 5)
    drawn = units.predict_dist(1e3 * X[:5] - 7, parameter_uncertainty=True).ppf(at)
    expected = model.predict_dist(X[:5], parameter_uncertainty=True).ppf(at)
    np.testing.assert_allclose((drawn - 5) * 1e3, expected, rtol=1e-3, atol=1e-3)


def test_weights_are_frequencies(lines):
    _, X, y = lines
    weight = np.tile([1, 2, 3], 40)
    one = weak(2, n_init=1).fit(X, y, sample_weight=weight)
    rows = np.repeat(np.arange(len(y)), weight)
    other = weak(2, init_params=one).fit(X[rows], y[rows])
    each = [m.predict_dist(X[:5], parameter_uncertainty=True).std() for m in (one, other)]
    np.testing.assert_allclose(*each, rtol=1e-4)


def test_the_same_numbers_in_every_call_and_from_every_copy(lines, tmp_path):
    model, X, _ = lines
    save(model, tmp_path / "model.moe")
    copies = load(tmp_path / "model.moe"), pickle.loads(pickle.dumps(model)), model
    first = model.predict_dist(X, parameter_uncertainty=True).ppf(0.9)
    for copy in copies:
        assert np.array_equal(copy.predict_dist(X, parameter_uncertainty=True).ppf(0.9), first)
    alone = [model.predict_dist(X[[i]], parameter_uncertainty=True).ppf(0.9)[0] for i in range(3)]
    np.testing.assert_allclose(alone, first[:3], rtol=1e-12)  # products of matrices of other shapes


def test_the_order_of_the_experts_does_not_matter(lines):
    model, X, y = lines
    turned = model._current().reordered(np.array([1, 0]))
    other = pickle.loads(pickle.dumps(model))
    other._adopt(turned)
    each = [m.predict_dist(X, parameter_uncertainty=True) for m in (model, other)]
    np.testing.assert_allclose(each[0].cdf(y), each[1].cdf(y), atol=1e-5)  # single precision
    assert align(other, model, X).predict_dist(X, parameter_uncertainty=True).weights.shape == (
        len(X),
        64,
    )


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("poisson", {}),
        ("negative_binomial", {}),
        ("gamma", {}),
        ("student_t", {"gate": "constant"}),
        (["linear", "noise"], {}),
        ("linear", {"gate": "gaussian"}),
        ("linear", {"assignment": "hard"}),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of few rows, which some fits have here
def test_families_and_gates_get_wider(family, options):
    X, y = two_lines(80)
    if family in ("poisson", "negative_binomial", "gamma"):
        y = np.random.default_rng(0).poisson(np.exp(0.5 * y.clip(-2, 2))) + 1.0
    model = MixtureOfExpertsRegressor(2, expert=family, n_init=2, random_state=0, **options)
    plain = model.fit(X, y).predict_dist(X)
    drawn = model.predict_dist(X, parameter_uncertainty=True)
    np.testing.assert_allclose(drawn.weights.sum(axis=1), 1.0)
    assert np.isfinite(drawn.logpdf(y)).all()
    assert drawn.std().mean() > plain.std().mean()


@pytest.mark.filterwarnings("ignore::UserWarning")  # of few rows, which some fits have here
def test_several_outputs_and_trees():
    X, y = two_lines(80)
    Y = np.column_stack([y, X[:, 0] - y])
    several = weak(2, n_init=2).fit(X, Y).predict_dist(X, parameter_uncertainty=True)
    assert several.std().shape == (80, 2)
    assert np.isfinite(several.logpdf(Y)).all()
    tree = HierarchicalMixtureOfExpertsRegressor(depth=1, n_init=2, random_state=0).fit(X, y)
    assert tree.predict_dist(X, parameter_uncertainty=True).weights.shape == (80, 64)


def test_a_sharp_gate_does_not_draw_nonsense():
    X, y = load_motorcycle(return_X_y=True)
    model = weak(3, n_init=3).fit(X, y)
    plain, drawn = (model.predict_dist(X, parameter_uncertainty=u) for u in (False, True))
    assert np.all(np.abs(drawn.mean() - plain.mean()) < 2 * plain.std())
    assert drawn.logpdf(y).mean() > plain.logpdf(y).mean() - 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"expert": "laplace"}, "LaplaceExpert, has no second derivatives"),
        ({"max_iter": 1, "n_init": 1}, "not? .*maximum"),
        ({"gate": "least_squares"}, "LeastSquaresGate, whose steps do not climb"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_has_no_curvature_says_so(options, words):
    X, y = two_lines(80)
    model = MixtureOfExpertsRegressor(2, random_state=0, **options).fit(X, y)
    with pytest.raises(ValueError, match=words):
        model.predict_dist(X, parameter_uncertainty=True)


def test_rows_that_are_gone_are_told_of():
    X = two_lines(80)[0]
    model = MixtureOfExpertsRegressor(2, expert=PoissonExpert(), random_state=0)
    counts = np.random.default_rng(0).poisson(2.0, size=80)
    model.partial_fit(X, counts)
    with pytest.raises(ValueError, match="after partial_fit"):
        model.predict_dist(X, parameter_uncertainty=True)
