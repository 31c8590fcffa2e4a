"""`CalibrationDisplay`: whether what a model holds probable happens as often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..parts.checks import can, fitted_fact, is_integer
from ._axes import draw_note, one_axes
from ._columns import drawn_text
from ._dependence import table_and_names
from ._marks import Shares
from ._palette import chosen_colors
from ._predictions import Pick, check_rows, target_names, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("auto", "reliability", "pit", "coverage")
STRATEGIES = ("uniform", "quantile")
ALIKE = 0.2
"""Counts that differ by no larger a share are not written one by one."""
ZOOM = 0.5
"""Probabilities that all are lower fill the picture."""
BAND = 1.645
"""Standard deviations that hold 90 % of a normal distribution in the middle."""


class CalibrationDisplay:
    """Reliability of class probabilities, or the calibration of a predictive distribution.

    For a classifier: the observed share of a class against its predicted probability, in bins of
    equal width or of as many rows each, with 90 % intervals; the size of a point is its number of
    rows, which stands beside it where one class is drawn. Of rare classes bins of equal width leave
    nearly all rows in the first: take ``strategy="quantile"``.

    For a regressor, ``kind="pit"``: a histogram of F(y | x), the probability integral transform.
    It is level within the dotted lines (90 % of the bars) where the distributions are right,
    U-shaped where they are too narrow, a hump where too wide, and slopes where they are shifted. A
    count y has a piece of that histogram, from F(y - 1) to F(y) [1]_. ``kind="coverage"``: the
    observed share of rows inside the central predictive intervals against their nominal
    probability.

    Use `from_estimator` or `from_predictions` to make one; all arguments are kept as attributes.

    Parameters
    ----------
    kind : {"reliability", "pit", "coverage"}
    curves : dict of str to Shares, default=None
        Of a reliability diagram: for each class drawn, the bins.
    pit : ndarray of shape (n, 2), default=None
        Of a regressor: F(y-) and F(y) of every row, equal for continuous y.
    n_bins : int, default=10
        Bins of the histogram.
    target_name : str, default="y"
        What y is called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    marks_ : dict of str to PathCollection
        The points of each class; empty for a regressor.
    bars_ : BarContainer or None
        The histogram.
    line_ : Line2D or None
        The coverage.
    legend_ : Legend or None

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : Reliability of any classifier.

    References
    ----------
    .. [1] C. Czado, T. Gneiting, L. Held, "Predictive model assessment for count data",
       Biometrics 65 (2009), 1254-1261.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inspection import CalibrationDisplay
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> display = CalibrationDisplay.from_estimator(model, X, y)
    >>> display.kind, len(display.bars_)
    ('pit', 10)
    >>> nominal, observed = display.coverage()
    >>> bool(abs(nominal - observed).max() < 0.15)
    True
    """

    def __init__(self, *, kind, curves=None, pit=None, n_bins=10, target_name="y"):
        self.kind = kind
        self.curves = curves
        self.pit = pit
        self.n_bins = n_bins
        self.target_name = target_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        kind: str = "auto",
        target: Any = None,
        n_bins: int = 10,
        strategy: str = "uniform",
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the calibration of a fitted mixture of experts.

        Rows of the fit flatter the model; rows that it has not seen tell more.

        Parameters
        ----------
        estimator : fitted mixture of experts, or a Pipeline or search that ends in one
        X : array-like or DataFrame of shape (n, p)
            As for `predict`.
        y : array-like of shape (n,) or (n, q)
        kind : {"auto", "reliability", "pit", "coverage"}, default="auto"
            "auto" is "reliability" for a classifier and "pit" for a regressor.
        target : int, or a label, default=None
            Which output of several (by position), or which class (by label) to draw. Of two
            classes the default is the second; of more, all are drawn.
        n_bins : int, default=10
            Bins of a reliability diagram or of the histogram.
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of a reliability diagram: of equal width, or of as many rows each.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `mark_kw`, `bar_kw`, `line_kw` as in `plot`.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        ValueError
            If the estimator is no mixture of experts, a regressor has no predictive distributions,
            `kind` is not one for its task, or there are several outputs and `target` does not say
            which.
        """
        _check_options(kind, n_bins, strategy)
        model, transform = unwrap(estimator, cls)
        X, _ = table_and_names(X, estimator)
        check_rows(len(X), y)
        classes, at = fitted_fact(model, "classes_"), transform(X)
        found = dict(kind=_kind(kind, classes is None), n_bins=n_bins)
        if classes is None:
            found |= _transform_of(model, at, y, target)
        else:
            proba, drawn = model.predict_proba(at), range(len(classes))
            if target is not None or len(classes) == 2:
                drawn = [Pick(model, target, proba).index]
            found["curves"] = _reliability(classes, proba, y, drawn, n_bins, strategy)
            found["target_name"] = target_names(model, y)[0]
        return cls(**found).plot(ax=ax, **styles)

    @classmethod
    def from_predictions(
        cls,
        y: ArrayLike,
        predictions: Any,
        *,
        classes: ArrayLike | None = None,
        kind: str = "auto",
        n_bins: int = 10,
        strategy: str = "uniform",
        target_name: str | None = "y",
        ax: Axes | None = None,
        **styles: Any,
    ) -> Self:
        """Draw the calibration of predictions that are known, of whatever model.

        Parameters
        ----------
        y : array-like of shape (n,)
        predictions : array-like of shape (n,) or (n, C), or a distribution
            Probabilities of the second of two classes, or of all; or what `predict_dist` returns,
            or a frozen distribution of scipy with a `cdf`.
        classes : array-like of shape (C,), default=None
            The classes; None: those of y, in order.
        kind : {"auto", "reliability", "pit", "coverage"}, default="auto"
            "auto" is "reliability" for probabilities and "pit" for distributions.
        n_bins : int, default=10
            Bins of a reliability diagram or of the histogram.
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of a reliability diagram: of equal width, or of as many rows each.
        target_name : str, default="y"
        ax : matplotlib Axes, default=None
            None makes a figure.
        **styles : dict
            `colors`, `mark_kw`, `bar_kw`, `line_kw` as in `plot`.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        ValueError
            If `kind` does not go with the predictions, or shapes do not fit together.

        Examples
        --------
        >>> import numpy as np
        >>> from classic_moe.inspection import CalibrationDisplay
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0, 0.1, size=1000)
        >>> y = rng.uniform(size=1000) < p
        >>> display = CalibrationDisplay.from_predictions(y, p, n_bins=5, strategy="quantile")
        >>> display.curves["True"].count
        array([200, 200, 200, 200, 200])
        """
        _check_options(kind, n_bins, strategy)
        is_dist, y = can(predictions, "cdf"), np.asarray(y)
        found = dict(kind=_kind(kind, is_dist), n_bins=n_bins, target_name=drawn_text(target_name))
        if is_dist:
            whole = can(predictions, "pit_bounds")  # of counts a scipy cdf jumps at y
            pit = predictions.pit_bounds(y) if whole else [predictions.cdf(y)] * 2
            found["pit"] = np.column_stack(pit)
        else:
            classes, proba = _class_probabilities(y, predictions, classes)
            drawn = [1] if len(classes) == 2 else range(len(classes))
            found["curves"] = _reliability(classes, proba, y, drawn, n_bins, strategy)
        return cls(**found).plot(ax=ax, **styles)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        colors: Any = None,
        mark_kw: dict[str, Any] | None = None,
        bar_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        colors : sequence of colours, default=None
            One for each class; a regressor takes the first. None: the palette of Okabe and Ito.
        mark_kw, bar_kw, line_kw : dict, default=None
            For matplotlib's `scatter` (reliability), `bar` (pit) and `plot` (coverage), on top of
            what is drawn by default.

        Returns
        -------
        self
        """
        n_colors = len(self.curves) if self.kind == "reliability" else 1
        colors = chosen_colors(colors, n_colors, "curves")
        ax = one_axes(ax, (6, 3.8) if self.kind == "pit" else (5, 5))
        self.ax_, self.figure_ = ax, ax.figure
        self.marks_, self.bars_, self.line_, self.legend_ = {}, None, None, None
        if self.kind == "reliability":
            self._draw_reliability(colors, mark_kw or {})
        elif self.kind == "pit":
            self._draw_histogram(colors[0], bar_kw or {})
        else:
            self._draw_coverage(colors[0], line_kw or {})
        return self

    def histogram(self) -> NDArray[Any]:
        """Return the heights of the histogram of F(y | x), (n_bins,); 1 where it is level.

        Returns
        -------
        ndarray of shape (n_bins,)
        """
        return np.diff(self._share_below(np.linspace(0, 1, self.n_bins + 1))) * self.n_bins

    def coverage(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return nominal and observed coverage of central intervals, (m,) each.

        Returns
        -------
        nominal, observed : ndarray of shape (101,)
        """
        nominal = np.linspace(0, 1, 101)
        observed = self._share_below((1 + nominal) / 2) - self._share_below((1 - nominal) / 2)
        observed[-1] = 1.0
        return nominal, observed

    def _share_below(self, levels):
        """Return the share of rows whose F(y | x) is below each level, (m,).

        A row whose F jumps counts by how much of the jump is below, as if it were spread evenly.
        """
        low, high = np.sort(self.pit, axis=1).T
        jump = np.maximum(high - low, 1e-12)
        return np.array([np.clip((level - low) / jump, 0, 1).mean() for level in levels])

    def _draw_reliability(self, colors, style):
        """Draw the observed shares of each class against its predicted probabilities."""
        ax = self.ax_
        ax.axline((0, 0), slope=1, color="0.6", linewidth=1, linestyle="--", zorder=1)
        single = len(self.curves) == 1
        count = np.concatenate([shares.count for shares in self.curves.values()])
        alike = np.ptp(count) <= ALIKE * count.max()
        # Probabilities of a rare class fill the picture.
        top = max(float(max(shares.x.max(), shares.high.max())) for shares in self.curves.values())
        top = 1.0 if top > ZOOM else 1.1 * top
        ends = (-0.04 * top, 1.04 * top)
        for (name, shares), color in zip(self.curves.items(), colors, strict=True):
            ax.plot(shares.x, shares.share, color=color, linewidth=1, alpha=0.6, zorder=2)
            self.marks_[name] = shares.draw(ax, color, counts=single and not alike, style=style)
        which = next(iter(self.curves)) if single else "class"
        event = f"{self.target_name} = {which}" if single else self.target_name
        ax.set(xlabel=f"predicted probability of {event}", ylabel=f"observed share of {event}")
        ax.set(xlim=ends, ylim=ends)
        if alike:
            draw_note(ax, f"some {np.median(count):,.0f} rows a point")
        if not single:
            ax.set(xlabel="predicted probability of a class", ylabel="observed share of the class")
            self.legend_ = ax.legend(
                self.marks_.values(),
                self.marks_,
                title=self.target_name,
                loc="upper left",
                fontsize="small",
                frameon=False,
            )

    def _draw_histogram(self, color, style):
        """Draw the histogram of F(y | x), and the limits within which chance keeps it level."""
        from matplotlib.colors import to_rgb

        n, b = len(self.pit), self.n_bins
        edges = np.linspace(0, 1, b + 1)
        half = BAND * np.sqrt(b * (1 - 1 / b) / n)
        light = 1 - 0.55 * (1 - np.array(to_rgb(color)))
        for level, line in ((1 - half, ":"), (1, "--"), (1 + half, ":")):
            self.ax_.axhline(max(level, 0), color="0.2", linewidth=1, linestyle=line, zorder=3)
        default = dict(width=1 / b, align="edge", color=light, edgecolor="white")
        self.bars_ = self.ax_.bar(edges[:-1], self.histogram(), **default | style)
        self.ax_.set(xlabel=f"F({self.target_name} | x)", ylabel="density", xlim=(0, 1))

    def _draw_coverage(self, color, style):
        """Draw the observed against the nominal coverage of central intervals."""
        ax, n = self.ax_, len(self.pit)
        nominal, observed = self.coverage()
        half = BAND * np.sqrt(nominal * (1 - nominal) / n)
        ax.fill_between(nominal, nominal - half, nominal + half, color="0.9", linewidth=0, zorder=0)
        ax.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", zorder=1)
        default = dict(color=color, linewidth=2)
        (self.line_,) = ax.plot(nominal, observed, **default | style)
        ax.set(xlabel="nominal coverage of central intervals", ylabel="observed coverage")
        ax.set(xlim=(0, 1), ylim=(0, 1))


def _check_options(kind, n_bins, strategy):
    """ValueError for options that are none."""
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: needs one of {', '.join(map(repr, KINDS))}.")
    if not (is_integer(n_bins) and n_bins >= 2):
        raise ValueError(f"n_bins={n_bins!r}: needs an integer of at least 2.")
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r}: needs 'uniform' or 'quantile'.")


def _kind(asked, regression):
    """Return the kind that is drawn, a str; ValueError for one of the other task."""
    kinds = ["pit", "coverage"] if regression else ["reliability"]
    if asked not in ("auto", *kinds):
        what = "regressors" if regression else "classifiers"
        raise ValueError(f"kind={asked!r}: {what} have {' and '.join(map(repr, kinds))}.")
    return kinds[0] if asked == "auto" else asked


def _class_probabilities(y, proba, classes):
    """Return the classes (C,) and the probability of each, (n, C)."""
    classes = np.unique(y) if classes is None else np.asarray(classes)
    proba = np.asarray(proba, dtype=float)
    if proba.ndim == 1 and len(classes) <= 2:
        proba = np.column_stack([1 - proba, proba])
        classes = np.array([0, 1]) if len(classes) < 2 else classes
    if proba.shape != (len(y), len(classes)):
        raise ValueError(
            f"predictions has shape {proba.shape}; of {len(y)} rows and {len(classes)} classes it"
            f" needs ({len(y)}, {len(classes)}), or of two classes ({len(y)},)."
        )
    if not ((proba >= 0) & (proba <= 1)).all():
        raise ValueError("predictions are no probabilities: some are not between 0 and 1.")
    return classes, proba


def _transform_of(model, at, y, target):
    """Return F(y-) and F(y) of every row, (n, 2), and the name of y, by the names of arguments."""
    if not can(model, "predict_dist"):
        raise ValueError(
            f"CalibrationDisplay needs predictive distributions; this {type(model).__name__} has"
            " none (predict_dist): its objective or an expert of it gives means alone."
        )
    pick = Pick(model, target, model.predict_experts(at[:1]))
    dist, values = model.predict_dist(at), np.asarray(y, dtype=float)
    if values.ndim == 2 and pick.index is None:
        if values.shape[1] > 1:
            raise ValueError(
                "y counts several trials a row, and predict_dist is the distribution of one: pass y"
                " of zeros and ones, a trial a row."
            )
        values = values[:, 0]
    pit = np.column_stack([pick.output(level) for level in dist.pit_bounds(values)])
    return dict(pit=pit, target_name=pick.name(y))


def _reliability(classes, proba, y, drawn, n_bins, strategy):
    """Return for each class drawn the `Shares` of its predicted probabilities, by its name."""
    observed, found = np.asarray(y), {}
    for c in drawn:
        p, edges = proba[:, c], np.linspace(0, 1, n_bins + 1)
        if strategy == "quantile":
            edges = np.unique(np.quantile(p, edges))
            edges = edges if len(edges) > 1 else np.append(edges, np.inf)
        hits = (observed == classes[c]).astype(float)
        found[drawn_text(classes[c])] = Shares.of(p, hits, edges)
    return found
