"""`named_parameters`: the parameters of a fit, with their names."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..estimators._named import NamedParameters
from ..estimators.base import BaseMixtureOfExperts
from ..parts.black_box import shown


def named_parameters(model: Any) -> tuple[list[str], NDArray[Any]]:
    """Return the names and the values of the parameters of a fit, in the caller's units.

    Gate coefficients are log-odds against the last expert, which has none; those of classes against
    the last class, of two classes the second against the first. Only what is estimated is among
    them: no given variance, no slope of a constant column, nothing frozen.

    Parameters
    ----------
    model : fitted estimator
        A mixture of experts of this package.

    Returns
    -------
    names : list of str
        "expert 0: intercept", "expert 0: age", "expert 0: scale" (or shape, dispersion, df), of
        several outputs "expert 0: age -> wage" and "expert 0: covariance wage, hours", "gate 0:
        intercept", "gate 0: age", and of a tree "node root, child 0: age". A column that is called
        like another parameter is "column scale".
    values : ndarray of shape (P,)

    Raises
    ------
    TypeError
        For what is no mixture of experts.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.inference import named_parameters
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> named_parameters(model)[0][:3]
    ['expert 0: intercept', 'expert 0: x0', 'expert 0: scale']
    """
    fitted = fit_of(model, "named_parameters")
    named = NamedParameters(fitted)
    return named.names, named.values(fitted.params)


def fit_of(model, caller):
    """Return the `Fitted` of a fitted mixture; TypeError for what is none."""
    if not isinstance(model, BaseMixtureOfExperts):
        raise TypeError(
            f"{caller} needs a mixture of experts of this package, got {shown(model)}; of a"
            " Pipeline pass the last step, with X as that step sees it."
        )
    check_is_fitted(model)
    return model._current()
