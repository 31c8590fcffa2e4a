"""ExpertCountSearch: the number of experts by a criterion, as an estimator among others."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from weak import WEAK

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    ExpertCountWarning,
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    log_likelihood_scorer,
)
from classic_moe.datasets import make_piecewise_regression
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate, TreeGate
from classic_moe.model_selection import ExpertCountSearch, criteria
from classic_moe.model_selection.path import Path

pytestmark = pytest.mark.weak_penalties


def pieces(n, n_pieces, seed=0):
    return make_piecewise_regression(n, n_pieces=n_pieces, noise=0.1, random_state=seed)


@pytest.fixture(scope="module")
def data():
    return pieces(150, 2)


@pytest.fixture(scope="module")
def search(data):
    return ExpertCountSearch(MixtureOfExpertsRegressor(), [1, 2, 3], random_state=0).fit(*data)


def quick(**options):
    return MixtureOfExpertsRegressor(**dict(n_init=1, random_state=0) | options)


# -- the choice ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_pieces", [1, 2, 3])
def test_bic_finds_the_number_of_separated_experts(n_pieces):
    X, y = pieces(300, n_pieces)
    search = ExpertCountSearch(quick(), range(1, 6)).fit(X, y)
    assert search.best_n_experts_ == n_pieces == search.best_estimator_.n_experts_


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic"])
def test_the_best_estimator_has_the_least_criterion_of_the_table(data, criterion):
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCountWarning)  # AIC takes what it can get
        search = ExpertCountSearch(quick(), [3, 1, 2], criterion=criterion).fit(X, y)
    table, best = pd.DataFrame(search.results_), search.best_estimator_
    assert table["n_experts"].tolist() == [1, 2, 3]
    row = table.iloc[table[criterion].argmin()]
    assert search.best_n_experts_ == row["n_experts"] == best.n_experts
    assert_allclose(row[criterion], getattr(best, criterion)(X, y))
    assert_allclose(row["log_likelihood"], best.log_prob(X, y).sum())
    assert row["n_parameters"] == best.n_parameters_
    assert_allclose(row["smallest_share"], best.weights_.min())
    assert row["objective"] == best.lower_bounds_[-1] and row["converged"] == best.converged_


def test_cross_validation_scores_the_rows_held_out(data):
    folds = KFold(3, shuffle=True, random_state=0)
    search = ExpertCountSearch(quick(), [1, 2], criterion="cv", cv=folds)
    with pytest.warns(ExpertCountWarning, match="largest tried, 2"):
        search.fit(*data)
    alone = [
        cross_val_score(quick(n_experts=K), *data, scoring=log_likelihood_scorer, cv=folds)
        for K in (1, 2)
    ]
    results = search.results_
    found = np.array([results[f"split{i}_test_score"] for i in range(3)])
    assert_allclose(found, np.transpose(alone), atol=0.01)  # two experts by other starts
    assert_allclose(found[:, 0], alone[0], atol=1e-9)  # of one expert there is one fit
    assert_allclose(results["mean_test_score"], found.mean(axis=0))
    assert_allclose(results["se_test_score"], found.std(axis=0, ddof=1) / np.sqrt(3))
    assert search.best_n_experts_ == 2


def table(**columns):
    n = len(next(iter(columns.values())))
    return {name: np.array(v) for name, v in columns.items()} | (
        {} if "collapsed" in columns else {"collapsed": np.zeros(n, bool)}
    )


def test_one_standard_error_takes_the_fewest_experts_that_are_as_good():
    scores = table(mean_test_score=[-3.0, -1.4, -1.0, -1.2], se_test_score=[0.9, 0.9, 0.5, 0.1])
    assert criteria.chosen(scores, "cv", "best") == 2
    assert criteria.chosen(scores, "cv", "one_se") == 1
    scores["se_test_score"][2] = 0.3
    assert criteria.chosen(scores, "cv", "one_se") == 2
    scores["se_test_score"][:] = np.nan  # a fold with an impossible row
    assert criteria.chosen(scores, "cv", "one_se") == 2


def test_a_collapsed_fit_is_chosen_only_if_all_have():
    results = table(bic=[30.0, -500.0, 20.0, 25.0], collapsed=[False, True, False, False])
    assert criteria.chosen(results, "bic", "best") == 2
    results["collapsed"][:] = True
    assert criteria.chosen(results, "bic", "best") == 1


def test_fits_that_have_collapsed_are_named(data):
    X, y = data
    free = quick(max_iter=20).set_params(expert__variance_prior=0, gate__alpha=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = ExpertCountSearch(free, [1, 12]).fit(X[:14], y[:14])
    assert search.results_["collapsed"].tolist() == [False, True]
    assert search.best_n_experts_ == 1


class Evident(MixtureOfExpertsRegressor):
    """Says that two experts have the best evidence."""

    @property
    def log_evidence_(self):
        return -abs(self.n_experts_ - 2.0)


def test_evidence_decides_where_there_is_some(data):
    X, y = data
    search = ExpertCountSearch(Evident(n_init=1), [1, 2, 3], criterion="evidence").fit(X, y)
    assert search.best_n_experts_ == 2
    assert search.results_["log_evidence"].tolist() == [-1, 0, -1]


def test_what_no_fit_could_decide_is_refused_before_any(data, monkeypatch):
    monkeypatch.delattr(Path, "run")
    X, y = data
    weak = dict(expert=LinearExpert("weak"), gate=SoftmaxGate("weak"))
    silent = MixtureOfExpertsRegressor(**weak)
    with pytest.raises(ValueError, match=r"has no log_evidence_, .* use 'bic'"):
        ExpertCountSearch(silent, [1, 2], criterion="evidence").fit(X, y)
    silent = MixtureOfExpertsRegressor(expert="laplace")
    with pytest.raises(ValueError, match=r"has no log_evidence_, .* use 'bic'"):
        ExpertCountSearch(silent, [1, 2], criterion="evidence").fit(X, y)


# -- what is said ----------------------------------------------------------------------------------


def test_the_end_of_the_range_and_few_rows_are_told_in_one_warning(data):
    X, y = data
    with pytest.warns(ExpertCountWarning) as caught:
        ExpertCountSearch(quick(), [1, 2]).fit(X[:30], y[:30])
    assert [str(w.message) for w in caught] == [
        "ExpertCountSearch: the best number of experts is the largest tried, 2; try more, and with"
        " 2 experts there are 8 parameters for 30 rows; a criterion means little with fewer than 5"
        " rows for each."
    ]
    assert caught[0].filename == __file__
    ExpertCountSearch(quick(), [2]).fit(X, y)  # there was nothing to choose


def test_rows_are_counted_by_their_weight(data):
    X, y = data
    chosen = ExpertCountSearch(quick(), [2])
    chosen.fit(X[:30], y[:30], np.full(30, 2.0))
    with pytest.warns(ExpertCountWarning, match="8 parameters for 30 rows"):
        chosen.set_params(estimator__normalize_weights=True).fit(X[:30], y[:30], np.full(30, 2.0))
    with pytest.warns(ExpertCountWarning, match="8 parameters for 30 rows"):
        chosen.set_params(estimator__normalize_weights=False).fit(X, y, np.arange(150) < 30)


def test_only_the_best_fit_complains(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ExpertCountWarning)
        ExpertCountSearch(quick(max_iter=40), [1, 2, 5]).fit(*pieces(60, 2))
    with pytest.warns(ConvergenceWarning, match="did not converge in 2 iterations") as caught:
        ExpertCountSearch(quick(max_iter=2, n_experts=3), [2, 3]).fit(*pieces(200, 2))
    assert len([w for w in caught if w.category is ConvergenceWarning]) == 1


def test_a_line_is_printed_for_each_number(data, capsys):
    ExpertCountSearch(quick(), [1, 2, 3], verbose=1).fit(*data)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"n_experts={K}" for K in (1, 2, 3)]


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(n_experts=[]), r"n_experts=\[\] of ExpertCountSearch: needs integers of at least 1"),
        (dict(n_experts=3), "n_experts=3 of ExpertCountSearch: needs integers"),
        (dict(n_experts=[0, 1]), "needs integers of at least 1"),
        (dict(criterion="dic"), "criterion='dic' of ExpertCountSearch: use one of 'bic'"),
        (dict(rule="one_se"), "needs the standard errors of criterion='cv', got criterion='bic'"),
        (
            dict(estimator=HierarchicalMixtureOfExpertsRegressor(), n_experts=[1, 3]),
            r"n_experts=\[1, 3\] .* balanced trees with branching=2 have 2 leaves; name such",
        ),
        (
            dict(estimator=AdaptiveLocalExpertsRegressor(objective="expected_error")),
            "under objective='expected_error' .* has no likelihood",
        ),
        (
            dict(estimator=quick(gate=TreeGate(branching=3))),
            "branching=3 of TreeGate: a tree grows by nodes of two",
        ),
        (dict(criterion="cv", cv=[([0, 1, 2, 3], [4, 5])], rule="one_se"), "needs two folds"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(data, options, message):
    search = ExpertCountSearch(**dict(estimator=quick()) | options)
    with pytest.raises(ValueError, match=message):
        search.fit(*data)
    assert not hasattr(search, "results_")


def test_more_experts_than_rows_are_told_before_any_fit(data, monkeypatch):
    monkeypatch.setattr("classic_moe.model_selection.path.Path.run", pytest.fail)
    X, y = data
    cases = [
        (ExpertCountSearch(quick()), slice(7), "n_samples=7; try at most 7 experts"),
        (ExpertCountSearch(quick(gate=TreeGate())), slice(7), "n_samples=7; try"),
        (ExpertCountSearch(quick(), criterion="cv", cv=3), slice(11), "n_samples=7 in a fold"),
    ]
    for search, rows, message in cases:
        with pytest.raises(ValueError, match=f"n_experts up to 8 of .* needs .* got {message}"):
            search.fit(X[rows], y[rows])
    with pytest.raises(ValueError, match="rows with positive weight, got n_samples=5"):
        cases[0][0].fit(X, y, np.arange(150) < 5)


def test_a_pipeline_belongs_around_the_search(data):
    inside = ExpertCountSearch(make_pipeline(StandardScaler(), quick()))
    with pytest.raises(TypeError, match="in a Pipeline the search is the last step"):
        inside.fit(*data)
    weight, groups = np.ones(150), np.arange(150) // 2
    both = ExpertCountSearch(quick(), [1, 2], criterion="cv")
    with pytest.raises(ValueError, match="takes sample_weight or groups; leave one out"):
        both.fit(*data, weight, groups=groups)


def test_a_fit_that_fails_changes_nothing(data, search):
    own = clone(search).fit(*data)
    before = dict(vars(own))
    with pytest.raises(ValueError, match="NaN"):
        own.fit(data[0], np.full(150, np.nan))
    assert vars(own) == before


# -- among estimators ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::classic_moe.ExpertCountWarning")
@parametrize_with_checks(
    [
        ExpertCountSearch(MixtureOfExpertsRegressor(n_init=1, max_iter=10), (1, 2)),
        ExpertCountSearch(MixtureOfExpertsClassifier(n_init=1, max_iter=10), (1, 2)),
    ]
)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


def test_it_answers_as_its_best(data, search):
    X, y = data
    best = search.best_estimator_
    for name in ("predict", "predict_experts", "gate_proba", "assign"):
        assert_array_equal(getattr(search, name)(X), getattr(best, name)(X))
    assert_array_equal(search.log_prob(X, y), best.log_prob(X, y))
    assert_array_equal(search.responsibilities(X, y), best.responsibilities(X, y))
    assert_array_equal(search.predict(X, return_std=True)[1], best.predict_dist(X).std())
    assert_array_equal(search.predict_dist(X).mean(), best.predict_dist(X).mean())
    assert_array_equal(search.sample(X, random_state=0)[0], best.sample(X, random_state=0)[0])
    assert search.score(X, y) == best.score(X, y) and search.bic(X, y) == best.bic(X, y)
    assert search.equations() == best.equations()
    assert str(search.summary(X, y)) == str(best.summary(X, y))
    assert is_regressor(search) and not hasattr(search, "predict_proba")
    assert not hasattr(search, "classes_") and search.n_features_in_ == 1
    assert log_likelihood_scorer(search, X, y) == log_likelihood_scorer(best, X, y)


def test_a_search_for_classes_is_a_classifier():
    X, y = pieces(150, 2)
    X, y = pd.DataFrame(X, columns=["x"]), np.where(y > np.median(y), "high", "low")
    search = ExpertCountSearch(MixtureOfExpertsClassifier(n_init=1, random_state=0), [1, 2, 3])
    assert is_classifier(search) and not hasattr(search, "predict_dist")
    with pytest.raises(NotFittedError):
        search.predict(X)
    search.fit(X, y)
    assert search.classes_.tolist() == ["high", "low"]
    assert search.feature_names_in_.tolist() == ["x"]
    assert_array_equal(search.predict_proba(X), search.best_estimator_.predict_proba(X))
    assert search.score(X, y) > 0.8


@pytest.mark.filterwarnings("ignore::classic_moe.ExpertCountWarning")
def test_it_stands_in_a_pipeline_and_its_parameters_are_searched(data):
    pipeline = make_pipeline(StandardScaler(), ExpertCountSearch(quick(), [1, 2, 3]))
    grid = {"expertcountsearch__estimator__expert__alpha": [1e-6, 1e4]}
    grid = GridSearchCV(pipeline, grid, cv=KFold(2, shuffle=True, random_state=0)).fit(*data)
    assert grid.best_params_ == {"expertcountsearch__estimator__expert__alpha": 1e-6}
    assert grid.best_estimator_[-1].best_n_experts_ == 2
    assert grid.best_estimator_[-1].best_estimator_.expert.alpha == 1e-6


def test_clones_and_pickles_are_the_same_search(data, search):
    again = clone(search).fit(*data)
    for name, column in search.results_.items():
        if name != "fit_time":
            assert_array_equal(again.results_[name], column)
    loaded = pickle.loads(pickle.dumps(search))
    assert_array_equal(loaded.predict(data[0]), search.predict(data[0]))
    best = search.best_estimator_  # a fit with the parameters of the estimator given
    assert best.get_params() == search.estimator.get_params() | dict(n_experts=2, random_state=0)


def test_threads_and_processes_change_nothing(data, search):
    own = clone(search).set_params(n_jobs=2).fit(*data)
    assert_array_equal(own.results_["objective"], search.results_["objective"])
    assert own.best_estimator_.n_jobs is None
    plain = quick().set_params(**WEAK)  # a process of its own does not know of the mark
    held_out = [
        ExpertCountSearch(plain, [1], criterion="cv", cv=2, n_jobs=n_jobs).fit(*data)
        for n_jobs in (None, 2)
    ]
    scores = [each.results_["mean_test_score"] for each in held_out]
    # a process of its own may not have loaded numba, and rounds otherwise
    assert_allclose(scores[0], scores[1], rtol=1e-6)


def test_random_numbers_are_the_search_s_or_the_estimator_s(data):
    X, y = pieces(80, 3)
    options = dict(n_init=2, init_params="random", max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = ExpertCountSearch(quick(**options, random_state=3), [4]).fit(X, y)
        same = ExpertCountSearch(quick(**options), [4], random_state=3).fit(X, y)
        drawn = ExpertCountSearch(quick(**options), [4], random_state=np.random.RandomState(1)).fit(
            X, y
        )
    assert_array_equal(one.predict(X), same.predict(X))
    assert isinstance(drawn.best_estimator_.random_state, int)


def test_a_sparse_x_is_the_same_x(data, search):
    X, y = data
    own = clone(search).fit(csr_array(X), y)
    assert_allclose(own.results_["objective"], search.results_["objective"], rtol=1e-9)


# -- weights and groups ----------------------------------------------------------------------------


def test_a_row_of_weight_two_is_two_rows(data):
    X, y = data
    weight = np.arange(150) % 3
    rows = np.repeat(np.arange(150), weight)
    weighted = ExpertCountSearch(quick(), [1, 2, 3]).fit(X, y, weight)
    repeated = ExpertCountSearch(quick(), [1, 2, 3]).fit(X[rows], y[rows])
    for name in ("bic", "icl", "objective"):
        assert_allclose(weighted.results_[name], repeated.results_[name], rtol=1e-6)


@pytest.fixture(scope="module")
def grouped():
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(40), 4))
    X = rng.normal(size=(160, 1))
    return X, np.where(groups % 2, 2.0, -2.0) * X[:, 0] + 0.3 * rng.normal(size=160), groups


def test_rows_of_a_group_share_an_expert_in_every_fit(grouped):
    X, y, groups = grouped
    search = ExpertCountSearch(quick(gate="constant"), [1, 2, 3]).fit(X, y, groups=groups)
    assert search.best_n_experts_ == 2
    best = search.best_estimator_
    assert_allclose(search.results_["bic"][1], best.bic(X, y, groups=groups))
    alone = clone(best).fit(X, y, groups=groups)
    assert_allclose(best.log_likelihood_, alone.log_likelihood_)


def test_folds_part_no_group(grouped):
    X, y, groups = grouped
    search = ExpertCountSearch(quick(gate="constant"), [1, 2, 3], criterion="cv", cv=4)
    search.fit(X, y, groups=groups)
    assert search.best_n_experts_ == 2
    own = clone(search).set_params(cv=GroupKFold(4)).fit(X, y, groups=groups)
    assert_array_equal(search.results_["mean_test_score"], own.results_["mean_test_score"])
    train, test = next(GroupKFold(4).split(X, y, groups))
    one = quick(gate="constant", n_experts=1).fit(X[train], y[train], groups=groups[train])
    expected = one.log_prob(X[test], y[test], groups[test]).sum() / len(test)
    assert_allclose(search.results_["split0_test_score"][0], expected, rtol=1e-9)


@pytest.mark.parametrize("routed", [False, True])
def test_weights_and_groups_reach_it_through_a_search_around_it(grouped, routed):
    X, y, groups = grouped
    inner = ExpertCountSearch(quick(gate="constant"), [1, 2])
    grid = {"criterion": ["bic", "icl"]}
    with config_context(enable_metadata_routing=routed), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCountWarning)
        if routed:
            inner.set_fit_request(groups=True, sample_weight=False)
            inner.set_score_request(sample_weight=False)
        outer = GridSearchCV(inner, grid, cv=GroupKFold(2)).fit(X, y, groups=groups)
    expected = dict(groups=groups) if routed else {}
    alone = clone(outer.best_estimator_.best_estimator_).fit(X, y, **expected)
    assert_allclose(outer.best_estimator_.best_estimator_.log_likelihood_, alone.log_likelihood_)
