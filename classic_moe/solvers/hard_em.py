"""EM with hard or truncated assignments: classification EM, truncated EM, stochastic EM."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from ..model.objectives import ClassificationLikelihood, TruncatedLikelihood
from ..parts.checks import RANDOM_STATE, integer
from .base import BaseSolver
from .em import EM
from .loop import BestSoFar, Record, evaluate, loop


class CEM(EM):
    """Classification EM: every row goes to its most probable expert alone.

    Climbs the classification likelihood Σ max_k log g_k(x) p_k(y|x) [1]_, which is what the
    estimator's `lower_bounds_` then hold; `log_likelihood_` stays that of the mixture. It ends in
    few iterations, at experts that overlap less than the maximum of the likelihood says; a start
    for EM, by ``init_params=fitted``, more than an estimate.

    References
    ----------
    .. [1] Celeux, G. & Govaert, G. (1992). A classification EM algorithm for clustering and two
       stochastic versions. Computational Statistics & Data Analysis 14, 315-332.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> X, y = make_piecewise_regression(200, n_pieces=2, random_state=0)
    >>> rough = MixtureOfExpertsRegressor(2, solver="cem", random_state=0).fit(X, y)
    >>> fine = MixtureOfExpertsRegressor(2, init_params=rough).fit(X, y)
    >>> bool(fine.log_likelihood_ >= rough.log_likelihood_)
    True
    """

    climbs_likelihood = False

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return where the climb ended."""
        hard = model.with_objective(ClassificationLikelihood())
        return super().run(hard, params, batches, max_iter=max_iter, tol=tol, callback=callback)


class TruncatedEM(EM):
    """EM in which every row counts for its k most responsible experts alone.

    The E-step keeps the k largest g_k(x) p_k(y|x) of a row and renormalises their responsibilities;
    the gate stays that of all experts. That is EM on the lower bound log Σ g p over those k of the
    log-likelihood [1]_, so it never falls, and of many experts each learns from few rows. The bound
    is what the estimator's `lower_bounds_` hold; `log_likelihood_` stays that of the mixture. With
    k = 1 it is classification EM, with k = K plain EM. Densities are those of all K experts still:
    what is saved are the experts' sums, which of many columns are most of a pass.

    Parameters
    ----------
    k : int, default=2
        Experts of a row.
    warm_up : int, default=20
        Passes of EM with all experts to begin with. Experts that share rows at the start find their
        own in these; few of a row from the start on may leave a climb in a poorer optimum. They are
        not counted as iterations, and `lower_bounds_` begin after them.

    References
    ----------
    .. [1] Lücke, J. & Eggert, J. (2010). Expectation truncation and the benefits of preselection in
       training generative models. Journal of Machine Learning Research 11, 2855-2900.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> from classic_moe.solvers import TruncatedEM
    >>> X, y = make_voronoi_pieces(400, n_pieces=4, random_state=0)
    >>> model = MixtureOfExpertsRegressor(4, solver=TruncatedEM(2), n_init=1, random_state=0)
    >>> bool(model.fit(X, y).lower_bounds_[-1] >= model.lower_bounds_[0])
    True
    """

    climbs_likelihood = False

    def __init__(self, k: int | None = 2, warm_up: int = 20) -> None:
        self.k = k
        self.warm_up = warm_up

    def _rules(self):
        return {"k": integer(1), "warm_up": integer(0)}

    def resumed(self):
        """Return this solver without a warm-up."""
        return clone(self).set_params(warm_up=0)

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return where the climb ended."""
        if self.warm_up:
            params = super().run(model, params, batches, max_iter=self.warm_up, tol=tol).params
        bound = model.with_objective(TruncatedLikelihood(self.k))
        return super().run(bound, params, batches, max_iter=max_iter, tol=tol, callback=callback)


class SEM(BaseSolver):
    """Stochastic EM: every row goes to one expert, drawn by its responsibilities.

    The draws carry the iterates out of poor optima and past saddle points [1]_. The fit keeps the
    best iterate by the penalised likelihood, so `lower_bounds_`, the best so far, never fall; it
    ends when `patience` iterations have brought nothing better.

    Parameters
    ----------
    patience : int, default=50
        Iterations without a new best after which to stop; about the time the chain needs to
        wander through its neighbourhood on a few hundred rows.
    random_state : int, RandomState or None, default=None
        For the draws; None: from the estimator's.

    References
    ----------
    .. [1] Celeux, G. & Diebolt, J. (1985). The SEM algorithm: a probabilistic teacher algorithm
       derived from the EM algorithm for the mixture problem. Computational Statistics Quarterly 2,
       73-82.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.solvers import SEM
    >>> X, y = make_piecewise_regression(200, n_pieces=2, random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, solver=SEM(patience=20), n_init=2, random_state=0)
    >>> model.fit(X, y).converged_
    True
    """

    draws_rows = True

    def __init__(
        self, patience: int = 50, random_state: int | np.random.RandomState | None = None
    ) -> None:
        self.patience = patience
        self.random_state = random_state

    def _rules(self):
        return {"patience": integer(1), "random_state": RANDOM_STATE}

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return where the climb ended."""
        rng = check_random_state(self.random_state)

        def draw(params):
            uniform = rng.uniform(size=batches.n)
            return evaluate(model, batches.with_facts(draws=uniform), params)

        def step(point):
            return draw(model.maximize(point.params, point.stats))

        record = Record(max_iter, callback)
        point = draw(params)
        record.add(point)
        best, converged = loop(BestSoFar(step, self.patience), point, record)
        return record.result(evaluate(model, batches, best.params), converged)
