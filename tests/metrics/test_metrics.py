"""Scores of predictive distributions, as functions and as scorers."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import classic_moe
from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    log_likelihood_scorer,
)
from classic_moe.distribution import MixtureDistribution, MultivariateNormalComponents
from classic_moe.metrics import (
    DistributionScorer,
    calibration_error,
    coverage_scorer,
    crps_score,
    crps_scorer,
    interval_coverage,
    pinball_score,
    pit_values,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
METRICS = [crps_score, pinball_score, interval_coverage, calibration_error]
N = 400


@pytest.fixture(scope="module")
def mixture():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([1.0, 1.0], N)
    dist = MixtureDistribution(weights, stats.norm(rng.normal(size=(N, 2)) * 3, [0.5, 1.0]))
    return dist, dist.rvs(random_state=1)


@pytest.fixture(scope="module")
def outputs(mixture):
    dist, y = mixture
    mean = np.stack([dist.components.kwds.get("loc", dist.components.args[0])] * 2, axis=-1)
    covariance = np.array([np.diag([0.25, 4.0]), np.diag([1.0, 9.0])])
    both = MixtureDistribution(dist.weights, MultivariateNormalComponents(mean, covariance))
    return both, np.column_stack([y, y + 1])


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    X = rng.uniform(-1, 1, (150, 1))
    return X, np.abs(X[:, 0]) + 0.1 * (1 + (X[:, 0] > 0)) * rng.normal(size=150)


def model(n_experts=1, **options):
    return MixtureOfExpertsRegressor(n_experts, n_init=1, max_iter=5, random_state=0, **options)


# -- functions -----------------------------------------------------------------------------------


def test_the_score_is_the_mean_of_those_of_the_rows(mixture):
    dist, y = mixture
    assert_allclose(crps_score(y, dist), dist.crps(y).mean(), rtol=1e-12)
    assert isinstance(crps_score(list(y), dist), float)


def test_the_pinball_loss_is_scikit_learns_and_its_integral_the_score(mixture):
    dist, y = mixture
    for level in (0.1, 0.5, 0.95):
        expected = mean_pinball_loss(y, dist.ppf(level), alpha=level)
        assert_allclose(pinball_score(y, dist, level), expected, rtol=1e-12)
    levels = (np.arange(200) + 0.5) / 200
    # the midpoint rule of 200 levels
    assert_allclose(2 * pinball_score(y, dist, levels), crps_score(y, dist), rtol=3e-3)


def test_coverage_counts_the_rows_inside(mixture):
    dist, y = mixture
    low, high = dist.interval(0.8)
    expected = np.mean((low <= y) & (y <= high))
    assert interval_coverage(y, dist, 0.8) == expected
    assert abs(expected - 0.8) < 4 * np.sqrt(0.16 / N)
    counts = MixtureDistribution(np.ones((2, 1)), stats.poisson([[3.0], [4.0]]))
    assert interval_coverage(counts.interval(0.5)[0], counts, 0.5) == 1.0  # ends are inside


def test_pit_values_are_f_and_need_a_draw_for_counts_alone(mixture):
    dist, y = mixture
    assert_array_equal(pit_values(y, dist), dist.cdf(y))
    counts = MixtureDistribution(np.ones((2, 1)), stats.poisson([[3.0], [4.0]]))
    drawn = pit_values([2, 3], counts, random_state=0)
    assert_array_equal(drawn, counts.pit([2, 3], random_state=0))


def test_calibration_is_the_distance_of_shares_and_levels(mixture):
    dist, y = mixture
    levels = np.linspace(0.01, 0.99, 99)
    share = np.mean(dist.cdf(y)[:, None] <= levels, axis=0)
    assert_allclose(calibration_error(y, dist), np.abs(share - levels).mean(), atol=1e-12)
    wrong = MixtureDistribution(np.ones((N, 1)), stats.norm(dist.mean()[:, None], 0.01))
    # all F(y) at 0 or 1: half of the rows below each level, a mean distance of a quarter
    assert abs(calibration_error(y, wrong) - 0.25) < 0.03
    one = MixtureDistribution(np.ones((N, 1)), stats.norm([[0.0]]))
    # all at one half: p below it, 1 - p above
    assert_allclose(calibration_error(np.zeros(N), one), 0.25, atol=0.003)


def test_calibration_by_chance_is_what_the_docstring_says():
    n, found = 500, []
    for seed in range(40):
        y = np.random.default_rng(seed).normal(size=n)
        found.append(calibration_error(y, MixtureDistribution(np.ones((n, 1)), stats.norm())))
    assert_allclose(np.mean(found) * np.sqrt(n), 0.31, atol=0.06)  # four standard errors


def test_counts_are_calibrated_without_a_draw():
    rate = np.random.default_rng(0).uniform(0.1, 3, (20_000, 1))
    dist = MixtureDistribution(np.ones_like(rate), stats.poisson(rate))
    y = dist.rvs(random_state=1)
    assert calibration_error(y, dist) < 4 * 0.31 / np.sqrt(len(y))
    assert calibration_error(y, dist) == calibration_error(y, dist)
    assert calibration_error(y + 1, dist) > 0.1


@pytest.mark.parametrize("metric", METRICS)
def test_weights_are_frequencies_and_zero_leaves_a_row_out(mixture, metric):
    dist, y = mixture
    weight = np.arange(N) % 3
    rows = np.repeat(np.arange(N), weight)
    locs = dist.components.args[0]
    repeated = MixtureDistribution(dist.weights[rows], stats.norm(locs[rows], [0.5, 1.0]))
    found = metric(y, dist, sample_weight=weight)
    assert_allclose(found, metric(y[rows], repeated), rtol=1e-9)
    wild = np.where(weight > 0, y, 1e300)
    assert metric(wild, dist, sample_weight=weight) == found
    for wrong, match in ((-np.ones(N), "negative|Negative"), (np.ones(3), "sample_weight")):
        with pytest.raises(ValueError, match=match):
            metric(y, dist, sample_weight=wrong)


@pytest.mark.parametrize("metric", METRICS)
def test_outputs_are_averaged_as_in_scikit_learn(outputs, metric):
    dist, y = outputs
    each = metric(y, dist, multioutput="raw_values")
    assert each.shape == (2,)
    assert_allclose(metric(y, dist), each.mean(), rtol=1e-12)
    assert_allclose(metric(y, dist, multioutput=[1, 3]), each @ [0.25, 0.75], rtol=1e-12)
    with pytest.raises(ValueError, match="multioutput='mean': use 'uniform_average'"):
        metric(y, dist, multioutput="mean")
    with pytest.raises(ValueError, match="there are 2 outputs; give each a weight"):
        metric(y, dist, multioutput=[1.0])


@pytest.mark.parametrize("metric", [*METRICS, pit_values])
def test_what_does_not_fit_is_refused_in_a_sentence(mixture, metric):
    dist, y = mixture
    for wrong in (y[:-1], np.column_stack([y, y])):
        with pytest.raises(ValueError, match=f"{metric.__name__}: y_true has shape"):
            metric(wrong, dist)
    with pytest.raises(ValueError, match="y_true contains NaN"):
        metric(np.full(N, np.nan), dist)
    with pytest.raises(TypeError, match="distribution is of type ndarray and has no"):
        metric(y, y)
    assert_allclose(metric(y[:, None], dist), metric(y, dist))


def test_levels_and_confidences_lie_within_0_and_1(mixture):
    dist, y = mixture
    for wrong in (0.0, 1.5, []):
        with pytest.raises(ValueError, match="quantiles="):
            pinball_score(y, dist, wrong)
    with pytest.raises(ValueError, match="confidence must lie within"):
        interval_coverage(y, dist, 95)


# -- scorers -------------------------------------------------------------------------------------


def test_scorers_score_what_the_estimator_predicts(rows):
    X, y = rows
    fit, weight = model(2).fit(X, y), np.arange(150.0)
    dist = fit.predict_dist(X)
    assert crps_scorer(fit, X, y) == -crps_score(y, dist)
    assert coverage_scorer(fit, X, y) == interval_coverage(y, dist, 0.9)
    expected = -crps_score(y, dist, sample_weight=weight)
    assert crps_scorer(fit, X, y, sample_weight=weight) == expected
    half = DistributionScorer(interval_coverage, confidence=0.5)
    assert half(fit, X, y) == interval_coverage(y, dist, 0.5)
    own = DistributionScorer(lambda y, dist: np.mean(y - dist.mean()))
    assert_allclose(own(fit, X, y), np.mean(y - fit.predict(X)), rtol=1e-9, atol=1e-12)


def test_scorers_see_through_pipelines_and_searches(rows):
    X, y = rows
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model()),
        {"mixtureofexpertsregressor__n_experts": [1, 2]},
        scoring={"crps": crps_scorer, "coverage": coverage_scorer, "l": log_likelihood_scorer},
        refit="crps",
        cv=3,
    ).fit(X, y)
    assert search.best_params_ == {"mixtureofexpertsregressor__n_experts": 2}
    assert search.best_score_ == search.cv_results_["mean_test_crps"].max() < 0
    assert 0.6 < search.cv_results_["mean_test_coverage"][1] <= 1
    assert_allclose(search.score(X, y), crps_scorer(search, X, y), rtol=1e-12)
    assert clone(search).scoring["coverage"] == coverage_scorer


def test_coverage_in_cross_validation(rows):
    X, y = rows
    scores = cross_val_score(model(2), X, y, scoring=coverage_scorer, cv=5)
    assert scores.shape == (5,) and np.all((scores >= 0.5) & (scores <= 1))


def test_metadata_reach_the_scorer_where_it_asks_for_them(rows):
    X, y = rows
    weight, folds = np.arange(1.0, 151.0), KFold(2)
    asks = crps_scorer.set_score_request(sample_weight=True)
    with config_context(enable_metadata_routing=True):
        estimator = model().set_fit_request(sample_weight=False)
        found = cross_validate(
            estimator, X, y, scoring={"a": asks}, cv=folds, params={"sample_weight": weight}
        )
    expected = []
    for train, test in folds.split(X):
        fit = model().fit(X[train], y[train])
        expected.append(crps_scorer(fit, X[test], y[test], sample_weight=weight[test]))
    assert_allclose(found["test_a"], expected, rtol=1e-10)


def test_scorers_are_equal_to_their_copies():
    asks = crps_scorer.set_score_request(sample_weight=True)
    upper = DistributionScorer(pinball_score, sign=-1, quantiles=0.95)
    assert repr(crps_scorer) == crps_scorer.__name__ == "crps_scorer"
    assert repr(asks) == "crps_scorer.set_score_request(sample_weight=True)"
    assert repr(upper) == "DistributionScorer(pinball_score, sign=-1, quantiles=0.95)"
    scorers = [crps_scorer, coverage_scorer, asks, upper, log_likelihood_scorer]
    for i, scorer in enumerate(scorers):
        for copied in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
            assert copied == scorer and hash(copied) == hash(scorer)
        assert [scorer == other for other in scorers].count(True) == 1, i
    with pytest.raises(ValueError, match="alias"):
        crps_scorer.set_score_request(sample_weight=3)
    with pytest.raises(ValueError, match="sign=0: use 1 or -1"):
        DistributionScorer(crps_score, sign=0)


def test_estimators_without_distributions_are_refused_in_a_sentence(rows):
    X, y = rows
    blended = AdaptiveLocalExpertsRegressor(
        2, objective="blended_error", solver="lbfgs", n_init=1, max_iter=2
    )
    classifier = MixtureOfExpertsClassifier(1).fit(X, y > 0.5)
    wrapped = TransformedTargetRegressor(model(), transformer=StandardScaler())
    for estimator in (LinearRegression(), wrapped):
        with pytest.raises(TypeError, match="crps_scorer needs an estimator with predict_dist"):
            crps_scorer(estimator.fit(X, y), X, y)
    with pytest.raises(TypeError, match="MixtureOfExpertsClassifier has none; use it with"):
        coverage_scorer(classifier, X, y > 0.5)
    blended.fit(X, y)
    with pytest.raises(TypeError, match="whose objective is a likelihood"):
        crps_scorer(blended, X, y)
    with pytest.raises(TypeError, match="score its regressor_ on the transformed y"):
        crps_scorer(wrapped, X, y)


def test_shares_of_trials_are_scored_a_trial_a_row(rows):
    X, _ = rows
    successes = np.random.default_rng(0).integers(0, 4, 150)
    y = np.column_stack([successes, 3 - successes])
    fit = model(expert="binomial").fit(X, y)
    with pytest.raises(ValueError, match="one trial a row"):
        crps_scorer(fit, X, y)
    assert np.isfinite(crps_score((successes > 1).astype(float), fit.predict_dist(X)))


def test_the_module_is_found_when_asked_for():
    assert classic_moe.metrics.crps_scorer is crps_scorer
    assert "metrics" in dir(classic_moe)


# -- split-conformal intervals -------------------------------------------------------------------


def conformal_level(dist, y, confidence):
    """The confidence of central intervals that would have covered so many of the rows of y."""
    score = np.sort(np.abs(2 * dist.pit(y, random_state=0) - 1))
    rank = int(np.ceil((len(y) + 1) * confidence))
    return score[rank - 1] if rank <= len(y) else 1.0


@pytest.mark.parametrize("sd", [0.5, 3.0])
def test_conformal_intervals_cover_what_they_say_however_wrong_the_spread(sd):
    """The mean coverage is k/(m + 1) exactly, k the rank, for exchangeable rows."""
    rng, m, inside = np.random.default_rng(0), 99, []
    for _ in range(100):
        y = rng.standard_t(3, size=2 * m)
        dist = MixtureDistribution(np.ones((m, 1)), stats.norm(0.0, sd))
        level = conformal_level(dist, y[:m], 0.9)
        low, high = dist.ppf((1 - level) / 2), dist.ppf((1 + level) / 2)
        inside.append(np.mean((low <= y[m:]) & (y[m:] <= high)))
    error = np.std(inside) / np.sqrt(len(inside))
    assert abs(np.mean(inside) - 0.9) < 4 * error < 0.03
    few = conformal_level(MixtureDistribution([[1.0]], stats.norm(0.0, [[1.0]])), [0.3], 0.9)
    assert few == 1.0  # the whole line


def test_mapie_takes_the_quantiles_of_a_fit(rows):
    mapie = pytest.importorskip("mapie.regression", reason="MAPIE is no dependency")
    if not hasattr(mapie, "SplitConformalRegressor"):
        pytest.skip("MAPIE before 1.0 has another interface")
    X, y = rows
    fit = model(2).fit(X[:75], y[:75])
    conformal = mapie.SplitConformalRegressor(fit, confidence_level=0.8, prefit=True)
    _, ends = conformal.conformalize(X[75:], y[75:]).predict_interval(X)
    assert ends.shape[:2] == (150, 2) and np.all(ends[:, 0] < ends[:, 1])
