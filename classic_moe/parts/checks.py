"""What several rooms ask of hyper-parameters, tables and fitted estimators, whoever made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from .penalties import AUTO, PENALTIES, WEAK, PseudoRows


def is_number(value) -> bool:
    """Whether `value` is a real number; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def is_integer(value) -> bool:
    """Whether `value` is a whole number; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def is_flag(value) -> bool:
    """Whether `value` is True or False, numpy's too."""
    return isinstance(value, (bool, np.bool_))


class Rule(NamedTuple):
    """What a hyper-parameter may be.

    Attributes
    ----------
    allows : callable (value) -> bool
    words : str, for a message: what it needs, or what to use
    """

    allows: Callable[[object], bool]
    words: str


def integer(least) -> Rule:
    """Return the rule of an integer of at least `least`."""
    return Rule(
        lambda value: is_integer(value) and value >= least,
        f"needs an integer of at least {least}",
    )


def number(allows, words) -> Rule:
    """Return the rule of a number for which `allows` holds, NaN never."""
    return Rule(lambda value: is_number(value) and bool(allows(value)), f"needs {words}")


def one_of(options) -> Rule:
    """Return the rule of one of several names."""
    return Rule(
        lambda value: isinstance(value, str) and value in options,
        "use one of " + ", ".join(map(repr, options)),
    )


def either(name, rule) -> Rule:
    """Return the rule of a name, such as "auto", or of what another rule allows."""
    return Rule(
        lambda value: rule.allows(value) or (isinstance(value, str) and value == name),
        rule.words.replace("needs", f"needs {name!r} or", 1),
    )


FLAG = Rule(is_flag, "needs True or False")
VERBOSITY = Rule(
    lambda value: is_flag(value) or (is_integer(value) and value >= 0),
    "needs True, False or an integer of at least 0",
)
N_JOBS = Rule(
    lambda value: value is None or (is_integer(value) and value != 0),
    "needs None or an integer other than 0, such as -1 for all processors",
)
RANDOM_STATE = Rule(
    lambda value: (
        value is None
        or value is np.random
        or isinstance(value, np.random.RandomState)
        or (is_integer(value) and 0 <= value < 2**32)
    ),
    "needs None, an integer from 0 to 2**32 - 1 or a numpy RandomState",
)
CLASS_WEIGHT = Rule(
    lambda value: value is None or isinstance(value, (str, Mapping)),
    "needs a dict of weights, 'balanced' or None",
)


def check(name, value, rule, whose=""):
    """ValueError for a value of a hyper-parameter that its rule does not allow."""
    if not rule.allows(value):
        raise ValueError(f"{name}={value!r}{whose}: {rule.words}.")


def check_rules(part, rules):
    """ValueError for the first hyper-parameter of a part that its rule does not allow.

    Parameters
    ----------
    part : object with hyper-parameters
    rules : dict of str to Rule
    """
    for name, rule in rules.items():
        check(name, getattr(part, name), rule, f" of {type(part).__name__}")


def check_penalties(part):
    """ValueError unless `alpha` and `variance_prior` of a part, if any, are finite and >= 0.

    Or words that the part knows: "weak", and "auto" where the evidence can tell.
    """
    for name in PENALTIES:
        penalty = getattr(part, name, 0.0)
        words = [repr(AUTO)] * (name in part.automatic) + [repr(WEAK)] * (name in part.weak)
        allowed = isinstance(penalty, str) and repr(penalty) in words
        allowed = allowed or (isinstance(penalty, PseudoRows) and name == "variance_prior")
        if not (allowed or (is_number(penalty) and 0 <= penalty < np.inf)):
            raise ValueError(
                f"{name}={penalty!r} of {type(part).__name__}: needs a finite number of at least"
                f" 0 (0 is maximum likelihood){''.join(', or ' + word for word in words)}."
            )


def check_variance(part):
    """ValueError unless the hyper-parameter `variance` of a part is "estimate" or positive."""
    value = part.variance
    estimated = isinstance(value, str) and value == "estimate"
    if not (estimated or (is_number(value) and 0 < value < np.inf)):
        raise ValueError(
            f"variance={value!r} of {type(part).__name__}: use 'estimate' or a positive number."
        )


def check_option(part, name, options):
    """ValueError unless the hyper-parameter `name` of a part is one of `options`."""
    check_rules(part, {name: one_of(options)})


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
