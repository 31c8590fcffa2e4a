"""Neural-network experts: one small multilayer perceptron each, for either task."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from .._kernels import array
from ..data.units import Scaling, Units
from ..distribution.families import norm
from ..distribution.multivariate import IndependentComponents
from ..exceptions import SeparationWarning
from ..parts import softmax_regression as sr
from ..parts.checks import check_option, check_variance, is_integer, is_number
from ..parts.findings import Finding
from ..parts.records import Inputs, Learning, Target
from ..parts.statistics import Rows, Statistics
from ..parts.views import ClassificationView, RegressionView, shaped, take
from . import _network
from ._location_scale import SMALLEST_SCALE, collapsed
from .base import BaseExpert

GAIN = 1e-12
"""Gain a unit of weight below which training has ended: rounding hides smaller ones."""
FIRST = 17
"""M-steps' worth of iterations from random weights, on the assignments that a fit begins with."""
DENSE_LIMIT = 300
"""Weights of a network up to which L-BFGS is given the matrix of Gauss and Newton."""
CURVATURE_ROWS = 10
"""Rows a weight from which that matrix is made: it only says which steps are long."""
CERTAIN = 1e-4
"""Mean -log probability of the right class below which an unpenalised network separates them."""


class MLPExpert(BaseExpert):
    r"""Multilayer perceptron: a small neural network in each expert.

    .. math:: p_k(y \mid x) = N(y;\; f_k(x),\; \mathrm{diag}(s_{k1}^2, \dots, s_{kq}^2))
       \quad\text{or}\quad p_k(y = c \mid x) = \mathrm{softmax}(f_k(x))_c

    For regression the noise is Gaussian with a variance for each expert and output, uncorrelated
    between outputs; each expert having its own is what makes such mixtures find regimes [1]_. The
    M-step trains the networks with the responsibilities as weights, from where they stand, for a
    few iterations. A network's new weights are taken only if its own Σ resp·log p + log_prior
    does not fall, so the fit is monotone (generalised EM). Variances are profiled out: they are at
    their optimum for the weights throughout.

    Networks have many optima; the fit climbs to one near its start. More starts (``n_init``) find
    better ones, where there are several experts.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(10,)
        Units in each hidden layer; ``()`` leaves a linear expert.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        The function of a hidden unit. The smooth ones suit L-BFGS best.
    solver : {"lbfgs", "adam"}, default="lbfgs"
        L-BFGS on all rows of the expert, or Adam on minibatches, for many rows. Adam shuffles by a
        fixed sequence, so that either way a fit depends on the data and the estimator's
        `random_state` only, which draws the initial weights. With more than one minibatch a row of
        weight 2 is not exactly two rows.
    alpha : float or "weak", default=1.0
        Ridge penalty ½·alpha·Σ‖w‖² on all weights but the biases, in standardised units. The
        default, a unit normal prior, did best or nearly so on held-out rows of small data with one
        column, among 0.001 to 10; weaker ones cost up to one nat a row. 0 is maximum likelihood.
    variance_prior : float or "weak", default=1e-2
        As in `LinearExpert`: ν pseudo-rows with the variance of y. 0 is maximum likelihood.
        **A network with about as many weights as rows follows every row**, takes its noise for
        nothing and is punished on new rows: with ten columns and a few hundred rows use fewer
        units, ``alpha=10`` and ``variance_prior=1``, chosen by held-out log-likelihood.
    variance : "estimate" or float, default="estimate"
        As in `LinearExpert`: a number is the variance of every output of every network, in the
        caller's units, and y is not standardised then. Classifiers have none.
    max_iter : int, default=3
        Iterations of L-BFGS, or epochs of Adam, within one M-step. Networks of up to 300 weights
        begin with the curvature of Gauss and Newton, one matrix an M-step; larger ones learn it
        afresh every time. Means over six seeds of 5, 20 and 50 iterations with that curvature of
        all rows (it is of some rows now), two networks of five units: on friedman1 (500 rows)
        -1.22, -1.12 and -1.10 a row in the fit, -2.10, -2.15 and -2.11 on other rows. So more of
        them fit closer, and few predict as well. From their random weights, before the first
        M-step, networks are trained for seventeen times as many.
    learning_rate_init : float, default=0.01
        Adam's step size. Larger than is usual because `max_iter` epochs are few, and safe because
        only the best epoch is kept.
    batch_size : int, default=200
        Rows in one of Adam's minibatches.

    References
    ----------
    .. [1] Weigend, A. S., Mangeas, M. & Srivastava, A. N. (1995). Nonlinear gated experts for time
       series. International Journal of Neural Systems 6, 373-399.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.experts import MLPExpert
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> expert = MLPExpert(hidden_layer_sizes=(3,), max_iter=20)
    >>> model = MixtureOfExpertsRegressor(2, expert=expert, n_init=1, tol=1e-3, random_state=0)
    >>> [coef.shape for coef in model.fit(X, y).experts_[0].coefs_]
    [(1, 3), (3, 1)]
    """

    # The average of two good networks is no good network; each short run is max_iter steps.
    learning = Learning(sums=False, extrapolates=False, short_run=3)
    inputs = Inputs(apart=True)

    weak = MappingProxyType({"alpha": 1.0, "variance_prior": 1e-2})

    def __init__(
        self,
        hidden_layer_sizes: Any = (10,),
        activation: str = "tanh",
        solver: str = "lbfgs",
        alpha: float | str = 1.0,
        variance_prior: float | str = 1e-2,
        variance: Any = "estimate",
        max_iter: int = 3,
        learning_rate_init: float = 0.01,
        batch_size: int | str = 200,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.variance_prior = variance_prior
        self.variance = variance
        self.max_iter = max_iter
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size

    def check_parameters(self):
        super().check_parameters()
        check_variance(self)
        check_option(self, "activation", _network.ACTIVATIONS)
        check_option(self, "solver", ("lbfgs", "adam"))
        sizes = self._hidden
        if not all(is_integer(size) and size >= 1 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} of MLPExpert: needs integers of at"
                " least 1, such as (10,), or () for none."
            )
        for name in ("max_iter", "batch_size"):
            value = vars(self)[name]
            if not (is_integer(value) and value >= 1):
                raise ValueError(f"{name}={value!r} of MLPExpert: needs an integer of at least 1.")
        rate = self.learning_rate_init
        if not (is_number(rate) and 0 < rate < np.inf):
            raise ValueError(f"learning_rate_init={rate!r} of MLPExpert: needs a positive number.")

    @property
    def target(self):
        """What y is to it: not scaled where the variance is given in the caller's units."""
        return Target(task="both", standardise=not self._given, given_unit=self._given)

    @property
    def _given(self):
        """Whether the variance is a number, rather than estimated."""
        return not isinstance(self.variance, str)

    @property
    def _nu(self):
        """Pseudo-rows of a variance: a given one has none."""
        return 0.0 if self._given else self.variance_prior

    @property
    def _hidden(self):
        sizes = self.hidden_layer_sizes
        return tuple(sizes) if isinstance(sizes, (tuple, list, np.ndarray)) else (sizes,)

    # -- the model -------------------------------------------------------------------------

    def _weights(self, params):
        return [params[f"weights_{i}"] for i in range(len(self._hidden) + 1)]

    def _layers(self, params, X):
        with np.errstate(over="ignore", invalid="ignore"):  # rows far from all data
            return _network.forward(self._weights(params), X, self.activation)

    def log_prob(self, params, X, y):
        return _log_density(params, self._outputs(params, X), y).T

    def _outputs(self, params, X):
        """Return the last layers, (K, n, q or C), compiled where that repays loading numba."""
        if X.ndim == 3 or len(X) <= _network.SMALL:
            return self._layers(params, X)[-1]
        weights = self._weights(params)
        rows = self._rows(params, X, _network.widths_of(weights))
        banks = zip(*weights, strict=True)
        with np.errstate(over="ignore", invalid="ignore"):  # rows far from all data
            return np.stack([np.asarray(rows.outputs(_network.flat(own))) for own in banks])

    def _rows(self, params, X, widths, compiled=True):
        """Return one network on rows, a `Rows`; `compiled`: where that repays loading numba."""
        kind = _network.rows_of if compiled else _network.Rows
        return kind(X, widths, self.activation)

    def mean(self, params, X):
        output = self._layers(params, X)[-1].swapaxes(0, 1)
        return output if "variance" in params else np.exp(array.log_softmax(output))

    def mean_gradient(self, params, X, slope):
        """Return ∂/∂weights of Σ slope·mean, by back-propagation, as `Statistics`."""
        layers, slope = self._layers(params, X), slope.swapaxes(0, 1)
        if "variance" not in params:
            proba = np.exp(array.log_softmax(layers[-1]))
            slope = proba * (slope - np.sum(slope * proba, axis=2, keepdims=True))
        return Statistics(self._backward(params, layers, slope))

    def _backward(self, params, layers, slope):
        """Return ∂/∂weights of a function by its slope in the last layers, a dict."""
        found = _network.backward(self._weights(params), layers, slope, self.activation)
        return {f"weights_{i}": layer for i, layer in enumerate(found)}

    def components(self, params, X, units, single_output=True):
        """Return the K predictive normals in the caller's units, for `MixtureDistribution`."""
        y = units.y
        mean = self.mean(params, X) * y.unit + y.origin
        scale = np.sqrt(params["variance"]) * y.unit
        if single_output:
            return norm(loc=mean[:, :, 0], scale=scale[:, 0])
        return IndependentComponents(norm(loc=mean, scale=scale), mean.shape)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        """Return small random weights around the mean or class frequencies, after some training."""
        K = resp.shape[1]
        target = y if classes is None else np.eye(len(classes))[y]
        total, pooled = resp.sum(axis=0)[:, None], (resp.sum(axis=1) @ target) / resp.sum()
        mean = (resp.T @ target + 1e-3 * pooled) / (total + 1e-3)
        widths = (self._n_inputs(X), *self._hidden, target.shape[1])
        weights = _network.initial_weights(widths, K, self.activation, random_state)
        params = {f"weights_{i}": layer for i, layer in enumerate(weights)}
        if classes is None:
            weights[-1][:, :, 0] = mean
            variance = self.variance if self._given else 1.0
            params["variance"] = np.full_like(mean, variance)
        else:
            weights[-1][:, :, 0] = np.log(mean + 1e-3)
        weights[-1] /= self._n_positions
        params |= self._known_of(X, resp)
        # Gauss and Newton would lead small weights straight to a plateau, where units are lines.
        return self._trained(params, X, y, resp, FIRST * self.max_iter, scaled=False)

    _n_positions = 1
    """Of how many networks' outputs that of an expert is the sum; all have the same weights."""

    def _n_inputs(self, X):
        """Return the inputs of a network, an int."""
        return X.shape[1]

    def _known_of(self, X, resp):
        """Return what the params hold of the rows besides weights and variances, a dict."""
        return {}

    def statistics(self, params, X, y, resp, order=2):
        """Return the rows; with order=1 the derivatives of Σ resp·log p, named as params."""
        if order > 1:
            return Rows(X=X, y=y, resp=resp)
        return Statistics(self._derivatives(params, X, y, resp))

    def _derivatives(self, params, X, y, resp):
        """Return ∂/∂params of Σ resp·log p, a dict named as params."""
        layers = self._layers(params, X)
        derivatives = self._backward(params, layers, _slope(params, layers[-1], y, resp))
        if "variance" in params:
            variance = params["variance"]
            spread = np.einsum("nk,knq->kq", resp, (y - layers[-1]) ** 2)
            rows = resp.sum(axis=0)[:, None]
            free = 0.0 if self._given else 0.5
            derivatives["variance"] = free * (spread / variance - rows) / variance
        return derivatives

    def gradient(self, params, stats):
        """Return ∂Q/∂params by back-propagation, priors included; of statistics of any order."""
        if isinstance(stats, Rows):
            stats = self._derivatives(params, stats["X"], stats["y"], stats["resp"])
        gradient = {name: stats[name].copy() for name in params}
        for i, layer in enumerate(self._weights(params)):
            gradient[f"weights_{i}"][:, :, 1:] -= self.alpha * layer[:, :, 1:]
        if "variance" in params:
            variance = params["variance"]
            gradient["variance"] += 0.5 * self._nu * (1 / variance - 1) / variance
        return gradient

    def maximize(self, params, stats, cautious=False):
        """Take a few steps of training, each network by itself; never lowers Q of any."""
        return self._trained(params, stats["X"], stats["y"], stats["resp"], self.max_iter)

    def _trained(self, params, X, y, resp, max_iter, scaled=True):
        """Return the params after so many iterations, in scaled coordinates where there are any."""
        trained = {name: leaf.copy() for name, leaf in params.items()}
        for k, weight in enumerate(resp.T):
            rows = weight > 0
            if not rows.any():
                continue  # no rows at all: keep the last values
            mine = slice(None) if rows.all() else rows
            before = self.take(params, [k])
            with np.errstate(all="ignore"):  # a step too far is rejected
                after = self._train(before, X[mine], y[mine], weight[mine], max_iter, scaled)
            for name, leaf in after.items():
                trained[name][k] = leaf[0]
        return trained

    def _train(self, params, X, y, weight, max_iter, scaled):
        """Return the params of one network (K = 1) after a few steps."""
        start, loss = _network.flat(self._weights(params)), _Loss(self, params, X, y, weight)
        if self.solver == "lbfgs":
            scaled = scaled and len(start) <= DENSE_LIMIT
            curvature = loss.curvature(start) if scaled else None
            end, fall = _network.lbfgs(loss, start, curvature, max_iter)
        else:
            end, fall = _network.adam(
                loss, start, max_iter, len(X), self.batch_size, self.learning_rate_init
            )
        if not fall > GAIN:
            end = start
        found = loss.profiled(end)
        return found if all(np.isfinite(leaf).all() for leaf in found.values()) else params

    def coordinates(self, params):
        kind = "fixed" if self._given else (SMALLEST_SCALE**2, np.inf)
        return {"variance": kind} if "variance" in params else {}

    def log_prior(self, params):
        value = self.alpha * sum(np.sum(w[:, :, 1:] ** 2) for w in self._weights(params))
        if "variance" in params:
            variance = params["variance"]
            value += self._nu * np.sum(np.log(variance) + 1 / variance)
        return -0.5 * float(value)

    def n_parameters(self, params):
        """Return the number of weights and scales; of C classes C - 1 count, as they sum to 1."""
        count = sum(layer.size for layer in self._weights(params))
        if "variance" not in params:
            return count - self._weights(params)[-1][:, 0].size
        return count if self._given else count + params["variance"].size

    def diagnose(self, params, stats):
        if "variance" not in params:
            return self._separated(params, stats)
        if self._given:
            return []
        nu, findings = self._nu, []
        n_weights = sum(layer[0].size for layer in self._weights(params))
        advice = "use fewer experts or units, or a larger alpha"
        for k, rows in enumerate(stats["resp"].sum(axis=0)):
            sd = np.sqrt(params["variance"][k].min())
            by_prior = rows * sd**2 <= 2 * nu
            findings.append(collapsed((k,), sd, rows, n_weights, by_prior, prior=nu, advice=advice))
        return [finding for finding in findings if finding]

    def _separated(self, params, stats):
        """Return findings of networks without a penalty whose weights grow for ever."""
        if self.alpha > 0:
            return []
        resp = stats["resp"]
        doubt = -np.sum(resp * self.log_prob(params, stats["X"], stats["y"]), axis=0)
        return [
            Finding(
                SeparationWarning,
                f"the classes within expert {k} are separated; use alpha > 0.",
                severe=False,
            )
            for k in np.flatnonzero(doubt < CERTAIN * resp.sum(axis=0))
        ]

    # -- the caller's side -------------------------------------------------------------------

    def check_target(self, y):
        """Accept every number, and labels of any kind."""

    def _units(self, units, hidden):
        """Return the units of every layer: X comes in by the first, y goes out by the last."""
        hidden = [Scaling.identity(size) for size in hidden]
        return [Units(x, y) for x, y in zip([units.x, *hidden], [*hidden, units.y], strict=True)]

    def to_caller(self, params, units):
        """Return ``coefs`` (K, in, out) and ``intercepts`` (K, out), lists as of sklearn's MLP."""
        weights = self._weights(params)
        if "variance" not in params and weights[-1].shape[1] == 2:
            weights[-1] = sr.class_log_odds(weights[-1])  # one output, as of sklearn's network
        hidden = _network.widths_of(weights)[1:-1]
        layers = zip(weights, self._units(units, hidden), strict=True)
        affine = [each.coef_to_caller(layer) for layer, each in layers]
        values = {
            "coefs": [coef.swapaxes(1, 2) for coef, _ in affine],
            "intercepts": [intercept for _, intercept in affine],
        }
        if "variance" in params:
            values["scale"] = np.sqrt(params["variance"]) * units.y.unit
        return values

    def _hidden_in(self, values):
        """Return the units in the hidden layers of values in the caller's units, a tuple."""
        return self._hidden

    def _is_shared(self, layer):
        """Return whether all networks have the same weights in a layer, given by its number."""
        return False

    def from_caller(self, values, units, n_experts, classes=None):
        wanted = ("coefs", "intercepts") + (("scale",) if classes is None else ())
        values = take(values, wanted, "expert")
        outputs = len(units.y.center) if classes is None else len(classes)
        hidden = self._hidden_in(values)
        widths = (len(units.x.center), *hidden, outputs)
        for name in ("coefs", "intercepts"):
            if len(values[name]) != len(widths) - 1:
                raise ValueError(
                    f"init_params: {name} of the expert needs {len(widths) - 1} layers, got"
                    f" {len(values[name])}."
                )
        log_odds = classes is not None and outputs == 2
        log_odds = log_odds and np.shape(values["intercepts"][-1])[-1:] != (2,)  # one output
        widths = (*widths[:-1], 1) if log_odds else widths
        params = {}
        for i, each in enumerate(self._units(units, hidden)):
            sizes, K = widths[i : i + 2], 1 if self._is_shared(i) else n_experts
            coef = shaped(values["coefs"][i], (K, *sizes), f"coefs[{i}]", "expert")
            intercept = shaped(values["intercepts"][i], (K, sizes[1]), f"intercepts[{i}]", "expert")
            params[f"weights_{i}"] = each.coef_from_caller(coef.swapaxes(1, 2), intercept)
        if log_odds:
            last = f"weights_{len(hidden)}"
            params[last] = sr.from_class_log_odds(params[last])
        if classes is None:
            scale = shaped(values["scale"], (n_experts, widths[-1]), "scale", "expert")
            if not (scale > 0).all():
                raise ValueError("init_params: every scale of the expert must be positive.")
            given = np.full_like(scale, self.variance) if self._given else scale**2
            params["variance"] = given * units.y.slope**2
        return params

    def _of(self, k, values):
        """Return what one network has of values in the caller's units, a dict."""
        return {
            name: [self._of(k, {"": layer})[""] for layer in value]
            if isinstance(value, list)
            else value[k if len(value) > 1 else 0]
            for name, value in values.items()
        }

    def view(self, params, k, units, single_output=True, classes=None, **shell):
        values = self._of(k, self.to_caller(params, units))
        own = {
            "coefs_": values["coefs"],
            "intercepts_": values["intercepts"],
            "_activation": self.activation,
        }
        if classes is not None:
            return self._views[1](**shell, **own, classes_=classes)
        scale = values["scale"]
        own["scale_"] = float(scale[0]) if single_output else scale
        return self._views[0](**shell, **own, _single_output=single_output)


class _Loss:
    """-Q of one network a unit of weight, a function of its weights (m,), and its gradient.

    Parameters
    ----------
    expert : MLPExpert
    params : Params of a bank of one, before the step
    X, y, weight : the network's rows
    """

    def __init__(self, expert, params, X, y, weight):
        self.expert, self.params = expert, params
        self.X, self.y, self.weight, self.total = X, y, weight, weight.sum()
        layers = expert._weights(params)
        self.widths = _network.widths_of(layers)
        self.rows = expert._rows(params, X, self.widths)
        ridge = [np.full_like(layer, expert.alpha) for layer in layers]
        for layer in ridge:
            layer[:, :, 0] = 0.0
        self.ridge = _network.flat(ridge)

    def profiled(self, vector):
        """Return params of these weights, with the best variance for them."""
        layers = _network.layered(np.array(vector), self.widths)
        found = {f"weights_{i}": layer for i, layer in enumerate(layers)}
        if "variance" in self.params:
            residual = _residual(self.rows.outputs(vector), self.y)
            found["variance"] = self._variance(residual**2 @ self.weight, self.total)[None]
        return found

    def _variance(self, spread, total):
        """Return the best variances, (q,), from Σ weight·residual² and Σ weight."""
        if self.expert._given:
            return self.params["variance"][0]
        nu = self.expert._nu
        return np.maximum((spread + nu) / (total + nu), SMALLEST_SCALE**2)

    def value(self, vector):
        """Return the loss; `slope` is then its gradient there."""
        output = self.rows.outputs(vector)
        if "variance" in self.params:
            residual = _residual(output, self.y)
            spread = residual**2 @ self.weight
            variance, nu = self._variance(spread, self.total), self.expert._nu
            self._last = vector, residual / variance[:, None]
            # Σ weight·log p, and the log prior of the variances
            value = -0.5 * np.sum(spread / variance + self.total * np.log(2 * np.pi * variance))
            value -= 0.5 * nu * np.sum(np.log(variance) + 1 / variance)
        else:
            density, error = self.rows.of_classes(output, self.y)
            self._last, value = (vector, error.T), self.weight @ density
        value -= 0.5 * (self.ridge * vector) @ vector
        return -float(value) / self.total

    def slope(self):
        """Return the gradient where the value was last asked for, (m,)."""
        vector, error = self._last
        return self._slope(self.rows, vector, (error * self.weight).T)

    def _slope(self, rows, vector, error):
        return (self.ridge * vector - rows.gradient(error)) / self.total

    def epoch(self, vector, first, second, t, order, batch_size, rate):
        """Take the steps of Adam through all rows once, in place, with the old variances."""
        steps = first, second, t, order, batch_size, rate
        if isinstance(self.rows, _network.CompiledRows):
            variance = self.params.get("variance", np.ones((1, self.widths[-1])))
            about = self.weight, 1 / variance[0], self.ridge, self.total
            self.rows.epoch(self.y, *about, vector, *steps)
        else:
            _network.epoch(self._slope_of_some, vector, *steps)

    def _slope_of_some(self, vector, rows):
        """Return the gradient of the loss as some rows tell it, (m,)."""
        own = self.expert._rows(self.params, self.X[rows], self.widths, compiled=False)
        output = own.outputs(vector)
        if "variance" in self.params:
            error = _residual(output, self.y[rows]).T / self.params["variance"]
        else:
            error = own.of_classes(output, self.y[rows])[1]
        share = len(self.X) / len(rows)
        return self._slope(own, vector, (share * self.weight[rows])[:, None] * error)

    def curvature(self, vector):
        """Return the matrix of Gauss and Newton, (m, m): the Hessian of a network without bends.

        Σ weight Jᵀ H J with J the derivatives of the outputs in the weights and H = A Aᵀ minus the
        second derivative of log p in the outputs: 1/s² for normal noise, diag(p) - p pᵀ for
        classes. Of many rows some stand for all, see `CURVATURE_ROWS`.
        """
        rows, y, weight = self.rows, self.y, self.weight
        if len(y) > CURVATURE_ROWS * len(vector):
            taken, factor = sr.spread_rows(weight, CURVATURE_ROWS * len(vector))
            rows = self.expert._rows(self.params, self.X[taken], self.widths)
            y, weight = y[taken], weight[taken] * factor
        output, root = rows.outputs(vector), np.sqrt(weight)[:, None]
        if "variance" in self.params:
            spread = _residual(output, y) ** 2 @ weight
            scale = 1 / np.sqrt(self._variance(spread, weight.sum()))
            columns = [root * column for column in np.diag(scale)]
        else:
            columns = [root * column for column in _roots(np.exp(array.log_softmax(output)))]
        return (rows.gram(columns) + np.diag(self.ridge)) / self.total


def _roots(p):
    """Return C - 1 columns (n, C) of A with diag(p) - p pᵀ = A Aᵀ, for rows p that sum to 1.

    Column c has √(p_c s_{c+1} / s_c) at c and -√(p_c / (s_c s_{c+1})) p_j at j > c, with
    s_c = p_c + ... + p_C: the Cholesky factor.
    """
    left = np.maximum(np.cumsum(p[:, ::-1], axis=1)[:, ::-1], 1e-300)
    for c in range(p.shape[1] - 1):
        column, own, rest = np.zeros_like(p), p[:, c], left[:, c + 1]
        column[:, c] = np.sqrt(own * rest / left[:, c])
        column[:, c + 1 :] = -(np.sqrt(own / (left[:, c] * rest)))[:, None] * p[:, c + 1 :]
        yield column


class NetworkView:
    """`coefs_` and `intercepts_`, a list of layers each, shapes as of scikit-learn's MLP."""

    kind = "network"

    def _linear_predictor(self, X):
        return self._network(self._own_columns(X))

    def _network(self, X):
        last = len(self.coefs_) - 1
        for i, (coef, intercept) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            X = X @ coef + intercept
            X = X if i == last else _network.ACTIVATIONS[self._activation][0](X)
        return X

    def __repr__(self):
        widths = [len(coef) for coef in self.coefs_] + [len(self.intercepts_[-1])]
        return f"{type(self).__name__}({' -> '.join(map(str, widths))}, {self._activation})"


class NetworkRegressionView(NetworkView, RegressionView):
    """One network of a regressor: `coefs_`, `intercepts_`, `scale_`, `predict`."""

    def predict(self, X):
        """Return the network's mean, (n,) or (n, q)."""
        mean = super().predict(X)
        return mean[:, 0] if self._single_output else mean


class NetworkClassificationView(NetworkView, ClassificationView):
    """One network of a classifier: `coefs_`, `intercepts_`, `classes_`, `predict_proba`.

    Of two classes the last layer has one unit, the log-odds of the second against the first.
    """


def _log_density(params, output, y):
    """Return log p_k(y|x) from the networks' outputs, (K, n, q or C) -> (K, n).

    y is (n, q), or codes (n,), or has rows of its own for every network.
    """
    if "variance" not in params:
        codes = (y if y.ndim == 2 else y[None])[:, :, None]
        return np.take_along_axis(array.log_softmax(output), codes, axis=2)[:, :, 0]
    variance = params["variance"][:, None]
    with np.errstate(over="ignore"):  # is cut off
        deviance = np.sum(array.square(y - output) / variance, axis=2)
    return -0.5 * (deviance + np.log(2 * np.pi * variance).sum(axis=2))


def _residual(output, y):
    """Return y less the outputs of one network, (q, n): rows innermost in memory."""
    return np.ascontiguousarray(y.T) - np.asarray(output).T


def _slope(params, output, y, resp):
    """Return ∂/∂output of Σ resp·log p, (K, n, q or C)."""
    weight = resp.T[:, :, None]
    if "variance" in params:
        return weight * (y - output) / params["variance"][:, None]
    one_hot = np.eye(output.shape[2])[y]
    return weight * (one_hot - np.exp(array.log_softmax(output)))


MLPExpert._views = NetworkRegressionView, NetworkClassificationView
