"""`ConvergenceDisplay`: how fits climbed, iteration by iteration."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..parts.checks import can, fitted_fact
from ._palette import chosen_colors
from ._predictions import unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ConvergenceDisplay:
    """The objective of one or several fits against the iteration.

    Each curve is a model's `lower_bounds_`: the penalised log-likelihood, summed over the rows,
    from the start that was kept. It ends in a dot if the fit converged, in a ring if not. With
    `against` the curves show, on a log scale, what was left to gain, so that fast and slow ends can
    be told apart. Of solvers whose iterates may fall a thin line shows every iterate. Dashed curves
    are the scores on the rows held out by solvers that stop early.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    curves : list of ndarray of shape (iterations + 1,)
        The objective, one array a fit.
    labels : list of str
        A name for each.
    converged : list of bool, default=None
        Whether each converged; None draws no ends.
    iterates : list of ndarray or None, default=None
        The objective of every iterate, not of the best so far; None for a fit without falls.
    validation : list of ndarray or None, default=None
        Validation curves, on an axis of their own; None for a fit without.
    reference : float, default=None
        The value the gaps are measured against; None draws the objective itself.
    objective_name : str, default="penalised log-likelihood"
        What the curves hold.

    Attributes
    ----------
    ax_ : matplotlib Axes
    validation_ax_ : matplotlib Axes or None
        Twin axes, where there is a validation curve.
    figure_ : matplotlib Figure
    lines_ : list of Line2D
    iterate_lines_ : list of Line2D
        The thin ones.
    ends_ : list of Line2D
        The dots and rings.
    validation_lines_ : list of Line2D
    legend_ : Legend or None

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inspection import ConvergenceDisplay
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> models = [
    ...     MixtureOfExpertsRegressor(3, solver=solver, random_state=0).fit(X, y)
    ...     for solver in ("em", "auto")
    ... ]
    >>> display = ConvergenceDisplay.from_estimator(models, against="best")
    >>> display.labels, display.ax_.get_xlabel(), display.ax_.get_yscale()
    (['em', 'auto'], 'iteration', 'log')
    """

    def __init__(
        self,
        *,
        curves,
        labels,
        converged=None,
        iterates=None,
        validation=None,
        reference=None,
        objective_name="penalised log-likelihood",
    ):
        self.curves = curves
        self.labels = labels
        self.converged = converged
        self.iterates = iterates
        self.validation = validation
        self.reference = reference
        self.objective_name = objective_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        labels: Any = None,
        against: Any = None,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw how one or several fits climbed.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a list of them
            Pipelines and searches that end in one will do. Fits of a list are compared on one
            scale, which means something only on the same data under the same priors.
        labels : str or list of str, default=None
            Names of the fits; None takes the names of their solvers if they differ, else numbers.
        against : "best", float or None, default=None
            None draws the objective. "best" draws the gap to the highest value any of the fits
            reached, on a log scale; a number the gap to that value. A gap of zero or less is not
            drawn.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `line_kw`, `end_kw`, `validation_kw` as in `plot`.

        Returns
        -------
        ConvergenceDisplay

        Raises
        ------
        ValueError
            If an estimator is no mixture of experts or keeps no objectives, if the labels are not
            one a fit, or `against` is no number that lies above a point of the curves.
        """
        several = isinstance(estimator, (list, tuple))
        models = [unwrap(e, cls)[0] for e in (estimator if several else [estimator])]
        if not models:
            raise ValueError("The list of estimators is empty; give at least one fitted model.")
        curves = [_lower_bounds(model) for model in models]
        display = cls(
            curves=curves,
            labels=_labels(models, labels),
            converged=[bool(model.converged_) for model in models],
            iterates=[_iterates_that_fall(model) for model in models],
            validation=[_learning_curve(model, "validation") for model in models],
            reference=_reference(against, curves),
            objective_name=_objective_name(models),
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        line_kw: dict[str, Any] | None = None,
        end_kw: dict[str, Any] | None = None,
        validation_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of colours, default=None
            One a fit; None takes the palette of Okabe and Ito, which colour-blind readers can tell
            apart.
        line_kw, end_kw, validation_kw : dict, default=None
            For matplotlib's `plot`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        colors = chosen_colors(colors, len(self.curves), "fits")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self._draw_curves(colors, line_kw or {}, end_kw or {})
        self._draw_validation(colors, validation_kw or {})
        self._draw_labels()
        return self

    def _draw_curves(self, colors, line_kw, end_kw):
        """Draw the curve of every fit with its end, and its iterates where some fall."""
        self.lines_, self.iterate_lines_, self.ends_ = [], [], []
        nothing = [None] * len(self.curves)
        fits = zip(
            self.curves,
            self.iterates or nothing,
            self.labels,
            self.converged or nothing,
            colors,
            strict=False,
        )
        for curve, iterates, label, converged, color in fits:
            values = self._values(curve)
            name = label if converged in (True, None) else f"{label} (not converged)"
            style = dict(color=color, linewidth=2, label=name)
            if len(values) <= 25:
                style |= dict(marker="o", markersize=3.5)
            self.lines_ += self.ax_.plot(np.arange(len(values)), values, **style | line_kw)
            color = self.lines_[-1].get_color()  # `line_kw` may have changed it
            if iterates is not None:
                thin = dict(color=color, linewidth=0.7, alpha=0.7, zorder=1.5)
                self.iterate_lines_ += self.ax_.plot(self._values(iterates), **thin)
            if converged is not None:
                self._draw_end(values, color, color if converged else "white", end_kw)

    def _draw_end(self, values, color, face, end_kw):
        """Draw a dot or ring at the last value that can be drawn."""
        drawn = np.flatnonzero(np.isfinite(values))
        if not len(drawn):
            return
        style = dict(marker="o", color=color, markersize=8, markerfacecolor=face)
        style |= dict(markeredgewidth=1.8, linestyle="none", zorder=3)
        self.ends_ += self.ax_.plot([drawn[-1]], [values[drawn[-1]]], **style | end_kw)

    def _values(self, curve):
        """Return the values drawn, as many as the curve has: objective, or positive gaps."""
        if self.reference is None:
            return curve
        gap = self.reference - curve
        return np.where(gap > 0, gap, np.nan)

    def _draw_validation(self, colors, validation_kw):
        """Draw the validation curves, dashed, on an axis of their own."""
        self.validation_lines_, self.validation_ax_ = [], None
        for curve, label, color in zip(self.validation or (), self.labels, colors, strict=False):
            if curve is None:
                continue
            if self.validation_ax_ is None:
                self.validation_ax_ = self.ax_.twinx()
                self.validation_ax_.set_ylabel("objective a held-out row (dashed)")
                self.validation_ax_.spines["right"].set_visible(True)
            style = dict(color=color, linewidth=1.5, linestyle="--", label=f"{label}, validation")
            self.validation_lines_ += self.validation_ax_.plot(curve, **style | validation_kw)

    def _draw_labels(self):
        """Name the axes, and the curves where there are several."""
        from matplotlib.ticker import MaxNLocator

        ax, name = self.ax_, self.objective_name
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if self.reference is None:
            ax.set(xlabel="iteration", ylabel=f"{name}, sum over rows")
        else:
            ax.set(xlabel="iteration", ylabel=f"{name} left to gain,\nsum over rows", yscale="log")
        lines = [*self.lines_, *self.validation_lines_]
        self.legend_ = None
        if len(lines) > 1:
            self.legend_ = ax.legend(handles=lines, frameon=False)


def _lower_bounds(model):
    """Return the objective of every iteration, (iterations + 1,); ValueError without."""
    if not can(model, "lower_bounds_"):
        raise ValueError(
            f"{type(model).__name__} keeps no lower_bounds_, the objective of every iteration, so"
            " its convergence cannot be drawn."
        )
    return np.asarray(model.lower_bounds_, dtype=float)


def _labels(models, given):
    """Return a name for each fit: the given, or those of the solvers if they differ, or numbers."""
    if given is not None:
        given = [given] if isinstance(given, str) else given
        if len(given) != len(models):
            raise ValueError(
                f"labels has {len(given)} names for {len(models)} fits; give one each."
            )
        return [str(label) for label in given]
    solvers = [fitted_fact(model, "solver") for model in models]
    names = [s if isinstance(s, str) else type(s).__name__ for s in solvers]
    if len(set(names)) == len(models):
        return names
    return [f"fit {i}" for i in range(len(models))]


def _objective_name(models):
    """Return what the curves hold, in words that are true of all the models."""
    climbed = {fitted_fact(model, "objective", "likelihood") for model in models}
    return "penalised log-likelihood" if climbed == {"likelihood"} else "objective"


def _reference(against, curves):
    """Return the value that gaps are measured against, a float, or None."""
    if against is None:
        return None
    best = max(float(np.max(curve)) for curve in curves)
    if isinstance(against, str) and against == "best":
        return best
    if not isinstance(against, Real) or isinstance(against, bool) or not np.isfinite(against):
        raise ValueError(f'against={against!r}: use None, "best" or a finite number.')
    if all((curve >= against).all() for curve in curves):
        raise ValueError(
            f"against={against}: all values of the curves are above it, up to {best:.6g}; there is"
            " no gap to draw."
        )
    return float(against)


def _learning_curve(model, name):
    """Return a learning curve, (iterations + 1,), or None where the solver kept none."""
    return fitted_fact(model, "learning_curve_", {}).get(name)


def _iterates_that_fall(model):
    """Return the objective of every iterate, (iterations + 1,), or None where none falls."""
    objective = _learning_curve(model, "objective")
    falls = objective is not None and (np.diff(objective) < 0).any()
    return objective if falls else None
