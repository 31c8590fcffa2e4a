"""What `diagnose` has to say of each aspect of a fit: remarks, and the tables behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import kstest, norm

from ..exceptions import ExpertCollapseWarning
from ..parts.checks import fitted_fact
from ..report.table import Table, number_text
from ..starts.search import SAME

FEW, ENOUGH = 1.0, 5.0
"""Effective rows for each parameter of an expert: below the first nothing is determined, from the
second on there is nothing to say."""
ROWS_A_PARAMETER = 10.0
SURE, ALL = 0.999, 0.99
"""The gate is certain of an expert above the first; everywhere, in more than that share of rows."""
VAGUE, IDLE = 0.5, 0.95
"""Shares of log K: experts that y does not tell apart, and a gate that x does not move."""
LARGE_CONDITION, LARGEST_CONDITION = 1e4, 1e8
MOVED, MOVED_FAR = 1.0, 2.0
"""Standard errors that a single row moves a parameter."""
UNLIKELY, FAR = 0.01, 0.1
"""The p-value, and the distance of distribution functions, from which on residuals are odd."""
OUTLYING = 4.0
LISTED, IN_WORDS = 5, 2


class Remark(NamedTuple):
    """A sentence on a fit.

    Attributes
    ----------
    severity : {2, 1, 0}
        2: to be mended; 1: to be looked at; 0: in order.
    topic : str
    text : str
    advice : str
        What to do; "" where there is nothing to do.
    """

    severity: int
    topic: str
    text: str
    advice: str = ""

    def __str__(self):
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.topic}: {self.text}{advice}."


def on_the_fit(model, fitted, weight, groups):
    """Return remarks on convergence, on what the fit warned of, and on its size."""
    found = []
    if model.converged_:
        found.append(Remark(0, "Convergence", f"reached after {model.n_iter_} iterations"))
    else:
        text = f"not reached in {model.n_iter_} iterations"
        found.append(Remark(2, "Convergence", text, "increase max_iter, or look at what follows"))
    for finding in fitted.findings:
        kind = "Collapse" if finding.category is ExpertCollapseWarning else "Separation"
        found.append(Remark(2, kind, finding.message.rstrip("."), finding.advice))
    n = weight.sum() if groups is None else len(np.unique(groups))
    of_what = "rows" if groups is None else "groups"
    ratio = n / model.n_parameters_
    text = f"{number_text(ratio, 3)} {of_what} for each of {model.n_parameters_} parameters"
    few = ratio < ROWS_A_PARAMETER
    advice = "use fewer experts or columns, or larger penalties" if few else ""
    found.append(Remark(int(few) + int(ratio < 2), "Size", text, advice))
    return found, {}


# -- experts and the gate --------------------------------------------------------------------------


def on_experts(model, fitted, gate, resp, weight):
    """Return a remark on the expert with the fewest rows for its parameters, and a table of all."""
    proba = gate.reshape(*gate.shape[:2], -1).mean(axis=2) if resp is None else resp
    names, K = model.describe().expert_names, proba.shape[1]
    effective, own = weight @ proba, proba.argmax(axis=1)
    counts = [_n_parameters(fitted, k) for k in range(K)]
    body = []
    for k in range(K):
        mine = own == k
        sure = np.average(proba[mine, k], weights=weight[mine]) if mine.any() else np.nan
        body.append(
            [
                names[k],
                effective[k] / weight.sum(),
                effective[k],
                weight[mine].sum(),
                sure,
                counts[k],
            ]
        )
    head = ["", "share", "effective rows", "assigned rows", "their mean probability", "parameters"]
    table = {"experts": Table("Experts", head, body)}
    ratio = effective / np.maximum(counts, 1)
    worst = int(ratio.argmin())
    text = f"{names[worst]} rests on {number_text(effective[worst], 3)} effective rows"
    if counts[worst]:
        plural = "s" if counts[worst] > 1 else ""
        text += f" for {counts[worst]} parameter{plural} of its own"
    severity = int(ratio[worst] < ENOUGH) + int(ratio[worst] < FEW)
    advice = "use fewer experts, simpler ones, or larger penalties" if severity else ""
    return [Remark(severity, "Usage", text, advice)], table


def _n_parameters(fitted, k):
    """Return how many numbers an expert has, those that it shares with others included."""
    expert = fitted.model.expert
    if not expert.learning.sums:  # black boxes, whose numbers nobody knows
        return 0
    if not expert.exchangeable:  # members of a list differ
        return round(expert.n_parameters(fitted.params["expert"]) / len(fitted.resp))
    return int(expert.n_parameters(expert.take(fitted.params["expert"], np.array([k]))))


def on_the_gate(model, fitted, gate, entropies, weight):
    """Return remarks on how sure the gate is, before and after y is seen."""
    K = gate.shape[1]
    if K == 1:
        return [], {}
    prior, posterior = entropies
    flat = gate.reshape(*gate.shape[:2], -1)
    share = np.average((flat.max(axis=1) > SURE).mean(axis=1), weights=weight)
    text = f"{_percent(prior)} of the uncertainty about the expert is left by x"
    text += f", {_percent(posterior)} by x and y" if np.isfinite(posterior) else ""
    uses_x = fitted.model.gate.inputs.uses_x
    found = []
    if posterior > VAGUE:
        advice = "the experts hardly differ: try fewer of them, or read no meaning into single ones"
        found.append(Remark(1, "Overlap", text, advice))
    elif uses_x and prior > IDLE:
        advice = "the gate hardly uses x: try gate='constant', or other gate_features"
        found.append(Remark(1, "Gate", text, advice))
    else:
        found.append(Remark(0, "Gate", text))
    if share > ALL and uses_x:
        text = f"the gate is certain of one expert in {_percent(share)} of the rows"
        advice = "its slopes are as large as the penalty lets them be: rely on where it turns, not"
        advice += " on how steeply"
        found.append(Remark(1, "Separation", text, advice))
    return found, {}


# -- parameters and rows ---------------------------------------------------------------------------


def on_the_information(influence):
    """Return a remark on whether the data determine the parameters."""
    if influence.lack:
        return [Remark(0, "Information", f"there is none: {influence.lack}")], {}
    remarks = [
        Remark(2, "Standard errors", _without(reason, influence), "see `infer` for all of them")
        for reason in dict.fromkeys(influence.reasons.values())
    ]
    condition = influence.condition
    severity = int(condition > LARGE_CONDITION) + int(condition > LARGEST_CONDITION)
    text = f"condition number {condition:.2g} of the observed information, scaled"
    advice = ""
    if severity:
        text += f"; least determined is a combination of {' and '.join(influence.weakest)}"
        advice = "drop columns that repeat others, use fewer experts, or larger penalties"
    return [*remarks, Remark(severity, "Information", text, advice)], {}


def _without(reason, influence):
    """Return which parameters have no standard error for a reason, in words."""
    names = [name for name, why in influence.reasons.items() if why == reason]
    shown = ", ".join(names[:IN_WORDS]) + (" and others" if len(names) > IN_WORDS else "")
    have = "has" if len(names) == 1 else "have"
    return f"{len(names)} of {influence.n_parameters} parameters {have} none ({shown}): {reason}"


def on_influence(influence, fitted, rows, groups):
    """Return a remark on rows, or groups, that decide by themselves, and a table of them."""
    moves, most, unit, labels = influence.moves, influence.most_moved, "row", rows
    if moves is None:
        return [], {}
    if groups is not None:  # all rows of a group are told of it
        labels, first = np.unique(np.asarray(groups), return_index=True)
        moves, most, unit = moves[first], [most[i] for i in first], "group"
    order = np.argsort(-moves, kind="stable")[:LISTED]
    body = [[str(labels[i]), moves[i], most[i]] for i in order]
    head = [unit, "standard errors", "the parameter that it moves most"]
    table = {"influential rows": Table(f"Influential {unit}s", head, body)}
    first = order[0]
    text = (
        f"leaving out {unit} {labels[first]} moves {most[first]} by"
        f" {number_text(moves[first], 2)} standard errors, the most of all {unit}s"
    )
    severity = int(moves[first] > MOVED) + int(moves[first] > MOVED_FAR)
    many = int((moves > MOVED).sum())
    advice = ""
    if severity:
        text += f"; {many} {unit + ' moves' if many == 1 else unit + 's move'} one by more than one"
        bearing = _bearing(fitted)
        advice = "look at them, and fit without them" + (f" or with {bearing}" if bearing else "")
    return [Remark(severity, "Influence", text, advice)], table


# -- residuals -------------------------------------------------------------------------------------


def on_residuals(model, fitted, residuals, X, rows):
    """Return remarks on quantile residuals, and a table of their moments."""
    if residuals is None:
        return [Remark(0, "Residuals", "none, as the fit has no distribution of y")], {}
    names = model.describe().target_names
    if residuals.shape[1] == 1:
        names = names[:1]
    body, found = [], []
    for name, r in zip(names, residuals.T, strict=True):
        distance, p = kstest(r, norm.cdf)
        z = (r - r.mean()) / (r.std() or 1.0)
        body.append([name, r.mean(), r.std(), (z**3).mean(), (z**4).mean() - 3, distance, p])
        found.append((distance, p, name, r))
    head = ["", "mean", "sd", "skewness", "excess kurtosis", "KS distance", "p"]
    table = {
        "residuals": Table("Quantile residuals: standard normal if the model is right", head, body)
    }
    distance, p, name, r = max(found, key=lambda one: one[0])
    of = f" of {name}" if len(found) > 1 else ""
    text = (
        f"quantile residuals{of} have mean {number_text(r.mean(), 2)} and sd"
        f" {number_text(r.std(), 3)}, {number_text(distance, 2)} from the normal distribution"
        f" (Kolmogorov-Smirnov p = {p:.2g})"
    )
    odd = p < UNLIKELY / len(found)
    severity = int(odd) + int(odd and distance > FAR)
    remarks = [Remark(severity, "Residuals", text, _mend(r, fitted) if severity else "")]
    return remarks + _outliers(residuals, fitted, rows) + _dependence(model, residuals, X), table


def _bearing(fitted):
    """Return the experts whose tails bear rows that are far out, a str; "" for classes."""
    target = fitted.schema.target
    if target.task != "regression":
        return ""
    kind = fitted.model.expert.target.kind
    return "student_t experts" if kind == "density" else "negative_binomial experts"


def _mend(r, fitted):
    """Return what to do about residuals that are not normal."""
    bearing = _bearing(fitted)
    if bearing and (np.abs(r) > OUTLYING).sum() > 2 * len(r) * norm.sf(OUTLYING) + 2:
        return f"tails are heavier than the experts': try {bearing}"
    if r.std() > 1.1:
        return "predicted intervals are too narrow: use larger penalties or fewer experts"
    return "try another family of experts, or more experts"


def _outliers(residuals, fitted, rows):
    """Return a remark on rows that are far out, if there are more than chance has it."""
    size = np.abs(residuals).max(axis=1)
    expected = residuals.size * 2 * norm.sf(OUTLYING)
    far = np.flatnonzero(size > OUTLYING)
    if len(far) <= expected + 3 * np.sqrt(expected):
        return []
    first = far[np.argsort(-size[far], kind="stable")][:LISTED]
    shown = ", ".join(str(rows[i]) for i in first)
    text = (
        f"{len(far)} {'row is' if len(far) == 1 else 'rows are'} beyond {OUTLYING:g} standard"
        f" deviations, {number_text(expected, 2)} expected: {shown}"
        + (" and others" if len(far) > len(first) else "")
    )
    bearing = _bearing(fitted)
    advice = "look at them" + (f"; {bearing} bear them" if bearing else "")
    return [Remark(1, "Outliers", text, advice)]


def _dependence(model, residuals, X):
    """Return a remark on the column that residuals, or their squares, go with most."""
    x = np.asarray(model._validate(X, reset=False))
    if x.dtype == object or x.ndim != 2 or not x.size:
        return []
    spread = x.std(axis=0)
    kept = np.flatnonzero(spread > 0)
    names = model._fitted.schema.names
    names = [f"x{j}" if names is None else str(names[j]) for j in range(x.shape[1])]
    z = (x[:, kept] - x[:, kept].mean(axis=0)) / spread[kept]
    best = (0.0, "", "")
    for what, values in (("residuals", residuals), ("squares of residuals", residuals**2)):
        for r in values.T:
            r = (r - r.mean()) / (r.std() or 1.0)
            correlation = z.T @ r / len(r)
            if len(kept) and np.abs(correlation).max() > abs(best[0]):
                j = int(np.abs(correlation).argmax())
                best = float(correlation[j]), what, names[kept[j]]
    n, tried = len(x), 2 * residuals.shape[1] * max(len(kept), 1)
    p = min(1.0, tried * 2 * norm.sf(abs(best[0]) * np.sqrt(n)))
    if not p < UNLIKELY:
        return []
    text = f"{best[1]} go with {best[2]}, correlation {number_text(best[0], 2)} (p = {p:.2g})"
    advice = f"give gate and experts {best[2]}, or more experts"
    return [Remark(1, "Residuals", text, advice)]


# -- the search ------------------------------------------------------------------------------------


def on_starts(model, weight):
    """Return a remark on where the climbs of the search ended, and a table of their maxima."""
    starts = fitted_fact(model, "starts_")
    if starts is None or len(starts["kind"]) < 2:
        return [], {}
    objective, outcome, kind = (starts[key] for key in ("objective", "outcome", "kind"))
    chosen = objective[outcome == "chosen"][0]
    near = 2 * SAME * weight.sum()
    healthy = np.isin(outcome, ("chosen", "ended"))
    best = healthy & (objective >= chosen - near)
    others = healthy & ~best
    counts = {name: int((kind == name).sum()) for name in ("start", "hop")}
    met = {name: int((best & (kind == name)).sum()) for name in counts}
    text = f"{met['start']} of {counts['start']} starts"
    text += f" and {met['hop']} of {counts['hop']} hops" if counts["hop"] else ""
    text += " ended at the maximum that was chosen"
    if others.any():
        behind = chosen - objective[others].max()
        text += f", the next best is {number_text(behind, 3)} below it"
    lonely = met["start"] + met["hop"] < 2
    advice = ""
    if lonely:
        advice = f"a better one may be left: raise n_init above {model._n_init}"
    collapsed = (outcome == "collapsed") & (objective > chosen + near)
    remarks = [Remark(int(lonely), "Starts", text, advice)]
    if collapsed.any():
        above = objective[collapsed].max() - chosen
        text = f"a climb that collapsed ended {number_text(above, 3)} higher"
        remarks.append(Remark(1, "Starts", text, "keep a variance_prior above 0"))
    return remarks, {"starts": _table_of_maxima(starts, chosen, near)}


def _table_of_maxima(starts, chosen, near):
    """Return a table of the different maxima, the best first: how many climbs ended at each."""
    body, healthy = [], np.isin(starts["outcome"], ("chosen", "ended"))
    order = np.flatnonzero(healthy)
    order = order[np.argsort(-starts["objective"][order], kind="stable")]
    while len(order) and len(body) < LISTED:
        top = starts["objective"][order[0]]
        same = starts["objective"][order] >= top - near
        kinds = starts["kind"][order[same]]
        share = starts["smallest_share"][order[0]]
        behind = 0.0 if abs(top - chosen) <= near else top - chosen
        met = [int((kinds == kind).sum()) for kind in ("start", "hop")]
        body.append([top, behind, *met, share])
        order = order[~same]
    head = ["objective", "against the chosen", "starts", "hops", "smallest share"]
    left = [int((starts["outcome"] == name).sum()) for name in ("given up", "collapsed", "failed")]
    title = "Where climbs ended ({} given up, {} collapsed, {} failed)".format(*left)
    return Table(title, head, body)


def _percent(share):
    """Return a share in a sentence."""
    return f"{100 * share:.0f} %"
