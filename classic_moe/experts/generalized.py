"""Generalised linear experts: everything that the families of this kind have in common."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from sklearn.utils.metaestimators import available_if

from .._kernels import array
from ..exceptions import SeparationWarning
from ..parts import softmax_regression as sr
from ..parts.checks import is_number
from ..parts.findings import Finding
from ..parts.linalg import solve
from ..parts.part import carried
from ..parts.penalties import Ridge
from ..parts.predictors import Predictor, Terms
from ..parts.records import Target
from ..parts.statistics import Statistics
from ..parts.storage import dense, indexable
from ..parts.views import View, shaped, take
from . import _stages
from .base import BaseExpert

LARGEST = 500.0
"""Linear predictors are clipped to ±this, so that exp and its square stay finite numbers."""
POWER = 8
"""The cautious step estimates the largest |z_j| among the rows by their mean of this power."""
CAUTION = 2.0
"""By how much that mean is taken to fall short of the maximum."""
BOLDEST = 40.0
"""Largest change of η in a Newton step, by the same estimate: beyond, there is no curvature."""
START_STEPS = 3
"""Safeguarded steps from the starting values."""


def _has_rows(expert):
    """Return whether the derivatives in all parameters are known, row by row."""
    return expert.leaf is None or expert.nuisance_derivatives is not None


class GeneralizedLinearExpert(BaseExpert):
    r"""Base of experts whose mean depends on x through a link function.

    .. math:: E_k[y \mid x] = \mathrm{link}^{-1}(\eta_k), \qquad
       \eta_k = b_k^\top x + a_k + \mathrm{offset}

    A family gives elementwise functions: `log_density`, `derivatives`, `distribution`, what it
    `supports`, and, unless the link is the logarithm, `eta_of`, `mean_of` and `mean_slope`. `y` is
    (n, m) as `target.encode` made it, `eta` (n, K). A family with a nuisance parameter, such as a
    dispersion, names it in `nuisance_name` and says how to estimate it; the elementwise functions
    then take it as a keyword, a number or (K,). Where they are written with the functions of
    ``array.namespace(eta)`` and ``special(xp)``, the expert takes arrays of any namespace; it says
    so by ``inputs = Inputs(any_array=True)``.

    The M-step is one Newton step on the concave log-likelihood of each expert [1]_. If it
    overshoots, `cautious=True` shortens it: where ``|f'''| <= |δ| f''`` along a step that changes
    η by at most ρ, the fraction log(1 + ρ)/ρ of it ascends [2]_. The largest change among the rows
    is not a sum; a power mean of the rows estimates it.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.
    .. [2] Bach, F. (2010). Self-concordant analysis for logistic regression. Electronic Journal of
       Statistics 4, 384-414.
    """

    kernel = _stages.generalized_linear(POWER)
    target = Target(outputs=1, offset=True)
    holds = "numbers"
    """What y holds, for the error message."""
    left = "log E[{}]"
    """What is linear in x, for equations."""

    # -- what a family gives -----------------------------------------------------------------

    def eta_of(self, mean):
        """Return the link function of means, (n, K)."""
        return np.log(mean)

    def mean_of(self, eta):
        """Return the inverse of the link function, (n, K)."""
        return array.namespace(eta).exp(eta)

    def mean_slope(self, eta):
        """Return the derivative of `mean_of`, (n, K)."""
        return array.namespace(eta).exp(eta)

    @abstractmethod
    def log_density(self, y, eta, **nuisance):
        """Return log p(y|eta), (n, K)."""

    @abstractmethod
    def derivatives(self, y, eta, **nuisance):
        """Return the first derivative of `log_density` in eta and minus the second, (n, K) each.

        Both without the factor `precision`; the second must not be negative.
        """

    @abstractmethod
    def distribution(self, mean, **nuisance):
        """Return the frozen scipy distribution with that mean, (n, K)."""

    def supports(self, y):
        """Return which values of y (n,) the family takes, bool (n,)."""
        return np.isfinite(y)

    automatic = ("alpha",)

    # -- a nuisance parameter, for families that have one ------------------------------------

    nuisance_name = None
    """Of the hyper-parameter: a number, or "estimate" for a leaf log_<name> (K,)."""
    nuisance_bounds = None
    """Least and greatest value of an estimate."""

    def nuisance_statistics(self, y, eta, resp, **nuisance):
        """Return sums over rows that `nuisance_step` and `nuisance_gradient` need, (K,) each."""
        return {}

    def slopes_and_nuisance(self, y, eta, resp, **nuisance):
        """Return `derivatives` and `nuisance_statistics`, for families that make both at once."""
        slopes = self.derivatives(y, eta, **nuisance)
        return slopes, self.nuisance_statistics(y, eta, resp, **nuisance)

    def log_density_and_known(self, y, eta, **nuisance):
        """Return `log_density`, and what `slopes_and_nuisance` takes as `known`, or None."""
        return self.log_density(y, eta, **nuisance), None

    def nuisance_step(self, params, stats, cautious):
        """Return the leaf after an M-step, (K,); it is clipped to the bounds."""

    def nuisance_gradient(self, params, stats):
        """Return ∂Q/∂leaf, priors included, (K,)."""

    nuisance_derivatives = None
    """A method (y, eta, **nuisance) for `rows`: in the logarithm of the nuisance parameter the
    first derivative of the log-density, minus the second, and minus the mixed one in eta and it,
    (n, K) each; optional."""

    @property
    def _setting(self):
        """The hyper-parameter of the nuisance parameter, "estimate" or a number; or None."""
        return None if self.nuisance_name is None else vars(self)[self.nuisance_name]

    @property
    def leaf(self):
        """The name of the leaf of the nuisance parameter; None if none is estimated."""
        estimated = isinstance(self._setting, str) and self._setting == "estimate"
        return "log_" + self.nuisance_name if estimated else None

    def nuisance(self, params):
        """Return the keywords of the elementwise functions: a number or (K,), or nothing."""
        name = self.nuisance_name
        if name is None:
            return {}
        if not self.leaf:
            return {name: float(self._setting)}
        # An accelerated solver may have stretched a step beyond the bounds.
        return {name: np.exp(np.clip(params[self.leaf], *np.log(self.nuisance_bounds)))}

    def _nuisance_like(self, X, params):
        """Return the keywords `nuisance` where X lies."""
        return {n: array.like(X, np.asarray(v)) for n, v in self.nuisance(params).items()}

    def precision(self, params):
        """Return the factor common to `derivatives`, such as the shape of a gamma, (K,)."""
        return np.ones(len(params["coef"]))

    # -- the model -------------------------------------------------------------------------

    def clip(self, params, eta):
        """Return `eta` where the inverse link is a finite number, (n, K)."""
        return array.namespace(eta).clip(eta, -LARGEST, LARGEST)

    def clip_slope(self, params, eta):
        """Return the derivative of `clip` where its value is `eta`, for the M-step.

        At the ends it counts as 1, so that a step leads back.
        """
        return _stages.UNCLIPPED

    def clip_derivatives(self, params, eta, clipped):
        """Return the first and second derivative of `clip` at `eta`, (n, K) each, for `rows`."""
        xp = array.namespace(eta)
        return xp.astype(eta == clipped, xp.float64), xp.zeros_like(eta)

    def linear_predictor(self, params, X, offset=None):
        """Return η, (n, K), clipped."""
        return self._predictor(params, X, offset)[1]

    def _predictor(self, params, X, offset):
        """Return η before and after it is clipped, (n, K) both."""
        with np.errstate(over="ignore", invalid="ignore"):  # only far from all data
            eta = array.with_intercept(X) @ array.like(X, params["coef"].T)
            eta = eta if offset is None else eta + offset[:, None]
            return eta, self.clip(params, eta)

    def log_prob(self, params, X, y, offset=None):
        eta = self.linear_predictor(params, X, offset)
        return self.log_density(y, eta, **self._nuisance_like(X, params))

    def mean(self, params, X, offset=None):
        return self.mean_of(self.linear_predictor(params, X, offset))[:, :, None]

    def mean_gradient(self, params, X, slope, offset=None):
        """Return ∂/∂coef of Σ slope·mean, `Statistics` with the leaf (K, 1 + p)."""
        eta = self.linear_predictor(params, X, offset)
        slope = slope[:, :, 0] * self.mean_slope(eta) * self.clip_slope(params, eta)
        return Statistics(coef=slope.T @ array.with_intercept(X))

    def components(self, params, X, units, single_output=True, offset=None):
        """Return the K predictive distributions, for `MixtureDistribution`."""
        return self.distribution(self.mean(params, X, offset)[:, :, 0], **self.nuisance(params))

    @available_if(_has_rows)
    def predictors(self, params):
        """Return the predictors: η, and the logarithm of an estimated nuisance parameter."""
        own = [Predictor("coef", penalty=Ridge(self._alpha))]
        return [*own, Predictor(self.leaf, design="1")] if self.leaf else own

    @available_if(_has_rows)
    def rows(self, params, X, y, derivatives=2, offset=None):
        """Return log-densities and their derivatives in the predictors, `Terms`."""
        xp, nuisance = array.namespace(X), self._nuisance_like(X, params)
        raw, eta = self._predictor(params, X, offset)
        log_prob = self.log_density(y, eta, **nuisance)
        precision = array.like(X, self.precision(params))
        slope, curvature = (precision * each for each in self.derivatives(y, eta, **nuisance))
        first, second = self.clip_derivatives(params, raw, eta)
        # f(η(u)) with η = clip(u): f' = f_η η', and -f'' = -f_ηη η'² - f_η η''
        slopes, blocks = [slope * first], [[curvature * first**2 - slope * second]]
        if self.leaf:
            own, own_curvature, cross = self.nuisance_derivatives(y, eta, **nuisance)
            slopes.append(own)
            blocks = [[*blocks[0], cross * first], [cross * first, own_curvature]]
        slopes = xp.stack(slopes, axis=2)
        if derivatives < 2:
            return Terms(log_prob, slopes, None)
        blocks = [xp.stack(line, axis=2) for line in blocks]
        return Terms(log_prob, slopes, xp.stack(blocks, axis=2))

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None, offset=None):
        """Return the best of weighted least squares on the link of a smoothed y and a few steps."""
        resp = resp + 1e-8 * resp.sum(axis=1, keepdims=True)  # no expert starts without rows
        params = {"coef": np.zeros((resp.shape[1], 1 + X.shape[1])), **self.start(y, resp)}

        def fit(params):
            return (resp * self.log_prob(params, X, y, offset)).sum(axis=0)

        params, value = self._linearised(params, X, y, resp, offset, slopes=False), -np.inf
        proposals = [params, self._linearised(params, X, y, resp, offset, slopes=True)]
        for _ in range(START_STEPS):
            for proposal in proposals:
                gain = np.nan_to_num(fit(proposal), nan=-np.inf)
                better = gain > value
                value = np.where(better, gain, value)
                params = {
                    name: np.where(better.reshape(-1, *[1] * (leaf.ndim - 1)), proposal[name], leaf)
                    for name, leaf in params.items()
                }
            stats = self.statistics(params, X, y, resp, offset=offset)
            proposals = [self.maximize(params, stats, cautious) for cautious in (True, False)]
        return params

    def start(self, y, resp):
        """Return the leaves besides the coefficients to start from, a dict."""
        return {self.leaf: np.zeros(resp.shape[1])} if self.leaf else {}

    def smoothed(self, y, resp, offset=None):
        """Return means to start from, between y and each expert's average, (n, K)."""
        exposure = np.ones(len(y))
        if offset is not None:
            exposure = np.exp(np.clip(offset, -LARGEST, LARGEST))
        weight, total = resp.sum(axis=1), resp.sum()
        pooled = (weight @ y if y.any() else 0.5) / total
        # One pseudo-row of average exposure, for an expert with next to no rows.
        rate = (resp.T @ y + pooled)[:, 0] / (resp.T @ exposure + weight @ exposure / total)
        return 0.5 * (y + exposure[:, None] * rate)

    def information(self, y, eta, **nuisance):
        """Return the expected second derivative of minus `log_density`, (n, K)."""
        return self.derivatives(self.mean_of(eta), eta, **nuisance)[1]

    def _linearised(self, params, X, y, resp, offset, slopes):
        """Return `params` after weighted least squares of the link of `smoothed`."""
        eta = self.eta_of(self.smoothed(y, resp, offset))
        weight = resp * self.information(y, eta, **self.nuisance(params))
        eta = eta if offset is None else eta - offset[:, None]
        Z = array.with_intercept(X if slopes else X[:, :0])
        grams, moments = array.weighted_grams(Z, weight), (weight * eta).T @ Z
        coef = np.zeros_like(params["coef"])
        for k, (gram, moment) in enumerate(zip(grams, moments, strict=True)):
            ridge = np.full(len(gram), max(gram[0, 0] / resp[:, k].sum(), self._alpha))
            ridge[0] = 0.0
            coef[k, : len(gram)] = solve(gram + np.diag(ridge), moment)
        return params | {"coef": coef}

    def statistics(self, params, X, y, resp, order=2, offset=None):
        """Return sums of derivatives in η times z; ``powers`` Σ resp z^POWER, (K, 1 + p)."""
        xp, nuisance = array.namespace(X), self._nuisance_like(X, params)
        Z, eta = array.with_intercept(X), self.linear_predictor(params, X, offset)
        slopes, own = self.slopes_and_nuisance(y, eta, resp, **nuisance)
        (slope, curvature), chain = slopes, self.clip_slope(params, eta)
        slope, curvature = slope * chain, curvature * chain**2
        stats = Statistics(
            n=xp.sum(resp, axis=0),
            gradient=(resp * slope).T @ Z,
            powers=resp.T @ Z**POWER,
            **own,
        )
        if order > 1:
            stats["gram"] = array.weighted_grams(Z, resp * curvature)
        return stats

    def maximize(self, params, stats, cautious=False):
        """Take a Newton step; `cautious=True`: a fraction of it that is all but sure to ascend."""
        new = dict(params)
        if self.leaf:
            moved = self.nuisance_step(params, stats, cautious)
            moved = np.clip(moved, *np.log(self.nuisance_bounds))
            new[self.leaf] = np.where(stats["n"] > 0, moved, params[self.leaf])
        ridge, precision = Ridge(self._alpha), self.precision(new)
        coef = params["coef"].copy()
        curvature = np.diag(ridge.curvature(coef.shape[1]))
        for k, n in enumerate(stats["n"]):
            if n <= 0:
                continue  # no rows at all: keep the last finite values
            gradient = precision[k] * stats["gradient"][k] - ridge.slope(coef[k])
            step = solve(precision[k] * stats["gram"][k] + curvature, gradient)
            coef[k] += self.fraction(step, gradient, stats["powers"][k] / n, cautious) * step
        return new | {"coef": coef}

    def fraction(self, step, gradient, powers, cautious):
        """Return how much of a Newton step to take; `powers` holds mean powers of the columns."""
        change = max(CAUTION * np.abs(step) @ powers ** (1 / POWER), 1e-300)
        return np.log1p(change) / change if cautious else min(1.0, BOLDEST / change)

    def gradient(self, params, stats):
        """Return ∂Q/∂params, priors included, nested like `params`."""
        gradient = {name: np.zeros_like(leaf) for name, leaf in params.items()}
        gradient["coef"] = self.precision(params)[:, None] * stats["gradient"]
        gradient["coef"] -= Ridge(self._alpha).slope(params["coef"])
        if self.leaf:
            gradient[self.leaf] = self.nuisance_gradient(params, stats)
        return gradient

    def carry(self, params, stats, factor):
        held = Ridge(self._alpha).slope(params["coef"]) / self.precision(params)[:, None]
        held = {"gradient": held, "dispersion_gradient": np.zeros(len(held))}
        return carried(stats, factor, held)

    def coordinates(self, params):
        return {self.leaf: tuple(np.log(self.nuisance_bounds))} if self.leaf else {}

    def log_prior(self, params):
        return -Ridge(self._alpha).value(params["coef"])

    def diagnose(self, params, stats):
        """Return findings where the data do not determine the coefficients, a list."""
        findings = []
        for k, coef in enumerate(params["coef"]):
            if stats["n"][k] <= 0 or np.abs(coef).max() <= sr.STEEP:
                continue
            values, vectors = np.linalg.eigh(self.precision(params)[k] * stats["gram"][k])
            along = vectors.T @ coef
            lost = (values * along**2 < sr.INFORMATION) | (values < min(self._alpha, sr.LITTLE))
            if np.any(lost & (np.abs(along) > sr.STEEP)):
                advice = (
                    "use alpha > 0"
                    if self._alpha == 0
                    else f"alpha={self._alpha:g} bounds their size, and nothing the intercept's"
                )
                message = (
                    f"the rows of expert {k} do not determine its coefficients (up to"
                    f" {np.abs(coef).max():.3g} with x standardised): a whole region holds one"
                    f" extreme value of y; {advice}."
                )
                findings.append(Finding(SeparationWarning, message, severe=False))
        return findings

    # -- the caller's side -------------------------------------------------------------------

    def check_target(self, y):
        if y.ndim > 1 and y.shape[1] != 1:
            name = type(self).__name__
            raise ValueError(f"{name} takes one output; y has {y.shape[1]} columns.")
        y = y.reshape(-1)
        self.refuse(y, ~self.supports(y))

    def refuse(self, y, wrong):
        """Raise a ValueError naming the first row of y that is `wrong`, if there is one."""
        for row in np.flatnonzero(wrong)[:1]:
            raise ValueError(
                f"{type(self).__name__} needs {self.holds}; y[{row}] is {y[row].tolist()}."
            )

    def check_parameters(self):
        super().check_parameters()
        name, value = self.nuisance_name, self._setting
        if name and not self.leaf and not (is_number(value) and 0 < value < np.inf):
            raise ValueError(
                f"{name}={value!r} of {type(self).__name__}: use 'estimate' or a positive number."
            )

    def to_caller(self, params, units):
        coef, intercept = units.coef_to_caller(params["coef"][:, None])
        values = {"coef": coef[:, 0], "intercept": intercept[:, 0]}
        for name, value in self.nuisance(params).items():
            values[name] = np.full(len(coef), value)
        return values

    def from_caller(self, values, units, n_experts, classes=None):
        name, wanted = self.nuisance_name, ("coef", "intercept")
        values = take(
            values, (*wanted, name) if self.leaf else wanted, "expert", (name,) if name else ()
        )
        p = len(units.x.center)
        coef = shaped(values["coef"], (n_experts, 1, p), "coef", "expert")
        intercept = shaped(values["intercept"], (n_experts, 1), "intercept", "expert")
        params = {"coef": units.coef_from_caller(coef, intercept)[:, 0]}
        if self.leaf:
            value = shaped(values[name], (n_experts,), name, "expert")
            if value.min() <= 0:
                raise ValueError(f"init_params: {name} must be positive, got {value}.")
            params[self.leaf] = np.log(np.clip(value, *self.nuisance_bounds))
        return params

    def view(self, params, k, units, single_output=True, **shell):
        values = {f"{name}_": value[k] for name, value in self.to_caller(params, units).items()}
        scalars = {name: float(v) for name, v in values.items() if name != "coef_"}
        own = {name: leaf[k : k + 1] for name, leaf in params.items()}
        return GeneralizedLinearView(self, own, **shell, **values | scalars, left=self.left)


class GeneralizedLinearView(View):
    """One generalised linear expert: `coef_`, `intercept_` and the like, on the link's scale."""

    def __init__(self, family, params, offset_column=None, **values):
        self._family, self._params, self._offset_column = family, params, offset_column
        super().__init__(**values)

    def predict(self, X):
        """Return the expert's mean, (n,); the offset is 0 if X holds its own columns only."""
        X = self._coded(X)
        eta = self._linear_predictor(X)
        if self._offset_column is not None and np.shape(X)[1] == self._n_features:
            offset = dense(indexable(X)[:, [self._offset_column]])[:, 0]
            eta = eta + offset.astype(np.float64)
        return self._family.mean_of(self._family.clip(self._params, eta))
