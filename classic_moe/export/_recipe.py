"""What a fitted model computes, told to a `Writer` value by value."""

from __future__ import annotations

import numpy as np

from ..data.units import Scaling, Units
from ..parts.checks import can, fitted_fact
from ..parts.names import printable
from ..report.equations import expert_lines
from . import _experts, _gates, _routers

EXTRA = ("gate_proba", "experts", "std")
"""What there may be beside the prediction."""


def write(w, model, extra=()):
    """Return the values by name: "mean" (n, q) or "proba" (n, C), and those that are `extra`.

    Raises
    ------
    ValueError
        For a model, or a part of one, that cannot be written.
    """
    check_written(model)
    if can(model, "layers_"):
        return _deep(w, model, extra)
    if fitted_fact(model, "combine") == "blend":
        return _blend(w, model, extra)
    return _mixture(w, model, extra)


def check_written(model):
    """Raise a ValueError or TypeError for an estimator that cannot be written at all."""
    name = type(model).__name__
    if not can(model, "_fitted", "predict"):
        raise TypeError(f"{name} is no estimator of classic_moe, nor a Pipeline that ends in one.")
    if model._fitted is None:
        raise ValueError(f"this {name} is not fitted; call fit first.")
    if fitted_fact(model, "categorical_features") is not None:
        raise ValueError(
            f"this {name} codes categorical_features inside, which cannot be exported; code them"
            " in a Pipeline, by OneHotEncoder."
        )


def _outputs_of(model):
    """Return the number of outputs or classes, and the labels or None."""
    labels = fitted_fact(model, "classes_")
    if labels is not None:
        return len(labels), labels
    return len(model._fitted.schema.target.output_names), None


# -- mixtures ------------------------------------------------------------------------------------


def _mixture(w, model, extra):
    about, K, p = model.describe(), model.n_experts_, model.n_features_in_
    _gates.check_gate(model, about.gate)
    pairs = list(zip(model.experts_, about.expert_kinds, about.expert_names, strict=True))
    for each in pairs:
        _experts.check_expert(*each)
    (m, labels), lines = _outputs_of(model), expert_lines(model)
    w.note(f"the gate, a {about.gate}")
    shares = _shares(w, model, about, K, p)
    means = []
    for k, (view, kind, name) in enumerate(pairs):
        for line in lines[k]:
            w.note(f"{printable(name)} (weight {model.weights_[k]:.3g}): {line}")
        means.append(_experts.mean(w, view, kind, p, f"mean_{k}"))
    found = {}
    if "gate_proba" in extra:
        found["gate_proba"] = shares[0] if len(shares) == 1 else w.stack(shares, 2, "gate_proba")
    if "experts" in extra:
        flat = m == 1 and labels is None
        found["experts"] = w.concat(means, "experts") if flat else w.stack(means, 1, "experts")
    w.note("the mixture")
    if model.assignment == "hard":
        shares = [w.best(each, 1, "hard") for each in shares]
    total = _mixed(w, shares, means, m)
    if labels is not None:
        numeric = fitted_fact(model.experts_[0], "classes_") is None
        return found | {"proba": _proba(w, total, numeric, about)}
    if "std" in extra:
        found["std"] = _std(w, shares, means, total, pairs, m)
    return found | {"mean": total}


def _shares(w, model, about, K, p):
    """Return g (n, K) of the gate as predictions use it, or of that of every output: a list."""
    view, gate = model.gate_, fitted_fact(model, "gate")
    if about.gate == "RoutedGate":
        scores = _gates.scores(w, view, p)
        own = _routers.weights(w, gate.router, scores, K, _state(model), False)
        return [w.binary("/", own, w.clip(w.row_sum(own), w.smallest, None), "gate")]
    views = view.outputs_ if view.kind == "per output" else [view]
    found = [_gates.log_gate(w, each, gate, K, p) for each in views]
    kept = [w.keep(each, fitted_fact(model, "k_", K), K) for each in found]
    return [w.function("exp", each, "gate") for each in kept]


def _state(model):
    """Return what the training of a router has left behind, by the router's names."""
    names = dict(bias="router_bias_", thresholds="thresholds_", prices="prices_")
    found = {name: fitted_fact(model, shown) for name, shown in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def _mixed(w, shares, values, n_outputs):
    """Return Σ g_k v_k, (n, q), of one gate or of one for every output."""
    if len(shares) == 1 and n_outputs > 1:
        return w.weighted(shares[0], values, "mean")
    columns = []
    for j in range(n_outputs):
        own = values if n_outputs == 1 else [w.pick(value, [j]) for value in values]
        terms = w.binary("*", shares[j], w.concat(own, "means"), "terms")
        columns.append(w.row_sum(terms, "mean"))
    return columns[0] if n_outputs == 1 else w.concat(columns, "mean")


def _proba(w, total, numeric, about):
    """Return P(c|x), (n, C), from Σ g_k E_k."""
    if numeric and not about.means_only:
        raise ValueError(
            "the experts are for numbers, and their densities at the codes of the classes cannot"
            " be exported; use an expert for classes, such as 'softmax'."
        )
    if numeric:
        return w.function("exp", w.log_softmax(total), "proba")
    proba = w.clip(total, w.smallest, None, "proba")
    return w.binary("/", proba, w.row_sum(proba), "proba")


def _std(w, shares, means, total, pairs, n_outputs):
    """Return the standard deviation of y, √Σ_k g_k (v_k + (μ_k - μ)²), (n, q)."""
    lengths = []
    for k, (mean, (view, kind, name)) in enumerate(zip(means, pairs, strict=True)):
        gates = [w.pick(share, [k], "weight") for share in shares]
        gate = gates[0] if len(gates) == 1 else w.concat(gates, "weights")
        root = w.function("sqrt", gate, "root")
        away = w.binary("-", mean, total, "away")
        sides = [w.function("relu", own) for own in (away, w.binary("-", total, mean))]
        away = w.binary("+", *sides, "distance")
        sd = _experts.spread(w, view, kind, mean, n_outputs, name)
        own = [w.binary("*", root, each, "spread") for each in (away, *sd)]
        if fitted_fact(view, "df_", np.inf) <= 2:  # an infinite spread, and none without weight
            some, none = w.row([w.smallest], "some"), w.row([0.0], "zero")
            own = [w.where(w.compare(">=", root, some), each, none, "spread") for each in own]
        lengths += own
    return _root_of_squares(w, lengths)


def _root_of_squares(w, lengths):
    """Return √Σ l², of l ≥ 0 whose squares may be no finite numbers: s √Σ (l/s)², s = Σ l."""
    scale = lengths[0]
    for own in lengths[1:]:
        scale = w.binary("+", scale, own, "scale")
    scale, total = w.clip(scale, w.smallest, w.greatest, "scale"), None
    for own in lengths:
        square = w.function("square", w.binary("/", own, scale, "part"))
        total = square if total is None else w.binary("+", total, square, "total")
    return w.binary("*", scale, w.function("sqrt", total), "std")


# -- blends and layers -----------------------------------------------------------------------------


def _blend(w, model, extra):
    """Write f(x) = Σ shared + Σ w_k f_k, in the caller's units."""
    fitted, p, K = model._fitted, model.n_features_in_, model.n_experts_
    blend, params = fitted.blend, fitted.trained.params
    (m, labels), ids = _outputs_of(model), _experts.own_columns(model.gate_, p)
    units = Units(_scaling_of(fitted, fitted.layout.gate), Scaling.identity(1))
    w.note(f"the router, {' '.join(repr(blend.router).split())}")
    coef, intercept = units.coef_to_caller(params["gate"])
    scores = w.affine(w.x, coef, intercept, ids, "scores")
    weights = _routers.weights(w, blend.router, scores, K, _state(model), blend.n_shared > 0)
    hints = [f"expert_{k}" for k in range(K)]
    said = _experts.outputs if labels is None else _experts.scores
    values = [said(w, own, p, hint) for own, hint in zip(model.experts_, hints, strict=True)]
    found = _extra_of_blend(w, model, extra, scores, values, m)
    routed = w.weighted(weights, values, "routed")
    if labels is None and not blend.n_shared:  # the mean of y counts once, whatever Σ w is
        rest = w.binary("-", w.row([1.0], "one"), w.row_sum(weights), "rest")
        routed = w.binary("+", routed, w.binary("*", rest, w.row(fitted.schema.y.origin)), "f")
    if blend.n_shared:
        hint = "shared_{}"
        each = [said(w, own, p, hint.format(i)) for i, own in enumerate(model.shared_experts_)]
        routed = _with_shared(w, units, params, ids, routed, each, blend)
    if labels is None:
        return found | {"mean": routed}
    return found | {"proba": w.function("exp", w.log_softmax(routed), "proba")}


def _extra_of_blend(w, model, extra, scores, values, n_outputs):
    """Return what is asked for beside the prediction of a blend, by name."""
    found = {}
    if "gate_proba" in extra:
        found["gate_proba"] = w.function("exp", w.log_softmax(scores), "gate_proba")
    if "experts" in extra:
        if fitted_fact(model, "classes_") is not None:
            each = [w.function("exp", w.log_softmax(value)) for value in values]
            found["experts"] = w.stack(each, 1, "experts")
        else:
            stacked, blend = n_outputs > 1, model._fitted.blend
            if blend.n_shared and not blend.mixes:  # which have the mean of y
                origin = w.row(model._fitted.schema.y.origin, "mean_of_y")
                values = [w.binary("+", value, origin, "expert") for value in values]
            found["experts"] = w.stack(values, 1) if stacked else w.concat(values, "experts")
    if "std" in extra:
        found["std"] = _constant_std(w, model, n_outputs, values[0])
    return found


def _constant_std(w, model, n_outputs, like):
    """Return the standard deviation of a noise that is the same for all x, (n, q)."""
    schema = model._fitted.schema
    sd = fitted_fact(model, "scale_")
    if sd is None:
        sd = np.sqrt(model._fitted.variance) * schema.y.unit
    sd = np.broadcast_to(sd, n_outputs)
    none = w.binary("*", like, w.row(np.zeros(n_outputs), "zeros"))
    return w.binary("+", none, w.row(sd, "sd"), "std")


def _with_shared(w, units, params, ids, routed, shared, blend):
    """Return the routed experts and the shared ones together, by a gate G(x) or as a sum."""
    total = shared[0]
    for each in shared[1:]:
        total = w.binary("+", total, each, "shared")
    if not blend.mixes:
        return w.binary("+", total, routed, "f")
    coef, intercept = units.coef_to_caller(params["mix"][None])
    mix = w.function("sigmoid", w.affine(w.x, coef, intercept, ids, "mix"), "mix")
    left = w.binary("-", w.row([1.0], "one"), mix)
    return w.binary("+", w.binary("*", left, total), w.binary("*", mix, routed), "f")


def _scaling_of(fitted, columns):
    """Return the `Scaling` of the columns of x that a part sees."""
    x = fitted.schema.x
    return x if columns is None else x.select(columns)


def _deep(w, model, extra):
    """Write layer after layer: z_l = Σ_k g_lk(z) relu(W_k z), and the output on top."""
    fitted, (m, labels) = model._fitted, _outputs_of(model)
    deep, params, value = fitted.model, fitted.params, w.x
    refused = [name for name in extra if name != "std"]
    if refused:
        raise ValueError(
            f"extra_outputs={refused}: a deep mixture has gates and experts in every layer, and"
            " none of its own; leave it out."
        )
    x = fitted.schema.x
    for i, name in enumerate(deep.names):
        own = params[name]
        into = x if i == 0 else None
        w.note(f"layer {i}: {deep.n_experts[i]} experts of {deep.n_units[i]} units")
        hidden = w.function("relu", _layer(w, value, own["gate_hidden"][0], into, None, "hidden"))
        log_gate = w.log_softmax(_layer(w, hidden, own["gate"][0], None, None, "scores"))
        gate = w.function("exp", log_gate, f"gate_{i}")
        each = [
            _layer(w, value, coef, into, None, f"expert_{k}")
            for k, coef in enumerate(own["experts"])
        ]
        value = w.weighted(gate, [w.function("relu", one) for one in each], f"layer_{i}")
    y = fitted.schema.y if labels is None else None
    value = _layer(w, value, params["output"]["weights"][0], None, y, "output")
    if labels is not None:
        return {"proba": w.function("exp", w.log_softmax(value), "proba")}
    std = {"std": _constant_std(w, model, m, value)} if "std" in extra else {}
    return std | {"mean": value}


def _layer(w, value, coef, x, y, hint):
    """Return the scores of a layer with weights (m, 1 + p), of x and y in the caller's units."""
    x = Scaling.identity(coef.shape[1] - 1) if x is None else x
    slopes, intercept = Units(x, Scaling.identity(len(coef)) if y is None else y).coef_to_caller(
        coef
    )
    return w.affine(value, slopes, intercept, None, hint)
