"""Standardisation: between the caller's units and the internal ones, in both directions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import svd

from .._kernels.array import is_elsewhere, namespace, rows_at, to_host
from .._kernels.loading import is_loaded
from ..parts.storage import check_room, dense
from . import devices
from .threads import Threads

FLAT = 1e-13
"""A column whose spread is below this fraction of its size holds nothing but rounding."""

FAR = {np.float32: 1e37, np.float64: 1e140}
"""Internal values are clipped here, so that a row far from all data still predicts something."""
MOST = np.finfo(np.float64).max
BLOCK = 2**16
"""Numbers of X that are looked at in one go, 512 KiB of them: they and what is made of them stay in
the cache, and they bound the temporary copies."""
BLOCKS = 4
"""Blocks that a thread looks at, at a time."""
LONG = 512
"""Numbers of several rows side by side, about."""
ORDINARY, SQUARED = 500, 400
"""Powers of two up to which a column is standardised without taking them out first; up to which
squares of its numbers are summed so."""


def block_rows(width, most):
    """Return how many rows of `width` columns are taken in one go, from 1 to `most`; int."""
    return min(most, max(1, BLOCK // max(width, 1)))


class Wanted(NamedTuple):
    """Sums over rows of some columns, of which `Scaling.asked` wants to know.

    Attributes
    ----------
    of : callable (v, weight) -> list of ndarray
    adds : tuple of callable, by which each of these adds up
    columns : ndarray of int or None, which columns there are; None: all
    exponent : ndarray of int or None, powers of two that are taken out of them
    """

    of: Callable
    adds: tuple
    columns: np.ndarray | None = None
    exponent: np.ndarray | None = None

    def add(self, one, other):
        """Return the sums of some rows and of others, a list."""
        return [each(x, y) for each, x, y in zip(self.adds, one, other, strict=True)]

    def piece(self, V, weight, size):
        """Return the sums of rows V (m, p), dense or sparse, `size` of them at a time, a list.

        The same rows give the same blocks, and sums over them in the same order, however they are
        kept and whatever the number of threads.
        """

        def block(start):
            rows = slice(start, start + size)
            with np.errstate(over="ignore", invalid="ignore"):  # of sums that nobody will use
                return self.of(self._block(V[rows]), np.ascontiguousarray(weight[rows]))

        return functools.reduce(self.add, map(block, range(0, V.shape[0], size)))

    def _block(self, V):
        """Return rows in double precision and C order, (m, columns)."""
        v = dense(V)
        v = v if self.columns is None else v[:, self.columns]
        v = np.ascontiguousarray(v, dtype=np.float64)
        return v if self.exponent is None else np.ldexp(v, -self.exponent)


def answered(asking, answer):
    """Return what a generator such as `Scaling.asked` comes to, told the answers to its wishes."""
    told = None
    while True:
        try:
            told = answer(asking.send(told))
        except StopIteration as end:
            return end.value


def _side_by_side(v):
    """Yield all rows (n, m) in C order, several in one: numpy is slow on many short rows."""
    n, m = v.shape
    count = max(1, min(n, LONG // max(m, 1)))
    whole = n // count * count
    yield v[:whole].reshape(n // count, count * m)
    if whole < n:
        yield v[whole:]


def _sizes(v, weight):
    """Return the largest absolute values of columns, and their weighted sums, (m,) each."""
    largest = [np.abs(rows).max(axis=0) for rows in _side_by_side(v)]
    own = [each.reshape(-1, v.shape[1]).max(axis=0) for each in largest if each.size]
    return functools.reduce(np.maximum, own, np.zeros(v.shape[1])), weight @ v


def _deviations(center, v, weight):
    """Return the weighted sums of deviations from the center and of their squares, (m,) each."""
    deviation = np.empty_like(v)
    for rows, out in zip(_side_by_side(v), _side_by_side(deviation), strict=True):
        np.subtract(rows, np.resize(center, rows.shape[1]), out=out)
    first = weight @ deviation
    np.multiply(deviation, deviation, out=deviation)
    return first, weight @ deviation


def _moments(weight, columns):
    """Return the powers of two of columns, and sizes, means and deviations without them, (m,) each.

    A generator, which asks for sums, `Wanted`, a pass over the rows at a time; `weight` is that of
    all. The powers are taken out of the rows where these are extreme, else of the sums, to the same
    bits.
    """
    wanted = Wanted(_sizes, (np.maximum, np.add), columns)
    size, first = yield wanted
    exponent = np.frexp(size)[1]
    extreme = np.abs(exponent).max(initial=0) > SQUARED
    if extreme:
        wanted = wanted._replace(exponent=exponent)
        _, first = yield wanted
    first = first / weight
    deviations = functools.partial(_deviations, first)
    around, squares = yield wanted._replace(of=deviations, adds=(np.add, np.add))
    missed = around / weight  # what rounding has left of the mean
    found = first + missed, np.sqrt(np.maximum(squares / weight - missed**2, 0.0))
    found = found if extreme else (np.ldexp(each, -exponent) for each in found)
    return exponent, np.ldexp(size, -exponent), *found


@dataclass(frozen=True)
class Scaling:
    """Column-wise v -> (v·2^-exponent - center)·factor.

    The power of two is taken out first, so that data of size 1e±150 never overflow a square. A
    constant column of X has factor 0: it becomes exactly zero and its slopes stay zero.

    With many more columns than rows, `rotation` (m, r) takes the standardised columns to an
    orthonormal basis of the rows' space. Ridge penalties do not notice; the cost does.

    `source` (m,), if given, says from which columns of V the m columns are made.
    """

    exponent: np.ndarray
    center: np.ndarray
    factor: np.ndarray
    rotation: np.ndarray | None = None
    source: np.ndarray | None = None

    @classmethod
    def fit(cls, V, weight, standardize=True, constant_factor=0.0, *, columns=None, n_threads=1):
        """Return the scaling by weighted mean and standard deviation, found in two passes.

        Parameters
        ----------
        V : ndarray or sparse array of shape (n, m)
        weight : ndarray of shape (n,)
        standardize : bool
            False centres only.
        constant_factor : float
            Factor of a column without spread, in units of one over its size.
        columns : ndarray of int, default=None
            Those of V that are scaled; None: all.
        n_threads : int, default=1
        """
        if is_elsewhere(V):
            found = devices.moments(V, weight, columns)
            return cls._of_moments(*found, standardize, constant_factor)
        n, size = V.shape[0], block_rows(*V.shape[::-1])
        threads = Threads(n_threads if n > BLOCKS * size else 1)

        def answer(wanted):
            def piece(start):
                rows = slice(start, start + BLOCKS * size)
                return wanted.piece(V[rows], weight[rows], size)

            return functools.reduce(wanted.add, threads.map(piece, range(0, n, BLOCKS * size)))

        with threads:
            asking = cls.asked(weight.sum(), standardize, constant_factor, columns)
            return answered(asking, answer)

    @classmethod
    def asked(cls, weight, standardize=True, constant_factor=0.0, columns=None):
        """Return the scaling as `fit` does: a generator that asks for sums, `Wanted`.

        For rows that are read in passes; `weight` is the sum over all.
        """
        found = yield from _moments(weight, columns)
        return cls._of_moments(*found, standardize, constant_factor)

    @classmethod
    def _of_moments(cls, exponent, size, center, spread, standardize, constant_factor):
        constant = spread <= FLAT * size
        unit = np.where(constant, 1.0, spread)
        if not standardize:
            unit = np.ldexp(np.ones_like(unit), -exponent)
        factor = np.where(constant, constant_factor, 1 / unit)
        return cls(exponent, center, factor)

    @classmethod
    def fit_layout(cls, V, weight, standardize, layout, n_threads=1):
        """Return the scaling that makes the columns of `layout` (see `columns.Layout`) from V."""
        options = dict(columns=layout.source, n_threads=n_threads)
        return cls.fit(V, weight, standardize, **options).laid_out(layout)

    def laid_out(self, layout):
        """Return the scaling of the columns of `layout` from that of its sources."""
        if layout.source is None:
            return self
        plain = Scaling.identity(len(layout.source))
        return Scaling(
            np.where(layout.raw, plain.exponent, self.exponent),
            np.where(layout.raw, plain.center, self.center),
            np.where(layout.raw, plain.factor, self.factor),
            source=layout.source,
        )

    @classmethod
    def identity(cls, m):
        """Return the scaling that changes nothing, for m columns."""
        return cls(np.zeros(m, dtype=int), np.zeros(m), np.ones(m))

    def to_row_space(self, V, weight):
        """Return this scaling followed by a rotation onto the space that the rows of V span."""
        rows = np.sqrt(weight)[:, None] * to_host(self.apply(V)).astype(np.float64)
        _, values, basis = svd(rows, full_matrices=False, check_finite=False)
        basis = basis[values > 1e-10 * max(values[0], 1e-300)]
        largest = np.abs(basis).argmax(axis=1)  # fixes the signs, whatever the order of the rows
        basis *= np.sign(basis[np.arange(len(basis)), largest])[:, None]
        return replace(self, rotation=basis.T.copy())

    def apply(self, V):
        """Return V, dense or sparse, in internal units, a dense array (n, m).

        float32 stays so, but is centred in float64.
        """
        if is_elsewhere(V):
            single = V.dtype == namespace(V).float32
            return devices.standardised(self, V, FAR[np.float32 if single else np.float64])
        dtype = np.float32 if V.dtype == np.float32 else np.float64
        out = np.empty((V.shape[0], self.n_inner), dtype=dtype)
        size = block_rows(V.shape[1], max(V.shape[0], 1))
        for start in range(0, V.shape[0], size):  # bounds the temporary copies
            block = V[start : start + size]
            block = block if self.source is None else block[:, self.source]
            self._standardise(dense(block), out[start : start + size])
        return out

    def _standardise(self, block, out):
        """Write rows of the columns, dense, (m, columns) in internal units to `out`."""
        far = FAR[out.dtype.type]
        plain = self._is_ordinary and self.rotation is None
        known = block.dtype == out.dtype and block.flags.carray  # what it is compiled for
        if plain and known and is_loaded():
            from .._kernels import compiled  # which is there already

            return compiled.standardise(block, self.origin, self.slope, far, out)
        direct = out.dtype == np.float64 and self.rotation is None
        inner = out if direct else np.empty(block.shape)
        with np.errstate(over="ignore"):  # rows far from all data are clipped
            if self._is_ordinary:  # (v - c·2ᵉ)·(f·2⁻ᵉ) is (v·2⁻ᵉ - c)·f, to the last bit
                np.subtract(block, self.origin, out=inner)
                inner *= self.slope
            else:
                scaled = np.ldexp(block.astype(np.float64), -self.exponent)
                np.subtract(np.clip(scaled, -MOST, MOST), self.center, out=inner)
                inner *= self.factor
        np.minimum(inner, far, out=inner)
        np.maximum(inner, -far, out=inner)
        if not direct:
            out[...] = inner if self.rotation is None else inner @ self.rotation

    @functools.cached_property
    def changes(self):
        """Whether there is anything that it changes."""
        return bool(self.exponent.any() or self.center.any() or (self.factor != 1).any())

    @functools.cached_property
    def _is_ordinary(self):
        """Whether origin and slope of every column are far from the largest and least numbers."""
        slope = self.slope
        return bool(
            np.all(np.abs(self.exponent) <= ORDINARY)
            and np.all((slope == 0) | ((slope > 1e-250) & (slope < 1e250)))
        )

    def for_kernels(self, dtype):
        """Return origin, slope and largest number of every column, (3, p), for rows of a dtype.

        Compiled passes scale X by them on the way. None where they cannot: for chosen or rotated
        columns, and where powers of two are to be taken out first.
        """
        if self.rotation is not None or self.source is not None or not self._is_ordinary:
            return None
        return np.stack([self.origin, self.slope, np.full(len(self.slope), FAR[dtype.type])])

    @property
    def n_inner(self):
        """The number of columns inside."""
        return len(self.factor) if self.rotation is None else self.rotation.shape[1]

    def select(self, columns):
        """Return the scaling of some columns; None means all."""
        if columns is None:
            return self
        return Scaling(self.exponent[columns], self.center[columns], self.factor[columns])

    def with_spread_of(self, other):
        """Return this scaling, but for columns without spread that of `other`, of as many."""
        varies = self.factor > 0
        return replace(
            self,
            exponent=np.where(varies, self.exponent, other.exponent),
            center=np.where(varies, self.center, other.center),
            factor=np.where(varies, self.factor, other.factor),
        )

    @functools.cached_property
    def slope(self):
        """d internal / d caller, (m,); infinite where no number can hold it."""
        with np.errstate(over="ignore"):
            return np.ldexp(self.factor, -self.exponent)

    @property
    def width(self):
        """One over the factor, (m,); 0 for constant columns."""
        varies = self.factor > 0
        return np.where(varies, 1 / np.where(varies, self.factor, 1.0), 0.0)

    @functools.cached_property
    def unit(self):
        """d caller / d internal, (m,); 0 for constant columns."""
        return np.ldexp(self.width, self.exponent)

    @functools.cached_property
    def origin(self):
        """The caller's value that maps to 0, (m,)."""
        return np.ldexp(self.center, self.exponent)

    def log_volume(self):
        """Return log |d internal / d caller|, a float: added to a log density it is the caller's.

        Constant columns have no density and do not count.
        """
        varies = self.factor > 0
        return float(np.sum(np.log(self.factor[varies]) - self.exponent[varies] * np.log(2.0)))


class Scaled:
    """The caller's X, or y, in internal units, of which rows are made when they are asked for.

    Parameters
    ----------
    X : ndarray or sparse array of shape (n, p)
    scaling : Scaling
    units : ndarray of shape (3, p), default=None
        `Scaling.for_kernels`, for compiled passes, which then scale X on the way.
    """

    def __init__(self, X, scaling, units=None):
        self.X, self._scaling, self.units = X, scaling, units

    def __len__(self):
        return self.X.shape[0]

    @property
    def shape(self):
        """The numbers of rows, and of columns inside."""
        return self.X.shape[0], self.n_columns

    @property
    def n_columns(self):
        """The number of columns inside."""
        return self._scaling.n_inner

    def __getitem__(self, rows):
        """Return the rows at a slice or at positions, (m, p of the inside)."""
        return self._scaling.apply(rows_at(self.X, rows))

    def whole(self, what, rows=slice(None)):
        """Return all rows, or many, (m, p of the inside), for `what` needs them: `check_room`."""
        check_room(self.X, what)
        return self[rows]


def as_given(X):
    """Return the caller's rows behind rows that are `Scaled`; an array as it is."""
    return X.X if isinstance(X, Scaled) else X


def as_array(X):
    """Return rows in internal units, (n, p), whether or not they are `Scaled`."""
    return X[:] if isinstance(X, Scaled) else X


@dataclass(frozen=True)
class Units:
    """The scalings of X and y that a part sees, for converting its coefficients.

    `x` covers the part's own columns; `y` is the identity for families that do not scale y.
    """

    x: Scaling
    y: Scaling

    def coef_to_caller(self, coef):
        """Return slopes (..., q, p) and intercepts (..., q) of affine maps (..., q, 1 + p)."""
        x, y = self.x, self.y
        inner = coef[..., 1:] if x.rotation is None else coef[..., 1:] @ x.rotation.T
        inner = inner * x.factor * y.width[:, None]
        intercept = coef[..., 0] * y.width + y.center - inner @ x.center
        # The powers of two come last and together; what no number can hold becomes infinite.
        with np.errstate(over="ignore"):
            slopes = np.ldexp(inner, y.exponent[:, None] - x.exponent)
            return slopes, np.ldexp(intercept, y.exponent)

    def coef_from_caller(self, slopes, intercept):
        """Return affine maps (..., q, 1 + p), intercepts first: the inverse of `coef_to_caller`."""
        x, y = self.x, self.y
        with np.errstate(over="ignore"):
            slopes = np.ldexp(slopes, x.exponent - y.exponent[:, None])
            intercept = np.ldexp(intercept, -y.exponent)
        at_origin = (intercept + slopes @ x.center - y.center) * y.factor
        inner = slopes * x.width * y.factor[:, None]
        inner = inner if x.rotation is None else inner @ x.rotation
        return np.concatenate([at_origin[..., None], inner], axis=-1)


@dataclass(frozen=True)
class ReportedUnits:
    """From sums over rows inside the fit to what is reported, in the caller's units.

    A density changes its units by the volume: log p(y) = log p(z) + log |dz/dy| where z is the
    internal y. So the objective of all rows shifts by a sum of log volumes, once and for all.

    Parameters
    ----------
    weight_unit : float
        The caller's weight of an internal row of weight 1.
    total_weight : float
        Σ weight of the rows, inside.
    y_volume, x_volume : float, default=0.0
        Σ over the rows of log |d internal / d caller| of y, and of x where the gate models it.
    """

    weight_unit: float
    total_weight: float
    y_volume: float = 0.0
    x_volume: float = 0.0

    def objective(self, value):
        """Return a value of the penalised objective, a sum over rows; float."""
        return self.weight_unit * (value + self.y_volume + self.x_volume)

    def log_likelihood(self, value):
        """Return a value of Σ log p(y|x), of y alone; float."""
        return self.weight_unit * (value + self.y_volume)

    def curve(self, values):
        """Return values of the objective per unit of weight, as of rows held out, (m,)."""
        shift = self.objective(0.0) / (self.weight_unit * self.total_weight)
        return np.array(values) + shift
