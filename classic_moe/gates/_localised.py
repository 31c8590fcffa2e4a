"""What gates share that are models of x: g_k(x) ∝ a_k p_k(x)."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from sklearn.utils.metaestimators import available_if

from .._kernels import array
from ..parts.part import offers
from ..parts.predictors import add_terms, within
from .base import BaseGate
from .constant import ConstantGate

PROPORTIONS = ConstantGate()
"""The factors a_k are those of a constant gate."""


class Density:
    """A bank of K densities p_k of some columns of x, with the verbs of a gate.

    A subclass has `init(X, resp)`, `log_prob(params, X)`, `statistics(params, X, resp)`,
    `maximize(params, stats)`, `gradient(params, stats)`, `log_prior(params)`,
    `n_parameters(params)`, `n_columns(params)` and, with x the `Scaling` of its columns,
    `to_caller(params, x)` and `from_caller(values, weights, x)`. The first gives a dict of "means"
    (K, c) and what else there is: "covariances" (K, c, c), "variances" (K, c), or "levels", the
    probabilities (K, L) of every column. The second takes means, covariances and levels.

    `predictors(params)` and `rows(params, X, derivatives)`, which are optional, are those of a
    gate, for log p_k(x); the leaves have their names in the density's own params.

    A leaf of its params with leading axis 1 is shared by the experts.
    """

    support = "real numbers"
    """What the columns may hold, in words."""

    def supported(self, X):
        """Return which values may stand in the data of a fit, bool (n, c)."""
        xp = array.namespace(X)
        return xp.ones(X.shape, dtype=xp.bool, device=X.device)

    def coordinates(self, params):
        """Return the kinds of the leaves, as for a gate."""
        return {}

    def diagnose(self, params, stats, columns):
        """Return findings; `columns` are the names to give the columns."""
        return []


class LocalisedGate(BaseGate):
    """Gate g_k(x) ∝ a_k Π p_k(x_columns), fitted together with p(x) in closed form.

    A subclass says which densities there are and which columns of x each models.
    """

    @abstractmethod
    def _densities(self) -> dict[str, Density]:
        """Return the densities, under the names that they have in params."""

    @abstractmethod
    def _columns(self, p) -> dict:
        """Return the indices of the columns of each, of p in all."""

    def _parts(self, p):
        """Return name, density and columns of each; without columns there is none."""
        columns, densities = self._columns(p), self._densities()
        return [(name, densities[name], columns[name]) for name in densities if p]

    def _fitted(self, params):
        """Return name, density and parameters of each."""
        densities = self._densities()
        return [(name, densities[name], params[name]) for name in densities if name in params]

    # -- the model -------------------------------------------------------------------------

    def log_joint(self, params, X):
        """Return log a_k p_k(x), (n, K)."""
        joint = PROPORTIONS.log_prob(params, X)
        for name, density, columns in self._parts(X.shape[1]):
            joint = joint + density.log_prob(params[name], array.columns_at(X, columns))
        return joint

    def log_prob(self, params, X):
        return array.log_softmax(self.log_joint(params, X))

    # -- fitting ---------------------------------------------------------------------------

    def check_input(self, X):
        """Raise a ValueError naming the first value outside the support of its column's density."""
        for name, density, columns in self._parts(X.shape[1]):
            V = array.columns_at(X, columns)
            supported = density.supported(V)
            if not bool(array.namespace(V).all(supported)):
                V, wrong = array.to_host(V), np.argwhere(~array.to_host(supported))
                row, j = wrong[0]
                raise ValueError(
                    f"{type(self).__name__}: the gate's column {np.arange(X.shape[1])[columns][j]}"
                    f" is {name} and takes {density.support}; got {V[row, j]}."
                )

    def init(self, X, resp, random_state):
        self.check_input(X)
        params = PROPORTIONS.init(X, resp, random_state)
        for name, density, columns in self._parts(X.shape[1]):
            params[name] = density.init(array.columns_at(X, columns), resp)
        return params

    def statistics(self, params, X, resp, order=2):
        stats = PROPORTIONS.statistics(params, X, resp)
        for name, density, columns in self._parts(X.shape[1]):
            stats[name] = density.statistics(params[name], array.columns_at(X, columns), resp)
        return stats

    def maximize(self, params, stats, cautious=False):
        """Return mean responsibilities and weighted moments: the exact M-step."""
        return self._gather("maximize", params, stats)

    def gradient(self, params, stats):
        """Return ∂Q/∂params with Q = Σ resp·log a_k p_k(x) + log_prior."""
        return self._gather("gradient", params, stats)

    def _gather(self, verb, params, stats):
        gathered = getattr(PROPORTIONS, verb)(params, stats)
        for name, density, own in self._fitted(params):
            gathered[name] = getattr(density, verb)(own, stats[name])
        return gathered

    def coordinates(self, params):
        found = {name: density.coordinates(own) for name, density, own in self._fitted(params)}
        return PROPORTIONS.coordinates(params) | found

    def _has_rows(self):
        return all(offers(density, "rows") for density in self._densities().values())

    @available_if(_has_rows)
    def predictors(self, params):
        """Return the log-weights, shared by all experts, and the predictors of every density."""
        found = PROPORTIONS.predictors(params)
        for name, density, own in self._fitted(params):
            found += within(name, density.predictors(own))
        return found

    @available_if(_has_rows)
    def rows(self, params, X, derivatives=2):
        """Return log a_k p_k(x) and its derivatives, `Terms`."""
        each = [PROPORTIONS.rows(params, X, derivatives)]
        for name, density, columns in self._parts(X.shape[1]):
            each.append(density.rows(params[name], array.columns_at(X, columns), derivatives))
        return add_terms(each)

    def log_prior(self, params):
        return sum(density.log_prior(own) for _, density, own in self._fitted(params))

    def n_parameters(self, params):
        """Count the proportions and the parameters of p(x), all of them."""
        return PROPORTIONS.n_parameters(params) + sum(
            density.n_parameters(own) for _, density, own in self._fitted(params)
        )

    def diagnose(self, params, stats):
        p = sum(density.n_columns(own) for _, density, own in self._fitted(params))
        return [
            finding
            for name, density, columns in self._parts(p)
            for finding in density.diagnose(params[name], stats[name], np.arange(p)[columns])
        ]
