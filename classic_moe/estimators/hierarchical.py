"""Hierarchical mixtures of experts: the same mixtures, with a tree of gates."""

from __future__ import annotations

from ..gates import TreeGate
from .classification import MixtureOfExpertsClassifier
from .regression import MixtureOfExpertsRegressor


class _Hierarchy:
    """`branching` and `depth` in place of `n_experts` and of a tree given as the gate."""

    @property
    def n_experts(self) -> int:
        """Leaves of the tree."""
        try:
            return self._n_experts
        except ValueError as error:  # of a property only this is expected, by hasattr
            raise AttributeError(str(error)) from None

    @property
    def _n_experts(self):
        return self._given_gate().n_experts

    @property
    def _given_size(self):
        return f"branching={self.branching!r}, depth={self.depth!r} ({self._n_experts} leaves)"

    def _size_for(self, n):
        return "branching and depth for as many leaves"

    def _given_gate(self):
        return TreeGate(self.gate, self.branching, self.depth)


class HierarchicalMixtureOfExpertsRegressor(_Hierarchy, MixtureOfExpertsRegressor):
    """Hierarchical mixture of experts for regression [1]_.

    .. math:: p(y \\mid x) = \\sum_i g_i(x) \\sum_j g_{j|i}(x)\\, p_{ij}(y \\mid x)
       \\qquad\\text{(two levels)}

    Exactly ``MixtureOfExpertsRegressor(n, gate=TreeGate(gate, branching, depth))`` with n leaves,
    fitted by the same EM: the tree is in the gate. For an unbalanced tree or for pruned
    predictions, pass a `TreeGate` to that class.

    Parameters
    ----------
    branching : int or sequence of int, default=2
        Children of a node; one number for all levels or one for each, from the root.
    depth : int, default=2
        Levels of gates. 1 is the flat mixture.
    expert : str, BaseExpert, estimator or list, default="linear"
        What stands at the leaves, as in `MixtureOfExpertsRegressor`.
    gate : str, BaseGate or scikit-learn classifier, default="softmax"
        What stands at the nodes.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsRegressor`.
    solver, assignment, gate_features, expert_features, offset_feature, max_iter, tol, n_init, \
init_params, standardize, normalize_weights, warm_start, n_jobs, random_state, verbose
        As in `MixtureOfExpertsRegressor`.

    Attributes
    ----------
    gate_ : view
        `nodes_`, {node id: view of the gate there}, and `children_`, {node id: [id of a node or
        number of an expert, ...]}. The root's id is "root", that of another node the way to it
        from the root: "0.1" is child 1 of child 0.
    experts_, weights_, n_experts_, params_, log_likelihood_, lower_bounds_, n_iter_, converged_, \
n_parameters_, n_features_in_, feature_names_in_, categories_
        As in `MixtureOfExpertsRegressor`. The children of every node stand in order of decreasing
        weight, and the experts as the leaves do, depth first.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.

    Examples
    --------
    >>> from classic_moe import HierarchicalMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = HierarchicalMixtureOfExpertsRegressor(depth=2, random_state=0).fit(X, y)
    >>> model.gate_.children_
    {'root': ['0', '1'], '0': [0, 1], '1': [2, 3]}
    >>> model.node_proba(X)["root"].shape
    (133, 2)
    """

    def __init__(
        self,
        branching=2,
        depth=2,
        *,
        expert="linear",
        gate="softmax",
        solver="auto",
        assignment="soft",
        gate_features=None,
        expert_features=None,
        offset_feature=None,
        categorical_features=None,
        max_iter=500,
        tol=1e-7,
        n_init=10,
        init_params="quantile",
        standardize=True,
        normalize_weights=False,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.branching = branching
        self.depth = depth
        self.expert = expert
        self.gate = gate
        self.solver = solver
        self.assignment = assignment
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.offset_feature = offset_feature
        self.categorical_features = categorical_features
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.init_params = init_params
        self.standardize = standardize
        self.normalize_weights = normalize_weights
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose


class HierarchicalMixtureOfExpertsClassifier(_Hierarchy, MixtureOfExpertsClassifier):
    """Hierarchical mixture of experts for classification [1]_.

    Exactly ``MixtureOfExpertsClassifier(n, gate=TreeGate(gate, branching, depth))`` with n leaves,
    fitted by the same EM: the tree is in the gate. For an unbalanced tree or for pruned
    predictions, pass a `TreeGate` to that class.

    Parameters
    ----------
    branching : int or sequence of int, default=2
        Children of a node; one number for all levels or one for each, from the root.
    depth : int, default=2
        Levels of gates. 1 is the flat mixture.
    expert : str, BaseExpert, estimator or list, default="softmax"
        What stands at the leaves, as in `MixtureOfExpertsClassifier`.
    class_weight : dict, "balanced" or None, default=None
        As in `MixtureOfExpertsClassifier`.
    gate : str, BaseGate or scikit-learn classifier, default="softmax"
        What stands at the nodes.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsClassifier`.
    solver, assignment, gate_features, expert_features, offset_feature, max_iter, tol, n_init, \
init_params, standardize, normalize_weights, warm_start, n_jobs, random_state, verbose
        As in `MixtureOfExpertsClassifier`.

    Attributes
    ----------
    gate_ : view
        `nodes_` and `children_`, as in `HierarchicalMixtureOfExpertsRegressor`.
    experts_, classes_, weights_, n_experts_, params_, log_likelihood_, lower_bounds_, n_iter_, \
converged_, n_parameters_, n_features_in_, feature_names_in_, categories_
        As in `MixtureOfExpertsClassifier`.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from classic_moe import HierarchicalMixtureOfExpertsClassifier
    >>> X, y = make_moons(300, noise=0.25, random_state=0)
    >>> model = HierarchicalMixtureOfExpertsClassifier(2, 2, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    def __init__(
        self,
        branching=2,
        depth=2,
        *,
        expert="softmax",
        class_weight=None,
        gate="softmax",
        solver="auto",
        assignment="soft",
        gate_features=None,
        expert_features=None,
        offset_feature=None,
        categorical_features=None,
        max_iter=500,
        tol=1e-7,
        n_init=10,
        init_params="quantile",
        standardize=True,
        normalize_weights=False,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.branching = branching
        self.depth = depth
        self.expert = expert
        self.class_weight = class_weight
        self.gate = gate
        self.solver = solver
        self.assignment = assignment
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.offset_feature = offset_feature
        self.categorical_features = categorical_features
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.init_params = init_params
        self.standardize = standardize
        self.normalize_weights = normalize_weights
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
