"""From the `Result` of a fit to what the estimator shows: `Fitted`."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._kernels import array
from ..exceptions import ExpertCollapseWarning
from ..model.mixture import MixtureModel
from ..model.passes import group_rows
from ..model.posterior import Posterior, posterior
from ..parts import tree
from ..parts.checks import fitted_fact
from ..parts.findings import Finding, told
from ..parts.packing import pack
from ..parts.params import Params
from ..parts.statistics import Statistics
from ._free_parameters import n_free_parameters
from ._outside import level_outside
from ._prepare import Schema
from ._repeats import name_repeats

CONSTANT = Finding(
    ExpertCollapseWarning, "y is constant: there is no spread for an expert to explain.", False
)
FIRST_ROWS = (
    "The first call to partial_fit fixes the units for all later ones: give it more rows, which"
    " represent the stream."
)
NO_POSTERIOR = Posterior()
OPTIONAL = (
    *("log_likelihood_", "joint_log_likelihood_", "feature_names_in_", "classes_", "categories_"),
    *("starts_", "penalties_", "log_evidence_", "evidence_path_", "evidence_missing_"),
    *("k_", "expert_usage_", "load_imbalance_", "n_active_experts_", "kept_mass_"),
)
"""Attributes that not every fit has."""

ROUTED = ("router_bias_", "thresholds_")
"""Attributes of a training with a router that hold a number of every expert."""
LITTLE = 0.1
"""Share of a load, where all have the same, from which an expert counts as active."""


@dataclass(frozen=True)
class Fitted:
    """A fitted model with all that is reported of it; nothing refers to the rows of the fit.

    Attributes
    ----------
    model : MixtureModel
    schema : Schema
    params : Params, the experts in the order in which they are shown
    resp : ndarray of shape (K,), sums of the responsibilities
    log_likelihood, joint_log_likelihood : float or None, in the caller's units
    lower_bounds : ndarray of shape (m,), the objective from the start on
    learning_curve : dict of ndarray
    n_iter : int
    converged : bool
    n_parameters : int
    findings : list of Finding
    complaint : str, why the fit is no end; "" if there is nothing to complain about
    memory : Memory or None, what on-line training goes on from, its statistics packed
    sums : (Statistics, int) or None
        Without a memory: sums over all rows of the fit, packed, and their number, to make the first
        from.
    streams : bool, whether these were rows of a stream
    starts : dict of ndarray or None, how the climbs ended; None of later rows of a stream
    penalties : dict, those that the fit has found, by the names of their parameters
    log_evidence : float or None, of a fit that has found penalties
    evidence_path : ndarray of shape (m,) or None, the log evidence after every update of these
    evidence_missing : str, why penalties that were to be found are weak; "" where none are
    posterior : Posterior, draws of the parameters for predictions that count their uncertainty
    n_kept : int or None, how many experts of a row the gate keeps; None of other gates
    loads : ndarray of shape (K,) or None, Σ weight of the rows that are sent to every expert
    kept_mass : float or None, mean of what the kept experts have of the dense gate
    routing : dict, what is shown of a training with a router, by name
    """

    model: MixtureModel
    schema: Schema
    params: Params
    resp: np.ndarray
    log_likelihood: float | None
    joint_log_likelihood: float | None
    lower_bounds: np.ndarray
    learning_curve: dict[str, np.ndarray]
    n_iter: int
    converged: bool
    n_parameters: int
    findings: list[Finding]
    complaint: str
    memory: object
    sums: tuple[Statistics, int] | None
    streams: bool
    starts: dict[str, np.ndarray] | None = None
    penalties: dict = field(default_factory=dict)
    log_evidence: float | None = None
    evidence_path: np.ndarray | None = None
    evidence_missing: str = ""
    posterior: Posterior = NO_POSTERIOR
    n_kept: int | None = None
    loads: np.ndarray | None = None
    kept_mass: float | None = None
    routing: dict = field(default_factory=dict)

    @classmethod
    def of(cls, problem, result, settled=None) -> Fitted:
        """Return what there is to say of the result of a problem, by one more pass or two.

        `settled`: the penalties that the fit has found, a `Settled`.
        """
        model, units, params = problem.model, problem.units, result.params
        if problem.reorders:
            ids = canonical_order(problem, result)
            model, params = renumbered(model, ids), take(model, params, ids)
        later = problem.given is None  # of a stream: their pass is made
        stats = result.stats
        if not later:
            stats = problem.batches.map_sum(model.statistics, params, scaled=True)
        joint, conditional = log_likelihoods(problem, params, stats)
        n_iter = len(result.history) - 1
        history = result.history if n_iter else 2 * result.history  # a look that found no gain
        lower_bounds = np.array([units.objective(value) for value in history])
        n_parameters = n_free_parameters(problem, params)
        memory = result.memory if problem.streams else None
        if memory is not None:
            memory = memory._replace(stats=pack(memory.stats))
        starts_one = model.sums and not problem.streams
        sums = (pack(stats, spare=True), problem.batches.n) if starts_one else None
        return cls(
            model,
            problem.schema,
            params,
            stats["resp"],
            float(units.log_likelihood(conditional)) if model.objective.likelihood else None,
            float(units.objective(joint)) if model.models_x else None,
            lower_bounds,
            _learning_curve(units, result, lower_bounds),
            max(n_iter, 1),
            bool(result.converged),
            n_parameters,
            _findings(problem, params, stats, n_parameters, settled),
            "" if problem.streams else _complaint(result, n_iter),
            memory,
            sums,
            problem.streams,
            _starts(units, result.endings),
            *_found(problem, model, settled),
            problem.obstacle,
            _posterior(problem, model, params, stats),
            problem.n_kept,
            *_loads(problem, model, params),
        )

    def attributes(self) -> dict:
        """Return the attributes of the estimator by name, itself as `_fitted`."""
        schema, K = self.schema, len(self.resp)
        found = {
            "params_": self.params,
            "weights_": self.resp / self.resp.sum(),
            "gate_": self._gate_view(),
            "experts_": [self._expert_view(k) for k in range(K)],
            "n_experts_": K,
            "log_likelihood_": self.log_likelihood,
            "joint_log_likelihood_": self.joint_log_likelihood,
            "lower_bounds_": self.lower_bounds,
            "learning_curve_": self.learning_curve,
            "starts_": self.starts,
            "n_iter_": self.n_iter,
            "converged_": self.converged,
            "n_parameters_": self.n_parameters,
            "penalties_": self.penalties or None,
            "log_evidence_": self.log_evidence,
            "evidence_path_": self.evidence_path,
            "evidence_missing_": self.evidence_missing or None,
            **schema.attributes(),
            "_fitted": self,
        }
        found |= schema.target.attributes() | self._load_attributes()
        return {name: value for name, value in found.items() if value is not None}

    def _load_attributes(self):
        """Return what is shown of loads, by name; nothing of a gate that keeps all experts."""
        if self.loads is None:
            return {}
        usage, K = self.loads / self.loads.sum(), len(self.loads)
        return {
            "k_": min(self.n_kept, K),
            "expert_usage_": usage,
            "load_imbalance_": float(K * usage.max() - 1),
            "n_active_experts_": int((usage >= LITTLE / K).sum()),
            "kept_mass_": self.kept_mass,
            **self.routing,
        }

    def matched(self, agreement):
        """Return the experts in the order that agrees best with others, ids (K,).

        `agreement` (K, K) says how far each of the others (rows) is like each of these (columns).
        Those of a list keep their places, but where members are alike.
        """
        gate, expert, K = self.model.gate, self.model.expert, len(self.resp)
        families = np.zeros(K)
        if not expert.exchangeable:
            families = fitted_fact(expert, "families", np.arange(K))
        unlike = families[:, None] != families
        # less than all that agrees: no pair that may not change places is worth it
        forbidden = -1.0 - np.abs(agreement).sum()
        return tree.matched(gate.tree_shape(K), np.where(unlike, forbidden, agreement))

    def reordered(self, ids) -> Fitted:
        """Return the fit with its experts in another order, `ids` (K,); predictions are the same.

        What on-line training goes on from is not taken along.
        """
        now = {int(k): place for place, k in enumerate(ids)}
        findings = [found.renumbered(now) for found in self.findings]
        params, model = take(self.model, self.params, ids), renumbered(self.model, ids)
        resp, loads = self.resp[ids], None if self.loads is None else self.loads[ids]
        routing = {n: v[ids] if n in ROUTED else v for n, v in self.routing.items()}
        moved = dict(model=model, params=params, resp=resp, loads=loads, findings=findings)
        moved["routing"] = routing
        own = functools.partial(take, self.model, ids=ids)
        moved["posterior"] = self.posterior.reordered(self.model, self.params, model, own)
        return replace(self, **moved, memory=None, sums=None)

    def units(self, part):
        """Return the units in which a part, "gate" or "expert", sees X and y."""
        return self.model.units(part, *self.schema.scalings)

    def _gate_view(self):
        options = self.schema.view_options("gate")
        return self.model.gate.view(self.params["gate"], self.units("gate"), **options)

    def _expert_view(self, k):
        expert, schema = self.model.expert, self.schema
        options = schema.view_options("expert") | schema.target.view_options()
        if expert.target.offset:
            options["offset_column"] = schema.columns.offset
        return expert.view(self.params["expert"], k, self.units("expert"), **options)

    def warn(self, estimator):
        """Warn of what is wrong with the fit, once a kind, where the package was called from."""
        name, level, by_category = type(estimator).__name__, level_outside(), {}
        if self.complaint and CONSTANT not in self.findings:
            by_category[ConvergenceWarning] = [
                f"{name} did not converge in {self.n_iter} iterations"
                f" (max_iter={estimator.max_iter}, tol={estimator._tol}); {self.complaint}."
            ]
        if self.findings:  # they come in order of gravity: the first kind is the cause
            category = self.findings[0].category
            texts = told([finding for finding in self.findings if finding.category is category])
            texts += [FIRST_ROWS] if self.streams else []
            by_category.setdefault(category, []).extend(texts)
        for category, texts in by_category.items():
            warnings.warn(" ".join(texts), category, stacklevel=level)


def canonical_order(problem, result):
    """Return the experts by decreasing weight, ties by decreasing intercept, ids (K,)."""
    model, resp = problem.model, result.stats["resp"]
    units = model.units("expert", *problem.schema.scalings)
    values, K = model.expert.to_caller(result.params["expert"], units), len(resp)
    intercept = np.reshape(values.get("intercept", np.zeros(K)), (K, -1))[:, 0]
    share = np.round(resp / resp.sum(), 10)
    key = np.empty(K)
    key[np.lexsort((-intercept, -share))] = np.arange(K)
    return tree.order(model.gate.tree_shape(K), key, share)


def renumbered(model, ids):
    """Return the model whose experts come in another order, `ids` (K,)."""
    return replace(model, **{name: part.renumbered(ids) for name, part in model.parts.items()})


def take(model, params, ids) -> Params:
    """Return the params of both parts with the experts in another order, `ids` (K,)."""
    return {name: part.take(params[name], ids) for name, part in model.parts.items()}


def _found(problem, model, settled):
    """Return the penalties that a fit has found, by name, its log evidence, and the path there.

    {}, None, None where it has found none.

    `model` has the experts in the order in which they are shown.
    """
    automatic = problem.automatic
    if settled is None:
        return {}, None, None
    alphas = settled.numbers.alphas
    found = {name: alphas[part] for part in automatic.alphas for name in automatic.names[part]}
    if automatic.variance or automatic.corrects:
        found["expert__variance_prior"] = model.expert.variance_prior
    path = np.array([problem.units.objective(value) for value in settled.path])
    return found, float(path[-1]), path


def _posterior(problem, model, params, stats):
    """Return the draws of the parameters of a fit, or why there are none."""
    schema = problem.schema
    if problem.streams:
        return Posterior(None, "after partial_fit the rows are no longer there")
    if schema.target.task != "regression":
        return Posterior(None, "classes have no predictive distribution")
    if schema.x.rotation is not None:
        return Posterior(None, "the fit had more columns than rows; choose fewer columns")
    kept = problem.n_kept
    if kept is not None and kept < len(stats["resp"]):
        reason = f"the gate keeps {kept} experts of a row, and the likelihood jumps with that set"
        return Posterior(None, reason)
    unbiased = problem.automatic is not None and problem.automatic.corrects
    return posterior(model, params, problem.batches, stats, schema.weight_unit, unbiased)


def _loads(problem, model, params):
    """Return Σ weight of the rows that are sent to every expert (K,), and the mean kept mass.

    None and None of a gate that keeps all experts of itself.
    """
    if problem.n_kept is None:
        return None, None
    sums = problem.batches.map_sum(functools.partial(_sums_of_loads, model), params)
    return sums[:-1], float(sums[-1] / problem.batches.total_weight)


def _sums_of_loads(model, params, X, y, weight, **facts):
    """Return Σ weight by expert of the rows that it gets, and last Σ weight·kept mass, (K + 1,)."""
    own = model.gate_input(X)
    sent = np.isfinite(model.gate.log_prob(params["gate"], own))
    mass = np.exp(
        array.logsumexp(np.where(sent, model.gate.dense().log_prob(params["gate"], own), -np.inf))
    )
    return np.append(weight @ sent, weight @ mass)


def log_likelihoods(problem, params, stats):
    """Return Σ log p(x, y) and Σ log p(y|x), inside; the first only where the gate models x."""
    model, batches = problem.model, problem.batches
    if model.models_x or problem.knows_labels or model.codes is not None:
        return tuple(
            batches.map_sum(functools.partial(_log_likelihood, model, joint), params)
            for joint in (model.models_x, False)
        )
    return stats["objective"], stats["objective"]


def _log_likelihood(model, joint, params, X, y, weight, groups=None, **other_facts):
    """Return Σ log p(y|x) over the rows or groups, and log p(x) too if `joint`; float."""
    heads, head_weight = X, weight
    if groups is None:
        value = model.log_prob(params, X, y)
    else:
        value = model.grouped(params, X, y, weight, groups)[0]
        heads, head_weight = X[group_rows(groups)[0]], np.ones(len(value))
    if joint:
        value = value + model.log_marginal(params, heads)
    return float(head_weight @ value)


def _learning_curve(units, result, lower_bounds):
    """Return the curves by name, in the caller's units."""
    every = result.curves.get("objective")
    curves = {
        "objective": lower_bounds.copy()
        if every is None
        else np.array([units.objective(value) for value in every])
    }
    if "validation" in result.curves:
        curves["validation"] = units.curve(result.curves["validation"])
    return curves


def _starts(units, endings):
    """Return the table of `starts_`, in the caller's units; None without any climb."""
    if not endings:
        return None
    kind, early, objective, resp, outcome = zip(*endings, strict=True)
    none = np.full(max(np.size(own) for own in resp), np.nan)  # of a climb that failed
    resp = np.array([none if own is None else own for own in resp])
    smallest = resp.min(axis=1) / resp.sum(axis=1)
    return {
        "kind": np.array(kind),
        "early_objective": units.objective(np.array(early)),
        "objective": units.objective(np.array(objective)),
        "smallest_share": smallest,
        "outcome": np.array(outcome),
    }


def _findings(problem, params, stats, n_parameters, settled):
    """Return what is wrong with a fit; of the first rows of a stream only what is sure.

    Experts that a fit has emptied, since the evidence is better so, are nothing wrong.
    """
    if problem.given is None:  # later rows of a stream, maybe a handful
        return []
    if problem.schema.y_is_constant:
        return [CONSTANT]
    findings = name_repeats(problem, params, problem.model.diagnose(params, stats))
    if not problem.streams:
        empty = set() if settled is None else set(np.flatnonzero(stats["resp"] < 1).tolist())
        findings = [own for own in findings if not own.experts or set(own.experts) - empty]
        return findings if empty else [*findings, *_dead(problem, stats, findings)]
    # what else a stream leaves open the next rows may tell
    findings = [found for found in findings if found.category is ExpertCollapseWarning]
    n = problem.units.weight_unit * problem.units.total_weight
    if findings or n >= n_parameters:
        return findings
    message = f"{n:.4g} rows are few for {n_parameters} free parameters; use fewer experts."
    return [Finding(ExpertCollapseWarning, message, False)]


def _dead(problem, stats, findings):
    """Return a finding about experts that have less than a row, if it is not said of them yet."""
    model = problem.model
    if not (model.objective.likelihood and model.expert.exchangeable):
        return []
    said = {k for finding in findings for k in finding.experts}
    dead = [k for k in np.flatnonzero(stats["resp"] < 1).tolist() if k not in said]
    if not dead:
        return []
    names = ", ".join(map(str, dead))
    who = f"expert {names} has" if len(dead) == 1 else f"experts {names} have, each,"
    message = f"{who} less than one row (responsibilities sum to {stats['resp'][dead].max():.2g})"
    return [Finding(ExpertCollapseWarning, message, False, "use fewer experts", tuple(dead))]


def _complaint(result, n_iter):
    """Return what to do about a fit that did not converge; "" if it did or was stopped."""
    if result.converged or result.stopped:
        return ""
    return result.advice or "increase max_iter or tol"
