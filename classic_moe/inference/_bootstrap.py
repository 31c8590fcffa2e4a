"""`bootstrap`: standard errors and intervals from fits to resampled data."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..estimators._named import NamedParameters
from ..estimators._outside import level_outside
from ..exceptions import ExpertCollapseWarning
from ..parts import checks
from ..parts.blas import one_blas_thread
from ..parts.checks import fitted_fact
from ._parameters import fit_of
from ._penalties import penalties_of
from ._record import Inference
from ._resampling import (
    Progress,
    Rows,
    check_parametric,
    check_rows,
    check_same,
    each_resample,
    nonparametric,
    parametric,
    problem_of,
    recipe_of,
)

OPTIONS = {
    "kind": checks.one_of(("parametric", "nonparametric")),
    "n_resamples": checks.integer(2),
    "confidence": checks.number(lambda level: 0 < level < 1, "a number between 0 and 1"),
    "n_jobs": checks.N_JOBS,
    "random_state": checks.RANDOM_STATE,
    "verbose": checks.VERBOSITY,
}


@dataclass(frozen=True, repr=False, eq=False)
class BootstrapInference(Inference):
    """Estimates with standard errors and intervals from resampled data; as `Inference`.

    Attributes
    ----------
    failures : dict of int to str
        Resamples whose refit failed, and why; their `samples` are NaN.
    collapsed : dict of int to str
        Resamples in whose refit an expert lost its rows or its spread, and what was found. Their
        `samples` are there, but standard errors and intervals leave them out.
    n_unconverged : int
        Refits that reached `max_iter`, which count.
    """

    failures: dict[int, str] = field(default_factory=dict)
    collapsed: dict[int, str] = field(default_factory=dict)
    n_unconverged: int = 0


class Refit(NamedTuple):
    """What came of one resample.

    Attributes
    ----------
    values : ndarray of shape (P,)
    failure, collapse : str
        What went wrong; "" if nothing did.
    converged : bool
    """

    values: np.ndarray
    failure: str
    collapse: str
    converged: bool


def bootstrap(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    kind: str = "parametric",
    n_resamples: int = 200,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> BootstrapInference:
    r"""Return standard errors and intervals of the parameters of a fit from refits to resamples.

    The fit is repeated on resampled data, each time from where it stands: so the experts keep their
    numbers, and a refit takes a fraction of a fit. Should two experts have changed places all the
    same, they are put back: in the order that agrees best with the fit by the rows that both
    account for, Σ_i r_j(i) r_k(i), r being responsibilities of the given rows. Standard errors are
    standard deviations over the resamples, and intervals go from one percentile to another, so that
    they stay where a parameter can be and need not be symmetric [1]_. Works with every family, with
    those that have no second derivatives too.

    Parameters
    ----------
    model : fitted estimator
        A mixture of experts of this package.
    X : {array-like, sparse matrix} of shape (n, p)
        The rows of the fit.
    y : array-like of shape (n,) or (n, q)
    kind : {"parametric", "nonparametric"}, default="parametric"
        "parametric" draws y anew from the fit, at the same x: right where the model is, and no
        expert or class loses all its rows by chance. "nonparametric" draws the rows with
        replacement: right where the model is not, too, and also for gates that model x.
    n_resamples : int, default=200
        B. Standard errors are then off by 5 %; the ends of 95 % intervals want 1,000.
    sample_weight : array-like of shape (n,), default=None
        Those of the fit: frequencies. Rows are drawn as often as their weights sum to, a row of
        weight 2 being twice as likely; a parametric resample takes whole numbers, and draws two y
        for such a row. Of a fit with `normalize_weights` rows are drawn alike, and keep their
        weights.
    groups : array-like of shape (n,), default=None
        Of a fit with `groups` those of the fit: they are drawn whole, and one that is drawn twice
        is two groups; a parametric resample draws one expert for each. Of another fit clusters of
        rows that are not independent, drawn whole, for ``kind="nonparametric"``.
    confidence : float, default=0.95
        Of the intervals.
    n_jobs : int, default=None
        Processes that share the resamples, as of joblib. The result has the same bits for any.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 says about once a second how far it is.

    Returns
    -------
    BootstrapInference
        An `Inference` with `samples` (B, P), and with `failures`, `collapsed` and `n_unconverged`.
        A standard error is NaN, and `reasons` says why, where a parameter is not finite, or the
        same, in all resamples.

    Raises
    ------
    TypeError
        For what is no mixture of experts.
    ValueError
        For ``kind="parametric"`` of a gate that models x or under an error function; for Meta-Pi,
        whose experts are fitted alone; for groups and weights that are not those of a fit.

    Warns
    -----
    UserWarning
        Once, where refits failed or an expert collapsed in some.

    Notes
    -----
    A refit has the parameters of the fit, its solver, penalties, `tol` and `max_iter`, but one
    start, the fit. So the standard errors are about the maximum that the fit has found, and not
    about which of several a search would find. Members known by `expert_labels` are not known to
    the refits. Parameters that are no numbers, such as those inside scikit-learn estimators, are
    left out; `method` says so.

    References
    ----------
    .. [1] Efron, B. & Tibshirani, R. J. (1993). An introduction to the bootstrap. Chapman & Hall.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> from classic_moe.inference import bootstrap
    >>> X, y = make_crossing_lines(100, random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    >>> found = bootstrap(model, X, y, n_resamples=20, random_state=0)
    >>> found.samples.shape
    (20, 7)
    >>> bool((found.lower < found.upper).all())
    True
    """
    fitted = fit_of(model, "bootstrap")
    options = dict(kind=kind, n_resamples=n_resamples, confidence=confidence, n_jobs=n_jobs)
    for name, value in (options | dict(random_state=random_state, verbose=verbose)).items():
        checks.check(name, value, OPTIONS[name])
    rows = Rows.of(X, y, sample_weight, groups)
    by_model = kind == "parametric"
    check_rows(fitted, rows, clusters=not by_model)
    if by_model:
        check_parametric(model, fitted, "bootstrap(kind='parametric')")
    draw = (
        parametric(model, rows, fitted.schema) if by_model else nonparametric(rows, fitted.schema)
    )
    check_same("bootstrap", model, fitted, rows)
    refit = _Refits(recipe_of(model, "bootstrap"), model, fitted, rows, draw)
    progress, refits = Progress("bootstrap", n_resamples, int(verbose)), []
    for one in each_resample(refit, n_resamples, random_state, n_jobs):
        refits.append(one)
        progress(len(refits))
    result = _result(fitted, refit.named, refits, kind, confidence)
    trouble = _trouble(result, len(refits))
    if trouble:
        warnings.warn(f"bootstrap: {trouble}", stacklevel=level_outside())
    return result


class _Refits:
    """Refits an estimator to resamples, called with the seed of one; see `Refit`."""

    def __init__(self, recipe, model, fitted, rows, draw):
        self.recipe, self.rows, self.draw = recipe, rows, draw
        self.named = NamedParameters(fitted)
        self.classes = fitted_fact(model, "classes_")
        self.grouped = fitted.schema.grouped
        self.resp = None
        if fitted.model.objective.likelihood:
            self.resp = self._responsibilities(model)

    def __call__(self, seed):
        rng = np.random.RandomState(seed)
        try:
            with one_blas_thread():
                rows = self.draw(rng)
                twin, problem = problem_of(self.recipe, self.classes, rows, rng.randint(2**31 - 1))
                fitted = twin._solved(problem)
                fitted = self._in_order(twin, fitted)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            return Refit(np.full(len(self.named.names), np.nan), str(error), "", True)
        collapsed = [f.message for f in fitted.findings if f.category is ExpertCollapseWarning]
        values = self.named.values_of(fitted)
        return Refit(values, "", "; ".join(collapsed), not fitted.complaint)

    def _in_order(self, twin, fitted):
        """Return a refit with its experts in the order of those of the fit."""
        if self.resp is None or len(fitted.resp) == 1:
            return fitted
        twin._adopt(fitted)
        ids = fitted.matched(self.resp.T @ self._responsibilities(twin))
        return fitted if np.array_equal(ids, np.arange(len(ids))) else fitted.reordered(ids)

    def _responsibilities(self, model):
        rows = self.rows
        return model.responsibilities(rows.X, rows.y, rows.groups if self.grouped else None)


def _result(fitted, named, refits, kind, confidence):
    """Return the record of the refits."""
    samples = np.array([one.values for one in refits])
    failures = {b: one.failure for b, one in enumerate(refits) if one.failure}
    collapsed = {b: one.collapse for b, one in enumerate(refits) if one.collapse}
    healthy = np.array([not (one.failure or one.collapse) for one in refits])
    P, reasons = len(named.names), {}
    kept = samples[healthy]
    covariance, interval = np.full((P, P), np.nan), np.full((2, P), np.nan)
    if len(kept) < 2:
        reasons = dict.fromkeys(named.names, f"{len(kept)} of {len(refits)} refits are healthy")
    else:
        for name, values in zip(named.names, kept.T, strict=True):
            lost = int(np.sum(~np.isfinite(values)))
            if lost:
                reasons[name] = f"it is not finite in {lost} of {len(kept)} resamples"
            elif np.ptp(values) <= 1e-12 * np.abs(values).max():
                reasons[name] = "it is the same in all resamples, as at a bound"
        own = np.array([name not in reasons for name in named.names], dtype=bool)
        covariance[np.ix_(own, own)] = np.atleast_2d(np.cov(kept[:, own], rowvar=False))
        tail = (1 - confidence) / 2
        interval[:, own] = np.quantile(kept[:, own], (tail, 1 - tail), axis=0)
    return BootstrapInference.of(
        named.names,
        named.values(fitted.params),
        covariance,
        confidence=confidence,
        interval=interval,
        reasons=reasons,
        method=_method(fitted, kind, len(refits)),
        penalised=bool(penalties_of(fitted)),
        samples=samples,
        failures=failures,
        collapsed=collapsed,
        n_unconverged=sum(not one.converged for one in refits),
    )


def _method(fitted, kind, n):
    """Return what the standard errors rest on, a str."""
    text = f"Standard errors and percentile intervals of a {kind} bootstrap, {n} resamples."
    parts = {"gate": fitted.model.gate, "experts": fitted.model.expert}
    opaque = [name for name, part in parts.items() if not part.learning.sums]
    if opaque:
        text += f" What is no number inside the {' and the '.join(opaque)} is left out."
    return text


def _trouble(result, n):
    """Return what went wrong with some of n refits, a str; "" if nothing did."""
    found = []
    if result.failures:
        first = next(iter(result.failures.values())).rstrip(".")
        found.append(f"{len(result.failures)} of {n} refits failed (the first: {first})")
    if result.collapsed:
        first = next(iter(result.collapsed.values())).rstrip(".")
        found.append(f"in {len(result.collapsed)} of {n} an expert collapsed (the first: {first})")
    if not found:
        return ""
    return f"{'; '.join(found)}. Standard errors and intervals leave them out."
