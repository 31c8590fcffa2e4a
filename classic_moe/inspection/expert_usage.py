"""`ExpertUsageDisplay`: how many of the rows belong to each expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ._axes import names_or_numbers, one_axes
from ._dependence import table_and_names
from ._marks import show_percent
from ._palette import rgb_colors
from ._predictions import (
    check_rows,
    expert_names,
    one_gate,
    probabilities,
    responsibilities,
    unwrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ExpertUsageDisplay:
    """The share of the rows that each expert has: by the gate and by responsibility.

    The share by the gate is the mean gating probability, known before y is seen; the one by
    responsibility is the mean posterior probability, known after. In a fitted model with a softmax
    gate the two agree on the rows of the fit. An expert that hardly any row uses shows here.

    Use `from_estimator` or `from_predictions` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    gate : ndarray of shape (K,)
        Shares by the gate.
    responsibilities : ndarray of shape (K,), default=None
        Shares by responsibility; None: y is unknown.
    expert_names : list of str, default=None
        What the axis calls the experts; None: "expert 0" and so on.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : BarContainer
        The shares by responsibility, or by the gate where y is unknown.
    gate_marks_ : Line2D or None
        The shares by the gate, where there are both.
    legend_ : Legend or None

    See Also
    --------
    GateDependenceDisplay : The gate along one feature.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.inspection import ExpertUsageDisplay
    >>> X, y = make_piecewise_regression(200, random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> display = ExpertUsageDisplay.from_estimator(model, X, y)
    >>> display.gate.shape, round(float(display.responsibilities.sum()), 6)
    ((2,), 1.0)
    """

    def __init__(self, *, gate, responsibilities=None, expert_names=None):
        self.gate = gate
        self.responsibilities = responsibilities
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
        """Draw the shares of the experts of a fitted mixture.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
        X : array-like or DataFrame of shape (n, p)
            As for `predict`.
        y : array-like of shape (n,) or (n, q), default=None
            Without it there are shares by the gate alone.
        target : int, or a label, default=None
            Where each class or output has a gate of its own (Meta-Pi's ``per_class``): whose to
            draw, a class by its label, an output by its position.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `bar_kw`, `gate_kw` as in `plot`.

        Returns
        -------
        ExpertUsageDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, X and y do not match, or there are several
            gates and `target` does not say which.
        """
        model, transform = unwrap(estimator, cls)
        X, _ = table_and_names(X, estimator)
        check_rows(len(X), y)
        at = transform(X)
        resp = None if y is None else responsibilities(model, at, y)
        display = cls(
            gate=one_gate(model, at, target).mean(axis=0),
            responsibilities=None if resp is None else resp.mean(axis=0),
            expert_names=expert_names(model),
        )
        return display.plot(ax=ax, **styles)

    @classmethod
    def from_predictions(
        cls,
        gate: ArrayLike,
        responsibilities: ArrayLike | None = None,
        *,
        expert_names: Any = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the shares of experts whose probabilities are known.

        Parameters
        ----------
        gate : array-like of shape (n, K)
            Gating probabilities of the rows.
        responsibilities : array-like of shape (n, K), default=None
        expert_names : list of str, default=None
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `bar_kw`, `gate_kw` as in `plot`.

        Returns
        -------
        ExpertUsageDisplay

        Raises
        ------
        ValueError
            If they are no probabilities of as many rows and experts.
        """
        gate = probabilities("gate", gate)
        resp = None
        if responsibilities is not None:
            resp = probabilities("responsibilities", responsibilities)
            if resp.shape != gate.shape:
                raise ValueError(
                    f"gate has shape {gate.shape} and responsibilities {resp.shape}; they must"
                    " match."
                )
            resp = resp.mean(axis=0)
        display = cls(gate=gate.mean(axis=0), responsibilities=resp, expert_names=expert_names)
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        bar_kw: dict[str, Any] | None = None,
        gate_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart.
        bar_kw, gate_kw : dict, default=None
            For matplotlib's `barh` and `plot`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        K = len(self.gate)
        colors = rgb_colors(colors, K)
        ax = one_axes(ax, (6.5, 1.3 + 0.35 * K))
        self.ax_, self.figure_, self.gate_marks_, self.legend_ = ax, ax.figure, None, None
        both = self.responsibilities is not None
        shares, places = self.responsibilities if both else self.gate, np.arange(K)
        default = dict(color=colors, height=0.7, label="by responsibility" if both else "by gate")
        self.bars_ = ax.barh(places, shares, **default | (bar_kw or {}))
        if both:
            default = dict(color="black", linestyle=" ", marker="d", markersize=6, label="by gate")
            (self.gate_marks_,) = ax.plot(self.gate, places, **default | (gate_kw or {}))
        largest = np.maximum(shares, self.gate)
        for k in range(K):
            style = dict(xytext=(6, 0), textcoords="offset points", va="center", color="0.25")
            small = 0 < shares[k] < 0.001
            text = "<0.1 %" if small else f"{100 * shares[k]:.3g} %"
            ax.annotate(text, (largest[k], k), fontsize="small", **style)
        ax.set_yticks(places, names_or_numbers(self.expert_names, K))
        ax.set(xlim=(0, 1.3 * largest.max()), ylim=(K - 0.4, -0.6))
        ax.set(xlabel="share of rows" if both else "share of rows, by gate")
        show_percent(ax.xaxis)
        if both:
            self._draw_legend()
        return self

    def _draw_legend(self):
        """Say which share is a bar and which a mark, above the axes."""
        from matplotlib.patches import Patch

        handles = [Patch(facecolor="0.6"), self.gate_marks_]
        self.legend_ = self.ax_.legend(
            handles,
            ["by responsibility", self.gate_marks_.get_label()],
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            frameon=False,
            fontsize="small",
            ncols=2,
        )
