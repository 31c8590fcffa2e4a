"""What is said about a fitted model: `Summary`, tables of point estimates."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import numpy as np

from ..parts import black_box as black_box

SPREADS = ("scale", "shape", "dispersion", "df")
"""Attributes of a view, but for the underscore, that say how y scatters about the mean."""

PLAIN = 1e10
"""Numbers below this are written without an exponent, unless they are below 1e-4."""


@dataclass(frozen=True)
class Table:
    """A small table: a title, column heads, and rows that start with their label."""

    title: str
    head: list[str]
    rows: list[list]

    def _cells(self):
        return [self.head, *([_text(cell) for cell in row] for row in self.rows)]

    def __str__(self):
        cells = self._cells()
        widths = [max(len(row[j]) for row in cells) for j in range(len(self.head))]
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
                ]
            )
            for row in cells
        ]
        return "\n".join([self.title, *(line.rstrip() for line in lines)])

    def _repr_html_(self):
        head, *body = self._cells()
        top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        rows = "".join(
            "<tr><th>"
            + escape(row[0])
            + "</th>"
            + "".join(f"<td>{escape(c)}</td>" for c in row[1:])
            + "</tr>"
            for row in body
        )
        return (
            f"<table><caption>{escape(self.title)}</caption><thead><tr>{top}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


@dataclass(frozen=True)
class Summary:
    """A fit in words and numbers; `print` it, or show it in a notebook.

    Attributes
    ----------
    heading : str
    tables : dict of str to Table
        "fit", "experts" and "gate", and of a tree of gates with coefficients "nodes"; each has
        `head` and `rows`.
    equations : str
        One line an expert.
    """

    heading: str
    tables: dict[str, Table]
    equations: str = field(repr=False)

    def __str__(self):
        parts = [self.heading, *map(str, self.tables.values()), self.equations]
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self):
        tables = "".join(table._repr_html_() for table in self.tables.values())
        return f"<p>{escape(self.heading)}</p>{tables}<pre>{escape(self.equations)}</pre>"


def summarize(model, X=None, y=None, groups=None) -> Summary:
    """The `Summary` of a fitted estimator; with data also AIC, BIC, ICL and the shares of rows."""
    likelihood = hasattr(model, "log_likelihood_")
    fit = [
        ["log-likelihood", model.log_likelihood_]
        if likelihood
        else ["objective", model.lower_bounds_[-1]],
        ["parameters", model.n_parameters_],
        ["iterations", model.n_iter_],
        ["converged", "yes" if model.converged_ else "no"],
    ]
    rows = None
    if X is not None and y is not None:
        if likelihood:
            fit += [
                [name.upper(), getattr(model, name)(X, y, groups=groups)]
                for name in ("aic", "bic", "icl")
            ]
        assigned = model.assign(X, y, groups) if likelihood else model.assign(X)
        rows = np.bincount(assigned, minlength=model.n_experts_)
    experts = model._model.expert.title(model.n_experts_)
    heading = f"{type(model).__name__}: {experts}, {_gate_title(model)}"
    for part in (model._model.expert, model._model.gate):
        if not part.inputs.uses_x:
            heading += f"\n{type(part).__name__} ignores x."
    tables = {
        "fit": Table("Fit", ["", "value"], fit),
        "experts": _experts_table(model, rows),
        "gate": _gate_table(model),
    }
    if hasattr(model.gate_, "nodes_") and hasattr(model.gate_.nodes_["root"], "coef_"):
        tables["nodes"] = _nodes_table(model)
    return Summary(heading, tables, "\n".join(_equations(model)))


def _names(view, p):
    """Names of the p columns of a part."""
    names = getattr(view, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    columns = range(p) if view._columns is None else view._columns
    return [f"x{j}" for j in columns]


def _maps(model, k):
    """What can be written of expert k, one dict an output or class: its numbers by their names.

    The key "label" says which output; an expert that is no linear map has no "intercept".
    """
    view = model.experts_[k]
    if not hasattr(view, "coef_"):
        n_outputs = np.size(getattr(view, "scale_", 0))
        labels = ["y"] if n_outputs == 1 else [f"y{j}" for j in range(n_outputs)]
        each = zip(labels, _spread(model, view, n_outputs), strict=True)
        return [{"label": label, **spread} for label, spread in each]
    coef, intercept = np.atleast_2d(view.coef_), np.atleast_1d(view.intercept_)
    if not hasattr(view, "classes_"):
        names = getattr(model, "classes_", range(len(intercept)))  # of a classifier: one-hot
        labels = ["y"] if len(intercept) == 1 else [f"y{name}" for name in names]
    elif len(intercept) == 1:
        labels = [f"log-odds of {model.classes_[1]}"]
    else:
        labels = [f"log-odds of {c} : {model.classes_[-1]}" for c in model.classes_[:-1]]
    spread = _spread(model, view, len(labels))
    return [
        {"label": label, "intercept": a, **dict(zip(_names(view, len(b)), b, strict=True)), **noise}
        for label, a, b, noise in zip(labels, intercept, coef, spread, strict=False)
    ]


def _spread(model, view, n_outputs):
    """The other parameters of a view, such as its scale: a dict for every output.

    The blended error takes the experts' means alone, and has none.
    """
    if model._model.objective.blends:
        return [{}] * n_outputs
    named = {name: getattr(view, name + "_", None) for name in SPREADS}
    given = {name: value for name, value in named.items() if value is not None}
    return [
        {name: np.broadcast_to(value, n_outputs)[j] for name, value in given.items()}
        for j in range(n_outputs)
    ]


def _experts_table(model, rows):
    columns = [(k, numbers) for k in range(model.n_experts_) for numbers in _maps(model, k)]
    names = list(dict.fromkeys(name for _, numbers in columns for name in numbers))
    names = [n for n in names if n not in (*SPREADS, "label")] + [n for n in SPREADS if n in names]
    body = [["weight", *(model.weights_[k] for k, _ in columns)]]
    if rows is not None:
        body.append(["rows", *(int(rows[k]) for k, _ in columns)])
    body += [[name, *(numbers.get(name, "") for _, numbers in columns)] for name in names]
    called = model._expert_names
    heads = [called[k] + _suffix(numbers["label"]) for k, numbers in columns]
    return Table("Experts", ["", *heads], body)


def _suffix(label):
    return "" if label == "y" else f", {label}"


def _gate_title(model):
    gate = model._model.gate
    if not hasattr(model.gate_, "outputs_"):
        return type(gate).__name__
    each = "class" if hasattr(model, "classes_") else "output"
    return f"{type(gate.gate).__name__} for every {each}"


def _gate_table(model):
    view, head = model.gate_, ["", *model._expert_names]
    views = getattr(view, "outputs_", [view])
    if all(hasattr(own, "coef_") for own in views):
        labels = getattr(model, "classes_", [f"y{j}" for j in range(len(views))])
        body = []
        for own, label in zip(views, labels, strict=False):
            of = f", {label}" if len(views) > 1 else ""
            names = _names(own, own.coef_.shape[1])
            body.append([f"intercept{of}", *own.intercept_])
            body += [[name + of, *own.coef_[:, j]] for j, name in enumerate(names)]
        return Table("Gate: log-odds against the last expert", head, body)
    body = [["proportion", *getattr(view, "weights_", model.weights_)]]
    if hasattr(view, "means_"):
        means = np.transpose(view.means_)
        body += [[f"mean {n}", *m] for n, m in zip(_names(view, len(means)), means, strict=True)]
    return Table(f"Gate: {_gate_title(model)}", head, body)


def _nodes_table(model):
    """The gates of a tree: a row for each branch of each node, depth first."""
    views, body = model.gate_.nodes_, []
    children = model.gate_.children_
    for name, own in children.items():
        view = views[name]
        for c, child in enumerate(own):
            leads_to = f"node {child}" if isinstance(child, str) else model._expert_names[child]
            weight = model.weights_[_experts_below(children, child)].sum()
            body.append(
                [f"{name}, branch {c}", leads_to, weight, view.intercept_[c], *view.coef_[c]]
            )
    names = _names(views["root"], views["root"].coef_.shape[1])
    head = ["", "to", "weight", "intercept", *names]
    return Table("Nodes: log-odds against the last branch", head, body)


def _experts_below(children, child):
    """Return the numbers of the experts at and below a child of a node."""
    if not isinstance(child, str):
        return [child]
    return [k for own in children[child] for k in _experts_below(children, own)]


def _equations(model):
    each = zip(model._expert_names, model.weights_, expert_lines(model), strict=True)
    for name, weight, lines in each:
        yield from (f"{name} (weight {weight:.2f}): {line}" for line in lines)


def expert_lines(model, digits=4):
    """Every expert as text: a list of lines each, one an output or class."""
    found = []
    for k, view in enumerate(model.experts_):
        if hasattr(view, "estimator_"):  # frozen or not, it is what the caller gave
            estimator = view.estimator_
            frozen = black_box.is_frozen(estimator)
            text = black_box.shown(estimator.estimator if frozen else estimator)
            maps = _maps(model, k)
            found.append(
                [
                    f"{'' if len(maps) == 1 else numbers['label'] + ': '}{text}"
                    f"{_noise(view, numbers, digits)}"
                    for numbers in maps
                ]
            )
            continue
        if not hasattr(view, "coef_"):
            found.append([" ".join(repr(view).split())])
            continue
        lines = []
        for numbers in _maps(model, k):
            names = _names(view, np.shape(view.coef_)[-1])
            noise = _noise(view, numbers, digits)
            left = view.left.format(numbers["label"])
            slopes = [numbers[name] for name in names]
            right = _linear(numbers["intercept"], slopes, names, digits) + _offset(model)
            lines.append(f"{left} = {right}{noise}")
        found.append(lines)
    return found


def _noise(view, numbers, digits):
    """What there is of scale, shape and the like, after a comma each."""
    return "".join(
        f", {view.scale_name if name == 'scale' else name} {_text(numbers[name], digits)}"
        for name in SPREADS
        if name in numbers
    )


def branch_lines(model, node, digits=4):
    """What the gate at a node of a tree says for each of its branches, as text."""
    view = model.gate_.nodes_[node]
    children = model.gate_.children_[node]
    if not hasattr(view, "coef_"):
        return [" ".join(repr(view).split())] * len(children)
    names = _names(view, view.coef_.shape[1])
    last = len(children) - 1
    return [
        "reference"
        if c == last
        else f"log-odds = {_linear(view.intercept_[c], view.coef_[c], names, digits)}"
        for c in range(len(children))
    ]


def _offset(model):
    """The column that is added as it is, with its sign; "" where there is none."""
    column = model._columns["offset"]
    if column is None:
        return ""
    names = getattr(model, "feature_names_in_", None)
    return f" + {f'x{column}' if names is None else names[column]}"


def _linear(intercept, slopes, names, digits):
    terms = "".join(
        f" {'-' if b < 0 else '+'} {_text(abs(b), digits)} {name}"
        for b, name in zip(slopes, names, strict=True)
    )
    return f"{_text(intercept, digits)}{terms}"


def _text(cell, digits=4):
    """A cell of a table, or a number of an equation with so many significant digits or more."""
    if not isinstance(cell, (float, np.floating)):
        return str(cell)
    if 1e4 <= abs(cell) < PLAIN:
        before_point = len(f"{abs(cell):.0f}")
        return f"{cell:.{max(2, digits - before_point)}f}"
    return f"{cell:.{digits}g}"  # with an exponent where it is very large or very small
