"""Fitted models for where this package is not: ONNX graphs, Python source, LaTeX.

onnx and skl2onnx are imported when a graph is made, not before.
"""

from ._latex import to_latex
from ._onnx import to_onnx
from ._python import to_python

__all__ = ["to_latex", "to_onnx", "to_python"]
