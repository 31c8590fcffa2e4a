"""Average marginal effects and odds ratios: what they are, and how sure."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.linear_model import LinearRegression

from classic_moe import (
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import LinearExpert, LogisticExpert, PoissonExpert, SoftmaxExpert
from classic_moe.gates import ExponentialFamilyGate, SoftmaxGate, TreeGate
from classic_moe.inference import Inference, infer, marginal_effects, named_parameters, odds_ratios
from classic_moe.inference._delta import Saying, Slopes
from classic_moe.inference._moves import moves_of

pytestmark = pytest.mark.filterwarnings(  # of a few hundred rows some are separated
    "ignore::classic_moe.SeparationWarning"
)

AS_STATSMODELS = 1e-7
"""Of standard errors, whose derivatives are differences right to eight digits."""


def columns(n, seed=3):
    """Ages, incomes and who smokes, in units of their own."""
    rng = np.random.default_rng(seed)
    age, income = rng.normal(50, 10, n), rng.gamma(2.0, 1.0, n)
    return rng, np.column_stack([age, income, rng.integers(0, 2, n)])


def two_lines(n=400, seed=0):
    """Two overlapping regimes in the first column; the second is 0 or 1."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.uniform(-2, 2, n), rng.integers(0, 2, n)])
    second = rng.random(n) < 1 / (1 + np.exp(-1.5 * X[:, 0] + 0.5 * X[:, 1]))
    mean = np.where(second, 2 - X[:, 0] + X[:, 1], -1 + X[:, 0])
    return X, mean + 0.4 * rng.normal(size=n)


@pytest.fixture(scope="module")
def mixture():
    X, y = two_lines()
    return MixtureOfExpertsRegressor(2, random_state=0, tol=1e-12).fit(X, y), X, y


# -- one expert ----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_effects_of_one_line_are_its_slopes(offset):
    rng, X = columns(300)
    y = offset + 0.3 * X[:, 0] - X[:, 2] + rng.normal(size=300)
    expert = LinearExpert(alpha=0, variance_prior=0)
    found = marginal_effects(MixtureOfExpertsRegressor(1, expert=expert).fit(X, y), X, y)
    ols = sm.OLS(y, sm.add_constant(X)).fit()
    assert found.names == ["x0", "x1", "x2"]
    assert_allclose(found.estimates, ols.params[1:], rtol=1e-8)
    # the maximum likelihood variance divides by n
    assert_allclose(found.standard_errors, ols.bse[1:] * np.sqrt(296 / 300), rtol=AS_STATSMODELS)


def test_one_expert_has_the_marginal_effects_of_statsmodels():
    rng, X = columns(400)
    eta = -6 + 0.1 * X[:, 0] + 0.5 * X[:, 1] - 0.8 * X[:, 2]
    y = (rng.random(400) < 1 / (1 + np.exp(-eta))).astype(int)
    counts = rng.poisson(np.exp(0.02 * X[:, 0] - 0.3 * X[:, 2]))
    logistic = MixtureOfExpertsClassifier(1, expert=LogisticExpert(alpha=0)).fit(X, y)
    poisson = MixtureOfExpertsRegressor(1, expert=PoissonExpert(alpha=0)).fit(X, counts)
    exact = dict(disp=0, method="newton", tol=1e-14)
    for model, target, its, last in (
        (logistic, y, sm.Logit(y, sm.add_constant(X)), slice(3, None)),
        (poisson, counts, sm.Poisson(counts, sm.add_constant(X)), slice(None)),
    ):
        found, theirs = marginal_effects(model, X, target), its.fit(**exact)
        theirs = theirs.get_margeff(dummy=True)
        assert_allclose(found.estimates[last], theirs.margeff, rtol=1e-8)
        assert_allclose(found.standard_errors[last], theirs.margeff_se, rtol=AS_STATSMODELS)


def test_three_classes_have_the_marginal_effects_of_statsmodels():
    rng, X = columns(400)
    scores = np.column_stack([np.zeros(400), 0.05 * X[:, 0] - 2, 0.5 * X[:, 1] - X[:, 2]])
    y = np.argmax(scores + rng.gumbel(size=(400, 3)), axis=1)
    model = MixtureOfExpertsClassifier(1, expert=SoftmaxExpert(alpha=0)).fit(X, y)
    found = marginal_effects(model, X, y, of="proba", discrete=[])
    exact = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, method="newton", tol=1e-14)
    theirs = exact.get_margeff()
    assert found.names[:4] == ["class 0: x0", "class 0: x1", "class 0: x2", "class 1: x0"]
    assert_allclose(found.estimates, theirs.margeff.T.ravel(), rtol=1e-7)
    assert_allclose(found.standard_errors, theirs.margeff_se.T.ravel(), rtol=AS_STATSMODELS)
    assert_array_equal(marginal_effects(model, X, discrete=[]).estimates, found.estimates)


TREE = TreeGate(structure=((0, 1), 2))


# -- mixtures ------------------------------------------------------------------------------------


def by_hand(theta, X, weight):
    """Effects on the mean and on the first gate, of two lines with a softmax gate, by formulas.

    θ: intercept, slopes and scale of both, then intercept and slopes of the first gate.
    """
    lines, gate = np.reshape(theta[:8], (2, 4))[:, :3], np.stack([theta[8:], np.zeros(3)])

    def at(X):
        Z = np.column_stack([np.ones(len(X)), X])
        return softmax(Z @ gate.T, axis=1), Z @ lines.T

    g, m = at(X)
    of_gate = g * (gate[:, 1] - (g @ gate[:, 1])[:, None])
    of_mean = (g * lines[:, 1] + of_gate * m).sum(axis=1)
    ends = [at(np.column_stack([X[:, 0], np.full(len(X), b)])) for b in (0.0, 1.0)]
    steps = [(g * m).sum(axis=1) for g, m in ends], [g[:, 0] for g, _ in ends]
    each = [of_mean, steps[0][1] - steps[0][0], of_gate[:, 0], steps[1][1] - steps[1][0]]
    return np.average(each, axis=1, weights=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_effects_and_their_errors_are_those_of_the_formulas(weighted):
    X, y = two_lines()
    weight = np.random.default_rng(1).integers(0, 4, len(y)) if weighted else np.ones(len(y))
    options = dict(sample_weight=weight) if weighted else {}
    model = MixtureOfExpertsRegressor(2, random_state=0, tol=1e-12).fit(X, y, **options)
    found = [marginal_effects(model, X, y, of=of, **options) for of in ("mean", "gate")]
    theta = named_parameters(model)[1]
    expected = by_hand(theta, X, weight)
    estimates = np.concatenate([found[0].estimates, found[1].estimates[:2]])
    assert_allclose(estimates, expected, rtol=1e-9)
    step = 1e-5 * np.eye(len(theta))  # differences of smooth formulas: right to ten digits
    slopes = [by_hand(theta + s, X, weight) - by_hand(theta - s, X, weight) for s in step]
    slopes = np.array(slopes).T / 2e-5
    V = infer(model, X, y, **options).covariance
    errors = np.sqrt(np.diagonal(slopes @ V @ slopes.T))
    seen = np.concatenate([found[0].standard_errors, found[1].standard_errors[:2]])
    assert_allclose(seen, errors, rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda X, y: MixtureOfExpertsRegressor(
            2, gate="gaussian", gate_features=[0], random_state=0, n_init=1
        ).fit(X, y),
        lambda X, y: MixtureOfExpertsRegressor(3, gate=TREE, random_state=0, n_init=1).fit(X, y),
        lambda X, y: MixtureOfExpertsRegressor(
            2, expert_features=[0], gate_features=[1, 0], random_state=0, n_init=1
        ).fit(X, np.column_stack([y, y**2])),
        lambda X, y: MixtureOfExpertsClassifier(
            2, expert=SoftmaxExpert(alpha=1.0), random_state=0, n_init=1
        ).fit(X, np.digitize(y, [-1, 1])),
    ],
    ids=["gaussian gate", "tree", "two outputs", "three classes"],
)
def test_derivatives_in_the_coefficients_are_differences_of_effects(make):
    X, y = two_lines(120)
    model = make(X, y)
    fitted, weight = model._current(), np.full(len(X), 1 / len(X))
    method = "predict_proba" if hasattr(model, "classes_") else "predict"
    says, slopes = Saying(model, fitted, method), Slopes(fitted, X, ("gate", "expert"))
    layout = slopes._layout
    vector = layout.coordinates.free(fitted.params)
    for move in moves_of(model, fitted, X, X, None, "auto"):
        size = np.abs(says(fitted.params, X)).max(axis=0)
        seen = move.slopes(slopes, says, X, weight, size)
        expected = []
        for c in range(seen.shape[1]):
            sides = slopes._around(vector, c, 1e-4)
            ends = [move.effect(says, params, X, weight) for params in sides]
            expected.append((ends[0] - ends[1]) / 2e-4)
        # of second derivatives eight digits are left
        assert_allclose(seen, np.transpose(expected), atol=1e-6 * np.abs(seen).max())


def test_standard_errors_are_the_spread_of_effects_over_samples(mixture):
    """Over 100 samples from the fit: the spread itself is known to 7 %."""
    model, X, y = mixture
    found, seen = marginal_effects(model, X, y), []
    rng = np.random.RandomState(0)
    again = MixtureOfExpertsRegressor(2, init_params=model)
    for _ in range(100):
        drawn = model.sample(X, rng)[0]
        seen.append(marginal_effects(again.fit(X, drawn), X).estimates)
    assert_allclose(np.std(seen, axis=0), found.standard_errors, rtol=0.2)


def test_averages_over_other_rows_take_the_covariance_of_the_fit(mixture):
    model, X, y = mixture
    inside = marginal_effects(model, X, y)
    given = marginal_effects(model, X, inference=infer(model, X, y))
    assert_allclose(given.standard_errors, inside.standard_errors, rtol=1e-12)
    few = marginal_effects(model, X[:5], inference=infer(model, X, y))
    assert np.isfinite(few.standard_errors).all()
    with pytest.raises(ValueError, match="inference holds 1 names"):
        marginal_effects(model, X, inference=Inference.of(["a"], [1.0], [[1.0]]))


# -- what there is no error of ---------------------------------------------------------------------


def test_without_y_there_are_effects_and_a_reason(mixture):
    model, X, y = mixture
    found = marginal_effects(model, X)
    assert_array_equal(found.estimates, marginal_effects(model, X, y).estimates)
    assert np.isnan(found.standard_errors).all()
    assert set(found.reasons) == set(found.names) and "without y" in found.reasons["x0"]


def test_what_no_parameter_moves_has_no_error_but_a_reason(mixture):
    _, X, y = mixture
    model = MixtureOfExpertsRegressor(2, gate="constant", expert_features=[0], random_state=0)
    model.fit(X, y)
    gate = marginal_effects(model, X, y, of="gate")
    assert_array_equal(gate.estimates, 0)
    assert set(gate.reasons.values()) == {"no parameter moves it"}
    mean = marginal_effects(model, X, y)
    assert list(mean.reasons) == ["x1"] and np.isfinite(mean.standard_errors[0])


def test_a_parameter_without_an_error_takes_those_of_its_effects(mixture):
    model, X, y = mixture
    known = infer(model, X, y)
    lost = known.covariance.copy()
    scale, slope = known.names.index("expert 0: scale"), known.names.index("expert 1: x1")
    for j in (scale, slope):
        lost[j] = lost[:, j] = np.nan
    reasons = {"expert 0: scale": "far off", "expert 1: x1": "too few rows"}
    given = Inference.of(known.names, known.estimates, lost, reasons=reasons)
    mean = marginal_effects(model, X, inference=given)
    assert set(mean.reasons.values()) == {"expert 1: x1: too few rows"}
    assert not marginal_effects(model, X, inference=given, of="gate").reasons


@pytest.mark.parametrize("alpha", ["weak", 0])
def test_a_copied_column_takes_its_own_errors_alone(alpha):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    right = X[:, 0] + 0.7 * rng.standard_normal(200) > 0
    y = np.where(right, 1 + X[:, 1], -1 - 2 * X[:, 1]) + 0.3 * rng.standard_normal(200)
    copied = np.column_stack([X, X[:, 1]])
    parts = dict(expert=LinearExpert(alpha=alpha), gate=SoftmaxGate(alpha=alpha))
    plain, doubled = (
        MixtureOfExpertsRegressor(2, **parts, n_init=2, random_state=0).fit(columns, y)
        for columns in (X, copied)
    )
    one, two = marginal_effects(plain, X, y), marginal_effects(doubled, copied, y)
    assert_allclose(two.standard_errors[0], one.standard_errors[0], rtol=1e-4)
    assert np.isnan(two.standard_errors[1:]).all()
    assert "do" in two.reasons["x1"] and "not determine it" in two.reasons["x1"]
    # the sum of both slopes is the slope of the one column
    one, two = infer(plain, X, y), infer(doubled, copied, y)
    whole = two.wald({"expert 0: x1": 1, "expert 0: x2": 1}, 0.9)
    assert_allclose(whole.statistic, one.wald("expert 0: x1", 0.9).statistic, rtol=1e-3)
    assert np.isnan(two.wald("expert 0: x1").statistic)
    assert np.isnan(two.wald({"expert 0: x1": 1, "expert 0: x2": 0.5}).statistic)


def test_experts_without_parameters_have_effects_alone(mixture):
    _, X, y = mixture
    model = MetaPiRegressor([LinearRegression(), LinearRegression()])
    model.fit(X, y, expert_groups=(X[:, 0] > 0).astype(int))
    h = 1e-3
    up, down = (model.predict(X + np.array([s * h, 0])) for s in (1, -1))
    found = marginal_effects(model, X)
    assert_allclose(found.estimates[0], np.mean(up - down) / (2 * h), rtol=1e-4)
    assert np.isnan(found.standard_errors).all()


def test_parts_without_second_derivatives_are_refused_with_y(mixture):
    _, X, y = mixture
    model = MixtureOfExpertsRegressor(2, expert="laplace", random_state=0, n_init=1).fit(X, y)
    with pytest.raises(ValueError, match="no second derivatives"):
        marginal_effects(model, X, y)
    assert np.isfinite(marginal_effects(model, X).estimates).all()


# -- names and columns -----------------------------------------------------------------------------


def test_names_are_those_of_columns_outputs_and_classes():
    X, y = two_lines()
    table = pd.DataFrame(X, columns=["age", "smokes"])
    both = pd.DataFrame({"wage": y, "hours": -y + np.random.default_rng(0).normal(size=len(y))})
    model = MixtureOfExpertsRegressor(2, random_state=0, n_init=2).fit(table, both)
    names = ["age -> wage", "smokes -> wage", "age -> hours", "smokes -> hours"]
    assert marginal_effects(model, table).names == names
    assert marginal_effects(model, table, features="smokes").names == names[1::2]
    kinds = np.where(y > 0, "yes", "no")
    model = MixtureOfExpertsClassifier(2, random_state=0, n_init=2).fit(table, kinds)
    found = marginal_effects(model, table, features=["age"])
    assert found.names == ["class no: age", "class yes: age"]
    assert_allclose(found.estimates.sum(), 0, atol=1e-12)
    assert marginal_effects(model, table, of="gate").names[1] == "gate 0: smokes"


def test_what_looks_at_no_column_has_no_standard_error():
    rng, X = columns(100)
    y = rng.normal(size=100)
    found = marginal_effects(MixtureOfExpertsRegressor(1, expert="gaussian").fit(X, y), X, y)
    assert_allclose(found.estimates, 0)
    assert np.isnan(found.standard_errors).all()
    assert set(found.reasons.values()) == {"no parameter moves it"}


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_errors_have_the_unit_of_y(mixture, unit):
    model, X, y = mixture
    found = marginal_effects(model, X, y)
    model = MixtureOfExpertsRegressor(2, random_state=0, tol=1e-12).fit(X, unit * y)
    there = marginal_effects(model, X, unit * y)
    assert_allclose(there.standard_errors, unit * found.standard_errors, rtol=1e-6)
    there = marginal_effects(model, X, unit * y, of="gate")
    here = marginal_effects(mixture[0], X, y, of="gate")
    assert_allclose(there.standard_errors, here.standard_errors, rtol=1e-6)


def test_discrete_columns_have_differences():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=300), rng.integers(1, 4, 300), rng.choice([2, 5], 300)])
    y = X[:, 0] + X[:, 1] ** 2 + X[:, 2] + 0.1 * rng.normal(size=300)
    model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    found = marginal_effects(model, X, y, discrete=[1, 2])
    assert found.names == ["x0", "x1 = 2", "x1 = 3", "x2"]
    ends = [model.predict(np.column_stack([X[:, 0], X[:, 1], np.full(300, v)])) for v in (2, 5)]
    assert_allclose(found.estimates[3], np.mean(ends[1] - ends[0]), rtol=1e-10)
    assert "differences of x1, x2" in found.method
    assert marginal_effects(model, X).names == ["x0", "x1", "x2"]
    with pytest.raises(ValueError, match="x0 has 300 values"):
        marginal_effects(model, X, discrete=[0])
    named = pd.DataFrame(X, columns=["a", "b", "c"])
    model = MixtureOfExpertsRegressor(1).fit(named, y)
    with pytest.raises(ValueError, match="at most 20"):
        marginal_effects(model, named, discrete="a")


def test_codes_and_counts_of_a_gate_are_moved_to_values_that_it_knows():
    rng = np.random.RandomState(0)
    z = rng.randint(2, size=400)
    X = np.column_stack([rng.poisson(2 + 3 * z), rng.randint(0, 3, 400), rng.normal(size=400)])
    y = X[:, 2] * (1 - 2 * z) + z + 0.5 * rng.standard_normal(400)
    gate = ExponentialFamilyGate(["poisson", "categorical", "gaussian"])
    model = MixtureOfExpertsRegressor(2, gate=gate, random_state=0).fit(X, y)
    found = marginal_effects(model, X, y, of="gate")
    assert found.names[:4] == ["gate 0: x0", "gate 0: x1 = 1", "gate 0: x1 = 2", "gate 0: x2"]
    more = model.gate_proba(X + np.array([1, 0, 0])) - model.gate_proba(X)
    assert_allclose(found.estimates[0], more.mean(axis=0)[0], rtol=1e-10)
    assert abs(found.estimates[0]) > 0.05 and np.isfinite(found.standard_errors).all()


def test_effects_are_those_of_the_mixture_whatever_predictions_leave_out(mixture):
    model, X, y = mixture
    hard = MixtureOfExpertsRegressor(2, random_state=0, tol=1e-12, assignment="hard").fit(X, y)
    soft = marginal_effects(model, X)
    assert_allclose(marginal_effects(hard, X).estimates, soft.estimates, rtol=1e-6)
    pruned, whole = (
        MixtureOfExpertsRegressor(
            3, gate=TreeGate(structure=((0, 1), 2), prune=p), random_state=0, n_init=1
        ).fit(X, y)
        for p in (0.2, 0.0)
    )
    assert_allclose(marginal_effects(pruned, X).estimates, marginal_effects(whole, X).estimates)


def test_options_that_are_none_are_refused(mixture):
    model, X, _ = mixture
    with pytest.raises(ValueError, match="of='experts': use one of"):
        marginal_effects(model, X, of="experts")
    with pytest.raises(ValueError, match="has no classes; use of='mean'"):
        marginal_effects(model, X, of="proba")
    with pytest.raises(ValueError, match="names no column"):
        marginal_effects(model, X, features=[])
    with pytest.raises(ValueError, match="X has 2 columns"):
        marginal_effects(model, X, features=[7])
    with pytest.raises(ValueError, match="confidence=95"):
        marginal_effects(model, X, confidence=95)
    with pytest.raises(ValueError, match="at least one non-zero"):
        marginal_effects(model, X, sample_weight=np.zeros(len(X)))
    with pytest.raises(TypeError, match="needs a mixture of experts"):
        marginal_effects(LinearRegression(), X)


# -- odds ratios -----------------------------------------------------------------------------------


def test_odds_ratios_of_one_expert_are_those_of_logistic_regression():
    rng, X = columns(400)
    y = (rng.random(400) < 1 / (1 + np.exp(6 - 0.1 * X[:, 0] - 0.5 * X[:, 1]))).astype(int)
    model = MixtureOfExpertsClassifier(1, expert=LogisticExpert(alpha=0)).fit(X, y)
    found = odds_ratios(model, X, y)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(disp=0, method="newton", tol=1e-14)
    assert found.names == ["expert 0: x0", "expert 0: x1", "expert 0: x2"]
    assert_allclose(found.estimates, np.exp(theirs.params[1:]), rtol=1e-7)
    ends = np.exp(theirs.conf_int()[1:])
    assert_allclose(np.column_stack([found.lower, found.upper]), ends, rtol=1e-6)
    assert_allclose(found.p_values, theirs.pvalues[1:], rtol=1e-5)
    assert_allclose(found.standard_errors, found.estimates * theirs.bse[1:], rtol=1e-6)


def test_odds_ratios_are_of_softmax_gates_and_of_the_nodes_of_a_tree(mixture):
    model, X, y = mixture
    assert odds_ratios(model, X, y).names == ["gate 0: x0", "gate 0: x1"]
    expert = SoftmaxExpert(alpha=1.0)
    tree = MixtureOfExpertsClassifier(3, expert=expert, gate=TREE, random_state=0, n_init=1)
    tree.fit(X, y > 0)
    found = odds_ratios(tree, inference=infer(tree, X, y > 0))
    owners = {name.split(":")[0] for name in found.names}
    assert {"expert 2", "node root, child 0", "node 0, child 0"} <= owners
    assert not any("intercept" in name for name in found.names)


def test_odds_ratios_are_refused_where_nothing_is_a_log_odds(mixture):
    model, X, y = mixture
    with pytest.raises(ValueError, match="needs the X and y"):
        odds_ratios(model, X)
    constant = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="no slope of 2 x LinearExpert or ConstantGate"):
        odds_ratios(constant, X, y)
