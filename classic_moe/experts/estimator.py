"""Any scikit-learn estimator as an expert."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.metaestimators import available_if

from .._kernels import array
from ..data.units import Scaling
from ..distribution.families import norm
from ..distribution.multivariate import IndependentComponents
from ..parts import black_box
from ..parts.records import Inputs, Learning, Target
from ..parts.statistics import Rows, Statistics
from ..parts.views import ClassificationView, RegressionView, shaped, take
from ._location_scale import SMALLEST_SCALE, collapsed
from .base import BaseExpert

FLAT = 1e-8
"""Stands in for the spread of a y without any, relative to its size."""


def _regresses(expert):
    return expert.target.task == "regression"


def _is_fixed(expert):
    return expert.learning.fixed


class EstimatorExpert(BaseExpert):
    r"""Any scikit-learn regressor or classifier that takes ``sample_weight`` as the experts.

    .. math:: p_k(y \mid x) = N(y;\; f_k(x),\; \sigma_k^2) \quad\text{or}\quad
              p_k(y = c \mid x) = f_k(x)_c

    The M-step refits a clone to every expert's rows, weighted by the responsibilities; rows whose
    responsibility is below 1e-8 are left out. It is generalised EM: a refit replaces the expert
    only if the expected log-likelihood does not fall, so the objective never does, whatever the
    estimator minimises [1]_. All refits of an expert draw their random numbers from one seed.

    A regressor gets normal noise of estimated variance, independent from output to output. A
    classifier gives ``predict_proba``, of which no class gets less than 1e-12; so does a class that
    an expert has no rows of.

    The estimator sees its columns of X and y as they are, not standardised. With no column at all,
    an expert is a constant.

    Parameters
    ----------
    estimator : scikit-learn regressor or classifier
        Never changed: it is cloned. The weights of a Pipeline go to its last step. A
        `sklearn.frozen.FrozenEstimator` is used as it was fitted; only its noise is estimated.
    variance_prior : float or "weak", default=1e-2
        ν pseudo-rows with the variance of y, as in `LinearExpert`: σ² = (S + ν·var(y)) / (n + ν).
        Keeps an estimator that can interpolate its rows from collapsing onto them; 0 is maximum
        likelihood. Classifiers have no noise and ignore it.

    Raises
    ------
    TypeError
        In `fit`, for an estimator that takes no ``sample_weight`` or a classifier without
        ``predict_proba``.

    Notes
    -----
    The noise is estimated from the rows the estimator was fitted to. One that follows them closely
    (deep trees, forests) states too little of it: prefer shallow or penalised ones, chosen by
    cross-validation.

    `n_parameters` counts the variances and, where there are any, the numbers in ``coef_`` and
    ``intercept_``; `n_parameters_` of the mixture leaves out the coefficients of columns that
    follow from others, but not behind the steps of a Pipeline. Nobody knows the count for trees or
    kernels, so that **AIC and BIC mean nothing with them**: compare by log-likelihood on held-out
    rows.

    References
    ----------
    .. [1] Dempster, A. P., Laird, N. M. & Rubin, D. B. (1977). Maximum likelihood from incomplete
       data via the EM algorithm. Journal of the Royal Statistical Society B 39, 1-38.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.experts import EstimatorExpert
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> expert = EstimatorExpert(DecisionTreeRegressor(max_depth=2))
    >>> model = MixtureOfExpertsRegressor(2, expert=expert, random_state=0).fit(X, y)
    >>> model.experts_[0].estimator_
    DecisionTreeRegressor(max_depth=2, random_state=...)
    """

    inputs = Inputs(raw=True)

    weak = MappingProxyType({"variance_prior": 1e-2})

    def __init__(self, estimator: Any, variance_prior: float | str = 1e-2) -> None:
        self.estimator = estimator
        self.variance_prior = variance_prior

    @property
    def target(self):
        """What y is to the estimator."""
        classifies = black_box.is_kind(self.estimator, is_classifier)
        return Target(task="classification" if classifies else "regression")

    @property
    def learning(self):
        """By refits, which are dear; a frozen estimator has none."""
        plain = Learning(sums=False, extrapolates=False)
        if self._frozen:
            return plain._replace(fixed=True)
        return plain._replace(fits_alone=True, short_run=2)

    @property
    def _frozen(self):
        return black_box.is_frozen(self.estimator)

    def check_parameters(self):
        super().check_parameters()
        black_box.check_estimator(self.estimator, "expert")

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        mean = self.mean(params, X)
        if "scale" not in params:
            return np.log(mean[np.arange(len(y)), :, y])
        scale = params["scale"]
        with np.errstate(over="ignore"):  # is cut off
            square = array.square((y[:, None] - mean) / scale)
        return -0.5 * square.sum(axis=2) - np.log(np.sqrt(2 * np.pi) * scale).sum(axis=1)

    def mean(self, params, X):
        estimators = params["estimator"]
        if "scale" in params:
            found = [black_box.predict(estimator, X) for estimator in estimators]
        else:
            each = zip(estimators, params["classes"], strict=True)
            found = [black_box.predict_proba(estimator, X, labels) for estimator, labels in each]
        return np.stack(found, axis=1)

    @available_if(_regresses)
    def components(self, params, X, units, single_output=True):
        """Return the K predictive normals, for `MixtureDistribution`."""
        mean, scale = self.mean(params, X), params["scale"]
        if single_output:
            return norm(loc=mean[:, :, 0], scale=scale[:, 0])
        return IndependentComponents(norm(loc=mean, scale=scale), mean.shape)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        """Return clones fitted to the rows of every expert, or to all rows where they fail.

        Of a classifier the caller's labels are kept in the params: a frozen one knows those, and
        no codes.
        """
        K, weight = resp.shape[1], resp.sum(axis=1)
        params = {"seed": black_box.draw_seeds(random_state, K)}
        if classes is None:
            spread = Scaling.fit(y, weight, constant_factor=1 / FLAT).unit
            params |= {"spread": np.tile(spread, (K, 1)), "scale": np.tile(spread, (K, 1))}
        else:
            params["classes"] = black_box.boxed([classes] * K)
            black_box.check_labels(self.estimator, classes, "expert")
        rows = self.statistics(params, X, y, resp)
        params["estimator"] = np.full(K, None)
        for k, seed in enumerate(params["seed"]):
            refit = self._refit(params, rows, k)
            params["estimator"][k] = self._fit_all(seed, X, y, weight) if refit is None else refit
        if classes is None and self._frozen:
            found = self.mean(params, X[:1]).shape[2]
            if found != y.shape[1]:
                raise ValueError(
                    f"expert {black_box.shown(self.estimator)} was fitted to {found} outputs; y has"
                    f" {y.shape[1]}."
                )
        return self._with_scale(params, rows)[0]

    def statistics(self, params, X, y, resp, order=2):
        return Rows(X=X, y=y, resp=resp)

    def maximize(self, params, stats, cautious=False):
        """Refit every expert; where the new estimator is worse, keep the old. Never lowers Q."""
        refits = params["estimator"].copy()
        for k in range(len(refits)):
            refits[k] = self._refit(params, stats, k)
        old, old_value = self._with_scale(params, stats)
        new, new_value = self._with_scale(params | {"estimator": refits}, stats)
        worse = ~(new_value >= old_value)  # also where predictions are no numbers
        for name in ("estimator", "scale") if "scale" in new else ("estimator",):
            new[name][worse] = old[name][worse]
        return new

    @available_if(_is_fixed)
    def gradient(self, params, stats):
        """Return ∂Q/∂scale, prior included; a frozen estimator stays what it is."""
        gradient = {name: np.zeros(leaf.shape) for name, leaf in params.items()}
        if "scale" in params:
            scale, y, resp = params["scale"], stats["y"], stats["resp"]
            square = self.variance_prior * params["spread"] ** 2
            if len(y):
                residual = y[:, None] - self.mean(params, stats["X"])
                square = square + np.einsum("nk,nkq->kq", resp, residual**2)
            rows = resp.sum(axis=0)[:, None] + self.variance_prior
            gradient["scale"] = (square / scale**2 - rows) / scale
        return gradient

    @available_if(_is_fixed)
    def mean_gradient(self, params, X, slope):
        """Return nothing: the mean of a frozen estimator depends on nothing that may change."""
        return Statistics()

    def coordinates(self, params):
        return {name: "positive" if name == "scale" else "fixed" for name in params}

    def _refit(self, params, rows, k):
        """Return a clone fitted to the rows of expert k; if they are too few, what it was."""
        counts = black_box.counts(rows["resp"])[:, k]
        if not counts.any():
            return params["estimator"][k]
        y, weight = _target(rows["y"][counts]), rows["resp"][counts, k]
        try:
            return black_box.fit(self.estimator, params["seed"][k], rows["X"][counts], y, weight)
        except ValueError:  # not to move is a step of generalised EM as well
            return params["estimator"][k]

    def _fit_all(self, seed, X, y, weight):
        """Return a clone fitted to all rows, for an expert whose own do not suffice."""
        try:
            return black_box.fit(self.estimator, seed, X, _target(y), weight)
        except ValueError as error:
            raise black_box.refusal(self.estimator, y, error) from error

    def _with_scale(self, params, rows):
        """Return params with the best scales, and Σ resp·log p + prior, (K,)"""
        y, resp = rows["y"], rows["resp"]
        if "scale" not in params:
            return params, np.sum(resp * self.log_prob(params, rows["X"], y), axis=0)
        nu, spread = self.variance_prior, params["spread"]
        n = resp.sum(axis=0)[:, None] + nu
        with np.errstate(all="ignore"):  # predictions without bounds, and experts without rows
            square = ((y[:, None] - self.mean(params, rows["X"])) / spread) ** 2
            square = np.einsum("nk,nkq->kq", resp, square) + nu
            variance = np.where(n > 0, square / n, (params["scale"] / spread) ** 2)
            variance = np.maximum(variance, SMALLEST_SCALE**2)
            value = -0.5 * np.sum(n * np.log(variance) + square / variance, axis=1)
        return params | {"scale": spread * np.sqrt(variance)}, value

    def log_prior(self, params):
        if "scale" not in params:
            return 0.0
        variance = (params["scale"] / params["spread"]) ** 2
        return -0.5 * float(self.variance_prior * np.sum(np.log(variance) + 1 / variance))

    def n_parameters(self, params):
        scales = params["scale"].size if "scale" in params else 0
        return scales + sum(map(black_box.n_coefficients, params["estimator"]))

    def diagnose(self, params, stats):
        complaints = black_box.complaints(params["estimator"], "expert")
        if "scale" not in params or not stats["resp"].any():  # nothing to judge a scale by
            return complaints
        findings = []
        smallest = (params["scale"] / params["spread"]).min(axis=1)
        for k, (rows, sd) in enumerate(zip(stats["resp"].sum(axis=0), smallest, strict=True)):
            size = black_box.n_coefficients(params["estimator"][k]) // params["scale"].shape[1]
            by_prior, prior = rows * sd**2 <= 2 * self.variance_prior, self.variance_prior
            advice = "use a simpler estimator or fewer experts"
            finding = collapsed((k,), sd, rows, size, by_prior, prior=prior, advice=advice)
            findings.append(finding)
        return [finding for finding in findings if finding] + complaints

    # -- the caller's side -------------------------------------------------------------------

    def check_target(self, y):
        """Accept everything: what the estimator refuses, it says itself."""

    def to_caller(self, params, units):
        return {name: value for name, value in params.items() if name != "classes"}

    def from_caller(self, values, units, n_experts, classes=None):
        K = n_experts
        wanted = ("estimator",) if classes is not None else ("estimator", "scale")
        values = take(values, wanted, "expert", optional=("seed", "spread"))
        params = {
            "estimator": black_box.given(values["estimator"], K, "expert", units.x),
            "seed": shaped(values.get("seed", np.arange(K)), (K,), "seed", "expert"),
        }
        if classes is not None:
            return params | {"classes": black_box.boxed([classes] * K)}
        q = max(1, np.size(values["scale"]) // K)
        for name in ("scale", "spread"):
            params[name] = shaped(values.get(name, values["scale"]), (K, q), name, "expert")
            if params[name].min() <= 0:
                raise ValueError(f"init_params: every {name} of the expert must be positive.")
        return params

    def view(self, params, k, units, single_output=True, classes=None, **shell):
        estimator = params["estimator"][k]
        if "scale" not in params:
            return ClassifierView(**shell, estimator_=estimator, classes_=classes)
        scale = params["scale"][k]
        scale = float(scale[0]) if single_output else scale
        return RegressorView(**shell, estimator_=estimator, scale_=scale)


class RegressorView(RegressionView):
    """One expert of a regressor: `estimator_`, the fitted clone, and `scale_`."""

    kind = "estimator"

    __repr__ = black_box.view_repr

    def predict(self, X):
        """Return the expert's mean, (n,) or (n, q)."""
        mean = black_box.predict(self.estimator_, self._own_columns(X))
        return mean[:, 0] if np.ndim(self.scale_) == 0 else mean


class ClassifierView(ClassificationView):
    """One expert of a classifier: `estimator_`, the fitted clone, and `classes_`.

    The clone was fitted to the codes 0 ... C - 1 of the classes, where it was not frozen.
    """

    kind = "estimator"

    __repr__ = black_box.view_repr

    def predict_proba(self, X):
        """Return the expert's class probabilities, (n, C), in the order of `classes_`."""
        return black_box.predict_proba(self.estimator_, self._own_columns(X), self.classes_)


def _target(y):
    """Return y as estimators take it: a single output is one-dimensional."""
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
