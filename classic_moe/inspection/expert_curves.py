"""`ExpertCurvesDisplay`: data, experts, mixture and gate along one feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..parts.checks import can
from ._axes import draw_note, draw_numbers, expert_entries, legend_beside, one_axes
from ._columns import find_column
from ._dependence import table_and_names
from ._marks import TICKS, Shares, draw_rows, edges_over, fading_line, row_colors
from ._palette import rgb_colors
from ._plane import Plane, slice_note
from ._predictions import Pick, check_rows, expert_names, responsibilities, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAR = 0.75
"""How far the y axis of a slice goes beyond the rows, as a share of their range."""
NEAR = 0.5
"""Closeness to the slice from which on a row counts in the observed shares of a class."""


class ExpertCurvesDisplay:
    """Data, experts, mixture mean and gate along one feature.

    Above, the data coloured by responsibility, one line per expert, as opaque as its gating
    probability, the mixture mean and a predictive band. Below, on the same x axis, the gating
    probabilities; a single expert has none. Other features are held at their median, or at their
    most frequent value if they are text: the curves are a slice, which the title says, and rows are
    the fainter the farther they are from it. For a classifier the curves are the probabilities of
    one class; with more than 100 rows the data are its observed shares in bins of the feature, with
    their numbers of rows and 90 % intervals, among the rows near the slice.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    grid : ndarray of shape (m,)
        Values of the feature, in the caller's units.
    experts : ndarray of shape (m, K)
        Each expert's mean, or probability of the class.
    gate : ndarray of shape (m, K)
        Gating probabilities.
    mean : ndarray of shape (m,)
        Mean of the mixture, or probability of the class.
    band : tuple of two ndarray of shape (m,), default=None
        Lower and upper limit of the predictive interval.
    confidence : float, default=0.9
        The probability that the band holds.
    x, y : ndarray of shape (n,), default=None
        The data: the feature and the target. For a classifier y is 1 in the class and 0 outside.
    responsibilities : ndarray of shape (n, K), default=None
        They colour the data; without them the data are grey.
    closeness : ndarray of shape (n,), default=None
        How near every row is to the slice, from 0 to 1; None: there is no other feature.
    feature_name, target_name : str, default="x" and "y"
        Labels of the axes.
    note : str, default=""
        A short remark above the picture.
    classification : bool, default=False
        Whether the curves are probabilities of a class.
    expert_names : list of str, default=None
        What the legend calls the experts; None: "expert 0" and so on.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with data, experts, mean and band.
    gate_ax_ : matplotlib Axes or None
        The axes with the gate; None for a single expert, unless its axes were given.
    figure_ : matplotlib Figure
    data_ : PathCollection or None
        The rows, or of a classifier with many of them the shares.
    expert_lines_ : list of LineCollection
        Empty for a single expert, whose mean is the mixture's.
    mean_line_ : Line2D
    band_ : collection or None
    gate_lines_ : list of Line2D
    legend_ : Legend

    See Also
    --------
    MeanDependenceDisplay : Mean and experts along one feature, averaged over the rows.
    GateDependenceDisplay : The gate along one feature, averaged over the rows.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inspection import ExpertCurvesDisplay
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> display = ExpertCurvesDisplay.from_estimator(
    ...     model, X, y, feature_name="time (ms)", target_name="acceleration (g)"
    ... )
    >>> display.ax_.get_ylabel(), display.gate_ax_.get_xlabel()
    ('acceleration (g)', 'time (ms)')
    """

    def __init__(
        self,
        *,
        grid,
        experts,
        gate,
        mean,
        band=None,
        confidence=0.9,
        x=None,
        y=None,
        responsibilities=None,
        closeness=None,
        feature_name="x",
        target_name="y",
        note="",
        classification=False,
        expert_names=None,
    ):
        self.grid = grid
        self.experts = experts
        self.gate = gate
        self.mean = mean
        self.band = band
        self.confidence = confidence
        self.x = x
        self.y = y
        self.responsibilities = responsibilities
        self.closeness = closeness
        self.feature_name = feature_name
        self.target_name = target_name
        self.note = note
        self.classification = classification
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
        confidence: float = 0.9,
        grid_resolution: int | None = 400,
        feature_name: str | None = None,
        target_name: str | None = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw a fitted mixture of experts along one feature.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            In a Pipeline the picture is in the units of X, before any transformation. The truth
            that comes with simulated data will do as well.
        X : array-like or DataFrame of shape (n, p)
            As for `predict`.
        y : array-like of shape (n,) or (n, q), default=None
            Without it there are no points, only curves over the range of X.
        feature : int or str, default=0
            Column of X along the x axis: its position, or its name if the columns have names.
        target : int, or a label, default=None
            Which output of several (by position), or which class (by label) to draw. With two
            classes the default is the second.
        confidence : float, default=0.9
            The probability that the predictive band holds.
        grid_resolution : int, default=400
            Number of points along the x axis.
        feature_name, target_name : str, default=None
            Labels of the axes, with units where there are any; None takes the names of the column
            and of y if they have one.
        ax : matplotlib Axes or pair of Axes, default=None
            None makes a figure; one Axes gives up its lower part to the gate; a pair is used as
            (data, gate).
        **styles : dict
            `colors`, `data_kw`, `expert_kw`, `mean_kw`, `band_kw`, `gate_kw` as in `plot`.

        Returns
        -------
        ExpertCurvesDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, the feature is unknown or not numeric, or
            there are several outputs or classes and `target` does not say which.
        """
        model, transform = unwrap(estimator, cls)
        X, names = table_and_names(X, estimator)
        plane = Plane.of(X, names, [find_column(feature, names)], grid_resolution, feature_name)
        check_rows(len(X), y)
        at = transform(plane.table)
        experts = model.predict_experts(at)
        pick = Pick(model, target, experts)
        gate = model.gate_proba(at)
        band = None
        if can(model, "predict_dist"):
            low, high = model.predict_dist(at).interval(confidence)
            band = pick.output(low), pick.output(high)
        display = cls(
            grid=plane.grids[0],
            experts=pick.output(experts),
            gate=gate if gate.ndim == 2 else gate[..., pick.index or 0],
            mean=pick.mean(at),
            band=band,
            confidence=confidence,
            x=plane.points[:, 0],
            y=None if y is None else pick.observed(y),
            responsibilities=None if y is None else responsibilities(model, transform(X), y),
            feature_name=plane.labels[0],
            target_name=pick.name(y) if target_name is None else target_name,
            closeness=None if y is None else plane.closeness,
            note=plane.note,
            classification=pick.classes is not None,
            expert_names=expert_names(model),
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        data_kw: dict[str, Any] | None = None,
        expert_kw: dict[str, Any] | None = None,
        mean_kw: dict[str, Any] | None = None,
        band_kw: dict[str, Any] | None = None,
        gate_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or pair of Axes, default=None
            None makes a figure; one Axes gives up its lower part to the gate; a pair is used as
            (data, gate).
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart.
        data_kw, expert_kw, mean_kw, band_kw, gate_kw : dict, default=None
            For matplotlib's `scatter`, `LineCollection`, `plot`, `fill_between` and `plot`, on top
            of what is drawn by default.

        Returns
        -------
        self
        """
        colors = rgb_colors(colors, self.gate.shape[1])
        self.ax_, self.gate_ax_ = _two_axes(ax, gate=len(colors) > 1)
        self.figure_ = self.ax_.figure
        self._draw_curves(colors, expert_kw, mean_kw, band_kw)
        self._draw_data(colors, data_kw)
        self._keep_rows_in_sight()
        self._draw_gate(colors, gate_kw)
        (self.gate_ax_ or self.ax_).set(xlabel=self.feature_name)
        if self.gate_ax_ is not None:
            draw_numbers(self.ax_, self.grid, self.experts, self.gate, colors)
            draw_numbers(self.gate_ax_, self.grid, self.gate, self.gate, colors)
        self._draw_legend(colors)
        return self

    def _draw_curves(self, colors, expert_kw, mean_kw, band_kw):
        """Draw the predictive band, the experts, and the mixture's mean on top."""
        ax, self.band_ = self.ax_, None
        if self.band is not None:
            label = f"{100 * self.confidence:g} % predictive band"
            style = dict(color="0.89", linewidth=0, zorder=0.5, label=label)
            self.band_ = ax.fill_between(self.grid, *self.band, **style | (band_kw or {}))
        self.expert_lines_ = []
        for k, color in enumerate(colors if len(colors) > 1 else []):  # a single one is the mixture
            mean, gate = self.experts[:, k], self.gate[:, k]
            lines = fading_line(self.grid, mean, gate, color, **(expert_kw or {}))
            # Where the gate hardly believes an expert its line may run anywhere: it sets no limits.
            self.expert_lines_.append(ax.add_collection(lines, autolim=False))
            ax.update_datalim(np.column_stack([self.grid, mean])[gate > 0.1])
        label = "mixture" if self.classification else "mixture mean"
        style = dict(color="black", linewidth=1.5, zorder=3, label=label)
        (self.mean_line_,) = ax.plot(self.grid, self.mean, **style | (mean_kw or {}))
        ax.set(ylabel=self.target_name)
        draw_note(ax, self._note())
        ax.autoscale_view()

    def _keep_rows_in_sight(self):
        """Let a slice, which may run far beyond the rows, set limits no further than FAR."""
        if self.y is None or self.closeness is None or self.classification:
            return
        least, most = np.nanmin(self.y), np.nanmax(self.y)
        room = FAR * ((most - least) or 1.0)
        low, high = self.ax_.get_ylim()
        self.ax_.set_ylim(max(low, least - room), min(high, most + room))

    def _note(self):
        """Return what the slice is, and what is done to rows beside it, a str."""
        if self.y is None or self.closeness is None or not self._binned():
            return slice_note(self.note, self.closeness, self.y is not None)
        near = f"{len(self._near_rows()):,} of {len(self.x):,} rows"
        return f"{self.note}; shares among the {near} near it"

    def _binned(self):
        """Tell whether the rows of a classifier are too many to be drawn one by one."""
        return self.classification and len(self.x) > TICKS

    def _near_rows(self):
        """Return the rows within a standard deviation or so of the slice, or all without others."""
        near = np.ones(len(self.x)) if self.closeness is None else self.closeness
        return np.flatnonzero((near >= min(NEAR, near.max())) & np.isfinite(self.x))

    def _draw_data(self, colors, data_kw):
        """Draw the rows, their colours mixed by responsibility; shares or ticks of a classifier."""
        self.data_ = None
        if self.y is None:
            return
        mixed, near = row_colors(self.responsibilities, colors, len(self.x)), self.closeness
        if self._binned():
            rows = self._near_rows()
            shares = Shares.of(self.x[rows], self.y[rows], edges_over(self.x[rows]))
            mixed = np.array([mixed[rows][bin].mean(axis=0) for bin in shares.rows])
            self.data_ = shares.draw(self.ax_, mixed, style=data_kw)
            return
        ticks = dict(s=90, marker="|", linewidths=1, edgecolors=None) if self.classification else {}
        self.data_ = draw_rows(self.ax_, self.x, self.y, mixed, near, ticks | (data_kw or {}))

    def _draw_gate(self, colors, gate_kw):
        """Draw the gating probabilities on the lower axes."""
        ax, self.gate_lines_ = self.gate_ax_, []
        if ax is None:
            return
        for k, color in enumerate(colors):
            style = dict(color=color, linewidth=2)
            self.gate_lines_ += ax.plot(self.grid, self.gate[:, k], **style | (gate_kw or {}))
            ax.fill_between(self.grid, self.gate[:, k], color=color, alpha=0.12, linewidth=0)
        ax.set(ylabel="gate\nprobability", ylim=(-0.04, 1.04), yticks=(0, 0.5, 1))
        self.figure_.align_ylabels([self.ax_, ax])

    def _draw_legend(self, colors):
        """Name the experts, the mean and the band beside the axes."""
        from matplotlib.lines import Line2D

        marker = dict(marker="o", markersize=7, markeredgecolor="white")
        style = dict(linewidth=4) | ({} if self.responsibilities is None else marker)
        K = len(self.expert_lines_)
        handles, labels = [], []
        if K:
            handles, labels = expert_entries(
                lambda color: Line2D([], [], color=color, **style), colors, self.expert_names
            )
        others = [self.mean_line_, *([] if self.band_ is None else [self.band_])]
        labels += [artist.get_label() for artist in others]
        self.legend_ = legend_beside(self.ax_, [*handles, *others], labels)


def _two_axes(ax, gate):
    """Return the axes (data, gate), one above the other with a shared x axis.

    Without a gate the second is None, unless a pair is given.
    """
    if not gate and np.ndim(ax) == 0:
        return one_axes(ax, (8, 4.5)), None
    shares = dict(height_ratios=(3, 1))
    if ax is None:
        import matplotlib.pyplot as plt

        size = dict(figsize=(8, 5.5), layout="constrained", sharex=True)
        _, (data, gate) = plt.subplots(2, 1, **size, **shares)
    elif np.ndim(ax) == 0:
        data, spec = ax, ax.get_subplotspec()
        if spec is None:
            left, bottom, width, height = ax.get_position().bounds
            data.set_position((left, bottom + 0.3 * height, width, 0.7 * height))
            gate = ax.figure.add_axes((left, bottom, width, 0.25 * height), sharex=data)
        else:
            upper, lower = spec.subgridspec(2, 1, **shares)
            data.set_subplotspec(upper)
            gate = ax.figure.add_subplot(lower, sharex=data)
    elif np.shape(ax) == (2,):
        data, gate = ax
    else:
        raise ValueError(f"ax takes one Axes or a pair (data, gate), got shape {np.shape(ax)}.")
    if gate.get_shared_x_axes().joined(gate, data):
        data.tick_params(labelbottom=False)
    return data, gate
