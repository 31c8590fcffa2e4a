"""Simulated daily returns of a market that is calm or turbulent."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._make import _check_count

LEAVE = np.array([0.01, 0.03])
"""Probability that a calm, a turbulent spell ends with the day."""
MEAN = np.array([0.08, -0.06])
SCALE = np.array([0.60, 1.40])
"""Of the Student-t noise, whose degrees of freedom are:"""
DF = 6.0


def make_daily_returns(
    n_days: int = 1860, *, random_state: int | np.random.RandomState | None = None
) -> tuple[Any, ...]:
    """Make daily returns of a market that switches between calm and turbulent spells.

    Each day is calm (mean 0.08 %, scale 0.6 %) or turbulent (mean -0.06 %, scale 1.4 %), with
    Student-t noise of 6 degrees of freedom. A calm spell ends with probability 0.01 a day, a
    turbulent one with 0.03: they last 100 and 33 days on average. It is a Markov-switching model
    [1]_ with numbers of the size that European share indices of the 1990s had; nothing is
    measured, and real volatility is less clear-cut.

    Parameters
    ----------
    n_days : int, default=1860
        Number of days, n: some seven years.
    random_state : int, RandomState instance or None, default=None
        Seed for the spells and the noise.

    Returns
    -------
    returns : ndarray of shape (n_days,)
        Per cent a day, in order of time.
    regime : ndarray of int of shape (n_days,)
        0 for a calm, 1 for a turbulent day.

    Raises
    ------
    ValueError
        If ``n_days`` is not a whole number of at least 1.

    References
    ----------
    .. [1] Hamilton, J. D. (1989). A new approach to the economic analysis of nonstationary time
       series and the business cycle. Econometrica 57, 357-384.

    Examples
    --------
    >>> from classic_moe.datasets import make_daily_returns
    >>> returns, regime = make_daily_returns(random_state=0)
    >>> for which in (0, 1):
    ...     print(f"{(regime == which).mean():.2f} {returns[regime == which].std():.2f}")
    0.83 0.69
    0.17 1.69
    """
    _check_count("n_days", n_days)
    rng = check_random_state(random_state)
    ends = rng.uniform(size=n_days)
    regime = np.zeros(n_days, dtype=int)
    regime[0] = rng.uniform() < LEAVE[0] / LEAVE.sum()  # the share of turbulent days
    for day in range(1, n_days):
        before = regime[day - 1]
        regime[day] = before ^ int(ends[day] < LEAVE[before])
    returns = MEAN[regime] + SCALE[regime] * rng.standard_t(DF, size=n_days)
    return returns, regime
