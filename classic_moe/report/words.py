"""A fitted model in words: where every expert holds, what it does there, and what to beware of."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ..parts.checks import can, fitted_fact
from ..parts.names import printable
from .effects import effect_tables, equations_of, largest_effects
from .equations import class_text
from .regions import LITTLE, Rows, gate_movement, percent, quantile_range, where
from .summary import summarize
from .table import Table, number_text, short_name

LEVEL = 1.0
"""An expert is level if its predictions range over less than this many times its noise."""
PER_NUMBER = 5
"""Rows for every number estimated, below which a fit is not to be relied upon."""
DIGITS = 3
"""Of numbers in sentences."""
MOST_NAMED = 3
"""How many outputs or classes a sentence names."""
PERSONS = {"Poisson", "Gaussian", "Laplace", "Student"}
"""Names that are written with a capital letter."""
POISSON = ", the variance being the mean (Poisson)"
NO_DISPERSION = 1e-4
"""Below this a negative binomial distribution is a Poisson distribution."""
LEAST = 0.005
"""The smallest share of a class that is named."""


def describe(model, X, y, *, full=False):
    """Say what a fitted model is: where every expert holds, its share, its effects, its noise.

    Whatever estimator, expert and gate: what is said is measured on the rows given, but for
    coefficients, which are the model's.

    Parameters
    ----------
    model : fitted mixture of experts
    X : DataFrame or array-like of shape (n, p)
    y : array-like of shape (n,) or (n, q)
    full : bool, default=False
        Whether tables show all effects, and the gate's coefficients; else the largest effects.

    Returns
    -------
    list of str or Table
        Paragraphs and tables, in the order in which they are to be read.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.report.words import describe
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.abs(X[:, 0]) + 0.05 * np.sin(40 * np.arange(200))
    >>> model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    >>> said = describe(model, X, y)
    >>> print(said[0])
    A softmax gate shares 200 rows among 2 linear experts, which predict y.
    """
    with np.errstate(under="ignore"):
        said = _described(_Fit.of(model, X, y), full)
    return [printable(part) if isinstance(part, str) else part for part in said]


def _described(fit, full):
    """Return what `describe` does."""
    several = fit.model.n_experts_ > 1
    if several:
        said = [_heading(fit), *_where_experts_hold(fit)]
    else:
        said = [f"{_heading(fit)} {_what_it_does(fit, 0)}"]
    said += effect_tables(fit.model, fit.about, fit.equations, fit.resp.mean(axis=0), full)
    if full and several:
        tables = summarize(fit.model).tables
        said += [_without_reference(tables["gate"], fit), *filter(None, [tables.get("nodes")])]
    return said


def _without_reference(table, fit):
    """Return the table of a gate without a last column of zeros, against which the others are."""
    if any(row[-1] != 0 for row in table.rows):
        return table
    title = f"Gate: log-odds against {short_name(fit.about.expert_names[-1])}"
    return Table(title, table.head[:-1], [row[:-1] for row in table.rows])


@dataclass(frozen=True)
class _Fit:
    """A fitted model with the rows on which it is described.

    Attributes
    ----------
    model, about : the estimator and its `Description`
    rows : Rows
    resp : ndarray of shape (n, K)
        Responsibilities, or the gate's probabilities where there are none.
    y : ndarray of shape (n, q), or (n,) of labels
    means : ndarray of shape (n, K, q)
        What the experts predict, or their probabilities of the classes.
    classes : ndarray of shape (C,), or None
    equations : list of Equation
    """

    model: object
    about: object
    rows: Rows
    resp: np.ndarray
    y: np.ndarray
    means: np.ndarray
    classes: np.ndarray | None
    equations: list

    @classmethod
    def of(cls, model, X, y) -> _Fit:
        """Return what is known of a fitted model and rows."""
        about, rows = model.describe(), Rows.of(model, X)
        resp = model.responsibilities(X, y) if can(model, "responsibilities") else _gate(model, X)
        means, classes = model.predict_experts(X), fitted_fact(model, "classes_")
        y = np.asarray(y)
        if classes is None:
            y = y.astype(np.float64).reshape(len(y), -1)
            means = means.reshape(*means.shape[:2], -1)
            if y.shape[1] > means.shape[2]:  # successes and failures
                y = y[:, :1] / np.maximum(y.sum(axis=1, keepdims=True), 1)
        equations = equations_of(model, about, rows, resp)
        return cls(model, about, rows, resp, y, means, classes, equations)

    def own(self, k):
        """Return the shares of an expert in the rows, (n,); equal ones if it holds none."""
        resp = self.resp[:, k]
        return resp if resp.sum() > 0 else np.ones(len(resp))


def _gate(model, X):
    """Return the probabilities of the experts before y is seen, (m, K).

    Where every output or class has a gate of its own, the average.
    """
    proba = np.asarray(model.gate_proba(X))
    return proba.reshape(*proba.shape[:2], -1).mean(axis=2)


def _heading(fit):
    """Return what the model is made of, a sentence."""
    n, K = len(fit.resp), fit.model.n_experts_
    kinds = dict.fromkeys(fit.about.expert_kinds)
    names = [*map(short_name, fit.about.target_names[:MOST_NAMED])]
    names += ["others"] * (len(fit.about.target_names) > MOST_NAMED)
    offset = "" if fit.about.offset is None else f" Their offset is {short_name(fit.about.offset)}."
    if K == 1:
        one = f"One {family(*kinds)} expert predicts {_in_a_row(names)}, for all {n} rows."
        return one + offset.replace("Their", "Its")
    counted = [f"{fit.about.expert_kinds.count(kind)} {family(kind)}" for kind in kinds]
    return (
        f"{_gate_words(fit)} shares {n} rows among {_in_a_row(counted)} experts, which predict"
        f" {_in_a_row(names)}.{offset}"
    )


def family(kind, suffix="Expert"):
    """Return the name of a part's class in words, as "Student t" of "StudentTExpert"; str."""
    name = kind.removesuffix(suffix)
    if name == kind or name.isupper():  # of somebody else; MLP
        return name
    first, *rest = re.findall("[A-Z][a-z]*", name)
    return " ".join([first if first in PERSONS else first.lower(), *map(str.lower, rest)])


def _gate_words(fit):
    """Return what the gate is, in words, with its article; str."""
    kind, *rest = fit.about.gate.split(" ", 1)
    words = kind if not kind.endswith("Gate") else f"{family(kind, 'Gate')} gate"
    if fit.model.gate_.kind == "estimator":
        words = f"{fit.model.gate_.title} as the gate"
    words = "tree of gates" if fit.model.gate_.kind == "tree" else words
    article = "An" if words[0] in "aeio" else "A"
    return " ".join([article, words, *rest])


# -- where experts hold ----------------------------------------------------------------------------


def _where_experts_hold(fit):
    """Return a paragraph for every branch of a tree and every expert, a list of str."""
    names = list(map(_called, fit.about.expert_names))
    groups = {name: [k] for k, name in enumerate(names)}
    branches = _branches(fit.model, names)
    members = np.array(
        [np.isin(range(len(names)), leaves) for leaves in [*branches.values(), *groups.values()]]
    ).T
    moved, together = gate_movement(fit.rows, lambda X: _gate(fit.model, X) @ members)
    own, said = fit.resp @ members, []
    if together.max() < LITTLE:
        said.append(_nothing_moves(fit))
    for i, name in enumerate([*branches, *groups]):
        holds = f"{name} holds {percent(own[:, i].mean())} of the rows"
        if together.max() >= LITTLE:
            holds += where(fit.rows, np.clip(own[:, i], 0, 1), moved[:, i], together[i])
        k = i - len(branches)
        if k >= 0:
            holds = f"{holds}. {_what_it_does(fit, k)}"
        said.append(holds.removesuffix(".") + ".")
    return said


def _called(name):
    """Return how an expert is called at the start of a sentence; str."""
    name = short_name(name)
    return name.capitalize() if re.fullmatch(r"expert \d+", name) else f"Expert {name!r}"


def _branches(model, names):
    """Return the branches of a tree that lead to several experts, {its name: their numbers}."""
    if model.gate_.kind != "tree":
        return {}
    children, found = model.gate_.children_, {}

    def leaves(item):
        return (
            [k for child in children[item] for k in leaves(child)] if item in children else [item]
        )

    for node in children:
        own = leaves(node)
        if node != "root" and len(own) > 1:
            called = [names[k].removeprefix("Expert ") for k in own]
            found[f"The branch of experts {_in_a_row(called)}"] = own
    return found


def _in_a_row(names):
    """Return names as a list in a sentence; str."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _nothing_moves(fit):
    """Return the sentence on a gate that hardly depends on x."""
    if any(kind.endswith("Gate") for kind in fit.about.ignoring):
        return "The gate does not look at x: the experts' shares are the same everywhere."
    return "The gate hardly depends on x: the experts' shares are about the same everywhere."


# -- what an expert does ---------------------------------------------------------------------------


def _what_it_does(fit, k):
    """Return what an expert predicts among its rows, its noise and largest effects; str."""
    equations = [one for one in fit.equations if one.k == k]
    if fit.classes is None:
        said, level = _predictions(fit, k, equations)
    else:
        said, level = _classes_found(fit, k), False
    said = [said]
    if not level and (effects := largest_effects(equations, fit.about)):
        said.append(effects)
    return " ".join(said)


def _classes_found(fit, k):
    """Return which classes an expert's rows are of, and how often it is right, a sentence."""
    own, labels = fit.own(k), fit.classes
    shares = np.array([np.average(fit.y == label, weights=own) for label in labels])
    order = [c for c in np.argsort(-shares, kind="stable") if shares[c] >= LEAST]
    named = [f"{percent(shares[c])} {class_text(labels[c])}" for c in order[:MOST_NAMED]]
    named[0] = named[0].replace("%", "% are", 1)
    if len(order) > MOST_NAMED:
        named.append(f"{percent(shares[order[MOST_NAMED:]].sum())} others")
    best = labels[fit.means[:, k].argmax(axis=1)]
    right = percent(np.average(best == fit.y, weights=own))
    return (
        f"Of these, {', '.join(named)}; the class that it finds most probable is the right one for"
        f" {right}."
    )


def _predictions(fit, k, equations):
    """Return what an expert predicts for its rows, and its noise, a sentence; and if it is level.

    An expert is level where its predictions differ less than its noise.
    """
    own, view, kind = fit.own(k), fit.model.experts_[k], fit.about.expert_kinds[k]
    told, level = [], True
    for j, name in enumerate(fit.about.target_names):
        means = fit.means[:, k, j]
        low, high = quantile_range(means, own)
        error = _root_mean_square(fit.y[:, j] - means, own)
        level &= high - low < LEVEL * error
        spread = equations[j].own.spread if j < len(equations) else {}
        ends = [number_text(end, DIGITS) for end in (low, high)]
        told.append((short_name(name), *ends, noise_words(kind, spread, view, error)))
    more = " …" * (len(told) > MOST_NAMED)
    parts = [
        f"{f'{name} from {low} to {high}' if low != high else f'{low} for {name}'}, {noise}"
        for name, low, high, noise in told[:MOST_NAMED]
    ]
    if kind == "NoiseExpert":
        start = "Whatever x is, it takes what the others do not explain:"
    elif not view.uses_x:
        start = "Whatever x is, it predicts"
    elif all(low == high for _, low, high, _ in told):
        start = "For all of them it predicts"
    else:
        start = "For eight in ten of them it predicts" + ", nearly the same," * level
    return f"{start} {'; '.join(parts)}{more}.", level


def _root_mean_square(errors, weight):
    """Return the size of weighted errors, of whatever magnitude, a float."""
    largest = np.abs(errors).max()
    if largest == 0:
        return 0.0
    return float(largest * np.sqrt(np.average((errors / largest) ** 2, weights=weight)))


def noise_words(kind, spread, view, error):
    """Return how far y scatters about an expert's predictions, in its units, and by what law; str.

    Parameters
    ----------
    kind : str, the class of the expert
    spread : dict of str to float, as of `LinearMap`
    view : view of the expert
    error : float
        The root mean square of y less the predictions, among its rows.
    """
    typical = f"with errors of {number_text(error, DIGITS)} (root mean square)"
    own = {name: number_text(value, DIGITS) for name, value in spread.items()}
    if kind == "NoiseExpert":
        return f"with noise of sd {own['scale']}" if own else typical
    if not own:
        return typical + (POISSON if kind == "PoissonExpert" else "")
    if "shape" in own:
        share = number_text(100 / np.sqrt(spread["shape"]), DIGITS)
        inverse = number_text(1 / spread["shape"], DIGITS)
        return (
            f"with noise of {share} % of the mean (shape {own['shape']}, dispersion {inverse} in R)"
        )
    if "dispersion" in own:
        if spread["dispersion"] < NO_DISPERSION:
            return typical + POISSON
        theta = number_text(1 / spread["dispersion"], DIGITS)
        return f"{typical}, with variance mean + {own['dispersion']} mean² (theta {theta} in R)"
    if view.scale_name == "sd" or kind not in ("StudentTExpert", "LaplaceExpert"):
        return f"with noise of sd {own['scale']}"
    law = (
        f"t distribution, {own['df']} degrees of freedom" if "df" in own else "Laplace distribution"
    )
    return f"with noise of scale {own['scale']} ({law})"


# -- what to beware of -----------------------------------------------------------------------------


def cautions(model, X, y, *, searched=()):
    """Say in sentences what should make a reader careful about a fit.

    Parameters
    ----------
    model : fitted mixture of experts
    X, y : as for `describe`
    searched : iterable of int, default=()
        The numbers of experts from which that of the model was chosen.

    Returns
    -------
    list of str
        One sentence each: more parameters than a fifth of the rows; a number of experts at the end
        of those searched; experts with too few rows for their coefficients.
    """
    n, K, said = len(y), model.n_experts_, []
    if model.n_parameters_ * PER_NUMBER > n:
        said.append(
            f"The model has {model.n_parameters_} parameters for {n} rows, more than one for every"
            f" {PER_NUMBER} of them: it may fit these rows far better than new ones; fewer experts"
            " or columns are safer."
        )
    searched = list(searched)
    if len(searched) > 1 and max(searched) == K:
        said.append(
            f"K = {K} is the largest number of experts that was tried; more may be better still."
        )
    if K > 1:
        resp = model.responsibilities(X, y) if can(model, "responsibilities") else _gate(model, X)
        said += _too_few_rows(model, resp.sum(axis=0))
    return said


def _too_few_rows(model, held):
    """Return the sentence on experts that hold too few rows for their coefficients, none or one."""
    found = []
    for k, name in enumerate(model.describe().expert_names):
        view = model.experts_[k]
        n = np.size(view.coef_) + np.size(view.intercept_) if view.linear else 0
        if view.linear and view.uses_x and held[k] < PER_NUMBER * n:
            found.append(f"{short_name(name)} holds {held[k]:.0f} rows for {n} coefficients")
    if not found:
        return []
    its = "its effects are" if len(found) == 1 else "the effects of these are"
    text = _in_a_row(
        found[:MOST_NAMED] + [f"{len(found) - MOST_NAMED} more"] * (len(found) > MOST_NAMED)
    )
    return [f"{text[0].upper()}{text[1:]}: {its} hardly determined."]
