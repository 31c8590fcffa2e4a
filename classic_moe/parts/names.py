"""Names of columns, outputs and classes: where they come from, and how they are shown."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from .checks import is_table

JOINERS = "\u200c\u200d"
"""Invisible letters that some scripts cannot be written without; they do nothing to a terminal."""

BELOW = re.compile(r"\s*(<|≤|under\b|below\b|less than\b|up to\b)=?\s*", re.IGNORECASE)
ABOVE = re.compile(r"\s*(>|≥|over\b|above\b|more than\b)=?\s*", re.IGNORECASE)
NUMBER = re.compile(r"(\d+(?:\.\d+)?)")


def names_of(y):
    """Return the names of a Series, or of the columns of a DataFrame, a tuple of str, or None.

    Of whatever library, pandas or polars; None where there are none, or where one is no text.
    """
    if is_table(y):
        names = tuple(y.columns)
    else:
        names = (getattr(y, "name", None),)
    named = len(names) > 0 and all(isinstance(name, str) and name for name in names)
    return tuple(map(str, names)) if named else None


def label_text(label):
    """Return a class label as Python writes it, so that text stands in quotes; a str."""
    return printable(repr(label.item() if isinstance(label, np.generic) else label))


def printable(text):
    r"""Return a text with what a terminal would obey, or not show, as escapes such as "\x1b".

    These are control characters, line ends, marks that turn the direction of writing, and halves
    of characters. Names come from the caller's files, and whoever wrote those may wish to be read
    as something else.
    """
    if text.isprintable():
        return text
    return "".join(c if _harmless(c) else repr(c)[1:-1] for c in text)


def _harmless(character):
    kind = unicodedata.category(character)
    return character in JOINERS or not (kind[0] == "C" or kind in ("Zl", "Zp"))


def natural(text):
    """Return a key that sorts levels as they are read: numbers by size, "<25" before "25-29".

    "F2" comes before "F10", and ">35" behind "30-35"; a tuple.
    """
    rank = 0
    for pattern, side in ((BELOW, -1), (ABOVE, 1)):
        text, found = pattern.subn("", text, count=1) if pattern.match(text) else (text, 0)
        rank += side * found
    parts = NUMBER.split(text)
    numbers = [float(part) if i % 2 else (part.casefold(), part) for i, part in enumerate(parts)]
    return (*numbers[:2], rank, *numbers[2:]) if len(parts) > 1 else (*numbers, -np.inf, rank)
