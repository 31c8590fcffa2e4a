"""Network experts: honest gradients, monotone training, and the caller's units."""

import functools

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.datasets import make_moons
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.data.units import Scaling, Units
from classic_moe.exceptions import ExpertCollapseWarning, SeparationWarning
from classic_moe.experts import LinearExpert, MLPExpert, SoftmaxExpert, _network, mlp
from classic_moe.parts.params import leaves, ravel, take, unravel
from classic_moe.testing import check_expert

SLOPE = 1e-6  # relative error of differences with steps of 1e-8 to 1e-5
PLAIN = Units(Scaling.identity(2), Scaling.identity(1))


@pytest.fixture(autouse=True)
def one_thread():
    """Small products are slower on several threads; a fit sees to that itself."""
    with threadpool_limits(1, user_api="blas"):
        yield


def problem(n=80, q=1, K=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    y = np.sin(2 * X @ rng.standard_normal((2, q))) + 0.1 * rng.standard_normal((n, q))
    return X, (y - y.mean(axis=0)) / y.std(axis=0), rng.dirichlet(np.ones(K), n)


def labels(n=80, C=3, K=2, seed=0):
    X, y, resp = problem(n, C, K, seed)
    return X, y.argmax(axis=1), resp


def started(expert, X, y, resp, seed=0):
    classes = np.arange(y.max() + 1) if y.ndim == 1 else None
    return expert.init(X, y, resp, np.random.RandomState(seed), classes)


def trained(expert, X, y, resp, steps, seed=0):
    params = started(expert, X, y, resp, seed)
    for _ in range(steps):
        params = expert.maximize(params, expert.statistics(params, X, y, resp))
    return params


def objectives(expert, params, X, y, resp):
    """Σ resp·log p + log_prior of each network by itself, (K,)."""
    singles = [take(params, np.array([k])) for k in range(resp.shape[1])]
    prior = [expert.log_prior(single) for single in singles]
    return np.sum(resp * expert.log_prob(params, X, y), axis=0) + prior


# -- the protocol ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "expert",
    [
        MLPExpert(hidden_layer_sizes=(2,), max_iter=3),
        MLPExpert((2, 2), activation="logistic", solver="adam", max_iter=2),  # one batch
        MLPExpert((), max_iter=5),
    ],
    ids=lambda expert: f"{expert.hidden_layer_sizes}-{expert.solver}",
)
def test_conformance(expert):
    check_expert(expert)


@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic", "identity"])
@pytest.mark.parametrize("data", [problem(q=2), labels()], ids=["regression", "classification"])
def test_gradient_is_exact_from_sums_and_from_rows(activation, data):
    X, y, resp = data
    expert = MLPExpert((4, 3), activation=activation, max_iter=1)
    params = started(expert, *data)
    rng = np.random.default_rng(0)
    for name in ("weights_0", "weights_1"):  # away from where the start has led: slopes are small
        params[name] = params[name] + 0.3 * rng.standard_normal(params[name].shape)

    def objective(vector):
        moved = unravel(vector, params)
        return np.sum(resp * expert.log_prob(moved, X, y)) + expert.log_prior(moved)

    # No row sits on a kink of relu here, or the forward difference would show it.
    expected = approx_fprime(ravel(params), objective, 1e-7)
    for order in (1, 2):
        stats = expert.statistics(params, X, y, resp, order=order)
        got = ravel(expert.gradient(params, stats))
        # Forward differences err by the step times half the curvature, here up to 1e3.
        np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
    halves = [
        expert.statistics(params, X[rows], y[rows], resp[rows], order=1)
        for rows in (slice(30), slice(30, None))
    ]
    np.testing.assert_allclose(
        ravel(halves[0] + halves[1]),
        ravel(expert.statistics(params, X, y, resp, order=1)),
        rtol=1e-10,
        atol=1e-12,
    )


# -- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("data", [problem(q=2), labels()], ids=["regression", "classification"])
def test_no_step_lowers_the_objective_of_any_network(solver, data):
    X, y, resp = data
    # A rate at which Adam often ends an epoch worse than it began.
    expert = MLPExpert((5,), solver=solver, max_iter=4, learning_rate_init=0.3, batch_size=16)
    params = started(expert, *data)
    for name in ("weights_0", "weights_1"):
        params[name] = 0.3 * params[name]  # away from where the start has led
    values = [objectives(expert, params, X, y, resp)]
    for _ in range(12):
        params = expert.maximize(params, expert.statistics(params, X, y, resp))
        values.append(objectives(expert, params, X, y, resp))
    assert np.diff(values, axis=0).min() >= -1e-10 * np.abs(values).max()  # rounding
    assert np.sum(values[-1] - values[0]) > 0.5


def test_the_variance_is_the_best_for_the_weights():
    X, y, resp = problem(q=2)
    expert = MLPExpert((3,), variance_prior=0.5)
    params = trained(expert, X, y, resp, 2)
    square = (y[:, None] - expert.mean(params, X)) ** 2
    expected = np.einsum("nk,nkq->kq", resp, square) + 0.5
    expected /= resp.sum(axis=0)[:, None] + 0.5
    np.testing.assert_allclose(params["variance"], expected, rtol=1e-10)
    assert not np.allclose(params["variance"][0], params["variance"][1], rtol=0.01)


def test_an_expert_without_rows_keeps_its_parameters():
    X, y, resp = problem()
    expert = MLPExpert((3,), max_iter=3)
    params = started(expert, X, y, resp)
    kept = expert.maximize(params, expert.statistics(params, X, y, resp * [0.0, 1.0]))
    for before, after in zip(leaves(params), leaves(kept), strict=True):
        assert np.array_equal(before[0], after[0])
        assert not np.array_equal(before[1], after[1])
    nobody = expert.init(X, y, resp * [0.0, 1.0], np.random.RandomState(0))
    assert all(np.isfinite(leaf).all() for leaf in leaves(nobody))


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_rows_that_are_not_an_experts_do_not_matter(solver):
    X, y, _ = problem()
    resp = np.eye(2)[(np.arange(len(X)) < 40).astype(int)]
    expert = MLPExpert((3,), solver=solver, max_iter=10, batch_size=16)
    params = started(expert, X, y, resp)
    whole = expert.maximize(params, expert.statistics(params, X, y, resp))
    mine = resp[:, 0] > 0
    alone = expert.maximize(params, expert.statistics(params, X[mine], y[mine], resp[mine]))
    # The same numbers at other addresses: rounding, amplified by ten steps.
    np.testing.assert_allclose(whole["weights_0"][0], alone["weights_0"][0], rtol=1e-8)


def test_adam_keeps_the_best_epoch():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, 3))

    class Loss:
        def value(self, weights):
            return np.mean(np.sum((weights - centres) ** 2, axis=1))

        def epoch(self, *steps):
            _network.epoch(lambda own, rows: 2 * (own - centres[rows]).mean(axis=0), *steps)

    loss = Loss()
    # The shuffles are the same, so that longer runs begin as shorter ones; this rate overshoots.
    start = np.full(3, 5.0)
    runs = [_network.adam(loss, start, epochs, 40, 10, 2.0) for epochs in range(12)]
    ends = [loss.value(weights) for weights, _ in runs]
    np.testing.assert_allclose([fall for _, fall in runs], loss.value(start) - np.array(ends))
    assert np.all(np.diff(ends) <= 0)
    assert ends[-1] < ends[0]
    assert len(set(ends)) < len(ends)  # some epochs were for nothing


@pytest.mark.parametrize("activation", _network.ACTIVATIONS)
@pytest.mark.parametrize("widths", [(4, 5, 3, 2), (4, 6, 2), (4, 3)], ids=repr)
def test_many_rows_go_through_the_network_as_few_do(widths, activation):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1300, 4)), rng.integers(0, widths[-1], 1300)
    weights = _network.initial_weights(widths, 1, activation, rng)
    vector = _network.flat(weights) + 0.1 * rng.standard_normal(_network.flat(weights).size)
    few, many = (kind(X, widths, activation) for kind in (_network.Rows, _network.CompiledRows))
    errors = list(rng.standard_normal((2, 1300, widths[-1])))
    outputs = [rows.outputs(vector) for rows in (few, many)]
    for one, other in (
        outputs,
        (few.gradient(errors[0]), many.gradient(errors[0])),
        (few.gram(errors), many.gram(errors)),
        *zip(few.of_classes(outputs[0], y), many.of_classes(outputs[1], y), strict=True),
    ):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-13 * np.abs(one).max())


@pytest.mark.parametrize("data", [problem(n=1300, K=1, q=2), labels(n=1300, K=1)], ids=["y", "c"])
@pytest.mark.parametrize("batch_size", [600, 5000])
def test_a_compiled_epoch_takes_the_steps_of_adam(data, batch_size):
    X, y, resp = data
    expert = MLPExpert((5, 3), alpha=0.3)
    params = started(expert, *data)
    loss = mlp._Loss(expert, params, X, y, resp[:, 0])
    start, order = (
        _network.flat(expert._weights(params)),
        np.random.default_rng(1).permutation(1300),
    )
    ends = []
    for epoch in (loss.epoch, functools.partial(_network.epoch, loss._slope_of_some)):
        state = start.copy(), np.full_like(start, 0.1), np.full_like(start, 0.2)
        epoch(*state, 7, order, batch_size, 0.01)
        ends.append(np.concatenate(state))
    np.testing.assert_allclose(*ends, rtol=1e-10, atol=1e-13)
    assert np.abs(ends[0][: len(start)] - start).max() > 1e-4


def test_the_matrix_of_gauss_and_newton_is_the_hessian_where_nothing_bends():
    for data in (problem(n=60, q=2, K=1), labels(K=1)):  # so few that all rows are looked at
        X, y, resp = data
        expert = MLPExpert((), alpha=0.3, variance=0.7) if y.ndim > 1 else MLPExpert((), alpha=0.3)
        params = started(expert, *data)
        loss = mlp._Loss(expert, params, X, y, resp[:, 0])
        start = _network.flat(expert._weights(params))

        def slope(at, loss=loss):
            loss.value(at)
            return loss.slope()

        steps = 1e-5 * np.eye(len(start))
        hessian = [(slope(start + h) - slope(start - h)) / 2e-5 for h in steps]
        np.testing.assert_allclose(loss.curvature(start), hessian, atol=1e-8)


# -- against others ----------------------------------------------------------------------------


def test_of_many_rows_some_stand_for_all_and_one_of_weight_2_for_two():
    X, y, resp = problem(n=2000, K=1)
    weight = np.random.default_rng(1).integers(1, 4, len(X))
    expert = MLPExpert((), alpha=0.0)
    params = started(expert, X, y, resp)
    start, twice = _network.flat(expert._weights(params)), np.repeat(np.arange(len(X)), weight)
    by_weight, by_rows = (
        mlp._Loss(expert, params, X[at], y[at], 1.0 * w).curvature(start)
        for at, w in ((np.arange(len(X)), weight), (twice, np.ones(len(twice))))
    )
    np.testing.assert_allclose(by_weight, by_rows, rtol=1e-10, atol=1e-12)
    Z = np.column_stack([np.ones(len(X)), X])
    every = (weight[:, None] * Z).T @ Z / weight.sum()
    # 30 rows: a mean of squares with variance 2 is known to √(2/30) = .26
    np.testing.assert_allclose(by_weight / by_weight[0, 0], every, atol=4 * 0.26)
    assert np.abs(by_weight / by_weight[0, 0] - every).max() > 1e-3


def test_without_hidden_curvature_it_is_the_linear_expert():
    X, y, resp = problem(q=2, K=1)
    line = LinearExpert(alpha=0, variance_prior=0.5, covariance_type="diag")
    linear = line.init(X, y, resp, np.random.RandomState(0))
    for sizes in ((), (3,)):
        net = MLPExpert(sizes, activation="identity", alpha=0, variance_prior=0.5, max_iter=500)
        params = trained(net, X, y, resp, 3)
        # L-BFGS ends at gradients of 1e-8 a row: errors of the same size in the function.
        np.testing.assert_allclose(net.mean(params, X), line.mean(linear, X), atol=1e-5)
        gap = objectives(net, params, X, y, resp) - objectives(line, linear, X, y, resp)
        assert abs(gap[0]) < 1e-7  # quadratic in that error


def test_without_hidden_units_a_classifier_is_the_softmax_expert():
    X, y, resp = labels(K=1)
    net, softmax = MLPExpert((), alpha=0.5, max_iter=500), SoftmaxExpert(alpha=0.5)
    one, other = trained(net, X, y, resp, 2), trained(softmax, X, y, resp, 30)
    np.testing.assert_allclose(net.mean(one, X), softmax.mean(other, X), atol=1e-5)


def peer_of(kind, seed, X, y, alpha):
    """A network of scikit-learn after a few steps: at no optimum, so of any loss but its own."""
    peer = kind(hidden_layer_sizes=(4, 3), activation="tanh", solver="lbfgs", max_iter=8)
    return peer.set_params(alpha=alpha, random_state=seed).fit(X, y)


def params_of(coefs, intercepts, scale=()):
    """The weights of scikit-learn, (in, out) a layer, as parameters of one network here."""
    values = {
        "coefs": [coef[None] for coef in coefs],
        "intercepts": [intercept[None] for intercept in intercepts],
    } | ({"scale": np.full((1, 1), scale)} if scale else {})
    hidden = MLPExpert(tuple(coef.shape[1] for coef in coefs[:-1]))
    classes = None if scale else np.arange(len(intercepts[-1]))
    return hidden.from_caller(values, PLAIN, 1, classes)


# scikit-learn's `loss_` is, at the weights w it came to, a mean over the n rows: of half the
# squared error, or of -log p, plus ½ alpha ‖w‖² / n.
SEEDS = pytest.mark.parametrize("seed", range(3))


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@SEEDS
@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_the_loss_of_a_regressor_is_that_of_scikit_learn(seed, scale):
    X, y, resp = problem(150, K=1)
    alpha, n = 0.5, len(y)
    peer = peer_of(MLPRegressor, seed, X, y[:, 0], alpha * scale**2)
    params = params_of(peer.coefs_, peer.intercepts_, scale)
    expert = MLPExpert((4, 3), alpha=alpha, variance_prior=0)
    # log p = -½ (error / scale)² - ½ log 2π scale²: with alpha · scale² the same function
    expected = -n * peer.loss_ / scale**2 - 0.5 * n * np.log(2 * np.pi * scale**2)
    np.testing.assert_allclose(objectives(expert, params, X, y, resp), expected, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@SEEDS
def test_the_loss_of_a_classifier_is_that_of_scikit_learn(seed):
    X, y, resp = labels(150, C=3, K=1)
    peer = peer_of(MLPClassifier, seed, X, y, 0.5)
    params = params_of(peer.coefs_, peer.intercepts_)
    expert = MLPExpert((4, 3), alpha=0.5)
    found = objectives(expert, params, X, y, resp)
    np.testing.assert_allclose(found, -len(y) * peer.loss_, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@SEEDS
def test_two_classes_share_the_penalty_of_scikit_learns_single_output(seed):
    """The log-odds wᵀh are ½ wᵀh against -½ wᵀh: the same probabilities at half of ‖w‖²."""
    X, y, resp = labels(150, C=2, K=1)
    peer = peer_of(MLPClassifier, seed, X, y, 0.5)
    *coefs, last = peer.coefs_
    *intercepts, odds = peer.intercepts_
    halves = np.array([[-0.5, 0.5]])
    params = params_of([*coefs, last @ halves], [*intercepts, odds @ halves])
    expert = MLPExpert((4, 3), alpha=0.5)
    expected = -len(y) * peer.loss_ + 0.5 * 0.5 * 0.5 * np.sum(last**2)
    np.testing.assert_allclose(objectives(expert, params, X, y, resp), expected, rtol=1e-10)


# -- as estimators -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def waves():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-3, 3, 150))
    return 100 + 1000 * x[:, None], 5e4 + 100 * (np.sin(x) + 0.1 * rng.standard_normal(150)), x


def fit(X, y, n_experts=1, **options):
    settings = {"max_iter": 30, "tol": 1e-5, "n_init": 2, "random_state": 0} | options
    expert = settings.pop("expert", MLPExpert((5,)))
    return MixtureOfExpertsRegressor(n_experts, expert=expert, **settings).fit(X, y)


@pytest.fixture(scope="module")
def wave(waves):
    return fit(*waves[:2], max_iter=100)


def test_a_network_follows_what_a_line_cannot(waves, wave):
    X, y, x = waves
    truth = 5e4 + 100 * np.sin(x)
    line = MixtureOfExpertsRegressor(1).fit(X, y)
    error, linear = (np.sqrt(np.mean((m.predict(X) - truth) ** 2)) for m in (wave, line))
    assert error < 5  # the noise of 10 averaged over 150 rows by 16 weights: 10·√(16/150) = 3.3
    assert linear > 30
    assert wave.experts_[0].scale_ == pytest.approx(10, rel=0.15)  # 2.6 times 1/√(2·150)
    assert wave.log_likelihood_ > line.log_likelihood_ + 100
    assert np.all(np.diff(wave.lower_bounds_) >= 0)


def test_a_view_is_the_network_in_the_callers_units(waves, wave):
    X, y, _ = waves
    view = wave.experts_[0]
    assert [coef.shape for coef in view.coefs_] == [(1, 5), (5, 1)]
    assert [intercept.shape for intercept in view.intercepts_] == [(5,), (1,)]
    by_hand = np.tanh(X @ view.coefs_[0] + view.intercepts_[0]) @ view.coefs_[1]
    by_hand = (by_hand + view.intercepts_[1])[:, 0]
    np.testing.assert_allclose(by_hand, wave.predict(X), rtol=1e-10)
    np.testing.assert_allclose(view.predict(X), by_hand, rtol=1e-12)
    assert repr(view) == "NetworkRegressionView(1 -> 5 -> 1, tanh)"
    log_density = -0.5 * ((y - by_hand) / view.scale_) ** 2
    log_density -= np.log(view.scale_ * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(wave.log_prob(X, y), log_density, rtol=1e-7)


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_the_same_random_state_gives_the_same_fit(waves):
    X, y, _ = waves
    for solver in ("lbfgs", "adam"):
        expert = MLPExpert((4,), solver=solver, max_iter=5)
        one, same, other = (
            fit(X, y, 2, expert=expert, max_iter=5, random_state=seed).predict(X)
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, same)
        assert not np.allclose(one, other, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_a_fit_goes_on_where_another_ended(waves):
    X, y, _ = waves
    fitted = fit(X, np.column_stack([y, -y]), 2, max_iter=4)
    again = fit(X, np.column_stack([y, -y]), 2, max_iter=4, init_params=fitted)
    # Up to the rounding of the passage through the caller's units.
    assert again.lower_bounds_[0] == pytest.approx(fitted.lower_bounds_[-1], rel=1e-9)
    assert again.experts_[1].predict(X).shape == (150, 2)
    assert again.experts_[1].scale_.shape == (2,)


@pytest.mark.filterwarnings("ignore::classic_moe.ExpertCollapseWarning")  # one network may do all
def test_moons_are_told_apart():
    X, y = make_moons(150, noise=0.15, random_state=0)
    names = np.array(["upper", "lower"])[y]
    model = MixtureOfExpertsClassifier(
        2, expert=MLPExpert((3,)), gate="constant", tol=1e-3, n_init=2, random_state=0
    ).fit(X, names)
    assert model.score(X, names) > 0.93  # a line reaches 0.84
    view = model.experts_[0]
    expected = model.predict_experts(X)[:, 0]
    np.testing.assert_allclose(view.predict_proba(X), expected, atol=1e-10)
    assert set(view.predict(X)) == {"lower", "upper"}
    assert [coef.shape for coef in view.coefs_] == [(2, 3), (3, 1)]  # as scikit-learn's


# -- the small print -----------------------------------------------------------------------------


def test_parameters_are_counted():
    X, y, resp = problem(q=2)
    params = started(MLPExpert((4, 3), max_iter=1), X, y, resp)
    assert MLPExpert((4, 3)).n_parameters(params) == 2 * (3 * 4 + 5 * 3 + 4 * 2 + 2)
    X, y, resp = labels(C=3)
    params = started(MLPExpert(4, max_iter=1), X, y, resp)
    assert MLPExpert(4).n_parameters(params) == 2 * (3 * 4 + 5 * 2)  # of 3 classes 2 are free


def test_an_expert_that_lost_its_noise_is_named():
    X, y, resp = problem(K=1)
    y = X @ np.ones((2, 1))  # a line
    for prior, reason in [(0.0, "sits at the variance bound"), (1e-2, "from the prior alone")]:
        expert = MLPExpert((), alpha=0, variance_prior=prior, max_iter=200)
        params = trained(expert, X, y, resp, 5)
        (finding,) = expert.diagnose(params, expert.statistics(params, X, y, resp))
        assert finding.category is ExpertCollapseWarning
        assert finding.severe == (prior == 0)
        assert finding.message.startswith("expert 0 ") and reason in finding.message
    X, y, resp = problem()
    healthy = trained(MLPExpert((2,)), X, y, resp, 1)
    assert MLPExpert((2,)).diagnose(healthy, expert.statistics(healthy, X, y, resp)) == []


def test_separated_classes_are_named_where_nothing_holds_the_weights():
    X, _, resp = problem(K=1)
    y = (X[:, 0] > 0).astype(int)
    for alpha, expected in [(0, [SeparationWarning]), (1.0, [])]:
        expert = MLPExpert((2,), alpha=alpha, max_iter=200)
        params = trained(expert, X, y, resp, 3)
        found = expert.diagnose(params, expert.statistics(params, X, y, resp))
        assert [finding.category for finding in found] == expected
        assert all(np.isfinite(leaf).all() for leaf in leaves(params))


def test_rows_far_from_all_data_predict_something():
    X, y, resp = problem()
    far = np.array([[1e140, -1e140], [0.0, 0.0]])  # where the package clips
    for activation in ("tanh", "relu", "identity"):
        expert = MLPExpert((3,), activation=activation, max_iter=2)
        params = started(expert, X, y, resp)
        assert np.isfinite(expert.mean(params, far)).all()
        assert not np.isnan(expert.log_prob(params, far, y[:2])).any()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"coefs": [np.ones((2, 2, 3))]}, "coefs of the expert needs 2 layers, got 1"),
        ({"coefs": [np.ones((2, 3, 2)), np.ones((2, 3, 1))]}, r"coefs\[0\].*\(2, 2, 3\), got"),
        ({"intercepts": [np.ones((2, 3)), np.full((2, 1), np.nan)]}, r"intercepts\[1\].*NaN"),
        ({"scale": [1.0, -1.0]}, "every scale of the expert must be positive"),
        ({"coef": 0}, "takes coefs, intercepts, scale; got"),
    ],
)
def test_wrong_starting_values_are_named(change, message):
    values = {
        "coefs": [np.ones((2, 2, 3)), np.ones((2, 3, 1))],
        "intercepts": [np.ones((2, 3)), np.ones((2, 1))],
        "scale": [1.0, 2.0],
    }
    assert MLPExpert(3).from_caller(values, PLAIN, 2)["variance"].tolist() == [[1.0], [4.0]]
    with pytest.raises(ValueError, match=message):
        MLPExpert(3).from_caller(values | change, PLAIN, 2)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes=\(3, 0\) of MLPExpert: needs int"),
        ({"hidden_layer_sizes": 2.5}, "hidden_layer_sizes=2.5 of MLPExpert"),
        ({"hidden_layer_sizes": "3"}, "hidden_layer_sizes='3' of MLPExpert"),
        ({"activation": "sine"}, "activation='sine' of MLPExpert: use one of 'tanh'"),
        ({"solver": "sgd"}, "solver='sgd' of MLPExpert: use one of 'lbfgs', 'adam'"),
        ({"alpha": -1}, "alpha=-1 of MLPExpert"),
        ({"max_iter": 0}, "max_iter=0 of MLPExpert: needs an integer of at least 1"),
        ({"batch_size": True}, "batch_size=True of MLPExpert"),
        ({"learning_rate_init": 0}, "learning_rate_init=0 of MLPExpert: needs a positive"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPExpert(**parameters).check_parameters()
    MLPExpert(hidden_layer_sizes=[4, 2]).check_parameters()
