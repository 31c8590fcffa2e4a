"""`MixtureOfSoftmaxesClassifier`."""

from __future__ import annotations

import warnings

from ..experts import ReducedRankSoftmaxExpert
from ..experts.reduced_rank import default_rank
from ..gates import SoftmaxGate
from ._outside import level_outside
from .classification import MixtureOfExpertsClassifier


class MixtureOfSoftmaxesClassifier(MixtureOfExpertsClassifier):
    r"""Mixture of softmaxes: several softmaxes of few features share one output matrix [1]_.

    .. math:: P(y = c \mid x) = \sum_{k=1}^{K} g_k(x)\, \mathrm{softmax}(W h_k(x) + b)_c,
       \qquad h_k(x) = \tanh(U_k x + u_k) \in \mathbb{R}^d

    For many classes and few features. One softmax of d features has a table of log-probabilities,
    rows of x by classes, of rank d + 2 at most, which no number of rows overcomes: the softmax
    bottleneck. A mixture of several has full rank, for a few more parameters, as W (C, d), by far
    the largest matrix, is shared. With few classes there is no bottleneck, and
    `MixtureOfExpertsClassifier` is the model to take.

    Parameters
    ----------
    n_components : int, default=3
        Number of softmaxes K. One is a softmax of `rank` features, with the same code.
    rank : int, default=None
        Features d of each softmax. None: C - 2 for C classes, but 10 at most and 1 at least.
    activation : {"tanh", "identity"}, default="tanh"
        The function that makes the features.
    alpha : float, default=1e-3
        Ridge penalty ½·alpha·Σ‖w‖² on all weights of features, softmaxes and gate but their
        intercepts, in standardised units. 0 is maximum likelihood, which separated classes do not
        have.
    class_weight : dict, "balanced" or None, default=None
        Factors of the weights of the rows of every class.
    solver : str or BaseSolver, default="lbfgs"
        As in `MixtureOfExpertsClassifier`. The M-step of EM is a few iterations of L-BFGS itself,
        so that L-BFGS for all parameters at once is quicker.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsClassifier`.
    max_iter, tol : as in `MixtureOfExpertsClassifier`
        Most iterations, and what may be left to gain a unit of weight.
    n_init : int, default=3
        Number of starts, at most, as in `MixtureOfExpertsClassifier`. With one component there is
        one start.
    init_params, standardize, normalize_weights, warm_start, n_jobs, random_state, verbose
        As in `MixtureOfExpertsClassifier`.

    Attributes
    ----------
    experts_ : list of views
        One per softmax: ``coefs_`` is [U_kᵀ (p, d), Wᵀ (d, C)] and ``intercepts_`` [u_k (d,),
        b (C,)], log-odds against the last class, as of a network; of two classes one column.
    gate_, classes_, weights_, n_experts_, params_, log_likelihood_, lower_bounds_
        As in `MixtureOfExpertsClassifier`, of which this is a preset.
    learning_curve_, starts_, n_iter_, converged_, n_parameters_
        As in `MixtureOfExpertsClassifier`, of which this is a preset.
    n_features_in_, feature_names_in_, categories_
        As there.

    Warns
    -----
    UserWarning
        For a `rank` of C - 1 or more, which is no bottleneck.
    ConvergenceWarning
        When `max_iter` is reached.

    Notes
    -----
    W and U_k are determined up to signs and the order of the features, with ``"identity"`` up to a
    linear map of them; there are no standard errors. A table of counts is given as a row for each x
    and class, with the count as its `sample_weight`; rows of one x that follow one another are then
    computed once.

    References
    ----------
    .. [1] Yang, Z., Dai, Z., Salakhutdinov, R. & Cohen, W. W. (2018). Breaking the softmax
       bottleneck: a high-rank RNN language model. International Conference on Learning
       Representations.

    Examples
    --------
    >>> from classic_moe import MixtureOfSoftmaxesClassifier
    >>> from classic_moe.datasets import make_softmax_bottleneck
    >>> words = make_softmax_bottleneck(60, n_classes=12, rank=2, random_state=0)
    >>> rows = words.data, words.target, words.weight
    >>> options = dict(rank=2, tol=1e-5, random_state=0)
    >>> one = MixtureOfSoftmaxesClassifier(1, **options).fit(*rows)
    >>> three = MixtureOfSoftmaxesClassifier(3, **options).fit(*rows)
    >>> bool(three.log_likelihood_ > one.log_likelihood_ + 500)
    True
    >>> [coef.shape for coef in three.experts_[0].coefs_]
    [(5, 2), (2, 12)]
    """

    _size_name = "n_components"
    assignment = "soft"
    gate_features = expert_features = offset_feature = None

    def __init__(
        self,
        n_components=3,
        *,
        rank=None,
        activation="tanh",
        alpha=1e-3,
        class_weight=None,
        solver="lbfgs",
        categorical_features=None,
        max_iter=500,
        tol=1e-7,
        n_init=3,
        init_params="quantile",
        standardize=True,
        normalize_weights=False,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.rank = rank
        self.activation = activation
        self.alpha = alpha
        self.class_weight = class_weight
        self.solver = solver
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

    @property
    def _n_experts(self):
        return self.n_components

    @property
    def _given_size(self):
        return f"n_components={self.n_components}"

    def _size_for(self, n):
        return f"n_components={n}"

    def _given_expert(self):
        return ReducedRankSoftmaxExpert(self.rank, self.activation, self.alpha)

    def _given_gate(self):
        return SoftmaxGate(alpha=self.alpha)

    def _race_options(self, problem, callback):
        # One softmax of features that are fitted is no problem of a few steps.
        return super()._race_options(problem, callback) | dict(tol=self.tol)

    def _solved(self, problem, callback=None, then=None):
        C = len(problem.labels)
        if self.rank is not None and self.rank >= C - 1 and self.rank > default_rank(C):
            warnings.warn(
                f"rank={self.rank} is no bottleneck for {C} classes, of which softmaxes have rank"
                f" {C - 1} at most; use a smaller rank, or MixtureOfExpertsClassifier.",
                UserWarning,
                stacklevel=level_outside(),
            )
        return super()._solved(problem, callback, then)
