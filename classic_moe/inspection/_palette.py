"""The colours of experts and fits."""

from __future__ import annotations

import numpy as np

from ..parts.palette import MOST_HUES, expert_colors
from ..parts.palette import OKABE_ITO as OKABE_ITO


def hueless(colors):
    """Tell whether colours (K, 3) say nothing, so that experts are told by their numbers."""
    return len(colors) > MOST_HUES and not np.ptp(colors, axis=0).any()


def chosen_colors(given, n, of="experts"):
    """Return the first n of the colours given, as they are, or those of the palette for None.

    ValueError for too few, and for what is no colour.
    """
    if given is None:
        return expert_colors(n)
    from matplotlib.colors import is_color_like

    if not np.iterable(given):
        raise ValueError(
            f"colors={given!r}: needs a list of {n} colours, one for each of the {of}."
        )
    colors = list(given)[:n]
    wrong = [color for color in colors if not is_color_like(color)]
    if wrong:
        raise ValueError(f"colors: {wrong[0]!r} is no colour that matplotlib knows.")
    if len(colors) < n:
        raise ValueError(f"colors: {len(colors)} for {n} {of}; give one for each, or None.")
    return colors


def rgb_colors(given, n):
    """Return `chosen_colors` as numbers that can be mixed, (n, 3)."""
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(color) for color in chosen_colors(given, n)])
