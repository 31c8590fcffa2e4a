"""Every example that the reader sees runs and prints what is written beside it."""

import doctest
import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import classic_moe

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(classic_moe.__path__, "classic_moe.")
    if not module.name.endswith("__main__")
)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run(test):
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    report = []
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_a_page_run(page, monkeypatch):
    # a fence would be read as output that is expected
    text = re.sub(r"^ *```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    module = ModuleType(f"page_{page.stem}")  # classes that a page defines are pickled by it
    monkeypatch.setitem(sys.modules, module.__name__, module)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    test.globs = vars(module)
    run(test)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name):
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        if test.examples:
            run(test)


def test_the_readme_shows_its_picture():
    text = PAGES[0].read_text(encoding="utf-8")
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (ROOT / picture).is_file()


def test_the_readme_gives_the_two_commands():
    text = PAGES[0].read_text(encoding="utf-8")
    for command in re.findall(r"sh (scripts/\w+\.sh)", text):
        assert (ROOT / command).is_file()
    assert {"sh scripts/demo.sh", "sh scripts/test.sh"} <= set(
        re.findall(r"sh scripts/\w+\.sh", text)
    )
