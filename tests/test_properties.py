"""What every fit promises, whatever the data: monotone, finite, the same for equal data."""

import functools
import itertools
import json
from unittest import mock

import drawn_problems
import numpy as np
import pytest
import random_problems
import statsmodels.api as sm
from drawn_problems import draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from promises import LIVES
from random_problems import count, wrong_way
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.data.batches import CHUNK
from classic_moe.experts import LinearExpert, LogisticExpert, SoftmaxExpert
from classic_moe.model import fused_climb
from classic_moe.parts.params import leaves

# -- random problems -------------------------------------------------------------------------------

deterministic = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@functools.cache
def reports_of(first, last):
    """What came of these problems, examined once for all tests of a process."""
    return list(count(range(first, last)))


@pytest.mark.parametrize("first", range(0, 50, 10))
def test_random_problems_keep_every_promise(first):
    broken = {r.spec["seed"]: r.broken for r in reports_of(first, first + 10) if r.broken}
    assert broken == {}


def test_random_problems_with_compiled_passes_keep_every_promise():
    reports = list(count(range(10), rows_above=512))
    assert all(report.spec["n"] > 512 for report in reports)
    assert {r.spec["seed"]: r.broken for r in reports if r.broken} == {}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 250, 10))  # scripts/nightly.sh tries new ones
def test_more_random_problems_keep_every_promise(first):
    test_random_problems_keep_every_promise(first)


def test_few_random_problems_are_refused():
    """A drawing that no estimator takes would try nothing."""
    tried = itertools.chain.from_iterable(
        reports_of(first, first + 10) for first in range(0, 40, 10)
    )
    assert sum(bool(report.refused) for report in tried) <= 3


def test_random_problems_are_of_every_kind():
    """Every name in every table is drawn, and a number always draws the same problem."""
    specs = [draw(seed).spec for seed in range(600)]
    for name, shares in {
        "kind": drawn_problems.ESTIMATORS,
        "target": drawn_problems.TARGETS,
        "gate": drawn_problems.GATES,
        "solver": drawn_problems.SOLVERS,
        "objective": drawn_problems.OBJECTIVES,
        "start": drawn_problems.STARTS,
        "features": drawn_problems.FEATURES,
        "signal": drawn_problems.SIGNALS,
        "weights": drawn_problems.WEIGHTS,
        "rows of X": drawn_problems.ROWS_OF_X,
        "life": LIVES,
    }.items():
        assert {spec[name] for spec in specs} >= set(shares), name
    assert draw(7).spec == specs[7]
    assert_array_equal(draw(7).X, draw(7).X)


def test_the_check_reports_falls_when_the_m_step_is_damped_the_wrong_way():
    """The same run with every M-step away from its maximum, by a solver that takes it on trust."""
    trusting, wrong = wrong_way()
    seeds = [seed for seed in range(40) if draw(seed).spec["solver"] in ("auto", "em")]
    with trusting, wrong:
        reports = list(count(seeds))
    falls = [r for r in reports if any(text.startswith("fall") for text in r.broken)]
    # a wrong step may also leave a start that has no way down, or no model
    assert len(falls) >= len(reports) / 3 >= 3


BREAKAGES = {  # what is broken on purpose, and the beginning of the sentence that must say so
    "a probability of experts too large": (
        "gate_proba",
        lambda value: value * 1.001,
        "gate_proba: a row does not sum to one",
    ),
    "another density": ("log_prob", lambda value: value + 1e-6, "log_likelihood_"),
    "another mean": ("predict", lambda value: _moved(value), "predict and gate_proba"),
    "a number that is none": ("predict_experts", lambda value: value * np.nan, "NaN"),
    "an information criterion of another sample": ("bic", lambda value: value + 1, "bic - aic"),
}


def _moved(value):
    """Means moved by a little, alone or beside their standard deviations."""
    return (value[0] + 1e-3, value[1]) if isinstance(value, tuple) else value + 1e-3


@pytest.mark.parametrize("what", BREAKAGES)
def test_the_check_reports_what_is_broken_on_purpose(what, monkeypatch):
    method, change, sentence = BREAKAGES[what]
    right = getattr(MixtureOfExpertsRegressor, method)

    def wrong(self, *args, **options):
        return change(right(self, *args, **options))

    monkeypatch.setattr(MixtureOfExpertsRegressor, method, wrong)
    seeds = (seed for seed in range(100) if _plain(draw(seed).spec))
    found = [text for report in count(itertools.islice(seeds, 3)) for text in report.broken]
    assert any(text.startswith(sentence) for text in found), found


def _plain(spec):
    """Whether a problem is a mixture for regression without further facts of its rows."""
    return (
        (spec["kind"], spec["target"], spec["assignment"]) == ("mixture", "real", "soft")
        and spec["weights"] == "none"
        and not spec["groups"]
    )


def test_an_error_that_is_no_sentence_counts_as_a_fault(monkeypatch):
    """LinAlgError is a ValueError, but nobody wrote it for a reader; nor did numpy its own."""

    def singular(self, *args, **options):
        return np.linalg.cholesky(-np.eye(2))

    monkeypatch.setattr(MixtureOfExpertsRegressor, "fit", singular)
    seeds = (seed for seed in range(100) if _plain(draw(seed).spec))
    for report in count(itertools.islice(seeds, 3)):
        assert not report.refused and "fit: LinAlgError" in report.broken[0]


def test_a_fit_that_fails_halfway_and_leaves_a_trace_is_reported(monkeypatch):
    def traced(self, X, y, *args, **options):
        self.n_iter_ = 0
        return right(self, X, y, *args, **options)

    right = MixtureOfExpertsRegressor.fit
    monkeypatch.setattr(MixtureOfExpertsRegressor, "fit", traced)
    seeds = (seed for seed in range(100) if _plain(draw(seed).spec))
    (report,) = count(itertools.islice(seeds, 1))
    assert any(
        text.startswith("a failed fit (NaN in X) changed ['n_iter_']") for text in report.broken
    )


def test_the_program_says_what_it_found(tmp_path, capsys):
    out = tmp_path / "faults.jsonl"
    trusting, wrong = wrong_way()
    with trusting, wrong:
        assert random_problems.main(["0", "12", "--out", str(out)]) == 1
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines and set(lines[0]) == {"seed", "broken", "refused", "seconds", "spec"}
    assert "12 problems in" in capsys.readouterr().out
    assert random_problems.main(["3", "--one"]) == 0
    assert "refused: no" in capsys.readouterr().out


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_an_m_step_that_descends_is_refused_and_the_fit_says_so(task):
    """With the solver as shipped, the same wrong M-step cannot lower the objective."""
    _, wrong = wrong_way()
    rng = np.random.RandomState(0)
    X = rng.standard_normal((120, 3))
    y = np.abs(X @ [1.0, 2.0, -1.0]) + 3 * rng.standard_normal(120)
    kind = MixtureOfExpertsRegressor
    if task == "classification":
        y, kind = (y > 2).astype(int), MixtureOfExpertsClassifier
    stepwise = mock.patch.object(fused_climb, "lookup", return_value=None)  # by these verbs
    with wrong, stepwise, pytest.warns(ConvergenceWarning, match="did not converge"):
        model = kind(3, random_state=0).fit(X, y)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert not model.converged_


# -- the same data in other words -----------------------------------------------------------------

# Models with a given start: two fits of the same data then climb the same hill. They differ by
# rounding, which the iterations stretch, and so do the places where they end: sqrt(tol) from the
# top, in standard deviations. Hence a tol of 1e-18.
CASES = {
    "linear": MixtureOfExpertsRegressor(2),
    "linear, constant gate": MixtureOfExpertsRegressor(2, gate="constant"),
    "linear, two outputs": MixtureOfExpertsRegressor(2),
    "gaussian": MixtureOfExpertsRegressor(3, expert="gaussian"),
    "softmax": MixtureOfExpertsClassifier(2),
    "logistic": MixtureOfExpertsClassifier(2, expert="logistic", gate="constant"),
    "own columns": MixtureOfExpertsRegressor(2, gate_features=[0], expert_features=[2, 1]),
}


@pytest.fixture(params=list(CASES))
def case(request):
    """(model, X, y, resp): unfitted, with data that overlap and a start to be given."""
    rng = np.random.RandomState(3)
    n = 150
    X = rng.standard_normal((n, 3)) * [1.0, 2.0, 0.5] + [0.0, 1.0, -1.0]
    left = X[:, 0] + 0.3 * rng.logistic(size=n) < 0  # a gate that is not sharp
    y = np.where(left, 1 + X[:, 1], -2 * X[:, 1] + X[:, 2]) + 0.4 * rng.standard_normal(n)
    model = clone(CASES[request.param]).set_params(tol=1e-18, max_iter=2000)
    if "two outputs" in request.param:
        y = np.column_stack([y, X[:, 0] - y + rng.standard_normal(n)])
    if isinstance(model, MixtureOfExpertsClassifier):
        noisy = y + rng.logistic(size=n)
        y = np.digitize(noisy, [0.0] if request.param == "logistic" else [-1.0, 1.5])
    resp = rng.dirichlet(np.ones(model.n_experts), size=n)
    return model, X, y, resp


def fit(model, X, y, resp, **options):
    return clone(model).set_params(init_params=resp).fit(X, y, **options)


def predicted(model, X):
    """Predictions in units of the spread of y: means, or class probabilities."""
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


# Two converged fits of the same data in another guise; measured: at most 3e-9.
SAME = dict(rtol=0, atol=1e-8)


def test_weight_two_is_the_row_twice(case):
    model, X, y, resp = case
    weight = np.random.RandomState(0).randint(1, 4, size=len(X))
    weighted = fit(model, X, y, resp, sample_weight=weight)
    rows = np.repeat(np.arange(len(X)), weight)
    repeated = fit(model, X[rows], y[rows], resp[rows])
    assert_allclose(predicted(weighted, X), predicted(repeated, X), **SAME)
    assert_allclose(weighted.log_likelihood_, repeated.log_likelihood_, rtol=1e-10)
    assert_allclose(weighted.bic(X, y, weight), repeated.bic(X[rows], y[rows]), rtol=1e-10)


def test_weight_zero_is_no_row(case):
    model, X, y, resp = case
    weight = np.random.RandomState(0).uniform(size=len(X))
    weight[::3] = 0
    kept = weight > 0
    with_zeros = fit(model, X, y, resp, sample_weight=weight)
    without = fit(model, X[kept], y[kept], resp[kept], sample_weight=weight[kept])
    assert_array_equal(predicted(with_zeros, X), predicted(without, X))  # the same arithmetic


@pytest.mark.parametrize("start", ["quantile", "random"])
def test_weights_are_frequencies_for_the_packages_own_starts_too(case, start):
    model, X, y, _ = case
    model.set_params(init_params=start, n_init=4, random_state=0)
    weight = np.random.RandomState(0).randint(0, 4, size=len(X))
    rows = np.repeat(np.arange(len(X)), weight)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(X[rows], y[rows])
    assert_allclose(predicted(weighted, X), predicted(repeated, X), rtol=0, atol=1e-7)


def test_the_order_of_rows_does_not_matter(case):
    model, X, y, resp = case
    order = np.random.RandomState(0).permutation(len(X))
    shuffled = fit(model, X[order], y[order], resp[order])
    assert_allclose(predicted(shuffled, X), predicted(fit(model, X, y, resp), X), **SAME)


def test_the_order_of_experts_in_the_start_does_not_matter(case):
    model, X, y, resp = case
    first, second = fit(model, X, y, resp), fit(model, X, y, resp[:, ::-1])
    assert_allclose(predicted(second, X), predicted(first, X), **SAME)
    assert_allclose(second.weights_, first.weights_, rtol=0, atol=1e-8)  # sorted alike
    assert_allclose(second.gate_.coef_, first.gate_.coef_, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(1e8, 0), (1e-8, 0), (-1, 0), (1, 1e3), (1, -1e6), (1, 1e6)],
    ids=lambda v: f"{v:g}",
)
def test_predictions_do_not_depend_on_the_units_of_x(case, scale, offset):
    """Offsets are in standard deviations; 1e6 of them leave X ten digits, hence 1e-7."""
    model, X, y, resp = case
    moved = scale * (X + offset * X.std(axis=0))
    ours, reference = fit(model, moved, y, resp), fit(model, X, y, resp)
    spread = 1.0 if hasattr(ours, "classes_") else y.std(axis=0)
    difference = (predicted(ours, moved) - predicted(reference, X)) / spread
    assert np.abs(difference).max() <= 1e-7


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e8, 0), (1e-8, 0), (-1, 0), (1, 1e3), (1, 1e6), (1e-8, -1e6)]
)
def test_predictions_follow_the_units_of_y(case, scale, offset):
    model, X, y, resp = case
    if isinstance(model, MixtureOfExpertsClassifier):
        pytest.skip("labels have no units")
    sd = y.std(axis=0)
    reference, moved = fit(model, X, y, resp), fit(model, X, scale * (y + offset * sd), resp)
    back = moved.predict(X) / scale - offset * sd
    assert (np.abs(back - reference.predict(X)) / sd).max() <= 1e-7
    q = sd.size
    change = np.sum(np.log(np.abs(scale))) * q * len(X)
    assert_allclose(moved.log_likelihood_, reference.log_likelihood_ - change, rtol=1e-7)


def test_single_precision_is_as_good_as_the_data(case):
    """X is stored with 7 digits; sums and solves are in double precision."""
    model, X, y, resp = case
    X = X.astype(np.float32)
    single, double = fit(model, X, y, resp), fit(model, X.astype(np.float64), y, resp)
    assert np.abs(predicted(single, X) - predicted(double, X)).max() <= 1e-5
    assert abs(single.score(X, y) - double.score(X, y)) <= 1e-3
    assert predicted(single, X).dtype == np.float64


def test_the_layout_in_memory_does_not_matter(case):
    model, X, y, resp = case
    strided = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2]
    reference = predicted(fit(model, X, y, resp), X)
    for other in (np.asfortranarray(X), strided, X[::-1][::-1], X.astype(">f8")):
        ours = predicted(fit(model, other, y, resp), other)
        # Means are summed in another order; hundreds of iterations stretch that to 5e-13.
        assert_allclose(ours, reference, rtol=0, atol=1e-11)


def test_a_fit_can_be_repeated_to_the_last_bit(case):
    model, X, y, _ = case
    model.set_params(n_init=3, random_state=7)
    first, second = clone(model).fit(X, y), clone(model).fit(X, y)
    for one, other in zip(leaves(first.params_), leaves(second.params_), strict=True):
        assert_array_equal(one, other)
    assert_array_equal(first.lower_bounds_, second.lower_bounds_)


@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_the_number_of_threads_does_not_change_a_bit(kind):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((2 * CHUNK + 5000, 2))  # four chunks
    y = np.abs(X[:, 0]) + 0.3 * rng.standard_normal(len(X))
    if kind is MixtureOfExpertsClassifier:
        y = y > 0.7
    model = kind(2, n_init=2, random_state=0, max_iter=4, tol=1.0)
    one, two = (clone(model).set_params(n_jobs=jobs).fit(X, y) for jobs in (1, 2))
    for a, b in zip(leaves(one.params_), leaves(two.params_), strict=True):
        assert_array_equal(a, b)
    assert_array_equal(one.lower_bounds_, two.lower_bounds_)


def test_batches_of_rows_predict_what_single_rows_do(case):
    model, X, y, resp = case
    model = fit(model, X, y, resp)
    for method in ("predict_experts", "gate_proba"):
        whole = getattr(model, method)(X[:20])
        rows = np.concatenate([getattr(model, method)(X[i : i + 1]) for i in range(20)])
        assert_allclose(rows, whole, rtol=1e-10, atol=1e-12)
    assert_allclose(
        [float(model.log_prob(X[i : i + 1], y[i : i + 1])[0]) for i in range(20)],
        model.log_prob(X[:20], y[:20]),
        rtol=1e-10,
    )


# -- one expert is the plain model -----------------------------------------------------------------

# The shipped tolerance; the promise for one expert.
PLAIN = dict(rtol=1e-8, atol=1e-10)


@pytest.fixture(scope="module")
def regression_data():
    rng = np.random.RandomState(1)
    X = rng.standard_normal((80, 3)) * [1.0, 50.0, 0.01] + [0.0, 1000.0, 3.0]
    Y = X @ rng.standard_normal((3, 2)) + rng.standard_normal((80, 2))
    return X, Y, rng.uniform(0.1, 3.0, size=80)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_one_linear_expert_is_least_squares(regression_data, weighted, outputs):
    X, Y, weight = regression_data
    y = Y[:, 0] if outputs == 1 else Y
    weight = weight if weighted else None
    expert = LinearExpert(alpha=0, variance_prior=0)
    ours = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y, weight)
    plain = LinearRegression().fit(X, y, weight)
    assert_allclose(ours.predict(X), plain.predict(X), **PLAIN)
    assert_allclose(ours.experts_[0].coef_, plain.coef_, **PLAIN)
    assert_allclose(ours.experts_[0].intercept_, plain.intercept_, **PLAIN)
    residual = Y[:, :outputs] - plain.predict(X).reshape(len(X), -1)
    covariance = np.cov(residual.T, aweights=weight, ddof=0).reshape(outputs, outputs)
    if weight is None:  # an intercept makes residuals sum to zero, weighted too
        assert_allclose(covariance, residual.T @ residual / len(X), rtol=1e-10)
    assert_allclose(ours.experts_[0].covariance_, covariance, **PLAIN)
    assert ours.converged_


def test_one_linear_expert_has_the_likelihood_of_least_squares(regression_data):
    X, Y, _ = regression_data
    expert = LinearExpert(alpha=0, variance_prior=0)
    ours = MixtureOfExpertsRegressor(1, expert=expert).fit(X, Y[:, 0])
    theirs = sm.OLS(Y[:, 0], sm.add_constant(X)).fit()
    assert_allclose(ours.log_likelihood_, theirs.llf, rtol=1e-10)
    # statsmodels does not count the variance as a parameter.
    assert_allclose(ours.aic(X, Y[:, 0]), theirs.aic + 2, rtol=1e-10)
    assert_allclose(ours.bic(X, Y[:, 0]), theirs.bic + np.log(len(X)), rtol=1e-10)


def test_one_gaussian_expert_is_the_mean_and_the_covariance(regression_data):
    X, Y, weight = regression_data
    expert = dict(expert="gaussian", expert__variance_prior=0)
    ours = MixtureOfExpertsRegressor(1).set_params(**expert).fit(X, Y, weight)
    assert_allclose(ours.experts_[0].intercept_, np.average(Y, axis=0, weights=weight), **PLAIN)
    covariance = np.cov(Y.T, aweights=weight, ddof=0)
    assert_allclose(ours.experts_[0].covariance_, covariance, **PLAIN)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 30.0])
def test_one_penalised_linear_expert_is_ridge_on_standardised_data(regression_data, alpha):
    X, Y, _ = regression_data
    y = Y[:, 0]
    expert = LinearExpert(alpha=alpha, variance_prior=0)
    ours = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    Z, z = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    sigma2 = (ours.experts_[0].scale_ / y.std()) ** 2
    ridge = Ridge(alpha * sigma2).fit(Z, z)
    assert_allclose(ours.experts_[0].coef_ * X.std(axis=0) / y.std(), ridge.coef_, rtol=1e-6)
    assert_allclose(sigma2, np.mean((z - ridge.predict(Z)) ** 2), rtol=1e-6)


@pytest.fixture(scope="module")
def classification_data():
    rng = np.random.RandomState(2)
    X = rng.standard_normal((300, 2)) * [1.0, 20.0] + [0.0, 500.0]
    scores = np.column_stack([X[:, 0], (X[:, 1] - 500) / 20, np.zeros(300)])
    y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return X, y, rng.randint(1, 4, size=300)


@pytest.mark.parametrize("weighted", [False, True])
def test_one_softmax_expert_is_multinomial_logistic_regression(classification_data, weighted):
    X, y, weight = classification_data
    rows = np.repeat(np.arange(len(X)), weight) if weighted else slice(None)
    expert = SoftmaxExpert(alpha=0)
    ours = MixtureOfExpertsClassifier(1, expert=expert).fit(X, y, weight if weighted else None)
    assert ours.converged_
    # statsmodels' reference is the first class, ours the last.
    Z = StandardScaler().fit_transform(X)
    theirs = sm.MNLogit(2 - y[rows], sm.add_constant(Z[rows])).fit(
        disp=0, tol=1e-14, method="newton"
    )
    assert_allclose(
        ours.predict_proba(X)[:, ::-1], theirs.predict(sm.add_constant(Z)), rtol=1e-8, atol=1e-12
    )
    coef = np.asarray(theirs.params)[1:, ::-1].T / X.std(axis=0)
    assert_allclose(ours.experts_[0].coef_, [*coef, [0, 0]], **PLAIN)
    assert_allclose(ours.log_likelihood_, theirs.llf, rtol=1e-10)


def test_one_softmax_expert_is_scikit_learns_regression_without_penalty(classification_data):
    X, y, _ = classification_data
    ours = MixtureOfExpertsClassifier(1, expert=SoftmaxExpert(alpha=0)).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000, solver="newton-cholesky")
    assert_allclose(ours.predict_proba(X), theirs.fit(Z, y).predict_proba(Z), rtol=1e-8)


@pytest.mark.parametrize("expert", [LogisticExpert(alpha=0), SoftmaxExpert(alpha=0)])
def test_one_binary_expert_is_logistic_regression(classification_data, expert):
    X, y, _ = classification_data
    labels = np.where(y == 1, "yes", "no")
    ours = MixtureOfExpertsClassifier(1, expert=expert).fit(X, labels)
    Z = StandardScaler().fit_transform(X)
    theirs = sm.Logit(labels == "yes", sm.add_constant(Z)).fit(disp=0, tol=1e-14)
    coef, intercept = ours.experts_[0].coef_, ours.experts_[0].intercept_
    expected = theirs.params[1:] / X.std(axis=0)
    assert_allclose(coef, expected[None], **PLAIN)
    assert_allclose(intercept, [theirs.params[0] - expected @ X.mean(axis=0)], rtol=1e-8)


@settings(deterministic, max_examples=25)
@given(seed=st.integers(0, 10_000), p=st.integers(1, 6), q=st.integers(1, 3))
def test_one_linear_expert_is_least_squares_on_random_data(seed, p, q):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((40, p)) * 10.0 ** rng.uniform(-4, 4, size=p)
    Y = rng.standard_normal((40, q)) * 10.0 ** rng.uniform(-4, 4, size=q)
    expert = LinearExpert(alpha=0, variance_prior=0)
    ours = MixtureOfExpertsRegressor(1, expert=expert).fit(X, Y)
    Z = StandardScaler().fit_transform(X)  # scikit-learn's own drops columns 1e-6 times smaller
    plain = LinearRegression().fit(Z, Y)
    assert_allclose((ours.predict(X) - plain.predict(Z)) / Y.std(axis=0), 0, atol=1e-10)
