"""Cells of one column, all at once: distinct texts, numbers, dates, and what means "missing"."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

LARGEST = 1e150
"""Numbers up to this have squares: of larger ones no spread and no error can be worked out."""
USUAL = frozenset(
    """#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan
null|NaT|""".replace("\n", "|").split("|")
)
"""Cells that pandas reads as missing."""
SIGNS = frozenset([".", "?"])
"""Cells that stand for a missing one in any column, as SAS, SPSS and many archives write it."""
DASHES = frozenset(["-", "--", "–", "—", "na", "N.A.", "n.a.", "missing", "#DIV/0!", "#VALUE!"])
"""Cells that do so among numbers and dates only: among texts they may be a category."""
NUMBER = {
    decimal: re.compile(
        rf"[+-]?[$€£]?(?:(?:\d+|[1-9]\d{{0,2}}(?:[{other}'’ \u00a0\u202f]\d{{3}})+)(?:{point}\d*)?"
        rf"|{point}\d+)(?:[eE][+-]?\d+)?\s?[%$€£]?"
    )
    for decimal, point, other in [(".", r"\.", ","), (",", ",", ".")]
}
"""What a number looks like, by its decimal mark: thousands may be set apart, money and percent have
their signs."""
FORMS = {
    "%Y-%m-%d": r"\d{4}-\d{1,2}-\d{1,2}",
    "ISO8601": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?",
    "%Y/%m/%d": r"\d{4}/\d{1,2}/\d{1,2}",
    "%Y/%m/%d %H:%M": r"\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d\d",
    "%Y/%m/%d %H:%M:%S": r"\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d\d:\d\d",
    "%d.%m.%Y": r"\d{1,2}\.\d{1,2}\.\d{4}",
    "%d.%m.%y": r"\d{1,2}\.\d{1,2}\.\d{2}",
    "%d.%m.%Y %H:%M": r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d",
    "%d.%m.%Y %H:%M:%S": r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d:\d\d",
    "%m/%d/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%d/%m/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%m/%d/%y": r"\d{1,2}/\d{1,2}/\d{2}",
    "%d/%m/%y": r"\d{1,2}/\d{1,2}/\d{2}",
    "%m/%d/%Y %H:%M": r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d",
    "%d/%m/%Y %H:%M": r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d",
    "%m/%d/%Y %H:%M:%S": r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d:\d\d",
    "%d/%m/%Y %H:%M:%S": r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d:\d\d",
    "%d-%b-%Y": r"\d{1,2}-[A-Za-z]{3}-\d{4}",
    "%d %b %Y": r"\d{1,2} [A-Za-z]{3} \d{4}",
    "%d %B %Y": r"\d{1,2} [A-Za-z]{4,} \d{4}",
    "%b %d, %Y": r"[A-Za-z]{3} \d{1,2}, \d{4}",
    "%B %d, %Y": r"[A-Za-z]{4,} \d{1,2}, \d{4}",
    "%Y-%m": r"\d{4}-\d\d",
    "%b %Y": r"[A-Za-z]{3} \d{4}",
}
"""How dates are written; of two ways that fit all cells the first is meant."""


@dataclass(frozen=True)
class Distinct:
    """The distinct texts of a column, and which of them each cell is.

    Parameters
    ----------
    texts : ndarray of shape (m,)
        Without blanks at their ends, none that means "missing".
    codes : ndarray of shape (n,)
        Positions in `texts`; -1 for a missing cell.
    """

    texts: np.ndarray
    codes: np.ndarray

    @property
    def counts(self):
        """How many cells each text has, (m,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))

    def each(self, values, missing=np.nan):
        """Return a value for every cell, given one for every text, (n,)."""
        return np.append(np.asarray(values), missing)[self.codes]

    def without(self, unwanted):
        """Return the same with some texts missing, a `Distinct`.

        Parameters
        ----------
        unwanted : ndarray of bool of shape (m,)
        """
        if not unwanted.any():
            return self
        position = np.where(unwanted, -1, np.cumsum(~unwanted) - 1)
        return Distinct(self.texts[~unwanted], np.append(position, -1)[self.codes])

    def rows(self, chosen):
        """Return the same for some of the cells, a `Distinct`.

        Parameters
        ----------
        chosen : ndarray of bool of shape (n,)
        """
        codes = self.codes[chosen]
        there = np.zeros(len(self.texts), dtype=bool)
        there[codes[codes >= 0]] = True
        return Distinct(self.texts, codes).without(~there)


def texts_of(column):
    """Return all distinct texts of a column but those that are no value at all, a `Distinct`.

    Parameters
    ----------
    column : Series or array-like of shape (n,)
        Of text, or of values with a type: whole numbers become "3", truth values "True".
    """
    import pandas as pd

    codes, values = pd.factorize(np.asarray(column, dtype=object))
    try:
        texts = [value.strip() for value in values]
    except AttributeError:  # not only text
        texts = [_text(value) for value in values]
    if len(set(texts)) == len(texts):
        return Distinct(np.array(texts, dtype=object), codes)
    second, texts = pd.factorize(np.array(texts, dtype=object))
    return Distinct(texts, np.append(second, -1)[codes])


def distinct(column, missing=(), dashes=False):
    """Return the distinct texts of a column that do not mean "missing", a `Distinct`.

    Parameters
    ----------
    column : Series or array-like of shape (n,)
    missing : sequence of str, default=()
        What means it, beside `USUAL` and `SIGNS`.
    dashes : bool, default=False
        Whether `DASHES` mean it too.
    """
    found = texts_of(column)
    return found.without(among(found, {*USUAL, *SIGNS, *missing, *(DASHES if dashes else ())}))


def among(found, texts):
    """Tell which of the distinct texts are among some, (m,) of bool.

    Parameters
    ----------
    found : Distinct
    texts : set of str
    """
    if texts.isdisjoint(found.texts):
        return np.zeros(len(found.texts), dtype=bool)
    return np.array([text in texts for text in found.texts], dtype=bool)


def _text(value):
    """Return a cell as text: a whole number without a point, a truth value as Python writes it."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (float, np.floating)) and value == np.floor(value):
        return str(int(value)) if abs(value) < 2**53 else repr(float(value))
    return str(value)


# -- numbers ---------------------------------------------------------------------------------------


def fitting(found, decimal="."):
    """Tell which of the distinct texts are numbers, (m,) of bool.

    Parameters
    ----------
    found : Distinct
    decimal : "." or ","
    """
    pattern = NUMBER[decimal]
    return np.array([pattern.fullmatch(text) is not None for text in found.texts], dtype=bool)


def decimal_of(found, decimal="."):
    """Return the decimal mark with which more of the cells are numbers, or the one given.

    Parameters
    ----------
    found : Distinct
    decimal : "." or ","
        Where both do as well.
    """
    other = "." if decimal == "," else ","
    if not any(other in text for text in found.texts):
        return decimal
    counts = found.counts
    better = counts[fitting(found, other)].sum() > counts[fitting(found, decimal)].sum()
    return other if better else decimal


def numbers(texts, decimal="."):
    """Return texts as numbers, nan for one that is none, (m,).

    Parameters
    ----------
    texts : ndarray of str of shape (m,)
    decimal : "." or ","
    """
    joined = "\n".join(texts)
    if not ("_" in joined or (decimal == "," and "." in joined)):  # 1_000 is for Python alone
        plain = np.array(joined.replace(decimal, ".").split("\n"), dtype=object)
        try:
            return plain.astype(float).reshape(texts.shape)
        except ValueError:
            pass
    pattern = NUMBER[decimal]
    return np.array([_number(text, pattern, decimal) for text in texts], dtype=float)


def _number(text, pattern, decimal):
    if not pattern.fullmatch(text):
        infinite = re.fullmatch(r"[+-]?inf(inity)?", text, re.IGNORECASE)
        return float(text) if infinite else np.nan
    if decimal == ",":
        text = text.replace(".", "").replace(",", ".")
    return float(re.sub(r"[,'’$€£%\s]", "", text))


def is_counter(values):
    """Tell whether numbers are 0 to n - 1, or 1 to n, each once, in any order.

    Parameters
    ----------
    values : ndarray of shape (n,)
    """
    values = np.sort(values)
    return values[0] in (0, 1) and np.array_equal(values, values[0] + np.arange(len(values)))


# -- dates -----------------------------------------------------------------------------------------


def looks_like_dates(texts):
    """Tell whether texts are dates, all of them, (m,) of str."""
    return date_form(texts) is not None


def date_form(texts, share=1.0, day_first=False):
    """Return how dates are written, a key of `FORMS`, or None where too few texts are dates.

    Parameters
    ----------
    texts : ndarray of str of shape (m,)
    share : float
        Of the texts that must be dates.
    day_first : bool
        What 3/4/2001 means where no date of the column tells.
    """
    first = list(texts[:20])
    for form in FORMS if first else ():
        if day_first:
            form = swapped(form) or form
        pattern = re.compile(FORMS[form])
        if sum(pattern.fullmatch(text) is not None for text in first) < share * len(first) - 1:
            continue
        if np.isfinite(dates(texts, form)).mean() >= share:
            return form
    return None


def swapped(form):
    """Return the way to write dates that has day and month in the other order, or None."""
    for one, other in (("%m/%d", "%d/%m"), ("%d/%m", "%m/%d")):
        if form.startswith(one):
            return form.replace(one, other)
    return None


def dates(texts, form):
    """Return texts as seconds since 1970, nan for one that is no date so written, (m,)."""
    import pandas as pd

    values = pd.to_datetime(pd.Series(texts, dtype=object), format=form, errors="coerce", utc=True)
    return seconds(values)


def seconds(values):
    """Return a Series of moments as seconds since 1970, nan for a missing one, (n,)."""
    import pandas as pd

    moments = pd.to_datetime(values, utc=True).dt.tz_convert(None).to_numpy()
    return (moments - np.datetime64(0, "s")) / np.timedelta64(1, "s")


# -- a whole column --------------------------------------------------------------------------------


def stored_kind(cells):
    """Return what type a column has, "number", "date" or "text"; truth values are text.

    Parameters
    ----------
    cells : Series of shape (n,)
    """
    from pandas.api import types

    if types.is_datetime64_any_dtype(cells):
        return "date"
    if types.is_numeric_dtype(cells) and not types.is_bool_dtype(cells):
        return "number"
    return "text"


def read_numbers(cells, decimal=".", missing=()):
    """Return a column as numbers.

    Parameters
    ----------
    cells : Series of shape (n,)
    decimal : "." or ","
    missing : sequence of str
        As for `distinct`.

    Returns
    -------
    values : ndarray of shape (n,)
        nan for a cell that is missing, or no number.
    empty : ndarray of bool of shape (n,)
        Which cells are missing.
    """
    if stored_kind(cells) == "number":
        values = cells.to_numpy(dtype=float, na_value=np.nan)
        values = np.where(are_codes(values, missing), np.nan, values)
        return values, np.isnan(values)
    found = distinct(cells, missing, dashes=True)
    values = numbers(found.texts, decimal_of(found, decimal))
    coded = are_codes(values, missing)
    found = found.without(coded)
    return found.each(values[~coded]), found.codes < 0


def are_codes(values, codes):
    """Tell which numbers are written as codes for a missing cell: -999.0 is -999, (m,) of bool."""
    codes = numbers(np.array(list(codes), dtype=object))
    return np.isin(values, codes[np.isfinite(codes)])


def read_dates(cells, form, missing=()):
    """Return a column as seconds since 1970, and which cells are missing, as `read_numbers`."""
    if stored_kind(cells) == "date":
        values = seconds(cells)
        return values, np.isnan(values)
    found = distinct(cells, missing, dashes=True)
    values = dates(found.texts, form)
    if np.isnan(values).any() and (other := date_form(found.texts)):  # another program wrote them
        values = dates(found.texts, other)
    return found.each(values), found.codes < 0
