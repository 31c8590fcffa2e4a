"""Whether compiled kernels are worth their loading, by how much there is to do."""

from __future__ import annotations

import sys

SMALL = 256
"""Rows up to which a few calls of numpy are as quick as preparing a kernel's arguments."""
LARGE = 200_000
"""Rows whose work in numpy takes about as long as it takes to load numba."""


def is_loaded():
    """Return whether this process has loaded the compiled kernels, a bool."""
    return f"{__package__}.compiled" in sys.modules


def load():
    """Load the compiled kernels: for many fits, which are to take the same road all of them."""
    from . import compiled  # noqa: F401


def pays(rows):
    """Return whether kernels are worth it for what is done once to so many rows, a bool."""
    return rows > (SMALL if is_loaded() else LARGE)
