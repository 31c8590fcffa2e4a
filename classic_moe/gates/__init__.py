"""Gates: the distribution g_k(x) of the expert index. `BaseGate` is the protocol."""

from .base import BaseGate
from .constant import ConstantGate
from .softmax import SoftmaxGate

ALIASES = {"constant": ConstantGate, "softmax": SoftmaxGate}

__all__ = ["BaseGate", "ConstantGate", "SoftmaxGate"]
