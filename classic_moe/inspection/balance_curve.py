"""`BalanceCurveDisplay`: how the loads of a blend came about, epoch by epoch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..parts.checks import can
from ._marks import show_percent
from ._palette import MOST_HUES, chosen_colors, expert_colors
from ._predictions import unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TINTS = ("#4C8FC0", "#A9CBE3", "#7AADD2", "#D3E4F0")
"""Of bands of more experts, in turn."""
NAMES = {
    "load_imbalance": "load imbalance\n(max/mean − 1)",
    "dropped_fraction": "pairs dropped",
}
"""What the panels say of what is no loss."""
KINDS = ("curves", "loads")
LEAST_BAND = 0.035
"""Share of an expert in the last epoch from which its band has room for a number."""


class BalanceCurveDisplay:
    """The balance of sparse blends in the course of their training.

    A blend (``combine="blend"``) is trained on minibatches; its `balance_curve_` says what every
    epoch was like. ``kind="curves"`` draws, in a panel each, the load imbalance, the share of pairs
    dropped for want of room, and every balance loss, times its weight; of several fits, on the same
    axes. ``kind="loads"`` draws the shares of the experts as bands that fill the height: those that
    end without rows have run out, and in a balanced fit all bands are 1/K high.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    curves : list of dict of ndarray
        The `balance_curve_` of every fit.
    labels : list of str
        A name for each.
    kind : {"curves", "loads"}, default="curves"

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first, or only, panel.
    axes_ : dict of str to Axes
        The panels by what they show: "load_imbalance", "dropped_fraction", the names of losses; or
        "load".
    figure_ : matplotlib Figure
    lines_ : dict of str to list of Line2D
        Of every panel the lines of the fits that have what it shows.
    bands_ : list of PolyCollection
        Of ``kind="loads"``: the bands from below, in the order of `order_`.
    order_ : ndarray of int or None
        The numbers of the experts of the bands, the largest at the end of training first.
    numbers_ : dict of int to Text
        The numbers of experts at the ends of their bands, where there is room.
    legend_ : Legend or None

    See Also
    --------
    ExpertLoadDisplay : The loads of a fitted model among any rows.
    ConvergenceDisplay : The objective in the course of the fit.

    Examples
    --------
    >>> from classic_moe import SparseMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> from classic_moe.inspection import BalanceCurveDisplay
    >>> from classic_moe.routing import AuxiliaryLoss
    >>> X, y = make_voronoi_pieces(400, n_pieces=6, random_state=0)
    >>> options = dict(combine="blend", max_iter=10, random_state=0)
    >>> model = SparseMixtureOfExpertsRegressor(6, balance=AuxiliaryLoss(), **options).fit(X, y)
    >>> display = BalanceCurveDisplay.from_estimator(model)
    >>> list(display.axes_)
    ['load_imbalance', 'AuxiliaryLoss']
    >>> len(BalanceCurveDisplay.from_estimator(model, kind="loads").bands_)
    6
    """

    def __init__(self, *, curves, labels, kind="curves"):
        self.curves = curves
        self.labels = labels
        self.kind = kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        kind: str = "curves",
        labels: Any = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw how the loads of one or several blends came about.

        Parameters
        ----------
        estimator : fitted sparse blend, or a list of them
            Pipelines and searches that end in one will do. ``kind="loads"`` takes one.
        kind : {"curves", "loads"}, default="curves"
            Curves of the summaries, or bands of the loads themselves.
        labels : str or list of str, default=None
            Names of the fits; None: numbers.
        ax : matplotlib Axes, default=None
            None makes a figure. Where there are several panels, they take its place in the grid of
            subplots.
        **styles : dict
            `colors`, `line_kw`, `band_kw` as in `plot`.

        Returns
        -------
        BalanceCurveDisplay

        Raises
        ------
        ValueError
            If a fit is no blend, or made no epoch; if `kind` is unknown; if labels are not one a
            fit; for bands of several fits.
        """
        if not (isinstance(kind, str) and kind in KINDS):
            raise ValueError(f'kind={kind!r}: use "curves" or "loads".')
        several = isinstance(estimator, (list, tuple))
        models = [unwrap(e, cls)[0] for e in (estimator if several else [estimator])]
        if not models:
            raise ValueError("The list of estimators is empty; give at least one fitted model.")
        if kind == "loads" and len(models) > 1:
            raise ValueError(
                f"kind='loads' draws one fit, got {len(models)}; draw them one by one, with ax=."
            )
        display = cls(
            curves=[_balance_curve(model) for model in models],
            labels=_labels(len(models), labels),
            kind=kind,
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        line_kw: dict[str, Any] | None = None,
        band_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of colours, default=None
            One a fit, or with ``kind="loads"`` one an expert; None takes the palette of Okabe and
            Ito, which colour-blind readers can tell apart. Bands of more than 12 experts have
            tints in turn, and numbers.
        line_kw, band_kw : dict, default=None
            For matplotlib's `plot` and `stackplot`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        self.lines_, self.bands_, self.numbers_ = {}, [], {}
        self.order_ = self.legend_ = None
        names = ["load"] if self.kind == "loads" else self._quantities()
        self.axes_ = _panels(ax, names)
        self.ax_ = self.axes_[names[0]]
        self.figure_ = self.ax_.figure
        if self.kind == "loads":
            self._draw_bands(colors, band_kw or {})
        else:
            self._draw_curves(colors, line_kw or {})
        from matplotlib.ticker import MaxNLocator

        last = self.axes_[names[-1]]
        last.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        last.set_xlabel("epoch")
        return self

    def _quantities(self):
        """Return what there are panels for, a list of str; nothing dropped is no panel."""
        names = dict.fromkeys(name for curve in self.curves for name in curve if name != "load")
        if not any(np.any(curve["dropped_fraction"]) for curve in self.curves):
            names.pop("dropped_fraction")
        return list(names)

    def _draw_curves(self, colors, line_kw):
        """Draw every quantity of every fit that has it."""
        colors = chosen_colors(colors, len(self.curves), "fits")
        for name, ax in self.axes_.items():
            self.lines_[name] = []
            for curve, label, color in zip(self.curves, self.labels, colors, strict=True):
                if name not in curve:
                    continue
                epochs = np.arange(1, 1 + len(curve[name]))
                style = dict(color=color, linewidth=2, label=label)
                if len(epochs) <= 25:
                    style |= dict(marker="o", markersize=3.5)
                self.lines_[name] += ax.plot(epochs, curve[name], **style | line_kw)
            ax.set_ylabel(NAMES.get(name) or f"{_words(name)}\n× weight")
            if name in NAMES:
                highest = max(np.max(curve[name]) for curve in self.curves if name in curve)
                ax.set_ylim(0, 1.08 * highest if highest > 0 else 1)
            if name == "dropped_fraction":
                show_percent(ax.yaxis)
        if len(self.curves) > 1:
            handles = self.lines_[next(iter(self.axes_))]
            self.legend_ = self.ax_.legend(handles=handles, frameon=False, fontsize="small")

    def _draw_bands(self, colors, band_kw):
        """Draw the shares of the experts on top of one another, numbers at their ends."""
        ax, load = self.ax_, self.curves[0]["load"]
        n_epochs, K = load.shape
        self.order_ = order = np.argsort(-load[-1], kind="stable")
        if colors is None and K > MOST_HUES:
            shades = [TINTS[i % len(TINTS)] for i in range(K)]
        else:
            own = expert_colors(K) if colors is None else chosen_colors(colors, K)
            shades = [own[k] for k in order]
        if n_epochs == 1:  # a band needs two ends
            load = np.repeat(load, 2, axis=0)
        epochs = np.linspace(1, max(n_epochs, 2), len(load))
        style = dict(colors=shades, edgecolor="white", linewidth=0.6)
        self.bands_ = ax.stackplot(epochs, load[:, order].T, **style | band_kw)
        ends = np.cumsum(load[-1, order])
        style = dict(fontsize="small", ha="left", va="bottom", transform=ax.transAxes)
        ax.text(1.0, 1.01, "expert", **style)
        for k, end in zip(order, ends, strict=True):
            if load[-1, k] >= LEAST_BAND:
                style = dict(xytext=(5, 0), textcoords="offset points", va="center")
                at = (epochs[-1], end - load[-1, k] / 2)
                self.numbers_[int(k)] = ax.annotate(str(k), at, fontsize="small", **style)
        ax.set(xlim=(epochs[0], epochs[-1]), ylim=(0, 1), ylabel="share of the pairs")
        show_percent(ax.yaxis)


def _balance_curve(model):
    """Return the `balance_curve_` of a fit; ValueError without, and where no epoch was made."""
    if not can(model, "balance_curve_"):
        raise ValueError(
            f"{type(model).__name__} has no balance_curve_: only sparse blends, combine='blend',"
            " are trained epoch by epoch; ExpertLoadDisplay draws the loads of any fit."
        )
    if not len(model.balance_curve_["load_imbalance"]):
        raise ValueError("The training made no epoch that ended in finite numbers; fit again.")
    return model.balance_curve_


def _labels(count, given):
    """Return a name for each of `count` fits: the given, or numbers."""
    if given is None:
        return [f"fit {i}" for i in range(count)]
    given = [given] if isinstance(given, str) else list(given)
    if len(given) != count:
        raise ValueError(f"labels has {len(given)} names for {count} fits; give one each.")
    return [str(label) for label in given]


def _words(name):
    """Return the name of a class of losses as words, "auxiliary loss", a str."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("ZLoss", "z loss").lower()


def _panels(ax, names):
    """Return the axes of the panels by name, one above the other, a dict."""
    if ax is None:
        import matplotlib.pyplot as plt

        height = 3.4 if len(names) == 1 else 0.7 + 1.5 * len(names)
        _, ax = plt.subplots(figsize=(6.5, height), layout="constrained")
        if len(names) > 1:
            return _divided(ax, names)
    if len(names) == 1:
        return {names[0]: ax}
    if ax.get_subplotspec() is None:
        raise ValueError(
            f"ax: {len(names)} panels ({', '.join(names)}) need axes of a grid, as plt.subplots"
            " makes them; these stand by themselves."
        )
    return _divided(ax, names)


def _divided(ax, names):
    """Return panels in place of axes of a grid, a dict."""
    figure, place = ax.figure, ax.get_subplotspec()
    ax.remove()
    grid = place.subgridspec(len(names), 1)
    panels = {}
    for i, name in enumerate(names):
        panels[name] = figure.add_subplot(grid[i], sharex=next(iter(panels.values()), None))
        if i < len(names) - 1:
            panels[name].tick_params(labelbottom=False)
    return panels
