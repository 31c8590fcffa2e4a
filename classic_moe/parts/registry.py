"""What may stand for an expert, a gate or a solver: aliases, estimators and lists.

Each room registers what it offers when it is imported; `coerce` is the only code that knows what a
constructor parameter may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sklearn.base import clone


class Kind(NamedTuple):
    """What there is of one kind of part.

    Attributes
    ----------
    base : class of all objects of the kind
    aliases : mapping of str to class or function without arguments
    classification : mapping of str to function without arguments
        What an alias stands for in an estimator for classes, where that differs.
    wrap : callable
        From an estimator of scikit-learn, or a list, to the object it stands for; None for others.
    """

    base: type
    aliases: Mapping[str, Callable]
    classification: Mapping[str, Callable] = {}
    wrap: Callable = lambda value: None


KINDS: dict[str, Kind] = {}
"""By "expert", "gate" or "solver"."""


def register(name, kind):
    """Make a kind of part known under a name; called once, by the room it lives in."""
    KINDS[name] = kind


def is_estimator(value):
    """Return whether a value is an estimator of scikit-learn, an object and not a class."""
    return not isinstance(value, type) and hasattr(value, "fit") and hasattr(value, "get_params")


def find(name, value, task=None):
    """Return the object that a value stands for, as it is; None if it stands for none."""
    kind = KINDS[name]
    if isinstance(value, str):
        special = kind.classification if task == "classification" else {}
        make = special.get(value, kind.aliases.get(value))
        return None if make is None else make()
    return value if isinstance(value, kind.base) else kind.wrap(value)


def matches(name, alias, value):
    """Return whether a value is what an alias names: the alias itself or an object of its class."""
    named = value == alias if isinstance(value, str) else False
    return named or isinstance(value, KINDS[name].aliases[alias])


def coerce(name, value, task=None, owner=""):
    """Return the object that a value stands for, checked; an object given is cloned.

    Parameters
    ----------
    name : {"expert", "gate", "solver"}
    value : str, object, estimator or list
    task : {"regression", "classification"}, default=None
        Of the estimator: an alias of an expert may mean another one for classes.
    owner : str, default=""
        Whose parameter it is, in messages, such as " of TreeGate".

    Raises
    ------
    ValueError
        For what is no part of the kind, naming what could be.
    """
    found = find(name, value, task)
    if found is None:
        raise ValueError(refusal(name, value, owner))
    found = found if isinstance(value, str) else clone(found)  # of an alias it is a new one
    found.check_parameters()
    return found


def refusal(name, value, owner=""):
    """Return what to say of a value that is no part of the kind, naming what could be."""
    kind = KINDS[name]
    known = ", ".join(map(repr, kind.aliases))
    if isinstance(value, str):
        return (
            f"{name}={value!r}{owner} is not known in this version; use one of {known}, or an"
            " object."
        )
    article = "an" if name == "expert" else "a"
    advice = f"use one of {known}, or an object of a class derived from {kind.base.__name__}"
    if isinstance(value, type):
        advice = f"pass an object, {value.__name__}(), in place of the class"
    return f"{name}={value!r}{owner} is not {article} {name} of this version; {advice}."
