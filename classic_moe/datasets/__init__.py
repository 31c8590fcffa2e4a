"""Data to learn and test with: one measured classic, and simulated sets with a known truth."""

from ._make import make_crossing_lines, make_piecewise_regression
from ._motorcycle import load_motorcycle

__all__ = ["load_motorcycle", "make_crossing_lines", "make_piecewise_regression"]
