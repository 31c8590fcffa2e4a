"""What a gate says of x: log g_k(x), in the caller's units."""

from __future__ import annotations

import numpy as np

from ..gates import ExponentialFamilyGate
from ..gates._discrete import LARGEST_COUNT
from ..parts.checks import fitted_fact
from ._experts import own_columns

KNOWN = (
    *("SoftmaxGate", "ConstantGate", "TreeGate", "LeastSquaresGate", "GaussianGate"),
    *("ExponentialFamilyGate", "EstimatorGate", "TopKGate", "RoutedGate"),
)
ROOT = "root"


def check_gate(model, kind):
    """Raise a ValueError for a gate whose probabilities have no formula that is known here."""
    if kind.split(" ")[0] not in KNOWN:
        raise ValueError(
            f"the gate is a {kind}, whose probabilities have no formula that can be exported; use"
            " a gate of classic_moe.gates."
        )


def log_gate(w, view, gate, n_experts, n_features):
    """Return log g_k(x) of all experts, none of them left out, (n, K).

    `gate` is the estimator's parameter, which tells what the view does not.
    """
    if view.kind == "tree":
        return _tree(w, view, gate, n_features)
    if view.kind == "estimator":
        return _estimator(w, view, n_features)
    if view.kind == "localised" and not view.linear:
        return w.log_softmax(_log_joint(w, view, gate, n_features), "log_gate")
    return w.log_softmax(scores(w, view, n_features), "log_gate")


def scores(w, view, n_features, hint="scores"):
    """Return the scores of a softmax gate, (n, K)."""
    coef, ids = np.atleast_2d(view.coef_), own_columns(view, n_features)
    if coef.size == 0:
        coef, ids = np.zeros((len(view.intercept_), 1)), [0]
    return w.affine(w.x, coef, view.intercept_, ids, hint)


def _estimator(w, view, n_features):
    """Return log g of a classifier that is no gate of ours, (n, K)."""
    proba = w.estimator(view, own_columns(view, n_features), True, "gate_proba")
    return w.function("log", w.clip(proba, w.smallest, None), "log_gate")


def _tree(w, view, gate, n_features):
    """Return the sum of log g_node(child) along the path to every leaf, (n, K)."""
    prune, leaves = fitted_fact(gate, "prune", 0.0), {}
    come = [(next(iter(view.nodes_)), None)]
    while come:
        node, path = come.pop(0)
        here, children = view.nodes_[node], view.children_[node]
        along = log_gate(w, here, None, len(children), n_features)
        if path is not None:
            along = w.binary("+", along, path, "log_path")
        if prune:
            along = _pruned(w, along, len(children), prune)
        for c, child in enumerate(children):
            own = w.pick(along, [c], f"log_path_{child}")
            if isinstance(child, str):
                come.append((child, own))
            else:
                leaves[child] = own
    found = w.concat([leaves[k] for k in range(len(leaves))], "log_gate")
    return w.log_softmax(found, "log_gate") if prune else found


def _pruned(w, along, n_children, prune):
    """Return log-shares of the children, -inf for the improbable that are not the best."""
    enough = w.compare(">=", along, w.row([np.log(prune)] * n_children, "log_prune"))
    follow = w.binary("+", enough, w.best(along, 1))
    follow = w.clip(follow, 0.0, 1.0, "follow")
    return w.where(follow, along, w.row([-np.inf] * n_children, "never"), "log_path")


# -- gates that model x ------------------------------------------------------------------------


def _log_joint(w, view, gate, n_features):
    """Return log a_k p_k(x) but for what is the same for all k, (n, K)."""
    ids, weights = own_columns(view, n_features), view.weights_
    with np.errstate(divide="ignore"):
        total = w.row(np.log(weights), "log_weights")
    if fitted_fact(view, "covariances_") is not None:
        covariances = view.covariances_
        return w.binary("+", total, _normal(w, ids, view.means_, covariances), "log_joint")
    families = _families(gate, len(ids))
    real = [j for j, family in enumerate(families) if family == "gaussian"]
    if real:
        covariances = view.variances_[:, real, None] * np.eye(len(real))
        here = [ids[j] for j in real]
        total = w.binary("+", total, _normal(w, here, view.means_[:, real], covariances))
    for j, family in enumerate(families):
        if family != "gaussian":
            own = w.pick(w.x, [ids[j]])
            mass = _counts(w, own, view.means_[:, j])
            if family != "poisson":
                mass = _codes(w, own, view.probabilities_[j])
            total = w.binary("+", total, mass, "log_joint")
    return total


def _families(gate, n_columns):
    """Return the family of every column of an `ExponentialFamilyGate`, a list of str."""
    while gate is not None and not isinstance(gate, ExponentialFamilyGate):
        gate = fitted_fact(gate, "gate")
    families = ExponentialFamilyGate().families if gate is None else gate.families
    return [families] * n_columns if isinstance(families, str) else list(families)


def _normal(w, ids, means, covariances):
    """Return log N(x; m_k, S_k) of columns of x but for a constant, (n, K)."""
    sd = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    varies = (sd > 0).all(axis=0)
    ids, each = [j for j, own in zip(ids, varies, strict=True) if own], []
    if not ids:
        return w.row(np.zeros(len(means)), "nothing")
    x = w.pick(w.x, ids)
    for k, (mean, scale) in enumerate(zip(means[:, varies], sd[:, varies], strict=True)):
        inner = covariances[k][np.ix_(varies, varies)] / np.multiply.outer(scale, scale)
        factor = np.linalg.cholesky(inner)
        root = np.linalg.inv(factor) / scale  # L⁻¹: u = L⁻¹ (x - m) has unit covariance
        away = w.binary("-", x, w.row(mean, f"centre_{k}"), f"away_{k}")
        u = w.affine(away, root, np.zeros(len(ids)), None, f"whitened_{k}")
        half = w.binary("*", w.row_sum(w.function("square", u)), w.row([-0.5], "minus_half"))
        log_det = np.log(np.diagonal(factor)).sum() + np.log(scale).sum()  # ½ log|S|
        each.append(w.binary("-", half, w.row([log_det], "log_det"), f"log_density_{k}"))
    return w.concat(each, "log_density")


def _counts(w, x, rates):
    """Return log Poisson masses but for log x!, 0 for what is no count, (n, K)."""
    zero = w.row([0.0], "zero")
    known = w.compare("==", x, w.function("floor", x), "whole")
    known = w.binary("*", known, w.compare(">=", x, zero))
    known = w.binary("*", known, w.compare(">=", w.row([LARGEST_COUNT], "most"), x), "known")
    counts, none = w.where(known, x, zero, "counts"), np.zeros(len(rates))
    gain = w.affine(counts, np.log(rates)[:, None], none, None, "gain")
    return w.binary("-", gain, w.affine(known, rates[:, None], none, None, "rates"), "log_mass")


def _codes(w, x, probabilities):
    """Return the log-probability of the level of every row, 0 for one that is not known, (n, K)."""
    K, levels = probabilities.shape
    one_hot = w.compare("==", x, w.row(np.arange(levels, dtype=float), "levels"), "one_hot")
    return w.affine(one_hot, np.log(probabilities), np.zeros(K), None, "log_mass")
