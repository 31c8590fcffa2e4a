"""Classical mixtures of experts as scikit-learn estimators."""

from ._version import __version__
from .estimators.adaptive import AdaptiveLocalExpertsClassifier, AdaptiveLocalExpertsRegressor
from .estimators.classification import MixtureOfExpertsClassifier
from .estimators.hierarchical import (
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
)
from .estimators.meta_pi import MetaPiClassifier, MetaPiRegressor
from .estimators.regression import MixtureOfExpertsRegressor
from .exceptions import ExpertCollapseWarning, SeparationWarning
from .model_selection import log_likelihood_scorer

__all__ = [
    "AdaptiveLocalExpertsClassifier",
    "AdaptiveLocalExpertsRegressor",
    "ExpertCollapseWarning",
    "HierarchicalMixtureOfExpertsClassifier",
    "HierarchicalMixtureOfExpertsRegressor",
    "MetaPiClassifier",
    "MetaPiRegressor",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "SeparationWarning",
    "__version__",
    "log_likelihood_scorer",
]
