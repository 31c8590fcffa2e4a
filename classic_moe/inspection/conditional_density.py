"""`ConditionalDensityDisplay`: the whole distribution of y along one feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import find_peaks
from sklearn.utils import _safe_indexing

from ..parts.checks import can
from ._axes import draw_note, expert_entries, legend_beside, one_axes, panels
from ._columns import closeness, describe_held_columns, drawn_text, table_with
from ._dependence import (
    Feature,
    draw_feature_axis,
    level_text,
    number_text,
    sampled,
    table_and_names,
)
from ._marks import draw_rows, row_colors
from ._palette import rgb_colors
from ._plane import slice_note
from ._predictions import Pick, check_rows, expert_names, responsibilities, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("average", "slice")
LEVELS = (0.25, 0.5, 0.75, 0.9, 0.95)
"""The probabilities of the bands."""
CELLS, MOST_CELLS = 300, 2000
"""Cells along what is shown of y, about, and along all of it, at most."""
NOTHING = 1e-9
"""The probability of a cell that is in no band."""
FAR = 0.5
"""How far the y axis goes beyond the data, as a share of their range."""
CROWDED = 300
"""Rows from which on their points are small, so that the bands can be seen."""
SHOWN = 0.98
"""The probability of the intervals that the y axis holds, and of how many of them."""
ROOM = 0.03
"""Of the y axis beyond these, as a share of its length."""
PROMINENCE = 0.05
"""How far a mode rises above the valleys beside it, as a share of the highest, to be marked."""


class ConditionalDensityDisplay:
    """The predictive distribution of y along one feature: bands, and densities at a few values.

    At the left a fan of bands: at every value of the feature the smallest regions that hold 25, 50,
    75, 90 and 95 % of the distribution [1]_. Where it has two modes a band has two parts, which a
    band between quantiles would hide. At the right the densities at a few values, marked at the
    left, made up of the experts: each area is an expert's density times its gating probability.
    Triangles mark the modes, where these are those of a row and not of an average over rows.

    Where there are other features, ``kind="average"`` gives the feature each value in turn in every
    row and averages the densities: partial dependence, wider than the distribution of any one row.
    ``kind="slice"`` holds them at their medians, or most frequent values, which the title says, and
    rows are the fainter the farther they are from it.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    grid : ndarray of shape (m,)
        Values of the feature, in the caller's units, or names of categories.
    edges : ndarray of shape (c + 1,)
        The ends of the cells along y.
    mass : ndarray of shape (m, c)
        The probability of each cell.
    slices : list of float or str
        Values of the feature.
    slice_mass : ndarray of shape (slices, K, c)
        At each of them the probability of each expert and cell; they sum to 1 but for the tails.
    x, y : ndarray of shape (n,), default=None
        The data; along categories x are the places of these.
    responsibilities : ndarray of shape (n, K), default=None
        They colour the data; without them the data are grey.
    closeness : ndarray of shape (n,), default=None
        Of a slice, how near every row is to it, from 0 to 1.
    deciles : ndarray of shape (9,), default=None
        Of the feature in the data; None for categories.
    levels : sequence of float, default=(0.25, 0.5, 0.75, 0.9, 0.95)
        The probabilities of the bands.
    feature_name, target_name : str, default="x" and "y"
        Labels of the axes.
    averaged : bool, default=False
        Whether the densities are averages over rows, so that their modes are those of no row.
    note : str, default=""
        A short remark above the picture.
    expert_names : list of str, default=None
        What the legend calls the experts; None: "expert 0" and so on.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Those of the bands.
    slice_axes_ : list of Axes
    figure_ : matplotlib Figure
    bands_ : ContourSet or QuadMesh
    data_ : PathCollection or None
    slice_lines_ : list of Line2D
        The densities at the right.
    modes_ : list of ndarray
        Where the densities at the right have their modes, from below; empty for averages.
    legend_ : Legend

    See Also
    --------
    ExpertCurvesDisplay : The experts' means, and one band between quantiles.
    CalibrationDisplay : Whether the distributions are right.

    References
    ----------
    .. [1] R. J. Hyndman, "Computing and graphing highest density regions", The American
       Statistician 50 (1996), 120-126.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> from classic_moe.inspection import ConditionalDensityDisplay
    >>> X, y = make_crossing_lines(random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    >>> display = ConditionalDensityDisplay.from_estimator(model, X, y, slices=[-0.9, 0, 0.9])
    >>> [len(modes) for modes in display.modes_]
    [2, 1, 2]
    """

    def __init__(
        self,
        *,
        grid,
        edges,
        mass,
        slices=(),
        slice_mass=None,
        x=None,
        y=None,
        responsibilities=None,
        closeness=None,
        deciles=None,
        levels=LEVELS,
        feature_name="x",
        target_name="y",
        averaged=False,
        note="",
        expert_names=None,
    ):
        self.grid = grid
        self.edges = edges
        self.mass = mass
        self.slices = slices
        self.slice_mass = slice_mass
        self.x = x
        self.y = y
        self.responsibilities = responsibilities
        self.closeness = closeness
        self.deciles = deciles
        self.levels = levels
        self.feature_name = feature_name
        self.target_name = target_name
        self.averaged = averaged
        self.note = note
        self.expert_names = expert_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        feature: int | str = 0,
        target: int | str | None = None,
        kind: str = "average",
        slices: Any = 3,
        levels: Any = LEVELS,
        grid_resolution: int | None = None,
        percentiles: tuple[float, float] = (0.01, 0.99),
        reach: float | None = None,
        subsample: int | None = 200,
        random_state: int | np.random.RandomState | None = 0,
        feature_name: str | None = None,
        target_name: str | None = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the predictive distributions of a fitted mixture of experts along one feature.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            Of a regressor. In a Pipeline the picture is in the units of X, before any
            transformation.
        X : array-like or DataFrame of shape (n, p)
            As for `predict`.
        y : array-like of shape (n,) or (n, q), default=None
            Without it there are no points.
        feature : int or str, default=0
            Column of X along the x axis: its position, or its name if the columns have names. One
            of text is drawn by its categories, the twelve most frequent ones.
        target : int, default=None
            Which output of several, by its position.
        kind : {"average", "slice"}, default="average"
            What becomes of the other columns: averaged over, or held.
        slices : int or list of values, default=3
            At which values of the feature to draw densities, or at how many: these are quantiles,
            of categories the most frequent ones. 0 draws none.
        levels : sequence of float, default=(0.25, 0.5, 0.75, 0.9, 0.95)
            The probabilities of the bands, in increasing order.
        grid_resolution : int, default=None
            Number of points along the x axis; a feature of at most half as many different values
            is drawn at these. None: 60 for averages, 240 where there is nothing to average.
        percentiles : pair of float, default=(0.01, 0.99)
            The shares of the data between which the bands run.
        reach : float, default=None
            As of `MeanDependenceDisplay.from_estimator`.
        subsample : int or None, default=200
            The most rows over which densities are averaged; None takes all.
        random_state : int, RandomState instance or None, default=0
            Chooses these rows.
        feature_name, target_name : str, default=None
            Labels of the axes, with units where there are any.
        ax : matplotlib Axes, default=None
            None makes a figure; one of a grid gives its place to the panels.
        **styles : dict
            `colors`, `cmap`, `data_kw`, `slice_kw` as in `plot`.

        Returns
        -------
        ConditionalDensityDisplay

        Raises
        ------
        ValueError
            If the estimator has no predictive distributions, the feature is unknown or empty,
            `kind`, `levels` or `slices` are none, or there are several outputs and `target` does
            not say which.
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: needs one of {', '.join(map(repr, KINDS))}.")
        _check_levels(levels)
        model, transform = unwrap(estimator, cls)
        if not can(model, "predict_dist"):
            raise ValueError(
                f"{cls.__name__} needs predictive distributions; this {type(model).__name__} has"
                " none (predict_dist)."
            )
        X, names = table_and_names(X, estimator)
        check_rows(len(X), y)
        if grid_resolution is None:
            grid_resolution = 60 if kind == "average" and X.shape[1] > 1 else 240
        along = Feature.of(X, names, feature, grid_resolution, percentiles)
        cuts = along.at(slices, X)
        rows, note = _rows(X, names, along, kind, subsample, random_state)
        pick = Pick(model, target, model.predict_experts(transform(rows[:1])))
        found = _Masses(pick, transform, rows, reach if kind == "average" else None)
        observed = None if y is None else pick.observed(y)
        edges = found.edges(along, observed)
        display = cls(
            grid=along.grid,
            edges=edges,
            mass=found.total(along, edges),
            slices=list(cuts.grid),
            slice_mass=found.by_expert(cuts, edges),
            x=along.places(X),
            y=observed,
            responsibilities=None if y is None else responsibilities(model, transform(X), y),
            closeness=closeness(X, [along.column]) if kind == "slice" else None,
            deciles=along.deciles,
            levels=levels,
            feature_name=drawn_text(along.name) if feature_name is None else feature_name,
            target_name=pick.name(y) if target_name is None else target_name,
            averaged=len(rows) > 1,
            note=note,
            expert_names=expert_names(model),
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        cmap: Any = "Greys",
        data_kw: dict[str, Any] | None = None,
        slice_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure; one of a grid gives its place to the panels.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart.
        cmap : str or Colormap, default="Greys"
            Of the bands, from light to dark.
        data_kw, slice_kw : dict, default=None
            For matplotlib's `scatter` and `plot`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        K, n = np.shape(self.slice_mass)[1], len(self.slices)
        colors = rgb_colors(colors, K)
        if n:
            ratios = dict(width_ratios=[4, *[1] * n], sharey=True)
            figure, axes = panels(ax, (7 + 0.9 * n, 4.5), (1, 1 + n), **ratios)
            self.ax_, *self.slice_axes_ = axes[0]
        else:
            self.ax_, self.slice_axes_, figure = one_axes(ax, (7.5, 4.5)), [], None
        self.figure_ = self.ax_.figure.canvas.figure
        shades = self._draw_bands(cmap)
        self._draw_data(colors, data_kw or {})
        draw_feature_axis(self.ax_, self.grid, self.deciles, self.feature_name)
        self.ax_.set(ylabel=self.target_name, ylim=_shown(self.edges[0], self.edges[-1], self.y))
        draw_note(self.ax_, slice_note(self.note, self.closeness, self.y is not None), figure)
        self._draw_slices(colors, slice_kw or {})
        self._draw_legend(colors, shades)
        return self

    @property
    def _centers(self):
        """The middles of the cells along y, (c,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def coverage(self) -> NDArray[Any]:
        """Return the probability of all cells that are denser than each, (m, c).

        The smallest region of probability L is that of the cells where it is below L.

        Returns
        -------
        ndarray of shape (m, c)
        """
        order = np.argsort(-self.mass, axis=1, kind="stable")
        own = np.take_along_axis(self.mass, order, axis=1)
        denser = np.where(own > NOTHING, np.cumsum(own, axis=1) - own, 1.0)
        found = np.empty_like(self.mass)
        np.put_along_axis(found, order, denser, axis=1)
        return found

    def _draw_bands(self, cmap):
        """Draw the bands, dark where y is most probable; return their colours, (levels, 4)."""
        from matplotlib import colormaps
        from matplotlib.colors import BoundaryNorm, ListedColormap

        map_ = colormaps[cmap] if isinstance(cmap, str) else cmap
        shades = map_(np.linspace(0.62, 0.12, len(self.levels)))
        ends, found = [-0.01, *self.levels], self.coverage()
        if self.averaged and self.deciles is not None and len(self.grid) > 1:
            style = dict(levels=ends, colors=shades, zorder=0.5)
            self.bands_ = self.ax_.contourf(self.grid, self._centers, found.T, **style)
            return shades
        # Steep and narrow bands of one row, which contours would cut into islands.
        if self.deciles is not None:
            places = _between(self.grid)
        else:  # categories stand apart from each other
            places = np.repeat(np.arange(len(self.grid)), 2).astype(float)
            places += np.tile([-0.35, 0.35], len(self.grid))
            cells = np.full((2 * len(self.grid) - 1, found.shape[1]), np.inf)
            cells[::2], found = found, cells
        style = dict(cmap=ListedColormap(shades), norm=BoundaryNorm(ends, len(shades)), zorder=0.5)
        cells = np.ma.masked_greater_equal(found, self.levels[-1])
        self.bands_ = self.ax_.pcolormesh(places, self.edges, cells.T, rasterized=True, **style)
        return shades

    def _draw_data(self, colors, style):
        """Draw the rows, their colours mixed by responsibility, and where the slices are."""
        self.data_ = None
        if self.y is not None:
            there = np.isfinite(self.x)
            x = self.x[there]
            if self.deciles is None:  # points of a category side by side
                x = x + np.random.default_rng(0).uniform(-0.25, 0.25, len(x))
            resp = None if self.responsibilities is None else self.responsibilities[there]
            near = None if self.closeness is None else self.closeness[there]
            mixed = row_colors(resp, colors, len(x), grey=0.35)
            default = dict(s=14) if len(x) <= CROWDED else dict(s=9, linewidths=0)
            self.data_ = draw_rows(self.ax_, x, self.y[there], mixed, near, default | style)
        for value in self.slices if self.deciles is not None else ():
            self.ax_.axvline(value, color="0.25", linewidth=0.9, linestyle="--", zorder=2)

    def _draw_slices(self, colors, style):
        """Draw the densities at a few values, as the sum of what the experts give."""
        self.slice_lines_, self.modes_ = [], []
        width = np.diff(self.edges)
        for ax, value, masses in zip(self.slice_axes_, self.slices, self.slice_mass, strict=True):
            parts = np.vstack([np.zeros(len(width)), np.cumsum(masses, axis=0)]) / width
            for k, color in enumerate(colors):
                between = dict(color=color, linewidth=0, alpha=0.75)
                ax.fill_betweenx(self._centers, parts[k], parts[k + 1], **between)
            default = dict(color="black", linewidth=1)
            self.slice_lines_ += ax.plot(parts[-1], self._centers, **default | style)
            peaks = _modes(parts[-1]) if not self.averaged else np.array([], dtype=int)
            self.modes_.append(self._centers[peaks])
            marks = dict(marker="<", color="black", markersize=5, linestyle="none", clip_on=False)
            top = parts[-1].max() or 1.0
            if len(peaks):
                ax.plot(parts[-1][peaks] + 0.09 * top, self._centers[peaks], **marks)
            text = level_text(value) if self.deciles is None else number_text(value, self.grid)
            ax.set(xlim=(0, 1.2 * top), xticks=[])
            ax.set_title(f"at {text}", fontsize="small")
        if self.slice_axes_:
            middle = self.slice_axes_[(len(self.slice_axes_) - 1) // 2]
            middle.set_xlabel("density")

    def _draw_legend(self, colors, shades):
        """Say beside the axes which band holds how much, and whose the densities are."""
        from matplotlib.patches import Patch

        handles = [Patch(facecolor=shade) for shade in shades]
        labels = [f"{100 * level:g} %" for level in self.levels]
        if self.slice_axes_ or self.responsibilities is not None:
            own = expert_entries(lambda c: Patch(facecolor=c), colors, self.expert_names)
            handles, labels = handles + own[0], labels + own[1]
        last = [self.ax_, *self.slice_axes_][-1]
        self.legend_ = legend_beside(last, handles, labels, fontsize="small")


class _Masses:
    """What fitted distributions give to cells along y, averaged over rows.

    Parameters
    ----------
    pick : Pick
    transform : callable (X) -> X
        What is done to a table before the model.
    rows : array or DataFrame of shape (n, p)
    reach : float or None
    """

    def __init__(self, pick, transform, rows, reach):
        self.pick = pick
        self.transform = transform
        self.rows = rows
        self.reach = reach

    def edges(self, along, y):
        """Return the ends of cells that hold nearly all probability and the data, (c + 1,)."""
        rows = _safe_indexing(self.rows, np.arange(min(len(self.rows), 20)))
        few = along.at(min(9, len(along.grid)), None)
        dist = self.pick.model.predict_dist(self.transform(few.table(rows)))
        low, high = (self.pick.output(end) for end in dist.interval(SHOWN))
        low, high = float(np.quantile(low, 1 - SHOWN)), float(np.quantile(high, SHOWN))
        if y is not None:
            low, high = min(low, float(np.min(y))), max(high, float(np.max(y)))
        low, high = low - ROOM * (high - low), high + ROOM * (high - low)
        jumps = [self.pick.output(end) for end in dist.pit_bounds(dist.median())]
        if np.max(jumps[1] - jumps[0]) > 0:  # counts: a cell for each, or for several
            low, high = np.floor(low), np.ceil(high)
            step = max(1.0, np.ceil((high - low + 1) / CELLS))
            return np.arange(low, high + step, step) - 0.5
        high = high if high > low else low + 1.0
        least, most = _shown(low, high, y)
        cells = min(int(CELLS * (high - low) / (most - least)), MOST_CELLS)
        return np.linspace(low, high, cells + 1)

    def total(self, along, edges):
        """Return the probability of every cell, (m, c)."""
        return self._averaged(along, lambda dist: self._cells(dist, edges))

    def by_expert(self, along, edges):
        """Return the probability of every expert and cell, (m, K, c)."""
        K = len(self.pick.model.weights_)

        def of_one(k):
            def cells(dist):
                alone = type(dist)(np.eye(K)[np.full(len(dist.weights), k)], dist.components)
                return dist.weights[:, k, None] * self._cells(alone, edges)

            return cells

        if not len(along.grid):
            return np.zeros((0, K, len(edges) - 1))
        return np.stack([self._averaged(along, of_one(k)) for k in range(K)], axis=1)

    def _averaged(self, along, cells):
        """Return what `cells` gives for the distributions at every value, (m, c)."""

        def says(at):
            return cells(self.pick.model.predict_dist(at))

        weights, found = along.weights(self.rows, self.reach), []
        for i, weight in enumerate(weights.T):  # one at a time, for want of memory
            of_rows = along.only([i]).evaluate(says, self.transform, self.rows)
            found.append(weight @ of_rows[:, 0])
        return np.array(found)

    def _cells(self, dist, edges):
        """Return the probability of every cell in each distribution, (n, c)."""
        if np.ndim(dist.mean()) == 1:
            return np.diff(dist.cdf(edges[:, None]), axis=0).T
        at = np.broadcast_to(edges[:, None, None], (len(edges), 1, dist.mean().shape[1]))
        return np.diff(self.pick.output(dist.cdf(at)), axis=0).T


def _rows(X, names, along, kind, subsample, random_state):
    """Return the rows that densities are averaged over, and in words what is done to others."""
    if X.shape[1] == 1:
        return _safe_indexing(X, [0]), ""
    if kind == "slice":
        typical = table_with(X, {along.column: np.asarray(along.values)[:1]})
        return typical, describe_held_columns(X, [along.column], names)
    rows = sampled(X, subsample, random_state)
    return rows, f"distributions averaged over {len(rows):,} rows"


def _shown(low, high, y):
    """Return the ends of the y axis: the distributions', but not far beyond the data."""
    if y is None:
        return low, high
    least, most = float(np.min(y)), float(np.max(y))
    room = FAR * ((most - least) or 1.0)
    return max(low, least - room), min(high, most + room)


def _between(grid):
    """Return the ends of columns around the points of a grid, (m + 1,)."""
    if len(grid) == 1:
        return grid[0] + np.array([-0.5, 0.5])
    middle = (grid[1:] + grid[:-1]) / 2
    return np.concatenate(
        [[1.5 * grid[0] - 0.5 * grid[1]], middle, [1.5 * grid[-1] - 0.5 * grid[-2]]]
    )


def _modes(density):
    """Return where a density on cells has its modes, ndarray of int."""
    padded = np.concatenate([[0.0], density, [0.0]])
    return find_peaks(padded, prominence=PROMINENCE * density.max())[0] - 1


def _check_levels(levels):
    """ValueError unless levels are probabilities in increasing order."""
    levels = np.asarray(levels, dtype=float)
    if levels.ndim != 1 or not len(levels) or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"levels={levels.tolist()!r}: needs probabilities between 0 and 1.")
    if not (np.diff(levels) > 0).all():
        raise ValueError(f"levels={levels.tolist()!r}: needs them in increasing order.")
