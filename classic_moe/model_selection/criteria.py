"""By what a number of experts is chosen: a table of criteria, and rules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..parts.checks import can


class Criterion(NamedTuple):
    """A column of the results by which a number of experts may be chosen.

    Attributes
    ----------
    column : str
    greater_is_better : bool
    """

    column: str
    greater_is_better: bool = False


CRITERIA = {
    "bic": Criterion("bic"),
    "icl": Criterion("icl"),
    "aic": Criterion("aic"),
    "cv": Criterion("mean_test_score", greater_is_better=True),
    "evidence": Criterion("log_evidence", greater_is_better=True),
}
RULES = ("best", "one_se")


def chosen(results, criterion, rule):
    """Return the position of the number of experts that a rule chooses, an int; the first of ties.

    A fit that has collapsed is chosen only if all have, unless held-out rows judge: its likelihood
    says how close an expert came to a few rows, and nothing of the others.

    Parameters
    ----------
    results : dict of ndarray of shape (numbers,)
    criterion : str, a name in `CRITERIA`
    rule : {"best", "one_se"}
    """
    column, greater_is_better = CRITERIA[criterion]
    loss = -results[column] if greater_is_better else results[column]
    if criterion != "cv" and not results["collapsed"].all():
        loss = np.where(results["collapsed"], np.inf, loss)
    best = int(np.argmin(np.where(np.isnan(loss), np.inf, loss)))
    if rule == "best":
        return best
    near = loss <= loss[best] + results["se_test_score"][best]
    return int(np.flatnonzero(near | (np.arange(len(loss)) == best))[0])


def of_fits(fits, X, y, sample_weight, groups) -> dict:
    """Return what the results say of fits, columns by name; each (numbers,)."""
    found = {
        "n_experts": [fit.n_experts_ for fit in fits],
        "log_likelihood": [fit.log_likelihood_ for fit in fits],
        "objective": [fit.lower_bounds_[-1] for fit in fits],
        "n_parameters": [fit.n_parameters_ for fit in fits],
    }
    for name in ("aic", "bic", "icl"):
        found[name] = [getattr(fit, name)(X, y, sample_weight, groups) for fit in fits]
    if all(can(fit, "log_evidence_") for fit in fits):
        found["log_evidence"] = [fit.log_evidence_ for fit in fits]
    found["smallest_share"] = [fit.weights_.min() for fit in fits]
    found["converged"] = [fit.converged_ for fit in fits]
    found["collapsed"] = [has_collapsed(fit) for fit in fits]
    return {name: np.array(values) for name, values in found.items()}


def of_folds(scores) -> dict:
    """Return what the results say of the scores of folds (folds, numbers), columns by name.

    The standard error of the mean is that of folds taken as independent.
    """
    scores = np.array(scores)
    found = {f"split{i}_test_score": fold for i, fold in enumerate(scores)}
    with np.errstate(invalid="ignore"):  # a held-out row may be impossible, and its score -inf
        spread = scores.std(axis=0, ddof=1) if len(scores) > 1 else np.full(scores.shape[1], np.nan)
        found["mean_test_score"] = scores.mean(axis=0)
    found["se_test_score"] = spread / np.sqrt(len(scores))
    return found


def has_collapsed(fit):
    """Return whether a part finds something severe about a fit, as the search for it does."""
    return any(finding.severe for finding in fit._fitted.findings)
