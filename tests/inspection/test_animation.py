"""animate_em: the fit, iteration by iteration."""

import gc
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import animate_em
from classic_moe.inspection.animation import _Climb, _shown


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations do not converge; films are not shown
        yield
        plt.close("all")
        gc.collect()  # here, not in a test to which the warning would be an error


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(100, n_features=2, random_state=0)


def em(**options):
    common = dict(solver="em", n_init=1, max_iter=4, tol=0, random_state=0)
    return MixtureOfExpertsRegressor(3, init_params="random", **common | options)


def test_every_iteration_is_a_frame(data):
    X, y = data
    animation = animate_em(em(), X, y)
    assert list(animation.new_frame_seq()) == [1, 2, 3, 4]


def test_a_frame_is_the_fit_as_it_was_with_the_numbers_that_it_ends_with(data):
    X, y = data
    climb = _Climb.of(em(max_iter=12), X, y, {})
    model = climb.model
    np.testing.assert_allclose(climb.at(12).gate_proba(X), model.gate_proba(X), atol=1e-9)
    np.testing.assert_allclose(climb.at(12).predict_experts(X), model.predict_experts(X), atol=1e-9)
    five = em(max_iter=5).fit(X, y)
    np.testing.assert_allclose(climb.at(5).predict(X), five.predict(X))
    objective = model.lower_bounds_[1:]
    np.testing.assert_allclose(climb.objectives, objective)


def test_the_frames_move(data):
    X, y = data
    figure = plt.figure()
    animation = animate_em(em(), X, y, figure=figure, feature_name="dose (mg)")
    below = figure.axes[2]

    def seen(iteration):
        animation._func(iteration)
        curve = figure.axes[1].get_lines()[0].get_ydata().copy()
        return below.get_lines()[2].get_xdata()[0], below.get_xlabel(), curve

    at, label, first = seen(1)
    assert (at, label) == (1, "iteration 1 of 4")
    limits = figure.axes[0].axis()
    at, label, last = seen(4)
    assert (at, label) == (4, "iteration 4 of 4")
    assert figure.axes[0].axis() == limits
    assert np.abs(first - last).max() > 1e-3
    assert figure.axes[1].get_xlabel() == "dose (mg)"


def test_two_features_show_the_regions_of_a_pipeline_and_the_page_is_html(data):
    X, y = data
    classifier = MixtureOfExpertsClassifier(2, n_init=1, max_iter=2, solver="em", random_state=0)
    pipe = make_pipeline(StandardScaler(), classifier)
    animation = animate_em(
        pipe, X, y > 0, features=(1, 0), grid_resolution=10, fit_params={"sample_weight": 2 + 0 * y}
    )
    assert animation._fig.axes[0].get_xlabel() == "x1"
    assert not plt.get_fignums()  # pyplot knows nothing of it
    assert animation.to_jshtml().count("data:image/png") == len(list(animation.new_frame_seq()))


def test_trees_keep_their_leaves(data):
    X, y = data
    tree = HierarchicalMixtureOfExpertsRegressor(n_init=1, max_iter=4, solver="em", random_state=0)
    climb = _Climb.of(tree, X, y, {})
    last = climb.at(len(climb.params))
    np.testing.assert_allclose(last.gate_proba(X), climb.model.gate_proba(X), atol=1e-9)


@pytest.mark.parametrize("n, most", [(5, 10), (500, 20), (21, 20), (300, 1)])
def test_of_many_iterations_the_first_are_shown_one_by_one(n, most):
    shown = _shown(n, most)
    assert len(shown) == len(set(shown)) == min(n, most)
    assert shown == sorted(shown) and shown[-1] == n
    if most > 1:
        assert shown[:3] == [1, 2, 3]


@pytest.mark.parametrize("max_frames", [0, 2.5])
def test_a_film_has_frames(max_frames, data):
    with pytest.raises(ValueError, match=f"max_frames={max_frames}: needs an integer of at least"):
        animate_em(em(), *data, max_frames=max_frames)


def test_only_mixtures_have_a_climb(data):
    with pytest.raises(ValueError, match="LinearRegression is none"):
        animate_em(LinearRegression(), *data)
    blend = SparseMixtureOfExpertsRegressor(3, combine="blend", max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="keeps no parameters of its iterations"):
        animate_em(blend, *data)
