import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe.datasets import load_motorcycle, make_crossing_lines, make_piecewise_regression

# --- load_motorcycle


def test_motorcycle_is_the_published_table():
    X, y = load_motorcycle(return_X_y=True)
    assert X.shape == (133, 1)
    assert y.shape == (133,)
    # summary(MASS::mcycle) and sd() in R
    assert_allclose(np.percentile(X, [0, 25, 50, 75, 100]), [2.4, 15.6, 23.4, 34.8, 57.6])
    assert_allclose(np.percentile(y, [0, 25, 50, 75, 100]), [-134, -54.9, -13.3, 0, 75])
    assert_allclose([X.mean(), X.std(ddof=1)], [25.178947, 13.132063], atol=1e-6)
    assert_allclose([y.mean(), y.std(ddof=1)], [-25.545865, 48.322050], atol=1e-6)


def test_motorcycle_tells_its_source():
    data = load_motorcycle()
    assert (data.feature_names, data.target_names) == (["times"], ["accel"])
    assert "Silverman (1985)" in data.DESCR
    assert Path(data.filename).read_text().startswith("times,accel\n")


def test_motorcycle_as_X_y_is_the_same_data():
    X, y = load_motorcycle(return_X_y=True)
    data = load_motorcycle()
    assert_array_equal(X, data.data)
    assert_array_equal(y, data.target)
    assert data.frame is None


def test_motorcycle_as_frame_has_names():
    pytest.importorskip("pandas")
    X, y = load_motorcycle(return_X_y=True)
    data = load_motorcycle(as_frame=True)
    assert list(data.frame) == ["times", "accel"]
    assert list(data.data) == ["times"]
    assert data.target.name == "accel"
    assert_array_equal(data.data, X)
    assert_array_equal(data.target, y)
    frame, series = load_motorcycle(as_frame=True, return_X_y=True)
    assert frame.equals(data.data)
    assert series.equals(data.target)


# --- what both makers promise

makers = pytest.mark.parametrize("make", [make_piecewise_regression, make_crossing_lines])


@makers
def test_truth_comes_on_request_and_changes_nothing(make):
    X, y = make(50, random_state=0)
    X_again, y_again, truth = make(50, random_state=0, return_truth=True)
    assert X.shape == (50, 1)
    assert y.shape == truth.labels.shape == (50,)
    assert_array_equal(X, X_again)
    assert_array_equal(y, y_again)


@makers
def test_seeds_reproduce_and_differ(make):
    X, y = make(random_state=1)
    assert_array_equal(y, make(random_state=1)[1])
    assert_array_equal(y, make(random_state=np.random.RandomState(1))[1])
    assert not np.array_equal(X, make(random_state=2)[0])


@makers
def test_no_noise_puts_each_row_on_its_line(make):
    X, y, truth = make(noise=0, random_state=0, return_truth=True)
    assert_allclose(y, truth.predict_experts(X)[np.arange(len(y)), truth.labels], atol=1e-12)


@makers
def test_labels_follow_the_gate(make):
    X, _, truth = make(20_000, random_state=0, return_truth=True)
    proba = truth.gate_proba(X)
    assert_allclose(proba.sum(axis=1), 1)
    standard_error = np.sqrt((proba * (1 - proba)).sum(axis=0))
    excess = np.bincount(truth.labels) - proba.sum(axis=0)
    assert (abs(excess) < 4 * standard_error).all()


@makers
def test_true_mean_is_the_regression_function(make):
    X, y, truth = make(20_000, random_state=0, return_truth=True)
    residual = y - truth.predict(X)
    for function in (np.ones(len(y)), X[:, 0], X[:, 0] ** 2, np.sin(5 * X[:, 0])):
        score = function * residual
        assert abs(score.mean()) < 4 * score.std() / np.sqrt(len(y))


@makers
def test_truth_survives_pickling(make):
    X, _, truth = make(random_state=0, return_truth=True)
    copy = pickle.loads(pickle.dumps(truth))
    assert_array_equal(copy.predict(X), truth.predict(X))


# --- least squares with the true labels finds the true lines


def assert_least_squares_recovers(X, y, truth):
    design = np.column_stack([np.ones(len(X)), X])
    expert = truth.params["expert"]
    for k in np.unique(truth.labels):
        rows = truth.labels == k
        A, b = design[rows], y[rows]
        estimate = np.linalg.solve(A.T @ A, A.T @ b)
        residual = b - A @ estimate
        degrees = len(b) - A.shape[1]
        variance = residual @ residual / degrees
        standard_error = np.sqrt(variance * np.diag(np.linalg.inv(A.T @ A)))
        true = np.r_[expert["intercept"][k], expert["coef"][k]]
        assert (abs(estimate - true) < 4 * standard_error).all()
        assert abs(variance / expert["scale"][k] ** 2 - 1) < 4 * np.sqrt(2 / degrees)


def test_piecewise_lines_are_recovered():
    noise = [0.05, 0.1, 0.2, 0.4]
    X, y, truth = make_piecewise_regression(
        4000, 3, 4, noise=noise, sharpness=5, random_state=0, return_truth=True
    )
    assert X.shape == (4000, 3)
    assert_array_equal(truth.params["expert"]["scale"], noise)
    assert_least_squares_recovers(X, y, truth)


def test_crossing_lines_are_recovered():
    X, y, truth = make_crossing_lines(4000, noise=[0.1, 0.3], random_state=0, return_truth=True)
    assert_array_equal(truth.predict_experts([[0.5]]), [[0.5, -0.5]])
    assert_least_squares_recovers(X, y, truth)


# --- what is particular to each


def test_pieces_have_equal_width_and_the_gate_changes_over_at_the_cuts():
    *_, truth = make_piecewise_regression(n_pieces=4, random_state=0, return_truth=True)
    proba = truth.gate_proba([[-0.5], [0.0], [0.5]])
    for cut in range(3):
        assert_allclose(proba[cut, cut], proba[cut, cut + 1])
    assert_array_equal(
        truth.gate_proba([[-0.75], [-0.25], [0.25], [0.75]]).argmax(axis=1), range(4)
    )


def test_sharpness_is_the_width_of_the_change():
    *_, truth = make_piecewise_regression(n_pieces=2, sharpness=8, return_truth=True)
    low, high = truth.gate_proba([[-4.394449 / 8 / 2], [4.394449 / 8 / 2]])[:, 1]
    assert_allclose([low, high], [0.1, 0.9], atol=1e-6)


def test_the_lines_do_not_depend_on_the_rows():
    *_, few = make_piecewise_regression(10, random_state=3, return_truth=True)
    *_, many = make_piecewise_regression(
        100, noise=1, sharpness=5, random_state=3, return_truth=True
    )
    assert_array_equal(few.params["expert"]["coef"], many.params["expert"]["coef"])
    assert_array_equal(few.params["expert"]["intercept"], many.params["expert"]["intercept"])


def test_neighbouring_pieces_rise_and_fall_in_turn():
    *_, truth = make_piecewise_regression(n_pieces=6, random_state=0, return_truth=True)
    slopes = truth.params["expert"]["coef"][:, 0]
    assert (slopes[:-1] * slopes[1:] < 0).all()
    change = abs(slopes) * 2 / 6
    assert ((change >= 0.75) & (change <= 2)).all()


def test_one_piece_is_one_line():
    X, y, truth = make_piecewise_regression(
        n_pieces=1, n_features=2, noise=0, random_state=0, return_truth=True
    )
    assert_allclose(y, truth.predict(X))
    assert not truth.labels.any()


def test_which_crossing_line_does_not_depend_on_x():
    X, _, truth = make_crossing_lines(20_000, random_state=0, return_truth=True)
    left, right = truth.labels[X[:, 0] < 0], truth.labels[X[:, 0] >= 0]
    standard_error = np.sqrt(0.4 * 0.6 / len(left))
    assert abs(left.mean() - 0.4) < 4 * standard_error
    assert abs(right.mean() - 0.4) < 4 * standard_error


# --- errors name the value seen and the cure


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True, None])
@pytest.mark.parametrize("name", ["n_samples", "n_features", "n_pieces"])
def test_counts_must_be_whole_and_positive(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got"):
        make_piecewise_regression(**{name: value})


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (-0.1, r"standard deviation, so finite and not negative; got -0\.1"),
        (np.nan, "finite and not negative; got nan"),
        ([0.1, np.inf], "finite and not negative"),
        ([0.1, 0.2, 0.3], r"one per line, that is 2; got shape \(3,\)"),
        ([[0.1, 0.2]], r"one per line, that is 2; got shape \(1, 2\)"),
        ("loud", "one number or one per line, got 'loud'"),
        (None, "finite and not negative; got None"),
    ],
)
def test_noise_must_be_standard_deviations(noise, message):
    with pytest.raises(ValueError, match=message):
        make_crossing_lines(noise=noise)


@pytest.mark.parametrize("sharpness", [0, -1, np.inf, np.nan, "high"])
def test_sharpness_must_be_positive_and_finite(sharpness):
    with pytest.raises(ValueError, match=r"sharpness must be positive and finite, got .* 1e3"):
        make_piecewise_regression(sharpness=sharpness)
