"""Special functions in any array namespace, and log Γ beyond its leading terms.

`special(xp)` holds scipy's functions for numpy and formulas of array-API operations elsewhere.

With log Γ(x) = x log x - x + R(x), differences of log Γ at 1e8 or 1e12 keep their digits if they
are taken of R and of x log x apart, for families whose nuisance parameter may become huge. Each of
`remainder`, `remainder_slope`, `remainder_curvature` is the derivative of the one before.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special as scipys

from .array import namespace

SERIES = 20.0
"""From here on Stirling's series, of which the first term left out is below 1e-15."""
SHIFT = 20
"""Steps of the recurrence from any positive argument to one where the series holds."""
AROUND_TWO = [np.euler_gamma - 1.0] + [float(scipys.zetac(k)) / k for k in range(2, 28)]
"""Coefficients of (-z)^k, k = 1 ..., in log Γ(2 + z) = (1 - γ) z + Σ (ζ(k) - 1) (-z)^k / k; for
|z| <= ½ the first that is left out is below 1e-17."""


class Special(NamedTuple):
    """The special functions of a namespace, elementwise; arguments are floating-point arrays."""

    gammaln: Callable
    digamma: Callable
    trigamma: Callable
    xlogy: Callable
    xlog1py: Callable
    expit: Callable
    log_expit: Callable
    logit: Callable
    logaddexp: Callable


TABLES = {
    np: Special(
        gammaln=scipys.gammaln,
        digamma=scipys.digamma,
        trigamma=lambda x: scipys.zeta(2.0, x),  # the bits of polygamma(1, x)
        xlogy=scipys.xlogy,
        xlog1py=scipys.xlog1py,
        expit=scipys.expit,
        log_expit=scipys.log_expit,
        logit=scipys.logit,
        logaddexp=np.logaddexp,
    )
}
"""The namespaces whose functions need no formulas of ours."""


@functools.cache
def special(xp):
    """Return the `Special` functions for arrays of the namespace `xp`."""
    if xp in TABLES:
        return TABLES[xp]
    formulas = (_gammaln, _digamma, _trigamma, _xlogy, _xlog1py, _expit, _log_expit, _logit)
    return Special(*(functools.partial(f, xp) for f in formulas), xp.logaddexp)


TWINS = {}
"""Compiled twins of functions below and in `counts`, by namespace and name."""


def with_twin(function):
    """Return `function`, the specification, or its twin where the namespace of x or eta has one."""
    names = list(inspect.signature(function).parameters)
    which = names.index("eta" if "eta" in names else "x")

    @functools.wraps(function)
    def whichever(*arguments):
        twins = TWINS.get(_namespace(arguments[which]))
        return (twins[function.__name__] if twins else function)(*arguments)

    return whichever


@with_twin
def remainder(x):
    """R(x) = log Γ(x) - x log x + x."""
    xp = _namespace(x)
    big, small, u, v = _split(xp, x)
    series = u / 12 * (1 - v / 30 * (1 - v * (2 / 7 - v * 3 / 14)))
    near = special(xp).gammaln(small) - small * xp.log(small) + small
    return xp.where(x >= SERIES, 0.5 * xp.log(2 * np.pi / big) + series, near)


@with_twin
def remainder_slope(x):
    """R′(x) = ψ(x) - log x."""
    xp = _namespace(x)
    _, small, u, v = _split(xp, x)
    near = special(xp).digamma(small) - xp.log(small)
    return xp.where(x >= SERIES, _slope_series(u, v), near)


@with_twin
def remainder_curvature(x):
    """R″(x) = ψ′(x) - 1/x."""
    xp = _namespace(x)
    _, small, u, v = _split(xp, x)
    near = special(xp).trigamma(small) - 1 / small
    return xp.where(x >= SERIES, _curvature_series(u, v), near)


def _namespace(x):
    """The namespace of an array, numpy for numbers."""
    return np if isinstance(x, (int, float, np.generic)) else namespace(x)


def _split(xp, x):
    """x where the series holds, x where it does not, and 1/x, 1/x² of the former."""
    big, small = xp.maximum(x, SERIES), xp.minimum(x, SERIES)
    return big, small, 1 / big, 1 / big**2


def _slope_series(u, v):
    """ψ(x) - log x from u = 1/x and v = u², x >= SERIES."""
    return -u * (0.5 + u / 12 * (1 - v * (0.1 - v * (1 / 21 - v / 20))))


def _curvature_series(u, v):
    """ψ′(x) - 1/x from u = 1/x and v = u², x >= SERIES."""
    return v * (0.5 + u * (1 / 6 - v * (1 / 30 - v * (1 / 42 - v / 30))))


# -- formulas of array-API operations, for positive x ----------------------------------------


def _gammaln(xp, x):
    """log Γ(x): about its zeros 1 and 2 by the series, further on by the recurrence."""
    small = xp.minimum(x, 2.5)
    # Γ(x) = Γ(x + 1) / x takes an argument from (0, ½], (½, 3/2], (3/2, 5/2] to 2 + z, |z| <= ½.
    twice, once = small <= 0.5, small <= 1.5
    z = small - xp.where(twice, 0.0 * small, xp.where(once, 0.0 * small + 1.0, 0.0 * small + 2.0))
    around = _around_two(z) - xp.where(once, xp.log1p(z), 0.0 * z)
    around = around - xp.where(twice, xp.log(small), 0.0 * z)
    # log Γ(x) = log Γ(x + m) - log x(x + 1) ... (x + m - 1)
    start = xp.clip(x, 2.5, SERIES)
    product = start
    for step in range(1, SHIFT):
        product = product * (start + step)
    beyond = xp.where(x < SERIES, start + SHIFT, xp.maximum(x, SERIES))
    series = (beyond - 0.5) * xp.log(beyond) - beyond + 0.5 * math.log(2 * np.pi)
    u, v = 1 / beyond, 1 / beyond**2
    series = series + u / 12 * (1 - v / 30 * (1 - v * (2 / 7 - v * 3 / 14)))
    shifted = series - xp.where(x < SERIES, xp.log(product), 0.0 * series)
    return xp.where(x <= 2.5, around, shifted)


def _around_two(z):
    """log Γ(2 + z) for |z| <= ½, by Horner's rule."""
    total = 0.0 * z
    for coefficient in reversed(AROUND_TWO):
        total = (total + coefficient) * -z
    return total


def _digamma(xp, x):
    """ψ(x) = ψ(x + m) - Σ 1/(x + i)."""
    beyond, below = _shifted(xp, x, 1)
    return xp.log(beyond) + _slope_series(1 / beyond, 1 / beyond**2) - below


def _trigamma(xp, x):
    """ψ′(x) = ψ′(x + m) + Σ 1/(x + i)²."""
    beyond, below = _shifted(xp, x, 2)
    return 1 / beyond + _curvature_series(1 / beyond, 1 / beyond**2) + below


def _shifted(xp, x, power):
    """x + m where x is below SERIES, and there Σ (x + i)^-power, i < m; else x and 0."""
    near = x < SERIES
    start = xp.minimum(x, SERIES)
    total = sum(1 / (start + step) ** power for step in reversed(range(SHIFT)))
    return xp.where(near, start + SHIFT, x), xp.where(near, total, 0.0 * total)


def _xlogy(xp, x, y):
    """x log y, 0 where x is."""
    return xp.where(x == 0, 0.0 * x, x * xp.log(xp.where(x == 0, 1.0, y)))


def _xlog1py(xp, x, y):
    """x log(1 + y), 0 where x is."""
    return xp.where(x == 0, 0.0 * x, x * xp.log1p(xp.where(x == 0, 0.0, y)))


def _expit(xp, x):
    """1/(1 + exp(-x)), without overflow."""
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, small) / (1 + small)


def _log_expit(xp, x):
    """-log(1 + exp(-x)), without overflow."""
    return xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


def _logit(xp, p):
    """log(p/(1 - p))."""
    return xp.log(p) - xp.log1p(-p)
