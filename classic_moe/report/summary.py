"""What is said about a fitted model: `Summary`, tables of point estimates.

A fit is seen from outside: by its public attributes and `describe()`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import numpy as np

from ..parts.checks import can, fitted_fact
from ..parts.names import label_text, printable
from .equations import SPREADS, equations, linear_maps
from .table import Table, alike


@dataclass(frozen=True)
class Summary:
    """A fit in words and numbers; `print` it, or show it in a notebook.

    Attributes
    ----------
    heading : str
    tables : dict of str to Table
        "fit", "experts" and "gate", of a tree of gates with coefficients "nodes", and with data
        "parameters", where there are standard errors; each has `head` and `rows`, `to_frame()` for
        pandas and `to_latex()`.
    equations : str
        One line an expert.
    notes : tuple of str
        What else is to be said, such as why there are no standard errors.
    """

    heading: str
    tables: dict[str, Table]
    equations: str = field(repr=False)
    notes: tuple[str, ...] = ()

    def __str__(self):
        notes = ["\n".join(self.notes)] if self.notes else []
        parts = [self.heading, *map(str, self.tables.values()), *notes, self.equations]
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self):
        tables = "".join(table._repr_html_() for table in self.tables.values())
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<p>{escape(self.heading)}</p>{tables}{notes}<pre>{escape(self.equations)}</pre>"


def summarize(model, X=None, y=None, groups=None, sample_weight=None, errors=None) -> Summary:
    """Return the `Summary` of a fitted estimator; with data also AIC, BIC, ICL and rows' shares.

    `errors` is a `Table` of standard errors, or None, and the sentences about them.
    """
    about, assigned = model.describe(), None
    if X is not None and y is not None:
        assigned = model.assign(X, y, groups) if can(model, "log_prob") else model.assign(X)
    tables = {
        "fit": fit_table(model, X, y, groups, sample_weight),
        "experts": _experts_table(model, about, assigned),
        "gate": gate_table(model, about),
    }
    if model.gate_.kind == "tree" and model.gate_.nodes_["root"].linear:
        tables["nodes"] = _nodes_table(model, about)
    parameters, notes = (None, ()) if errors is None else errors
    if parameters is not None:
        tables["parameters"] = parameters
    heading = [f"{type(model).__name__}: {about.experts}, {about.gate}"]
    heading += [f"{part} ignores x." for part in about.ignoring]
    text = "\n".join(map(printable, heading))
    return Summary(text, tables, "\n".join(equations(model)), tuple(notes))


def fit_table(model, X=None, y=None, groups=None, sample_weight=None):
    """Return the `Table` of what a fit is worth; with data also AIC, BIC and ICL."""
    likelihood = fitted_fact(model, "log_likelihood_")
    rows = [
        ["objective", model.lower_bounds_[-1]]
        if likelihood is None
        else ["log-likelihood", likelihood],
        ["parameters", model.n_parameters_],
        ["iterations", model.n_iter_],
        ["converged", "yes" if model.converged_ else "no"],
    ]
    evidence = fitted_fact(model, "log_evidence_")
    rows += [] if evidence is None else [["log evidence", evidence]]
    rows += [
        [f"{name} (auto)", value] for name, value in fitted_fact(model, "penalties_", {}).items()
    ]
    missing = fitted_fact(model, "evidence_missing_")
    rows += [] if missing is None else [["alpha", f"weak, no evidence: {missing}"]]
    if likelihood is not None and X is not None and y is not None:
        criteria = {"AIC": model.aic, "BIC": model.bic, "ICL": model.icl}
        options = dict(groups=groups, sample_weight=sample_weight)
        rows += [[name, method(X, y, **options)] for name, method in criteria.items()]
    return Table("Fit", ["", "value"], rows)


def _experts_table(model, about, assigned):
    """Return the table of the experts' numbers; with the experts `assigned` (n,) also the rows."""
    columns = [(k, m) for k in range(model.n_experts_) for m in linear_maps(model, about, k)]
    body = [["weight", *(model.weights_[k] for k, _ in columns)]]
    if assigned is not None:
        rows = np.bincount(assigned, minlength=model.n_experts_)
        body.append(["rows", *(int(rows[k]) for k, _ in columns)])
    numbers = [numbers_of(own) for _, own in columns]
    # Every name once, in the order of the experts, spreads last: families differ in what they have.
    keys = list(dict.fromkeys(key for own in numbers for key in own))
    keys.sort(key=lambda key: ORDER.index(key[0]))  # stable
    body += [[key[1], *(own.get(key, "") for own in numbers)] for key in keys]
    topics = {own.topic for _, own in columns if own.intercept is not None}
    one_topic = len(topics) < 2
    heads = [
        ", ".join(filter(None, [about.expert_names[k], own.of if one_topic else own.left]))
        for k, own in columns
    ]
    title = ": ".join(["Experts", *(topics - {"", "y"} if one_topic else [])])
    return Table(title, ["", *heads], body)


ORDER = ("intercept", "slope", *SPREADS)
"""What comes before what in the table of the experts."""


def numbers_of(own):
    """Return the numbers of a `LinearMap`, {(what it is, its name): float}.

    A column may have the name of something else, such as "scale".
    """
    found = {} if own.intercept is None else {("intercept", "intercept"): own.intercept}
    found |= {("slope", name): value for name, value in own.slopes}
    return found | {(name, name): value for name, value in own.spread.items()}


def gate_table(model, about):
    """Return the `Table` of a gate's numbers, a column for each expert."""
    view, head = model.gate_, ["", *about.expert_names]
    views = view.outputs_ if view.kind == "per output" else [view]
    if all(own.linear for own in views):
        classes = fitted_fact(model, "classes_")
        labels = about.target_names if classes is None else map(label_text, classes)
        body = []
        for own, label in zip(views, labels, strict=False):
            of = f", {label}" if len(views) > 1 else ""
            names = own.column_names(own.coef_.shape[1])
            body.append([f"intercept{of}", *own.intercept_])
            body += [[name + of, *own.coef_[:, j]] for j, name in enumerate(names)]
        return Table("Gate: log-odds against the last expert", head, body)
    body = [["proportion", *fitted_fact(view, "weights_", model.weights_)]]
    means = fitted_fact(view, "means_")
    if means is not None:
        names = view.column_names(np.shape(means)[1])
        body += [[f"mean {n}", *m] for n, m in zip(names, np.transpose(means), strict=True)]
    return Table(f"Gate: {about.gate}", head, body)


def _nodes_table(model, about):
    """Return the gates of a tree: a row for each branch of each node, depth first."""
    views, children, body = model.gate_.nodes_, model.gate_.children_, []
    for node, below in children.items():
        for c, child in enumerate(below):
            view, held = views[node], leaves(children, child)
            leads_to = f"node {child}" if child in children else about.expert_names[child]
            numbers = [model.weights_[held].sum(), view.intercept_[c], *view.coef_[c]]
            body.append([f"{node}, branch {c}", leads_to, *numbers])
    names = views["root"].column_names(views["root"].coef_.shape[1])
    head = ["", "to", "weight", "intercept", *names]
    return Table("Nodes: log-odds against the last branch", head, body)


def leaves(children, item):
    """Return the numbers of the experts below a node, or of the expert itself; a list of int."""
    if item not in children:
        return [item]
    return [leaf for child in children[item] for leaf in leaves(children, child)]


COUNTED = {
    "log_likelihood": "log-likelihood",
    "n_parameters": "parameters",
    "aic": "AIC",
    "bic": "BIC",
    "icl": "ICL",
    "log_evidence": "log evidence",
    "mean_test_score": "held-out log-density",
}
"""What is shown of a search for the number of experts, in words."""


def count_table(results, best) -> Table:
    """Return the `Table` of the fits of an `ExpertCountSearch`, the chosen one marked.

    Parameters
    ----------
    results : dict of ndarray of shape (numbers,), as of its `results_`
    best : int
    """
    names = {name: words for name, words in COUNTED.items() if name in results}
    columns = [alike(results[name].tolist(), 6) for name in names]
    mark = ["chosen" if i == best else "" for i in range(len(results["n_experts"]))]
    rows = [list(row) for row in zip(map(str, results["n_experts"]), *columns, mark, strict=True)]
    return Table("Numbers of experts", ["K", *names.values(), ""], rows)
