"""From the caller's data and parameters to a `Problem`: all that a fit needs, complete and frozen.

The steps of `prepare`, in order: find the parts and check that they go together, read and validate
the data, choose columns and rows, encode y, fix the units, build the model.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from .._kernels.array import brought, copied, is_elsewhere, rows_at
from ..data import row_facts
from ..data.batches import ArrayBatches
from ..data.categories import Coding, draft_of
from ..data.columns import Columns, Layout, resolve_columns
from ..data.device_batches import DeviceBatches
from ..data.devices import received
from ..data.units import ReportedUnits, Scaling
from ..model.mixture import MixtureModel
from ..model.objectives import NAMED
from ..parts import black_box
from ..parts.names import names_of
from ..parts.part import offers
from ..parts.registry import coerce
from ..parts.storage import check_room, no_columns
from ..solvers import BaseSolver
from ..starts.automatic import Automatic
from ..starts.init_params import Previous
from ._parameters import check_parameters
from ._rows import check_anywhere
from ._targets import ClassTarget, RealTarget
from ._weights import normalised

LARGEST_RAW = 116
"""Powers of two of X that is not standardised: eighth powers of 2¹¹⁶ = 8e34 are numbers."""
WIDE = 64
"""Columns above which, if there are also fewer rows, the fit works in the space of the rows."""
SPARSE_KEPT, ROTATED_KEPT = 2**26, 2**30
"""Bytes up to which a sparse X is kept in internal units, which are dense; and an X in the space of
its rows, which takes long to make and is the smaller one."""
CONSTANT_TARGET = 1e-8
"""Stands in for the spread of a y without any, relative to its size."""


@dataclass(frozen=True)
class Schema:
    """How the caller's rows become those of the model: what a fit fixes for all later ones.

    Attributes
    ----------
    target : RealTarget or ClassTarget
    columns : Columns, of X with its categories coded
    x, y : Scaling, between the caller's units and the internal ones
    weight_unit : float, the caller's weight of an internal row of weight 1
    n_features : int, the number of columns of X with its categories coded
    names : ndarray of str or None, their names
    normalizes : bool, whether weights are scaled to sum to the number of rows
    grouped : bool, whether rows of a group shared an expert
    coding : Coding, from the caller's columns to those; None where they are the same
    """

    target: RealTarget | ClassTarget
    columns: Columns
    x: Scaling
    y: Scaling
    weight_unit: float
    n_features: int
    names: np.ndarray | None
    normalizes: bool = False
    grouped: bool = False
    coding: Coding | None = None

    @property
    def n_features_in(self):
        """The number of columns of the caller's X."""
        return self.n_features if self.coding is None else self.coding.n_features

    @property
    def feature_names_in(self):
        """The names of the columns of the caller's X, an ndarray of str or None."""
        return self.names if self.coding is None else self.coding.feature_names

    def attributes(self):
        """Return what the estimator shows of the columns of X, by name, None where it is not."""
        return {
            "n_features_in_": self.n_features_in,
            "feature_names_in_": self.feature_names_in,
            "categories_": None if self.coding is None else self.coding.shown_categories(),
        }

    @property
    def scalings(self):
        """The scalings of X and y, a pair."""
        return self.x, self.y

    @property
    def y_is_constant(self):
        """Whether y had no spread in the rows that fixed the units."""
        return bool(np.all(self.y.factor == 1 / CONSTANT_TARGET))

    @property
    def offset_name(self):
        """The name of the offset's column, None where there is no offset."""
        column = self.columns.offset
        if column is None:
            return None
        return f"x{column}" if self.names is None else str(self.names[column])

    def view_options(self, part):
        """Return the keywords of a part's `view` that tell it of its columns, a dict."""
        columns, names = self.columns._asdict()[part], self.names
        if names is not None and columns is not None:
            names = names[columns]
        told = dict(columns=columns, n_features_in=self.n_features, feature_names_in=names)
        return told if self.coding is None else told | {"coding": self.coding}

    def check_groups(self, codes, groups, X):
        """ValueError unless the gate's columns of X are constant within every group."""
        row_facts.check_constant(codes, groups, X, self.columns.gate, self.names)


class Given(NamedTuple):
    """The caller's rows of positive weight, validated, those of a group together.

    Attributes
    ----------
    X : ndarray in C order, or sparse array in rows (CSR), of shape (n, p), its categories coded
    y, weight : ndarrays of n rows
    rows : ndarray of int of shape (n,), which of the caller's `n_rows` rows those are; or a slice
    n_rows : int
    names : ndarray of str or None, of the columns of X
    coding : Coding or None, how the categories were coded
    """

    X: np.ndarray | csr_array | csr_matrix
    y: np.ndarray
    weight: np.ndarray
    rows: np.ndarray
    n_rows: int
    names: np.ndarray | None
    coding: Coding | None = None

    def positions(self, features, caller_X, parameter):
        """Return the columns of X that a parameter selects among the caller's, None for all."""
        coding = self.coding
        if coding is None:
            return resolve_columns(features, caller_X, self.X.shape[1], self.names, parameter)
        width, names = coding.n_features, coding.feature_names
        return coding.positions(resolve_columns(features, caller_X, width, names, parameter))

    def take(self, rows):
        """Return some of the rows, in that order."""
        chosen = rows if isinstance(self.rows, slice) else self.rows[rows]  # a slice is of all
        X = rows_at(self.X, rows)
        y, weight = self.y[rows], self.weight[rows]
        return self._replace(X=X, y=y, weight=weight, rows=chosen)


@dataclass(frozen=True)
class Problem:
    """What is to be fitted, to which rows: the input of the race of starts.

    Attributes
    ----------
    model : MixtureModel
    schema : Schema
    batches : ArrayBatches, the rows in internal units
    units : ReportedUnits
    solver : BaseSolver, with random numbers of its own
    n_experts : int
    reorders : bool, whether the experts are put in canonical order
    streams : bool, whether these are rows of a stream, of which more will come
    knows_labels : bool, whether the expert of some rows is known
    given : Given, the caller's rows, for starts that are made from them; None for later rows
    layout : Layout of the internal X, likewise
    rng : RandomState, for the starts
    previous : Previous, the fit to go on from, which numbers the experts; None for a fresh start
    automatic : Automatic, the penalties that the fit is to find; None where all are numbers
    obstacle : str, why penalties that were to be found are weak; "" where there are none
    n_kept : int, how many experts of a row its gate is to keep; None of other gates
    sparse_gate : BaseGate, the gate that keeps some experts of a row, for which the fit of the
        model, with all of them, is tuned in the end; None where all are kept
    """

    model: MixtureModel
    schema: Schema
    batches: ArrayBatches
    units: ReportedUnits
    solver: BaseSolver
    n_experts: int
    reorders: bool
    streams: bool
    knows_labels: bool = False
    given: Given | None = None
    layout: Layout | None = None
    rng: np.random.RandomState | None = None
    previous: Previous | None = None
    automatic: Automatic | None = None
    obstacle: str = ""
    n_kept: int | None = None
    sparse_gate: object = None

    @property
    def labels(self):
        """The labels behind the codes in y, (C,); None where y holds numbers."""
        return self.schema.target.labels


def prepare(
    estimator,
    X,
    y,
    sample_weight=None,
    groups=None,
    expert_labels=None,
    *,
    expert=None,
    online=None,
    classes=None,
) -> Problem:
    """Return the `Problem` of fitting an estimator, which is only read.

    Parameters
    ----------
    estimator : BaseMixtureOfExperts
    X, y, sample_weight, groups, expert_labels : as of `fit`
    expert : what stands for the experts, default=None
        None takes the estimator's parameter.
    online : BaseSolver, default=None
        The solver of the first rows of a stream, which these are.
    classes : array-like, default=None
        All labels there will be, where the caller says so.

    Raises
    ------
    ValueError, TypeError
        For parameters and data that cannot be fitted.
    """
    ready = ready_parts(estimator, expert, online, expert_labels)
    looking = looking_at_x(estimator, ready.bare.expert, ready.bare.gate)
    options = dict(anywhere=True, previous=coding_of(ready.previous))
    given = read(estimator, ready.bare.expert, X, y, sample_weight, looking, **options)
    if is_elsewhere(given.X):
        _check_device(
            estimator, replace(ready.bare, gate=ready.gate), ready.solver, groups, given.X
        )
    chosen = choose_columns(estimator, ready.bare, X, given)
    known = dict(groups=groups, expert_labels=expert_labels)
    return of_given(estimator, ready, given, chosen, names_of(y), known, online, classes)


class Ready(NamedTuple):
    """What a fit is made of before it sees data.

    Attributes
    ----------
    bare : MixtureModel, with all experts of a row
    gate : the gate that may keep some of them
    solver : BaseSolver
    automatic, n_kept, sparse_gate, previous : as of `Problem`
    """

    bare: MixtureModel
    gate: object
    solver: BaseSolver
    automatic: Automatic | None
    n_kept: int | None
    sparse_gate: object
    previous: Previous | None


def ready_parts(estimator, expert=None, online=None, expert_labels=None) -> Ready:
    """Return the parts of a fit, found and checked; see `prepare`."""
    check_parameters(estimator)
    bare = bare_model(estimator, expert)
    gate = bare.gate
    n_kept, sparse_gate = bare.gate.n_kept, _sparse_gate(estimator, bare, expert_labels)
    bare, automatic = with_numbers(replace(bare, gate=bare.gate.dense()), estimator)
    solver = online or coerce("solver", estimator.solver)
    solver.check_model(bare)
    return Ready(bare, gate, solver, automatic, n_kept, sparse_gate, estimator._previous())


def of_given(estimator, ready, given, chosen, y_names, known, online=None, classes=None) -> Problem:
    """Return the problem of fitting validated rows in memory.

    Parameters
    ----------
    ready : Ready
    given : Given
    chosen : what `choose_columns` says of them
    y_names : tuple of str or None, what the columns of y are called
    known : dict, the `groups` and `expert_labels` of the caller's rows
    estimator, online, classes : as of `prepare`
    """
    bare, (columns, layout) = ready.bare, chosen
    _check_room(bare, columns, given.X)
    given, facts = _choose_rows(estimator, bare, given, **known)
    if "groups" in facts:
        constant = facts["groups"], known["groups"], given.X, columns.gate, given.names
        row_facts.check_constant(*constant)
    target, inner_y = estimator._target.fit(given.y, bare.expert, classes)
    target = replace(target, names=y_names)
    unit = weight_unit_of(given.weight, facts)
    weight = given.weight if unit == 1 else given.weight / unit  # an array less in memory
    n_threads, streams = effective_n_jobs(estimator.n_jobs), online is not None
    x = scaling_of_x(estimator, bare, given.X, weight, layout, streams, n_threads)
    y, objective = units_of_y(bare, target, partial(fit_y, inner_y, weight, n_threads))
    inner_y = y.apply(inner_y) if y.changes else inner_y
    told = dict(normalizes=estimator.normalize_weights, grouped="groups" in facts)
    told["coding"] = given.coding
    schema = Schema(target, columns, x, y, unit, given.X.shape[1], given.names, **told)
    model = complete(bare, layout, objective, target)
    batches = _batches(estimator, model, schema, given.X, inner_y, weight, n_threads, facts)
    return assembled(estimator, ready, model, schema, batches, given, layout, facts, online)


def assembled(
    estimator, ready, model, schema, batches, given, layout, facts, online=None
) -> Problem:
    """Return the problem of a complete model and rows in internal units, wherever they lie."""
    automatic, previous, streams = ready.automatic, ready.previous, online is not None
    rng = check_random_state(estimator.random_state)
    obstacle = "" if automatic is None else automatic.obstacle(model, ready.solver, facts, streams)
    automatic = None if obstacle or automatic is None else automatic.of_columns(model, batches)
    if automatic is not None and previous is not None:
        automatic = automatic.going_on(previous.fitted)
    if automatic is not None:
        model = replace(model, **automatic.first())
    return Problem(
        model,
        schema,
        batches,
        reported_units(model, schema, batches, facts.get("groups")),
        with_random_numbers(ready.solver, rng),
        estimator._n_experts,
        reorders=model.expert.exchangeable and not (previous or online or "labels" in facts),
        knows_labels="labels" in facts,
        streams=streams,
        given=given,
        layout=layout,
        rng=rng,
        previous=previous,
        automatic=automatic,
        obstacle=obstacle,
        n_kept=ready.n_kept,
        sparse_gate=ready.sparse_gate,
    )


# -- the parts -----------------------------------------------------------------------------------


def bare_model(estimator, expert=None):
    """Return the model before it sees data, its parts found and checked against each other."""
    given = estimator._given_expert() if expert is None else expert
    expert = coerce("expert", given, estimator._target.task)
    gate, K = coerce("gate", estimator._given_gate()), estimator._n_experts
    check_task(estimator, expert)
    if expert.n_experts not in (None, K):
        raise ValueError(
            f"{estimator._given_size}, but expert={given!r} holds {expert.n_experts};"
            f" set {estimator._size_for(expert.n_experts)}."
        )
    if gate.n_experts not in (None, K):
        raise ValueError(
            f"n_experts={K}, but gate={estimator.gate!r} has {gate.n_experts} leaves;"
            f" set n_experts={gate.n_experts}, or give the tree {K} leaves."
        )
    if estimator.offset_feature is not None and not expert.target.offset:
        raise ValueError(
            f"offset_feature={estimator.offset_feature!r}: {type(expert).__name__} takes no offset;"
            " leave it None (and subtract an offset of real-valued y from y itself)."
        )
    objective = NAMED[estimator.objective]()
    if objective.blends and not offers(expert, "mean_gradient"):
        raise ValueError(
            f"objective={estimator.objective!r} trains the experts by the gradient of their means,"
            f" and {type(expert).__name__} has none; use experts such as 'linear' or 'mlp', or"
            " estimators fitted beforehand, each in a sklearn.frozen.FrozenEstimator."
        )
    return MixtureModel(gate, expert, objective=objective)


def _sparse_gate(estimator, model, expert_labels):
    """Return the gate of a model if it keeps some of the experts of a row, else None."""
    gate = model.gate
    if gate.n_kept is None or gate.n_kept >= estimator._n_experts:
        return None
    if expert_labels is not None:
        raise ValueError(
            f"expert_labels: the expert of a row may not be among the {gate.n_kept} that"
            f" {type(gate).__name__} keeps; leave the labels out, or keep all experts."
        )
    return gate


def with_numbers(model, estimator):
    """Return the model with weak numbers for words, and the `Automatic` of what is to be found.

    The estimator, of which the model is, says what the numbers are called.
    """
    parts = {name: part.with_numbers({}) for name, part in model.parts.items()}
    automatic = Automatic.of(model.gate, model.expert)
    automatic = automatic and automatic.named(estimator.get_params())
    return replace(model, **parts), automatic


def complete(model, layout, objective, target):
    """Return the model with all that the data decide: columns, units of the errors, classes."""
    return replace(
        model,
        gate_columns=layout.gate,
        expert_columns=layout.expert,
        offset_column=layout.offset,
        objective=objective,
        codes=target.codes,
    )


def check_task(estimator, expert):
    """ValueError for an expert that cannot do what the estimator does."""
    task, target = estimator._target.task, expert.target
    if target.task == "regression" and task == "classification":
        if target.outputs == 1 or target.kind == "mass":  # the one-hot codes of C classes sum to 1
            raise ValueError(
                f"{type(expert).__name__} is an expert for regression with one output; classes"
                " need one for classification, or one for several real outputs such as 'linear'."
            )
    elif target.task not in (task, "both"):
        raise ValueError(
            f"{type(expert).__name__} is an expert for {target.task};"
            f" {type(estimator).__name__} does {task}."
        )


def with_random_numbers(solver, rng):
    """Return the solver with ours, where it wants some and has none of its own."""
    if solver.get_params(deep=False).get("random_state", 0) is not None:
        return solver
    return clone(solver).set_params(random_state=rng.randint(np.iinfo(np.int32).max))


# -- the rows ------------------------------------------------------------------------------------


def coding_of(previous):
    """Return the `Coding` of a fit to go on from, None where there is none."""
    return None if previous is None else previous.fitted.schema.coding


def read(estimator, expert, X, y, sample_weight, looking, anywhere=False, previous=None) -> Given:
    """Return the caller's data, validated: all rows, those without weight too.

    `looking` names the parts that look at x; without any, X may have no column, or be None. With
    `anywhere` X may lie on a device; y and the weights come to the host. `previous` is the `Coding`
    of a fit to go on from.
    """
    y = brought(received(y, "y"))
    reader = copy(estimator)  # scikit-learn's validation notes the columns on what it validates for
    if X is None and y is not None:
        X = no_columns(y)
    reader._coding = draft = draft_of(estimator.categorical_features, received(X))
    validate = partial(
        reader._validate, anywhere=anywhere, ensure_min_features=min(len(looking), 1)
    )
    try:
        X, y = estimator._target.read(X, y, validate, expert)
    except ValueError as error:
        if "Found array with 0 feature(s)" not in str(error):
            raise
        raise _no_columns(estimator, error, looking) from None
    weight = weigh(estimator, X, y, sample_weight)
    names, coding = vars(reader).get("feature_names_in_"), None
    if draft is not None:
        coding = draft.settled(draft.totals(X, y, weight), names, previous)
        X, names = coding.recoded(X, draft), coding.names
    return Given(X, y, weight, slice(None), len(weight), names, coding)


def looking_at_x(estimator, expert, gate):
    """Return which of "expert" and "gate" look at any column of x, a list."""
    parts = {
        "expert": (expert, estimator.expert_features),
        "gate": (gate, estimator.gate_features),
    }
    return [
        name
        for name, (part, features) in parts.items()
        if part.inputs.uses_x and not (np.ndim(features) == 1 and len(features) == 0)
    ]


def _no_columns(estimator, error, looking):
    """Return the ValueError for an X of no column, or None, though parts look at it."""
    blind = {"expert": 'expert="gaussian"', "gate": 'gate="constant"'}
    if estimator._target.task == "classification":  # where no expert is a constant
        blind["expert"] = "expert_features=[]"
    advice = " and ".join(blind[name] for name in looking)
    for_any_part = " and ".join(f"{name}_features=[]" for name in looking)
    if advice != for_any_part:
        advice += f" (or, whatever it is, {for_any_part})"
    return ValueError(
        f"{error} There is no x for the {' and the '.join(looking)} to look at: for a model of y"
        f" alone (y ~ 1) set {advice}, or give X a constant column."
    )


def weigh(estimator, X, y, sample_weight):
    """Return the weights of rows, those of their classes multiplied in, maybe normalised, (n,)."""
    if sample_weight is None:  # one number, of which no array is made
        weight = np.broadcast_to(1.0, X.shape[0])
    else:
        sample_weight = brought(received(sample_weight, "sample_weight"))
        rows = no_columns(y) if is_elsewhere(X) else X
        options = dict(dtype=np.float64, ensure_non_negative=True)
        weight = _check_sample_weight(sample_weight, rows, **options)
    if not (weight > 0).any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weight = estimator._target.weigh(y, weight, estimator._class_weight)
    return normalised(weight) if estimator.normalize_weights else weight


def choose_columns(estimator, model, caller_X, given):
    """Return the `Columns` of the caller's X that each part sees, and the internal `Layout`."""
    features = {"gate": estimator.gate_features, "expert": estimator.expert_features}
    parts, n_features = {"gate": model.gate, "expert": model.expert}, given.X.shape[1]
    width, names, coding = n_features, given.names, given.coding
    if coding is not None:
        width, names = coding.n_features, coding.feature_names
    columns = Columns.resolve(features, estimator.offset_feature, parts, caller_X, width, names)
    columns = columns if coding is None else coding.of_columns(columns)
    return columns, Layout.plan(n_features, columns, parts)


def _check_device(estimator, model, solver, groups, X):
    """ValueError or TypeError for what a fit to rows on a device cannot do."""
    check_anywhere(model, X)
    if groups is not None:
        raise ValueError(
            "groups need rows that stand together, which blocks do not promise; pass arrays in"
            " memory."
        )
    if model.objective.blends:
        raise ValueError(
            f"objective={estimator.objective!r} computes on the host; pass"
            f" {copied(X)}, or use objective='likelihood'."
        )
    if solver.draws_rows:
        raise ValueError(
            f"solver={estimator.solver!r} draws rows at random, which blocks do not allow; use"
            " solver='em' or 'lbfgs', or partial_fit block by block."
        )
    start = estimator.init_params
    if estimator._previous() is None and not isinstance(start, (str, dict)):
        given = "a callable" if callable(start) else "an array"
        raise ValueError(
            f"init_params as {given} needs all rows at once; give a fitted estimator, a dict or"
            " 'quantile'."
        )


def _check_room(model, columns, X):
    """ValueError if a part that learns from all rows at once would need too much of a sparse X."""
    for part, own in ((model.gate, columns.gate), (model.expert, columns.expert)):
        if not part.learning.sums:
            check_room(X, f"{black_box.shown(part)} needs", None if own is None else len(own))


def _choose_rows(estimator, model, given, groups, expert_labels):
    """Return the rows that count, and what is known of them: `Given` and a dict of (n,)."""
    expert_labels = brought(received(expert_labels, "expert_labels"))
    facts = row_facts.facts(groups, expert_labels, given.n_rows, estimator._n_experts)
    if facts and not model.objective.likelihood:
        raise ValueError(
            f"objective={estimator.objective!r} takes no groups and no expert_labels: these belong"
            " to the likelihood; leave them out."
        )
    if facts or not (given.weight > 0).all():
        rows = row_facts.arrange(facts, np.flatnonzero(given.weight > 0))
        given, facts = given.take(rows), {name: fact[rows] for name, fact in facts.items()}
    if given.X.shape[0] < estimator._n_experts:
        raise ValueError(
            f"{estimator._given_size} needs at least {estimator._n_experts} rows with positive"
            f" weight, got n_samples={given.X.shape[0]}."
        )
    return given, facts


def _batches(estimator, model, schema, X, y, weight, n_threads, facts):
    """Return the rows in internal units, with what is known of them."""
    batches = array_batches(schema, X, y, weight, n_threads, **facts)
    for block in batches.blocks():
        model.gate.check_input(model.gate_input(block.X))
    if model.objective.blends and model.expert.learning.fixed:  # means that are computed once
        options = estimator._n_experts, schema.target.labels
        means = [model.fixed_mean(block.X, block.y, *options) for block in batches.blocks()]
        batches = batches.with_facts(means=np.concatenate(means))
    return batches


def array_batches(schema, X, y, weight, n_threads=1, **facts):
    """Return rows of the caller's X, dense or sparse, with y and the weights inside, as batches."""
    if is_elsewhere(X):
        return DeviceBatches(X, y, weight, schema.x.apply, n_threads, **facts)
    keep = None if schema.x.rotation is None else ROTATED_KEPT
    keep = SPARSE_KEPT if keep is None and issparse(X) else keep
    options = dict(scaling=schema.x, keep_bytes=keep)
    return ArrayBatches(X, y, weight, n_threads, **options, **facts)


# -- the units -----------------------------------------------------------------------------------


def weight_unit_of(weight, facts):
    """Return a power of two that is taken out of the weights, where they are extreme; else 1."""
    mean = weight.mean()
    ordinary = 1e-3 <= mean <= 1e6 or "groups" in facts
    return 1.0 if ordinary else 2.0 ** np.round(np.log2(mean))


def scaling_of_x(estimator, model, X, weight, layout, streams, n_threads):
    """Return the scaling of X, onto the space of the rows where there are many more columns."""
    whole = layout.source is layout.gate is layout.expert is None and not model.models_x
    turns = whole and not streams and X.shape[1] > max(weight.sum(), WIDE)
    if turns:
        check_room(X, "A fit to more columns than rows needs")
    scaling = Scaling.fit_layout(X, weight, estimator.standardize, layout, n_threads)
    check_raw(estimator, scaling, layout)
    return scaling.to_row_space(X, weight) if turns else scaling


def check_raw(estimator, scaling, layout):
    """ValueError for an X that is not to be standardised whose powers would be no numbers."""
    if not estimator.standardize and (scaling.exponent > LARGEST_RAW).any():
        j = int(scaling.exponent.argmax())
        size = 2.0 ** (int(scaling.exponent[j]) - 1)
        column = j if layout.source is None else int(layout.source[j])
        raise ValueError(
            f"standardize=False: column {column} of X holds values of about {size:.0e}, whose"
            " powers are no numbers; use a larger unit, or standardize=True."
        )


def fit_y(y, weight, n_threads):
    """Return the scaling of y (n, q) by its mean and standard deviation."""
    return Scaling.fit(y, weight, constant_factor=1 / CONSTANT_TARGET, n_threads=n_threads)


def units_of_y(model, target, fitted):
    """Return the scaling of y, and the objective, its errors in units of y's spread.

    `fitted()` is the scaling by mean and standard deviation, made only where it is needed.
    """
    wants = model.expert.target
    if target.task == "classification":
        q = len(target.classes) if target.one_hot else 1
        return Scaling.identity(q), model.objective
    if wants.standardise:
        return fitted(), model.objective
    plain = Scaling.identity(target.n_columns)
    if model.objective.blends and not (wants.trials or wants.given_unit):
        # what y cannot be, its error is: measured in units of its standard deviations
        return plain, model.objective.in_units(fitted().unit)
    return plain, model.objective


def reported_units(model, schema, batches, groups=None) -> ReportedUnits:
    """Return the units in which sums over these rows, of `groups` (n,) or single, are reported."""
    total = batches.total_weight
    heads = total if groups is None else len(np.unique(groups))  # rows of the gate
    return ReportedUnits(
        schema.weight_unit,
        total,
        # The blended error is no density, and stays in units of standardised y.
        y_volume=0.0 if model.objective.blends else total * schema.y.log_volume(),
        x_volume=heads * model.units("gate", *schema.scalings).x.log_volume() * model.models_x,
    )
