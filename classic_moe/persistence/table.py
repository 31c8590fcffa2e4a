"""Which classes a file may name, and what of their objects it keeps: one table.

Nothing else is ever made from a file but numbers, texts, lists, dicts and arrays. A record is kept
by its fields and a part by its parameters, so a new field or parameter is kept without a word here;
a new class has to be entered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from inspect import isabstract
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from .. import experts, gates, routing, solvers
from ..data.categories import Category, Coding
from ..data.columns import Columns, Layout
from ..data.units import Scaling
from ..estimators._blending import Blended
from ..estimators._deep import DeepFitted
from ..estimators._deep_model import DeepModel
from ..estimators._fitted import Fitted
from ..estimators._prepare import Schema
from ..estimators._targets import ClassTarget, RealTarget
from ..estimators.adaptive import AdaptiveLocalExpertsClassifier, AdaptiveLocalExpertsRegressor
from ..estimators.classification import MixtureOfExpertsClassifier
from ..estimators.deep import DeepMixtureOfExpertsClassifier, DeepMixtureOfExpertsRegressor
from ..estimators.hierarchical import (
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
)
from ..estimators.meta_pi import MetaPiClassifier, MetaPiRegressor
from ..estimators.regression import MixtureOfExpertsRegressor
from ..estimators.softmaxes import MixtureOfSoftmaxesClassifier
from ..estimators.sparse import SparseMixtureOfExpertsClassifier, SparseMixtureOfExpertsRegressor
from ..exceptions import ExpertCollapseWarning, SeparationWarning
from ..gates._per_output import PerOutputGate
from ..model.mixture import MixtureModel
from ..model.objectives import (
    BlendedError,
    ExpectedError,
    MixtureLikelihood,
)
from ..model.posterior import Posterior
from ..parts.black_box import HEARD
from ..parts.findings import Finding
from ..parts.packing import Factor
from ..parts.penalties import PseudoRows
from ..routing._blend import Blend
from ..routing._gate import RoutedGate
from ..routing._training import Trained
from ..solvers.online import Memory
from . import soundness

ESTIMATORS = (
    *(AdaptiveLocalExpertsClassifier, AdaptiveLocalExpertsRegressor),
    *(DeepMixtureOfExpertsClassifier, DeepMixtureOfExpertsRegressor),
    *(HierarchicalMixtureOfExpertsClassifier, HierarchicalMixtureOfExpertsRegressor),
    *(MetaPiClassifier, MetaPiRegressor),
    *(MixtureOfExpertsClassifier, MixtureOfExpertsRegressor),
    *(SparseMixtureOfExpertsClassifier, SparseMixtureOfExpertsRegressor),
    MixtureOfSoftmaxesClassifier,
)
"""What `save` takes."""
BASES = (experts.GeneralizedLinearExpert, experts.RowwiseExpert, experts.BaseExpert)
BASES += (gates.BaseGate, solvers.BaseSolver, solvers.Result)
"""Public names without objects that an estimator holds."""
PARTS = tuple(
    vars(room)[name]
    for room in (experts, gates, solvers)
    for name in room.__all__
    if vars(room)[name] not in BASES
)
ROUTING = tuple(
    kind
    for kind in map(vars(routing).get, routing.__all__)
    if isinstance(kind, type) and issubclass(kind, BaseEstimator) and not isabstract(kind)
)
"""Routers and balance terms."""
RECORDS = (Columns, Factor, Finding, Fitted, Memory, MixtureModel, RealTarget, ClassTarget)
RECORDS += (Blend, Blended, Category, Coding, Layout, Trained)
RECORDS += (DeepFitted, DeepModel, Posterior, PseudoRows, Scaling, Schema)
OBJECTIVES = (BlendedError, ExpectedError, MixtureLikelihood)
WARNINGS = {w.__name__: w for w in (ConvergenceWarning, ExpertCollapseWarning, SeparationWarning)}
"""Classes that a value may be itself, by name."""


class CannotKeep(Exception):
    """Something that a file does not keep: the sentence says what, and what to do instead."""


class Entry(NamedTuple):
    """How objects of a class are kept.

    Attributes
    ----------
    kind : class
    contents : callable
        ``contents(thing)`` returns what is kept of it, a dict by name.
    make : callable
        ``make(**contents)`` returns the object.
    """

    kind: type
    contents: Callable
    make: Callable


def names_of(kind):
    """Return the names of the fields of a record's class, a list of str."""
    return [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)


def _record(kind):
    names = names_of(kind)

    def contents(thing):
        values = vars(thing) if is_dataclass(kind) else thing._asdict()
        return {name: values[name] for name in names}

    def make(**values):
        thing = kind(**values)
        soundness.check_fields(thing, names)
        return thing

    return Entry(kind, contents, make)


def _part(kind):
    def contents(thing):
        return _parameters(thing, vars(thing))

    return Entry(kind, contents, kind)


def _parameters(thing, attributes):
    """Return the parameters of an estimator or part that has no `attributes` but these, a dict."""
    parameters = thing.get_params(deep=False)
    others = sorted(set(attributes) - set(parameters))
    if others:
        raise CannotKeep(
            f"has the attribute {others[0]!r}, which is neither a parameter nor from a fit; delete"
            " it, or use joblib.dump for readers who trust you"
        )
    return parameters


def _estimator(kind):
    def contents(model):
        attributes, fitted = dict(vars(model)), model._fitted
        heard, params = attributes.pop(HEARD, None), None
        if fitted is not None:
            for name in fitted.attributes():
                attributes.pop(name, None)
            params = None if model.params_ is fitted.params else model.params_
            _check_sound(model, fitted, params)
        parameters = _parameters(model, attributes)
        return dict(parameters=parameters, fitted=fitted, params=params, heard=heard)

    def make(parameters, fitted, params=None, heard=None):
        model = kind(**parameters)
        if fitted is not None:
            soundness.check_fit(model, fitted, params)
            model._adopt(fitted)
        if params is not None:
            model.params_ = params
        if heard is not None:
            vars(model)[HEARD] = heard
        return model

    return Entry(kind, contents, make)


def _check_sound(model, fitted, params):
    """`CannotKeep` for a fit that `load` would refuse: somebody has changed it."""
    try:
        soundness.check_fit(model, fitted, params)
    except Exception as error:
        name = type(error).__name__
        raise CannotKeep(
            f"has attributes that are not of its fit ({name}: {error}); fit it again"
        ) from error


def _bare(kind):
    return Entry(kind, lambda thing: dict(vars(thing)), kind)


# -- random numbers --------------------------------------------------------------------------------


def _state(rng):
    state = rng.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise CannotKeep(
            f"draws from {state['bit_generator']}, and a file keeps MT19937 alone; use an integer"
        )
    return dict(**state["state"], has_gauss=state["has_gauss"], gauss=state["gauss"])


def _random(key, pos, has_gauss, gauss):
    # numpy does not look whether the position lies within the state
    sound = type(key) is np.ndarray and key.shape == (624,) and key.dtype == np.uint32
    if not (sound and type(pos) is int and 0 <= pos <= 624 and has_gauss in (0, 1)):
        raise ValueError("no state of random numbers")
    state = {"key": key, "pos": pos}
    rng = np.random.RandomState()
    rng.set_state(
        dict(bit_generator="MT19937", state=state, has_gauss=has_gauss, gauss=float(gauss))
    )
    return rng


ENTRIES = {
    entry.kind: entry
    for entry in (
        *map(_estimator, ESTIMATORS),
        *map(_part, (*PARTS, *ROUTING, PerOutputGate, RoutedGate, FrozenEstimator)),
        *map(_record, RECORDS),
        *map(_bare, OBJECTIVES),
        Entry(np.random.RandomState, _state, _random),
    )
}
"""By class."""
NAMED = {kind.__name__: entry for kind, entry in ENTRIES.items()}
"""By the name of the class, as a file has it."""
