"""Checks of hyper-parameters that several parts share."""

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
