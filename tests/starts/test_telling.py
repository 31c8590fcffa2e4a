"""What `verbose=1` tells of a fit that takes a while."""

import re

import numpy as np
import pytest

from classic_moe import DeepMixtureOfExpertsRegressor, MixtureOfExpertsRegressor
from classic_moe.model_selection import ExpertCountSearch
from classic_moe.starts import telling
from classic_moe.starts.listening import Step, listening

pytestmark = pytest.mark.weak_penalties


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def told(*moments):
    """The lines told of steps at some moments, (seconds, kind, number, of, iteration) each."""
    said, clock = [], Clock()
    lines = telling.Lines(said.append, clock=clock)
    for seconds, *step in moments:
        clock.now = seconds
        lines.hear(Step(*step, -12.5))
    return said


def test_nothing_is_told_before_two_seconds_and_less_often_the_longer_it_takes():
    every = [(t / 10, "run", 1, 1, t) for t in range(1, 1000)]
    assert told(*every[:19]) == []
    said = told(*every)
    assert said[0] == "run 1 of 1, iteration 20: objective -12.5 (2 s)"
    times = [int(line.split("(")[1].split(" s")[0]) for line in said if " min " not in line]
    gaps = np.diff(times)
    assert gaps[0] == 2 and 9 <= gaps[-1] <= 11 and (np.diff(gaps) >= -1).all()
    assert "(1 min " in said[-1]


def test_the_time_of_other_starts_comes_from_those_before():
    first, third = (0.5, "start", 1, 10, 1), (6.5, "start", 3, 10, 4)
    assert told(first, third) == [
        "start 3 of 10, iteration 4: objective -12.5"
        " (6 s; the other 7 starts about 21 s, if all are needed)"
    ]
    assert "about" not in told((6.5, "start", 3, 10, 4))[0]  # nobody knows when they began
    assert "about" not in told(first, (6.5, "hop", 3, 10, 4))[0]
    assert "about" not in told((0.5, "start", 1, 2, 1), (6.5, "start", 2, 2, 4))[0]


@pytest.fixture
def impatient(monkeypatch):
    """Everything is told at once."""
    monkeypatch.setattr(telling, "PATIENCE", -1.0)
    monkeypatch.setattr(telling, "SHARE", -1.0)


LINE = re.compile(r"(start|hop|run) \d+ of \d+, iteration \d+: objective -?[\d.e+]+ \(\d.*\)")


@pytest.mark.filterwarnings("ignore")
def test_verbose_tells_of_starts_and_of_the_last_climb(impatient, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = abs(X[:, 0]) + 0.3 * rng.normal(size=300)
    options = dict(n_init=3, random_state=0)
    quiet = MixtureOfExpertsRegressor(2, **options).fit(X, y)
    assert capsys.readouterr().out == ""
    heard = []
    with listening(lambda step: heard.append(step[0]) and None):
        loud = MixtureOfExpertsRegressor(2, verbose=1, **options).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    np.testing.assert_array_equal(loud.lower_bounds_, quiet.lower_bounds_)
    kinds = {match[1] for line in lines if (match := LINE.fullmatch(line))}
    assert {"start", "run"} <= kinds and kinds <= {*heard}
    assert re.match(r"converged after \d+ iterations: objective", lines[-1])


@pytest.mark.filterwarnings("ignore")
def test_searches_and_deep_mixtures_tell_too(impatient, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 1))
    y = abs(X[:, 0]) + 0.3 * rng.normal(size=100)
    ExpertCountSearch(MixtureOfExpertsRegressor(n_init=1), (1, 2), verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert any(LINE.fullmatch(line) for line in lines)
    assert [line for line in lines if not LINE.fullmatch(line)][-1].startswith("n_experts=")
    DeepMixtureOfExpertsRegressor((2, 2), max_iter=3, random_state=0, verbose=1).fit(X, y)
    assert any(map(LINE.fullmatch, capsys.readouterr().out.splitlines()))
