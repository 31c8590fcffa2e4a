"""What a compiled pass needs to know of a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np


class Kernel(NamedTuple):
    """The formulas of a part, as a compiled pass knows them; the attribute `kernel` of the part.

    Attributes
    ----------
    name : str
        Under which the table of passes, `model.fused_pass.TABLE`, knows the formulas.
    params : callable
        ``params(part, params)`` returns the numbers that the pass takes; of a gate the coefficients
        of its scores (M, 1 + p) and its `Branches`, of a family named "staged" its `Stage`.
    statistics : callable
        ``statistics(part, params, *sums)`` returns the part's statistics from what the pass sums;
        of a gate from a list of `NodeSums`, one a node; of linear Gaussian experts it takes the
        order of the pass last, for one of order 1 sums moments in place of Grams.
    mean : callable, default=None
        ``mean(part, params)`` returns the coefficients of the experts' means, (K, q, 1 + p), of a
        family whose means are linear.
    climb : callable or None
        ``climb(part)`` returns the `Climb` of a part whose M-step is compiled too, with these
        hyper-parameters, or None.
    targets : callable or None
        Of a gate: ``targets(part, resp, branches)`` returns, (n, M), from the responsibilities
        (n, K) what the pass is to sum times z of every branch besides, `NodeSums.moment`.
    others : callable or None
        Of a gate that models x: ``others(gate, params)`` returns, a dict by name, the densities
        that the kernel does not know, their params and the gate's columns that they model.
    """

    name: str
    params: Callable
    statistics: Callable
    mean: Callable | None = None
    climb: Callable | None = None
    targets: Callable | None = None
    others: Callable | None = None


class Climb(NamedTuple):
    """What a compiled iteration of EM needs to know of a part, M-step and prior included.

    Attributes
    ----------
    leaves : tuple of str
        The names of the part's params, in the order in which the iteration takes their numbers.
    settings : tuple of float
        Of the gate its ridge; of the experts their ridge, the pseudo-rows of their variances, and
        the floor of these.
    scatter : ndarray of shape (K,) or (1,), default=None
        Of the experts the scatter of these pseudo-rows.
    """

    leaves: tuple
    settings: tuple
    scatter: np.ndarray | None = None


class Stage(NamedTuple):
    """The elementwise formulas of a family of experts, numpy between the compiled halves of a pass.

    A block of n rows goes through it: scores S = coef z, compiled; `log_prob` of them; the
    responsibilities, compiled; `weights`; the sums that these ask for, compiled.

    Attributes
    ----------
    coef : ndarray of shape (K, r, P)
        What leads from z = [1, x], or from [1, x, y], to the r scores of every expert.
    with_y : bool
        Whether z has y in it.
    log_prob : callable
        ``log_prob(scores, y, offset=None)`` of scores (n, K, r), returns log p_k(y|x), (n, K), and
        whatever `weights` wants to know of the block. Rows are the innermost index of the scores
        in memory, and best stay so.
    weights : callable
        ``weights(known, y, resp, order)`` returns the `Weights` of the block's sums.
    """

    coef: np.ndarray
    with_y: bool
    log_prob: Callable
    weights: Callable


class Weights(NamedTuple):
    """Which sums over a block of rows make the statistics, by name.

    Attributes
    ----------
    grams : dict of ndarray (n, K)
        Σ resp v z zᵀ, (K, P, P), of these v. A name may be missing where its v are all 0.
    moments : dict of ndarray (n, K)
        Σ resp v z, (K, P), of these v.
    plain : dict of ndarray (n, m)
        Σ v z, (m, P), of these v.
    powers : dict of int
        Σ resp z^m, (K, P), of these powers of two m.
    totals : dict of ndarray (K,)
        Sums that need no z, and are already taken.
    """

    grams: Mapping = MappingProxyType({})
    moments: Mapping = MappingProxyType({})
    plain: Mapping = MappingProxyType({})
    powers: Mapping = MappingProxyType({})
    totals: Mapping = MappingProxyType({})
