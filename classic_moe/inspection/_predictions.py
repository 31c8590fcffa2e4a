"""What is drawn of a fitted model: which model, and which of its outputs or classes."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_is_fitted


def unwrap(estimator, display):
    """The mixture of experts inside, and what must be done to X before it."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    model, transform = estimator, _unchanged
    if hasattr(estimator, "steps"):
        model = estimator[-1]
        transform = estimator[:-1].transform if len(estimator) > 1 else _unchanged
    if not (hasattr(model, "gate_proba") and hasattr(model, "predict_experts")):
        raise ValueError(
            f"{display.__name__} draws mixtures of experts; {type(model).__name__} is none."
        )
    if hasattr(model, "fit"):
        check_is_fitted(model)
    return model, transform


def _unchanged(X):
    return X


def part_name(model):
    """What the experts of a model are called: leaves, if its gate is a tree."""
    return "leaf" if hasattr(getattr(model, "gate_", None), "children_") else "expert"


def observations(model, X, y):
    """Responsibilities (n, K) or None, and for a classifier codes (n,) and names of the classes."""
    known = getattr(model, "classes_", None)
    resp = model.responsibilities(X, y) if hasattr(model, "responsibilities") else None
    if known is None:
        return resp, None, ()
    values = np.asarray(y)
    return resp, np.searchsorted(known, values), [str(name) for name in known]


def one_gate(model, X, target):
    """Gating probabilities (m, K): the gate's, or those for one class or output."""
    proba = np.asarray(model.gate_proba(X))
    if proba.ndim == 3:
        return Pick(model, target, proba).output(proba)
    if target is not None:
        raise ValueError(f"target={target!r}: one gate serves all of y; leave target None.")
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
        self.classes = getattr(model, "classes_", None)
        self.index = None
        if self.classes is not None:
            self.index = self._class(target)
        elif experts.ndim == 3:
            self.index = self._output(target, experts.shape[2])
        elif target is not None:
            raise ValueError(f"target={target!r}: the model has one output; leave target None.")

    def _class(self, target):
        known = self.classes.tolist()
        if target is None and len(known) == 2:
            return 1
        if target not in known:
            shown = ", ".join(map(repr, known))
            raise ValueError(f"target={target!r}: say which class to draw, one of {shown}.")
        return known.index(target)

    @staticmethod
    def _output(target, n_outputs):
        if target is None and n_outputs == 1:
            return 0
        if target not in range(n_outputs):
            raise ValueError(
                f"target={target!r}: y has {n_outputs} columns; say which to draw, by its"
                f" position, 0 to {n_outputs - 1}."
            )
        return int(target)

    def output(self, values):
        """The values drawn, last axis (outputs or classes) taken away."""
        return values if self.index is None else values[..., self.index]

    def mean(self, X):
        """The mixture's mean, or its probability of the class."""
        predict = self.model.predict if self.classes is None else self.model.predict_proba
        return self.output(predict(X))

    def observed(self, y):
        """The target, or whether it is the class."""
        values = np.asarray(y)
        if self.classes is not None:
            return (values == self.classes[self.index]).astype(float)
        return values.astype(float).reshape(len(values), -1)[:, self.index or 0]

    def name(self, y):
        """What the y axis is called."""
        if self.classes is not None:
            name = getattr(y, "name", None) or "y"
            return f"P({name} = {self.classes[self.index]})"
        if self.index is not None:
            columns = getattr(y, "columns", None)
            return f"y{self.index}" if columns is None else str(columns[self.index])
        return str(getattr(y, "name", None) or "y")
