"""Which models climb in compiled code, whole iterations of EM at a time, and how that is called.

The E-step, both M-steps and the priors of one iteration take less time than what stands between
them in Python, on some thousand rows. A compiled climb is optional and must take the steps of
`solvers.em`; where one is no success it hands back, and these go on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._kernels.array import Branches, is_host
from ..data.batches import CHUNK, whole
from ..parts.params import Params
from ..parts.softmax_regression import curvature
from ..parts.statistics import Statistics
from . import fused_pass
from ._spread import design_rows, gate_statistics, node_grams

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


def lookup(model, batches):
    """Return the `FusedClimb` of a model on rows in one chunk; None where there is none."""
    kernels = model.gate.kernel, model.expert.kernel
    if None in kernels or batches.n > CHUNK or model.offset_column is not None or model.models_x:
        return None
    parts = model.gate, model.expert
    if any(kernel.climb is None for kernel in kernels) or not all(map(_as_declared, parts)):
        return None
    found = [kernel.climb(part) for kernel, part in zip(kernels, parts, strict=True)]
    if None in found or tuple(kernel.name for kernel in kernels) != ("softmax", "linear_gaussian"):
        return None
    block = whole(batches)
    plain = not block.facts and is_host(block.X) and block.y.shape[1] == 1 and block.X.shape[1]
    if not plain or fused_pass.lookup(model, block.X, block.y) is None:
        return None
    return FusedClimb(model, block, *found)


def _as_declared(part):
    """Return whether no verb of a part is other than that of the class that has its kernel."""
    family = type(part).__mro__
    owner = next(i for i, each in enumerate(family) if "kernel" in vars(each))
    verbs = {name for each in family[owner:] for name in vars(each) if not name.startswith("__")}
    own = {name: value for each in family[:owner] for name, value in vars(each).items()}
    return not any(callable(value) for name, value in own.items() if name in verbs)


class _End(NamedTuple):
    """What a call of the compiled climb leaves: see there."""

    theta: np.ndarray
    leaves: list
    sums: tuple
    prior: float
    done: int
    status: int


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
        self._known = self._path = self._gains = None

    def suits(self, params) -> bool:
        """Return whether params are of a size that is climbed here."""
        K, P = params["expert"]["coef"].shape[0], len(self._columns[0])
        return P == 1 or (K * P <= LARGEST and curvature(K, P) is True)

    def begin(self, params) -> float:
        """Return the penalised objective of params, from which `run` may go on."""
        self._known = None
        end, history = self._climb(params, np.nan, 0, (0.0, 0.0, -np.inf, 1.0), 1, False)
        self._known = params, end.sums
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
        end, history = self._climb(
            params, value, max_iter, (threshold, blur, promise, reach), short, accelerated
        )
        reached = self._params(end.theta, end.leaves) if end.done else params
        self._known = reached, end.sums
        objective = history[end.done] - end.prior
        return Climbed(
            reached,
            self._statistics(reached, len(end.leaves[0]), end.sums, objective),
            history[1 : end.done + 1],
            float(self._gains[0]) or None,
            float(self._gains[1]) or None,
            end.status == 2,
            end.status > 0,
        )

    def _climb(self, params, value, max_iter, limits, short, accelerated):
        """Call the compiled climb; return its end and the objectives on the way."""
        from .._kernels import compiled  # numba is imported here, at first use

        leaves = [params["gate"][name] for name in self.gate.leaves]
        leaves += [params["expert"][name] for name in self.expert.leaves]
        theta = np.concatenate([np.ravel(leaf) for leaf in leaves])
        K, uses_x = len(leaves[0]), self.model.gate.inputs.uses_x
        tree = compiled._tree(Branches.flat(K), (uses_x,))
        if self._known is not None and self._known[0] is params:
            sums = self._known[1]
        else:  # the climb begins here, or goes on where others have been
            sums, value = self._zeros(K, len(tree[2])), np.nan
            self._path, self._gains = np.zeros((3, len(theta))), np.zeros(3)
        history = np.empty(max_iter + 1)
        numbers = np.array([*self.gate.settings, *self.expert.settings, *limits])
        rest = numbers, value, max_iter, short, accelerated, *sums
        found = compiled.climb_softmax_gaussian(
            *self._rows,
            theta,
            *self._columns,
            *tree,
            *rest,
            self._path,
            self._gains,
            history,
        )
        pieces = np.split(theta, np.cumsum([leaf.size for leaf in leaves])[:-1])
        V, B, variance = pieces[0].reshape(K, -1), pieces[1].reshape(K, -1), pieces[2]
        prior = compiled.prior_softmax_gaussian(V, B, variance, *numbers[:3])
        return _End(theta, leaves, sums, prior, *found), history

    def _zeros(self, K, n_pairs):
        """Return room for the sums of a pass: gradient, Hessian's Grams and the experts' Grams."""
        P, own = 2 + self.p, 1 + self.p if self.model.gate.inputs.uses_x else 1
        return np.zeros((K, own)), np.zeros((n_pairs, own, own)), np.zeros((K, P, P))

    def _params(self, theta, leaves):
        """Return the params whose numbers are theta."""
        pieces = np.split(theta, np.cumsum([leaf.size for leaf in leaves])[:-1])
        values = [piece.reshape(leaf.shape) for piece, leaf in zip(pieces, leaves, strict=True)]
        own = len(self.gate.leaves)
        return {
            "gate": dict(zip(self.gate.leaves, values[:own], strict=True)),
            "expert": dict(zip(self.expert.leaves, values[own:], strict=True)),
        }

    def _statistics(self, params, K, sums, objective):
        """Return the statistics whose numbers are those sums."""
        from .._kernels import compiled

        model, uses_x = self.model, self.model.gate.inputs.uses_x
        branches = Branches.flat(K)
        gradient, hessian, grams = sums
        grams = compiled._mirror(grams)
        rows = np.append(self._columns[1], 1 + self.p)
        return Statistics(
            objective=float(objective),
            resp=grams[:, 0, 0].copy(),
            gate=gate_statistics(
                model,
                params,
                self.p,
                branches,
                gradient.copy(),
                compiled._of_nodes(hessian, branches, (uses_x,)),
                node_grams(branches, grams),
            ),
            expert=model.expert.kernel.statistics(
                model.expert, params["expert"], grams[:, rows[:, None], rows], 2
            ),
        )
