"""`Writer`: how a computation is written down, value by value, in whatever language."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class Writer(ABC):
    """Writes statements; a value is the name of a table (n, m), a row of constants one of (1, m).

    What a model computes is told to a writer once, by `_recipe`, and each language has a writer.
    """

    x = "X"
    """The rows of the caller, (n, p)."""
    largest = 500.0
    """Beyond this exp, and its square, are no finite numbers."""
    smallest = float(np.exp(-708.396))
    """No probability of a class is below."""

    greatest = float(np.finfo(np.float64).max)
    """The greatest finite number."""

    def note(self, text):  # noqa: B027  a language without comments has none
        """Write a comment."""

    # -- what each language says in its own way ----------------------------------------------

    @abstractmethod
    def row(self, values, hint="constants"):
        """Return a row of constants, (1, m)."""

    @abstractmethod
    def pick(self, a, ids, hint="columns"):
        """Return some columns of a value, in this order."""

    @abstractmethod
    def affine(self, a, coef, intercept, ids=None, hint="linear", notes=None):
        """Return a coefᵀ + intercept, (n, m), of coef (m, p); `ids` are the columns of a."""

    @abstractmethod
    def binary(self, operator, a, b, hint="value"):
        """Return "+", "-", "*" or "/" of two values, a column or a row being repeated."""

    @abstractmethod
    def function(self, name, a, hint="value"):
        """Return "exp", "log", "sigmoid", "tanh", "relu", "square", "floor" or "sqrt" of a."""

    @abstractmethod
    def clip(self, a, low, high, hint="value"):
        """Return a between two numbers, of which either may be None."""

    @abstractmethod
    def log_softmax(self, a, hint="log_share"):
        """Return a less the logarithm of Σ exp a of its row."""

    @abstractmethod
    def best(self, a, k, hint="best"):
        """Return 1 at the k largest of every row, of equals those of lower number, and else 0."""

    @abstractmethod
    def compare(self, operator, a, b, hint="holds"):
        """Return 1 where a ">=" or "==" b, and else 0."""

    @abstractmethod
    def where(self, mask, a, b, hint="value"):
        """Return a where mask is 1, and b where it is 0."""

    @abstractmethod
    def row_sum(self, a, hint="total"):
        """Return Σ of every row, (n, 1)."""

    @abstractmethod
    def concat(self, values, hint="values"):
        """Return the columns of several values side by side."""

    @abstractmethod
    def stack(self, values, axis, hint="values"):
        """Return values (n, m) as one with a third axis, (n, K, m) or (n, m, K); for results."""

    @abstractmethod
    def estimator(self, estimator, ids, classifies, hint="mean"):
        """Return what a fitted estimator of another package predicts: numbers or probabilities."""

    # -- what is made of these ---------------------------------------------------------------

    def keep(self, log_share, k, n, hint="log_gate"):
        """Return the k largest of n log-shares renormalised, -inf for the others, (n, n)."""
        if k >= n:
            return log_share
        kept = self.best(log_share, k, "kept")
        return self.log_softmax(self.where(kept, log_share, self.row([-np.inf] * n, "never")), hint)

    def weighted(self, weights, values, hint="value"):
        """Return Σ_k w_k v_k: weights (n, K), and K values (n, m), of which some may be columns."""
        total = None
        for k, value in enumerate(values):
            term = self.binary("*", self.pick(weights, [k], "weight"), value, "term")
            total = term if total is None else self.binary("+", total, term, hint)
        return total
