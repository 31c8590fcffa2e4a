"""`CoefficientDisplay`: the coefficients of experts or gate, with their intervals."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..parts.checks import fitted_fact
from ._axes import panels
from ._columns import drawn_text
from ._dependence import table_and_names
from ._palette import rgb_colors
from ._predictions import check_rows, expert_names, target_names, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = {"expert": ("expert",), "gate": ("gate", "node", "output")}
"""What the names of a part's parameters begin with."""
NO_SLOPES = ("intercept", "scale", "shape", "dispersion", "df", "weight")
"""Parameters that belong to no column; columns of these names are called "column scale"."""
MOST = 12
"""Coefficients that are drawn unless more are asked for."""
ACROSS = 4
"""Panels side by side."""
WIDEST = 4.0
"""How far intervals set the limits of a panel, in units of what its estimates span."""
MARKS = "¹²³⁴⁵⁶⁷⁸⁹"


class CoefficientDisplay:
    """A dot for each coefficient, and its interval, a panel for each column of X.

    In a panel are the coefficients of one column in all experts, or of the gate's log-odds, in the
    caller's units: each panel has a scale of its own. A dot without an interval is open, with a
    number that the note below explains. Intervals that run out of a panel end in an arrow.

    Use `from_estimator` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    estimates : ndarray of shape (K, P)
        Row k of owner k; NaN where it has no such coefficient.
    lower, upper : ndarray of shape (K, P)
        The intervals; NaN where there is none.
    coefficient_names : list of P str
        Titles of the panels.
    owner_names : list of K str
        The experts, or what the gate's log-odds are of.
    reasons : dict of (int, int) to str, default=None
        Why an interval is missing, by row and column.
    confidence : float, default=0.95
    measure : str, default="coefficient"
        What the axes show.
    part : {"expert", "gate"}, default="expert"
    note : str, default=""
        A remark on what is left out.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (P,)
    ax_ : matplotlib Axes
        The first.
    figure_ : matplotlib Figure
    dots_ : dict of (int, int) to Line2D
    intervals_ : dict of (int, int) to Line2D
    note_ : str
        The reasons and what is left out, as they stand below the panels.

    See Also
    --------
    classic_moe.inference.infer : Where the intervals come from.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.inspection import CoefficientDisplay
    >>> X, y = make_piecewise_regression(300, n_features=2, random_state=0)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> display = CoefficientDisplay.from_estimator(model, X, y)
    >>> display.coefficient_names, display.estimates.shape, display.note_
    (['x0', 'x1'], (3, 2), '')
    >>> gate = CoefficientDisplay.from_estimator(model, X, y, part="gate")
    >>> gate.owner_names, gate.measure
    (['expert 0', 'expert 1'], 'log-odds against expert 2, per unit of the column')
    """

    def __init__(
        self,
        *,
        estimates,
        lower,
        upper,
        coefficient_names,
        owner_names,
        reasons=None,
        confidence=0.95,
        measure="coefficient",
        part="expert",
        note="",
    ):
        self.estimates = estimates
        self.lower = lower
        self.upper = upper
        self.coefficient_names = coefficient_names
        self.owner_names = owner_names
        self.reasons = reasons
        self.confidence = confidence
        self.measure = measure
        self.part = part
        self.note = note

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        part: str = "expert",
        coefficients: Any = None,
        intercepts: bool = False,
        inference: Any = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        covariance: str = "observed",
        confidence: float = 0.95,
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the coefficients of a fitted mixture of experts.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
            In a Pipeline the coefficients are those of the last step, in the units that it sees.
        X : array-like or DataFrame of shape (n, p), default=None
            The rows of the fit. Without X and y there are no intervals.
        y : array-like of shape (n,) or (n, q), default=None
        part : {"expert", "gate"}, default="expert"
            Whose coefficients: those of the experts, or of the gate, which are log-odds.
        coefficients : list of str, default=None
            Which to draw, as they are named in `classic_moe.inference.infer` behind the colon:
            "age", of several outputs "age -> wage". None: all, or of more than 12 those with the
            largest \\|estimate / standard error\\|.
        intercepts : bool, default=False
            Whether intercepts are among them.
        inference : Inference, default=None
            What `infer` or `bootstrap` found for this fit; None asks `infer`.
        sample_weight, groups : array-like of shape (n,), default=None
            As of `infer`.
        covariance : {"observed", "opg", "sandwich", "cluster"}, default="observed"
            As of `infer`.
        confidence : float, default=0.95
            As of `infer`; one that was passed has its own.
        ax : matplotlib Axes, default=None
            None makes a figure; one of a grid gives its place to the panels.
        **styles : dict
            `colors`, `dot_kw`, `interval_kw` as in `plot`.

        Returns
        -------
        CoefficientDisplay

        Raises
        ------
        ValueError
            If the estimator is no fitted mixture of experts, has no such coefficients, or there are
            no standard errors from derivatives (Laplace experts, networks): pass the result of
            `bootstrap`, or leave X and y out.
        """
        if part not in PARTS:
            raise ValueError(f"part={part!r}: needs 'expert' or 'gate'.")
        model, transform = unwrap(estimator, cls)
        if inference is None:
            options = dict(sample_weight=sample_weight, groups=groups)
            options |= dict(covariance=covariance, confidence=confidence)
            inference = _inferred(model, transform, X, y, estimator, options)
        found = _Found.of(inference, part, intercepts)
        if not found.labels:
            raise ValueError(
                f"The {part}s of this {type(model).__name__} have no coefficients of columns of X;"
                " draw the other part, or ask for intercepts=True."
            )
        kept, note = found.chosen(coefficients)
        display = cls(
            estimates=found.matrix(inference.estimates)[:, kept],
            lower=found.matrix(inference.lower)[:, kept],
            upper=found.matrix(inference.upper)[:, kept],
            coefficient_names=[drawn_text(found.labels[j]) for j in kept],
            owner_names=_owner_names(model, found.owners, part),
            reasons=found.reasons(kept),
            confidence=inference.confidence,
            measure=_measure(model, part),
            part=part,
            note=note,
        )
        return display.plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        dot_kw: dict[str, Any] | None = None,
        interval_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure; one of a grid gives its place to the panels.
        colors : sequence of K colours, default=None
            None takes the palette of Okabe and Ito, which colour-blind readers can tell apart; the
            log-odds at the nodes of a tree are grey.
        dot_kw, interval_kw : dict, default=None
            For matplotlib's `plot`, on top of what is drawn by default.

        Returns
        -------
        self
        """
        K, P = np.shape(self.estimates)
        tree = colors is None and any(name.startswith("node") for name in self.owner_names)
        colors = np.full((K, 3), 0.3) if tree else rgb_colors(colors, K)
        across = min(P, ACROSS)
        down = -(-P // across)
        room = 0.085 * max(map(len, self.owner_names))
        size = (room + 0.7 + 2.2 * max(across, 2), down * (0.95 + 0.24 * K) + 0.6)
        figure, axes = panels(ax, size, (down, across))
        self.axes_ = axes.ravel()[:P]
        for spare in axes.ravel()[P:]:
            spare.set_axis_off()
        self.ax_, self.figure_ = self.axes_[0], figure.canvas.figure
        self.dots_, self.intervals_ = {}, {}
        numbers = {}
        for reason in (self.reasons or {}).values():
            numbers.setdefault(reason, len(numbers))
        for j, own in enumerate(self.axes_):
            self._draw_panel(own, j, colors, numbers, (dot_kw or {}, interval_kw or {}))
            names = self.owner_names if j % across == 0 else [""] * K
            own.set_yticks(range(K), names)
        self._draw_words(figure, numbers, size[0])
        return self

    def _draw_panel(self, ax, j, colors, numbers, styles):
        """Draw the coefficients of one column."""
        from matplotlib.ticker import MaxNLocator

        dot_kw, interval_kw = styles
        low, high = self._limits(j)
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        for k in np.flatnonzero(np.isfinite(self.estimates[:, j])):
            at, ends = self.estimates[k, j], (self.lower[k, j], self.upper[k, j])
            there = np.isfinite(ends).all()
            if there:
                style = dict(color=colors[k], linewidth=1.8, zorder=2)
                self.intervals_[k, j] = ax.plot(np.clip(ends, low, high), [k, k], **style)[0]
                self.intervals_[k, j].set(**interval_kw)
                for end, edge, marker in zip(ends, (low, high), "<>", strict=True):
                    if (end < low) if marker == "<" else (end > high):
                        ax.plot([edge], [k], marker=marker, color=colors[k], markersize=5)
            face = colors[k] if there or not self._intervals else "white"
            style = dict(color=colors[k], marker="o", markersize=6, markerfacecolor=face, zorder=3)
            (self.dots_[k, j],) = ax.plot([np.clip(at, low, high)], [k], **style | dot_kw)
            reason = (self.reasons or {}).get((k, j))
            if reason is not None and not self._for_all(numbers):
                mark = _mark(numbers[reason])
                style = dict(xytext=(4, 2), textcoords="offset points", fontsize="small")
                ax.annotate(mark, (np.clip(at, low, high), k), color="0.25", **style)
        pad = 0.08 * (high - low)
        ax.set(xlim=(low - pad, high + pad), ylim=(len(colors) - 0.4, -0.6))
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        ax.ticklabel_format(axis="x", scilimits=(-3, 4), useMathText=True)
        ax.tick_params(axis="x", labelsize="small")
        ax.grid(axis="y", color="0.92", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.set_title(_wrapped(self.coefficient_names[j], 24), fontsize="small")

    @property
    def _intervals(self):
        """Whether any coefficient has an interval."""
        return bool(np.isfinite(self.lower).any())

    def _for_all(self, numbers):
        """Tell whether one reason holds for all coefficients, so that none needs a mark."""
        alike = len(numbers) == 1 and len(self.reasons) == np.isfinite(self.estimates).sum()
        return alike and not self._intervals

    def _limits(self, j):
        """Return the ends of a panel: 0 and the estimates, and intervals that are not far wider."""
        at = self.estimates[:, j]
        at = np.append(at[np.isfinite(at)], 0.0)
        half = (self.upper[:, j] - self.lower[:, j]) / 2
        half = half[np.isfinite(half)]
        span = max(np.ptp(at), 2 * np.median(half) if len(half) else 0.0) or 1.0
        ends = np.concatenate([self.lower[:, j], self.upper[:, j]])
        ends = ends[np.isfinite(ends)]
        low = max(ends.min(initial=at.min()), at.min() - WIDEST * span)
        high = min(ends.max(initial=at.max()), at.max() + WIDEST * span)
        return min(low, at.min()), max(high, at.max())

    def _draw_words(self, figure, numbers, width):
        """Say below the panels what the axes show, and why intervals are missing."""
        texts = [self.note] if self.note else []
        marks = {i: "" if self._for_all(numbers) else _mark(i) + " " for i in numbers.values()}
        texts += [f"{marks[i]}no interval: {reason}" for reason, i in numbers.items()]
        self.note_ = "\n".join(texts)
        interval = f" ({100 * self.confidence:g} % intervals)" if self._intervals else ""
        head = _wrapped(self.measure + interval, int(12.5 * width))
        letters = int(13.5 * width)
        lines = [drawn_text(line) for text in texts for line in textwrap.wrap(text, letters)]
        figure.supxlabel("\n".join([head, *lines]), fontsize="small")


class _Found:
    """The parameters of one part in an `Inference`, by owner and label."""

    def __init__(self, inference, places):
        self.inference = inference
        self.places = places
        self.owners = list(dict.fromkeys(owner for owner, _ in places))
        self.labels = list(dict.fromkeys(label for _, label in places))

    @classmethod
    def of(cls, inference, part, intercepts):
        """Return what is known of the slopes of a part, and of its intercepts if asked for."""
        places = {}
        for i, name in enumerate(inference.names):
            owner, _, label = name.partition(": ")
            base = label.partition(" -> ")[0]
            slope = base not in NO_SLOPES and not label.startswith("covariance ")
            if owner.startswith(PARTS[part]) and (slope or (intercepts and base == "intercept")):
                places[owner, label] = i
        return cls(inference, places)

    def matrix(self, values):
        """Return what all parameters have, by owner and label, (K, P); NaN where there is none."""
        found = np.full(self.shape, np.nan)
        for (owner, label), i in self.places.items():
            found[self.owners.index(owner), self.labels.index(label)] = values[i]
        return found

    @property
    def shape(self):
        return len(self.owners), len(self.labels)

    def reasons(self, kept):
        """Return why intervals are missing, {(k, j): reason}, j counting the columns kept."""
        found = {}
        for (owner, label), i in self.places.items():
            reason = self.inference.reasons.get(self.inference.names[i])
            j = self.labels.index(label)
            if reason is not None and j in kept:
                found[self.owners.index(owner), kept.index(j)] = reason
        return found

    def chosen(self, asked):
        """Return the columns to draw, a list of int, and a remark on those left out, a str."""
        if asked is not None:
            asked = [asked] if isinstance(asked, str) else list(asked)
            unknown = [label for label in asked if label not in self.labels]
            if unknown or not asked:
                shown = ", ".join(self.labels[:MOST]) + (", ..." if self.shape[1] > MOST else "")
                raise ValueError(
                    f"coefficients={asked!r}: needs a list of names among {shown}; not"
                    f" {unknown[0]!r}."
                    if unknown
                    else "coefficients=[]: name at least one."
                )
            return [self.labels.index(label) for label in asked], ""
        if self.shape[1] <= MOST:
            return list(range(self.shape[1])), ""
        size = np.abs(self.matrix(self.inference.z))
        size = np.nan_to_num(np.where(np.isnan(size), 0.0, size)).max(axis=0)
        kept = sorted(np.argsort(-size, kind="stable")[:MOST].tolist())
        note = f"the {MOST} of {self.shape[1]} coefficients with the largest |z|"
        return kept, note


def _inferred(model, transform, X, y, estimator, options):
    """Return the `Inference` of a fit; without data one that has estimates alone."""
    from ..inference import Inference, infer, named_parameters

    if (X is None) != (y is None):
        raise ValueError("CoefficientDisplay: pass X and y, the rows of the fit, or neither.")
    if X is not None:
        X, _ = table_and_names(X, estimator)
        check_rows(len(X), y)
        return infer(model, transform(X), y, **options)
    names, values = named_parameters(model)
    return Inference.of(names, values, np.full((len(names), len(names)), np.nan))


def _owner_names(model, owners, part):
    """Return what the rows are called: experts by their names, nodes of a tree by their ids."""
    names = expert_names(model)
    if part == "gate" and any(not owner.startswith("gate ") for owner in owners):
        return [drawn_text(owner) for owner in owners]
    return [names[int(owner.split()[-1])] for owner in owners]


def _measure(model, part):
    """Return what the coefficients are, in words, a str."""
    if part == "gate":
        gate = fitted_fact(model, "gate_")
        if gate.kind == "tree":
            return "log-odds against the node's last child, per unit of the column"
        if not gate.linear:
            return "parameters of the densities of x"
        return f"log-odds against {expert_names(model)[-1]}, per unit of the column"
    view, names = model.experts_[0], target_names(model, None)
    if fitted_fact(view, "classes_") is not None:
        (label, against), *more = view.log_odds
        return (
            "log-odds of each class against the last"
            if more
            else f"log-odds of {drawn_text(label)} against {drawn_text(against)}"
        ) + ", per unit of the column"
    what = names[0] if len(names) == 1 else "y"
    return f"change of {view.left.format(what)} per unit of the column"


def _mark(number):
    """Return the small number of a reason, a str."""
    return MARKS[number] if number < len(MARKS) else f"({number + 1})"


def _wrapped(text, letters):
    """Return a text on lines of some letters at most, broken at spaces and underscores, a str."""
    lines = textwrap.wrap(text.replace(" -> ", " → ").replace("_", "_ "), letters)
    return "\n".join(line.replace("_ ", "_") for line in lines)
