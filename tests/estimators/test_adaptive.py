"""Adaptive local experts: the presets, fixed variances, and experts for numbers in classifiers."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from scipy.stats import multivariate_normal, norm
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import LinearRegression, Ridge
from weak import WEAK

from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    AdaptiveLocalExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_crossing_lines, make_piecewise_regression
from classic_moe.experts import (
    GaussianExpert,
    LinearExpert,
    MLPExpert,
    PoissonExpert,
    StudentTExpert,
)
from classic_moe.gates import SoftmaxGate
from classic_moe.parts.params import leaves
from classic_moe.solvers import LBFGS, GradientAscent

OBJECTIVES = ["likelihood", "expected_error", "blended_error"]
QUICK = dict(solver="lbfgs", n_init=1, random_state=0)
ROUNDING = 1e-9
"""Two ways to compute the same number."""


def two_branches(n=300, seed=1):
    """Two parallel lines; the farther to the right, the more rows lie on the lower one."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n)
    upper = rng.random(n) < np.clip(0.5 - x / 1.2, 0, 1)
    return x[:, None], np.where(upper, 0.9, -0.9) + 0.3 * x + 0.1 * rng.standard_normal(n)


@pytest.fixture(scope="module")
def blobs():
    """Three classes, four clouds: no three lines part the first class from the others."""
    rng = np.random.default_rng(0)
    centres = np.array([[-2.0, 0], [2, 0], [0, 2], [0, -2]])
    cloud = rng.integers(4, size=240)
    labels = np.array(["left and right", "left and right", "top", "bottom"])
    return centres[cloud] + 0.5 * rng.standard_normal((240, 2)), labels[cloud]


# -- a preset --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "adaptive, plain, data",
    [
        (AdaptiveLocalExpertsRegressor, MixtureOfExpertsRegressor, two_branches()),
        (
            AdaptiveLocalExpertsClassifier,
            MixtureOfExpertsClassifier,
            (two_branches()[0], two_branches()[1] > 0),
        ),
    ],
)
@pytest.mark.parametrize("solver", ["em", LBFGS()])
def test_it_is_the_mixture_of_experts_with_other_defaults(adaptive, plain, data, solver):
    options = dict(solver=solver, n_init=2, max_iter=5000, random_state=0)
    fits = [kind(2, **options).set_params(**WEAK).fit(*data).params_ for kind in (adaptive, plain)]
    for one, other in zip(*map(leaves, fits), strict=True):
        assert_array_equal(one, other)


def test_the_defaults_are_the_papers_gradient_and_its_last_error():
    for kind, expert in (
        (AdaptiveLocalExpertsRegressor, "linear"),
        (AdaptiveLocalExpertsClassifier, "softmax"),
    ):
        model = kind()
        assert (model.solver, model.objective, model.expert) == ("gradient", "likelihood", expert)


def test_competition_finds_the_branches_and_cooperation_does_not():
    """The point of the paper: under (1.3) each expert is right somewhere by itself."""
    X, y = two_branches()
    expert = LinearExpert(variance=0.05)
    alone, gates = {}, {}
    for objective in OBJECTIVES:
        model = AdaptiveLocalExpertsRegressor(
            2, expert=expert, objective=objective, max_iter=2000, **QUICK
        ).fit(X, y)
        gaps = (y[:, None] - model.predict_experts(X)) ** 2
        alone[objective] = np.sqrt(gaps.min(axis=1).mean())  # the better expert of each row
        gates[objective] = model.gate_proba(X).max(axis=1)
    assert alone["likelihood"] < 0.12  # the noise has sd 0.1
    assert min(alone["expected_error"], alone["blended_error"]) > 0.3
    assert np.median(gates["expected_error"]) > 0.999  # one expert takes all of a place
    assert np.median(gates["blended_error"]) < 0.95


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_several_outputs_names_float32_and_pickles(objective):
    pandas = pytest.importorskip("pandas")
    X, y = two_branches(100)
    table = pandas.DataFrame(X, columns=["x"]).astype(np.float32)
    model = AdaptiveLocalExpertsRegressor(2, objective=objective, **QUICK)
    model.fit(table, np.column_stack([y, np.cos(3 * X[:, 0]) + 0.1 * y**2]))
    assert model.feature_names_in_.tolist() == ["x"]
    assert model.predict(table).shape == (100, 2)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(table), model.predict(table))
    assert clone(model).get_params()["objective"] == objective


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_offset_is_added_to_the_linear_predictor(objective):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), rng.uniform(-1, 1, 200)])
    y = rng.poisson(np.exp(0.5 * X[:, 0] + X[:, 1] + 1))
    model = AdaptiveLocalExpertsRegressor(
        1, expert=PoissonExpert(), objective=objective, offset_feature=1, **QUICK
    ).fit(X, y)
    assert_allclose(model.experts_[0].coef_, 0.5, atol=0.1)  # three standard errors


# -- fixed variances -----------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["em", "lbfgs"])
@pytest.mark.parametrize(
    "expert", [LinearExpert(variance=4.0), GaussianExpert(variance=4.0), MLPExpert(2, variance=4.0)]
)
def test_a_given_variance_stays_in_the_callers_units(expert, solver):
    X, y = two_branches(100)
    y = 30 + 10 * y
    model = AdaptiveLocalExpertsRegressor(
        2, expert=expert, solver=solver, n_init=1, tol=1e-3, random_state=0
    ).fit(X, y)
    assert [view.scale_ for view in model.experts_] == [2.0, 2.0]
    p = X.shape[1]
    own = {"LinearExpert": 2 * (p + 1), "GaussianExpert": 2, "MLPExpert": 2 * (2 * (p + 1) + 3)}
    assert model.n_parameters_ == own[type(expert).__name__] + p + 1
    expected = norm.logpdf(y[:, None], model.predict_experts(X), 2.0)
    log_prob = np.log(np.sum(model.gate_proba(X) * np.exp(expected), axis=1))
    assert_allclose(model.log_prob(X, y), log_prob, rtol=ROUNDING)


def test_one_expert_of_any_given_variance_is_least_squares():
    X, y = two_branches(100)
    ols = LinearRegression().fit(X, y)
    for variance in (0.01, 1.0, 100.0):
        expert = LinearExpert(alpha=0, variance=variance)
        view = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y).experts_[0]
        assert_allclose([*view.coef_, view.intercept_], [*ols.coef_, ols.intercept_])
        assert_allclose(view.covariance_, [[variance]])


def test_alpha_is_a_ridge_of_alpha_times_the_given_variance():
    X, y = two_branches(100)
    view = (
        MixtureOfExpertsRegressor(1, expert=LinearExpert(alpha=3.0, variance=2.0))
        .fit(X, y)
        .experts_[0]
    )
    ridge = Ridge(alpha=6.0).fit((X - X.mean()) / X.std(), y)
    assert_allclose(view.coef_, ridge.coef_ / X.std(), rtol=1e-6)  # of the EM steps


def test_a_given_variance_survives_a_start_and_a_warm_start():
    X, y = two_branches(100)
    model = MixtureOfExpertsRegressor(2, expert=LinearExpert(variance=0.04), random_state=0)
    model.fit(X, y)
    again = clone(model).set_params(init_params=model).fit(X, y)
    assert_allclose(again.log_likelihood_, model.log_likelihood_, rtol=1e-6)  # of the tolerance
    assert [view.scale_ for view in again.experts_] == [0.2, 0.2]


@pytest.mark.parametrize("variance", [0, -1.0, np.inf, True, "unit", None])
@pytest.mark.parametrize("kind", [LinearExpert, GaussianExpert, MLPExpert])
def test_a_variance_that_is_none_is_refused(kind, variance):
    with pytest.raises(ValueError, match=f"variance=.* of {kind.__name__}"):
        MixtureOfExpertsRegressor(2, expert=kind(variance=variance)).fit(*two_branches(20))


# -- experts for numbers in classifiers ----------------------------------------------------------


@pytest.mark.weak_penalties
@pytest.mark.parametrize("objective", ["likelihood", "expected_error"])
@pytest.mark.parametrize(
    "expert",
    ["linear", LinearExpert(covariance_type="diag"), StudentTExpert(covariance_type="diag")],
)
@pytest.mark.filterwarnings("ignore::classic_moe.ExpertCollapseWarning")
def test_class_probabilities_are_the_mixture_density_at_the_codes(blobs, expert, objective):
    X, y = blobs
    model = AdaptiveLocalExpertsClassifier(
        2, expert=expert, objective=objective, max_iter=3, **QUICK
    )
    with pytest.warns(Warning, match="did not converge"):
        model.fit(X, y)
    means, gate = model.predict_experts(X), model.gate_proba(X)
    views = model.experts_
    density = np.empty((len(X), 2, 3))
    for k, view in enumerate(views):
        for c, code in enumerate(np.eye(3)):
            if hasattr(view, "df_"):
                from scipy.stats import multivariate_t

                values = multivariate_t.pdf(
                    code - means[:, k], shape=view.scale_matrix_, df=view.df_
                )
            else:
                values = multivariate_normal.pdf(code - means[:, k], cov=view.covariance_)
            density[:, k, c] = values
    joint = np.einsum("nk,nkc->nc", gate, density)
    expected = joint / joint.sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(X), expected, rtol=1e-8)
    assert_array_equal(model.predict(X), model.classes_[expected.argmax(axis=1)])


@pytest.fixture(scope="module")
def linear(blobs):
    return MixtureOfExpertsClassifier(3, expert="linear", random_state=0).fit(*blobs)


def test_the_log_likelihood_is_that_of_the_classes(blobs, linear):
    X, y = blobs
    codes = np.searchsorted(linear.classes_, y)
    expected = linear.predict_log_proba(X)[np.arange(len(y)), codes]
    assert_allclose(linear.log_prob(X, y), expected, rtol=ROUNDING)
    assert_allclose(linear.log_likelihood_, expected.sum(), rtol=ROUNDING)
    assert_allclose(linear.bic(X, y) - linear.aic(X, y), linear.n_parameters_ * (np.log(240) - 2))


def test_the_lower_bounds_are_of_the_density_of_the_codes(blobs, linear):
    X, y = blobs
    codes = np.eye(3)[np.searchsorted(linear.classes_, y)]
    gaps = codes[:, None] - linear.predict_experts(X)
    density = np.exp(-0.5 * (gaps**2).sum(axis=2)) / (2 * np.pi) ** 1.5  # of unit variance
    value = np.log(np.sum(linear.gate_proba(X) * density, axis=1)).sum()
    prior = linear._fitted.model.log_prior(linear.params_)
    assert_allclose(linear.lower_bounds_[-1], value + prior, rtol=ROUNDING)
    assert (np.diff(linear.lower_bounds_) >= 0).all()


def test_the_alias_is_the_papers_unit_variance(blobs, linear):
    assert [view.scale_.tolist() for view in linear.experts_] == [[1.0, 1.0, 1.0]] * 3
    searched = MixtureOfExpertsClassifier(2, expert="linear").set_params(expert__alpha=0.5)
    assert searched.expert.variance == 1.0
    assert MixtureOfExpertsRegressor().set_params(expert__alpha=0.5).expert.variance == "estimate"


def test_views_and_summaries_show_one_output_a_class(blobs, linear):
    assert linear.experts_[0].coef_.shape == (3, 2)
    assert_allclose(linear.experts_[1].predict(blobs[0]), linear.predict_experts(blobs[0])[:, 1])
    assert "1[y = 'top'] = " in linear.equations()
    assert linear.score(*blobs) > 0.9


def test_responsibilities_belong_to_the_densities_at_the_code(blobs, linear):
    X, y = blobs
    resp = linear.responsibilities(X, y)
    assert_allclose(resp.sum(axis=1), 1)
    codes = np.eye(3)[np.searchsorted(linear.classes_, y)]
    gaps = codes[:, None] - linear.predict_experts(X)
    expected = linear.gate_proba(X) * np.exp(-0.5 * (gaps**2).sum(axis=2))
    assert_allclose(resp, expected / expected.sum(axis=1, keepdims=True), rtol=1e-8)


def test_samples_follow_the_class_probabilities(blobs, linear):
    X = np.repeat(blobs[0][:1], 20_000, axis=0)
    y, expert = linear.sample(X, random_state=0)
    shares = (y[:, None] == linear.classes_).mean(axis=0)
    assert_allclose(shares, linear.predict_proba(X[:1])[0], atol=0.015)  # four standard errors
    joint = [
        linear.predict_proba(X[:1])[0, c] * linear.responsibilities(X[:1], [label])[0]
        for c, label in enumerate(linear.classes_)
    ]
    assert_allclose(np.bincount(expert, minlength=3) / len(X), np.sum(joint, axis=0), atol=0.015)


def test_a_group_of_one_row_is_a_row(blobs, linear):
    X, y = blobs
    alone = linear.log_prob(X, y, groups=np.arange(len(y)))
    assert_allclose(alone, linear.log_prob(X, y), rtol=ROUNDING)


def test_a_group_is_normalised_over_the_classes_of_all_its_rows(blobs, linear):
    """The probabilities of all ways to label three rows of one expert sum to one."""
    X = np.repeat(blobs[0][:1], 3, axis=0)
    labels = np.array(np.meshgrid(*[linear.classes_] * 3)).reshape(3, -1).T
    total = [np.exp(linear.log_prob(X, each, groups=[0, 0, 0])) for each in labels]
    assert_allclose(np.sum(total), 1)


def test_blended_linear_experts_give_the_softmax_of_the_blend(blobs):
    X, y = blobs
    model = AdaptiveLocalExpertsClassifier(
        3, expert="linear", objective="blended_error", **QUICK
    ).fit(X, y)
    blend = np.einsum("nk,nkc->nc", model.gate_proba(X), model.predict_experts(X))
    assert_allclose(model.predict_proba(X), softmax(blend, axis=1), rtol=ROUNDING)
    assert_array_equal(model.predict(X), model.classes_[blend.argmax(axis=1)])
    assert model.score(X, y) > 0.9


def test_blended_softmax_experts_give_the_blended_probabilities(blobs):
    X, y = blobs
    model = AdaptiveLocalExpertsClassifier(2, objective="blended_error", **QUICK).fit(X, y)
    blend = np.einsum("nk,nkc->nc", model.gate_proba(X), model.predict_experts(X))
    assert_allclose(model.predict_proba(X), blend, rtol=1e-8)


def test_hard_assignment_takes_the_best_expert_of_the_gate(blobs, linear):
    X, y = blobs
    hard = clone(linear).set_params(assignment="hard").fit(X, y)
    best = hard.predict_experts(X)[np.arange(len(X)), hard.assign(X)]
    square = ((np.eye(3)[None] - best[:, None]) ** 2).sum(axis=2)
    assert_allclose(hard.predict_proba(X), softmax(-0.5 * square, axis=1), rtol=1e-8)


@pytest.mark.parametrize("expert", ["poisson", "laplace", "gamma"])
def test_families_of_one_output_are_refused_for_classes(blobs, expert):
    with pytest.raises(ValueError, match="expert for regression with one output"):
        MixtureOfExpertsClassifier(2, expert=expert).fit(*blobs)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_covariances_that_one_hot_codes_make_singular_are_refused(blobs, covariance_type):
    expert = LinearExpert(covariance_type=covariance_type)
    with pytest.raises(ValueError, match="no density for classes, whose one-hot codes sum to 1"):
        MixtureOfExpertsClassifier(2, expert=expert).fit(*blobs)


def test_a_regressor_of_scikit_learn_serves_classes_by_their_codes(blobs):
    X, y = blobs
    model = MixtureOfExpertsClassifier(1, expert=Ridge(), random_state=0).fit(X, y)
    codes = np.eye(3)[np.searchsorted(model.classes_, y)]
    assert_allclose(model.predict_experts(X)[:, 0], Ridge().fit(X, codes).predict(X))
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, data",
    [
        (AdaptiveLocalExpertsRegressor, make_piecewise_regression(random_state=0)),
        (AdaptiveLocalExpertsRegressor, make_crossing_lines(random_state=0)),
        (AdaptiveLocalExpertsClassifier, load_wine(return_X_y=True)),
    ],
    ids=["pieces", "crossing lines", "wine"],
)
@pytest.mark.filterwarnings("ignore::classic_moe.SeparationWarning")  # the truth about wine
def test_a_first_fit_converges_to_the_optimum_of_em(kind, data):
    model = kind(random_state=0).fit(*data)
    assert model.converged_
    em = kind(solver="auto", random_state=0).fit(*data)
    # a gain of the tolerance, 1e-7, is promised to first order; 2e-5 seen in 42 fits
    assert model.lower_bounds_[-1] > em.lower_bounds_[-1] - 1e-4 * len(data[1])


def test_pieces_are_found_by_the_papers_fixed_step():
    X, y = make_piecewise_regression(200, n_pieces=2, random_state=0)
    model = AdaptiveLocalExpertsRegressor(
        2, solver=GradientAscent(0.1), n_init=2, max_iter=300, random_state=0
    )
    with pytest.warns(Warning, match="did not converge"):
        model.fit(X, y)
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) + 0.05


def test_a_fixed_variance_of_several_outputs_starts_from_a_fit_in_the_callers_units():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (120, 1))
    y = np.column_stack([np.abs(X[:, 0]), 3 * X[:, 0]]) + 0.1 * rng.standard_normal((120, 2))
    gate, expert = SoftmaxGate("weak"), LinearExpert("weak", variance=0.01)
    options = dict(gate=gate, expert=expert, solver="em", random_state=0)
    first = AdaptiveLocalExpertsRegressor(2, **options).fit(X, y)
    again = AdaptiveLocalExpertsRegressor(2, init_params=first, **options).fit(X, y)
    assert again.lower_bounds_[0] == pytest.approx(first.lower_bounds_[-1], rel=1e-9)
