"""`TreeMixin`: what an estimator whose gate is a tree says of its nodes."""

from __future__ import annotations

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._kernels import array
from ..parts.checks import is_integer
from ..report.equations import branch_lines, expert_lines
from ._predictions import has_likelihood


def _has_tree(self):
    """Raises where the gate is flat; before the fit, by the parameters."""
    gate = self._given_gate() if self._fitted is None else self._fitted.model.gate
    if not (gate == "tree" or getattr(gate, "hierarchical", False)):
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
    def node_proba(self, X):
        """Gating probabilities at every node, given that a row has come there.

        Parameters
        ----------
        X : array-like of shape (n, p)

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
        X = self._check_X(X)
        model = self._fitted.model
        log_prob = model.gate.node_log_prob(self.params_["gate"], model.gate_input(X))
        return {name: np.exp(values) for name, values in log_prob.items()}

    @available_if(_has_posterior_tree)
    def node_responsibilities(self, X, y, groups=None):
        """Posterior probabilities of the children of every node, after y is seen.

        Given that the row belongs below the node, however unlikely that is: h_i at the root, h_ij
        below it (Jordan & Jacobs 1994). Where no expert below a node can have made the row, its
        density being 0 under each, the gate's probabilities.

        Parameters
        ----------
        X : array-like of shape (n, p)
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
        log_gate = model.gate.node_log_prob(params["gate"], model.gate_input(X))
        found, below, nodes = {}, {}, model.gate.nodes()
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
    def export_text(self, *, max_depth=10, digits=3, spacing=3):
        """The tree as text, in the manner of `sklearn.tree.export_text`, in the caller's units.

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
        names = self.describe().expert_names
        nodes = {node.id: node for node in self._fitted.model.gate.nodes()}
        edge, gap = "|" + "-" * spacing + " ", "|" + " " * spacing + " "
        lines, experts = [], expert_lines(self, digits)

        def write(name, depth):
            node = nodes[name]
            view = self.gate_.nodes_[name]
            if view.linear:
                says = branch_lines(self, name, digits)
            else:  # no equation to write, and the repr of a pipeline has many lines
                says = [f"branch {c} of {view.title}" for c in range(len(node.children))]
            for child, leaves, text in zip(node.children, node.leaves, says, strict=True):
                share = self.weights_[leaves].sum()
                lines.append(f"{gap * depth}{edge}{share:.2f} of the weight: {text}")
                if not isinstance(child, str):
                    lines.extend(
                        f"{gap * (depth + 1)}{edge}{names[child]}: {line}"
                        for line in experts[child]
                    )
                elif depth < max_depth:
                    write(child, depth + 1)
                else:
                    below = leaves.stop - leaves.start
                    lines.append(f"{gap * (depth + 1)}{edge}{below} experts below")

        write("root", 0)
        return "\n".join(lines) + "\n"
