"""What an underflow is to the callers of estimators and views: the zero that it stands for."""

from __future__ import annotations

import inspect
from types import FunctionType

import numpy as np
from sklearn.utils.metaestimators import available_if

to_zero = np.errstate(under="ignore")
"""A decorator under which underflows are zeros, as they are by numpy's default.

Probabilities of what is far away are too small for a number, and 0 is right for them. Callers who
have numpy raise at errors mean overflows, divisions by zero and invalid operations, which formulas
have to avoid. Threads start with numpy's default, whatever their caller has set.
"""
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
                quiet.lets_underflow = True
                conditional = isinstance(member, CONDITIONAL)
                setattr(cls, name, available_if(member.check)(quiet) if conditional else quiet)
