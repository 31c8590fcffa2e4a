"""Adaptive mixtures of local experts, as in 1991: presets of the mixture estimators."""

from __future__ import annotations

from .classification import MixtureOfExpertsClassifier
from .regression import MixtureOfExpertsRegressor


class AdaptiveLocalExpertsRegressor(MixtureOfExpertsRegressor):
    """Adaptive mixture of local experts for regression, by gradient ascent [1]_.

    `MixtureOfExpertsRegressor` with the training of 1991: the paper's batch gradient, and its three
    error functions, each the negative of an objective that is climbed. With y standardised, experts
    of unit variance and d for y, o_i for the experts' means, p_i for the gate they are

    .. math::
       E &= \\Bigl| d - \\sum_i p_i o_i \\Bigr|^2 && (1.1)\\quad \\text{"blended\\_error"} \\\
       E &= \\sum_i p_i\\, | d - o_i |^2 && (1.2)\\quad \\text{"expected\\_error"} \\\
       E &= -\\log \\sum_i p_i\\, e^{-\\frac12 | d - o_i |^2} && (1.3)\\quad \\text{"likelihood"}

    Under (1.1) the experts cooperate: each makes up for what the others leave, and all of them work
    on every row. Under (1.2) an expert learns from a row as far as the gate gives it the row. Under
    (1.3) it learns as far as it did better than the others: competition, which makes experts
    specialise. `AdaptiveLocalExpertsClassifier` does the same for classes.

    Parameters
    ----------
    n_experts : int, default=2
        Number of experts K.
    expert : str, BaseExpert, estimator or list, default="linear"
        As in `MixtureOfExpertsRegressor`. The paper's are linear with unit variance,
        ``LinearExpert(variance=1.0)``, or ignore x, ``GaussianExpert(variance=1.0)``; ``"linear"``
        estimates a variance for each expert, ``"mlp"`` is a small network. A black box of
        scikit-learn has no gradient, unless it is frozen.
    objective : {"likelihood", "expected_error", "blended_error"}, default="likelihood"
        (1.3), (1.2) or (1.1), for any experts: in (1.3) and (1.2) their own log density stands for
        -½\\|d - o_i\\|²; (1.1) takes their means alone, and leaves their variances where the fit
        starts.
    solver : str or BaseSolver, default="gradient"
        "gradient" (batch gradient ascent whose learning rates adapt;
        `classic_moe.solvers.GradientAscent` with a number has the paper's fixed step), "lbfgs",
        "adam", "sgd"; for the likelihood also "em", "auto" and the others of
        `MixtureOfExpertsRegressor`.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsRegressor`.
    gate, assignment, gate_features, expert_features, offset_feature, max_iter, tol, n_init, \
init_params, standardize, normalize_weights, warm_start, n_jobs, random_state, verbose
        As in `MixtureOfExpertsRegressor`.

    Attributes
    ----------
    lower_bounds_ : ndarray of shape (iterations + 1,)
        The penalised objective from the start on: the log-likelihood, the expected log-likelihood,
        both in the caller's units, or -½ Σ w \\|y - f\\|², w being the sample weights. That is no
        density and has no units to be shifted to: each output is in units of its standard
        deviation for experts that scale y (linear, mlp and others for real numbers, without a
        fixed variance), else as it is.
    weights_ : ndarray of shape (K,)
        Mean responsibilities; under the two errors, where there are none, mean gating
        probabilities.
    experts_, gate_, n_experts_, params_, log_likelihood_, starts_, n_iter_, converged_, \
n_parameters_, n_features_in_, feature_names_in_, categories_
        As in `MixtureOfExpertsRegressor`. Under the two errors there is no `log_likelihood_`.

    Notes
    -----
    Under ``"expected_error"`` and ``"blended_error"`` there is no likelihood of a mixture, so
    `log_prob`, `responsibilities`, `aic`, `bic`, `icl`, `predict_dist` and `sample` do not exist,
    and `fit` takes neither `groups` nor `expert_labels`.

    References
    ----------
    .. [1] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.

    Examples
    --------
    >>> from classic_moe import AdaptiveLocalExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> X, y = make_piecewise_regression(300, n_pieces=2, random_state=0)
    >>> options = dict(n_init=1, solver="lbfgs", random_state=0)
    >>> compete = AdaptiveLocalExpertsRegressor(2, **options).fit(X, y)
    >>> cooperate = AdaptiveLocalExpertsRegressor(2, objective="blended_error", **options).fit(X, y)
    >>> hasattr(compete, "responsibilities"), hasattr(cooperate, "responsibilities")
    (True, False)
    """

    def __init__(
        self,
        n_experts=2,
        *,
        expert="linear",
        objective="likelihood",
        gate="softmax",
        solver="gradient",
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
        self.n_experts = n_experts
        self.expert = expert
        self.objective = objective
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


class AdaptiveLocalExpertsClassifier(MixtureOfExpertsClassifier):
    """Adaptive mixture of local experts for classification, by gradient ascent [1]_.

    `MixtureOfExpertsClassifier` with the training and the three error functions of 1991; see
    `AdaptiveLocalExpertsRegressor`. The paper's experts are linear, one output a class, with y
    one-hot: ``expert="linear"``, or ``LinearExpert(variance=1.0)`` for its unit variance. With the
    default, softmax experts, (1.2) and (1.3) are of the probability of the class, and (1.1) blends
    the experts' class probabilities.

    Parameters
    ----------
    n_experts : int, default=2
        Number of experts K.
    expert : str, BaseExpert, estimator or list, default="softmax"
        As in `MixtureOfExpertsClassifier`.
    objective : {"likelihood", "expected_error", "blended_error"}, default="likelihood"
        (1.3), (1.2) or (1.1) of the paper, as in `AdaptiveLocalExpertsRegressor`.
    class_weight : dict, "balanced" or None, default=None
        As in `MixtureOfExpertsClassifier`.
    solver : str or BaseSolver, default="gradient"
        As in `AdaptiveLocalExpertsRegressor`.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsClassifier`.
    gate, assignment, gate_features, expert_features, offset_feature, max_iter, tol, n_init, \
init_params, standardize, normalize_weights, warm_start, n_jobs, random_state, verbose
        As in `MixtureOfExpertsClassifier`.

    Attributes
    ----------
    lower_bounds_ : ndarray of shape (iterations + 1,)
        The penalised objective from the start on: the log-likelihood (for experts for numbers: the
        log density of the one-hot codes), the expected one, or -½ Σ w \\|y - f\\|² with y one-hot
        and w the weights, those of the classes included.
    weights_ : ndarray of shape (K,)
        Mean responsibilities; under the two errors mean gating probabilities.
    experts_, gate_, classes_, n_experts_, params_, log_likelihood_, starts_, n_iter_, \
converged_, n_parameters_, n_features_in_, feature_names_in_, categories_
        As in `MixtureOfExpertsClassifier`. Under the two errors there is no `log_likelihood_`.

    Notes
    -----
    `predict_proba` is Σ_k g_k(x) p_k(c|x). For experts for numbers p_k is the density at the code
    of a class, and the sum is normalised over the classes, as in `MixtureOfExpertsClassifier`;
    under ``"blended_error"`` there is no density, and it is the softmax of the blended outputs: the
    order of the classes is theirs, the numbers are no estimates of probabilities.

    Under ``"expected_error"`` and ``"blended_error"`` there is no likelihood of a mixture, so
    `log_prob`, `responsibilities`, `aic`, `bic`, `icl` and `sample` do not exist, and `fit` takes
    neither `groups` nor `expert_labels`.

    References
    ----------
    .. [1] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from classic_moe import AdaptiveLocalExpertsClassifier
    >>> from classic_moe.experts import LinearExpert
    >>> X, y = make_moons(200, noise=0.2, random_state=0)
    >>> expert = LinearExpert(variance=0.1)
    >>> options = dict(n_init=1, solver="lbfgs", random_state=0)
    >>> model = AdaptiveLocalExpertsClassifier(3, expert=expert, **options).fit(X, y)
    >>> model.predict_proba(X[:2]).shape, model.predict_experts(X[:2]).shape
    ((2, 2), (2, 3, 2))
    """

    def __init__(
        self,
        n_experts=2,
        *,
        expert="softmax",
        objective="likelihood",
        class_weight=None,
        gate="softmax",
        solver="gradient",
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
        self.n_experts = n_experts
        self.expert = expert
        self.objective = objective
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
