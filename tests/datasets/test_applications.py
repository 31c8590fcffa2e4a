import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe.datasets import make_card_default, make_daily_returns


def test_customers_default_as_often_as_the_rule_says():
    X, y, truth = make_card_default(100_000, random_state=3, return_truth=True)
    proba = truth.predict_proba(X)[:, 1]
    assert_allclose(y.mean(), 1 / 30, atol=0.002)  # its standard error is .0006
    assert_allclose(y.mean(), proba.mean(), atol=0.002)
    tenths = np.array_split(np.argsort(proba), 10)
    for rows in tenths:  # the true probabilities are calibrated: within four standard errors
        error = np.sqrt(proba[rows].mean() / len(rows))
        assert abs(y[rows].mean() - proba[rows].mean()) < 4 * error


def test_the_kinds_are_as_frequent_as_the_gate_of_the_rule_says():
    X, _, truth = make_card_default(50_000, random_state=4, return_truth=True)
    carries = truth.gate_proba(X)[:, 1]
    for rows in np.array_split(np.argsort(carries), 5):
        assert_allclose(truth.labels[rows].mean(), carries[rows].mean(), atol=0.02)  # 4 sd


def test_columns_are_in_their_units_and_seeds_repeat():
    X, y = make_card_default(500, random_state=0)
    again = make_card_default(500, random_state=0)
    assert_array_equal(X, again[0])
    assert_array_equal(y, again[1])
    assert X.shape == (500, 5)
    assert ((X[:, 0] > 0) & (X[:, 0] < 1)).all()
    assert set(X[:, 2]) == {0, 1}
    assert (X[:, 3] == X[:, 3].round()).all()
    assert (X[:, [1, 4]] > 0).all()


def test_days_are_turbulent_as_often_and_as_long_as_said():
    returns, regime = make_daily_returns(60_000, random_state=1)
    assert_allclose(regime.mean(), 0.25, atol=0.03)  # .01 / (.01 + .03); spells are 150 in 10,000
    spells = 1 + np.count_nonzero(np.diff(regime))
    assert_allclose(len(regime) / spells, (100 + 100 / 3) / 2, rtol=0.1)
    for which, scale, mean in ((0, 0.60, 0.08), (1, 1.40, -0.06)):
        own = returns[regime == which]
        assert_allclose(own.std(), scale * np.sqrt(6 / 4), rtol=0.05)
        assert_allclose(own.mean(), mean, atol=4 * own.std() / np.sqrt(len(own)))


@pytest.mark.parametrize("make", [make_card_default, make_daily_returns])
def test_no_rows_are_refused(make):
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        make(0)
