"""Where the package was called from: the place that a warning names."""

from __future__ import annotations

import sys


def level_outside():
    """Return the `stacklevel` in the caller of the first frame outside of this package, int."""
    package, level, frame = __name__.split(".")[0], 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level
