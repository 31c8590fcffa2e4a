"""Log-likelihoods of mixtures written anew, as functions of the named parameters alone.

Nothing of the package is used but the names of the parameters, so that a standard error from their
second differences is one of its own.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

STEP = 0.02
"""Of differences, in standard errors, where a log-likelihood is nearly a parabola: with
Richardson's extrapolation the error is some STEP⁴ = 2e-7, and rounding 1e-16 |l| / STEP²."""


def logsumexp(values, axis=1, keepdims=False):
    return np.logaddexp.reduce(values, axis=axis, keepdims=keepdims)


def normal(deviation, S):
    """log N of deviations (n, 2)."""
    (a, b), (_, d) = S
    determinant = a * d - b * b
    u, v = deviation.T
    square = (d * u * u - 2 * b * u * v + a * v * v) / determinant
    return -0.5 * square - 0.5 * np.log(determinant) - np.log(2 * np.pi)


def linear(p, owner, X, output=""):
    """The linear predictor of an owner, such as "expert 0"."""
    eta = np.full(len(X), p[f"{owner}: intercept{output}"])
    for j, column in enumerate(X.T):
        eta = eta + p.get(f"{owner}: x{j}{output}", 0.0) * column
    return eta


# -- gates: log g_k(x), (n, K) ---------------------------------------------------------------------


def softmax(p, X, K, prefix="gate"):
    scores = [linear(p, f"{prefix} {k}", X) for k in range(K - 1)] + [np.zeros(len(X))]
    scores = np.stack(scores, axis=1)
    return scores - logsumexp(scores, axis=1, keepdims=True)


def tree(p, X, K):
    """((0, 1), 2): the root parts 2 from the others, node 0 the others."""
    root, below = softmax(p, X, 2, "node root, child"), softmax(p, X, 2, "node 0, child")
    return np.column_stack([root[:, :1] + below, root[:, 1]])


def localised(p, X, K):
    """log a_k N(x; m_k, S_k) with two columns."""
    weights = [p[f"gate {k}: weight"] for k in range(K - 1)]
    found = []
    for k, weight in enumerate([*weights, 1 - sum(weights)]):
        mean = [p[f"gate {k}: mean x{j}"] for j in (0, 1)]
        cross = p[f"gate {k}: covariance x0, x1"]
        S = [[p[f"gate {k}: variance x0"], cross], [cross, p[f"gate {k}: variance x1"]]]
        found.append(np.log(weight) + normal(X - mean, S))
    return np.stack(found, axis=1)


# -- experts: log p_k(y|x), (n,) -------------------------------------------------------------------


def gaussian(p, k, X, y):
    scale = p[f"expert {k}: scale"]
    u = (y - linear(p, f"expert {k}", X)) / scale
    return -0.5 * u * u - np.log(scale) - 0.5 * np.log(2 * np.pi)


def two_outputs(p, k, X, y):
    mean = np.stack([linear(p, f"expert {k}", X, f" -> y{j}") for j in (0, 1)], axis=1)
    sd = [p[f"expert {k}: scale -> y{j}"] for j in (0, 1)]
    cross = p[f"expert {k}: covariance y0, y1"]
    return normal(y - mean, [[sd[0] ** 2, cross], [cross, sd[1] ** 2]])


def student_t(p, k, X, y):
    df, scale = p[f"expert {k}: df"], p[f"expert {k}: scale"]
    u = (y - linear(p, f"expert {k}", X)) / scale
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi) - np.log(scale)
    return constant - (df + 1) / 2 * np.log1p(u * u / df)


def poisson(p, k, X, y):
    eta = linear(p, f"expert {k}", X)
    return y * eta - np.exp(eta) - gammaln(y + 1)


def gamma(p, k, X, y):
    eta, shape = linear(p, f"expert {k}", X), p[f"expert {k}: shape"]
    rate = shape * np.exp(-eta)
    return shape * np.log(rate) + (shape - 1) * np.log(y) - rate * y - gammaln(shape)


def negative_binomial(p, k, X, y):
    mean, n = np.exp(linear(p, f"expert {k}", X)), 1 / p[f"expert {k}: dispersion"]
    choose = gammaln(y + n) - gammaln(n) - gammaln(y + 1)
    return choose + n * np.log(n / (n + mean)) + y * np.log(mean / (n + mean))


def binomial(p, k, X, y):
    eta = linear(p, f"expert {k}", X)
    (s, f), n = y.T, y.sum(axis=1)
    choose = gammaln(n + 1) - gammaln(s + 1) - gammaln(f + 1)
    return choose - s * np.logaddexp(0, -eta) - f * np.logaddexp(0, eta)


def logistic(p, k, X, y):
    eta = linear(p, f"expert {k}", X)
    return -np.logaddexp(0, np.where(y == 1, -eta, eta))


def three_classes(p, k, X, y):
    scores = [linear(p, f"expert {k}", X, f" -> {c}") for c in (0, 1)] + [np.zeros(len(X))]
    scores = np.stack(scores, axis=1)
    return (scores - logsumexp(scores, axis=1, keepdims=True))[np.arange(len(y)), y]


# -- the log-likelihood ----------------------------------------------------------------------------


def log_likelihood(gate, experts, X, y, weight=1.0, groups=None, labels=None):
    """The function of {name: value}; `experts` has one density for each expert."""
    K = len(experts)
    impossible = 0.0
    if labels is not None:
        known = (labels[:, None] >= 0) & (labels[:, None] != np.arange(K))
        impossible = np.where(known, -np.inf, 0.0)

    def value(p):
        log_gate = gate(p, X, K) + impossible
        log_density = np.stack([own(p, k, X, y) for k, own in enumerate(experts)], axis=1)
        if groups is None:
            return np.sum(weight * logsumexp(log_gate + log_density, axis=1))
        first, member = np.unique(groups, return_index=True, return_inverse=True)[1:]
        joint = np.zeros((len(first), K))
        np.add.at(joint, member, log_density * np.reshape(weight, (-1, 1)))
        return np.sum(logsumexp(log_gate[first] + joint, axis=1))

    return value


def covariance(value, names, estimates, errors):
    """Minus the inverse of the Hessian by differences, in steps of standard errors."""

    def at(u):
        return value(dict(zip(names, estimates + errors * u, strict=True)))

    hessian = (4 * _hessian(at, len(names), STEP) - _hessian(at, len(names), 2 * STEP)) / 3
    return np.linalg.inv(-hessian) * np.outer(errors, errors)


def _hessian(at, size, h):
    unit, found = h * np.eye(size), np.empty((size, size))
    for i in range(size):
        for j in range(i + 1):
            a, b = unit[i], unit[j]
            change = at(a + b) - at(a - b) - at(b - a) + at(-a - b)
            found[i, j] = found[j, i] = change / (4 * h**2)
    return found
