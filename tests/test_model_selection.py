"""log_likelihood_scorer: the proper score, wherever the estimator sits. align: like for like."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    log_likelihood_scorer,
)
from classic_moe.experts import LinearExpert, NoiseExpert
from classic_moe.gates import TreeGate
from classic_moe.model_selection import align


@pytest.fixture(scope="module")
def crossing():
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(200, 1))
    sign = np.where(rng.uniform(size=200) < 0.5, 1, -1)
    return X, 3 * sign * X[:, 0] + 0.3 * rng.standard_normal(200)


@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_it_is_the_mean_log_prob_per_unit_of_weight(crossing, kind):
    X, y = crossing
    y = y if kind is MixtureOfExpertsRegressor else y > 0.5
    model = kind(1).fit(X, y)
    weight = np.arange(200.0)
    log_prob = model.log_prob(X, y)
    assert_allclose(log_likelihood_scorer(model, X, y), log_prob.mean(), rtol=1e-12)
    weighted = log_likelihood_scorer(model, X, y, sample_weight=weight)
    assert_allclose(weighted, weight @ log_prob / weight.sum(), rtol=1e-12)
    assert isinstance(weighted, float)


def test_it_sees_through_pipelines_and_searches(crossing):
    X, y = crossing
    pipeline = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(1)).fit(X, y)
    expected = pipeline[-1].log_prob(pipeline[0].transform(X), y).mean()
    assert_allclose(log_likelihood_scorer(pipeline, X, y), expected, rtol=1e-12)
    alone = make_pipeline(MixtureOfExpertsRegressor(1)).fit(X, y)
    assert_allclose(log_likelihood_scorer(alone, X, y), alone[-1].log_prob(X, y).mean())
    inner = GridSearchCV(
        pipeline,
        {"mixtureofexpertsregressor__expert__alpha": [1e-6, 1.0]},
        scoring=log_likelihood_scorer,
        cv=2,
    ).fit(X, y)
    assert np.isfinite(log_likelihood_scorer(inner, X, y))
    nested = make_pipeline(StandardScaler(), inner).fit(X, y)
    assert np.isfinite(log_likelihood_scorer(nested, X, y))


def test_it_finds_the_number_of_experts_that_r_squared_cannot(crossing):
    """Two crossing lines have the same mean everywhere: only the density tells them apart."""
    X, y = crossing
    options = dict(gate="constant", n_init=3, random_state=0)
    likelihood, r_squared = (
        [
            cross_val_score(MixtureOfExpertsRegressor(k, **options), X, y, scoring=s, cv=3).mean()
            for k in (1, 2)
        ]
        for s in (log_likelihood_scorer, None)
    )
    assert likelihood[1] > likelihood[0] + 0.3
    assert abs(r_squared[1] - r_squared[0]) < 0.1


@pytest.mark.parametrize("weight", [np.zeros(200), -np.ones(200), np.ones(3)])
def test_weights_that_are_none_are_refused(crossing, weight):
    X, y = crossing
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        log_likelihood_scorer(model, X, y, sample_weight=weight)


@pytest.mark.parametrize("objective", ["expected_error", "blended_error"])
def test_an_error_function_is_told_from_an_estimator_of_others(crossing, objective):
    X, y = crossing
    model = AdaptiveLocalExpertsRegressor(1, objective=objective, solver="lbfgs").fit(X, y)
    with pytest.raises(TypeError, match=f"no likelihood under objective='{objective}'"):
        log_likelihood_scorer(model, X, y)


def test_an_estimator_without_densities_is_refused(crossing):
    X, y = crossing
    with pytest.raises(TypeError, match=r"needs an estimator with log_prob, LinearRegression has"):
        log_likelihood_scorer(LinearRegression().fit(X, y), X, y)
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)
    with pytest.raises(TypeError, match=r"LinearRegression has none"):
        log_likelihood_scorer(pipeline, X, y)


# -- align -----------------------------------------------------------------------------------------


def renumbered(model, ids):
    """Return a copy of a fit with its experts in the order `ids`."""
    other = copy.deepcopy(model)
    other._adopt(other._current().reordered(np.array(ids)))
    return other


@pytest.fixture(scope="module")
def lines():
    """Three lines with a third of the rows each, apart by their slopes alone."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, (300, 1))
    y = np.array([3.0, 0.0, -3.0])[np.arange(300) % 3] * X[:, 0] + rng.normal(0, 0.3, 300)
    return X, y


def on_lines(X, y, **options):
    return MixtureOfExpertsRegressor(3, n_init=5, **{"gate": "constant"} | options).fit(X, y)


@pytest.mark.parametrize("given", ["y", "no y"])
def test_fits_of_bootstrap_samples_get_the_numbers_of_the_reference(lines, given):
    X, y = lines
    reference = on_lines(X, y, random_state=0)
    numbers = dict(y=y) if given == "y" else {}
    slopes, before = [], []
    for seed in range(6):
        rows = np.random.default_rng(seed).integers(0, 300, 300)
        model = on_lines(X[rows], y[rows], random_state=0)
        before.append([one.coef_[0] for one in model.experts_])
        slopes.append([one.coef_[0] for one in align(model, reference, X, **numbers).experts_])
    # the standard error of a slope is about 0.03, and the slopes are 3 apart
    assert (np.std(slopes, axis=0) < 0.2).all() and (np.std(before, axis=0) > 0.2).any()
    assert_allclose(np.mean(slopes, axis=0), [e.coef_[0] for e in reference.experts_], atol=0.2)


GATES = ["constant", "softmax", "gaussian", "least_squares", LogisticRegression()]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("given", ["y", "no y"])
def test_all_that_is_fitted_has_the_numbers_of_the_reference(lines, gate, given):
    X, y = lines
    y = y + 2 * (X[:, 0] > 0)  # so that the gate has something to learn
    reference = on_lines(X, y, gate=gate, random_state=0, tol=1e-3)
    model = renumbered(reference, [2, 0, 1])
    # the weights are divided by their sum, in the order in which they stand
    assert_allclose(model.weights_, reference.weights_[[2, 0, 1]], rtol=1e-15)
    assert not np.allclose(model.gate_proba(X), reference.gate_proba(X), atol=1e-3)
    before = pickle.dumps(model.params_)
    aligned = align(model, reference, X, *([y] if given == "y" else []))
    assert pickle.dumps(model.params_) == before and aligned is not model
    assert_allclose(aligned.weights_, reference.weights_, rtol=1e-15)
    for name in ("lower_bounds_", "n_iter_", "n_parameters_", "log_likelihood_"):
        assert_array_equal(getattr(aligned, name), getattr(reference, name))
    for method, arguments in (
        ("gate_proba", (X,)),
        ("predict_experts", (X,)),
        ("responsibilities", (X, y)),
        ("predict", (X,)),
        ("log_prob", (X, y)),
    ):
        expected = getattr(reference, method)(*arguments)
        # a softmax over the same numbers in another order
        assert_allclose(getattr(aligned, method)(*arguments), expected, rtol=1e-9, atol=1e-12)
    for one, other in zip(aligned.experts_, reference.experts_, strict=True):
        assert repr(one) == repr(other)
    assert_allclose(
        aligned.gate_.__dict__.get("weights_", 0), vars(reference.gate_).get("weights_", 0)
    )
    again = pickle.loads(pickle.dumps(aligned))
    assert_array_equal(again.predict(X), aligned.predict(X))


@pytest.mark.parametrize("experts", ["softmax", "linear"])
def test_classifiers_are_aligned_too(experts):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = np.where(X[:, 0] > 0, X[:, 1] > 0, X[:, 1] < 0).astype(int)
    options = dict(expert=experts, n_init=2, random_state=0, tol=1e-4)
    reference = MixtureOfExpertsClassifier(2, **options).fit(X, y)
    for given in ([], [y]):
        aligned = align(renumbered(reference, [1, 0]), reference, X, *given)
        assert_allclose(aligned.gate_proba(X), reference.gate_proba(X), rtol=1e-9)
        assert_allclose(aligned.predict_experts(X), reference.predict_experts(X), rtol=1e-9)
    other = MixtureOfExpertsClassifier(2, **options).fit(X, y + 1)
    with pytest.raises(ValueError, match=r"model knows the classes \[1, 2\] and reference \[0, 1"):
        align(other, reference, X)


def test_experts_that_differ_by_their_spread_alone_are_aligned_by_y():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 1))
    y = np.where(np.arange(400) % 2, 0.1, 2.0) * rng.normal(size=400)
    options = dict(gate="constant", expert="gaussian", n_init=2, random_state=0)
    reference = MixtureOfExpertsRegressor(2, **options).fit(X, y)
    aligned = align(renumbered(reference, [1, 0]), reference, X, y)
    assert [e.scale_ for e in aligned.experts_] == [e.scale_ for e in reference.experts_]
    groups = np.arange(400) // 4
    aligned = align(renumbered(reference, [1, 0]), reference, X, y, groups)
    assert [e.scale_ for e in aligned.experts_] == [e.scale_ for e in reference.experts_]


def test_shares_that_change_do_not_outweigh_what_experts_predict(lines):
    """Under a constant gate the larger expert of one sample may be the smaller of another."""
    X, y = lines
    reference = on_lines(X, y, random_state=0)
    heavy = np.where(reference.assign(X, y) == 2, 3.0, 1.0)
    model = MixtureOfExpertsRegressor(3, gate="constant", n_init=5, random_state=0)
    model.fit(X, y, heavy)
    slopes = [[one.coef_[0] for one in fit.experts_] for fit in (reference, model)]
    assert np.abs(np.diff(slopes, axis=0)).max() > 1
    slopes = [one.coef_[0] for one in align(model, reference, X).experts_]
    assert_allclose(slopes, [one.coef_[0] for one in reference.experts_], atol=0.1)


@pytest.fixture(scope="module")
def tree(lines):
    X, y = lines
    y = y + 4 * (X[:, 0] > 0)
    model = HierarchicalMixtureOfExpertsRegressor(n_init=1, random_state=0, tol=1e-3, max_iter=80)
    return model.fit(X, y), X, y


@pytest.mark.parametrize("ids", [[1, 0, 2, 3], [2, 3, 0, 1], [3, 2, 1, 0], [2, 3, 1, 0]])
def test_in_a_tree_subtrees_change_places(tree, ids):
    reference, X, y = tree
    for given in ([], [y]):
        aligned = align(renumbered(reference, ids), reference, X, *given)
        assert_allclose(aligned.responsibilities(X, y), reference.responsibilities(X, y), atol=1e-9)
        for name, proba in reference.node_proba(X).items():
            assert_allclose(aligned.node_proba(X)[name], proba, rtol=1e-9, atol=1e-12)
    with pytest.raises(
        ValueError, match=r"the gate of model, SoftmaxGate\(\), is another tree than"
    ):
        align(MixtureOfExpertsRegressor(4, n_init=1, tol=1e-2).fit(X, y), reference, X)


def test_what_a_tree_does_not_allow_is_left(lines):
    """Of three experts in ((0, 1), 2) only the first two change places."""
    X, y = lines
    gate = TreeGate(gate="constant", structure=((0, 1), 2))
    reference = on_lines(X, y, gate=gate, random_state=0)
    model = on_lines(X, y, random_state=0)  # flat: any order
    order = [e.coef_[0] for e in reference.experts_]
    flat = [renumbered(model, ids) for ids in itertools.permutations(range(3))]
    for one in flat:
        assert_allclose(
            [e.coef_[0] for e in align(one, model, X).experts_],
            [e.coef_[0] for e in model.experts_],
            rtol=1e-9,
        )
    turned = renumbered(reference, [1, 0, 2])
    assert_allclose([e.coef_[0] for e in align(turned, reference, X).experts_], order, rtol=1e-9)


def test_of_a_list_only_experts_that_are_alike_change_places(lines):
    X, y = lines
    items = [("a", LinearExpert()), ("noise", NoiseExpert()), ("b", LinearExpert())]
    items.append(("c", LinearExpert(alpha=1.0)))
    model = MixtureOfExpertsRegressor(4, expert=items, gate="constant", n_init=3, random_state=0)
    reference = model.fit(X, y)
    assert_array_equal(reference._fitted.model.expert.families, [0, 1, 0, 3])
    swapped = renumbered(reference, [2, 1, 0, 3])
    assert list(swapped.params_["expert"]) == ["a", "noise", "b", "c"]
    assert swapped.experts_[0].coef_ == reference.experts_[2].coef_
    assert_allclose(swapped.log_prob(X, y), reference.log_prob(X, y), rtol=1e-12)
    for given in ([], [y]):
        aligned = align(swapped, reference, X, *given)
        assert [repr(e) for e in aligned.experts_] == [repr(e) for e in reference.experts_]
    # a start takes the values by name, so the numbers hold there, too
    again = clone(model).set_params(init_params=swapped, tol=1.0).fit(X, y)
    assert_allclose(again.experts_[0].coef_, swapped.experts_[0].coef_, atol=0.1)
    # however well the noise expert agrees with the first line, and that with the second
    best = reference._fitted.matched(np.eye(4)[[1, 2, 0, 3]])
    assert_array_equal(best[[1, 3]], [1, 3])


def test_frozen_experts_of_meta_pi_keep_their_places(lines):
    X, y = lines
    left, right = (LinearRegression().fit(X[rows], y[rows]) for rows in (slice(9), slice(9, 30)))
    model = MetaPiRegressor([left, right], max_iter=30).fit(X, y, expert_groups=np.arange(300) % 2)
    aligned = align(model, model, X)
    assert_allclose(aligned.predict(X), model.predict(X), rtol=1e-12)
    assert_array_equal(model._fitted.model.expert.families, [0, 1])
    with pytest.raises(ValueError, match="align with y: under an error function MetaPiRegressor"):
        align(model, model, X, y)


def test_an_error_function_is_aligned_without_y(lines):
    X, y = lines
    model = AdaptiveLocalExpertsRegressor(
        2, objective="expected_error", solver="lbfgs", n_init=1, random_state=0
    )
    model.fit(X, np.abs(X[:, 0]) + 0.1 * y)
    aligned = align(renumbered(model, [1, 0]), model, X)
    assert_allclose(aligned.gate_proba(X), model.gate_proba(X), rtol=1e-9)
    assert_allclose(aligned.weights_, model.weights_, rtol=1e-12)


def test_an_aligned_copy_goes_on_by_fit_and_not_by_partial_fit(lines):
    X, y = lines
    reference = on_lines(X, y, random_state=0)
    aligned = align(renumbered(reference, [1, 2, 0]), reference, X)
    with pytest.raises(ValueError, match="renumbered by align does not hold the sums"):
        aligned.partial_fit(X, y)
    assert_allclose(aligned.predict_experts(X), reference.predict_experts(X), rtol=1e-9)
    warm = aligned.set_params(warm_start=True).fit(X, y)
    assert_allclose(warm.predict_experts(X), reference.predict_experts(X), atol=1e-3)


def test_what_cannot_be_aligned_is_refused_in_a_sentence(lines):
    X, y = lines
    model = on_lines(X, y, random_state=0)
    two = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)
    classes = MixtureOfExpertsClassifier(3, n_init=1, random_state=0, tol=1e-2).fit(X, y > 0)
    outputs = MixtureOfExpertsRegressor(3, n_init=1, random_state=0, tol=1e-2)
    outputs.fit(X, np.column_stack([y, y[::-1]]))
    for other, error, match in (
        (two, ValueError, "model has 3 experts and reference 2; fit both with as many"),
        (classes, ValueError, "model does regression and reference classification"),
        (outputs, ValueError, "reference predict 2 numbers a row and those of model 1"),
        (LinearRegression(), TypeError, r"reference=LinearRegression\(\) is no mixture of experts"),
        (make_pipeline(model), TypeError, "reference=Pipeline.* is no mixture of experts; pass"),
        (MixtureOfExpertsRegressor(3), NotFittedError, "is not fitted yet"),
    ):
        with pytest.raises(error, match=match):
            align(model, other, X)


# -- a scorer among scikit-learn's ---------------------------------------------------------------


def model(n_experts=1):
    return MixtureOfExpertsRegressor(n_experts, n_init=1, max_iter=5, random_state=0)


def test_it_stands_beside_other_scorers(crossing):
    X, y = crossing
    scoring = {"likelihood": log_likelihood_scorer, "r2": "r2", "again": log_likelihood_scorer}
    scores = cross_validate(model(), X, y, scoring=scoring, cv=3)
    assert_array_equal(scores["test_likelihood"], scores["test_again"])
    alone = cross_val_score(model(), X, y, scoring=log_likelihood_scorer, cv=3)
    assert_array_equal(scores["test_likelihood"], alone)
    grid = {"expert__alpha": [1e-6, 1e3]}
    search = GridSearchCV(model(), grid, scoring=scoring, refit="likelihood", cv=3).fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_likelihood"].max()
    assert_allclose(search.score(X, y), log_likelihood_scorer(search, X, y), rtol=1e-12)
    assert clone(search).scoring["likelihood"] == log_likelihood_scorer


def test_weights_reach_it_where_several_scorers_are_weighted(crossing):
    X, y = crossing
    fit, weight = model().fit(X, y), np.arange(200.0)
    options = dict(scoring={"a": log_likelihood_scorer, "b": "r2"}, n_repeats=1, random_state=0)
    plain = permutation_importance(fit, X, y, **options)
    weighted = permutation_importance(fit, X, y, sample_weight=weight, **options)
    assert plain["a"]["importances_mean"][0] != weighted["a"]["importances_mean"][0]


def test_metadata_reach_it_where_it_asks_for_them(crossing):
    X, y = crossing
    weight = np.arange(1.0, 201.0)
    asks = log_likelihood_scorer.set_score_request(sample_weight=True)
    named = log_likelihood_scorer.set_score_request(sample_weight="mass")
    folds = KFold(2)
    with config_context(enable_metadata_routing=True):
        estimator = model().set_fit_request(sample_weight=False)
        options = dict(cv=folds, params={"sample_weight": weight})
        found = cross_val_score(estimator, X, y, scoring=asks, **options)
        estimator = model()
        by_name = cross_val_score(estimator, X, y, scoring=named, cv=folds, params={"mass": weight})
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            cross_val_score(
                model().set_fit_request(sample_weight=False),
                X,
                y,
                scoring=log_likelihood_scorer,
                **options,
            )
    expected = []
    for train, test in folds.split(X):
        log_prob = model().fit(X[train], y[train]).log_prob(X[test], y[test])
        expected.append(np.average(log_prob, weights=weight[test]))
    assert_allclose(found, expected, rtol=1e-10)
    assert_allclose(by_name, expected, rtol=1e-10)


def test_groups_are_scored_whole_per_row(crossing):
    X, y = crossing
    groups = np.repeat(np.arange(50), 4)
    fit = MixtureOfExpertsRegressor(2, gate="constant", n_init=1, random_state=0)
    fit = fit.fit(X, y, groups=groups)
    expected = fit.log_prob(X, y, groups=groups).sum() / 200
    assert_allclose(log_likelihood_scorer(fit, X, y, groups=groups), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="takes sample_weight or groups; leave one out"):
        log_likelihood_scorer(fit, X, y, sample_weight=np.ones(200), groups=groups)
    asks = log_likelihood_scorer.set_score_request(groups=True)
    with config_context(enable_metadata_routing=True):
        fit.set_fit_request(groups=True)
        scores = cross_val_score(
            fit, X, y, scoring=asks, cv=GroupKFold(2), params={"groups": groups}
        )
    assert scores.shape == (2,) and np.isfinite(scores).all()


def test_a_request_makes_another_scorer():
    asks = log_likelihood_scorer.set_score_request(sample_weight=True)
    assert repr(log_likelihood_scorer) == "log_likelihood_scorer"
    assert repr(asks) == "log_likelihood_scorer.set_score_request(sample_weight=True)"
    assert asks != log_likelihood_scorer
    for scorer in (log_likelihood_scorer, asks):
        for copied in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
            assert copied == scorer and hash(copied) == hash(scorer)
    with pytest.raises(ValueError, match="alias"):
        log_likelihood_scorer.set_score_request(sample_weight=3)


def test_a_transformed_target_is_refused_in_one_sentence(crossing):
    X, y = crossing
    wrapped = TransformedTargetRegressor(model(), transformer=StandardScaler())
    sentence = "TransformedTargetRegressor has none; score its regressor_ on the transformed y, or"
    pipeline = make_pipeline(StandardScaler(), wrapped)
    for estimator in (wrapped, pipeline):
        with pytest.raises(TypeError, match=sentence):
            log_likelihood_scorer(estimator.fit(X, y), X, y)
        with pytest.raises(TypeError, match=sentence):
            cross_val_score(
                estimator, X, y, scoring=log_likelihood_scorer, cv=2, error_score="raise"
            )
