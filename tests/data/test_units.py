"""Standardisation is an exact change of units: it loses nothing, whatever the size of the data."""

import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from classic_moe.data import units as module
from classic_moe.data.units import ReportedUnits, Scaling, Units

ROUNDING = 1e-12  # some thousand units of float64's last place: sums over 200 rows
SIZES = [1e-310, 1e-150, 1e-8, 1.0, 1e8, 1e150, 1e307]


def normal(n=200, m=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, m))


def units(x_size, y_size, p=3, q=2):
    """Units of data with those sizes, not centred at zero."""
    X, Y = x_size * (normal(m=p) + 1.5), y_size * (normal(m=q, seed=1) - 0.5)
    weight = np.ones(200)
    return Units(Scaling.fit(X, weight), Scaling.fit(Y, weight, constant_factor=1e8))


# -- standardising -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_columns_of_any_size_get_mean_zero_and_variance_one(size):
    inner = Scaling.fit(size * normal(), np.ones(200)).apply(size * normal())
    # A number near 1e-310 has 4 digits fewer than others.
    tolerance = ROUNDING if size > 1e-300 else 1e-10
    np.testing.assert_allclose(inner.mean(axis=0), 0, atol=tolerance)
    np.testing.assert_allclose(inner.std(axis=0), 1, rtol=tolerance)
    np.testing.assert_allclose(inner, standardised(normal()), atol=100 * tolerance)


def standardised(V):
    return (V - V.mean(axis=0)) / V.std(axis=0)


def test_powers_of_two_change_no_bit():
    V, weight = normal(), np.ones(200)
    inner = Scaling.fit(V, weight).apply(V)
    for size in (2.0**-500, 2.0**500):
        assert np.array_equal(Scaling.fit(size * V, weight).apply(size * V), inner)


def test_an_offset_of_1e9_costs_only_the_digits_that_the_data_lost():
    V = normal() + 1e9  # stored to 1e-7: what is standardised are these rounded numbers
    inner = Scaling.fit(V, np.ones(200)).apply(V)
    np.testing.assert_allclose(inner.std(axis=0), 1, rtol=ROUNDING)
    shift = inner - standardised(V - 1e9)
    np.testing.assert_allclose(shift, shift[:1] + np.zeros_like(shift), atol=ROUNDING)
    assert np.abs(shift).max() < 2e-7  # the centre is a number near 1e9, too


def test_float32_stays_float32_but_is_centred_in_float64():
    V = (normal() + 1e4).astype(np.float32)
    scaling = Scaling.fit(V, np.ones(200))
    inner = scaling.apply(V)
    assert inner.dtype == np.float32
    expected = standardised(V.astype(np.float64))
    np.testing.assert_allclose(inner, expected, atol=1e-6)  # float32 rounds once, at the end
    assert scaling.center.dtype == np.float64


def test_threads_share_the_sums_and_change_no_bit(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 12)  # four rows
    seen, sizes = set(), module._sizes

    def watched(v, weight):
        seen.add(threading.get_ident())
        return sizes(v, weight)

    monkeypatch.setattr(module, "_sizes", watched)
    V, weight = normal(n=203) + 1e3, np.random.default_rng(1).uniform(size=203)
    one = Scaling.fit(V, weight)
    assert seen == {threading.get_ident()}
    two = Scaling.fit(V, weight, n_threads=2)
    assert len(seen) > 1
    for name in ("exponent", "center", "factor"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    # of spread 1 by its weights; without them 203 rows are some hundredths off
    np.testing.assert_allclose(one.apply(V).std(axis=0), 1, rtol=0.1)


def test_some_columns_are_scaled_as_they_are_alone():
    V, columns = normal(), np.array([2, 0])
    some, alone = (
        Scaling.fit(V, np.ones(200), columns=columns),
        Scaling.fit(V[:, columns], np.ones(200)),
    )
    assert np.array_equal(some.factor, alone.factor) and np.array_equal(some.center, alone.center)


def test_the_sums_take_blocks_of_rows_and_no_copy_of_them_all():
    V = np.ones((100_000, 10))
    for columns in (None, np.arange(8)):
        tracemalloc.start()
        Scaling.fit(V, V[:, 0], columns=columns)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < V.nbytes / 3


@pytest.mark.parametrize("size", [2.0**-401, 2.0**401])
def test_numbers_that_squares_would_make_too_large_change_no_bit_either(size):
    """As far as sums go as they are, and beyond."""
    V, weight = normal(), np.random.default_rng(1).uniform(size=200)
    one, other = Scaling.fit(V, weight), Scaling.fit(size * V, weight)
    assert np.array_equal(one.center, other.center) and np.array_equal(one.factor, other.factor)


def test_weights_count_rows():
    V, times = normal(), np.arange(200) % 3
    counted = Scaling.fit(V, times.astype(float))
    repeated = Scaling.fit(np.repeat(V, times, axis=0), np.ones(times.sum()))
    np.testing.assert_allclose(counted.apply(V), repeated.apply(V), atol=ROUNDING)


def test_without_standardising_columns_are_only_centred():
    V = 7.0 * normal() + 3.0
    inner = Scaling.fit(V, np.ones(200), standardize=False).apply(V)
    np.testing.assert_allclose(inner, V - V.mean(axis=0), atol=100 * ROUNDING)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-310, 1e-150, 1e9, 1e307])
def test_a_constant_column_of_x_becomes_exactly_zero(value):
    V = np.full((200, 1), value)
    scaling = Scaling.fit(V, np.full(200, 0.1))
    assert np.array_equal(scaling.apply(V), np.zeros((200, 1)))
    assert scaling.factor[0] == scaling.unit[0] == 0.0


def test_a_column_of_rounding_errors_is_constant():
    V = 1e9 * (1 + 1e-16 * normal())
    assert not Scaling.fit(V, np.ones(200)).factor.any()


def test_a_constant_target_keeps_a_finite_scale():
    scaling = Scaling.fit(np.full((200, 1), 5.0), np.ones(200), constant_factor=1e8)
    assert np.isfinite(scaling.log_volume())
    assert scaling.origin[0] == 5.0 and 0 < scaling.unit[0] < 1e-6


def test_rows_far_from_all_data_stay_finite():
    scaling = Scaling.fit(normal(), np.ones(200))
    for dtype in (np.float32, np.float64):
        far = np.full((1, 3), np.finfo(dtype).max, dtype=dtype)
        assert np.isfinite(scaling.apply(far)).all()


def test_one_row_is_constant():
    V = np.array([[3.0, -4.0]])
    assert np.array_equal(Scaling.fit(V, np.ones(1)).apply(V), np.zeros((1, 2)))


def test_no_columns_are_no_problem():
    scaling = Scaling.fit(np.empty((5, 0)), np.ones(5))
    assert scaling.apply(np.empty((7, 0))).shape == (7, 0)


def test_selecting_columns_commutes_with_applying():
    V, columns = normal(), np.array([2, 0])
    scaling = Scaling.fit(V, np.ones(200))
    selected = scaling.select(columns).apply(V[:, columns])
    assert np.array_equal(selected, scaling.apply(V)[:, columns])
    assert scaling.select(None) is scaling


def test_the_identity_changes_nothing():
    identity, V = Scaling.identity(3), normal()
    assert np.array_equal(identity.apply(V), V)
    assert identity.log_volume() == 0


@pytest.mark.parametrize("size", SIZES)
def test_the_log_volume_is_that_of_the_change_of_units(size):
    V = size * normal(m=2)
    expected = -np.sum(np.log(normal(m=2).std(axis=0)) + np.log(size))
    # 1e-310 is stored to 1e-14 of its size only
    np.testing.assert_allclose(Scaling.fit(V, np.ones(200)).log_volume(), expected, rtol=1e-12)


# -- coefficients ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    x_size=st.sampled_from([1e-150, 1e-8, 1.0, 1e8, 1e150]),
    y_size=st.sampled_from([1e-150, 1e-8, 1.0, 1e8, 1e150]),
    seed=st.integers(0, 100),
)
def test_affine_maps_go_to_the_caller_and_back(x_size, y_size, seed):
    there = units(x_size, y_size)
    coef = np.random.default_rng(seed).standard_normal((4, 2, 4))  # K = 4 maps to q = 2
    slopes, intercept = there.coef_to_caller(coef)
    assert slopes.shape == (4, 2, 3) and intercept.shape == (4, 2)
    np.testing.assert_allclose(there.coef_from_caller(slopes, intercept), coef, atol=ROUNDING)


@pytest.mark.parametrize("x_size", SIZES)
@pytest.mark.parametrize("relative", [0.01, 1.0, 10.0])
def test_both_sides_predict_the_same(x_size, relative):
    y_size = x_size * relative if x_size < 1e307 else x_size * min(relative, 1.0)
    here = units(x_size, y_size)
    X = x_size * (normal() + 1.5)
    coef = np.random.default_rng(2).standard_normal((2, 4))
    inner = coef[:, 0] + here.x.apply(X) @ coef[:, 1:].T
    slopes, intercept = here.coef_to_caller(coef)
    outer = X @ slopes.T + intercept
    tolerance = 1e-10 if x_size > 1e-300 else 1e-2  # near 1e-310 a number has 2 to 4 digits
    expected = inner * here.y.unit + here.y.origin
    np.testing.assert_allclose(outer / y_size, expected / y_size, atol=tolerance)


@pytest.mark.parametrize("x_size, y_size, slope", [(1e-310, 1, np.inf), (1e307, 1e-310, 0)])
def test_a_slope_that_no_number_can_hold_becomes_infinite_or_zero_silently(x_size, y_size, slope):
    slopes, intercept = units(x_size, y_size).coef_to_caller(np.ones((2, 4)))
    assert (slopes == slope).all()
    assert np.isfinite(intercept).all()


def test_constant_columns_get_slope_zero_and_lose_a_slope_given_to_them():
    X = normal()
    X[:, 1] = 4.0
    there = Units(Scaling.fit(X, np.ones(200)), Scaling.identity(1))
    slopes, _ = there.coef_to_caller(np.ones((1, 4)))
    assert slopes[0, 1] == 0
    given_slopes, given_intercept = np.array([[1.0, 5.0, 2.0]]), np.array([0.5])
    coef = there.coef_from_caller(given_slopes, given_intercept)
    inner = coef[:, 0] + there.x.apply(X) @ coef[:, 1:].T
    expected = X @ given_slopes.T + given_intercept  # its part is in the intercept now
    np.testing.assert_allclose(inner, expected, atol=1e-10)


def test_maps_on_the_space_of_the_rows_predict_what_maps_on_all_columns_do():
    X, weight = normal(n=5, m=40), np.ones(5)
    scaling = Scaling.fit(X, weight)
    turned = Units(scaling.to_row_space(X, weight), Scaling.identity(1))
    Z = turned.x.apply(X)
    assert Z.shape[0] == 5 and Z.shape[1] <= 5
    np.testing.assert_allclose(Z @ Z.T, scaling.apply(X) @ scaling.apply(X).T, atol=1e-10)
    coef = np.random.default_rng(0).standard_normal((1, 1 + Z.shape[1]))
    slopes, intercept = turned.coef_to_caller(coef)
    np.testing.assert_allclose(X @ slopes.T + intercept, coef[0, 0] + Z @ coef[:, 1:].T, atol=1e-9)
    np.testing.assert_allclose(turned.coef_from_caller(slopes, intercept), coef, atol=1e-9)


# -- what is reported ----------------------------------------------------------------------------


def test_objectives_are_reported_as_densities_of_the_callers_y():
    """The log density of N(3, 4) at y, by scipy, against that of N(0, 1) at the standardised y."""
    y, weight = np.array([1.0, 2.5, 7.0]), np.array([8.0, 16.0, 4.0])
    expected = weight @ norm(3, 2).logpdf(y)
    inside = (weight / 4) @ norm.logpdf((y - 3) / 2)
    reported = ReportedUnits(4.0, 7.0, y_volume=-7 * np.log(2))
    assert reported.log_likelihood(inside) == pytest.approx(expected, rel=ROUNDING)
    assert reported.objective(inside) == pytest.approx(expected, rel=ROUNDING)
    curve = reported.curve([inside / 7, inside / 7 + 1])
    np.testing.assert_allclose(curve, expected / 28 + np.array([0, 1]), rtol=ROUNDING)


def test_the_volume_of_x_belongs_to_the_joint_density_alone():
    reported = ReportedUnits(1.0, 5.0, y_volume=2.0, x_volume=30.0)
    assert reported.log_likelihood(1.0) == 3.0
    assert reported.objective(1.0) == 33.0
    assert reported.curve([0.0]) == [32 / 5]
