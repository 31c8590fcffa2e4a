"""The motorcycle impact data."""

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

_CSV = Path(__file__).parent / "data" / "motorcycle.csv"


def load_motorcycle(*, return_X_y=False, as_frame=False):
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
    times, accel = np.loadtxt(_CSV, delimiter=",", skiprows=1, unpack=True)
    data, target, frame = times[:, None], accel, None
    if as_frame:
        import pandas as pd

        frame = pd.DataFrame({"times": times, "accel": accel})
        data, target = frame[["times"]], frame["accel"]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=["times"],
        target_names=["accel"],
        DESCR=_CSV.with_suffix(".md").read_text(encoding="utf-8"),
        filename=str(_CSV),
    )
