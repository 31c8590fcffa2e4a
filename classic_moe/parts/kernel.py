"""What a compiled pass needs to know of a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Kernel(NamedTuple):
    """The formulas of a part, as a compiled pass knows them; the attribute `kernel` of the part.

    Attributes
    ----------
    name : str
        Under which the table of passes, `model.fused_pass.TABLE`, knows the formulas.
    params : callable
        ``params(part, params)`` returns the numbers that the pass takes; of a gate the coefficients
        of its scores (M, 1 + p) and its `Branches`.
    statistics : callable
        ``statistics(part, params, *sums)`` returns the part's statistics from what the pass sums;
        of a gate from a list of `NodeSums`, one a node.
    """

    name: str
    params: Callable
    statistics: Callable
