"""On-line EM: a step after every few rows, from statistics that forget."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError
from sklearn.utils import check_random_state

from ..parts import checks
from ..parts.params import Params, all_finite
from ..parts.statistics import Statistics
from .base import BaseSolver
from .loop import BestSoFar, Record, evaluate, loop

SHORTEST = 100
"""Rows of the shortest memory that is chosen: λ = 0.99."""


class Memory(NamedTuple):
    """Where on-line training stands: params, the statistics carried on, the rows seen."""

    params: Params
    stats: Statistics
    rows: int


class OnlineEM(BaseSolver):
    r"""On-line EM, for rows that come one after another; the recursive algorithm for HMEs.

    The statistics of each block of rows, at the parameters of the moment, join those of all
    earlier rows, which are forgotten little by little; an M-step follows:

    .. math:: S \leftarrow \sum_{i \le B} \lambda^{B - i} s(x_i, y_i; \theta) + \lambda^B S,
       \qquad \theta \leftarrow M(S)

    With ``batch_size=1``, linear experts and `LeastSquaresGate` at the nodes these are the
    recursive least squares of [1]_ (their recursion (28) lacks the factor h): the same solution
    from normal equations in place of an inverse that is updated. With other families it is on-line
    EM [2]_; a softmax gate takes Newton steps with the curvature of all rows and the gradient of
    the new ones.

    Parameters
    ----------
    batch_size : int, default=20
        Rows in a block. 1 is the paper's; a larger block costs a step only once.
    forgetting : "auto" or float, default="auto"
        λ at the start: the memory is of about 1 / (1 - λ) rows, while the experts still move fast.
        "auto": as many rows as the model has free parameters, but at least a hundred, for which λ
        is the paper's 0.99. A memory of fewer rows than parameters determines no variances.
    settling : float, default=0.6
        Share of the distance from λ to 1 that is taken away after every `settling_rows` rows, so
        that training comes to rest; 0 keeps following a process that changes.
    settling_rows : int, default=1000
        See `settling`.
    shuffle : bool, default=True
        Whether `fit` takes the rows in a new random order in every pass; `partial_fit` takes them
        as they come.
    n_iter_no_change : int, default=3
        Passes of `fit` without a gain of `tol` a unit of weight after which it ends. After every
        pass another one measures the objective; the fit keeps the best.
    random_state : int, RandomState or None, default=None
        For the order; None: from the estimator's.

    Raises
    ------
    ValueError
        In `fit` and `partial_fit`, for parts that learn from all their rows at once: networks and
        scikit-learn estimators.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.
    .. [2] Cappé, O. & Moulines, E. (2009). On-line expectation-maximization algorithm for latent
       data models. Journal of the Royal Statistical Society B 71, 593-613.

    Examples
    --------
    >>> from classic_moe import HierarchicalMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> X, y = make_piecewise_regression(2000, n_pieces=4, random_state=0)
    >>> model = HierarchicalMixtureOfExpertsRegressor(gate="least_squares", random_state=0)
    >>> for rows in (slice(0, 500), slice(500, 1000), slice(1000, 2000)):
    ...     model = model.partial_fit(X[rows], y[rows])
    >>> bool(model.score(X, y) > 0.8)
    True
    """

    requires = frozenset({"statistics", "sums"})
    short_run = 1

    def __init__(
        self,
        batch_size=20,
        forgetting="auto",
        settling=0.6,
        settling_rows=1000,
        shuffle=True,
        n_iter_no_change=3,
        random_state=None,
    ):
        self.batch_size = batch_size
        self.forgetting = forgetting
        self.settling = settling
        self.settling_rows = settling_rows
        self.shuffle = shuffle
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _rules(self):
        share = checks.number(lambda share: 0 < share <= 1, "a number above 0, at most 1")
        return {
            "batch_size": checks.integer(1),
            "forgetting": checks.either("auto", share),
            "settling": checks.number(lambda share: 0 <= share <= 1, "a number from 0 to 1"),
            "settling_rows": checks.integer(1),
            "shuffle": checks.FLAG,
            "n_iter_no_change": checks.integer(1),
            "random_state": checks.RANDOM_STATE,
        }

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`, an iteration a pass; return the best point and the last memory."""
        rng = check_random_state(self.random_state)
        record = Record(max_iter, callback, least_gain=tol * batches.total_weight)
        start = evaluate(model, batches, params)
        record.add(start)
        memory = self.begin(model, start, batches.n) if start.usable else None

        def one_pass(point):
            nonlocal memory
            order = rng.permutation(batches.n) if self.shuffle else None
            memory = self.step(model, memory, batches, order)
            return evaluate(model, batches, memory.params)

        best, converged = loop(BestSoFar(one_pass, self.n_iter_no_change), start, record)
        return record.result(best, converged, memory=memory)

    def begin(self, model, point, rows):
        """Return the memory of a point that was found otherwise: as of its length of rows.

        Of rows, whatever they weigh: a step forgets by the row.
        """
        length = min(rows, self._memory_rows(model, point.params))
        return Memory(point.params, model.carry(point.params, point.stats, length / rows), 0)

    def step(self, model, memory, batches, order=None):
        """Return the memory after all rows of `batches`, in their own order or another."""
        params, stats, seen = memory
        length = self._memory_rows(model, params)
        for X, y, weight, facts in batches.blocks(self.batch_size, order):
            if "groups" in facts:
                raise ValueError(
                    "groups: on-line training takes row after row; use solver='em' for grouped"
                    " rows."
                )
            kept, rows = self._kept(seen, length), len(X)
            age = kept ** np.arange(rows - 1, -1, -1.0)
            block = model.statistics(params, X, y, age * weight, **facts)
            stats = model.carry(params, stats, kept**rows) + block
            params = _maximized(model, params, stats)
            seen += rows
        return Memory(params, stats, seen)

    def _memory_rows(self, model, params):
        """Return the rows of the memory at the start, 1 / (1 - λ)."""
        if self.forgetting == "auto":
            return max(SHORTEST, model.n_parameters(params))
        return 1 / max(1 - self.forgetting, 1e-300)

    def _kept(self, seen, length):
        """Return λ after so many rows, with a memory of `length` rows at the start."""
        return 1 - (1 - self.settling) ** (seen // self.settling_rows) / length


def _maximized(model, params, stats):
    """Return the M-step, cautious if the bold one fails; the old parameters if both do."""
    for cautious in (False, True):
        try:
            with np.errstate(all="ignore"):
                new = model.maximize(params, stats, cautious)
        except LinAlgError:
            continue
        if all_finite(new):
            return new
    return params
