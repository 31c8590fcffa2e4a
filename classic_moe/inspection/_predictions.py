"""What is drawn of a fitted model: which model, and which of its outputs or classes."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..parts import checks
from ..parts.checks import can, fitted_fact
from ..parts.names import names_of
from ..parts.storage import check_memory
from ._columns import drawn_text

ROUNDING = 1e-5
"""By how much probabilities of a row may miss 1: they may be of single precision."""


def unwrap(estimator, display):
    """Return the mixture of experts inside an estimator, and what is done to X before it.

    ValueError, in the name of the class `display`, if there is no mixture of experts inside. The
    truth of simulated data is one, though nothing that can be fitted.
    """
    model, transform = checks.unwrap(estimator)
    if not can(model, "gate_proba", "predict_experts"):
        raise ValueError(
            f"{display.__name__} draws mixtures of experts; {type(model).__name__} is none."
        )
    if can(model, "fit"):
        check_is_fitted(model)
    return model, transform


def check_rows(n, y):
    """ValueError if y, where there is one, has other than n rows; TypeError for y of dask."""
    check_memory("A picture", y=y)
    if y is not None and len(y) != n:
        raise ValueError(f"X has {n} rows and y {len(y)}; they must match.")


def has_tree(model):
    """Tell whether the gate of a model is a tree."""
    gate = fitted_fact(model, "gate_")
    return gate is not None and gate.kind == "tree"


def part_name(model):
    """Return what the experts of a model are called, "leaf" or "expert"."""
    return "leaf" if has_tree(model) else "expert"


def expert_names(model):
    """Return the names of the experts, a list of K, or None for the truth of simulated data."""
    return [*map(drawn_text, model.describe().expert_names)] if can(model, "describe") else None


def target_names(model, y):
    """Return what y is called, a list of str: as it is given, else as it was in the fit."""
    given = names_of(y)
    if given is None:
        given = model.describe().target_names if can(model, "describe") else ["y"]
    return [drawn_text(name) for name in given]


def responsibilities(model, X, y):
    """Return the responsibilities (n, K), or None under an objective that knows none."""
    return model.responsibilities(X, y) if can(model, "responsibilities") else None


def probabilities(name, values):
    """Return probabilities of experts as an array, (n, K); ValueError for what are none."""
    found = np.asarray(values, dtype=float)
    if found.ndim != 2 or not found.size:
        raise ValueError(
            f"{name} has shape {found.shape}; needs a row for each row of the data and a column"
            " for each expert."
        )
    total = found.sum(axis=1)
    if not (found >= 0).all() or np.abs(total - 1).max() > ROUNDING:
        raise ValueError(
            f"{name} are no probabilities: each row must sum to 1 without negative numbers, and"
            f" the sums go from {total.min():.4g} to {total.max():.4g}."
        )
    return found


def observed_classes(model, y):
    """Return the codes (n,) and names of the classes of a classifier's rows, else None and ()."""
    classes = fitted_fact(model, "classes_")
    if classes is None or y is None:
        return None, ()
    return np.searchsorted(classes, np.asarray(y)), [drawn_text(name) for name in classes]


def one_gate(model, X, target):
    """Return the gating probabilities (m, K): the gate's, or those for one class or output.

    Experts in one-hot rows where the model believes one alone, ``assignment="hard"``.
    """
    proba = np.asarray(model.gate_proba(X))
    if proba.ndim == 3:
        proba = Pick(model, target, proba).output(proba)
    elif target is not None:
        raise ValueError(f"target={target!r}: one gate serves all of y; leave target None.")
    return _as_believed(model, proba)


def _as_believed(model, proba):
    """Return gating probabilities (m, K), in one-hot rows where the best expert is taken alone."""
    if fitted_fact(model, "assignment", "soft") == "hard":
        return np.eye(proba.shape[1])[proba.argmax(axis=1)]
    return proba


class Pick:
    """Which column of the predictions is drawn: the only one, an output, or a class.

    Parameters
    ----------
    model : fitted mixture of experts
    target : int, label or None, as the user gave it
    experts : ndarray of shape (m, K) or (m, K, q), as the model predicts them
    """

    def __init__(self, model, target, experts):
        self.model = model
        self.classes = fitted_fact(model, "classes_")
        self.index = None
        if self.classes is not None:
            self.index = self._class(target)
        elif experts.ndim == 3:
            self.index = self._output(target, experts.shape[2])
        elif target is not None:
            raise ValueError(f"target={target!r}: the model has one output; leave target None.")

    def _class(self, target):
        """Return the position of the class that `target` names, an int."""
        known = self.classes.tolist()
        if target is None and len(known) == 2:
            return 1
        if target not in known:
            shown = ", ".join(map(repr, known))
            raise ValueError(f"target={target!r}: say which class to draw, one of {shown}.")
        return known.index(target)

    @staticmethod
    def _output(target, n_outputs):
        """Return the position of the output that `target` names, an int."""
        if target is None and n_outputs == 1:
            return 0
        if target not in range(n_outputs):
            raise ValueError(
                f"target={target!r}: y has {n_outputs} columns; say which to draw, by its"
                f" position, 0 to {n_outputs - 1}."
            )
        return int(target)

    def output(self, values):
        """Return the values drawn, the last axis (outputs or classes) taken away."""
        return values if self.index is None else values[..., self.index]

    def gate(self, X):
        """Return the gating probabilities of the output or class that is drawn, (m, K)."""
        proba = np.asarray(self.model.gate_proba(X))
        return _as_believed(self.model, self.output(proba) if proba.ndim == 3 else proba)

    def mean(self, X):
        """Return the mixture's mean, or its probability of the class, (m,)."""
        predict = self.model.predict if self.classes is None else self.model.predict_proba
        return self.output(predict(X))

    def observed(self, y):
        """Return the target, or 1.0 where it is the class, (n,)."""
        values = np.asarray(y)
        if self.classes is not None:
            return (values == self.classes[self.index]).astype(float)
        return values.astype(float).reshape(len(values), -1)[:, self.index or 0]

    def name(self, y):
        """Return what the y axis is called, a str."""
        names = target_names(self.model, y)
        if self.classes is not None:
            return f"P({names[0]} = {drawn_text(self.classes[self.index])})"
        if self.index is None:
            return names[0]
        return names[self.index] if self.index < len(names) else f"y{self.index}"
