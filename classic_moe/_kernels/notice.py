"""Says, once a process, that kernels are being compiled, where that takes more than a second."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time

from numba.core import event

PATIENCE = 1.0
"""Seconds of compiling, all together, before anything is said."""
PACKAGE = __name__.partition(".")[0]
SAID = (
    "classic_moe: compiling its passes for this machine, which takes some seconds to half a minute,"
    " once; later runs load them from the cache."
)
UNCACHED = (
    "classic_moe: compiling its passes, which takes some seconds to half a minute in every process,"
    " for there is no cache: set NUMBA_CACHE_DIR to a folder that can be written."
)


class Notice(event.Listener):
    """Hears of numba's compilations; what is loaded from the cache is none.

    Parameters
    ----------
    clock : callable () -> float
        Seconds.
    timer : callable (seconds, function, arguments) -> Timer

    Attributes
    ----------
    said : bool
        Whether it has been said. Processes that others have started say nothing.
    """

    def __init__(self, clock=time.monotonic, timer=threading.Timer):
        self.clock, self.timer = clock, timer
        self.said = multiprocessing.current_process().name != "MainProcess"
        self._depth, self._spent, self._began, self._pending = 0, 0.0, 0.0, None
        self._lock = threading.Lock()

    def on_start(self, event):
        """Take in that a compilation begins, maybe within another."""
        if not self._is_ours(event):
            return
        with self._lock:
            self._depth += 1
            if self._depth > 1 or self.said:
                return
            self._began = self.clock()
            is_cached = event.data["dispatcher"].stats.cache_path is not None
            wait = max(0.0, PATIENCE - self._spent)
            self._pending = self.timer(wait, self._say, [SAID if is_cached else UNCACHED])
            self._pending.daemon = True
            self._pending.start()

    def on_end(self, event):
        """Take in that it ends."""
        if not self._is_ours(event):
            return
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._pending is not None:
                self._pending.cancel()
                self._pending = None
                self._spent += self.clock() - self._began

    def _is_ours(self, event):
        """Return whether an event is of a function of this package."""
        return event.data["dispatcher"].py_func.__module__.partition(".")[0] == PACKAGE

    def _say(self, words):
        """Say it, unless it has been said."""
        with self._lock:
            first, self.said = not self.said, True
        if first:
            logging.getLogger(PACKAGE).warning(words)


def install():
    """Have a `Notice` hear of all compilations of this process."""
    event.register("numba:compile", Notice())
