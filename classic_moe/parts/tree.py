"""The shape of a tree of gates: which node has which children, and the experts below them."""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._kernels import array
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
    """Return a nested structure of expert numbers as nested tuples, leaves None.

    Raises a ValueError for what is no such structure.
    """
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
    """Return the shape of a balanced tree; ValueError for numbers that make none."""
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
    """Return how many experts are below a node, 1 for a leaf."""
    return 1 if shape is None else sum(map(n_leaves, shape))


def structure_of(shape):
    """Return a shape as the nested tuples of expert numbers that `read` reads; 0 for one leaf."""
    count = itertools.count()

    def numbered(part):
        return next(count) if part is None else tuple(map(numbered, part))

    return numbered(shape)


def grown(shape, leaves, n_children=2):
    """Return a shape with a node of new leaves in place of each of some leaves, by number."""
    count = itertools.count()

    def of(part):
        if part is None:
            return (None,) * n_children if next(count) in leaves else None
        return tuple(map(of, part))

    return of(shape)


def pruned(shape, names):
    """Return a shape with a leaf in place of each of some nodes, by id."""

    def of(part, name):
        if part is None or name in names:
            return None
        return tuple(of(child, below(name, c)) for c, child in enumerate(part))

    return of(shape, ROOT)


def last_nodes(shape):
    """Return the nodes whose children are leaves, each a `Node`."""
    return [node for node in nodes_of(shape) if all(child is None for child in node.shapes)]


def below(name, child):
    """Return the id of a child of the node `name`."""
    return str(child) if name == ROOT else f"{name}.{child}"


@functools.cache
def nodes_of(shape):
    """Return all nodes of a tree, depth first; they are made once a shape."""
    return tuple(_walk(shape))


@functools.cache
def branches_of(shape):
    """Return the tree as the compiled passes know it, `Branches`."""
    nodes = nodes_of(shape)
    number = {node.id: i for i, node in enumerate(nodes)}
    ends = itertools.accumulate((len(node.children) for node in nodes), initial=0)
    children = itertools.chain.from_iterable(node.children for node in nodes)
    return Branches(tuple(ends), tuple(~number[c] if isinstance(c, str) else c for c in children))


def _walk(shape, name=ROOT, first=0):
    """Yield all nodes, depth first; `first` is the number of the first expert below."""
    children, leaves = [], []
    for c, child in enumerate(shape):
        leaves.append(slice(first, first + n_leaves(child)))
        children.append(first if child is None else below(name, c))
        first = leaves[-1].stop
    yield Node(name, children, leaves, list(shape))
    for child, own, where in zip(children, shape, leaves, strict=True):
        if own is not None:
            yield from _walk(own, child, where.start)


# -- numbers of nodes and of leaves ------------------------------------------------------------


def to_children(node, resp):
    """Return the responsibilities of a node's children, those below summed, (n, children)."""
    xp = array.namespace(resp)
    return xp.stack([xp.sum(resp[:, leaves], axis=1) for leaves in node.leaves], axis=1)


def to_leaves(shape, along):
    """Return the sum along the path to every leaf, (n, K), of the nodes' (n, children) each."""
    paths, leaves = {}, {}
    for node, values in zip(nodes_of(shape), along, strict=True):
        for c, child in enumerate(node.children):
            total = values[:, c] if node.id == ROOT else paths[node.id] + values[:, c]
            (paths if isinstance(child, str) else leaves)[child] = total
    return array.namespace(along[0]).stack([leaves[k] for k in range(len(leaves))], axis=1)


def node_log_prob(shape, log_prob):
    """Return log g_node(child | x) of every node, {node id: (n, children)}, from (n, K) of leaves.

    That is the logarithm of the sum over the leaves below the child less that over all leaves below
    the node. A node that no leaf lets a row reach gives its children equal shares.
    """
    xp, found = array.namespace(log_prob), {}
    for node in nodes_of(shape):
        sums = [array.logsumexp(log_prob[:, leaves]) for leaves in node.leaves]
        sums = xp.stack(sums, axis=1)
        lost = xp.all(xp.isinf(sums), axis=1, keepdims=True)
        found[node.id] = array.log_softmax(xp.where(lost, xp.zeros_like(sums), sums))
    return found


# -- the order of the experts ------------------------------------------------------------------


def order(shape, key, weights=None):
    """Return the experts in the order that a fit reports, (K,), as numbers to take.

    By increasing `key` (K,). In a tree the children of every node are sorted, and only subtrees of
    one shape change places: by decreasing sum of `weights` (K,) below them, ties by the least key;
    without weights by the mean key.
    """
    key = np.asarray(key, dtype=float)
    if not is_tree(shape):
        return np.argsort(key, kind="stable")
    nodes = {node.id: node for node in nodes_of(shape)}

    def rank(leaves):
        if weights is None:
            return key[leaves].mean()
        return -np.round(np.sum(weights[leaves]), 10), key[leaves].min()

    def experts_below(name):
        node, found = nodes[name], []
        for source in _sorted_children(node, rank):
            child = node.children[source]
            found += experts_below(child) if isinstance(child, str) else [child]
        return found

    return np.array(experts_below(ROOT))


def is_tree(shape):
    """Return whether a shape has more than one level."""
    return any(child is not None for child in shape)


def _sorted_children(node, rank):
    """Return which child goes to each place of a node, children of one shape by their rank."""
    places = {}
    for c, shape in enumerate(node.shapes):
        places.setdefault(shape, []).append(c)
    taken = [0] * len(node.children)
    for same in places.values():
        by_rank = sorted(same, key=lambda c: rank(node.leaves[c]))
        for c, source in zip(same, by_rank, strict=True):
            taken[c] = source
    return taken


def matched(shape, agreement):
    """Return the experts in the order that agrees best with others, (K,), as numbers to take.

    `agreement` (K, K) says how far each of the others (rows) is like each expert (columns); the sum
    over the pairs is as large as can be. In a tree only subtrees of one shape change places: how
    well two agree is the best sum below them, from the leaves up.
    """

    def best(shape, row, column):
        """Return the sum and the order of the experts from `column` on, for those from `row` on."""
        if shape is None:
            return agreement[row, column], [column]
        firsts = [0, *itertools.accumulate(map(n_leaves, shape[:-1]))]
        taken = {}
        for kind in dict.fromkeys(shape):  # the children of one shape among themselves
            places = [c for c, child in enumerate(shape) if child == kind]
            starts = [firsts[c] for c in places]
            pairs = [[best(kind, row + a, column + b) for b in starts] for a in starts]
            values = [[value for value, _ in of_place] for of_place in pairs]
            for a, b in zip(*linear_sum_assignment(values, maximize=True), strict=True):
                taken[places[a]] = pairs[a][b]
        sums, orders = zip(*(taken[c] for c in range(len(shape))), strict=True)
        return sum(sums), list(itertools.chain.from_iterable(orders))

    return np.array(best(shape, 0, 0)[1])


def moves(shape, ids):
    """Return where every node comes from when experts change places, {id: (id, children)}.

    `ids` (K,) are the experts in their new order; the children are those of the node it was, in
    their new order.

    Raises
    ------
    ValueError
        For an order that tears a subtree apart.
    """
    ids = np.asarray(ids)
    if sorted(ids) != list(range(n_leaves(shape))):
        raise ValueError(_torn(ids))
    nodes = {node.id: node for node in nodes_of(shape)}
    found, pending = {}, [(ROOT, ROOT)]
    for name, before in pending:  # which grows as it goes
        places = range(len(nodes[name].children))
        sources = [_source(nodes[name], c, nodes[before], ids) for c in places]

        found[name] = before, sources
        children = [nodes[before].children[source] for source in sources]
        pending += [(below(name, c), own) for c, own in enumerate(children) if isinstance(own, str)]
    return found


def _source(node, place, before, ids):
    """Return the child of the node `before` whose experts now stand at a place of a node."""
    inside = sorted(ids[node.leaves[place]])
    for source, leaves in enumerate(before.leaves):
        same = before.shapes[source] == node.shapes[place]
        if same and inside == list(range(leaves.start, leaves.stop)):
            return source
    raise ValueError(_torn(ids))


def _torn(ids):
    return (
        f"the experts {ids.tolist()} of a tree: every expert is needed once, and only whole"
        " subtrees of one shape may change places."
    )
