"""Looking at fitted models: one Display class a file, in scikit-learn's manner.

matplotlib is imported when something is drawn, not before.
"""

from .balance_curve import BalanceCurveDisplay
from .calibration import CalibrationDisplay
from .convergence import ConvergenceDisplay
from .expert_curves import ExpertCurvesDisplay
from .expert_load import ExpertLoadDisplay
from .expert_usage import ExpertUsageDisplay
from .gate_dependence import GateDependenceDisplay
from .gate_region import GateRegionDisplay
from .mean_dependence import MeanDependenceDisplay
from .model_selection import ModelSelectionDisplay
from .routing_map import RoutingMapDisplay
from .tree import TreeDisplay

__all__ = [
    "BalanceCurveDisplay",
    "CalibrationDisplay",
    "ConvergenceDisplay",
    "ExpertCurvesDisplay",
    "ExpertLoadDisplay",
    "ExpertUsageDisplay",
    "GateDependenceDisplay",
    "GateRegionDisplay",
    "MeanDependenceDisplay",
    "ModelSelectionDisplay",
    "RoutingMapDisplay",
    "TreeDisplay",
]
