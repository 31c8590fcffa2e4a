"""Solvers: how the objective is climbed. They see a model and batches, never a part."""

from ..parts.registry import Kind, register
from .ascent import GradientAscent
from .base import BaseSolver, Result
from .em import EM, AcceleratedEM
from .hard_em import CEM, SEM, TruncatedEM
from .lbfgs import LBFGS
from .newton import EMNewton, Newton
from .online import OnlineEM
from .stochastic import SGD, Adam

ALIASES = {
    "adam": Adam,
    "auto": EMNewton,
    "cem": CEM,
    "em": EM,
    "gradient": GradientAscent,
    "lbfgs": LBFGS,
    "newton": Newton,
    "online": OnlineEM,
    "sem": SEM,
    "sgd": SGD,
    "truncated": TruncatedEM,
}

register("solver", Kind(BaseSolver, ALIASES))

__all__ = [
    "CEM",
    "EM",
    "LBFGS",
    "SEM",
    "SGD",
    "AcceleratedEM",
    "Adam",
    "BaseSolver",
    "EMNewton",
    "GradientAscent",
    "Newton",
    "OnlineEM",
    "Result",
    "TruncatedEM",
]
