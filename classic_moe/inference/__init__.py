"""What can be said of a fit's parameters: standard errors, intervals, tests."""

from ._infer import infer
from ._marginal_effects import marginal_effects
from ._odds import odds_ratios
from ._parameters import named_parameters
from ._record import Inference, TestResult
from .diagnosis import Diagnosis

__all__ = [
    "Diagnosis",
    "Inference",
    "TestResult",
    "infer",
    "marginal_effects",
    "named_parameters",
    "odds_ratios",
]
