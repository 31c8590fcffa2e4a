"""Starts with more or fewer experts from a fit: splits, merges, and copies of the same density."""

import warnings

import numpy as np
import pairs
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle, make_piecewise_regression
from classic_moe.estimators import _neighbours
from classic_moe.estimators._neighbours import copied, starts_near
from classic_moe.starts.init_params import from_values
from classic_moe.starts.splits import merges, splits

pytestmark = pytest.mark.weak_penalties

OPEN = [name for name in pairs.EXPERTS if "union" not in name]
"""Experts that say nothing of their number."""


def fit(expert, gate, n_experts=2, **options):
    kind, part = pairs.EXPERTS[expert]
    X, y = pairs.data(kind, np.random.default_rng(0))
    classifies = kind in ("class", "binary")
    estimator = MixtureOfExpertsClassifier if classifies else MixtureOfExpertsRegressor
    options = dict(n_init=1, max_iter=20, random_state=0) | options
    model = estimator(n_experts, expert=part, gate=pairs.GATES[gate], **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y), X, y


@pytest.mark.parametrize("n_experts", [1, 3])
@pytest.mark.parametrize(
    "expert, gate",
    [(expert, "softmax") for expert in OPEN]
    + [("linear", gate) for gate in pairs.GATES if "tree" not in gate and gate != "estimator"],
)
def test_copies_of_an_expert_leave_the_density_as_it_was(expert, gate, n_experts):
    model, *rows = fit(expert, gate, n_experts)
    fitted = model._fitted
    X, y = (each[:] for each in model._check_Xy(*rows))
    labels = fitted.schema.target.labels
    for k in {0, n_experts - 1}:
        start = copied(model, k, n_experts + 2)
        params = from_values(start, fitted.model, fitted.schema.scalings, n_experts + 2, labels)
        log_prob = fitted.model.log_prob(params, X, y)
        assert_allclose(log_prob, fitted.model.log_prob(fitted.params, X, y), rtol=1e-9, atol=1e-9)


def test_gates_without_weights_have_no_copies():
    assert copied(fit("linear", "estimator")[0], 0, 3) is None
    assert copied(fit("linear", "tree")[0], 0, 3) is None


def test_a_split_parts_one_expert_and_leaves_the_others():
    model, X, y = fit("linear", "softmax", 3)
    resp = model.responsibilities(X, y)
    starts = starts_near(model, 4, X, y)
    assert starts.shape == (6, len(X), 4)
    assert_allclose(starts.sum(axis=2), 1, rtol=1e-12)
    for i, start in enumerate(starts):
        others = [min(np.abs(own - r).max() for r in resp.T) for own in start[:, :2].T]
        assert max(others) < 0.02 and start[:, 2:].sum(axis=0).min() > 1
        halves = start[:, 2:].sum(axis=1)  # but for the fiftieth that is spread
        assert min(np.abs(halves - r).max() for r in resp.T) < 0.02, i
    merged = starts_near(model, 2, X, y)
    assert_allclose(merged.sum(axis=2), 1, rtol=1e-12)
    assert merged.shape == (3, len(X), 2)


def test_the_pair_of_experts_with_like_rows_is_merged_first():
    resp = np.array([[0.5, 0.5, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0], [0.0, 0.1, 0.9]])
    first, *_, last = merges(np.ones(4), resp)
    assert_allclose(first, np.column_stack([resp[:, 0] + resp[:, 1], resp[:, 2]]))
    assert_allclose(last, np.column_stack([resp[:, 0] + resp[:, 2], resp[:, 1]]))


def test_splits_go_where_the_rows_are_left_unexplained():
    """Of three pieces two experts have one each for a pair: halves of theirs are the third."""
    X, y = make_piecewise_regression(300, n_pieces=3, noise=0.05, random_state=0)
    two = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    alone = MixtureOfExpertsRegressor(3, n_init=50, random_state=0).fit(X, y)
    split = MixtureOfExpertsRegressor(3, init_params=starts_near(two, 3, X, y)).fit(X, y)
    assert split.log_likelihood_ > alone.log_likelihood_ - 0.01


def test_several_starts_are_all_tried_and_the_best_is_kept():
    X, y = load_motorcycle(return_X_y=True)
    starts = starts_near(MixtureOfExpertsRegressor(3, random_state=0).fit(X, y), 4, X, y)
    each = [MixtureOfExpertsRegressor(4, init_params=start).fit(X, y) for start in starts]
    best = MixtureOfExpertsRegressor(4, init_params=starts).fit(X, y)
    # 1e-5 a row: climbs that are compared end at a tolerance of 1e-6
    assert_allclose(best.lower_bounds_[-1], max(one.lower_bounds_[-1] for one in each), atol=1e-3)
    with pytest.raises(ValueError, match=r"shape \(n, n_experts\) = \(133, 3\)"):
        MixtureOfExpertsRegressor(3, init_params=starts).fit(X, y)
    with pytest.raises(ValueError, match="is no start"):
        MixtureOfExpertsRegressor(4, init_params=starts[:0]).fit(X, y)


def test_starts_do_not_see_rows_of_no_weight_and_see_weights_as_rows():
    model, X, y = fit("linear", "softmax", 2)
    weight = np.arange(len(X)) % 3
    rows = np.repeat(np.arange(len(X)), weight)
    weighted = starts_near(model, 3, X, y, weight)
    repeated = starts_near(model, 3, X[rows], y[rows])
    assert_allclose(weighted[:, rows], repeated, atol=1e-8)


def test_splits_of_groups_keep_rows_of_a_group_together():
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(40), 5))
    X = rng.normal(size=(200, 1))
    slope = np.array([-2.0, 0.0, 2.0])[groups % 3]
    y = slope * X[:, 0] + 0.2 * rng.standard_normal(200)
    options = dict(gate="constant", random_state=0)
    two = MixtureOfExpertsRegressor(2, **options).fit(X, y, groups=groups)
    starts = starts_near(two, 3, X, y, groups=groups)
    for start in starts:
        assert max(np.ptp(start[groups == g], axis=0).max() for g in range(40)) < 1e-12
    three = MixtureOfExpertsRegressor(3, **options, init_params=starts).fit(X, y, groups=groups)
    assert_allclose(sorted(e.coef_[0] for e in three.experts_), [-2, 0, 2], atol=0.1)


def test_starts_beyond_the_room_there_is_are_fewer(monkeypatch):
    model, X, y = fit("linear", "softmax", 3)
    monkeypatch.setattr(_neighbours, "LARGEST_STARTS", 2 * len(X) * 4)
    assert_array_equal(starts_near(model, 4, X, y), starts_near(model, 4, X, y, most=2))
    assert len(starts_near(model, 4, X, y)) == 2


def drawn(n=30, K=2, seed=0):
    rng = np.random.RandomState(seed)
    F = rng.standard_normal((n, 3))
    resp = rng.dirichlet(np.ones(K), size=n)
    return F, rng.randint(1, 4, size=n).astype(float), resp


def test_each_expert_is_split_in_two_and_the_others_stay():
    F, weight, resp = drawn()
    found = list(splits(F, 2, weight, resp, rng=np.random.RandomState(0)))
    kept = 0.98 * resp + 0.02 / 3  # of three experts
    split = []
    for start in found:
        assert_allclose(start.sum(axis=1), 1)
        k = int(np.abs(start[:, [0]] - kept).max(axis=0).argmax())
        assert_allclose(start[:, 0], kept[:, 1 - k])
        assert min(weight @ start[:, 1:]) > 0.05 * (weight @ resp[:, k])
        split.append(k)
    assert sorted(split) == [0] * 12 + [1] * 12
    assert len({start.tobytes() for start in found}) == len(found)


def test_a_row_of_weight_two_is_split_like_two_rows():
    F, weight, resp = drawn()
    rows = np.repeat(np.arange(30), weight.astype(int))
    ours = splits(F, 2, weight, resp, rng=np.random.RandomState(0))
    theirs = splits(F[rows], 2, np.ones(len(rows)), resp[rows], rng=np.random.RandomState(0))
    for one, other in zip(ours, theirs, strict=True):
        # A direction has no sign of its own, nor has its lower half.
        assert any(np.allclose(one[rows], other[:, order]) for order in ([0, 1, 2], [0, 2, 1]))


def test_experts_without_rows_and_rows_without_inputs_are_no_obstacle():
    F, weight, resp = drawn()
    resp = np.column_stack([np.ones(30), np.zeros(30)])
    found = list(splits(F, 0, weight, resp, rng=np.random.RandomState(0)))
    assert found
    assert all(np.isfinite(start).all() for start in found)
    assert all((start[:, 0] < 0.01).all() for start in found)
