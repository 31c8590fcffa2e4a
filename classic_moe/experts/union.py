"""Different families side by side in one mixture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import _BaseComposition, available_if

from .._kernels import array
from ..data.units import Scaling, Units
from ..distribution.univariate import side_by_side
from ..parts.black_box import is_frozen
from ..parts.checks import can
from ..parts.kernel import Kernel
from ..parts.params import take as take_leaves
from ..parts.part import offers
from ..parts.penalties import AUTO, WEAK
from ..parts.predictors import Terms
from ..parts.records import Inputs, Learning, Target
from ..parts.registry import KINDS, find
from ..parts.stages import LINEAR, stage_of, sums_of_each
from ..parts.stages import side_by_side as side_by_side_stage
from ..parts.statistics import Statistics
from ..parts.views import shaped, take
from .base import BaseExpert

UNITS = "units"
"""Name in the params of the standardisation that the union does itself."""
FLAT = 1e-8
"""Stands in for the spread of a y without any, relative to its size."""


STAGED = ("staged", LINEAR)
"""The names of kernels that have a stage."""


def _stages(union, params):
    """Return the members, and the `Stage` of each, a bank of one."""
    named = union._named(params)
    return [m for _, m in named], [stage_of(m, params[name]) for name, m in named]


def _stage(union, params):
    """Return the `Stage` of all members."""
    return side_by_side_stage(*_stages(union, params))


def _statistics(union, params, sums):
    """Return the statistics of every member from the sums of all."""
    found = {}
    each = sums_of_each(_stages(union, params)[1], sums)
    for (name, member), own in zip(union._named(params), each, strict=True):
        options = ()
        if member.kernel.name == LINEAR:
            order = 2 if "gram" in own else 1
            own = own["gram"] if order > 1 else np.stack(list(own.values()), axis=1)
            options = (order,)
        found[name] = member.kernel.statistics(member, params[name], own, *options)
    return Statistics(found)


STAGES_SIDE_BY_SIDE = Kernel("staged", _stage, _statistics)


def _if_all_have(verb):
    """Return the condition under which the union has an optional verb: that every member has it."""
    return available_if(lambda self: all(offers(member, verb) for member in self._members))


def _has_rows(union):
    """Return whether all members have `rows`, and see the same x: none has it standardised."""
    seeing = [member.inputs for member in union._members if member.inputs.uses_x]
    return _see_the_same(seeing) and all(offers(member, "rows") for member in union._members)


def _see_the_same(inputs):
    """Return whether all want their columns raw, or none."""
    return all(bool(own.raw) == bool(inputs[0].raw) for own in inputs)


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

    @property
    def kernel(self):
        """The kernel, of members that all have a stage and see the same X and y; or None."""
        members = self._members
        known = all(m.kernel is not None and m.kernel.name in STAGED for m in members)
        return STAGES_SIDE_BY_SIDE if known and self._shares(members) else None

    def __init__(self, experts: Any) -> None:
        self.experts = experts

    # -- the list --------------------------------------------------------------------------

    @property
    def member_names(self):
        """Names of the members given in (name, expert) pairs, a list; None for a plain list."""
        return list(self._names) if self._paired else None

    @property
    def families(self):
        """Numbers (K,), equal for members that are alike: of one class, with equal parameters."""
        members = self._members
        firsts = (next(j for j, m in enumerate(members) if _alike(m, own)) for own in members)
        return np.array(list(firsts))

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
        return [_as_expert(item[1] if self._paired else item) for item in self.experts]

    def _named(self, params=None):
        """Return (name, member) pairs, a list: of all members, or of those that have params."""
        pairs = zip(self._names, self._members, strict=True)
        if params is None:
            return list(pairs)
        members = dict(pairs)
        return [(name, members[name]) for name in params if name != UNITS]

    def get_params(self, deep=True):
        """Return the parameters; of pairs also ``name`` and ``name__parameter``.

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

    def check_parameters(self):
        super().check_parameters()
        self._check_names()
        self._need_one("task", "regression and classification", neutral="both")
        for name, member in self._named():
            if member.n_experts is not None:
                raise ValueError(f"expert {name!r} of ExpertUnion holds several; list them singly.")
            member.check_parameters()
        self._check_words()
        self._need_one("trials", "targets of one column and of several")
        if self.target.task != "classification":
            self._need_one("kind", "densities and masses, which have no common measure")

    def words(self):
        """Return the words of the members; "auto" where one has it.

        One alpha is found for all: beside members with a number "auto" is weak.
        """
        each = [member.words() for member in self._members]
        found = {
            name: max((own[name] for own in each if name in own), key=[WEAK, AUTO].index)
            for name in dict.fromkeys(name for own in each for name in own)
        }
        penalised = [m for m in self._members if "alpha" in m.get_params(deep=False)]
        if any(member.words().get("alpha") != AUTO for member in penalised) and "alpha" in found:
            found["alpha"] = WEAK
        return found

    def with_numbers(self, numbers):
        if not self.words():
            return self
        members = [member.with_numbers(numbers) for member in self._members]
        named = list(zip(self._names, members, strict=True)) if self._paired else members
        return type(self)(named)

    def _check_words(self):
        """Raise a ValueError for a prior of variances that is to be found."""
        if self.words().get("variance_prior") == AUTO:
            raise ValueError(
                "variance_prior='auto' in a list of experts: each has a variance of its own kind;"
                " give numbers, or 'weak'."
            )

    def _need_one(self, fact, kinds, neutral=None):
        """Raise a ValueError if a fact differs between the members."""
        found = {m.target._asdict()[fact]: type(m).__name__ for m in self._members}
        found.pop(neutral, None)
        if len(found) > 1:
            raise ValueError(
                f"ExpertUnion cannot mix {kinds}: {' beside '.join(found.values())}; leave one out."
            )

    # -- what the members have in common -----------------------------------------------------

    @property
    def target(self):
        """What y is to all members together."""
        # What one member cannot do the union cannot: the strictest counts, fact by fact.
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
            bends=all(own.bends for own in each),
        )

    @property
    def inputs(self):
        """A column that any member wants raw is handed over raw.

        Rows may lie anywhere where the members see the same X and y, as the union then standardises
        nothing itself.
        """
        members = self._members
        seeing = [member.inputs for member in members if member.inputs.uses_x]
        anywhere = all(member.inputs.any_array for member in members)
        return Inputs(
            uses_x=bool(seeing),
            raw=any(own.raw for own in seeing),
            any_array=anywhere and self._shares(members),
        )

    def _shares(self, members):
        """Return whether all members see the same X, if any, and the same y."""
        seeing = [member.inputs for member in members if member.inputs.uses_x]
        same_y = len({member.target.standardise for member in members}) == 1
        return same_y and _see_the_same(seeing)

    @property
    def n_experts(self):
        """The length of the list."""
        return len(self.experts)

    def check_target(self, y):
        for member in self._members:
            member.check_target(y)

    # -- what each member sees -----------------------------------------------------------------

    def _wishes(self, n_columns, classes):
        """Return which members want which columns of X, and y, standardised beside others.

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
        """Return centres and factors by which members get X and y, (K, p) and (K, q) each."""
        units = {}
        for variable, wish in self._wishes(X.shape[1], classes).items():
            if variable == "x":
                scaling = Scaling.fit(X, weight)
            else:
                scaling = Scaling.fit(y, weight, constant_factor=1 / FLAT)
            units[f"{variable}_center"] = np.where(wish, scaling.origin, 0.0)
            units[f"{variable}_factor"] = np.where(wish, scaling.slope, 1.0)
        return {UNITS: units} if units else {}

    def _each(self, params, X, y=None, offset=None, pairs=None):
        """Yield every member that has params, with them, its X (and y) in a list, its keywords.

        `pairs`: (name, member), of members that have no params yet.
        """
        for k, (name, member) in enumerate(self._named(params) if pairs is None else pairs):
            scaling_x, scaling_y = _own(params, "x", k), _own(params, "y", k)
            seen = [(scaling_x.apply(X) if scaling_x else X) if member.inputs.uses_x else X[:, :0]]
            if y is not None:
                seen.append(scaling_y.apply(y) if scaling_y else y)
            has_offset = offset is not None and member.target.offset
            yield member, params.get(name), seen, {"offset": offset} if has_offset else {}

    def _units(self, params, units, pairs=None):
        """Return the units of every member that has params, or of `pairs`, a list."""
        found = []
        for k, (_, member) in enumerate(self._named(params) if pairs is None else pairs):
            x, y = _own(params, "x", k), _own(params, "y", k)
            x = units.x if x is None else _compose(units.x, x)
            x = x if member.inputs.uses_x else x.select(np.empty(0, dtype=int))
            found.append(Units(x, y or units.y))
        return found

    def take(self, params, ids):
        """Return the params of some of the members, a dict with fewer names.

        The verbs of the union are those of the members that are named in the params, in their
        order. None can be there twice. Where all of them are taken, and only such change places
        as are alike, the names keep theirs: it is their values that move.
        """
        names = [name for name in params if name != UNITS]
        chosen = [names[i] for i in np.atleast_1d(ids)]
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"ExpertUnion.take: {chosen} names an expert twice; each is one.")
        units = {UNITS: take_leaves(params[UNITS], ids)} if UNITS in params else {}
        family = dict(zip(self._names, self.families, strict=True))
        stay = [family[name] for name in names] == [family[name] for name in chosen]
        places = names if stay else chosen
        return units | {place: params[name] for place, name in zip(places, chosen, strict=True)}

    def _gather(self, params, found):
        """Return new params of the members, named and in the order of the old, nested."""
        kept = {UNITS: params[UNITS]} if UNITS in params else {}
        return kept | {name: own for (name, _), own in zip(self._named(params), found, strict=True)}

    # -- the model -------------------------------------------------------------------------

    def log_prob(self, params, X, y, offset=None):
        columns = []
        for k, (member, own, seen, keywords) in enumerate(self._each(params, X, y, offset)):
            scaling = _own(params, "y", k)
            shift = scaling.log_volume() if scaling else 0.0
            columns.append(member.log_prob(own, *seen, **keywords) + shift)
        return array.namespace(columns[0]).concat(columns, axis=1)

    def mean(self, params, X, offset=None):
        columns = []
        for k, (member, own, seen, keywords) in enumerate(self._each(params, X, None, offset)):
            mean, scaling = member.mean(own, *seen, **keywords), _own(params, "y", k)
            columns.append(mean * scaling.unit + scaling.origin if scaling else mean)
        return array.namespace(columns[0]).concat(columns, axis=1)

    @_if_all_have("mean_gradient")
    def mean_gradient(self, params, X, slope, offset=None):
        """Return the derivatives of Σ slope·mean in the params of every member, `Statistics`."""
        found = []
        for k, (member, own, seen, keywords) in enumerate(self._each(params, X, None, offset)):
            scaling, its = _own(params, "y", k), slope[:, k : k + 1, ...]
            its = its * scaling.unit if scaling else its
            found.append(member.mean_gradient(own, *seen, its, **keywords))
        return Statistics(zip(_member_names(params), found, strict=True))

    @_if_all_have("components")
    def components(self, params, X, units, single_output=True, offset=None):
        """Return the members' predictive distributions side by side, for `MixtureDistribution`."""
        each = zip(self._each(params, X, None, offset), self._units(params, units), strict=True)
        return side_by_side(
            [
                member.components(own, *seen, its_units, single_output=single_output, **keywords)
                for (member, own, seen, keywords), its_units in each
            ]
        )

    @available_if(_has_rows)
    def predictors(self, params):
        """Return the predictors of all members, one after another.

        That of a member is in the leaf "<name>/<leaf>" and shared: there is one in all.
        """
        return [
            _of_member(own, name, member.inputs.uses_x)
            for name, member in self._named(params)
            for own in member.predictors(params[name])
        ]

    @available_if(_has_rows)
    def rows(self, params, X, y, derivatives=2, offset=None):
        """Return log-densities and derivatives: those of a member in its own predictors alone."""
        each = [
            member.rows(own, *seen, derivatives, **keywords)
            for member, own, seen, keywords in self._each(params, X, y, offset)
        ]
        xp = array.namespace(each[0].slope)
        shifts = [_own(params, "y", k) for k in range(len(each))]
        log_prob = [
            terms.log_prob + (scaling.log_volume() if scaling else 0.0)
            for terms, scaling in zip(each, shifts, strict=True)
        ]
        widths = [terms.slope.shape[2] for terms in each]
        slope = [_padded(terms.slope, k, widths, 1) for k, terms in enumerate(each)]
        curvature = None
        if all(terms.curvature is not None for terms in each):
            blocks = [_padded(terms.curvature, k, widths, 2) for k, terms in enumerate(each)]
            curvature = xp.concat(blocks, axis=1)
        return Terms(xp.concat(log_prob, axis=1), xp.concat(slope, axis=1), curvature)

    # -- fitting ---------------------------------------------------------------------------

    def init(self, X, y, resp, random_state, classes=None, offset=None):
        params, pairs = self._standardisation(X, y, resp.sum(axis=1), classes), self._named()
        each = self._each(params, X, y, offset, pairs)
        found = [
            member.init(*seen, resp[:, k : k + 1], random_state, classes, **keywords)
            for k, (member, _, seen, keywords) in enumerate(each)
        ]
        return params | dict(zip(self._names, found, strict=True))

    def statistics(self, params, X, y, resp, order=2, offset=None):
        each = enumerate(self._each(params, X, y, offset))
        found = [
            member.statistics(own, *seen, resp[:, k : k + 1], order, **keywords)
            for k, (member, own, seen, keywords) in each
        ]
        return Statistics(zip(_member_names(params), found, strict=True))

    def maximize(self, params, stats, cautious=False):
        """Take the M-step of every member."""
        each = self._named(params)
        return self._gather(
            params, [m.maximize(params[name], stats[name], cautious) for name, m in each]
        )

    def carry(self, params, stats, factor):
        each = self._named(params)
        return Statistics({name: m.carry(params[name], stats[name], factor) for name, m in each})

    @_if_all_have("gradient")
    def gradient(self, params, stats):
        """Return ∂Q/∂params of every member, nested like `params`; the standardisation is fixed."""
        found = [m.gradient(params[name], stats[name]) for name, m in self._named(params)]
        gradient = self._gather(params, found)
        fixed = {name: np.zeros_like(leaf) for name, leaf in params.get(UNITS, {}).items()}
        return gradient | ({UNITS: fixed} if fixed else {})

    def coordinates(self, params):
        found = {name: member.coordinates(params[name]) for name, member in self._named(params)}
        return found | ({UNITS: "fixed"} if UNITS in params else {})

    def log_prior(self, params):
        return sum(member.log_prior(params[name]) for name, member in self._named(params))

    def n_parameters(self, params):
        return sum(member.n_parameters(params[name]) for name, member in self._named(params))

    def diagnose(self, params, stats):
        findings = []
        for k, (name, member) in enumerate(self._named(params)):
            for finding in member.diagnose(params[name], stats[name]):
                # A member knows itself as the only expert of a bank.
                findings.append(finding.renumbered({0: k}))
        return findings

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        """Return the members' values by name; what the union standardises by as ``units``."""
        each = zip(self._named(params), self._units(params, units), strict=True)
        values = {name: member.to_caller(params[name], own) for (name, member), own in each}
        own = params.get(UNITS, {})
        scales = {
            name.replace("factor", "scale"): _inverse(leaf) if "factor" in name else leaf
            for name, leaf in own.items()
        }
        return values | ({UNITS: scales} if scales else {})

    def from_caller(self, values, units, n_experts, classes=None):
        wishes = self._wishes(len(units.x.center), classes)
        values = take(values, (*self._names, *([UNITS] if wishes else [])), "expert")
        own = {}
        if wishes:
            wanted = [f"{variable}_{what}" for variable in wishes for what in ("center", "scale")]
            given = {
                name: shaped(value, (n_experts, np.size(value) // n_experts), name, "expert")
                for name, value in take(values[UNITS], wanted, f"expert's {UNITS}").items()
            }
            for variable in wishes:
                center, scale = given[f"{variable}_center"], given[f"{variable}_scale"]
                # of a column that was constant only its size is known
                scale = np.where(scale > 0, scale, np.where(center != 0, np.abs(center), 1.0))
                own |= {f"{variable}_center": center, f"{variable}_factor": 1 / scale}
        params, pairs = {UNITS: own} if own else {}, self._named()
        each = zip(pairs, self._units(params, units, pairs), strict=True)
        return params | {
            name: member.from_caller(values[name], its, 1, classes) for (name, member), its in each
        }

    def view(self, params, k, units, **shell):
        name, member = self._named(params)[k]
        if not member.target.offset:
            shell.pop("offset_column", None)
        if not member.inputs.uses_x:
            names = shell.get("feature_names_in")
            none = {"columns": np.empty(0, dtype=int)}
            shell |= none | ({} if names is None else {"feature_names_in": names[:0]})
        return member.view(params[name], 0, self._units(params, units)[k], **shell)


def _member_names(params):
    """Return the names of the members that have params, a list."""
    return [name for name in params if name != UNITS]


def _of_member(predictor, name, uses_x):
    """Return a member's predictor as one of the union's.

    The leading index 0 is the member's place in its bank of one. A member that ignores x has the
    design [1], whose only column is the last index.
    """
    entries, constant = predictor.entries, predictor.design == "x" and not uses_x
    if not predictor.shared:
        entries = tuple((0, *entry) for entry in entries)
    if constant:
        entries = tuple((*entry, 0) for entry in entries)
        predictor = predictor._replace(design="1", penalty=None)
    return predictor._replace(leaf=f"{name}/{predictor.leaf}", entries=entries, shared=True)


def _padded(block, k, widths, axes):
    """Return derivatives of member k, (n, 1, m_k[, m_k]), with zeros for the others' predictors."""
    xp, before, after = array.namespace(block), sum(widths[:k]), sum(widths[k + 1 :])
    for axis in range(2, 2 + axes):
        shape = list(block.shape)
        zeros = []
        for width in (before, after):
            shape[axis] = width
            zeros.append(xp.zeros(tuple(shape), dtype=block.dtype, device=block.device))
        block = xp.concat([zeros[0], block, zeros[1]], axis=axis)
    return block


def _as_expert(item):
    """Return an item of the list as an expert: aliases by name, estimators wrapped."""
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


def _alike(one, other):
    """Return whether two parts or estimators are of one class and have equal parameters.

    What is frozen is a fit, and like no other.
    """
    if one is other or is_frozen(one):
        return one is other
    if isinstance(one, type) or not can(one, "get_params"):
        return bool(np.array_equal(one, other))
    if type(one) is not type(other):
        return False
    mine, its = one.get_params(deep=False), other.get_params(deep=False)
    return all(_alike(value, its[name]) for name, value in mine.items())


def _own(params, variable, k):
    """Return the standardisation of "x" or "y" that the union does for member k, or None."""
    units = params.get(UNITS, {})
    if f"{variable}_center" not in units:
        return None
    center, factor = units[f"{variable}_center"][k], units[f"{variable}_factor"][k]
    return Scaling(np.zeros(len(center), dtype=int), center, factor)


def _compose(first, second):
    """Return one scaling after another, the second without an exponent or a rotation."""
    center = first.center + second.center * first.width
    return replace(first, center=center, factor=first.factor * second.factor)


def _inverse(scale):
    """Return 1/scale, and 0 for 0."""
    return np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0)
