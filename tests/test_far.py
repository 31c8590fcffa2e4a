"""Far outside the data every public method says something finite, whatever numpy is set to do.

Every expert with every gate, rows at ±40, ±1e6 and ±1e150, y at the ends of what a number can be,
under ``np.errstate(all="raise")`` and with warnings as errors.
"""

import inspect

import numpy as np
import pairs
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import LinearExpert, NoiseExpert, StudentTExpert
from classic_moe.gates import GaussianGate

GATES = pairs.GATES | {
    "gaussian diag": GaussianGate(covariance_type="diag"),
    "gaussian spherical": GaussianGate(covariance_type="spherical"),
}
EXPERTS = pairs.EXPERTS | {
    "laplace beside normal noise": ("real", ["laplace", NoiseExpert("normal")]),
    "two families of counts": ("count", ["poisson", "negative_binomial"]),
    "given variance": ("real", LinearExpert(variance=1.0)),
    "linear classes": ("class", "linear"),
}
FAR_Y = {
    "real": [1e300, -1e300, 0.0],
    "two": [[1e300, 1e300], [-1e300, 0.0]],
    "count": [0.0, 1e9, 2.0**62],
    "positive": [1e300, 1e-300, 1.0],
    "trials": [[0.0, 2.0**62], [2.0**62, 1.0], [1e9, 1e9]],
    "class": [0, 2],
    "binary": [0, 1],
}
QUICK = {("softmax", expert) for expert in EXPERTS} | {(gate, "poisson") for gate in GATES}
ALL = [
    pytest.param(gate, expert, marks=[] if (gate, expert) in QUICK else pytest.mark.slow)
    for gate in GATES
    for expert in EXPERTS
]
OF_X = ["gate_proba", "assign", "predict_experts", "predict", "predict_proba", "predict_log_proba"]
OF_X_AND_Y = ["responsibilities", "assign", "log_prob", "score", "aic", "bic", "icl"]
OTHERS = ["fit", "sample", "predict_dist"]


def far_rows(X):
    """Three rows of X, and rows far away from it in every direction."""
    corners = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1], [0, 1]])
    return np.concatenate([X[:3], *(size * corners for size in (40.0, 1e6, 1e150))])


def check_finite(name, value):
    for each in value if isinstance(value, tuple) else (value,):
        assert np.isfinite(np.asarray(each, dtype=float)).all(), name


def check_distribution(dist, kind, far_y):
    for name in ("mean", "median", "var", "std", "covariance"):
        check_finite(name, getattr(dist, name)())
    for q in (1e-16, 0.3, 1 - 1e-16):
        check_finite("ppf", dist.ppf(q))
    dist.ppf(0), dist.ppf(1)  # the ends of the support, maybe infinite
    check_finite("interval", dist.interval(0.9))
    draws = dist.rvs(3, random_state=0)
    check_finite("rvs", draws)
    if kind == "count":
        assert draws.dtype == np.int64
        assert draws.min() >= 0
    for y in far_y:
        for name in ("pdf", "cdf", "sf"):
            value = getattr(dist, name)(y)
            check_finite(name, value)
            assert (value >= 0).all()
        assert not np.isnan(dist.logpdf(y)).any()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # and its subclasses
@pytest.mark.parametrize(("gate", "expert"), ALL)
def test_every_method_says_something_finite_far_away(gate, expert):
    kind, part = EXPERTS[expert]
    X, y = pairs.data(kind, np.random.default_rng(0))
    classes = kind in ("class", "binary")
    estimator = MixtureOfExpertsClassifier if classes else MixtureOfExpertsRegressor
    options = dict(n_init=1, max_iter=15, tol=1e-2, random_state=0)
    with np.errstate(all="raise"):
        model = estimator(2, expert=part, gate=GATES[gate], **options).fit(X, y)
        far, codes = far_rows(X), classes
        for name in OF_X:
            if hasattr(model, name):
                value = getattr(model, name)(far)
                check_finite(name, np.zeros(1) if codes and name == "predict" else value)
        assert_allclose(model.gate_proba(far).sum(axis=1), 1, rtol=1e-12)
        drawn, _ = model.sample(far, random_state=0)
        assert (drawn >= 0).all() or kind != "count"
        for value in FAR_Y[kind]:
            Y = np.tile(value, (len(far), 1)) if np.ndim(value) else np.full(len(far), value)
            for name in OF_X_AND_Y:
                found = getattr(model, name)(far, Y)
                # A uniform noise expert alone excludes y beyond its range.
                if expert != "noise" or name in ("responsibilities", "assign", "score"):
                    check_finite(name, found)
        if not classes:
            check_finite("return_std", model.predict(far, return_std=True))
            of_dist = [0.0, 1.0] if kind == "trials" else FAR_Y[kind]
            check_distribution(model.predict_dist(far), kind, of_dist)
        for view in model.experts_:
            view.predict(far)


@pytest.mark.parametrize("estimator", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_no_public_method_is_forgotten(estimator):
    """Those that evaluate the model are in the test above; the others are named here."""
    apart = {"partial_fit", "fit_blocks", "summary", "equations", "describe", "log_evidence"}
    apart |= {"node_proba", "node_responsibilities", "export_text"}  # of gates that are trees
    apart |= {"get_params", "set_params", "get_metadata_routing", "set_callbacks"}
    apart |= {name for name in dir(estimator) if name.startswith("set_") and "_request" in name}
    public = {name for name in dir(estimator) if name[0] != "_" and callable(_of(estimator, name))}
    assert public - apart - {"objective"} <= {*OF_X, *OF_X_AND_Y, *OTHERS}


def _of(cls, name):
    member = inspect.getattr_static(cls, name)
    return member.fn if hasattr(member, "fn") else member


def test_other_methods_let_underflow_be_too():
    X, y = pairs.data("count", np.random.default_rng(0))
    options = dict(expert="poisson", n_init=1, max_iter=15, tol=1e-2, random_state=0)
    with np.errstate(all="raise"):
        model = HierarchicalMixtureOfExpertsRegressor(depth=1, **options).fit(X, 1000 * y)
        far = far_rows(X)
        check_finite("node_proba", tuple(model.node_proba(far).values()))
        found = model.node_responsibilities(far, np.full(len(far), 1e9))
        check_finite("node_responsibilities", tuple(found.values()))
        assert model.export_text()
        assert str(model.summary(X, 1000 * y))
        model = MixtureOfExpertsRegressor(2, expert="poisson", random_state=0)
        check_finite("partial_fit", model.partial_fit(X, 1000 * y).predict(far))


@pytest.mark.slow  # a pass of this size loads numba
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # in five steps
def test_threads_that_know_nothing_of_the_callers_settings_give_the_same_bits():
    """numpy's settings are each thread's own; in chunks of 16,384 rows underflow is common."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 3, (40_000, 2))
    y = rng.poisson(np.where(X[:, 1] > 1.5, 1000.0, 1.0) * np.exp(X[:, 0])).astype(float)
    found = []
    for n_jobs in (1, 2):
        model = MixtureOfExpertsRegressor(
            2, expert="poisson", n_init=1, max_iter=5, tol=1.0, random_state=0, n_jobs=n_jobs
        )
        with np.errstate(all="raise"):
            model.fit(X, y)
        found.append((model.log_likelihood_, model.experts_[0].coef_))
    assert_array_equal(found[0][0], found[1][0])
    assert_array_equal(found[0][1], found[1][1])


# -- one number at a time ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counts():
    """Counts that grow along x0, and a fit of either family to them."""
    rng = np.random.default_rng(33)
    X = rng.uniform(0, 3, (500, 2))
    y = rng.poisson(np.exp(1.5 * X[:, 0]))
    return X, y


@pytest.mark.parametrize("expert", ["poisson", "negative_binomial"])
def test_draws_of_counts_beyond_an_integer_are_the_largest_one(counts, expert):
    """They were -9223372036854775808, or an error of numpy's about a value called lam."""
    model = MixtureOfExpertsRegressor(2, expert=expert, random_state=0, n_init=1, tol=1e-3)
    model.fit(*counts)
    far = np.array([[1e6, 0.0], [40.0, 0.0], [-1e6, 0.0]])
    draw, _ = model.sample(far, random_state=0)
    assert_array_equal(draw, [2**63 - 1024, 2**63 - 1024, 0])
    assert draw.dtype == np.int64
    assert_array_equal(model.predict_dist(far[:1]).rvs(2, random_state=0), [[2**63 - 1024]] * 2)


@pytest.mark.parametrize("expert", ["linear", "student_t", "poisson", "negative_binomial", "gamma"])
def test_logpdf_is_log_prob_where_the_likely_experts_have_no_mass(expert):
    """Beside a likely expert one of weight e^-3000, whose weight is no number, has all the mass."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 1))
    eta = np.where(X[:, 0] > 0, 4.0 + X[:, 0], 1.0 - X[:, 0])
    y = np.exp(eta) * rng.gamma(20, 0.05, 300)
    y = rng.poisson(y) if expert in ("poisson", "negative_binomial") else y
    model = MixtureOfExpertsRegressor(2, expert=expert, random_state=0, n_init=3).fit(X, y)
    far = np.array([[-1000.0], [1000.0], [-3.0], [3.0]])
    assert model.gate_proba(far).min() == 0
    for value in (1.0, 50.0, 10_000.0):
        Y = np.full(4, value)
        # 1e-9: rounding of linear predictors of the size of 1e3, times counts up to 1e4
        assert_allclose(model.predict_dist(far).logpdf(Y), model.log_prob(far, Y), rtol=1e-9)


def test_counts_without_overdispersion_have_the_mass_that_log_prob_says():
    """At the least dispersion, 1e-8, scipy's negative binomial keeps six digits."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 1))
    y = np.minimum(rng.poisson(np.exp(0.5 * X[:, 0])), 3)
    model = MixtureOfExpertsRegressor(2, expert="negative_binomial", random_state=0).fit(X, y)
    assert min(view.dispersion_ for view in model.experts_) < 1.1e-8
    # 1e-13: some roundings of numbers of the order 1
    assert_allclose(model.predict_dist(X).logpdf(y), model.log_prob(X, y), rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("expert", ["linear", "student_t", "noise"])
def test_outputs_whose_squares_are_no_numbers_have_a_distribution(expert, size):
    X, y = pairs.data("two", np.random.default_rng(0))
    options = dict(n_init=1, max_iter=15, tol=1e-2, random_state=0)
    with np.errstate(all="raise"):
        model = MixtureOfExpertsRegressor(2, expert=expert, **options).fit(X, size * y)
        dist = model.predict_dist(X)
        # 1e-12: log-densities are of the order of 1e3, the volume alone
        assert_allclose(dist.logpdf(size * y), model.log_prob(X, size * y), rtol=1e-12)
        assert (dist.std() / size > 1e-3).all()
        spread = np.std((dist.rvs(2000, random_state=0) - dist.mean()) / dist.std(), axis=0)
        # 0.5: thirty standard errors of the standard deviation of 2,000 normal draws; tails of t
        assert_allclose(spread, 1, atol=0.5)


def test_classes_with_log_odds_of_ten_thousand():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = (X[:, 0] > 0).astype(int)
    with np.errstate(all="raise"):
        model = MixtureOfExpertsClassifier(2, random_state=0, n_init=1, tol=1e-3).fit(X, y)
        far = np.array([[1e5, 0.0], [-1e5, 0.0]])
        log_proba = model.predict_log_proba(far)
        check_finite("predict_log_proba", log_proba)
        log_prob = model.log_prob(far, [0, 1])
        assert (log_prob < -1e4).all()  # goes on where probabilities end
        assert np.isfinite(log_prob).all()
        assert_array_equal(model.predict(far), [1, 0])
        assert_array_equal(model.sample(far, random_state=0)[0], [1, 0])


def test_an_offset_far_away_is_clipped_and_drawn():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-1, 1, 200), rng.uniform(0, 1, 200)])
    y = rng.poisson(np.exp(1 + X[:, 0] + X[:, 1]))
    model = MixtureOfExpertsRegressor(1, expert="poisson", offset_feature=1).fit(X, y)
    far = np.array([[0.0, 800.0], [0.0, -800.0], [0.0, 1e300]])
    with np.errstate(all="raise"):
        check_finite("predict", model.predict(far))
        draw, _ = model.sample(far, random_state=0)
    assert_array_equal(draw, [2**63 - 1024, 0, 2**63 - 1024])


def test_a_score_of_huge_and_of_tiny_numbers_is_that_of_ordinary_ones():
    X, y = pairs.data("real", np.random.default_rng(0))
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    for size in (2.0**1000, 2.0**-1000):
        with np.errstate(all="raise"):
            scaled = MixtureOfExpertsRegressor(1).fit(X, size * y)
            assert scaled.score(X, size * y) == pytest.approx(model.score(X, y), rel=1e-12)


@pytest.mark.parametrize("df", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_predict_is_the_centre_of_student_t_experts_and_the_distribution_is_strict(df):
    X, y = pairs.data("real", np.random.default_rng(0))
    model = MixtureOfExpertsRegressor(1, expert=StudentTExpert(df=df)).fit(X, y)
    view, dist = model.experts_[0], model.predict_dist(X)
    centre = X @ view.coef_ + view.intercept_
    assert_allclose(model.predict(X), centre, atol=1e-12)
    assert_allclose(dist.median(), centre, atol=1e-9)
    assert np.isnan(dist.mean()).all() == (df <= 1)
    assert np.isinf(dist.var()).all() == np.isinf(dist.std()).all() == (df <= 2)
    _, std = model.predict(X, return_std=True)
    assert_array_equal(std, dist.std())
