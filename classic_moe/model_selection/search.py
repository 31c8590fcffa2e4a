"""`ExpertCountSearch`: the number of experts, by fits that begin from each other."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.utils import _safe_indexing, check_random_state, get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted

from ..estimators._outside import level_outside
from ..estimators._prepare import bare_model, with_numbers
from ..estimators.base import BaseMixtureOfExperts
from ..exceptions import ExpertCountWarning
from ..parts import checks
from ..parts.availability import available_if
from ..parts.black_box import shown
from ..parts.registry import coerce
from ..report.card import CardMixin
from ..starts.telling import telling
from . import criteria
from .growth import growth_of
from .path import Path, Rows
from .scorer import log_likelihood_scorer

if TYPE_CHECKING:
    from ..report.summary import Summary

ROWS_A_PARAMETER = 5
"""Rows for each parameter below which the best fit is said to have many."""
RULES = {
    "criterion": checks.one_of(criteria.CRITERIA),
    "rule": checks.one_of(criteria.RULES),
    "n_jobs": checks.N_JOBS,
    "random_state": checks.RANDOM_STATE,
    "verbose": checks.VERBOSITY,
}


def _of_best(name):
    """Return the method of that name, which the best estimator answers where it has it."""

    def method(self, X: ArrayLike, *args: Any, **options: Any) -> Any:
        check_is_fitted(self)
        return getattr(self.best_estimator_, name)(X, *args, **options)

    method.__name__, method.__qualname__ = name, f"ExpertCountSearch.{name}"
    method.__doc__ = f"Answer as `best_estimator_.{name}` does."
    return available_if(lambda self: checks.can(self._answering(), name))(method)


class ExpertCountSearch(MetaEstimatorMixin, CardMixin, BaseEstimator):
    """The number of experts K that a criterion prefers, and the mixture with as many.

    The fits with K = 1, 2, 3, ... experts help each other. Each begins from the estimator's own
    starts and from the fit with one expert less, each expert in turn split in two; then, on the way
    down, from the fit with one expert more, pairs of its experts merged [1]_. So no fit is worse
    than the estimator finds alone, and a mixture with fewer experts never beats one with more: a
    fit below its predecessor begins where that ended, with an expert written down twice, which is
    the same density.

    A tree, `gate=TreeGate()`, grows [3]_: from one leaf on, each leaf in turn becomes a node of
    two, and the one that gains most after a short climb stays; on the way down each node of two
    leaves in turn becomes a leaf again, and the one that loses least. So trees need not be
    balanced. Those of the hierarchical estimators are: `depth` grows, all leaves at once.

    Once fitted it predicts as `best_estimator_`, and has its methods.

    Parameters
    ----------
    estimator : estimator
        A mixture of experts. Its `n_experts`, the `structure` and `depth` of its `TreeGate`, or its
        `depth` if it is hierarchical, are what is chosen: their values do not matter. Put the
        search into a Pipeline as its last step, not a Pipeline into the search.
    n_experts : iterable of int, default=tuple(range(1, 9))
        The numbers to try; of a tree numbers of leaves. Of hierarchical estimators it is those that
        a balanced tree has: 2, 4 and 8 of the default.
    criterion : {"bic", "icl", "aic", "cv", "evidence"}, default="bic"
        What decides. "bic" asks which model made the data, and finds the true number of
        separated experts as rows grow; "icl" adds twice the entropy of the responsibilities, and
        prefers experts that are told apart; "aic" and "cv" ask which predicts best. "cv" is the
        mean log-density of held-out rows, of paths that are fitted to each fold's rows alone.
        "evidence" is for estimators that find penalties, and so report `log_evidence_`.
    cv : int, splitter or iterable, default=None
        The folds of criterion="cv", as in `sklearn.model_selection.cross_validate`; None means 5.
        With `groups` a number means so many folds of whole groups. Other criteria need none.
    rule : {"best", "one_se"}, default="best"
        "one_se", with "cv" only: the fewest experts whose score is within one standard error of
        the best score [2]_.
    n_jobs : int, default=None
        With "cv" folds that are fitted at a time, in processes of their own; for the fits to all
        rows threads. None leaves the threads of the estimator. The result is the same.
    random_state : int, RandomState or None, default=None
        Of every fit; None leaves that of the estimator.
    verbose : int, default=0
        1 prints a line for each number of experts, and now and then where a long fit is.

    Attributes
    ----------
    best_estimator_ : estimator
        The fit to all rows with the chosen number of experts.
    best_n_experts_ : int
    best_index_ : int
        Where it stands in `results_`.
    results_ : dict of ndarray of shape (numbers,)
        A table, as `pandas.DataFrame` takes it, of the fits to all rows: `n_experts`,
        `log_likelihood`, `objective` (penalised, which a fit climbs), `n_parameters`, `aic`,
        `bic`, `icl` (lower is better), `log_evidence` where there is one, `smallest_share` (the
        least of `weights_`), `converged`, `collapsed` (an expert rests on too little),
        `structure` of a tree that has grown (as `TreeGate` takes it; 0 is a single leaf) or
        `depth`, `fit_time` (seconds); with "cv" `split0_test_score` and so on, `mean_test_score`
        and `se_test_score`, the standard error of the mean.
    n_features_in_, feature_names_in_, classes_
        Those of the best estimator.

    Raises
    ------
    TypeError
        For an estimator that is no mixture of experts.
    ValueError
        In `fit`, for parameters that cannot be used together, and for more experts than rows.

    Warns
    -----
    ExpertCountWarning
        When the chosen number is the largest that was tried, or the fit has more than one
        parameter for five rows. What else is given are the warnings of the best fit.

    Notes
    -----
    What never falls along the path is what the fits climb: without penalties the log-likelihood,
    with a gate that models x that of x and y. Penalties are counted for each expert, and one that
    is written twice costs its prior once more. So with penalties no fit is below its predecessor
    and also below what that is worth with any one expert repeated. Where a fit finds its penalties
    (alpha="auto"), fits of as many experts are compared by their evidence, and more experts may
    have less of it. A tree begins from the estimator's own starts up to two leaves; from there on
    it grows. Solvers that do not climb the likelihood ("cem", "sem"), least-squares gates, and
    scikit-learn estimators as gate or experts begin in the same places where they can, but promise
    nothing. Nothing rests on a fit that has collapsed: without penalties its likelihood is
    unbounded.

    References
    ----------
    .. [1] Ueda, N., Nakano, R., Ghahramani, Z. & Hinton, G. E. (2000). SMEM algorithm for mixture
       models. Neural Computation 12, 2109-2128.
    .. [2] Breiman, L., Friedman, J. H., Olshen, R. A. & Stone, C. J. (1984). Classification and
       Regression Trees. Wadsworth.
    .. [3] Waterhouse, S. R. & Robinson, A. J. (1996). Constructive algorithms for hierarchical
       mixtures of experts. NIPS 8, 584-590.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> from classic_moe.model_selection import ExpertCountSearch
    >>> X, y = make_piecewise_regression(300, n_pieces=3, random_state=0)
    >>> search = ExpertCountSearch(MixtureOfExpertsRegressor(), range(1, 6), random_state=0)
    >>> search.fit(X, y).best_n_experts_
    3
    >>> search.results_["bic"].shape, search.predict(X).shape
    ((5,), (300,))

    A tree that grows:

    >>> from classic_moe.gates import TreeGate
    >>> tree = MixtureOfExpertsRegressor(gate=TreeGate(), n_init=2, random_state=0)
    >>> search = ExpertCountSearch(tree, range(1, 5)).fit(X, y)
    >>> search.best_n_experts_, search.results_["structure"][1]
    (3, (0, 1))
    """

    def __init__(
        self,
        estimator: Any,
        n_experts: Any = tuple(range(1, 9)),
        *,
        criterion: str = "bic",
        cv: Any = None,
        rule: str = "best",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.n_experts = n_experts
        self.criterion = criterion
        self.cv = cv
        self.rule = rule
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Fit mixtures with every number of experts, and keep the best.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None
            As in the estimator's `fit`; of held-out rows too.
        groups : array-like of shape (n,), default=None
            Rows that share one expert, as in the estimator's `fit`. Folds part no group: cv as a
            number makes folds of whole groups, and a splitter is told of them.

        Returns
        -------
        self
        """
        counts = self._counts()
        estimator, rows = self._estimator(), Rows(X, y, sample_weight, groups)
        counts = growth_of(estimator, counts).counts
        _check_rows(counts, rows)
        with _collected() as caught, telling(self.verbose):
            scores = self._scores(estimator, counts, rows) if self.criterion == "cv" else None
            path = Path(estimator, counts, rows, self.n_jobs, self._teller()).run()
            results = criteria.of_fits(path.fits, *rows)
            results |= path.growth.columns(path.fits)
            results["fit_time"] = np.array(path.seconds)
        if scores is not None:
            results |= criteria.of_folds(scores)
        best = criteria.chosen(results, self.criterion, self.rule)
        self._warn(path.fits[best], counts, caught, rows)
        self.results_ = results
        self.best_index_, self.best_n_experts_ = best, counts[best]
        self.best_estimator_ = path.fits[best]
        return self

    # -- what is given -----------------------------------------------------------------------------

    def _counts(self):
        """Return the numbers of experts, ascending; an error for parameters of no use."""
        checks.check_rules(self, RULES)
        if self.rule == "one_se" and self.criterion != "cv":
            raise ValueError(
                f"rule='one_se' needs the standard errors of criterion='cv', got"
                f" criterion={self.criterion!r}; use rule='best'."
            )
        given = list(self.n_experts) if np.iterable(self.n_experts) else None
        if not given or not all(checks.is_integer(count) and count > 0 for count in given):
            raise ValueError(
                f"n_experts={self.n_experts!r} of ExpertCountSearch: needs integers of at least 1,"
                " such as range(1, 9)."
            )
        return sorted({int(count) for count in given})

    def _estimator(self):
        """Return a clone of the estimator with our random numbers; an error for one of no use."""
        estimator = self.estimator
        if not isinstance(estimator, BaseMixtureOfExperts):
            raise TypeError(
                f"estimator={shown(estimator)} is no mixture of experts; in a Pipeline the search"
                " is the last step: make_pipeline(..., ExpertCountSearch(mixture))."
            )
        if not {"n_experts", "depth"} & set(estimator.get_params(deep=False)):
            raise ValueError(
                f"{type(estimator).__name__} has no n_experts to choose; compare its sizes by"
                " GridSearchCV with scoring=log_likelihood_scorer."
            )
        if not checks.can(estimator, "log_prob"):
            raise ValueError(
                f"under objective={estimator.objective!r} {type(estimator).__name__} has no"
                " likelihood to compare numbers of experts by; use objective='likelihood'."
            )
        estimator = clone(estimator)
        if self.criterion == "evidence" and not _has_evidence(estimator, self._counts()):
            raise ValueError(
                f"criterion={self.criterion!r}: {type(estimator).__name__} with these parameters"
                " has no log_evidence_, for it finds no penalties (alpha='auto'); use 'bic', 'icl',"
                " 'aic' or 'cv'."
            )
        if self.random_state is None:
            return estimator
        seed = self.random_state
        if not checks.is_integer(seed):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        return estimator.set_params(random_state=seed)

    def _teller(self):
        return print if self.verbose else None

    # -- held-out rows -----------------------------------------------------------------------------

    def _scores(self, estimator, counts, rows):
        """Return the mean log-density of the held-out rows of every fold, (folds, numbers)."""
        if rows.sample_weight is not None and rows.groups is not None:
            raise ValueError(
                "criterion='cv' takes sample_weight or groups; leave one out, or use 'bic'."
            )
        cv = 5 if self.cv is None else self.cv
        if rows.groups is not None and checks.is_integer(cv):
            cv = GroupKFold(cv)
        cv = check_cv(cv, rows.y, classifier=is_classifier(estimator))
        folds = list(cv.split(rows.X, rows.y, rows.groups))
        if self.rule == "one_se" and len(folds) < 2:
            raise ValueError("rule='one_se' needs two folds at least, got 1; use rule='best'.")
        for train, _ in folds:
            _check_rows(counts, _taken(rows, train), " in a fold")
        work = delayed(_scores_of_fold)
        return Parallel(n_jobs=self.n_jobs)(
            work(estimator, counts, _taken(rows, train), _taken(rows, test))
            for train, test in folds
        )

    # -- what is said ------------------------------------------------------------------------------

    def _warn(self, fit, counts, caught, rows):
        """Give the warnings of the best fit, what else was warned of once, and the choice's own."""
        fit._fitted.warn(fit)
        for category, text in dict.fromkeys((each.category, str(each.message)) for each in caught):
            if not issubclass(category, ConvergenceWarning):  # of other fits
                warnings.warn(text, category, stacklevel=level_outside())
        texts, best = [], fit.n_experts_
        if best == counts[-1] and len(counts) > 1:
            texts.append(f"the best number of experts is the largest tried, {best}; try more")
        n, m = _size(fit, rows), fit.n_parameters_
        if ROWS_A_PARAMETER * m > n:
            texts.append(
                f"with {best} expert{'s'[: best > 1]} there are {m} parameters for {n:.6g} rows; a"
                f" criterion means little with fewer than {ROWS_A_PARAMETER} rows for each"
            )
        if texts:
            text = f"ExpertCountSearch: {', and '.join(texts)}."
            warnings.warn(text, ExpertCountWarning, stacklevel=level_outside())

    # -- the best estimator ------------------------------------------------------------------------

    def _answering(self):
        """Return the estimator that answers: the best, before a fit the one given."""
        return vars(self).get("best_estimator_", self.estimator)

    predict = _of_best("predict")
    predict_proba = _of_best("predict_proba")
    predict_log_proba = _of_best("predict_log_proba")
    predict_dist = _of_best("predict_dist")
    predict_experts = _of_best("predict_experts")
    gate_proba = _of_best("gate_proba")
    responsibilities = _of_best("responsibilities")
    assign = _of_best("assign")
    log_prob = _of_best("log_prob")
    sample = _of_best("sample")
    node_proba = _of_best("node_proba")
    node_responsibilities = _of_best("node_responsibilities")
    aic = _of_best("aic")
    bic = _of_best("bic")
    icl = _of_best("icl")

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the score of the best estimator: R², or accuracy.

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
        return self.best_estimator_.score(X, y, sample_weight)

    def summary(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Summary:
        """Return the `Summary` of the best estimator, with data criteria too.

        Parameters
        ----------
        X, y, groups : as of the estimator's `summary`

        Returns
        -------
        Summary
        """
        check_is_fitted(self)
        return self.best_estimator_.summary(X, y, groups)

    def equations(self) -> str:
        """Return the experts of the best estimator as text, a str."""
        check_is_fitted(self)
        return self.best_estimator_.equations()

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, of a classifier, (C,)."""
        return self.best_estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """The number of columns of X."""
        return self.best_estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """The names of the columns of X, where they have some."""
        return self.best_estimator_.feature_names_in_

    def __sklearn_is_fitted__(self):
        return "best_estimator_" in vars(self)

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags"):
            setattr(tags, name, deepcopy(getattr(inner, name)))
        tags.input_tags = deepcopy(inner.input_tags)
        return tags


def _has_evidence(estimator, counts):
    """Return whether the fits of an estimator say what their evidence is."""
    if hasattr(type(estimator), "log_evidence_"):
        return True
    growth = growth_of(estimator, counts)
    size = growth.sizes[0]  # a growing tree has its own size at no fit but the last
    estimator = clone(estimator).set_params(**growth.own(size))
    model, automatic = with_numbers(bare_model(estimator), estimator)
    if automatic is None:
        return False
    return not automatic.obstacle(model, coerce("solver", estimator.solver), ())


@contextmanager
def _collected():
    """Keep the warnings of many fits, a list: what is said of them is for the best of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _scores_of_fold(estimator, counts, train, test):
    """Return the mean log-density of the rows held out, under the fits of a path, a list."""
    with _collected():
        fits = Path(estimator, counts, train).run().fits
        options = dict(sample_weight=test.sample_weight, groups=test.groups)
        return [log_likelihood_scorer(fit, test.X, test.y, **options) for fit in fits]


def _taken(rows, chosen):
    """Return some of the `Rows`."""
    return Rows(*(None if each is None else _safe_indexing(each, chosen) for each in rows))


def _check_rows(counts, rows, where=""):
    """Raise a ValueError, before any fit, where there are fewer rows of weight than experts."""
    n = _num_samples(rows.X)
    if rows.sample_weight is not None:
        n = int((_check_sample_weight(rows.sample_weight, rows.X) > 0).sum())
    if counts[-1] > n:
        raise ValueError(
            f"n_experts up to {counts[-1]} of ExpertCountSearch needs at least {counts[-1]} rows"
            f" with positive weight, got n_samples={n}{where}; try at most {n} experts."
        )


def _size(fit, rows):
    """Return how many rows there are by their weight, or of positive weight if that is more."""
    if rows.sample_weight is None:
        return _num_samples(rows.y)
    weight = _check_sample_weight(rows.sample_weight, rows.y)
    n = int((weight > 0).sum())
    return n if fit.normalize_weights else max(n, weight.sum())
