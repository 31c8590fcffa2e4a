"""Experts: the densities p_k(y|x). One family a file; `BaseExpert` is the protocol."""

from .base import BaseExpert
from .gaussian import GaussianExpert
from .linear import LinearExpert
from .logistic import LogisticExpert
from .softmax import SoftmaxExpert

ALIASES = {
    "gaussian": GaussianExpert,
    "linear": LinearExpert,
    "logistic": LogisticExpert,
    "softmax": SoftmaxExpert,
}

__all__ = ["BaseExpert", "GaussianExpert", "LinearExpert", "LogisticExpert", "SoftmaxExpert"]
