"""Unions: every member is fitted as it would be alone, whatever stands beside it."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.exceptions import ExpertCollapseWarning
from classic_moe.experts import (
    ExpertUnion,
    GammaExpert,
    GaussianExpert,
    LaplaceExpert,
    LinearExpert,
    NoiseExpert,
    SoftmaxExpert,
    StudentTExpert,
)
from classic_moe.gates import SoftmaxGate
from classic_moe.model import fused_pass
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import leaves
from classic_moe.testing import check_expert

pytestmark = pytest.mark.weak_penalties

ROUNDING = 1e-10  # the same sums in another order


def problem(n=120, K=2, seed=0):
    """Columns and y of very different sizes; y > 0, so that gamma experts take it too."""
    rng = np.random.default_rng(seed)
    inner = rng.standard_normal((n, 2))
    y = 50 * np.exp(0.5 * inner[:, 0] * (inner[:, 1] > 0) + 0.1 * rng.standard_normal(n))
    return 7 + inner * [1e3, 1e-2], y, rng.dirichlet(np.ones(K), n)


# -- the protocol ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "experts",
    [
        ["linear", "gaussian", StudentTExpert(df=4.0)],
        [("line", LinearExpert(alpha=0.5)), ("counts", "gamma")],
        ["poisson", "negative_binomial"],
        ["binomial", "binomial"],
        ["softmax", SoftmaxExpert(alpha=1.0)],
        [LinearRegression(), LinearExpert(alpha=0.5)],
    ],
    ids=lambda experts: f"{len(experts)}-{experts[0]}",
)
def test_conformance(experts):
    check_expert(ExpertUnion(experts))


@pytest.mark.parametrize(
    "experts, facts",
    [
        (["linear", "laplace"], {"standardise": True, "offset": False, "kind": "density"}),
        (["linear", "gamma"], {"standardise": False, "offset": True, "n_experts": 2}),
        (["poisson", "poisson", "poisson"], {"kind": "mass", "n_experts": 3}),
        (["linear", LinearRegression()], {"extrapolates": False, "short_run": 2}),
        (["gaussian", "gaussian"], {"uses_x": False}),
        (["gaussian", "linear"], {"uses_x": True}),
        (["mlp", "softmax"], {"task": "classification"}),
        (["mlp", "linear"], {"task": "regression"}),
        (["mlp", "mlp"], {"task": "both"}),
        (["logistic", "softmax"], {"outputs": 2}),
        (["binomial", "binomial"], {"trials": True}),
    ],
)
def test_facts_are_those_of_the_members_together(experts, facts):
    union = ExpertUnion(experts)
    union.check_parameters()
    records = union.target, union.learning, union.inputs
    found = {name: value for record in records for name, value in record._asdict().items()}
    found["n_experts"] = union.n_experts
    assert {name: found[name] for name in facts} == facts
    assert not union.exchangeable


def test_optional_methods_are_there_if_every_member_has_them():
    assert hasattr(ExpertUnion(["linear", "gamma"]), "gradient")
    black_box = ExpertUnion(["linear", LinearRegression()])
    assert not hasattr(black_box, "gradient")
    assert hasattr(black_box, "components")
    assert not hasattr(ExpertUnion(["softmax", "softmax"]), "components")


# -- a union of one family is the bank ---------------------------------------------------------


def test_two_linear_experts_are_the_bank_of_two():
    X, y, resp = problem()
    bank, union = (
        MixtureOfExpertsRegressor(2, expert=expert, init_params=resp, solver="em").fit(X, y)
        for expert in ("linear", ["linear", "linear"])
    )
    assert union.n_iter_ > 5
    np.testing.assert_allclose(union.lower_bounds_, bank.lower_bounds_, rtol=ROUNDING)
    assert union.n_parameters_ == bank.n_parameters_
    mean, std = bank.predict(X, return_std=True)
    np.testing.assert_allclose(union.predict(X, return_std=True), (mean, std), rtol=1e-8)


def test_experts_keep_the_order_of_the_list():
    X, y, _ = problem()
    labels = (np.arange(len(X)) % 5 == 0).astype(int)
    for order in (1, -1):
        items = [("many", "linear"), ("few", "gaussian")][::order]
        known = labels if order == 1 else 1 - labels
        model = MixtureOfExpertsRegressor(2, expert=items).fit(X, y, expert_labels=known)
        sizes = [len(view.coef_) for view in model.experts_]
        assert (sizes, np.argmax(model.weights_)) == ([2, 0][::order], [0, 1][::order][0])


# -- members that want other units than their neighbours -----------------------------------------


@pytest.fixture(scope="module")
def labelled():
    X, y, _ = problem()
    return X, y, (X[:, 0] > 7).astype(int)


def first_expert(labelled, *others, **options):
    """A penalised linear expert, its rows known, and the fit it is part of."""
    X, y, labels = labelled
    line = LinearExpert(alpha=20.0, variance_prior=5.0)  # so that units matter
    model = MixtureOfExpertsRegressor(2, expert=[line, *others], **options)
    return model.fit(X, y, expert_labels=labels)


@pytest.mark.parametrize(
    "neighbour",
    [GammaExpert(), LinearRegression(), GaussianExpert(), LaplaceExpert()],
    ids=lambda neighbour: type(neighbour).__name__,
)
def test_a_linear_expert_is_the_same_beside_any_neighbour(labelled, neighbour):
    alike = first_expert(labelled, "linear").experts_[0]
    view = first_expert(labelled, neighbour).experts_[0]
    for name in ("coef_", "intercept_", "scale_"):
        np.testing.assert_allclose(getattr(view, name), getattr(alike, name), rtol=1e-9)


@pytest.mark.parametrize("neighbour", [GammaExpert(), LinearRegression()], ids=["y", "X and y"])
def test_the_likelihood_is_in_the_callers_units(labelled, neighbour):
    X, y, _ = labelled
    model = first_expert(labelled, neighbour)
    mean = model.predict_experts(X)[:, 0]
    scale = model.experts_[0].scale_
    expected = -0.5 * ((y - mean) / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))
    given = model._fitted.model.log_density(model.params_, model._check_X(X)[:], y[:, None])[:, 0]
    np.testing.assert_allclose(given, expected, rtol=1e-9)
    np.testing.assert_allclose(model.experts_[0].predict(X), mean, rtol=1e-9)
    density = model.predict_dist(X).logpdf(y)
    np.testing.assert_allclose(density, model.log_prob(X, y), rtol=1e-9)


@pytest.mark.parametrize("neighbour", [GammaExpert(), LinearRegression(), LaplaceExpert()])
def test_a_fit_goes_on_where_another_ended(labelled, neighbour):
    fitted = first_expert(labelled, neighbour)
    again = first_expert(labelled, neighbour, init_params=fitted)
    # Up to the rounding of the passage through the caller's units.
    assert again.lower_bounds_[0] == pytest.approx(fitted.lower_bounds_[-1], rel=1e-9)


def test_a_column_that_was_constant_has_an_effect_in_the_next_fit():
    """Where one member wants a column as it is, the union standardises it for the others."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 200))
    y = x + z + 0.1 * rng.normal(size=200)
    expert = ["linear", LinearRegression()]
    options = dict(expert=expert, gate="constant", n_init=1, random_state=0, tol=1e-2)
    fit = MixtureOfExpertsRegressor(2, **options).fit(np.column_stack([np.full(200, 7.0), x]), y)
    X = np.column_stack([50 + 3 * z, x])
    again = MixtureOfExpertsRegressor(2, init_params=fit, **options).fit(X, y)
    assert again.experts_[0].coef_[0] == pytest.approx(1 / 3, abs=0.01)


def test_starting_values_need_the_standardisation_where_members_disagree():
    union, units = ExpertUnion(["linear", "gamma"]), Units(Scaling.identity(2), Scaling.identity(1))
    X, y, resp = problem()
    params = union.init(X, y[:, None], resp, np.random.RandomState(0))
    values = union.to_caller(params, units)
    np.testing.assert_allclose(values["units"]["y_scale"], [[np.std(y)], [1.0]])
    back = union.from_caller(values, units, 2)
    for a, b in zip(leaves(params), leaves(back), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    del values["units"]
    with pytest.raises(ValueError, match="takes 0, 1, units; got 0, 1"):
        union.from_caller(values, units, 2)


def test_the_standardisation_does_not_move():
    X, y, resp = problem()
    union, y = ExpertUnion(["linear", "gamma"]), y[:, None]
    params = union.init(X, y, resp, np.random.RandomState(0))
    stats = union.statistics(params, X, y, resp)
    for name, value in params["units"].items():
        assert not union.gradient(params, stats)["units"][name].any()
        assert np.array_equal(union.maximize(params, stats)["units"][name], value)
    assert union.n_parameters(params) == 4 + 4  # two slopes, an intercept, a variance or shape each


def test_members_that_ignore_x_need_no_columns_standardised():
    X, y, resp = problem()
    union = ExpertUnion(["gaussian", LinearRegression()])
    params = union.init(X, y[:, None], resp, np.random.RandomState(0))
    assert set(params["units"]) == {"y_center", "y_factor"}
    assert union.inputs.raw_columns(2).tolist() == [True, True]


def test_a_constant_target_is_survived():
    X, _, resp = problem()
    y = np.full((len(X), 1), 3.0)
    union = ExpertUnion(["linear", "gamma"])
    params = union.init(X, y, resp, np.random.RandomState(0))
    assert np.isfinite(union.log_prob(params, X, y)).all()
    np.testing.assert_allclose(union.mean(params, X), 3.0, rtol=1e-6)


# -- what members are handed -------------------------------------------------------------------


def test_an_offset_reaches_those_who_take_it_and_no_others():
    X, y, resp = problem()
    y, offset, state = y[:, None], np.linspace(-1, 1, len(X)), np.random.RandomState(0)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    union, gamma = ExpertUnion(["gamma", "linear"]), GammaExpert()  # linear experts take none
    params = union.init(X, y, resp, state, offset=offset)
    alone = gamma.init(X, y, resp[:, :1], state, offset=offset)
    line = union.init(X, y, resp, state)["1"]
    for mine, other in [(params["0"], alone), (params["1"], line)]:
        for a, b in zip(leaves(mine), leaves(other), strict=True):
            np.testing.assert_array_equal(a, b)
    units = Units(Scaling.identity(2), Scaling.identity(1))
    both = {
        "log_prob": lambda part, own, **kw: part.log_prob(own, X, y, **kw),
        "mean": lambda part, own, **kw: part.mean(own, X, **kw)[:, :, 0],
    }
    for verb in both.values():
        heard, unheard = verb(union, params, offset=offset), verb(union, params)
        np.testing.assert_array_equal(heard[:, :1], verb(gamma, alone, offset=offset))
        np.testing.assert_array_equal(heard[:, 1], unheard[:, 1])
    stats = union.statistics(params, X, y, resp, offset=offset)
    expected = gamma.statistics(alone, X, y, resp[:, :1], offset=offset)
    for name, value in expected.items():
        np.testing.assert_array_equal(stats["0"][name], value)
    part = union.components(params, X, units, offset=offset).parts[0]
    np.testing.assert_allclose(part.mean(), gamma.mean(alone, X, offset=offset)[:, :, 0])


def test_views_of_members_that_ignore_x_or_the_offset():
    pandas_like = np.array(["a", "b"])
    union = ExpertUnion(["gaussian", "linear"])
    X, y, resp = problem()
    units = Units(Scaling.identity(2), Scaling.identity(1))
    params = union.init(X, y[:, None], resp, np.random.RandomState(0))
    shell = {"columns": None, "n_features_in": 2, "feature_names_in": pandas_like}
    flat, line = (union.view(params, k, units, **shell, offset_column=None) for k in range(2))
    assert (flat.feature_names_in_.tolist(), line.feature_names_in_.tolist()) == ([], ["a", "b"])
    np.testing.assert_array_equal(flat.predict(X), np.full(len(X), flat.intercept_))


def test_findings_name_the_expert_of_the_union():
    X, y, _ = problem()
    resp = np.zeros((len(X), 3))
    resp[:, 0], resp[:2] = 1.0, [0, 1, 0]  # a line through two rows leaves no residual
    resp[2:4] = [0, 0, 1]
    union = ExpertUnion(["gaussian", LinearExpert(0, 0), LinearExpert(0, 0)])
    y = ((y - y.mean()) / y.std())[:, None]
    params = union.init(X, y, resp, np.random.RandomState(0))
    found = union.diagnose(params, union.statistics(params, X, y, resp))
    assert [finding.category for finding in found] == [ExpertCollapseWarning] * 2
    assert [finding.message[:9] for finding in found] == ["expert 1 ", "expert 2 "]


# -- estimators as members -----------------------------------------------------------------------


def test_an_outright_different_family_takes_its_own_region():
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 2, 200))
    y = np.where(x < 1, 3 * x, np.where(x < 1.5, -2.0, 5.0)) + 0.1 * rng.standard_normal(200)
    items = [("line", "linear"), ("steps", DecisionTreeRegressor(max_depth=1))]
    model = MixtureOfExpertsRegressor(2, expert=items, random_state=0).fit(x[:, None], y)
    # A stump is worth two flat pieces: only line on the left and stump on the right leaves noise.
    assert model.assign(x[:, None]).tolist() == (x >= 1).astype(int).tolist()
    assert max(view.scale_ for view in model.experts_) < 0.12  # the noise's sd is 0.1
    assert model.experts_[0].coef_[0] == pytest.approx(3, abs=0.1)  # sd/√(n/12) = 0.035, three
    assert np.all(np.diff(model.lower_bounds_) >= 0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # thirty iterations
def test_classifiers_side_by_side_know_the_callers_labels():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 2))
    y = np.where(X[:, 0] + 0.5 * rng.standard_normal(150) > 0, "yes", "no")
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    items = ["softmax", DecisionTreeClassifier(max_depth=2), frozen]
    model = MixtureOfExpertsClassifier(3, expert=items, max_iter=30, tol=1e-3, random_state=0)
    model.fit(X, y)
    assert model.predict_proba(X).shape == (150, 2)
    each = model.predict_experts(X)
    np.testing.assert_allclose(each[:, 2], frozen.predict_proba(X), atol=1e-9)  # floor of 1e-12
    assert model.score(X, y) > 0.8


# -- names and parameters --------------------------------------------------------------------------


def test_parameters_of_pairs_can_be_read_and_set():
    union = ExpertUnion([("line", "linear"), ("tree", DecisionTreeRegressor())])
    union.set_params(line__alpha=0.5, tree__max_depth=3)
    assert union.get_params()["line__alpha"] == 0.5
    assert union.get_params()["tree__max_depth"] == 3
    union.set_params(tree=DummyRegressor())
    assert isinstance(dict(union.experts)["tree"], DummyRegressor)
    twin = clone(union)
    assert repr(twin) == repr(union) and twin.experts[0][1] is not union.experts[0][1]
    with pytest.raises(ValueError, match="Invalid parameter 'wood'"):
        union.set_params(wood__alpha=1)


def test_a_plain_list_has_no_parameters_of_its_own():
    union = ExpertUnion(["linear", LinearExpert()])
    assert list(union.get_params()) == ["experts"]
    assert union.set_params(experts=[("a", "linear")]).get_params()["a"] == "linear"


def test_pairs_are_searched():
    X, y, _ = problem()
    model = MixtureOfExpertsRegressor(
        2, expert=[("line", "linear"), ("flat", "gaussian")], n_init=1, tol=1e-3, random_state=0
    )
    model.set_params(expert__line__alpha=1.0)
    search = GridSearchCV(model, {"expert__line__alpha": [1e-6, 1e6]}, cv=2).fit(X, y)
    assert search.best_params_ == {"expert__line__alpha": 1e-6}


@pytest.mark.parametrize(
    "experts, error, message",
    [
        ([], ValueError, r"experts=\[\] of ExpertUnion: needs a list"),
        ("linear", ValueError, "experts='linear' of ExpertUnion: needs a list"),
        (["straight"], ValueError, "expert 'straight' is not known; use one of 'binomial'"),
        (["linear", 3], TypeError, "3 in an ExpertUnion is no expert"),
        (["linear", LinearExpert], TypeError, "is no expert"),
        (["linear", ("a", "linear")], TypeError, "all in .name, expert. pairs or none"),
        ([("a", "linear"), ("a", "linear")], ValueError, "not unique"),
        ([("a__b", "linear")], ValueError, "must not contain __"),
        ([("experts", "linear")], ValueError, "conflict with constructor arguments"),
        ([("units", "linear")], ValueError, "strings other than 'units'"),
        ([(1, "linear")], ValueError, r"strings other than 'units', got \[1\]"),
        ([ExpertUnion(["linear"])], ValueError, "expert '0' of ExpertUnion holds several"),
        (["linear", LinearExpert(-1)], ValueError, "alpha=-1 of LinearExpert"),
        (["linear", "softmax"], ValueError, "LinearExpert beside SoftmaxExpert"),
        (["linear", "poisson"], ValueError, "no common measure: LinearExpert beside Poisson"),
        (["poisson", "binomial"], ValueError, "of one column and of several"),
    ],
)
def test_lists_that_make_no_mixture_are_refused(experts, error, message):
    with pytest.raises(error, match=message):
        ExpertUnion(experts).check_parameters()


def test_a_target_is_refused_in_the_words_of_the_member():
    with pytest.raises(ValueError, match=r"(?i)gamma"):
        ExpertUnion(["linear", "gamma"]).check_target(np.array([1.0, -1.0]))
    ExpertUnion(["linear", "laplace"]).check_target(np.array([1.0, -1.0]))


@pytest.mark.parametrize("order", [1, 2])
def test_members_with_a_stage_share_one_compiled_pass(order):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9000, 3))  # two blocks and a shorter one
    y = X[:, :1] + rng.laplace(size=(9000, 1))
    y[:500:7] = 0.25
    union = ExpertUnion(["linear", "laplace", NoiseExpert(), "gaussian", StudentTExpert()])
    resp = rng.dirichlet(np.ones(5), 9000)
    models = [MixtureModel(SoftmaxGate(), union, compiled=flag) for flag in (True, False)]
    params = models[1].init(X, y, resp, np.random.RandomState(0))
    assert fused_pass.lookup(models[0], X, y) is fused_pass.staged
    found, expected = (m.statistics(params, X, y, np.ones(9000), order) for m in models)
    for member, own in expected["expert"].items():
        assert found["expert"][member].keys() == own.keys()
        for name, value in own.items():
            size = np.abs(value).max(initial=1.0)
            np.testing.assert_allclose(found["expert"][member][name], value, atol=1e-11 * size)
