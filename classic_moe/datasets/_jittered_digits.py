"""Handwritten digits at random places of a canvas: what it is, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state

from ._make import _check_count

SIDE = 8
TRAINING = 1300


def make_jittered_digits(
    *, canvas: int = 12, n_copies: int = 3, random_state: int | np.random.RandomState | None = None
) -> Any:
    """Put scikit-learn's digits at random places of a larger, empty canvas.

    A toy version of the jittered MNIST of [1]_: where a digit stands says nothing of what it is. So
    a deep mixture may divide its work, by place in one layer and by kind in the next.

    Parameters
    ----------
    canvas : int, default=12
        Side of the canvas in pixels, at least 9; the images have 8.
    n_copies : int, default=3
        Copies of each of 1,300 images, each at a place of its own; of the other 497, on which no
        training image is, there are two.
    random_state : int, RandomState instance or None, default=None
        For the choice of the images and the places.

    Returns
    -------
    Bunch
        ``data`` (n, canvas²), pixels from 0 to 1; ``target`` (n,), the digit; ``place`` (n, 2), the
        offsets of the image, 0 to canvas - 8; ``where`` (n,), which of three by three regions of
        the canvas that is, 0 to 8; and ``data_test``, ``target_test``, ``place_test``,
        ``where_test`` for the other images.

    Raises
    ------
    ValueError
        For a canvas that leaves no room, or less than one copy.

    References
    ----------
    .. [1] Eigen, D., Ranzato, M. & Sutskever, I. (2013). Learning factored representations in a
       deep mixture of experts. arXiv:1312.4314.

    Examples
    --------
    >>> from classic_moe.datasets import make_jittered_digits
    >>> digits = make_jittered_digits(random_state=0)
    >>> digits.data.shape, digits.data_test.shape
    ((3900, 144), (994, 144))
    """
    _check_count("canvas", canvas)
    _check_count("n_copies", n_copies)
    if canvas <= SIDE:
        raise ValueError(f"canvas={canvas} leaves the images of {SIDE} no room; use 9 or more.")
    rng = check_random_state(random_state)
    images, target = load_digits(return_X_y=True)
    order = rng.permutation(len(target))
    found = Bunch()
    for suffix, rows in (("", order[:TRAINING]), ("_test", order[TRAINING:])):
        rows = np.tile(rows, 2 if suffix else n_copies)
        place = rng.randint(canvas - SIDE + 1, size=(len(rows), 2))
        found["data" + suffix] = _placed(images[rows] / 16, place, canvas)
        found["target" + suffix], found["place" + suffix] = target[rows], place
        thirds = place * 3 // (canvas - SIDE + 1)
        found["where" + suffix] = 3 * thirds[:, 0] + thirds[:, 1]
    return found


def _placed(images, place, canvas):
    """Return flat images (n, 64) at offsets (n, 2) of an empty canvas, (n, canvas²)."""
    out = np.zeros((len(images), canvas, canvas))
    rows = place[:, 0, None] + np.arange(SIDE)
    columns = place[:, 1, None] + np.arange(SIDE)
    at = np.arange(len(images))[:, None, None]
    out[at, rows[:, :, None], columns[:, None, :]] = images.reshape(-1, SIDE, SIDE)
    return out.reshape(len(images), -1)
