"""Simulated regressions drawn from a mixture of linear experts, with the truth at hand."""

from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.utils import check_random_state


@dataclass(frozen=True, eq=False)
class MixtureTruth:
    """The mixture of K linear experts a data set was drawn from, and which expert made each row.

    It answers to the methods of a fitted ``MixtureOfExpertsRegressor``, so whatever plots the
    model plots the truth.

    Attributes
    ----------
    params : dict
        ``{"gate": {"coef": (K, p), "intercept": (K,)}, "expert": {"coef": (K, p), "intercept":
        (K,), "scale": (K,)}}``, the form ``init_params`` takes. Gate log-odds are against the
        last expert.
    labels : ndarray of int, shape (n,)
        The expert that made each row.
    """

    params: dict
    labels: np.ndarray | None = field(default=None, repr=False)

    def gate_proba(self, X):
        """Probability of each expert given x, before y is seen: (n, K)."""
        gate = self.params["gate"]
        return softmax(np.asarray(X, dtype=float) @ gate["coef"].T + gate["intercept"], axis=1)

    def predict_experts(self, X):
        """Mean of each expert: (n, K)."""
        expert = self.params["expert"]
        return np.asarray(X, dtype=float) @ expert["coef"].T + expert["intercept"]

    def predict(self, X):
        """The true regression function E(y given x): (n,)."""
        return (self.gate_proba(X) * self.predict_experts(X)).sum(axis=1)


def make_piecewise_regression(
    n_samples: int = 300,
    n_features: int = 1,
    n_pieces: int = 3,
    *,
    noise: float = 0.1,
    sharpness: float = 20.0,
    random_state: int | np.random.RandomState | None = None,
    return_truth: bool = False,
) -> tuple[Any, ...]:
    """Make a regression that follows one line after another along the first feature.

    X is uniform on [-1, 1]. The first feature is cut into ``n_pieces`` pieces of equal width;
    which line a row follows is drawn from a softmax gate that changes over at the cuts, so the
    data are an exact mixture of linear experts [1]_. Neighbouring lines rise and fall in turn;
    further features have slopes that differ from piece to piece.

    Parameters
    ----------
    n_samples : int, default=300
        Number of rows, n.
    n_features : int, default=1
        Number of features, p. One, because that can be drawn.
    n_pieces : int, default=3
        Number of pieces, K: the fewest with an inner one.
    noise : float or array-like of shape (n_pieces,), default=0.1
        Standard deviation of y around its line, one for all or one per piece, in order along the
        first feature. Lines change by 0.75 to 2 over their piece, so 0.1 leaves them visible.
    sharpness : float, default=20.0
        How abrupt the changes are: the change of the log-odds of two neighbours over the width of
        one piece. The probability goes from 10 % to 90 % within ``4.4 / sharpness`` widths; at 20,
        about a fifth, the overlap is visible and the pieces are too.
    random_state : int, RandomState instance or None, default=None
        Seed for the lines and the rows. The lines depend on it, ``n_features`` and ``n_pieces``
        alone, not on ``n_samples``, ``noise`` or ``sharpness``.
    return_truth : bool, default=False
        Also return the mixture the data were drawn from.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    truth : MixtureTruth
        Only if ``return_truth`` is True. ``truth.labels`` (n,) is the piece of each row,
        ``truth.predict(X)`` the true mean function, ``truth.predict_experts(X)`` (n, K) the lines,
        ``truth.gate_proba(X)`` (n, K) the gate, ``truth.params`` the coefficients, in the form that
        ``MixtureOfExpertsRegressor(init_params=...)`` takes.

    Raises
    ------
    ValueError
        If a number of rows, features or pieces is not a whole number of at least 1; if ``noise`` is
        negative, not finite, or neither one number nor one per piece; if ``sharpness`` is not
        positive and finite.

    References
    ----------
    .. [1] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. and Hinton, G. E. (1991). Adaptive mixtures
       of local experts. Neural Computation, 3, 79-87.

    Examples
    --------
    >>> from classic_moe.datasets import make_piecewise_regression
    >>> X, y, truth = make_piecewise_regression(random_state=0, return_truth=True)
    >>> X.shape, y.shape
    ((300, 1), (300,))
    >>> truth.gate_proba([[-0.9], [0.0], [0.9]]).round(2)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    _check_count("n_samples", n_samples)
    _check_count("n_features", n_features)
    _check_count("n_pieces", n_pieces)
    noise = _check_noise(noise, n_pieces, "piece")
    if not (isinstance(sharpness, Real) and 0 < sharpness < np.inf):
        raise ValueError(
            f"sharpness must be positive and finite, got {sharpness!r}; "
            "use a large number such as 1e3 for hard edges"
        )
    rng = check_random_state(random_state)

    piece = np.arange(n_pieces)
    width = 2 / n_pieces
    centre = -1 + width * (piece + 0.5)
    coef = rng.uniform(-1, 1, size=(n_pieces, n_features))
    coef[:, 0] = (-1.0) ** piece * rng.choice([-1, 1]) * rng.uniform(0.75, 2, n_pieces) / width
    height = rng.uniform(-1, 1, n_pieces)

    # The log-odds of neighbours cross zero at the cut between them.
    gate_coef = np.zeros((n_pieces, n_features))
    gate_coef[:, 0] = sharpness / width * (piece - piece[-1])
    cuts = -1 + width * piece[1:]
    log_odds = np.concatenate([[0.0], np.cumsum(-sharpness / width * cuts)])

    params = {
        "gate": {"coef": gate_coef, "intercept": log_odds - log_odds[-1]},
        "expert": {"coef": coef, "intercept": height - coef[:, 0] * centre, "scale": noise},
    }
    X, y, truth = _draw(MixtureTruth(params), n_samples, rng)
    return (X, y, truth) if return_truth else (X, y)


def make_crossing_lines(
    n_samples: int = 200,
    *,
    noise: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
    return_truth: bool = False,
) -> tuple[Any, ...]:
    """Make two lines that cross: the classic mixture of regressions.

    x is uniform on [-1, 1]; a row follows y = x with probability 0.6 and y = -x with 0.4, whatever
    its x. As x says nothing about which line a row follows, a constant gate is right: only y tells
    the lines apart, and the regression function 0.2 x describes neither [1]_.

    Parameters
    ----------
    n_samples : int, default=200
        Number of rows, n.
    noise : float or array-like of shape (2,), default=0.1
        Standard deviation of y around its line, one for both or one for each (rising, falling).
        At 0.1 the lines are told apart except near the crossing.
    random_state : int, RandomState instance or None, default=None
        Seed for the rows. The lines are always the same.
    return_truth : bool, default=False
        Also return the mixture the data were drawn from.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
    y : ndarray of shape (n_samples,)
    truth : MixtureTruth
        Only if ``return_truth`` is True. ``truth.labels`` (n,) is the line of each row, 0 rising,
        1 falling; for the rest see `make_piecewise_regression`.

    Raises
    ------
    ValueError
        If ``n_samples`` is not a whole number of at least 1; if ``noise`` is negative, not finite,
        or neither one number nor one per line.

    References
    ----------
    .. [1] Quandt, R. E. and Ramsey, J. B. (1978). Estimating mixtures of normal distributions and
       switching regressions. Journal of the American Statistical Association, 73, 730-738.

    Examples
    --------
    >>> from classic_moe.datasets import make_crossing_lines
    >>> X, y, truth = make_crossing_lines(random_state=0, return_truth=True)
    >>> X.shape, y.shape
    ((200, 1), (200,))
    >>> truth.predict_experts([[0.5]])
    array([[ 0.5, -0.5]])
    >>> truth.predict([[0.5]]).round(2)
    array([0.1])
    """
    _check_count("n_samples", n_samples)
    noise = _check_noise(noise, 2, "line")
    rng = check_random_state(random_state)

    params = {
        "gate": {"coef": np.zeros((2, 1)), "intercept": np.array([np.log(0.6 / 0.4), 0.0])},
        "expert": {"coef": np.array([[1.0], [-1.0]]), "intercept": np.zeros(2), "scale": noise},
    }
    X, y, truth = _draw(MixtureTruth(params), n_samples, rng)
    return (X, y, truth) if return_truth else (X, y)


def _draw(truth, n_samples, rng):
    """Rows from the mixture: x uniform, then the expert, then y."""
    expert = truth.params["expert"]
    X = rng.uniform(-1, 1, size=(n_samples, expert["coef"].shape[1]))
    edges = np.cumsum(truth.gate_proba(X), axis=1)[:, :-1]
    labels = (rng.uniform(size=(n_samples, 1)) > edges).sum(axis=1)
    means = truth.predict_experts(X)[np.arange(n_samples), labels]
    y = means + expert["scale"][labels] * rng.standard_normal(n_samples)
    return X, y, replace(truth, labels=labels)


def _check_count(name, value):
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def _check_noise(noise, n, part):
    """`noise` as n standard deviations."""
    try:
        scale = np.asarray(noise, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"noise must be one number or one per {part}, got {noise!r}") from None
    if scale.shape not in {(), (n,)}:
        raise ValueError(
            f"noise must be one number or one per {part}, that is {n}; got shape {scale.shape}"
        )
    if not (np.isfinite(scale).all() and (scale >= 0).all()):
        raise ValueError(
            f"noise is a standard deviation, so finite and not negative; got {noise!r}"
        )
    return np.broadcast_to(scale, (n,)).copy()
