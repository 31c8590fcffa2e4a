"""`OnlineMixin`: `partial_fit`, and how a fit that fails leaves everything as it was."""

from __future__ import annotations

import contextlib
import functools

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import ThreadpoolController

from ..data.batches import ArrayBatches
from ..parts.registry import coerce
from ..solvers.loop import Point, evaluate
from ._predictions import has_likelihood


@functools.cache
def _blas():
    """The BLAS libraries of this process; small solves are slower on several of their threads."""
    return ThreadpoolController()


@contextlib.contextmanager
def all_or_nothing(estimator):
    """Attributes as they were if anything goes wrong inside, Ctrl-C too; one thread for BLAS."""
    before = vars(estimator).copy()
    try:
        with _blas().limit(limits=1, user_api="blas"):
            yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def learns_row_by_row(self):
    """Raises where the parts, the objective or the weights have no on-line training.

    Not for parameters that no fit could use: `partial_fit` itself says which, as `fit` does.
    """
    if isinstance(getattr(self, "class_weight", None), str):
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit with class_weight={self.class_weight!r},"
            " which needs all rows at once; give a dict of weights."
        )
    try:
        solver, model = _solver(self), self._new_model()
    except (TypeError, ValueError):
        return has_likelihood(self)
    try:
        solver.check_model(model)
    except (TypeError, ValueError) as error:
        raise AttributeError(f"{type(self).__name__} has no partial_fit: {error}") from None
    return True


def _solver(estimator):
    """The estimator's solver if it is on-line, else the default of such."""
    solver = coerce("solver", estimator.solver)
    solver = solver if "sums" in solver.requires else coerce("solver", "online")
    return solver.set_params(shuffle=False)


class OnlineMixin:
    """`partial_fit` for both tasks."""

    _declared = None  # the classes that the caller named before they were seen
    _memory = None  # what on-line training goes on from
    _sums = None  # of the last fit, from which it makes its first memory: statistics, rows

    @available_if(learns_row_by_row)
    def partial_fit(self, X, y, sample_weight=None):
        """Learn from more rows, on-line: recursive least squares, or on-line EM.

        The first call, if the estimator is not fitted, chooses the starting values and the first
        estimates from its rows, and fixes the units for good: give it some hundred that represent
        the stream. A column of X that is constant in them stays without effect. Later calls take
        their rows in order, in blocks, and forget older ones little by little; see
        `classic_moe.solvers.OnlineEM`, whose settings are taken from `solver` if it is one.
        After `fit` it goes on from the fitted values. Gate and experts stay those of the first
        call or of `fit`: of parameters changed since then only `solver` counts.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self
            `log_likelihood_` and `lower_bounds_` (before and after) are about the rows of this
            call, `weights_` about those remembered, and `n_iter_` counts the calls.

        Raises
        ------
        ValueError
            As `fit`; the estimator is left as it was.

        Warns
        -----
        ExpertCollapseWarning
            In the first call, for a constant y or too few rows for so many experts.
        """
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X, y, sample_weight, classes=None):
        with all_or_nothing(self):
            if hasattr(self, "params_"):
                self._go_on(X, y, sample_weight, classes)
            else:
                self._declared = classes
                self._fit(X, y, sample_weight, None, None, None, online=_solver(self))
                self._declared = None
        return self

    def _go_on(self, X, y, sample_weight, classes):
        """More rows for a fitted estimator; the experts keep their numbers."""
        check_is_fitted(self)
        solver, model = _solver(self), self._model
        solver.check_model(model)
        caller_y = np.asarray(y)
        X, y = self._check_Xy(X, y)
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={classes!r}: the first call had {self.classes_.tolist()}; leave it None."
            )
        weight = self._class_weights(caller_y, self._check_weight(sample_weight, X))
        rows, shrink = np.flatnonzero(weight > 0), self._shrink
        X, y, weight = X[rows], y[rows], weight[rows] / shrink
        batches = ArrayBatches(X, y, weight)
        before = evaluate(model, batches, self.params_)
        memory = self._memory
        if memory is None:
            stats, n_rows = self._sums  # of the fit: the rows of this call may be few, or alike
            memory = solver.begin(model, Point(self.params_, stats, before.value), n_rows)
        memory = solver.step(model, memory._replace(params=self.params_), batches)
        after = evaluate(model, batches, memory.params)
        self._memory, n_iter = memory, self.n_iter_
        self._say(memory.params, memory.stats["resp"])
        total = batches.total_weight
        shift = total * self._scalings[1].log_volume()
        log_prob = model.log_prob(memory.params, X, y)
        self.log_likelihood_ = float(shrink * (weight @ log_prob + shift))
        shift += total * self._units("gate").x.log_volume() * model.models_x
        if model.models_x:
            log_prob = log_prob + model.log_marginal(memory.params, X)
            self.joint_log_likelihood_ = float(shrink * (weight @ log_prob + shift))
        self.lower_bounds_ = np.array([shrink * (p.value + shift) for p in (before, after)])
        self.learning_curve_ = {"objective": self.lower_bounds_}
        self.n_iter_, self.converged_ = n_iter + 1, False
