"""Print the figures that tell whether the house is in order; status 1 if one is beyond its limit.

    python scripts/measure_house.py

Read from the syntax trees of the package alone; nothing is imported from it.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "classic_moe"
TOP_MODULES, LONGEST, NAMES, PROBES = 7, 60, 40, 25
HARDEST = 10
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.BoolOp, ast.comprehension)
PROTOCOL = {"parts/part.py": "Part", "experts/base.py": "BaseExpert", "gates/base.py": "BaseGate"}


def sources():
    """Return the text and the syntax tree of every module, by its path in the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    texts = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in paths}
    return {name: (text, ast.parse(text)) for name, text in texts.items()}


def functions(tree):
    """Yield the functions of a module, those inside others too."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def body_lines(function):
    """Return the first and the last line of a function's body, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[0].lineno, function.end_lineno) if body else (function.end_lineno,) * 2


def length(function):
    """Return the lines of a function's body, without the docstring."""
    first, last = body_lines(function)
    return last - first + 1


def branch_points(function):
    """Return how many branches and loops there are in a function."""
    return sum(isinstance(node, BRANCHES) for node in ast.walk(function))


def comment_density(text, function):
    """Return the share of a function's lines that carry a comment."""
    first, last = body_lines(function)
    lines = [line for line in text.splitlines()[first - 1 : last] if line.strip()]
    return sum("# " in line for line in lines) / max(len(lines), 1)


def calls(tree, names):
    """Return the calls of plain functions with these names."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def protocol(modules):
    """Return the names that a part may have: those of the base classes, and those asked for.

    `offers(part, "verb")` is how the package asks whether a part has an optional verb.
    """
    found = set()
    for path, owner in PROTOCOL.items():
        for node in ast.walk(modules[path][1]):
            if isinstance(node, ast.ClassDef) and node.name == owner:
                found |= set(_members(node))
    for _, tree in modules.values():
        for call in calls(tree, {"offers"}):
            asked = call.args[1] if len(call.args) > 1 else None
            if isinstance(asked, ast.Constant):
                found.add(asked.value)
    return sorted(found)


def _members(node):
    """Yield the public methods and attributes that a class body defines."""
    for item in node.body:
        names = []
        if isinstance(item, ast.FunctionDef):
            names = [item.name]
        elif isinstance(item, ast.Assign):
            names = [target.id for target in item.targets if isinstance(target, ast.Name)]
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            names = [item.target.id]
        yield from (name for name in names if not name.startswith("_"))


def against_the_rule():
    """Return the imports against the one rule, by the module that makes them."""
    sys.path.insert(0, str(ROOT / "tests"))
    import test_imports  # the layers stand in the test that holds them

    return test_imports.against_the_rule()


def main():
    """Print the figures; return 1 if one is beyond its limit."""
    modules = sources()
    top = [name for name in modules if "/" not in name]
    each = [
        (name, text, function)
        for name, (text, tree) in modules.items()
        for function in functions(tree)
    ]
    outside = [entry for entry in each if not entry[0].startswith("_kernels/")]
    long = [f"{name}:{f.name} ({length(f)})" for name, _, f in outside if length(f) > LONGEST]
    names = protocol(modules)
    probes = {
        name: len(calls(tree, {"hasattr", "getattr"}))
        for name, (_, tree) in modules.items()
        if not name.startswith("parts/")
    }
    probes = {name: count for name, count in probes.items() if count}
    wrong = against_the_rule()

    lines = sum(len(text.splitlines()) for text, _ in modules.values())
    print(f"{len(modules)} modules, {lines} lines")
    print(f"modules at top level: {len(top)} (at most {TOP_MODULES}): {', '.join(top)}")
    print(f"functions over {LONGEST} lines outside _kernels: {len(long)} (none): {', '.join(long)}")
    print(f"names of the protocol: {len(names)} (at most {NAMES}): {', '.join(names)}")
    print(f"imports against the rule: {len(wrong)} (none): {wrong or ''}")
    total = sum(probes.values())
    print(f"hasattr and getattr outside parts: {total} (at most {PROBES}): {probes}")
    print(
        f"\nthe {HARDEST} functions with the most branches, and the share of lines with a comment:"
    )
    for name, text, function in sorted(each, key=lambda e: -branch_points(e[2]))[:HARDEST]:
        density = comment_density(text, function)
        print(
            f"  {branch_points(function):3d} branches, {length(function):3d} lines,"
            f" {density:4.0%}  {name}:{function.name}"
        )
    beyond = len(top) > TOP_MODULES or long or len(names) > NAMES or wrong or total > PROBES
    return int(bool(beyond))


if __name__ == "__main__":
    sys.exit(main())
