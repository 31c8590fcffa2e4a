"""Log masses of counts that keep their digits, however large the counts are.

Each is taken relative to the mean under which y is the most probable, so that terms of the size of
y log y never meet.
"""

from __future__ import annotations

from .array import namespace
from .special import remainder, special

LARGE = 1e4
"""Counts from which y log y - y - log y! has lost four digits if its terms are subtracted."""


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


def negative_binomial_at_mean(y, size):
    """log p(y) where μ = y: R(s + y) - R(s) + y log y - y - log y!, with s = 1/φ, (n, K)."""
    return remainder(size + y) - remainder(size) + factorial_gap(y)


def factorial_gap(y):
    """y log y - y - log y!, 0 where y is."""
    xp = namespace(y)
    size = xp.maximum(y, 1.0)
    near = y * xp.log(size) - y - special(xp).gammaln(y + 1)
    # log y! = log Γ(y) + log y
    return xp.where(y < LARGE, near, -remainder(size) - xp.log(size))
