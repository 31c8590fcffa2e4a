"""Experts: the densities p_k(y|x). One family a file; `BaseExpert` is the protocol."""

from ..parts.registry import Kind, is_estimator, register
from .base import BaseExpert, RowwiseExpert
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
from .reduced_rank import ReducedRankSoftmaxExpert
from .softmax import SoftmaxExpert
from .student_t import StudentTExpert
from .time_delay import TimeDelayExpert
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
    "reduced_rank_softmax": ReducedRankSoftmaxExpert,
    "softmax": SoftmaxExpert,
    "student_t": StudentTExpert,
}


def _wrapped(value):
    """Return the expert that a list or an estimator of scikit-learn stands for, or None."""
    if isinstance(value, (list, tuple)):
        return ExpertUnion(value)
    return EstimatorExpert(value) if is_estimator(value) else None


register(
    "expert",
    Kind(
        BaseExpert,
        ALIASES,
        classification={
            "linear": lambda: LinearExpert(variance=1.0),
            "student_t": lambda: StudentTExpert(covariance_type="spherical"),
        },
        wrap=_wrapped,
    ),
)

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
    "ReducedRankSoftmaxExpert",
    "RowwiseExpert",
    "SoftmaxExpert",
    "StudentTExpert",
    "TimeDelayExpert",
]
