"""Solvers: how the objective is climbed. They see a model and batches, never a part."""

from .base import BaseSolver, Result
from .classification import CEM, SEM
from .em import EM, AcceleratedEM

ALIASES = {"auto": AcceleratedEM, "em": EM, "cem": CEM, "sem": SEM}

__all__ = ["CEM", "EM", "SEM", "AcceleratedEM", "BaseSolver", "Result"]
