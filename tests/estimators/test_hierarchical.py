"""A hierarchical mixture is a mixture with a tree of gates: nothing else, to the last bit."""

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.tree import DecisionTreeClassifier

from classic_moe import (
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.datasets import load_motorcycle, make_piecewise_regression
from classic_moe.gates import TreeGate
from classic_moe.parts.params import leaves

PAIRS = [
    (HierarchicalMixtureOfExpertsRegressor, MixtureOfExpertsRegressor),
    (HierarchicalMixtureOfExpertsClassifier, MixtureOfExpertsClassifier),
]


def data(kind):
    if kind in (MixtureOfExpertsRegressor, HierarchicalMixtureOfExpertsRegressor):
        return load_motorcycle(return_X_y=True)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 2))
    return X, (np.abs(X[:, 0]) + X[:, 1] + rng.logistic(size=600) > 1).astype(int)


@pytest.fixture(scope="module")
def motorcycle():
    X, y = load_motorcycle(return_X_y=True)
    return HierarchicalMixtureOfExpertsRegressor(random_state=0).fit(X, y), X, y


# -- what it is --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("hierarchy, mixture", PAIRS)
def test_it_is_the_mixture_with_a_tree_gate_to_the_last_bit(hierarchy, mixture):
    X, y = data(mixture)
    options = dict(n_init=1, tol=1e-2, random_state=0)
    one = hierarchy((2, 3), 2, **options).fit(X, y)
    other = mixture(6, gate=TreeGate(branching=(2, 3), depth=2), **options).fit(X, y)
    assert one.n_experts == one.n_experts_ == 6
    for a, b in zip(leaves(one.params_), leaves(other.params_), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.log_likelihood_ == other.log_likelihood_


@pytest.mark.weak_penalties
@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::classic_moe.exceptions.SeparationWarning"
)  # classes of one expert
@pytest.mark.parametrize("hierarchy, mixture", PAIRS)
def test_a_tree_of_one_level_is_the_flat_gate(hierarchy, mixture):
    X, y = data(mixture)
    flat = mixture(3, random_state=0).fit(X, y)
    tree = hierarchy(3, 1, random_state=0).fit(X, y)
    assert tree.log_likelihood_ == pytest.approx(flat.log_likelihood_, rel=1e-8)
    for a, b in zip(leaves(tree.params_), leaves(flat.params_), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)
    # At equal parameters the two differ by rounding alone.
    flat.params_ = {"gate": tree.params_["gate"]["root"], "expert": tree.params_["expert"]}
    np.testing.assert_allclose(flat.log_prob(X, y), tree.log_prob(X, y), rtol=1e-12, atol=1e-14)


def test_a_tree_of_one_level_is_the_flat_gate_on_rows_that_take_the_compiled_pass():
    X, y = make_piecewise_regression(3000, n_pieces=3, random_state=0)
    flat, tree = (
        MixtureOfExpertsRegressor(3, gate=gate, n_init=1, random_state=0).fit(X, y)
        for gate in ("softmax", TreeGate(branching=3, depth=1))
    )
    assert tree.log_likelihood_ == pytest.approx(flat.log_likelihood_, rel=1e-8)


@pytest.mark.parametrize("hierarchy, _", PAIRS)
def test_parameters_are_its_own_and_clone(hierarchy, _):
    model = hierarchy(3, 2, gate="constant")
    assert {"branching", "depth"} < set(model.get_params())
    assert "n_experts" not in model.get_params()
    assert clone(model).set_params(depth=1).n_experts == 3
    softmax = hierarchy().set_params(gate__alpha=0.5)
    assert softmax.gate.alpha == 0.5


def test_messages_speak_of_its_own_parameters(motorcycle):
    fitted, X, y = motorcycle
    own = r"branching=2, depth=2 \(4 leaves\)"
    model = HierarchicalMixtureOfExpertsRegressor(expert=["linear", "linear", "noise"])
    with pytest.raises(ValueError, match=own + r".* holds 3; set branching and depth for as many"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=own + " needs at least 4 rows"):
        HierarchicalMixtureOfExpertsRegressor().fit(X[:3], y[:3])
    other = clone(fitted).set_params(depth=1, init_params=fitted)
    message = r"has 4 experts, branching=2, depth=1 \(2 leaves\); set branching and depth for as"
    with pytest.raises(ValueError, match=message):
        other.fit(X, y)


def test_starting_values_that_do_not_fit_name_their_node(motorcycle):
    fitted, X, y = motorcycle
    right, wrong = ({"coef": np.zeros((k, 1)), "intercept": np.zeros(k)} for k in (2, 3))
    gate = {"root": right, "0": right, "1": wrong}
    start = {"gate": gate, "expert": {"coef": np.zeros((4, 1)), "intercept": np.zeros(4)}}
    model = clone(fitted).set_params(init_params=start)
    message = r"node 1: init_params: coef of the gate needs shape \(2, 1\), got \(3, 1\)"
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    again = HierarchicalMixtureOfExpertsRegressor(warm_start=True, n_init=1, random_state=0)
    again.fit(X, y)
    message = r"^warm_start: the last fit saw X of shape \(n, 1\), and now it is \(n, 2\); give X"
    with pytest.raises(ValueError, match=message):
        again.fit(np.column_stack([X, X**2]), y)


def test_a_tree_without_branches_has_no_number_of_experts_and_no_fit(motorcycle):
    model, (_, X, y) = HierarchicalMixtureOfExpertsRegressor(branching=1), motorcycle
    assert not hasattr(model, "n_experts")
    with pytest.raises(ValueError, match="branching=1: needs an integer of at least 2"):
        model.fit(X, y)


def test_weights_of_rows_are_frequencies():
    X, y = load_motorcycle(return_X_y=True)
    times = np.arange(len(y)) % 3
    model = HierarchicalMixtureOfExpertsRegressor(n_init=2, random_state=0)
    weighted = clone(model).fit(X, y, sample_weight=times)
    repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-6)


# -- nodes -------------------------------------------------------------------------------------


def test_the_nodes_multiply_to_the_gate_and_to_the_responsibilities(motorcycle):
    model, X, y = motorcycle
    for nodes, leaf in (
        (model.node_proba(X), model.gate_proba(X)),
        (model.node_responsibilities(X, y), model.responsibilities(X, y)),
    ):
        assert list(nodes) == ["root", "0", "1"]
        product = np.concatenate(
            [nodes["root"][:, c : c + 1] * nodes[str(c)] for c in (0, 1)], axis=1
        )
        np.testing.assert_allclose(product, leaf, rtol=1e-9, atol=1e-12)
        for proba in nodes.values():
            np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


def test_a_row_far_from_a_node_still_has_responsibilities_below_it(motorcycle):
    """h_ij = g_ij p_ij / Σ_j g_ij p_ij, whatever h_i is: there is no digit of h_i left to use."""
    model, X, y = motorcycle
    far = np.full(len(y), 3000.0)
    gate, resp = model.node_proba(X), model.node_responsibilities(X, far)
    assert (model.responsibilities(X, far)[:, 2:] == 0).all()  # below node 1
    log_density = np.stack(
        [norm.logpdf(far, view.predict(X), view.scale_) for view in model.experts_[2:]], axis=1
    )
    expected = log_softmax(np.log(gate["1"]) + log_density, axis=1)
    np.testing.assert_allclose(resp["1"], np.exp(expected), rtol=1e-6, atol=1e-12)
    assert np.abs(resp["1"] - gate["1"]).max() > 0.5


def test_where_no_expert_below_a_node_can_have_made_the_row_the_gate_speaks():
    X, y = load_motorcycle(return_X_y=True)
    experts = ["linear", "linear", "noise", "noise"]  # noise ends a little beyond the range of y
    model = HierarchicalMixtureOfExpertsRegressor(
        expert=experts, gate="constant", n_init=1, tol=1e-4, random_state=0
    )
    model.fit(X, y)
    resp, gate = model.node_responsibilities(X, np.full(len(y), 300.0)), model.node_proba(X)
    np.testing.assert_array_equal(resp["root"][:, 1], 0)
    np.testing.assert_allclose(resp["1"], gate["1"], rtol=1e-12)


def test_assign_gives_the_leaf(motorcycle):
    model, X, y = motorcycle
    np.testing.assert_array_equal(model.assign(X), model.gate_proba(X).argmax(axis=1))
    np.testing.assert_array_equal(model.assign(X, y), model.responsibilities(X, y).argmax(axis=1))


def test_children_stand_in_order_of_their_weight(motorcycle):
    weights = motorcycle[0].weights_
    assert weights[:2].sum() >= weights[2:].sum()
    assert weights[0] >= weights[1] and weights[2] >= weights[3]


def test_groups_of_rows_share_a_leaf():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.standard_normal((40, 1)), 4, axis=0)
    groups = np.repeat(np.arange(40), 4)
    y = np.where(X[:, 0] > 0, 3.0, -3.0) + rng.standard_normal(160)
    model = HierarchicalMixtureOfExpertsRegressor(depth=1, random_state=0)
    model.fit(X, y, groups=groups)
    order = np.random.default_rng(1).permutation(160)  # rows of a group need not stand together
    X, y, groups = X[order], y[order], groups[order]
    resp = model.node_responsibilities(X, y, groups=groups)["root"]
    np.testing.assert_allclose(resp, model.responsibilities(X, y, groups), rtol=1e-12)
    with pytest.raises(ValueError, match="is not constant within group"):
        model.node_responsibilities(X, y, groups=np.zeros(160))


@pytest.mark.parametrize("name", ["node_proba", "node_responsibilities", "export_text"])
def test_a_flat_mixture_has_no_nodes_and_says_so(name):
    model = MixtureOfExpertsRegressor(2)
    assert not hasattr(model, name)
    with pytest.raises(AttributeError) as caught:
        getattr(model, name)
    assert "is no tree; its nodes exist with gate=TreeGate(...)" in str(caught.value.__cause__)
    assert hasattr(MixtureOfExpertsRegressor(4, gate="tree"), name)
    assert hasattr(HierarchicalMixtureOfExpertsRegressor(), name)


# -- text --------------------------------------------------------------------------------------


def test_the_text_is_in_the_callers_units(motorcycle):
    model = motorcycle[0]
    text = model.export_text(digits=4)
    assert text.count("\n") == 10  # six branches, four experts
    for k, view in enumerate(model.experts_):
        assert f"expert {k}: y = {view.intercept_:.4g}" in text
    root = model.gate_.nodes_["root"]
    assert f"log-odds = {root.intercept_[0]:.4g} + {root.coef_[0, 0]:.4g} x0" in text


def test_a_classifier_at_the_nodes_is_named_once_a_branch():
    X, y = load_motorcycle(return_X_y=True)
    gate = DecisionTreeClassifier(max_depth=1)
    model = HierarchicalMixtureOfExpertsRegressor(gate=gate, n_init=1, random_state=0).fit(X, y)
    branches = [line for line in model.export_text().splitlines() if "of the weight" in line]
    says = [line.split(": ")[1] for line in branches]
    assert says == [f"branch {c} of DecisionTreeClassifier" for c in (0, 0, 1, 1, 0, 1)]


def test_before_the_fit_there_is_no_text():
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        HierarchicalMixtureOfExpertsRegressor().export_text()


def test_the_text_ends_at_a_depth():
    X, y = load_motorcycle(return_X_y=True)
    model = HierarchicalMixtureOfExpertsRegressor(depth=3, n_init=1, random_state=0).fit(X, y)
    text = model.export_text(max_depth=0, spacing=1)
    assert text.startswith("|- ")
    assert text.count("4 experts below") == 2 and "expert 0:" not in text
    with pytest.raises(ValueError, match="spacing=0: needs an integer of at least 1"):
        model.export_text(spacing=0)


def test_the_text_names_columns_and_classes():
    pd = pytest.importorskip("pandas")
    X, y = make_moons(150, noise=0.4, random_state=0)
    X = pd.DataFrame(X, columns=["east", "north"])
    model = HierarchicalMixtureOfExpertsClassifier(n_init=2, random_state=0).fit(X, y)
    text = model.export_text()
    assert " east" in text and " north" in text and "log-odds of 1 against 0 = " in text
