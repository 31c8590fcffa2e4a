"""Fits with growing numbers of experts, each begun also from its neighbours."""

from __future__ import annotations

import time
from typing import NamedTuple

from sklearn.base import clone

from ..parts.checks import can
from .criteria import has_collapsed
from .growth import growth_of

SHORT = 20
"""Iterations after which one of several places to begin from is chosen."""
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
    before it; a tree grows the leaf that gains most. Downwards, each fit with more experts has some
    of them merged. Where that finds a better maximum, its splits are tried again. A fit that is
    then worse than the one with fewer experts begins where that ended, an expert written twice: so
    the objective never falls along the path, but for what a prior takes for one more expert.
    Of fits that have found their penalties by the evidence it is the evidence that is compared, and
    nothing is promised.

    Parameters
    ----------
    estimator : estimator
        A mixture of experts, whose number of experts is to be chosen.
    counts : list of int
        Numbers of experts, ascending.
    rows : Rows
    n_jobs : int or None
        Threads of a fit; None leaves the estimator's own.
    tell : callable (str), default=None
        Told of every number once it is fitted.

    Attributes
    ----------
    growth : Flat, Grown or Levels
    counts : list of int
        Those that there are: of balanced trees some numbers of leaves.
    fits : list of fitted estimators, for each of them
    seconds : list of float
    """

    def __init__(self, estimator, counts, rows, n_jobs=None, tell=None):
        self.estimator, self.rows = estimator, rows
        self.growth = growth_of(estimator, counts)
        self.counts, self.sizes = self.growth.counts, self.growth.sizes
        self.own = dict(
            init_params=estimator.init_params,
            n_jobs=estimator.n_jobs,
            max_iter=estimator.max_iter,
        )
        self.n_jobs = estimator.n_jobs if n_jobs is None else n_jobs
        self.tell = tell
        self.fits, self.seconds = [], [0.0] * len(self.sizes)

    def run(self):
        """Fit all numbers, and return self."""
        last = len(self.sizes) - 1
        for i, size in enumerate(self.sizes):
            below = self._best_of(i, self._more(i)) if i else None
            own = self.growth.own(size)
            own = None if own is None else self._fit(i, own, self.estimator.init_params)
            self.fits.append(below if own is None else own)
            if i:
                self._take(i, below)
                self._at_least(i)
            if self.tell is not None:
                self.tell(f"n_experts={size}: objective {_objective(self.fits[i]):.6f}")
        better = {i for i in reversed(range(last)) if self._from_above(i)}
        for i in range(1, last + 1):
            if i - 1 in better and self._take(i, self._best_of(i, self._more(i))):
                better.add(i)
            if self._at_least(i):
                better.add(i)
        asked = [self.sizes.index(count) for count in self.counts]
        self.fits = [self.fits[i] for i in asked]
        self.seconds = [self.seconds[i] for i in asked]
        return self

    def _fit(self, i, params, start, max_iter=None):
        """Return a fit that begins somewhere, whose time is that of the i-th number of experts."""
        begun = time.perf_counter()
        options = dict(init_params=start, n_jobs=self.n_jobs)
        if max_iter is not None:
            options["max_iter"] = min(max_iter, self.own["max_iter"])
        fit = clone(self.estimator).set_params(**params, **options)
        X, y, sample_weight, groups = self.rows
        fit.fit(X, y, sample_weight, groups=groups)
        fit.set_params(**self.own)
        self.seconds[i] += time.perf_counter() - begun
        return fit

    def _best_of(self, i, places):
        """Return a fit from the best of several places after short climbs; None for no place."""
        if len(places) > 1:
            short = [self._fit(i, *place, SHORT) for place in places]
            best = min(range(len(places)), key=lambda j: _rank(short[j]))
            places = [places[best]]
        return self._fit(i, *places[0]) if places else None

    def _more(self, i):
        """Return the places that splits of the experts of the fit before lead to."""
        return self.growth.more(self.fits[i - 1], self.sizes[i], self.rows)

    def _from_above(self, i):
        """Merge experts of the fit after; return whether that is better."""
        if self.sizes[i] == 1:
            return False
        places = self.growth.fewer(self.fits[i + 1], self.sizes[i], self.rows)
        return self._take(i, self._best_of(i, places))

    def _take(self, i, fit):
        """Put a fit in the place of the one so far if it is better; return whether it is."""
        if fit is None:  # there was no place to begin from
            return False
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
        if not (has_collapsed(below) or _finds_penalties(below)):
            for place in self.growth.copies(below, self.sizes[i]):
                if not _is_below(self.fits[i], below):
                    break
                copies.append(self._fit(i, *place))
                self._take(i, copies[-1])
        if copies and _is_below(self.fits[i], below):  # every copy has few rows for an expert
            self.fits[i] = max([self.fits[i], *copies], key=_objective)
        return self.fits[i] is not so_far


def _rank(fit):
    """Return by what to sort fits, the better first."""
    return has_collapsed(fit), -_objective(fit)


def _is_below(fit, other):
    """Return whether a fit has not climbed as high as another, but for rounding."""
    own, others = _objective(fit), _objective(other)
    return own < others - ROUNDING * max(1.0, abs(others))


def _finds_penalties(fit):
    """Return whether the penalties of a fit are of its own finding."""
    return can(fit, "penalties_")


def _objective(fit):
    """Return what a fit has climbed to, a float; with penalties of its own finding the evidence."""
    return float(fit.log_evidence_ if _finds_penalties(fit) else fit.lower_bounds_[-1])
