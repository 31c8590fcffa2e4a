"""What a model says of rows once its parameters are given: predictions, densities, posteriors.

By the verbs of the parts, or, for the pairs of parts whose formulas they know, by compiled kernels.
Both are handed chunks of rows, so that what they need beside their results stays small.
"""

from __future__ import annotations

import functools

import numpy as np

from .._kernels import array
from .._kernels.array import is_host
from .._kernels.loading import pays
from ..parts import kept
from ..parts.params import Params, leaves
from ._spread import design_rows, gate
from .passes import at_pairs, padded

WIDE = 96
"""Columns of [1, x, y] above which products of matrices on BLAS are faster than the kernels."""
LOST = -1e280
"""Log-densities below this, and logarithms of probabilities, are left to the generic formulas."""
LEAST = 1e-290
"""A probability below this has lost its digits in a kernel."""


def reading(model, params, n, width) -> Reading:
    """Return what `model` says of n rows of `width` columns: compiled where that is worth it.

    Parameters
    ----------
    model : MixtureModel
    params : Params
    n : int
        All rows of which something will be asked.
    width : int
        Columns of the internal X.
    """
    if model.gate.n_kept is not None:
        return SparseReading(model, params)
    wanted = pays(n) if model.compiled == "auto" else model.compiled
    kernels = model.gate.kernel, model.expert.kernel
    if not wanted or None in kernels or 1 + width > WIDE:
        return Reading(model, params)
    made = TABLE.get(tuple(kernel.name for kernel in kernels))
    return Reading(model, params) if made is None else made(model, params, width)


class Reading:
    """What is said of rows, by the verbs of the parts.

    Parameters
    ----------
    model : MixtureModel
    params : Params
    """

    rows = 16384
    """How many rows it is best asked about in one go, at most."""

    def __init__(self, model, params: Params):
        self.model, self.params = model, params

    def gate_proba(self, X):
        """Return g_k(x), (n, K), or (n, K, q) of a gate for every output."""
        return array.namespace(X).exp(self.log_gate(X))

    def log_gate(self, X, hard=False):
        """Return log g_k(x) as predictions use it, (n, K); `hard`: the best expert alone."""
        return self.model.route(self.params, X, prune=True, hard=hard)[0]

    def mean(self, X, hard=False):
        """Return Σ_k g_k(x) E_k[y|x], (n, q) or (n, C)."""
        return self.model.mean(self.params, X, hard)

    def expert_mean(self, X):
        """Return E_k[y|x], (n, K, q) or (n, K, C)."""
        return self.model.expert_mean(self.params, X)

    def log_prob(self, X, y, hard=False):
        """Return log p(y|x), (n,)."""
        return self.model.log_prob(self.params, X, y, hard)

    def responsibilities(self, X, y):
        """Return P(expert k | x, y), (n, K)."""
        return self.model.responsibilities(self.params, X, y)

    def class_proba(self, X):
        """Return Σ_k g_k(x) p_k(c|x), (n, C), or None: there is no shorter way than by logs."""
        return None

    def kept(self, X, k):
        """Return the k experts that a row is sent to, the best first, and g of each, (n, k)."""
        experts, log_weight = kept.route(self.log_gate(X), k)
        return experts, np.exp(log_weight)


class SparseReading(Reading):
    """What is said of rows by a gate that keeps some experts of each: nothing else is looked at.

    What is said of a row has the same bits whatever rows come with it. Products of matrices, on
    BLAS, have them for numbers of rows that are multiples of `passes.TILE`, and so all are.
    """

    @functools.cached_property
    def _n_experts(self):
        return max(len(leaf) for leaf in leaves(self.params["expert"]))

    @functools.cached_property
    def _linear(self):
        """The coefficients of the experts' means, (K, q, P), where they are linear; else None."""
        kernel, expert = self.model.expert.kernel, self.model.expert
        known = kernel is not None and kernel.mean is not None
        return kernel.mean(expert, self.params["expert"]) if known else None

    def _route(self, X, hard=False):
        """Return the kept experts of every row, the best first, and log g of each, (n, k) both."""
        own = self.model.gate_input(padded(X))
        experts, log_weight = self.model.gate.route(self.params["gate"], own)
        experts, log_weight = experts[: len(X)], log_weight[: len(X)]
        return (experts[:, :1], np.zeros((len(X), 1))) if hard else (experts, log_weight)

    def _at(self, verb, experts, log_weight, X, *rows):
        """Return a row-wise verb of the experts at kept pairs, (n, k, ...); 0 at those of g = 0."""
        model, counts = self.model, log_weight > -np.inf
        rows, own = (model.expert_input(X), *rows), self.params["expert"]
        options = dict(model.offset(X), counts=None if counts.all() else counts)
        return at_pairs(model.expert, verb, own, experts, *rows, **options)

    def kept(self, X, k):
        experts, log_weight = self._route(X)
        return experts, np.exp(log_weight)

    def gate_proba(self, X):
        return np.exp(self.log_gate(X))

    def log_gate(self, X, hard=False):
        return kept.spread(*self._route(X, hard), self._n_experts)

    def mean(self, X, hard=False):
        experts, log_weight = self._route(X, hard)
        if self._linear is not None and is_host(X):
            from .._kernels import compiled  # numba is imported here, at first use

            rows = _double(self.model.expert_input(X))
            return compiled.kept_means(rows, experts, log_weight, self._linear)
        mean, weight = self._at(self.model.expert.mean, experts, log_weight, X), np.exp(log_weight)
        return sum(weight[:, j, None] * mean[:, j] for j in range(weight.shape[1]))

    def class_proba(self, X):
        return None if self.model.codes is not None else self.mean(X)

    def log_prob(self, X, y, hard=False):
        if self.model.codes is not None:
            return super().log_prob(X, y, hard)
        experts, log_weight = self._route(X, hard)
        density = self._at(self.model.expert.log_prob, experts, log_weight, X, y)
        return array.logsumexp(log_weight + density)

    def responsibilities(self, X, y):
        experts, log_weight = self._route(X)
        density = self._at(self.model.expert.log_prob, experts, log_weight, X, y)
        resp = array.mixture_posterior(log_weight, density)[1]
        found = np.zeros((len(X), self._n_experts))
        np.put_along_axis(found, experts, resp, axis=1)
        return found


class CompiledReading(Reading):
    """The same by compiled kernels; what these do not know goes by the verbs.

    Parameters
    ----------
    model : MixtureModel
    params : Params
    width : int
        Columns of the internal X.
    """

    rows = 4096

    def __init__(self, model, params, width):
        from .._kernels import compiled  # numba is imported here, at first use

        super().__init__(model, params)
        self._kernels = compiled
        coef, branches, _ = gate(model, params, width, 1)
        self._gate = coef, branches
        self._width = width
        # A tree that leaves out branches, where predictions follow the gate, knows how.
        self._prunes = getattr(model.gate, "prune", 0) > 0

    def gate_proba(self, X):
        if self._prunes or not is_host(X):
            return super().gate_proba(X)
        return self._kernels.gate_probabilities(_double(X), *self._gate)

    def log_gate(self, X, hard=False):
        if self._prunes or not is_host(X):
            return super().log_gate(X, hard)
        log_gate = self._kernels.gate_probabilities(_double(X), *self._gate, logs=True)
        return array.log_harden(log_gate) if hard else log_gate

    def log_prob(self, X, y, hard=False):
        if hard or not self._knows_density(X):
            return super().log_prob(X, y, hard)
        value = self._posterior(_double(X), y, wants_resp=False)[0]
        lost = ~(value > LOST)
        if lost.any():
            value[lost] = super().log_prob(X[lost], y[lost])
        return value

    def responsibilities(self, X, y):
        if not self._knows_density(X):
            return super().responsibilities(X, y)
        value, resp = self._posterior(_double(X), y)
        lost = ~(value > LOST)
        if lost.any():
            resp[lost] = super().responsibilities(X[lost], y[lost])
        return resp

    def _knows_density(self, X):
        return self.model.codes is None and is_host(X)

    def _spread(self, own, n_more=0):
        """Return coefficients of [1, x of the experts, more] over all columns, (K, r, P)."""
        rows = design_rows(self.model.expert_columns, self._width)
        rows = np.concatenate([rows, 1 + self._width + np.arange(n_more)])
        coef = np.zeros((*own.shape[:2], 1 + self._width + n_more))
        coef[:, :, rows] = own
        return coef


class LinearReading(CompiledReading):
    """Softmax or constant gates, flat or in a tree, with linear or constant Gaussian experts."""

    def __init__(self, model, params, width):
        super().__init__(model, params, width)
        self._expert = model.expert.kernel, model.expert, params["expert"]
        known = self._expert[0].mean is not None
        self._coef = self._spread(self._expert[0].mean(*self._expert[1:])) if known else None

    @functools.cached_property
    def _density(self):
        """Whitening maps of z = [1, x, y], (K, q, P), and log normalisers (K,)."""
        whitening, log_norm = self._expert[0].params(*self._expert[1:])
        return self._spread(whitening, whitening.shape[1]), log_norm

    def mean(self, X, hard=False):
        if hard or self._prunes or self._coef is None or not is_host(X):
            return super().mean(X, hard)
        return self._kernels.mixed_mean(_double(X), *self._gate, self._coef)

    def _posterior(self, X, y, wants_resp=True):
        return self._kernels.gaussian_posterior(X, y, *self._gate, *self._density, wants_resp)


class ClassReading(CompiledReading):
    """The same gates with softmax or logistic experts."""

    def __init__(self, model, params, width):
        super().__init__(model, params, width)
        self._coef = self._spread(model.expert.kernel.params(model.expert, params["expert"]))

    def mean(self, X, hard=False):
        proba = None if hard else self.class_proba(X)
        return super().mean(X, hard) if proba is None else proba

    def class_proba(self, X):
        if self._prunes or not is_host(X):
            return None
        return self._kernels.class_probabilities(_double(X), *self._gate, self._coef)

    def _posterior(self, X, y, wants_resp=True):
        return self._kernels.class_posterior(X, y, *self._gate, self._coef, wants_resp)


def _double(X):
    """Return rows in double precision and C order, for which alone the kernels are compiled."""
    return np.ascontiguousarray(X, dtype=np.float64)


TABLE = {("softmax", "linear_gaussian"): LinearReading, ("softmax", "softmax"): ClassReading}
