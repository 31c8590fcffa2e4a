"""`ModelSelectionDisplay`: what a search for the number of experts compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..parts.checks import can
from ._palette import OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {"cv": "mean_test_score", "evidence": "log_evidence"}
"""Columns of the results that are named otherwise than the criterion."""
NAMES = {"bic": "BIC", "icl": "ICL", "aic": "AIC"}
INFORMATION = ("bic", "icl", "aic")
"""Criteria of one scale, drawn together."""
WORST = 3.0
"""How far above the chosen criterion's values the axis reaches, in their own range, at most."""


class ModelSelectionDisplay:
    """Criterion against number of experts, as `ExpertCountSearch` found it.

    Of information criteria the one that decided is drawn thick, the others thin: all are of one
    scale, and lower is better. Of cross-validation there are the mean held-out log-density with its
    standard error, each fold as a thin line, and, where the rule was one standard error, the level
    that was good enough. A ring marks the choice; open points are fits that have collapsed.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    results : dict of array-like of shape (numbers,)
        As of `results_` of the search.
    criterion : str, default="bic"
        What decided.
    best_n_experts : int, default=None
        What was chosen; None draws no ring.
    rule : {"best", "one_se"}, default="best"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to Line2D
        By criterion.
    errorbar_ : ErrorbarContainer or None
        Of cross-validation.
    fold_lines_ : list of Line2D
    collapsed_ : list of Line2D
        The open points.
    level_ : Line2D or None
        What was good enough.
    choice_ : Line2D or None
        The ring.
    legend_ : Legend or None

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inspection import ModelSelectionDisplay
    >>> from classic_moe.model_selection import ExpertCountSearch
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> search = ExpertCountSearch(MixtureOfExpertsRegressor(random_state=0), range(1, 6))
    >>> display = ModelSelectionDisplay.from_estimator(search.fit(X, y))
    >>> display.ax_.get_xlabel(), list(display.lines_), display.choice_.get_xdata()
    ('number of experts', ['bic', 'icl', 'aic'], array([4]))
    """

    def __init__(self, *, results, criterion="bic", best_n_experts=None, rule="best"):
        self.results = results
        self.criterion = criterion
        self.best_n_experts = best_n_experts
        self.rule = rule

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None, **styles: Any) -> Self:
        """Draw what a fitted search compared.

        Parameters
        ----------
        estimator : fitted ExpertCountSearch, or a Pipeline that ends in one
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `color`, `line_kw`, `choice_kw` as in `plot`.

        Returns
        -------
        ModelSelectionDisplay

        Raises
        ------
        ValueError
            If there is no fitted search.
        """
        search = estimator[-1] if can(estimator, "steps") else estimator
        if not can(search, "results_", "best_n_experts_", "criterion"):
            raise ValueError(
                f"{cls.__name__} needs a fitted ExpertCountSearch, got {type(search).__name__}; fit"
                " the search first, and pass it rather than its best_estimator_."
            )
        display = cls(
            results=search.results_,
            criterion=search.criterion,
            best_n_experts=search.best_n_experts_,
            rule=search.rule,
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        color: Any = OKABE_ITO[0],
        line_kw: dict[str, Any] | None = None,
        choice_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        color : colour, default="#0072B2"
            Of the criterion that decided.
        line_kw, choice_kw : dict, default=None
            For matplotlib's `plot`, of that criterion and of the ring, on top of what is drawn by
            default.

        Returns
        -------
        self
        """
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.errorbar_ = self.level_ = self.choice_ = self.legend_ = None
        self.lines_, self.fold_lines_, self.collapsed_ = {}, [], []
        style = dict(color=color, linewidth=2.2, marker="o", markersize=6, zorder=3)
        self._draw_line(self.criterion, style | (line_kw or {}))
        if self.criterion in INFORMATION:
            self._draw_other_criteria()
            ax.set_ylabel("information criterion (lower is better)")
        elif self.criterion == "cv":
            self._draw_folds(self.lines_["cv"].get_color())
            ax.set_ylabel("log-density of a held-out row (higher is better)")
        else:
            ax.set_ylabel("log-evidence (higher is better)")
        self._draw_choice(choice_kw or {})
        ax.set_xlabel("number of experts")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(self.lines_) > 1 or self.fold_lines_ or self.collapsed_:
            self.legend_ = ax.legend(frameon=False)
        return self

    def _values(self, criterion):
        """Return the values of a criterion, (numbers,)."""
        return np.asarray(self.results[COLUMNS.get(criterion, criterion)], dtype=float)

    def _draw_line(self, criterion, style):
        """Draw a criterion, with open points over those of fits that have collapsed."""
        K, values = np.asarray(self.results["n_experts"]), self._values(criterion)
        style = dict(label=NAMES.get(criterion, criterion)) | style
        (self.lines_[criterion],) = self.ax_.plot(K, values, **style)
        collapsed = np.asarray(self.results.get("collapsed", np.zeros(len(K), bool)))
        if collapsed.any():
            line = self.lines_[criterion]
            open_ones = dict(color=line.get_color(), marker=line.get_marker(), linestyle="none")
            open_ones |= dict(markersize=line.get_markersize(), markerfacecolor="white", zorder=3.5)
            open_ones["label"] = None if self.collapsed_ else "collapsed fit"
            self.collapsed_ += self.ax_.plot(K[collapsed], values[collapsed], **open_ones)

    def _draw_other_criteria(self):
        """Draw the other criteria of the same scale, thin, as far as they are near."""
        others = [name for name in INFORMATION if name != self.criterion and name in self.results]
        marks = zip(others, OKABE_ITO[1:], ("s", "^"), ("--", ":"), strict=False)
        for name, color, marker, dashes in marks:
            style = dict(color=color, linewidth=1.2, marker=marker, markersize=4, linestyle=dashes)
            self._draw_line(name, style)
        own = self._values(self.criterion)
        top = own.max() + WORST * max(np.ptp(own), 1.0)
        if max(self._values(name).max() for name in [self.criterion, *others]) > top:
            self.ax_.set_ylim(top=top)

    def _draw_folds(self, color):
        """Draw the standard errors, the folds, and what is good enough."""
        results, K = self.results, np.asarray(self.results["n_experts"])
        mean, error = self._values("cv"), np.asarray(results["se_test_score"])
        self.lines_["cv"].set_label("mean ± standard error")
        style = dict(fmt="none", ecolor=color, capsize=3, zorder=3)
        self.errorbar_ = self.ax_.errorbar(K, mean, yerr=np.nan_to_num(error), **style)
        folds = [name for name in results if name.startswith("split")]
        for i, name in enumerate(folds):
            label = "one fold each" if i == 0 else None
            self.fold_lines_ += self.ax_.plot(K, results[name], color="0.7", lw=0.8, label=label)
        best = int(np.argmax(mean))
        if self.rule == "one_se":
            style = dict(color="0.35", linestyle="--", linewidth=1, label="best − standard error")
            self.level_ = self.ax_.axhline(mean[best] - error[best], **style)

    def _draw_choice(self, choice_kw):
        """Draw a ring around the choice."""
        if self.best_n_experts is None:
            return
        at = np.flatnonzero(np.asarray(self.results["n_experts"]) == self.best_n_experts)
        style = dict(color="black", marker="o", markersize=13, markerfacecolor="none")
        style |= dict(markeredgewidth=1.6, linestyle="none", zorder=4, label="chosen")
        self.choice_ = self.ax_.plot(
            np.asarray(self.results["n_experts"])[at],
            self._values(self.criterion)[at],
            **style | choice_kw,
        )[0]
