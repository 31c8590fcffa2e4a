"""What both estimators share: names, defaults, probabilities, criteria, starts, callbacks."""

import inspect
import itertools
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from weak import WEAK

import classic_moe
from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert, SoftmaxExpert
from classic_moe.gates import ConstantGate, SoftmaxGate
from classic_moe.solvers import EM

BOTH = pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
# Two ways of computing one number: a few hundred additions apart.
ROUNDING = dict(rtol=1e-10, atol=1e-12)


def make_data(kind, n=120):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n, 2)) * [1.0, 30.0] + [0.0, 100.0]
    z = (X - [0, 100]) / [1, 30]
    y = np.where(z[:, 0] + 0.3 * rng.logistic(size=n) > 0, 2 * z[:, 1], 3 - z[:, 1])
    y = y + 0.4 * rng.standard_normal(n)
    return X, (
        y
        if kind is MixtureOfExpertsRegressor
        else np.digitize(y + rng.logistic(size=n), [0.0, 2.0])
    )


@pytest.fixture(scope="module", params=[MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def fitted(request):
    X, y = make_data(request.param)
    weight = np.random.RandomState(1).randint(1, 4, size=len(X)).astype(float)
    model = request.param(2, n_init=4, random_state=0).set_params(**WEAK)
    return model.fit(X, y, weight), X, y, weight


# -- the contract ----------------------------------------------------------------------------------

SHARED = dict(
    n_experts=2,
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
)


def test_parameters_and_their_defaults_are_the_contract():
    assert MixtureOfExpertsRegressor().get_params(deep=False) == {**SHARED, "expert": "linear"}
    classifier = MixtureOfExpertsClassifier().get_params(deep=False)
    assert classifier == {**SHARED, "expert": "softmax", "class_weight": None}


@BOTH
def test_only_the_number_of_experts_may_be_given_by_position(kind):
    kinds = [p.kind for p in inspect.signature(kind).parameters.values()]
    assert kinds[0] is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds[1:]) == {inspect.Parameter.KEYWORD_ONLY}
    fit = inspect.signature(kind.fit).parameters
    assert list(fit) == ["self", "X", "y", "sample_weight", "groups", "expert_labels", "callback"]
    assert all(fit[name].kind is fit["groups"].KEYWORD_ONLY for name in list(fit)[4:])


def test_methods_are_the_contract():
    shared = (
        "fit predict predict_experts gate_proba responsibilities assign log_prob score sample aic"
        " bic icl summary equations"
    ).split()
    for kind, own in (
        (MixtureOfExpertsRegressor, ["predict_dist"]),
        (MixtureOfExpertsClassifier, ["predict_proba", "predict_log_proba"]),
    ):
        for name in shared + own:
            assert callable(getattr(kind, name)), name
        for name in ("transform", "decision_function", "score_samples"):
            assert not hasattr(kind, name), name
    assert not hasattr(MixtureOfExpertsRegressor, "predict_proba")
    assert not hasattr(MixtureOfExpertsClassifier, "predict_dist")


def test_top_level_names_are_the_contract():
    for name in (
        "MixtureOfExpertsRegressor MixtureOfExpertsClassifier log_likelihood_scorer"
        " ExpertCollapseWarning SeparationWarning __version__"
    ).split():
        assert hasattr(classic_moe, name), name


def test_fitted_attributes_are_the_contract(fitted):
    model, X, _, weight = fitted
    K, p = 2, X.shape[1]
    assert set(model.params_) == {"gate", "expert"}
    assert len(model.experts_) == model.n_experts_ == K
    assert model.gate_.coef_.shape == (K, p)
    assert model.gate_.intercept_.shape == (K,)
    assert model.weights_.shape == (K,)
    assert_allclose(model.weights_.sum(), 1, rtol=1e-12)
    assert isinstance(model.log_likelihood_, float)
    assert model.lower_bounds_.shape == (model.n_iter_ + 1,)
    assert model.converged_ is True
    assert model.n_features_in_ == p
    q = 2 if hasattr(model, "classes_") else 1
    own = K * (q * (p + 1) + (0 if hasattr(model, "classes_") else 1))
    assert model.n_parameters_ == own + (K - 1) * (p + 1)
    vocabulary = {name for name in vars(model) if name.endswith("_")} - {"classes_"}
    assert vocabulary == set(
        (
            "params_ experts_ n_experts_ gate_ weights_ log_likelihood_ lower_bounds_ n_iter_"
            " converged_ n_parameters_ n_features_in_ learning_curve_ starts_"
        ).split()
    )
    assert weight.sum() > len(X)


def test_constant_parts_count_their_own_parameters_only():
    X, y = make_data(MixtureOfExpertsRegressor)
    options = dict(n_experts=3, n_init=2, random_state=0, tol=1e-11)
    model = MixtureOfExpertsRegressor(expert="gaussian", gate="constant", **options).fit(X, y)
    assert model.n_parameters_ == 3 * 2 + 2
    assert model.gate_.coef_.shape == (3, 0)
    assert_allclose(model.gate_.weights_, model.weights_, atol=1e-6)  # at convergence
    model = MixtureOfExpertsRegressor(gate_features=[], expert_features=[1], **options).fit(X, y)
    assert model.n_parameters_ == 3 * 3 + 2


# -- probabilities ---------------------------------------------------------------------------------


def test_gate_and_experts_are_what_their_views_say(fitted):
    model, X, _, _ = fitted
    scores = X @ model.gate_.coef_.T + model.gate_.intercept_
    gate = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert_allclose(model.gate_proba(X), gate / gate.sum(axis=1, keepdims=True), **ROUNDING)
    method = "predict_proba" if hasattr(model, "classes_") else "predict"
    views = [getattr(expert, method)(X) for expert in model.experts_]
    assert_allclose(model.predict_experts(X), np.stack(views, axis=1), **ROUNDING)


def test_responsibilities_are_bayes_rule(fitted):
    model, X, y, weight = fitted
    joint = model.gate_proba(X) * densities(model, X, y)
    posterior = joint / joint.sum(axis=1, keepdims=True)
    assert_allclose(model.responsibilities(X, y), posterior, rtol=1e-9, atol=1e-12)
    assert_allclose(model.log_prob(X, y), np.log(joint.sum(axis=1)), **ROUNDING)
    assert_allclose(model.weights_, weight @ posterior / weight.sum(), **ROUNDING)


def densities(model, X, y):
    """p_k(y|x) by hand, (n, K)."""
    means = model.predict_experts(X)
    if hasattr(model, "classes_"):
        return means[np.arange(len(X)), :, np.searchsorted(model.classes_, y)]
    sd = np.array([expert.scale_ for expert in model.experts_])
    return np.exp(-0.5 * ((y[:, None] - means) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))


def test_assign_is_the_most_probable_expert(fitted):
    model, X, y, _ = fitted
    assert_array_equal(model.assign(X), model.gate_proba(X).argmax(axis=1))
    assert_array_equal(model.assign(X, y), model.responsibilities(X, y).argmax(axis=1))
    assert model.assign(X).shape == (len(X),)
    assert model.assign(X).dtype.kind == "i"


def test_likelihood_and_criteria_are_their_definitions(fitted):
    model, X, y, weight = fitted
    log_prob, m = model.log_prob(X, y), model.n_parameters_
    assert_allclose(model.log_likelihood_, weight @ log_prob, **ROUNDING)
    for w, arguments in ((weight, (weight,)), (np.ones(len(X)), ())):
        bic = -2 * w @ log_prob + m * np.log(w.sum())
        assert_allclose(model.aic(X, y, *arguments), -2 * w @ log_prob + 2 * m, **ROUNDING)
        assert_allclose(model.bic(X, y, *arguments), bic, **ROUNDING)
        resp = model.responsibilities(X, y)
        entropy = -np.sum(resp * np.log(np.maximum(resp, 1e-300)), axis=1)
        assert_allclose(model.icl(X, y, *arguments), bic + 2 * w @ entropy, **ROUNDING)
        assert isinstance(model.bic(X, y, *arguments), float)


def test_the_last_lower_bound_is_the_likelihood_less_the_penalties(fitted):
    """Penalties by hand from the views, in standardised units."""
    model, X, y, weight = fitted
    sd = np.sqrt(np.average((X - np.average(X, axis=0, weights=weight)) ** 2, 0, weight))
    gate = model.gate_.coef_ - model.gate_.coef_.mean(axis=0)  # symmetric over the experts
    penalty = 0.5 * 1e-3 * np.sum((gate * sd) ** 2)
    if hasattr(model, "classes_"):
        for expert in model.experts_:
            coef = expert.coef_ - expert.coef_.mean(axis=0)
            penalty += 0.5 * 1e-3 * np.sum((coef * sd) ** 2)
    else:
        spread = np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight))
        for expert in model.experts_:
            variance = (expert.scale_ / spread) ** 2
            penalty += 0.5 * 1e-6 * np.sum((expert.coef_ * sd / spread) ** 2)
            penalty += 0.5 * 1e-2 * (np.log(variance) + 1 / variance)
    assert_allclose(model.lower_bounds_[-1], model.log_likelihood_ - penalty, **ROUNDING)


def test_without_penalties_the_objective_is_the_likelihood():
    X, y = make_data(MixtureOfExpertsRegressor)
    expert = LinearExpert(alpha=0, variance_prior=0)
    model = MixtureOfExpertsRegressor(2, expert=expert, gate=SoftmaxGate(alpha=0), random_state=0)
    model.fit(X, y)
    assert_allclose(model.lower_bounds_[-1], model.log_likelihood_, rtol=1e-12)


def start_for(y):
    resp = np.where(np.arange(len(y)) < len(y) / 2, 0.8, 0.2)
    return np.column_stack([resp, 1 - resp])


@BOTH
def test_penalties_act_on_standardised_columns_only_if_asked(kind):
    X, y = make_data(kind)
    options = dict(gate=SoftmaxGate(alpha=10), init_params=start_for(y), tol=1e-10)
    options["expert"] = (LinearExpert if kind is MixtureOfExpertsRegressor else SoftmaxExpert)(1.0)
    scaled = X * [1e3, 1.0]
    standard = [kind(2, **options).fit(Z, y).gate_proba(Z) for Z in (X, scaled)]
    assert_allclose(standard[0], standard[1], atol=1e-6)
    raw = [kind(2, standardize=False, **options).fit(Z, y).gate_proba(Z) for Z in (X, scaled)]
    assert np.abs(raw[0] - raw[1]).max() > 1e-3


# -- order and gauge -------------------------------------------------------------------------------


@BOTH
@pytest.mark.filterwarnings("ignore::classic_moe.SeparationWarning")  # classes of few rows
@pytest.mark.parametrize("gate", ["softmax", "constant"])
def test_experts_come_by_decreasing_weight(kind, gate):
    X, y = make_data(kind)
    model = kind(3, gate=gate, n_init=3, random_state=1).fit(X, y)
    assert (np.diff(model.weights_) <= 0).all()


def test_ties_in_weight_come_by_decreasing_intercept():
    X = np.tile(np.linspace(-1, 1, 50), 2)[:, None]
    y = np.repeat([-5.0, 5.0], 50) + 0.1 * np.tile(np.sin(30 * X[:50, 0]), 2)
    model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    assert_allclose(model.weights_, 0.5, rtol=1e-9)
    assert model.experts_[0].intercept_ > model.experts_[1].intercept_


def test_log_odds_are_against_the_last_expert_and_the_last_class(fitted):
    model, X, _, _ = fitted
    assert_array_equal(model.gate_.coef_[-1], 0)
    assert model.gate_.intercept_[-1] == 0
    gate = model.gate_proba(X)
    odds = np.log(gate[:, 0] / gate[:, -1])
    assert_allclose(odds, X @ model.gate_.coef_[0] + model.gate_.intercept_[0], atol=1e-8)
    if hasattr(model, "classes_"):
        for expert in model.experts_:
            assert_array_equal(expert.coef_[-1], 0)
            assert expert.intercept_[-1] == 0


# -- starts ----------------------------------------------------------------------------------------


def values_of(model):
    """A fit as a start in the caller's units."""
    expert = {
        "coef": np.stack([expert.coef_ for expert in model.experts_]),
        "intercept": np.stack([expert.intercept_ for expert in model.experts_]),
    }
    if not hasattr(model, "classes_"):
        expert["scale"] = np.stack([expert.scale_ for expert in model.experts_])
    return {
        "gate": {"coef": model.gate_.coef_, "intercept": model.gate_.intercept_},
        "expert": expert,
    }


def test_a_start_given_as_values_is_where_the_fit_starts(fitted):
    model, X, y, weight = fitted
    for start in (values_of(model), model):
        again = clone(model).set_params(init_params=start).fit(X, y, weight)
        # The start is an optimum, known to tol: the fit ends where it began.
        assert_allclose(again.lower_bounds_[0], model.lower_bounds_[-1], rtol=1e-10)
        assert again.lower_bounds_[-1] - again.lower_bounds_[0] <= 1e-6 * weight.sum()


def test_a_start_of_values_may_use_other_units_than_the_fit_inside(fitted):
    """The likelihood at any values given is that of the views' formulas, not of an optimum."""
    model, X, y, _ = fitted
    values = values_of(model)
    values["gate"]["intercept"] = values["gate"]["intercept"] + [0.7, 0.0]
    values["expert"]["intercept"] = values["expert"]["intercept"] * 1.1
    options = dict(init_params=values, max_iter=1, gate=SoftmaxGate(alpha=0))
    classifier = hasattr(model, "classes_")
    expert = SoftmaxExpert(alpha=0) if classifier else LinearExpert(alpha=0, variance_prior=0)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        start = clone(model).set_params(expert=expert, **options).fit(X, y)
    scores = X @ values["gate"]["coef"].T + values["gate"]["intercept"]
    gate = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    linear = np.einsum("np,k...p->nk...", X, values["expert"]["coef"])
    linear = linear + values["expert"]["intercept"]
    if classifier:
        proba = np.exp(linear - np.logaddexp.reduce(linear, axis=2, keepdims=True))
        density = np.take_along_axis(proba, y[:, None, None], axis=2)[:, :, 0]
    else:
        sd = values["expert"]["scale"]
        density = np.exp(-0.5 * ((y[:, None] - linear) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    by_hand = np.log((gate * density).sum(axis=1)).sum()
    assert_allclose(start.lower_bounds_[0], by_hand, **ROUNDING)


def test_a_start_in_any_gauge_is_the_same_start(fitted):
    model, X, y, _ = fitted
    values = values_of(model)
    shifted = values_of(model)
    shifted["gate"]["coef"] = shifted["gate"]["coef"] + [3.0, 0.02]
    shifted["gate"]["intercept"] = shifted["gate"]["intercept"] - 2.0
    one, other = (clone(model).set_params(init_params=v).fit(X, y) for v in (values, shifted))
    assert_allclose(one.lower_bounds_[0], other.lower_bounds_[0], rtol=1e-9)
    assert_allclose(one.gate_.coef_, other.gate_.coef_, rtol=1e-4, atol=1e-6)


@BOTH
def test_responsibilities_given_are_the_start(kind):
    """As an array, as a callable and not normalised: the same first M-step."""
    X, y = make_data(kind)
    resp = np.random.RandomState(0).dirichlet([1, 1, 1], size=len(X))
    asked = []

    def start(X, y, n_experts, random_state):
        asked.append((X.shape, len(y), n_experts))
        random_state.uniform()
        return resp

    fits = [
        kind(3, init_params=s, random_state=0).set_params(**WEAK).fit(X, y)
        for s in (resp, start, 7 * resp)
    ]
    assert set(asked) == {((120, 2), 120, 3)}
    for model in fits[1:]:
        assert_allclose(model.lower_bounds_[0], fits[0].lower_bounds_[0], rtol=1e-12)
        assert_allclose(model.predict_experts(X), fits[0].predict_experts(X), **ROUNDING)


@BOTH
def test_a_callable_gets_the_callers_own_data_and_as_many_tries_as_n_init(kind):
    X, y = make_data(kind)
    y = y if kind is MixtureOfExpertsRegressor else np.array(["no", "so", "yes"])[y]
    seen = []

    def start(X, y, n_experts, random_state):
        seen.append((X.copy(), y.copy()))
        return random_state.dirichlet(np.ones(n_experts), size=len(X))

    kind(2, init_params=start, n_init=4, random_state=0).fit(X, y, np.arange(120) % 3)
    assert len(seen) == 4
    kept = np.arange(120) % 3 > 0
    assert_array_equal(seen[0][0], X[kept])  # rows of weight 0 are not there
    assert_array_equal(seen[0][1], y[kept])


@BOTH
@pytest.mark.parametrize("start", ["quantile", "random", "kmeans"])
def test_each_kind_of_start_fits(kind, start):
    X, y = make_data(kind)
    model = kind(2, init_params=start, n_init=3, random_state=0).fit(X, y)
    assert model.converged_
    assert model.score(X, y) > 0.5


@BOTH
def test_one_expert_uses_no_random_numbers(kind):
    X, y = make_data(kind)
    rng = np.random.RandomState(0)
    kind(1, random_state=rng).fit(X, y)
    assert rng.uniform() == np.random.RandomState(0).uniform()


@BOTH
def test_warm_start_goes_on_from_the_last_fit(kind):
    X, y = make_data(kind)
    cold = kind(2, random_state=0, tol=1e-9).fit(X, y)
    model = kind(2, random_state=0, warm_start=True, max_iter=3, tol=1e-9)
    for _ in range(100):
        last = model.lower_bounds_[-1] if hasattr(model, "params_") else None
        try:
            model.fit(X, y)
        except ConvergenceWarning:
            model.set_params(max_iter=500).fit(X, y)  # warnings are errors here
        if last is not None:
            assert_allclose(model.lower_bounds_[0], last, rtol=1e-10)
            break
        model.set_params(max_iter=500)
    assert_allclose(model.lower_bounds_[-1], cold.lower_bounds_[-1], atol=1e-4)


@BOTH
def test_warm_start_continues_in_the_callers_units_on_other_rows(kind):
    X, y = make_data(kind)
    model = kind(2, random_state=0, warm_start=True).fit(X, y)
    before = values_of(model)
    half = slice(0, 80)
    log_prob = model.log_prob(X[half], y[half]).sum()
    model.fit(X[half], y[half])
    assert model.log_likelihood_ >= log_prob - 0.1  # penalties weigh a little otherwise
    assert before["gate"]["coef"].shape == model.gate_.coef_.shape


@BOTH
def test_without_warm_start_a_second_fit_forgets_the_first(kind):
    X, y = make_data(kind)
    model = kind(2, n_init=2, random_state=0)
    first = model.fit(X, y).gate_proba(X)
    model.fit(X[:60] * 5 + 1, y[:60])
    assert_array_equal(model.fit(X, y).gate_proba(X), first)


# -- callback and verbose --------------------------------------------------------------------------


@BOTH
def test_the_callback_sees_every_iteration_and_stops_the_fit(kind):
    X, y = make_data(kind)
    seen = []

    def callback(iteration, params, objective):
        seen.append((iteration, params, objective))
        return len(seen) == 3

    start = np.random.RandomState(0).dirichlet([1, 1], size=len(X))
    model = kind(2, init_params=start).fit(X, y, callback=callback)
    assert [iteration for iteration, _, _ in seen] == [1, 2, 3]
    assert model.n_iter_ == 3
    assert not model.converged_
    assert_allclose([value for _, _, value in seen], model.lower_bounds_[1:], rtol=1e-12)
    assert set(seen[-1][1]) == {"gate", "expert"}


@BOTH
def test_only_true_stops_the_fit(kind):
    X, y = make_data(kind)
    reference = kind(2, n_init=2, random_state=0).fit(X, y)
    model = kind(2, n_init=2, random_state=0).fit(X, y, callback=lambda *step: 1)
    assert_array_equal(model.lower_bounds_, reference.lower_bounds_)


def test_a_number_does_not_stop_a_fit_whose_short_run_had_converged():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((200, 1))
    y = np.where(X[:, 0] > 0, 5, -5) + 0.1 * rng.standard_normal(200)
    seen = {answer: [] for answer in (7, None)}
    for answer, calls in seen.items():

        def told(*step, calls=calls, answer=answer):
            calls.append(step[0])
            return answer

        MixtureOfExpertsRegressor(2, random_state=0).fit(X, y, callback=told)
    assert seen[7] == seen[None] and len(seen[7]) > 1


@BOTH
def test_the_callbacks_objective_never_falls_within_a_start(kind):
    X, y = make_data(kind)
    seen = []
    kind(2, n_init=1).fit(X, y, callback=lambda i, p, value: seen.append((i, value)))
    assert len(seen) > 1
    for (i, value), (j, following) in itertools.pairwise(seen):
        if j == i + 1:
            assert following >= value - 1e-10 * abs(value)


@BOTH
def test_verbose_shows_progress(kind, capsys):
    X, y = make_data(kind)
    kind(2, n_init=2, random_state=0).fit(X, y)
    assert capsys.readouterr().out == ""
    model = kind(2, n_init=2, random_state=0, verbose=1).fit(X, y)
    assert re.search(
        r"converged after \d+ iterations: objective -?\d+\.\d+", capsys.readouterr().out
    )
    model.set_params(verbose=2).fit(X, y)
    assert re.search(r"start 1 of 2: objective", capsys.readouterr().out)
    model.set_params(n_init=1).fit(X, y)
    out = capsys.readouterr().out
    assert re.search(r"iteration \d+: objective .* gain .* a row", out)


def test_verbose_and_lower_bounds_speak_of_the_same_objective(fitted, capsys):
    model, X, y, weight = fitted
    again = clone(model).set_params(verbose=1).fit(X, y, weight)
    printed = re.findall(r"objective (-?\d+\.\d+)", capsys.readouterr().out)
    assert any(abs(float(p) - again.lower_bounds_[-1]) < 1e-4 for p in printed)


# -- parts -----------------------------------------------------------------------------------------


@BOTH
def test_aliases_are_the_objects_at_their_defaults(kind):
    X, y = make_data(kind)
    expert = LinearExpert() if kind is MixtureOfExpertsRegressor else SoftmaxExpert()
    options = dict(n_init=2, random_state=0)
    by_name = kind(2, solver="em", **options).fit(X, y)
    by_object = kind(2, expert=expert, gate=SoftmaxGate(), solver=EM(), **options).fit(X, y)
    assert_array_equal(by_name.lower_bounds_, by_object.lower_bounds_)
    constant = [kind(2, gate=g, **options).fit(X, y) for g in ("constant", ConstantGate())]
    assert_array_equal(constant[0].lower_bounds_, constant[1].lower_bounds_)


@BOTH
def test_each_part_sees_its_own_columns_only(kind):
    X, y = make_data(kind)
    model = kind(2, gate_features=[0], expert_features=[1], n_init=2, random_state=0)
    model.set_params(**WEAK).fit(X, y)
    assert model.gate_.coef_.shape == (2, 1)
    assert model.experts_[0].coef_.shape[-1] == 1
    other = X.copy()
    other[:, 1] += 5
    assert_array_equal(model.gate_proba(other), model.gate_proba(X))
    other = X.copy()
    other[:, 0] += 5
    assert_array_equal(model.predict_experts(other), model.predict_experts(X))
    model.set_params(expert_features=None, gate_features=[])
    one_column = clone(model).fit(X[:, 1:], y)
    no_gate = clone(model).set_params(gate="constant", gate_features=None).fit(X[:, 1:], y)
    # The same model; both know their optimum to about tol per row, a little more in truth.
    assert_allclose(one_column.lower_bounds_[-1], no_gate.lower_bounds_[-1], atol=1e-3)


@BOTH
def test_views_take_the_estimators_columns_or_their_own(kind):
    X, y = make_data(kind)
    table = pd.DataFrame(X, columns=["age", "income"])
    model = kind(2, expert_features=["income"], n_init=2, random_state=0).fit(table, y)
    expert = model.experts_[0]
    assert_array_equal(expert.feature_names_in_, ["income"])
    expected = expert.predict(table)
    for other in (table[["income", "age"]], X, X[:, [1]]):
        assert_array_equal(expert.predict(other), expected)
    for wrong in (np.zeros((3, 5)), np.zeros(2)):
        with pytest.raises(ValueError, match=r"X has shape .* takes the estimator's 2 columns"):
            expert.predict(wrong)
    assert re.match(r"(Regression|Classification)View\(coef_=.*intercept_=", repr(expert), re.S)
    assert repr(model.gate_).startswith("GateView(coef_=")


def test_a_constant_gate_starts_from_weights_or_log_odds():
    X, y = make_data(MixtureOfExpertsRegressor)
    expert = {"coef": np.zeros((2, 2)), "intercept": [0.0, 3.0], "scale": [1.0, 1.0]}
    options = dict(gate="constant", n_experts=2)
    fits = [
        MixtureOfExpertsRegressor(init_params={"gate": g, "expert": expert}, **options).fit(X, y)
        for g in ({"weights": [0.25, 0.75]}, {"intercept": [0.0, np.log(3.0)]})
    ]
    assert_allclose(fits[0].lower_bounds_[0], fits[1].lower_bounds_[0], rtol=1e-12)
    start = {"gate": {"weights": [1.0, 0.0]}, "expert": expert}
    with pytest.raises(ValueError, match=r"weights of the gate must be positive"):
        MixtureOfExpertsRegressor(init_params=start, **options).fit(X, y)


@pytest.mark.weak_penalties
def test_logistic_experts_start_from_values():
    X, y = make_data(MixtureOfExpertsClassifier)
    model = MixtureOfExpertsClassifier(2, expert="logistic", n_init=2, random_state=0).fit(X, y > 0)
    again = clone(model).set_params(init_params=values_of(model)).fit(X, y > 0)
    assert_allclose(again.lower_bounds_[0], model.lower_bounds_[-1], rtol=1e-10)
