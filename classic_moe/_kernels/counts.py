"""Log masses of counts that keep their digits, however large the counts are.

Each is taken relative to the mean under which y is the most probable, so that terms of the size of
y log y never meet.
"""

from __future__ import annotations

from .array import namespace
from .special import remainder, special, with_twin

LARGE = 1e4
"""Counts from which y log y - y - log y! has lost four digits if its terms are subtracted."""


@with_twin
def poisson(y, eta):
    """log p(y) of a Poisson distribution of mean exp(eta): (n, 1), (n, K) -> (n, K)."""
    xp = namespace(eta)
    size = xp.maximum(y, 1.0)
    gap = eta - xp.log(size)
    return y * gap - size * xp.expm1(gap) + (factorial_gap(y) + (y - size))


def negative_binomial(y, eta, dispersion):
    """log p(y) of mean μ = exp(eta) and variance μ + φμ², less `negative_binomial_at_mean`.

    In terms of t = 1/φ + y and g = log(μ/y) it is y g - t log(1 + (μ - y)/t), (n, K).
    """
    xp = namespace(eta)
    size, at_least_1 = 1 / dispersion, xp.maximum(y, 1.0)
    sizes, gap = size + xp.zeros_like(eta), eta - xp.log(at_least_1)
    total = sizes + y
    # Relative to μ = y, and from the smaller of y and 1/φ: large counts keep their digits.
    rise = (at_least_1 * xp.expm1(gap) + at_least_1 - y) / total
    few = y * gap - total * xp.log1p(xp.maximum(rise, -0.5))  # more where y < 1/φ
    # 1/φ <= y where this is taken, so the share of 1/φ is at most a half
    share = xp.minimum(size / total, 0.5)
    many = -size * gap - total * xp.log1p(share * xp.expm1(-gap))
    return xp.where(y < sizes, few, many)


def negative_binomial_slopes(y, eta, dispersion):
    """Derivatives of the log mass in η and in s = 1/φ, (n, K) each, as far as they are elementary.

    Returns the slope in η and minus the curvature, (y - μ)/(1 + φμ) and φμ (s + y)/(1 + φμ)²; and,
    with t = s + y and e = (y - μ)/(s + μ),

        log(t/(s + μ)) - e    and    e²/t,

    which are the first and the second derivative in s but for R'(t) - R'(s) and R''(t) - R''(s).
    """
    xp = namespace(eta)
    size, score = 1 / dispersion, eta + xp.log(dispersion)
    share, rest = special(xp).expit(score), special(xp).expit(-score)
    total, mean = y + (size + xp.zeros_like(eta)), xp.exp(eta)
    centre = size + mean
    excess = (y - mean) / centre
    far = xp.log(total) - xp.log(centre)
    first = xp.where(excess > -0.5, xp.log1p(xp.maximum(excess, -0.5)), far) - excess
    return y * rest - size * share, total * share * rest, first, excess**2 / total


def negative_binomial_at_mean(y, size):
    """log p(y) where μ = y: R(s + y) - R(s) + y log y - y - log y!, with s = 1/φ, (n, K)."""
    return remainder(size + y) - remainder(size) + factorial_gap(y)


@with_twin
def binomial(successes, failures, eta):
    """log p of successes and failures, (n, 1) each, with log-odds eta (n, K): (n, K)."""
    xp, zero = namespace(eta), namespace(eta).zeros_like(eta)
    gammaln, total = special(xp).gammaln, successes + failures
    ways = gammaln(total + 1) - gammaln(successes + 1) - gammaln(failures + 1)
    near = ways - successes * xp.logaddexp(zero, -eta) - failures * xp.logaddexp(zero, eta)
    if not xp.any(total >= LARGE):
        return near
    # With d = m p - s it is s log(1 + d/s) + f log(1 - d/f) and what there is at p = s/m.
    excess = failures * special(xp).expit(eta) - successes * special(xp).expit(-eta)
    far = _share(successes, total, excess, eta) + _share(failures, total, -excess, -eta)
    at_mean = factorial_gap(successes) + factorial_gap(failures) - factorial_gap(total)
    return xp.where(total < LARGE, near, far + at_mean)


@with_twin
def binomial_slopes(successes, failures, eta):
    """The derivative of the log mass in the log-odds and minus the second, (n, K) each."""
    expit = special(namespace(eta)).expit
    p, rest = expit(eta), expit(-eta)
    return successes * rest - failures * p, (successes + failures) * p * rest


def _share(y, total, excess, eta):
    """y log(p m / y) with p m - y = excess and log-odds eta of p, (n, K)."""
    xp, size = namespace(eta), namespace(eta).maximum(y, 1.0)
    rise = excess / size
    # log p = -log(1 + exp(-eta)), where the excess has lost its digits
    log_p = -xp.logaddexp(xp.zeros_like(eta), -eta)
    apart = log_p + xp.log(xp.maximum(total, 1.0) / size)
    return y * xp.where(rise > -0.5, xp.log1p(xp.maximum(rise, -0.5)), apart)


@with_twin
def factorial_gap(x):
    """x log x - x - log x!, 0 where x is."""
    xp = namespace(x)
    size = xp.maximum(x, 1.0)
    near = x * xp.log(size) - x - special(xp).gammaln(x + 1)
    # log x! = log Γ(x) + log x
    return xp.where(x < LARGE, near, -remainder(size) - xp.log(size))
