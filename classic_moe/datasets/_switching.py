"""A time series that switches between two processes."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._make import _check_count


def make_switching_series(
    n_samples: int = 3000,
    *,
    noise: float = 0.1,
    switching: float = 0.02,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Any, ...]:
    """Make a time series that switches between a chaotic and a noisy process.

    In regime 0 the next value is the logistic map 1 - 2 x² on [-1, 1], without any noise; in
    regime 1 it is tanh(-1.2 x + ε) with normal ε. After every step the regime changes with a small
    probability. The example on which gated experts were shown to find regimes, each with its own
    noise level [1]_.

    Parameters
    ----------
    n_samples : int, default=3000
        Number of rows, n, in order of time.
    noise : float, default=0.1
        Standard deviation of ε.
    switching : float, default=0.02
        Probability that the regime changes at a step.
    random_state : int, RandomState instance or None, default=None
        Seed for the series.

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
        The last value x(t) and the one before, x(t - 1).
    y : ndarray of shape (n_samples,)
        The next value, x(t + 1).
    regime : ndarray of int of shape (n_samples,)
        The regime that made y.

    Raises
    ------
    ValueError
        If ``n_samples`` is not a whole number of at least 1; if ``noise`` is negative or not
        finite; if ``switching`` is not between 0 and 1.

    References
    ----------
    .. [1] Weigend, A. S., Mangeas, M. & Srivastava, A. N. (1995). Nonlinear gated experts for time
       series: discovering regimes and avoiding overfitting. International Journal of Neural
       Systems 6, 373-399.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.datasets import make_switching_series
    >>> X, y, regime = make_switching_series(random_state=0)
    >>> X.shape, y.shape
    ((3000, 2), (3000,))
    >>> bool(np.allclose(y[regime == 0], 1 - 2 * X[regime == 0, 0] ** 2))
    True
    """
    _check_count("n_samples", n_samples)
    if not (isinstance(noise, Real) and 0 <= noise < np.inf):
        raise ValueError(
            f"noise is a standard deviation, so finite and not negative; got {noise!r}"
        )
    if not (isinstance(switching, Real) and 0 <= switching <= 1):
        raise ValueError(f"switching is a probability, so between 0 and 1; got {switching!r}")
    rng = check_random_state(random_state)
    shocks = noise * rng.standard_normal(n_samples + 1)
    regime = np.cumsum(rng.uniform(size=n_samples + 1) < switching) + rng.randint(2)
    regime %= 2
    series = np.empty(n_samples + 2)
    series[0] = rng.uniform(-1, 1)
    for t, (shock, which) in enumerate(zip(shocks, regime, strict=True)):
        x = series[t]
        series[t + 1] = 1 - 2 * x**2 if which == 0 else np.tanh(-1.2 * x + shock)
    return np.column_stack([series[1:-1], series[:-2]]), series[2:], regime[1:]
