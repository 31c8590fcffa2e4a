"""Scorers, for the choice of a model."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from .parts.checks import can, fitted_fact, unwrap


def log_likelihood_scorer(estimator, X, y, sample_weight=None):
    """Return the mean log p(y given x) per unit of weight, for ``scoring=``; higher is better.

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
    model, transform = unwrap(estimator)
    if not can(model, "log_prob"):
        raise TypeError(
            f"log_likelihood_scorer needs an estimator with log_prob, {type(model).__name__} has"
            f" none; {_advice(model)}."
        )
    log_prob = model.log_prob(transform(X), y)
    weight = _check_sample_weight(sample_weight, log_prob[:, None], ensure_non_negative=True)
    return float(np.average(log_prob, weights=weight))


def _advice(model):
    """Return what to do with a model that has no likelihood, a str."""
    objective = fitted_fact(model, "objective") if can(model, "gate_proba") else None
    if objective in (None, "likelihood"):
        return "use it with the estimators of classic_moe"
    return f"there is no likelihood under objective={objective!r}, score otherwise"
