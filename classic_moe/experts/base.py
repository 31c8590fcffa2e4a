"""The protocol of an expert: a bank of K exchangeable densities p_k(y|x)."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..data.units import Scaling, Units
from ..parts import row_learning
from ..parts.params import Params, leaves
from ..parts.part import Part, carried, offers
from ..parts.predictors import Terms
from ..parts.records import Target
from ..parts.statistics import Statistics
from ..parts.views import shaped, take


class BaseExpert(Part):
    """A bank of K exchangeable densities p_k(y|x).

    Hyper-parameters live on the object, fitted values in `Params`: dicts of arrays with leading
    axis K, passed in and returned, so that a fit never changes the object. X (n, p) and y are in
    internal units: y is (n, q) and standardised where `target.standardise`; for classifiers it
    holds the codes 0 ... C - 1 (n,). `resp` (n, K) has the sample weights multiplied in.

    A new family implements the abstract methods below and passes
    `classic_moe.testing.check_expert`; a family of which there is only the density derives from
    `RowwiseExpert`, which learns by itself. Other verbs are optional, and what needs one that is
    absent says so in one sentence:

    - ``gradient(params, stats)``: ∂Q/∂params, priors included;
    - ``predictors(params)`` and ``rows(params, X, y, derivatives=2, offset=None)``: see
      `classic_moe.parts.predictors`;
    - ``components(params, X, units, single_output=True)``: the K predictive distributions;
    - ``mean_gradient(params, X, slope)``, for the blended error: with `slope` (n, K, q) the
      derivative of Σ slope·mean in the leaves on which the mean depends, as `Statistics` named as
      those are, sums over rows, without the prior.
    """

    target = Target()
    """What y is to it."""
    exchangeable = True
    """Whether the experts differ by their parameters only, so that they may be reordered."""

    @abstractmethod
    def init(self, X, y, resp, random_state, classes=None) -> Params:
        """Return starting values from soft assignments of the rows.

        `classes` (C,) are the caller's labels behind the codes in y; None for numbers.
        """

    @abstractmethod
    def log_prob(self, params: Params, X, y):
        """Return log p_k(y|x), (n, K)."""

    @abstractmethod
    def mean(self, params: Params, X):
        """Return E_k[y|x], (n, K, q); class probabilities (n, K, C) for classifiers."""

    @abstractmethod
    def statistics(self, params: Params, X, y, resp, order=2) -> Statistics:
        """Return sums over rows from which `maximize` works; order=1 suffices for `gradient`."""

    @abstractmethod
    def maximize(self, params: Params, stats: Statistics, cautious=False) -> Params:
        """Take the M-step, or one ascent step, from statistics alone; return new params.

        `cautious=True` asks for the step that never lowers Σ resp·log p + log_prior.
        """

    @abstractmethod
    def view(self, params: Params, k, units, **shell):
        """Return expert k as the user sees it: `coef_`, `intercept_`, ... in the caller's units."""

    def to_caller(self, params: Params, units) -> dict:
        """Return the parameters in the caller's units under the names of the views.

        By default the coefficients of `predictors` with design "x" are affine maps of x, and other
        leaves have no unit. A leaf ``coef`` (K, ..., 1 + p) becomes ``coef`` (K, ..., p) and
        ``intercept`` (K, ...), any other one ``<leaf>`` and ``<leaf>_intercept``.
        """
        values = dict(params)
        for leaf in self._linear_leaves(params):
            coef = params[leaf][..., None, :]  # one output
            slopes, intercept = _affine_units(units).coef_to_caller(coef)
            values[leaf], values[_intercept(leaf)] = slopes[..., 0, :], intercept[..., 0]
        return values

    def from_caller(self, values: dict, units, n_experts, classes=None) -> Params:
        """Return the inverse of `to_caller`, with a ValueError for wrong names or shapes."""
        if not isinstance(values, dict):
            take(values, ("coef", "intercept"), "expert")  # which says so
        params = {}
        for name, value in values.items():
            if name in map(_intercept, values):
                continue
            value = np.asarray(value, dtype=np.float64)
            linear, width = _intercept(name) in values, len(units.x.center)
            if not (value.ndim and len(value) == n_experts and (not linear or value.ndim > 1)):
                raise ValueError(
                    f"init_params: {name} of the expert has shape {value.shape}; its first axis is"
                    f" that of the {n_experts} experts."
                )
            if linear:
                shape = (*value.shape[:-1], 1, width)
                value = shaped(value, (*value.shape[:-1], width), name, "expert").reshape(shape)
                intercept = values[_intercept(name)]
                intercept = shaped(intercept, shape[:-1], _intercept(name), "expert")
                value = _affine_units(units).coef_from_caller(value, intercept)[..., 0, :]
            params[name] = value
        self._check_leaves(params)
        return params

    def _check_leaves(self, params):
        """Raise a ValueError unless params have the leaves of the predictors and no others."""
        try:
            own = {each.leaf.split("/")[0] for each in self.predictors(params)}
        except KeyError as error:
            raise ValueError(f"init_params for the expert lacks {error}.") from error
        fixed = {name for name, kind in self.coordinates(params).items() if kind == "fixed"}
        take(params, tuple(sorted(own)), "expert", tuple(sorted(fixed)))

    def _linear_leaves(self, params):
        """Return the names of the leaves that hold affine maps of x, in their order."""
        if not offers(self, "predictors"):
            raise NotImplementedError(
                f"{type(self).__name__} has no predictors, so it needs to_caller and from_caller of"
                " its own."
            )
        own = self.predictors(params)
        return list(dict.fromkeys(each.leaf for each in own if each.design == "x"))

    def check_target(self, y):
        """Raise a ValueError naming the first value and row of y outside the support.

        `y` is the caller's. By default every finite number is in it.
        """
        rows = np.reshape(y, (len(y), -1))
        for row in np.flatnonzero(~np.isfinite(rows).all(axis=1))[:1]:
            raise ValueError(
                f"{type(self).__name__} needs finite numbers; y[{row}] is {y[row].tolist()}."
            )

    def n_parameters(self, params: Params) -> int:
        """Return the number of free parameters of the whole bank, an int."""
        return sum(leaf.size for leaf in leaves(params))


class RowwiseExpert(BaseExpert):
    """An expert of which there is only the density, with its derivatives in predictors.

    A family says by which `predictors` a row's density depends on the parameters, and gives `rows`;
    it writes ``init``, ``mean`` and ``view`` besides. The density, the statistics, the M-step, the
    gradient, the ridge penalties and the caller's units follow.

    The M-step is one step of Newton's method in the free coordinates of an expert, along whose
    directions of positive curvature it goes up as well. `cautious=True` takes a part of it that
    ascends unless the third derivatives are large.
    """

    @abstractmethod
    def predictors(self, params: Params) -> list:
        """Return the expert's own predictors, a list of `Predictor`."""

    @abstractmethod
    def rows(self, params: Params, X, y, derivatives=2) -> Terms:
        """Return log-densities and derivatives in the predictors, `Terms`.

        A family whose target has an offset takes the keyword ``offset`` (n,).
        """

    def log_prob(self, params, X, y, **offset):
        return self.rows(params, X, y, 1, **offset).log_prob

    def statistics(self, params, X, y, resp, order=2, **offset):
        terms = self.rows(params, X, y, order, **offset)
        return row_learning.statistics(self.predictors(params), terms, X, resp)

    def maximize(self, params, stats, cautious=False):
        return row_learning.step(self, params, stats, cautious)

    def gradient(self, params, stats):
        """Return ∂Q/∂params, penalties included, nested like `params`."""
        return row_learning.gradient(self, params, stats)

    def carry(self, params, stats, factor):
        held = row_learning.Layout(self, params).penalty_slopes()
        return carried(stats, factor, {"gradient": held})

    def log_prior(self, params):
        return row_learning.log_prior(self, params)


def _intercept(leaf):
    """Return what the caller calls the intercepts of a leaf of coefficients."""
    return "intercept" if leaf == "coef" else f"{leaf}_intercept"


def _affine_units(units):
    """Return the units of a linear predictor, which is not y: that of x alone."""
    return Units(units.x, Scaling.identity(1))
