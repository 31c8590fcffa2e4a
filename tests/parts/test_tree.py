"""Trees of experts: their canonical order, what moves with it, and the gates of their nodes."""

import itertools

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from classic_moe._kernels import array
from classic_moe.parts import tree

FLAT = (None,) * 3
BALANCED = ((None, None), (None, None))
UNEVEN = ((None, None), None, (None, None))
DEEP = (None, (None, (None, None)))
SHAPES = [FLAT, BALANCED, UNEVEN, DEEP]


def test_a_flat_mixture_stands_by_its_key_and_equals_keep_their_order():
    assert tree.order(FLAT, [2.0, 0.0, 0.0]).tolist() == [1, 2, 0]
    assert tree.order(FLAT, [2.0, 0.0, 0.0], np.array([0.9, 0.05, 0.05])).tolist() == [1, 2, 0]


def test_children_stand_by_the_weight_below_them():
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    assert tree.order(BALANCED, [3, 2, 1, 0], weights).tolist() == [3, 2, 1, 0]


def test_a_heavy_leaf_does_not_leave_its_light_subtree():
    weights = np.array([0.4, 0.05, 0.25, 0.3])
    assert tree.order(BALANCED, np.arange(4), weights).tolist() == [3, 2, 0, 1]


def test_only_subtrees_of_one_shape_change_places():
    weights = np.array([0.05, 0.1, 0.5, 0.25, 0.1])
    assert tree.order(UNEVEN, np.arange(5), weights).tolist() == [3, 4, 2, 1, 0]


def test_equal_weights_stand_by_their_least_key_and_without_weights_by_the_mean():
    key = np.array([4.0, 1.0, 2.0, 2.5])
    assert tree.order(BALANCED, key, np.full(4, 0.25)).tolist() == [1, 0, 2, 3]
    assert tree.order(BALANCED, key).tolist() == [2, 3, 1, 0]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_order_that_is_chosen_can_be_taken_and_orders_nothing_more(shape):
    rng, K = np.random.default_rng(0), tree.n_leaves(shape)
    for _ in range(20):
        key, weights = rng.permutation(K), rng.dirichlet(np.ones(K))
        ids = tree.order(shape, key, weights)
        assert sorted(ids) == list(range(K))
        assert set(tree.moves(shape, ids)) == {node.id for node in tree.nodes_of(shape)}
        again = tree.order(shape, key[ids], weights[ids])
        assert again.tolist() == list(range(K))


def by_nested_tuples(shape, first=0):
    """All orders of the experts of a subtree that move whole subtrees of one shape."""
    if shape is None:
        return [(first,)]
    starts = np.cumsum([first, *map(tree.n_leaves, shape)])[:-1]
    each = [by_nested_tuples(child, start) for child, start in zip(shape, starts, strict=True)]
    found = []
    for places in itertools.permutations(range(len(shape))):
        if all(shape[a] == shape[b] for a, b in enumerate(places)):
            parts = itertools.product(*(each[place] for place in places))
            found += [sum(part, ()) for part in parts]
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_just_the_orders_that_keep_subtrees_whole_can_be_taken(shape):
    allowed = set(by_nested_tuples(shape))
    for ids in itertools.permutations(range(tree.n_leaves(shape))):
        if ids in allowed:
            tree.moves(shape, ids)
        else:
            with pytest.raises(ValueError, match="only whole subtrees"):
                tree.moves(shape, ids)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_nodes_of_a_tree_come_back_from_its_leaves(shape):
    rng, nodes = np.random.default_rng(1), tree.nodes_of(shape)
    given = [log_softmax(rng.standard_normal((5, len(n.children))), axis=1) for n in nodes]
    found = tree.node_log_prob(shape, tree.to_leaves(shape, given))
    for node, expected in zip(nodes, given, strict=True):
        np.testing.assert_allclose(found[node.id], expected, atol=1e-14)


def test_a_node_that_no_row_can_reach_gives_equal_shares():
    log_prob = np.array([[0.0, -np.inf, -np.inf, -np.inf]])
    found = tree.node_log_prob(BALANCED, log_prob)
    np.testing.assert_array_equal(found["root"], [[0.0, -np.inf]])
    np.testing.assert_array_equal(found["0"], [[0.0, -np.inf]])
    np.testing.assert_allclose(np.exp(found["1"]), [[0.5, 0.5]])


def test_children_have_the_responsibilities_of_the_leaves_below():
    resp = np.random.default_rng(2).random((6, 5))
    root = tree.nodes_of(UNEVEN)[0]
    expected = np.column_stack([resp[:, :2].sum(1), resp[:, 2], resp[:, 3:].sum(1)])
    np.testing.assert_allclose(tree.to_children(root, resp), expected, rtol=1e-15)


def test_sums_of_a_tree_stay_where_the_rows_are():
    strict = pytest.importorskip("array_api_strict")
    device, rng = strict.Device("device1"), np.random.default_rng(3)
    log_prob = log_softmax(rng.standard_normal((4, 5)), axis=1)
    away = strict.asarray(log_prob, device=device)
    found = tree.node_log_prob(UNEVEN, away)
    for name, expected in tree.node_log_prob(UNEVEN, log_prob).items():
        assert found[name].device == device
        np.testing.assert_allclose(array.to_host(found[name]), expected, atol=1e-14)
    back = tree.to_leaves(UNEVEN, list(found.values()))
    assert back.device == device
    np.testing.assert_allclose(logsumexp(array.to_host(back), axis=1), 0, atol=1e-14)


def test_a_tree_grows_at_its_leaves_and_is_pruned_at_its_nodes():
    shape = tree.read(((0, 1), 2))
    assert tree.structure_of(shape) == ((0, 1), 2) and tree.structure_of(None) == 0
    assert tree.structure_of(tree.grown(None, [0], 3)) == (0, 1, 2)
    assert tree.structure_of(tree.grown(shape, [1])) == ((0, (1, 2)), 3)
    assert tree.structure_of(tree.grown(shape, [0, 2])) == (((0, 1), 2), (3, 4))
    for k in range(3):  # the node that a leaf became is the one to undo it
        grown = tree.grown(shape, [k])
        (undone,) = [
            node.id for node in tree.last_nodes(grown) if tree.pruned(grown, [node.id]) == shape
        ]
        assert undone == ["0.0", "0.1", "1"][k]
    assert tree.pruned((None, None), ["root"]) is None


def test_a_tree_has_more_than_one_level():
    assert [tree.is_tree(shape) for shape in SHAPES] == [False, True, True, True]


@pytest.mark.parametrize(
    "shape",
    [
        (None,) * 4,
        ((None, None), (None, None)),
        ((None, None), None, (None, None)),
        (((None, None), None), ((None, None), None)),
        (None, (None, None, None)),
    ],
)
def test_experts_are_matched_to_others_as_well_as_the_tree_allows(shape):
    """The best of all orders that only move subtrees of one shape, tried one by one."""
    rng, K = np.random.default_rng(0), tree.n_leaves(shape)

    def allowed(ids):
        try:
            return bool(tree.moves(shape, ids))
        except ValueError:
            return False

    orders = [np.array(ids) for ids in itertools.permutations(range(K)) if allowed(ids)]
    for _ in range(5):
        agreement = rng.normal(size=(K, K))
        ids = tree.matched(shape, agreement)
        assert allowed(ids)
        best = max(agreement[range(K), order].sum() for order in orders)
        # the same numbers, added in another order
        assert agreement[range(K), ids].sum() == pytest.approx(best, rel=1e-12)
