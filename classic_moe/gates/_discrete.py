"""Densities of codes and of counts with the verbs of a gate's density; see `_localised`.

A value outside the support says nothing: its column is left out for that row.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from .._kernels import array
from .._kernels.special import special
from ..exceptions import SeparationWarning
from ..parts.findings import Finding
from ..parts.predictors import Predictor, Terms, add_terms
from ..parts.statistics import Statistics
from ._localised import Density
from .constant import SMALLEST

MOST_LEVELS = 1000
"""A column may have as many levels as there are rows, and this many in any case."""
LARGEST_COUNT = 1e30
"""Larger numbers are no counts; the logarithms of their masses would overflow in the end."""
SMALL_LOG_FACTORIALS = gammaln(np.arange(1.0, 257.0))
"""Of 0 ... 255."""
LARGEST_LOG_RATE = 300.0
"""Where a stretched step would overflow."""


class Categorical(Density):
    """Codes 0 ... L - 1, with ν pseudo-rows spread evenly over the levels of each column.

    The parameters hold one leaf (K, L) of log probabilities a column, under its position.
    """

    support = "codes 0, 1, 2, ... (no more levels than rows)"

    def __init__(self, prior, n_levels=None):
        self.prior, self.n_levels = prior, n_levels
        if n_levels is not None:
            self.support = f"codes 0 ... {n_levels - 1}"

    def _log_proba(self, leaf):
        """Return logs of probabilities that sum to 1, also after a solver has stretched a step."""
        return array.log_softmax(leaf)

    def supported(self, X):
        most = self.n_levels or max(MOST_LEVELS, X.shape[0])
        return (X >= 0) & (X < most) & (X == array.namespace(X).floor(X))

    def init(self, X, resp):
        sizes = [self.n_levels or int(x.max()) + 1 for x in X.T]
        params = {str(j): np.zeros((resp.shape[1], size)) for j, size in enumerate(sizes)}
        return self.maximize(params, self.statistics(params, X, resp))

    def _codes(self, params, X):
        """Yield name, log probabilities, which rows have a known level, and levels, by column.

        The levels are (n,) integers, 0 where they are not known.
        """
        xp = array.namespace(X)
        for j, (name, leaf) in enumerate(params.items()):
            x = X[:, j]
            known = (x >= 0) & (x < leaf.shape[1]) & (x == xp.floor(x))
            codes = xp.astype(xp.where(known, x, xp.zeros_like(x)), xp.int64)
            yield name, self._log_proba(leaf), known, codes

    def log_prob(self, params, X):
        total, xp = 0.0, array.namespace(X)
        for _, log_proba, known, codes in self._codes(params, X):
            column = xp.take(array.like(X, log_proba.T), codes, axis=0)
            total = total + xp.where(known[:, None], column, 0.0)
        return total

    def predictors(self, params):
        """Return the log-shares of all levels of all columns."""
        return [
            Predictor(name, ((level,),), design="1")
            for name, leaf in params.items()
            for level in range(leaf.shape[1])
        ]

    def rows(self, params, X, derivatives=2):
        """Return log p_k(x), the softmax of the log-shares, and its derivatives, `Terms`.

        ∂ log p_kc / ∂s_l = [l = c] - p_kl, and -∂² log p_kc / ∂s ∂sᵀ = diag(p_k) - p_k p_kᵀ, both 0
        in rows whose level is not known.
        """
        each, xp = [], array.namespace(X)
        for _, log_proba, known, codes in self._codes(params, X):
            own, unit = np.exp(log_proba), np.eye(log_proba.shape[1])
            bend, curvature = own[:, :, None] * (unit - own[:, None, :]), None
            log_share, proba, unit, bend = array.like(X, log_proba.T, own, unit, bend)
            log_prob = xp.where(known[:, None], xp.take(log_share, codes, axis=0), 0.0)
            slope = xp.take(unit, codes, axis=0)[:, None, :] - proba
            slope = xp.where(known[:, None, None], slope, 0.0)
            if derivatives > 1:
                curvature = xp.where(known[:, None, None, None], bend, 0.0)
            each.append(Terms(log_prob, slope, curvature))
        return add_terms(each)

    def statistics(self, params, X, resp):
        return Statistics(
            {
                name: _sums_of_levels(known, codes, resp, log_proba.shape[1])
                for name, log_proba, known, codes in self._codes(params, X)
            }
        )

    def maximize(self, params, stats):
        """Return the shares of the levels; an expert without rows keeps what it has."""
        following = {}
        for name, leaf in params.items():
            counts = stats[name] + self.prior / leaf.shape[1]
            total = counts.sum(axis=1, keepdims=True)
            proba = np.maximum(counts / np.where(total > 0, total, 1.0), SMALLEST)
            following[name] = np.where(total > 0, np.log(proba), leaf)
        return following

    def gradient(self, params, stats):
        gradient = {}
        for name, leaf in params.items():
            counts = stats[name] + self.prior / leaf.shape[1]
            proba = np.exp(self._log_proba(leaf))
            gradient[name] = counts - proba * counts.sum(axis=1, keepdims=True)
        return gradient

    def log_prior(self, params):
        return self.prior * float(
            sum(np.mean(self._log_proba(leaf), axis=1).sum() for leaf in params.values())
        )

    def coordinates(self, params):
        return dict.fromkeys(params, "log_shares")

    def n_columns(self, params):
        return len(params)

    def n_parameters(self, params):
        return sum(len(leaf) * (leaf.shape[1] - 1) for leaf in params.values())

    def diagnose(self, params, stats, columns):
        never = [np.argwhere(leaf <= np.log(SMALLEST)) for leaf in params.values()]
        return [
            _impossible(cells[0, 0], f"{cells[0, 1]} of column {column}")
            for cells, column in zip(never, columns, strict=True)
            if len(cells)
        ]

    def to_caller(self, params, x):
        """Return moments of the codes and the probabilities of the levels."""
        levels = [np.exp(self._log_proba(leaf)) for leaf in params.values()]
        codes = [np.arange(proba.shape[1]) for proba in levels]
        mean, square = (
            np.column_stack([proba @ c**power for proba, c in zip(levels, codes, strict=True)])
            for power in (1, 2)
        )
        return {"means": mean, "variances": square - mean**2, "levels": levels}

    def from_caller(self, values, weights, x):
        """Return params; a column that the units say is without spread has none."""
        return {
            str(j): np.log(np.maximum(proba, SMALLEST))
            for j, (proba, factor) in enumerate(zip(values["levels"], x.factor, strict=True))
            if factor > 0
        }


def _sums_of_levels(known, codes, resp, n_levels):
    """Return Σ resp of the rows with each level, (K, L)."""
    if array.is_host(resp):
        rows = np.flatnonzero(known)
        return np.stack([np.bincount(codes[rows], r, n_levels) for r in resp[rows].T])
    xp = array.namespace(resp)
    levels = xp.arange(n_levels, dtype=codes.dtype, device=codes.device)
    one_hot = known[:, None] & (codes[:, None] == levels[None, :])
    return resp.T @ xp.astype(one_hot, resp.dtype)


def _log_factorials(counts):
    """Return log x! of counts, (n, c)."""
    if not array.is_host(counts):
        return special(array.namespace(counts)).gammaln(counts + 1)
    if counts.max(initial=0) < len(SMALL_LOG_FACTORIALS):
        return SMALL_LOG_FACTORIALS[counts.astype(np.intp)]
    return gammaln(counts + 1)


class Poisson(Density):
    """Counts, with ν pseudo-rows that count 1."""

    support = "counts 0, 1, 2, ..."

    def __init__(self, prior):
        self.prior = prior

    def supported(self, X):
        return (X >= 0) & (X <= LARGEST_COUNT) & (X == array.namespace(X).floor(X))

    def init(self, X, resp):
        params = {"log_rate": np.zeros((resp.shape[1], X.shape[1]))}
        return self.maximize(params, self.statistics(params, X, resp))

    def _rate(self, params):
        log_rate = np.minimum(params["log_rate"], LARGEST_LOG_RATE)
        return log_rate, np.exp(log_rate)

    def _counts(self, X):
        xp, known = array.namespace(X), self.supported(X)
        counts = xp.where(known, X, xp.zeros_like(X))
        return xp.astype(known, xp.float64), xp.astype(counts, xp.float64)

    def log_prob(self, params, X):
        log_rate, rate = array.like(X, *self._rate(params))
        known, counts = self._counts(X)
        log_factorials = array.namespace(X).sum(_log_factorials(counts), axis=1)
        return (log_rate @ counts.T - rate @ known.T - log_factorials).T  # rows innermost in memory

    def predictors(self, params):
        """Return the logarithms of the rates, one a column."""
        columns = range(self.n_columns(params))
        return [Predictor("log_rate", ((j,),), design="1") for j in columns]

    def rows(self, params, X, derivatives=2):
        """Return log p_k(x) and its derivatives in the log-rates η, `Terms`.

        ∂ log p / ∂η_j = x_j - exp η_j, and minus the second derivative is exp η_j; both are 0 for
        what is no count, and beyond the largest rate, where the mass stays what it is there.
        """
        moves, rate = 1.0 * (params["log_rate"] <= LARGEST_LOG_RATE), self._rate(params)[1]
        moves, rate, unit = array.like(X, moves, rate, np.eye(rate.shape[1]))
        known, counts = self._counts(X)
        mean = known[:, None, :] * rate
        slope, curvature = moves * (counts[:, None, :] - mean), None
        if derivatives > 1:
            curvature = (moves * mean)[..., None] * unit
        return Terms(self.log_prob(params, X), slope, curvature)

    def statistics(self, params, X, resp):
        known, counts = self._counts(X)
        return Statistics(n=resp.T @ known, total=resp.T @ counts)

    def maximize(self, params, stats):
        n, total = stats["n"] + self.prior, stats["total"] + self.prior
        rate = np.maximum(total / np.where(n > 0, n, 1.0), SMALLEST)
        return {"log_rate": np.where(n > 0, np.log(rate), params["log_rate"])}

    def gradient(self, params, stats):
        rate = self._rate(params)[1]
        return {"log_rate": stats["total"] + self.prior - rate * (stats["n"] + self.prior)}

    def log_prior(self, params):
        log_rate, rate = self._rate(params)
        return self.prior * float(np.sum(log_rate - rate))

    def coordinates(self, params):
        return {"log_rate": (np.log(SMALLEST), LARGEST_LOG_RATE)}

    def n_columns(self, params):
        return params["log_rate"].shape[1]

    def n_parameters(self, params):
        return params["log_rate"].size

    def diagnose(self, params, stats, columns):
        never = np.argwhere(params["log_rate"] <= np.log(SMALLEST))
        return [_impossible(k, f"above 0 of column {columns[j]}") for k, j in never]

    def to_caller(self, params, x):
        rate = self._rate(params)[1]
        return {"means": rate, "variances": rate}

    def from_caller(self, values, weights, x):
        if values["means"].min(initial=np.inf) < 0:
            raise ValueError("init_params: means of counts must not be negative.")
        means = values["means"][:, x.factor > 0]
        return {"log_rate": np.log(np.maximum(means, SMALLEST))}


def _impossible(k, what):
    text = f"the gate gives value {what} probability 0 under expert {k}; a prior above 0 keeps it"
    return Finding(SeparationWarning, text + " possible.", severe=False)
