"""Arrays of other libraries for the tests: where they lie, and data that are quick to fit."""

import os

import numpy as np
import pytest

from classic_moe._kernels import array

NAMES = ["strict", "torch"]
if os.environ.get("CLASSIC_MOE_DEVICE") in ("cupy", "cuda"):
    NAMES.append(os.environ["CLASSIC_MOE_DEVICE"])
"""The libraries that are tested; on a machine with a GPU its own is asked for by a variable."""


def library_of(name):
    """Return a function from arrays of numpy to those of a library, on what counts as a device.

    "strict" has a second device, from which nothing can be read unasked; torch's tensors on the
    CPU count as one where the fixture `there` says so.
    """
    if name == "strict":
        strict = pytest.importorskip("array_api_strict")
        device = strict.Device("device1")
        return lambda values: strict.asarray(np.array(values), device=device)
    if name == "cupy":
        cupy = pytest.importorskip("cupy")
        return lambda values: cupy.asarray(np.array(values))
    torch = pytest.importorskip("torch", reason="torch is not installed (it is optional)")
    place = "cuda" if name == "cuda" else "cpu"
    return lambda values: torch.asarray(np.array(values), device=place)


def host(values):
    """Return numbers wherever they are as numpy's."""
    return array.to_host(values)


def inputs(n=900, p=3, seed=0):
    """Return a generator of random numbers, X (n, p) and a function of it with a kink, (n,)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return rng, X, np.where(X[:, 0] > 0, 1 + X[:, 1], -X[:, 1] - 0.5 * X[:, 2])


def mixed_columns(X, rng):
    """Return X with a column of numbers, one of counts and one of codes of three levels."""
    counts, codes = rng.poisson(np.exp(0.5 * X[:, 1])), rng.integers(0, 3, len(X))
    return np.column_stack([X[:, 0], counts, codes]).astype(float)


def target(family, f, rng):
    """Return y (n,) or (n, 2) of a family of experts around a function f (n,)."""
    mean = np.exp(np.clip(f, -2, 2))
    n = len(f)
    if family in ("linear", "gaussian"):
        return f + 0.4 * rng.normal(size=n)
    if family == "student_t":
        return f + 0.4 * rng.standard_t(3, size=n)
    if family == "laplace":
        return f + 0.4 * rng.laplace(size=n)
    if family == "poisson":
        return rng.poisson(mean).astype(float)
    if family == "negative_binomial":
        return rng.poisson(mean * rng.gamma(2, 0.5, size=n)).astype(float)
    if family == "gamma":
        return mean * rng.gamma(2, 0.5, size=n)
    if family == "binomial":
        successes = rng.binomial(5, 1 / (1 + np.exp(-f)))
        return np.column_stack([successes, 5 - successes]).astype(float)
    noisy = f + 0.4 * rng.normal(size=n)
    return np.digitize(noisy, [-0.5, 1.0]) if family == "softmax" else (noisy > 0) * 1
