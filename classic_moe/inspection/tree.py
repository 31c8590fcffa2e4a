"""`TreeDisplay`: the diagram of a hierarchical mixture of experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..parts.checks import fitted_fact
from ._layout import LINE, box_height, fit_texts, places, text_width
from ._palette import rgb_colors
from ._predictions import has_tree, unwrap
from ._words import leaf_texts, node_texts, reference_of, share, spread_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.55
"""Length of an edge between two boxes, in inches."""
SIZES = (9, 8, 7, 6)
"""Sizes of the font, in points, tried in turn."""


class TreeDisplay:
    """The tree of gates of a hierarchical mixture, with the experts at its leaves.

    A node shows its id and the equation of its gate: the log-odds of its left branch against its
    right one or, with more branches, of each but the last against the last. An edge shows which
    share of the parent's rows goes along it, and is as thick as its share of all rows. A leaf shows
    the weight of its expert, its share of all rows, and its equation, or its mean distribution
    over the classes. The larger the tree, the fewer the words.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    children : dict of str to list of str or int
        Ids of nodes or numbers of experts below every node; the root is "root".
    node_texts, leaf_texts : dict
        What may be said of a node or expert: texts from long to short, each a list of paragraphs,
        each a list of pieces that are not broken.
    weights : ndarray of shape (K,)
        The shares of the experts.
    note : str, default=""
        What the numbers are, below the tree.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    nodes_ : dict of str to Text
    leaves_ : dict of int to Text
    edges_ : dict of (str, str or int) to Line2D
    shares_ : dict of (str, str or int) to Text
        The labels of the edges, where there is room.

    See Also
    --------
    sklearn.tree.plot_tree : The same for a decision tree.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.gates import TreeGate
    >>> from classic_moe.inspection import TreeDisplay
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(4, gate=TreeGate(), random_state=0).fit(X, y)
    >>> display = TreeDisplay.from_estimator(model)
    >>> list(display.nodes_), list(display.leaves_)
    (['root', '0', '1'], [0, 1, 2, 3])
    """

    def __init__(self, *, children, node_texts, leaf_texts, weights, note=""):
        self.children = children
        self.node_texts = node_texts
        self.leaf_texts = leaf_texts
        self.weights = weights
        self.note = note

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike | None = None, *, ax: Axes | None = None, **styles: Any
    ) -> Self:
        """Draw the tree of a fitted hierarchical mixture.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            Its gate is a tree. In a Pipeline the equations are in the units of the last step.
        X : array-like or DataFrame of shape (n, p), default=None
            Data, as for `predict`. With them the terms that stay where room is short are those
            that matter most, the size of the coefficient times the column's standard deviation; the
            leaves of a classifier show the mean class probabilities of their rows.
        ax : matplotlib Axes, default=None
            None makes a figure of a size that fits.
        **styles : dict
            `colors`, `node_kw`, `leaf_kw`, `edge_kw`, `share_kw` as in `plot`.

        Returns
        -------
        TreeDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, or its gate is no tree.
        """
        model, transform = unwrap(estimator, cls)
        if not has_tree(model):
            raise ValueError(
                f"TreeDisplay draws trees of gates; the gate of this {type(model).__name__} is"
                " flat: fit a hierarchical mixture or gate=TreeGate(...)."
            )
        gate, X = model.gate_, None if X is None else transform(X)
        classes = _class_distributions(model, X)
        display = cls(
            children=gate.children_,
            node_texts={
                name: node_texts(name, view, spread_of(view, X))
                for name, view in gate.nodes_.items()
            },
            leaf_texts={
                k: leaf_texts(model, k, None if classes is None else classes[k], spread_of(view, X))
                for k, view in enumerate(model.experts_)
            },
            weights=model.weights_,
            note=_note(gate, "" if classes is not None else reference_of(model)),
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        node_kw: dict[str, Any] | None = None,
        leaf_kw: dict[str, Any] | None = None,
        edge_kw: dict[str, Any] | None = None,
        share_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of a size that fits.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart.
        node_kw, leaf_kw, edge_kw, share_kw : dict, default=None
            For matplotlib's `text`, `text`, `plot` and `text`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        colors = rgb_colors(colors, len(self.weights))
        spots, n_leaves = places(self.children), len(self.leaf_texts)
        width, most_height = _room(ax, n_leaves)
        lines, heights, size = self._largest_texts(spots, width / n_leaves, most_height)
        height = _total_height(heights, self.note)
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(width, height), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(0, height))  # in inches, as all lengths below
        middle = height - 0.1 - np.cumsum(heights) + np.array(heights) / 2
        middle -= GAP * np.arange(len(heights))
        where = {item: (x * width / n_leaves, middle[d]) for item, (x, d) in spots.items()}
        self._draw_edges(where, lines, size, edge_kw or {}, share_kw or {})
        self._draw_boxes(where, lines, size, colors, node_kw or {}, leaf_kw or {})
        self._draw_note(width / 2, size)
        return self

    def _largest_texts(self, spots, slot, most_height):
        """Return `fit_texts` at the largest size that is not too high, and that size."""
        for size in SIZES if len(self.leaf_texts) <= 9 else SIZES[2:]:
            lines, heights = fit_texts(spots, self.node_texts, self.leaf_texts, slot, size)
            if _total_height(heights, self.note) <= most_height:
                break
        return lines, heights, size

    def _draw_edges(self, where, lines, size, edge_kw, share_kw):
        """Draw the edges, thick where many rows go, with their shares where there is room."""
        self.edges_, self.shares_ = {}, {}
        for name, children in self.children.items():
            total = sum(self._weight(child) for child in children)
            (x, y), ends = where[name], [where[child] for child in children]
            apart = np.diff([end[0] for end in ends]).min()
            labels = [share(self._weight(c) / total if total > 0 else 0) for c in children]
            room = 0.5 * apart > max(text_width(text, size - 1) for text in labels)
            for child, (to_x, to_y), text in zip(children, ends, labels, strict=True):
                style = dict(color="0.65", linewidth=0.8 + 7 * self._weight(child), zorder=1)
                style["solid_capstyle"] = "round"
                self.edges_[name, child] = self.ax_.plot([x, to_x], [y, to_y], **style | edge_kw)[0]
                if not room:
                    continue
                low = to_y + box_height(lines[child], size) / 2
                high = y - box_height(lines[name], size) / 2
                # At 45 % of the way up between the boxes, as a share of the edge from its top.
                along = (y - low - 0.45 * (high - low)) / (y - to_y)
                style = dict(ha="center", va="center", fontsize=size - 1, color="0.25", zorder=2)
                style["bbox"] = dict(boxstyle="round,pad=0.1", facecolor="white", edgecolor="none")
                self.shares_[name, child] = self.ax_.text(
                    x + along * (to_x - x), y + along * (to_y - y), text, **style | share_kw
                )

    def _draw_boxes(self, where, lines, size, colors, node_kw, leaf_kw):
        """Draw the boxes of the nodes, white, and of the leaves, in the colours of the experts."""
        self.nodes_, self.leaves_ = {}, {}
        common = dict(
            ha="center", va="center", fontsize=size, linespacing=LINE, parse_math=False, zorder=3
        )
        for item, text in lines.items():
            if isinstance(item, str):
                box = dict(boxstyle="round,pad=0.35", facecolor="white", edgecolor="0.45")
                found, given = self.nodes_, node_kw
            else:
                tint = 1 - 0.25 * (1 - colors[item])
                box = dict(boxstyle="round,pad=0.35", facecolor=tint, edgecolor=colors[item])
                found, given = self.leaves_, leaf_kw
            style = common | dict(bbox=box)
            found[item] = self.ax_.text(*where[item], "\n".join(text) or " ", **style | given)
        self.nodes_ = {name: self.nodes_[name] for name in self.children}

    def _draw_note(self, x, size):
        """Write below the tree what its numbers are."""
        style = dict(ha="center", va="bottom", fontsize=size - 1, color="0.35", parse_math=False)
        self.ax_.text(x, 0.02, self.note, **style)

    def _weight(self, item):
        """Return the share of all rows that a node or leaf has, a float."""
        if isinstance(item, str):
            return sum(self._weight(child) for child in self.children[item])
        return float(self.weights[item])


def _room(ax, n_leaves):
    """Return the width of the picture and the most height it may have, in inches."""
    if ax is None:
        return max(6.5, min(1.9 * n_leaves, 16.0), 0.27 * n_leaves), np.inf
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def _total_height(heights, note):
    """Return the height of a tree with levels so high and a note below, in inches, a float."""
    return sum(heights) + GAP * (len(heights) - 1) + 0.5 + 0.15 * note.count("\n")


def _note(gate, at_leaves):
    """Return in words what the numbers in the tree are."""
    parts = ["at an edge: share of the node's rows"]
    if all(view.linear for view in gate.nodes_.values()):
        binary = all(len(children) == 2 for children in gate.children_.values())
        branch = "the left branch against the right" if binary else "each branch against the last"
        parts.insert(0, f"at a node: log-odds of {branch}")
    return "; ".join(parts) + (f"\nat a leaf: {at_leaves}" if at_leaves else "")


def _class_distributions(model, X):
    """Return the mean class probabilities of every expert over the rows it gets, (K, C), or None.

    None for a regressor, and without X where an expert has slopes, whose equation is shown then.
    """
    if fitted_fact(model, "classes_") is None:
        return None
    if X is None:
        if any(view.uses_x for view in model.experts_):
            return None
        X = np.zeros((1, model.n_features_in_))
        return np.stack([view.predict_proba(X)[0] for view in model.experts_])
    gate = model.gate_proba(X)
    return np.einsum("nk,nkc->kc", gate, model.predict_experts(X)) / gate.sum(axis=0)[:, None]
