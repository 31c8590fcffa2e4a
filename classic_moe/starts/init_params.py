"""Where a fit starts: what `init_params` and `warm_start` mean."""

from __future__ import annotations

import functools

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ..model.passes import group_rows
from . import assignments as initialization


def given_params(estimator, previous, model, scalings, classes):
    """Params given outright: by a dict, by another fit or by the last one; else None."""
    K, start = estimator._n_experts, estimator.init_params
    if previous is None and _is_fit(start):
        previous = vars(start)
    if previous is not None:
        if previous["n_experts_"] != K:
            raise ValueError(
                f"the fit to start from has {previous['n_experts_']} experts, {estimator._number};"
                f" set {estimator._number_as(previous['n_experts_'])}, or start afresh."
            )
        return carry_over(previous, model, scalings, K, classes)
    if isinstance(start, dict):
        return from_values(start, model, scalings, K, classes)
    return None


def from_values(values, model, scalings, K, classes):
    """Params from a dict in the caller's units."""
    if set(values) != {"gate", "expert"}:
        raise ValueError(
            "init_params as a dict has the keys 'gate' and 'expert', got"
            f" {', '.join(map(repr, values)) or 'none'}."
        )
    expert_units = model.units("expert", *scalings)
    return {
        "gate": model.gate.from_caller(values["gate"], model.units("gate", *scalings), K),
        "expert": model.expert.from_caller(values["expert"], expert_units, K, classes),
    }


def carry_over(fitted, model, scalings, K, classes):
    """Params of another fit, taken through the caller's units into the new ones."""
    old = fitted["_model"]
    values = {
        part: getattr(old, part).to_caller(
            fitted["params_"][part], old.units(part, *fitted["_scalings"])
        )
        for part in ("gate", "expert")
    }
    return from_values(values, model, scalings, K, classes)


def _is_fit(start):
    """Whether `start` is an estimator of this package; NotFittedError if it is not fitted."""
    if not hasattr(start, "gate_proba"):
        return False
    check_is_fitted(start)
    return True


def responsibilities(estimator, model, X, y, rows, n_rows, layout, classes, rng):
    """Starting responsibilities, as callables of batches.

    Parameters
    ----------
    estimator : the estimator that is being fitted
    model : MixtureModel
    X, y : the caller's rows of positive weight
    rows : ndarray of int of shape (n,), which of the caller's `n_rows` rows those are
    n_rows : int
    layout : Layout of the internal X
    classes : ndarray of shape (C,) or None, the labels behind the codes
    rng : RandomState
    """
    K, start = estimator._n_experts, estimator.init_params
    if isinstance(start, str):
        if start not in ("quantile", "random", "kmeans"):
            raise ValueError(
                f"init_params={start!r}: use 'quantile', 'random', 'kmeans', a callable, an array"
                " of responsibilities, a fitted estimator or a dict."
            )

        def features(batches):
            return _features(model, batches, layout, classes)

        shape = model.gate.tree_shape(K)
        found = _own_starts(start, estimator.n_init if K > 1 else 1, shape, features, rng)
    elif callable(start):
        given = (start(X, y, K, rng) for _ in range(estimator.n_init))
        found = _without_repetitions(_GivenStart.check(resp, len(X), K) for resp in given)
    else:
        found = [_GivenStart.check(start, n_rows, K)[rows]]
    return [functools.partial(_respecting, start) for start in found]


def _respecting(start, batches):
    """What is known of the rows imposed on starting responsibilities."""
    resp, facts = start(batches), batches.facts
    if "groups" in facts:  # one expert a group: the mean of its rows
        first, member = group_rows(facts["groups"])
        total = np.add.reduceat(batches.weight[:, None] * resp, first, axis=0)
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
        """ValueError unless `given` is (n, K), not negative, with a positive sum in every row."""
        if np.ndim(given) != 2:
            raise ValueError(
                f"init_params={given!r} is no start; use 'quantile', 'random', 'kmeans', a"
                " callable, responsibilities of shape (n, n_experts), a fitted estimator or a dict."
            )
        resp = check_array(given, dtype=np.float64, input_name="init_params")
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
    """The starts up to the first repetition: a deterministic callable gives just one."""
    kept = []
    for start in starts:
        if any(np.array_equal(start.resp, other.resp) for other in kept):
            break
        kept.append(start)
    return kept


def _own_starts(kind, n_init, shape, features, rng):
    """The package's own starts, as callables of batches; see `initialization.starts`."""
    generator = None

    def following(batches):
        nonlocal generator
        if generator is None:
            F, n_inputs = features(batches)
            generator = initialization.starts(kind, F, n_inputs, batches.weight, shape, rng)
        resp = next(generator)
        labels = batches.facts.get("labels")
        return resp if labels is None else _aligned(resp, labels, batches.weight)

    return [following] * n_init


def _aligned(resp, labels, weight):
    """The columns of a start in the order that agrees best with the known experts."""
    K = resp.shape[1]
    known = labels >= 0
    overlap = (weight[known, None] * np.eye(K)[labels[known]]).T @ resp[known]
    return resp[:, linear_sum_assignment(overlap, maximize=True)[1]]


def _features(model, batches, layout, classes):
    """Standardised inputs and targets side by side, targets of classifiers one-hot."""
    X = batches.X.astype(np.float64)
    if layout.source is not None:  # each of the caller's columns once, in units of its spread
        once = np.unique(layout.source, return_index=True)[1]
        X = np.where(layout.raw[once], _standardised(X[:, once], batches.weight), X[:, once])
    if classes is not None:
        y = np.eye(len(classes))[batches.y]
    else:
        y = model.expert.response(batches.y)[0]
        y = y if model.expert.target.standardise else _standardised(y, batches.weight)
    return np.concatenate([X, y], axis=1), X.shape[1]


def _standardised(V, weight):
    V = V / np.maximum(np.abs(V).max(axis=0), 1e-300)  # squares of 1e200 overflow
    centred = V - weight @ V / weight.sum()
    sd = np.sqrt(weight @ centred**2 / weight.sum())
    return centred / np.where(sd > 0, sd, 1.0)
