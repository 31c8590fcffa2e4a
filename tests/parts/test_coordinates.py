"""Free coordinates: every vector within the bounds is a model, and gradients come along."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe.parts.coordinates import SMALLEST_SCALE, Coordinates
from classic_moe.parts.params import leaves, ravel


def example():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((2, 3, 3))
    estimator = np.empty(1, dtype=object)
    return {
        "coef": rng.standard_normal((2, 4)),
        "scale": np.array([0.5, 2.0]),
        "df": np.array([1.0, 7.0]),
        "log_rate": np.array([-3.0, 5.0]),
        "node": {
            "covariance": root @ root.swapaxes(1, 2) + np.eye(3),
            "shares": np.log([[0.2, 0.8], [0.5, 0.5]]),
            "softmax": rng.standard_normal((2, 3, 2)) * [[[1], [-2], [1]]],
        },
        "still": {"varies": np.ones((1, 2)), "range": np.arange(2.0)},
        "estimator": estimator,
    }


KINDS = {
    "scale": "positive",
    "df": (1.0, 200.0),
    "log_rate": (-10.0, 5.0),
    "node": {"covariance": "covariance", "shares": "log_shares", "softmax": "centred"},
    "still": "fixed",
}


def centred(params):
    softmax = params["node"]["softmax"]
    node = params["node"] | {"softmax": softmax - softmax.mean(axis=1, keepdims=True)}
    return params | {"node": node}


def test_there_and_back():
    params = centred(example())
    coordinates = Coordinates(KINDS, params)
    back = coordinates.params(coordinates.free(params))
    for got, expected in zip(leaves(back), leaves(params), strict=True):
        if expected.dtype != object:
            assert_allclose(got, expected, rtol=1e-14, atol=1e-15)
    assert back["estimator"] is params["estimator"]


def test_every_vector_is_a_model():
    params = example()
    coordinates = Coordinates(KINDS, params)
    rng = np.random.default_rng(1)
    for _ in range(20):
        vector = coordinates.clip(5 * rng.standard_normal(len(coordinates.free(params))))
        moved = coordinates.params(vector)
        assert (moved["scale"] > 0).all()
        assert ((moved["df"] >= 1.0) & (moved["df"] <= 200.0)).all()
        assert ((moved["log_rate"] >= -10.0) & (moved["log_rate"] <= 5.0)).all()
        np.linalg.cholesky(moved["node"]["covariance"])
        assert_allclose(np.exp(moved["node"]["shares"]).sum(axis=1), 1.0, rtol=1e-14)
        assert_allclose(moved["node"]["softmax"].sum(axis=1), 0.0, atol=1e-13)
        for name, leaf in params["still"].items():
            assert_array_equal(moved["still"][name], leaf)


def test_gradients_follow_the_chain_rule():
    params = example()
    coordinates = Coordinates(KINDS, params)
    # inside the bounds, where the slope exists on both sides
    low, high = coordinates.bounds
    vector = np.clip(coordinates.free(params), low + 0.1, high - 0.1)
    rng = np.random.default_rng(2)
    numbers = {name: leaf for name, leaf in params.items() if name != "estimator"}
    weights = rng.standard_normal(len(ravel(numbers)))

    def function(vector):
        """Σ weights·sin(leaves), of a covariance by its symmetric part."""
        moved = {n: v for n, v in coordinates.params(vector).items() if n != "estimator"}
        return weights @ np.sin(ravel(moved))

    moved = coordinates.params(vector)
    slopes, position = {}, 0

    def cosines(params):
        nonlocal position
        found = {}
        for name, leaf in params.items():
            if isinstance(leaf, dict):
                found[name] = cosines(leaf)
            elif leaf.dtype == object:
                found[name] = leaf
            else:
                piece = weights[position : position + leaf.size].reshape(leaf.shape)
                found[name], position = piece * np.cos(leaf), position + leaf.size
        return found

    slopes = cosines(moved)
    got = coordinates.slope_in_free(vector, moved, slopes)
    h = 1e-6
    numeric = [
        (function(vector + h * e) - function(vector - h * e)) / (2 * h) for e in np.eye(len(vector))
    ]
    assert_allclose(got, numeric, atol=1e-7)  # h² of third derivatives up to 1e4


def test_equal_variances_and_zeros_stay_so():
    matrix = np.stack([np.diag([0.5, 0.5]), np.diag([2.0, 2.0])])
    coordinates = Coordinates({"covariance": "covariance"}, {"covariance": matrix})
    vector = coordinates.free({"covariance": matrix})
    slope = {"covariance": np.stack([0.3 * np.eye(2), -0.2 * np.eye(2)])}
    step = coordinates.slope_in_free(vector, {"covariance": matrix}, slope)
    moved = coordinates.params(vector + 0.1 * step)["covariance"]
    assert_array_equal(moved[:, 0, 1], 0.0)
    assert_array_equal(moved[:, 0, 0], moved[:, 1, 1])


def test_a_scale_stays_above_its_bound():
    coordinates = Coordinates({"covariance": "covariance"}, {"covariance": np.eye(2)[None]})
    vector = coordinates.clip(np.full(4, -1e3))
    smallest = coordinates.params(vector)["covariance"]
    assert_allclose(np.diagonal(smallest[0])[0], SMALLEST_SCALE**2, rtol=1e-12)


def test_what_lies_beyond_a_bound_starts_at_it():
    coordinates = Coordinates({"df": (1.0, 200.0)}, {"df": np.array([1000.0])})
    assert coordinates.params(coordinates.free({"df": np.array([1000.0])}))["df"] == 200.0


def test_a_kind_for_a_leaf_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"\['scales'\].*\['scale'\]"):
        Coordinates({"scales": "positive"}, {"scale": np.ones(1)})
