"""Row-wise derivatives in the predictors, in any array namespace."""

import array_api_strict as strict
import numpy as np
import pytest

from classic_moe._kernels import array
from classic_moe.experts import (
    BinomialExpert,
    ExpertUnion,
    GammaExpert,
    LogisticExpert,
    NegativeBinomialExpert,
    PoissonExpert,
    SoftmaxExpert,
)
from classic_moe.parts.coordinates import Coordinates
from classic_moe.parts.params import ravel, unravel
from classic_moe.parts.part import offers
from classic_moe.parts.row_learning import Layout

N, STEP = 40, 1e-5
DEVICE = strict.Device("device1")
COUNTS = {
    "poisson": PoissonExpert(),
    "negative binomial": NegativeBinomialExpert(),
    "negative binomial fixed": NegativeBinomialExpert(dispersion=0.7),
    "gamma": GammaExpert(),
    "gamma fixed": GammaExpert(shape=2.5),
    "gamma inverse": GammaExpert(link="inverse"),
    "gamma inverse fixed": GammaExpert(link="inverse", shape=2.5),
    "binomial": BinomialExpert(),
}
CLASSES = {"softmax": SoftmaxExpert(), "logistic": LogisticExpert()}
UNIONS = {"union": ExpertUnion(["poisson", "negative_binomial", "poisson"])}
EXPERTS = COUNTS | CLASSES | UNIONS


def problem(name, seed=0):
    """An expert, its params, X, y, the keyword for an offset."""
    rng, expert = np.random.default_rng(seed), EXPERTS[name]
    X = rng.standard_normal((N, 2))
    resp = rng.dirichlet(np.ones(3), N)
    if name in CLASSES:
        C = 2 if name == "logistic" else 4
        y = rng.integers(0, C, N)
        params = expert.init(X, y, resp, rng, np.arange(C))
        return expert, params, X, y, {}
    y = 1.0 * rng.poisson(np.exp(0.5 + 0.4 * X[:, :1]))
    if "gamma" in name:
        y = rng.gamma(2.0, 0.5, (N, 1))
    if name == "binomial":
        y = np.column_stack([y, rng.poisson(2.0, N)])
    params = expert.init(X, y, resp, np.random.RandomState(0))
    return expert, params, X, y, {"offset": 0.3 * rng.standard_normal(N)}


def differences(function, vector):
    """Central differences of a function (n, K) along every coordinate, (n, K, m)."""
    unit = STEP * np.eye(len(vector))
    return np.stack([(function(vector + e) - function(vector - e)) / (2 * STEP) for e in unit], 2)


def in_coordinates(expert, params, X, terms):
    """The slope (n, K, m) and curvature (n, K, m, m) of `Terms` in all m free coordinates.

    By the chain rule alone: a predictor is its coefficients times [1, x] or 1, so that
    ∂/∂coefficient = slope · z.
    """
    coordinates = Coordinates(expert.coordinates(params), params)
    numbers = array_numbers(coordinates)
    n, K, _ = terms.slope.shape
    m = len(coordinates.free(params))
    # of expert k, how much predictor a moves with every coordinate: (n, K, a, m)
    maps = np.zeros((n, K, terms.slope.shape[2], m))
    Z = array.with_intercept(X)
    for a, each in enumerate(expert.predictors(params)):
        leaf = numbers
        for part in each.leaf.split("/"):
            leaf = leaf[part]
        design = Z if each.design == "x" else Z[:, :1]
        for entry in each.entries:
            for k in range(K):
                places = np.atleast_1d(leaf[entry] if each.shared else leaf[(k, *entry)])
                maps[:, k, a, places] += design
    slope = np.einsum("nka,nkam->nkm", terms.slope, maps)
    curvature = np.einsum("nkam,nkab,nkbl->nkml", maps, terms.curvature, maps)
    return coordinates, slope, curvature


def array_numbers(coordinates):
    """The number of every free coordinate, nested like the params."""

    return unravel(np.arange(len(ravel(coordinates.like))), coordinates.like)


def check_rows(expert, params, X, y, offset, tolerance=1e-6):
    terms = expert.rows(params, X, y, **offset)
    coordinates, slope, curvature = in_coordinates(expert, params, X, terms)
    vector = coordinates.free(params)

    def log_prob(vector):
        return expert.log_prob(coordinates.params(vector), X, y, **offset)

    def slopes(vector):
        moved = coordinates.params(vector)
        terms = expert.rows(moved, X, y, **offset)
        return in_coordinates(expert, moved, X, terms)[1]

    np.testing.assert_array_equal(terms.log_prob, expert.log_prob(params, X, y, **offset))
    once = expert.rows(params, X, y, 1, **offset)
    assert once.curvature is None
    np.testing.assert_array_equal(once.slope, terms.slope)
    found = differences(log_prob, vector)
    # central differences: an error of STEP² beside rounding of 1e-16 / STEP
    scale = max(1.0, np.abs(found).max())
    np.testing.assert_allclose(slope, found, rtol=0, atol=tolerance * scale)
    unit = STEP * np.eye(len(vector))
    found = np.stack([(slopes(vector - e) - slopes(vector + e)) / (2 * STEP) for e in unit], 3)
    scale = max(1.0, np.abs(found).max())
    np.testing.assert_allclose(curvature, found, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("with_offset", [False, True])
@pytest.mark.parametrize("name", EXPERTS)
def test_rows_are_the_derivatives_in_the_free_coordinates(name, with_offset):
    expert, params, X, y, offset = problem(name)
    check_rows(expert, params, X, y, offset if with_offset else {})


@pytest.mark.parametrize("name", [*COUNTS, "union"])
def test_rows_are_the_derivatives_where_the_linear_predictor_is_clipped(name):
    """Half of the rows are far beyond it, at either end; with the inverse link near the pole."""
    expert, params, X, y, _ = problem(name)
    far = np.where(np.arange(N) % 2, 0.0, 2000.0 * (-1) ** (np.arange(N) // 2))
    if "inverse" in name:
        far = np.where(np.arange(N) % 2, 0.0, -3.0)
    eta = 0.0
    if name in COUNTS:
        eta = np.abs(expert.linear_predictor(params, X, far))
        below = eta < 1 / params["ceiling"] if "inverse" in name else eta == 500.0
        assert below[::2].all() and not below[1::2].any()
    near = [row for row in range(N) if row % 2 or "inverse" in name or far[row] < 0]
    # where the mean is e^500 differences of the densities hold no digits
    check_rows(expert, params, X[near], y[near], {"offset": far[near]})
    if "inverse" not in name:
        terms = expert.rows(params, X[::2], y[::2], offset=far[::2])
        assert not terms.slope[:, :, 0].any() and not terms.curvature[:, :, 0, 0].any()


@pytest.mark.parametrize("name", EXPERTS)
def test_rows_sum_to_the_gradient(name):
    expert, params, X, y, offset = problem(name)
    resp = np.random.default_rng(1).uniform(0, 1, (N, 3))
    stats = expert.statistics(params, X, y, resp, 1, **offset)
    gradient = expert.gradient(params, stats)
    terms = expert.rows(params, X, y, **offset)
    coordinates, slope, _ = in_coordinates(expert, params, X, terms)
    vector = coordinates.free(params)
    found = np.einsum("nk,nkm->m", resp, slope)

    def penalty(vector):
        return expert.log_prior(coordinates.params(vector))

    unit = STEP * np.eye(len(vector))
    found += [(penalty(vector + e) - penalty(vector - e)) / (2 * STEP) for e in unit]
    wanted = coordinates.slope_in_free(vector, params, gradient)
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-7)  # differences of the penalty


def test_penalties_of_the_predictors_are_those_of_the_expert():
    for name in ("poisson", "softmax", "logistic"):
        expert, params, *_ = problem(name)
        expert = type(expert)(alpha=2.0)
        total = sum(
            each.penalty.value(params["coef"][(slice(None), *each.entries[0])])
            for each in expert.predictors(params)
        )
        assert -total == pytest.approx(expert.log_prior(params), rel=1e-12)


def test_members_that_see_x_standardised_beside_others_have_no_common_predictors():
    from sklearn.linear_model import LinearRegression

    assert offers(UNIONS["union"], "rows")
    assert not offers(ExpertUnion(["poisson", LinearRegression()]), "rows")


# -- array namespaces ----------------------------------------------------------------------------


def up(value):
    return strict.asarray(value, device=DEVICE)


def same(found, expected, rtol=1e-11):
    """Equal but for rounding: sums in another order, and special functions by their series."""
    for name, value in expected.items():
        if isinstance(value, dict):
            same(found[name], value, rtol)
            continue
        assert found[name].device == DEVICE, name
        scale = max(1.0, np.abs(value).max())
        host = array.to_host(found[name])
        np.testing.assert_allclose(host, value, rtol=rtol, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("name", EXPERTS)
def test_every_verb_of_a_pass_runs_where_the_rows_are(name):
    expert, params, X, y, offset = problem(name)
    resp = np.random.default_rng(1).uniform(0, 1, (N, 3))
    there = {key: up(column) for key, column in offset.items()}

    def verbs(X, y, resp, offset):
        found = {
            "log_prob": expert.log_prob(params, X, y, **offset),
            "mean": expert.mean(params, X, **offset),
            "statistics": expert.statistics(params, X, y, resp, **offset),
            "first": expert.statistics(params, X, y, resp, 1, **offset),
            "rows": expert.rows(params, X, y, **offset)._asdict(),
        }
        slope = resp[:, :, None] + 0.0 * found["mean"]
        return found | {"mean_gradient": expert.mean_gradient(params, X, slope, **offset)}

    same(verbs(up(X), up(y), up(resp), there), verbs(X, y, resp, offset))


# -- counts ----------------------------------------------------------------------------------------


def test_functions_of_counts_are_evaluated_once_a_count_with_the_same_values(monkeypatch):
    from classic_moe._kernels import counts
    from classic_moe.experts import negative_binomial

    rng = np.random.default_rng(0)
    y = 1.0 * rng.poisson(3.0, (200, 1))
    X, resp = rng.standard_normal((200, 1)), rng.uniform(0, 1, (200, 2))
    expert = NegativeBinomialExpert()
    params = expert.init(X, y, resp, None)
    seen = []

    def values():
        log_prob = expert.log_prob(params, X, y)
        return [log_prob, *expert.statistics(params, X, y, resp).values()]

    remainder = counts.remainder
    monkeypatch.setattr(counts, "remainder", lambda x: seen.append(np.size(x)) or remainder(x))
    negative_binomial._table.cache_clear()
    once = values()
    assert y.max() < 16 and max(seen) == 2 * 16  # as many as the next power of two
    monkeypatch.setattr(negative_binomial, "REPEATS", np.inf)
    for own, plain in zip(once, values(), strict=True):
        np.testing.assert_array_equal(own, plain)
    assert max(seen) == 400


@pytest.mark.parametrize("strange", [-1.0, 0.5, 1e9])
def test_values_that_are_no_small_counts_are_evaluated_one_by_one(strange):
    from classic_moe.experts.negative_binomial import once_a_count

    y = np.array([[0.0], [1.0], [strange]] * 20)
    size = np.array([1.0, 3.0])
    found = once_a_count(lambda y, size: 2 * y + size, y, size, np.zeros((60, 2)))
    np.testing.assert_array_equal(found, 2 * y + size)


def test_a_layout_names_every_free_coordinate_once():
    for name in ("gamma inverse", "negative binomial", "softmax"):
        expert, params, *_ = problem(name)
        layout = Layout(expert, params)
        places = np.concatenate([place.ravel() for each in layout.places for place in each])
        assert sorted(places) == list(range(len(layout.vector)))


def test_functions_of_counts_lie_in_memory_as_the_linear_predictor_does():
    from classic_moe.experts.negative_binomial import once_a_count

    y, size = np.arange(4.0).repeat(8)[:, None], np.array([1.0, 3.0])
    for order in "CF":
        eta = np.zeros((32, 2), order=order)
        found = once_a_count(np.multiply, y, size, eta)
        np.testing.assert_array_equal(found, y * size)
        assert found.flags.f_contiguous == eta.flags.f_contiguous
