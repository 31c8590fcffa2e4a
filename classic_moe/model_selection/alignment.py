"""Experts of several fits under the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..estimators.base import BaseMixtureOfExperts
from ..parts.black_box import shown
from ..parts.checks import can, fitted_fact


def align(
    model: Any,
    reference: Any,
    X: ArrayLike,
    y: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Any:
    """Return a copy of a fit whose experts have the numbers of those like them in another fit.

    Two fits may find the same experts and number them differently, as those of two bootstrap
    samples or folds do. To start one fit from the other (``init_params=reference``) keeps the
    numbers and needs no more; this is for fits that were made apart.

    The pairs of experts are those that agree best in sum. Two experts agree, with y, by the rows
    that both account for, Σ_i r_j(i) r_k(i) with r their responsibilities. Without y they agree as
    far as both gates give them a row, and up to twice as much where their predictions are alike
    there:

    .. math:: \\sum_i \\min(g_j(x_i), g_k'(x_i))\\,
       \\Bigl(2 - \\min\\Bigl(1, \\frac{|m_j(x_i) - m_k'(x_i)|}{s_j(x_i)}\\Bigr)\\Bigr)

    with g the gating probabilities, m the experts' predictions, and s_j how far the prediction of
    the reference's expert j is from that of the next of its own. So experts are also told apart
    under a constant gate. Experts that differ by their spread alone need y.

    Parameters
    ----------
    model : fitted estimator
        The mixture of experts whose experts are renumbered; it is left as it is.
    reference : fitted estimator
        One of as many experts, for the same task; of the same tree, if the gates form one.
    X : array-like of shape (n, p)
        Rows on which the fits are compared, such as those of either fit.
    y : array-like of shape (n,) or (n, q), default=None
    groups : array-like of shape (n,), default=None
        Rows that share one expert; used with y.

    Returns
    -------
    estimator
        A fitted copy of `model` that predicts the same. In a tree only whole subtrees of one shape
        change places, and of a list of experts only those that are alike. What its
        `partial_fit` would go on from is not renumbered: it refuses, and says so.

    Raises
    ------
    TypeError
        For what is no mixture of experts.
    ValueError
        For fits that cannot be matched: of another number of experts, task or tree.

    Examples
    --------
    The two pieces hold half of the rows each; every second row has them in the other order.

    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.model_selection import align
    >>> X, y = make_piecewise_regression(300, n_pieces=2, random_state=0)
    >>> reference = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> half = MixtureOfExpertsRegressor(2, random_state=0).fit(X[::2], y[::2])
    >>> aligned = align(half, reference, X)
    >>> bool((half.assign(X) == reference.assign(X)).mean() < 0.1)
    True
    >>> bool((aligned.assign(X) == reference.assign(X)).mean() > 0.9)
    True
    """
    _check_comparable(model, reference)
    if y is None:
        return model._matched(agreement([(reference, X), (model, X)]))
    for one in (model, reference):
        if not can(one, "responsibilities"):
            raise ValueError(
                f"align with y: under an error function {type(one).__name__} has no"
                " responsibilities; leave y out."
            )
    own, others = (one.responsibilities(X, y, groups) for one in (model, reference))
    return model._matched(others.T @ own)


def _check_comparable(model, reference):
    """Raise an error of one sentence for fits whose experts cannot be matched."""
    for name, one in (("model", model), ("reference", reference)):
        if not isinstance(one, BaseMixtureOfExperts):
            raise TypeError(
                f"align: {name}={shown(one)} is no mixture of experts; pass the fitted mixture"
                " itself, such as the last step of a Pipeline with X as that step sees it."
            )
        check_is_fitted(one)
    K, others = model.n_experts_, reference.n_experts_
    if K != others:
        raise ValueError(
            f"align: model has {K} experts and reference {others}; fit both with as many."
        )
    task, its = (one._fitted.schema.target.task for one in (model, reference))
    if task != its:
        raise ValueError(f"align: model does {task} and reference {its}; align fits of one task.")
    classes, known = (fitted_fact(one, "classes_") for one in (model, reference))
    if not np.array_equal(classes, known):
        raise ValueError(
            f"align: model knows the classes {classes.tolist()} and reference {known.tolist()};"
            " align fits to the same classes."
        )
    gate, other = (one._fitted.model.gate for one in (model, reference))
    if gate.tree_shape(K) != other.tree_shape(K):
        raise ValueError(
            f"align: the gate of model, {shown(gate)}, is another tree than that of reference,"
            f" {shown(other)}; fit both with the same tree."
        )


def agreement(fits):
    """Return how far experts of a reference (rows) and a model agree without y, (J, K).

    `fits` are two pairs, each with the rows as the fit sees them: (reference, X), (model, X).
    """
    gates, means = [], []
    for one, X in fits:
        proba, mean = one.gate_proba(X), np.nan_to_num(one.predict_experts(X))
        gates.append(proba.reshape(*proba.shape[:2], -1).mean(axis=2))  # gates of several outputs
        means.append(mean.reshape(*mean.shape[:2], -1))
    if means[0].shape[2] != means[1].shape[2]:
        raise ValueError(
            f"align: the experts of reference predict {means[0].shape[2]} numbers a row and those"
            f" of model {means[1].shape[2]}; align fits to the same y."
        )
    size = np.abs(np.concatenate(means, axis=1)).max(axis=(0, 1))  # outputs in units of their own
    ours, its = (mean / np.where(size > 0, size, 1.0) for mean in means)
    found = []
    for j, gate in enumerate(gates[0].T):
        apart, own = _distances(ours[:, j], its), _distances(ours[:, j], ours)
        near = np.delete(own, j, axis=1).min(axis=1, initial=np.inf)[:, None]
        unlike = np.where(apart < near, apart / np.where(near > 0, near, 1.0), apart > 0)
        found.append(np.sum(np.minimum(gate[:, None], gates[1]) * (2 - unlike), axis=0))
    return np.array(found)


def _distances(prediction, predictions):
    """Return the distances between predictions (n, q) and those of K experts, (n, K)."""
    return np.sqrt(np.sum((prediction[:, None, :] - predictions) ** 2, axis=2))
