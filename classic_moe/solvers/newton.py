"""Newton's method on the observed information: by itself, and as the finish of EM."""

from __future__ import annotations

import functools

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs
from sklearn.base import clone

from ..model.information import NoInformation, information, layout_of, with_priors
from ..parts.checks import integer
from .base import BaseSolver
from .em import BLUR, AcceleratedEM, compared, em_steps, remaining, rounding
from .loop import Record, Steps, evaluate, loop

MOST_COEFFICIENTS = 600
"""Of an information that is still factorised: 0.1 s."""
FEW_PREDICTORS, MOST_PREDICTORS = 60, 150
"""Of an information that takes the time of few passes, and at all: Gaussian gates have some p²."""
TRIALS = 6
"""Rejected steps, each a quarter of the last, after which EM takes over."""
LONG = 100
"""Iterations after which a long tail is Newton's, wherever it may lead."""
PAUSE = 10
"""Steps of EM before Newton is tried again, twice as many every time."""
RADIUS = 0.3
"""The first trust radius, where every coefficient has curvature 1 a unit of weight."""
GRADIENT, GRADIENT_TO_GAIN = 1e-10, 1e-3
"""The largest slope at a maximum, a unit of weight, in free coordinates; of `tol`, if larger."""
BEND_TO_GAIN = 0.1
"""Share of `tol` that a way out of a saddle may gain within the radius and not be taken."""
FLAT = 1e-11
"""Eigenvalue, relative to the largest, of a direction in which the objective does not bend."""
LEAST_RATIO, GOOD_RATIO = 0.05, 0.75
"""Of the gain to that foretold: what a step must reach to be taken, and for a larger radius."""
CHORD = 0.3
"""A step that leaves this share of the slope or less is worth another with the same information."""

EARLIEST = 10
"""Steps of EM before which no tail is foretold."""
LONG_TAIL, LONG_TAIL_ROWS = 20, 4_000
"""Steps of EM that cost more than Newton's finish; rows below which more of the compiled ones do,
for there Newton's steps take the time of Python."""
LOOSE = 1e-4
"""Tolerance above which a climb is to end early, and EM's word is enough."""
MOST_WORK, MOST_COMPILED = 6e8, 1e10
"""Rows times squared coefficients up to which the end of a climb is looked at, and where the
information is compiled: it takes the time of about one pass then."""


class Newton(BaseSolver):
    """Trust-region Newton on the exact observed information, after a few steps of EM.

    The information is Louis' [1]_, from the derivatives of every row, with the curvature of the
    priors; free coordinates are those of the gradient solvers (logarithms of scales, Cholesky
    factors of covariances). Each step is the best of the quadratic model within a trust radius
    [2]_, in units in which every coefficient has the same curvature. A step that falls, or gains
    less than a twentieth of what was foretold, is made again at a quarter of the radius; after six
    such EM goes on for a while. Where the objective bends upwards, at a saddle, the step leaves
    along that direction, however small the slope.

    The run ends at a maximum: the information is positive definite but for directions in which the
    objective is flat, Newton's next step would gain no more than `tol` a unit of weight, and no
    slope is above 1e-8 a unit of weight, or a tenth of `tol` if that is more. Parameters at a bound
    that the objective would have beyond it are held there.

    Parameters
    ----------
    warm_up : int, default=10
        Steps of accelerated EM to begin with; they count as iterations.

    Notes
    -----
    Gate and experts need second derivatives row by row, which Laplace experts, networks and
    scikit-learn estimators have not, and there must be no more than 600 coefficients or
    150 predictors. Close to a maximum the digits of a fit double with every step, where EM gains a
    constant share of them. A step costs two passes over the rows of linear Gaussian experts with a
    flat gate, and 5 to 20 of others.

    References
    ----------
    .. [1] Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm.
       Journal of the Royal Statistical Society B 44, 226-233.
    .. [2] Moré, J. J. & Sorensen, D. C. (1983). Computing a trust region step. SIAM Journal on
       Scientific and Statistical Computing 4, 553-572.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> em = MixtureOfExpertsRegressor(2, solver="em", random_state=0).fit(X, y)
    >>> model = MixtureOfExpertsRegressor(2, solver="newton", random_state=0).fit(X, y)
    >>> bool(abs(model.lower_bounds_[-1] - em.lower_bounds_[-1]) < 1e-3)
    True
    """

    requires = frozenset({"statistics", "gradient", "rows"})
    foretells = True

    def __init__(self, warm_up: int = 10) -> None:
        self.warm_up = warm_up

    def _rules(self):
        return {"warm_up": integer(0)}

    def resumed(self):
        """Return this solver without a warm-up."""
        return clone(self).set_params(warm_up=0)

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return where the climb ended."""
        self.check_model(model)
        threshold = tol * batches.total_weight
        record = Record(max_iter, callback, least_gain=threshold)
        point = evaluate(model, batches, params)
        record.add(point)
        if not point.usable:
            return record.result(point, False)
        layout = _checked(model, params, batches)
        em = em_steps(model, batches, threshold)
        em.restart(point)
        em.at_once = max(1, self.warm_up)

        def is_due(em, record):
            return record.iterations >= self.warm_up

        steps = Finish(em, lambda: layout, is_due)
        return record.result(*loop(steps, point, record), is_maximum=steps.is_sure)


def _checked(model, params, batches):
    """Return the layout of the information; a ValueError where there is none to factorise."""
    advice = "use solver='auto', which does without where it must"
    try:
        layout = layout_of(model, params, batches)
    except NoInformation as error:
        raise ValueError(f"Newton cannot climb here: {error}; {advice}.") from None
    size, predictors = len(layout.positions), len(layout.designs)
    if size > MOST_COEFFICIENTS or predictors > MOST_PREDICTORS:
        raise ValueError(
            f"Newton factorises the information of {MOST_COEFFICIENTS} coefficients of"
            f" {MOST_PREDICTORS} predictors at most, and this model has {size} of {predictors};"
            f" {advice}, or solver='lbfgs'."
        )
    return layout


class Finish(Steps):
    """Steps of EM, then Newton's; of EM again where those fail.

    Parameters
    ----------
    em : CertainSteps
    layout : callable () -> Layout
        That of the information, asked where Newton's steps begin.
    is_due : callable(em, record) -> bool
        Whether Newton's steps are to begin, asked before every step of EM.
    near : bool, default=False
        Whether Newton's steps are for the neighbourhood of a maximum alone, where the objective is
        concave. Where EM has arrived at a saddle, one leads away from it.
    certifies : callable() -> bool
        Whether Newton's steps begin where EM has arrived, asked there.

    Attributes
    ----------
    is_sure : bool
        Whether the end was seen to be a maximum.
    """

    def __init__(self, em, layout, is_due, near=False, certifies=lambda: True):
        self.em, self.layout, self.is_due = em, layout, is_due
        self.near, self.certifies = near, certifies
        self.has_failed = False
        self.model, self.batches, self.threshold = em.model, em.batches, em.threshold
        self.first_radius = self.radius = RADIUS * np.sqrt(self.batches.total_weight)
        self.level = max(GRADIENT * self.batches.total_weight, GRADIENT_TO_GAIN * self.threshold)
        self.local = None  # the quadratic model, while steps are Newton's
        self.at_end = self.rests = self.is_sure = False
        self.pause, self.resume = PAUSE, 0

    def step(self, point, record):
        """Return the point after a step of Newton's, or of EM."""
        may_look = self.local is None and record.iterations >= self.resume and self.em.pauses
        if may_look and self.is_due(self.em, record):
            self._look(point)
            if self.local is not None and not self._is_patient(record):
                if not self.local.is_close(self.radius):
                    self._give_way(point, record)
        following = self._newton_step(point, record)
        return self.em.step(point, record) if following is None else following

    def arrived(self, point, record):
        """Return True at a maximum; where Newton has failed, what EM says."""
        if self.local is not None:
            return True if self.rests or self._is_maximum(point) else None
        arrived = self.em.arrived(point, record)
        if arrived is not True or self.has_failed or not self.certifies():
            return arrived
        self.at_end = True
        self._look(point)
        return True if self.local is None or self._is_maximum(point) else None

    def _look(self, point):
        """Work the quadratic model out; there is none for good where it is no number."""
        self.local = local_model(self.model, self.batches, point, self.layout())
        if self.local is None:
            self.resume, self.has_failed = np.inf, True
            self.em.restart(point)

    def _newton_step(self, point, record):
        """Return the point after a step of Newton's; None where EM is to go on."""
        if self.local is not None and self.local.is_stale:
            self._look(point)
        if self.local is None:
            return None
        strays = not (self.at_end or self.local.is_definite or self._is_patient(record))
        following = None if strays else self._within_radius(point)
        if following is None and self.local.is_definite and self._is_rounding(point):
            self.rests = self.is_sure = True
            return point
        if following is None:
            self.has_failed = self.at_end
            self._give_way(point, record)
        return following

    def _is_patient(self, record):
        """Return whether Newton's steps may stray: EM has been given the time to choose."""
        return not self.near or record.iterations >= LONG

    def _give_way(self, point, record):
        """Leave the next steps, ever more of them, to EM."""
        self.local, self.at_end, self.radius = None, False, self.first_radius
        self.resume, self.pause = record.iterations + self.pause, 2 * self.pause
        self.em.restart(point)

    def _is_maximum(self, point):
        """Return whether the point is a maximum, by an information of here or close by."""
        if self.local.steepest > self.level and not self.local.stalls:
            return False
        if self.local.is_stale:
            self._look(point)
        if self.local is None:
            return True
        left = self.local.step(self.radius)[1]
        self.is_sure = self.local.is_definite and left <= self.threshold
        return self.is_sure or left <= BEND_TO_GAIN * self.threshold

    def _is_rounding(self, point):
        """Return whether what Newton cannot gain is nothing but rounding."""
        left = self.local.step(self.radius)[1] if self.local.is_definite else np.inf
        return left <= max(self.threshold, rounding(self.batches, point))

    def _within_radius(self, point):
        """Return the point after the best step within the trust radius; None after six falls."""
        for _ in range(TRIALS):
            step, foretold, length = self.local.step(self.radius)
            if not foretold > 0:
                return None
            proposal = evaluate(self.model, self.batches, self.local.params(step), tentative=True)
            following = compared(self.model, self.batches, point, proposal)
            if following.gain > 0 and following.gain >= LEAST_RATIO * foretold:
                if following.gain >= GOOD_RATIO * foretold:
                    self.radius = max(self.radius, 3 * length)
                self.local.move(following, foretold)
                return following
            self.radius = 0.25 * length
        return None


def local_model(model, batches, point, layout):
    """Return the `LocalModel` at a point; None where the information is no number.

    Parameters
    ----------
    model : MixtureModel
    batches : Batches
    point : Point
    layout : Layout
    """
    found = information(model, point.params, batches, layout)
    found = with_priors(model, point.params, found, point.stats)
    if not np.isfinite(found.matrix).all():
        return None
    return LocalModel(model, found, point, batches.total_weight)


class LocalModel:
    """The objective around a point to second order, gᵀs - ½ sᵀAs in steps s of the coefficients.

    Coefficients are in units in which A has the diagonal 1. What changes no params, a shift of all
    rows of a softmax, has a curvature of its own added to A, which no step feels.

    Attributes
    ----------
    is_stale : bool
        Whether A is to be worked out anew before the next step.
    """

    def __init__(self, model, found, point, weight):
        self.model, self.layout, self.weight = model, found.layout, weight
        projector = self.layout.projector
        size = np.abs(np.diagonal(found.matrix)).mean()
        whole = found.matrix + max(size, 1e-300) * (np.eye(len(projector)) - projector)
        self.coordinates = self.layout.coordinates
        self._go_to(point)
        self.free = ~self._held
        own = whole[np.ix_(self.free, self.free)]
        diagonal = np.abs(np.diagonal(own))
        self.unit = 1 / np.sqrt(np.maximum(diagonal, 1e-12 * max(diagonal.max(initial=0), 1e-300)))
        self.matrix = own * self.unit[:, None] * self.unit
        self.is_stale = self.stalls = False

    def _go_to(self, point):
        """Take vector and slope of a point, and which coefficients a bound holds."""
        self.vector = self.coordinates.free(point.params)
        gradient = self.model.gradient(point.params, point.stats)
        slope = self.coordinates.slope_in_free(self.vector, point.params, gradient)
        low, high = self.coordinates.bounds
        held = (self.vector <= low) & (slope <= 0) | (self.vector >= high) & (slope >= 0)
        self._held = self.layout.in_coefficients(held) > 0
        self.slope = self.layout.in_coefficients(slope)

    def move(self, point, gain):
        """Go to the point after a step of some gain; A is good for another if little is left."""
        before = self._scaled_slope
        self._go_to(point)
        same = np.array_equal(self.free, ~self._held)
        left = np.linalg.norm(self._scaled_slope) if same else np.inf
        before = np.linalg.norm(before)
        self.is_stale = not (self.is_definite and left <= CHORD * before)
        blur = BLUR * max(1.0, self.weight, abs(point.value))
        self.stalls = bool(gain <= blur and left > 0.5 * before)

    @property
    def _scaled_slope(self):
        return self.slope[self.free] * self.unit

    def params(self, step):
        """Return the params after a step, within the bounds."""
        vector = self.coordinates.clip(self.vector + self.layout.in_free(step))
        with np.errstate(all="ignore"):
            return self.coordinates.params(vector)

    @functools.cached_property
    def _factor(self):
        """The Cholesky factor of A, None unless it is well away from singular."""
        factor, failed = dpotrf(self.matrix, lower=1)
        safe = not failed and np.diagonal(factor).min(initial=1.0) > 1e-4
        return factor if safe else None

    @functools.cached_property
    def _spectrum(self):
        """Eigenvalues and eigenvectors of A; eigenvalues 0 of what is flat."""
        values, vectors = np.linalg.eigh(self.matrix)
        return np.where(np.abs(values) > FLAT * np.abs(values).max(), values, 0.0), vectors

    @property
    def is_definite(self):
        """Whether A is positive definite, but for what is flat."""
        return self._factor is not None or bool(self._spectrum[0][0] >= 0)

    def step(self, radius):
        """Return the best step within a radius, what it gains and its length: (m,), float, float.

        Along eigenvectors it is gᵢ / (λᵢ + μ), with the least μ >= 0 that makes λ + μ positive and
        the step no longer than the radius (Moré & Sorensen, 1983).
        """
        slope, whole = self._scaled_slope, np.zeros(len(self.free))
        if not len(slope):
            return whole, 0.0, 0.0
        step = None if self._factor is None else dpotrs(self._factor, slope, lower=1)[0]
        if step is None or np.linalg.norm(step) > radius:
            values, vectors = self._spectrum
            step = vectors @ _on_sphere(values, vectors.T @ slope, radius)
        gain = float(slope @ step - 0.5 * step @ (self.matrix @ step))
        whole[self.free] = step * self.unit
        return whole, gain, float(np.linalg.norm(step))

    def is_close(self, radius):
        """Return whether A is definite, and Newton's own step lies within a radius."""
        return self.is_definite and self.step(np.inf)[2] <= radius

    @property
    def steepest(self):
        """The largest slope of a coefficient that no bound holds."""
        return np.abs(self.slope[~self._held]).max(initial=0.0)


def _on_sphere(values, slope, radius):
    """Return the best step within a radius along eigenvectors of these eigenvalues, (m,)."""
    bends = values != 0
    least = values.min()
    if least < 0:  # at a saddle the slope may have no share of the way out: a little does
        lowest = int(np.argmin(values))
        little = 1e-6 * radius * -least
        if abs(slope[lowest]) < little:
            slope = slope.copy()
            slope[lowest] = little if slope[lowest] >= 0 else -little

    def step(shift):
        return np.where(bends, slope / np.where(bends, values + shift, 1.0), 0.0)

    if least >= 0 and _length(step(0.0)) <= radius:
        return step(0.0)
    low = max(0.0, -least)
    high = low + _length(slope) / radius
    for _ in range(100):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if _length(step(middle)) > radius else (low, middle)
    return step(high)


def _length(vector):
    """Return the length of a vector, the square of which may be too large a number, a float."""
    size = np.abs(vector).max(initial=0.0)
    return float(size * np.linalg.norm(vector / size)) if 0 < size < np.inf else float(size)


def _layout(model, params, batches):
    """Return the layout of an information that Newton's finish takes on, or None."""
    if not model.ascends or model.lacks("gradient"):
        return None
    try:
        layout = layout_of(model, params, batches)
    except NoInformation:
        return None
    few = len(layout.positions) <= MOST_COEFFICIENTS and len(layout.designs) <= FEW_PREDICTORS
    return layout if few and layout.positions else None


def _has_long_tail(em, record):
    """Return whether steps of EM have many more to go, at the rate of the last two gains.

    From the gain a the ratio r of the gains leads to a total of a r / (1 - r) still to come, and to
    gains below the threshold after log(threshold / a) / log r steps. Steps shrink by √r, so that
    the information is some λ = (1 - r) / 2 of what EM takes it for, and Newton's step is
    (2 gain / λ)^½ long: it is to lie within the trust radius.
    """
    if record.iterations < EARLIEST or em.gain is None or not em.last_gain or em.gain <= 0:
        return False
    weight, ratio = em.batches.total_weight, em.gain / em.last_gain
    if ratio >= 1 or em.gain <= em.threshold:
        return False
    length = 2 * np.sqrt(remaining(em.gain, em.last_gain) / (1 - ratio))
    if length > RADIUS * np.sqrt(weight) and record.iterations < LONG:
        return False
    longest = LONG_TAIL * (max(1, LONG_TAIL_ROWS / em.batches.n) if em.fused is not None else 1)
    return em.threshold <= 0 or np.log(em.threshold / em.gain) / np.log(ratio) > longest


class EMNewton(AcceleratedEM):
    """EM with SQUAREM, and Newton's finish where it helps: ``solver="auto"``.

    Steps are those of `AcceleratedEM`. Where they promise a long tail, by Aitken's rule, or have
    arrived, those of `Newton` go on, so that a fit that converged stands at a maximum and not at a
    saddle. Early in a climb they are for the neighbourhood of a maximum alone, where the objective
    is concave; after a hundred iterations of a climb that crawls they may lead anywhere upwards.

    Notes
    -----
    Newton's steps are left out where they have no ground to stand on: parts without second
    derivatives (Laplace experts, networks, scikit-learn estimators), more than 600
    coefficients or 60 predictors (Gaussian gates of many columns). There the run is that of
    `AcceleratedEM`. Where the rows times the squared coefficients are more than 6e8, or 1e10 of
    linear Gaussian experts with a flat gate, they may end a long tail, but where EM has arrived
    they are not asked; nor are they where `tol` is above 1e-4.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> X, y = make_crossing_lines(random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    >>> model.converged_
    True
    """

    looks_at_ends = True

    def scout(self):
        """Return EM with SQUAREM."""
        return AcceleratedEM()

    def contender(self):
        """Return this solver, which leaves the ends of short tails as they are."""
        return _Contender()

    def goes_on(self, model, result, batches):
        """Return whether the end of a climb is still to be looked at."""
        layout = functools.partial(_layout, model, result.params, batches)
        return not result.is_maximum and self._looks(batches, layout)

    def _looks(self, batches, layout):
        found = layout() if self.looks_at_ends else None
        if found is None:
            return False
        most = MOST_COMPILED if found.is_compiled else MOST_WORK
        return len(found.positions) ** 2 * batches.n <= most

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return where the climb ended."""
        if not model.ascends or model.lacks("rows") or model.lacks("gradient"):
            return super().run(
                model, params, batches, max_iter=max_iter, tol=tol, callback=callback
            )
        threshold = tol * batches.total_weight
        record = Record(max_iter, callback, least_gain=threshold)
        em = em_steps(model, batches, threshold)
        point = em.begin(params, record)

        @functools.cache
        def layout():  # asked of no climb that needs none
            return _layout(model, params, batches)

        def is_due(em, record):
            return _has_long_tail(em, record) and layout() is not None

        def certifies():
            return tol <= LOOSE and self._looks(batches, layout)

        steps = Finish(em, layout, is_due, near=True, certifies=certifies)
        return record.result(*loop(steps, point, record), is_maximum=steps.is_sure)


class _Contender(EMNewton):
    """One of several climbs, of which the best one's end is looked at afterwards."""

    looks_at_ends = False
