"""Figures without a screen, for writing to files."""

from __future__ import annotations


def two_panels():
    """Return a figure that no window manager knows, and its axes (data, gate)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    return figure, figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))


def can_be_written(path):
    """Tell whether matplotlib knows the kind of picture that the suffix names."""
    from matplotlib.figure import Figure

    return path.suffix[1:].lower() in Figure().canvas.get_supported_filetypes()
