"""`PredictionMixin`: what a fitted mixture of experts says of data, whatever the task."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from .._kernels import array
from .._kernels.array import brought
from ..data import row_facts
from ..data.devices import received
from ..model.objectives import NAMED
from ..model.passes import group_rows
from ..model.reading import reading
from ..parts.availability import available_if
from ..parts.checks import can, check, one_of
from ..parts.storage import check_memory
from ..report.summary import Summary, summarize
from ._description import Description
from ._evidence import log_evidence
from ._outside import level_outside
from ._rows import RowsMixin, follows_x
from ._uncertainty import effective_parameters, errors_in_words
from ._weights import no_sample_size, normalised


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


class PredictionMixin(RowsMixin):
    """The prediction side of the estimators: it reads the fitted attributes and sets none."""

    # -- prediction ------------------------------------------------------------------------

    def _reading(self, X):
        """Return what the fit says of the rows of X, made by `_check_X`: a `Reading`."""
        return reading(self._fitted.model, self.params_, len(X), X.n_columns)

    @follows_x
    def gate_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Gating probabilities g_k(x), before y is seen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, K)
            With a gate for every output, (n, K, q).
        """
        X = self._check_X(X, anywhere=True)
        say = self._reading(X)
        return self._by_rows(say.gate_proba, X, rows=say.rows)

    @available_if(has_likelihood)
    @follows_x
    def responsibilities(
        self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None
    ) -> NDArray[Any]:
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
        X, y = self._check_Xy(X, y, anywhere=True)
        say = self._reading(X)
        return self._by_rows(say.responsibilities, X, y, rows=say.rows)

    @follows_x
    def assign(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[Any]:
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
        xp = array.namespace(proba)
        proba = proba if proba.ndim == 2 else xp.mean(proba, axis=2)
        return xp.argmax(proba, axis=1)

    @available_if(has_likelihood)
    @follows_x
    def log_prob(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> NDArray[Any]:
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
        X, y = self._check_Xy(X, y, anywhere=True)
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
            brought(received(sample_weight, "sample_weight")),
            np.empty((resp.shape[0], 0)),
            dtype=np.float64,
            ensure_non_negative=True,
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
        xp, total, weight = array.namespace(resp), weight.sum(), array.like(resp, weight)
        entropy = -xp.sum(resp * xp.log(xp.where(resp > 0, resp, 1.0)), axis=1)
        return -2 * float(weight @ value) + float(penalty(total, float(weight @ entropy)))

    def _parameters_counted(self, parameters, X, y, sample_weight, groups):
        """Return the number of parameters of a criterion: the free ones, or the effective."""
        check_is_fitted(self)
        check_memory("An information criterion", X=X, y=y, sample_weight=sample_weight)
        check("parameters", parameters, one_of(("free", "effective")))
        if parameters == "free":
            return self.n_parameters_
        return effective_parameters(self, X, y, sample_weight, groups)

    @available_if(has_likelihood)
    def aic(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        parameters: str = "free",
    ) -> float:
        """Akaike's criterion -2l + 2m with m parameters; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None
            As in `fit`, normalised if `normalize_weights` was True there. Weights of classes
            (`class_weight`) are not multiplied in.
        groups : array-like of shape (n,), default=None
            Rows that share one expert.
        parameters : {"free", "effective"}, default="free"
            What m counts: `n_parameters_`, or how many of them the rows determine beside the
            penalties, tr(I (I + P)⁻¹) with the information I of the rows and P of the penalties.
            The two are alike where penalties are weak.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For "effective" where there are no second derivatives.

        Warns
        -----
        UserWarning
            For weights that are no frequencies and whose sum is not about the number of rows.
        """
        rows = X, y, sample_weight, groups
        m = self._parameters_counted(parameters, *rows)
        return self._information_criterion(*rows, lambda n, entropy: 2 * m)

    @available_if(has_likelihood)
    def bic(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        parameters: str = "free",
    ) -> float:
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
        parameters : {"free", "effective"}, default="free"
            What m counts: `n_parameters_`, or how many of them the rows determine beside the
            penalties, tr(I (I + P)⁻¹) with the information I of the rows and P of the penalties.
            The two are alike where penalties are weak.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For "effective" where there are no second derivatives.

        Warns
        -----
        UserWarning
            For weights that are no frequencies and whose sum is not about the number of rows.
        """
        rows = X, y, sample_weight, groups
        m = self._parameters_counted(parameters, *rows)
        return self._information_criterion(*rows, lambda n, entropy: m * np.log(n))

    @available_if(has_likelihood)
    def icl(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        parameters: str = "free",
    ) -> float:
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
        parameters : {"free", "effective"}, default="free"
            What m counts: `n_parameters_`, or how many of them the rows determine beside the
            penalties, tr(I (I + P)⁻¹) with the information I of the rows and P of the penalties.
            The two are alike where penalties are weak.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For "effective" where there are no second derivatives.

        Warns
        -----
        UserWarning
            For weights that are no frequencies and whose sum is not about the number of rows.
        """
        rows = X, y, sample_weight, groups
        m = self._parameters_counted(parameters, *rows)
        return self._information_criterion(*rows, lambda n, entropy: m * np.log(n) + 2 * entropy)

    @available_if(has_likelihood)
    def log_evidence(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Logarithm of the evidence of the fit, by Laplace's approximation; higher is better.

        With the observed information A of the log-likelihood at the fit and the precision P of the
        prior it is log-likelihood + log prior, relative to its peak, - ½ log det(I + P^-½ A P^-½).
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

    def summary(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        expert_labels: ArrayLike | None = None,
    ) -> Summary:
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
        expert_labels : array-like of int of shape (n,), default=None
            As in `fit`; for the standard errors.

        Returns
        -------
        Summary
            Prints as text, shows as HTML in a notebook; `tables` holds the numbers.
        """
        check_is_fitted(self)
        self._check_host("summary", X)
        errors = None
        if X is not None and y is not None and can(self, "log_prob"):
            errors = errors_in_words(self, X, y, sample_weight, groups, expert_labels)
        return summarize(self, X, y, groups, sample_weight, errors)

    def equations(self) -> str:
        """The experts as text, one equation each, in the caller's units.

        Returns
        -------
        str
        """
        return self.summary().equations
