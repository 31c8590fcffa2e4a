"""BLAS uses one thread while fits run, and what it used before when the last of them has ended."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_info, threadpool_limits

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import EstimatorExpert
from classic_moe.parts.blas import Holders, one_blas_thread, one_blas_thread_here


def threads():
    return {own["num_threads"] for own in threadpool_info() if own["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS cannot be given two threads")
        yield
        assert threads() == {2}  # whatever a test has done


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 2))
    return X, np.abs(X[:, 0]) + 0.1 * rng.standard_normal(80)


def test_contexts_within_contexts():
    with one_blas_thread():
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {2}
    with pytest.raises(KeyError), one_blas_thread(), one_blas_thread():
        raise KeyError
    assert threads() == {2}


def test_what_is_found_is_given_back_whatever_it_was():
    with threadpool_limits(1, user_api="blas"):
        with one_blas_thread():
            pass
        assert threads() == {1}


def test_fits_that_overlap_in_threads(rows):
    """The one that began first ends first: it must not give back what the other still needs."""
    second_runs, first_ended, seen = threading.Event(), threading.Event(), []

    def first(*_):
        assert second_runs.wait(60)
        return True

    def second(*_):
        second_runs.set()
        assert first_ended.wait(60)
        seen.append(threads())
        return True

    fits = [
        threading.Thread(
            target=MixtureOfExpertsRegressor(2, n_init=1).fit,
            args=rows,
            kwargs=dict(callback=callback),
        )
        for callback in (first, second)
    ]
    for fit in fits:
        fit.start()
    fits[0].join(60)
    first_ended.set()
    fits[1].join(60)
    assert seen == [{1}] and threads() == {2}


def test_fits_that_fail_or_hold_other_fits(rows):
    X, y = rows

    def interrupt(*_):
        assert threads() == {1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MixtureOfExpertsRegressor(2).fit(X, y, callback=interrupt)
    assert threads() == {2}
    with pytest.raises(ValueError, match="n_experts=0"):
        MixtureOfExpertsRegressor(0).fit(X, y)
    assert threads() == {2}

    class Watched(LinearRegression):
        def fit(self, X, y, sample_weight=None):
            MixtureOfExpertsRegressor(1).fit(X, y)
            assert threads() == {1}
            return super().fit(X, y, sample_weight)

    expert = EstimatorExpert(Watched())
    MixtureOfExpertsRegressor(2, expert=expert, n_init=1, max_iter=2, tol=10.0).fit(X, y)
    assert threads() == {2}


class Library:
    """A BLAS on OpenMP: every thread has its own number of threads."""

    internal_api, threading_layer = "openblas", "openmp"

    def __init__(self):
        self.own = threading.local()

    @property
    def num_threads(self):
        return getattr(self.own, "number", 4)

    def set_num_threads(self, number):
        self.own.number = number


def test_each_thread_gives_back_its_own_number_where_it_has_one():
    library, seen = Library(), []
    holders = Holders(lambda: [library])

    def other():
        holders.enter()
        seen.append(library.num_threads)
        holders.leave()
        seen.append(library.num_threads)

    library.set_num_threads(3)
    holders.enter()
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert library.num_threads == 1 and seen == [1, 4]
    holders.leave()
    assert library.num_threads == 3


def test_a_thread_that_works_for_a_fit_limits_its_own_number_alone():
    library, seen = Library(), []

    def worker():
        one_blas_thread_here(lambda: [library])
        seen.append(library.num_threads)

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert seen == [1] and library.num_threads == 4


FORK = """
import os, threading, warnings
import scipy.linalg  # BLAS is there before its threads are limited
from threadpoolctl import threadpool_info, threadpool_limits
from classic_moe.parts.blas import one_blas_thread

def threads():
    return {own["num_threads"] for own in threadpool_info() if own["user_api"] == "blas"}

def child(holds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is the point
        pid = os.fork()
    if pid == 0:
        ok = threads() == ({1} if holds else {2})
        with one_blas_thread():
            ok = ok and threads() == {1}
        os._exit(0 if ok else 3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def hold():
    with one_blas_thread():
        holding.set()
        done.wait(60)

with threadpool_limits(2, user_api="blas"):
    holding, done = threading.Event(), threading.Event()
    other = threading.Thread(target=hold)
    other.start()
    holding.wait(60)
    assert threads() == {1}
    assert child(holds=False) == 0, "the other thread's limit is left in the child"
    with one_blas_thread():
        assert child(holds=True) == 0, "the limit of the thread that forked is gone"
    done.set()
    other.join()
    assert threads() == {2}, threads()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_process_keeps_the_limit_of_its_own_thread_alone():
    run = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
