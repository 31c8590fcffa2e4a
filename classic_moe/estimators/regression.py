"""`MixtureOfExpertsRegressor`."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .._kernels import array
from .._kernels.array import brought, to_host
from ..data.devices import received
from ..distribution.mixture import MixtureDistribution
from ..distribution.univariate import Assembly, joined
from ..model.reading import reading
from ..parts.availability import available_if
from ..parts.checks import can
from ..parts.registry import find
from ..parts.storage import check_memory
from ._predictions import has_likelihood
from ._rows import follows_x
from ._targets import RealTarget, numbers
from .base import BaseMixtureOfExperts


class MixtureOfExpertsRegressor(RegressorMixin, BaseMixtureOfExperts):
    r"""Mixture of experts for regression.

    .. math:: p(y \mid x) = \sum_{k=1}^{K} g_k(x)\, p_k(y \mid x)

    A gate that depends on x mixes K experts, each good in its own region of the input space. The
    fit maximises the likelihood [1]_ [2]_ with weak priors that keep every parameter finite; set
    ``expert__alpha``, ``expert__variance_prior`` and ``gate__alpha`` to 0 for pure maximum
    likelihood.

    Parameters
    ----------
    n_experts : int, default=2
        Number of experts K.
    expert : str, BaseExpert, estimator or list, default="linear"
        The family: "linear", "gaussian" (constant), "student_t", "laplace", "poisson",
        "negative_binomial", "gamma", "binomial", "mlp" or "noise"; an object such as
        ``LinearExpert(alpha=0.1)`` from `classic_moe.experts`; any regressor of scikit-learn that
        takes `sample_weight`; or a list of these, one an expert, plain or as (name, expert) pairs.
    gate : str, BaseGate or estimator, default="softmax"
        "softmax", "constant" (a mixture of regressions), "gaussian" (localised),
        "exponential_family", "tree" (a hierarchical mixture), "least_squares"; an object from
        `classic_moe.gates`; or any classifier of scikit-learn with `predict_proba` that takes
        `sample_weight`.
    solver : str or BaseSolver, default="auto"
        "auto" (EM accelerated by SQUAREM, and Newton's finish where there are second
        derivatives), "newton", "em" (plain EM, the reference), "cem" and "sem" (classification
        and stochastic EM), "online"; by the gradient "lbfgs", "adam", "sgd" or "gradient"; or an
        object from `classic_moe.solvers`.
    assignment : {"soft", "hard"}, default="soft"
        Whether `predict`, `predict_dist`, `log_prob` and what rests on them mix the experts, or
        take the gate's most probable expert alone. The fit is the same.
    gate_features, expert_features : column selector, default=None
        The columns of X that the gate or the experts see: a name, position, slice, boolean mask, a
        list of these, or a callable as `make_column_selector` makes. None means all, [] an
        intercept only.
    offset_feature : column selector, default=None
        One column of X that is added to the linear predictor with coefficient 1, such as the log
        of the exposure of a count. Neither gate nor experts see it otherwise. For the families
        with a link: Poisson, negative binomial, gamma, binomial.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are categories, coded inside as columns of zeros and ones, one for each
        level but the first: "from_dtype" are those of text and of the category types of pandas and
        polars; or columns as in `gate_features`. Levels are in the order of their type, else
        sorted; those without a row in the fit are left out. A missing cell is a level of its own,
        where the fit has seen one. Levels that it has not seen have the average effect, and a
        warning. At most 255 levels, each of which costs every expert and the gate a coefficient.
        `gate_features` and the like name the columns of the table. None: X holds numbers.
    max_iter : int, default=500
        Most EM iterations.
    tol : float, default=1e-7
        Stop when no more than this is to be gained, in log-likelihood per unit of weight.
    n_init : int, default=10
        Number of starts, at most: where three of them end at the best maximum, the search is over.
        Where they disagree, splits and merges of the best experts so far are tried beside them.
        With the same `random_state` more starts are never worse, but for what a sample of large
        data does not tell. Starts decide the optimum far more than iterations do.
    init_params : str, callable, array, estimator or dict, default="quantile"
        Where to start: "quantile" (slices along the principal axis of the data, halves where the
        slope changes most [3]_, then random starts; for trees the halves first), "random",
        "kmeans", a callable ``(X, y, n_experts, random_state) -> resp`` of shape (n, K), such an
        array or several of them, (starts, n, K), a fitted estimator, or a dict in the caller's
        units such as ``{"gate": {"coef": (K, p), "intercept": (K,)}, "expert": {"coef": ...,
        "intercept": ..., "scale": ...}}``. A fit from an array, an estimator or a dict starts
        exactly there; of several arrays the best end is kept. A fitted estimator survives
        `sklearn.base.clone`, and gives the experts their numbers; among the values of a search's
        grid put it into a `sklearn.frozen.FrozenEstimator`.
    standardize : bool, default=True
        Whether the penalties act on X in units of its standard deviations, which makes the fit
        independent of the columns' units. y is always scaled inside. Everything reported is in
        the caller's units either way.
    normalize_weights : bool, default=False
        Whether sample weights, those of classes included, are scaled to sum to the number of rows
        of positive weight, in the fit and in `aic`, `bic` and `icl`: for survey and probability
        weights, of which only the ratios mean something. False: they are frequencies.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit. The experts keep its numbers, also on other rows
        such as those of a bootstrap sample; `classic_moe.model_selection.align` renumbers fits
        that were made apart.
    n_jobs : int, default=None
        Threads; None means 1, -1 all cores. The result has the same bits for any number.
    random_state : int, RandomState or None, default=None
        For the random starts.
    verbose : int, default=0
        1 prints how the fit ends and, once it has taken two seconds, now and then where it is;
        2 every iteration and start.

    Attributes
    ----------
    experts_ : list of views
        One per expert: ``coef_`` (p,), ``intercept_``, ``scale_`` (standard deviation),
        ``covariance_`` (q, q), ``predict(X)``, in the caller's units; shapes (q, p), (q,), (q,)
        for y with several columns.
    gate_ : view
        ``coef_`` (K, p) and ``intercept_`` (K,): log-odds against the last expert.
    weights_ : ndarray of shape (K,)
        Mean responsibilities; the experts are sorted by them, unless the fit went on from another.
    n_experts_ : int
        K of the fit.
    params_ : dict
        The fitted values in internal units.
    log_likelihood_ : float
        Σ sample_weight·log p(y given x), unpenalised.
    joint_log_likelihood_ : float
        Σ sample_weight·log p(x, y), only for a gate that models x (Gaussian, exponential family);
        `lower_bounds_` are of this, then.
    lower_bounds_ : ndarray of shape (iterations + 1,)
        The penalised objective from the start on; it never falls, but with early stopping.
    learning_curve_ : dict of ndarray of shape (iterations + 1,)
        "objective": the same of every iterate, where `lower_bounds_` holds the best so far;
        "validation", with early stopping: its mean per unit of weight on the rows held out,
        without penalties.
    starts_ : dict of ndarray of shape (climbs,)
        Where the climbs of the search ended, in their order: "kind" ("start"; "hop": from a
        maximum that was found before; "given": from parameters), "early_objective" after a short
        run and "objective" at the end, "smallest_share" of the rows among the experts, and
        "outcome" ("chosen" by the fit, "ended", "given up" as it promised too little, "collapsed",
        "failed", which has no shares: NaN). Of many rows the search sees a sample, and the
        objectives are those of the sample scaled to all rows. Absent after a later call of
        `partial_fit`.
    n_iter_ : int
        Iterations of the start that was kept.
    converged_ : bool
        Whether no more than `tol` per unit of weight was left to gain, as far as can be told.
    n_parameters_ : int
        Free parameters of gate and experts that the rows determine; it counts in `aic`, `bic` and
        `icl`. A coefficient counts for every independent column: zero, constant, copied and
        linearly dependent ones (a full set of dummies, more columns than rows) do not, as in R's
        lm and glm, whatever a penalty makes of them. A gate that models x counts the density of its
        independent columns. After `partial_fit` alone all columns count.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Only when X has column names.
    categories_ : dict
        Only with categories: the levels of each by the name of its column (its position where there
        are no names), a list, the first being the one that others are compared with; None is a
        missing cell.

    References
    ----------
    .. [1] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.
    .. [2] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.
    .. [3] Li, K.-C. (1992). On principal Hessian directions for data visualization and dimension
       reduction: another application of Stein's lemma. Journal of the American Statistical
       Association 87, 1025-1039.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> X, y = make_piecewise_regression(300, n_pieces=2, random_state=0)
    >>> model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> model.predict(X[:3]).shape
    (3,)
    >>> low, high = model.predict_dist(X[:3]).interval(0.9)
    >>> bool((low < high).all())
    True
    """

    _target = RealTarget

    def __init__(
        self,
        n_experts=2,
        *,
        expert="linear",
        gate="softmax",
        solver="auto",
        assignment="soft",
        gate_features=None,
        expert_features=None,
        offset_feature=None,
        categorical_features=None,
        max_iter=500,
        tol=1e-7,
        n_init=10,
        init_params="quantile",
        standardize=True,
        normalize_weights=False,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_experts = n_experts
        self.expert = expert
        self.gate = gate
        self.solver = solver
        self.assignment = assignment
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.offset_feature = offset_feature
        self.categorical_features = categorical_features
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.init_params = init_params
        self.standardize = standardize
        self.normalize_weights = normalize_weights
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        expert = find("expert", self._given_expert(), self._target.task)
        if expert is not None:
            tags.target_tags.multi_output = expert.target.outputs != 1
            tags.target_tags.positive_only = expert.target.positive
        return tags

    # -- prediction --------------------------------------------------------------------------

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> NDArray[Any]: ...
    @overload
    def predict(
        self, X: ArrayLike, return_std: Literal[True]
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...
    @follows_x
    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        """Conditional mean of y, and its standard deviation if asked for.

        Student-t experts count with their centre, also where 1 degree of freedom or less leaves
        them without a mean; their standard deviation is infinite for 2 or less.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        return_std : bool, default=False

        Returns
        -------
        mean : ndarray of shape (n,) or (n, q)
        std : ndarray, the shape of `mean`
            Only with `return_std`.
        """
        if return_std:
            if not can(self, "predict_dist"):
                raise ValueError(
                    f"return_std=True: {type(self).__name__} has no predictive distribution under"
                    " an error function; objective='likelihood' has."
                )
            return self.predict(X), self.predict_dist(X).std()
        X, hard = self._check_X(X, anywhere=True), self.assignment == "hard"
        say = self._reading(X)
        return self._by_rows(lambda X: self._to_caller(say.mean(X, hard)), X, rows=say.rows)

    @follows_x
    def predict_experts(self, X: ArrayLike) -> NDArray[Any]:
        """Each expert's mean.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, K) or (n, K, q)
        """
        X = self._check_X(X, anywhere=True)
        say = self._reading(X)
        return self._by_rows(lambda X: self._to_caller(say.expert_mean(X)), X, rows=say.rows)

    @available_if(has_likelihood)
    def predict_dist(
        self, X: ArrayLike, parameter_uncertainty: bool = False
    ) -> MixtureDistribution:
        """The whole conditional distribution of y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        parameter_uncertainty : bool, default=False
            False: the parameters are taken for the true ones. True: they are uncertain, and
            distributions are means over 32 draws of them from their approximate posterior
            (Laplace's approximation), wider the fewer rows the fit had, and the farther from them.
            It takes about 32 times as long. The draws are made in the fit, and the same in every
            call.

        Returns
        -------
        MixtureDistribution
            With mean, var, std, pdf, logpdf, cdf, ppf, interval and rvs, as scipy's frozen
            distributions have them, one distribution per row, of K components; with
            `parameter_uncertainty` of 32 K, all of the first expert, then those of the second.

        Raises
        ------
        ValueError
            With `parameter_uncertainty`, for a fit that is no maximum of its likelihood, after
            `partial_fit`, and for parts without second derivatives (Laplace experts, networks,
            scikit-learn estimators): a sentence says which.
        """
        self._check_host("predict_dist", X)
        X, each = self._check_X(X), [self.params_]
        if parameter_uncertainty:
            each = self._drawn()
        model, schema = self._fitted.model, self._fitted.schema
        says = [reading(model, params, len(X), X.n_columns) for params in each]
        single, hard = schema.target.single_output, self.assignment == "hard"

        def components(X):
            return joined([model.components(own, X, *schema.scalings, single) for own in each])

        def log_gate(X):
            found = np.stack([say.log_gate(X, hard) for say in says], axis=2)
            return found.reshape(len(found), -1) - np.log(len(says))

        if not single:
            whole = components(X.whole("predict_dist needs"))
            return MixtureDistribution.from_log(self._by_rows(log_gate, X), whole)
        assembly = Assembly(len(X))

        def put(X, rows):
            assembly.put(slice(rows.start, rows.stop), components(X))
            return log_gate(X)

        log_weights = self._by_rows(put, X, range(len(X)), rows=max(2, 2**15 // len(each)))
        threads = effective_n_jobs(self.n_jobs)
        return MixtureDistribution.from_own(log_weights, assembly.whole(), threads)

    def _drawn(self):
        """Return the params of all draws from the posterior of the fit; ValueError for none."""
        found = self._fitted.posterior
        if found.steps is None:
            raise ValueError(
                f"parameter_uncertainty=True needs a maximum of the likelihood and its curvature:"
                f" {found.reason}."
            )
        return found.params(self._fitted.model, self.params_)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R² of `predict`; of the share of successes, weighted by trials, for binomial experts.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        check_is_fitted(self)
        check_memory("score", X=X, y=y, sample_weight=sample_weight)
        expert, target = self._fitted.model.expert, self._fitted.schema.target
        y = brought(received(y, "y"))
        sample_weight = brought(received(sample_weight, "sample_weight"))
        if expert.target.trials:
            y, trials = expert.target.response(target.read_new(y, expert))
            y = y[:, 0]
            sample_weight = trials * (1.0 if sample_weight is None else np.asarray(sample_weight))
        from sklearn.metrics import r2_score  # which would double the time of importing the package

        y, predicted = np.asarray(numbers(y), dtype=np.float64), to_host(self.predict(X))
        # A power of two taken out of both changes nothing, and no square overflows.
        size = np.abs(y).max(axis=0, initial=0.0)
        if predicted.shape == y.shape:
            size = np.maximum(size, np.abs(predicted).max(axis=0, initial=0.0))
        exponent = -np.frexp(size)[1]
        scaled = np.ldexp(y, exponent), np.ldexp(predicted, exponent)
        return r2_score(*scaled, sample_weight=sample_weight)

    @available_if(has_likelihood)
    def sample(
        self,
        X: ArrayLike,
        random_state: int | np.random.RandomState | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw one y per row, with the expert it came from.

        Counts are int64, at most 2**63 - 1024; other numbers are floats, and finite.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        random_state : int, RandomState, Generator or None, default=None
        groups : array-like of shape (n,), default=None
            Rows that share one expert; the gate's columns must be constant within a group.

        Returns
        -------
        y : ndarray of shape (n,) or (n, q)
        expert : ndarray of int of shape (n,)
        """
        self._check_host("sample", X)
        return self.predict_dist(X).draw(random_state, self._codes_of(X, groups))

    def _to_caller(self, values):
        """Return means (..., q) in the caller's units, without the last axis for one output."""
        fitted = self._fitted
        y = fitted.schema.y
        if fitted.model.expert.target.standardise:
            unit, origin = array.like(values, y.unit, y.origin)
            values = values * unit + origin
        return values[..., 0] if fitted.schema.target.single_output else values
