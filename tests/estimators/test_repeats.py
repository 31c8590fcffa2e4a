"""Scales that do not come from noise: values of y that repeat, and y that is nearly free of it."""

import re
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from classic_moe import (
    ExpertCollapseWarning,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import GaussianExpert, LinearExpert, MLPExpert, StudentTExpert

pytestmark = pytest.mark.filterwarnings("ignore:.*did not converge")
QUICK = dict(gate="constant", max_iter=40)
CURE = "use experts for counts or classes, add noise of the size of the rounding to y"


def collapses(model, X, y, **facts):
    """Return the texts of the warnings that an expert has collapsed, a list; and the fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **facts)
    return [str(w.message) for w in caught if w.category is ExpertCollapseWarning]


def likert(n=300):
    """Answers on a scale from 1 to 5 that rise with x."""
    rng = np.random.default_rng(15)
    x = rng.normal(size=(n, 1))
    return x, np.clip(np.round(3 + x[:, 0] + rng.normal(0, 0.8, n)), 1, 5)


def apart(y, k=3):
    """Return responsibilities to start from: expert 0 has the rows where y is k."""
    return np.column_stack([y == k, y != k]) + 1e-6


DENSITIES = [
    "linear",
    GaussianExpert(variance_prior=1e-4),
    "laplace",
    "student_t",
    StudentTExpert(df="tied"),
    "gamma",
    MLPExpert((2,), max_iter=20),
    LinearRegression(),
    ["linear", "laplace"],
    ["linear", "gamma"],
    LinearExpert(variance_prior=0),
]


@pytest.mark.parametrize("expert", DENSITIES, ids=str)
def test_an_expert_on_a_repeated_value_is_told_as_that(expert):
    x, y = likert()
    model = MixtureOfExpertsRegressor(2, expert=expert, init_params=apart(y), **QUICK)
    (text,) = collapses(model, x, y)
    count = np.count_nonzero(y == 3)
    away = [np.abs(view.predict([[-1.0], [1.0]]) - 3).sum() for view in model.experts_]
    sits = np.argmin(away)  # the other one follows the answers
    expected = f"expert {sits} sits on one value of y: y repeats ({count} of 300 values are 3)"
    assert text.startswith(expected) and CURE in text
    assert "from the prior alone" not in text


def test_of_a_list_the_member_is_named_that_sits_there():
    x, y = likert()
    expert = ["laplace", "linear", "linear"]
    resp = np.column_stack([y > 3, y < 3, y == 3]) + 1e-6
    model = MixtureOfExpertsRegressor(3, expert=expert, init_params=resp, **QUICK)
    (text,) = collapses(model, x, y)
    assert text.startswith("expert 2 sits on one value of y")


def test_rows_are_found_in_every_block(monkeypatch):
    monkeypatch.setattr("classic_moe.data.batches.CHUNK", 50)
    x, y = likert()
    order = np.argsort(y, kind="stable")
    x, y = x[order], y[order]  # the value stands in the middle
    model = MixtureOfExpertsRegressor(2, init_params=apart(y), **QUICK)
    (text,) = collapses(model, x, y)
    assert "of 300 values are 3)" in text


def test_one_row_does_not_repeat():
    x, y = likert()
    x, y = x[:40], x[:40, 0].copy()
    y[7] = 1e3
    resp = np.column_stack([np.arange(40) == 7, np.arange(40) != 7]) + 1e-6
    model = MixtureOfExpertsRegressor(2, init_params=resp, **QUICK)
    assert "repeats" not in "".join(collapses(model, x, y))


@pytest.mark.parametrize("expert", ["linear", "student_t"])
def test_of_several_outputs_the_one_that_repeats_is_named(expert):
    x, y = likert()
    Y = np.column_stack([np.random.default_rng(1).normal(size=300), y])
    model = MixtureOfExpertsRegressor(2, expert=expert, init_params=apart(y), **QUICK)
    (text,) = collapses(model, x, Y)
    assert f"({np.count_nonzero(y == 3)} of 300 values of output 1 are 3)" in text


def test_several_experts_on_values_of_their_own_are_told_in_one_sentence():
    x, y = likert()
    resp = np.column_stack([y == 2, y == 3, (y != 2) & (y != 3)]) + 1e-6
    model = MixtureOfExpertsRegressor(3, init_params=resp, **QUICK)
    (text,) = collapses(model, x, y)
    assert re.match(r"experts \d, \d sit, each, on one value of y: y repeats \(\d+ of 300", text)
    assert text.count("values are") == 2 and text.count(CURE) == 1


def test_a_shared_variance_counts_as_that_of_all_its_experts():
    x = np.random.default_rng(0).normal(size=(200, 1))
    y = np.where(np.arange(200) < 80, 1.0, 2.0)
    expert = LinearExpert(covariance_type="tied")
    model = MixtureOfExpertsRegressor(2, expert=expert, init_params=apart(y, 1), **QUICK)
    (text,) = collapses(model, x, y)
    assert text.startswith("experts 0, 1 sit, each, on one value of y")
    assert "(120 of 200 values are 2, 80 of 200 values are 1)" in text


def test_rows_are_counted_whose_weight_is_positive():
    x, y = likert()
    weight = np.where(np.arange(300) < 250, 0.5, 0.0)
    model = MixtureOfExpertsRegressor(2, init_params=apart(y), **QUICK)
    (text,) = collapses(model, x, y, sample_weight=weight)
    assert f"({np.count_nonzero(y[:250] == 3)} of 250 values are 3)" in text


def test_a_few_rows_that_differ_are_no_repeats():
    rng = np.random.default_rng(0)
    x, few = rng.normal(size=(60, 1)), np.arange(60) < 5
    y = np.where(few, 50 + x[:, 0], rng.normal(size=60))
    resp = np.column_stack([few, ~few]) + 1e-6
    model = MixtureOfExpertsRegressor(2, init_params=resp, **QUICK)
    (text,) = collapses(model, x, y)
    assert "from the prior alone" in text and "use fewer experts" in text
    assert "repeats" not in text


def test_the_codes_of_classes_repeat_by_nature():
    """An expert for numbers that takes the rows of one class has collapsed, but y is no scale."""
    x, y = likert()
    expert = LinearExpert(covariance_type="diag")
    model = MixtureOfExpertsClassifier(2, expert=expert, init_params=apart(y), **QUICK)
    assert all("repeats" not in text for text in collapses(model, x, y == 3))


def test_masses_sit_where_they_like():
    x, y = likert()
    for expert in ("poisson", "negative_binomial", LinearExpert(variance=0.25)):
        model = MixtureOfExpertsRegressor(2, expert=expert, init_params=apart(y), **QUICK)
        assert collapses(model, x, y) == []


# -- y that is nearly free of noise ----------------------------------------------------------------


def lines(noise):
    """Three far lines, of which each has hardly any noise; and which rows are whose."""
    rng = np.random.default_rng(0)
    x, which = rng.uniform(-3, 3, (240, 1)), np.arange(240) % 3
    return x, 100.0 * which + 2.4 * x[:, 0] + noise * rng.normal(size=240), which


SCALES = [
    "linear",
    "laplace",
    "student_t",
    "gaussian",
    "gamma",
    MLPExpert((2,), alpha=1e-6, variance_prior=1.0),
    LinearRegression(),
    ["linear", "laplace", "student_t"],
    LinearExpert(covariance_type="tied"),
]


@pytest.mark.parametrize("expert", SCALES, ids=str)
def test_a_prior_that_hides_the_noise_is_named_and_not_the_number_of_experts(expert):
    x, y, which = lines(0.001)
    if expert == "gaussian":
        y = y - 2.4 * x[:, 0]
    if expert == "gamma":
        y = np.exp(1 + y / 100)
    resp = np.eye(3)[which] * 0.97 + 0.01
    model = MixtureOfExpertsRegressor(
        3, expert=expert, gate="constant", init_params=resp, max_iter=60
    )
    texts = collapses(model, x, y)
    assert len(texts) == 1
    assert "from the prior alone" in texts[0] and "use fewer experts" not in texts[0]
    assert re.search(r"y has almost no noise there: use a variance_prior smaller than \d", texts[0])
    assert texts[0].count("y has almost no noise") == 1


def test_the_advice_leads_to_the_noise():
    x, y, which = lines(0.01)
    resp = np.eye(3)[which] * 0.97 + 0.01
    for prior, largest in ((1e-2, 3.0), (1e-10, 0.012)):
        expert = LinearExpert(variance_prior=prior)
        model = MixtureOfExpertsRegressor(3, expert=expert, gate="constant", init_params=resp)
        texts = collapses(model, x, y)
        assert bool(texts) == (prior == 1e-2)
        assert largest / 4 < max(view.scale_ for view in model.experts_) < largest


def test_lines_without_any_noise_end_at_the_bound_and_are_told_so():
    x, y, which = lines(0.0)
    resp = np.eye(3)[which] * 0.97 + 0.01
    expert = LinearExpert(variance_prior=0)
    model = MixtureOfExpertsRegressor(3, expert=expert, gate="constant", init_params=resp)
    (text,) = collapses(model, x, y)
    assert "sits at the variance bound" in text
    assert "y has no noise there, and the scale means nothing" in text


def test_outputs_that_follow_from_each_other_are_no_lack_of_noise():
    x = np.random.default_rng(0).normal(size=(100, 1))
    y = np.random.default_rng(1).normal(size=100)
    for prior in (0.0, 1e-2):
        model = MixtureOfExpertsRegressor(1, expert=LinearExpert(variance_prior=prior))
        (text,) = collapses(model, x, np.column_stack([y, 2 * y]))
        assert "an output follows from others there" in text and "noise" not in text


def test_of_a_black_box_both_reasons_are_named():
    x, y, _ = lines(0.01)
    model = MixtureOfExpertsRegressor(1, expert=DecisionTreeRegressor(random_state=0))
    (text,) = collapses(model, x, y)
    assert "use a simpler estimator or fewer experts, or a smaller variance_prior if" in text
