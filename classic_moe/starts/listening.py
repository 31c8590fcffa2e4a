"""Whoever follows fits from outside: told of the iterations of every start, and may end a fit.

A fit inside a Pipeline or a search takes no callback for its short starts; a listener hears all of
them, wherever in the block they are made.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

_listener: ContextVar = ContextVar("listener", default=None)


class Step(NamedTuple):
    """Where a fit stands after an iteration.

    Attributes
    ----------
    kind : {"start", "hop", "run"}
        A climb from a start, one from a maximum so far with two experts merged and another split,
        or one that goes on to convergence on all rows.
    number, of : int
        Which it is, from 1, of how many.
    iteration : int
        Within it.
    objective : float
        As the caller is told of it.
    """

    kind: str
    number: int
    of: int
    iteration: int
    objective: float


@contextmanager
def listening(listener):
    """Have a function told of every `Step` of the fits made in a block, by this thread.

    Parameters
    ----------
    listener : callable (Step) -> bool
        True ends the fit with the values reached.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def current():
    """Return the listener of this thread, or None."""
    return _listener.get()


def teller(kind, number, of, reported):
    """Return the callback of a solver that tells the listener; None where nobody listens.

    Parameters
    ----------
    kind, number, of : as of `Step`
    reported : callable (float) -> float
        What the caller is told of an objective.
    """
    listener = current()
    if listener is None:
        return None

    def tell(iteration, params, objective):
        return listener(Step(kind, number, of, iteration, reported(objective)))

    return tell
