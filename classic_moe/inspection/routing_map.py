"""`RoutingMapDisplay`: which experts the rows at every point of the plane are sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..parts.checks import can, is_integer
from ._axes import draw_note, legend_beside, one_axes
from ._columns import find_columns
from ._dependence import table_and_names
from ._marks import draw_rows
from ._palette import MOST_HUES, rgb_colors
from ._plane import Plane, slice_note
from ._predictions import one_gate, part_name, unwrap
from ._regions import (
    LEAST_DEPTH,
    deepest_point,
    draw_borders,
    draw_number,
    extent_of,
    pieces,
    set_apart,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TINTS = ("#DCE9F3", "#F7E3C0", "#D5ECE4", "#F0DCE8", "#E6E6E6", "#F5F2C4")
"""Of regions that touch each other, where the colours do not say which expert it is."""
STRENGTH, OF_STRIPES = 0.42, 0.75
"""How much of its colour an expert's region has, and its stripes in regions of others."""
PIXELS, PERIOD, WIDTH = 800, 32, 10
"""Pixels of a side of the picture at least, and of the distance and width of its stripes."""
NOBODY = -1
"""Number of the expert where a row is sent to none, and has shared ones alone."""


class RoutingMapDisplay:
    """The plane of two features in the colours of the experts that rows are sent to.

    Every point has the colour of the expert that counts most there, by the weights of `route`, or
    in mixtures whose rows have all experts by the gate; where rows have a second one, stripes have
    the colour of that. Points where no expert is chosen are white. The number of an expert stands
    in its largest region. More than 12 experts are told apart by the numbers, ``first, second``,
    and colours only set neighbours apart.

    The rows lie on top. Rows that would be dropped by an expert, had training all these rows as one
    batch (`dropped` of the sparse blends), are crosses.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    grids : list of two ndarray
        Values of the features, in the caller's units.
    first, second : ndarray of int of shape (m_2, m_1)
        The number of the expert that counts most, and of the next one, rows along the second
        feature; -1: there is none. `second` may be None.
    n_experts : int
        K.
    points : ndarray of shape (n, 2), default=None
        The rows.
    dropped : ndarray of bool of shape (n,), default=None
        Which of them an expert would drop.
    closeness : ndarray of shape (n,), default=None
        How near every row is to the slice, from 0 to 1; None: there is no other feature.
    feature_names : list of str, default=None
        Labels of the axes.
    part_name : str, default="expert"
        "expert" or "leaf".
    note : str, default=""
        A short remark above the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : AxesImage
    borders_ : ContourSet or None
        The lines between regions of the first expert; None where there is but one.
    region_labels_ : list of Text
        The numbers of the experts, in regions that have room for them.
    data_ : PathCollection or None
    crosses_ : PathCollection or None
    legend_ : Legend or None

    See Also
    --------
    GateRegionDisplay : The most probable expert, and how probable it is.

    Examples
    --------
    >>> from classic_moe import SparseMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> from classic_moe.inspection import RoutingMapDisplay
    >>> X, y = make_voronoi_pieces(400, n_pieces=6, random_state=0)
    >>> options = dict(combine="blend", capacity_factor=1.0, max_iter=10, random_state=0)
    >>> model = SparseMixtureOfExpertsRegressor(6, k=2, **options).fit(X, y)
    >>> display = RoutingMapDisplay.from_estimator(model, X, grid_resolution=50)
    >>> display.first.shape, bool((display.first != display.second).all())
    ((50, 50), True)
    >>> bool((display.dropped == model.dropped(X).any(axis=1)).all())
    True
    """

    def __init__(
        self,
        *,
        grids,
        first,
        second=None,
        n_experts,
        points=None,
        dropped=None,
        closeness=None,
        feature_names=None,
        part_name="expert",
        note="",
    ):
        self.grids = grids
        self.first = first
        self.second = second
        self.n_experts = n_experts
        self.points = points
        self.dropped = dropped
        self.closeness = closeness
        self.feature_names = feature_names
        self.part_name = part_name
        self.note = note

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        k: int | None = None,
        features: Any = None,
        target: int | str | None = None,
        grid_resolution: int | None = 200,
        feature_names: Any = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw which experts rows are sent to by a fitted mixture or blend.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            In a Pipeline the picture is in the units of X, before any transformation.
        X : array-like or DataFrame of shape (n, 2), or (n, p) with `features`
            As for `predict`; it is drawn, and sets the range of the axes.
        k : int, default=None
            How many experts of a point to show, 1 or 2. None: 2 where rows are sent to several, 1
            in a mixture whose rows have all.
        features : pair of int or str, default=None
            Columns of X along the axes, by position or by name. None: the two that there are.
            Others are held at their median, or at their most frequent value if they are text.
        target : int, or a label, default=None
            Where each class or output has a gate of its own (Meta-Pi's ``per_class``): which one to
            draw, a class by its label, an output by its position.
        grid_resolution : int, default=200
            Number of points along each axis, at least 2.
        feature_names : pair of str, default=None
            Labels of the axes, with units where there are any; None takes the names of the columns.
        random_state : int, RandomState or None, default=None
            As of `dropped`.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `image_kw`, `border_kw`, `data_kw`, `cross_kw` as in `plot`.

        Returns
        -------
        RoutingMapDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts or sends all rows to all experts alike; if X
            has not two features and `features` does not say which; if `k` or the grid is none.
        """
        if not (k is None or (is_integer(k) and k in (1, 2))):
            raise ValueError(f"k={k!r}: a map shows 1 or 2 experts of a point, or None.")
        model, transform = unwrap(estimator, cls)
        X, names = table_and_names(X, estimator)
        columns = _two_columns(features, names)
        plane = Plane.of(X, names, columns, grid_resolution, feature_names)
        weight, several = _weights(model, transform(plane.table), target)
        first, second = _best_two(weight).reshape(2, *plane.shape)
        dropped = None
        if can(model, "dropped"):
            dropped = model.dropped(transform(X), random_state=random_state).any(axis=1)
        display = cls(
            first=first,
            second=second if (2 if k is None and several else k) == 2 else None,
            n_experts=weight.shape[1],
            dropped=dropped if dropped is not None and dropped.any() else None,
            part_name=part_name(model) if can(model, "describe") else "expert",
            **plane.facts(),
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        image_kw: dict[str, Any] | None = None,
        border_kw: dict[str, Any] | None = None,
        data_kw: dict[str, Any] | None = None,
        cross_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart, and
            five further ones; of more than 12 experts colours only set neighbours apart.
        image_kw, border_kw, data_kw, cross_kw : dict, default=None
            For matplotlib's `imshow`, `contour`, `scatter` and `scatter`, on top of what is drawn
            by default.

        Returns
        -------
        self
        """
        ax = one_axes(ax, (6.8, 4.8))
        self.ax_, self.figure_ = ax, ax.figure
        hues = colors is not None or self.n_experts <= MOST_HUES
        shades = self._shades(colors, hues)
        style = dict(origin="lower", aspect="auto", interpolation="nearest", zorder=0)
        style["extent"] = extent_of(self.grids)
        self.image_ = ax.imshow(self._picture(shades, hues), **style | (image_kw or {}))
        plain = hues and self.second is None
        style = dict(colors="white" if plain else "0.2", linewidths=1.4 if plain else 0.9)
        style["zorder"] = 0.5
        self.borders_ = draw_borders(ax, self.grids, self.first, style | (border_kw or {}))
        if not hues and self.second is not None:
            style = dict(colors="0.45", linewidths=0.6, linestyles=":", zorder=0.5)
            draw_borders(ax, self.grids, self.second, style)
        self._draw_numbers(shades, hues)
        self._draw_rows(data_kw or {}, cross_kw or {})
        names = self.feature_names or ["x0", "x1"]
        ax.set(xlabel=names[0], ylabel=names[1])
        draw_note(ax, slice_note(self.note, self.closeness))
        self._draw_legend(shades, hues)
        return self

    def _shades(self, colors, hues):
        """Return the colour of every expert, (K, 3): its own, or one unlike those beside it."""
        if hues:
            return rgb_colors(colors, self.n_experts)
        from matplotlib.colors import to_rgb

        tint = set_apart(self.first, len(TINTS))
        return np.array([to_rgb(TINTS[tint.get(k, 0)]) for k in range(self.n_experts)])

    def _picture(self, shades, hues):
        """Return the plane in the colours of the experts, pixels (a, b, 3), with stripes."""
        pale = 1 - STRENGTH * (1 - shades) if hues else shades
        pale = np.vstack([pale, np.ones(3)])  # nobody, number -1, is white
        finer = [-(-PIXELS // m) for m in self.first.shape]
        if self.second is None or not hues:
            return pale[self.first]
        first, second = (np.kron(e, np.ones(finer, dtype=int)) for e in (self.first, self.second))
        i, j = np.indices(first.shape, sparse=True)
        striped = ((i + j) % PERIOD < WIDTH) & (second != NOBODY)
        strong = 1 - OF_STRIPES * (1 - shades)
        return np.where(striped[..., None], strong[second], pale[first])

    def _draw_numbers(self, shades, hues):
        """Write the numbers of the experts into regions that have room for them."""
        self.region_labels_, size = [], "medium" if self.n_experts <= 9 else "small"
        for k in np.unique(self.first[self.first != NOBODY]):
            mine = self.first == k
            for text, region in self._cells(int(k), mine, hues):
                at, depth = deepest_point(region)
                if depth >= LEAST_DEPTH * len(self.first) * (2 if "," in text else 1.4):
                    color = 0.55 * shades[k] if hues else "0.15"
                    label = draw_number(self.ax_, self.grids, at, text, color, size)
                    label.get_bbox_patch().set_alpha(1)  # crosses may lie below it
                    if "," in text:  # longer than a disk is wide
                        label.get_bbox_patch().set_boxstyle("round", pad=0.15)
                    self.region_labels_.append(label)

    def _cells(self, k, mine, hues):
        """Yield what an expert's regions are called, and where they are.

        One region where hues tell the rest; else every connected piece, by pairs if there are two.
        """
        if hues:
            yield str(k), mine
            return
        seconds = [NOBODY] if self.second is None else np.unique(self.second[mine])
        for s in seconds:
            own = mine if self.second is None else mine & (self.second == s)
            for piece in pieces(own):
                yield (str(k) if s == NOBODY else f"{k}, {s}"), piece

    def _draw_rows(self, data_kw, cross_kw):
        """Draw the rows, and crosses in place of those that are dropped."""
        self.data_ = self.crosses_ = None
        if self.points is None:
            return
        n = len(self.points)
        dropped = np.zeros(n, dtype=bool) if self.dropped is None else self.dropped
        near = np.ones(n) if self.closeness is None else self.closeness
        style = dict(s=5, linewidths=0) | data_kw
        stay = np.flatnonzero(~dropped)
        self.data_ = draw_rows(
            self.ax_, *self.points[stay].T, np.full((len(stay), 3), 0.3), near[stay], style
        )
        if dropped.any():
            style = dict(marker="x", s=22, color="black", linewidths=1.1, zorder=3)
            style["alpha"] = near[dropped]
            self.crosses_ = self.ax_.scatter(*self.points[dropped].T, **style | cross_kw)

    def _draw_legend(self, shades, hues):
        """Say beside the axes whose colours and marks these are."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        handles, labels, title = [], [], None
        if hues:
            shown = {
                int(k) for e in (self.first, self.second) if e is not None for k in np.unique(e)
            }
            for k in sorted(shown - {NOBODY}):
                handles.append(Patch(facecolor=1 - STRENGTH * (1 - shades[k])))
                labels.append(f"{self.part_name} {k}")
            title = "counts most" if self.second is None else "counts most\n(stripes: second)"
        else:
            what = f"number: the {self.part_name}\nthat counts most"
            if self.second is not None:
                what = f"numbers: first and\nsecond {self.part_name}"
            title = f"{what} (colours set\nneighbours apart)"
        if (self.first == NOBODY).any():
            handles.append(Patch(facecolor="white", edgecolor="0.5"))
            labels.append("none")
        if self.dropped is not None:
            handles.append(Line2D([], [], linestyle="none", marker="x", color="black"))
            labels.append(f"dropped ({100 * self.dropped.mean():.2g} % of rows)")
        style = dict(title=title, title_fontsize="small", fontsize="small", alignment="left")
        self.legend_ = legend_beside(self.ax_, handles, labels, **style)


def _two_columns(features, names):
    """Return the positions of the features along the axes, two int; ValueError for others."""
    if features is None and len(names) != 2:
        advice = "name the two along the axes, features=(0, 1)"
        if len(names) < 2:
            advice = "draw GateRegionDisplay, which has curves along a single one"
        raise ValueError(
            f"RoutingMapDisplay draws a plane, and X has {len(names)} feature(s): {advice}."
        )
    columns = find_columns((0, 1) if features is None else features, names)
    if len(columns) != 2:
        raise ValueError(f"features={features!r}: a map has two axes; name two columns of X.")
    return columns


def _weights(model, X, target):
    """Return what every expert counts at every point, (m, K), and whether rows go to several."""
    if not can(model, "route"):
        return one_gate(model, X, target), False
    if target is not None:
        raise ValueError(f"target={target!r}: one gate serves all of y; leave target None.")
    weight = model.route(X).toarray()
    if weight.shape[1] > 1 and np.ptp(weight) == 0:
        raise ValueError(
            f"{type(model).__name__} sends every row to all {weight.shape[1]} experts alike, as"
            " RandomRouter does; there is no map to draw."
        )
    return weight, bool((np.count_nonzero(weight, axis=1) > 1).any())


def _best_two(weight):
    """Return the numbers of the two experts that count most, (2, m); -1 where there is none."""
    found = np.full((2, len(weight)), NOBODY)
    left, rows = weight.copy(), np.arange(len(weight))
    for place in found[: weight.shape[1]]:
        best = left.argmax(axis=1)
        place[:] = np.where(left[rows, best] > 0, best, NOBODY)
        left[rows, best] = 0
    return found
