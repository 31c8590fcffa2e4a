"""Free coordinates: every vector within the bounds is a model, and gradients come along."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe.parts.coordinates import SMALLEST_SCALE, Coordinates
from classic_moe.parts.params import leaves, map_leaves, ravel


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


def with_factor(entry, d=3):
    """A covariance whose Cholesky factor has `entry` everywhere below the diagonal."""
    factor = np.diag([0.5, 2.0, 1e-3][:d]) + np.tril(np.full((d, d), entry), k=-1)
    return factor[None], factor[None] @ factor.T[None]


@pytest.mark.parametrize("entry", [-3.0, -2.0, -1.0, -0.5, 0.0, 3.0])
def test_negative_correlations_have_free_numbers_too(entry):
    factor, covariance = with_factor(entry)
    params = {"covariance": covariance}
    coordinates = Coordinates({"covariance": "covariance"}, params)
    free = coordinates.free(params).reshape(3, 3)
    assert_allclose(np.tril(free, k=-1), np.tril(factor[0], k=-1), atol=1e-12)
    # log of the diagonal, of which the last one is what is left of squares of 1e6 times its own
    assert_allclose(np.diag(free), np.log(np.diag(factor[0])), rtol=1e-8)
    assert_allclose(coordinates.params(free.ravel())["covariance"], covariance, rtol=1e-13)


@pytest.mark.parametrize("entry", [-3.0, -1.0])
def test_gradients_of_negative_correlations_are_finite_differences(entry):
    covariance = with_factor(entry, 2)[1]
    coordinates = Coordinates({"covariance": "covariance"}, {"covariance": covariance})
    vector = coordinates.free({"covariance": covariance})
    A = np.array([[[0.3, -0.7], [-0.7, 1.1]]])

    def function(vector):
        return np.sum(A * np.sin(coordinates.params(vector)["covariance"]))

    slope = {"covariance": A * np.cos(covariance)}
    got = coordinates.slope_in_free(vector, {"covariance": covariance}, slope)
    h = 1e-6
    numeric = [(function(vector + h * e) - function(vector - h * e)) / (2 * h) for e in np.eye(4)]
    assert_allclose(got, numeric, atol=1e-8)  # h² of third derivatives up to 1e4


def test_large_numbers_off_the_diagonal_do_not_overflow():
    coordinates = Coordinates({"covariance": "covariance"}, {"covariance": np.eye(2)[None]})
    moved = coordinates.params(np.array([0.0, 0.0, 1e3, 0.0]))["covariance"]
    assert_array_equal(moved[0], [[1, 1e3], [1e3, 1e6 + 1]])


def test_a_matrix_that_is_not_positive_definite_has_no_free_numbers():
    coordinates = Coordinates({"covariance": "covariance"}, {"covariance": np.eye(2)[None]})
    with pytest.raises(np.linalg.LinAlgError):
        coordinates.free({"covariance": np.array([[[1.0, -2.0], [-2.0, 1.0]]])})


# -- where a leaf stands ---------------------------------------------------------------------------


def test_paths_lead_to_the_free_numbers_of_every_leaf():
    params = example()
    coordinates = Coordinates(KINDS, params)
    vector = coordinates.free(params)
    assert set(coordinates.paths) == {
        *("coef", "scale", "df", "log_rate", "node/covariance", "node/shares", "node/softmax"),
        *("still/varies", "still/range", "estimator"),
    }
    assert_array_equal(vector[coordinates.index("coef")], params["coef"])
    assert_array_equal(vector[coordinates.index("scale")], np.log(params["scale"]))
    factor = np.linalg.cholesky(params["node"]["covariance"])
    place = coordinates.index("node/covariance")
    assert place.shape == (2, 3, 3)
    assert_array_equal(vector[place[1, 2, 0]], factor[1, 2, 0])
    every = np.concatenate([np.ravel(index) for index in coordinates.paths.values()])
    assert_array_equal(np.sort(every), np.arange(len(vector)))
    for path in ("still/varies", "still/range", "estimator"):
        assert coordinates.index(path).size == 0
    assert coordinates.index("estimator").dtype.kind == "i"
    with pytest.raises(KeyError, match="node/scale"):
        coordinates.index("node/scale")


def test_a_change_at_a_path_changes_that_leaf_alone():
    params = example()
    coordinates = Coordinates(KINDS, params)
    vector = coordinates.free(params)
    before = coordinates.params(vector)
    moved = vector.copy()
    moved[coordinates.index("node/shares")[0, 1]] += 0.5
    after = coordinates.params(moved)
    assert (after["node"]["shares"][0] != before["node"]["shares"][0]).all()
    after["node"]["shares"] = before["node"]["shares"]
    for got, expected in zip(leaves(after), leaves(before), strict=True):
        assert_array_equal(got, expected)


def test_a_leaf_that_the_experts_share_stands_there_once():
    params = {"coef": np.ones((4, 3)), "covariance": np.eye(2)[None]}
    coordinates = Coordinates({"covariance": "covariance"}, params)
    assert coordinates.index("covariance").shape == (1, 2, 2)
    assert len(coordinates.free(params)) == 12 + 4


# -- what changes nothing --------------------------------------------------------------------------


def projection(coordinates):
    """The matrix of the map `project`, (m, m)."""
    return np.column_stack([coordinates.project(e) for e in np.eye(len(coordinates.bounds[0]))])


def inside(coordinates, params):
    """The vector of params, moved from bounds at which a map has no slope."""
    low, high = coordinates.bounds
    return np.clip(coordinates.free(params), low + 0.1, high - 0.1)


def test_projection_leaves_out_what_changes_no_params_and_nothing_else():
    params = example()
    del params["estimator"]
    coordinates = Coordinates(KINDS, params)
    vector = inside(coordinates, params)
    P = projection(coordinates)
    assert_allclose(P @ P, P, atol=1e-15)
    assert_allclose(P, P.T, atol=1e-15)
    h = 1e-6
    jacobian = np.column_stack(
        [
            (ravel(coordinates.params(vector + h * e)) - ravel(coordinates.params(vector - h * e)))
            / (2 * h)
            for e in np.eye(len(vector))
        ]
    )
    assert_allclose(jacobian @ (np.eye(len(P)) - P), 0.0, atol=1e-7)  # rounding over h
    assert np.linalg.matrix_rank(P) == np.linalg.matrix_rank(jacobian, tol=1e-5)


def test_gradients_are_projected_already():
    params = example()
    del params["estimator"]
    coordinates = Coordinates(KINDS, params)
    vector = inside(coordinates, params)
    moved = coordinates.params(vector)
    rng = np.random.default_rng(0)
    slope = map_leaves(lambda leaf: rng.standard_normal(leaf.shape), moved)
    got = coordinates.slope_in_free(vector, moved, slope)
    assert_allclose(coordinates.project(got), got, atol=1e-14)


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
