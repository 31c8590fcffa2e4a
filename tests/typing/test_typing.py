"""Types of the public surface: everything has some, and they are true."""

import importlib
import importlib.util
import inspect
from pathlib import Path

import pytest

import classic_moe

HERE = Path(__file__).parent
PACKAGES = [
    "classic_moe",
    *(f"classic_moe.{room}" for room in ("datasets", "distribution", "inference", "inspection")),
    *(f"classic_moe.{room}" for room in ("metrics", "model_selection")),
]
FITS = {"fit", "fit_blocks", "partial_fit", "set_fit_request", "set_partial_fit_request"}
"""Methods whose types are scikit-learn's own, or those of estimators: any."""
SKLEARN = {"get_metadata_routing", "get_params", "set_params"}


def consumer():
    spec = importlib.util.spec_from_file_location("consumer", HERE / "consumer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("function", consumer().EVERYTHING, ids=lambda f: f.__name__)
def test_types_are_true_when_the_code_runs(function):
    function()


def public(module):
    """The public functions of a package, methods and properties, by name."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            yield from ((f"{name}.{own}", method) for own, method in methods(value))


def methods(cls):
    for name in dir(cls):
        if name.startswith("_") or name in FITS | SKLEARN:
            continue
        value = inspect.getattr_static(cls, name)
        value = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        value = value.fget if isinstance(value, property) else value
        value = getattr(value, "fn", value)  # of available_if
        if inspect.isfunction(value) and inspect.unwrap(value).__module__.startswith("classic_moe"):
            yield name, inspect.unwrap(value)


def without_types(function):
    """The parameters of a function that have no type, and "return" where it has none."""
    signature = inspect.signature(function)
    names = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
    ]
    return names + ["return"] * (signature.return_annotation is signature.empty)


def test_what_lacks_types_is_seen():
    def some(x: int, y) -> int:
        return x

    assert without_types(some) == ["y"]
    assert without_types(lambda: 1) == ["return"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_function_and_method_has_types(name):
    found = dict(public(importlib.import_module(name)))
    assert found
    assert {what: bare for what, f in found.items() if (bare := without_types(f))} == {}


def test_the_package_says_that_it_has_types():
    assert (Path(classic_moe.__file__).parent / "py.typed").is_file()
