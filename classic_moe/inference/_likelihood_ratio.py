"""The likelihood-ratio test of nested models with as many experts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from ..parts.black_box import shown
from ..parts.checks import fitted_fact
from ._parameters import fit_of
from ._penalties import penalties_of
from ._record import TestResult
from ._resampling import Rows, check_same

NAME = "likelihood_ratio_test"
ROUNDING = 1e-6
"""Below 0 by less, for each unit of the log-likelihood, a difference is one of ends of climbs."""


def likelihood_ratio_test(
    small: Any,
    large: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> TestResult:
    r"""Test a model against a larger one of which it is a special case, fitted to the same rows.

    With l the log-likelihoods, 2 (l_large - l_small) is chi-squared if the smaller model is true,
    with as many degrees of freedom as it has parameters less [1]_. The models have as many experts
    and differ by less: dropped columns (`expert_features`, `gate_features`), a tied or simpler
    covariance, a constant gate against a softmax gate, a given variance against an estimated one.
    That one contains the other is for the caller to know; what can be seen of it is looked at.

    Parameters
    ----------
    small, large : fitted estimators
        Maximum-likelihood fits, of penalties 0. Let `large` start from `small`, or from several
        starts, so that it is no worse.
    X : {array-like, sparse matrix} of shape (n, p)
        The rows of both fits, all columns that either looks at.
    y : array-like of shape (n,) or (n, q)
    sample_weight : array-like of shape (n,), default=None
        Those of the fits, frequencies.
    groups : array-like of shape (n,), default=None
        Those of the fits: rows that share one expert.

    Returns
    -------
    TestResult
        `statistic`, `df` and `pvalue`.

    Raises
    ------
    TypeError
        For what is no mixture of experts.
    ValueError
        For numbers of experts that differ, for which the statistic has no chi-squared distribution
        (see `bootstrap_likelihood_ratio_test`); for penalised fits, fits to other rows, normalised
        weights, models of different kinds, and a larger model that is no larger or fits worse.

    Notes
    -----
    Where gates model x the likelihoods are joint ones, of x and y. At a bound, such as a dispersion
    of 0, a test by chi-squared rejects too rarely.

    References
    ----------
    .. [1] Wilks, S. S. (1938). The large-sample distribution of the likelihood ratio for testing
       composite hypotheses. Annals of Mathematical Statistics 9, 60-62.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> from classic_moe.experts import LinearExpert
    >>> from classic_moe.gates import SoftmaxGate
    >>> from classic_moe.inference import likelihood_ratio_test
    >>> X, y = make_crossing_lines(random_state=0)
    >>> expert = LinearExpert(alpha=0, variance_prior=0)
    >>> options = dict(expert=expert, random_state=0)
    >>> small = MixtureOfExpertsRegressor(2, gate="constant", **options).fit(X, y)
    >>> large = MixtureOfExpertsRegressor(2, gate=SoftmaxGate(alpha=0), **options).fit(X, y)
    >>> result = likelihood_ratio_test(small, large, X, y)
    >>> result.df, bool(0 <= result.statistic)
    (1, True)
    """
    fits = fit_of(small, NAME), fit_of(large, NAME)
    _check_kinds(small, large, *fits)
    rows = Rows.of(X, y, sample_weight, groups)
    for name, model, fitted in zip(("small", "large"), (small, large), fits, strict=True):
        _check_fit(name, model, fitted)
        check_same(f"{NAME}: {name}", model, fitted, rows)
    df = large.n_parameters_ - small.n_parameters_
    if df <= 0:
        raise ValueError(
            f"{NAME}: small has {small.n_parameters_} parameters and large"
            f" {large.n_parameters_}; the first has to be the smaller model."
        )
    _check_columns(small, *fits)
    joint = fits[0].model.models_x
    low, high = (m.joint_log_likelihood_ if joint else m.log_likelihood_ for m in (small, large))
    gain = high - low
    if gain < -ROUNDING * (1 + abs(low)):
        raise ValueError(
            f"{NAME}: the log-likelihood of large, {high:.6g}, is below that of small, {low:.6g},"
            " so it is no maximum, or small is no special case of it; give large more starts"
            " (n_init), or the responsibilities of small as init_params."
        )
    for name, model in (("small", small), ("large", large)):
        if not model.converged_:
            raise ValueError(
                f"{NAME}: {name} has not converged in {model.n_iter_} iterations, so its likelihood"
                " is no maximum; fit it with a larger max_iter."
            )
    statistic = max(0.0, 2 * float(gain))
    text = f"{_said(fits[0])} against {_said(fits[1])}"
    return TestResult(statistic, df, float(chi2.sf(statistic, df)), text)


def _check_kinds(small, large, *fits):
    """ValueError for fits of which the one cannot be a special case of the other."""
    for what, one, other in _facts(small, large, *fits):
        if one != other:
            raise ValueError(
                f"{NAME}: {what} {one} in small and {other} in large; models that are nested share"
                " it."
            )
    K, others = (len(fitted.resp) for fitted in fits)
    if K != others:
        raise ValueError(
            f"{NAME}: small has {K} experts and large {others}, and then the ratio has no"
            " chi-squared distribution; use bootstrap_likelihood_ratio_test."
        )
    kinds = [type(fitted.model.expert) for fitted in fits]
    if not (issubclass(kinds[0], kinds[1]) or issubclass(kinds[1], kinds[0])):
        raise ValueError(
            f"{NAME}: the experts of small are {kinds[0].__name__} and those of large"
            f" {kinds[1].__name__}; compare families by bic."
        )


def _check_columns(model, small, large):
    """ValueError where a part of the smaller model sees a column that it does not in the larger."""
    everything = np.arange(small.schema.n_features)
    theirs, seen = small.schema.columns, large.schema.columns
    for part, inputs, *pair in (
        ("gate", small.model.gate.inputs, theirs.gate, seen.gate),
        ("expert", small.model.expert.inputs, theirs.expert, seen.expert),
    ):
        if not inputs.uses_x:
            continue
        own, others = (everything if columns is None else columns for columns in pair)
        if not np.isin(own, others).all():
            column = int(own[~np.isin(own, others)][0])
            names = small.schema.names
            name = f"x{column}" if names is None else names[column]
            raise ValueError(
                f"{NAME}: the {part} of small sees column {name} and that of large does not, so"
                f" small is no special case of it; give large all of the columns ({part}_features)."
            )


def _facts(small, large, *fits):
    """Yield what both fits are to have alike: what it is, and what it is in each."""
    schemas = [fitted.schema for fitted in fits]
    yield "the task is", *(schema.target.task for schema in schemas)
    yield "the number of columns of X is", *(schema.n_features for schema in schemas)
    classes = (fitted_fact(model, "classes_") for model in (small, large))
    yield "the classes are", *(None if known is None else known.tolist() for known in classes)
    if schemas[0].target.task == "regression":
        yield "the number of columns of y is", *(schema.target.n_columns for schema in schemas)
    likelihoods = ("joint, of x and y," if f.model.models_x else "of y given x" for f in fits)
    yield "the likelihood is", *likelihoods
    yield "rows share experts by groups:", *(schema.grouped for schema in schemas)


def _check_fit(name, model, fitted):
    """ValueError for a fit that is no maximum of the likelihood."""
    if not fitted.model.objective.likelihood:
        raise ValueError(
            f"{NAME}: under objective={model.objective!r} {name} has no likelihood; fit it with"
            " objective='likelihood'."
        )
    parts = fitted.model.gate, fitted.model.expert
    opaque = [p for p in parts if not (p.learning.sums and p.learning.ascends)]
    if opaque or fitted.model.codes is not None:
        part = opaque[0] if opaque else parts[1]
        raise ValueError(
            f"{NAME}: {shown(part)} in {name} does not maximise a likelihood of so many parameters;"
            " compare held-out data (log_likelihood_scorer)."
        )
    on = penalties_of(fitted)
    if on:
        fixes = ", ".join(f"{penalty.partition('=')[0]}=0" for penalty in on)
        raise ValueError(
            f"{NAME}: {name} is penalised ({', '.join(on)}), and its likelihood no maximum; fit"
            f" both models with {fixes}."
        )
    if fitted.schema.normalizes or fitted_fact(model, "class_weight") is not None:
        raise ValueError(
            f"{NAME}: {name} was fitted with normalised or class weights, which are no frequencies,"
            " and the ratio has no chi-squared distribution; use"
            " infer(..., covariance='sandwich').wald."
        )


def _said(fitted):
    """Return what the parts of a fit are, a str."""
    return f"{shown(fitted.model.gate)} with {shown(fitted.model.expert)}"
