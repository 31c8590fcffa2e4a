"""The score by which numbers of experts are compared on rows that no fit has seen."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_sample_weight

from ..metrics._scorer import Scorer, transformed
from ..parts.checks import can, fitted_fact, unwrap


class LogLikelihoodScorer(Scorer):
    """The mean log p(y given x) per unit of weight, for ``scoring=``; higher is better.

    `log_likelihood_scorer` is the one there is. It is the proper score for comparing numbers of
    experts on held-out data: unlike R², it also judges the predicted spread. It works on the
    estimators of this package, and on a Pipeline or a fitted search that ends in one, alone or
    among other scorers.

    Called as ``log_likelihood_scorer(estimator, X, y, sample_weight=None, groups=None)`` it returns
    a float.

    Notes
    -----
    With metadata routing, `set_score_request` says whether sample weights and groups reach it in a
    search. A `TransformedTargetRegressor` is refused: its y has another density than the one that
    was fitted. scikit-learn shows such an error where ``error_score="raise"``; else it warns of it,
    and the score is NaN.

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

    _metadata = ("sample_weight", "groups")

    def _name(self):
        return "log_likelihood_scorer"

    def __call__(self, estimator, X, y, sample_weight=None, groups=None):
        """Return the score of a fitted estimator, a float.

        Parameters
        ----------
        estimator : fitted estimator
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None
        groups : array-like of shape (n,), default=None
            Rows that share one expert: the sum of the groups' log p, over the number of rows.

        Returns
        -------
        float

        Raises
        ------
        TypeError
            For an estimator that has no densities.
        ValueError
            For weights together with groups.
        """
        model, transform = unwrap(estimator)
        if not can(model, "log_prob"):
            raise TypeError(
                f"log_likelihood_scorer needs an estimator with log_prob, {type(model).__name__}"
                f" has none; {_advice(model)}."
            )
        if groups is None:
            log_prob = model.log_prob(transform(X), y)
            weight = _check_sample_weight(
                sample_weight, log_prob[:, None], ensure_non_negative=True
            )
            return float(np.average(log_prob, weights=weight))
        if sample_weight is not None:
            raise ValueError("log_likelihood_scorer takes sample_weight or groups; leave one out.")
        return float(model.log_prob(transform(X), y, groups).sum() / len(y))

    def set_score_request(
        self, *, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Self:
        """Return a scorer that asks for sample weights or groups, for metadata routing.

        The scorer itself stays as it is, since it is everyone's.

        Parameters
        ----------
        sample_weight, groups : bool, str or None, default=None
            True: passed on where given. False: never. A str: passed on under that name. None: an
            error where given.

        Returns
        -------
        LogLikelihoodScorer
        """
        return self._asking(sample_weight=sample_weight, groups=groups)


log_likelihood_scorer = LogLikelihoodScorer()


def _advice(model):
    """Return what to do with a model that has no likelihood, a str."""
    if transformed(model):
        return transformed(model)
    objective = fitted_fact(model, "objective") if can(model, "gate_proba") else None
    if objective in (None, "likelihood"):
        return "use it with the estimators of classic_moe"
    return f"there is no likelihood under objective={objective!r}, score otherwise"
