"""Splits of experts, the starts of one expert more."""

import numpy as np

from classic_moe.starts.assignments import splits


def make(n=30, K=2, seed=0):
    rng = np.random.RandomState(seed)
    F = rng.standard_normal((n, 3))
    resp = rng.dirichlet(np.ones(K), size=n)
    return F, rng.randint(1, 4, size=n).astype(float), resp


def test_each_expert_is_split_in_two_and_the_others_stay():
    F, weight, resp = make()
    found = list(splits(F, 2, weight, resp, np.random.RandomState(0)))
    of_each = len(found) // 2
    assert len(found) == 2 * of_each
    kept = 0.98 * resp + 0.02 / 3  # of three experts
    for number, start in enumerate(found):
        k = number // of_each
        np.testing.assert_allclose(start.sum(axis=1), 1)
        np.testing.assert_allclose(start[:, 1 - k], kept[:, 1 - k])
        assert min(weight @ start[:, k], weight @ start[:, 2]) > 0.05 * (weight @ resp[:, k])
    assert len({start.tobytes() for start in found}) == len(found)


def test_a_row_of_weight_two_is_split_like_two_rows():
    F, weight, resp = make()
    rows = np.repeat(np.arange(30), weight.astype(int))
    ours = splits(F, 2, weight, resp, np.random.RandomState(0))
    theirs = splits(F[rows], 2, np.ones(len(rows)), resp[rows], np.random.RandomState(0))
    for one, other in zip(ours, theirs, strict=True):
        # A direction has no sign of its own, nor has its lower half.
        turned = other[:, [2, 1, 0]] if np.allclose(other[:, 1], one[rows][:, 1]) else None
        turned = other[:, [0, 2, 1]] if turned is None else turned
        same = np.allclose(one[rows], other) or np.allclose(one[rows], turned)
        assert same


def test_experts_without_rows_and_rows_without_inputs_are_no_obstacle():
    F, weight, resp = make()
    resp = np.column_stack([np.ones(30), np.zeros(30)])
    found = list(splits(F, 0, weight, resp, np.random.RandomState(0)))
    assert found
    assert all(np.isfinite(start).all() for start in found)
    assert all((start[:, 1] < 0.01).all() for start in found)
