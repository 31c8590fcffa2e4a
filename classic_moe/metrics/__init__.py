"""Scores of predictive distributions, as functions of y and what `predict_dist` returns."""

from ._scorer import DistributionScorer, coverage_scorer, crps_scorer
from ._scores import calibration_error, crps_score, interval_coverage, pinball_score, pit_values

__all__ = [
    "DistributionScorer",
    "calibration_error",
    "coverage_scorer",
    "crps_score",
    "crps_scorer",
    "interval_coverage",
    "pinball_score",
    "pit_values",
]
