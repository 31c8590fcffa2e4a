"""What both Meta-Pi estimators share: a list of experts, each fitted to rows of its own."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _BaseComposition

from ..data import row_facts
from ..gates._per_output import PerOutputGate
from ..parts import black_box
from ..parts.blas import one_blas_thread
from ..parts.checks import FLAG, check, integer
from ..parts.registry import coerce, find
from ..parts.storage import all_dense
from ._callbacks import with_callbacks
from ._parameters import check_parameters
from ._prepare import check_task, looking_at_x, prepare, read


class MetaPiMixin(_BaseComposition):
    """Experts fitted alone, then a mixture of them under the blended error."""

    objective = "blended_error"
    _no_blocks = "its experts are fitted alone, each to all of its rows"
    assignment = "soft"
    offset_feature = None
    warm_start = False
    init_params = None
    _separate_name = "per_output"
    """The parameter that says whether each output, or class, has a gate of its own."""

    # -- parameters --------------------------------------------------------------------------

    @property
    def _listed(self):
        return isinstance(self.experts, (list, tuple))

    @property
    def _names(self):
        """Names of the experts; None for a plain list or a bank."""
        items = self.experts if self._listed else ()
        paired = all(isinstance(item, tuple) and len(item) == 2 for item in items)
        return [name for name, _ in items] if paired and items else None

    @property
    def _n_experts(self):
        """K of the next fit."""
        listed = self._listed and self.n_experts is None
        return len(self.experts) if listed else self.n_experts

    def get_params(self, deep=True):
        """Parameters; of (name, expert) pairs also ``name`` and ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        if deep and self._names:
            return self._get_params("experts", deep=True)
        return super().get_params(deep=deep)

    def set_params(self, **params):
        """Set parameters; ``name=expert`` replaces the expert of a pair.

        Parameters
        ----------
        **params : dict
            Names and values, nested names with two underscores.

        Returns
        -------
        self
        """
        self.experts = params.pop("experts", self.experts)
        if isinstance(self.experts, str) and any(name.startswith("experts__") for name in params):
            self.experts = coerce("expert", self.experts, self._target.task)
        if self._names:
            for name, item in self.experts:
                if isinstance(item, str) and any(key.startswith(f"{name}__") for key in params):
                    params.setdefault(name, coerce("expert", item, self._target.task))
            return self._set_params("experts", **params)
        return super().set_params(**params)

    def _given_expert(self):
        return self.experts

    def _given_gate(self):
        return PerOutputGate(coerce("gate", self.gate)) if self._separate else self.gate

    def _start_of(self, model):
        """Return where the gate starts: at equal shares, if the experts differ and stay so."""
        return _equal_shares if model.expert.learning.fixed else "quantile"

    # -- fitting -----------------------------------------------------------------------------

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        expert_groups: Any = None,
        callback: Any = None,
    ) -> Self:
        """Fit each expert to its own rows, then the gate to all of them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
            Features, finite numbers; None, or no column, where no part looks at them.
        y : array-like of shape (n,) or (n, q)
            Targets; classifiers take labels of any kind, of shape (n,).
        sample_weight : array-like of shape (n,), default=None
            Frequencies: a row of weight 2 counts as two rows, one of weight 0 is left out.
        expert_groups : array-like of shape (n,), default=None
            Whose rows are whose: the number of the expert, 0 ... K - 1, that a row trains, or its
            name, for (name, expert) pairs; -1 (or "-1") for a row that trains none. The gate is
            not told.
            None: every row trains every expert. Of no use to experts that are frozen already.
        callback : callable(iteration, params, objective), default=None
            Called after every iteration of the gate's starts that go on to convergence; returning
            True ends the fit with the values reached.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For data or parameters that cannot be fitted; the estimator is left as it was.

        Warns
        -----
        ConvergenceWarning
            When `max_iter` is reached.
        """
        self._check_experts()
        check_parameters(self)
        with one_blas_thread(), self._as_task(X, y):
            expert = self._fit_alone(X, y, sample_weight, expert_groups)
            self._fit(prepare(self, X, y, sample_weight, expert=expert), callback)
        return self

    def _check_experts(self):
        """ValueError for experts that are neither a list nor a bank, and for half a yes."""
        check(self._separate_name, self._separate, FLAG)
        if self.n_experts is not None:
            check("n_experts", self.n_experts, integer(1))
        if not self._listed:
            if self.n_experts is None:
                raise ValueError(
                    f"n_experts=None: experts={self.experts!r} is no list; say how many experts it"
                    " stands for, or pass a list of estimators."
                )
            return
        if not self.experts:
            raise ValueError(f"experts={self.experts!r}: needs one estimator at least.")
        if self.n_experts not in (None, len(self.experts)):
            raise ValueError(
                f"n_experts={self.n_experts}, but experts holds {len(self.experts)}; leave"
                " n_experts None."
            )
        check_task(self, find("expert", self.experts, self._target.task))
        tasks = {member.target.task: type(member).__name__ for member in self._members()}
        if {"regression", "classification"} <= set(tasks):
            raise ValueError(
                f"{type(self).__name__} cannot mix regression and classification:"
                f" {' beside '.join(tasks.values())}; leave one out."
            )
        if self._names:
            self._validate_names(self._names)

    def _members(self):
        """Return the experts of the list as they are, each a bank for one; a list."""
        items = self.experts if self._names is None else [item for _, item in self.experts]
        return [find("expert", item) for item in items]

    def _fit_alone(self, X, y, sample_weight, groups):
        """Return what the mixture's experts are: a list's fitted to their own rows and frozen."""
        if not self._listed:
            if groups is not None:
                raise ValueError(
                    f"expert_groups are for a list of experts; experts={self.experts!r} is a bank"
                    " whose experts are trained together with the gate."
                )
            return self.experts
        members, whole = self._members(), find("expert", self.experts, self._target.task)
        looking = looking_at_x(self, whole, coerce("gate", self._given_gate()))
        given = read(self, whole, X, y, sample_weight, looking)
        columns = given.positions(self.expert_features, X, "expert_features")
        own = self._own_rows(groups, given.weight)
        for k, member in enumerate(members):
            if member.learning.fits_alone and not own[:, k].any():
                raise ValueError(
                    f"expert_groups has no row of expert {k} with a positive weight; an estimator"
                    " that is still to be fitted needs rows of its own."
                )
        rows = given.weight > 0
        target, inner_y = self._target.fit(given.y[rows], whole)
        own_y = inner_y if target.labels is None else given.y[rows]  # classifiers take labels
        own_X = given.X[rows] if columns is None else given.X[rows][:, columns]
        own_X = all_dense(own_X, "Experts that are fitted alone need")
        rng = check_random_state(self.random_state)
        fitted = [
            _frozen(member, own_X, own_y, own[rows, k], rng)
            if member.learning.fits_alone
            else member
            for k, member in enumerate(members)
        ]
        return fitted if self._names is None else list(zip(self._names, fitted, strict=True))

    def _own_rows(self, groups, weight):
        """Return the weight with which each row trains each expert, (n, K)."""
        K, names = len(self.experts), self._names or []
        if groups is None:
            return np.tile(weight[:, None], K)
        given = row_facts.column(groups, len(weight), "expert_groups")
        if given.dtype.kind in "OUT":
            number = {k: k for k in range(-1, K)} | {"-1": -1}
            number |= {name: k for k, name in enumerate(names)}
            unknown = [g for g in given.tolist() if g not in number]
            if unknown:
                raise ValueError(
                    f"expert_groups holds {unknown[0]!r}; use the names of the experts,"
                    f" {', '.join(map(repr, names)) or 'of which a plain list has none'}, or their"
                    " numbers, and -1 for a row that trains none."
                )
            given = np.array([number[g] for g in given.tolist()])
        labels = row_facts.labels(given, len(weight), K, "expert_groups")
        return (labels[:, None] == np.arange(K)) * weight[:, None]


def _frozen(member, X, y, weight, random_state):
    """Return an expert whose estimator is fitted to its own rows, those of positive weight."""
    estimator, own = member.get_params(deep=False)["estimator"], weight > 0
    own_y = y[own, 0] if y.ndim == 2 and y.shape[1] == 1 else y[own]
    try:
        fitted = black_box.fit_once(estimator, random_state, X[own], own_y, weight[own])
    except ValueError as error:
        raise black_box.refusal(estimator, y, error) from error
    return clone(member).set_params(estimator=fitted)


def _equal_shares(X, y, n_experts, random_state):
    return np.ones((X.shape[0], n_experts))
