"""`animate_em`: a fit in motion, iteration by iteration."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ..parts.checks import can, is_integer, unwrap
from .expert_curves import ExpertCurvesDisplay
from .gate_region import GateRegionDisplay

SAME = 1e-6
"""By how much probabilities may miss those of the fit: they are computed from the same numbers."""


def animate_em(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    features: Any = 0,
    max_frames: int = 60,
    interval: int = 150,
    figure: Any = None,
    fit_params: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Fit a mixture of experts, and return its climb as an animation.

    Above, the experts along one feature as `ExpertCurvesDisplay` draws them, or the regions of the
    gate along two as `GateRegionDisplay` does; below, the objective, with a dot where the climb is.
    The experts have the numbers and colours that they have in the fit. It is the climb from the
    start that was chosen: for a lecture ``solver="em"`` and a random start show most.

    Parameters
    ----------
    estimator : mixture of experts, or a Pipeline that ends in one
        It is cloned and fitted; whether it was fitted before does not matter.
    X : array-like or DataFrame of shape (n, p)
    y : array-like of shape (n,) or (n, q)
    features : int, str or a pair of them, default=0
        One column of X for curves, two for regions.
    max_frames : int, default=60
        The most frames. Of more iterations the first are shown one by one, later ones at distances
        that grow.
    interval : int, default=150
        Milliseconds from one frame to the next.
    figure : matplotlib Figure, default=None
        An empty one. None makes one that pyplot does not know, so that a notebook shows the
        animation alone; ``plt.figure()`` shows it in a window.
    fit_params : dict, default=None
        For `fit`: `sample_weight` and the like; those of the last step of a Pipeline.
    **options : dict
        For `from_estimator` of the display: `target`, `feature_name`, `colors` and others.

    Returns
    -------
    animation : matplotlib.animation.FuncAnimation
        Its frames are the iterations shown. ``animation.to_jshtml()`` is a page for a browser or
        notebook, and ``animation.save("em.gif", writer="pillow")`` a file; neither needs ffmpeg.

    Raises
    ------
    ValueError
        If the estimator is no mixture of experts, keeps no parameters of its iterations (blends
        and deep mixtures), or made none.

    See Also
    --------
    ConvergenceDisplay : The objective alone, of several fits.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inspection import animate_em
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(
    ...     3, solver="em", init_params="random", n_init=1, max_iter=5, tol=0, random_state=3
    ... )
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # five iterations are too few
    ...     animation = animate_em(model, X, y, feature_name="time (ms)")
    >>> list(animation.new_frame_seq())
    [1, 2, 3, 4, 5]
    >>> "<script" in animation.to_jshtml()
    True
    """
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

    if not (is_integer(max_frames) and max_frames >= 1):
        raise ValueError(f"max_frames={max_frames!r}: needs an integer of at least 1.")
    climb = _Climb.of(estimator, X, y, fit_params or {})
    chosen = _shown(len(climb.objectives), max_frames)
    if figure is None:
        figure = Figure(figsize=(8, 6.4), layout="constrained")
    film = _Film(figure, climb, (X, y), features, options)
    film.set_the_stage(chosen)
    return FuncAnimation(
        figure, film.draw, frames=chosen, init_func=lambda: None, interval=interval, blit=False
    )


class _Climb:
    """A fit and what its iterations were.

    Attributes
    ----------
    estimator : the fit, a Pipeline where that was given
    params : list of dict
        Of every iteration.
    objectives : ndarray of shape (iterations,)
    """

    def __init__(self, estimator, params, objectives):
        self.estimator = estimator
        self.params = params
        self.objectives = np.asarray(objectives, dtype=float)
        self.model, _ = unwrap(estimator)
        self.agreement = None

    @classmethod
    def of(cls, estimator, X, y, fit_params):
        """Return the climb of a clone of an estimator."""
        inside = estimator.steps[-1][1] if can(estimator, "steps") else estimator
        if not (can(inside, "fit") and can(type(inside), "gate_proba")):
            raise ValueError(
                f"animate_em fits mixtures of experts; {type(inside).__name__} is none (of a search"
                " pass best_estimator_)."
            )
        params, objectives = [], []

        def keep(_, own, objective):
            params.append(copy.deepcopy(own))
            objectives.append(objective)

        estimator, options = clone(estimator), dict(callback=keep) | fit_params
        if can(estimator, "steps"):
            last = estimator.steps[-1][0]
            options = {f"{last}__{name}": value for name, value in options.items()}
        estimator.fit(X, y, **options)
        if not params:
            raise ValueError("The fit made no iteration; there is nothing to show.")
        climb = cls(estimator, params, objectives)
        climb._check(X, y)
        return climb

    def _check(self, X, y):
        """Find which expert of an iteration is which of the fit; ValueError if none is."""
        _, transform = unwrap(self.estimator)
        at = transform(X)
        last = _with_params(self.model, self.params[-1])
        known = can(self.model, "responsibilities")
        try:
            ours, its = (
                one.responsibilities(at, y) if known else np.asarray(one.gate_proba(at))
                for one in (self.model, last)
            )
            self.agreement = ours.T @ its
            found = last._matched(self.agreement).gate_proba(at)
            same = np.allclose(found, self.model.gate_proba(at), atol=SAME)
        except (KeyError, TypeError, ValueError, IndexError):  # params of another kind
            same = False
        if not same:
            raise ValueError(
                f"animate_em: {type(self.model).__name__} with these options keeps no parameters of"
                " its iterations that predictions can be made of; ConvergenceDisplay draws its"
                " objective."
            )

    def at(self, iteration):
        """Return the fit as it was after an iteration, from 1 on, its experts numbered at last."""
        model = _with_params(self.model, self.params[iteration - 1])._matched(self.agreement)
        if not can(self.estimator, "steps"):
            return model
        twin = copy.copy(self.estimator)
        twin.steps = [*self.estimator.steps[:-1], (self.estimator.steps[-1][0], model)]
        return twin


class _Film:
    """The frames, and the axes that they are drawn on."""

    def __init__(self, figure, climb, data, features, options):
        self.figure = figure
        self.climb = climb
        self.data = data
        self.features = features
        self.options = options
        single = isinstance(features, str) or np.ndim(features) == 0
        gate = single and len(climb.model.weights_) > 1
        heights = [3, 1, 1] if gate else [4, 1]
        self.axes = figure.subplots(len(heights), 1, height_ratios=heights)
        if gate:
            self.axes[1].sharex(self.axes[0])
        self.display = ExpertCurvesDisplay if single else GateRegionDisplay
        self.limits = None

    def set_the_stage(self, chosen):
        """Draw what does not change, and find limits that serve all frames."""
        self.draw(chosen[-1])
        self.limits = [ax.axis() for ax in self.axes[:-1]]
        self.draw(chosen[0])
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")  # or the pictures would jump

    def draw(self, iteration):
        """Draw the fit as it was after an iteration."""
        *pictures, below = self.axes
        for ax in self.axes:
            ax.clear()
        name = "feature" if self.display is ExpertCurvesDisplay else "features"
        place = pictures if len(pictures) > 1 else pictures[0]
        model = self.climb.at(iteration)
        display = self.display.from_estimator(
            model, *self.data, ax=place, **{name: self.features}, **self.options
        )
        for ax, limits in zip(pictures, self.limits or (), strict=False):
            ax.axis(limits)
        self._draw_objective(below, iteration)
        return [display.ax_]

    def _draw_objective(self, ax, iteration):
        """Draw the whole climb, and a dot where it is."""
        from matplotlib.ticker import MaxNLocator

        values = self.climb.objectives
        every = np.arange(1, len(values) + 1)
        ax.plot(every, values, color="0.75", linewidth=1.5)
        ax.plot(every[:iteration], values[:iteration], color="black", linewidth=1.8)
        ax.plot([iteration], [values[iteration - 1]], color="black", marker="o", markersize=6)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel=f"iteration {iteration} of {len(values)}", ylabel="objective")


def _with_params(model, params):
    """Return a copy of a fit at other params."""
    twin = copy.copy(model)
    twin.params_ = params
    return twin


def _shown(n, most):
    """Return the iterations shown, a list of int from 1 to n, dense at first."""
    if n <= most:
        return list(range(1, n + 1))
    if most == 1:
        return [n]
    shown = np.unique(np.geomspace(1, n, most).round().astype(int))
    while len(shown) < most:  # early ones fell together: those that are left fill the gaps
        gaps = np.diff(shown)
        shown = np.sort(np.append(shown, shown[gaps.argmax()] + gaps.max() // 2))
    return shown.tolist()
