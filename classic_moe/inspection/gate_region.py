"""`GateRegionDisplay`: where in the space of x which expert is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ._axes import draw_note, draw_numbers, expert_entries, legend_beside, one_axes
from ._columns import find_columns
from ._dependence import table_and_names
from ._marks import FEW, draw_rows, faintness, row_colors
from ._palette import hueless, rgb_colors
from ._plane import Plane, slice_note
from ._predictions import (
    check_rows,
    observed_classes,
    one_gate,
    part_name,
    responsibilities,
    target_names,
    unwrap,
)
from ._regions import LEAST_DEPTH, deepest_point, draw_borders, draw_number, extent_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP*X"
GREYS = ("white", "black", "0.65")
WEAKEST, STRONGEST = 0.1, 0.55
"""How much of its colour a region has where all experts are equal, and where one is certain."""


class GateRegionDisplay:
    """The partition of the input space by the gate, along two features or one.

    Along two features every point has the colour of its most probable expert, the stronger the
    more probable; the number of an expert stands in its largest region. Along one feature the
    gating probabilities are curves. Other features are held at their median, or at their most
    frequent value if they are text: the picture is a slice, which the title says, and rows are the
    fainter the farther they are from it. In a hierarchical mixture the experts are the leaves.

    The data lie on top: those of a regressor coloured by responsibility, those of a classifier
    with a marker for every class.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    grids : list of one or two ndarray
        Values of the features, in the caller's units.
    proba : ndarray of shape (m_2, m_1, K) or (m, K)
        Gating probabilities on the grid, rows along the second feature.
    points : ndarray of shape (n, 2) or (n, 1), default=None
        The data.
    responsibilities : ndarray of shape (n, K), default=None
        They colour the data; without them the data are grey.
    closeness : ndarray of shape (n,), default=None
        How near every row is to the slice, from 0 to 1; None: there is no other feature.
    classes : ndarray of shape (n,), default=None
        The class of every point, for markers.
    class_names : list, default=()
        The classes, in the order of their markers.
    feature_names : list of str, default=None
        Labels of the axes.
    target_name : str, default="y"
        What the classes are values of.
    part_name : str, default="expert"
        "expert" or "leaf".
    note : str, default=""
        A short remark above the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : AxesImage or None
        The regions, along two features.
    borders_ : ContourSet or None
        The lines between regions; None where there is but one.
    gate_lines_ : list of Line2D
        The curves, along one feature.
    data_ : list of PathCollection
        One for each class, or for all rows.
    region_labels_ : dict of int to Text
        The numbers of the experts, in regions that have room for them.
    legend_ : Legend

    See Also
    --------
    ExpertCurvesDisplay : Experts and gate along one feature.
    sklearn.inspection.DecisionBoundaryDisplay : Regions of the predicted class.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from classic_moe import MixtureOfExpertsClassifier
    >>> from classic_moe.inspection import GateRegionDisplay
    >>> X, y = make_moons(200, noise=0.2, random_state=0)
    >>> model = MixtureOfExpertsClassifier(3, random_state=0).fit(X, y)
    >>> display = GateRegionDisplay.from_estimator(model, X, y)
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel(), display.proba.shape
    ('x0', 'x1', (200, 200, 3))
    """

    def __init__(
        self,
        *,
        grids,
        proba,
        points=None,
        responsibilities=None,
        closeness=None,
        classes=None,
        class_names=(),
        feature_names=None,
        target_name="y",
        part_name="expert",
        note="",
    ):
        self.grids = grids
        self.proba = proba
        self.points = points
        self.responsibilities = responsibilities
        self.closeness = closeness
        self.classes = classes
        self.class_names = class_names
        self.feature_names = feature_names
        self.target_name = target_name
        self.part_name = part_name
        self.note = note

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        features: Any = (0, 1),
        target: int | str | None = None,
        grid_resolution: int | None = 200,
        feature_names: Any = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the regions of a fitted mixture of experts.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            In a Pipeline the picture is in the units of X, before any transformation. The truth
            that comes with simulated data will do as well.
        X : array-like or DataFrame of shape (n, p)
            As for `predict`; it is drawn, and sets the range of the axes.
        y : array-like of shape (n,) or (n, q), default=None
            With it the data show their responsibilities, or their classes.
        features : pair of int or str, or one of them, default=(0, 1)
            Columns of X along the axes, by position or by name; one alone gives curves. If X has
            one column, that is drawn.
        target : int, or a label, default=None
            Where each class or output has a gate of its own (Meta-Pi's ``per_class``): which one to
            draw, a class by its label, an output by its position.
        grid_resolution : int, default=200
            Number of points along each axis, at least 2.
        feature_names : pair of str, or str, default=None
            Labels of the axes, with units where there are any; None takes the names of the
            columns.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `image_kw`, `border_kw`, `data_kw`, `gate_kw` as in `plot`.

        Returns
        -------
        GateRegionDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, the features are not one or two different
            numeric columns of X, the grid is none, or there are several gates and `target` does
            not say which.
        """
        model, transform = unwrap(estimator, cls)
        X, names = table_and_names(X, estimator)
        columns = find_columns(features, names)
        plane = Plane.of(X, names, columns, grid_resolution, feature_names)
        check_rows(len(X), y)
        proba = one_gate(model, transform(plane.table), target)
        classes, class_names = observed_classes(model, y)
        display = cls(
            proba=proba.reshape(*plane.shape, -1),
            responsibilities=None if y is None else responsibilities(model, transform(X), y),
            classes=classes,
            class_names=class_names,
            target_name=target_names(model, y)[0],
            part_name=part_name(model),
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
        gate_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart.
        image_kw, border_kw, data_kw, gate_kw : dict, default=None
            For matplotlib's `imshow`, `contour`, `scatter` and `plot`, on top of what is drawn by
            default.

        Returns
        -------
        self
        """
        colors = rgb_colors(colors, self.proba.shape[-1])
        ax = one_axes(ax, (7.5, 5) if len(self.grids) == 2 else (7.5, 3.8))
        self.ax_, self.figure_ = ax, ax.figure
        self.image_, self.borders_, self.gate_lines_, self.region_labels_ = None, None, [], {}
        names = self.feature_names or [f"x{j}" for j in range(len(self.grids))]
        ax.set(xlabel=names[0])
        if len(self.grids) == 2:
            self._draw_regions(colors, image_kw or {}, border_kw or {})
            ax.set(ylabel=names[1])
        else:
            self._draw_curves(colors, gate_kw or {})
            ax.set(ylabel="gate probability")
            draw_numbers(ax, self.grids[0], self.proba, self.proba, colors)
        self._draw_data(colors, data_kw or {})
        draw_note(ax, slice_note(self.note, self.closeness, self.points is not None))
        self._draw_legend(colors)
        return self

    def _draw_regions(self, colors, image_kw, border_kw):
        """Draw the region of each expert in its colour, and the lines between them."""
        ax = self.ax_
        winner, K = self.proba.argmax(axis=-1), self.proba.shape[-1]
        # The highest probability lies between 1/K, no expert is preferred, and 1, one is certain.
        sure = (self.proba.max(axis=-1) - 1 / K) / (1 - 1 / K) if K > 1 else np.ones(winner.shape)
        strength = (WEAKEST + (STRONGEST - WEAKEST) * np.clip(sure, 0, 1))[..., None]
        shaded = 1 - strength * (1 - colors[winner])
        style = dict(origin="lower", aspect="auto", interpolation="nearest")
        style["extent"] = extent_of(self.grids)
        self.image_ = ax.imshow(shaded, zorder=0, **style | image_kw)
        style = dict(colors="white", linewidths=1.2, zorder=0.5)
        self.borders_ = draw_borders(ax, self.grids, winner, style | border_kw)
        self._draw_numbers(winner, colors)

    def _draw_numbers(self, winner, colors):
        """Write the number of every expert into its region, if that has room for it."""
        size = "large" if len(colors) <= 9 else "small"
        for k in np.unique(winner):
            at, depth = deepest_point(winner == k)
            if depth >= LEAST_DEPTH * len(winner):
                self.region_labels_[int(k)] = draw_number(
                    self.ax_, self.grids, at, str(k), 0.55 * colors[k], size
                )

    def _draw_curves(self, colors, gate_kw):
        """Draw the gating probabilities along one feature."""
        ax, (grid,) = self.ax_, self.grids
        for k, color in enumerate(colors):
            style = dict(color=color, linewidth=2.5, zorder=2)
            self.gate_lines_ += ax.plot(grid, self.proba[:, k], **style | gate_kw)
            ax.fill_between(grid, self.proba[:, k], color=color, alpha=0.12, linewidth=0)
        ax.set(ylim=(-0.16, 1.04), yticks=(0, 0.5, 1))

    def _draw_data(self, colors, data_kw):
        """Draw the rows: coloured by responsibility, or with a marker for every class."""
        self.data_ = []
        if self.points is None:
            return
        flat = len(self.grids) == 1
        x, height = self.points[:, 0], np.full(len(self.points), -0.08)
        if not flat:
            height = self.points[:, 1]
        near = np.ones(len(x)) if self.closeness is None else self.closeness
        if self.classes is None:
            style = dict(s=80, marker="|", linewidths=1, edgecolors=None) if flat else {}
            mixed = row_colors(self.responsibilities, colors, len(x), grey=0.45)
            style = dict(zorder=3) | style | data_kw
            self.data_.append(draw_rows(self.ax_, x, height, mixed, near, style))
            return
        near = near * faintness(len(x))
        many = len(x) > FEW
        style = dict(s=9 if many else 18, linewidths=0.3 if many else 0.6, zorder=3)
        style["edgecolors"] = "black"
        for c, _ in enumerate(self.class_names):
            rows = self.classes == c
            marker = dict(facecolors=GREYS[c % 3], marker=MARKERS[c % 8], alpha=near[rows])
            shift = 0.05 * (c / max(len(self.class_names) - 1, 1) - 0.5) if flat else 0
            self.data_.append(
                self.ax_.scatter(x[rows], height[rows] + shift, **style | marker | data_kw)
            )

    def _experts_in_sight(self):
        """Return the experts that have a region, or rows in their colour, an ndarray of int."""
        shown = self.proba.argmax(axis=-1).ravel()
        if self.classes is None and self.points is not None and self.responsibilities is not None:
            shown = np.append(shown, self.responsibilities.argmax(axis=1))
        return np.unique(shown)

    def _draw_legend(self, colors):
        """Name the experts, and the markers of the classes, beside the axes."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        flat = len(self.grids) == 1
        if flat:
            handles, labels = expert_entries(
                lambda c: Line2D([], [], color=c, linewidth=4), colors, None, self.part_name
            )
        else:
            shown = range(len(colors))
            if not hueless(colors):
                shown = self._experts_in_sight()
            handles, labels = expert_entries(
                lambda c: Patch(facecolor=1 - STRONGEST * (1 - c)),
                colors[shown],
                [f"{self.part_name} {k}" for k in shown],
                self.part_name,
            )
        for c, name in enumerate(self.class_names):
            marker = dict(marker=MARKERS[c % 8], markerfacecolor=GREYS[c % 3], markeredgecolor="k")
            handles.append(Line2D([], [], linestyle="none", markersize=5, **marker))
            labels.append(f"{self.target_name} = {name}")
        title = None if flat else f"most probable {self.part_name}\n(stronger: more probable)"
        style = dict(title=title, title_fontsize="small", alignment="left")
        style["ncols"] = 1 + len(handles) // 14
        self.legend_ = legend_beside(self.ax_, handles, labels, **style)
