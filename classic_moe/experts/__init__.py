"""Experts: the densities p_k(y|x). One family a file; `BaseExpert` is the protocol."""

from .base import BaseExpert
from .binomial import BinomialExpert
from .estimator import EstimatorExpert
from .gamma import GammaExpert
from .gaussian import GaussianExpert
from .generalized import GeneralizedLinearExpert
from .laplace import LaplaceExpert
from .linear import LinearExpert
from .logistic import LogisticExpert
from .mlp import MLPExpert
from .negative_binomial import NegativeBinomialExpert
from .noise import NoiseExpert
from .poisson import PoissonExpert
from .softmax import SoftmaxExpert
from .student_t import StudentTExpert
from .union import ExpertUnion

ALIASES = {
    "binomial": BinomialExpert,
    "gamma": GammaExpert,
    "gaussian": GaussianExpert,
    "laplace": LaplaceExpert,
    "linear": LinearExpert,
    "logistic": LogisticExpert,
    "mlp": MLPExpert,
    "negative_binomial": NegativeBinomialExpert,
    "noise": NoiseExpert,
    "poisson": PoissonExpert,
    "softmax": SoftmaxExpert,
    "student_t": StudentTExpert,
}

__all__ = [
    "BaseExpert",
    "BinomialExpert",
    "EstimatorExpert",
    "ExpertUnion",
    "GammaExpert",
    "GaussianExpert",
    "GeneralizedLinearExpert",
    "LaplaceExpert",
    "LinearExpert",
    "LogisticExpert",
    "MLPExpert",
    "NegativeBinomialExpert",
    "NoiseExpert",
    "PoissonExpert",
    "SoftmaxExpert",
    "StudentTExpert",
]
