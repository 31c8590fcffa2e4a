"""The exponential-family gate: every column of x has its own kind of density."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..parts.checks import is_number
from ..parts.kernel import Kernel
from ..parts.records import Inputs
from ..parts.statistics import Statistics
from ..parts.views import GateView, shaped, take
from ._discrete import Categorical, Poisson
from ._localised import PROPORTIONS, LocalisedGate
from ._normal import normal

FAMILIES = {
    "gaussian": lambda prior: normal("diag", prior),
    "bernoulli": lambda prior: Categorical(prior, n_levels=2),
    "categorical": Categorical,
    "poisson": Poisson,
}


class InputsByFamily(Inputs):
    """Columns of numbers standardised, others raw, by a list of families."""

    def raw_columns(self, n_columns):
        if len(self.raw) != n_columns:
            raise ValueError(
                f"families of ExponentialFamilyGate has {len(self.raw)} entries; the gate sees"
                f" {n_columns} columns."
            )
        return super().raw_columns(n_columns)


def _maps(gate, params):
    """Return log a_k (K,), whitening maps (K, d, 1 + p) of [1, x] and log normalisers (K,)."""
    log_weights, p = params["log_weights"], _n_columns(gate, params)
    for name, density, columns in gate._parts(p):
        if name == "gaussian":
            own, log_norm = density.maps(params[name])
            maps = np.zeros((*own.shape[:2], 1 + p))
            maps[:, :, 0] = own[:, :, 0]
            maps[:, :, 1:][:, :, columns] = own[:, :, 1:]
            return log_weights, maps, log_norm
    return log_weights, np.zeros((len(log_weights), 0, 1)), np.zeros(len(log_weights))


def _from_grams(gate, params, grams):
    """Return the statistics of the weights and the normals from Σ resp z zᵀ with z = [1, x]."""
    stats = Statistics(n=grams[:, 0, 0].copy())
    for name, density, columns in gate._parts(grams.shape[1] - 1):
        if name == "gaussian":
            own = np.concatenate([[0], 1 + np.arange(grams.shape[1] - 1)[columns]])
            stats[name] = density.from_grams(params[name], grams[:, own[:, None], own])
    return stats


def _others(gate, params):
    """Return the densities that are no normals, their params and columns, by name."""
    return {
        name: (density, params[name], columns)
        for name, density, columns in gate._parts(_n_columns(gate, params))
        if name != "gaussian"
    }


def _n_columns(gate, params):
    """Return the number of the gate's columns."""
    return sum(density.n_columns(own) for _, density, own in gate._fitted(params))


KERNEL = Kernel("localised", _maps, _from_grams, others=_others)


class ExponentialFamilyGate(LocalisedGate):
    r"""Localised gate for columns of different kinds, independent within an expert.

    .. math:: g_k(x) = \frac{a_k \prod_j p_{kj}(x_j)}{\sum_l a_l \prod_j p_{lj}(x_j)}

    Each p_kj is an exponential family, so the M-step matches moments: weighted means, variances
    and shares [1]_. As a model of x and y together this is the cluster-weighted model [2]_. The fit
    climbs the joint likelihood, with masses for the columns that are discrete; see `GaussianGate`
    for what that means.

    Parameters
    ----------
    families : str or list of str, default="gaussian"
        The family of all columns, or of each of the gate's own columns in their order:

        - "gaussian": real numbers, a mean and a variance an expert;
        - "bernoulli": 0 and 1;
        - "categorical": codes 0, 1, ..., L - 1 as `OrdinalEncoder` makes them;
        - "poisson": counts 0, 1, 2, ...

        A value that the fit did not know (a new code, a negative count) says nothing: its column is
        left out for that row.
    prior : float, default=1e-2
        Weight ν of pseudo-rows added to every expert's sums, part of the objective: for gaussian
        columns with the variance of the column, as in `GaussianGate`; for codes spread evenly over
        the levels; for counts, a count of 1. The default hardly moves an estimate and keeps every
        variance, probability and rate away from 0, where a likelihood may be unbounded and a single
        row impossible. 0 is maximum likelihood.

    Notes
    -----
    The view shows weights (K,), means (K, p) and variances (K, p) of every column, of the codes
    where it is categorical, and probabilities, a dict from the position of a column of codes to
    (K, L). ``init_params`` takes the same; it ignores moments of codes and variances of counts.

    References
    ----------
    .. [1] Xu, L., Jordan, M. I. & Hinton, G. E. (1995). An alternative model for mixtures of
       experts. Advances in Neural Information Processing Systems 7, 633-640.
    .. [2] Ingrassia, S., Punzo, A., Vittadini, G. & Minotti, S. C. (2015). The generalized linear
       mixed cluster-weighted model. Journal of Classification 32, 85-113.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.gates import ExponentialFamilyGate
    >>> rng = np.random.RandomState(0)
    >>> z = rng.randint(2, size=200)
    >>> X = np.column_stack([rng.poisson(2 + 6 * z), rng.binomial(1, 0.2 + 0.6 * z)])
    >>> y = X[:, 0] * (1 - 2 * z) + 0.1 * rng.standard_normal(200)
    >>> gate = ExponentialFamilyGate(["poisson", "bernoulli"])
    >>> model = MixtureOfExpertsRegressor(2, gate=gate, random_state=0).fit(X, y)
    >>> model.gate_.means_.shape, model.gate_.probabilities_[1].shape
    ((2, 2), (2, 2))
    """

    kernel = KERNEL

    def __init__(self, families: Any = "gaussian", prior: float | str = 1e-2) -> None:
        self.families = families
        self.prior = prior

    def check_parameters(self):
        known = [self.families] if isinstance(self.families, str) else self.families
        if not (isinstance(known, (list, tuple)) and all(f in FAMILIES for f in known)):
            raise ValueError(
                f"families={self.families!r} of {type(self).__name__}: use one of"
                f" {', '.join(map(repr, FAMILIES))}, or a list with one of them a column."
            )
        if not (is_number(self.prior) and 0 <= self.prior < np.inf):
            raise ValueError(
                f"prior={self.prior!r} of {type(self).__name__}: needs a finite number of at least"
                " 0 (0 is maximum likelihood)."
            )

    def _families(self, p):
        """Return the family of every column."""
        if isinstance(self.families, str):
            return [self.families] * p
        self.inputs.raw_columns(p)  # whose number it checks
        return list(self.families)

    @property
    def inputs(self):
        """Ask for numbers standardised, and for codes and counts as they are."""
        if isinstance(self.families, str):
            return Inputs(raw=self.families != "gaussian", any_array=True)
        raw = tuple(name != "gaussian" for name in self.families)
        return InputsByFamily(raw=raw, any_array=True)

    def _densities(self):
        used = [self.families] if isinstance(self.families, str) else self.families
        return {name: make(self.prior) for name, make in FAMILIES.items() if name in used}

    def _columns(self, p):
        if isinstance(self.families, str):
            return {self.families: slice(None)}
        families = np.array(self._families(p), dtype=object)
        return {name: np.flatnonzero(families == name) for name in self.families}

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        weights = PROPORTIONS.to_caller(params, units)["weights"]
        p = len(units.x.center)
        (means, variances), probabilities = np.zeros((2, len(weights), p)), {}
        for name, density, columns in self._parts(p):
            own = density.to_caller(params[name], units.x.select(columns))
            means[:, columns], variances[:, columns] = own["means"], own["variances"]
            positions = np.arange(p)[columns].tolist()
            probabilities |= dict(zip(positions, own.get("levels", ()), strict=False))
        return {
            "weights": weights,
            "means": means,
            "variances": variances,
            "probabilities": probabilities,
        }

    def from_caller(self, values, units, n_experts):
        p = len(units.x.center)
        families = self._families(p)
        coded = [j for j, name in enumerate(families) if name in ("bernoulli", "categorical")]
        wanted = ("weights", "probabilities") if coded else ("weights",)
        if len(coded) < p:
            wanted += ("means", "variances") if "gaussian" in families else ("means",)
        values = take(values, wanted, "gate", ("means", "variances", "probabilities"))
        shape = (n_experts, p)
        means, variances = (
            shaped(values.get(name, np.zeros(shape)), shape, name, "gate")
            for name in ("means", "variances")
        )
        levels = {j: _levels(values["probabilities"], j, n_experts) for j in coded}
        params = PROPORTIONS.from_caller({"weights": values["weights"]}, units, n_experts)
        for name, density, columns in self._parts(p):
            positions = np.arange(p)[columns]
            own = {
                "means": means[:, columns],
                "covariances": variances[:, columns, None] * np.eye(len(positions)),
                "levels": [levels[j] for j in positions if j in levels],
            }
            x = units.x.select(columns)
            params[name] = density.from_caller(own, np.exp(params["log_weights"]), x)
        return params

    def view(self, params, units, **features):
        values = {f"{name}_": value for name, value in self.to_caller(params, units).items()}
        return ExponentialFamilyGateView(**features, **values)


class ExponentialFamilyGateView(GateView):
    """The gate: `weights_` (K,), `means_` and `variances_` (K, p), and `probabilities_`.

    The last is a dict from the position of a column of codes to the probabilities of its levels
    under every expert, (K, L); means and variances are then those of the codes.
    """

    kind = "localised"


def _levels(probabilities, column, n_experts):
    """Return the odds of the levels of a column in a dict of starting values, (K, L)."""
    given = probabilities.get(column) if isinstance(probabilities, dict) else None
    if np.ndim(given) != 2:
        raise ValueError(
            "init_params: probabilities of the gate need an array (n_experts, levels) under the"
            f" position of every column of codes, {column} too; got {probabilities!r}."
        )
    given = shaped(given, (n_experts, np.shape(given)[1]), f"probabilities[{column}]", "gate")
    if given.min() < 0 or not (given.sum(axis=1) > 0).all():
        raise ValueError(
            f"init_params: probabilities[{column}] of the gate must be at least 0 with a positive"
            " sum for every expert."
        )
    return given
