"""`RowsMixin`: how a fitted estimator reads the caller's rows, and evaluates functions of them."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar, cast

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_X_y
from sklearn.utils.validation import check_is_fitted, validate_data

from .._kernels import array
from .._kernels.array import brought, is_elsewhere
from ..data import devices
from ..data.dask_source import lazily
from ..data.devices import received
from ..data.threads import Threads
from ..data.units import Scaled
from ..exceptions import UnseenCategoryWarning
from ..parts.black_box import shown
from ..parts.blas import one_blas_thread
from ..parts.storage import check_memory, is_lazy, native, no_columns
from ..parts.tables import check_dates, wrong_column
from ._outside import level_outside

OF_X = ("reset", "ensure_min_features", "accept_sparse", "order")
"""Options of the validation of (X, y) that are of X."""
CHUNK_NUMBERS = 2**20
"""Numbers of X in the largest chunk of a prediction, 8 MiB of them."""
Method = TypeVar("Method", bound=Callable[..., Any])


class RowsMixin:
    """Reads the caller's rows as the fit had them, whose `Schema` is ``_fitted.schema``."""

    categorical_features = None

    @property
    def _coding_now(self):
        """The `Coding` of the rows: that of the fit, or of a fit to come; None for none."""
        own = vars(self)
        if "_coding" in own:  # of a copy that reads the rows of a fit to come
            return own["_coding"]
        return None if self._fitted is None else self._fitted.schema.coding

    def _of_coded_rows(self):
        """Return a copy of a fitted estimator that takes rows with their categories coded."""
        twin, schema = copy(self), self._fitted.schema
        twin._coding, twin.n_features_in_ = None, schema.n_features
        vars(twin).pop("feature_names_in_", None)
        return twin

    def _validate(self, X, y="no_validation", *, anywhere=False, **options):
        """Return X and y as scikit-learn validates them; of missing values say what to do.

        X is dense, in C order, or sparse, in rows (CSR): float64, or float32 as it was given. Its
        categories are coded; while it is not known which levels a fit has, they are codes. With
        `anywhere` X may lie on a device, and y is the host's in any case.
        """
        X, coding, unseen = received(X), self._coding_now, ""
        given = X
        check_dates(X, coding)
        if not anywhere and array.is_away(X):
            raise TypeError(computes_on_host(type(self).__name__, X))
        options |= dict(order="C", accept_sparse="csr")
        if coding is not None and X is not None:
            X, unseen = coding.codes(X, type(self).__name__)
        try:
            found = self._validated(native(X), y, options)
        except (TypeError, ValueError) as error:
            name = _missing_in(str(error))
            named = any(words in str(error) for words in ("eature names", "unique column names"))
            wrong = "" if name or named else self._wrong_column(given, options)
            if wrong:
                raise ValueError(wrong) from None
            if "unique column names" in str(error):
                shared = str(error).partition("\n- ")[2].replace("\n- ", ", ")
                raise ValueError(
                    f"X has several columns of one name ({shared}): give each a name of its own, or"
                    " pass the values alone, X.to_numpy()."
                ) from None
            if name is None:
                raise
            advice = (
                "put sklearn.impute.SimpleImputer before the estimator in a Pipeline"
                if name == "X"
                else "leave those rows out"
            )
            raise ValueError(
                f"Input {name} contains NaN: {type(self).__name__} takes no missing values;"
                f" {advice}."
            ) from None
        return found if coding is None else self._coded(found, y, coding, unseen)

    def _coded(self, found, y, coding, unseen):
        """Return what was validated, X alone or with y, with its categories coded."""
        if unseen and coding.is_draft:
            raise ValueError(
                f"X holds a level that the type of its column does not list, {unseen}; give all"
                " blocks one type with all levels."
            )
        if coding.is_draft:
            return found
        if unseen and "_coding" not in vars(self):
            warnings.warn(
                f"{type(self).__name__} has not seen some levels in its fit, and takes the average"
                f" effect for them: {unseen}.",
                UnseenCategoryWarning,
                stacklevel=level_outside(),
            )
        if isinstance(y, str):
            return coding.expand(found)
        return coding.expand(found[0]), found[1]

    def _wrong_column(self, X, options):
        """Return what is wrong with a column of X that is no numbers, a sentence; "" for none."""
        if array.is_away(X):  # arrays of other libraries hold numbers alone
            return ""
        in_fit = options.get("reset", True) or "_coding" in vars(self)
        name, coding = type(self).__name__, self._coding_now
        return wrong_column(X, self.categorical_features, name, in_fit, coding)

    def _validated(self, X, y, options):
        """Return X and y, or X alone, as scikit-learn validates them."""
        if not array.is_away(X):
            return validate_data(self, X, y, dtype=[np.float64, np.float32], **options)
        xp = array.namespace(X)
        of_X = {name: options[name] for name in OF_X if name in options}
        X = validate_data(self, X, dtype=[xp.float64, xp.float32], **of_X)
        if isinstance(y, str):
            return X
        of_y = {name: value for name, value in options.items() if name not in OF_X}
        nothing = np.zeros((X.shape[0], 1))  # X is validated where it lies
        return X, check_X_y(nothing, y, estimator=self, **of_y)[1]

    def _check_host(self, what, X):
        """TypeError for an X on a device, where `what` is asked for, which scipy.stats makes."""
        check_memory(what, X=X)
        if array.is_away(received(X)):
            raise TypeError(computes_on_host(what, X, " (scipy.stats)"))

    def _check_X(self, X, anywhere=False):
        """Return X in internal units, (n, p), its rows made when they are asked for.

        With `anywhere` X may lie on a device, and so do its rows.
        """
        if self._fitted is None:
            check_is_fitted(self)
        schema = self._fitted.schema
        if _is_valid(X, schema, self._coding_now):
            return Scaled(X, schema.x)
        if X is None:
            raise ValueError(
                f"{type(self).__name__} needs X here, with a row for every prediction, got None;"
                f" the fit had {schema.n_features_in} columns: pass an array of shape"
                f" (n, {schema.n_features_in})."
            )
        options = dict(reset=False, ensure_min_features=min(schema.n_features_in, 1))
        X = self._validate(X, anywhere=anywhere, **options)
        if is_elsewhere(X):
            check_anywhere(self._fitted.model, X)
        return Scaled(X, schema.x)

    def _check_Xy(self, X, y, anywhere=False):
        """Return X and y in internal units, as `_check_X` does; y (n, q), or codes (n,).

        y is on the host, wherever X lies.
        """
        if self._fitted is None:
            check_is_fitted(self)
        if X is None and y is not None and self._fitted.schema.n_features_in == 0:
            X = no_columns(y)
        X, y = self._check_X(X, anywhere), brought(received(y, "y"))
        if y is None:
            raise ValueError(f"{type(self).__name__} needs y here, got None.")
        fitted = self._fitted
        target, scaling = fitted.schema.target, fitted.schema.y
        y = target.read_new(y, fitted.model.expert, self)
        y = Scaled(y, scaling) if target.task == "regression" else y
        if len(y) != len(X):
            raise ValueError(f"X has {len(X)} rows and y {len(y)}; they must match.")
        return X, y

    def _by_rows(self, function, *arrays, rows=16384):
        """Evaluate `function` in chunks of rows of X and what else there is; (n, ...).

        So memory stays bounded, and the threads of `n_jobs` have something to share. The chunks are
        cut by the shape of X and by `rows` alone, so the result has the same bits for any number of
        threads.
        """
        n = len(arrays[0])
        if is_elsewhere(arrays[0].X):
            return _by_blocks(function, arrays)
        size = min(rows, max(1, CHUNK_NUMBERS // max(arrays[0].X.shape[1], 1)))
        first = function(*(a[:size] for a in arrays))
        if n <= size:
            return first
        out = np.empty((n, *first.shape[1:]), first.dtype)
        out[:size] = first

        def fill(start):
            out[start : start + size] = function(*(a[start : start + size] for a in arrays))

        starts = range(size, n, size)
        threads = min(effective_n_jobs(self.n_jobs), len(starts))
        if threads == 1:
            for start in starts:
                fill(start)
            return out
        with one_blas_thread(), Threads(threads) as pool:
            for _ in pool.map(fill, starts):
                pass
        return out


def _by_blocks(function, arrays):
    """Evaluate `function` in blocks of rows where the first array lies; (n, ...), there too."""
    X = arrays[0].X
    n, size, found = X.shape[0], devices.block_rows(X), []
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        own = [a[rows] for a in arrays]
        found.append(function(own[0], *(array.like(own[0], each) for each in own[1:])))
    return found[0] if len(found) == 1 else array.namespace(X).concat(found, axis=0)


def follows_x(method: Method) -> Method:
    """Return a method of (self, X, ...) whose arrays go to where X came from.

    An X of another library in the host's memory is read as numpy's, and what is said of it is
    given back in that library; of X on a device what is said lies there already. Of collections of
    dask a lazy array is made, block by block.
    """

    @functools.wraps(method)
    def following(self, X, *args, **kwargs):
        if is_lazy(X):
            return _lazily(self, method, X, *args, **kwargs)
        found = method(self, X, *args, **kwargs)
        if not is_elsewhere(X) or received(X) is X:
            return found
        return array.given_back(X, found)

    return cast(Method, following)


SAID_OF_Y = {"log_prob": ((), float), "assign": ((), int)}
"""What methods of X and y say of a row, its shape and type."""


def _lazily(estimator, method, X, *args, **kwargs):
    """Return what a method will say of the rows of collections of dask, a lazy array (n, ...)."""
    check_is_fitted(estimator)
    given = inspect.signature(method).bind(estimator, X, *args, **kwargs).arguments
    name, y = method.__name__, given.get("y")
    if given.get("groups") is not None:
        raise ValueError(
            "groups need rows that stand together, which blocks do not promise; pass arrays in"
            " memory."
        )
    if given.get("return_std"):
        check_memory("return_std=True", X=X)
    options = {}
    if y is not None:
        shape, dtype = SAID_OF_Y.get(name, ((estimator.n_experts_,), float))
        options = dict(trailing=shape, dtype=dtype)
    return lazily(copy(estimator), name, X, y, **options)


def check_anywhere(model, X):
    """TypeError for a model with a part that computes on the host alone, if X lies on a device."""
    for part, sparse in ((model.expert, False), (model.gate, model.gate.n_kept is not None)):
        name, where = shown(part), array.copied(X)
        if not part.learning.sums:
            raise TypeError(
                f"{name} learns from all rows at once, on the host; pass numpy arrays ({where}),"
                " or parts such as 'linear' and 'softmax'."
            )
        if sparse or not part.inputs.any_array:
            raise TypeError(
                f"{name} computes on the host; pass numpy arrays ({where}), or parts such as"
                " 'linear' and 'softmax'."
            )


def computes_on_host(what, X, why=""):
    """Return the message for something that is not worked out on a device."""
    return f"{what} computes on the host{why}; pass {array.copied(X)}."


def _missing_in(message):
    """Which input an error of scikit-learn's validation finds a missing value in: X, y or None."""
    if "contains NaN" in message:
        return "X" if "X contains NaN" in message else "y"
    if "'NAType'" in message:  # pandas.NA in a column of objects
        return "X"
    return "y" if "value of NA is ambiguous" in message else None


def _is_valid(X, schema, coding):
    """Return whether scikit-learn's validation would find nothing to do or to say, a bool.

    That takes longer than a prediction of a few rows. The sum of finite numbers may be infinite; a
    finite one is of finite numbers.
    """
    if not (
        type(X) is np.ndarray
        and X.dtype in (np.float64, np.float32)
        and X.dtype.isnative
        and X.flags.c_contiguous
        and coding is None
        and schema.feature_names_in is None
        and X.ndim == 2
        and X.shape[1] == schema.n_features
        and X.size
    ):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))
