"""Epochs of minibatches: SGD with momentum, and Adam."""

from __future__ import annotations

import numpy as np

from .ascent import Ascent, with_momentum

STEEPEST = 1e150
"""Derivatives up to this have squares; a step of Adam is as long for steeper ones."""


class SGD(Ascent):
    """Stochastic gradient ascent with momentum, on minibatches.

    An iteration is an epoch: a step for every minibatch, all rows once in random order, and a pass
    over all rows that evaluates the result. The gradient is an estimate of that of the whole
    penalised objective, divided by the total weight: ``learning_rate`` is a step per row. The fit
    returns the best epoch's parameters, so `lower_bounds_`, the best so far, never fall;
    ``learning_curve_["objective"]`` is the path. `converged_` says that epochs brought no more than
    `tol` a unit of weight at the smallest learning rate, which is less than a maximum.

    For many rows, or a network's slow descent; on small data EM and L-BFGS are faster and exact.

    Parameters
    ----------
    learning_rate : float, default=0.1
        The step per unit of weight.
    momentum : float, default=0.9
        The share of the last step that is added to the next.
    batch_size : int, default=100
        Rows of a minibatch; all minibatches of an epoch are of equal size but for one row. With
        ``groups``, about so many rows: groups stay whole.
    schedule : {"constant", "adaptive", "linear"}, default="adaptive"
        Whether to keep the learning rate, to halve it and go back to the best epoch's parameters
        where the objective has stopped rising, at most eight times, or to lower it by the same
        amount every epoch, to 0 at the estimator's `max_iter`, where the fit ends. A constant rate
        does not settle: the noise of the minibatches goes on.
    warm_up : int, default=10
        Passes of EM to begin with; none for objectives that are no likelihoods. They count as
        iterations.
    early_stopping : bool, default=False
        Hold rows out, stop when the objective on them no longer rises, and return the parameters
        that did best on them.
    validation_fraction : float, default=0.1
        The share of the total weight that is held out; groups are held out whole.
    n_iter_no_change : int, default=10
        Epochs without a gain of `tol` a unit of weight after which to halve the learning rate (see
        `schedule`); with early stopping, without a gain on the rows held out, after which to stop.
    random_state : int, RandomState or None, default=None
        For the minibatches and the rows held out; None: from the estimator's.

    References
    ----------
    Robbins, H. & Monro, S. (1951). A stochastic approximation method. Annals of Mathematical
    Statistics 22, 400-407.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.solvers import SGD
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> solver = SGD(early_stopping=True)
    >>> model = MixtureOfExpertsRegressor(2, solver=solver, n_init=1, random_state=0).fit(X, y)
    >>> sorted(model.learning_curve_)
    ['objective', 'validation']
    """

    def __init__(
        self,
        learning_rate: float | str = 0.1,
        momentum: float | str = 0.9,
        batch_size: int | str = 100,
        schedule: str = "adaptive",
        warm_up: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.batch_size = batch_size
        self.schedule = schedule
        self.warm_up = warm_up
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _new_rule(self):
        return with_momentum(self.momentum)


class Adam(Ascent):
    """Adam: minibatch steps whose size is each coordinate's own.

    Epochs, the best one's parameters, `lower_bounds_` and `converged_` are as in `SGD`. A step
    divides the mean gradient by the root of its mean square, so the learning rate is the change of
    a coordinate in one step, whatever its units: it copes with experts of little noise, where the
    steps of `SGD` have to be tiny.

    Parameters
    ----------
    learning_rate : float, default=0.05
        Largest change of a coordinate in one step, about.
    batch_size : int, default=100
        Rows of a minibatch; all minibatches of an epoch are of equal size but for one row. With
        ``groups``, about so many rows: groups stay whole.
    schedule : {"constant", "adaptive", "linear"}, default="adaptive"
        Whether to keep the learning rate, to halve it and go back to the best epoch's parameters
        where the objective has stopped rising, at most eight times, or to lower it by the same
        amount every epoch, to 0 at the estimator's `max_iter`, where the fit ends. A constant rate
        does not settle: the noise of the minibatches goes on.
    warm_up : int, default=10
        Passes of EM to begin with; none for objectives that are no likelihoods. They count as
        iterations.
    early_stopping : bool, default=False
        Hold rows out, stop when the objective on them no longer rises, and return the parameters
        that did best on them.
    validation_fraction : float, default=0.1
        The share of the total weight that is held out; groups are held out whole.
    n_iter_no_change : int, default=10
        Epochs without a gain of `tol` a unit of weight after which to halve the learning rate (see
        `schedule`); with early stopping, without a gain on the rows held out, after which to stop.
    random_state : int, RandomState or None, default=None
        For the minibatches and the rows held out; None: from the estimator's.

    References
    ----------
    Kingma, D. P. & Ba, J. (2015). Adam: a method for stochastic optimization. International
    Conference on Learning Representations.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.solvers import Adam
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> solver = Adam(early_stopping=True)
    >>> model = MixtureOfExpertsRegressor(2, solver=solver, n_init=1, random_state=0).fit(X, y)
    >>> sorted(model.learning_curve_)
    ['objective', 'validation']
    """

    def __init__(
        self,
        learning_rate: float | str = 0.05,
        batch_size: int | str = 100,
        schedule: str = "adaptive",
        warm_up: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.schedule = schedule
        self.warm_up = warm_up
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _new_rule(self):
        first = second = 0.0
        t = 0

        def rule(slope, rate):
            nonlocal first, second, t
            t += 1
            slope = np.clip(slope, -STEEPEST, STEEPEST)
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            return rate * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)

        return rule
