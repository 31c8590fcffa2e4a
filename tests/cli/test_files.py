"""No command replaces the data, nor another file unless told to; what it writes is whole or not."""

import os
import stat

import joblib
import pandas as pd
import pytest

from classic_moe.cli import main
from classic_moe.cli.files import check_outputs, replacing

FIT = ("fit", "data.csv", "--target", "y", "--n-experts", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"x": range(40), "y": [float(i % 7) for i in range(40)]}).to_csv(
        "data.csv", index=False
    )
    return tmp_path


@pytest.fixture
def no_work(monkeypatch):
    """Fail as soon as the data are read: what is refused is refused before."""

    def read(*args, **kwargs):
        raise AssertionError("the data were read before the files to be written were checked")

    monkeypatch.setattr("classic_moe.cli.fit.read_table", read)
    monkeypatch.setattr("classic_moe.cli.demo.load_motorcycle", read)


def refusal(capsys, *argv):
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err
    return err


def names_of_the_data(folder):
    """Return other ways to say "data.csv": by links, and by roundabout paths."""
    os.symlink("data.csv", "symbolic.csv")
    os.link("data.csv", "hard.csv")
    os.symlink(folder, "here")
    (folder / "sub").mkdir()
    names = ["data.csv", "sub/../data.csv", "here/data.csv", "symbolic.csv", "hard.csv"]
    return [*names, str(folder / "data.csv")]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_the_data_are_never_replaced(folder, capsys, force):
    before = (folder / "data.csv").read_bytes()
    for name in names_of_the_data(folder):
        message = refusal(capsys, *FIT, "--out", name, *force)
        assert f"--out {name!r} is the file that is read, 'data.csv'; name another" in message
    for link in ("data.png", "hard.png"):
        (os.symlink if link == "data.png" else os.link)("data.csv", link)
        assert "is the file that is read" in refusal(capsys, *FIT, "--plot", link, *force)
    assert (folder / "data.csv").read_bytes() == before


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "argv", [(*FIT, "--out"), (*FIT, "--out", "m.joblib", "--plot"), ("demo", "--out")]
)
def test_another_file_is_not_replaced_unless_told_to(folder, capsys, argv):
    (folder / "old.png").write_text("mine")
    message = refusal(capsys, *argv, "old.png")
    assert "'old.png' exists; name another file, or give --force to replace it" in message
    assert (folder / "old.png").read_text() == "mine"
    assert not (folder / "m.joblib").exists()


def test_force_replaces_files_and_nothing_is_left_beside_them(folder, capsys):
    for name in ("m.joblib", "p.png"):
        (folder / name).write_text("old")
    os.chmod("m.joblib", 0o640)
    assert main([*FIT, "--out", "m.joblib", "--plot", "p.png", "--force"]) == 0
    assert joblib.load("m.joblib").predict(pd.read_csv("data.csv")).shape == (40,)
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir()) == ["data.csv", "m.joblib", "p.png"]
    assert stat.S_IMODE(os.stat("m.joblib").st_mode) == 0o640  # as it was
    capsys.readouterr()


def test_new_files_have_the_usual_permissions(folder):
    (folder / "plain").touch()
    with replacing(folder / "new", force=False) as path:
        path.write_text("new")
    assert os.stat("new").st_mode == os.stat("plain").st_mode


def test_a_link_stays_a_link_to_the_new_file(folder):
    (folder / "target").write_text("old")
    os.symlink("target", "link")
    with replacing(folder / "link", force=True) as path:
        path.write_text("new")
    assert os.path.islink("link") and (folder / "target").read_text() == "new"


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(folder, capsys, monkeypatch, failure):
    (folder / "m.joblib").write_text("old")

    def dump(value, path):
        path.write_text("half")
        raise failure

    monkeypatch.setattr("joblib.dump", dump)
    assert main([*FIT, "--out", "m.joblib", "--force"]) in (2, 130)
    assert (folder / "m.joblib").read_text() == "old"
    assert sorted(os.listdir()) == ["data.csv", "m.joblib"]
    capsys.readouterr()


def test_a_file_that_came_meanwhile_is_not_replaced(folder):
    with (
        pytest.raises(ValueError, match="exists; name another file"),
        replacing(folder / "m", force=False) as path,
    ):
        path.write_text("ours")
        (folder / "m").write_text("theirs")
    assert (folder / "m").read_text() == "theirs"
    assert sorted(os.listdir()) == ["data.csv", "m"]


@pytest.mark.usefixtures("no_work")
def test_two_outputs_are_two_files(capsys):
    argv = (*FIT, "--out", "a.png", "--plot")
    assert "--out and --plot name one file, 'a.png'; name two" in refusal(capsys, *argv, "a.png")
    assert "name one file" in refusal(capsys, *argv, "./a.png")


@pytest.mark.usefixtures("no_work")
def test_what_is_no_file_is_not_replaced(folder, capsys):
    os.mkfifo("pipe")
    os.symlink("nowhere/at/all", "dangling")
    os.symlink("loop", "loop")
    for name in ("pipe", os.devnull):
        assert "is no ordinary file" in refusal(capsys, *FIT, "--out", name, "--force")
    for name in ("dangling", "loop"):
        assert "is a link that leads nowhere" in refusal(capsys, *FIT, "--out", name, "--force")


def test_a_folder_that_cannot_be_written_in_is_found_before_the_fit(folder, monkeypatch):
    def touch(self, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("classic_moe.cli.files.Path.touch", touch)
    with pytest.raises(ValueError, match=r"--out: no file can be written in .*Permission denied"):
        check_outputs({"--out": folder / "m.joblib"}, force=False)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(capsys, name):
    assert "is no name of a file" in refusal(capsys, *FIT, "--out", name)
    assert "is no name of a file" in refusal(capsys, "fit", name, "--target", "y")


# -- names on the screen ---------------------------------------------------------------------------

HOSTILE = "x\x1b[2J\u202e"
SHOWN = r"x\x1b[2J\u202e"


def is_harmless(text):
    return text.replace("\n", "").isprintable()


def test_no_name_or_label_commands_the_terminal(folder, capsys):
    path = f"d{HOSTILE}.csv"
    label = "no\x07\r"
    rows = [
        (i, i % 3, "a\x9b" if i % 2 else "b\n", HOSTILE if i * 7 % 5 else label) for i in range(60)
    ]
    table = pd.DataFrame(rows, columns=[HOSTILE, "z\nw", "text\x1b]0;t\x07", "y\u2066"])
    table.to_csv(path, index=False)
    argv = ["fit", path, "--target", "y\u2066", "--n-experts", "1-2"]
    assert main([*argv, "--out", f"m{HOSTILE}.joblib", "--plot", f"p{HOSTILE}.png"]) == 0
    out, err = capsys.readouterr()
    assert is_harmless(out) and is_harmless(err)
    assert max(map(len, out.splitlines())) <= 120  # the longest are the names of files
    for shown in (SHOWN, r"z\nw", r"y\u2066", r"d" + SHOWN, "m" + SHOWN, "p" + SHOWN, r"\x9b"):
        assert shown in out


@pytest.mark.parametrize(
    "argv",
    [
        ("--target", "nothing\x1b[1m"),
        ("--target", "y", "--drop", HOSTILE),
        ("--target", HOSTILE),
        ("--target", "y", "--plot", "p.png", "--feature", "\x9b31m"),
        ("--target", "y", "--out", f"no{HOSTILE}/m"),
        ("--target", "y", f"--{HOSTILE}"),
        ("--target", "y", "--expert", HOSTILE),
        ("--target", "y", "--seed", HOSTILE),
    ],
)
def test_no_refusal_commands_the_terminal(folder, capsys, argv):
    pd.DataFrame({HOSTILE: ["a\x1b[0m"] * 40, "y": 1.0}).to_csv("hostile\x1b.csv", index=False)
    for path in ("hostile\x1b.csv", "nothing\x1b.csv"):
        assert is_harmless(refusal(capsys, "fit", path, *argv))
