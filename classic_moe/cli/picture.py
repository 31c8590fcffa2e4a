"""The picture of a fitted model that ``python -m classic_moe fit --plot`` writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline

from ..inspection import (
    CalibrationDisplay,
    ExpertCurvesDisplay,
    ExpertUsageDisplay,
    GateDependenceDisplay,
    MeanDependenceDisplay,
)
from ..inspection._columns import drawn_text, numbers_in
from ..inspection._dependence import sampled
from ..inspection._influence import influence, ranking
from ..inspection._marks import Shares, draw_rows, edges_over, row_colors, rows_in_bins
from ..inspection._palette import expert_colors, rgb_colors
from ..inspection._pictures import blank
from ..inspection._predictions import Pick, expert_names, responsibilities, unwrap
from ..parts.checks import can
from ..parts.names import natural
from .kinds import UNITS

MOST_FEATURES = 3
LEAST_SHARE = 0.1
"""A third column that moves the model less than this, as a share of the first, is not drawn."""
DENSE = 3000
"""Rows from which on a plane of points shows their density instead."""
BINS = 12
"""Of a column along which what is predicted for the rows is averaged."""
MOST_ROWS = 20_000
"""Rows drawn, and asked for their probability; of more a sample."""
REACH = 2
"""Averages count rows for which a value is plausible, see `MeanDependenceDisplay`."""
LONGEST_NAME = 28
"""Letters of a name along an axis."""
TAIL = 0.005
"""Share of the rows at each end that the axes may leave out, if that lets the others be seen."""


def draw(path, pipeline, frame, y, *, feature=None):
    """Draw what a fitted model says of a table, and write it to a file.

    Along a single column of numbers: data, experts, mixture, predictive band and gate. With several
    columns: observed against predicted, calibration, the experts' shares, and how the mean and the
    gate change on average over the rows with the two or three columns that matter most. For a
    classifier: the reliability of its probabilities, shares, and the same averages for the
    probability of the last class.

    Parameters
    ----------
    path : path-like
        Its suffix names the kind of picture.
    pipeline : fitted Pipeline that ends in a mixture of experts
        A first step "table" reads the raw table.
    frame : DataFrame of shape (n, p)
        The table as the pipeline takes it.
    y : Series of shape (n,), or DataFrame of shape (n, q)
        The target; of several outputs the first is drawn.
    feature : str, default=None
        A column to draw along, instead.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    figure_of(pipeline, frame, y, feature=feature).savefig(path, dpi=150)


def figure_of(pipeline, frame, y, *, feature=None):
    """Return the Figure that `draw` writes; parameters as of it."""
    shown = _Shown.of(pipeline, frame, y)
    if feature is not None and feature not in shown.names:
        known = ", ".join(map(drawn_text, shown.names))
        raise ValueError(f"--feature {feature!r} is not among the columns used: {known}")
    if len(shown.names) == 1 and shown.is_numeric(shown.names[0]):
        figure = _curves(shown)
    elif feature is not None:
        figure = _along(shown, feature)
    else:
        figure = _overview(shown)
    return figure


@dataclass(frozen=True)
class _Shown:
    """What is drawn.

    Attributes
    ----------
    pipeline : Pipeline
        What takes `table`.
    table : DataFrame of shape (n, p)
        Rows of the table, read: numbers and text; a sample if there are many.
    y : Series of shape (n,), or DataFrame of shape (n, q)
    columns : dict of str to Column
        How the columns were read, in the order of `table`, by their names in the raw table; empty
        where nobody read them.
    pick : Pick
        Which output or class.
    target : label, int or None
        The same, as the displays take it.
    resp : ndarray of shape (n, K), or None
    """

    pipeline: Pipeline
    table: object
    y: object
    columns: dict
    pick: Pick
    target: object
    resp: np.ndarray | None

    @classmethod
    def of(cls, pipeline, frame, y):
        """Return what is shown of a pipeline and its data."""
        rows = np.sort(np.asarray(sampled(np.arange(len(frame)), MOST_ROWS, 0)))
        frame, y = frame.iloc[rows], y.iloc[rows]
        table, columns = frame, {}
        if "table" in pipeline.named_steps:
            columns = pipeline["table"].columns
            table, pipeline = pipeline["table"].transform(frame), pipeline[1:]
        model, transform = unwrap(pipeline, cls)
        at = transform(table)
        experts = model.predict_experts(at[:1])
        target = None
        if can(model, "classes_"):
            target = model.classes_[-1]
        elif experts.ndim == 3:
            target = 0
        pick = Pick(model, target, experts)
        return cls(pipeline, table, y, columns, pick, target, responsibilities(model, at, y))

    @property
    def names(self):
        """The columns of the table by their names in the raw one, a list of str."""
        return list(self.columns) or [str(name) for name in self.table.columns]

    @property
    def model(self):
        """The mixture of experts inside the pipeline."""
        return self.pick.model

    @property
    def classification(self):
        """Whether it predicts classes."""
        return self.pick.classes is not None

    @property
    def trials(self):
        """Whether the target counts successes and failures of several trials."""
        return self.pick.index is None and np.ndim(self.y) == 2 and np.shape(self.y)[1] == 2

    @property
    def n_experts(self):
        """The number of experts, an int."""
        return self.model.n_experts_

    def is_numeric(self, name):
        """Tell whether a column holds numbers."""
        return self.values(name) is not None

    def position(self, name):
        """Return the position of a column in the table, an int."""
        return self.names.index(name)

    def values(self, name):
        """Return a column as numbers, (n,), or None if it holds categories."""
        return numbers_in(self.table.iloc[:, self.position(name)])

    def kind(self, name):
        """Return what a column is said to be, a str, or None where nobody said it."""
        return self.columns[name].kind if self.columns else None

    def plausible(self, names):
        """Return in words which rows count along columns, a str, empty where all count alike."""
        numeric = [name for name in self.names if self.is_numeric(name)]
        if len(numeric) < 2 or not set(names) & set(numeric):
            return ""
        return "\n(a row counts where its other columns make the value plausible)"

    def influential(self):
        """Return the two columns that move mean and gate most, a list of str; a third if it counts.

        An offset is none: what it does is assumed, not found.
        """
        moved = influence(self.pick, self.transform, self.table, self.names, REACH)
        order, score = ranking(moved)
        free = [j for j in range(len(order)) if self.kind(self.names[order[j]]) != "offset"]
        chosen = [j for i, j in enumerate(free) if i < 2 or score[j] > LEAST_SHARE * score[0]]
        return [self.names[order[j]] for j in chosen[:MOST_FEATURES]] or self.names[:1]

    def transform(self, table):
        """Return a table as the model takes it."""
        return self.pipeline[:-1].transform(table) if len(self.pipeline) > 1 else table

    def predicted(self):
        """Return the mean, or the probability of the class, of every row, (n,)."""
        return self.pick.mean(self.transform(self.table))

    def observed(self):
        """Return the target, or 1.0 in the class, (n,); of trials the share of successes."""
        if self.trials:
            counts = np.asarray(self.y, dtype=float)
            return counts[:, 0] / np.maximum(counts.sum(axis=1), 1)
        return self.pick.observed(self.y)

    def target_name(self):
        """Return what the target is called, a str, cut where it is longer than an axis."""
        name = self.pick.name(self.y)
        return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"

    def colors(self):
        """Return the colours of the rows, (n, 3)."""
        return row_colors(self.resp, rgb_colors(None, self.n_experts), len(self.table))


# -- figures -------------------------------------------------------------------------------------


def _curves(shown):
    """Draw data, experts, mixture, band and gate along the only column, which holds numbers."""
    figure, (name,) = blank(8, 5 if shown.n_experts > 1 else 4.2), shown.names
    axes = figure.subplots()
    if shown.n_experts > 1:
        figure.clear()
        axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    display = ExpertCurvesDisplay.from_estimator(
        shown.pipeline,
        shown.table,
        shown.y,
        target=shown.target,
        feature_name=drawn_text(name),
        target_name=shown.target_name(),
        ax=axes,
    )
    if not shown.classification:
        _limit(display.ax_, None, shown.observed())
    _show_dates(shown, name, display.gate_ax_ or display.ax_)
    return figure


def _along(shown, name):
    """Draw along one of several columns: rows and what is said of them, mean, gate."""
    many = shown.n_experts > 1
    figure = blank(8, 8.5 if many else 6)
    heights = (1.4, 1, 0.8)[: 2 + many]
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _draw_rows_along(shown, name, axes[0])
    _draw_dependence(shown, name, axes[1:])
    note = f"averages over the rows, their other columns as they are{shown.plausible([name])}"
    axes[1].set_title(note.replace("\n", " "), loc="left", **SMALL)
    for ax in axes[:-1]:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    figure.align_ylabels(axes)
    _name_experts(shown, figure)
    return figure


def _overview(shown):
    """Draw how well the model fits, and what matters most in it."""
    features, many = shown.influential(), shown.n_experts > 1
    figure = blank(11, 9 if many else 6.8)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.35 if many else 0.9), hspace=0.03)
    _draw_fit(shown, upper)
    axes = lower.subplots(1 + many, len(features), sharex="col", sharey="row", squeeze=False)
    for j, name in enumerate(features):
        _draw_dependence(shown, name, axes[:, j])
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    lower.align_ylabels(axes[:, 0])
    lower.suptitle(_in_words(shown, features), x=0.01, ha="left", fontsize="medium")
    _name_experts(shown, figure)
    return figure


def _in_words(shown, features):
    """Return what the lower part of the picture shows, a str."""
    few, all_ = len(features), len(shown.names)
    which = "the column" if all_ == 1 else "each column"
    if few < all_:
        most = f"one of the {few} columns that move" if few > 1 else "the column that moves"
        which = f"{most} the model most (of {all_})"
    text = f"Averages over the rows as {which} changes and the others stay as they are"
    return text + shown.plausible(features)


SMALL = dict(fontsize="small", color="0.35")


def _draw_fit(shown, figure):
    """Draw how well the model fits: observed against predicted, calibration, shares."""
    calibrated = can(shown.model, "predict_dist") and not shown.trials
    calibrated |= shown.classification
    drawn = [] if shown.classification else [_draw_observed]
    drawn += [_draw_calibration] if calibrated else []
    drawn += [_draw_usage] if shown.n_experts > 1 else []
    for ax, function in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        function(shown, ax)


def _draw_observed(shown, ax):
    """Draw observed against predicted: points, or where they are dense how many there are."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    predicted, observed = shown.predicted(), shown.observed()
    low = min(_inner(predicted)[0], _inner(observed)[0])
    high = max(_inner(predicted)[1], _inner(observed)[1])
    ax.plot([low, high], [low, high], color="0.4", linewidth=1, linestyle="--", zorder=3)
    dense = len(observed) > DENSE
    if dense:
        inside = (predicted >= low) & (predicted <= high) & (observed >= low) & (observed <= high)
        ax.hexbin(
            predicted[inside],
            observed[inside],
            gridsize=45,
            bins="log",
            mincnt=1,
            cmap=ListedColormap(colormaps["Greys"](np.linspace(0.3, 1, 256))),
            extent=(low, high, low, high),
            linewidths=0,
            zorder=2,
        )
    else:
        draw_rows(ax, predicted, observed, shown.colors())
    name = shown.target_name()
    ax.set(xlabel=f"predicted {name}", ylabel=f"observed {name}")
    ax.set_title("Observed against predicted", fontsize="medium", loc="left")
    margin = 0.03 * (high - low)
    ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    words = ["darker: more rows"] * dense + [_outside(ax, predicted, observed)]
    style = dict(ha="right", va="bottom", zorder=5) | SMALL
    ax.text(0.99, 0.01, "; ".join(filter(None, words)), transform=ax.transAxes, **style)


def _draw_calibration(shown, ax):
    """Draw how far the probabilities can be believed."""
    target = None if shown.classification else shown.target
    display = CalibrationDisplay.from_estimator(
        shown.pipeline, shown.table, shown.y, target=target, ax=ax
    )
    title = "Reliability of the probabilities"
    if display.kind == "pit":
        title = "Calibration (right if level)"
    ax.set_title(title, fontsize="medium", loc="left")


def _draw_usage(shown, ax):
    """Draw the experts' shares of the rows."""
    ExpertUsageDisplay.from_estimator(
        shown.pipeline, shown.table, shown.y, target=_gate_target(shown), ax=ax
    )
    if ax.get_legend():
        ax.get_legend().remove()
        ax.set_xlabel("share of rows\n(bar: by responsibility, mark: by gate)")
    ax.set_title("Experts' shares", fontsize="medium", loc="left")


def _gate_target(shown):
    """Return the target of the gate, where each output has one of its own; else None."""
    proba = shown.model.gate_proba(shown.transform(shown.table.iloc[:1]))
    return shown.target if np.ndim(proba) == 3 else None


def _draw_dependence(shown, name, axes):
    """Draw the averages of mean and gate along one column on axes, the gate where there is one."""
    common = dict(feature=shown.position(name), feature_name=drawn_text(name), reach=REACH)
    mean = MeanDependenceDisplay.from_estimator(
        shown.pipeline,
        shown.table,
        target=shown.target,
        target_name=f"{shown.target_name()}\naverage",
        ax=axes[0],
        **common,
    )
    mean.legend_.remove()
    if len(axes) > 1:
        gate = GateDependenceDisplay.from_estimator(
            shown.pipeline, shown.table, target=_gate_target(shown), ax=axes[1], **common
        )
        gate.legend_.remove()
        axes[1].set_ylabel("gate\naverage")
    if shown.is_numeric(name):
        axes[-1].locator_params(axis="x", nbins=5)
    _show_dates(shown, name, axes[-1])


def _draw_rows_along(shown, name, ax):
    """Draw rows along a column, and the averages of observed and predicted among neighbours."""
    x, observed, predicted = shown.values(name), shown.observed(), shown.predicted()
    levels = None
    if x is None:
        cells = shown.table.iloc[:, shown.position(name)].astype(str)
        found, codes = np.unique(np.asarray(cells, dtype=str), return_inverse=True)
        order = sorted(range(len(found)), key=lambda i: natural(found[i]))
        levels, x = found[order], np.argsort(order)[codes]
    there = np.flatnonzero(np.isfinite(x))
    x, observed, predicted = x[there].astype(float), observed[there], predicted[there]
    jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(x)) if levels is not None else 0
    if not shown.classification:
        draw_rows(ax, x + jitter, observed, shown.colors()[there])
    edges = edges_over(x, BINS)
    if shown.classification:
        Shares.of(x, observed, edges).draw(ax, "0.55")
    elif len(np.unique(x)) > BINS:  # as many rows in each
        edges = np.unique(np.quantile(x, np.linspace(0, 1, BINS + 1)))
    bins = rows_in_bins(x, edges)
    at, said = ([values[rows].mean() for rows in bins] for values in (x, predicted))
    style = dict(linestyle="-" if levels is None else " ", linewidth=1, zorder=4)
    ax.plot(at, said, color="black", marker="D", markersize=5, **style)
    ax.set(ylabel=shown.target_name())
    _limit(ax, x if levels is None else None, None if shown.classification else observed)
    seen = "observed shares with their numbers of rows" if shown.classification else "rows"
    ax.set_title(f"{seen}, and the average of what is predicted (black)", loc="left", **SMALL)


def _name_experts(shown, figure):
    """Name colours and lines below a figure."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Line2D([], [], color="black", linewidth=1.5)]
    labels = ["mixture"]
    if shown.n_experts > 1:
        names = expert_names(shown.model) or [f"expert {k}" for k in range(shown.n_experts)]
        handles += [Patch(facecolor=color) for color in expert_colors(shown.n_experts)]
        labels += [f"{name}" for name in names]
    lines = -(-len(labels) // int(figure.get_figwidth() - 1))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=-(-len(labels) // lines), frameon=False
    )


# -- axes ----------------------------------------------------------------------------------------


def _inner(values):
    """Return the range of values (low, high) without ends that are few and far."""
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    inner = np.quantile(values, [TAIL, 1 - TAIL])
    room = 0.5 * (inner[1] - inner[0])
    low = low if low > inner[0] - room else inner[0] - 0.1 * room
    high = high if high < inner[1] + room else inner[1] + 0.1 * room
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _limit(ax, x, y):
    """Leave out of the axes what is few and far along x or y, (n,) or None, and say so."""
    if x is not None:
        ax.set_xlim(_limits(x, ax.get_xlim()))
    if y is not None:
        ax.set_ylim(_limits(y, ax.get_ylim()))
    ax.set_title(_outside(ax, x, y), loc="right", **SMALL)


def _limits(values, present):
    """Return limits (low, high) of an axis around the inner range, within the present ones.

    An end that leaves no rows out has room for curves beyond them.
    """
    low, high = _inner(values)
    room = high - low
    below, above = (0.05 if end else 0.5 for end in (values.min() < low, values.max() > high))
    return max(present[0], low - below * room), min(present[1], high + above * room)


def _outside(ax, x, y):
    """Return in words how many rows the axes leave out, a str, empty if none."""
    outside = np.zeros(1, dtype=bool)
    for values, (low, high) in ((x, ax.get_xlim()), (y, ax.get_ylim())):
        if values is not None:
            outside = outside | (values < low) | (values > high)
    count = int(outside.sum())
    return f"{count:,} row{'s' if count > 1 else ''} outside" if count else ""


def _show_dates(shown, name, ax):
    """Put dates on the x axis where numbers stand for them."""
    if shown.kind(name) != "date":
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, num2date

    column = shown.columns[name]
    day, start = UNITS["days"] / UNITS[column.unit], column.origin / UNITS["days"]
    low, high = (end / day + start for end in ax.get_xlim())
    locator = AutoDateLocator(minticks=2, maxticks=7)
    days = np.asarray(locator.tick_values(num2date(low), num2date(high)))
    days = days[(days >= low) & (days <= high)]
    labels = ConciseDateFormatter(locator).format_ticks(days)
    ax.set_xticks((days - start) * day, labels)
