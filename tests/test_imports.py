"""What imports what: the layers of the package, and how little an import brings in."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import classic_moe

ROOT = Path(classic_moe.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}

LAYERS = [
    {"_version"},
    {"_kernels", "exceptions", "datasets"},
    {"distribution"},
    {"parts"},
    {"data", "report"},
    {"gates", "experts", "metrics"},
    {"routing"},
    {"model"},
    {"solvers"},
    {"starts"},
    {"estimators"},
    {"model_selection", "inference"},
    {"persistence", "inspection", "export"},
    {"testing", "cli"},
    {"__init__", "__main__"},
]
"""The rooms and single modules of the package, the lowest first. A room sees those below it, and
itself; rooms of one layer do not know each other."""
QUICK = "_kernels.quick"
"""The namespace of compiled elementwise functions; nobody imports it before it is called."""
KERNELS = {f"model.{kind}" for kind in ("fused_pass", "fused_climb", "fused_information")}
KERNELS |= {
    "model.staged_pass",
    "model.reading",
    "data.units",
    "parts.kept",
    "gates.tree",
    "distribution.univariate",
    "experts._network",
    "_kernels.loading",
    QUICK,
}
"""Who calls compiled kernels."""
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


@functools.cache
def imports(name, *, lazy):
    """Absolute names of what a module imports; without `lazy`, when it is imported itself."""
    tree = ast.parse(MODULES[name].read_text())
    package = list(MODULES[name].relative_to(ROOT).parent.parts)
    found = set()
    for node in _nodes(tree, lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom):
            base = ["classic_moe", *package][: len(package) + 2 - node.level]
            base += node.module.split(".") if node.module else []
            for alias in node.names:  # `from . import x` may name a module
                inner = ".".join([*base, alias.name])
                known = inner.removeprefix("classic_moe.") in MODULES
                found.add(inner if known else ".".join(base))
    return found


def _nodes(tree, lazy):
    for node in ast.iter_child_nodes(tree):
        if lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _nodes(node, lazy)


def importers(package, *, lazy=True):
    """The modules that import a package, ours or another's."""
    return {
        name
        for name in MODULES
        if any(i == package or i.startswith(package + ".") for i in imports(name, lazy=lazy))
    }


def inside(*packages):
    return {name for name in MODULES if name.split(".")[0] in packages}


def _room(name):
    """The room of a module, by its own name or as it is imported; None for other packages."""
    names = name.split(".")
    if names[0] != "classic_moe":
        return None
    return names[1] if len(names) > 1 else "__init__"


def test_the_walk_sees_imports_of_every_form():
    assert "classic_moe._kernels.array" in imports("experts.linear", lazy=False)
    assert "classic_moe.parts.softmax_regression" in imports("gates.softmax", lazy=False)
    assert "classic_moe._kernels.compiled" in imports("model.fused_pass", lazy=True)
    assert "classic_moe._kernels.compiled" not in imports("model.fused_pass", lazy=False)
    assert "classic_moe.estimators.regression" in imports("__init__", lazy=False)
    assert "classic_moe.experts.base" in imports("experts", lazy=False)


# -- layers ------------------------------------------------------------------------------------


def test_every_module_stands_in_exactly_one_layer():
    assert sum(map(len, LAYERS)) == len(LEVEL)
    assert {name.split(".")[0] for name in MODULES} == set(LEVEL)


def against_the_rule():
    """Imports of a room that is not below, those inside functions too, by the module.

    `__init__` alone is seen from above, for the version number.
    """
    against = {}
    for name in MODULES:
        room = name.split(".")[0]
        for imported in imports(name, lazy=True):
            other = _room(imported)
            if other in (None, room) or (other == "__init__" and room in ("cli", "__main__")):
                continue
            if LEVEL[other] >= LEVEL[room]:
                against.setdefault(name, []).append(imported)
    return against


def test_imports_run_one_way():
    assert not against_the_rule()


def test_solvers_and_starts_never_see_a_part():
    assert not importers("classic_moe.experts") & inside("gates", "model", "solvers", "starts")
    assert not importers("classic_moe.gates") & inside("experts", "model", "solvers", "starts")


def test_reports_and_pictures_see_a_fit_from_outside():
    seen = {i for name in inside("report", "inspection") for i in imports(name, lazy=True)}
    rooms = {_room(i) for i in seen} - {None, "report", "inspection"}
    # Pictures draw what is inferred, and fits under the same numbers; they call for both late.
    assert rooms <= {"parts", "inference", "model_selection"}
    early = {_room(i) for name in inside("inspection") for i in imports(name, lazy=False)}
    assert early <= {None, "parts", "inspection"}
    assert {_room(i) for name in inside("report") for i in imports(name, lazy=True)} <= {
        *(None, "parts", "report")
    }
    assert {i for i in seen if _room(i) == "parts"} <= {
        "classic_moe.parts.checks",
        "classic_moe.parts.black_box",
        "classic_moe.parts.names",
        "classic_moe.parts.palette",
        "classic_moe.parts.storage",
        "classic_moe.parts.tables",
    }


@pytest.mark.parametrize(
    "package, home",
    [
        ("numba", {"_kernels.compiled", "_kernels.notice"}),
        ("llvmlite", {"_kernels.compiled"}),
        ("classic_moe._kernels.compiled", KERNELS),
        ("classic_moe._kernels.quick", {"parts.stages", "experts._network"}),
        ("dask", {"data.dask_source"}),
        ("cupy", {"cli.info"}),
        ("pytest", set()),
    ],
)
def test_what_is_optional_or_heavy_is_imported_in_one_place(package, home):
    assert importers(package) <= home


def test_matplotlib_is_imported_for_pictures_only():
    assert importers("matplotlib") <= inside("inspection", "cli")


def test_compiled_kernels_are_imported_only_when_called():
    assert importers("classic_moe._kernels.compiled", lazy=False) == {QUICK}
    assert importers("classic_moe._kernels.quick", lazy=False) == set()


# -- a fresh process ---------------------------------------------------------------------------


def test_importing_the_package_brings_in_nothing_heavy():
    program = """
import sys
import scipy.stats, sklearn.base, sklearn.utils.validation  # these bring in pandas if they find it
before = set(sys.modules)
import classic_moe, classic_moe.experts, classic_moe.gates, classic_moe.solvers
import classic_moe.datasets, classic_moe.testing
heavy = {"numba", "llvmlite", "matplotlib", "pandas", "polars", "dask", "pytest", "statsmodels"}
print(*sorted(heavy & (set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def fresh(program):
    """What a program prints in a process of its own; it must not complain."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_package_itself_imports_nothing_but_what_is_asked_for():
    program = """
import sys
import classic_moe
print(*sorted({"numpy", "scipy", "sklearn", "joblib"} & set(sys.modules)))
"""
    assert fresh(program) == []


@pytest.mark.parametrize(
    "argv",
    [
        "fit mistyped.csv --target y --plot p.png --out m.joblib",
        "fit tests --target y",
        "fit --help",
        "fit pyproject.toml --target y --feature x",
        "predict mistyped.joblib new.csv --out p.csv",
        "dance",
    ],
)
def test_the_command_line_answers_before_anything_heavy_is_imported(argv):
    program = f"""
import sys
from classic_moe.cli import main
try:
    status = main({argv.split()})
except SystemExit as end:
    status = end.code
sys.stderr = sys.__stderr__
heavy = "scipy sklearn joblib pandas matplotlib numba".split()
print("loaded", *[name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
    )
    assert done.stdout.splitlines()[-1] == "loaded"
    assert "Traceback" not in done.stderr


def test_public_names_are_found_when_they_are_asked_for():
    program = """
import classic_moe
assert set(classic_moe.__all__) <= set(dir(classic_moe))
print(classic_moe.experts.LinearExpert.__name__, classic_moe.exceptions.__name__)
from classic_moe import *
print(MetaPiRegressor.__name__, SeparationWarning.__name__, log_likelihood_scorer)
import pickle
print(type(pickle.loads(pickle.dumps(classic_moe.MixtureOfExpertsRegressor()))).__name__)
try:
    classic_moe.nothing
except AttributeError as error:
    print(error)
"""
    names = ["LinearExpert", "classic_moe.exceptions", "MetaPiRegressor", "SeparationWarning"]
    names += ["log_likelihood_scorer", "MixtureOfExpertsRegressor"]
    assert fresh(program) == [*names, *"module 'classic_moe' has no attribute 'nothing'".split()]


def test_type_checkers_see_the_public_names():
    homes = {f"classic_moe.{home}" for home in classic_moe._HOMES.values()}
    tree = ast.parse(MODULES["__init__"].read_text())
    seen = {
        alias.name: f"classic_moe.{node.module}"
        for node in _nodes(tree, lazy=False)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    del seen["__version__"]
    assert set(seen.values()) == homes
    assert seen == {name: f"classic_moe.{home}" for name, home in classic_moe._HOMES.items()}
    assert {*seen, "__version__"} == set(classic_moe.__all__)


def test_public_names_exist():
    for name in ("", "experts", "gates", "solvers", "testing", "datasets", "distribution"):
        module = __import__(f"classic_moe.{name}".rstrip("."), fromlist=["__all__"])
        assert sorted(set(module.__all__)) == sorted(module.__all__)
        assert all(hasattr(module, public) for public in module.__all__)
