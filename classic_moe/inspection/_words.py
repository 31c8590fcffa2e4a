"""The words for gates and experts in a picture of a tree, from many to few.

A text is a list of paragraphs, each a list of pieces that are not broken.
"""

from __future__ import annotations

import numpy as np

from ..parts.checks import can, fitted_fact
from ..parts.names import label_text, printable

KEEP = (4, 3, 2, 1)
"""Most terms of an equation, from long to short."""


def short(value, digits):
    """Return a number to so many digits, without an exponent where that is legible."""
    if not np.isfinite(value) or value == 0:
        return f"{value:g}"
    size = int(np.floor(np.log10(abs(value))))
    if not -4 < size < 6:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    text = f"{value:.{max(0, digits - 1 - size)}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value):
    """Return a share in percent."""
    return "<1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def node_texts(name, view, spread=None):
    """Return the texts for a node: its gate's equations for all branches but the last.

    `spread` (p,) are the standard deviations of the gate's columns; with them the terms that stay
    are those that move the gate most.
    """
    if not view.linear:
        return [[[name], [view.title]], [[name]], []]
    coef, intercept = view.coef_[:-1], view.intercept_[:-1]
    names, ranked = view.column_names(coef.shape[1]), _ranked(view.coef_[:-1], spread)
    texts = [
        [[name], *(_equation(a, b, names, terms, d) for a, b in zip(intercept, coef, strict=True))]
        for terms, d in _lengths(ranked)
    ]
    if len(names):
        strongest = printable(names[ranked[0]])
        texts += [[[name], [strongest, *(["…"] if len(names) > 1 else [])]], [[strongest]]]
    return [*texts, [[name]], []]


def leaf_texts(model, k, classes=None, spread=None):
    """Return the texts for a leaf: its number and weight, and the equations of its expert.

    `classes` (C,) is the mean distribution over the classes, if that is to stand there.
    """
    view, weight = model.experts_[k], f"{model.weights_[k]:.2f}"
    head = [[printable(model.describe().expert_names[k])], [f"weight {weight}"]]
    if classes is not None:
        bodies = _class_texts(model.classes_, classes)
    elif not view.linear:
        bodies = [[[view.title]]]
    else:
        bodies = _expert_texts(model, view, spread)
    return [*([*head, *body] for body in bodies), head, [[str(k)], [weight]], [[str(k)]], []]


def _class_texts(classes, probabilities):
    """Return the texts of a distribution over the classes, the most probable ones first."""
    order = np.argsort(-probabilities, kind="stable")
    lines = [
        [_brief(str(classes[c]), 30), f"{probabilities[c]:.2f}"]
        for c in order
        if probabilities[c] >= 0.005
    ]
    return [lines[:n] for n in KEEP if n <= len(lines)]


def _expert_texts(model, view, spread):
    """Return the texts of a linear expert: an equation for each output or class, and the scale."""
    coef, intercept = np.atleast_2d(view.coef_), np.atleast_1d(view.intercept_)
    names, left = view.column_names(coef.shape[1]), _left_sides(model, view)
    texts = []
    for terms, d in _lengths(_ranked(coef, spread)):
        lines = []
        # strict=False: of a softmax expert the last class has no equation, its row is zero
        for name, a, b in zip(left, intercept, coef, strict=False):
            first, *rest = _equation(a, b, names, terms, d)
            lines.append([f"{name} = {first}", *rest])
        texts.append([*lines, *_scale(view, d)])
    return texts


def spread_of(view, X):
    """Return the standard deviations of a linear part's columns, (p,), or None without X."""
    return None if X is None or not view.linear else view._own_columns(X).std(axis=0)


def _ranked(coef, spread):
    """Return the columns of coef (rows, p) by the size of their effect, the largest first, (p,)."""
    size = np.abs(coef).max(axis=0) * (1 if spread is None else spread)
    return np.argsort(-size, kind="stable")


def _lengths(ranked):
    """Yield what an equation may show, from much to little: its terms in order, and the digits."""
    for keep in dict.fromkeys(min(n, len(ranked)) for n in KEEP):
        for digits in (3, 2):
            yield np.sort(ranked[:keep]), digits


def _equation(intercept, slopes, names, terms, digits):
    """Return the pieces of an equation; an ellipsis stands for the terms left out."""
    pieces = [short(intercept, digits)]
    for j in terms:
        sign = "−" if slopes[j] < 0 else "+"
        pieces.append(f"{sign} {short(abs(slopes[j]), digits)} {printable(names[j])}")
    return pieces if len(terms) == len(names) else [*pieces, "+ …"]


def _left_sides(model, view):
    """Return the left-hand sides of an expert's equations, in few letters; a list of str."""
    classes = fitted_fact(model, "classes_")
    if classes is None:
        return [view.left.format(_brief(name)) for name in model.describe().target_names]
    if fitted_fact(view, "classes_") is None:  # the one-hot codes
        return [f"1[{_brief(label_text(c))}]" for c in classes]
    return [f"log-odds {_brief(label_text(label))}" for label, _ in view.log_odds]


def _brief(name, longest=15):
    """Return a name cut to so many letters, the last of them an ellipsis, a str."""
    name = printable(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def reference_of(model):
    """Return against which class the log-odds at the leaves are, in words, a str; "" without."""
    views = [view for view in model.experts_ if view.linear and can(view, "log_odds")]
    if not views:
        return ""
    label, against = (_brief(label_text(c)) for c in views[0].log_odds[0])
    name = model.describe().target_names[0]
    named = "" if name == "y" else f"{_brief(name)}: "
    if len(views[0].log_odds) > 1:
        label = "each class"
    return f"log-odds of {named}{label} against {against}"


def _scale(view, digits):
    """Return the paragraph on the scale of an expert, a list of none or one."""
    scale = fitted_fact(view, "scale_")
    if scale is None or np.ndim(scale) > 1:
        return []
    return [[view.scale_name, ", ".join(short(s, digits) for s in np.atleast_1d(scale))]]
