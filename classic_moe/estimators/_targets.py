"""What y is to the estimators: `RealTarget` of regressors, `ClassTarget` of classifiers.

Their methods return what they find; nothing is written to an estimator. `expert` is the bank that
is handed y, `validate` scikit-learn's validation of (X, y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.utils import check_array, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

LOOKED_UP = 2**15
"""Labels that are looked up in one go."""


@dataclass(frozen=True)
class RealTarget:
    """Numbers in one column or several, as the y of a fit had them.

    Parameters
    ----------
    n_columns : int
        Columns of y as the experts see it.
    single_output : bool
        Whether predictions are (n,), not (n, q).
    names : tuple of str, default=None
        What the columns of the caller's y were called.
    """

    n_columns: int
    single_output: bool
    names: tuple[str, ...] | None = None

    task: ClassVar[str] = "regression"
    labels: ClassVar[None] = None
    """What `init` is told of the classes, (C,), where y holds their codes; here nothing."""
    codes: ClassVar[None] = None
    """The values (C, C) that y may take, where experts for numbers serve classes; here any."""

    @staticmethod
    def floats(y):
        """Return validated numbers in double precision, the shape of y."""
        return y.astype(np.float64, order="C", copy=False)

    @classmethod
    def read(cls, X, y, validate, expert):
        """Return the caller's X and y, validated: arrays (n, p), and (n,) or (n, q)."""
        X, y = validate(X, numbers(y), multi_output=True, y_numeric=True)
        if y.ndim > 1 and y.shape[1] == 1 and expert.target.outputs == 1:
            y = column_or_1d(y, warn=True)
        return X, cls.floats(y)

    @staticmethod
    def weigh(y, weight, class_weight):
        """Return the weights of the rows, (n,)."""
        return weight

    @classmethod
    def fit(cls, y, expert, classes=None):
        """Return the target of a fit to y, and y as the experts see it, (n, q)."""
        expert.check_target(y)
        inner = expert.target.encode(y)
        single = y.ndim == 1 or expert.target.trials
        return cls(inner.shape[1], single), inner

    def encode(self, y, expert):
        """Return other numbers as the experts see them, (n, q), before scaling."""
        y = self.floats(y)
        expert.check_target(y)
        inner = expert.target.encode(y)
        if inner.shape[1] != self.n_columns:
            given = 1 if y.ndim == 1 else y.shape[1]
            raise ValueError(f"y has {given} columns; the fit had {self.n_columns}.")
        return inner

    def read_new(self, y, expert, estimator=None):
        """Return the y of new rows as the experts see it, (n, q), before scaling."""
        if _is_valid(y):
            return self.encode(y, expert)
        options = dict(dtype=np.float64, ensure_2d=False, input_name="y", estimator=estimator)
        return self.encode(check_array(numbers(y), **options), expert)

    def check_classes(self, classes):
        """Accept whatever classes a later call of `partial_fit` names: there are none."""

    @property
    def output_names(self):
        """What the outputs are called, a list of str: of successes and failures the former."""
        if self.single_output:
            own = ["success" if self.n_columns > 1 else "y"]
            return own if self.names is None else list(self.names[:1])
        q = self.n_columns
        own = [f"y{j}" for j in range(q)] if q > 1 else ["y"]
        return own if self.names is None or len(self.names) != q else list(self.names)

    def view_options(self):
        """Return the keywords of the experts' `view`."""
        return dict(single_output=self.single_output)

    def attributes(self):
        """Return what the estimator shows of it, by name."""
        return {}


@dataclass(frozen=True)
class ClassTarget:
    """Labels, as the y of a fit had them.

    Parameters
    ----------
    classes : ndarray of shape (C,)
        The labels, sorted.
    one_hot : bool
        Whether the experts are for numbers, and see one-hot codes (n, C) in place of codes (n,).
    names : tuple of str, default=None
        What the caller's y was called, a tuple of one.
    """

    classes: np.ndarray
    one_hot: bool
    names: tuple[str, ...] | None = None

    task: ClassVar[str] = "classification"

    @property
    def labels(self):
        """What `init` is told of the classes, (C,); None where the experts are for numbers."""
        return None if self.one_hot else self.classes

    @property
    def codes(self):
        """The values (C, C) that y may take, where the experts are for numbers."""
        return np.eye(len(self.classes)) if self.one_hot else None

    @classmethod
    def read(cls, X, y, validate, expert):
        """Return the caller's X and y, validated: arrays (n, p) and (n,)."""
        X, y = validate(X, plain(y))
        y = column_or_1d(y)
        find_classes(y)  # has more to say about labels of mixed kinds than the next line
        check_classification_targets(y)
        return X, y

    @staticmethod
    def weigh(y, weight, class_weight):
        """Return the weights of the rows times those of their classes, (n,)."""
        if class_weight is None:
            return weight
        if class_weight != "balanced":
            factor = compute_sample_weight(class_weight, y)
            if not (factor >= 0).all():
                raise ValueError(f"class_weight={class_weight!r}: needs weights of at least 0.")
            return weight * factor
        codes = find_classes(y)[1]
        total = np.bincount(codes, weights=weight)  # a row of weight 2 counts as two rows
        present = total[total > 0]  # whose sum no row of weight 0 moves by a rounding
        share = len(present) * np.where(total > 0, total, 1.0)
        return weight * (present.sum() / share)[codes]

    @classmethod
    def fit(cls, y, expert, classes=None):
        """Return the target of a fit to y, and y as the experts see it: codes, or one-hot.

        `classes` are all the labels there will be, if the caller named them; else those in y.
        """
        known, codes = find_classes(y) if classes is None else _among(classes, y)
        if len(known) < 2:
            raise ValueError(
                f"y has one class ({known.tolist()[0]!r}) among the rows with positive"
                " weight; a classifier needs 2."
            )
        target = cls(known, expert.target.task == "regression")
        inner = target._coded(codes)
        expert.check_target(inner if target.one_hot else y)
        return target, inner

    def read_new(self, y, expert, estimator=None):
        """Return the labels of new rows as the experts see them: codes (n,), or one-hot (n, C)."""
        y = column_or_1d(plain(y))
        codes = np.empty(len(y), dtype=np.int64)
        for start in range(0, len(y), LOOKED_UP):  # bounds the temporary copies
            rows = slice(start, start + LOOKED_UP)
            known = np.isin(y[rows], self.classes)
            if not known.all():
                raise ValueError(
                    f"y holds the label {y[rows][~known].tolist()[0]!r}, which the fit did not see;"
                    f" it saw {', '.join(map(repr, self.classes.tolist()))}."
                )
            codes[rows] = np.searchsorted(self.classes, y[rows])
        return self._coded(codes)

    def _coded(self, codes):
        return self.codes[codes] if self.one_hot else codes

    def check_classes(self, classes):
        """ValueError for classes of a later call of `partial_fit` other than those of the first."""
        if classes is not None and not np.array_equal(np.unique(classes), self.classes):
            raise ValueError(
                f"classes={classes!r}: the first call had {self.classes.tolist()}; leave it None."
            )

    @property
    def output_names(self):
        """What y is called, a list of one str."""
        return ["y"] if self.names is None else list(self.names[:1])

    def view_options(self):
        """Return the keywords of the experts' `view`."""
        return dict(single_output=False) if self.one_hot else dict(classes=self.classes)

    def attributes(self):
        """Return what the estimator shows of it, by name."""
        return {"classes_": self.classes}


# -- numbers -------------------------------------------------------------------------------------


def numbers(y):
    """Return y as numbers; a ValueError naming the first text in it."""
    if y is None:
        return y  # "y cannot be None" is scikit-learn's to say
    values = np.asarray(y)
    if values.dtype.kind in "OUST":
        try:
            return values.astype(np.float64)
        except (TypeError, ValueError):
            text = next((v for v in values.ravel() if not _is_number(v)), values.ravel()[0])
            text = text.item() if isinstance(text, np.generic) else text
            raise ValueError(
                f"y holds {text!r}, which is not a number; for labels use"
                " MixtureOfExpertsClassifier."
            ) from None
    return y


def _is_valid(y):
    """Return whether scikit-learn's validation would find nothing to do or to say, a bool."""
    if not (
        type(y) is np.ndarray
        and y.dtype == np.float64
        and y.dtype.isnative
        and y.ndim in (1, 2)
        and y.size
    ):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(y.sum()))  # of numbers that are finite; or else of them as well


def _is_number(value):
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


# -- labels --------------------------------------------------------------------------------------


def plain(y):
    """Return labels in numpy's StringDType, which scikit-learn does not know, as objects."""
    of_strings = isinstance(y, np.ndarray) and y.dtype.kind == "T"
    return y.astype(object) if of_strings else y


def find_classes(y):
    """Return the labels that occur, sorted (C,), and where in them each row's stands (n,)."""
    try:
        return np.unique(y, return_inverse=True)
    except TypeError:
        kinds = ", ".join(sorted({type(v).__name__ for v in y}))
        raise ValueError(f"y mixes labels of different kinds ({kinds}); use one.") from None


def _among(classes, y):
    """Return all classes that the caller of `partial_fit` named, and where each row's stands."""
    classes = find_classes(plain(column_or_1d(classes)))[0]
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(
            f"y holds the label {y[unknown].tolist()[0]!r}, which is not among classes:"
            f" {', '.join(map(repr, classes.tolist()))}."
        )
    return classes, np.searchsorted(classes, y)
