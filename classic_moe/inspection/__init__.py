"""Looking at fitted models: one Display class a file, in scikit-learn's manner.

matplotlib is imported when something is drawn, not before.
"""

from .expert_curves import ExpertCurvesDisplay

__all__ = ["ExpertCurvesDisplay"]
