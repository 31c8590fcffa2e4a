"""What experts and gates that wrap a scikit-learn estimator have in common."""

from __future__ import annotations

import re
import warnings
from copy import copy
from inspect import Parameter, isclass, signature

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .findings import Finding

NEGLIGIBLE = 1e-8
"""A responsibility below this, absolutely or as a share of the row's weight, counts as none."""
FLOOR = 1e-12
"""Smallest probability of a class, before the classes of a row are brought to a sum of 1."""
HEARD = "_classic_moe_heard"
"""Attribute of a clone fitted here: what it warned of."""
LARGEST_SINGLE = 1e37
"""The largest numbers of which an estimator that works in single precision is asked."""


# -- what an estimator must have -----------------------------------------------------------------


def is_kind(estimator, test):
    """Return `is_classifier` or `is_regressor`; False for what is no estimator at all."""
    return hasattr(estimator, "__sklearn_tags__") and not isclass(estimator) and test(estimator)


def shown(value):
    """Return an estimator, or whatever else, as text on one line."""
    return " ".join(repr(value).split())


def check_estimator(estimator, role, weighted=True):
    """Raise a TypeError for an estimator that cannot be an "expert", or a "gate".

    `weighted`: whether it has to take sample weights. A NotFittedError for a `FrozenEstimator`
    around one that is not fitted.
    """
    name = shown(estimator)
    if isclass(estimator):
        raise TypeError(f"{role} {name} is a class; pass an object, {estimator.__name__}().")
    # A gate has to give probabilities; an expert may also give numbers, with normal noise.
    classifies = is_kind(estimator, is_classifier)
    if not (classifies or (role == "expert" and is_kind(estimator, is_regressor))):
        wanted = "classifier" if role == "gate" else "regressor or classifier"
        raise TypeError(f"{role} {name} is no scikit-learn {wanted}; pass one as its estimator.")
    advice = "" if not classifies else "; wrap it in sklearn.calibration.CalibratedClassifierCV"
    for method in ("fit", "predict_proba" if classifies else "predict"):
        if not hasattr(estimator, method):
            raise TypeError(f"{role} {name} has no {method}{advice}.")
    # A frozen estimator needs no weights, but a fit; any other learns by its weights alone.
    if is_frozen(estimator):
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            raise NotFittedError(
                f"{role} {name} is frozen but not fitted; fit the estimator inside it first."
            ) from None
    elif weighted and weight_argument(estimator) is None:
        raise TypeError(
            f"{role} {name} takes no sample_weight in fit, so responsibilities cannot reach it; use"
            " an estimator that does, or fit it yourself and pass it in a"
            " sklearn.frozen.FrozenEstimator."
        )


def weight_argument(estimator):
    """Return the keyword of `fit` under which sample weights arrive; None if there is none.

    ``<step>__sample_weight`` for the last step of a Pipeline. A `fit` with ``**params`` hands them
    on to the estimator inside.
    """
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        inner = weight_argument(last)
        return inner and f"{step}__{inner}"
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    arguments = signature(estimator.fit).parameters.values()
    if not any(argument.kind is Parameter.VAR_KEYWORD for argument in arguments):
        return None
    inside = (getattr(estimator, name, None) for name in ("estimator", "regressor"))
    inside = next((inner for inner in inside if inner is not None), None)
    return "sample_weight" if inside is None else weight_argument(inside)


def is_frozen(estimator):
    """Return whether no fit changes the estimator."""
    return isinstance(estimator, FrozenEstimator)


def check_labels(estimator, classes, role):
    """Raise a ValueError for a frozen classifier that knows none of the `classes`."""
    if is_frozen(estimator) and (columns(estimator, classes) < 0).all():
        known, wanted = (
            ", ".join(map(repr, np.asarray(c).tolist())) for c in (estimator.classes_, classes)
        )
        raise ValueError(
            f"{role} {shown(estimator)} was fitted to the classes {known}, not to any of {wanted}."
        )


# -- fitting -------------------------------------------------------------------------------------


def draw_seeds(random_state, n):
    """Return one seed an estimator, (n,): kept in the params, so that refits are repeatable."""
    return random_state.randint(2**31 - 1, size=n)


def fit(estimator, seed, X, y, weight):
    """Return a clone fitted to rows, weighted or not, its random states drawn from `seed`.

    A frozen estimator is returned as it is. Without a column, or with one class only, there is
    nothing to be learnt but a constant.
    """
    if is_frozen(estimator):
        return estimator
    classifies = is_classifier(estimator)
    if X.shape[1] == 0 or (classifies and (y == y[0]).all()):
        constant = DummyClassifier(strategy="prior") if classifies else DummyRegressor()
        return constant.fit(X, y, sample_weight=weight)
    new, argument = clone(estimator), weight_argument(estimator)
    rng = check_random_state(int(seed))
    names = sorted(new.get_params(deep=True))
    names = [name for name in names if name.split("__")[-1] == "random_state"]
    new.set_params(**{name: rng.randint(2**31 - 1) for name in names})
    # With metadata routing a Pipeline would not know the name of its step's argument.
    routing = get_config()["enable_metadata_routing"] and "__" not in (argument or "")
    # Casts to single precision overflow; scikit-learn then says so in a sentence.
    quiet = np.errstate(over="ignore", invalid="ignore")
    with (
        config_context(enable_metadata_routing=routing),
        quiet,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")  # kept for `complaints`: a fit of the mixture refits often
        new.fit(X, y, **({} if weight is None else {argument: weight}))
    vars(new)[HEARD] = list(dict.fromkeys(_first_line(warning.message) for warning in caught))
    return new


def _first_line(message):
    """Return a warning on one line, without the advice and the links of the lines below."""
    return str(message).strip().partition("\n")[0].rstrip(" .:")


def complaints(estimators, role):
    """Return what the estimators warned of in the fits that were kept, a list of `Finding`.

    `role`: "gate" or "expert"; experts with the same complaint share a finding.
    """
    found = {}  # the first of the texts that differ in their numbers, and who gave one
    for k, estimator in enumerate(estimators):
        inner = estimator.estimator if is_frozen(estimator) else estimator
        for text in vars(inner).get(HEARD, ()):
            key = type(inner).__name__, re.sub(r"[-+.\d]+(e[-+]?\d+)?", "#", text)
            found.setdefault(key, (text, []))[1].append(str(k))
    findings = []
    for (name, _), (text, experts) in found.items():
        who = "gate" if role == "gate" else f"expert{'s'[: len(experts) > 1]} {', '.join(experts)}"
        message = f"{who}: {name} warned when it was last fitted: {text}"
        findings.append(Finding(ConvergenceWarning, message, False, "change its parameters"))
    return findings


def fit_once(estimator, random_state, X, y, weight):
    """Return a clone fitted to weighted rows for good, frozen; y holds numbers, or labels.

    An estimator that takes no sample weights serves where all of them are 1.
    """
    equal = (weight == 1).all()
    check_estimator(estimator, "expert", weighted=not equal)
    seed = draw_seeds(random_state, 1)[0]
    return FrozenEstimator(fit(estimator, seed, X, y, None if equal else weight))


def refusal(estimator, y, error):
    """Return the ValueError to raise for an expert that cannot be fitted to y."""
    reason = f"expert {shown(estimator)} cannot be fitted: {error}"
    if y.ndim == 2 and y.shape[1] > 1:
        reason += " For one output at a time: sklearn.multioutput.MultiOutputRegressor."
    return ValueError(reason)


def counts(resp):
    """Return which responsibilities are not negligible, bool (n, K)."""
    weight = resp.sum(axis=1, keepdims=True)
    return resp >= NEGLIGIBLE * np.maximum(weight, 1.0)


def boxed(estimators):
    """Return objects in an array (K,) of them, also those that are sequences."""
    box = np.empty(len(estimators), dtype=object)
    for k, estimator in enumerate(estimators):
        box[k] = estimator
    return box


def given(estimators, n, owner, x):
    """Return `boxed` fitted estimators of `init_params`; a ValueError for another number.

    `x` is the `Scaling` of their columns, of which those without spread have no coefficient.
    """
    if len(estimators) != n:
        raise ValueError(
            f"init_params: estimator of the {owner} needs {n} fitted estimators, got"
            f" {len(estimators)}."
        )
    for estimator in estimators:
        check_is_fitted(estimator)
    return boxed([_on_columns(estimator, x.factor > 0) for estimator in estimators])


def _on_columns(estimator, varies):
    """Return an estimator without its coefficients of the columns that do not vary, bool (p,)."""
    coef = np.asarray(getattr(estimator, "coef_", 0.0))
    if varies.all() or coef.shape[-1:] != varies.shape:
        return estimator
    fewer = copy(estimator)
    fewer.coef_ = coef[..., varies]
    return fewer


# -- predicting ----------------------------------------------------------------------------------


def predict(estimator, X):
    """Return the predictions of a regressor, (n, q)."""
    return _call(estimator, "predict", X).reshape(len(X), -1)


def predict_proba(estimator, X, classes):
    """Return class probabilities, (n, C), each at least about `FLOOR`.

    A frozen classifier knows the labels `classes`; those that were fitted here know the codes
    0 ... C - 1, or some of them. Classes that are not in `classes` are left out.
    """
    proba = np.full((len(X), len(classes)), FLOOR)
    column = columns(estimator, classes)
    found = _call(estimator, "predict_proba", X)[:, column >= 0]
    proba[:, column[column >= 0]] = np.fmax(found, FLOOR)  # the floor also where it is NaN
    return proba / proba.sum(axis=1, keepdims=True)


def columns(estimator, classes):
    """Return where the classes of a classifier stand in `classes`; -1: nowhere."""
    known = estimator.classes_.tolist()
    if not is_frozen(estimator):
        return np.array(known, dtype=int)
    position = {label: c for c, label in enumerate(np.asarray(classes).tolist())}
    return np.array([position.get(label, -1) for label in known])


def _call(estimator, method, X):
    if not hasattr(estimator, "feature_names_in_"):
        return _far_and_near(getattr(estimator, method), X)
    with warnings.catch_warnings():  # fitted beforehand to a table; here it gets an array
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return _far_and_near(getattr(estimator, method), X)


def _far_and_near(function, X):
    """Return function(X); where single precision cannot hold X, of the nearest that it holds."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # of the cast to single precision
            return np.asarray(function(X), dtype=np.float64)
    except ValueError:
        if not np.any(np.abs(X) > LARGEST_SINGLE):
            raise
        return np.asarray(function(np.clip(X, -LARGEST_SINGLE, LARGEST_SINGLE)), dtype=np.float64)


def n_coefficients(estimator):
    """Return how many numbers `coef_` and `intercept_` hold that a fit has estimated.

    0 for black boxes, and for what was fitted beforehand.
    """
    if is_frozen(estimator):
        return 0
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    return int(sum(np.size(getattr(last, name, ())) for name in ("coef_", "intercept_")))


def view_repr(view):
    """Return a view as text: its estimator is no array, whatever its length."""
    values = (f"{name}={shown(value)}" for name, value in vars(view).items() if name.endswith("_"))
    return f"{type(view).__name__}({', '.join(values)})"
