"""What both deep mixtures share: parameters, the fit, and what is seen of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import solvers
from ..data.balanced import BalancedBatches
from ..data.columns import Columns, Layout
from ..data.units import ReportedUnits
from ..parts import checks
from ..parts.arithmetic import UnderflowIsZero
from ..parts.blas import one_blas_thread
from ..parts.params import Params
from ..parts.registry import coerce
from ..report.card import CardMixin
from ..solvers.gradient import GradientSolver
from ..starts.race import climb
from ..starts.telling import telling
from ._callbacks import TasksMixin, with_callbacks
from ._deep_model import DeepModel
from ._outside import level_outside
from ._prepare import (
    Schema,
    array_batches,
    fit_y,
    read,
    scaling_of_x,
    units_of_y,
    weight_unit_of,
    with_random_numbers,
)
from ._rows import RowsMixin

RULES = {
    "n_constrained": checks.integer(0),
    "margin": checks.either("auto", checks.number(lambda m: 0 < m < np.inf, "a positive number")),
    "alpha": checks.number(lambda alpha: 0 <= alpha < np.inf, "a number of at least 0"),
    "max_iter": checks.integer(1),
    "tol": checks.number(lambda tol: tol >= 0, "a number of at least 0"),
    "n_init": checks.integer(1),
    "standardize": checks.FLAG,
    "normalize_weights": checks.FLAG,
    "n_jobs": checks.N_JOBS,
    "random_state": checks.RANDOM_STATE,
    "verbose": checks.VERBOSITY,
}
"""What the parameters may be; the sizes of the layers are checked together."""
ALL_COLUMNS = Columns(None, None, None)
ALL_INSIDE = Layout(None, None, None, None, None)


@dataclass(frozen=True)
class DeepFitted:
    """A fitted deep mixture with all that is reported of it.

    Attributes
    ----------
    model : DeepModel
    schema : Schema
    params : Params
    usage : list of ndarray of shape (K,), mean gating probabilities, by layer
    log_likelihood : float, in the caller's units
    lower_bounds : ndarray of shape (m,), the best objective so far, from the start on
    learning_curve : dict of ndarray
    n_iter : int
    converged : bool
    complaint : str, why the fit is no end; "" if there is nothing to complain about
    """

    model: DeepModel
    schema: Schema
    params: Params
    usage: list[np.ndarray]
    log_likelihood: float
    lower_bounds: np.ndarray
    learning_curve: dict[str, np.ndarray]
    n_iter: int
    converged: bool
    complaint: str

    def attributes(self) -> dict:
        """Return the attributes of the estimator by name, itself as `_fitted`."""
        schema = self.schema
        found = {
            "params_": self.params,
            "layers_": [DeepLayer(self, i) for i in range(len(self.usage))],
            "log_likelihood_": self.log_likelihood,
            "lower_bounds_": self.lower_bounds,
            "learning_curve_": self.learning_curve,
            "n_iter_": self.n_iter,
            "converged_": self.converged,
            "n_parameters_": self.model.n_parameters(self.params),
            **schema.attributes(),
            "scale_": self._scale(),
            "_fitted": self,
        }
        found |= schema.target.attributes()
        return {name: value for name, value in found.items() if value is not None}

    def _scale(self):
        """Return the standard deviations of y, a float or (q,); None for classes."""
        variance = self.params["output"].get("variance")
        if variance is None:
            return None
        scale = np.sqrt(variance[0]) * self.schema.y.unit
        return float(scale[0]) if self.schema.target.single_output else scale

    def layers(self, X):
        """Return what the layers make of internal rows, a list of `LayerPass`."""
        return self.model.layers(self.params, X)


class DeepLayer(RowsMixin, UnderflowIsZero):
    """One layer of a fitted deep mixture.

    Attributes
    ----------
    n_experts_ : int
        K of the layer.
    expert_usage_ : ndarray of shape (K,)
        Mean gating probabilities over the rows of the fit.
    """

    n_jobs = None

    def __init__(self, fitted, index):
        self._fitted, self._index = fitted, index
        self.expert_usage_ = fitted.usage[index]
        self.n_experts_ = len(self.expert_usage_)
        self.n_features_in_ = fitted.schema.n_features_in
        if fitted.schema.feature_names_in is not None:
            self.feature_names_in_ = fitted.schema.feature_names_in

    def gate_proba(self, X):
        """Gating probabilities of the layer, of rows of the estimator's X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, K)
        """
        return self._of_layer(X, lambda made: made.gate)

    def transform(self, X):
        """Outputs of the layer, the blend of its experts, which the next layer sees.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, h)
        """
        return self._of_layer(X, lambda made: made.output)

    def _of_layer(self, X, what):
        fitted, i = self._fitted, self._index
        return self._by_rows(lambda X: what(fitted.layers(X)[i]), self._check_X(X))

    def __sklearn_tags__(self):  # for scikit-learn's validation
        tags = BaseEstimator().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __repr__(self):
        usage = np.array2string(self.expert_usage_, precision=2)
        return f"DeepLayer(n_experts_={self.n_experts_}, expert_usage_={usage})"


class BaseDeepMixture(RowsMixin, UnderflowIsZero, CardMixin, TasksMixin, BaseEstimator):
    """A deep mixture, whatever the task."""

    _fitted = None
    _class_weight = None
    _variance_prior = 0.0

    # -- parameters ------------------------------------------------------------------------

    def _check_parameters(self):
        for name, rule in RULES.items():
            checks.check(name, vars(self)[name], rule)
        checks.check("class_weight", self._class_weight, checks.CLASS_WEIGHT)

    def _sizes(self):
        """Return K, h and the gate's units of every layer, three tuples of one length."""
        given = {name: vars(self)[name] for name in ("n_experts", "n_units", "gate_units")}
        L = None
        for name, value in given.items():
            each = value if isinstance(value, (tuple, list)) else [value]
            if not (len(each) and all(checks.is_integer(one) and one >= 1 for one in each)):
                raise ValueError(
                    f"{name}={value!r}: needs integers of at least 1, one for each layer, such as"
                    " (4, 4)."
                )
            if name == "n_experts":
                L = len(each)
            given[name] = tuple(int(one) for one in each) * (L if each is not value else 1)
            if len(given[name]) != L:
                raise ValueError(
                    f"{name}={value!r} has {len(each)} layers and n_experts={self.n_experts!r} has"
                    f" {L}; give one number for each layer, or one for all."
                )
        return tuple(given.values())

    def _given_solver(self):
        """Return the solver of the fit: "adam" is one for networks."""
        if isinstance(self.solver, str) and self.solver == "adam":
            return solvers.Adam(learning_rate=0.003, schedule="linear", warm_up=0)
        solver = coerce("solver", self.solver)
        if not isinstance(solver, GradientSolver):
            raise ValueError(
                f"solver={self.solver!r}: a deep mixture has no M-step; use 'adam', 'sgd',"
                " 'gradient' or 'lbfgs', or an object of these."
            )
        return solver

    def _check_balance(self, solver):
        """ValueError for epochs that are to be balanced by a solver without minibatches."""
        if self.n_constrained and vars(solver).get("batch_size") is None:
            raise ValueError(
                f"n_constrained={self.n_constrained} balances minibatches, and"
                f" {type(solver).__name__} has none; use solver='adam' or 'sgd', or"
                " n_constrained=0."
            )

    def _balanced(self, batches, model):
        """Return the batches as training sees them, those of the first epochs balanced."""
        margin = None if isinstance(self.margin, str) else self.margin
        return BalancedBatches(batches, model.n_experts, self.n_constrained, margin)

    # -- fitting ---------------------------------------------------------------------------

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, callback: Any = None) -> Self:
        """Fit by gradient ascent of the penalised log-likelihood, through all layers at once.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
            Features, finite numbers.
        y : array-like of shape (n,) or (n, q)
            Targets; classifiers take labels of any kind, of shape (n,).
        sample_weight : array-like of shape (n,), default=None
            Frequencies. With several minibatches a row of weight 2 is not exactly two rows.
        callback : callable(iteration, params, objective), default=None
            Called after every iteration; returning True ends the fit with the values reached.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data or parameters that cannot be fitted; the estimator is left as it was.

        Warns
        -----
        ConvergenceWarning
            When `max_iter` is reached by a solver that was not to end there.
        """
        self._check_parameters()
        sizes, solver = self._sizes(), self._given_solver()
        self._check_balance(solver)
        model = DeepModel(*sizes, self._target.task, self.alpha, self._variance_prior)
        with one_blas_thread(), self._as_task(X, y):
            schema, batches = self._read(model, X, y, sample_weight)
            total = batches.total_weight
            units = ReportedUnits(schema.weight_unit, total, total * schema.y.log_volume())
            with batches, telling(self.verbose):
                result = self._best_of(model, schema, batches, solver, callback, units)
                fitted = _fitted(model, schema, batches, units, result)
            if fitted.complaint:
                warnings.warn(
                    f"{type(self).__name__} {fitted.complaint}.",
                    ConvergenceWarning,
                    stacklevel=level_outside(),
                )
            self._adopt(fitted)
        return self

    def _adopt(self, fitted):
        """Show a fit in place of the last one: the only code that writes to the estimator."""
        for name in ("feature_names_in_", "classes_", "categories_", "scale_"):
            vars(self).pop(name, None)
        vars(self).update(fitted.attributes())

    def __sklearn_is_fitted__(self):
        return self._fitted is not None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # -- predictions -----------------------------------------------------------------------

    def log_prob(self, X: ArrayLike, y: ArrayLike) -> NDArray[Any]:
        """Return log p(y given x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)

        Returns
        -------
        ndarray of shape (n,)
        """
        X, y = self._check_Xy(X, y)
        model, params = self._fitted.model, self.params_

        def log_prob(X, y):
            return model.log_prob(params, model.output(params, X), y)[0]

        return self._by_rows(log_prob, X, y) + self._schema().y.log_volume()

    def _outputs(self, X, function):
        """Return a function of the outputs, (n, C) or (n, q), by rows."""
        X = self._check_X(X)
        model, params = self._fitted.model, self.params_
        return self._by_rows(lambda X: function(model.output(params, X)), X)

    def _schema(self):
        """Return the `Schema` of the fit; NotFittedError if there is none."""
        check_is_fitted(self)
        return self._fitted.schema

    def _read(self, model, X, y, sample_weight):
        """Return the `Schema` of the caller's rows, and those of positive weight as batches."""
        given = read(self, model.expert, X, y, sample_weight, ["gate"])
        rows = np.flatnonzero(given.weight > 0)
        given = given.take(rows) if len(rows) < given.n_rows else given
        target, inner_y = self._target.fit(given.y, model.expert)
        unit, n_threads = weight_unit_of(given.weight, {}), effective_n_jobs(self.n_jobs)
        weight = given.weight / unit
        x = scaling_of_x(self, model, given.X, weight, ALL_INSIDE, True, n_threads)
        y_scaling, _ = units_of_y(model, target, lambda: fit_y(inner_y, weight, n_threads))
        inner_y = y_scaling.apply(inner_y) if y_scaling.changes else inner_y
        sizes = given.X.shape[1], given.names, self.normalize_weights
        schema = Schema(target, ALL_COLUMNS, x, y_scaling, unit, *sizes, coding=given.coding)
        return schema, array_batches(schema, given.X, inner_y, weight, n_threads)

    def _best_of(self, model, schema, batches, solver, callback, units):
        """Return the best of `n_init` fits, a `Result`."""
        rng, best = check_random_state(self.random_state), None
        labels = schema.target.labels
        block = next(batches.blocks(batches.n))
        y = block.y if labels is None else np.eye(len(labels))[block.y]
        told = dict(callback=callback, verbose=int(self.verbose), reported=units.objective)
        for _ in range(self.n_init):
            params = model.init(block.X.shape[1], y, block.weight, y.shape[1], rng)
            own = with_random_numbers(solver, rng)
            options = dict(solver=own, max_iter=self.max_iter, tol=self.tol, **told)
            result = climb(model, params, self._balanced(batches, model), **options)
            if best is None or _rank(result) > _rank(best):
                best = result
            if result.stopped:
                break
        return best


def _rank(result):
    """Return by what to compare fits: what they say of rows held out, or their objective."""
    return result.objective if result.rank is None else result.rank


def _fitted(model, schema, batches, units, result) -> DeepFitted:
    """Return what there is to say of the result of a fit."""
    history = np.array([units.objective(value) for value in result.history])
    every = result.curves.get("objective")
    curves = {
        "objective": history if every is None else np.array(list(map(units.objective, every)))
    }
    if "validation" in result.curves:
        curves["validation"] = units.curve(result.curves["validation"])
    n_iter, complaint = max(len(result.history) - 1, 1), ""
    if not (result.converged or result.stopped):
        advice = result.advice or "increase max_iter or tol"
        complaint = f"did not converge in {n_iter} iterations; {advice}"
    return DeepFitted(
        model,
        schema,
        result.params,
        [load / batches.total_weight for load in result.stats["loads"].values()],
        float(units.log_likelihood(result.stats["objective"])),
        history,
        curves,
        n_iter,
        bool(result.converged),
        complaint,
    )
