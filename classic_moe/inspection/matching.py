"""`match_experts`: the experts of a fit under the numbers of those like them elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..parts.checks import can, unwrap


def match_experts(
    model: Any, reference: Any, X: ArrayLike | None = None, y: ArrayLike | None = None
) -> Any:
    """Return a copy of a fit whose experts have the numbers of those like them in a reference.

    A fit numbers its experts by their weights, the truth of simulated data from left to right.
    Pictures of both share colours and numbers only if the numbers agree.

    Parameters
    ----------
    model : fitted mixture of experts, or a Pipeline or search that ends in one
        The fit whose experts are renumbered; it is left as it is.
    reference : fitted mixture of experts, or the truth that comes with simulated data
        It may have fewer experts than the model: those of the model that are like none of them
        have the last numbers.
    X : array-like or DataFrame of shape (n, p), default=None
        Rows on which gates and experts are compared, as in
        `classic_moe.model_selection.align`. None compares the lines of the experts, whose
        intercepts and slopes are measured by how much these differ among the reference's.
    y : array-like of shape (n,) or (n, q), default=None
        With it experts are alike that are responsible for the same rows. Of the truth these are
        known where X are its own rows.

    Returns
    -------
    estimator
        Of the same kind, with its experts renumbered; of a search the best estimator. In a tree
        whole subtrees of one shape change places, and of a list of experts only those that are
        alike.

    Raises
    ------
    ValueError
        If either is no mixture of experts, the reference has more experts than the model, or there
        is no X and the experts are no lines of the same columns.

    See Also
    --------
    classic_moe.model_selection.align : The same for two fits.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.inspection import match_experts
    >>> X, y, truth = make_piecewise_regression(300, random_state=0, return_truth=True)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> float((model.assign(X, y) == truth.labels).mean().round(2))
    0.0
    >>> matched = match_experts(model, truth, X)
    >>> float((matched.assign(X, y) == truth.labels).mean().round(2))
    0.99
    """
    while can(model, "best_estimator_"):
        model = model.best_estimator_
    if can(model, "steps"):
        name, last = model.steps[-1]
        inside = X if X is None else unwrap(model)[1](X)
        twin = copy.copy(model)
        twin.steps = [*model.steps[:-1], (name, _matched(last, reference, inside, X, y))]
        return twin
    return _matched(model, reference, X, X, y)


def _matched(model, reference, inside, X, y):
    """Return a copy of a mixture with its experts renumbered; `inside` is X as it sees it."""
    while can(model, "best_estimator_"):
        model = model.best_estimator_
    reference, before = unwrap(reference)
    for one, needed in ((model, "experts_"), (reference, "predict_experts")):
        if not can(one, "gate_proba", needed):
            raise ValueError(
                f"match_experts: {type(one).__name__} is no fitted mixture of experts; fit one."
            )
    if X is None:
        agreement = _by_lines(reference, model)
    else:
        agreement = _by_rows(reference, model, before(X), inside, y)
    more = model.n_experts_ - len(agreement)
    if more < 0:
        raise ValueError(
            f"match_experts: the reference has {len(agreement)} experts and the model"
            f" {model.n_experts_}; give one that has at most as many, or match it to the model."
        )
    return model._matched(np.vstack([agreement, np.zeros((more, model.n_experts_))]))


def _by_rows(reference, model, known, inside, y):
    """Return how far experts of the reference (rows) and the model agree on rows, (J, K)."""
    from ..model_selection.alignment import agreement

    if y is None:
        return agreement([(reference, known), (model, inside)])
    labels = None if can(reference, "responsibilities") else reference.labels
    if labels is None and not can(reference, "responsibilities"):
        raise ValueError("match_experts: this truth does not know its rows; leave y out.")
    if labels is not None:
        if len(labels) != len(known):
            raise ValueError(
                f"match_experts: X has {len(known)} rows and the truth {len(labels)}; pass its own"
                " rows, or leave y out."
            )
        ours = np.eye(reference.gate_proba(known[:1]).shape[1])[labels]
    else:
        ours = reference.responsibilities(known, y)
    return ours.T @ model.responsibilities(inside, y)


def _by_lines(reference, model):
    """Return how alike the lines of the reference (rows) and the model are, (J, K)."""
    ours, its = _lines(reference), _lines(model)
    if ours is None or its is None or ours.shape[1] != its.shape[1]:
        raise ValueError(
            "match_experts: without X experts are told by their lines, and these are no lines of"
            " the same columns; pass X, rows to compare them on."
        )
    spread = ours.std(axis=0)
    unit = np.where(spread > 0, spread, np.maximum(np.abs(ours).max(axis=0), 1e-12))
    distance = np.sqrt((((ours[:, None] - its[None]) / unit) ** 2).sum(axis=2))
    return -distance


def _lines(model):
    """Return intercepts and slopes of the experts of a fit or truth, (K, r), or None."""
    if not can(model, "experts_"):
        expert = model.params["expert"] if can(model, "params") else {}
        if not {"intercept", "coef"} <= set(expert):
            return None
        return np.column_stack([expert["intercept"], expert["coef"]])
    if not all(view.linear for view in model.experts_):
        return None
    rows = [np.append(np.ravel(v.intercept_), np.ravel(v.coef_)) for v in model.experts_]
    return np.array(rows) if len({len(row) for row in rows}) == 1 else None
