"""Generalised linear experts: what all families have from their base."""

import functools
import pickle
import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from classic_moe import MixtureOfExpertsRegressor, SeparationWarning
from classic_moe.data.units import Scaling, Units
from classic_moe.experts import (
    BinomialExpert,
    GammaExpert,
    GeneralizedLinearExpert,
    NegativeBinomialExpert,
    PoissonExpert,
)
from classic_moe.testing import check_expert

N = 150


class ExponentialExpert(GeneralizedLinearExpert):
    """A family in five lines: y exponential with mean exp(eta)."""

    holds = "positive numbers"

    def __init__(self, alpha=1e-6):
        self.alpha = alpha

    def log_density(self, y, eta):
        return -eta - y * np.exp(-eta)

    def derivatives(self, y, eta):
        ratio = y * np.exp(-eta)
        return ratio - 1, ratio

    def distribution(self, mean):
        return stats.expon(scale=mean)

    def supports(self, y):
        return y > 0


EXPERTS = {
    "poisson": PoissonExpert,
    "negative_binomial": NegativeBinomialExpert,
    "negative_binomial fixed": functools.partial(NegativeBinomialExpert, dispersion=0.7),
    "gamma": GammaExpert,
    "gamma fixed": functools.partial(GammaExpert, shape=2.5),
    "gamma inverse": functools.partial(GammaExpert, link="inverse"),
    "binomial": BinomialExpert,
}


def draw(name, eta, rng):
    if name == "poisson":
        return 1.0 * rng.poisson(np.exp(eta))
    if name.startswith("negative"):
        return 1.0 * rng.negative_binomial(1 / 0.7, 1 / (1 + 0.7 * np.exp(eta)))
    if name == "binomial":
        trials = rng.integers(1, 9, len(eta))
        successes = rng.binomial(trials, 1 / (1 + np.exp(-eta)))
        return 1.0 * np.column_stack([successes, trials - successes])
    mean = 1 / (4 + eta) if "inverse" in name else np.exp(eta)
    return rng.gamma(2.5, mean / 2.5)


def problem(name, seed=0):
    """Columns of very different sizes, y, frequencies and an offset."""
    rng = np.random.default_rng(seed)
    Z = rng.uniform(-1.5, 1.5, (N, 2))
    offset = rng.uniform(-1, 1, N)
    y = draw(name, 0.5 + Z @ [0.6, -0.4] + offset, rng)
    return Z * [1e-3, 1e4] + [0, 1e5], y, rng.integers(0, 4, N).astype(float), offset


def maximum_likelihood(name):
    expert = EXPERTS[name]()
    return expert.set_params(**dict.fromkeys({"alpha", "variance_prior"} & set(vars(expert)), 0.0))


@pytest.mark.parametrize("name", EXPERTS)
@pytest.mark.parametrize("penalty", ["shipped", "none", "strong"])
def test_every_family_keeps_the_promises_of_an_expert(name, penalty):
    expert = maximum_likelihood(name) if penalty == "none" else EXPERTS[name]()
    if penalty == "strong":
        expert.set_params(alpha=3.0)
    check_expert(expert)


def test_a_family_is_a_few_elementwise_functions():
    check_expert(ExponentialExpert())
    X, y, _, _ = problem("gamma")
    own, peer = (
        MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
        for expert in (ExponentialExpert(), GammaExpert(shape=1.0))
    )
    np.testing.assert_allclose(own.experts_[0].coef_, peer.experts_[0].coef_, rtol=1e-8)
    assert own.log_likelihood_ == pytest.approx(peer.log_likelihood_, rel=1e-12)


# -- one expert, no penalties: the textbook's model ---------------------------------------------

PEERS = {
    "poisson": sm.families.Poisson,
    "negative_binomial fixed": lambda: sm.families.NegativeBinomial(alpha=0.7),
    "gamma fixed": lambda: sm.families.Gamma(sm.families.links.Log()),
    "gamma inverse": lambda: sm.families.Gamma(sm.families.links.InversePower()),
    "binomial": sm.families.Binomial,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("with_offset", [False, True])
@pytest.mark.parametrize("name", PEERS)
def test_one_expert_is_statsmodels_glm(name, weighted, with_offset):
    X, y, weight, offset = problem(name)
    unit = X.std(axis=0)
    design = sm.add_constant((X - X.mean(axis=0)) / unit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the inverse link does not keep means positive
        peer = sm.GLM(
            y,
            design,
            family=PEERS[name](),
            freq_weights=weight if weighted else None,
            offset=offset if with_offset else None,
        ).fit(tol=1e-15, maxiter=100, start_params=[2.0, 0, 0] if "inverse" in name else None)
    expert = maximum_likelihood(name)
    if "inverse" in name:
        expert.set_params(shape=2.5)
    table = np.column_stack([X, offset]) if with_offset else X
    model = MixtureOfExpertsRegressor(1, expert=expert, offset_feature=2 if with_offset else None)
    model.fit(table, y, sample_weight=weight if weighted else None)
    view = model.experts_[0]
    at_mean = view.intercept_ + view.coef_ @ X.mean(axis=0)
    got = np.concatenate([[at_mean], view.coef_ * unit])
    # 1e-8 of the largest: what the issue asks; both stop at rounding of the log-likelihood
    np.testing.assert_allclose(got, peer.params, atol=1e-8 * np.abs(peer.params).max())
    assert model.converged_


# -- the offset -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERTS)
def test_the_offset_column_is_used_by_its_name_alone(name):
    X, y, _, offset = problem(name)
    model = MixtureOfExpertsRegressor(2, expert=EXPERTS[name](), offset_feature=2, random_state=0)
    model.fit(np.column_stack([X, offset]), y)
    table = np.column_stack([X, offset])
    for k, view in enumerate(model.experts_):
        assert view.coef_.shape == (2,)
        seen = view.predict(table)
        np.testing.assert_allclose(seen, model.predict_experts(table)[:, k], rtol=1e-9)
        plain = np.column_stack([X, np.zeros(N)])  # only the part's own columns: no offset
        np.testing.assert_allclose(view.predict(X), view.predict(plain), rtol=1e-12)
        assert np.abs(seen / view.predict(X) - 1).max() > 0.05


def test_the_start_allows_for_offsets_of_any_size():
    """Exposures over twelve powers of ten; without them the start is steps of Newton away."""
    rng = np.random.default_rng(0)
    offset = rng.uniform(-20, 10, N)
    y = rng.poisson(np.exp(0.5 + offset)).astype(float)[:, None]
    expert, X, resp = PoissonExpert(), np.zeros((N, 0)), np.ones((N, 1))
    linearised = expert._linearised({"coef": np.zeros((1, 1))}, X, y, resp, offset, slopes=False)
    # within reach of Newton's steps; without the offset it would be 8
    assert linearised["coef"][0, 0] == pytest.approx(0.5, abs=0.5)
    # y holds some 200,000 events: a standard error of 0.002
    start = expert.init(X, y, resp, None, offset=offset)
    assert start["coef"][0, 0] == pytest.approx(0.5, abs=0.01)


class DeafToTheOffset(PoissonExpert):
    def mean(self, params, X, offset=None):
        return super().mean(params, X)


class TwiceTheOffset(PoissonExpert):
    def log_prob(self, params, X, y, offset=None):
        return super().log_prob(params, X, y, None if offset is None else 2 * offset)


class StartsWithoutTheOffset(PoissonExpert):
    def init(self, X, y, resp, random_state, classes=None, offset=None):
        return super().init(X, y, resp, random_state)


@pytest.mark.parametrize(
    "expert, message",
    [
        (DeafToTheOffset(), "mean with an offset linear in x is not that with other coefficients"),
        (TwiceTheOffset(), "log_prob with an offset linear in x"),
        (StartsWithoutTheOffset(), "init takes no notice of the offset"),
    ],
)
def test_the_conformance_suite_sees_a_neglected_offset(expert, message):
    with pytest.raises(AssertionError, match=message):
        check_expert(expert)


class NoWaysToChoose(BinomialExpert):
    def log_density(self, y, eta):
        successes, failures = y[:, :1], y[:, 1:]
        return -successes * np.logaddexp(0, -eta) - failures * np.logaddexp(0, eta)


def test_the_conformance_suite_sums_over_successes():
    with pytest.raises(AssertionError, match="density of expert 0 integrates to"):
        check_expert(NoWaysToChoose())


# -- safety -----------------------------------------------------------------------------------


def scattered(name, seed, spread=3.0):
    """A family far from its optimum: expert, params, X, y, resp."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 2))
    y = draw(name, 0.5 + X @ [0.3, -0.2], rng)
    if "inverse" in name:
        y = rng.gamma(2.0, 1.0, 40)
    expert = EXPERTS[name]()
    y = expert.target.encode(y)
    resp = rng.uniform(0, 1, (40, 3)) ** 4
    params = expert.init(X, y, resp, None)
    params = params | {"coef": params["coef"] + spread * rng.standard_normal((3, 3))}
    if expert.leaf:
        params[expert.leaf] = params[expert.leaf] + rng.uniform(-2, 2, 3)
    return expert, params, X, y, resp


@pytest.mark.parametrize("name", [name for name in EXPERTS if "inverse" not in name])
def test_the_cautious_step_ascends_from_far_away(name):
    """For the inverse link see test_gamma: most coefficients have means beyond its pole."""
    for seed in range(20):
        expert, params, X, y, resp = scattered(name, seed)

        def objective(params, expert=expert, X=X, y=y, resp=resp):
            return np.sum(resp * expert.log_prob(params, X, y)) + expert.log_prior(params)

        before = objective(params)
        for _ in range(3):
            params = expert.maximize(params, expert.statistics(params, X, y, resp), cautious=True)
            after = objective(params)
            assert after >= before - 1e-10 * abs(before)  # rounding
            before = after


@pytest.mark.parametrize("name", EXPERTS)
def test_a_newton_step_never_leaves_the_numbers(name):
    """Where the likelihood is flat its curvature vanishes, and Newton's step would be endless."""
    for seed in range(10):
        expert, params, X, y, resp = scattered(name, seed, spread=100.0)
        step = expert.maximize(params, expert.statistics(params, X, y, resp))
        assert np.isfinite(expert.log_prob(step, X, y)).all()
        if "inverse" not in name:
            assert np.abs(step["coef"] - params["coef"]).max() < 40


@pytest.mark.parametrize("name", EXPERTS)
def test_a_fit_from_a_poor_start_arrives_at_the_same_maximum(name):
    X, y, _, _ = problem(name)
    expert = EXPERTS[name]()
    best = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    start = {"coef": np.zeros((1, 2)), "intercept": 4.0}
    start |= {n: 1.0 for n in ("shape", "dispersion") if expert.leaf == f"log_{n}"}
    poor = {"gate": {"coef": np.zeros((1, 2)), "intercept": [0.0]}, "expert": start}
    model = MixtureOfExpertsRegressor(1, expert=expert, init_params=poor).fit(X, y)
    assert model.lower_bounds_[0] < best.lower_bounds_[-1] - 10  # poor indeed
    assert model.lower_bounds_[-1] == pytest.approx(best.lower_bounds_[-1], rel=1e-9)


@pytest.mark.parametrize("name", EXPERTS)
def test_rows_far_from_all_data_have_finite_predictions(name):
    X, y, _, _ = problem(name)
    model = MixtureOfExpertsRegressor(2, expert=EXPERTS[name](), random_state=0).fit(X, y)
    for far in (1e6 * X, -1e6 * X):
        assert np.isfinite(model.predict(far)).all()
        for view in model.experts_:
            assert (view.predict(far) >= 0).all()


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "binomial"])
def test_a_region_with_one_extreme_value_is_found_and_stays_finite(name):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 1))
    y = np.where(X[:, 0] > 0, 1.0, 0.0)
    if name != "binomial":
        y *= 2 + rng.poisson(2, 80)
        X = np.sign(X)
    model = MixtureOfExpertsRegressor(1, expert=EXPERTS[name](alpha=0.0))
    with pytest.warns(SeparationWarning, match=r"the rows of expert 0 do not .* use alpha > 0"):
        model.fit(X, y)
    assert np.isfinite(model.experts_[0].coef_).all() and np.isfinite(model.predict(X)).all()


def test_ordinary_experts_with_a_large_intercept_are_not_called_separated():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1))
    y = rng.poisson(np.exp(12 + 0.1 * X[:, 0]))
    model = MixtureOfExpertsRegressor(1, expert=PoissonExpert(alpha=0.0)).fit(X, y)
    # 60 counts of e^12: a standard error of 3e-4; and no warning
    assert model.experts_[0].intercept_ == pytest.approx(12, abs=0.01)


@pytest.mark.parametrize("name", EXPERTS)
def test_collinear_columns_do_not_matter(name):
    X, y, _, _ = problem(name)
    expert = maximum_likelihood(name)
    plain, double = (
        MixtureOfExpertsRegressor(1, expert=expert).fit(table, y)
        for table in (X, np.column_stack([X, X[:, 0], np.ones(N)]))
    )
    assert double.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-9)
    assert np.isfinite(double.experts_[0].coef_).all()


@pytest.mark.parametrize("name", EXPERTS)
def test_an_expert_without_rows_keeps_its_values(name):
    expert, params, X, y, resp = scattered(name, 0, spread=0.1)
    stats = expert.statistics(params, X, y, resp * [0, 1, 1])
    for cautious in (False, True):
        step = expert.maximize(params, stats, cautious)
        for leaf in params:
            assert np.array_equal(step[leaf][0], params[leaf][0])


@pytest.mark.parametrize("name", EXPERTS)
def test_a_start_is_close_even_with_a_huge_outlier(name):
    """PoissonRegressor's fault: the first step overshoots, and all ends silently at 0."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 2))
    y = draw(name, 0.3 + X @ [0.3, -0.2], rng)
    if name == "binomial":
        y[0] = [1e6, 0]
    else:
        y[0] = 1e6
    model = MixtureOfExpertsRegressor(1, expert=EXPERTS[name]()).fit(X, y)
    alone = MixtureOfExpertsRegressor(1, expert=EXPERTS[name](), expert_features=[]).fit(X, y)
    assert model.converged_ and model.n_iter_ <= 30
    assert model.log_likelihood_ >= alone.log_likelihood_


# -- the caller's side ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in EXPERTS if name != "binomial"])
def test_two_outputs_are_refused(name):
    y = np.ones((N, 2))
    expert = EXPERTS[name]()
    message = f"{type(expert).__name__} takes one output; y has 2 columns"
    with pytest.raises(ValueError, match=message):
        expert.check_target(y)


@pytest.mark.parametrize(
    "name, y, message",
    [
        ("poisson", [1.0, 2.5], r"PoissonExpert needs counts \(0, 1, 2, ...\); y\[1\] is 2.5"),
        ("negative_binomial", [-3.0, 1.0], r"NegativeBinomialExpert needs .*; y\[0\] is -3.0"),
        ("gamma", [1.0, 3.0, 0.0], r"GammaExpert needs positive numbers; y\[2\] is 0.0"),
        ("binomial", [[1.0, 2.0], [1.0, -1.0]], r"successes and failures .*; y\[1\] is \[1.0, -1"),
        ("binomial", [0.0, 1.0, 2.0], r"or zeros and ones in one; y\[2\] is \[2.0\]"),
        ("binomial", [[1.0, 2.0, 3.0]], "BinomialExpert needs .* y has 3 columns"),
    ],
)
def test_the_first_value_outside_the_support_is_named_with_its_row(name, y, message):
    with pytest.raises(ValueError, match=message):
        EXPERTS[name]().check_target(np.array(y))


@pytest.mark.parametrize(
    "expert",
    [
        PoissonExpert(alpha=-1.0),
        NegativeBinomialExpert(dispersion=0.0),
        NegativeBinomialExpert(dispersion="fixed"),
        GammaExpert(shape=True),
        GammaExpert(shape=np.inf),
        GammaExpert(link="identity"),
        GammaExpert(variance_prior=-1e-2),
    ],
    ids=repr,
)
def test_hyper_parameters_that_no_fit_can_use_are_refused(expert):
    with pytest.raises(ValueError, match=type(expert).__name__):
        expert.check_parameters()


@pytest.mark.parametrize("name", EXPERTS)
def test_numbers_of_free_parameters(name):
    expert, params, *_ = scattered(name, 0)
    assert expert.n_parameters(params) == 3 * (3 + (expert.leaf is not None))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"shape": -1.0}, "shape must be positive, got"),
        ({"shape": [1.0, 2.0]}, r"shape of the expert needs shape \(1,\), got \(2,\)"),
        ({"scale": 1.0}, "takes coef, intercept, shape; got"),
    ],
)
def test_wrong_starting_values_are_named(change, message):
    units = Units(Scaling.identity(2), Scaling.identity(1))
    values = {"coef": np.zeros((1, 2)), "intercept": 0.0, "shape": 2.0}
    assert np.exp(GammaExpert().from_caller(values, units, 1)["log_shape"]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match=message):
        GammaExpert().from_caller(values | change, units, 1)


def test_views_can_be_pickled():
    X, y, _, _ = problem("gamma inverse")
    model = MixtureOfExpertsRegressor(1, expert=GammaExpert(link="inverse")).fit(X, y)
    view = model.experts_[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(view)).predict(X), view.predict(X))
