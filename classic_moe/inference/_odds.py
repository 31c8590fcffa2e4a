"""`odds_ratios`: what a unit of a feature multiplies odds by, with intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..parts.checks import fitted_fact
from ._infer import infer
from ._parameters import fit_of
from ._record import Inference


def odds_ratios(
    model: Any,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    expert_labels: ArrayLike | None = None,
    covariance: str = "observed",
    confidence: float = 0.95,
    inference: Any = None,
) -> Inference:
    """Return the odds ratios of logistic, softmax and binomial experts and of softmax gates.

    They are exp(b) of the slopes b that are log-odds: what one more unit of a feature multiplies
    the odds of a class by, in that expert, or of an expert against the last one, in the gate. In
    the gate of a tree they are about the branches of a node.

    Parameters
    ----------
    model : fitted mixture of experts
        Of a Pipeline the last step, with X as that step sees it.
    X : array-like of shape (n, p), default=None
    y : array-like of shape (n,) or (n, q), default=None
        With X the data of the fit. Neither is needed with `inference`.
    sample_weight, groups, expert_labels : array-like of shape (n,), default=None
        As of `infer`.
    covariance : str, default="observed"
        As of `infer`.
    confidence : float, default=0.95
        Of the intervals.
    inference : Inference, default=None
        Of the parameters of the model, from `infer` or `bootstrap`, to be used in place of one from
        X and y.

    Returns
    -------
    Inference
        Names as of `named_parameters`. Intervals are those of the log-odds, exp of both ends, and
        so are not symmetric; z and the p-values test the hypothesis that the ratio is 1. Standard
        errors and covariance are those of the ratios by the delta method.

    Raises
    ------
    ValueError
        Where no slope is a log-odds, or X and y are missing.
    TypeError
        For a model that is no mixture of experts.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsClassifier
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inference import odds_ratios
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsClassifier(1).fit(X, y > -20)
    >>> odds_ratios(model, X, y > -20).names
    ['expert 0: x0']
    """
    fit_of(model, "odds_ratios")
    if inference is None:
        if X is None or y is None:
            raise ValueError("odds_ratios needs the X and y of the fit, or inference=infer(...).")
        options = dict(groups=groups, expert_labels=expert_labels, confidence=confidence)
        inference = infer(
            model, X, y, sample_weight=sample_weight, covariance=covariance, **options
        )
    owners = _owners(model)
    kept = [
        j
        for j, name in enumerate(inference.names)
        if name.split(": ")[0] in owners and _is_slope(name.split(": ", 1)[1])
    ]
    if not kept:
        about = model.describe()
        raise ValueError(
            f"odds_ratios: no slope of {about.experts} or {about.gate} is a log-odds; logistic and"
            " softmax experts and softmax gates that look at x have such."
        )
    return _exponentials(inference, kept)


def _owners(model):
    """Return whose slopes are log-odds, in the names of parameters before the colon; a set."""
    found = {f"expert {k}" for k, view in enumerate(model.experts_) if _is_of_odds(view)}
    gate, K = model.gate_, model.n_experts_
    if gate.kind == "tree":
        for node, view in gate.nodes_.items():
            if view.linear:
                found |= {f"node {node}, child {c}" for c in range(len(view.coef_))}
    elif gate.kind == "per output":
        each = enumerate(gate.outputs_)
        found |= {f"output {j}, gate {k}" for j, view in each if view.linear for k in range(K)}
    elif gate.linear:
        found |= {f"gate {k}" for k in range(K)}
    return found


def _is_slope(label):
    """Return whether what a parameter is called, but for its owner, is not an intercept."""
    return label.split(" -> ")[0] != "intercept"


def _is_of_odds(view):
    """Return whether the slopes of an expert are log-odds."""
    return bool(view.linear) and (
        fitted_fact(view, "classes_") is not None or view.left.startswith("log-odds")
    )


def _exponentials(inference, kept):
    """Return the record of exp of some of the estimates."""
    with np.errstate(over="ignore"):
        ratios = np.exp(inference.estimates[kept])
        ends = np.exp(inference.lower[kept]), np.exp(inference.upper[kept])
        covariance = np.outer(ratios, ratios) * inference.covariance[np.ix_(kept, kept)]
        samples = None if inference.samples is None else np.exp(inference.samples[:, kept])
    names = [inference.names[j] for j in kept]
    found = Inference.of(
        names,
        ratios,
        covariance,
        confidence=inference.confidence,
        interval=ends,
        reasons={name: inference.reasons[name] for name in names if name in inference.reasons},
        method=f"Odds ratios; z and p are about the ratio 1. {inference.method}".rstrip(),
        penalised=inference.penalised,
        samples=samples,
    )
    return replace(found, z=inference.z[kept], p_values=inference.p_values[kept])
