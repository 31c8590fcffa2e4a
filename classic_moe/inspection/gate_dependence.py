"""`GateDependenceDisplay`: how the gate changes with one feature, averaged over the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ._axes import draw_numbers, expert_entries, legend_beside, one_axes
from ._columns import drawn_text
from ._dependence import Feature, draw_feature_axis, sampled, table_and_names
from ._palette import hueless, rgb_colors
from ._predictions import expert_names, one_gate, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_BAR = 0.04
"""Share from which a bar has room for a number."""
KINDS = ("average", "individual", "both")


class GateDependenceDisplay:
    """Each expert's gating probability against one feature, averaged over the rows.

    The feature is given each value in turn in every row, the other columns staying as they are,
    and the gating probabilities are averaged: partial dependence. Curves of single rows show what
    the average hides. Along categories the averages are stacked bars, or points where single rows
    are drawn. Ticks at the lower edge are the deciles of the feature.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    grid : ndarray of shape (m,)
        Values of the feature, in the caller's units, or names of categories.
    gate : ndarray of shape (m, K)
        Gating probabilities, averages over the rows.
    individual : ndarray of shape (n, m, K), default=None
        Those of single rows.
    feature_name : str, default="x"
        Label of the x axis.
    deciles : ndarray of shape (9,), default=None
        Of the feature in the data; None for categories.
    expert_names : list of str, default=None
        What the legend calls the experts; None: "expert 0" and so on.
    kind : {"average", "individual", "both"}, default="average"
        What is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    gate_lines_ : list of K Line2D or BarContainer
        The averages; empty for ``kind="individual"``.
    individual_lines_ : list of K LineCollection
        The curves of single rows; empty for ``kind="average"``.
    legend_ : Legend

    See Also
    --------
    MeanDependenceDisplay : The same for the mean of the mixture and of the experts.
    GateRegionDisplay : The most probable expert along two features.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.inspection import GateDependenceDisplay
    >>> X, y = make_piecewise_regression(200, n_features=2, random_state=0)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> display = GateDependenceDisplay.from_estimator(model, X, feature=0)
    >>> display.gate.shape, display.ax_.get_ylabel()
    ((50, 3), 'gate probability, average')
    """

    def __init__(
        self,
        *,
        grid,
        gate,
        individual=None,
        feature_name="x",
        deciles=None,
        expert_names=None,
        kind="average",
    ):
        self.grid = grid
        self.gate = gate
        self.individual = individual
        self.feature_name = feature_name
        self.deciles = deciles
        self.expert_names = expert_names
        self.kind = kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        feature: int | str = 0,
        target: int | str | None = None,
        kind: str = "average",
        grid_resolution: int | None = 50,
        percentiles: tuple[float, float] = (0.01, 0.99),
        reach: float | None = None,
        subsample: int | None = 500,
        random_state: int | np.random.RandomState | None = 0,
        feature_name: str | None = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the gate of a fitted mixture of experts along one feature.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            In a Pipeline the picture is in the units of X, before any transformation.
        X : array-like or DataFrame of shape (n, p)
            As for `predict`.
        feature : int or str, default=0
            Column of X along the x axis: its position, or its name if the columns have names. One
            of text is drawn by its categories, the twelve most frequent ones.
        target : int, or a label, default=None
            Where each class or output has a gate of its own (Meta-Pi's ``per_class``): which one to
            draw, a class by its label, an output by its position.
        kind : {"average", "individual", "both"}, default="average"
            Averages over the rows, curves of single rows, or both.
        grid_resolution : int, default=50
            Number of points along the x axis; a feature of at most half as many different values
            is drawn at these.
        percentiles : pair of float, default=(0.01, 0.99)
            The shares of the data between which the x axis runs.
        reach : float, default=None
            None averages over all rows alike: partial dependence, which speaks of rows that cannot
            be where columns go together. With a number, a row counts at a value as far as its other
            columns of numbers make that plausible: normally, with a standard deviation of `reach`
            times that of the residuals of a linear regression of the feature on them. 2 is a good
            choice.
        subsample : int or None, default=500
            The most rows over which averages are taken; None takes all.
        random_state : int, RandomState instance or None, default=0
            Chooses these rows.
        feature_name : str, default=None
            Label of the x axis, with units where there are any; None takes the column's name.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `gate_kw`, `individual_kw`, `rug_kw` as in `plot`.

        Returns
        -------
        GateDependenceDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, the feature is unknown or empty, or there are
            several gates and `target` does not say which.
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: needs one of {', '.join(map(repr, KINDS))}.")
        model, transform = unwrap(estimator, cls)
        X, names = table_and_names(X, estimator)
        along = Feature.of(X, names, feature, grid_resolution, percentiles)
        X = sampled(X, subsample, random_state)
        gate = along.evaluate(lambda at: one_gate(model, at, target), transform, X)
        display = cls(
            grid=along.grid,
            gate=np.einsum("nmk,nm->mk", gate, along.weights(X, reach)),
            individual=None if kind == "average" else gate,
            feature_name=drawn_text(along.name) if feature_name is None else feature_name,
            deciles=along.deciles,
            expert_names=expert_names(model),
            kind=kind,
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        gate_kw: dict[str, Any] | None = None,
        individual_kw: dict[str, Any] | None = None,
        rug_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart.
        gate_kw, individual_kw, rug_kw : dict, default=None
            For matplotlib's `plot` (or `bar`, along categories), `LineCollection` and `vlines`, on
            top of what is drawn by default.

        Returns
        -------
        self
        """
        colors = rgb_colors(colors, self.gate.shape[1])
        ax = one_axes(ax, (7.5, 3.8))
        self.ax_, self.figure_ = ax, ax.figure
        self.gate_lines_, self.individual_lines_ = [], []
        if self.kind != "average":
            self._draw_individual(colors, individual_kw or {})
        if self.kind != "individual":
            bars = self.deciles is None and self.kind == "average"
            (self._draw_bars if bars else self._draw_lines)(colors, gate_kw or {})
        draw_feature_axis(ax, self.grid, self.deciles, self.feature_name, rug_kw)
        shown = "gate probability" + ("" if self.kind == "individual" else ", average")
        ax.set(ylabel=shown, ylim=(-0.04, 1.04), yticks=(0, 0.5, 1))
        if self.deciles is not None or self.kind != "average":
            draw_numbers(ax, self._x, self.gate, self.gate, colors)
        self._draw_legend(colors)
        return self

    @property
    def _x(self):
        """The places of the grid on the axis, (m,): 0, 1, ... for categories."""
        return np.arange(len(self.grid)) if self.deciles is None else self.grid

    def _draw_individual(self, colors, style):
        """Draw a curve for every row and expert; rows that are alike are one."""
        from matplotlib.collections import LineCollection

        # One over the other they would be as strong as the averages, however faint each of them.
        distinct = np.unique(self.individual.round(6), axis=0)
        alpha = float(np.clip(12 / len(distinct), 0.03, 0.4))
        for k, color in enumerate(colors):
            curves = [np.column_stack([self._x, curve]) for curve in distinct[:, :, k]]
            default = dict(colors=[(*color, alpha)], linewidths=0.8, zorder=1)
            lines = LineCollection(curves, **default | style)
            self.individual_lines_.append(self.ax_.add_collection(lines))
        self.ax_.autoscale_view()

    def _draw_lines(self, colors, style):
        """Draw the averages as curves, or as points along categories."""
        from matplotlib.patheffects import withStroke

        shape = dict(linewidth=2) if self.deciles is not None else dict(marker="o", linestyle=" ")
        if self.kind == "both":  # rows that are alike add up to lines as strong
            shape["path_effects"] = [withStroke(linewidth=5, foreground="white")]
        for k, color in enumerate(colors):
            default = dict(color=color, zorder=3) | shape
            self.gate_lines_ += self.ax_.plot(self._x, self.gate[:, k], **default | style)
            if self.deciles is not None and self.kind == "average":
                self.ax_.fill_between(
                    self._x, self.gate[:, k], color=color, alpha=0.12, linewidth=0
                )

    def _draw_bars(self, colors, style):
        """Draw the averages as bars that stand on each other."""
        below = np.zeros(len(self.grid))
        for k, color in enumerate(colors):
            default = dict(color=color, bottom=below, width=0.7, edgecolor="white", linewidth=0.8)
            self.gate_lines_.append(self.ax_.bar(self._x, self.gate[:, k], **default | style))
            if hueless(colors):
                self._number_bars(k, below)
            below = below + self.gate[:, k]

    def _number_bars(self, k, below):
        """Write the number of an expert into its bars, where these have room."""
        style = dict(ha="center", va="center", fontsize="x-small", color="white", zorder=4)
        for x in np.flatnonzero(self.gate[:, k] >= LEAST_BAR):
            self.ax_.text(x, below[x] + self.gate[x, k] / 2, str(k), **style)

    def _draw_legend(self, colors):
        """Name the experts beside the axes."""
        from matplotlib.patches import Patch

        entries = expert_entries(lambda c: Patch(facecolor=c), colors, self.expert_names)
        self.legend_ = legend_beside(self.ax_, *entries)
