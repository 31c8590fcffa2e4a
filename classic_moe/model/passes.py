"""The generic pass over rows: any gate with any experts, by the verbs of the parts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._kernels import array
from ..parts.statistics import Statistics, side_by_side
from ..parts.tiles import Tiles

TILE = 64
"""Rows of products whose bits are not to depend on how many rows there are."""
AT_ONCE = 512
"""Rows of one expert in one go: so many take the same road as a single one, in every family."""

# -- rows that share an expert -------------------------------------------------------------------


def group_rows(groups):
    """Return the first row of every group (m,), and the number of the group of every row (n,)."""
    starts = np.diff(groups, prepend=groups[0] - 1) != 0
    return np.flatnonzero(starts), np.cumsum(starts) - 1


class Heads(NamedTuple):
    """The rows that the gate sees: each row, or one row for every group.

    Attributes
    ----------
    first : ndarray of int of shape (m,) or None
        The first row of every group; None where every row stands by itself.
    member : ndarray of int of shape (n,) or None
        The number of the group of every row.
    row_weight : ndarray of shape (n,)
        The weights of the rows.
    """

    first: np.ndarray | None
    member: np.ndarray | None
    row_weight: np.ndarray

    @classmethod
    def of(cls, weight, groups):
        """Return the heads of rows with weights (n,) and codes of groups (n,), or None."""
        return cls(*((None, None) if groups is None else group_rows(groups)), weight)

    @property
    def weight(self):
        """The weights of the heads, (m,): a group counts once."""
        return self.row_weight if self.first is None else np.ones(len(self.first))

    def take(self, rows):
        """Return what the heads have of something known of every row, (m, ...)."""
        return rows if self.first is None or rows is None else rows[self.first]

    def spread(self, heads):
        """Return what is known of the heads for each of their rows, (n, ...)."""
        return heads if self.first is None or heads is None else heads[self.member]

    def joined(self, log_density):
        """Return the log-densities of the heads, (m, K): Σ weight·log p over the rows of each."""
        if self.first is None:
            return log_density
        return np.add.reduceat(self.row_weight[:, None] * log_density, self.first, axis=0)


# -- pairs of row and expert ---------------------------------------------------------------------


def wanted_pairs(log_gate):
    """Return which experts a row goes to at all, bool (n, K); None if all rows go to all.

    `log_gate` is (n, K), or (n, K, q) of a gate for every output. On a device all rows go to all,
    which is quicker there than to pick some of them; what should not count has a weight of 0.
    """
    if not array.is_host(log_gate):
        return None
    where = log_gate > -np.inf
    where = where if where.ndim == 2 else where.any(axis=2)
    return None if bool(where.all()) else where


def on_pairs(expert, verb, params, where, *rows, **options):
    """Return a row-wise verb of the experts at the pairs in `where`, 0 elsewhere, (n, K, ...).

    Parameters
    ----------
    expert : BaseExpert
    verb : callable (params, *rows, **options) -> (n, K, ...)
    params : Params
    where : bool ndarray of shape (n, K), or the same as `Tiles`
    *rows : arrays with one entry a row
    **options : keywords, arrays with one entry a row
    """
    where = where if isinstance(where, Tiles) else tiled(expert, where)
    if isinstance(where, Tiles):
        return _on_tiles(expert, verb, params, where, *rows)
    found = None
    for k, own in enumerate(where.T):
        its = np.flatnonzero(own)
        if not len(its):
            continue
        options_here = {name: option[its] for name, option in options.items()}
        values = verb(expert.take(params, [k]), *(row[its] for row in rows), **options_here)
        if found is None:
            found = np.zeros((*where.shape, *values.shape[2:]))
        found[its, k] = values[:, 0]
    return np.zeros(where.shape) if found is None else found


def tiled(expert, where):
    """Return the pairs in `where`, (n, K), as `Tiles` where all are seen to at once; else as given.

    Many rows of an expert are quicker by themselves, compiled.
    """
    few = expert.inputs.apart and np.count_nonzero(where) <= AT_ONCE * where.shape[1]
    return Tiles.of(where) if few else where


def _on_tiles(expert, verb, params, pairs, *rows):
    """Return `on_pairs` of experts that see rows of their own."""
    values = verb(expert.take(params, pairs.owner), *(row[pairs.table] for row in rows))
    found = np.zeros((len(rows[0]), pairs.n_experts, *values.shape[2:]))
    found[pairs.row, pairs.expert] = values[pairs.place, pairs.tile]
    return found


def padded(rows):
    """Return rows with copies of the first one behind, up to a multiple of `TILE`."""
    more = -len(rows) % TILE
    return np.concatenate([rows, np.repeat(rows[:1], more, axis=0)]) if more else rows


def at_pairs(expert, verb, params, experts, *rows, counts=None, **options):
    """Return a row-wise verb of the experts at some experts of every row, (n, k, ...).

    What is found at a row does not depend on the others, not in the last bit.

    Parameters
    ----------
    expert, verb, params, rows, options : as of `on_pairs`
    experts : ndarray of int of shape (n, k)
    counts : bool ndarray of shape (n, k), default=None
        Which of them are wanted; what is found at the others is 0. None: all.
    """
    n, k = experts.shape
    order = np.argsort(experts, axis=None, kind="stable")
    order = order if counts is None else order[counts.ravel()[order]]
    own, ends = np.unique(experts.ravel()[order], return_index=True)
    found = None
    for e, places in _in_blocks(own, np.split(order, ends[1:])):
        its = padded(places // k)
        options_here = {name: option[its] for name, option in options.items()}
        values = verb(expert.take(params, [e]), *(row[its] for row in rows), **options_here)
        if found is None:
            found = np.zeros((n * k, *values.shape[2:]))
        found[places] = values[: len(places), 0]
    return found.reshape(n, k, *found.shape[1:])


def _in_blocks(experts, places):
    """Yield every expert with some of its places, `AT_ONCE` at most."""
    for e, own in zip(experts, places, strict=True):
        for start in range(0, len(own), AT_ONCE):
            yield e, own[start : start + AT_ONCE]


def statistics_on_pairs(expert, params, where, X, y, resp, order, **options):
    """Return the experts' statistics, of the pairs in `where` alone: each expert sees its rows.

    `where` is bool (n, K), or the same as `Tiles`, with order=1.
    """
    if isinstance(where, Tiles):
        its = where.spread(resp[where.row, where.expert]).T
        own, rows = expert.take(params, where.owner), (X[where.table], y[where.table])
        found = expert.statistics(own, *rows, its, order)
        return Statistics({name: where.by_expert(leaf) for name, leaf in found.items()})
    each = []
    for k, own in enumerate(where.T):
        its = np.flatnonzero(own)
        rows = X[its], y[its], resp[its, k : k + 1]
        options_here = {name: option[its] for name, option in options.items()}
        each.append(expert.statistics(expert.take(params, [k]), *rows, order, **options_here))
    return side_by_side(each)


# -- the passes ----------------------------------------------------------------------------------


def density_pass(model, params, X, y, weight, order=2, labels=None, groups=None, draws=None):
    """Return the statistics under an objective of gate and densities; see `MixtureModel`."""
    heads = Heads.of(weight, groups)
    gate_X = model.gate_input(heads.take(X))
    log_gate, where = model.route(params, heads.take(X), joint=model.models_x)
    pairs = heads.spread(where)
    log_density = heads.joined(model.log_density(params, X, y, pairs))
    if labels is not None:
        _check_labels(heads.take(labels), where)
        log_gate = array.log_known(log_gate, heads.take(labels))
    value, slope_in_log_gate, resp = model.objective(log_gate, log_density)
    if draws is not None:
        slope_in_log_gate = resp = array.draw(resp, heads.take(draws))
    head_resp = resp * heads.weight[:, None]
    same = slope_in_log_gate is resp
    gate_resp = head_resp if same else slope_in_log_gate * heads.weight[:, None]
    row_resp = head_resp if groups is None else weight[:, None] * heads.spread(resp)
    # What an error function gives the gate is no responsibility: there is a slope, no M-step.
    gate_order = order if model.objective.likelihood else 1
    xp = array.namespace(head_resp)
    return Statistics(
        objective=float(heads.weight @ value),
        resp=xp.sum(head_resp, axis=0),
        gate=model.gate.statistics(params["gate"], gate_X, gate_resp, gate_order),
        expert=model.expert_statistics(
            params, X, y, row_resp, order, _learnt(model, pairs, row_resp)
        ),
    )


def _learnt(model, pairs, resp):
    """Return the pairs of row and expert that anything is learnt from, (n, K); None: all."""
    return pairs if model.objective.learns_all else resp > 0


def _check_labels(labels, where):
    """Raise a ValueError for a known expert to which the gate never sends the row."""
    if where is None:
        return
    known = np.flatnonzero(labels >= 0)
    lost = known[~where[known, labels[known]]]
    if len(lost):
        raise ValueError(
            f"expert_labels says {labels[lost[0]]} of a row that the gate does not send there;"
            " leave such labels out (-1), or use a gate that keeps all experts."
        )


def blended_pass(model, params, X, y, weight, means=None):
    """Return the statistics, of order 1, under an objective of the experts' means.

    `means` (n, K, q), where the experts' means are known beforehand.
    """
    log_gate, where = model.route(params, X)
    means = model.expert_mean(params, X, where) if means is None else means
    if y.ndim == 1:  # codes of classes
        target = np.eye(means.shape[2])[y]
    else:
        target, trials = model.expert.target.response(y)
        weight = weight if trials is None else weight * trials
    value, slope_in_log_gate, slope = model.objective(log_gate, means, target)
    share = np.exp(log_gate).reshape(*log_gate.shape[:2], -1).mean(axis=2)
    weights = weight.reshape(len(X), *(1,) * (slope_in_log_gate.ndim - 1))
    gate_X, nothing = model.gate_input(X), slice(0)
    return Statistics(
        objective=float(weight @ value),
        resp=weight @ share,
        gate=model.gate.statistics(params["gate"], gate_X, weights * slope_in_log_gate, 1),
        # of no rows: the slope of the prior is all that `gradient` finds in it
        expert=model.expert_statistics(params, X[nothing], y[nothing], share[nothing], 1),
        mean=model.expert.mean_gradient(
            params["expert"],
            model.expert_input(X),
            weight[:, None, None] * slope,
            **model.offset(X),
        ),
    )
