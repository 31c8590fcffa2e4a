"""Solvers: how the objective is climbed. They see a model and batches, never a part."""

from .base import BaseSolver, Result
from .em import EM, AcceleratedEM

ALIASES = {"auto": AcceleratedEM, "em": EM}

__all__ = ["EM", "AcceleratedEM", "BaseSolver", "Result"]
