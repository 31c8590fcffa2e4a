"""Which models climb in compiled code, whole iterations of EM at a time, and how that is called.

The E-step, both M-steps and the priors of one iteration take less time than what stands between
them in Python, on some thousand rows. A compiled climb is optional and must take the steps of
`solvers.em`; where one is no success it hands back, and these go on.
"""

from __future__ import annotations

import copy
import functools
import weakref
from typing import NamedTuple

import numpy as np

from .._kernels.array import Branches, is_host
from ..data.batches import CHUNK, whole
from ..parts import softmax_regression as sr
from ..parts.params import Params
from ..parts.statistics import Statistics
from . import fused_pass
from ._spread import design_rows, gate_statistics
from .objectives import MixtureLikelihood

LARGEST = 200
"""Coefficients of the gate up to which the compiled solve of their system is the faster one."""


class Climbed(NamedTuple):
    """Where a compiled climb stopped.

    Attributes
    ----------
    params : Params
    stats : Statistics
        Theirs.
    values : ndarray of shape (iterations,)
        The penalised objectives of the iterates after the start.
    gain, last_gain : float or None
        What the last two steps gained; None where there is none that was a step of EM.
    hands_back : bool
        Whether the next step needs more care.
    ended : bool
        Whether the climb ended before all iterations were made.
    """

    params: Params
    stats: Statistics
    values: np.ndarray
    gain: float | None
    last_gain: float | None
    hands_back: bool
    ended: bool


class _Sums(NamedTuple):
    """The sums of a pass in one row, and what they are: views of it."""

    row: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    grams: np.ndarray


NO_LIMITS = 0.0, 0.0, -np.inf, 1.0
_FOUND = weakref.WeakKeyDictionary()


def lookup(model, batches):
    """Return a new `FusedClimb` of a model on rows in one chunk; None where there is none.

    What all climbs on some batches have in common is made once.
    """
    known = _FOUND.get(batches)
    if known is None or known.model is not model:
        known = _lookup(model, batches)
        if known is None:
            return None
        _FOUND[batches] = known
    return copy.copy(known)


def _lookup(model, batches):
    kernels = model.gate.kernel, model.expert.kernel
    if None in kernels or batches.n > CHUNK or model.offset_column is not None or model.models_x:
        return None
    if type(model.objective) is not MixtureLikelihood:
        return None
    parts = model.gate, model.expert
    if any(kernel.climb is None for kernel in kernels) or not all(map(_as_declared, parts)):
        return None
    found = [kernel.climb(part) for kernel, part in zip(kernels, parts, strict=True)]
    if None in found or tuple(kernel.name for kernel in kernels) != ("softmax", "linear_gaussian"):
        return None
    block = whole(batches)
    plain = not block.facts and is_host(block.X) and block.y.shape[1] == 1
    if not plain or fused_pass.lookup(model, block.X, block.y) is None:
        return None
    return FusedClimb(model, block, *found)


@functools.cache
def _tree(K, uses_x):
    """Return the tree of a flat gate of K experts, as a compiled pass takes it."""
    from .._kernels import compiled  # numba is imported here, at first use

    return compiled._tree(Branches.flat(K), (uses_x,))


def _as_declared(part):
    """Return whether no verb of a part is other than that of the class that has its kernel."""
    family = type(part).__mro__
    owner = next(i for i, each in enumerate(family) if "kernel" in vars(each))
    verbs = {name for each in family[owner:] for name in vars(each) if not name.startswith("__")}
    own = {name: value for each in family[:owner] for name, value in vars(each).items()}
    return not any(callable(value) for name, value in own.items() if name in verbs)


class FusedClimb:
    """Iterations of EM of softmax or constant gates with linear experts of one output."""

    def __init__(self, model, block, gate, expert):
        self.model, self.gate, self.expert = model, gate, expert
        self.p = block.X.shape[1]
        self._rows = (
            np.ascontiguousarray(block.X, dtype=np.float64),
            np.ascontiguousarray(block.y, dtype=np.float64),
            np.ascontiguousarray(block.weight, dtype=np.float64),
        )
        self._columns = tuple(
            design_rows(columns, self.p) for columns in (model.gate_columns, model.expert_columns)
        )
        self._of_expert = np.append(self._columns[1], 1 + self.p)
        self._sees_all = model.expert_columns is None
        self._settings = (*gate.settings, *expert.settings)
        self._known = self._path = self._gains = None

    def suits(self, params) -> bool:
        """Return whether params are of a size that is climbed here."""
        return self._suits(params["expert"]["coef"].shape[0])

    def _suits(self, K):
        P = len(self._columns[0])
        return P == 1 or (K * P <= LARGEST and sr.curvature(K, P) is True)

    def start(self, target):
        """Return what `MixtureModel.init` does, or None where that is to be asked.

        `target` (n, K) are the responsibilities with the weights in them.
        """
        K, P = target.shape[1], len(self._columns[0])
        if not self._suits(K):
            return None
        target = np.ascontiguousarray(target)
        seen = sr.start_rows(self._rows[0], target, P) if P > 1 else (self._rows[0], target)
        theta = np.empty(K * (P + len(self._columns[1]) + 1))
        self._path, self._gains = np.zeros((3, len(theta))), np.zeros(3)
        sums = self._room(K)
        *_, status = self._call(theta, sums, np.nan, 0, NO_LIMITS, 1, False, target, *seen)
        return None if status else self._params(theta, K)

    def begin(self, params) -> float:
        """Return the penalised objective of params, from which `run` may go on."""
        self._known = None
        theta, sums, history, *_ = self._climb(params, np.nan, 0, NO_LIMITS, 1, False)
        self._known = params, theta, sums
        return float(history[0])

    def run(self, params, value, *, max_iter, threshold, blur, bar, accelerated) -> Climbed:
        """Return where iterations from params lead, with the objective `value`.

        Parameters
        ----------
        params : Params
        value : float
        max_iter : int
        threshold : float
            The gain, and what is expected still to come, at which to end.
        blur : float
            The change of the objective that is nothing but rounding.
        bar : tuple of float, float and int
            The objective that a climb is to promise, how many times its gain of the last iterations
            it is trusted to gain still, and how many iterations these are.
        accelerated : bool
            Whether the path is extrapolated after every two steps.
        """
        promise, reach, short = bar
        theta, sums, history, done, status = self._climb(
            params, value, max_iter, (threshold, blur, promise, reach), short, accelerated
        )
        K = len(sums.grams)
        # A copy, for the next call goes on in theta itself.
        reached = self._params(theta.copy(), K) if done else params
        self._known = reached, theta, sums
        return Climbed(
            reached,
            self._statistics(reached, K, sums, theta, history[done]) if done else None,
            history[1 : done + 1],
            float(self._gains[0]) or None,
            float(self._gains[1]) or None,
            status == 2,
            status > 0,
        )

    def _climb(self, params, value, max_iter, limits, short, accelerated):
        """Call the compiled climb.

        Returns the numbers at its end, their sums, the objectives on the way, how many iterations
        it made and its status.
        """
        if self._known is not None and self._known[0] is params:
            _, theta, sums = self._known
        else:  # the climb begins here, or goes on where others have been
            leaves = [params["gate"][name] for name in self.gate.leaves]
            leaves += [params["expert"][name] for name in self.expert.leaves]
            theta = np.concatenate([leaf.ravel() for leaf in leaves])
            sums, value = self._room(len(leaves[0])), np.nan
            self._path, self._gains = np.zeros((3, len(theta))), np.zeros(3)
        nothing = np.empty((0, len(sums.grams)))
        seen = nothing, self._rows[0], nothing
        return (
            theta,
            sums,
            *self._call(theta, sums, value, max_iter, limits, short, accelerated, *seen),
        )

    def _call(self, theta, sums, value, max_iter, limits, short, accelerated, *target):
        """Call the compiled climb; return the objectives, the iterations made and the status."""
        from .._kernels import compiled  # numba is imported here, at first use

        history, K = np.empty(max_iter + 1), len(sums.grams)
        ridge = max(self._settings[0], sr.START_ALPHA)
        return history, *compiled.climb_softmax_gaussian(
            compiled.chunk_address(),
            *self._rows,
            theta,
            *self._columns,
            *_tree(K, self.model.gate.inputs.uses_x),
            np.array([*self._settings, *limits, ridge, sr.START_STEPS]),
            self._scatter(K),
            value,
            max_iter,
            short,
            accelerated,
            sums.gradient.shape[1],
            sums.row,
            self._path,
            self._gains,
            history,
            *target,
        )

    def _scatter(self, K):
        """Return the scatter of the variances' pseudo-rows, (K,)."""
        return np.ascontiguousarray(np.broadcast_to(self.expert.scatter, K), dtype=np.float64)

    def _room(self, K):
        """Return room for the `_Sums` of a pass."""
        P, uses_x = 2 + self.p, self.model.gate.inputs.uses_x
        own, n_pairs = (1 + self.p, K * (K - 1) // 2) if uses_x else (1, 0)
        d = K * own
        e = d + n_pairs * own**2
        row = np.zeros(e + K * P**2)
        hessian, grams = row[d:e].reshape(n_pairs, own, own), row[e:].reshape(K, P, P)
        return _Sums(row, row[:d].reshape(K, own), hessian, grams)

    def _params(self, theta, K):
        """Return the params of K experts whose numbers are theta."""
        gate, expert = (len(columns) for columns in self._columns)
        d, e = K * gate, K * (gate + expert)
        coef = theta[:d].reshape(K, gate) if self.model.gate.inputs.uses_x else theta[:d]
        return {
            "gate": {self.gate.leaves[0]: coef},
            "expert": dict(
                zip(
                    self.expert.leaves,
                    (theta[d:e].reshape(K, 1, expert), theta[e:].reshape(K, 1, 1)),
                    strict=True,
                )
            ),
        }

    def _statistics(self, params, K, sums, theta, value):
        """Return the statistics whose numbers are those sums, `value` the penalised objective."""
        from .._kernels import compiled

        model, uses_x = self.model, self.model.gate.inputs.uses_x
        gate, expert = (len(columns) for columns in self._columns)
        d, e = K * gate, K * (gate + expert)
        V, B = theta[:d].reshape(K, gate), theta[d:e].reshape(K, expert)
        prior = compiled.prior_softmax_gaussian(
            V, B, theta[e:], *self._settings[:3], self._scatter(K)
        )
        _, gradient, hessian, grams = sums
        grams = compiled._mirror(grams)
        return Statistics(
            objective=float(value - prior),
            resp=grams[:, 0, 0].copy(),
            gate=gate_statistics(
                model,
                params,
                self.p,
                Branches.flat(K),
                gradient.copy(),
                [compiled._curvature(hessian, K, uses_x)],
                [np.add.reduce(grams, axis=0)],
            ),
            expert=model.expert.kernel.statistics(
                model.expert,
                params["expert"],
                grams if self._sees_all else grams[:, self._of_expert[:, None], self._of_expert],
                2,
            ),
        )
