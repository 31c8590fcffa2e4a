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


def test_the_walk_sees_imports_of_every_form():
    assert "classic_moe._kernels.array" in imports("experts.linear", lazy=False)
    assert "classic_moe.softmax_regression" in imports("gates.softmax", lazy=False)
    assert "classic_moe._kernels.compiled" in imports("_kernels.fused", lazy=True)
    assert "classic_moe._kernels.compiled" not in imports("_kernels.fused", lazy=False)
    assert "classic_moe.experts" in imports("parameters", lazy=False)
    assert "classic_moe.regression" in imports("__init__", lazy=False)
    assert "classic_moe.experts.base" in imports("experts", lazy=False)


# -- layers ------------------------------------------------------------------------------------

PARTS = {"experts", "gates"}
BELOW_PARTS = {"_kernels", "statistics", "params", "linalg", "softmax_regression", "units"}
BELOW_PARTS |= {"findings", "exceptions", "objectives", "views"}
BELOW_PARTS |= {"hyperparameters", "columns", "coordinates", "part"}
SHELL = {"base", "predictions", "regression", "classification", "fitting", "starts", "known"}
SHELL |= {"adaptive", "meta_pi", "_meta_pi", "initialization"}
TOOLS = {"inspection", "inference", "model_selection", "datasets", "cli", "testing", "tables"}
TOOLS |= {"_testing_cases", "_testing_checks"}


@pytest.mark.parametrize(
    "lower, higher",
    [
        ({"solvers"}, PARTS | SHELL | TOOLS | {"units"}),
        ({"model"}, SHELL | TOOLS | PARTS | {"solvers"}),
        (PARTS, SHELL | TOOLS | {"model", "solvers", "batches"}),
        (BELOW_PARTS, SHELL | TOOLS | PARTS | {"model", "solvers", "batches"}),
        ({"batches"}, SHELL | TOOLS | PARTS | {"model", "solvers"}),
        ({"datasets", "distribution"}, SHELL | PARTS | {"model", "solvers", "_kernels"}),
        ({"inspection", "inference", "model_selection"}, PARTS | {"model", "solvers", "_kernels"}),
        (SHELL, TOOLS - {"inference"}),  # `summary` is a method
    ],
    ids=lambda names: "-".join(sorted(names)[:3]),
)
def test_imports_run_one_way(lower, higher):
    upward = {
        name: sorted(i for i in imports(name, lazy=True) if _part(i) in higher)
        for name in inside(*lower)
    }
    assert not {name: found for name, found in upward.items() if found}


def _part(imported):
    names = imported.split(".")
    return names[1] if names[0] == "classic_moe" and len(names) > 1 else None


def test_experts_and_gates_do_not_know_each_other():
    assert not importers("classic_moe.experts") & inside("gates")
    assert not importers("classic_moe.gates") & inside("experts")


@pytest.mark.parametrize(
    "package, home",
    [
        ("numba", {"_kernels.compiled"}),
        ("llvmlite", {"_kernels.compiled"}),
        ("classic_moe._kernels.compiled", {"_kernels.fused"}),
        ("dask", {"batches"}),
        ("cupy", set()),
        ("pytest", set()),
    ],
)
def test_what_is_optional_or_heavy_is_imported_in_one_place(package, home):
    assert importers(package) <= home


def test_matplotlib_is_imported_for_pictures_only():
    assert importers("matplotlib") <= inside("inspection", "cli")


def test_only_fused_imports_the_compiled_kernels_and_only_when_called():
    assert importers("classic_moe._kernels.compiled", lazy=False) == set()


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


def test_public_names_exist():
    for name in ("", "experts", "gates", "solvers", "testing", "datasets"):
        module = __import__(f"classic_moe.{name}".rstrip("."), fromlist=["__all__"])
        assert sorted(set(module.__all__)) == sorted(module.__all__)
        assert all(hasattr(module, public) for public in module.__all__)
