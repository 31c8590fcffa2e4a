"""`predict` reads new rows as `fit` read the old ones, and refuses whatever is no saved model."""

import os
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe.cli import main

N = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table in the form of R, of the continent, and models of it."""
    path = tmp_path_factory.mktemp("predict")
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 70, N).round(1)
    kind = rng.choice(["old", "new"], N)
    y = (abs(age - 45) + 3 * (kind == "new") + rng.normal(size=N)).round(2)
    table = pd.DataFrame({"age": age, "kind": kind, "y": y, "z": (2 * y + age).round(2)})
    table["ill"] = np.where(y + rng.normal(size=N) > 12, "yes", "no")
    table["code"] = (table["ill"] == "yes") + 1
    table.loc[3, "age"] = np.nan
    table.to_csv(path / "data.csv")
    table.to_csv(path / "data_eu.csv", sep=";", decimal=",", index=False)
    fit = ["fit", "data.csv", "--n-init", "2", "--quiet", "--n-experts"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for name in ("y", "ill", "code"):
            drop = ["--drop", ",".join({"y", "z", "ill", "code"} - {name})]
            assert main([*fit, "2", "--target", name, *drop, "--out", f"{name}.joblib"]) == 0
        targets = ["--target", "y,z", "--drop", "ill,code"]
        assert main([*fit, "1", *targets, "--out", "both.joblib"]) == 0
    return path


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    if os.path.exists("p.csv"):
        os.remove("p.csv")


def predicted(capsys, *argv):
    assert main(["predict", *argv, "--out", "p.csv"]) == 0, capsys.readouterr().err
    out, err = capsys.readouterr()
    assert err == ""
    return pd.read_csv("p.csv"), out


def refusal(capsys, *argv):
    assert main(["predict", *argv]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert not os.path.exists("p.csv")
    return err


def test_predictions_are_those_of_the_model(capsys):
    table, out = predicted(capsys, "y.joblib", "data.csv", "--quantiles", "0.9", "0.1,0.5")
    pipeline, raw = joblib.load("y.joblib"), pd.read_csv("data.csv")
    np.testing.assert_allclose(table["prediction"], pipeline.predict(raw))
    assert list(table) == ["row", "prediction", "quantile 0.1", "quantile 0.5", "quantile 0.9"]
    assert table["row"].tolist() == list(range(1, N + 1))
    dist = pipeline[-1].predict_dist(pipeline[:-1].transform(raw))
    np.testing.assert_allclose(table["quantile 0.1"], dist.ppf(0.1))
    np.testing.assert_allclose(dist.cdf(table["quantile 0.9"]), 0.9, atol=1e-8)
    assert "data.csv: 60 rows." in out and "Predictions written to p.csv" in out


def test_another_way_of_writing_the_table_makes_no_difference(capsys):
    known, _ = predicted(capsys, "y.joblib", "data.csv")
    os.remove("p.csv")
    given, _ = predicted(capsys, "y.joblib", "data_eu.csv", "--responsibilities")
    np.testing.assert_array_equal(given["prediction"], known["prediction"])


def test_experts_are_told_before_and_after_the_target_is_known(capsys):
    options = ("--gate-probabilities", "--responsibilities")
    table, _ = predicted(capsys, "y.joblib", "data.csv", *options)
    pipeline, raw = joblib.load("y.joblib"), pd.read_csv("data.csv")
    X = pipeline[:-1].transform(raw)
    gate = table[["gate of expert 0", "gate of expert 1"]]
    shares = table[["responsibility of expert 0", "responsibility of expert 1"]]
    np.testing.assert_allclose(gate, pipeline[-1].gate_proba(X))
    np.testing.assert_allclose(shares, pipeline[-1].responsibilities(X, raw["y"]))


@pytest.mark.parametrize("name", ["y", "ill", "code"])
def test_a_row_without_its_target_has_no_responsibilities(capsys, name):
    raw = pd.read_csv("data.csv", index_col=0)
    raw[name] = raw[name].astype(object)
    raw.loc[[0, 2], name] = np.nan
    raw.to_csv("gaps.csv")
    table, _ = predicted(capsys, f"{name}.joblib", "gaps.csv", "--responsibilities")
    empty = table["responsibility of expert 0"].isna()
    assert empty[empty].index.tolist() == [0, 2]
    assert table["prediction"].notna().all()


@pytest.mark.parametrize(("name", "labels"), [("ill", ["no", "yes"]), ("code", [1, 2])])
def test_classes_have_labels_and_probabilities(capsys, name, labels):
    table, _ = predicted(capsys, f"{name}.joblib", "data.csv", "--responsibilities")
    pipeline, raw = joblib.load(f"{name}.joblib"), pd.read_csv("data.csv")
    assert table["prediction"].tolist() == pipeline.predict(raw).tolist()
    proba = table[[f"P({label})" for label in labels]]
    np.testing.assert_allclose(proba, pipeline.predict_proba(raw))
    X = pipeline[:-1].transform(raw)
    resp = pipeline[-1].responsibilities(X, raw[name])
    np.testing.assert_allclose(table["responsibility of expert 1"], resp[:, 1])


def test_several_targets_have_a_column_each(capsys):
    table, _ = predicted(capsys, "both.joblib", "data.csv", "--responsibilities")
    pipeline, raw = joblib.load("both.joblib"), pd.read_csv("data.csv")
    given = table[["prediction of y", "prediction of z"]]
    np.testing.assert_allclose(given, pipeline.predict(raw))


def test_rows_keep_their_names(capsys):
    raw = pd.read_csv("data.csv", index_col=0).set_axis([f"car {i}" for i in range(N)])
    raw.to_csv("named.csv")
    table, _ = predicted(capsys, "y.joblib", "named.csv")
    assert table["row name"].tolist() == raw.index.tolist()


def test_unknown_categories_are_told_unless_quiet(capsys):
    pd.read_csv("data.csv").assign(kind="strange").to_csv("strange.csv", index=False)
    _, out = predicted(capsys, "y.joblib", "strange.csv")
    assert "'strange'" in out and "column 'kind'" in out
    os.remove("p.csv")
    assert predicted(capsys, "y.joblib", "strange.csv", "--quiet")[1] == ""


def test_a_table_without_a_column_is_refused(capsys):
    pd.read_csv("data.csv").drop(columns="kind").to_csv("narrow.csv", index=False)
    assert "'kind'" in refusal(capsys, "y.joblib", "narrow.csv", "--out", "p.csv")
    pd.read_csv("data.csv").assign(age="old").to_csv("text.csv", index=False)
    assert "column 'age'" in refusal(capsys, "y.joblib", "text.csv", "--out", "p.csv")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("y.joblib data.csv", "required: --out"),
        ("y.joblib", "required: new.csv"),
        ("none.joblib data.csv --out p.csv", "none.joblib: No such file"),
        ("y.joblib none.csv --out p.csv", "none.csv: No such file"),
        (". data.csv --out p.csv", ".: Is a directory"),
        ("y.joblib data.csv --out y.joblib --force", "is the file that is read"),
        ("y.joblib data.csv --out ./data.csv --force", "is the file that is read"),
        ("y.joblib data.csv --out data_eu.csv", "exists; name another file, or give --force"),
        ("y.joblib data.csv --out no/p.csv", "there is no folder 'no'"),
        ("y.joblib data.csv --out .", "'.' is a folder"),
        ("y.joblib data.csv --out p.csv --quantiles 1.5", "'1.5' holds what is no number between"),
        ("y.joblib data.csv --out p.csv --quantiles 0.1,x", "no number between 0 and 1"),
        ("y.joblib data.csv --out p.csv --quantiles nan", "no number between 0 and 1"),
        ("y.joblib data.csv --out p.csv --quantiles", "expected at least one argument"),
        ("ill.joblib data.csv --out p.csv --quantiles 0.5", "predicts classes; leave it out"),
        ("both.joblib data.csv --out p.csv --quantiles 0.5", "has 2; leave it out"),
        ("y.joblib data.csv --out p.csv --target y", "unrecognized arguments: --target y"),
        ("data.csv data.csv --out p.csv", "data.csv is no model that fit --out has saved"),
        ("y.joblib y.joblib --out p.csv", "y.joblib"),
    ],
)
def test_what_cannot_be_done_is_refused(capsys, argv, message):
    before = {name: os.stat(name).st_mtime_ns for name in ("y.joblib", "data.csv", "data_eu.csv")}
    assert message in refusal(capsys, *argv.split())
    assert before == {name: os.stat(name).st_mtime_ns for name in before}


def test_responsibilities_need_a_target_of_the_fit(capsys):
    raw = pd.read_csv("data.csv")
    argv = ("--out", "p.csv", "--responsibilities")
    raw.drop(columns="y").to_csv("without.csv", index=False)
    assert "has no column 'y'" in refusal(capsys, "y.joblib", "without.csv", *argv)
    raw.assign(y="many").to_csv("many.csv", index=False)
    assert "'many' is not a number" in refusal(capsys, "y.joblib", "many.csv", *argv)
    raw.assign(ill="perhaps").to_csv("perhaps.csv", index=False)
    said = refusal(capsys, "ill.joblib", "perhaps.csv", *argv)
    assert "the class perhaps in column 'ill' was not there at the fit; it had no, yes" in said
    raw.assign(code=3).to_csv("three.csv", index=False)
    assert "the class 3" in refusal(capsys, "code.joblib", "three.csv", *argv)


class Bomb:
    """What fails when it is unpickled, as the files of other programs do."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _fail, (self.error,)


def _fail(error):
    raise error


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'x\x1b[2J'", name="x\x1b[2J"),
        AttributeError("Can't get attribute 'y'"),
        EOFError("no more\nthan this"),
        OSError(5, "Input/output error"),
        RuntimeError("oh"),
        RecursionError("deep"),
        MemoryError(),
    ],
)
def test_a_model_that_cannot_be_loaded_is_refused(capsys, folder, error):
    with open("bomb.joblib", "wb") as file:
        pickle.dump(Bomb(error), file)
    said = refusal(capsys, "bomb.joblib", "data.csv", "--out", "p.csv")
    assert "bomb.joblib" in said and "\x1b" not in said


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"model": 3},
        LinearRegression(),
        make_pipeline(StandardScaler(), LinearRegression()),
    ],
)
def test_what_is_no_pipeline_of_the_command_is_refused(capsys, value):
    joblib.dump(value, "other.joblib")
    said = refusal(capsys, "other.joblib", "data.csv", "--out", "p.csv")
    assert f"is no model that fit --out has saved: it holds {type(value).__name__}" in said


def test_half_a_model_is_refused(capsys, folder):
    whole = (folder / "y.joblib").read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (folder / "half.joblib").write_bytes(whole[:size])
        said = refusal(capsys, "half.joblib", "data.csv", "--out", "p.csv")
        assert "half.joblib is no model that fit --out has saved" in said
