"""Classical mixtures of experts as scikit-learn estimators.

Public names are imported when they are first asked for, so that what needs none of them, such as a
refusal of the command line, need not wait for scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from .estimators.adaptive import AdaptiveLocalExpertsClassifier, AdaptiveLocalExpertsRegressor
    from .estimators.classification import MixtureOfExpertsClassifier
    from .estimators.deep import DeepMixtureOfExpertsClassifier, DeepMixtureOfExpertsRegressor
    from .estimators.hierarchical import (
        HierarchicalMixtureOfExpertsClassifier,
        HierarchicalMixtureOfExpertsRegressor,
    )
    from .estimators.meta_pi import MetaPiClassifier, MetaPiRegressor
    from .estimators.regression import MixtureOfExpertsRegressor
    from .estimators.softmaxes import MixtureOfSoftmaxesClassifier
    from .estimators.sparse import (
        SparseMixtureOfExpertsClassifier,
        SparseMixtureOfExpertsRegressor,
    )
    from .exceptions import ExpertCollapseWarning, ExpertCountWarning, SeparationWarning
    from .inference.diagnosis import diagnose
    from .model_selection import log_likelihood_scorer
    from .persistence.files import load, save

__all__ = [
    "AdaptiveLocalExpertsClassifier",
    "AdaptiveLocalExpertsRegressor",
    "DeepMixtureOfExpertsClassifier",
    "DeepMixtureOfExpertsRegressor",
    "ExpertCollapseWarning",
    "ExpertCountWarning",
    "HierarchicalMixtureOfExpertsClassifier",
    "HierarchicalMixtureOfExpertsRegressor",
    "MetaPiClassifier",
    "MetaPiRegressor",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "MixtureOfSoftmaxesClassifier",
    "SeparationWarning",
    "SparseMixtureOfExpertsClassifier",
    "SparseMixtureOfExpertsRegressor",
    "__version__",
    "diagnose",
    "load",
    "log_likelihood_scorer",
    "save",
]

_HOMES = {
    "AdaptiveLocalExpertsClassifier": "estimators.adaptive",
    "AdaptiveLocalExpertsRegressor": "estimators.adaptive",
    "DeepMixtureOfExpertsClassifier": "estimators.deep",
    "DeepMixtureOfExpertsRegressor": "estimators.deep",
    "ExpertCollapseWarning": "exceptions",
    "ExpertCountWarning": "exceptions",
    "HierarchicalMixtureOfExpertsClassifier": "estimators.hierarchical",
    "HierarchicalMixtureOfExpertsRegressor": "estimators.hierarchical",
    "MetaPiClassifier": "estimators.meta_pi",
    "MetaPiRegressor": "estimators.meta_pi",
    "MixtureOfExpertsClassifier": "estimators.classification",
    "MixtureOfExpertsRegressor": "estimators.regression",
    "MixtureOfSoftmaxesClassifier": "estimators.softmaxes",
    "SeparationWarning": "exceptions",
    "SparseMixtureOfExpertsClassifier": "estimators.sparse",
    "SparseMixtureOfExpertsRegressor": "estimators.sparse",
    "diagnose": "inference.diagnosis",
    "load": "persistence.files",
    "log_likelihood_scorer": "model_selection",
    "save": "persistence.files",
}
"""The modules where public names live."""
_ROOMS = (
    *("cli", "data", "datasets", "distribution", "estimators", "exceptions", "experts", "gates"),
    *("inference", "inspection", "metrics", "model", "model_selection", "parts", "persistence"),
    *("report", "routing", "solvers", "starts", "testing"),
)
"""What can be asked for as an attribute without an import of its own."""


def __getattr__(name):
    """Return a public name or a room, imported now."""
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = vars(import_module(f".{_HOMES[name]}", __name__))[name]
    globals()[name] = value  # from now on it is found without this function
    return value


def __dir__():
    """Return the names there are, those not yet imported too."""
    return sorted({*globals(), *__all__, *_ROOMS})
