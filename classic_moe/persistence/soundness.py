"""Whether what a file says goes together, before anything is done with it.

Python would say so in its own time; compiled kernels do not look where an array ends.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from dataclasses import replace

import numpy as np

from ..data.categories import Coding
from ..estimators._blend_mixin import BlendMixin
from ..estimators._blending import Blended
from ..estimators._deep import BaseDeepMixture, DeepFitted
from ..estimators._fitted import Fitted
from ..gates import TreeGate
from ..gates._per_output import PerOutputGate
from ..model.objectives import BlendedError, ExpectedError, MixtureLikelihood
from ..model.posterior import Posterior
from ..parts.packing import Factor
from ..parts.params import leaves
from ..solvers.online import Memory

NUMBERS: dict[type, tuple[type, ...]] = {
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
    bool: (bool, np.bool_),
}
"""What may stand where a number is due."""
LEAVES = (np.float64, np.int64, np.int32, np.bool_, object)
"""The types of fitted values: the first, but of counts, and of what others have fitted."""
LOCALISED = ("gaussian", "localised")
"""Kernels of gates that model x."""


class Unsound(ValueError):
    """Values that do not go together: the message says which."""


def check_fields(thing, names):
    """Raise `Unsound` unless the fields of a record are what its annotations say."""
    hints = _hints(type(thing))
    values = thing._asdict() if isinstance(thing, tuple) else vars(thing)
    for name in names:
        value = values[name]
        if not _is(value, hints[name]):
            raise Unsound(f"{name} of {type(thing).__name__} is a {type(value).__name__}")


@functools.cache
def _hints(kind):
    return typing.get_type_hints(kind, vars(sys.modules[kind.__module__]))


def _is(value, hint):
    """Return whether a value is of a type, as far as its outermost layers tell."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or isinstance(hint, (str, typing.ForwardRef)):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, each) for each in inner)
    if origin is type:
        return isinstance(value, type) and issubclass(value, inner[0])
    if hint in NUMBERS:
        return isinstance(value, NUMBERS[hint]) and (hint is bool or type(value) is not bool)
    if not isinstance(value, origin or hint):
        return False
    if origin is list:
        return all(_is(each, inner[0]) for each in value)
    if origin is tuple:
        each = inner[:1] * len(value) if Ellipsis in inner else inner
        return len(each) == len(value) and all(map(_is, value, each))
    if origin is dict:
        return all(_is(k, inner[0]) and _is(v, inner[1]) for k, v in value.items())
    return True


def check_fit(model, fitted, params=None):
    """Raise `Unsound` unless a fit is one of the estimator and its arrays have shapes that fit.

    `params`: those that the caller has put in place of the fit's, if any.
    """
    kinds = (DeepFitted,) if isinstance(model, BaseDeepMixture) else (Fitted,)
    kinds += (Blended,) if isinstance(model, BlendMixin) else ()
    if type(fitted) not in kinds or type(fitted.schema.target) is not model._target:
        raise Unsound(f"its fit is none of {type(model).__name__}")
    other = {DeepFitted: _check_deep, Blended: _check_blend}.get(type(fitted))
    if other is not None:
        return other(fitted, fitted.params if params is None else params)
    if type(fitted.model.objective) not in (BlendedError, ExpectedError, MixtureLikelihood):
        raise Unsound("its objective is none")
    _check_schema(fitted.schema)
    for memory in (fitted.memory, fitted.sums):
        for factor in _factors(memory):
            _check_factor(factor)
    memory = fitted.memory
    if not (memory is None or type(memory) is Memory):
        raise Unsound("its memory of a stream is none")
    of_stream = [] if memory is None else [memory.params, memory.mean]
    for each in (fitted.params, params, *of_stream):
        if each is not None:
            _check_params(replace(fitted, params=each))
    _check_posterior(fitted)


def _check_deep(fitted, params):
    """Raise `Unsound` unless a deep mixture says something, of the right shape, of a row."""
    model, schema = fitted.model, fitted.schema
    _check_schema(schema)
    if any(leaf.dtype != np.float64 for leaf in leaves(params)):
        raise Unsound("its parameters are no numbers of double precision")
    X = np.zeros((1, schema.x.n_inner))
    with np.errstate(all="ignore"):  # nobody sees the values
        output, passes = model.output(params, X), model.layers(params, X)
    target = schema.target
    real = target.task == "regression"
    sizes = [(1, target.n_columns if real else len(target.classes))]
    found = [output.shape]
    if real:
        found.append(params["output"]["variance"].shape)
        sizes.append(sizes[0])
    shapes = zip(passes, fitted.usage, model.n_experts, model.n_units, strict=True)
    for made, usage, K, h in shapes:
        found += [made.gate.shape, made.output.shape, usage.shape]
        sizes += [(1, K), (1, h), (K,)]
    if found != sizes:
        raise Unsound(f"its parameters have shapes {found}, not {sizes}")


def _check_blend(fitted, params):
    """Raise `Unsound` unless a blend says something, of the right shape, of a row."""
    blend, schema, state = fitted.blend, fitted.schema, fitted.trained.state
    _check_schema(schema)
    if any(leaf.dtype != np.float64 for leaf in leaves(params)):
        raise Unsound("its parameters are no numbers of double precision")
    rows = fitted.inner_rows(np.zeros((1, schema.x.n_inner)), np.zeros(1, dtype=np.intp))
    with np.errstate(all="ignore"):  # nobody sees the values
        output, choice = blend.outputs(params, state, rows), blend.route(params, state, rows)
        each = blend.expert_outputs(params, rows)
    target, K = schema.target, blend.n_experts
    real = target.task == "regression"
    q = target.n_columns if real else len(target.classes)
    found = [output.shape, choice.weights.shape, each.shape, fitted.usage.shape]
    sizes = [(1, q), (1, K), (1, K, q), (K,)]
    if real:
        found.append(fitted.variance.shape)
        sizes.append((q,))
    if found != sizes or blend.classes == real:
        raise Unsound(f"its parameters have shapes {found}, not {sizes}")


def _check_schema(schema):
    """Raise `Unsound` unless the units are of as many columns as X and y have."""
    for scaling in schema.scalings:
        given = [scaling.exponent, scaling.center, scaling.factor]
        given += [each for each in (scaling.source,) if each is not None]
        sizes = {each.shape for each in given} | {scaling.factor.shape[:1]}
        turned = scaling.rotation is None or scaling.rotation.shape[:1] == scaling.factor.shape
        integers = [each.dtype.kind for each in given[::3]] == ["i"] * len(given[::3])
        if len(sizes) > 1 or not (turned and integers):
            raise Unsound("its units are of unlike columns")
    source, n = schema.x.source, schema.n_features
    source = np.arange(len(schema.x.factor)) if source is None else source
    all_there = len(source) == n if schema.x.source is None else True
    if not (all_there and np.all((source >= 0) & (source < n))):
        raise Unsound(f"its units are not of the {n} columns of X")
    if schema.coding is not None:
        _check_coding(schema.coding, n)
    if schema.names is not None and schema.names.shape != (n,):
        raise Unsound(f"it has {schema.names.shape} names for {n} columns of X")


def _check_coding(coding, n):
    """Raise `Unsound` unless the categories of X are coded in n columns."""
    whole = type(coding) is Coding and type(coding.n_features) is int and coding.categories
    columns = [own.column for own in coding.categories] if whole else []
    inside = all(type(j) is int and 0 <= j < coding.n_features for j in columns)
    if not (whole and inside and len(set(columns)) == len(columns)):
        raise Unsound("its categories are not of columns of X")
    for own in coding.categories:
        levels = all(type(level) in (str, bool, int, float) for level in own.levels)
        distinct = type(own.levels) is tuple and levels and len(own.places) == len(own.levels)
        shares = own.shares
        given = type(shares) is np.ndarray and shares.dtype == np.float64
        if not (distinct and type(own.missing) is bool and given and shares.shape == (own.size,)):
            raise Unsound("its categories have no such levels")
        if not (own.size and np.all(shares >= 0)):
            raise Unsound("its categories have no shares of levels")
    if coding.n_coded != n:
        raise Unsound(f"its categories are not coded in {n} columns")
    names = coding.feature_names
    if names is not None and names.shape != (coding.n_features,):
        raise Unsound(f"it has {names.shape} names for {coding.n_features} columns of X")


def _factors(thing):
    """Yield the packed matrices among statistics."""
    if type(thing) is Factor:
        yield thing
    elif isinstance(thing, (dict, tuple)):
        for each in thing.values() if isinstance(thing, dict) else thing:
            yield from _factors(each)


def _check_factor(factor):
    """Raise `Unsound` unless a packed matrix has the numbers that its shape asks for."""
    m, d = factor.scale.shape if factor.scale.ndim == 2 else (-1, -1)
    whole = all(type(size) is int and size >= 0 for size in factor.shape)
    if factor.upper.shape != (m, d * (d + 1) // 2) or not whole:
        raise Unsound("a packed matrix has no such shape")
    if np.prod(factor.shape, dtype=object) != m * d * d:
        raise Unsound(f"a packed matrix has not the shape {factor.shape}")


def _check_params(fitted):
    """Raise `Unsound` unless gate and experts say something, of the right shape, of a row."""
    model, K, schema = fitted.model, len(fitted.resp), fitted.schema
    if fitted.resp.shape != (K,) or K == 0:
        raise Unsound("it has no experts")
    _check_tree(model.gate, K)
    if any(leaf.dtype not in LEAVES for leaf in leaves(fitted.params)):
        raise Unsound("its parameters are no numbers of double precision")
    X = np.zeros((1, schema.x.n_inner))
    with np.errstate(all="ignore"):  # nobody sees the values
        found = model.log_gate(fitted.params, X), model.expert_mean(fitted.params, X)
    target = schema.target
    if schema.target.task == "classification":
        outputs = len(target.classes)
    else:
        outputs = 1 if model.expert.target.trials else target.n_columns
    if found[0].shape[:2] != (1, K) or found[1].shape != (1, K, outputs):
        raise Unsound(f"its parameters are not of {K} experts and {outputs} outputs")
    _check_kernels(model, fitted.params, K, outputs)


def _check_posterior(fitted):
    """Raise `Unsound` unless the draws of the parameters are as long as their vector."""
    found = fitted.posterior
    if type(found) is not Posterior:
        raise Unsound("its draws of parameters are none")
    if found.steps is not None:
        size = len(fitted.model.coordinates(fitted.params).bounds[0])
        if found.steps.ndim != 2 or found.steps.shape[1] != size or not len(found.steps):
            raise Unsound(f"its draws of parameters are not of {size} numbers")


def _check_tree(gate, K):
    """Raise `Unsound` for a tree of other leaves than experts, before it is made."""
    tree = gate.gate if isinstance(gate, PerOutputGate) else gate.dense()
    if not isinstance(tree, TreeGate) or tree.structure is not None:
        return
    depth, branching = tree.depth, tree.branching
    if not (type(depth) is int and 1 <= depth <= K):
        raise Unsound(f"its tree of depth {depth!r} is not of {K} experts")
    levels = [branching] * depth if isinstance(branching, (int, np.integer)) else list(branching)
    if np.prod(levels, dtype=object) != K:
        raise Unsound(f"its tree is not of {K} experts")


def _check_kernels(model, params, K, outputs):
    """Raise `Unsound` unless what compiled passes are handed has the shapes they rely on."""
    for name, part in (("gate", model.gate.dense()), ("expert", model.expert)):
        if part.kernel is None:
            continue
        made = part.kernel.params(part, params[name])
        if name == "gate" and part.kernel.name not in LOCALISED:
            coef, branches = made
            sound = coef.ndim == 2 and len(coef) == branches.first[-1]
        elif part.kernel.name == "linear_gaussian":
            whitening, log_norm = made
            coef = part.kernel.mean(part, params[name])
            own = coef.shape[-1]
            sound = coef.shape == (K, outputs, own) and log_norm.shape == (K,)
            sound &= whitening.shape == (K, outputs, own + outputs)
        elif part.kernel.name in LOCALISED:
            sound = all(len(each) == K for each in made) and made[0].shape == made[2].shape == (K,)
        else:
            coef = made if isinstance(made, np.ndarray) else made.coef
            sound = coef.ndim == 3 and len(coef) == K
            sound &= part.kernel.name != "softmax" or coef.shape[1] == outputs
        if not sound:
            raise Unsound(f"the parameters of the {name} have no such shapes")
