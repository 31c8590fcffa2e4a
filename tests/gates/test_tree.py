"""The tree gate: products along paths, one problem a node, whole subtrees that change places."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle, make_piecewise_regression
from classic_moe.exceptions import SeparationWarning
from classic_moe.experts import LinearExpert, MLPExpert
from classic_moe.gates import GaussianGate, LeastSquaresGate, SoftmaxGate, TreeGate
from classic_moe.parts.coordinates import Coordinates
from classic_moe.parts.params import leaves, map_leaves, unravel
from classic_moe.parts.part import offers
from classic_moe.parts.registry import find
from classic_moe.testing import check_gate

STRUCTURES = [((0, 1), 2), (0, (1, (2, 3))), ((0, 1, 2), (3, 4)), (0, 1)]


def problem(n=80, p=2, K=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, rng.dirichlet(np.ones(K), size=n) * rng.uniform(0.5, 2.0, (n, 1))


def drawn(gate, p=2, seed=0):
    """Random params of a tree over p columns."""
    rng = np.random.default_rng(seed)
    X, resp = problem(p=p, K=gate.n_experts)
    params = gate.init(X, resp, np.random.RandomState(0))
    return map_leaves(lambda leaf: rng.standard_normal(leaf.shape), params)


# -- the conformance suite ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "gate",
    [
        TreeGate(),
        TreeGate(branching=(2, 3)),
        TreeGate(branching=3, depth=1),
        TreeGate("constant"),
        TreeGate(SoftmaxGate(alpha=0.3), structure=((0, 1), 2)),
        TreeGate("least_squares"),
        TreeGate(LogisticRegression(), depth=1),
    ],
    ids=repr,
)
def test_trees_keep_the_promises_of_a_gate(gate):
    check_gate(gate)


@pytest.mark.parametrize("floor", [1e-6, 0.1])
def test_least_squares_keep_the_promises_of_a_gate(floor):
    check_gate(LeastSquaresGate(floor=floor))


# -- the model ---------------------------------------------------------------------------------


def by_hand(structure, node_log_prob, name="root"):
    """log g of every leaf from those of the nodes, by walking the nested tuples."""
    columns = []
    for c, child in enumerate(structure):
        along = node_log_prob[name][:, c : c + 1]
        if isinstance(child, int):
            columns.append(along)
        else:
            below = str(c) if name == "root" else f"{name}.{c}"
            columns.append(along + by_hand(child, node_log_prob, below))
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_a_leaf_has_the_product_of_the_probabilities_along_its_path(structure):
    gate, (X, _) = TreeGate(structure=structure), problem()
    params = drawn(gate)
    nodes = {name: SoftmaxGate().log_prob(own, X) for name, own in params.items()}
    expected = by_hand(structure, nodes)
    np.testing.assert_allclose(gate.log_prob(params, X), expected, rtol=1e-13, atol=1e-13)


def test_a_balanced_tree_is_the_nested_structure():
    nested = TreeGate(structure=(((0, 1), (2, 3), (4, 5)), ((6, 7), (8, 9), (10, 11))))
    assert TreeGate(branching=(2, 3, 2), depth=3).tree_shape() == nested.tree_shape()
    assert TreeGate(branching=(2, 3, 2), depth=3).n_experts == 12


def test_the_targets_of_a_node_are_the_responsibilities_below_its_children():
    """Jordan & Jacobs' h_i at the root, h_ij below it with the weight of the node."""
    gate, (X, resp) = TreeGate(), problem()
    params, softmax = drawn(gate), SoftmaxGate()
    stats = gate.statistics(params, X, resp)
    for node, own in (("root", [resp[:, :2].sum(1), resp[:, 2:].sum(1)]), ("1", resp[:, 2:].T)):
        expected = softmax.statistics(params[node], X, np.transpose(own))
        for name, value in expected.items():
            # the nodes are worked out by one product, which may round otherwise
            np.testing.assert_allclose(stats[node]["gate"][name], value, rtol=1e-12, atol=1e-14)


def test_a_node_without_rows_keeps_its_gate():
    gate, (X, resp) = TreeGate("constant"), problem()
    resp[:, 2:] = 0
    params = drawn(gate)
    moved = gate.maximize(params, gate.statistics(params, X, resp))
    np.testing.assert_array_equal(moved["1"]["log_weights"], params["1"]["log_weights"])
    assert all(np.isfinite(leaf).all() for leaf in leaves(moved))


# -- order ---------------------------------------------------------------------------------------


def test_taking_moves_whole_subtrees_with_their_gates():
    gate = TreeGate(structure=((0, 1), 2, (3, 4)))
    params, ids, X = drawn(gate), [4, 3, 2, 0, 1], problem()[0]
    moved = gate.take(params, ids)
    np.testing.assert_array_equal(moved["2"]["coef"], params["0"]["coef"])
    np.testing.assert_array_equal(moved["0"]["coef"], params["2"]["coef"][::-1])
    # the same sums along the same paths, of columns that a product may round otherwise
    np.testing.assert_allclose(
        gate.log_prob(moved, X), gate.log_prob(params, X)[:, ids], rtol=1e-12
    )


@pytest.mark.parametrize("ids", [[0, 2, 1, 3], [0, 1], [0, 0, 2, 3], [2, 3, 2, 3]])
def test_taking_what_tears_a_subtree_apart_is_refused(ids):
    with pytest.raises(ValueError, match="only whole subtrees of one shape may change places"):
        TreeGate().take(drawn(TreeGate()), ids)


# -- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
@pytest.mark.parametrize("gate", ["softmax", "constant"])
def test_rows_are_the_derivatives_in_the_scores_of_all_nodes(gate, structure):
    """By central differences in the free coordinates, every coefficient of every branch."""
    gate = TreeGate(gate, structure=structure)
    X = problem(n=7)[0] if gate.inputs.uses_x else np.empty((7, 0))
    params = drawn(gate, p=X.shape[1])
    check_rows(gate, params, X)


def check_rows(gate, params, X, step=1e-5):
    coordinates = Coordinates(gate.coordinates(params), params)
    vector = coordinates.free(params)
    params = coordinates.params(vector)
    terms, predictors = gate.rows(params, X), gate.predictors(params)
    assert terms.slope.shape == (len(X), gate.n_experts, len(predictors))
    numbers = unravel(np.arange(len(vector)), coordinates.like)
    Z = np.column_stack([np.ones(len(X)), X])
    for i, predictor in enumerate(predictors):
        assert predictor.shared
        node, leaf = predictor.leaf.split("/")
        (entry,) = predictor.entries
        for column, place in enumerate(np.atleast_1d(numbers[node][leaf][entry])):
            way = step * np.eye(len(vector))[place]
            ends = (coordinates.params(vector + way), coordinates.params(vector - way))
            up, down = (gate.rows(end, X) for end in ends)
            z = Z[:, column, None]
            found = (up.log_prob - down.log_prob) / (2 * step)
            # central differences: their error is about step², that of rounding 1e-16 / step
            np.testing.assert_allclose(terms.slope[:, :, i] * z, found, atol=1e-8)
            found = (down.slope - up.slope) / (2 * step)
            np.testing.assert_allclose(terms.curvature[..., i] * z[..., None], found, atol=1e-8)


def test_a_tree_of_black_boxes_has_no_rows():
    assert offers(TreeGate(), "rows") and offers(TreeGate("least_squares"), "predictors")
    assert not offers(TreeGate(LogisticRegression()), "rows")
    assert not offers(TreeGate(LogisticRegression()), "predictors")


# -- what stands at the nodes ----------------------------------------------------------------------


@pytest.mark.parametrize("gate", ["softmax", LogisticRegression()], ids=["alias", "estimator"])
def test_what_stands_at_the_nodes_is_looked_up_once(gate, monkeypatch):
    seen = []

    def counting(kind, value, task=None):
        seen.append(value)
        return find(kind, value, task)

    monkeypatch.setattr("classic_moe.gates.tree.find", counting)
    X, resp = problem()
    tree = TreeGate(gate)
    params = tree.init(X, resp, np.random.RandomState(0))
    for _ in range(3):
        params = tree.maximize(params, tree.statistics(params, X, resp))
    assert len(seen) == 1
    tree.set_params(gate="constant")
    assert not tree.inputs.uses_x and len(seen) == 2


def test_a_fit_of_a_tree_looks_aliases_up_a_handful_of_times(monkeypatch):
    seen = []

    def counting(kind, value, task=None):
        seen.append(value)
        return find(kind, value, task)

    monkeypatch.setattr("classic_moe.gates.tree.find", counting)
    monkeypatch.setattr("classic_moe.parts.registry.find", counting)
    X, y = load_motorcycle(return_X_y=True)
    MixtureOfExpertsRegressor(4, gate="tree", n_init=2, tol=1e-3, random_state=0).fit(X, y)
    assert len(seen) <= 8


# -- pruning ---------------------------------------------------------------------------------------


def sharp(prune):
    gate = TreeGate(depth=3, prune=prune)
    return gate, map_leaves(lambda leaf: 4 * leaf, drawn(gate))


def test_pruning_leaves_out_improbable_branches_and_nothing_else():
    X = problem(n=300)[0]
    gate, params = sharp(0.01)
    whole, pruned = np.exp(gate.log_prob(params, X)), np.exp(gate.log_route(params, X))
    np.testing.assert_allclose(pruned.sum(axis=1), 1, rtol=1e-12)
    assert (pruned == 0).mean() > 0.3
    assert (whole[pruned == 0] < 0.01).all()
    # What is left out is less than 1 % a branch, of at most 7 branches.
    assert np.abs(whole - pruned).max() < 0.07
    kept = sharp(0.0)[0].log_route(params, X)
    np.testing.assert_array_equal(kept, gate.log_prob(params, X))


class Counting(SoftmaxGate):
    """A softmax gate that counts the rows it is asked about."""

    rows = 0

    def log_prob(self, params, X):
        type(self).rows += len(X)
        return super().log_prob(params, X)


def test_pruned_branches_are_not_evaluated():
    X = problem(n=300)[0]
    params = sharp(0.0)[1]
    counts = []
    for prune in (1e-300, 0.05):
        Counting.rows = 0
        TreeGate(Counting(), depth=3, prune=prune).log_route(params, X)
        counts.append(Counting.rows)
    assert counts[0] == 7 * 300
    assert counts[1] < 0.7 * counts[0]


def test_the_most_probable_branch_is_always_followed():
    gate, X = TreeGate("constant", branching=4, depth=3, prune=0.9), problem()[0]
    params = map_leaves(np.zeros_like, drawn(gate))
    assert np.isfinite(gate.log_route(params, X)).any(axis=1).all()


def test_pruning_changes_predictions_and_not_the_fit():
    X, y = load_motorcycle(return_X_y=True)
    whole, pruned = (
        MixtureOfExpertsRegressor(4, gate=TreeGate(prune=prune), random_state=0).fit(X, y)
        for prune in (0.0, 0.1)
    )
    assert pruned.log_likelihood_ == whole.log_likelihood_
    np.testing.assert_array_equal(pruned.log_prob(X, y), whole.log_prob(X, y))
    assert (pruned.gate_proba(X) == 0).any()
    np.testing.assert_allclose(pruned.gate_proba(X).sum(axis=1), 1, rtol=1e-12)
    mixed = np.einsum("nk,nk->n", pruned.gate_proba(X), pruned.predict_experts(X))
    np.testing.assert_allclose(pruned.predict(X), mixed, rtol=1e-10)


class CountingRegressor(DecisionTreeRegressor):
    """A tree that counts the rows it is asked about."""

    rows = 0

    def predict(self, X, check_input=True):
        type(self).rows += len(X)
        return super().predict(X)


class CountingClassifier(DecisionTreeClassifier):
    rows = 0

    def predict_proba(self, X, check_input=True):
        type(self).rows += len(X)
        return super().predict_proba(X)


def asked(model, X, counting):
    """What a model predicts, with and without skipping, and the rows it asks about each time."""
    found, verb = [], "predict_proba" if hasattr(model, "classes_") else "predict"
    for skipping in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            for module in () if skipping else ("model.mixture", "estimators.classification"):
                patch.setattr(f"classic_moe.{module}.wanted_pairs", lambda log_gate: None)
            counting.rows = 0
            found.append((getattr(model, verb)(X), counting.rows))
    return found


@pytest.mark.filterwarnings("ignore::classic_moe.ExpertCollapseWarning")
@pytest.mark.parametrize("options", [dict(prune=0.1), dict(hard=True), dict(prune=0.1, union=True)])
@pytest.mark.parametrize("kind", ["regressor", "classifier", "one-hot"])
def test_experts_that_a_row_is_not_sent_to_are_not_asked(kind, options):
    X, y = load_motorcycle(return_X_y=True)
    counting = CountingClassifier if kind == "classifier" else CountingRegressor
    expert = counting(max_depth=2)
    if "union" in options:
        linear = "softmax" if kind == "classifier" else LinearExpert(covariance_type="diag")
        expert = [expert, linear, expert, linear]
    estimator = MixtureOfExpertsRegressor if kind == "regressor" else MixtureOfExpertsClassifier
    noise = 40 * np.random.default_rng(0).standard_normal(len(y))
    y = y if kind == "regressor" else np.digitize(y + noise, [-50, 0])
    gate = TreeGate(prune=options.get("prune", 0.0))
    assignment = "hard" if "hard" in options else "soft"
    options = dict(assignment=assignment, n_init=1, tol=1e-3, random_state=0)
    model = estimator(4, gate=gate, expert=expert, **options).fit(X, y)
    (skipped, few), (whole, all_rows) = asked(model, X, counting)
    np.testing.assert_allclose(skipped, whole, rtol=1e-12)
    members = 2 if isinstance(expert, list) else 4
    codes = 3 if kind == "one-hot" else 1
    assert all_rows == codes * members * len(X)
    if assignment == "hard":
        assert few == codes * len(X)
    else:
        routed = model.gate_proba(X)[:, :: 2 if members == 2 else 1] > 0
        assert few == codes * np.count_nonzero(routed) < all_rows


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_networks_that_a_row_is_not_sent_to_are_not_asked(assignment):
    X, y = load_motorcycle(return_X_y=True)
    gate, expert = TreeGate(prune=0.1), MLPExpert((3,), max_iter=5)
    options = dict(assignment=assignment, n_init=1, tol=1e-1, random_state=0)
    models = [
        MixtureOfExpertsRegressor(4, gate=gate, expert=expert, **options).fit(X, y),
        MixtureOfExpertsClassifier(4, gate=gate, expert=expert, **options).fit(X, y > -20),
    ]
    for model in models:
        mixed = asked(model, X, Counting)
        np.testing.assert_allclose(mixed[0][0], mixed[1][0], rtol=1e-10)


# -- parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(depth=0), "depth=0: needs an integer of at least 1"),
        (dict(branching=1), "branching=1: needs an integer of at least 2"),
        (dict(branching=(2, 3), depth=3), "is for 2 levels, depth=3"),
        (dict(branching="two"), "branching='two': needs"),
        (dict(structure=((0, 2), 1)), "got 2 where 1 stands"),
        (dict(structure=((0,), 1)), "a tuple of at least two children"),
        (dict(structure=(0, "1")), "got '1'"),
        (dict(structure=0), "is a single leaf"),
        (
            dict(gate="oak"),
            "gate='oak' of TreeGate is not known in this version; use one of 'constant'",
        ),
        (
            dict(gate=SoftmaxGate),
            "is not a gate of this version; pass an object, SoftmaxGate(), in place of the class",
        ),
        (dict(gate="gaussian"), "models x; use 'softmax', 'constant' or a classifier"),
        (dict(gate=TreeGate()), "is a tree itself"),
        (dict(gate=SoftmaxGate(alpha=-1)), "alpha=-1"),
        (dict(prune=1.0), "prune=1.0 of TreeGate: needs a number from 0 to below 1"),
    ],
)
def test_what_is_no_tree_is_refused_in_a_sentence(options, message):
    X, y = make_piecewise_regression(60, random_state=0)
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        MixtureOfExpertsRegressor(4, gate=TreeGate(**options)).fit(X, y)


def test_another_number_of_experts_is_refused_with_both_numbers():
    X, y = make_piecewise_regression(60, random_state=0)
    with pytest.raises(ValueError, match=r"n_experts=3, but gate=.* has 4 leaves; set n_experts=4"):
        MixtureOfExpertsRegressor(3, gate="tree").fit(X, y)


@pytest.mark.parametrize("floor", [0, 1, "low"])
def test_a_floor_that_is_no_probability_is_refused(floor):
    X, y = make_piecewise_regression(60, random_state=0)
    with pytest.raises(ValueError, match=f"floor={floor!r} of LeastSquaresGate"):
        MixtureOfExpertsRegressor(2, gate=LeastSquaresGate(floor=floor)).fit(X, y)


def test_nested_parameters_reach_the_gate_at_the_nodes():
    model = MixtureOfExpertsRegressor(4, gate=TreeGate())
    model.set_params(gate__gate__alpha=0.5, gate__prune=0.01)
    assert model.gate.gate.alpha == 0.5 and model.gate.prune == 0.01
    assert clone(model).gate.gate.alpha == 0.5
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(gate__gate__beta=1)


# -- the caller's side -------------------------------------------------------------------------


def test_the_view_has_the_nodes_and_their_children():
    X, y = load_motorcycle(return_X_y=True)
    gate = TreeGate(structure=(0, (1, 2)))
    view = MixtureOfExpertsRegressor(3, gate=gate, random_state=0).fit(X, y).gate_
    assert view.children_ == {"root": [0, "1"], "1": [1, 2]}
    assert view.nodes_["1"].coef_.shape == (2, 1)
    assert repr(view) == "TreeView(2 nodes, 3 leaves)"


def test_a_fit_goes_on_from_the_callers_values():
    X, y = load_motorcycle(return_X_y=True)
    first = MixtureOfExpertsRegressor(4, gate="tree", random_state=0).fit(X, y)
    views = first.gate_.nodes_
    start = {
        "gate": {n: {"coef": v.coef_, "intercept": v.intercept_} for n, v in views.items()},
        "expert": {
            name: np.stack([getattr(view, name + "_") for view in first.experts_])
            for name in ("coef", "intercept", "scale")
        },
    }
    again = MixtureOfExpertsRegressor(4, gate="tree", init_params=start).fit(X, y)
    assert again.lower_bounds_[0] == pytest.approx(first.lower_bounds_[-1], rel=1e-9)
    start["gate"].pop("0")
    with pytest.raises(ValueError, match="init_params for the gate takes root, 0, 1"):
        MixtureOfExpertsRegressor(4, gate="tree", init_params=start).fit(X, y)


def test_one_warning_names_the_node_and_counts_the_others():
    rng = np.random.default_rng(0)
    X = np.sort(rng.uniform(0, 4, 200))[:, None]
    y = np.where(X[:, 0] < 2, 5.0, -5.0) + np.where(X[:, 0] % 2 < 1, 1, -1) * X[:, 0]
    y = y + 0.5 * rng.standard_normal(200)
    model = MixtureOfExpertsRegressor(4, gate=TreeGate(SoftmaxGate(alpha=0)), random_state=0)
    with pytest.warns(SeparationWarning, match=r"node .*: the experts' regions of x") as caught:
        model.fit(X, y)
    assert len(caught) == 1


def test_a_black_box_stands_at_every_node():
    X, y = make_piecewise_regression(200, n_pieces=4, random_state=0)
    gate = TreeGate(LogisticRegression(C=1e3))
    model = MixtureOfExpertsRegressor(4, gate=gate, n_init=1, random_state=0).fit(X, y)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert set(model.gate_.nodes_) == {"root", "0", "1"}
    assert model.score(X, y) > 0.8


def test_classes_work_too():
    X, y = make_piecewise_regression(200, n_pieces=4, random_state=0)
    labels = (y > np.median(y)).astype(int)
    model = MixtureOfExpertsClassifier(4, gate="tree", random_state=0).fit(X, labels)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-12)


def test_a_gate_that_models_x_is_named_as_such():
    with pytest.raises(ValueError, match="models x"):
        TreeGate(GaussianGate()).check_parameters()
