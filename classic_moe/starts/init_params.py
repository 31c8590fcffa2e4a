"""Where a fit starts: what `init_params` and `warm_start` mean."""

from __future__ import annotations

import functools

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_array

from ..data.batches import whole
from ..model.passes import group_rows
from . import assignments


def starting_points(problem, start, n_init, sizes, previous=None):
    """Return where the fit of a problem starts: params, or a list of starts to race.

    A start is a callable of batches that gives responsibilities (n, K).

    Parameters
    ----------
    problem : Problem
    start : str, callable, array, estimator or dict
        `init_params` of the estimator.
    n_init : int
    sizes : tuple of str and callable
        In messages: what says the number of experts, and what says n of them, a function of n.
    previous : Fitted, default=None
        The fit to go on from, whatever `start` is.
    """
    if previous is not None:
        return _carried_over(previous, problem, *sizes)
    if isinstance(start, dict):
        model, scalings = problem.model, problem.schema.scalings
        return from_values(start, model, scalings, problem.n_experts, problem.labels)
    return [functools.partial(_respecting, one) for one in _starts(problem, start, n_init)]


def _carried_over(previous, problem, given_size, size_for):
    """Return the params of another fit, taken through the caller's units into the new ones."""
    K, before = problem.n_experts, len(previous.resp)
    if before != K:
        raise ValueError(
            f"the fit to start from has {before} experts, {given_size};"
            f" set {size_for(before)}, or start afresh."
        )
    values = to_values(previous.params, previous.model, previous.schema.scalings)
    return from_values(values, problem.model, problem.schema.scalings, K, problem.labels)


def to_values(params, model, scalings):
    """Return params as a dict in the caller's units, such as `init_params` may be."""
    parts = {"gate": model.gate, "expert": model.expert}
    return {
        name: part.to_caller(params[name], model.units(name, *scalings))
        for name, part in parts.items()
    }


def from_values(values, model, scalings, n_experts, labels):
    """Return params from a dict in the caller's units."""
    if set(values) != {"gate", "expert"}:
        raise ValueError(
            "init_params as a dict has the keys 'gate' and 'expert', got"
            f" {', '.join(map(repr, values)) or 'none'}."
        )
    gate_units, expert_units = (model.units(part, *scalings) for part in ("gate", "expert"))
    return {
        "gate": model.gate.from_caller(values["gate"], gate_units, n_experts),
        "expert": model.expert.from_caller(values["expert"], expert_units, n_experts, labels),
    }


def _starts(problem, start, n_init):
    """Return the starts before what is known of the rows is imposed, a list of callables."""
    K, given = problem.n_experts, problem.given
    if isinstance(start, str):
        if start not in ("quantile", "random", "kmeans"):
            raise ValueError(
                f"init_params={start!r}: use 'quantile', 'random', 'kmeans', a callable, an array"
                " of responsibilities, a fitted estimator or a dict."
            )
        features = functools.partial(_features, problem.model, problem.layout, problem.labels)
        shape = problem.model.gate.tree_shape(K)
        return _own_starts(start, n_init if K > 1 else 1, shape, features, problem.rng)
    if callable(start):
        made = (start(given.X, given.y, K, problem.rng) for _ in range(n_init))
        return _without_repetitions(_GivenStart.check(resp, given.X.shape[0], K) for resp in made)
    return [_GivenStart.check(start, given.n_rows, K)[given.rows]]


def _respecting(start, batches):
    """Return starting responsibilities (n, K) with what is known of the rows imposed."""
    resp, (_, _, weight, facts) = start(batches), whole(batches)
    if "groups" in facts:  # one expert a group: the mean of its rows
        first, member = group_rows(facts["groups"])
        total = np.add.reduceat(weight[:, None] * resp, first, axis=0)
        resp = (total / total.sum(axis=1, keepdims=True))[member]
    if "labels" in facts:
        labels = facts["labels"]
        known = labels >= 0
        resp = np.where(known[:, None], np.eye(resp.shape[1])[labels], resp)
    return resp


class _GivenStart:
    """Starting responsibilities that the caller gave, for all rows."""

    def __init__(self, resp):
        self.resp = resp

    @classmethod
    def check(cls, given, n, K):
        """Return the start; a ValueError unless it is (n, K), >= 0, with positive sums of rows."""
        if np.ndim(given) != 2:
            raise ValueError(
                f"init_params={given!r} is no start; use 'quantile', 'random', 'kmeans', a"
                " callable, responsibilities of shape (n, n_experts), a fitted estimator or a dict."
            )
        resp = check_array(given, dtype=np.float64, order="C", input_name="init_params")
        if resp.shape != (n, K):
            raise ValueError(
                f"init_params: responsibilities need shape (n, n_experts) = {(n, K)}, got"
                f" {resp.shape}."
            )
        if resp.min() < 0 or not (resp.sum(axis=1) > 0).all():
            raise ValueError(
                "init_params: responsibilities must be at least 0 with a positive sum in every row."
            )
        return cls(resp / resp.sum(axis=1, keepdims=True))

    def __getitem__(self, rows):
        return _GivenStart(self.resp[rows])

    def __call__(self, batches):
        return self.resp if batches.origin is None else self.resp[batches.origin]


def _without_repetitions(starts):
    """Return the starts up to the first repetition, a list: one of a deterministic callable."""
    kept = []
    for start in starts:
        if any(np.array_equal(start.resp, other.resp) for other in kept):
            break
        kept.append(start)
    return kept


def _own_starts(kind, n_init, shape, features, rng):
    """Return the package's own starts, callables of batches; see `assignments.starts`."""
    generator = None

    def following(batches):
        nonlocal generator
        block = whole(batches)
        if generator is None:
            F, n_inputs = features(block)
            generator = assignments.starts(kind, F, n_inputs, block.weight, shape, rng)
        resp = next(generator)
        labels = block.facts.get("labels")
        return resp if labels is None else _aligned(resp, labels, block.weight)

    return [following] * n_init


def _aligned(resp, labels, weight):
    """Return a start (n, K), its columns in the order that agrees best with known experts."""
    K = resp.shape[1]
    known = labels >= 0
    overlap = (weight[known, None] * np.eye(K)[labels[known]]).T @ resp[known]
    return resp[:, linear_sum_assignment(overlap, maximize=True)[1]]


def _features(model, layout, labels, block):
    """Return standardised inputs and targets, of classifiers one-hot: (n, p + q), and p."""
    X = block.X.astype(np.float64, copy=False)
    if layout.source is not None:  # each of the caller's columns once, in units of its spread
        once = np.unique(layout.source, return_index=True)[1]
        X = np.where(layout.raw[once], _standardised(X[:, once], block.weight), X[:, once])
    if labels is not None:
        y = np.eye(len(labels))[block.y]
    else:
        y = model.expert.target.response(block.y)[0]
        y = y if model.expert.target.standardise else _standardised(y, block.weight)
    return np.concatenate([X, y], axis=1), X.shape[1]


def _standardised(V, weight):
    """Return columns with weighted mean 0 and variance 1, constant ones 0; (n, m)."""
    V = V / np.maximum(np.abs(V).max(axis=0), 1e-300)  # squares of 1e200 overflow
    centred = V - weight @ V / weight.sum()
    sd = np.sqrt(weight @ centred**2 / weight.sum())
    return centred / np.where(sd > 0, sd, 1.0)
