"""`OnlineMixin`: `partial_fit`."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, Self

import numpy as np

from .._kernels.array import brought, rows_at
from ..data.devices import received
from ..parts.availability import available_if
from ..parts.blas import one_blas_thread
from ..parts.packing import unpack
from ..parts.params import same
from ..parts.registry import coerce
from ..solvers import Result
from ..solvers.loop import Point, evaluate
from ._fitted import Fitted
from ._predictions import has_likelihood
from ._prepare import Problem, array_batches, bare_model, prepare, reported_units, weigh


def learns_row_by_row(self):
    """Raises where the parts, the objective or the weights have no on-line training.

    Not for parameters that no fit could use: `partial_fit` itself says which, as `fit` does.
    """
    if isinstance(self._class_weight, str):
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit with class_weight={self._class_weight!r},"
            " which needs all rows at once; give a dict of weights."
        )
    if isinstance(self.normalize_weights, (bool, np.bool_)) and self.normalize_weights:
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit with normalize_weights=True, which needs all"
            " rows at once; scale the weights yourself."
        )
    try:
        solver, model = _solver(self), bare_model(self)
    except (TypeError, ValueError):
        return has_likelihood(self)
    if model.gate.n_kept is not None:
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit with a gate that keeps {model.gate.n_kept}"
            " experts of a row, which is fitted with all of them first; use fit."
        )
    try:
        solver.check_model(model)
    except (TypeError, ValueError) as error:
        raise AttributeError(f"{type(self).__name__} has no partial_fit: {error}") from None
    return True


def _solver(estimator):
    """Return the estimator's solver if it is on-line, else the default of such."""
    solver = coerce("solver", estimator.solver)
    solver = solver if "sums" in solver.requires else coerce("solver", "online")
    return solver.set_params(shuffle=False)


def _first_solver(estimator):
    """Return the solver that fits the first rows: the estimator's, but none that is on-line."""
    solver = coerce("solver", estimator.solver)
    return coerce("solver", "auto") if "sums" in solver.requires else solver


class OnlineMixin:
    """`partial_fit` for both tasks."""

    @property
    def _sums(self):
        """What `partial_fit` goes on from after a fit: its sums over the rows, in compact form."""
        return self._fitted.sums

    @available_if(learns_row_by_row)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from more rows, on-line: recursive least squares, or on-line EM.

        The first call, if the estimator is not fitted, fits its rows as `fit` does, by "auto" where
        `solver` is on-line, and fixes the units for good: give it some hundred that represent the
        stream. A column of X that is constant in them stays without effect. Later calls take their
        rows in order, in blocks, and forget older ones little by little; see
        `classic_moe.solvers.OnlineEM`, whose settings are taken from `solver` if it is one.
        Calls of some thousand rows are quick; each makes two passes more to tell the objective.
        After `fit` it goes on from the fitted values and from sums over its rows; where these are
        large they are kept in single precision, and of the curvature of scores only a bound, so
        that a gate begins to move slowly. Gate and experts stay those of the first call or of
        `fit`: of parameters changed since then only `solver` counts.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
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
        with one_blas_thread():
            solver = _solver(self)
            if self._fitted is None:
                first = _first_solver(self)
                problem = prepare(self, X, y, sample_weight, online=first, classes=classes)
                self._fit(problem, then=functools.partial(_begun, solver))
            else:
                problem = _later_rows(self, solver, X, y, sample_weight, classes)
                self._adopt(_go_on(self._current(), problem))
        return self


def _later_rows(estimator, solver, X, y, sample_weight, classes) -> Problem:
    """Return the problem of more rows for a fitted estimator; the experts keep their numbers."""
    fitted = estimator._fitted
    model, schema = fitted.model, fitted.schema
    solver.check_model(model)
    caller_y = np.asarray(brought(received(y, "y")))
    X, y = estimator._check_Xy(X, y, anywhere=True)
    schema.target.check_classes(classes)
    weight = weigh(estimator, X.X, caller_y, sample_weight)
    rows = np.flatnonzero(weight > 0)
    batches = array_batches(schema, rows_at(X.X, rows), y[rows], weight[rows] / schema.weight_unit)
    return Problem(
        model,
        schema,
        batches,
        reported_units(model, schema, batches),
        solver,
        len(fitted.resp),
        reorders=False,
        streams=True,
    )


def _begun(solver, problem, result) -> Result:
    """Return the fit of a stream's first rows as a call: before and after, and the memory."""
    n = problem.batches.n
    end = evaluate(problem.model, problem.batches, result.params)
    memory = solver.begin(problem.model, end, n, seen=n)
    history = [result.history[0], result.history[-1]]
    options = dict(converged=False, memory=memory, endings=result.endings)
    return Result(result.params, end.stats, history, **options)


def _go_on(fitted, problem) -> Fitted:
    """Return what a fit becomes after more rows, taken in order, in blocks."""
    model, batches, solver = problem.model, problem.batches, problem.solver
    before, memory = evaluate(model, batches, fitted.params, derivatives=1), fitted.memory
    if memory is None:
        if fitted.sums is None:
            raise ValueError(
                "partial_fit: a copy whose experts were renumbered by align does not hold the sums"
                " over the rows of the fit; go on with the fitted estimator itself, and align after"
                " that."
            )
        stats, n_rows = fitted.sums  # of the fit: the rows of this call may be few, or alike
        start = Point(fitted.params, unpack(stats), before.value)
        memory = solver.begin(model, start, n_rows, seen=n_rows)
    else:
        memory = memory._replace(stats=unpack(memory.stats))
        if not same(memory.mean, fitted.params):  # the caller has put others in their place
            memory = memory._replace(params=fitted.params, mean=fitted.params)
    memory = solver.step(model, memory, batches)
    after = evaluate(model, batches, memory.mean)
    history = [before.value, after.value]
    result = Result(memory.mean, after.stats, history, converged=False, memory=memory)
    return replace(
        Fitted.of(problem, result),
        n_iter=fitted.n_iter + 1,
        resp=memory.stats["resp"],
        n_parameters=fitted.n_parameters,
        penalties=fitted.penalties,
        evidence_missing=fitted.evidence_missing,
    )
