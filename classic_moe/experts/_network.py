"""Fully connected networks, a bank of K at once: forward, backward, and two ways of training.

The weights of a layer are (K, out, 1 + in), biases first; all K networks see the same X.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

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
    """Return the inputs, (1, n, p), and what every layer makes of them, (K, n, out), a list."""
    activate = ACTIVATIONS[activation][0]
    layers = [np.asarray(X, dtype=np.float64)[None]]
    for i, layer in enumerate(weights):
        score = layers[-1] @ layer[:, :, 1:].swapaxes(1, 2) + layer[:, None, :, 0]
        layers.append(activate(score) if i < len(weights) - 1 else score)
    return layers


def backward(weights, layers, error, activation):
    """Return ∂/∂weights, by layer, of a function whose slope in the last output is `error`.

    Layer by layer from the last, with a_i its input: ∂/∂W_i = errorᵀ [1, a_i], and the error of the
    layer before is (error W_i) times the slope of the activation at a_i.
    """
    slope = ACTIVATIONS[activation][1]
    gradients = []
    for i in reversed(range(len(weights))):
        transposed = error.swapaxes(1, 2)
        bias = error.sum(axis=1)[:, :, None]
        gradients.append(np.concatenate([bias, transposed @ layers[i]], axis=2))
        if i:
            error = (error @ weights[i][:, :, 1:]) * slope(layers[i])
    return gradients[::-1]


def lbfgs(loss, start, max_iter):
    """Return the weights after at most `max_iter` iterations of L-BFGS from `start`.

    `loss` takes weights to a number and its gradient.
    """
    shapes = [layer.shape for layer in start]
    splits = np.cumsum([layer.size for layer in start])[:-1]

    def unpack(vector):
        return [v.reshape(s) for v, s in zip(np.split(vector, splits), shapes, strict=True)]

    def flat(vector):
        value, gradient = loss(unpack(vector))
        return value, np.concatenate([g.ravel() for g in gradient])

    found = minimize(
        flat,
        np.concatenate([layer.ravel() for layer in start]),
        jac=True,
        method="L-BFGS-B",
        # Small networks are ill-conditioned: a memory of 30 steps pays, and costs next to nothing.
        options={"maxiter": max_iter, "maxcor": 30, "ftol": 1e-13, "gtol": 1e-8},
    )
    return unpack(found.x)


def adam(loss, start, max_iter, n_rows, batch_size, learning_rate):
    """Return the best weights of `max_iter` epochs of Adam, judged by the loss of all rows.

    `loss` takes weights, and positions of rows or nothing for all, to a number and its gradient.
    The rows are shuffled by a fixed sequence: the result depends on the arguments alone.
    """
    rng = np.random.default_rng(0)
    weights, best = list(start), list(start)
    lowest = loss(start)[0]
    first, second = ([np.zeros_like(layer) for layer in start] for _ in range(2))
    t = 0
    for _ in range(max_iter):
        order = rng.permutation(n_rows)
        for begin in range(0, n_rows, batch_size):
            t += 1
            gradient = loss(weights, order[begin : begin + batch_size])[1]
            rate = learning_rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            first = [0.9 * m + 0.1 * g for m, g in zip(first, gradient, strict=True)]
            second = [0.999 * v + 0.001 * g**2 for v, g in zip(second, gradient, strict=True)]
            weights = [
                w - rate * m / (np.sqrt(v) + 1e-8)
                for w, m, v in zip(weights, first, second, strict=True)
            ]
        value = loss(weights)[0]
        if value < lowest:
            best, lowest = weights, value
    return best
