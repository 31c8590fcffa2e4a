"""What an underflow is to the callers of estimators and views: the zero that it stands for."""

from __future__ import annotations

import functools
import inspect
from types import FunctionType

import numpy as np
from sklearn.utils.metaestimators import available_if


def to_zero(function):
    """Return a function under which underflows are zeros, as they are by numpy's default.

    Probabilities of what is far away are too small for a number, and 0 is right for them. Callers
    who have numpy raise at errors mean overflows, divisions by zero and invalid operations, which
    formulas have to avoid. Threads start with numpy's default, whatever their caller has set.
    """

    # Not `np.errstate` as a decorator: warnings are to point at the caller, not into numpy.
    @functools.wraps(function)
    def quiet(*args, **options):
        with np.errstate(under="ignore"):
            return function(*args, **options)

    quiet.lets_underflow = True
    return quiet


CONDITIONAL = type(available_if(bool)(bool))
"""What `available_if` makes of a method."""


class UnderflowIsZero:
    """Base of classes whose public methods, those of their other bases too, are `to_zero`."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name in dir(cls):
            member = inspect.getattr_static(cls, name)
            if name[0] != "_" and isinstance(member, (FunctionType, CONDITIONAL)):
                function = member if isinstance(member, FunctionType) else member.fn
                if "lets_underflow" in vars(function):
                    continue  # one of a base that has been through here
                quiet = to_zero(function)
                conditional = isinstance(member, CONDITIONAL)
                setattr(cls, name, available_if(member.check)(quiet) if conditional else quiet)
