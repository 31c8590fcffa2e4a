"""Arrays on a device, of CuPy or torch: which they are, and their units."""

from __future__ import annotations

import numpy as np
import sklearn

from .._kernels import array
from .._kernels.array import columns_at, is_elsewhere, library, like, to_host
from ..parts.storage import is_lazy

ROOM, LEAST_ROOM = 2**30, 2**26
"""Bytes that a block may take with all that is made of it, where nobody says how many there are;
and at least."""
SHARE = 4
"""The part of a device's free memory that they may take is one in so many."""
NUMBERS = 64
"""Numbers that are made of each number of a row of [1, x, y], about, in a pass."""
LEAST_ROWS = 1024
MOST = float(np.finfo(np.float64).max)


# -- which arrays ---------------------------------------------------------------------------------


def received(values, name="X"):
    """Return the caller's values with other libraries' arrays in the form in which they are read.

    Those in the host's memory are numpy's, which shares the memory; those on a device stay as they
    are. What is no array, and what is numpy's, is returned as it is.

    Raises
    ------
    TypeError
        For an array on a device which scikit-learn is not set to compute on, or which has no
        float64; and for a collection of dask.
    """
    if is_lazy(values):
        raise TypeError(
            f"{name} is a collection of dask, and is needed in memory here; pass {name}.compute()."
        )
    if not is_elsewhere(values):
        return values
    on_host = array.lies_on_host(values)
    if not sklearn.get_config()["array_api_dispatch"]:
        if on_host:
            return values  # which scikit-learn's validation makes one of numpy
        raise TypeError(
            f"{name} lies on {place(values)}; set sklearn.set_config(array_api_dispatch=True) (with"
            " SCIPY_ARRAY_API=1 in the environment) to compute there, or pass"
            f" {array.copied(values, name)}."
        )
    if on_host:
        return array.as_numpy(values)
    if "float64" not in array.namespace(values).__array_namespace_info__().dtypes(
        device=values.device
    ):
        raise TypeError(
            f"device {str(values.device)!r} has no float64, which the sums need; use 'cpu' or"
            " 'cuda'."
        )
    return values


def place(values):
    """Return in words where an array lies, a str."""
    name = library(values)
    return name if name == "cupy" else f"{values.device} of {name}"


# -- units ----------------------------------------------------------------------------------------


def moments(V, weight, columns=None):
    """Return powers of two of columns, and sizes, means and deviations without them, (m,) each.

    As `units._moments` does, in two passes, but where V lies; `weight` (n,) is there or on the
    host.
    """
    xp = array.namespace(V)
    V = V if columns is None else columns_at(V, columns)
    weight = like(V, weight) if array.is_host(weight) else weight
    total = float(xp.sum(weight))
    size = to_host(xp.max(xp.abs(V), axis=0)).astype(np.float64)
    exponent = np.frexp(size)[1]
    first, around, squares = 0.0, 0.0, 0.0
    blocks = [
        slice(a, min(a + block_rows(V), V.shape[0])) for a in range(0, V.shape[0], block_rows(V))
    ]
    powers = _powers(V, exponent)
    for rows in blocks:
        first = first + weight[rows] @ _without(powers, V[rows, ...])
    mean = first / total
    for rows in blocks:
        gap = _without(powers, V[rows, ...]) - mean
        around, squares = around + weight[rows] @ gap, squares + weight[rows] @ (gap * gap)
    mean, around, squares = to_host((mean, around / total, squares / total))
    spread = np.sqrt(np.maximum(squares - around**2, 0.0))
    return exponent, np.ldexp(size, -exponent), mean + around, spread


def standardised(scaling, V, far):
    """Return rows of V in internal units, (n, m), as `Scaling.apply` does, where V lies."""
    xp = array.namespace(V)
    V = V if scaling.source is None else columns_at(V, scaling.source)
    center, factor = like(V, scaling.center, scaling.factor)
    single = V.dtype == xp.float32
    inner = xp.clip(_without(_powers(V, scaling.exponent), V), -MOST, MOST)
    inner = xp.clip((inner - center) * factor, -far, far)
    if scaling.rotation is not None:
        inner = inner @ like(V, scaling.rotation)
    return xp.astype(inner, xp.float32) if single else inner


def _powers(V, exponent):
    """Return 2^-exponent where V lies, as two factors, since one may be no number; (m,) each."""
    half = exponent // 2
    return like(V, np.ldexp(1.0, -half), np.ldexp(1.0, half - exponent))


def _without(powers, V):
    """Return V in double precision with powers of two taken out, (n, m)."""
    return array.namespace(V).astype(V, array.namespace(V).float64) * powers[0] * powers[1]


def block_rows(V):
    """Return how many rows of V are looked at in one go, an int."""
    return max(LEAST_ROWS, room(V) // (8 * NUMBERS * (1 + V.shape[1])))


def room(values):
    """Return the bytes that a block of rows may take with all that is made of it, an int."""
    if library(values) == "cupy":
        return max(LEAST_ROOM, values.device.mem_info[0] // SHARE)
    if library(values) == "torch" and values.device.type == "cuda":
        import torch  # the library of the values

        return max(LEAST_ROOM, torch.cuda.mem_get_info(values.device)[0] // SHARE)
    return ROOM
