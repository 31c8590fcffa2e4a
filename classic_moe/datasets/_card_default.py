"""Simulated customers of a credit card, some of whom default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, poisson
from sklearn.utils import check_random_state

from ._make import _check_count

STUDENTS = 0.25
INCOME = {True: (17.0, 0.3), False: (40.0, 0.4)}  # of a student?: median, sd of the logarithm
# Of those who pay in full, and of those who carry a balance:
UTILISATION = (-1.6, 0.4)  # mean of the log-odds, whose sd is 1
LATE = (0.2, 1.2)  # payments in a year


@dataclass(frozen=True, eq=False)
class CardTruth:
    """The rule that `make_card_default` draws from, and the kind of every customer drawn.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
        0: pays in full every month. 1: carries a balance.
    """

    labels: np.ndarray | None = field(default=None, repr=False)

    def gate_proba(self, X):
        """Probability of each kind given x: (n, 2)."""
        utilisation, income, student, late, _ = np.asarray(X, dtype=float).T
        carries = _carries(income, student)
        kinds = np.column_stack([1 - carries, carries])
        # P(kind | x) ∝ P(kind | income, student) p(utilisation | kind) p(late | kind)
        kinds *= norm.pdf(logit(utilisation)[:, None], UTILISATION)
        kinds *= poisson.pmf(late[:, None], LATE)
        return kinds / kinds.sum(axis=1, keepdims=True)

    def predict_experts(self, X):
        """Probability that each kind of customer would default: (n, 2)."""
        utilisation, income, _, late, months = np.asarray(X, dtype=float).T
        in_full = -5.37 - 2.8 * np.log(income / 40) - 0.7 * np.log(months / 60)
        carries = -6.37 + 4.0 * utilisation + 0.55 * late
        return expit(np.column_stack([in_full, carries]))

    def predict_proba(self, X):
        """Probability of no default and of default: (n, 2)."""
        default = (self.gate_proba(X) * self.predict_experts(X)).sum(axis=1)
        return np.column_stack([1 - default, default])


def make_card_default(
    n_samples: int = 12_000,
    *,
    random_state: int | np.random.RandomState | None = None,
    return_truth: bool = False,
) -> tuple[Any, ...]:
    """Make customers of a credit card; one in thirty defaults, for one of two reasons.

    It imitates the data of a card issuer, with the two kinds of customers that the trade tells
    apart. Those who pay in full every month ("transactors") default when income fails: the lower
    it is and the younger the account, the likelier. Those who carry a balance ("revolvers")
    default when the debt outgrows them: utilisation and late payments tell. The kind is not a
    column. It shows in utilisation, late payments, income and whether somebody studies, but not
    for certain.

    Nothing is measured: all shapes and numbers are assumptions, chosen so that rate, skewness and
    directions are plausible. The share of students and the two levels of income are near those of
    another simulated table, ``Default`` of the R package ISLR [1]_, which has one rule for all
    customers. So the data suit a mixture of two logistic regressions, by design: they show what it
    can gain where there are kinds of cases, and say nothing about whether your customers have any.

    Parameters
    ----------
    n_samples : int, default=12000
        Number of customers, n: some 400 defaults.
    random_state : int, RandomState instance or None, default=None
        Seed for the customers.
    return_truth : bool, default=False
        Also return the rule the data were drawn from.

    Returns
    -------
    X : ndarray of shape (n_samples, 5)
        In this order: utilisation (balance over limit, between 0 and 1), income (thousand dollars
        a year), student (0 or 1), late payments in the last year, months since the account was
        opened.
    y : ndarray of int of shape (n_samples,)
        1 for a default, else 0.
    truth : CardTruth
        Only if ``return_truth`` is True. ``truth.labels`` (n,) is the kind of each customer, 1 for
        those who carry a balance, ``truth.predict_proba(X)`` (n, 2) the true probability, which no
        model can beat, ``truth.gate_proba(X)`` (n, 2) that of each kind.

    Raises
    ------
    ValueError
        If ``n_samples`` is not a whole number of at least 1.

    References
    ----------
    .. [1] James, G., Witten, D., Hastie, T. & Tibshirani, R. (2013). An Introduction to
       Statistical Learning. Springer.

    Examples
    --------
    >>> from classic_moe.datasets import make_card_default
    >>> X, y, truth = make_card_default(random_state=0, return_truth=True)
    >>> X.shape, int(y.sum())
    ((12000, 5), 374)
    >>> for kind in (0, 1):
    ...     print(f"{(truth.labels == kind).mean():.2f} {y[truth.labels == kind].mean():.3f}")
    0.55 0.019
    0.45 0.046
    """
    _check_count("n_samples", n_samples)
    rng = check_random_state(random_state)
    student = rng.random_sample(n_samples) < STUDENTS
    median, spread = np.array([INCOME[bool(studies)] for studies in student]).T
    income = median * np.exp(spread * rng.standard_normal(n_samples))
    kind = (rng.random_sample(n_samples) < _carries(income, student)).astype(int)
    utilisation = expit(np.take(UTILISATION, kind) + rng.standard_normal(n_samples))
    late = rng.poisson(np.take(LATE, kind))
    months = 1 + rng.gamma(2, 30, n_samples)
    X = np.column_stack([utilisation, income, student, late, months])
    truth = CardTruth(kind)
    default = truth.predict_experts(X)[np.arange(n_samples), kind]
    y = (rng.random_sample(n_samples) < default).astype(int)
    return (X, y, truth) if return_truth else (X, y)


def _carries(income, student):
    """Probability of carrying a balance, before utilisation and late payments are seen: (n,)."""
    return expit(-0.5 - 0.8 * np.log(income / 40) + 0.5 * student)
