"""Every example that the reader sees runs and prints what is written beside it."""

import doctest
import gc
import importlib
import pkgutil
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import pytest

import classic_moe

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "examples").glob("[!i]*.md")),  # the index shows none
]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(classic_moe.__path__, "classic_moe.")
    if not module.name.endswith("__main__")
)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.fixture(autouse=True)
def no_open_figures():
    """Close the pictures that examples have drawn: more than twenty are a warning.

    Films that nobody has shown warn when they go, which is not to be in another test.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Animation was deleted")
        yield
        if plt.get_fignums():
            plt.close("all")
            gc.collect()


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


def public_names(module):
    own = [
        n
        for n, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
    ]
    return set(getattr(module, "__all__", [name for name in own if not name.startswith("_")]))


def test_the_design_lists_every_public_name():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text.split("## Public names")[1].split("\n\n")[2]
    rows = [re.findall(r"`(\w[\w.]*)`", row) for row in table.splitlines()[2:]]
    assert rows[0][0] == "classic_moe"
    for where, *names in rows:
        assert len(names) == len(set(names))
        assert set(names) == public_names(importlib.import_module(where)), where
    packages = pkgutil.iter_modules(classic_moe.__path__, "classic_moe.")
    packages = {m.name for m in packages if m.ispkg and "._" not in m.name}
    public = {name for name in packages if public_names(importlib.import_module(name))}
    assert {"classic_moe.experts", "classic_moe.testing"} <= public
    assert public - {"classic_moe.cli"} <= {where for where, *_ in rows}


MATHEMATICS = ROOT / "docs" / "mathematics.md"
PACKAGE = Path(classic_moe.__file__).parent
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir()}


def test_the_mathematics_name_code_that_is_there():
    names = re.findall(r"`([\w./]+)`", MATHEMATICS.read_text(encoding="utf-8"))
    dotted = [name for name in names if "/" not in name and name.split(".")[0] in ROOMS]
    paths = [name for name in names if "/" in name]
    assert len(dotted) > 50
    assert not [name for name in dotted if not is_in_the_package(name)]
    assert not [path for path in paths if not any((at / path).exists() for at in (ROOT, PACKAGE))]


def is_in_the_package(name):
    try:
        pkgutil.resolve_name("classic_moe." + name)
    except (ImportError, AttributeError):
        return False
    return True


def test_every_public_name_has_a_page_of_its_own():
    # autosummary makes a page of every name in a table that has a :toctree:
    paged = set()
    for page in sorted((ROOT / "docs" / "api").glob("*.rst")):
        module = ""
        for block in re.split(r"\n(?=\.\. )", page.read_text(encoding="utf-8")):
            if match := re.match(r"\.\. currentmodule:: ([\w.]+)", block):
                module = match[1]
            elif block.startswith(".. autosummary::") and ":toctree: generated" in block:
                names = re.findall(r"^   (\w+)$", block, flags=re.MULTILINE)
                paged |= {id(getattr(importlib.import_module(module), name)) for name in names}
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text.split("## Public names")[1].split("\n\n")[2]
    rows = [re.findall(r"`(\w[\w.]*)`", row) for row in table.splitlines()[2:]]
    public = {
        f"{where}.{name}": getattr(importlib.import_module(where), name)
        for where, *names in rows
        for name in names
        if name != "__version__"
    }
    assert len(public) > 100
    assert not [name for name, value in public.items() if id(value) not in paged]


def test_every_page_is_in_the_navigation():
    docs = ROOT / "docs"
    named = set()
    for page in [*docs.glob("**/*.md"), *docs.glob("api/*.rst")]:
        text = page.read_text(encoding="utf-8")
        trees = re.findall(
            r"```\{toctree\}(.*?)```|\.\. toctree::(.*?)(?=\n\S|\Z)", text, re.DOTALL
        )
        for tree in map("".join, trees):
            for line in tree.splitlines():
                if line.strip() and not line.strip().startswith(":"):
                    entry = re.sub(r".*<(.*)>", r"\1", line.strip())
                    named.add((page.parent / entry).resolve())
    pages = {path.with_suffix("") for path in (*docs.glob("*.md"), *docs.glob("api/*.rst"))}
    assert docs / "quickstart" in pages
    assert pages - named == {docs / "index"}


def test_a_broken_link_of_the_site_is_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    check_links = importlib.import_module("check_links")
    (tmp_path / "other.html").write_text('<h1 id="here">Title</h1>', encoding="utf-8")
    good = '<a href="other.html#here"></a><a href="https://example.org/x"></a><a href="#"></a>'
    (tmp_path / "index.html").write_text(good, encoding="utf-8")
    assert check_links.broken_links(tmp_path) == []
    bad = '<a href="other.html#there"></a><img src="no.png"><a href="#nowhere"></a>'
    (tmp_path / "index.html").write_text(bad, encoding="utf-8")
    assert [text.split(": ")[1] for text in check_links.broken_links(tmp_path)] == [
        "#nowhere is no place on that page",
        "no.png is no file",
        "other.html#there is no place on that page",
    ]
