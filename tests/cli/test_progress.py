"""What a long fit tells on stderr, and what Ctrl-C does to it."""

import io
import os
import re
import signal

import joblib
import numpy as np
import pandas as pd
import pytest

from classic_moe.cli import main
from classic_moe.cli.progress import Progress
from classic_moe.starts.listening import Step


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def told(*moments, terminal=False, **options):
    """What is told by steps at some moments, (seconds, kind, number, iteration) each."""
    screen, clock = Screen(terminal), Clock()
    with Progress(stream=screen, clock=clock, **options) as progress:
        progress.begin("K = 3 of 1-6")
        for seconds, kind, number, iteration in moments:
            clock.now = seconds
            assert progress.hear(Step(kind, number, 10, iteration, -12.5)) is False
    return screen.getvalue()


def test_nothing_is_told_of_a_short_fit():
    assert told((0.1, "start", 1, 1), (1.9, "start", 9, 1)) == ""
    assert told((0.1, "start", 1, 1), (1.9, "start", 9, 1), terminal=True) == ""


def test_where_a_long_fit_is_and_how_long_it_has_taken():
    text = told((1, "start", 1, 1), (2, "start", 4, 7), (11.9, "start", 5, 1), (72.4, "run", 1, 30))
    assert text.splitlines() == [
        "K = 3 of 1-6: start 4 of 10, iteration 7 (2 s)",
        "K = 3 of 1-6: run 1 of 10, iteration 30 (1 min 12 s)",
    ]
    assert told((3725, "run", 1, 30)).endswith("(1:02:05)\n")


def test_a_terminal_shows_one_line_that_is_gone_in_the_end(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = told((2, "start", 1, 1), (2.1, "start", 1, 2), (2.3, "start", 1, 3), terminal=True)
    first, second, last = text.split("\r\x1b[K")[1:]
    assert first == "K = 3 of 1-6: start 1 of 10, iteration 1 (2 s)"[:39]
    assert second == "K = 3 of 1-6: start 1 of 10, iteration 3 (2 s)"[:39]
    assert last == "" and "\n" not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(terminal):
    assert told((100, "run", 1, 9), terminal=terminal, quiet=True) == ""


def test_verbose_tells_the_end_of_every_start_at_once():
    text = told((0.1, "start", 1, 1), (0.2, "start", 1, 2), (0.3, "start", 2, 1), verbose=True)
    assert text.splitlines() == [
        "K = 3 of 1-6: start 1 of 10: objective -12.50 after 2 iterations (0 s)",
        "K = 3 of 1-6: start 2 of 10: objective -12.50 after 1 iteration (0 s)",
    ]


def test_the_first_interrupt_ends_the_fit_and_the_second_all():
    before = signal.getsignal(signal.SIGINT)
    step = Step("run", 1, 1, 1, 0.0)
    screen = Screen(terminal=True)
    with pytest.raises(KeyboardInterrupt), Progress(stream=screen, keep_best=True) as progress:
        assert progress.hear(step) is False
        os.kill(os.getpid(), signal.SIGINT)
        assert progress.interrupted and progress.hear(step) is True
        os.kill(os.getpid(), signal.SIGINT)
    assert screen.getvalue().count("interrupted: ending with the best fit so far\n") == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_without_the_wish_to_keep_the_best_an_interrupt_is_one():
    with pytest.raises(KeyboardInterrupt), Progress(stream=Screen(False)):
        os.kill(os.getpid(), signal.SIGINT)


# -- in the command --------------------------------------------------------------------------------

FIT = ("fit", "data.csv", "--target", "y", "--n-experts", "1-4", "--n-init", "3")


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, 80).round(2)
    y = abs(x - 5) + rng.normal(scale=0.3, size=80)
    pd.DataFrame({"x": x, "y": y.round(3)}).to_csv("data.csv", index=False)
    return tmp_path


@pytest.fixture
def patient(monkeypatch):
    """Everything is told at once."""
    monkeypatch.setattr("classic_moe.cli.progress.PATIENCE", -1.0)
    monkeypatch.setattr("classic_moe.cli.progress.REPEATED", -1.0)


@pytest.mark.usefixtures("table", "patient")
def test_every_number_of_experts_and_every_start_is_told(capsys):
    assert main([*FIT, "--cv", "2"]) == 0
    told = capsys.readouterr().err
    places = re.findall(r"^K = (\d) of 1-4(?:, fold (\d) of 2)?: (\w+) (\d)", told, re.MULTILINE)
    assert {K for K, *_ in places} == set("1234")
    for fold in ("", "1", "2"):
        starts = {number for K, *place, number in places if (K, place) == ("3", [fold, "start"])}
        assert starts == set("123"), fold


@pytest.mark.usefixtures("table", "patient")
def test_a_quiet_command_tells_nothing_on_the_way(capsys):
    assert main([*FIT, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def interrupted(monkeypatch, *, K, kind, iteration=1):
    """Press Ctrl-C once, in the middle of a fit."""
    hear, pressed = Progress.hear, []

    def press(self, step):
        here = self.stage.startswith(f"K = {K}") and step.kind == kind
        if here and step.iteration >= iteration and not pressed:
            pressed.append(step)
            os.kill(os.getpid(), signal.SIGINT)
        return hear(self, step)

    monkeypatch.setattr(Progress, "hear", press)
    return pressed


@pytest.mark.parametrize(("K", "kind"), [(1, "run"), (2, "start"), (3, "run")])
def test_an_interrupt_writes_nothing(table, capsys, monkeypatch, K, kind):
    assert not interrupted(monkeypatch, K=K, kind=kind)
    assert main([*FIT, "--out", "m.joblib", "--plot", "p.png"]) == 130
    assert capsys.readouterr().err.endswith("error: interrupted\n")
    assert os.listdir() == ["data.csv"]


@pytest.mark.parametrize(("K", "kind"), [(1, "run"), (3, "start"), (3, "run")])
def test_the_best_so_far_is_told_saved_and_drawn(table, capsys, monkeypatch, K, kind):
    pressed = interrupted(monkeypatch, K=K, kind=kind)
    argv = [*FIT, "--keep-best", "--out", "m.joblib", "--plot", "p.png"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert "interrupted: ending with the best fit so far" in err and len(pressed) == 1
    assert f"note: K = {K} was interrupted on the way; this is the best so far" in out
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines if line[:1] and line[0].isdigit()] == list("1234"[:K])
    model = joblib.load("m.joblib")[-1]
    assert model.n_experts_ == min(K, 2)  # two lines are what the table holds
    assert (table / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("table")
def test_a_fit_without_its_folds_is_chosen_only_where_there_is_no_other(capsys, monkeypatch):
    interrupted(monkeypatch, K="3 of 1-4, fold 2", kind="run")
    assert main([*FIT, "--keep-best", "--criterion", "cv", "--cv", "2"]) == 0
    out = capsys.readouterr().out
    row = next(line.split() for line in out.splitlines() if line.startswith("3 "))
    assert row[3] == "-"
    assert "held-out log-likelihood is highest for K = 2." in out


@pytest.mark.usefixtures("table")
def test_after_the_search_an_interrupt_ends_all(capsys, monkeypatch):
    def describe(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("classic_moe.cli.fit.describe", describe)
    assert main([*FIT[:-4], "--n-experts", "1", "--keep-best", "--out", "m.joblib"]) == 130
    assert os.listdir() == ["data.csv"]
    capsys.readouterr()
