"""`MixtureModel`: gate and experts as one model, p(y|x) = Σ_k g_k(x) p_k(y|x)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from .._kernels import array
from ..data.units import Scaling, Units, as_array, as_given
from ..parts.coordinates import Coordinates
from ..parts.params import Params
from ..parts.part import offers
from ..parts.statistics import Statistics
from ..parts.tiles import Tiles
from . import fused_pass
from .objectives import MixtureLikelihood
from .passes import (
    Heads,
    blended_pass,
    density_pass,
    group_rows,
    on_pairs,
    statistics_on_pairs,
    tiled,
    wanted_pairs,
)


@dataclass(frozen=True, eq=False)
class MixtureModel:
    """The verbs of the parts one level up; solvers see nothing else.

    Built once, complete, before a fit, and never changed: `replace` makes another.

    Parameters
    ----------
    gate, expert : BaseGate, BaseExpert
    gate_columns, expert_columns : integer arrays or None
        The columns of X that each part sees; None means all. A part that ignores x sees none.
    offset_column : int or None
        The column of X that is added to the experts' linear predictors.
    objective : callable, default=MixtureLikelihood()
        See `objectives`.
    codes : ndarray of shape (C, q), default=None
        The values that y may take, where experts for numbers serve classes, one-hot: `log_prob` is
        normalised over them.
    compiled : bool or "auto", default="auto"
        Whether a compiled pass replaces the generic one where there is one; "auto": on data large
        enough to repay loading and compiling it.
    """

    gate: object
    expert: object
    gate_columns: np.ndarray | None = None
    expert_columns: np.ndarray | None = None
    offset_column: int | None = None
    objective: object = field(default_factory=MixtureLikelihood)
    codes: np.ndarray | None = None
    compiled: bool | str = "auto"

    takes_scaled: ClassVar[bool] = True
    """Whether `statistics` takes X as `Scaled`, for passes that scale it on the way."""

    def __post_init__(self):
        none = np.empty(0, dtype=int)
        for name, part in self.parts.items():
            if not part.inputs.uses_x:
                object.__setattr__(self, name + "_columns", none)

    # -- facts about the model ---------------------------------------------------------------

    @property
    def parts(self):
        """Gate and experts, by the names of their params."""
        return {"gate": self.gate, "expert": self.expert}

    @property
    def models_x(self):
        """Whether the gate is a model of x too, so that the objective is log p(x, y)."""
        return self.objective.likelihood and offers(self.gate, "log_joint")

    @property
    def extrapolates(self):
        """Whether an accelerated solver may extrapolate the parameters."""
        return self.gate.learning.extrapolates and self.expert.learning.extrapolates

    @property
    def sums(self):
        """Whether statistics are sums over rows, which a solver may carry on."""
        return self.gate.learning.sums and self.expert.learning.sums

    @property
    def ascends(self):
        """Whether the M-step climbs; if not, a solver keeps the best of its iterates."""
        return self.gate.learning.ascends and self.expert.learning.ascends

    def lacks(self, what) -> list[str]:
        """Return what stands against a solver's requirement, as words for a message.

        Empty where nothing does. What it may be: "statistics", of an objective that an M-step
        climbs; "sums", statistics that can be carried on; "second derivatives" row by row, where
        there are rows; or an optional verb of both parts, such as "gradient" or "rows".
        """
        if what == "statistics":
            return [] if self.objective.likelihood else [type(self.objective).__name__]
        parts = {"gate": self.gate, "expert": self.expert}
        if what == "sums":
            return [repr(part) for part in parts.values() if not part.learning.sums]
        bends = what == "second derivatives"
        return [
            f"the {name}, {type(part).__name__},"
            for name, part in parts.items()
            if not (part.learning.bends if bends else offers(part, what))
        ]

    def with_objective(self, objective):
        """Return the same model under another objective."""
        return replace(self, objective=objective)

    # -- what each part sees -----------------------------------------------------------------

    def gate_input(self, X):
        """Return the columns of X that the gate sees, (n, p of the gate)."""
        return X if self.gate_columns is None else array.columns_at(X, self.gate_columns)

    def expert_input(self, X):
        """Return the columns of X that the experts see, (n, p of the experts)."""
        return X if self.expert_columns is None else array.columns_at(X, self.expert_columns)

    def offset(self, X):
        """Return the keyword for the experts' verbs that carries the offset (n,), if any."""
        if self.offset_column is None:
            return {}
        xp = array.namespace(X)
        return {"offset": xp.astype(X[:, self.offset_column], xp.float64)}

    def units(self, part, x_scaling, y_scaling):
        """Return the `Units` in which a part ("gate" or "expert") sees X and y."""
        if part == "gate":
            return Units(x_scaling.select(self.gate_columns), Scaling.identity(1))
        x, target = x_scaling.select(self.expert_columns), self.expert.target
        if target.standardise:
            return Units(x, y_scaling)
        return Units(x, Scaling.identity(1 if target.outputs == 1 else len(y_scaling.center)))

    # -- the model ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None, groups=None) -> Params:
        """Return starting values of both parts from soft assignments with the weights in them."""
        own, offset = self.expert_input(X), self.offset(X)
        expert = self.expert.init(own, y, resp, random_state, classes, **offset)
        if groups is not None:
            first = group_rows(groups)[0]
            X, resp = X[first], resp[first] / resp[first].sum(axis=1, keepdims=True)
        if self.gate.per_output:
            q = self.expert.target.response(y)[0].shape[1] if classes is None else len(classes)
            resp = np.repeat(resp[:, :, None], q, axis=2)
        return {"gate": self.gate.init(self.gate_input(X), resp, random_state), "expert": expert}

    def route(self, params, X, *, joint=False, prune=False, hard=False):
        """Return log g_k(x) (n, K), and which pairs of row and expert count: (n, K) or None.

        Experts are evaluated at those pairs alone, in the fit and in predictions; None is all.

        Parameters
        ----------
        params : Params
        X : ndarray of shape (n, p)
        joint : bool
            log a_k p_k(x) in place of log g_k(x), of a gate that models x.
        prune : bool
            As predictions ask: a gate may leave out what is improbable.
        hard : bool
            The most probable expert alone.
        """
        gate, own = self.gate, self.gate_input(X)
        verb = gate.log_joint if joint else gate.log_route if prune else gate.log_prob
        log_gate = verb(params["gate"], own)
        log_gate = array.log_harden(log_gate) if hard else log_gate
        return log_gate, wanted_pairs(log_gate)

    def log_gate(self, params, X):
        """Return log g_k(x), (n, K)."""
        return self.route(params, X)[0]

    def pairs(self, where):
        """Return pairs (n, K) as the verbs below see to them quickest in a pass of order 1."""
        return tiled(self.expert, where)

    def log_density(self, params, X, y, where=None):
        """Return log p_k(y|x), (n, K); if `where` (n, K) is given, at those pairs, 0 elsewhere."""
        return self._on_pairs(self.expert.log_prob, params, where, self.expert_input(X), y, X=X)

    def expert_mean(self, params, X, where=None):
        """Return E_k[y|x], (n, K, q), or class probabilities (n, K, C); `where` as above."""
        return self._on_pairs(self.expert.mean, params, where, self.expert_input(X), X=X)

    def _on_pairs(self, verb, params, where, *rows, X):
        own, offset = params["expert"], self.offset(X)
        if where is None or not X.shape[0]:
            return verb(own, *rows, **offset)
        return on_pairs(self.expert, verb, own, where, *rows, **offset)

    def expert_statistics(self, params, X, y, resp, order=2, where=None):
        """Return the experts' statistics; of the pairs in `where` alone where they are sums."""
        own, rows, offset = params["expert"], self.expert_input(X), self.offset(X)
        if order == 1 and where is not None and not isinstance(where, Tiles):
            where = self.pairs(where)
        if where is None or not (isinstance(where, Tiles) or self.expert.learning.sums):
            return self.expert.statistics(own, rows, y, resp, order, **offset)
        return statistics_on_pairs(self.expert, own, where, rows, y, resp, order, **offset)

    def mean(self, params, X, hard=False):
        """Return Σ_k g_k(x) E_k[y|x], (n, q) or (n, C); `hard`: of the gate's best expert."""
        log_gate, where = self.route(params, X, prune=True, hard=hard)
        mean = self.expert_mean(params, X, where)
        if not array.is_host(X):
            xp = array.namespace(X)
            return xp.sum(xp.exp(log_gate)[:, :, None] * mean, axis=1)
        sums = "nk,nkq->nq" if log_gate.ndim == 2 else "nkq,nkq->nq"
        return np.einsum(sums, np.exp(log_gate), mean)

    def fixed_mean(self, X, y, n_experts, classes):
        """Return `expert_mean` of experts that no fit changes, where nothing else is needed."""
        if not (self.objective.blends and self.expert.learning.fixed):
            return None
        resp = np.full((len(X), n_experts), 1 / n_experts)
        own, rng = self.expert_input(X), np.random.RandomState(0)
        return self.expert_mean({"expert": self.expert.init(own, y, resp, rng, classes)}, X)

    def components(self, params, X, x_scaling, y_scaling, single_output):
        """Return the experts' predictive distributions in the caller's units, for (n, K) pairs."""
        units = self.units("expert", x_scaling, y_scaling)
        own = self.expert_input(X)
        return self.expert.components(params["expert"], own, units, single_output, **self.offset(X))

    def log_prob(self, params, X, y, hard=False):
        """Return log p(y|x), (n,); `hard`: by the most probable expert of the gate alone."""
        log_gate, where = self.route(params, X, hard=hard)
        value = array.logsumexp(log_gate + self.log_density(params, X, y, where))
        if self.codes is None:
            return value
        return value - array.logsumexp(log_gate + self.log_total(params, X, where))

    def log_marginal(self, params, X):
        """Return log p(x), (n,), of a gate that models x."""
        return array.logsumexp(self.route(params, X, joint=True)[0])

    def log_classes(self, params, X, where=None):
        """Return log p_k(c|x) of all classes, (n, K, C); experts for numbers, up to a constant."""
        if self.codes is None:
            with np.errstate(divide="ignore"):
                return array.namespace(X).log(self.expert_mean(params, X, where))
        xp, codes, q = array.namespace(X), array.like(X, self.codes), len(self.codes)
        each = (xp.broadcast_to(codes[c, :], (X.shape[0], q)) for c in range(q))
        return xp.stack([self.log_density(params, X, y, where) for y in each], axis=2)

    def log_total(self, params, X, where=None):
        """Return log Σ_c p_k(c|x) over the codes of the classes, (n, K)."""
        return array.logsumexp(self.log_classes(params, X, where))

    def responsibilities(self, params, X, y):
        """Return P(expert k | x, y), (n, K)."""
        log_gate, where = self.route(params, X)
        return array.mixture_posterior(log_gate, self.log_density(params, X, y, where))[1]

    def grouped(self, params, X, y, weight, groups, hard=False):
        """Return log p(y_G|x_G) of every group and its responsibilities, (m,) and (m, K).

        One expert makes all rows of a group: log Σ_k g_k(x_G) Π_i p_k(y_i|x_i). `groups` (n,) holds
        codes; the rows of a group stand together.
        """
        heads = Heads.of(weight, groups)
        log_gate, where = self.route(params, heads.take(X), hard=hard)
        pairs = heads.spread(where)
        log_density = heads.joined(self.log_density(params, X, y, pairs))
        value, resp = array.mixture_posterior(log_gate, log_density)
        if self.codes is not None:
            total = heads.joined(self.log_total(params, X, pairs))
            value = value - array.logsumexp(log_gate + total)
        return value, resp

    # -- the verbs of a solver ---------------------------------------------------------------

    def statistics(
        self, params, X, y, weight, order=2, labels=None, groups=None, draws=None, means=None
    ) -> Statistics:
        """Return the objective and all that the next step needs, from one pass: the E-step.

        Parameters
        ----------
        X, y, weight : rows in internal units; X may be `Scaled`
        order : 1 or 2, what the experts' and the gate's statistics are for
        labels : ndarray of int of shape (n,), default=None
            Known experts, -1 where unknown: the row then counts with log g_k p_k of that expert.
        groups : ndarray of int of shape (n,), default=None
            Codes of rows that share one expert and stand together; constant in the gate's columns.
        draws : ndarray of shape (n,), default=None
            Uniform numbers with which to draw one expert a row instead of its responsibilities.
        means : ndarray of shape (n, K, q), default=None
            The experts' means, where they are known beforehand; for objectives that blend them.
        """
        if self.objective.blends:
            return blended_pass(self, params, as_array(X), y, weight, means)
        if labels is None and groups is None and draws is None:
            kernel = fused_pass.lookup(self, as_given(X), y)
            if kernel is not None:
                X = X if kernel in fused_pass.SCALING else as_array(X)
                return kernel(self, params, X, y, weight, order)
        X = as_array(X)
        found = density_pass(self, params, X, y, weight, order, labels, groups, draws)
        return found if array.is_host(X) else array.to_host(found)

    def maximize(self, params, stats, cautious=False) -> Params:
        """The M-step of both parts."""
        return {
            "gate": self.gate.maximize(params["gate"], stats["gate"], cautious),
            "expert": self.expert.maximize(params["expert"], stats["expert"], cautious),
        }

    def carry(self, params, stats, factor) -> Statistics:
        """The statistics as those of the parameters they led to, times `factor`."""
        return Statistics(
            objective=factor * stats["objective"],
            resp=factor * stats["resp"],
            gate=self.gate.carry(params["gate"], stats["gate"], factor),
            expert=self.expert.carry(params["expert"], stats["expert"], factor),
        )

    def gradient(self, params, stats) -> Params:
        """Gradient of the objective, priors included (Fisher's identity)."""
        expert = self.expert.gradient(params["expert"], stats["expert"])
        return {
            "gate": self.gate.gradient(params["gate"], stats["gate"]),
            "expert": _with_slopes(expert, stats["mean"]) if "mean" in stats else expert,
        }

    def coordinates(self, params) -> Coordinates:
        """The map between params like these and free numbers."""
        parts = {"gate": self.gate, "expert": self.expert}
        kinds = {name: part.coordinates(params[name]) for name, part in parts.items()}
        return Coordinates(kinds, params)

    def log_prior(self, params) -> float:
        """The log prior of both parts."""
        return self.gate.log_prior(params["gate"]) + self.expert.log_prior(params["expert"])

    def n_parameters(self, params) -> int:
        """Number of free parameters."""
        return self.gate.n_parameters(params["gate"]) + self.expert.n_parameters(params["expert"])

    def diagnose(self, params, stats) -> list:
        """Findings of both parts; an error function gives no statistics to judge the gate by.

        Under the blended error nor are there any of experts but those that were fitted before.
        """
        if self.objective.blends and not self.expert.learning.fixed:
            return []
        if not self.objective.likelihood:
            return self.expert.diagnose(params["expert"], stats["expert"])
        return [
            *self.expert.diagnose(params["expert"], stats["expert"]),
            *self.gate.diagnose(params["gate"], stats["gate"]),
        ]


def _with_slopes(gradient, slopes):
    """A gradient with the slopes added to those of its leaves that they name."""
    return {
        name: _with_slopes(leaf, slopes.get(name, {}))
        if isinstance(leaf, dict)
        else leaf + slopes[name]
        if name in slopes
        else leaf
        for name, leaf in gradient.items()
    }
