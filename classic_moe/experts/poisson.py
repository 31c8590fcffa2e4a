"""Poisson experts: counts whose logarithm of the mean is linear in x."""

from types import MappingProxyType

import numpy as np

from .._kernels import array, counts
from ..distribution.families import poisson
from ..parts.records import Inputs, Target
from .generalized import GeneralizedLinearExpert


class PoissonExpert(GeneralizedLinearExpert):
    r"""Poisson expert for counts, with an offset for exposure.

    .. math:: y \mid x \sim \mathrm{Poisson}(\exp(b_k^\top x + a_k + \mathrm{offset}))

    Parameters
    ----------
    alpha : float, "auto" or "weak", default=1e-6
        Ridge penalty ½·alpha·‖b‖² on the slopes, x standardised. The default only keeps them
        finite where a region holds nothing but zeros; 0 is maximum likelihood.

    References
    ----------
    Nelder, J. A. & Wedderburn, R. W. M. (1972). Generalized linear models. JRSS A 135, 370-384.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.random.default_rng(0).poisson(np.exp(1 + np.abs(X[:, 0])))
    >>> model = MixtureOfExpertsRegressor(2, expert="poisson", random_state=0).fit(X, y)
    >>> model.experts_[0].predict(X).shape
    (200,)
    """

    target = Target(outputs=1, kind="mass", positive=True, offset=True)
    inputs = Inputs(any_array=True)
    holds = "counts (0, 1, 2, ...)"

    weak = MappingProxyType({"alpha": 1e-6})

    def __init__(self, alpha: float | str = 1e-6) -> None:
        self.alpha = alpha

    def log_density(self, y, eta):
        return counts.poisson(y, eta)

    def derivatives(self, y, eta):
        mean = array.namespace(eta).exp(eta)
        return y - mean, mean

    def distribution(self, mean):
        return poisson(mean)

    def supports(self, y):
        return (y >= 0) & (y == np.floor(y))
