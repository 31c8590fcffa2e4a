"""What can be said of a fit's parameters: standard errors, intervals, tests."""

from ._bootstrap import BootstrapInference, bootstrap
from ._expert_count import BootstrapTestResult, bootstrap_likelihood_ratio_test
from ._infer import infer
from ._likelihood_ratio import likelihood_ratio_test
from ._marginal_effects import marginal_effects
from ._odds import odds_ratios
from ._parameters import named_parameters
from ._record import Inference, TestResult, wald_test
from .diagnosis import Diagnosis

__all__ = [
    "BootstrapInference",
    "BootstrapTestResult",
    "Diagnosis",
    "Inference",
    "TestResult",
    "bootstrap",
    "bootstrap_likelihood_ratio_test",
    "infer",
    "likelihood_ratio_test",
    "marginal_effects",
    "named_parameters",
    "odds_ratios",
    "wald_test",
]
