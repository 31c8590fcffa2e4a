"""Numba twins of the reference kernels; `array` is their specification.

Serial `nogil` functions over a chunk of rows. Blocks of 512 rows are packed feature-major, so that
the rows are the innermost, unit-stride index and every loop vectorises; nothing of size (n, K) is
ever stored. `parallel=True` is not used: it aborts under threads and hangs after a fork; the thread
pool in `batches` does that job. All kernels stay in this one file because numba's cache on disk
notices changes of a function's own file only.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import warnings

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

if __package__:  # a copy of this file alone has nobody to tell
    from . import notice

    notice.install()

BLOCK = 512
"""Rows a block: the packed block and its scores stay in the first-level cache."""

STAGE, STAGE_ROWS = 24576, 4096
"""Pairs of row and expert a block of a staged pass, and the rows it has at least: numpy's calls
cost some microseconds each, however few rows, and arrays are to stay in a cache."""

NARROW = 20
"""Columns from which Grams are made one weight at a time; of fewer, four together are quicker."""

GATHERED = 16
"""Blocks whose rows are sorted by expert together, where few experts learn from a row."""
FLAT, FEW_CURVED, WORTH_GATHERING = 1e-9, 0.25, 6
"""What g (1 - g) is next to nothing in a Hessian; the share of pairs with more up to which those
are gathered, which take about four times as long as others; the columns from which that pays."""

SUM = frozenset({"reassoc", "contract", "nsz"})  # plain sums may be reordered; NaN and inf hold
EXACT = frozenset({"contract"})  # the rounding trick in _exp must survive


def jit(flags=None, **options):
    """`numba.njit(nogil=True)` with an on-disk cache where the place for it can be written."""

    def decorate(function):
        settings = dict(nogil=True, error_model="numpy", fastmath=set(flags or ()), **options)
        settings["no_cfunc_wrapper"] = True  # nobody calls from C
        if os.environ.get("CLASSIC_MOE_NO_CACHE"):
            return numba.njit(**settings)(function)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", numba.NumbaWarning)
                return numba.njit(cache=True, **settings)(function)
        except (RuntimeError, OSError, numba.NumbaWarning):  # no writable place: compile every time
            return numba.njit(**settings)(function)

    return decorate


def inner(flags=None, **options):
    """`jit` of what kernels alone call: there is no entry from Python, whose calls would crash."""
    return jit(flags, no_cpython_wrapper=True, **options)


@intrinsic
def _bits(typing_context, x):
    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), build


@intrinsic
def _float(typing_context, i):
    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), build


if numba.config.DISABLE_JIT:  # NUMBA_DISABLE_JIT=1, to see which lines the tests reach

    def _bits(x):
        return np.float64(x).view(np.int64)

    def _float(i):
        return np.int64(i).view(np.float64)


_ROUND = 6755399441055744.0  # 1.5·2⁵²: adding it rounds to an integer in the low bits
_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (
    1 / float(np.prod(np.arange(1.0, k + 1))) for k in range(2, 14)
)


@inner(EXACT, forceinline=True)
def _exp(x):
    """exp(x) for x <= 0 without branches, 4e-16 relative; below -708 it stays at exp(-708)."""
    x = max(x, -708.0)
    t = x * _LOG2E + _ROUND
    n = t - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    r8 = r4 * r4
    p = (
        ((1.0 + r) + r2 * (_C2 + _C3 * r))
        + r4 * ((_C4 + _C5 * r) + r2 * (_C6 + _C7 * r))
        + r8 * ((_C8 + _C9 * r) + r2 * (_C10 + _C11 * r) + r4 * (_C12 + _C13 * r))
    )
    return _float(_bits(p) + (_bits(t) << 52))


@inner(EXACT, forceinline=True)
def _log(x):
    """log(x) for normal positive x without branches; NaN stays NaN."""
    b = _bits(x)
    e = (b - 0x3FE6A09E667F3BCD) >> 52  # the mantissa ends up in [√½, √2)
    m = _float(b - (e << 52))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = z * (
        2 / 11.0 + z * (2 / 13.0 + z * (2 / 15.0 + z * (2 / 17.0 + z * (2 / 19.0 + z * 2 / 21.0))))
    )
    p = 2 / 3.0 + z * (2 / 5.0 + z * (2 / 7.0 + z * (2 / 9.0 + p)))
    n = e * 1.0
    return n * _LN2_HIGH + (2.0 * s + (s * z * p + n * _LN2_LOW + 0.0 * x))


@inner(EXACT, forceinline=True)
def _any_exp(x):
    """exp(x) for every x: 0 below -708, infinite above 708; NaN stays NaN."""
    e = _exp(-abs(x))
    e = e if x <= 0.0 else 1.0 / e
    e = e if x > -708.0 else 0.0
    e = e if x < 708.0 else np.inf
    return e if x == x else x


@inner(EXACT, forceinline=True)
def _any_expm1(x):
    """exp(x) - 1 = 2ⁿ (exp(r) - 1) + (2ⁿ - 1) with x = n log 2 + r, |r| <= ½ log 2; NaN stays NaN.

    The first term is exact to the last digit for small x, where n = 0, and the terms do not cancel.
    """
    c = min(max(x, -708.0), 708.0)
    t = c * _LOG2E + _ROUND
    n = t - _ROUND
    r = (c - n * _LN2_HIGH) - n * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    r8 = r4 * r4
    p = (
        r2 * (_C2 + _C3 * r)
        + r4 * ((_C4 + _C5 * r) + r2 * (_C6 + _C7 * r))
        + r8 * ((_C8 + _C9 * r) + r2 * (_C10 + _C11 * r) + r4 * (_C12 + _C13 * r))
    ) + r
    power = _float(_bits(1.0) + (_bits(t) << 52))
    e = power * p + (power - 1.0)
    e = e if x < 708.0 else np.inf
    return e if x == x else x


@inner(EXACT, forceinline=True)
def _any_log(x):
    """log(x) for every x: -inf at 0, NaN below."""
    tiny = x < 2.3e-308
    y = _log(x * 18014398509481984.0 if tiny else x)  # 2⁵⁴
    y = y - 54.0 * 0.6931471805599453 if tiny else y
    y = y if x < np.inf else x
    y = y if x > 0.0 else -np.inf
    return y if x >= 0.0 else np.nan


@inner(EXACT, forceinline=True)
def _any_log1p(x):
    """log(1 + x) = log u + (x - (u - 1))/u with u = 1 + x rounded, for every x."""
    u = 1.0 + x
    y = _any_log(u)
    corrected = y + (x - (u - 1.0)) / u
    return corrected if abs(y) < np.inf else y


@jit(EXACT)
def exp_each(x, out):
    for i in range(len(x)):
        out[i] = _any_exp(x[i])


@jit(EXACT)
def expm1_each(x, out):
    for i in range(len(x)):
        out[i] = _any_expm1(x[i])


@jit(EXACT)
def log_each(x, out):
    for i in range(len(x)):
        out[i] = _any_log(x[i])


@jit(EXACT)
def log1p_each(x, out):
    for i in range(len(x)):
        out[i] = _any_log1p(x[i])


@jit(EXACT)
def expit_each(x, out):
    """1/(1 + exp(-x))."""
    for i in range(len(x)):
        e = _any_exp(-abs(x[i]))
        out[i] = (1.0 if x[i] >= 0.0 else e) / (1.0 + e)


@jit(EXACT)
def softplus_each(x, out):
    """log(1 + exp(x))."""
    for i in range(len(x)):
        out[i] = max(x[i], 0.0) + _any_log1p(_any_exp(-abs(x[i])))


# -- functions of log Γ, for positive x ------------------------------------------------------

_FROM = 10.0  # from here on the series below, whose first term left out is below 1e-16


@inner(EXACT, forceinline=True)
def _remainder_series(u, v):
    """R(x) - ½ log(2π/x) from u = 1/x and v = u², by Stirling's series."""
    p = 1 / 1188.0 - v * (691 / 360360.0 - v * (1 / 156.0 - v * 3617 / 122400.0))
    return u * (1 / 12.0 - v * (1 / 360.0 - v * (1 / 1260.0 - v * (1 / 1680.0 - v * p))))


@inner(EXACT, forceinline=True)
def _slope_series(u, v):
    """R′(x) = ψ(x) - log x from u = 1/x and v = u²."""
    p = 1 / 132.0 - v * (691 / 32760.0 - v * (1 / 12.0 - v * 3617 / 8160.0))
    return -u * 0.5 - v * (1 / 12.0 - v * (1 / 120.0 - v * (1 / 252.0 - v * (1 / 240.0 - v * p))))


@inner(EXACT, forceinline=True)
def _curvature_series(u, v):
    """R″(x) = ψ′(x) - 1/x from u = 1/x and v = u²."""
    p = 5 / 66.0 - v * (691 / 2730.0 - v * (7 / 6.0 - v * (3617 / 510.0 - v * 43867 / 798.0)))
    return v * (0.5 + u * (1 / 6.0 - v * (1 / 30.0 - v * (1 / 42.0 - v * (1 / 30.0 - v * p)))))


@jit(EXACT)
def _remainder(x):
    """R(x) = log Γ(x) - x log x + x, with log Γ(x) = log Γ(x + m) - log x(x + 1)...(x + m - 1)."""
    if x >= _FROM:
        u = 1.0 / x
        return 0.5 * math.log(6.283185307179586 * u) + _remainder_series(u, u * u)
    if not x > 0.0:
        return np.inf if x == 0.0 else np.nan
    y, product = x + 1.0, 1.0
    while y < _FROM:
        product *= y
        y += 1.0
    u = 1.0 / y
    series = (y - 0.5) * math.log(y) - y + 0.9189385332046727 + _remainder_series(u, u * u)
    return (series - math.log(product)) - (x + 1.0) * math.log(x) + x


@jit(EXACT)
def _remainder_slope(x):
    """R′(x) = ψ(x) - log x, with ψ(x) = ψ(x + m) - Σ 1/(x + i), i < m."""
    if x >= _FROM:
        u = 1.0 / x
        return _slope_series(u, u * u)
    if not x > 0.0:
        return np.nan
    y, below = x, 0.0
    while y < _FROM:
        below += 1.0 / y
        y += 1.0
    u = 1.0 / y
    return math.log(y / x) + (_slope_series(u, u * u) - below)


@jit(EXACT)
def _remainder_curvature(x):
    """R″(x) = ψ′(x) - 1/x, with ψ′(x) = ψ′(x + m) + Σ 1/(x + i)², i < m."""
    if x >= _FROM:
        u = 1.0 / x
        return _curvature_series(u, u * u)
    if not x > 0.0:
        return np.inf if x == 0.0 else np.nan
    y, below = x, 0.0
    while y < _FROM:
        below += 1.0 / (y * y)
        y += 1.0
    u = 1.0 / y
    return (u - 1.0 / x) + (_curvature_series(u, u * u) + below)


@jit(EXACT)
def remainder_each(x, out):
    for i in range(len(x)):  # a loop without branches, and one for the rest
        u = 1.0 / max(x[i], _FROM)
        out[i] = 0.5 * _any_log(6.283185307179586 * u) + _remainder_series(u, u * u)
    for i in range(len(x)):
        if not x[i] >= _FROM:
            out[i] = _remainder(x[i])


@jit(EXACT)
def remainder_slope_each(x, out):
    for i in range(len(x)):
        u = 1.0 / max(x[i], _FROM)
        out[i] = _slope_series(u, u * u)
    for i in range(len(x)):
        if not x[i] >= _FROM:
            out[i] = _remainder_slope(x[i])


@jit(EXACT)
def remainder_curvature_each(x, out):
    for i in range(len(x)):
        u = 1.0 / max(x[i], _FROM)
        out[i] = _curvature_series(u, u * u)
    for i in range(len(x)):
        if not x[i] >= _FROM:
            out[i] = _remainder_curvature(x[i])


@jit(EXACT)
def gammaln_each(x, out):
    """log Γ(x)."""
    for i in range(len(x)):
        u = 1.0 / max(x[i], _FROM)
        series = 0.9189385332046727 + _remainder_series(u, u * u)
        out[i] = (x[i] - 0.5) * _any_log(x[i]) - x[i] + series
    for i in range(len(x)):
        if not x[i] >= _FROM:
            # about 1 and 2, where it is zero, by the argument above them
            out[i] = x[i] * (math.log(x[i]) - 1.0) + _remainder(x[i])


# -- log masses of counts, (K, n) with one y for all K -----------------------------------------


_SMALL_COUNTS = np.array(
    [0.0] + [y * math.log(y) - y - math.log(math.factorial(y)) for y in range(1, 64)]
)


@jit(EXACT)
def _factorial_gap(y):
    """y log y - y - log y!, 0 where y is: log y! = log Γ(y) + log y."""
    if 0.0 <= y < 64.0 and y == math.floor(y):
        return _SMALL_COUNTS[int(y)]
    return -_remainder(y) - math.log(y)


@jit(EXACT)
def factorial_gap_each(y, out):
    """The twin of `counts.factorial_gap`."""
    for i in range(len(y)):  # a loop without branches, and one for the rest
        large = max(y[i], 64.0)
        u, log = 1.0 / large, _log(large)
        root = 0.9189385332046727 - 0.5 * log
        out[i] = -(root + _remainder_series(u, u * u)) - log
    for i in range(len(y)):
        if not 64.0 <= y[i] < np.inf:
            out[i] = _factorial_gap(y[i])


@jit(EXACT)
def poisson_each(y, eta, out):
    """The twin of `counts.poisson`; y (n,), eta and out (K, n)."""
    n = len(y)
    log_size, base = np.empty(n), np.empty(n)
    factorial_gap_each(y, base)
    for i in range(n):
        log_size[i] = _any_log(max(y[i], 1.0))
        base[i] += y[i] - max(y[i], 1.0)
    for k in range(len(eta)):
        e, o = eta[k], out[k]
        for i in range(n):
            gap = e[i] - log_size[i]
            o[i] = y[i] * gap - max(y[i], 1.0) * _any_expm1(gap) + base[i]


@inner(EXACT)
def _small_counts(y, which):
    """which (n,) = y where that is a whole number below 64, -1 elsewhere; how many those are."""
    others = 0
    for i in range(len(y)):
        whole = 0.0 <= y[i] < 64.0 and y[i] == math.floor(y[i])
        which[i] = int(y[i]) if whole else -1
        others += 0 if whole else 1
    return others


@jit(EXACT)
def negative_binomial_each(y, eta, size, out):
    """The twin of `experts.negative_binomial.log_mass`; size (K,) is 1/φ."""
    n = len(y)
    log_y, base, which, known = np.empty(n), np.empty(n), np.empty(n, np.int64), np.empty(64)
    factorial_gap_each(y, base)
    others = _small_counts(y, which)
    for i in range(n):
        log_y[i] = _any_log(max(y[i], 1.0))
    for k in range(len(eta)):
        e, o, s = eta[k], out[k], size[k]
        for i in range(n):
            gap, least, total = e[i] - log_y[i], max(y[i], 1.0), s + y[i]
            few = y[i] < s
            # exp(-g) - 1 for many counts, exp(g) - 1 for few
            change = _any_expm1(gap if few else -gap)
            rise = (least * change + least - y[i]) / total
            share = min(s / total, 0.5)
            inside = _any_log1p(max(rise, -0.5) if few else share * change)
            o[i] = (y[i] if few else -s) * gap - total * inside
        # R(s + y) - R(s) + y log y - y - log y!, the first once a count where counts are small
        at_none = _remainder(s)
        for j in range(64):
            known[j] = _remainder(s + j) - at_none
        if others:
            for i in range(n):
                u = 1.0 / max(s + y[i], _FROM)
                rest = 0.5 * _any_log(6.283185307179586 * u) + _remainder_series(u, u * u)
                o[i] += base[i] + (rest - at_none if which[i] < 0 else 0.0)
            for i in range(n):
                if which[i] >= 0:
                    o[i] += known[which[i]]
                elif s + y[i] < _FROM:
                    o[i] += _remainder(s + y[i]) - _remainder_at_ten()
        else:
            for i in range(n):
                o[i] += base[i] + known[which[i]]


@inner(EXACT)
def _remainder_at_ten():
    """What the series says at `_FROM`, where an argument is below."""
    u = 1.0 / _FROM
    return 0.5 * _any_log(6.283185307179586 * u) + _remainder_series(u, u * u)


@jit(EXACT)
def negative_binomial_slopes(y, eta, size, slope, curvature, first, second):
    """The twin of `experts.negative_binomial.mass_slopes`, (K, n) each; size (K,) is 1/φ."""
    n = len(y)
    which, known, known_slopes = np.empty(n, np.int64), np.empty(64), np.empty(64)
    others = _small_counts(y, which)
    for k in range(len(eta)):
        e, s = eta[k], size[k]
        a, b, c, d = slope[k], curvature[k], first[k], second[k]
        for i in range(n):
            mean, total = _any_exp(e[i]), y[i] + s
            inverse = 1.0 / (s + mean)
            share, rest = mean * inverse, s * inverse
            a[i] = y[i] * rest - s * share
            b[i] = total * share * rest
            excess = (y[i] - mean) * inverse
            # log(1 + excess), where that has lost its digits log(total/(s + μ))
            near = excess > -0.5
            u = 1.0 + excess if near else total * inverse
            lost = (excess - (u - 1.0)) / u if near else 0.0
            c[i] = _any_log(u) + lost - excess
            d[i] = excess * excess / total
        # R'(s + y) - R'(s) and R''(s + y) - R''(s), as above
        at_none, slope_at_none = _remainder_slope(s), _remainder_curvature(s)
        for j in range(64):
            known[j] = _remainder_slope(s + j) - at_none
            known_slopes[j] = _remainder_curvature(s + j) - slope_at_none
        if others:
            for i in range(n):
                u = 1.0 / max(s + y[i], _FROM)
                v = u * u
                c[i] += _slope_series(u, v) - at_none if which[i] < 0 else 0.0
                d[i] += _curvature_series(u, v) - slope_at_none if which[i] < 0 else 0.0
            u = 1.0 / _FROM
            for i in range(n):
                if which[i] >= 0:
                    c[i] += known[which[i]]
                    d[i] += known_slopes[which[i]]
                elif s + y[i] < _FROM:
                    c[i] += _remainder_slope(s + y[i]) - _slope_series(u, u * u)
                    d[i] += _remainder_curvature(s + y[i]) - _curvature_series(u, u * u)
        else:
            for i in range(n):
                c[i] += known[which[i]]
                d[i] += known_slopes[which[i]]
        for i in range(n):
            c[i] *= -s
            d[i] = c[i] - s * s * d[i]


@jit(EXACT)
def gamma_each(y, eta, shape, constant, inverse, value, change, loss):
    """The twin of `experts.gamma.log_density_and_change`; shape and constant (K,), R(shape)."""
    n = len(y)
    log_y = np.empty(n)
    for i in range(n):
        log_y[i] = _any_log(y[i])
    for k in range(len(eta)):
        e, v, c, d, s, r = eta[k], value[k], change[k], loss[k], shape[k], constant[k]
        for i in range(n):
            gap = min(log_y[i] + (_any_log(e[i]) if inverse else -e[i]), 500.0)
            c[i] = _any_expm1(gap)
            d[i] = c[i] - gap
            v[i] = -s * d[i] - r - log_y[i]


@jit(EXACT)
def bent_each(eta, floor, out):
    """The twin of `experts.gamma.bent`, (K, n) both, floor (K,)."""
    for k in range(len(eta)):
        e, o, f = eta[k], out[k], floor[k]
        for i in range(len(e)):
            below = min(max(1.0 - e[i] / f, 0.0), 1e9)
            o[i] = f * (1.0 + below) / (1.0 + 2.0 * below) if below > 0.0 else e[i]


@jit(EXACT)
def student_t_each(U, df, log_norm, value, weight, log_growth):
    """The twin of `experts._stages.t_terms` of residuals (K, q, n); df and log_norm (K,)."""
    K, q, n = U.shape
    for k in range(K):
        v, w, g, nu = value[k], weight[k], log_growth[k], df[k]
        for i in range(n):
            w[i] = 0.0
        for j in range(q):
            u = U[k, j]
            for i in range(n):
                w[i] += u[i] * u[i]
        half, most, inverse, norm = 0.5 * (nu + q), 1.0 + q / nu, 1.0 / nu, log_norm[k]
        for i in range(n):
            growth = w[i] * inverse
            g[i] = _any_log1p(growth)
            v[i] = norm - half * g[i]
            w[i] = most / (1.0 + growth)


@jit(EXACT)
def weighted_logs_each(floor, resp, out):
    """The twin of `gates.least_squares.weighted_logs`, (C, n) both."""
    (C, n), total, mean = resp.shape, np.zeros(resp.shape[1]), np.zeros(resp.shape[1])
    for c in range(C):
        r = resp[c]
        for i in range(n):
            total[i] += r[i]
    for c in range(C):
        r, o = resp[c], out[c]
        for i in range(n):
            o[i] = _log(max(r[i] / total[i] if total[i] > 0.0 else 1.0, floor))
            mean[i] += o[i] / C
    for c in range(C):
        o = out[c]
        for i in range(n):
            o[i] = total[i] * (o[i] - mean[i])


@jit(EXACT)
def half_squares_each(U, d, out):
    """out (K, n) = ½ Σ u² over the first d of the second axis of (K, r, n)."""
    for k in range(len(U)):
        o = out[k]
        for i in range(len(o)):
            o[i] = 0.0
        for j in range(d):
            u = U[k, j]
            for i in range(len(o)):
                o[i] += 0.5 * u[i] * u[i]


@jit(EXACT)
def binomial_each(successes, failures, eta, out):
    """The twin of `counts.binomial` for totals below `counts.LARGE`."""
    n = len(successes)
    ways = np.empty(n)
    for i in range(n):  # log t!/(s! f!) with log y! = y log y - y - gap(y)
        s, f = successes[i], failures[i]
        ways[i] = _factorial_gap(s) + _factorial_gap(f) - _factorial_gap(s + f)
    for i in range(n):
        s, f = successes[i], failures[i]
        t = 1.0 / max(s + f, 1.0)
        ways[i] -= s * _log(max(s * t, 1e-300)) + f * _log(max(f * t, 1e-300))
    for k in range(len(eta)):
        e, o = eta[k], out[k]
        for i in range(n):
            s, f, x = successes[i], failures[i], e[i]
            # log(1 + exp(±x)) = max(±x, 0) + log(1 + exp(-|x|))
            tail = (s + f) * _any_log1p(_any_exp(-abs(x)))
            o[i] = ways[i] - s * max(-x, 0.0) - f * max(x, 0.0) - tail


@jit(EXACT)
def binomial_slopes(successes, failures, eta, slope, curvature):
    """The twin of `counts.binomial_slopes`, (K, n) each."""
    for k in range(len(eta)):
        x, a, b = eta[k], slope[k], curvature[k]
        for i in range(len(x)):
            e = _any_exp(-abs(x[i]))
            large = 1.0 / (1.0 + e)
            small = e * large
            p, rest = (large, small) if x[i] >= 0.0 else (small, large)
            a[i] = successes[i] * rest - failures[i] * p
            b[i] = (successes[i] + failures[i]) * large * small


@inner(SUM)
def _pack(X, Y, start, n, Z):
    """Z[:, :n] = rows start ... start + n of [1, x, y], feature-major, as float64."""
    p, q = X.shape[1], Y.shape[1]
    for i in range(n):
        Z[0, i] = 1.0
    # Eight rows by eight: one column of all rows would be gathered, from all over the block.
    eights = n - n % 8
    for i in range(0, eights, 8):
        for j in range(p):
            z, s = Z[1 + j], start + i
            x0, x1, x2, x3 = X[s, j], X[s + 1, j], X[s + 2, j], X[s + 3, j]
            x4, x5, x6, x7 = X[s + 4, j], X[s + 5, j], X[s + 6, j], X[s + 7, j]
            z[i], z[i + 1], z[i + 2], z[i + 3] = x0, x1, x2, x3
            z[i + 4], z[i + 5], z[i + 6], z[i + 7] = x4, x5, x6, x7
    for i in range(eights, n):
        for j in range(p):
            Z[1 + j, i] = X[start + i, j]
    for j in range(q):
        for i in range(n):
            Z[1 + p + j, i] = Y[start + i, j]


@inner(EXACT, forceinline=True)
def _inside(x, origin, slope, far):
    """(x - origin)·slope, cut off at ±far."""
    return min(max((x - origin) * slope, -far), far)


@inner(SUM)
def _pack_inside(X, units, Y, start, n, Z):
    """`_pack` of rows X that are scaled on the way, to the bits of `standardise`.

    `units` (3, p) are the origin, slope and largest number of every column; without rows X is as
    it is to be.
    """
    if not len(units):
        _pack(X, Y, start, n, Z)
        return
    kind, (p, q) = X.dtype.type, (X.shape[1], Y.shape[1])  # float32 stays so, as in memory
    for i in range(n):
        Z[0, i] = 1.0
    eights = n - n % 8
    for i in range(0, eights, 8):
        for j in range(p):
            o, f, far = units[0, j], units[1, j], units[2, j]
            z, s = Z[1 + j], start + i
            x0, x1, x2, x3 = X[s, j], X[s + 1, j], X[s + 2, j], X[s + 3, j]
            x4, x5, x6, x7 = X[s + 4, j], X[s + 5, j], X[s + 6, j], X[s + 7, j]
            z[i], z[i + 1] = kind(_inside(x0, o, f, far)), kind(_inside(x1, o, f, far))
            z[i + 2], z[i + 3] = kind(_inside(x2, o, f, far)), kind(_inside(x3, o, f, far))
            z[i + 4], z[i + 5] = kind(_inside(x4, o, f, far)), kind(_inside(x5, o, f, far))
            z[i + 6], z[i + 7] = kind(_inside(x6, o, f, far)), kind(_inside(x7, o, f, far))
    for i in range(eights, n):
        for j in range(p):
            Z[1 + j, i] = kind(_inside(X[start + i, j], units[0, j], units[1, j], units[2, j]))
    for j in range(q):
        for i in range(n):
            Z[1 + p + j, i] = Y[start + i, j]


@inner(SUM)
def _linear(Z, A, n, out):
    """out[c, :n] = Σ_j A[c, j] Z[j, :n], four outputs and two features at a time."""
    rows, P = A.shape
    fours, pairs = rows - rows % 4, P - (P - 1) % 2
    for c in range(rows):  # Z[0] is 1: the intercepts start the sums.
        o0, a0 = out[c], A[c, 0]
        for i in range(n):
            o0[i] = a0
    # Every value of Z that is loaded serves four outputs, every output two features: 8 products for
    # 2 loads and 4 stores, where one by one each product would need both.
    for c in range(0, fours, 4):
        o0, o1 = out[c], out[c + 1]
        o2, o3 = out[c + 2], out[c + 3]
        for j in range(1, pairs, 2):
            k = j + 1
            x0, x1 = Z[j], Z[k]
            a0, a1 = A[c, j], A[c + 1, j]
            a2, a3 = A[c + 2, j], A[c + 3, j]
            b0, b1 = A[c, k], A[c + 1, k]
            b2, b3 = A[c + 2, k], A[c + 3, k]
            for i in range(n):
                u = x0[i]
                v = x1[i]
                o0[i] += a0 * u + b0 * v
                o1[i] += a1 * u + b1 * v
                o2[i] += a2 * u + b2 * v
                o3[i] += a3 * u + b3 * v
    for c in range(rows):  # what is left
        o0 = out[c]
        for j in range(pairs if c < fours else 1, P):
            x0, a0 = Z[j], A[c, j]
            for i in range(n):
                o0[i] += a0 * x0[i]


@inner(EXACT)
def _softmax(scores, n, prob, top, total):
    """prob[:, :n] = exp(score - top), unnormalised, and their sums in `total`."""
    if len(scores) == 2:  # one of the two is 1
        s, t = scores[0], scores[1]
        e, f = prob[0], prob[1]
        for i in range(n):
            lower = _exp(-abs(s[i] - t[i]))
            e[i] = lower if s[i] < t[i] else 1.0
            f[i] = 1.0 if s[i] < t[i] else lower
            top[i] = max(s[i], t[i])
            total[i] = 1.0 + lower
        return
    for i in range(n):
        top[i] = -1e300
        total[i] = 0.0
    for c in range(len(scores)):
        s = scores[c]
        for i in range(n):
            top[i] = max(top[i], s[i])
    for c in range(len(scores)):
        s, e = scores[c], prob[c]
        for i in range(n):
            e[i] = _exp(s[i] - top[i])
            total[i] += e[i]


@inner(EXACT)
def _paths(scores, n, first, child, G, R, path, top, total):
    """The branches' probabilities in G and the experts' log-probabilities in R."""
    m = len(path)
    for i in range(n):
        path[0, i] = 0.0
    for node in range(m):
        a, b = first[node], first[node + 1]
        _softmax(scores[a:b], n, G[a:b], top, total)
        here = path[node]
        for i in range(n):
            top[i] = here[i] - (top[i] + _log(total[i]))
            total[i] = 1.0 / total[i]
        for c in range(a, b):
            s, g = scores[c], G[c]
            along = R[child[c]] if child[c] >= 0 else path[~child[c]]
            for i in range(n):
                along[i] = s[i] + top[i]
                g[i] *= total[i]


@inner(EXACT)
def _posterior(weight, start, n, joint, R, best, mass):
    """Responsibilities R, times the rows' weights, of log g + log p; Σ weight·log p(y|x)."""
    _softmax(joint, n, R, best, mass)
    objective = 0.0
    for i in range(n):
        best[i] += _log(mass[i])
        mass[i] = weight[start + i] / mass[i]
    for i in range(n):
        objective += weight[start + i] * best[i]
    for k in range(len(R)):
        r = R[k]
        for i in range(n):
            r[i] *= mass[i]
    return objective


@inner(SUM)
def _add(out, b, P, s0, s1, s2, s3):
    """out[b ... b + 3] += s0 ... s3, as far as there are columns."""
    out[b] += s0
    if b + 1 < P:
        out[b + 1] += s1
    if b + 2 < P:
        out[b + 2] += s2
    if b + 3 < P:
        out[b + 3] += s3


@inner(SUM)
def _moments(Z, W, n, P, out):
    """out[c, a] += Σ_i W[c, i] Z[a, i] for the first P features, four at a time."""
    last = P - 1
    for c in range(len(W)):
        w = W[c]
        for a in range(0, P, 4):
            x0, x1 = Z[a], Z[min(a + 1, last)]
            x2, x3 = Z[min(a + 2, last)], Z[min(a + 3, last)]
            s0 = s1 = s2 = s3 = 0.0
            for i in range(n):
                u = w[i]
                s0 += u * x0[i]
                s1 += u * x1[i]
                s2 += u * x2[i]
                s3 += u * x3[i]
            _add(out[c], a, P, s0, s1, s2, s3)


@inner(SUM)
def _grams(Z, W, n, P, out):
    """out[c, a, b] += Σ_i W[c, i] Z[a, i] Z[b, i] for a <= b < P; what is below may change.

    Four weights together, in tiles of 2 b × 4 c; what is left one by one, in tiles of 3 a × 4 b.
    """
    fours = len(W) - len(W) % 4 if P < NARROW else 0
    # The products Z[a] Z[b] do not depend on the expert: each is made once for four of them, and
    # eight sums stay in registers over all rows of the block. SUM lets them run in vector lanes.
    for a in range(P if fours else 0):
        xa = Z[a]
        b = a
        while b < P:
            pair = b + 1 < P
            xb = Z[b]
            xc = Z[b + 1] if pair else Z[b]
            for c in range(0, fours, 4):
                w0, w1 = W[c], W[c + 1]
                w2, w3 = W[c + 2], W[c + 3]
                s0 = s1 = s2 = s3 = 0.0
                if pair:
                    t0 = t1 = t2 = t3 = 0.0
                    for i in range(n):
                        u = xa[i]
                        v = u * xb[i]
                        z = u * xc[i]
                        s0 += w0[i] * v
                        s1 += w1[i] * v
                        s2 += w2[i] * v
                        s3 += w3[i] * v
                        t0 += w0[i] * z
                        t1 += w1[i] * z
                        t2 += w2[i] * z
                        t3 += w3[i] * z
                    out[c, a, b + 1] += t0
                    out[c + 1, a, b + 1] += t1
                    out[c + 2, a, b + 1] += t2
                    out[c + 3, a, b + 1] += t3
                else:
                    for i in range(n):
                        v = xa[i] * xb[i]
                        s0 += w0[i] * v
                        s1 += w1[i] * v
                        s2 += w2[i] * v
                        s3 += w3[i] * v
                out[c, a, b] += s0
                out[c + 1, a, b] += s1
                out[c + 2, a, b] += s2
                out[c + 3, a, b] += s3
            b += 2
    # Three weighted rows against four plain ones are twelve sums for seven loads: as many as the
    # registers hold. Beyond the edges a tile repeats the last row, and what comes of it is dropped.
    weighted = np.empty((3, n if fours < len(W) else 0))
    u0, u1, u2 = weighted[0], weighted[1], weighted[2]
    last = P - 1
    for c in range(fours, len(W)):
        w = W[c]
        for a in range(0, P, 3):
            rows = min(3, P - a)
            x0, x1, x2 = Z[a], Z[min(a + 1, last)], Z[min(a + 2, last)]
            for i in range(n):
                u0[i] = w[i] * x0[i]
                u1[i] = w[i] * x1[i]
                u2[i] = w[i] * x2[i]
            for b in range(a, P, 4):
                z0, z1 = Z[b], Z[min(b + 1, last)]
                z2, z3 = Z[min(b + 2, last)], Z[min(b + 3, last)]
                s00 = s01 = s02 = s03 = 0.0
                s10 = s11 = s12 = s13 = 0.0
                s20 = s21 = s22 = s23 = 0.0
                for i in range(n):
                    p, q, r = u0[i], u1[i], u2[i]
                    z = z0[i]
                    s00 += p * z
                    s10 += q * z
                    s20 += r * z
                    z = z1[i]
                    s01 += p * z
                    s11 += q * z
                    s21 += r * z
                    z = z2[i]
                    s02 += p * z
                    s12 += q * z
                    s22 += r * z
                    z = z3[i]
                    s03 += p * z
                    s13 += q * z
                    s23 += r * z
                _add(out[c, a], b, P, s00, s01, s02, s03)
                if rows > 1:
                    _add(out[c, a + 1], b, P, s10, s11, s12, s13)
                if rows > 2:
                    _add(out[c, a + 2], b, P, s20, s21, s22, s23)


@inner(EXACT)
def _pair_weight(total, prob, a, b, n, out):
    """total·p_a·p_b, of the block off the diagonal, or total·p_a·(1 - p_a) of the one on it."""
    pa, pb = prob[a], prob[b]
    if a == b:
        for i in range(n):
            out[i] = total[i] * pa[i] * (1.0 - pa[i])
    else:
        for i in range(n):
            out[i] = total[i] * pa[i] * pb[i]


@inner(EXACT)
def _gate_weights(n, first, child, pairs, G, R, D, N, H):
    """The weights of the gate's sums: D of its gradient, H of its Hessian's Grams.

    From the last node to the root: N, the responsibility of a node, is the sum over its branches.
    """
    for node in range(len(N) - 1, -1, -1):
        total = N[node]
        for i in range(n):
            total[i] = 0.0
        for c in range(first[node], first[node + 1]):
            below = R[child[c]] if child[c] >= 0 else N[~child[c]]
            for i in range(n):
                total[i] += below[i]
        for c in range(first[node], first[node + 1]):
            below = R[child[c]] if child[c] >= 0 else N[~child[c]]
            g, d = G[c], D[c]
            for i in range(n):
                d[i] = below[i] - total[i] * g[i]
    for c in range(len(pairs)):
        _pair_weight(N[pairs[c, 0]], G, pairs[c, 1], pairs[c, 2], n, H[c])


@jit(EXACT)
def _softmax_gaussian_chunk(
    X,
    units,
    Y,
    weight,
    gate_coef,
    first,
    child,
    pairs,
    whitening,
    log_norm,
    gradient,
    hessian,
    grams,
    moments,
    target,
):
    """All rows of a chunk; whitening (K·q, P) row by row; `pairs` (., 3) of node, branch, branch.

    `units` as of `_pack_inside`.

    Where target (n, K) has rows it takes the place of the responsibilities times the weights, and
    the objective is Σ target·log g.

    Adds to gradient (M, P_gate), hessian (a Gram for every pair, P_gate, P_gate; upper triangles)
    and grams (K, P, P; upper triangles) or, where there are no rows of those, to moments
    (K·(1 + q), P).
    """
    (M, P_gate), m = gate_coef.shape, len(first) - 1
    P, K = whitening.shape[1], len(log_norm)
    q = len(whitening) // K
    Z = np.empty((P, BLOCK))
    scores = np.empty((M + K * q, BLOCK))
    G, D = np.empty((M, BLOCK)), np.empty((M, BLOCK))
    joint, R = np.empty((K, BLOCK)), np.empty((K, BLOCK))
    path, N, H = np.empty((m, BLOCK)), np.empty((m, BLOCK)), np.empty((len(pairs), BLOCK))
    V = np.empty((moments.shape[0], BLOCK))
    top, total = np.empty(BLOCK), np.empty(BLOCK)
    objective = 0.0
    for start in range(0, len(X), BLOCK):
        n = min(BLOCK, len(X) - start)
        _pack_inside(X, units, Y, start, n, Z)
        _linear(Z, gate_coef, n, scores)
        _linear(Z, whitening, n, scores[M:])
        _paths(scores, n, first, child, G, joint, path, top, total)
        for k in range(K):
            r, c = joint[k], log_norm[k]
            if len(target):
                own = R[k]
                for i in range(n):
                    objective += target[start + i, k] * r[i]
                    own[i] = target[start + i, k]
                continue
            for i in range(n):
                r[i] += c
            for j in range(q):
                u = scores[M + k * q + j]
                for i in range(n):
                    r[i] -= 0.5 * u[i] * u[i]
        if not len(target):
            objective += _posterior(weight, start, n, joint, R, top, total)
        _gate_weights(n, first, child, pairs, G, R, D, N, H)
        _moments(Z, D, n, P_gate, gradient)
        _grams(Z, H, n, P_gate, hessian)
        if grams.shape[0]:
            _grams(Z, R, n, P, grams)
            continue
        # The gradient alone: Σ resp z and Σ resp u zᵀ of the whitened residuals u.
        for k in range(K):
            r, v = R[k], V[k * (1 + q)]
            for i in range(n):
                v[i] = r[i]
            for j in range(q):
                u, v = scores[M + k * q + j], V[k * (1 + q) + 1 + j]
                for i in range(n):
                    v[i] = r[i] * u[i]
        _moments(Z, V, n, P, moments)
    return objective


@inner(SUM)
def _keep_best(joint, n, kept, which):
    """The k largest of joint (K, n), in `kept` and, their numbers, in `which`, (k, n) both.

    Of equals the lower number comes first. In `joint` they give way to -inf.
    """
    K = len(joint)
    fours = 1 + (K - 1) - (K - 1) % 4
    for j in range(len(kept)):
        top, at = kept[j], which[j]
        s = joint[0]
        for i in range(n):
            top[i] = s[i]
            at[i] = 0
        # the best of four experts is made in registers, and the best so far is loaded once for them
        for c in range(1, fours, 4):
            s0, s1 = joint[c], joint[c + 1]
            s2, s3 = joint[c + 2], joint[c + 3]
            for i in range(n):
                x, y = s0[i], s2[i]
                a = c + 1 if s1[i] > x else c
                x = s1[i] if s1[i] > x else x
                b = c + 3 if s3[i] > y else c + 2
                y = s3[i] if s3[i] > y else y
                a = b if y > x else a
                x = y if y > x else x
                at[i] = a if x > top[i] else at[i]
                top[i] = x if x > top[i] else top[i]
        for c in range(fours, K):
            s = joint[c]
            for i in range(n):
                at[i] = c if s[i] > top[i] else at[i]
                top[i] = s[i] if s[i] > top[i] else top[i]
        for i in range(n):
            joint[at[i], i] = -np.inf


@inner(SUM)
def _grams_of_pairs(X, Y, expert, row, weight, n, place, order, its, Z, w, P, out):
    """out[c, a, b] += Σ weight z_a z_b, a <= b, over the n pairs of an expert c and a row.

    The rows of an expert are gathered, so that the sums run over many; `place` (K + 1,), `order`
    (n,), `its` (BLOCK,), Z (P, BLOCK) and w (1, BLOCK) are room to work in.
    """
    K, p = len(out), min(X.shape[1], P - 1)
    place[:] = 0
    for t in range(n):
        place[expert[t] + 1] += 1
    for c in range(K):
        place[c + 1] += place[c]
    for t in range(n):
        c = expert[t]
        order[place[c]] = t
        place[c] += 1  # in the end where the next expert begins
    begun = 0
    for c in range(K):
        for of in range(begun, place[c], BLOCK):
            m = min(BLOCK, place[c] - of)
            for t in range(m):
                w[0, t] = weight[order[of + t]]
                its[t] = row[order[of + t]]
                Z[0, t] = 1.0
            for a in range(p):
                z = Z[1 + a]
                for t in range(m):
                    z[t] = X[its[t], a]
            for a in range(P - 1 - p):
                z = Z[1 + p + a]
                for t in range(m):
                    z[t] = Y[its[t], a]
            _grams(Z, w, m, P, out[c : c + 1])
        begun = place[c]


@inner(EXACT)
def _flat_gate_slopes(weight, start, n, G, resp, which, D):
    """The weights D of the gradient of a flat gate, of which Σ resp is the weight of the row."""
    for c in range(len(D)):
        g, d = G[c], D[c]
        for i in range(n):
            d[i] = -weight[start + i] * g[i]
    for j in range(len(resp)):
        for i in range(n):
            D[which[j, i], i] += resp[j, i]


@inner(EXACT)
def _curvatures(weight, start, n, G, H):
    """The weights H of the blocks of a flat gate's Hessian, w g (1 - g), (K, n)."""
    for c in range(len(G)):
        g, h = G[c], H[c]
        for i in range(n):
            h[i] = weight[start + i] * g[i] * (1.0 - g[i])


@inner(SUM)
def _curved(weight, start, n, G, expert, row, curvature, count):
    """Put the pairs whose g (1 - g) is more than next to nothing behind `count` others.

    Returns how many there are then; -1 where they are so many that sums over all pairs are quicker.
    """
    most = count + int(len(G) * n * FEW_CURVED)
    for c in range(len(G)):
        g = G[c]
        for of in range(0, n, 16):  # of sixteen rows there is mostly none
            end, large = min(of + 16, n), 0.0
            for i in range(of, end):
                large = max(large, g[i] * (1.0 - g[i]))
            if large <= FLAT:
                continue
            if count + 16 > most:
                return -1
            for i in range(of, end):
                h = g[i] * (1.0 - g[i])
                if h > FLAT:
                    expert[count], row[count] = c, start + i
                    curvature[count] = weight[start + i] * h
                    count += 1
    return count


@jit(EXACT)
def _truncated_chunk(
    X,
    units,
    Y,
    weight,
    gate_coef,
    first,
    child,
    pairs,
    pairs_are_blocks,
    whitening,
    log_norm,
    k,
    gradient,
    hessian,
    grams,
):
    """`_softmax_gaussian_chunk` of the k experts with the largest g p of a row alone.

    The gate's sums are those of all experts; the others' responsibilities are 0.
    """
    (M, P_gate), m = gate_coef.shape, len(first) - 1
    P, K = whitening.shape[1], len(log_norm)
    q = len(whitening) // K
    blocks = m == 1 and pairs_are_blocks  # a weight g (1 - g) of every expert, and no others
    gathers = blocks and P_gate >= WORTH_GATHERING
    many = min(len(X), GATHERED * BLOCK)
    room = int(K * many * FEW_CURVED) + K if gathers else 0
    Z, w, y = np.empty((P, BLOCK)), np.empty((1, BLOCK)), Y[:, :0]
    its = np.empty(BLOCK, np.int64)
    scores = np.empty((M + K * q, BLOCK))
    G, D = np.empty((M, BLOCK)), np.empty((M, BLOCK))
    joint, R = np.empty((K, BLOCK)), np.empty((K, BLOCK))
    kept, resp = np.empty((k, BLOCK)), np.empty((k, BLOCK))
    which = np.empty((k, BLOCK), np.int64)
    expert, row, own = (
        np.empty(k * many, np.int64),
        np.empty(k * many, np.int64),
        np.empty(k * many),
    )
    curved, at, curvature = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    place, order = np.empty(K + 1, np.int64), np.empty(max(k * many, room), np.int64)
    path, N, H = np.empty((m, BLOCK)), np.empty((m, BLOCK)), np.empty((len(pairs), BLOCK))
    top, total = np.empty(BLOCK), np.empty(BLOCK)
    objective = 0.0
    for begun in range(0, len(X), many):
        done, count, bent = min(many, len(X) - begun), 0, 0
        for start in range(begun, begun + done, BLOCK):
            n = min(BLOCK, begun + done - start)
            _pack_inside(X, units, Y, start, n, Z)
            _linear(Z, gate_coef, n, scores)
            _linear(Z, whitening, n, scores[M:])
            _paths(scores, n, first, child, G, joint, path, top, total)
            for c in range(K):
                _less_half_squares(scores[M + c * q : M + (c + 1) * q], log_norm[c], n, joint[c])
            _keep_best(joint, n, kept, which)
            objective += _posterior(weight, start, n, kept, resp, top, total)
            for j in range(k):
                for i in range(n):
                    expert[count], row[count], own[count] = which[j, i], start + i, resp[j, i]
                    count += 1
            further = -1
            if blocks:
                _flat_gate_slopes(weight, start, n, G, resp, which, D)
                if gathers:
                    further = _curved(weight, start, n, G, curved, at, curvature, bent)
                    bent = max(bent, further)
                if further < 0:
                    _curvatures(weight, start, n, G, H)
            else:
                R[:, :n] = 0.0
                for j in range(k):
                    for i in range(n):
                        R[which[j, i], i] = resp[j, i]
                _gate_weights(n, first, child, pairs, G, R, D, N, H)
            _moments(Z, D, n, P_gate, gradient)
            if further < 0:
                _grams(Z, H, n, P_gate, hessian)
        _grams_of_pairs(X, Y, expert, row, own, count, place, order, its, Z, w, P, grams)
        if bent:
            _grams_of_pairs(
                X, y, curved, at, curvature, bent, place, order, its, Z, w, P_gate, hessian
            )
    return objective


@inner(EXACT)
def _slopes_of_normal(kind, scale):
    """The slope of log g_k p_k in its score, mean and log σ, as a polynomial in u: 1, u/σ, u² - 1.

    Of the score the part of its own expert alone; `scale` is 1/σ.
    """
    if kind == 0:
        return 1.0, 0.0, 0.0
    return (0.0, scale, 0.0) if kind == 1 else (-1.0, 0.0, 1.0)


@inner(EXACT)
def _own_of_normal(a, b, scale):
    """The curvature of -log p_k less the product of slopes, a polynomial in u, for kinds a <= b."""
    if a == 0:  # -1, -u/σ, 1 - u²
        if b == 0:
            return -1.0, 0.0, 0.0, 0.0, 0.0
        return (0.0, -scale, 0.0, 0.0, 0.0) if b == 1 else (1.0, 0.0, -1.0, 0.0, 0.0)
    if a == 1:
        if b == 1:  # 1/σ² - u²/σ²
            return scale * scale, 0.0, -scale * scale, 0.0, 0.0
        return 0.0, 3.0 * scale, 0.0, -scale, 0.0  # 2 u/σ - (u² - 1) u/σ
    return -1.0, 0.0, 4.0, 0.0, -1.0  # 2 u² - (u² - 1)²


@jit(EXACT)
def _information_chunk(
    X,
    units,
    Y,
    weight,
    gate_coef,
    first,
    child,
    whitening,
    log_norm,
    slope,
    wide,
    resp,
    grams,
    moments,
):
    """Add Σ w A_ab z zᵀ of the predictors a <= b to grams (pairs, P, P), upper triangles.

    The predictors are the K scores, the K means and, if `slope` says so, the K logarithms of the
    standard deviations, whose design is 1: of pairs with one of these, and with scores that are
    not `wide`, Σ w A_ab z is added to moments (pairs, P) instead, and Σ w h to resp (K, 1). See
    `model.information`.
    """
    # With t = h, h u/σ and h (u² - 1), the responsibilities times the slopes of log p_k, most of
    # A_ab is t_a t_b; the rest is -g_a g_b of two scores, and of predictors of one expert a
    # polynomial in u: h (c - d_a d_b), c the curvature of -log p_k and d its slopes.
    K, P = whitening.shape
    P_gate, m = gate_coef.shape[1], (3 if slope else 2) * K
    Z, scores = np.empty((P, BLOCK)), np.empty((2 * K, BLOCK))
    G, R, joint = np.empty((K, BLOCK)), np.empty((K, BLOCK)), np.empty((K, BLOCK))
    T, W = np.empty((m, BLOCK)), np.empty((m, BLOCK))
    path, top, total = np.empty((1, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, len(X), BLOCK):
        n = min(BLOCK, len(X) - start)
        _pack_inside(X, units, Y, start, n, Z)
        _linear(Z, gate_coef, n, scores)
        _linear(Z, whitening, n, scores[K:])
        _paths(scores, n, first, child, G, joint, path, top, total)
        for k in range(K):
            r, u, c = joint[k], scores[K + k], log_norm[k]
            for i in range(n):
                r[i] += c - 0.5 * u[i] * u[i]
        _posterior(weight, start, n, joint, R, top, total)
        _moments(Z, R, n, 1, resp)
        for i in range(n):
            total[i] = 1.0 / weight[start + i] if weight[start + i] > 1e-300 else 0.0
        for a in range(m):
            t, r, u, scale = T[a], R[a % K], scores[K + a % K], whitening[a % K, P - 1]
            s0, s1, s2 = _slopes_of_normal(a // K, scale)
            for i in range(n):
                t[i] = r[i] * (s0 + u[i] * (s1 + u[i] * s2))
        done = 0
        for a in range(m):
            t, k = T[a], a % K
            r, u, g, scale = R[k], scores[K + k], G[k], whitening[k, P - 1]
            for b in range(a, m):
                v, w, h = T[b], W[b - a], G[b % K]
                of_scores = -1.0 if b < K else 0.0
                for i in range(n):
                    w[i] = t[i] * v[i] * total[i] + of_scores * weight[start + i] * g[i] * h[i]
                if b % K == k:
                    own = 1.0 if b == a and a < K else 0.0
                    c0, c1, c2, c3, c4 = _own_of_normal(a // K, b // K, scale)
                    for i in range(n):
                        rest = c0 + u[i] * (c1 + u[i] * (c2 + u[i] * (c3 + u[i] * c4)))
                        w[i] += r[i] * rest + own * weight[start + i] * g[i]
            both = max(0, 2 * K - a) if wide or a >= K else 0
            _grams(Z, W[:both], n, P_gate, grams[done : done + both])
            _moments(Z, W[both : m - a], n, P_gate, moments[done + both : done + m - a])
            done += m - a


_F1, _F2, _F3 = (types.Array(types.float64, ndim, "C") for ndim in (1, 2, 3))
_I1, _I2 = (types.Array(types.intp, ndim, "C") for ndim in (1, 2))
_OF_CHUNK = _F2, _F2, _F2, _F1, _F2, _I1, _I1, _I2, _F2, _F1, _F2, _F3, _F3, _F2, _F2
"""The arguments of `_softmax_gaussian_chunk` where all rows are of doubles in one piece."""


@functools.cache
def chunk_address():
    """Where the machine code of `_softmax_gaussian_chunk` is; it is compiled if need be."""
    if numba.config.DISABLE_JIT:
        return _softmax_gaussian_chunk
    _softmax_gaussian_chunk.compile(_OF_CHUNK)
    found = _softmax_gaussian_chunk.overloads[_OF_CHUNK]
    return found.library.get_pointer_to_function(found.fndesc.llvm_func_name)


@intrinsic
def _call_chunk(typing_context, address, arguments):
    """`_softmax_gaussian_chunk` at its address: all of it in the caller would be compiled again."""
    if tuple(each.copy(readonly=False) for each in arguments) != _OF_CHUNK:
        raise numba.TypingError("these are not the arguments of a chunk")

    def build(context, builder, signature, values):
        convention, kinds = context.call_conv, tuple(signature.args[1])
        kind = convention.get_function_type(types.float64, kinds).as_pointer()
        chunk = builder.inttoptr(values[0], kind)
        given = cgutils.unpack_tuple(builder, values[1], len(kinds))
        status, found = convention.call_function(builder, chunk, types.float64, kinds, given)
        with builder.if_then(status.is_error, likely=False):
            convention.return_status_propagate(builder, status)
        return found

    return types.float64(address, arguments), build


if numba.config.DISABLE_JIT:

    def _call_chunk(address, arguments):
        return address(*arguments)


@inner(SUM)
def _solve(A, b, scale):
    """Solve A x = b in place for a positive definite A, scaled to a unit diagonal first.

    Returns whether A is well away from singular; if not, b is of no use. A is lost either way.
    """
    n = len(b)
    for i in range(n):
        if not A[i, i] > 0.0:
            return False
        scale[i] = 1.0 / np.sqrt(A[i, i])
    for i in range(n):
        row = A[i]
        for j in range(i + 1):
            row[j] *= scale[i] * scale[j]
        b[i] *= scale[i]
    for i in range(n):  # A = L Lᵀ, row by row
        row = A[i]
        for j in range(i):
            other = A[j]
            s = 0.0
            for k in range(j):
                s += row[k] * other[k]
            row[j] = (row[j] - s) / other[j]
        s = 0.0
        for k in range(i):
            s += row[k] * row[k]
        pivot = row[i] - s
        if not pivot > 1e-8:
            return False
        row[i] = np.sqrt(pivot)
    for i in range(n):  # L u = b
        row = A[i]
        s = 0.0
        for k in range(i):
            s += row[k] * b[k]
        b[i] = (b[i] - s) / row[i]
    for i in range(n - 1, -1, -1):  # Lᵀ x = u
        row = A[i]
        b[i] /= row[i]
        for k in range(i):
            b[k] -= row[k] * b[i]
    for i in range(n):
        b[i] *= scale[i]
    return True


@jit(EXACT)
def prior_softmax_gaussian(V, B, variance, gate_alpha, alpha, pseudo_rows, scatter):
    """The log prior of the parameters: ridges of the slopes, pseudo-rows of the variances."""
    K = len(variance)
    value = 0.0
    for j in range(1, V.shape[1]):
        mean = 0.0
        for k in range(K):
            mean += V[k, j] / K
        for k in range(K):
            value -= 0.5 * gate_alpha * (V[k, j] - mean) ** 2
    for k in range(K):
        for j in range(1, B.shape[1]):
            value -= 0.5 * alpha * B[k, j] ** 2
        value -= 0.5 * (pseudo_rows * np.log(variance[k]) + scatter[k] / variance[k])
    return value


@inner(EXACT)
def _climb_coefficients(V, B, variance, gate_rows, expert_rows, gate_coef, whitening, log_norm):
    """The coefficients of a pass over all columns, 0 of those that a part does not see.

    Returns whether the parameters are a model.
    """
    K, P = whitening.shape
    for k in range(K):
        if not variance[k] > 0.0:
            return False
        scale = np.sqrt(variance[k])
        log_norm[k] = -np.log(scale) - 0.9189385332046727  # ½ log 2π
        for j in range(gate_coef.shape[1]):
            gate_coef[k, j] = 0.0
        for j in range(P):
            whitening[k, j] = 0.0
        for j in range(len(gate_rows)):
            gate_coef[k, gate_rows[j]] = V[k, j]
        for j in range(len(expert_rows)):
            whitening[k, expert_rows[j]] = -B[k, j] / scale
        whitening[k, P - 1] = 1.0 / scale
    return True


_LONGEST = 2.0  # that of `parts.softmax_regression`


@inner(EXACT)
def _gate_newton(V, gate_rows, pairs, gate_alpha, gradient, hessian, grams, out):
    """V after Newton's step on the gate's soft targets; False where its matrix is singular.

    It goes no further than that of `parts.softmax_regression`.
    """
    K, P = V.shape
    H, step, scale = np.empty((K * P, K * P)), np.empty(K * P), np.empty(K * P)
    gram = np.empty((P, P))
    H[:], gram[:] = 0.0, 0.0
    for c in range(len(pairs)):
        a, b = pairs[c, 1], pairs[c, 2]
        for i in range(P):
            for j in range(P):
                s, t = min(gate_rows[i], gate_rows[j]), max(gate_rows[i], gate_rows[j])
                v = hessian[c, s, t]
                H[b * P + i, a * P + j] = -v
                H[a * P + i, a * P + j] += v
                H[b * P + i, b * P + j] += v
    for i in range(P):
        penalty = gate_alpha if i else 0.0
        # A shift of all experts changes nothing: it is filled with a curvature no step feels.
        filling = 0.0
        for k in range(K):
            filling += grams[k, gate_rows[i], gate_rows[i]] / K**2
        for a in range(K):
            H[a * P + i, a * P + i] += penalty
            step[a * P + i] = gradient[a, gate_rows[i]] - penalty * V[a, i]
            for b in range(a + 1):
                H[a * P + i, b * P + i] += filling
    if not _solve(H, step, scale):
        return False
    for i in range(P):
        for j in range(P):
            s, t = min(gate_rows[i], gate_rows[j]), max(gate_rows[i], gate_rows[j])
            for k in range(K):
                gram[i, j] += grams[k, s, t]
    most = _LONGEST * _LONGEST * gram[0, 0]
    longest = most
    for k in range(K):
        square = 0.0
        for i in range(P):
            for j in range(P):
                square += step[k * P + i] * gram[i, j] * step[k * P + j]
        longest = max(longest, square)
    part = np.sqrt(most / longest) if longest > most else 1.0
    for i in range(P):
        mean = 0.0
        for k in range(K):
            out[k, i] = V[k, i] + part * step[k * P + i]
            mean += out[k, i] / K
        for k in range(K):
            out[k, i] -= mean
    return True


@inner(EXACT)
def _linear_experts(
    B, variance, expert_rows, alpha, pseudo_rows, pseudo_scatter, floor, grams, new_B, new
):
    """Least squares of every expert given its variance, then the variance; False if singular."""
    K, P = B.shape
    last = grams.shape[1] - 1
    A, b, scale = np.empty((P, P)), np.empty(P), np.empty(P)
    for k in range(K):
        rows = grams[k, 0, 0]
        if not rows > 0.0:  # the last values
            for i in range(P):
                new_B[k, i] = B[k, i]
            new[k] = variance[k]
            continue
        G = grams[k]
        for i in range(P):
            b[i] = G[expert_rows[i], last]
            for j in range(i + 1):
                s, t = min(expert_rows[i], expert_rows[j]), max(expert_rows[i], expert_rows[j])
                A[i, j] = G[s, t]
                A[j, i] = G[s, t]
            if i:
                A[i, i] += alpha * variance[k]
        for i in range(P):
            for j in range(P):  # the gap that the coefficients so far leave
                b[i] -= A[i, j] * B[k, j]
        if not _solve(A, b, scale):
            return False
        scatter = G[last, last]
        for i in range(P):
            new_B[k, i] = B[k, i] + b[i]
        for i in range(P):
            scatter -= 2.0 * new_B[k, i] * G[expert_rows[i], last]
            for j in range(P):
                s, t = min(expert_rows[i], expert_rows[j]), max(expert_rows[i], expert_rows[j])
                scatter += new_B[k, i] * new_B[k, j] * G[s, t]
        new[k] = max((scatter + pseudo_scatter[k]) / (rows + pseudo_rows), floor)
    return True


@inner(EXACT)
def _overwrite(source, to):
    """to = source, number by number."""
    for i in range(len(to)):
        to[i] = source[i]


@inner(EXACT)
def _parts_of_sums(sums, K, own, n_pairs, P):
    """The gate's gradient and Hessian's Grams and the experts' Grams in one row of sums."""
    d = K * own
    e = d + n_pairs * own * own
    return (
        sums[:d].reshape((K, own)),
        sums[d:e].reshape((n_pairs, own, own)),
        sums[e:].reshape((K, P, P)),
    )


@inner(EXACT)
def _squarem(path, proposal):
    """p - 2a r + a² v of three iterates, a = -|r|/|v|; False where a = -1, the last of them."""
    r2, v2 = 0.0, 0.0
    for i in range(len(proposal)):
        r = path[1, i] - path[0, i]
        v = (path[2, i] - path[1, i]) - r
        r2 += r * r
        v2 += v * v
    if not r2 > v2 or not v2 > 0.0:
        return False
    a = -np.sqrt(r2 / v2)
    for i in range(len(proposal)):
        r = path[1, i] - path[0, i]
        v = (path[2, i] - path[1, i]) - r
        proposal[i] = path[0, i] - 2.0 * a * r + a * a * v
    return True


@inner(EXACT)
def _start_of_start(target, theta, P, least):
    """Theta with the gate's intercepts alone, those of the experts' shares of the target (n, K)."""
    n, K = target.shape
    total, mean = 0.0, 0.0
    theta[:] = 0.0
    theta[-K:] = 1.0
    for i in range(n):
        for k in range(K):
            theta[k * P] += target[i, k]
    for k in range(K):
        total += theta[k * P]
    for k in range(K):
        theta[k * P] = np.log(max(theta[k * P] / total, least))
        mean += theta[k * P] / K
    if P > 1:
        for k in range(K):
            theta[k * P] -= mean


BEGIN, NEXT, JUMP, STEP = range(4)


@jit(EXACT)
def climb_softmax_gaussian(
    chunk,
    X,
    Y,
    weight,
    theta,
    gate_rows,
    expert_rows,
    first,
    child,
    pairs,
    numbers,
    scatter,
    value,
    max_iter,
    short,
    accelerated,
    own_gate,
    sums,
    path,
    gains,
    history,
    target,
    start_X,
    start_target,
):
    """Iterations of EM of a softmax gate with linear experts of one output, as many as go well.

    The steps of `solvers.em`, with nothing between them that takes longer than they do.

    Parameters
    ----------
    chunk : what `chunk_address` says
    theta : (K·P_gate + K·P_expert + K,), coefficients and variances; on return the last accepted
    gate_rows, expert_rows : positions of each part's [1, x] in [1, x, y]; a constant gate has [0]
    numbers : (10,), gate_alpha, alpha, pseudo_rows, the floor of the variances, the gain at which
        to end, the change of the objective that is nothing but rounding, and what a climb is to
        promise: it gives up where the gain of the last `short` iterations, `reach` times over, is
        too little to get there; the ridge of the gate's start and its Newton steps
    scatter : (K,), of the pseudo-rows
    value : the objective at theta, where the sums are known to be those of theta; NaN if they are
        not
    own_gate : how many columns the gate's sums have, 1 of a constant gate
    sums : gradient, hessian and grams of `_softmax_gaussian_chunk` in one row; on return of theta
    path, gains : (3, size of theta) and (3,), what the next call goes on from, 0 at first: the
        iterates since the last extrapolation; the gains of the last two steps of EM, 0 where there
        is none, the later first, and how many iterates the path has
    history : (max_iter + 1,), the objectives of the accepted iterates
    target, start_X, start_target : (n, K), responsibilities with the weights in them, from which
        theta is to be made first, as `MixtureModel.init` does, and the rows that the start of the
        gate looks at; without rows theta is the start

    Returns
    -------
    done : int, iterations made
    status : int, 0 if all were made, 1 at the end that Aitken's rule foretells, 2 where a step was
        no success and a more careful solver is to go on, 3 where the climb has been given up
    """
    gate_alpha, alpha, pseudo_rows, floor = numbers[0], numbers[1], numbers[2], numbers[3]
    threshold, blur, bar, reach = numbers[4], numbers[5], numbers[6], numbers[7]
    P_gate, P_expert, size = len(gate_rows), len(expert_rows), len(theta)
    K, P = size // (P_gate + P_expert + 1), X.shape[1] + 2
    d, e = K * P_gate, K * (P_gate + P_expert)
    now_V, now_B = theta[:d].reshape((K, P_gate)), theta[d:e].reshape((K, P_expert))
    proposal, length = np.empty(size), int(gains[2])
    V, B = proposal[:d].reshape((K, P_gate)), proposal[d:e].reshape((K, P_expert))
    trial, no_moments, no_units = np.empty(len(sums)), np.empty((0, P)), np.empty((0, 0))
    gradient, hessian, grams = _parts_of_sums(sums, K, own_gate, len(pairs), P)
    trial_gradient, trial_hessian, trial_grams = _parts_of_sums(trial, K, own_gate, len(pairs), P)
    gate_coef, whitening = np.empty((K, own_gate)), np.empty((K, P))
    log_norm, no_target, no_scatter = np.empty(K), np.empty((0, K)), np.zeros(K)
    kind, shorter = NEXT, 0
    # The start, on `start_X`: first the experts' step, then those of the gate, each by itself.
    look, rows, own, ridge = 0, X, no_target, gate_alpha
    last_look = 2 + int(numbers[9]) if P_gate > 1 else 2
    if len(target):
        look, own, ridge, value = 1, target, numbers[8], -np.inf
        _start_of_start(start_target, theta, P_gate, 1e-10 if P_gate > 1 else 1e-300)
    _overwrite(theta, proposal)
    if np.isnan(value) or look:
        kind = BEGIN
    history[0] = value
    done, may_jump = 0, True
    if length == 0:
        length = 1
        _overwrite(theta, path[0])
    while True:
        if kind == NEXT:
            if done >= max_iter and not look:
                return done, 0
            kind, shorter = STEP, 0
            if accelerated and length == 3:
                length = 1
                if may_jump and _squarem(path, proposal):
                    kind = JUMP
                _overwrite(theta, path[0])
            may_jump = True
            if kind == STEP:
                if own_gate == 1:  # a constant gate: the mean responsibilities
                    total = 0.0
                    for k in range(K):
                        total += grams[k, 0, 0]
                    for k in range(K):
                        V[k, 0] = np.log(max(grams[k, 0, 0] / total, 1e-300))
                elif not _gate_newton(now_V, gate_rows, pairs, ridge, gradient, hessian, grams, V):
                    return done, 2
                if not _linear_experts(
                    now_B,
                    theta[e:],
                    expert_rows,
                    alpha,
                    pseudo_rows,
                    scatter,
                    floor,
                    grams,
                    B,
                    proposal[e:],
                ):
                    return done, 2
                if look:
                    for i in range(0 if look == 1 else d, d if look == 1 else size):
                        proposal[i] = theta[i]
                    look += 1
                    if look == 2:
                        rows, own, value = start_X, start_target, -np.inf
        found = np.nan
        if _climb_coefficients(
            V, B, proposal[e:], gate_rows, expert_rows, gate_coef, whitening, log_norm
        ):
            trial[:] = 0.0
            found = _call_chunk(  # at a start it makes sums of y that nobody looks at
                chunk,
                (
                    rows,
                    no_units,
                    Y,
                    weight,
                    gate_coef,
                    first,
                    child,
                    pairs,
                    whitening,
                    log_norm,
                    trial_gradient,
                    trial_hessian,
                    trial_grams,
                    no_moments,
                    own,
                ),
            )
            found += prior_softmax_gaussian(
                V,
                B,
                proposal[e:],
                ridge,
                0.0 if look else alpha,
                0.0 if look else pseudo_rows,
                no_scatter if look else scatter,
            )
        if kind == JUMP and not found >= value + blur:
            kind, may_jump = NEXT, False
            continue
        if look:
            if not found >= value:
                return 0, 2
            value, kind = found, NEXT
            _overwrite(trial, sums)
            _overwrite(proposal, theta)
            if look == last_look:
                return 0, 0
            continue
        if kind == STEP and not found >= value and shorter < 2:  # half the step, then a tenth
            for i in range(size):
                t = 0.5 if shorter == 0 else 0.2
                proposal[i] = theta[i] + t * (proposal[i] - theta[i])
            shorter += 1
            continue
        if kind == BEGIN:
            if not np.isfinite(found):
                return done, 2
        elif not found >= value + blur:  # nothing gained, or too little to be told
            return done, 2
        else:
            done += 1
        _overwrite(trial, sums)
        gains[1], gains[0] = gains[0], found - value
        value = found
        history[done] = value
        _overwrite(proposal, theta)
        if kind == STEP and accelerated:
            _overwrite(theta, path[length])
            length += 1
        elif kind != STEP:
            _overwrite(theta, path[0])
        is_step = kind == STEP
        kind = NEXT
        gains[2] = length
        if not is_step:
            gains[0], gains[1] = 0.0, 0.0
        if done % short == 0 and done >= 2 * short:
            if value + reach * (value - history[done - short]) < bar:
                return done, 3
        if is_step:
            gain = gains[0]
            left = 100.0 * gain
            if gains[1] > 0.0:
                ratio = gain / gains[1]
                left = gain * ratio / (1.0 - ratio) if ratio < 0.999 else 1000.0 * gain
            if max(gain, left) <= threshold:
                return done, 1


@jit(EXACT)
def _softmax_softmax_chunk(
    X,
    units,
    codes,
    weight,
    gate_coef,
    first,
    child,
    pairs,
    coef,
    gradient,
    hessian,
    slopes,
    curvatures,
    class_pairs,
    grams,
    moments,
):
    """All rows of a chunk for classifiers; coef (K·C, P) row by row.

    Adds to the gate's gradient and hessian as above, to the experts' slopes (K·C, P), to
    curvatures, a Gram for each of the `class_pairs` (., 2) of every expert, and to grams (K, P, P)
    or, where there are no rows of those, to moments (K, P).
    """
    (M, P), m, K = gate_coef.shape, len(first) - 1, len(grams) + len(moments)
    C = len(coef) // K
    of_classes = len(class_pairs)
    Z = np.empty((P, BLOCK))
    no_target = np.empty((len(X), 0))
    scores = np.empty((M + K * C, BLOCK))
    G, D = np.empty((M, BLOCK)), np.empty((M, BLOCK))
    joint, R = np.empty((K, BLOCK)), np.empty((K, BLOCK))
    path, N, H = np.empty((m, BLOCK)), np.empty((m, BLOCK)), np.empty((len(pairs), BLOCK))
    prob = np.empty((K * C, BLOCK))
    T = np.empty((curvatures.shape[0], BLOCK))
    top, total = np.empty(BLOCK), np.empty(BLOCK)
    objective = 0.0
    for start in range(0, len(X), BLOCK):
        n = min(BLOCK, len(X) - start)
        _pack_inside(X, units, no_target, start, n, Z)
        _linear(Z, gate_coef, n, scores)
        _linear(Z, coef, n, scores[M:])
        _paths(scores, n, first, child, G, joint, path, top, total)
        # `joint` holds log g_k, and gets log p_k(y) = s_y - top - log Σ_c exp(s_c - top) added.
        for k in range(K):
            f = M + k * C
            own = prob[k * C : (k + 1) * C]
            _softmax(scores[f : f + C], n, own, top, total)
            r = joint[k]
            for i in range(n):
                given = scores[f + codes[start + i], i] - top[i]
                r[i] += given - _log(total[i])
                total[i] = 1.0 / total[i]
            for c in range(C):
                e = own[c]
                for i in range(n):
                    e[i] *= total[i]
        objective += _posterior(weight, start, n, joint, R, top, total)
        _gate_weights(n, first, child, pairs, G, R, D, N, H)
        _moments(Z, D, n, P, gradient)
        _grams(Z, H, n, P, hessian)
        if grams.shape[0]:
            _grams(Z, R, n, P, grams)
        else:
            _moments(Z, R, n, P, moments)
        for k in range(K):
            own = prob[k * C : (k + 1) * C]
            for t in range(of_classes):
                a, b = class_pairs[t]
                _pair_weight(R[k], own, a, b, n, T[k * of_classes + t])
        _grams(Z, T, n, P, curvatures)
        # The probabilities turn into slopes, resp (one-hot - p), in place: they are needed no more.
        for k in range(K):
            r = R[k]
            for c in range(C):
                e = prob[k * C + c]
                for i in range(n):
                    e[i] *= -r[i]
            for i in range(n):
                prob[k * C + codes[start + i], i] += r[i]
        _moments(Z, prob, n, P, slopes)
    return objective


@jit(EXACT)
def _copy(A, start, n, out, first):
    """out[:, first : first + n] = A[:, start : start + n]."""
    for c in range(len(A)):
        a, o = A[c], out[c]
        for i in range(n):
            o[first + i] = a[start + i]


@jit(EXACT)
def _stage_scores(X, units, Y, start, n, gate_coef, coef, maps, shift, first, child, scores, G, R):
    """Scores of the experts, and the gate's G and R, of n rows from `start` on.

    With maps (K·d, P) and shift (K,) expert k gets shift - ½ Σ u² added to its R, of d more scores.
    """
    M, m, K, d = len(gate_coef), len(first) - 1, len(R), len(maps) // len(R)
    Z, path = np.empty((coef.shape[1], BLOCK)), np.empty((m, BLOCK))
    gate_scores, own, U = (
        np.empty((M, BLOCK)),
        np.empty((len(coef), BLOCK)),
        np.empty((K * d, BLOCK)),
    )
    g, r, top, total = np.empty((M, BLOCK)), np.empty((K, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    for s in range(0, n, BLOCK):
        b = min(BLOCK, n - s)
        _pack_inside(X, units, Y, start + s, b, Z)
        _linear(Z, gate_coef, b, gate_scores)
        _linear(Z, coef, b, own)
        _paths(gate_scores, b, first, child, g, r, path, top, total)
        if d:
            _linear(Z, maps, b, U)
            for k in range(K):
                _less_half_squares(U[k * d : (k + 1) * d], shift[k], b, r[k])
        _copy(own, 0, b, scores, s)
        _copy(g, 0, b, G, s)
        _copy(r, 0, b, R, s)


@inner(SUM)
def _less_half_squares(U, shift, n, out):
    """out += shift - ½ Σ u² over the rows of U."""
    for i in range(n):
        out[i] += shift
    for j in range(len(U)):
        u = U[j]
        for i in range(n):
            out[i] -= 0.5 * u[i] * u[i]


@jit(EXACT)
def _stage_sums(
    X,
    units,
    Y,
    start,
    n,
    first,
    child,
    pairs,
    G,
    R,
    values,
    slopes,
    plain,
    doublings,
    gradient,
    hessian,
    grams,
    moments,
    powers,
):
    """Add up what n rows from `start` on bring, a block at a time.

    Adds to the gate's gradient and hessian as the chunks above; to grams (m + t, P, P), upper
    triangles, those of the m nodes and then of weights resp·values (t, n); to moments (v + u, P)
    those of resp·slopes (v, n) and of plain (u, n); and to powers (K, P), if it has rows,
    Σ resp z^(2^doublings).
    """
    (M, P_gate), m, K, P = gradient.shape, len(first) - 1, len(R), grams.shape[1]
    Z = np.empty((P, BLOCK))
    g, D, r = np.empty((M, BLOCK)), np.empty((M, BLOCK)), np.empty((K, BLOCK))
    H, W = np.empty((len(pairs), BLOCK)), np.empty((m + len(values), BLOCK))
    V, power, N = np.empty((len(moments), BLOCK)), np.empty(BLOCK), W[:m]
    skipped = m if P_gate == 1 else 0  # their Grams are sums, the first moments below
    for s in range(0, n, BLOCK):
        b = min(BLOCK, n - s)
        _pack_inside(X, units, Y, start + s, b, Z)
        _copy(G, s, b, g, 0)
        _copy(R, s, b, r, 0)
        _gate_weights(b, first, child, pairs, g, r, D, N, H)
        _moments(Z, D, b, P_gate, gradient)
        _grams(Z, H, b, P_gate, hessian)
        for t in range(len(values)):
            value, h, w = values[t], r[t % K], W[m + t]
            for i in range(b):
                w[i] = value[s + i] * h[i]
        _grams(Z, W[skipped:], b, P, grams[skipped:])
        if skipped:
            _moments(Z, N, b, 1, grams[:m, 0])
        for t in range(len(slopes)):
            slope, h, w = slopes[t], r[t % K], V[t]
            for i in range(b):
                w[i] = slope[s + i] * h[i]
        _copy(plain, s, b, V[len(slopes) :], 0)
        _moments(Z, V, b, P, moments)
        if len(powers):
            _powers(Z, r, b, P, doublings, power, powers)


@jit(EXACT)
def _stage_posterior(weight, start, n, log_prob, R, best, mass):
    """`_posterior` of log-densities log_prob (K, n), with what the chunks above need not heed.

    Where every density underflows to zero the objective is -inf and the gate alone decides; a
    responsibility below 1e-300 is 0, which `_exp` does not know.
    """
    K = len(R)
    objective, lost = 0.0, 0
    for i in range(n):
        best[i] = log_prob[0, i]
    for k in range(1, K):
        given = log_prob[k]
        for i in range(n):
            best[i] = max(best[i], given[i])
    for i in range(n):
        lost += 1 if best[i] == -np.inf else 0
    # A row that no expert can have made: -inf for the objective, 0 for the sums that follow.
    if lost:
        for i in range(n):
            if best[i] == -np.inf:
                objective += weight[start + i] * best[i]
                for k in range(K):
                    log_prob[k, i] = 0.0
    joint, resp = np.empty((K, BLOCK)), np.empty((K, BLOCK))
    for s in range(0, n, BLOCK):
        b = min(BLOCK, n - s)
        for k in range(K):
            r, given, both = R[k], log_prob[k], joint[k]
            for i in range(b):
                both[i] = r[s + i] + given[s + i]
        objective += _posterior(weight, start + s, b, joint, resp, best, mass)
        for k in range(K):
            r, own = R[k], resp[k]
            for i in range(b):
                r[s + i] = 0.0 if own[i] < 1e-300 * weight[start + s + i] else own[i]
    return objective


@jit(SUM)
def _powers(Z, W, n, P, doublings, power, out):
    """out[c, a] += Σ_i W[c, i] Z[a, i]^(2^doublings) for the first P features."""
    for a in range(P):
        z = Z[a]
        for i in range(n):
            power[i] = z[i]
        for _ in range(doublings):
            for i in range(n):
                power[i] *= power[i]
        for c in range(W.shape[0]):
            w = W[c]
            s = 0.0
            for i in range(n):
                s += w[i] * power[i]
            out[c, a] += s


# -- networks: layers (blocks, rows, BLOCK), of every layer a row of ones and then its units ------

TANH, RELU, LOGISTIC, IDENTITY = range(4)


@jit(EXACT)
def _activate(A, n, kind):
    """Turn scores into what the units make of them, in place."""
    for c in range(len(A)):
        a = A[c]
        if kind == TANH:  # ±tanh|z| = (1 - e)/(1 + e) with e = exp(-2|z|)
            for i in range(n):
                e = _exp(-2.0 * abs(a[i]))
                t = (1.0 - e) / (1.0 + e)
                a[i] = t if a[i] >= 0.0 else -t
        elif kind == RELU:
            for i in range(n):
                a[i] = max(a[i], 0.0)
        elif kind == LOGISTIC:
            for i in range(n):
                e = _exp(-abs(a[i]))
                a[i] = (1.0 if a[i] >= 0.0 else e) / (1.0 + e)


@jit(EXACT)
def _times_slope(A, F, n, kind):
    """Multiply F by the derivative of the activation, in terms of its values in A."""
    for c in range(len(A)):
        a, f = A[c], F[c]
        if kind == TANH:
            for i in range(n):
                f[i] *= 1.0 - a[i] * a[i]
        elif kind == RELU:
            for i in range(n):
                f[i] *= 1.0 if a[i] > 0.0 else 0.0
        elif kind == LOGISTIC:
            for i in range(n):
                f[i] *= a[i] * (1.0 - a[i])


@jit(EXACT)
def network_input(X, layers):
    """Fill in the first layer from the rows of X."""
    nothing = np.empty((len(X), 0))
    for b in range(len(layers)):
        start = b * BLOCK
        _pack(X, nothing, start, min(BLOCK, len(X) - start), layers[b])


@jit(EXACT)
def network_forward(weights, widths, kind, layers, n):
    """Fill in the other layers; weights flat, each (out, 1 + in), biases first."""
    for b in range(len(layers)):
        L, size = layers[b], min(BLOCK, n - b * BLOCK)
        own, at = 0, 0
        for i in range(len(widths) - 1):
            P, C = 1 + widths[i], widths[i + 1]
            end = own + P
            L[end] = 1.0
            _linear(L[own:end], weights[at : at + C * P].reshape(C, P), size, L[end + 1 :])
            if i < len(widths) - 2:
                _activate(L[end + 1 : end + 1 + C], size, kind)
            own, at = end, at + C * P


@jit(EXACT)
def _error_before(W, E, A, n, kind, F):
    """F = Wᵀ E times the slope of the units A: the error of the layer before."""
    for c in range(len(A)):
        f = F[c]
        for i in range(n):
            f[i] = 0.0
        for r in range(len(W)):
            w, e = W[r, 1 + c], E[r]
            for i in range(n):
                f[i] += w * e[i]
    _times_slope(A, F, n, kind)


@jit(EXACT)
def network_backward(weights, widths, kind, layers, n, error, gradient):
    """Add to gradient, flat as weights, that of a function of slopes error (C, n) in the output."""
    widest = max(widths)
    E, F = np.empty((widest, BLOCK)), np.empty((widest, BLOCK))
    for b in range(len(layers)):
        L, start = layers[b], b * BLOCK
        size = min(BLOCK, n - start)
        for r in range(len(error)):
            for i in range(size):
                E[r, i] = error[r, start + i]
        own, at = L.shape[0] - 1 - widths[-1], len(weights)
        for i in range(len(widths) - 2, -1, -1):
            P, C = 1 + widths[i], widths[i + 1]
            own, at = own - P, at - C * P
            A = L[own : own + P]
            _moments(A, E[:C], size, P, gradient[at : at + C * P].reshape(C, P))
            if i:
                _error_before(weights[at : at + C * P].reshape(C, P), E, A[1:], size, kind, F)
                E, F = F, E


@jit(EXACT)
def _unit_errors(weights, widths, kind, layers, n, error, units):
    """Fill units (blocks, units, BLOCK), layer after layer, with slopes in the units' scores."""
    for b in range(len(layers)):
        L, U, start = layers[b], units[b], b * BLOCK
        size = min(BLOCK, n - start)
        own, at, u = L.shape[0] - 1 - widths[-1], len(weights), len(U) - widths[-1]
        for r in range(len(error)):
            for i in range(size):
                U[u + r, i] = error[r, start + i]
        for i in range(len(widths) - 2, 0, -1):
            P, C = 1 + widths[i], widths[i + 1]
            own, at, before = own - P, at - C * P, u - widths[i]
            W, A = weights[at : at + C * P].reshape(C, P), L[own : own + P]
            _error_before(W, U[u : u + C], A[1:], size, kind, U[before:u])
            u = before


@jit(EXACT)
def network_gram(weights, widths, kind, layers, n, errors, gram):
    """Add to gram, (m, m), Σ over errors (C, n) and rows of d dᵀ, d a row's slopes in the weights.

    A slope is d = u_r a_c, the unit's times its input's. So weights of the units r and s add
    (Σ_errors u_r u_s) a_c a_d: Grams of the inputs, of weights that are shared by all c and d.
    """
    units = np.empty((len(errors), len(layers), widths[1:].sum(), BLOCK))
    for c in range(len(errors)):
        _unit_errors(weights, widths, kind, layers, n, errors[c], units[c])
    at_i, u_i, o_i = 0, 0, 0
    for i in range(len(widths) - 1):
        P_i, C_i = 1 + widths[i], widths[i + 1]
        at_j, u_j, o_j = at_i, u_i, o_i
        for j in range(i, len(widths) - 1):
            P_j, C_j = 1 + widths[j], widths[j + 1]
            same = i == j
            W = np.zeros((C_i * (C_i + 1) // 2 if same else C_i * C_j, BLOCK))
            Q = np.zeros((P_i * (P_i + 1) // 2 if same else P_i * P_j, BLOCK))
            found = np.zeros((len(W), len(Q)))
            for b in range(len(layers)):
                size = min(BLOCK, n - b * BLOCK)
                W[:, size:] = 0.0
                A, B = layers[b, o_i : o_i + P_i], layers[b, o_j : o_j + P_j]
                _products(A, B, same, size, Q)
                for c in range(len(errors)):
                    U = units[c, b]
                    _add_products(U[u_i : u_i + C_i], U[u_j : u_j + C_j], same, c == 0, size, W)
                found += np.dot(W, Q.T)
            _spread_gram(found, C_i, P_i, C_j, P_j, same, at_i, at_j, gram)
            at_j, u_j, o_j = at_j + C_j * P_j, u_j + C_j, o_j + P_j
        at_i, u_i, o_i = at_i + C_i * P_i, u_i + C_i, o_i + P_i


@jit(EXACT)
def _products(A, B, same, n, out):
    """out[t] = A[r] B[s], for all r and s, or for s >= r."""
    t = 0
    for r in range(len(A)):
        for s in range(r if same else 0, len(B)):
            a, b, o = A[r], B[s], out[t]
            for i in range(n):
                o[i] = a[i] * b[i]
            t += 1


@jit(EXACT)
def _add_products(A, B, same, first, n, out):
    """The same, added to out but for the first."""
    if first:
        return _products(A, B, same, n, out)
    t = 0
    for r in range(len(A)):
        for s in range(r if same else 0, len(B)):
            a, b, o = A[r], B[s], out[t]
            for i in range(n):
                o[i] += a[i] * b[i]
            t += 1


@jit(EXACT)
def _spread_gram(found, C_i, P_i, C_j, P_j, same, at_i, at_j, gram):
    """Add what the units of two layers have found, by pairs of units and of inputs, to gram."""
    t = 0
    for r in range(C_i):
        for s in range(r if same else 0, C_j):
            q = 0
            for a in range(P_i):
                for d in range(a if same else 0, P_j):
                    value = found[t, q]
                    x, y = at_i + r * P_i, at_j + s * P_j
                    gram[x + a, y + d] += value
                    if same and a != d:
                        gram[x + d, y + a] += value
                    if not same or r != s:
                        gram[y + d, x + a] += value
                        if same and a != d:
                            gram[y + a, x + d] += value
                    q += 1
            t += 1


@jit(EXACT)
def network_classes(output, y, density, slope):
    """log p(y|x), (n,), and its slope in the output (C, n) of a network for classes."""
    C, n = output.shape
    top, total = np.empty(n), np.empty(n)
    _softmax(output, n, slope, top, total)
    for i in range(n):
        density[i] = output[y[i], i] - top[i] - _log(total[i])
        total[i] = -1.0 / total[i]
    for c in range(C):
        e = slope[c]
        for i in range(n):
            e[i] *= total[i]
    for i in range(n):
        slope[y[i], i] += 1.0


@jit(EXACT)
def network_epoch(
    X,
    y,
    codes,
    weight,
    order,
    batch_size,
    widths,
    kind,
    precision,
    ridge,
    total,
    learning_rate,
    t,
    weights,
    first,
    second,
):
    """The compiled twin of `experts._network.epoch`: changes weights, first and second in place.

    X (n, p), y (n, C) of numbers or, of classes, of no row with codes (n,); weight, order (n,);
    precision (C,), 1/variance; t, the steps made before.
    """
    (n, p), C, height = X.shape, widths[-1], widths.sum() + len(widths)
    layers = np.empty((-(-min(batch_size, n) // BLOCK), height, BLOCK))
    gradient = np.empty(len(weights))
    for begin in range(0, n, batch_size):
        size = min(batch_size, n - begin)
        own, rows = layers[: -(-size // BLOCK)], order[begin : begin + size]
        inputs, output, error = np.empty((size, p)), np.empty((C, size)), np.empty((C, size))
        for i in range(size):
            for j in range(p):
                inputs[i, j] = X[rows[i], j]
        network_input(inputs, own)
        network_forward(weights, widths, kind, own, size)
        for b in range(len(own)):
            start = b * BLOCK
            for c in range(C):
                for i in range(min(BLOCK, size - start)):
                    output[c, start + i] = own[b, height - C + c, i]
        if len(codes):
            network_classes(output, codes[rows], np.empty(size), error)
        else:
            for c in range(C):
                for i in range(size):
                    error[c, i] = (y[rows[i], c] - output[c, i]) * precision[c]
        for c in range(C):
            for i in range(size):
                error[c, i] *= weight[rows[i]] * n / size
        gradient[:] = 0.0
        network_backward(weights, widths, kind, own, size, error, gradient)
        t += 1
        rate = learning_rate * math.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
        for j in range(len(weights)):
            slope = (ridge[j] * weights[j] - gradient[j]) / total
            first[j] = 0.9 * first[j] + 0.1 * slope
            second[j] = 0.999 * second[j] + 0.001 * slope * slope
            weights[j] -= rate * first[j] / (math.sqrt(second[j]) + 1e-8)


_NO_UNITS = np.empty((0, 0))


def _with_units(X):
    """Rows as the chunks above take them: an array as it is to be, or rows `Scaled` on the way."""
    return (X, _NO_UNITS) if isinstance(X, np.ndarray) else (X.X, X.units)


def softmax_gaussian(
    X, Y, weight, gate_coef, branches, whitening, log_norm, hessian=True, grams=True
):
    """The compiled twin of `array.softmax_gaussian`; X may be `Scaled`."""
    K, q, P = whitening.shape
    gate, gradient, blocks = _gate_arguments(gate_coef, branches, hessian)
    of_grams, moments = _sums_of_experts(K, 1 + q, P, grams)
    objective = _softmax_gaussian_chunk(
        *_with_units(X),
        Y,
        weight,
        gate_coef,
        *gate,
        np.ascontiguousarray(whitening.reshape(K * q, P)),
        log_norm,
        gradient,
        blocks,
        of_grams,
        moments,
        np.empty((0, K)),
    )
    sums = _mirror(of_grams) if grams else moments.reshape(K, 1 + q, P)
    return objective, gradient, _of_nodes(blocks, branches, hessian), sums


def truncated_gaussian(X, Y, weight, gate_coef, branches, whitening, log_norm, k, hessian=True):
    """`softmax_gaussian` with the k experts of the largest g p of every row alone."""
    K, q, P = whitening.shape
    gate, gradient, blocks = _gate_arguments(gate_coef, branches, hessian)
    grams = np.zeros((K, P, P))
    pairs = gate[-1]
    objective = _truncated_chunk(
        *_with_units(X),
        Y,
        weight,
        gate_coef,
        *gate,
        len(pairs) > 0 and bool((pairs[:, 1] == pairs[:, 2]).all()),
        np.ascontiguousarray(whitening.reshape(K * q, P)),
        log_norm,
        k,
        gradient,
        blocks,
        grams,
    )
    return objective, gradient, _of_nodes(blocks, branches, hessian), _mirror(grams)


def information(X, Y, weight, gate_coef, branches, whitening, log_norm, slope, wide):
    """Return Σ w A_ab z zᵀ of all pairs a <= b of predictors, z = [1, x], and Σ resp, (K,).

    Of a flat gate with linear Gaussian experts of one output; see `_information_chunk`. The former
    is (pairs, 1 + p, 1 + p); of pairs with a predictor of design 1 the first row and column count.
    """
    P, m = whitening.shape[1], (3 if slope else 2) * len(log_norm)
    grams = np.zeros((m * (m + 1) // 2, P - 1, P - 1))
    moments = np.zeros(grams.shape[:2])
    first, child, _ = _tree(branches, (False,))
    resp = np.zeros((len(log_norm), 1))
    _information_chunk(
        *_with_units(X),
        Y,
        weight,
        gate_coef,
        first,
        child,
        whitening,
        log_norm,
        slope,
        wide,
        resp,
        grams,
        moments,
    )
    grams = _mirror(grams)
    grams[:, 0] += moments
    grams[:, 1:, 0] += moments[:, 1:]
    return grams, resp[:, 0]


def softmax_softmax(
    X, codes, weight, gate_coef, branches, coef, hessian=True, curvature=True, grams=True
):
    """The compiled twin of `array.softmax_softmax`."""
    K, C, P = coef.shape
    gate, gradient, blocks = _gate_arguments(gate_coef, branches, hessian)
    slopes = np.zeros((K * C, P))
    of_grams, moments = _sums_of_experts(K, 1, P, grams)
    class_pairs = np.array(_pairs(slice(0, C), curvature), int).reshape(-1, 2)
    curvatures = np.zeros((K * len(class_pairs), P, P))
    objective = _softmax_softmax_chunk(
        *_with_units(X),
        codes,
        weight,
        gate_coef,
        *gate,
        np.ascontiguousarray(coef.reshape(K * C, P)),
        gradient,
        blocks,
        slopes,
        curvatures,
        class_pairs,
        of_grams,
        moments,
    )
    curved = None
    if curvature:
        per_expert = curvatures.reshape(K, len(class_pairs), P, P)
        curved = np.stack([_curvature(own, C, curvature) for own in per_expert])
    hessians = _of_nodes(blocks, branches, hessian)
    sums = _mirror(of_grams) if grams else moments.reshape(K, 1, P)
    return objective, gradient, hessians, slopes.reshape(K, C, P), curved, sums


def _sums_of_experts(K, r, P, grams):
    """Zeros for the experts' Grams (K, P, P), or for r moments of each, (K·r, P); no rows else."""
    return np.zeros((K if grams else 0, P, P)), np.zeros((0 if grams else K * r, P))


def staged(
    X,
    Y,
    weight,
    gate_coef,
    branches,
    coef,
    log_prob,
    weights,
    hessian,
    log_gate=None,
    before=None,
):
    """One pass of softmax gates and experts whose elementwise formulas are not compiled.

    Parameters
    ----------
    X : (n, p), Y : (n, q), weight : (n,)
    gate_coef : (M, P_gate), intercepts first; branches : Branches
    coef : (K, r, P), of the experts' scores, P = 1 + p + q
    log_prob : callable of scores (., K, r) and the slice of their rows, returning log p_k(y|x)
        (., K) and something that is handed on
    weights : callable of that, the slice and the responsibilities (., K), weights multiplied in;
        it returns what is summed, as `parts.kernel.Weights`
    hessian : tuple of bool, whether the gate's Hessian is wanted, for every node
    log_gate : callable of the slice, returning log g_k(x) (., K) of a gate of another kind, of
        which nothing is summed here; None: of the softmax gates. Beside `before` what it returns
        is added
    before : maps (K, d, P) and constants (K,) of log p_k(x) = constant - ½ Σ u² with d scores u,
        which the gate models too; None: it does not

    Returns
    -------
    objective : float; resp : (K,), sums of responsibilities
    gradient : (M, P_gate); hessians : list, as in `array.softmax_gaussian`
    grams : (m, P, P), Σ total z zᵀ of every node, of the columns that the gate sees at least
    sums : dict of what `weights` asks for
    """
    M, (K, r, P), m = len(gate_coef), coef.shape, len(branches.first) - 1
    tree, gradient, blocks = _gate_arguments(gate_coef, branches, hessian)
    maps, shift = (np.empty((K, 0, P)), np.empty(K)) if before is None else before
    flat, maps = (np.ascontiguousarray(each.reshape(-1, P)) for each in (coef, maps))
    nodes, sums, objective, resp = np.zeros((m, P, P)), {}, 0.0, np.zeros(K)
    most = max(STAGE_ROWS, STAGE // K)
    size = max(1, -(-len(X) // max(1, -(-len(X) // most))))  # blocks of one size
    spare, given = np.empty((2, max(size, BLOCK))), (*_with_units(X), Y)
    for start in range(0, len(X), size):
        n = min(size, len(X) - start)
        block = slice(start, start + n)
        scores, G, R = (np.empty((rows, n)) for rows in (K * r, M, K))
        _stage_scores(*given, start, n, gate_coef, flat, maps, shift, *tree[:2], scores, G, R)
        if log_gate is not None:
            R[:] = log_gate(block).T if before is None else R + log_gate(block).T
        own = scores.reshape(K, r, n).transpose(2, 0, 1)  # rows stay innermost
        density, known = log_prob(own, block)
        objective += _stage_posterior(weight, start, n, _rows(density), R, *spare)
        resp += R.sum(axis=1)
        wanted, rows = weights(known, block, R.T), (*given, start, n, *tree, G, R)
        _add_weighted(wanted, rows, K, P, gradient, blocks, nodes, sums)
    for name in [name for name, value in sums.items() if value.ndim == 3]:
        sums[name] = _mirror(sums[name])
    return objective, resp, gradient, _of_nodes(blocks, branches, hessian), _mirror(nodes), sums


def _rows(value):
    """The transpose of (n, K) with rows innermost, (K, n), as a plain array."""
    return np.ascontiguousarray(np.asarray(value).T)


def _add_weighted(wanted, rows, K, P, gradient, blocks, nodes, sums):
    """Add the sums of a block to those so far: of the gate, and what `wanted` asks for.

    `wanted` is `parts.kernel.Weights`, and `nodes` (m, P, P) are the Grams of the gate's nodes.
    """
    m, R, adds = len(nodes), rows[-1], []
    values, slopes, plain = (
        _stacked(each, R) for each in (wanted.grams, wanted.moments, wanted.plain)
    )
    doublings = max((power.bit_length() - 1 for power in wanted.powers.values()), default=0)
    grams, powers = np.zeros((m + len(values), P, P)), np.zeros((K * len(wanted.powers), P))
    moments = np.zeros((len(slopes) + len(plain), P))
    _stage_sums(*rows, values, slopes, plain, doublings, gradient, blocks, grams, moments, powers)
    nodes += grams[:m]
    for names, found in ((wanted.grams, grams[m:]), (wanted.powers, powers)):
        adds += [(name, found[i * K : (i + 1) * K]) for i, name in enumerate(names)]
    start = 0
    for named in (wanted.moments, wanted.plain):
        for name, value in named.items():
            adds.append((name, moments[start : start + value.shape[1]]))
            start += value.shape[1]
    for name, value in (*adds, *wanted.totals.items()):
        sums[name] = sums.get(name, 0.0) + np.asarray(value)


def _stacked(named, like):
    """The values (n, K) of a dict below each other, (t, n)."""
    each = [_rows(value) for value in named.values()]
    return each[0] if len(each) == 1 else np.concatenate([like[:0], *each])


def _gate_arguments(gate_coef, branches, hessian):
    """The tree as the kernels want it; zeros for the gate's gradient and its Hessian's Grams."""
    tree = _tree(branches, branches.each(hessian))
    M, P = gate_coef.shape
    return tree, np.zeros((M, P)), np.zeros((len(tree[-1]), P, P))


@functools.cache
def _tree(branches, wanted):
    """`first`, `child` and the pairs (node, branch, branch) of nodes whose Hessian is wanted."""
    pairs = [
        (node, *pair)
        for node, own in enumerate(branches.slices())
        for pair in _pairs(own, wanted[node])
    ]
    shape = (len(pairs), 3)
    return np.array(branches.first), np.array(branches.child), np.array(pairs, int).reshape(shape)


def _pairs(own, wanted):
    """The pairs in a slice of branches or classes whose Grams make the Hessian that is wanted."""
    each = range(own.start, own.stop)
    if wanted == "blocks":
        return [(a, a) for a in each]
    return list(itertools.combinations(each, 2)) if wanted else []


def _of_nodes(grams, branches, hessian):
    """The negative Hessian of every node, as it is wanted, from the Grams of all."""
    done, found = 0, []
    for own, wanted in zip(branches.slices(), branches.each(hessian), strict=True):
        due = done + len(_pairs(own, wanted))
        found.append(_curvature(grams[done:due], own.stop - own.start, wanted))
        done = due
    return found


def _curvature(grams, C, wanted):
    """`array.softmax_curvature` from the Grams of its pairs."""
    grams = _mirror(grams)
    return grams if wanted == "blocks" else _assemble(grams, C) if wanted else None


def _mirror(upper):
    """Make symmetric matrices of a stack of upper triangles; what stands below does not count."""
    return np.where(_below(upper.shape[-1]), upper.swapaxes(1, 2), upper)


@functools.cache
def _below(P):
    """Where a matrix of P rows is below its diagonal."""
    return np.tri(P, k=-1, dtype=bool)


def _assemble(blocks, K):
    """The negative Hessian (K, P, K, P) from its off-diagonal Grams, in the order of pairs."""
    P = blocks.shape[1]
    if K == 1:
        return np.zeros((1, P, 1, P))
    place, among = _places(K)
    diagonal = np.add.reduce(blocks[among], axis=1)  # rows of blocks sum to zero
    hessian = np.empty((K, P, K, P))
    hessian.transpose(0, 2, 1, 3)[...] = np.concatenate([-blocks, diagonal])[place]
    return hessian


@functools.cache
def _places(K):
    """Where block (a, b) is in [pairs, diagonal], (K, K), and the pairs with a, (K, K - 1)."""
    place, (a, b) = np.empty((K, K), dtype=int), np.triu_indices(K, 1)
    place[a, b] = place[b, a] = np.arange(len(a))
    among = place[~np.eye(K, dtype=bool)].reshape(K, K - 1)
    np.fill_diagonal(place, len(a) + np.arange(K))
    return place, among


# -- what is said of rows, after a fit -------------------------------------------------------------


@jit(EXACT)
def standardise(V, origin, slope, far, out):
    """out = (V - origin)·slope, cut off at ±far: in one go, and bit by bit what numpy makes."""
    for i in range(V.shape[0]):
        for j in range(V.shape[1]):
            v = (V[i, j] - origin[j]) * slope[j]
            out[i, j] = min(max(v, -far), far)


@jit(EXACT)
def _probabilities(scores, n, first, child, G, P, path, top, total):
    """The branches' probabilities in G, given nothing, and the experts' in P."""
    m = len(path)
    for i in range(n):
        path[0, i] = 1.0
    for node in range(m):
        a, b = first[node], first[node + 1]
        _softmax(scores[a:b], n, G[a:b], top, total)
        here = path[node]
        for i in range(n):
            total[i] = here[i] / total[i]
        for c in range(a, b):
            g = G[c]
            along = P[child[c]] if child[c] >= 0 else path[~child[c]]
            for i in range(n):
                v = g[i] * total[i]
                along[i] = v if v > 1e-300 else 0.0  # `_exp` ends at 3e-308, where 0 is meant


@jit(EXACT)
def _row_posterior(n, R, best, mass):
    """Turn log g + log p in R into posterior probabilities; log p(y|x) of every row in `best`."""
    K = len(R)
    for i in range(n):
        best[i] = -1e300
        mass[i] = 0.0
    for k in range(K):
        r = R[k]
        for i in range(n):
            best[i] = max(best[i], r[i])
    for k in range(K):
        r = R[k]
        for i in range(n):
            r[i] = _exp(r[i] - best[i])
            mass[i] += r[i]
    for i in range(n):
        best[i] += _log(mass[i])
        mass[i] = 1.0 / mass[i]
    for k in range(K):
        r = R[k]
        for i in range(n):
            v = r[i] * mass[i]
            r[i] = v if v > 1e-300 else 0.0


@jit(EXACT)
def _write(values, start, n, out):
    """out[start + i, c] = values[c, i]."""
    for c in range(len(values)):
        v = values[c]
        for i in range(n):
            out[start + i, c] = v[i]


@jit(EXACT)
def _gate_rows(X, gate_coef, first, child, K, logs, out):
    """out (n, K) = g_k(x), or its logarithms."""
    (M, P), m = gate_coef.shape, len(first) - 1
    nothing = np.empty((len(X), 0))
    Z, scores, G = np.empty((P, BLOCK)), np.empty((M, BLOCK)), np.empty((M, BLOCK))
    g, path = np.empty((K, BLOCK)), np.empty((m, BLOCK))
    top, total = np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, len(X), BLOCK):
        n = min(BLOCK, len(X) - start)
        _pack(X, nothing, start, n, Z)
        _linear(Z, gate_coef, n, scores)
        if logs:
            _paths(scores, n, first, child, G, g, path, top, total)
        else:
            _probabilities(scores, n, first, child, G, g, path, top, total)
        _write(g, start, n, out)


@jit(EXACT)
def _mean_rows(X, both, first, child, K, out):
    """out (n, q) = Σ_k g_k(x) B_k [1, x]; `both` are gate_coef (M, P) and B (K·q, P) in one."""
    (rows, P), q, m = both.shape, out.shape[1], len(first) - 1
    M = rows - K * q
    nothing = np.empty((len(X), 0))
    Z, scores, G = np.empty((P, BLOCK)), np.empty((rows, BLOCK)), np.empty((M, BLOCK))
    g, path = np.empty((K, BLOCK)), np.empty((m, BLOCK))
    top, total = np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, len(X), BLOCK):
        n = min(BLOCK, len(X) - start)
        _pack(X, nothing, start, n, Z)
        _linear(Z, both, n, scores)
        _probabilities(scores, n, first, child, G, g, path, top, total)
        for j in range(q):
            for i in range(n):
                total[i] = 0.0
            for k in range(K):
                prob, mean = g[k], scores[M + k * q + j]
                for i in range(n):
                    total[i] += prob[i] * mean[i]
            for i in range(n):
                out[start + i, j] = total[i]


@jit(EXACT)
def _gaussian_posterior_rows(X, Y, gate_coef, first, child, whitening, log_norm, value, resp):
    """value (n,) = log p(y|x); resp (n, K), or of no row where it is not wanted."""
    M, m, P, K = len(gate_coef), len(first) - 1, whitening.shape[1], len(log_norm)
    q = len(whitening) // K
    Z, scores = np.empty((P, BLOCK)), np.empty((M + K * q, BLOCK))
    G, R, path = np.empty((M, BLOCK)), np.empty((K, BLOCK)), np.empty((m, BLOCK))
    top, total = np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, len(X), BLOCK):
        n = min(BLOCK, len(X) - start)
        _pack(X, Y, start, n, Z)
        _linear(Z, gate_coef, n, scores)
        _linear(Z, whitening, n, scores[M:])
        _paths(scores, n, first, child, G, R, path, top, total)
        for k in range(K):
            r, c = R[k], log_norm[k]
            for i in range(n):
                r[i] += c
            for j in range(q):
                u = scores[M + k * q + j]
                for i in range(n):
                    r[i] -= 0.5 * u[i] * u[i]
        _row_posterior(n, R, top, total)
        for i in range(n):
            value[start + i] = top[i]
        if len(resp):
            _write(R, start, n, resp)


@jit(EXACT)
def _class_rows(X, both, first, child, K, C, codes, out, value, resp):
    """Class probabilities Σ_k g_k(x) p_k(c|x), out (n, C), or the posterior of rows with codes.

    `both` are gate_coef (M, P) and the coefficients of the experts' scores (K·C, P) in one. Where
    there are codes, value (n,) = log p(y|x), resp (n, K) or of no row, and `out` is left alone.
    """
    (rows, P), m = both.shape, len(first) - 1
    M = rows - K * C
    nothing = np.empty((len(X), 0))
    Z, scores, G = np.empty((P, BLOCK)), np.empty((rows, BLOCK)), np.empty((M, BLOCK))
    g, path = np.empty((K, BLOCK)), np.empty((m, BLOCK))
    own, mixed = np.empty((C, BLOCK)), np.empty((C, BLOCK))
    top, total = np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, len(X), BLOCK):
        n = min(BLOCK, len(X) - start)
        _pack(X, nothing, start, n, Z)
        _linear(Z, both, n, scores)
        if len(codes):
            _paths(scores, n, first, child, G, g, path, top, total)
        else:
            _probabilities(scores, n, first, child, G, g, path, top, total)
            for c in range(C):
                for i in range(n):
                    mixed[c, i] = 0.0
        for k in range(K):
            f, prob = M + k * C, g[k]
            _softmax(scores[f : f + C], n, own, top, total)
            if len(codes):  # log g_k + log p_k(y) with log p_k(y) = s_y - top - log Σ exp(s - top)
                for i in range(n):
                    prob[i] += scores[f + codes[start + i], i] - top[i] - _log(total[i])
                continue
            for i in range(n):
                total[i] = prob[i] / total[i]
            for c in range(C):
                e, sums = own[c], mixed[c]
                for i in range(n):
                    sums[i] += total[i] * e[i]
        if len(codes):
            _row_posterior(n, g, top, total)
            for i in range(n):
                value[start + i] = top[i]
            if len(resp):
                _write(g, start, n, resp)
        else:
            _write(mixed, start, n, out)


# -- the k best experts of a row -------------------------------------------------------------------


@jit(EXACT)
def _best_rows(values, tops, out):
    """out (n, k): the numbers of the k largest of every row, the largest first; ties: the lower."""
    k = out.shape[1]
    for i in range(len(values)):
        row, top, own = values[i], tops[i], out[i]
        for j in range(k):
            top[j], own[j] = -np.inf, j
        seen = 0
        for e in range(len(row)):
            v = row[e]
            if seen == k and not v > top[k - 1]:
                continue
            j = min(seen, k - 1)
            seen = min(seen + 1, k)
            while j > 0 and v > top[j - 1]:
                top[j], own[j] = top[j - 1], own[j - 1]
                j -= 1
            top[j], own[j] = v, e


@inner(SUM, forceinline=True)
def _dot(a, c, X, i):
    """a[c, 0] + Σ_j a[c, 1 + j] X[i, j]; no views, which cost more than the sum."""
    total = 0.0
    for j in range(X.shape[1]):
        total += a[c, 1 + j] * X[i, j]
    return a[c, 0] + total


@inner(EXACT, forceinline=True)
def _goes_before(bound, lead, i, j):
    """Whether entry i of a heap comes before entry j: by its bound, ties by the first expert."""
    return bound[i] > bound[j] or (bound[i] == bound[j] and lead[i] < lead[j])


@inner(EXACT, forceinline=True)
def _swap(bound, lead, code, i, j):
    bound[i], bound[j] = bound[j], bound[i]
    lead[i], lead[j] = lead[j], lead[i]
    code[i], code[j] = code[j], code[i]


@inner(EXACT, forceinline=True)
def _sift_up(bound, lead, code, at):
    """Put the last entry of a heap, `at`, into its place."""
    while at > 0:
        parent = (at - 1) // 2
        if not _goes_before(bound, lead, at, parent):
            return
        _swap(bound, lead, code, at, parent)
        at = parent


@inner(EXACT, forceinline=True)
def _drop_first(bound, lead, code, size):
    """Take the first of `size` entries out of a heap."""
    last, at = size - 1, 0
    _swap(bound, lead, code, 0, last)
    while 2 * at + 1 < last:
        child = 2 * at + 1
        if child + 1 < last and _goes_before(bound, lead, child + 1, child):
            child += 1
        if not _goes_before(bound, lead, child, at):
            return
        _swap(bound, lead, code, at, child)
        at = child


@inner(EXACT, forceinline=True)
def _push(bound, lead, code, size, value, which, leads):
    """Put a child into a heap of `size` entries."""
    bound[size], code[size] = value, which
    lead[size] = which if which >= 0 else leads[~which]
    _sift_up(bound, lead, code, size)


@inner(EXACT, forceinline=True)
def _open_node(coef, X, i, a, b, path, score):
    """score[a:b] = log of the probability of the children of a node; returns the best of them.

    coef[a] of a node of two children is the difference of both, score 0 being that of the second:
    one product, one exponential.
    """
    if b - a == 2:
        gap = _dot(coef, a, X, i)
        low = -abs(gap)
        high = path - _log(1.0 + _exp(low))
        low += high
        score[a], score[a + 1] = (high, low) if gap >= 0.0 else (low, high)
        return a if gap >= 0.0 else a + 1
    top, total, best = -np.inf, 0.0, a
    for c in range(a, b):
        score[c] = _dot(coef, c, X, i)
        if score[c] > top:
            top, best = score[c], c
    for c in range(a, b):
        total += _exp(score[c] - top)
    less = path - (top + _log(total))
    for c in range(a, b):
        score[c] += less
    return best


@jit(EXACT)
def _best_leaves(X, coef, first, child, leads, experts, log_prob):
    """experts, log_prob (n, k): the k most probable leaves of a tree for every row, best first.

    What leads to a node is at least as probable as all below it: so nodes are opened in the order
    of their probability, and the first k leaves that come up are the best. Those that wait are in
    a heap; the best child of the node just opened is mostly the next and then does not go there.
    """
    M, k = len(child), experts.shape[1]
    bound, lead = np.empty(M + 1), np.empty(M + 1, dtype=np.int64)
    code, score = np.empty(M + 1, dtype=np.int64), np.empty(M)
    for i in range(len(X)):
        size, found, path, here = 0, 0, 0.0, ~0
        while True:
            if here >= 0:
                experts[i, found], log_prob[i, found] = here, path
                found += 1
                if found == k:
                    break
            else:
                a, b = first[~here], first[~here + 1]
                best = _open_node(coef, X, i, a, b, path, score)
                for c in range(a, b):
                    if c != best:
                        _push(bound, lead, code, size, score[c], child[c], leads)
                        size += 1
                path, here = score[best], child[best]
                own = here if here >= 0 else leads[~here]
                if path > bound[0] or (path == bound[0] and own < lead[0]):
                    continue
                _push(bound, lead, code, size, path, here, leads)
                size += 1
            path, here = bound[0], code[0]
            _drop_first(bound, lead, code, size)
            size -= 1


@jit(EXACT)
def _kept_means(X, experts, weight, coef, out):
    """out (n, q) = Σ_j weight_j B_j [1, x] over the kept experts of a row, B (K, q, P)."""
    for i in range(len(X)):
        for r in range(out.shape[1]):
            total = 0.0
            for j in range(experts.shape[1]):
                total += weight[i, j] * _dot(coef[:, r], experts[i, j], X, i)
            out[i, r] = total


def best_leaves(X, coef, branches, k):
    """The k most probable leaves of every row and log g of each, (n, k) both, the best first."""
    first, child, _ = _tree(branches, branches.each(False))
    experts, log_prob = np.empty((len(X), k), dtype=np.int64), np.empty((len(X), k))
    coef, two = coef.copy(), first[:-1][np.diff(first) == 2]
    coef[two] -= coef[two + 1]
    _best_leaves(X, coef, first, child, _leads(branches), experts, log_prob)
    return experts, log_prob


@functools.cache
def _leads(branches):
    """The first expert below every node, (m,)."""
    found = {}
    for node, own in reversed(list(enumerate(branches.slices()))):
        child = branches.child[own][0]
        found[node] = child if child >= 0 else found[~child]
    return np.array([found[node] for node in range(len(found))])


def kept_means(X, experts, log_weight, coef):
    """Σ_j w_j B_j [1, x] over the kept experts of every row, (n, q), with B (K, q, P)."""
    out = np.empty((len(X), coef.shape[1]))
    _kept_means(X, experts, np.exp(log_weight), coef, out)
    return out


def best(values, k):
    """The compiled twin of `array.best`."""
    out = np.empty((len(values), k), dtype=np.int64)
    _best_rows(np.ascontiguousarray(values), np.empty((len(values), k)), out)
    return out


def gate_probabilities(X, gate_coef, branches, logs=False):
    """The compiled twin of `array.gate_probabilities`."""
    first, child, _ = _tree(branches, branches.each(False))
    K = _n_leaves(branches)
    out = np.empty((len(X), K))
    _gate_rows(X, gate_coef, first, child, K, logs, out)
    return out


def mixed_mean(X, gate_coef, branches, coef):
    """The compiled twin of `array.mixed_mean`."""
    K, q, P = coef.shape
    first, child, _ = _tree(branches, branches.each(False))
    out = np.empty((len(X), q))
    both = np.concatenate([gate_coef, coef.reshape(K * q, P)])
    _mean_rows(X, both, first, child, K, out)
    return out


def gaussian_posterior(X, Y, gate_coef, branches, whitening, log_norm, wants_resp=True):
    """The compiled twin of `array.gaussian_posterior`."""
    K, q, P = whitening.shape
    first, child, _ = _tree(branches, branches.each(False))
    value, resp = np.empty(len(X)), np.empty((len(X) if wants_resp else 0, K))
    maps = np.ascontiguousarray(whitening.reshape(K * q, P))
    _gaussian_posterior_rows(X, Y, gate_coef, first, child, maps, log_norm, value, resp)
    return value, resp if wants_resp else None


def class_probabilities(X, gate_coef, branches, coef):
    """The compiled twin of `array.class_probabilities`."""
    out = np.empty((len(X), coef.shape[1]))
    nothing = np.empty(0), np.empty((0, len(coef)))
    _class_rows(X, *_class_arguments(gate_coef, branches, coef), _NO_CODES, out, *nothing)
    return out


def class_posterior(X, codes, gate_coef, branches, coef, wants_resp=True):
    """The compiled twin of `array.class_posterior`."""
    value, resp = np.empty(len(X)), np.empty((len(X) if wants_resp else 0, len(coef)))
    arguments, nothing = _class_arguments(gate_coef, branches, coef), np.empty((0, coef.shape[1]))
    _class_rows(X, *arguments, codes, nothing, value, resp)
    return value, resp if wants_resp else None


_NO_CODES = np.empty(0, dtype=np.int64)


def _class_arguments(gate_coef, branches, coef):
    """Both parts' coefficients in one, the tree, and the numbers of experts and of classes."""
    K, C, P = coef.shape
    first, child, _ = _tree(branches, branches.each(False))
    return np.concatenate([gate_coef, coef.reshape(K * C, P)]), first, child, K, C


def _n_leaves(branches):
    """The number of experts below a tree."""
    return 1 + max(branches.child)


# -- quantiles of mixtures of normals --------------------------------------------------------------


@inner(EXACT, forceinline=True)
def _near_normal_quantile(p):
    """The standard normal's quantile, right to 5e-4 (Abramowitz & Stegun 26.2.23)."""
    t = math.sqrt(-2.0 * math.log(min(p, 1.0 - p)))
    above = 2.515517 + t * (0.802853 + t * 0.010328)
    below = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    return t - above / below if p > 0.5 else above / below - t


@jit(EXACT)
def _if_apart(p, weight, loc, scale, sign, at, order):
    """The quantile at p if no two components overlapped, given those of each in `at`."""
    n = 0
    for k in range(len(at)):
        if weight[k] > 0.0:
            j = n
            while j > 0 and at[order[j - 1]] > at[k]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = k
            n += 1
    reach, k = 0.0, order[0]
    for j in range(n):
        k = order[j]
        reach += weight[k]
        if reach >= p:
            break
    within = min(max(1.0 - (reach - p) / weight[k], 1e-300), 1.0 - 1e-16)
    return sign * loc[k] + scale[k] * _near_normal_quantile(within)


@jit(EXACT)
def _tail(y, weight, loc, scale, sign):
    """F(y), its density and the slope of that; of the components reflected where `sign` is -1."""
    total = 0.0
    density = 0.0
    slope = 0.0
    for k in range(len(weight)):
        if weight[k] > 0.0:
            u = (y - sign * loc[k]) / scale[k]
            total += weight[k] * 0.5 * math.erfc(-0.7071067811865476 * u)
            if abs(u) < 37.0:
                d = 0.3989422804014327 * weight[k] / scale[k] * _exp(-0.5 * u * u)
                density += d
                slope -= d * u / scale[k]
    return total, density, slope


@jit(EXACT)
def _normal_quantile(q, z, weight, loc, scale, at, order):
    """Where the distribution function is q; z is the standard normal's quantile of min(q, 1 - q).

    Halley's method on log F, from where the quantile were if no components overlapped; bisection
    where a step leaves the bracket or does not halve the one before the last. Above one half the
    components are reflected: near 1 the upper tail keeps the digits that F loses.
    """
    sign, p = (-1.0, 1.0 - q) if q > 0.5 else (1.0, q)
    low, high, least = np.inf, -np.inf, np.inf
    for k in range(len(weight)):
        if weight[k] > 0.0:
            at[k] = sign * loc[k] + scale[k] * z
            low, high, least = min(low, at[k]), max(high, at[k]), min(least, scale[k])
    if not (p > 0.0 and low <= high):
        return -sign * np.inf if p == 0.0 else np.nan
    low, high = max(low, -1.7e308), min(high, 1.7e308)
    y = min(max(_if_apart(p, weight, loc, scale, sign, at, order), low), high)
    before = last = high - low
    for _ in range(5000):  # more halvings than there are between any two numbers
        total, density, slope = _tail(y, weight, loc, scale, sign)
        error = math.log(total / p) if total > 0.0 else -np.inf
        if error < 0.0:
            low = y
        if error > 0.0:
            high = y
        if abs(error) <= 1e-15:
            break
        # g = log F, g' = f/F, g'' = f'/F - g'²; Halley: δ/(1 + ½ δ g''/g') with Newton's δ
        rate = density / total
        newton = -error / rate
        bend = newton * (slope / density - rate)
        step = newton / (1.0 + 0.5 * bend) if abs(bend) < 1.0 else newton
        after = y + step
        if low <= after <= high and abs(step) <= 0.5 * before:
            # What is left is of the third order in these, which are below 1e-5.
            if abs(error) < 1e-5 and abs(bend) < 1e-5 and abs(step) < 1e-5 * least:
                y = after
                break
        else:
            after = 0.5 * low + 0.5 * high
        before, last = last, abs(after - y)
        if after == y:
            break
        y = after
    return sign * y


@jit(EXACT)
def _normal_quantiles(q, z, weight, loc, scale, out):
    at, order = np.empty(weight.shape[1]), np.empty(weight.shape[1], dtype=np.int64)
    for i in range(len(q)):
        out[i] = _normal_quantile(q[i], z[i], weight[i], loc[i], scale[i], at, order)


def normal_quantiles(q, z, weight, loc, scale):
    """Return the quantiles of mixtures of normals, (m,), at levels q (m,).

    Parameters
    ----------
    q, z : (m,), z the standard normal's quantiles of min(q, 1 - q)
    weight, loc, scale : (m, K)
    """
    out = np.empty(len(q))
    _normal_quantiles(q, z, *map(np.ascontiguousarray, (weight, loc, scale)), out)
    return out
