"""The reference kernels, written with array-API names: the specification of every compiled twin.

Shapes: `n` rows, `p` columns, `K` experts, `q` outputs, `C` classes, `P` = columns of a design;
a gate has `M` branches at `m` nodes, the flat gate K at one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

FEW = 8
"""Columns up to which a reduction over them goes pair by pair."""

BLOCKS = "blocks"
"""In place of True, where a Hessian is asked for: its blocks on the diagonal alone."""

FARTHEST = 1e140
"""Deviation, in standard deviations, whose square is still far from the largest number."""


class Branches(NamedTuple):
    """How the branches of a gate hang together; parents come before their children.

    first : sequence of m + 1 int; the branches of node i are first[i] ... first[i + 1] - 1
    child : sequence of M int; where a branch leads: to expert k, or to node i, written ~i
    """

    first: tuple
    child: tuple

    @classmethod
    def flat(cls, n_experts):
        """A single node, whose branches are the experts."""
        return cls((0, n_experts), tuple(range(n_experts)))

    def slices(self):
        """The branches of every node."""
        return [slice(*ends) for ends in zip(self.first[:-1], self.first[1:], strict=True)]

    def each(self, wanted):
        """What is wanted of every node, from one answer for all or one for each."""
        nodes = len(self.first) - 1
        return (wanted,) * nodes if isinstance(wanted, (bool, str)) else tuple(wanted)


def namespace(array):
    """The array namespace (numpy, CuPy, array_api_strict, ...) that `array` belongs to."""
    try:
        return array.__array_namespace__()
    except AttributeError:  # torch's, and CuPy's
        return _compatible(array)


def _compatible(array):
    """The namespace of an array that does not name its own."""
    try:
        from array_api_compat import array_namespace
    except ImportError:
        raise ImportError(
            f"arrays of {library(array)} need array-api-compat: pip install 'classic-moe[array]'."
        ) from None
    return array_namespace(array)


def is_host(array):
    """Return whether numpy holds `array`, a bool."""
    return isinstance(array, np.ndarray)


def library(array):
    """Return the name of the package that an object's class is from, a str."""
    return type(array).__module__.partition(".")[0]


def is_array(value):
    """Return whether a value is an array of numpy or of another library, a bool."""
    return library(value) in LIBRARIES or hasattr(value, "__array_namespace__")


def lies_on_host(array):
    """Return whether an array is in the host's memory, where numpy can read it, a bool."""
    known = LIBRARIES.get(library(array))
    return array.__dlpack_device__()[0] == 1 if known is None else known.on_host(array)


def copied(values, name="X"):
    """Return what makes an array on a device one of the host, in the caller's code, a str."""
    known = LIBRARIES.get(library(values))
    return ("{} as an array of numpy" if known is None else known.copy).format(name)


def as_numpy(array):
    """Return an array in the host's memory as one of numpy, which shares that memory."""
    if is_host(array):
        return array
    known = LIBRARIES.get(library(array))
    return np.from_dlpack(array) if known is None else known.shared(array)


def given_back(array, values):
    """Return values that numpy holds in the library of `array`, which is on the host, and there.

    Memory is shared where that library can; what is no array of numbers stays as it is.
    """
    if isinstance(values, tuple):
        return tuple(given_back(array, value) for value in values)
    if not is_host(values) or values.dtype.kind not in "fiub":
        return values
    return namespace(array).asarray(values, device=array.device)


def like(array, *small):
    """Return small numpy arrays, made of parameters, where `array` lies: one, or a tuple of them.

    They join the namespace and the device of `array`; for numpy they are returned as they are.
    """
    if not is_host(array):
        xp = namespace(array)
        small = tuple(xp.asarray(_plain(a), device=array.device) for a in small)
    return small[0] if len(small) == 1 else small


def _plain(small):
    """An array of numpy in C order that may be written to, which is what torch takes."""
    small = np.ascontiguousarray(small)
    return small if small.flags.writeable else small.copy()


def to_host(value):
    """Return the same with numpy arrays for those of other namespaces, in dicts and tuples too.

    This is the one way back from a device.
    """
    if isinstance(value, (np.ndarray, np.generic, float, int)):
        return value
    if isinstance(value, dict):
        return type(value)({name: to_host(part) for name, part in value.items()})
    if type(value) in (list, tuple):
        return type(value)(map(to_host, value))
    if isinstance(value, tuple):  # a named one
        return type(value)(*map(to_host, value))
    return brought(value) if is_array(value) else value


def brought(array):
    """Return an array of another library as one of numpy; what is none as it is."""
    if not is_elsewhere(array):
        return array
    known = LIBRARIES.get(library(array))
    if known is not None:
        return known.brought(array)
    return np.asarray(array.to_device(_default_device(array)))


class Library(NamedTuple):
    """What another library's arrays have of their own: each function takes one of them.

    on_host : whether it is in the host's memory
    shared : it as one of numpy in the same memory, where it is there
    brought : it as one of numpy, wherever it is
    copy : how the caller makes a copy of an array on the host, with {} for its name
    """

    on_host: Callable
    shared: Callable
    brought: Callable
    copy: str = "{} as an array of numpy"


def _default_device(array):
    """The device of a namespace on which its arrays are made unless another is asked for."""
    return namespace(array).__array_namespace_info__().default_device()


LIBRARIES = {
    "array_api_strict": Library(
        lambda a: a.device == _default_device(a),
        np.from_dlpack,
        lambda a: np.asarray(a.to_device(_default_device(a))),
    ),
    "cupy": Library(lambda a: False, lambda a: a.get(), lambda a: a.get(), "cupy.asnumpy({})"),
    "torch": Library(
        lambda a: a.device.type == "cpu",
        lambda a: a.detach().numpy(),
        lambda a: a.detach().cpu().numpy(),
        "{}.cpu()",
    ),
}


def is_elsewhere(value):
    """Return whether a value is an array of another library than numpy, a bool."""
    return not is_host(value) and is_array(value)


def is_away(value):
    """Return whether a value is an array that lies on a device, a bool."""
    return is_elsewhere(value) and not lies_on_host(value)


def rows_at(array, positions):
    """Return the rows of an array at a slice or at integer positions, a numpy array; (m, ...)."""
    if not is_elsewhere(array):
        return array[positions]
    if isinstance(positions, slice):
        return array[positions, ...]
    return namespace(array).take(array, like(array, positions), axis=0)


def columns_at(array, positions):
    """Return the columns of an array at a slice or at positions (m,), a numpy array; (n, m)."""
    if isinstance(positions, slice) or not is_elsewhere(array):
        return array[:, positions]
    return namespace(array).take(array, like(array, np.asarray(positions)), axis=1)


def with_intercept(X, *others):
    """The design [1, X, others...], (n, 1 + p + ...)."""
    xp = namespace(X)
    ones = xp.ones((X.shape[0], 1), dtype=xp.float64, device=X.device)
    return xp.concat([ones, *(xp.astype(part, xp.float64) for part in (X, *others))], axis=1)


def logsumexp(a, axis=-1):
    """log Σ exp(a), safe for large entries; a row of -inf gives -inf."""
    _, top, log_total = _shifted(a, axis)
    return namespace(a).squeeze(log_total + top, axis=axis)


def _shifted(a, axis=-1):
    """(a - top, top, log Σ exp(a - top)), top the largest entry; the sum in its own digits."""
    xp = namespace(a)
    top = _reduced(xp.maximum, xp.max, a, axis)
    lost = xp.isinf(top)
    if xp.any(lost):
        top = xp.where(lost, xp.zeros_like(top), top)
    shifted = a - top
    total = _reduced(xp.add, xp.sum, xp.exp(shifted), axis)
    if xp.any(lost):  # a row of -inf
        logs = xp.log(xp.where(lost, xp.ones_like(total), total))
        return shifted, top, xp.where(lost, -xp.inf, logs)
    return shifted, top, xp.log(total)


def best(values, k):
    """The numbers of the k largest of every row, (n, k), the largest first; ties: the lower one."""
    return namespace(values).argsort(-values, axis=1, stable=True)[:, :k]


def are_best(values, k):
    """Which are the k largest of their row, bool (n, K); ties: those of lower number."""
    xp = namespace(values)
    order = xp.argsort(-values, axis=1, stable=True)
    return xp.argsort(order, axis=1, stable=True) < k


def _reduced(pairwise, whole, a, axis):
    """A reduction that keeps its axis; over a few columns, pair by pair: many times faster."""
    if axis == -1 and 1 <= a.shape[-1] <= FEW:
        columns = (a[..., k : k + 1] for k in range(a.shape[-1]))
        return functools.reduce(pairwise, columns)
    return whole(a, axis=axis, keepdims=True)


def added(a):
    """Σ over the last axis, which is kept."""
    xp = namespace(a)
    return _reduced(xp.add, xp.sum, a, -1)


def log_softmax(scores):
    """log softmax over the last axis."""
    shifted, _, log_total = _shifted(scores)
    return shifted - log_total


def weighted_grams(Z, weights):
    """Σ_t weights[t, k] z_t z_tᵀ: (n, P), (n, K) -> (K, P, P)."""
    xp = namespace(Z)
    return xp.stack([Z.T @ (weights[:, k][:, None] * Z) for k in range(weights.shape[1])])


def weighted_moments(Z, weights, U=None):
    """Σ_t weights[t, k] [1, u_tk] z_tᵀ: (n, P), (n, K), (n, K, q) -> (K, 1 + q, P); None: q = 0."""
    xp = namespace(Z)
    rows = weights[:, :, None]
    if U is not None:
        rows = xp.concat([rows, rows * U], axis=2)
    n, K, r = rows.shape
    return xp.reshape(xp.reshape(rows, (n, K * r)).T @ Z, (K, r, -1))


def square(x):
    """x², and 1e280 where it is larger: of a row far from a prediction, whose density is 0."""
    xp = namespace(x)
    return xp.minimum(xp.abs(x), FARTHEST) ** 2


def gaussian_log_density(U, log_norm):
    """log N(y; μ_k, Σ_k) from whitened residuals: (n, K, q), (K,) -> (n, K).

    U = L_k⁻¹ (y - μ_k) with Σ_k = L_k L_kᵀ, and log_norm = -log|L_k| - ½ q log 2π.
    """
    xp = namespace(U)
    return log_norm - 0.5 * xp.sum(U * U, axis=-1)


def mixture_posterior(log_gate, log_density):
    """log Σ_k g_k p_k (n,) and the responsibilities g_k p_k / Σ_j g_j p_j (n, K).

    Where every density underflows to zero the gate alone decides.
    """
    xp = namespace(log_gate)
    shifted, top, log_total = _shifted(log_gate + log_density)
    lost = ~xp.isfinite(log_total)
    log_resp = shifted - xp.where(lost, xp.zeros_like(log_total), log_total)
    if xp.any(lost):
        log_resp = xp.where(lost, log_softmax(log_gate), log_resp)
    return xp.squeeze(top + log_total, axis=-1), xp.exp(log_resp)


def log_harden(log_prob):
    """0 for the largest entry of every row (the first of equals), -inf for the others."""
    xp = namespace(log_prob)
    return xp.where(harden(log_prob) > 0, xp.zeros_like(log_prob), -xp.inf)


def log_known(log_prob, labels):
    """-inf where a row's label, if it has one (>= 0), names another column."""
    xp = namespace(log_prob)
    other = labels[:, None] != xp.arange(log_prob.shape[-1], device=log_prob.device)[None, :]
    return xp.where((labels >= 0)[:, None] & other, -xp.inf, log_prob)


def harden(prob):
    """1 for the largest entry of every row (the first of equals), 0 for the others."""
    xp = namespace(prob)
    best = xp.argmax(prob, axis=-1, keepdims=True)
    return xp.astype(best == xp.arange(prob.shape[-1], device=prob.device), prob.dtype)


def log_share(one_hot, prob):
    """log of the entry of `prob` that `one_hot` picks in every row, (n,)."""
    xp = namespace(prob)
    return xp.log(xp.sum(one_hot * prob, axis=-1))


def draw(prob, uniform):
    """One-hot rows (n, K) drawn from rows of probabilities by inverting them at `uniform` (n,)."""
    xp = namespace(prob)
    edges = xp.cumulative_sum(prob, axis=-1)
    reached = edges > uniform[:, None] * edges[:, -1:]
    return harden(xp.astype(reached, prob.dtype))


def softmax_gradient(Z, prob, target):
    """Σ_t (target - total·prob) zᵀ: gradient of Σ target·log prob in the coefficients, (C, P)."""
    xp = namespace(Z)
    total = xp.sum(target, axis=1)[:, None]
    return (target - total * prob).T @ Z


def softmax_hessian(Z, prob, total):
    """Σ_t total (diag(prob) - prob probᵀ) ⊗ z zᵀ: negative Hessian, (C, P, C, P).

    Every off-diagonal block is a weighted Gram, all of them one product; the rows of blocks sum to
    zero, which gives the blocks on the diagonal without cancellation.
    """
    xp = namespace(Z)
    C, P = prob.shape[1], Z.shape[1]
    if C == 2:  # one Gram is the whole of it
        gram = Z.T @ ((total * prob[:, 0] * prob[:, 1])[:, None] * Z)
        rows = xp.stack([xp.stack([gram, -gram]), xp.stack([-gram, gram])])
        return xp.permute_dims(rows, (0, 2, 1, 3))
    root = xp.sqrt(total)[:, None] * prob
    rows = xp.reshape(root[:, :, None] * Z[:, None, :], (-1, C * P))
    hessian = xp.reshape(-(rows.T @ rows), (C, P, C, P))
    classes = xp.arange(C, device=Z.device)
    same = (classes[:, None] == classes[None, :])[:, None, :, None]
    hessian = xp.where(same, 0.0, hessian)
    diagonal = -xp.sum(hessian, axis=2)
    return xp.where(same, diagonal[:, :, None, :], hessian)


def softmax_curvature(Z, prob, total, wanted):
    """The negative Hessian (C, P, C, P), its blocks on the diagonal (C, P, P), or None.

    As `wanted` says: True, `BLOCKS` or False. A block is Σ_t total prob_c (1 - prob_c) z zᵀ.
    """
    if wanted == BLOCKS:
        return weighted_grams(Z, total[:, None] * prob * (1.0 - prob))
    return softmax_hessian(Z, prob, total) if wanted else None


def log_paths(scores, branches):
    """log-probabilities of the branches, given their nodes, and of the experts: (n, M), (n, K)."""
    xp = namespace(scores)
    along = xp.concat([log_softmax(scores[:, own]) for own in branches.slices()], axis=1)
    paths, leaves = {0: xp.zeros_like(scores[:, 0])}, {}
    for node, own in enumerate(branches.slices()):
        for b in range(own.start, own.stop):
            child = branches.child[b]
            ends = leaves if child >= 0 else paths
            ends[child if child >= 0 else ~child] = paths[node] + along[:, b]
    return along, xp.stack([leaves[k] for k in range(len(leaves))], axis=1)


def to_branches(resp, branches):
    """Responsibilities of every branch: of the experts below it, summed; (n, K) -> (n, M)."""
    xp = namespace(resp)
    sums, of_node = {}, {}
    for node, own in reversed(list(enumerate(branches.slices()))):
        for b in range(own.start, own.stop):
            child = branches.child[b]
            sums[b] = resp[:, child] if child >= 0 else of_node[~child]
        of_node[node] = sum(sums[b] for b in range(own.start, own.stop))
    return xp.stack([sums[b] for b in range(len(sums))], axis=0).T  # rows innermost in memory


def _gate_sums(Z, log_prob, resp, branches, hessian):
    """Gradient (M, P) of all branches, and the `softmax_curvature` of every node."""
    xp = namespace(Z)
    prob, target = xp.exp(log_prob), to_branches(resp, branches)
    gradients, hessians = [], []
    for own, wanted in zip(branches.slices(), branches.each(hessian), strict=True):
        gradients.append(softmax_gradient(Z, prob[:, own], target[:, own]))
        total = xp.sum(target[:, own], axis=1)
        hessians.append(softmax_curvature(Z, prob[:, own], total, wanted))
    return xp.concat(gradients, axis=0), hessians


def softmax_gaussian(
    X, Y, weight, gate_coef, branches, whitening, log_norm, hessian=True, grams=True
):
    """One pass of the default model: softmax gates, linear Gaussian experts.

    Parameters
    ----------
    X : (n, p), Y : (n, q), weight : (n,)
    gate_coef : (M, 1 + p), intercepts first; branches : Branches
    whitening : (K, q, 1 + p + q), rows of L_k⁻¹ [-B_k, I], so that L_k⁻¹ (y - μ_k) = whitening z
    log_norm : (K,), -log|L_k| - ½ q log 2π
    hessian : whether the gate's Hessian is wanted, True, False or `BLOCKS`; one for every node, or
        one for all
    grams : whether the experts' Grams are wanted, or only what a gradient takes

    Returns
    -------
    objective : float, Σ weight·log p(y|x)
    gradient : (M, 1 + p), Σ (resp - total·g) [1, x], resp with the weights multiplied in and
        summed below the branch, total their sum at its node
    hessians : list of (C, 1 + p, C, 1 + p), (C, 1 + p, 1 + p) or None, the `softmax_curvature` of
        every node with its C branches
    grams : (K, P, P), Σ resp z zᵀ with z = [1, x, y]; or, in their place,
        moments (K, 1 + q, P), Σ resp [1, u] zᵀ with the whitened residuals u = whitening z
    """
    xp = namespace(X)
    Z = with_intercept(X, Y)
    design = Z[:, : gate_coef.shape[1]]
    along, log_gate = log_paths(design @ gate_coef.T, branches)
    K, q, P = whitening.shape
    U = xp.reshape(Z @ xp.reshape(whitening, (K * q, P)).T, (-1, K, q))
    value, resp = mixture_posterior(log_gate, gaussian_log_density(U, log_norm))
    resp = resp * weight[:, None]
    return (
        xp.sum(weight * value),
        *_gate_sums(design, along, resp, branches, hessian),
        weighted_grams(Z, resp) if grams else weighted_moments(Z, resp, U),
    )


def softmax_softmax(
    X, codes, weight, gate_coef, branches, coef, hessian=True, curvature=True, grams=True
):
    """One pass of the default classifier: softmax gates, softmax experts.

    Parameters
    ----------
    X : (n, p), codes : (n,) of 0 ... C - 1, weight : (n,)
    gate_coef : (M, 1 + p), coef : (K, C, 1 + p), intercepts first; branches : Branches
    hessian, curvature : whether the Hessians of the gate and of the experts are wanted, as above
    grams : whether the experts' Grams are

    Returns
    -------
    objective : float, Σ weight·log p(y|x)
    gradient : (M, 1 + p), hessians : list, as in `softmax_gaussian`
    slopes : (K, C, 1 + p), Σ resp (one-hot - prob) [1, x] of every expert
    curvature : (K, C, 1 + p, C, 1 + p), the experts' negative Hessians, or their blocks or None
    grams : (K, 1 + p, 1 + p), Σ resp [1, x] [1, x]ᵀ; or, in their place,
        moments (K, 1, 1 + p), Σ resp [1, x]ᵀ
    """
    xp = namespace(X)
    Z = with_intercept(X)
    K, C, P = coef.shape
    along, log_gate = log_paths(Z @ gate_coef.T, branches)
    log_prob = log_softmax(xp.reshape(Z @ xp.reshape(coef, (K * C, P)).T, (-1, K, C)))
    one_hot = xp.astype(codes[:, None] == xp.arange(C, device=X.device)[None, :], xp.float64)
    value, resp = mixture_posterior(log_gate, xp.sum(log_prob * one_hot[:, None, :], axis=2))
    resp = resp * weight[:, None]
    prob = xp.exp(log_prob)
    experts = range(K)
    targets = [resp[:, k][:, None] * one_hot for k in experts]
    return (
        xp.sum(weight * value),
        *_gate_sums(Z, along, resp, branches, hessian),
        xp.stack([softmax_gradient(Z, prob[:, k, :], targets[k]) for k in experts]),
        xp.stack([softmax_curvature(Z, prob[:, k, :], resp[:, k], curvature) for k in experts])
        if curvature
        else None,
        weighted_grams(Z, resp) if grams else weighted_moments(Z, resp),
    )


# -- what is said of rows, after a fit -------------------------------------------------------------


def gate_probabilities(X, gate_coef, branches, logs=False):
    """Return g_k(x), (n, K), or its logarithms; gate_coef (M, 1 + p), intercepts first."""
    log_gate = log_paths(with_intercept(X) @ gate_coef.T, branches)[1]
    return log_gate if logs else namespace(X).exp(log_gate)


def mixed_mean(X, gate_coef, branches, coef):
    """Return Σ_k g_k(x) B_k [1, x], (n, q); coef (K, q, 1 + p)."""
    xp, Z = namespace(X), with_intercept(X)
    g = gate_probabilities(X, gate_coef, branches)
    return xp.sum(g[:, :, None] * _linear_maps(Z, coef), axis=1)


def gaussian_posterior(X, Y, gate_coef, branches, whitening, log_norm, wants_resp=True):
    """Return log p(y|x) (n,) and the posterior of the experts (n, K), or None.

    The arguments are those of `softmax_gaussian`.
    """
    Z = with_intercept(X, Y)
    log_gate = log_paths(Z[:, : gate_coef.shape[1]] @ gate_coef.T, branches)[1]
    density = gaussian_log_density(_linear_maps(Z, whitening), log_norm)
    value, resp = mixture_posterior(log_gate, density)
    return value, resp if wants_resp else None


def class_probabilities(X, gate_coef, branches, coef):
    """Return Σ_k g_k(x) p_k(c|x), (n, C); coef (K, C, 1 + p), of the experts' scores."""
    xp = namespace(X)
    each = xp.exp(log_softmax(_linear_maps(with_intercept(X), coef)))
    return xp.sum(gate_probabilities(X, gate_coef, branches)[:, :, None] * each, axis=1)


def class_posterior(X, codes, gate_coef, branches, coef, wants_resp=True):
    """Return log p(y|x) (n,) of rows with codes (n,), and the posterior (n, K) or None."""
    xp, Z = namespace(X), with_intercept(X)
    log_gate = log_paths(Z @ gate_coef.T, branches)[1]
    one_hot = xp.astype(codes[:, None] == xp.arange(coef.shape[1], device=X.device), xp.float64)
    log_prob = xp.sum(log_softmax(_linear_maps(Z, coef)) * one_hot[:, None, :], axis=2)
    value, resp = mixture_posterior(log_gate, log_prob)
    return value, resp if wants_resp else None


def _linear_maps(Z, maps):
    """Return maps_k z of every row, (n, K, r); maps (K, r, P)."""
    K, r, P = maps.shape
    return namespace(Z).reshape(Z @ namespace(Z).reshape(maps, (K * r, P)).T, (-1, K, r))
