"""The path of fits with more and more experts: never lower, never worse than a fit alone."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from weak import WEAK

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.estimators._neighbours import copied
from classic_moe.experts import GaussianExpert, LinearExpert, PoissonExpert, SoftmaxExpert
from classic_moe.gates import GaussianGate, SoftmaxGate
from classic_moe.model_selection.path import Path, Rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EXPERTS = [
    LinearExpert(alpha=0, variance_prior=0),
    PoissonExpert(alpha=0),
    GaussianExpert(variance_prior=0),
    SoftmaxExpert(alpha=0),
]
GATES = [SoftmaxGate(alpha=0), "constant", GaussianGate(variance_prior=0)]


def problem(seed, **options):
    """A mixture without penalties that searches little, and rows of some experts."""
    rng = np.random.default_rng(seed)
    n, p, K = rng.integers(60, 160), rng.integers(1, 3), rng.integers(1, 4)
    X = rng.normal(size=(n, p))
    z = np.argmax(3 * X @ rng.normal(size=(p, K)) + rng.gumbel(size=(n, K)), axis=1)
    eta = 2 * rng.normal(size=K)[z] + np.sum(X * rng.normal(size=(K, p))[z], axis=1)
    expert = EXPERTS[seed % 4]
    if isinstance(expert, PoissonExpert):
        y = rng.poisson(np.exp(np.clip(eta / 2, -3, 3))).astype(float)
    elif isinstance(expert, SoftmaxExpert):
        y = np.digitize(eta + rng.logistic(size=n), [-1, 1])
    else:
        y = eta + 0.4 * rng.standard_normal(n)
    kind = MixtureOfExpertsClassifier if isinstance(expert, SoftmaxExpert) else None
    options = dict(n_init=1, max_iter=3, random_state=seed) | options
    model = (kind or MixtureOfExpertsRegressor)(expert=expert, gate=GATES[seed // 4 % 3], **options)
    weight = rng.integers(0, 3, n).astype(float) if seed % 5 == 0 else None
    return model, Rows(X, y, weight)


def falls(path):
    """How far what a path climbs falls, at most, relative to its size."""
    models_x = isinstance(path.estimator.gate, GaussianGate)
    fact = "joint_log_likelihood_" if models_x else "log_likelihood_"
    values = np.array([getattr(fit, fact) for fit in path.fits])
    return np.max((values[:-1] - values[1:]) / np.abs(values[:-1]))


@pytest.mark.parametrize("seed", range(12))
def test_without_penalties_more_experts_are_never_beaten_by_fewer(seed):
    """After three iterations fits are poor, and fewer experts often better."""
    model, rows = problem(seed)
    assert falls(Path(model, [1, 2, 3, 4], rows).run()) < 1e-8


@pytest.fixture
def no_splits(monkeypatch):
    """Starts near a fit are of no use: all experts have all rows."""

    def useless(fit, n_experts, X, *rest, most=None):
        return np.full((1, len(X), n_experts), 1 / n_experts)

    monkeypatch.setattr("classic_moe.estimators._neighbours.starts_near", useless)


def test_copies_alone_hold_what_is_guaranteed(no_splits, monkeypatch):
    problems = [problem(seed, init_params="random") for seed in range(8)]
    assert max(falls(Path(model, [1, 2, 4], rows).run()) for model, rows in problems) < 1e-8
    monkeypatch.setattr(Path, "_at_least", lambda self, i: False)
    assert max(falls(Path(model, [1, 2, 4], rows).run()) for model, rows in problems) > 1e-3


def test_numbers_may_be_left_out():
    model, rows = problem(1, max_iter=2)
    path = Path(model, [1, 4, 6], rows).run()
    assert [fit.n_experts_ for fit in path.fits] == [1, 4, 6] and falls(path) < 1e-8
    assert all(len(fit.gate_proba(rows.X).T) == fit.n_experts for fit in path.fits)


def test_no_fit_is_worse_than_the_estimator_finds_alone_and_some_are_better():
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(n_init=3, random_state=0).set_params(**WEAK)
    path, gains = Path(model, [1, 2, 3, 4, 5], Rows(X, y)).run(), []
    for fit in path.fits:
        alone = clone(fit).fit(X, y)
        gains.append(fit.lower_bounds_[-1] - alone.lower_bounds_[-1])
    assert min(gains) > -1e-6 and max(gains) > 1


def test_merges_of_a_better_fit_mend_the_one_before(monkeypatch):
    """On the way down: three experts of the motorcycle data are found by way of four."""
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(n_init=1, random_state=0).set_params(**WEAK)
    both = Path(model, [3, 4], Rows(X, y)).run()
    monkeypatch.setattr(Path, "_from_above", lambda self, i: False)
    up = Path(model, [3, 4], Rows(X, y)).run()
    assert both.fits[0].lower_bounds_[-1] > up.fits[0].lower_bounds_[-1] + 1


def test_with_penalties_no_fit_is_below_its_predecessor_with_an_expert_repeated():
    X, y = load_motorcycle(return_X_y=True)
    strong = MixtureOfExpertsRegressor(
        expert=LinearExpert(alpha=3, variance_prior=3),
        gate=SoftmaxGate(alpha=3),
        n_init=1,
        random_state=0,
    )
    path = Path(strong, [1, 2, 3, 4], Rows(X, y)).run()
    objectives = [fit.lower_bounds_[-1] for fit in path.fits]
    assert min(np.diff(objectives)) < 0  # one expert more is not worth its prior
    for before, fit in zip(path.fits, path.fits[1:], strict=False):
        for k in range(before.n_experts_):
            start = copied(before, k, fit.n_experts_)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                repeated = clone(fit).set_params(init_params=start, max_iter=1).fit(X, y)
            assert fit.lower_bounds_[-1] >= repeated.lower_bounds_[0] - 1e-6


def test_gates_without_copies_have_a_path_too():
    model, rows = problem(0)
    path = Path(clone(model).set_params(gate=LogisticRegression()), [1, 2, 3], rows).run()
    assert [fit.n_experts_ for fit in path.fits] == [1, 2, 3]
