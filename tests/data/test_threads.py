"""Threads: results in the order of the pieces, few pieces ahead, and nobody left behind."""

import threading
import time

import pytest

from classic_moe.data import threads as module
from classic_moe.data.threads import Threads


@pytest.mark.parametrize("n", [1, 3])
def test_results_come_in_the_order_of_the_pieces(n):
    def slow_at_first(i):
        time.sleep(0.02 * (i == 0))
        return i, threading.current_thread() is threading.main_thread()

    with Threads(n) as threads:
        found = list(threads.map(slow_at_first, range(20)))
    assert [i for i, _ in found] == list(range(20))
    assert {in_main for _, in_main in found} == {n == 1}


def test_few_pieces_are_ahead_of_the_one_asked_for():
    begun = []
    with Threads(2) as threads:
        results = threads.map(begun.append, range(100))
        next(results)
        assert len(begun) <= 6


def test_threads_end_with_the_outermost_block_even_by_an_error():
    before = threading.active_count()

    def fails(i):
        raise KeyError(i)

    with pytest.raises(KeyError), Threads(2) as threads:
        with threads:
            list(threads.map(abs, [1, 2]))
        assert threading.active_count() > before  # the inner block has ended none
        list(threads.map(fails, range(50)))
    assert threading.active_count() == before


def test_every_thread_limits_a_blas_whose_number_is_each_threads_own(monkeypatch):
    limited = []
    monkeypatch.setattr(
        module, "one_blas_thread_here", lambda: limited.append(threading.get_ident())
    )
    with Threads(2) as threads:
        used = set(threads.map(lambda _: threading.get_ident(), range(9)))
    assert used <= set(limited) and threading.get_ident() not in limited
