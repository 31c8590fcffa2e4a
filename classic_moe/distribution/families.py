"""The families of the experts as distributions of scipy, right however far out they are asked.

Each is scipy's class, or one like it, with those functions replaced that lose digits or overflow
where counts, shapes or degrees of freedom are large. Frozen, they are what `MixtureDistribution`
takes.
"""

import numpy as np
from scipy import special, stats

from .._kernels import counts
from .._kernels.special import remainder

__all__ = ["gamma", "laplace", "negative_binomial", "norm", "poisson", "t"]

MOST = np.finfo(float).max
SMALLEST = np.finfo(float).tiny
ROOT_MOST = 1e150
"""Sums of its square are far from the largest number."""
MOST_COUNT = 2.0**63 - 1024
"""The largest count that is drawn: the last that a double and a 64-bit integer both hold."""
MANY = 2.0**53
"""Rates from which a Poisson draw is a normal one: doubles of this size are whole numbers."""


LARGEST_GAP = 500.0
"""Logarithms of y over its mean are cut off here, where the density has long been 0."""
LARGE_DF = 1e3
"""Degrees of freedom from which differences of log Γ have lost three digits."""
HUGE = 1e30
"""Size of counts from which their Poisson part is nothing beside that of their rates."""
FAR = 1e8
"""In units of √ν, whence on a t distribution has the tail of a power law, to 16 digits."""


def square(x):
    """Return x², at most 1e300."""
    return np.minimum(np.abs(x), ROOT_MOST) ** 2


def _log(x):
    """Return log x, finite for 0 too."""
    return np.log(np.maximum(x, SMALLEST))


# -- counts --------------------------------------------------------------------------------------


class Poisson(stats.rv_discrete):
    """Counts of mean mu."""

    def _argcheck(self, mu):
        return mu >= 0

    def _logpmf(self, k, mu):
        return counts.poisson(k, _log(mu))

    def _pmf(self, k, mu):
        return np.exp(self._logpmf(k, mu))

    def _cdf(self, k, mu):
        return special.gammaincc(np.floor(k) + 1, mu)

    def _sf(self, k, mu):
        return special.gammainc(np.floor(k) + 1, mu)

    def _stats(self, mu):
        return mu, mu, np.nan, np.nan

    def _rvs(self, mu, size=None, random_state=None):
        return draw_counts(mu, size, random_state)


class NegativeBinomial(stats.rv_discrete):
    """Counts of mean mu and variance mu + dispersion·mu²."""

    def _argcheck(self, mu, dispersion):
        return (mu >= 0) & (dispersion > 0)

    def _logpmf(self, k, mu, dispersion):
        at_mean = counts.negative_binomial_at_mean(k, 1 / dispersion)
        return counts.negative_binomial(k, _log(mu), dispersion) + at_mean

    def _pmf(self, k, mu, dispersion):
        return np.exp(self._logpmf(k, mu, dispersion))

    def _cdf(self, k, mu, dispersion):
        tails = special.betaincc, special.betainc, special.gammainc
        return _tail_of_counts(np.floor(k) + 1, mu, dispersion, *tails)

    def _sf(self, k, mu, dispersion):
        tails = special.betainc, special.betaincc, special.gammaincc
        return _tail_of_counts(np.floor(k) + 1, mu, dispersion, *tails)

    def _stats(self, mu, dispersion):
        return mu, square(self.std(mu, dispersion)), np.nan, np.nan

    def std(self, mu, dispersion, loc=0.0):
        """Return the standard deviation, whose square may overflow."""
        return np.sqrt(mu) * np.sqrt(1 + dispersion * mu)

    def _rvs(self, mu, dispersion, size=None, random_state=None):
        # Poisson with a rate that is gamma, of mean mu and shape 1/φ
        shape = np.broadcast_to(1 / dispersion, np.broadcast_shapes(np.shape(dispersion), size))
        rate = mu * (random_state.standard_gamma(shape) * dispersion)
        return draw_counts(np.minimum(rate, MOST), size, random_state)


def _tail_of_counts(above, mu, dispersion, of_share, of_rest, of_rate):
    """Return a tail by the incomplete beta function of φμ/(1 + φμ), or that of 1/(1 + φμ).

    Of the two the smaller one has all its digits. Counts that are `HUGE` are their gamma rates,
    but for one part in 1e15.
    """
    ratio, size = dispersion * mu, 1 / dispersion
    beta = np.where(
        ratio < 1,
        of_share(above, size, ratio / (1 + ratio)),
        of_rest(size, above, 1 / (1 + ratio)),
    )
    huge = (ratio > HUGE) & (above > HUGE)
    return np.where(huge, of_rate(size, above / np.maximum(ratio, SMALLEST)), beta)


def draw_counts(rate, size, rng):
    """Return draws from Poisson distributions, int64, at most `MOST_COUNT`."""
    few = np.asarray(rng.poisson(np.minimum(rate, MANY), size))
    far = np.broadcast_to(rate >= MANY, few.shape)
    if not far.any():
        return few
    rate = np.broadcast_to(rate, few.shape)
    normal = rate + np.sqrt(rate) * rng.standard_normal(few.shape)
    return np.where(far, np.clip(normal, 0, MOST_COUNT), few).astype(np.int64)


# -- real numbers --------------------------------------------------------------------------------


class Normal(type(stats.norm)):
    """Normal distributions, of which no log-density overflows."""

    def _logpdf(self, x):
        return -0.5 * square(x) - 0.5 * np.log(2 * np.pi)


class StudentT(type(stats.t)):
    """t distributions of any degrees of freedom."""

    def _logpdf(self, x, df):
        # log(1 + x²/ν), twice log(|x|/√ν) where the square would overflow
        ratio = np.abs(x) / np.sqrt(df)
        near = np.log1p(np.minimum(ratio, ROOT_MOST) ** 2)
        log_power = np.where(ratio < ROOT_MOST, near, 2 * np.log(np.maximum(ratio, 1)))
        return log_t_norm(-0.5 * np.log(2 * np.pi), df, 1) - 0.5 * (df + 1) * log_power

    def _pdf(self, x, df):
        return np.exp(self._logpdf(x, df))

    def _cdf(self, x, df):
        tail = _power_tail(x, df)
        return np.where(_is_far(x, df), np.where(x < 0, tail, 1 - tail), super()._cdf(x, df))

    def _sf(self, x, df):
        return self._cdf(-x, df)

    def _ppf(self, q, df):
        # where ½ z^a / (a B(a, ½)) is the tail p, with a = ν/2 and z = ν/x²
        p, a = np.minimum(q, 1 - q), 0.5 * df
        log_z = (np.log(2 * p) + np.log(a) + special.betaln(a, 0.5)) / a
        far = np.sqrt(df) * np.exp(np.minimum(-0.5 * log_z, 709.0 - 0.5 * np.log(df)))
        near = super()._ppf(q, df)
        return np.where(_is_far(far, df), np.copysign(far, q - 0.5), near)

    def _isf(self, q, df):
        return -self._ppf(q, df)

    def _stats(self, df):
        variance = np.where(df > 2, df / np.where(df > 2, df - 2, 1.0), np.inf)
        return np.where(df > 1, 0.0, np.nan), variance, np.nan, np.nan


def _is_far(x, df):
    """Return whether x lies where the tail is a power law."""
    return np.abs(x) > FAR * np.sqrt(df)


def _power_tail(x, df):
    """Return the tail beyond ±|x|: ½ z^a / (a B(a, ½)) with a = ν/2 and a small z = ν/x²."""
    a, log_z = 0.5 * df, np.minimum(np.log(df) - 2 * _log(np.abs(x)), 0.0)
    return 0.5 * np.exp(a * log_z - np.log(a) - special.betaln(a, 0.5))


def log_t_norm(log_norm, df, q):
    """Return log_norm, the normal's, + log Γ((ν + q)/2) - log Γ(ν/2) - ½ q log(ν/2), (K,)."""
    half = special.gammaln(df / 2)
    near = log_norm + special.gammaln((df + q) / 2) - half - 0.5 * q * np.log(df / 2)
    # log Γ(x) = x log x - x + R(x): for a large ν the leading terms would cancel
    a, b = 0.5 * df, 0.5 * (df + q)
    far = b * np.log1p(q / df) - 0.5 * q + remainder(b) - remainder(a)
    return np.where(df < LARGE_DF, near, log_norm + far)


class Gamma(type(stats.gamma)):
    """Gamma distributions of any shape."""

    def logpdf(self, x, a, loc=0.0, scale=1.0):
        """Return the log-density, of which no x/scale underflows."""
        y = np.asarray(x) - loc
        # with g = log(y/mean): a (g - expm1 g) - R(a) - log y
        gap = np.minimum(_log(y) - np.log(a) - np.log(scale), LARGEST_GAP)
        inside = a * (gap - np.expm1(gap)) - remainder(a) - _log(y)
        at_0 = special.xlogy(a - 1, np.maximum(y, 0)) - special.gammaln(a) - np.log(scale)
        return np.where(y > 0, inside, np.where(y == 0, at_0, -np.inf))

    def pdf(self, x, a, loc=0.0, scale=1.0):
        """Return the density."""
        return np.exp(self.logpdf(x, a, loc, scale))


class Laplace(type(stats.laplace)):
    """Laplace distributions, of which no tail overflows."""

    def _logpdf(self, x):
        return -np.abs(x) - np.log(2.0)

    def _cdf(self, x):
        tail = 0.5 * np.exp(-np.abs(x))
        return np.where(x > 0, 1 - tail, tail)


poisson = Poisson(a=0, name="poisson", shapes="mu")
negative_binomial = NegativeBinomial(a=0, name="negative_binomial", shapes="mu, dispersion")
norm = Normal(name="norm")
t = StudentT(name="t")
gamma = Gamma(a=0.0, name="gamma")
laplace = Laplace(name="laplace")
