"""Looking at fitted models: one Display class a file, in scikit-learn's manner.

matplotlib is imported when something is drawn, not before.
"""

from .animation import animate_em
from .balance_curve import BalanceCurveDisplay
from .calibration import CalibrationDisplay
from .coefficient import CoefficientDisplay
from .conditional_density import ConditionalDensityDisplay
from .convergence import ConvergenceDisplay
from .expert_curves import ExpertCurvesDisplay
from .expert_load import ExpertLoadDisplay
from .expert_usage import ExpertUsageDisplay
from .gate_dependence import GateDependenceDisplay
from .gate_region import GateRegionDisplay
from .matching import match_experts
from .mean_dependence import MeanDependenceDisplay
from .model_selection import ModelSelectionDisplay
from .responsibility import ResponsibilityDisplay
from .routing_map import RoutingMapDisplay
from .starts import StartsDisplay
from .tree import TreeDisplay

__all__ = [
    "BalanceCurveDisplay",
    "CalibrationDisplay",
    "CoefficientDisplay",
    "ConditionalDensityDisplay",
    "ConvergenceDisplay",
    "ExpertCurvesDisplay",
    "ExpertLoadDisplay",
    "ExpertUsageDisplay",
    "GateDependenceDisplay",
    "GateRegionDisplay",
    "MeanDependenceDisplay",
    "ModelSelectionDisplay",
    "ResponsibilityDisplay",
    "RoutingMapDisplay",
    "StartsDisplay",
    "TreeDisplay",
    "animate_em",
    "match_experts",
]
