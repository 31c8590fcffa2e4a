"""`BlendMixin`: what the sparse estimators do with ``combine="blend"``; else what they inherit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._kernels import array
from ..distribution.families import norm
from ..distribution.mixture import MixtureDistribution
from ..distribution.multivariate import IndependentComponents
from ..parts.availability import available_if
from ..parts.blas import one_blas_thread
from ..routing.base import softmax
from ._blending import Blended, fit_blend, normal
from ._callbacks import with_callbacks

if TYPE_CHECKING:
    from ..report.summary import Summary

SOMETIMES = (
    *("prices_", "thresholds_", "router_bias_", "shared_experts_", "dropped_fraction_"),
    *("balance_curve_", "kept_mass_", "k_", "router_", "n_shared_", "balance_", "capacity_factor_"),
)
"""Attributes that only some sparse fits have."""
SMALLEST = -708.3
"""No log-probability of a class is below: the logarithm of about the smallest normal number."""


def _mixes(self):
    """Raise for what only a mixture has."""
    if self._blends:
        raise AttributeError(
            f"{type(self).__name__} with combine='blend' has one noise or one softmax on the sum of"
            " its experts, and nothing that rests on a mixture; combine='mixture' has."
        )
    return True


def _is_blend(self):
    """Raise for what only a blend has."""
    if not self._blends:
        raise AttributeError(
            f"{type(self).__name__} with combine='mixture' is fitted row by row and drops nothing;"
            " combine='blend' with a capacity_factor does."
        )
    return True


class BlendMixin:
    """Stands left of `MixtureOfExpertsRegressor` and `...Classifier`."""

    @property
    def _is_to_blend(self):
        """Whether the parameters are those of a blend."""
        return isinstance(self.combine, str) and self.combine == "blend"

    @property
    def _blends(self):
        """Whether the fit, or before it the parameters, are those of a blend."""
        if self._fitted is None:
            return self._is_to_blend
        return isinstance(self._fitted, Blended)

    def _current(self):
        """Return the fit as a mixture; a TypeError of one sentence for a blend, which is none."""
        if self._blends:
            raise TypeError(
                f"{type(self).__name__} with combine='blend' is no mixture: it has no gate and"
                " densities to start from or to infer from; use a fit with combine='mixture'."
            )
        return super()._current()

    def _adopt(self, fitted):
        """Show a fit in place of the last one, and nothing that only the last one had."""
        for name in [name for name in vars(self) if name in SOMETIMES]:
            del vars(self)[name]
        super()._adopt(fitted)

    @property
    def _no_blocks(self):
        """Why it cannot be fitted by blocks; "" if it can."""
        drawn = self._is_to_blend or self._is_routed
        return "it is trained by minibatches, which are drawn at random" if drawn else ""

    @property
    def objective(self) -> str:
        """What is climbed: a blend has no likelihood of a mixture."""
        return "blended_error" if self._is_to_blend else "likelihood"

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
        """Fit a mixture by EM and tuning, or train a blend.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
            Features, finite numbers.
        y : array-like of shape (n,) or (n, q)
            Targets; classifiers take labels of any kind, of shape (n,).
        sample_weight : array-like of shape (n,), default=None
            Frequencies; whole numbers where experts choose rows.
        groups, expert_labels : array-like of shape (n,), default=None
            As of `MixtureOfExpertsRegressor.fit`; a blend takes none.
        callback : callable(iteration, params, objective), default=None
            Called after every iteration, or after every epoch of each of `n_init` trainings;
            returning True ends the fit.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data or parameters that cannot be fitted; the estimator is left as it was.
        """
        if not self._is_to_blend:
            options = dict(groups=groups, expert_labels=expert_labels, callback=callback)
            return super().fit(X, y, sample_weight, **options)
        if not (callback is None or callable(callback)):
            raise TypeError(
                f"callback={callback!r}: needs a function of (iteration, params, objective), or"
                " None."
            )
        with one_blas_thread(), self._as_task(X, y):
            fitted = fit_blend(self, X, y, sample_weight, groups, expert_labels, callback)
            fitted.warn(self)
            self._adopt(fitted)
        return self

    # -- predictions ---------------------------------------------------------------------------

    @property
    def _trained(self):
        """The blend that was trained, at `params_`, which the caller may have replaced."""
        return replace(self._fitted.trained, params=self.params_)

    def _of_rows(self, function, X):
        """Return what a function of (fit, `BlendRows`) says of all rows, in chunks."""
        X, fitted, trained = self._check_X(X), self._fitted, self._trained
        rows = np.arange(len(X))
        return self._by_rows(
            lambda inner, at: function(trained, fitted.rows(inner, X.X[at[0] : at[-1] + 1])),
            X,
            rows,
        )

    def _outputs(self, X):
        """Return f(x) in internal units, (n, q)."""
        return self._of_rows(lambda fit, rows: fit.outputs(rows), X)

    def route(self, X: ArrayLike) -> csr_array:
        """Weights with which the experts of every row are added up.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        csr_array of shape (n, K)
            What is not stored is 0; columns in the order of `experts_`.
        """
        if not self._blends:
            return super().route(X)
        return csr_array(self._of_rows(lambda fit, rows: fit.route(rows).weights, X))

    @available_if(_is_blend)
    def dropped(
        self, X: ArrayLike, random_state: int | np.random.RandomState | None = None
    ) -> csr_array:
        """Pairs of a row and an expert that training would drop, had it these rows as a batch.

        Capacities are of training alone: in predictions nobody is dropped.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
            In the order in which rows come where experts have no room for all.
        random_state : int, RandomState or None, default=None
            For routers with noise, a random second expert or masked pairs.

        Returns
        -------
        ndarray of bool of shape (n, K)
            False throughout without a `capacity_factor`. With ``overflow="next"`` only pairs of
            rows that end with fewer experts than they want.
        """
        X, fitted = self._check_X(X), self._fitted
        blend, params, state = fitted.blend, self.params_, fitted.trained.state
        if blend.capacity_factor is None:
            return np.zeros((len(X), blend.n_experts), dtype=bool)
        rows = fitted.rows(X[:], X.X)._replace(weight=np.ones(len(X)))
        seeds = check_random_state(random_state).randint(2**31 - 1, size=4)
        choice = blend.choose(params, state, rows, np.random.default_rng(seeds))
        short = choice.kept.sum(axis=1) < choice.wanted.sum(axis=1)
        return choice.wanted & ~choice.kept & short[:, None]

    def assign(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[Any]:
        """The expert of the greatest weight, (n,); in a mixture see the base."""
        if not self._blends or y is not None:
            return super().assign(X, y, groups)
        return self._of_rows(lambda fit, rows: fit.route(rows).weights.argmax(axis=1), X)

    def gate_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Shares of the gate before any expert is left out, (n, K): the softmax of its scores."""
        if not self._blends:
            return super().gate_proba(X)
        return self._of_rows(lambda fit, rows: softmax(fit.route(rows).scores), X)

    def predict(self, X: ArrayLike, **options: Any) -> Any:
        """Conditional mean of y, or the most probable class; see the parameters of the base."""
        if not self._blends:
            return super().predict(X, **options)
        real = self._target.task == "regression"
        with_std = options.pop("return_std", False) if real else False
        if options:
            raise TypeError(f"predict() got an unexpected keyword argument {next(iter(options))!r}")
        if not real:
            check_is_fitted(self)
            return self.classes_[self._outputs(X).argmax(axis=1)]
        if with_std:
            return self.predict(X), self.predict_dist(X).std()
        return self._in_caller_units(self._outputs(X))

    def _in_caller_units(self, f):
        """Return outputs (..., q) in the caller's units, without the last axis for one output."""
        schema = self._fitted.schema
        f = f * schema.y.unit + schema.y.origin
        return f[..., 0] if schema.target.single_output else f

    def predict_experts(self, X: ArrayLike) -> NDArray[Any]:
        """What every expert says by itself, in units in which weights that sum to 1 mix them."""
        if not self._blends:
            return super().predict_experts(X)
        f = self._of_rows(lambda fit, rows: fit.blend.expert_outputs(fit.params, rows), X)
        if self._fitted.blend.classes:
            return np.exp(array.log_softmax(f))
        return self._in_caller_units(f)

    def log_prob(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> NDArray[Any]:
        """log p(y given x) under one noise, or one softmax, in the caller's units, (n,)."""
        if not self._blends:
            return super().log_prob(X, y, groups)
        if groups is not None:
            raise ValueError("combine='blend' knows no groups; leave them out.")
        inner, fitted = self._check_Xy(X, y)[1], self._fitted
        f = self._outputs(X)
        if fitted.blend.classes:
            return array.log_softmax(f)[np.arange(len(f)), inner]
        return normal(inner[:] - f, fitted.variance) + fitted.schema.y.log_volume()

    @available_if(_mixes)
    def describe(self) -> Any:
        """Say what the parts of the fit are; see `MixtureOfExpertsRegressor.describe`."""
        return super().describe()

    @available_if(_mixes)
    def summary(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Summary:
        """The fit as tables; see `MixtureOfExpertsRegressor.summary`."""
        return super().summary(X, y, groups, sample_weight)

    @available_if(_mixes)
    def equations(self) -> str:
        """The experts as text, one equation each."""
        return super().equations()


class BlendRegressorMixin(BlendMixin):
    """For numbers."""

    def predict_dist(
        self, X: ArrayLike, parameter_uncertainty: bool = False
    ) -> MixtureDistribution:
        """The conditional distribution of y: of a blend one normal a row, as a mixture of one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        parameter_uncertainty : bool, default=False
            As of `MixtureOfExpertsRegressor`, for a mixture that keeps all experts; where some are
            left out the likelihood jumps, and a blend is no maximum of one: a ValueError.

        Returns
        -------
        MixtureDistribution
        """
        if not self._blends:
            return super().predict_dist(X, parameter_uncertainty)
        if parameter_uncertainty:
            raise ValueError(
                "parameter_uncertainty=True needs a maximum of the likelihood and its curvature:"
                " combine='blend' is trained on minibatches and ends at none; leave it False."
            )
        mean, fitted = self._outputs(X), self._fitted
        y = fitted.schema.y
        mean = mean * y.unit + y.origin
        scale = np.broadcast_to(np.sqrt(fitted.variance) * y.unit, mean.shape)
        one = np.ones((len(mean), 1))
        if fitted.schema.target.single_output:
            return MixtureDistribution(one, norm(loc=mean, scale=scale))
        mean, scale = mean[:, None, :], scale[:, None, :]
        return MixtureDistribution(
            one, IndependentComponents(norm(loc=mean, scale=scale), mean.shape)
        )

    def sample(
        self,
        X: ArrayLike,
        random_state: int | np.random.RandomState | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw one y a row, with the expert of the greatest weight; see the base."""
        if not self._blends:
            return super().sample(X, random_state, groups=groups)
        if groups is not None:
            raise ValueError("combine='blend' knows no groups; leave them out.")
        y, _ = self.predict_dist(X).draw(random_state, None)
        return y, self.assign(X)


class BlendClassifierMixin(BlendMixin):
    """For labels."""

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Class probabilities, (n, C): of a blend, the softmax of the sum of its experts."""
        if not self._blends:
            return super().predict_proba(X)
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Logarithms of the class probabilities, (n, C)."""
        if not self._blends:
            return super().predict_log_proba(X)
        return np.maximum(array.log_softmax(self._outputs(X)), SMALLEST)

    def sample(
        self,
        X: ArrayLike,
        random_state: int | np.random.RandomState | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw one label a row, with the expert of the greatest weight; see the base."""
        if not self._blends:
            return super().sample(X, random_state, groups=groups)
        if groups is not None:
            raise ValueError("combine='blend' knows no groups; leave them out.")
        rng = check_random_state(random_state)
        proba = self.predict_proba(X)
        drawn = np.sum(np.cumsum(proba, axis=1) < rng.uniform(size=(len(proba), 1)), axis=1)
        return self.classes_[np.minimum(drawn, proba.shape[1] - 1)], self.assign(X)
