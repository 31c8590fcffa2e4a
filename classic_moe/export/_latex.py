"""The equations of a fitted model for a paper: `to_latex`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..parts.checks import fitted_fact
from ..parts.names import printable
from ..report.equations import linear_maps
from ..report.table import latex_text
from ._recipe import check_written


def to_latex(model: Any, digits: int = 4) -> str:
    r"""Write the equations of a fitted model in LaTeX, one line an expert and one a gate's score.

    The text is an ``align*`` environment of amsmath, of the numbers that `equations` prints: every
    expert's linear map under its name and weight, and the log-odds of a gate that is linear in x
    against the last expert, at every node of a tree. Of a gate that models x there are its shares
    and means; experts that have no equation are named.

    Parameters
    ----------
    model : estimator of classic_moe
        Fitted.
    digits : int, default=4
        Significant digits of the numbers.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        For what is no estimator of this package, is not fitted, or has no experts of its own.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.export import to_latex
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> print(to_latex(model, digits=3).splitlines()[0])
    \begin{align*}
    """
    check_written(model)
    if fitted_fact(model, "experts_") is None or fitted_fact(model, "weights_") is None:
        raise ValueError(f"{type(model).__name__} has no experts whose equations can be written.")
    lines = [*_expert_equations(model, digits), *_gate_equations(model, digits)]
    body = " \\\\\n".join(f"  {line}" for line in lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


def _expert_equations(model, digits):
    """Return the equations of the experts, a list of str."""
    about, found = model.describe(), []
    for k, view in enumerate(model.experts_):
        note = f"\\text{{{latex_text(about.expert_names[k])}, weight {model.weights_[k]:.2f}}}"
        for one in linear_maps(model, about, k):
            left = f"\\text{{{latex_text(printable(one.left))}}}"
            if one.intercept is None:
                kind = view.title if view.kind == "estimator" else about.expert_kinds[k]
                right = f"\\text{{{latex_text(kind)}}}"
            else:
                right = _linear(one.intercept, one.slopes, digits)
                if about.offset is not None:
                    right += f" + \\text{{{latex_text(about.offset)}}}"
            spread = "".join(
                f",\\; \\text{{{view.scale_name if name == 'scale' else name}}}"
                f" = {number(value, digits)}"
                for name, value in one.spread.items()
            )
            found.append(f"{left} &= {right}{spread} && {note}")
    return found


def _gate_equations(model, digits):
    """Return what there is to write of the gate, a list of str."""
    names = [latex_text(name) for name in model.describe().expert_names]
    return [] if model.n_experts_ == 1 else _of_gate(model.gate_, "g", "gate", names, digits)


def _of_gate(view, symbol, what, names, digits):
    """Return the equations of a gate of probabilities `symbol` between branches of these names.

    Log-odds against the last branch, at every node of a tree; of a gate that models x the shares
    and means; nothing of other gates. A list of str.
    """
    if view.kind == "tree":
        lines = []
        for node, own in view.nodes_.items():
            children = view.children_[node]
            below = [f"node {c}" if isinstance(c, str) else names[c] for c in children]
            at = f"g^{{\\text{{{latex_text(node)}}}}}"
            lines += _of_gate(own, at, f"node {latex_text(node)}", below, digits)
        return lines
    if view.kind == "per output":
        lines = []
        for j, own in enumerate(view.outputs_):
            lines += _of_gate(own, f"g^{{({j})}}", f"gate of output {j}", names, digits)
        return lines
    if view.kind == "localised" and not view.linear:
        return _shares(view, symbol, what, names, digits)
    return _log_odds(view, symbol, what, names, digits) if view.linear else []


def _log_odds(view, symbol, what, names, digits):
    """Return the log-odds of the branches against the last, a list of str."""
    coef = np.atleast_2d(view.coef_)
    columns, last = view.column_names(coef.shape[1]), len(view.intercept_) - 1
    found = []
    for k in range(last):
        slopes = list(zip(columns, coef[k], strict=True))
        left = f"\\log \\frac{{{symbol}_{{{k}}}(x)}}{{{symbol}_{{{last}}}(x)}}"
        note = f"\\text{{{what}, {names[k]}}}"
        found.append(f"{left} &= {_linear(view.intercept_[k], slopes, digits)} && {note}")
    return found


def _shares(view, symbol, what, names, digits):
    """Return the shares aₖ and the means of x of a gate g ∝ aₖ pₖ(x), a list of str."""
    columns = view.column_names(view.means_.shape[1])
    found = [f"{symbol}_k(x) &\\propto a_k\\,p_k(x) && \\text{{{what}}}"]
    for k, (weight, means) in enumerate(zip(view.weights_, view.means_, strict=True)):
        centre = "".join(
            f",\\; \\mathrm{{E}}_{{{k}}}[\\text{{{latex_text(name)}}}] = {number(mean, digits)}"
            for name, mean in zip(columns, means, strict=True)
        )
        left = f"a_{{{k}}}"
        found.append(f"{left} &= {number(weight, digits)}{centre} && \\text{{{what}, {names[k]}}}")
    return found


def _linear(intercept, slopes, digits):
    """Return a linear map, its slopes as (name, value) pairs; str."""
    terms = "".join(
        f" {'-' if b < 0 else '+'} {number(abs(b), digits)}\\,\\text{{{latex_text(name)}}}"
        for name, b in slopes
    )
    return number(intercept, digits) + terms


def number(value, digits):
    """Return a number of some significant digits, powers of ten written out; str."""
    text = f"{value:.{digits}g}"
    if not np.isfinite(value):
        return {"inf": "\\infty", "-inf": "-\\infty"}.get(text, "\\text{nan}")
    mantissa, _, power = text.partition("e")
    return mantissa if not power else f"{mantissa} \\cdot 10^{{{int(power)}}}"
