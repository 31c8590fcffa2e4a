"""Names of columns, outputs and classes: where they come from, and how they are shown."""

from __future__ import annotations

import unicodedata

import numpy as np

from .checks import is_table

JOINERS = "\u200c\u200d"
"""Invisible letters that some scripts cannot be written without; they do nothing to a terminal."""


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
