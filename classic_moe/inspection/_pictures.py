"""Figures without a screen, for writing to files."""

from __future__ import annotations


def blank(width, height):
    """Return a figure that no window manager knows, of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def two_panels():
    """Return a figure that no window manager knows, and its axes (data, gate)."""
    figure = blank(8, 5)
    return figure, figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))


def can_be_written(path):
    """Tell whether matplotlib knows the kind of picture that the suffix names."""
    from matplotlib.figure import Figure

    return path.suffix[1:].lower() in Figure().canvas.get_supported_filetypes()
