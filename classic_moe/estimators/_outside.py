"""Where the package was called from: the place that a warning names."""

from __future__ import annotations

import sys


def level_outside():
    """Return the `stacklevel` in the caller of the first frame outside of this package, int.

    scikit-learn's callbacks, which stand between a caller and `fit`, do not count as outside.
    """
    inside = (f"{__name__.split('.')[0]}.", "sklearn.callback.")
    level, frame = 1, sys._getframe(1)
    while frame.f_back and f"{frame.f_globals.get('__name__', '')}.".startswith(inside):
        frame, level = frame.f_back, level + 1
    return level
