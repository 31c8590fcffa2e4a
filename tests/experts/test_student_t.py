"""Student-t experts: the density, EM for scale mixtures, df and its bounds, and outliers."""

import warnings

import numpy as np
import pytest
from row_derivatives import check_rows
from scipy import stats
from scipy.optimize import minimize, minimize_scalar
from scipy.special import digamma, gammaln

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.datasets import load_motorcycle, load_tone
from classic_moe.exceptions import ExpertCollapseWarning
from classic_moe.experts import LinearExpert, StudentTExpert
from classic_moe.parts.params import ravel
from classic_moe.testing import check_expert

pytestmark = pytest.mark.weak_penalties

FREE = {"alpha": 0, "variance_prior": 0}


def problem(n=80, q=1, df=3.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    noise = rng.standard_normal((n, q)) / np.sqrt(rng.chisquare(df, (n, 1)) / df)
    y = X @ rng.standard_normal((2, q)) + 0.4 * noise @ (np.eye(q) + 0.3)
    return X, y, rng.dirichlet(np.ones(2), size=n) * rng.uniform(0.5, 2.0, (n, 1))


def climbed(expert, X, y, resp, n_steps, cautious=False):
    params = expert.init(X, y, resp, np.random.RandomState(0))
    for _ in range(n_steps):
        params = expert.maximize(params, expert.statistics(params, X, y, resp), cautious)
    return params


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"df": 4.0, "variance_prior": 0.5},
        {"df": "tied", "covariance_type": "diag", "alpha": 0.1},
        {"covariance_type": "tied", **FREE},
        {"df": 1.5},
    ],
    ids=str,
)
def test_it_keeps_the_promises_of_an_expert(settings):
    check_expert(StudentTExpert(**settings))


# -- the density -------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [1, 3])
def test_the_density_is_scipys(q):
    X, y, resp = problem(q=q)
    expert = StudentTExpert()
    params = climbed(expert, X, y, resp, 2)
    log_prob, mean = expert.log_prob(params, X, y), expert.mean(params, X)
    for k in range(2):
        peer = stats.multivariate_t(np.zeros(q), params["scale_matrix"][k], params["df"][k])
        np.testing.assert_allclose(log_prob[:, k], peer.logpdf(y - mean[:, k]), atol=1e-10)


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("kind", ["full", "diag", "spherical", "tied"])
@pytest.mark.parametrize("df", ["estimate", "tied", 2.5])
def test_rows_are_the_derivatives_in_the_predictors(df, kind, q):
    X, y, resp = problem(n=8, q=q)
    expert = StudentTExpert(df=df, covariance_type=kind)
    params = climbed(expert, X, y, resp, 1)
    given = {"estimate": [2.0, 7.0], "tied": [4.0]}  # inside the bounds
    params["df"] = np.array(given.get(df, params["df"]))
    check_rows(expert, params, X, y)


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("df", ["estimate", "tied"])
def test_the_verbs_of_one_expert_are_its_columns_of_all(df, kind):
    X, y, resp = problem(q=2)
    expert = StudentTExpert(df=df, covariance_type=kind)
    params = climbed(expert, X, y, resp, 1)
    one = expert.take(params, [1])
    np.testing.assert_array_equal(expert.log_prob(one, X, y), expert.log_prob(params, X, y)[:, [1]])


def test_the_variance_is_infinite_up_to_two_degrees_of_freedom():
    X, y, resp = problem(q=2)
    expert = StudentTExpert()
    params = climbed(expert, X, y, resp, 1) | {"df": np.array([2.0, 4.0])}
    units = Units(Scaling.identity(2), Scaling.identity(2))
    covariance = expert.components(params, X, units, single_output=False).covariance
    assert np.isinf(covariance[0]).all()
    np.testing.assert_allclose(covariance[1], 2 * params["scale_matrix"][1])  # 4/(4 - 2)


# -- the M-step --------------------------------------------------------------------------------


@pytest.mark.parametrize("df", ["estimate", "tied", 2.5])
@pytest.mark.parametrize("prior", [0.0, 0.5, 50.0])  # the last outweighs the rows of an expert
def test_the_fixed_point_has_gradient_zero(df, prior):
    X, y, resp = problem(q=2)
    expert = StudentTExpert(df=df, alpha=1.0, variance_prior=prior)
    params = climbed(expert, X, y, resp, 150)
    gradient = ravel(expert.gradient(params, expert.statistics(params, X, y, resp)))
    assert np.abs(gradient).max() < 1e-6  # of sums over 80 rows


@pytest.mark.parametrize("df", ["estimate", "tied", 2.5])
def test_the_certain_step_goes_to_the_same_point(df):
    X, y, resp = problem(q=2)
    expert = StudentTExpert(df=df, alpha=1.0, variance_prior=0.5)
    there = climbed(expert, X, y, resp, 150)
    creeping = climbed(expert, X, y, resp, 600, cautious=True)
    for name, leaf in there.items():  # plain EM is slow in df: it is near, not there
        np.testing.assert_allclose(creeping[name], leaf, rtol=1e-3, atol=1e-4)


def test_the_certain_step_for_df_is_that_of_ecm():
    """argmax of E[log p(y, u)], where u is gamma distributed given the row."""
    X, y, resp = problem(q=2)
    expert = StudentTExpert()
    params = climbed(expert, X, y, resp, 1)
    new = expert.maximize(params, expert.statistics(params, X, y, resp), cautious=True)
    for k, df in enumerate(params["df"]):
        residual = y - expert.mean(params, X)[:, k]
        precision = np.linalg.inv(params["scale_matrix"][k])
        rate = 0.5 * (df + np.einsum("ni,ij,nj->n", residual, precision, residual))
        shape = 0.5 * (df + 2)
        u, log_u = shape / rate, digamma(shape) - np.log(rate)

        def negative(half, weight=resp[:, k], slope=log_u - u):
            return -weight @ (half * np.log(half) - gammaln(half) + half * slope)

        best = minimize_scalar(
            negative, bounds=(0.5, 100), method="bounded", options={"xatol": 1e-8}
        )
        assert new["df"][k] == pytest.approx(2 * best.x, rel=1e-6)


def test_the_bold_step_for_df_is_newtons_in_its_inverse():
    X, y, resp = problem(q=2)
    expert = StudentTExpert()
    params = climbed(expert, X, y, resp, 1)
    inverse, h = 1 / params["df"], 1e-4
    lower, here, upper = (
        np.sum(resp * expert.log_prob(params | {"df": 1 / (inverse + d)}, X, y), axis=0)
        for d in (-h, 0, h)
    )
    newton = inverse - 0.5 * h * (upper - lower) / (upper - 2 * here + lower)
    new = expert.maximize(params, expert.statistics(params, X, y, resp))
    np.testing.assert_allclose(new["df"], 1 / newton, rtol=1e-4)  # differences: h² and 1e-13/h²


@pytest.mark.parametrize("df", ["tied", 4.0])
def test_the_gradient_keeps_df_as_it_must_be(df):
    X, y, resp = problem()
    expert = StudentTExpert(df=df)
    params = climbed(expert, X, y, resp, 1)
    slope = expert.gradient(params, expert.statistics(params, X, y, resp))["df"]
    assert slope.shape == params["df"].shape == ((1,) if df == "tied" else (2,))
    assert (slope == 0).all() == (df == 4.0)


def negative_log_likelihood(v, X, y):
    """Of one expert from (intercept, slopes, log σ, log df), by scipy."""
    residual = y - np.column_stack([np.ones(len(y)), X]) @ v[:-2]
    return -stats.t.logpdf(residual, np.exp(v[-1]), scale=np.exp(v[-2])).sum()


@pytest.mark.parametrize("df, solver", [(3.0, "auto"), (3.0, "em"), (15.0, "auto"), (1.4, "auto")])
def test_one_expert_is_maximum_likelihood(df, solver):
    X, y, _ = problem(n=200, df=df, seed=1)
    expert, y = StudentTExpert(**FREE), y[:, 0]
    model = MixtureOfExpertsRegressor(1, expert=expert, solver=solver).fit(X, y)
    view = model.experts_[0]
    fit = np.array([view.intercept_, *view.coef_, np.log(view.scale_), np.log(view.df_)])
    close = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000}
    best = minimize(negative_log_likelihood, fit + 0.01, (X, y), "Nelder-Mead", options=close)
    assert model.log_likelihood_ >= -best.fun - 1e-8 * abs(best.fun)
    np.testing.assert_allclose(fit, best.x, atol=1e-5)


def test_one_expert_with_two_outputs_is_maximum_likelihood():
    X, y, _ = problem(n=150, q=2)
    model = MixtureOfExpertsRegressor(1, expert=StudentTExpert(**FREE)).fit(X, y)
    view, Z = model.experts_[0], np.column_stack([np.ones(150), X])

    def negative(v):
        factor = np.array([[np.exp(v[6]), 0], [v[7], np.exp(v[8])]])
        peer = stats.multivariate_t(np.zeros(2), factor @ factor.T, np.exp(v[9]))
        return -peer.logpdf(y - Z @ v[:6].reshape(3, 2)).sum()

    L = np.linalg.cholesky(view.scale_matrix_)
    scales = [np.log(L[0, 0]), L[1, 0], np.log(L[1, 1]), np.log(view.df_)]
    fit = np.concatenate([view.intercept_, view.coef_.T.ravel(), scales])
    assert model.log_likelihood_ == pytest.approx(-negative(fit), rel=1e-12)
    best = minimize(negative, fit, method="BFGS", options={"gtol": 1e-6})
    assert -best.fun - model.log_likelihood_ < 1e-8 * best.fun


def test_normal_noise_gives_the_normal_experts_line():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((300, 1))
    y = X[:, 0] + rng.uniform(-1, 1, 300)  # tails lighter than any t distribution's
    t, normal = (
        MixtureOfExpertsRegressor(1, expert=expert).fit(X, y).experts_[0]
        for expert in (StudentTExpert(), LinearExpert())
    )
    assert t.df_ == 200
    # weights of rows differ from 1 by less than (δ - 1)/df = 0.01
    np.testing.assert_allclose(t.coef_, normal.coef_, rtol=1e-3)
    np.testing.assert_allclose(t.covariance_, normal.covariance_, rtol=2e-2)


def test_an_expert_without_rows_keeps_its_parameters():
    X, y, resp = problem()
    expert = StudentTExpert()
    params = climbed(expert, X, y, resp, 2)
    kept = expert.maximize(params, expert.statistics(params, X, y, resp * [0.0, 1.0]))
    assert all(np.array_equal(params[name][0], kept[name][0]) for name in params)
    assert kept["df"][1] != params["df"][1]


# -- df ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("df, count", [("estimate", 2), ("tied", 1), (3.0, 0)])
def test_df_is_given_shared_or_each_experts_own(df, count):
    X, y, resp = problem()
    expert = StudentTExpert(df=df)
    params = climbed(expert, X, y, resp, 3)
    assert len(params["df"]) == (1 if df == "tied" else 2)
    assert len(set(params["df"])) == (2 if df == "estimate" else 1)
    assert expert.n_parameters(params) == 2 * (3 + 1) + count
    if df == 3.0:
        assert params["df"][0] == 3


def test_a_df_at_its_lower_bound_is_reported_and_a_given_one_is_not():
    X, y, resp = problem(df=1.2)
    for df, who in (("estimate", "expert 0"), ("tied", "every expert"), (3.0, None)):
        expert = StudentTExpert(df=df, min_df=3.0)
        params = climbed(expert, X, y, resp, 20)
        assert params["df"].min() == 3
        findings = expert.diagnose(params, expert.statistics(params, X, y, resp))
        assert len(findings) == (who is not None)
        for finding in findings:
            assert finding.message.startswith(f"{who} has df at its bound min_df=3")
            assert (finding.category, finding.severe) == (ExpertCollapseWarning, False)


def test_params_that_are_no_model_are_turned_down_without_a_sound():
    """A solver may extrapolate df beyond its bounds, or below zero."""
    X, y, resp = problem()
    expert = StudentTExpert(min_df=1.5)
    params = climbed(expert, X, y, resp, 2)
    for df in (1.4, 201.0):
        beyond = params | {"df": np.array([5.0, df])}
        assert expert.log_prior(beyond) == -np.inf
        assert np.isfinite(StudentTExpert(df=df).log_prior(beyond))  # given, not estimated
    negative = params | {"df": np.array([5.0, -1.0])}
    assert np.isnan(expert.log_prob(negative, X, y)[:, 1]).all()
    assert np.isnan(expert.statistics(negative, X, y, resp)["log_weight"][1])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"df": "free"}, "df='free' of StudentTExpert: use 'estimate', 'tied' or a positive"),
        ({"df": 0}, "df=0 of StudentTExpert"),
        ({"df": True}, "df=True of StudentTExpert"),
        ({"min_df": 0}, "min_df=0 of StudentTExpert"),
        ({"min_df": 300}, "min_df=300 of StudentTExpert"),
        ({"covariance_type": "best"}, "covariance_type='best'"),
        ({"alpha": -1}, "alpha=-1"),
    ],
)
def test_hyper_parameters_that_fit_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        StudentTExpert(**settings).check_parameters()
    StudentTExpert().check_parameters()


# -- outliers ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def line():
    """X, y and three standard errors of the clean least-squares slopes."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((200, 2))
    y = X @ [1.0, -2.0] + 0.5 + rng.standard_normal(200)
    return X, y, 3 / np.sqrt(200)


@pytest.mark.parametrize("sigmas", [1e2, 1e6])
@pytest.mark.parametrize("prior", [1e-2, 0.0])
def test_outliers_do_not_move_the_line(line, sigmas, prior):
    X, y, margin = line
    y = y.copy()
    y[:3] = sigmas * np.array([1, -2, 3])
    model = MixtureOfExpertsRegressor(1, expert=StudentTExpert(variance_prior=prior))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)  # at 1e6 the prior is strong
        view = model.fit(X, y).experts_[0]
    np.testing.assert_allclose(view.coef_, [1, -2], atol=margin)
    if prior == 0:
        assert 0.4 < view.scale_ < 1.2  # heavier tails, so a smaller σ than the normal's 1
    swung = MixtureOfExpertsRegressor(1).fit(X, y).experts_[0]
    assert np.abs(swung.coef_ - [1, -2]).max() > margin


def test_a_prior_made_strong_by_outliers_says_so(line):
    X, y, _ = line
    y = np.r_[1e6, y[1:]]
    with pytest.warns(ExpertCollapseWarning, match="use a variance_prior smaller than 0.01, or 0"):
        MixtureOfExpertsRegressor(1, expert="student_t").fit(X, y)


def test_an_outlier_in_x_alone_is_an_outlier_in_y(line):
    X, y, _ = line
    X = X.copy()
    X[0, 0] = 1e6  # leverage: the line through it is flat, and far from all the others
    view = MixtureOfExpertsRegressor(1, expert="student_t").fit(X, y).experts_[0]
    assert np.isfinite([*view.coef_, view.scale_]).all()


def test_cauchy_noise_is_no_trouble():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((400, 2))
    y = X @ [1.0, -2.0] + rng.standard_cauchy(400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)  # df may well end at 1
        model = MixtureOfExpertsRegressor(1, expert="student_t").fit(X, y)
    # the information of the Cauchy location is 1/2 a row: se = sqrt(2 / 400)
    np.testing.assert_allclose(model.experts_[0].coef_, [1, -2], atol=3 * np.sqrt(2 / 400))
    assert np.isfinite(model.predict(X)).all()


@pytest.fixture(scope="module")
def tone():
    """Tone data, the same with ten copies of (0, 4), and how to fit them."""
    X, y = load_tone(return_X_y=True)
    contaminated = np.vstack([X, np.zeros((10, 1))]), np.append(y, np.full(10, 4.0))

    def fit(expert, data, start="quantile"):
        model = MixtureOfExpertsRegressor(
            2, expert=expert, gate="constant", init_params=start, n_init=3, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExpertCollapseWarning)  # df ends at its bound
            return model.fit(*data)

    return (X, y), contaminated, fit


def test_the_tone_data_have_two_lines(tone):
    clean, _, fit = tone
    normal = fit(LinearExpert(0, 0), clean)
    # R: mixtools and flexmix agree on these
    assert normal.log_likelihood_ == pytest.approx(141.20, abs=0.01)
    lines = sorted((v.intercept_, v.coef_[0], v.scale_) for v in normal.experts_)
    expected = [(-0.019, 0.992, 0.133), (1.916, 0.043, 0.046)]
    np.testing.assert_allclose(lines, expected, atol=1e-3)
    robust = fit(StudentTExpert(**FREE), clean)
    # 227.194: three starts of a separate implementation of the same likelihood
    assert robust.log_likelihood_ == pytest.approx(227.19, abs=0.01)
    steep = max(robust.experts_, key=lambda v: v.coef_[0])
    assert steep.coef_[0] == pytest.approx(0.999, abs=0.005)
    assert steep.intercept_ == pytest.approx(0.002, abs=0.01)


@pytest.mark.parametrize("min_df, log_likelihood", [(0.1, 166.2), (1.0, 160.8), (2.0, 130.1)])
def test_ten_outliers_leave_the_lines_of_the_tone_data_alone(tone, min_df, log_likelihood):
    clean, contaminated, fit = tone
    expert = StudentTExpert(min_df=min_df, **FREE)
    before = fit(StudentTExpert(**FREE), clean)
    after = fit(expert, contaminated, start=before)
    # of a separate implementation, to the digits it gave
    assert after.log_likelihood_ == pytest.approx(log_likelihood, abs=0.05)
    slopes = [sorted(v.coef_[0] for v in model.experts_) for model in (before, after)]
    np.testing.assert_allclose(*slopes, atol=0.02)


def test_ten_outliers_swing_the_normal_line(tone):
    clean, contaminated, fit = tone
    before = fit(LinearExpert(0, 0), clean)
    after = fit(LinearExpert(0, 0), contaminated, start=before)
    assert after.log_likelihood_ == pytest.approx(63.21, abs=0.01)  # R's, too
    swung = max(after.experts_, key=lambda v: v.scale_)
    assert swung.intercept_ == pytest.approx(3.507, abs=1e-3)
    assert swung.coef_[0] == pytest.approx(-0.443, abs=1e-3)


def test_the_motorcycle_data_reach_the_known_optimum():
    """Four t experts, quadratic in time, gate linear: the R package meteorits stops at -563.41."""
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(
        4, expert=StudentTExpert(**FREE), gate_features=[0], random_state=0
    ).fit(np.column_stack([X, X**2]), y)
    assert model.converged_
    assert model.n_parameters_ == 26
    assert model.log_likelihood_ >= -563.41


# -- the caller's side -------------------------------------------------------------------------

VALUES = {"coef": [[1.0], [2.0]], "intercept": [0.0, 1.0], "scale": [1.0, 2.0]}
UNITS = Units(Scaling.identity(1), Scaling.identity(1))


@pytest.mark.parametrize(
    "df, given, expected",
    [
        ("estimate", None, [10.0, 10.0]),
        ("estimate", [0.5, 1e6], [1.0, 200.0]),
        ("tied", [2.0, 4.0], [3.0]),
        (5.0, [2.0, 4.0], [5.0, 5.0]),
    ],
)
def test_a_starting_df_is_brought_within_what_is_allowed(df, given, expected):
    values = VALUES if given is None else VALUES | {"df": given}
    params = StudentTExpert(df=df).from_caller(values, UNITS, 2)
    np.testing.assert_array_equal(params["df"], expected)


def test_wrong_starting_values_are_named():
    with pytest.raises(ValueError, match="every df must be positive, got -1"):
        StudentTExpert().from_caller(VALUES | {"df": [1.0, -1.0]}, UNITS, 2)
    few = {name: VALUES[name] for name in ("coef", "intercept")}
    with pytest.raises(ValueError, match="needs 'scale' or 'scale_matrix'"):
        StudentTExpert().from_caller(few, UNITS, 2)
    with pytest.raises(ValueError, match="scale, scale_matrix, covariance, df; got"):
        StudentTExpert().from_caller(VALUES | {"nu": 3}, UNITS, 2)


def test_a_view_tells_scale_from_standard_deviation():
    start = VALUES | {"df": [4.0, 1.5]}
    params = StudentTExpert().from_caller(start, UNITS, 2)
    finite, infinite = (StudentTExpert().view(params, k, UNITS, n_features_in=1) for k in (0, 1))
    assert (finite.scale_, finite.df_, finite.scale_matrix_.item()) == (1.0, 4.0, 1.0)
    assert finite.covariance_.item() == 2.0  # df / (df - 2)
    assert (infinite.scale_, infinite.covariance_.item()) == (2.0, np.inf)


def test_a_cauchy_expert_predicts_its_centre_with_infinite_spread():
    X = np.linspace(-1, 1, 40)[:, None]
    y = 2 * X[:, 0] + np.random.default_rng(0).standard_cauchy(40)
    model = MixtureOfExpertsRegressor(1, expert=StudentTExpert(df=1)).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    assert np.isfinite(mean).all() and np.isposinf(std).all()
