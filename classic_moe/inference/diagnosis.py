"""`diagnose`: what a careful statistician would say of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _check_sample_weight, _num_samples

from ..parts.checks import can
from ..parts.names import printable
from ..report.table import Table
from . import _remarks
from ._influence import Influence
from ._parameters import fit_of
from ._residuals import quantile_residuals

MARKS = {2: "!!", 1: "! ", 0: "ok"}


@dataclass(frozen=True, repr=False, eq=False)
class Diagnosis:
    """What there is to say of a fit, worst first; `print` it, or show it in a notebook.

    Attributes
    ----------
    heading : str
    remarks : list of Remark
        Each with `severity` (2: to be mended; 1: to be looked at; 0: in order), `topic`, `text` and
        `advice`.
    tables : dict of str to Table
        "experts", "starts", "residuals" and "influential rows", as far as there are any.
    residuals : ndarray of shape (n, q) or None
        Randomised quantile residuals, standard normal if the model is right. NaN in rows without
        weight.
    influence : ndarray of shape (n,) or None
        How far leaving a row out would move the parameter that it moves most, in standard errors.
    gate_entropy, posterior_entropy : float
        Mean entropy of the gating probabilities, and of the responsibilities, as shares of log K.
    condition : float
        Condition number of the observed information scaled to a unit diagonal; NaN where there is
        none.
    """

    heading: str
    remarks: list
    tables: dict[str, Table]
    residuals: np.ndarray | None
    influence: np.ndarray | None
    gate_entropy: float
    posterior_entropy: float
    condition: float

    def __str__(self):
        lines = [f"{MARKS[one.severity]} {printable(str(one))}" for one in self.remarks]
        return "\n\n".join(
            [printable(self.heading), "\n".join(lines), *map(str, self.tables.values())]
        )

    __repr__ = __str__

    def _repr_html_(self):
        items = "".join(
            f"<li>{MARKS[one.severity]} {escape(printable(str(one)))}</li>" for one in self.remarks
        )
        tables = "".join(table._repr_html_() for table in self.tables.values())
        return f"<p>{escape(printable(self.heading))}</p><ul>{items}</ul>{tables}"


def diagnose(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    expert_labels: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> Diagnosis:
    """Say of a fit what a careful statistician would: plain sentences, worst first.

    They are about convergence and what the fit warned of, how many rows each expert rests on, how
    sure the gate is, whether the data determine the parameters, single rows that decide, residuals,
    and where the other starts of the search ended.

    Parameters
    ----------
    model : fitted mixture of experts
        Of a Pipeline the last step, with X as that step sees it.
    X : array-like of shape (n, p)
    y : array-like of shape (n,) or (n, q)
        With X the data of the fit.
    sample_weight : array-like of shape (n,), default=None
        As in the fit.
    groups, expert_labels : array-like of shape (n,), default=None
        As in the fit.
    random_state : int, RandomState or None, default=0
        For the residuals of counts and classes.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError
        For a model that is no mixture of experts.
    ValueError
        For data that do not belong to the model.

    Notes
    -----
    Residuals are randomised quantile residuals [1]_. Influence is the first step of Newton's method
    towards the fit without a row (one-step deletion [2]_); a row is spoken of where it moves some
    parameter by more than one standard error. Thresholds are rules of thumb, not tests: five
    effective rows for each parameter of an expert, ten rows for each of the model.

    References
    ----------
    .. [1] Dunn, P. K. & Smyth, G. K. (1996). Randomized quantile residuals. Journal of
       Computational and Graphical Statistics 5, 236-244.
    .. [2] Cook, R. D. (1986). Assessment of local influence. Journal of the Royal Statistical
       Society B 48, 133-169.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor, diagnose
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)
    >>> found = diagnose(model, X, y)
    >>> found.remarks[-1].severity
    0
    >>> sorted(found.tables)
    ['experts', 'influential rows', 'residuals', 'starts']
    """
    fitted = fit_of(model, "diagnose")
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    rows = np.flatnonzero(weight > 0)
    if not len(rows):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if _num_samples(y) != len(weight):
        raise ValueError(f"X has {len(weight)} rows and y {_num_samples(y)}; they must match.")
    given = (X, y, groups, expert_labels)
    X, y, groups, labels = (None if a is None else _safe_indexing(a, rows) for a in given)
    n, weight = len(weight), weight[rows]
    gate, resp = model.gate_proba(X), _responsibilities(model, X, y, groups)
    # A seed of their own: y may have been drawn with the same one.
    seed = check_random_state(random_state).randint(2**31 - 1)
    residuals = quantile_residuals(model, fitted, X, y, np.random.RandomState(seed))
    influence = Influence.of(model, fitted, X, y, weight, groups, labels)
    entropies = [_entropy(gate, weight), np.nan if resp is None else _entropy(resp, weight)]
    remarks, tables = [], {}
    for remark, table in (
        _remarks.on_the_fit(model, fitted, weight, groups),
        _remarks.on_experts(model, fitted, gate, resp, weight),
        _remarks.on_the_gate(model, fitted, gate, entropies, weight),
        _remarks.on_the_information(influence),
        _remarks.on_influence(influence, fitted, rows, groups),
        _remarks.on_residuals(model, fitted, residuals, X, rows),
        _remarks.on_starts(model, weight),
    ):
        remarks += remark
        tables |= table
    remarks.sort(key=lambda one: -one.severity)  # stable
    about = model.describe()
    return Diagnosis(
        f"{type(model).__name__}: {about.experts}, {about.gate}; {len(rows)} rows",
        remarks,
        tables,
        _spread(residuals, rows, n),
        _spread(influence.moves, rows, n),
        *entropies,
        influence.condition,
    )


def _responsibilities(model, X, y, groups):
    """Return the responsibilities (n, K), None under an error function."""
    if not can(model, "responsibilities"):
        return None
    return model.responsibilities(X, y, groups)


def _entropy(proba, weight):
    """Return the mean entropy of probabilities (n, K) or (n, K, q) as a share of log K."""
    K = proba.shape[1]
    if K == 1:
        return 0.0
    each = -np.sum(proba * np.log(np.where(proba > 0, proba, 1.0)), axis=1) / np.log(K)
    return float(np.average(each.reshape(len(each), -1).mean(axis=1), weights=weight))


def _spread(values, rows, n):
    """Return values of some rows among all n, NaN elsewhere; None of None."""
    if values is None:
        return None
    found = np.full((n, *values.shape[1:]), np.nan)
    found[rows] = values
    return found
