"""`BaseMixtureOfExperts`: parameters, validation and the fit, for both tasks."""

from __future__ import annotations

import inspect
import warnings
from copy import copy
from dataclasses import replace
from typing import Any, Self

from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from .._version import __version__
from ..data.sources import IterableSource, source_of
from ..exceptions import VersionWarning
from ..parts.arithmetic import UnderflowIsZero
from ..parts.availability import available_if
from ..parts.black_box import is_frozen, shown
from ..parts.blas import one_blas_thread
from ..parts.registry import coerce
from ..report.card import CardMixin
from ..starts.automatic import race_and_settle
from ..starts.init_params import Previous, starting_points
from ..starts.race import race
from ..starts.telling import telling
from ..starts.tuning import tuned
from ._blocks import prepare_blocks
from ._callbacks import TasksMixin, with_callbacks
from ._fitted import OPTIONAL, Fitted
from ._parameters import PARTS
from ._partial_fit import OnlineMixin
from ._predictions import PredictionMixin
from ._prepare import prepare
from ._tree_methods import TreeMixin


def _reads_blocks(self):
    """Raise where a fit is not made of sums over rows."""
    if self._no_blocks:
        raise AttributeError(
            f"{type(self).__name__} has no fit_blocks: {self._no_blocks}; use fit."
        )
    return True


def _check_callback(callback):
    """TypeError for what is no function."""
    if not (callback is None or callable(callback)):
        raise TypeError(
            f"callback={callback!r}: needs a function of (iteration, params, objective), or None."
        )


class BaseMixtureOfExperts(
    TreeMixin, OnlineMixin, PredictionMixin, UnderflowIsZero, CardMixin, TasksMixin, BaseEstimator
):
    """Everything that does not depend on the task; predictions come from the mixin."""

    objective = "likelihood"
    _fitted = None
    """The `Fitted` of the last fit, all that predictions need."""
    _target: type
    """What y is: `RealTarget` or `ClassTarget`."""
    _size_name = "n_experts"
    """The parameter that says how many experts there are."""
    _class_weight = None
    """Factors of the weights of the rows of every class."""
    _no_blocks = ""
    """Why it cannot be fitted by blocks; "" if it can."""

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
                value = params.get(part, getattr(self, part, None))
                if isinstance(value, (str, list, tuple)):
                    params[part] = coerce(part, value, self._target.task)
        return super().set_params(**params)

    # -- fitting ---------------------------------------------------------------------------

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        expert_labels: Any = None,
        callback: Any = None,
    ) -> Self:
        """Fit by maximum likelihood with weak priors (set the penalties to 0 for none).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
            Features, finite numbers; None, or no column, where no part looks at them. Memory maps,
            and what is sliced by rows such as arrays of HDF5 and zarr, are read block by block and
            never held in memory. So are arrays and dataframes of dask, by tasks where they lie;
            then y and the weights are collections of the same blocks. See [](large_data.md).
        y : array-like of shape (n,) or (n, q)
            Targets; classifiers take labels of any kind, of shape (n,).
        sample_weight : array-like of shape (n,), default=None
            Frequencies: a row of weight 2 counts as two rows, one of weight 0 is left out. They are
            rescaled only with `normalize_weights`, to sum to the number of rows of positive weight.
        groups : array-like of shape (n,), default=None
            Rows of one group share one expert: the likelihood of group G is
            Σ_k g_k(x_G) Π_i p_k(y_i given x_i). The gate's columns must be constant within a group.
        expert_labels : array-like of int of shape (n,), default=None
            The expert of a row, 0 ... K - 1, where it is known, and -1 where it is not. The
            experts keep these numbers.
        callback : callable(iteration, params, objective), default=None
            Called after every iteration of the climb that is returned, with a copy of the internal
            parameters and the penalised objective; returning True ends the fit with the
            values reached, and nothing else does. An error that it raises ends the fit without.

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
        _check_callback(callback)
        source = source_of(X, y, sample_weight)
        with one_blas_thread(), self._as_task(X, y):
            if source is None:
                problem = prepare(self, X, y, sample_weight, groups, expert_labels)
            else:
                known = dict(groups=groups, expert_labels=expert_labels)
                problem = prepare_blocks(self, source, **known)
            self._fit(problem, callback)
        return self

    @available_if(_reads_blocks)
    @with_callbacks
    def fit_blocks(self, make_blocks: Any, classes: Any = None, callback: Any = None) -> Self:
        """Fit rows that come in blocks and are never in memory together: the fit that `fit` makes.

        The rows are read once a pass, some 10 to 60 times, in the blocks that a callable gives;
        sums over them are those of rows in memory, so the fit is the same to the last digits
        whatever the blocks are. Blocks of some 100,000 rows are good ones. Rows of up to 32 MiB
        altogether are read once and kept. See [](large_data.md).

        Parameters
        ----------
        make_blocks : callable () -> iterator of (X, y) or (X, y, sample_weight)
            Called once a pass; gives the same rows every time. X, y and the weights of a block are
            as of `fit`; blocks without rows are skipped.
        classes : array-like of shape (C,), default=None
            Of a classifier, all labels there are; None: those in the blocks.
        callback : callable(iteration, params, objective), default=None
            As of `fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            For an iterator in place of a callable, and parts that learn from all rows at once.
        ValueError
            As `fit`, with the number of the block; for blocks that change between passes; and for
            what needs rows in memory: solvers that draw rows, starts that are arrays or callables.
            The estimator is left as it was.

        Examples
        --------
        >>> import numpy as np
        >>> from classic_moe import MixtureOfExpertsRegressor
        >>> def blocks():
        ...     for seed in range(4):  # a file each, say
        ...         rng = np.random.default_rng(seed)
        ...         X = rng.normal(size=(1000, 3))
        ...         yield X, np.abs(X[:, 0]) + X[:, 1] + 0.3 * rng.normal(size=1000)
        >>> MixtureOfExpertsRegressor(2, random_state=0).fit_blocks(blocks).n_features_in_
        3
        """
        _check_callback(callback)
        source = IterableSource(make_blocks)
        with one_blas_thread(), self._as_task():
            self._fit(prepare_blocks(self, source, classes=classes), callback)
        return self

    def _fit(self, problem, callback=None, then=None):
        """Solve a problem and show what came out, or what `then` makes of (problem, result)."""
        fitted = self._solved(problem, callback, then)
        fitted.warn(self)  # a warning may be an error, and then nothing has changed
        self._adopt(fitted)

    def _solved(self, problem, callback=None, then=None):
        """Return the `Fitted` of a problem, which warns of nothing yet; as of `_fit`."""
        with problem.batches, telling(self.verbose):
            options = self._race_options(problem, callback)
            quiet, is_sparse = options | dict(callback=None), problem.sparse_gate is not None
            last = quiet if is_sparse else options  # of the climbs of the model with all experts
            starts, settled = self._starting_points(problem), None
            if problem.automatic is None:
                result = race(problem, starts, **last)
            else:
                problem, result, settled = race_and_settle(problem, starts, **last)
            if is_sparse:
                problem, result = tuned(problem, result, settled, **options)
            result = result if then is None else then(problem, result)
            return Fitted.of(problem, result, settled)

    def _race_options(self, problem, callback):
        """Return when to stop, whom to tell and what to print, keywords of `race`."""
        # With one expert the optimum is a few steps away: go all the way, to gains that the
        # objective has no digits for but its slopes have.
        return dict(
            max_iter=self.max_iter,
            tol=self._tol if problem.n_experts > 1 else min(self._tol, 1e-18),
            callback=callback,
            verbose=int(self.verbose),
        )

    def _adopt(self, fitted):
        """Show a fit in place of the last one: the only code that writes to the estimator."""
        for name in OPTIONAL:
            vars(self).pop(name, None)
        vars(self).update(fitted.attributes())

    def _starting_points(self, problem):
        """Return params, or the list of starts to race; see `init_params.starting_points`."""
        sizes = self._given_size, self._size_for
        return starting_points(problem, self._start_of(problem.model), self._n_init, sizes)

    def _previous(self):
        """Return the fit that the next one goes on from, a `Previous`; None for a fresh start."""
        if self.warm_start and self._fitted is not None:
            return Previous("warm_start", self._current())
        start = fitted_mixture_in(self.init_params)
        return None if start is None else Previous("init_params", start._current())

    def _current(self):
        """Return the fit at `params_`, which the caller may have replaced."""
        return replace(self._fitted, params=self.params_)

    def _matched(self, agreement):
        """Return a copy of a fitted estimator with its experts in the order that agrees best.

        `agreement` (K, K) as of `Fitted.matched`.
        """
        twin, fitted = _own_copy(self), self._current()
        twin._adopt(fitted.reordered(fitted.matched(agreement)))
        return twin

    # -- what other estimators do otherwise ---------------------------------------------------

    @property
    def _n_experts(self):
        """K of the next fit."""
        return self.n_experts

    @property
    def _n_init(self):
        """How many starts the next fit races."""
        return self.n_init

    @property
    def _tol(self):
        """The gain at which the next fit ends."""
        return self.tol

    @property
    def _given_size(self):
        """K of the next fit, in a message, by the parameters that say it."""
        return f"n_experts={self._n_experts}"

    def _size_for(self, n):
        """Return what to set for n experts, in a message."""
        return f"n_experts={n}"

    def _given_expert(self):
        """Return what the experts of the mixture are made from."""
        return self.expert

    def _given_gate(self):
        """Return what the gate of the mixture is made from; in a hierarchical one, its tree."""
        return self.gate

    def _start_of(self, model):
        """Return where the fit of a model starts, as of `init_params`."""
        return self.init_params

    # -- scikit-learn ----------------------------------------------------------------------

    def __sklearn_clone__(self):
        """Return an unfitted estimator of the same parameters; a fit in `init_params` stays one."""
        start = self.init_params
        if not (isinstance(start, BaseMixtureOfExperts) and start._fitted is not None):
            return super().__sklearn_clone__()
        twin = super(BaseMixtureOfExperts, _without_start(self)).__sklearn_clone__()
        return twin.set_params(init_params=_own_copy(_without_start(start)))

    def __sklearn_is_fitted__(self):
        return self._fitted is not None

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


def fitted_mixture_in(given):
    """Return the fit that `init_params` is, frozen or not; None for another kind of start."""
    start = given
    while is_frozen(start):
        start = start.estimator
    if not isinstance(start, BaseMixtureOfExperts):
        return None
    if start._fitted is None:
        raise NotFittedError(
            f"init_params={shown(given)} is not fitted; fit it first. Where it was, scikit-learn"
            " has cloned it, as it does the values in a grid: then put it into a"
            " sklearn.frozen.FrozenEstimator."
        )
    return start


def _without_start(estimator):
    """Return a shallow copy that starts as by default: a fit has no more need of its start."""
    twin = copy(estimator)
    twin.init_params = inspect.signature(type(estimator)).parameters["init_params"].default
    return twin


def _own_copy(fit):
    """Return a fitted estimator with parameters of its own; what was fitted is shared.

    So a meta-estimator may set parameters of the copy, as it does `random_state`, and leaves the
    caller's fit alone.
    """
    twin = clone(fit)
    parameters = twin.get_params(deep=False)
    vars(twin).update({name: v for name, v in vars(fit).items() if name not in parameters})
    return twin
