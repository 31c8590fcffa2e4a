"""Meta-Pi: experts fitted to their own rows, blended by a gate that is not told whose they are."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from classic_moe import AdaptiveLocalExpertsRegressor, MetaPiClassifier, MetaPiRegressor
from classic_moe.datasets import make_six_speakers
from classic_moe.experts import LinearExpert, MLPExpert, SoftmaxExpert
from classic_moe.inspection import ExpertCurvesDisplay
from classic_moe.parts.params import leaves

SPEAKERS = ["f1", "f2", "m1", "m2", "m3"]
LINES = [("left", LinearRegression()), ("right", LinearRegression())]
ROUNDING = 1e-9
"""Two ways to compute the same number."""


@pytest.fixture(scope="module")
def bend():
    """y = |x| with noise, and the side of each row."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 120)
    return x[:, None], np.abs(x) + 0.05 * rng.standard_normal(120), np.where(x > 0, "right", "left")


@pytest.fixture(scope="module")
def lines(bend):
    X, y, side = bend
    return MetaPiRegressor(LINES).fit(X, y, expert_groups=side)


@pytest.fixture(scope="module")
def speech():
    """Rows to train and to test, and who trains which expert: m4 none."""
    X, y, who = make_six_speakers(100, random_state=0)
    return X, y, who, np.where(who == "m4", "-1", who), *make_six_speakers(100, random_state=1)


@pytest.fixture(scope="module")
def listener(speech):
    X, y, _, groups, *_ = speech
    experts = [(name, LogisticRegression()) for name in SPEAKERS]
    return MetaPiClassifier(experts, expert_features=[1, 2]).fit(X, y, expert_groups=groups)


# -- the experts ---------------------------------------------------------------------------------


def test_every_expert_is_fitted_to_its_own_rows(bend, lines):
    X, y, side = bend
    for k, name in enumerate(("left", "right")):
        own = LinearRegression().fit(X[side == name], y[side == name])
        assert_allclose(lines.predict_experts(X)[:, k], own.predict(X))
        assert_allclose(lines.experts_[k].estimator_.coef_, own.coef_)


def test_numbers_do_what_names_do_and_the_gate_is_told_neither(bend, lines):
    X, y, side = bend
    numbered = MetaPiRegressor([LinearRegression()] * 2)
    numbered.fit(X, y, expert_groups=(side == "right").astype(int))
    assert_array_equal(numbered.predict(X), lines.predict(X))
    told = MetaPiRegressor([FrozenEstimator(view.estimator_) for view in lines.experts_])
    assert_array_equal(told.fit(X, y).predict(X), lines.predict(X))


def test_without_groups_every_expert_sees_all_rows(bend):
    X, y, _ = bend
    model = MetaPiRegressor([LinearRegression(), DecisionTreeRegressor(max_depth=2)]).fit(X, y)
    assert_allclose(model.predict_experts(X)[:, 0], LinearRegression().fit(X, y).predict(X))


def test_a_frozen_estimator_is_used_as_it_was_fitted(bend):
    X, y, side = bend
    line = LinearRegression().fit(X, -y)
    model = MetaPiRegressor([FrozenEstimator(line), LinearRegression()])
    model.fit(X, y, expert_groups=np.where(side == "left", 0, 1))
    assert_array_equal(model.predict_experts(X)[:, 0], line.predict(X))
    assert line.coef_ is model.experts_[0].estimator_.coef_
    with pytest.raises(NotFittedError, match="frozen but not fitted"):
        MetaPiRegressor([FrozenEstimator(LinearRegression())] * 2).fit(X, y)


def test_weights_reach_the_experts_and_the_gate(bend):
    X, y, side = bend
    weight = np.arange(len(y)) % 3
    repeated = np.repeat(np.arange(len(y)), weight)
    model = MetaPiRegressor(LINES)
    weighted = model.fit(X, y, weight, expert_groups=side).predict(X)
    model.fit(X[repeated], y[repeated], expert_groups=side[repeated])
    assert_allclose(weighted, model.predict(X), rtol=1e-6)  # of the gate's tolerance


def test_groups_may_mix_names_and_numbers_in_any_container(bend, lines):
    X, y, side = bend
    mixed = np.array([0 if name == "left" else name for name in side], dtype=object)
    for groups in (mixed, list(side), side[:, None], (side == "right").astype(float)):
        model = MetaPiRegressor(LINES).fit(X, y, expert_groups=groups)
        assert_array_equal(model.predict(X), lines.predict(X))


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_a_series_names_the_experts_and_must_not_have_gaps(bend, lines, dtype):
    pandas = pytest.importorskip("pandas")
    X, y, side = bend
    groups = pandas.Series(side, index=range(7, 127), dtype=dtype)
    model = MetaPiRegressor(LINES).fit(X, y, expert_groups=groups)
    assert_array_equal(model.predict(X), lines.predict(X))
    groups.iloc[3] = None
    with pytest.raises(ValueError, match=r"expert_groups holds (None|nan|<NA>); use the names"):
        model.fit(X, y, expert_groups=groups)


def test_only_estimators_still_to_be_fitted_need_rows_of_their_own(bend):
    X, y, side = bend
    left = FrozenEstimator(LinearRegression().fit(X[side == "left"], y[side == "left"]))
    groups = np.where(side == "left", "-1", "right")
    for expert in (left, LinearExpert()):
        experts = [("left", expert), ("right", LinearRegression())]
        model = MetaPiRegressor(experts, random_state=0).fit(X, y, expert_groups=groups)
        assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="no row of expert 1 with a positive weight"):
        MetaPiRegressor(LINES).fit(X, y, side == "left", expert_groups=side)


def test_an_estimator_without_sample_weight_serves_unweighted_rows(bend):
    X, y, side = bend
    model = MetaPiRegressor([KNeighborsRegressor(), KNeighborsRegressor()])
    groups = (side == "right").astype(int)
    assert model.fit(X, y, expert_groups=groups).score(X, y) > 0.9
    with pytest.raises(TypeError, match=r"KNeighborsRegressor.* takes no sample_weight"):
        model.fit(X, y, np.full(len(y), 2.0), expert_groups=groups)
    labels = (y > 0.5).astype(int)
    assert MetaPiClassifier([KNeighborsClassifier()] * 2).fit(X, labels).score(X, labels) > 0.9


def test_classes_that_an_expert_has_no_rows_of_get_probability_zero():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 40)
    X = rng.normal(size=(120, 2)) + 3 * np.eye(3)[np.repeat(range(3), 40)][:, :2]
    groups = np.where(y == "c", 1, 0)
    groups[:5] = 1  # expert 0 knows a and b, expert 1 a and c, expert 2 c alone
    groups[-10:] = 2
    model = MetaPiClassifier([LogisticRegression()] * 2 + [GaussianNB()])
    model.fit(X, y, expert_groups=groups)
    means = model.predict_experts(X)
    assert means[:, 0, 2].max() <= 1e-11 and means[:, 1, 1].max() <= 1e-11
    assert_allclose(means[:, 2], np.tile([0, 0, 1], (120, 1)), atol=1e-11)
    assert_allclose(means.sum(axis=2), 1)
    assert model.score(X, y) > 0.9


def test_a_regressor_among_classifiers_experts_is_fitted_to_one_hot_codes(speech):
    X, y, *_ = speech
    model = MetaPiClassifier([Ridge(), Ridge(alpha=100.0)]).fit(X, y)
    assert_allclose(model.predict_experts(X)[:, 0], Ridge().fit(X, np.eye(4)[y]).predict(X))
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


# -- the gate ------------------------------------------------------------------------------------


def test_the_gate_finds_out_whose_rows_are_whose(bend, lines):
    X, y, side = bend
    clear = np.abs(X[:, 0]) > 0.2
    assert_array_equal(np.array(["left", "right"])[lines.assign(X[clear])], side[clear])
    assert lines.score(X, y) > LinearRegression().fit(X, y).score(X, y) + 0.5


def test_the_prediction_is_the_blend(bend, lines, speech, listener):
    blend = np.sum(lines.gate_proba(bend[0]) * lines.predict_experts(bend[0]), axis=1)
    assert_allclose(lines.predict(bend[0]), blend)
    X = speech[0]
    blend = np.einsum("nk,nkc->nc", listener.gate_proba(X), listener.predict_experts(X))
    assert_allclose(listener.predict_proba(X), blend, rtol=ROUNDING)
    assert_array_equal(listener.predict(X), listener.classes_[blend.argmax(axis=1)])


def test_the_objective_is_half_the_squared_error_and_the_penalty(bend, lines, speech, listener):
    error = np.sum((bend[1] - lines.predict(bend[0])) ** 2) / np.var(bend[1])
    X, y = speech[:2]
    wrong = np.sum((np.eye(4)[y] - listener.predict_proba(X)) ** 2)
    for model, loss in ((lines, error), (listener, wrong)):
        prior = model._fitted.model.gate.log_prior(model.params_["gate"])
        assert_allclose(model.lower_bounds_[-1] - prior, -0.5 * loss, atol=0.05)
        assert (np.diff(model.lower_bounds_) >= 0).all()


def test_the_gate_does_not_depend_on_the_units_of_y(bend):
    """Nor does one output of several lose by them."""
    X, y, side = bend
    Y = np.column_stack([y, np.abs(X[:, 0] + 0.1)])
    units = np.array([1e6, 1e-6])
    for targets, scale in ((y, 1e-6), (y, 1e6), (Y, units)):
        plain, scaled = (
            MetaPiRegressor(LINES).fit(X, targets * by, expert_groups=side) for by in (1.0, scale)
        )
        # rounding, which decides in which digit the last of some 30 iterations ends
        assert_allclose(scaled.predict(X), plain.predict(X) * scale, rtol=1e-6)
        assert_allclose(scaled.lower_bounds_[-1], plain.lower_bounds_[-1], rtol=1e-6)


def test_the_gates_gradient_is_zero_at_the_end(speech, listener):
    X, y = speech[:2]
    model, params = listener._fitted.model, listener.params_
    inner = listener._fitted.schema.x.apply(X)
    stats = model.statistics(params, inner, y, np.ones(len(y)), order=1)
    gradient = model.gradient(params, stats)["gate"]["coef"]
    assert np.abs(gradient).max() < 0.1  # of 600 rows, stopped by a gain of 1e-7 a row


def test_the_gates_parameters_are_the_only_ones(bend, lines, listener):
    X, y, side = bend
    assert lines.n_parameters_ == 2
    assert listener.n_parameters_ == 16  # 3 features and an intercept, for all experts but one
    own = MetaPiRegressor(LINES, per_output=True).fit(X, np.c_[y, -y], expert_groups=side)
    assert own.n_parameters_ == 4


def test_six_speakers_as_in_the_paper(speech, listener):
    X, y, _, _, X_new, y_new, who = speech
    single = LogisticRegression().fit(X, y).score(X_new, y_new)
    assert listener.score(X_new, y_new) >= single + 0.2
    sixth = who == "m4"
    assert listener.gate_proba(X_new[sixth])[:, 2:].sum(axis=1).mean() >= 0.95
    alone = listener.classes_[listener.predict_experts(X_new[sixth]).argmax(axis=2)]
    best = (alone == y_new[sixth, None]).mean(axis=0).max()
    # 0.02 is the criterion on the mean of ten seeds with 200 rows each; here 3 of 100 rows
    assert listener.score(X_new[sixth], y_new[sixth]) >= best - 0.03


def test_a_gate_for_every_class_fits_at_least_as_well(speech, listener):
    X, y, _, groups, *_ = speech
    model = clone(listener).set_params(per_class=True).fit(X, y, expert_groups=groups)
    gate = model.gate_proba(X)
    assert gate.shape == (600, 5, 4)
    assert_allclose(gate.sum(axis=1), 1)
    assert [view.coef_.shape for view in model.gate_.outputs_] == [(5, 3)] * 4
    blend = np.einsum("nkc,nkc->nc", gate, model.predict_experts(X))
    assert_allclose(model.predict_proba(X), blend / blend.sum(axis=1, keepdims=True), rtol=1e-8)
    errors = [np.sum((np.eye(4)[y] - values) ** 2) for values in (blend, listener.predict_proba(X))]
    assert errors[0] <= errors[1]
    assert_allclose(model.weights_, gate.mean(axis=(0, 2)))
    assert_array_equal(model.assign(X), gate.mean(axis=2).argmax(axis=1))
    summary = model.summary(X, y)
    assert summary.heading.endswith("5 x LogisticRegression, SoftmaxGate for every class")
    rows = {label: values for label, *values in summary.tables["gate"].rows}
    assert list(rows)[:5] == ["intercept, 0", "x0, 0", "x1, 0", "x2, 0", "intercept, 1"]
    assert rows["x2, 3"] == list(model.gate_.outputs_[3].coef_[:, 2])


def test_a_gate_for_every_output_separates_the_outputs(bend):
    """Two outputs that change experts at opposite ends: one gate cannot serve both."""
    X, y, side = bend
    Y = np.column_stack([y, -y])
    Y[:, 1] = np.where(side == "left", X[:, 0] + 1, -X[:, 0] + 1)
    a, b = LinearRegression().fit(X, np.c_[-X, 1 + X]), LinearRegression().fit(X, np.c_[X, 1 - X])
    experts = [FrozenEstimator(a), FrozenEstimator(b)]
    swapped = np.c_[np.where(X > 0, X, -X), np.where(X > 0, 1 + X, 1 - X)]
    fits = [MetaPiRegressor(experts, per_output=each).fit(X, swapped) for each in (False, True)]
    assert fits[0].score(X, swapped) < 0.8 < 0.99 < fits[1].score(X, swapped)
    assert fits[1].gate_proba(X).shape == (120, 2, 2)


def test_gate_and_experts_may_look_at_different_columns(speech, listener):
    assert listener.gate_.coef_.shape == (5, 3)
    assert [view.estimator_.n_features_in_ for view in listener.experts_] == [2] * 5
    pandas = pytest.importorskip("pandas")
    X, y, _, groups, *_ = speech
    table = pandas.DataFrame(X, columns=["pitch", "first", "second"])
    named = clone(listener).set_params(
        gate_features=["pitch", "first", "second"], expert_features=["first", "second"]
    )
    named.fit(table, y, expert_groups=groups)
    assert_array_equal(named.predict(table), listener.predict(X))


@pytest.mark.parametrize("gate", ["gaussian", "tree"])
def test_other_gates(bend, gate):
    X, y, side = bend
    experts = LINES if gate != "tree" else [(n, LinearRegression()) for n in "abcd"]
    groups = (
        side if gate != "tree" else np.array(list("abcd"))[np.digitize(X[:, 0], [-0.5, 0, 0.5])]
    )
    model = MetaPiRegressor(experts, gate=gate, random_state=0)
    assert model.fit(X, y, expert_groups=groups).score(X, y) > 0.9


# -- banks trained together with the gate ----------------------------------------------------------


@pytest.mark.parametrize("bank", ["linear", LinearExpert(), MLPExpert(3)])
def test_a_bank_is_trained_together_with_the_gate(bend, bank):
    X, y, _ = bend
    model = MetaPiRegressor(bank, n_experts=2, random_state=0).fit(X, y)
    same = AdaptiveLocalExpertsRegressor(
        2, expert=bank, objective="blended_error", solver="lbfgs", n_init=3, random_state=0
    ).fit(X, y)
    for one, other in zip(leaves(model.params_), leaves(same.params_), strict=True):
        assert_array_equal(one, other)
    assert model.score(X, y) > 0.9


def test_the_summary_says_what_the_experts_are(bend):
    X, y, _ = bend
    experts = [Ridge(), FrozenEstimator(Ridge().fit(X, y)), "linear", DecisionTreeRegressor()]
    heading = MetaPiRegressor(experts, random_state=0).fit(X, y).summary().heading
    assert "2 x Ridge + 1 x LinearExpert + 1 x DecisionTreeRegressor, SoftmaxGate" in heading


def test_experts_of_the_package_in_a_list_are_trained_with_the_gate(speech):
    X, y, *_ = speech
    model = MetaPiClassifier([SoftmaxExpert(), LogisticRegression()], random_state=0).fit(X, y)
    assert_allclose(
        model.predict_experts(X)[:, 1], LogisticRegression().fit(X, y).predict_proba(X), atol=1e-11
    )
    assert model.score(X, y) > LogisticRegression().fit(X, y).score(X, y) + 0.1


# -- scikit-learn ----------------------------------------------------------------------------------


def test_pairs_are_searched_by_name(speech):
    X, y, *_ = speech
    experts = [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))]
    search = GridSearchCV(
        MetaPiClassifier(experts), {"a__C": [0.01, 1.0], "gate__alpha": [0.1]}, cv=2
    ).fit(X, y)
    assert search.best_params_["gate__alpha"] == 0.1
    model = MetaPiClassifier(experts).set_params(b=GaussianNB(), a__C=2.0)
    assert isinstance(model.experts[1][1], GaussianNB) and model.get_params()["a__C"] == 2.0
    assert "a__C" not in MetaPiClassifier([LogisticRegression()]).get_params()
    alias = MetaPiRegressor([("a", "linear"), ("b", Ridge())]).set_params(a__alpha=0.5)
    assert alias.experts[0][1].alpha == 0.5
    assert MetaPiRegressor("mlp", n_experts=2).set_params(experts__alpha=2.0).experts.alpha == 2.0


def test_pipelines_pickles_and_clones(speech, listener):
    X, y, _, groups, *_ = speech
    again = pickle.loads(pickle.dumps(listener))
    assert_array_equal(again.predict_proba(X), listener.predict_proba(X))
    steps = make_pipeline(StandardScaler(), clone(listener))
    steps.fit(X, y, metapiclassifier__expert_groups=groups)
    assert steps.score(X, y) > 0.85
    inside = MetaPiClassifier([make_pipeline(StandardScaler(), LogisticRegression())] * 2)
    assert inside.fit(X, y, np.full(len(y), 2.0)).n_experts_ == 2


def test_there_is_no_likelihood(bend, lines, listener):
    for model in (lines, listener):
        for name in ("log_prob", "responsibilities", "aic", "bic", "icl", "predict_dist", "sample"):
            assert not hasattr(model, name)
        assert not hasattr(model, "log_likelihood_")
    assert "objective" in str(lines.summary())
    with pytest.raises(ValueError, match="MetaPiRegressor has no responsibilities; leave y out"):
        lines.assign(*bend[:2])


def test_the_experts_that_were_passed_are_never_changed(speech):
    X, y, _, groups, *_ = speech
    experts = [(name, LogisticRegression()) for name in SPEAKERS]
    MetaPiClassifier(experts).fit(X, y, expert_groups=groups)
    assert not any(hasattr(expert, "coef_") for _, expert in experts)


def test_a_failed_fit_leaves_nothing_behind(bend):
    X, y, side = bend
    model = MetaPiRegressor(LINES)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="expert_groups"):
        model.fit(X, y, expert_groups=np.full(len(y), "left"))
    assert vars(model) == before
    fitted = model.fit(X, y, expert_groups=side)
    assert not [name for name in vars(fitted) if name == "_ready"]


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "groups, message",
    [
        (np.full(120, "left"), "expert_groups has no row of expert 1"),
        (
            np.full(120, "middle"),
            "expert_groups holds 'middle'; use the names of the experts, 'left'",
        ),
        (np.full(120, 2), r"expert_groups\[0\] is 2; use 0 ... 1, or -1"),
        (np.full(120, 0.5), r"expert_groups\[0\] is 0.5"),
        (np.zeros(3, dtype=int), "expert_groups has 3 entries and X 120 rows"),
        (np.zeros((120, 2)), r"expert_groups should be a 1d array, .* \(120, 2\)"),
        (1, "expert_groups should be a 1d array"),
    ],
)
def test_groups_that_say_nothing_of_the_experts_are_refused(bend, groups, message):
    X, y, _ = bend
    with pytest.raises(ValueError, match=message):
        MetaPiRegressor(LINES).fit(X, y, expert_groups=groups)


@pytest.mark.parametrize(
    "model, error, message",
    [
        (MetaPiRegressor([]), ValueError, r"experts=\[\]: needs one estimator at least"),
        (MetaPiRegressor(LINES, n_experts=3), ValueError, "n_experts=3, but experts holds 2"),
        (MetaPiRegressor("linear"), ValueError, "n_experts=None: experts='linear' is no list"),
        (MetaPiRegressor(Ridge()), ValueError, r"experts=Ridge\(\) is no list; say how many"),
        (MetaPiRegressor(LINES, per_output=2), ValueError, "per_output=2: needs True or False"),
        (MetaPiClassifier(LINES, per_class=2), ValueError, "per_class=2: needs True or False"),
        (MetaPiRegressor([LogisticRegression()] * 2), ValueError, "MetaPiRegressor does regressi"),
        (MetaPiRegressor([Ridge(), GaussianNB()]), ValueError, "cannot mix regression and class"),
        (MetaPiRegressor("lines", n_experts=2), ValueError, "expert='lines' is not known"),
        (MetaPiRegressor([LinearRegression(), 3]), TypeError, "3 in an ExpertUnion is no expert"),
        (MetaPiRegressor([LINES[0], LINES[0]]), ValueError, "left"),
        (MetaPiRegressor([("gate", Ridge())]), ValueError, r"conflict .*\['gate'\]"),
        (MetaPiRegressor(LINES, gate=LogisticRegression()), TypeError, "has none"),
        (MetaPiRegressor(LINES, solver="em"), ValueError, "needs a gradient"),
        (MetaPiRegressor(LinearRegression(), n_experts=2), ValueError, "gradient of their means"),
    ],
)
def test_parameters_that_no_fit_could_use_are_refused(bend, model, error, message):
    with pytest.raises(error, match=message):
        model.fit(*bend[:2])


def test_a_bank_takes_no_groups(bend):
    X, y, side = bend
    with pytest.raises(ValueError, match="expert_groups are for a list of experts"):
        MetaPiRegressor("linear", n_experts=2).fit(X, y, expert_groups=side)


def test_experts_that_cannot_make_these_outputs_are_named(bend):
    X, y, _ = bend
    Y = np.column_stack([y, y])
    with pytest.raises(ValueError, match=r"SVR\(\) cannot be fitted: .*MultiOutputRegressor"):
        MetaPiRegressor([SVR(), Ridge()]).fit(X, Y)
    for fitted, wanted in ((Y, y), (y, Y)):
        experts = [FrozenEstimator(Ridge().fit(X, fitted))] * 2
        with pytest.raises(ValueError, match=r"Ridge.* was fitted to \d outputs; y has \d"):
            MetaPiRegressor(experts).fit(X, wanted)


def test_experts_are_called_by_their_names(bend, lines):
    X, y, side = bend
    tables = lines.summary().tables
    assert tables["experts"].head == ["", "left", "right"] == tables["gate"].head
    called = [line.split(" (")[0] for line in lines.equations().splitlines()]
    assert called == ["left", "right"]
    legend = ExpertCurvesDisplay.from_estimator(lines, X, y).legend_
    assert [text.get_text() for text in legend.get_texts()][:2] == called
    plt.close("all")
    unnamed = MetaPiRegressor([LinearRegression(), LinearRegression()])
    unnamed.fit(X, y, expert_groups=np.where(side == "left", 0, 1))
    assert unnamed.summary().tables["experts"].head == ["", "expert 0", "expert 1"]
