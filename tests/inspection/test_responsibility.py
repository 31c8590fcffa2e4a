"""ResponsibilityDisplay: whose the rows are, sorted, and how far each is in doubt."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import entropy

from classic_moe import AdaptiveLocalExpertsRegressor, MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import ResponsibilityDisplay
from classic_moe.inspection.responsibility import MOST_COLUMNS, _averaged


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(120, n_features=2, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return MixtureOfExpertsRegressor(3, n_init=1, random_state=0).fit(*data)


def test_every_column_of_the_map_is_a_row_in_its_order(model, data):
    display = ResponsibilityDisplay.from_estimator(model, *data)
    resp = model.responsibilities(*data)
    np.testing.assert_array_equal(display.responsibilities, resp)
    order = display.order_
    assert sorted(order) == list(range(120))
    owner = resp[order].argmax(axis=1)
    assert (np.diff(owner) >= 0).all()
    for k in range(3):
        assert (np.diff(resp[order][owner == k].max(axis=1)) <= 0).all()
    picture = np.asarray(display.image_.get_array())
    assert picture.shape == (3, 120, 3)
    # White where an expert has no part of a row, its own colour where it has all of it.
    blue = np.array([0x00, 0x72, 0xB2]) / 255
    np.testing.assert_allclose(picture[0], 1 - resp[order][:, :1] * (1 - blue), atol=1e-12)


def test_the_entropy_is_that_of_each_row_and_stands_in_the_same_order(model, data):
    display = ResponsibilityDisplay.from_estimator(model, *data)
    expected = entropy(model.responsibilities(*data), axis=1)
    np.testing.assert_allclose(display.entropy_, expected, atol=1e-12)
    (path,) = display.entropy_area_.get_paths()
    heights = {tuple(np.round(v, 9)) for v in path.vertices}
    first = expected[display.order_[5]]
    assert (5.0, round(first, 9)) in heights and (6.0, round(first, 9)) in heights
    assert display.entropy_ax_.get_ylim()[1] == pytest.approx(1.04 * np.log(3))
    mean = f"mean entropy {expected.mean():.2g} nats of at most log 3 = 1.1"
    assert display.ax_.get_title(loc="left").endswith(mean)


def test_without_y_it_is_the_gate(model, data):
    display = ResponsibilityDisplay.from_estimator(model, data[0])
    np.testing.assert_array_equal(display.responsibilities, model.gate_proba(data[0]))
    assert display.ax_.get_title(loc="left").startswith("gate probability")


def test_names_and_colours_are_the_experts(model, data):
    display = ResponsibilityDisplay.from_estimator(model, *data, colors=["red", "lime", "blue"])
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["expert 0", "expert 1", "expert 2"]
    sure = display.order_[0]
    column = np.asarray(display.image_.get_array())[0, 0]
    share = display.responsibilities[sure, 0]
    np.testing.assert_allclose(column, [1, 1 - share, 1 - share], atol=1e-12)


def test_of_many_rows_neighbours_share_a_column():
    rng = np.random.default_rng(0)
    resp = rng.dirichlet([0.3, 0.3], size=2 * MOST_COLUMNS)
    display = ResponsibilityDisplay.from_predictions(resp)
    assert display.image_.get_array().shape == (2, MOST_COLUMNS, 3)
    np.testing.assert_allclose(_averaged(resp).mean(axis=0), resp.mean(axis=0))
    np.testing.assert_allclose(_averaged(resp)[3], resp[6:8].mean(axis=0))


def test_one_expert_is_never_in_doubt(data):
    model = MixtureOfExpertsRegressor(1).fit(*data)
    display = ResponsibilityDisplay.from_estimator(model, *data)
    assert not display.entropy_.any()
    display.figure_.canvas.draw()


def test_it_takes_the_place_of_axes_of_a_grid(model, data):
    figure, (left, right) = plt.subplots(1, 2)
    display = ResponsibilityDisplay.from_estimator(model, *data, ax=right)
    assert display.figure_ is figure and left in figure.axes and right not in figure.axes
    with pytest.raises(ValueError, match="2 panels need axes of a grid"):
        ResponsibilityDisplay.from_estimator(model, *data, ax=figure.add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize(
    "given, message",
    [
        (np.ones(3), r"shape \(3,\); needs a row for each row"),
        (np.ones((3, 2)), "each row must sum to 1 .* sums go from 2 to 2"),
        ([[1.5, -0.5]], "each row must sum to 1 without negative numbers"),
    ],
)
def test_what_are_no_probabilities_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        ResponsibilityDisplay.from_predictions(given)


def test_an_error_function_has_none(data):
    model = AdaptiveLocalExpertsRegressor(
        2, objective="expected_error", max_iter=5, n_init=1, tol=1, random_state=0
    ).fit(*data)
    with pytest.raises(ValueError, match=r"has no responsibilities.* leave y out"):
        ResponsibilityDisplay.from_estimator(model, *data)
    assert ResponsibilityDisplay.from_estimator(model, data[0]).responsibilities.shape == (120, 2)
