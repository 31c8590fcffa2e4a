"""What kind a column is (number, date, category), and how its cells are read ever after."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np

from .cells import (
    DASHES,
    LARGEST,
    SIGNS,
    USUAL,
    Distinct,
    among,
    are_codes,
    date_form,
    dates,
    decimal_of,
    distinct,
    numbers,
    read_dates,
    read_numbers,
    stored_kind,
    swapped,
    texts_of,
)

OTHER, MISSING = "other", "missing"
"""Levels made of rare ones, and of missing cells."""
UNITS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
SHARE = 0.95
"""Of the cells that must be numbers (or dates) for the others to be taken as missing."""
NUMBERS = 10
"""Different ones that there must be for that: fewer may be the codes of categories."""
NINES = re.compile(r"-9{2,}|9{3,}")
"""Numbers that many archives write for a missing one."""
SHOWN = 3
"""Cells that a note shows."""


@dataclass(frozen=True)
class Column:
    """How a column is read, the same in every table.

    Parameters
    ----------
    name : str
    kind : "number", "date", "category" or "offset"
    decimal : "." or ","
        Of numbers in text.
    missing : tuple of str
        Cells that mean "missing" here, beside the usual ones.
    form : str
        How dates are written, a key of `cells.FORMS`.
    origin : float
        The first date, in seconds since 1970.
    unit : str
        In which dates count, a key of `UNITS`.
    levels : tuple of str
        Of a category; the others are compared with the first.
    merged : tuple of str
        Rare values, put together as "other".
    gaps : bool
        Whether cells were missing at the fit.
    indicator : bool
        Whether the model is told that a cell is missing: by a column of its own, or by a level.
    """

    name: str
    kind: str
    decimal: str = "."
    missing: tuple = ()
    form: str = ""
    origin: float = 0.0
    unit: str = ""
    levels: tuple = ()
    merged: tuple = ()
    gaps: bool = False
    indicator: bool = False

    @property
    def coded_name(self):
        """What the column is called once it is a number, a str."""
        if self.kind != "date":
            return self.name
        first = str(np.datetime64(int(self.origin), "s")).replace("T", " ")
        return f"{self.name} ({self.unit} since {first.removesuffix(' 00:00:00')})"

    @property
    def coded_names(self):
        """What the columns are called that the model gets of it, a list of str."""
        if self.kind == "category":
            return [level_name(self.name, level) for level in self.levels[1:]]
        return [self.coded_name, *([missing_name(self.coded_name)] if self.indicator else [])]

    def read(self, cells):
        """Return the cells of a table as the pipeline takes them.

        Parameters
        ----------
        cells : Series of shape (n,)

        Returns
        -------
        values : ndarray of shape (n,)
            Numbers, nan where one is missing; of a category its levels, nan where one is missing.
        unknown : dict of str to int
            Values that the fit did not see, with their counts; in `values` they are "other" if
            there is this level, else missing.

        Raises
        ------
        ValueError
            For text where a number or a date should be; it names the column, row and cell.
        """
        if self.kind == "category":
            return self._levels(distinct(cells, self.missing))
        if self.kind == "date":
            values, empty = read_dates(cells, self.form, self.missing)
            values = (values - self.origin) / UNITS[self.unit]
        else:
            values, empty = read_numbers(cells, self.decimal, self.missing)
        wrong = first_wrong(values, empty)
        if wrong is not None:
            cell = str(np.asarray(cells, dtype=object)[wrong])
            what = what_is_wrong(values[wrong], "date" if self.kind == "date" else "number")
            raise ValueError(f"column {self.name!r}, row {wrong + 1}: {cell!r} is {what}")
        return values, {}

    def _levels(self, found):
        known = set(self.levels)
        values, unknown = [], {}
        for text, count in zip(found.texts, found.counts, strict=True):
            level = truth(text)
            if level not in known:
                if level not in self.merged:
                    unknown[level] = int(count)
                level = OTHER if OTHER in known else np.nan
            values.append(level)
        return found.each(np.array(values, dtype=object)), unknown


def level_name(name, level):
    """Return what the column is called that tells a level, a str."""
    return f"{name} = {level}"


def missing_name(name):
    """Return what the column is called that tells that a cell is missing, a str."""
    return f"{name} is missing"


def truth(text):
    """Return a category; true, TRUE and True are one, as other programs write them, a str."""
    return text.capitalize() if text.lower() in ("true", "false") else text


def first_wrong(values, empty):
    """Return the first position of a number that cannot be used, or None.

    Parameters
    ----------
    values : ndarray of shape (n,)
        nan for what is no number.
    empty : ndarray of bool of shape (n,)
        Which cells are missing; they may be nan.
    """
    wrong = ~empty & ~(np.abs(values) <= LARGEST)
    return int(np.argmax(wrong)) if wrong.any() else None


def what_is_wrong(value, what="number"):
    """Return what a cell is that cannot be used, given as a number, in words."""
    if np.isnan(value):
        return f"not a {what}"
    return "not finite" if np.isinf(value) else f"too large to compute with (above {LARGEST:g})"


# -- the kind, from the cells ----------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """A column of the whole table as it was read, before anything is left out.

    Parameters
    ----------
    column : Column
        Its kind, and what means "missing"; no more.
    values : ndarray of shape (n,)
        Numbers or seconds, nan where one is missing (or is none); codes of a category.
    empty : ndarray of bool of shape (n,)
    texts : ndarray of str
        The values of a category.
    notes : list of str
        What was taken as missing beside the usual.
    """

    column: Column
    values: np.ndarray
    empty: np.ndarray
    texts: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))
    notes: list = field(default_factory=list)

    @property
    def found(self):
        """The values of a category, a `Distinct`."""
        return Distinct(self.texts, self.values)


def look_at(name, cells, decimal=".", codes=()):
    """Tell what kind a column is, and read it.

    Parameters
    ----------
    name : str
    cells : Series of shape (n,)
    decimal : "." or ","
        Of the file; a column that can be read in the other way only is read so.
    codes : sequence of str
        What the user says is missing. If anything is said, nothing is guessed.

    Returns
    -------
    Look
    """
    stored = stored_kind(cells)
    column = Column(name, stored, missing=tuple(codes))
    if stored == "number":
        return Look(column, *read_numbers(cells, missing=codes))
    if stored == "date":
        return Look(column, *read_dates(cells, ""))
    texts = texts_of(cells)
    found = texts.without(among(texts, {*USUAL, *SIGNS, *codes}))
    dashes = among(found, DASHES)
    look = _numbers_or_dates(column, found.without(dashes), decimal, guess=not codes)
    if look is None:
        notes = _taken(name, texts, among(texts, {*SIGNS, "None"}.difference(codes)))
        column = replace(column, kind="category")
        return Look(column, found.codes, found.codes < 0, found.texts, notes)
    notes = _taken(name, texts, among(texts, {*SIGNS, *DASHES}.difference(codes)))
    return replace(look, notes=notes + look.notes)


def _taken(name, found, unwanted, option=""):
    """Return a note for texts that were taken as missing, a list."""
    if not unwanted.any():
        return []
    order = np.argsort(-found.counts[unwanted], kind="stable")
    shown = ", ".join(map(repr, found.texts[unwanted][order][:SHOWN]))
    more = unwanted.sum() - SHOWN
    shown += f" and {more} more" if more > 0 else ""
    count = _cells(found.counts[unwanted].sum())
    return [f"Column {name!r}: {shown} was taken as missing ({count}){option}."]


def _cells(count):
    return "1 cell" if count == 1 else f"{count} cells"


def _numbers_or_dates(column, found, decimal, guess):
    """Return the `Look` of a column of numbers or dates, None if too few cells are any."""
    mark = decimal_of(found, decimal)
    values = numbers(found.texts, mark)
    if column.missing and (coded := are_codes(values, column.missing)).any():
        found, values = found.without(coded), values[~coded]
    if _enough(found, values, guess):
        return _look(replace(column, kind="number", decimal=mark), found, values)
    form = date_form(found.texts, SHARE if guess else 1.0, day_first=decimal == ",")
    if form is None or not _enough(found, values := dates(found.texts, form), guess):
        return None
    look = _look(replace(column, kind="date", form=form), found, values)
    return replace(look, notes=[*look.notes, *_two_ways(column.name, found, form)])


def _enough(found, values, guess):
    """Tell whether so many distinct texts have values, not nan, that the others are missing."""
    odd = np.isnan(values)
    few = found.counts[odd].sum() <= (1 - SHARE) * found.counts.sum()
    return len(odd) > 0 and (not odd.any() or bool(guess and few and (~odd).sum() > NUMBERS))


def _look(column, found, values):
    """Return the `Look` of a column whose distinct texts have values, nan for what is missing."""
    odd = np.isnan(values)
    notes = _taken(column.name, found, odd, "; --missing-code '' takes the column as text")
    kept = found.without(odd)
    column = replace(column, missing=(*column.missing, *found.texts[odd]))
    return Look(column, kept.each(values[~odd]), kept.codes < 0, notes=notes)


def _two_ways(name, found, form):
    """Return a note where day and month could be the other way round as well, a list."""
    other = swapped(form)
    if other is None or np.isnan(dates(found.texts, other)).any():
        return []
    order = "day/month/year" if form.startswith("%d") else "month/day/year"
    return [
        f"Column {name!r}: dates such as {found.texts[0]!r} were read as {order}; write them as"
        " year-month-day to be sure."
    ]


# -- numbers that mean "missing" -------------------------------------------------------------------


def without_codes(looks):
    """Return the columns with numbers such as -999 missing where they are clearly codes.

    They are where several cells have the same one, all nines, and it is far from all others: a
    negative one among numbers none of which is, or farther than twice their whole range; a
    positive one five times, as 999 may be the end of a scale. What is a code in one column is one
    in others too, even if only one cell has it.

    Parameters
    ----------
    looks : dict of str to Look

    Returns
    -------
    dict of str to Look
    """
    found = {name: _codes(look, 2) for name, look in looks.items()}
    everywhere = set().union(*found.values()) if found else set()
    changed = {}
    for name, look in looks.items():
        codes = sorted({*found[name], *(_codes(look, 1) & everywhere)})
        if codes:
            coded = np.isin(look.values, codes)
            texts = tuple(f"{code:g}" if abs(code) < 1e6 else str(int(code)) for code in codes)
            note = (
                f"Column {name!r}: {' and '.join(texts)} was taken as missing"
                f" ({_cells(coded.sum())}; --missing-code '' takes it as a number)."
            )
            look = Look(
                replace(look.column, missing=(*look.column.missing, *texts)),
                np.where(coded, np.nan, look.values),
                look.empty | coded,
                notes=[*look.notes, note],
            )
        changed[name] = look
    return changed


def _codes(look, least):
    """Return the numbers of a column that at least so many cells have and that are codes, a set."""
    if look.column.kind != "number":
        return set()
    values, counts = np.unique(look.values[np.isfinite(look.values)], return_counts=True)
    codes = set()
    for end in (slice(None), slice(None, None, -1)):
        ordered, often = values[end], counts[end]
        for i in range(min(2, len(ordered) - 1)):  # such as -9999 beside -999
            code, rest = ordered[i], values[(values != ordered[i]) & ~np.isin(values, list(codes))]
            nines = code == round(code) and NINES.fullmatch(str(int(code)))
            if not nines or often[i] < least or not _far(code, rest):
                break
            codes.add(float(code))
    return codes


def _far(code, rest):
    """Tell whether a number is far from all others, sorted (m,)."""
    if len(rest) < 2:
        return False
    distance = max(rest[0] - code, code - rest[-1])
    if code < 0 and rest[0] >= 0:
        return True
    return distance > (2 if code < 0 else 5) * (rest[-1] - rest[0])
