"""On-line training: the recursion of Jordan & Jacobs, a memory that settles, and `partial_fit`."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.data.batches import ArrayBatches
from classic_moe.datasets import make_piecewise_regression, make_robot_arm
from classic_moe.exceptions import ExpertCollapseWarning
from classic_moe.experts import LinearExpert
from classic_moe.gates import LeastSquaresGate, SoftmaxGate, TreeGate
from classic_moe.model import fused_pass
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import leaves, same
from classic_moe.parts.tree import nodes_of
from classic_moe.solvers import OnlineEM
from classic_moe.solvers.online import Memory

pytestmark = pytest.mark.weak_penalties


@pytest.fixture(scope="module")
def pieces():
    return make_piecewise_regression(1500, n_pieces=4, random_state=0)


def by_recursion(model, memory, X, y, forgetting):
    """Row by row: K = Rx / (λ/h + xᵀRx), U += (y - Ux) Kᵀ, R <- (R - K xᵀR) / λ.

    For every expert with h its responsibility, and for every node with h that of the node and the
    log responsibilities of its children, given the node, as targets.
    """
    params, (gate, d) = memory.params, (model.gate, X.shape[1] + 1)
    U = params["expert"]["coef"].copy()
    R = np.linalg.inv(memory.stats["expert"]["gram"][:, :d, :d])
    nodes = nodes_of(gate.tree_shape())
    V = {node.id: params["gate"][node.id]["coef"].copy() for node in nodes}
    S = {n.id: np.linalg.inv(memory.stats["gate"][n.id]["gate"]["gram"]) for n in nodes}
    floor = gate.gate.floor

    def step(R, x, h):
        Rx = R @ x
        K = Rx / (forgetting / h + x @ Rx)
        return K, (R - np.outer(K, Rx)) / forgetting

    for row in range(len(X)):
        now = {
            "gate": {name: {"coef": coef} for name, coef in V.items()},
            "expert": params["expert"] | {"coef": U},
        }
        h = model.responsibilities(now, X[row : row + 1], y[row : row + 1])[0]
        x = np.append(1.0, X[row])
        for k in range(len(U)):
            K, R[k] = step(R[k], x, h[k])
            U[k] = U[k] + np.outer(y[row] - U[k] @ x, K)
        for node in nodes:
            own = np.array([h[leaves].sum() for leaves in node.leaves])
            target = np.log(np.maximum(own / own.sum(), floor))
            target -= target.mean()
            K, S[node.id] = step(S[node.id], x, own.sum())
            V[node.id] = V[node.id] + np.outer(target - V[node.id] @ x, K)
    return now["expert"]["coef"], U, V


def test_blocks_of_one_row_are_recursive_least_squares(pieces):
    """Equations 27-32 of the paper with h in (28), for the experts and at every node."""
    X, y = pieces[0][:200], pieces[1][:200, None]
    gate = TreeGate(LeastSquaresGate(alpha=0), depth=2)
    model = MixtureModel(gate, LinearExpert(alpha=0, variance=0.05), compiled=False)
    rng = np.random.default_rng(0)
    resp = rng.dirichlet(np.ones(4), size=100)
    params = model.init(X[:100], y[:100], resp, np.random.RandomState(0))
    stats = model.statistics(params, X[:100], y[:100], np.ones(100))
    params = model.maximize(params, stats)  # where the carried sums have their minimum
    memory = Memory(params, stats, 0)
    solver = OnlineEM(batch_size=1, forgetting=0.98, settling=0)
    batches = ArrayBatches(X[100:], y[100:], np.ones(100))
    after = solver.step(model, memory, batches)
    _, U, V = by_recursion(model, memory, X[100:], y[100:], 0.98)
    # Both accumulate rounding over 100 rows; the two inverses have condition numbers up to 1e4.
    assert_allclose(after.params["expert"]["coef"], U, rtol=1e-6, atol=1e-8)
    for name, coef in V.items():
        assert_allclose(after.params["gate"][name]["coef"], coef, rtol=1e-6, atol=1e-8)


def test_the_memory_settles():
    solver = OnlineEM(forgetting=0.9, settling=0.5, settling_rows=100)
    first = solver._first_length(None, None)
    kept = [1 - 1 / solver._length(seen, first) for seen in (0, 99, 100, 250)]
    assert_allclose(kept, [0.9, 0.9, 0.95, 0.975], rtol=1e-12)


def test_the_memory_of_a_stream_grows_as_a_power_of_its_rows():
    solver = OnlineEM()
    assert_allclose(solver._length(0, 100), 100)
    assert_allclose(solver._length(1_000_000 - 100, 100), 100 * 10_000**0.6)
    assert solver._block_rows(10) == 20 and solver._block_rows(5000) == 1000


def test_the_memory_is_long_enough_for_the_parameters():
    """With the paper's hundred rows for 587 parameters the variances shrink, and experts fail."""
    X, y = make_robot_arm(5000, random_state=0)
    total = np.sum((y[4000:] - y[:4000].mean(axis=0)) ** 2)
    errors = []
    for forgetting in ("auto", 0.99):
        solver, path = OnlineEM(forgetting=forgetting, batch_size=50), []
        model = HierarchicalMixtureOfExpertsRegressor(
            depth=3, solver=solver, n_init=1, random_state=0
        )
        model.fit(
            X[:4000], y[:4000], callback=lambda i, params, _, to=path: to.append(params) or True
        )
        model.params_ = path[0]  # after the first pass; a fit returns the best
        errors.append(np.sum((y[4000:] - model.predict(X[4000:])) ** 2) / total)
    assert errors[0] < 0.85 * errors[1]  # .116 and .147
    small = MixtureOfExpertsRegressor(2).fit(X[:200, :1], y[:200, 0])
    assert OnlineEM()._first_length(small._fitted.model, small.params_) == 100


def test_without_forgetting_one_block_is_one_step_of_em(pieces):
    X, y = pieces[0], pieces[1][:, None]
    # an empty memory holds no share of a penalty, and no memory but this is empty
    model = MixtureModel(TreeGate(SoftmaxGate(alpha=0)), LinearExpert(), compiled=False)
    resp = np.random.default_rng(0).dirichlet(np.ones(4), size=len(X))
    params = model.init(X, y, resp, np.random.RandomState(0))
    batches = ArrayBatches(X, y, np.ones(len(X)))
    stats = batches.map_sum(model.statistics, params)
    empty = Memory(params, 0.0 * stats, 0)
    solver = OnlineEM(batch_size=len(X), forgetting=1.0)
    after = solver.step(model, empty, batches)
    expected = model.maximize(params, stats)
    for a, b in zip(leaves(after.params), leaves(expected), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weight", [1e-2, 1e4])
def test_the_first_memory_is_of_rows_and_not_of_weight(pieces, weight):
    """Otherwise it is forgotten in the first block of heavy rows, and never of light ones."""
    X, y = pieces[0][:300], pieces[1][:300, None]
    model = MixtureModel(TreeGate("constant"), LinearExpert(alpha=0, variance=0.05))
    resp = np.random.default_rng(0).dirichlet(np.ones(4), size=len(X))
    params = model.init(X, y, resp, np.random.RandomState(0))
    plain, weighted = (
        OnlineEM(shuffle=False)
        .run(model, params, ArrayBatches(X, y, np.full(len(X), w)), max_iter=1, tol=0)
        .memory
        for w in (1.0, weight)
    )
    assert_allclose(weighted.stats["resp"], weight * plain.stats["resp"], rtol=1e-7)
    for a, b in zip(leaves(weighted.params), leaves(plain.params), strict=True):
        assert_allclose(a, b, rtol=1e-7)


@pytest.mark.parametrize("gate", ["softmax", "least_squares", "constant"])
def test_a_stream_comes_near_the_fit(pieces, gate):
    X, y = pieces
    flat = gate == "constant"
    model = HierarchicalMixtureOfExpertsRegressor(gate=gate, random_state=0)
    whole = clone(model).fit(X, y)
    for rows in np.split(np.arange(len(X)), 5):
        model.partial_fit(X[rows], y[rows])
    lost = (whole.log_prob(X, y) - model.log_prob(X, y)).mean()
    # Measured: 0.02 (softmax), 0.05 (least squares); a start that was not followed loses 0.6.
    assert lost < (0.3 if flat else 0.15)
    assert model.n_iter_ == 5 and not model.converged_


def test_fit_keeps_the_best_pass_and_ends_by_itself(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(4, solver="online", n_init=2, random_state=0).fit(X, y)
    assert model.converged_
    assert (np.diff(model.lower_bounds_) >= 0).all()
    em = MixtureOfExpertsRegressor(4, n_init=2, random_state=0).fit(X, y)
    assert model.log_likelihood_ > em.log_likelihood_ - 0.1 * len(X)
    again = MixtureOfExpertsRegressor(4, solver="online", n_init=2, random_state=0).fit(X, y)
    assert_array_equal(model.predict(X), again.predict(X))


def test_a_fit_that_was_cut_short_says_so(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(4, solver="online", max_iter=1, n_init=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 iterations"):
        model.fit(X, y)


# -- partial_fit -------------------------------------------------------------------------------


def test_later_rows_go_on_where_fit_ended(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(4, random_state=0).fit(X[:1000], y[:1000])
    order = [view.coef_[0] for view in model.experts_]
    model.partial_fit(X[1000:], y[1000:])
    assert_allclose([view.coef_[0] for view in model.experts_], order, atol=0.5)
    assert model.score(X, y) > 0.85


@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 60)], ids=["one", "alike"])
def test_a_few_rows_after_fit_do_not_undo_it(pieces, rows):
    X, y = pieces
    model = HierarchicalMixtureOfExpertsRegressor(n_init=3, random_state=0).fit(X, y)
    before, order = model.log_prob(X, y).mean(), np.argsort(X[:, 0])
    model.partial_fit(X[order[rows]], y[order[rows]])
    assert model.log_prob(X, y).mean() > before - 0.2


def test_the_first_call_is_a_fit(pieces):
    X, y = pieces
    stream = MixtureOfExpertsRegressor(4, random_state=0, solver="online").partial_fit(X, y)
    fit = MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)
    assert stream.log_likelihood_ == pytest.approx(fit.log_likelihood_, abs=1e-3 * len(X))
    assert stream._fitted.memory.rows == len(X) and stream.n_iter_ == 1


def test_rows_far_from_those_of_the_fit_are_learned_and_do_no_harm():
    """Where the curvature of rows seen before says nothing, Newton's steps went to -1e6 a row."""
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(2, 3000, 5)), rng.logistic(size=(2, 3000))
    Z = np.concatenate([np.ones((2, 3000, 1)), X], axis=2)
    B = 3 * rng.normal(size=(2, 2, 6))[:, (X[0, :, 0] > 0).astype(int)]
    y, later = np.einsum("anp,anp->an", Z, B) + noise > 0
    first, far = X[0], X[1] + 3.0
    model = MixtureOfExpertsClassifier(2, n_init=2, random_state=0).fit(first, y)
    path = [model.log_prob(far[2000:], later[2000:]).mean()]
    for rows in np.split(np.arange(2000), 4):
        model.partial_fit(far[rows], later[rows])
        path.append(model.log_prob(far[2000:], later[2000:]).mean())
    assert min(path) == path[0] and path[-1] > -1.0 > path[0]


def test_more_rows_of_a_process_with_many_columns_do_no_harm():
    """A memory of as many rows as parameters lost .2 nats a row here."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 40))
    B, slope = rng.normal(size=(3, 40)), rng.normal(size=(3, 40))
    k = (X @ slope.T + rng.gumbel(size=(5000, 3))).argmax(axis=1)
    y = np.einsum("np,np->n", X, B[k]) + 0.3 * rng.normal(size=5000)
    model = MixtureOfExpertsRegressor(3, n_init=3, random_state=0).fit(X[:2000], y[:2000])
    before = model.log_prob(X[4000:], y[4000:]).mean()
    for rows in np.split(np.arange(2000, 3000), 5):
        model.partial_fit(X[rows], y[rows])
    assert model.log_prob(X[4000:], y[4000:]).mean() > before


def test_small_blocks_and_large_calls_take_the_compiled_pass(pieces, monkeypatch):
    """A call of many rows is worth loading it, and its blocks are many."""
    X, y = pieces
    model = MixtureOfExpertsRegressor(2, random_state=0).partial_fit(X[:500], y[:500])
    sizes, lookup = [], fused_pass.lookup

    def watched(model, X, y):
        found = lookup(model, X, y)
        sizes.append((len(X), found is not None))
        return found

    monkeypatch.setattr(fused_pass, "lookup", watched)
    model.partial_fit(X[500:], y[500:])
    assert min(sizes)[0] < 512 and all(compiled for _, compiled in sizes)


def test_params_that_the_caller_puts_in_their_place_are_gone_on_from(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(2, random_state=0).partial_fit(X[:500], y[:500])
    model.partial_fit(X[500:1000], y[500:1000])
    memory = model._fitted.memory
    assert same(memory.mean, model.params_) and not same(memory.params, model.params_)
    other = MixtureOfExpertsRegressor(2, random_state=1).partial_fit(X[:500], -y[:500])
    model.params_ = other.params_
    model.partial_fit(X[1000:1001], y[1000:1001])
    assert_allclose(
        model.params_["expert"]["coef"], other.params_["expert"]["coef"], rtol=0.5, atol=0.5
    )


def test_a_process_that_changes_is_followed():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (4000, 1))
    y = np.where(X[:, 0] > 0, 2.0, -2.0) * np.where(np.arange(4000) < 2000, 1, -1)
    y = y + 0.1 * rng.standard_normal(4000)
    model = MixtureOfExpertsRegressor(2, solver=OnlineEM(settling=0), random_state=0)
    model.partial_fit(X[:2000], y[:2000]).partial_fit(X[2000:], y[2000:])
    assert model.score(X[3000:], y[3000:]) > 0.95


def test_weights_of_zero_are_rows_that_are_not_there(pieces):
    X, y = pieces
    weight = (np.arange(len(X)) % 2).astype(float)
    one, other = (
        MixtureOfExpertsRegressor(2, random_state=0),
        MixtureOfExpertsRegressor(2, random_state=0),
    )
    for rows in np.split(np.arange(len(X)), 2):
        one.partial_fit(X[rows], y[rows], sample_weight=weight[rows])
        kept = rows[weight[rows] > 0]
        other.partial_fit(X[kept], y[kept])
    assert_allclose(one.predict(X), other.predict(X), rtol=1e-9, atol=1e-12)


def test_classes_may_be_named_before_they_are_seen():
    X, y = make_moons(600, noise=0.2, random_state=0)
    order = np.argsort(y, kind="stable")  # the first 200 rows are all of one class
    names = np.array(["dusk", "night", "dawn"])[y]
    model = MixtureOfExpertsClassifier(2, random_state=0)
    mixed = np.random.default_rng(0).permutation(600)
    model.partial_fit(X[mixed[:300]], names[mixed[:300]], classes=["dawn", "dusk", "night"])
    model.partial_fit(X[order[:100]], names[order[:100]])
    assert model.classes_.tolist() == ["dawn", "dusk", "night"]
    assert model.predict_proba(X)[:, 0].max() < 0.2
    with pytest.raises(ValueError, match="which the fit did not see"):
        model.partial_fit(X[:5], ["noon"] * 5)
    with pytest.raises(ValueError, match=r"classes=.*the first call had"):
        model.partial_fit(X[:5], names[:5], classes=["dusk"])
    with pytest.raises(ValueError, match="'dusk', which is not among classes: 'night'"):
        MixtureOfExpertsClassifier(2).partial_fit(X, names, classes=["night"])
    balanced = MixtureOfExpertsClassifier(2, class_weight="balanced")
    assert not hasattr(balanced, "partial_fit")  # needs all rows at once


def test_a_call_that_fails_changes_nothing(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(2, random_state=0).partial_fit(X[:500], y[:500])
    before = vars(model).copy()
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(np.ones((5, 2)), np.ones(5))
    assert vars(model) == before


def test_both_likelihoods_are_about_the_rows_of_the_call(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(4, gate="gaussian", n_init=2, random_state=0)
    model.partial_fit(X[:500], y[:500]).partial_fit(X[500:], y[500:])
    gate = model.gate_
    log_x = logsumexp(
        np.log(gate.weights_)
        + norm.logpdf(X[500:], gate.means_[:, 0], np.sqrt(gate.covariances_[:, 0, 0])),
        axis=1,
    )
    expected = model.log_prob(X[500:], y[500:]).sum()
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-9)
    assert model.joint_log_likelihood_ == pytest.approx(expected + log_x.sum(), rel=1e-9)


@pytest.mark.parametrize(
    "rows, shift, expert, message",
    [
        (200, 0.0, "linear", "y is constant"),
        (4, 1.0, "linear", r"experts? \d.* variances? from the prior alone"),
        (12, 1.0, LinearExpert(variance=0.05), "12 rows are few for 14 free parameters"),
    ],
    ids=["constant", "collapse", "few"],
)
def test_first_rows_that_do_not_represent_the_stream_are_told(pieces, rows, shift, expert, message):
    X, y = pieces
    model = HierarchicalMixtureOfExpertsRegressor(expert=expert, n_init=3, random_state=0)
    with pytest.warns(ExpertCollapseWarning, match=message) as caught:
        model.partial_fit(X[:rows], shift * y[:rows] + 3.0)
    assert str(caught[0].message).endswith("give it more rows, which represent the stream.")
    assert len(caught) == 1 and caught[0].filename == __file__
    model.partial_fit(X[:20], np.full(20, 3.0))  # the units stand; rows alike are nothing new


# -- what has no on-line training ------------------------------------------------------------------


def test_parts_that_keep_their_rows_have_no_on_line_training(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(2, expert="mlp", solver="online")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(ValueError, match=r"MLPExpert\(\) learns from all its rows at once"):
        model.fit(X, y)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(depth=0), "depth=0: needs an integer of at least 1"),
        (dict(expert="oak"), "expert='oak' is not known"),
        (dict(solver="oak"), "solver='oak' is not known"),
        (dict(tol=-1), "tol=-1: needs a number of at least 0"),
    ],
    ids=str,
)
def test_a_parameter_that_no_fit_could_use_is_named_by_partial_fit(options, message, pieces):
    model = HierarchicalMixtureOfExpertsRegressor(**options)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(*pieces)


def test_parameters_changed_between_calls_leave_the_parts_as_they_are(pieces):
    X, y = pieces
    model = HierarchicalMixtureOfExpertsRegressor(random_state=0).partial_fit(X[:500], y[:500])
    same = clone(model).partial_fit(X[:500], y[:500]).partial_fit(X[500:], y[500:])
    model.set_params(depth=3, expert="laplace").partial_fit(X[500:], y[500:])
    assert model.n_experts_ == 4
    assert_array_equal(model.predict(X), same.predict(X))


def test_groups_have_no_on_line_training(pieces):
    X, y = pieces
    model = MixtureOfExpertsRegressor(2, gate="constant", solver="online")
    with pytest.raises(ValueError, match="groups: on-line training takes row after row"):
        model.fit(X, y, groups=np.arange(len(X)) // 3)


@pytest.mark.parametrize(
    "options",
    [
        dict(batch_size=0),
        dict(forgetting=0),
        dict(forgetting=1.1),
        dict(forgetting="never"),
        dict(settling=-1),
        dict(settling_rows=0.5),
        dict(n_iter_no_change=0),
    ],
    ids=str,
)
def test_settings_without_sense_are_refused(options, pieces):
    (name, value), *_ = options.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} of OnlineEM: needs"):
        MixtureOfExpertsRegressor(2, solver=OnlineEM(**options)).fit(*pieces)


@pytest.mark.parametrize("batch_size", [1, 20])
def test_a_penalty_counts_once_a_memory_and_not_once_a_block(batch_size):
    """Gate slope of EM on the same rows; a penalty a block made it .4 and 2.0 of 3.3."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (2000, 1))
    first = rng.uniform(size=2000) < 1 / (1 + np.exp(-3 * X[:, 0]))
    y = np.where(first, 2 + X[:, 0], -2 - X[:, 0]) + 0.3 * rng.normal(size=2000)
    gate = SoftmaxGate(alpha=1.0)
    fit = MixtureOfExpertsRegressor(gate=gate, n_init=1, random_state=0).fit(X, y)
    solver, path = OnlineEM(batch_size=batch_size), []
    online = MixtureOfExpertsRegressor(gate=gate, solver=solver, init_params=fit)
    online.fit(X, y, callback=lambda passes, params, _: path.append(params) or passes >= 2)
    params = path[-1]["gate"]  # a fit returns the best of its passes
    slope = online._fitted.model.gate.to_caller(params, online._fitted.units("gate"))["coef"][0, 0]
    # the memory is of some thousand rows of the last 2,000, and the older weigh less
    assert slope == pytest.approx(fit.gate_.coef_[0, 0], rel=0.2)
