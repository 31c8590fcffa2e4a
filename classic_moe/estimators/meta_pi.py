"""Meta-Pi: experts trained each on its own, and a gate that learns to blend what they say."""

from __future__ import annotations

from ._meta_pi_mixin import MetaPiMixin
from .classification import MixtureOfExpertsClassifier
from .regression import MixtureOfExpertsRegressor


class MetaPiRegressor(MetaPiMixin, MixtureOfExpertsRegressor):
    r"""Meta-Pi regressor: a gate blends the outputs of experts that were trained apart [1]_.

    .. math:: f(x) = \sum_k g_k(x)\, f_k(x), \qquad \min_g \sum_t |y_t - f(x_t)|^2

    First every expert is fitted to its own rows. Then the experts stay as they are and the gate is
    trained by gradient on all rows, by the squared error of the blend; it is not told which rows
    are whose. So it finds out by itself who knows about a new x, be it one expert or several of
    them together. `MetaPiClassifier` says more, and does the same for classes.

    Parameters
    ----------
    experts : list, or a bank of experts
        Estimators of scikit-learn, plain or as (name, estimator) pairs, whose parameters can be set
        and searched, as ``name__alpha``. They are cloned and fitted to their rows, see `fit`; a
        `sklearn.frozen.FrozenEstimator` is used as it was fitted. Experts of the package among
        them, such as ``LinearExpert()``, are trained together with the gate, as is a whole bank,
        ``MLPExpert()`` or ``"linear"``, of `n_experts` experts in place of a list.
    n_experts : int, default=None
        The number of experts of a bank; that of a list is its length.
    gate : str or BaseGate, default="softmax"
        As in `MixtureOfExpertsRegressor`, but for black boxes: it is trained by gradient.
    per_output : bool, default=False
        Whether each output has a gate of its own, with parameters of its own.
    solver : str or BaseSolver, default="lbfgs"
        "lbfgs", "gradient", "adam", "sgd", or an object.
    gate_features, expert_features : column selector, default=None
        The columns of X that the gate or the experts see, as in `MixtureOfExpertsRegressor`.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsRegressor`.
    max_iter : int, default=500
        Most iterations of the gate's training.
    tol : float, default=1e-7
        Stop when no more than this is to be gained, a unit of weight, in -½ \|y - f\|² with y in
        units of its standard deviations.
    n_init : int, default=3
        Number of starts, at most, of experts that are trained together with the gate.
        With none of these there is one start, a gate that gives all experts equal shares.
    standardize : bool, default=True
        Whether the gate's penalty acts on X in units of its standard deviations. Estimators see X
        as it is.
    normalize_weights : bool, default=False
        Whether sample weights, those of classes included, are scaled to sum to the number of rows
        of positive weight.
    n_jobs : int, default=None
        Threads; None means 1, -1 all cores.
    random_state : int, RandomState or None, default=None
        For the starts, and for the random states of the experts.
    verbose : int, default=0
        1 prints how the fit ends and, once it has taken two seconds, now and then where it is;
        2 every iteration and start.

    Attributes
    ----------
    experts_ : list of views
        One per expert, in the order of the list; ``estimator_`` is the fitted estimator, frozen.
    gate_ : view
        ``coef_`` (K, p) and ``intercept_`` (K,): log-odds against the last expert. With
        `per_output` ``outputs_``, a list of such views.
    weights_ : ndarray of shape (K,)
        Mean gating probabilities.
    lower_bounds_ : ndarray of shape (iterations + 1,)
        -½ Σ \|y - f\|² with y in units of its standard deviations, less the gate's penalty, from
        the start on.
    n_experts_, params_, n_iter_, converged_, n_parameters_
        As in `MixtureOfExpertsRegressor`.
    n_features_in_, feature_names_in_, categories_
        As there.
    starts_ : dict of ndarray
        As there.

    Notes
    -----
    It is `AdaptiveLocalExpertsRegressor` with ``objective="blended_error"`` and frozen experts. A
    squared error is no likelihood: `predict`, `predict_experts`, `gate_proba` and `assign` are
    there, `log_prob` and what rests on it are not.

    References
    ----------
    .. [1] Hampshire, J. B. & Waibel, A. (1992). The Meta-Pi network: building distributed knowledge
       representations for robust multisource pattern recognition. IEEE Transactions on Pattern
       Analysis and Machine Intelligence 14, 751-769.

    Examples
    --------
    Two lines, each fitted where it holds; the gate learns where that is.

    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from classic_moe import MetaPiRegressor
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> y = np.abs(X[:, 0])
    >>> model = MetaPiRegressor([LinearRegression(), LinearRegression()])
    >>> model = model.fit(X, y, expert_groups=(X[:, 0] > 0).astype(int))
    >>> model.assign([[-0.5], [0.5]])
    array([0, 1])
    """

    def __init__(
        self,
        experts,
        *,
        n_experts=None,
        gate="softmax",
        per_output=False,
        solver="lbfgs",
        gate_features=None,
        expert_features=None,
        categorical_features=None,
        max_iter=500,
        tol=1e-7,
        n_init=3,
        standardize=True,
        normalize_weights=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.experts = experts
        self.n_experts = n_experts
        self.gate = gate
        self.per_output = per_output
        self.solver = solver
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.categorical_features = categorical_features
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.standardize = standardize
        self.normalize_weights = normalize_weights
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _separate(self):
        return self.per_output


class MetaPiClassifier(MetaPiMixin, MixtureOfExpertsClassifier):
    r"""Meta-Pi classifier: a gate blends the outputs of classifiers that were trained apart [1]_.

    .. math:: f_c(x) = \sum_k g_k(x)\, f_{kc}(x), \qquad \min_g \sum_t \sum_c |y_{tc} - f_c(x_t)|^2

    In the paper every expert is a network trained on the speech of one speaker, and f_k are its
    outputs; here they are any classifier's probabilities. The experts stay as they are, and the
    gate is trained by gradient on the rows of all speakers, y one-hot, by the squared error of the
    blend. It is not told who speaks. So it learns to find the expert that knows about x, or to
    blend several where none does: the paper reports of a speaker recognised by the others' experts
    alone.

    Parameters
    ----------
    experts : list, or a bank of experts
        Estimators of scikit-learn, plain or as (name, estimator) pairs, whose parameters can be set
        and searched, as ``name__C``. They are cloned and fitted to their rows, see `fit`; a
        `sklearn.frozen.FrozenEstimator` is used as it was fitted. A class that an expert has no
        rows of gets probability 0 from it (1e-12). Regressors are fitted to one-hot y. Experts of
        the package among them, such as ``SoftmaxExpert()``, are trained together with the gate, as
        is a whole bank, ``MLPExpert()`` or ``"softmax"``, of `n_experts` experts in place of a
        list.
    n_experts : int, default=None
        The number of experts of a bank; that of a list is its length.
    class_weight : dict, "balanced" or None, default=None
        Factors of the weights of the rows of every class, for the experts and the gate.
    gate : str or BaseGate, default="softmax"
        As in `MixtureOfExpertsClassifier`, but for black boxes: it is trained by gradient.
    per_class : bool, default=False
        Whether each class has a gate of its own, g_kc in place of g_k, so that an expert can be
        believed about one class and not about another. `gate_proba` is (n, K, C) then.
    solver : str or BaseSolver, default="lbfgs"
        "lbfgs", "gradient", "adam", "sgd", or an object.
    gate_features, expert_features : column selector, default=None
        The columns of X that the gate or the experts see, as in `MixtureOfExpertsClassifier`.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsClassifier`.
    max_iter : int, default=500
        Most iterations of the gate's training.
    tol : float, default=1e-7
        Stop when no more than this is to be gained, a unit of weight, in -½ \|y - f\|².
    n_init : int, default=3
        Number of starts, at most, of experts that are trained together with the gate.
        With none of these there is one start, a gate that gives all experts equal shares.
    standardize : bool, default=True
        Whether the gate's penalty acts on X in units of its standard deviations. Estimators see X
        as it is.
    normalize_weights : bool, default=False
        Whether sample weights, those of classes included, are scaled to sum to the number of rows
        of positive weight.
    n_jobs : int, default=None
        Threads; None means 1, -1 all cores.
    random_state : int, RandomState or None, default=None
        For the starts, and for the random states of the experts.
    verbose : int, default=0
        1 prints how the fit ends and, once it has taken two seconds, now and then where it is;
        2 every iteration and start.

    Attributes
    ----------
    experts_ : list of views
        One per expert, in the order of the list; ``estimator_`` is the fitted estimator, frozen,
        and `predict_proba` gives its probabilities of all classes.
    gate_ : view
        ``coef_`` (K, p) and ``intercept_`` (K,): log-odds against the last expert. With `per_class`
        ``outputs_``, a list of such views.
    classes_ : ndarray of shape (C,)
        The labels, sorted.
    weights_ : ndarray of shape (K,)
        Mean gating probabilities.
    lower_bounds_ : ndarray of shape (iterations + 1,)
        -½ Σ \|y - f\|², less the gate's penalty, from the start on.
    n_experts_, params_, n_iter_, converged_, n_parameters_
        As in `MixtureOfExpertsClassifier`.
    n_features_in_, feature_names_in_, categories_
        As there.
    starts_ : dict of ndarray
        As there.

    Notes
    -----
    It is `AdaptiveLocalExpertsClassifier` with ``objective="blended_error"`` and frozen experts. A
    squared error is no likelihood: `predict`, `predict_proba` (the blend), `predict_experts`,
    `gate_proba` and `assign` are there, `log_prob` and what rests on it are not.

    Experts see the rows they were fitted to once more when the gate is trained. Those that know
    these by heart, such as deep trees, look better there than they are: leave rows out for the
    gate, by fitting the experts beforehand and freezing them.

    References
    ----------
    .. [1] Hampshire, J. B. & Waibel, A. (1992). The Meta-Pi network: building distributed knowledge
       representations for robust multisource pattern recognition. IEEE Transactions on Pattern
       Analysis and Machine Intelligence 14, 751-769.

    Examples
    --------
    Five of six speakers have an expert; the gate is told nothing of who speaks.

    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from classic_moe import MetaPiClassifier
    >>> from classic_moe.datasets import make_six_speakers
    >>> X, y, speaker = make_six_speakers(100, random_state=0)
    >>> experts = [(name, LogisticRegression()) for name in ("f1", "f2", "m1", "m2", "m3")]
    >>> groups = np.where(speaker == "m4", "-1", speaker)
    >>> model = MetaPiClassifier(experts, expert_features=[1, 2])
    >>> model = model.fit(X, y, expert_groups=groups)
    >>> one = LogisticRegression().fit(X, y)
    >>> bool(model.score(X, y) > one.score(X, y) + 0.2)
    True
    >>> bool(model.gate_proba(X[speaker == "m4"])[:, 2:].sum(axis=1).mean() > 0.95)
    True
    """

    def __init__(
        self,
        experts,
        *,
        n_experts=None,
        class_weight=None,
        gate="softmax",
        per_class=False,
        solver="lbfgs",
        gate_features=None,
        expert_features=None,
        categorical_features=None,
        max_iter=500,
        tol=1e-7,
        n_init=3,
        standardize=True,
        normalize_weights=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.experts = experts
        self.n_experts = n_experts
        self.class_weight = class_weight
        self.gate = gate
        self.per_class = per_class
        self.solver = solver
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.categorical_features = categorical_features
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.standardize = standardize
        self.normalize_weights = normalize_weights
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    _separate_name = "per_class"

    @property
    def _separate(self):
        return self.per_class
