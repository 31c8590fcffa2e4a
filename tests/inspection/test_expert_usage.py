"""ExpertUsageDisplay draws the experts' shares of the rows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MetaPiRegressor, MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.experts import LinearExpert, NoiseExpert
from classic_moe.inspection import ExpertUsageDisplay


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(200, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return MixtureOfExpertsRegressor(3, n_init=1, random_state=0).fit(*data)


def test_shares_are_means_over_the_rows(model, data):
    X, y = data[0][:80], data[1][:80]
    display = ExpertUsageDisplay.from_estimator(model, X, y)
    np.testing.assert_allclose(display.gate, model.gate_proba(X).mean(axis=0))
    np.testing.assert_allclose(display.responsibilities, model.responsibilities(X, y).mean(axis=0))
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths, display.responsibilities)
    np.testing.assert_allclose(display.gate_marks_.get_xdata(), display.gate)
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["expert 0", "expert 1", "expert 2"]
    assert display.ax_.texts[0].get_text() == f"{100 * widths[0]:.3g} %"


def test_the_axis_is_in_the_unit_of_the_labels(model, data):
    display = ExpertUsageDisplay.from_estimator(model, *data)
    display.figure_.canvas.draw()
    ticks = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert len(ticks) > 2 and all(tick.endswith(" %") for tick in ticks)


def test_without_y_the_bars_are_the_gate_s(model, data):
    display = ExpertUsageDisplay.from_estimator(model, data[0])
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], display.gate)
    assert display.responsibilities is None and display.gate_marks_ is None
    assert display.ax_.get_xlabel() == "share of rows, by gate"


def test_an_objective_without_responsibilities_shows_the_gate(data):
    X, y = data
    model = MetaPiRegressor([Ridge().fit(X, y), Ridge().fit(X, -y)], n_init=1).fit(X, y)
    display = ExpertUsageDisplay.from_estimator(model, X, y)
    assert display.responsibilities is None


def test_names_styles_axes_and_pipelines(data):
    named = [("line", LinearExpert()), ("junk", NoiseExpert())]
    model = MixtureOfExpertsRegressor(2, expert=named, n_init=1, random_state=0)
    pipe = make_pipeline(StandardScaler(), model).fit(*data)
    _, ax = plt.subplots()
    display = ExpertUsageDisplay.from_estimator(
        pipe, *data, ax=ax, colors=["red", "blue"], bar_kw={"height": 0.2}, gate_kw={"marker": "s"}
    )
    assert display.ax_ is ax
    assert [text.get_text() for text in ax.get_yticklabels()] == ["line", "junk"]
    assert display.bars_[0].get_height() == pytest.approx(0.2)
    assert display.gate_marks_.get_marker() == "s"


def test_rows_of_x_and_y_must_match(model, data):
    with pytest.raises(ValueError, match="X has 200 rows and y 199"):
        ExpertUsageDisplay.from_estimator(model, data[0], data[1][1:])


def test_probabilities_that_are_known_will_do():
    gate, resp = np.array([[0.5, 0.5], [0.7, 0.3]]), np.array([[1.0, 0.0], [0.9, 0.1]])
    display = ExpertUsageDisplay.from_predictions(gate, resp, expert_names=["slow", "fast"])
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], [0.95, 0.05])
    np.testing.assert_allclose(display.gate_marks_.get_xdata(), [0.6, 0.4])
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["slow", "fast"]
    with pytest.raises(ValueError, match=r"gate has shape \(2, 2\) and responsibilities \(1, 2\)"):
        ExpertUsageDisplay.from_predictions(gate, resp[:1])
    with pytest.raises(ValueError, match="gate are no probabilities"):
        ExpertUsageDisplay.from_predictions(2 * gate)


def test_hardly_any_row_is_not_written_with_an_exponent():
    display = ExpertUsageDisplay.from_predictions(np.array([[1 - 1e-9, 1e-9]]))
    assert [text.get_text() for text in display.ax_.texts] == ["100 %", "<0.1 %"]
