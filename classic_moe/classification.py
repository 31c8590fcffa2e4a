"""`MixtureOfExpertsClassifier`."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ._kernels import array
from .base import BaseMixtureOfExperts


SMALLEST = np.log(np.finfo(np.float64).tiny)


class MixtureOfExpertsClassifier(ClassifierMixin, BaseMixtureOfExperts):
    _task = "classification"

    def __init__(
        self,
        n_experts=2,
        *,
        expert="softmax",
        class_weight=None,
        gate="softmax",
        solver="auto",
        gate_features=None,
        expert_features=None,
        offset_feature=None,
        max_iter=500,
        tol=1e-7,
        n_init=10,
        init_params="quantile",
        standardize=True,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_experts = n_experts
        self.expert = expert
        self.class_weight = class_weight
        self.gate = gate
        self.solver = solver
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.offset_feature = offset_feature
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.init_params = init_params
        self.standardize = standardize
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # -- what the base asks of a task --------------------------------------------------------

    def _validate_fit_data(self, X, y):
        X, y = self._validate(X, y)
        check_classification_targets(y)
        return X, column_or_1d(y)

    def _class_weights(self, y, weight):
        if self.class_weight is None:
            return weight
        if self.class_weight != "balanced":
            return weight * compute_sample_weight(self.class_weight, y)
        codes = _classes(y)[1]
        total = np.bincount(codes, weights=weight)  # a row of weight 2 counts as two rows
        present = np.count_nonzero(total)
        return weight * (weight.sum() / (present * np.where(total > 0, total, 1.0)))[codes]

    def _encode_target(self, y):
        self.classes_, codes = _classes(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class ({self.classes_[0]!r}) among the rows with positive weight; a"
                " classifier needs 2."
            )
        return codes, len(self.classes_)

    def _view_options(self):
        return dict(classes=self.classes_)

    def _check_y(self, y):
        """Labels of a new data set as codes, (n,)."""
        y = column_or_1d(y)
        known = np.isin(y, self.classes_)
        if not known.all():
            raise ValueError(
                f"y holds the label {y[~known][0]!r}, which the fit did not see; it saw"
                f" {', '.join(map(repr, self.classes_.tolist()))}."
            )
        return np.searchsorted(self.classes_, y)

    # -- prediction --------------------------------------------------------------------------

    def predict(self, X):
        """The most probable class.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        ndarray of shape (n,)
        """
        most = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most]

    def predict_proba(self, X):
        """Class probabilities Σ g_k(x) p_k(c given x).

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        ndarray of shape (n, C)
            Columns in the order of `classes_`.
        """
        # No probability is exactly 0, so that its logarithm stays finite.
        proba = np.exp(np.maximum(self.predict_log_proba(X), SMALLEST))
        return proba / proba.sum(axis=1, keepdims=True)

    def predict_log_proba(self, X):
        """Logarithms of the class probabilities, exact also where they underflow.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        ndarray of shape (n, C)
        """
        X = self._check_X(X)

        def log_proba(X):
            log_gate = self._model.log_gate(self.params_, X)
            codes = range(len(self.classes_))
            density = (self._model.log_density(self.params_, X, np.full(len(X), c)) for c in codes)
            return np.stack([array.logsumexp(log_gate + d) for d in density], axis=1)

        return self._by_rows(log_proba, X)

    def predict_experts(self, X):
        """Each expert's class probabilities.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        ndarray of shape (n, K, C)
        """
        X = self._check_X(X)
        return self._by_rows(lambda X: self._model.expert_mean(self.params_, X), X)

    def sample(self, X, random_state=None):
        """Draw one label per row, with the expert it came from.

        Parameters
        ----------
        X : array-like of shape (n, p)
        random_state : int, RandomState or None, default=None

        Returns
        -------
        y : ndarray of shape (n,)
        expert : ndarray of int of shape (n,)
        """
        rng = check_random_state(random_state)
        gate, experts = self.gate_proba(X), self.predict_experts(X)
        expert = _draw(gate, rng)
        return self.classes_[_draw(experts[np.arange(len(gate)), expert], rng)], expert


def _classes(y):
    """The labels that occur, sorted, and where in them each row's stands."""
    try:
        return np.unique(y, return_inverse=True)
    except TypeError:
        kinds = ", ".join(sorted({type(v).__name__ for v in y}))
        raise ValueError(f"y mixes labels of different kinds ({kinds}); use one.") from None


def _draw(proba, rng):
    """One index per row of a table of probabilities."""
    cumulative = np.cumsum(proba, axis=1)
    u = rng.uniform(size=(len(proba), 1)) * cumulative[:, -1:]
    return np.minimum((u >= cumulative).sum(axis=1), proba.shape[1] - 1)
