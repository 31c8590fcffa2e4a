"""A blend of experts from the caller's data: `fit_blend`, and what is shown of it, `Blended`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._kernels import array
from ..data.columns import Layout
from ..data.units import Scaling, Units
from ..experts import LinearExpert, MLPExpert, SoftmaxExpert
from ..gates import SoftmaxGate
from ..model.objectives import BlendedError
from ..parts.black_box import shown
from ..parts.params import leaves
from ..parts.registry import coerce, is_estimator
from ..parts.storage import all_dense
from ..parts.views import ClassificationView, RegressionView
from ..routing._blend import Blend, BlendRows
from ..routing._settings import settings
from ..routing._training import Trained, Training, imbalance, n_active, train
from ..solvers import SGD, Adam
from ._outside import level_outside
from ._parameters import check_parameters
from ._prepare import CONSTANT_TARGET, Schema, choose_columns, looking_at_x, read
from ._upcycling import upcycled
from .base import fitted_mixture_in

EPOCHS, STEPS = 50, 1000
"""Epochs of solver="auto", more where they are fewer steps, but never more than `max_iter`."""
RATE, ROWS = 0.01, 128
"""Its first learning rate and the rows of its batches."""
SMALLEST_VARIANCE = 1e-12
"""Of the noise, in units of the variance of y."""


class _NoMixture:
    """Stands where other fits have their model: no likelihood of a mixture, real outputs."""

    objective: ClassVar = BlendedError()
    expert: ClassVar = LinearExpert()


@dataclass(frozen=True)
class Blended:
    """A fitted blend with all that is reported of it.

    Attributes
    ----------
    trained : Trained
    schema : Schema
    layout : Layout
    key_columns : ndarray of int or None
    variance : ndarray of shape (q,) or None, that of the noise, in units of y
    log_likelihood : float
    usage : ndarray of shape (K,)
    """

    trained: Trained
    schema: Schema
    layout: Layout
    key_columns: np.ndarray | None
    variance: np.ndarray | None
    log_likelihood: float
    usage: np.ndarray

    model: ClassVar = _NoMixture

    @property
    def blend(self):
        """The `Blend`."""
        return self.trained.blend

    def units_of_experts(self):
        """Return the `Units` of experts whose weights sum to 1."""
        return self._units(self.layout.expert, self.schema.y)

    @property
    def params(self):
        """The params."""
        return self.trained.params

    def rows(self, X, raw):
        """Return rows of X in internal units, (n, p), and in the caller's, as `BlendRows`."""
        return self.inner_rows(X, self.keys(raw))

    def inner_rows(self, X, keys=None):
        """Return rows of X in internal units, (n, p), and the experts of their keys, (n,)."""
        X = np.asarray(X, dtype=np.float64)
        gate, expert = self.layout.gate, self.layout.expert
        return BlendRows(
            X if gate is None else X[:, gate], X if expert is None else X[:, expert], keys=keys
        )

    def keys(self, raw):
        """Return the experts of the keys in the caller's X, (n,), or None."""
        if self.key_columns is None:
            return None
        keys = all_dense(raw[:, self.key_columns], "hash_features need")
        return self.blend.router.numbers(keys, self.blend.n_experts)

    def attributes(self):
        """Return the attributes of the estimator by name, itself as `_fitted`."""
        trained, schema, blend = self.trained, self.schema, self.blend
        banks = self._views()
        found = {
            "params_": trained.params,
            "gate_": self._gate_view(),
            "experts_": banks["expert"],
            "shared_experts_": banks.get("shared", []),
            "n_experts_": blend.n_experts,
            "weights_": self.usage,
            "expert_usage_": self.usage,
            "load_imbalance_": imbalance(self.usage),
            "router_": blend.router,
            "k_": blend.router.k if blend.router.has_order else None,
            "n_shared_": blend.n_shared,
            "balance_": blend.balance,
            "n_active_experts_": n_active(self.usage),
            "dropped_fraction_": trained.curves["dropped_fraction"][-1]
            if trained.curves["dropped_fraction"]
            else 0.0,
            "balance_curve_": {name: np.array(own) for name, own in trained.curves.items()},
            "router_bias_": trained.state.get("bias"),
            "prices_": trained.state.get("prices"),
            "thresholds_": trained.state.get("thresholds"),
            "log_likelihood_": self.log_likelihood,
            "learning_curve_": {"objective": np.array(trained.objectives)},
            "lower_bounds_": np.array(trained.objectives),
            "n_iter_": trained.n_iter,
            "converged_": not trained.failed,
            "n_parameters_": self._n_parameters(),
            **schema.attributes(),
            "_fitted": self,
        }
        found |= schema.target.attributes()
        found = {name: value for name, value in found.items() if value is not None}
        return found | {"capacity_factor_": blend.capacity_factor}

    def _n_parameters(self):
        """Return the number of free parameters: a softmax of scores or outputs has one less."""
        count = sum(leaf.size for leaf in leaves(self.trained.params))
        return count + (0 if self.variance is None else self.variance.size)

    def _units(self, columns, y):
        x = self.schema.x
        return Units(x if columns is None else x.select(columns), y)

    def _gate_view(self):
        """Return the gate as the user sees it: log-odds against the last expert."""
        units = self._units(self.layout.gate, Scaling.identity(1))
        params = {"coef": self.trained.params["gate"]}
        return SoftmaxGate().view(params, units, **self.schema.view_options("gate"))

    def _views(self):
        """Return the experts as the user sees them, lists by bank.

        Outputs add up in units of y, whose mean belongs to the shared experts in equal parts; where
        there are none each of the others has it, as their weights sum to 1, and where a soft gate
        stands between both, both have it.
        """
        blend, y = self.blend, self.schema.y
        none = replace(y, center=np.zeros_like(y.center))
        shared = replace(y, center=y.center / max(blend.n_shared, 1))
        scales = {"expert": y if blend.mixes or not blend.n_shared else none, "shared": shared}
        shell = self.schema.view_options("expert") | self.schema.target.view_options()
        if self.schema.target.task == "classification":
            shell = self.schema.view_options("expert")
            shell |= dict(classes=self.schema.target.classes)
        expert = MLPExpert(hidden_layer_sizes=blend.hidden, activation=blend.activation)
        found = {}
        for name, scaling in scales.items():
            if name not in self.trained.params:
                continue
            bank = dict(self.trained.params[name])
            size = len(bank["weights_0"])
            if self.variance is not None:
                bank["variance"] = np.tile(self.variance, (size, 1))
            units = self._units(self.layout.expert, scaling)
            views = [expert.view(bank, k, units, **shell) for k in range(size)]
            found[name] = views if blend.hidden else [_linear_view(each) for each in views]
        return found

    def warn(self, estimator):
        """Warn where training ended at numbers that are not finite."""
        if self.trained.failed:
            warnings.warn(
                f"{type(estimator).__name__}: training was stopped after {self.trained.n_iter}"
                " epochs, as the objective was no number any more; lower the learning rate of the"
                " solver, or use a smaller weight of the balance terms.",
                ConvergenceWarning,
                stacklevel=level_outside(),
            )


def _linear_view(view):
    """Return the view of a network without a hidden layer as that of a linear expert."""
    own = vars(view)
    shell = dict(
        columns=own["_columns"],
        n_features_in=own["_n_features"],
        feature_names_in=own.get("feature_names_in_"),
        coding=own.get("_coding"),
    )
    coef, intercept = view.coefs_[0].T, view.intercepts_[0]
    if "classes_" in own:
        return ClassificationView(**shell, coef_=coef, intercept_=intercept, classes_=view.classes_)
    if np.ndim(view.scale_) == 0:
        coef, intercept = coef[0], float(intercept[0])
    return RegressionView(
        **shell, coef_=coef, intercept_=intercept, scale_=view.scale_, scale_name="sd"
    )


# -- the fit -------------------------------------------------------------------------------------


def fit_blend(estimator, X, y, sample_weight=None, groups=None, expert_labels=None, callback=None):
    """Return the `Blended` of fitting an estimator, which is only read.

    Raises
    ------
    ValueError
        For parameters and data that cannot be fitted.
    """
    _check(estimator, groups, expert_labels)
    task = estimator._target.task
    routing = settings(
        estimator.router,
        n_experts=estimator.n_experts,
        k=estimator.k,
        n_shared=estimator.n_shared,
        balance=estimator.balance,
        capacity_factor=estimator.capacity_factor,
        overflow=estimator.overflow,
    )
    expert = coerce("expert", estimator.expert, task).with_numbers({})
    network = _network_of(expert, estimator.expert)
    solver = minibatch_solver(estimator.solver, "combine='blend'")
    _check_routing(routing, network, estimator)
    gate = SoftmaxGate()
    looking = looking_at_x(estimator, expert, gate)
    mixture = fitted_mixture_in(estimator.init_params)
    previous = None if mixture is None else mixture._fitted.schema.coding
    given = read(estimator, expert, X, y, sample_weight, looking, previous=previous)
    bare = _Parts(gate, expert)
    columns, layout = choose_columns(estimator, bare, X, given)
    key_columns = _key_columns(estimator, routing.router, X, given)
    given = given.take(np.flatnonzero(given.weight > 0))
    check_rows(routing, given)
    target, inner = estimator._target.fit(given.y, expert)
    classes = target.task == "classification"
    if classes and target.one_hot:
        target, inner = replace(target, one_hot=False), inner.argmax(axis=1)
    threads = effective_n_jobs(estimator.n_jobs)
    x = Scaling.fit_layout(given.X, given.weight, estimator.standardize, layout, threads)
    if classes:
        y_scaling, n_outputs = Scaling.identity(1), len(target.classes)
    else:
        y_scaling = Scaling.fit(inner, given.weight, constant_factor=1 / CONSTANT_TARGET)
        inner, n_outputs = y_scaling.apply(inner), inner.shape[1]
    schema = Schema(
        target,
        columns,
        x,
        y_scaling,
        1.0,
        given.X.shape[1],
        given.names,
        estimator.normalize_weights,
        coding=given.coding,
    )
    blend = Blend(**network, **routing._asdict(), n_outputs=n_outputs, classes=classes)
    draft = Blended(Trained(blend, {}, {}, [], {}, 1), schema, layout, key_columns, None, 0.0, None)
    rows = draft.rows(x.apply(given.X), given.X)._replace(y=inner, weight=given.weight)
    return _best(estimator, draft, rows, given.X, solver, callback)


def _best(estimator, draft, rows, raw, solver, callback):
    """Return the `Blended` of the largest likelihood of `n_init` trainings."""
    rng, found = check_random_state(estimator.random_state), []
    for _ in range(estimator._n_init):
        params = None
        if not isinstance(estimator.init_params, str):
            params = upcycled(estimator.init_params, draft, rows, raw, rng)
        training = training_of(solver, estimator, len(rows.weight), rng, callback)
        trained = train(draft.blend, rows, training, params)
        found.append(_told(replace(draft, trained=trained), rows))
        if trained.n_iter < training.max_iter and not trained.failed:
            break  # the caller has seen enough
    sound = [one for one in found if not one.trained.failed]
    return max(sound or found, key=lambda one: one.log_likelihood)


def _told(draft, rows):
    """Return what there is to say of a trained blend, by a pass over the rows of the fit."""
    blend, weight, schema = draft.blend, rows.weight, draft.schema
    f = draft.trained.outputs(rows)
    load = weight @ draft.trained.route(rows).kept
    variance = None
    if blend.classes:
        log_p = array.log_softmax(f)[np.arange(len(f)), rows.y]
    else:
        error = rows.y - f
        variance = np.maximum(weight @ error**2 / weight.sum(), SMALLEST_VARIANCE)
        log_p = normal(error, variance) + schema.y.log_volume()
    value = float(weight @ log_p)
    return replace(draft, variance=variance, log_likelihood=value, usage=load / load.sum())


def normal(error, variance):
    """Return the log-density of errors (n, q) under independent normal noise, (n,)."""
    return -0.5 * np.sum(error**2 / variance + np.log(2 * np.pi * variance), axis=1)


@dataclass(frozen=True)
class _Parts:
    """What `choose_columns` asks of a model."""

    gate: SoftmaxGate
    expert: object


def _check(estimator, groups, expert_labels):
    check_parameters(estimator)
    if groups is not None or expert_labels is not None:
        raise ValueError(
            "combine='blend' takes no groups and no expert_labels: these belong to the likelihood"
            " of a mixture; leave them out, or use combine='mixture'."
        )
    if estimator.assignment != "soft":
        raise ValueError(
            f"assignment={estimator.assignment!r}: combine='blend' assigns rows by its router;"
            " leave it 'soft'."
        )
    if estimator.warm_start:
        raise ValueError("warm_start=True: combine='blend' begins anew; leave it False.")
    start = estimator.init_params
    if not (is_estimator(start) or (isinstance(start, str) and start == "quantile")):
        raise ValueError(
            f"init_params={shown(start)}: combine='blend' begins at random, or with copies of a"
            " fitted network; leave it at its default, or give a fitted estimator."
        )
    if estimator.tol is not None:
        raise ValueError(
            f"tol={estimator.tol}: the learning rate of combine='blend' falls to 0 over max_iter"
            " epochs, which is no end to stop before; leave it None, and choose max_iter."
        )


def _network_of(expert, given):
    """Return the network that an expert is in a blend, keywords of `Blend`."""
    if isinstance(expert, MLPExpert):
        return dict(hidden=expert._hidden, activation=expert.activation, alpha=expert._alpha)
    if type(expert) in (LinearExpert, SoftmaxExpert):
        return dict(alpha=expert._alpha)
    raise ValueError(
        f"expert={given!r}: combine='blend' adds up outputs of 'linear', 'softmax' or 'mlp'"
        " experts; use one of these, or combine='mixture'."
    )


def minibatch_solver(given, subject):
    """Return the solver of what is trained on minibatches, an `Adam` or `SGD`; None for "auto".

    `subject` is what is trained, at the beginning of a message.
    """
    solver = None if isinstance(given, str) and given == "auto" else coerce("solver", given)
    if solver is not None and not isinstance(solver, (Adam, SGD)):
        raise ValueError(
            f"solver={given!r}: {subject} is trained on minibatches; use 'auto', 'adam',"
            " 'sgd', or an object Adam(...) or SGD(...)."
        )
    if solver is not None and solver.early_stopping:
        raise ValueError(
            f"early_stopping=True: the learning rate of {subject} falls to 0 over max_iter"
            " epochs, which is no end to stop before; leave it False, and choose max_iter."
        )
    return solver


def training_of(solver, estimator, n, rng, callback):
    """Return how to train n rows, a `Training`."""
    epochs = estimator.max_iter
    if solver is None:
        batches = -(-n // ROWS)
        epochs = min(epochs, max(EPOCHS, -(-STEPS // batches)))
        solver = Adam(learning_rate=RATE, batch_size=ROWS)
    rule = solver._new_rule()
    return Training(rule, solver.learning_rate, solver.batch_size, epochs, rng, callback)


def _check_routing(routing, network, estimator):
    router = routing.router
    if router.has_order and not router.teaches_gate and routing.n_experts > 1:
        raise ValueError(
            "with k=1 a renormalized weight is always 1 and gives the gate no gradient: use k=2, or"
            " raw weights as router='switch' has them, TopKRouter(1, weight='raw')."
        )
    if routing.n_shared and not network.get("hidden") and network["alpha"] == 0:
        raise ValueError(
            f"n_shared={routing.n_shared} with {estimator.expert!r} experts without a penalty:"
            " shared and own slopes are not told apart; set alpha > 0."
        )


def check_rows(routing, given):
    """ValueError for too few rows, or weights that are no counts where those are needed."""
    n, K = given.X.shape[0], routing.n_experts
    if n < K:
        raise ValueError(
            f"n_experts={K} needs at least {K} rows with positive weight, got n_samples={n}."
        )
    if routing.router.rows_are_units and (given.weight != np.rint(given.weight)).any():
        first = given.weight[given.weight != np.rint(given.weight)][0]
        raise ValueError(
            f"{type(routing.router).__name__} counts rows, and a sample weight is {first:g}; use"
            " whole numbers, or another router."
        )


def _key_columns(estimator, router, X, given):
    """Return the caller's columns that are hashed, (m,), or None."""
    features = estimator.hash_features
    if not router.uses_keys:
        if features is not None:
            raise ValueError(
                f"hash_features={features!r}: a {type(router).__name__} uses no keys; leave it"
                " None, or use router='hash'."
            )
        return None
    if features is None:
        raise ValueError(
            "router='hash' needs hash_features: the columns of ids or categories that are hashed."
        )
    columns = given.positions(features, X, "hash_features")
    if not len(columns):
        raise ValueError("hash_features names no column; name one of ids or categories.")
    names = [f"x{j}" if given.names is None else str(given.names[j]) for j in columns]
    router.check_keys(all_dense(given.X[:, columns], "hash_features need"), names)
    return columns
