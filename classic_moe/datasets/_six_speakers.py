"""Six simulated speakers, the last of whom speaks like the mean of three others."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._make import _check_count

SPEAKERS = ("f1", "f2", "m1", "m2", "m3", "m4")
_SOUNDS = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
_TURNS = np.deg2rad([80, 170, -25, 5, 20, 0])
_CENTRES = np.array(  # of pitch and the two formants
    [
        [3.0, 0.0, 0.8],
        [4.0, 0.8, -0.5],
        [-0.6, 0.6, 0.0],
        [0.3, -0.3, 0.5],
        [0.3, -0.3, -0.5],
        [0.0, 0.0, 0.0],
    ]
)
_PITCH_SPREAD = 0.3
_STEPS = 10
_WIDTH = 1.2
_STEP_NOISE = 0.1
_REST = 0.7


def make_six_speakers(
    n_per_speaker: int = 200,
    *,
    noise: float = 0.38,
    sequences: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Any, ...]:
    """Make four sounds as two women and four men pronounce them, in pitch and two formants.

    The sounds are four normal clouds at the corners of a square. A speaker turns and shifts the
    plane of the two formants, an affine map of his or her own, and has a pitch of his or her own.
    So every speaker's sounds are told apart by straight lines, those of all speakers together are
    not. The map of the fourth man is the mean of those of the other three: a Meta-Pi network [1]_
    needs no expert for him.

    Parameters
    ----------
    n_per_speaker : int, default=200
        Rows of each speaker.
    noise : float, default=0.38
        Standard deviation of the clouds; neighbouring corners are 2 apart.
    sequences : bool, default=False
        Whether a row is a sequence of ten steps in place of one point: the formants move from the
        speaker's centre to the sound and back, at a time of its own, under a little noise.
    random_state : int, RandomState instance or None, default=None
        Seed for the rows. The speakers are always the same.

    Returns
    -------
    X : ndarray of shape (6 * n_per_speaker, 3)
        Pitch and two formants, without unit. Of sequences (6 * n_per_speaker, 30): pitch and
        formants of the first step, then those of the second, and so on.
    y : ndarray of int of shape (6 * n_per_speaker,)
        The sound, 0 to 3.
    speaker : ndarray of str of shape (6 * n_per_speaker,)
        "f1", "f2", "m1", "m2", "m3", "m4", in this order.

    Raises
    ------
    ValueError
        If ``n_per_speaker`` is not a whole number of at least 1; if ``noise`` is negative or not
        finite.

    References
    ----------
    .. [1] Hampshire, J. B. & Waibel, A. H. (1992). The Meta-Pi network: building distributed
       knowledge representations for robust multisource pattern recognition. IEEE Transactions on
       Pattern Analysis and Machine Intelligence 14, 751-769.

    Examples
    --------
    >>> from classic_moe.datasets import make_six_speakers
    >>> X, y, speaker = make_six_speakers(random_state=0)
    >>> X.shape
    (1200, 3)
    >>> print(*speaker[::200])
    f1 f2 m1 m2 m3 m4
    """
    _check_count("n_per_speaker", n_per_speaker)
    if not (isinstance(noise, Real) and 0 <= noise < np.inf):
        raise ValueError(
            f"noise is a standard deviation, so finite and not negative; got {noise!r}"
        )
    rng = check_random_state(random_state)
    number = np.repeat(np.arange(len(SPEAKERS)), n_per_speaker)
    y = rng.randint(len(_SOUNDS), size=len(number))
    sounds = _SOUNDS[y] + noise * rng.standard_normal((len(number), 2))
    cos, sin = np.cos(_TURNS), np.sin(_TURNS)
    turns = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0)[number]
    pitch = _PITCH_SPREAD * rng.standard_normal(len(number))
    own = np.column_stack([pitch, np.einsum("nij,nj->ni", turns, sounds)])
    centres = _CENTRES[number]
    X = _spoken(own, centres, rng) if sequences else own + centres
    return X, y, np.array(SPEAKERS)[number]


def _spoken(own, centres, rng):
    """Return sequences (n, 3 · steps) of points (n, 3) that are reached at a random step."""
    time = rng.uniform(2, _STEPS - 3, size=(len(own), 1))
    bump = np.exp(-0.5 * ((np.arange(_STEPS) - time) / _WIDTH) ** 2)[:, :, None]
    moves = own[:, None, :] * np.concatenate([np.ones_like(bump), bump, bump], axis=2)
    noise = _STEP_NOISE * rng.standard_normal(moves.shape)
    rest = centres * [1.0, _REST, _REST]
    return (rest[:, None, :] + moves + noise).reshape(len(own), -1)
