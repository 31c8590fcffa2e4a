"""``fit --blocks``: a table that is never read whole, and the fit of all its rows."""

import joblib
import numpy as np
import pandas as pd
import pytest

from classic_moe.cli import main
from classic_moe.cli.blocks import BlockTable

HOW = dict(separator=None, decimal=None, encoding=None, missing=())


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    n = 900
    x, z = rng.normal(size=n), rng.normal(size=n)
    colour = np.where(np.arange(n) < 700, rng.choice(["red", "blue"], n), "green")
    y = np.where(x > 0, z, 1 - z) + 0.5 * (colour == "red") + 0.2 * rng.normal(size=n)
    return pd.DataFrame({"x": x, "z": z, "colour": colour, "w": rng.integers(1, 4, n), "y": y})


@pytest.fixture
def table(frame, tmp_path):
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    return path


def fitted(path, *options):
    """The estimator that the command saves."""
    out = path.with_suffix(".joblib")
    how = ["--target", "y", "--n-experts", "2", "--out", str(out), "--force"]
    assert main(["fit", str(path), *how, *options]) in (0, None)
    return joblib.load(out)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_the_fit_is_that_of_the_whole_table(frame, tmp_path, suffix, capsys):
    path = tmp_path / f"table{suffix}"
    frame.to_csv(path, index=False)
    whole, blocks = fitted(path), fitted(path, "--blocks", "250")
    for name in ("log_likelihood_", "n_iter_", "n_parameters_"):
        one, other = (getattr(pipeline[-1], name) for pipeline in (whole, blocks))
        # numbers that pandas reads, or the command: the last digit of a cell may differ
        assert one == pytest.approx(other, rel=1e-12)
    said = capsys.readouterr().out
    assert "900 rows" in said and "The fit is of all rows" in said
    # a colour that stands in the last block alone is one of the model's columns
    assert "colour = green" in list(blocks[-1].feature_names_in_)
    np.testing.assert_allclose(whole.predict(frame), blocks.predict(frame), rtol=1e-8)


def test_weights_and_classes_come_in_blocks_too(frame, table, tmp_path):
    weighted = fitted(table, "--blocks", "200", "--weights", "w")
    expected = fitted(table, "--weights", "w")
    assert weighted[-1].log_likelihood_ == pytest.approx(expected[-1].log_likelihood_, rel=1e-12)
    path = tmp_path / "classes.csv"
    frame.assign(y=np.where(frame.y > 0.5, "high", "low")).to_csv(path, index=False)
    one, other = fitted(path), fitted(path, "--blocks", "300")
    assert one[-1].log_likelihood_ == pytest.approx(other[-1].log_likelihood_, rel=1e-12)
    assert other[-1].classes_.tolist() == ["high", "low"]


def test_the_table_is_looked_through_for_new_texts_and_gaps(frame, tmp_path):
    path = tmp_path / "gaps.csv"
    gaps = frame.copy()
    gaps.loc[[750, 760], "z"] = np.nan
    gaps.to_csv(path, index=False, sep=";", decimal=",")
    table = BlockTable(path, 100, **HOW)
    assert table.n == 900
    # the first block, the first row of "green" and the first gap
    assert len(table.file.frame) == 102
    assert table.first.options == {"sep": ";", "decimal": ","}
    cells = pd.concat(table.frames(), ignore_index=True)
    assert cells["colour"].tolist() == frame["colour"].tolist()


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--groups", "w"], "--groups needs all rows at once, and --blocks never has them"),
        (["--missing", "drop"], "--missing drop needs all rows at once"),
        (["--cv", "3"], "--criterion cv needs all rows at once"),
        (["--criterion", "icl"], "--criterion icl needs all rows at once"),
    ],
)
def test_what_needs_all_rows_is_refused(table, options, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        raise SystemExit(main(["fit", str(table), "--target", "y", "--blocks", "100", *options]))
    assert stopped.value.code not in (0, None)
    assert sentence in capsys.readouterr().err


def test_parquet_is_read_in_batches(frame, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "table.parquet"
    frame.to_parquet(path)
    assert BlockTable(path, 100, **HOW).n == 900
    one, other = fitted(path), fitted(path, "--blocks", "250")
    assert one[-1].log_likelihood_ == pytest.approx(other[-1].log_likelihood_, rel=1e-12)


def test_a_large_file_is_told_of_blocks(table, monkeypatch, capsys):
    what = "is read whole; with --blocks 1000000"

    def said(*options):
        fitted(table, *options)
        return " ".join(capsys.readouterr().out.split())

    assert what not in said()
    monkeypatch.setattr("classic_moe.cli.blocks.LARGE", table.stat().st_size)
    assert what in said()
    assert what not in said("--quiet") and what not in said("--blocks", "250")
