"""What is known of the rows of a fit: `groups` that share an expert, and `expert_labels`."""

from __future__ import annotations

import numpy as np
from sklearn.utils import column_or_1d

from ..parts.storage import dense


def facts(groups, expert_labels, n, n_experts) -> dict:
    """Return the facts given, each (n,): "groups" as codes in the order of np.unique, "labels".

    Raises
    ------
    ValueError
        For a wrong length, a missing group, a label that is no expert, or two in one group.
    """
    known = {}
    if groups is not None:
        known["groups"] = _groups(groups, n)
    if expert_labels is not None:
        known["labels"] = labels(expert_labels, n, n_experts)
    if len(known) == 2:
        known["labels"] = _spread(known["labels"], known["groups"], groups)
    return known


def arrange(facts, rows):
    """Return the `rows` in an order in which those of a group stand together, (m,)."""
    if "groups" not in facts:
        return rows
    return rows[np.argsort(facts["groups"][rows], kind="stable")]


def check_constant(codes, groups, X, columns, names):
    """ValueError naming group and column unless the columns are constant within every group.

    Parameters
    ----------
    codes : ndarray of int of shape (n,), rows of one group standing together
    groups : the caller's labels of the groups, which the codes number in their order
    X : ndarray or sparse array of shape (n, p)
    columns : positions of the gate's columns, None for all
    names : names of all columns, or None
    """
    same = np.diff(codes) == 0
    for column in range(X.shape[1]) if columns is None else columns:
        values = dense(X[:, [column]])[:, 0]
        changes = np.flatnonzero(same & (np.diff(values) != 0))
        if len(changes):
            row = changes[0]
            group = np.unique(groups)[codes[row]]
            raise ValueError(
                f"the gate's column {column if names is None else repr(str(names[column]))} is not"
                f" constant within group {group}: it is {values[row]:g} and"
                f" {values[row + 1]:g}; leave it out of gate_features ([] is no column at all)."
            )


def column(values, n, name):
    """Return what the caller says of the rows, (n,); a ValueError for another shape."""
    try:
        values = column_or_1d(values)
    except ValueError:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {np.shape(values)}."
        ) from None
    if len(values) != n:
        raise ValueError(f"{name} has {len(values)} entries and X {n} rows; they must match.")
    return values


def _groups(groups, n):
    """Return codes of the groups (n,); a ValueError for a missing one."""
    groups = column(groups, n, "groups")
    missing = np.array([g is None or g != g for g in groups.tolist()])
    if missing.any():
        raise ValueError(
            f"groups[{missing.argmax()}] is missing; give every row a group (its own, if alone)."
        )
    try:
        return np.unique(groups, return_inverse=True)[1]
    except TypeError:
        raise ValueError("groups mixes labels of different kinds; use one.") from None


def labels(labels, n, n_experts, name="expert_labels"):
    """Return every row's expert as an integer (n,), -1 where there is none; else a ValueError."""
    labels = column(labels, n, name)
    try:
        with np.errstate(invalid="ignore"):  # NaN and infinity become some integer
            codes = labels.astype(np.int64)
        bad = codes != labels
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be integers, -1 ... {n_experts - 1}; got {labels[0]!r} first."
        ) from None
    bad |= (codes < -1) | (codes >= n_experts)
    if bad.any():
        row = bad.argmax()
        raise ValueError(
            f"{name}[{row}] is {labels[row]}; use 0 ... {n_experts - 1}, or -1 where the"
            " expert is not known."
        )
    return codes


def _spread(labels, codes, groups):
    """Return labels (n,) in which all rows of a group have that of any of them."""
    of_group = np.full(codes.max() + 1, -1)
    known = labels >= 0
    of_group[codes[known]] = labels[known]
    differs = known & (of_group[codes] != labels)
    if differs.any():
        row = differs.argmax()
        raise ValueError(
            f"expert_labels names experts {labels[row]} and {of_group[codes[row]]} in group"
            f" {np.asarray(groups)[row]!r}; the rows of a group share one."
        )
    return of_group[codes]
