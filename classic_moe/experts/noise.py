"""The noise expert: takes the rows that no other expert explains."""

from __future__ import annotations

import numpy as np
from scipy.stats import uniform

from ..distribution.families import norm
from ..distribution.multivariate import IndependentComponents
from ..parts.checks import check_option, is_number
from ..parts.kernel import Kernel, Stage, Weights
from ..parts.params import map_leaves
from ..parts.predictors import Terms
from ..parts.records import Inputs
from ..parts.statistics import Statistics
from ..parts.views import shaped, take
from ._location_scale import LocationScaleExpert

HALF_WIDTH = np.sqrt(3.0)
"""Of a uniform distribution, in standard deviations."""


def _stage(expert, params):
    """Return the `Stage` of noise: it has no scores and asks for no sums."""

    def log_prob(scores, y):
        return expert.log_prob(params, None, y), None

    def weights(known, y, resp, order):
        return Weights()

    return Stage(np.zeros((len(params["sd"]), 0, 1)), False, log_prob, weights)


def _no_statistics(expert, params, sums):
    """Return nothing, as nothing is estimated."""
    return Statistics()


KERNEL = Kernel("staged", _stage, _no_statistics)


class NoiseExpert(LocationScaleExpert):
    r"""Noise over the range of y, for outliers: it **ignores x**, and learns nothing.

    .. math:: p_k(y \mid x) = \prod_j \frac{1}{h_j - l_j} \text{ for } l_j \le y_j \le h_j, \quad
              \text{or} \quad \prod_j N(y_j;\; m_j,\; s_j^2)

    Beside other experts it takes the rows that none of them explains, so that these do not bend
    the others; its share of the rows is the gate's to estimate [1]_. By itself it makes no model.
    The range is fixed at the start of the fit, and there are no free parameters: `n_parameters`
    counts 0, as is usual, although the range is seen in the data.

    Parameters
    ----------
    distribution : {"uniform", "normal"}, default="uniform"
        "normal" has the mean and the variance of the uniform distribution: it is never zero, and
        the right choice where later y may lie far outside the range of those fitted.
    margin : float, default=0.1
        How far the range is widened on either side, as a share of the range of y. The density of
        "uniform" is 0 beyond. On data of more than 20,000 rows the range is that of the sample
        which the short starts look at; the few rows beyond are left to the other experts.

    Notes
    -----
    Of a fitted expert, `intercept_` is the middle of the range, `scale_` the standard deviation,
    and `coef_` is empty. "uniform" covers `intercept_` ± √3 `scale_`.

    References
    ----------
    .. [1] Banfield, J. D. & Raftery, A. E. (1993). Model-based Gaussian and non-Gaussian
       clustering. Biometrics 49, 803-821.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.experts import NoiseExpert
    >>> X, y = np.zeros((3, 1)), np.array([0.0, 1.0, 10.0])
    >>> model = MixtureOfExpertsRegressor(1, expert=NoiseExpert()).fit(X, y)
    >>> low, high = model.predict_dist(X[:1]).interval(1 - 1e-12)
    >>> low.round(6), high.round(6)
    (array([-1.]), array([11.]))
    """

    kernel = KERNEL
    inputs = Inputs(uses_x=False)

    def __init__(self, distribution: str = "uniform", margin: float = 0.1) -> None:
        self.distribution = distribution
        self.margin = margin

    def check_parameters(self):
        super().check_parameters()
        check_option(self, "distribution", ("uniform", "normal"))
        if not (is_number(self.margin) and 0 < self.margin < np.inf):
            raise ValueError(
                f"margin={self.margin!r} of NoiseExpert: needs a positive number; 0.1 widens the"
                " range by a tenth on either side."
            )

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y):
        """Return the log-density at y, the same for all x, (n, K)."""
        centre, sd = params["coef"][:, :, 0], params["sd"]
        if self.distribution == "normal":
            return self._distribution(centre, sd).logpdf(y[:, None, :]).sum(axis=2)
        width = 2 * HALF_WIDTH * sd
        share = (y[:, None, :] - (centre - HALF_WIDTH * sd)) / width
        inside = ((share >= 0) & (share <= 1)).all(axis=2)
        return np.where(inside, -np.log(width).sum(axis=1), -np.inf)

    def _distribution(self, centre, sd):
        """Return that of every output by itself, as scipy has it."""
        if self.distribution == "normal":
            return norm(loc=centre, scale=sd)
        return uniform(loc=centre - HALF_WIDTH * sd, scale=2 * HALF_WIDTH * sd)

    def components(self, params, X, units, single_output=True):
        """Return the K distributions in the caller's units, for `MixtureDistribution`."""
        y = units.y
        centre, sd = self.mean(params, X) * y.unit + y.origin, params["sd"] * y.unit
        if single_output:
            return self._distribution(centre[:, :, 0], sd[:, 0])
        return IndependentComponents(self._distribution(centre, sd), centre.shape)

    def predictors(self, params):
        """Return no predictor: there is nothing to estimate."""
        return []

    def rows(self, params, X, y, derivatives=2):
        """Return the log-densities, and derivatives in no predictors, `Terms`."""
        log_prob = self.log_prob(params, X, y)
        shape = log_prob.shape
        return Terms(log_prob, np.zeros((*shape, 0)), np.zeros((*shape, 0, 0)))

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None):
        """Return the range of all rows, whatever their responsibilities."""
        low, high = y.min(axis=0), y.max(axis=0)
        width = np.where(high > low, (1 + 2 * self.margin) * (high - low), 1.0)
        copies = np.ones((resp.shape[1], 1))
        centre = copies * (low + high) / 2
        return {"coef": centre[:, :, None], "sd": copies * width / (2 * HALF_WIDTH)}

    def statistics(self, params, X, y, resp, order=2):
        """Return nothing, as nothing is estimated."""
        return Statistics()

    def maximize(self, params, stats, cautious=False):
        """Return the same params."""
        return params

    def gradient(self, params, stats):
        """Return zeros: nothing may change."""
        return map_leaves(np.zeros_like, params)

    def mean_gradient(self, params, X, slope):
        """Return nothing: the mean depends on nothing that may change."""
        return Statistics()

    def coordinates(self, params):
        """Return that all is fixed."""
        return dict.fromkeys(params, "fixed")

    def n_parameters(self, params):
        """Return 0."""
        return 0

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        """Return "coef", "intercept", "covariance" and "scale" of every expert."""
        coef, intercept = units.coef_to_caller(params["coef"])
        scale = params["sd"] * units.y.unit
        with np.errstate(over="ignore"):  # y of size 1e160 has an infinite variance
            covariance = np.where(np.eye(scale.shape[1]) > 0, scale[:, :, None] ** 2, 0.0)
        return {"coef": coef, "intercept": intercept, "covariance": covariance, "scale": scale}

    def from_caller(self, values, units, n_experts, classes=None):
        """Return params from "intercept", the middle, and "scale"; the others say nothing more."""
        values = take(values, ("intercept", "scale"), "expert", ("coef", "covariance"))
        coef = self._coef_from_caller(values, units, n_experts)
        sd = shaped(values["scale"], coef.shape[:2], "scale", "expert") * units.y.slope
        if sd.min() <= 0:
            raise ValueError("init_params: every scale must be positive.")
        return {"coef": coef, "sd": sd}
