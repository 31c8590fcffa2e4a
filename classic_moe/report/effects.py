"""What the experts of a fitted model say of every column: sizes, sentences, and a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..parts.checks import can, fitted_fact
from .columns import Column
from .equations import LinearMap, class_text, linear_maps
from .regions import worth_trying
from .summary import ORDER, numbers_of
from .table import Table, alike, number_text, short_name

DIGITS = 3
"""Of numbers in sentences."""
IN_WORDS, LARGE = 3, 0.2
"""How many effects are named of an expert at most, and how large they are beside its largest."""
ROWS, COLUMNS, LINES = 12, 6, 24
"""How much of a table is shown where not all of it is asked for."""
FACTORS = 3
"""The most columns of coefficients that have the factors beside them."""
TOLD = 0.02
"""Logarithms below this are told as factors over a range: for one unit they are about 1."""
NO_LOG = 0.01
"""A change of a logarithm that is none."""
LARGEST_TOLD = 9.0
"""Logarithms above this, factors of 8,103, are no factors that anyone would read."""
SCALES = {"logarithm": " (logarithms: exp gives factors)", "log-odds": " (exp gives factors)"}


@dataclass(frozen=True)
class Effect:
    """What one column does in an expert.

    Attributes
    ----------
    column : str
    value : float
        The coefficient; of an expert that has none, the change of its mean from `low` to `high`.
    low, high : float
        The column's 10 % and 90 % quantiles among the expert's rows.
    size : float
        The value times the column's mean deviation among these rows: what it makes there.
    indicator : bool
        Whether the column holds zeros and ones.
    """

    column: str
    value: float
    low: float
    high: float
    size: float
    indicator: bool


@dataclass(frozen=True)
class Equation:
    """What an expert says of one output or class, on some scale.

    Attributes
    ----------
    k : int, the expert
    own : LinearMap
    scale : "", "logarithm" or "log-odds"
        "" where effects add to what stands on the left-hand side.
    measured : bool
        Whether effects are changes of the mean, as the expert has no coefficients.
    effects : list of Effect, the largest first
    """

    k: int
    own: LinearMap
    scale: str
    measured: bool
    effects: list[Effect]


def equations_of(model, about, rows, resp):
    """Return what all experts say of all outputs or classes, a list of `Equation`."""
    found = []
    for k, view in enumerate(model.experts_):
        own = resp[:, k] if resp[:, k].sum() > 0 else np.ones(len(resp))
        if not view.linear:
            found += _measured(model, about, rows, k, own)
            continue
        for one in linear_maps(model, about, k):
            effects = _by_size(_effect(rows, own, *slope) for slope in one.slopes)
            found.append(Equation(k, one, _scale(view), False, effects))
    return found


def _scale(view):
    """Return on which scale a linear expert speaks, as of `Equation`."""
    if fitted_fact(view, "classes_") is not None or view.left.startswith("log-odds"):
        return "log-odds"
    return "logarithm" if view.left.startswith("log ") else ""


def _effect(rows, own, column, value, change=False):
    """Return the `Effect` of a column in an expert; a `change` is its size already."""
    j = rows.position[column]
    low, centre, high = rows.quantiles(j, own, (0.1, 0.5, 0.9))
    deviation = np.average(np.abs(rows.values[:, j] - centre), weights=own)
    size = abs(value) if change else abs(value) * deviation
    return Effect(column, float(value), low, high, float(size), bool(rows.indicators[j]))


def _by_size(effects):
    """Return effects with the largest first, a list."""
    return sorted(effects, key=lambda effect: -effect.size)


def _measured(model, about, rows, k, own):
    """Return what an expert without coefficients does, an `Equation` for each output or class.

    Its mean where a column stands at its 90 % quantile less that at 10 %, the average of its rows.
    """
    view, sample = model.experts_[k], rows.sample(own)
    values, weight = rows.values[sample], own[sample]
    mean = _mean_of(view, rows.as_given(values))
    changes = np.zeros((len(rows.names), mean.shape[1]))
    for j in worth_trying(values, mean):
        ends = []
        for end in (0.0, 1.0) if rows.indicators[j] else rows.quantiles(j, own, (0.1, 0.9)):
            moved = values.copy()
            moved[:, j] = end
            ends.append(np.average(_mean_of(view, rows.as_given(moved)), axis=0, weights=weight))
        changes[j] = ends[1] - ends[0]
    found = []
    for c, one in _outputs(model, about, k):
        effects = [
            _effect(rows, own, rows.names[j], changes[j, c], change=True)
            for j in np.flatnonzero(np.abs(changes).max(axis=1))
        ]
        found.append(Equation(k, one, "", True, _by_size(effects)))
    return found


def _outputs(model, about, k):
    """Return what an expert without coefficients predicts, pairs of a position and a `LinearMap`.

    Of two classes it is the second.
    """
    maps, classes = linear_maps(model, about, k), fitted_fact(model, "classes_")
    if classes is None:
        return list(enumerate(maps))
    topic, spread = "the probabilities of the classes", maps[0].spread
    named = [LinearMap(topic, topic, class_text(c), None, [], spread) for c in classes]
    return list(enumerate(named))[len(classes) == 2 :]


def _mean_of(view, X):
    """Return the means, or the probabilities of the classes, of one expert, (m, q)."""
    mean = view.predict_proba(X) if can(view, "predict_proba") else view.predict(X)
    return np.reshape(mean, (len(mean), -1))


# -- sentences -------------------------------------------------------------------------------------


def largest_effects(equations, about):
    """Return a sentence on the largest effects of one expert, of its `Equation`s; "" of none."""
    # an indicator whose quantiles are equal is the same for nine in ten of the rows
    pairs = [
        (size, effect, one)
        for size, effect, one in _compared(equations)
        if size >= LARGE and not (effect.indicator and effect.low == effect.high)
    ]
    if not pairs:
        return ""
    several, topic = len(equations) > 1, equations[0].own.topic
    told = [_told(effect, one, _subject(one, several)) for _, effect, one in pairs[:IN_WORDS]]
    what = "effects on " + _topic(equations[0], about) if topic or not several else "effects"
    return f"Largest {what}: {'; '.join(told)}."


def _compared(equations):
    """Return all effects with their size beside the largest of the same unit, largest first.

    A list of (relative size, Effect, Equation).
    """
    largest = {}
    for one in equations:
        unit = one.own.topic or one.own.left
        largest[unit] = max([largest.get(unit, 0.0), *(effect.size for effect in one.effects)])
    pairs = [
        (effect.size / largest[one.own.topic or one.own.left], effect, one)
        for one in equations
        for effect in one.effects
        if effect.size > (NO_LOG if one.scale else 0.0)
    ]
    return sorted(pairs, key=lambda pair: -pair[0])


def _topic(one, about):
    """Return what all equations of an expert are about, in words; str."""
    if one.scale == "logarithm":
        return f"the mean of {short_name(about.target_names[0])}"
    if one.scale == "log-odds":
        topic = one.own.topic.removeprefix("log-")
        return f"the {topic.replace(': each against', ', each against')}"
    return short_name(one.own.topic)


def _subject(one, several):
    """Return what an effect multiplies or adds to: one of several equations, or the only one."""
    if not several:
        return "it"
    of = short_name(one.own.of or one.own.left)
    return f"that of {of}" if one.own.topic and (one.scale or one.measured) else of


def _told(effect, one, subject):
    """Return what an effect does to a subject, a part of a sentence; str."""
    column, value = Column.of(effect.column), effect.value
    name, moves = column.label, effect.high > effect.low and not effect.indicator
    over = f"from {column.text(effect.low)} to {column.text(effect.high)}" if moves else ""
    across = value * (effect.high - effect.low) if moves else 0.0
    if one.measured:
        return f"{name}{' ' * moves}{over} changes {subject} by {_signed(value)} on average"
    if not one.scale:
        to = "" if subject == "it" else f" to {subject}"
        unit = "" if effect.indicator else f" {column.a_unit}"
        return f"{name} {_signed(value)}{unit}{f' ({_signed(across)} {over})' * moves}{to}"
    if abs(value) < TOLD and moves:
        log = f"log {number_text(value, DIGITS)} {column.a_unit}"
        return f"{name} {over} multiplies {subject} by {_multiple(across)} ({log})"
    unit = "" if effect.indicator else f"each {column.unit} of "
    text = f"{unit}{name} multiplies {subject} by {_multiple(value)}"
    if abs(value) > LARGEST_TOLD:
        return text
    text += f" (log {number_text(value, DIGITS)}"
    if moves and abs(across) < LARGEST_TOLD:
        text += f"; {over} by {_multiple(across)}"
    return text + ")"


def _multiple(log):
    """Return a factor in a sentence: as a power of e where it is very large or small; str."""
    if abs(log) > LARGEST_TOLD:
        return f"exp({number_text(log, DIGITS)})"
    return number_text(np.exp(log), DIGITS)


def _signed(value):
    """Return a change as text, with its sign."""
    return ("" if value < 0 else "+") + number_text(value, DIGITS)


# -- the table -------------------------------------------------------------------------------------


def effect_tables(model, about, equations, share, full):
    """Return what the experts say as numbers: `Table`s and sentences on them, a list.

    Parameters
    ----------
    share : ndarray of shape (K,)
        The shares of the rows.
    full : bool
        Whether all is shown, or the largest effects alone.
    """
    found = []
    for measured in (False, True):
        own = [one for one in equations if one.measured == measured]
        if not any(one.own.intercept is not None or one.effects or one.own.spread for one in own):
            continue
        if len(own) > COLUMNS and not full:
            found += _listed(about, own, measured)
        else:
            found += _side_by_side(model, about, own, share, measured, full)
    return found


def _title(equations, measured):
    """Return the title of a table of effects, which says the scale; str."""
    lefts = dict.fromkeys(one.own.topic or one.own.left for one in equations)
    left = short_name(next(iter(lefts)), 60) if len(lefts) == 1 else ""
    if measured:
        return "Changes from a column's 10 % to its 90 % quantile" + f": {left}" * bool(left)
    scales = {one.scale for one in equations if one.effects}
    scale = SCALES.get(next(iter(scales)), "") if len(scales) == 1 else ""
    return f"Effects per unit{scale}" + f" on {left}" * bool(left)


def _heads(about, equations):
    """Return the head of every column, a list of str."""
    one_topic = len({one.own.topic for one in equations if one.own.intercept is not None}) < 2
    names = [about.expert_names[one.k] for one in equations]
    of = [one.own.of if one_topic else one.own.left for one in equations]
    if len(about.expert_names) == 1:
        names = [""] * len(of)
    return [", ".join(map(short_name, filter(None, pair))) for pair in zip(names, of, strict=True)]


def _ranked(equations):
    """Return the columns that have an effect in any equation, the largest first, a list of str."""
    best = {}
    for one in equations:
        top = max((effect.size for effect in one.effects), default=0.0)
        for effect in one.effects:
            size = effect.size / top if top > 0 else 0.0
            best[effect.column] = max(best.get(effect.column, 0.0), size)
    return sorted(best, key=lambda name: -best[name])


def _side_by_side(model, about, equations, share, measured, full):
    """Return a `Table` with a column for every equation, and a sentence on what it leaves out."""
    ranked = _ranked(equations)
    shown = ranked if full else ranked[:ROWS]
    factors = len(equations) <= FACTORS and all(one.scale for one in equations)
    heads, columns = _heads(about, equations), []
    for one in equations:
        numbers = numbers_of(one.own)
        if measured:
            numbers |= {("slope", effect.column): effect.value for effect in one.effects}
        columns.append(numbers)
    keys = [("intercept", "intercept")] * any(("intercept", "intercept") in own for own in columns)
    keys += [("slope", name) for name in shown]
    spreads = dict.fromkeys(key for own in columns for key in own if key[0] not in ORDER[:2])
    keys += sorted(spreads, key=lambda key: ORDER.index(key[0]))
    body = []
    if model.n_experts_ == 1:
        heads = [of or "effect" for of in heads]
    if 1 < model.n_experts_ == len(equations):
        body.append(["share of rows", *(f"{100 * share[one.k]:.0f} %" for one in equations)])
    sd = all(_has_sd(model, about, one.k) for one in equations if "scale" in one.own.spread)
    labels = {("scale", "scale"): "noise (sd)" if sd else "noise (scale)"}
    body += [[labels.get(key, short_name(key[1])), *_row(key, columns)] for key in keys]
    if factors:
        heads = [text for head in heads for text in (head, "factor")]
        body = [_with_factors(row, key, columns) for row, key in _keyed(body, keys)]
    table = Table(_title(equations, measured), ["", *heads], body)
    left_out = len(ranked) - len(shown)
    if not left_out:
        return [table]
    them = (
        "1 more column has a smaller effect"
        if left_out == 1
        else (f"{left_out} more columns have smaller effects")
    )
    return [table, f"{them}; --full shows {'it' if left_out == 1 else 'them'}."]


def _has_sd(model, about, k):
    """Tell whether the scale of an expert is a standard deviation."""
    return model.experts_[k].scale_name == "sd" or about.expert_kinds[k] == "NoiseExpert"


def _keyed(body, keys):
    """Return the rows of a table with their keys, None for those that have none; pairs."""
    return zip(body, [None] * (len(body) - len(keys)) + keys, strict=True)


def _row(key, columns):
    """Return the cells of one quantity, "" where an equation has no such; a list of str."""
    values = [own[key] for own in columns if key in own]
    texts = iter(alike(values))
    return [next(texts) if key in own else "" for own in columns]


def _with_factors(row, key, columns):
    """Return a row of coefficients with the factor behind each; a list of str."""
    cells = [row[0]]
    for text, own in zip(row[1:], columns, strict=True):
        value = own.get(key, np.inf) if key is not None and key[0] == "slope" else np.inf
        cells += [text, "" if np.isinf(value) else _factor(value)]
    return cells


def _factor(log):
    """Return a factor to four digits, or to two of what it is from 1, at most eight; str.

    One that is beyond all reading is its bound.
    """
    if abs(log) > LARGEST_TOLD:
        return f"> {np.exp(LARGEST_TOLD):.0f}" if log > 0 else f"< {np.exp(-LARGEST_TOLD):.4f}"
    if log == 0 or abs(log) >= 0.01:
        return number_text(np.exp(log))
    return f"{np.exp(log):.{min(8, 1 - int(np.floor(np.log10(abs(log)))))}f}"


def _listed(about, equations, measured):
    """Return a `Table` of the largest effects of every equation, a line each, and what is left."""
    heads, pairs = _heads(about, equations), _compared(equations)
    chosen = {(id(one), effect.column) for _, effect, one in pairs[:LINES]}
    body, n_all = [], sum(len(one.effects) for one in equations)
    for one, head in zip(equations, heads, strict=True):
        for effect in one.effects:
            if (id(one), effect.column) not in chosen:
                continue
            factor = _factor(effect.value) if one.scale else ""
            body.append([head, short_name(effect.column, 30), number_text(effect.value), factor])
            head = ""
    factors = any(row[3] for row in body)
    head = ["", "column", "change" if measured else "effect", "factor"]
    if not factors:
        head, body = head[:3], [row[:3] for row in body]
    table = Table(_title(equations, measured), head, body)
    left_out = n_all - len(body)
    return (
        [table, f"These are the largest of {n_all} effects; --full shows all."]
        if left_out
        else [table]
    )
