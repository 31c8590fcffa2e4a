"""Classical mixtures of experts as scikit-learn estimators."""

from ._version import __version__
from .classification import MixtureOfExpertsClassifier
from .exceptions import ExpertCollapseWarning, SeparationWarning
from .model_selection import log_likelihood_scorer
from .regression import MixtureOfExpertsRegressor

__all__ = [
    "ExpertCollapseWarning",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "SeparationWarning",
    "__version__",
    "log_likelihood_scorer",
]
