"""What is said about a fitted model: `Summary`, tables of point estimates."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import numpy as np


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
        "fit", "experts" and "gate"; each has `head` and `rows`.
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


def summarize(model, X=None, y=None) -> Summary:
    """The `Summary` of a fitted estimator; with data also AIC, BIC, ICL and the shares of rows."""
    fit = [
        ["log-likelihood", model.log_likelihood_],
        ["parameters", model.n_parameters_],
        ["iterations", model.n_iter_],
        ["converged", "yes" if model.converged_ else "no"],
    ]
    rows = None
    if X is not None and y is not None:
        fit += [[name.upper(), getattr(model, name)(X, y)] for name in ("aic", "bic", "icl")]
        rows = np.bincount(model.assign(X, y), minlength=model.n_experts_)
    kind = type(model._model.expert).__name__
    gate = type(model._model.gate).__name__
    heading = f"{type(model).__name__}: {model.n_experts_} x {kind}, {gate}"
    for part in (model._model.expert, model._model.gate):
        if not part.uses_x:
            heading += f"\n{type(part).__name__} ignores x."
    return Summary(
        heading,
        {
            "fit": Table("Fit", ["", "value"], fit),
            "experts": _experts_table(model, rows),
            "gate": _gate_table(model),
        },
        "\n".join(_equations(model)),
    )


def _names(view, coef):
    p = np.shape(coef)[-1]
    names = getattr(view, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    columns = range(p) if view._columns is None else view._columns
    return [f"x{j}" for j in columns]


def _components(model, k):
    """The linear maps of expert k, as (label, intercept, coef (p,), scale or None)."""
    view = model.experts_[k]
    coef, intercept = np.atleast_2d(view.coef_), np.atleast_1d(view.intercept_)
    scale = getattr(view, "scale_", None)
    scale = [None] * len(intercept) if scale is None else np.atleast_1d(scale)
    if hasattr(model, "classes_"):
        if len(intercept) == 1:
            labels = [f"log-odds of {model.classes_[1]}"]
        else:
            last = model.classes_[-1]
            labels = [f"log-odds of {c} : {last}" for c in model.classes_]
            coef, intercept = coef[:-1], intercept[:-1]
            labels, scale = labels[:-1], scale[:-1]
    else:
        labels = ["y"] if len(intercept) == 1 else [f"y{j}" for j in range(len(intercept))]
    return list(zip(labels, intercept, coef, scale, strict=True))


def _experts_table(model, rows):
    names = _names(model.experts_[0], model.experts_[0].coef_)
    columns = [
        [f"expert {k}" + ("" if label == "y" else f", {label}"), k, intercept, coef, scale]
        for k in range(model.n_experts_)
        for label, intercept, coef, scale in _components(model, k)
    ]
    body = [["weight", *(model.weights_[c[1]] for c in columns)]]
    if rows is not None:
        body.append(["rows", *(int(rows[c[1]]) for c in columns)])
    body.append(["intercept", *(c[2] for c in columns)])
    body += [[name, *(c[3][j] for c in columns)] for j, name in enumerate(names)]
    if columns[0][4] is not None:
        body.append(["scale", *(c[4] for c in columns)])
    return Table("Experts", ["", *(c[0] for c in columns)], body)


def _gate_table(model):
    view = model.gate_
    body = [["intercept", *view.intercept_]]
    body += [[name, *view.coef_[:, j]] for j, name in enumerate(_names(view, view.coef_))]
    head = ["", *(f"expert {k}" for k in range(model.n_experts_))]
    return Table("Gate: log-odds against the last expert", head, body)


def _equations(model):
    for k in range(model.n_experts_):
        names = _names(model.experts_[k], model.experts_[k].coef_)
        for label, intercept, coef, scale in _components(model, k):
            terms = "".join(
                f" {'-' if b < 0 else '+'} {_text(abs(b))} {name}"
                for b, name in zip(coef, names, strict=True)
            )
            noise = "" if scale is None else f", sd {_text(scale)}"
            weight = f"{model.weights_[k]:.2f}"
            yield f"expert {k} (weight {weight}): {label} = {_text(intercept)}{terms}{noise}"


def _text(cell):
    if isinstance(cell, (float, np.floating)):
        return f"{cell:.4g}" if abs(cell) < 1e4 else f"{cell:.2f}"
    return str(cell)
