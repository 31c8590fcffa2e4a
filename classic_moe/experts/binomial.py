"""Binomial experts: successes out of a number of trials."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from scipy.special import logit
from scipy.stats import binom

from .._kernels import array, counts
from .._kernels.special import special
from ..parts.records import Inputs, Target
from .generalized import GeneralizedLinearExpert


class BinomialExpert(GeneralizedLinearExpert):
    r"""Binomial expert for successes and failures, with a logit link.

    .. math:: y \mid x \sim \mathrm{Binomial}(m, p_k), \qquad
       \log \frac{p_k}{1 - p_k} = b_k^\top x + a_k + \mathrm{offset}

    y has two columns, successes and failures, as R's ``cbind``; their sum m may differ from row to
    row, and a row (0, 0) says nothing. y of one column holds zeros and ones, one trial a row. The
    mean, which `predict` gives, is the probability p; the predictive distribution is that of a
    single trial.

    Parameters
    ----------
    alpha : float, "auto" or "weak", default=1e-3
        Ridge penalty ½·alpha·‖b‖² on the slopes, x standardised. The default, that of
        `LogisticExpert`, keeps experts finite whose successes and failures lie apart, which
        happens often once a mixture has divided the rows; 0 is maximum likelihood.

    References
    ----------
    McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd ed., chapter 4. Chapman &
    Hall.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> dose = np.linspace(-1, 1, 100)[:, None]
    >>> dead = np.random.default_rng(0).binomial(20, np.abs(dose[:, 0]))
    >>> y = np.column_stack([dead, 20 - dead])
    >>> model = MixtureOfExpertsRegressor(2, expert="binomial", random_state=0).fit(dose, y)
    >>> model.predict(dose).shape
    (100,)
    """

    target = Target(outputs=1, kind="mass", offset=True, trials=True)
    inputs = Inputs(any_array=True)
    left = "log-odds of {}"
    holds = "counts of successes and failures in two columns, or zeros and ones in one"

    weak = MappingProxyType({"alpha": 1e-3})

    def __init__(self, alpha: float | str = 1e-3) -> None:
        self.alpha = alpha

    def check_target(self, y):
        y = y.reshape(len(y), -1)
        if y.shape[1] > 2:
            raise ValueError(f"BinomialExpert needs {self.holds}; y has {y.shape[1]} columns.")
        allowed = (y >= 0) & (y == np.floor(y)) & (y <= (1 if y.shape[1] == 1 else np.inf))
        self.refuse(y, ~allowed.all(axis=1))

    def eta_of(self, mean):
        return logit(mean)

    def mean_of(self, eta):
        return special(array.namespace(eta)).expit(eta)

    def mean_slope(self, eta):
        expit = special(array.namespace(eta)).expit
        return expit(eta) * expit(-eta)

    def smoothed(self, y, resp, offset=None):
        trials = y.sum(axis=1, keepdims=True)
        average = (resp.T @ y[:, :1] + 0.5) / (resp.T @ trials + 1)
        return (y[:, :1] + average[:, 0]) / (trials + 1)

    def log_density(self, y, eta):
        return counts.binomial(y[:, :1], y[:, 1:], eta)

    def derivatives(self, y, eta):
        return counts.binomial_slopes(y[:, :1], y[:, 1:], eta)

    def distribution(self, mean):
        return binom(1, mean)

    def information(self, y, eta):
        return self.derivatives(y, eta)[1]  # the logit is canonical
