"""For the choice of a model: a scorer, the number of experts, and experts of several fits alike."""

from .alignment import align
from .scorer import LogLikelihoodScorer, log_likelihood_scorer
from .search import ExpertCountSearch

__all__ = ["ExpertCountSearch", "LogLikelihoodScorer", "align", "log_likelihood_scorer"]
