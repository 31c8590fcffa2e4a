"""`TreeMixin`: what an estimator whose gate is a tree says of its nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._kernels import array
from ..parts.availability import available_if
from ..parts.checks import is_integer
from ..parts.registry import matches
from ..parts.tree import node_log_prob, nodes_of
from ..report.equations import branch_lines, expert_lines
from ._predictions import has_likelihood


def _has_tree(self):
    """Raise where the gate is flat; before the fit, by the parameters."""
    view = vars(self).get("gate_")
    if not (matches("gate", "tree", self._given_gate()) if view is None else view.kind == "tree"):
        raise AttributeError(
            f"the gate of this {type(self).__name__} is no tree; its nodes exist with"
            " gate=TreeGate(...) and in the hierarchical estimators."
        )
    return True


def _has_posterior_tree(self):
    return _has_tree(self) and has_likelihood(self)


class TreeMixin:
    """Methods for hierarchical mixtures; other estimators have none of them."""

    @available_if(_has_tree)
    def node_proba(self, X: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return the gating probabilities at every node, given that a row has come there.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        dict of str to ndarray of shape (n, children)
            By the id of the node; g_i(x) at the root and g_ij(x) below it in [1]_. Their products
            along the paths are `gate_proba`, unless that leaves out branches (`TreeGate.prune`).

        References
        ----------
        .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
           algorithm. Neural Computation 6, 181-214.
        """
        log_prob = _node_log_prob(self, self._check_X(X))
        return {name: np.exp(values) for name, values in log_prob.items()}

    @available_if(_has_posterior_tree)
    def node_responsibilities(
        self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the posterior probabilities of the children of every node, after y is seen.

        Given that the row belongs below the node, however unlikely that is: h_i at the root, h_ij
        below it (Jordan & Jacobs 1994). Where no expert below a node can have made the row, its
        density being 0 under each, the gate's probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        groups : array-like of shape (n,), default=None
            Rows that share one expert.

        Returns
        -------
        dict of str to ndarray of shape (n, children)
        """
        if groups is not None:
            codes = self._grouped(X, y, groups)[2]  # checks them, too
        X, y = self._check_Xy(X, y)
        model, params = self._fitted.model, self.params_
        log_density = self._by_rows(lambda X, y: model.log_density(params, X, y), X, y)
        if groups is not None:
            of_groups = np.zeros((codes.max() + 1, log_density.shape[1]))
            np.add.at(of_groups, codes, log_density)
            log_density = of_groups[codes]
        log_gate = _node_log_prob(self, X)
        found, below, nodes = {}, {}, nodes_of(_shape(self))
        for node in reversed(nodes):  # children first: the density of a node is that of its mixture
            of_children = [
                below[child] if isinstance(child, str) else log_density[:, child]
                for child in node.children
            ]
            below[node.id], found[node.id] = array.mixture_posterior(
                log_gate[node.id], np.stack(of_children, axis=1)
            )
        return {node.id: found[node.id] for node in nodes}

    @available_if(_has_tree)
    def export_text(self, *, max_depth: int = 10, digits: Any = 3, spacing: int = 3) -> str:
        """Return the tree as text like that of `sklearn.tree.export_text`, in the caller's units.

        Parameters
        ----------
        max_depth : int, default=10
            Levels to write; what is below is counted.
        digits : int, default=3
            Significant digits of the coefficients.
        spacing : int, default=3
            Characters of an edge.

        Returns
        -------
        str
            A line for each branch, with its share of the rows and what the gate says for it
            (log-odds against the last branch, or the name of the classifier that decides), and
            one or more for each expert.
        """
        for name, value, least in (
            ("max_depth", max_depth, 0),
            ("digits", digits, 1),
            ("spacing", spacing, 1),
        ):
            if not (is_integer(value) and value >= least):
                raise ValueError(f"{name}={value!r}: needs an integer of at least {least}.")
        check_is_fitted(self)
        return "\n".join(_TreeText(self, max_depth, digits, spacing).lines("root", 0)) + "\n"


class _TreeText:
    """Writes the nodes of a fitted tree, a line for each branch and expert."""

    def __init__(self, model, max_depth, digits, spacing):
        self.model, self.max_depth, self.digits = model, max_depth, digits
        self.edge, self.gap = "|" + "-" * spacing + " ", "|" + " " * spacing + " "
        self.nodes = {node.id: node for node in nodes_of(_shape(model))}
        self.experts, self.names = expert_lines(model, digits), model.describe().expert_names

    def lines(self, name, depth):
        """Return the lines of a node and of what is below it."""
        node, found = self.nodes[name], []
        branches = zip(node.children, node.leaves, self.branches(node), strict=True)
        for child, leaves, text in branches:
            share = self.model.weights_[leaves].sum()
            found.append(f"{self.gap * depth}{self.edge}{share:.2f} of the weight: {text}")
            found += self.below(child, leaves, depth + 1)
        return found

    def branches(self, node):
        """Return what the gate of a node says for each branch."""
        view = self.model.gate_.nodes_[node.id]
        if view.linear:
            return branch_lines(self.model, node.id, self.digits)
        # no equation to write, and the repr of a pipeline has many lines
        return [f"branch {c} of {view.title}" for c in range(len(node.children))]

    def below(self, child, leaves, depth):
        """Return the lines of a child: an expert, a node, or how many experts it has."""
        start = f"{self.gap * depth}{self.edge}"
        if not isinstance(child, str):
            return [f"{start}{self.names[child]}: {line}" for line in self.experts[child]]
        if depth > self.max_depth:
            return [f"{start}{leaves.stop - leaves.start} experts below"]
        return self.lines(child, depth)


def _shape(model):
    """Return the shape of a fitted model's tree."""
    return model._fitted.model.gate.tree_shape(model.n_experts_)


def _node_log_prob(model, X):
    """Return log g_node(child | x) of every node of a fitted model, {node id: (n, children)}."""
    fitted = model._fitted.model
    log_gate = model._by_rows(lambda X: fitted.log_gate(model.params_, X), X)
    return node_log_prob(_shape(model), log_gate)
