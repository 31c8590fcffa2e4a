"""`DeepMixtureOfExpertsClassifier` and `DeepMixtureOfExpertsRegressor`."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin

from .._kernels import array
from ..distribution.families import norm
from ..distribution.mixture import MixtureDistribution
from ..distribution.multivariate import IndependentComponents
from ..parts import checks
from ._deep import BaseDeepMixture
from ._targets import ClassTarget, RealTarget


class DeepMixtureOfExpertsClassifier(ClassifierMixin, BaseDeepMixture):
    r"""Deep mixture of experts for classification: layers of gated experts [1]_.

    .. math:: z_l = \sum_{k=1}^{K_l} g_{lk}(z_{l-1})\, f_{lk}(z_{l-1}), \qquad z_0 = x, \qquad
       P(y = c \mid x) = \mathrm{softmax}(W z_L + b)_c

    An expert f is linear and rectified, a gate g linear, rectified, linear and a softmax, and a
    layer is the blend of its experts. Two layers of four experts are sixteen paths through the
    network, and may share them out by two different things: in the paper, and in the example below,
    the first layer goes by *where* a digit stands and the second by *what* it is.

    It is a network, and no mixture of densities: there are no responsibilities, and no EM. It is
    trained by back-propagation through all layers.

    Parameters
    ----------
    n_experts : tuple of int, default=(4, 4)
        Experts of each layer.
    n_units, gate_units : int or tuple of int, default=(20, 20)
        Outputs of the experts, and hidden units of the gate, of each layer; one number for all.
    n_constrained : int, default=10
        Epochs in which minibatches are balanced: an expert whose running total of gating weight is
        more than `margin` above the mean of its layer is shut until the others have caught up.
        Without it the experts that are better at first learn ever more, and a layer may end with
        few in use. It buys that all are used and that layers divide the work; accuracy is the same.
        It has no effect on data of one minibatch. 0: never.
    margin : "auto" or float, default="auto"
        In units of weight. "auto": the weight of a minibatch.
    alpha : float, default=1e-4
        Ridge penalty ½·alpha·Σ‖w‖² on all weights but the biases, in standardised units.
    class_weight : dict, "balanced" or None, default=None
        Factors of the weights of the rows of every class.
    solver : str or BaseSolver, default="adam"
        "adam" is ``Adam(learning_rate=0.003, schedule="linear", warm_up=0)``; "sgd", "lbfgs" and
        "gradient" are those of `classic_moe.solvers`, as is an object. Those without minibatches
        need ``n_constrained=0``.
    categorical_features : None, "from_dtype" or column selector, default=None
        The columns that are coded as categories, as in `MixtureOfExpertsClassifier`.
    max_iter : int, default=60
        Epochs. The default solver makes all of them, its steps falling to 0; small data, of which
        an epoch has few minibatches, want more.
    tol : float, default=1e-7
        What other solvers may leave to gain, in log-likelihood per unit of weight.
    n_init : int, default=1
        Random starts, of which the fit with the highest objective is kept; with early stopping the
        one that does best on the rows held out.
    standardize : bool, default=True
        Whether columns are divided by their standard deviations; they are centred in any case.
        False for columns of one kind, such as pixels.
    normalize_weights : bool, default=False
        Whether sample weights, those of classes included, are scaled to sum to the number of rows
        of positive weight.
    n_jobs : int, default=None
        Threads; None means 1, -1 all cores. The result has the same bits for any number.
    random_state : int, RandomState or None, default=None
        For the weights to begin with and the minibatches.
    verbose : int, default=0
        1 prints how the fit ends and, once it has taken two seconds, now and then where it is;
        2 every iteration.

    Attributes
    ----------
    layers_ : list
        One for each layer: ``gate_proba(X)`` (n, K) of rows of the estimator's X, ``transform(X)``
        (n, h), ``expert_usage_`` (K,), the mean of the gate over the rows of the fit, and
        ``n_experts_``.
    classes_ : ndarray of shape (C,)
        The labels, sorted.
    params_ : dict
        The weights in internal units: for "layer_0" and so on "experts" (K, h, 1 + p),
        "gate_hidden" and "gate", with a leading axis of length 1, biases first; and "output".
    log_likelihood_ : float
        Σ sample_weight·log p(y given x), unpenalised.
    lower_bounds_ : ndarray of shape (iterations + 1,)
        The penalised objective of the best iterate so far, from the start on.
    learning_curve_ : dict of ndarray of shape (iterations + 1,)
        "objective" of every iterate; with early stopping "validation".
    n_iter_, converged_ : int, bool
        Iterations; whether the solver has come to its end, for the default solver after all epochs.
    n_parameters_ : int
        Weights, those that a softmax has too many of left out.
    n_features_in_, feature_names_in_, categories_
        As everywhere in scikit-learn.

    References
    ----------
    .. [1] Eigen, D., Ranzato, M. & Sutskever, I. (2013). Learning factored representations in a
       deep mixture of experts. arXiv:1312.4314.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from classic_moe import DeepMixtureOfExpertsClassifier
    >>> X, y = make_moons(300, noise=0.2, random_state=0)
    >>> model = DeepMixtureOfExpertsClassifier((2, 2), n_units=8, max_iter=200, random_state=0)
    >>> bool(model.fit(X, y).score(X, y) > 0.9)
    True
    >>> [layer.gate_proba(X).shape for layer in model.layers_]
    [(300, 2), (300, 2)]
    """

    _target = ClassTarget

    def __init__(
        self,
        n_experts=(4, 4),
        *,
        n_units=(20, 20),
        gate_units=(20, 20),
        n_constrained=10,
        margin="auto",
        alpha=1e-4,
        class_weight=None,
        solver="adam",
        categorical_features=None,
        max_iter=60,
        tol=1e-7,
        n_init=1,
        standardize=True,
        normalize_weights=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_experts = n_experts
        self.n_units = n_units
        self.gate_units = gate_units
        self.n_constrained = n_constrained
        self.margin = margin
        self.alpha = alpha
        self.class_weight = class_weight
        self.solver = solver
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
    def _class_weight(self):
        return self.class_weight

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n,)
        """
        codes = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, C)
            Columns in the order of `classes_`.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Logarithms of the class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        ndarray of shape (n, C)
        """
        return self._outputs(X, array.log_softmax)


class DeepMixtureOfExpertsRegressor(RegressorMixin, BaseDeepMixture):
    r"""Deep mixture of experts for regression: layers of gated experts [1]_.

    .. math:: z_l = \sum_{k=1}^{K_l} g_{lk}(z_{l-1})\, f_{lk}(z_{l-1}), \qquad z_0 = x, \qquad
       p(y \mid x) = N(y;\; W z_L + b,\; \mathrm{diag}(s_1^2, \dots, s_q^2))

    `DeepMixtureOfExpertsClassifier` tells what such layers are. Here the noise is normal, with a
    variance for each output that is the same for all x; for noise that differs between regions,
    take `MixtureOfExpertsRegressor` with ``expert="mlp"``.

    Parameters
    ----------
    n_experts, n_units, gate_units, n_constrained, margin, alpha, solver, max_iter, tol, n_init
        As in `DeepMixtureOfExpertsClassifier`. y is standardised.
    standardize, normalize_weights, n_jobs, random_state, verbose
        As in `DeepMixtureOfExpertsClassifier`. y is standardised.
    variance_prior : float, default=1e-2
        As in `LinearExpert`: ν pseudo-rows with the variance of y. 0 is maximum likelihood.

    Attributes
    ----------
    layers_, params_, log_likelihood_, lower_bounds_, learning_curve_, n_iter_, converged_
        As in `DeepMixtureOfExpertsClassifier`.
    n_parameters_, n_features_in_, feature_names_in_, categories_
        As in `DeepMixtureOfExpertsClassifier`.
    scale_ : float or ndarray of shape (q,)
        Standard deviation of the noise, in the caller's units.

    References
    ----------
    .. [1] Eigen, D., Ranzato, M. & Sutskever, I. (2013). Learning factored representations in a
       deep mixture of experts. arXiv:1312.4314.

    Examples
    --------
    >>> from classic_moe import DeepMixtureOfExpertsRegressor
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> X, y = make_piecewise_regression(300, n_pieces=2, random_state=0)
    >>> model = DeepMixtureOfExpertsRegressor((2, 2), max_iter=200, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.8)
    True
    >>> model.predict_dist(X[:3]).std().shape
    (3,)
    """

    _target = RealTarget

    def __init__(
        self,
        n_experts=(4, 4),
        *,
        n_units=(20, 20),
        gate_units=(20, 20),
        n_constrained=10,
        margin="auto",
        alpha=1e-4,
        variance_prior=1e-2,
        solver="adam",
        categorical_features=None,
        max_iter=60,
        tol=1e-7,
        n_init=1,
        standardize=True,
        normalize_weights=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_experts = n_experts
        self.n_units = n_units
        self.gate_units = gate_units
        self.n_constrained = n_constrained
        self.margin = margin
        self.alpha = alpha
        self.variance_prior = variance_prior
        self.solver = solver
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
    def _variance_prior(self):
        return self.variance_prior

    def _check_parameters(self):
        super()._check_parameters()
        allowed = checks.number(lambda nu: 0 <= nu < np.inf, "a number of at least 0")
        checks.check("variance_prior", self.variance_prior, allowed)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> NDArray[Any]: ...
    @overload
    def predict(
        self, X: ArrayLike, return_std: Literal[True]
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        """Conditional mean of y, and its standard deviation if asked for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)
        return_std : bool, default=False

        Returns
        -------
        mean : ndarray of shape (n,) or (n, q)
        std : ndarray, the shape of `mean`
            Only with `return_std`. It is the same for all rows.
        """
        y = self._schema().y
        mean = self._outputs(X, lambda output: output * y.unit + y.origin)
        mean = mean[:, 0] if self._fitted.schema.target.single_output else mean
        return (mean, np.broadcast_to(self.scale_, mean.shape).copy()) if return_std else mean

    def predict_dist(self, X: ArrayLike) -> MixtureDistribution:
        """The conditional distribution of y, a normal one for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, p)

        Returns
        -------
        MixtureDistribution
            Of one component.
        """
        mean, std = self.predict(X, return_std=True)
        ones = np.ones((len(mean), 1))
        own = norm(loc=mean[:, None], scale=std[:, None])
        if mean.ndim == 1:
            return MixtureDistribution(ones, own)
        return MixtureDistribution(ones, IndependentComponents(own, own.kwds["loc"].shape))
