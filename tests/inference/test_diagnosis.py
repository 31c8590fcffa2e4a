"""`diagnose`: it says what is wrong with a fit, worst first, and nothing of a good one."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    diagnose,
)
from classic_moe.datasets import load_motorcycle
from classic_moe.experts import LinearExpert

pytestmark = [
    pytest.mark.weak_penalties,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
"""With its subclasses: much of what is diagnosed is warned of too."""


def two_lines(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, 2))
    second = rng.random(n) < 1 / (1 + np.exp(-3 * X[:, 0]))
    return X, np.where(second, 2 - X[:, 0], -2 + X[:, 1]) + 0.4 * rng.normal(size=n)


def said(found, topic):
    return [one for one in found.remarks if one.topic == topic]


@pytest.fixture(scope="module")
def good():
    X, y = two_lines()
    model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    return model, X, y, diagnose(model, X, y)


def test_of_a_good_fit_everything_is_in_order(good):
    *_, found = good
    assert {one.severity for one in found.remarks} == {0}
    assert found.condition < 1e3
    topics = {one.topic for one in found.remarks}
    assert {"Convergence", "Usage", "Gate", "Information", "Influence", "Residuals"} <= topics
    assert all(not one.advice for one in found.remarks)


def test_the_worst_comes_first_in_text_and_html():
    X, y = two_lines(40)
    X = pd.DataFrame(X, columns=["<b>", "b"])
    model = MixtureOfExpertsRegressor(6, random_state=0).fit(X, y)
    found = diagnose(model, X, y)
    order = [one.severity for one in found.remarks]
    assert order == sorted(order, reverse=True) and order[0] == 2
    lines = str(found).splitlines()
    assert lines[2].startswith("!! ") and repr(found) == str(found)
    assert "<b>" in str(found) and "<b>" not in found._repr_html_()


# -- residuals -------------------------------------------------------------------------------------


def test_residuals_of_one_line_are_its_standardised_residuals():
    X, y = two_lines()
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    expected = (y - model.predict(X)) / model.experts_[0].scale_
    assert_allclose(diagnose(model, X, y).residuals[:, 0], expected, atol=1e-9)


def test_a_residual_keeps_its_size_far_out():
    X, y = two_lines()
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    y = np.r_[y[:-2], model.predict(X[-2:]) + model.experts_[0].scale_ * np.array([20, -20])]
    assert_allclose(diagnose(model, X, y).residuals[-2:, 0], [20, -20], rtol=1e-9)


@pytest.mark.parametrize("kind", ["poisson", "binomial", "logistic", "softmax"])
def test_randomised_residuals_are_normal_under_the_true_model(kind):
    """A thousand draws from a fit, judged by that fit: a test at one in a thousand."""
    X, _ = two_lines(1000)
    rng = np.random.default_rng(1)
    if kind in ("logistic", "softmax"):
        y = rng.integers(0, 2 if kind == "logistic" else 3, len(X))
        model = MixtureOfExpertsClassifier(2, expert=kind, random_state=0, n_init=1).fit(X, y)
        y = model.sample(X, 0)[0]
    elif kind == "poisson":
        y = rng.poisson(np.exp(0.5 * X[:, 0]))
        model = MixtureOfExpertsRegressor(2, expert=kind, random_state=0, n_init=1).fit(X, y)
        y = model.sample(X, 0)[0]
    else:
        trials = rng.integers(1, 9, len(X))
        share = 1 / (1 + np.exp(-X[:, 0]))
        hits = rng.binomial(trials, share)
        y = np.column_stack([hits, trials - hits])
        model = MixtureOfExpertsRegressor(1, expert=kind).fit(X, y)
    r = diagnose(model, X, y).residuals[:, 0]
    assert stats.kstest(r, "norm").pvalue > 1e-3
    assert len(np.unique(r)) == len(r)  # jumps are filled at random
    assert_array_equal(diagnose(model, X, y).residuals[:, 0], r)
    assert (diagnose(model, X, y, random_state=1).residuals[:, 0] != r).any()


def test_heavy_tails_and_the_rows_far_out_are_named():
    X, y = two_lines()
    y = y.copy()
    y[[7, 50, 123]] += 60
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    found = diagnose(model, X, y)
    (outliers,) = said(found, "Outliers")
    assert "3 rows are beyond 4 standard deviations" in outliers.text
    assert {"7", "50", "123"} <= set(outliers.text.replace(",", "").split())
    assert any("student_t" in one.advice for one in said(found, "Residuals"))


def test_a_forgotten_column_is_named():
    X, _ = two_lines()
    X = pd.DataFrame(X, columns=["a", "b"])
    y = X["a"] + X["b"] + np.random.default_rng(0).normal(size=len(X))
    model = MixtureOfExpertsRegressor(1, expert_features=["a"]).fit(X, y)
    assert any("go with b" in one.text for one in said(diagnose(model, X, y), "Residuals"))


def test_outputs_have_residuals_of_their_own():
    X, y = two_lines()
    Y = np.column_stack([y, np.random.default_rng(0).standard_t(1.5, size=len(y))])
    model = MixtureOfExpertsRegressor(1).fit(X, Y)
    found = diagnose(model, X, Y)
    assert found.residuals.shape == (len(y), 2)
    assert "residuals of y1" in said(found, "Residuals")[0].text


# -- rows that decide ------------------------------------------------------------------------------


def test_influence_is_the_change_when_a_row_is_left_out():
    """Of one line, in standard errors, against the fit without the row itself."""
    X, y = two_lines(200)
    expert = LinearExpert(alpha=0, variance_prior=0)
    model = MixtureOfExpertsRegressor(1, expert=expert).fit(X[:, :1], y)
    found = diagnose(model, X[:, :1], y)
    Z = np.column_stack([np.ones(200), X[:, 0]])
    error = model.experts_[0].scale_ * np.sqrt(np.diagonal(np.linalg.inv(Z.T @ Z)))
    scale_error = model.experts_[0].scale_ / np.sqrt(2 * 200)
    for i in (0, 50, 199):
        kept = np.delete(np.arange(200), i)
        coef, rss = np.linalg.lstsq(Z[kept], y[kept], rcond=None)[:2]
        before = np.array([model.experts_[0].intercept_, *model.experts_[0].coef_])
        moved = np.abs(coef - before) / error
        scale = abs(np.sqrt(rss[0] / 199) - model.experts_[0].scale_) / scale_error
        # the first step of Newton's method: right up to the leverage of the row
        assert_allclose(found.influence[i], max(*moved, scale), rtol=0.1)


def test_a_row_that_decides_is_named():
    X, y = two_lines()
    X, y = np.vstack([X, [30.0, 0.0]]), np.append(y, -40.0)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    (influence,) = said(diagnose(model, X, y), "Influence")
    assert influence.severity == 2 and "leaving out row 300 moves expert 0" in influence.text


def test_rows_without_weight_are_left_out_and_keep_their_numbers():
    X, y = two_lines()
    weight = np.r_[np.zeros(10), np.ones(len(y) - 10)]
    model = MixtureOfExpertsRegressor(2, random_state=0, n_init=2).fit(X, y, sample_weight=weight)
    found, bare = diagnose(model, X, y, sample_weight=weight), diagnose(model, X[10:], y[10:])
    assert np.isnan(found.residuals[:10]).all() and np.isnan(found.influence[:10]).all()
    assert_array_equal(found.influence[10:], bare.influence)
    first = int(found.tables["influential rows"].rows[0][0])
    assert first == int(bare.tables["influential rows"].rows[0][0]) + 10


def test_a_row_of_weight_three_is_left_out_three_times():
    """It moves three times as much of a third, in units that are smaller by the root of three."""
    X, y = two_lines()
    weight = np.full(len(y), 3.0)
    expert = LinearExpert(variance_prior=0)
    bare = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    model = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y, sample_weight=weight)
    found = diagnose(model, X, y, sample_weight=weight)
    # a penalty of 1e-6 beside a third of the information
    assert_allclose(found.influence, np.sqrt(3) * diagnose(bare, X, y).influence, rtol=1e-5)


def test_rows_of_a_group_move_parameters_together():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 4)[rng.permutation(160)]
    X = rng.normal(size=(160, 1))
    y = np.where(group % 2, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.normal(size=160)
    y[group == 11] += 3
    model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y, groups=group)
    found = diagnose(model, X, y, groups=group)
    assert group[found.influence.argmax()] == 11
    assert np.ptp(found.influence[group == 3]) == 0
    assert "groups for each" in said(found, "Size")[0].text
    assert said(found, "Influence")[0].text.startswith("leaving out group 11 moves")
    table = str(found.tables["influential rows"])
    assert table.startswith("Influential groups")
    assert table.count("11 ") >= 1
    assert len(table.splitlines()) > 3


# -- gate, experts, information --------------------------------------------------------------------


def test_experts_with_few_rows_are_named():
    X, y = two_lines(40)
    model = MixtureOfExpertsRegressor(6, random_state=0).fit(X, y)
    found = diagnose(model, X, y)
    (usage,) = said(found, "Usage")
    table = found.tables["experts"].rows
    fewest = min(table, key=lambda row: row[2])
    assert usage.severity >= 1 and f"{fewest[0]} rests on" in usage.text
    assert_allclose(sum(row[2] for row in table), 40, rtol=1e-12)
    assert_allclose([row[1] for row in table], model.weights_, atol=1e-9)
    assert said(found, "Collapse") and said(found, "Size")[0].severity == 2


def test_entropies_are_shares_of_complete_ignorance(good):
    model, X, y, found = good
    g, h = model.gate_proba(X), model.responsibilities(X, y)
    for share, proba in ((found.gate_entropy, g), (found.posterior_entropy, h)):
        assert_allclose(share, stats.entropy(proba, base=2, axis=1).mean(), rtol=1e-9)


def test_experts_that_do_not_differ_are_said():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 1)), rng.normal(size=200)
    half = 0.5 + 0.01 * rng.uniform(-1, 1, 200)
    start = np.column_stack([half, 1 - half])
    model = MixtureOfExpertsRegressor(2, gate="constant", init_params=start, max_iter=2).fit(X, y)
    (overlap,) = said(diagnose(model, X, y), "Overlap")
    assert overlap.severity == 1 and "fewer" in overlap.advice


def test_a_separated_gate_is_said():
    X, y = two_lines()
    y = np.where(X[:, 0] > 0, 5 + X[:, 1], -5 - X[:, 1]) + 0.1 * y
    X = np.where(np.abs(X) < 0.5, 0.5 * np.sign(X), X)
    model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    found = diagnose(model, X, y)
    assert said(found, "Separation")
    lost = said(found, "Standard errors")
    assert any(one.severity == 2 and "gate 0" in one.text for one in lost)


def test_columns_that_nearly_repeat_each_other_are_said():
    X, y = two_lines()
    twin = X[:, 0] + 1e-4 * np.random.default_rng(0).normal(size=len(y))
    X = np.column_stack([X, twin])
    expert = LinearExpert(alpha=0)
    model = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    (information,) = said(diagnose(model, X, y), "Information")
    assert information.severity == 2
    assert "expert 0: x0" in information.text and "expert 0: x2" in information.text
    X[:, 2] = X[:, 0]
    (lost,) = said(
        diagnose(MixtureOfExpertsRegressor(1, expert=expert).fit(X, y), X, y), "Standard errors"
    )
    assert "the rows do not determine it" in lost.text


# -- the search ------------------------------------------------------------------------------------


def test_where_the_starts_ended_is_told():
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)
    found = diagnose(model, X, y)
    (starts,) = said(found, "Starts")
    ends = model.starts_
    near = np.abs(ends["objective"] - ends["objective"].max()) < 1e-2
    near &= ends["outcome"] != "given up"
    counts = [(near & (ends["kind"] == kind)).sum() for kind in ("start", "hop")]
    assert starts.text.startswith(f"{counts[0]} of {(ends['kind'] == 'start').sum()} starts")
    table = found.tables["starts"]
    assert table.rows[0][2:4] == counts
    assert sum(row[2] + row[3] for row in table.rows) <= len(near)
    assert [row[0] for row in table.rows] == sorted((row[0] for row in table.rows), reverse=True)


def test_a_maximum_that_one_start_found_is_doubted():
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)
    n = len(model.starts_["kind"])
    model.starts_ = {
        "kind": np.array(["start"] * n),
        "early_objective": np.zeros(n),
        "objective": np.r_[10.0, np.zeros(n - 1)],
        "smallest_share": np.full(n, 0.2),
        "outcome": np.array(["chosen", *["ended"] * (n - 2), "collapsed"]),
    }
    (starts,) = said(diagnose(model, X, y), "Starts")
    assert starts.severity == 1 and "raise n_init above 10" in starts.advice
    assert f"1 of {n} starts" in starts.text and "next best is 10 below" in starts.text


# -- whatever the model is -------------------------------------------------------------------------


def test_fits_without_likelihood_or_parameters_are_told_as_far_as_may_be():
    X, y = two_lines()
    blended = AdaptiveLocalExpertsRegressor(2, objective="blended_error", random_state=0, n_init=1)
    found = diagnose(blended.fit(X, y), X, y)
    assert found.residuals is None and found.influence is None
    assert np.isnan(found.posterior_entropy) and np.isnan(found.condition)
    trees = MixtureOfExpertsRegressor(
        2, expert=DecisionTreeRegressor(max_depth=2), random_state=0, n_init=1, max_iter=5
    )
    found = diagnose(trees.fit(X, y), X, y)
    assert "there is none" in said(found, "Information")[0].text
    assert found.residuals.shape == (len(y), 1) and said(found, "Convergence")[0].severity == 2


def test_what_is_no_mixture_is_refused():
    X, y = two_lines()
    with pytest.raises(TypeError, match="diagnose needs a mixture of experts"):
        diagnose(LinearRegression().fit(X, y), X, y)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    with pytest.raises(ValueError, match="at least one non-zero"):
        diagnose(model, X, y, sample_weight=np.zeros(len(y)))


def test_a_y_of_another_length_is_refused():
    X = np.arange(20.0)[:, None]
    model = MixtureOfExpertsRegressor(1).fit(X, np.cos(X[:, 0]))
    with pytest.raises(ValueError, match="X has 20 rows and y 19"):
        diagnose(model, X, np.ones(19))


def test_counts_are_not_sent_to_experts_for_numbers():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 1)), rng.negative_binomial(1, 0.1, 200)
    found = diagnose(MixtureOfExpertsRegressor(1, expert="poisson").fit(X, y), X, y)
    advice = " ".join(remark.advice for remark in found.remarks)
    assert "negative_binomial" in advice and "student_t" not in advice
