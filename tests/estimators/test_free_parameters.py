"""`n_parameters_`: parameters that the rows determine, whatever the columns repeat."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import GammaExpert, LinearExpert, RowwiseExpert
from classic_moe.gates import ExponentialFamilyGate, GaussianGate, TreeGate
from classic_moe.parts.predictors import Predictor, Terms
from classic_moe.parts.views import RegressionView

QUICK = dict(n_init=1, max_iter=2, random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def problem():
    """Return three columns, the same with four redundant ones, and a mean of two regimes."""
    rng = np.random.default_rng(15)
    X = rng.normal(size=(120, 3))
    redundant = np.column_stack([X, X[:, 0], X.sum(axis=1), np.ones(120), np.zeros(120)])
    return X, redundant, np.where(X[:, 1] > 0, X[:, 0], -X[:, 0]) + 0.2 * rng.normal(size=120)


def targets():
    y = problem()[2]
    return {
        "real": y,
        "two": np.column_stack([y, y**2]),
        "positive": np.exp(y),
        "count": np.round(np.exp(y)),
        "share": (y > 0).astype(float),
        "class": np.digitize(y, [-0.5, 0.5]),
        "binary": y > 0,
    }


class Cosh(RowwiseExpert):
    """A family of the user's own: log p = -log cosh(y - b x - a) - log pi."""

    def __init__(self, alpha=1e-6):
        self.alpha = alpha

    def predictors(self, params):
        return [Predictor("coef")]

    def init(self, X, y, resp, random_state, classes=None):
        return {"coef": np.zeros((resp.shape[1], 1 + X.shape[1]))}

    def mean(self, params, X):
        return (params["coef"][:, :1].T + X @ params["coef"][:, 1:].T)[:, :, None]

    def rows(self, params, X, y, derivatives=2):
        residual = y - self.mean(params, X)[:, :, 0]
        tanh, size = np.tanh(residual), np.abs(residual)
        log_prob = np.log(2 / np.pi) - size - np.log1p(np.exp(-2 * size))
        return Terms(log_prob, tanh[:, :, None], (1 - tanh**2)[:, :, None, None])

    def view(self, params, k, units, single_output=True, **shell):
        return RegressionView(**shell, coef_=params["coef"][k, 1:], intercept_=0.0, scale_=1.0)


EXPERTS = [
    ("linear", "real"),
    ("linear", "two"),
    (LinearExpert(covariance_type="tied"), "two"),
    (LinearExpert(variance=1.0), "real"),
    ("student_t", "real"),
    ("laplace", "real"),
    ("poisson", "count"),
    ("negative_binomial", "count"),
    ("binomial", "share"),
    ("gamma", "positive"),
    (GammaExpert(link="inverse"), "positive"),
    ("mlp", "real"),
    ("gaussian", "real"),
    ("noise", "real"),
    (Cosh(), "real"),
    (LinearRegression(), "real"),
    (["linear", "student_t"], "real"),
    (["linear", "gamma"], "positive"),
    (["linear", DecisionTreeRegressor(max_depth=2)], "real"),
]


@pytest.mark.parametrize(("expert", "target"), EXPERTS, ids=str)
def test_experts_count_independent_columns(expert, target):
    X, redundant, _ = problem()
    model = MixtureOfExpertsRegressor(2, expert=expert, gate="constant", **QUICK)
    plain = model.fit(X, targets()[target]).n_parameters_
    assert model.fit(redundant, targets()[target]).n_parameters_ == plain


GATES = [
    ("softmax", 2),
    ("constant", 2),
    ("least_squares", 2),
    ("gaussian", 2),
    (GaussianGate("diag"), 2),
    (GaussianGate("spherical"), 2),
    (GaussianGate("tied"), 2),
    ("exponential_family", 2),
    ("tree", 4),
    (TreeGate(structure=((0, 1), 2)), 3),
    (LogisticRegression(), 2),
]


@pytest.mark.parametrize(("gate", "n_experts"), GATES, ids=str)
def test_gates_count_independent_columns(gate, n_experts):
    X, redundant, y = problem()
    model = MixtureOfExpertsRegressor(n_experts, expert="gaussian", gate=gate, **QUICK)
    plain = model.fit(X, y).n_parameters_
    assert model.fit(redundant, y).n_parameters_ == plain


@pytest.mark.parametrize(
    ("expert", "target"),
    [("softmax", "class"), ("logistic", "binary"), ("linear", "class"), ("mlp", "class")],
)
def test_classifiers_count_independent_columns(expert, target):
    X, redundant, _ = problem()
    model = MixtureOfExpertsClassifier(2, expert=expert, **QUICK)
    plain = model.fit(X, targets()[target]).n_parameters_
    assert model.fit(redundant, targets()[target]).n_parameters_ == plain


def test_other_estimators_count_independent_columns():
    X, redundant, y = problem()
    tree = HierarchicalMixtureOfExpertsRegressor(**QUICK)
    assert tree.fit(X, y).n_parameters_ == 4 * 5 + 3 * 4
    assert tree.fit(redundant, y).n_parameters_ == 4 * 5 + 3 * 4
    listener = MetaPiRegressor([LinearRegression(), LinearRegression()], max_iter=2)
    plain = listener.fit(X, y).n_parameters_
    assert listener.fit(redundant, y).n_parameters_ == plain


def test_codes_and_counts_that_say_nothing_new_have_no_density():
    rng = np.random.default_rng(0)
    code, count, real = rng.integers(0, 2, 120), rng.poisson(3, 120), rng.normal(size=120)
    X = np.column_stack([code, count, real])
    redundant = np.column_stack([X, 1 - code, np.full(120, 2), real])
    y, families = real + code, ["bernoulli", "poisson", "gaussian"]
    plain, more = (
        MixtureOfExpertsRegressor(2, gate=ExponentialFamilyGate(f), **QUICK)
        for f in (families, 2 * families)
    )
    assert more.fit(redundant, y).n_parameters_ == plain.fit(X, y).n_parameters_


def test_gate_and_experts_count_each_their_own_columns():
    _, redundant, y = problem()
    # columns 0 and 3 are copies; 5 is constant
    model = MixtureOfExpertsRegressor(2, gate_features=[0, 3], expert_features=[3, 1, 5], **QUICK)
    assert model.fit(redundant, y).n_parameters_ == (1 + 1) + 2 * (1 + 2 + 1)


@pytest.mark.parametrize(("n", "p"), [(20, 40), (20, 100)])
def test_the_rank_is_at_most_the_number_of_rows(n, p):
    """100 columns make the fit work in the space of the rows, 40 do not."""
    X = np.random.default_rng(0).normal(size=(n, p))
    assert MixtureOfExpertsRegressor(1).fit(X, X[:, 0]).n_parameters_ == n + 1


def test_rows_without_weight_determine_nothing():
    X, _, y = problem()
    weight = np.ones(120)
    weight[3:] = 0
    model = MixtureOfExpertsRegressor(1).fit(X, y, sample_weight=weight)
    assert model.n_parameters_ == 3 + 1


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_one_expert_counts_and_scores_as_statsmodels_does():
    _, redundant, y = problem()
    model = MixtureOfExpertsRegressor(1).set_params(expert__alpha=0, expert__variance_prior=0)
    model.fit(redundant, y)
    least_squares = sm.OLS(y, redundant).fit()  # its column 5 is the intercept
    rank = int(least_squares.df_model) + 1
    assert rank == 4 and model.n_parameters_ == rank + 1
    # statsmodels leaves out the variance: 2 and log n more
    assert_allclose(model.aic(redundant, y), least_squares.aic + 2, rtol=1e-9)
    assert_allclose(model.bic(redundant, y), least_squares.bic + np.log(120), rtol=1e-9)


def test_a_penalty_that_settles_the_other_directions_does_not_count_them():
    _, redundant, y = problem()
    counts = [
        MixtureOfExpertsRegressor(2, **QUICK)
        .set_params(expert__alpha=alpha, gate__alpha=alpha)
        .fit(redundant, y)
        .n_parameters_
        for alpha in (0, 1e-6, 10.0)
    ]
    assert counts == [14, 14, 14]


def test_rows_that_go_on_keep_the_count_and_a_stream_counts_every_column():
    _, redundant, y = problem()
    model = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(redundant, y)
    assert model.partial_fit(redundant[:3], y[:3]).n_parameters_ == 14
    stream = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).partial_fit(redundant, y)
    assert stream.n_parameters_ == 26
    assert stream.partial_fit(redundant[:3], y[:3]).n_parameters_ == 26
