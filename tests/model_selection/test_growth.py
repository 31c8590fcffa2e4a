"""Trees: grown leaf by leaf and pruned, or level by level."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from classic_moe import (
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_piecewise_regression
from classic_moe.estimators import _neighbours as neighbours
from classic_moe.experts import LinearExpert, SoftmaxExpert
from classic_moe.gates import SoftmaxGate, TreeGate
from classic_moe.inspection import TreeDisplay
from classic_moe.model_selection import ExpertCountSearch
from classic_moe.model_selection.growth import Grown, Levels
from classic_moe.model_selection.path import Path, Rows, _objective
from classic_moe.parts import tree

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::classic_moe.ExpertCountWarning"),
]
FREE = LinearExpert(alpha=0, variance_prior=0)


def pieces(n, n_pieces, seed=0):
    return make_piecewise_regression(n, n_pieces=n_pieces, noise=0.1, random_state=seed)


@pytest.fixture(scope="module")
def data():
    return pieces(120, 3)


def with_tree(structure=None, gate="softmax", **options):
    gate = TreeGate(SoftmaxGate(alpha=0) if gate == "softmax" else gate, structure=structure)
    options = dict(n_init=1, random_state=0, expert=FREE) | options
    return MixtureOfExpertsRegressor(gate=gate, **options)


# -- starts ----------------------------------------------------------------------------------------


def three_leaves(data, gate="softmax"):
    return with_tree(((0, 1), 2), gate, n_experts=3, max_iter=20).fit(*data)


def test_a_leaf_is_parted_where_it_stands(data):
    model = three_leaves(data)
    resp = model.responsibilities(*data)
    for k, starts in enumerate(neighbours.leaf_starts(model, [[0], [1], [2]], 3, *data)):
        assert starts.shape == (2, 120, 5)  # across the inputs, and by what is left of y
        kept = starts - 0.02 / 5  # a fiftieth of every row is spread over all experts
        assert_allclose(
            kept[:, :, k : k + 3].sum(axis=2), np.tile(0.98 * resp[:, k], (2, 1)), atol=1e-12
        )
        others = np.delete(kept, [k, k + 1, k + 2], axis=2)
        assert_allclose(others[0], 0.98 * np.delete(resp, k, axis=1), atol=1e-12)
        shares = (
            starts[:, :, k : k + 3].sum(axis=1) / starts[:, :, k : k + 3].sum(axis=(1, 2))[:, None]
        )
        assert shares.min() > 0.2  # three leaves of like size


def test_a_leaf_of_few_rows_is_not_parted(data):
    X, y = data
    model = three_leaves(data)
    weight = np.where(model.assign(X, y) == 2, 1e-3, 1.0)
    starts = list(neighbours.leaf_starts(model, [[0], [2]], 2, X, y, weight))
    assert starts[0] is not None and starts[1] is None


def test_the_leaves_of_a_node_become_one(data):
    model = three_leaves(data)
    (node,) = tree.last_nodes(((None, None), None))
    resp = model.responsibilities(*data)
    (start,) = neighbours.pruned_starts(model, [node], *data)
    assert_allclose(start, np.column_stack([resp[:, :2].sum(axis=1), resp[:, 2]]))


@pytest.mark.parametrize("gate", ["softmax", "constant"])
@pytest.mark.parametrize("leaves", [[0], [1], [2], [0, 1, 2]])
def test_new_leaves_that_are_copies_leave_the_density_as_it_was(data, gate, leaves):
    model = three_leaves(data, gate)
    start = neighbours.copied_leaves(model, leaves, 2)
    structure = tree.structure_of(tree.grown(((None, None), None), leaves))
    again = with_tree(structure, gate, n_experts=3 + len(leaves), init_params=start, max_iter=1)
    again.fit(*data)
    assert_allclose(again.lower_bounds_[0], model.log_likelihood_, rtol=1e-10)


def test_copies_of_a_single_expert_have_a_gate_that_costs_no_penalty(data):
    one = MixtureOfExpertsRegressor(1, expert=FREE, gate=SoftmaxGate(alpha=5)).fit(*data)
    start = neighbours.copied_leaves(one, [0], 2)
    two = with_tree((0, 1), SoftmaxGate(alpha=5), n_experts=2, init_params=start, max_iter=1)
    assert_allclose(two.fit(*data).lower_bounds_[0], one.lower_bounds_[-1], rtol=1e-10)


# -- the path --------------------------------------------------------------------------------------


def falls(path):
    values = np.array([fit.log_likelihood_ for fit in path.fits])
    return np.max((values[:-1] - values[1:]) / np.abs(values[:-1]))


@pytest.fixture
def no_splits(monkeypatch):
    """Leaves are parted into equal ones: no start tells them apart."""

    def useless(fit, choices, n_children, X, *rest):
        for leaves in choices:
            n_leaves = fit.n_experts_ + len(leaves) * (n_children - 1)
            yield np.full((1, len(X), n_leaves), 1 / n_leaves)

    monkeypatch.setattr(neighbours, "leaf_starts", useless)


def balanced(**options):
    gate, options = SoftmaxGate(alpha=0), dict(n_init=1, random_state=0, expert=FREE) | options
    return HierarchicalMixtureOfExpertsRegressor(gate=gate, **options)


@pytest.mark.parametrize("make, counts", [(with_tree, [1, 2, 3, 4]), (balanced, [2, 4, 8])])
def test_copies_alone_hold_what_is_guaranteed(no_splits, monkeypatch, make, counts):
    poor = make(init_params="random", max_iter=2)
    monkeypatch.setattr(Path, "_from_above", lambda self, i: False)
    problems = [
        (clone(poor).set_params(random_state=seed), Rows(*pieces(80, 4, seed))) for seed in range(3)
    ]
    assert max(falls(Path(model, counts, rows).run()) for model, rows in problems) < 1e-8
    monkeypatch.setattr(Path, "_at_least", lambda self, i: False)
    assert max(falls(Path(model, counts, rows).run()) for model, rows in problems) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_tree_with_more_leaves_never_has_a_lower_likelihood(seed):
    rows = Rows(*pieces(80, 3, seed), np.arange(80) % 3 + 1.0)
    path = Path(with_tree(max_iter=3), [1, 2, 4], rows).run()
    assert [fit.n_experts_ for fit in path.fits] == [1, 2, 4] and falls(path) < 1e-8


@pytest.mark.parametrize("pieces_of_first", [1, 2])
def test_the_leaf_of_greatest_gain_is_split(pieces_of_first):
    """One leaf has two of three lines, and the other has one."""
    rng = np.random.default_rng(0)
    X, piece = np.linspace(-3, 3, 120)[:, None], np.repeat([0, 1, 2], 40)
    y = np.array([2.0, -2.0, 3.0])[piece] * X[:, 0] + 3 * piece + 0.1 * rng.normal(size=120)
    left = piece < pieces_of_first
    start = np.column_stack([left, ~left]) * 0.98 + 0.01
    path = Path(with_tree(), [1, 2, 3], Rows(X, y))
    two = with_tree((0, 1), n_experts=2, max_iter=1, init_params=start).fit(X, y)
    path.fits = [None, two]
    assert two.weights_[0] > 0.6  # the leaf of two lines comes first
    assert path._best_of(2, path._more(2)).gate.structure == ((0, 1), 2)


def test_pruning_mends_a_smaller_tree(data):
    """The leaves of one piece come together, and not those of two."""
    piece = np.searchsorted([40, 80], np.argsort(np.argsort(data[0][:, 0])), side="right")
    resp = np.eye(4)[np.array([0, 1, 3])[piece]] * 0.96 + 0.01
    resp[:, 2:4] = resp[:, 2:].sum(axis=1, keepdims=True) / 2
    model = with_tree(((0, 1), (2, 3)), n_experts=4, init_params=resp, max_iter=1).fit(*data)
    path = Path(with_tree(), [1, 2, 3, 4], Rows(*data))
    poor = with_tree(((0, 1), 2), n_experts=3, init_params="random", max_iter=1).fit(*data)
    path.fits = [None, None, poor, model]
    assert path._from_above(2)
    assert path.fits[2].log_likelihood_ > poor.log_likelihood_ + 10
    assert path.fits[2].gate.structure in [((0, 1), 2), (0, (1, 2))]


def test_penalties_of_a_fits_own_finding_are_compared_by_the_evidence(data, monkeypatch):
    monkeypatch.setattr(Grown, "copies", pytest.fail)
    automatic = with_tree(
        gate=SoftmaxGate(alpha="auto"), expert=LinearExpert(alpha="auto"), max_iter=20
    )
    path = Path(automatic, [1, 2], Rows(data[0][:60], data[1][:60])).run()
    assert [_objective(fit) for fit in path.fits] == [fit.log_evidence_ for fit in path.fits]
    assert path.fits[0].log_evidence_ != path.fits[0].lower_bounds_[-1]


# -- the search ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def search(data):
    model = MixtureOfExpertsRegressor(
        gate=TreeGate(SoftmaxGate(alpha=1e-3)),
        expert=LinearExpert(alpha=1e-6),
        n_init=2,
        random_state=0,
    )
    return ExpertCountSearch(model, range(1, 5)).fit(*data)


def test_a_tree_is_grown_to_the_number_of_leaves_that_is_asked_for(data, search):
    best, structures = search.best_estimator_, search.results_["structure"]
    assert search.best_n_experts_ == 3 and structures[:2].tolist() == [0, (0, 1)]
    assert best.gate.structure == structures[2] in [((0, 1), 2), (0, (1, 2))]
    assert [tree.n_leaves(tree.read(each)) for each in structures[1:]] == [2, 3, 4]
    assert min(np.diff(search.results_["log_likelihood"])) > -1e-6
    assert clone(best).fit(*data).gate_.children_ == best.gate_.children_  # an estimator of its own
    assert search.node_proba(data[0])["root"].shape == (120, 2)
    assert best.export_text().count("expert") >= 3
    assert list(TreeDisplay.from_estimator(search).leaves_) == [0, 1, 2]


def test_one_expert_has_the_gate_of_the_nodes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 1))
    search = ExpertCountSearch(with_tree(), [1, 2]).fit(X, X[:, 0] + rng.normal(size=100))
    assert search.best_n_experts_ == 1 and isinstance(search.best_estimator_.gate, SoftmaxGate)


def test_classes_weights_and_groups_have_trees_too():
    X, y = pieces(150, 2)
    model = MixtureOfExpertsClassifier(gate=TreeGate(), n_init=1, max_iter=20, random_state=0)
    model.set_params(expert=SoftmaxExpert(alpha=1e-2), gate__gate__alpha=1e-2)
    search = ExpertCountSearch(model, [1, 3]).fit(X, y > np.median(y), np.arange(150) % 3)
    assert search.results_["n_experts"].tolist() == [1, 3]
    groups = np.arange(150) // 3
    by_group = with_tree(gate="constant", max_iter=20)
    search = ExpertCountSearch(by_group, [2, 3]).fit(X, y, groups=groups)
    assert_array_equal(search.results_["structure"][0], (0, 1))


def test_levels_of_a_balanced_tree_are_numbers_of_leaves():
    X, y = pieces(150, 4)
    model = HierarchicalMixtureOfExpertsRegressor(n_init=2, random_state=0)
    model.set_params(expert__alpha=1e-6, gate__alpha=1e-3)
    search = ExpertCountSearch(model, range(1, 9)).fit(X, y)
    results = search.results_
    assert results["n_experts"].tolist() == [2, 4, 8] and results["depth"] == [1, 2, 3]
    assert search.best_n_experts_ == 4 and search.best_estimator_.depth == 2
    assert results["objective"][1] > results["objective"][0]


@pytest.mark.parametrize(
    "branching, given, counts, depths",
    [
        (3, range(1, 10), [3, 9], {3: 1, 9: 2}),
        ((2, 4), range(1, 99), [2, 8], {2: 1, 8: 2}),
        (2, [4, 16], [4, 16], {2: 1, 4: 2, 8: 3, 16: 4}),
    ],
)
def test_which_numbers_of_leaves_there_are(branching, given, counts, depths):
    for kind in (HierarchicalMixtureOfExpertsRegressor, HierarchicalMixtureOfExpertsClassifier):
        growth = Levels(kind(branching), list(given))
        assert growth.counts == counts and growth.depths == depths
        assert growth.sizes == [size for size in depths if size >= counts[0]]
        for size in counts:
            assert kind().set_params(**growth.own(size)).n_experts == size


def test_whole_levels_are_parted_and_pruned():
    X, y = pieces(100, 6)
    model = HierarchicalMixtureOfExpertsRegressor(3, 1, n_init=1, random_state=0).fit(X, y)
    growth = Levels(model, [3, 9])
    ((params, starts),) = growth.more(model, 9, Rows(X, y))
    assert params == {"branching": 3, "depth": 2} and starts.shape == (2, 100, 9)
    nine = clone(model).set_params(**params, init_params=starts).fit(X, y)
    ((params, starts),) = growth.fewer(nine, 3, Rows(X, y))
    resp = nine.responsibilities(X, y).reshape(100, 3, 3).sum(axis=2)
    assert params == {"branching": 3, "depth": 1}
    assert_allclose(starts[0], resp)
