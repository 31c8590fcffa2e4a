"""Meta-Pi: experts trained each on its own, and a gate that learns to blend what they say."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import column_or_1d

from . import known
from .classification import MixtureOfExpertsClassifier
from .columns import resolve_columns
from .gates._per_output import PerOutputGate
from .parameters import check_parameters, peek, resolve
from .regression import MixtureOfExpertsRegressor


class _MetaPi(_BaseComposition):
    """Experts fitted alone, then a mixture of them under the blended error."""

    objective = "blended_error"
    assignment = "soft"
    offset_feature = None
    warm_start = False
    _frames = 6

    # -- parameters --------------------------------------------------------------------------

    @property
    def _listed(self):
        return isinstance(self.experts, (list, tuple))

    @property
    def _names(self):
        """Names of the experts; None for a plain list or a bank."""
        items = self.experts if self._listed else ()
        paired = all(isinstance(item, tuple) and len(item) == 2 for item in items)
        return [name for name, _ in items] if paired and items else None

    @property
    def _n_experts(self):
        """K of the next fit."""
        listed = self._listed and self.n_experts is None
        return len(self.experts) if listed else self.n_experts

    @property
    def init_params(self):
        """Where the gate starts: at equal shares, where the experts differ and stay so."""
        differ = getattr(self._whole_expert(), "fixed", False)
        return _equal_shares if differ else "quantile"

    def get_params(self, deep=True):
        """Parameters; of (name, expert) pairs also ``name`` and ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        if deep and self._names:
            return self._get_params("experts", deep=True)
        return super().get_params(deep=deep)

    def set_params(self, **params):
        """Set parameters; ``name=expert`` replaces the expert of a pair.

        Parameters
        ----------
        **params : dict
            Names and values, nested names with two underscores.

        Returns
        -------
        self
        """
        self.experts = params.pop("experts", self.experts)
        if isinstance(self.experts, str) and any(name.startswith("experts__") for name in params):
            self.experts = resolve("expert", self.experts, self._task)
        if self._names:
            return self._set_params("experts", **params)
        return super().set_params(**params)

    def _whole_expert(self):
        return getattr(self, "_ready", self.experts)

    def _whole_gate(self):
        return PerOutputGate(resolve("gate", self.gate)) if self._separate else self.gate

    # -- fitting -----------------------------------------------------------------------------

    def fit(self, X, y, sample_weight=None, *, expert_groups=None, callback=None):
        """Fit each expert to its own rows, then the gate to all of them.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Features, finite numbers.
        y : array-like of shape (n,) or (n, q)
            Targets; classifiers take labels of any kind, of shape (n,).
        sample_weight : array-like of shape (n,), default=None
            Frequencies: a row of weight 2 counts as two rows, one of weight 0 is left out.
        expert_groups : array-like of shape (n,), default=None
            Whose rows are whose: the number of the expert, 0 ... K - 1, that a row trains, or its
            name, for (name, expert) pairs; -1 (or "-1") for a row that trains none. The gate is
            not told.
            None: every row trains every expert. Of no use to experts that are frozen already.
        callback : callable(iteration, params, objective), default=None
            Called after every iteration of the gate's starts that go on to convergence; returning
            True ends the fit with the values reached.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For data or parameters that cannot be fitted; the estimator is left as it was.

        Warns
        -----
        ConvergenceWarning
            When `max_iter` is reached.
        """
        # The place of `expert_labels` is free: no likelihood, no known memberships.
        return super().fit(X, y, sample_weight, expert_labels=expert_groups, callback=callback)

    def _fit(self, X, y, sample_weight, groups, expert_groups, callback):
        check_parameters(self)
        self._ready = self._fit_alone(X, y, sample_weight, expert_groups)
        super()._fit(X, y, sample_weight, None, None, callback)
        del self._ready

    def _fit_alone(self, X, y, sample_weight, groups):
        """The experts of the mixture, those of a list fitted to their own rows and frozen."""
        if not self._listed:
            if groups is not None:
                raise ValueError(
                    f"expert_groups are for a list of experts; experts={self.experts!r} is a bank"
                    " whose experts are trained together with the gate."
                )
            return self.experts
        if self.n_experts not in (None, len(self.experts)):
            raise ValueError(
                f"n_experts={self.n_experts}, but experts holds {len(self.experts)}; leave"
                " n_experts None."
            )
        union, caller_X = peek(self.experts), X
        X, y = self._validate_fit_data(X, y, union)
        weight = self._class_weights(y, self._check_weight(sample_weight, X))
        names = getattr(self, "feature_names_in_", None)
        columns = resolve_columns(
            self.expert_features, caller_X, X.shape[1], names, "expert_features"
        )
        X = X if columns is None else X[:, columns]
        own = self._own_rows(groups, len(X)) * weight[:, None]
        rows = weight > 0
        target, n_classes = self._encode_target(y[rows], union)
        target = target if n_classes is None else y[rows]
        return union.fit_alone(X[rows], target, own[rows], check_random_state(self.random_state))

    def _own_rows(self, groups, n):
        """Which rows train which expert, (n, K)."""
        K = len(self.experts)
        if groups is None:
            return np.ones((n, K))
        names = self._names or []
        given = column_or_1d(groups)
        if given.dtype.kind in "OUT":
            number = {name: k for k, name in enumerate(names)} | {"-1": -1}
            unknown = [g for g in given.tolist() if g not in number and g != -1]
            if unknown:
                raise ValueError(
                    f"expert_groups holds {unknown[0]!r}; use the names of the experts,"
                    f" {', '.join(map(repr, names)) or 'of which a plain list has none'}, or their"
                    " numbers, and -1 for a row that trains none."
                )
            given = np.array([number.get(g, g) for g in given.tolist()])
        labels = known.labels(given, n, K, "expert_groups")
        own = labels[:, None] == np.arange(K)
        if not own.any(axis=0).all():
            raise ValueError(
                f"expert_groups has no row of expert {own.any(axis=0).argmin()}; every expert needs"
                " rows of its own."
            )
        return own.astype(np.float64)


def _equal_shares(X, y, n_experts, random_state):
    return np.ones((len(X), n_experts))


class MetaPiRegressor(_MetaPi, MixtureOfExpertsRegressor):
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
    max_iter : int, default=500
        Most iterations of the gate's training.
    tol : float, default=1e-7
        Stop when no more than this is to be gained, a unit of weight, in -½ \|y - f\|² with y in
        units of its standard deviations.
    n_init : int, default=3
        Number of short starts of experts that are trained together with the gate; the best goes on.
        With none of these there is one start, a gate that gives all experts equal shares.
    standardize : bool, default=True
        Whether the gate's penalty acts on X in units of its standard deviations. Estimators see X
        as it is.
    n_jobs : int, default=None
        Threads; None means 1, -1 all cores.
    random_state : int, RandomState or None, default=None
        For the starts, and for the random states of the experts.
    verbose : int, default=0
        1 prints progress once a second, 2 every iteration and start.

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
        -½ Σ \|y - f\|², less the gate's penalty, from the start on; estimators' y as it is.
    n_experts_, params_, n_iter_, converged_, n_parameters_, n_features_in_, feature_names_in_
        As in `MixtureOfExpertsRegressor`.

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
        max_iter=500,
        tol=1e-7,
        n_init=3,
        standardize=True,
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
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.standardize = standardize
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _separate(self):
        return self.per_output


class MetaPiClassifier(_MetaPi, MixtureOfExpertsClassifier):
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
    max_iter : int, default=500
        Most iterations of the gate's training.
    tol : float, default=1e-7
        Stop when no more than this is to be gained, a unit of weight, in -½ \|y - f\|².
    n_init : int, default=3
        Number of short starts of experts that are trained together with the gate; the best goes on.
        With none of these there is one start, a gate that gives all experts equal shares.
    standardize : bool, default=True
        Whether the gate's penalty acts on X in units of its standard deviations. Estimators see X
        as it is.
    n_jobs : int, default=None
        Threads; None means 1, -1 all cores.
    random_state : int, RandomState or None, default=None
        For the starts, and for the random states of the experts.
    verbose : int, default=0
        1 prints progress once a second, 2 every iteration and start.

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
    n_experts_, params_, n_iter_, converged_, n_parameters_, n_features_in_, feature_names_in_
        As in `MixtureOfExpertsClassifier`.

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
        max_iter=500,
        tol=1e-7,
        n_init=3,
        standardize=True,
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
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.standardize = standardize
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _separate(self):
        return self.per_class
