"""What a picture of a tree says of gates and experts, from many words to few.

A text is a list of paragraphs, each a list of pieces that are not broken.
"""

from __future__ import annotations

import numpy as np

KEEP = (4, 3, 2, 1)
"""Most terms of an equation, from long to short."""


def short(value, digits):
    """A number to so many digits, without an exponent where that is legible."""
    if not np.isfinite(value) or value == 0:
        return f"{value:g}"
    size = int(np.floor(np.log10(abs(value))))
    if not -4 < size < 6:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    text = f"{value:.{max(0, digits - 1 - size)}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value):
    """A share in percent."""
    return "<1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def node_texts(name, view, spread=None):
    """Texts for a node: its gate's equations for all branches but the last.

    `spread` (p,) are the standard deviations of the gate's columns; with them the terms that stay
    are those that move the gate most.
    """
    if not hasattr(view, "coef_"):
        return [[[name], [_kind(view)]], [[name]], []]
    names, coef = _names(view, view.coef_.shape[1]), view.coef_[:-1]
    size = np.abs(coef).max(axis=0) * (1 if spread is None else spread)
    rank = np.argsort(-size, kind="stable")
    texts = []
    for keep in dict.fromkeys(min(k, len(names)) for k in KEEP):
        chosen = np.sort(rank[:keep])
        for d in (3, 2):
            branches = zip(view.intercept_, coef, strict=False)  # all but the last
            texts.append([[name], *(_linear(a, b, names, chosen, d) for a, b in branches)])
    if len(names):
        strongest = names[rank[0]]
        texts += [[[name], [strongest, *(["…"] if len(names) > 1 else [])]], [[strongest]]]
    return [*texts, [[name]], []]


def leaf_texts(model, k, classes=None, spread=None):
    """Texts for a leaf: its number and weight, and what its expert says.

    `classes` (C,) is the mean distribution over the classes, if that is to stand there.
    """
    weight = f"{model.weights_[k]:.2f}"
    head = [[model.describe().expert_names[k]], [f"weight {weight}"]]
    brief = [[[str(k)], [weight]], [[str(k)]], []]
    if classes is not None:
        order = np.argsort(-classes, kind="stable")
        named = [
            [str(model.classes_[c]), f"{classes[c]:.2f}"] for c in order if classes[c] >= 0.005
        ]
        several = [named[:m] for m in (4, 3, 2, 1) if m <= len(named)]
        return [*([*head, *lines] for lines in several), head, *brief]
    view = model.experts_[k]
    if not hasattr(view, "coef_"):
        return [[*head, [_kind(view)]], head, *brief]
    coef, intercept = np.atleast_2d(view.coef_), np.atleast_1d(view.intercept_)
    names, left = _names(view, coef.shape[1]), _left(model, view, len(intercept))
    rank = np.argsort(-np.abs(coef).max(axis=0) * (1 if spread is None else spread), kind="stable")
    texts = []
    for keep in dict.fromkeys(min(n, len(names)) for n in KEEP):
        chosen = np.sort(rank[:keep])
        for d in (3, 2):
            lines = [
                [f"{name} = {first}", *rest]
                for name, a, b in zip(left, intercept, coef, strict=False)
                for first, *rest in [_linear(a, b, names, chosen, d)]
            ]
            texts.append([*head, *lines, *_scale(view, d)])
    return [*texts, head, *brief]


def spread_of(view, X):
    """Standard deviations of a part's columns, (p,)."""
    return view._own_columns(X).std(axis=0)


def _linear(intercept, slopes, names, chosen, digits):
    """The pieces of an equation; an ellipsis stands for the terms left out."""
    pieces = [short(intercept, digits)]
    for j in chosen:
        sign = "−" if slopes[j] < 0 else "+"
        pieces.append(f"{sign} {short(abs(slopes[j]), digits)} {names[j]}")
    return pieces if len(chosen) == len(names) else [*pieces, "+ …"]


def _left(model, view, n):
    """The left-hand sides of an expert's equations."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return [view.left.format("y" if n == 1 else f"y{j}") for j in range(n)]
    if n == 1:
        return [f"log-odds {classes[1]}"]
    return [f"log-odds {c}" for c in classes[:-1]]


def _scale(view, digits):
    scale = getattr(view, "scale_", None)
    if scale is None or np.ndim(scale) > 1:
        return []
    return [[view.scale_name, ", ".join(short(s, digits) for s in np.atleast_1d(scale))]]


def _kind(view):
    """The name of an estimator inside, or of the view."""
    inside = getattr(view, "estimator_", view)
    return type(inside).__name__.removesuffix("View")


def _names(view, p):
    given = getattr(view, "feature_names_in_", None)
    if given is not None:
        return [str(name) for name in given]
    columns = range(p) if view._columns is None else view._columns
    return [f"x{j}" for j in columns]
