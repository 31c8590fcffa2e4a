"""`MeanDependenceDisplay`: how the mean changes with one feature, averaged over the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ._axes import draw_numbers, expert_entries, legend_beside, one_axes
from ._columns import drawn_text
from ._dependence import Feature, draw_feature_axis, sampled, table_and_names
from ._marks import fading_line
from ._palette import rgb_colors
from ._predictions import Pick, expert_names, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class MeanDependenceDisplay:
    """The mean of the mixture and of its experts against one feature, averaged over the rows.

    The feature is given each value in turn in every row, the other columns staying as they are, and
    the means are averaged: partial dependence. The average of an expert counts a row as much as the
    gate believes the expert there, and its line is as opaque as the gate's own average; so the
    mixture is, at every value, the average of the experts by their opacity. For a classifier the
    curves are the probabilities of one class. Ticks at the lower edge are the deciles of the
    feature.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    grid : ndarray of shape (m,)
        Values of the feature, in the caller's units, or names of categories.
    mean : ndarray of shape (m,)
        Mean of the mixture, or probability of the class, averages over the rows.
    experts : ndarray of shape (m, K)
        Means of the experts, averages over the rows weighted by the gate.
    gate : ndarray of shape (m, K)
        Gating probabilities, averages over the rows.
    feature_name, target_name : str, default="x" and "y"
        Labels of the axes.
    deciles : ndarray of shape (9,), default=None
        Of the feature in the data; None for categories.
    expert_names : list of str, default=None
        What the legend calls the experts; None: "expert 0" and so on.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    mean_line_ : Line2D
    expert_lines_ : list of K LineCollection or PathCollection
        Empty for a single expert, whose mean is the mixture's.
    legend_ : Legend

    See Also
    --------
    GateDependenceDisplay : The same for the gate.
    ExpertCurvesDisplay : A slice, the other features held at one value each.
    sklearn.inspection.PartialDependenceDisplay : The same for any estimator, without experts.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.inspection import MeanDependenceDisplay
    >>> X, y = make_piecewise_regression(200, n_features=2, random_state=0)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> display = MeanDependenceDisplay.from_estimator(model, X, feature=0)
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('x0', 'y, average')
    >>> bool(np.allclose(display.mean, (display.gate * display.experts).sum(axis=1)))
    True
    """

    def __init__(
        self,
        *,
        grid,
        mean,
        experts,
        gate,
        feature_name="x",
        target_name="y",
        deciles=None,
        expert_names=None,
    ):
        self.grid = grid
        self.mean = mean
        self.experts = experts
        self.gate = gate
        self.feature_name = feature_name
        self.target_name = target_name
        self.deciles = deciles
        self.expert_names = expert_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        feature: int | str = 0,
        target: int | str | None = None,
        grid_resolution: int | None = 50,
        percentiles: tuple[float, float] = (0.01, 0.99),
        reach: float | None = None,
        subsample: int | None = 500,
        random_state: int | np.random.RandomState | None = 0,
        feature_name: str | None = None,
        target_name: str | None = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the mean of a fitted mixture of experts along one feature.

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
            Which output of several (by position), or which class (by label) to draw. With two
            classes the default is the second.
        grid_resolution : int, default=50
            Number of points along the x axis; a feature of at most half as many different values
            is drawn at these.
        percentiles : pair of float, default=(0.01, 0.99)
            The shares of the data between which the curves run.
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
        feature_name, target_name : str, default=None
            Labels of the axes, with units where there are any; None takes the names of the column
            and of the target in the fit.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `mean_kw`, `expert_kw`, `rug_kw` as in `plot`.

        Returns
        -------
        MeanDependenceDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, the feature is unknown or empty, or there are
            several outputs or classes and `target` does not say which.
        """
        model, transform = unwrap(estimator, cls)
        X, names = table_and_names(X, estimator)
        along = Feature.of(X, names, feature, grid_resolution, percentiles)
        rows = sampled(X, subsample, random_state)
        pick = Pick(model, target, model.predict_experts(transform(rows[:1])))
        mean, experts, gate = averages(pick, along, transform, rows, reach)
        display = cls(
            grid=along.grid,
            mean=mean,
            experts=experts,
            gate=gate,
            feature_name=drawn_text(along.name) if feature_name is None else feature_name,
            target_name=f"{pick.name(None)}, average" if target_name is None else target_name,
            deciles=along.deciles,
            expert_names=expert_names(model),
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        mean_kw: dict[str, Any] | None = None,
        expert_kw: dict[str, Any] | None = None,
        rug_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart.
        mean_kw, expert_kw, rug_kw : dict, default=None
            For matplotlib's `plot`, `LineCollection` (or `scatter`, along categories) and `vlines`,
            on top of what is drawn by default.

        Returns
        -------
        self
        """
        colors = rgb_colors(colors, self.gate.shape[1])
        ax = one_axes(ax, (7.5, 4.5))
        self.ax_, self.figure_ = ax, ax.figure
        self.expert_lines_ = []
        if len(colors) > 1:
            self._draw_experts(colors, expert_kw or {})
        self._draw_mean(mean_kw or {})
        draw_feature_axis(ax, self.grid, self.deciles, self.feature_name, rug_kw)
        ax.set(ylabel=self.target_name)
        ax.autoscale_view()
        draw_numbers(ax, self._x, self.experts, self.gate, colors)
        self._draw_legend(colors)
        return self

    @property
    def _x(self):
        """The places of the grid on the axis, (m,): 0, 1, ... for categories."""
        return np.arange(len(self.grid)) if self.deciles is None else self.grid

    def _draw_experts(self, colors, style):
        """Draw the experts' averages, as opaque as the gate's."""
        for k, color in enumerate(colors):
            mean, gate = self.experts[:, k], self.gate[:, k]
            points = np.column_stack([self._x, mean])
            if self.deciles is None:
                shades = np.clip(gate, 0, 1)  # a mean over rows may be above 1 in its last digits
                default = dict(c=[(*color, a) for a in shades], s=70, linewidths=0, zorder=2)
                lines = self.ax_.scatter(*points.T, **default | style)
            else:
                lines = self.ax_.add_collection(
                    fading_line(self._x, mean, gate, color, **style), autolim=False
                )
                # Where the gate hardly believes an expert its line sets no limits.
                self.ax_.update_datalim(points[(gate > 0.1) & np.isfinite(mean)])
            self.expert_lines_.append(lines)

    def _draw_mean(self, style):
        """Draw the mixture's average on top."""
        default = dict(color="black", linewidth=1.5, zorder=3, label="mixture, average")
        if self.deciles is None:
            default |= dict(linestyle=" ", marker="D", markersize=5)
        (self.mean_line_,) = self.ax_.plot(self._x, self.mean, **default | style)

    def _draw_legend(self, colors):
        """Name the experts and the mixture beside the axes."""
        from matplotlib.lines import Line2D

        shape = dict(linewidth=4) if self.deciles is not None else dict(marker="o", linestyle=" ")
        handles, labels = expert_entries(
            lambda color: Line2D([], [], color=color, **shape), colors, self.expert_names
        )
        if len(colors) == 1:
            handles, labels = [], []
        labels = [*labels, self.mean_line_.get_label()]
        self.legend_ = legend_beside(self.ax_, [*handles, self.mean_line_], labels)


def averages(pick, along, transform, rows, reach=None):
    """Return the averages of mean (m,), experts (m, K) and gate (m, K) over the rows of a table.

    Parameters
    ----------
    pick : Pick
        The model, and which output or class.
    along : Feature
    transform : callable (X) -> X
        What is done to a table before the model.
    rows : array or DataFrame of shape (n, p)
    reach : float, default=None
        As for `Feature.weights`.
    """

    def predictions(at):
        gate, experts = pick.gate(at), pick.output(pick.model.predict_experts(at))
        return np.column_stack([pick.mean(at), gate, np.where(gate > 0, experts, 0)])

    parts, weight = along.evaluate(predictions, transform, rows), along.weights(rows, reach)
    K = (parts.shape[-1] - 1) // 2
    gate, experts = parts[..., 1 : K + 1], parts[..., K + 1 :]
    mean, share = (parts[..., 0] * weight).sum(axis=0), np.einsum("nmk,nm->mk", gate, weight)
    with np.errstate(invalid="ignore"):  # an expert that no row believes has no average
        experts = np.einsum("nmk,nmk,nm->mk", gate, experts, weight) / share
    return mean, experts, share
