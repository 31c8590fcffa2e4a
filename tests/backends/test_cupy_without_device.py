"""What `python -m classic_moe info` says of devices, with CuPy and without one."""

import importlib.util
import sys
import types

import pytest

from classic_moe.cli import info


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


def fake_cupy(error=None):
    """Return a module that stands for CuPy, whose first allocation fails, or does not."""

    def zeros(n):
        if error is not None:
            raise error

    runtime = types.SimpleNamespace(getDeviceProperties=lambda i: {"name": b"NVIDIA H200"})
    cuda = types.SimpleNamespace(runtime=runtime)
    module = types.ModuleType("cupy")
    module.__version__, module.zeros, module.cuda = "14.2.0", zeros, cuda
    return module


@pytest.fixture
def installed(monkeypatch):
    """Give a function that says which libraries are there, as modules by name."""

    def only(**modules):
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: True if name in modules else None
        )

    return only


def test_no_library(installed):
    installed()
    assert info.device_in_words() == (
        "no: neither CuPy nor torch is installed (optional: the extras cuda12 and cuda13)"
    )


def test_cupy_without_a_device(installed):
    message = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime"
    installed(cupy=fake_cupy(CUDARuntimeError(message)))
    assert info.device_in_words() == (
        "CuPy 14.2.0 is installed but finds no usable CUDA device (cudaErrorInsufficientDriver)."
    )


def test_a_device(installed):
    installed(cupy=fake_cupy())
    said = info.device_in_words()
    assert said.startswith("yes: NVIDIA H200, by CuPy 14.2.0; set sklearn.set_config(")


def test_torch_where_cupy_finds_nothing(installed):
    cuda = types.SimpleNamespace(is_available=lambda: False)
    torch = types.ModuleType("torch")
    torch.__version__, torch.cuda = "2.14.1", cuda
    installed(cupy=fake_cupy(RuntimeError("no driver")), torch=torch)
    assert info.device_in_words() == (
        "CuPy 14.2.0 is installed but finds no usable CUDA device (no driver)."
        " torch 2.14.1 is installed but finds no usable CUDA device."
    )
    torch.cuda = types.SimpleNamespace(
        is_available=lambda: True, get_device_name=lambda i: "NVIDIA H200"
    )
    assert info.device_in_words().startswith("yes: NVIDIA H200, by torch 2.14.1; set")


def test_the_cupy_that_is_installed():
    """Without a driver it can be imported, and finds nothing; with one it finds a device."""
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed (it is optional)")
    said = info._cupy()
    assert said.startswith("yes: ") or "finds no usable CUDA device (" in said
