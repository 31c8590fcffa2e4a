"""`Params`, the fitted values: nested dicts of arrays. The only code that walks them.

A leaf may be an array of objects (fitted estimators); such leaves are permuted and passed on, and
never enter arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Params = dict[str, "np.ndarray | Params"]


def map_leaves(function: Callable, *params: Params) -> Params:
    """Apply `function` to the matching leaves of one or several `Params`."""
    first = params[0]
    return {
        name: map_leaves(function, *(p[name] for p in params))
        if isinstance(leaf, dict)
        else function(*(p[name] for p in params))
        for name, leaf in first.items()
    }


def leaves(params: Params) -> list[np.ndarray]:
    """All arrays of `params`, depth first."""
    return [
        array
        for leaf in params.values()
        for array in (leaves(leaf) if isinstance(leaf, dict) else [leaf])
    ]


def same(one: Params, other: Params) -> bool:
    """Whether all leaves of two `Params` of one model hold the same numbers."""
    return all(map(np.array_equal, leaves(one), leaves(other)))


def ravel(params: Params) -> np.ndarray:
    """All numbers of `params` in one vector."""
    arrays = leaves(params)
    return np.concatenate([np.ravel(a) for a in arrays]) if arrays else np.empty(0)


def unravel(vector: np.ndarray, like: Params) -> Params:
    """The inverse of `ravel`: the numbers of `vector` in the shape of `like`."""
    position = 0

    def take(leaf):
        nonlocal position
        size = np.size(leaf)
        piece = np.reshape(vector[position : position + size], np.shape(leaf))
        position += size
        return piece

    return map_leaves(take, like)


def interpolate(start: Params, end: Params, t: float) -> Params:
    """`start + t (end - start)`, leaf by leaf; leaves of objects are those of `end`."""
    return map_leaves(lambda a, b: b if a.dtype == object else a + t * (b - a), start, end)


def take(params: Params, ids) -> Params:
    """Return the leaves at `ids` of their leading axis, the experts; one of length 1 is shared."""
    ids = np.asarray(ids)
    return map_leaves(lambda leaf: leaf if len(leaf) == 1 else leaf[ids], params)


def all_finite(params: Params) -> bool:
    """Whether no leaf holds a NaN or an infinity."""
    numbers = (leaf for leaf in leaves(params) if leaf.dtype != object)
    return all(bool(np.isfinite(leaf).all()) for leaf in numbers)
