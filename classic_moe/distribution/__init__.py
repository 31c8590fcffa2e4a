"""The distribution that `predict_dist` returns, and what it is made of."""

from .mixture import MixtureDistribution
from .multivariate import MultivariateNormalComponents
from .univariate import UnionComponents

__all__ = ["MixtureDistribution", "MultivariateNormalComponents", "UnionComponents"]
