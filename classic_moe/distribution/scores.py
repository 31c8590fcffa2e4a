"""How well a mixture in each row foretold y: its ranked probability score, and F(y).

The continuous ranked probability score is

    CRPS(F, y) = ∫ (F(z) - 1{z >= y})² dz = E|Y - y| - ½ E|Y - Y'|,

with Y and Y' independent draws from F; the second form wants a mean, the first does not. Mixtures
of normal distributions have a formula (Grimit et al., 2006). All others have the integral, or over
counts the sum, taken from y outwards in pieces: of F² below y, and of (1 - F)² above. Both fall
from y on, so that with both ends of a piece among its nodes no piece hides a step. Pieces are
halved until that changes nothing.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from sklearn.utils import check_random_state

from .univariate import Normals

__all__ = ["ScoresMixin"]

MOST = np.finfo(float).max
TOLERANCE = 1e-12
"""A piece is done when halving it changes the score by no more than this share of it."""
NEGLIGIBLE = 1e-13
"""Share of the score that need not be known."""
FURTHEST = 1e306
"""Pieces end here, where twice as far is still a number."""
NO_TAIL = 1 - 1e-6
"""Pieces, each twice as wide as the one before, that fall by no more have no finite sum."""
AT_ONCE = 2**12
"""Pieces whose nodes are evaluated in one go."""


class ScoresMixin:
    """What compares the distributions with observed y."""

    def crps(self, y: ArrayLike) -> NDArray[Any]:
        """Continuous ranked probability score at y, in units of y; lower is better.

        It is ∫ (F(z) - 1{z >= y})² dz, a proper score (Gneiting & Raftery, 2007): the absolute
        error of a distribution at a single point, and of others less than that of their median.
        Of counts it is the sum over all integers.

        Parameters
        ----------
        y : array broadcasting against (n,), or (n, q) for q outputs

        Returns
        -------
        array of shape (..., n), or (..., n, q): each output by itself
            Infinite where the integral is, as of t distributions with ½ degrees of freedom or
            fewer; where there is no mean but the integral exists, as Cauchy's, it is finite.

        Notes
        -----
        Mixtures of normal distributions have a formula [1]_, right to 1e-14 or so of the score.
        For all other families the integral is worked out with a relative error below 1e-8, at
        about a thousand times the price.

        References
        ----------
        .. [1] E. P. Grimit, T. Gneiting, V. J. Berrocal, N. A. Johnson, "The continuous ranked
           probability score for circular variables and its application to mesoscale forecast
           ensemble verification", Quarterly Journal of the Royal Meteorological Society 132
           (2006), 2925-2942.

        Examples
        --------
        >>> from scipy import stats
        >>> from classic_moe.distribution import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], stats.norm([-1.0, 1.0], 0.5))
        >>> dist.crps([[-1.0], [0.0], [5.0]]).ravel().round(3)
        array([0.558, 0.367, 4.359])
        """
        return self._in_blocks("_crps", self._checked_y(y))

    def _crps(self, y):
        if isinstance(self._family, Normals):
            loc, scale = self._each("mean"), self._each("std")
            return _of_normals(y, self._weights, loc, scale)
        y, rows = self._in_batch(y)
        if not y.size:
            return np.zeros(y.shape)
        flat = y.ravel(), rows.reshape(len(rows), -1)
        score = (_of_counts if self._discrete else _of_numbers)(self, *flat)
        return score.reshape(y.shape)

    def pit(
        self, y: ArrayLike, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[Any]:
        """Probability integral transform F(y): uniform on [0, 1] where the distributions are right.

        The distribution function of counts jumps at y, and the transform is drawn from between
        F(y - 1) and F(y), which makes it uniform too (Smith, 1985).

        Parameters
        ----------
        y : array broadcasting against (n,), or (n, q) for q outputs
        random_state : None, int, RandomState or Generator
            For the draws; of no effect on continuous distributions. None draws from numpy's
            global state.

        Returns
        -------
        array of shape (..., n), or (..., n, q): each output by itself

        Examples
        --------
        >>> from scipy import stats
        >>> from classic_moe.distribution import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], stats.norm([-1.0, 1.0], 0.5))
        >>> dist.pit([[-1.0], [0.0], [5.0]]).ravel().round(3)
        array([0.25, 0.5 , 1.  ])
        """
        if not self._discrete:
            return self.cdf(y)
        rng = random_state
        rng = rng if isinstance(rng, np.random.Generator) else check_random_state(rng)
        below, at = self.pit_bounds(y)
        return below + rng.random(at.shape) * (at - below)

    def pit_bounds(self, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Limits of F at y, from below and at y itself; they differ for counts alone.

        Parameters
        ----------
        y : array broadcasting against (n,), or (n, q) for q outputs

        Returns
        -------
        below, at : arrays of shape (..., n), or (..., n, q)

        Examples
        --------
        >>> from scipy import stats
        >>> from classic_moe.distribution import MixtureDistribution
        >>> below, at = MixtureDistribution([[0.5, 0.5]], stats.binom(1, [0.2, 0.4])).pit_bounds(1)
        >>> below.round(3), at
        (array([0.7]), array([1.]))
        """
        y = self._checked_y(y)
        at = self.cdf(y)
        return self.cdf(np.nextafter(y, -np.inf)) if self._discrete else at, at


# -- mixtures of normals -------------------------------------------------------------------------


def _of_normals(y, weights, loc, scale):
    """Return Σ w_k A(y - m_k, s_k) - ½ ΣΣ w_j w_k A(m_j - m_k, √(s_j² + s_k²)), (...)."""
    # Of the size of the largest number, differences are taken in units of four.
    extent = np.where(weights > 0, np.maximum(np.abs(loc), scale), 0).max(axis=-1)
    unit = np.where(np.maximum(extent, np.abs(y)) > FURTHEST, 4.0, 1.0)
    out = _mean_distance(y / unit, weights, loc / unit[..., None], scale / unit[..., None])
    for k in range(weights.shape[-1]):
        own = loc[..., k], scale[..., k], weights[..., k]
        within = np.hypot(own[1][..., None], scale)
        pair = _mean_distance(
            own[0] / unit, weights, loc / unit[..., None], within / unit[..., None]
        )
        out = out - 0.5 * np.where(own[2] > 0, own[2] * pair, 0)
    return np.where(np.isinf(y), np.inf, np.minimum(np.maximum(out, 0) * unit, MOST))


def _mean_distance(y, weights, loc, scale):
    """Return Σ w_k A(y - m_k, s_k); A(m, s) = E|Z| of a normal Z of mean m and sd s, (...)."""
    deviation = y[..., None] - loc
    z = deviation / (np.sqrt(2) * scale)
    each = deviation * special.erf(z) + np.sqrt(2 / np.pi) * scale * np.exp(-z * z)
    return np.sum(np.where(weights > 0, weights * each, 0), axis=-1)


# -- everything else -----------------------------------------------------------------------------


def _of_numbers(mixture, y, rows):
    """Return the scores of mixtures of continuous components at y (m,), of the rows named."""
    batch = mixture._weights.shape[:-1]
    low, high = (mixture._each("ppf", np.full(batch, level)) for level in (0.1, 0.9))
    weighted = (mixture._weights > 0)[tuple(rows)]
    low, high = low[tuple(rows)], high[tuple(rows)]
    # The first piece has the width of the narrowest component at y, or a part of the distance.
    apart = np.maximum(np.maximum(low - y[:, None], y[:, None] - high), 0)
    width = np.where(weighted, np.maximum(high - low, apart / 4), np.inf).min(axis=1)
    width = np.maximum(width, 16 * np.spacing(np.abs(y)))
    score = np.zeros(len(y))
    for tail, sign, ends in (("cdf", -1, low), ("sf", 1, high)):
        reach = np.where(weighted, sign * (ends - y[:, None]), -np.inf).max(axis=1)
        pieces = _Pieces(mixture, tail, y, sign, rows, _lobatto)
        score += pieces.total(width, np.maximum(reach, 0), 0.0)
    return score


def _of_counts(mixture, y, rows):
    """Return the scores of mixtures of counts at y (m,), of the rows named.

    At a whole y: Σ F(j)² over j < y, and Σ (1 - F(j))² over j >= y. Between two whole numbers the
    term of the lower one is shared.
    """
    mean, sd = mixture._each("mean")[tuple(rows)], mixture._each("std")[tuple(rows)]
    weighted = (mixture._weights > 0)[tuple(rows)]
    sd = np.minimum(np.nan_to_num(sd, nan=MOST), FURTHEST)
    floor = np.floor(y)
    apart = np.abs(mean - floor[:, None]) - 3 * sd
    start = np.where(weighted, apart / 4, np.inf).min(axis=1)
    width = 2.0 ** np.ceil(np.log2(np.clip(start, LEAF, FURTHEST)))
    share = np.where(np.isfinite(y), y - floor, 0.0)
    score = share * mixture._mixed("cdf", floor, rows=rows) ** 2
    score += (1 - share) * mixture._mixed("sf", floor, rows=rows) ** 2
    for tail, sign in (("cdf", -1), ("sf", 1)):
        # Cantelli: nine tenths of a component lie within three standard deviations on one side.
        ends = sign * (mean - floor[:, None]) + 3 * sd
        reach = np.where(weighted, ends, -np.inf).max(axis=1)
        pieces = _Pieces(mixture, tail, floor + sign, sign, rows, _whole_numbers)
        score += pieces.total(width, np.maximum(reach, 0), float(LEAF))
    return score


class _Pieces:
    """∫ F(y - t)² dt or ∫ (1 - F(y + t))² dt over t >= 0, or the sums over whole t, of many rows.

    Parameters
    ----------
    mixture : MixtureDistribution
    tail : {"cdf", "sf"}
    y : array of shape (m,)
    sign : {-1, 1}
    rows : array of shape (1 or 2, m), the mixture of each y
    rule : callable (widths (j,)) -> nodes and weights for pieces from 0 on, (j, L) or (L,) each
    """

    def __init__(self, mixture, tail, y, sign, rows, rule):
        self._mixture, self._tail, self._y, self._sign = mixture, tail, y, sign
        self._rows, self._rule = rows, rule

    def _values(self, which, start, width):
        """Return the integrals over pieces of the rows `which`, (j,)."""
        out = np.empty(len(which))
        for first in range(0, len(which), AT_ONCE):
            own = slice(first, first + AT_ONCE)
            nodes, weights = self._rule(width[own])
            t = start[own, None] + nodes
            z = self._y[which[own], None] + self._sign * t
            at = self._rows[:, which[own], None]
            out[own] = np.sum(weights * self._mixture._mixed(self._tail, z, rows=at) ** 2, axis=1)
        return out

    def total(self, width, reach, least):
        """Return the integrals, (m,), from first pieces of these widths on.

        They go on to `reach` (m,) at least; pieces of the width `least` are exact.
        """
        *pieces, done = self._ladder(width, reach)
        m = len(done)
        while True:
            which, _, width, value = pieces
            exact = width <= least
            done = done + np.bincount(which[exact], value[exact], m)
            which, start, width, value = (a[~exact] for a in pieces)
            if not which.size:
                return done
            total = done + np.bincount(which, value, m)
            half = width / 2
            middle = start + half
            left, right = self._values(which, start, half), self._values(which, middle, half)
            wrong = np.abs(left + right - value) > TOLERANCE * total[which]
            go = wrong & (start < middle) & (middle < start + width)
            done = done + np.bincount(which[~go], (left + right)[~go], m)
            halves = np.append(start[go], middle[go]), np.append(left[go], right[go])
            pieces = np.tile(which[go], 2), halves[0], np.tile(half[go], 2), halves[1]

    def _ladder(self, width, reach):
        """Return pieces, each twice as wide as the one before, and what lies beyond the last."""
        m = len(self._y)
        which, start, width = np.arange(m), np.zeros(m), width.astype(float)
        last, ratio, total, beyond = np.zeros(m), np.zeros(m), np.zeros(m), np.zeros(m)
        pieces = []
        while which.size:
            value = self._values(which, start, width)
            pieces.append((which, start, width, value))
            total[which] += value
            end = start + width
            # What is further out is v r + v r² + ..., once the ratio r changes no more.
            r = value / np.where(last[which] > 0, last[which], np.inf)
            change = value * np.abs(r - ratio[which]) / (1 - r) ** 2
            small = np.maximum(value, change) <= NEGLIGIBLE * total[which]
            small |= (change <= NEGLIGIBLE * total[which]) & (r > 0) & (r < NO_TAIL)
            small |= (np.abs(r - ratio[which]) <= NEGLIGIBLE) & (r >= NO_TAIL)
            over = (end > reach[which]) & small | (end >= FURTHEST) | ~np.isfinite(value)
            rest = np.where(r < NO_TAIL, value * r / (1 - r), np.inf)
            beyond[which[over]] = np.where(value > 0, rest, 0.0)[over]
            last[which], ratio[which] = value, r
            which, start, width = which[~over], end[~over], 2 * width[~over]
        return (*(np.concatenate(column) for column in zip(*pieces, strict=True)), beyond)


@functools.cache
def _lobatto_rule(size):
    """Return Lobatto's nodes on [0, 1], both ends among them, and weights, (size,) each."""
    inner = np.polynomial.legendre.Legendre.basis(size - 1).deriv().roots().real
    nodes = np.concatenate([[-1.0], inner, [1.0]])
    weights = 1 / (np.polynomial.legendre.legval(nodes, np.eye(size)[-1]) ** 2)
    return (1 + nodes) / 2, weights / weights.sum()


def _lobatto(width):
    """Return nodes and weights of pieces from 0 to `width` (j,), (j, 12) each."""
    nodes, weights = _lobatto_rule(12)
    return width[:, None] * nodes, width[:, None] * weights


LEAF = 16
"""Whole numbers that are summed one by one."""
CONTINUOUS = 16
"""Of more than 2 to the power of this a sum is an integral, but for 1e-11 of it."""


def _whole_numbers(width):
    """Return nodes and weights of sums over 0, 1 ... width - 1, (j, 16) each; powers of two."""
    power = np.log2(width).astype(int)
    used = np.unique(power)
    rules = [_sum_rule(int(j)) for j in used]
    at = np.searchsorted(used, power)
    return tuple(np.array(column)[at] for column in zip(*rules, strict=True))


@functools.cache
def _sum_rule(power):
    """Return whole nodes and weights that sum polynomials of degree 15 over 2**power numbers."""
    n, (nodes, _) = 2.0**power, _lobatto_rule(LEAF)
    half = np.round(nodes[: LEAF // 2] * (n - 1))
    half = np.maximum(half, np.arange(LEAF // 2))  # no two are one
    nodes = np.concatenate([half, n - 1 - half[::-1]])
    # Of Legendre polynomials on [-½, n - ½], whose integrals are 0 but for the first
    basis = np.polynomial.legendre.legvander((2 * nodes + 1) / n - 1, LEAF - 1)
    sums = np.zeros(LEAF)
    sums[0] = n
    if power <= CONTINUOUS:
        whole = (2 * np.arange(n) + 1) / n - 1
        sums = np.polynomial.legendre.legvander(whole, LEAF - 1).sum(axis=0)
    return nodes, np.linalg.solve(basis.T, sums)
