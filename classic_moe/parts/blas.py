"""One BLAS thread while fits run: small solves are slower on several, by far.

Most BLAS libraries have one number of threads for the whole process, and fits may overlap in
threads or within each other. The first fit to begin sets it to one and remembers what it found; the
last to end gives that back. Libraries on OpenMP have a number for every thread, which each thread
sets and gives back for itself. A process that is forked meanwhile gives back what only other
threads' fits had taken.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading

from threadpoolctl import ThreadpoolController


@functools.cache
def _libraries():
    """Return the BLAS libraries of this process; to look for them takes milliseconds."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


class Holders:
    """Who needs BLAS to use one thread: the limit lasts as long as there is anybody.

    Parameters
    ----------
    libraries : callable () -> list of library controllers of threadpoolctl
    """

    def __init__(self, libraries=_libraries):
        self.libraries, self.lock = libraries, threading.RLock()
        self.found, self.depth = [], {}  # of the process; of threads: (contexts, found)

    def enter(self):
        """Count the present thread in."""
        me = threading.get_ident()
        with self.lock:
            if not self.depth:
                self.found = _limited(own for own in self.libraries() if not _is_per_thread(own))
            if me not in self.depth:
                its = _limited(own for own in self.libraries() if _is_per_thread(own))
                self.depth[me] = 0, its
            contexts, its = self.depth[me]
            self.depth[me] = contexts + 1, its

    def leave(self):
        """Count the present thread out; the last one gives back what was found."""
        me = threading.get_ident()
        with self.lock:
            contexts, its = self.depth[me]
            self.depth[me] = contexts - 1, its
            if contexts == 1:
                del self.depth[me]
                _give_back(its)
            self._end_if_alone()

    def after_fork(self):
        """Count out, in a child process, all threads but the one that forked: they are gone."""
        self.lock = threading.RLock()
        self.depth = {me: own for me, own in self.depth.items() if me == threading.get_ident()}
        self._end_if_alone()

    def _end_if_alone(self):
        if not self.depth:
            _give_back(self.found)
            self.found = []


def _is_per_thread(library):
    """Return whether every thread has a number of its own."""
    return library.internal_api == "openblas" and library.threading_layer == "openmp"


def _limited(libraries):
    """Set libraries to one thread; return what they had, pairs of library and number."""
    found = [(library, library.num_threads) for library in libraries]
    _give_back((library, 1) for library, _ in found)
    return found


def _give_back(found):
    """Set libraries to so many threads.

    threadpoolctl lets one thread alone set the number of a process, and others ask in vain. Whoever
    holds that right loses it here, and takes it again when it sets the number the next time.
    """
    for library, number in found:
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)


def one_blas_thread_here(libraries=_libraries):
    """Set BLAS to one thread for the present thread, which works for a fit and ends with it."""
    _limited(own for own in libraries() if _is_per_thread(own))


_holders = Holders()
if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(
        before=lambda: _holders.lock.acquire(),
        after_in_parent=lambda: _holders.lock.release(),
        after_in_child=_holders.after_fork,
    )


@contextlib.contextmanager
def one_blas_thread():
    """Return a context in which BLAS uses one thread.

    Examples
    --------
    >>> from classic_moe.parts.blas import one_blas_thread
    >>> with one_blas_thread(), one_blas_thread():
    ...     pass
    """
    _holders.enter()
    try:
        yield
    finally:
        _holders.leave()
