"""Classical mixtures of experts as scikit-learn estimators."""

from ._version import __version__
from .adaptive import AdaptiveLocalExpertsClassifier, AdaptiveLocalExpertsRegressor
from .classification import MixtureOfExpertsClassifier
from .exceptions import ExpertCollapseWarning, SeparationWarning
from .hierarchical import (
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
)
from .meta_pi import MetaPiClassifier, MetaPiRegressor
from .model_selection import log_likelihood_scorer
from .regression import MixtureOfExpertsRegressor

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
