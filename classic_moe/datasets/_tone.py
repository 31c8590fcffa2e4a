"""The tone perception data."""

from typing import Any

from ._csv import load_csv


def load_tone(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the tone perception data: a musician's tuning against the stretch of the overtones.

    150 rows, one feature, one real target. Some answers lie on the line y = x, the others on the
    line y = 2, whatever x is: two lines and no way to tell from x which one holds. The standard
    example of a mixture of regressions [1]_, and with outliers added of a robust one.

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

        - ``data``: ndarray (150, 1), or DataFrame; stretching ratio of the overtones,
        - ``target``: ndarray (150,), or Series; the ratio to which the musician tuned the tone,
        - ``frame``: DataFrame (150, 2) with both, or None where ``as_frame`` is False,
        - ``feature_names``: ``["stretchratio"]``, ``target_names``: ``["tuned"]``,
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
    .. [1] De Veaux, R. D. (1989). Mixtures of linear regressions. Computational Statistics & Data
       Analysis 8, 227-245.

    Examples
    --------
    >>> from classic_moe.datasets import load_tone
    >>> X, y = load_tone(return_X_y=True)
    >>> X.shape, y.shape
    ((150, 1), (150,))
    """
    return load_csv("tone", return_X_y, as_frame)
