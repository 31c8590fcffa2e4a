"""The card of a fitted estimator in a notebook: its numbers, its experts, its gate.

An estimator is seen from outside: by its public attributes and `describe()`.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
from sklearn import get_config
from sklearn.utils import estimator_html_repr

from ..parts.checks import can, fitted_fact
from ..parts.palette import expert_colors
from .equations import branch_lines, expert_lines
from .html import STYLE, bar, details, scrolled, text
from .summary import count_table, fit_table, gate_table, leaves
from .table import Table, cell_text, short_name

TERMS = 6
"""The most terms of an equation that a card has."""
ROWS = 12
"""The most experts, or columns of a gate, that stand in the open."""
FEW = 4
"""As many more are not worth a click."""
LINES = 4
"""The most equations of one expert: of outputs or classes."""
LONGEST = 300
"""Letters of a line: other people's estimators may write pages."""
INDENT = 1.3
"""How far a branch of a tree stands behind its node, in letters m."""


class CardMixin:
    """Shows a fitted estimator in a notebook as its card, above scikit-learn's diagram.

    With ``sklearn.set_config(display="text")`` it is text, and before a fit the diagram alone.
    """

    @property
    def _repr_html_(self):
        """The card as HTML, a function; there is none where scikit-learn shows text."""
        if get_config()["display"] != "diagram":
            raise AttributeError("_repr_html_: sklearn.set_config(display='diagram') shows it")
        return partial(shown, self)

    def _repr_mimebundle_(self, **options):
        """The card for Jupyter, {"text/plain": str, "text/html": str}."""
        bundle = {"text/plain": repr(self)}
        if get_config()["display"] == "diagram":
            bundle["text/html"] = shown(self)
        return bundle


def shown(model):
    """Return an estimator as HTML: once fitted its card, and scikit-learn's diagram; str."""
    diagram = estimator_html_repr(model)
    if not model.__sklearn_is_fitted__():
        return diagram
    below = details("Parameters (scikit-learn's diagram)", diagram)
    return f'<style>{STYLE}</style><div class="moe">{card(model)}</div>{below}'


def card(model, heading=True):
    """Return the card of a fitted estimator, without its style; str.

    `heading`: whether it begins with what the estimator is, and the numbers of the fit.
    """
    if can(model, "best_estimator_"):
        table = count_table(model.results_, model.best_index_)
        return scrolled(table) + card(model.best_estimator_)
    return "".join([*([_heading(model), _facts(model)] if heading else []), *_body(model)])


def _body(model):
    """Return what a card says of experts and gate, a list of str."""
    if can(model, "layers_"):
        layers = enumerate(model.layers_)
        return [_usage(layer.expert_usage_, f"Layer {i + 1}") for i, layer in layers]
    if not can(model, "describe"):
        return [_usage(_shares(model), "Experts")]
    about = model.describe()
    return [_experts(model, about), _gate(model, about)]


def _heading(model):
    """Return what the estimator is; str."""
    words, name = "", type(model).__name__
    if can(model, "describe"):
        about = model.describe()
        targets = [*about.target_names[:3], *["…"] * (len(about.target_names) > 3)]
        words = f"{about.experts}, {about.gate}, for {', '.join(map(short_name, targets))}"
        words += f" from {model.n_features_in_} column{'s' * (model.n_features_in_ != 1)}"
        words += "".join(f"; {part} ignores x" for part in about.ignoring)
    return f"<p><b>{text(name)}</b> {text(words)}</p>"


def _facts(model):
    """Return the numbers of the fit in a row; str."""
    K = fitted_fact(model, "n_experts_")
    rows = [] if K is None else [["K", K]]
    rows += fit_table(model).rows
    found = [f"<span>{text(name)} <b>{text(cell_text(value))}</b></span>" for name, value in rows]
    return f'<div class="facts">{"".join(found)}</div>'


# -- experts ---------------------------------------------------------------------------------------


def _shares(model):
    """Return the experts' shares of the rows, (K,)."""
    return np.asarray(fitted_fact(model, "weights_", fitted_fact(model, "expert_usage_", ())))


def _usage(shares, title):
    """Return the shares of experts that have no equations; str."""
    lines = [
        _line(f"expert {k}", share, color, [])
        for k, (share, color) in enumerate(zip(shares, expert_colors(len(shares)), strict=True))
    ]
    return _table(lines, title) if len(lines) else ""


def _experts(model, about):
    """Return the experts, of a tree below their nodes: shares and equations; str."""
    says = [_shortened(lines) for lines in expert_lines(model, most=TERMS)]
    shares, colors = _shares(model), expert_colors(len(says))
    each = list(zip(map(short_name, about.expert_names), shares, colors, says, strict=True))
    if model.gate_.kind != "tree":
        return _table([_line(*one) for one in each], "Experts")
    return _table(_tree(model, each, "root", 0, "everything"), "Tree of experts")


def _tree(model, each, item, depth, condition):
    """Return the lines of a node or an expert and of all below it, a list of str."""
    children = model.gate_.children_
    if item not in children:
        name, share, color, says = each[item]
        return [_line(name, share, color, says, depth, condition)]
    below = leaves(children, item)
    share = sum(each[k][1] for k in below)
    lines = [
        _line("root" if item == "root" else f"node {item}", share, "#888888", [], depth, condition)
    ]
    gates = branch_lines(model, item, most=TERMS)
    for child, gate in zip(children[item], _shortened(gates, len(gates)), strict=True):
        gate = "otherwise" if gate == "reference" else gate
        lines += _tree(model, each, child, depth + 1, gate)
    return lines


def _line(name, share, color, says, depth=0, condition=""):
    """Return a row of the table of the experts; str."""
    mark = f'<span style="color: {color}">&#9632;</span> '
    indent = f' style="padding-left: {INDENT * depth:.1f}em"' if depth else ""
    gate = f'<span class="line quiet">{_terms(condition)}</span>' if condition else ""
    lines = "".join(f'<span class="line">{_terms(line)}</span>' for line in says)
    return (
        f'<tr><td class="name"{indent}>{mark}{text(name)}</td>'
        f'<td class="name">{bar(float(share), color)}</td>'
        f'<td class="says" style="text-align:left">{gate}{lines}</td></tr>'
    )


def _terms(line):
    """Return an equation whose signs stay with their terms where a line ends; str."""
    return re.sub(r" ([-+]) ", r" \1&nbsp;", text(line))


def _table(lines, title):
    """Return rows as a table, those beyond the first behind a click; str."""
    left = ' style="text-align:left"'
    head = f"<thead><tr><th{left}>{title}</th><th{left}>share of rows</th><th></th></tr></thead>"
    shown = len(lines) if len(lines) <= ROWS + FEW else ROWS
    open_ = f'<table class="experts">{head}<tbody>{"".join(lines[:shown])}</tbody></table>'
    more = lines[shown:]
    if not more:
        return open_
    rest = f'<table class="experts"><tbody>{"".join(more)}</tbody></table>'
    return open_ + details(f"and {len(more)} more", rest)


def _shortened(lines, most=LINES):
    """Return the first lines of an expert, each cut where it is very long, a list of str."""
    found = [short_name(line, LONGEST) for line in lines[:most]]
    return found + [f"… and {len(lines) - most} more"] * (len(lines) > most)


# -- gate ------------------------------------------------------------------------------------------


def _gate(model, about):
    """Return the numbers of the gate behind a click, of a tree none: they stand with it; str."""
    if len(about.expert_names) == 1 or model.gate_.kind == "tree":
        return ""
    table = gate_table(model, about)
    fixed = [row for row in table.rows if row[0].startswith(("intercept", "proportion"))]
    others = [row for row in table.rows if not row[0].startswith(("intercept", "proportion"))]
    sizes = [np.ptp(row[1:]) * about.spreads.get(row[0], 1.0) for row in others]
    order = np.argsort(-np.array(sizes), kind="stable")[:ROWS]
    rows = fixed + [others[j] for j in sorted(order)]
    head = [table.head[0], *map(short_name, table.head[1:])]
    shown = Table(table.title, head, [[short_name(row[0]), *row[1:]] for row in rows])
    left = len(others) - len(order)
    named = [short_name(others[j][0], 32) for j in order[:3]]
    words = f"Gate: most by {', '.join(named)}" if named else "Gate"
    more = f'<p class="quiet">and {left} more columns, which make less of a difference</p>'
    return details(words, scrolled(shown) + more * (left > 0))
