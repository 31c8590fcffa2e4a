"""What several rooms ask of hyper-parameters, tables and fitted estimators, whoever made them."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np


def is_number(value) -> bool:
    """Whether `value` is a real number; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def is_integer(value) -> bool:
    """Whether `value` is a whole number; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def check_penalties(part):
    """ValueError unless `alpha` and `variance_prior` of a part, if any, are finite and >= 0."""
    for name in ("alpha", "variance_prior"):
        penalty = getattr(part, name, 0.0)
        if not (is_number(penalty) and 0 <= penalty < np.inf):
            raise ValueError(
                f"{name}={penalty!r} of {type(part).__name__}: needs a finite number of at least"
                " 0 (0 is maximum likelihood)."
            )


def check_variance(part):
    """ValueError unless the hyper-parameter `variance` of a part is "estimate" or positive."""
    value = part.variance
    if value != "estimate" and not (is_number(value) and 0 < value < np.inf):
        raise ValueError(
            f"variance={value!r} of {type(part).__name__}: use 'estimate' or a positive number."
        )


def check_option(part, name, options):
    """ValueError unless the hyper-parameter `name` of a part is one of `options`."""
    value = getattr(part, name)
    if not (isinstance(value, str) and value in options):
        raise ValueError(
            f"{name}={value!r} of {type(part).__name__}: use one of"
            f" {', '.join(map(repr, options))}."
        )


# -- tables and fitted estimators, ours or others' -------------------------------------------------


def is_table(X) -> bool:
    """Tell whether X is a DataFrame, of whatever library: its columns have names."""
    return hasattr(X, "columns")


def fitted_fact(model, name, default=None):
    """Return the attribute `name` of an estimator or a view, or the default where it has none.

    In scikit-learn an attribute that makes no sense is absent, such as `classes_` of a regressor.
    """
    return getattr(model, name, default)


def can(model, *names) -> bool:
    """Tell whether an estimator has all these methods or attributes.

    Methods behind scikit-learn's `available_if` come and go with its hyper-parameters.
    """
    return all(hasattr(model, name) for name in names)


def unwrap(estimator):
    """Return the estimator inside fitted searches and Pipelines, and what is done to X before it.

    Returns
    -------
    model : estimator
        Whatever the last step of the last Pipeline is, or the best estimator of a search.
    transform : callable (X) -> X
        The steps before it, in turn.
    """
    steps = []

    def transform(X):
        for step in steps:
            X = step(X)
        return X

    while can(estimator, "best_estimator_") or can(estimator, "steps"):
        if can(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
            continue
        if len(estimator) > 1:
            steps.append(estimator[:-1].transform)
        estimator = estimator[-1]
    return estimator, transform
