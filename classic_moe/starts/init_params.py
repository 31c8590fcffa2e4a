"""Where a fit starts: what `init_params` and `warm_start` mean."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.utils import check_array

from .._kernels import array
from ..data.batches import whole
from ..model.passes import group_rows
from ..parts.black_box import shown
from ..parts.penalties import PENALTIES
from ..parts.registry import is_estimator
from . import assignments

APART, UPCYCLED_ROWS = 3.0, 20_000
"""Standard deviation of the scores of the gate with which copies of an expert begin, and the rows,
at most, that this gate is made of."""


class Previous(NamedTuple):
    """A fit to go on from, and the parameter that says so.

    source : {"init_params", "warm_start"}
    fitted : Fitted
    """

    source: str
    fitted: object

    @property
    def subject(self):
        """What the fit is called at the beginning of a message."""
        name = {"init_params": "the fit to start from", "warm_start": "the last fit"}
        return f"{self.source}: {name[self.source]}"


class Starts(NamedTuple):
    """Where a search may begin.

    Attributes
    ----------
    each : list of callable (batches) -> responsibilities (n, K)
    n_experts : int
    n_classes : int
        0 of numbers.
    hop : callable (batches, resp, number) -> resp, default=None
        What to begin with near responsibilities (n, K) at which a climb has ended; None: the
        caller's starts are all there are.
    needs_all_rows : bool, default=False
        Whether a search is not to look at a sample.
    """

    each: list
    n_experts: int
    n_classes: int
    hop: Callable | None = None
    needs_all_rows: bool = False


def starting_points(problem, start, n_init, sizes):
    """Return where the fit of a problem starts: params, or the `Starts` of a search.

    A problem that goes on from
    another fit starts there, whatever `start` is.

    Parameters
    ----------
    problem : Problem
    start : str, callable, array, estimator or dict
        `init_params` of the estimator.
    n_init : int
    sizes : tuple of str and callable
        In messages: what says the number of experts, and what says n of them, a function of n.
    """
    if problem.previous is not None:
        return _carried_over(problem.previous, problem, *sizes)
    if isinstance(start, dict):
        model, scalings = problem.model, problem.schema.scalings
        return from_values(start, model, scalings, problem.n_experts, problem.labels)
    each, hop = _starts(problem, start, n_init)
    n_classes = 0 if problem.labels is None else len(problem.labels)
    return Starts(
        [functools.partial(_respecting, one) for one in each],
        problem.n_experts,
        n_classes,
        None if hop is None else functools.partial(_respecting_hop, hop),
        needs_all_rows=hop is None and len(each) == 1,
    )


# -- from another fit ----------------------------------------------------------------------------


def _carried_over(previous, problem, given_size, size_for):
    """Return the params of another fit, taken through the caller's units into the new ones."""
    fitted, K = previous.fitted, problem.n_experts
    copied = len(fitted.resp) == 1 < K and problem.n_kept is not None
    if copied and previous.source == "init_params":
        return _copies(previous, problem)
    if len(fitted.resp) != K:
        raise ValueError(
            f"{previous.subject} has {len(fitted.resp)} experts, {given_size};"
            f" set {size_for(len(fitted.resp))}, or start afresh."
        )
    difference = next(_differences(fitted, problem), None)
    if difference is not None:
        raise ValueError(f"{previous.subject} {difference}, or start afresh.")
    return {name: _carried(previous, problem, name) for name in _parts(problem.model)}


def _carried(previous, problem, name):
    """Return the params of one part of another fit, taken into the new units."""
    fitted = previous.fitted
    before, now = (_units(one.model, one.schema.scalings)[name] for one in (fitted, problem))
    inverses = _inverses(problem.model, {name: now}, problem.n_experts, problem.labels)
    values = _values(fitted, name, before, now)
    try:
        return inverses[name](values)
    except ValueError as error:
        reason = _unlike(name, fitted.model, problem.model)
        if reason is None:  # parts of one kind, and still no start: values out of bounds
            cause = str(error).removesuffix(".").removeprefix("init_params: ")
            reason = f"cannot be taken over ({cause}); give rows more like those of that fit"
        raise ValueError(f"{previous.subject} {reason}, or start afresh.") from error


def _copies(previous, problem):
    """Return params in which every expert is the one of another fit: sparse upcycling.

    The gate is random, about which expert says what is all the same at the start: it only has to
    send rows apart, for copies that see the same rows would stay copies.
    """
    fitted, K = previous.fitted, problem.n_experts
    difference = next(_differences(fitted, problem, parts=("expert",)), None)
    if difference is not None:
        raise ValueError(f"{previous.subject} {difference}, or start afresh.")
    one = _carried(previous, replace(problem, n_experts=1), "expert")
    X, y, weight, facts = whole(problem.batches.sample(UPCYCLED_ROWS, problem.rng))
    Z = _standardised(problem.model.gate_input(X).astype(np.float64, copy=False), weight)
    slopes = problem.rng.standard_normal((K, Z.shape[1])) / np.sqrt(max(Z.shape[1], 1))
    resp = weight[:, None] * np.exp(array.log_softmax(APART * Z @ slopes.T))
    rest = problem.rng, problem.labels, facts.get("groups")
    found = problem.model.init(X, y, resp, *rest)
    return found | {"expert": _repeated(one, found["expert"])}


def _repeated(one, like):
    """Return the params of one expert as those of as many as other params are of, all alike.

    A leaf that experts share is one leaf still.
    """
    if isinstance(one, dict):
        return {name: _repeated(leaf, like[name]) for name, leaf in one.items()}
    return np.repeat(one, len(like), axis=0)


def _values(fitted, name, before, now):
    """Return what a part of a fit has in the caller's units, a dict, for rows in other units.

    What the fit knew nothing of, a column that was constant, is put in terms of the rows to come.
    """
    if len(before.x.factor) == len(now.x.factor):
        before = replace(before, x=before.x.with_spread_of(now.x))
    return _parts(fitted.model)[name].to_caller(fitted.params[name], before)


def _differences(fitted, problem, parts=("gate", "expert")):
    """Yield what the data of a problem have otherwise than those of a fit, and what to do."""
    before, now = fitted.schema, problem.schema
    if before.target.task != now.target.task:
        yield f"is one of {before.target.task}, this is {now.target.task}; give one of that"
    if before.n_features != now.n_features:
        shapes = f"(n, {before.n_features}), and now it is (n, {now.n_features})"
        yield f"saw X of shape {shapes}; give X the same columns"
    elif before.names is not None and now.names is not None:
        for j in np.flatnonzero(before.names != now.names):
            names = f"{before.names[j]!r}, and now it is {now.names[j]!r}"
            yield f"saw X with column {j} named {names}; give X the same columns in the same order"
    for part in parts:
        seen, seeing = _columns_of(part, fitted), _columns_of(part, problem)
        if None not in (seen, seeing) and seen != seeing:
            yield f"had {part}_features {seen}, and now they are {seeing}; choose the same columns"
    classes, known = (schema.target.attributes().get("classes_") for schema in (now, before))
    if classes is None:
        if before.target.n_columns != now.target.n_columns:
            shapes = f"(n, {before.target.n_columns}), and now it is (n, {now.target.n_columns})"
            yield f"saw y of shape {shapes}; give y the same columns"
    elif not np.array_equal(known, classes):
        yield (
            f"knows the classes {', '.join(map(repr, known.tolist()))}, and y holds"
            f" {', '.join(map(repr, classes.tolist()))}; give rows of the same classes"
        )


def _columns_of(name, owner):
    """Return the columns of the caller's X that a part sees, a list; None if it ignores X."""
    if not _parts(owner.model)[name].inputs.uses_x:
        return None
    columns = owner.schema.columns._asdict()[name]
    return list(range(owner.schema.n_features)) if columns is None else columns.tolist()


def _unlike(name, before, now):
    """Return in what the parts of two models differ, and what to do; None if they do not."""
    was, is_now = (shown(_by_default(_parts(model)[name])) for model in (before, now))
    if was == is_now:
        return None
    return f"has the {name} {was}, from which {is_now} cannot start; use the same {name}"


def _by_default(part):
    """Return a part with its penalties as they are by default: a start does not depend on them."""
    given, defaults = part.get_params(), {}
    for name in given:
        owner, _, last = name.rpartition("__")
        if last in PENALTIES:
            parameters = inspect.signature(type(given[owner] if owner else part)).parameters
            if given[name] != parameters[last].default:
                defaults[name] = parameters[last].default
    return clone(part).set_params(**defaults) if defaults else part


# -- from values in the caller's units -----------------------------------------------------------


def to_values(params, model, scalings):
    """Return params as a dict in the caller's units, such as `init_params` may be."""
    units = _units(model, scalings)
    return {name: part.to_caller(params[name], units[name]) for name, part in _parts(model).items()}


def from_values(values, model, scalings, n_experts, labels):
    """Return params from a dict in the caller's units."""
    if set(values) != {"gate", "expert"}:
        raise ValueError(
            "init_params as a dict has the keys 'gate' and 'expert', got"
            f" {', '.join(map(repr, values)) or 'none'}."
        )
    inverses = _inverses(model, _units(model, scalings), n_experts, labels)
    return {name: inverse(values[name]) for name, inverse in inverses.items()}


def _inverses(model, units, n_experts, labels):
    """Return the function from the caller's values to params, of each part there are units of."""
    found = {}
    for name, own in units.items():
        given = dict(units=own, n_experts=n_experts)
        if name == "expert":
            given["classes"] = labels
        found[name] = functools.partial(_parts(model)[name].from_caller, **given)
    return found


def _units(model, scalings):
    """Return the units of both parts by name."""
    return {name: model.units(name, *scalings) for name in _parts(model)}


def _parts(model):
    """Return both parts of a model by name."""
    return {"gate": model.gate, "expert": model.expert}


# -- from responsibilities -----------------------------------------------------------------------


def _starts(problem, start, n_init):
    """Return the starts before what is known of the rows is imposed, callables, and hops."""
    K, given = problem.n_experts, problem.given
    if isinstance(start, str):
        if start not in ("quantile", "random", "kmeans"):
            raise ValueError(
                f"init_params={start!r}: use 'quantile', 'random', 'kmeans', a callable, an array"
                " of responsibilities, a fitted estimator or a dict."
            )
        features_of = functools.partial(
            features, problem.model, problem.labels, layout=problem.layout
        )
        shape = problem.model.gate.tree_shape(K)
        own = OwnStarts(start, shape, features_of, problem.rng)
        return [own.start] * (n_init if K > 1 else 1), own.hop
    if is_estimator(start):
        raise ValueError(
            f"init_params={shown(start)} is no mixture of experts; pass the fitted mixture itself,"
            " such as the last step of a Pipeline or the best_estimator_ of a search."
        )
    if callable(start):
        made = (start(given.X, given.y, K, problem.rng) for _ in range(n_init))
        checked = (_GivenStart.check(resp, given.X.shape[0], K) for resp in made)
        return _without_repetitions(checked), None
    each = start if np.ndim(start) == 3 and len(start) else [start]
    return [_GivenStart.check(one, given.n_rows, K)[given.rows] for one in each], None


def _respecting(start, batches):
    """Return starting responsibilities (n, K) with what is known of the rows imposed."""
    return _imposed(start(batches), batches)


def _respecting_hop(hop, batches, resp, number):
    """Return those of a hop, (n, K), with what is known of the rows imposed."""
    return _imposed(hop(batches, resp, number), batches)


def _imposed(resp, batches):
    """Return responsibilities (n, K) with what is known of the rows imposed."""
    _, _, weight, facts = whole(batches)
    if "groups" in facts:  # one expert a group: the mean of its rows
        first, member = group_rows(facts["groups"])
        total = np.add.reduceat(weight[:, None] * resp, first, axis=0)
        resp = (total / total.sum(axis=1, keepdims=True))[member]
    if "labels" in facts:
        labels = facts["labels"]
        known = labels >= 0
        resp = np.where(known[:, None], np.eye(resp.shape[1])[labels], resp)
    return resp


class _GivenStart:
    """Starting responsibilities that the caller gave, for all rows."""

    def __init__(self, resp):
        self.resp = resp

    @classmethod
    def check(cls, given, n, K):
        """Return the start; a ValueError unless it is (n, K), >= 0, with positive sums of rows."""
        if np.ndim(given) != 2:
            raise ValueError(
                f"init_params={given!r} is no start; use 'quantile', 'random', 'kmeans', a"
                " callable, responsibilities of shape (n, n_experts) or several of them, (starts,"
                " n, n_experts), a fitted estimator or a dict."
            )
        resp = check_array(given, dtype=np.float64, order="C", input_name="init_params")
        if resp.shape != (n, K):
            raise ValueError(
                f"init_params: responsibilities need shape (n, n_experts) = {(n, K)}, got"
                f" {resp.shape}."
            )
        if resp.min() < 0 or not (resp.sum(axis=1) > 0).all():
            raise ValueError(
                "init_params: responsibilities must be at least 0 with a positive sum in every row."
            )
        return cls(resp / resp.sum(axis=1, keepdims=True))

    def __getitem__(self, rows):
        return _GivenStart(self.resp[rows])

    def __call__(self, batches):
        return self.resp if batches.origin is None else self.resp[batches.origin]


def _without_repetitions(starts):
    """Return the starts up to the first repetition, a list: one of a deterministic callable."""
    kept = []
    for start in starts:
        if any(np.array_equal(start.resp, other.resp) for other in kept):
            break
        kept.append(start)
    return kept


class OwnStarts:
    """The package's own starts, one after another, and hops; see `assignments`.

    Parameters
    ----------
    kind : {"quantile", "random", "kmeans"}
    shape : nested tuple, the tree of the experts
    features : callable (block) -> features (n, m) and how many of them are inputs
    rng : RandomState
    """

    def __init__(self, kind, shape, features, rng):
        self.kind, self.shape, self.features, self.rng = kind, shape, features, rng
        self._generator = None

    def start(self, batches):
        """Return the responsibilities of the next start, (n, K)."""
        block = whole(batches)
        if self._generator is None:
            self._seen = self.features(block)
            rest = block.weight, self.shape, self.rng
            self._generator = assignments.starts(self.kind, *self._seen, *rest)
        resp = next(self._generator)
        labels = block.facts.get("labels")
        return resp if labels is None else _aligned(resp, labels, block.weight)

    def hop(self, batches, resp, number):
        """Return the responsibilities of a hop from some at a maximum, (n, K)."""
        return assignments.hop(*self._seen, whole(batches).weight, resp, number, self.rng)


def _aligned(resp, labels, weight):
    """Return a start (n, K), its columns in the order that agrees best with known experts."""
    K = resp.shape[1]
    known = labels >= 0
    overlap = (weight[known, None] * np.eye(K)[labels[known]]).T @ resp[known]
    return resp[:, linear_sum_assignment(overlap, maximize=True)[1]]


def features(model, labels, block, layout=None):
    """Return standardised inputs and targets, of classifiers one-hot: (n, p + q), and p.

    Without the layout of the internal X all its columns are inputs.
    """
    X = block.X.astype(np.float64, copy=False)
    if layout is None:
        X = _standardised(X, block.weight)
    elif layout.source is not None:  # each of the caller's columns once, in units of its spread
        once = np.unique(layout.source, return_index=True)[1]
        X = np.where(layout.raw[once], _standardised(X[:, once], block.weight), X[:, once])
    if labels is not None:
        y = np.eye(len(labels))[block.y]
    else:
        y = model.expert.target.response(block.y)[0]
        y = y if model.expert.target.standardise else _standardised(y, block.weight)
    if "groups" in block.facts:
        return _of_groups(X, y, block.weight, block.facts["groups"]), 0
    return np.concatenate([X, y], axis=1), X.shape[1]


def _of_groups(X, y, weight, groups):
    """Return what tells groups apart, for each of their rows, standardised: (n, p + q + pq).

    The means of inputs and targets, and the slopes of each target on each input within the group,
    one by one, towards 0 where the input hardly varies there.
    """
    first, member = group_rows(groups)

    def means(values):
        sums = np.add.reduceat(weight[:, None] * values, first, axis=0)
        return sums / np.add.reduceat(weight, first)[:, None]

    own_X, own_y = means(X), means(y)
    x, r = X - own_X[member], y - own_y[member]
    variance = means(x**2)
    slopes = [
        means(x * r[:, [j]]) / (variance + 0.1 * np.maximum(variance.mean(axis=0), 1e-300))
        for j in range(y.shape[1])
    ]
    return _standardised(np.concatenate([own_X, own_y, *slopes], axis=1)[member], weight)


def _standardised(V, weight):
    """Return columns with weighted mean 0 and variance 1, constant ones 0; (n, m)."""
    V = V / np.maximum(np.abs(V).max(axis=0), 1e-300)  # squares of 1e200 overflow
    centred = V - weight @ V / weight.sum()
    sd = np.sqrt(weight @ centred**2 / weight.sum())
    return centred / np.where(sd > 0, sd, 1.0)
