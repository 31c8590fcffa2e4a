"""`MixtureOfExpertsClassifier`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state

from .._kernels import array
from ..model.passes import wanted_pairs
from ..model.reading import LEAST
from ..parts.availability import available_if
from ..parts.registry import find
from ..parts.storage import check_memory
from ._partial_fit import learns_row_by_row
from ._predictions import has_likelihood
from ._rows import follows_x
from ._targets import ClassTarget
from .base import BaseMixtureOfExperts

SMALLEST = float(np.log(np.finfo(np.float64).tiny))
"""No probability is exactly 0: their logarithms end here, about -708."""


class MixtureOfExpertsClassifier(ClassifierMixin, BaseMixtureOfExperts):
    r"""Mixture of experts for classification.

    .. math:: P(y = c \mid x) = \sum_{k=1}^{K} g_k(x)\, p_k(c \mid x)

    A gate that depends on x mixes K classifiers, each good in its own region of the input space,
    so that linear experts together draw borders that are not lines. The fit maximises the
    likelihood [1]_ [2]_ with weak priors that keep every parameter finite, also where classes or
    regions are perfectly separated; set ``expert__alpha`` and ``gate__alpha`` to 0 for pure
    maximum likelihood.

    Parameters
    ----------
    n_experts : int, default=2
        Number of experts K.
    expert : str, BaseExpert, estimator or list, default="softmax"
        "softmax" (`SoftmaxExpert`), "logistic" (`LogisticExpert`, two classes) or "mlp"; an object
        such as ``SoftmaxExpert(alpha=0.1)`` from `classic_moe.experts`; any classifier of
        scikit-learn with `predict_proba` that takes `sample_weight`; or a list of these, one an
        expert, plain or as (name, expert) pairs. Also an expert for several real outputs, such as
        "linear": it is fitted to the classes' one-hot codes, see Notes.
    class_weight : dict, "balanced" or None, default=None
        Factors of the weights of the rows of every class; "balanced" makes the classes equal. They
        change the standard deviations of X too, in which penalties act: at K = 1 coefficients
        differ from those of `LogisticRegression` on columns that were scaled without weights, by
        about 0.01 under a penalty of 1 and 300 rows, and by nothing under a weak one.
    gate : str, BaseGate or estimator, default="softmax"
        "softmax", "constant", "gaussian" (localised), "exponential_family", "tree" (a hierarchical
        mixture), "least_squares"; an object from `classic_moe.gates`; or any classifier of
        scikit-learn with `predict_proba` that takes `sample_weight`.
    solver : str or BaseSolver, default="auto"
        "auto" (EM accelerated by SQUAREM, and Newton's finish where there are second
        derivatives), "newton", "em" (plain EM, the reference), "cem" and "sem" (classification
        and stochastic EM), "online"; by the gradient "lbfgs", "adam", "sgd" or "gradient"; or an
        object from `classic_moe.solvers`.
    assignment : {"soft", "hard"}, default="soft"
        Whether `predict`, `predict_proba`, `log_prob` and what rests on them mix the experts, or
        take the gate's most probable expert alone. The fit is the same.
    gate_features, expert_features : column selector, default=None
        The columns of X that the gate or the experts see: a name, position, slice, boolean mask, a
        list of these, or a callable as `make_column_selector` makes. None means all, [] an
        intercept only.
    offset_feature : None
        For the count families of the regressor; no expert for classes takes an offset.
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
        units such as ``{"gate": {"coef": (K, p), "intercept": (K,)}, "expert": {"coef": (K, C, p),
        "intercept": (K, C)}}``; of two classes (K, 1, p) and (K, 1), as `experts_` has them. A fit
        from an array, an estimator or a dict starts exactly there; of several arrays the best end
        is kept. A fitted estimator survives `sklearn.base.clone`, and gives the experts their
        numbers; among the values of a search's grid put it into a `sklearn.frozen.FrozenEstimator`.
    standardize : bool, default=True
        Whether the penalties act on X in units of its standard deviations, which makes the fit
        independent of the columns' units. Everything reported is in the caller's units either way.
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
        One per expert, in the caller's units: ``coef_`` and ``intercept_``, ``predict(X)`` and
        ``predict_proba(X)``. Of two classes ``coef_`` is (1, p) and ``intercept_`` (1,), the
        log-odds of ``classes_[1]`` against ``classes_[0]``, as of scikit-learn's
        LogisticRegression; of more (C, p) and (C,), log-odds against the last class, whose row is
        zero (LogisticRegression's rows sum to zero; only differences of rows have a meaning).
    gate_ : view
        ``coef_`` (K, p) and ``intercept_`` (K,): log-odds against the last expert.
    classes_ : ndarray of shape (C,)
        The labels, sorted.
    weights_ : ndarray of shape (K,)
        Mean responsibilities; the experts are sorted by them, unless the fit went on from another.
    n_experts_ : int
        K of the fit.
    params_ : dict
        The fitted values in internal units.
    log_likelihood_ : float
        Σ sample_weight·log p(y given x), unpenalised; the weights include `class_weight`.
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

    Notes
    -----
    With experts for real outputs y is one-hot: expert k predicts a number for each class, and its
    density at the codes of the classes says how probable they are,

    .. math:: P(y = c \mid x) = \frac{\sum_k g_k(x)\, p_k(e_c \mid x)}
       {\sum_{c'} \sum_k g_k(x)\, p_k(e_{c'} \mid x)} .

    `predict_proba`, `log_prob` and ``log_likelihood_`` are of these probabilities; the fit climbs
    the density of the codes, of which `lower_bounds_` are. ``coef_`` is then (C, p), with two
    classes too: a row for the code of each class, no log-odds.

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
    Two half moons: no line parts them, three experts with straight borders do.

    >>> from sklearn.datasets import make_moons
    >>> from classic_moe import MixtureOfExpertsClassifier
    >>> X, y = make_moons(300, noise=0.3, random_state=0)
    >>> one = MixtureOfExpertsClassifier(1).fit(X, y)
    >>> three = MixtureOfExpertsClassifier(3, random_state=0).fit(X, y)
    >>> bool(three.score(X, y) > one.score(X, y) + 0.05)
    True
    >>> three.predict_proba(X[:2]).shape, three.predict_experts(X[:2]).shape
    ((2, 2), (2, 3, 2))
    """

    _target = ClassTarget

    def __init__(
        self,
        n_experts=2,
        *,
        expert="softmax",
        class_weight=None,
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
        self.class_weight = class_weight
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
        if expert is not None and expert.target.task == "classification":
            tags.classifier_tags.multi_class = expert.target.outputs != 2
        return tags

    @property
    def _class_weight(self):
        return self.class_weight

    @available_if(learns_row_by_row)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more rows, on-line: recursive least squares, or on-line EM.

        The first call, if the estimator is not fitted, chooses the starting values and the first
        estimates from its rows, and fixes the units for good: give it some hundred that represent
        the stream. A column of X that is constant in them stays without effect. Later calls take
        their rows in order, in blocks, and forget older ones little by little; see
        `classic_moe.solvers.OnlineEM`, whose settings are taken from `solver` if it is one.
        After `fit` it goes on from the fitted values. Gate and experts stay those of the first
        call or of `fit`: of parameters changed since then only `solver` and `class_weight` count.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,)
        classes : array-like, default=None
            All labels there will be; needed in the first call if its rows do not hold them all.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self
            `log_likelihood_` and `lower_bounds_` (before and after) are about the rows of this
            call, `weights_` about those remembered, and `n_iter_` counts the calls.

        Raises
        ------
        ValueError
            As `fit`, and for a label that is not among the classes; the estimator is left as it
            was.
        AttributeError
            For parts that learn from all their rows at once, and ``class_weight="balanced"``.

        Warns
        -----
        ExpertCollapseWarning
            In the first call, for too few rows for so many experts.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    # -- prediction --------------------------------------------------------------------------

    @follows_x
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n,)
        """
        most = self._of_classes(lambda say, X: _first_best(self._proba(say, X)), X)
        return labels_at(self.classes_, most)

    @follows_x
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Class probabilities Σ g_k(x) p_k(c given x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, C)
            Columns in the order of `classes_`.
        """
        return self._of_classes(self._proba, X)

    @follows_x
    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Logarithms of the class probabilities.

        None is below -708.4, the logarithm of the smallest normal number; `log_prob` goes on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, C)
        """
        return self._of_classes(self._log_proba, X)

    def _of_classes(self, function, X):
        """Return what a function of a `Reading` and internal rows says of all rows, (n, ...)."""
        X = self._check_X(X, anywhere=True)
        say = self._reading(X)
        return self._by_rows(lambda X: function(say, X), X, rows=say.rows)

    def _proba(self, say, X):
        """P(c|x) of internal rows, (n, C), none of them 0."""
        proba = self._soft_proba(say, X)
        xp = array.namespace(X)
        if proba is None:
            proba = xp.exp(self._log_proba_by_logs(say, X))
        proba = xp.clip(proba, float(np.exp(SMALLEST)), None)
        return proba / xp.sum(proba, axis=1, keepdims=True)

    def _log_proba(self, say, X):
        """log P(c|x) of internal rows, (n, C)."""
        proba = self._soft_proba(say, X)
        if proba is None:
            return array.namespace(X).clip(self._log_proba_by_logs(say, X), SMALLEST, None)
        far = (proba < LEAST).any(axis=1)
        log_proba = np.log(np.maximum(proba, LEAST))
        if far.any():
            log_proba[far] = np.maximum(self._log_proba_by_logs(say, X[far]), SMALLEST)
        return log_proba

    def _soft_proba(self, say, X):
        """P(c|x) of internal rows, (n, C), where there is a way to them without logarithms."""
        soft = self.assignment == "soft" and not self._fitted.model.objective.blends
        return say.class_proba(X) if soft else None

    def _log_proba_by_logs(self, say, X):
        """log P(c|x) of internal rows, (n, C), however small."""
        model = self._fitted.model
        if not model.objective.blends:
            log_proba = array.logsumexp(self._log_joint(say, X), axis=1)
            return log_proba if model.codes is None else array.log_softmax(log_proba)
        blend = say.mean(X, self.assignment == "hard")
        if model.codes is not None:
            return array.log_softmax(blend)
        xp = array.namespace(blend)
        blend = xp.clip(blend, float(np.exp(SMALLEST)), None)
        return xp.log(blend / xp.sum(blend, axis=1, keepdims=True))

    def _log_joint(self, say, X):
        """log g_k(x) p_k(c|x) of internal rows, (n, K, C)."""
        log_gate = say.log_gate(X, self.assignment == "hard")
        log_proba = self._fitted.model.log_classes(self.params_, X, wanted_pairs(log_gate))
        return log_gate[:, :, None] + log_proba

    @follows_x
    def predict_experts(self, X: ArrayLike) -> NDArray[Any]:
        """Each expert's class probabilities; the outputs of experts for numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, K, C)
        """
        return self._of_classes(lambda say, X: say.expert_mean(X), X)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of rows whose label `predict` has right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        check_memory("score", X=X, y=y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight)

    @available_if(has_likelihood)
    def sample(
        self,
        X: ArrayLike,
        random_state: int | np.random.RandomState | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw one label per row, with the expert it came from.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        random_state : int, RandomState, Generator or None, default=None
        groups : array-like of shape (n,), default=None
            Rows that share one expert; the gate's columns must be constant within a group.

        Returns
        -------
        y : ndarray of shape (n,)
        expert : ndarray of int of shape (n,)
        """
        self._check_host("sample", X)
        generator = isinstance(random_state, np.random.Generator)
        rng = random_state if generator else check_random_state(random_state)
        groups = self._codes_of(X, groups)
        joint = self._of_classes(self._log_joint, X)
        n, _, n_classes = joint.shape
        if groups is None:
            joint = np.exp(array.log_softmax(joint.reshape(n, -1)))
            expert, code = np.divmod(_draw(joint, rng), n_classes)
            return self.classes_[code], expert
        expert = _draw(self.gate_proba(X), rng, groups)
        proba = np.exp(array.log_softmax(joint[np.arange(n), expert]))
        return self.classes_[_draw(proba, rng)], expert


def _first_best(proba):
    """Return the number of the largest of every row, the first of equals, (n,)."""
    return array.namespace(proba).argmax(proba, axis=1)


def labels_at(classes, codes):
    """Return the labels behind codes (n,), where these lie if labels are numbers, else numpy's."""
    if array.is_host(codes) or classes.dtype.kind not in "biuf":
        return classes[array.to_host(codes)]
    return array.namespace(codes).take(array.like(codes, classes), codes)


def _draw(proba, rng, groups=None):
    """One index per row of a table of probabilities, the same for rows of a group."""
    cumulative = np.cumsum(proba, axis=1)
    if groups is None:
        u = rng.uniform(size=(len(proba), 1))
    else:
        u = rng.uniform(size=groups.max() + 1)[groups, None]
    return np.minimum((u * cumulative[:, -1:] >= cumulative).sum(axis=1), proba.shape[1] - 1)
