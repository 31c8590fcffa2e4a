"""The bootstrap test of K experts against K + 1."""

from __future__ import annotations

import functools
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..data.batches import whole
from ..estimators._fitted import log_likelihoods
from ..estimators._outside import level_outside
from ..model.passes import group_rows
from ..parts import checks
from ..parts.blas import one_blas_thread
from ..parts.checks import fitted_fact
from ..starts.race import best_of, race
from ..starts.search import is_collapsed
from ..starts.splits import split_starts
from ._parameters import fit_of
from ._penalties import penalties_of
from ._record import TestResult
from ._resampling import (
    Progress,
    Rows,
    check_parametric,
    check_rows,
    check_same,
    each_resample,
    parametric,
    problem_of,
    recipe_of,
)

NAME = "bootstrap_likelihood_ratio_test"
OPTIONS = {
    "n_resamples": checks.integer(1),
    "n_jobs": checks.N_JOBS,
    "random_state": checks.RANDOM_STATE,
    "verbose": checks.VERBOSITY,
}


@dataclass(frozen=True, eq=False)
class BootstrapTestResult(TestResult):
    """The result of a test whose distribution is simulated; `print` it.

    Attributes
    ----------
    statistic : float
        2 (l_{K+1} - l_K), at least 0.
    df : float
        NaN: the statistic has no chi-squared distribution.
    pvalue : float
    hypothesis : str
    reason : str
        Why the p-value is NaN, if it is.
    standard_error : float
        Of the p-value, by the number of resamples: √(p (1 - p) / B), of a p-value of 1 with
        (B + 1) / (B + 2) in its place.
    resampled : ndarray of shape (B,)
        The statistic of every resample; NaN where a refit failed.
    n_failed, n_collapsed : int
        Resamples without a statistic; and those where an expert of the K + 1 has collapsed, which
        count.
    notes : tuple of str
        What is to be known of the result.
    """

    standard_error: float = np.nan
    resampled: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    n_failed: int = 0
    n_collapsed: int = 0
    notes: tuple[str, ...] = ()

    def __str__(self):
        tail = f" ({self.reason})" if self.reason else ""
        head = (
            f"{self.hypothesis}: statistic {self.statistic:.4g}, p-value {self.pvalue:.4g}"
            f" ± {self.standard_error:.2g} ({len(self.resampled)} resamples){tail}"
        )
        return "\n".join([head, *self.notes])


class Compared(NamedTuple):
    """A likelihood ratio of K + 1 experts against K on some rows.

    Attributes
    ----------
    statistic : float
    seconds : float
        What both fits took.
    collapsed : bool
        Whether an expert of the larger one has collapsed.
    failure : str
        Why there is none; "" if there is one.
    """

    statistic: float
    seconds: float
    collapsed: bool
    failure: str = ""


def bootstrap_likelihood_ratio_test(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_resamples: int = 99,
    stop_after: int | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> BootstrapTestResult:
    """Test the K experts of a fit against K + 1, by simulation [1]_.

    The likelihood ratio of K against K + 1 experts has no chi-squared distribution: under the
    hypothesis the gate of the expert too many is not determined. So its distribution is simulated.
    `n_resamples` times y is drawn from the fit of K experts at the same x, and both numbers of
    experts are fitted to it, by the same recipe as to the data: K experts from the given fit, K + 1
    from splits of each of these, in six ways, of which the best is kept. The p-value is

    .. math:: p = \\frac{1 + \\#\\{LR^* \\ge LR\\}}{B + 1}, \\qquad
       LR = \\max(0,\\, 2 (\\ell_{K+1} - \\ell_K)).

    K + 1 experts can do what K can, two of them being alike, so the ratio is never below 0.

    Parameters
    ----------
    model : fitted estimator
        A mixture with a flat gate, fitted to these rows: the best fit of K experts there is, as the
        test takes it for the hypothesis.
    X : {array-like, sparse matrix} of shape (n, p)
    y : array-like of shape (n,) or (n, q)
    n_resamples : int, default=99
        B: enough for a test at 5 %. The p-value is a multiple of 1 / (B + 1).
    stop_after : int, default=None
        Ends once so many of the statistics reached the observed one: then, after b resamples, the
        p-value is ``stop_after / b`` [2]_. With 5 of 99, a test at 5 % decides the same as with
        all 99, and takes a fifth of the time where the hypothesis is true. None: all of them.
    sample_weight : array-like of shape (n,), default=None
        As in `fit`: frequencies, whole numbers, a row of weight 2 being two rows that get a y each;
        of a fit with `normalize_weights` any, a row getting one y.
    groups : array-like of shape (n,), default=None
        Rows that share one expert, as in `fit`; y is drawn from one expert a group.
    n_jobs : int, default=None
        Processes that share the resamples, as of joblib; the result is the same for any.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 says how long it will take, from the time of the first refit, and how far it is.

    Returns
    -------
    BootstrapTestResult
        `statistic`, `df` (NaN), `pvalue`, with its `standard_error`, the `resampled` statistics and
        `notes`.

    Raises
    ------
    TypeError
        For what is no mixture of experts.
    ValueError
        For a tree or a list of experts, which have no K + 1; for a gate that models x, of which no
        new x can be drawn; and for weights that are no counts.

    Warns
    -----
    UserWarning
        Once, where refits failed, or an expert collapsed in some.

    Notes
    -----
    Penalties, which are on by default, are part of both fits on the data and on the resamples, and
    keep K + 1 experts from the infinite likelihood of one that shrinks onto a few rows; the ratio
    is that of the likelihoods, without penalties, at the penalised estimates. The test is as valid
    as without; the result says that they are on. With penalties of 0 a collapsed expert makes the
    ratio mean little, which the result says too.

    The refits take `tol` and `max_iter` of the fit and its solver without its last look at the ends
    of climbs, which moves a likelihood by less than `tol` a row.

    References
    ----------
    .. [1] McLachlan, G. J. (1987). On bootstrapping the likelihood ratio test statistic for the
       number of components in a normal mixture. Applied Statistics 36, 318-324.
    .. [2] Besag, J. & Clifford, P. (1991). Sequential Monte Carlo p-values. Biometrika 78, 301-304.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> from classic_moe.inference import bootstrap_likelihood_ratio_test
    >>> X, y = make_crossing_lines(60, random_state=0)
    >>> model = MixtureOfExpertsRegressor(1, gate="constant").fit(X, y)
    >>> result = bootstrap_likelihood_ratio_test(model, X, y, n_resamples=19, random_state=0)
    >>> result.pvalue
    0.05
    """
    fitted = fit_of(model, NAME)
    given = dict(n_resamples=n_resamples, n_jobs=n_jobs, random_state=random_state, verbose=verbose)
    for name, rule in OPTIONS.items():
        checks.check(name, given[name], rule)
    if stop_after is not None:
        checks.check("stop_after", stop_after, checks.integer(1))
    _check(model, fitted)
    rows = Rows.of(X, y, sample_weight, groups)
    check_rows(fitted, rows)
    check_same(NAME, model, fitted, rows)
    K, progress = len(fitted.resp), Progress(NAME, n_resamples, int(verbose))
    draw = parametric(model, rows, fitted.schema)
    recipe = recipe_of(model, NAME)
    compare = functools.partial(_compared, recipe, fitted_fact(model, "classes_"))
    observed = compare(rows, 0)
    if observed.failure:
        raise ValueError(f"{NAME}: the fit of {K + 1} experts failed: {observed.failure}")
    progress.foretell(observed.seconds)
    found = each_resample(
        functools.partial(_of_resample, draw, compare), n_resamples, random_state, n_jobs
    )
    resamples = _until(found, observed.statistic, stop_after, progress)
    result = _result(fitted, observed, resamples, stop_after)
    if result.n_failed or result.n_collapsed:
        warnings.warn(f"{NAME}: {result.notes[-1]}", stacklevel=level_outside())
    return result


def _check(model, fitted):
    """ValueError for a fit that has no K + 1, or whose rows cannot be drawn anew."""
    expert, gate, K = fitted.model.expert, fitted.model.gate, len(fitted.resp)
    check_parametric(model, fitted, NAME)
    if gate.n_experts is not None or expert.n_experts is not None or not expert.exchangeable:
        part = gate if gate.n_experts is not None else expert
        raise ValueError(
            f"{NAME}: {type(part).__name__} fixes the number of experts, {K}; test a flat gate with"
            " experts of one kind, or compare the bic of both."
        )


def _of_resample(draw, compare, seed):
    """Return the `Compared` of one resample."""
    rng = np.random.RandomState(seed)
    return compare(draw(rng), rng.randint(2**31 - 1))


def _compared(recipe, classes, rows, seed):
    """Return the `Compared` of K + 1 experts and K on some rows."""
    begun = time.perf_counter()
    try:
        with one_blas_thread():
            twin, problem = problem_of(recipe, classes, rows, seed)
            values, collapsed = _fits(twin, problem)
    except (ValueError, ArithmeticError) as error:
        return Compared(np.nan, time.perf_counter() - begun, False, str(error))
    small, large = (problem.units.log_likelihood(value) for value in values)
    ratio = max(0.0, 2 * float(large - small))
    return Compared(ratio, time.perf_counter() - begun, collapsed)


def _fits(twin, problem):
    """Return the log-likelihoods of K and K + 1 experts, inside, and whether the latter collapse.

    K experts begin where those of the fit stand, K + 1 with splits of what these lead to.
    """
    options = dict(max_iter=twin.max_iter, tol=twin._tol, callback=None, verbose=0)
    solver = problem.solver.scout()
    with problem.batches:
        small = race(replace(problem, solver=solver), twin._starting_points(problem), **options)
        more = replace(problem, n_experts=problem.n_experts + 1, previous=None)
        options |= dict(solver=solver, reported=problem.units.objective)
        starts = split_starts(more, _responsibilities(problem, small.params))
        large = best_of(
            problem.model, problem.batches, starts, problem.labels, problem.rng, **options
        )
        values = [log_likelihoods(problem, r.params, r.stats)[1] for r in (small, large)]
    return values, is_collapsed(problem.model, large)


def _responsibilities(problem, params):
    """Return the responsibilities of all rows, those of a group for each of its rows, (n, K)."""
    X, y, weight, facts = whole(problem.batches)
    if "groups" not in facts:
        return problem.model.responsibilities(params, X, y)
    codes = facts["groups"]
    return problem.model.grouped(params, X, y, weight, codes)[1][group_rows(codes)[1]]


def _until(found, observed, stop_after, progress):
    """Return the resamples up to the one with which `stop_after` have reached the observed."""
    taken, reached = [], 0
    for one in found:
        taken.append(one)
        progress(len(taken))
        reached += one.statistic >= observed
        if reached == stop_after:
            break
    with warnings.catch_warnings():  # joblib's, about resamples that were begun in vain
        warnings.simplefilter("ignore")
        found.close()
    return taken


def _result(fitted, observed, resamples, stop_after):
    """Return what the resamples say of the observed statistic."""
    statistics = np.array([one.statistic for one in resamples])
    healthy = statistics[~np.isnan(statistics)]
    reached, n = int(np.sum(healthy >= observed.statistic)), len(healthy)
    pvalue = reached / n if reached and reached == stop_after else (1 + reached) / (n + 1)
    sure = min(pvalue, (n + 1) / (n + 2))  # no number of resamples makes a p-value certain
    K, notes, reason = len(fitted.resp), [], ""
    if not n:
        pvalue, reason = np.nan, f"every refit failed: {resamples[0].failure}"
    on = penalties_of(fitted)
    if on:
        notes.append(f"Penalties are on in all fits: {', '.join(on)}.")
    if observed.collapsed:
        notes.append(
            f"An expert of the {K + 1} has collapsed on the data, and the ratio means little; keep"
            " the penalties."
        )
    failed = [one for one in resamples if one.failure]
    collapsed = sum(one.collapsed for one in resamples)
    if failed or collapsed:
        text = f"{len(failed)} of {len(resamples)} refits failed and are left out"
        text += f" (the first: {failed[0].failure.rstrip('.')})" if failed else ""
        notes.append(f"{text}; in {collapsed} an expert of the {K + 1} collapsed.")
    return BootstrapTestResult(
        observed.statistic,
        np.nan,
        pvalue,
        f"{K} against {K + 1} experts",
        reason,
        float(np.sqrt(sure * (1 - sure) / n)) if n else np.nan,
        statistics,
        len(failed),
        int(collapsed),
        tuple(notes),
    )
