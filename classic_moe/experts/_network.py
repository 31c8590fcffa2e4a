"""Fully connected networks, a bank of K at once: forward, backward, and two ways of training.

The weights of a layer are (K, out, 1 + in), biases first; all K networks see the same X. Training
takes one network at a time, whose weights are then one vector, layer after layer.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.linalg.lapack import dtrtrs
from scipy.special import expit

from .._kernels import array
from ..parts.linalg import quasi_newton

SMALL = 512
"""Rows up to which numpy is quick enough to save the user numba's loading and compiling."""
MEMORY = 30
"""Steps that L-BFGS remembers: small networks are ill-conditioned, and it costs next to nothing."""
BACKTRACKS = 20
"""Times that a step of L-BFGS is shortened."""
DAMPING = 1e-4
"""Relative to its diagonal, what is added to the matrix of Gauss and Newton."""

ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 - a**2),
    "relu": (lambda z: np.maximum(z, 0.0), lambda a: 1.0 * (a > 0)),
    "logistic": (expit, lambda a: a * (1 - a)),
    "identity": (lambda z: z, lambda a: 1.0),
}
"""The function of a hidden unit, and its derivative in terms of its value."""


def initial_weights(widths, n_networks, activation, random_state):
    """Return small random weights, uniform as of Glorot & Bengio with biases 0, by layer."""
    gain = 2.0 if activation == "logistic" else 6.0  # a logistic unit has a quarter of the slope
    weights = []
    for n_in, n_out in pairwise(widths):
        bound = np.sqrt(gain / (n_in + n_out))
        layer = random_state.uniform(-bound, bound, (n_networks, n_out, 1 + n_in))
        layer[:, :, 0] = 0.0
        weights.append(layer)
    return weights


def forward(weights, X, activation):
    """Return the inputs, (1, n, p), and what every layer makes of them, (K, n, out), a list.

    X may be (K, n, p) too, with rows of its own for every network, and then so are the inputs.
    """
    activate = ACTIVATIONS[activation][0]
    X = np.asarray(X, dtype=np.float64)
    layers = [X if X.ndim == 3 else X[None]]
    for i, layer in enumerate(weights):
        score = layers[-1] @ layer[:, :, 1:].swapaxes(1, 2) + layer[:, None, :, 0]
        layers.append(activate(score) if i < len(weights) - 1 else score)
    return layers


def backward(weights, layers, error, activation):
    """Return ∂/∂weights, by layer, of a function whose slope in the last output is `error`.

    Layer by layer from the last, with a_i its input: ∂/∂W_i = errorᵀ [1, a_i], and the error of the
    layer before is (error W_i) times the slope of the activation at a_i.
    """
    return backward_to_first(weights, layers, error, activation)[0]


def backward_to_first(weights, layers, error, activation):
    """Return ∂/∂weights, as `backward`, and the slope in the scores of the first layer, (K, n, h).

    That times ``weights[0][:, :, 1:]`` is the slope in the inputs.
    """
    slope = ACTIVATIONS[activation][1]
    gradients = []
    for i in reversed(range(len(weights))):
        transposed = error.swapaxes(1, 2)
        bias = error.sum(axis=1)[:, :, None]
        gradients.append(np.concatenate([bias, transposed @ layers[i]], axis=2))
        if i:
            error = (error @ weights[i][:, :, 1:]) * slope(layers[i])
    return gradients[::-1], error


def flat(weights):
    """Return the weights of one network, layers (1, out, 1 + in), as one vector."""
    return np.concatenate([layer.ravel() for layer in weights])


def widths_of(weights):
    """Return the units of every layer, inputs and outputs included."""
    return (*(layer.shape[2] - 1 for layer in weights), weights[-1].shape[1])


def layered(vector, widths):
    """Return the layers, (1, out, 1 + in), of the weights of one network, views of a vector."""
    layers, start = [], 0
    for n_in, n_out in pairwise(widths):
        end = start + n_out * (1 + n_in)
        layers.append(vector[start:end].reshape(1, n_out, 1 + n_in))
        start = end
    return layers


class Rows:
    """One network on some rows: what it makes of them, and derivatives.

    Each method after `outputs` is about the weights that it was last called with.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    widths : tuple of int
        Units of every layer, inputs and outputs included.
    activation : str
    """

    def __init__(self, X, widths, activation):
        self.X, self.widths, self.activation = X, widths, activation
        self.weights = None

    def outputs(self, vector):
        """Return the last layer, (n, C)."""
        self.weights = layered(vector, self.widths)
        self.layers = forward(self.weights, self.X, self.activation)
        return self.layers[-1][0]

    def gradient(self, error):
        """Return the derivative of a function whose slope in the outputs is `error` (n, C)."""
        return flat(backward(self.weights, self.layers, error[None], self.activation))

    def gram(self, errors):
        """Return Σ over errors (n, C) and rows of the outer squares of a row's derivative."""
        return sum(slopes.T @ slopes for error in errors for slopes in [self._slopes(error)])

    def of_classes(self, output, y):
        """Return log p(y|x) of classes (n,), and its slope in the outputs (n, C)."""
        log_p, here = array.log_softmax(output), np.arange(len(y))
        slope = -np.exp(log_p)
        slope[here, y] += 1.0
        return log_p[here, y], slope

    def _slopes(self, error):
        """Return the derivatives row by row, (n, number of weights)."""
        slope, found = ACTIVATIONS[self.activation][1], []
        for i in reversed(range(len(self.weights))):
            inputs = array.with_intercept(self.layers[i][0])
            found.append((error[:, :, None] * inputs[:, None, :]).reshape(len(error), -1))
            if i:
                error = (error @ self.weights[i][0, :, 1:]) * slope(self.layers[i][0])
        return np.concatenate(found[::-1], axis=1)


class CompiledRows(Rows):
    """The same, compiled: for many rows."""

    def __init__(self, X, widths, activation):
        from .._kernels import compiled, quick  # numba is imported here, at first use

        super().__init__(X, widths, activation)
        self.compiled, self.kind = compiled, list(ACTIVATIONS).index(activation)
        self.array = quick.Quick
        self.sizes = np.array(widths)
        rows = int(self.sizes.sum()) + len(widths)
        self.layers = np.empty((-(-len(X) // compiled.BLOCK), rows, compiled.BLOCK))
        compiled.network_input(X, self.layers)

    def _known(self):
        return self.weights, self.sizes, self.kind

    def outputs(self, vector):
        if self.weights is None or not np.array_equal(vector, self.weights):
            self.weights = np.array(vector)
            self.compiled.network_forward(*self._known(), self.layers, len(self.X))
        last = self.layers[:, -self.widths[-1] :, :].swapaxes(0, 1)
        return last.reshape(self.widths[-1], -1)[:, : len(self.X)].T.view(self.array)

    def gradient(self, error):
        gradient, error = np.zeros_like(self.weights), np.ascontiguousarray(np.asarray(error).T)
        self.compiled.network_backward(*self._known(), self.layers, len(self.X), error, gradient)
        return gradient

    def gram(self, errors):
        errors = np.stack([np.asarray(error).T for error in errors])
        gram = np.zeros((len(self.weights),) * 2)
        self.compiled.network_gram(*self._known(), self.layers, len(self.X), errors, gram)
        return gram

    def epoch(self, y, weight, precision, ridge, total, vector, first, second, t, order, *steps):
        """Take the steps of Adam through all rows once, in place: the twin of `epoch`."""
        batch_size, rate = steps
        X = np.ascontiguousarray(self.X, dtype=np.float64)
        codes = y if y.ndim == 1 else np.empty(0, dtype=np.int64)
        target = np.empty((0, 1)) if y.ndim == 1 else np.ascontiguousarray(y, dtype=np.float64)
        about = X, target, codes, np.ascontiguousarray(weight), order, batch_size
        rest = precision, ridge, float(total), rate, t, vector, first, second
        self.compiled.network_epoch(*about, self.sizes, self.kind, *rest)

    def of_classes(self, output, y):
        n, C = output.shape
        density, slope = np.empty(n), np.empty((C, n))
        rows = np.ascontiguousarray(np.asarray(output).T)
        self.compiled.network_classes(rows, y, density, slope)
        return density, slope.T


def rows_of(X, widths, activation):
    """Return the `Rows` of a network, compiled where that repays loading numba."""
    return (Rows if len(X) <= SMALL else CompiledRows)(X, widths, activation)


def lbfgs(loss, start, curvature, max_iter):
    """Return the weights after at most `max_iter` iterations of L-BFGS, (m,), and the loss's fall.

    `loss.value` takes weights to a number, and `loss.slope` is the gradient where it was last
    asked; `start` are the weights to begin with. `curvature`
    is a matrix about as its Hessian there, (m, m), or None. With its factor, curvature = L Lᵀ, the
    steps are taken in v = Lᵀ (w - start), where it is the identity: the first is one of Gauss and
    Newton's. A small network's loss takes less time than scipy's loop, hence this one.
    """
    root = None if curvature is None else _factor(curvature)

    def weights(v):
        return start + (v if root is None else _solve(root, v, trans=1))

    def value_in_v(v):
        return loss.value(weights(v))

    def slope_in_v():
        slope = loss.slope()
        return slope if root is None else _solve(root, slope)

    point, pairs = np.zeros_like(start), []
    before = value = value_in_v(point)
    slope = slope_in_v()
    for _ in range(max_iter):
        direction = quasi_newton(-slope, pairs)
        rise = float(slope @ direction)
        first = root is None and not pairs
        step = min(1.0, 1 / max(np.linalg.norm(slope), 1e-300)) if first else 1.0
        for _ in range(BACKTRACKS):
            new = value_in_v(point + step * direction)
            if new <= value + 1e-4 * step * rise:
                break
            # the minimum of the parabola through both values and the slope at the start
            bend = new - value - step * rise
            shorter = -0.5 * rise * step / bend if np.isfinite(bend) and bend > 0 else 0.1
            step *= min(max(shorter, 0.1), 0.5)
        else:
            break
        new_slope = slope_in_v()
        moved, turn = step * direction, new_slope - slope
        if moved @ turn > 1e-10 * np.sqrt((moved @ moved) * (turn @ turn)):
            pairs = [*pairs, (moved, turn)][-MEMORY:]
        fall, point, value, slope = value - new, point + moved, new, new_slope
        if fall <= 1e-13 * max(abs(value), 1.0) or np.abs(slope).max() <= 1e-8:
            break
    return weights(point), before - value


def _solve(root, rhs, trans=0):
    """Return L⁻¹ rhs, or L⁻ᵀ rhs where `trans` is 1."""
    return dtrtrs(root, rhs, lower=1, trans=trans)[0]


def _factor(curvature):
    """Return the Cholesky factor of a positive semidefinite matrix, a little damped; or None."""
    diagonal = np.diagonal(curvature)
    damped = curvature + DAMPING * np.diag(diagonal + diagonal.mean())
    try:
        return np.linalg.cholesky(damped)
    except np.linalg.LinAlgError:
        return None


def adam(loss, start, max_iter, n_rows, batch_size, learning_rate):
    """Return the best weights of `max_iter` epochs of Adam, (m,), and by how much the loss fell.

    The best by the loss of all rows.

    `loss.epoch` is `epoch` below or its twin. The rows are shuffled by a fixed sequence: the result
    depends on the arguments alone.
    """
    rng = np.random.default_rng(0)
    weights, moments = start.copy(), (np.zeros_like(start), np.zeros_like(start))
    best, before = start, loss.value(start)
    lowest, t = before, 0
    for _ in range(max_iter):
        order = rng.permutation(n_rows)
        loss.epoch(weights, *moments, t, order, batch_size, learning_rate)
        t += -(-n_rows // batch_size)
        value = loss.value(weights)
        if value < lowest:
            best, lowest = weights.copy(), value
    return best, before - lowest


def epoch(slope_of, weights, first, second, t, order, batch_size, learning_rate):
    """Take the steps of Adam through all rows once, in place.

    `slope_of` takes weights and positions of rows to the gradient of the loss; `first` and `second`
    (m,) are the moments, and t the number of steps before.
    """
    for begin in range(0, len(order), batch_size):
        t += 1
        gradient = slope_of(weights, order[begin : begin + batch_size])
        rate = learning_rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        first *= 0.9
        first += 0.1 * gradient
        second *= 0.999
        second += 0.001 * gradient**2
        weights -= rate * first / (np.sqrt(second) + 1e-8)
