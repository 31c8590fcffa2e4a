"""What an expert says of x, and how far y scatters about it, in the caller's units."""

from __future__ import annotations

import numpy as np

from ..parts.checks import fitted_fact

LINEAR = ("LinearExpert", "GaussianExpert", "StudentTExpert", "LaplaceExpert", "NoiseExpert")
"""Experts whose mean is a linear map of x, or constant."""
LOG = ("PoissonExpert", "NegativeBinomialExpert", "GammaExpert")
"""Those whose mean is exp η."""
NETWORKS = ("MLPExpert", "TimeDelayExpert", "ReducedRankSoftmaxExpert")
CLASSES = ("SoftmaxExpert", "LogisticExpert")
KNOWN = (*LINEAR, *LOG, *NETWORKS, *CLASSES, "BinomialExpert")
ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "logistic": "sigmoid"}
"""The functions of hidden units, by what a writer calls them; "identity" is none."""


def own_columns(view, n_features):
    """Return the columns of the caller's X that a part looks at, a list of int."""
    own = view._columns
    return list(range(n_features)) if own is None else [int(j) for j in own]


def check_expert(view, kind, name):
    """Raise a ValueError for an expert whose mean has no formula that is known here."""
    if view.kind != "estimator" and kind not in KNOWN:
        raise ValueError(
            f"{name} is a {kind}, whose mean has no formula that can be exported; use a family of"
            " classic_moe.experts."
        )


def mean(w, view, kind, n_features, hint):
    """Return E_k[y|x] (n, q), or class probabilities (n, C), of an expert with this view."""
    ids, classes = own_columns(view, n_features), fitted_fact(view, "classes_")
    if view.kind == "estimator":
        return w.estimator(view, ids, classes is not None, hint)
    if classes is not None:
        log_proba = w.log_softmax(scores(w, view, n_features, hint), f"log_{hint}")
        return w.function("exp", log_proba, hint)
    if kind in LOG or kind == "BinomialExpert":
        return _inverse_link(w, view, kind, _predictor(w, view, ids, hint), hint)
    return outputs(w, view, n_features, hint)


def scores(w, view, n_features, hint):
    """Return the C scores of an expert for classes; of two the first is 0, (n, C)."""
    found = outputs(w, view, n_features, f"scores_of_{hint}")
    if len(view.classes_) > 2:
        return found
    nothing = w.binary("*", found, w.row([0.0], "zero"), "none")
    return w.concat([nothing, found], f"scores_of_{hint}")


def outputs(w, view, n_features, hint):
    """Return the outputs of a linear expert or a network, (n, m)."""
    ids = own_columns(view, n_features)
    if view.kind != "network":
        return _linear(w, view, ids, hint)
    window = fitted_fact(view, "_window")
    if window is None:
        return _network(w, view, ids, hint)
    channels = len(ids) // view._n_steps
    total = None
    for start in range(view._n_steps - window + 1):  # Σ over the positions of the window
        here = ids[start * channels : (start + window) * channels]
        each = _network(w, view, here, hint)
        total = each if total is None else w.binary("+", total, each, hint)
    return total


def _linear(w, view, ids, hint):
    coef, intercept = np.atleast_2d(view.coef_), np.atleast_1d(view.intercept_)
    if coef.size == 0:  # constants
        coef, ids = np.zeros((len(intercept), 1)), [0]
    return w.affine(w.x, coef, intercept, ids, hint)


def _network(w, view, ids, hint):
    last, value = len(view.coefs_) - 1, w.x
    for i, (coef, intercept) in enumerate(zip(view.coefs_, view.intercepts_, strict=True)):
        own = f"{hint}" if i == last else f"layer_{i + 1}_of_{hint}"
        value = w.affine(value, np.transpose(coef), intercept, ids if i == 0 else None, own)
        if i < last and view._activation in ACTIVATIONS:
            value = w.function(ACTIVATIONS[view._activation], value, own)
    return value


def _predictor(w, view, ids, hint):
    """Return η = b·x + a + offset, (n, 1)."""
    eta, offset = _linear(w, view, ids, f"eta_of_{hint}"), view._offset_column
    if offset is None:
        return eta
    return w.binary("+", eta, w.pick(w.x, [int(offset)], "offset"), f"eta_of_{hint}")


def _inverse_link(w, view, kind, eta, hint):
    """Return the mean where η is what is linear in x, (n, 1)."""
    if fitted_fact(view, "ceiling_") is not None:
        return w.binary("/", w.row([1.0], "one"), _bent(w, eta, 1 / view.ceiling_), hint)
    eta = w.clip(eta, -w.largest, w.largest, "eta")
    return w.function("sigmoid" if kind == "BinomialExpert" else "exp", eta, hint)


def _bent(w, eta, floor):
    """Return η or, below the floor f, f (1 + b)/(1 + 2b) with b = 1 - η/f, from f down to f/2."""
    one, f = w.row([1.0], "one"), w.row([floor], "floor")
    below = w.clip(w.binary("-", one, w.binary("/", eta, f)), 0.0, 1e9, "below")
    rise = w.binary("+", one, below)
    bent = w.binary("*", f, w.binary("/", rise, w.binary("+", rise, below)), "bent")
    return w.where(w.compare(">=", eta, f), eta, bent, "eta")


def spread(w, view, kind, mean, n_outputs, name):
    """Return standard deviations, (n, 1) or (1, q), the sum of whose squares is Var_k[y|x]: a list.

    `mean` is E_k[y|x]. A ValueError where there is no formula.
    """
    if kind in ("PoissonExpert", "NegativeBinomialExpert"):
        phi = fitted_fact(view, "dispersion_", 0.0)  # μ + φ μ²
        extra = w.binary("*", mean, w.row([np.sqrt(phi)], "root"), "sd")
        return [w.function("sqrt", mean, "sd"), extra]
    if kind == "GammaExpert":
        return [w.binary("*", mean, w.row([1 / np.sqrt(view.shape_)], "root"), "sd")]
    if kind == "BinomialExpert":
        rest = w.binary("-", w.row([1.0], "one"), mean)
        return [w.function("sqrt", w.binary("*", mean, rest, "variance"), "sd")]
    scale = fitted_fact(view, "scale_")
    if scale is None:
        raise ValueError(f"{name} has no scale, and so there is no 'std' to export; leave it out.")
    sd = np.broadcast_to(scale, n_outputs) * np.ones(n_outputs)
    if kind == "LaplaceExpert":
        sd = np.sqrt(2) * sd
    if kind == "StudentTExpert":
        sd = sd * np.sqrt(view.df_ / (view.df_ - 2) if view.df_ > 2 else np.inf)
    return [w.row(sd, "sd")]
