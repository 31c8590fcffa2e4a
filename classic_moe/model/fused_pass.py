"""Which pairs of gate and expert have a compiled pass, and how it is called.

A compiled pass is optional and must equal the generic one; `MixtureModel.statistics` asks `lookup`.
It is fused, one kernel for everything, or staged, with the family's own functions in the middle.
"""

from __future__ import annotations

import numpy as np

from .._kernels import device
from .._kernels.array import Branches, is_host
from .._kernels.loading import is_loaded
from ..data.units import as_given
from ..parts import softmax_regression as sr
from ..parts.statistics import Statistics
from ._spread import columns_of, design_rows, gate, gate_statistics, node_grams
from .objectives import MixtureLikelihood, TruncatedLikelihood
from .passes import density_pass
from .staged_pass import beside_any_expert, beside_any_gate, beside_gaussian_gate, staged

SMALL, FEW = 512, 300
"""Rows up to which, and passes in a process for which, numpy is quick enough to save the user
numba's loading and compiling, unless it is loaded already."""
_small_passes = 0


def lookup(model, X, y):
    """The compiled pass for the parts of `model` and data of this size, or None.

    It is called as ``found(model, params, X, y, weight, order)`` and returns the `Statistics`.
    """
    global _small_passes
    if not model.compiled:
        return None
    truncated = type(model.objective) is TruncatedLikelihood
    if not truncated and type(model.objective) is not MixtureLikelihood:
        return None
    of_gate, of_expert = model.gate.kernel, model.expert.kernel
    if of_gate is None and (
        not model.gate.learning.sums or model.gate.per_output or not X.shape[0]
    ):
        return None
    names = [ANY if kernel is None else kernel.name for kernel in (of_gate, of_expert)]
    if not is_host(X):
        return None if truncated else ELSEWHERE.get(tuple(names))
    found = (TRUNCATED if truncated else TABLE).get(tuple(names))
    if found is not None and model.compiled == "auto" and X.shape[0] <= SMALL:
        if ANY in names:  # the half that is compiled saves nothing
            return None
        if not is_loaded() and _small_passes < FEW:
            _small_passes += 1
            return None
    return found


def _kernels(X):
    """Return the module of the passes: the compiled ones, or those of rows on a device."""
    if not is_host(as_given(X)):
        return device
    from .._kernels import compiled  # numba is imported here, at first use

    return compiled


def softmax_gaussian(model, params, X, y, weight, order):
    """Softmax or constant gates with linear or constant Gaussian experts, in one compiled pass.

    Every part's coefficients are spread over all columns of z = [1, x, y] (zeros where it does not
    look), and its own block of the sums is taken out again.
    """
    p = X.shape[1]
    whitening, log_norm, rows = _whitening(model, params, p, y.shape[1])
    gate_coef, branches, wanted = gate(model, params, p, order)
    objective, gradient, hessians, sums = _kernels(X).softmax_gaussian(
        X, y, weight, gate_coef, branches, whitening, log_norm, wanted, grams=order > 1
    )
    return _of_sums(model, params, p, rows, order, branches, objective, gradient, hessians, sums)


def truncated_gaussian(model, params, X, y, weight, order):
    """The same of the k experts of a row with the largest g p alone, of `TruncatedLikelihood`."""
    if order < 2:
        return density_pass(model, params, X, y, weight, order)
    from .._kernels import compiled

    p, k = X.shape[1], model.objective.k
    whitening, log_norm, rows = _whitening(model, params, p, y.shape[1])
    if k >= len(whitening):
        return softmax_gaussian(model, params, X, y, weight, order)
    gate_coef, branches, wanted = gate(model, params, p, order)
    found = compiled.truncated_gaussian(
        X, y, weight, gate_coef, branches, whitening, log_norm, k, wanted
    )
    return _of_sums(model, params, p, rows, order, branches, *found)


def _whitening(model, params, p, q):
    """Return the whitening maps of z = [1, x, y], (K, q, 1 + p + q), log normalisers, and rows.

    The last are the positions in z of what the experts see.
    """
    rows = design_rows(model.expert_columns, p)
    rows = np.concatenate([rows, 1 + p + np.arange(q)])
    own_whitening, log_norm = model.expert.kernel.params(model.expert, params["expert"])
    whitening = np.zeros((len(own_whitening), q, 1 + p + q))
    whitening[:, :, rows] = own_whitening
    return whitening, log_norm, rows


def _of_sums(model, params, p, rows, order, branches, objective, gradient, hessians, sums):
    """Return the statistics of softmax gates and linear experts from a pass's sums."""
    own = sums
    if model.expert_columns is not None:
        own = sums[:, rows[:, None], rows] if order > 1 else sums[:, :, rows]
    return Statistics(
        objective=objective,
        resp=sums[:, 0, 0].copy(),
        gate=gate_statistics(
            model, params, p, branches, gradient, hessians, _of_nodes(branches, sums, order)
        ),
        expert=model.expert.kernel.statistics(model.expert, params["expert"], own, order),
    )


def gaussian_gaussian(model, params, X, y, weight, order):
    """Gaussian gates with linear or constant Gaussian experts: a mixture of normals of x and y.

    log a_k p_k(x) p_k(y|x) = log a_k + log_norm - ½ ‖U‖² with the whitened deviations of x and the
    whitened residuals of y in U: the kernel's own formula, with a constant gate.
    """
    gate, expert, p, q = model.gate, model.expert, X.shape[1], y.shape[1]
    log_weights, own_maps, of_gate = gate.kernel.params(gate, params["gate"])
    own_whitening, of_expert = expert.kernel.params(expert, params["expert"])
    columns = design_rows(model.gate_columns, p)
    rows = np.concatenate([design_rows(model.expert_columns, p), 1 + p + np.arange(q)])
    K, d, _ = own_maps.shape
    whitening = np.zeros((K, d + q, 1 + p + q))
    whitening[:, :d, columns[: own_maps.shape[2]]] = own_maps
    whitening[:, d:, rows] = own_whitening
    branches = Branches.flat(K)
    objective, *_, grams = _kernels(X).softmax_gaussian(
        X, y, weight, log_weights[:, None], branches, whitening, of_gate + of_expert, False
    )
    own = grams[:, rows[:, None], rows]
    if order < 2:  # Σ resp z and Σ resp u zᵀ, u = W z
        own = np.concatenate([own[:, :1], own_whitening @ own], axis=1)
    return Statistics(
        objective=objective,
        resp=grams[:, 0, 0].copy(),
        gate=gate.kernel.statistics(gate, params["gate"], grams[:, columns[:, None], columns]),
        expert=expert.kernel.statistics(expert, params["expert"], own, order),
    )


def softmax_softmax(model, params, X, y, weight, order):
    """Softmax or constant gates with softmax or logistic experts, in one compiled pass."""
    p = X.shape[1]
    rows = design_rows(model.expert_columns, p)
    own_coef = model.expert.kernel.params(model.expert, params["expert"])
    K, C, _ = own_coef.shape
    coef = np.zeros((K, C, 1 + p))
    coef[:, :, rows] = own_coef
    gate_coef, branches, wanted = gate(model, params, p, order)
    of_experts = order > 1 and sr.curvature(C, len(rows))
    objective, gradient, hessians, slopes, curvature, sums = _kernels(X).softmax_softmax(
        X, y, weight, gate_coef, branches, coef, wanted, of_experts, grams=order > 1
    )
    if curvature is not None and model.expert_columns is not None:
        curvature = np.stack([columns_of(own, rows) for own in curvature])
    return Statistics(
        objective=objective,
        resp=sums[:, 0, 0].copy(),
        gate=gate_statistics(
            model, params, p, branches, gradient, hessians, _of_nodes(branches, sums, order)
        ),
        expert=model.expert.kernel.statistics(
            model.expert,
            params["expert"],
            slopes[:, :, rows],
            curvature,
            sums[:, rows[:, None], rows] if order > 1 else None,
        ),
    )


def _of_nodes(branches, sums, order):
    """Return the Grams of the nodes or, in a pass for a gradient, their first entries, Σ resp."""
    return node_grams(branches, sums if order > 1 else sums[:, :1, :1])


ANY = "any"
"""What the table calls a part without a kernel, of which a pass uses the verbs."""

TABLE = {
    ("softmax", "linear_gaussian"): softmax_gaussian,
    ("softmax", "softmax"): softmax_softmax,
    ("softmax", "staged"): staged,
    ("least_squares", "linear_gaussian"): staged,
    ("least_squares", "staged"): staged,
    ("gaussian", "linear_gaussian"): gaussian_gaussian,
    ("gaussian", "staged"): beside_gaussian_gate,
    ("localised", "linear_gaussian"): beside_gaussian_gate,
    ("localised", "staged"): beside_gaussian_gate,
    (ANY, "linear_gaussian"): beside_any_gate,
    (ANY, "staged"): beside_any_gate,
    ("softmax", ANY): beside_any_expert,
}
SCALING = {softmax_gaussian, gaussian_gaussian, softmax_softmax, staged}
"""Passes that take X as `Scaled`, and scale it on the way."""
ELSEWHERE = {
    pair: TABLE[pair]
    for pair in (
        ("softmax", "linear_gaussian"),
        ("softmax", "softmax"),
        ("gaussian", "linear_gaussian"),
    )
}
"""Those that rows on a device have too."""
TRUNCATED = {("softmax", "linear_gaussian"): truncated_gaussian}
"""Passes of the k most responsible experts of a row."""
