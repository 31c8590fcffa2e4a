"""Where a fit starts: another fit, through clones, with its numbers of experts; known experts."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.gates import ExponentialFamilyGate, GaussianGate
from classic_moe.parts.params import leaves

pytestmark = pytest.mark.weak_penalties

CONSTANT = dict(gate="constant", random_state=0)


@pytest.fixture(scope="module")
def lines():
    """Two crossing lines with half of the rows each: nothing but the start numbers them."""
    rng = np.random.default_rng(10)
    X = rng.uniform(-2, 2, (400, 1))
    side = np.arange(400) % 2
    y = np.where(side, 1 + 2 * X[:, 0], -1 - X[:, 0]) + rng.normal(0, 0.5, 400)
    return X, y


@pytest.fixture(scope="module")
def reference(lines):
    return MixtureOfExpertsRegressor(2, **CONSTANT).fit(*lines)


def same_params(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


# -- clone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda fit: fit, FrozenEstimator])
def test_a_clone_starts_from_the_same_fit(lines, reference, wrap):
    X, y = lines
    model = MixtureOfExpertsRegressor(2, gate="constant", init_params=wrap(reference))
    direct = model.fit(X, y)
    for again in (clone(model), clone(clone(model)), copy.deepcopy(model)):
        assert_array_equal(again.fit(X, y).lower_bounds_, direct.lower_bounds_)
    again = pickle.loads(pickle.dumps(clone(model)))
    assert_array_equal(again.fit(X, y).lower_bounds_, direct.lower_bounds_)


KINDS = [
    (MixtureOfExpertsRegressor, {}),
    (MixtureOfExpertsClassifier, {}),
    (HierarchicalMixtureOfExpertsRegressor, dict(depth=1)),
    (HierarchicalMixtureOfExpertsClassifier, dict(depth=1)),
    (AdaptiveLocalExpertsRegressor, dict(solver="lbfgs")),
    (AdaptiveLocalExpertsClassifier, dict(solver="lbfgs")),
]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_fit_inside_every_estimator_survives_clone(lines, kind, options):
    X, y = lines
    y = y > 0 if "Classifier" in kind.__name__ else y
    fit = kind(**options, n_init=1, random_state=0).fit(X, y)
    model = clone(kind(**options, init_params=fit))
    assert model._fitted is None
    assert same_params(model.init_params.params_, fit.params_)
    # the start is where the first fit ended
    assert model.fit(X, y).lower_bounds_[0] == pytest.approx(fit.lower_bounds_[-1], rel=1e-9)


def test_meta_pi_has_no_start_and_its_experts_keep_theirs(lines, reference):
    X, y = lines
    expert = MixtureOfExpertsRegressor(2, gate="constant", init_params=reference)
    model = clone(MetaPiRegressor([("one", expert), ("line", LinearRegression())]))
    assert "init_params" not in model.get_params()
    inside = model.fit(X, y).experts_[0].estimator_
    assert np.sign(inside.experts_[0].coef_) == np.sign(reference.experts_[0].coef_)


def test_a_clone_has_parameters_of_its_own(lines, reference):
    """Meta-estimators set random states, and grids anything, on what they have cloned."""
    before = copy.deepcopy(reference.get_params())
    model = clone(MixtureOfExpertsRegressor(2, gate="constant", init_params=reference))
    model.set_params(init_params__random_state=7, init_params__expert__alpha=0.5)
    model.set_params(expert__alpha=0.1)
    assert model.init_params.random_state == 7 and model.init_params.expert.alpha == 0.5
    assert model.expert.alpha == 0.1
    assert reference.get_params() == before
    assert model.init_params.__sklearn_is_fitted__()


def test_a_clone_keeps_what_scikit_learn_keeps(lines, reference):
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        asking = copy.deepcopy(reference).set_fit_request(sample_weight=True)
        model = MixtureOfExpertsRegressor(2, init_params=asking).set_fit_request(groups=True)
        again = clone(model)
        assert again.get_metadata_routing().fit.requests["groups"] is True
        assert again.init_params.get_metadata_routing().fit.requests["sample_weight"] is True


def test_parameters_and_displays_show_the_fit_inside(reference):
    model = clone(MixtureOfExpertsRegressor(2, init_params=reference))
    assert model.get_params(deep=True)["init_params__gate"] == "constant"
    assert "init_params=MixtureOfExpertsRegressor(gate='constant'" in repr(model)
    assert "init_params" in model._repr_html_()


# -- meta-estimators -------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda fit: fit, FrozenEstimator])
def test_folds_bags_and_searches_start_from_the_fit(lines, reference, wrap):
    X, y = lines
    model = MixtureOfExpertsRegressor(2, gate="constant", init_params=wrap(reference))
    assert len(cross_val_score(model, X, y, cv=2, error_score="raise")) == 2
    piped = make_pipeline(StandardScaler(with_std=False, with_mean=False), model)
    assert len(cross_val_score(piped, X, y, cv=2, error_score="raise")) == 2
    target = TransformedTargetRegressor(model, func=np.negative, inverse_func=np.negative)
    assert np.isfinite(target.fit(X, y).predict(X)).all()
    bags = BaggingRegressor(model, n_estimators=3, random_state=0).fit(X, y)
    signs = {np.sign(bag.experts_[0].coef_[0]) for bag in bags.estimators_}
    assert signs == {np.sign(reference.experts_[0].coef_[0])}
    assert reference.random_state == 0
    grid = GridSearchCV(model, {"expert__alpha": [0.0, 1.0]}, cv=2, error_score="raise")
    assert grid.fit(X, y).best_estimator_.n_iter_ < 20


def test_a_search_over_starts_takes_a_frozen_fit(lines, reference):
    X, y = lines
    model = MixtureOfExpertsRegressor(2, n_init=1, **CONSTANT)
    starts = ["quantile", FrozenEstimator(reference)]
    grid = GridSearchCV(model, {"init_params": starts}, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    grid.set_params(param_grid={"init_params": [reference]})
    with pytest.raises(NotFittedError, match=r"put it into a sklearn.frozen.FrozenEstimator"):
        grid.fit(X, y)


def test_bags_of_classifiers_start_from_the_fit(lines):
    X, y = lines
    fit = MixtureOfExpertsClassifier(2, n_init=1, random_state=0).fit(X, y > 0)
    model = MixtureOfExpertsClassifier(2, init_params=fit)
    assert BaggingClassifier(model, n_estimators=2, random_state=0).fit(X, y > 0).score(X, y > 0)


# -- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["init_params", "frozen", "warm_start", "clone"])
def test_bootstraps_from_a_fit_keep_its_numbers(lines, reference, source):
    """With half of the rows each, the larger expert is the one or the other by chance."""
    X, y = lines
    slopes = []
    for seed in range(8):
        rows = np.random.default_rng(seed).integers(0, 400, 400)
        model = MixtureOfExpertsRegressor(2, gate="constant", init_params=reference)
        if source == "frozen":
            model.set_params(init_params=FrozenEstimator(reference))
        elif source == "clone":
            model = clone(model)
        elif source == "warm_start":
            model = copy.deepcopy(reference).set_params(warm_start=True)
        slopes.append([one.coef_[0] for one in model.fit(X[rows], y[rows]).experts_])
    # the standard error of a slope is about 0.03; swapped experts would make it 1.5
    assert (np.std(slopes, axis=0) < 0.2).all()
    assert_allclose(np.mean(slopes, axis=0), [e.coef_[0] for e in reference.experts_], atol=0.2)


def test_other_starts_are_put_in_order_of_weight(lines, reference):
    X, y = lines
    heavy = np.where(reference.responsibilities(X, y)[:, 1] > 0.5, 3.0, 1.0)
    model = MixtureOfExpertsRegressor(2, **CONSTANT).fit(X, y, heavy)
    assert model.weights_[0] > model.weights_[1]
    started = MixtureOfExpertsRegressor(2, gate="constant", init_params=reference)
    assert started.fit(X, y, heavy).weights_[0] < 0.5
    values = reference.gate_.weights_, [e.coef_ for e in reference.experts_]
    gate, coef = {"weights": values[0]}, np.array(values[1])
    expert = {"intercept": [e.intercept_ for e in reference.experts_], "scale": [0.5, 0.5]}
    start = {"gate": gate, "expert": expert | {"coef": coef}}
    assert clone(started).set_params(init_params=start).fit(X, y, heavy).weights_[0] > 0.5


# -- what does not match ---------------------------------------------------------------------------


def test_what_is_no_fit_is_refused_in_a_sentence(lines, reference):
    X, y = lines
    own = MixtureOfExpertsRegressor
    for start in (own(3), FrozenEstimator(own(3)), clone(reference)):
        with pytest.raises(NotFittedError, match=r"^init_params=.* is not fitted; fit it first"):
            clone(own(2, init_params=start)).fit(X, y)
    linear = LinearRegression().fit(X, y)
    search = GridSearchCV(own(2, n_init=1), {"tol": [1e-3]}, cv=2)
    for start in (linear, make_pipeline(reference), FrozenEstimator(linear), search):
        with pytest.raises(ValueError, match=r"^init_params=.* is no mixture of experts; pass"):
            own(2, init_params=start).fit(X, y)


@pytest.fixture(scope="module")
def plane():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 3)), columns=["a", "b", "c"])
    y = np.where(X["a"] > 0, X["b"], -X["c"]) + 0.1 * rng.normal(size=120)
    return X, y, MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)


@pytest.mark.parametrize("source", ["init_params", "warm_start"])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (dict(n_experts=3), r"has 2 experts, n_experts=3; set n_experts=2, or start afresh"),
        (dict(columns=["a", "b"]), r"saw X of shape \(n, 3\), and now it is \(n, 2\); give X the"),
        (dict(columns=["b", "a", "c"]), r"saw X with column 0 named 'a', and now it is 'b'; give"),
        (dict(gate_features=["a"]), r"had gate_features \[0, 1, 2\], and now they are \[0\];"),
        (dict(expert_features=["c", "b", "a"]), r"had expert_features \[0, 1, 2\], and now they"),
        (dict(twice=True), r"saw y of shape \(n, 1\), and now it is \(n, 2\); give y the same"),
        (dict(expert="mlp"), r"has the expert LinearExpert\(\), from which MLPExpert\(\) cannot"),
        (dict(gate="gaussian"), r"has the gate SoftmaxGate\(\), from which GaussianGate\(\) cann"),
        (dict(gate="tree", n_experts=2), r"has the gate SoftmaxGate\(\), from which TreeGate\("),
    ],
)
def test_a_fit_that_does_not_match_is_refused_in_a_sentence(plane, source, change, match):
    X, y, fit = plane
    change = dict(change)
    X = X[change.pop("columns", list(X))]
    y = np.column_stack([y, y]) if change.pop("twice", False) else y
    if change.get("gate") == "tree":
        from classic_moe.gates import TreeGate

        change["gate"] = TreeGate(depth=1)
    if source == "init_params":
        model, subject = clone(fit).set_params(init_params=fit), "the fit to start from"
    else:
        model, subject = copy.deepcopy(fit).set_params(warm_start=True), "the last fit"
    with pytest.raises(ValueError, match=f"^{source}: {subject} {match}") as info:
        model.set_params(**change).fit(X, y)
    assert str(info.value).count("init_params") == (source == "init_params")


def test_a_fit_of_other_classes_or_of_the_other_task_is_refused(plane):
    X, y, fit = plane
    classes = MixtureOfExpertsClassifier(2, n_init=1, random_state=0).fit(X, y > 0)
    three = np.digitize(y, [-1, 1])
    with pytest.raises(ValueError, match=r"knows the classes False, True, and y holds 0, 1, 2;"):
        clone(classes).set_params(init_params=classes).fit(X, three)
    with pytest.raises(ValueError, match=r"^warm_start: the last fit knows the classes False"):
        classes.set_params(warm_start=True).fit(X, three)
    with pytest.raises(ValueError, match=r"is one of regression, this is classification"):
        MixtureOfExpertsClassifier(2, init_params=fit).fit(X, y > 0)
    with pytest.raises(ValueError, match=r"is one of classification, this is regression"):
        MixtureOfExpertsRegressor(2, init_params=classes).fit(X, y)


@pytest.mark.filterwarnings("ignore::classic_moe.ExpertCollapseWarning")  # four on 60 rows
def test_a_fit_of_another_tree_is_refused(plane):
    X, y, _ = plane
    fit = HierarchicalMixtureOfExpertsRegressor(n_init=1, random_state=0, tol=1e-3).fit(X, y)
    flat = clone(fit).set_params(branching=4, depth=1, init_params=fit)
    match = r"has the gate TreeGate\(\), from which TreeGate\(branching=4, depth=1\) cannot start"
    with pytest.raises(ValueError, match=match):
        flat.fit(X, y)


def test_tables_and_arrays_of_the_same_columns_go_together(plane):
    X, y, fit = plane
    assert clone(fit).set_params(init_params=fit).fit(X.to_numpy(), y).n_iter_ <= 2


# -- columns without spread ------------------------------------------------------------------------

LOCALISED = [GaussianGate(covariance_type=t) for t in ("full", "diag", "spherical", "tied")]
LOCALISED += [ExponentialFamilyGate()]


def constant_first(rng, n=100):
    """Rows whose first column is constant, and the same with one that varies."""
    x = rng.normal(size=n)
    y = np.where(x > 0, x, -3 * x) + 0.1 * rng.normal(size=n)
    return np.column_stack([np.full(n, 7.0), x]), np.column_stack([rng.normal(50, 3, n), x]), y


@pytest.mark.parametrize("gate", [*LOCALISED, "softmax", "least_squares", "constant"])
@pytest.mark.parametrize("columns", [[0], [0, 1]])
def test_a_start_goes_on_where_a_column_is_constant(gate, columns):
    """A Gaussian gate has no density of it, and may have none at all."""
    flat, _, y = constant_first(np.random.default_rng(0))
    X = flat[:, columns]
    fit = MixtureOfExpertsRegressor(2, gate=gate, n_init=1, random_state=0, tol=1e-4).fit(X, y)
    again = clone(fit).set_params(init_params=fit).fit(X, y)
    assert again.lower_bounds_[0] == pytest.approx(fit.lower_bounds_[-1], rel=1e-9)
    shapes = [leaf.shape for leaf in leaves(fit.params_)]
    assert [leaf.shape for leaf in leaves(again.params_)] == shapes
    warm = fit.set_params(warm_start=True).fit(X, y)
    assert np.isfinite(warm.log_likelihood_)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", None])
@pytest.mark.parametrize("columns", [[0], [0, 1]])
def test_of_a_column_that_was_constant_a_fit_knows_what_the_new_rows_say(covariance_type, columns):
    """The model of the rest is where it was, and the column normal with the rows' own moments."""
    flat, varied, y = constant_first(np.random.default_rng(0))
    gate = "softmax" if covariance_type is None else GaussianGate(covariance_type, 0)
    X, Z = flat[:, columns], varied[:, columns]
    fit = MixtureOfExpertsRegressor(2, gate=gate, n_init=1, random_state=0, tol=1e-4).fit(X, y)
    again = clone(fit).set_params(init_params=fit).fit(Z, y)
    log_density = norm(Z[:, 0].mean(), Z[:, 0].std()).logpdf(Z[:, 0]).sum()
    expected = fit.lower_bounds_[-1] + (0 if covariance_type is None else log_density)
    assert again.lower_bounds_[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("gate", [*LOCALISED, "softmax", "constant"])
@pytest.mark.parametrize("columns", [[0], [0, 1]])
def test_a_column_may_lose_its_spread(gate, columns):
    flat, varied, y = constant_first(np.random.default_rng(0))
    X, Z = varied[:, columns], flat[:, columns]
    fit = MixtureOfExpertsRegressor(2, gate=gate, n_init=1, random_state=0, tol=1e-4).fit(X, y)
    again = clone(fit).set_params(init_params=fit).fit(Z, y)
    assert np.isfinite(again.log_likelihood_)


def test_a_dict_may_say_that_all_columns_are_constant():
    flat, _, y = constant_first(np.random.default_rng(0))
    X = flat[:, :1]
    fit = MixtureOfExpertsRegressor(2, gate="gaussian", n_init=1, random_state=0).fit(X, y)
    gate = {"weights": fit.gate_.weights_, "means": fit.gate_.means_}
    gate["covariances"] = fit.gate_.covariances_
    assert_array_equal(gate["covariances"], np.zeros((2, 1, 1)))
    expert = {
        name: np.array([vars(view)[f"{name}_"] for view in fit.experts_])
        for name in ("coef", "intercept", "scale")
    }
    start = {"gate": gate, "expert": expert}
    again = clone(fit).set_params(init_params=start).fit(X, y)
    assert again.lower_bounds_[0] == pytest.approx(fit.lower_bounds_[-1], rel=1e-9)


# -- k-means ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_kmeans_lets_no_foreign_warning_through(kind):
    """Two distinct rows and four experts: scikit-learn warns of fewer clusters than asked for."""
    X = np.repeat([[0.0], [1.0]], 30, axis=0)
    y = np.r_[np.zeros(30), np.ones(30)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = kind(4, init_params="kmeans", random_state=0).fit(X, y)
    assert not [str(w.message) for w in caught if "cluster" in str(w.message)]
    assert np.isfinite(model.log_likelihood_)


# -- known experts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["quantile", "random", "kmeans"])
def test_starts_are_aligned_to_the_experts_that_are_known(start):
    """The same few rows are known, under either numbering: the same fit, under either."""
    rng = np.random.default_rng(3)
    X = rng.uniform(-2, 2, (300, 1))
    side = X[:, 0] > 0
    y = np.where(side, 4 + X[:, 0], -4 - X[:, 0]) + 0.3 * rng.normal(size=300)
    known = np.where(np.arange(300) % 15 == 0, side.astype(int), -1)
    renumbered = np.where(known < 0, -1, 1 - known)
    fits = [
        MixtureOfExpertsRegressor(
            2, gate="constant", init_params=start, n_init=1, max_iter=2, tol=1.0, random_state=0
        ).fit(X, y, expert_labels=labels)
        for labels in (known, renumbered)
    ]
    # two steps after a start the wrong way round, most rows are still with the other expert
    assert np.mean(fits[0].assign(X, y) == side) > 0.5
    # sums of the same rows in another order of the experts
    assert fits[0].log_likelihood_ == pytest.approx(fits[1].log_likelihood_, rel=1e-9)
    assert_allclose(fits[0].weights_, fits[1].weights_[::-1], rtol=1e-9)


def test_a_chain_of_fits_started_from_one_another_costs_no_more_than_one():
    """A clone keeps the fit to start from, and not the fit that this one once started from."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (40, 1))
    y = X[:, 0] + 0.1 * rng.standard_normal(40)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    for _ in range(30):  # with a doubling at every link this would never end
        model = MixtureOfExpertsRegressor(1, init_params=model).fit(X, y)
    twin = clone(model)
    assert twin.init_params.init_params == "quantile"
    assert_array_equal(twin.init_params.predict(X), model.init_params.predict(X))
    assert_array_equal(twin.fit(X, y).predict(X), model.predict(X))
