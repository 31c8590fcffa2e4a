"""Choosing a model: scorers."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import _check_sample_weight


def log_likelihood_scorer(estimator, X, y, sample_weight=None):
    """Mean log p(y given x) per unit of weight, for ``scoring=``; higher is better.

    The proper score for comparing numbers of experts on held-out data: unlike R², it also judges
    the predicted spread. Works on the estimators of this package, and on a Pipeline or a fitted
    search that ends in one.

    Parameters
    ----------
    estimator : fitted estimator
    X : array-like of shape (n, p)
    y : array-like of shape (n,) or (n, q)
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    float

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from classic_moe import MixtureOfExpertsRegressor, log_likelihood_scorer
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(2, random_state=0)
    >>> cross_val_score(model, X, y, scoring=log_likelihood_scorer, cv=3).shape
    (3,)
    """
    while not hasattr(estimator, "log_prob"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
            estimator = estimator[-1]
        else:
            break
    if not hasattr(estimator, "log_prob"):
        cure, objective = "use it with the estimators of classic_moe", _error_of(estimator)
        if objective:
            cure = f"there is no likelihood under objective={objective!r}, score otherwise"
        raise TypeError(
            f"log_likelihood_scorer needs an estimator with log_prob, {type(estimator).__name__}"
            f" has none; {cure}."
        )
    log_prob = estimator.log_prob(X, y)
    weight = _check_sample_weight(sample_weight, log_prob[:, None], ensure_non_negative=True)
    return float(np.average(log_prob, weights=weight))


def _error_of(estimator):
    """The error function that an estimator of this package climbs, or None."""
    objective = getattr(estimator, "objective", None) if hasattr(estimator, "gate_proba") else None
    return None if objective == "likelihood" else objective
