"""`PredictionMixin`: what a fitted mixture of experts says of data, whatever the task."""

from __future__ import annotations

import warnings

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from ..data import row_facts
from ..data.threads import Threads
from ..data.units import Scaled
from ..model.objectives import NAMED
from ..model.passes import group_rows
from ..model.reading import reading
from ..parts.blas import one_blas_thread
from ..parts.checks import can
from ..parts.storage import native, no_columns
from ..report.summary import Summary, summarize
from ._description import Description
from ._evidence import log_evidence
from ._fitted import level_outside
from ._uncertainty import errors_in_words
from ._weights import no_sample_size, normalised

CHUNK_NUMBERS = 2**20
"""Numbers of X in the largest chunk of a prediction, 8 MiB of them."""


def has_likelihood(self):
    """Raises under an error function; before the fit, by the parameters."""
    fitted = self._fitted
    objective = NAMED.get(self.objective) if fitted is None else fitted.model.objective
    if objective is not None and not objective.likelihood:
        raise AttributeError(
            f"under an error function {type(self).__name__} has no likelihood, and nothing that"
            " rests on it; objective='likelihood' has."
        )
    return True


class PredictionMixin:
    """The prediction side of the estimators: it reads the fitted attributes and sets none."""

    # -- prediction ------------------------------------------------------------------------

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

    def _reading(self, X):
        """Return what the fit says of the rows of X, made by `_check_X`: a `Reading`."""
        return reading(self._fitted.model, self.params_, len(X), X.n_columns)

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

    def gate_proba(self, X):
        """Gating probabilities g_k(x), before y is seen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, K)
            With a gate for every output, (n, K, q).
        """
        X = self._check_X(X)
        say = self._reading(X)
        return self._by_rows(say.gate_proba, X, rows=say.rows)

    @available_if(has_likelihood)
    def responsibilities(self, X, y, groups=None):
        """Posterior probabilities of the experts, after y is seen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        groups : array-like of shape (n,), default=None
            Rows that share one expert; each gets the responsibilities of its group.

        Returns
        -------
        ndarray of shape (n, K)
        """
        if groups is not None:
            _, resp, member = self._grouped(X, y, groups)
            return resp[member]
        X, y = self._check_Xy(X, y)
        say = self._reading(X)
        return self._by_rows(say.responsibilities, X, y, rows=say.rows)

    def assign(self, X, y=None, groups=None):
        """The most probable expert, by the gate or, when y is given, by responsibility.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q), default=None
        groups : array-like of shape (n,), default=None
            Rows that share one expert; used with y.

        Returns
        -------
        ndarray of int of shape (n,)
        """
        if y is not None and not can(self, "responsibilities"):
            raise ValueError(
                f"assign with y: under an error function {type(self).__name__} has no"
                " responsibilities; leave y out."
            )
        proba = self.gate_proba(X) if y is None else self.responsibilities(X, y, groups)
        return proba.reshape(*proba.shape[:2], -1).mean(axis=2).argmax(axis=1)

    @available_if(has_likelihood)
    def log_prob(self, X, y, groups=None):
        """log p(y given x), unpenalised, in the caller's units.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        groups : array-like of shape (n,), default=None
            Rows that share one expert; the gate's columns must be constant within a group.

        Returns
        -------
        ndarray of shape (n,), or one value per group in the order of ``np.unique(groups)``
        """
        if groups is not None:
            return self._grouped(X, y, groups)[0]
        X, y = self._check_Xy(X, y)
        say, hard = self._reading(X), self.assignment == "hard"
        volume = self._fitted.schema.y.log_volume()
        return self._by_rows(lambda X, y: say.log_prob(X, y, hard) + volume, X, y, rows=say.rows)

    def _grouped(self, X, y, groups, weight=None):
        """Return log p of every group (m,), its responsibilities (m, K), and every row's group."""
        inner, y = self._check_Xy(X, y)
        fitted, hard = self._fitted, self.assignment == "hard"
        facts = row_facts.facts(groups, None, len(inner), self.n_experts_)
        weight = np.ones(len(inner)) if weight is None else weight
        rows = row_facts.arrange(facts, np.flatnonzero(weight > 0))
        codes = facts["groups"][rows]
        fitted.schema.check_groups(codes, groups, inner.X[rows])
        X = inner.whole("What is asked of groups needs", rows)
        value, resp = fitted.model.grouped(self.params_, X, y[rows], weight[rows], codes, hard)
        sizes = np.add.reduceat(weight[rows], group_rows(codes)[0])
        return value + sizes * fitted.schema.y.log_volume(), resp, facts["groups"]

    def _codes_of(self, X, groups):
        """Return the groups of rows as codes (n,), None for none; checks the gate's columns."""
        if groups is None:
            return None
        inner = self._check_X(X)
        facts = row_facts.facts(groups, None, len(inner), self.n_experts_)
        rows = row_facts.arrange(facts, np.arange(len(inner)))
        self._fitted.schema.check_groups(facts["groups"][rows], groups, inner.X[rows])
        return facts["groups"]

    def _information_criterion(self, X, y, sample_weight, groups, penalty):
        """Return -2l plus the penalty, a function of n (by weight, or groups) and the entropy."""
        resp = self.responsibilities(X, y)
        weight = _check_sample_weight(
            sample_weight, resp, dtype=np.float64, ensure_non_negative=True
        )
        if not (weight > 0).any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        if self._fitted.schema.normalizes:
            weight = normalised(weight)
        elif (trouble := no_sample_size(weight)) is not None:
            warnings.warn(f"{type(self).__name__}: {trouble}", stacklevel=level_outside())
        if groups is None:
            value = self.log_prob(X, y)
        else:
            value, resp, _ = self._grouped(X, y, groups, weight)
            weight = np.ones(len(value))
        entropy = -np.sum(resp * np.log(np.where(resp > 0, resp, 1.0)), axis=1)
        return float(-2 * (weight @ value) + penalty(weight.sum(), weight @ entropy))

    @available_if(has_likelihood)
    def aic(self, X, y, sample_weight=None, groups=None):
        """Akaike's criterion -2l + 2m, m = `n_parameters_`; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None
            As in `fit`, normalised if `normalize_weights` was True there. Weights of classes
            (`class_weight`) are not multiplied in.
        groups : array-like of shape (n,), default=None
            Rows that share one expert.

        Returns
        -------
        float

        Warns
        -----
        UserWarning
            For weights that are no frequencies and whose sum is not about the number of rows.
        """
        return self._information_criterion(
            X, y, sample_weight, groups, lambda n, entropy: 2 * self.n_parameters_
        )

    @available_if(has_likelihood)
    def bic(self, X, y, sample_weight=None, groups=None):
        """Schwarz's criterion -2l + m log n; lower is better.

        n is Σ sample_weight, or the number of groups; so weights are frequencies, or normalised.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None
            As in `fit`, normalised if `normalize_weights` was True there. Weights of classes
            (`class_weight`) are not multiplied in.
        groups : array-like of shape (n,), default=None
            Rows that share one expert.

        Returns
        -------
        float

        Warns
        -----
        UserWarning
            For weights that are no frequencies and whose sum is not about the number of rows.
        """
        return self._information_criterion(
            X, y, sample_weight, groups, lambda n, entropy: self.n_parameters_ * np.log(n)
        )

    @available_if(has_likelihood)
    def icl(self, X, y, sample_weight=None, groups=None):
        """Integrated completed likelihood, BIC + 2·entropy of the responsibilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None
            As in `fit`, normalised if `normalize_weights` was True there. Weights of classes
            (`class_weight`) are not multiplied in.
        groups : array-like of shape (n,), default=None
            Rows that share one expert.

        Returns
        -------
        float

        Warns
        -----
        UserWarning
            For weights that are no frequencies and whose sum is not about the number of rows.
        """
        return self._information_criterion(
            X,
            y,
            sample_weight,
            groups,
            lambda n, entropy: self.n_parameters_ * np.log(n) + 2 * entropy,
        )

    @available_if(has_likelihood)
    def log_evidence(self, X, y, sample_weight=None):
        """Logarithm of the evidence of the fit, by Laplace's approximation; higher is better.

        With the observed information A of the log-likelihood at the fit and the precision P of the
        prior it is log-likelihood + log prior, relative to its peak, - ½ log |I + P^-½ A P^-½|.
        Slopes have the precision alpha, intercepts and logarithms of scales 1 in standardised
        units. It compares numbers of experts and penalties on the same data, but is low where
        penalties are next to 0: such a prior expects slopes of any size. It is that of one order of
        the experts; log K! for all of them is not added, for experts that have vanished have none.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
            That of the fit.
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For parts without second derivatives.
        """
        return log_evidence(self, X, y, sample_weight)

    def describe(self) -> Description:
        """Say what the parts of the fit are, for tables, texts and pictures.

        Returns
        -------
        Description
        """
        check_is_fitted(self)
        return Description.of(self._fitted)

    def summary(self, X=None, y=None, groups=None, sample_weight=None) -> Summary:
        """The fit as tables, for reading.

        Parameters
        ----------
        X : array-like of shape (n, p), default=None
        y : array-like of shape (n,) or (n, q), default=None
            With the data of the fit, AIC, BIC, ICL, the share of rows each expert takes, and the
            parameters with their standard errors are added; `classic_moe.inference.infer` says
            what those are. In a fit that is no maximum on these rows there are none.
        groups : array-like of shape (n,), default=None
            Rows that share one expert, as in `fit`.
        sample_weight : array-like of shape (n,), default=None
            As in `fit`.

        Returns
        -------
        Summary
            Prints as text, shows as HTML in a notebook; `tables` holds the numbers.
        """
        check_is_fitted(self)
        errors = None
        if X is not None and y is not None and can(self, "log_prob"):
            errors = errors_in_words(self, X, y, sample_weight, groups)
        return summarize(self, X, y, groups, sample_weight, errors)

    def equations(self):
        """The experts as text, one equation each, in the caller's units.

        Returns
        -------
        str
        """
        return self.summary().equations


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
