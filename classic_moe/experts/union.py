"""Different families side by side in one mixture."""

from __future__ import annotations

import itertools
import re

import numpy as np
from sklearn.utils.metaestimators import _BaseComposition, available_if

from ..data.units import Scaling, Units
from ..distribution.univariate import side_by_side
from ..parts.records import Inputs, Learning, Target
from ..parts.registry import KINDS, find
from ..parts.statistics import Statistics
from ..parts.views import shaped, take
from .base import BaseExpert

UNITS = "units"
"""Name in the params of the standardisation that the union does itself."""
FLAT = 1e-8
"""Stands in for the spread of a y without any, relative to its size."""


def _of_members(name, combine):
    return property(lambda self: combine(getattr(member, name) for member in self._members))


def _if_all_have(method):
    """Condition under which the union has an optional method: that every member has it."""
    return available_if(lambda self: all(hasattr(member, method) for member in self._members))


class ExpertUnion(BaseExpert, _BaseComposition):
    r"""Experts of different families side by side, such as a line beside a tree.

    .. math:: p(y \mid x) = \sum_k g_k(x)\, p_k(y \mid x), \qquad p_k \text{ of family } k

    Every member is one expert, fitted by its own M-step with its own responsibilities; the fit is
    that of a mixture of one family in all other respects. The experts keep the order of the list.

    Members that want y or a column of X standardised, beside others that want it as it is (linear
    beside gamma experts), get it standardised by the union: by mean and standard deviation, even
    with ``standardize=False``.

    Parameters
    ----------
    experts : list
        Experts, aliases such as ``"linear"`` or scikit-learn estimators (`EstimatorExpert`), plain
        or in (name, expert) pairs. The parameters of pairs can be set and searched, as
        ``expert__name__alpha``; those of a plain list cannot.

    Raises
    ------
    ValueError
        In `fit`, for an empty list, names that clash, and members that do not go together:
        regression and classification, densities and masses (which have no common measure).
    TypeError
        In `fit`, for an item that is no expert.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.experts import ExpertUnion
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> union = ExpertUnion([("flat", "gaussian"), ("line", "linear")])
    >>> model = MixtureOfExpertsRegressor(2, expert=union, random_state=0).fit(X, y)
    >>> [view.coef_.shape for view in model.experts_]
    [(0,), (1,)]
    """

    exchangeable = False
    _classes = None

    def __init__(self, experts):
        self.experts = experts

    # -- the list --------------------------------------------------------------------------

    @property
    def _paired(self):
        """Whether the items are (name, expert) pairs."""
        return all(isinstance(item, tuple) and len(item) == 2 for item in self.experts)

    @property
    def _names(self):
        """Names of the members; those of a plain list are their positions."""
        if self._paired:
            return [name for name, _ in self.experts]
        return [str(i) for i in range(len(self.experts))]

    @property
    def _members(self):
        members = [_as_expert(item[1] if self._paired else item) for item in self.experts]
        for member in members:
            if self._classes is not None and hasattr(member, "set_classes"):
                member.set_classes(self._classes)
        return members

    def _named(self):
        return zip(self._names, self._members, strict=True)

    def set_classes(self, classes):
        """Tell the members the caller's labels."""
        self._classes = classes

    def get_params(self, deep=True):
        """Parameters; of (name, expert) pairs also ``name`` and ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        return self._get_params("experts", deep=deep and self._paired)

    def set_params(self, **params):
        """Set parameters; ``name=expert`` replaces the expert of a pair.

        Parameters
        ----------
        **params : dict
            ``name__parameter`` of an alias first replaces it by its object.

        Returns
        -------
        self
        """
        self.experts = params.pop("experts", self.experts)
        if not self._paired:
            return super().set_params(**params)
        for name, item in self.experts:
            if isinstance(item, str) and any(key.startswith(f"{name}__") for key in params):
                params.setdefault(name, _as_expert(item))
        return self._set_params("experts", **params)

    def _check_names(self):
        if not (isinstance(self.experts, (list, tuple)) and len(self.experts)):
            raise ValueError(f"experts={self.experts!r} of ExpertUnion: needs a list of experts.")
        if not all(isinstance(name, str) and name != UNITS for name in self._names):
            raise ValueError(
                f"names of an ExpertUnion are strings other than {UNITS!r}, got {self._names}."
            )
        self._validate_names(self._names)

    def check_list(self):
        """ValueError or TypeError for names and members that do not make one list."""
        self._check_names()
        self._need_one("task", "regression and classification", neutral="both")

    def check_parameters(self):
        super().check_parameters()
        self.check_list()
        for name, member in self._named():
            if member.n_experts is not None:
                raise ValueError(f"expert {name!r} of ExpertUnion holds several; list them singly.")
            member.check_parameters()
        self._need_one("trials", "targets of one column and of several")
        if self.target.task != "classification":
            self._need_one("kind", "densities and masses, which have no common measure")

    def title(self, n_experts):
        """What the members are, those of one kind that stand together counted."""
        alike = itertools.groupby(self._members, key=lambda member: member.title(1))
        return " + ".join(next(run).title(1 + sum(1 for _ in run)) for _, run in alike)

    def names(self, n_experts):
        """The names of (name, expert) pairs; members of a plain list have numbers."""
        return list(self._names) if self._paired else super().names(n_experts)

    def check_one_hot(self):
        for member in self._members:
            member.check_one_hot()

    def fit_alone(self, X, y, weight, random_state):
        """A union of the members after a fit of their own, each to its column of the weights."""
        found = [
            (name, member.fit_alone(X, y, weight[:, k : k + 1], random_state))
            for k, (name, member) in enumerate(self._named())
        ]
        return ExpertUnion(found if self._paired else [member for _, member in found])

    def _need_one(self, fact, kinds, neutral=None):
        """ValueError if a fact differs between the members."""
        found = {getattr(m.target, fact): type(m).__name__ for m in self._members}
        found.pop(neutral, None)
        if len(found) > 1:
            raise ValueError(
                f"ExpertUnion cannot mix {kinds}: {' beside '.join(found.values())}; leave one out."
            )

    # -- what the members have in common -----------------------------------------------------

    @property
    def target(self):
        """What y is to all members together."""
        each = [member.target for member in self._members]
        tasks, outputs = zip(*((own.task, own.outputs) for own in each), strict=True)
        return Target(
            task=next((task for task in tasks if task != "both"), "both"),
            outputs=min((most for most in outputs if most is not None), default=None),
            kind="mass" if all(own.kind == "mass" for own in each) else "density",
            positive=any(own.positive for own in each),
            standardise=all(own.standardise for own in each),
            given_unit=any(own.given_unit for own in each),
            offset=any(own.offset for own in each),
            trials=all(own.trials for own in each),
        )

    @property
    def learning(self):
        """How the members learn together."""
        each = [member.learning for member in self._members]
        return Learning(
            sums=all(own.sums for own in each),
            extrapolates=all(own.extrapolates for own in each),
            ascends=all(own.ascends for own in each),
            fixed=all(own.fixed for own in each),
            fits_alone=any(own.fits_alone for own in each),
            short_run=min(own.short_run for own in each),
        )

    @property
    def inputs(self):
        """A column that any member wants raw is handed over raw."""
        seeing = [member.inputs for member in self._members if member.inputs.uses_x]
        return Inputs(uses_x=bool(seeing), raw=any(own.raw for own in seeing))

    takes_where = _of_members("takes_where", any)

    @property
    def n_experts(self):
        """The length of the list."""
        return len(self.experts)

    def check_target(self, y):
        for member in self._members:
            member.check_target(y)

    def encode_target(self, y):
        return self._members[0].encode_target(y)

    def response(self, y):
        return self._members[0].response(y)

    # -- what each member sees -----------------------------------------------------------------

    def _wishes(self, n_columns, classes):
        """Which members want which columns of X, and y, standardised beside others that do not.

        (K, n_columns) and (K, 1), by "x" and "y"; left out where all agree.
        """
        members = self._members
        raw = self.inputs.raw_columns(n_columns)
        x = np.array([m.inputs.uses_x & raw & ~m.inputs.raw_columns(n_columns) for m in members])
        scales = self.target.standardise
        y = np.array([[m.target.standardise and not scales] for m in members])
        wishes = {"x": x, "y": y & (classes is None)}
        return {variable: wish for variable, wish in wishes.items() if wish.any()}

    def _standardisation(self, X, y, weight, classes):
        """Centres and factors by which the members get X and y, (K, p) and (K, q) each."""
        units = {}
        for variable, wish in self._wishes(X.shape[1], classes).items():
            if variable == "x":
                scaling = Scaling.fit(X, weight)
            else:
                scaling = Scaling.fit(y, weight, constant_factor=1 / FLAT)
            units[f"{variable}_center"] = np.where(wish, scaling.origin, 0.0)
            units[f"{variable}_factor"] = np.where(wish, scaling.slope, 1.0)
        return {UNITS: units} if units else {}

    def _each(self, params, X, y=None, offset=None, where=None):
        """Every member with its params, its X (and y) in a list, and its keywords."""
        for k, (name, member) in enumerate(self._named()):
            scaling_x, scaling_y = _own(params, "x", k), _own(params, "y", k)
            seen = [(scaling_x.apply(X) if scaling_x else X) if member.inputs.uses_x else X[:, :0]]
            if y is not None:
                seen.append(scaling_y.apply(y) if scaling_y else y)
            keywords = {}
            if offset is not None and member.target.offset:
                keywords["offset"] = offset
            if where is not None and member.takes_where:
                keywords["where"] = where[:, k : k + 1]
            yield member, params.get(name), seen, keywords

    def _units(self, params, units):
        """The units of every member, a list."""
        found = []
        for k, member in enumerate(self._members):
            x, y = _own(params, "x", k), _own(params, "y", k)
            x = units.x if x is None else _compose(units.x, x)
            x = x if member.inputs.uses_x else x.select(np.empty(0, dtype=int))
            found.append(Units(x, y or units.y))
        return found

    def _gather(self, params, found):
        """New params of the members in one dict, named and in the order of the old."""
        kept = {UNITS: params[UNITS]} if UNITS in params else {}
        return kept | dict(zip(self._names, found, strict=True))

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y, offset=None, where=None):
        columns = []
        for k, (member, own, seen, keywords) in enumerate(self._each(params, X, y, offset, where)):
            scaling = _own(params, "y", k)
            shift = scaling.log_volume() if scaling else 0.0
            columns.append(member.log_prob(own, *seen, **keywords) + shift)
        return np.concatenate(columns, axis=1)

    def mean(self, params, X, offset=None, where=None):
        columns, each = [], self._each(params, X, None, offset, where)
        for k, (member, own, seen, keywords) in enumerate(each):
            mean, scaling = member.mean(own, *seen, **keywords), _own(params, "y", k)
            columns.append(mean * scaling.unit + scaling.origin if scaling else mean)
        return np.concatenate(columns, axis=1)

    @_if_all_have("mean_gradient")
    def mean_gradient(self, params, X, slope, offset=None):
        """The derivatives of Σ slope·mean in the params of every member."""
        found = {}
        for k, (member, own, seen, keywords) in enumerate(self._each(params, X, None, offset)):
            scaling, its = _own(params, "y", k), slope[:, k : k + 1]
            its = its * scaling.unit if scaling else its
            found[self._names[k]] = member.mean_gradient(own, *seen, its, **keywords)
        return Statistics(found)

    @_if_all_have("conditional_variance")
    def conditional_variance(self, params, X, offset=None):
        """Var_k[y|x], (n, K, q)."""
        columns = []
        for k, (member, own, seen, keywords) in enumerate(self._each(params, X, None, offset)):
            variance = member.conditional_variance(own, *seen, **keywords)
            scaling = _own(params, "y", k)
            columns.append(variance * scaling.unit**2 if scaling else variance)
        return np.concatenate(columns, axis=1)

    @_if_all_have("components")
    def components(self, params, X, units, single_output=True, offset=None):
        """The members' predictive distributions side by side, for `MixtureDistribution`."""
        each = zip(self._each(params, X, None, offset), self._units(params, units), strict=True)
        return side_by_side(
            [
                member.components(own, *seen, its_units, single_output=single_output, **keywords)
                for (member, own, seen, keywords), its_units in each
            ]
        )

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None, offset=None):
        params = self._standardisation(X, y, resp.sum(axis=1), classes)
        each = self._each(params, X, y, offset)
        return self._gather(
            params,
            [
                member.init(*seen, resp[:, k : k + 1], random_state, classes, **keywords)
                for k, (member, _, seen, keywords) in enumerate(each)
            ],
        )

    def statistics(self, params, X, y, resp, order=2, offset=None):
        each = enumerate(self._each(params, X, y, offset))
        found = [
            member.statistics(own, *seen, resp[:, k : k + 1], order, **keywords)
            for k, (member, own, seen, keywords) in each
        ]
        return Statistics(zip(self._names, found, strict=True))

    def maximize(self, params, stats, cautious=False):
        """The M-step of every member."""
        found = [m.maximize(params[name], stats[name], cautious) for name, m in self._named()]
        return self._gather(params, found)

    def carry(self, params, stats, factor):
        found = [m.carry(params[name], stats[name], factor) for name, m in self._named()]
        return Statistics(zip(self._names, found, strict=True))

    @_if_all_have("gradient")
    def gradient(self, params, stats):
        """∂Q/∂params of every member; the standardisation is fixed."""
        found = [m.gradient(params[name], stats[name]) for name, m in self._named()]
        return self._fixed(self._gather(params, found))

    def tangent(self, direction):
        """A direction of params without what the members rule out, and the standardisation."""
        found = [
            member.tangent(direction[name]) if hasattr(member, "tangent") else direction[name]
            for name, member in self._named()
        ]
        return self._fixed(self._gather(direction, found))

    def _fixed(self, direction):
        still = {name: np.zeros_like(leaf) for name, leaf in direction.get(UNITS, {}).items()}
        return direction | {UNITS: still} if still else direction

    def coordinates(self, params):
        found = {name: member.coordinates(params[name]) for name, member in self._named()}
        return found | ({UNITS: "fixed"} if UNITS in params else {})

    def log_prior(self, params):
        return sum(member.log_prior(params[name]) for name, member in self._named())

    def n_parameters(self, params):
        return sum(member.n_parameters(params[name]) for name, member in self._named())

    def diagnose(self, params, stats):
        findings = []
        for k, (name, member) in enumerate(self._named()):
            for finding in member.diagnose(params[name], stats[name]):
                # A member knows itself as the only expert of a bank.
                message = re.sub(r"\bexpert 0\b", f"expert {k}", finding.message)
                findings.append(finding._replace(message=message))
        return findings

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        """The members' values by name; the standardisation that the union does as ``units``."""
        each = zip(self._named(), self._units(params, units), strict=True)
        found = [member.to_caller(params[name], own) for (name, member), own in each]
        values = dict(zip(self._names, found, strict=True))
        own = params.get(UNITS, {})
        scales = {
            name.replace("factor", "scale"): _inverse(leaf) if "factor" in name else leaf
            for name, leaf in own.items()
        }
        return values | ({UNITS: scales} if scales else {})

    def from_caller(self, values, units, n_experts, classes=None):
        p = len(units.x.center) if units.x.rotation is None else units.x.rotation.shape[1]
        wishes = self._wishes(p, classes)
        values = take(values, (*self._names, *([UNITS] if wishes else [])), "expert")
        own = {}
        if wishes:
            wanted = [f"{variable}_{what}" for variable in wishes for what in ("center", "scale")]
            for name, value in take(values[UNITS], wanted, f"expert's {UNITS}").items():
                leaf = shaped(value, (n_experts, np.size(value) // n_experts), name, "expert")
                if "scale" in name:
                    name, leaf = name.replace("scale", "factor"), _inverse(leaf)
                own[name] = leaf
        params = {UNITS: own} if own else {}
        each = zip(self._named(), self._units(params, units), strict=True)
        found = [m.from_caller(values[name], its, 1, classes) for (name, m), its in each]
        return self._gather(params, found)

    def view(self, params, k, units, **shell):
        name, member = self._names[k], self._members[k]
        if not member.target.offset:
            shell.pop("offset_column", None)
        if not member.inputs.uses_x:
            names = shell.get("feature_names_in")
            none = {"columns": np.empty(0, dtype=int)}
            shell |= none | ({} if names is None else {"feature_names_in": names[:0]})
        return member.view(params[name], 0, self._units(params, units)[k], **shell)


def _as_expert(item):
    """An item of the list as an expert: aliases by name, estimators wrapped."""
    if isinstance(item, str) and item not in KINDS["expert"].aliases:
        known = ", ".join(map(repr, KINDS["expert"].aliases))
        raise ValueError(f"expert {item!r} is not known; use one of {known}, or an object.")
    found = None if isinstance(item, (list, tuple)) else find("expert", item)
    if found is None:
        raise TypeError(
            f"{item!r} in an ExpertUnion is no expert; use an alias, an object of a class derived"
            " from BaseExpert, or a scikit-learn estimator, all in (name, expert) pairs or none."
        )
    return found


def _own(params, variable, k):
    """The standardisation of "x" or "y" that the union does for member k, or None."""
    units = params.get(UNITS, {})
    if f"{variable}_center" not in units:
        return None
    center, factor = units[f"{variable}_center"][k], units[f"{variable}_factor"][k]
    return Scaling(np.zeros(len(center), dtype=int), center, factor)


def _compose(first, second):
    """One scaling after another, the second without an exponent."""
    center = first.center + second.center * first.width
    return Scaling(first.exponent, center, first.factor * second.factor)


def _inverse(scale):
    """1/scale, and 0 for 0."""
    return np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0)
