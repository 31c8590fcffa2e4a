"""Grouped rows and known memberships: the likelihood they stand for, in fits and in predictions."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import norm
from sklearn.model_selection import GridSearchCV, GroupKFold

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.parts.params import ravel
from classic_moe.solvers import AcceleratedEM

PARTS = dict(gate_features=["z"], expert_features=["x"], random_state=0)
TRUE = np.array([[-1.0, -1.0], [1.0, 2.0]])  # intercept and slope of the two experts
NAMES = ("intercept", "coef", "scale")


def panel(n_groups, size, seed=0, noise=0.5):
    """Groups that follow one line each; P(second line) rises with z, constant in the group."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n_groups)
    second = rng.random(n_groups) < 1 / (1 + np.exp(-3 * z))
    group = np.repeat(np.arange(n_groups), size)
    x = rng.normal(size=len(group))
    intercept, slope = TRUE[second[group].astype(int)].T
    y = intercept + slope * x + noise * rng.normal(size=len(group))
    order = rng.permutation(len(group))
    X = pd.DataFrame({"x": x, "z": z[group]}).iloc[order]
    names = np.array([f"g{g:03d}" for g in range(n_groups)])
    return X, y[order], names[group[order]], second[group[order]]


def direct(model, X, y, groups, weight=None):
    """log Σ_k g_k(x_G) Π_i p_k(y_i|x_i)^w_i of every group, straight from the formula."""
    weight = np.ones(len(y)) if weight is None else weight
    means, proba = model.predict_experts(X), model.gate_proba(X)
    values = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        total = 0.0
        for k, expert in enumerate(model.experts_):
            density = norm.pdf(y[rows], means[rows, k], expert.scale_)
            total += proba[rows[0], k] * np.prod(density ** weight[rows])
        values.append(np.log(total))
    return np.array(values)


@pytest.fixture(scope="module")
def data():
    return panel(60, 5)


@pytest.fixture(scope="module")
def fitted(data):
    X, y, groups, _ = data
    return MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, groups=groups)


# -- groups --------------------------------------------------------------------------------------


def test_the_grouped_likelihood_is_that_of_the_formula(fitted, data):
    X, y, groups, _ = data
    expected = direct(fitted, X, y, groups)
    # rounding alone: both are sums of a few logarithms
    np.testing.assert_allclose(fitted.log_prob(X, y, groups=groups), expected, rtol=1e-10)
    assert fitted.log_likelihood_ == pytest.approx(expected.sum(), rel=1e-10)


def test_grouped_weights_repeat_rows_within_their_group(data):
    X, y, groups, _ = data
    times = np.arange(len(y)) % 3
    again = np.repeat(np.arange(len(y)), times)
    options = dict(n_init=2, tol=1e-10, **PARTS)
    weighted = MixtureOfExpertsRegressor(2, **options).fit(X, y, times, groups=groups)
    repeated = MixtureOfExpertsRegressor(2, **options)
    repeated.fit(X.iloc[again], y[again], groups=groups[again])
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-9)
    expected = direct(weighted, X, y, groups, times).sum()
    assert weighted.log_likelihood_ == pytest.approx(expected, rel=1e-10)
    m = weighted.n_parameters_
    bic = weighted.bic(X, y, times, groups=groups)
    assert bic == pytest.approx(-2 * expected + m * np.log(len(np.unique(groups))), rel=1e-10)


def test_the_objective_of_a_grouped_fit_never_falls_and_ends_at_its_likelihood(data):
    X, y, groups, _ = data
    free = dict(expert=LinearExpert(0, 0), gate=SoftmaxGate(0), tol=1e-10)
    model = MixtureOfExpertsRegressor(2, **free, **PARTS).fit(X, y, groups=groups)
    assert np.diff(model.lower_bounds_).min() >= 0
    assert model.lower_bounds_[-1] == pytest.approx(model.log_likelihood_, rel=1e-12)


def test_no_neighbour_of_a_grouped_fit_is_better(data):
    """The fit from penalties 0 is a maximum of the directly evaluated likelihood."""
    X, y, groups, _ = data
    free = dict(expert=LinearExpert(0, 0), gate=SoftmaxGate(0), tol=1e-12, max_iter=2000)
    model = MixtureOfExpertsRegressor(2, **free, **PARTS).fit(X, y, groups=groups)
    best = direct(model, X, y, groups).sum()
    for k, name, step in itertools.product((0, 1), ("intercept", "coef"), (-0.01, 0.01)):
        part = {
            "expert": {n: np.array([getattr(e, n + "_") for e in model.experts_]) for n in NAMES},
            "gate": {"coef": model.gate_.coef_.copy(), "intercept": model.gate_.intercept_.copy()},
        }
        for owner in part:
            part[owner][name][k] += step
            moved = MixtureOfExpertsRegressor(2, init_params=part, max_iter=1, **free_of(PARTS))
            moved.fit(X, y, groups=groups, callback=lambda *_: True)
            assert moved.lower_bounds_[0] < best
            part[owner][name][k] -= step


def free_of(parts):
    return parts | dict(expert=LinearExpert(0, 0), gate=SoftmaxGate(0))


def test_simulated_panels_are_recovered_where_single_rows_are_not_enough():
    X, y, groups, second = panel(400, 6, seed=1, noise=1.5)
    model = MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, groups=groups)
    order = np.argsort([expert.intercept_ for expert in model.experts_])
    found = np.array([[e.intercept_, e.coef_[0]] for e in model.experts_])[order]
    # standard errors are 1.5 / sqrt(1200) = .043: five of them
    np.testing.assert_allclose(found, TRUE, atol=0.22)
    steep = model.gate_.coef_[order[1], 0] - model.gate_.coef_[order[0], 0]
    assert 2 < steep < 4.5  # truth 3; standard error about .3
    assigned = model.assign(X, y, groups=groups)
    alone = MixtureOfExpertsRegressor(2, **PARTS).fit(X, y)
    right, by_rows = (
        max(np.mean(a == second), np.mean(a != second)) for a in (assigned, alone.assign(X, y))
    )
    assert right > 0.97 > 0.93 > by_rows


def test_the_summary_of_a_grouped_fit_counts_groups(fitted, data):
    X, y, groups, _ = data
    fit = {row[0]: row[1] for row in fitted.summary(X, y, groups).tables["fit"].rows}
    assert fit["BIC"] == fitted.bic(X, y, groups=groups)


def test_responsibilities_are_those_of_the_group_in_the_order_of_the_rows(fitted, data):
    X, y, groups, _ = data
    resp = fitted.responsibilities(X, y, groups=groups)
    for group in np.unique(groups)[:5]:
        rows = np.flatnonzero(groups == group)
        assert np.ptp(resp[rows], axis=0).max() == 0
        alone = fitted.responsibilities(X.iloc[rows], y[rows], groups=groups[rows])
        np.testing.assert_allclose(alone, resp[rows], rtol=1e-12)


@pytest.mark.weak_penalties  # of groups there is no evidence
def test_groups_of_one_row_are_no_groups(data):
    X, y, _, _ = data
    options = dict(n_init=1, tol=1e-10, solver=AcceleratedEM(), **PARTS)
    plain = MixtureOfExpertsRegressor(2, **options).fit(X, y)
    single = MixtureOfExpertsRegressor(2, **options).fit(X, y, groups=np.arange(len(y)))
    assert single.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-9)
    np.testing.assert_allclose(single.log_prob(X, y), plain.log_prob(X, y), rtol=1e-6)


@pytest.mark.weak_penalties  # of groups there is no evidence
def test_one_expert_does_not_mind_groups(data):
    X, y, groups, _ = data
    plain = MixtureOfExpertsRegressor(1).fit(X, y)
    grouped = MixtureOfExpertsRegressor(1, gate_features=[]).fit(X, y, groups=groups)
    np.testing.assert_allclose(grouped.experts_[0].coef_, plain.experts_[0].coef_, atol=1e-9)
    assert grouped.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-12)


def test_grouped_fits_have_the_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr("classic_moe.data.batches.CHUNK", 50)
    X, y, groups, _ = panel(60, 7)
    fits = [
        MixtureOfExpertsRegressor(2, n_init=2, n_jobs=jobs, **PARTS).fit(X, y, groups=groups)
        for jobs in (1, 4)
    ]
    np.testing.assert_array_equal(ravel(fits[0].params_), ravel(fits[1].params_))


def test_large_grouped_data_start_from_whole_groups(monkeypatch):
    monkeypatch.setattr("classic_moe.starts.race.SHORT_ROWS", 100)
    X, y, groups, _ = panel(60, 7)
    model = MixtureOfExpertsRegressor(2, n_init=3, **PARTS).fit(X, y, groups=groups)
    expected = direct(model, X, y, groups).sum()
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-10)


def test_classifiers_take_groups():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(80), 6)
    slope = np.where(rng.random(80) < 0.5, -4.0, 4.0)[group]
    x = rng.normal(size=len(group))
    y = np.where(rng.random(len(x)) < 1 / (1 + np.exp(-slope * x)), "yes", "no")
    model = MixtureOfExpertsClassifier(2, gate_features=[], random_state=0)
    model.fit(x[:, None], y, groups=group)
    slopes = sorted(e.coef_[0, 0] for e in model.experts_)  # log-odds of "yes"
    assert slopes[0] < -2 and slopes[1] > 2
    values = model.log_prob(x[:, None], y, groups=group)
    assert values.shape == (80,)
    assert model.log_likelihood_ == pytest.approx(values.sum(), rel=1e-10)


def test_a_gate_column_that_varies_within_a_group_is_named(data, fitted):
    X, y, groups, _ = data
    first = re.escape("the gate's column 'x' is not constant within group g000")
    with pytest.raises(ValueError, match=first):
        MixtureOfExpertsRegressor(2).fit(X, y, groups=groups)
    with pytest.raises(ValueError, match="the gate's column 'z' is not constant within group all"):
        fitted.log_prob(X, y, groups=np.repeat("all", len(y)))
    with pytest.raises(ValueError, match="the gate's column 0 is not constant within group 0"):
        MixtureOfExpertsRegressor(2).fit(X.to_numpy(), y, groups=np.zeros(len(y)))


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ([1, 2], r"groups has 2 entries and X 300 rows; they must match"),
        ([None] + [1] * 299, r"groups\[0\] is missing"),
        ([0.0] * 299 + [np.nan], r"groups\[299\] is missing"),
    ],
)
def test_groups_that_are_none_are_refused(data, groups, match):
    X, y, _, _ = data
    with pytest.raises(ValueError, match=match):
        MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, groups=groups)


# -- groups in a search ----------------------------------------------------------------------------


def test_groups_reach_the_fits_of_a_search_only_with_metadata_routing(data):
    X, y, groups, _ = data
    seen = []

    class Watching(MixtureOfExpertsRegressor):
        def fit(self, X, y, sample_weight=None, *, groups=None, **options):
            seen.append(groups)
            return super().fit(X, y, sample_weight, groups=groups, **options)

    grid, folds = {"n_experts": [1, 2]}, GroupKFold(3)
    plain = Watching(n_init=2, **PARTS)
    GridSearchCV(plain, grid, cv=folds).fit(X, y, groups=groups)
    assert len(seen) == 7 and all(g is None for g in seen)  # the splitter had them alone
    seen.clear()
    with sklearn.config_context(enable_metadata_routing=True):
        asking = Watching(n_init=2, **PARTS).set_fit_request(groups=True)
        search = GridSearchCV(asking, grid, cv=folds).fit(X, y, groups=groups)
    assert len(seen) == 7 and all(g is not None for g in seen)
    model = search.best_estimator_
    expected = direct(model, X, y, groups).sum()
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-10)


# -- known memberships -----------------------------------------------------------------------------


def test_known_rows_count_with_their_expert_alone(data):
    X, y, _, second = data
    labels = np.full(len(y), -1)
    labels[:50] = second[:50]
    free = free_of(PARTS) | dict(tol=1e-10)
    model = MixtureOfExpertsRegressor(2, **free).fit(X, y, expert_labels=labels)
    means, proba = model.predict_experts(X), model.gate_proba(X)
    joint = proba * norm.pdf(y[:, None], means, [e.scale_ for e in model.experts_])
    known = np.log(joint[np.arange(50), labels[:50]]).sum()
    expected = known + np.log(joint[50:].sum(axis=1)).sum()
    assert model.lower_bounds_[-1] == pytest.approx(expected, rel=1e-10)
    assert np.diff(model.lower_bounds_).min() >= 0
    # what is reported of the fit is the likelihood of y, whoever made it
    assert model.log_likelihood_ == pytest.approx(np.log(joint.sum(axis=1)).sum(), rel=1e-10)


@pytest.mark.parametrize("swapped", [False, True])
def test_experts_keep_the_numbers_of_the_labels(data, swapped):
    X, y, _, second = data
    labels = np.where(np.arange(len(y)) < 20, second != swapped, -1)
    model = MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, expert_labels=labels)
    found = np.array([[e.intercept_, e.coef_[0]] for e in model.experts_])
    # the experts lie two units and more apart: which is which shows well within this
    np.testing.assert_allclose(found[::-1] if swapped else found, TRUE, atol=0.2)


def test_all_labels_known_is_one_regression_an_expert(data):
    X, y, _, second = data
    model = MixtureOfExpertsRegressor(2, **free_of(PARTS)).fit(X, y, expert_labels=second * 1)
    for k in (0, 1):
        rows = second == k
        slope, intercept = np.polyfit(X["x"].to_numpy()[rows], y[rows], 1)
        assert model.experts_[k].coef_[0] == pytest.approx(slope, abs=1e-9)
        assert model.experts_[k].intercept_ == pytest.approx(intercept, abs=1e-9)


def test_labels_hold_for_the_whole_group(data):
    X, y, groups, second = data
    first = np.unique(groups, return_index=True)[1]
    labels = np.full(len(y), -1)
    labels[first[:20]] = second[first[:20]]  # one row of every group says it
    spread = np.where(np.isin(groups, groups[first[:20]]), second, -1)
    fits = [
        MixtureOfExpertsRegressor(2, n_init=2, **PARTS).fit(X, y, groups=groups, expert_labels=e)
        for e in (labels, spread)
    ]
    assert fits[0].lower_bounds_[-1] == fits[1].lower_bounds_[-1]
    labels[np.flatnonzero(groups == groups[first[0]])] = [0, 1, 0, 0, 0]
    with pytest.raises(ValueError, match=r"names experts \d and \d in group .*g000"):
        MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, groups=groups, expert_labels=labels)


@pytest.mark.parametrize(
    ("row", "value", "match"),
    [
        (3, 2, r"expert_labels\[3\] is 2.*; use 0 \.\.\. 1, or -1"),
        (4, -2, r"expert_labels\[4\] is -2"),
        (0, 0.5, r"expert_labels\[0\] is 0.5"),
        (0, np.nan, r"expert_labels\[0\] is nan"),
    ],
)
def test_the_first_label_out_of_range_is_named(data, row, value, match):
    X, y, _, _ = data
    labels = np.full(len(y), -1.0)
    labels[row] = value
    labels[9] = 7
    with pytest.raises(ValueError, match=match):
        MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, expert_labels=labels)


def test_labels_that_are_no_numbers_are_refused(data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match="expert_labels must be integers"):
        MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, expert_labels=["a"] * len(y))
    with pytest.raises(ValueError, match="expert_labels has 3 entries and X 300 rows"):
        MixtureOfExpertsRegressor(2, **PARTS).fit(X, y, expert_labels=[0, 1, -1])


def test_classifiers_take_labels_too():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 1))
    expert = rng.integers(0, 2, 200)
    y = (X[:, 0] * np.where(expert, 4, -4) > rng.logistic(size=200)).astype(int)
    labels = np.where(rng.random(200) < 0.5, expert, -1)
    model = MixtureOfExpertsClassifier(2, gate="constant", expert="logistic", random_state=0)
    model.fit(X, y, expert_labels=labels)
    assert model.experts_[0].coef_[0] < -2 and model.experts_[1].coef_[0] > 2
