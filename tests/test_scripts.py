"""The scripts that developers run: what they rest on."""

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHELL = sorted(path.name for path in (ROOT / "scripts").glob("*.sh"))


def lower_bounds():
    path = ROOT / "scripts" / "lower_bounds.py"
    spec = importlib.util.spec_from_file_location("lower_bounds", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_dependency_has_a_lower_bound_that_becomes_a_constraint(capsys):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[\w.-]+", requirement)[0] for requirement in project["dependencies"]}
    found = lower_bounds().lower_bounds(project)
    assert names <= set(found)
    assert lower_bounds().main() == 0
    assert f"numpy=={found['numpy']}\n" in capsys.readouterr().out


def test_only_plain_lower_bounds_become_constraints():
    project = {
        "dependencies": ["numpy>=2.0", "other", "third<3"],
        "optional-dependencies": {"test": ["pytest >= 8"]},
    }
    assert lower_bounds().lower_bounds(project) == {"numpy": "2.0", "pytest": "8"}


@pytest.mark.parametrize("name", SHELL)
def test_shell_scripts_are_read_without_an_error_and_say_how_they_are_used(name):
    path = ROOT / "scripts" / name
    assert subprocess.run(["sh", "-n", str(path)], capture_output=True).returncode == 0
    assert path.read_text().splitlines()[1].startswith(f"# Usage: sh scripts/{name}")
