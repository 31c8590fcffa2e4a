"""What a fitted model keeps of large statistics, for on-line training to go on from: little.

A sum of z zᵀ has one number for every pair of columns, and soon as many more than the parameters.
What is small is kept as it is. Of a large symmetric matrix the triangular factor is kept, in
single precision: half of half the bytes, and what it says of the last column given the others (the
noise of an expert) keeps its seven digits however small it is, as those of the matrix would not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .statistics import Statistics

SMALL = 32
"""Columns up to which a matrix is kept as it is."""
JITTERS = (0.0, 1e-12, 1e-9)
"""What is added to a unit diagonal until there is a factor: a matrix may be singular."""
SKEW = 1e-10
"""Relative difference of the two halves up to which they are one but for rounding."""
SPARE = {"hessian": "gram"}
"""Statistics of which large ones are not kept, where these stand beside them: `carry` puts a bound
in their place."""


@dataclass(frozen=True)
class Factor:
    """Symmetric positive semidefinite matrices M = D Rᵀ R D, in single precision.

    Attributes
    ----------
    shape : tuple of int, of the array that was packed
    scale : ndarray of shape (m, d), the diagonals of D
    upper : ndarray of float32 of shape (m, d (d + 1) / 2), the rows of R from the diagonal on
    """

    shape: tuple[int, ...]
    scale: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, array) -> Factor | None:
        """Return the factors of an array (..., d, d) or (..., c, d, c, d); None if it has none."""
        d = _columns(array)
        matrices = array.reshape(-1, d, d)
        scale = np.sqrt(np.maximum(np.diagonal(matrices, axis1=1, axis2=2), 0.0))
        inverse = 1 / np.where(scale > 0, scale, 1.0)
        scaled = matrices * inverse[:, :, None] * inverse[:, None, :]
        if not np.isfinite(scaled).all() or _skew(scaled) > SKEW:
            return None
        scaled[:, np.arange(d), np.arange(d)] = 1.0  # of a column of zeros, too: D is 0 there
        for jitter in JITTERS:
            try:
                lower = np.linalg.cholesky(scaled + jitter * np.eye(d))
            except np.linalg.LinAlgError:
                continue
            i, j = np.tril_indices(d)
            return cls(array.shape, scale, lower[:, i, j].astype(np.float32))
        return None

    def unpacked(self) -> np.ndarray:
        """Return the array, in double precision."""
        d = self.scale.shape[1]
        lower = np.zeros((len(self.scale), d, d))
        i, j = np.tril_indices(d)
        lower[:, i, j] = self.upper
        lower *= self.scale[:, :, None]
        return (lower @ lower.swapaxes(1, 2)).reshape(self.shape)


def pack(stats, spare=False):
    """Return statistics for keeping; `spare`: without the large ones that can be done without.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.parts.packing import pack, unpack
    >>> from classic_moe.parts.statistics import Statistics
    >>> Z = np.random.default_rng(0).standard_normal((500, 100))
    >>> packed = pack(Statistics(gram=Z.T @ Z))
    >>> packed["gram"].upper.nbytes, bool(np.allclose(unpack(packed)["gram"], Z.T @ Z))
    (20200, True)
    """
    kept = {}
    for name, own in stats.items():
        if isinstance(own, dict):
            kept[name] = pack(own, spare)
        elif _columns(own) <= SMALL:
            kept[name] = own
        elif not (spare and SPARE.get(name) in stats):
            factor = Factor.of(own)
            kept[name] = own if factor is None else factor
    return Statistics(kept)


def unpack(stats) -> Statistics:
    """Return the statistics that were packed, as far as they were kept."""
    return Statistics(
        {
            name: unpack(own)
            if isinstance(own, dict)
            else own.unpacked()
            if isinstance(own, Factor)
            else own
            for name, own in stats.items()
        }
    )


def _columns(own):
    """Return d of an array of d × d matrices, pairs of axes counted as one; 0 of any other."""
    shape = np.shape(own)
    if len(shape) >= 4 and shape[-4:-2] == shape[-2:]:
        return shape[-2] * shape[-1]
    return shape[-1] if len(shape) >= 2 and shape[-2] == shape[-1] else 0


def _skew(matrices):
    """Return the largest difference of two halves."""
    return np.abs(matrices - matrices.swapaxes(1, 2)).max(initial=0.0)
