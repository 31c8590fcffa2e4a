"""Regressions drawn from a random hierarchical mixture of linear experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.utils import check_random_state

from ._make import MixtureTruth, _check_count, _check_noise, _draw

_SCOUTS = 4000
"""Points that place the cuts; fixed, so that the mixture does not depend on the rows asked for."""
_OWN_SCOUTS = 8
"""As many of them at least for a leaf, so that the last cuts lie between some."""


@dataclass(frozen=True, eq=False)
class HierarchyTruth(MixtureTruth):
    """The hierarchical mixture a data set was drawn from, and which leaf made each row.

    Attributes
    ----------
    params : dict
        ``{"gate": {node id: {"coef": (children, p), "intercept": (children,)}}, "expert":
        {"coef": (K, p), "intercept": (K,), "scale": (K,)}}``. Node ids are paths from the root:
        "root", "0", "1", "0.1". Log-odds of a node are against its last child.
    labels : ndarray of int, shape (n,)
        The leaf, that is the expert, that made each row; leaves count from left to right.
    """

    def gate_proba(self, X):
        """Probability of each leaf given x, before y is seen: (n, K)."""
        return np.hstack(list(self._leaves(np.asarray(X, dtype=float), ())))

    def _leaves(self, X, path):
        gate = self.params["gate"].get(".".join(map(str, path)) or "root")
        if gate is None:
            yield np.ones((len(X), 1))
            return
        proba = softmax(X @ gate["coef"].T + gate["intercept"], axis=1)
        for child in range(proba.shape[1]):
            for leaf in self._leaves(X, (*path, child)):
                yield proba[:, [child]] * leaf


def make_hme(
    n_samples: int = 1000,
    n_features: int = 2,
    *,
    branching: Any = 2,
    depth: int = 2,
    noise: float = 0.1,
    sharpness: float = 20.0,
    random_state: int | np.random.RandomState | None = None,
    return_truth: bool = False,
) -> tuple[Any, ...]:
    """Make a regression from a random hierarchical mixture of linear experts.

    X is uniform on [-1, 1]. Every node of the tree cuts its region into slices of about equal
    probability, across a random direction, one for each child; at the leaves stand random linear
    experts. The gates are softmax gates of that direction, so that the data are an exact
    hierarchical mixture of experts [1]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows, n.
    n_features : int, default=2
        Number of features, p. Two, because that can be drawn.
    branching : int or sequence of int, default=2
        Children of a node: one number for all levels, or one for each level from the root.
    depth : int, default=2
        Levels of gates. Ignored where ``branching`` is a sequence.
    noise : float or array-like of shape (K,), default=0.1
        Standard deviation of y around its expert, one for all or one per leaf.
    sharpness : float, default=20.0
        How abrupt the gates are: the change of the log-odds of two neighbouring children over the
        width of a slice.
    random_state : int, RandomState instance or None, default=None
        Seed for the tree, its experts and the rows. The mixture does not depend on ``n_samples`` or
        ``noise``.
    return_truth : bool, default=False
        Also return the mixture the data were drawn from.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    truth : HierarchyTruth
        Only if ``return_truth`` is True. ``truth.labels`` (n,) is the leaf that made each row,
        ``truth.gate_proba(X)`` (n, K) the probability of each leaf, ``truth.predict(X)`` the true
        mean function, ``truth.params`` the coefficients by node.

    Raises
    ------
    ValueError
        If a number of rows, features, children or levels is not a whole number of at least 1; if
        ``noise`` is negative, not finite, or neither one number nor one per leaf; if ``sharpness``
        is not positive and finite.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.

    Examples
    --------
    >>> from classic_moe.datasets import make_hme
    >>> X, y, truth = make_hme(300, branching=(3, 2), random_state=0, return_truth=True)
    >>> X.shape, truth.gate_proba(X).shape
    ((300, 2), (300, 6))
    >>> list(truth.params["gate"])
    ['root', '0', '1', '2']
    """
    _check_count("n_samples", n_samples)
    _check_count("n_features", n_features)
    _check_count("depth", depth)
    if isinstance(branching, Integral):
        branching = [branching] * depth
    elif not isinstance(branching, Sequence | np.ndarray):
        _check_count("branching", branching)
    for children in branching:
        _check_count("branching", children)
    n_leaves = int(np.prod(branching))
    noise = _check_noise(noise, n_leaves, "leaf")
    if not (isinstance(sharpness, Real) and 0 < sharpness < np.inf):
        raise ValueError(
            f"sharpness must be positive and finite, got {sharpness!r}; "
            "use a large number such as 1e3 for hard edges"
        )
    rng = check_random_state(random_state)

    gates = {}
    scouts = rng.uniform(-1, 1, size=(max(_SCOUTS, _OWN_SCOUTS * n_leaves), n_features))
    _grow(gates, (), list(branching), scouts, sharpness, rng)
    expert = {
        "coef": rng.uniform(-2, 2, size=(n_leaves, n_features)),
        "intercept": rng.uniform(-2, 2, size=n_leaves),
        "scale": noise,
    }
    X, y, truth = _draw(HierarchyTruth({"gate": gates, "expert": expert}), n_samples, rng)
    return (X, y, truth) if return_truth else (X, y)


def _grow(gates, path, branching, scouts, sharpness, rng):
    """Put the gates of a node and of all below it into `gates`; `scouts` are points it governs."""
    if not branching:
        return
    n_children, *below = branching
    direction = rng.standard_normal(scouts.shape[1])
    direction /= np.linalg.norm(direction)
    along = scouts @ direction
    edges = np.quantile(along, np.linspace(0, 1, n_children + 1))
    cuts, width = edges[1:-1], (edges[-1] - edges[0]) / n_children
    slope = sharpness / width
    child = np.arange(n_children)
    intercept = np.concatenate([[0.0], np.cumsum(-slope * cuts)])  # neighbours are equal at a cut
    gates[".".join(map(str, path)) or "root"] = {
        "coef": slope * (child - child[-1])[:, None] * direction,
        "intercept": intercept - intercept[-1],
    }
    own = np.searchsorted(cuts, along)
    for c in child:
        _grow(gates, (*path, c), below, scouts[own == c], sharpness, rng)
