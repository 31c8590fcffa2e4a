"""log Γ beyond its leading terms, for families whose nuisance parameter may become huge.

With log Γ(x) = x log x - x + R(x), differences of log Γ at 1e8 or 1e12 keep their digits if they
are taken of R and of x log x apart. Each function is the derivative of the one before.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, polygamma, psi

SERIES = 20.0
"""From here on Stirling's series, of which the first term left out is below 1e-15."""


def remainder(x):
    """R(x) = log Γ(x) - x log x + x."""
    big, small, u, v = _split(x)
    series = u / 12 * (1 - v / 30 * (1 - v * (2 / 7 - v * 3 / 14)))
    near = gammaln(small) - small * np.log(small) + small
    return np.where(x >= SERIES, 0.5 * np.log(2 * np.pi / big) + series, near)


def remainder_slope(x):
    """R′(x) = ψ(x) - log x."""
    _, small, u, v = _split(x)
    series = -u * (0.5 + u / 12 * (1 - v * (0.1 - v * (1 / 21 - v / 20))))
    return np.where(x >= SERIES, series, psi(small) - np.log(small))


def remainder_curvature(x):
    """R″(x) = ψ′(x) - 1/x."""
    _, small, u, v = _split(x)
    series = v * (0.5 + u * (1 / 6 - v * (1 / 30 - v * (1 / 42 - v / 30))))
    return np.where(x >= SERIES, series, polygamma(1, small) - 1 / small)


def _split(x):
    """x where the series holds, x where it does not, and 1/x, 1/x² of the former."""
    big, small = np.maximum(x, SERIES), np.minimum(x, SERIES)
    return big, small, 1 / big, 1 / big**2
