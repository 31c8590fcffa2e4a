"""The command line does a whole job, and refuses bad input in one line with exit status 2."""

import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.cli import main, script
from classic_moe.cli.arguments import EXPERTS, GATES
from classic_moe.parts.registry import KINDS

PNG = b"\x89PNG\r\n\x1a\n"
FEATURES = ["age", "sex", "dose"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table: two regimes in age, a text column, two targets."""
    path = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    n = 150
    age, dose = rng.uniform(20, 70, n).round(1), rng.normal(size=n).round(3)
    sex = rng.choice(["f", "m"], n)
    y = np.where(age > 45, 50 - 0.4 * age, 10 + 0.5 * age) + 3 * (sex == "m") + rng.normal(size=n)
    ill = np.where(y + 2 * rng.normal(size=n) > 30, "yes", "no")
    table = pd.DataFrame({"age": age, "sex": sex, "dose": dose, "effect": y.round(3), "ill": ill})
    table.to_csv(path / "data.csv", index=False)
    return path


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("classic_moe.cli.progress.PATIENCE", np.inf)  # on machines of any speed


@pytest.fixture(scope="module")
def printed():
    """The output of a command that succeeds, run once."""
    known = {}

    def run(capsys, *argv):
        if argv not in known:
            assert main(argv) == 0
            out, err = capsys.readouterr()
            assert err == ""
            assert max(map(len, out.splitlines())) <= 100
            known[argv] = out
        return known[argv]

    return run


REGRESSION = (
    *("fit", "data.csv", "--target", "effect", "--drop", "ill", "--n-experts", "1-2"),
    *("--out", "effect.joblib", "--plot", "effect.png"),
)
CLASSES = (
    *("fit", "data.csv", "--target", "ill", "--drop", "effect", "--n-experts", "2"),
    *("--out", "ill.joblib", "--plot", "ill.svg", "--feature", "dose", "--seed", "3"),
)


# -- fit -----------------------------------------------------------------------------------------


def test_fit_chooses_by_bic_and_reports_in_the_units_of_the_table(printed, capsys):
    out = printed(capsys, *REGRESSION)
    assert "Target: effect (numeric: regression)" in out
    assert "BIC is lowest for K = 2" in out
    # The standard error of a slope is about .01 here.
    slopes = sorted(float(cell) for cell in rows_of(out, "age")[0])
    np.testing.assert_allclose(slopes, [-0.4, 0.5], atol=0.05)
    noise = [line.split()[2:] for line in out.splitlines() if line.startswith("noise (sd)")]
    # That of a standard deviation is about .08, of 75 rows.
    np.testing.assert_allclose([float(cell) for cell in noise[0]], 1, atol=0.2)
    assert "compared with the first of each: sex = f" in out
    assert "note: K = 2 is the largest number of experts that was tried" in out
    chosen = [line for line in out.splitlines() if line.endswith("<- chosen")]
    assert len(chosen) == 1 and chosen[0].startswith("2 ")


def rows_of(out, label):
    return [line.split()[1:] for line in out.splitlines() if line.split()[:1] == [label]]


def test_the_saved_pipeline_takes_the_raw_table(printed, capsys):
    printed(capsys, *REGRESSION)
    pipeline, table = joblib.load("effect.joblib"), pd.read_csv("data.csv")
    assert isinstance(pipeline[-1], MixtureOfExpertsRegressor)
    assert pipeline.score(table, table["effect"]) > 0.8
    array = table[FEATURES].to_numpy(dtype=object)
    np.testing.assert_array_equal(pipeline.predict(array), pipeline.predict(table))


def test_text_is_a_class_and_the_seed_and_options_reach_the_model(printed, capsys):
    out = printed(capsys, *CLASSES)
    assert "Target: ill (text: classification)" in out
    pipeline, table = joblib.load("ill.joblib"), pd.read_csv("data.csv")
    assert isinstance(pipeline[-1], MixtureOfExpertsClassifier)
    assert pipeline[-1].random_state == 3
    assert pipeline[-1].n_experts_ == 2
    assert set(pipeline.predict(table)) <= {"yes", "no"}
    assert pipeline.score(table, table["ill"]) > 0.7


def test_pictures_are_written(printed, capsys, folder):
    printed(capsys, *REGRESSION)
    printed(capsys, *CLASSES)
    assert (folder / "effect.png").read_bytes().startswith(PNG)
    svg = (folder / "ill.svg").read_text()
    assert "P(ill = yes)" in svg
    assert "dose" in svg


def test_expert_and_gate_can_be_chosen(capsys):
    argv = ["fit", "data.csv", "--target", "ill", "--drop", "effect", "--n-experts", "1"]
    assert main([*argv, "--expert", "logistic", "--gate", "constant", "--out", "l.joblib"]) == 0
    model = joblib.load("l.joblib")[-1]
    assert (model.expert, model.gate) == ("logistic", "constant")


@pytest.mark.slow
@pytest.mark.parametrize(
    "part, alias",
    [
        *(("gate", alias) for alias in ("constant", "tree", "least_squares", "gaussian")),
        *(("expert", alias) for alias in ("gaussian", "student_t", "laplace", "mlp", "gamma")),
    ],
)
def test_every_kind_of_part_is_reported(capsys, part, alias):
    argv = ["fit", "data.csv", "--target", "effect", "--drop", "ill", "--n-experts", "4"]
    assert main([*argv, f"--{part}", alias]) == 0
    out = capsys.readouterr().out
    assert "R² on these rows" in out
    assert ("The branch of experts" in out) == (alias == "tree")
    assert ("A Gaussian gate shares" in out) == (part == "gate" and alias == "gaussian")


def test_the_gates_of_a_tree_are_reported_in_the_units_of_the_table(capsys, folder):
    argv = ["fit", "data.csv", "--target", "effect", "--drop", "ill", "--n-experts", "4"]
    assert main([*argv, "--gate", "tree", "--full", "--out", "tree.joblib"]) == 0
    line = next(row for row in capsys.readouterr().out.splitlines() if "root, branch 0" in row)
    intercept, age = (float(cell) for cell in line.split()[-4:-2])  # then dose and sex
    root = joblib.load(folder / "tree.joblib")["model"].gate_.nodes_["root"]
    table = pd.read_csv(folder / "data.csv")
    # the numbers are printed to four digits, and the model is in the table's units itself
    assert age == pytest.approx(root.coef_[0, 0], rel=1e-3)
    assert table["age"].min() < -intercept / age < table["age"].max()


def test_classes_may_be_numbers(folder, capsys):
    table = pd.read_csv("data.csv").assign(ill=lambda t: (t["ill"] == "yes") + 1)
    table.to_csv("numbers.csv", index=False)
    argv = ["fit", "numbers.csv", "--target", "ill", "--drop", "effect", "--n-experts", "1"]
    assert main([*argv, "--out", "n.joblib"]) == 0
    assert "Target: ill (two values: classification)" in capsys.readouterr().out
    assert joblib.load("n.joblib").classes_.tolist() == [1, 2]


def test_warnings_of_the_chosen_fit_are_told_as_notes(capsys):
    pd.DataFrame({"x": np.arange(40), "y": np.arange(40) // 20 * 3}).to_csv("steps.csv")
    argv = ["fit", "steps.csv", "--target", "y", "--task", "regression", "--n-init", "2"]
    assert main([*argv, "--n-experts", "2"]) == 0
    out, err = capsys.readouterr()
    chosen = out.split("\nnote: The first column")[1].split("\nnote: ")[1]
    assert "xpert" in chosen
    assert "Warning" not in out + err


@pytest.mark.weak_penalties  # the evidence empties superfluous experts without a warning
def test_warnings_of_other_fits_are_told_by_verbose_alone(capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=40).round(2)
    pd.DataFrame({"x": x, "y": (x + rng.normal(size=40)).round(2)}).to_csv("line.csv", index=False)
    argv = ["fit", "line.csv", "--target", "y", "--n-experts", "1-8", "--n-init", "2"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "BIC is lowest for K = 1." in out
    told = re.search(r"note: the fits with K = ([\d, ]+) gave warnings too; --verbose shows", out)
    assert main([*argv, "--verbose"]) == 0
    out = capsys.readouterr().out
    assert "gave warnings too" not in out
    for K in told[1].split(", "):
        assert f"note: with K = {K}: " in out


def test_wide_tables_are_printed_in_parts(capsys):
    rng = np.random.default_rng(0)
    name = "a_column_with_quite_a_long_name_that_goes_on_and_on"
    table = pd.DataFrame({name: rng.normal(size=90), "y": rng.choice(list("abcdefgh"), 90)})
    table.to_csv("wide.csv", index=False)
    assert main(["fit", "wide.csv", "--target", "y", "--n-experts", "1", "--full"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100


def test_a_dropped_column_may_hold_anything(capsys):
    pd.read_csv("data.csv").assign(note=None).to_csv("gaps.csv", index=False, sep=";")
    argv = ["fit", "gaps.csv", "--target", "effect", "--drop", "note", "--drop", "ill"]
    assert main([*argv, "--n-experts", "1", "--out", "gaps.joblib"]) == 0
    assert "pd.read_csv('gaps.csv', sep=';')" in capsys.readouterr().out


def test_the_model_that_is_saved_is_in_the_units_of_the_table(printed, capsys):
    out = printed(capsys, *REGRESSION)
    model = joblib.load("effect.joblib")[-1]
    slopes = [view.coef_[0] for view in model.experts_]  # of age, the first numeric column
    np.testing.assert_allclose([float(cell) for cell in rows_of(out, "age")[0]], slopes, rtol=1e-3)
    assert "effect = " in model.equations()  # and knows what the target is called


def test_an_interrupt_ends_without_a_traceback(capsys, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("classic_moe.cli.fit.read_table", interrupt)
    assert main(["fit", "data.csv", "--target", "ill"]) == 130
    assert capsys.readouterr().err == "python -m classic_moe: error: interrupted\n"


# -- what is refused -----------------------------------------------------------------------------


def refusal(capsys, *argv):
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: command"),
        (["dance"], "invalid choice: 'dance'"),
        (["demo", "--jump"], "unrecognized arguments: --jump"),
        (["demo", "--seed", "-1"], "'-1' is not a whole number"),
        (["demo", "--out", "no/where.png"], "there is no folder 'no'"),
        (["demo", "--out", "picture.xyz"], "'picture.xyz': a picture ends in .png"),
        (["fit", "data.csv"], "required: --target"),
        (["fit", "nothing.csv", "--target", "y"], "nothing.csv: No such file"),
        (["fit", ".", "--target", "y"], ".: Is a directory"),
        (["fit", "data.csv", "--target", "size"], "--target 'size': the table has no such column"),
        (["fit", "data.csv", "--target", "ill", "--drop", "size"], "--drop 'size': the table has"),
        (
            ["fit", "data.csv", "--target", "ill", "--drop", "ill"],
            "--target and --drop both name 'ill'",
        ),
        (
            ["fit", "data.csv", "--target", "ill", "--task", "regression"],
            "which is not a number; for classes use --task",
        ),
        (
            ["fit", "data.csv", "--target", "effect", "--task", "classification"],
            "classes are text or whole numbers; use --task regression",
        ),
        (["fit", "data.csv", "--target", "ill", "--task", "guess"], "invalid choice: 'guess'"),
        (["fit", "data.csv", "--target", "ill", "--expert", "wise"], "invalid choice: 'wise'"),
        (["fit", "data.csv", "--target", "ill", "--expert", "poisson"], "give --task regression"),
        (["fit", "data.csv", "--target", "ill", "--gate", "tall"], "invalid choice: 'tall'"),
        (["fit", "data.csv", "--target", "ill", "--n-experts", "2.5"], "'2.5' is neither"),
        (["fit", "data.csv", "--target", "ill", "--n-experts", "0"], "'0' is neither"),
        (["fit", "data.csv", "--target", "ill", "--n-experts", "3-2"], "'3-2' is neither"),
        (["fit", "data.csv", "--target", "ill", "--n-experts", "two"], "'two' is neither"),
        (["fit", "data.csv", "--target", "ill", "--n-experts", "151"], "data.csv has 150"),
        (["fit", "data.csv", "--target", "ill", "--seed", "x"], "'x' is not a whole number"),
        (["fit", "data.csv", "--target", "ill", "--out", "."], "'.' is a folder"),
        (["fit", "data.csv", "--target", "ill", "--out", "no/m.joblib"], "no folder 'no'"),
        (["fit", "data.csv", "--target", "ill", "--feature", "age"], "or --report FILE too"),
        (
            ["fit", "data.csv", "--target", "ill", "--plot", "p.png", "--feature", "size"],
            "--feature 'size' is not among the columns",
        ),
    ],
)
def test_bad_arguments_are_named(capsys, argv, message):
    assert message in refusal(capsys, *argv)


FIT = ("fit", "data.csv", "--target", "effect")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--criterion best", "invalid choice: 'best'"),
        ("--cv 1", "'1' is not a whole number of at least 2"),
        ("--cv x", "'x' is not a whole number"),
        ("--cv 5 --criterion aic", "--criterion aic does not; leave one out"),
        ("--cv 151", "--cv 151 needs at least 151 rows; use fewer folds"),
        ("--cv 2 --n-experts 80", "in every fold of --cv 2; there are 75"),
        ("--cv 3 --groups sex", "needs at least 3 different values of --groups 'sex'"),
        ("--cv 3 --groups sex --weights dose", "takes --weights or --groups, not both"),
        ("--n-init 0", "'0' is not a whole number of at least 1"),
        ("--n-init 1e3", "'1e3' is not a whole number"),
        ("--seed ²", "'²' is not a whole number"),
        ("--n-experts ²", "'²' is neither"),
        ("--verbose --quiet", "not allowed with"),
        ("--gate constant --gate-features age", "--gate constant looks at no column"),
        ("--expert gaussian --expert-features age", "--expert gaussian looks at no column"),
        ("--gate-features size", "--gate-features 'size' is not among the columns used; use"),
        ("--expert-features age,size", "--expert-features 'size' is not among the columns"),
        ("--gate-features effect", "--gate-features 'effect' is not among the columns"),
        ("--groups sex --gate-features age", "--gate-features 'age' varies within 'sex'"),
        ("--groups size", "--groups 'size': the table has no such column"),
        ("--weights size", "--weights 'size': the table has no such column"),
        ("--weights sex", "'sex'"),
        ("--weights dose", "'dose'"),
        ("--offset size", "--offset 'size': the table has no such column"),
        ("--offset dose", "which --expert linear has not; use --expert binomial, "),
        ("--offset sex --expert poisson", "'sex'"),
        ("--target dose --expert poisson", "--expert poisson predicts one column; 2 targets"),
        ("--expert binomial", "--target SUCCESSES --target FAILURES; one is named"),
        ("--target ill", "'ill'"),
        ("--target effect", "'effect'"),
        ("--target dose --task classification", "one target"),
        ("--missing guess", "invalid choice: 'guess'"),
        ("--keep size", "--keep 'size': the table has no such column"),
        ("--keep age --drop age", "both name 'age'"),
        ("--separator ab", "'ab' is no sign that separates cells"),
        ("--separator x", "'x' is no sign that separates cells"),
        ("--decimal ;", "invalid choice: ';'"),
        ("--decimal , --separator ,", "--separator and --decimal are both ','"),
        ("--encoding klingon", "'klingon' is no encoding"),
        ("--encoding rot13", "'rot13' is no encoding"),
        ("--encoding utf-16", "--encoding"),
        ("--plot p.xyz", "'p.xyz': a picture ends in .png"),
        ("--plot no/p.png", "there is no folder 'no'"),
        ("--expert poisson", "needs counts (0, 1, 2, ...); effect in row 1 is"),
        ("--expert softmax", "--expert softmax is for classification, and the target effect"),
    ],
)
def test_bad_options_are_named_before_any_work(capsys, monkeypatch, options, message):
    def fit(*args, **kwargs):
        raise AssertionError("a fit was made")

    monkeypatch.setattr("classic_moe.estimators.base.race", fit)
    assert message in refusal(capsys, *FIT, *options.split())


def test_an_empty_name_is_none(capsys):
    for option in ("--target", "--drop", "--groups", "--gate-features"):
        assert "an empty name" in refusal(capsys, *FIT, option, " ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.csv is empty"),
        ("x,y\n", "no rows under its header"),
        ("y\n1\n2\n", "no column beside the target 'y'"),
        ("x,y\n" + "1,a\n2,a\n" * 9, "the target 'y' has one class ('a')"),
        ("x,y\n" + "1,\n2,\n" * 9, "the target 'y' is empty"),
        ("x,y\n1,2,3\n1,2\n1,2\n", "line 2: 3 cells, but the header has 2"),
        ("x,y\n1,2\n2,1e200\n3,4\n", "too large"),
        (
            "x,y\n" + "".join(f"name{i},{i}\n" for i in range(30)),
            "'x': 30 different texts in 30 rows",
        ),
    ],
)
def test_bad_tables_are_named(capsys, tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    argv = ("fit", str(tmp_path / "bad.csv"), "--target", "y", "--n-experts", "1")
    assert message in refusal(capsys, *argv)


def test_all_refusals_of_a_table_are_told_at_once(capsys, tmp_path):
    (tmp_path / "bad.csv").write_text("x,y\n" + "1,a\n" * 9)
    said = refusal(capsys, "fit", str(tmp_path / "bad.csv"), "--target", "y")
    assert "(1) " in said and "(2) " in said


# -- the rest ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_demo_tells_the_whole_story_and_writes_its_picture(printed, capsys, folder):
    argv = ("demo", "--out", "crash.png", "--report", "crash.html", "--seed", "0")
    out = printed(capsys, *argv)
    assert "BIC is lowest for K = 4" in out
    assert "Picture written to crash.png" in out
    assert (folder / "crash.png").read_bytes().startswith(PNG)
    held_out = out.split("On held-out rows")[1].splitlines()[2:5]
    line, tree, mixture = ([float(cell) for cell in row.split()[-2:]] for row in held_out)
    assert mixture[0] > tree[0] > line[0]
    assert mixture[1] < tree[1] < line[1]
    page = (folder / "crash.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2 and "Not drawn" not in page
    assert "BIC is lowest for K = 4" in page and f">{mixture[1]:.1f}</td>" in page


def test_info_names_versions_threads_and_devices(printed, capsys):
    out = printed(capsys, "info")
    for name in ("classic_moe", "python", "numpy", "scipy", "scikit-learn", "numba", "matplotlib"):
        assert rows_of(out, name)
    assert rows_of(out, "threads")
    assert rows_of(out, "device")[0][0] in ("no:", "yes:", "CuPy", "torch")


@pytest.mark.parametrize(
    "argv", [["--help"], ["fit", "--help"], ["predict", "--help"], ["--version"]]
)
def test_help_is_at_hand(capsys, argv):
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 0
    assert capsys.readouterr().out


SCRIPT = "import sys; from classic_moe.cli import script; sys.exit(script())"


@pytest.mark.parametrize(
    ("start", "name"),
    [(["-m", "classic_moe"], "python -m classic_moe"), (["-c", SCRIPT], "classic-moe")],
)
def test_the_process_passes_the_exit_status_on(start, name):
    argv = [sys.executable, *start, "fit", "nothing.csv", "--target", "y"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"{name}: error: nothing.csv: No such file or directory\n"


def test_a_terminal_of_any_encoding_will_do(folder):
    (folder / "µ.csv").write_text("µ,y\n" + "".join(f"{i},{i % 3}\n" for i in range(20)))
    argv = [sys.executable, "-m", "classic_moe", "fit", "µ.csv", "--target", "y"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*argv, "--n-experts", "1"], capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\xb2 on these rows" in done.stdout


def test_the_console_script_is_the_one_that_is_declared():
    path = Path(__file__).parents[2] / "pyproject.toml"
    declared = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["scripts"]
    assert pkgutil.resolve_name(declared["classic-moe"]) is script


def test_the_help_names_what_there_is():
    assert set(EXPERTS) == set(KINDS["expert"].aliases)
    assert set(GATES) == set(KINDS["gate"].aliases)


def test_a_target_that_may_be_counts_is_pointed_out(capsys, folder):
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"hours": rng.uniform(0, 9, 60), "visits": rng.poisson(2, 60)})
    table.to_csv("visits.csv", index=False)
    run = ["fit", "visits.csv", "--target", "visits", "--n-experts", "1"]
    told = "visits holds whole numbers from 0 on: if they are counts, --expert poisson or"
    assert main(run) == 0
    assert told in capsys.readouterr().out
    assert main([*run, "--expert", "poisson"]) == 0
    assert told not in capsys.readouterr().out
    table.assign(visits=table["visits"] + 0.5).to_csv("visits.csv", index=False)
    assert main(run) == 0
    assert told not in capsys.readouterr().out


def test_nothing_is_said_where_nobody_reads_on(folder):
    command = [sys.executable, "-m", "classic_moe", "fit", "data.csv", "--target", "effect"]
    with subprocess.Popen(
        [*command, "--n-experts", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
