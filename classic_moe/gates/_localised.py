"""What gates share that are models of x: g_k(x) ∝ a_k p_k(x)."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from .._kernels import array
from ..parts.params import map_leaves
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

    A leaf of its params with leading axis 1 is shared by the experts.
    """

    support = "real numbers"
    """What the columns may hold, in words."""

    def supported(self, X):
        """Which values may stand in the data of a fit, (n, c)."""
        return np.ones(X.shape, dtype=bool)

    def coordinates(self, params):
        """The kinds of the leaves, as for a gate."""
        return {}

    def diagnose(self, params, stats, columns):
        """Findings; `columns` are the names to give the columns."""
        return []


class LocalisedGate(BaseGate):
    """Gate g_k(x) ∝ a_k Π p_k(x_columns), fitted together with p(x) in closed form.

    A subclass says which densities there are and which columns of x each models.
    """

    @abstractmethod
    def _densities(self) -> dict[str, Density]:
        """The densities, under the names that they have in params."""

    @abstractmethod
    def _columns(self, p) -> dict:
        """Indices of the columns of each, of p in all."""

    def _parts(self, p):
        """Name, density and columns of each; without columns there is none."""
        columns, densities = self._columns(p), self._densities()
        return [(name, densities[name], columns[name]) for name in densities if p]

    def _fitted(self, params):
        """Name, density, and parameters of each."""
        densities = self._densities()
        return [(name, densities[name], params[name]) for name in params if name in densities]

    # -- the model -------------------------------------------------------------------------

    def log_joint(self, params, X):
        """log a_k p_k(x), (n, K)."""
        joint = PROPORTIONS.log_prob(params, X)
        for name, density, columns in self._parts(X.shape[1]):
            joint = joint + density.log_prob(params[name], X[:, columns])
        return joint

    def log_prob(self, params, X):
        return array.log_softmax(self.log_joint(params, X))

    # -- fitting ---------------------------------------------------------------------------

    def check_input(self, X):
        """ValueError naming the first value outside the support of its column's density."""
        for name, density, columns in self._parts(X.shape[1]):
            V = X[:, columns]
            wrong = np.argwhere(~density.supported(V))
            if len(wrong):
                row, j = wrong[0]
                raise ValueError(
                    f"{type(self).__name__}: the gate's column {np.arange(X.shape[1])[columns][j]}"
                    f" is {name} and takes {density.support}; got {V[row, j]}."
                )

    def init(self, X, resp, random_state):
        self.check_input(X)
        params = PROPORTIONS.init(X, resp, random_state)
        for name, density, columns in self._parts(X.shape[1]):
            params[name] = density.init(X[:, columns], resp)
        return params

    def statistics(self, params, X, resp, order=2):
        stats = PROPORTIONS.statistics(params, X, resp)
        for name, density, columns in self._parts(X.shape[1]):
            stats[name] = density.statistics(params[name], X[:, columns], resp)
        return stats

    def maximize(self, params, stats, cautious=False):
        """Mean responsibilities and weighted moments: the exact M-step."""
        return self._gather("maximize", params, stats)

    def gradient(self, params, stats):
        """∂Q/∂params with Q = Σ resp·log a_k p_k(x) + log_prior."""
        return self._gather("gradient", params, stats)

    def _gather(self, verb, params, stats):
        gathered = getattr(PROPORTIONS, verb)(params, stats)
        for name, density, own in self._fitted(params):
            gathered[name] = getattr(density, verb)(own, stats[name])
        return gathered

    def coordinates(self, params):
        found = {name: density.coordinates(own) for name, density, own in self._fitted(params)}
        return PROPORTIONS.coordinates(params) | found

    def log_prior(self, params):
        return sum(density.log_prior(own) for _, density, own in self._fitted(params))

    def n_parameters(self, params):
        """The proportions and the parameters of p(x), all of them."""
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

    def reorder(self, params, key, weights=None):
        order = np.argsort(key, kind="stable")
        return map_leaves(lambda leaf: leaf if len(leaf) == 1 else leaf[order], params), order
