"""`RowsMixin`: how a fitted estimator reads the caller's rows, and evaluates functions of them."""

from __future__ import annotations

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted, validate_data

from ..data.threads import Threads
from ..data.units import Scaled
from ..parts.blas import one_blas_thread
from ..parts.storage import native, no_columns

CHUNK_NUMBERS = 2**20
"""Numbers of X in the largest chunk of a prediction, 8 MiB of them."""


class RowsMixin:
    """Reads the caller's rows as the fit had them, whose `Schema` is ``_fitted.schema``."""

    def _validate(self, X, y="no_validation", **options):
        """Return X and y as scikit-learn validates them; of missing values say what to do.

        X is dense, in C order, or sparse, in rows (CSR): float64, or float32 as it was given.
        """
        options |= dict(dtype=[np.float64, np.float32], order="C", accept_sparse="csr")
        try:
            return validate_data(self, native(X), y, **options)
        except (TypeError, ValueError) as error:
            name = _missing_in(str(error))
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

    def _check_X(self, X):
        """Return X in internal units, (n, p), its rows made when they are asked for."""
        if self._fitted is None:
            check_is_fitted(self)
        schema = self._fitted.schema
        if _is_valid(X, schema):
            return Scaled(X, schema.x)
        if X is None:
            raise ValueError(
                f"{type(self).__name__} needs X here, with a row for every prediction, got None;"
                f" the fit had {schema.n_features} columns: pass an array of shape"
                f" (n, {schema.n_features})."
            )
        X = self._validate(X, reset=False, ensure_min_features=min(schema.n_features, 1))
        return Scaled(X, schema.x)

    def _check_Xy(self, X, y):
        """Return X and y in internal units, as `_check_X` does; y (n, q), or codes (n,)."""
        if self._fitted is None:
            check_is_fitted(self)
        if X is None and y is not None and self._fitted.schema.n_features == 0:
            X = no_columns(y)
        X = self._check_X(X)
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


def _missing_in(message):
    """Which input an error of scikit-learn's validation finds a missing value in: X, y or None."""
    if "contains NaN" in message:
        return "X" if "X contains NaN" in message else "y"
    if "'NAType'" in message:  # pandas.NA in a column of objects
        return "X"
    return "y" if "value of NA is ambiguous" in message else None


def _is_valid(X, schema):
    """Return whether scikit-learn's validation would find nothing to do or to say, a bool.

    That takes longer than a prediction of a few rows. The sum of finite numbers may be infinite; a
    finite one is of finite numbers.
    """
    if not (
        type(X) is np.ndarray
        and X.dtype in (np.float64, np.float32)
        and X.dtype.isnative
        and X.flags.c_contiguous
        and schema.names is None
        and X.ndim == 2
        and X.shape[1] == schema.n_features
        and X.size
    ):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))
