"""Which experts a row is sent to, and how their loads are kept alike.

Routers and balance terms of sparse mixtures and blends, 1991 to 2024, as objects with
hyper-parameters, and the settings of the papers by name: `preset`.
"""

from .assignment import BalancedAssignmentRouter, ExpertChoiceRouter
from .balancing import (
    AuxiliaryLoss,
    BalanceTerm,
    BiasBalancing,
    BudgetLoss,
    ImportanceLoss,
    LoadLoss,
    ZLoss,
)
from .base import BaseRouter
from .fixed import HashRouter, RandomRouter, SampledRouter
from .presets import PRESETS, Preset, preset
from .report import TopKReport, top_k_report
from .top_k import TopKRouter

__all__ = [
    "PRESETS",
    "AuxiliaryLoss",
    "BalanceTerm",
    "BalancedAssignmentRouter",
    "BaseRouter",
    "BiasBalancing",
    "BudgetLoss",
    "ExpertChoiceRouter",
    "HashRouter",
    "ImportanceLoss",
    "LoadLoss",
    "Preset",
    "RandomRouter",
    "SampledRouter",
    "TopKReport",
    "TopKRouter",
    "ZLoss",
    "preset",
    "top_k_report",
]
