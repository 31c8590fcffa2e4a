"""What a user sees of a fitted part: plain attributes in the caller's units."""

from __future__ import annotations

import numpy as np

from .arithmetic import UnderflowIsZero
from .checks import is_table
from .storage import all_dense, indexable


class View(UnderflowIsZero):
    """Fitted values of one expert, or of the gate, in the caller's units.

    Attributes end in an underscore and have scikit-learn's shapes. `columns` are the columns of
    the estimator's X that the part uses, its categories coded, named in `feature_names_in_`;
    `coding` codes an X of the caller's.
    """

    kind = "linear"
    """What sort of part it shows: "linear", "network", "estimator" (`estimator_` is what the caller
    gave), "tree" (`nodes_`, `children_`), "localised" (`means_`) or "per output" (`outputs_`)."""
    left = "{}"
    """What the linear map gives, with the name of y put in: "log {}" under a log link."""
    scale_name = "scale"
    """What `scale_` is called in an equation."""

    _coding = None

    def __init__(
        self, columns=None, n_features_in=None, feature_names_in=None, coding=None, **values
    ):
        self._columns = columns
        if coding is not None:
            self._coding = coding
        self._n_features = n_features_in
        if feature_names_in is not None:
            self.feature_names_in_ = feature_names_in
        for name, value in values.items():
            setattr(self, name, value)

    @property
    def linear(self) -> bool:
        """Whether the part is, or comes to, a linear map: it has `coef_` and `intercept_`."""
        return "coef_" in vars(self)  # a localised gate has them where its covariances are equal

    @property
    def uses_x(self) -> bool:
        """Whether the part looks at x: all do but linear ones without slopes."""
        return not self.linear or np.size(self.coef_) > 0

    @property
    def title(self) -> str:
        """Name of the class, or of that of the caller's estimator, for a part without equation."""
        shown = self.estimator_ if self.kind == "estimator" else self
        return type(shown).__name__.removesuffix("View")

    def column_names(self, n_columns):
        """Return the names of the part's columns, (n_columns,): "x2" for one without a name."""
        names = vars(self).get("feature_names_in_")
        if names is None:
            columns = range(n_columns) if self._columns is None else self._columns
            names = [f"x{j}" for j in columns]
        return [str(name) for name in names]

    def _coded(self, X):
        """Return the caller's X with its categories coded, (n, p)."""
        return X if self._coding is None else self._coding.rows(X)

    def _own_columns(self, X):
        """The part's columns of X; X may hold all the estimator's columns or just the part's."""
        X = self._coded(X)
        names = vars(self).get("feature_names_in_")
        if names is not None and is_table(X):
            return np.asarray(X[list(names)], dtype=np.float64)
        X = indexable(X, np.float64)
        own = self._n_features if self._columns is None else len(self._columns)
        if X.ndim != 2 or X.shape[1] not in (self._n_features, own):
            raise ValueError(
                f"X has shape {X.shape}; this part takes the estimator's {self._n_features} columns"
                f" or its own {own}."
            )
        if self._columns is not None and X.shape[1] == self._n_features:
            X = X[:, self._columns]
        return np.ascontiguousarray(all_dense(X, f"{type(self).__name__} needs"))

    def _linear_predictor(self, X):
        return self._own_columns(X) @ np.transpose(self.coef_) + self.intercept_

    def __repr__(self):
        shown = (
            f"{name}={np.array2string(np.asarray(value), precision=4, threshold=12)}"
            for name, value in vars(self).items()
            if name.endswith("_") and name != "feature_names_in_"
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class RegressionView(View):
    """One expert of a regressor: `coef_`, `intercept_`, `scale_`, `covariance_`."""

    scale_name = "sd"

    def predict(self, X):
        """The expert's mean, (n,) or (n, q)."""
        return self._linear_predictor(X)


class ClassificationView(View):
    """One expert of a classifier: `coef_`, `intercept_`, `classes_`.

    Two classes have one row, the log-odds of the second against the first; more have a row each,
    the log-odds against the last, whose row is zero.
    """

    @property
    def log_odds(self):
        """Which class each row speaks of, and against which: a list of pairs of labels.

        The row of zeros is left out.
        """
        if len(self.classes_) == 2:
            return [(self.classes_[1], self.classes_[0])]
        return [(label, self.classes_[-1]) for label in self.classes_[:-1]]

    def predict_proba(self, X):
        """The expert's class probabilities, (n, C)."""
        scores = self._linear_predictor(X)
        if scores.shape[1] == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        scores = scores - scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X):
        """The expert's most probable class, (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class GateView(View):
    """The gate: `coef_` (K, p) and `intercept_` (K,), log-odds against the last expert."""


def take(values, wanted, owner, optional=()):
    """Check the names of a dict of starting values in the caller's units."""
    if not isinstance(values, dict):
        raise ValueError(
            f"init_params for the {owner} must be a dict with {', '.join(wanted)};"
            f" got {type(values).__name__}."
        )
    missing = [name for name in wanted if name not in values]
    unknown = [name for name in values if name not in (*wanted, *optional)]
    if missing or unknown:
        raise ValueError(
            f"init_params for the {owner} takes {', '.join(dict.fromkeys((*wanted, *optional)))};"
            f" got {', '.join(map(str, values)) or 'nothing'}."
        )
    return values


def shaped(value, shape, name, owner):
    """`value` as a finite float array of `shape`, else a ValueError naming both shapes."""
    array = np.asarray(value, dtype=np.float64)
    if [m for m in array.shape if m != 1] == [m for m in shape if m != 1]:
        array = array.reshape(shape)  # an axis of length 1 may be left out, never another order
    if array.shape != tuple(shape):
        raise ValueError(
            f"init_params: {name} of the {owner} needs shape {tuple(shape)}, got {array.shape}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"init_params: {name} of the {owner} holds NaN or infinity.")
    return array
