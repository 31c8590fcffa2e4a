"""The observed information of any gate with any experts, from their row-wise derivatives.

With l_k = log g_k(x) p_k(y|x) of a row, h_k its responsibility, D_k = ∂l_k/∂η and C_k = -∂²l_k/∂η²
in the predictors η of all parts, minus the second derivative of log Σ_k exp l_k is (Louis, 1982)

    A = Σ_k h_k C_k - [Σ_k h_k D_k D_kᵀ - (Σ_k h_k D_k)(Σ_k h_k D_k)ᵀ],

and every block of the information in the predictors' coefficients is a weighted Gram matrix,
Σ_rows w A_ab z_a z_bᵀ, z_a = [1, x] or [1] being the design of predictor a.

Rows of a group share one expert, l_k = log g_k(x_G) + Σ_i w_i log p_k(y_i|x_i). The formula is the
same with D_k the sum over the group's rows, the gate's derivatives standing at its first row.

References
----------
Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm. Journal of
the Royal Statistical Society B 44, 226-233.
"""

from __future__ import annotations

import copy
import functools
import operator
from typing import NamedTuple

import numpy as np

from .._kernels import array
from ..data.units import as_given
from ..parts.statistics import Statistics
from . import fused_information
from .fused_pass import SMALL
from .objectives import MixtureLikelihood
from .passes import group_rows

TERMS_NUMBERS = 2**21
"""Derivatives of the parts' rows that are held at once: 16 MiB."""
ELSEWHERE_NUMBERS = 2**28
"""The same on a device: 2 GiB."""
BLOCK_NUMBERS = 2**17
"""Numbers of a block of rows from which the sums are made: 1 MiB."""
STEP = 1e-5
"""Of the central differences of the priors' gradient, which sees no rows."""
ALIKE = 1e-7
"""Relative difference up to which two curvatures are one; differences know nine digits."""
PARTS = ("gate", "expert")


class Information(NamedTuple):
    """Minus the Hessian of an objective, in the coefficients of the predictors.

    Attributes
    ----------
    matrix : ndarray of shape (m, m)
    layout : Layout
        Which coefficients these are.
    """

    matrix: np.ndarray
    layout: Layout


class NoInformation(ValueError):
    """The observed information of a model and its rows is not worked out, and why."""


def layout_of(model, params, batches) -> Layout:
    """Return the layout of a model's information; NoInformation where there is none.

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
    row = array.to_host(batches.first())
    for name, terms in zip(PARTS, _terms(model, params, row.X, row.y), strict=True):
        if terms.curvature is None:
            part = type(model.parts[name]).__name__
            raise NoInformation(f"the {name}, {part}, has no second derivatives")
    layout = Layout(model, params, row.X)
    if not row.facts.keys() & {"labels", "groups"}:
        many = np.broadcast_to(row.X, (1 + SMALL, row.X.shape[1]))
        layout.is_compiled = fused_information.lookup(model, layout, many, row.y) is not None
    return layout


def information(model, params, batches, layout=None) -> Information:
    """Return the observed information of the log-likelihood, without priors.

    Parameters
    ----------
    model : MixtureModel
        Of parts that have `predictors` and `rows`, under the mixture likelihood.
    params : Params
    batches : Batches
        Groups and expert labels count as they do in the fit.
    layout : Layout, default=None
        That of the model, where it is known.
    """
    layout = layout_of(model, params, batches) if layout is None else layout
    sums = batches.map_sum(
        functools.partial(_sums, model, layout), params, scaled=layout.is_compiled
    )
    matrix = layout.matrix(sums["grams"])
    return Information(matrix - sums["spread"] if "spread" in sums else matrix, layout)


def with_priors(model, params, found, stats, most_differences=np.inf) -> Information:
    """Return the information of the penalised objective from that of the log-likelihood.

    The priors' part comes from their gradient, which is that of statistics of no rows: `stats`, any
    statistics of the model, times 0. Most priors are penalties that the predictors name, and a
    curvature for each coefficient of one for all rows. Whether that is all is asked of the gradient
    in one random direction, once for a layout; if it is not, central differences in every
    coefficient tell, which of more than `most_differences` is NoInformation.
    """
    layout, none = found.layout, 0.0 * stats
    coordinates, projector = layout.coordinates, layout.projector
    vector = coordinates.free(params)

    def slope(at):
        there = coordinates.params(at)
        return layout.in_coefficients(
            coordinates.slope_in_free(at, there, model.gradient(there, none))
        )

    def curved(step):
        """Return minus the change of the gradient along a step of the coefficients, (m,)."""
        free = STEP * layout.in_free(step)
        return (slope(vector - free) - slope(vector + free)) / (2 * STEP)

    diagonal = layout.penalties.copy()
    for alike in layout.constants:  # no expert's prior knows of the others
        units = np.zeros(len(diagonal))
        units[alike] = 1.0
        diagonal[alike] = curved(units)[alike]
    curvature = projector * diagonal @ projector
    if layout.prior_is_named is None:
        probe = projector @ np.random.default_rng(0).standard_normal(len(diagonal))
        seen = curved(probe)
        missed = np.abs(seen - curvature @ probe).max(initial=0.0)
        layout.prior_is_named = bool(missed <= ALIKE * np.abs(seen).max(initial=0.0))
    if not layout.prior_is_named:
        if len(diagonal) > most_differences:
            raise NoInformation(
                f"its priors are no penalties of slopes alone, and {len(diagonal)} coefficients are"
                f" more than {most_differences}, whose curvature is told by differences"
            )
        curvature = np.array([curved(unit) for unit in np.eye(len(diagonal))])
        curvature = (curvature + curvature.T) / 2
    return Information(found.matrix + curvature, layout)


class Layout:
    """Where the predictors of gate and experts stand among those of the whole model.

    A shared predictor has one place, one that every expert has of its own K places. It is the same
    for all params of a model, so that a climb needs one.

    Attributes
    ----------
    places : dict of ndarray of shape (m, K)
        By part, the places of its predictors as each expert sees them.
    designs : list of ndarray of int or None
        The columns of [1, X] in the design of each predictor; None for all.
    positions : tuple of ndarray of int
        Which numbers of the vector of free coordinates each coefficient is; where there are
        several, they move together.
    n_free : int
        The length of that vector.
    coordinates : Coordinates
    penalties : ndarray of shape (coefficients,)
        The curvature of the penalties that predictors name.
    predictor : ndarray of int of shape (coefficients,)
        Which predictor each coefficient belongs to.
    constants : list of ndarray of int
        The coefficients of each predictor of one for all rows, of all experts.
    prior_is_named : bool or None
        Whether these are all that the priors have; None: it is not known yet.
    is_compiled : bool
        Whether the sums over many rows like X are made in compiled code.
    """

    def __init__(self, model, params, X):
        self.coordinates = model.coordinates(params)
        self.n_free = len(self.coordinates.bounds[0])
        self._known, self.is_compiled = {}, False
        K, self._width = model.log_gate(params, X[:1]).shape[1], 1 + X.shape[1]
        self.places, self.designs, entries, penalties = {}, [], [], []
        for part in PARTS:
            own = model.parts[part].predictors(params[part])
            self.places[part] = np.empty((len(own), K), dtype=int)
            for i, predictor in enumerate(own):
                leaf = self.coordinates.index(f"{part}/{predictor.leaf}")
                for where, numbers in _copies(predictor, leaf, K):
                    self.places[part][i, where] = len(self.designs)
                    self.designs.append(_design(model, part, predictor))
                    entries.append(numbers)
                    penalties.append(_curvature_of(predictor.penalty, len(numbers)))
        none = np.zeros(0)
        self.positions = tuple(position for numbers in entries for position in numbers)
        self.penalties = np.concatenate([none, *penalties])
        self.predictor = np.repeat(np.arange(len(entries)), [len(own) for own in entries])
        self.constants = self._constants([len(numbers) for numbers in entries])
        lengths = [len(own) for own in self.positions]
        self._flat = np.concatenate([none, *self.positions]).astype(int)
        self._owner = np.repeat(np.arange(len(lengths)), lengths)

    def _constants(self, sizes):
        first = np.cumsum(sizes) - sizes
        each = [own for places in self.places.values() for own in places]
        return [first[np.unique(own)] for own in each if sizes[own[0]] == 1]

    @property
    def prior_is_named(self):
        """Whether the priors have no more than predictors name; None: it is not known yet."""
        return self._known.get("prior_is_named")

    @prior_is_named.setter
    def prior_is_named(self, value):
        self._known["prior_is_named"] = value  # of every layout of the model, a copy or not

    def with_penalties_of(self, model, params):
        """Return the layout of the same model with other numbers for penalties."""
        _ = self.projector, self._gathered  # what knows of no penalty is made once
        twin, penalties = copy.copy(self), []
        for part in PARTS:
            for predictor in model.parts[part].predictors(params[part]):
                leaf = self.coordinates.index(f"{part}/{predictor.leaf}")
                for _, numbers in _copies(predictor, leaf, self.places[part].shape[1]):
                    penalties.append(_curvature_of(predictor.penalty, len(numbers)))
        twin.penalties = np.concatenate([np.zeros(0), *penalties])
        return twin

    def in_coefficients(self, slope):
        """Return the derivative in the coefficients, (m,), from that in free coordinates."""
        return np.bincount(self._owner, slope[self._flat], len(self.positions))

    def in_free(self, step):
        """Return a change of the coefficients as one of the free coordinates, (n_free,)."""
        vector = np.zeros(self.n_free)
        vector[self._flat] = np.asarray(step)[self._owner]
        return vector

    @functools.cached_property
    def projector(self):
        """The matrix that takes out of a change of the coefficients what changes no params.

        An orthogonal projection, (m, m); see `Coordinates.project`.
        """
        member = np.zeros((len(self.positions), self.n_free))
        member[self._owner, self._flat] = 1.0
        return member @ self.coordinates.projector() @ member.T / member.sum(axis=1)

    @property
    def numbers_a_row(self):
        """How many first and second derivatives the parts give for a row."""
        K = self.places["gate"].shape[1]
        return K * sum(m + m**2 for m in map(len, self.places.values()))

    def matrix(self, grams):
        """Return the information from Σ A_ab z zᵀ of all pairs a <= b, as `_grams` sums them."""
        return grams[self._gathered]

    @functools.cached_property
    def terms(self):
        """Which predictor, and which column of [1, X], each coefficient belongs to, (m,) both."""
        designs = [np.arange(self._width) if own is None else own for own in self.designs]
        owner = np.repeat(np.arange(len(designs)), [len(own) for own in designs])
        return owner, np.concatenate([np.zeros(0, dtype=int), *designs])

    def square(self, pairs):
        """Return A_ab of all predictors, (predictors, predictors, n), from that of a <= b."""
        return pairs[_place(len(self.designs))]

    @functools.cached_property
    def _gathered(self):
        """Which pair of predictors, and which of columns, each entry of the matrix is, (m, m)."""
        owner, column = self.terms
        return (
            _place(len(self.designs))[owner[:, None], owner],
            _place(self._width)[column[:, None], column],
        )


def _place(m):
    """Return where each pair stands among all pairs a <= b of m, (m, m)."""
    place = np.zeros((m, m), dtype=int)
    place[np.triu_indices(m)] = np.arange(m * (m + 1) // 2)
    return np.maximum(place, place.T)


def _curvature_of(penalty, size):
    """Return the curvature of a penalty of a predictor's coefficients, (size,)."""
    return np.zeros(size) if penalty is None else penalty.curvature(size)


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


def _sums(model, layout, params, X, y, weight, labels=None, groups=None, **other_facts):
    """Return what the matrix is made of, `Statistics`: of rows by themselves, or of groups."""
    if groups is None:
        return _grams(model, layout, params, X, y, weight, labels)
    rest = (X, y, weight, groups, labels)
    pieces = _whole_groups(layout, groups)
    return functools.reduce(
        operator.add, (_of_groups(model, layout, params, rows, *rest)[0] for rows in pieces)
    )


def _grams(model, layout, params, X, y, weight, labels=None):
    """Return Σ w A_ab z_i z_j over the rows, for all pairs of predictors and of columns of [1, X].

    The pairs a <= b and i <= j are the axes of "grams": one matrix product gives all blocks. X may
    be `Scaled`.
    """
    columns = np.triu_indices(1 + X.shape[1])
    compiled = fused_information.lookup(model, layout, X, y) if labels is None else None
    if compiled is not None:
        found, counts = compiled(model, params, X, y, weight, layout)
        return Statistics(grams=found[:, columns[0], columns[1]], resp=counts)
    grams, counts = 0.0, 0.0
    on_host = array.is_host(as_given(X))
    for rows in _pieces(layout, X):
        known = None if labels is None else labels[rows]
        own = X[rows] if on_host else array.rows_at(X, rows)
        derivatives = _derivatives(model, params, own, array.rows_at(y, rows), known)
        counts = counts + derivatives[0] @ weight[rows]
        sums = _grams_of if on_host else _grams_elsewhere
        grams = grams + sums(layout, array.with_intercept(own).T, weight[rows], derivatives)
    return Statistics(grams=grams, resp=counts)


def _pieces(layout, X):
    """Yield slices of rows whose derivatives are held at once, more of them on a device."""
    n = X.shape[0]
    most = TERMS_NUMBERS if array.is_host(as_given(X)) else ELSEWHERE_NUMBERS
    most = max(1, most // layout.numbers_a_row)
    return (slice(first, min(first + most, n)) for first in range(0, n, most))


def _grams_of(layout, Z, weight, derivatives):
    """Return Σ w A_ab z_i z_j of rows, from [1, X]ᵀ and their derivatives."""
    columns, pairs = np.triu_indices(len(Z)), len(layout.designs)
    grams = np.zeros((pairs * (pairs + 1) // 2, len(columns[0])))
    step = max(1, BLOCK_NUMBERS // sum(grams.shape))
    for begin in range(0, len(weight), step):  # few enough to stay near the processor
        block = slice(begin, begin + step)
        z = np.ascontiguousarray(Z[:, block])
        weighted = _second_derivatives(layout, *(each[..., block] for each in derivatives))
        weighted *= weight[block]
        grams += weighted @ (z[columns[0]] * z[columns[1]]).T
    return grams


def _grams_elsewhere(layout, Z, weight, derivatives):
    """Return what `_grams_of` does, of rows on a device, in one go."""
    columns = np.triu_indices(Z.shape[0])
    left, right = (array.rows_at(Z, each) for each in columns)
    return (_second_derivatives(layout, *derivatives) * weight) @ (left * right).T


def _of_groups(model, layout, params, rows, X, y, weight, groups, labels=None):
    """Return what the information of some whole groups is made of, and their scores (m, groups).

    It is that of "grams", Σ h_k C_k, less "spread", the sum of Var_h(D_k).
    """
    found = GroupTerms.of(model, layout, params, rows, X, y, weight, groups, labels)
    spread, mean = 0.0, 0.0
    for h, D in found.slopes(layout):
        spread, mean = spread + (h * D) @ D.T, mean + h * D
    grams = _grams_of(layout, found.Z, found.weight, found.still)
    counts = found.still[0] @ found.weight
    return Statistics(grams=grams, spread=spread - mean @ mean.T, resp=counts), mean


class GroupTerms(NamedTuple):
    """What the derivatives of some whole groups are made of.

    The gate stands at the first row of a group, with weight 1.

    Attributes
    ----------
    first : ndarray of int, the first row of each group
    resp : ndarray of shape (groups, K)
    Z : ndarray of shape (p + 1, rows), [1, X]ᵀ
    weight : ndarray of shape (rows,)
    still : tuple, what `_derivatives` gives for the rows with slopes of 0: Σ h_k C_k is left
    gate_slope, slope : ndarray of shape (K, m, rows)
    """

    first: np.ndarray
    resp: np.ndarray
    Z: np.ndarray
    weight: np.ndarray
    still: tuple
    gate_slope: np.ndarray
    slope: np.ndarray

    @classmethod
    def of(cls, model, layout, params, rows, X, y, weight, groups, labels=None) -> GroupTerms:
        """Return those of the groups in the slice `rows`."""
        X, y, weight = X[rows], y[rows], weight[rows]
        first, member = group_rows(groups[rows])
        gate, expert = _terms(model, params, X, y)
        log_gate = gate.log_prob[first]
        log_gate = log_gate if labels is None else array.log_known(log_gate, labels[rows][first])
        log_density = np.add.reduceat(weight[:, None] * expert.log_prob, first, axis=0)
        resp = array.mixture_posterior(log_gate, log_density)[1]
        at_head = np.zeros(len(X))
        at_head[first] = 1 / weight[first]
        resp_of_rows, *each = _rows_first(resp[member], gate, expert)
        gate_slope, gate_curvature, slope, curvature = each
        gate_slope, gate_curvature = gate_slope * at_head, gate_curvature * at_head
        still = (resp_of_rows, 0 * gate_slope, gate_curvature, 0 * slope, curvature)
        Z = array.with_intercept(X).T
        return cls(first, resp, Z, weight, still, gate_slope, slope)

    def slopes(self, layout):
        """Yield h_k (groups,) and D_k in the coefficients (m, groups) for every expert k."""
        owner, column = layout.terms
        for k, h in enumerate(self.resp.T):
            D = np.zeros((len(layout.designs), len(self.weight)))
            D[layout.places["gate"][:, k]] += self.gate_slope[k]
            D[layout.places["expert"][:, k]] += self.slope[k]
            yield h, np.add.reduceat(self.weight * D[owner] * self.Z[column], self.first, axis=1)


def _whole_groups(layout, groups):
    """Yield slices of rows, whole groups, whose derivatives are held at once, if one fits."""
    first = group_rows(groups)[0]
    most = max(1, TERMS_NUMBERS // layout.numbers_a_row)
    begin = 0
    for start, end in zip(first, [*first[1:], len(groups)], strict=True):
        if end - begin > most and start > begin:
            yield slice(begin, start)
            begin = start
    yield slice(begin, len(groups))


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
    return _rows_first(array.mixture_posterior(log_gate, expert.log_prob)[1], gate, expert)


def _rows_first(resp, gate, expert):
    """Return responsibilities, slopes and curvatures with the rows innermost, as above."""
    found = [resp.T]
    if not array.is_host(resp):
        xp = array.namespace(resp)
        for terms in (gate, expert):
            found += [
                xp.permute_dims(terms.slope, (1, 2, 0)),
                xp.permute_dims(terms.curvature, (1, 2, 3, 0)),
            ]
        return found
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
    each_h = [resp[k, :] for k in range(resp.shape[0])]
    mean = [0.0 * each_h[0]] * len(layout.designs)
    for k, h in enumerate(each_h):
        for places, own in ((gate, gate_slope), (expert, slope)):
            for i, a in enumerate(places[:, k].tolist()):
                mean[a] = mean[a] + h * own[k, i, :]
    found, at = _products(mean)
    for k, h in enumerate(each_h):
        places = [*gate[:, k], *expert[:, k]]
        D = [own[k, i, :] for own in (gate_slope, slope) for i in range(own.shape[1])]
        for a, one in zip(places, D, strict=True):
            weighted = h * one
            for b, other in zip(places, D, strict=True):
                if a <= b:
                    at[a, b] -= weighted * other
    for places, own in ((gate, gate_curvature), (expert, curvature)):
        same = own.shape[0] == 1 and (places == places[:, :1]).all()
        for k, h in [(0, 1.0)] if same else enumerate(each_h):
            one = 0 if own.shape[0] == 1 else k
            for i, a in enumerate(places[:, k]):
                for j, b in enumerate(places[:, k]):
                    if a <= b:
                        at[a, b] += h * own[one, i, j, :]
    return array.namespace(resp).stack(list(at.values()), axis=0) if found is None else found


def _products(mean):
    """Return the products (n,) of all pairs a <= b of m arrays, by pair, to be changed in place.

    On the host they are rows of one array, (pairs, n), which comes first; elsewhere it is None.
    """
    pairs = list(zip(*(each.tolist() for each in np.triu_indices(len(mean))), strict=True))
    if not array.is_host(mean[0]):
        return None, {(a, b): mean[a] * mean[b] for a, b in pairs}
    found = np.empty((len(pairs), len(mean[0])))
    for (a, b), sums in zip(pairs, found, strict=True):
        np.multiply(mean[a], mean[b], out=sums)
    return found, dict(zip(pairs, found, strict=True))
