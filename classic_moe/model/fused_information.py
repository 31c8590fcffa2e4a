"""The sums of an observed information in compiled code, and whose these are.

They are optional and must equal those of `model.information`, which asks `lookup`.
"""

from __future__ import annotations

import numpy as np

from .._kernels.array import is_host
from ..data.units import as_given
from . import fused_pass
from ._spread import design_rows, gate


def lookup(model, layout, X, y):
    """Return the compiled sums of a model on rows like these, or None.

    They are those of a flat softmax or constant gate with linear or constant Gaussian experts of
    one output, each with a variance of its own or a fixed one, and are called as
    ``found(model, params, X, y, weight, layout)``: Σ w A_ab z zᵀ of all pairs of predictors
    a <= b, z = [1, x], (pairs, 1 + p, 1 + p), and Σ resp, (K,).
    """
    if not is_host(as_given(X)) or y.ndim != 2 or y.shape[1] != 1 or not _is_flat(layout):
        return None
    found = fused_pass.lookup(model, as_given(X), y)
    return softmax_gaussian if found is fused_pass.softmax_gaussian else None


def _is_flat(layout):
    """Return whether the K scores come first, then the means, then perhaps one scale of each."""
    scores, own = layout.places["gate"], layout.places["expert"]
    K = scores.shape[1]
    if len(scores) != K or not 0 < len(own) <= 2:
        return False
    expected = np.arange(K * (1 + len(own))).reshape(-1, K)
    return bool((scores == expected[0][:, None]).all() and (own == expected[1:]).all())


def softmax_gaussian(model, params, X, y, weight, layout):
    """Return the sums of softmax or constant gates with linear or constant Gaussian experts."""
    from .._kernels import compiled  # numba is imported here, at first use

    p = X.shape[1]
    own_whitening, log_norm = model.expert.kernel.params(model.expert, params["expert"])
    whitening = np.zeros((len(log_norm), 2 + p))
    whitening[:, np.append(design_rows(model.expert_columns, p), 1 + p)] = own_whitening[:, 0]
    gate_coef, branches, _ = gate(model, params, p, 1)
    slope, wide = len(layout.places["expert"]) > 1, layout.designs[0] is None or p == 0
    wide = wide or len(layout.designs[0]) > 1
    return compiled.information(
        X, y, weight, gate_coef, branches, whitening, log_norm, slope, bool(wide)
    )
