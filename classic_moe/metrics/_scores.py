"""Functions of the observed y and the distributions that were predicted for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import _check_sample_weight, check_array

from ..parts.checks import can

if TYPE_CHECKING:
    from ..distribution.mixture import MixtureDistribution

LEVELS = np.arange(1, 100) / 100
"""Levels at which calibration is looked at."""


def crps_score(
    y_true: ArrayLike,
    distribution: MixtureDistribution,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    """Return the mean continuous ranked probability score, in units of y; lower is better.

    It is the mean of `MixtureDistribution.crps`: the absolute error of a point forecast, made a
    proper score of distributions [1]_. Unlike the log-density it forgives a single row far out.

    Parameters
    ----------
    y_true : array-like of shape (n,), or (n, q) for q outputs
        Observed values.
    distribution : MixtureDistribution
        What `predict_dist` returned for these n rows.
    sample_weight : array-like of shape (n,), default=None
    multioutput : str or array-like of shape (q,), default="uniform_average"
        "uniform_average" is the mean over outputs, "raw_values" one number an output, an array a
        weighted mean.

    Returns
    -------
    float, or ndarray of shape (q,) for "raw_values"

    Raises
    ------
    TypeError
        For what is no predictive distribution.
    ValueError
        For y of another shape than the distribution's.

    References
    ----------
    .. [1] T. Gneiting, A. E. Raftery, "Strictly proper scoring rules, prediction, and estimation",
       Journal of the American Statistical Association 102 (2007), 359-378.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.metrics import crps_score
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> scores = {}
    >>> for K in (1, 4):
    ...     model = MixtureOfExpertsRegressor(K, random_state=0).fit(X, y)
    ...     scores[K] = round(crps_score(y, model.predict_dist(X)), 1)
    >>> scores
    {1: 26.2, 4: 11.6}
    """
    y = _checked("crps_score", y_true, distribution, "crps")
    return _average(distribution.crps(y), sample_weight, multioutput)


def pinball_score(
    y_true: ArrayLike,
    distribution: MixtureDistribution,
    quantiles: ArrayLike = (0.1, 0.25, 0.5, 0.75, 0.9),
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    """Return the mean pinball loss of predicted quantiles, in units of y; lower is better.

    The loss of a quantile z at level a is a (y - z) above it, and (1 - a)(z - y) below, as
    `sklearn.metrics.mean_pinball_loss` has it. Twice its integral over all levels is the CRPS.

    Parameters
    ----------
    y_true : array-like of shape (n,), or (n, q) for q outputs
        Observed values.
    distribution : MixtureDistribution
        What `predict_dist` returned for these n rows.
    quantiles : float or array-like of shape (m,), default=(0.1, 0.25, 0.5, 0.75, 0.9)
        Levels within (0, 1), whose losses are averaged.
    sample_weight : array-like of shape (n,), default=None
    multioutput : str or array-like of shape (q,), default="uniform_average"
        "uniform_average" is the mean over outputs, "raw_values" one number an output, an array a
        weighted mean.

    Returns
    -------
    float, or ndarray of shape (q,) for "raw_values"

    Raises
    ------
    TypeError, ValueError
        As of `crps_score`, and for a level outside of (0, 1).

    Examples
    --------
    >>> from scipy import stats
    >>> from classic_moe.distribution import MixtureDistribution
    >>> from classic_moe.metrics import pinball_score
    >>> dist = MixtureDistribution([[1.0], [1.0]], stats.norm([[0.0], [1.0]]))
    >>> pinball_score([0.0, 3.0], dist, 0.5)
    0.5
    """
    y = _checked("pinball_score", y_true, distribution, "ppf")
    levels = np.atleast_1d(np.asarray(quantiles, dtype=float))
    if not (levels.ndim == 1 and levels.size and np.all((levels > 0) & (levels < 1))):
        raise ValueError(
            f"quantiles={quantiles!r}: needs levels within (0, 1), such as 0.5 or (0.05, 0.95)."
        )
    above = y - distribution.ppf(levels[:, None])
    levels = levels.reshape(-1, *([1] * y.ndim))
    loss = np.maximum(levels * above, (levels - 1) * above)
    return _average(loss.mean(axis=0), sample_weight, multioutput)


def interval_coverage(
    y_true: ArrayLike,
    distribution: MixtureDistribution,
    confidence: float = 0.9,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    """Return the share of rows inside their central intervals; `confidence` is what it should be.

    It is no score to be maximised: a wide interval covers everything.

    Parameters
    ----------
    y_true : array-like of shape (n,), or (n, q) for q outputs
        Observed values.
    distribution : MixtureDistribution
        What `predict_dist` returned for these n rows.
    confidence : float, default=0.9
        Probability of the equal-tailed intervals, within (0, 1). Those of counts hold their ends,
        and so often more than that.
    sample_weight : array-like of shape (n,), default=None
    multioutput : str or array-like of shape (q,), default="uniform_average"
        "uniform_average" is the mean over outputs, "raw_values" one number an output, an array a
        weighted mean.

    Returns
    -------
    float, or ndarray of shape (q,) for "raw_values"

    Raises
    ------
    TypeError, ValueError
        As of `crps_score`, and for a confidence outside of (0, 1).

    Examples
    --------
    >>> from scipy import stats
    >>> from classic_moe.distribution import MixtureDistribution
    >>> from classic_moe.metrics import interval_coverage
    >>> dist = MixtureDistribution([[1.0], [1.0]], stats.norm([[0.0], [1.0]]))
    >>> interval_coverage([0.0, 3.0], dist)
    0.5
    """
    y = _checked("interval_coverage", y_true, distribution, "interval")
    low, high = distribution.interval(confidence)
    return _average(((low <= y) & (y <= high)).astype(float), sample_weight, multioutput)


def pit_values(
    y_true: ArrayLike,
    distribution: MixtureDistribution,
    *,
    random_state: int | np.random.RandomState | None = None,
) -> NDArray[Any]:
    """Return the probability integral transforms F(y), uniform where the distributions are right.

    Parameters
    ----------
    y_true : array-like of shape (n,), or (n, q) for q outputs
        Observed values.
    distribution : MixtureDistribution
        What `predict_dist` returned for these n rows.
    random_state : int, RandomState instance or None, default=None
        Draws the place within the jump of F at a count; of no effect on continuous distributions.

    Returns
    -------
    ndarray of shape (n,) or (n, q)

    Raises
    ------
    TypeError, ValueError
        As of `crps_score`.

    Examples
    --------
    >>> from scipy import stats
    >>> from classic_moe.distribution import MixtureDistribution
    >>> from classic_moe.metrics import pit_values
    >>> dist = MixtureDistribution([[1.0], [1.0]], stats.norm([[0.0], [1.0]]))
    >>> pit_values([0.0, 3.0], dist).round(3)
    array([0.5  , 0.977])
    """
    y = _checked("pit_values", y_true, distribution, "pit")
    return distribution.pit(y, random_state)


def calibration_error(
    y_true: ArrayLike,
    distribution: MixtureDistribution,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    """Return the mean distance of the distribution of F(y) from the uniform one; 0 is calibrated.

    At the levels p = 0.01, 0.02 ... 0.99 the share of rows with F(y) <= p should be p; this is the
    mean absolute difference. A count y, at which F jumps, counts for a level inside of the jump by
    the part of the jump below it [1]_, so nothing is drawn. Rows that are independent and
    distributed as predicted give about 0.31/√n by chance. Distributions that ignore x may be
    calibrated, so use it beside a proper score.

    Parameters
    ----------
    y_true : array-like of shape (n,), or (n, q) for q outputs
        Observed values.
    distribution : MixtureDistribution
        What `predict_dist` returned for these n rows.
    sample_weight : array-like of shape (n,), default=None
    multioutput : str or array-like of shape (q,), default="uniform_average"
        "uniform_average" is the mean over outputs, "raw_values" one number an output, an array a
        weighted mean.

    Returns
    -------
    float, or ndarray of shape (q,) for "raw_values"

    Raises
    ------
    TypeError, ValueError
        As of `crps_score`.

    References
    ----------
    .. [1] C. Czado, T. Gneiting, L. Held, "Predictive model assessment for count data",
       Biometrics 65 (2009), 1254-1261.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from classic_moe.distribution import MixtureDistribution
    >>> from classic_moe.metrics import calibration_error
    >>> y = np.random.default_rng(0).normal(size=1000)
    >>> one = np.ones((1000, 1))
    >>> for sd in (1.0, 2.0):
    ...     print(round(calibration_error(y, MixtureDistribution(one, stats.norm(0, sd))), 3))
    0.015
    0.108
    """
    y = _checked("calibration_error", y_true, distribution, "pit_bounds")
    below, at = distribution.pit_bounds(y)
    jump = np.maximum(at - below, np.finfo(float).tiny)
    weight = _weights(sample_weight, y)
    kept = weight > 0
    error = np.zeros(y.shape[1:])
    for level in LEVELS:
        share = np.where(at > below, np.clip((level - below) / jump, 0, 1), at <= level)
        error = error + np.abs(np.average(share[kept], axis=0, weights=weight[kept]) - level)
    return _over_outputs(error / len(LEVELS), multioutput)


# -- arguments and averages ----------------------------------------------------------------------


def _checked(name, y_true, distribution, method):
    """Return y as floats of the shape of the distributions, or say what is wrong."""
    if not can(distribution, method, "mean"):
        raise TypeError(
            f"{name}: distribution is of type {type(distribution).__name__} and has no {method};"
            " pass what predict_dist(X) returns."
        )
    y = check_array(y_true, ensure_2d=False, dtype=np.float64, input_name="y_true")
    shape = np.shape(distribution.mean())
    if y.ndim == 2 and y.shape[1] == 1 and len(shape) == 1:
        y = y[:, 0]
    if y.shape != shape:
        raise ValueError(
            f"{name}: y_true has shape {y.shape} and distribution {shape}; pass one y for each row"
            " of the X of predict_dist (of several trials, one trial a row)."
        )
    return y


def _weights(sample_weight, y):
    """Return weights of at least 0, (n,)."""
    return _check_sample_weight(sample_weight, y.reshape(len(y), -1), ensure_non_negative=True)


def _average(each, sample_weight, multioutput):
    """Return the weighted mean of scores (n,) or (n, q); rows of weight 0 are left out."""
    weight = _weights(sample_weight, each)
    kept = weight > 0
    return _over_outputs(np.average(each[kept], axis=0, weights=weight[kept]), multioutput)


def _over_outputs(each, multioutput):
    """Return scores of outputs (q,), or of one (), as `multioutput` wants them."""
    named = isinstance(multioutput, str)
    if named and multioutput not in ("uniform_average", "raw_values"):
        raise ValueError(
            f"multioutput={multioutput!r}: use 'uniform_average', 'raw_values' or weights of the"
            " outputs."
        )
    each = np.atleast_1d(each)
    if named and multioutput == "raw_values":
        return each
    weights = None if named else np.asarray(multioutput, dtype=float)
    if weights is not None and weights.shape != each.shape:
        raise ValueError(
            f"multioutput has shape {weights.shape} and there are {len(each)} outputs; give each"
            " a weight."
        )
    return float(np.average(each, weights=weights))
