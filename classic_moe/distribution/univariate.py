"""Components with one output behind one interface: those of scipy, of one family or of several."""

import copy
from typing import Any

import numpy as np
from scipy import special, stats
from scipy.stats.distributions import rv_frozen

from .families import Normal, square
from .multivariate import MultivariateComponents

__all__ = ["Assembly", "UnionComponents", "family_of", "side_by_side"]


def family_of(components, shape):
    """Return the components of mixtures of `shape` (..., K) as a `Family` or `Families`."""
    if isinstance(components, UnionComponents):
        return Families(components.parts, shape)
    _check_frozen(components)
    normal = type(components.dist) in (Normal, type(stats.norm))
    if normal and np.all(_parameters(components).get("scale", 1.0) > 0):
        return Normals(components, shape)
    return Family(components, shape)


class Family:
    """K components of one family in each mixture of a batch (..., K).

    Parameters
    ----------
    components : frozen distribution of scipy
        Continuous, or on the integers; its parameters broadcast to `shape`.
    shape : tuple
    """

    def __init__(self, components, shape):
        _check_frozen(components)
        self._dist = components.dist
        self.discrete = isinstance(self._dist, stats.rv_discrete)
        given = _parameters(components)
        given.setdefault("loc", 0.0)  # then scipy's results have the shape of the batch
        try:
            self._parameters = {name: np.broadcast_to(a, shape) for name, a in given.items()}
        except ValueError:
            shapes = {name: np.shape(a) for name, a in given.items()}
            raise ValueError(
                f"parameters of components have shapes {shapes}; give each a shape that "
                f"broadcasts to that of weights, {shape}."
            ) from None
        self._shape = shape

    compiled_quantiles = None
    """Whether and how there are quantiles of mixtures by a kernel."""

    def part(self, rows):
        """Return the components of the mixtures in a slice of the batch."""
        twin = copy.copy(self)
        twin._parameters = {name: a[rows] for name, a in self._parameters.items()}
        twin._shape = twin._parameters["loc"].shape
        return twin

    def each(self, method, *y, rows=()):
        """Return a method of scipy's for every component, at y (...) if it takes one: (..., K)."""
        if self.discrete:
            method = method.replace("pdf", "pmf")
        parameters = {name: a[tuple(rows)] for name, a in self._parameters.items()}
        return getattr(self._dist, method)(*(a[..., None] for a in y), **parameters)

    def support(self):
        """Return the ends of every support, (..., K) each."""
        ends = self._dist.support(**self._parameters)
        return tuple(np.broadcast_to(end, self._shape) for end in ends)

    def standard(self):
        """Return the standard deviation at scale 1, and the scale, (..., K) each.

        Of continuous components; the product may overflow.
        """
        unit = self._dist.std(**(self._parameters | {"loc": 0.0, "scale": 1.0}))
        scale = self._parameters.get("scale", np.ones(self._shape))
        return np.broadcast_to(unit, self._shape), scale

    def quantile(self, level, k):
        """Return the quantile of component k alone, (..., 1), as level and k are."""
        shape = (*k.shape[:-1], self._shape[-1])
        parameters = {
            name: np.take_along_axis(np.broadcast_to(a, shape), k, axis=-1)
            for name, a in self._parameters.items()
        }
        return self._dist.ppf(level, **parameters)

    def draw(self, rows, k, rng):
        """Return draws from component k of the mixtures named, of the shape of rows and k."""
        chosen = {name: a[rows, k] for name, a in self._parameters.items()}
        return self._dist.rvs(**chosen, size=k.shape, random_state=rng)


class Normals(Family):
    """Normal components, by their formulas: scipy's checks of its arguments cost more than these.

    Every scale is positive.
    """

    def __init__(self, components, shape):
        super().__init__(components, shape)
        self._parameters.setdefault("scale", np.broadcast_to(1.0, shape))

    def each(self, method, *y, rows=()):
        loc, scale = (self._parameters[name][tuple(rows)] for name in ("loc", "scale"))
        if not y:
            return {"mean": loc, "std": scale}[method] if method != "var" else scale**2
        if method == "ppf":
            return loc + scale * special.ndtri(y[0][..., None])
        z = (y[0][..., None] - loc) / scale
        if method in ("cdf", "sf"):
            return special.ndtr(z if method == "cdf" else -z)
        log_density = -0.5 * square(z) - (np.log(scale) + 0.5 * np.log(2 * np.pi))
        return log_density if method == "logpdf" else np.exp(log_density)

    def standard(self):
        return np.broadcast_to(1.0, self._shape), self._parameters["scale"]

    def compiled_quantiles(self, q, weights):
        """Return the quantiles of the mixtures at levels q (..., of the batch), by a kernel."""
        from .._kernels import compiled  # numba is imported here, at first use

        loc, scale = self._parameters["loc"], self._parameters["scale"]
        K = self._shape[-1]
        rows = (np.broadcast_to(a, (*q.shape, K)).reshape(-1, K) for a in (weights, loc, scale))
        levels = q.ravel()
        z = special.ndtri(np.minimum(levels, 1 - levels))
        return compiled.normal_quantiles(levels, z, *rows).reshape(q.shape)

    def quantile(self, level, k):
        loc, scale = (
            np.take_along_axis(np.broadcast_to(a, (*k.shape[:-1], self._shape[-1])), k, axis=-1)
            for a in (self._parameters["loc"], self._parameters["scale"])
        )
        return loc + scale * special.ndtri(level)


class Families:
    """Components of several families side by side; the methods are those of `Family`."""

    compiled_quantiles = None

    def __init__(self, parts, shape):
        widths = [_width(part) for part in parts]
        if sum(widths) != shape[-1]:
            raise ValueError(
                f"parameters of components make {sum(widths)} columns; weights has {shape[-1]}."
            )
        self._families = [
            family_of(part, (*shape[:-1], width)) for part, width in zip(parts, widths, strict=True)
        ]
        self.discrete = self._families[0].discrete
        if any(family.discrete != self.discrete for family in self._families):
            raise ValueError(
                "components mix continuous distributions and counts, whose densities and masses"
                " have no common measure."
            )
        self._first = np.cumsum([0, *widths[:-1]])  # column of the first component of each family
        self._owner = np.repeat(np.arange(len(parts)), widths)

    def part(self, rows):
        twin = copy.copy(self)
        twin._families = [family.part(rows) for family in self._families]
        return twin

    def each(self, method, *y, rows=()):
        return _join(family.each(method, *y, rows=rows) for family in self._families)

    def support(self):
        pairs = (family.support() for family in self._families)
        return tuple(_join(each) for each in zip(*pairs, strict=True))

    def standard(self):
        pairs = (family.standard() for family in self._families)
        return tuple(_join(each) for each in zip(*pairs, strict=True))

    def quantile(self, level, k):
        out = np.full(np.broadcast_shapes(level.shape, k.shape), np.nan)
        for j, family in enumerate(self._families):
            mine = self._owner[k] == j
            own = np.where(mine, k - self._first[j], 0)
            out = np.where(mine, family.quantile(level, own), out)
        return out

    def draw(self, rows, k, rng):
        out = np.empty(k.shape, dtype=np.int64 if self.discrete else np.float64)
        rows = np.broadcast_to(rows, k.shape)
        for j, family in enumerate(self._families):
            mine = self._owner[k] == j
            out[mine] = family.draw(rows[mine], k[mine] - self._first[j], rng)
        return out


def _join(columns):
    return np.concatenate(list(columns), axis=-1)


def _check_frozen(components):
    """TypeError unless components are a frozen distribution of scipy, of one family."""
    if not isinstance(components, rv_frozen):
        raise TypeError(
            f"components is of type {type(components).__name__}; pass a frozen scipy distribution"
            " such as scipy.stats.norm(loc, scale), or MultivariateNormalComponents."
        )


def _parameters(components):
    """Return the parameters of a frozen distribution by name."""
    names = [*(components.dist.shapes or "").replace(",", " ").split(), "loc", "scale"]
    given = dict(zip(names, components.args, strict=False)) | components.kwds
    return {name: np.asarray(value) for name, value in given.items()}


def _width(components):
    """Return the number of components that the parameters of a frozen distribution make."""
    _check_frozen(components)
    given = _parameters(components).values()
    return (1, *np.broadcast_shapes(*(a.shape for a in given)))[-1]


class UnionComponents:
    """Components of different families side by side, one output.

    Parameters
    ----------
    parts : list of frozen distributions of scipy
        All continuous or all on the integers. The parameters of each broadcast to (n, K_j), and
        the last axis of at least one of them is K_j; together they make K columns.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from classic_moe.distribution import MixtureDistribution, UnionComponents
    >>> line = stats.norm(loc=np.array([[0.0], [1.0]]))
    >>> waiting = stats.gamma(2.0, scale=np.array([[1.0], [3.0]]))
    >>> weights = np.array([[0.5, 0.5], [0.1, 0.9]])
    >>> MixtureDistribution(weights, UnionComponents([line, waiting])).mean()
    array([1. , 5.5])
    """

    def __init__(self, parts: Any) -> None:
        self.parts = list(parts)


class Assembly:
    """Components of n rows, one output, put together from those of some rows at a time.

    The first rows come before all others, and are two at least, or all there are. Parameters with
    an entry for each of them are joined; the others are those of all rows.

    Parameters
    ----------
    n : int
    """

    def __init__(self, n):
        self._n, self._parts, self._dist, self._joined, self._same = n, None, None, {}, {}

    def put(self, rows, components):
        """Take the components of the rows in a slice, frozen of scipy or `UnionComponents`."""
        if isinstance(components, UnionComponents):
            if self._parts is None:
                self._parts = [Assembly(self._n) for _ in components.parts]
            for own, part in zip(self._parts, components.parts, strict=True):
                own.put(rows, part)
            return
        given, m = _parameters(components), rows.stop - rows.start
        if self._dist is None:
            self._dist = components.dist
            for name, value in given.items():
                by_row = value.ndim == 2 and len(value) == m
                kept = self._joined if by_row else self._same
                kept[name] = np.empty((self._n, value.shape[1]), value.dtype) if by_row else value
        for name, whole in self._joined.items():
            whole[rows] = given[name]

    def whole(self):
        """Return the components of all rows."""
        if self._parts is not None:
            return UnionComponents([part.whole() for part in self._parts])
        return self._dist(**self._joined, **self._same)


class MultivariateUnion(MultivariateComponents):
    """Components of different families side by side, q outputs.

    Parameters
    ----------
    parts : list of MultivariateComponents
    """

    def __init__(self, parts):
        self.parts = list(parts)
        self.mean = np.concatenate([part.mean for part in self.parts], axis=1)
        self.covariance = np.concatenate([part.covariance for part in self.parts])

    def part(self, rows):
        return MultivariateUnion([part.part(rows) for part in self.parts])

    def logpdf(self, y):
        return _join(part.logpdf(y) for part in self.parts)

    def marginals(self):
        return UnionComponents([part.marginals() for part in self.parts])

    def draw(self, expert, rng):
        out = np.empty((*expert.shape, self.mean.shape[2]))
        first = 0
        for part in self.parts:
            own = expert - first
            mine = (0 <= own) & (own < part.mean.shape[1])
            out[mine] = part.draw(np.where(mine, own, 0), rng)[mine]
            first += part.mean.shape[1]
        return out

    def beside(self, others):
        return joined([self, *others])


def side_by_side(parts):
    """Return the components of several experts as one object, with one output or several."""
    several = all(isinstance(part, MultivariateComponents) for part in parts)
    return MultivariateUnion(parts) if several else UnionComponents(parts)


def joined(each):
    """Return the components of the same experts under several parameters as one object.

    Parameters
    ----------
    each : list of S components of (n, K) pairs, of the same families in the same order

    Returns
    -------
    components
        Of (n, K S) pairs: all S of the first expert, then those of the second, and so on.
    """
    first = each[0]
    if len(each) == 1:
        return first
    if isinstance(first, (UnionComponents, MultivariateUnion)):
        members = zip(*(own.parts for own in each), strict=True)
        return type(first)([joined(list(member)) for member in members])
    if isinstance(first, MultivariateComponents):
        return first.beside(each[1:])
    given = [_parameters(own) for own in each]
    K = (1, *np.broadcast_shapes(*(value.shape for value in given[0].values())))[-1]
    return first.dist(**{name: _beside([own[name] for own in given], K) for name in given[0]})


def _beside(values, K):
    """Return S values of one parameter, (n, K), (K,) or numbers, side by side: (n, K S)."""
    if all(value.ndim == 0 and value == values[0] for value in values):
        return values[0]
    stacked = np.stack([np.broadcast_to(v, (*v.shape[:-1], K)) for v in values], axis=-1)
    return stacked.reshape(*stacked.shape[:-2], -1)
