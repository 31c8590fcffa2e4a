"""What several displays draw: lines that fade, rows as points, observed shares with counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

FEW = 1000
"""Rows that are drawn as points with white edges; more are drawn the fainter the more there are."""
FAINTEST = 0.08
TICKS = 100
"""Rows of a classifier that are drawn one by one; of more, the observed shares in bins."""


def fading_line(x, y, opacity, color, **style):
    """Return a line (m,) as opaque at every point as is said there, a LineCollection."""
    from matplotlib.collections import LineCollection

    pieces, shades = _fading(np.column_stack([x, y]), opacity)
    default = dict(color=[(*color, a) for a in shades], linewidth=4, capstyle="butt", zorder=2)
    return LineCollection(pieces, **default | style)


def _fading(points, opacity, levels=50):
    """Return a line cut where its opacity changes: a list of (m_i, 2) and one of opacities."""
    level = np.round(levels * (opacity[1:] + opacity[:-1]) / 2)
    cuts = np.flatnonzero(np.diff(level)) + 1
    starts, stops = [0, *cuts], [*cuts, len(level)]
    pieces = [points[i : j + 1] for i, j in zip(starts, stops, strict=True)]
    return pieces, [level[i] / levels for i in starts]


def row_colors(responsibilities, colors, n, grey=0.6):
    """Return the colours of n rows, mixed by responsibility, or grey without any, (n, 3)."""
    if responsibilities is None:
        return np.full((n, 3), grey)
    return np.clip(responsibilities @ colors, 0, 1)


def draw_rows(ax, x, y, colors, opacity=None, style=None):
    """Draw rows as points: with white edges, or without and faint where they are many.

    Parameters
    ----------
    ax : matplotlib Axes
    x, y : ndarray of shape (n,)
    colors : ndarray of shape (n, 3)
    opacity : ndarray of shape (n,), default=None
        1 for a row that counts in full.
    style : dict, default=None
        For `scatter`, on top of what is drawn by default.

    Returns
    -------
    PathCollection
    """
    n = len(x)
    opacity = np.ones(n) if opacity is None else opacity
    default = dict(s=22, edgecolors="white", linewidths=0.5, zorder=2.5)
    if n > FEW:
        opacity = opacity * faintness(n)
        default = dict(s=12, linewidths=0, zorder=1.5, rasterized=True)
    if (opacity < 1).any():
        default["alpha"] = opacity
    return ax.scatter(x, y, **dict(c=colors) | default | (style or {}))


def faintness(n):
    """Return how opaque each of n rows is, so that many show how dense they lie, a float."""
    return 1.0 if n <= FEW else max(FAINTEST, (FEW / n) ** 0.7)


def show_percent(axis):
    """Label the ticks of an axis of shares in percent."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))


# -- observed shares -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Shares:
    """The observed share of a class in bins of rows, with how many there are.

    Attributes
    ----------
    x : ndarray of shape (b,)
        Mean of the variable in each bin.
    share, low, high : ndarray of shape (b,)
        Observed share, and the ends of its 90 % interval (Wilson, 1927).
    count : ndarray of shape (b,)
    rows : list of b ndarray
        The rows of each bin.
    """

    x: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    rows: list

    @classmethod
    def of(cls, x, hit, edges):
        """Return the Shares of rows (n,), `hit` being 1.0 in the class, in `rows_in_bins`."""
        rows = rows_in_bins(x, edges)
        count = np.array([len(r) for r in rows])
        share = np.array([hit[r].mean() for r in rows])
        each = [binomtest(int(hit[r].sum()), len(r)).proportion_ci(0.9, "wilson") for r in rows]
        low, high = np.array(each).T
        return cls(np.array([x[r].mean() for r in rows]), share, low, high, count, rows)

    def draw(self, ax, colors, counts=True, style=None):
        """Draw points as large as their counts, with intervals; return the PathCollection."""
        ax.vlines(self.x, self.low, self.high, colors=colors, linewidth=1, alpha=0.7, zorder=2.4)
        size = 20 + 80 * self.count / self.count.max()
        default = dict(c=colors, s=size, edgecolors="white", linewidths=0.7, zorder=2.5)
        if counts:
            self._write_counts(ax)
        return ax.scatter(self.x, self.share, **default | (style or {}))

    def _write_counts(self, ax):
        """Write the number of rows beside every point, at the side that is nearer the middle."""
        for x, low, high, count in zip(self.x, self.low, self.high, self.count, strict=True):
            above = low + high < 1
            ax.annotate(
                f"{count:,}",
                (x, high if above else low),
                xytext=(0, 3 if above else -3),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize="x-small",
                color="0.35",
            )


def rows_in_bins(x, edges):
    """Return the rows in each bin, a list of ndarray; empty bins are left out.

    Parameters
    ----------
    x : ndarray of shape (n,)
    edges : ndarray of shape (b + 1,)
        The lower ends belong to the bins, and the upper one to the last.
    """
    bins = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    return [np.flatnonzero(bins == b) for b in np.unique(bins)]


def edges_over(x, n_bins=10):
    """Return the edges of bins of equal width, or of one for every value where these are few."""
    values = np.unique(x)
    if len(values) <= n_bins:
        return np.append(values, np.inf)
    return np.linspace(values[0], values[-1], n_bins + 1)
