"""`Params` are values: they flatten, mix and reorder without loss and without aliasing."""

import numpy as np
import pytest

from classic_moe.parts.params import (
    all_finite,
    interpolate,
    leaves,
    map_leaves,
    ravel,
    take,
    unravel,
)

K = 3


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return {
        "gate": {"coef": rng.standard_normal((K, 4)), "empty": np.zeros((K, 0))},
        "expert": {"coef": rng.standard_normal((K, 2, 4)), "scale": rng.uniform(1, 2, K)},
    }


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))


def test_ravel_lists_every_number_depth_first(params):
    expected = [params["gate"]["coef"], params["expert"]["coef"], params["expert"]["scale"]]
    assert np.array_equal(ravel(params), np.concatenate([a.ravel() for a in expected]))


def test_unravel_inverts_ravel(params):
    assert same(unravel(ravel(params), params), params)


def test_nothing_ravels_to_nothing():
    assert ravel({}).shape == (0,)
    assert unravel(np.empty(0), {}) == {}


def test_map_leaves_pairs_leaves_by_name_and_keeps_the_structure(params):
    turned = {"expert": params["expert"], "gate": params["gate"]}  # the order of names is free
    doubled = map_leaves(np.add, params, turned)
    assert list(doubled) == ["gate", "expert"]
    assert np.array_equal(ravel(doubled), 2 * ravel(params))


def test_interpolate_goes_from_start_to_end_and_beyond(params):
    end = map_leaves(lambda a: a + 8.0, params)
    assert same(interpolate(params, end, 0.0), params)
    for t in (0.25, 1.0, 2.0):
        assert np.allclose(ravel(interpolate(params, end, t)), ravel(params) + 8.0 * t)


def test_take_reorders_the_experts_of_every_leaf(params):
    order = np.array([2, 0, 1])
    permuted = take(params, order)
    assert np.array_equal(permuted["expert"]["coef"][0], params["expert"]["coef"][2])
    assert same(take(permuted, np.argsort(order)), params)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_all_finite_sees_one_bad_number_anywhere(params, bad):
    assert all_finite(params)
    params["expert"]["scale"][1] = bad
    assert not all_finite(params)


def test_results_do_not_share_memory_with_what_they_came_from(params):
    end = map_leaves(np.copy, params)
    for result in (take(params, np.arange(K)), interpolate(params, end, 0.0)):
        assert not any(
            np.shares_memory(a, b) for a, b in zip(leaves(result), leaves(params), strict=True)
        )
