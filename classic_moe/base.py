"""`BaseMixtureOfExperts`: what the estimators of both tasks share."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)
from threadpoolctl import ThreadpoolController

from . import fitting, starts
from ._version import __version__
from .batches import CHUNK, ArrayBatches
from .columns import resolve_columns
from .exceptions import ExpertCollapseWarning, VersionWarning
from .findings import Finding
from .inference import Summary, summarize
from .model import MixtureModel
from .parameters import PARTS, check_parameters, resolve
from .params import permute
from .units import Scaling

WIDE = 64
"""Columns above which, if there are also fewer rows, the fit works in the space of the rows."""
CONSTANT_TARGET = 1e-8
"""Stands in for the spread of a y without any, relative to its size."""


_CONSTANT = Finding(
    ExpertCollapseWarning, "y is constant: there is no spread for an expert to explain.", False
)


@functools.cache
def _blas():
    """The BLAS libraries of this process; small solves are slower on several of their threads."""
    return ThreadpoolController()


def _online_only(self):
    raise AttributeError(
        f"{type(self).__name__}.partial_fit needs an on-line solver, which this version does not"
        " have; use fit, with warm_start=True to go on from the last values."
    )


class BaseMixtureOfExperts(BaseEstimator):
    """Validation, fitting and everything that does not depend on the task."""

    _task: str  # "regression" or "classification"

    # -- parameters ------------------------------------------------------------------------

    def set_params(self, **params):
        """Set parameters; ``expert__alpha=...`` on an alias first replaces it by its object.

        Parameters
        ----------
        **params : dict
            Names and values, nested names with two underscores.

        Returns
        -------
        self
        """
        for part in PARTS:
            if any(name.startswith(part + "__") for name in params):
                value = params.get(part, getattr(self, part))
                if isinstance(value, str):
                    params[part] = resolve(part, value)
        return super().set_params(**params)

    # -- fitting ---------------------------------------------------------------------------

    def fit(self, X, y, sample_weight=None, *, groups=None, expert_labels=None, callback=None):
        """Fit by maximum likelihood with weak priors (set the penalties to 0 for none).

        Parameters
        ----------
        X : array-like of shape (n, p)
            Features, finite numbers.
        y : array-like of shape (n,) or (n, q)
            Targets; classifiers take labels of any kind, of shape (n,).
        sample_weight : array-like of shape (n,), default=None
            Frequencies: a row of weight 2 counts as two rows, one of weight 0 is left out. Never
            rescaled.
        groups, expert_labels : None
            Reserved for grouped rows and known memberships, which this version does not have.
        callback : callable(iteration, params, objective), default=None
            Called after every iteration of the starts that go on to convergence, with the internal
            parameters and the penalised objective; returning True ends the fit with the values
            reached.

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
            When `max_iter` is reached; its subclasses `ExpertCollapseWarning` and
            `SeparationWarning` when the data leave a parameter undetermined.
        """
        before = vars(self).copy()
        try:
            with _blas().limit(limits=1, user_api="blas"):
                self._fit(X, y, sample_weight, groups, expert_labels, callback)
        except BaseException:  # also Ctrl-C: nothing half done
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _fit(self, X, y, sample_weight, groups, expert_labels, callback):
        for name, value in (("groups", groups), ("expert_labels", expert_labels)):
            if value is not None:
                raise ValueError(
                    f"{name} is not available in this version; fit without it, each row on its own."
                )
        check_parameters(self)
        previous = vars(self).copy() if self.warm_start and hasattr(self, "params_") else None
        model = self._new_model()
        caller_X = X
        X, y = self._validate_fit_data(X, y)
        weight = self._class_weights(y, self._check_weight(sample_weight, X))
        kept = weight > 0
        if not kept.all():
            X, y, weight = X[kept], y[kept], weight[kept]
        if len(X) < self.n_experts:
            raise ValueError(
                f"n_experts={self.n_experts} needs at least {self.n_experts} rows with positive"
                f" weight, got n_samples={len(X)}."
            )
        target, n_classes = self._encode_target(y)
        model.expert.check_target(y)
        names = getattr(self, "feature_names_in_", None)
        self._select_columns(model, caller_X, X.shape[1], names)

        # A common factor of the weights is taken out only where it is extreme.
        mean_weight = weight.mean()
        shrink = 1.0 if 1e-3 <= mean_weight <= 1e6 else 2.0 ** np.round(np.log2(mean_weight))
        x_scaling = Scaling.fit(X, weight / shrink, self.standardize)
        whole = model.gate_columns is None and model.expert_columns is None
        if whole and X.shape[1] > max(weight.sum() / shrink, WIDE):
            x_scaling = x_scaling.to_row_space(X, weight / shrink)
        y_scaling = Scaling.identity(1)
        if model.expert.scales_y:
            y_scaling = Scaling.fit(target, weight / shrink, constant_factor=1 / CONSTANT_TARGET)
            target = y_scaling.apply(target)
        rng = check_random_state(self.random_state)
        with ArrayBatches(
            x_scaling.apply(X), target, weight / shrink, effective_n_jobs(self.n_jobs)
        ) as batches:
            scalings = (x_scaling, y_scaling)
            shift = batches.total_weight * y_scaling.log_volume()

            def reported(objective):
                return shrink * (objective + shift)

            options = dict(
                solver=resolve("solver", self.solver),
                max_iter=self.max_iter,
                # With one expert the optimum is reached in a few Newton steps: go all the way.
                tol=self.tol if self.n_experts > 1 else min(self.tol, 1e-15),
                callback=callback,
                verbose=int(self.verbose),
                reported=reported,
            )
            start = starts.given_params(self, previous, model, scalings, n_classes)
            if start is not None:
                result = fitting.climb(model, start, batches, **options)
            else:
                candidates = starts.responsibilities(self, X, y, kept, n_classes, rng)
                result = fitting.best_of(model, batches, candidates, n_classes, rng, **options)
            params = result.params
            if previous is None:
                params = self._canonical_order(model, params, result.stats, scalings)
            stats = batches.map_sum(model.statistics, params)
        n_iter = len(result.history) - 1
        findings = model.diagnose(params, stats)
        if model.expert.scales_y and (y_scaling.factor == 1 / CONSTANT_TARGET).all():
            findings = [_CONSTANT]
        self._warn(result, findings, n_iter)

        self._model, self._scalings, self.params_ = model, scalings, params
        self.n_experts_ = len(stats["resp"])
        self.weights_ = stats["resp"] / stats["resp"].sum()
        self.log_likelihood_ = float(reported(stats["objective"]))
        self.lower_bounds_ = np.array([reported(value) for value in result.history])
        self.n_iter_ = max(n_iter, 1)
        self.converged_ = bool(result.converged)
        counted = params
        if x_scaling.rotation is not None:  # the caller's coefficients, not those of the row space
            plain = (replace(x_scaling, rotation=None), y_scaling)
            counted = starts.carry_over(vars(self), model, plain, self.n_experts_, n_classes)
        self.n_parameters_ = int(model.n_parameters(counted))
        self.gate_ = model.gate.view(
            params["gate"], model.units("gate", *scalings), **self._shell("gate")
        )
        units, shell = model.units("expert", *scalings), self._shell("expert")
        self.experts_ = [
            model.expert.view(params["expert"], k, units, **shell, **self._view_options())
            for k in range(self.n_experts_)
        ]

    def _new_model(self):
        expert, gate = resolve("expert", self.expert), resolve("gate", self.gate)
        if expert.task != self._task:
            raise ValueError(
                f"{type(expert).__name__} is an expert for {expert.task};"
                f" {type(self).__name__} does {self._task}."
            )
        return MixtureModel(gate, expert)

    def _select_columns(self, model, X, n_features, names):
        for part, parameter in (("gate", "gate_features"), ("expert", "expert_features")):
            columns = resolve_columns(getattr(self, parameter), X, n_features, names, parameter)
            blind = type(getattr(model, part)).__name__
            if getattr(model, part).uses_x:
                setattr(model, part + "_columns", columns)
            elif columns is not None and len(columns):
                raise ValueError(
                    f"{parameter}={getattr(self, parameter)!r}: {blind} ignores x; leave it None."
                )

    def _check_weight(self, sample_weight, X):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not (weight > 0).any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weight

    def _canonical_order(self, model, params, stats, scalings):
        """Experts by decreasing weight, ties by decreasing intercept."""
        values = model.expert.to_caller(params["expert"], model.units("expert", *scalings))
        intercept = np.reshape(values["intercept"], (len(stats["resp"]), -1))[:, 0]
        share = np.round(stats["resp"] / stats["resp"].sum(), 10)
        key = np.empty(len(share))
        key[np.lexsort((-intercept, -share))] = np.arange(len(share))
        gate, order = model.gate.reorder(params["gate"], key)
        return {"gate": gate, "expert": permute(params["expert"], order)}

    def _warn(self, result, findings, n_iter):
        if not (result.converged or result.stopped or _CONSTANT in findings):
            warnings.warn(
                f"{type(self).__name__} did not converge in {n_iter} iterations"
                f" (max_iter={self.max_iter}, tol={self.tol}); increase max_iter or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if findings:  # the parts' findings come in order of gravity: the first kind is the cause
            category = findings[0].category
            texts = [finding.message for finding in findings if finding.category is category]
            warnings.warn(" ".join(texts), category, stacklevel=4)

    @available_if(_online_only)
    def partial_fit(self, X, y, sample_weight=None):
        """Not available in this version: there is no on-line solver yet."""

    # -- units -----------------------------------------------------------------------------

    def _shell(self, part):
        """What a view needs to know of the estimator."""
        columns = getattr(self._model, part + "_columns")
        names = getattr(self, "feature_names_in_", None)
        if names is not None and columns is not None:
            names = names[columns]
        return dict(columns=columns, n_features_in=self.n_features_in_, feature_names_in=names)

    def _units(self, part):
        return self._model.units(part, *self._scalings)

    # -- prediction ------------------------------------------------------------------------

    def _validate(self, X, y="no_validation", **options):
        """scikit-learn's validation, with the cure for missing values that fits here."""
        try:
            return validate_data(self, X, y, dtype=[np.float64, np.float32], **options)
        except (TypeError, ValueError) as error:
            name = _missing_in(str(error))
            if name is None:
                raise
            cure = (
                "put sklearn.impute.SimpleImputer before the estimator in a Pipeline"
                if name == "X"
                else "leave those rows out"
            )
            raise ValueError(
                f"Input {name} contains NaN: {type(self).__name__} takes no missing values; {cure}."
            ) from None

    def _check_X(self, X):
        """X in internal units."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return self._scalings[0].apply(X)

    def _check_Xy(self, X, y):
        X = self._check_X(X)
        if y is None:
            raise ValueError(f"{type(self).__name__} needs y here, got None.")
        y = self._check_y(y)
        if len(y) != len(X):
            raise ValueError(f"X has {len(X)} rows and y {len(y)}; they must match.")
        return X, y

    def _by_rows(self, function, *arrays):
        """Evaluate in chunks of rows, so that memory stays bounded."""
        starts = range(0, len(arrays[0]), CHUNK)
        pieces = [function(*(a[start : start + CHUNK] for a in arrays)) for start in starts]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def gate_proba(self, X):
        """Gating probabilities g_k(x), before y is seen.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        ndarray of shape (n, K)
        """
        X = self._check_X(X)
        return self._by_rows(lambda X: np.exp(self._model.log_gate(self.params_, X)), X)

    def responsibilities(self, X, y):
        """Posterior probabilities of the experts, after y is seen.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)

        Returns
        -------
        ndarray of shape (n, K)
        """
        X, y = self._check_Xy(X, y)
        return self._by_rows(lambda X, y: self._model.responsibilities(self.params_, X, y), X, y)

    def assign(self, X, y=None):
        """The most probable expert, by the gate or, when y is given, by responsibility.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q), default=None

        Returns
        -------
        ndarray of int of shape (n,)
        """
        proba = self.gate_proba(X) if y is None else self.responsibilities(X, y)
        return proba.argmax(axis=1)

    def log_prob(self, X, y):
        """log p(y given x), unpenalised, in the caller's units.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)

        Returns
        -------
        ndarray of shape (n,)
        """
        X, y = self._check_Xy(X, y)
        values = self._by_rows(lambda X, y: self._model.log_prob(self.params_, X, y), X, y)
        return values + self._scalings[1].log_volume()

    def _information_criterion(self, X, y, sample_weight, penalty):
        log_prob = self.log_prob(X, y)
        weight = _check_sample_weight(
            sample_weight, log_prob[:, None], dtype=np.float64, ensure_non_negative=True
        )
        return float(-2 * (weight @ log_prob) + penalty(weight))

    def aic(self, X, y, sample_weight=None):
        """Akaike's criterion -2l + 2m, m = `n_parameters_`; lower is better.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        return self._information_criterion(
            X, y, sample_weight, lambda weight: 2 * self.n_parameters_
        )

    def bic(self, X, y, sample_weight=None):
        """Schwarz's criterion -2l + m log n, n = Σ sample_weight; lower is better.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        return self._information_criterion(
            X, y, sample_weight, lambda weight: self.n_parameters_ * np.log(weight.sum())
        )

    def icl(self, X, y, sample_weight=None):
        """Integrated completed likelihood, BIC + 2·entropy of the responsibilities.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        resp = self.responsibilities(X, y)
        entropy = -np.sum(resp * np.log(np.where(resp > 0, resp, 1.0)), axis=1)
        return self._information_criterion(
            X,
            y,
            sample_weight,
            lambda weight: self.n_parameters_ * np.log(weight.sum()) + 2 * (weight @ entropy),
        )

    def summary(self, X=None, y=None) -> Summary:
        """The fit as tables of point estimates, for reading.

        Parameters
        ----------
        X : array-like of shape (n, p), default=None
        y : array-like of shape (n,) or (n, q), default=None
            With data, AIC, BIC, ICL and the share of rows each expert takes are added.

        Returns
        -------
        Summary
            Prints as text, shows as HTML in a notebook; `tables` holds the numbers.
        """
        check_is_fitted(self)
        return summarize(self, X, y)

    def equations(self):
        """The experts as text, one equation each, in the caller's units.

        Returns
        -------
        str
        """
        return self.summary().equations

    # -- scikit-learn ----------------------------------------------------------------------

    def __sklearn_is_fitted__(self):
        return hasattr(self, "params_")

    def __getstate__(self):
        return {**super().__getstate__(), "_classic_moe_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        written = state.pop("_classic_moe_version", "unknown")
        if written != __version__:
            warnings.warn(
                f"{type(self).__name__} was pickled by classic_moe {written}, this is"
                f" {__version__}; refit if anything looks odd.",
                VersionWarning,
                stacklevel=2,
            )
        super().__setstate__(state)


def _missing_in(message):
    """Which input an error of scikit-learn's validation finds a missing value in: X, y or None."""
    if "contains NaN" in message:
        return "X" if "X contains NaN" in message else "y"
    if "'NAType'" in message:  # pandas.NA in a column of objects
        return "X"
    return "y" if "value of NA is ambiguous" in message else None
