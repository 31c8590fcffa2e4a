"""ModelSelectionDisplay draws what a search compared."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import ModelSelectionDisplay
from classic_moe.model_selection import ExpertCountSearch


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(150, n_pieces=2, noise=0.1, random_state=0)


def searched(data, **options):
    model = MixtureOfExpertsRegressor(n_init=1, random_state=0)
    return ExpertCountSearch(model, [1, 2, 3], **options).fit(*data)


def test_criteria_are_drawn_with_the_choice(data):
    search = searched(data)
    display = ModelSelectionDisplay.from_estimator(search)
    for name in ("bic", "icl", "aic"):
        x, y = display.lines_[name].get_data()
        np.testing.assert_allclose((x, y), ([1, 2, 3], search.results_[name]))
    assert display.lines_["bic"].get_linewidth() > display.lines_["aic"].get_linewidth()
    assert display.choice_.get_xdata() == [2]
    assert display.choice_.get_ydata() == search.results_["bic"][1]
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert labels == ["BIC", "ICL", "AIC", "chosen"]
    assert display.ax_.get_xlabel() == "number of experts"
    assert "lower is better" in display.ax_.get_ylabel()


def test_held_out_scores_are_drawn_with_their_errors_and_folds(data):
    search = searched(data, criterion="cv", cv=3, rule="one_se")
    display = ModelSelectionDisplay.from_estimator(search)
    results = search.results_
    np.testing.assert_allclose(display.lines_["cv"].get_ydata(), results["mean_test_score"])
    (bars,) = display.errorbar_[2]
    lengths = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    np.testing.assert_allclose(lengths, results["se_test_score"])
    assert len(display.fold_lines_) == 3
    best = np.argmax(results["mean_test_score"])
    level = results["mean_test_score"][best] - results["se_test_score"][best]
    np.testing.assert_allclose(display.level_.get_ydata(), level)
    assert "higher is better" in display.ax_.get_ylabel()


def test_collapsed_fits_are_open_and_far_criteria_leave_the_axis():
    results = dict(
        n_experts=[1, 2, 3],
        bic=[10.0, 5.0, -20.0],
        icl=[10.0, 6.0, 1e6],
        collapsed=[False, False, True],
    )
    display = ModelSelectionDisplay(results=results, best_n_experts=2).plot()
    (open_points,) = [line for line in display.ax_.lines if line.get_linestyle() == "None"][:1]
    assert open_points.get_xdata() == [3] and open_points.get_markerfacecolor() == "white"
    assert [text.get_text() for text in display.legend_.get_texts()].count("collapsed fit") == 1
    assert display.ax_.get_ylim()[1] <= 10 + 3 * 30
    assert list(display.lines_) == ["bic", "icl"]


def test_styles_axes_pipelines_and_what_is_no_search(data):
    _, ax = plt.subplots()
    pipeline = make_pipeline(StandardScaler(), searched(data))
    pipeline[0].fit(data[0])
    style = dict(color="red", line_kw=dict(linewidth=5), choice_kw=dict(markersize=20))
    display = ModelSelectionDisplay.from_estimator(pipeline, ax=ax, **style)
    assert display.ax_ is ax and display.lines_["bic"].get_color() == "red"
    assert display.lines_["bic"].get_linewidth() == 5 and display.choice_.get_markersize() == 20
    with pytest.raises(ValueError, match="needs a fitted ExpertCountSearch, got MixtureOfExperts"):
        ModelSelectionDisplay.from_estimator(pipeline[-1].best_estimator_)


def test_evidence_is_better_when_higher():
    results = dict(n_experts=[1, 2], log_evidence=[-3.0, -1.0])
    display = ModelSelectionDisplay(results=results, criterion="evidence").plot()
    assert "higher is better" in display.ax_.get_ylabel()
    assert display.choice_ is None and display.legend_ is None
