"""What sample weights count: `normalize_weights`, and criteria that take their sum for a number."""

from __future__ import annotations

import numpy as np

FAR = 2.0
"""Weights that are no counts sum to something else than rows when off by more than this factor."""


def normalised(weight):
    """Return weights (n,) times a factor, so that they sum to the number of positive ones."""
    share = weight / weight.max()  # the sum of weights of 1e308 is no number
    positive = share[share > 0]  # rows of weight 0 would move the sum by a rounding
    return share * (len(positive) / positive.sum())


def no_sample_size(weight):
    """Return what is wrong with the sum of weights (n,) as a number of rows, a str; or None.

    Whole numbers are frequencies, which may sum to anything. Other weights should sum to about the
    number of rows, in any case to 1: the logarithm of less is negative.
    """
    positive = weight[weight > 0]
    total, n = positive.sum(), len(positive)
    if (positive == np.rint(positive)).all() or (total >= 1 and n / FAR <= total <= n * FAR):
        return None
    return (
        f"the weights of {n} rows sum to {total:.4g}, which counts as the number of observations;"
        " unless it is one, fit with normalize_weights=True, or divide the weights by their mean."
    )
