"""y ~ 1: models without any x, by X of no column, by None, and by parts that see no column."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import (
    GammaExpert,
    LaplaceExpert,
    LinearExpert,
    MLPExpert,
    NoiseExpert,
    SoftmaxExpert,
    StudentTExpert,
)
from classic_moe.inspection import ExpertCurvesDisplay, GateRegionDisplay

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

R, C = MixtureOfExpertsRegressor, MixtureOfExpertsClassifier
BLIND = dict(expert="gaussian", gate="constant")
NO_COLUMN = dict(expert_features=[], gate_features=[])
QUICK = dict(n_init=2, max_iter=10, random_state=0)


@pytest.fixture(scope="module")
def y():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(5, 1, 100), rng.normal(10, 2, 100)])


def nothing(n):
    return np.empty((n, 0))


# -- no x at all -----------------------------------------------------------------------------------


def test_two_normals_are_told_apart_without_any_x(y):
    model = R(2, random_state=0, **BLIND).fit(None, y)
    low, high = sorted(model.experts_, key=lambda view: view.intercept_)
    # four standard errors of the means of about 100 rows
    assert low.intercept_ == pytest.approx(5, abs=0.4)
    assert high.intercept_ == pytest.approx(10, abs=1.2)
    assert model.n_features_in_ == 0
    assert model.n_parameters_ == 5
    mean = model.weights_ @ [view.intercept_ for view in model.experts_]
    assert_allclose(model.predict(nothing(3)), mean, rtol=1e-6)


def test_none_no_column_and_a_constant_column_are_one_model(y):
    model = R(2, random_state=0, **BLIND)
    fits = [clone(model).fit(X, y) for X in (None, nothing(200), np.ones((200, 1)))]
    first, second, third = (fit.log_likelihood_ for fit in fits)
    assert first == second
    assert third == pytest.approx(first, rel=1e-7)  # other starts, one optimum
    assert "intercept" in str(fits[0].summary(nothing(200), y))
    assert len(fits[0].equations().splitlines()) >= 2


def test_every_method_takes_rows_without_columns(y):
    model = R(2, random_state=0, **BLIND).fit(None, y)
    X = nothing(200)
    assert model.predict_experts(X).shape == model.gate_proba(X).shape == (200, 2)
    assert_allclose(model.responsibilities(X, y).sum(axis=1), 1)
    assert model.log_prob(X, y).sum() == pytest.approx(model.log_likelihood_)
    assert_allclose(model.predict_dist(X).mean(), model.predict(X))
    assert model.sample(X, random_state=0)[0].shape == (200,)
    assert model.assign(X, y).shape == (200,)
    assert np.isfinite([model.aic(X, y), model.bic(X, y), model.icl(X, y), model.score(X, y)]).all()


def test_one_expert_has_the_closed_form(y):
    weight = np.arange(200) % 3 * 1.0
    expert = LinearExpert(variance_prior=0)
    for options in (dict(expert_features=[], gate="constant", expert=expert),):
        model = R(1, **options).fit(nothing(200), y, sample_weight=weight)
        mean = np.average(y, weights=weight)
        sd = np.sqrt(np.average((y - mean) ** 2, weights=weight))
        assert model.experts_[0].intercept_ == pytest.approx(mean, rel=1e-12)
        assert model.experts_[0].scale_ == pytest.approx(sd, rel=1e-12)
        assert model.log_likelihood_ == pytest.approx(weight @ norm(mean, sd).logpdf(y), rel=1e-12)


@pytest.mark.parametrize("expert", ["poisson", "negative_binomial", "gamma", "binomial"])
def test_one_generalised_expert_has_the_mean_of_y(y, expert):
    counts = np.floor(y - y.min())
    given = (y > 7).astype(float) if expert == "binomial" else counts + (expert == "gamma")
    model = R(1, expert=expert, gate="constant", expert_features=[]).fit(nothing(200), given)
    # the maximum of these likelihoods is at the mean of y, whatever the dispersion
    assert_allclose(model.predict(nothing(2)), given.mean(), rtol=1e-6)


def test_one_softmax_expert_has_the_shares_of_the_classes(y):
    labels = np.digitize(y, [5, 9])
    model = C(1, expert=SoftmaxExpert(alpha=0), **NO_COLUMN).fit(nothing(200), labels)
    assert_allclose(model.predict_proba(nothing(1))[0], np.bincount(labels) / 200, rtol=1e-6)


@pytest.mark.parametrize("n", [200, 1200], ids=["numpy", "compiled"])
@pytest.mark.parametrize(
    "expert",
    [
        "linear",
        "gaussian",
        StudentTExpert(),
        LaplaceExpert(),
        "poisson",
        "negative_binomial",
        GammaExpert(),
        MLPExpert((2,), max_iter=5),
        Ridge(),
        ["linear", NoiseExpert("normal")],
    ],
    ids=str,
)
def test_every_family_fits_without_columns(y, expert, n):
    y = np.tile(np.floor(np.abs(y)) + 1, n // 200)
    model = R(2, expert=expert, **NO_COLUMN, **QUICK).fit(nothing(n), y)
    assert np.isfinite(model.log_likelihood_)
    assert_array_equal(model.predict(nothing(3)), np.repeat(model.predict(nothing(1)), 3))
    X = np.linspace(0, 1, n)[:, None]  # a column that no part sees
    again = R(2, expert=expert, **NO_COLUMN, **QUICK).fit(X, y)
    assert len(set(again.predict(X[:5]))) == 1
    assert np.isfinite(again.log_likelihood_)
    assert again.summary().tables


@pytest.mark.parametrize("gate", ["softmax", "constant", "tree", "least_squares"])
def test_every_gate_without_columns_is_constant(y, gate):
    model = R(4 if gate == "tree" else 2, gate=gate, **NO_COLUMN, **QUICK).fit(nothing(200), y)
    proba = model.gate_proba(nothing(3))
    assert_array_equal(proba, np.repeat(proba[:1], 3, axis=0))
    assert_allclose(proba.sum(axis=1), 1)


@pytest.mark.parametrize("gate", ["gaussian", "exponential_family"])
def test_a_gate_that_models_x_without_columns_is_constant_or_says_what_is_wrong(y, gate):
    try:
        model = R(2, gate=gate, **NO_COLUMN, **QUICK).fit(nothing(200), y)
    except ValueError as error:
        assert gate in str(error).lower() or "gate" in str(error)
    else:
        assert_allclose(model.gate_proba(nothing(2)), [model.weights_] * 2, atol=1e-3)


def test_trees_other_trainings_and_more_rows(y):
    X = nothing(200)
    tree = HierarchicalMixtureOfExpertsRegressor(2, 2, **NO_COLUMN, **QUICK).fit(X, y)
    assert "root" in tree.node_proba(X) and tree.export_text()
    for objective in ("likelihood", "blended_error"):
        model = AdaptiveLocalExpertsRegressor(2, objective=objective, **NO_COLUMN, **QUICK)
        assert model.fit(X, y).predict(X).shape == (200,)
    for solver in ("em", "lbfgs", "online", "sem"):
        assert np.isfinite(R(2, solver=solver, **BLIND, **QUICK).fit(X, y).log_likelihood_)
    model = MetaPiRegressor([Ridge(), Ridge()], **NO_COLUMN).fit(X, y)
    assert_allclose(model.predict(nothing(1)), y.mean())


def test_learning_row_by_row(y):
    order = np.random.default_rng(0).permutation(200)
    model = R(2, **BLIND, **QUICK).partial_fit(None, y[order[:100]])
    model.partial_fit(nothing(100), y[order[100:]])
    assert model.n_features_in_ == 0
    assert np.isfinite(model.predict(nothing(2))).all()
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(np.ones((5, 2)), y[:5])


def test_several_outputs_and_groups(y):
    Y = np.column_stack([y, -y])
    groups = np.repeat(np.arange(50), 4)
    model = R(2, **BLIND, **QUICK).fit(None, Y, groups=groups)
    assert model.predict(nothing(2)).shape == (2, 2)
    assert model.log_prob(nothing(200), Y, groups=groups).shape == (50,)


# -- x is there, and a part looks at none of it ----------------------------------------------------


def test_parts_of_no_column_are_the_constant_ones(y):
    X = np.linspace(-1, 1, 200)[:, None]
    linear = R(2, expert="linear", gate="softmax", random_state=0, **NO_COLUMN).fit(X, y)
    constant = R(2, random_state=0, **BLIND).fit(X, y)
    # one likelihood, but for the ridge that neither has slopes for, climbed on two ways
    assert linear.log_likelihood_ == pytest.approx(constant.log_likelihood_, rel=1e-6)
    assert linear.n_parameters_ == constant.n_parameters_ == 5
    assert linear.experts_[0].coef_.shape == (0,)
    assert linear.gate_.coef_.shape == (2, 0)


def test_pictures_of_a_model_without_x_say_that_there_is_none(y):
    model = R(2, **BLIND, **QUICK).fit(None, y)
    for display in (ExpertCurvesDisplay, GateRegionDisplay):
        with pytest.raises(ValueError) as caught:
            display.from_estimator(model, nothing(200), y)
        assert "column" in str(caught.value) and "\n" not in str(caught.value)


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [None, nothing(200)], ids=["None", "(n, 0)"])
@pytest.mark.parametrize(
    "model, advice",
    [
        (R(2), r'set expert="gaussian" and gate="constant" \(or, whatever it is, expert_fea'),
        (R(2, expert="poisson", gate="constant"), r'set expert="gaussian" \(or'),
        (
            R(2, expert="gaussian"),
            r'set gate="constant" \(or, whatever it is, gate_features=\[\]\)',
        ),
        (R(2, expert_features=[], gate=LogisticRegression()), 'set gate="constant"'),
        (HierarchicalMixtureOfExpertsRegressor(2, 2, expert="gaussian"), 'set gate="constant"'),
        (MetaPiRegressor([Ridge()]), r"set expert=\"gaussian\" and gate=\"constant\" \(or"),
    ],
    ids=str,
)
def test_parts_that_look_at_x_say_what_to_pass(X, model, advice, y):
    with pytest.raises(ValueError, match=advice) as caught:
        model.fit(X, y)
    told = str(caught.value)
    assert told.startswith(
        "Found array with 0 feature(s) (shape=(200, 0)) while a minimum of 1 is required"
    )
    assert told.endswith("or give X a constant column.")


def test_what_it_advises_for_classes_works(y):
    with pytest.raises(ValueError, match=r"set expert_features=\[\] and gate=.constant"):
        C(2).fit(None, y > 7)
    model = C(2, expert_features=[], gate="constant", **QUICK).fit(None, y > 7)
    assert model.predict_proba(nothing(1)).shape == (1, 2)


def test_predictions_need_to_know_how_many(y):
    model = R(2, **BLIND, **QUICK).fit(None, y)
    with pytest.raises(ValueError, match=r"got None; the fit had 0 columns.*shape \(n, 0\)"):
        model.predict(None)
    with pytest.raises(ValueError, match="X has 2 features, but"):
        model.predict(np.ones((3, 2)))
    other = R(2, **QUICK).fit(y[:, None], y)
    with pytest.raises(ValueError, match=r"got None; the fit had 1 columns.*shape \(n, 1\)"):
        other.predict(None)


def test_no_y_is_still_scikit_learns_to_say():
    with pytest.raises(ValueError, match="requires y to be passed"):
        R(2, **BLIND).fit(None, None)


def test_y_says_how_many_rows_there_are_where_there_is_no_x():
    y = np.r_[np.random.default_rng(0).normal(5, 1, 60), np.random.default_rng(1).normal(10, 2, 60)]
    model = R(2, expert="gaussian", gate="constant", random_state=0).fit(None, y)
    empty = np.empty((120, 0))
    for method in ("log_prob", "responsibilities", "assign", "bic"):
        found = getattr(model, method)
        np.testing.assert_array_equal(found(None, y), found(empty, y))
    stream = R(2, expert="gaussian", gate="constant", random_state=0)
    for _ in range(2):
        stream.partial_fit(None, y)
    assert np.isfinite(stream.log_prob(None, y)).all()
    table = pd.DataFrame(index=range(120))
    np.testing.assert_array_equal(clone(model).fit(table, y).predict(table), model.predict(empty))
