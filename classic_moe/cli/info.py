"""``python -m classic_moe info``: versions, backends, threads, devices."""

from __future__ import annotations

import importlib.util
import os
import platform
import textwrap
from importlib import metadata

from joblib import cpu_count

from .. import __version__
from .report import WIDTH, print_line

HOW = "set sklearn.set_config(array_api_dispatch=True), with SCIPY_ARRAY_API=1 in the environment"
REQUIRED = ("numpy", "scipy", "scikit-learn", "numba", "matplotlib")
OPTIONAL = ("pandas", "polars")


def run_info(args):
    """Print versions, backends, threads, and whether there is a device to compute on."""
    lines = {"classic_moe": __version__, "python": platform.python_version()}
    lines |= {name: metadata.version(name) for name in REQUIRED}
    lines |= {name: _version(name) or "not installed (optional)" for name in OPTIONAL}
    lines["backends"] = _backends()
    lines["threads"] = f"{cpu_count()} available; n_jobs=None uses 1, n_jobs=-1 all of them"
    lines["device"] = device_in_words()
    for name, text in lines.items():
        for line in textwrap.wrap(text, WIDTH - 14) or [""]:
            print_line(f"{name:<14}{line}")
            name = ""


def device_in_words():
    """Return whether there is a device to compute on, and why not, a str.

    A library that is not installed is not imported, nor is torch where CuPy has a device.
    """
    said = []
    for say in (_cupy, _torch):
        found = say()
        if found.startswith("yes"):
            return found
        said += [found] if found else []
    none = "no: neither CuPy nor torch is installed (optional: the extras cuda12 and cuda13)"
    return " ".join(said) or none


def _cupy():
    """Return what CuPy finds, a str; "" where it is not installed."""
    if importlib.util.find_spec("cupy") is None:
        return ""
    import cupy

    name = f"CuPy {cupy.__version__}"
    try:
        cupy.zeros(1)
        device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except Exception as error:  # which one depends on what is missing: driver, device, library
        reason = str(error).partition(":")[0] or type(error).__name__
        return f"{name} is installed but finds no usable CUDA device ({reason})."
    return f"yes: {device}, by {name}; {HOW}"


def _torch():
    """Return what torch finds, a str; "" where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return ""
    import torch

    name = f"torch {torch.__version__}"
    if not torch.cuda.is_available():
        return f"{name} is installed but finds no usable CUDA device."
    return f"yes: {torch.cuda.get_device_name(0)}, by {name}; {HOW}"


def _version(name):
    """Return the version of an installed package, a str, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _backends():
    """Return in words which code computes, a str."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "numpy only: NUMBA_DISABLE_JIT switches numba off"
    return "numpy for a few small fits; otherwise numba (compiled at first use, then cached)"
