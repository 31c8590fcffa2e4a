"""What is told of a fit that takes a while: when, in what words, and how long it may still take."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext

from .listening import current, listening

PATIENCE = 2.0
"""Seconds before anything is told."""
SHARE = 0.2
"""Share of the time so far that passes between two lines, but at least the seconds above."""


class Pace:
    """Says when it is time to tell something.

    Parameters
    ----------
    patience : float
        Seconds before the first time.
    every : callable (seconds so far) -> float
        Seconds between two times.
    clock : callable () -> float
        Seconds.
    """

    def __init__(self, patience, every, clock=time.monotonic):
        self.patience, self.every, self.clock = patience, every, clock
        self.began, self.told = clock(), None

    def due(self):
        """Return whether it is time, and take it that something is told then; bool."""
        now = self.clock()
        if self.told is None:
            due = now - self.began >= self.patience
        else:
            due = now - self.told >= self.every(now - self.began)
        if due:
            self.told = now
        return due

    def elapsed(self):
        """Return the seconds since the beginning, a float."""
        return self.clock() - self.began


def duration(seconds):
    """Return a time in words, as "1 min 12 s"; str."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def climb_of(step):
    """Return which climb a `Step` is of; str."""
    return f"{step.kind} {step.number} of {step.of}"


def place(step):
    """Return which climb a `Step` is of, and its iteration; str."""
    return f"{climb_of(step)}, iteration {step.iteration}"


class Lines:
    """A listener that prints a line now and then, once a fit has taken two seconds.

    Parameters
    ----------
    tell : callable (str), default=print
    label : str, default=""
        Before every line.
    clock : callable () -> float
        Seconds.
    """

    def __init__(self, tell=print, label="", clock=time.monotonic):
        self.tell, self.label = tell, label
        self.pace = Pace(PATIENCE, lambda sofar: max(PATIENCE, SHARE * sofar), clock)
        self.starts = {}
        """Seconds at which each start was heard of first, by its number."""

    def hear(self, step):
        """Take in a `Step`; None, for it asks for no end."""
        if step.kind == "start":
            self.starts.setdefault(step.number, self.pace.elapsed())
        if self.pace.due():
            took = f"{duration(self.pace.elapsed())}{self._left(step)}"
            self.tell(f"{self.label}{place(step)}: objective {step.objective:.6g} ({took})")

    def _left(self, step):
        """Return how long other starts would take, from those before, in words; "" if unknown.

        A search ends before the last of them where several agree.
        """
        done, left = step.number - 1, step.of - step.number
        if step.kind != "start" or not (done and left) or 1 not in self.starts:
            return ""
        each = (self.starts[step.number] - self.starts[1]) / done
        return f"; the other {left} starts about {duration(left * each)}, if all are needed"


def telling(verbose, label="", tell=print):
    """Return a context in which long fits are told of in lines, where `verbose` is 1.

    At 2 every iteration is printed by the climbs themselves. Whoever listens hears as before.
    """
    if int(verbose) != 1:
        return nullcontext()
    return _both(Lines(tell, label))


@contextmanager
def _both(lines):
    """Have lines told beside whoever listens."""
    outer = current()

    def hear(step):
        lines.hear(step)
        return outer(step) if outer is not None else None

    with listening(hear):
        yield
