"""What can be said of a fit's parameters: standard errors, intervals, tests."""

from ._infer import infer
from ._parameters import named_parameters
from ._record import Inference, TestResult

__all__ = ["Inference", "TestResult", "infer", "named_parameters"]
