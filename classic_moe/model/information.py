"""The observed information of any gate with any experts, from their row-wise derivatives.

With l_k = log g_k(x) p_k(y|x) of a row, h_k its responsibility, D_k = ∂l_k/∂η and C_k = -∂²l_k/∂η²
in the predictors η of all parts, minus the second derivative of log Σ_k exp l_k is (Louis, 1982)

    A = Σ_k h_k C_k - [Σ_k h_k D_k D_kᵀ - (Σ_k h_k D_k)(Σ_k h_k D_k)ᵀ],

and every block of the information in the predictors' coefficients is a weighted Gram matrix,
Σ_rows w A_ab z_a z_bᵀ, z_a = [1, x] or [1] being the design of predictor a.

References
----------
Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm. Journal of
the Royal Statistical Society B 44, 226-233.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .._kernels import array
from ..parts.statistics import Statistics
from .objectives import MixtureLikelihood

BLOCK_NUMBERS = 2**22
"""Second derivatives of a block of rows that are held at once: 32 MiB."""
STEP = 1e-5
"""Of the central differences of the priors' gradient, which sees no rows."""
PARTS = ("gate", "expert")


@dataclass(frozen=True, eq=False)
class Information:
    """Minus the Hessian of an objective, in the coefficients of the predictors.

    Attributes
    ----------
    matrix : ndarray of shape (m, m)
    positions : tuple of ndarray of int
        Which numbers of the vector of free coordinates each coefficient is; where there are
        several, they move together.
    n_free : int
        The length of that vector.
    """

    matrix: np.ndarray
    positions: tuple
    n_free: int

    def in_coefficients(self, slope):
        """Return the derivative in the coefficients, (m,), from that in free coordinates."""
        return np.array([slope[own].sum() for own in self.positions])

    def in_free(self, step):
        """Return a change of the coefficients as one of the free coordinates, (n_free,)."""
        vector = np.zeros(self.n_free)
        for value, own in zip(step, self.positions, strict=True):
            vector[own] = value
        return vector


def information(model, params, batches) -> Information:
    """Return the observed information of the log-likelihood, without priors.

    Parameters
    ----------
    model : MixtureModel
        Of parts that have `predictors` and `rows`, under the mixture likelihood.
    params : Params
    batches : Batches
        Without groups; expert labels count as they do in the fit.
    """
    if type(model.objective) is not MixtureLikelihood:
        raise ValueError(
            f"{type(model.objective).__name__}: the information is worked out for the likelihood of"
            " the mixture alone."
        )
    sums = batches.map_sum(functools.partial(_grams, model), params)
    layout = _Layout(model, params, len(sums["resp"]))
    return Information(layout.matrix(sums["grams"]), layout.positions, layout.n_free)


def with_priors(model, params, found, stats) -> Information:
    """Return the information of the penalised objective from that of the log-likelihood.

    The priors' part by central differences of their gradient, which is that of statistics of no
    rows: `stats`, any statistics of the model, times 0.
    """
    coordinates = model.coordinates(params)
    vector, none = coordinates.free(params), 0.0 * stats

    def slope(at):
        there = coordinates.params(at)
        return found.in_coefficients(
            coordinates.slope_in_free(at, there, model.gradient(there, none))
        )

    steps = [STEP * found.in_free(unit) for unit in np.eye(len(found.positions))]
    curvature = np.array([slope(vector - step) - slope(vector + step) for step in steps])
    curvature = (curvature + curvature.T) / (4 * STEP)
    return Information(found.matrix + curvature, found.positions, found.n_free)


class _Layout:
    """Where the predictors of gate and experts stand among those of the whole model.

    A shared predictor has one place, one that every expert has of its own K places.
    ``places[part]`` (m, K) are the places of a part's predictors as each expert sees them.
    """

    def __init__(self, model, params, n_experts):
        coordinates = model.coordinates(params)
        self.n_free = len(coordinates.bounds[0])
        self.places, self.designs, found = {}, [], []
        for part in PARTS:
            own = getattr(model, part).predictors(params[part])
            self.places[part] = np.empty((len(own), n_experts), dtype=int)
            for i, predictor in enumerate(own):
                leaf = coordinates.index(f"{part}/{predictor.leaf}")
                for where, entries in _copies(predictor, leaf, n_experts):
                    self.places[part][i, where] = len(self.designs)
                    self.designs.append(_design(model, part, predictor))
                    found.append(entries)
        self.positions = tuple(position for entries in found for position in entries)

    def matrix(self, grams):
        """Return the information from Σ A_ab z zᵀ of all pairs a <= b, as `_grams` sums them."""
        m = len(self.designs)
        width = int(np.sqrt(2 * grams.shape[1]))
        place = np.zeros((m, m), dtype=int)
        place[np.triu_indices(m)] = np.arange(len(grams))
        place = np.maximum(place, place.T)
        full = np.zeros((len(grams), width, width))
        upper = np.triu_indices(width)
        full[:, upper[0], upper[1]] = grams
        full[:, upper[1], upper[0]] = grams
        designs = [np.arange(width) if own is None else own for own in self.designs]
        return np.block(
            [
                [full[place[a, b]][np.ix_(of_a, of_b)] for b, of_b in enumerate(designs)]
                for a, of_a in enumerate(designs)
            ]
        )


def _copies(predictor, leaf, n_experts):
    """Yield the experts that see a predictor and its coefficients' free numbers, (P, entries)."""
    if predictor.shared:
        yield slice(None), _numbers(predictor, leaf)
        return
    for k in range(n_experts):
        yield k, _numbers(predictor, leaf[k])


def _numbers(predictor, leaf):
    """Return the free numbers that each coefficient of a predictor is, (P or 1, entries)."""
    return np.stack([np.atleast_1d(leaf[entry]) for entry in predictor.entries], axis=1)


def _design(model, part, predictor):
    """Return the columns of [1, X] in a predictor's design; None for all."""
    if predictor.design == "1":
        return np.zeros(1, dtype=int)
    columns = getattr(model, part + "_columns")
    return None if columns is None else np.concatenate([[0], 1 + columns])


def _grams(model, params, X, y, weight, labels=None, groups=None, **other_facts):
    """Return Σ w A_ab z_i z_j over the rows, for all pairs of predictors and of columns of [1, X].

    The pairs a <= b and i <= j are the axes of "grams": one matrix product gives all blocks.
    """
    if groups is not None:
        raise ValueError("groups: the information of rows that share an expert is not worked out.")
    Z = array.with_intercept(X)
    columns, total = np.triu_indices(Z.shape[1]), Statistics()
    done, size = 0, 1
    while done < len(X) or not total:
        rows = slice(done, done + size)
        own, resp = _second_derivatives(
            model, params, X[rows], y[rows], None if labels is None else labels[rows]
        )
        m = own.shape[1]
        predictors = np.triu_indices(m)
        weighted = weight[rows, None] * own[:, predictors[0], predictors[1]]
        z = Z[rows]
        block = Statistics(
            grams=weighted.T @ (z[:, columns[0]] * z[:, columns[1]]),
            resp=weight[rows] @ resp,
        )
        total = block if not total else total + block
        done, size = done + size, max(1, BLOCK_NUMBERS // (m * m))
    return total


def _second_derivatives(model, params, X, y, labels):
    """Return A (n, m, m) of every row and the responsibilities (n, K)."""
    terms = {
        "gate": model.gate.rows(params["gate"], model.gate_input(X)),
        "expert": model.expert.rows(params["expert"], model.expert_input(X), y, **model.offset(X)),
    }
    log_gate = terms["gate"].log_prob
    log_gate = log_gate if labels is None else array.log_known(log_gate, labels)
    resp = array.mixture_posterior(log_gate, terms["expert"].log_prob)[1]
    n, K = resp.shape
    layout = _Layout(model, params, K)
    m = len(layout.designs)
    slopes, found = np.zeros((n, K, m)), np.zeros((n, m, m))
    for part in PARTS:
        places, own = layout.places[part], terms[part]
        for k in range(K):
            at = places[:, k]
            slopes[:, k, at] = own.slope[:, k]
            found[:, at[:, None], at] += resp[:, k, None, None] * own.curvature[:, k]
    # Var_h(D) = Σ h D Dᵀ - (Σ h D)(Σ h D)ᵀ, both as products of matrices row by row
    weighted = np.sqrt(resp)[:, :, None] * slopes
    mean = np.einsum("nk,nka->na", resp, slopes)
    found -= weighted.swapaxes(1, 2) @ weighted
    found += mean[:, :, None] * mean[:, None, :]
    return found, resp
