"""Experts that choose rows: expert choice, and balanced assignment with its prices."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._kernels import array
from ..parts import checks
from ._selection import marked
from .base import BaseRouter, Choice, sigmoid, softmax, through_softmax

MOST_ROWS = 2048
"""Rows in a batch up to which a balanced assignment is solved: its time grows with their cube."""
ROUNDING = 1e-12
"""By so much thresholds are lowered, that rounding does not lose the row at which one was found."""
PRICE_STEPS = 1500
"""Steps of the subgradient method that finds prices."""
SINKHORN_STEPS, SINKHORN_TOL = 500, 1e-6
"""Iterations of the smooth assignment, and the change of its potentials at which they end."""


class ExpertChoiceRouter(BaseRouter):
    """Let every expert take its best rows, in place of every row its best experts.

    In training each expert keeps the round(capacity·n/K) rows of a batch whose share, the softmax
    over experts, is largest; weights are these shares [1]_. Loads are equal, and rows have many
    experts, one or none. In predictions an expert takes a row whose share reaches its threshold,
    the smallest share that it keeps where all training rows choose together; a row that nobody
    takes goes to its best expert, or to the shared experts alone where there are any.

    Sample weights must be whole numbers, rows being units here.

    Parameters
    ----------
    capacity : float, default=2.0
        Experts a row has on average.

    References
    ----------
    .. [1] Zhou, Y. et al. (2022). Mixture-of-experts with expert choice routing. NeurIPS.
       arXiv:2202.09368.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.routing import ExpertChoiceRouter
    >>> from classic_moe.routing.base import Batch
    >>> scores = np.array([[2.0, 0.0], [1.0, 0.0], [0.5, 0.0], [-1.0, 0.0]])
    >>> batch = Batch(np.ones(4), np.random.default_rng(0))
    >>> ExpertChoiceRouter(1.0).train(scores, {}, batch).kept.sum(axis=0)
    array([2, 2])
    """

    rows_are_units = True

    def __init__(self, capacity: float = 2.0) -> None:
        self.capacity = capacity

    def _rules(self):
        return {"capacity": checks.number(lambda c: 0 < c < np.inf, "a positive number")}

    @property
    def k(self):
        """Experts of a row on average."""
        return self.capacity

    def check_experts(self, n_experts):
        """Raise a ValueError where the router cannot serve so many experts."""
        if self.capacity > n_experts:
            raise ValueError(
                f"capacity={self.capacity} of ExpertChoiceRouter, but n_experts={n_experts}; a row"
                " cannot have more experts than there are."
            )

    def _chosen(self, share):
        """Return which rows the experts take, (n, K), ties to the first rows."""
        n, K = share.shape
        m = min(n, max(1, round(self.capacity * n / K)))
        first = np.argsort(-share, axis=0, kind="stable")[:m]
        kept = np.zeros((n, K), dtype=bool)
        np.put_along_axis(kept, first, True, axis=0)
        return kept

    def train(self, scores, state, batch):
        """Return where the rows of a batch go: to the experts that took them."""
        share = softmax(scores)
        kept = self._chosen(share)
        return Choice(scores, kept, kept, np.where(kept, share, 0.0), scores)

    def settle(self, state, scores):
        """Return the state with the smallest share that every expert keeps of these rows."""
        share = softmax(scores)
        least = np.min(share, axis=0, where=self._chosen(share), initial=np.inf)
        return state | {"thresholds": least * (1 - ROUNDING)}

    def route(self, scores, state, keys=None, alone=False):
        """Return the experts whose threshold a row reaches."""
        share = softmax(scores)
        kept = share >= state["thresholds"]
        if not alone:
            nobody = ~kept.any(axis=1)
            kept[nobody, share[nobody].argmax(axis=1)] = True
        return Choice(scores, kept, kept, np.where(kept, share, 0.0), scores)

    def slopes(self, choice, slope, reward):
        """Return the derivatives in the scores, through the softmax over all experts."""
        return through_softmax(softmax(choice.scores), np.where(choice.kept, slope, 0.0)), None


class BalancedAssignmentRouter(BaseRouter):
    """Give every expert an equal share of the batch, such that the sum of scores is greatest.

    The assignment is a linear programme [1]_; its dual variables are prices of the experts, and
    argmax(score - price) gives a row by itself the expert that the programme gives it. That is the
    rule of predictions. The output of the expert is weighted by the sigmoid of its score.

    Sample weights must be whole numbers, rows being units here.

    Parameters
    ----------
    method : {"exact", "sinkhorn"}, default="exact"
        The linear programme itself, or its smooth version by Sinkhorn's iterations, of which every
        row takes the largest entry; loads are then only about equal.
    eps : float, default=0.01
        Temperature of the smooth version, in standard deviations of the scores.

    References
    ----------
    .. [1] Lewis, M. et al. (2021). BASE layers: simplifying training of large, sparse models. ICML.
       arXiv:2103.16716.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.routing import BalancedAssignmentRouter
    >>> from classic_moe.routing.base import Batch
    >>> scores = np.array([[2.0, 0.0], [1.0, 0.0], [0.5, 0.0], [-1.0, 0.0]])
    >>> batch = Batch(np.ones(4), np.random.default_rng(0))
    >>> BalancedAssignmentRouter().train(scores, {}, batch).kept.argmax(axis=1)
    array([0, 0, 1, 1])
    """

    rows_are_units = True

    def __init__(self, method: str = "exact", eps: float = 0.01) -> None:
        self.method = method
        self.eps = eps

    def _rules(self):
        return {
            "method": checks.one_of(("exact", "sinkhorn")),
            "eps": checks.number(lambda eps: 0 < eps < np.inf, "a positive number"),
        }

    def train(self, scores, state, batch):
        """Return the balanced assignment of a batch."""
        n, K = scores.shape
        if self.method == "sinkhorn":
            chosen = sinkhorn(scores, self.eps * (scores.std() or 1.0)).argmax(axis=1)
        elif n > MOST_ROWS or n < K:
            raise ValueError(
                f"BalancedAssignmentRouter got a batch of {n} rows for {K} experts; it needs"
                f" between one row an expert and {MOST_ROWS} rows: set batch_size of the solver."
            )
        else:
            chosen = balanced(scores)
        return self._one_each(scores, chosen)

    @staticmethod
    def _one_each(scores, chosen):
        kept = marked(chosen[:, None], scores.shape[1])
        return Choice(scores, kept, kept, np.where(kept, sigmoid(scores), 0.0), scores)

    def settle(self, state, scores):
        """Return the state with prices at which these rows, or some of them, buy evenly."""
        step = -(-len(scores) // MOST_ROWS)
        return state | {"prices": prices(scores[::step])}

    def route(self, scores, state, keys=None, alone=False):
        """Return argmax(score - price) of every row."""
        return self._one_each(scores, (scores - state["prices"]).argmax(axis=1))

    def slopes(self, choice, slope, reward):
        """Return the derivatives in the scores: of the sigmoids of those chosen."""
        value = sigmoid(choice.scores)
        return np.where(choice.kept, slope * value * (1 - value), 0.0), None


def balanced(scores):
    """Return the assignment (n,) of greatest Σ score whose loads differ by one row at most.

    Every expert has ceil(n/K) places; rows of score 0 take those that are too many, and an expert
    at most one of them.
    """
    n, K = scores.shape
    places = -(-n // K)
    spare = places * K - n
    columns = np.repeat(scores, places, axis=1)
    if spare:
        # rows too many take the last place of an expert only: loads are `places` or one less
        last = np.arange(places * K) % places == places - 1
        barred = -(np.abs(scores).max() + 1.0) * 4 * n
        columns = np.vstack([columns, np.tile(np.where(last, 0.0, barred), (spare, 1))])
    rows, chosen = linear_sum_assignment(columns, maximize=True)
    return (chosen[np.argsort(rows)] // places)[:n]


def sinkhorn(scores, eps, n_iter=SINKHORN_STEPS):
    """Return the transport plan (n, K) of equal marginals that is greatest at a temperature."""
    n, K = scores.shape
    of_rows, of_experts, scaled = np.zeros(n), np.zeros(K), scores / eps
    for _ in range(n_iter):
        of_rows = -np.log(n) - array.logsumexp(scaled + of_experts)
        before = of_experts
        of_experts = -np.log(K) - array.logsumexp(scaled + of_rows[:, None], axis=0)
        if np.abs(of_experts - before).max() < SINKHORN_TOL:
            break
    return np.exp(scaled + of_rows[:, None] + of_experts)


def prices(scores, n_iter=PRICE_STEPS):
    """Return the dual prices (K,) of the balanced assignment of some rows, their mean 0.

    By the subgradient method on Σ_rows max(score - price) + (n/K) Σ price: a price rises with what
    an expert is asked for beyond its share, by steps of the scores' own size over √t. The prices of
    the fewest rows moved are kept.
    """
    n, K = scores.shape
    found, price, fewest = np.zeros(K), np.zeros(K), np.inf
    size = scores.std()
    for t in range(n_iter):
        load = np.bincount((scores - price).argmax(axis=1), minlength=K)
        excess = np.abs(load - n / K).sum()
        if excess < fewest:
            found, fewest = price, excess
        if fewest < K / 2 or size == 0:
            break
        price = price + size / np.sqrt(t + 1) * (load - n / K) / n
    return found - found.mean()
