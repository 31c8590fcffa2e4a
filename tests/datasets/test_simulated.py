"""The six speakers, the switching series and the hierarchical mixture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from classic_moe.datasets import make_hme, make_six_speakers, make_switching_series
from classic_moe.datasets._six_speakers import _CENTRES, _TURNS

# --- six speakers


def test_six_speakers_say_four_sounds():
    X, y, speaker = make_six_speakers(50, random_state=0)
    assert X.shape == (300, 3)
    assert set(y) == {0, 1, 2, 3}
    assert list(speaker[::50]) == ["f1", "f2", "m1", "m2", "m3", "m4"]


def test_the_fourth_man_is_the_mean_of_three():
    assert_allclose(_CENTRES[5], _CENTRES[2:5].mean(axis=0), atol=1e-15)
    assert_allclose(_TURNS[5], _TURNS[2:5].mean(), atol=1e-15)


def test_speakers_are_linear_and_all_together_are_not():
    X, y, speaker = make_six_speakers(300, random_state=0)
    scores = [
        LogisticRegression().fit(X[own], y[own]).score(X[own], y[own])
        for own in (speaker == name for name in np.unique(speaker))
    ]
    assert min(scores) > 0.96
    assert LogisticRegression().fit(X, y).score(X, y) < 0.7


def test_without_noise_a_sound_is_a_point_in_the_plane_of_formants():
    X, y, speaker = make_six_speakers(40, noise=0, random_state=0)
    for name in np.unique(speaker):
        for sound in range(4):
            points = X[(speaker == name) & (y == sound), 1:]
            assert_allclose(points, points[:1].repeat(len(points), axis=0), atol=1e-12)


# --- switching series


def test_rows_are_lags_of_one_series():
    X, y, _ = make_switching_series(200, random_state=0)
    assert_array_equal(X[1:, 0], y[:-1])
    assert_array_equal(X[1:, 1], X[:-1, 0])
    assert (abs(y) <= 1).all()


def test_each_regime_follows_its_process():
    X, y, regime = make_switching_series(5000, random_state=0)
    chaos = regime == 0
    assert_allclose(y[chaos], 1 - 2 * X[chaos, 0] ** 2, rtol=0, atol=1e-15)
    shocks = np.arctanh(y[~chaos]) + 1.2 * X[~chaos, 0]
    assert abs(shocks.mean()) < 4 * 0.1 / np.sqrt(len(shocks))
    assert_allclose(shocks.std(), 0.1, rtol=4 / np.sqrt(2 * len(shocks)))


def test_regimes_change_as_often_as_asked():
    *_, regime = make_switching_series(20_000, switching=0.1, random_state=0)
    changes = np.count_nonzero(np.diff(regime))
    assert abs(changes - 2000) < 4 * np.sqrt(20_000 * 0.1 * 0.9)
    *_, regime = make_switching_series(100, switching=0, random_state=0)
    assert len(set(regime)) == 1


# --- a hierarchical mixture


def test_leaves_have_about_equal_shares():
    X, _, truth = make_hme(12_000, branching=(3, 2), random_state=0, return_truth=True)
    assert_allclose(np.bincount(truth.labels) / 12_000, 1 / 6, rtol=0.1)  # 2,000 a leaf: sd 2 %
    proba = truth.gate_proba(X)
    assert_allclose(proba.sum(axis=1), 1)
    standard_error = np.sqrt((proba * (1 - proba)).sum(axis=0))
    assert (abs(np.bincount(truth.labels) - proba.sum(axis=0)) < 4 * standard_error).all()


def test_the_path_multiplies_the_gates():
    X, _, truth = make_hme(50, depth=2, sharpness=2, random_state=0, return_truth=True)
    gates = truth.params["gate"]
    assert list(gates) == ["root", "0", "1"]

    def sigmoid(name):  # of the first child; log-odds are against the last
        assert not gates[name]["coef"][-1].any()
        assert gates[name]["intercept"][-1] == 0
        return 1 / (1 + np.exp(-X @ gates[name]["coef"][0] - gates[name]["intercept"][0]))

    root, left, right = map(sigmoid, gates)
    product = [root * left, root * (1 - left), (1 - root) * right, (1 - root) * (1 - right)]
    assert_allclose(truth.gate_proba(X), np.transpose(product), atol=1e-14)


def test_depth_one_is_a_flat_mixture_and_leaves_make_the_rows():
    X, y, truth = make_hme(80, 3, branching=4, depth=1, noise=0, random_state=0, return_truth=True)
    assert list(truth.params["gate"]) == ["root"]
    assert_allclose(y, truth.predict_experts(X)[np.arange(80), truth.labels], atol=1e-12)


def test_the_mixture_does_not_depend_on_the_rows():
    *_, few = make_hme(10, random_state=3, return_truth=True)
    *_, many = make_hme(100, noise=1, random_state=3, return_truth=True)
    assert_array_equal(few.params["expert"]["coef"], many.params["expert"]["coef"])
    assert_array_equal(few.params["gate"]["1"]["coef"], many.params["gate"]["1"]["coef"])


# --- all of them


@pytest.mark.slow
def test_a_deep_tree_has_cuts_within_its_regions():
    X, y, truth = make_hme(20, depth=13, random_state=0, return_truth=True)
    proba = truth.gate_proba(X)
    assert proba.shape == (20, 8192)
    assert_allclose(proba.sum(axis=1), 1)
    assert np.isfinite(y).all()


makers = pytest.mark.parametrize("make", [make_six_speakers, make_switching_series, make_hme])


@makers
def test_seeds_reproduce_and_differ(make):
    X, y = make(20, random_state=1)[:2]
    assert_array_equal(X, make(20, random_state=np.random.RandomState(1))[0])
    assert_array_equal(y, make(20, random_state=1)[1])
    assert not np.array_equal(X, make(20, random_state=2)[0])


@makers
def test_counts_must_be_whole_and_positive(make):
    with pytest.raises(ValueError, match=r"must be a whole number of at least 1, got 2\.5"):
        make(2.5)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (make_six_speakers, {"noise": -1}, "finite and not negative; got -1"),
        (make_switching_series, {"noise": np.nan}, "finite and not negative; got nan"),
        (make_switching_series, {"switching": 2}, "between 0 and 1; got 2"),
        (make_hme, {"branching": (2, 0)}, "branching must be a whole number of at least 1, got 0"),
        (make_hme, {"branching": 2.0}, "branching must be a whole number of at least 1, got 2.0"),
        (make_hme, {"depth": 0}, "depth must be a whole number"),
        (make_hme, {"noise": [0.1, 0.2]}, "one per leaf, that is 4"),
        (make_hme, {"sharpness": 0}, "sharpness must be positive and finite, got 0"),
    ],
)
def test_what_is_wrong_is_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(10, **arguments)
