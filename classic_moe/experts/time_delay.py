"""Time-delay networks as experts: one small network at every position of a sequence, summed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..data.units import Scaling, Units
from ..parts.checks import is_integer
from ..parts.records import Inputs
from . import _network
from .mlp import MLPExpert, NetworkClassificationView, NetworkRegressionView, NetworkView


class TimeDelayExpert(MLPExpert):
    r"""Time-delay network: a network that looks at every window of a sequence, and adds up.

    .. math:: f_k(x) = \sum_{t=1}^{T - w + 1}
       \bigl( V_k\, \tanh(U_k\, [x_t, \dots, x_{t+w-1}] + u_k) + v_k \bigr)

    A row of X is a sequence of T steps laid out flat: all features of the first step, then those of
    the second, and so on. The weights are the same at all positions, so it does not matter when
    something is said; f gives the scores of the classes, or the mean of numbers, as in `MLPExpert`.
    The experts of Meta-Pi were such networks, of two layers [1]_.

    Parameters
    ----------
    n_steps : int
        Steps T of a sequence; X has a multiple of them as columns.
    window : int, default=3
        Steps w that the network sees at once.
    hidden : int, default=8
        Hidden units.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        The function of a hidden unit.
    solver, alpha, variance_prior, variance, max_iter, learning_rate_init, batch_size
        As in `MLPExpert`.
        Weights are those of one network; the ridge counts them once. It acts in units of each
        feature's standard deviation over rows and steps, whatever `standardize` says, for columns
        scaled apart could not share weights.

    References
    ----------
    .. [1] Hampshire, J. B. & Waibel, A. (1992). The Meta-Pi network: building distributed knowledge
       representations for robust multisource pattern recognition. IEEE Transactions on Pattern
       Analysis and Machine Intelligence 14, 751-769.

    Examples
    --------
    Sequences with a bump somewhere, upwards or downwards.

    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsClassifier
    >>> from classic_moe.experts import TimeDelayExpert
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 2
    >>> X = 0.1 * rng.normal(size=(60, 8))
    >>> X[np.arange(60), rng.integers(8, size=60)] += 2.0 * y - 1.0
    >>> expert = TimeDelayExpert(8, window=2, hidden=2)
    >>> model = MixtureOfExpertsClassifier(1, expert=expert, max_iter=5, tol=1e-3, random_state=0)
    >>> model.fit(X, y).score(X, y)
    1.0
    >>> [coef.shape for coef in model.experts_[0].coefs_]
    [(2, 2), (2, 1)]
    """

    inputs = Inputs(raw=True)

    def __init__(
        self,
        n_steps: Any,
        window: int = 3,
        hidden: Any = 8,
        activation: str = "tanh",
        solver: str = "lbfgs",
        alpha: float | str = 1.0,
        variance_prior: float | str = 1e-2,
        variance: Any = "estimate",
        max_iter: int = 3,
        learning_rate_init: float = 0.01,
        batch_size: int | str = 200,
    ) -> None:
        self.n_steps = n_steps
        self.window = window
        self.hidden = hidden
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.variance_prior = variance_prior
        self.variance = variance
        self.max_iter = max_iter
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size

    def check_parameters(self):
        for name in ("n_steps", "window", "hidden"):
            value = vars(self)[name]
            if not (is_integer(value) and value >= 1):
                raise ValueError(
                    f"{name}={value!r} of TimeDelayExpert: needs an integer of at least 1."
                )
        if self.window > self.n_steps:
            raise ValueError(
                f"window={self.window} of TimeDelayExpert is longer than the sequences of"
                f" n_steps={self.n_steps}; use at most that."
            )
        super().check_parameters()

    @property
    def hidden_layer_sizes(self):
        """Units in the hidden layer."""
        return (self.hidden,)

    @property
    def _n_positions(self):
        return self.n_steps - self.window + 1

    # -- windows ---------------------------------------------------------------------------

    def _n_features(self, n_columns):
        """Return the features of a step; a ValueError where X is no sequence of so many steps."""
        if n_columns % self.n_steps or not n_columns:
            raise ValueError(
                f"n_steps={self.n_steps} of TimeDelayExpert: the expert sees {n_columns} columns,"
                " which is no multiple of it; lay the steps out flat, all features of one after"
                " those of another."
            )
        return n_columns // self.n_steps

    def _n_inputs(self, X):
        return self.window * self._n_features(X.shape[1])

    def _known_of(self, X, resp):
        """Return centre and standard deviation of every feature over rows and steps, (1, 2, c)."""
        weight = np.repeat(resp.sum(axis=1), self.n_steps)
        steps = X.reshape(len(weight), -1).astype(np.float64)
        total = weight.sum()
        centre = weight @ steps / total
        spread = np.sqrt(weight @ (steps - centre) ** 2 / total)
        unit = np.where(spread > 1e-10 * np.abs(centre), spread, 1.0)
        return {"channels": np.stack([centre, np.where(unit > 0, unit, 1.0)])[None]}

    def _windows(self, params, X):
        """Return all windows in units of the features, (n · positions, window · c)."""
        centre, unit = params["channels"][0]
        steps = (np.reshape(X, (len(X), self.n_steps, -1)) - centre) / unit
        return windows(steps, self.window)

    # -- the model -------------------------------------------------------------------------

    def _layers(self, params, X):
        layers = super()._layers(params, self._windows(params, X))
        K, _, outputs = layers[-1].shape
        return [*layers[:-1], layers[-1].reshape(K, len(X), -1, outputs).sum(axis=2)]

    def _rows(self, params, X, widths, compiled=True):
        return _SummedRows(self._windows(params, X), widths, self.activation, self._n_positions)

    def _backward(self, params, layers, slope):
        return super()._backward(params, layers, np.repeat(slope, self._n_positions, axis=1))

    def _derivatives(self, params, X, y, resp):
        fixed = {"channels": np.zeros_like(params["channels"])}
        return super()._derivatives(params, X, y, resp) | fixed

    def _trained(self, params, X, y, resp, max_iter, scaled=True):
        own = super()._trained(params, X, y, resp, max_iter, scaled)
        return own | {"channels": params["channels"]}

    def coordinates(self, params):
        return super().coordinates(params) | {"channels": "fixed"}

    # -- the caller's side -------------------------------------------------------------------

    def _window_units(self, channels, units):
        """Return the units of one network: windows by those of the features, and a share of y."""
        centre, unit = (np.tile(one, self.window) for one in channels[0])
        y = replace(units.y, center=units.y.center / self._n_positions)  # they add up to y's
        return Units(Scaling(np.zeros(len(unit), dtype=int), centre, 1 / unit), y)

    def to_caller(self, params, units):
        """Return ``coefs`` and ``intercepts`` of one network, as of `MLPExpert`, and ``channels``.

        These are centre and standard deviation of every feature, (1, 2, c).
        """
        channels = params["channels"]
        values = super().to_caller(params, self._window_units(channels, units))
        return values | {"channels": channels}

    def from_caller(self, values, units, n_experts, classes=None):
        n_features = self._n_features(len(units.x.center))
        plain = np.stack([np.zeros(n_features), np.ones(n_features)])[None]
        channels, rest = plain, values
        if isinstance(values, dict):
            channels = np.asarray(values.get("channels", plain), dtype=np.float64)
            rest = {name: value for name, value in values.items() if name != "channels"}
        if channels.shape != plain.shape or not (channels[0, 1] > 0).all():
            raise ValueError(
                f"init_params: channels of the expert needs shape {plain.shape}, centres and"
                f" positive units; got {channels.shape}."
            )
        params = super().from_caller(rest, self._window_units(channels, units), n_experts, classes)
        return params | {"channels": channels}

    def view(self, params, k, units, **options):
        shown = super().view(params, k, units, **options)
        shown._n_steps, shown._window = self.n_steps, self.window
        return shown


class _SummedRows(_network.Rows):
    """One network on the windows of rows, its outputs summed over a row's.

    Parameters
    ----------
    X : ndarray of shape (n · positions, window · c)
    widths, activation : as of `Rows`
    positions : int
    """

    def __init__(self, X, widths, activation, positions):
        super().__init__(X, widths, activation)
        self.positions = positions

    def outputs(self, vector):
        each = super().outputs(vector)
        return each.reshape(-1, self.positions, each.shape[1]).sum(axis=1)

    def gradient(self, error):
        return super().gradient(np.repeat(error, self.positions, axis=0))

    def _slopes(self, error):
        each = super()._slopes(np.repeat(error, self.positions, axis=0))
        return each.reshape(len(error), self.positions, -1).sum(axis=1)


class TimeDelayView(NetworkView):
    """`coefs_` and `intercepts_` of the network that is summed over the windows."""

    def _linear_predictor(self, X):
        X = self._own_columns(X)
        each = self._network(windows(X.reshape(len(X), self._n_steps, -1), self._window))
        return each.reshape(len(X), -1, each.shape[1]).sum(axis=1)


class TimeDelayRegressionView(TimeDelayView, NetworkRegressionView):
    """One time-delay network of a regressor: `coefs_`, `intercepts_`, `scale_`, `predict`."""


class TimeDelayClassificationView(TimeDelayView, NetworkClassificationView):
    """One time-delay network of a classifier: `coefs_`, `intercepts_`, `predict_proba`."""


TimeDelayExpert._views = TimeDelayRegressionView, TimeDelayClassificationView


def windows(steps, width):
    """Return all windows of `width` steps of sequences (n, T, c), (n · positions, width · c)."""
    found = np.lib.stride_tricks.sliding_window_view(steps, width, axis=1)  # (n, ., c, width)
    return found.swapaxes(2, 3).reshape(-1, width * steps.shape[2])
