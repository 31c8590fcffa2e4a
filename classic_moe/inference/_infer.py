"""`infer`: standard errors from the derivatives of the log-likelihood."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ..estimators._uncertainty import check_model, rows_of, uncertainty_of
from ..model.information import NoInformation
from ..parts.blas import one_blas_thread
from ..parts.checks import check, fitted_fact, number, one_of
from ._parameters import fit_of
from ._record import Inference

METHODS = {
    "observed": "Standard errors from the observed information.",
    "opg": "Standard errors from the outer products of the scores.",
    "sandwich": "Robust standard errors: a jackknife of one Newton step (HC3).",
    "cluster": "Robust standard errors: a jackknife of clusters, of one Newton step (CR3).",
}
"""The choices of `covariance`, and what they rest on."""


def infer(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    expert_labels: ArrayLike | None = None,
    covariance: str = "observed",
    confidence: float = 0.95,
) -> Inference:
    r"""Return standard errors, tests and intervals of all parameters of a fit.

    With θ the parameters, l the log-likelihood, P the negative second derivative of the log prior
    (of the penalties) and s_i the score of a row, the covariance is one of

    .. math:: (I + P)^{-1}, \quad (B + P)^{-1}, \quad (I + P)^{-1} M\, (I + P)^{-1}, \qquad
       I = -\frac{\partial^2 l}{\partial\theta\,\partial\theta^\top}, \quad
       B = \sum_i w_i\, s_i s_i^\top, \quad M = \sum_i w_i\, t_i t_i^\top

    "observed", "opg" and "sandwich" [1]_ [2]_ [3]_. In the last t_i is the score of a row at the
    fit without it, to one Newton step: with A_i the information of the row,
    t_i = (1 - A_i (I + P)⁻¹)⁻¹ s_i. For one generalised linear model that is HC3 [4]_, of clusters
    CR3 [5]_; plain scores are too small, for a fit goes towards its rows.

    The information is exact, with all blocks between gate and experts, so that it tells how
    uncertain the memberships of the rows are. It is taken to the caller's parameters by the delta
    method.

    Parameters
    ----------
    model : fitted estimator
        A mixture of experts of this package, at a maximum of its likelihood.
    X : {array-like, sparse matrix} of shape (n, p)
        The rows of the fit.
    y : array-like of shape (n,) or (n, q)
    sample_weight : array-like of shape (n,), default=None
        Those of the fit. They are frequencies: a row of weight w counts as w independent rows, in
        I, B and M. Where the fit was made with `normalize_weights=True` they are shares of a
        population, a row being seen once, and M = Σ w² t tᵀ. Those of classes (`class_weight`) are
        no frequencies either: only "sandwich" and "cluster" are right for them.
    groups : array-like of shape (n,), default=None
        Of a fit with `groups` those of the fit: a group is one unit, with one score. Otherwise the
        clusters for ``covariance="cluster"``.
    expert_labels : array-like of int of shape (n,), default=None
        Those of the fit, if it had any.
    covariance : {"observed", "opg", "sandwich", "cluster"}, default="observed"
        "sandwich" is right where the model is not, for the parameters that come nearest to the
        data; "cluster" leaves out a cluster in place of a row, for rows that are not independent
        within it. Many clusters are needed, some tens. With weights that are shares of a population
        the information does not tell the errors, and "sandwich" takes the place of "observed".
    confidence : float, default=0.95

    Returns
    -------
    Inference
        A standard error is NaN, and `reasons` says why, where a parameter is at a bound, an expert
        has fewer effective rows than parameters, the rows do not determine it (copied columns, a
        separated gate), or the fit is no maximum.

    Raises
    ------
    TypeError
        For what is no mixture of experts.
    ValueError
        For parts without second derivatives (Laplace experts, networks, scikit-learn estimators),
        fits to more columns than rows, and rows that do not fit.

    Notes
    -----
    Penalties count as information, as a prior does; `Inference.penalised` says so. With the weak
    ones of the default that is next to nothing. Intervals of scales, shapes and the like are
    symmetric as well.

    References
    ----------
    .. [1] Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm.
       Journal of the Royal Statistical Society B 44, 226-233.
    .. [2] Berndt, E. K., Hall, B. H., Hall, R. E. & Hausman, J. A. (1974). Estimation and inference
       in nonlinear structural models. Annals of Economic and Social Measurement 3, 653-665.
    .. [3] White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica 50,
       1-25.
    .. [4] MacKinnon, J. G. & White, H. (1985). Some heteroskedasticity-consistent covariance matrix
       estimators with improved finite sample properties. Journal of Econometrics 29, 305-325.
    .. [5] Bell, R. M. & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
       regression with multi-stage samples. Survey Methodology 28, 169-181.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_crossing_lines
    >>> from classic_moe.inference import infer
    >>> X, y = make_crossing_lines(random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    >>> found = infer(model, X, y)
    >>> found.names[-3:]
    ['expert 1: x0', 'expert 1: scale', 'gate 0: intercept']
    >>> bool(found.p_values[1] < 0.001)
    True
    """
    fitted = fit_of(model, "infer")
    check("covariance", covariance, one_of(METHODS))
    if fitted.schema.normalizes and covariance == "observed":
        covariance = "sandwich"
    check("confidence", confidence, number(lambda level: 0 < level < 1, "a number between 0 and 1"))
    if covariance in ("observed", "opg") and fitted_fact(model, "class_weight") is not None:
        raise ValueError(
            f"infer: covariance={covariance!r}: weights of classes are no frequencies, and only"
            " 'sandwich' and 'cluster' are right for them."
        )
    with one_blas_thread():
        try:
            check_model(fitted, covariance)
            clustered = covariance == "cluster"
            rows = rows_of(model, X, y, sample_weight, groups, expert_labels, clustered)
            found = uncertainty_of(fitted, rows, covariance)
        except NoInformation as error:
            raise ValueError(
                f"infer: no standard errors from derivatives: {error};"
                " classic_moe.inference.bootstrap needs none."
            ) from None
    return Inference.of(
        found.names,
        found.estimates,
        found.covariance,
        confidence=confidence,
        reasons=found.reasons,
        method=METHODS[covariance],
        penalised=found.penalised,
        effective_parameters=found.effective_parameters,
        partial=found.partial,
    )
