"""`ExpertLoadDisplay`: how the rows are spread over the experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..parts import checks
from ..parts.checks import can
from ..parts.names import names_of
from ._columns import drawn_text
from ._dependence import level_text, table_and_names
from ._marks import show_percent
from ._palette import MOST_HUES, OKABE_ITO, rgb_colors
from ._predictions import expert_names, one_gate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LABELS = 40
"""Columns of a heat map."""
MOST_NUMBERS = 160
"""Cells of a heat map that say their number."""
PAIRS = "share of the pairs\nof a row and an expert"
GATE = "mean gate probability"


class ExpertLoadDisplay:
    """The load of every expert, beside an equal share; or the loads among the rows of each label.

    Where rows are sent to a few experts (`classic_moe.SparseMixtureOfExpertsRegressor`), the load
    of an expert is its share of all pairs of a row and an expert that the row is sent to, as
    `expert_usage_` has it of the rows of the fit. In other mixtures, where every row has all
    experts, it is the mean gate probability. A line stands at 1/K, and experts without any row have
    a 0 in place of a bar. With labels there is a heat map: how the rows of each label are spread.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    load : ndarray of shape (K,)
        The loads, which sum to 1.
    load_by : ndarray of shape (K, L), default=None
        The loads among the rows of every label; columns sum to 1. They are drawn in place of the
        bars.
    labels : list of L str, default=()
        What the columns are.
    by_name : str, default="label"
        What the labels are values of.
    measure : str
        What the loads are shares of.
    expert_names : list of str, default=None
        What the axis calls the experts; None: their numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : BarContainer or None
    line_ : Line2D or None
        The equal share, 1/K.
    image_ : AxesImage or None
        The heat map.
    texts_ : list of Text
        The zeros of the bars, or the numbers in the cells, in percent, where these are not many.
    colorbar_ : Colorbar or None
    legend_ : Legend or None

    See Also
    --------
    ExpertUsageDisplay : The shares by gate and by responsibility.
    BalanceCurveDisplay : The loads of a blend in the course of its training.

    Examples
    --------
    >>> from classic_moe import SparseMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> from classic_moe.inspection import ExpertLoadDisplay
    >>> X, y = make_voronoi_pieces(400, n_pieces=6, random_state=0)
    >>> model = SparseMixtureOfExpertsRegressor(6, k=2, n_init=1, random_state=0).fit(X, y)
    >>> display = ExpertLoadDisplay.from_estimator(model, X)
    >>> len(display.bars_), bool((display.load == model.expert_usage_).all())
    (6, True)
    >>> side = ["left" if x < 0 else "right" for x in X[:, 0]]
    >>> ExpertLoadDisplay.from_estimator(model, X, by=side).load_by.shape
    (6, 2)
    """

    def __init__(
        self, *, load, load_by=None, labels=(), by_name="label", measure=PAIRS, expert_names=None
    ):
        self.load = load
        self.load_by = load_by
        self.labels = labels
        self.by_name = by_name
        self.measure = measure
        self.expert_names = expert_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        by: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        target: int | str | None = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the loads of the experts of a fitted mixture, blend, or layer of a deep mixture.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            Or one of the `layers_` of a deep mixture.
        X : array-like or DataFrame of shape (n, p)
            As for `predict`.
        by : array-like of shape (n,), default=None
            A label of every row, such as its class or its group: a heat map of experts and labels.
        sample_weight : array-like of shape (n,), default=None
            What every row counts; None: all the same.
        target : int, or a label, default=None
            Where each class or output has a gate of its own (Meta-Pi's ``per_class``): whose to
            draw, a class by its label, an output by its position.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `bar_kw`, `line_kw`, `image_kw`, `text_kw` as in `plot`.

        Returns
        -------
        ExpertLoadDisplay

        Raises
        ------
        ValueError
            If the estimator has no gate, or one in every layer; if labels or weights are not one a
            row; if there are more labels than a heat map has room for.
        """
        model, transform = _with_gate(estimator)
        X, _ = table_and_names(X, estimator)
        weight = _one_a_row("sample_weight", sample_weight, len(X))
        weight = np.ones(len(X)) if weight is None else weight.astype(float)
        sent, measure = _sent(model, transform(X), target)
        labels, load_by, name = (), None, "label"
        if by is not None:
            column = _one_a_row("by", by, len(X))
            levels, code = np.unique(column, return_inverse=True)
            _check_labels(len(levels))
            sums = np.stack([(weight * (code == c)) @ sent for c in range(len(levels))], axis=1)
            load_by, labels = _shares(sums), [str(level) for level in levels]
            name = (names_of(by) or ("label",))[0]
        names = expert_names(model)
        plain = names == [f"expert {k}" for k in range(sent.shape[1])]
        display = cls(
            load=_shares(weight @ sent),
            load_by=load_by,
            labels=labels,
            by_name=drawn_text(name),
            measure=measure,
            expert_names=None if plain else names,
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        bar_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        image_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart, and
            five further ones; of more than 12 experts all bars have one colour.
        bar_kw, line_kw, image_kw, text_kw : dict, default=None
            For matplotlib's `bar`, `axhline`, `imshow` and `text`, on top of what is drawn by
            default.

        Returns
        -------
        self
        """
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=self._size(), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.bars_ = self.line_ = self.image_ = self.colorbar_ = self.legend_ = None
        self.texts_ = []
        if self.load_by is None:
            self._draw_bars(colors, bar_kw or {}, line_kw or {}, text_kw or {})
        else:
            self._draw_map(image_kw or {}, text_kw or {})
        return self

    def _size(self):
        """Return the size of a figure, in inches, a pair."""
        K = len(self.load)
        if self.load_by is None:
            return max(4.5, min(1.8 + 0.4 * K, 12)), 3.4
        return max(4.5, min(2.4 + 0.55 * len(self.labels), 12)), max(3.2, 1.4 + min(0.36 * K, 8))

    def _draw_bars(self, colors, bar_kw, line_kw, text_kw):
        """Draw a bar for every expert, and the line of an equal share."""
        ax, K = self.ax_, len(self.load)
        many = colors is None and K > MOST_HUES
        style = dict(color=OKABE_ITO[0] if many else rgb_colors(colors, K), width=0.8)
        self.bars_ = ax.bar(np.arange(K), self.load, **style | bar_kw)
        style = dict(color="black", linestyle="--", linewidth=1.2, label=f"equal share, 1/{K}")
        self.line_ = ax.axhline(1 / K, **style | line_kw)
        top = 1.25 * max(self.load.max(), 1 / K)
        for k in np.flatnonzero(self.load == 0):
            style = dict(ha="center", va="bottom", color="0.25", fontsize="small")
            self.texts_.append(ax.text(k, 0.01 * top, "0", **style | text_kw))
        ax.set(xlim=(-0.6, K - 0.4), ylim=(0, top), ylabel=self.measure)
        show_percent(ax.yaxis)
        self._name_experts(ax.xaxis)
        self.legend_ = ax.legend(handles=[self.line_], loc="upper right", frameon=False)

    def _name_experts(self, axis):
        """Write below or beside an axis what the experts are called."""
        K = len(self.load)
        if self.expert_names is not None:
            tilted = dict(rotation=35, ha="right", rotation_mode="anchor")
            turned = (
                tilted if axis.axis_name == "x" and max(map(len, self.expert_names)) > 6 else {}
            )
            axis.set_ticks(range(K), self.expert_names, **turned)
            return
        every = 1 + (K - 1) // 32
        axis.set_ticks(range(0, K, every))
        axis.set_label_text("expert")

    def _draw_map(self, image_kw, text_kw):
        """Draw a cell for every expert and label, and how much that is."""
        ax, L = self.ax_, len(self.labels)
        style = dict(cmap="Blues", vmin=0, vmax=self.load_by.max(), aspect="auto")
        self.image_ = ax.imshow(self.load_by, **style | image_kw)
        texts = [level_text(label) for label in self.labels]
        tilted = dict(rotation=35, ha="right", rotation_mode="anchor")
        ax.set_xticks(range(L), texts, **(tilted if max(map(len, texts)) > 6 else {}))
        ax.set_xlabel(self.by_name)
        self._name_experts(ax.yaxis)
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=ax, label=self._measure_by())
        show_percent(self.colorbar_.ax.yaxis)
        if self.load_by.size > MOST_NUMBERS:
            return
        for (k, c), share in np.ndenumerate(self.load_by):
            dark = self.image_.norm(share) > 0.6
            style = dict(ha="center", va="center", fontsize="small")
            style["color"] = "white" if dark else "black"
            text = f"{100 * share:.0f}" if share == 0 or share >= 0.005 else "<1"
            self.texts_.append(ax.text(c, k, text, **style | text_kw))

    def _measure_by(self):
        """Return what the cells of the heat map are, a str."""
        what = "share of the pairs" if self.measure == PAIRS else self.measure
        return f"{what}\nwithin one {self.by_name}"


def _with_gate(estimator):
    """Return the model inside that has a gate, and what is done to X before it; else ValueError."""
    model, transform = checks.unwrap(estimator)
    if can(model, "fit"):
        check_is_fitted(model)
    if can(model, "layers_"):
        raise ValueError(
            f"{type(model).__name__} has a gate in each of its {len(model.layers_)} layers; give"
            " one of model.layers_, such as model.layers_[0]."
        )
    if not can(model, "gate_proba"):
        raise ValueError(
            f"ExpertLoadDisplay draws mixtures of experts; {type(model).__name__} is none."
        )
    return model, transform


def _sent(model, X, target):
    """Return how much every row counts for each expert, (n, K), and what the loads then are."""
    if not can(model, "route"):
        return one_gate(model, X, target), GATE
    if target is not None:
        raise ValueError(f"target={target!r}: one gate serves all of y; leave target None.")
    routes = model.route(X)
    routes.data = np.ones_like(routes.data)
    return routes.toarray(), PAIRS


def _one_a_row(name, values, n):
    """Return labels or weights as an array, (n,), or None without any; ValueError for another n."""
    if values is None:
        return None
    found = np.asarray(values)
    if found.shape != (n,):
        raise ValueError(f"{name} has shape {found.shape} and X {n} rows; give one value a row.")
    if name == "by" and found.dtype.kind == "O":
        found = found.astype(str)
    return found


def _check_labels(count):
    """ValueError for more labels than there is room for."""
    if count > MOST_LABELS:
        raise ValueError(
            f"by has {count} different values, and a heat map has room for {MOST_LABELS}; put"
            " numbers into bins, as numpy.digitize does, or name fewer groups."
        )


def _shares(sums):
    """Return sums (K,) or (K, L) as shares of their column's total, 0 where that is 0."""
    total = sums.sum(axis=0)
    return sums / np.where(total > 0, total, 1.0)
