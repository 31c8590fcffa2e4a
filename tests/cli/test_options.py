"""Every option works with every other, or is refused in one sentence."""

import itertools
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest

from classic_moe.cli import main
from classic_moe.cli.arguments import EXPERTS, GATES

CHOICES = {
    "--expert": [*(None,) * 12, *EXPERTS],
    "--gate": [*("softmax",) * 3, *GATES],
    "--target": ["y", "count", "part", "kind", "two", "y,part", "yes,no"],
    "--missing": [*(None,) * 4, "impute", "drop", "error"],
    "--groups": [*(None,) * 4, "patient", "kind"],
    "--weights": [None, None, "weight"],
    "--offset": [*(None,) * 5, "log_time"],
    "--gate-features": [*(None,) * 4, "age", "sex", "age,sex"],
    "--expert-features": [*(None,) * 4, "age", "sex,dose"],
    "--criterion": [*(None,) * 4, "bic", "icl", "aic", "cv"],
    "--cv": [*(None,) * 5, "3"],
    "--n-experts": ["1", "2", "1-2", "4"],
    "--keep": [None, "age"],
    "--feature": [None, "age", "sex"],
    "--task": [*(None,) * 6, "auto", "regression", "classification"],
    "--blocks": [*(None,) * 5, "20"],
    "--report": [*(None,) * 9, "page.html"],
}
FLAGS = ["--full", "--verbose", "--quiet", "--keep-best"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("options")
    rng = np.random.default_rng(0)
    n = 90
    age, sex = rng.uniform(20, 70, n).round(1), np.repeat(rng.choice(["f", "m"], n // 3), 3)
    y = abs(age - 45) + 3 * (sex == "m") + rng.normal(size=n)
    yes = rng.binomial(12, 0.3, n)
    table = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(n // 3), 3),
            "age": np.where(rng.uniform(size=n) < 0.1, np.nan, age),
            "sex": sex,
            "dose": rng.normal(size=n).round(2),
            "y": y.round(2),
            "count": rng.poisson(1 + abs(age - 45) / 10),
            "part": rng.gamma(2.0, 1 + abs(age - 45) / 10).round(3),
            "kind": np.where(age < 40, "a", np.where(y > 15, "b", "c")),
            "two": np.where(y > 12, "high", "low"),
            "yes": yes,
            "no": 12 - yes,
            "weight": rng.integers(1, 4, n),
            "log_time": rng.uniform(-0.5, 0.5, n).round(3),
        }
    )
    table.to_csv(path / "data.csv", index=False)
    return path


def drawn(seed):
    """Some options, and what may be told of them."""
    rng = np.random.default_rng(seed)
    chosen = {option: rng.choice(np.array(values, object)) for option, values in CHOICES.items()}
    wanted = [name for name in chosen["--target"].split(",")]
    if "yes" in wanted and rng.uniform() < 0.7:
        chosen["--expert"] = "binomial"
    if "count" in wanted and rng.uniform() < 0.7:
        chosen["--expert"] = rng.choice(["poisson", "negative_binomial"])
    used = {*wanted, chosen["--groups"], chosen["--weights"], chosen["--offset"]}
    drop = [
        n for n in "patient y count part kind two yes no weight log_time".split() if n not in used
    ]
    flags = [flag for flag in FLAGS if rng.uniform() < 0.2]
    options = [part for option, value in chosen.items() if value for part in (option, value)]
    return [*options, *flags, "--force", "--drop", ",".join(drop), "--n-init", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_any_options_together_do_their_work_or_say_why_not(folder, capsys, monkeypatch, seed):
    monkeypatch.chdir(folder)
    argv = drawn(seed)
    status = main(["fit", "data.csv", *argv, "--out", f"{seed}.joblib", "--plot", f"{seed}.png"])
    err = capsys.readouterr().err
    said = [line for line in err.splitlines() if line.startswith("python -m classic_moe: ")]
    assert status in (0, 2) and len(said) == (status == 2), err
    written = [(folder / f"{seed}{suffix}").exists() for suffix in (".joblib", ".png")]
    assert written == [status == 0] * 2
    if status == 0:
        pipeline = joblib.load(folder / f"{seed}.joblib")
        with warnings.catch_warnings():  # of missing cells, after --missing drop
            warnings.simplefilter("ignore", UserWarning)
            assert len(pipeline.predict(pd.read_csv("data.csv"))) == 90
        argv = ["data.csv", "--gate-probabilities", "--responsibilities", "--out", f"{seed}.csv"]
        assert main(["predict", f"{seed}.joblib", *argv]) == 0, capsys.readouterr().err
        assert len(pd.read_csv(f"{seed}.csv")) == 90


def test_the_options_drawn_are_those_of_the_command():
    from classic_moe.cli.arguments import parser

    fit = parser("p")._subparsers._group_actions[0].choices["fit"]
    others = {"-h", "--help", "--separator", "--decimal", "--missing-code", "--encoding"}
    others |= {"--drop", "--n-init", "--seed", "--force", "--out", "--plot"}
    assert {*CHOICES, *FLAGS} | others == set(fit._option_string_actions)
    assert len(set(itertools.chain(*(map(str, drawn(seed)) for seed in range(60))))) > 60
