"""Fits with growing numbers of experts, each begun also from its neighbours."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ..estimators._neighbours import copied, starts_near
from .criteria import has_collapsed

MERGES = 6
"""Pairs of experts that are merged at most on the way down, those of the most alike rows."""
ROUNDING = 1e-9
"""Gains of this size, relative to the objective, are none."""


class Rows(NamedTuple):
    """The data of a fit.

    Attributes
    ----------
    X, y, sample_weight, groups : as of `fit` of the estimators
    """

    X: object
    y: object
    sample_weight: object = None
    groups: object = None


class Path:
    """Fits of an estimator with each of several numbers of experts.

    Upwards, a fit begins from the estimator's own starts and from splits of the experts of the fit
    before it. Downwards, each fit with more experts has pairs of them merged. Where that finds a
    better maximum, its splits are tried again. A fit that is then worse than the one with fewer
    experts begins where that ended, an expert written twice: so the objective never falls along
    the path, but for what a prior takes for one more expert.

    Parameters
    ----------
    estimator : estimator, with `n_experts` among its parameters
    counts : list of int
        Numbers of experts, ascending.
    rows : Rows
    n_jobs : int or None
        Threads of a fit; None leaves the estimator's own.
    tell : callable (str), default=None
        Told of every number once it is fitted.

    Attributes
    ----------
    fits : list of fitted estimators
    seconds : list of float
    """

    def __init__(self, estimator, counts, rows, n_jobs=None, tell=None):
        self.estimator, self.counts, self.rows = estimator, counts, rows
        self.own = dict(init_params=estimator.init_params, n_jobs=estimator.n_jobs)
        self.n_jobs = estimator.n_jobs if n_jobs is None else n_jobs
        self.tell = tell
        self.fits, self.seconds = [], [0.0] * len(counts)

    def run(self):
        """Fit all numbers, and return self."""
        for i, count in enumerate(self.counts):
            self.fits.append(self._fit(i, self.estimator.init_params))
            if i:
                self._from_below(i)
            if self.tell is not None:
                self.tell(f"n_experts={count}: objective {_objective(self.fits[i]):.6f}")
        better = {i for i in reversed(range(len(self.counts) - 1)) if self._from_above(i)}
        for i in range(1, len(self.counts)):
            if i - 1 in better and self._from_below(i):
                better.add(i)
            self._at_least(i)
        return self

    def _fit(self, i, start):
        """Return a fit with the i-th number of experts that begins somewhere."""
        begun = time.perf_counter()
        fit = clone(self.estimator)
        fit.set_params(n_experts=self.counts[i], init_params=start, n_jobs=self.n_jobs)
        X, y, sample_weight, groups = self.rows
        fit.fit(X, y, sample_weight, groups=groups)
        fit.set_params(**self.own)
        self.seconds[i] += time.perf_counter() - begun
        return fit

    def _from_below(self, i):
        """Split the experts of the fit before; return whether that is better."""
        starts = starts_near(self.fits[i - 1], self.counts[i], *self.rows)
        better = self._take(i, self._fit(i, starts))
        return self._at_least(i) or better

    def _from_above(self, i):
        """Merge experts of the fit after; return whether that is better."""
        if self.counts[i] == 1:
            return False
        starts = starts_near(self.fits[i + 1], self.counts[i], *self.rows, most=MERGES)
        return self._take(i, self._fit(i, starts))

    def _take(self, i, fit):
        """Put a fit in the place of the one so far if it is better; return whether it is."""
        so_far = self.fits[i]
        before = has_collapsed(so_far)
        better = _is_below(so_far, fit) if has_collapsed(fit) == before else before
        if better:
            self.fits[i] = fit
        return better

    def _at_least(self, i):
        """Begin where the fit before has ended if that is better; return whether it is."""
        below, so_far = self.fits[i - 1], self.fits[i]
        copies = []
        if not has_collapsed(below):
            for k in np.argsort(-below.weights_, kind="stable").tolist():
                start = copied(below, k, self.counts[i])
                if start is None or not _is_below(self.fits[i], below):
                    break
                copies.append(self._fit(i, start))
                self._take(i, copies[-1])
        if copies and _is_below(self.fits[i], below):  # every copy has few rows for an expert
            self.fits[i] = max([self.fits[i], *copies], key=_objective)
        return self.fits[i] is not so_far


def _is_below(fit, other):
    """Return whether a fit has not climbed as high as another, but for rounding."""
    own, others = _objective(fit), _objective(other)
    return own < others - ROUNDING * max(1.0, abs(others))


def _objective(fit):
    """Return what a fit has climbed to, a float."""
    return float(fit.lower_bounds_[-1])
