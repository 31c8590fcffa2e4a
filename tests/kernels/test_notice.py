"""That kernels are being compiled is said once, and only where they are."""

import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from classic_moe._kernels import notice

MADE = []


class Later:
    """A timer that goes off when it is told to."""

    def __init__(self, seconds, function, arguments):
        self.seconds, self.call, self.cancelled = seconds, lambda: function(*arguments), False
        MADE.append(self)

    def start(self):
        pass

    def cancel(self):
        self.cancelled = True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def of(module, cache="/cache"):
    """What numba tells of a compilation."""
    stats = SimpleNamespace(cache_path=cache)
    dispatcher = SimpleNamespace(py_func=SimpleNamespace(__module__=module), stats=stats)
    return SimpleNamespace(data={"dispatcher": dispatcher})


OURS, OTHERS = of("classic_moe._kernels.compiled"), of("classic_moeba.compiled")


@pytest.fixture
def heard():
    MADE.clear()
    clock = Clock()
    found = notice.Notice(clock, Later)
    found.said = False  # whatever process the tests run in
    return found, clock


def test_the_second_is_of_all_compilations_together(heard, caplog):
    said, clock = heard
    for _ in range(3):
        said.on_start(OURS)
        said.on_start(OURS)  # one that the first calls
        clock.now += 0.3
        said.on_end(OURS)
        said.on_end(OURS)
        clock.now += 5.0  # of work
    assert [one.cancelled for one in MADE] == [True] * 3
    assert [round(one.seconds, 9) for one in MADE] == [1.0, 0.7, 0.4]
    said.on_start(OTHERS)
    said.on_end(OTHERS)
    assert len(MADE) == 3 and not caplog.records


def test_it_is_said_once_by_a_logger_that_can_be_silenced(heard, caplog):
    said, _ = heard
    said.on_start(OURS)
    MADE[0].call()
    MADE[0].call()
    said.on_end(OURS)
    said.on_start(OURS)
    assert len(MADE) == 1
    (record,) = caplog.records
    assert record.name == "classic_moe" and record.levelno == logging.WARNING
    assert "once; later runs load them from the cache" in record.getMessage()


def test_without_a_cache_it_says_what_to_do(heard, caplog):
    said, _ = heard
    said.on_start(of("classic_moe._kernels.compiled", cache=None))
    MADE[0].call()
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in caplog.text


SMALL = """
import numpy as np
from classic_moe._kernels import notice
notice.PATIENCE = 0.02
from classic_moe._kernels import compiled
for _ in range(3):
    compiled.exp_each(np.zeros(3), np.zeros(3))
"""


@pytest.mark.slow
def test_a_compilation_is_told_and_a_load_from_the_cache_is_not(tmp_path):
    given = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    given.pop("CLASSIC_MOE_NO_CACHE", None)
    told = []
    for _ in range(2):
        run = [sys.executable, "-W", "error", "-c", SMALL]
        made = subprocess.run(run, env=given, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        told.append(made.stderr.count("compiling its passes"))
    assert told == [1, 0]


def test_a_worker_says_nothing():
    code = """
import multiprocessing
multiprocessing.current_process().name = "LokyProcess-1"
from classic_moe._kernels import notice
print(notice.Notice().said)
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout == "True\n"
