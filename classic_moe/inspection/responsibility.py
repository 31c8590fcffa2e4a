"""`ResponsibilityDisplay`: which expert has which row, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from ..parts.checks import can
from ._axes import draw_note, names_or_numbers, panels
from ._dependence import table_and_names
from ._palette import rgb_colors
from ._predictions import check_rows, expert_names, one_gate, probabilities, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS = 1500
"""Rows that have a column of the picture each; of more, neighbours share one, their average."""


class ResponsibilityDisplay:
    """A heat map of responsibilities, sorted, and how much each row is in doubt.

    Every column is a row of the data, every line an expert, in its colour, the stronger the more it
    is responsible. Rows stand in the order of the expert that has most of them, the surest first.
    Below, the entropy -Σ_k r_k log r_k of each row: 0 where one expert has it, log K where all have
    it alike. Without y they are the gate's probabilities, known before y is seen.

    Use `from_estimator` or `from_predictions` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    responsibilities : ndarray of shape (n, K)
        Rows sum to 1.
    of : {"responsibility", "gate probability"}, default="responsibility"
        What they are.
    expert_names : list of str, default=None
        What the axis calls the experts; None: "expert 0" and so on.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Those of the heat map.
    entropy_ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    order_ : ndarray of int of shape (n,)
        The rows from left to right.
    entropy_ : ndarray of shape (n,)
        Of every row as it was given, in nats.
    image_ : AxesImage
    entropy_area_ : matplotlib collection

    See Also
    --------
    ExpertUsageDisplay : The sums.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inspection import ResponsibilityDisplay
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> display = ResponsibilityDisplay.from_estimator(model, X, y)
    >>> display.image_.get_array().shape, display.entropy_.shape
    ((3, 133, 3), (133,))
    """

    def __init__(self, *, responsibilities, of="responsibility", expert_names=None):
        self.responsibilities = responsibilities
        self.of = of
        self.expert_names = expert_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        target: int | str | None = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the responsibilities of a fitted mixture of experts.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
        X : array-like or DataFrame of shape (n, p)
            As for `predict`.
        y : array-like of shape (n,) or (n, q), default=None
            Without it the gate's probabilities are drawn.
        target : int, or a label, default=None
            Where each class or output has a gate of its own (Meta-Pi's ``per_class``) and there is
            no y: whose to draw, a class by its label, an output by its position.
        ax : matplotlib Axes, default=None
            None makes a figure; one of a grid gives its place to the two panels.
        **styles : dict
            `colors`, `image_kw`, `entropy_kw` as in `plot`.

        Returns
        -------
        ResponsibilityDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, has no responsibilities and y is given, X
            and y do not match, or there are several gates and `target` does not say which.
        """
        model, transform = unwrap(estimator, cls)
        X, _ = table_and_names(X, estimator)
        check_rows(len(X), y)
        at = transform(X)
        if y is None:
            found, of = one_gate(model, at, target), "gate probability"
        elif not can(model, "responsibilities"):
            raise ValueError(
                f"This {type(model).__name__} has no responsibilities: its objective is an error,"
                " or it is the truth; leave y out to see the gate's probabilities."
            )
        else:
            found, of = model.responsibilities(at, y), "responsibility"
        display = cls(responsibilities=found, of=of, expert_names=expert_names(model))
        return display.plot(ax=ax, **styles)

    @classmethod
    def from_predictions(
        cls,
        responsibilities: ArrayLike,
        *,
        of: str = "responsibility",
        expert_names: Any = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw responsibilities that are known.

        Parameters
        ----------
        responsibilities : array-like of shape (n, K)
            Rows sum to 1.
        of : str, default="responsibility"
            What they are.
        expert_names : list of str, default=None
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `image_kw`, `entropy_kw` as in `plot`.

        Returns
        -------
        ResponsibilityDisplay

        Raises
        ------
        ValueError
            If they are no probabilities.
        """
        found = probabilities("responsibilities", responsibilities)
        return cls(responsibilities=found, of=of, expert_names=expert_names).plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        image_kw: dict[str, Any] | None = None,
        entropy_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure; one of a grid gives its place to the two panels.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart;
            more than 12 experts are all grey, and told by the names at the side.
        image_kw, entropy_kw : dict, default=None
            For matplotlib's `imshow` and `fill_between`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        resp = np.asarray(self.responsibilities, dtype=float)
        n, K = resp.shape
        shades = rgb_colors(colors, K)
        size = (7.5, 1.9 + 0.27 * max(K, 3))
        _, axes = panels(ax, size, (2, 1), sharex=True, height_ratios=(max(K, 3) / 3, 1))
        self.ax_, self.entropy_ax_ = axes[:, 0]
        self.figure_ = self.ax_.figure.canvas.figure
        self.entropy_ = entr(resp).sum(axis=1)
        self.order_ = _sorted(resp)
        cells = _averaged(resp[self.order_])  # (m, K)
        picture = 1 - cells.T[:, :, None] * (1 - shades[:, None])
        style = dict(aspect="auto", interpolation="nearest", extent=(0, n, K - 0.5, -0.5))
        self.image_ = self.ax_.imshow(picture, **style | (image_kw or {}))
        self.ax_.set_yticks(range(K), names_or_numbers(self.expert_names, K))
        self.ax_.tick_params(labelbottom=False)
        for border in range(1, K):
            self.ax_.axhline(border - 0.5, color="0.8", linewidth=0.6)
        note = f"{self.of} (full colour: 1); mean entropy {self.entropy_.mean():.2g} nats"
        draw_note(self.ax_, note + (f" of at most log {K} = {np.log(K):.3g}" if K > 1 else ""))
        self._draw_entropy(entropy_kw or {})
        return self

    def _draw_entropy(self, style):
        """Draw how much every row is in doubt, in the order of the heat map."""
        ax, (n, K) = self.entropy_ax_, np.shape(self.responsibilities)
        heights = _averaged(self.entropy_[self.order_][:, None])[:, 0]
        edges = np.linspace(0, n, len(heights) + 1)
        default = dict(color="0.35", linewidth=0, step="post")
        self.entropy_area_ = ax.fill_between(edges, np.append(heights, 0), **default | style)
        most = np.log(K) if K > 1 else 1.0
        ax.set(xlim=(0, n), ylim=(0, 1.04 * most), ylabel="entropy\n(nats)")
        ax.set_yticks([0, most], ["0", f"{most:.2g}"])
        ax.set_xlabel(f"the {n:,} rows, sorted by expert, the surest first")


def _sorted(resp):
    """Return the rows by their most responsible expert, the surest first, (n,)."""
    return np.lexsort((-resp.max(axis=1), resp.argmax(axis=1)))


def _averaged(values):
    """Return values (n, q) with neighbours averaged until there are no more than fit, (m, q)."""
    n = len(values)
    if n <= MOST_COLUMNS:
        return values
    starts = np.linspace(0, n, MOST_COLUMNS, endpoint=False).astype(int)
    counts = np.diff(np.append(starts, n))
    return np.add.reduceat(values, starts, axis=0) / counts[:, None]
