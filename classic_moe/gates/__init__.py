"""Gates: the distribution g_k(x) of the expert index. `BaseGate` is the protocol."""

from .base import BaseGate
from .constant import ConstantGate
from .estimator import EstimatorGate
from .exponential_family import ExponentialFamilyGate
from .gaussian import GaussianGate
from .softmax import SoftmaxGate

ALIASES = {
    "constant": ConstantGate,
    "exponential_family": ExponentialFamilyGate,
    "gaussian": GaussianGate,
    "softmax": SoftmaxGate,
}

__all__ = [
    "BaseGate",
    "ConstantGate",
    "EstimatorGate",
    "ExponentialFamilyGate",
    "GaussianGate",
    "SoftmaxGate",
]
