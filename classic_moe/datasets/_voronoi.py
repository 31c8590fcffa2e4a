"""A line in each of many cells: data for which many experts are needed, and few of them a row."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._make import MixtureTruth, _check_count, _check_noise, _draw


def make_voronoi_pieces(
    n_samples: int = 2000,
    n_features: int = 2,
    n_pieces: int = 16,
    *,
    noise: float = 0.1,
    sharpness: float = 400.0,
    random_state: int | np.random.RandomState | None = None,
    return_truth: bool = False,
) -> tuple[Any, ...]:
    """Make a regression with a linear piece in every cell around random points.

    X is uniform on [-1, 1]^p, and so are the points, one a piece. A row follows the line of a point
    c_k that is drawn with probability ∝ exp(-½ s \\|x - c_k\\|²), s being the sharpness: a softmax
    gate, for the logarithm is s c_kᵀx - ½ s \\|c_k\\|² but for what all have in common. So the data
    are an exact mixture of linear experts, and for large s the cells are those of Voronoi [1]_. Of
    many experts one or two are responsible anywhere, and some have few rows: what sparse mixtures
    are for.

    Parameters
    ----------
    n_samples : int, default=2000
        Number of rows, n.
    n_features : int, default=2
        Number of features, p. Two, because that can be drawn.
    n_pieces : int, default=16
        Number of pieces, K.
    noise : float or array-like of shape (n_pieces,), default=0.1
        Standard deviation of y around its line, one for all or one per piece. Lines are normal with
        standard deviation 1 at their point, and slopes with standard deviation 2.
    sharpness : float, default=400.0
        s above. At 400 the probability changes over from 10 % to 90 % within 0.011 / d, d being the
        distance of the points of both cells; large numbers give hard edges.
    random_state : int, RandomState instance or None, default=None
        Seed for the points, the lines and the rows. Points and lines depend on it, ``n_features``
        and ``n_pieces`` alone.
    return_truth : bool, default=False
        Also return the mixture the data were drawn from.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    truth : MixtureTruth
        Only if ``return_truth`` is True; see `make_piecewise_regression`.

    Raises
    ------
    ValueError
        If a number of rows, features or pieces is not a whole number of at least 1; if ``noise`` is
        negative, not finite, or neither one number nor one per piece; if ``sharpness`` is not
        positive and finite.

    References
    ----------
    .. [1] Aurenhammer, F. (1991). Voronoi diagrams: a survey of a fundamental geometric data
       structure. ACM Computing Surveys 23, 345-405.

    Examples
    --------
    >>> from classic_moe.datasets import make_voronoi_pieces
    >>> X, y, truth = make_voronoi_pieces(500, n_pieces=5, random_state=0, return_truth=True)
    >>> X.shape, truth.gate_proba(X).shape
    ((500, 2), (500, 5))
    """
    _check_count("n_samples", n_samples)
    _check_count("n_features", n_features)
    _check_count("n_pieces", n_pieces)
    noise = _check_noise(noise, n_pieces, "piece")
    if not (isinstance(sharpness, Real) and 0 < sharpness < np.inf):
        raise ValueError(
            f"sharpness must be positive and finite, got {sharpness!r};"
            " use a large number such as 1e4 for hard edges"
        )
    rng = check_random_state(random_state)
    points = rng.uniform(-1, 1, size=(n_pieces, n_features))
    slopes = 2 * rng.standard_normal((n_pieces, n_features))
    heights = rng.standard_normal(n_pieces)
    squares = (points**2).sum(axis=1)
    params = {
        "gate": {
            "coef": sharpness * (points - points[-1]),
            "intercept": -0.5 * sharpness * (squares - squares[-1]),
        },
        "expert": {
            "coef": slopes,
            "intercept": heights - (slopes * points).sum(axis=1),
            "scale": noise,
        },
    }
    X, y, truth = _draw(MixtureTruth(params), n_samples, rng)
    return (X, y, truth) if return_truth else (X, y)
