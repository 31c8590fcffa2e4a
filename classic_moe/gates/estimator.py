"""Any probabilistic classifier of scikit-learn as the gate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..parts import black_box
from ..parts.records import Inputs, Learning
from ..parts.statistics import Rows
from ..parts.views import GateView, shaped, take
from .base import BaseGate


class EstimatorGate(BaseGate):
    r"""Any scikit-learn classifier with ``predict_proba`` and ``sample_weight`` as the gate.

    .. math:: g_k(x) = f(x)_k

    The M-step refits a clone to soft targets: every row stands K times in the data, labelled with
    expert k and weighted by its responsibility; what is below 1e-8 of a row's weight is left out.
    It is generalised EM: the refit replaces the gate only if Σ resp·log g does not fall [1]_. All
    refits draw their random numbers from one seed. No expert gets a probability below 1e-12, so
    that none is excluded for good.

    The classifier sees its columns of X as they are, not standardised. Without a column, the gate
    is constant.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Never changed: it is cloned. The weights of a Pipeline go to its last step. A
        `sklearn.frozen.FrozenEstimator` is used as it was fitted, to the classes 0 ... K - 1.

    Raises
    ------
    TypeError
        In `fit`, for a classifier that takes no ``sample_weight`` or has no ``predict_proba``.

    Notes
    -----
    A classifier that holds rows out to stop early or to calibrate itself finds the same row on
    both sides, with several labels: choose its settings by cross-validation of the whole mixture.

    `n_parameters` counts the numbers in ``coef_`` and ``intercept_``; where there are none, as in
    trees, **AIC and BIC mean nothing**.

    References
    ----------
    .. [1] Dempster, A. P., Laird, N. M. & Rubin, D. B. (1977). Maximum likelihood from incomplete
       data via the EM algorithm. Journal of the Royal Statistical Society B 39, 1-38.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.gates import EstimatorGate
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> gate = EstimatorGate(DecisionTreeClassifier(max_depth=2))
    >>> model = MixtureOfExpertsRegressor(2, gate=gate, random_state=0).fit(X, y)
    >>> model.gate_.estimator_
    DecisionTreeClassifier(max_depth=2, random_state=...)
    """

    learning = Learning(sums=False, extrapolates=False)
    inputs = Inputs(raw=True)

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def check_parameters(self):
        black_box.check_estimator(self.estimator, "gate")

    def init(self, X, resp, random_state):
        K = resp.shape[1]
        order = np.arange(K)  # the label of every expert: `take` moves it, and no classifier
        black_box.check_labels(self.estimator, order, "gate")
        seed = black_box.draw_seeds(random_state, 1)
        estimator = self._refit(seed[0], order, X, resp)
        return {"estimator": black_box.boxed([estimator]), "seed": seed, "order": order}

    def log_prob(self, params, X):
        labels = params["order"].astype(int)
        proba = black_box.predict_proba(params["estimator"][0], X, np.arange(len(labels)))
        return np.log(proba)[:, labels]

    def statistics(self, params, X, resp, order=2):
        return Rows(X=X, resp=resp)

    def maximize(self, params, stats, cautious=False):
        """Return the refitted classifier, or the old one if that is better; never lowers Q."""
        X, resp = stats["X"], stats["resp"]
        try:
            refit = self._refit(params["seed"][0], params["order"].astype(int), X, resp)
        except ValueError:  # too few rows of some expert: no step is a step of generalised EM
            return params
        new = params | {"estimator": black_box.boxed([refit])}
        values = (np.sum(resp * self.log_prob(p, X)) for p in (params, new))
        return params if next(values) > next(values) else new

    def _refit(self, seed, order, X, resp):
        """Return a clone fitted to soft targets; expert k has the label `order[k]`."""
        by_label = np.argsort(order)
        label, row = np.nonzero(black_box.counts(resp)[:, by_label].T)
        return black_box.fit(self.estimator, seed, X[row], label, resp[row, by_label[label]])

    def n_parameters(self, params):
        return black_box.n_coefficients(params["estimator"][0])

    def diagnose(self, params, stats):
        return black_box.complaints(params["estimator"], "gate")

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        return dict(params)

    def from_caller(self, values, units, n_experts):
        values = take(values, ("estimator",), "gate", optional=("seed", "order"))
        K = n_experts
        order = shaped(values.get("order", np.arange(K)), (K,), "order", "gate").astype(int)
        if sorted(order) != list(range(K)):
            raise ValueError(
                f"init_params: order of the gate says which class each expert is; it needs 0 ..."
                f" {K - 1}, each once, got {order}."
            )
        return {
            "estimator": black_box.given(values["estimator"], 1, "gate", units.x),
            "seed": shaped(values.get("seed", [0]), (1,), "seed", "gate"),
            "order": order,
        }

    def view(self, params, units, **features):
        order = params["order"].astype(int)
        return ClassifierGateView(**features, estimator_=params["estimator"][0], order_=order)


class ClassifierGateView(GateView):
    """The gate: `estimator_`, a fitted classifier, and `order_`, its class for every expert."""

    kind = "estimator"

    __repr__ = black_box.view_repr

    def predict_proba(self, X):
        """Return g_k(x), (n, K), in the order of the experts."""
        X, labels = self._own_columns(X), np.arange(len(self.order_))
        return black_box.predict_proba(self.estimator_, X, labels)[:, self.order_]
