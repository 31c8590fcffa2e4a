"""`Threads`: one function on many pieces, whose results come in the order of the pieces."""

from __future__ import annotations

import collections
from concurrent.futures import ThreadPoolExecutor

from ..parts.blas import one_blas_thread_here


class Threads:
    """Threads that share work; as a context manager, they live as long as the outermost block.

    Parameters
    ----------
    n : int
        How many; one is the caller's own.
    """

    def __init__(self, n):
        self.n, self._pool, self._entered = n, None, 0

    def __enter__(self) -> Threads:
        self._entered += 1
        if self.n > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.n, initializer=one_blas_thread_here)
        return self

    def __exit__(self, *error):
        self._entered -= 1  # a `with` inside another leaves the threads to the outer one
        if self._pool is not None and not self._entered:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def map(self, function, pieces):
        """Yield function(piece) in the order of the pieces.

        Few are ahead of the one asked for: each may be large, a Gram matrix of many columns.
        """
        if self._pool is None:
            yield from map(function, pieces)
            return
        waiting = collections.deque()
        for piece in pieces:
            waiting.append(self._pool.submit(function, piece))
            if len(waiting) > 2 * self.n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
