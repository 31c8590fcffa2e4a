"""The colours of experts, the same in pictures, pages and notebooks."""

from __future__ import annotations

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
"""Seven colours that colour-blind readers tell apart (Okabe & Ito 2008); black is for the mean."""
FURTHER = ("#332288", "#6D2400", "#496DFF", "#6DDB92", "#004949")
"""Five more, as far from these, from black and from each other as the seven are among themselves,
for red-blind and green-blind eyes too."""
GREY = "#5a5a5a"
MOST_HUES = len(OKABE_ITO + FURTHER)
"""Experts that colours tell apart; more are told by their numbers."""


def expert_colors(n_experts):
    """Return a colour for each expert, (K,); beyond twelve, one grey for all."""
    if n_experts <= MOST_HUES:
        return list((OKABE_ITO + FURTHER)[:n_experts])
    return [GREY] * n_experts
