"""`NamedParameters`: the parameters of a fit as a vector in the caller's units, with names."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..parts.params import map_leaves, ravel, unravel

SPREADS = ("scale", "shape", "dispersion", "df")
"""Numbers of an expert besides its coefficients, in their order."""
MATRICES = ("scale_matrix", "covariance")
"""Where the covariances of several outputs are; of a t distribution the second follows from the
first."""
NUDGE = 1e-3
"""By how much free coordinates are moved to see which numbers of the caller's move with them."""


class NamedParameters:
    """Which numbers of a fit are its parameters, what they are called, and their values.

    Numbers that are the same for all values of the free coordinates are none: the row of the last
    expert of a gate, a given variance, slopes of a constant column, what is frozen.

    Parameters
    ----------
    fitted : Fitted

    Attributes
    ----------
    names : list of str
        "expert 0: intercept", "expert 0: age", "expert 0: scale", of several outputs
        "expert 0: age -> wage", "gate 0: age", of a tree "node root, child 0: age"; experts first.
    coordinates : Coordinates
        The free coordinates of the params.
    """

    def __init__(self, fitted):
        self._model = fitted.model
        self._units = {part: fitted.units(part) for part in ("expert", "gate")}
        self.coordinates = fitted.model.coordinates(fitted.params)
        self._like = values = self._all(fitted.params)
        places = unravel(np.arange(ravel(values).size), values)
        attributes = fitted.attributes()
        labels = _expert_labels(places["expert"], attributes["experts_"], fitted.schema.target)
        labels += _gate_labels(places["gate"], attributes["gate_"])
        moves = self._moving(fitted.params)
        kept = [(name, place) for name, place in labels if moves[place]]
        self.names = [name for name, _ in kept]
        self._places = np.array([place for _, place in kept], dtype=int)

    def values(self, params):
        """Return the parameters in the caller's units, (P,)."""
        return ravel(self._all(params))[self._places]

    def values_of(self, fitted):
        """Return the same parameters of another fit of the same parts, (P,)."""
        units = {part: fitted.units(part) for part in ("expert", "gate")}
        theirs = self._all(fitted.params, units)  # its leaves may stand in another order
        return ravel(map_leaves(lambda _, own: own, self._like, theirs))[self._places]

    def _all(self, params, units=None):
        """Return all numbers that the parts give to the caller, nested dicts of arrays."""
        model, units = self._model, units or self._units
        return {
            "expert": _numbers(model.expert.to_caller(params["expert"], units["expert"])),
            "gate": _numbers(model.gate.to_caller(params["gate"], units["gate"])),
        }

    def _moving(self, params):
        """Return which of all numbers move when the free coordinates do, bool."""
        now, moves = ravel(self._all(params)), False
        vector = self.coordinates.free(params)
        step = NUDGE * (1 + np.random.default_rng(0).random(len(vector)))
        step = np.where(self.coordinates.stay(vector), 0.0, step)
        for sign in (-1, 1):  # at a bound one of them changes nothing
            there = self.coordinates.params(self.coordinates.clip(vector + sign * step))
            moves = moves | (ravel(self._all(there)) != now)
        return moves


def _numbers(values):
    """Return nested values without leaves that are no arrays of numbers."""
    found = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found[name] = _numbers(value)
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
            found[name] = value
    return found


# -- experts -------------------------------------------------------------------------------------


def _expert_labels(places, views, target):
    """Return (name, place) of all numbers of the experts that may be parameters."""
    members = [own for name, own in places.items() if isinstance(own, dict) and name != "units"]
    found = []
    for k, view in enumerate(views):
        own = {name: place[0] for name, place in members[k].items()} if members else None
        own = own or {name: place[k] for name, place in places.items()}
        outputs = _outputs(view, target)
        found += [(f"expert {k}: {label}", at) for label, at in _of_expert(own, view, outputs)]
    return found


def _outputs(view, target):
    """Return what the rows of coefficients of an expert are about; one "" for the only one."""
    if hasattr(view, "classes_"):
        rows = view.log_odds
        return [""] if len(rows) == 1 else [str(label) for label, _ in rows]
    if target.codes is not None:
        return [str(label) for label in target.classes]
    return [""] if target.single_output else target.output_names


def _of_expert(own, view, outputs):
    """Return (label, place) of the numbers of one expert, `own` {leaf: places}."""
    found, seen = [], {*SPREADS, *MATRICES}
    arrows = [output and f" -> {output}" for output in outputs]
    maps = [leaf for leaf in own if _intercept(leaf) in own] if view.kind == "linear" else []
    for leaf in maps:
        seen |= {leaf, _intercept(leaf)}
        of = "" if leaf == "coef" else f"{leaf} "
        intercept = own[_intercept(leaf)].ravel()
        coef = own[leaf].reshape(len(intercept), -1)
        names = _columns(view, coef, SPREADS)
        for arrow, first, slopes in zip(arrows, intercept, coef, strict=False):
            found.append((f"{of}intercept{arrow}", first))
            found += [(of + n + arrow, at) for n, at in zip(names, slopes, strict=True)]
    for name in SPREADS:
        each = own.get(name, np.empty(0, dtype=int)).ravel()
        of = arrows if len(each) > 1 else [""]
        found += [(name + arrow, at) for arrow, at in zip(of, each, strict=False)]
    for matrix in [own[name] for name in MATRICES if name in own][:1]:
        for a, b in combinations(range(len(outputs)), 2):
            found.append((f"covariance {outputs[a]}, {outputs[b]}", matrix[b, a]))
    for leaf, at in own.items():
        if view.kind == "linear" and leaf not in seen:
            found += [(leaf + _index(at, i), at[i]) for i in np.ndindex(at.shape)]
    return found


def _intercept(leaf):
    """Return what the caller calls the intercepts of a leaf of coefficients."""
    return "intercept" if leaf == "coef" else f"{leaf}_intercept"


def _columns(view, coef, others=()):
    """Return the names of slopes: those of their columns, unless other parameters have them."""
    names = view.column_names(coef.shape[1])
    return [f"column {name}" if name in ("intercept", *others) else name for name in names]


def _index(array, index):
    """Return the index of a number in an array of several, as text."""
    return f"[{', '.join(map(str, index))}]" if np.size(array) > 1 else ""


# -- gates ---------------------------------------------------------------------------------------


def _gate_labels(places, view):
    """Return (name, place) of all numbers of the gate that may be parameters."""
    if view.kind == "tree":
        return [
            entry
            for node, own in view.nodes_.items()
            for entry in _of_gate(places[node], own, f"node {node}, child")
        ]
    if view.kind == "per output":
        each = enumerate(zip(places.values(), view.outputs_, strict=True))
        return [e for j, (own, of) in each for e in _of_gate(own, of, f"output {j}, gate")]
    return _of_gate(places, view, "gate")


def _of_gate(own, view, prefix):
    """Return (name, place) of the numbers of a gate, or of one at a node."""
    found = []
    if "coef" in own:
        names = _columns(view, own["coef"])
        for k, (first, slopes) in enumerate(zip(own["intercept"], own["coef"], strict=True)):
            found.append((f"{prefix} {k}: intercept", first))
            each = zip(names, slopes, strict=True)
            found += [(f"{prefix} {k}: {name}", at) for name, at in each]
    elif "weights" in own:  # the last follows from the others
        found += [(f"{prefix} {k}: weight", at) for k, at in enumerate(own["weights"][:-1])]
        for k in range(len(own["weights"])):
            of_density = _of_density({n: v for n, v in own.items() if n != "weights"}, view, k)
            found += [(f"{prefix} {k}: {label}", at) for label, at in of_density]
    return found


def _of_density(own, view, k):
    """Return (label, place) of the numbers of an expert's density of x."""
    levels, found = own.get("probabilities", {}), []
    names = view.column_names(own["means"].shape[1])
    for j, name in enumerate(names):
        if j in levels:  # moments follow from the probabilities, the first from the others
            each = enumerate(levels[j][k])
            found += [(f"probability {name} = {level}", at) for level, at in each if level]
            continue
        found.append((f"mean {name}", own["means"][k, j]))
        variance = own["variances"][k, j] if "variances" in own else own["covariances"][k, j, j]
        found.append((f"variance {name}", variance))
    for a, b in combinations(range(len(names) if "covariances" in own else 0), 2):
        found.append((f"covariance {names[a]}, {names[b]}", own["covariances"][k, b, a]))
    return found
