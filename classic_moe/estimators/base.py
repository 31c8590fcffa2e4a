"""`BaseMixtureOfExperts`: parameters, validation and the fit, for both tasks."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
)

from .._version import __version__
from ..data import row_facts as known
from ..data.batches import ArrayBatches
from ..data.columns import Layout, resolve_columns, resolve_offset
from ..data.units import Scaling
from ..exceptions import ExpertCollapseWarning, VersionWarning
from ..model.mixture import MixtureModel
from ..model.objectives import NAMED
from ..model.passes import group_rows
from ..parts import tree
from ..parts.findings import Finding
from ..parts.registry import coerce
from ..starts import init_params as starts
from ..starts import race as fitting
from ._parameters import PARTS, check_parameters
from ._partial_fit import OnlineMixin, all_or_nothing
from ._predictions import PredictionMixin
from ._tree_methods import TreeMixin

WIDE = 64
"""Columns above which, if there are also fewer rows, the fit works in the space of the rows."""
CONSTANT_TARGET = 1e-8
"""Stands in for the spread of a y without any, relative to its size."""


_CONSTANT = Finding(
    ExpertCollapseWarning, "y is constant: there is no spread for an expert to explain.", False
)
_FIRST_ROWS = (
    "The first call to partial_fit fixes the units for all later ones: give it more rows, which"
    " represent the stream."
)


def _too_few(n, n_parameters):
    """What there is to say of n rows, by weight, as the first of a stream."""
    if n >= n_parameters:
        return []
    message = f"{n:.4g} rows are few for {n_parameters} free parameters; use fewer experts."
    return [Finding(ExpertCollapseWarning, message, False)]


def _log_likelihood(model, marginal, params, X, y, weight, groups=None, **other_facts):
    """Σ log p(y|x) over the rows or groups, and log p(x) too if `marginal`."""
    heads, head_weight = X, weight
    if groups is None:
        value = model.log_prob(params, X, y)
    else:
        value = model.grouped(params, X, y, weight, groups)[0]
        heads, head_weight = X[group_rows(groups)[0]], np.ones(len(value))
    if marginal:
        value = value + model.log_marginal(params, heads)
    return float(head_weight @ value)


class BaseMixtureOfExperts(TreeMixin, OnlineMixin, PredictionMixin, BaseEstimator):
    """Everything that does not depend on the task; predictions come from the mixin."""

    _task: str  # "regression" or "classification"
    objective = "likelihood"
    _frames = 4
    """From a warning to the caller of `fit`."""

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
                if isinstance(value, (str, list, tuple)):
                    params[part] = coerce(part, value, self._task)
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
        groups : array-like of shape (n,), default=None
            Rows of one group share one expert: the likelihood of group G is
            Σ_k g_k(x_G) Π_i p_k(y_i given x_i). The gate's columns must be constant within a group.
        expert_labels : array-like of int of shape (n,), default=None
            The expert of a row, 0 ... K - 1, where it is known, and -1 where it is not. The
            experts keep these numbers.
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
        with all_or_nothing(self):
            self._fit(X, y, sample_weight, groups, expert_labels, callback)
        return self

    def _fit(self, X, y, sample_weight, groups, expert_labels, callback, online=None):
        """The fit; with an `online` solver the first of several calls to `partial_fit`."""
        check_parameters(self)
        previous = vars(self).copy() if self.warm_start and hasattr(self, "params_") else None
        model, solver = self._new_model(), online or coerce("solver", self.solver)
        solver.check_model(model)
        caller_X = X
        X, y = self._validate_fit_data(X, y, model.expert)
        n_rows = len(X)
        weight = self._class_weights(y, self._check_weight(sample_weight, X))
        names = getattr(self, "feature_names_in_", None)
        layout, columns = self._select_columns(model, caller_X, X.shape[1], names)
        model = replace(model, **columns)
        facts = known.facts(groups, expert_labels, n_rows, self._n_experts)
        if facts and not model.objective.likelihood:
            raise ValueError(
                f"objective={self.objective!r} takes no groups and no expert_labels: these belong"
                " to the likelihood; leave them out."
            )
        rows = known.arrange(facts, np.flatnonzero(weight > 0))
        if len(rows) < n_rows or facts:
            X, y, weight = X[rows], y[rows], weight[rows]
            facts = {name: fact[rows] for name, fact in facts.items()}
        if len(X) < self._n_experts:
            raise ValueError(
                f"{self._number} needs at least {self._n_experts} rows with positive weight, got"
                f" n_samples={len(X)}."
            )
        self._check_groups(facts, groups, X)
        target, classes = self._encode_target(y, model.expert)
        model = replace(model, codes=self._class_codes(model.expert))

        # A common factor of the weights is taken out only where it is extreme.
        mean_weight = weight.mean()
        ordinary = 1e-3 <= mean_weight <= 1e6 or "groups" in facts
        shrink = 1.0 if ordinary else 2.0 ** np.round(np.log2(mean_weight))
        x_scaling = Scaling.fit_layout(X, weight / shrink, self.standardize, layout)
        whole = layout.source is layout.gate is layout.expert is None and not model.models_x
        if whole and online is None and X.shape[1] > max(weight.sum() / shrink, WIDE):
            x_scaling = x_scaling.to_row_space(X, weight / shrink)
        y_scaling = Scaling.identity(1 if target.ndim == 1 else target.shape[1])
        real = classes is None and model.codes is None
        scales_y = model.expert.target.standardise and real
        if scales_y:
            y_scaling = Scaling.fit(target, weight / shrink, constant_factor=1 / CONSTANT_TARGET)
            target = y_scaling.apply(target)
        elif (
            model.objective.blends
            and real
            and not (model.expert.target.trials or model.expert.target.given_unit)
        ):  # what y cannot be, its error is: measured in units of its standard deviations
            unit = Scaling.fit(target, weight / shrink, constant_factor=1 / CONSTANT_TARGET).unit
            model = model.with_objective(model.objective.in_units(unit))
        rng = check_random_state(self.random_state)
        inner = x_scaling.apply(X)
        model.gate.check_input(model.gate_input(inner))
        threads = effective_n_jobs(self.n_jobs)
        facts["means"] = model.fixed_mean(inner, target, self._n_experts, classes)
        with ArrayBatches(inner, target, weight / shrink, threads, **facts) as batches:
            scalings = (x_scaling, y_scaling)
            total = batches.total_weight
            # The blended error is no density, and stays in units of standardised y.
            y_shift = 0.0 if model.objective.blends else total * y_scaling.log_volume()
            heads = len(np.unique(facts["groups"])) if "groups" in facts else total
            x_shift = heads * model.units("gate", *scalings).x.log_volume() * model.models_x

            def reported(objective):
                return shrink * (objective + y_shift + x_shift)

            options = dict(
                solver=self._seeded(solver, rng),
                max_iter=self.max_iter if online is None else 1,
                # With one expert the optimum is a few steps away: go all the way, to gains that the
                # objective has no digits for but its slopes have.
                tol=self.tol if self._n_experts > 1 else min(self.tol, 1e-18),
                callback=callback,
                verbose=int(self.verbose),
                reported=reported,
            )
            start = starts.given_params(self, previous, model, scalings, classes)
            if start is not None:
                result = fitting.climb(model, start, batches, **options)
            else:
                candidates = starts.responsibilities(
                    self, model, X, y, rows, n_rows, layout, classes, rng
                )
                result = fitting.best_of(model, batches, candidates, classes, rng, **options)
            params = result.params
            reorders = model.expert.exchangeable and "labels" not in facts
            if reorders and previous is online is None:
                params = self._canonical_order(model, params, result.stats, scalings)
            stats = batches.map_sum(model.statistics, params)
            joint, conditional = stats["objective"], stats["objective"]
            if model.models_x or "labels" in facts or model.codes is not None:
                joint, conditional = (
                    batches.map_sum(functools.partial(_log_likelihood, model, marginal), params)
                    for marginal in (model.models_x, False)
                )
        n_iter = len(result.history) - 1
        history = result.history if n_iter else 2 * result.history  # a look that found no gain
        findings = model.diagnose(params, stats)
        if scales_y and (y_scaling.factor == 1 / CONSTANT_TARGET).all():
            findings = [_CONSTANT]
        if online is not None:  # what else a stream leaves open the next rows may tell
            findings = [f for f in findings if f.category is ExpertCollapseWarning]
            findings = findings or _too_few(shrink * total, model.n_parameters(params))
        self._warn(result, findings, n_iter, first=online is not None)

        self._model, self._scalings, self._shrink = model, scalings, shrink
        self._memory = None if online is None else result.memory
        # what partial_fit goes on from after this fit: sums over all of its rows
        self._sums = (stats, len(weight)) if online is None and model.sums else None
        self.n_experts_ = len(stats["resp"])
        self._say(params, stats["resp"])
        if model.objective.likelihood:
            self.log_likelihood_ = float(shrink * (conditional + y_shift))
        if model.models_x:
            self.joint_log_likelihood_ = float(reported(joint))
        self.lower_bounds_ = np.array([reported(value) for value in history])
        curves = {"objective": history} | result.curves
        self.learning_curve_ = {
            "objective": np.array([reported(value) for value in curves["objective"]])
        }
        if "validation" in curves:
            shift = reported(0.0) / (shrink * total)
            self.learning_curve_["validation"] = np.array(curves["validation"]) + shift
        self.n_iter_ = max(n_iter, 1)
        self.converged_ = bool(result.converged)
        counted = params
        if x_scaling.rotation is not None:  # the caller's coefficients, not those of the row space
            plain = (replace(x_scaling, rotation=None), y_scaling)
            counted = starts.carry_over(vars(self), model, plain, self.n_experts_, classes)
        self.n_parameters_ = int(model.n_parameters(counted))

    def _say(self, params, resp):
        """What the user sees of params, and of the responsibilities' sums."""
        model, scalings = self._model, self._scalings
        self.params_, self.weights_ = params, resp / resp.sum()
        self.gate_ = model.gate.view(
            params["gate"], model.units("gate", *scalings), **self._shell("gate")
        )
        units, shell = model.units("expert", *scalings), self._shell("expert")
        self.experts_ = [
            model.expert.view(params["expert"], k, units, **shell, **self._view_options())
            for k in range(self.n_experts_)
        ]

    @property
    def _n_experts(self):
        """K of the next fit."""
        return self.n_experts

    @property
    def _number(self):
        """K of the next fit, in a message, by the parameters that say it."""
        return f"n_experts={self._n_experts}"

    def _number_as(self, n):
        """What to set for n experts, in a message."""
        return f"n_experts={n}"

    def _whole_expert(self):
        """What the experts of the mixture are made from."""
        return self.expert

    def _whole_gate(self):
        """The gate of the mixture; in a hierarchical one, `gate` is what stands at its nodes."""
        return self.gate

    def _new_model(self):
        expert = coerce("expert", self._whole_expert(), self._task)
        gate = coerce("gate", self._whole_gate())
        self._check_task(expert)
        if expert.n_experts not in (None, self._n_experts):
            raise ValueError(
                f"{self._number}, but expert={self._whole_expert()!r} holds {expert.n_experts};"
                f" set {self._number_as(expert.n_experts)}."
            )
        if gate.n_experts not in (None, self._n_experts):
            raise ValueError(
                f"n_experts={self._n_experts}, but gate={self.gate!r} has {gate.n_experts} leaves;"
                f" set n_experts={gate.n_experts}, or give the tree {self._n_experts} leaves."
            )
        if self.offset_feature is not None and not expert.target.offset:
            raise ValueError(
                f"offset_feature={self.offset_feature!r}: {type(expert).__name__} takes no offset;"
                " leave it None (and subtract an offset of real-valued y from y itself)."
            )
        objective = NAMED[self.objective]()
        if objective.blends and not hasattr(expert, "mean_gradient"):
            raise ValueError(
                f"objective={self.objective!r} trains the experts by the gradient of their means,"
                f" and {type(expert).__name__} has none; use experts such as 'linear' or 'mlp', or"
                " estimators fitted beforehand, each in a sklearn.frozen.FrozenEstimator."
            )
        return MixtureModel(gate, expert, objective=objective)

    def _check_task(self, expert):
        """ValueError for an expert that cannot do what the estimator does."""
        if expert.target.task == "regression" and self._task == "classification":
            expert.check_one_hot()
        elif expert.target.task not in (self._task, "both"):
            raise ValueError(
                f"{type(expert).__name__} is an expert for {expert.target.task};"
                f" {type(self).__name__} does {self._task}."
            )

    def _select_columns(self, model, X, n_features, names):
        """The layout of the internal X, and which of the caller's columns each part sees."""
        offset = resolve_offset(self.offset_feature, X, n_features, names)
        parts = {"gate": model.gate, "expert": model.expert}
        own = {}
        for part in parts:
            parameter = part + "_features"
            given = getattr(self, parameter)
            columns = resolve_columns(given, X, n_features, names, parameter)
            blind = not parts[part].inputs.uses_x
            if blind and columns is not None and len(columns):
                raise ValueError(
                    f"{parameter}={given!r}: {type(parts[part]).__name__} ignores x; leave it None."
                )
            if offset is not None and columns is None:
                columns = np.delete(np.arange(n_features), offset)
            if offset is not None and offset in columns:
                raise ValueError(
                    f"{parameter} names column {offset}, which is the offset_feature; leave it out."
                )
            own[part] = np.empty(0, dtype=int) if blind else columns
        layout = Layout.plan(n_features, own, parts, offset)
        columns = {part + "_columns": getattr(layout, part) for part in parts}
        columns["offset_column"] = layout.offset
        self._columns = own | {"offset": offset}
        return layout, columns

    def _check_groups(self, facts, groups, X):
        """ValueError unless the gate's columns are constant within every group."""
        if "groups" in facts:
            own = self._columns["gate"]
            columns = range(X.shape[1]) if own is None else own
            names = getattr(self, "feature_names_in_", None)
            known.check_constant(facts["groups"], groups, X, columns, names)

    def _seeded(self, solver, rng):
        """The solver, with our random numbers where it wants some and has none of its own."""
        if getattr(solver, "random_state", 0) is None:
            solver.set_params(random_state=rng.randint(np.iinfo(np.int32).max))
        return solver

    def _check_weight(self, sample_weight, X):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not (weight > 0).any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weight

    def _canonical_order(self, model, params, stats, scalings):
        """Experts by decreasing weight, ties by decreasing intercept."""
        values = model.expert.to_caller(params["expert"], model.units("expert", *scalings))
        K = len(stats["resp"])
        intercept = np.reshape(values.get("intercept", np.zeros(K)), (K, -1))[:, 0]
        share = np.round(stats["resp"] / stats["resp"].sum(), 10)
        key = np.empty(len(share))
        key[np.lexsort((-intercept, -share))] = np.arange(len(share))
        ids = tree.order(model.gate.tree_shape(K), key, share)
        parts = {"gate": model.gate, "expert": model.expert}
        return {name: part.take(params[name], ids) for name, part in parts.items()}

    def _warn(self, result, findings, n_iter, first):
        """Warn of what is wrong with a fit; `first`: with the first rows of a stream."""
        if not (first or result.converged or result.stopped or _CONSTANT in findings):
            cure = result.cure or "increase max_iter or tol"
            warnings.warn(
                f"{type(self).__name__} did not converge in {n_iter} iterations"
                f" (max_iter={self.max_iter}, tol={self.tol}); {cure}.",
                ConvergenceWarning,
                stacklevel=self._frames,
            )
        if findings:  # the parts' findings come in order of gravity: the first kind is the cause
            category = findings[0].category
            texts = [finding.message for finding in findings if finding.category is category]
            if first:
                texts.append(_FIRST_ROWS)
            warnings.warn(" ".join(texts), category, stacklevel=self._frames + first)

    # -- units -----------------------------------------------------------------------------

    def _shell(self, part):
        """What a view needs to know of the estimator."""
        columns = self._columns[part]
        names = getattr(self, "feature_names_in_", None)
        if names is not None and columns is not None:
            names = names[columns]
        shell = dict(columns=columns, n_features_in=self.n_features_in_, feature_names_in=names)
        if part == "expert" and self._model.expert.target.offset:
            shell["offset_column"] = self._columns["offset"]
        return shell

    def _units(self, part):
        return self._model.units(part, *self._scalings)

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
