"""Colours for experts."""

from __future__ import annotations

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
"""Seven colours that colour-blind readers tell apart (Okabe & Ito 2008); black is for the mean."""


def expert_colors(n_experts):
    """One colour per expert; beyond seven, evenly spaced on matplotlib's cividis."""
    if n_experts <= len(OKABE_ITO):
        return list(OKABE_ITO[:n_experts])
    from matplotlib import colormaps

    cividis = colormaps["cividis"]
    return [cividis(k / (n_experts - 1))[:3] for k in range(n_experts)]
