"""Axes to draw on, given or new, and what stands around them: legends and notes."""

from __future__ import annotations

from ._palette import hueless

BESIDE = dict(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
"""Where a legend stands that hides no data."""


PLURALS = {"leaf": "leaves"}
LEAST_TRUST = 0.08
"""How far an expert must be believed somewhere for its number to be written there."""


def one_axes(ax, size):
    """Return the axes given, or those of a new figure of so many inches (width, height)."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def panels(ax, size, shape, **options):
    """Return a grid of axes in place of one, or in a new figure, and the figure that holds them.

    Parameters
    ----------
    ax : matplotlib Axes or None
    size : pair of float
        Inches of a new figure, (width, height).
    shape : pair of int
        How many one below the other, and side by side.
    **options
        As of matplotlib's `subplots`: `width_ratios`, `sharey` and the like.

    Returns
    -------
    figure : matplotlib Figure or SubFigure
    axes : ndarray of shape `shape`
    """
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size, layout="constrained")
    else:
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"ax: {shape[0] * shape[1]} panels need axes of a grid, as plt.subplots makes"
                " them; these stand by themselves."
            )
        parent = ax.figure
        ax.remove()
        figure = parent.add_subfigure(place)
    return figure, figure.subplots(*shape, squeeze=False, **options)


def legend_beside(ax, handles, labels, **more):
    """Return a legend to the right of the axes."""
    return ax.legend(handles, labels, **BESIDE | more)


def expert_entries(handle, colors, names, label="expert"):
    """Return handles and labels of the experts for a legend, two lists.

    Parameters
    ----------
    handle : callable (color) -> artist
    colors : ndarray of shape (K, 3)
        Where these say nothing there is one entry, which refers to the numbers.
    names : list of K str, or None for "expert 0" and so on
    """
    if hueless(colors):
        return [handle(colors[0])], [f"{PLURALS.get(label, label + 's')}, by number"]
    return [handle(color) for color in colors], names_or_numbers(names, len(colors), label)


def draw_numbers(ax, x, y, trust, colors):
    """Write the number of every expert on its curve where it is trusted most, if colours do not.

    Parameters
    ----------
    ax : matplotlib Axes
    x : ndarray of shape (m,)
    y, trust : ndarray of shape (m, K)
        The curves, and the gate.
    colors : ndarray of shape (K, 3)
    """
    if not hueless(colors):
        return []
    box = dict(boxstyle="circle,pad=0.12", facecolor="white", edgecolor="none", alpha=0.8)
    style = dict(ha="center", va="center", fontsize="x-small", bbox=box, zorder=5, clip_on=True)
    places = trust.argmax(axis=0)
    shown = [k for k, i in enumerate(places) if trust[i, k] >= LEAST_TRUST]
    return [ax.text(x[places[k]], y[places[k], k], str(k), **style) for k in shown]


def draw_note(ax, note, figure=None):
    """Write a remark above the picture, small and grey; over all panels of a figure, if given."""
    if figure is None:
        ax.set_title(note, loc="left", fontsize="small", color="0.35")
    elif note:
        figure.suptitle(note, x=0.01, ha="left", fontsize="small", color="0.35")


def names_or_numbers(names, n, what="expert"):
    """Return the names of n experts, or "expert 0" and so on where there are none."""
    return [f"{what} {k}" for k in range(n)] if names is None else list(names)
