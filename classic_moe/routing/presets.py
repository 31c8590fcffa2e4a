"""The papers' settings by name: nothing but constructor values."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from .assignment import BalancedAssignmentRouter, ExpertChoiceRouter
from .balancing import (
    AuxiliaryLoss,
    BiasBalancing,
    BudgetLoss,
    ImportanceLoss,
    LoadLoss,
    ZLoss,
)
from .fixed import HashRouter
from .top_k import TopKRouter

NONE = "none"
"""The word for no balance term and no capacity, where None leaves it to the preset."""
DEFAULTS = dict(n_experts=16, n_shared=0, balance=NONE, capacity_factor=NONE)
"""What is left unsaid, None, stands for this where no preset says otherwise."""
KEPT = 2
"""Experts of a row where nobody says how many."""


@dataclass(frozen=True)
class Preset:
    """What a name in `router=` sets, where the caller sets nothing else.

    Printing it shows the router, its k, and every parameter with the value that it has if it is
    left None.

    Attributes
    ----------
    name : str
    paper : str
    router : BaseRouter
    parameters : dict
        Of the estimator: `balance`, `capacity_factor`, `n_shared`, and `n_experts` where the paper
        fixes it.
    note : str
        What differs from the paper.
    """

    name: str
    paper: str
    router: object
    parameters: dict = field(default_factory=dict)
    note: str = ""

    def __repr__(self):
        lines = [f"{self.name}: {self.paper}", f"  router={self.router!r}"]
        lines += [f"  k={self.router.k}"] if self.router.has_order else []
        lines += [f"  {name}={value!r}" for name, value in (DEFAULTS | self.parameters).items()]
        return "\n".join(lines + ([f"  ({self.note})"] if self.note else []))


_LISTED = (
    Preset(
        "shazeer",
        "Shazeer et al. 2017, sparsely-gated mixture of experts, arXiv:1701.06538",
        TopKRouter(noise="learned"),
        dict(balance=[ImportanceLoss(0.1), LoadLoss(0.1)]),
    ),
    Preset(
        "switch",
        "Fedus, Zoph & Shazeer 2022, Switch transformers, arXiv:2101.03961",
        TopKRouter(k=1, weight="raw"),
        dict(balance=[AuxiliaryLoss(0.01)], capacity_factor=1.25, n_shared=1),
        "the shared expert stands for the layer's residual path, which rows dropped fall back on",
    ),
    Preset(
        "gshard",
        "Lepikhin et al. 2020, GShard, arXiv:2006.16668",
        TopKRouter(second="random"),
        dict(balance=[AuxiliaryLoss(0.01)], capacity_factor=1.0, n_shared=1),
        "loads count both choices; the shared expert stands for the residual path",
    ),
    Preset(
        "glam",
        "Du et al. 2021, GLaM, arXiv:2112.06905",
        TopKRouter(),
        dict(balance=[AuxiliaryLoss(0.01)], capacity_factor=1.25),
    ),
    Preset(
        "vmoe",
        "Riquelme et al. 2021, V-MoE, arXiv:2106.05974",
        TopKRouter(weight="raw", noise=1 / 16),
        dict(
            balance=[ImportanceLoss(0.005), LoadLoss(0.005)],
            capacity_factor=1.05,
            n_shared=1,
        ),
        "noise is 1/K at 16 experts; the shared expert stands for the residual path",
    ),
    Preset(
        "st_moe",
        "Zoph et al. 2022, ST-MoE, arXiv:2202.08906",
        TopKRouter(),
        dict(balance=[AuxiliaryLoss(0.01), ZLoss(0.001)], capacity_factor=1.25),
    ),
    Preset(
        "nllb",
        "NLLB team 2022, No language left behind, arXiv:2207.04672",
        TopKRouter(masking=0.2),
        dict(balance=[AuxiliaryLoss(0.01), BudgetLoss(0.5, 0.1)], n_shared=1),
        "the second expert is the second best, not drawn",
    ),
    Preset(
        "mixtral",
        "Jiang et al. 2024, Mixtral of experts, arXiv:2401.04088",
        TopKRouter(),
        dict(balance=[AuxiliaryLoss(0.01)], n_experts=8),
    ),
    Preset(
        "dbrx",
        "Databricks 2024, DBRX",
        TopKRouter(k=4),
        dict(balance=[AuxiliaryLoss(0.01)], n_experts=16),
    ),
    Preset(
        "deepseek_v2",
        "Dai et al. 2024, DeepSeekMoE, arXiv:2401.06066",
        TopKRouter(k=4, weight="raw"),
        dict(balance=[AuxiliaryLoss(0.01)], n_shared=1),
    ),
    Preset(
        "deepseek_v3",
        "DeepSeek-AI 2024, DeepSeek-V3, arXiv:2412.19437",
        TopKRouter(k=4, score="sigmoid", n_groups=8, n_kept_groups=4, scale=2.5),
        dict(balance=[BiasBalancing(0.001)], n_shared=1),
        "without the sequence-wise loss of weight 1e-4",
    ),
    Preset(
        "olmoe",
        "Muennighoff et al. 2024, OLMoE, arXiv:2409.02060",
        TopKRouter(k=8, weight="raw"),
        dict(balance=[AuxiliaryLoss(0.01), ZLoss(0.001)]),
    ),
    Preset(
        "expert_choice",
        "Zhou et al. 2022, Expert choice routing, arXiv:2202.09368",
        ExpertChoiceRouter(2.0),
        dict(n_shared=1),
        "the shared expert stands for the residual path of rows that nobody takes",
    ),
    Preset(
        "base",
        "Lewis et al. 2021, BASE layers, arXiv:2103.16716",
        BalancedAssignmentRouter(),
        dict(n_shared=1),
        "an exact assignment, no auction; the shared expert stands for the residual path",
    ),
    Preset("hash", "Roller et al. 2021, Hash layers, arXiv:2106.04426", HashRouter(), {}),
)

PRESETS = MappingProxyType({each.name: each for each in _LISTED})
"""The presets by name."""


def preset(name: str) -> Preset:
    """Return what a preset sets, and its paper; printing it shows both.

    Parameters
    ----------
    name : str
        One of `PRESETS`.

    Returns
    -------
    Preset

    Raises
    ------
    ValueError
        For a name that is none of them.

    Examples
    --------
    >>> from classic_moe.routing import preset
    >>> preset("mixtral")
    mixtral: Jiang et al. 2024, Mixtral of experts, arXiv:2401.04088
      router=TopKRouter()
      k=2
      n_experts=8
      n_shared=0
      balance=[AuxiliaryLoss()]
      capacity_factor='none'
    """
    if name not in PRESETS:
        known = ", ".join(map(repr, PRESETS))
        raise ValueError(f"preset {name!r} is not known in this version; use one of {known}.")
    return PRESETS[name]
