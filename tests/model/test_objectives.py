"""The three error functions of 1991 as objectives, and what the shell makes of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from classic_moe import AdaptiveLocalExpertsClassifier, AdaptiveLocalExpertsRegressor
from classic_moe.data.batches import ArrayBatches
from classic_moe.datasets import make_piecewise_regression
from classic_moe.experts import (
    BinomialExpert,
    EstimatorExpert,
    ExpertUnion,
    GammaExpert,
    GaussianExpert,
    LaplaceExpert,
    LinearExpert,
    MLPExpert,
    NegativeBinomialExpert,
    NoiseExpert,
    PoissonExpert,
    SoftmaxExpert,
    StudentTExpert,
)
from classic_moe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.model.objectives import NAMED, BlendedError, ExpectedError, MixtureLikelihood
from classic_moe.parts.coordinates import Coordinates
from classic_moe.parts.params import ravel

ERRORS = ["expected_error", "blended_error"]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def row(rng):
    """log g (n, K), means (n, K, q), y (n, q)."""
    gate = rng.dirichlet(np.ones(3), size=5)
    return np.log(gate), rng.normal(size=(5, 3, 2)), rng.normal(size=(5, 2))


# -- the paper's equations ------------------------------------------------------------------------


def test_the_values_are_those_of_equations_1_1_to_1_3(row):
    log_gate, mean, y = row
    gate, square = np.exp(log_gate), ((y[:, None] - mean) ** 2).sum(axis=2)
    log_density = -0.5 * square  # of unit variance, without the constant
    assert_allclose(
        BlendedError()(log_gate, mean, y)[0],
        -0.5 * ((y - np.einsum("nk,nkq->nq", gate, mean)) ** 2).sum(axis=1),
    )
    assert_allclose(ExpectedError()(log_gate, log_density)[0], -0.5 * (gate * square).sum(axis=1))
    assert_allclose(
        MixtureLikelihood()(log_gate, log_density)[0],
        np.log((gate * np.exp(-0.5 * square)).sum(axis=1)),
    )


def test_the_gates_derivatives_are_the_papers(row):
    """dE1.3/ds_i = -(h_i - p_i) and dE1.2/ds_i = p_i (|d - o_i|² - E1.2), s the log-odds."""
    log_gate, mean, y = row
    gate, square = np.exp(log_gate), ((y[:, None] - mean) ** 2).sum(axis=2)
    expected = (gate * square).sum(axis=1, keepdims=True)
    _, pull, resp = ExpectedError()(log_gate, -0.5 * square)
    assert_allclose(pull, -0.5 * gate * (square - expected))
    assert_allclose(resp, gate)
    _, pull, resp = MixtureLikelihood()(log_gate, -0.5 * square)
    posterior = gate * np.exp(-0.5 * square)
    assert_allclose(pull, posterior / posterior.sum(axis=1, keepdims=True))
    assert resp is pull


@pytest.mark.parametrize("unit", [1.0, np.array([2.0, 0.5])])
def test_the_blends_derivatives_are_those_of_the_squared_error(row, unit):
    log_gate, mean, y = row
    blended = BlendedError(unit)
    _, pull, slope = blended(log_gate, mean, y)
    h = 1e-6
    for k in range(3):
        step = h * np.eye(3)[k]
        odds = [log_gate + s - np.log(np.exp(log_gate + s).sum(1))[:, None] for s in (step, -step)]
        up, down = (blended(each, mean, y)[0] for each in odds)
        assert_allclose(pull[:, k], (up - down) / (2 * h), atol=1e-8)  # error of order h²
        for j in range(2):
            shift = np.zeros((3, 2))
            shift[k, j] = h
            up, down = (blended(log_gate, mean + s * shift, y)[0] for s in (1, -1))
            assert_allclose(slope[:, k, j], (up - down) / (2 * h), atol=1e-8)


def test_a_gate_for_every_output_blends_each_by_itself(row):
    log_gate, mean, y = row
    both = np.stack([log_gate, log_gate[::-1]], axis=2)
    value, pull, slope = BlendedError()(both, mean, y)
    apart = [BlendedError()(both[:, :, j], mean[:, :, [j]], y[:, [j]]) for j in range(2)]
    assert_allclose(value, sum(part[0] for part in apart))
    assert_allclose(pull, np.stack([part[1] for part in apart], axis=2))
    assert_allclose(slope, np.concatenate([part[2] for part in apart], axis=2))


def test_the_expected_error_is_at_most_the_likelihood_and_equal_for_a_sure_gate(row):
    log_gate, mean, y = row
    log_density = norm.logpdf(y[:, :1] - mean[:, :, 0])
    assert (
        ExpectedError()(log_gate, log_density)[0] <= MixtureLikelihood()(log_gate, log_density)[0]
    ).all()
    sure = np.array([[0.0, -np.inf, -np.inf]] * 5)
    for objective in (ExpectedError(), MixtureLikelihood()):
        assert_allclose(objective(sure, log_density)[0], log_density[:, 0])


def test_an_excluded_expert_of_density_zero_costs_nothing():
    log_gate, log_density = np.array([[0.0, -np.inf]]), np.array([[-1.0, -np.inf]])
    value, pull, resp = ExpectedError()(log_gate, log_density)
    assert_allclose([*value, *pull[0], *resp[0]], [-1, 0, 0, 1, 0])


# -- gradients ----------------------------------------------------------------------------------

N, K = 30, 3
GATES = {
    "softmax": SoftmaxGate(alpha=0.3),
    "constant": ConstantGate(),
    "gaussian": GaussianGate(variance_prior=0.5),
    "tree": TreeGate(structure=((0, 1), 2)),
}
EXPERTS = {  # kind of y, expert
    "linear": ("two", LinearExpert(alpha=0.2)),
    "linear, fixed variance": ("two", LinearExpert(alpha=0.2, variance=2.0)),
    "constant": ("two", GaussianExpert()),
    "student t": ("two", StudentTExpert()),
    "laplace": ("real", LaplaceExpert()),
    "mlp": ("two", MLPExpert((4,))),
    "mlp, fixed variance": ("two", MLPExpert((4,), variance=1.0)),
    "mlp classes": ("class", MLPExpert((4,))),
    "softmax": ("class", SoftmaxExpert(alpha=0.1)),
    "poisson": ("count", PoissonExpert(alpha=0.1)),
    "negative binomial": ("count", NegativeBinomialExpert()),
    "gamma": ("positive", GammaExpert()),
    "gamma inverse": ("positive", GammaExpert(link="inverse", alpha=0.1)),
    "binomial": ("trials", BinomialExpert()),
    "union": ("positive", ExpertUnion(["linear", "gamma", NoiseExpert("normal")])),
}
PAIRS = [("softmax", expert) for expert in EXPERTS] + [
    (gate, expert)
    for gate in ("constant", "gaussian", "tree")
    for expert in ("linear", "softmax", "union", "poisson")
]


def problem(gate, expert, objective, rng):
    """A model, params off its optimum, rows with weights, and the kinds of the coordinates."""
    kind, part = EXPERTS[expert]
    X = rng.normal(size=(N, 3))
    y = {
        "real": lambda: rng.normal(size=(N, 1)),
        "two": lambda: rng.normal(size=(N, 2)),
        "class": lambda: rng.integers(3, size=N),
        "count": lambda: rng.poisson(2, size=(N, 1)).astype(float),
        "positive": lambda: rng.gamma(2, size=(N, 1)),
        "trials": lambda: rng.poisson(2, size=(N, 2)).astype(float),
    }[kind]()
    own, offset = (np.array([0, 1]), 2) if part.target.offset else (None, None)
    model = MixtureModel(GATES[gate], part, own, own, offset, objective=NAMED[objective]())
    weight = rng.uniform(0.5, 2, N)
    resp = rng.dirichlet(np.ones(K), size=N) * weight[:, None]
    classes = np.arange(3) if kind == "class" else None
    params = model.init(X, y, resp, np.random.RandomState(0), classes)
    kinds = {name: getattr(model, name).coordinates(params[name]) for name in params}
    return model, params, (X, y, weight), kinds


@pytest.mark.parametrize("objective", NAMED)
@pytest.mark.parametrize("gate, expert", PAIRS)
def test_the_gradient_of_the_penalised_objective_is_exact(gate, expert, objective, rng):
    model, params, (X, y, weight), kinds = problem(gate, expert, objective, rng)
    coordinates = Coordinates(kinds, params)
    vector = coordinates.free(params)
    vector = coordinates.clip(vector + 0.05 * rng.normal(size=vector.shape))

    def statistics(params, rows=slice(None)):
        return model.statistics(params, X[rows], y[rows], weight[rows], order=1)

    def value(vector):
        params = coordinates.params(vector)
        return statistics(params)["objective"] + model.log_prior(params)

    params = coordinates.params(vector)
    pieces = statistics(params, slice(0, 20)) + statistics(params, slice(20, N))
    gradient = coordinates.slope_in_free(vector, params, model.gradient(params, pieces))
    h = 1e-5
    steps = h * np.eye(len(vector))
    numerical = np.array([(value(vector + s) - value(vector - s)) / (2 * h) for s in steps])
    # The error of the differences is of order h²; the inverse link is steep, and has a larger one.
    tolerance = 1e-4 if expert == "gamma inverse" else 1e-6
    assert_allclose(gradient, numerical, atol=tolerance * max(1, abs(numerical).max()))


def test_a_gate_that_models_x_is_taken_as_a_gate_alone_by_the_errors(rng):
    for objective, models_x in (("likelihood", True), ("expected_error", False)):
        model, params, (X, y, weight), _ = problem("gaussian", "linear", objective, rng)
        assert model.models_x is models_x
    log_gate, log_density = model.log_gate(params, X), model.log_density(params, X, y)
    expected = weight @ np.sum(np.exp(log_gate) * log_density, axis=1)
    assert_allclose(model.statistics(params, X, y, weight)["objective"], expected)


def test_the_compiled_pass_is_for_the_likelihood_alone(rng):
    X, y = rng.normal(size=(2000, 2)), rng.normal(size=(2000, 1))
    model = MixtureModel(SoftmaxGate(), LinearExpert(), objective=ExpectedError())
    params = model.init(X, y, rng.dirichlet([1, 1], size=2000), np.random.RandomState(0))
    got = model.statistics(params, X, y, np.ones(2000))
    expected = np.sum(np.exp(model.log_gate(params, X)) * model.log_density(params, X, y))
    assert_allclose(got["objective"], expected)


def test_means_known_beforehand_change_nothing(rng):
    model, params, (X, y, weight), _ = problem("softmax", "linear", "blended_error", rng)
    means = model.expert_mean(params, X)
    with ArrayBatches(X, y, weight, means=means) as batches:
        known = batches.map_sum(model.statistics, params)
    plain = model.statistics(params, X, y, weight)
    assert_allclose(
        ravel(model.gradient(params, known)), ravel(model.gradient(params, plain)), rtol=1e-12
    )


# -- the shell -----------------------------------------------------------------------------------

OPTIONS = dict(solver="lbfgs", n_init=1, random_state=0)


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(120, n_pieces=2, random_state=0)


@pytest.mark.parametrize("objective", ERRORS)
def test_what_rests_on_a_likelihood_is_absent(data, objective):
    model = AdaptiveLocalExpertsRegressor(2, objective=objective, **OPTIONS)
    absent = ["log_prob", "responsibilities", "aic", "bic", "icl", "predict_dist", "sample"]
    for fitted in (model, model.fit(*data)):
        assert not [name for name in absent if hasattr(fitted, name)]
    with pytest.raises(AttributeError) as caught:
        model.log_prob(*data)
    assert "objective='likelihood' has" in str(caught.value.__cause__)
    assert not hasattr(model, "log_likelihood_")
    with pytest.raises(ValueError, match="return_std=True"):
        model.predict(data[0], return_std=True)


@pytest.mark.parametrize("objective", ERRORS)
def test_the_summary_speaks_of_the_objective_instead(data, objective):
    model = AdaptiveLocalExpertsRegressor(2, objective=objective, **OPTIONS).fit(*data)
    rows = {row[0]: row[1] for row in model.summary(*data).tables["fit"].rows}
    assert rows["objective"] == model.lower_bounds_[-1]
    assert not {"log-likelihood", "AIC"} & set(rows)
    # the blended error takes the means alone, so no spread is shown
    assert (" sd " in model.equations()) == (objective == "expected_error")


@pytest.mark.parametrize("solver", ["auto", "em", "cem", "sem", "online"])
@pytest.mark.parametrize("objective", ERRORS)
def test_solvers_that_climb_a_likelihood_refuse_the_errors(data, objective, solver):
    model = AdaptiveLocalExpertsRegressor(2, objective=objective, solver=solver)
    with pytest.raises(ValueError, match="needs a gradient: solver='gradient'"):
        model.fit(*data)


@pytest.mark.parametrize("fact", ["groups", "expert_labels"])
@pytest.mark.parametrize("objective", ERRORS)
def test_groups_and_known_experts_are_refused(data, objective, fact):
    model = AdaptiveLocalExpertsRegressor(2, objective=objective, **OPTIONS)
    with pytest.raises(ValueError, match="takes no groups and no expert_labels"):
        model.fit(*data, **{fact: np.zeros(len(data[1]), dtype=int)})


def test_an_objective_of_another_name_is_refused(data):
    with pytest.raises(ValueError, match="'likelihood', 'expected_error', 'blended_error'"):
        AdaptiveLocalExpertsRegressor(2, objective="squared").fit(*data)


def test_experts_without_a_gradient_of_the_mean_are_refused_by_the_blended_error(data):
    expert = EstimatorExpert(DecisionTreeRegressor())
    model = AdaptiveLocalExpertsRegressor(2, expert=expert, objective="blended_error")
    with pytest.raises(ValueError, match="gradient of their means, and EstimatorExpert has none"):
        model.fit(*data)
    mixed = AdaptiveLocalExpertsRegressor(
        2, expert=["linear", LinearRegression()], objective="blended_error"
    )
    with pytest.raises(ValueError, match="ExpertUnion has none"):
        mixed.fit(*data)


def test_the_blended_error_is_in_units_of_standardised_y(data):
    X, y = data
    model = AdaptiveLocalExpertsRegressor(2, objective="blended_error", **OPTIONS)
    value = model.fit(X, y).lower_bounds_[-1]
    assert_allclose(model.fit(X, 1024.0 * y).lower_bounds_[-1], value, rtol=1e-9)
    error = 0.5 * np.sum((1024 * y - model.predict(X)) ** 2) / np.var(1024 * y)
    priors = model._fitted.model.log_prior(model.params_)
    assert_allclose(value, priors - error, rtol=1e-9)


def test_the_blended_error_of_estimators_too_unless_a_variance_is_given(data):
    X, y = data
    frozen = [FrozenEstimator(LinearRegression().fit(X[i:][:90], y[i:][:90])) for i in (0, 90)]
    model = AdaptiveLocalExpertsRegressor(2, objective="blended_error", **OPTIONS)
    for expert, unit in ((frozen, np.std(y)), (LinearExpert(variance=1.0), 1.0)):
        value = model.set_params(expert=expert).fit(X, y).lower_bounds_[-1]
        error = 0.5 * np.sum((y - model.predict(X)) ** 2) / unit**2
        priors = model._fitted.model.log_prior(model.params_)
        assert_allclose(value, priors - error, rtol=1e-9)


def test_the_expected_error_is_a_log_density_in_the_callers_units(data):
    X, y = data
    expert = LinearExpert(alpha=0, variance_prior=0)
    options = OPTIONS | dict(expert=expert, gate=SoftmaxGate(alpha=0.01))
    model = AdaptiveLocalExpertsRegressor(2, objective="expected_error", **options).fit(X, y)
    means, scales = model.predict_experts(X), [view.scale_ for view in model.experts_]
    log_density = norm.logpdf(y[:, None], means, scales)
    expected = np.sum(model.gate_proba(X) * log_density)
    gate_prior = model._fitted.model.log_prior(model.params_)
    assert_allclose(model.lower_bounds_[-1], expected + gate_prior, rtol=1e-9)


@pytest.mark.parametrize("objective", ERRORS)
def test_the_weights_are_the_mean_gate(data, objective):
    model = AdaptiveLocalExpertsRegressor(2, objective=objective, **OPTIONS).fit(*data)
    assert_allclose(model.weights_, model.gate_proba(data[0]).mean(axis=0))
    assert (np.diff(model.weights_) <= 0).all()  # and the experts are sorted by them


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("objective", ERRORS)
@pytest.mark.parametrize("kind", [AdaptiveLocalExpertsRegressor, AdaptiveLocalExpertsClassifier])
def test_a_row_of_weight_two_is_two_rows(data, kind, objective):
    X, y = data[0], (data[1] > 0).astype(int)
    weight = np.arange(len(y)) % 3
    repeated = np.repeat(np.arange(len(y)), weight)
    fits = [
        kind(2, objective=objective, max_iter=5, **OPTIONS).fit(*rows)
        for rows in ((X, y, weight), (X[repeated], y[repeated]))
    ]
    # so few iterations have not yet amplified the rounding of sums in another order
    assert_allclose(fits[0].lower_bounds_, fits[1].lower_bounds_, rtol=1e-7)


def test_a_binomial_row_counts_by_its_trials(rng):
    X = rng.normal(size=(60, 1))
    trials = rng.integers(1, 9, 60)
    y = np.column_stack([rng.binomial(trials, 0.3), np.zeros(60)])
    y[:, 1] = trials - y[:, 0]
    model = AdaptiveLocalExpertsRegressor(
        2, expert=BinomialExpert(), objective="blended_error", **OPTIONS
    ).fit(X, y)
    error = trials @ (y[:, 0] / trials - model.predict(X)) ** 2
    prior = model._fitted.model.log_prior(model.params_)
    assert_allclose(model.lower_bounds_[-1], prior - 0.5 * error, rtol=1e-9)
