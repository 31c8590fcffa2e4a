"""The protocol of an expert: a bank of K exchangeable densities p_k(y|x)."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..parts.params import Params, leaves
from ..parts.part import Part
from ..parts.records import Target
from ..parts.statistics import Statistics


class BaseExpert(Part):
    """A bank of K exchangeable densities p_k(y|x).

    Hyper-parameters live on the object, fitted values in `Params`: dicts of arrays with leading
    axis K, passed in and returned, so that a fit never changes the object. X (n, p) and y are in
    internal units: y is (n, q) and standardised where `target.standardise`; for classifiers it
    holds the codes 0 ... C - 1 (n,). `resp` (n, K) has the sample weights multiplied in.

    A new family implements the abstract methods below and passes
    `classic_moe.testing.check_expert`. `gradient`, `log_prior`, `n_parameters` and `components`
    are optional: what needs one that is absent says so in one sentence. So are
    `tangent(direction)`: of a change of the parameters, the part that keeps what is tied or fixed;
    and `mean_gradient(params, X, slope)`, for the blended error: with `slope` (n, K, q) the
    derivative of Σ slope·mean in the leaves on which the mean depends, as `Statistics` named as
    those are, sums over rows, without the prior.
    """

    target = Target()
    """What y is to it."""
    takes_where = False
    """Whether `log_prob` and `mean` take the keyword `where` (n, K), bool, and save work by it:
    the entries outside are not used, and may hold anything. None asks for all."""
    exchangeable = True
    """Whether the experts differ by their parameters only, so that they may be reordered."""

    @abstractmethod
    def init(self, X, y, resp, random_state, classes=None) -> Params:
        """Starting values from soft assignments of the rows."""

    @abstractmethod
    def log_prob(self, params: Params, X, y):
        """log p_k(y|x), (n, K)."""

    @abstractmethod
    def mean(self, params: Params, X):
        """E_k[y|x]: (n, K, q); class probabilities (n, K, C) for classifiers."""

    @abstractmethod
    def statistics(self, params: Params, X, y, resp, order=2) -> Statistics:
        """Sums over rows from which `maximize` works; order=1 suffices for `gradient`."""

    @abstractmethod
    def maximize(self, params: Params, stats: Statistics, cautious=False) -> Params:
        """The M-step, or one ascent step, from statistics alone.

        `cautious=True` asks for the step that never lowers Σ resp·log p + log_prior.
        """

    @abstractmethod
    def to_caller(self, params: Params, units) -> dict:
        """The parameters in the caller's units under the names of the views, leading axis K."""

    @abstractmethod
    def from_caller(self, values: dict, units, n_experts, classes=None) -> Params:
        """The inverse of `to_caller`, with a ValueError for wrong names or shapes."""

    @abstractmethod
    def view(self, params: Params, k, units, **shell):
        """Expert k as the user sees it: `coef_`, `intercept_`, ... in the caller's units."""

    @abstractmethod
    def check_target(self, y):
        """ValueError naming the first value and row of y (the caller's) outside the support."""

    def title(self, n_experts):
        """What the experts are, in a heading."""
        return f"{n_experts} x {type(self).__name__}"

    def names(self, n_experts):
        """What each expert is called in tables, texts and pictures."""
        return [f"expert {k}" for k in range(n_experts)]

    def check_one_hot(self):
        """ValueError for a family for numbers that cannot serve classes, one-hot: they sum to 1."""
        if self.target.outputs == 1 or self.target.kind == "mass":
            raise ValueError(
                f"{type(self).__name__} is an expert for regression with one output; classes"
                " need one for classification, or one for several real outputs such as 'linear'."
            )

    def fit_alone(self, X, y, weight, random_state):
        """The experts after a fit of their own to rows with weights (n, K), before the mixture's.

        X and y are the caller's. Experts without such a fit are returned as they are.
        """
        return self

    def set_classes(self, classes):
        """Of a classifier: the caller's labels behind the codes, told once, before `init`."""

    def encode_target(self, y):
        """The caller's y, (n,) or (n, q), as the columns that the verbs see, (n, m)."""
        return y.reshape(len(y), -1)

    def response(self, y):
        """What `mean` predicts, (n, q), and the number of trials behind it (n,) or None.

        `y` is as `encode_target` made it.
        """
        return y, None

    def n_parameters(self, params: Params) -> int:
        """Number of free parameters of the whole bank."""
        return sum(leaf.size for leaf in leaves(params))


def only_where(each, X, where, width):
    """`each(k, X)` (n, width) of every expert k in its rows alone: (n, K, width), 0 elsewhere."""
    found = np.zeros((*where.shape, width))
    for k, rows in enumerate(where.T):
        if rows.any():  # many an estimator refuses no rows at all
            found[rows, k] = each(k, X[rows])
    return found
