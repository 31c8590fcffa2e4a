"""The Gaussian gate: each expert has a region of x, a normal density."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from ..parts.checks import check_option
from ..parts.covariance import STRUCTURES
from ..parts.kernel import Kernel
from ..parts.linalg import inverse
from ..parts.records import Inputs
from ..parts.statistics import Statistics
from ..parts.views import GateView, shaped, take
from ._localised import PROPORTIONS, LocalisedGate
from ._normal import normal


def _maps(gate, params):
    """Return log a_k (K,), whitening maps (K, d, 1 + p) of [1, x] and log normalisers (K,)."""
    log_weights = params["log_weights"]
    for _, density, own in gate._fitted(params):
        return log_weights, *density.maps(own)
    return log_weights, np.zeros((len(log_weights), 0, 1)), np.zeros(len(log_weights))


def _from_grams(gate, params, grams):
    """Return the statistics from Σ resp z zᵀ with z = [1, x], (K, 1 + p, 1 + p)."""
    stats = Statistics(n=grams[:, 0, 0].copy())
    for name, density, own in gate._fitted(params):
        stats[name] = density.from_grams(own, grams)
    return stats


KERNEL = Kernel("gaussian", _maps, _from_grams)


class GaussianGate(LocalisedGate):
    r"""Localised gate: every expert has a normal density of x, and who is near decides.

    .. math:: g_k(x) = \frac{a_k N(x;\; m_k, S_k)}{\sum_j a_j N(x;\; m_j, S_j)}

    The fit climbs the likelihood of x and y together, Σ log Σ_k a_k N(x; m_k, S_k) p_k(y|x). Then
    every M-step is a mean, a covariance and a share: no step size, no inner iterations [1]_. The
    price: a gate that explains x as well need not give the best p(y|x). The estimator reports both,
    ``joint_log_likelihood_`` and ``log_likelihood_``; `aic` and `bic` use the second.

    A column that is constant has no density and is left out, here and in the joint likelihood.

    Parameters
    ----------
    covariance_type : {"full", "diag", "spherical", "tied"}, default="full"
        Each expert its own matrix, its own variances, one variance, or one matrix for all. With
        "tied" the gate is a softmax gate, whose ``coef_`` and ``intercept_`` the view also shows.
        "spherical" refers to standardised columns.
    variance_prior : float or "weak", default=1e-2
        ν pseudo-rows whose covariance is that of x (its diagonal): S = (scatter + ν I) / (n + ν) in
        standardised x, and -½·ν·Σ(log|S| + tr S⁻¹) in the objective, once where S is shared. Keeps
        an expert from collapsing onto a few rows, where the likelihood is unbounded; the default
        is that of `LinearExpert`. 0 is maximum likelihood.

    Notes
    -----
    In the caller's units the view and ``init_params`` have weights (K,), means (K, p) and
    covariances (K, p, p). All proportions, means and covariances count as parameters of the model.

    References
    ----------
    .. [1] Xu, L., Jordan, M. I. & Hinton, G. E. (1995). An alternative model for mixtures of
       experts. Advances in Neural Information Processing Systems 7, 633-640.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, gate="gaussian", random_state=0).fit(X, y)
    >>> model.gate_.means_.shape, model.gate_.covariances_.shape
    ((3, 1), (3, 1, 1))
    """

    kernel = KERNEL
    inputs = Inputs(any_array=True)

    weak = MappingProxyType({"variance_prior": 1e-2})

    def __init__(self, covariance_type: str = "full", variance_prior: float | str = 1e-2) -> None:
        self.covariance_type = covariance_type
        self.variance_prior = variance_prior

    def check_parameters(self):
        super().check_parameters()
        check_option(self, "covariance_type", STRUCTURES)

    def _densities(self):
        return {"gaussian": normal(self.covariance_type, self.variance_prior)}

    def _columns(self, p):
        return {"gaussian": slice(None)}

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        weights = PROPORTIONS.to_caller(params, units)["weights"]
        K, p = len(weights), len(units.x.center)
        values = {"means": np.zeros((K, p)), "covariances": np.zeros((K, p, p))}
        for name, density, _ in self._parts(p):
            values = density.to_caller(params[name], units.x)
        return {
            "weights": weights,
            "means": values["means"],
            "covariances": values["covariances"],
        }

    def from_caller(self, values, units, n_experts):
        values = take(values, ("weights", "means", "covariances"), "gate")
        p = len(units.x.center)
        shapes = {"means": (n_experts, p), "covariances": (n_experts, p, p)}
        own = {name: shaped(values[name], shape, name, "gate") for name, shape in shapes.items()}
        params = PROPORTIONS.from_caller({"weights": values["weights"]}, units, n_experts)
        for name, density, _ in self._parts(p):
            params[name] = density.from_caller(own, np.exp(params["log_weights"]), units.x)
        return params

    def view(self, params, units, **shell):
        values = self.to_caller(params, units)
        if self.covariance_type == "tied" and "gaussian" in params:
            log_odds = _log_odds(params["log_weights"], params["gaussian"])
            values["coef"], values["intercept"] = units.coef_to_caller(log_odds)
        return GaussianGateView(**shell, **{f"{name}_": value for name, value in values.items()})


class GaussianGateView(GateView):
    """The gate: `weights_` (K,), `means_` (K, p), `covariances_` (K, p, p).

    With equal covariances also `coef_` (K, p) and `intercept_` (K,), log-odds against the last
    expert.
    """

    kind = "localised"


def _log_odds(log_weights, normals):
    """Return the linear log-odds against the last expert, (K, 1 + p), intercepts first."""
    mean, varies = normals["mean"], normals["varies"][0] > 0.5
    slopes = (mean - mean[-1]) @ inverse(normals["covariance"])[0]
    coef = np.zeros((len(mean), 1 + len(varies)))
    coef[:, 0] = log_weights - log_weights[-1] - 0.5 * np.sum(slopes * (mean + mean[-1]), axis=1)
    coef[:, 1:][:, varies] = slopes
    return coef
