"""Vowels as formants: the classic table, read from a file, and simulated speakers like it."""

from __future__ import annotations

import csv
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ._make import _check_count

FEATURES = ["F0", "F1", "F2", "F3"]
VOWELS = ("i", "I", "E", "{", "A", "O", "U", "u", "V", "3'")
"""As in heed, hid, head, had, hod, hawed, hood, who'd, hud, heard."""
SPEAKERS = {"m": 33, "w": 28, "c": 15}
"""Men, women and children of the table."""

# Geometric means in Hz and standard deviations in per cent of F0 to F3, one row a vowel: of all
# tokens of the table of Peterson & Barney, men, women and children.
_FORMANTS = {
    "m": [
        (135, 264, 2290, 2932, 13.7, 14.0, 5.9, 6.2),
        (134, 389, 1990, 2566, 14.4, 14.0, 6.3, 4.8),
        (127, 523, 1851, 2478, 13.3, 11.8, 6.1, 5.3),
        (124, 661, 1723, 2416, 13.0, 9.4, 6.9, 5.7),
        (123, 716, 1087, 2433, 14.3, 7.6, 9.1, 8.8),
        (126, 565, 828, 2394, 14.0, 11.0, 14.1, 9.1),
        (135, 434, 1016, 2240, 14.3, 10.9, 12.3, 7.2),
        (138, 303, 862, 2227, 13.5, 16.7, 18.0, 9.9),
        (127, 629, 1187, 2371, 13.6, 7.2, 9.4, 7.1),
        (132, 485, 1357, 1704, 12.9, 12.1, 6.9, 7.7),
    ],
    "w": [
        (229, 307, 2779, 3304, 11.8, 15.5, 4.8, 7.1),
        (231, 438, 2469, 3060, 11.3, 11.0, 6.2, 4.6),
        (219, 603, 2330, 2995, 9.2, 12.9, 6.1, 4.8),
        (207, 855, 2041, 2827, 11.4, 13.4, 8.7, 6.3),
        (210, 859, 1225, 2775, 12.7, 11.4, 8.0, 7.6),
        (215, 580, 906, 2726, 11.7, 15.4, 14.0, 8.6),
        (233, 466, 1151, 2678, 9.2, 12.3, 13.5, 7.4),
        (232, 375, 945, 2659, 14.5, 12.6, 18.0, 7.7),
        (221, 755, 1404, 2763, 10.8, 8.9, 8.6, 6.4),
        (218, 499, 1631, 1964, 10.4, 12.5, 11.3, 11.7),
    ],
    "c": [
        (267, 355, 3170, 3755, 13.4, 17.7, 7.0, 6.5),
        (268, 529, 2737, 3595, 14.0, 14.3, 7.4, 7.3),
        (257, 695, 2608, 3556, 11.5, 12.5, 7.9, 6.7),
        (247, 1006, 2323, 3348, 10.9, 15.6, 10.1, 10.6),
        (256, 1022, 1374, 3167, 12.6, 12.4, 12.0, 11.5),
        (257, 684, 1058, 3241, 13.1, 17.1, 11.5, 12.0),
        (271, 556, 1397, 3318, 14.3, 12.3, 8.6, 9.5),
        (276, 424, 1163, 3235, 13.5, 20.1, 24.0, 10.0),
        (260, 848, 1588, 3315, 13.0, 13.5, 6.5, 9.1),
        (261, 562, 1794, 2170, 13.5, 16.1, 11.4, 15.3),
    ],
}
# Shares of that variance between speakers, between the vowels of a speaker and between the two
# repetitions, per feature; and the correlation of the features between speakers, whose vocal tracts
# differ in length. Variance components of the same table.
_SHARES = np.array([[0.77, 0.03, 0.20], [0.26, 0.46, 0.28], [0.29, 0.48, 0.23], [0.36, 0.42, 0.22]])
_CORRELATION = 0.3


def make_vowels(
    n_speakers: int = 76,
    *,
    vowels: Any = ("i", "I", "A", "V"),
    random_state: int | np.random.RandomState | None = None,
) -> Any:
    """Make vowels as men, women and children speak them, twice each: pitch and three formants.

    Means and spreads for each vowel and kind of speaker are those of the measurements of Peterson
    and Barney [1]_, as is how much speakers, vowels of one speaker and repetitions differ; the
    logarithms are drawn from normal distributions. Tokens of one speaker resemble each other: split
    by speaker, at random, since speakers come in order, men first. The four vowels of the default
    are those on which adaptive mixtures of local experts were introduced [2]_.

    Parameters
    ----------
    n_speakers : int, default=76
        Number of speakers, of whom 33 in 76 are men, 28 women and 15 children.
    vowels : sequence of str, default=("i", "I", "A", "V")
        Any of "i", "I", "E", "{", "A", "O", "U", "u", "V", "3'", as in heed, hid, head, had, hod,
        hawed, hood, who'd, hud and heard.
    random_state : int, RandomState instance or None, default=None
        Seed for the speakers and their tokens.

    Returns
    -------
    X : ndarray of shape (n, 4)
        F0 (the pitch), F1, F2 and F3 in Hz; n is twice the number of speakers times vowels.
    y : ndarray of str of shape (n,)
        The vowel.
    speaker : ndarray of str of shape (n,)
        "m01", "w34", "c62": who spoke; the letter says whether a man, a woman or a child.

    Raises
    ------
    ValueError
        If ``n_speakers`` is not a whole number of at least 1; if a vowel is unknown.

    See Also
    --------
    load_peterson_barney : The measurements themselves, from a file.

    References
    ----------
    .. [1] Peterson, G. E. & Barney, H. L. (1952). Control methods used in a study of the vowels.
       Journal of the Acoustical Society of America 24, 175-184.
    .. [2] Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of
       local experts. Neural Computation 3, 79-87.

    Examples
    --------
    >>> from classic_moe.datasets import make_vowels
    >>> X, y, speaker = make_vowels(random_state=0)
    >>> X.shape
    (608, 4)
    >>> print(speaker[0], y[0], *X[0].round())
    m01 i 126.0 315.0 2054.0 2877.0
    """
    _check_count("n_speakers", n_speakers)
    vowels = _check_vowels(vowels)
    rng = check_random_state(random_state)

    kinds = np.repeat(list(SPEAKERS), _counts(n_speakers))
    table = np.array([_FORMANTS[kind] for kind in kinds])[:, [VOWELS.index(v) for v in vowels]]
    mean, spread = np.log(table[..., :4]), table[..., 4:] / 100
    size, own = np.sqrt([_CORRELATION, 1 - _CORRELATION])
    tract = rng.standard_normal((n_speakers, 1))
    speakers = size * tract + own * rng.standard_normal((n_speakers, 4))
    habits = rng.standard_normal((n_speakers, len(vowels), 4))
    tokens = rng.standard_normal((n_speakers, len(vowels), 2, 4))

    between, within, repeated = np.sqrt(_SHARES.T)
    deviation = between * speakers[:, None] + within * habits
    deviation = deviation[:, :, None] + repeated * tokens
    X = np.exp(mean[:, :, None] + spread[:, :, None] * deviation).reshape(-1, 4)
    y = np.tile(np.repeat(vowels, 2), n_speakers)
    names = [f"{kind}{number:02d}" for number, kind in enumerate(kinds, start=1)]
    return X, y, np.repeat(names, 2 * len(vowels))


def load_peterson_barney(
    path: str | PathLike[str] | Any,
    *,
    vowels: Any = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Read the vowel measurements of Peterson and Barney from a file.

    76 speakers, 33 men, 28 women and 15 children, said ten English words twice each; pitch and
    three formants were measured [1]_. The table does not come with this package: it is `pb52` in
    the R package phonTools, and elsewhere. Split it by speaker, at random: the file goes from men
    to women to children.

    Parameters
    ----------
    path : str or path-like
        A CSV file with the columns type ("m", "w" or "c"), speaker, vowel, f0, f1, f2, f3, in any
        order, as ``write.csv(phonTools::pb52)`` writes it; others are ignored.
    vowels : sequence of str, default=None
        Keep these alone, such as ("i", "I", "A", "V"), and the order of the rows. None means all
        ten.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects instead of arrays. Needs pandas.

    Returns
    -------
    data : Bunch
        With the keys

        - ``data``: ndarray (n, 4), or DataFrame; F0 (the pitch), F1, F2 and F3 in Hz,
        - ``target``: ndarray of str (n,), or Series; the vowel,
        - ``frame``: DataFrame (n, 5) with both, or None where ``as_frame`` is False,
        - ``speaker``: ndarray of str (n,), such as "m01", "w34", "c62",
        - ``feature_names``: ``["F0", "F1", "F2", "F3"]``, ``target_names``: ``["vowel"]``,
        - ``filename``: the path.
    (data, target) : tuple
        If ``return_X_y`` is True.

    Raises
    ------
    ValueError
        If the file lacks a column or has no row; if a vowel is unknown.
    ImportError
        If ``as_frame`` is True and pandas is not installed.

    See Also
    --------
    make_vowels : Simulated speakers, for those who have no such file.

    References
    ----------
    .. [1] Peterson, G. E. & Barney, H. L. (1952). Control methods used in a study of the vowels.
       Journal of the Acoustical Society of America 24, 175-184.
    """
    vowels = VOWELS if vowels is None else _check_vowels(vowels)
    columns = ("type", "speaker", "vowel", "f0", "f1", "f2", "f3")
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path} has no column {missing[0]!r}; it must have {', '.join(columns)}, as"
                " phonTools::pb52 does."
            )
        rows = [row for row in reader if row["vowel"] in vowels]
    if not rows:
        raise ValueError(f"{path} has no rows with the vowels {', '.join(vowels)}.")
    data = np.array([[float(row[name]) for name in columns[3:]] for row in rows])
    target, frame = np.array([row["vowel"] for row in rows]), None
    if as_frame:
        import pandas as pd

        frame = pd.DataFrame(data, columns=FEATURES).assign(vowel=target)
        data, target = frame[FEATURES], frame["vowel"]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        speaker=np.array([f"{row['type']}{int(row['speaker']):02d}" for row in rows]),
        feature_names=list(FEATURES),
        target_names=["vowel"],
        filename=str(path),
    )


def _counts(n_speakers):
    """How many of `n_speakers` are men, women and children: the table's shares, rounded."""
    ends = np.cumsum(list(SPEAKERS.values()))
    return np.diff(np.round(n_speakers * ends / ends[-1]).astype(int), prepend=0)


def _check_vowels(vowels):
    names = tuple(vowels)
    unknown = [name for name in names if name not in VOWELS]
    if unknown or not names:
        seen = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"vowels must be some of {', '.join(VOWELS)}; got {seen}")
    return names
