"""Where the density of a mixture is high: its modes, and the smallest regions of a probability.

A mixture of components with one mode each falls beyond the outermost of them, and is searched in
between: where its log density, on a grid of quantiles of all components, is higher than on either
side lies a mode, and between two modes lies one minimum. So the density is cut into pieces that
rise or fall, of which each meets a level at most once.
"""

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .univariate import Normals

__all__ = ["RegionsMixin"]

BLOCK = 2**18
"""Numbers, one for each component and point of the grid, that are worked out in one go."""
STEPS = 33
"""Points of the grid on each component, three standard deviations of a normal either way."""
SAME = 1e-12
"""Log densities that differ by no more are equal."""
RESOLUTION = 1e-15
"""Of a share of the distance between a peak and a valley."""
CLOSE = 1e-11
"""A log density this little above a level, or a probability above another, is equal to it."""
THIRDS = 55
"""Of an interval around an extreme, which is then 2e-10 of what it was."""
LEVEL = 1e-10, 1e-7
"""Levels whose logarithms differ by no more are one, of densities and of masses."""
SMOOTH = 15
"""Steps after which a search for a root has ended unless the function jumps."""
MOST_STEPS = 300
"""Of a search for a root, far more than it needs."""
FURTHEST_LEVEL = 1e20
"""Below the highest density, in logarithms."""


class RegionsMixin:
    """What describes where the probability lies."""

    def modes(self) -> NDArray[Any]:
        """All local maxima of each row's density, or of the mass of counts, the highest first.

        Returns
        -------
        array of shape (M, n), or (M, n, q): each output by itself
            M is the largest number of modes in a row; NaN fills up the others. So ``modes()[0]``
            is `mode`, and ``pdf(modes())`` the densities there.

        Notes
        -----
        A mode is right to 1e-7 of the width of its neighbourhood. Two modes that lie within a fifth
        of a standard deviation of all components near them are one. Where the density is constant
        the mode is the middle of that; of several most probable counts side by side, the least.
        Components are supposed to have one mode each.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy import stats
        >>> from classic_moe.distribution import MixtureDistribution
        >>> dist = MixtureDistribution(np.full((2, 2), 0.5), stats.norm([[0, 5], [0, 1]], [1, 0.7]))
        >>> dist.modes().round(2)
        array([[5.  , 0.79],
               [0.  ,  nan]])
        """
        batch = self._weights.shape[:-1]
        blocks = [_Landscape(self, rows).modes() for rows in _blocks(batch, self._weights)]
        return _stacked(blocks, batch)

    def mode(self) -> NDArray[Any]:
        """The highest mode of each row: (n,), or (n, q) for q outputs, each by itself.

        Returns
        -------
        array of shape (n,) or (n, q)
        """
        return self.modes()[0]

    def hdr(self, confidence: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """Highest-density regions: the smallest sets that hold probability `confidence`.

        Such a set is where the density is at least a level, and is a union of intervals where
        there are several modes (Hyndman, 1996). Of counts the intervals hold both of their ends,
        and, as the least set that will do, more than `confidence`.

        Parameters
        ----------
        confidence : array broadcasting against (n,)
            Within (0, 1).

        Returns
        -------
        low, high : arrays of shape (J, ..., n), or (J, ..., n, q): each output by itself
            The ends of the intervals from left to right. J is the largest number in a row; NaN
            fills up the others.

        Raises
        ------
        ValueError
            For a confidence outside of (0, 1).

        See Also
        --------
        interval : The equal-tailed one, which needs no search and is one interval always.

        Examples
        --------
        >>> from scipy import stats
        >>> from classic_moe.distribution import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], stats.norm([0, 10]))
        >>> low, high = dist.hdr(0.9)
        >>> low.ravel().round(2), high.ravel().round(2)
        (array([-1.64,  8.36]), array([ 1.64, 11.64]))
        """
        confidence = np.asarray(confidence, dtype=float)
        if not np.all((confidence > 0) & (confidence < 1)):
            raise ValueError(f"confidence must lie within (0, 1), got {confidence}; try 0.95.")
        batch = self._weights.shape[:-1]
        levels = self._checked_levels("confidence", confidence)
        shape = np.broadcast_shapes(levels.shape, batch)
        levels = np.broadcast_to(levels, shape)
        levels = levels.reshape(math.prod(shape[: len(shape) - len(batch)]), *batch)
        blocks = [_Landscape(self, rows) for rows in _blocks(batch, self._weights)]
        edges = np.cumsum([block.m for block in blocks])[:-1]
        lines = []
        for line in levels:
            parts = zip(blocks, np.split(line.ravel(), edges), strict=True)
            ends = [block.region(own) for block, own in parts]
            lines.append([_stacked(side, batch) for side in zip(*ends, strict=True)])
        low, high = (_padded(side) for side in zip(*lines, strict=True))
        return tuple(np.swapaxes(a, 0, 1).reshape(a.shape[1], *shape) for a in (low, high))


def _blocks(batch, weights):
    """Return the indices of some mixtures of a batch at a time, (1 or 2, m) each."""
    rows = np.indices(batch).reshape(len(batch), -1)
    size = max(1, BLOCK // (STEPS * weights.shape[-1] ** 2))
    return [rows[:, start : start + size] for start in range(0, rows.shape[1], size)] or [rows]


def _padded(arrays):
    """Return arrays that differ in the length of their first axis as one, NaN for what is not."""
    most = max(len(a) for a in arrays)
    fill = [np.full((most - len(a), *a.shape[1:]), np.nan) for a in arrays]
    return np.stack([np.concatenate(pair) for pair in zip(arrays, fill, strict=True)])


def _stacked(blocks, batch):
    """Return arrays (m, M) of the mixtures of a batch as one, (M, *batch)."""
    whole = np.concatenate(list(_padded_columns(blocks)))
    return np.moveaxis(whole.reshape(*batch, whole.shape[1]), -1, 0)


def _padded_columns(blocks):
    """Yield arrays (m, M) with as many columns each, NaN in the new ones."""
    most = max(block.shape[1] for block in blocks)
    for block in blocks:
        yield np.pad(block, [(0, 0), (0, most - block.shape[1])], constant_values=np.nan)


class _Landscape:
    """The density of some mixtures: peaks from left to right, and the valleys between.

    Parameters
    ----------
    mixture : MixtureDistribution
    rows : array of int of shape (1 or 2, m)

    Attributes
    ----------
    m : int
    peak, peak_height : arrays of shape (m, M)
        Heights are log densities; -inf, with a peak of NaN, where a mixture has fewer.
    valley, valley_height : arrays of shape (m, M - 1)
    """

    @np.errstate(all="ignore")
    def __init__(self, mixture, rows):
        self._mixture, self._rows, self.m = mixture, rows, rows.shape[1]
        self._discrete = mixture._discrete
        x, self._reach = self._grid()
        of, left, right, guess = _peaks(x, self.height(x))
        peak, height = self._extreme(of, left, right, guess, 1)
        place = np.arange(len(of)) - np.searchsorted(of, of)  # which peak of its mixture
        shape = self.m, int(place.max(initial=0)) + 1
        self.peak, self.peak_height = np.full(shape, np.nan), np.full(shape, -np.inf)
        self.peak[of, place], self.peak_height[of, place] = peak, height
        self.valley = np.full((shape[0], shape[1] - 1), np.nan)
        self.valley_height = np.full(self.valley.shape, -np.inf)
        of, place = np.nonzero(np.isfinite(self.peak[:, 1:]))
        if of.size:
            ends = self.peak[of, place], self.peak[of, place + 1]
            found = self._extreme(of, *ends, ends[0], -1)
            self.valley[of, place], self.valley_height[of, place] = found

    def height(self, x, of=None):
        """Return log densities at x (j, ...) of the mixtures `of` (j,), or (m, ...) of all."""
        rows = self._rows if of is None else self._rows[:, of]
        rows = rows.reshape(*rows.shape, *([1] * (x.ndim - 1)))
        return np.nan_to_num(self._mixture._log_mixed(x, rows=rows), nan=-np.inf, posinf=np.inf)

    def below(self, x):
        """Return the distribution functions at x (m, ...)."""
        rows = self._rows.reshape(*self._rows.shape, *([1] * (x.ndim - 1)))
        return self._mixture._mixed("cdf", x, rows=rows)

    def _part(self, which):
        """Return the landscape of some of the mixtures."""
        twin = copy.copy(self)
        twin.m, twin._rows = len(which), self._rows[:, which]
        for name in ("_reach", "peak", "peak_height", "valley", "valley_height"):
            setattr(twin, name, getattr(self, name)[which])
        return twin

    def _grid(self):
        """Return where the densities are looked at, (m, G), sorted, and their extent, (m,)."""
        mixture, at = self._mixture, tuple(self._rows)
        weighted = (mixture._weights > 0)[at]
        normal = np.linspace(-3, 3, STEPS)
        least, greatest = (end[at] for end in mixture._family.support())
        if self._discrete:
            mean, sd = (mixture._each(name)[at] for name in ("mean", "std"))
            sd = np.minimum(np.nan_to_num(sd, nan=1e300), 1e300)
            each = np.floor(mean[..., None] + sd[..., None] * normal)
            extent = np.maximum(sd, 1)
        else:
            batch = mixture._weights.shape[:-1]
            if isinstance(mixture._family, Normals):
                each = [mixture._each("mean") + mixture._each("std") * step for step in normal]
            else:
                levels = special.ndtr(normal)
                each = [mixture._each("ppf", np.full(batch, level)) for level in levels]
            each = np.stack([a[at] for a in each], axis=-1)
            extent = each[..., -1] - each[..., 0]
        each = np.clip(each, least[..., None], greatest[..., None])
        each = np.concatenate([each, least[..., None], greatest[..., None]], axis=-1)
        known = weighted[..., None] & np.isfinite(each)
        anywhere = np.where(known, each, np.inf).min(axis=(1, 2))
        x = np.where(known, each, anywhere[:, None, None])
        x = x.reshape(self.m, x.shape[1] * x.shape[2])
        extent = np.where(weighted, extent, 0).max(axis=-1)
        x.sort(axis=1)
        between = x[:, :-1] / 2 + x[:, 1:] / 2  # there may be no density between two supports
        x = np.sort(np.concatenate([x, np.floor(between) if self._discrete else between], axis=1))
        return x, np.maximum(extent, x[:, -1] - x[:, 0])

    def _extreme(self, of, left, right, guess, sign):
        """Return the maximum (sign 1) or minimum (-1) of densities between two points, (j,) each.

        `guess` is taken if nothing better is found.
        """
        low, high = left.copy(), right.copy()
        for _ in range(THIRDS):
            one, two = low + (high - low) / 3, high - (high - low) / 3
            if self._discrete:
                if not (high - low > 3).any():
                    break
                one, two = np.floor(one), np.ceil(two)
            heights = self.height(np.stack([one, two], axis=1), of)
            first = sign * heights[:, 0] >= sign * heights[:, 1]
            low, high = np.where(first, low, one), np.where(first, two, high)
        steps = np.arange(4.0) if self._discrete else np.array([0.0, 0.5, 1.0])
        tried = low[:, None] + steps * (1.0 if self._discrete else (high - low)[:, None])
        guess = np.floor(guess) if self._discrete else guess
        tried = np.column_stack([guess, np.minimum(tried, high[:, None])])
        heights = sign * self.height(tried, of)
        # The least of counts, the guess if the others are no better
        best = heights.max(axis=1, keepdims=True)
        better = heights >= np.where(np.isfinite(best), best - SAME, best)
        tried = np.where(better, tried, np.inf) if self._discrete else tried
        pick = tried.argmin(axis=1) if self._discrete else better.argmax(axis=1)
        rows = np.arange(len(of))
        return tried[rows, pick], sign * heights[rows, pick]

    def modes(self):
        """Return the peaks by height, (m, M)."""
        order = np.argsort(-self.peak_height, axis=1, kind="stable")
        return np.take_along_axis(self.peak, order, axis=1)

    # -- regions ---------------------------------------------------------------------------

    @np.errstate(all="ignore")
    def region(self, confidence):
        """Return the ends of the intervals of the smallest sets, (m, J) each."""
        level = self._level(confidence)
        left, right, opens, closes = self._sides(level)
        count = int(opens.sum(axis=1).max(initial=1))
        low, high = (np.full((self.m, count), np.nan) for _ in range(2))
        for out, side, which in ((low, left, opens), (high, right, closes)):
            rows, columns = np.nonzero(which)
            out[rows, (np.cumsum(which, axis=1) - 1)[rows, columns]] = side[rows, columns]
        return low, high

    def _level(self, confidence):
        """Return the highest log density with that probability above it, (m,)."""
        # From the highest finite peak downwards, or up where a peak is infinite
        finite = np.where(np.isfinite(self.peak_height), self.peak_height, -np.inf)
        start, endless = finite.max(axis=1), (self.peak_height == np.inf).any(axis=1)
        if endless.any():
            median = self.height(self._mixture.ppf(0.5)[tuple(self._rows)])
            start = np.where(endless, median, start)
        enough = self._probability(start) >= confidence
        step, low, high, todo = 1.0, start.copy(), start.copy(), np.isfinite(start)
        while todo.any() and step < FURTHEST_LEVEL:
            trial = start + np.where(enough, step, -step)
            reached = self._probability(trial) >= confidence
            low = np.where(todo & reached, trial, low)
            high = np.where(todo & ~reached, trial, high)
            todo &= reached == enough
            step = 2 * step
        found = _last_inside(
            lambda level, of: self._part(of)._probability(level) - confidence[of],
            *(low, high, np.zeros(self.m), np.full(self.m, -np.inf)),
            lambda low, high: high - low > LEVEL[self._discrete],
        )
        return np.where(low == high, low, found)

    def _probability(self, level):
        """Return the probability of densities of at least a level, (m,)."""
        left, right, _, _ = self._sides(level)
        if self._discrete:
            left = left - 1
        alive = np.isfinite(left) & np.isfinite(right)
        inside = self.below(np.where(alive, right, 0)) - self.below(np.where(alive, left, 0))
        return np.where(alive, inside, 0).sum(axis=1)

    def _sides(self, level):
        """Return how far the sets around the peaks reach, and which ends are no valley, (m, M)."""
        alive = self.peak_height >= level[:, None]
        joined = self.valley_height >= level[:, None]
        never = np.zeros((self.m, 1), dtype=bool)
        after, before = np.concatenate([joined, never], 1), np.concatenate([never, joined], 1)
        nowhere = np.full((self.m, 1), np.nan)
        to_left = np.concatenate([nowhere, self.valley], axis=1)
        to_right = np.concatenate([self.valley, nowhere], axis=1)
        under = np.full((self.m, 1), -np.inf)
        on_left = np.concatenate([under, self.valley_height], axis=1)
        on_right = np.concatenate([self.valley_height, under], axis=1)
        left = self._crossing(level, to_left, on_left, -1, alive & ~before)
        right = self._crossing(level, to_right, on_right, 1, alive & ~after)
        # The whole number of a valley belongs to the peak on its left.
        left = np.where(before, to_left + self._discrete, left)
        right = np.where(after, to_right, right)
        left, right = (np.where(alive, side, np.nan) for side in (left, right))
        return left, right, alive & ~before, alive & ~after

    def _crossing(self, level, valley, heights, sign, wanted):
        """Return where densities fall below a level, from the peaks to valleys or outwards.

        Outwards, where the valley is NaN, the distance is searched by its share u/(1 - u) of the
        neighbourhood.
        """
        of, place = np.nonzero(wanted)
        peak, end, reach = self.peak[of, place], valley[of, place], self._reach[of]
        outer = np.isnan(end)
        gap = np.where(outer, reach, np.abs(end - peak))

        def at(u, which=slice(None)):
            t = np.where(outer[which], u / (1 - u), u) * gap[which]
            return peak[which] + sign * (np.floor(t) if self._discrete else t)

        def unlike(low, high):
            return np.abs(at(high) - at(low)) > 1 if self._discrete else high - low > RESOLUTION

        def inside(u, which):
            x = at(u, which)
            return self.height(x[:, None], of[which])[:, 0] - level[of[which]]

        ends = self.peak_height[of, place] - level[of], heights[of, place] - level[of]
        out = np.full(wanted.shape, np.nan)
        out[of, place] = at(_last_inside(inside, 0 * gap, 0 * gap + 1, *ends, unlike))
        return out


def _last_inside(f, low, high, at_low, at_high, unlike):
    """Return where falling functions are 0, or the last point where they are not less.

    Regula falsi in the manner of Illinois on log(1 + |f|), and halving where that is no number,
    every third time, and where the function seems to jump.

    Parameters
    ----------
    f : callable (x (j,), which (j,)) -> (j,)
        Values of those functions that are named.
    low, high, at_low, at_high : arrays of shape (j,)
        Ends and values there, at least 0 and below.
    unlike : callable (low, high) -> bool (j,), which ends are still apart
    """
    at_low, at_high = _damped(at_low), _damped(at_high)
    last, step, which = np.zeros(len(low)), 0, np.flatnonzero(unlike(low, high))
    while which.size and step < MOST_STEPS:
        step += 1
        left, right, above, under = low[which], high[which], at_low[which], at_high[which]
        halve = ~np.isfinite(above - under) | (step % 3 == 0) | (step > SMOOTH)
        share = np.where(halve, 0.5, above / (above - under))
        x = left + share * (right - left)
        value = f(x, which)
        met, inside, before = np.abs(value) <= CLOSE, value >= -CLOSE, last[which]
        value = _damped(value)
        at_low[which] = np.where(inside, value, np.where(before < 0, above / 2, above))
        at_high[which] = np.where(inside, np.where(before > 0, under / 2, under), value)
        low[which], high[which] = np.where(inside, x, left), np.where(inside, right, x)
        last[which] = np.where(inside, 1, -1)
        which = which[~met & unlike(low, high)[which]]
    return low


def _damped(f):
    """Return log(1 + |f|) with the sign of f."""
    return np.copysign(np.log1p(np.abs(f)), f)


def _peaks(x, height):
    """Return which mixtures have peaks on a grid (m, G): their indices, brackets and guesses, (j,).

    Sorted by mixture and place. Of equal heights in a row the guess is the middle.
    """
    rise = height[:, 1:] - height[:, :-1]
    rise = np.where(height[:, 1:] == height[:, :-1], 0.0, rise)  # inf - inf
    sign = np.where(np.abs(rise) <= SAME, 0, np.sign(rise)).astype(int)
    m, G = height.shape
    # Equal heights take the direction in which the density came to them
    place = np.where(sign != 0, np.arange(1, G), 0)
    start = np.maximum.accumulate(place, axis=1)  # where the present run of equals begins
    came = np.concatenate([np.ones((m, 1), int), sign], axis=1)
    came = np.take_along_axis(came, np.concatenate([np.zeros((m, 1), int), start], axis=1), axis=1)
    falls = np.concatenate([sign < 0, np.ones((m, 1), bool)], axis=1)
    of, last = np.nonzero((came > 0) & falls & (height > -np.inf))
    first = np.concatenate([np.zeros((m, 1), int), start], axis=1)[of, last]
    left, right = x[of, np.maximum(first - 1, 0)], x[of, np.minimum(last + 1, G - 1)]
    return of, left, right, x[of, first] / 2 + x[of, last] / 2
