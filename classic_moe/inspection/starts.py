"""`StartsDisplay`: where every start of a fit ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..parts.checks import can
from ._axes import draw_note, legend_beside, one_axes
from ._palette import OKABE_ITO
from ._predictions import unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUTCOMES = {
    "chosen": "black",
    "ended": OKABE_ITO[0],
    "given up": "0.6",
    "collapsed": OKABE_ITO[3],
    "failed": OKABE_ITO[4],
}
"""The colours of the outcomes of a climb."""
MARKERS = {"start": "o", "hop": "s", "given": "D"}
"""The markers of the kinds of a climb."""
WORDS = {"hop": "hop from a maximum", "given": "given parameters"}
SAME = 0.05
"""Log-likelihoods that are no further apart are one: no test could tell such fits apart."""
MOST = 40
"""Climbs that a picture has room for."""


class StartsDisplay:
    """Where every climb of the search began, and where it ended.

    A line a climb, the best above, from the objective after its short run (open) to the one at its
    end (filled), in the colour of its outcome: the one that was chosen, others that ended, were
    given up as they promised too little, collapsed or failed. Numbers at the right are the share of
    the rows that its smallest expert has. Climbs that ended more than once at the best value are a
    sign that it is the maximum; if the chosen one is alone, more starts may find a better one. What
    is far off to either side has an arrow at the edge. Of more than 40 climbs the best of those
    that were given up fill the room that the others leave.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    kind : array-like of str of shape (climbs,)
        "start", "hop" or "given".
    early_objective, objective : array-like of shape (climbs,)
        After the short run, and at the end; summed over the rows.
    outcome : array-like of str of shape (climbs,)
        "chosen", "ended", "given up", "collapsed" or "failed".
    smallest_share : array-like of shape (climbs,), default=None
        Of the rows among the experts.
    objective_name : str, default="penalised log-likelihood"
        What the axis shows.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    order_ : ndarray of int of shape (climbs,)
        The climbs that are drawn from above, the best first.
    lines_ : list of Line2D
        One for each climb that did not fail, in this order.
    ends_ : list of Line2D
        The filled points.
    shares_ : list of Text
        The numbers at the right.
    legend_ : Legend

    See Also
    --------
    ConvergenceDisplay : The climb from the start that was chosen, iteration by iteration.
    classic_moe.diagnose : The same in words.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inspection import StartsDisplay
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> display = StartsDisplay.from_estimator(model)
    >>> int(display.order_[0]) == model.starts_["outcome"].tolist().index("chosen")
    True
    """

    def __init__(
        self,
        *,
        kind,
        early_objective,
        objective,
        outcome,
        smallest_share=None,
        objective_name="penalised log-likelihood",
    ):
        self.kind = kind
        self.early_objective = early_objective
        self.objective = objective
        self.outcome = outcome
        self.smallest_share = smallest_share
        self.objective_name = objective_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None, **styles: Any) -> Self:
        """Draw where the climbs of a fitted mixture of experts ended.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `line_kw`, `end_kw` as in `plot`.

        Returns
        -------
        StartsDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, or keeps no `starts_`.
        """
        model, _ = unwrap(estimator, cls)
        if not can(model, "starts_") or model.starts_ is None:
            raise ValueError(
                f"{type(model).__name__} keeps no starts_: the truth of simulated data has none,"
                " and a later call of partial_fit drops them; ConvergenceDisplay draws the climb."
            )
        likelihood = can(model, "log_prob")
        display = cls(
            **model.starts_,
            objective_name="penalised log-likelihood" if likelihood else "objective",
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        line_kw: dict[str, Any] | None = None,
        end_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : dict of str to colour, default=None
            By outcome; what is not there has its own.
        line_kw, end_kw : dict, default=None
            For matplotlib's `plot`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        from matplotlib.ticker import MaxNLocator

        objective = np.asarray(self.objective, dtype=float)
        rank = np.where(np.isnan(objective), -np.inf, objective)
        chosen = np.asarray(self.outcome) == "chosen"
        # At equal height the chosen one stands first.
        order = np.lexsort((~chosen, -np.where(chosen, rank + SAME, rank)))
        left = np.asarray(self.outcome)[order] == "given up"
        kept = np.sort(np.argsort(left, kind="stable")[:MOST])
        self.order_, n = order[kept], len(kept)
        ax = one_axes(ax, (7.5, 1.4 + 0.24 * max(n, 6)))
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.ends_, self.shares_, self._off = [], [], [], False
        low, high = self._limits()
        pad = 0.04 * (high - low)
        ax.set(xlim=(low - pad, high + pad), ylim=(n - 0.4, -0.6), yticks=[])
        colors = OUTCOMES | (colors or {})
        for place, i in enumerate(self.order_):
            self._draw_climb(place, i, colors, (low, high), (line_kw or {}, end_kw or {}))
        best = float(objective[chosen][0]) if chosen.any() else high
        ax.axvline(best, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
        ax.set(xlabel=f"{self.objective_name}, sum over rows", ylabel="climbs")
        ax.xaxis.set_major_locator(MaxNLocator(3))  # long numbers must not run into each other
        ax.ticklabel_format(axis="x", useOffset=False, style="plain")
        self._draw_shares()
        self._draw_legend(colors)
        return self

    def _limits(self):
        """Return the ends of the axis: all healthy ends, and early points that are not far off."""
        objective, early = (np.asarray(v, float) for v in (self.objective, self.early_objective))
        healthy = np.isin(self.outcome, ("chosen", "ended", "given up")) & np.isfinite(objective)
        ends = objective[healthy] if healthy.any() else objective[np.isfinite(objective)]
        if not len(ends):
            return 0.0, 1.0
        low, high = ends.min(), ends.max()
        width = max(high - low, 1.0)
        begun = early[np.isfinite(early)]
        low = min(low - 0.05 * width, max(begun.min(initial=low), low - 2 * width))
        return low, high + 0.02 * (high - low)

    def _draw_climb(self, place, i, colors, limits, styles):
        """Draw a climb: its line, and points at both ends, or arrows where these are far off."""
        early, end = float(self.early_objective[i]), float(self.objective[i])
        color, marker = colors[self.outcome[i]], MARKERS.get(self.kind[i], "o")
        line_kw, end_kw = styles
        if not np.isfinite(end):
            style = dict(color=color, marker="x", linestyle="none", zorder=3)
            at = limits[0] if not end > 0 else limits[1]
            self.ends_ += self.ax_.plot([at], [place], **style | end_kw)
            return
        early = early if np.isfinite(early) else limits[0] - 1
        self._off |= not limits[0] <= early <= end <= limits[1]
        (x0, first), (x1, last) = (_inside(v, limits, marker) for v in (early, end))
        style = dict(color=color, linewidth=1.4, alpha=0.7, zorder=2)
        self.lines_ += self.ax_.plot([x0, x1], [place, place], **style | line_kw)
        style = dict(color=color, markersize=5, linestyle="none", zorder=2.5)
        self.ax_.plot([x0], [place], marker=first, markerfacecolor="white", **style)
        style = dict(color=color, marker=last, markersize=6.5, linestyle="none", zorder=3)
        self.ends_ += self.ax_.plot([x1], [place], **style | end_kw)

    def _draw_shares(self):
        """Write at the right the share of the smallest expert of every climb."""
        if len(self.order_) < len(self.kind):
            draw_note(self.ax_, f"{len(self.order_)} of {len(self.kind)} climbs")
        if self.smallest_share is None:
            return
        style = dict(transform=self.ax_.get_yaxis_transform(), fontsize="x-small", color="0.35")
        for place, i in enumerate(self.order_):
            share = float(self.smallest_share[i])
            if np.isfinite(share):
                text = f"{100 * share:.0f} %" if share == 0 or share >= 0.005 else "<1 %"
                where = dict(ha="right", va="center")
                self.shares_.append(self.ax_.text(1.085, place, text, **where, **style))
        self.ax_.text(1.085, -0.75, "smallest\nexpert", ha="right", va="bottom", **style)

    def _draw_legend(self, colors):
        """Say beside the axes what the colours and markers are."""
        from matplotlib.lines import Line2D

        shown = [outcome for outcome in OUTCOMES if outcome in set(self.outcome)]
        objective, outcome = np.asarray(self.objective, float), np.asarray(self.outcome)
        handles = [
            Line2D([], [], color=colors[o], marker="x" if o == "failed" else "o") for o in shown
        ]
        labels = [f"{o} ({np.sum(outcome == o)})" for o in shown]
        if "chosen" in shown:
            near = np.isin(outcome, ("chosen", "ended"))
            met = near & (np.abs(objective - objective[outcome == "chosen"][0]) <= SAME)
            labels[0] = f"chosen (reached by {met.sum()})"
        kinds = [kind for kind in MARKERS if kind in set(self.kind)]
        if len(kinds) > 1:
            style = dict(color="0.4", linestyle="none")
            handles += [Line2D([], [], marker=MARKERS[kind], **style) for kind in kinds]
            labels += [WORDS.get(kind, kind) for kind in kinds]
        style = dict(color="0.4", marker="o", markerfacecolor="white", linestyle="none")
        handles.append(Line2D([], [], **style))
        labels.append("after the short run")
        if self._off:
            handles.append(Line2D([], [], **style | dict(marker="<")))
            labels.append("further off")
        beside = (1.01 if not self.shares_ else 1.11, 1)
        self.legend_ = legend_beside(
            self.ax_, handles, labels, fontsize="small", bbox_to_anchor=beside
        )


def _inside(value, limits, marker):
    """Return where a value is drawn, and its marker: an arrow at the edge where it is far off."""
    if value < limits[0]:
        return limits[0], "<"
    return (limits[1], ">") if value > limits[1] else (value, marker)
