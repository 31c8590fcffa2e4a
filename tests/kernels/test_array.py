"""The reference kernels: right by scipy and by finite differences, in any array namespace."""

import array_api_strict as strict
import numpy as np
import pytest
from scipy import special, stats

from classic_moe._kernels import array
from classic_moe.parts.statistics import Statistics

RNG = np.random.default_rng(0)
n, p, q, K, C = 30, 2, 2, 3, 4
X, Y = RNG.standard_normal((n, p)), RNG.standard_normal((n, q))
CODES, WEIGHT = RNG.integers(0, C, n), RNG.uniform(0, 2, n)
TARGET = RNG.uniform(0, 1, (n, K))
SCORES = 5 * RNG.standard_normal((n, K))
GATE = RNG.standard_normal((K, 1 + p))
COEF = RNG.standard_normal((K, C, 1 + p))
WHITENING, LOG_NORM = RNG.standard_normal((K, q, 1 + p + q)), RNG.standard_normal(K)
Z = array.with_intercept(X, Y)
FLAT, TREE = array.Branches.flat(K), array.Branches((0, 2, 4), (~1, 2, 0, 1))  # ((0, 1), 2)
BRANCH = RNG.standard_normal((4, 1 + p))


# -- elementary functions ----------------------------------------------------------------------


def test_logsumexp_is_scipys_also_for_minus_infinity():
    scores = np.vstack([SCORES, 1e3 * SCORES, np.full((1, K), -np.inf), [[-np.inf, 1.0, -1e308]]])
    np.testing.assert_allclose(array.logsumexp(scores), special.logsumexp(scores, axis=1))
    np.testing.assert_allclose(array.logsumexp(SCORES, axis=0), special.logsumexp(SCORES, axis=0))


def test_log_softmax_is_scipys():
    scores = np.vstack([SCORES, 1e3 * SCORES, [[-np.inf, 0.0, 1.0]]])
    np.testing.assert_allclose(array.log_softmax(scores), special.log_softmax(scores, axis=1))


def test_the_design_is_float64_whatever_comes_in():
    design = array.with_intercept(X.astype(np.float32), Y)
    assert design.dtype == np.float64
    assert np.array_equal(design, np.column_stack([np.ones(n), X.astype(np.float32), Y]))
    assert array.with_intercept(np.empty((n, 0))).shape == (n, 1)


def test_weighted_grams_are_sums_of_outer_products():
    expected = np.einsum("nk,na,nb->kab", TARGET, Z, Z)
    np.testing.assert_allclose(array.weighted_grams(Z, TARGET), expected, atol=1e-12)


def test_the_gaussian_density_is_scipys():
    factor = np.tril(RNG.uniform(0.5, 1.5, (q, q)))
    mean, covariance = RNG.standard_normal(q), factor @ factor.T
    whitened = np.linalg.solve(factor, (Y - mean).T).T[:, None, :]
    log_norm = -np.log(np.diag(factor)).sum() - 0.5 * q * np.log(2 * np.pi)
    got = array.gaussian_log_density(whitened, np.array([log_norm]))
    expected = stats.multivariate_normal(mean, covariance).logpdf(Y)
    np.testing.assert_allclose(got[:, 0], expected, rtol=1e-12)


# -- responsibilities --------------------------------------------------------------------------


def test_responsibilities_are_bayes_rule():
    log_gate, log_density = array.log_softmax(SCORES), SCORES[::-1]
    value, resp = array.mixture_posterior(log_gate, log_density)
    joint = np.exp(log_gate + log_density)
    np.testing.assert_allclose(np.exp(value), joint.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(resp, joint / joint.sum(axis=1, keepdims=True), rtol=1e-12)


def test_where_every_density_is_zero_the_gate_decides():
    log_gate = array.log_softmax(SCORES)
    value, resp = array.mixture_posterior(log_gate, np.full((n, K), -np.inf))
    assert (value == -np.inf).all()
    np.testing.assert_allclose(resp, np.exp(log_gate), rtol=1e-12)


def test_densities_that_underflow_are_compared_in_logarithms():
    log_density = np.array([[-1e6, -1e6 - np.log(3.0), -2e6]])
    value, resp = array.mixture_posterior(np.log(np.full((1, 3), 1 / 3)), log_density)
    np.testing.assert_allclose(resp, [[0.75, 0.25, 0.0]], rtol=1e-9)  # 1e6 holds 1e-10
    np.testing.assert_allclose(value, [-1e6 + np.log(4 / 9)], rtol=1e-12)


def test_an_expert_that_is_not_routed_gets_exactly_nothing():
    log_gate = np.log(np.array([[0.5, 0.5, 1.0]])) + np.array([[0.0, 0.0, -np.inf]])
    resp = array.mixture_posterior(log_gate, np.array([[-1.0, -2.0, 50.0]]))[1]
    assert resp[0, 2] == 0.0 and resp.sum() == pytest.approx(1)


# -- derivatives -------------------------------------------------------------------------------


def expected_log_prob(coef):
    return np.sum(TARGET * array.log_softmax(array.with_intercept(X) @ coef.T))


def test_the_softmax_gradient_and_hessian_are_derivatives():
    design, h = array.with_intercept(X), 1e-5  # differences: error about h² here

    def gradient(coef):
        prob = np.exp(array.log_softmax(design @ coef.T))
        return array.softmax_gradient(design, prob, TARGET)

    steps = h * np.eye(GATE.size).reshape(-1, *GATE.shape)
    slopes = [(expected_log_prob(GATE + e) - expected_log_prob(GATE - e)) / (2 * h) for e in steps]
    np.testing.assert_allclose(gradient(GATE).ravel(), slopes, atol=1e-7)
    curvature = [(gradient(GATE - e) - gradient(GATE + e)).ravel() / (2 * h) for e in steps]
    prob = np.exp(array.log_softmax(design @ GATE.T))
    hessian = array.softmax_hessian(design, prob, TARGET.sum(axis=1))
    np.testing.assert_allclose(hessian.reshape(GATE.size, -1), curvature, atol=1e-7)


def test_the_blocks_of_the_hessian_sum_to_zero():
    prob = np.exp(array.log_softmax(SCORES))
    hessian = array.softmax_hessian(Z, prob, WEIGHT)
    np.testing.assert_allclose(hessian.sum(axis=2), 0, atol=1e-12)


# -- whole passes ------------------------------------------------------------------------------


def test_blocks_are_those_on_the_diagonal_of_the_hessian():
    prob = np.exp(array.log_softmax(SCORES))
    hessian = array.softmax_curvature(Z, prob, WEIGHT, True)
    blocks = array.softmax_curvature(Z, prob, WEIGHT, array.BLOCKS)
    for k in range(K):
        np.testing.assert_allclose(blocks[k], hessian[k, :, k, :], atol=1e-12)
    assert array.softmax_curvature(Z, prob, WEIGHT, False) is None


def test_moments_are_sums_of_outer_products():
    U = np.random.default_rng(0).standard_normal((n, K, q))
    moments = array.weighted_moments(Z, TARGET, U)
    expected = np.einsum("nk,nkq,np->kqp", TARGET, U, Z)
    np.testing.assert_allclose(moments[:, 1:], expected, atol=1e-12)
    np.testing.assert_allclose(moments[:, 0], TARGET.T @ Z, atol=1e-12)
    np.testing.assert_allclose(array.weighted_moments(Z, TARGET), moments[:, :1], atol=1e-12)


def test_the_objective_of_the_regression_pass_is_the_log_likelihood():
    factor = np.tril(RNG.uniform(0.5, 1.5, (K, q, q)))
    means = RNG.standard_normal((K, q, 1 + p))
    whitening = np.linalg.solve(factor, np.concatenate([-means, [np.eye(q)] * K], axis=2))
    log_norm = -np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1) - np.log(2 * np.pi)
    design = array.with_intercept(X)
    density = [
        stats.multivariate_normal(cov=L @ L.T).pdf(Y - design @ B.T)
        for L, B in zip(factor, means, strict=True)
    ]
    joint = special.softmax(design @ GATE.T, axis=1) * np.transpose(density)
    objective, gradient, (hessian,), grams = array.softmax_gaussian(
        X, Y, WEIGHT, GATE, FLAT, whitening, log_norm
    )
    np.testing.assert_allclose(objective, WEIGHT @ np.log(joint.sum(axis=1)), rtol=1e-12)
    resp = WEIGHT[:, None] * joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(grams[:, 0, 0], resp.sum(axis=0), rtol=1e-10)
    assert gradient.shape == (K, 1 + p) and hessian.shape == (K, 1 + p, K, 1 + p)


@pytest.mark.parametrize("gate, branches", [(GATE, FLAT), (BRANCH, TREE)], ids=["flat", "tree"])
@pytest.mark.parametrize("moved", ["gate", "experts"])
def test_the_gradients_of_the_classification_pass_are_those_of_its_objective(moved, gate, branches):
    h = 1e-5
    at = {"gate": gate, "experts": COEF}

    def outputs(step):
        here = at | {moved: at[moved] + step}
        return array.softmax_softmax(X, CODES, WEIGHT, here["gate"], branches, here["experts"])

    steps = h * np.eye(at[moved].size).reshape(-1, *at[moved].shape)
    slopes = [(outputs(e)[0] - outputs(-e)[0]) / (2 * h) for e in steps]
    gradient = outputs(0.0)[1 if moved == "gate" else 3]
    np.testing.assert_allclose(gradient.ravel(), slopes, atol=1e-7)


def test_an_expert_has_the_product_of_the_probabilities_along_its_path():
    scores = RNG.standard_normal((n, 4))
    root, below = special.softmax(scores[:, :2], axis=1), special.softmax(scores[:, 2:], axis=1)
    along, leaves = array.log_paths(scores, TREE)
    np.testing.assert_allclose(np.exp(along), np.hstack([root, below]), rtol=1e-12)
    expected = np.column_stack([root[:, :1] * below, root[:, 1]])
    np.testing.assert_allclose(np.exp(leaves), expected, rtol=1e-12)


def test_a_branch_has_the_responsibilities_of_the_experts_below_it():
    first, second, third = TARGET.T
    expected = np.column_stack([first + second, third, first, second])
    np.testing.assert_array_equal(array.to_branches(TARGET, TREE), expected)


def test_hessians_are_left_out_where_not_wanted():
    outputs = array.softmax_gaussian(X, Y, WEIGHT, GATE, FLAT, WHITENING, LOG_NORM, False)
    assert outputs[2] == [None]
    some = array.softmax_gaussian(X, Y, WEIGHT, BRANCH, TREE, WHITENING, LOG_NORM, (True, False))
    assert some[2][0] is not None and some[2][1] is None
    outputs = array.softmax_softmax(X, CODES, WEIGHT, GATE, FLAT, COEF, False, False)
    assert outputs[2] == [None] and outputs[4] is None


# -- hard and known assignments ----------------------------------------------------------------


def test_the_first_of_equal_entries_is_the_hard_choice():
    prob = np.array([[0.2, 0.4, 0.4], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(array.harden(prob), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(np.exp(array.log_harden(np.log(prob + 1e-9))), array.harden(prob))
    np.testing.assert_allclose(np.exp(array.log_share(array.harden(prob), prob)), [0.4, 1.0])


def test_a_known_expert_leaves_no_other():
    known = array.log_known(SCORES[:3], np.array([-1, 2, 0]))
    np.testing.assert_array_equal(known[0], SCORES[0])
    assert known[1, 2] == SCORES[1, 2] and np.isneginf(known[1, :2]).all()
    assert known[2, 0] == SCORES[2, 0] and np.isneginf(known[2, 1:]).all()


def test_a_known_expert_has_all_the_responsibility_even_where_its_density_vanishes():
    log_gate = array.log_known(array.log_softmax(SCORES[:2]), np.array([1, 1]))
    _, resp = array.mixture_posterior(log_gate, np.array([[0.0] * K, [-np.inf] * K]))
    np.testing.assert_array_equal(resp, [[0, 1, 0], [0, 1, 0]])


def test_draws_have_the_frequencies_of_the_probabilities():
    prob = np.array([0.5, 0.0, 0.3, 0.2])
    uniform = (np.arange(1000) + 0.5) / 1000
    drawn = array.draw(np.tile(prob, (1000, 1)), uniform)
    np.testing.assert_array_equal(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.mean(axis=0), prob, atol=1e-9)


# -- other namespaces --------------------------------------------------------------------------

CALLS = {
    "with_intercept": (X.astype(np.float32), Y),
    "logsumexp": (SCORES,),
    "log_softmax": (SCORES,),
    "weighted_grams": (Z, TARGET),
    "weighted_moments": (Z, TARGET, RNG.standard_normal((n, K, q))),
    "square": (SCORES,),
    "gaussian_log_density": (RNG.standard_normal((n, K, q)), LOG_NORM),
    "mixture_posterior": (SCORES, np.where(SCORES > 0, -np.inf, SCORES)),
    "added": (SCORES,),
    "harden": (TARGET,),
    "log_harden": (SCORES,),
    "log_known": (SCORES, CODES - 1),
    "log_share": (array.harden(TARGET), TARGET),
    "draw": (TARGET, RNG.uniform(size=n)),
    "softmax_gradient": (Z, np.exp(SCORES), TARGET),
    "softmax_hessian": (Z, np.exp(SCORES), WEIGHT),
    "softmax_curvature": (Z, np.exp(SCORES), WEIGHT, array.BLOCKS),
    "log_paths": (RNG.standard_normal((n, 4)), TREE),
    "to_branches": (TARGET, TREE),
    "best": (RNG.standard_normal((n, 4)), 2),
    "are_best": (RNG.standard_normal((n, 4)), 2),
    "softmax_gaussian": (X, Y, WEIGHT, BRANCH, TREE, WHITENING, LOG_NORM),
    "softmax_softmax": (X, CODES, WEIGHT, BRANCH, TREE, COEF),
    "gate_probabilities": (X, BRANCH, TREE),
    "mixed_mean": (X, BRANCH, TREE, COEF),
    "gaussian_posterior": (X, Y, BRANCH, TREE, WHITENING, LOG_NORM),
    "class_probabilities": (X, BRANCH, TREE, COEF),
    "class_posterior": (X, CODES, BRANCH, TREE, COEF),
    "rows_at": (X, slice(1, 4)),
    "columns_at": (X, slice(0, 1)),
}


def test_every_kernel_is_tried_in_another_namespace():
    functions = {name for name, value in vars(array).items() if callable(value)}
    public = {name for name in functions if not name.startswith("_")}
    transfers = {"is_host", "like", "to_host", "brought", "as_numpy", "given_back", "copied"}
    facts = {"library", "is_array", "is_away", "is_elsewhere", "lies_on_host"}
    kinds = {"namespace", "Branches", "Library", "NamedTuple", "Callable"}
    assert set(CALLS) == public - transfers - facts - kinds


def flat(outputs):
    """The arrays in nested tuples and lists."""
    nested = isinstance(outputs, (tuple, list))
    return [array for part in outputs for array in flat(part)] if nested else [outputs]


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
@pytest.mark.parametrize("name", CALLS)
def test_a_strict_namespace_gives_the_same_and_stays_on_its_device(name, device):
    device = strict.Device(device)
    arguments = [
        strict.asarray(argument, device=device) if isinstance(argument, np.ndarray) else argument
        for argument in CALLS[name]
    ]
    with np.errstate(all="raise", under="ignore"):
        expected = getattr(array, name)(*CALLS[name])
        got = getattr(array, name)(*arguments)
    for ours, theirs in zip(flat(got), flat(expected), strict=True):
        assert ours.device == device
        here = np.asarray(ours.to_device(strict.Device("CPU_DEVICE")))
        np.testing.assert_allclose(here, theirs, rtol=1e-13, atol=1e-13)


# -- transfers ---------------------------------------------------------------------------------

DEVICE = strict.Device("device1")


def test_small_arrays_join_the_namespace_and_the_device_of_the_data():
    data = strict.asarray(X, device=DEVICE)
    coef, order = array.like(data, GATE.T, CODES)
    assert coef.device == order.device == DEVICE
    assert array.namespace(coef) is array.namespace(data)
    np.testing.assert_array_equal(array.to_host(coef), GATE.T)
    assert array.like(data, GATE).device == DEVICE


def test_on_the_host_small_arrays_stay_the_same_objects():
    assert array.like(X, GATE) is GATE
    assert array.like(X, GATE, COEF)[1] is COEF
    assert array.to_host(GATE) is GATE
    assert array.is_host(X) and not array.is_host(strict.asarray(X))


def test_rows_and_columns_are_chosen_by_numbers_of_the_host():
    data, rows, columns = strict.asarray(X, device=DEVICE), np.array([4, 0, 2]), np.array([1, 0])
    for found, expected in (
        (array.rows_at(data, rows), X[rows]),
        (array.columns_at(data, columns), X[:, columns]),
    ):
        assert found.device == DEVICE
        np.testing.assert_array_equal(array.to_host(found), expected)
    assert array.rows_at(X, slice(2)).base is X  # a view, of numpy's


def test_where_arrays_lie():
    here, away = strict.asarray(X), strict.asarray(X, device=DEVICE)
    assert array.lies_on_host(here) and not array.lies_on_host(away)
    assert array.is_away(away) and not array.is_away(here) and not array.is_away(X)
    assert not array.is_elsewhere(X) and array.is_elsewhere(here)
    assert not array.is_array([1.0]) and not array.is_array(None) and array.is_array(X)
    assert np.shares_memory(array.as_numpy(here), array.to_host(here))
    back = array.given_back(here, (X, "text", np.array(["a"])))
    assert type(back[0]) is type(here) and back[1] == "text" and isinstance(back[2], np.ndarray)
    assert array.brought("text") == "text" and array.library(away) == "array_api_strict"


def test_nested_values_come_back_to_the_host_as_they_are():
    gram = strict.asarray(Z, device=DEVICE)
    stats = Statistics(objective=1.5, gate=Statistics(grams=[gram, None], pair=(gram, X)))
    back = array.to_host(stats)
    assert type(back) is type(back["gate"]) is Statistics and back["objective"] == 1.5
    assert back["gate"]["grams"][1] is None and back["gate"]["pair"][1] is X
    for found in (back["gate"]["grams"][0], back["gate"]["pair"][0]):
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, Z)
    flat = array.to_host(array.Branches((0, gram), ()))
    assert isinstance(flat, array.Branches) and isinstance(flat.first[1], np.ndarray)
