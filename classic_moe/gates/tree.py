"""The tree gate: a gate at every node, which makes a mixture hierarchical."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from ..parts.checks import is_number
from ..parts.kernel import Kernel
from ..parts.registry import KINDS, find
from ..parts.statistics import Statistics
from ..parts.tree import ROOT, below, branches_of, n_leaves, nodes_of, read, to_children, uniform
from ..parts.views import GateView, take
from .base import BaseGate

EMPTY = 1e-200
"""Weight below which a node has no rows: it keeps its gate."""


def _scores(tree, params):
    """Coefficients of the scores of all branches, (M, 1 + p), and how they hang together."""
    gate, nodes = tree._resolved(), tree.nodes()
    coef = [gate.kernel.params(gate, params[node.id])[0] for node in nodes]
    return np.concatenate(coef), branches_of(tree.shape())


def _from_sums(tree, params, sums):
    """The statistics from what a compiled pass sums at every node."""
    gate, found = tree._resolved(), Statistics()
    for node, own in zip(tree.nodes(), sums, strict=True):
        of_gate = gate.kernel.statistics(gate, params[node.id], [own])
        found[node.id] = Statistics(n=own.gram[0, 0], gate=of_gate)
    return found


class TreeGate(BaseGate):
    r"""A tree of gates, whose leaves are the experts: the hierarchical mixture of experts.

    .. math:: \log g_{\text{leaf}}(x) = \sum_{\text{nodes on the path}}
       \log g_{\text{node}}(\text{child} \mid x)

    A hierarchical mixture is an ordinary mixture with this gate. The expected log-likelihood
    separates into one problem a node: its targets are the responsibilities summed over the leaves
    below each child (h_i and h_ij of [1]_), and a row counts as much as all of them together. The
    softmax gates at the nodes take exact Newton steps with Böhning's as a safeguard; the
    block-diagonal steps of [1]_ may oscillate for ever [2]_.

    Parameters
    ----------
    gate : str, BaseGate or scikit-learn classifier, default="softmax"
        What stands at every node, each with parameters of its own. Not a gate that models x: a
        tree of those has no joint likelihood.
    branching : int or sequence of int, default=2
        Children of a node; one number for all levels or one for each, from the root.
    depth : int, default=2
        Levels of gates. 1 is the flat gate.
    structure : nested tuple, default=None
        An unbalanced tree, in place of `branching` and `depth`: a node is the tuple of its
        children, a leaf the number of its expert, 0, 1, 2, ... from left to right. ``((0, 1), 2)``
        parts expert 2 from the others first.
    prune : float, default=0.0
        When the estimator predicts, branches whose probability, given x, is below this are not
        followed, and the others share theirs. Gates and, for `predict` and `predict_proba`, dear
        experts (scikit-learn estimators, networks) below them are not evaluated. The fit,
        `log_prob` and `responsibilities` always take the whole tree.

    Raises
    ------
    ValueError
        In `fit`, for a structure that is no tree, or with another number of leaves than experts.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.
    .. [2] Chen, K., Xu, L. & Chi, H. (1999). Improved learning algorithms for mixture of experts in
       multiclass classification. Neural Networks 12, 1229-1252.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.gates import TreeGate
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> gate = TreeGate(structure=((0, 1), 2))
    >>> model = MixtureOfExpertsRegressor(3, gate=gate, random_state=0).fit(X, y)
    >>> model.gate_.children_
    {'root': ['0', 2], '0': [0, 1]}
    """

    hierarchical = True

    def __init__(self, gate="softmax", branching=2, depth=2, structure=None, prune=0.0):
        self.gate = gate
        self.branching = branching
        self.depth = depth
        self.structure = structure
        self.prune = prune

    # -- the tree ----------------------------------------------------------------------------

    @property
    def n_experts(self):
        """Leaves of the tree."""
        return n_leaves(self.shape())

    def nodes(self):
        """All nodes, depth first, each a `Node`."""
        return nodes_of(self.shape())

    def shape(self, n_experts=None):
        given = self.structure is not None
        return read(self.structure) if given else uniform(self.branching, self.depth)

    def _resolved(self):
        """The gate object that stands at every node."""
        found = find("gate", self.gate)
        if found is None:
            raise ValueError(
                f"gate={self.gate!r} of TreeGate is no gate; use one of"
                f" {', '.join(map(repr, KINDS['gate'].aliases))}, or an object."
            )
        return found

    def set_params(self, **params):
        """Set parameters; ``gate__alpha=...`` on an alias first replaces it by its object.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        if any(name.startswith("gate__") for name in params):
            self.gate = params.pop("gate", self.gate)
            self.gate = clone(self._resolved()) if isinstance(self.gate, str) else self.gate
        return super().set_params(**params)

    def check_parameters(self):
        gate = self._resolved()
        gate.check_parameters()
        if hasattr(gate, "log_joint") or getattr(gate, "hierarchical", False):
            reason = "models x" if hasattr(gate, "log_joint") else "is a tree itself"
            raise ValueError(
                f"gate={self.gate!r} of TreeGate {reason}; use 'softmax', 'constant' or a"
                " classifier."
            )
        if not (is_number(self.prune) and 0 <= self.prune < 1):
            raise ValueError(f"prune={self.prune!r} of TreeGate: needs a number from 0 to below 1.")
        self.shape()

    # -- what the gate at the nodes says for all of them ---------------------------------------

    @property
    def learning(self):
        """How the gates at the nodes learn."""
        return self._resolved().learning

    @property
    def inputs(self):
        """Which columns the gates at the nodes are handed."""
        return self._resolved().inputs

    def check_input(self, X):
        self._resolved().check_input(X)

    # -- the model -------------------------------------------------------------------------

    def init(self, X, resp, random_state):
        gate = self._resolved()
        return {
            node.id: gate.init(X, to_children(node, resp), random_state) for node in self.nodes()
        }

    def log_prob(self, params, X):
        nodes = self.nodes()
        log_prob = np.zeros((X.shape[0], nodes[0].leaves[-1].stop))
        for node, along in zip(nodes, self._each_log_prob(nodes, params, X), strict=True):
            for c, leaves in enumerate(node.leaves):
                log_prob[:, leaves] += along[:, c : c + 1]
        return log_prob

    def log_route(self, params, X):
        """`log_prob` with improbable branches left out: -inf there, and renormalised."""
        if self.prune == 0:
            return self.log_prob(params, X)
        gate, nodes = self._resolved(), self.nodes()
        log_prob = np.full((nodes[0].leaves[-1].stop, X.shape[0]), -np.inf)
        kept = np.zeros(X.shape[0])
        come = {ROOT: (np.arange(X.shape[0]), 0.0)}  # the rows that reach a node, log of how likely
        for node in nodes:  # parents come first
            rows, path = come.pop(node.id, ((), 0.0))
            if not len(rows):
                continue
            here = X if len(rows) == len(X) else X[rows]
            along = (gate.log_prob(params[node.id], here).T + path).T
            follow = (along >= np.log(self.prune)) | (along == along.max(axis=1, keepdims=True))
            for child, seen, value in zip(node.children, follow.T, along.T, strict=True):
                if isinstance(child, str):
                    come[child] = rows[seen], value[seen]
                else:
                    log_prob[child, rows[seen]] = value[seen]
                    kept[rows[seen]] += np.exp(value[seen])
        return (log_prob - np.log(kept)).T

    def node_log_prob(self, params, X):
        """log g_node(child | x) of every node, {node id: (n, children)}."""
        nodes = self.nodes()
        each = self._each_log_prob(nodes, params, X)
        return {node.id: log_prob for node, log_prob in zip(nodes, each, strict=True)}

    def _each_log_prob(self, nodes, params, X):
        return self._resolved().all_log_prob([params[node.id] for node in nodes], X)

    def statistics(self, params, X, resp, order=2):
        nodes = self.nodes()
        resps = [to_children(node, resp) for node in nodes]
        each = [params[node.id] for node in nodes]
        found = self._resolved().all_statistics(each, X, resps, order)
        return Statistics(
            {
                node.id: Statistics(n=own.sum(), gate=stats)
                for node, own, stats in zip(nodes, resps, found, strict=True)
            }
        )

    def maximize(self, params, stats, cautious=False):
        """One step of the gate at every node."""
        seen = [name for name in params if stats[name]["n"] > EMPTY]
        each, sums = [params[name] for name in seen], [stats[name]["gate"] for name in seen]
        moved = self._resolved().all_maximize(each, sums, cautious)
        return params | dict(zip(seen, moved, strict=True))

    @available_if(lambda self: hasattr(self._resolved(), "gradient"))
    def gradient(self, params, stats):
        """∂Q/∂params of every node, priors included."""
        gate = self._resolved()
        return {name: gate.gradient(own, stats[name]["gate"]) for name, own in params.items()}

    def carry(self, params, stats, factor):
        gate, found = self._resolved(), {}
        for name, own in stats.items():
            carried = gate.carry(params[name], own["gate"], factor)
            found[name] = Statistics(n=factor * own["n"], gate=carried)
        return Statistics(found)

    def coordinates(self, params):
        """The kinds of the leaves at every node, for gradient training."""
        gate = self._resolved()
        return {name: gate.coordinates(own) for name, own in params.items()}

    def log_prior(self, params):
        gate = self._resolved()
        return sum(gate.log_prior(own) for own in params.values())

    def n_parameters(self, params):
        gate = self._resolved()
        return sum(gate.n_parameters(own) for own in params.values())

    def diagnose(self, params, stats):
        """The first finding of each kind, with the name of its node and how many others have it."""
        gate, found = self._resolved(), {}
        for name, own in params.items():
            for finding in gate.diagnose(own, stats[name]["gate"]):
                found.setdefault(finding.category, []).append((name, finding))
        findings = []
        for named in found.values():
            name, finding = named[0]
            others = f"; the same at {len(named) - 1} more nodes" if len(named) > 1 else ""
            message = f"node {name}: {finding.message.rstrip('.')}{others}."
            findings.append(finding._replace(message=message))
        return findings

    def reorder(self, params, key, weights=None):
        """Sort the children of every node; only whole subtrees of one shape change places.

        By decreasing sum of `weights` below them, ties by their least `key`; without weights by
        their mean key.
        """
        gate, nodes = self._resolved(), {node.id: node for node in self.nodes()}
        key = np.asarray(key, dtype=float)
        order, moved = [], {}

        def rank(leaves):
            if weights is None:
                return key[leaves].mean()
            return -np.round(np.sum(weights[leaves]), 10), key[leaves].min()

        def place(old, new):
            """Copy the node `old` to the place `new`, its children in order."""
            node = nodes[old]
            places = {}
            for c, shape in enumerate(node.shapes):
                places.setdefault(shape, []).append(c)
            taken = [0] * len(node.children)
            for same in places.values():
                by_rank = sorted(same, key=lambda c: rank(node.leaves[c]))
                for c, source in zip(same, by_rank, strict=True):
                    taken[c] = source
            moved[new] = gate.reorder(params[old], np.argsort(taken))[0]
            for c, source in enumerate(taken):
                child = node.children[source]
                if isinstance(child, str):
                    place(child, below(new, c))
                else:
                    order.append(child)

        place(ROOT, ROOT)
        return {name: moved[name] for name in params}, np.array(order)

    # -- the compiled pass ------------------------------------------------------------------

    @property
    def kernel(self):
        """A tree of gates that a compiled pass knows is known to it."""
        known = self._resolved().kernel
        return None if known is None else Kernel(known.name, _scores, _from_sums)

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        gate = self._resolved()
        return {name: gate.to_caller(own, units) for name, own in params.items()}

    def from_caller(self, values, units, n_experts):
        nodes = self.nodes()
        values = take(values, [node.id for node in nodes], "gate")
        gate, params = self._resolved(), {}
        for node in nodes:
            try:
                params[node.id] = gate.from_caller(values[node.id], units, len(node.children))
            except ValueError as error:
                raise type(error)(f"node {node.id}: {error}") from None
        return params

    def view(self, params, units, **shell):
        gate, nodes = self._resolved(), self.nodes()
        return TreeView(
            **shell,
            nodes_={node.id: gate.view(params[node.id], units, **shell) for node in nodes},
            children_={node.id: list(node.children) for node in nodes},
        )


class TreeView(GateView):
    """The tree of gates: `nodes_`, {node id: view of its gate}, and `children_`.

    `children_` is {node id: [id of a node or number of an expert, ...]}.
    """

    kind = "tree"

    def __repr__(self):
        leaves = sum(not isinstance(c, str) for kids in self.children_.values() for c in kids)
        return f"TreeView({len(self.nodes_)} nodes, {leaves} leaves)"
