"""The tree gate: a gate at every node, which makes a mixture hierarchical."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from .._kernels import array
from ..parts import kept
from ..parts.checks import is_number
from ..parts.kernel import Kernel
from ..parts.part import offers
from ..parts.predictors import Terms, add_terms, within
from ..parts.registry import find, refusal
from ..parts.statistics import Statistics
from ..parts.tree import (
    ROOT,
    branches_of,
    moves,
    n_leaves,
    nodes_of,
    read,
    to_children,
    to_leaves,
    uniform,
)
from ..parts.views import GateView, take
from .base import BaseGate

EMPTY = 1e-200
"""Weight below which a node has no rows: it keeps its gate."""


_FOUND = weakref.WeakKeyDictionary()
"""By tree: its parameter `gate` as it was last seen, and the gate that it stands for."""


def _node_scores(tree, params):
    """Return the coefficients of the scores of all branches, (M, 1 + p), and the `Branches`."""
    gate, shape = tree._node_gate(), tree.tree_shape()
    coef = [gate.kernel.params(gate, params[node.id])[0] for node in nodes_of(shape)]
    return np.concatenate(coef), branches_of(shape)


def _node_targets(tree, resp, branches):
    """Return what the gates at the nodes have summed for every branch, (n, M)."""
    gate = tree._node_gate()
    return gate.kernel.targets(gate, resp, branches)


def _from_node_sums(tree, params, sums):
    """Return the statistics from what a compiled pass sums at every node."""
    gate, found = tree._node_gate(), Statistics()
    for node, own in zip(nodes_of(tree.tree_shape()), sums, strict=True):
        of_gate = gate.kernel.statistics(gate, params[node.id], [own])
        found[node.id] = Statistics(n=own.total, gate=of_gate)
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
    top_k : int, default=None
        Keep the k most probable experts of every row, of the whole tree, as of `SoftmaxGate`: the
        model itself is sparse then. Predictions follow only branches that lead to them. Not
        together with `prune`.

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

    def __init__(
        self,
        gate: Any = "softmax",
        branching: Any = 2,
        depth: int = 2,
        structure: Any = None,
        prune: Any = 0.0,
        top_k: int | None = None,
    ) -> None:
        self.gate = gate
        self.branching = branching
        self.depth = depth
        self.structure = structure
        self.prune = prune
        self.top_k = top_k

    # -- the tree ----------------------------------------------------------------------------

    @property
    def n_experts(self):
        """Count the leaves of the tree."""
        return n_leaves(self.tree_shape())

    def tree_shape(self, n_experts=None):
        """Return the tree as nested tuples, leaves None; ValueError for what is none."""
        given = self.structure is not None
        return read(self.structure) if given else uniform(self.branching, self.depth)

    def _nodes(self):
        """Return all nodes, depth first, each a `Node`."""
        return nodes_of(self.tree_shape())

    def _node_gate(self):
        """Return the gate object that stands at every node: found once while `gate` is the same."""
        seen, found = _FOUND.get(self, (None, None))
        if found is None or seen is not self.gate:
            found = find("gate", self.gate)
            _FOUND[self] = self.gate, found
        if found is None:
            raise ValueError(refusal("gate", self.gate, " of TreeGate"))
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
            self.gate = clone(self._node_gate()) if isinstance(self.gate, str) else self.gate
        return super().set_params(**params)

    def words(self):
        return self._node_gate().words()

    def with_numbers(self, numbers):
        if not self.words():
            return self
        return clone(self).set_params(gate=self._node_gate().with_numbers(numbers))

    def check_parameters(self):
        gate = self._node_gate()
        gate.check_parameters()
        models_x = offers(gate, "log_joint")
        if models_x or isinstance(gate, TreeGate):
            reason = "models x" if models_x else "is a tree itself"
            raise ValueError(
                f"gate={self.gate!r} of TreeGate {reason}; use 'softmax', 'constant' or a"
                " classifier."
            )
        if not (is_number(self.prune) and 0 <= self.prune < 1):
            raise ValueError(f"prune={self.prune!r} of TreeGate: needs a number from 0 to below 1.")
        if gate.n_kept is not None:
            raise ValueError(
                f"gate={self.gate!r} of TreeGate keeps {gate.n_kept} children of a node; keep"
                f" experts of the whole tree instead, TreeGate(..., top_k={gate.n_kept})."
            )
        if self.top_k is not None:
            kept.check_kept(self.top_k, "top_k", "TreeGate")
            if self.prune:
                raise ValueError(
                    f"prune={self.prune!r} and top_k={self.top_k!r} of TreeGate both leave experts"
                    " out; use one of them."
                )
        self.tree_shape()

    # -- what the gate at the nodes says for all of them ---------------------------------------

    @property
    def learning(self):
        """Return how the gates at the nodes learn; a kept set that moves does not climb."""
        own = self._node_gate().learning
        jumps = self.top_k is not None
        return own._replace(ascends=False, extrapolates=False) if jumps else own

    @property
    def inputs(self):
        """Return which columns the gates at the nodes are handed."""
        return self._node_gate().inputs

    @property
    def kernel(self):
        """Return the formulas for a compiled pass: a tree of gates that it knows is known to it."""
        known = self._node_gate().kernel
        if known is None or self.top_k is not None:
            return None
        targets = known.targets and _node_targets
        return Kernel(known.name, _node_scores, _from_node_sums, targets=targets)

    @property
    def n_kept(self):
        """How many experts it keeps of every row; None: all."""
        return self.top_k

    def dense(self):
        return self if self.top_k is None else clone(self).set_params(top_k=None)

    def check_input(self, X):
        self._node_gate().check_input(X)

    # -- the model -------------------------------------------------------------------------

    def init(self, X, resp, random_state):
        gate = self._node_gate()
        return {
            node.id: gate.init(X, to_children(node, resp), random_state) for node in self._nodes()
        }

    def log_prob(self, params, X):
        return kept.keep(self._log_leaves(params, X), self.top_k)

    def _log_leaves(self, params, X):
        """Return log g_k(x) of all leaves, (n, K)."""
        shape, gate = self.tree_shape(), self._node_gate()
        each = [params[node.id] for node in nodes_of(shape)]
        return to_leaves(shape, gate._several(gate).log_prob(each, X))

    @available_if(lambda self: self.top_k is not None)
    def route(self, params, X):
        """Return the kept experts (n, k), the best first, and log g of each, (n, k).

        Where the gates at the nodes have a kernel, no branch is looked at that leads to none.
        """
        if self._node_gate().kernel is None or not array.is_host(X):
            return kept.route(self._log_leaves(params, X), self.top_k)
        from .._kernels import compiled  # numba is imported here, at first use

        rows = np.ascontiguousarray(X, dtype=np.float64)
        coef, branches = _node_scores(self, params)
        experts, log_prob = compiled.best_leaves(
            rows, coef, branches, min(self.top_k, self.n_experts)
        )
        return experts, kept.normalised(log_prob)

    def log_route(self, params, X):
        """Return `log_prob` without improbable branches: -inf there, and renormalised, (n, K)."""
        if self.prune == 0:
            return self.log_prob(params, X)
        if not array.is_host(X):
            return self._log_route_elsewhere(params, X)
        gate, nodes = self._node_gate(), self._nodes()
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

    def _log_route_elsewhere(self, params, X):
        """Return what `log_route` does of rows on a device: all nodes are asked about all rows."""
        gate, nodes, xp = self._node_gate(), self._nodes(), array.namespace(X)
        leaves, come = {}, {ROOT: 0.0}
        for node in nodes:  # parents come first
            along = gate.log_prob(params[node.id], X) + come.pop(node.id)
            best = xp.max(along, axis=1, keepdims=True)
            follow = (along >= float(np.log(self.prune))) | (along == best)
            along = xp.where(follow, along, -xp.inf)
            for i, child in enumerate(node.children):
                if isinstance(child, str):
                    come[child] = along[:, i : i + 1]
                else:
                    leaves[child] = along[:, i]
        found = xp.stack([leaves[k] for k in range(len(leaves))], axis=1)
        return found - array.logsumexp(found)[:, None]

    def take(self, params, ids):
        """Return the params with the experts in another order, which moves whole subtrees."""
        gate, before = self._node_gate(), moves(self.tree_shape(), ids)
        return {name: gate.take(params[before[name][0]], before[name][1]) for name in params}

    # -- fitting ---------------------------------------------------------------------------

    def statistics(self, params, X, resp, order=2):
        gate, nodes, xp = self._node_gate(), self._nodes(), array.namespace(resp)
        if self.top_k is not None:
            resp = kept.completed(resp, self._log_leaves(params, X), self.top_k)
        resps = [to_children(node, resp) for node in nodes]
        each = [params[node.id] for node in nodes]
        found = gate._several(gate).statistics(each, X, resps, order)
        return Statistics(
            {
                node.id: Statistics(n=xp.sum(own), gate=stats)
                for node, own, stats in zip(nodes, resps, found, strict=True)
            }
        )

    def maximize(self, params, stats, cautious=False):
        """Return the params after one step of the gate at every node that has rows."""
        if self.top_k == 1:  # g is 1 at the kept expert, whatever the nodes say
            return params
        gate, seen = self._node_gate(), [name for name in params if stats[name]["n"] > EMPTY]
        each, sums = [params[name] for name in seen], [stats[name]["gate"] for name in seen]
        moved = gate._several(gate).maximize(each, sums, cautious)
        return params | dict(zip(seen, moved, strict=True))

    @available_if(lambda self: offers(self._node_gate(), "gradient"))
    def gradient(self, params, stats):
        """Return ∂Q/∂params of every node, priors included."""
        gate = self._node_gate()
        return {name: gate.gradient(own, stats[name]["gate"]) for name, own in params.items()}

    def carry(self, params, stats, factor):
        gate, found = self._node_gate(), {}
        for name, own in stats.items():
            carried = gate.carry(params[name], own["gate"], factor)
            found[name] = Statistics(n=factor * own["n"], gate=carried)
        return Statistics(found)

    @available_if(lambda self: self.top_k is None and offers(self._node_gate(), "predictors"))
    def predictors(self, params):
        """Return the predictors of the gates at all nodes, shared by all experts."""
        gate, found = self._node_gate(), []
        for node in self._nodes():
            found += within(node.id, gate.predictors(params[node.id]))
        return found

    @available_if(lambda self: self.top_k is None and offers(self._node_gate(), "rows"))
    def rows(self, params, X, derivatives=2):
        """Return log g_k and its derivatives in the predictors of all nodes, `Terms`.

        log g_leaf is the sum of log g_node(child) along the path: a node's predictors have the
        derivatives of the child that leads to the leaf, and 0 where the node is not on the path.
        """
        gate = self._node_gate()
        return add_terms(
            [
                _terms_of_leaves(node, gate.rows(params[node.id], X, derivatives), self.n_experts)
                for node in self._nodes()
            ]
        )

    def coordinates(self, params):
        """Return the kinds of the leaves at every node, for gradient training."""
        gate = self._node_gate()
        return {name: gate.coordinates(own) for name, own in params.items()}

    def log_prior(self, params):
        gate = self._node_gate()
        return sum(gate.log_prior(own) for own in params.values())

    def n_parameters(self, params):
        gate = self._node_gate()
        return sum(gate.n_parameters(own) for own in params.values())

    def diagnose(self, params, stats):
        """Return one finding of each kind, naming its node and how many others have the same."""
        gate, found = self._node_gate(), {}
        for name, own in params.items():
            for finding in gate.diagnose(own, stats[name]["gate"]):
                found.setdefault(finding.category, []).append((name, finding))
        findings = []
        for named in found.values():
            name, finding = named[0]
            others = f"; the same at {len(named) - 1} more nodes" if len(named) > 1 else ""
            message = f"node {name}: {finding.text.rstrip('.')}{others}."
            findings.append(finding._replace(message=message, advice=""))
        return findings

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        gate = self._node_gate()
        return {name: gate.to_caller(own, units) for name, own in params.items()}

    def from_caller(self, values, units, n_experts):
        nodes = self._nodes()
        values = take(values, [node.id for node in nodes], "gate")
        gate, params = self._node_gate(), {}
        for node in nodes:
            try:
                params[node.id] = gate.from_caller(values[node.id], units, len(node.children))
            except ValueError as error:
                raise type(error)(f"node {node.id}: {error}") from None
        return params

    def view(self, params, units, **features):
        gate, nodes = self._node_gate(), self._nodes()
        return TreeView(
            **features,
            nodes_={node.id: gate.view(params[node.id], units, **features) for node in nodes},
            children_={node.id: list(node.children) for node in nodes},
        )


def _terms_of_leaves(node, terms, n_experts):
    """Return a node's `Terms` of its children as terms of all leaves, 0 for those not below it."""
    xp, C = array.namespace(terms.log_prob), len(node.children)
    child = np.full(n_experts, C)
    for c, leaves in enumerate(node.leaves):
        child[leaves] = c
    child = array.like(terms.log_prob, child)

    def of_leaves(values):
        none = xp.zeros_like(values[:, :1, ...])
        return xp.take(xp.concat([values, none], axis=1), child, axis=1)

    return Terms(*(None if values is None else of_leaves(values) for values in terms))


class TreeView(GateView):
    """The tree of gates: `nodes_`, {node id: view of its gate}, and `children_`.

    `children_` is {node id: [id of a node or number of an expert, ...]}.
    """

    kind = "tree"

    def __repr__(self):
        leaves = sum(not isinstance(c, str) for kids in self.children_.values() for c in kids)
        return f"TreeView({len(self.nodes_)} nodes, {leaves} leaves)"
