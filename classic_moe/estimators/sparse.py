"""Sparse mixtures of experts: many experts, of which every row is sent to a few."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone

from ..gates import SoftmaxGate, TopKGate
from ..parts.checks import check, integer, one_of
from ..parts.registry import find
from ..routing._settings import as_router, most_kept, of_preset, says_nothing
from ..routing.presets import DEFAULTS
from ._blend_mixin import BlendClassifierMixin, BlendRegressorMixin
from ._routed_mixture import fit_routed, gate_of, is_routed, n_experts_of
from .classification import MixtureOfExpertsClassifier
from .regression import MixtureOfExpertsRegressor

SOFTMAX = "top_k"
"""The router that is a softmax gate."""
CLIMBS, TOL = 10, 1e-7
"""The searches of a mixture and the gain at which its EM ends, where these are None."""


class _Sparse:
    """`k` and `router` in place of a gate."""

    @property
    def gate(self) -> Any:
        """The gate that the router stands for."""
        return self._given_gate()

    @property
    def _is_routed(self):
        """Whether the parameters are those of a mixture that is trained with a router."""
        return not self._is_to_blend and is_routed(self)

    @property
    def _n_experts(self):
        if self._is_routed:
            return n_experts_of(self)
        return DEFAULTS["n_experts"] if self.n_experts is None else self.n_experts

    @property
    def _n_init(self):
        usual = 1 if self._is_to_blend else CLIMBS
        return usual if self.n_init is None else self.n_init

    @property
    def _tol(self):
        return TOL if self.tol is None else self.tol

    def _solved(self, problem, callback=None, then=None):
        """Return the `Fitted` of a problem, of a mixture with a router by minibatches."""
        if not self._is_routed:
            return super()._solved(problem, callback, then)
        with problem.batches:
            return fit_routed(self, problem, callback)

    def set_params(self, **params):
        """Set parameters; ``router__alpha=...`` on an alias first replaces it by its object.

        Parameters
        ----------
        **params : dict
            Names and values, nested names with two underscores.

        Returns
        -------
        self
        """
        if any(name.startswith("router__") for name in params):
            router = params.get("router", self.router)
            given = SimpleNamespace(**(vars(self) | params | dict(router=router)))
            routes = given.combine == "blend" or is_routed(given)
            if isinstance(router, str):
                if routes:  # the rest of a preset stays
                    params = of_preset(router, vars(given)) | params
                own = as_router(router, given.k) if routes else self._dense_gate(router)
                params["router"] = own
        return super().set_params(**params)

    def _dense_gate(self, router):
        """Return the gate of all experts that a router stands for; ValueError for none."""
        gate = SoftmaxGate() if isinstance(router, str) and router == SOFTMAX else None
        gate = find("gate", router) if gate is None else gate
        if gate is None:
            raise ValueError(
                f"router={router!r} is not known in this version; use 'top_k', or a gate of whose"
                " experts the k best are kept, such as 'gaussian' or TreeGate(depth=4)."
            )
        if gate.n_kept is not None:
            raise ValueError(
                f"router={router!r} keeps {gate.n_kept} experts itself; leave that to k."
            )
        return gate

    def _given_gate(self):
        if self._is_to_blend:
            return SoftmaxGate()
        self._check_mixture()
        if self._is_routed:
            return gate_of(self)
        k = most_kept(self._n_experts) if self.k is None else self.k
        check("k", k, integer(1))
        if k > self._n_experts:
            raise ValueError(
                f"k={k} experts cannot be kept of n_experts={self._n_experts}; use a smaller k"
                " or more experts."
            )
        gate = self._dense_gate(self.router)
        if "top_k" in gate.get_params(deep=False):
            return clone(gate).set_params(top_k=k)
        return TopKGate(gate, k)

    def _check_mixture(self):
        """ValueError for a parameter that only blends have, or a `combine` that is not known."""
        check("combine", self.combine, one_of(("mixture", "blend")))
        check("overflow", self.overflow, one_of(("drop", "next")))
        for name in ("n_shared", "hash_features"):
            value = vars(self)[name]
            if not says_nothing(name, value):
                raise ValueError(
                    f"{name}={value!r} belongs to combine='blend': the experts of a mixture are"
                    " those a row is sent to by its gate; leave it None, or set combine='blend'."
                )
        ours = dict(balance=None, capacity_factor=None, overflow="drop")
        given = [name for name in ours if not says_nothing(name, vars(self)[name])]
        if given and not self._is_routed:
            raise ValueError(
                f"{given[0]}={vars(self)[given[0]]!r} acts on the scores of a softmax gate in"
                f" minibatches, and router={self.router!r} is fitted otherwise; leave"
                f" {given[0]}={ours[given[0]]!r}, or use a TopKRouter."
            )

    def route(self, X):
        """Which experts a row is sent to, and with which weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        scipy.sparse.csr_array of shape (n, K)
            The gating probabilities g_k(x) of the kept experts, k in every row, which sum to 1;
            columns in the order of `experts_`.
        """
        X = self._check_X(X)
        say, k = self._reading(X), min(self._fitted.n_kept, self.n_experts_)
        found = self._by_rows(lambda X: np.hstack(say.kept(X, k)), X, rows=say.rows)
        experts, weight = found[:, :k].astype(np.int64), found[:, k:]
        order = np.argsort(experts, axis=1)
        experts, weight = (np.take_along_axis(a, order, axis=1) for a in (experts, weight))
        stored = np.ones(weight.shape, dtype=bool)
        if "thresholds_" in vars(self):  # rows have as many experts as want them
            stored = weight > 0
        ends = np.append(0, np.cumsum(stored.sum(axis=1)))
        return csr_array((weight[stored], experts[stored], ends), (len(weight), self.n_experts_))


class SparseMixtureOfExpertsRegressor(BlendRegressorMixin, _Sparse, MixtureOfExpertsRegressor):
    r"""Sparse mixture of experts for regression: a row is sent to k of K experts.

    .. math:: p(y \mid x) = \sum_{i \in S(x)} \tilde g_i(x)\, p_i(y \mid x), \qquad
       \tilde g_i(x) = \frac{g_i(x)}{\sum_{j \in S(x)} g_j(x)}

    S(x) are the k experts with the largest g_i(x), so this is a density as any other mixture: its
    likelihood, AIC and BIC, responsibilities and predictive distributions mean what they mean
    everywhere, and all of them are of this density. What is not kept is not evaluated: of costly
    experts such as networks the time of a prediction grows with k and not with K, and so it does of
    lines in a tree, ``router=TreeGate(depth=6)``; with lines and the flat gate, which itself is K
    products, little is saved.

    The fit is that of the dense mixture, by EM, and then a tuning for k that never ends below where
    it began; `classic_moe.gates.TopKGate` says how, and what k = 1 means.
    `classic_moe.routing.top_k_report` says what a k costs, for any fitted mixture. Exactly
    ``MixtureOfExpertsRegressor(n_experts, gate=SoftmaxGate(top_k=k))``, with a report of the loads.

    Parameters
    ----------
    n_experts : int, default=None
        Number of experts K; None is 16, or what the preset says.
    k : int, default=None
        Experts of a row, from 1 to K; K is the dense mixture. None is 2, or what the preset or the
        router says. Routers of rules that know no k take none.
    router : str, BaseGate or BaseRouter, default="top_k"
        Of a mixture, the gate of whose experts the k best are kept: "top_k" is the softmax gate,
        others are those of `MixtureOfExpertsRegressor`; or a `TopKRouter`, an `ExpertChoiceRouter`
        or a preset's name, with which the mixture is trained on minibatches (see Notes). Of a
        blend, "top_k", "balanced_assignment", "random", "sampled", a preset's name
        (`classic_moe.routing.PRESETS`) or an object from `classic_moe.routing`, whose own k then
        counts. ``router__alpha`` and so on are searchable.
    expert : str, BaseExpert, estimator or list, default="linear"
        As in `MixtureOfExpertsRegressor`. A blend adds up "linear" or "mlp" experts; their `alpha`
        counts, and their variances do not: there is one noise.
    combine : {"mixture", "blend"}, default="mixture"
        "mixture": the kept experts are mixed, as densities, and fitted by EM. "blend": their
        outputs are added up, f(x) = f_shared(x) + Σ w_i(x) f_i(x), and y has one normal noise
        around f(x); trained by gradients on minibatches. A blend has no responsibilities.
    n_shared : int, default=None
        Of a blend: experts that every row has, with weight 1. They make k = 1 work: a product of a
        weight and an expert can be traded against them. None is 0, or what the preset says.
    balance : None, "none", term or list of terms, default=None
        Of what is trained on minibatches: what evens out the loads, such as
        ``AuxiliaryLoss(0.01)`` or ``BiasBalancing()``. None is nothing, or what the preset says;
        "none" is nothing in any case. Equal loads are no aim in themselves; unused experts are a
        loss.
    capacity_factor : float, "none" or None, default=None
        Of what is trained on minibatches: an expert takes ceil(factor·k·n/K) rows of a batch of n
        there, at least for factor 1; "none": as many as come, and so is None but where the preset
        has a factor. It balances nothing, it discards.
    overflow : {"drop", "next"}, default="drop"
        Whether a pair without room is dropped, or the row goes to its next best expert.
    hash_features : column selector, default=None
        Of ``router="hash"``: the columns, of numbers, that say which expert a row has: ids, or
        categories that are coded.
    solver : str or BaseSolver, default="auto"
        As in `MixtureOfExpertsRegressor`, for the dense fit; `classic_moe.solvers.TruncatedEM` is
        one whose experts learn from a few rows each. Of a blend, and of a mixture with a router,
        balance terms or a capacity, "auto" (Adam at a rate that falls
        from 0.01 to 0 over 50 epochs, more of small data, at most `max_iter`), "adam", "sgd" or an
        object of these, whose learning rate and batch size count; it falls over `max_iter` epochs.
    tol : float, default=None
        As in `MixtureOfExpertsRegressor`, None being 1e-7; a blend takes none.
    n_init : int, default=None
        Of a mixture, the starts that are raced, None being 10. Of a blend, the trainings from other
        random numbers of which the one of the largest likelihood is shown, None being 1.
    init_params : str, callable, array, fitted estimator or dict, default="quantile"
        As in `MixtureOfExpertsRegressor`, and **sparse upcycling**: with a fitted estimator of one
        expert every expert begins as its copy, beside a random gate, so that the start predicts as
        the fit does. A blend takes nothing but these, scikit-learn's networks and linear models
        among them (in a ``FrozenEstimator`` where it is to be cloned), and its weights must sum to
        1 a row.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsRegressor`.
    assignment, gate_features, expert_features, offset_feature, max_iter
        As in `MixtureOfExpertsRegressor`.
    standardize, normalize_weights, warm_start, n_jobs, random_state, verbose
        As in `MixtureOfExpertsRegressor`.

    Attributes
    ----------
    k_ : int
        Experts of a row, where the rule has a number of them.
    expert_usage_ : ndarray of shape (K,)
        Share of every expert in the weight of all pairs of a row and an expert that it is sent to,
        of the rows of the fit; sums to 1.
    load_imbalance_ : float
        The largest of these over their mean, less 1: 0 where all experts have equally many rows.
    n_active_experts_ : int
        Experts with a share of at least a tenth of 1/K.
    kept_mass_ : float
        Mean over the rows of the fit of Σ g_i(x) over the kept experts, before they are
        renormalised: how little is left out.
    lower_bounds_ : ndarray of shape (1 + n_iter,)
        The penalised objective of the sparse density in the tuning, from the dense fit on; it never
        falls. With k = K, where there is nothing to tune, that of the fit.
    shared_experts_ : list
        Of a blend: the experts that every row has. Their predictions and those of `experts_`, times
        the weights of `route`, add up to `predict`, where weights sum to 1 or experts are shared.
        With a `BudgetLoss` the weights of `route` sum to its G(x), and the shared experts count
        1 - G(x).
    router_, n_shared_, balance_, capacity_factor_
        Of a blend: what these parameters stood for, presets and defaults put in: a router, an int,
        a tuple of terms, and a float or None for no capacity.
    dropped_fraction_ : float
        Of what is trained on minibatches: the share of the pairs that the last epoch dropped.
    balance_curve_ : dict of ndarray
        Of what is trained on minibatches, an entry an epoch: "load" (epochs, K), the shares of the
        experts in the pairs kept, "load_imbalance", "dropped_fraction" and every loss by the name
        of its class.
    router_bias_, prices_, thresholds_ : ndarray of shape (K,)
        Of a rule that has them: biases of `BiasBalancing`, prices of a balanced assignment,
        least shares of expert choice, by which every row is routed in predictions.
    experts_, gate_, weights_, n_experts_, params_, log_likelihood_, starts_, n_iter_, converged_
        As in `MixtureOfExpertsRegressor`; `converged_` is about the dense fit. Of a blend
        `lower_bounds_` are the mean objective a row of every epoch, losses taken off, and
        `weights_` are `expert_usage_`.
    n_parameters_, n_features_in_, feature_names_in_, categories_
        As in `MixtureOfExpertsRegressor`.

    Notes
    -----
    Standard errors and `partial_fit` there are none: where S(x) jumps the likelihood does.

    **A mixture with a router.** Noise, balance terms, capacities, a bias and expert choice are
    rules for batches of rows. With any of them, or a router as an object, the likelihood of the
    mixture of the experts that a batch's rows are sent to is climbed by Adam, from the first start
    of `init_params`; rows without room are left out of their batch. What remains is a gate of
    single rows whose weights sum to 1, so the fit is a density as above: `log_likelihood_` and all
    that is reported are of it, and no balance term is part of them. `lower_bounds_` are the
    objective of every epoch as its batches went, losses taken off, which may fall. `n_init` and
    `tol` do not count. Shared experts of presets are left out, and presets with raw weights are
    refused.

    What a blend does with a batch of rows (noise, capacities, assignments) is of training alone: a
    row is predicted by itself, to the same bits in any batch. With several minibatches a row of
    weight 2 is not exactly two rows.

    References
    ----------
    Shazeer, N. et al. (2017). Outrageously large neural networks: the sparsely-gated
    mixture-of-experts layer. International Conference on Learning Representations.

    Komatsuzaki, A. et al. (2023). Sparse upcycling: training mixture-of-experts from dense
    checkpoints. International Conference on Learning Representations. arXiv:2212.05055.

    Examples
    --------
    >>> from classic_moe import SparseMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> X, y = make_voronoi_pieces(600, n_pieces=6, random_state=0)
    >>> model = SparseMixtureOfExpertsRegressor(6, k=2, n_init=2, random_state=0).fit(X, y)
    >>> model.route(X).shape, model.route(X).nnz
    ((600, 6), 1200)
    >>> bool(model.kept_mass_ > 0.9)
    True

    A blend as of the Switch transformer, with a shared network:

    >>> from classic_moe.experts import MLPExpert
    >>> options = dict(router="switch", combine="blend", expert=MLPExpert((4,)))
    >>> blend = SparseMixtureOfExpertsRegressor(6, **options, random_state=0).fit(X, y)
    >>> blend.route(X).nnz, len(blend.shared_experts_)
    (600, 1)
    """

    def __init__(
        self,
        n_experts=None,
        *,
        k=None,
        router="top_k",
        expert="linear",
        combine="mixture",
        n_shared=None,
        balance=None,
        capacity_factor=None,
        overflow="drop",
        solver="auto",
        assignment="soft",
        gate_features=None,
        expert_features=None,
        offset_feature=None,
        categorical_features=None,
        hash_features=None,
        max_iter=500,
        tol=None,
        n_init=None,
        init_params="quantile",
        standardize=True,
        normalize_weights=False,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_experts = n_experts
        self.k = k
        self.router = router
        self.expert = expert
        self.combine = combine
        self.n_shared = n_shared
        self.balance = balance
        self.capacity_factor = capacity_factor
        self.overflow = overflow
        self.solver = solver
        self.assignment = assignment
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.offset_feature = offset_feature
        self.categorical_features = categorical_features
        self.hash_features = hash_features
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


class SparseMixtureOfExpertsClassifier(BlendClassifierMixin, _Sparse, MixtureOfExpertsClassifier):
    """Sparse mixture of experts for classification: a row is sent to k of K experts.

    As `SparseMixtureOfExpertsRegressor`, of which the documentation says the rest; exactly
    ``MixtureOfExpertsClassifier(n_experts, gate=SoftmaxGate(top_k=k))``, with a report of the
    loads.

    Parameters
    ----------
    n_experts : int, default=None
        Number of experts K; None is 16, or what the preset says.
    k : int, default=None
        Experts of a row, from 1 to K; None is 2, or what the preset or the router says.
    router : str, BaseGate or BaseRouter, default="top_k"
        As in `SparseMixtureOfExpertsRegressor`.
    expert : str, BaseExpert, estimator or list, default="softmax"
        As in `MixtureOfExpertsClassifier`; a blend adds up "softmax", "linear" or "mlp" experts.
    combine : {"mixture", "blend"}, default="mixture"
        Whether the kept experts are mixed, as densities, or their outputs added up, under one
        softmax.
    class_weight : dict, "balanced" or None, default=None
        As in `MixtureOfExpertsClassifier`.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsClassifier`.
    n_shared, balance, capacity_factor, overflow, solver, assignment, gate_features, \
expert_features, offset_feature, hash_features, max_iter, tol, n_init, init_params, standardize, \
normalize_weights, warm_start, n_jobs, random_state, verbose
        As in `SparseMixtureOfExpertsRegressor`.

    Attributes
    ----------
    k_, expert_usage_, load_imbalance_, n_active_experts_, kept_mass_, lower_bounds_
        As of `SparseMixtureOfExpertsRegressor`.
    router_, n_shared_, balance_, capacity_factor_
        As of `SparseMixtureOfExpertsRegressor`.
    shared_experts_, dropped_fraction_, balance_curve_, router_bias_, prices_, thresholds_
        As of `SparseMixtureOfExpertsRegressor`.
    experts_, gate_, classes_, weights_, n_experts_, params_, log_likelihood_, starts_, n_iter_
        As in `MixtureOfExpertsClassifier`.
    converged_, n_parameters_, n_features_in_, feature_names_in_, categories_
        As in `MixtureOfExpertsClassifier`.

    Examples
    --------
    >>> from classic_moe import SparseMixtureOfExpertsClassifier
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> from classic_moe.experts import SoftmaxExpert
    >>> X, y = make_voronoi_pieces(300, n_pieces=3, noise=3.0, random_state=0)
    >>> expert = SoftmaxExpert(alpha=10.0)
    >>> model = SparseMixtureOfExpertsClassifier(3, expert=expert, n_init=1, random_state=0)
    >>> model.fit(X, y > 0).route(X).nnz
    600
    """

    def __init__(
        self,
        n_experts=None,
        *,
        k=None,
        router="top_k",
        expert="softmax",
        combine="mixture",
        n_shared=None,
        balance=None,
        capacity_factor=None,
        overflow="drop",
        class_weight=None,
        solver="auto",
        assignment="soft",
        gate_features=None,
        expert_features=None,
        offset_feature=None,
        categorical_features=None,
        hash_features=None,
        max_iter=500,
        tol=None,
        n_init=None,
        init_params="quantile",
        standardize=True,
        normalize_weights=False,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_experts = n_experts
        self.k = k
        self.router = router
        self.expert = expert
        self.combine = combine
        self.n_shared = n_shared
        self.balance = balance
        self.capacity_factor = capacity_factor
        self.overflow = overflow
        self.class_weight = class_weight
        self.solver = solver
        self.assignment = assignment
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.offset_feature = offset_feature
        self.categorical_features = categorical_features
        self.hash_features = hash_features
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
