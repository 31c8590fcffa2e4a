"""The experts and gates of a fitted model as text, an equation each."""

from __future__ import annotations

import numpy as np

from ..parts import black_box
from ..parts.checks import fitted_fact
from .table import cell_text

SPREADS = ("scale", "shape", "dispersion", "df")
"""Attributes of a view, but for the underscore, that say how y scatters about the mean."""


def equations(model):
    """Return the lines of the experts, each with its name and weight; a list of str."""
    each = zip(model.describe().expert_names, model.weights_, expert_lines(model), strict=True)
    return [
        f"{name} (weight {weight:.2f}): {line}" for name, weight, lines in each for line in lines
    ]


def expert_lines(model, digits=4):
    """Return every expert as text: K lists of lines, one line an output or class."""
    about = model.describe()
    offset = "" if about.offset is None else f" + {about.offset}"
    found = []
    for k, view in enumerate(model.experts_):
        if view.kind == "estimator":
            found.append(_estimator_lines(view, linear_maps(model, about, k), digits))
        elif view.linear:
            maps = linear_maps(model, about, k)
            found.append([_equation(view, numbers, offset, digits) for numbers in maps])
        else:
            found.append([" ".join(repr(view).split())])
    return found


def branch_lines(model, node, digits=4):
    """Return what the gate at a node of a tree says for each of its branches, a list of str."""
    view, children = model.gate_.nodes_[node], model.gate_.children_[node]
    if not view.linear:
        return [" ".join(repr(view).split())] * len(children)
    names = view.column_names(view.coef_.shape[1])
    *branches, _ = zip(view.intercept_, view.coef_, strict=True)
    lines = [f"log-odds = {_linear(a, b, names, digits)}" for a, b in branches]
    return [*lines, "reference"]


def linear_maps(model, about, k):
    """Return what can be written of expert k, one dict an output or class: numbers by their names.

    The key "label" says which output; an expert that is no linear map has no "intercept".
    """
    view = model.experts_[k]
    if not view.linear:
        n_outputs = np.size(fitted_fact(view, "scale_", 0))
        labels = ["y"] if n_outputs == 1 else [f"y{j}" for j in range(n_outputs)]
        each = zip(labels, _spread(about, view, n_outputs), strict=True)
        return [{"label": label, **spread} for label, spread in each]
    coef, intercept = np.atleast_2d(view.coef_), np.atleast_1d(view.intercept_)
    labels, names = _labels(model, view, len(intercept)), view.column_names(coef.shape[1])
    each = zip(labels, intercept, coef, _spread(about, view, len(labels)), strict=False)
    return [
        {"label": label, "intercept": a, **dict(zip(names, b, strict=True)), **spread}
        for label, a, b, spread in each
    ]


def _labels(model, view, n):
    """Return what the n equations of an expert are of: outputs, or classes; a list of str."""
    if fitted_fact(view, "classes_") is None:
        names = fitted_fact(model, "classes_", range(n))  # of a classifier: one-hot
        return ["y"] if n == 1 else [f"y{name}" for name in names]
    if n == 1:
        return [f"log-odds of {model.classes_[1]}"]
    return [f"log-odds of {c} : {model.classes_[-1]}" for c in model.classes_[:-1]]


def _spread(about, view, n_outputs):
    """Return the other parameters of a view, such as its scale: a dict for every output.

    The blended error takes the experts' means alone, and has none.
    """
    if about.means_only:
        return [{}] * n_outputs
    named = {name: fitted_fact(view, name + "_") for name in SPREADS}
    given = {name: value for name, value in named.items() if value is not None}
    return [
        {name: np.broadcast_to(value, n_outputs)[j] for name, value in given.items()}
        for j in range(n_outputs)
    ]


def _estimator_lines(view, maps, digits):
    """Return an estimator, frozen or not, as the caller gave it: a line for each output."""
    estimator = view.estimator_
    text = black_box.shown(estimator.estimator if black_box.is_frozen(estimator) else estimator)
    return [
        f"{'' if len(maps) == 1 else numbers['label'] + ': '}{text}{_noise(view, numbers, digits)}"
        for numbers in maps
    ]


def _equation(view, numbers, offset, digits):
    names = view.column_names(np.shape(view.coef_)[-1])
    slopes = [numbers[name] for name in names]
    right = _linear(numbers["intercept"], slopes, names, digits) + offset
    return f"{view.left.format(numbers['label'])} = {right}{_noise(view, numbers, digits)}"


def _noise(view, numbers, digits):
    """Return what there is of scale, shape and the like, after a comma each; str."""
    return "".join(
        f", {view.scale_name if name == 'scale' else name} {cell_text(numbers[name], digits)}"
        for name in SPREADS
        if name in numbers
    )


def _linear(intercept, slopes, names, digits):
    """Return a linear map as text, such as "1.5 - 2 age"."""
    terms = "".join(
        f" {'-' if b < 0 else '+'} {cell_text(abs(b), digits)} {name}"
        for b, name in zip(slopes, names, strict=True)
    )
    return f"{cell_text(intercept, digits)}{terms}"
