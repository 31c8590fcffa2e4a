"""Resamples of the rows of a fit, and how what is done with each is shared and reported."""

from __future__ import annotations

import time
from copy import copy
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _check_sample_weight, _num_samples

from .._kernels import loading
from ..estimators._prepare import prepare
from ..estimators._weights import no_sample_size
from ..parts.checks import can, fitted_fact
from ..parts.storage import no_columns

LARGEST_SEED = np.iinfo(np.int32).max
GROUPED = "the fit had groups of rows that share one expert; pass them as groups."
SAME_ROWS = 1e-6
"""Relative difference of log-likelihoods up to which rows are those of a fit."""
EVERY = 1.0
"""Seconds between two lines of progress."""


class Rows(NamedTuple):
    """Rows as the caller gives them to `fit`.

    Attributes
    ----------
    X, y : array-like
    weight : ndarray of shape (n,), or None
    groups : ndarray of shape (n,), or None
    """

    X: object
    y: object
    weight: np.ndarray | None
    groups: np.ndarray | None

    @classmethod
    def of(cls, X, y, sample_weight=None, groups=None):
        """Return the caller's rows, those of weight 0 left out."""
        X = no_columns(y) if X is None else X
        weight = None
        if sample_weight is not None:
            n = np.empty((_num_samples(y), 1))
            weight = _check_sample_weight(
                sample_weight, n, dtype=np.float64, ensure_non_negative=True
            )
        groups = None if groups is None else np.asarray(groups)
        rows = cls(X, y, weight, groups)
        if weight is None or (weight > 0).all():
            return rows
        if not (weight > 0).any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return rows.take(np.flatnonzero(weight > 0))

    @property
    def n(self):
        """The number of rows."""
        return _num_samples(self.y)

    def take(self, rows):
        """Return some of the rows, in that order, each as often as it is named."""
        X = self.X if not issparse(self.X) else self.X.tocsr()
        return Rows(
            _safe_indexing(X, rows),
            np.asarray(self.y)[rows],
            None if self.weight is None else self.weight[rows],
            None if self.groups is None else self.groups[rows],
        )


def nonparametric(rows, schema):
    """Return how rows are drawn with replacement, a function of random numbers.

    Groups that share an expert are drawn whole, and one that is drawn twice is two groups; other
    groups are clusters, drawn whole too. Single rows are drawn as often as their weights, which are
    frequencies, sum to, a row of weight 2 being twice as likely; how often it is drawn is its new
    weight. Normalised weights are none: rows are drawn alike, and keep their weights.

    Parameters
    ----------
    rows : Rows
    schema : Schema
        Of the fit.

    Returns
    -------
    callable (RandomState) -> Rows
    """
    if rows.groups is not None:
        codes = np.unique(rows.groups, return_inverse=True)[1]
        members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])

        def draw(rng):
            drawn = rng.randint(len(members), size=len(members))
            sizes = [len(members[g]) for g in drawn]
            names = np.repeat(np.arange(len(drawn)), sizes) if schema.grouped else None
            return rows.take(np.concatenate([members[g] for g in drawn]))._replace(groups=names)

    elif schema.normalizes and rows.weight is not None:

        def draw(rng):
            return rows.take(rng.randint(rows.n, size=rows.n))

    else:
        weight = np.ones(rows.n) if rows.weight is None else rows.weight
        total = weight.sum()
        size = int(np.rint(total))

        def draw(rng):
            counts = rng.multinomial(size, weight / total)
            return rows._replace(weight=counts * (total / size))

    return draw


def parametric(model, rows, schema):
    """Return how y is drawn anew from a fit at the same x, a function of random numbers.

    A row of weight 2 is two rows with a y of their own; if weights are normalised a row has one y
    whatever its weight. Groups that share an expert do so here too.

    Parameters
    ----------
    model : fitted estimator
    rows : Rows
    schema : Schema
        Of the fit.

    Returns
    -------
    callable (RandomState) -> Rows
    """
    null = copy(model)
    null.assignment = "soft"  # as the fit sees the experts
    if rows.weight is not None and not schema.normalizes:
        counts = np.rint(rows.weight).astype(np.int64)
        if not np.array_equal(counts, rows.weight):
            row = int(np.argmax(counts != rows.weight))
            raise ValueError(
                f"a parametric resample draws a y for each of the rows that a weight counts, and"
                f" sample_weight[{row}] is {rows.weight[row]:.6g}; give whole numbers, or fit with"
                " normalize_weights=True if weights are no counts."
            )
        rows = rows.take(np.repeat(np.arange(rows.n), counts))._replace(weight=None)
    options = {} if rows.groups is None else {"groups": rows.groups}

    def draw(rng):
        return rows._replace(y=null.sample(rows.X, rng, **options)[0])

    return draw


def check_parametric(model, fitted, caller):
    """ValueError for a fit from which no y can be drawn at given x."""
    gate, objective = fitted.model.gate, fitted.model.objective
    if not objective.likelihood:
        raise ValueError(
            f"{caller}: under objective={model.objective!r} there is no likelihood to draw y from;"
            " objective='likelihood' has one."
        )
    if fitted.model.models_x:
        raise ValueError(
            f"{caller} draws y at the given x, and the gate {type(gate).__name__} models x too;"
            " take a gate such as 'softmax', or draw whole rows, bootstrap(kind='nonparametric')."
        )


def check_rows(fitted, rows, clusters=False):
    """ValueError for groups and weights that are not those of the fit; `clusters` may be drawn."""
    if fitted.schema.grouped and rows.groups is None:
        raise ValueError(GROUPED)
    if rows.groups is not None and not (fitted.schema.grouped or clusters):
        raise ValueError("the fit had no groups of rows that share one expert; leave groups out.")
    if rows.weight is not None and not fitted.schema.normalizes:
        trouble = no_sample_size(rows.weight)
        if trouble is not None:
            raise ValueError(f"sample_weight: {trouble}")


def check_same(name, model, fitted, rows):
    """ValueError unless these are the rows of a fit, as far as its likelihood tells.

    Nothing is asked of fits that have none, or one of other weights or rows: under an error
    function, with weights of classes or normalised ones, of a stream, with other `params_`.
    """
    weights = fitted_fact(model, "class_weight") is not None or fitted.schema.normalizes
    other = model.params_ is not model._fitted.params or fitted.streams
    if weights or other or not can(model, "log_prob"):
        return
    soft = copy(model)
    soft.assignment = "soft"
    if fitted.schema.grouped:
        if rows.groups is None:
            raise ValueError(f"{name}: {GROUPED}")
        value = soft._grouped(rows.X, rows.y, rows.groups, rows.weight)[0].sum()
    else:
        each = soft.log_prob(rows.X, rows.y)
        value = each.sum() if rows.weight is None else rows.weight @ each
    if not abs(value - fitted.log_likelihood) <= SAME_ROWS * (1 + abs(value)):
        raise ValueError(
            f"{name}: its log-likelihood is {value:.6g} on these rows and"
            f" {fitted.log_likelihood:.6g} on those of its fit; pass the rows, weights and groups"
            " of the fit."
        )


def recipe_of(model, caller):
    """Return the estimator of the refits, which begin where the fit stands."""
    if "init_params" not in model.get_params(deep=False):
        raise ValueError(
            f"{caller}: the experts of {type(model).__name__} are fitted alone, not with the gate;"
            " resample around its fit."
        )
    return clone(model).set_params(init_params=model, warm_start=False, n_jobs=None, verbose=0)


def problem_of(recipe, classes, rows, seed):
    """Return the estimator of one refit, and the `Problem` that it is to solve.

    Parameters
    ----------
    recipe : estimator, as of `recipe_of`
    classes : ndarray or None
        Those of the fit: all of them stay known where a resample lacks one.
    rows : Rows
    seed : int
    """
    twin = copy(recipe)
    twin.random_state = seed
    given = rows.X, rows.y, rows.weight, rows.groups
    return twin, prepare(twin, *given, classes=classes)


def each_resample(function, n_resamples, random_state, n_jobs):
    """Yield function(seed) for a random state of each resample, in their order.

    Seeds come from `random_state` before all, so the results are the same for any number of jobs.
    Every process has the compiled kernels loaded, so their last digits are too.

    Parameters
    ----------
    function : callable (int) -> object
    n_resamples : int
    random_state : int, RandomState or None
    n_jobs : int or None
        Processes, as of joblib.
    """
    seeds = check_random_state(random_state).randint(LARGEST_SEED, size=n_resamples).tolist()
    work = Parallel(n_jobs=n_jobs, return_as="generator")
    yield from work(delayed(_quietly)(function, seed) for seed in seeds)


def _quietly(function, seed):
    loading.load()
    with np.errstate(under="ignore"):
        return function(seed)


class Progress:
    """Says how far the resamples are, about once a second, and how long they will still take.

    Parameters
    ----------
    what : str
    n : int
        How many there will be.
    verbose : int
        0 says nothing.
    """

    def __init__(self, what, n, verbose):
        self.what, self.n, self.verbose = what, n, verbose
        self.first, self.told = None, time.monotonic()

    def foretell(self, seconds):
        """Say how long all will take, from what the first refit took."""
        if self.verbose:
            each = f"one took {seconds:.3g} s"
            print(f"{self.what}: {self.n} resamples, about {self.n * seconds:.3g} s ({each})")

    def __call__(self, done):
        """Say that so many are done."""
        now = time.monotonic()
        self.first = (done, now) if self.first is None else self.first  # not how it got under way
        if self.verbose and done > self.first[0] and (done == self.n or now - self.told >= EVERY):
            left = (now - self.first[1]) / (done - self.first[0]) * (self.n - done)
            print(f"{self.what}: {done} of {self.n} resamples, {left:.3g} s left")
            self.told = now
