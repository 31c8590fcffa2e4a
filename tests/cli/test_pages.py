"""The commands that the README and the page on the command line show are run."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from classic_moe.cli import main

ROOT = Path(__file__).parents[2]


def commands(page):
    """The arguments of every command that a page shows, in order."""
    lines = re.findall(
        r"^    (?:python -m classic_moe|classic-moe) (.*)$",
        (ROOT / page).read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A table for every page, and new rows of it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    n = 90
    x = rng.uniform(0, 10, n).round(2)
    pd.DataFrame({"x": x, "y": (abs(x - 5) + rng.normal(scale=0.3, size=n)).round(3)}).to_csv(
        "data.csv", index=False
    )
    patient = np.repeat(np.arange(n // 3), 3)
    age = rng.uniform(20, 70, n).round()
    years = rng.uniform(1, 5, n).round(1)
    yes = rng.binomial(12, 0.3, n)
    patients = pd.DataFrame(
        {
            "patient": [f"p{number}" for number in patient],
            "visit": pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
            "age": np.where(rng.uniform(size=n) < 0.1, np.nan, age),
            "sex": np.where(patient % 2, "female", "male"),
            "dose": rng.choice([1.0, 2.0, -999.0], n, p=[0.5, 0.4, 0.1]),
            "effect": (abs(age - 45) + rng.normal(size=n)).round(2),
            "relapses": rng.poisson(years),
            "log_years": np.log(years).round(4),
            "yes": yes,
            "no": 12 - yes,
        }
    )
    patients.to_csv("patients.csv", index=False)
    patients.head(20).drop(columns="effect").to_csv("new.csv", index=False)
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tables, capsys):
    shown = commands("README.md")
    assert [argv[0] for argv in shown] == ["fit", "predict"]
    fit, predict = shown
    assert main(fit) == 0, capsys.readouterr().err
    pd.read_csv("data.csv").drop(columns="y").to_csv("new.csv")
    assert main(predict) == 0, capsys.readouterr().err
    assert (tables / "fit.png").read_bytes().startswith(b"\x89PNG")
    predicted = pd.read_csv("predictions.csv")
    assert len(predicted) == 90
    assert (predicted["quantile 0.05"] < predicted["quantile 0.95"]).all()


@pytest.mark.slow
def test_the_commands_of_the_page_run(tables, capsys):
    shown = commands("docs/command_line.md")
    assert {argv[0] for argv in shown} == {"demo", "info", "fit", "predict"}
    for argv in shown:
        if "--help" in argv:
            continue
        if argv[0] == "fit" and "--n-experts" not in argv:  # the default range, with fewer starts
            argv = [*argv, "--n-init", "2"]
        assert main(argv) == 0, (argv, capsys.readouterr().err)
    assert len(pd.read_csv("predictions.csv")) == 20


def test_every_option_of_a_page_is_one_of_the_command():
    from classic_moe.cli.arguments import parser

    actions = parser("p")._subparsers._group_actions[0].choices.values()
    known = {option for command in actions for option in command._option_string_actions}
    for page in ("README.md", "docs/command_line.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
        of_others = {"--fix"}
        assert named - of_others <= known, page
