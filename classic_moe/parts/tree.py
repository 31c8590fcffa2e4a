"""The shape of a tree of gates: which node has which children, and the experts below them."""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np

from .._kernels.array import Branches
from .checks import is_integer

ROOT = "root"


class Node(NamedTuple):
    """A node of the tree and what hangs below it.

    id : str, the way from the root as numbers of children, "0.1"; the root's is "root"
    children : list of str or int, ids of nodes or numbers of experts
    leaves : list of slice, the experts below each child
    shapes : list, the nested structure below each child, leaves as None
    """

    id: str
    children: list
    leaves: list
    shapes: list


def read(structure):
    """A nested structure of expert numbers as nested tuples, leaves None; ValueError for others."""
    count = itertools.count()

    def shape_of(part):
        if is_integer(part):
            due = next(count)
            if part != due:
                raise ValueError(
                    "structure: its leaves are the experts 0, 1, 2, ... from left to right; got"
                    f" {part} where {due} stands."
                )
            return None
        if not isinstance(part, (tuple, list)) or len(part) < 2:
            raise ValueError(
                "structure: a node is a tuple of at least two children, a leaf the number of its"
                f" expert; got {part!r}."
            )
        return tuple(map(shape_of, part))

    shape = shape_of(structure)
    if shape is None:
        raise ValueError(f"structure={structure!r} is a single leaf; use a tuple such as (0, 1).")
    return shape


def uniform(branching, depth):
    """The shape of a balanced tree; ValueError for numbers that make none."""
    if not (is_integer(depth) and depth >= 1):
        raise ValueError(f"depth={depth!r}: needs an integer of at least 1.")
    levels = [branching] * depth if is_integer(branching) else branching
    if not isinstance(levels, (tuple, list, np.ndarray)) or not all(
        is_integer(b) and b >= 2 for b in levels
    ):
        raise ValueError(
            f"branching={branching!r}: needs an integer of at least 2, or one for each level."
        )
    if len(levels) != depth:
        raise ValueError(
            f"branching={branching!r} is for {len(levels)} levels, depth={depth}; give one number"
            " for each level."
        )
    shape = None
    for b in reversed(levels):
        shape = (shape,) * int(b)
    return shape


def n_leaves(shape):
    """Leaves below a node, or 1 for a leaf."""
    return 1 if shape is None else sum(map(n_leaves, shape))


def below(name, child):
    """The id of a child of the node `name`."""
    return str(child) if name == ROOT else f"{name}.{child}"


@functools.cache
def nodes_of(shape):
    """All nodes of a tree, depth first; made once a shape."""
    return tuple(walk(shape))


@functools.cache
def branches_of(shape):
    """The tree as the compiled passes know it."""
    nodes = nodes_of(shape)
    number = {node.id: i for i, node in enumerate(nodes)}
    ends = itertools.accumulate((len(node.children) for node in nodes), initial=0)
    children = itertools.chain.from_iterable(node.children for node in nodes)
    return Branches(tuple(ends), tuple(~number[c] if isinstance(c, str) else c for c in children))


def walk(shape, name=ROOT, first=0):
    """All nodes, depth first; `first` is the number of the first expert below."""
    children, leaves = [], []
    for c, child in enumerate(shape):
        leaves.append(slice(first, first + n_leaves(child)))
        children.append(first if child is None else below(name, c))
        first = leaves[-1].stop
    yield Node(name, children, leaves, list(shape))
    for child, own, where in zip(children, shape, leaves, strict=True):
        if own is not None:
            yield from walk(own, child, where.start)


def to_children(node, resp):
    """Responsibilities of a node's children: those of the leaves below, summed; (n, children)."""
    return np.stack([resp[:, leaves].sum(axis=1) for leaves in node.leaves], axis=1)
