"""Which columns of X a part sees: `gate_features`, `expert_features` and `offset_feature`."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np


def resolve_columns(key, X, n_features, names, parameter):
    """Return positions of the selected columns, in the order given; None for all of them.

    Parameters
    ----------
    key : None, str, int, slice, boolean mask, list of these, or callable
        A callable gets X as the caller passed it (as `make_column_selector` does). An empty list
        selects nothing: an intercept only.
    X : the caller's X
    n_features : int
    names : array of str or None
    parameter : str
        The name to use in messages.

    Returns
    -------
    ndarray of int, or None

    Raises
    ------
    ValueError
        For a missing column, a duplicate, a mask that selects nothing or has the wrong length.
    """
    if key is None:
        return None
    if callable(key):
        key = key(X)
    columns = _positions(key, n_features, names, parameter)
    unique, counts = np.unique(columns, return_counts=True)
    if (counts > 1).any():
        twice = unique[counts > 1][0]
        label = twice if names is None else repr(str(names[twice]))
        raise ValueError(f"{parameter} names column {label} twice; name each column once.")
    return columns


def _positions(key, n_features, names, parameter):
    """Return positions (m,) of what `key` names, maybe with repetitions."""
    if isinstance(key, str):
        if names is None:
            raise ValueError(
                f"{parameter}={key!r} is a name, but X has no column names; pass a table or use"
                " positions."
            )
        found = np.flatnonzero(np.asarray(names, dtype=object) == key)
        if len(found) == 0:
            raise ValueError(f"{parameter} names column {key!r}; X has {', '.join(names)}.")
        return found
    # A bool is an Integral too: True must not name column 1.
    if isinstance(key, (bool, np.bool_)):
        raise ValueError(f"{parameter}={key!r} is neither a column nor a list of columns.")
    if isinstance(key, Integral):
        if not -n_features <= key < n_features:
            raise ValueError(f"{parameter} names column {key}; X has {n_features} columns.")
        return np.array([int(key) % n_features])
    if isinstance(key, slice):
        return np.arange(n_features)[_slice(key, n_features, names, parameter)]
    items = list(key) if np.ndim(key) == 1 else None
    if items is None:
        raise ValueError(f"{parameter}={key!r} is neither a column nor a list of columns.")
    # Nothing but bools is a mask of all columns; an empty list is a list, of no column.
    if items and all(isinstance(item, (bool, np.bool_)) for item in items):
        if len(items) != n_features:
            raise ValueError(
                f"{parameter} is a mask of length {len(items)}; X has {n_features} columns."
            )
        if not any(items):
            raise ValueError(f"{parameter} is a mask without True; use [] for an intercept only.")
        return np.flatnonzero(items)
    # Anything else is a list of keys, each of any kind: names beside slices.
    parts = [_positions(item, n_features, names, parameter) for item in items]
    return np.concatenate(parts).astype(int) if parts else np.empty(0, dtype=int)


def _slice(key, n_features, names, parameter):
    """Return a slice of positions; one of names includes its end, as in pandas."""
    if not (isinstance(key.start, str) or isinstance(key.stop, str)):
        return key
    start = stop = None
    if key.start is not None:
        start = int(_positions(key.start, n_features, names, parameter)[0])
    if key.stop is not None:
        stop = int(_positions(key.stop, n_features, names, parameter)[0]) + 1
    return slice(start, stop, key.step)


def resolve_offset(key, X, n_features, names):
    """Return the position of the offset, or None; ValueError unless it is exactly one column."""
    if key is None:
        return None
    columns = resolve_columns(key, X, n_features, names, "offset_feature")
    if len(columns) != 1:
        raise ValueError(f"offset_feature={key!r} names {len(columns)} columns; it must be one.")
    return int(columns[0])


class Columns(NamedTuple):
    """The caller's columns that each part sees, None for all, and that of the offset, if any."""

    gate: np.ndarray | None
    expert: np.ndarray | None
    offset: int | None

    @classmethod
    def resolve(cls, features, offset_feature, parts, X, n_features, names):
        """Return the columns that the parameters name.

        Parameters
        ----------
        features : dict of str to column selector
            `gate_features` and `expert_features`, by "gate" and "expert".
        offset_feature : column selector
        parts : dict of str to Part
        X : the caller's X, of which a callable selects
        n_features : int
        names : array of str or None

        Raises
        ------
        ValueError
            As `resolve_columns`, and for a part that ignores x or that names the offset.
        """
        offset = resolve_offset(offset_feature, X, n_features, names)
        own = {}
        for part, given in features.items():
            parameter = f"{part}_features"
            columns = resolve_columns(given, X, n_features, names, parameter)
            own[part] = _own(columns, given, parameter, parts[part], n_features, offset)
        return cls(own["gate"], own["expert"], offset)


def _own(columns, given, parameter, part, n_features, offset):
    """Return the columns of a part, none if it ignores x, and never the offset's."""
    blind = not part.inputs.uses_x
    if blind and columns is not None and len(columns):
        raise ValueError(f"{parameter}={given!r}: {type(part).__name__} ignores x; leave it None.")
    if offset is not None and columns is None:
        columns = np.delete(np.arange(n_features), offset)
    if offset is not None and offset in columns:
        raise ValueError(
            f"{parameter} names column {offset}, which is the offset_feature; leave it out."
        )
    return np.empty(0, dtype=int) if blind else columns


@dataclass(frozen=True)
class Layout:
    """How the internal X is made from the caller's: standardised columns, raw ones, the offset.

    Attributes
    ----------
    source : ndarray of int of shape (m,) or None
        The caller's column behind every internal one; None: all columns, each standardised.
    raw : ndarray of bool of shape (m,) or None
        Which internal columns stay in the caller's units.
    gate, expert : ndarray of int or None
        Where each part finds its own columns in the internal X; None means all.
    offset : int or None
        Where the offset stands in the internal X.
    """

    source: np.ndarray | None
    raw: np.ndarray | None
    gate: np.ndarray | None
    expert: np.ndarray | None
    offset: int | None

    @classmethod
    def plan(cls, n_features, columns, parts):
        """Return the layout for `parts`, {"gate": ..., "expert": ...}, with their `Columns`."""
        everything, offset = np.arange(n_features), columns.offset
        given = columns._asdict()
        own = {name: everything if given[name] is None else given[name] for name in parts}
        raw = {name: part.inputs.raw_columns(len(own[name])) for name, part in parts.items()}
        if offset is None and not any(mask.any() for mask in raw.values()):
            return cls(None, None, columns.gate, columns.expert, None)
        found = {}  # (the caller's column, raw or not) -> where it stands

        def place(column, is_raw):
            return found.setdefault((int(column), bool(is_raw)), len(found))

        places = {
            name: np.array([place(*key) for key in zip(own[name], raw[name], strict=True)], int)
            for name in parts
        }
        where = None if offset is None else place(offset, True)
        source, is_raw = (np.array(side) for side in zip(*found, strict=True))
        return cls(source, is_raw, places["gate"], places["expert"], where)
