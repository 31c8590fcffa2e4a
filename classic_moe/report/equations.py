"""The experts and gates of a fitted model as text, an equation each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..parts import black_box
from ..parts.checks import fitted_fact
from ..parts.names import label_text, printable
from .table import cell_text

SPREADS = ("scale", "shape", "dispersion", "df")
"""Attributes of a view, but for the underscore, that say how y scatters about the mean."""


@dataclass(frozen=True)
class LinearMap:
    """What can be written of an expert about one output, or one class.

    Attributes
    ----------
    left : str
        What the equation gives, such as "log E[accidents]", "log-odds of 'yes' against 'no'".
    topic : str
        What all the numbers of the expert are about, for the title of a table.
    of : str
        Which output or class of several; "" for the only one.
    intercept : float or None, for what is no linear map
    slopes : list of (str, float), the names of the columns and their coefficients
    spread : dict of str to float
    """

    left: str
    topic: str
    of: str
    intercept: float | None
    slopes: list[tuple[str, float]]
    spread: dict[str, float]


def equations(model):
    """Return the lines of the experts, each with its name and weight; a list of str."""
    each = zip(model.describe().expert_names, model.weights_, expert_lines(model), strict=True)
    return [
        f"{printable(name)} (weight {weight:.2f}): {line}"
        for name, weight, lines in each
        for line in lines
    ]


def expert_lines(model, digits=4, most=None):
    """Return every expert as text: K lists of lines, one line an output or class.

    `most`: how many terms a line has, those that make most of a difference among the rows of the
    fit; None: all.
    """
    about = model.describe()
    offset = "" if about.offset is None else f" + {about.offset}"
    found = []
    for k, view in enumerate(model.experts_):
        if view.kind == "estimator":
            lines = _estimator_lines(view, linear_maps(model, about, k), digits)
        elif view.linear:
            maps = linear_maps(model, about, k)
            lines = [_equation(view, one, offset, digits, most, about.spreads) for one in maps]
        else:
            lines = [" ".join(repr(view).split())]
        found.append([printable(line) for line in lines])
    return found


def branch_lines(model, node, digits=4, most=None):
    """Return what the gate at a node of a tree says for each of its branches, a list of str.

    `most`: as of `expert_lines`.
    """
    view, children = model.gate_.nodes_[node], model.gate_.children_[node]
    if not view.linear:
        return [" ".join(repr(view).split())] * len(children)
    names = view.column_names(view.coef_.shape[1])
    *branches, _ = zip(view.intercept_, view.coef_, strict=True)
    spreads = {} if most is None else model.describe().spreads
    each = [(a, list(zip(names, b, strict=True))) for a, b in branches]
    lines = [f"log-odds = {_linear(a, slopes, digits, most, spreads)}" for a, slopes in each]
    return [*map(printable, lines), "reference"]


def linear_maps(model, about, k):
    """Return what can be written of expert k, a `LinearMap` for each output or class."""
    view = model.experts_[k]
    if not view.linear:
        n = np.size(fitted_fact(view, "scale_", 0))
        each = zip(left_sides(model, about, view, n), _spread(about, view, n), strict=True)
        return [LinearMap(*sides, None, [], spread) for sides, spread in each]
    coef, intercept = np.atleast_2d(view.coef_), np.atleast_1d(view.intercept_)
    names = view.column_names(coef.shape[1])
    sides = left_sides(model, about, view, len(intercept))
    # strict=False: of more than two classes the last has no equation, its row is zero
    each = zip(sides, intercept, coef, _spread(about, view, len(intercept)), strict=False)
    return [
        LinearMap(*side, a, list(zip(names, b, strict=True)), spread) for side, a, b, spread in each
    ]


def left_sides(model, about, view, n):
    """Return `left`, `topic` and `of`, as of `LinearMap`, of the n equations of an expert.

    A list of tuples; of more than two classes it lacks the last, against which the others are.
    """
    labels, names = fitted_fact(model, "classes_"), about.target_names
    if n == 1 and not (view.linear and fitted_fact(view, "classes_") is not None):
        left = view.left.format(names[0])
        return [(left, left, "")]
    if labels is None:
        return [(view.left.format(name), "", name) for name in names]
    name = names[0]
    if fitted_fact(view, "classes_") is None:  # an expert for numbers, which predicts the codes
        topic = f"one-hot codes of {name}"
        return [(f"1[{name} = {label_text(c)}]", topic, class_text(c)) for c in labels]
    pairs = [tuple(map(label_text, pair)) for pair in view.log_odds]
    of_name = "" if name == "y" else f"{name}: "
    if len(pairs) == 1:
        left = f"log-odds of {of_name}{pairs[0][0]} against {pairs[0][1]}"
        return [(left, left, "")]
    topic = f"log-odds of {of_name}each against {pairs[0][1]}"
    return [
        (f"log-odds of {of_name}{a} against {b}", topic, class_text(label))
        for (a, b), label in zip(pairs, labels[:-1], strict=True)
    ]


def class_text(label):
    """Return a class in words: text in quotes, what is no text as "class 2"."""
    return label_text(label) if isinstance(label, str) else f"class {label_text(label)}"


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
        f"{one.of + ': ' if one.of else ''}{text}{_noise(view, one.spread, digits)}" for one in maps
    ]


def _equation(view, one, offset, digits, most, spreads):
    right = _linear(one.intercept, one.slopes, digits, most, spreads) + offset
    return f"{one.left} = {right}{_noise(view, one.spread, digits)}"


def _noise(view, spread, digits):
    """Return what there is of scale, shape and the like, after a comma each; str."""
    return "".join(
        f", {view.scale_name if name == 'scale' else name} {cell_text(value, digits)}"
        for name, value in spread.items()
    )


def _linear(intercept, slopes, digits, most=None, spreads=None):
    """Return a linear map, its slopes as (name, value) pairs, as text such as "1.5 - 2 age".

    Of more slopes than `most` those that make the most of a difference, in their order.
    """
    shown = slopes if most is None else largest(slopes, most, spreads)
    terms = "".join(
        f" {'-' if b < 0 else '+'} {cell_text(abs(b), digits)} {name}" for name, b in shown
    )
    left = len(slopes) - len(shown)
    return f"{cell_text(intercept, digits)}{terms}{f' + … ({left} more)' * bool(left)}"


def largest(slopes, most, spreads):
    """Return the slopes, (name, value) pairs, of those columns that make most of a difference.

    That is the size of the slope times the column's standard deviation; of equals the first.
    """
    sizes = [abs(value) * spreads.get(name, 1.0) for name, value in slopes]
    order = sorted(range(len(slopes)), key=lambda i: -sizes[i])
    return [slopes[i] for i in sorted(order[:most])]
