"""Where a fit starts: what `init_params` and `warm_start` mean."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from . import initialization


def given_params(estimator, previous, model, scalings, n_classes):
    """Params given outright: by a dict, by another fit or by the last one; else None."""
    K, start = estimator.n_experts, estimator.init_params
    if previous is not None:
        return carry_over(previous, model, scalings, K, n_classes)
    if _is_fit(start):
        return carry_over(vars(start), model, scalings, K, n_classes)
    if isinstance(start, dict):
        return from_values(start, model, scalings, K, n_classes)
    return None


def from_values(values, model, scalings, K, n_classes):
    """Params from a dict in the caller's units."""
    if set(values) != {"gate", "expert"}:
        raise ValueError(
            "init_params as a dict has the keys 'gate' and 'expert', got"
            f" {', '.join(map(repr, values)) or 'none'}."
        )
    expert_units = model.units("expert", *scalings)
    return {
        "gate": model.gate.from_caller(values["gate"], model.units("gate", *scalings), K),
        "expert": model.expert.from_caller(values["expert"], expert_units, K, n_classes),
    }


def carry_over(fitted, model, scalings, K, n_classes):
    """Params of another fit, taken through the caller's units into the new ones."""
    if fitted["n_experts_"] != K:
        raise ValueError(
            f"the fit to start from has {fitted['n_experts_']} experts, n_experts={K}; set"
            f" n_experts={fitted['n_experts_']}, or start afresh."
        )
    old = fitted["_model"]
    values = {
        part: getattr(old, part).to_caller(
            fitted["params_"][part], old.units(part, *fitted["_scalings"])
        )
        for part in ("gate", "expert")
    }
    return from_values(values, model, scalings, K, n_classes)


def _is_fit(start):
    """Whether `start` is an estimator of this package; NotFittedError if it is not fitted."""
    if not hasattr(start, "gate_proba"):
        return False
    check_is_fitted(start)
    return True


def responsibilities(estimator, X, y, kept, n_classes, rng):
    """Starting responsibilities, as callables of batches.

    Parameters
    ----------
    estimator : the estimator that is being fitted
    X, y : the caller's rows of positive weight
    kept : ndarray of bool of shape (n,), which of the caller's rows those are
    n_classes : int or None
    rng : RandomState
    """
    K, start = estimator.n_experts, estimator.init_params
    if isinstance(start, str):
        if start not in ("quantile", "random", "kmeans"):
            raise ValueError(
                f"init_params={start!r}: use 'quantile', 'random', 'kmeans', a callable, an array"
                " of responsibilities, a fitted estimator or a dict."
            )
        return _own_starts(start, estimator.n_init if K > 1 else 1, K, n_classes, rng)
    if callable(start):
        given = (start(X, y, K, rng) for _ in range(estimator.n_init))
        return _without_repetitions(_GivenStart.check(resp, len(X), K) for resp in given)
    return [_GivenStart.check(start, len(kept), K)[kept]]


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


def _own_starts(kind, n_init, n_experts, n_classes, rng):
    """The package's own starts, as callables of batches; see `initialization.starts`."""
    generator = None

    def following(batches):
        nonlocal generator
        if generator is None:
            F, n_inputs = _features(batches, n_classes)
            generator = initialization.starts(kind, F, n_inputs, batches.weight, n_experts, rng)
        return next(generator)

    return [following] * n_init


def _features(batches, n_classes):
    """Inputs and targets side by side, targets of classifiers one-hot."""
    y = batches.y if n_classes is None else np.eye(n_classes)[batches.y]
    return np.concatenate([batches.X.astype(np.float64), y], axis=1), batches.X.shape[1]
