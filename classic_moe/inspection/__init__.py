"""Looking at fitted models: one Display class a file, in scikit-learn's manner.

matplotlib is imported when something is drawn, not before.
"""

from .convergence import ConvergenceDisplay
from .expert_curves import ExpertCurvesDisplay
from .gate_region import GateRegionDisplay
from .tree import TreeDisplay

__all__ = ["ConvergenceDisplay", "ExpertCurvesDisplay", "GateRegionDisplay", "TreeDisplay"]
