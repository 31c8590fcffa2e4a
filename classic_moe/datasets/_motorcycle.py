"""The motorcycle impact data."""

from typing import Any

from ._csv import load_csv


def load_motorcycle(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the motorcycle impact data: head acceleration against time after the impact.

    133 rows, one feature, one real target; flat, then a plunge and a rebound, with noise that
    differs from regime to regime. The standard example where one line is not enough [1]_.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects instead of arrays. Needs pandas.

    Returns
    -------
    data : Bunch
        With the keys

        - ``data``: ndarray (133, 1), or DataFrame; time after the impact in milliseconds,
        - ``target``: ndarray (133,), or Series; acceleration of the head in g,
        - ``frame``: DataFrame (133, 2) with both, or None where ``as_frame`` is False,
        - ``feature_names``: ``["times"]``, ``target_names``: ``["accel"]``,
        - ``DESCR``: what the data are and where they come from,
        - ``filename``: path of the CSV file.
    (data, target) : tuple
        If ``return_X_y`` is True.

    Raises
    ------
    ImportError
        If ``as_frame`` is True and pandas is not installed.

    References
    ----------
    .. [1] Silverman, B. W. (1985). Some aspects of the spline smoothing approach to
       non-parametric regression curve fitting. Journal of the Royal Statistical Society,
       Series B, 47, 1-52.

    Examples
    --------
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> X.shape, y.shape
    ((133, 1), (133,))
    """
    return load_csv("motorcycle", return_X_y, as_frame)
