"""``python -m classic_moe info``: versions, backends, threads, GPU."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from joblib import cpu_count

from .. import __version__
from .report import WIDTH, print_line

REQUIRED = ("numpy", "scipy", "scikit-learn", "numba", "matplotlib")
OPTIONAL = ("pandas", "polars")


def run_info(args):
    """Print versions, backends, threads, and whether there is a GPU path."""
    lines = {"classic_moe": __version__, "python": platform.python_version()}
    lines |= {name: metadata.version(name) for name in REQUIRED}
    lines |= {name: _version(name) or "not installed (optional)" for name in OPTIONAL}
    lines["backends"] = _backends()
    lines["threads"] = f"{cpu_count()} available; n_jobs=None uses 1, n_jobs=-1 all of them"
    lines["gpu"] = "no: this version computes on the CPU only, it has no CuPy path yet"
    for name, text in lines.items():
        print_line(f"{name:<14}{text}"[:WIDTH])


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
