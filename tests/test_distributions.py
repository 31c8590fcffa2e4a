"""What is packed: the wheel has the package and nothing else, the sdist all that is kept."""

import email
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def listed(*options):
    """Files that git lists, relative to the repository."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no clone of the repository, which alone knows what belongs to it")
    done = subprocess.run(
        ["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, check=True
    )
    names = done.stdout.decode().split("\0")
    return {name for name in names if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The files in the wheel and in the sdist, and the wheel's metadata."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
        (name,) = [name for name in in_wheel if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    with tarfile.open(sdist) as archive:
        in_sdist = {m.name.split("/", 1)[1] for m in archive.getmembers() if m.isfile()}
    return in_wheel, in_sdist, metadata


def test_the_wheel_has_the_package_with_its_data_and_nothing_else(packed):
    in_wheel, _, _ = packed
    package = {name for name in in_wheel if ".dist-info/" not in name}
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "classic_moe").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package == on_disk
    assert {"classic_moe/py.typed", "classic_moe/datasets/data/motorcycle.csv"} <= package
    assert {name.split("/", 1)[1] for name in in_wheel - package} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }


def test_the_sdist_has_every_file_that_is_kept(packed):
    _, in_sdist, _ = packed
    kept = listed()
    assert not kept - in_sdist
    assert in_sdist - kept - {"PKG-INFO"} <= listed(
        "--others", "--exclude-standard"
    )  # not yet kept


def test_the_metadata_say_what_the_project_says(packed):
    _, _, metadata = packed
    assert metadata["Name"] == "classic-moe" and metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Author"] == PROJECT["authors"][0]["name"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    needed = metadata.get_all("Requires-Dist")
    assert set(PROJECT["dependencies"]) <= {need for need in needed if "extra ==" not in need}
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


def test_the_classifiers_name_the_versions_of_python_that_are_tried():
    prefix = "Programming Language :: Python :: 3."
    named = [int(c.removeprefix(prefix)) for c in PROJECT["classifiers"] if c.startswith(prefix)]
    assert named == list(range(named[0], named[-1] + 1))
    assert PROJECT["requires-python"] == f">=3.{named[0]}"
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert all(f'"3.{minor}"' in workflow for minor in named)
