"""Regions of a plane, one for each expert: their borders, the numbers in them, and which touch."""

from __future__ import annotations

import numpy as np

LEAST_DEPTH = 0.025
"""How deep a region must be to have room for a number, as a share of the picture's height."""


def extent_of(grids):
    """Return the extent of an image whose pixels lie around the points of two grids, (4,)."""
    half = [(grid[1] - grid[0]) / 2 for grid in grids]
    ends = [(grid[0] - h, grid[-1] + h) for grid, h in zip(grids, half, strict=True)]
    return (*ends[0], *ends[1])


def draw_borders(ax, grids, winner, style):
    """Draw the lines between the regions of `winner` (m_2, m_1); return the last ContourSet.

    None where there is but one region.
    """
    borders, present = None, np.unique(winner)
    if len(present) < 2:
        return borders
    # A contour of the numbers themselves would run twice between regions 0 and 2.
    for k in present:
        mask = (winner == k).astype(float)
        borders = ax.contour(*grids, mask, levels=[0.5], **style)
    return borders


def draw_number(ax, grids, at, text, color, size):
    """Write the number of an expert at a point (i, j) of the grids, in a white disk."""
    box = dict(boxstyle="circle,pad=0.25", facecolor="white", edgecolor="none", alpha=0.85)
    style = dict(ha="center", va="center", fontsize=size, fontweight="bold", zorder=4)
    return ax.text(grids[0][at[1]], grids[1][at[0]], text, color=color, bbox=box, **style)


def deepest_point(mask):
    """Return the middle (i, j) of what lies deepest in a region, and its depth in grid points."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    deep = np.argwhere(depth >= 0.9 * depth.max())
    middle = np.argwhere(mask).mean(axis=0)
    best = deep[((deep - middle) ** 2).sum(axis=1).argmin()]
    return best, depth[tuple(best)]


def pieces(mask):
    """Yield the connected pieces of a region, bool arrays of its shape."""
    from scipy.ndimage import label

    numbers, count = label(mask)
    for i in range(1, count + 1):
        yield numbers == i


def set_apart(winner, n_colors):
    """Return a colour number for each region, a dict, no two that touch having the same.

    Regions that touch most others choose first. Where `n_colors` do not suffice, a region shares
    the one that fewest of its neighbours have.
    """
    beside = {int(k): set() for k in np.unique(winner)}
    for a, b in ((winner[1:], winner[:-1]), (winner[:, 1:], winner[:, :-1])):
        for j, k in np.unique(np.stack([a[a != b], b[a != b]], axis=1), axis=0):
            beside[int(j)].add(int(k))
            beside[int(k)].add(int(j))
    chosen = {}
    for k in sorted(beside, key=lambda k: (-len(beside[k]), k)):
        taken = [chosen[j] for j in beside[k] if j in chosen]
        chosen[k] = min(range(n_colors), key=lambda c: (taken.count(c), c))
    return chosen
