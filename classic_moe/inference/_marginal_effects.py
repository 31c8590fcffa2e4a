"""`marginal_effects`: what a feature does to the mean, to classes and to the gate, on average."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_sample_weight

from ..parts.checks import check, fitted_fact, number
from ..parts.storage import all_dense
from ._delta import Saying, Slopes, has_slopes, propagate
from ._infer import infer
from ._moves import moves_of
from ._parameters import fit_of
from ._record import Inference

METHODS = {"mean": "predict", "proba": "predict_proba", "gate": "gate_proba"}
PARTS = {"mean": ("gate", "expert"), "proba": ("gate", "expert"), "gate": ("gate",)}
NO_Y = "without y and without `inference` the covariance of the parameters is not known"


def marginal_effects(
    model: Any,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    of: str = "mean",
    features: Any = None,
    discrete: Any = "auto",
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    expert_labels: ArrayLike | None = None,
    covariance: str = "observed",
    confidence: float = 0.95,
    inference: Any = None,
) -> Inference:
    """Return the average marginal effect of every feature, with standard errors.

    The effect of a feature is the derivative of what the mixture predicts in that feature, the
    others staying as they are; of a discrete one it is the difference that another value makes. It
    is averaged over the rows of X. So it says in one number, in the units of y, what no single
    coefficient of a mixture says: gate and experts both move.

    Parameters
    ----------
    model : fitted mixture of experts
        Of a Pipeline the last step, with X as that step sees it.
    X : array-like of shape (n, p)
        The rows over which is averaged.
    y : array-like of shape (n,) or (n, q), default=None
        With X the data of the fit, from which the covariance of the parameters is made. None: there
        are no standard errors, unless `inference` is given.
    of : {"mean", "proba", "gate"}, default="mean"
        E[y given x], class probabilities, or gating probabilities. The mean of a classifier are its
        class probabilities.
    features : column, or list of columns, default=None
        Of which there are to be effects, by position or name; None: of all.
    discrete : "auto", column, or list of columns, default="auto"
        The columns of which differences are taken, from the lowest value in X to each of the
        others. "auto": those of zeros and ones, and codes of an `ExponentialFamilyGate`, of whose
        counts the effect is that of one more. ``[]``: none.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows, in the average and in the covariance.
    groups, expert_labels : array-like of shape (n,), default=None
        As of `infer`.
    covariance : str, default="observed"
        As of `infer`: how the covariance of the parameters is estimated.
    confidence : float, default=0.95
        Of the intervals.
    inference : Inference, default=None
        Of the parameters of the model, from `infer` or `bootstrap`, to be used in place of one from
        X and y: for averages over other rows than those of the fit.

    Returns
    -------
    Inference
        With names "age", "age -> wage" of several outputs, "class setosa: age", "gate 0: age"; a
        discrete column with more than two values has "age = 2". Where there is no standard error
        `reasons` says why.

    Raises
    ------
    ValueError
        For options that are none, columns that X does not have, ``of="proba"`` of a regressor, and
        with y as `infer`, of parts without second derivatives: leave y out, or give a bootstrap as
        `inference`.
    TypeError
        For a model that is no mixture of experts.

    Notes
    -----
    Standard errors are those of the delta method: the derivative of the average in the parameters,
    times their covariance. They are about the rows at hand, whose x is taken as given. Derivatives
    in x are central differences, right to about eight digits. A column that is a function
    of another one, such as a square, is moved by itself all the same. Of experts or gates that are
    step functions, such as trees of scikit-learn, derivatives are 0 nearly everywhere: take
    differences. With ``assignment="hard"`` effects are those of the mixture itself.

    References
    ----------
    .. [1] Bartus, T. (2005). Estimation of marginal effects using margeff. The Stata Journal 5,
       309-329.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.inference import marginal_effects
    >>> X, y = make_piecewise_regression(400, n_features=2, n_pieces=2, random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> effects = marginal_effects(model, X, y)
    >>> effects.names
    ['x0', 'x1']
    >>> marginal_effects(model, X, of="gate").names
    ['gate 0: x0', 'gate 0: x1', 'gate 1: x0', 'gate 1: x1']
    """
    fitted = fit_of(model, "marginal_effects")
    check("confidence", confidence, number(lambda level: 0 < level < 1, "a number between 0 and 1"))
    outcomes = _outcomes(model, fitted, of)
    rows = np.array(
        all_dense(model._validate(X, reset=False), "Marginal effects need"), dtype=float
    )
    weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if not weight.sum() > 0:
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weight = weight / weight.sum()
    moves = moves_of(model, fitted, X, rows, features, discrete)
    of_classes = of == "mean" and fitted_fact(model, "classes_") is not None
    says = Saying(model, fitted, METHODS["proba" if of_classes else of])
    estimates = np.array([move.effect(says, fitted.params, rows, weight) for move in moves])
    names = [f"{before}{move.name}{after}" for before, after in outcomes for move in moves]
    estimates = estimates.reshape(len(moves), -1).T.ravel()
    if inference is None and y is not None:
        options = dict(groups=groups, expert_labels=expert_labels, confidence=confidence)
        inference = infer(
            model, X, y, sample_weight=sample_weight, covariance=covariance, **options
        )
    V, reasons = _covariance(fitted, says, moves, rows, weight, PARTS[of], inference, len(names))
    return Inference.of(
        names,
        estimates,
        V,
        confidence=confidence,
        reasons={name: why for name, why in zip(names, reasons, strict=True) if why},
        method=_told(moves, inference),
        penalised=inference is not None and inference.penalised,
    )


def _covariance(fitted, says, moves, rows, weight, parts, inference, size):
    """Return the covariance of all effects, those of an outcome together, and reasons."""
    nothing = np.full((size, size), np.nan)
    if inference is None:
        return nothing, [NO_Y] * size
    if not has_slopes(fitted):
        return nothing, ["gate or experts have no parameters of their own"] * size
    slopes = Slopes(fitted, rows, parts)
    if slopes.names != list(inference.names):
        raise ValueError(
            f"inference holds {len(inference.names)} names, {inference.names[:2]} and so on; it"
            f" needs the {len(slopes.names)} parameters of the model, as of `infer`."
        )
    size_of = np.abs(says(fitted.params, rows)).max(axis=0)
    if says.of_numbers:  # told from the mean of y, they may all be 0
        size_of = np.maximum(size_of, fitted.schema.y.unit)
    each = [move.slopes(slopes, says, rows, weight, size_of) for move in moves]
    derivatives = np.reshape(np.stack(each, axis=1), (size, -1))
    return propagate(derivatives, slopes.of_names, inference)


def _told(moves, inference):
    """Return what the effects are and what their standard errors rest on, in sentences."""
    text = "Average marginal effects: derivatives"
    for kind, words in (("difference", "differences"), ("one more", "the effect of one more")):
        columns = dict.fromkeys(move.of for move in moves if move.kind == kind)
        text += f"; {words} of {', '.join(columns)}" if columns else ""
    return text + "." + (f" {inference.method}" if inference is not None else "")


def _outcomes(model, fitted, of):
    """Return what stands before and behind a column's name, a pair for each outcome."""
    if of not in METHODS:
        raise ValueError(f"of={of!r}: use one of 'mean', 'proba', 'gate'.")
    classes = fitted_fact(model, "classes_")
    if of == "gate":
        K, gate = model.n_experts_, fitted.model.gate
        if gate.per_output:
            q = len(model.gate_.outputs_)
            return [(f"output {j}, gate {k}: ", "") for k in range(K) for j in range(q)]
        return [(f"gate {k}: ", "") for k in range(K)]
    if classes is not None:
        return [(f"class {label}: ", "") for label in classes]
    if of == "proba":
        raise ValueError(f"of='proba': {type(model).__name__} has no classes; use of='mean'.")
    target = fitted.schema.target
    if target.single_output:
        return [("", "")]
    return [("", f" -> {name}") for name in target.output_names]
