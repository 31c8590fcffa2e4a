"""`fit --report`: one page with all that is told, which loads nothing."""

import base64
import html
import re

import numpy as np
import pandas as pd
import pytest

from classic_moe.cli import main

EVIL = "dose <b>x</b>"
TREE = ["--gate", "tree", "--n-experts", "3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    n = 90
    age, sex = rng.uniform(20, 70, n).round(1), rng.choice(["f", "m"], n)
    y = abs(age - 45) + 3 * (sex == "m") + rng.normal(size=n)
    table = pd.DataFrame(
        {
            "age": age,
            "sex": np.where(rng.uniform(size=n) < 0.1, "", sex),
            EVIL: rng.normal(size=n).round(2),
            "y & more": y.round(2),
            "kind": np.where(age < 40, "a", np.where(y > 15, "b", "c")),
        }
    )
    table.to_csv(path / "data.csv", index=False)
    return path


def made(folder, monkeypatch, *options):
    """The page of a command, after a check that it stands alone, and its text."""
    monkeypatch.chdir(folder)
    argv = ["fit", "data.csv", "--n-init", "1", "--force", "--report", "page.html", *options]
    assert main(argv) == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    assert links and all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert not re.search(r"<script|<link|@import|url\(", page)
    assert "<b>x</b>" not in page
    for link in links:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page
        else:
            assert base64.b64decode(link.partition(",")[2])[:8] == b"\x89PNG\r\n\x1a\n"
    for tag in ("table", "tr", "td", "th", "div", "details", "span", "p", "ul", "li", "figure"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag
    assert "Not drawn" not in page
    return page, html.unescape(re.sub(r"<[^>]*>", " ", page))


def squeezed(text):
    return " ".join(re.sub(r"[\u2007\u2008\u00a0]", " ", text).split())


def test_a_page_tells_what_the_command_prints_and_more(folder, capsys, monkeypatch):
    page, text = made(folder, monkeypatch, "--target", "y & more", "--n-experts", "1-2")
    out, text = squeezed(capsys.readouterr().out), squeezed(text)
    assert "Page written to page.html" in out
    for sentence in (
        "90 rows in use, 4 columns to predict from",
        "Categories are compared with the first of each",
        "A softmax gate shares 90 rows among 2 linear experts",
        "BIC is lowest for K = 2.",
        "R² on these rows: 0.9",
    ):
        assert sentence in text
        assert sentence.replace(" in use", "") in out
    for said in re.findall(r"Expert \d holds .*? Largest", out):
        assert said in text
    for title in ("How many experts", "How sure the numbers are", "Is the fit to be believed?"):
        assert f">{title}</h2>" in page
    assert "expert 0: age" in text and "standard error" in text
    assert "Convergence: reached after" in text
    pictures = re.findall(r'alt="([^"]*)"', page)
    assert pictures == [
        "Criterion and number of experts",
        "The fit",
        "Coefficients of the experts",
        "Responsibilities",
        "Convergence",
        "Starts",
    ]


def test_along_one_column_shares_and_calibration_have_pictures(folder, monkeypatch):
    drop = f"sex,kind,{EVIL}"
    options = ("--target", "y & more", "--n-experts", "2", "--drop", drop)
    page, _ = made(folder, monkeypatch, *options)
    assert {"Shares of the experts", "Calibration"} <= {*re.findall(r'alt="([^"]*)"', page)}


def test_classes_of_a_tree_and_numbers_without_errors(folder, monkeypatch):
    page, text = made(folder, monkeypatch, "--target", "kind", *TREE, "--drop", "y & more")
    assert "The tree" in re.findall(r'alt="([^"]*)"', page)
    assert "accuracy on these rows" in text and "log-odds of kind: 'a' against 'c'" in text
    # the classes are separated: what has no standard error says why
    assert re.search(r"No standard error: .{20,}", text) and ">nan</td>" in page


def test_a_fit_that_has_no_information_says_so(folder, monkeypatch):
    options = ("--target", "y & more", "--expert", "mlp", "--n-experts", "1")
    page, text = made(folder, monkeypatch, *options)
    assert "There are none: " in text or "standard error" in text
    assert "Responsibilities" not in page


@pytest.mark.parametrize(
    "options, said",
    [
        (["--report", "page.txt"], "--report 'page.txt': a page ends in .html"),
        (["--report", "data.csv"], "is the file that is read"),
        (["--report", "there.html"], "--report 'there.html' exists; .* give --force"),
        (["--report", "no/page.html"], "there is no folder 'no'"),
        (["--report", "x.html", "--blocks", "20"], "--report needs all rows at once, .* leave one"),
        (["--report", "x.html", "--plot", "x.html"], "--plot and --report name one file"),
        (["--feature", "age"], "give --plot FILE or --report FILE too"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    folder, capsys, monkeypatch, options, said
):
    monkeypatch.chdir(folder)
    (folder / "there.html").write_text("mine")
    assert main(["fit", "data.csv", "--target", "kind", *options]) == 2
    err = capsys.readouterr().err
    assert re.search(said, err) and err.count("\n") == 1
    assert (folder / "there.html").read_text() == "mine" and not (folder / "x.html").exists()
