"""The evidence of a fit on rows of the caller's."""

from __future__ import annotations

import numpy as np

from ..model.evidence import evidence
from ..parts.storage import check_memory
from ._prepare import array_batches, reported_units, weigh


def log_evidence(estimator, X, y, sample_weight=None):
    """Return the log evidence of a fitted estimator on rows, float; ValueError if there is none."""
    check_memory("log_evidence", X=X, y=y, sample_weight=sample_weight)
    caller_y = np.asarray(y)
    X, y = estimator._check_Xy(X, y)
    fitted = estimator._current()
    model, schema, params = fitted.model, fitted.schema, fitted.params
    weight = weigh(estimator, X.X, caller_y, sample_weight)
    rows = np.flatnonzero(weight > 0)
    weight = weight[rows] / schema.weight_unit
    with array_batches(schema, X.X[rows], y[rows], weight) as batches:
        stats = batches.map_sum(model.statistics, params)
        value = evidence(model, params, batches, stats).value
        units = reported_units(model, schema, batches)
    return float(units.objective(value))
