"""`available_if` of scikit-learn, which keeps the type of what it stands above."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from sklearn.utils.metaestimators import available_if as _available_if

Method = TypeVar("Method", bound=Callable[..., Any])


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Return the decorator of methods that are there only if `check` of their object is true.

    scikit-learn's own comes without types, and of what it decorates type checkers see nothing.
    """
    return cast(Callable[[Method], Method], _available_if(check))
