"""Gates: the distribution g_k(x) of the expert index. `BaseGate` is the protocol."""

from ..parts.registry import Kind, is_estimator, register
from .base import BaseGate
from .constant import ConstantGate
from .estimator import EstimatorGate
from .exponential_family import ExponentialFamilyGate
from .gaussian import GaussianGate
from .least_squares import LeastSquaresGate
from .softmax import SoftmaxGate
from .top_k import TopKGate
from .tree import TreeGate

ALIASES = {
    "constant": ConstantGate,
    "exponential_family": ExponentialFamilyGate,
    "gaussian": GaussianGate,
    "least_squares": LeastSquaresGate,
    "softmax": SoftmaxGate,
    "top_k": TopKGate,
    "tree": TreeGate,
}


def _wrapped(value):
    """Return the gate that an estimator of scikit-learn stands for, or None."""
    return EstimatorGate(value) if is_estimator(value) else None


register("gate", Kind(BaseGate, ALIASES, wrap=_wrapped))

__all__ = [
    "BaseGate",
    "ConstantGate",
    "EstimatorGate",
    "ExponentialFamilyGate",
    "GaussianGate",
    "LeastSquaresGate",
    "SoftmaxGate",
    "TopKGate",
    "TreeGate",
]
