"""Data to learn and test with: measured classics, and simulated sets with a known truth."""

from ._insurance import load_insurance
from ._make import make_crossing_lines, make_piecewise_regression
from ._motorcycle import load_motorcycle
from ._tone import load_tone

__all__ = [
    "load_insurance",
    "load_motorcycle",
    "load_tone",
    "make_crossing_lines",
    "make_piecewise_regression",
]
