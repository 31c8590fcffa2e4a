"""`MixtureModel`: gate and experts as one model, p(y|x) = Σ_k g_k(x) p_k(y|x)."""

from __future__ import annotations

import copy

import numpy as np

from .._kernels import array
from ..data.units import Scaling, Units
from ..parts.coordinates import Coordinates
from ..parts.params import Params
from ..parts.part import offers
from ..parts.statistics import Statistics
from . import fused_pass as fused
from .objectives import MixtureLikelihood


class MixtureModel:
    """The five verbs one level up; solvers see nothing else.

    Parameters
    ----------
    gate, expert : BaseGate, BaseExpert
    gate_columns, expert_columns : integer arrays or None
        The columns of X that each part sees; None means all.
    offset_column : int or None
        The column of X that is added to the experts' linear predictors.
    objective : callable, default=MixtureLikelihood()
        See `objectives`.
    codes : ndarray of shape (C, q), default=None
        The values that y may take, where experts for numbers serve classes, one-hot: `log_prob` is
        normalised over them.
    compiled : bool or "auto", default="auto"
        Whether a fused kernel replaces the generic pass where there is one; "auto": on data large
        enough to repay loading and compiling it.
    """

    def __init__(
        self,
        gate,
        expert,
        gate_columns=None,
        expert_columns=None,
        offset_column=None,
        objective=None,
        codes=None,
        compiled="auto",
    ):
        self.gate = gate
        self.expert = expert
        self.gate_columns = gate_columns if gate.inputs.uses_x else np.empty(0, dtype=int)
        self.expert_columns = expert_columns if expert.inputs.uses_x else np.empty(0, dtype=int)
        self.offset_column = offset_column
        self.objective = objective or MixtureLikelihood()
        self.codes = codes
        self.compiled = compiled

    @property
    def models_x(self):
        """Whether the gate is a model of x too, so that the objective is log p(x, y)."""
        return self.objective.likelihood and hasattr(self.gate, "log_joint")

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
        return self.gate.learning.ascends

    def with_objective(self, objective):
        """The same model under another objective."""
        other = copy.copy(self)
        other.objective = objective
        return other

    def gate_input(self, X):
        """The columns of X that the gate sees."""
        return X if self.gate_columns is None else X[:, self.gate_columns]

    def expert_input(self, X):
        """The columns of X that the experts see."""
        return X if self.expert_columns is None else X[:, self.expert_columns]

    def offset(self, X):
        """The keyword for the experts' verbs that carries the offset, if there is one."""
        if self.offset_column is None:
            return {}
        return {"offset": X[:, self.offset_column].astype(np.float64)}

    def units(self, part, x_scaling, y_scaling):
        """The units in which a part ("gate" or "expert") sees X and y."""
        scales_y = part == "expert" and self.expert.target.standardise
        outputs = (
            len(y_scaling.center) if part == "expert" and self.expert.target.outputs != 1 else 1
        )
        columns = getattr(self, part + "_columns")
        y = y_scaling if scales_y else Scaling.identity(outputs)
        return Units(x_scaling.select(columns), y)

    def init(self, X, y, resp, random_state, classes=None, groups=None) -> Params:
        """Starting values of both parts from soft assignments, sample weights multiplied in."""
        own, offset = self.expert_input(X), self.offset(X)
        expert = self.expert.init(own, y, resp, random_state, classes, **offset)
        if groups is not None:
            first = group_rows(groups)[0]
            X, resp = X[first], resp[first] / resp[first].sum(axis=1, keepdims=True)
        if self.gate.per_output:
            q = self.expert.response(y)[0].shape[1] if classes is None else len(classes)
            resp = np.repeat(resp[:, :, None], q, axis=2)
        return {"gate": self.gate.init(self.gate_input(X), resp, random_state), "expert": expert}

    def log_gate(self, params, X):
        """log g_k(x), (n, K)."""
        return self.gate.log_prob(params["gate"], self.gate_input(X))

    def log_route(self, params, X):
        """`log_gate` as predictions use it, (n, K)."""
        return self.gate.log_route(params["gate"], self.gate_input(X))

    def log_density(self, params, X, y, where=None):
        """log p_k(y|x), (n, K); 0 but for the rows and experts in `where` (n, K), if given."""
        verb, options = self.expert.log_prob, self._options(X, where)
        found = verb(params["expert"], self.expert_input(X), y, **options)
        return found if where is None else np.where(where, found, 0.0)

    def expert_mean(self, params, X, where=None):
        """E_k[y|x], (n, K, q), or class probabilities (n, K, C); `where` as in `log_density`."""
        found = self.expert.mean(params["expert"], self.expert_input(X), **self._options(X, where))
        return found if where is None else np.where(where[:, :, None], found, 0.0)

    def _options(self, X, where):
        """The keywords for `log_prob` and `mean` of the experts."""
        skips = where is not None and self.expert.takes_where
        return self.offset(X) | ({"where": where} if skips else {})

    def mean(self, params, X, hard=False):
        """Σ_k g_k(x) E_k[y|x], (n, q) or (n, C); `hard`: of the gate's most probable expert."""
        log_gate = self.log_route(params, X)
        log_gate = array.log_harden(log_gate) if hard else log_gate
        mean = self.expert_mean(params, X, routed(log_gate))
        sums = "nk,nkq->nq" if log_gate.ndim == 2 else "nkq,nkq->nq"
        return np.einsum(sums, np.exp(log_gate), mean)

    def fixed_mean(self, X, y, n_experts, classes):
        """`expert_mean` of experts that no fit changes, where the objective needs nothing else."""
        if not (self.objective.blends and self.expert.learning.fixed):
            return None
        resp = np.full((len(X), n_experts), 1 / n_experts)
        own, rng = self.expert_input(X), np.random.RandomState(0)
        return self.expert_mean({"expert": self.expert.init(own, y, resp, rng, classes)}, X)

    def components(self, params, X, x_scaling, y_scaling, single_output):
        """The experts' predictive distributions in the caller's units."""
        units = self.units("expert", x_scaling, y_scaling)
        own = self.expert_input(X)
        return self.expert.components(params["expert"], own, units, single_output, **self.offset(X))

    def log_prob(self, params, X, y, hard=False):
        """log p(y|x), (n,); `hard`: by the most probable expert of the gate alone."""
        log_gate = self.log_gate(params, X)
        log_gate = array.log_harden(log_gate) if hard else log_gate
        where = routed(log_gate)
        value = array.logsumexp(log_gate + self.log_density(params, X, y, where))
        if self.codes is None:
            return value
        return value - array.logsumexp(log_gate + self.log_total(params, X, where))

    def log_classes(self, params, X, where=None):
        """log p_k(c|x) of every class, (n, K, C); of experts for numbers, up to a constant."""
        if self.codes is None:
            with np.errstate(divide="ignore"):
                return np.log(self.expert_mean(params, X, where))
        each = (np.broadcast_to(code, (len(X), len(code))) for code in self.codes)
        return np.stack([self.log_density(params, X, y, where) for y in each], axis=2)

    def log_total(self, params, X, where=None):
        """log Σ_c p_k(c|x) over the codes of the classes, (n, K)."""
        return array.logsumexp(self.log_classes(params, X, where))

    def responsibilities(self, params, X, y):
        """P(expert k | x, y), (n, K)."""
        return array.mixture_posterior(self.log_gate(params, X), self.log_density(params, X, y))[1]

    def grouped(self, params, X, y, weight, groups, hard=False):
        """log p(y_G|x_G) of every group and its responsibilities, (m,) and (m, K).

        One expert makes all rows of a group: log Σ_k g_k(x_G) Π_i p_k(y_i|x_i). `groups` (n,) holds
        codes; the rows of a group stand together.
        """
        first, _ = group_rows(groups)
        log_gate = self.log_gate(params, X[first])
        log_gate = array.log_harden(log_gate) if hard else log_gate

        def of_groups(log_density):
            return np.add.reduceat(weight[:, None] * log_density, first, axis=0)

        log_density = of_groups(self.log_density(params, X, y))
        value, resp = array.mixture_posterior(log_gate, log_density)
        if self.codes is not None:
            value = value - array.logsumexp(log_gate + of_groups(self.log_total(params, X)))
        return value, resp

    def statistics(
        self, params, X, y, weight, order=2, labels=None, groups=None, draws=None, means=None
    ) -> Statistics:
        """One pass over rows: the objective and all that the next step needs; the E-step.

        Parameters
        ----------
        X, y, weight : rows in internal units
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
            return self._blended(params, X, y, weight, means)
        if labels is None and groups is None and draws is None and not self.models_x:
            kernel = fused.lookup(self, X, y)
            if kernel is not None:
                return kernel(self, params, X, y, weight, order)
        log_density = self.log_density(params, X, y)
        heads, head_weight = X, weight  # what the gate sees: a row each, or a row for every group
        if groups is not None:
            first, member = group_rows(groups)
            heads, head_weight = X[first], np.ones(len(first))
            log_density = np.add.reduceat(weight[:, None] * log_density, first, axis=0)
            labels = None if labels is None else labels[first]
            draws = None if draws is None else draws[first]
        gate_X = self.gate_input(heads)
        # A gate that models x brings log p(x) with it: log a_k p_k(x) in place of log g_k(x).
        verb = self.gate.log_joint if self.models_x else self.gate.log_prob
        log_gate = verb(params["gate"], gate_X)
        if labels is not None:
            log_gate = array.log_known(log_gate, labels)
        value, pull, resp = self.objective(log_gate, log_density)
        if draws is not None:
            pull = resp = array.draw(resp, draws)
        head_resp = resp * head_weight[:, None]
        head_pull = head_resp if pull is resp else pull * head_weight[:, None]
        row_resp = head_resp if groups is None else weight[:, None] * resp[member]
        # What an error function gives the gate is no responsibility: there is a slope, no M-step.
        gate_order = order if self.objective.likelihood else 1
        return Statistics(
            objective=float(head_weight @ value),
            resp=head_resp.sum(axis=0),
            gate=self.gate.statistics(params["gate"], gate_X, head_pull, gate_order),
            expert=self.expert.statistics(
                params["expert"], self.expert_input(X), y, row_resp, order, **self.offset(X)
            ),
        )

    def _blended(self, params, X, y, weight, means):
        """`statistics` of order 1 for an objective of the experts' means."""
        gate_X, expert_X, offset = self.gate_input(X), self.expert_input(X), self.offset(X)
        log_gate = self.gate.log_prob(params["gate"], gate_X)
        if means is None:
            means = self.expert.mean(params["expert"], expert_X, **offset)
        if y.ndim == 1:  # codes of classes
            target = np.eye(means.shape[2])[y]
        else:
            target, trials = self.expert.response(y)
            weight = weight if trials is None else weight * trials
        value, pull, slope = self.objective(log_gate, means, target)
        share = np.exp(log_gate).reshape(*log_gate.shape[:2], -1).mean(axis=2)
        none = {name: column[:0] for name, column in offset.items()}
        axes = (len(X), *(1,) * (pull.ndim - 1))
        return Statistics(
            objective=float(weight @ value),
            resp=weight @ share,
            gate=self.gate.statistics(params["gate"], gate_X, weight.reshape(axes) * pull, 1),
            # of no rows: the slope of the prior is all that `gradient` finds in it
            expert=self.expert.statistics(
                params["expert"], expert_X[:0], y[:0], share[:0], 1, **none
            ),
            mean=self.expert.mean_gradient(
                params["expert"], expert_X, weight[:, None, None] * slope, **offset
            ),
        )

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

    def lacks(self, what) -> list[str]:
        """Return what keeps a solver from its requirement, by name; empty where nothing does.

        Parameters
        ----------
        what : {"statistics", "gradient", "sums", "rows"}
            An M-step that climbs the objective; a gradient of every part; statistics that are sums;
            derivatives row by row.
        """
        if what == "statistics":
            return [] if self.objective.likelihood else [type(self.objective).__name__]
        parts = {"gate": self.gate, "expert": self.expert}
        if what == "sums":
            return [repr(part) for part in parts.values() if not part.learning.sums]
        return [
            f"the {name}, {type(part).__name__},"
            for name, part in parts.items()
            if not offers(part, what)
        ]

    def log_prior(self, params) -> float:
        """The log prior of both parts."""
        return self.gate.log_prior(params["gate"]) + self.expert.log_prior(params["expert"])

    def n_parameters(self, params) -> int:
        """Number of free parameters."""
        return self.gate.n_parameters(params["gate"]) + self.expert.n_parameters(params["expert"])

    def diagnose(self, params, stats) -> list:
        """Findings of both parts; an error function gives no statistics to judge the gate by."""
        if self.objective.blends:
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


def routed(log_gate):
    """Which experts a row goes to at all, (n, K); None if every row goes to every expert."""
    where = log_gate > -np.inf
    where = where if where.ndim == 2 else where.any(axis=2)
    return None if where.all() else where


def group_rows(groups):
    """The first row of every group (m,), and the number of the group of every row (n,)."""
    starts = np.diff(groups, prepend=groups[0] - 1) != 0
    return np.flatnonzero(starts), np.cumsum(starts) - 1
