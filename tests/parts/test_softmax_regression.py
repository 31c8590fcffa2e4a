"""Softmax regression: Newton's step reaches the optimum, Böhning's never lowers the objective."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag
from sklearn.linear_model import LogisticRegression

from classic_moe._kernels import array, compiled
from classic_moe.exceptions import SeparationWarning
from classic_moe.parts import softmax_regression as sr
from classic_moe.parts.statistics import Statistics


def problem(n=80, p=2, C=3, seed=0):
    """Rows, and soft targets with weights of different size."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    target = rng.dirichlet(np.full(C, 0.3), size=n) * rng.uniform(0.1, 3.0, (n, 1))
    return X, target


def log_proba(coef, X):
    return array.log_softmax(array.with_intercept(X) @ coef.T)


def objective(coef, X, target, alpha):
    return np.sum(target * log_proba(coef, X)) + sr.log_prior(coef, alpha)


def statistics(coef, X, target, order=2):
    return sr.statistics(X, np.exp(log_proba(coef, X)), target, order)


def climb(step, coef, X, target, alpha, n_steps):
    for _ in range(n_steps):
        coef = step(coef, statistics(coef, X, target), alpha)
    return coef


# -- the optimum -------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [2, 4])
@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_newtons_step_reaches_the_optimum_of_logistic_regression(C, alpha):
    X, target = problem(C=C)
    coef = climb(sr.newton_step, np.zeros((C, 3)), X, target, alpha, 12)
    # scikit-learn takes no soft targets: every row once per class, weighted.
    rows, classes = np.repeat(X, C, axis=0), np.tile(np.arange(C), len(X))
    # Its objective is the same for C > 2; for two classes it has one row w = difference of ours,
    # and |w|² = 2 (|w/2|² + |-w/2|²).
    peer = LogisticRegression(C=1 / alpha if C > 2 else 2 / alpha, tol=1e-10, max_iter=10_000)
    peer.fit(rows, classes, sample_weight=target.ravel())
    # lbfgs stops at a gradient of 1e-10 n: about 1e-5 in the coefficients
    expected = sr.symmetric_gauge(with_first_class(peer))
    np.testing.assert_allclose(coef, expected, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("sizes", [(2,) * 12, (2, 3, 2), (3,)])
def test_steps_of_several_problems_are_the_steps_of_each(sizes, alpha):
    rng = np.random.default_rng(0)
    each, found = [], []
    for seed, C in enumerate(sizes):
        each.append(rng.standard_normal((C, 3)))
        found.append(statistics(each[-1], *problem(C=C, seed=seed)))
    steps = sr.newton_steps(each, found, alpha)
    for step, coef, stats in zip(steps, each, found, strict=True):
        # one system by Cholesky, many by LU: both keep the digits of a condition of some 1e3
        np.testing.assert_allclose(step, sr.newton_step(coef, stats, alpha), rtol=0, atol=1e-11)


def with_first_class(peer):
    coef = np.column_stack([peer.intercept_, peer.coef_])
    return coef if len(coef) > 1 else np.vstack([np.zeros_like(coef), coef])


def test_newtons_step_converges_quadratically():
    X, target = problem()
    coef = climb(sr.newton_step, np.zeros((3, 3)), X, target, 0.01, 6)
    slopes = sr.symmetric_gauge(coef) * np.array([0.0, 1.0, 1.0])
    gradient = statistics(coef, X, target)["gradient"] - 0.01 * slopes
    assert np.abs(gradient).max() < 1e-10  # of a sum over rows of weight about 100


def test_both_steps_stand_still_at_the_optimum():
    X, target = problem()
    coef = climb(sr.newton_step, np.zeros((3, 3)), X, target, 0.1, 12)
    for step in (sr.newton_step, sr.bound_step):
        moved = step(coef, statistics(coef, X, target), 0.1)
        np.testing.assert_allclose(moved, coef, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    C=st.integers(1, 5),
    p=st.integers(0, 4),
    n=st.integers(1, 30),
    alpha=st.sampled_from([0.0, 1e-3, 1.0]),
    steep=st.sampled_from([0.0, 1.0, 30.0]),
    degenerate=st.booleans(),
)
def test_the_bound_step_never_lowers_the_objective(seed, C, p, n, alpha, steep, degenerate):
    X, target = problem(n, p, C, seed)
    if degenerate:  # hard targets, rows without weight, equal columns
        target = np.eye(C)[target.argmax(axis=1)] * (np.arange(n) % 3)[:, None]
        X[:, 1:] = X[:, :1]
    coef = sr.symmetric_gauge(steep * np.random.default_rng(seed).standard_normal((C, 1 + p)))
    value = objective(coef, X, target, alpha)
    for _ in range(3):
        coef = sr.bound_step(coef, statistics(coef, X, target), alpha)
        after = objective(coef, X, target, alpha)
        assert after >= value - 1e-10 * max(1.0, abs(value))  # rounding of a sum of logarithms
        value = after


# -- derivatives -------------------------------------------------------------------------------


def test_the_gradient_is_the_derivative_of_the_expected_log_probability():
    X, target = problem()
    coef = np.random.default_rng(1).standard_normal((3, 3))
    h = 1e-6  # central differences: error about h²
    numeric = [
        (objective(coef + h * e, X, target, 0.0) - objective(coef - h * e, X, target, 0.0))
        / (2 * h)
        for e in np.eye(9).reshape(9, 3, 3)
    ]
    gradient = statistics(coef, X, target)["gradient"]
    np.testing.assert_allclose(gradient.ravel(), numeric, atol=1e-6)


def test_the_hessian_is_minus_the_derivative_of_the_gradient():
    X, target = problem()
    coef = np.random.default_rng(1).standard_normal((3, 3))
    h = 1e-6
    numeric = [
        statistics(coef - h * e, X, target)["gradient"]
        - statistics(coef + h * e, X, target)["gradient"]
        for e in np.eye(9).reshape(9, 3, 3)
    ]
    hessian = statistics(coef, X, target)["hessian"].reshape(9, 9)
    np.testing.assert_allclose(hessian, np.reshape(numeric, (9, 9)) / (2 * h), atol=1e-6)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    assert np.linalg.eigvalsh(hessian).min() > -1e-12


def test_the_hessian_is_left_out_when_not_wanted_and_its_blocks_serve_when_it_is_too_large(
    monkeypatch,
):
    X, target = problem()
    coef = np.ones((3, 3))
    assert set(statistics(coef, X, target, order=1)) == {"gradient"}
    hessian = statistics(coef, X, target)["hessian"]
    for name, limit in (("DENSE_LIMIT", 8), ("MOST_CLASSES", 2)):
        with monkeypatch.context() as context:
            context.setattr(sr, name, limit)
            stats = statistics(coef, X, target)
        assert "hessian" not in stats
        for c in range(3):
            np.testing.assert_allclose(stats["blocks"][c], hessian[c, :, c], atol=1e-12)
        step = sr.newton_step(coef, stats, 0.1)
        assert np.array_equal(step, sr.block_step(coef, stats, 0.1))
    without = {name: stats[name] for name in ("gradient", "gram")}
    assert np.array_equal(sr.newton_step(coef, without, 0.1), sr.bound_step(coef, without, 0.1))


@pytest.mark.parametrize("C", [2, 5])
def test_twice_the_blocks_are_never_less_than_the_hessian(C):
    X, target = problem(C=C)
    coef = np.random.default_rng(1).standard_normal((C, 3))
    prob, weight = np.exp(log_proba(coef, X)), target.sum(axis=1)
    Z = array.with_intercept(X)
    hessian = array.softmax_hessian(Z, prob, weight).reshape(3 * C, 3 * C)
    blocks = array.softmax_curvature(Z, prob, weight, array.BLOCKS)
    difference = 2 * block_diag(*blocks) - hessian
    assert np.linalg.eigvalsh(difference).min() > -1e-10  # rounding of sums over 80 rows


def test_steps_by_blocks_reach_the_optimum_that_newtons_reach(monkeypatch):
    X, target = problem(C=4)
    expected = climb(sr.newton_step, np.zeros((4, 3)), X, target, 0.1, 12)
    monkeypatch.setattr(sr, "MOST_CLASSES", 3)
    coef = climb(sr.newton_step, np.zeros((4, 3)), X, target, 0.1, 60)
    np.testing.assert_allclose(coef, expected, atol=1e-8)


# -- gauges ------------------------------------------------------------------------------------


def test_gauges_change_no_probability():
    X, _ = problem()
    coef = np.random.default_rng(0).standard_normal((5, 3, 3))  # any number of leading axes
    reference, symmetric = sr.reference_gauge(coef), sr.symmetric_gauge(coef)
    assert not reference[:, -1].any()
    np.testing.assert_allclose(symmetric.sum(axis=1), 0, atol=1e-14)
    for k in range(5):
        expected = log_proba(coef[k], X)
        np.testing.assert_allclose(log_proba(reference[k], X), expected, atol=1e-12)
        np.testing.assert_allclose(log_proba(symmetric[k], X), expected, atol=1e-12)


def test_steps_end_in_the_symmetric_gauge_and_the_prior_is_the_same_in_all():
    X, target = problem()
    coef = sr.symmetric_gauge(np.random.default_rng(0).standard_normal((3, 3)))
    for step in (sr.newton_step, sr.bound_step):
        moved = step(coef, statistics(coef, X, target), 0.1)
        np.testing.assert_allclose(moved.sum(axis=0), 0, atol=1e-12)
    shifted = sr.log_prior(coef + 7.0, 0.1)
    np.testing.assert_allclose(shifted, sr.log_prior(coef, 0.1), rtol=1e-12)


def test_relabelling_the_classes_relabels_the_result():
    X, target = problem(C=4)
    order = np.array([2, 0, 3, 1])
    for step in (sr.newton_step, sr.bound_step):
        plain = climb(step, np.zeros((4, 3)), X, target, 0.1, 4)
        moved = climb(step, np.zeros((4, 3)), X, target[:, order], 0.1, 4)
        np.testing.assert_allclose(moved, plain[order], atol=1e-10)


# -- starting values and hard cases ------------------------------------------------------------


@pytest.mark.parametrize("p", [0, 2])
def test_a_start_is_at_least_as_good_as_equal_slopes(p):
    X, target = problem(p=p)
    share = target.sum(axis=0) / target.sum()
    coef = sr.fit(X, target, 1.0)
    flat = np.sum(target * np.log(share))
    assert objective(coef, X, target, 1.0) >= flat - 1e-10


def test_without_columns_the_start_is_the_share_of_each_class():
    X, target = problem(p=0)
    share = target.sum(axis=0) / target.sum()
    np.testing.assert_allclose(np.exp(log_proba(sr.fit(X, target, 1.0), X))[0], share)


@pytest.mark.parametrize("C", [2, 3, 12])
def test_a_start_is_two_newton_steps_from_the_shares(C):
    X, target = problem(n=200, C=C)
    coef = np.zeros((C, 3))
    coef[:, 0] = np.log(target.sum(axis=0))
    coef = climb(sr.newton_step, sr.symmetric_gauge(coef), X, target, 1.0, 2)
    np.testing.assert_allclose(sr.fit(X, target, 1.0), coef, atol=1e-9)


def test_a_start_takes_a_weight_of_two_as_two_rows_and_a_weight_of_none_as_none():
    X, target = problem(n=100)
    copies = np.random.default_rng(1).integers(0, 4, 100)
    weighted = sr.fit(X, target * copies[:, None], 1.0)
    repeated = sr.fit(np.repeat(X, copies, axis=0), np.repeat(target, copies, axis=0), 1.0)
    np.testing.assert_allclose(weighted, repeated, atol=1e-10)


def test_a_start_from_some_of_many_rows_is_near_that_from_all(monkeypatch):
    """Far from all rows, but spread over the weight: here over sorted rows, most of them light."""
    rng = np.random.default_rng(0)
    X = np.sort(rng.standard_normal((30_000, 1)), axis=0)
    prob = np.exp(array.log_softmax(np.column_stack([X[:, 0], -X[:, 0]])))
    target = prob * np.where(X > 1, 10.0, np.where(X < -1, 0.0, 0.1))
    some = sr.fit(X, target, 1.0)
    taken = sr._spread_rows(X, target, 500)
    assert len(taken[0]) == 500 and np.unique(taken[0]).size > 400  # none many times
    np.testing.assert_allclose(taken[1].sum(), target.sum(), rtol=1e-12)
    assert (taken[0] >= -1).all()  # rows of weight 0 stand for nothing
    monkeypatch.setattr(sr, "MOST_START_ROWS", 30_000)
    monkeypatch.setattr(sr, "START_ROWS", 30_000)
    np.testing.assert_allclose(some, sr.fit(X, target, 1.0), atol=0.02)


def test_a_start_of_many_rows_without_weight_has_no_slopes():
    X = np.random.default_rng(0).standard_normal((3000, 2))
    assert not sr.fit(X, np.zeros((3000, 3)), 1.0).any()


@pytest.mark.parametrize(
    "alpha, cure", [(1e-4, "their size is set by the penalty alpha=0.0001"), (0.0, "use alpha > 0")]
)
def test_separated_classes_stay_finite_and_are_diagnosed(alpha, cure):
    X = np.concatenate([np.linspace(-1.5, -0.5, 10), np.linspace(0.5, 1.5, 10)])[:, None]
    target = np.eye(2)[(X[:, 0] > 0).astype(int)]
    coef = climb(sr.newton_step, np.zeros((2, 2)), X, target, alpha, 30)
    assert np.isfinite(coef).all()
    (finding,) = sr.diagnose(coef, statistics(coef, X, target), alpha, "the classes")
    assert finding.category is SeparationWarning and not finding.severe
    assert finding.message.startswith("the classes are separated: coefficients up to ")
    assert finding.message.endswith(f"; {cure}.")


def test_separation_is_diagnosed_from_the_blocks_of_a_hessian_too(monkeypatch):
    monkeypatch.setattr(sr, "MOST_CLASSES", 1)
    X = np.concatenate([np.linspace(-1.5, -0.5, 10), np.linspace(0.5, 1.5, 10)])[:, None]
    for classes, found in (((X[:, 0] > 0).astype(int), 1), (np.arange(20) % 2, 0)):
        target = np.eye(2)[classes]
        coef = climb(sr.newton_step, np.zeros((2, 2)), X, target, 1e-4, 30)
        stats = statistics(coef, X, target)
        assert "blocks" in stats
        assert len(sr.diagnose(coef, stats, 1e-4, "the classes")) == found
        del stats["blocks"]  # as statistics that were kept to go on from have none
        assert sr.diagnose(coef, stats, 1e-4, "the classes") == []


def test_overlapping_classes_are_not_diagnosed():
    X, target = problem()
    coef = climb(sr.newton_step, np.zeros((3, 3)), X, target, 1e-3, 10)
    assert sr.diagnose(coef, statistics(coef, X, target), 1e-3, "the classes") == []


def test_a_class_without_rows_and_equal_columns_give_finite_steps():
    X, target = problem()
    target[:, 1] = 0
    X[:, 1] = X[:, 0]
    for step in (sr.newton_step, sr.bound_step):
        assert np.isfinite(climb(step, np.zeros((3, 3)), X, target, 0.0, 5)).all()


@pytest.mark.parametrize("leading", [(), (2,)])
def test_a_hessian_that_was_not_kept_is_put_at_its_bound(leading):
    """It may be larger than the true one in any direction, and in none smaller."""
    rng = np.random.default_rng(0)
    X, coef = rng.standard_normal((50, 2)), rng.standard_normal((*leading, 3, 3))
    prob = rng.dirichlet(np.ones(3), 50)
    full = sr.statistics(X, prob, rng.dirichlet(np.ones(3), 50))
    without = {name: full[name] for name in ("gradient", "gram")}
    if leading:
        without = {name: np.stack([own, 2 * own]) for name, own in without.items()}
    found = sr.with_curvature(coef, Statistics(without))
    hessians = found["hessian"].reshape(-1, 9, 9)
    for factor, bound in zip((1, 2), hessians, strict=False):
        difference = bound - factor * full["hessian"].reshape(9, 9)
        assert np.linalg.eigvalsh(difference).min() > -1e-10  # rounding of sums over 50 rows
    assert sr.with_curvature(coef, full) is full


def test_blocks_that_were_not_kept_are_put_at_their_bound(monkeypatch):
    X, target = problem()
    coef = np.ones((3, 3))
    monkeypatch.setattr(sr, "MOST_CLASSES", 2)
    full = statistics(coef, X, target)
    found = sr.with_curvature(coef, Statistics({n: full[n] for n in ("gradient", "gram")}))
    assert set(found) == set(full) and sr.with_curvature(coef, full) is full
    assert np.linalg.eigvalsh(2 * found["blocks"] - full["blocks"]).min() > -1e-10
    step = sr.newton_step(coef, found, 0.1)
    assert objective(step, X, target, 0.1) > objective(coef, X, target, 0.1)


def test_a_newton_step_stays_where_its_curvature_tells():
    X, target = problem(n=400)
    coef = sr.symmetric_gauge(np.array([[0.0, 9, 0], [0, -9, 0], [0, 0, 9]]))  # all but certain
    step = sr.newton_step(coef, statistics(coef, X, target), 1e-3) - coef
    change = array.with_intercept(X) @ step.T
    weight = target.sum(axis=1)
    rms = np.sqrt(weight @ change**2 / weight.sum()).max()
    assert 0.5 * sr.LONGEST < rms < 1.1 * sr.LONGEST  # the gauge moves it a little


def test_the_compiled_newton_step_stays_there_too():
    X, target = problem(n=400)
    coef = sr.symmetric_gauge(np.array([[0.0, 9, 0], [0, -9, 0], [0, 0, 9]]))
    stats, out = statistics(coef, X, target), np.empty_like(coef)
    Z, rows = array.with_intercept(X), np.arange(3)
    pairs = np.array([[0, 0, 1], [0, 0, 2], [0, 1, 2]])
    grams = array.weighted_grams(Z, target)
    blocks = np.stack([-stats["hessian"][a, :, b, :] for _, a, b in pairs])

    @numba.njit  # only from compiled code can it be called
    def step(*arguments):
        return compiled._gate_newton(*arguments)

    assert step(coef, rows, pairs, 1e-3, stats["gradient"], blocks, grams, out)
    np.testing.assert_allclose(out, sr.newton_step(coef, stats, 1e-3), rtol=1e-9)
