"""From rows that come in blocks to a `Problem`: as `prepare` does, without ever holding them all.

A survey of all blocks says how many rows there are, their classes and weights; two or three passes
more their means and standard deviations, in the sums that rows in memory have.
"""

from __future__ import annotations

import functools
import warnings
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _num_samples, column_or_1d

from ..data.batches import SAMPLE_BYTES, SAMPLE_ROWS
from ..data.categories import draft_of
from ..data.sources import Rows, SourceBatches, Sum
from ..data.units import BLOCKS, Scaling, block_rows
from ..parts.black_box import shown
from ..parts.names import names_of
from ..parts.registry import is_estimator
from ..parts.storage import no_columns
from ._outside import level_outside
from ._prepare import (
    CONSTANT_TARGET,
    WIDE,
    Given,
    Schema,
    assembled,
    check_raw,
    choose_columns,
    coding_of,
    complete,
    looking_at_x,
    of_given,
    ready_parts,
    units_of_y,
    weigh,
    weight_unit_of,
)
from ._targets import find_classes, plain

GATHERED = SAMPLE_BYTES
"""Bytes of X up to which the rows of all blocks are fitted in memory: a search would hold them."""
COUNTED = 16384
"""Rows that are counted at a time."""


def prepare_blocks(estimator, source, *, classes=None, groups=None, expert_labels=None):
    """Return the `Problem` of fitting an estimator to rows in blocks.

    Parameters
    ----------
    estimator : BaseMixtureOfExperts
    source : Source
    classes : array-like, default=None
        All labels there will be, where the caller says so.
    groups, expert_labels : refused unless None

    Raises
    ------
    ValueError, TypeError
        For what blocks cannot be used for, in one sentence; and as `prepare`, with the number of
        the block.
    """
    ready = ready_parts(estimator)
    _refuse(estimator, ready, groups, expert_labels)
    caution = source.caution()
    if caution is not None:
        warnings.warn(caution, stacklevel=level_outside())
    X, y = source.head()
    reader = _Reader.of(estimator, ready.bare)
    reader.settle(X, y, source, coding_of(ready.previous))
    head, y_names = reader.header(X, y), names_of(y)
    chosen = choose_columns(estimator, ready.bare, X, head)
    is_labels = estimator._target.task == "classification"
    survey = source.total(reader, Sum(functools.partial(_Survey.of, is_labels), COUNTED))[0]
    if survey is None:
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if is_labels:  # several of each, or scikit-learn takes few rows for numbers
        check_classification_targets(np.tile(survey.labels, 3))
    n, p = survey.n, head.X.shape[1]
    few = n * max(p, 1) * survey.dtype.itemsize <= GATHERED or n <= SAMPLE_ROWS
    if few or p > max(survey.totals.sum(), WIDE):
        X, y, weight = source.take(reader, np.arange(n))
        weight = weigh(estimator, X, y, weight)
        given = Given(X, y, weight, slice(None), n, head.names, head.coding)
        known = dict(groups=None, expert_labels=None)
        return of_given(estimator, ready, given, chosen, y_names, known, classes=classes)
    target = _target(estimator, ready, survey, head, classes)
    reader = replace(reader, target=replace(target, names=y_names), dtype=survey.dtype)
    return _of_survey(estimator, ready, source, reader, survey, head, chosen)


def _target(estimator, ready, survey, head, classes):
    """Return the target of a fit: by the first block, or by the labels of all."""
    y = head.y
    if survey.labels is not None:
        y = survey.labels[survey.weighed(estimator).factors > 0]
    return estimator._target.fit(y, ready.bare.expert, classes)[0]


def _of_survey(estimator, ready, source, reader, survey, head, chosen):
    """Return the problem of blocks that stay where they are."""
    bare, target, (columns, layout) = ready.bare, reader.target, chosen
    rows, p, n_threads = (
        survey.weighed(estimator),
        head.X.shape[1],
        effective_n_jobs(estimator.n_jobs),
    )
    reader = replace(reader, divisors=rows.divisors)
    if survey.labels is not None:
        reader = replace(reader, labels=survey.labels, factors=rows.factors)
    q = 1 if survey.labels is not None else target.n_columns
    x, own = _scalings(estimator, source, reader, layout, {"X": p, "y": q}, rows, n_threads)
    check_raw(estimator, x, layout)
    y, objective = units_of_y(bare, target, lambda: own)
    told = dict(normalizes=estimator.normalize_weights, grouped=False, coding=head.coding)
    schema = Schema(target, columns, x, y, rows.unit, p, head.names, **told)
    model = complete(bare, layout, objective, target)
    sizes = rows.n, rows.total, survey.dtype, n_threads
    batches = SourceBatches(source, reader, x, y, *sizes)
    batches.map_sum(functools.partial(_checked, model), None)
    given = Given(None, None, None, slice(None), rows.n, head.names, head.coding)
    return assembled(estimator, ready, model, schema, batches, given, layout, {})


def _checked(model, params, X, y, weight):
    """Return 0, if the gate can take the rows."""
    model.gate.check_input(model.gate_input(X))
    return 0


# -- what is refused -----------------------------------------------------------------------------


def _refuse(estimator, ready, groups, expert_labels):
    """Raise an error of one sentence for a fit that blocks cannot be used for."""
    for part in (ready.bare.expert, ready.bare.gate):
        if not part.learning.sums:
            raise TypeError(
                f"{shown(part)} learns from all rows at once, in memory; pass numpy arrays to fit,"
                " or use parts such as 'linear' and 'softmax'."
            )
        if part.learning.fixed and ready.bare.objective.blends:
            raise TypeError(
                f"{shown(part)} was fitted before, and what it says of every row is kept for the"
                " blended error; pass numpy arrays to fit."
            )
    if groups is not None:
        raise ValueError(
            "groups need rows that stand together, which blocks do not promise; pass arrays in"
            " memory."
        )
    if expert_labels is not None:
        raise ValueError(
            "expert_labels belong to single rows, which blocks do not number; pass arrays in"
            " memory."
        )
    if "sums" in ready.solver.requires and not ready.solver.draws_rows:
        raise ValueError(
            f"solver={estimator.solver!r} learns from row after row, which a pass over blocks does"
            " not; use solver='em' or 'lbfgs', or partial_fit block by block."
        )
    if ready.solver.draws_rows:
        raise ValueError(
            f"solver={estimator.solver!r} draws rows at random, which blocks do not allow; use"
            " solver='em' or 'lbfgs', or partial_fit block by block."
        )
    start = estimator.init_params
    if not isinstance(start, (str, dict)) and not is_estimator(start):
        kind = "a callable" if callable(start) else "an array"
        raise ValueError(
            f"init_params as {kind} needs all rows at once; give a fitted estimator, a dict or"
            " 'quantile'."
        )


# -- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """Makes `Rows` of a block of the caller's: validated, those of positive weight.

    Attributes
    ----------
    estimator : a copy that knows the columns of the first block
    expert : BaseExpert
    least : int, how many columns X has at least
    target : RealTarget or ClassTarget, what y is made with; None: it stays the caller's
    labels, factors : ndarrays of shape (C,), the factor of the weights of every label; or None
    divisors : tuple of float, by which weights are divided, one after the other
    dtype : of X; None: that of the block
    """

    estimator: object
    expert: object
    least: int
    target: object = None
    labels: np.ndarray | None = None
    factors: np.ndarray | None = None
    divisors: tuple = ()
    dtype: np.dtype | None = None

    @classmethod
    def of(cls, estimator, model):
        """Return the reader of blocks, of which the first is shown to `header`."""
        least = min(len(looking_at_x(estimator, model.expert, model.gate)), 1)
        return cls(copy(estimator), model.expert, least)

    def header(self, X, y) -> Given:
        """Return the first block, validated; its columns are those of all blocks from then on."""
        X, y = self._read(X, y, reset=True)
        names, coding = vars(self.estimator).get("feature_names_in_"), self.estimator._coding
        names = names if coding is None or coding.is_draft else coding.names
        return Given(X, y, None, slice(None), len(y), names, coding)

    def settle(self, X, y, source, previous):
        """Find which levels the categories of all blocks have, by a pass, if there are any.

        X and y are the first block; `previous` is the `Coding` of a fit to go on from.
        """
        given = self.estimator.categorical_features
        self.estimator._coding = draft = draft_of(given, X, declared_only=True)
        if draft is not None:
            names = self.header(X, y).names
            totals = source.total(self, Sum(draft.totals, COUNTED))[0]
            if totals is not None:  # else all weights are 0, which is refused elsewhere
                self.estimator._coding = draft.settled(totals, names, previous)

    def __call__(self, number, X, y, weight) -> Rows | None:
        """Return the rows of a block that count, None if there are none."""
        try:
            if X is not None and not _num_samples(X):
                return None
            X, y = self._read(X, y, reset=False)
            return self._counting(X, y, weight)
        except (ValueError, TypeError) as error:
            raise type(error)(f"block {number}: {error}") from error

    def _read(self, X, y, reset):
        """Return X and y of a block, validated as `fit` does; labels stay labels."""
        X = no_columns(y) if X is None and y is not None else X
        options = dict(ensure_min_features=self.least, reset=reset)
        validate = functools.partial(self.estimator._validate, **options)
        if self.estimator._target.task == "regression":
            X, y = self.estimator._target.read(X, y, validate, self.expert)
            self.expert.check_target(y)
            return X, y
        X, y = validate(X), column_or_1d(plain(y))
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        if len(y) != X.shape[0]:
            raise ValueError(f"X has {X.shape[0]} rows and y {len(y)}; they must match.")
        return X, y

    def _counting(self, X, y, weight):
        """Return the rows of positive weight, y as the target has it."""
        if weight is None:
            weight = np.ones(X.shape[0])
        elif _num_samples(weight) == X.shape[0] and not np.any(np.asarray(weight)):
            return None  # scikit-learn refuses weights that are all 0, here those of a block
        else:
            options = dict(dtype=np.float64, ensure_non_negative=True)
            weight = _check_sample_weight(weight, X, **options)
        if self.factors is not None:
            weight = weight * self.factors[np.searchsorted(self.labels, y)]
        if not (weight > 0).all():
            kept = weight > 0
            X, y, weight = X[kept], y[kept], weight[kept]
            if not len(weight):
                return None
        for divisor in self.divisors:
            weight = weight / divisor
        X = X if self.dtype is None else X.astype(self.dtype, copy=False)
        y = y if self.target is None else self.target.read_new(y, self.expert)
        return Rows(X, y, weight)


# -- the survey ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Survey:
    """What all rows of positive weight are like; surveys of some rows and others add up.

    Attributes
    ----------
    labels : ndarray of shape (C,), sorted; None of numbers, which are as one class
    counts, totals, largest : ndarrays of shape (C,), rows of every class, and their weights
    dtype : of X
    """

    labels: np.ndarray | None
    counts: np.ndarray
    totals: np.ndarray
    largest: np.ndarray
    dtype: np.dtype

    @classmethod
    def of(cls, is_labels, X, y, weight):
        """Return the survey of some rows, whose y are labels or numbers."""
        labels, codes = find_classes(y) if is_labels else (None, np.zeros(len(weight), dtype=int))
        largest = np.zeros(1 if labels is None else len(labels))
        np.maximum.at(largest, codes, weight)
        return cls(labels, np.bincount(codes), np.bincount(codes, weight), largest, X.dtype)

    def __add__(self, other):
        dtype = np.result_type(self.dtype, other.dtype)
        if self.labels is None:
            places, labels = (slice(None), slice(None)), None
        else:
            labels, codes = find_classes(np.concatenate([self.labels, other.labels]))
            places = np.split(codes, [len(self.labels)])
        found = [np.zeros(1 if labels is None else len(labels)) for _ in range(3)]
        for one, place in zip((self, other), places, strict=True):
            found[0][place] += one.counts
            found[1][place] += one.totals
            found[2][place] = np.maximum(found[2][place], one.largest)
        return _Survey(labels, *found, dtype)

    @property
    def n(self):
        """How many rows there are."""
        return int(self.counts.sum())

    def weighed(self, estimator) -> _Weighed:
        """Return what becomes of the weights: those of classes, and `normalize_weights`."""
        factors = np.ones(len(self.totals))
        if estimator._class_weight is not None:
            given = estimator._target.weigh(self.labels, self.totals, estimator._class_weight)
            factors = given / self.totals
        present, divisors = factors > 0, ()
        n, total = int(self.counts[present].sum()), float((self.totals * factors).sum())
        if not n:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        if estimator.normalize_weights:  # as `normalised` does
            largest = (self.largest * factors).max()
            divisors = largest, (self.totals * factors / largest).sum() / n
            total = float(n)
        unit = weight_unit_of(np.array([total / n]), {})
        divisors = divisors if unit == 1 else (*divisors, unit)
        return _Weighed(n, total / unit, factors, divisors, unit)


class _Weighed(NamedTuple):
    """The rows of positive weight, with the weights of their classes.

    Attributes
    ----------
    n : int
    total : float, Σ weight inside
    factors : ndarray of shape (C,), of the weights of every class
    divisors : tuple of float, by which weights are divided, one after the other
    unit : float, the caller's weight of an internal row of weight 1
    """

    n: int
    total: float
    factors: np.ndarray
    divisors: tuple
    unit: float


def _scalings(estimator, source, reader, layout, widths, rows, n_threads):
    """Return the scalings of X and of y by mean and standard deviation; y's None of labels.

    What both ask of the rows is answered by the same passes, in the sums of rows in memory.
    `widths` are the columns of X and y; `rows` counted and weighed, a `_Weighed`.
    """
    asking = {"X": Scaling.asked(rows.total, estimator.standardize, columns=layout.source)}
    if reader.target.task == "regression":
        asking["y"] = Scaling.asked(rows.total, constant_factor=1 / CONSTANT_TARGET)
    found, wanted = {"y": None}, {name: next(one) for name, one in asking.items()}
    while wanted:
        sums = []
        for name, own in wanted.items():
            size = block_rows(widths[name], rows.n)
            piece = functools.partial(_piece, own, name, size)
            sums.append(Sum(piece, BLOCKS * size, own.add, looks_at_x=name == "X"))
        answers = source.total(reader, *sums, n_threads=n_threads)
        for name, answer in zip(list(wanted), answers, strict=True):
            try:
                wanted[name] = asking[name].send(answer)
            except StopIteration as end:
                found[name] = end.value
                del wanted[name]
    return found["X"].laid_out(layout), found["y"]


def _piece(wanted, name, size, X, y, weight):
    """Return sums over some rows of X or y."""
    return wanted.piece(X if name == "X" else y, weight, size)
