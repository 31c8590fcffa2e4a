"""What leaving experts out costs: any fitted mixture with the k best experts of a row kept."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..gates import TopKGate


class TopKReport(NamedTuple):
    """What predictions are worth, and cost, with the k best experts of a row kept.

    One entry a number of experts kept, the last with all of them.

    Attributes
    ----------
    k : ndarray of int of shape (m,)
    nll : ndarray of shape (m,)
        Mean of -log p(y given x) of the rows.
    error : ndarray of shape (m,)
        Of regressors Σ (y - predicted)² / Σ (y - mean)² (over all columns of y); of classifiers
        the share of wrong labels.
    kept_mass : ndarray of shape (m,)
        Mean of Σ g_i(x) over the kept experts, before they are renormalised.
    seconds : ndarray of shape (m,)
        Processor time of `predict`, all rows in one go.
    """

    k: np.ndarray
    nll: np.ndarray
    error: np.ndarray
    kept_mass: np.ndarray
    seconds: np.ndarray

    def __repr__(self):
        lines = ["    k         NLL       error   kept mass     seconds"]
        for k, *numbers in zip(*self, strict=True):
            lines.append(f"{k:5d}" + "".join(f"{number:12.4g}" for number in numbers))
        return "\n".join(lines)


def top_k_report(model: Any, X: ArrayLike, y: ArrayLike, ks: Any = (1, 2, 4, 8)) -> TopKReport:
    """Say what it costs to keep the k best experts of a row, for any fitted mixture.

    The parameters stay as they are: it is the fitted mixture with the others left out, before any
    tuning for k. So it tells from a dense fit which k is enough, for a
    `classic_moe.SparseMixtureOfExpertsRegressor` or a gate with `top_k`.

    Parameters
    ----------
    model : fitted estimator of this package
        Of a sparse one the gate of all its experts is looked at.
    X : {array-like, sparse matrix} of shape (n, p)
    y : array-like of shape (n,) or (n, q)
        Rows that the fit has not seen tell most.
    ks : sequence of int, default=(1, 2, 4, 8)
        Numbers of experts to keep; those of K and more are one row, with all of them, which always
        stands last.

    Returns
    -------
    TopKReport

    Raises
    ------
    ValueError
        For numbers below 1, and for a fit without a likelihood.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> from classic_moe.routing import top_k_report
    >>> X, y = make_voronoi_pieces(1000, n_pieces=8, random_state=0)
    >>> model = MixtureOfExpertsRegressor(8, n_init=2, random_state=0).fit(X[:500], y[:500])
    >>> report = top_k_report(model, X[500:], y[500:])
    >>> report.k.tolist(), bool(report.kept_mass[1] > 0.95)
    ([1, 2, 4, 8], True)
    """
    if getattr(model, "responsibilities", None) is None:
        raise ValueError(
            f"top_k_report: this {type(model).__name__} has no likelihood of a mixture, as it is"
            " under an error function and of a blend; objective='likelihood' and combine='mixture'"
            " have."
        )
    ks = np.unique(np.asarray(ks))
    if ks.dtype.kind not in "iu" or ks.size == 0 or ks[0] < 1:
        raise ValueError(f"ks={ks.tolist()}: needs integers of at least 1.")
    n_experts = model.n_experts_
    ks = [*ks[ks < n_experts].tolist(), n_experts]
    dense = _keeping(model, n_experts)
    largest = -np.sort(-dense.gate_proba(X), axis=1)
    rows = []
    for k in ks:
        twin = _keeping(model, k)
        twin.predict(X[:1])  # what is loaded once does not count
        start = time.process_time()
        predicted = twin.predict(X)
        seconds = time.process_time() - start
        nll = -float(np.mean(twin.log_prob(X, y)))
        rows.append(
            (k, nll, _error(model, y, predicted), largest[:, :k].sum(axis=1).mean(), seconds)
        )
    return TopKReport(*map(np.array, zip(*rows, strict=True)))


def _keeping(model, k):
    """Return a copy of a fitted mixture whose gate keeps the k best experts."""
    fitted, twin = model._fitted, copy(model)
    gate = fitted.model.gate.dense()
    gate = gate if k >= model.n_experts_ else TopKGate(gate, k)
    twin._fitted = replace(fitted, model=replace(fitted.model, gate=gate))
    return twin


def _error(model, y, predicted):
    """Return the relative squared error of means, or the share of wrong labels."""
    y = np.asarray(y).reshape(np.shape(predicted))  # (n, 1) is (n,)
    if hasattr(model, "classes_"):
        return float(np.mean(y != predicted))
    return float(np.sum((y - predicted) ** 2) / np.sum((y - y.mean(axis=0)) ** 2))
