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
from dataclasses import dataclass, replace

import numpy as np

from .._kernels import array
from ..parts.statistics import Statistics
from . import fused_information
from .objectives import MixtureLikelihood

TERMS_NUMBERS = 2**21
"""Derivatives of the parts' rows that are held at once: 16 MiB."""
BLOCK_NUMBERS = 2**17
"""Numbers of a block of rows from which the sums are made: 1 MiB."""
STEP = 1e-5
"""Of the central differences of the priors' gradient, which sees no rows."""
ALIKE = 1e-7
"""Relative difference up to which two curvatures are one; differences know nine digits."""
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

    @functools.cached_property
    def _flat(self):
        """All positions in one array, and whose they are, (l,) and (l,)."""
        sizes = [len(own) for own in self.positions]
        none = np.zeros(0, dtype=int)
        return np.concatenate([none, *self.positions]), np.repeat(np.arange(len(sizes)), sizes)

    def in_coefficients(self, slope):
        """Return the derivative in the coefficients, (m,), from that in free coordinates."""
        flat, owner = self._flat
        return np.bincount(owner, slope[flat], len(self.positions))

    def in_free(self, step):
        """Return a change of the coefficients as one of the free coordinates, (n_free,)."""
        flat, owner = self._flat
        vector = np.zeros(self.n_free)
        vector[flat] = np.asarray(step)[owner]
        return vector

    def projector(self, coordinates):
        """Return the matrix that takes out of a change of the coefficients what changes no params.

        An orthogonal projection, (m, m); see `Coordinates.project`.
        """
        flat, owner = self._flat
        member = np.zeros((len(self.positions), self.n_free))
        member[owner, flat] = 1.0
        return member @ coordinates.projector() @ member.T / member.sum(axis=1)


class NoInformation(ValueError):
    """The observed information of a model and its rows is not worked out, and why."""


def size(model, params, batches) -> tuple[int, int]:
    """Return how many coefficients the information has, of how many predictors.

    NoInformation where there is none.

    One row is looked at.
    """
    if type(model.objective) is not MixtureLikelihood:
        raise NoInformation(
            f"{type(model.objective).__name__}: the information is worked out for the likelihood of"
            " the mixture alone"
        )
    lacking = model.lacks("rows")
    if lacking:
        raise NoInformation(f"{lacking[0]} has no derivatives row by row")
    row = next(batches.blocks(1))
    if "groups" in row.facts:
        raise NoInformation(
            "groups: the information of rows that share an expert is not worked out"
        )
    for name, terms in zip(PARTS, _terms(model, params, row.X, row.y), strict=True):
        if terms.curvature is None:
            part = type(getattr(model, name)).__name__
            raise NoInformation(f"the {name}, {part}, has no second derivatives")
    n_experts = model.log_gate(params, row.X).shape[1]
    layout = _Layout(model, params, n_experts)
    return len(layout.positions), len(layout.designs)


def information(model, params, batches, checked=False) -> Information:
    """Return the observed information of the log-likelihood, without priors.

    Parameters
    ----------
    model : MixtureModel
        Of parts that have `predictors` and `rows`, under the mixture likelihood.
    params : Params
    batches : Batches
        Without groups; expert labels count as they do in the fit.
    checked : bool, default=False
        Whether `size` has been asked already.
    """
    if not checked:
        size(model, params, batches)
    sums = batches.map_sum(functools.partial(_grams, model), params)
    layout = _Layout(model, params, len(sums["resp"]))
    return Information(layout.matrix(sums["grams"]), layout.positions, layout.n_free)


def with_priors(model, params, found, stats, projector=None) -> Information:
    """Return the information of the penalised objective from that of the log-likelihood.

    The priors' part comes from their gradient, which is that of statistics of no rows: `stats`, any
    statistics of the model, times 0. Most priors are penalties that the predictors name, and a
    curvature for each coefficient of one for all rows. Whether that is all is asked of the gradient
    in one random direction; if it is not, central differences in every coefficient tell.
    `projector`, that of the coefficients, is worked out if it is not given.
    """
    coordinates = model.coordinates(params)
    projector = found.projector(coordinates) if projector is None else projector
    vector, none = coordinates.free(params), 0.0 * stats

    def slope(at):
        there = coordinates.params(at)
        return found.in_coefficients(
            coordinates.slope_in_free(at, there, model.gradient(there, none))
        )

    def curved(step):
        """Return minus the change of the gradient along a step of the coefficients, (m,)."""
        free = STEP * found.in_free(step)
        return (slope(vector - free) - slope(vector + free)) / (2 * STEP)

    layout = _Layout(model, params, len(stats["resp"]))
    diagonal = layout.penalties()
    for alike in layout.constants():  # no expert's prior knows of the others
        diagonal[alike] = curved(np.isin(np.arange(len(diagonal)), alike) + 0.0)[alike]
    curvature = projector * diagonal @ projector
    probe = projector @ np.random.default_rng(0).standard_normal(len(diagonal))
    seen = curved(probe)
    missed = np.abs(seen - curvature @ probe).max(initial=0.0)
    if not missed <= ALIKE * np.abs(seen).max(initial=0.0):
        curvature = np.array([curved(unit) for unit in np.eye(len(diagonal))])
        curvature = (curvature + curvature.T) / 2
    return replace(found, matrix=found.matrix + curvature)


class _Layout:
    """Where the predictors of gate and experts stand among those of the whole model.

    A shared predictor has one place, one that every expert has of its own K places.
    ``places[part]`` (m, K) are the places of a part's predictors as each expert sees them.
    """

    def __init__(self, model, params, n_experts):
        coordinates = model.coordinates(params)
        self.n_free = len(coordinates.bounds[0])
        self.places, self.designs, self.entries, self.own_penalties = {}, [], [], []
        for part in PARTS:
            own = getattr(model, part).predictors(params[part])
            self.places[part] = np.empty((len(own), n_experts), dtype=int)
            for i, predictor in enumerate(own):
                leaf = coordinates.index(f"{part}/{predictor.leaf}")
                for where, entries in _copies(predictor, leaf, n_experts):
                    self.places[part][i, where] = len(self.designs)
                    self.designs.append(_design(model, part, predictor))
                    self.entries.append(entries)
                    self.own_penalties.append(predictor.penalty)
        self.positions = tuple(position for entries in self.entries for position in entries)

    def penalties(self):
        """Return the curvature of the penalties that predictors name, (coefficients,)."""
        each = [
            np.zeros(len(entries)) if penalty is None else penalty.curvature(len(entries))
            for entries, penalty in zip(self.entries, self.own_penalties, strict=True)
        ]
        return np.concatenate(each) if each else np.zeros(0)

    def constants(self):
        """Return the coefficients of each predictor of one for all rows, of all experts, lists."""
        sizes = np.array([len(entries) for entries in self.entries], dtype=int)
        first = np.cumsum(sizes) - sizes
        for places in self.places.values():
            for own in places:
                if sizes[own[0]] == 1:
                    yield first[np.unique(own)]

    @property
    def numbers_a_row(self):
        """How many first and second derivatives the parts give for a row."""
        K = self.places["gate"].shape[1]
        return K * sum(m + m**2 for m in map(len, self.places.values()))

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


def _grams(model, params, X, y, weight, labels=None, **other_facts):
    """Return Σ w A_ab z_i z_j over the rows, for all pairs of predictors and of columns of [1, X].

    The pairs a <= b and i <= j are the axes of "grams": one matrix product gives all blocks.
    """
    layout = _Layout(model, params, model.log_gate(params, X[:1]).shape[1])
    m, columns = len(layout.designs), np.triu_indices(1 + X.shape[1])
    compiled = fused_information.lookup(model, layout, X, y) if labels is None else None
    if compiled is not None:
        found, counts = compiled(model, params, X, y, weight, layout)
        return Statistics(grams=found[:, columns[0], columns[1]], resp=counts)
    grams = np.zeros((m * (m + 1) // 2, len(columns[0])))
    counts = np.zeros(layout.places["gate"].shape[1])
    most = max(1, TERMS_NUMBERS // layout.numbers_a_row)
    for first in range(0, len(X), most):
        rows = slice(first, first + most)
        known = None if labels is None else labels[rows]
        derivatives = _derivatives(model, params, X[rows], y[rows], known)
        resp, own_weight = derivatives[0], weight[rows]
        counts += resp @ own_weight
        Z = array.with_intercept(X[rows]).T
        step = max(1, BLOCK_NUMBERS // sum(grams.shape))
        for begin in range(0, len(own_weight), step):  # few enough to stay near the processor
            block = slice(begin, begin + step)
            z = np.ascontiguousarray(Z[:, block])
            weighted = _second_derivatives(layout, *(each[..., block] for each in derivatives))
            weighted *= own_weight[block]
            grams += weighted @ (z[columns[0]] * z[columns[1]]).T
    return Statistics(grams=grams, resp=counts)


def _terms(model, params, X, y):
    """Return the `Terms` of the gate and of the experts."""
    return (
        model.gate.rows(params["gate"], model.gate_input(X)),
        model.expert.rows(params["expert"], model.expert_input(X), y, **model.offset(X)),
    )


def _derivatives(model, params, X, y, labels):
    """Return responsibilities (K, n), slopes (K, m, n) and curvatures (K or 1, m, m, n) of l_k.

    Slopes and curvatures of both parts, the gate's first: four arrays.
    """
    gate, expert = _terms(model, params, X, y)
    log_gate = gate.log_prob if labels is None else array.log_known(gate.log_prob, labels)
    resp = array.mixture_posterior(log_gate, expert.log_prob)[1]
    found = [resp.T]
    for terms in (gate, expert):
        curvature = terms.curvature
        if curvature.strides[1] == 0:  # one for all experts, as of a softmax
            curvature = curvature[:, :1]
        found += [terms.slope.transpose(1, 2, 0), curvature.transpose(1, 2, 3, 0)]
    return [np.ascontiguousarray(each) for each in found]


def _second_derivatives(layout, resp, gate_slope, gate_curvature, slope, curvature):
    """Return A_ab of every row for the pairs a <= b, (pairs, n); see `_derivatives`.

    An expert's own predictors change its density alone: of Σ_k h_k D_k D_kᵀ their part is one term,
    and only that of the shared ones a sum.
    """
    gate, expert = (layout.places[part] for part in PARTS)
    m, n = len(layout.designs), resp.shape[1]
    mean = np.zeros((m, n))
    for k, h in enumerate(resp):
        mean[gate[:, k]] += h * gate_slope[k]
        mean[expert[:, k]] += h * slope[k]
    found = np.empty((m * (m + 1) // 2, n))
    at = dict(
        zip(zip(*(each.tolist() for each in np.triu_indices(m)), strict=True), found, strict=True)
    )
    for (a, b), sums in at.items():
        np.multiply(mean[a], mean[b], out=sums)
    for k, h in enumerate(resp):
        places = [*gate[:, k], *expert[:, k]]
        D = [*gate_slope[k], *slope[k]]
        for a, one in zip(places, D, strict=True):
            weighted = h * one
            for b, other in zip(places, D, strict=True):
                if a <= b:
                    sums = at[a, b]
                    sums -= weighted * other
    for places, own in ((gate, gate_curvature), (expert, curvature)):
        same = len(own) == 1 and (places == places[:, :1]).all()
        for k, h in [(0, 1.0)] if same else enumerate(resp):
            each = own[0] if len(own) == 1 else own[k]
            for i, a in enumerate(places[:, k]):
                for j, b in enumerate(places[:, k]):
                    if a <= b:
                        sums = at[a, b]
                        sums += h * each[i, j]
    return found
