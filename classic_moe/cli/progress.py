"""What a long fit tells while it runs, on stderr, and how Ctrl-C ends it."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time

from ..starts.listening import listening
from ..starts.telling import Pace, climb_of, duration, place

PATIENCE = 2.0
"""Seconds before anything is told."""
REWRITTEN, REPEATED = 0.2, 10.0
"""Seconds between two reports: on a terminal, in one line; elsewhere, each in a line of its own."""


class Progress:
    """Tells how far the fits made in a block have come; a context manager.

    Parameters
    ----------
    quiet : bool, default=False
        Whether to tell nothing.
    verbose : bool, default=False
        Whether to tell the end of every start and run, at once.
    keep_best : bool, default=False
        Whether the first Ctrl-C lets the running fit end with the values reached. A second one
        interrupts, as the first does without.
    stream : text file, default=None
        None: stderr.
    clock : callable () -> seconds

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C was pressed, and the best so far is to be kept.
    """

    def __init__(
        self, *, quiet=False, verbose=False, keep_best=False, stream=None, clock=time.monotonic
    ):
        self.quiet, self.verbose, self.keep_best = quiet, verbose, keep_best
        self.stream = sys.stderr if stream is None else stream
        self.pace = Pace(PATIENCE, self._wait, clock)
        self.stage, self.step = "", None
        self.interrupted, self._open, self._former = False, False, None

    def __enter__(self):
        self._listening = listening(self.hear)
        self._listening.__enter__()
        if self.keep_best and threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *error):
        if self._former is not None:
            signal.signal(signal.SIGINT, self._former)
        self._listening.__exit__(*error)
        self.begin("")
        self._wipe()

    def begin(self, stage):
        """Say what is fitted next.

        Parameters
        ----------
        stage : str
            Such as "K = 3 of 1-6".
        """
        self._end_of_step()
        self.stage, self.step = stage, None

    def hear(self, step):
        """Take in a `Step` of a fit; return True where it is to end.

        Parameters
        ----------
        step : Step

        Returns
        -------
        bool
        """
        if self.step is not None and self.step[:3] != step[:3]:
            self._end_of_step()
        self.step = step
        if not (self.quiet or self.verbose):
            self._tell_now_and_then()
        return self.interrupted

    def _tell_now_and_then(self):
        """Tell where the fit is, if it is long since."""
        if not self.pace.due():
            return
        text = f"{self.stage}: {place(self.step)} ({self._elapsed()})"
        if self.stream.isatty():
            text = text[: shutil.get_terminal_size().columns - 1]
            self.stream.write(f"\r\x1b[K{text}")
            self._open = True
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def _end_of_step(self):
        """With `verbose`, tell how a start or a run ended."""
        if self.step is not None and self.verbose:
            made, objective = self.step.iteration, self.step.objective
            self.stream.write(
                f"{self.stage}: {climb_of(self.step)}: objective {objective:.2f} after {made}"
                f" iteration{'s' * (made != 1)} ({self._elapsed()})\n"
            )
            self.stream.flush()

    def _wait(self, elapsed):
        """Return the seconds between two reports, a float."""
        return REWRITTEN if self.stream.isatty() else REPEATED

    def _elapsed(self):
        """Return the time since the beginning, a str."""
        return duration(self.pace.elapsed())

    def _wipe(self):
        """Empty the line that was rewritten."""
        if self._open:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self._open = False

    def _interrupt(self, number, frame):
        """Take the first Ctrl-C as the wish to end, and a second one as it is meant."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self._wipe()
        if not self.quiet:
            self.stream.write("interrupted: ending with the best fit so far\n")
            self.stream.flush()
