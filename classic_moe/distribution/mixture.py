"""The distribution of y that a mixture of experts predicts, one for each row of X.

Row i has K components p_k with gating probabilities g_k, and F are distribution functions:

    p(y | x_i) = sum_k g_k(x_i) p_k(y | x_i),        F(y | x_i) = sum_k g_k(x_i) F_k(y | x_i).
"""

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from .._kernels.array import logsumexp
from .._kernels.loading import pays
from .multivariate import MultivariateComponents, MultivariateNormalComponents
from .regions import RegionsMixin
from .scores import ScoresMixin
from .univariate import UnionComponents, family_of

__all__ = ["MixtureDistribution", "MultivariateNormalComponents", "UnionComponents"]

# A quantile is accepted once its tail probability is right to this relative error.
_TOLERANCE = 1e-13
MOST = np.finfo(float).max
BLOCK = 2**15
"""Numbers, one for each component, that are worked out in one go: they stay in the cache."""


class MixtureDistribution(ScoresMixin, RegionsMixin):
    """One mixture per row, ``sum_k weights[i, k] * p_k(y)``, as a frozen distribution of scipy.

    Arguments broadcast against (n,): ``pdf(grid[:, None])`` of a grid of m values is (m, n).
    With q outputs, `mean`, `var` and `std` are (n, q); `pdf` and `logpdf` are joint, taking
    y (..., n, q) to (..., n); `cdf`, `sf` and the quantiles hold for each output by itself and are
    (..., n, q). For counts, `pdf` is the probability mass.

    Parameters
    ----------
    weights : array of shape (n, K)
        Gating probabilities; rows sum to 1. A component is ignored where its weight is zero,
        even if its density there is infinite or not a number.
    components : frozen scipy distribution, UnionComponents or MultivariateComponents
        Of scipy, continuous or on the integers, with parameters that broadcast to (n, K);
        `UnionComponents` holds several of them side by side.

    Raises
    ------
    ValueError, TypeError
        If the weights are no probabilities, the components are of another kind, or shapes do not
        fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from classic_moe.distribution import MixtureDistribution
    >>> weights = np.array([[0.5, 0.5], [0.9, 0.1]])
    >>> dist = MixtureDistribution(weights, stats.norm(loc=[0.0, 10.0], scale=[1.0, 2.0]))
    >>> dist.mean()
    array([5., 1.])
    >>> low, high = dist.interval(0.9)
    >>> dist.cdf([low, high]).round(6)
    array([[0.05, 0.05],
           [0.95, 0.95]])
    >>> dist.pdf(np.linspace(-5, 15, 100)[:, None]).shape
    (100, 2)
    """

    @np.errstate(all="ignore")
    def __init__(self, weights: ArrayLike, components: Any) -> None:
        weights = np.asarray(weights, dtype=float)
        _check_shape(weights)
        own = np.empty(weights.shape)
        for rows in _row_blocks(weights):
            own[rows] = weights[rows] / _checked_totals(weights[rows])
        self._take(own, np.log(own), components)

    def _take(self, weights, log_weights, components):
        """Become the distribution of weights that were checked."""
        self.weights, self._log_weights = weights, log_weights
        self._weights = weights
        self.components = components
        self._joint = isinstance(components, MultivariateComponents)
        if self._joint:
            n, K, q = components.mean.shape
            if weights.shape != (n, K):
                raise ValueError(
                    f"weights has shape {weights.shape}; the components want {(n, K)}; "
                    "pass the same n and K in both."
                )
            # What is asked of each output by itself is asked of a batch (n, q) of mixtures.
            self._weights = np.broadcast_to(self.weights[:, None], (n, q, K))
            components = components.marginals()

        self._family = family_of(components, self._weights.shape)
        self._discrete = self._family.discrete

    @classmethod
    def from_log(cls, log_weights: ArrayLike, components: Any) -> Self:
        """Make the distribution from the logarithms of the weights.

        Densities then count components whose weights are too small for a number: far out in y,
        where the likely components have no mass, they may be all there is.

        Parameters
        ----------
        log_weights : array of shape (n, K)
            -inf for a component that is to be ignored.
        components : frozen scipy distribution, UnionComponents or MultivariateComponents

        Returns
        -------
        MixtureDistribution

        Examples
        --------
        >>> import numpy as np
        >>> from scipy import stats
        >>> from classic_moe.distribution import MixtureDistribution
        >>> log_weights = np.array([[0.0, -1000.0]])
        >>> dist = MixtureDistribution.from_log(log_weights, stats.norm(loc=[0.0, 50.0]))
        >>> dist.logpdf(50.0).round(3)
        array([-1000.919])
        """
        return cls.from_own(np.array(log_weights, dtype=float), components)

    @classmethod
    @np.errstate(all="ignore")
    def from_own(cls, log_weights: ArrayLike, components: Any, threads: int = 1) -> Self:
        """Make the distribution as `from_log` does, of an array that it keeps and normalises.

        Parameters
        ----------
        log_weights : ndarray of shape (n, K)
        components : frozen scipy distribution, UnionComponents or MultivariateComponents
        threads : int, default=1
            How many share the rows; the numbers are the same for any.

        Returns
        -------
        MixtureDistribution
        """
        _check_shape(log_weights)
        if log_weights.dtype != np.float64 or not log_weights.flags.writeable:
            log_weights = log_weights.astype(np.float64)  # one row of weights, maybe, broadcast
        made, weights = cls.__new__(cls), np.empty(log_weights.shape)
        for rows in _row_blocks(log_weights):
            own = log_weights[rows]
            _checked_totals(np.exp(own))
            own -= logsumexp(own)[:, None]
            np.exp(own, out=weights[rows])
        made._take(weights, log_weights, components)
        made._threads = threads
        return made

    # -- blocks of rows --------------------------------------------------------------------

    _threads = 1

    def _part(self, rows):
        """The distributions of the rows in a slice."""
        twin = copy.copy(self)
        for name in ("weights", "_weights", "_log_weights"):
            setattr(twin, name, getattr(self, name)[rows])
        twin._family = self._family.part(rows)
        if self._joint:
            twin.components = self.components.part(rows)
        return twin

    def _in_blocks(self, method, *y, joint=False):
        """A method of the rows some at a time, at y if it takes one: (..., n) or (..., n, q).

        Its temporary arrays stay small, and in the cache. `joint`: one value for all outputs.
        """
        batch = self._weights.shape[:-1]
        shape = np.broadcast_shapes(batch, *(a.shape for a in y))
        lead, n, width = shape[: -len(batch)], batch[0], math.prod(self._weights.shape[1:])
        lines = math.prod(lead)
        if lines * n * width <= BLOCK:
            with np.errstate(all="ignore"):
                return getattr(self, method)(*y)
        y = [np.broadcast_to(a, shape).reshape(lines, *batch) for a in y]
        inner = batch[:1] if joint else batch
        out = np.empty((lines, *inner))
        rows = min(n, max(1, BLOCK // width))
        many = min(lines, max(1, BLOCK // (rows * width)))

        def fill(start):
            own = slice(start, start + rows)
            part = self._part(own)
            with np.errstate(all="ignore"):  # a thread has its own settings
                for first in range(0, lines, many):
                    place = slice(first, first + many), own
                    out[place] = getattr(part, method)(*(a[place] for a in y))

        starts = range(0, n, rows)
        threads = min(self._threads, len(starts))
        if threads == 1:
            for start in starts:
                fill(start)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(fill, starts))
        return out.reshape(*lead, *inner)

    # -- what scipy's distributions say ----------------------------------------------------

    def mean(self) -> NDArray[Any]:
        """Mean of each row: (n,) or (n, q); NaN if there is none."""
        return self._in_blocks("_mean")

    def _mean(self):
        return self._mixed("mean")

    def var(self) -> NDArray[Any]:
        """Variance of each row: (n,) or (n, q); infinite if there is none."""
        return self._in_blocks("_var")

    def _var(self):
        # Deviations from the mixture's mean: E[y^2] - E[y]^2 would cancel far from zero.
        between = (self._each("mean") - self._mean()[..., None]) ** 2
        var = _mix(self._weights, self._each("var") + between)
        # What is too large for a number is the largest one.
        return np.where(np.isfinite(self._std()), np.fmin(var, MOST), np.inf)

    def std(self) -> NDArray[Any]:
        """Standard deviation of each row: (n,) or (n, q); infinite if there is none."""
        return self._in_blocks("_std")

    def _std(self):
        # In units of the largest deviation or scale, whose squares no size of y overflows.
        unit, scale = (1.0, self._each("std")) if self._discrete else self._family.standard()
        between = np.abs(self._each("mean") - self._mean()[..., None])
        size = np.where(self._weights > 0, np.maximum(scale, between), 0).max(axis=-1)
        size = np.where(size == 0, 1.0, size)  # a count whose mean rounds to 0 does not spread
        within = (unit * scale / size[..., None]) ** 2
        std = size * np.sqrt(_mix(self._weights, within + (between / size[..., None]) ** 2))
        return np.where(np.isnan(std), np.inf, std)  # not even a mean, as Cauchy's

    @np.errstate(all="ignore")
    def covariance(self) -> NDArray[Any]:
        """Covariance of the outputs in each row: (n, q, q), q = 1 for one output."""
        if not self._joint:
            return self.var()[:, None, None]
        weighted = self.weights[..., None] > 0
        deviation = np.where(weighted, self.components.mean - self.mean()[:, None], 0)
        each = np.moveaxis(self.components.covariance, 0, -1)  # may be infinite
        within = _mix(self.weights[:, None, None], each)
        return within + np.einsum("nk,nki,nkj->nij", self.weights, deviation, deviation)

    def logpdf(self, y: ArrayLike) -> NDArray[Any]:
        """Log density at y, or log mass for counts; joint for q outputs: (..., n)."""
        return self._in_blocks("_logpdf", self._checked_y(y), joint=True)

    def _logpdf(self, y):
        if self._joint:
            return _log_mix(self._log_weights, self.components.logpdf(y))
        return self._log_mixed(y)

    @np.errstate(all="ignore")
    def pdf(self, y: ArrayLike) -> NDArray[Any]:
        """Density at y, or mass for counts; joint for q outputs: (..., n)."""
        log_density = self.logpdf(y)
        return np.exp(log_density, out=log_density)

    pmf, logpmf = pdf, logpdf  # scipy's names for counts

    def cdf(self, y: ArrayLike) -> NDArray[Any]:
        """Probability of at most y: (..., n), or (..., n, q), each output by itself."""
        return self._in_blocks("_cdf", self._checked_y(y))

    def _cdf(self, y):
        return np.clip(self._mixed("cdf", y), 0, 1)

    def sf(self, y: ArrayLike) -> NDArray[Any]:
        """Probability of more than y, accurate in the upper tail; shapes as in `cdf`."""
        return self._in_blocks("_sf", self._checked_y(y))

    def _sf(self, y):
        return np.clip(self._mixed("sf", y), 0, 1)

    def ppf(self, q: ArrayLike) -> NDArray[Any]:
        """Quantiles: the y with ``cdf(y) == q``; for counts the smallest integer with cdf >= q.

        Parameters
        ----------
        q : array broadcasting against (n,)
            Probabilities; 0 and 1 give the ends of the support, others outside [0, 1] NaN.

        Returns
        -------
        array of shape (..., n), or (..., n, q) for q outputs, each by itself
        """
        q = self._checked_levels("q", q)
        if self._discrete:
            return self._in_blocks("_ppf_of_counts", q)
        quantiles = math.prod(np.broadcast_shapes(q.shape, self._weights.shape[:-1]))
        compiled = self._family.compiled_quantiles is not None and pays(quantiles)
        return self._in_blocks("_ppf_compiled" if compiled else "_ppf_of_numbers", q)

    def _ppf_compiled(self, q):
        return self._family.compiled_quantiles(self._in_batch(q)[0], self._weights)

    def _in_batch(self, q):
        """q, broadcast against the batch, and which mixture each entry is of, (1 or 2, ...)."""
        batch = self._weights.shape[:-1]
        q = np.broadcast_to(q, np.broadcast_shapes(q.shape, batch))
        return q, np.array([np.broadcast_to(i, q.shape) for i in np.indices(batch, sparse=True)])

    def _ppf_of_numbers(self, q):
        """The quantiles of continuous components."""
        q, rows = self._in_batch(q)
        each = self._each("ppf", q)
        # The mixture's quantile lies between the least and the greatest of its components'.
        low, high = self._ends(each, each)
        y, inside = np.where(q == 1, high, low), (q > 0) & (q < 1)
        low, high = np.clip(low, -MOST, MOST), np.clip(high, -MOST, MOST)
        start = self._ppf_if_apart(q, each)
        # Each half by its own tail: near 1 the upper one keeps the digits that the cdf loses.
        for tail, p, half in (("cdf", q, inside & (q <= 0.5)), ("sf", 1 - q, inside & (q > 0.5))):
            part = (a[..., half] for a in (p, rows, low, high, start))
            y[half] = self._root(tail, *part)
        return y

    def _ppf_of_counts(self, q):
        """The least integers where the cdf reaches q."""
        q, rows = self._in_batch(q)
        least, greatest = self._ends(*self._family.support())
        y = np.where(q == 1, greatest, np.where(q == 0, least, np.nan))
        inside = (q > 0) & (q < 1)
        level = np.where(inside, q, 0.5)[..., None]
        # Cantelli: a quantile is at most √(q/(1 - q)) standard deviations above its mean, and at
        # most √((1 - q)/q) below.
        mean, sd = self._each("mean"), np.minimum(self._each("std"), MOST)
        low, high = mean - sd * np.sqrt(1 / level - 1), mean + sd * np.sqrt(level / (1 - level))
        low, high = self._ends(np.nan_to_num(low, nan=-MOST), np.nan_to_num(high, nan=MOST))
        low, high = np.maximum(low, least), np.minimum(high, greatest)
        y[inside] = self._least_integer(q[inside], rows[:, inside], low[inside], high[inside])
        return y

    def _ends(self, least, greatest):
        """The least and the greatest value of the components with a weight, (...) each."""
        weighted = self._weights > 0
        low = np.where(weighted, least, np.inf).min(axis=-1)
        return low, np.where(weighted, greatest, -np.inf).max(axis=-1)

    def median(self) -> NDArray[Any]:
        """Median of each row: (n,) or (n, q)."""
        return self.ppf(0.5)

    def interval(self, confidence: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """Equal-tailed interval holding probability `confidence`: (low, high), as from `ppf`."""
        confidence = np.asarray(confidence, dtype=float)
        if not np.all((confidence > 0) & (confidence < 1)):
            raise ValueError(f"confidence must lie within (0, 1), got {confidence}; try 0.95.")
        return self.ppf((1 - confidence) / 2), self.ppf((1 + confidence) / 2)

    @np.errstate(all="ignore")
    def _ppf_if_apart(self, q, each):
        """The quantiles if no two components overlapped, given those of each (..., K)."""

        def pick(a, where):
            return np.take_along_axis(np.broadcast_to(a, each.shape), where, axis=-1)

        order = np.argsort(each, axis=-1)
        reach = np.cumsum(pick(self._weights, order), axis=-1)
        place = np.sum(reach[..., :-1] < q[..., None], axis=-1, keepdims=True)
        k = pick(order, place)
        level = 1 - (pick(reach, place) - q[..., None]) / pick(self._weights, k)
        return self._family.quantile(level, k)[..., 0]

    @np.errstate(all="ignore")
    def _root(self, tail, p, rows, low, high, start):
        """Where the `tail`, "cdf" or "sf", of each row named is p: (m,) all; rows (1 or 2, m).

        Newton's method on the logarithm of the tail, which is nearly straight far out; bisection
        where Newton would leave the bracket or not halve the step before the last one.
        """
        answer, todo = np.empty_like(p), np.arange(len(p))
        y = np.where((low <= start) & (start <= high), start, low / 2 + high / 2)
        before = last = high - low
        while todo.size:
            probability = self._mixed(tail, y, rows=rows)
            density = self._mixed("pdf", y, rows=rows)
            error = np.log(probability / p) * (1 if tail == "cdf" else -1)  # positive: y too high
            low, high = np.where(error < 0, y, low), np.where(error > 0, y, high)
            newton = y - error * probability / density
            trusted = (low <= newton) & (newton <= high) & (abs(newton - y) <= before / 2)
            # The infinite density at the edge of some supports would make a step of nothing.
            after = np.where(trusted & (density < np.inf), newton, low / 2 + high / 2)
            before, last = last, abs(after - y)
            answer[todo] = y
            # An unmoved y has met the resolution of floating point; NaN counts as finished.
            unfinished = (abs(error) > _TOLERANCE) & (after != y)
            state = todo, p, rows, low, high, after, before, last
            todo, p, rows, low, high, y, before, last = (a[..., unfinished] for a in state)
        return answer

    @np.errstate(all="ignore")
    def _least_integer(self, p, rows, low, high):
        """Least integer where the cdf of each row named reaches p, by bisection.

        Of the distance from the lower end where the ends lie orders of magnitude apart, of its
        logarithm.
        """
        # Wider by one than the ends, as the sum of the components' cdfs may round across p.
        low, high = np.floor(low) - 2, np.ceil(high) + 1
        answer, todo, origin = high.copy(), np.arange(len(p)), low
        y = _between(low, high, origin)
        while todo.size:
            reached = ~(self._mixed("cdf", y, rows=rows) < p)  # NaN, far out, counts as 1
            low, high = np.where(reached, low, y), np.where(reached, y, high)
            after = _between(low, high, origin)
            answer[todo] = high
            # Beyond 2**53 floating point knows no next integer, and y stops moving.
            unfinished = (high - low > 1) & (after > low) & (after < high)
            state = todo, p, rows, low, high, origin, after
            todo, p, rows, low, high, origin, y = (a[..., unfinished] for a in state)
        return answer

    @np.errstate(all="ignore")
    def rvs(
        self, size: int | None = None, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[Any]:
        """Random draws: (n,), or (m, n) for ``size=m``; for q outputs (n, q) or (m, n, q).

        Counts are int64, at most 2**63 - 1024, the largest that floating point holds as well;
        other numbers are finite.

        Parameters
        ----------
        size : int or tuple of int, optional
            Number of draws per row; comes in front of the shape of one draw.
        random_state : None, int, RandomState or Generator
            None draws from numpy's global state.
        """
        return self._draw(() if size is None else tuple(np.atleast_1d(size)), random_state)[0]

    @np.errstate(all="ignore")
    def draw(self, rng: Any, groups: ArrayLike | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """One draw per row, (n,) or (n, q), and the component it came from, (n,).

        `groups` (n,): codes 0, 1, ... of rows of the same weights that share one component.
        """
        return self._draw((), rng, groups)

    def _draw(self, size, rng, groups=None):
        rng = rng if isinstance(rng, np.random.Generator) else check_random_state(rng)
        edges = np.cumsum(self.weights, axis=1)
        edges /= edges[:, -1:]  # exactly 1 at the end: no draw falls beyond, none without weight
        rows = np.arange(len(edges))
        if groups is None:
            u = rng.random((*size, len(edges), 1))
        else:
            u = rng.random(groups.max() + 1)[groups, None]
        expert = np.sum(u >= edges, axis=-1)
        if self._joint:
            y = self.components.draw(expert, rng)
        else:
            y = self._family.draw(rows, expert, rng)
        return (y if self._discrete else np.clip(y, -MOST, MOST)), expert

    @np.errstate(all="ignore")
    def _each(self, method, *y, rows=()):
        """A method of scipy's distributions for every component, at y (..., n) if it takes one."""
        return self._family.each(method, *y, rows=rows)

    def _mixed(self, method, *y, rows=()):
        """The weighted sum of `_each`: (..., n), or (m,) for the rows named."""
        return _mix(self._weights[tuple(rows)], self._each(method, *y, rows=rows))

    def _log_mixed(self, y, rows=()):
        """The log density of one output: (..., n), or (m,) for the rows named."""
        log_weights = self._log_weights[tuple(rows[:1])]
        return _log_mix(log_weights, self._each("logpdf", y, rows=rows))

    def _checked_levels(self, name, q):
        """Probabilities that broadcast against the rows, the same for all outputs."""
        q = _checked(name, q, self.weights.shape[:1])
        return q[..., None] if self._joint else q

    def _checked_y(self, y):
        """`y` as floats that broadcast against the rows and outputs."""
        return _checked("y", y, self._weights.shape[:-1])


def _check_shape(weights):
    """ValueError unless weights are of the shape (n, K)."""
    if weights.ndim != 2 or weights.shape[1] == 0:
        raise ValueError(f"weights has shape {weights.shape}; pass an array of shape (n, K).")


def _row_blocks(weights):
    """Slices of the rows of weights (n, K), some at a time."""
    n, K = weights.shape
    size = max(1, BLOCK // max(K, 1))
    return (slice(start, start + size) for start in range(0, n, size))


def _checked_totals(weights):
    """Sums of rows of weights (n, 1); a ValueError for what are no probabilities."""
    if not np.all(weights >= 0):
        raise ValueError(f"weights must be at least 0, got {weights.min()}; clip them at 0.")
    total = weights.sum(axis=1, keepdims=True)
    if np.any(abs(total - 1) > 1e-5):  # a margin for gates in single precision
        worst = total.flat[abs(total - 1).argmax()]
        raise ValueError(f"a row of weights sums to {worst}, not 1; divide it by its sum.")
    return total


def _log_mix(log_weights, each):
    """log Σ w p over the last axis, infinite where a density is; what has no weight is left out."""
    a = np.where(log_weights > -np.inf, log_weights + each, -np.inf)
    return np.where((a == np.inf).any(axis=-1), np.inf, logsumexp(a))


def _between(low, high, origin):
    """A whole number between two, in the middle of their distances from `origin` or of the logs."""
    near, far, middle = low - origin + 1, high - origin + 1, np.floor(low / 2 + high / 2)
    of_logs = np.floor(origin + np.sqrt(near) * np.sqrt(far) - 1)
    apart = (far > 4 * near) & (low < of_logs) & (of_logs < high)
    return np.where(apart, of_logs, middle)


@np.errstate(all="ignore")
def _mix(weights, each):
    """Weighted sum over the last axis; what has no weight is left out, NaN included."""
    return np.sum(np.where(weights > 0, weights * each, 0), axis=-1)


def _checked(name, value, batch):
    """`value` as floats, which must broadcast against the batch, (n,) or (n, q)."""
    value = np.asarray(value, dtype=float)
    try:
        np.broadcast_shapes(value.shape, batch)
        # One number for all q outputs is surely a forgotten output, not a wish.
        fits = len(batch) == 1 or value.shape[-1:] == batch[-1:]
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} has shape {value.shape} and must broadcast against {batch}; for many values "
            f"in every row put them on a new first axis, such as {name}[:, None]."
        )
    return value
