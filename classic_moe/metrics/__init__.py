"""Scores of predictive distributions, of y and what `predict_dist` returns; one of gates."""

from ._gate_information import gate_mutual_information
from ._scorer import DistributionScorer, coverage_scorer, crps_scorer
from ._scores import calibration_error, crps_score, interval_coverage, pinball_score, pit_values

__all__ = [
    "DistributionScorer",
    "calibration_error",
    "coverage_scorer",
    "crps_score",
    "crps_scorer",
    "gate_mutual_information",
    "interval_coverage",
    "pinball_score",
    "pit_values",
]
