"""On-line EM: a step after every few rows, from statistics that forget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._kernels import array
from ..model.fused_pass import SMALL
from ..parts import checks
from ..parts.params import Params, all_finite, interpolate
from ..parts.softmax_regression import restrained
from ..parts.statistics import Statistics
from .base import BaseSolver
from .loop import BestSoFar, Record, evaluate, loop

SHORTEST, ROWS_A_PARAMETER = 100, 2
"""Rows of the shortest memory that is chosen, for which λ = 0.99, and rows for a free parameter."""
GROWTH = 0.6
"""The power of the rows seen with which the memory of a stream grows."""
SETTLING = 0.6
"""How the memory of a fit settles."""
AVERAGED = 0.5
"""The share of a memory over whose rows the iterates are averaged."""
BLOCKS, STEPS, FEWEST, MOST = 5, 50, 20, 4096
"""Blocks that a memory holds, and those of a pass of a fit; the fewest and most rows of a block."""


class Memory(NamedTuple):
    """Where on-line training stands.

    Attributes
    ----------
    params : Params, the iterate
    stats : Statistics, those carried on
    rows : int, the rows seen
    mean : Params, the mean of the last iterates, which is what is reported; None: the iterate
    """

    params: Params
    stats: Statistics
    rows: int
    mean: Params | None = None


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
    the new ones, and no step changes their log-odds by more than 2 in root mean square: rows seen
    before tell nothing of what is further away.

    Parameters
    ----------
    batch_size : "auto" or int, default="auto"
        Rows in a block. 1 is the paper's; a larger block costs a step only once. "auto": a fifth
        of the memory in `partial_fit`, a fiftieth of the rows in `fit`, at least 20.
    forgetting : "auto" or float, default="auto"
        λ at the start: the memory is of about 1 / (1 - λ) rows, while the experts still move fast.
        "auto": twice as many rows as the model has free parameters, but at least a hundred, for
        which λ is the paper's 0.99. A memory of fewer rows than parameters determines no variances.
    settling : "auto" or float, default="auto"
        Share of the distance from λ to 1 that is taken away after every `settling_rows` rows, so
        that training comes to rest; 0 keeps following a process that changes. "auto": 0.6 in
        `fit`; in `partial_fit` the memory grows with the power 0.6 of the rows seen, those of a
        fit before among them, and what is reported is the mean of the iterates over the last rows,
        half a memory: such a stream forgets a poor start, and in time one process for another.
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

    Notes
    -----
    The defaults were chosen by the mean log-density of 20,000 other rows after streams of 100,000
    (10 columns, 4 experts, 3 seeds). Where nothing changes, blocks of 20, 200, 1,000 rows and of a
    fifth of the memory are within .002 nats a row of each other, at about 10,000, 85,000, 300,000
    and 300,000 rows a second. Where experts are well separated, the powers 0.6 and 0.7 end .0013
    and .0006 below the fit to all rows; where they overlap, 0.6 is .005 above 0.7, after three
    passes .016. Where the process changes half way, a memory that settles ends .6 to .9 nats below.
    The mean of the iterates gains up to .0005 where nothing changes.

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

    ends_at_maxima = False
    short_run = 1

    @property
    def draws_rows(self):
        """Whether it takes rows in an order of its own."""
        return self.shuffle

    def __init__(
        self,
        batch_size: int | str = "auto",
        forgetting: float | str = "auto",
        settling: Any = "auto",
        settling_rows: int = 1000,
        shuffle: bool = True,
        n_iter_no_change: int = 3,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
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
            "batch_size": checks.either("auto", checks.integer(1)),
            "forgetting": checks.either("auto", share),
            "settling": checks.either(
                "auto", checks.number(lambda share: 0 <= share <= 1, "a number from 0 to 1")
            ),
            "settling_rows": checks.integer(1),
            "shuffle": checks.FLAG,
            "n_iter_no_change": checks.integer(1),
            "random_state": checks.RANDOM_STATE,
        }

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`, an iteration a pass; return the best point and the last memory."""
        rng, solver = check_random_state(self.random_state), self._for_passes(batches.n)
        record = Record(max_iter, callback, least_gain=tol * batches.total_weight)
        start = evaluate(model, batches, params)
        record.add(start)
        memory = solver.begin(model, start, batches.n) if start.usable else None

        def one_pass(point):
            nonlocal memory
            order = rng.permutation(batches.n) if self.shuffle else None
            memory = solver.step(model, memory, batches, order)
            return evaluate(model, batches, memory.mean)

        best, converged = loop(BestSoFar(one_pass, self.n_iter_no_change), start, record)
        return record.result(best, converged, memory=memory)

    def begin(self, model, point, rows, seen=0):
        """Return the memory of a point that was found otherwise from so many rows.

        As long as after so many rows `seen`, whatever they weigh: a step forgets by the row.
        """
        length = min(rows, self._length(seen, self._first_length(model, point.params)))
        stats = model.carry(point.params, point.stats, length / rows)
        return Memory(point.params, stats, seen, point.params)

    def step(self, model, memory, batches, order=None):
        """Return the memory after all rows of `batches`, in their own order or another."""
        model = _for_blocks(model, batches.n)
        params, stats, seen, mean = memory
        begun, first = seen, self._first_length(model, params)
        mean = params if mean is None else mean

        def size(done):
            return self._block_rows(self._length(begun + done, first))

        for X, y, weight, facts in batches.blocks(size, order):
            if "groups" in facts:
                raise ValueError(
                    "groups: on-line training takes row after row; use solver='em' for grouped"
                    " rows."
                )
            length, rows = self._length(seen, first), X.shape[0]
            kept = 1 - 1 / length
            age = kept ** np.arange(rows - 1, -1, -1.0)
            aged = array.like(weight, age) * weight
            block = model.statistics(params, X, y, aged, **facts)
            stats = model.carry(params, stats, kept**rows) + block
            params = _maximized(model, params, restrained(stats, block))
            seen += rows
            share = min(1.0, rows / (AVERAGED * length)) if self._grows else 1.0
            mean = interpolate(mean, params, share)
        return Memory(params, stats, seen, mean)

    @property
    def _grows(self):
        """Whether the memory grows as a power of the rows, and the iterates are averaged."""
        return isinstance(self.settling, str)

    def _for_passes(self, n):
        """Return the solver of many passes over the same n rows, whose memory settles."""
        chosen = {"settling": SETTLING} if self._grows else {}
        if isinstance(self.batch_size, str):
            chosen["batch_size"] = min(max(n // STEPS, FEWEST), MOST)
        return clone(self).set_params(**chosen)

    def _first_length(self, model, params):
        """Return the rows of the memory at the start, 1 / (1 - λ)."""
        if self.forgetting == "auto":
            return max(SHORTEST, ROWS_A_PARAMETER * model.n_parameters(params))
        return 1 / max(1 - self.forgetting, 1e-300)

    def _length(self, seen, first):
        """Return the rows of the memory after so many, of which it had `first` at the start."""
        if self._grows:
            return first * (1 + seen / first) ** GROWTH
        return first / max((1 - self.settling) ** (seen // self.settling_rows), 1e-300)

    def _block_rows(self, length):
        """Return the rows of a block, an int, where the memory has so many."""
        if isinstance(self.batch_size, str):
            return int(min(max(length / BLOCKS, FEWEST), MOST))
        return self.batch_size


def _for_blocks(model, n):
    """Return the model that makes the pass over n rows in the blocks, too, where that is compiled.

    Blocks are small, but they are many.
    """
    wanted = model.compiled == "auto" and n > SMALL
    return replace(model, compiled=True) if wanted else model


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
