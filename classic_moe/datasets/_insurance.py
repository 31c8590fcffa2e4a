"""The car insurance data."""

from typing import Any

from ._csv import load_csv


def load_insurance(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the car insurance data: claims of groups of policy holders, with the size of each group.

    64 rows, four features, a count as target; every district with every size of engine and every
    class of age once. The standard example of counts with an exposure [1]_: the logarithm of
    Holders belongs into the model with coefficient 1, as `offset_feature`.

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

        - ``data``: ndarray (64, 4), or DataFrame; District (4: major cities), Group (size of the
          engine in four classes) and Age (four classes), each numbered 1 to 4, and the number of
          policy holders, Holders,
        - ``target``: ndarray (64,), or Series; the number of claims,
        - ``frame``: DataFrame (64, 5) with both, or None where ``as_frame`` is False,
        - ``feature_names``: ``["District", "Group", "Age", "Holders"]``, ``target_names``:
          ``["Claims"]``,
        - ``DESCR``: what the data and the classes are and where they come from,
        - ``filename``: path of the CSV file.
    (data, target) : tuple
        If ``return_X_y`` is True.

    Raises
    ------
    ImportError
        If ``as_frame`` is True and pandas is not installed.

    References
    ----------
    .. [1] Baxter, L. A., Coutts, S. M. & Ross, G. A. F. (1980). Applications of linear models in
       motor insurance. Proceedings of the 21st International Congress of Actuaries, Zurich, 11-29.

    Examples
    --------
    >>> from classic_moe.datasets import load_insurance
    >>> X, y = load_insurance(return_X_y=True)
    >>> X.shape, int(y.sum()), int(X[:, 3].sum())
    ((64, 4), 3151, 23359)
    """
    return load_csv("insurance", return_X_y, as_frame)
